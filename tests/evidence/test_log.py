from __future__ import annotations

import shutil

import pytest
from evidence.place import AT, ORIGIN, draft
from evidence.test_note import P256Signer
from msgspec import structs

from chalicelib.evidence import bundle, layout, merkle, note, state
from chalicelib.evidence import log as log_module
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Recovery
from chalicelib.kernel import canon, record
from chalicelib.kernel.errors import (
    BadSignature,
    Conflict,
    DigestMismatch,
    Fork,
    KeyUnusable,
    Malformed,
    Missing,
    NotFound,
    UsageError,
)
from chalicelib.kernel.merkle import leaf_hash
from chalicelib.kernel.record import Actor, Draft
from chalicelib.kernel.store import Write


def numbers(entries):
    return [entry.body["number"] for entry in entries]


def test_an_empty_log_has_no_records_and_no_checkpoint(place):
    assert (place.log.size(), place.log.checkpoint(), list(place.log.read())) == (0, None, [])
    assert place.log.recover() == Recovery(0, finished=False)
    assert place.log.rebuild() == 0
    assert place.log.append([]) == []
    assert not place.files("", folder="store")


def test_records_are_read_back_as_they_were_appended(place):
    appended = place.append(0, 1) + place.append(2, stream="other") + place.append(3)
    assert list(place.log.read()) == appended
    assert [(e.index, e.record.stream, e.record.seq) for e in appended] == [
        (0, "scan", 1),
        (1, "scan", 2),
        (2, "other", 1),
        (3, "scan", 3),
    ]
    one = appended[0].record
    assert (one.v, one.kind, one.at, one.actor.name, one.tool) == (1, "scan", AT, "ana", "test/0")


def test_every_range_can_be_read(place):
    place.grow()
    for start, stop in ((0, 1), (1, 1), (2, 5), (6, 306), (250, 307), (307, 308), (308, 308)):
        assert [e.index for e in place.log.read(start, stop)] == list(range(start, stop))
    for start, stop in ((-1, 1), (2, 1), (0, 309), (309, None)):
        with pytest.raises(NotFound, match="308"):
            list(place.log.read(start, stop))


def test_the_checkpoint_is_signed_by_the_pinned_key_over_all_records(place):
    place.append(0, 1, 2)
    signed = note.verify_checkpoint(place.log.checkpoint(), place.verifier)
    assert (signed.checkpoint.origin, signed.size) == (ORIGIN, 3)
    assert place.log.checkpoint() == place.file("checkpoint", "derived").read_bytes()
    assert place.log.checkpoint() == place.file(layout.checkpoint(3)).read_bytes()


def test_a_second_process_sees_and_extends_the_same_log(places):
    one, two = places(), places()
    one.append(0)
    two.append(1)
    one.append(2)
    assert numbers(two.log.read()) == [0, 1, 2]
    assert one.fsck().ok


def test_a_body_too_large_for_a_leaf_is_kept_apart(place):
    (entry,) = place.append(0, large="x" * 66_000)
    ref = entry.record.body_ref
    assert entry.record.body is None
    data = place.file(layout.body(ref.sha256)).read_bytes()
    assert (canon.sha256(data), len(data)) == (ref.sha256, ref.size_bytes)
    assert next(place.log.read()) == entry


def test_the_longest_leaf_that_fits_is_not_kept_apart(place):
    (entry,) = place.append(0)
    room = record.MAX_LEAF_BYTES - len(entry.leaf) - len(',"large":""') - 15
    (fits, apart) = (
        place.log.append([draft(0, large="x" * size)])[0].record for size in (room, room + 1)
    )
    assert (fits.body_ref, apart.body) == (None, None)


def test_a_body_beyond_the_bound_is_refused_and_nothing_is_written(place, monkeypatch):
    monkeypatch.setattr(log_module, "MAX_BODY_BYTES", 70_000)
    with pytest.raises(UsageError, match="at most 70000"):
        place.log.append([draft(0), draft(1, large="x" * 70_000)])
    assert place.log.size() == 0
    assert not place.files("")


