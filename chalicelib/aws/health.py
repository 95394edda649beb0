"""Health: whether a stack that is there is as it must be. Reads and changes nothing.

``ACTIONS`` are the IAM actions this needs, on the stack's resources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws import changes
from chalicelib.aws.bucket import MODE, retention
from chalicelib.aws.checks import Check, Verdict, Wrong, asked, unanswered, wrong
from chalicelib.aws.failures import translated
from chalicelib.aws.places import FIELDS, output
from chalicelib.aws.preflight import DEFAULTS, secret_there
from chalicelib.kernel.errors import HoldfastError, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.changes import Stack
    from chalicelib.aws.preflight import Clients

ACTIONS: Final = (
    "cloudformation:DescribeStacks",
    "cloudwatch:DescribeAlarms",
    "dynamodb:DescribeTable",
    "kms:DescribeKey",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketVersioning",
    "secretsmanager:DescribeSecret",
    "sns:ListSubscriptionsByTopic",
    "sqs:GetQueueAttributes",
)

_TOLD: Final = (
    "DeadLetterQueue",
    "PacketDeadLetterQueue",
    "AlarmTopic",
    "NoticeTopic",
    "ApiAddress",
)
OUTPUTS: Final = (*map(output, FIELDS), *_TOLD)


def look(clients: Clients, name: str, *, opened: bool) -> Iterator[Check]:
    """What a stack must be like; of one that is not there, that. ``opened``: the log has a key."""
    try:
        found = changes.stack(clients("cloudformation"), name)
        changes.check_changeable(found)
    except HoldfastError as error:
        yield unanswered("stack", error)
        return
    if found is None or found.status == changes.SHELL:
        yield Check("stack", Verdict.OK, f"{name} is not there yet; holdfast aws deploy makes it")
        return
    yield from _deployed(clients, found, opened=opened)


def _deployed(clients: Clients, found: Stack, *, opened: bool) -> Iterator[Check]:
    places = found.outputs
    if missing := [name for name in OUTPUTS if not places.get(name)]:
        yield wrong("stack", f"no output {', '.join(missing)}", "holdfast aws deploy")
        return
    yield Check("stack", Verdict.OK, f"{found.name} is {found.status}")
    if opened:
        yield Check("log", Verdict.OK, "opened; its key is in the settings")
    else:
        yield wrong("log", "not opened: the settings have no key", "holdfast aws deploy")
    chosen = {**DEFAULTS, **found.parameters}
    bucket, s3 = places["EvidenceBucket"], clients("s3")
    yield asked("object lock", lambda: _object_lock(s3, bucket, chosen["RetentionDays"]))
    yield asked("versioning", lambda: _versioning(s3, bucket))
    yield asked("key", lambda: _key(clients("kms"), places["SigningKey"]))
    yield asked(
        "seal secret", lambda: secret_there(clients("secretsmanager"), places["SealSecret"])
    )
    for name in ("DocumentsTable", "LocksTable", "PassingTable"):
        table = places[name]
        yield asked(f"table {name}", lambda: _table(clients("dynamodb"), table))  # noqa: B023
    sqs = clients("sqs")
    yield asked("scan queue", lambda: f"{_waiting(sqs, places['ScanQueue'])} messages wait")
    yield asked("dead letters", lambda: _dead(_waiting(sqs, places["DeadLetterQueue"])))
    yield asked("packet queue", lambda: f"{_waiting(sqs, places['PacketQueue'])} messages wait")
    lost = places["PacketDeadLetterQueue"]
    yield asked("dead packets", lambda: _unbuilt(_waiting(sqs, lost)))
    yield Check("api", Verdict.OK, places["ApiAddress"])
    yield asked("alarms", lambda: _alarms(clients("cloudwatch"), found.name))
    yield asked("alarm topic", lambda: _heard(clients("sns"), places["AlarmTopic"]))


def _object_lock(client: Any, bucket: str, retention_days: str) -> str:
    with translated(f"read the Object Lock of {bucket}", NotPermitted):
        mode, days = retention(client, bucket) or ("", 0)
    if mode != MODE:
        raise Wrong(
            f"{bucket} does not lock what is written to it", "stop the schedule; docs/operate.md"
        )
    if days < int(retention_days):
        raise Wrong(
            f"{bucket} locks for {days} days; the stack says {retention_days}",
            "somebody changed it outside of the stack: holdfast aws deploy, and find out who",
        )
    return f"{mode}, {days} days, on {bucket}"


def _versioning(client: Any, bucket: str) -> str:
    with translated(f"read the versioning of {bucket}", NotPermitted):
        found = client.get_bucket_versioning(Bucket=bucket).get("Status", "off")
    if found != "Enabled":
        raise Wrong(f"versioning is {found}", "stop the schedule; docs/operate.md")
    return "on"


def _key(client: Any, arn: str) -> str:
    with translated("describe the signing key", NotPermitted):
        found = client.describe_key(KeyId=arn)["KeyMetadata"]
    if found["KeyState"] == "PendingDeletion":
        raise Wrong(
            f"{arn} is scheduled for deletion on {found.get('DeletionDate')}",
            f"at once: aws kms cancel-key-deletion --key-id {arn}; aws kms enable-key --key-id "
            f"{arn}",
        )
    if found["KeyState"] != "Enabled":
        raise Wrong(f"{arn} is {found['KeyState']}", f"aws kms enable-key --key-id {arn}")
    return f"{found.get('KeySpec', 'asymmetric')}, enabled"


def _table(client: Any, name: str) -> str:
    with translated(f"describe the table {name}", NotPermitted):
        found = client.describe_table(TableName=name)["Table"]["TableStatus"]
    if found not in {"ACTIVE", "UPDATING"}:
        raise Wrong(f"{name} is {found}", "docs/operate.md, Restore")
    return f"{name} is {found}"


def _waiting(client: Any, url: str) -> int:
    name = "ApproximateNumberOfMessages"
    with translated("ask a queue how many messages wait", NotPermitted):
        found = client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    return int(found["Attributes"][name])


def _dead(count: int) -> str:
    if count:
        raise Wrong(
            f"{count} failed scans wait to be recorded as unknown", "docs/operate.md, Dead letters"
        )
    return "none"


def _unbuilt(count: int) -> str:
    if count:
        raise Wrong(
            f"{count} packets could not be built in three attempts",
            "docs/operate.md, Packets that could not be built",
        )
    return "none"


def _alarms(client: Any, stack: str) -> str:
    names: list[str] = []
    token: dict[str, str] = {}
    with translated("read the alarms", NotPermitted):
        while True:
            page = client.describe_alarms(AlarmNamePrefix=stack, StateValue="ALARM", **token)
            names += [one["AlarmName"] for one in page["MetricAlarms"]]
            if not page.get("NextToken"):
                break
            token = {"NextToken": page["NextToken"]}
    if names:
        raise Wrong(f"in alarm: {', '.join(sorted(names))}", "docs/operate.md, Alarms")
    return "none in alarm"


def _heard(client: Any, topic: str) -> str:
    with translated("read who is told of alarms", NotPermitted):
        found = client.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    heard = [one for one in found if one["SubscriptionArn"].startswith("arn:")]
    if not heard:
        waits = "; one waits to be confirmed" if found else ""
        raise Wrong(
            f"nobody is told of alarms{waits}",
            "confirm it in the e-mail from AWS"
            if found
            else "holdfast aws deploy --parameter AlarmEmail=ADDRESS",
        )
    return f"{len(heard)} confirmed"
