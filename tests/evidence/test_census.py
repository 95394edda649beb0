from __future__ import annotations

import msgspec
import pytest
from evidence.parcel import ANA, A, B, at

from chalicelib.evidence import census
from chalicelib.evidence.census import Census, Count, Stream, Tally, chosen
from chalicelib.evidence.manifest import Filter, Manifest, Period, Range, Tool
from chalicelib.kernel.errors import DigestMismatch, HoldfastError, Malformed, Missing
from chalicelib.kernel.record import Entry, Record

FIRST = 3


def record(stream, seq, kind="scan"):
    return Record(1, kind, stream, seq, at(2), ANA, "test/1", {})


RECORDS = [
    record("log", 4, "packet.made"),
    record(A, 7),
    record(A, 8, "finding.opened"),
    record("schedule", 1, "schedule.dispatched"),
    record(B, 1),
    record(A, 9, "finding"),
    record(A, 10, "findings"),
    record(B, 2, "scan.missed"),
    record(B, 3, "scanned"),
]


def counted(records):
    count = Count()
    for one in records:
        count.add(one)
    return Census(at(2), at(3), FIRST, FIRST + len(records), count.streams())


CENSUS = counted(RECORDS)


def head(asked=None, first=FIRST, last=12, period=(2, 3)):
    return Manifest(
        v=1,
        origin="test.example/log",
        period=Period(*map(at, period)),
        filter=asked or Filter(),
        range=Range(first, last),
        census=last,
        frontier=(),
        checkpoints=(),
        consistency=(),
        handovers=(),
        records=1,
        tool=Tool("1", ""),
        files={},
    )


def tally(records, asked=None, **options):
    found = Tally(asked or Filter())
    for one in records:
        found.add(one)
    found.check(CENSUS, head(asked, **options))


def entry(value, kind="period.closed", stream="log"):
    body = value if isinstance(value, dict) else msgspec.to_builtins(value)
    return Entry(12, b"", Record(1, kind, stream, 5, at(3), ANA, "test/1", body), body)


def test_it_counts_each_stream():
    assert CENSUS.streams == (
        Stream("log", 3, 4, {"packet.made": 1}),
        Stream(A, 6, 10, {"scan": 1, "finding.opened": 1, "finding": 1, "findings": 1}),
        Stream(B, 0, 3, {"scan": 1, "scan.missed": 1, "scanned": 1}),
        Stream("schedule", 0, 1, {"schedule.dispatched": 1}),
    )
    assert census.decode(entry(CENSUS)) == CENSUS


@pytest.mark.parametrize("seqs", [(1, 3), (1, 1), (2, 1)])
def test_a_stream_with_a_gap_is_not_counted(seqs):
    with pytest.raises(Missing, match=f"from seq {seqs[0]} to {seqs[1]}"):
        counted([record(A, seq) for seq in seqs])


ROW = [A, 0, 9, {"scan": 9}]


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"first": 4},
        {"last": 11},
        {"streams": []},
        {"streams": [ROW, ROW]},
        {"streams": [["z", 0, 4, {"scan": 4}], ["a", 0, 5, {"scan": 5}]]},
        {"streams": [[A, 0, 8, {"scan": 9}]]},
        {"streams": [[A, 0, 9, {"scan": 8}]]},
        {"streams": [[A, 0, 9, {}]]},
        {"streams": [[A, 0, 9, {"scan": 10, "finding": -1}]]},
        {"streams": [[A, 0, 9, {"scan": 9, "finding": 0}]]},
        {"streams": [[A, -1, 8, {"scan": 9}]]},
        {"streams": [[A, 0, 9, {"scan": "9"}]]},
        {"streams": [[A, 0, 9, {"scan": 9}, 1]]},
        {"streams": [[A, 0, 9, {"scan": 9}], [B, 1, 1, {}]]},
        {"streams": [[A, 0, 10, {"scan": 10}], [B, 2, 1, {}]]},
    ],
    ids=str,
)
def test_a_census_that_does_not_add_up_is_refused(change):
    good = {"from": at(2), "to": at(3), "first": 3, "last": 12, "streams": [ROW]}
    assert census.decode(entry(good))
    with pytest.raises(Malformed):
        census.decode(entry(good | change))


@pytest.mark.parametrize("place", [{"kind": "scan"}, {"stream": A}])
def test_a_census_elsewhere_is_none(place):
    with pytest.raises(Malformed):
        census.decode(entry(CENSUS, **place))


@pytest.mark.parametrize(
    ("targets", "kinds", "expected"),
    [
        ((), (), [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ((A,), (), [0, 1, 2, 3, 5, 6]),
        ((), ("finding",), [0, 1, 2, 3, 4, 5, 7]),
        ((), ("finding.opened",), [0, 1, 2, 3, 4, 7]),
        ((B,), ("finding",), [0, 3, 4, 7]),
        ((B,), ("scan",), [0, 3, 4, 7]),
        (("postgres:none",), (), [0, 3]),
    ],
)
def test_what_is_chosen_and_nothing_else_is_complete(targets, kinds, expected):
    asked = Filter(targets, kinds)
    picked = [n for n, one in enumerate(RECORDS) if chosen(one.stream, one.kind, asked)]
    assert picked == expected
    tally([RECORDS[n] for n in picked], asked)
    tally(RECORDS, asked)  # whatever else is there does not count
    for missing in picked:
        with pytest.raises(Missing):
            tally([RECORDS[n] for n in picked if n != missing], asked)
    for n in picked:
        with pytest.raises(Missing):
            tally([*(RECORDS[n] for n in picked), RECORDS[n]], asked)


def test_a_kind_is_itself_and_what_is_under_it():
    asked = Filter((), ("finding",))
    assert chosen("b", "finding.opened.again", asked)
    assert not chosen("b", "findings", asked)
    assert not chosen("b", "a.finding", asked)


@pytest.mark.parametrize(
    "records",
    [
        [record(A, 7), record(A, 9), *RECORDS[:1], *RECORDS[2:]],
        [*RECORDS[:1], *(record(A, n) for n in (8, 9, 10, 11)), *RECORDS[3:5], *RECORDS[7:]],
        [*RECORDS, record("stranger", 1)],
        [record(one.stream, one.seq + 1, one.kind) for one in RECORDS],
        [record(one.stream, one.seq, "scan") for one in RECORDS],
        [RECORDS[4], RECORDS[0], *RECORDS[1:4], *RECORDS[5:7], RECORDS[8], RECORDS[7]],
    ],
    ids=["gap", "other", "stranger", "shifted", "kinds", "order"],
)
def test_records_that_are_not_those_of_the_census(records):
    with pytest.raises(HoldfastError):
        tally(records)


def test_kinds_that_stand_at_seqs_beyond_the_streams_are_noticed():
    """With a kind filter the seqs are not all there, but each lies in the stream's stretch."""
    asked = Filter((A,), ("finding",))
    picked = [RECORDS[n] for n in (0, 1, 2, 3, 5)]
    tally(picked, asked)
    with pytest.raises(Missing, match="has the seqs"):
        tally([*picked[:4], record(A, 11, "finding")], asked)
    with pytest.raises(Missing, match="has the seqs"):
        tally([picked[0], record(A, 6), *picked[2:]], asked)


@pytest.mark.parametrize(
    "options", [{"first": 2}, {"last": 13}, {"period": (1, 3)}, {"period": (2, 4)}], ids=str
)
def test_a_census_of_something_else(options):
    with pytest.raises(DigestMismatch, match="another period or range"):
        tally(RECORDS, **options)
