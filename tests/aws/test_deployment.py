"""Deploying: planned before it is done, refused where evidence would go, and safe to do again.

Moto's CloudFormation does not know the SAM transform, so the template here holds a bucket and a
topic, beside one function under a condition that never holds. Packaging with Chalice itself is
tested in tests/deploy. Moto's change sets say neither replacements nor failures of a resource nor
that nothing changes, its stacks have no outputs and never roll back, and it takes a policy that
denies under a condition to deny always. Those answers are given by botocore's Stubber.
"""

from __future__ import annotations

import functools
import io
import itertools
import json
import sys
import zipfile
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.stub import Stubber
from support.aws import Fault

from chalicelib.aws import changes, deployment, packaging
from chalicelib.aws.deployment import Deployer
from chalicelib.aws.depot import Depot
from chalicelib.kernel.errors import (
    Busy,
    ConfigError,
    CouldNotTell,
    NotAllowed,
    StoreUnavailable,
    UsageError,
)

ACCOUNT, REGION, STACK = "123456789012", "us-east-1", "holdfast-test"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/0a1b"
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse")

TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Parameters": {
        "ScheduleState": {"Type": "String", "Default": "DISABLED"},
        "RetentionDays": {"Type": "String", "Default": "400"},
    },
    "Conditions": {"Never": {"Fn::Equals": ["yes", "no"]}},
    "Resources": {
        "Evidence": {"Type": "AWS::S3::Bucket", "Properties": {}},
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"DisplayName": {"Ref": "ScheduleState"}},
        },
        "Scan": {
            "Type": "AWS::Serverless::Function",
            "Condition": "Never",
            "Properties": {"CodeUri": "./deployment.zip", "Handler": "app.scan"},
        },
    },
    "Outputs": {
        "EvidenceBucket": {"Value": {"Ref": "Evidence"}},
        "Schedule": {"Value": {"Ref": "ScheduleState"}},
    },
}


@pytest.fixture
def aws(strict_aws):
    yield strict_aws
    strict_aws.reset()


@pytest.fixture
def project(tmp_path):
    """A project's folder that has what deploying asks for."""
    for name in packaging.NEEDED:
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    stages = json.dumps({"stages": {"prod": {}, "dev": {}}})
    (tmp_path / "project" / ".chalice" / "config.json").write_text(stages)
    return tmp_path / "project"


YEARS = itertools.count(2000)  # of the zips, each of its own time


def chalice(code=b"code", template=TEMPLATE, said="Creating deployment package.\n"):
    """What stands for Chalice: a zip with a time of its own, and the template."""

    def run(command, folder, region):
        assert command[:4] == [sys.executable, "-c", packaging.CHALICE, "package"]
        out = folder.parent / "out"
        assert command[-1] == str(out)
        out.mkdir()
        with zipfile.ZipFile(out / "deployment.zip", "w") as archive:
            entry = zipfile.ZipInfo("z.py", (next(YEARS), 1, 1, 0, 0, 0))
            archive.writestr(entry, code)
            archive.writestr("holdfast.json", (folder / "vendor" / "holdfast.json").read_bytes())
        (out / "sam.json").write_text(json.dumps(template))
        return said

    return run


@pytest.fixture
def deploy(aws, project):
    """Deploy once, as ``aws deploy`` does after its checks; gives the plan and the stack."""
    waits = []
    clients = lenient(aws)

    def run(given=None, *, opened=False, code=b"code", template=TEMPLATE, only_plan=False):
        deployer = make(clients, waits)
        with packaging.package(
            project, stage="prod", region=REGION, settings=b"{}", run=chalice(code, template)
        ) as made:
            plan = deployer.plan(made, given or {}, opened=opened)
            if only_plan:
                deployer.discard(plan.proposed)
                return plan, deployer.current()
            return plan, deployer.execute(plan)

    run.events = []
    run.waits = waits
    return run


def lenient(aws):
    """Clients whose bucket policies reach nobody: moto denies whatever the conditions say."""

    @functools.cache
    def client(service):
        made = aws.client(service)
        if service == "s3":
            made.meta.events.register(
                "before-call.s3.PutBucketPolicy", lambda **_: (AWSResponse("", 204, {}, None), {})
            )
        return made

    return client


STUBBED = botocore.session.Session()


def make(clients, waits=None, events=None):
    return Deployer(
        clients=clients,
        stack=STACK,
        account=ACCOUNT,
        region=REGION,
        pause=([] if waits is None else waits).append,
        show=([] if events is None else events).append,
    )


