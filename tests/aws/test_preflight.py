"""What is wrong is said before anything is made, and what cannot be told is not called right.

Moto has no account settings of Lambda; those answers are given by botocore's Stubber. Its keys have
no Ed25519, so the stack's key here is a P-256 one.
"""

from __future__ import annotations

import functools
import json
import re
import sys

import botocore.session
import pytest
from botocore.stub import Stubber
from chalice.package import YAMLTemplateSerializer
from support.aws import Fault

from chalicelib import cli
from chalicelib.aws import checks, health, packaging, preflight
from chalicelib.aws import cost as costs
from chalicelib.aws.changes import Stack
from chalicelib.aws.checks import Verdict
from chalicelib.aws.deployment import Deployed
from chalicelib.aws.preflight import Watched
from chalicelib.cli import aws as command
from chalicelib.kernel.errors import StoreUnavailable

REGION = "us-east-1"
VERIFIED = "postgresql://u@h/db?sslmode=verify-full&sslrootcert=/var/task/rds-global-bundle.pem"
OK, WRONG, UNKNOWN = Verdict.OK, Verdict.WRONG, Verdict.UNKNOWN


@pytest.fixture
def aws(strict_aws):
    yield strict_aws
    strict_aws.reset()


@pytest.fixture
def clients(aws):
    return functools.cache(aws.client)


@pytest.fixture
def made(clients):
    """The resources of a stack, and the stack as CloudFormation would describe it."""
    s3, dynamodb, sqs, sns = (clients(name) for name in ("s3", "dynamodb", "sqs", "sns"))
    s3.create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
    lock(s3, Mode="COMPLIANCE", Days=400)
    for name in ("documents", "locks", "passing"):
        dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    key = clients("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")
    seal = clients("secretsmanager").create_secret(Name="seal", SecretString="s")
    names = ("scan", "dead", "packet", "packet-dead")
    queues = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in names]
    outputs = {
        "EvidenceBucket": "evidence",
        "DerivedBucket": "derived",
        "DocumentsTable": "documents",
        "LocksTable": "locks",
        "PassingTable": "passing",
        "SigningKey": key["KeyMetadata"]["Arn"],
        "SealSecret": seal["ARN"],
        "ScanQueue": queues[0],
        "DeadLetterQueue": queues[1],
        "PacketQueue": queues[2],
        "PacketDeadLetterQueue": queues[3],
        "EventBus": "bus",
        "GrantFunction": "holdfast-prod-grant",
        "LeaseFunction": "holdfast-prod-lease",
        "LeaseQueue": "arn:aws:sqs:us-east-1:123456789012:lease",
        "LeaseDeadLetterQueue": "arn:aws:sqs:us-east-1:123456789012:lease-dead",
        "TimerGroup": "holdfast-prod",
        "TimerRole": "arn:aws:iam::123456789012:role/timer",
        "PeriodMinutes": "15",
        "AlarmTopic": topic,
        "NoticeTopic": topic,
        "ApiAddress": "https://a1b2c3.execute-api.us-east-1.amazonaws.com/api",
    }
    return Stack("holdfast-prod", "id", "CREATE_COMPLETE", {"RetentionDays": "400"}, outputs)


def lock(s3, **retention):
    s3.put_object_lock_configuration(
        Bucket="evidence",
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": retention},
        },
    )


def told(clients, found, *, opened=True):
    return {one.what: one for one in health._deployed(clients, found, opened=opened)}


def test_a_stack_as_it_must_be_is_all_right(clients, made):
    lines = told(clients, made)
    assert {one.verdict for one in lines.values()} == {OK}, lines
    assert lines["object lock"].found == "COMPLIANCE, 400 days, on evidence"
    assert checks.exit_code(list(lines.values())) == 0


def test_a_bucket_that_does_not_lock_is_wrong(clients, made):
    clients("s3").create_bucket(Bucket="plain")
    made.outputs["EvidenceBucket"] = "plain"
    lines = told(clients, made)
    assert lines["object lock"].verdict is WRONG
    assert "does not lock" in lines["object lock"].found
    assert lines["versioning"].verdict is WRONG


def test_governance_is_not_compliance(clients, made):
    lock(clients("s3"), Mode="GOVERNANCE", Days=400)
    assert told(clients, made)["object lock"].verdict is WRONG


