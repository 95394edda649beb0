"""Writers in many processes, killed at every step, on every adapter.

What must hold, whatever happens to whom: an acknowledged record is in the log exactly once; no size
has two roots, by every text that any process had signed or saw; the next writer finishes what a
dead one began; fsck finds nothing.
"""

from __future__ import annotations

import itertools
import os
import random
import signal

import pytest
from contract import adapters
from evidence.scene import Nursery, Scene
from evidence.test_crash import failing, whole

from chalicelib.evidence import layout, tiles
from chalicelib.evidence.merkle import HASH_BYTES
from chalicelib.kernel.errors import StoreUnavailable

ADAPTERS = ["local", *(name for name in adapters.SIGNERS if name != "local")]
STEPS = [
    "derived.put stage/",
    "documents.swap",
    "writeonce.put log/batch",
    "signer.sign",
    "writeonce.put receipt/",
    "writeonce.put log/checkpoint",
    "derived.delete stage/",
    "derived.put tile/0",
    "derived.put tile/entries",
    "derived.put checkpoint",
]
RECORDED = STEPS.index("documents.swap")  # from here on, the next writer finishes the append
FSYNCS = 26  # of an append on the local adapters


@pytest.fixture(scope="module")
def nurseries():
    """A nursery for the local adapters and one for AWS's, each started when it is needed."""
    made = {}

    def make(adapter):
        kind = adapter.partition("-")[0]
        if kind not in made:
            made[kind] = Nursery(kind)
        return made[kind]

    yield make
    for nursery in made.values():
        nursery.close()


@pytest.fixture
def scene(adapter, tmp_path, request):
    if adapter != "local" and not adapters.REAL:
        request.getfixturevalue("strict_aws")
    made = Scene(adapter, tmp_path / "log")
    yield made
    made.close()


@pytest.fixture
def nursery(scene, nurseries):
    return nurseries(scene.adapter)


def killed(nursery, scene, first, count, *death):
    pid = nursery.start(scene, first, count, *death)
    assert nursery.wait() == (pid, -signal.SIGKILL)


def each_step():
    """On AWS with the key whose signatures differ each time, so that a repeated one would show."""
    for step, when in itertools.product(STEPS, ("before", "after")):
        if "receipt" not in step:
            yield "local", step, when, 0
            yield "local", step, when, 2
        if "aws-p256" in ADAPTERS:
            yield "aws-p256", step, when, 2


@pytest.mark.parametrize(("adapter", "step", "when", "behind"), [*each_step()])
def test_a_killed_append_is_finished_or_never_happened(nursery, scene, step, when, behind):
    for number in range(100, 100 + behind):
        scene.place.append(number, -number)
    killed(nursery, scene, 1, 1, when, step)
    assert scene.acknowledged() == []
    left = scene.place.fsck()
    assert not left.problems, left.problems
    recorded = STEPS.index(step) > RECORDED or (step, when) == ("documents.swap", "after")
    assert bool(left.unfinished) == (recorded and (step, when) != (STEPS[-1], "after"))
    scene.watched().append(2, -2)
    whole(scene.place, [*range(100, 100 + behind), 2, *([1] if recorded else [])])
    scene.no_size_has_two_roots()


@pytest.mark.parametrize("adapter", ["local"])
@pytest.mark.parametrize("count", range(1, FSYNCS + 1))
def test_a_writer_killed_inside_a_store_leaves_the_record_or_nothing(nursery, scene, count):
    scene.place.append(100, -100)
    killed(nursery, scene, 1, 5, "sync", count)
    scene.place.log.recover()
    scene.watched().append(9, -9)
    whole(scene.place, [100, *scene.acknowledged(), 9], possible=range(1, 6))
    scene.no_size_has_two_roots()


@pytest.mark.parametrize(
    ("adapter", "writers", "each"), [("local", 4, 12), ("aws-p256", 3, 4)][: len(ADAPTERS)]
)
def test_writers_in_many_processes_lose_nothing(nursery, scene, writers, each):
    pids = {nursery.start(scene, 1 + 100 * n, each) for n in range(writers)}
    assert {nursery.wait() for _ in pids} == {(pid, 0) for pid in pids}
    assert len(scene.acknowledged()) == writers * each
    whole(scene.place, scene.acknowledged())
    scene.no_size_has_two_roots()