@pytest.fixture
def deploy_all(aws, project):
    """The whole of ``aws deploy``; gives what was done, and what was asked and opened."""
    clients = lenient(aws)

    def run(*, opened=False, agrees=True, crash=False):
        run.asked, run.keys = [], []

        @contextmanager
        def packaged(key):
            run.keys.append(key)
            if key and crash:
                raise KeyboardInterrupt
            code = chalice(key.encode() or b"without a key")
            with packaging.package(
                project, stage="prod", region=REGION, settings=b"{}", run=code
            ) as made:
                yield made

        def agree(plan):
            run.asked.append(plan)
            return agrees

        return deployment.deploy(
            make(clients),
            packaged,
            {},
            opened=opened,
            agree=agree,
            open_log=lambda outputs: f"key of {sorted(outputs)}",
        )

    return run


def test_the_first_time_the_log_is_opened_and_the_schedule_started(deploy_all):
    done = deploy_all()
    assert len(deploy_all.asked) == 1, "asked once"
    assert done.key
    assert deploy_all.keys == ["", done.key], "the second package has the log's key"
    assert [one.parameters["ScheduleState"] for one in done.plans] == ["DISABLED", "ENABLED"]
    assert done.stack.parameters["ScheduleState"] == "ENABLED"


def test_later_the_log_is_not_opened_again(deploy_all):
    deploy_all()
    done = deploy_all(opened=True)
    assert done.key == ""
    assert len(done.plans) == 1


def test_a_deployment_that_was_interrupted_can_be_run_again(deploy_all):
    with pytest.raises(KeyboardInterrupt):
        deploy_all(crash=True)
    done = deploy_all(opened=True)
    assert done.stack.parameters["ScheduleState"] == "ENABLED"


def test_without_agreement_nothing_is_changed(aws, deploy_all):
    done = deploy_all(agrees=False)
    assert done.stack is None
    assert changes.stack(aws.client("cloudformation"), STACK) is None


def named(plan):
    return {(one.action, one.name) for one in plan.proposed.changes}


def test_the_first_deployment_creates_the_stack_with_its_schedule_stopped(deploy):
    plan, stack = deploy()
    assert plan.proposed.creates
    assert {("Add", "Evidence"), ("Add", "Topic")} <= named(plan)
    assert stack.status == "CREATE_COMPLETE"
    assert stack.parameters["ScheduleState"] == "DISABLED"


def test_the_second_starts_the_schedule_and_a_third_leaves_it(deploy):
    deploy()
    _, stack = deploy(opened=True)
    assert stack.parameters["ScheduleState"] == "ENABLED"
    deploy({"ScheduleState": "DISABLED"}, opened=True)
    _, stack = deploy(opened=True, code=b"newer")
    assert stack.parameters["ScheduleState"] == "DISABLED", "somebody stopped it, and it stays so"


def test_a_deployment_interrupted_before_the_schedule_started_starts_it(deploy):
    deploy()
    plan, _ = deploy(opened=True, only_plan=True)
    assert plan.parameters == {"ScheduleState": "ENABLED"}
    plan, _ = deploy(opened=True)
    assert plan.parameters == {"ScheduleState": "ENABLED"}
    plan, _ = deploy(opened=True, code=b"newer")
    assert plan.parameters == {}


def test_an_unchanged_project_proposes_the_same_again(deploy):
    deploy()
    deploy(opened=True)
    first, _ = deploy(opened=True, only_plan=True)
    again, _ = deploy(opened=True, only_plan=True)
    assert first.package_sha256 == again.package_sha256
    labels = [one.proposed.id.split("/")[1] for one in (first, again)]
    assert labels[0] == labels[1], "it is named after the template and its parameters"


@pytest.mark.parametrize(
    "reason",
    ["The submitted information didn't contain changes.", "No updates are to be performed."],
)
def test_where_nothing_changes_there_is_nothing_to_do(reason):
    client = formation(CREATED, status("FAILED", StatusReason=reason), DELETED, NO_STACK)
    assert proposing(client).id == ""


def test_parameters_keep_their_values(deploy):
    deploy({"RetentionDays": "3650"})
    _, stack = deploy(opened=True)
    assert stack.parameters["RetentionDays"] == "3650"


def test_a_plan_leaves_nothing_behind_but_the_package(aws, deploy):
    plan, stack = deploy(only_plan=True)
    assert named(plan)
    assert stack is None
    assert changes.stack(aws.client("cloudformation"), STACK) is None
    assert aws.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"] == []


