"""End to end in the package as it is deployed: a tick of the schedule in, locked evidence out.

The handlers run in processes of their own that have nothing but the unpacked zip; S3, DynamoDB,
KMS, SQS, Secrets Manager and EventBridge are the stack in the emulated AWS; PostgreSQL is real.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from support import stack

from chalicelib import settings, wiring
from chalicelib.drift import approval, schedule
from chalicelib.drift.desk import Target
from chalicelib.drift.look import look
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.record import Actor, Draft
from chalicelib.local.clock import SystemClock
from chalicelib.settings import edit
from chalicelib.wiring import cloud, packets

pytestmark = pytest.mark.xdist_group("deploy")

DRIVER = Path(__file__).with_name("lambda_driver.py")
NAME = "holdfast-prod"
ANA, BEN = Actor("ana", "iam"), Actor("ben", "iam")
ORDERS = Target(slug="orders", env="staging", approvals=1)

TOML = """
[aws]
region = "us-east-1"
endpoint = "{endpoint}"

[log]
key = ""

[targets.orders]
secret = "holdfast/orders"
env = "staging"
"""


def quiet(*_):
    pass


# Added to the settings: who may call the API with AWS credentials, and as what.
CALLERS = """
[[identity.iam]]
arn = "arn:aws:sts::123456789012:assumed-role/holdfast-people/*"

[policy.roles]
auditor = ["person:ana"]
engineer = ["person:ana"]

[profiles.read-config]
actions = ["s3:GetObject"]