@pytest.mark.parametrize(
    "bad",
    [
        draft(0, bad=float("nan")),
        draft(0, bad=2**53),
        draft(0, bad="\ud800"),
        draft(0, bad=object()),
        draft(0, stream=""),
        draft(0, stream="x" * 513),
        draft(0, stream="é" * 257),
        draft(0, stream="a\nb"),
        Draft("", "scan", AT, Actor("ana", "os"), {}),
        Draft("scan", "scan", "yesterday", Actor("ana", "os"), {}),
        Draft("scan", "scan", AT, Actor("a" * 66_000, "os"), {}),
        draft(0, deep=eval("[" * 65 + "]" * 65)),  # noqa: S307 - brackets
        draft(0, large="x" * 70_000, deep=eval("[" * 65 + "]" * 65)),  # noqa: S307 - brackets
    ],
)
def test_what_no_log_can_hold_is_refused_before_anything_is_recorded(place, bad):
    with pytest.raises(UsageError):
        place.log.append([draft(1), bad])
    assert place.log.size() == 0


def test_many_records_are_cut_into_batches_within_bounds(place):
    place.log.append([draft(n, stream=f"s{n % 200}") for n in range(400)])
    place.log.append([draft(n) for n in range(log_module.MAX_BATCH_LEAVES + 1)])
    place.log.append([draft(n, pad="x" * 60_000) for n in range(150)])
    for path in place.files("log/batch"):
        leaves = [record.decode(leaf) for leaf in bundle.decode(path.read_bytes())]
        assert len(leaves) <= log_module.MAX_BATCH_LEAVES
        assert len({leaf.stream for leaf in leaves}) <= log_module.MAX_BATCH_STREAMS
        assert path.stat().st_size <= log_module.MAX_BATCH_BYTES
    assert [len(place.files(f"log/{kind}")) for kind in ("batch", "checkpoint")] == [9, 9]
    assert place.fsck().ok


def test_partial_tiles_go_when_the_full_one_is_there(place):
    place.append(*range(255))
    assert place.file("tile/0/000.p/255", "derived").exists()
    place.append(255, 256)
    assert [
        str(p.relative_to(place.root / "derived")) for p in place.files("", folder="derived")
    ] == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    ]


def test_the_stage_is_dropped_after_publishing(place):
    place.append(0)
    assert not place.files("stage", folder="derived")


def test_a_signer_of_another_key_than_the_pinned_one_is_refused(places, place):
    other = places("other")
    with pytest.raises(KeyUnusable, match="not the one that is pinned"):
        log_module.Log(
            **{**place.ports, "signer": other.signer},
            keys=keyring([LogKey(place.verifier)]),
            tool="test/0",
            pause=lambda _: None,
        )


def test_the_reader_s_key_is_the_pinned_one(place):
    assert place.log.verifier == place.verifier


def test_proofs_verify_under_signed_checkpoints(place):
    place.grow()
    leaves = [leaf_hash(entry.leaf) for entry in place.log.read()]
    sizes = [0, 1, 4, 6, 306, 308]
    roots = {0: merkle.EMPTY_ROOT}
    for size in sizes[1:]:
        data = place.file(layout.checkpoint(size)).read_bytes()
        roots[size] = note.verify_checkpoint(data, place.verifier).root
    for new in sizes:
        for old in (size for size in sizes if size <= new):
            proof = place.log.prove_consistency(old, new)
            merkle.verify_consistency(old, new, proof, roots[old], roots[new])
        for index in range(0, new, 7):
            proof = place.log.prove_inclusion(index, new)
            merkle.verify_inclusion(leaves[index], index, new, proof, roots[new])


def test_no_proof_is_made_beyond_the_signed_log(place):
    with pytest.raises(NotFound):
        place.log.prove_inclusion(0, 0)
    place.append(0, 1)
    for index, size in ((2, 2), (0, 3), (-1, 2)):
        with pytest.raises(NotFound):
            place.log.prove_inclusion(index, size)
    for old, new in ((1, 3), (2, 1), (-1, 1)):
        with pytest.raises(NotFound):
            place.log.prove_consistency(old, new)


