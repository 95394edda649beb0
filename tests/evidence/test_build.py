"""What goes into a packet, and that equal questions have equal answers, byte for byte."""

from __future__ import annotations

import io
import json

import pytest
from evidence.parcel import (
    ANA,
    DAY,
    NOW,
    ORIGIN,
    A,
    Archive,
    B,
    C,
    at,
    files,
    head,
    indices,
    lines,
    locked,
    moment,
)
from evidence.test_note import P256Signer
from support import outside
from support.authority import Authority

from chalicelib.evidence import (
    anchor,
    build,
    container,
    cosignature,
    layout,
    manifest,
    note,
    rotate,
    timestamp,
    trust,
)
from chalicelib.evidence.manifest import Period
from chalicelib.evidence.verdict import Answer
from chalicelib.kernel.errors import Malformed, Missing, StoreUnavailable
from chalicelib.local.signer import KeyFileSigner


@pytest.fixture
def archive():
    return Archive()


def scan(stream, hour, day=2, minute=1, **body):
    body = {"outcome": "clean", "scheduled_at": at(day, hour), **body}
    return (stream, "scan", at(day, hour, minute), body)


def tick(hour, day=2, **body):
    body = {"scheduled_at": at(day, hour), "deadline_at": at(day, hour + 12), **body}
    return ("schedule", "schedule.dispatched", at(day, hour), body)


def told(archive):
    """A day of two targets in batches of several sizes; index by index."""
    archive.write(("log", "log.opened", at(1), {"origin": ORIGIN}))  # 0
    archive.write(tick(12, 1, due=[A, B], previous=None), scan(A, 12, 1), scan(B, 12, 1))  # 1
    archive.write(tick(0, due_at=1, previous=1), scan(A, 0), scan(B, 0))  # 4, the range
    archive.write((A, "finding.opened", at(2, 0, 2), {"large": "x" * 70_000}))  # 7
    archive.write(
        tick(12, due_at=1, previous=4), scan(A, 12), (B, "target.configured", at(2, 12), {})
    )  # 8
    archive.write((A, "finding.closed", at(2, 13)), (C, "scan", at(2, 14), {"outcome": "drift"}))
    archive.write(tick(0, 3, due_at=1, previous=8), scan(B, 12, minute=779))  # 13
    return archive


RANGE = list(range(4, 13))
CENSUS = 15


def verified(archive, data, **options):
    found = archive.verdict(data, **options)
    assert found.fault is None, found.fault
    return found


def test_a_packet_of_everything(archive):
    data, made = told(archive).built()
    assert indices(data) == [0, 1, *RANGE, 14, CENSUS]  # 14: a scan of the period, recorded late
    assert made.manifest.records == 13
    assert made.sha256 == verified(archive, data).packet
    found = files(data)
    assert found[manifest.LEAVES].splitlines() == [
        leaf for index, leaf in archive.log.leaves() if index in indices(data)
    ]
    assert found["README.txt"] == b"Read me.\n"
    assert trust.parse(found[manifest.TRUST]) == archive.policy
    assert head(data)["checkpoints"] == [4, 13, 16]
    (large,) = archive.log.read(7, 8)
    assert [name for name in found if name.startswith("body/")] == [
        layout.body(large.record.body_ref.sha256)
    ]
    assert json.loads(found[manifest.COVERAGE])["unobserved"] == []
    assert verified(archive, data).answer is Answer.VERIFIED


def test_each_object_is_there_bit_for_bit(archive):
    data = told(archive).packet()
    stored = ("log/", "body/", "cosignature/", "timestamp/", "snapshot/")
    names = [name for name in files(data) if name.startswith(stored)]
    assert len(names) == 4
    for name in names:
        assert files(data)[name] == archive.objects.get(name)


