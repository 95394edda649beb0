"""A scheduled scan on AWS whose every request fails once: delivered again, it is recorded once.

Faults come through botocore's event hooks here, as a client sees them: ``before-send`` answers in
AWS's place, or sends and then loses the answer. ``test_faults.py`` has them at the other end of the
wire.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from aws.place import Account
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from support.desk import ANA, BEN, CHLOE, START, HandClock, MemorySource, propose_state, quiet

from chalicelib.aws.events import EventBridgeEvents
from chalicelib.drift import approval, schedule
from chalicelib.drift.desk import Desk, Target
from chalicelib.drift.judge import load as load_rules
from chalicelib.drift.snapshot import Object
from chalicelib.drift.state import States
from chalicelib.evidence import note
from chalicelib.evidence.fsck import fsck
from chalicelib.evidence.group import GroupJournal
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import KeyUnusable, StoreUnavailable
from chalicelib.kernel.remembered import RememberedWriteOnce
from chalicelib.kernel.sealed import SealedDocuments

TARGET = Target(slug="orders", approvals=1)
SECRET = b"s" * 32
PERIOD = timedelta(minutes=15)


class Hooks:
    """Request number ``at`` of a process goes wrong; counts them."""

    def __init__(self, kind="", at=0):
        self.kind = kind
        self.at = at
        self.seen = 0

    def watch(self, client):
        def send(request, **_):
            self.seen += 1
            return self.fault(client, request) if self.seen == self.at else None

        client.meta.events.register_first("before-send", send)
        return client

    def fault(self, client, request):
        service = client.meta.service_model.service_name
        match self.kind:
            case "throttled":
                code = "SlowDown" if service == "s3" else "ThrottlingException"
                return answer(request, service, 503 if service == "s3" else 400, code)
            case "expired":
                code = "ExpiredToken" if service == "s3" else "ExpiredTokenException"
                return answer(request, service, 400, code)
            case "failed":
                return answer(request, service, 500, "InternalError")
            case "lost":  # it has its effect, and nobody hears of it
                client._endpoint.http_session.send(request)
                raise ConnectionClosedError(endpoint_url=request.url)
            case "late":
                client._endpoint.http_session.send(request)
                raise ReadTimeoutError(endpoint_url=request.url)
        raise AssertionError(self.kind)


def answer(request, service, status, code):
    if service == "s3":
        text = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    else:
        text = json.dumps({"__type": code, "message": "no"})
    raw = type("Raw", (), {"stream": lambda _: iter([text.encode()])})()
    return AWSResponse(request.url, status, {"x-amzn-errortype": code}, raw)


class Clients:
    """Clients of an account, with faults in them; making them takes longer than a scan."""

    def __init__(self, account, bus, hooks):
        self.ports = ports = account.ports(attempts=1)
        for adapter in (ports.writeonce, ports.derived, ports.documents, ports.signer, ports.locks):
            hooks.watch(adapter._client)
        events = hooks.watch(account.aws.client("events", attempts=1))
        self.events = EventBridgeEvents(events, bus, pause=lambda _: None)


class Process:
    """One process of the scan function: nothing is remembered from another."""

    def __init__(self, clients, clock):
        ports = clients.ports
        verifier = note.verifier("test.example/log", ports.signer.public)
        self.objects = RememberedWriteOnce(ports.writeonce)
        self.derived = ports.derived
        self.documents = SealedDocuments(ports.documents, SECRET)
        self.log = Log(
            writeonce=self.objects,
            derived=ports.derived,
            documents=self.documents,
            signer=ports.signer,
            keys=keyring([LogKey(verifier)]),
            tool="test/0",
            pause=lambda _: None,
        )
        self.verifier = verifier
        self.desk = Desk(
            journal=GroupJournal(self.log),
            objects=self.objects,
            states=States(self.log, ports.derived, SECRET),
            locks=ports.locks,
            clock=clock,
            signer=ports.signer,
            keyid=str(verifier),
            trusted=keyring([LogKey(verifier)]).of_record,
            rules=load_rules(),
            tool="test/0",
        )
        self.events = clients.events

    def deliver(self, source, tick):
        at = START + tick * PERIOD
        self.desk.clock.moment = max(self.desk.clock.moment, at)
        order = schedule.Order(1, TARGET.stream, timestamp(at), timestamp(at + timedelta(days=2)))
        done = schedule.work(self.desk, TARGET, order, source, actor=CHLOE, progress=quiet)
        self.events.publish(schedule.events(done, "test"))
        return done


@pytest.fixture
def clock():
    return HandClock()


# Requests first, first + step … go wrong: those that fail before their effect share the requests,
# and so do those whose answer is lost after it.
@pytest.mark.parametrize(
    ("kind", "first", "step"),
    [("throttled", 1, 3), ("failed", 2, 3), ("expired", 3, 3), ("lost", 1, 2), ("late", 2, 2)],
)
def test_a_scan_that_fails_at_any_request_is_recorded_once(aws, clock, kind, first, step):
    account = Account(aws)
    bus = aws.client("events").create_event_bus(Name=f"bus-{account.name}")["EventBusArn"]
    bus = bus.rsplit("/", 1)[1]
    source = MemorySource(clock, [Object("table", "public.orders", {"owner": "app"})])
    hooks = Hooks(kind)
    faulty = Clients(account, bus, hooks)
    sane = Process(Clients(account, bus, Hooks()), clock)
    propose_state(sane.desk, TARGET, source, actor=ANA)
    approval.approve(sane.desk, TARGET, actor=BEN)
    failed = 0
    ticks = []
    for tick in range(first, 140, step):
        ticks.append(tick)
        source.put("table", "public.orders", owner=f"owner {len(ticks) % 2}")
        process = Process(faulty, clock)
        hooks.at = hooks.seen + tick  # making the process asks for its key
        try:
            done = process.deliver(source, tick)
        except (StoreUnavailable, KeyUnusable):
            failed += 1
            free(account)
            done = sane.deliver(source, tick)
        assert schedule.events(done, "test")
        if hooks.seen < hooks.at:
            break
    else:
        pytest.fail("a scan of 140 requests")
    assert failed > 10 / step
    bodies = [e.body for e in sane.log.stream(TARGET.stream) if e.record.kind == "scan"]
    assert [body["scheduled_at"] for body in bodies] == [
        timestamp(START + number * PERIOD) for number in ticks
    ]
    assert {body["outcome"] for body in bodies} == {"drift"}
    report = fsck(
        writeonce=sane.objects,
        derived=sane.derived,
        documents=sane.documents,
        keys=keyring([LogKey(sane.verifier)]),
    )
    assert report.ok, report.problems


def free(account):
    """As if the dead process's lease had ended."""
    client, table = account.aws.client("dynamodb"), f"{account.name}-locks"
    for item in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={"k": item["k"]})