def test_while_an_append_makes_its_tiles_proofs_are_up_to_the_checkpoint_before(place):
    place.append(*range(5))
    derived = place.root / "derived"
    before = place.root / "before"
    shutil.copytree(derived, before)
    place.append(5, 6)
    shutil.rmtree(derived)
    shutil.copytree(before, derived)  # the checkpoint of 7 is locked, and nothing is derived of it
    assert (place.log.head().size, place.log.settled().size) == (7, 5)
    place.log.prove_inclusion(3, 5)
    place.log.prove_consistency(2, 5)
    with pytest.raises(Missing):
        place.log.prove_inclusion(3, 7)


def test_no_proof_is_made_from_tiles_that_lie(place):
    place.append(*range(9))
    tile = place.file("tile/0/000.p/9", "derived")
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    with pytest.raises(DigestMismatch):
        place.log.prove_inclusion(8, 9)
    tile.unlink()
    with pytest.raises(Missing, match=r"000\.p/9"):
        place.log.prove_consistency(4, 9)


@pytest.mark.parametrize("damage", ["missing", "lying"])
def test_reading_does_without_tiles(place, damage):
    place.grow()
    for path in place.files("tile", folder="derived"):
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(bytes(path.stat().st_size))
    assert [e.index for e in place.log.read(300, 308)] == list(range(300, 308))


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_appending_makes_missing_tiles_again(place, keep):
    place.grow()
    files = place.files("tile", "checkpoint", folder="derived")
    for path in files[keep:]:
        path.unlink()
    place.append(308)
    place.log.rebuild()
    assert place.fsck().ok


def test_appending_from_tiles_that_lie_makes_them_again(place):
    place.append(0, 1, 2)
    place.file("tile/0/000.p/3", "derived").write_bytes(bytes(96))
    place.append(3)
    assert place.file("tile/0/000.p/4", "derived").read_bytes() == b"".join(
        leaf_hash(e.leaf) for e in place.log.read()
    )


def test_a_false_latest_checkpoint_is_written_again(place):
    place.append(0)
    place.file("checkpoint", "derived").write_bytes(b"x")
    assert place.log.size() == 1
    place.append(1)
    assert place.fsck().ok


@pytest.mark.parametrize("start", [0, 3])
def test_reading_refuses_an_edited_batch(place, start):
    place.append(0, 1)
    place.append(2, 3)
    path = place.file(layout.batch(0 if start == 0 else 2))
    place.overwrite(path, path.read_bytes().replace(b'"number":', b'"Number":', 1))
    with pytest.raises(DigestMismatch, match="does not lead to the signed root"):
        list(place.log.read(start))


def test_reading_refuses_an_empty_batch(place):
    place.append(0)
    place.overwrite(place.file(layout.batch(0)), b"")
    with pytest.raises(Malformed, match="holds no leaf"):
        list(place.log.read())


def test_reading_refuses_a_checkpoint_under_another_s_name(place):
    place.append(0)
    place.append(1)
    place.overwrite(place.file(layout.checkpoint(2)), place.file(layout.checkpoint(1)).read_bytes())
    with pytest.raises(Malformed, match="a checkpoint of 1 leaves"):
        place.log.size()


def test_reading_names_a_missing_checkpoint_and_a_missing_batch(place):
    place.append(0)
    place.append(1)
    place.append(2)
    place.file(layout.checkpoint(2)).unlink()
    with pytest.raises(Missing, match="log/checkpoint/00000000000000000002"):
        list(place.log.read(0, 2))
    place.file(layout.batch(0)).unlink()
    with pytest.raises(Missing, match="no batch holds record 0"):
        list(place.log.read(0, 1))


