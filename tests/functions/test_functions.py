"""The functions in this process on the emulated AWS; ``tests/deploy`` runs them as shipped."""

from __future__ import annotations

import io
import json
import logging
from datetime import timedelta

import pytest
from aws.place import Account

from chalicelib import settings, wiring
from chalicelib.aws import places
from chalicelib.drift import approval
from chalicelib.drift.desk import Target
from chalicelib.drift.look import look
from chalicelib.evidence.manifest import Filter, Period
from chalicelib.evidence.verdict import Answer
from chalicelib.functions import runtime
from chalicelib.functions.dispatch import dispatch
from chalicelib.functions.overdue import overdue
from chalicelib.functions.scan import scan
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import ConfigError, Malformed, StoreUnavailable
from chalicelib.kernel.record import Actor
from chalicelib.local.clock import SystemClock
from chalicelib.settings import edit
from chalicelib.wiring import cloud, packets

TOML = """
[aws]
region = "us-east-1"
endpoint = "{endpoint}"

[log]
key = ""

[targets.orders]
secret = "{name}"
"""
ORDERS = Target(slug="orders")


class Context:
    aws_request_id = "request"

    def get_remaining_time_in_millis(self):
        return 300_000


@pytest.fixture
def deployed(strict_aws, tmp_path, database, monkeypatch):
    """What a function finds: its environment, its settings, an opened log, a signed baseline."""
    aws = strict_aws
    aws.faults.clear()
    account = Account(aws)
    sqs, name = aws.client("sqs"), account.name
    queue = sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true"})
    aws.client("events").create_event_bus(Name=name)
    secrets = aws.client("secretsmanager")
    seal = secrets.create_secret(Name=f"{name}/seal", SecretString="s" * 64)["ARN"]
    secrets.create_secret(Name=name, SecretString=database.dsn)
    told = {
        "evidence_bucket": name,
        "derived_bucket": f"{name}-derived",
        "documents_table": name,
        "locks_table": f"{name}-locks",
        "passing_table": f"{name}-passing",
        "signing_key": account.key,
        "seal_secret": seal,
        "scan_queue": queue["QueueUrl"],
        "packet_queue": "https://sqs.us-east-1.amazonaws.com/123456789012/none.fifo",
        "event_bus": name,
        "grant_function": "test-grant",
        "lease_function": "test-lease",
        "lease_queue": "arn:aws:sqs:us-east-1:123456789012:lease",
        "lease_dead_letter_queue": "arn:aws:sqs:us-east-1:123456789012:lease-dead",
        "timer_group": "test",
        "timer_role": "arn:aws:iam::123456789012:role/timer",
        "period_minutes": "15",
    }
    for field, value in told.items():
        monkeypatch.setenv(places.variable(field), value)
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    path = tmp_path / "holdfast.toml"
    path.write_text(TOML.format(endpoint=aws.endpoint, name=name))
    loaded = settings.load(path)
    found = cloud.where(loaded.file.aws)
    vkey = cloud.open_log(loaded, found, Actor("ana", "iam"))
    assert cloud.open_log(loaded, found, Actor("ana", "iam")) == vkey
    loaded = edit.set_log_key(loaded, vkey)
    (tmp_path / "holdfast.json").write_bytes(settings.compiled(loaded))
    _forget()
    yield wiring.connect(loaded)
    _forget()


def _forget():
    for one in (runtime.loaded, runtime.services, runtime.desk, runtime.journal, runtime._bus):
        one.cache_clear()


@pytest.fixture
def said():
    """The lines of the functions' log."""
    lines = []
    inner = runtime.logger._logger
    [own] = inner.handlers

    class Listening(logging.Handler):
        def emit(self, record):
            lines.append(own.formatter.format(record))

    listening = Listening()
    inner.addHandler(listening)
    yield lines
    inner.removeHandler(listening)


def sign(services):
    seen = look(services.source(services.dsn(ORDERS)), lambda *_: None)
    approval.propose(
        services.desk,
        ORDERS,
        seen.snapshot,
        identity=seen.reading.identity,
        read_at=seen.reading.read_at,
        actor=Actor("ana", "iam"),
    )
    approval.approve(services.desk, ORDERS, actor=Actor("ben", "iam"))


def now():
    return SystemClock().now().replace(microsecond=0)


def tick(at):
    return {"time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def waiting(strict_aws):
    url = cloud.where(runtime.loaded().file.aws).scan_queue
    sqs = strict_aws.client("sqs")
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    for one in answer.get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return {
        "Records": [
            {
                "messageId": one["MessageId"],
                "body": one["Body"],
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "MessageGroupId": one["Attributes"]["MessageGroupId"],
                },
            }
            for one in answer.get("Messages", [])
        ]
    }


def outcomes(services):
    stream = services.log.stream("postgres:orders")
    return [e.body["outcome"] for e in stream if e.record.kind == "scan"]


def test_a_tick_is_dispatched_scanned_and_told(deployed, strict_aws, database, capsys, said):
    sign(deployed)
    database.run("CREATE TABLE unsigned (id int)")
    at = now() - timedelta(minutes=1)
    assert dispatch(tick(at), Context())["targets"] == 1
    messages = waiting(strict_aws)
    assert scan(messages, Context()) == {"batchItemFailures": []}
    assert scan(messages, Context()) == {"batchItemFailures": []}
    assert overdue(messages, Context()) == {"batchItemFailures": []}
    assert outcomes(deployed) == ["drift"]
    scanned = [one for one in map(json.loads, said) if one["message"] == "scanned"]
    assert [(line["outcome"], line["repeated"]) for line in scanned] == [
        ("drift", False),
        ("drift", True),
        ("drift", True),
    ]
    assert scanned[0]["events"] == scanned[1]["events"] > 0
    out = capsys.readouterr().out
    counted = [json.loads(line) for line in out.splitlines() if '"_aws"' in line]
    assert [line["Scans"] for line in counted if "Scans" in line] == [[1.0]]
    assert database.server.password not in out + "".join(said)


