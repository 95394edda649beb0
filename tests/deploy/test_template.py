"""What the template says: parameters, what is kept, numbers that must fit together."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from support.stack import ROOT

pytestmark = pytest.mark.xdist_group("deploy")

# What findings on the bus have in their detail.
DETAIL = {"target", "finding", "severity", "direction", "title", "record", "at", "log"}


def properties(template, kind):
    return {
        name: one["Properties"]
        for name, one in template["Resources"].items()
        if one["Type"] == kind
    }


def test_the_json_is_compiled_from_the_yaml():
    program = runpy.run_path(str(ROOT / "infra" / "compile.py"))
    packaged = json.loads((ROOT / "infra" / "template.json").read_text())
    assert program["compiled"]() == packaged, "python infra/compile.py"


def test_cfn_lint_finds_nothing(package):
    program = Path(sys.executable).parent / "cfn-lint"
    regions = ["us-east-1", "eu-central-1"]
    command = [program, "--regions", *regions, "--", package / "sam.json"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_parameters_are_documented_with_their_defaults(template, documented):
    said = {row[0]: row[1] for row in documented["Parameters"]}
    assert said == {name: str(one["Default"]) for name, one in template["Parameters"].items()}


def test_parameters_are_constrained(template):
    for name, one in template["Parameters"].items():
        assert one["Description"], name
        if one["Type"] != "CommaDelimitedList":
            bounds = {"AllowedValues", "AllowedPattern"} & set(one)
            assert bounds or {"MinValue", "MaxValue"} <= set(one), name
        if "AllowedPattern" in one:
            assert re.search(one["AllowedPattern"], one["Default"]), name
            assert "ConstraintDescription" in one, name


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("AlarmEmail", "nobody"),
        ("ReplicaBucketArn", "bucket"),
        ("ReplicaAccount", "123"),
        ("ApiLogRoleArn", "role"),
        ("VpcId", "subnet-1"),
        ("SecretPrefix", ""),
        ("SecretPrefix", "holdfast/*"),
        ("NotifyTopicArn", "topic"),
        ("NotifyTopicArn", "arn:aws:sns:eu-west-1:123456789012:x.fifo"),
        ("NotifyBusArn", "arn:aws:events:eu-west-1:123456789012:rule/x"),
    ],
)
def test_patterns_refuse(template, name, bad):
    assert not re.search(template["Parameters"][name]["AllowedPattern"], bad)


def test_outputs_are_documented_and_named_after_the_environment(template, documented):
    assert {row[0] for row in documented["Outputs"]} == set(template["Outputs"])
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    for variable, value in variables.items():
        if variable.startswith("HOLDFAST_"):
            name = variable.removeprefix("HOLDFAST_").title().replace("_", "")
            assert template["Outputs"][name]["Value"] == value


def test_what_is_kept_is_what_is_said_to_be(template, documented):
    kept = {
        name
        for name, one in template["Resources"].items()
        if (one.get("DeletionPolicy"), one.get("UpdateReplacePolicy")) == ("Retain", "Retain")
    }
    assert kept == {row[0] for row in documented["Resources"] if "Kept." in row[1]}
    assert {"EvidenceBucket", "DerivedBucket", "DocumentsTable", "SigningKey", "SealSecret"} < kept


def test_what_is_kept_has_no_name_that_a_second_stack_would_need(template):
    for one in template["Resources"].values():
        if one.get("DeletionPolicy") == "Retain":
            names = {"BucketName", "TableName", "Name", "LogGroupName"}
            assert not names & set(one["Properties"])


def test_evidence_is_locked(template):
    bucket = template["Resources"]["EvidenceBucket"]["Properties"]
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"]["Rule"] == {
        "DefaultRetention": {"Mode": "COMPLIANCE", "Days": {"Ref": "RetentionDays"}}
    }
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_buckets_are_private_and_encrypted_without_a_key_to_lose(template):
    buckets = properties(template, "AWS::S3::Bucket")
    assert set(buckets) == {"EvidenceBucket", "DerivedBucket"}
    for bucket in buckets.values():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["OwnershipControls"] == {
            "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
        }
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_no_stage_expires(template):
    """A staged batch can be the only copy of records that won their place. A packet is none."""
    from chalicelib.aws.parcels import PREFIX
    from chalicelib.evidence.parcel import KEEP_DAYS

    bucket = template["Resources"]["DerivedBucket"]["Properties"]
    uploads, packets = bucket["LifecycleConfiguration"]["Rules"]
    assert set(uploads) == {"Id", "Status", "AbortIncompleteMultipartUpload"}
    assert packets == {
        "Id": "packets",
        "Status": "Enabled",
        "Prefix": PREFIX,
        "ExpirationInDays": KEEP_DAYS,
    }
    assert "LifecycleConfiguration" not in template["Resources"]["EvidenceBucket"]["Properties"]


def test_schedules_are_what_they_are_named(template):
    schedules = template["Mappings"]["Schedules"]
    assert list(schedules) == template["Parameters"]["ScheduleMinutes"]["AllowedValues"]
    for minutes, one in schedules.items():
        assert one == {"Expression": f"rate({minutes} minutes)", "Seconds": 60 * int(minutes)}


def test_a_message_stays_hidden_for_longer_than_its_function_runs(template):
    timeouts = template["Mappings"]["ScanTimeouts"]
    assert list(timeouts) == template["Parameters"]["ScanTimeoutSeconds"]["AllowedValues"]
    for seconds, one in timeouts.items():
        assert one["VisibilitySeconds"] >= int(seconds) + 60
    queues = properties(template, "AWS::SQS::Queue")
    overdue = template["Resources"]["Overdue"]["Properties"]["Timeout"]
    assert queues["DeadLetterQueue"]["VisibilityTimeout"] >= overdue + 60
    lease = template["Resources"]["Lease"]["Properties"]["Timeout"]
    assert queues["LeaseQueue"]["VisibilityTimeout"] >= lease + 60
    packet = template["Resources"]["Packet"]["Properties"]["Timeout"]
    assert queues["PacketQueue"]["VisibilityTimeout"] >= packet + 60


def test_a_packet_is_tried_while_its_job_has_not_failed(template):
    from chalicelib.api.jobs import PACKET, PATIENCE_SECONDS

    queue = template["Resources"]["PacketQueue"]["Properties"]
    attempts = queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]
    assert attempts <= PATIENCE_SECONDS[PACKET] <= queue["MessageRetentionPeriod"]


def test_only_what_passes_away_expires(template):
    tables = properties(template, "AWS::DynamoDB::Table")
    assert set(tables) == {"DocumentsTable", "LocksTable", "PassingTable"}
    expiring = {name for name, one in tables.items() if "TimeToLiveSpecification" in one}
    assert expiring == {"LocksTable", "PassingTable"}
    for name in expiring:
        living = tables[name]["TimeToLiveSpecification"]
        assert living == {"AttributeName": "gone_at", "Enabled": True}
    assert "PointInTimeRecoverySpecification" not in tables["PassingTable"]


# What API Gateway answers by itself and can be told how to. Source: API Gateway Developer Guide,
# "Gateway response types"; those for authorizers, API keys and usage plans, of which there are
# none, fall to the two defaults.
ANSWERED = {
    "DEFAULT_4XX": (400, "malformed"),
    "DEFAULT_5XX": (500, "defect"),
    "ACCESS_DENIED": (403, "forbidden"),
    "BAD_REQUEST_BODY": (400, "malformed"),
    "BAD_REQUEST_PARAMETERS": (400, "malformed"),
    "EXPIRED_TOKEN": (401, "unauthenticated"),
    "INTEGRATION_FAILURE": (503, "could_not_tell"),
    "INTEGRATION_TIMEOUT": (503, "could_not_tell"),
    "INVALID_SIGNATURE": (401, "unauthenticated"),
    "MISSING_AUTHENTICATION_TOKEN": (404, "not_found"),
    "REQUEST_TOO_LARGE": (413, "too_large"),
    "RESOURCE_NOT_FOUND": (404, "not_found"),
    "THROTTLED": (429, "too_many_requests"),
    "UNAUTHORIZED": (401, "unauthenticated"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "unsupported_media_type"),
    "WAF_FILTERED": (403, "forbidden"),
}


@pytest.fixture
def api(template):
    return template["Resources"]["RestAPI"]["Properties"]


def test_what_api_gateway_answers_is_a_problem_as_all_others(api):
    from chalicelib.api.types import Problem
    from chalicelib.http import problem

    found = {}
    for kind, one in api["GatewayResponses"].items():
        text = one["ResponseTemplates"]["application/json"]
        assert set(re.findall(r"\$[\w.]+", text)) == {"$context.requestId"}, kind
        told = msgspec.json.decode(text, type=Problem, strict=True)
        refused = problem.Refused(told.status, told.code, told.detail, next_step=told.next_step)
        as_ours = json.loads(problem.encode(refused, told.request))
        as_ours["title"] = told.title  # Python calls 413 by another name in each version
        assert json.loads(text) == as_ours, kind
        assert told.next_step
        assert told.status == one["StatusCode"], kind
        found[kind] = (told.status, told.code)
    assert found == ANSWERED


def test_its_codes_are_documented_with_their_status():
    page = (ROOT / "docs" / "api.md").read_text()
    rows = dict(re.findall(r"(?m)^\| (\d{3}) \| (.+) \|$", page))
    for status, code in ANSWERED.values():
        assert f"`{code}`" in rows[str(status)]


def test_what_api_gateway_answers_has_the_headers_of_all_others(api):
    from chalicelib.http.headers import SECURITY_HEADERS
    from chalicelib.http.problem import MEDIA_TYPE

    for kind, one in api["GatewayResponses"].items():
        headers = one["ResponseParameters"]["Headers"]
        assert all(re.fullmatch(r"'[^']+'", value) for value in headers.values()), kind
        told = {name: value.strip("'") for name, value in headers.items()}
        again = told.pop("Retry-After", None)
        assert (again is not None) == (one["StatusCode"] in {429, 503}), kind
        assert told.pop("Content-Type") == MEDIA_TYPE
        # 'none' has quotes, which a value in quotes cannot have; without a source it is the same.
        expected = {name: value.replace(" 'none'", "") for name, value in SECURITY_HEADERS.items()}
        assert told == expected, kind


def test_the_access_log_has_no_secret_in_it(api):
    log = api["AccessLogSetting"]
    assert log["DestinationArn"] == {"Fn::GetAtt": ["ApiAccessLogs", "Arn"]}
    fields = json.loads(log["Format"])
    assert set(fields.values()) == {
        "$context.requestId",
        "$context.requestTimeEpoch",
        "$context.httpMethod",
        "$context.resourcePath",  # the route, not the path: that has names in it
        "$context.status",
        "$context.error.responseType",
        "$context.responseLatency",
        "$context.responseLength",
        "$context.tlsVersion",
        "$context.identity.userArn",
    }
    (settings,) = api["MethodSettings"]
    assert (settings["LoggingLevel"], settings["DataTraceEnabled"]) == ("OFF", False)


def test_the_api_is_regional_takes_tls_1_2_and_is_throttled(template, api):
    assert api["EndpointConfiguration"] == {"Type": "REGIONAL"}
    assert api["SecurityPolicy"] == "SecurityPolicy_TLS13_1_2_2021_06"
    assert api["StageName"] == "api"
    (settings,) = api["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert settings["ThrottlingRateLimit"] == {"Ref": "ApiRequestsPerSecond"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "ApiBurst"}
    defaults = {name: one["Default"] for name, one in template["Parameters"].items()}
    assert (defaults["ApiRequestsPerSecond"], defaults["ApiBurst"]) == (50, 100)


def test_the_stage_is_made_after_api_gateway_may_write_its_log(template):
    assert template["Resources"]["RestAPI"]["DependsOn"] == ["ApiLogAccount"]
    account = template["Resources"]["ApiLogAccount"]
    assert "Condition" not in account, "what is not made cannot be waited for"


def test_metrics_of_the_api_have_the_name_that_it_has(template, api):
    assert api["DefinitionBody"]["info"]["title"] == {"Ref": "AWS::StackName"}
    for name, alarm in properties(template, "AWS::CloudWatch::Alarm").items():
        if alarm.get("Namespace") == "AWS/ApiGateway":
            dimensions = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
            expected = {"ApiName": {"Ref": "AWS::StackName"}, "Stage": api["StageName"]}
            assert dimensions == expected, name


def test_severities_include_the_worse_ones(template):
    order = template["Parameters"]["NoticeSeverity"]["AllowedValues"]
    severities = template["Mappings"]["Severities"]
    assert list(severities) == order
    for index, name in enumerate(order):
        assert severities[name] == {"AndAbove": order[: index + 1]}


def test_severities_are_those_of_findings(template):
    from chalicelib.drift.judge import Severity

    order = template["Parameters"]["NoticeSeverity"]["AllowedValues"]
    assert set(order) == {one.value for one in Severity}


def test_notices_show_the_detail_of_findings(template):
    rule = template["Resources"]["FindingRule"]["Properties"]
    assert rule["EventPattern"]["source"] == ["holdfast"]
    (target,) = rule["Targets"]
    paths = target["InputTransformer"]["InputPathsMap"]
    assert paths == {"what": "$.detail-type"} | {key: f"$.detail.{key}" for key in DETAIL}
    text = target["InputTransformer"]["InputTemplate"]
    assert set(re.findall(r"<([a-z]+)>", text)) == set(paths)
    assert all(re.fullmatch(r'"[^"]+"', line) for line in text.splitlines())


def test_alarms_reach_somebody(template):
    alarms = properties(template, "AWS::CloudWatch::Alarm")
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert alarm["AlarmDescription"].endswith("."), name
        assert alarm["TreatMissingData"] == (
            "breaching" if name in {"DispatchSilentAlarm", "LeaseSilentAlarm"} else "notBreaching"
        ), name
    watched = {
        (alarm["MetricName"], dimension["Value"]["Ref"])
        for alarm in alarms.values()
        if alarm.get("Namespace") == "AWS/Lambda"
        for dimension in alarm["Dimensions"]
    }
    metrics = {(alarm.get("Namespace"), alarm.get("MetricName")) for alarm in alarms.values()}
    assert {("AWS/ApiGateway", "5XXError"), ("AWS/ApiGateway", "Latency")} < metrics
    for function in properties(template, "AWS::Serverless::Function"):
        assert {("Errors", function), ("Throttles", function)} < watched


@pytest.mark.parametrize("name", ["DispatchSilentAlarm", "LeaseSilentAlarm"])
def test_silence_alarms_only_while_something_is_scheduled(template, name):
    alarm = template["Resources"][name]["Properties"]
    assert alarm["ActionsEnabled"] == {"Fn::If": ["Scheduled", True, False]}
    assert template["Parameters"]["ScheduleState"]["Default"] == "DISABLED"


def test_queues_are_counted_a_target(template):
    for name, queue in properties(template, "AWS::SQS::Queue").items():
        if name in {"LeaseQueue", "LeaseDeadLetterQueue"}:  # a timer is for one lease
            assert "FifoQueue" not in queue
            assert queue["SqsManagedSseEnabled"] is True
            continue
        assert queue["FifoQueue"] is True
        assert queue["ContentBasedDeduplication"] is False
        assert queue["DeduplicationScope"] == "messageGroup"
        assert queue["FifoThroughputLimit"] == "perMessageGroupId"
        assert queue["SqsManagedSseEnabled"] is True


def test_only_what_logs_in_to_databases_is_in_the_vpc(template):
    inside = {
        name
        for name, one in properties(template, "AWS::Serverless::Function").items()
        if "VpcConfig" in one
    }
    assert inside == {"Scan", "Grant"}
    for kind in ("AWS::EC2::VPCEndpoint", "AWS::EC2::SecurityGroup"):
        for name in properties(template, kind):
            assert template["Resources"][name]["Condition"] == "WithEndpoints"


def test_metrics_that_are_watched_are_counted(template):
    from chalicelib.aws import usage
    from chalicelib.drift.outcome import Outcome

    alarms = properties(template, "AWS::CloudWatch::Alarm").values()
    watched = {one["MetricName"] for one in alarms if one.get("Namespace") == "Holdfast"}
    board = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    watched |= set(re.findall(r'\["Holdfast", "(\w+)"', board))
    code = "".join(path.read_text() for path in (ROOT / "chalicelib" / "functions").glob("*.py"))
    calls = re.findall(r"\bcount\(([^)]*)\)", code)
    counted = {name for call in calls for name in re.findall(r'"([A-Z]\w+)"', call)} | {"Missed"}
    outcomes = {one.value.capitalize() for one in Outcome}
    assert len(counted | outcomes - {"Clean"}) == usage.METRICS
    counted |= outcomes
    assert {"Unknown", "Refused", "AppendConflicts"} < watched <= counted


def test_the_dashboard_is_json(template):
    body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert len(json.loads(body)["widgets"]) == 7
