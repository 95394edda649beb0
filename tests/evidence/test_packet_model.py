"""Any log, any question: the packet holds and has what it must, and a key holder's lies fail."""

from __future__ import annotations

from dataclasses import dataclass

from evidence.parcel import DAY, A, Archive, B, C, at, files, head, indices, moment, proofs
from evidence.test_packet import retold
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import packets

from chalicelib.evidence import manifest
from chalicelib.evidence.verdict import Answer
from chalicelib.kernel.clock import timestamp

STREAMS = (A, B, C, "log", "schedule")
KINDS = (
    "scan",
    "scan.missed",
    "baseline.signed",
    "finding.closed",
    "finding.opened",
    "target.configured",
)
DEEP = settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)


@dataclass(frozen=True)
class Row:
    stream: str
    kind: str
    at: str


@st.composite
def logs(draw):
    """Batches of rows, in time's order but for half an hour; some are in the period."""
    batches, minute = [], draw(st.integers(-2_000, 1_300))
    for _ in range(draw(st.integers(1, 14))):
        batch = []
        for _ in range(draw(st.integers(1, 5))):
            minute += draw(st.sampled_from([0, 1, 7, 100, 400]))
            skew = draw(st.integers(-14, 14))
            when = moment(2).timestamp() + (minute + skew) * 60
            stamp = timestamp(moment(2).fromtimestamp(when, tz=moment(2).tzinfo))
            batch.append(Row(draw(st.sampled_from(STREAMS)), draw(st.sampled_from(KINDS)), stamp))
        batches.append(batch)
    return batches


FILTERS = st.tuples(
    st.lists(st.sampled_from([A, B, "postgres:none"]), unique=True).map(sorted),
    st.lists(st.sampled_from(["finding", "finding.opened", "scan", "no"]), unique=True).map(sorted),
)


def body(row, number):
    if row.kind == "scan":
        return {"outcome": "clean", "scheduled_at": None, "number": number}
    return {"scheduled_at": row.at, "number": number}


def written(batches):
    archive = Archive()
    number = 0
    for batch in batches:
        rows = []
        for row in batch:
            rows.append((row.stream, row.kind, row.at, body(row, number)))
            number += 1
        archive.write(*rows)
    return archive


def model(batches, targets, kinds):
    """The range, and the chosen leaves in it, as the document says; None for an empty period."""
    start, found, rows = 0, [], []
    for batch in batches:
        if any(DAY.start <= row.at < DAY.end for row in batch):
            found.append((start, start + len(batch)))
        start += len(batch)
        rows += batch
    if not found:
        return None
    first, last = found[0][0], found[-1][1]
    chosen = []
    for index in range(first, last):
        row = rows[index]
        named = not targets or row.stream in targets
        asked = not kinds or row.kind in {"scan", "scan.missed"}
        asked = asked or any(row.kind == one or row.kind.startswith(one + ".") for one in kinds)
        if row.stream in {"log", "schedule"} or (named and asked):
            chosen.append(index)
    return first, last, chosen


def held(archive, data):
    return archive.verdict(data).answer is Answer.VERIFIED


@DEEP
@given(logs(), FILTERS)
def test_any_packet_has_exactly_what_was_asked_for(batches, asked):
    expected = model(batches, *asked)
    if expected is None:
        return
    first, last, chosen = expected
    archive = written(batches)
    data = archive.packet(targets=asked[0], kinds=asked[1])
    verdict = archive.verdict(data)
    assert verdict.fault is None
    assert head(data)["range"] == {"first": first, "last": last}
    census = head(data)["census"]
    assert [one for one in indices(data) if first <= one < last] == chosen
    assert {one for one in indices(data) if not first <= one < last} <= {0, census}
    archive.write((A, "scan", at(29), {"outcome": "clean", "scheduled_at": None}))
    assert archive.packet(targets=asked[0], kinds=asked[1]) == data


@DEEP
@given(logs(), FILTERS, st.data())
def test_no_line_can_be_left_out_swapped_or_added(batches, asked, data):
    """By whoever has the log's key: the census and the leaf hashes are what they were."""
    expected = model(batches, *asked)
    if expected is None:
        return
    archive = written(batches)
    good = archive.packet(targets=asked[0], kinds=asked[1])
    chosen, census = expected[2], head(good)["census"]
    there = indices(good)
    assert held(archive, retold(archive, good, there))

    gone = data.draw(st.sampled_from([*chosen, census]))
    assert not held(archive, retold(archive, good, [one for one in there if one != gone]))

    leaves = files(good)[manifest.LEAVES].splitlines(keepends=True)
    if len(there) > 1:
        one, two = sorted(data.draw(st.permutations(range(len(there))))[:2])
        swapped = list(leaves)
        swapped[one], swapped[two] = leaves[two], leaves[one]
        assert not held(archive, archive.forged(good, {manifest.LEAVES: b"".join(swapped)}))
        order = list(there)
        order[one], order[two] = there[two], there[one]
        lies = {
            manifest.LEAVES: b"".join(swapped),
            manifest.PROOFS: proofs(archive.log, order, head(good)["checkpoints"][-1]),
        }
        assert not held(archive, archive.forged(good, lies))

    place = data.draw(st.integers(0, len(there) - 1))
    for invented in (leaves[place], leaves[place].replace(b'"number"', b'"lumber"')):
        more = [*leaves[: place + 1], invented, *leaves[place + 1 :]]
        twice = [*there[: place + 1], there[place], *there[place + 1 :]]
        lies = {
            manifest.LEAVES: b"".join(more),
            manifest.PROOFS: proofs(archive.log, twice, head(good)["checkpoints"][-1]),
        }
        count = len(more)
        forged = archive.forged(good, lies, lambda m, count=count: m.update(records=count))
        assert not held(archive, forged)


@DEEP
@given(logs(), st.data())
def test_a_narrow_packet_does_not_pass_for_a_wider_one(batches, data):
    """The filter that a packet states is the one that its leaves are held to."""
    narrow = data.draw(FILTERS)
    if model(batches, *narrow) is None:
        return
    archive = written(batches)
    good = archive.packet(targets=narrow[0], kinds=narrow[1])
    wide = model(batches, (), ())[2]
    forged = archive.forged(good, stated=lambda m: m.update(filter={"targets": [], "kinds": []}))
    complete = set(wide) <= set(indices(good))
    assert held(archive, forged) == (
        complete and files(good)["coverage.json"] == files(archive.packet())["coverage.json"]
    )


@DEEP
@given(logs(), st.data())
def test_a_byte_of_a_leaf_that_is_another_fails(batches, data):
    if model(batches, (), ()) is None:
        return
    archive = written(batches)
    good = archive.packet()
    name = data.draw(st.sampled_from([manifest.LEAVES, manifest.PROOFS, manifest.HASHES]))
    text = files(good)[name]
    place, mask = data.draw(st.integers(0, len(text) - 1)), data.draw(st.integers(1, 255))
    changed = text[:place] + bytes([text[place] ^ mask]) + text[place + 1 :]
    assert not held(archive, archive.forged(good, {name: changed}))
    assert not held(archive, packets.pack(files(good) | {name: changed}))
