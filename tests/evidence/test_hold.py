"""Holds: which objects they are on, what they block, and how a crash is finished."""

from __future__ import annotations

import msgspec
import pytest
from evidence.people import ALICE, WHY, Clock, People
from evidence.place import AT, draft
from support.memory import MemoryWriteOnce

from chalicelib.evidence import anchor, hold, layout
from chalicelib.evidence.personal import Visibility
from chalicelib.evidence.retention import Retention
from chalicelib.kernel import canon
from chalicelib.kernel.errors import (
    Conflict,
    Malformed,
    Missing,
    NotAllowed,
    NotFound,
    UsageError,
)
from chalicelib.kernel.record import Draft


@pytest.fixture
def people(tmp_path):
    made = People(tmp_path / "log")
    yield made
    made.place.close()


def place_hold(people, **on):
    return hold.place(people.log, people.clock, reason="matter 7", actor=ALICE, **on)


def release(people, held):
    return hold.release(people.log, people.clock, held, reason="settled", actor=ALICE)


def objects(people, *holds, refers=lambda _: ()):
    return hold.objects(people.log, people.place.writeonce, list(holds), refers)


def packet(first, last, *streams):
    return hold.Packet("ab" * 32, first, last, list(streams))


def grown(people):
    """Batches 0, 1-2, 3, 4-5 (a large body), 6; streams a and b."""
    people.log.append([draft(0, "a")])
    people.log.append([draft(1, "b"), draft(2, "a")])
    people.log.append([draft(3, "b")])
    people.log.append([draft(4, "a", large="x" * 70_000), draft(5, "b")])
    people.log.append([draft(6, "a")])
    return people


def test_holds_in_force_are_what_the_records_add_up_to(people):
    grown(people)
    assert hold.effective(people.log) == []
    first, second = place_hold(people, stream="a"), place_hold(people, packet=packet(1, 3))
    assert hold.effective(people.log) == [first, second]
    entry = release(people, first)
    assert (entry.record.kind, entry.record.stream) == ("hold.released", "log")
    assert entry.body == {"hold": first.id, "reason": "settled"}
    assert hold.effective(people.log) == [second]
    released = hold.fold(people.log)[first.id]
    assert released.released
    assert release(people, released) is None
    assert (second.by, second.what) == (ALICE, f"packet {'ab' * 32}, records 1 to 2")
    people.fsck()


def test_a_stream_s_objects_are_all_that_prove_its_records(people):
    grown(people)
    people.log.append([draft(7, "b")])
    key = anchor.cosignature_key(3, b"\1\2\3\4")
    other = anchor.cosignature_key(8, b"\1\2\3\4")
    for one in (key, other, layout.handover(4)):
        people.place.writeonce.put(one, b"x")
    entry = next(people.log.read(4, 5))
    held = place_hold(people, stream="a")
    assert objects(people, held, refers=lambda e: [f"of/{e.index}"]) == {
        *(layout.batch(at) for at in (0, 1, 4, 6)),
        *(layout.checkpoint(size) for size in (1, 3, 4, 6, 7)),
        layout.body(entry.record.body_ref.sha256),
        *(f"of/{index}" for index in (0, 2, 4, 6)),
        layout.handover(4),
        key,
    }


def test_a_packet_s_objects_are_those_of_its_range(people):
    grown(people)
    both = place_hold(people, packet=packet(1, 5, "b"))
    found = objects(people, both, refers=lambda e: [f"of/{e.index}"])
    assert found == {
        *(layout.batch(at) for at in (1, 3, 4)),
        *(layout.checkpoint(size) for size in (1, 3, 4, 6)),
        "of/1",
        "of/3",
    }
    everything = place_hold(people, packet=packet(4, 5))
    assert layout.batch(4) in objects(people, everything)
    assert any(key.startswith("body/") for key in objects(people, everything))


def test_a_packet_beside_a_stream_does_not_widen_it(people):
    grown(people)
    of_a, of_packet = place_hold(people, stream="a"), place_hold(people, packet=packet(0, 1))
    alone = objects(people, of_a)
    assert objects(people, of_a, of_packet) == alone
    assert layout.batch(3) not in alone


