"""What is deployed, for tests: packaged by Chalice, unpacked, and as a stack in an emulated AWS.

The packaged template goes into moto's CloudFormation. What moto's CloudFormation makes wrong or not
at all, and the functions need, is made through the services' own calls first, from the same
properties of the same template (``BY_CALLS``); what else it does not know is left out, by type and
with the reason (``LEFT_OUT``). Moto warns of a type in neither, and that fails the test.
"""

from __future__ import annotations

import json
import re
import secrets
import zipfile
from pathlib import Path

from chalicelib.aws import packaging

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
ACCOUNT = "123456789012"
STACK = "holdfast"
NO_VALUE = object()

LEFT_OUT = {
    "AWS::ApiGateway::Account": "moto's CloudFormation does not know it",
    "AWS::ApiGateway::Stage": "moto's CloudFormation does not know it",
    "AWS::CloudWatch::Alarm": "moto's CloudFormation does not know it",
    "AWS::Lambda::EventInvokeConfig": "moto's CloudFormation does not know it",
    "AWS::S3::BucketPolicy": "moto takes a Deny without its conditions: nothing could be written",
    "AWS::SNS::Subscription": "moto's CloudFormation does not know it",
    "AWS::SNS::TopicPolicy": "moto's CloudFormation does not know it",
    "AWS::SQS::QueuePolicy": "moto's CloudFormation does not know it",
}


def packaged(folder, *, settings=b"{}", root=ROOT, stage="prod"):
    """``folder``, with the ``sam.json`` and ``deployment.zip`` that ``holdfast aws deploy`` makes.

    ``settings``: the compiled settings that go along. Takes some ten seconds, and pip downloads.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with packaging.package(root, stage=stage, region=REGION, settings=settings) as made:
        (folder / "deployment.zip").write_bytes(made.archive.read_bytes())
        (folder / "sam.json").write_text(json.dumps(made.template))
    return folder


def extract(archive):
    """The folder beside the zip that it is unpacked into, as Lambda unpacks it."""
    folder = Path(archive).with_suffix("")
    if not folder.exists():
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    return folder


def statements(document):
    """The statements of a policy document; those under a condition as if it were true."""
    found = document["Statement"]
    for one in found if isinstance(found, list) else [found]:
        yield one["Fn::If"][1] if "Fn::If" in one else one


def allowed(template, role):
    """The actions that a role of the template may take."""
    return {
        action
        for policy in template["Resources"][role]["Properties"]["Policies"]
        for one in statements(policy["PolicyDocument"])
        if one["Effect"] == "Allow"
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }


# Requests that are allowed by an action of another name, by any of those. Sources: "Actions,
# resources, and condition keys" of each service, Service Authorization Reference.
NEEDS = {
    ("dynamodb", "TransactWriteItems"): ("dynamodb:PutItem",),
    ("s3", "GetObject"): ("s3:GetObject", "s3:GetObjectVersion"),
    ("s3", "GetObjectLockConfiguration"): ("s3:GetBucketObjectLockConfiguration",),
    ("s3", "HeadObject"): ("s3:GetObject", "s3:GetObjectVersion"),
    ("s3", "ListObjectVersions"): ("s3:ListBucketVersions",),
    ("s3", "ListObjectsV2"): ("s3:ListBucket",),
    ("sqs", "SendMessageBatch"): ("sqs:SendMessage",),
}


def unpermitted(template, role, calls):
    """The requests, as in ``StrictAws.calls``, that the role's policy has no action for."""
    actions = allowed(template, role)
    return {call for call in calls if not actions.intersection(NEEDS.get(call, (":".join(call),)))}


def plain(template):
    """The template without SAM: functions and what starts them, as the SAM translator has them.

    Knows the properties that are in use; any other is an error. Code is a placeholder: moto would
    run it in Docker, which the tests do not; they call the handlers themselves.
    """
    shared = template["Globals"]["Function"]
    assert set(shared) == {"Environment"}
    resources = {}
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            resources.update(_function(name, dict(resource["Properties"]), shared))
        elif resource["Type"] == "AWS::Serverless::Api":
            resources.update(_api(name, dict(resource["Properties"])))
        else:
            resources[name] = resource
    kept = {k: v for k, v in template.items() if k not in {"Transform", "Globals", "Rules"}}
    return {**kept, "Resources": resources}


def _function(name, properties, shared):
    events, invoking = properties.pop("Events", {}), properties.pop("EventInvokeConfig", None)
    assert properties.pop("CodeUri") == "./deployment.zip"
    tags = [{"Key": key, "Value": value} for key, value in properties.pop("Tags").items()]
    tracing = {"Mode": properties.pop("Tracing")}
    made = {**properties, **shared, "Tags": tags, "TracingConfig": tracing}
    made["Code"] = {"ZipFile": "def dispatch(event, context): ..."}
    yield name, {"Type": "AWS::Lambda::Function", "Properties": made}
    if invoking is not None:
        settings = {**invoking, "FunctionName": {"Ref": name}, "Qualifier": "$LATEST"}
        yield (
            f"{name}EventInvokeConfig",
            {"Type": "AWS::Lambda::EventInvokeConfig", "Properties": settings},
        )
    for event, described in events.items():
        yield from _event(name, f"{name}{event}", described["Type"], dict(described["Properties"]))


