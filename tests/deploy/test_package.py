"""What Chalice packages: it is silent about most mistakes, so each is looked for here."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.stack import ROOT

pytestmark = pytest.mark.xdist_group("deploy")

FUNCTIONS = {
    "Dispatch": "dispatch",
    "Scan": "scan",
    "Overdue": "overdue",
    "Packet": "packet",
    "Lease": "lease",
    "Grant": "grant",
}
API = "APIHandler"  # Chalice's names for what answers the routes
MAX_UNZIPPED_BYTES = 150 * 10**6  # Lambda allows 250 MB; the parser alone is 33 MB
ENVIRONMENT = {
    "HOLDFAST_EVIDENCE_BUCKET",
    "HOLDFAST_DERIVED_BUCKET",
    "HOLDFAST_DOCUMENTS_TABLE",
    "HOLDFAST_LOCKS_TABLE",
    "HOLDFAST_PASSING_TABLE",
    "HOLDFAST_SIGNING_KEY",
    "HOLDFAST_SEAL_SECRET",
    "HOLDFAST_SCAN_QUEUE",
    "HOLDFAST_PACKET_QUEUE",
    "HOLDFAST_EVENT_BUS",
    "HOLDFAST_GRANT_FUNCTION",
    "HOLDFAST_LEASE_FUNCTION",
    "HOLDFAST_LEASE_QUEUE",
    "HOLDFAST_LEASE_DEAD_LETTER_QUEUE",
    "HOLDFAST_TIMER_GROUP",
    "HOLDFAST_TIMER_ROLE",
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


def isolated(folder, code, handler="app.app"):
    """What a program prints that sees nothing but the standard library and the unpacked zip.

    ``handler``: which one Lambda says that it starts.
    """
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"
    command = [sys.executable, "-I", "-S", "-B", "-c", program]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={"_HANDLER": handler},
    )
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
    expected = {name: f"app.{function}" for name, function in FUNCTIONS.items()}
    assert handlers == {**expected, API: "app.app"}


def test_the_runtime_is_the_python_that_packaged(template):
    for one in functions(template).values():
        assert one["Runtime"] == f"python{sys.version_info[0]}.{sys.version_info[1]}"
        assert one["Architectures"] == ["x86_64"]
        assert one["CodeUri"] == "./deployment.zip"


def test_each_function_has_a_role_and_the_policy_of_its_file(template):
    of_api = (API, "ApiHandlerRole", "api")
    for name, role, function in [*((n, f"{n}Role", f) for n, f in FUNCTIONS.items()), of_api]:
        assert functions(template)[name]["Role"] == {"Fn::GetAtt": [role, "Arn"]}
        policies = template["Resources"][role]["Properties"]["Policies"]
        file = json.loads((ROOT / ".chalice" / f"policy-{function}.json").read_text())
        assert [one["PolicyDocument"] for one in policies] == [file]


def test_the_configuration_names_functions_that_are_there():
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    assert set(config["lambda_functions"]) == {*FUNCTIONS.values(), "api_handler"}
    assert set(config["stages"]) == {"dev", "prod"}
    assert config["autogen_policy"] is False
    assert config["automatic_layer"] is False


def test_limits_of_the_configuration_reach_the_functions(template):
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())["lambda_functions"]
    for name in ("Dispatch", "Overdue", "Packet", "Lease", "Grant", API):
        found, wanted = functions(template)[name], config[FUNCTIONS.get(name, "api_handler")]
        assert found["Timeout"] == wanted["lambda_timeout"]
        assert found["MemorySize"] == wanted["lambda_memory_size"]
    assert functions(template)[API]["Timeout"] <= 29, "API Gateway waits no longer"
    assert functions(template)["Packet"]["EphemeralStorage"] == {"Size": 4096}
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
    [
        ("Scan", "ScanQueue", {"Ref": "ScanConcurrency"}),
        ("Overdue", "DeadLetterQueue", 2),
        ("Packet", "PacketQueue", 2),
    ],
)
def test_queues_are_read_in_batches_with_partial_failures(template, name, queue, concurrency):
    assert functions(template)[name]["Events"] == {
        f"{name}SqsEventSource": {
            "Type": "SQS",
            "Properties": {
                "Queue": {"Fn::GetAtt": [queue, "Arn"]},
                "BatchSize": 1 if name == "Packet" else 10,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                # Lambda refuses a batching window on a FIFO queue.
                "MaximumBatchingWindowInSeconds": {"Ref": "AWS::NoValue"},
                "ScalingConfig": {"MaximumConcurrency": concurrency},
            },
        }
    }


def test_leases_are_swept_every_minute_and_woken_by_timers(template):
    events = functions(template)["Lease"]["Events"]
    tick = events["LeaseTick"]
    assert (tick["Type"], tick["Properties"]) == (
        "Schedule",
        {"Schedule": "rate(1 minute)", "State": {"Ref": "ScheduleState"}},
    )
    assert events["LeaseTimers"] == {
        "Type": "SQS",
        "Properties": {
            "Queue": {"Fn::GetAtt": ["LeaseQueue", "Arn"]},
            "BatchSize": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 4},
        },
    }
    assert "Events" not in functions(template)["Grant"], "nothing starts it but other functions"


def test_functions_that_are_called_are_called_as_the_environment_names_them(template):
    told = template["Globals"]["Function"]["Environment"]["Variables"]
    for name in ("Grant", "Lease"):
        named = functions(template)[name]["FunctionName"]
        assert named == told[f"HOLDFAST_{name.upper()}_FUNCTION"]


def test_every_function_gets_the_environment(template):
    assert set(template["Globals"]["Function"]["Environment"]["Variables"]) == ENVIRONMENT
    assert not any("Environment" in one for one in functions(template).values())


def routes(template):
    """(path, method, whether API Gateway verifies a signature)."""
    definition = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    return {
        (path, method, operation.get("security") == [{"sigv4": []}])
        for path, methods in definition["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_there_twice_and_signed_behind_iam_alone(template):
    found = routes(template)
    assert ("/v1/me", "get", False) in found
    assert {signed for path, _, signed in found if path.startswith("/iam/")} == {True}
    assert {signed for path, _, signed in found if not path.startswith("/iam/")} == {False}
    plain = {(path, method) for path, method, signed in found if not signed}
    behind = {(path.removeprefix("/iam"), method) for path, method, signed in found if signed}
    assert behind == plain


def test_the_api_s_function_is_called_by_its_api_alone(template):
    permission = template["Resources"]["APIHandlerInvokePermission"]["Properties"]
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert permission["FunctionName"] == {"Ref": API}
    assert permission["SourceArn"]["Fn::Sub"][1] == {"RestAPIId": {"Ref": "RestAPI"}}


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
        for folder, _, names in os.walk(ROOT / "chalicelib", followlinks=True)
        for path in (Path(folder) / name for name in names)
        if "__pycache__" not in path.parts
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
    names = tuple(FUNCTIONS.values())
    code = (
        f"import app; assert all(callable(getattr(app, n)) for n in {names}); print(*sys.modules)"
    )
    loaded = isolated(unzipped, code, "app.scan")
    assert not {name for name in loaded if name.startswith("chalicelib")}
    assert not {"boto3", "botocore", "psycopg", "cryptography"} & set(loaded)


def test_the_api_has_its_routes_from_the_zip_alone_and_asks_nobody(unzipped):
    code = "import app; print(*app.app.routes); print(*sys.modules)"
    said = isolated(unzipped, code)
    assert {"/v1/me", "/iam/v1/me"} < set(said)
    assert not {"boto3", "botocore", "psycopg"} & set(said)


def test_the_api_s_gate_and_its_policies_load_from_the_zip(unzipped):
    code = (
        "from chalicelib.functions.api import gate; from chalicelib.http import office; "
        "import cedarpy; print(type(gate()).__name__)"
    )
    assert isolated(unzipped, code) == ["Gate"]


@pytest.mark.parametrize("function", FUNCTIONS.values())
def test_what_a_handler_leads_to_is_in_the_zip(unzipped, function):
    code = f"from chalicelib.functions.{function} import {function}; print({function}.__module__)"
    assert isolated(unzipped, code) == [f"chalicelib.functions.{function}"]


def test_compiled_dependencies_load_from_the_zip(unzipped):
    code = "import aws_lambda_powertools, botocore.session, psycopg; print(psycopg.pq.__impl__)"
    assert isolated(unzipped, code) == ["binary"]
