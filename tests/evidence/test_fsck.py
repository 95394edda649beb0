from __future__ import annotations

import shutil

import msgspec
import pytest
from evidence.place import draft
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.evidence import bundle, fsck, head, layout, note, report, state, tiles
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.note import Checkpoint
from chalicelib.evidence.report import Kind, Problem, Severity
from chalicelib.kernel import canon, record
from chalicelib.kernel.errors import BadSignature, Busy, Malformed
from chalicelib.kernel.merkle import leaf_hash, root
from chalicelib.kernel.record import Actor, Record
from chalicelib.kernel.store import Write

B0, B1, B4, B6, B306 = map(layout.batch, (0, 1, 4, 6, 306))
C1, C4, C6, C306, C308 = map(layout.checkpoint, (1, 4, 6, 306, 308))


@pytest.fixture
def grown(place):
    return place.grow()


def body_key(place):
    """Of the body that record 4 refers to."""
    (entry,) = place.log.read(4, 5)
    return layout.body(entry.record.body_ref.sha256)


def first(place, **options):
    found = place.fsck(**options)
    assert not found.ok
    return found.first


def edit(place, key, change, folder="store"):
    path = place.file(key, folder)
    data = path.read_bytes()
    changed = change(data)
    assert changed != data
    place.overwrite(path, changed)


def edit_leaves(place, key, change, folder="store"):
    edit(place, key, lambda data: bundle.encode(change(bundle.decode(data))), folder)


def edit_state(place, key, value):
    document = place.documents.get(key)
    place.documents.swap([Write(key, document.version, value)])


def remove_derived(place):
    shutil.rmtree(place.root / "derived")


def test_a_whole_log_is_verified_and_counted(grown):
    seen = []
    found = grown.fsck(progress=lambda done, total: seen.append((done, total)))
    assert found.ok
    assert not found.tampered
    assert (found.first, found.unfinished, found.notes) == (None, "", ())
    assert (found.records, found.batches, found.checkpoints, found.streams) == (308, 5, 5, 2)
    assert (found.bodies, found.size, found.tiles) == (2, 308, 5)
    assert found.root == note.verify_checkpoint(grown.log.checkpoint(), grown.verifier).root.hex()
    assert seen == [(1, 308), (4, 308), (6, 308), (306, 308), (308, 308)]


def test_an_empty_log_is_fine(place):
    assert place.fsck().ok
    assert place.fsck().size == 0


# One tampering each


def test_an_edited_byte_is_named_by_leaf_stream_and_seq(grown):
    edit(grown, B6, lambda data: data.replace(b'"number":41}', b'"number":40}', 1))
    found = grown.fsck()
    assert found.first.place == B6
    assert (found.first.index, found.first.stream, found.first.seq) == (41, "scan", 39)
    assert (found.first.kind, found.first.severity) == (Kind.ROOT, Severity.TAMPERED)
    assert len(found.problems) == 1
    assert not found.complete


def test_an_edited_byte_is_placed_in_its_batch_without_tiles(grown):
    edit(grown, B6, lambda data: data.replace(b'"number":41}', b'"number":40}', 1))
    remove_derived(grown)
    problem = first(grown)
    assert (problem.place, problem.kind, problem.index) == (B6, Kind.ROOT, None)


@pytest.mark.parametrize("key", [B0, B1, B4, B6, B306])
def test_a_deleted_batch_is_named(grown, key):
    grown.file(key).unlink()
    problem = first(grown)
    assert (problem.place, problem.kind, problem.index) == (key, Kind.MISSING, int(key[-20:]))


@pytest.mark.parametrize("key", [C1, C4, C6, C306, C308])
def test_a_deleted_checkpoint_is_named(grown, key):
    grown.file(key).unlink()
    found = grown.fsck()
    assert (found.first.place, found.first.kind) == (key, Kind.MISSING)


