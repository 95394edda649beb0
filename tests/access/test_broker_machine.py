"""The broker against its model: requests and leases raced, crashed and failed at every point."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from contract import adapters
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support import broker_model
from support.broker_model import Model
from support.grants import BEN, BOT, CHLOE, DAN, EVE, STEPS, Broker, Crash, person
from support.memory import MemoryDerived, MemoryWriteOnce

from chalicelib.access import audit, lease, request, state
from chalicelib.access.principal import Kind
from chalicelib.access.request import Asked
from chalicelib.kernel import names
from chalicelib.kernel.clock import parse_timestamp, timestamp
from chalicelib.kernel.errors import (
    Conflict,
    CouldNotTell,
    Forbidden,
    HoldfastError,
    NotAllowed,
    NotFound,
    StoreUnavailable,
)

FAY = person("fay", "engineer", "approver", groups=("dba",))
ANA = person("ana", "engineer", "approver")  # who asks may agree too, to what others ask
REQUESTERS = (ANA, FAY, BOT)
APPROVERS = (
    *(BEN, CHLOE, DAN, EVE, FAY, ANA),
    person("ANA ", "approver"),
    person("\uff22en", "approver"),  # a wide B
    person("robot", "approver", kind=Kind.AGENT),
    person("bot", "approver"),
    person("agent:bot", "approver"),
    person("gus"),
)
PROFILES = {"person": ("read-clear", "write"), "agent": ("read-masked",)}
TARGET = ("plan", "issue before", "issue after", "refresh before", "refresh after", "orphans")
TARGET += ("extend before", "extend after", "end", "end after", *(f"end {one}" for one in STEPS))
RECORDS = tuple(f"record {when} {kind}" for when in ("before", "after") for kind in state.KINDS)


def around(*kinds):
    """Before and after records of these kinds."""
    return [one for one in RECORDS if one.endswith(kinds)]


def point_of_decision(point):
    """Whether a record comes next that says what somebody decided on the state as they saw it."""
    kinds = ("approved", "amended", "denied", "withdrawn", "issuing", "refreshed", "renewal")
    return point.startswith("record before") and point.endswith(kinds)


POINTS = {
    "claim": [*TARGET[:5], *around("issuing", "issued", "refreshed", "ending")],
    "end": [*TARGET[-7:], *around("ending", "ended")],
    "renew": ["extend before", "extend after", *around("renewal", "extended")],
    "sweep": [*TARGET[5:], *around("ended", "ending", "lapsed", "orphaned", "extended")],
    "decide": around("approved", "amended", "denied", "withdrawn"),
}
RIVALS = ("revoke", "sweep", "approve", "withdraw", "deny", "amend", "claim", "late sweep")


PICK = st.integers(0, 99)
WAITING = {"pending", "approved"}


def faults(op):
    """What goes wrong at which point; most of the time nothing."""
    how = (*("crash", "fail", "slow") * 3, "defect", *RIVALS)
    wrong = st.tuples(st.sampled_from(how), st.sampled_from(sorted(POINTS[op])))
    return st.one_of(st.none(), wrong)


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-broker-"))
        self.broker = Broker(self.folder, stores=self.stores(self.folder))
        self.rival = self.broker.another()
        self.model = Model()
        self.folded = state.State(self.broker.target.stream)
        self.held = {}  # credentials that were given out, by role
        self.seeds = Counter()

    def stores(self, _folder):
        return None

    @property
    def now(self):
        return timestamp(self.broker.clock.moment)

    @initialize()
    def begin(self):
        """Two that can be claimed, so that no run is about asking alone."""
        first = self._ask(ANA, "read-clear", 600)
        self._done(lambda: request.approve(*self._at(), BEN, first))
        second = self._ask(BOT, "read-masked", 600)
        self._handed_out(second, self._done(lambda: lease.claim(*self._at(), BOT, second)))

    @rule(
        who=st.sampled_from(REQUESTERS),
        seconds=st.sampled_from((60, 600, 3_600)),
        number=st.integers(0, 1),
        agreed=st.sampled_from((True, True, False)),
        fault=faults("claim"),
    )
    def ask(self, who, seconds, number, agreed, fault):
        profile = PROFILES[who.kind.value][number % len(PROFILES[who.kind.value])]
        if self._full(who):
            return
        found = self._ask(who, profile, seconds)
        for one in (BEN, CHLOE) if agreed else ():
            if self.model.requests[found].phase == "pending":
                self._done(lambda one=one: request.approve(*self._at(), one, found))
        if agreed:
            self._expect(None, fault, lambda: lease.claim(*self._at(), who, found))

    @rule(seed=st.sampled_from("ab"))
    def ask_again(self, seed):
        """The same request with the same key is one request, however often it is sent."""
        if self._full(ANA) and not self.seeds[seed]:
            return
        asked = Asked(profile="read-clear", reason="the same again", seconds=600)
        before = len(self.model.requests)
        request.ask(*self._at(), ANA, asked, seed=seed)
        self._learn()
        assert len(self.model.requests) == before + (self.seeds[seed] == 0)
        self.seeds[seed] += 1

    @rule(who=st.sampled_from((ANA, FAY)))
    def break_glass(self, who):
        self._steady()
        if self._full(who):
            return
        asked = Asked(profile="write", reason="it burns")
        found = self._done(lambda: request.ask(*self._at(), who, asked, break_glass=True))
        assert self.model.requests[found.id].phase == "approved"

    @rule(pick=PICK, who=st.sampled_from(APPROVERS), fault=faults("decide"))
    def approve(self, pick, who, fault):
        which = self._one(pick, WAITING | {"active"})
        known = self._steady(which)
        wanted = known.open(self.now)
        expected = self._may_decide(known, who, wanted is not None)
        if expected is None and names.person(who.name) in wanted.votes:
            expected = NotAllowed
        self._expect(expected, fault, lambda: request.approve(*self._at(), who, which))

    @rule(pick=PICK, who=st.sampled_from(APPROVERS), fault=faults("decide"))
    def deny(self, pick, who, fault):
        which = self._one(pick, WAITING)
        known = self._steady(which)
        waits = known.open(self.now) is not None or known.now(self.now) == "approved"
        expected = self._may_decide(known, who, waits)
        self._expect(expected, fault, lambda: request.deny(*self._at(), who, which))

    @rule(pick=PICK, who=st.sampled_from(REQUESTERS), fault=faults("decide"))
    def amend(self, pick, who, fault):
        which = self._one(pick, WAITING)
        known = self._steady(which)
        may = known.requester == who.id and known.now(self.now) in {"pending", "approved"}
        profile = "read-masked" if who is BOT else "read-clear"
        asked = Asked(profile=profile, reason="something else", seconds=300)
        expected = None if may and not known.break_glass else NotAllowed
        self._expect(expected, fault, lambda: request.amend(*self._at(), who, which, asked))
        if expected is None and fault is None:
            assert not known.wanted.votes

    @rule(pick=PICK, who=st.sampled_from(REQUESTERS), fault=faults("decide"))
    def withdraw(self, pick, who, fault):
        which = self._one(pick, WAITING)
        known = self._steady(which)
        may = known.requester == who.id and known.now(self.now) in {"pending", "approved"}
        expected = None if may else NotAllowed
        self._expect(expected, fault, lambda: request.withdraw(*self._at(), who, which))

    @rule(pick=PICK, own=st.integers(0, 9), fault=faults("claim"))
    def claim(self, pick, own, fault):
        which = self._one(pick, {"approved", "active"})
        known = self._steady(which)
        who = _owner(known) if own else next(one for one in REQUESTERS if one.id != known.requester)
        may = own and known.now(self.now) in {"approved", "active"}
        found = self._expect(
            None if may else NotAllowed, fault, lambda: lease.claim(*self._at(), who, which)
        )
        if found is not None:
            self._handed_out(which, found)

    @rule(pick=PICK, seconds=st.sampled_from((60, 900, 3_000)), fault=faults("renew"))
    def renew(self, pick, seconds, fault):
        which = self._one(pick, {"active"})
        known = self._steady(which)
        who = _owner(known)
        may = known.now(self.now) == "active" and not known.break_glass
        if may:
            until = broker_model.after(self.now, seconds)
            longest = 28_800 if who is BOT else 3_600  # own.free says nothing of a length
            may = known.until < until <= broker_model.after(known.began_at, longest)
        expected = None if may else NotAllowed
        self._expect(expected, fault, lambda: lease.renew(*self._at(), who, which, seconds))

    @rule(pick=PICK, own=st.booleans(), fault=faults("end"))
    def revoke(self, pick, own, fault):
        which = self._one(pick, {"approved", "issuing", "active", "ending"})
        known = self._steady(which)
        who = _owner(known) if own else EVE
        self._expect(None, fault, lambda: lease.revoke(*self._at(), who, which))
        if fault is None:
            assert known.now(self.now) not in {"pending", "approved", "active", "issuing"}
            assert not known.issued or known.role not in self.broker.cluster.roles

    @rule(pick=PICK, who=st.sampled_from(APPROVERS))
    def review(self, pick, who):
        which = self._one(pick, {"ended"})
        known = self._steady(which)
        waits = known.review and known.phase == "ended"
        expected = self._may_decide(known, who, waits)
        self._expect(expected, None, lambda: request.review(*self._at(), who, which, "looked"))

    @rule(
        fault=faults("sweep"),
        orphans=st.booleans(),
        seconds=st.sampled_from((0, 15, 65, 700, 3_700)),
    )
    def sweep(self, fault, orphans, seconds):
        self.broker.clock.pass_(seconds)
        self._steady()
        fired = self._run(fault, lambda: lease.sweep(*self._at(), orphans=orphans))[1]
        if not fired:
            self._swept(orphans=orphans)

    @rule(pick=PICK, fault=faults("end"))
    def finish(self, pick, fault):
        which = self._one(pick, {"ending"})
        self._run(fault, lambda: lease.finish(*self._at(), which))

    @rule(seconds=st.sampled_from((5, 65, 700, 3_700, 90_000)))
    def pass_time(self, seconds):
        self.broker.clock.pass_(seconds)

    @rule()
    def restart(self):
        """Another process takes over: nothing was kept but what was written."""
        self.broker.desk = self.broker.another()

    @invariant()
    def every_role_was_recorded_before(self):
        assert set(self.broker.cluster.roles) <= set(self.model.roles)

    @invariant()
    def what_folds_is_what_was_kept(self):
        fresh = self.folded
        assert self.broker.state == fresh
        assert list(self.broker.desk.states.check({fresh.target: fresh})) == []
        for one in self.model.requests.values():
            held = fresh.find(one.id)
            assert (held.phase.value, held.at_moment(self.now).value) == (
                one.phase,
                one.now(self.now),
            )
            assert (held.review == "open") == (one.review or _waits(one))

    @invariant()
    def nothing_due_is_missed(self):
        first = lease.due(self.broker.state)
        for one in self.model.requests.values():
            if one.now(self.now) != one.phase:
                assert first is not None
                assert first <= self.now

    @invariant()
    def no_session_outlives_its_lease(self):
        ended = {one.role for one in self.model.requests.values() if one.phase == "ended"}
        for role in ended & set(self.broker.cluster.roles):
            assert role not in self.held, "it was given out, and is there after its end"

    def teardown(self):
        self.broker.hook = lambda _point: None
        for _ in range(4):
            self.broker.clock.pass_(100_000)
            lease.sweep(*self._at())
        self._learn()
        auditor, entries = audit.Audit(), list(self.broker.log.stream(self.broker.target.stream))
        assert [one for entry in entries for one in auditor.check(entry)] == []
        assert auditor.states == {self.broker.target.stream: self.broker.state}
        assert lease.due(self.broker.state) is None
        assert self.broker.cluster.roles == {}
        assert self.broker.state.orphans == {}
        assert not any(one.phase in broker_model.OPEN for one in self.model.requests.values())
        self.broker.documents.close()
        shutil.rmtree(self.folder)

    def _at(self, desk=None):
        return desk or self.broker.desk, self.broker.target

    def _full(self, who):
        mine = [one for one in self.broker.state.requests.values() if one.principal == who.id]
        return len(mine) >= request.MAX_OPEN

    def _one(self, pick, phases):
        """A request: four times of five one in such a phase, if there is one."""
        every = list(self.model.requests.values())
        fit = [one for one in every if one.now(self.now) in phases] if pick % 5 else []
        return (fit or every)[pick // 5 % len(fit or every)].id

    def _learn(self):
        stream = self.broker.target.stream
        entries = list(self.broker.log.stream(stream, self.model.seq + 1, self.folded.index))
        self.model.learn(entries)
        state.SHAPE.grow(self.folded, entries)

    def _steady(self, which=None):
        """No deadline is nearer than a second, so that a look at the clock more decides nothing."""
        moment = self.broker.clock.moment
        near = [
            parse_timestamp(at)
            for one in self.model.requests.values()
            for at in one.deadlines
            if abs(parse_timestamp(at) - moment) < timedelta(seconds=1)
        ]
        if near:
            self.broker.clock.moment = max(near) + timedelta(seconds=1)
        return None if which is None else self.model.requests[which]

    def _ask(self, who, profile, seconds):
        self._steady()
        asked = Asked(profile=profile, reason="INC-481 refund bug", seconds=seconds)
        return self._done(lambda: request.ask(*self._at(), who, asked)).id

    def _done(self, work):
        found = work()
        self._learn()
        return found

    def _may_decide(self, known, who, waits):
        if who.kind is not Kind.PERSON or ":" in who.name or not waits:
            return NotAllowed
        if names.person(who.name) == known.own:
            return NotAllowed
        return None if "approver" in who.roles else Forbidden

    def _expect(self, expected, fault, work):
        """Run it; without a fault it has to come out as expected. Gives what it gave, if it did."""
        found, fired = self._run(fault, work)
        failed = isinstance(found, BaseException)
        if not fired:
            assert failed == (expected is not None), (expected, found)
            assert not failed or isinstance(found, expected), (expected, found)
        return None if failed else found

    def _run(self, fault, work):
        """What it gave or raised, and whether the fault came to pass."""
        fired, raced = [], []

        def hook(point):
            if fault is not None and point == fault[1] and not fired:
                fired.append(point)
                self.broker.hook = lambda _point: None
                which, seq = self.broker.desk.journal.about, self.model.seq
                self._go_wrong(fault[0], point)
                self._learn()
                raced.append(self._recorded(which, seq))

        self.broker.hook = hook
        try:
            found = work()
        except (Crash, HoldfastError, ZeroDivisionError, ExceptionGroup) as error:
            found = error
        finally:
            self.broker.hook = lambda _point: None
        self._learn()
        if fired and any(raced) and point_of_decision(fired[0]):
            assert isinstance(found, Conflict), "decided on a state that was another by then"
        return found, bool(fired)

    def _recorded(self, which, seq):
        """Whether there is a record about a request after a seq of the stream."""
        stream = self.broker.target.stream
        later = self.broker.desk.journal.stream(stream, seq + 1)
        return any(one.body.get("request") == which for one in later)

    def _go_wrong(self, how, point):
        record = point.startswith("record")
        if how == "crash":
            raise Crash
        if how == "fail":
            raise StoreUnavailable("no answer") if record else CouldNotTell("the target is away")
        if how == "defect" and not record:
            raise ZeroDivisionError
        if how == "slow":
            self.broker.clock.pass_(65)
        if how in RIVALS:
            self._rival(how)

    def _rival(self, how):
        """Somebody else is faster, at another desk over the same log."""
        self._learn()
        at = self._at(self.rival)
        asked = Asked(profile="read-clear", reason="something else", seconds=300)
        if how == "late sweep":
            self.broker.clock.pass_(65)
        for known in list(self.model.requests.values()):
            if known.phase not in broker_model.OPEN:
                continue
            work = {
                "revoke": lambda one=known: lease.revoke(*at, EVE, one.id),
                "sweep": lambda: lease.sweep(*at),
                "late sweep": lambda: lease.sweep(*at),
                "approve": lambda one=known: request.approve(*at, DAN, one.id),
                "withdraw": lambda one=known: request.withdraw(*at, _owner(one), one.id),
                "deny": lambda one=known: request.deny(*at, EVE, one.id),
                "amend": lambda one=known: request.amend(*at, _owner(one), one.id, asked),
                "claim": lambda one=known: self._rival_claim(one.id, _owner(one)),
            }[how]
            try:
                work()
            except (NotAllowed, NotFound, Conflict):
                continue
            finally:
                self._learn()

    def _rival_claim(self, which, who):
        found = lease.claim(*self._at(self.rival), who, which)
        self._learn()
        self._handed_out(which, found)

    def _handed_out(self, which, credential):
        """A credential left: the log says that it may, and it works."""
        role = credential.fields["user"]
        known = self.model.requests[which]
        assert self.model.roles[role] == which
        assert known.phase == "active"
        assert known.issued
        self.held[role] = credential
        there = self.broker.cluster.roles.get(role)
        if there is not None and there.password == credential.fields["password"]:
            assert self.broker.cluster.connect(credential) or there.until <= self.now

    def _swept(self, *, orphans):
        """After a sweep that nothing went wrong with nothing is left to do, and nothing is left."""
        first = lease.due(self.broker.state)
        assert first is None or first > self.now
        runs = {one.role for one in self.model.requests.values() if one.phase in broker_model.OPEN}
        if orphans:
            assert set(self.broker.cluster.roles) <= runs
        for one in self.model.requests.values():
            assert one.now(self.now) == one.phase


def _owner(known):
    return next(one for one in REQUESTERS if one.id == known.requester)


def _waits(known):
    """Whether a broken glass was not used yet: its review is open from the beginning."""
    return known.break_glass and known.phase in {"pending", "approved"}


class OnDynamo(Machine):
    """Heads of streams, the log's state and people's keys in DynamoDB: its swap is at stake."""

    def stores(self, folder):
        return MemoryWriteOnce(), MemoryDerived(), adapters.DOCUMENTS["aws"](folder)


UNHURRIED = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "print_blob": True,
}


def test_the_broker_is_its_model_on_sqlite():
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=30, stateful_step_count=25, **UNHURRIED)
    )


@pytest.mark.skipif(adapters.REAL, reason="a run leaves thousands of locked objects")
def test_the_broker_is_its_model_on_dynamodb(strict_aws):
    run_state_machine_as_test(
        OnDynamo, settings=settings(max_examples=8, stateful_step_count=20, **UNHURRIED)
    )