@pytest.mark.parametrize(
    ("targets", "kinds", "expected"),
    [
        ([A], [], [0, 1, 4, 5, 7, 8, 9, 11, CENSUS]),
        ([B], [], [0, 1, 4, 6, 8, 10, 14, CENSUS]),
        ([A, C], [], [0, 1, 4, 5, 7, 8, 9, 11, 12, CENSUS]),
        ([], ["finding"], [0, 1, 4, 5, 6, 7, 8, 9, 11, 12, 14, CENSUS]),
        ([], ["finding.closed"], [0, 1, 4, 5, 6, 8, 9, 11, 12, 14, CENSUS]),
        ([B], ["target"], [0, 1, 4, 6, 8, 10, 14, CENSUS]),
        ([B], ["finding"], [0, 1, 4, 6, 8, 14, CENSUS]),
        (["postgres:none"], ["none"], [0, 1, 4, 8, CENSUS]),
    ],
)
def test_a_filter_takes_what_was_asked_for_with_its_heartbeats(archive, targets, kinds, expected):
    data = told(archive).packet(targets=targets, kinds=kinds)
    assert indices(data) == expected
    rows = verified(archive, data).targets
    if targets:
        assert {one["target"] for one in rows} == set(targets)
    has_body = any(name.startswith("body/") for name in files(data))
    assert has_body == (7 in expected)


def test_the_same_question_has_the_same_bytes(archive):
    data = told(archive).packet()
    assert archive.packet() == data
    archive.write(*(scan(A, 0, 4, n) for n in range(40)))
    archive.clock.moment = moment(31)
    assert archive.packet() == data
    assert archive.packet(targets=[A]) == archive.packet(targets=[A]) != data


def test_the_same_bytes_with_a_key_whose_signatures_differ_each_time():
    archive = told(Archive(P256Signer()))
    assert archive.signer.sign(b"x") != archive.signer.sign(b"x")
    data = archive.packet()
    archive.write(scan(A, 0, 4))
    assert archive.packet() == data
    archive.log = archive.opened()
    assert archive.packet() == data
    verified(archive, data)


def test_who_signs_the_same_packet_first_is_the_one_that_counts():
    """Between looking for the note and putting it, another process has put its own."""
    archive = told(Archive(P256Signer()))

    class Racing:
        def __init__(self, objects):
            self.objects, self.raced = objects, []

        def put(self, key, data):
            if key.startswith("packet/") and not self.raced:
                self.raced.append(archive.packet())
            self.objects.put(key, data)

        def __getattr__(self, name):
            return getattr(self.objects, name)

    objects = Racing(archive.objects)
    data = archive.packet(objects=objects)
    assert objects.raced == [data]


def test_the_same_packet_is_signed_once(archive):
    signed = []

    class Counting:
        public = archive.signer.public

        def sign(self, message):
            signed.append(message)
            return archive.signer.sign(message)

    told(archive)
    for _ in range(3):
        archive.packet(signer=Counting())
    assert len(signed) == 1


def test_a_crash_before_the_note_changes_nothing(archive):
    class Crashing:
        def __init__(self, objects):
            self.objects = objects

        def put(self, key, data):
            raise StoreUnavailable("crashed")

        def __getattr__(self, name):
            return getattr(self.objects, name)

    with pytest.raises(StoreUnavailable):
        told(archive).packet(objects=Crashing(archive.objects))
    assert archive.packet() == archive.packet()


def test_a_packet_from_the_first_record_on(archive):
    archive.write(scan(A, 1))
    data = archive.packet()
    assert indices(data) == [0, 1]
    assert head(data)["checkpoints"] == [1, 2]
    verified(archive, data)


def test_a_period_of_many_batches(archive):
    for hour in range(24):
        archive.write(*(scan((A, B, C)[n % 3], hour, minute=n % 60) for n in range(hour * 7 + 1)))
    archive.write(*(scan(A, 0, 4) for _ in range(300)))
    data = archive.packet()
    total = sum(hour * 7 + 1 for hour in range(24))
    assert len(indices(data)) == total + 1
    verified(archive, data)
    sizes = [len(fresh) for _, _, fresh in lines(data, manifest.PROOFS)]
    assert sum(sizes) < 2 * len(sizes) + 40  # what the format promises


def test_records_dated_out_of_order_within_an_hour(archive):
    archive.write(scan(A, 23, 1, 50))
    archive.write(scan(A, 0, 2, 20))
    archive.write(scan(A, 23, 1, 55))
    archive.write(scan(B, 12, 2))
    archive.write(scan(A, 0, 3, 20))
    archive.write(scan(A, 23, 2, 40))
    archive.write(scan(A, 3, 3))
    data = archive.packet()
    assert head(data)["range"] == {"first": 1, "last": 6}
    verified(archive, data)