def test_less_retention_than_the_stack_says_is_wrong(clients, made):
    lock(clients("s3"), Mode="COMPLIANCE", Days=30)
    assert "30 days; the stack says 400" in told(clients, made)["object lock"].found
    lock(clients("s3"), Mode="COMPLIANCE", Years=2)
    assert told(clients, made)["object lock"].verdict is OK


def test_a_key_that_is_about_to_be_deleted_is_wrong(clients, made):
    key = made.outputs["SigningKey"]
    clients("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    line = told(clients, made)["key"]
    assert line.verdict is WRONG
    assert "cancel-key-deletion" in line.next_step


def test_a_key_that_is_disabled_is_wrong(clients, made):
    clients("kms").disable_key(KeyId=made.outputs["SigningKey"])
    assert "enable-key" in told(clients, made)["key"].next_step


def test_dead_letters_are_counted(clients, made):
    for number in range(3):
        clients("sqs").send_message(
            QueueUrl=made.outputs["DeadLetterQueue"], MessageBody=str(number)
        )
    assert "3 failed scans wait" in told(clients, made)["dead letters"].found


def test_packets_that_could_not_be_built_are_counted(clients, made):
    queue = made.outputs["PacketDeadLetterQueue"]
    clients("sqs").send_message(QueueUrl=queue, MessageBody="job")
    line = told(clients, made)["dead packets"]
    assert line.verdict is WRONG
    assert "1 packets could not be built" in line.found


def test_the_address_of_the_api_is_told(clients, made):
    assert told(clients, made)["api"].found == made.outputs["ApiAddress"]


def test_alarms_of_this_stack_are_named_and_others_are_not(clients, made):
    cloudwatch = clients("cloudwatch")
    for name in ("holdfast-prod-Unknown", "other"):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            MetricName="m",
            Namespace="n",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            Statistic="Sum",
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="test")
    assert told(clients, made)["alarms"].found == "in alarm: holdfast-prod-Unknown"


def test_alarms_that_nobody_hears_are_wrong(clients, made):
    topic = clients("sns").create_topic(Name="silent")["TopicArn"]
    made.outputs["AlarmTopic"] = topic
    line = told(clients, made)["alarm topic"]
    assert line.verdict is WRONG
    assert "AlarmEmail" in line.next_step


def test_a_table_that_is_gone_is_not_called_right(clients, made):
    clients("dynamodb").delete_table(TableName="documents")
    lines = told(clients, made)
    assert lines["table DocumentsTable"].verdict is not OK
    assert lines["table LocksTable"].verdict is OK


def test_a_stack_without_its_outputs_is_wrong(clients, made):
    made.outputs.pop("SigningKey")
    lines = told(clients, made)
    assert list(lines) == ["stack"]
    assert "no output SigningKey" in lines["stack"].found


def test_a_log_that_is_not_opened_is_wrong(clients, made):
    assert told(clients, made, opened=False)["log"].verdict is WRONG


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("s3 GetObjectLockConfiguration", "object lock"),
        ("s3 GetBucketVersioning", "versioning"),
        ("kms DescribeKey", "key"),
        ("secretsmanager DescribeSecret", "seal secret"),
        ("dynamodb DescribeTable", "table LocksTable"),
        ("dynamodb DescribeTable", "table PassingTable"),
        ("sqs GetQueueAttributes", "dead letters"),
        ("sqs GetQueueAttributes", "dead packets"),
        ("monitoring DescribeAlarms", "alarms"),
        ("sns ListSubscriptionsByTopic", "alarm topic"),
    ],
)
def test_what_may_not_be_read_is_unknown_and_never_right(aws, clients, made, operation, what):
    aws.fail(*operation.split(), Fault(403, "AccessDenied"), times=100)
    lines = told(clients, made)
    assert lines[what].verdict is UNKNOWN, lines[what]
    assert checks.exit_code(list(lines.values())) == 3


