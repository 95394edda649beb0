"""The log's key is changed: crashes at every write, old writers, and who would like to be next."""

from __future__ import annotations

import msgspec
import pytest
from evidence.place import AT, ORIGIN, Place, draft
from evidence.test_crash import Crash, crashing
from evidence.test_note import P256Signer

from chalicelib.evidence import layout, note, rotate, state
from chalicelib.evidence.keys import handed_over, verify_handover
from chalicelib.evidence.note import Checkpoint
from chalicelib.evidence.report import Kind, Severity
from chalicelib.evidence.restore import mend_heads, restore
from chalicelib.evidence.rotate import ROTATED, STREAM, Announced, announced, pending
from chalicelib.kernel.errors import (
    BadSignature,
    Conflict,
    KeyUnusable,
    Malformed,
    VerificationFailed,
)
from chalicelib.kernel.record import Actor, Draft, Record
from chalicelib.kernel.store import Write
from chalicelib.local.signer import KeyFileSigner

ANA = Actor("ana", "os")


@pytest.fixture
def signer():
    return KeyFileSigner.generate()


def change(place, successor, reason="its year is over"):
    return rotate.rotate(place.log, successor, actor=ANA, at=AT, reason=reason)


def under(places, place, done, successor, **options):
    """The place as it is seen with the settings after a rotation."""
    keys = place.keys.changed(done.size, done.key)
    return places(place.root.name, signer=successor, keys=keys, **options)


def rotated(places, place, successor):
    return under(places, place, change(place, successor), successor)


def current(place):
    return state.decode(place.documents.get(layout.STATE).value)


def numbers(place):
    return [entry.body["number"] for entry in place.log.read() if entry.record.kind == "scan"]


def contents(place):
    """Every byte that a writer leaves."""
    files = {path: path.read_bytes() for path in place.files("", folder=".")}
    files = {path: data for path, data in files.items() if not path.name.startswith("state.db")}
    return files, dict(place.documents.list(""))


def first(place, **options):
    found = place.fsck(**options)
    assert not found.ok
    return found.first


def test_a_rotation_is_a_record_a_note_by_both_keys_and_another_signer(places, place, signer):
    place.append(1, 2)
    done = change(place, signer)
    assert done == rotate.Rotation(3, place.verifier, note.verifier(ORIGIN, signer.public))
    after = under(places, place, done, signer)
    (entry,) = after.log.stream(STREAM)
    assert (entry.index, entry.record.kind, entry.record.actor) == (2, ROTATED, ANA)
    assert entry.body == {
        "former": str(done.former),
        "key": str(done.key),
        "reason": "its year is over",
    }
    locked = place.writeonce.get(layout.checkpoint(3))
    both = place.writeonce.get(layout.handover(3))
    assert note.verify(locked, [done.former]).text == note.parse(both).text
    assert verify_handover(both, done.former, done.key).note == both
    after.append(3)
    signed = note.parse(place.writeonce.get(layout.checkpoint(4)))
    assert [one.key_id for one in signed.signatures] == [done.key.key_id]
    assert numbers(after) == [1, 2, 3]
    found = after.fsck()
    assert (found.ok, found.unfinished, found.size) == (True, "", 4)


def test_a_key_that_the_log_has_or_had_does_not_follow(places, place, signer):
    place.append(1)
    with pytest.raises(Malformed, match="stands twice"):
        change(place, place.signer)
    after = rotated(places, place, signer)
    before = contents(after)
    for known in (place.signer, signer):
        with pytest.raises(Malformed, match="stands twice"):
            change(after, known)
    assert contents(after) == before


def test_a_log_without_records_is_rotated_at_the_announcement(places, place, signer):
    assert change(place, signer).size == 1
    assert places(signer=signer, keys=place.keys.changed(1, note.verifier(ORIGIN, signer.public)))


@pytest.mark.parametrize("between", [0, 3])
def test_two_rotations_in_a_row(places, place, between):
    second, third = KeyFileSigner.generate(), P256Signer()
    place.append(1)
    after = rotated(places, place, second)
    after.append(*range(between)) if between else None
    last = rotated(places, after, third)
    last.append(9)
    found = last.fsck()
    assert found.ok, found.problems
    assert [at for at, _, _ in last.keys.changes()] == [2, 3 + between]
    assert numbers(last) == [1, *range(between), 9]
    for old in (place, after):
        with pytest.raises(KeyUnusable):
            old.append(7)


