"""What is left when a writer crashes: nothing acknowledged is lost or doubled.

Here within one process; ``test_fire`` kills processes, on every adapter.
"""

from __future__ import annotations

import pytest
from evidence.place import Place
from evidence.test_log import Overtaken, losing
from evidence.test_note import P256Signer

from chalicelib.evidence import layout, note, state
from chalicelib.kernel.errors import (
    DigestMismatch,
    Fork,
    HoldfastError,
    Missing,
    StoreUnavailable,
)
from chalicelib.kernel.merkle import Frontier, leaf_hash
from chalicelib.kernel.store import Write


def numbers(place):
    return [entry.body["number"] for entry in place.log.read()]


def no_size_has_two_roots(place, notes):
    """Every note that was ever seen agrees with the locked one of its size."""
    for data in notes:
        seen = note.verify_checkpoint(data, place.verifier)
        locked = place.writeonce.get(layout.checkpoint(seen.size))
        assert note.verify_checkpoint(locked, place.verifier).root == seen.root


def whole(place, acknowledged, possible=()):
    """Acknowledged records are there once, in order, in pairs; others only if they may be."""
    found = numbers(place)
    once = found[::2]
    assert [-number for number in once] == found[1::2]
    assert len(once) == len(set(once))
    assert set(acknowledged) <= set(once) <= set(acknowledged) | set(possible)
    report = place.fsck()
    assert report.ok, report.problems


class Crash(BaseException):
    """As good as a kill for what is durable: nothing catches it."""


class Counting:
    """A port that crashes before or after a call, by the number of the call."""

    def __init__(self, name, port, crash):
        self._name, self._port, self._crash = name, port, crash

    def __getattr__(self, method):
        attribute = getattr(self._port, method)
        if method not in ("put", "swap", "sign", "delete"):
            return attribute

        def call(*arguments, **options):
            self._crash("before")
            result = attribute(*arguments, **options)
            self._crash("after")
            return result

        return call


def crashing(calls, when):
    left = [calls]

    def crash(now):
        left[0] -= now == "before"
        if left[0] < 0 and now == when:
            raise Crash

    return lambda ports: {n: Counting(n, port, crash) for n, port in ports.items()}