[targets.config]
kind = "sts"
[targets.config.access]
role_arn = "arn:aws:iam::123456789012:role/leased"
"""
# What Lambda starts, and whose permissions it has, where the function's name does not say it.
HANDLERS = {"APIHandler": ("app", "ApiHandlerRole")}


class Function:
    """One process of a function."""

    def __init__(self, folder, environ):
        self.process = subprocess.Popen(
            [sys.executable, "-S", str(DRIVER), str(folder)],
            env=environ,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        self.log += self.process.stderr

    def ask(self, function, event, **how):
        self.process.stdin.write(json.dumps({"function": function, "event": event, **how}) + "\n")
        self.process.stdin.flush()

    def hear(self):
        return json.loads(self.process.stdout.readline())

    def call(self, function, event, **how):
        self.ask(function, event, **how)
        heard = self.hear()
        assert "answer" in heard, (heard, self.log[-5:])
        return heard["answer"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.reader.join(30)
        self.process.stdout.close()
        self.process.stderr.close()


class World:
    """A deployed installation: a stack, its settings, a signed baseline, and its functions."""

    def __init__(self, aws, unzipped, root, database):
        self.aws = aws
        self.unzipped = unzipped
        self.root = root
        self.database = database
        self.functions = []
        self.tick = SystemClock().now().replace(microsecond=0) - timedelta(minutes=5)

    def prepare(self, template, key_spec):
        self.template = template
        parameters = {"KeySpec": key_spec, "RetentionDays": "30"}
        self.outputs = stack.create_stack(self.aws, template, name=NAME, parameters=parameters)
        self.without_transformers(self.outputs["EventBus"])
        self.aws.client("secretsmanager").create_secret(
            Name="holdfast/orders", SecretString=self.database.dsn
        )
        path = self.root / "holdfast.toml"
        path.write_text(TOML.format(endpoint=self.aws.endpoint) + CALLERS)
        loaded = settings.load(path)
        vkey = cloud.open_log(loaded, cloud.where(loaded.file.aws), ANA)
        self.settings = edit.set_log_key(loaded, vkey)
        (self.root / "holdfast.json").write_bytes(settings.compiled(self.settings))
        self.services = wiring.connect(self.settings)

    def without_transformers(self, bus):
        """moto's EventBridge fails on an input template of several lines; AWS takes them."""
        events = self.aws.client("events")
        for rule in events.list_rules(EventBusName=bus)["Rules"]:
            found = events.list_targets_by_rule(Rule=rule["Name"], EventBusName=bus)["Targets"]
            ids = [one["Id"] for one in found if "InputTransformer" in one]
            if ids:
                events.remove_targets(Rule=rule["Name"], EventBusName=bus, Ids=ids)

    def sign(self):
        services = self.services
        seen = look(services.source(services.dsn(ORDERS)), quiet)
        approval.propose(
            services.desk,
            ORDERS,
            seen.snapshot,
            identity=seen.reading.identity,
            read_at=seen.reading.read_at,
            actor=ANA,
        )
        approval.approve(services.desk, ORDERS, actor=BEN)

    def function(self, logical):
        """A new process of a function, with the environment that the stack gives it."""
        environ = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_LAMBDA_FUNCTION_NAME": stack.physical_id(self.aws, logical, name=NAME),
            "LAMBDA_TASK_ROOT": str(self.root),
            "_HANDLER": f"app.{HANDLERS.get(logical, (logical.lower(),))[0]}",
            "PATH": os.environ["PATH"],
            **stack.environment(self.aws, logical, name=NAME),
        }
        self.functions.append(Function(self.unzipped, environ))
        return self.functions[-1]

    def run(self, logical, event, **how):
        """One event in a process of its own, which asks AWS for nothing that it may not."""
        self.aws.calls.clear()
        one = self.function(logical)
        asked_here = len(self.aws.calls)
        handler, role = HANDLERS.get(logical, (logical.lower(), f"{logical}Role"))
        answer = one.call(handler, event, **how)
        one.close()
        calls = set(self.aws.calls[asked_here:])
        assert calls
        assert not stack.unpermitted(self.template, role, calls)
        return answer

    def ask(self, method, path, body=None, *, resource=None, key="", who="ana"):
        """A request behind ``/iam``, as API Gateway hands it over: (status, JSON)."""
        headers = {"Content-Type": ["application/json"]} if body is not None else {}
        if key:
            headers["Idempotency-Key"] = [key]
        arn = f"arn:aws:sts::{stack.ACCOUNT}:assumed-role/holdfast-people/{who}"
        event = {
            "resource": f"/iam{resource or path}",
            "path": f"/iam{path}",
            "httpMethod": method,
            "headers": {name: one for name, (one,) in headers.items()},
            "multiValueHeaders": headers,
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": {"packet": path.rpartition("/")[2]} if resource else None,
            "stageVariables": None,
            "requestContext": {
                "resourcePath": f"/iam{resource or path}",
                "httpMethod": method,
                "path": f"/api/iam{path}",
                "requestId": "0c6a7e4e-8f52-4a4e-9d5c-1f2a3b4c5d6e",
                "identity": {"userArn": arn, "sourceIp": "192.0.2.1"},
            },
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = self.run("APIHandler", event, seconds=29)
        return answer["statusCode"], json.loads(answer["body"])

    def dispatch(self):
        event = {
            "version": "0",
            "id": "1",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": stack.ACCOUNT,
            "time": self.tick.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": stack.REGION,
            "resources": [],
            "detail": {},
        }
        return self.run("Dispatch", event)

    def received(self, queue="ScanQueue"):
        """The messages that wait, as Lambda's poller would hand them over."""
        answer = self.aws.client("sqs").receive_message(
            QueueUrl=self.outputs[queue],
            MaxNumberOfMessages=10,
            AttributeNames=["All"],
            VisibilityTimeout=0,
        )
        return batch(
            (one["MessageId"], one["Body"], one["Attributes"]["MessageGroupId"])
            for one in answer.get("Messages", [])
        )

    def done(self):
        """What Lambda does after an answer without failures."""
        self.aws.client("sqs").purge_queue(QueueUrl=self.outputs["ScanQueue"])

    def end_leases(self):
        """As if a minute had passed: what a dead process held is free."""
        client, table = self.aws.client("dynamodb"), self.outputs["LocksTable"]
        found = client.scan(TableName=table)["Items"]
        assert found
        for item in found:
            client.update_item(
                TableName=table,
                Key={"k": item["k"]},
                UpdateExpression="SET expires_at = :past",
                ExpressionAttributeValues={":past": {"N": "0"}},
            )

    def scans(self):
        return [
            e.body for e in self.services.log.stream("postgres:orders") if e.record.kind == "scan"
        ]

    def fsck(self):
        return self.services.fsck(None, quiet)

    def close(self):
        for one in self.functions:
            if one.process.poll() is None:
                one.kill()
            if not one.process.stdin.closed:
                one.close()


def batch(messages):
    return {
        "Records": [
            {
                "messageId": number,
                "receiptHandle": "handle",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "0",
                    "MessageGroupId": group,
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:scan.fifo",
                "awsRegion": "us-east-1",
            }
            for number, body, group in messages
        ]
    }


@pytest.fixture(params=["ECC_NIST_EDWARDS25519", "ECC_NIST_P256"])
def key_spec(request):
    return request.param


# What has nothing to do with a signature is tried with one of the keys.
one_key = pytest.mark.parametrize("key_spec", ["ECC_NIST_P256"])


@pytest.fixture
def world(aws, unzipped, template, tmp_path, database, monkeypatch, key_spec):  # noqa: PLR0917
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    database.run("CREATE TABLE orders (id bigint PRIMARY KEY, total numeric(10,2))")
    made = World(aws, unzipped, tmp_path, database)
    made.prepare(template, key_spec)
    yield made
    made.close()


def told(aws, world):
    """A queue that hears what the event bus is told."""
    sqs, events = aws.client("sqs"), aws.client("events")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    bus = world.outputs["EventBus"]
    events.put_rule(Name="all", EventBusName=bus, EventPattern='{"source":["holdfast"]}')
    events.put_targets(
        Rule="all", EventBusName=bus, Targets=[{"Id": "told", "Arn": arn["QueueArn"]}]
    )

    def heard():
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600)
        return [json.loads(one["Body"]) for one in answer.get("Messages", [])]

    return heard


