from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from evidence.parcel import ANA, DAY, NOW, A, Archive, B, Still, at, moment, quiet
from evidence.place import Place
from evidence.scene import TESTS

from chalicelib.evidence import census, closing
from chalicelib.evidence.manifest import Period
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import HoldfastError, Missing, NotFound, StoreUnavailable, UsageError
from chalicelib.kernel.record import entry_at


@pytest.fixture
def archive():
    return Archive()


def filled(archive):
    clean = {"outcome": "clean"}
    archive.write((A, "scan", at(1, 12), clean), (B, "scan", at(1, 12), clean))
    archive.write(
        (A, "scan", at(2, 1), clean), (A, "finding.opened", at(2, 1)), (B, "scan", at(2, 1), clean)
    )
    archive.write((A, "scan", at(2, 23), clean))
    archive.write((A, "scan", at(3, 1), clean))
    return archive


def censuses(archive):
    return [one.index for one in archive.log.read() if one.record.kind == census.CLOSED]


def test_a_period_is_closed_by_a_record_of_what_is_in_it(archive):
    closed = filled(archive).close()
    assert closed.at == 7
    assert closed.census == census.Census(
        at(2),
        at(3),
        2,
        6,
        (
            census.Stream(A, 1, 4, {"scan": 2, "finding.opened": 1}),
            census.Stream(B, 1, 2, {"scan": 1}),
        ),
    )
    entry = entry_at(archive.log, 7)
    assert (entry.record.kind, entry.record.stream) == ("period.closed", "log")
    assert (entry.record.at, entry.record.actor) == (timestamp(NOW), ANA)
    assert census.decode(entry) == closed.census


def test_a_period_is_closed_once(archive):
    closed = filled(archive).close()
    archive.write((A, "scan", at(4)), (A, "scan", at(2, 23, 59)))
    archive.clock.moment = moment(40)
    assert archive.close() == closed
    assert censuses(archive) == [closed.at]
    other = archive.close(Period(at(2), at(4)))  # another period is closed by itself
    assert censuses(archive) == [closed.at, other.at]


def test_a_period_that_is_not_over_is_not_closed(archive):
    filled(archive).clock.moment = moment(2, 23, 59, 59)
    with pytest.raises(UsageError, match="ends at 2026-10-03"):
        archive.close()
    archive.clock.moment = moment(3)
    assert archive.close().census.last == 6


@pytest.mark.parametrize(
    "period", [Period(at(5), at(6)), Period(at(1), at(1, 12)), Period(at(2, 2), at(2, 22))]
)
def test_nothing_is_recorded_of_a_period_without_records(archive, period):
    filled(archive)
    size = archive.log.size()
    with pytest.raises(NotFound, match="nothing was recorded"):
        archive.close(period)
    assert archive.log.size() == size
    assert not list(archive.objects.list("period/"))


def test_an_empty_log_has_no_period(archive):
    with pytest.raises(NotFound):
        archive.close()
    assert archive.log.size() == 0