# A writer that goes on with the former key


def test_a_writer_with_the_former_key_stops_before_it_writes_anything(places, place, signer):
    place.append(1)
    after = rotated(places, place, signer)
    for _ in range(2):
        before = contents(place)
        with pytest.raises(KeyUnusable, match="was rotated to") as error:
            place.append(2)
        assert contents(place) == before
        assert "settings" in error.value.next_step
        after.append(3)
    assert after.fsck().ok
    with pytest.raises(BadSignature, match="not what the log's key signed") as refused:
        place.log.size()
    assert str(after.verifier) in refused.value.next_step


class Rotated:
    """Documents in which a rival acts just before a swap, the n-th."""

    def __init__(self, documents, rival, number=1):
        self._documents, self._rival, self._left = documents, rival, number

    def swap(self, writes):
        self._left -= 1
        if self._left == 0:
            self._rival()
        self._documents.swap(writes)

    def __getattr__(self, name):
        return getattr(self._documents, name)


def test_a_writer_that_loses_its_swap_to_a_rotation_signs_nothing(places, place, signer):
    place.append(1)
    signed = []

    class Watched:
        public = place.signer.public

        def sign(self, message):
            signed.append(message)
            return place.signer.sign(message)

    slow = places(
        signer=Watched(),
        wrap=lambda ports: {
            **ports,
            "documents": Rotated(ports["documents"], lambda: change(place, signer)),
        },
    )
    with pytest.raises(KeyUnusable, match="nothing was written"):
        slow.append(2)
    assert signed == []
    assert not place.files("stage", folder="derived")
    assert [one.record.kind for one in place.log.read()] == ["scan", ROTATED]


def test_a_rotation_that_an_append_comes_between_is_at_the_size_of_its_swap(places, signer):
    rival = places()
    rival.append(1)
    # Its first swap appends the record, its second one changes the key.
    place = places(
        wrap=lambda ports: {
            **ports,
            "documents": Rotated(ports["documents"], lambda: rival.append(2), 2),
        }
    )
    done = change(place, signer)
    assert done.size == 3
    after = under(places, place, done, signer)
    assert [one.record.kind for one in after.log.read()] == ["scan", ROTATED, "scan"]
    assert after.fsck().ok


def test_a_rotation_to_another_key_meanwhile_wins(places, signer):
    rival = places()
    rival.append(1)
    winner = KeyFileSigner.generate()
    place = places(
        wrap=lambda ports: {
            **ports,
            "documents": Rotated(ports["documents"], lambda: change(rival, winner), 2),
        }
    )
    with pytest.raises(KeyUnusable):
        change(place, signer)
    done = rotate.Rotation(3, rival.verifier, note.verifier(ORIGIN, winner.public))
    assert change(rival, winner) == done
    assert under(places, rival, done, winner).fsck().ok


def test_a_rotation_that_others_have_gone_on_after_is_found_done(places, place, signer):
    """Somebody else's settings are the new ones already."""
    place.append(1)
    after = rotated(places, place, signer)
    after.append(2, 3)
    assert change(place, signer).size == 2
    assert after.fsck().ok


def test_an_append_that_was_overtaken_by_a_rotation_is_acknowledged(places, signer):
    """Its records are in, and another key has signed beyond them, when it shows its checkpoint."""
    rival = places()

    class Overtaken:
        def __init__(self, derived):
            self._derived = derived
            self._done = False

        def put(self, key, data):
            if key == layout.LATEST and not self._done:
                self._done = True
                rotated(places, rival, signer).append(2)
            self._derived.put(key, data)

        def __getattr__(self, name):
            return getattr(self._derived, name)

    slow = places(wrap=lambda ports: {**ports, "derived": Overtaken(ports["derived"])})
    assert [one.index for one in slow.append(1)] == [0]
    keys = rival.keys.changed(2, note.verifier(ORIGIN, signer.public))
    after = places(signer=signer, keys=keys)
    assert not after.fsck().tampered
    after.log.recover()
    assert after.fsck().ok
    assert numbers(after) == [1, 2]