def test_a_tick_of_the_schedule_ends_in_locked_evidence(aws, world):
    world.sign()
    heard = told(aws, world)
    assert world.dispatch() == {"scheduled_at": world.tick.isoformat(), "targets": 1}
    messages = world.received()
    assert [r["attributes"]["MessageGroupId"] for r in messages["Records"]] == ["postgres:orders"]
    assert world.run("Scan", messages) == {"batchItemFailures": []}
    world.done()
    [body] = world.scans()
    assert (body["outcome"], body["scheduled_at"]) == ("clean", timestamp(world.tick))
    assert heard() == []

    world.database.run("ALTER TABLE orders DISABLE TRIGGER ALL", "GRANT SELECT ON orders TO PUBLIC")
    world.tick += timedelta(minutes=15)
    world.dispatch()
    world.run("Scan", world.received())
    assert [body["outcome"] for body in world.scans()] == ["clean", "drift"]
    events = heard()
    assert {e["detail-type"] for e in events} == {"finding opened"}
    assert {e["detail"]["target"] for e in events} == {"postgres:orders"}
    assert "Everybody can read data" in {e["detail"]["title"] for e in events}

    # The schedule's own record, and everything under a lock that nobody lifts.
    dispatched = [e.body["targets"] for e in world.services.log.stream("schedule")]
    assert dispatched == [1, 1]
    assert not world.fsck().problems
    s3, name = aws.client("s3"), world.outputs["EvidenceBucket"]
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=name)["Contents"]]
    assert {key.split("/")[0] for key in keys} == {
        *("baseline", "log", "question", "receipt", "snapshot", "witness")
    }
    for key in keys:
        assert s3.head_object(Bucket=name, Key=key)["ObjectLockMode"] == "COMPLIANCE"


def test_a_packet_that_is_asked_for_is_built_and_fetched(aws, world):
    """Through the functions of the API and of packets, neither of which does what it may not."""
    world.sign()
    status, me = world.ask("GET", "/v1/me")
    assert (status, me["principal"]) == (200, "person:ana")
    day = f"{SystemClock().now():%Y-%m-%d}"
    asked = {"from": day, "to": day}
    status, job = world.ask("POST", "/v1/packets", asked, key="october")
    assert (status, job["state"]) == (202, "queued"), job
    again = world.ask("POST", "/v1/packets", asked, key="october")
    assert again == (202, job), "the same request is the same job"
    messages = world.received("PacketQueue")
    assert len(messages["Records"]) == 1
    assert world.run("Packet", messages) == {"batchItemFailures": []}

    where = {"resource": "/v1/packets/{packet}"}
    status, done = world.ask("GET", f"/v1/packets/{job['id']}", **where)
    assert (status, done["state"]) == (200, "done"), done
    with urllib.request.urlopen(done["url"], timeout=30) as answer:  # noqa: S310 - S3's own
        packet = answer.read()
    assert (len(packet), packet[:4]) == (done["size_bytes"], b"PK\3\4")
    assert hashlib.sha256(packet).hexdigest() == done["file_sha256"]
    verdict = packets.check(io.BytesIO(packet), world.settings.policy)
    assert verdict.fault is None

    # Somebody without a role, and an address that nobody named.
    assert world.ask("GET", f"/v1/packets/{job['id']}", who="ben", **where)[0] == 403
    reads = [e.record.actor.name for e in world.services.log.stream("reads")]
    assert reads == ["ana"], "giving the address out was recorded"


