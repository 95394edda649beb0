"""Subjects' keys, and what is left when one is destroyed: on the local adapters, as files."""

from __future__ import annotations

import base64
import secrets
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from evidence.people import ALICE, WHY, People
from evidence.place import AT

from chalicelib.evidence import hold, layout
from chalicelib.evidence.group import GroupJournal
from chalicelib.evidence.personal import (
    ERASED,
    EVERYWHERE,
    MAX_STREAMS,
    Reveal,
    Subject,
    Subjects,
    Visibility,
    mark,
)
from chalicelib.kernel import canon, personal
from chalicelib.kernel.errors import (
    Busy,
    Conflict,
    KeyUnusable,
    Malformed,
    NotAllowed,
    NotFound,
    StoreUnavailable,
    UsageError,
)
from chalicelib.kernel.personal import Personal
from chalicelib.kernel.record import Actor, Draft
from chalicelib.kernel.sealed import SealedDocuments
from chalicelib.kernel.store import Write


@pytest.fixture
def people(tmp_path):
    made = []

    def make(name="log", **options):
        made.append(People(tmp_path / name, **options))
        return made[-1]

    yield make
    for one in made:
        one.place.close()


def test_a_value_is_in_no_file_and_is_shown_to_whoever_has_the_secret(people):
    log = people()
    entry = log.write("Ana", "because of INC-1")
    for path, data in log.files().items():
        assert b"INC-1" not in data, path
        assert b"Ana" not in data, path
    assert log.shown(entry).value == "because of INC-1"
    again = people()
    (read,) = again.log.read()
    assert read == entry
    assert again.shown(read) == log.shown(entry)
    assert log.shown(entry).state is Visibility.OPEN
    text = Reveal(log.subjects, log.log).body(entry, lambda _sealed, shown: shown.says)
    assert text == {"text": "because of INC-1"}
    log.fsck()


def test_one_person_has_one_pseudonym_however_the_name_is_written(people):
    log = people()
    assert log.subjects.pseudonym("Ana ") == log.subjects.pseudonym("ana")
    assert log.subjects.pseudonym("ben") != log.subjects.pseudonym("ana")
    other = Subjects(log.documents, b"t" * 32, secrets.token_bytes)
    assert other.pseudonym("ana") != log.subjects.pseudonym("ana")
    with pytest.raises(UsageError):
        log.write("\u202e")


def test_a_body_that_is_kept_apart_has_its_values_sealed_too(people):
    log = people()
    entry = log.write(large="x" * 70_000)
    assert entry.record.body_ref is not None
    assert log.shown(entry).state is Visibility.OPEN
    assert all(b"INC-1" not in data for data in log.files().values())
    assert log.erase().records == 1
    assert log.shown(entry).state is Visibility.ERASED


def test_without_a_sealer_a_value_is_refused_and_nothing_is_written(people):
    log = people()
    before = log.files()
    with pytest.raises(UsageError, match="no log can hold") as caught:
        log.place.log.append([Draft("k", "s", AT, ALICE, {"v": Personal("ana", "INC-1")})])
    assert "INC-1" not in caught.value.message
    assert log.files() == before


def test_threads_that_append_together_are_counted_with_their_values(people):
    log = people()
    group = GroupJournal(log.log)
    draft = Draft("note", "s", AT, ALICE, {"text": Personal("ana", "INC-1")})
    (entry,) = group.append([draft], after={"s": 0})
    assert log.shown(entry).value == "INC-1"


def test_an_erasure_leaves_every_batch_as_it_was_and_says_when_and_by_whom(people):
    log = people()
    entries = [log.write("ana"), log.write("ben", "mine"), log.write("ana", stream="other")]
    before = {path: data for path, data in log.files().items() if "store" in path.parts}
    wrapped = base64.b64decode(log.subject().wrapped)
    log.fsck()
    done = log.erase("Ana")
    after = log.files()
    assert {path: after[path] for path in before} == before
    for path, data in after.items():
        assert base64.b64encode(wrapped) not in data, path
    assert (done.records, done.by, done.repeated, done.index) == (2, "alice", False, 3)
    for entry in (entries[0], entries[2]):
        shown = log.shown(entry)
        assert shown.says == "erased on 2026-11-23 by alice"
        assert (shown.state, shown.record, shown.value) == (Visibility.ERASED, 3, None)
    assert log.shown(entries[1]).value == "mine"
    *_, last = log.log.read()
    assert (last.record.kind, last.record.stream, last.record.actor) == (ERASED, "log", ALICE)
    assert last.body == {
        "subject": log.subjects.pseudonym("ana"),
        "key": personal.sealed_in(entries[0].body)[0].key,
        "records": 2,
        "reason": WHY,
    }
    log.fsck()


