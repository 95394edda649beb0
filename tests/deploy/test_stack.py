"""The packaged template as a stack in an emulated AWS: as far as that goes, and how far that is."""

import ast
import json

import pytest
from botocore.exceptions import ClientError
from moto.cloudformation.parsing import get_model_map
from support import stack

pytestmark = pytest.mark.xdist_group("deploy")

CONDITIONAL = {
    "ReplicationRole",
    "ReplicationPolicy",
    "NoticeSubscription",
    "AlarmSubscription",
    "EndpointSecurityGroup",
    "S3Endpoint",
    "DynamoDBEndpoint",
    "KmsEndpoint",
    "SecretsManagerEndpoint",
    "EventsEndpoint",
}


# For people; an address of the API in the API's own function would make each need the other.
NOT_FOR_FUNCTIONS = {"DeadLetterQueue", "PacketDeadLetterQueue", "AlarmTopic", "NoticeTopic"} | {
    "ApiAddress", "EndpointURL", "RestAPIId", "APIHandlerName", "APIHandlerArn",
}  # fmt: skip


def test_the_stack_is_made_whole(aws, template):
    outputs = stack.create_stack(aws, template)
    assert set(outputs) == set(template["Outputs"])
    assert all(outputs.values())
    expanded = stack.plain(template)["Resources"]
    elsewhere = {
        name
        for name, one in expanded.items()
        if one["Type"] in stack.LEFT_OUT or one["Type"] in stack.BY_CALLS
    }
    assert set(stack.created(aws)) == set(expanded) - elsewhere - CONDITIONAL


def test_what_is_left_out_is_what_moto_does_not_know(template):
    known = get_model_map()
    kinds = {one["Type"] for one in stack.plain(template)["Resources"].values()}
    unknown = {kind for kind in kinds if kind not in known}
    by_calls = {"AWS::Scheduler::ScheduleGroup", "AWS::SecretsManager::Secret"}
    assert unknown == set(stack.LEFT_OUT) | by_calls
    assert all(stack.LEFT_OUT.values())


def test_functions_are_told_what_the_outputs_say(aws, template):
    outputs = stack.create_stack(aws, template)
    for function in ("Dispatch", "Scan", "Overdue", "Packet", "Lease", "Grant", "APIHandler"):
        told = stack.environment(aws, function)
        for name, value in outputs.items():
            variable = "".join(f"_{c}" if c.isupper() else c for c in name).upper()
            if name not in NOT_FOR_FUNCTIONS:
                assert told[f"HOLDFAST{variable}"] == value