def test_what_chosen_records_refer_to_is_context(archive):
    """Records before the range, in it, and what these refer to in turn; and stored objects."""
    keys = [archive.keep("snapshot/sha256/", bytes([n])) for n in range(4)]
    archive.write(("log", "log.opened", at(1)))  # 0
    vote = (B, "baseline.approved")
    archive.write((*vote, at(1), {"keys": [keys[0]]}))  # 1
    archive.write((*vote, at(1), {"rests_on": [1]}), (*vote, at(1), {"keys": [keys[1]]}))  # 2, 3
    archive.write((*vote, at(2), {"keys": [keys[2]]}), (*vote, at(2)))  # 4, 5
    archive.write((A, "scan", at(2, 1), {"outcome": "clean", "rests_on": [2, 4], "keys": keys[3:]}))
    data = archive.packet(targets=[A])
    assert indices(data) == [0, 1, 2, 4, 6, 7]
    there = sorted(name for name in files(data) if name.startswith("snapshot/"))
    assert there == sorted([keys[0], keys[2], keys[3]])
    verified(archive, data)
    kinds = archive.packet(kinds=["other"])
    assert indices(kinds) == [0, 1, 2, 4, 6, 7]
    verified(archive, kinds)


def test_a_reference_that_is_not_there_stops_it(archive):
    archive.write(scan(A, 1, keys=["snapshot/sha256/" + "0" * 64]))
    with pytest.raises(Missing):
        archive.packet()


def test_a_tick_brings_the_list_of_who_was_due(archive):
    """Also where that list is in a record before the range, and in a body that is kept apart."""
    due = [f"postgres:{n:05d}" for n in range(5_000)]
    archive.write(tick(0, 1, due=due, previous=None))  # 0
    archive.write(tick(12, 1, due_at=0, previous=0))  # 1
    archive.write(tick(0, due_at=0, previous=1))  # 2
    data = archive.packet(targets=due[:2])
    assert indices(data) == [0, 1, 2, 3]
    found = verified(archive, data)
    assert len(found.gaps) == 4  # both: no scan, and no tick since noon
    assert len(verified(archive, archive.packet()).gaps) == 10_000


def test_the_tick_before_the_range_is_there_and_not_those_before_it(archive):
    for day in (1, 2):
        for hour in (0, 12):
            number = archive.log.size()
            body = {"due": [A]} if number == 0 else {"due_at": 0}
            archive.write(tick(hour, day, previous=number - 1 if number else None, **body))
    assert indices(archive.packet()) == [0, 1, 2, 3, 4]
    later = Archive()
    later.write(("log", "log.opened", at(1)))
    for number in range(1, 5):
        later.write(tick(0, (1, 1, 1, 2)[number - 1], due=[A], previous=number - 1 or None))
    assert indices(later.packet()) == [0, 3, 4, 5]


def test_the_tick_before_the_range_brings_its_own_list(archive):
    archive.write(("log", "log.opened", at(1)))  # 0
    archive.write(tick(0, 1, due=[A], previous=None))  # 1
    archive.write(tick(6, 1, due_at=1, previous=1))  # 2
    archive.write(tick(12, due=[B], previous=2))  # 3
    data = archive.packet()
    assert indices(data) == [0, 1, 2, 3, 4]
    gaps = [[A, at(2), at(2, 12), "no tick"], [B, at(2, 12), at(3), "no scan"]]
    assert verified(archive, data).gaps == gaps


def test_a_late_scan_is_context_and_later_ones_are_not(archive):
    archive.write(tick(23, due=[A, B, C]))
    archive.write(scan(A, 23, minute=70), scan(B, 0, 3))
    archive.write((C, "scan.missed", at(3, 11), {"scheduled_at": at(2, 23)}))
    archive.write(scan(B, 23, minute=700))
    archive.write(scan(C, 23, minute=13 * 60 + 1))
    data = archive.packet()
    rows = {row["target"]: row for row in verified(archive, data).targets}
    assert indices(data) == [0, 1, 4, 6]
    assert [rows[one]["observed"] for one in (A, B, C)] == [1, 1, 0]


def test_a_clock_that_is_quite_wrong_hides_no_late_scan(archive):
    archive.write(tick(23, due=[A, B]))
    archive.write((C, "target.configured", at(300)))
    archive.write(scan(B, 23, minute=70), scan(A, 23, minute=71))
    data = archive.packet()
    assert indices(data) == [0, 2, 3, 4]
    assert verified(archive, data).gaps == []


# Erasure