def quotas(free):
    client = botocore.session.Session().create_client(
        "lambda", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b"
    )
    stub = Stubber(client)
    stub.add_response(
        "get_account_settings",
        {"AccountLimit": {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": free}},
    )
    stub.activate()
    return client


def asked(clients, targets=(), *, free=1_000, opened=True, **given):
    def client(service):
        return quotas(free) if service == "lambda" else clients(service)

    found = preflight.account(
        client,
        stack="holdfast-prod",
        region=REGION,
        targets=list(targets),
        given=given,
        opened=opened,
    )
    return {one.what: one for one in found}


def test_an_account_as_it_must_be(clients):
    clients("secretsmanager").create_secret(Name="holdfast/orders", SecretString="postgresql://")
    lines = asked(clients, [Watched("orders", "holdfast/orders")], KeySpec="ECC_NIST_P256")
    assert {one.verdict for one in lines.values()} == {OK}, lines
    assert "123456789012" in lines["credentials"].found
    assert "not asked" in lines["target orders"].found
    assert "sslrootcert" in lines["target orders"].found


def test_no_secret_is_read(aws, clients):
    clients("secretsmanager").create_secret(Name="holdfast/orders", SecretString="postgresql://")
    asked(clients, [Watched("orders", "holdfast/orders")])
    assert ("secretsmanager", "GetSecretValue") not in aws.calls


def test_whether_a_region_has_ed25519_cannot_be_told(clients):
    assert asked(clients)["signing key"].verdict is UNKNOWN
    assert asked(clients, KeySpec="ECC_NIST_P256")["signing key"].verdict is OK
    assert asked(clients, KeySpec="RSA_2048")["signing key"].verdict is WRONG


@pytest.mark.parametrize(
    ("free", "given", "verdict"),
    [
        (15, {}, WRONG),
        (16, {}, OK),
        (10, {"ScanConcurrency": "2"}, OK),
        (174, {"ReserveConcurrency": "true"}, WRONG),
        (175, {"ReserveConcurrency": "true"}, OK),
    ],
)
def test_the_concurrency_must_be_there(clients, free, given, verdict):
    assert asked(clients, free=free, **given)["concurrency"].verdict is verdict


@pytest.mark.parametrize(
    ("target", "given", "said"),
    [
        (Watched("a", "holdfast/none"), {}, "there is no secret holdfast/none"),
        (Watched("a", "prod/db"), {}, "may only read secrets named holdfast/"),
        (
            Watched("a", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:holdfast/x-AbCdEf"),
            {},
            "its secret is in eu-west-1",
        ),
        (Watched("a"), {}, "environment variable"),
        (Watched("a", dsn="postgresql:///db?sslmode=verify-full"), {}, "no user and no host"),
        (Watched("a", dsn="postgresql://u@h/db"), {}, "nobody verified"),
        (Watched("a", dsn="postgresql://u@h/db?sslmode=verify-full"), {}, "no sslrootcert"),
        (Watched("a", dsn=VERIFIED), {}, "may not log in as u"),
        (
            Watched("a", dsn=VERIFIED),
            {"DatabaseUsers": "arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-A/au"},
            "may not log in as u",
        ),
        (Watched("a", dsn="postgresql://[u@h/db"), {}, "names no"),
    ],
)
def test_a_target_that_could_not_be_scanned_is_wrong(clients, target, given, said):
    clients("secretsmanager").create_secret(Name="prod/db", SecretString="s")
    line = asked(clients, [target], **given)["target a"]
    assert line.verdict is WRONG
    assert said in line.found
    assert line.next_step


def test_a_target_with_iam_authentication(clients):
    users = "arn:aws:rds-db:r:1:dbuser:db-A/x, arn:aws:rds-db:r:1:dbuser:db-A/u"
    target = Watched("a", dsn=VERIFIED)
    assert asked(clients, [target], DatabaseUsers=users)["target a"].verdict is OK


ELSEWHERE = "arn:aws:iam::111122223333:role/holdfast-reads"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Watched("a", by_api=True), "in this account, 123456789012"),
        (Watched("a", by_api=True, account="123456789012"), "the scan function itself reads it"),
        (
            Watched("a", by_api=True, account="111122223333", role_arn=ELSEWHERE),
            f"read as {ELSEWHERE}; that its trust policy lets the scan function in",
        ),
    ],
)
def test_a_target_of_aws_has_no_secret_and_no_dsn(clients, target, said):
    line = asked(clients, [target])["target a"]
    assert (line.verdict, line.next_step) == (OK, "")
    assert said in line.found


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("", "it is in account 999900001111, and this is 123456789012"),
        (ELSEWHERE, "it is in account 999900001111, and its role_arn is of account 111122223333"),
    ],
)
def test_an_account_that_would_be_another_is_wrong(clients, role, said):
    target = Watched("a", by_api=True, account="999900001111", role_arn=role)
    line = asked(clients, [target])["target a"]
    assert line.verdict is WRONG
    assert line.found == said
    assert "arn:aws:iam::999900001111:role/" in line.next_step