def test_a_scan_that_is_asked_for_goes_to_the_scan_function(aws, world):
    world.sign()
    status, job = world.ask("POST", "/v1/scans", {"target": "orders"}, key="now")
    assert (status, job["state"]) == (202, "queued"), job
    assert world.run("Scan", world.received()) == {"batchItemFailures": []}
    [body] = world.scans()
    assert body["outcome"] == "clean"


@one_key
def test_a_function_that_is_killed_in_a_scan_loses_and_repeats_nothing(aws, world):
    world.sign()
    world.dispatch()
    messages = world.received()
    with psycopg.connect(world.database.dsn) as blocker:
        blocker.execute("LOCK TABLE pg_catalog.pg_constraint IN ACCESS EXCLUSIVE MODE")
        killed = world.function("Scan")
        killed.ask("scan", messages)
        with psycopg.connect(world.database.server.dsn(), autocommit=True) as watching:
            seen = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holdfast'"
            for _ in range(600):
                if watching.execute(seen).fetchone()[0]:
                    break
                threading.Event().wait(0.05)
            else:
                pytest.fail(f"the scan never came to the database: {killed.log}")
        killed.kill()
    assert world.scans() == []
    # Its locks are leases. Until they end, the message comes again.
    [message] = messages["Records"]
    again = {"batchItemFailures": [{"itemIdentifier": message["messageId"]}]}
    function = world.function("Scan")
    function.ask("scan", messages)
    heard = function.hear()
    assert heard.get("error") == "BatchProcessingError" or heard["answer"] == again
    world.end_leases()
    assert function.call("scan", messages) == {"batchItemFailures": []}
    assert [body["outcome"] for body in world.scans()] == ["clean"]
    assert world.run("Scan", messages) == {"batchItemFailures": []}
    assert len(world.scans()) == 1
    assert not world.fsck().problems


def test_messages_twice_and_out_of_order_are_recorded_once_each(world):
    world.sign()
    world.dispatch()
    first = world.received()
    world.done()
    world.tick += timedelta(minutes=5)
    world.dispatch()
    second = world.received()
    [one], [two] = first["Records"], second["Records"]
    again = {**one, "messageId": "again"}
    function = world.function("Scan")
    assert function.call("scan", {"Records": [two, again]}) == {"batchItemFailures": []}
    assert function.call("scan", {"Records": [one, two]}) == {"batchItemFailures": []}
    kinds = [
        (e.record.kind, e.body["scheduled_at"])
        for e in world.services.log.stream("postgres:orders")
        if e.record.kind.startswith("scan")
    ]
    earlier = timestamp(world.tick - timedelta(minutes=5))
    assert kinds == [("scan", timestamp(world.tick)), ("scan.missed", earlier)]


@one_key
def test_a_target_without_its_secret_is_unknown_and_the_others_are_scanned(world):
    world.sign()
    world.dispatch()
    messages = world.received()
    world.aws.client("secretsmanager").delete_secret(
        SecretId="holdfast/orders", ForceDeleteWithoutRecovery=True
    )
    assert world.run("Scan", messages) == {"batchItemFailures": []}
    [body] = world.scans()
    assert (body["outcome"], body["failure"]["code"]) == ("unknown", "authentication_failed")