def test_the_wrapped_key_was_in_the_database_before_it_was_erased(people):
    """Else the test above would look for what was never there."""
    log = people()
    log.write()
    wrapped = log.subject().wrapped.encode()
    database = [data for path, data in log.files().items() if path.name.startswith("state.db")]
    assert any(wrapped in data for data in database)


def test_erasing_again_says_that_it_was_done(people):
    log = people()
    log.write()
    first = log.erase()
    again = log.erase(actor=Actor("bob", "os"), reason="asked again")
    assert again == msgspec.structs.replace(first, repeated=True)
    assert log.log.size() == 2


def test_whoever_was_never_written_about_cannot_be_erased(people):
    log = people()
    log.write("ana")
    with pytest.raises(NotFound, match="'ben'"):
        log.erase("ben")
    with pytest.raises(UsageError, match="3 to 2000 characters"):
        log.erase("ana", reason=" x ")
    assert log.shown(next(log.log.read())).state is Visibility.OPEN


def test_after_an_erasure_new_values_have_a_new_key(people):
    log = people()
    old = log.write()
    first = log.erase()
    new = log.write(value="later")
    assert log.shown(new).value == "later"
    assert log.shown(old).state is Visibility.ERASED
    second = log.erase(actor=Actor("bob", "os"))
    assert second.key != first.key
    assert (second.records, log.shown(new).by, log.shown(old).by) == (1, "bob", "alice")
    log.fsck()


def test_an_erasure_that_nobody_remembers_leaves_a_value_sealed(people):
    """Its document forgot the oldest of a thousand erasures; a newer key does not open it."""
    log = people()
    old = log.write()
    log.erase()
    log.write()
    pseudonym = log.subjects.pseudonym("ana")
    version, found = log.subjects.find(pseudonym)
    log.subjects.swap(pseudonym, version, msgspec.structs.replace(found, erased=[]))
    assert log.shown(old).says == "sealed"


def test_without_the_secret_a_value_is_sealed_and_an_erasure_is_still_told(people):
    log = people()
    open_one, gone = log.write("ana"), log.write("ben")
    log.erase("ben")
    copy = people(secret=None)
    assert copy.shown(open_one).says == "sealed"
    assert copy.shown(gone).says == "erased on 2026-11-23 by alice"
    with pytest.raises(KeyUnusable, match="no secret"):
        copy.write()


def test_another_secret_opens_nothing_and_says_so(people):
    log = people()
    entry = log.write()
    value = log.raw.get("subject/" + log.subjects.pseudonym("ana")).value[32:]
    other = People(log.place.root, secret=b"t" * 32)
    other.raw.close()
    other.documents = SealedDocuments(log.raw, None)
    other.subjects = Subjects(other.documents, b"t" * 32, secrets.token_bytes)
    assert canon.decode(value)["wrapped"]
    with pytest.raises(KeyUnusable, match="another secret"):
        other.shown(entry)


def test_a_sealed_value_moved_to_another_record_is_not_shown(people):
    """Whoever signs for the log could write such a record; nobody can make it say anything."""
    log = people()
    entry = log.write(stream="postgres:orders")
    body = {"text": entry.body["text"]}
    moved = log.log.append(
        [
            Draft("note", "postgres:billing", AT, ALICE, body),
            Draft("other", "postgres:orders", AT, ALICE, body),
        ]
    )
    for one in moved:
        shown = log.shown(one)
        assert (shown.state, shown.value) == (Visibility.WRONG, None)
        assert "INC-1" not in shown.says


def test_a_sealed_copy_swapped_for_another_one_of_the_same_place_is_not_shown(people):
    log = people()
    first, second = log.write(value="first"), log.write(value="second")
    mixed = {**first.body["text"]["personal"], "sealed": second.body["text"]["personal"]["sealed"]}
    (entry,) = log.log.append(
        [Draft("note", "postgres:orders", AT, ALICE, {"text": {"personal": mixed}})]
    )
    assert log.shown(entry).state is Visibility.WRONG