def _api(name, properties):
    """The API without its paths, which moto would import and never serve, and its stage."""
    definition = properties.pop("DefinitionBody")
    stage = {"StageName": properties.pop("StageName"), "RestApiId": {"Ref": name}}
    stage |= {key: properties.pop(key) for key in ("MethodSettings", "AccessLogSetting")}
    kinds = [properties.pop("EndpointConfiguration")["Type"]]
    made = {"Name": definition["info"]["title"], "EndpointConfiguration": {"Types": kinds}}
    assert set(properties) == {"SecurityPolicy", "EndpointAccessMode", "GatewayResponses"}
    yield name, {"Type": "AWS::ApiGateway::RestApi", "Properties": made}
    yield f"{name}Stage", {"Type": "AWS::ApiGateway::Stage", "Properties": stage}


def _event(function, name, kind, properties):
    arn = {"Fn::GetAtt": [function, "Arn"]}
    if kind == "SQS":
        # Disabled: moto would start the function in Docker whenever a message is sent.
        source = {"EventSourceArn": properties.pop("Queue"), "Enabled": False}
        made = {**properties, **source, "FunctionName": {"Ref": function}}
        yield name, {"Type": "AWS::Lambda::EventSourceMapping", "Properties": made}
        return
    assert kind == "Schedule", kind
    target = {"Arn": arn, "Id": f"{name}LambdaTarget"}
    rule = {"ScheduleExpression": properties.pop("Schedule"), "Targets": [target], **properties}
    yield name, {"Type": "AWS::Events::Rule", "Properties": rule}
    permission = {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": function},
        "Principal": "events.amazonaws.com",
        "SourceArn": {"Fn::GetAtt": [name, "Arn"]},
    }
    yield f"{name}Permission", {"Type": "AWS::Lambda::Permission", "Properties": permission}