@pytest.mark.parametrize("keep", [0, 1, 2, 400, 1_000])
def test_a_truncated_batch_is_named_with_its_first_lost_leaf(grown, keep):
    leaves = bundle.decode(grown.file(B6).read_bytes())
    ends = [len(bundle.encode(leaves[:n])) for n in range(len(leaves) + 1)]
    edit(grown, B6, lambda data: data[:keep])
    problem = first(grown)
    whole = max(n for n, end in enumerate(ends) if end <= keep)
    assert (problem.place, problem.index) == (B6, 6 + whole)
    assert (problem.stream, problem.seq) == ("scan", 4 + whole)


def test_a_truncated_checkpoint_is_named(grown):
    edit(grown, C6, lambda data: data[:-5])
    problem = first(grown)
    assert (problem.place, problem.kind) == (C6, Kind.SIGNATURE)


def test_reordered_records_are_named(grown):
    edit_leaves(grown, B6, lambda leaves: [*leaves[:9], leaves[10], leaves[9], *leaves[11:]])
    problem = first(grown)
    assert (problem.place, problem.index, problem.seq) == (B6, 15, 13)


def test_a_record_added_to_a_batch_is_named(grown):
    edit_leaves(grown, B1, lambda leaves: [*leaves, leaves[0]])
    problem = first(grown)
    assert (problem.place, problem.index) == (B1, 4)


def test_reordered_batches_are_named(grown):
    one, two = (grown.file(key).read_bytes() for key in (B0, B6))
    grown.overwrite(grown.file(B0), two)
    grown.overwrite(grown.file(B6), one)
    problem = first(grown)
    assert (problem.place, problem.index) == (B0, 0)


def test_a_fork_is_named_by_its_checkpoint(grown):
    """Signed by the log's own key: another root for a size that the log has."""
    forged = Checkpoint(grown.verifier.name, 6, leaf_hash(b"other"))
    data = note.sign(forged.text(), grown.verifier.name, grown.signer)
    grown.overwrite(grown.file(C6), data)
    problem = first(grown)
    assert (problem.place, problem.kind) == (C6, Kind.FORK)
    assert problem.observed == forged.root.hex()


def test_a_fork_without_tiles_is_placed_at_its_size(grown):
    forged = Checkpoint(grown.verifier.name, 6, leaf_hash(b"other"))
    grown.overwrite(grown.file(C6), note.sign(forged.text(), grown.verifier.name, grown.signer))
    remove_derived(grown)
    assert first(grown).place == B4


def test_a_fork_in_the_latest_checkpoint_is_named(grown):
    forged = Checkpoint(grown.verifier.name, 308, leaf_hash(b"other"))
    grown.derived.put("checkpoint", note.sign(forged.text(), forged.origin, grown.signer))
    problem = first(grown)
    assert (problem.place, problem.kind) == ("checkpoint", Kind.FORK)


def test_a_log_rewritten_under_another_key_fails_at_its_first_checkpoint(grown, places):
    """The attacker makes a whole log of their own, state and tiles and all, under the same name."""
    theirs = places("theirs").grow()
    mine = grown.verifier
    found = fsck.fsck(
        writeonce=theirs.writeonce,
        derived=theirs.derived,
        documents=theirs.documents,
        keys=keyring([LogKey(mine)]),
    )
    assert (found.first.place, found.first.kind) == (C1, Kind.SIGNATURE)
    assert str(mine) in found.first.expected
    assert found.size == 0


def test_a_rolled_back_state_is_named(grown, copied):
    """The database of an older day under the store of today."""
    old = copied(grown)
    old.append(308)
    old.close()
    for path in old.root.glob("state.db*"):
        path.unlink()
    for path in grown.root.glob("state.db*"):
        shutil.copy(path, old.root)
    problem = first(old)
    assert (problem.place, problem.kind) == ("log/state", Kind.ROLLBACK)
    assert (problem.expected, problem.observed) == ("309 leaves", "308 leaves")


@pytest.mark.parametrize("derived", [True, False])
def test_a_deleted_tail_is_named(grown, derived):
    grown.file(B306).unlink()
    grown.file(C308).unlink()
    if not derived:
        remove_derived(grown)
    problem = first(grown)
    assert (problem.place, problem.kind, problem.index) == (B306, Kind.MISSING, 306)