def test_objects_are_held_once_and_what_another_hold_is_on_stays_held(people):
    grown(people)
    store = people.place.writeonce
    of_a, of_b = place_hold(people, stream="a"), place_hold(people, stream="b")
    told = []
    added = hold.put_on(store, objects(people, of_a), lambda *at: told.append(at))
    assert (added, told[-1]) == (len(told), (added, added))
    assert hold.put_on(store, objects(people, of_a)) == 0
    hold.put_on(store, objects(people, of_b))
    freed = hold.take_off(store, objects(people, of_a) - objects(people, of_b))
    assert freed > 0
    assert all(store.held(key) for key in objects(people, of_b))
    assert not store.held(layout.batch(0))


@pytest.mark.parametrize("call", [hold.put_on, hold.take_off])
def test_an_object_that_is_gone_is_named_after_all_others_were_dealt_with(call):
    store = MemoryWriteOnce()
    for key in ("a", "c"):
        store.put(key, b"x")
        if call is hold.take_off:
            store.hold(key)
    with pytest.raises(Missing, match=r"1 of the objects .* the first b; all others"):
        call(store, ["a", "b", "c"])
    assert {store.held(key) for key in ("a", "c")} == {call is hold.put_on}


def test_a_hold_on_a_stream_blocks_an_erasure_and_is_named(people):
    entry = people.write()
    held = place_hold(people, stream="postgres:orders")
    with pytest.raises(NotAllowed, match=r"by alice on 2026-11-23 \(matter 7") as caught:
        people.erase()
    assert held.id[:14] in caught.value.message
    assert people.shown(entry).state is Visibility.OPEN
    release(people, held)
    assert people.erase().records == 1


def test_a_hold_on_another_stream_blocks_nothing(people):
    people.write()
    people.log.append([draft(1, "other")])
    place_hold(people, stream="other")
    assert people.erase().records == 1


@pytest.mark.parametrize(
    ("first", "last", "streams", "blocked"),
    [
        (0, 5, [], True),
        (1, 2, [], True),
        (2, 5, [], False),
        (0, 1, [], False),
        (0, 5, ["postgres:orders"], True),
        (0, 5, ["postgres:billing"], False),
    ],
)
def test_a_packet_blocks_an_erasure_of_what_it_has(people, first, last, streams, blocked):
    people.log.append([draft(0)])
    people.write()
    people.log.append([draft(2), draft(3), draft(4)])
    place_hold(people, packet=packet(first, last, *streams))
    if blocked:
        with pytest.raises(NotAllowed, match="record 1, with a value"):
            people.erase()
    else:
        assert people.erase().records == 1


def test_a_hold_is_on_something_that_is_there_and_has_a_reason(people):
    grown(people)
    with pytest.raises(NotFound, match="no stream 'c'"):
        place_hold(people, stream="c")
    for on in ({}, {"stream": "a", "packet": packet(0, 1)}):
        with pytest.raises(UsageError, match="a stream, or on a packet"):
            place_hold(people, **on)
    for reason in ("", "  x ", "x" * 2_001):
        with pytest.raises(UsageError, match="3 to 2000"):
            hold.place(people.log, people.clock, stream="a", reason=reason, actor=ALICE)
    assert hold.fold(people.log) == {}


def test_holds_are_found_by_the_beginning_of_their_names(people):
    grown(people)
    held = place_hold(people, stream="a")
    assert hold.find([held], held.id[:8]) == held
    twin = msgspec.structs.replace(
        held, placed=msgspec.structs.replace(held.placed, hold=held.id[:-1] + "x")
    )
    with pytest.raises(NotFound, match="of 2 holds"):
        hold.find([held, twin], held.id[:8])
    for name in ("", "H-", held.id[:5], "H-0000000"):
        with pytest.raises(NotFound):
            hold.find([held], name)