class Values:
    """What the template's functions (``Ref``, ``Fn::Sub`` …) are, for the resources made so far."""

    def __init__(self, template, name, parameters):
        assert set(parameters) <= set(template["Parameters"]), parameters
        self.template = template
        self.refs = {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": NO_VALUE,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackName": name,
        }
        self.arns = {}
        for key, described in template["Parameters"].items():
            value = parameters.get(key, described["Default"])
            lists = described["Type"] == "CommaDelimitedList"
            self.refs[key] = value.split(",") if lists else value

    def made(self, name, physical, arn):
        self.refs[name] = physical
        self.arns[name] = arn

    def condition(self, value):
        if isinstance(value, str):
            return self.condition(self.template["Conditions"][value])
        ((function, arguments),) = value.items()
        match function:
            case "Condition":
                return self.condition(arguments)
            case "Fn::Not":
                return not self.condition(arguments[0])
            case "Fn::And":
                return all(map(self.condition, arguments))
            case "Fn::Equals":
                one, other = map(self.of, arguments)
                return str(one) == str(other)
        raise AssertionError(value)

    def of(self, value):
        """The value, its functions worked out. Raises: KeyError, for what is not made yet."""
        if isinstance(value, list):
            return [v for v in map(self.of, value) if v is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((function, arguments),) = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._function(function, arguments)
        return {k: v for k, v in ((k, self.of(v)) for k, v in value.items()) if v is not NO_VALUE}

    def _function(self, function, arguments):
        match function, arguments:
            case "Ref", name:
                return self.refs[name]
            case "Fn::GetAtt", [name, "Arn"]:
                return self.arns[name]
            case "Fn::Sub", str(text):
                return re.sub(r"\$\{([^}]+)\}", lambda found: self._named(found[1]), text)
            case "Fn::If", [name, yes, no]:
                return self.of(yes if self.condition(name) else no)
            case "Fn::Join", [separator, parts]:
                return separator.join(self.of(parts))
        raise AssertionError((function, arguments))

    def _named(self, text):
        return self.arns[text[:-4]] if text.endswith(".Arn") else str(self.refs[text])

    def known(self, value):
        """The value with the names and ARNs of what is made, and all else for CloudFormation."""
        if isinstance(value, list):
            return [self.known(one) for one in value]
        if not isinstance(value, dict):
            return value
        match value:
            case {"Ref": name} if name in self.arns:
                return self.refs[name]
            case {"Fn::GetAtt": [name, "Arn"]} if name in self.arns:
                return self.arns[name]
            case {"Fn::Sub": str(text)}:
                for name, arn in self.arns.items():
                    text = text.replace(f"${{{name}.Arn}}", arn)
                    text = text.replace(f"${{{name}}}", self.refs[name])
                return {"Fn::Sub": text}
        return {key: self.known(one) for key, one in value.items()}


def create_stack(aws, template, *, name=STACK, parameters=None):
    """The stack's outputs, by name, of a packaged template and what differs from its defaults."""
    values = Values(template, name, parameters or {})
    left = plain(template)
    rest = {}
    for logical, resource in left["Resources"].items():
        kind = resource["Type"]
        if kind in LEFT_OUT or not values.condition(resource.get("Condition", _ALWAYS)):
            continue
        if kind in BY_CALLS:
            physical = f"{name}-{logical.lower()}-{secrets.token_hex(4)}"
            values.made(logical, *BY_CALLS[kind](aws, physical, values.of(resource["Properties"])))
        else:
            rest[logical] = resource
    body = json.dumps(values.known({**left, "Resources": rest}))
    given = [{"ParameterKey": k, "ParameterValue": v} for k, v in (parameters or {}).items()]
    client = aws.client("cloudformation")
    client.create_stack(StackName=name, TemplateBody=body, Parameters=given)
    (stack,) = client.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    for logical, resource in rest.items():
        if resource["Type"] == "AWS::DynamoDB::Table":
            _finish_table(aws, physical_id(aws, logical, name=name), resource["Properties"])
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


_ALWAYS = {"Fn::And": []}


def created(aws, *, name=STACK):
    """What moto's CloudFormation made: logical name → type."""
    found = aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    return {one["LogicalResourceId"]: one["ResourceType"] for one in found}


def physical_id(aws, logical, *, name=STACK):
    """The name that a resource got, e.g. the name of the function ``Scan``."""
    client = aws.client("cloudformation")
    found = client.describe_stack_resource(StackName=name, LogicalResourceId=logical)
    return found["StackResourceDetail"]["PhysicalResourceId"]


def environment(aws, function, *, name=STACK):
    """The environment variables that a function of the stack gets, e.g. ``Scan``."""
    client = aws.client("lambda")
    found = client.get_function_configuration(FunctionName=physical_id(aws, function, name=name))
    return found["Environment"]["Variables"]


def _lifecycle(rule):
    """A rule of CloudFormation as S3's own call has it."""
    made = {"ID": rule.pop("Id"), "Filter": {"Prefix": rule.pop("Prefix", "")}}
    if "ExpirationInDays" in rule:
        made["Expiration"] = {"Days": rule.pop("ExpirationInDays")}
    return {**made, **rule}


def _bucket(aws, name, properties):
    s3 = aws.client("s3")
    s3.create_bucket(
        Bucket=name, ObjectLockEnabledForBucket=properties.pop("ObjectLockEnabled", False)
    )
    for key, value in properties.items():
        match key:
            case "ObjectLockConfiguration":
                days = value["Rule"]["DefaultRetention"]
                days["Days"] = int(days["Days"])
                s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=value)
            case "VersioningConfiguration":
                s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=value)
            case "PublicAccessBlockConfiguration":
                s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=value)
            case "OwnershipControls":
                s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=value)
            case "BucketEncryption":
                (rule,) = value["ServerSideEncryptionConfiguration"]
                rule = {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
                s3.put_bucket_encryption(
                    Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]}
                )
            case "LifecycleConfiguration":
                rules = [_lifecycle(dict(rule)) for rule in value["Rules"]]
                s3.put_bucket_lifecycle_configuration(
                    Bucket=name, LifecycleConfiguration={"Rules": rules}
                )
            case _:
                raise AssertionError(key)
    return name, f"arn:aws:s3:::{name}"


def _key(aws, _name, properties):
    made = aws.client("kms").create_key(
        KeySpec=properties.get("KeySpec", "SYMMETRIC_DEFAULT"),
        KeyUsage=properties.get("KeyUsage", "ENCRYPT_DECRYPT"),
        Description=properties["Description"],
        Policy=json.dumps(properties["KeyPolicy"]),
    )["KeyMetadata"]
    return made["KeyId"], made["Arn"]


def _secret(aws, name, properties):
    client = aws.client("secretsmanager")
    password = client.get_random_password(**properties["GenerateSecretString"])["RandomPassword"]
    made = client.create_secret(
        Name=name, Description=properties["Description"], SecretString=password
    )
    return made["ARN"], made["ARN"]


def _bus(aws, _name, properties):
    name = properties["Name"]
    return name, aws.client("events").create_event_bus(Name=name)["EventBusArn"]


def _timers(aws, _name, properties):
    name = properties["Name"]
    made = aws.client("scheduler").create_schedule_group(Name=name)
    return name, made["ScheduleGroupArn"]


# Why: moto's CloudFormation makes buckets without lock, versioning or lifecycle, every KMS key
# symmetric, and buses that nothing can refer to; it does not know secrets and groups of timers.
BY_CALLS = {
    "AWS::Events::EventBus": _bus,
    "AWS::KMS::Key": _key,
    "AWS::S3::Bucket": _bucket,
    "AWS::Scheduler::ScheduleGroup": _timers,
    "AWS::SecretsManager::Secret": _secret,
}


def _finish_table(aws, table, properties):
    """What moto's CloudFormation leaves out of a table."""
    client = aws.client("dynamodb")
    if living := properties.get("TimeToLiveSpecification"):
        client.update_time_to_live(TableName=table, TimeToLiveSpecification=living)
    if recovery := properties.get("PointInTimeRecoverySpecification"):
        client.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
