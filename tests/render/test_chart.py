"""The charts: geometry within the picture, nothing drawn for nothing, all that is drawn named."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree as ET

import pytest

from chalicelib.drift.judge import Severity
from chalicelib.render import chart, days
from chalicelib.render.days import Calendar, Day, Watched

NAMES = [one.value for one in Severity]
CELLS = (days.OBSERVED, days.PART, days.UNOBSERVED, days.UNKNOWN, days.NOTHING)
HOSTILE = "\"><script>alert('1')</script><!-- & \u202e\u2066\0\U0001f600"


def day(number, **counts):
    text = f"2026-{1 + number // 28:02}-{1 + number % 28:02}"
    return Day(text, text, {name: counts.get(name, 0) for name in NAMES})


def drawn(markup):
    """The picture, its rectangles and its lines; all of it within its frame."""
    tree = ET.fromstring(str(markup))  # noqa: S314 - our own
    _, _, width, height = map(int, tree.get("viewBox").split())
    for one in tree.iter("rect"):
        x, y, wide, high = (int(one.get(name)) for name in ("x", "y", "width", "height"))
        assert x >= 0
        assert x + wide <= width
        assert y >= 0
        assert y + high <= height
        assert wide > 0
        assert high > 0
    for one in tree.iter("line"):
        assert 0 <= int(one.get("x1")) <= int(one.get("x2")) <= width
        assert 0 <= int(one.get("y1")) <= int(one.get("y2")) <= height
    for one in tree.iter("text"):
        assert 0 <= int(one.get("x")) <= width
        assert 0 < int(one.get("y")) <= height
    return tree


def bars(*found):
    """By day: name and height of its bars, from the bottom."""
    tree = drawn(chart.bars(list(found)))
    columns = {}
    for one in tree.iter("rect"):
        label = one.find("title").text
        columns.setdefault(label.split(":")[0], []).append(
            (one.get("class").removeprefix("fill-"), int(one.get("y")), int(one.get("height")))
        )
    return columns


def test_a_bar_is_as_high_as_what_it_counts():
    found = bars(day(0, low=40), day(1, low=10, critical=10), day(2))
    assert list(found) == ["2026-01-01", "2026-01-02"]  # no bar for nothing
    ((_, top, whole),) = found["2026-01-01"]
    assert top + whole == 180
    worst, low = found["2026-01-02"]
    assert [worst[0], low[0]] == ["critical", "low"]  # the worst at the bottom
    assert worst[1] + worst[2] == 180
    assert low[1] + low[2] == worst[1]  # one on the other
    assert worst[2] == low[2] == round(whole / 4)


def test_no_finding_is_too_few_to_be_seen():
    found = bars(day(0, low=100_000), day(1, high=1), day(2, **dict.fromkeys(NAMES, 1)))
    assert [height for _, _, height in found["2026-01-02"]] == [2]
    assert [name for name, _, _ in found["2026-01-03"]] == NAMES


def test_the_highest_bar_with_small_ones_of_all_severities_stays_in_the_picture():
    counts = dict.fromkeys(NAMES[1:], 1) | {NAMES[0]: 1_000_000}
    (found,) = bars(day(0, **counts)).values()
    assert [name for name, _, _ in found] == NAMES
    assert min(top for _, top, _ in found) >= 0


@pytest.mark.parametrize("count", [1, 2, 31, 62])
def test_bars_of_any_number_of_days_stand_beside_each_other(count):
    tree = drawn(chart.bars([day(n, low=1 + n % 3) for n in range(count)]))
    places = [(int(one.get("x")), int(one.get("width"))) for one in tree.iter("rect")]
    assert len(places) == count
    ends = [x + width for x, width in places]
    assert all(end <= x for end, (x, _) in zip(ends, places[1:], strict=False))
    labels = [one.text for one in tree.iter("text")]
    assert {day(0).first, day(count - 1).first} <= set(labels)


@pytest.mark.parametrize("found", [[], [day(0)], [day(0), day(1)]])
def test_without_findings_there_is_an_axis_and_no_bar(found):
    tree = drawn(chart.bars(found))
    assert list(tree.iter("rect")) == []
    texts = [one.text for one in tree.iter("text")]
    assert texts[0] == "0"
    assert set(texts[1:]) == {one.first for one in found}


def cells(markup):
    tree = drawn(markup)
    return [one.get("class").removeprefix("fill-") for one in tree.iter("rect")], tree


def test_each_cell_of_the_calendar_is_drawn_and_named():
    columns = [day(n) for n in range(5)]
    found, tree = cells(chart.calendar(Calendar([Watched("a", list(CELLS))], 1), columns))
    assert found == list(CELLS)
    said = [one.find("title").text for one in tree.iter("rect")]
    assert said == [f"a, {one.first}: {cell}" for one, cell in zip(columns, CELLS, strict=True)]
    # Whoever does not see colours sees which have a gap: exactly these are crossed.
    crosses = [one for one in tree.iter("line") if one.get("class") == "cross"]
    places = {one.get("x"): name for one, name in zip(tree.iter("rect"), found, strict=True)}
    assert [places[one.get("x1")] for one in crosses] == [days.PART, days.UNOBSERVED]


@pytest.mark.parametrize(("rows", "count"), [(1, 1), (60, 62), (3, 58), (2, 2), (0, 5), (0, 0)])
def test_cells_fill_a_grid_without_lying_over_each_other(rows, count):
    columns = [day(n) for n in range(count)]
    kinds = [CELLS[n % 5] for n in range(count)]
    watched = [Watched(f"postgres:{n}", kinds) for n in range(rows)]
    found, tree = cells(chart.calendar(Calendar(watched, rows), columns))
    assert found == kinds * rows
    boxes = [tuple(int(one.get(n)) for n in ("x", "y", "width", "height"))
             for one in tree.iter("rect")]  # fmt: skip
    for (x, y, width, height), (next_x, next_y, *_) in itertools.pairwise(boxes):
        assert (next_y == y and x + width <= next_x) or y + height <= next_y


def test_what_names_a_target_is_text_and_bounded():
    for text in (HOSTILE, "x" * 10_000, "\u00e4\U0001f600" * 5_000):
        found, tree = cells(chart.calendar(Calendar([Watched(text, [days.PART])], 1), [day(0)]))
        assert found == [days.PART]
        assert {one.tag for one in tree.iter()} == {"svg", "title", "rect", "text", "line"}
        assert max(len("".join(one.itertext())) for one in tree.iter("text")) < 300
        assert max(len(one.text) for one in tree.iter("title")) < 1_000
        assert "\u202e" not in "".join(tree.itertext())


def test_pictures_are_named_and_swatches_are_not_read_out():
    for markup in (chart.bars([day(0)]), chart.calendar(Calendar([], 0), [day(0)])):
        tree = drawn(markup)
        title = tree.find("title")
        assert (tree.get("role"), tree.get("aria-labelledby")) == ("img", title.get("id"))
        assert title.text
    for name in (*NAMES, *CELLS):
        tree = ET.fromstring(str(chart.swatch(name)))  # noqa: S314 - our own
        assert tree.get("aria-hidden") == "true"
        assert tree.find("rect").get("class") == f"fill-{name}"
        assert len(tree.findall("line")) == (name in {days.PART, days.UNOBSERVED})


def test_equal_facts_are_equal_bytes():
    found = [day(n, low=n) for n in range(13)]
    assert chart.bars(found) == chart.bars(found)
    assert "." not in "".join(
        one.get(name, "")
        for one in drawn(chart.bars(found)).iter()
        for name in ("x", "y", "height")
    )