@pytest.mark.parametrize(
    ("dates", "first", "last"),
    [
        ([[(2, 1)]], 0, 1),
        ([[(1, 23), (2, 0)], [(2, 1), (3, 0)]], 0, 4),  # batches are taken whole
        ([[(1, 23)], [(2, 0)], [(3, 0)]], 1, 2),
        ([[(1, 23, 59, 59)], [(2, 0)], [(2, 23, 59, 59)], [(3, 0)]], 1, 3),
        ([[(1, 12)], [(2, 1)], [(3, 0, 30)], [(2, 23, 45)], [(3, 1)]], 1, 4),
        ([[(1, 23, 30)], [(2, 0, 10)], [(1, 23, 50)], [(2, 2)]], 1, 4),
        ([[(1, 23)], [(2, 0, 59), (1, 23, 59)], [(3, 0, 59), (2, 23, 59)], [(3, 1)]], 1, 5),
        ([[(3, 0, 50)], [(2, 23, 55)], [(3, 1)]], 1, 2),
        ([[(2, n // 2, 59 * (n % 2))] for n in range(40)], 0, 40),
        ([[(1, 12)]] * 3 + [[(2, 0, 5 * n)] for n in range(12)] + [[(2, 2)]] * 3, 3, 18),
        ([[(1, 1)]] * 20 + [[(2, 1)]] * 20 + [[(3, 2)]] * 20, 20, 40),
    ],
)
def test_the_range_is_from_the_first_batch_with_a_record_to_the_last(archive, dates, first, last):
    for batch in dates:
        archive.write(*((A, "scan", at(*one)) for one in batch))
    found = archive.close().census
    assert (found.first, found.last) == (first, last)
    assert found.streams[0].until - found.streams[0].before == last - first


@pytest.mark.parametrize("wrong", [at(300), "1970-01-01T00:00:00.000000Z"], ids=["ahead", "behind"])
@pytest.mark.parametrize("place", range(12))
def test_a_clock_that_is_quite_wrong_hides_no_records(archive, wrong, place):
    days = [1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3]
    dates = [at(day, 3 * days[:n].count(day)) for n, day in enumerate(days)]
    for date in [*dates[:place], wrong, *dates[place:]]:
        archive.write((A, "scan", date))
    found = archive.close().census
    first, last = (4, 9) if place <= 3 else (3, 9) if place < 8 else (3, 8)
    assert (found.first, found.last) == (first, last)


def test_the_log_is_not_read_to_its_end(archive):
    """A month after the period nothing of it is looked for."""
    filled(archive)
    for _ in range(3):
        archive.write(*((A, "scan", at(9)) for _ in range(closing.STRAYS)))
    seen = []
    archive.close(progress=lambda *one: seen.append(one))
    assert seen[-1] == ("census", 7 + closing.STRAYS, 7 + 3 * closing.STRAYS)


def test_it_says_how_far_it_is(archive):
    seen = []
    filled(archive).close(progress=lambda *one: seen.append(one))
    assert seen[-1] == ("census", 7, 7)


class Crashing:
    """The place of a period cannot be written, once."""

    def __init__(self, objects):
        self._objects = objects
        self.broken = True

    def put(self, key, data):
        if self.broken:
            raise StoreUnavailable("crashed")
        self._objects.put(key, data)

    def __getattr__(self, name):
        return getattr(self._objects, name)


def test_a_crash_between_the_census_and_its_place_leaves_one_that_counts(archive):
    filled(archive)
    objects = Crashing(archive.objects)
    with pytest.raises(StoreUnavailable):
        closing.close(archive.log, objects, DAY, clock=archive.clock, actor=ANA, progress=quiet)
    assert censuses(archive) == [7]
    closed = archive.close()
    assert censuses(archive) == [7, 8]
    assert closed.at == 8
    assert closed.census.last == 6  # the first one is not in the range
    assert archive.close() == closed


def test_the_one_that_is_first_at_the_place_counts(archive):
    """Both have looked, and neither found one; both have recorded theirs."""
    filled(archive)
    meanwhile = []

    class Late(Still):
        def now(self):
            if len(meanwhile) == 1:  # the second look is for the census's own date
                meanwhile.append(archive.close(clock=Still()))
            meanwhile.extend([None] * (not meanwhile))
            return NOW

    ours = archive.close(clock=Late())
    assert ours == meanwhile[1]
    assert censuses(archive) == [7, 8]
    assert ours.at == 7


def test_many_at_once_close_it_once(archive):
    filled(archive)
    found, start = [], threading.Barrier(6)

    def run():
        log = archive.opened()
        start.wait()
        found.append(archive.close(log=log))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(found) == 6
    assert found == found[:1] * 6
    assert len(list(archive.objects.list("period/"))) == 1
    assert archive.packet()


CLOSER = """
import sys
from pathlib import Path
from evidence.parcel import DAY, ANA, Still, quiet
from evidence.place import Place
from chalicelib.evidence import closing
place = Place(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
closed = closing.close(place.log, place.writeonce, DAY, clock=Still(), actor=ANA, progress=quiet)
print(closed.at, closed.census.first, closed.census.last)
place.close()
"""


def test_processes_close_it_once(tmp_path):
    place = Place(tmp_path / "log")
    archive = Archive(signer=place.signer, keys=place.keys, ports={**_ports(place)})
    filled(archive)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", CLOSER, str(place.root)],
            env={"PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for one in running:
        assert one.stdout.readline() == "ready\n"
    for one in running:
        one.stdin.write("\n")
        one.stdin.flush()
    said = {one.communicate(timeout=60)[0] for one in running}
    assert len(said) == 1
    assert said.pop().split()[1:] == ["2", "6"]
    place.close()


def _ports(place):
    return {name: place.ports[name] for name in ("writeonce", "derived", "documents")}


@pytest.mark.parametrize("text", [b"", b"x", b"99", b"3", b"\xc2\xb2"], ids=str)
def test_a_place_that_names_no_census_of_the_period_is_refused(archive, text):
    filled(archive)
    archive.objects.put(closing._place(DAY), text)
    with pytest.raises(HoldfastError):
        archive.close()
    assert censuses(archive) == []


def test_a_place_that_names_another_periods_census_is_refused(archive):
    other = filled(archive).close(Period(at(2), at(4)))
    archive.objects.put(closing._place(DAY), b"%d" % other.at)
    with pytest.raises(Missing, match="does not name the census"):
        archive.close()