def test_a_tail_deleted_from_store_and_state_is_shown_by_the_latest_checkpoint(place):
    place.append(0)
    old = place.documents.get(layout.STATE).value
    head = place.documents.get(layout.head("scan")).value
    place.append(1)
    for key in (layout.batch(1), layout.checkpoint(2)):
        place.file(key).unlink()
    edit_state(place, layout.STATE, old)
    edit_state(place, layout.head("scan"), head)
    problem = first(place)
    assert (problem.place, problem.kind) == ("checkpoint", Kind.ROLLBACK)


def test_a_tail_deleted_everywhere_is_shown_only_by_a_checkpoint_kept_elsewhere(place, copied):
    place.append(0)
    older = copied(place)
    place.append(1)
    kept = place.log.checkpoint()
    assert older.fsck().ok
    problem = first(older, outside=kept)
    assert (problem.place, problem.kind) == (layout.checkpoint(2), Kind.ROLLBACK)
    assert place.fsck(outside=older.log.checkpoint()).ok
    assert place.fsck(outside=kept).ok


def test_a_log_that_does_not_extend_the_checkpoint_kept_elsewhere_is_a_fork(place, places):
    place.append(0, 1)
    other = places("other", signer=place.signer)
    other.append(8)
    problem = first(place, outside=other.log.checkpoint())
    assert (problem.place, problem.kind) == (layout.checkpoint(1), Kind.FORK)


def test_a_checkpoint_kept_elsewhere_must_be_this_log_s(place, places):
    place.append(0)
    other = places("other")
    other.append(0)
    with pytest.raises(BadSignature):
        place.fsck(outside=other.log.checkpoint())
    with pytest.raises(Malformed):
        place.fsck(outside=b"")


def test_a_swapped_body_is_named_with_its_record(grown):
    key = body_key(grown)
    edit(grown, key, lambda data: data.replace(b"xx", b"xy", 1))
    found = grown.fsck()
    assert found.first.place == key
    assert len(found.problems) == 1
    assert (found.first.kind, found.first.index) == (Kind.BODY, 4)
    assert (found.first.stream, found.first.seq) == ("scan", 2)


def test_a_missing_body_is_named_with_its_record(grown):
    key = body_key(grown)
    grown.file(key).unlink()
    problem = first(grown)
    assert (problem.place, problem.kind, problem.index) == (key, Kind.MISSING, 4)


def test_a_body_that_no_record_names_must_still_have_its_digest(grown):
    data = canon.encode({"orphan": True})
    grown.writeonce.put(layout.body(canon.sha256(data)), data)
    assert grown.fsck().ok
    edit(grown, layout.body(canon.sha256(data)), lambda data: data + b" ")
    assert first(grown).kind is Kind.BODY


@pytest.mark.parametrize("field", ["size", "root", "frontier", "batch", "origin"])
def test_an_edited_state_is_named_with_its_field(grown, places, field):
    value = state.decode(grown.documents.get(layout.STATE).value)
    other = places("other")
    other.append(*range(308), stream="x")
    theirs = state.decode(other.documents.get(layout.STATE).value)
    if field == "batch":
        edited = state.encode(value).replace(value.batch.sha256.encode(), b"0" * 64)
    elif field == "origin":
        edited = state.encode(value).replace(b"test.example", b"next.example")
    else:
        edited = state.encode(theirs).replace(b"test.example", b"test.example")
    edit_state(grown, layout.STATE, edited)
    found = grown.fsck()
    assert found.first.place == "log/state"
    assert found.first.kind is Kind.STATE
    wanted = field if field in ("batch", "origin") else "root"
    assert any(f"the state's {wanted} " in p.what for p in found.problems)


@pytest.mark.parametrize("value", [b"{}", b"not json"])
def test_an_unusable_state_is_named(grown, value):
    edit_state(grown, layout.STATE, value)
    problem = first(grown)
    assert (problem.place, problem.kind) == ("log/state", Kind.STATE)