def test_a_certificate_bundle_that_is_not_shipped_is_wrong(tmp_path):
    users = "arn:aws:rds-db:r:1:dbuser:db-A/u"
    line = checks.asked("x", lambda: preflight._iam_login(VERIFIED, users, tmp_path))
    assert line.verdict is WRONG
    assert "there is no vendor/rds-global-bundle.pem" in line.found
    assert "docs/deploy.md, TLS" in line.next_step
    (tmp_path / "rds-global-bundle.pem").write_text("")
    assert checks.asked("x", lambda: preflight._iam_login(VERIFIED, users, tmp_path)).verdict is OK
    other = VERIFIED.replace("/var/task/", "/etc/ssl/")
    assert checks.asked("x", lambda: preflight._iam_login(other, users, tmp_path)).verdict is OK


def test_a_secret_that_is_being_deleted_is_wrong(clients):
    secrets = clients("secretsmanager")
    secrets.create_secret(Name="holdfast/a", SecretString="s")
    secrets.delete_secret(SecretId="holdfast/a", RecoveryWindowInDays=7)
    line = asked(clients, [Watched("a", "holdfast/a")])["target a"]
    assert "restore-secret" in line.next_step


def test_without_credentials_nothing_else_is_asked(aws, clients):
    aws.fail("sts", "GetCallerIdentity", Fault(403, "ExpiredToken"), times=100)
    lines = asked(clients, [Watched("a", "holdfast/a")])
    assert list(lines) == ["credentials"]
    assert lines["credentials"].verdict is UNKNOWN


@pytest.mark.parametrize(
    ("arn", "roles", "verdict"),
    [
        ("sts::123456789012:assumed-role/ops/ana", "arn:aws:iam::123456789012:role/ops", OK),
        ("sts::123456789012:assumed-role/ops/ana", "x/y, arn:aws:iam::1:role/a/b/ops", OK),
        ("sts::123456789012:assumed-role/ops/ana", "arn:aws:iam::1:role/devops", WRONG),
        ("sts::123456789012:assumed-role/ops/ana", "", WRONG),
        ("iam::123456789012:user/ana", "arn:aws:iam::123456789012:user/ana", OK),
        ("iam::123456789012:user/ana", "arn:aws:iam::123456789012:user/ben", WRONG),
    ],
)
def test_whoever_opens_the_log_must_be_let_by_the_key(arn, roles, verdict):
    who = preflight.Identity(f"arn:aws:{arn}", "123456789012")
    line = checks.asked("operator", lambda: preflight._operator(who, roles))
    assert line.verdict is verdict
    assert verdict is OK or "OperatorRoleArns=arn:aws:iam::123456789012:" in line.next_step


def test_an_opened_log_is_not_opened_again(clients):
    assert "operator" not in asked(clients)
    assert asked(clients, opened=False)["operator"].verdict is WRONG


def test_the_defaults_are_those_of_the_template():
    path = "infra/template.yaml"
    with open(path) as stream:  # noqa: PTH123
        template = YAMLTemplateSerializer().load_template(stream.read(), path)
    for key, value in preflight.DEFAULTS.items():
        assert str(template["Parameters"][key]["Default"]) == value, key
    assert set(health.OUTPUTS) <= template["Outputs"].keys()
    reserved = [
        one["Properties"]["ReservedConcurrentExecutions"]["Fn::If"]
        for one in template["Resources"].values()
        if "ReservedConcurrentExecutions" in one.get("Properties", {})
    ]
    assert {condition for condition, _, _ in reserved} == {"Reserved"}
    numbers = [number for _, number, _ in reserved if isinstance(number, int)]
    assert len(numbers) == len(reserved) - 1, "all but the scan function's"
    assert sum(numbers) == preflight.OTHERS_RESERVED
    assert len(numbers) == preflight.OTHER_FUNCTIONS


def test_the_project_is_looked_at(tmp_path):
    lines = {one.what: one for one in preflight.project(tmp_path, "prod", (3, 10))}
    assert lines["project"].verdict is WRONG
    assert lines["Python"].verdict is WRONG
    assert lines["Chalice"].verdict is OK
    lines = {one.what: one for one in preflight.project(tmp_path, "Prod!", (3, 13))}
    assert "no stage" in lines["stage"].found
    assert lines["Python"].verdict is OK