@pytest.mark.parametrize("change", ["bytes", "size", "kind"])
def test_reading_refuses_a_swapped_body(place, change):
    (entry,) = place.append(0, large="x" * 66_000)
    ref = entry.record.body_ref
    path = place.file(layout.body(ref.sha256))
    if change == "kind":
        data = canon.encode([])
        ref = record.BodyRef(canon.sha256(data), len(data))
        place.writeonce.put(layout.body(ref.sha256), data)
        with pytest.raises(Malformed, match="not a JSON object"):
            place.log.body(ref)
        return
    if change == "size":
        with pytest.raises(DigestMismatch, match="66"):
            place.log.body(record.BodyRef(ref.sha256, ref.size_bytes + 1))
        return
    place.overwrite(path, path.read_bytes().replace(b"xx", b"xy", 1))
    with pytest.raises(DigestMismatch, match="not what was recorded"):
        list(place.log.read())


# What the state may not be


def swap_state(place, change):
    document = place.documents.get(layout.STATE)
    value = state.decode(document.value)
    place.documents.swap([Write(layout.STATE, document.version, change(value))])


def forget_state(place):
    place.close()
    for path in place.root.glob("state.db*"):
        path.unlink()


def refused(place):
    """Both a reader and a writer refuse, and nothing is written."""
    before = [(p, p.read_bytes()) for p in place.files("")]
    with pytest.raises(Fork) as reading:
        place.log.size()
    with pytest.raises(Fork) as writing:
        place.append(9)
    assert [(p, p.read_bytes()) for p in place.files("")] == before
    assert reading.value.theirs == writing.value.theirs
    return writing.value


def test_a_state_rolled_back_behind_the_latest_checkpoint_is_a_fork(place):
    place.append(0)
    old = place.documents.get(layout.STATE).value
    place.append(1)
    swap_state(place, lambda _: old)
    fork = refused(place)
    assert fork.ours == old
    assert fork.theirs == place.file(layout.checkpoint(2)).read_bytes()


def test_a_state_rolled_back_with_the_latest_checkpoint_is_a_fork(place):
    place.append(0)
    old = place.documents.get(layout.STATE).value
    latest = place.file("checkpoint", "derived").read_bytes()
    place.append(1)
    swap_state(place, lambda _: old)
    place.file("checkpoint", "derived").write_bytes(latest)
    assert refused(place).theirs == place.file(layout.checkpoint(2)).read_bytes()


def test_a_state_behind_a_batch_without_checkpoint_is_a_fork(place):
    place.append(0)
    old = place.documents.get(layout.STATE).value
    latest = place.file("checkpoint", "derived").read_bytes()
    place.append(1)
    swap_state(place, lambda _: old)
    place.file("checkpoint", "derived").write_bytes(latest)
    place.file(layout.checkpoint(2)).unlink()
    assert b"log/batch/00000000000000000001" in refused(place).theirs


def test_a_state_and_store_rolled_back_behind_the_latest_checkpoint_are_a_fork(place):
    place.append(0)
    old = place.documents.get(layout.STATE).value
    place.append(1)
    swap_state(place, lambda _: old)
    for key in (layout.batch(1), layout.checkpoint(2)):
        place.file(key).unlink()
    assert refused(place).theirs == place.file("checkpoint", "derived").read_bytes()


@pytest.mark.parametrize("latest", [True, False])
def test_a_forgotten_state_is_a_fork_not_an_empty_log(place, latest):
    place.append(0)
    forget_state(place)
    if not latest:
        place.file("checkpoint", "derived").unlink()
    fork = refused(place)
    assert (fork.ours, fork.theirs) == (b"", place.file(layout.checkpoint(1)).read_bytes())


def other_history(places, place):
    """The state of another history of this log: same key, same size."""
    other = places("elsewhere", signer=place.signer)
    other.append(*[9] * place.log.size())
    return other.documents.get(layout.STATE).value, other.log.checkpoint()


def test_two_roots_for_one_size_are_a_fork_with_both(place, places):
    place.append(0, 1)
    theirs = place.log.checkpoint()
    ours, _ = other_history(places, place)
    swap_state(place, lambda _: ours)
    fork = refused(place)
    assert (fork.ours, fork.theirs) == (ours, theirs)