SEALED = {
    "personal": {
        "subject": "5e" * 16,
        "key": "01" * 8,
        "commitment": "0" * 64,
        "sealed": "A" * 80,
    }
}
ERASED = {"subject": "5e" * 16, "key": "01" * 8, "records": 1, "reason": "asked"}


def test_an_erasure_of_somebody_in_it_is_shown(archive):
    archive.write(("log", "log.opened", at(1)))
    archive.write(
        (A, "target.configured", at(2, 1), {"text": SEALED}),
        (B, "target.configured", at(2, 2), {"text": "x"}),
    )
    archive.write(("log", "personal.erased", at(5), ERASED | {"subject": "aa" * 16}))
    archive.write(("log", "personal.erased", at(6), ERASED))
    data = archive.packet()
    assert indices(data) == [0, 1, 2, 4, 5]
    found = verified(archive, data)
    assert [one.values for one in found.erased] == [1]
    assert [(one.subject, one.at, one.by, one.record) for one in found.erased] == [
        ("5e" * 16, at(6), "ana", 4)
    ]
    assert archive.verdict(archive.packet(targets=[B])).erased == []


@pytest.mark.parametrize("anchored", [False, True])
def test_an_erasure_after_the_packet_was_made_is_shown_in_the_next(archive, anchored):
    archive.write(("log", "log.opened", at(1)))
    archive.write(
        (A, "target.configured", at(2, 1), {"text": SEALED}),
        (B, "target.configured", at(2, 2), {"text": "x"}),
    )
    before = archive.packet()
    assert verified(archive, before).erased == []
    for day in (4, 5, 6):
        archive.write(scan(A, 1, day))
    if anchored:
        watched(archive, cosigned(archive, 6), quorum="w41")
        stamped(archive, 5, Authority())
    archive.write(("log", "personal.erased", at(7), ERASED))
    archive.write(scan(A, 1, 8))
    found = verified(archive, archive.packet())
    assert [one.record for one in found.erased] == [7]
    assert found.answer is Answer.VERIFIED
    assert found.manifest.checkpoints == ((1, 3, 5, 6, 8) if anchored else (1, 3, 4, 8))
    if not anchored:
        other = verified(archive, archive.packet(targets=[B]))
        assert (other.manifest.top, other.erased) == (4, [])


# Changes of key


def rotated(archive, signer, day):
    """The archive as it is after its key was changed."""
    done = rotate.rotate(archive.log, signer, actor=ANA, at=at(day), reason="its year is over")
    keys = archive.keys.changed(done.size, done.key)
    return Archive(signer=signer, keys=keys, ports=archive.ports)


@pytest.mark.parametrize("days", [(1,), (2,), (4,), (1, 2), (2, 2), (2, 4), (4, 5)], ids=str)
def test_a_packet_across_changes_of_key(archive, days):
    signers = [P256Signer(), KeyFileSigner.generate()]
    archive.write(("log", "log.opened", at(1)))
    changes = []
    for day in (1, 2, 3, 4, 5):
        archive.write(scan(A, 1, day), scan(B, 2, day))
        for _ in range(days.count(day)):
            archive = rotated(archive, signers[len(changes)], day)
            changes.append(archive.log.size())
        archive.write(scan(A, 12, day))
    data = archive.packet()
    found = verified(archive, data)
    assert found.answer is Answer.VERIFIED
    top = head(data)["checkpoints"][-1]
    assert head(data)["handovers"] == [one for one in changes if one <= top]
    kinds = [json.loads(leaf)["kind"] for leaf in files(data)[manifest.LEAVES].splitlines()]
    assert kinds.count("log.rotated") == len(days)
    assert archive.packet() == data


def test_a_packet_made_again_after_a_change_of_key(archive):
    """It shows the change now; both verify, the former with the settings of its time as well."""
    told(archive)
    before, policy = archive.packet(), archive.policy
    after = rotated(archive, P256Signer(), 29)
    for one in (policy, after.policy):
        assert archive.verdict(before, one).answer is Answer.VERIFIED
    after.write(scan(A, 1, 29))
    verified(after, after.packet())


# Anchors


def cosigned(archive, size, number=41, seconds=None):
    """A witness's cosignature of the checkpoint of a size; the witness, as a policy names it."""
    signer = outside.signer(number)
    text = note.parse(locked(archive, size)).text
    when = int(NOW.timestamp()) if seconds is None else seconds
    line = cosignature.sign(text, f"w{number}.example", signer, when)
    archive.objects.put(anchor.cosignature_key(size, line.key_id), line.line().encode())
    return trust.Witness(f"w{number}", cosignature.cosigner(f"w{number}.example", signer.public))