def test_a_plan_that_was_interrupted_is_no_stack(aws, project):
    deployer = make(lenient(aws))
    with packaging.package(
        project, stage="prod", region=REGION, settings=b"{}", run=chalice()
    ) as made:
        deployer.plan(made, {}, opened=False)
    assert deployer.current() is None
    # Moto would make a second stack of that name; CloudFormation goes on with the shell.
    shell = changes.stack(aws.client("cloudformation"), STACK)
    client = formation(CREATED, status("CREATE_COMPLETE"), status("CREATE_COMPLETE"))
    proposed = changes.propose(
        client, STACK, found=shell, template_url="u", values=[], label="l", pause=[].append
    )
    assert proposed.creates


def test_a_parameter_that_the_template_does_not_have_is_refused(deploy):
    with pytest.raises(UsageError, match="no parameter Retention; it has RetentionDays"):
        deploy({"Retention": "1"})


def test_a_parameter_without_a_value_is_asked_for(deploy):
    template = {**TEMPLATE, "Parameters": {**TEMPLATE["Parameters"], "Who": {"Type": "String"}}}
    with pytest.raises(UsageError, match="needs a value for Who"):
        deploy(template=template)
    assert deploy({"Who": "me"}, template=template)[1].parameters["Who"] == "me"


def test_removing_what_holds_evidence_is_refused(aws, deploy):
    deploy()
    less = {**TEMPLATE, "Resources": {**TEMPLATE["Resources"]}, "Outputs": {}}
    del less["Resources"]["Evidence"]
    with pytest.raises(NotAllowed, match=r"Evidence \(AWS::S3::Bucket, removed\)"):
        deploy(template=less)
    summaries = aws.client("cloudformation").list_change_sets(StackName=STACK)["Summaries"]
    assert [one for one in summaries if one["ExecutionStatus"] == "AVAILABLE"] == []


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        (("Modify", "AWS::KMS::Key", "True"), True),
        (("Modify", "AWS::DynamoDB::Table", "Conditional"), True),
        (("Modify", "AWS::S3::Bucket", "False"), False),
        (("Remove", "AWS::SecretsManager::Secret", ""), True),
        (("Remove", "AWS::SNS::Topic", ""), False),
        (("Modify", "AWS::Lambda::Function", "True"), False),
        (("Add", "AWS::S3::Bucket", ""), False),
    ],
)
def test_replacing_what_holds_evidence_is_refused(change, refused):
    action, kind, replacement = change
    one = changes.Change(action, "It", kind, "it", replacement, ["KeySpec"])
    proposed = changes.ChangeSet("id", STACK, creates=False, changes=[one])
    with pytest.raises(NotAllowed, match="KeySpec") if refused else nullcontext():
        changes.check_keeps(proposed)


def formation(*answers):
    """A client of CloudFormation that gives these answers and no others."""
    client = STUBBED.create_client(
        "cloudformation", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
    )
    stub = Stubber(client)
    for operation, answer in answers:
        if isinstance(answer, str):
            stub.add_client_error(operation, "ValidationError", answer)
        else:
            stub.add_response(operation, answer)
    stub.activate()
    return client