def test_two_signed_roots_for_one_size_are_a_fork_with_both(place, places):
    place.append(0, 1)
    ours = place.log.checkpoint()
    _, theirs = other_history(places, place)
    place.file("checkpoint", "derived").write_bytes(theirs)
    with pytest.raises(Fork, match="two signed roots") as fork:
        place.append(2)
    assert (fork.value.ours, fork.value.theirs) == (ours, theirs)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: b"{}",
        lambda value: b"{",
        lambda value: state.encode(value) + b" ",
        lambda value: state.encode(value).replace(b'"v":2', b'"v":3'),
        lambda value: state.encode(value).replace(b'"v":2', b'"v":1'),
        lambda value: state.encode(structs.replace(value, key="")),
        lambda value: state.encode(structs.replace(value, key=f"other{value.key}")),
        lambda value: state.encode(structs.replace(value, v=1)),
        lambda value: state.encode(structs.replace(value, v=0, key="")),
        lambda value: state.encode(value).replace(value.root.encode(), b"0" * 64),
        lambda value: state.encode(value).replace(b'"size":3', b'"size":4'),
        lambda value: state.encode(value).replace(b'"start":0', b'"start":3'),
        lambda value: state.encode(value).replace(ORIGIN.encode(), b"other.example"),
        lambda value: state.encode(value).replace(value.root.encode(), b"zz" * 32),
    ],
)
def test_a_state_that_contradicts_itself_is_refused(place, change):
    place.append(0, 1, 2)
    swap_state(place, change)
    for call in (place.log.size, lambda: place.append(9)):
        with pytest.raises(Malformed):
            call()


@pytest.mark.parametrize("value", [b"{}", b"1", b'{"seq":1}'])
def test_a_head_that_is_no_head_is_refused(place, value):
    place.documents.swap([Write(layout.head("scan"), 0, value)])
    with pytest.raises(Malformed, match="head"):
        place.append(0)


def test_an_edited_checkpoint_is_refused(place):
    place.append(0)
    path = place.file(layout.checkpoint(1))
    place.overwrite(path, path.read_bytes().replace(ORIGIN.encode(), b"TEST.example/log", 1))
    for call in (place.log.size, lambda: place.append(9), lambda: list(place.log.read())):
        with pytest.raises(BadSignature):
            call()


# Other writers


class Losing:
    """Documents on which another writer wins first, a number of times."""

    def __init__(self, documents, rival, times):
        self.documents, self.rival, self.times = documents, rival, times

    def get(self, key):
        return self.documents.get(key)

    def list(self, prefix):
        return self.documents.list(prefix)

    def swap(self, writes):
        if self.times:
            self.times -= 1
            self.rival()
        self.documents.swap(writes)

    def close(self):
        self.documents.close()


def losing(times, rival):
    def wrap(ports):
        return {**ports, "documents": Losing(ports["documents"], rival, times)}

    return wrap


def test_a_lost_swap_is_tried_again_behind_the_winner(places):
    winner = places()
    loser = places(wrap=losing(3, lambda: winner.append(0)))
    (entry,) = loser.append(1)
    assert (entry.index, entry.record.seq) == (3, 4)
    assert loser.pauses == [1, 2, 3]
    assert not winner.files("stage", folder="derived")
    assert winner.fsck().ok


def test_two_writers_of_the_very_same_record_both_get_theirs(places):
    winner = places()
    loser = places(wrap=losing(1, lambda: winner.append(1)))
    loser.append(1)
    assert [e.record.seq for e in winner.log.read()] == [1, 2]


def test_a_writer_that_always_loses_gives_up_with_nothing_recorded(places, monkeypatch):
    monkeypatch.setattr(log_module, "MAX_ATTEMPTS", 3)
    winner = places()
    loser = places(wrap=losing(99, lambda: winner.append(0)))
    with pytest.raises(Conflict, match="lost 3 appends in a row"):
        loser.append(1)
    assert numbers(winner.log.read()) == [0, 0, 0]