def watched(archive, *witnesses, quorum):
    """The archive under a policy with these witnesses."""
    members = tuple(one.name for one in witnesses)
    groups = (trust.Group("all", len(members), members),)
    archive.policy = trust.Policy(archive.keys.keys, witnesses, groups, quorum)
    return archive


def test_the_checkpoint_that_a_quorum_cosigned_is_shown(archive):
    told(archive).close()
    for day in (4, 5, 6, 7):
        archive.write(scan(A, 1, day))
    size = archive.log.size()
    one = cosigned(archive, size - 3)
    cosigned(archive, size)
    two = cosigned(archive, size - 1, 42)
    cosigned(archive, size - 1)
    watched(archive, one, two, quorum="all")
    data = archive.packet()
    assert head(data)["checkpoints"] == [4, 13, 16, size - 1]
    found = verified(archive, data)
    assert (found.answer, set(found.witnesses)) == (Answer.VERIFIED, {"w41", "w42"})
    watched(archive, one, two, quorum="w41")
    assert head(archive.packet())["checkpoints"] == [4, 13, 16, size - 3]


def test_cosignatures_before_the_census_say_nothing_of_it(archive):
    one = cosigned(told(archive), 15)
    archive.close()
    data = watched(archive, one, quorum="w41").packet()
    assert head(data)["checkpoints"] == [4, 13, 16]
    assert verified(archive, data).answer is Answer.UNWITNESSED


def test_too_few_witnesses_are_shown_all_the_same(archive):
    told(archive).close()
    one, two = cosigned(archive, 16), cosigned(archive, 4, 42)
    data = watched(archive, one, two, quorum="all").packet()
    found = verified(archive, data)
    assert (found.answer, list(found.witnesses)) == (Answer.UNWITNESSED, ["w41"])


def stamped(archive, size, authority):
    response = authority.answer(timestamp.request(locked(archive, size), 7))
    timestamp.keep(archive.objects, size, response)
    return response


def test_the_first_checkpoint_with_a_timestamp_is_shown(archive):
    authority = Authority(at=moment(20))
    told(archive).close()
    for day in (4, 5, 6):
        archive.write(scan(A, 1, day))
    stamped(archive, 18, authority)
    stamped(archive, 19, authority)
    stamped(archive, 15, authority)  # before the census
    data = archive.packet()
    assert head(data)["checkpoints"] == [4, 13, 16, 18]
    found = verified(archive, data, authorities=authority.roots)
    assert [one.at for one in found.timestamps[18]] == [at(20)]
    assert found.unchecked == []


def test_witnesses_timestamps_and_the_census_are_three_checkpoints(archive):
    told(archive).close()
    for day in (4, 5, 6):
        archive.write(scan(A, 1, day))
    one = cosigned(archive, 18)
    stamped(archive, 17, Authority())
    data = watched(archive, one, quorum="w41").packet()
    assert head(data)["checkpoints"] == [4, 13, 16, 17, 18]
    assert verified(archive, data).answer is Answer.VERIFIED
    assert archive.packet() == data


# Bounds and progress


def test_temporary_files_are_closed_also_where_it_fails(archive):
    made = []

    def temporary():
        made.append(io.BytesIO())
        return made[-1]

    told(archive).write(scan(A, 5, 6, keys=["snapshot/sha256/" + "0" * 64]))
    archive.packet(temporary=temporary)
    with pytest.raises(Missing):
        archive.packet(Period(at(6), at(7)), temporary=temporary)
    assert made
    assert all(one.closed for one in made)


def test_what_is_larger_than_a_packet_may_be_is_refused(archive, monkeypatch):
    told(archive).close()
    monkeypatch.setattr(container, "MAX_BYTES", 15_000)
    with pytest.raises(Malformed, match="15000 bytes"):
        archive.packet()


def test_it_says_how_far_it_is(archive):
    seen, closed = [], told(archive).close()
    build.build(
        archive.sources(),
        DAY,
        manifest.Filter(),
        closed,
        out=io.BytesIO(),
        progress=lambda *one: seen.append(one),
    )
    assert {what for what, _, _ in seen} == {"records", "proofs"}
    assert all(0 <= done <= total for _, done, total in seen)
