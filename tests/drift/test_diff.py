from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.drift.diff import Operation, diff, hidden, merge
from chalicelib.drift.finding import identify
from chalicelib.drift.snapshot import Object, build, line, parse, unreadable
from chalicelib.kernel import merkle
from chalicelib.kernel.errors import Malformed

TABLE = Object("table", "s.t", {"owner": "a", "row_security": True})
COLUMN = Object("column", "s.t.c", {"type": "text", "of": "table s.t"})
INDEX = Object("index", "s.i", {"valid": True, "of": "table s.t"})
GRANT = Object("grant", "table s.t to PUBLIC", {"select": ["by a"], "of": "table s.t"})

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
values = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.booleans(),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.lists(names, max_size=3),
)
objects = st.builds(
    Object,
    st.sampled_from(["table", "column", "grant", "setting"]),
    names,
    st.dictionaries(st.sampled_from(["a", "b", "of"]), values, max_size=3),
)
snapshots = st.lists(objects, max_size=8, unique_by=lambda o: o.key).map(build)


def changes(before, after):
    return [
        (c.operation.value, c.kind, c.name, c.attribute) for c in diff(build(before), build(after))
    ]


def test_equal_snapshots_have_no_changes():
    assert changes([TABLE, COLUMN], [COLUMN, TABLE]) == []


def test_an_altered_attribute_names_itself_and_both_values():
    [change] = diff(build([TABLE]), build([TABLE.having({"owner": "b"})]))[:1]
    assert (change.attribute, change.before, change.after) == ("owner", "a", "b")
    assert change.old == {"owner": "a", "row_security": True}


def test_true_and_one_are_not_the_same_value():
    one = Object("t", "x", {"a": 1})
    assert changes([one], [Object("t", "x", {"a": True})]) == [("altered", "t", "x", "a")]


def test_children_come_and_go_as_parts_of_their_parent():
    [added] = diff(build([]), build([TABLE, COLUMN, INDEX]))
    assert added.operation is Operation.ADDED
    assert added.key == TABLE.key
    assert set(added.parts) == {COLUMN.key, INDEX.key}
    [removed] = diff(build([TABLE, COLUMN, GRANT]), build([]))
    assert set(removed.parts) == {COLUMN.key, GRANT.key}


def test_a_grant_on_a_new_table_speaks_for_itself():
    assert changes([], [TABLE, GRANT]) == [
        ("added", "grant", "table s.t to PUBLIC", ""),
        ("added", "table", "s.t", ""),
    ]


def test_a_built_in_grant_on_a_new_object_does_not():
    built_in = GRANT.having({**GRANT.attributes, "built_in": True})
    assert changes([], [TABLE, built_in]) == [("added", "table", "s.t", "")]


def test_other_parts_make_another_finding():
    one = diff(build([]), build([TABLE, COLUMN]))[0]
    other = diff(build([]), build([TABLE, INDEX]))[0]
    assert identify("t", one) != identify("t", other)
    assert identify("t", one) != identify("u", one)


def test_grandchildren_belong_to_the_eldest():
    child = Object("child", "x", {"of": "column s.t.c"})
    [change] = diff(build([]), build([TABLE, COLUMN, child]))
    assert set(change.parts) == {COLUMN.key, child.key}


def test_parents_in_a_circle_end():
    one = Object("a", "x", {"of": "b y"})
    two = Object("b", "y", {"of": "a x"})
    assert len(diff(build([]), build([one, two]))) <= 2


def test_what_could_not_be_read_is_not_called_removed():
    hidden = unreadable("table", reason="denied", needs="SELECT")
    assert changes([TABLE], [hidden]) == [("unreadable", "coverage", "table", "")]


def test_what_the_baseline_could_not_read_is_not_called_added():
    hidden = unreadable("table", reason="denied", needs="SELECT")
    assert changes([hidden], [TABLE]) == [("unreadable", "coverage", "table", "")]


def test_what_is_partly_read_is_still_compared():
    hidden = unreadable("table", reason="denied", needs="SELECT", partial=True)
    altered = TABLE.having({"owner": "b", "row_security": True})
    assert ("altered", "table", "s.t", "owner") in changes([TABLE, hidden], [altered, hidden])


def test_what_is_listed_with_gaps_in_attributes_comes_and_goes():
    gap = unreadable(
        "table", reason="denied", needs="SELECT", partial=True, attributes=["owner"], listed=True
    )
    other = Object(TABLE.kind, "s.other", TABLE.attributes)
    altered = TABLE.having({**TABLE.attributes, "owner": "b", "comment": "c"})
    assert changes([TABLE, gap], [altered, other, gap]) == [
        ("unreadable", "coverage", "table", ""),
        ("added", "table", "s.other", ""),
        ("altered", "table", "s.t", "comment"),
    ]
    assert ("removed", "table", "s.t", "") in changes([TABLE], [gap])
    assert not hidden(build([gap]), "table", "s.gone", "")
    assert hidden(build([gap]), "table", "s.gone", "owner")


@given(snapshots, snapshots)
def test_taking_over_every_change_gives_the_new_state(before, after):
    assert merge(before, after, diff(before, after)).root == after.root


@given(snapshots, snapshots)
def test_without_changes_nothing_is_taken_over(before, after):
    assert merge(before, after, []).root == before.root
    assert (diff(before, after) == []) == (before.root == after.root)


@given(st.lists(objects, max_size=8, unique_by=lambda o: o.key), st.randoms())
def test_a_snapshot_does_not_depend_on_the_order(items, random):
    shuffled = list(items)
    random.shuffle(shuffled)
    assert build(items).data == build(shuffled).data


@given(snapshots)
def test_a_stored_snapshot_reads_back(taken):
    again = parse(taken.data)
    assert again.root == taken.root == merkle.root(map(line, taken.objects.values()))
    assert [o.key for o in again.objects.values()] == list(taken.objects)


def test_two_objects_with_one_key_are_refused():
    with pytest.raises(ValueError, match="two objects"):
        build([TABLE, TABLE])


@pytest.mark.parametrize(
    "data",
    [
        b'["table","b",{}]\n["table","a",{}]\n',
        b'["table","a",{}]\n["table","a",{}]\n',
        b'["table","a",{}]',
        b'["table","a"]\n',
        b'["table", "a", {}]\n',
        b'{"kind":"table"}\n',
        b"\n",
        b"[1,2,{}]\n",
        b'["t","\xff",{}]\n',
    ],
)
def test_a_malformed_snapshot_is_refused(data):
    with pytest.raises(Malformed):
        parse(data)