def test_evidence_is_locked_and_stays(aws, template):
    outputs = stack.create_stack(aws, template, parameters={"RetentionDays": "30"})
    s3, bucket = aws.client("s3"), outputs["EvidenceBucket"]
    found = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    retention = found["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("COMPLIANCE", 30)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"1", IfNoneMatch="*")["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


def test_derived_objects_can_be_replaced_and_removed(aws, template):
    outputs = stack.create_stack(aws, template)
    s3, bucket = aws.client("s3"), outputs["DerivedBucket"]
    for body in (b"1", b"2"):
        s3.put_object(Bucket=bucket, Key="k", Body=body)
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


def test_tables_are_as_the_adapters_use_them(aws, template):
    outputs = stack.create_stack(aws, template)
    client = aws.client("dynamodb")
    keys = {}
    for name in ("DocumentsTable", "LocksTable", "PassingTable"):
        table = client.describe_table(TableName=outputs[name])["Table"]
        keys[name] = [(one["AttributeName"], one["KeyType"]) for one in table["KeySchema"]]
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        assert table["DeletionProtectionEnabled"] is (name != "PassingTable")
    assert keys == {
        "DocumentsTable": [("p", "HASH"), ("k", "RANGE")],
        "LocksTable": [("k", "HASH")],
        "PassingTable": [("p", "HASH"), ("k", "RANGE")],
    }
    for name in ("LocksTable", "PassingTable"):
        living = client.describe_time_to_live(TableName=outputs[name])
        assert living["TimeToLiveDescription"]["AttributeName"] == "gone_at"
    forever = client.describe_time_to_live(TableName=outputs["DocumentsTable"])
    assert forever["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"


@pytest.mark.parametrize("spec", ["ECC_NIST_EDWARDS25519", "ECC_NIST_P256"])
def test_the_key_signs_and_verifies(aws, template, spec):
    outputs = stack.create_stack(aws, template, parameters={"KeySpec": spec})
    key = aws.client("kms").describe_key(KeyId=outputs["SigningKey"])["KeyMetadata"]
    assert (key["KeySpec"], key["KeyUsage"]) == (spec, "SIGN_VERIFY")


def test_the_seal_is_random(aws, template):
    outputs = stack.create_stack(aws, template)
    client = aws.client("secretsmanager")
    seal = client.get_secret_value(SecretId=outputs["SealSecret"])["SecretString"]
    assert len(seal) == 64


def test_a_scan_that_fails_five_times_goes_to_the_dead_letters(aws, template):
    outputs = stack.create_stack(aws, template, parameters={"ScanTimeoutSeconds": "600"})
    client = aws.client("sqs")
    found = {
        name: client.get_queue_attributes(QueueUrl=outputs[name], AttributeNames=["All"])[
            "Attributes"
        ]
        for name in ("ScanQueue", "DeadLetterQueue")
    }
    redrive = json.loads(found["ScanQueue"]["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == found["DeadLetterQueue"]["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == 5
    assert found["ScanQueue"]["VisibilityTimeout"] == "660"
    allow = template["Resources"]["DeadLetterQueue"]["Properties"]["RedriveAllowPolicy"]
    (source,) = allow["sourceQueueArns"]
    arn = source["Fn::Sub"]
    for name, value in {
        "Partition": "aws",
        "Region": stack.REGION,
        "AccountId": stack.ACCOUNT,
        "StackName": stack.STACK,
    }.items():
        arn = arn.replace(f"${{AWS::{name}}}", value)
    assert arn == found["ScanQueue"]["QueueArn"]


def test_a_packet_that_fails_three_times_goes_to_dead_letters_of_its_own(aws, template):
    """Those of the scans are read by the overdue function, which would take it for an order."""
    outputs = stack.create_stack(aws, template)
    client = aws.client("sqs")
    arns = {
        name: client.get_queue_attributes(QueueUrl=outputs[name], AttributeNames=["All"])[
            "Attributes"
        ]
        for name in ("PacketQueue", "PacketDeadLetterQueue", "DeadLetterQueue")
    }
    redrive = json.loads(arns["PacketQueue"]["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == arns["PacketDeadLetterQueue"]["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == 3
    mappings = aws.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    read = {one["EventSourceArn"] for one in mappings}
    assert {arns["PacketQueue"]["QueueArn"], arns["DeadLetterQueue"]["QueueArn"]} < read
    assert arns["PacketDeadLetterQueue"]["QueueArn"] not in read


def test_the_address_of_the_api_is_told(aws, template):
    outputs = stack.create_stack(aws, template)
    api = outputs["RestAPIId"]
    assert outputs["ApiAddress"] == f"https://{api}.execute-api.us-east-1.amazonaws.com/api"
    found = aws.client("apigateway").get_rest_api(restApiId=api)
    assert found["name"] == stack.STACK, "the dimension ApiName of its metrics"


def test_the_api_sends_to_the_queues_of_scans_and_packets_alone(aws, template):
    outputs = stack.create_stack(aws, template)
    client = aws.client("sqs")
    named = {
        client.get_queue_attributes(QueueUrl=outputs[name], AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"]
        for name in ("ScanQueue", "PacketQueue")
    }
    assert set(policy_of(aws, "Api")["Send"]) == named


def test_parameters_take_effect(aws, template):
    parameters = {
        "ScheduleMinutes": "60",
        "ScheduleState": "ENABLED",
        "ScanConcurrency": "40",
        "ScanMemoryMegabytes": "2048",
        "NoticeSeverity": "medium",
        "ReserveConcurrency": "true",
    }
    outputs = stack.create_stack(aws, template, parameters=parameters)
    assert outputs["PeriodMinutes"] == "60"
    (rule,) = aws.client("events").list_rules(NamePrefix="holdfast-DispatchDispatchEvent")["Rules"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(60 minutes)", "ENABLED")
    client = aws.client("lambda")
    function = client.get_function(FunctionName=stack.physical_id(aws, "Scan"))
    assert function["Configuration"]["MemorySize"] == 2048
    assert int(function["Concurrency"]["ReservedConcurrentExecutions"]) == 40
    mappings = client.list_event_source_mappings()["EventSourceMappings"]
    assert sorted(one["ScalingConfig"]["MaximumConcurrency"] for one in mappings) == [2, 2, 4, 40]
    assert {tuple(one["FunctionResponseTypes"]) for one in mappings} == {
        ("ReportBatchItemFailures",)
    }
    rules = aws.client("events").list_rules(EventBusName=outputs["EventBus"])["Rules"]
    (finding,) = (one for one in rules if "FindingRule" in one["Name"])
    pattern = json.loads(finding["EventPattern"])
    assert pattern["detail"] == {"severity": ["critical", "high", "medium"]}


def test_nothing_is_scheduled_at_first(aws, template):
    stack.create_stack(aws, template)
    (rule,) = aws.client("events").list_rules(NamePrefix="holdfast-DispatchDispatchEvent")["Rules"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(15 minutes)", "DISABLED")


def policy_of(aws, function):
    """The policy of a function's role; its functions worked out, and statements by their Sid."""
    client = aws.client("iam")
    role = f"{stack.STACK}-{stack.REGION}-{function.lower()}"
    (name,) = client.list_role_policies(RoleName=role)["PolicyNames"]
    found = client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    assert "Fn::" not in found
    document = ast.literal_eval(found)  # moto writes what CloudFormation made as Python does
    # and leaves None where a statement is AWS::NoValue
    return {one["Sid"]: one["Resource"] for one in document["Statement"] if one}


@pytest.mark.parametrize("function", ["Dispatch", "Scan", "Overdue", "Packet", "Lease", "Api"])
def test_roles_name_what_the_stack_made(aws, template, function):
    outputs = stack.create_stack(aws, template)
    resources = policy_of(aws, function)
    assert resources["EvidenceObjects"] == f"arn:aws:s3:::{outputs['EvidenceBucket']}/*"
    assert resources["Sign"] == outputs["SigningKey"]
    assert resources["Documents"].endswith(f":table/{outputs['DocumentsTable']}")
    assert resources["SealSecret"] == outputs["SealSecret"]
    optional = {"NetworkInterfaces", "DatabaseUsers", "LeasedRoles", "NotifyTopic", "NotifyBus"}
    assert not optional & set(resources)
    assert not [sid for sid in resources if "Watch" in sid or "Analyzer" in sid]


def test_private_databases_are_reached_from_their_vpc(aws, template):
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    group = ec2.create_security_group(GroupName="g", Description="g", VpcId=vpc)["GroupId"]
    user = "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ABC/holdfast"
    stack.create_stack(
        aws,
        template,
        parameters={
            "SubnetIds": subnet,
            "SecurityGroupIds": group,
            "VpcId": vpc,
            "RouteTableIds": table,
            "CreateEndpoints": "true",
            "DatabaseUsers": user,
        },
    )
    made = set(stack.created(aws))
    assert {"S3Endpoint", "DynamoDBEndpoint", "KmsEndpoint", "EndpointSecurityGroup"} < made
    scan = aws.client("lambda").get_function_configuration(
        FunctionName=stack.physical_id(aws, "Scan")
    )
    assert scan["VpcConfig"]["SubnetIds"] == [subnet]
    for function in ("Scan", "Grant"):
        resources = policy_of(aws, function)
        assert resources["NetworkInterfaces"] == "*"
        assert resources["DatabaseUsers"] == [user]
    client = aws.client("lambda")
    for function, there in (("Grant", [subnet]), ("Lease", [])):
        found = client.get_function_configuration(FunctionName=stack.physical_id(aws, function))
        assert found.get("VpcConfig", {}).get("SubnetIds", []) == there, function


def test_what_leases_need_is_named_by_parameters(aws, template):
    role = "arn:aws:iam::123456789012:role/leased"
    topic = "arn:aws:sns:us-east-1:123456789012:told"
    bus = "arn:aws:events:us-east-1:123456789012:event-bus/told"
    parameters = {"LeasedRoleArns": role, "NotifyTopicArn": topic, "NotifyBusArn": bus}
    stack.create_stack(aws, template, parameters=parameters)
    resources = policy_of(aws, "Lease")
    assert resources["LeasedRoles"] == [role]
    assert (resources["NotifyTopic"], resources["NotifyBus"]) == (topic, bus)


def test_what_targets_of_aws_need_is_there_for_those_that_the_settings_have(aws, template):
    role = "arn:aws:iam::111122223333:role/holdfast-reads"
    stack.create_stack(aws, template, parameters={"WatchRds": "true", "WatchedRoleArns": role})
    resources = policy_of(aws, "Scan")
    assert resources["WatchedRoles"] == [role]
    account = f"arn:aws:rds:*:{stack.ACCOUNT}:"
    assert all(one.startswith(account) for one in resources["WatchedDatabases"])
    assert not {"WatchedAccount", "WatchedUsers", "AskAccessAnalyzer"} & set(resources)


def test_an_account_that_is_a_target_is_read_and_no_other(aws, template):
    stack.create_stack(aws, template, parameters={"WatchIam": "true", "AskAccessAnalyzer": "true"})
    resources = policy_of(aws, "Scan")
    assert resources["WatchedUsers"] == f"arn:aws:iam::{stack.ACCOUNT}:user/*"
    assert resources["WatchedPolicies"] == [
        f"arn:aws:iam::{stack.ACCOUNT}:policy/*",
        "arn:aws:iam::aws:policy/*",
    ]
    assert {"WatchedAccount", "AskAccessAnalyzer"} < set(resources)
    assert not {"WatchedDatabases", "WatchedNetworks", "WatchedRoles"} & set(resources)


def test_a_timer_that_is_not_worked_off_is_kept(aws, template):
    outputs = stack.create_stack(aws, template)
    client = aws.client("sqs")
    urls = [
        client.get_queue_url(QueueName=outputs[name].rpartition(":")[2])["QueueUrl"]
        for name in ("LeaseQueue", "LeaseDeadLetterQueue")
    ]
    found = client.get_queue_attributes(QueueUrl=urls[0], AttributeNames=["All"])["Attributes"]
    redrive = json.loads(found["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == outputs["LeaseDeadLetterQueue"]
    assert int(redrive["maxReceiveCount"]) == 5
    groups = aws.client("scheduler").list_schedule_groups()["ScheduleGroups"]
    assert outputs["TimerGroup"] in [one["Name"] for one in groups]