@pytest.fixture
def holdfast(aws, tmp_path, monkeypatch, capsys):
    """The command line over this AWS, in a folder with the project's files and settings."""
    for name in packaging.NEEDED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".chalice" / "config.json").write_text(json.dumps({"stages": {"prod": {}}}))
    (tmp_path / "holdfast.toml").write_text(
        f'[aws]\nregion = "{REGION}"\nendpoint = "{aws.endpoint}"\n\n[log]\nkey = ""\n\n'
        '[targets.orders]\nsecret = "holdfast/orders"\n'
    )
    monkeypatch.chdir(tmp_path)
    for name, value in (("ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("SECRET_ACCESS_KEY", "x" * 40)):
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("HOLDFAST_CONFIG", "HOLDFAST_AS", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def run(*words, expect):
        monkeypatch.setattr(sys, "argv", ["holdfast", "aws", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        assert int(ended.value.code or 0) == expect, captured
        return captured

    assert command.group
    return run


def test_check_says_each_line_and_its_next_step(holdfast):
    said = holdfast("check", "--stage", "prod", expect=1).out
    assert "there is no secret holdfast/orders; next: aws secretsmanager create-secret" in said
    assert "holdfast-prod is not there yet" in said
    found = json.loads(holdfast("check", "--json", expect=1).out)
    assert found["exit_code"] == 1
    verdicts = {one["what"]: one["verdict"] for one in found["checks"]}
    assert verdicts["credentials"] == "ok"
    assert verdicts["target orders"] == "wrong"
    assert verdicts["signing key"] == "could not tell"
    assert verdicts["concurrency"] == "could not tell", "moto does not answer"


def test_targets_of_aws_are_looked_at_and_their_parameters_are_the_settings(holdfast, tmp_path):
    path = tmp_path / "holdfast.toml"
    path.write_text(
        path.read_text() + "[targets.us]\nkind = 'iam'\naccount = '123456789012'\n"
        "[targets.them]\nkind = 'iam'\naccount = '999900001111'\n"
        "[targets.shop]\nkind = 'rds'\ncluster = 'shop'\n"
    )
    found = json.loads(holdfast("check", "--json", expect=1).out)
    verdicts = {one["what"]: one["verdict"] for one in found["checks"]}
    assert verdicts["target us"] == verdicts["target shop"] == "ok"
    assert verdicts["target them"] == "wrong"
    for words in (["plan"], ["deploy", "--yes"]):
        said = holdfast(*words, expect=2).err
        assert "it is in account 999900001111" in said
    said = holdfast("check", "--parameter", "WatchIam=true", expect=2).err
    assert "given twice, by the settings too: targets of the kind iam" in said
    said = holdfast("cost", "--targets", "4", expect=0).out
    assert said


def test_nothing_is_made_where_something_is_wrong(aws, holdfast):
    for words in (["plan"], ["deploy", "--yes"]):
        said = holdfast(*words, expect=2).err
        assert "there is no secret holdfast/orders" in said
        assert "nothing was deployed" in said
    assert ("s3", "CreateBucket") not in aws.calls


def test_check_takes_the_parameters_that_a_deployment_will_have(holdfast):
    given = "OperatorRoleArns=arn:aws:iam::123456789012:user/moto"
    found = json.loads(holdfast("check", "--parameter", given, "--json", expect=1).out)
    verdicts = {one["what"]: one["verdict"] for one in found["checks"]}
    assert verdicts["operator"] in {"ok", "wrong"}
    spec = "KeySpec=ECC_NIST_P256"
    found = json.loads(holdfast("check", "--parameter", spec, "--json", expect=1).out)
    verdicts = {one["what"]: one["verdict"] for one in found["checks"]}
    assert verdicts["signing key"] == "ok"


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def seen(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_on_a_terminal_a_next_step_is_a_line_of_its_own_and_whole(holdfast, terminal):
    said = seen(holdfast("check", expect=1).out).splitlines()
    role = "  next: --parameter OperatorRoleArns=arn:aws:sts::123456789012:user/moto  # with the"
    assert any(line.startswith(role) for line in said), said
    words = [line for line in said if " " in line.strip() and not line.startswith("  next: ")]
    assert all(len(line) <= 80 for line in words), words


@pytest.mark.parametrize("words", [["plan"], ["deploy", "--yes"]])
@pytest.mark.parametrize(
    ("operation", "code"),
    [("sts GetCallerIdentity", "ExpiredToken"), ("cloudformation DescribeStacks", "AccessDenied")],
)
def test_what_aws_does_not_answer_is_said_once(aws, holdfast, words, operation, code):
    aws.fail(*operation.split(), Fault(403, code), times=100)
    said = holdfast(*words, expect=3).err
    assert said.count(code) == 1, said


def test_the_project_is_found_from_settings_in_a_folder_of_it(holdfast, tmp_path, monkeypatch):
    stage = tmp_path / "stages" / "test"
    stage.mkdir(parents=True)
    (tmp_path / "holdfast.toml").rename(stage / "holdfast.toml")
    monkeypatch.setenv("HOLDFAST_CONFIG", str(stage / "holdfast.toml"))
    found = json.loads(holdfast("check", "--json", expect=1).out)["checks"]
    assert next(one for one in found if one["what"] == "project")["verdict"] == "ok"
    elsewhere = tmp_path.parent / "elsewhere.toml"
    (stage / "holdfast.toml").rename(elsewhere)
    monkeypatch.setenv("HOLDFAST_CONFIG", str(elsewhere))
    found = json.loads(holdfast("check", "--json", expect=1).out)["checks"]
    assert next(one for one in found if one["what"] == "project")["found"] == f"in {tmp_path}"


def test_a_stage_that_chalice_does_not_know_says_how_it_is_added(tmp_path):
    (tmp_path / ".chalice").mkdir()
    (tmp_path / ".chalice" / "config.json").write_text('{"stages": {"prod": {}}}')
    lines = {one.what: one for one in preflight.project(tmp_path, "test", (3, 13))}
    assert lines["stage"].next_step == 'add  "test": {}  under "stages" in that file'


def test_deploy_never_asks_without_a_terminal(holdfast):
    assert "deploy --yes" in holdfast("deploy", expect=2).err


@pytest.mark.parametrize("as_json", [False, True])
def test_a_deployment_ends_with_the_address_of_the_api(made, capsys, as_json):
    address = made.outputs["ApiAddress"]
    command._finish_deploy(Deployed([], made), made.name, as_json=as_json)
    said = capsys.readouterr()
    assert f"{address}/iam" in said.err
    if as_json:
        assert json.loads(said.out)["api"] == address
    made.outputs.pop("ApiAddress")
    command._finish_deploy(Deployed([], made), made.name, as_json=as_json)
    assert "the API" not in capsys.readouterr().err


def test_a_stage_that_is_not_the_settings_is_refused(holdfast):
    assert "is of the stage 'prod', not 'dev'" in holdfast("plan", "--stage", "dev", expect=2).err


@pytest.mark.parametrize("words", [["x"], ["=1"], ["A B=1"], ["A=1", "A=2"]])
def test_a_parameter_that_is_none_is_refused(holdfast, words):
    given = [part for word in words for part in ("--parameter", word)]
    assert "parameter" in holdfast("plan", *given, expect=2).err


def test_cost_needs_no_account(holdfast):
    said = holdfast("cost", "--targets", "200", "--every", "15m", expect=0)
    assert "58,440 x $0.15 / 10,000" in said.out
    assert "list prices of us-east-1 as of 2026-06, in USD" in said.out
    assert str(packaging.Path(costs.__file__).with_name("prices.toml")) in said.err
    assert "as of 2026" in said.out
    assert "not verified" in said.err
    found = json.loads(holdfast("cost", "--targets", "1", "--json", expect=0).out)
    assert found["prices"]["kms_keys"]["page"] == "https://aws.amazon.com/kms/pricing/"
    assert "not a period" in holdfast("cost", "--targets", "1", "--every", "x", expect=2).err
    assert "no file" in holdfast("cost", "--targets", "1", "--prices", "none", expect=2).err


def test_any_answer_that_is_no_answer_is_unknown():
    def ask():
        raise StoreUnavailable("no connection")

    assert checks.asked("x", ask).verdict is UNKNOWN


def test_on_a_narrow_terminal_the_bill_has_no_formulas(holdfast, terminal, monkeypatch):
    narrow = seen(holdfast("cost", "--targets", "200", expect=0).out)
    assert "58,440 x" not in narrow
    rows = [line for line in narrow.splitlines() if line.strip()]
    assert all(len(line) <= 80 for line in rows)
    assert re.search(r"(?m)^ *KMS +signatures +0\.88\?", narrow)
    assert re.search(r"(?m)^ *KMS +2\.88", narrow), "the sum of the service"
    assert "58,440 x" in seen(holdfast("cost", "--targets", "200", "--formulas", expect=0).out)
    monkeypatch.setenv("COLUMNS", "200")
    assert "58,440 x" in seen(holdfast("cost", "--targets", "200", expect=0).out)