def test_a_document_that_somebody_else_wrote_is_refused(people):
    log = people()
    entry = log.write()
    key = "subject/" + log.subjects.pseudonym("ana")
    raw = log.raw
    raw.swap([Write(key, raw.get(key).version, raw.get(key).value[32:])])
    with pytest.raises(Malformed, match="not one that this installation wrote"):
        log.shown(entry)
    with pytest.raises(Malformed):
        log.write()
    log.subjects.swap(log.subjects.pseudonym("ana"), 2, Subject(v=2))
    with pytest.raises(Malformed, match="of version 2"):
        log.shown(entry)


def test_a_lost_document_leaves_values_sealed_and_the_log_whole(people):
    log = people()
    entry = log.write()
    log.place.close()
    for path in log.place.root.glob("state.db*"):
        path.unlink()
    assert log.shown(entry).says == "sealed"


def test_streams_are_noted_before_their_values_are_recorded_and_bounded(people):
    log = people()
    for stream in ("one", "two", "one"):
        log.write(stream=stream)
    assert log.subject().streams == sorted({mark("one"), mark("two")})
    assert not log.subject().may_be_in("three")
    full = [f"{number:016x}" for number in range(MAX_STREAMS)]
    pseudonym = log.subjects.pseudonym("ana")
    version, found = log.subjects.find(pseudonym)
    log.subjects.swap(pseudonym, version, msgspec.structs.replace(found, streams=full))
    log.write(stream="three")
    assert log.subject().streams == [EVERYWHERE]
    assert log.subject().may_be_in("anything")
    log.write(stream="four")
    assert log.subject().streams == [EVERYWHERE]


class Meeting:
    """Documents before whose nth swap of a subject something else happens, once."""

    def __init__(self, inner, meet, *, nth=1, after=False):
        self._inner, self._meet, self._nth, self._after = inner, meet, nth, after

    def swap(self, writes):
        ours = writes[0].key.startswith("subject/")
        self._nth -= ours
        now = ours and self._nth == 0
        if now and not self._after:
            self._meet()
        self._inner.swap(writes)
        if now and self._after:
            self._meet()

    def __getattr__(self, name):
        return getattr(self._inner, name)


def crash():
    raise StoreUnavailable("the power went")


def test_a_value_sealed_for_a_new_stream_beside_an_erasure_is_seen_by_it(people):
    """The stream may be held: so it is looked at again, and both values are erased."""
    log, rival = people(), people()
    first = log.write()
    later = []
    log.documents._inner = Meeting(
        log.documents._inner, lambda: later.append(rival.write(stream="new"))
    )
    done = log.erase()
    assert (done.records, len(later)) == (2, 1)
    assert {log.shown(one).state for one in (first, *later)} == {Visibility.ERASED}
    log.fsck()


def test_a_hold_on_that_new_stream_blocks_the_erasure(people):
    log, rival = people(), people()
    first = log.write()
    rival.log.append([Draft("scan", "new", AT, ALICE, {})])
    hold.place(rival.log, rival.clock, stream="new", reason="matter 7", actor=ALICE)
    log.documents._inner = Meeting(log.documents._inner, lambda: rival.write(stream="new"))
    with pytest.raises(NotAllowed, match="stream that is held"):
        log.erase()
    assert log.shown(first).state is Visibility.OPEN


def test_a_value_sealed_before_and_recorded_after_an_erasure_is_erased(people):
    log = people()
    log.write()
    (sealed,) = [log.subjects.seal(Draft("note", "s", AT, ALICE, {"t": Personal("ana", "x")}))]
    log.erase()
    (entry,) = log.log.append([sealed])
    assert log.shown(entry).says == "erased on 2026-11-23 by alice"


def test_a_key_made_while_an_erasure_is_settled_is_left_for_what_comes(people):
    log, rival = people(), people()
    old = log.write()
    later = []
    log.documents._inner = Meeting(
        log.documents._inner, lambda: later.append(rival.write(value="later")), nth=2
    )
    done = log.erase()
    assert (done.records, done.repeated) == (1, False)
    assert log.shown(old).state is Visibility.ERASED
    assert log.shown(later[0]).value == "later"
    assert [one.record.kind for one in log.log.read()].count(ERASED) == 1