def test_a_forgotten_state_is_named(grown):
    grown.close()
    for path in grown.root.glob("state.db*"):
        path.unlink()
    problem = first(grown)
    assert (problem.place, problem.observed) == ("log/state", "no such document")


@pytest.mark.parametrize(
    ("stream", "edit"),
    [
        ("scan", {"seq": 305}),
        ("scan", {"seq": 1_000}),
        ("scan", {"leaf": "0" * 64}),
        ("scan", {"batches": ((1, 0),)}),
        ("never", {}),
    ],
)
def test_an_edited_head_is_named(grown, stream, edit):
    document = grown.documents.get(layout.head(stream))
    version = 0 if document is None else document.version
    held = head.Head(1, "0" * 64, ((1, 0),)) if document is None else head.decode(document.value)
    edited = head.encode(msgspec.structs.replace(held, **edit))
    grown.documents.swap([Write(layout.head(stream), version, edited)])
    problem = first(grown)
    assert (problem.place, problem.kind) == (f"stream/{stream}", Kind.STATE)


# Objects that do not belong there


@pytest.mark.parametrize(
    "key", ["log/batch/1", "log/other", "log/checkpoint/x", "body/sha256/00", "body/md5/00"]
)
def test_an_object_with_a_name_that_the_log_does_not_give_is_named(grown, key):
    grown.writeonce.put(key, b"x")
    problem = first(grown)
    assert (problem.place, problem.kind) == (key, Kind.STRAY)


def test_a_batch_inside_another_is_named(grown):
    grown.writeonce.put(layout.batch(100), bundle.encode([b"x"]))
    assert first(grown).place == layout.batch(100)


def test_a_checkpoint_where_no_batch_ends_is_named(grown):
    leaves = [entry.leaf for entry in grown.log.read(0, 100)]
    true = Checkpoint(grown.verifier.name, 100, root(leaves))
    data = note.sign(true.text(), true.origin, grown.signer)
    grown.writeonce.put(layout.checkpoint(100), data)
    problem = first(grown)
    assert problem.place in (layout.checkpoint(100), B6)


def test_a_checkpoint_beyond_the_last_batch_is_named(grown):
    beyond = Checkpoint(grown.verifier.name, 310, leaf_hash(b""))
    data = note.sign(beyond.text(), beyond.origin, grown.signer)
    grown.writeonce.put(layout.checkpoint(310), data)
    problem = first(grown)
    assert (problem.place, problem.kind) == (layout.batch(308), Kind.MISSING)


@pytest.mark.parametrize("key", [B6, C6])
def test_a_link_in_place_of_an_object_is_named(grown, key):
    path = grown.file(key)
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")
    assert key in {problem.place for problem in grown.fsck().problems}


def test_a_link_in_place_of_a_body_or_the_latest_checkpoint_is_named(grown):
    key = body_key(grown)
    for path in (grown.file(key), grown.file("checkpoint", "derived")):
        kept = grown.root / path.name
        path.rename(kept)
        path.symlink_to(kept)
    places_found = {problem.place for problem in grown.fsck().problems}
    assert {key, "checkpoint"} <= places_found


# Derived objects


@pytest.mark.parametrize("key", ["tile/0/000", "tile/0/001.p/52", "tile/entries/000", "checkpoint"])
def test_a_missing_derived_object_is_repairable_and_repaired(grown, key):
    grown.file(key, "derived").unlink()
    found = grown.fsck()
    assert (found.first.place, found.first.severity) == (key, Severity.REPAIRABLE)
    assert not found.tampered
    assert grown.log.rebuild() == 308
    assert grown.fsck().ok


def test_all_tiles_can_be_made_again(grown):
    remove_derived(grown)
    assert not grown.fsck().tampered
    grown.log.rebuild()
    assert grown.fsck().ok