@one_key
def test_what_no_attempt_finished_is_unknown(world):
    world.sign()
    world.dispatch()
    messages = world.received()
    assert world.run("Overdue", messages) == {"batchItemFailures": []}
    [body] = world.scans()
    assert (body["outcome"], body["failure"]["code"]) == ("unknown", "overdue")
    assert world.run("Scan", messages) == {"batchItemFailures": []}
    assert len(world.scans()) == 1


@one_key
def test_a_database_that_stalls_is_left_before_the_function_is_stopped(world):
    world.sign()
    world.dispatch()
    with psycopg.connect(world.database.dsn) as blocker:
        blocker.execute("LOCK TABLE pg_catalog.pg_constraint IN ACCESS EXCLUSIVE MODE")
        function = world.function("Scan")
        answer = function.call("scan", world.received(), seconds=43)
    assert answer == {"batchItemFailures": []}
    [body] = world.scans()
    assert (body["outcome"], body["failure"]["code"]) == ("unknown", "connection_lost")


def test_a_bucket_without_a_lock_is_refused(aws, world):
    name = "unlocked"
    aws.client("s3").create_bucket(Bucket=name)
    function = world.function("Scan")
    function.close()
    environ = stack.environment(aws, "Scan", name=NAME) | {"HOLDFAST_EVIDENCE_BUCKET": name}
    refused = Function(
        world.unzipped,
        {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "LAMBDA_TASK_ROOT": str(world.root),
            **environ,
        },
    )
    world.functions.append(refused)
    order = schedule.Order(
        1, "postgres:orders", timestamp(world.tick), timestamp(world.tick + timedelta(minutes=15))
    )
    refused.ask("scan", batch([("1", schedule.encode(order).decode(), "postgres:orders")]))
    heard = refused.hear()
    assert heard["error"] == "StoreUnavailable"
    assert "does not keep evidence" in heard["message"]


READ = {"actions": ["s3:GetObject"]}
LEASE = "config.abcdefghijkm"


def lease_that_is_over(world):
    """A lease of a role, as its records have it, whose time was over a second ago."""
    now = SystemClock().now()
    ask = {
        "request": LEASE,
        "principal": "person:ana",
        "break_glass": False,
        "seed": "",
        "profile": "read-config",
        "gives": READ,
        "tables": [],
        "resources": [],
        "seconds": 900,
        "reason": "INC-1 look",
        "ticket": "",
        "policies": [],
        "policy": "",
        "obligations": {"approvals": 0, "groups": []},
        "lapses_at": timestamp(now),
    }
    issuing = {"request": LEASE, "role": "hf_" + "a" * 26, "profile": READ, "sha256": ""}
    issuing |= {"until": timestamp(now - timedelta(seconds=1)), "plan": {"assumes": {}}}
    bodies = [
        ("access.requested", ask),
        ("lease.issuing", issuing),
        ("lease.issued", {"request": LEASE, "role": "hf_" + "a" * 26}),
    ]
    drafts = [Draft(kind, "access:config", timestamp(now), ANA, body) for kind, body in bodies]
    world.services.log.append(drafts)


def sweep(world):
    return world.run("Lease", {"source": "aws.events", "time": "2026-10-01T02:01:00Z"})


def test_the_shipped_function_ends_leases_and_tells_of_them(aws, world):
    iam = aws.client("iam")
    iam.create_role(RoleName="leased", AssumeRolePolicyDocument="{}")
    assert sweep(world) == {"targets": 1, "failed": 0, "told": 0}
    heard = told(aws, world)
    lease_that_is_over(world)
    assert sweep(world)["told"] == 5
    kinds = [one.record.kind for one in world.services.log.stream("access:config")]
    assert kinds[-2:] == ["lease.ending", "lease.ended"]
    [policy] = iam.list_role_policies(RoleName="leased")["PolicyNames"]
    assert "hf_aaaa" in str(iam.get_role_policy(RoleName="leased", PolicyName=policy))
    types = [one["detail-type"] for one in heard()]
    assert types == ["access requested", *(f"lease {one}" for one in STEPS)]
    assert not world.fsck().problems


STEPS = ("issuing", "issued", "ending", "ended")


@one_key
def test_a_role_that_is_leased_is_dispatched_to_no_scan(world):
    assert world.dispatch()["targets"] == 1