@pytest.mark.parametrize(
    ("nth", "after", "recorded"),
    [(1, False, 0), (1, True, 0), (2, False, 1), (2, True, 1)],
    ids=["before-tombstone", "after-tombstone", "before-settling", "after-settling"],
)
def test_a_crashed_erasure_is_finished_and_told_once(people, nth, after, recorded):
    log = people()
    entry = log.write()
    log.documents._inner = Meeting(log.documents._inner, crash, nth=nth, after=after)
    with pytest.raises(StoreUnavailable):
        log.erase()
    again = people()
    told = [one for one in again.log.read() if one.record.kind == ERASED]
    assert len(told) == recorded
    shown = again.shown(entry)
    if (nth, after) == (1, False):
        assert shown.state is Visibility.OPEN
    elif recorded == 0:
        assert shown.says == "erased on 2026-11-23 by alice, which is not recorded yet"
    # Another person finishes it; what is recorded is who destroyed the key.
    done = again.erase(actor=Actor("bob", "os"), reason="finish what alice began")
    by = "bob" if (nth, after) == (1, False) else "alice"
    told = [one for one in again.log.read() if one.record.kind == ERASED]
    assert len(told) == 1
    assert (told[0].record.actor.name, done.by, done.index) == (by, by, told[0].index)
    assert again.shown(entry).says == f"erased on 2026-11-23 by {by}"
    again.fsck()


def test_an_erasure_that_the_store_cannot_purge_is_not_recorded_before_it_can(people):
    log = people()
    entry = log.write()

    class Stuck:
        def purge(self):
            raise Busy("somebody reads")

        def __getattr__(self, name):
            return getattr(log.raw, name)

    log.documents._inner = Stuck()
    with pytest.raises(Busy):
        log.erase()
    assert [one for one in log.log.read() if one.record.kind == ERASED] == []
    log.documents._inner = log.raw
    assert log.erase().repeated is False
    assert log.shown(entry).state is Visibility.ERASED


def test_an_owed_erasure_is_recorded_also_where_a_hold_came_since(people):
    """The key is gone: to leave that out of the log would help nobody."""
    log = people()
    log.write()
    log.documents._inner = Meeting(log.documents._inner, crash, after=True)
    with pytest.raises(StoreUnavailable):
        log.erase()
    again = people()
    hold.place(again.log, again.clock, stream="postgres:orders", reason="late", actor=ALICE)
    assert again.erase().records == 1
    assert [one.record.kind for one in again.log.read()].count(ERASED) == 1


def test_writers_that_always_come_between_end_it(people):
    log, rival = people(), people()
    log.write()

    class Beaten:
        def swap(self, writes):
            if writes[0].key.startswith("subject/"):
                raise Conflict("beaten")
            log.raw.swap(writes)

        def __getattr__(self, name):
            return getattr(log.raw, name)

    log.documents._inner = Beaten()
    with pytest.raises(Conflict, match="nothing was erased"):
        log.erase()
    with pytest.raises(Conflict, match="nothing was recorded"):
        log.write(stream="new")
    assert rival.shown(next(rival.log.read())).state is Visibility.OPEN


def test_a_record_that_is_named_as_an_erasure_and_is_none_is_not_believed(people):
    """A copy without the secret cannot check who wrote the document; it checks the log."""
    log = people()
    entry = log.write()
    log.erase()
    pseudonym = log.subjects.pseudonym("ana")
    version, found = log.subjects.find(pseudonym)
    for index in (0, 99):
        forged = msgspec.structs.replace(
            found, erased=[msgspec.structs.replace(found.erased[0], index=index)]
        )
        log.subjects.swap(pseudonym, version, forged)
        version += 1
        assert log.shown(entry).says == "sealed"


def test_the_layout_of_subjects_is_none_of_the_logs(people):
    log = people()
    log.write()
    assert [key for key, _ in log.documents.list("subject/")] == [
        f"subject/{log.subjects.pseudonym('ana')}"
    ]
    assert not any(
        key.startswith(("subject", layout.HEAD + "subject")) for key in log.place.writeonce.list("")
    )


def test_writers_beside_erasures_leave_every_value_open_or_erased(people):
    logs = [people() for _ in range(4)]
    logs[0].write()

    def work(number):
        if number == 0:
            return [logs[0].erase() for _ in range(4)] and []
        return [logs[number].write(stream=f"s{number}-{i}") for i in range(6)]

    with ThreadPoolExecutor(4) as pool:
        written = [entry for entries in pool.map(work, range(4)) for entry in entries]
    last = people()
    states = {last.shown(entry).state for entry in written}
    assert states <= {Visibility.OPEN, Visibility.ERASED}
    last.erase()
    assert {last.shown(entry).state for entry in last.log.read() if "text" in entry.body} == {
        Visibility.ERASED
    }
    last.fsck()