@pytest.mark.parametrize(
    ("key", "index"),
    [("tile/0/000", 2), ("tile/0/001.p/52", 258), ("tile/1/000.p/1", None)],
)
def test_an_edited_tile_is_named_with_its_leaf(grown, key, index):
    at = 2 * 32 if index else 0
    edit(grown, key, lambda data: data[:at] + bytes(32) + data[at + 32 :], "derived")
    problem = first(grown)
    assert (problem.place, problem.index, problem.kind) == (key, index, Kind.TILE)
    assert problem.severity is Severity.TAMPERED


def test_a_link_in_place_of_a_tile_is_named(grown):
    path = grown.file("tile/0/000", "derived")
    path.rename(grown.root / "kept")
    path.symlink_to(grown.root / "kept")
    assert first(grown).place == "tile/0/000"


@pytest.mark.parametrize("change", [lambda leaves: leaves[:-1], lambda leaves: [*leaves[:7], b"x"]])
def test_an_edited_entry_bundle_is_named(grown, change):
    edit_leaves(grown, "tile/entries/000", change, "derived")
    problem = first(grown)
    assert problem.place == "tile/entries/000"
    assert problem.index == (255 if change([1, 2]) == [1] else 7)


def test_an_edited_partial_tile_of_an_earlier_size_is_named(place):
    place.append(0, 1)
    place.append(2)
    edit(place, "tile/0/000.p/2", lambda data: bytes(64), "derived")
    assert first(place).place == "tile/0/000.p/2"


@pytest.mark.parametrize(
    "key", ["tile/0/002", "tile/0/001.p/53", "tile/3/000.p/1", "tile/0/x", "tile/entries/001.p/60"]
)
def test_a_tile_that_the_leaves_do_not_make_is_named(grown, key):
    grown.derived.put(key, b"x" * 32)
    assert first(grown).place == key


def test_left_over_partial_tiles_are_fine_if_they_are_right(grown):
    whole = grown.file("tile/0/000", "derived").read_bytes()
    grown.derived.put("tile/0/000.p/9", whole[: 9 * 32])
    assert grown.fsck().ok
    leaves = bundle.decode(grown.file("tile/entries/000", "derived").read_bytes())
    grown.derived.put("tile/entries/000.p/9", bundle.encode(leaves[:9]))
    assert grown.fsck().ok
    grown.derived.put("tile/entries/000.p/9", bundle.encode(leaves[1:10]))
    assert first(grown).place == "tile/entries/000.p/9"


def test_an_older_latest_checkpoint_is_repairable(grown):
    grown.derived.put("checkpoint", grown.file(C6).read_bytes())
    problem = first(grown)
    assert (problem.place, problem.severity) == ("checkpoint", Severity.REPAIRABLE)


def test_a_latest_checkpoint_by_nobody_is_named(grown):
    grown.derived.put("checkpoint", b"x")
    problem = first(grown)
    assert (problem.place, problem.kind) == ("checkpoint", Kind.SIGNATURE)


# Records under a good signature that are wrong all the same: the writer's fault, not tampering


def signed_leaves(place, *leaves):
    """A log with a good checkpoint over leaves that no Log would have written."""
    data = bundle.encode(leaves)
    place.writeonce.put(layout.batch(0), data)
    head = Checkpoint(place.verifier.name, len(leaves), root(leaves))
    signed = note.sign(head.text(), head.origin, place.signer)
    place.writeonce.put(layout.checkpoint(len(leaves)), signed)


def leaf(seq, stream="scan", **more):
    whole = Record(
        v=1,
        kind="scan",
        stream=stream,
        seq=seq,
        at="2026-10-01T02:00:00.123456Z",
        actor=Actor("ana", "os"),
        tool="test/0",
        **(more or {"body": {}}),
    )
    return record.encode(whole)


@pytest.mark.parametrize("seqs", [(1, 3), (1, 1), (2,), (1, 2, 1)])
def test_a_stream_with_a_gap_or_a_repetition_is_named(place, seqs):
    signed_leaves(place, leaf(1, "other"), *map(leaf, seqs))
    found = place.fsck()
    wrong = next(n for n, seq in enumerate(seqs) if seq != n + 1)
    assert (found.first.kind, found.first.index) == (Kind.SEQUENCE, 1 + wrong)
    assert (found.first.stream, found.first.seq) == ("scan", seqs[wrong])