@pytest.mark.parametrize("p256", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_every_single_write_while_a_tile_fills(tmp_path, when, p256):
    """From 254 to 262 records: partial tiles go, a full one and a second level come."""
    place = Place(tmp_path / "log", signer=P256Signer() if p256 else None)
    place.append(*[n for number in range(1, 127) for n in (number, -number)])
    acknowledged, possible, notes = list(range(1, 127)), [], []
    calls = 0
    while calls < 40:
        number = 1_000 + calls
        dying = Place(place.root, signer=place.signer, wrap=crashing(calls, when))
        possible.append(number)
        try:
            dying.append(number, -number)
        except Crash:
            assert not place.fsck().tampered
        else:
            acknowledged.append(number)
            break
        notes.append(place.log.checkpoint())
        calls += 1
    assert calls > 10
    place.log.recover()
    whole(place, acknowledged, possible)
    no_size_has_two_roots(place, notes)
    place.close()


# What cannot be finished is said, and never skipped


class Failing:
    """A port that fails one call, as storage does."""

    def __init__(self, port, method, prefix, error):
        self._port, self._method, self._prefix, self._error = port, method, prefix, error

    def __getattr__(self, method):
        attribute = getattr(self._port, method)

        def call(*arguments, **options):
            key = arguments[0] if arguments and isinstance(arguments[0], str) else ""
            if method == self._method and key.startswith(self._prefix):
                raise self._error
            return attribute(*arguments, **options)

        return call if method == self._method else attribute


def failing(port, method, prefix, error=None):
    error = error or StoreUnavailable("the disk is full")
    return lambda ports: {**ports, port: Failing(ports[port], method, prefix, error)}


def test_an_append_whose_batch_and_stage_are_gone_stops_the_log(places):
    place = places(wrap=failing("writeonce", "put", "log/batch"))
    with pytest.raises(StoreUnavailable):
        place.append(1)
    (stage,) = place.files("stage", folder="derived")
    data = stage.read_bytes()
    stage.unlink()
    next_one = places()
    for _ in range(2):
        with pytest.raises(Missing, match=r"neither log/batch/0+ nor stage/") as error:
            next_one.append(2)
    assert "restore" in error.value.next_step
    assert next_one.fsck().first.place == layout.batch(0)
    assert next_one.log.size() == 0
    stage.write_bytes(data)
    next_one.append(2)
    assert numbers(next_one) == [1, 2]


@pytest.mark.parametrize("damage", ["stage", "batch"])
def test_an_append_whose_leaves_are_others_is_not_finished(places, damage):
    place = places()
    place.append(0)
    step = "log/batch" if damage == "stage" else "log/checkpoint"
    with pytest.raises(StoreUnavailable):
        places(wrap=failing("writeonce", "put", step)).append(1)
    if damage == "stage":
        (path,) = place.files("stage", folder="derived")
    else:
        path = place.file(layout.batch(1))
    place.overwrite(path, path.read_bytes().replace(b'"number":1', b'"number":7'))
    with pytest.raises(Fork, match="two batches for record 1"):
        place.append(2)
    assert place.fsck().first.place == layout.batch(1)


def test_a_state_that_grew_from_another_tree_is_not_finished(places):
    place, other = places(), places("other")
    other = places(
        "other2",
        signer=place.signer,
        wrap=failing("writeonce", "put", "log/batch/" + "0" * 19 + "1"),
    )
    place.append(0)
    other.append(9)
    with pytest.raises(StoreUnavailable):
        other.append(1)
    # The state and stage of the other history, over this one's store and checkpoints.
    place.close()
    other.close()
    for name in ("state.db",):
        (place.root / name).write_bytes((other.root / name).read_bytes())
    (stage,) = other.files("stage", folder="derived")
    place.derived.put(str(stage.relative_to(other.root / "derived")), stage.read_bytes())
    with pytest.raises(Fork, match="two roots for 1 leaves"):
        place.append(2)
    with pytest.raises(Fork, match="two roots for 1 leaves"):
        place.log.size()


def test_a_loser_leaves_the_stage_of_a_crashed_winner_with_the_very_same_bytes(places):
    def win_and_die():
        with pytest.raises(StoreUnavailable):
            places(wrap=failing("writeonce", "put", "log/batch")).append(1, -1)

    loser = places(wrap=losing(1, win_and_die))
    loser.append(1, -1)
    assert numbers(loser) == [1, -1, 1, -1]


class Finished:
    """Derived objects where another writer finishes just before a stage is looked for."""

    def __init__(self, derived, rival):
        self.derived, self.rival = derived, rival

    def get(self, key):
        if key.startswith("stage/") and self.rival:
            rival, self.rival = self.rival, None
            rival()
        return self.derived.get(key)

    def __getattr__(self, name):
        return getattr(self.derived, name)


def test_a_crashed_append_is_finished_by_two_writers_at_once(places):
    with pytest.raises(StoreUnavailable):
        places(wrap=failing("writeonce", "put", "log/batch")).append(1, -1)
    rival = places()
    slow = places(
        wrap=lambda ports: {**ports, "derived": Finished(ports["derived"], rival.log.recover)}
    )
    slow.append(2, -2)
    whole(slow, [1, 2])


def test_a_state_that_its_own_batch_does_not_lead_to_is_not_finished(places):
    place = places(wrap=failing("writeonce", "put", "log/batch"))
    with pytest.raises(StoreUnavailable):
        place.append(1)
    document = place.documents.get(layout.STATE)
    value = state.decode(document.value)
    other = Frontier()
    other.append(leaf_hash(b"other"))
    edited = state.state(place.verifier, Frontier(), other, value.batch.sha256)
    place.documents.swap([Write(layout.STATE, document.version, state.encode(edited))])
    with pytest.raises(DigestMismatch, match="does not lead to the state"):
        places().append(2)


def test_a_writer_that_shows_its_checkpoint_beside_an_unfinished_append_shows_its_own(places):
    """Overtaken by a rival that won its swap and then died."""

    def overtake():
        with pytest.raises(StoreUnavailable):
            places(wrap=failing("writeonce", "put", "log/batch")).append(2, -2)

    slow = places(wrap=lambda ports: {**ports, "derived": Overtaken(ports["derived"], overtake)})
    slow.append(1, -1)
    assert "records 2 to 3 still owes its signed checkpoint" in slow.fsck().unfinished
    slow.log.recover()
    whole(slow, [1, 2])


@pytest.mark.parametrize(
    ("port", "method", "prefix"),
    [
        ("derived", "put", "stage/"),
        ("documents", "swap", ""),
        ("writeonce", "put", "log/batch"),
        ("signer", "sign", ""),
        ("writeonce", "put", "log/checkpoint"),
        ("derived", "delete", "stage/"),
        ("derived", "put", "tile/"),
        ("derived", "put", "checkpoint"),
        ("writeonce", "put", "body/"),
    ],
)
def test_a_failing_store_is_an_error_and_the_next_append_goes_on(places, port, method, prefix):
    place = places(wrap=failing(port, method, prefix))
    with pytest.raises(HoldfastError, match="the disk is full"):
        place.append(1, -1, large="x" * 66_000)
    sound = places()
    sound.append(2, -2)
    whole(sound, [2], possible=[1])