class Crowd:
    """Writers at work at once, each killed in the end; whoever dies is replaced."""

    def __init__(self, nursery, scene, seed):
        self._nursery, self._scene = nursery, scene
        self._random = random.Random(seed)  # noqa: S311 - the same deaths in each run
        self._alive = {}
        self.firsts = []

    def start(self):
        """A writer that dies at a call of its own; every fifth is killed by another's hand."""
        first = 1 + MANY * len(self.firsts)
        death = ("call", self._random.randint(1, CALLS), self._random.choice(("before", "after")))
        if len(self.firsts) % 5 == 4:
            death = ()
        self._alive[self._nursery.start(self._scene, first, MANY, *death)] = bool(death)
        self.firsts.append(first)

    def bury(self):
        """Wait for the next death."""
        if not any(self._alive.values()):
            self._kill()
        pid, code = self._nursery.wait()
        dies_alone = self._alive.pop(pid)
        assert code == -signal.SIGKILL or (code == 0 and not dies_alone)
        self._kill()

    def _kill(self):
        for pid, dies_alone in self._alive.items():
            if not dies_alone:
                os.kill(pid, signal.SIGKILL)
                return


MANY = 100  # more pairs than any of them lives to append
CALLS = 150  # that write; an append has about ten


@pytest.mark.parametrize(
    ("adapter", "at_once", "writers"),
    [("local", 4, 60), ("aws-ed25519", 4, 20)][: len(ADAPTERS)],
)
def test_writers_that_are_killed_at_random_and_replaced_lose_nothing(
    nursery, scene, at_once, writers
):
    crowd = Crowd(nursery, scene, seed=f"{scene.adapter} 1")
    for _ in range(at_once):
        crowd.start()
    for death in range(writers):
        crowd.bury()
        if death + at_once < writers:
            crowd.start()
        if death % 10 == 9:
            report = scene.place.fsck()
            assert not report.tampered, report.problems
    scene.watched().append(0, 0)
    acknowledged = scene.acknowledged()
    everything = {first + n for first in crowd.firsts for n in range(MANY)}
    whole(scene.place, [0, *acknowledged], possible=everything)
    once = [entry.body["number"] for entry in scene.place.log.read()][::2]
    for first in crowd.firsts:
        own = [number for number in once if first <= number < first + MANY]
        said = [number for number in acknowledged if first <= number < first + MANY]
        assert own == [*range(first, first + len(own))], "in order, and none left out"
        assert said == own[: len(said)]
        assert len(own) <= len(said) + 1, "only what was under way may be in the log too"
    scene.no_size_has_two_roots()
    assert len(once) > 2 * writers


# What fsck says while others write


class Beside:
    """A port beside which a rival writes just before one of its objects is looked for."""

    def __init__(self, port, prefix, rival):
        self._port, self._prefix, self._rival = port, prefix, rival

    def get(self, key):
        if key.startswith(self._prefix) and self._rival:
            rival, self._rival = self._rival, None
            rival()
        return self._port.get(key)

    def __getattr__(self, name):
        return getattr(self._port, name)


def test_an_append_that_is_finished_while_fsck_looks_is_no_problem(places):
    places().append(1, -1)
    with pytest.raises(StoreUnavailable):
        places(wrap=failing("writeonce", "put", "log/batch")).append(2, -2)
    rival = places().log.recover
    looking = places(
        wrap=lambda ports: {**ports, "derived": Beside(ports["derived"], "stage/", rival)}
    )
    report = looking.fsck()
    assert not report.problems, report.problems
    assert report.records == 4


def test_records_that_are_appended_while_fsck_looks_are_no_problem(places):
    places().append(1, -1)

    def rival():
        places().append(2, -2)
        places().append(3, -3)

    looking = places(
        wrap=lambda ports: {**ports, "documents": Beside(ports["documents"], layout.STATE, rival)}
    )
    report = looking.fsck()
    assert not report.problems, report.problems
    assert report.records == 6


def test_a_partial_tile_that_is_tidied_away_while_fsck_looks_is_no_problem(places):
    place = places()
    for number in range(tiles.FULL // 2):
        place.append(number, -number)
    full, left = tiles.path(0, 0), tiles.path(0, 0, 132)
    hashes = place.derived.get(full)
    place.derived.put(left, hashes[: 132 * HASH_BYTES])  # as a killed writer leaves it
    assert not place.fsck().problems

    def rival():
        place.derived.delete(left)

    looking = places(wrap=lambda ports: {**ports, "derived": Beside(ports["derived"], left, rival)})
    report = looking.fsck()
    assert not report.problems, report.problems
    assert left not in place.derived.list(layout.TILES)