@pytest.mark.parametrize("bad", [b"{}", b"x", leaf(1) + b" ", leaf(1).replace(b'"v":1', b'"v":2')])
def test_a_leaf_that_is_no_record_is_named(place, bad):
    signed_leaves(place, leaf(1), bad)
    found = place.fsck()
    assert (found.first.kind, found.first.index) == (Kind.RECORD, 1)


def test_an_empty_leaf_ends_a_batch(place):
    """Zeros would be millions of empty leaves: none is read as one."""
    signed_leaves(place, leaf(1), b"")
    assert not place.fsck().ok


def test_the_caller_s_own_check_sees_every_record_and_adds_problems(grown):
    seen = []

    def check(entry):
        seen.append(entry.index)
        if entry.index == 5:
            yield Problem(
                place="snapshot/x",
                what="a snapshot is missing",
                expected="an object",
                observed="no such object",
                kind=Kind.REFERENCE,
                index=5,
            )

    problem = first(grown, check=check)
    assert (problem.place, problem.kind) == ("snapshot/x", Kind.REFERENCE)
    assert seen == list(range(308))


def test_a_report_is_bounded(place, monkeypatch):
    monkeypatch.setattr(report, "MAX_PROBLEMS", 5)
    signed_leaves(place, *[b"x"] * 20)
    found = place.fsck()
    assert len(found.problems) == 5
    assert not found.complete


def test_problems_of_the_log_come_before_repairable_ones(grown):
    grown.file("tile/0/000", "derived").unlink()
    edit(grown, C308, lambda data: data[:-2] + b"\n")
    assert first(grown).place == C308


# Beside writers


class Appending:
    """Documents that another writer changes whenever the state is read, a number of times."""

    def __init__(self, documents, writer, times):
        self.documents, self.writer, self.times = documents, writer, times

    def get(self, key):
        if key == layout.STATE and self.times:
            self.times -= 1
            self.writer()
        return self.documents.get(key)

    def list(self, prefix):
        return self.documents.list(prefix)

    def close(self):
        self.documents.close()


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 40, 300])
def test_a_log_that_grows_while_it_is_verified_is_fine(places, times, size):
    writer = places().grow()
    place = places()
    place.documents = Appending(place.documents, lambda: writer.append(*range(size)), times)
    found = place.fsck()
    assert found.ok, found.problems


def test_a_log_that_grows_after_its_state_was_read_is_fine(places):
    writer = places().grow()
    found = writer.fsck(check=once(lambda: writer.append(*range(300))))
    assert found.ok, found.problems
    assert found.size == 308


def test_a_log_that_grows_too_fast_to_be_seen_is_busy(places):
    writer = places()
    place = places()
    place.documents = Appending(place.documents, lambda: writer.append(0), 1_000)
    with pytest.raises(Busy):
        place.fsck()


def once(action):
    left = [action]

    def check(_entry):
        if left:
            left.pop()()
        return ()

    return check


class Listing:
    """A write-once store that another writer appends to just before it is listed."""

    def __init__(self, store, writer):
        self.store, self.writer = store, writer

    def list(self, prefix):
        self.writer()
        return self.store.list(prefix)

    def __getattr__(self, name):
        return getattr(self.store, name)


def test_batches_appended_since_the_state_was_read_are_left_for_the_next_time(places):
    writer = places().grow()
    place = places()
    place.writeonce = Listing(place.writeonce, lambda: writer.append(*range(9)))
    found = place.fsck()
    assert found.ok, found.problems
    assert found.records == 308


def test_a_partial_tile_that_filled_since_is_compared_with_its_full_one(places):
    writer = places()
    writer.append(*range(250))
    found = writer.fsck(check=once(lambda: writer.append(*range(250, 300))))
    assert found.ok, found.problems
    assert not writer.file("tile/0/000.p/250", "derived").exists()


# Damage on damage


