"""What a timer says."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from chalicelib.access.grantor import Terms
from chalicelib.access.profile import Profile
from chalicelib.access.timers import NoTimers, TimedGrantor, decode, encode
from chalicelib.kernel.errors import Malformed, StoreUnavailable

LEASE = "orders-prod.abcdefghijkm"


def test_a_timer_names_its_lease_and_nothing_else():
    assert encode(LEASE) == b'{"lease":"orders-prod.abcdefghijkm","v":1}'
    assert decode(encode(LEASE)) == LEASE


@pytest.mark.parametrize("lease", ["", "orders-prod", "orders-prod.short", "a/b.abcdefghijkm"])
def test_what_is_no_lease_is_refused(lease):
    with pytest.raises(ValueError, match="not a lease's id"):
        encode(lease)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"lease":1,"v":1}',
        b'{"lease":"orders-prod.abcdefghijkm"}',
        b'{"lease":"orders-prod.abcdefghijkm","v":2}',
        b'{"v":1,"lease":"orders-prod.abcdefghijkm"}',
        b'{"lease":"orders-prod.abcdefghijkm","v":1,"x":1}',
        b'{"lease":"orders-prod.abcdefghijkm","v":1} ',
        b'{"lease":"../orders.abcdefghijkm","v":1}',
        b'{"lease":"' + b"a" * 600 + b'","v":1}',
    ],
)
def test_another_message_is_refused(message):
    with pytest.raises(Malformed):
        decode(message)


UNTIL = "2026-10-01T02:30:00.000000Z"
TERMS = Terms(
    lease=LEASE,
    target="postgres:orders-prod",
    role="hf_a",
    holder="person:ana",
    profile_name="read",
    profile=Profile(),
    until=UNTIL,
)


class Both:
    """Timers, and a grantor; what was asked of them, in order."""

    def __init__(self, *, broken=False):
        self.asked, self.broken = [], broken

    def _told(self, *said):
        self.asked.append(said)
        if self.broken and said[0] in {"wake", "forget"}:
            raise StoreUnavailable("no scheduler")

    def wake(self, lease, at):
        self._told("wake", lease, at)

    def forget(self, lease):
        self._told("forget", lease)

    def issue(self, plan, terms):
        self._told("issue")
        return "credential"

    def extend(self, terms):
        self._told("extend")

    def end(self, terms, step):
        self._told("end")
        return {"gone": True}

    def plan(self, terms):
        return "plan"

    def refresh(self, terms):
        return "another"

    def orphans(self, known):
        return [known]


AT = datetime(2026, 10, 1, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize("broken", [False, True])
def test_a_lease_has_a_timer_before_it_is_made_and_none_after_it_ended(broken):
    both = Both(broken=broken)
    timed = TimedGrantor(both, both)
    assert timed.plan(TERMS) == "plan"
    assert timed.issue("plan", TERMS) == "credential"
    assert timed.refresh(TERMS) == "another"
    assert timed.extend(TERMS) is None
    assert timed.end(TERMS, lambda _: None) == {"gone": True}
    assert timed.orphans("known") == ["known"]
    assert both.asked == [
        ("wake", LEASE, AT),
        ("issue",),
        ("wake", LEASE, AT),
        ("extend",),
        ("end",),
        ("forget", LEASE),
    ]


def test_an_orphan_of_another_name_has_no_timer():
    both = Both()
    TimedGrantor(both, both).end(msgspec.structs.replace(TERMS, lease="'; DROP"), lambda _: None)
    assert both.asked == [("end",)]


def test_without_timers_nothing_happens():
    assert NoTimers().wake(LEASE, None) is None
    assert NoTimers().forget(LEASE) is None