def test_what_no_attempt_finished_is_unknown_and_counted(deployed, strict_aws, capsys):
    dispatch(tick(now()), Context())
    assert overdue(waiting(strict_aws), Context()) == {"batchItemFailures": []}
    assert outcomes(deployed) == ["unknown"]
    assert '"Overdue":[1.0]' in capsys.readouterr().out


def test_a_secret_that_the_database_refuses_is_asked_for_anew(deployed, strict_aws, database):
    secrets, name = strict_aws.client("secretsmanager"), deployed.log.verifier.name.split("/")[0]
    good = database.dsn
    secrets.put_secret_value(SecretId=name, SecretString=good.replace("password=", "password=x"))
    first = now() - timedelta(minutes=2)
    dispatch(tick(first), Context())
    scan(waiting(strict_aws), Context())
    secrets.put_secret_value(SecretId=name, SecretString=good)
    dispatch(tick(first + timedelta(minutes=1)), Context())
    scan(waiting(strict_aws), Context())
    bodies = [e.body for e in deployed.log.stream("postgres:orders") if e.record.kind == "scan"]
    assert bodies[0]["failure"]["code"] == "authentication_failed"
    assert bodies[0]["snapshot"] is None
    assert bodies[1]["snapshot"] is not None


def test_what_is_no_order_is_dropped_and_said(deployed, capsys):
    body = {"messageId": "1", "body": "{}", "attributes": {"ApproximateReceiveCount": "1"}}
    order = json.dumps({"deadline_at": "2026-10-01T02:15:00.000000Z"})
    messages = {"Records": [body, {**body, "messageId": "2", "body": order}]}
    for function in (scan, overdue):
        assert function(messages, Context()) == {"batchItemFailures": []}
    assert outcomes(deployed) == []
    assert capsys.readouterr().out.count('"NoOrder":[1.0,1.0]') == 2


def test_a_target_that_is_configured_no_more_is_no_failure(deployed, strict_aws, said):
    dispatch(tick(now()), Context())
    messages = waiting(strict_aws)
    [one] = messages["Records"]
    one["body"] = one["body"].replace("postgres:orders", "postgres:former")
    assert scan(messages, Context()) == {"batchItemFailures": []}
    assert "not configured any more" in said[-1]


@pytest.mark.parametrize("event", [{}, {"time": "yesterday"}, {"time": 1}])
def test_another_event_than_a_schedule_s_is_refused(event):
    with pytest.raises(Malformed, match="not an event of a schedule"):
        dispatch(event, Context())


def test_places_are_told_whole_or_not_at_all(monkeypatch):
    assert places.from_environment({}) is None
    with pytest.raises(ConfigError, match="lacks HOLDFAST_DERIVED_BUCKET"):
        places.from_environment({"HOLDFAST_EVIDENCE_BUCKET": "b"})
    told = {places.output(field): "1" for field in places.FIELDS}
    assert places.of_outputs(told, "s").period_minutes == 1
    with pytest.raises(ConfigError, match="the stack s"):
        places.of_outputs({**told, "PeriodMinutes": "often"}, "s")


def test_a_stack_that_is_not_there_is_said(strict_aws):
    client = strict_aws.client("cloudformation")
    with pytest.raises(ConfigError, match="there is no stack nowhere"):
        places.from_stack(client, "nowhere")


def test_a_bucket_that_does_not_lock_is_refused(deployed, strict_aws, monkeypatch):
    strict_aws.client("s3").create_bucket(Bucket="plain")
    monkeypatch.setenv("HOLDFAST_EVIDENCE_BUCKET", "plain")
    order = {"v": 1, "target": "postgres:orders", "scheduled_at": timestamp(now())}
    with pytest.raises(StoreUnavailable, match="does not keep evidence"):
        scan({"Records": [{"messageId": "1", "body": json.dumps(order)}]}, Context())


def packet(services, period):
    out = io.BytesIO()
    closed = packets.close(services, period, Actor("ana", "iam"), lambda *_: None)
    packets.make(services, period, Filter(), closed, out=out, progress=lambda *_: None)
    return out


def test_a_packet_shows_the_scan_and_the_tick_that_nobody_served(deployed, strict_aws, database):
    sign(deployed)
    first = now() - timedelta(minutes=31)
    dispatch(tick(first), Context())
    scan(waiting(strict_aws), Context())
    dispatch(tick(first + timedelta(minutes=15)), Context())
    waiting(strict_aws)  # taken from the queue, and lost
    end = SystemClock().now()
    period = Period(timestamp(first - timedelta(minutes=5)), timestamp(end))
    out = packet(deployed, period)
    verdict = packets.check(out, deployed.settings.policy)
    assert verdict.fault is None, verdict.fault
    assert verdict.answer is Answer.VERIFIED
    (row,) = verdict.targets
    assert (row["expected"], row["observed"], row["unobserved"]) == (2, 1, 2)
    lost = timestamp(first + timedelta(minutes=15))
    late = timestamp(first + timedelta(minutes=30))
    assert verdict.gaps == [
        ["postgres:orders", lost, late, "no scan"],
        ["postgres:orders", late, period.end, "no tick"],
    ]
    # KMS signs otherwise each time, and the packet is the same file all the same.
    assert packet(deployed, period).getvalue() == out.getvalue()
