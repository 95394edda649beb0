"""What Chalice packages: it is silent about most mistakes, so each is looked for here."""

import json
import re
import subprocess
import sys
import zipfile

import pytest
from support.stack import ROOT

pytestmark = pytest.mark.xdist_group("deploy")

FUNCTIONS = {"Dispatch": "dispatch", "Scan": "scan", "Overdue": "overdue"}
MAX_UNZIPPED_BYTES = 120 * 10**6  # Lambda allows 250 MB
ENVIRONMENT = {
    "HOLDFAST_EVIDENCE_BUCKET",
    "HOLDFAST_DERIVED_BUCKET",
    "HOLDFAST_DOCUMENTS_TABLE",
    "HOLDFAST_LOCKS_TABLE",
    "HOLDFAST_SIGNING_KEY",
    "HOLDFAST_SEAL_SECRET",
    "HOLDFAST_SCAN_QUEUE",
    "HOLDFAST_EVENT_BUS",
    "HOLDFAST_PERIOD_MINUTES",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
}


def functions(template):
    return {
        name: one["Properties"]
        for name, one in template["Resources"].items()
        if one["Type"] == "AWS::Serverless::Function"
    }


def isolated(folder, code):
    """What a program prints that sees nothing but the standard library and the unpacked zip."""
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"
    command = [sys.executable, "-I", "-S", "-B", "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def contains(whole, part, where="template"):
    """Fail unless every mapping of ``part`` is in ``whole``, and every other value is its own."""
    if isinstance(part, dict) and isinstance(whole, dict):
        for key, value in part.items():
            assert key in whole, f"{where}.{key}"
            contains(whole[key], value, f"{where}.{key}")
    else:
        assert whole == part, where


def test_the_functions_are_those_of_app(template):
    handlers = {name: one["Handler"] for name, one in functions(template).items()}
    assert handlers == {name: f"app.{function}" for name, function in FUNCTIONS.items()}


def test_the_runtime_is_the_python_that_packaged(template):
    for one in functions(template).values():
        assert one["Runtime"] == f"python{sys.version_info[0]}.{sys.version_info[1]}"
        assert one["Architectures"] == ["x86_64"]
        assert one["CodeUri"] == "./deployment.zip"


def test_each_function_has_a_role_and_the_policy_of_its_file(template):
    for name, function in FUNCTIONS.items():
        role = f"{name}Role"
        assert functions(template)[name]["Role"] == {"Fn::GetAtt": [role, "Arn"]}
        policies = template["Resources"][role]["Properties"]["Policies"]
        file = json.loads((ROOT / ".chalice" / f"policy-{function}.json").read_text())
        assert [one["PolicyDocument"] for one in policies] == [file]


def test_the_configuration_names_functions_that_are_there():
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    assert set(config["lambda_functions"]) == set(FUNCTIONS.values())
    assert set(config["stages"]) == {"dev", "prod"}
    assert config["autogen_policy"] is False
    assert config["automatic_layer"] is False


def test_limits_of_the_configuration_reach_the_functions(template):
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())["lambda_functions"]
    for name in ("Dispatch", "Overdue"):
        found = functions(template)[name]
        assert found["Timeout"] == config[FUNCTIONS[name]]["lambda_timeout"]
        assert found["MemorySize"] == config[FUNCTIONS[name]]["lambda_memory_size"]
    assert functions(template)["Scan"]["Timeout"] == {"Ref": "ScanTimeoutSeconds"}
    assert functions(template)["Scan"]["MemorySize"] == {"Ref": "ScanMemoryMegabytes"}
    defaults = {name: one["Default"] for name, one in template["Parameters"].items()}
    assert int(defaults["ScanTimeoutSeconds"]) == config["scan"]["lambda_timeout"]
    assert defaults["ScanMemoryMegabytes"] == config["scan"]["lambda_memory_size"]


def test_the_resources_are_those_that_are_documented(template, documented):
    names = [row[0] for row in documented["Resources"]]
    assert len(names) == len(set(names))
    assert set(template["Resources"]) == set(names)
    assert all("Type" in one for one in template["Resources"].values())


def test_all_of_the_merge_template_arrived(template):
    contains(template, json.loads((ROOT / "infra" / "template.json").read_text()))