class Interrupted:
    """A write-once store in front of which another writer works once."""

    def __init__(self, store, prefix, rival):
        self.store, self.prefix, self.rival = store, prefix, rival

    def _meet(self, key):
        if key.startswith(self.prefix) and self.rival:
            rival, self.rival = self.rival, None
            rival()

    def put(self, key, data, **options):
        self._meet(f"put {key}")
        self.store.put(key, data, **options)

    def get(self, key):
        self._meet(f"get {key}")
        return self.store.get(key)

    def list(self, prefix):
        return self.store.list(prefix)


def interrupted(port, prefix, rival):
    return lambda ports: {**ports, port: Interrupted(ports[port], prefix, rival)}


@pytest.mark.parametrize("step", ["put log/batch", "put log/checkpoint"])
@pytest.mark.parametrize("signer", [None, P256Signer()])
def test_a_live_append_is_finished_by_another_writer_and_still_acknowledged(places, step, signer):
    """The rival takes the slow writer for a crashed one; with P-256 it signs another note."""
    rival = places(signer=signer)
    slow = places(signer=rival.signer, wrap=interrupted("writeonce", step, lambda: rival.append(1)))
    slow.append(0)
    assert numbers(slow.log.read()) == [0, 1]
    assert rival.fsck().ok


def test_a_batch_locked_while_the_state_is_read_is_no_fork(places):
    rival = places()
    rival.append(0)
    slow = places(wrap=interrupted("writeonce", f"get {layout.batch(1)}", lambda: rival.append(1)))
    assert slow.log.size() == 2


class Overtaken:
    """Derived objects where another writer overtakes just before the latest checkpoint is shown."""

    def __init__(self, derived, rival):
        self.derived, self.rival = derived, rival

    def put(self, key, data):
        if key == layout.LATEST and self.rival:
            rival, self.rival = self.rival, None
            rival()
        self.derived.put(key, data)

    def __getattr__(self, name):
        return getattr(self.derived, name)


def test_an_overtaken_writer_does_not_leave_an_old_checkpoint_as_the_latest(places):
    rival = places()
    slow = places(
        wrap=lambda ports: {
            **ports,
            "derived": Overtaken(ports["derived"], lambda: rival.append(1)),
        }
    )
    slow.append(0)
    assert (
        note.verify_checkpoint(slow.file("checkpoint", "derived").read_bytes(), slow.verifier).size
        == 2
    )
    assert rival.fsck().ok


def test_a_checkpoint_of_another_tree_at_the_same_size_stops_the_append(places):
    """As if somebody else had used the key: their checkpoint is locked, and stays."""
    other = places("elsewhere")
    other.append(9)
    theirs = other.log.checkpoint()

    def forge():
        place.writeonce.store.put(layout.checkpoint(1), theirs)

    place = places(signer=other.signer, wrap=interrupted("writeonce", "put log/batch", forge))
    with pytest.raises(Fork, match="two roots for 1 leaves") as fork:
        place.append(0)
    assert fork.value.theirs == theirs


@pytest.mark.parametrize("data", [b"", b"garbage", b"\0\5abc"])
def test_a_batch_put_where_the_log_goes_on_is_named_with_what_to_do(place, data):
    place.append(0)
    place.writeonce.put(layout.batch(1), data)
    for call in (place.log.size, lambda: place.append(1)):
        with pytest.raises(
            Fork, match=r"the state ends at 1 leaves, but log/batch/0{19}1 is"
        ) as error:
            call()
        assert "operate.md" in error.value.next_step


def test_a_checkpoint_put_where_the_log_goes_on_is_named_with_what_to_do(place):
    place.append(0)
    place.writeonce.put(layout.checkpoint(2), b"garbage")
    with pytest.raises(
        Malformed, match=r"log/checkpoint/0{19}2 is locked and is not what"
    ) as error:
        place.append(1)
    assert "operate.md" in error.value.next_step