# Crashes


@pytest.mark.parametrize("successor", [KeyFileSigner.generate(), P256Signer()], ids=["ed", "p256"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_every_write_of_a_rotation(tmp_path, when, successor):
    """fsck passes at each; the former key goes on until the swap, and after it only the new one."""
    swaps = set()
    for calls in range(60):
        sane = Place(tmp_path / f"{calls}")
        sane.append(1)
        dying = Place(sane.root, wrap=crashing(calls, when))
        try:
            change(dying, successor)
        except Crash:
            ended = False
        else:
            ended = True
        left = sane.fsck()
        assert not left.problems, left.problems
        swapped = current(sane).key != str(sane.verifier)
        assert bool(left.unfinished) >= swapped
        swaps.add(swapped)
        if not swapped:
            sane.append(2)
            assert sane.fsck().ok
        else:
            with pytest.raises(KeyUnusable):
                sane.append(2)
        done = change(sane, successor)
        keys = sane.keys.changed(done.size, done.key)
        after = Place(sane.root, signer=successor, keys=keys)
        after.append(3)
        found = after.fsck()
        assert (found.ok, found.unfinished) == (True, ""), found
        assert numbers(after) == ([1, 3] if swapped else [1, 2, 3])
        assert len([1 for one in after.log.read() if one.record.kind == ROTATED]) == 1
        assert current(after).key == str(after.verifier)
        for place in (sane, dying, after):
            place.close()
        if ended:
            break
    assert ended
    assert calls > 10
    assert swaps == {False, True}


def test_the_note_of_a_change_that_a_crash_left_out_is_made_by_the_next_writer(
    places, place, signer
):
    place.append(1)
    after = rotated(places, place, signer)
    good = after.file(layout.handover(2)).read_bytes()
    after.file(layout.handover(2)).unlink()
    lacking = first(after)
    assert (lacking.place, lacking.kind) == (layout.handover(2), Kind.MISSING)
    assert lacking.severity is Severity.REPAIRABLE
    late = places(signer=signer, keys=after.keys)
    late.append(2)
    assert late.file(layout.handover(2)).read_bytes() == good
    assert late.fsck().ok


def test_two_finish_one_change_of_key_with_signatures_that_differ(places, place):
    successor = P256Signer()
    place.append(1)
    done = change(place, successor)
    other = handed_over(place.writeonce.get(layout.checkpoint(2)), done.former, successor)
    path = place.file(layout.handover(2))
    assert other != path.read_bytes()
    place.overwrite(path, other)
    assert change(place, successor) == done
    assert path.read_bytes() == other
    after = under(places, place, done, successor)
    after.append(2)
    assert after.fsck().ok


class Beaten:
    """Write-once objects where a rival locks the note of a change just before."""

    def __init__(self, writeonce, rival):
        self._writeonce, self._rival = writeonce, rival

    def put(self, key, data, **options):
        if key.startswith(layout.HANDOVERS):
            self._rival()
        self._writeonce.put(key, data, **options)

    def __getattr__(self, name):
        return getattr(self._writeonce, name)


def test_two_finish_one_change_of_key_at_the_same_moment(places, place):
    successor = P256Signer()
    place.append(1)

    def rival():
        made = handed_over(place.writeonce.get(layout.checkpoint(2)), place.verifier, successor)
        place.writeonce.put(layout.handover(2), made)

    slow = places(wrap=lambda ports: {**ports, "writeonce": Beaten(ports["writeonce"], rival)})
    assert rotated(places, slow, successor).fsck().ok


def test_a_key_is_not_passed_on_over_an_append_that_is_not_finished(places, place, signer):
    place.append(1)
    dying = places(wrap=crashing(2, "before"))
    with pytest.raises(Crash):
        dying.append(2)
    before = contents(place)
    with pytest.raises(Conflict, match="nothing was changed"):
        place.log.pass_on(note.verifier(ORIGIN, signer.public))
    assert contents(place) == before
    with pytest.raises(Conflict):
        places("empty").log.pass_on(note.verifier(ORIGIN, signer.public))


# The state


def test_a_state_of_the_version_without_keys_is_read_and_replaced(places, place):
    place.append(1)
    document = place.documents.get(layout.STATE)
    older = state.encode(msgspec.structs.replace(state.decode(document.value), v=1, key=""))
    assert b'"key"' not in older
    place.documents.swap([Write(layout.STATE, document.version, older)])
    assert place.fsck().ok
    assert place.log.size() == 1
    place.append(2)
    assert (current(place).v, current(place).key) == (2, str(place.verifier))
    assert place.fsck().ok


def test_a_state_without_a_key_is_rotated_too(places, place, signer):
    place.append(1)
    document = place.documents.get(layout.STATE)
    older = state.encode(msgspec.structs.replace(state.decode(document.value), v=1, key=""))
    place.documents.swap([Write(layout.STATE, document.version, older)])
    assert rotated(places, place, signer).fsck().ok


def announce(place, successor):
    """As a rotation that was killed before its swap left it."""
    key = note.verifier(ORIGIN, successor.public)
    body = {"key": str(key), "former": str(place.verifier), "reason": "its year is over"}
    place.log.append([Draft(ROTATED, STREAM, AT, ANA, body)])


def test_a_state_without_a_key_gets_the_new_one_by_the_swap_itself(places, place, signer):
    """The record was there already, and nothing was appended since the program was changed."""
    announce(place, signer)
    document = place.documents.get(layout.STATE)
    older = state.encode(msgspec.structs.replace(state.decode(document.value), v=1, key=""))
    place.documents.swap([Write(layout.STATE, document.version, older)])
    after = rotated(places, place, signer)
    assert after.log.size() == 1
    assert (current(after).v, current(after).key) == (2, str(after.verifier))
    assert after.fsck().ok


def test_an_append_that_crashed_before_a_rotation_is_finished_by_the_former_key(places, signer):
    place = places()
    announce(place, signer)
    dying = places(wrap=crashing(2, "before"))  # stage, swap, and then the batch
    with pytest.raises(Crash):
        dying.append(7)
    assert place.fsck().unfinished
    done = change(place, signer)
    assert done.size == 2
    signed = note.parse(place.writeonce.get(layout.checkpoint(2)))
    assert [one.key_id for one in signed.signatures] == [place.verifier.key_id]
    after = under(places, place, done, signer)
    assert numbers(after) == [7]
    assert after.fsck().ok


def test_a_state_that_names_a_key_nobody_announced_is_named(place, signer):
    place.append(1)
    document = place.documents.get(layout.STATE)
    stranger = str(note.verifier(ORIGIN, signer.public))
    edited = msgspec.structs.replace(state.decode(document.value), key=stranger)
    place.documents.swap([Write(layout.STATE, document.version, state.encode(edited))])
    problem = first(place)
    assert (problem.place, problem.kind) == (layout.STATE, Kind.STATE)
    assert (problem.expected, problem.observed) == (str(place.verifier), stranger)
    with pytest.raises(KeyUnusable):
        place.append(2)


def test_the_state_of_before_a_rotation_is_no_longer_continued(places, place, signer):
    """Whoever holds the former key, and put its state back, is stopped by every pinned reader."""
    place.append(1)
    place.log.append([Draft(ROTATED, STREAM, AT, ANA, {})])  # so that the sizes are the same
    before = place.documents.get(layout.STATE).value
    done = change(place, signer)
    after = under(places, place, done, signer)
    version = place.documents.get(layout.STATE).version
    named = state.encode(msgspec.structs.replace(current(place), key=str(place.verifier)))
    assert before != named
    place.documents.swap([Write(layout.STATE, version, named)])
    problem = first(after)
    assert (problem.place, problem.observed) == (layout.STATE, str(place.verifier))
    with pytest.raises(KeyUnusable, match="names the former key") as error:
        after.append(2)
    assert "put the state back" in error.value.next_step
    place.append(9)  # the thief's
    with pytest.raises(BadSignature, match=r"signs for sizes 0 to 3 only"):
        after.log.size()
    problem = first(after)
    assert (problem.place, problem.kind) == (layout.checkpoint(4), Kind.SIGNATURE)


def lose(place):
    place.documents.close()
    for path in place.root.glob("state.db*"):
        path.unlink()


def restored(place):
    return restore(place.writeonce, place.documents, place.keys)


@pytest.mark.parametrize("more", [0, 2])
def test_a_lost_state_is_restored_with_the_key_that_signs_next(places, place, signer, more):
    place.append(1)
    after = rotated(places, place, signer)
    for number in range(more):
        after.append(number)
    good = current(after)
    lose(after)
    assert restored(after) == 2 + more
    assert current(after) == good
    assert mend_heads(after.writeonce, after.documents, after.keys) == []
    after.append(9)
    assert after.fsck().ok


def test_a_state_that_was_lost_within_a_rotation_is_restored_as_it_was(places, place, signer):
    place.append(1)
    change(place, signer)  # and the settings were not written
    good = current(place)
    lose(place)
    restored(place)
    assert current(place) == good
    assert rotated(places, place, signer).fsck().ok


def test_a_state_is_restored_under_the_former_key_where_nothing_was_handed_over(
    places, place, signer
):
    place.append(1)
    change(place, signer)
    place.file(layout.handover(2)).unlink()
    lose(place)
    restored(place)
    assert current(place).key == str(place.verifier)
    place.append(2)
    after = rotated(places, place, signer)
    assert [size for size, _, _ in after.keys.changes()] == [3]
    assert after.fsck().ok


def test_tiles_and_a_crashed_append_are_made_again_across_a_rotation(places, place, signer):
    place.append(*range(300))
    after = rotated(places, place, signer)
    after.append(*range(300))
    for path in after.files("tile", "checkpoint", folder="derived"):
        path.unlink()
    assert after.log.rebuild() == 601
    assert after.fsck().ok
    assert after.log.prove_consistency(300, 601)
    kept = place.writeonce.get(layout.checkpoint(300))
    assert after.fsck(outside=kept).ok
    assert after.fsck(outside=place.writeonce.get(layout.handover(301))).ok
    forged = note.sign(Checkpoint(ORIGIN, 400, b"r" * 32).text(), ORIGIN, place.signer)
    with pytest.raises(BadSignature, match="0 to 301 only"):
        after.fsck(outside=forged)


# Who would like to be next


def forged(place, size, *signers):
    """The checkpoint of a size, with what other keys can add to it."""
    locked = note.parse(place.writeonce.get(layout.checkpoint(size)))
    added = [note.parse(note.sign(locked.text, ORIGIN, one)).signatures for one in signers]
    return note.Note(locked.text, sum(added, locked.signatures)).encode()


def test_a_note_that_somebody_else_added_is_a_stray(place, signer):
    place.append(1)
    for key, kind in (
        (layout.handover(1), Kind.STRAY),
        ("log/key/1", Kind.STRAY),
        ("log/key/" + "9" * 20, Kind.STRAY),
    ):
        place.writeonce.put(key, forged(place, 1, signer))
        problem = first(place)
        assert (problem.place, problem.kind, problem.severity) == (key, kind, Severity.TAMPERED)
        place.file(key).unlink()


def test_a_place_that_somebody_took_is_not_rotated_into(places, place, signer):
    place.append(1)
    thief = KeyFileSigner.generate()
    place.writeonce.put(layout.handover(2), forged(place, 1, thief))
    with pytest.raises(BadSignature, match="somebody else wrote it; nothing was changed"):
        change(place, signer)
    assert current(place).key == str(place.verifier)
    place.append(2)
    after = rotated(places, place, signer)
    assert [size for size, _, _ in after.keys.changes()] == [3]
    problem = first(after)
    assert (problem.place, problem.kind) == (layout.handover(2), Kind.STRAY)


@pytest.mark.parametrize("how", ["thief", "extra", "former only", "other size", "bytes"])
def test_a_change_of_key_that_was_edited_is_named_and_not_continued(places, place, signer, how):
    place.append(1)
    after = rotated(places, place, signer)
    after.append(2)
    thief = KeyFileSigner.generate()
    data = {
        "thief": lambda: forged(place, 2, thief),
        "extra": lambda: forged(place, 2, signer, thief),
        "former only": lambda: forged(place, 2),
        "other size": lambda: forged(place, 1, signer),
        "bytes": lambda: after.writeonce.get(layout.handover(2))[:-1],
    }[how]()
    after.overwrite(after.file(layout.handover(2)), data)
    problem = first(after)
    assert (problem.place, problem.kind) == (layout.handover(2), Kind.SIGNATURE)
    with pytest.raises(VerificationFailed, match="not as both keys signed it"):
        places(signer=signer, keys=after.keys).append(3)


def test_a_key_that_no_record_names_is_not_the_log_s_whoever_pins_it(places, place, signer):
    """Policy and note say so, and the records, under the old key's signature, do not."""
    place.append(1)
    place.writeonce.put(layout.handover(1), forged(place, 1, signer))
    fooled = place.keys.changed(1, note.verifier(ORIGIN, signer.public))
    found = place.fsck(keys=fooled)
    (problem,) = [one for one in found.problems if one.place == layout.handover(1)]
    assert (problem.kind, problem.observed) == (Kind.SIGNATURE, "none")


def test_a_record_that_names_another_key_does_not_do(places, place, signer):
    place.append(1)
    after = rotated(places, place, signer)
    thief = KeyFileSigner.generate()
    fooled = place.keys.changed(2, note.verifier(ORIGIN, thief.public))
    after.overwrite(after.file(layout.handover(2)), forged(place, 2, thief))
    found = after.fsck(keys=fooled)
    told = [one.what for one in found.problems]
    assert "the records do not name the key that is pinned" in told


def test_a_log_cut_back_below_its_rotation_is_older_than_what_is_pinned(
    places, place, copied, signer
):
    place.append(1)
    older = copied(place, "older")
    after = rotated(places, place, signer)
    found = older.fsck(keys=after.keys)
    (problem,) = [one for one in found.problems if one.kind is Kind.ROLLBACK]
    assert (problem.expected, problem.observed) == ("at least 2 leaves", "1 leaves")


def test_a_second_root_by_the_new_key_is_a_fork(places, place, signer):
    place.append(1)
    after = rotated(places, place, signer)
    text = Checkpoint(ORIGIN, 2, b"r" * 32).text()
    lines = [note.parse(note.sign(text, ORIGIN, one)).signatures for one in (place.signer, signer)]
    after.overwrite(after.file(layout.handover(2)), note.Note(text, sum(lines, ())).encode())
    problem = first(after)
    assert (problem.place, problem.kind) == (layout.handover(2), Kind.FORK)


def test_sizes_that_are_pinned_wrongly_do_not_verify(places, place, signer):
    place.append(1)
    after = rotated(places, place, signer)
    after.append(2)
    for size in (1, 3):
        wrong = place.keys.changed(size, after.verifier)
        found = place.fsck(keys=wrong)
        assert not found.ok
        assert found.tampered
        before = contents(place)
        with pytest.raises(KeyUnusable, match=f"at {size} records; it was at 2"):
            places(signer=signer, keys=wrong).append(3)
        assert contents(place) == before


# The record


def record_of(body, kind=ROTATED, stream=STREAM):
    return Record(v=1, kind=kind, stream=stream, seq=1, at=AT, actor=ANA, tool="t", body=body)


def test_only_a_whole_announcement_is_one(place, signer):
    key, former = note.verifier(ORIGIN, signer.public), place.verifier
    body = {"key": str(key), "former": str(former), "reason": "why"}
    assert announced(record_of(body)) == Announced(former, key)
    foreign = note.verifier("other.example/log", signer.public)
    for wrong in (
        record_of(body, kind="log.opened"),
        record_of(body, stream="scan"),
        record_of({**body, "more": 1}),
        record_of({**body, "key": "no vkey"}),
        record_of({**body, "key": str(foreign)}),
        record_of({}),
        record_of(None),
    ):
        assert announced(wrong) is None


def test_only_the_newest_announcement_of_the_own_key_is_pending(places, place, signer):
    assert pending(place.log) is None
    one, other = (note.verifier(ORIGIN, KeyFileSigner.generate().public) for _ in range(2))
    for key in (one, other):
        body = {"key": str(key), "former": str(place.verifier), "reason": "why"}
        place.log.append([Draft(ROTATED, STREAM, AT, ANA, body)])
    assert pending(place.log) == Announced(place.verifier, other)
    after = rotated(places, place, signer)
    assert pending(after.log) is None
    after.log.append([draft(1, STREAM) for _ in range(20)])
    assert after.fsck().ok