def test_a_checkpoint_under_another_s_name_is_named(grown):
    grown.overwrite(grown.file(C6), grown.file(C4).read_bytes())
    problem = first(grown)
    assert (problem.place, problem.kind) == (C6, Kind.SIGNATURE)
    assert "a checkpoint of 4 leaves" in problem.observed


def test_a_truncated_batch_without_its_checkpoint_is_named(grown):
    grown.file(C6).unlink()
    edit(grown, B4, lambda data: data[:-1])
    assert B4 in {problem.place for problem in grown.fsck().problems}


def test_a_damaged_batch_is_named_by_leaf_even_where_the_derived_bundle_is_damaged_too(grown):
    edit(grown, B6, lambda data: data.replace(b'"number":41}', b'"number":40}', 1))
    edit(grown, "tile/entries/000", lambda data: data[:-1], "derived")
    problem = first(grown)
    assert (problem.place, problem.index, problem.stream) == (B6, 41, "")


def test_the_log_behind_a_damaged_batch_is_checked_on(grown):
    edit(grown, B1, lambda data: data.replace(b'"number":2}', b'"number":3}', 1))
    edit(grown, B306, lambda data: data.replace(b'"number":307}', b'"number":306}', 1))
    grown.file("tile/entries/001.p/52", "derived").unlink()
    assert [problem.place for problem in grown.fsck().problems][:2] == [B1, B306]


def test_a_checkpoint_kept_elsewhere_is_compared_inside_and_behind_damage(grown, copied):
    other = copied(grown)
    kept = other.file(C306).read_bytes()
    edit(other, B1, lambda data: data.replace(b'"number":2}', b'"number":3}', 1))
    assert {p.place for p in other.fsck(outside=kept).problems} == {B1}


def test_a_bad_locked_checkpoint_does_not_make_the_latest_one_bad(grown):
    edit(grown, C308, lambda data: data[:-2] + b"\n")
    assert {problem.place for problem in grown.fsck().problems} == {C308}


def test_a_latest_checkpoint_that_was_never_locked_is_named(grown):
    leaves = [entry.leaf for entry in grown.log.read(0, 100)]
    signed = Checkpoint(grown.verifier.name, 100, root(leaves))
    grown.derived.put("checkpoint", note.sign(signed.text(), signed.origin, grown.signer))
    problem = first(grown)
    assert (problem.place, problem.kind) == ("checkpoint", Kind.MISSING)


def test_a_left_over_partial_tile_whose_full_one_is_missing_is_not_blamed(grown):
    path = grown.file("tile/0/000", "derived")
    grown.derived.put("tile/0/000.p/9", path.read_bytes()[: 9 * 32])
    path.unlink()
    assert [problem.place for problem in grown.fsck().problems] == ["tile/0/000"]


# Any byte


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    from evidence.place import Place

    place = Place(tmp_path_factory.mktemp("small") / "log")
    place.append(0)
    place.log.append([draft(1), draft(2, stream="other"), draft(3, large="x" * 66_000)])
    place.append(4)
    assert place.fsck().ok
    yield place
    place.close()


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_any_flipped_bit_of_the_locked_log_is_detected_at_its_place(small, data):
    path = data.draw(st.sampled_from(small.files("log/", "body/")))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    try:
        small.overwrite(path, content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
        found = small.fsck()
    finally:
        small.overwrite(path, content)
    assert found.tampered
    assert found.first.place == str(path.relative_to(small.root / "store"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_flipped_bit_of_a_derived_object_is_detected_at_its_place(small, data):
    path = data.draw(st.sampled_from(small.files("tile", "checkpoint", folder="derived")))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    try:
        small.overwrite(path, content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
        found = small.fsck()
    finally:
        small.overwrite(path, content)
    assert found.tampered
    assert found.first.place == str(path.relative_to(small.root / "derived"))


def test_every_stored_tile_of_the_small_log_is_a_tile(small):
    base = small.root / "derived"
    assert all(
        tiles.parse(str(path.relative_to(base))) for path in small.files("tile", folder="derived")
    )
