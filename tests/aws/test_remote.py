"""A grantor in another function: what it answers is held to its form, and its failures are ours."""

from __future__ import annotations

import json
import traceback

import pytest
from aws.roles import error

from chalicelib.access.grantor import Credential, Terms
from chalicelib.access.plan import Plan, Step
from chalicelib.access.profile import SHIPPED, table
from chalicelib.aws.remote import MAX_BYTES, Asked, RemoteGrantor, answer
from chalicelib.kernel import canon
from chalicelib.kernel.errors import (
    Busy,
    Conflict,
    CouldNotTell,
    HoldfastError,
    Malformed,
    NotAllowed,
    NotFound,
)

TERMS = Terms(
    lease="orders.abcdefghijkm",
    target="postgres:orders",
    role="hf_" + "a" * 26,
    holder="person:ana",
    profile_name="read-clear",
    profile=SHIPPED["read-clear"],
    tables=(table("public.orders"),),
    until="2026-10-01T02:30:00.000000Z",
)
PLAN = Plan(
    purpose="issue",
    target="postgres:orders",
    assumes={"scope": "holdfast_s_1"},
    steps=(
        Step(
            sql="CREATE ROLE {role}", identifiers={"role": ("a", "b")}, literals={"n": 1, "x": None}
        ),
    ),
)


class Body:
    def __init__(self, data):
        self.data = data

    def read(self, most):
        return self.data[:most]


class Client:
    """Lambda; ``say``: what the function answers to a payload."""

    def __init__(self, say, failed=None):
        self.say, self.failed, self.payloads = say, failed, []

    def invoke(self, FunctionName, InvocationType, Payload):  # noqa: N803 - botocore's spelling
        assert (FunctionName, InvocationType) == ("grant", "RequestResponse")
        self.payloads.append(Payload)
        said = self.say(json.loads(Payload))
        data = said if isinstance(said, bytes) else canon.encode(said)
        return {"Payload": Body(data), **({"FunctionError": self.failed} if self.failed else {})}


class Local:
    """A grantor; ``raises``: by operation."""

    def __init__(self, **raises):
        self.raises, self.asked = raises, []

    def _do(self, name, *said):
        self.asked.append((name, *said))
        if name in self.raises:
            raise self.raises[name]

    def plan(self, terms):
        self._do("plan", terms)
        return PLAN

    def issue(self, plan, terms):
        self._do("issue", plan, terms)
        return Credential("postgres", {"user": terms.role, "password": "hunter2"}, terms.until)

    def refresh(self, terms):
        self._do("refresh", terms)
        return Credential("postgres", {"password": "hunter3"}, terms.until)

    def extend(self, terms):
        self._do("extend", terms)

    def end(self, terms, step):
        step("lock")
        step("drop")
        self._do("end", terms)
        return {"gone": True}

    def orphans(self, known):
        self._do("orphans", known)
        return [TERMS]


def pair(local, check=lambda _: None):
    def say(payload):
        import msgspec

        return answer(msgspec.convert(payload, Asked), lambda _: local, check)

    client = Client(say)
    return RemoteGrantor(client, "grant", "postgres:orders"), client


def test_every_call_arrives_as_it_was_made():
    local = Local()
    remote, _ = pair(local)
    assert remote.plan(TERMS) == PLAN
    assert remote.plan(TERMS).sha256 == PLAN.sha256
    made = remote.issue(PLAN, TERMS)
    assert (made.kind, made.until) == ("postgres", TERMS.until)
    assert made.fields == {"user": TERMS.role, "password": "hunter2"}
    assert remote.refresh(TERMS).fields == {"password": "hunter3"}
    assert remote.extend(TERMS) is None
    steps = []
    assert remote.end(TERMS, steps.append) == {"gone": True}
    assert steps == ["lock", "drop"]
    assert remote.orphans({"b", "a"}) == [TERMS]
    assert local.asked == [
        ("plan", TERMS),
        ("plan", TERMS),
        ("issue", PLAN, TERMS),
        ("refresh", TERMS),
        ("extend", TERMS),
        ("end", TERMS),
        ("orphans", ["a", "b"]),
    ]


@pytest.mark.parametrize("kind", [NotFound, Conflict, CouldNotTell, NotAllowed, Busy, Malformed])
def test_an_error_of_ours_is_the_same_error_here(kind):
    remote, _ = pair(Local(end=kind("what", next_step="then")))
    steps = []
    with pytest.raises(HoldfastError) as caught:
        remote.end(TERMS, steps.append)
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.next_step) == ("what", "then")
    assert steps == ["lock", "drop"], "where it was"


def test_a_call_that_is_not_allowed_reaches_no_grantor():
    def check(_):
        raise NotAllowed("no")

    local = Local()
    remote, _ = pair(local, check)
    with pytest.raises(NotAllowed):
        remote.plan(TERMS)
    assert local.asked == []


@pytest.mark.parametrize(
    "asked",
    [
        Asked(grant="plan", target="t"),
        Asked(grant="issue", target="t", terms=TERMS),
        Asked(grant="refresh", target="t", terms=TERMS, plan=PLAN),
        Asked(grant="drop", target="t", terms=TERMS),
        Asked(grant="__init__", target="t", terms=TERMS),
    ],
)
def test_another_call_is_malformed(asked):
    local = Local()
    assert answer(asked, lambda _: local, lambda _: None)["error"]["code"] == "malformed"
    assert local.asked == []


def test_a_function_that_failed_tells_nothing_of_what_it_said():
    client = Client(lambda _: {"errorMessage": "hunter2", "stackTrace": []}, failed="Unhandled")
    remote = RemoteGrantor(client, "grant", "postgres:orders")
    with pytest.raises(CouldNotTell, match="grant failed to issue at postgres:orders") as caught:
        remote.issue(PLAN, TERMS)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"done": 1}',
        b'{"done": {"kind": "postgres", "until": "x"}}',
        b'{"done": {"kind": "postgres", "until": "x", "fields": {"password": 1}}}',
        b'{"done": {"kind": "postgres", "until": "x", "fields": [], "more": 1}}',
        b'{"error": "hunter2"}',
    ],
)
def test_an_answer_of_another_form_is_malformed(said):
    remote = RemoteGrantor(Client(lambda _: said), "grant", "postgres:orders")
    with pytest.raises(Malformed) as caught:
        remote.issue(PLAN, TERMS)
    assert "hunter2" not in caught.value.message


def test_an_answer_without_bounds_is_not_read():
    remote = RemoteGrantor(Client(lambda _: b" " * (MAX_BYTES + 1)), "grant", "postgres:orders")
    with pytest.raises(CouldNotTell):
        remote.plan(TERMS)


def test_a_function_that_may_not_be_called_is_said():
    def refuse(_):
        raise error("AccessDeniedException", "Invoke", 403)

    remote = RemoteGrantor(Client(refuse), "grant", "postgres:orders")
    with pytest.raises(CouldNotTell) as caught:
        remote.plan(TERMS)
    assert caught.value.next_step.startswith("allow Invoke to this identity")


def test_an_unknown_error_is_no_answer():
    said = {"error": {"code": "hunter", "message": "m"}}
    remote = RemoteGrantor(Client(lambda _: said), "grant", "postgres:orders")
    with pytest.raises(CouldNotTell, match="m"):
        remote.plan(TERMS)