def test_the_schedule_is_that_of_the_parameter(template):
    assert functions(template)["Dispatch"]["Events"] == {
        "DispatchEvent": {
            "Type": "Schedule",
            "Properties": {
                "Schedule": {
                    "Fn::FindInMap": ["Schedules", {"Ref": "ScheduleMinutes"}, "Expression"]
                },
                "State": {"Ref": "ScheduleState"},
            },
        }
    }


@pytest.mark.parametrize(
    ("name", "queue", "concurrency"),
    [("Scan", "ScanQueue", {"Ref": "ScanConcurrency"}), ("Overdue", "DeadLetterQueue", 2)],
)
def test_queues_are_read_in_batches_with_partial_failures(template, name, queue, concurrency):
    assert functions(template)[name]["Events"] == {
        f"{name}SqsEventSource": {
            "Type": "SQS",
            "Properties": {
                "Queue": {"Fn::GetAtt": [queue, "Arn"]},
                "BatchSize": 10,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                # Lambda refuses a batching window on a FIFO queue.
                "MaximumBatchingWindowInSeconds": {"Ref": "AWS::NoValue"},
                "ScalingConfig": {"MaximumConcurrency": concurrency},
            },
        }
    }


def test_every_function_gets_the_environment(template):
    assert set(template["Globals"]["Function"]["Environment"]["Variables"]) == ENVIRONMENT
    assert not any("Environment" in one for one in functions(template).values())


def test_there_is_no_api(template):
    kinds = {one["Type"] for one in template["Resources"].values()}
    assert not any("ApiGateway" in kind or kind.endswith("::Api") for kind in kinds)


def test_every_requirement_is_in_the_zip(package):
    """Chalice leaves out what it finds no wheel for, and goes on."""
    with zipfile.ZipFile(package / "deployment.zip") as opened:
        there = {
            f"{found[1]}=={found[2]}".lower().replace("_", "-")
            for name in opened.namelist()
            if (found := re.fullmatch(r"([^/]+?)-([^/-]+)\.dist-info/METADATA", name))
        }
    wanted = set(re.findall(r"(?m)^[a-z0-9._-]+==[^\s;]+", (ROOT / "requirements.txt").read_text()))
    assert {"boto3", "cryptography", "psycopg-binary"} < {one.split("==")[0] for one in wanted}
    assert {one.replace("_", "-") for one in wanted} == there


def test_all_of_the_program_is_in_the_zip(package):
    with zipfile.ZipFile(package / "deployment.zip") as opened:
        there = {name for name in opened.namelist() if name.startswith("chalicelib/")}
    tree = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "chalicelib").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there == tree
    assert any(re.fullmatch(r"chalicelib/drift/rules/.+\.toml", name) for name in there)
    assert any(re.fullmatch(r"chalicelib/postgres/catalog/.+\.sql", name) for name in there)


def test_nothing_else_of_the_project_is_in_the_zip(package):
    with zipfile.ZipFile(package / "deployment.zip") as opened:
        tops = {name.split("/")[0] for name in opened.namelist()}
    assert {"app.py", "chalice", "chalicelib"} <= tops
    assert not tops & {"tests", "infra", "docs", ".chalice", ".git", "vendor", "requirements.txt"}


def test_the_package_is_small_enough(package):
    with zipfile.ZipFile(package / "deployment.zip") as opened:
        size = sum(entry.file_size for entry in opened.infolist())
    assert size < MAX_UNZIPPED_BYTES


def test_app_runs_from_the_zip_alone_and_loads_no_flow(unzipped):
    names = ("dispatch", "scan", "overdue")
    code = (
        f"import app; assert all(callable(getattr(app, n)) for n in {names}); print(*sys.modules)"
    )
    loaded = isolated(unzipped, code)
    assert not {name for name in loaded if name.startswith("chalicelib")}
    assert not {"boto3", "botocore", "psycopg", "cryptography"} & set(loaded)


@pytest.mark.parametrize("function", FUNCTIONS.values())
def test_what_a_handler_leads_to_is_in_the_zip(unzipped, function):
    code = f"from chalicelib.functions.{function} import {function}; print({function}.__module__)"
    assert isolated(unzipped, code) == [f"chalicelib.functions.{function}"]


def test_compiled_dependencies_load_from_the_zip(unzipped):
    code = "import aws_lambda_powertools, botocore.session, psycopg; print(psycopg.pq.__impl__)"
    assert isolated(unzipped, code) == ["binary"]