def test_a_record_in_between_does_not_lose_the_hold(people):
    grown(people)

    class Late:
        """A journal in which the stream goes on just before the first append."""

        def __init__(self, inner, times):
            self.inner, self.times = inner, times

        def append(self, drafts, *, after):
            if self.times:
                self.times -= 1
                self.inner.append([draft(9, "log")])
            return self.inner.append(drafts, after=after)

        def __getattr__(self, name):
            return getattr(self.inner, name)

    held = hold.place(Late(people.log, 2), Clock(), stream="a", reason=WHY, actor=ALICE)
    assert [one.id for one in hold.effective(people.log)] == [held.id]
    with pytest.raises(Conflict, match="nothing was recorded"):
        hold.place(Late(people.log, 99), Clock(), stream="a", reason=WHY, actor=ALICE)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("hold.placed", {"hold": "H-1"}),
        ("hold.placed", {"hold": 1, "stream": None, "packet": None, "reason": ""}),
        ("hold.released", {"hold": "H-1", "reason": "of nothing"}),
        ("hold.released", {}),
    ],
)
def test_a_record_of_another_shape_stops_the_fold(people, kind, body):
    people.log.append([Draft(kind, "log", AT, ALICE, body)])
    with pytest.raises(Malformed, match=f"record 0 is not a {kind}"):
        hold.effective(people.log)


def manifest(**changed):
    value = {
        "v": 1,
        "origin": "test.example/log",
        "range": {"first": 2, "last": 5},
        "filter": {"targets": ["postgres:b", "postgres:a"], "kinds": []},
        "files": {},
    }
    return canon.encode({**value, **changed})


def test_a_packet_is_named_by_its_manifest():
    data = manifest()
    found = hold.packet(data, origin="test.example/log", size=5)
    assert found == hold.Packet(canon.sha256(data), 2, 5, ["postgres:a", "postgres:b"])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Malformed),
        (b"[]", Malformed),
        (b'{"a": 1}', Malformed),
        (manifest() + b" ", Malformed),
        (manifest(range={"first": "2", "last": 5}), Malformed),
        (manifest(range={"first": 2}), Malformed),
        (manifest(filter={"targets": [1]}), Malformed),
        (manifest(origin="other.example/log"), UsageError),
        (manifest(range={"first": 2, "last": 6}), UsageError),
        (manifest(range={"first": -1, "last": 3}), UsageError),
        (manifest(range={"first": 3, "last": 3}), UsageError),
        (b" " * (16 * 2**20 + 1), Malformed),
    ],
    ids=range(12),
)
def test_a_manifest_of_anything_else_is_refused(data, error):
    with pytest.raises(error):
        hold.packet(data, origin="test.example/log", size=5)


def test_the_days_of_a_kind_are_those_of_its_longest_name():
    days = Retention(30, {"finding": 400, "finding.opened": 500, "scan": 0})
    found = {
        kind: days.days(kind)
        for kind in ("finding", "finding.closed", "finding.opened", "findings", "scan", "x")
    }
    assert found == {
        "finding": 400,
        "finding.closed": 400,
        "finding.opened": 500,
        "findings": 30,
        "scan": 0,
        "x": 30,
    }
    assert (days.most, Retention().most) == (500, 0)
    assert days.days_of([b'{"kind":"x"}', b'{"kind":"finding.a","v":1}']) == 400
    assert days.days_of([b'{"kind":"scan"}']) == 0
    assert Retention(30).days_of([b"not looked at"]) == 30
    for leaf in (b"", b"{}", b'{"kind":1}'):
        with pytest.raises(Malformed, match="not a record"):
            days.days_of([leaf])


def test_what_a_record_needs_is_kept_for_the_days_of_its_kind(places):
    days = Retention(10, {"scan": 400, "note": 2_000})
    store = MemoryWriteOnce()
    place = places(wrap=lambda ports: {**ports, "writeonce": store, "retention": days})
    place.append(0, large="x" * 70_000)
    place.log.append(
        [draft(1), Draft("note", "n", AT, ALICE, {}), Draft("other", "n", AT, ALICE, {})]
    )
    place.log.append([Draft("other", "n", AT, ALICE, {})])
    kept = dict(store.kept_days)
    (body,) = store.list("body/")
    assert kept.pop(body) == 400
    assert kept == {
        layout.batch(0): 400,
        layout.batch(1): 2_000,
        layout.batch(4): 10,
        **{layout.checkpoint(size): 2_000 for size in (1, 4, 5)},
    }