def described(status, **more):
    stack = {
        "StackName": STACK,
        "StackId": STACK_ID,
        "StackStatus": status,
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return ("describe_stacks", {"Stacks": [{**stack, **more}]})


@pytest.mark.parametrize(
    ("status", "error", "step"),
    [
        ("ROLLBACK_COMPLETE", NotAllowed, "delete-stack"),
        ("CREATE_FAILED", NotAllowed, "delete-stack"),
        ("DELETE_FAILED", NotAllowed, "delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", NotAllowed, "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", Busy, "run the command again"),
        ("DELETE_IN_PROGRESS", Busy, "run the command again"),
    ],
)
def test_a_stack_that_cannot_be_changed_is_told_with_the_next_step(status, error, step):
    found = changes.stack(formation(described(status)), STACK)
    with pytest.raises(error, match=status) as raised:
        changes.check_changeable(found)
    assert step in raised.value.next_step


@pytest.mark.parametrize("status", [*sorted(changes.UPDATABLE), changes.SHELL])
def test_a_stack_that_can_be_changed_is_let_through(status):
    changes.check_changeable(changes.stack(formation(described(status)), STACK))
    changes.check_changeable(None)


def test_a_stack_that_is_deleted_is_none():
    assert changes.stack(formation(described("DELETE_COMPLETE")), STACK) is None
    missing = f"Stack with id {STACK} does not exist"
    assert changes.stack(formation(("describe_stacks", missing)), STACK) is None


def test_any_other_error_is_not_taken_for_a_missing_stack():
    with pytest.raises(StoreUnavailable):
        changes.stack(formation(("describe_stacks", "the name is not valid")), STACK)


def proposing(client, pause=lambda _seconds: None):
    return changes.propose(
        client, STACK, found=None, template_url="u", values=[], label="l", pause=pause
    )


CREATED = ("create_change_set", {"Id": f"arn:aws:cloudformation:::changeSet/{'x' * 30}"})
DELETED = ("delete_change_set", {})
NO_STACK = ("describe_stacks", f"Stack with id {STACK} does not exist")


def status(text, **more):
    return ("describe_change_set", {"Status": text, **more})


def test_a_change_set_is_waited_for_and_read_page_by_page():
    def page(name, **more):
        change = {"Action": "Add", "LogicalResourceId": name, "ResourceType": "AWS::SNS::Topic"}
        return status("CREATE_COMPLETE", Changes=[{"ResourceChange": change}], **more)

    waits = []
    client = formation(
        CREATED,
        status("CREATE_PENDING"),
        status("CREATE_IN_PROGRESS"),
        status("CREATE_COMPLETE"),
        page("One", NextToken="more"),
        page("Two"),
    )
    proposed = proposing(client, waits.append)
    assert [one.name for one in proposed.changes] == ["One", "Two"]
    assert waits == [changes.POLL_SECONDS] * 2


def test_a_change_set_that_cannot_be_made_says_why_and_is_dropped():
    client = formation(
        CREATED, status("FAILED", StatusReason="Transform failed: no Role"), DELETED, NO_STACK
    )
    with pytest.raises(CouldNotTell, match="no Role"):
        proposing(client)


def test_a_change_set_that_never_ends_is_given_up():
    waits = []
    times = int(changes.CHANGE_SET_SECONDS / changes.POLL_SECONDS) + 1
    client = formation(CREATED, *[status("CREATE_PENDING")] * times, DELETED, NO_STACK)
    with pytest.raises(CouldNotTell, match="did not finish"):
        proposing(client, waits.append)
    assert sum(waits) <= changes.CHANGE_SET_SECONDS + changes.POLL_SECONDS


def test_a_template_that_is_refused_says_why():
    client = formation(("create_change_set", "Template error: no Evidenz"))
    with pytest.raises(UsageError, match="no Evidenz"):
        proposing(client)


def event(number, name, text, reason="", *, kind="AWS::SNS::Topic", physical="p"):
    return {
        "StackId": STACK_ID,
        "StackName": STACK,
        "EventId": str(number),
        "LogicalResourceId": name,
        "PhysicalResourceId": physical,
        "ResourceType": kind,
        "ResourceStatus": text,
        "ResourceStatusReason": reason,
        "Timestamp": datetime(2026, 1, 1, tzinfo=UTC),
    }


def whole(number, text, reason=""):
    return event(number, STACK, text, reason, kind="AWS::CloudFormation::Stack", physical=STACK_ID)


def events(*found):
    return ("describe_stack_events", {"StackEvents": list(reversed(found))})


def test_a_failure_names_the_resources_that_failed_and_why():
    old = [event(1, "Old", "CREATE_FAILED", "long ago"), whole(2, "ROLLBACK_COMPLETE")]
    begun = whole(3, "UPDATE_IN_PROGRESS", "User Initiated")
    failed = event(4, "Topic", "UPDATE_FAILED", "Access denied to sns:Tag")
    cancelled = event(5, "Queue", "UPDATE_FAILED", "Resource update cancelled")
    client = formation(
        described("UPDATE_IN_PROGRESS"),
        events(*old, begun),
        events(*old, begun),
        described("UPDATE_IN_PROGRESS"),
        events(*old, begun, failed, cancelled, whole(6, "UPDATE_ROLLBACK_IN_PROGRESS")),
        described("UPDATE_ROLLBACK_IN_PROGRESS"),
        events(whole(7, "UPDATE_ROLLBACK_COMPLETE")),
        described("UPDATE_ROLLBACK_COMPLETE"),
    )
    shown = []
    with pytest.raises(CouldNotTell) as raised:
        make(lambda _service: client, events=shown).settle()
    assert "UPDATE_ROLLBACK_COMPLETE" in raised.value.message
    assert "Topic (AWS::SNS::Topic): Access denied to sns:Tag" in raised.value.message
    assert "cancelled" not in raised.value.message
    assert "long ago" not in raised.value.message
    assert raised.value.exit_code == 3
    assert [one.name for one in shown] == [STACK, "Topic", "Queue", STACK, STACK]


def test_a_status_from_before_the_change_is_not_taken_for_its_end():
    """Right after a change was started, the stack may still be what it was."""
    begun, ended = whole(2, "UPDATE_IN_PROGRESS", "User Initiated"), whole(3, "UPDATE_COMPLETE")
    client = formation(
        described("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        events(whole(1, "CREATE_COMPLETE"), begun),
        events(begun),
        described("CREATE_COMPLETE"),
        events(begun, ended),
        described("UPDATE_COMPLETE"),
    )
    waits = []
    make(lambda _service: client, waits).settle()
    assert len(waits) == 1


def test_a_stack_that_never_ends_is_given_up():
    class Endless:
        def __init__(self):
            self.client = formation()

        def __getattr__(self, name):
            return getattr(self.client, name)

        def describe_stacks(self, **_):
            return described("UPDATE_IN_PROGRESS")[1]

        def get_paginator(self, _):
            return self

        def paginate(self, **_):
            return [events(whole(1, "UPDATE_IN_PROGRESS", "User Initiated"))[1]]

    waits, client = [], Endless()
    with pytest.raises(Busy, match="still UPDATE_IN_PROGRESS"):
        make(lambda _service: client, waits).settle()
    assert 3_500 < sum(waits) < 3_700


def test_the_deployment_bucket_is_closed(aws):
    s3 = aws.client("s3")
    depot = Depot(s3, account=ACCOUNT, region=REGION)
    assert depot.ensure()
    assert not depot.ensure(), "it is there"
    bucket = {"Bucket": depot.bucket}
    assert depot.bucket == f"holdfast-deploy-{ACCOUNT}-{REGION}"
    assert all(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    [statement] = json.loads(s3.get_bucket_policy(**bucket)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    [rule] = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_what_is_stored_already_is_not_sent_again(aws):
    s3 = lenient(aws)("s3")
    depot = Depot(s3, account=ACCOUNT, region=REGION)
    depot.ensure()
    version = depot.put("x/1.zip", io.BytesIO(b"bytes"))
    assert depot.put("x/1.zip", io.BytesIO(b"bytes")) == version
    s3.put_object(Bucket=depot.bucket, Key="x/1.zip", Body=b"other")
    again = depot.put("x/1.zip", io.BytesIO(b"bytes"))
    assert again != version, "what somebody put over it is not deployed"
    stored = s3.get_object(Bucket=depot.bucket, Key="x/1.zip", VersionId=again)["Body"].read()
    assert stored == b"bytes"
    assert depot.has("x/1.zip")
    assert not depot.has("x/2.zip")


def test_a_bucket_of_somebody_elses_is_not_used(aws):
    depot = Depot(aws.client("s3"), account=ACCOUNT, region=REGION)
    aws.fail("s3", "HeadBucket", Fault(403, "AccessDenied"))
    with pytest.raises(NotAllowed, match="not ours"):
        depot.ensure()


def test_addresses_are_those_of_the_partition():
    for region, suffix in (
        ("eu-central-1", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
    ):
        depot = Depot(None, account=ACCOUNT, region=region)
        assert depot.url("a/b", "v") == (
            f"https://holdfast-deploy-{ACCOUNT}-{region}.s3.{region}.{suffix}/a/b?versionId=v"
        )


def test_equal_projects_give_equal_packages(project):
    digests = set()
    for _ in range(2):
        with packaging.package(
            project, stage="prod", region=REGION, settings=b"{}", run=chalice()
        ) as made:
            digests.add(made.sha256)
            names = zipfile.ZipFile(made.archive).namelist()
            assert names == ["holdfast.json", "z.py"]
    with packaging.package(
        project, stage="prod", region=REGION, settings=b"{1}", run=chalice()
    ) as made:
        assert made.sha256 not in digests, "the settings are in it"
    assert len(digests) == 1


def test_the_package_has_the_compiled_settings_and_no_caches(project):
    (project / "chalicelib" / "__pycache__").mkdir()
    (project / "chalicelib" / "__pycache__" / "x.pyc").write_bytes(b"x")
    (project / ".chalice" / "deployments").mkdir()
    (project / "holdfast.toml").write_text("not copied")
    (project / "vendor").mkdir()
    (project / "vendor" / "rds-global-bundle.pem").write_text("certificates")
    seen = []

    def run(command, folder, region):
        seen.extend(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        return chalice()(command, folder, region)

    with packaging.package(project, stage="prod", region=REGION, settings=b"{}", run=run) as made:
        assert zipfile.ZipFile(made.archive).read("holdfast.json") == b"{}"
    vendored = ["vendor/holdfast.json", "vendor/rds-global-bundle.pem"]
    assert sorted(seen) == sorted([*packaging.NEEDED, *vendored])


def test_executables_stay_executable(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        entry = zipfile.ZipInfo("run")
        entry.external_attr = 0o100775 << 16
        archive.writestr(entry, b"#!")
        archive.writestr("read", b"!")
    assert packaging.normalise(tmp_path / "a.zip", tmp_path / "b.zip") == 3
    modes = {
        one.filename: one.external_attr >> 16
        for one in zipfile.ZipFile(tmp_path / "b.zip").infolist()
    }
    assert modes == {"run": 0o100755, "read": 0o100644}


def test_every_function_gets_the_code_that_was_looked_at(project):
    with packaging.package(
        project, stage="prod", region=REGION, settings=b"{}", run=chalice()
    ) as made:
        code = {"Bucket": "b", "Key": "k", "Version": "v"}
        placed = json.loads(packaging.placed(made.template, code))
    assert placed["Resources"]["Scan"]["Properties"]["CodeUri"] == code
    assert placed["Resources"]["Topic"] == TEMPLATE["Resources"]["Topic"]
    with pytest.raises(ConfigError, match="no function"):
        packaging.placed({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}, code)
    with pytest.raises(ConfigError, match="CloudFormation takes"):
        packaging.placed({**made.template, "Description": "x" * 2**20}, code)


def test_a_folder_that_is_not_the_project_says_what_it_lacks(tmp_path, project):
    with pytest.raises(
        ConfigError, match=r"there is no app\.py, chalicelib/__init__\.py"
    ) as raised:
        packaging.check_project(tmp_path)
    assert "clone" in raised.value.next_step
    (project / "requirements.txt").unlink()
    with (
        pytest.raises(ConfigError, match=r"there is no requirements\.txt"),
        packaging.package(project, stage="prod", region=REGION, settings=b"", run=chalice()),
    ):
        pass


def test_a_stage_that_chalice_does_not_know_is_refused(project):
    with pytest.raises(ConfigError, match="no stage 'prd'; it has dev, prod"):
        packaging.check_stage(project, "prd")
    (project / ".chalice" / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match="cannot be read"):
        packaging.check_stage(project, "prod")


@pytest.mark.parametrize(
    ("run", "error", "said"),
    [
        (chalice(said="Could not install dependencies:\npsycopg==1"), CouldNotTell, "psycopg==1"),
        (lambda _command, _folder, _region: "", CouldNotTell, "left no package"),
    ],
)
def test_a_package_that_is_not_whole_is_refused(project, run, error, said):
    with (
        pytest.raises(error, match=said),
        packaging.package(project, stage="prod", region=REGION, settings=b"", run=run),
    ):
        pass


def test_a_package_that_lambda_would_refuse_is_refused(project, monkeypatch):
    monkeypatch.setattr(packaging, "MAX_UNZIPPED_BYTES", 3)
    with (
        pytest.raises(ConfigError, match="Lambda allows 3"),
        packaging.package(project, stage="prod", region=REGION, settings=b"", run=chalice()),
    ):
        pass


def test_a_layer_is_refused(project):
    def run(command, folder, region):
        said = chalice()(command, folder, region)
        (folder.parent / "out" / "layer-deployment.zip").write_bytes(b"")
        return said

    with (
        pytest.raises(ConfigError, match="Chalice made a layer"),
        packaging.package(project, stage="prod", region=REGION, settings=b"", run=run),
    ):
        pass


def test_the_output_of_a_command_that_fails_is_shown(tmp_path):
    assert packaging._run([sys.executable, "-c", "print('hello')"], tmp_path, REGION) == "hello\n"
    with pytest.raises(CouldNotTell, match="exit code 7") as raised:
        packaging._run(
            [sys.executable, "-c", "print('why'); raise SystemExit(7)"], tmp_path, REGION
        )
    assert "why" in raised.value.message


def test_pythons_that_lambda_does_not_run_are_refused():
    assert packaging.runtime((3, 13, 1)) == "python3.13"
    with pytest.raises(ConfigError, match=r"Python 3\.10"):
        packaging.runtime((3, 10))
