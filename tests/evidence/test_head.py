from __future__ import annotations

import pytest
from evidence.place import Place, draft
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.evidence import head, layout
from chalicelib.evidence.head import MAX_BATCHES, Head
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Conflict, Malformed, Missing
from chalicelib.kernel.merkle import leaf_hash
from chalicelib.kernel.store import Write

LEAF = "ab" * 32


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path / "log")
    yield made
    made.close()


def stream_of(place, name, start=1, near=0):
    return [(e.index, e.record.seq) for e in place.log.stream(name, start, near)]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40), st.integers(1, 200))
def test_a_head_names_the_batches_of_the_newest_records(sizes, seq):
    """Against the whole history: what ``since`` leaves out holds nothing that is asked for."""
    grown, history, last, start = None, [], 0, 0
    for size in sizes:
        for _ in range(size):
            last += 1
            history.append((last, start))
            grown = head.grown(grown, last, LEAF, start)
        start += size + 3
    assert grown == head.decode(head.encode(grown))
    assert grown.seq == last
    starts = grown.since(min(seq, last))
    wanted = list(dict.fromkeys(at for one, at in history if one >= min(seq, last)))
    if starts is None:
        assert len(wanted) > MAX_BATCHES
    else:
        assert starts == wanted


@pytest.mark.parametrize(
    "edit",
    [
        {"seq": 0},
        {"seq": 4},
        {"seq": "9"},
        {"seq": True},
        {"leaf": "AB" * 32},
        {"leaf": "ab"},
        {"batches": []},
        {"batches": [[5, 10], [1, 20]]},
        {"batches": [[1, 20], [5, 10]]},
        {"batches": [[0, 10]]},
        {"batches": [[1, -1]]},
        {"batches": [[1]]},
        {"more": 1},
    ],
    ids=repr,
)
def test_what_is_no_head_is_refused(edit):
    good = {"seq": 9, "leaf": LEAF, "batches": [[1, 10], [5, 20]]}
    head.decode(canon.encode(good))
    with pytest.raises(Malformed, match="head"):
        head.decode(canon.encode(good | edit))


def test_a_stream_is_read_by_itself(place):
    place.append(0, 1)
    place.append(2, stream="other")
    place.append(3)
    assert stream_of(place, "scan") == [(0, 1), (1, 2), (3, 3)]
    assert stream_of(place, "scan", 2) == [(1, 2), (3, 3)]
    assert stream_of(place, "other") == [(2, 1)]
    assert stream_of(place, "scan", 4) == stream_of(place, "never") == []


def test_only_the_batches_of_the_stream_are_fetched(tmp_path):
    fetched = []

    class Counted:
        def __init__(self, inner):
            self.put, self.list, self._get = inner.put, inner.list, inner.get

        def get(self, key):
            fetched.append(key)
            return self._get(key)

    place = Place(
        tmp_path / "log", wrap=lambda ports: ports | {"writeonce": Counted(ports["writeonce"])}
    )
    place.append(0)
    for number in range(40):
        place.append(number, stream=f"other {number}")
    place.append(1)
    fetched.clear()
    assert stream_of(place, "scan", 2) == [(41, 2)]
    batches = {key for key in fetched if key.startswith(layout.BATCHES)}
    assert batches == {layout.batch(41), layout.batch(42)}  # the second: that the log ends there
    place.close()


def test_who_is_far_behind_reads_the_log(place):
    for number in range(MAX_BATCHES + 5):
        place.append(number)
        place.append(number, stream="other")
    whole = [(2 * n, n + 1) for n in range(MAX_BATCHES + 5)]
    assert stream_of(place, "scan") == whole
    assert stream_of(place, "scan", 3, near=4) == whole[2:]


def test_the_end_of_a_stream_is_its_last_record(place):
    assert place.log.last("scan") is None
    entries = place.append(0, 1)
    assert place.log.last("scan") == (2, leaf_hash(entries[-1].leaf).hex())


def test_a_head_that_leads_past_a_record_is_noticed(place):
    place.append(0)
    place.append(1)
    place.append(2)
    document = place.documents.get(layout.head("scan"))
    lying = head.encode(Head(3, LEAF, ((1, 0), (3, 2))))
    place.documents.swap([Write(layout.head("scan"), document.version, lying)])
    with pytest.raises(Missing, match="goes on with seq 3"):
        stream_of(place, "scan")


def test_an_append_after_another_record_than_the_last_is_a_conflict(place):
    place.log.append([draft(0)], after={"scan": 0})
    size = place.log.size()
    for seq in (0, 2):
        with pytest.raises(Conflict, match=f"ends at seq 1 now, and not at {seq}"):
            place.log.append([draft(1)], after={"scan": seq})
    with pytest.raises(Conflict):
        place.log.append([draft(1, stream="other"), draft(1)], after={"scan": 0})
    assert place.log.size() == size
    place.log.append([draft(1), draft(2)], after={"scan": 1})
    assert place.log.last("scan").seq == 3


def test_many_drafts_after_one_record_follow_each_other(place):
    place.log.append([draft(n) for n in range(2_500)], after={"scan": 0})
    assert place.log.last("scan").seq == 2_500
