from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.drift.iam import glob
from chalicelib.drift.iam.automaton import covers, find, includes, meets
from chalicelib.drift.iam.glob import Budget, Exhausted, Variable, parse

WORDS = ["".join(word) for n in range(5) for word in itertools.product("ab:", repeat=n)]
PATTERNS = st.text("ab*?:", max_size=5)


def matched(pattern):
    return {word for word in WORDS if glob.matches(parse(pattern), word)}


@settings(max_examples=300, deadline=None)
@given(PATTERNS, PATTERNS)
def test_inclusion_and_intersection_are_those_of_the_words(one, other):
    included = includes((parse(other),), (parse(one),))
    common = meets((parse(one),), (parse(other),))
    assert included is not None
    if included:
        assert matched(one) <= matched(other)
    if matched(one) & matched(other):
        assert common is True
    if covers(parse(other), parse(one)):
        assert included


@settings(max_examples=300, deadline=None)
@given(st.lists(PATTERNS, min_size=1, max_size=3), st.lists(PATTERNS, max_size=3))
def test_what_is_found_is_in_all_and_in_none(inside, outside):
    found = find(
        [(parse(one),) for one in inside], [(parse(one),) for one in outside], budget=Budget()
    )
    shown = [found] if found is not None else WORDS
    fits = [
        all(glob.matches(parse(one), word) for one in inside)
        and not any(glob.matches(parse(one), word) for one in outside)
        for word in shown
    ]
    assert all(fits) if found is not None else not any(fits)


@given(st.text("ab*?$", max_size=8))
def test_a_rendered_pattern_is_parsed_back(text):
    pattern = parse(text, variables=False)
    assert parse(glob.render(pattern)) == pattern


def test_a_small_alphabet_has_no_other_letters():
    three = [(parse("?"),)], [(parse("a"), parse("b"))]
    assert find(*three, budget=Budget(), alphabet="ab") is None
    assert find(*three, budget=Budget(), alphabet="abc") == "c"


def test_variables_are_fixed_and_unknown():
    home, docs = parse("a/${aws:UserName}/*"), parse("a/${aws:username}/docs/*")
    assert home.variables == {Variable("aws:username")}
    assert includes((home,), (docs,)) is True
    assert includes((docs,), (home,)) is None
    assert includes((parse("a/?/*"),), (home,)) is None
    assert meets((home,), (parse("a/ann/*"),)) is None
    assert meets((home,), (parse("b/*"),)) is False
    assert parse("${*}${?}${$}") == parse("*?$", wild=False)


def test_without_case_a_variable_is_more_than_its_value():
    plain = parse("${x}", wild=False)
    folded = parse("${x}", wild=False, nocase=True)
    assert includes((plain,), (folded,)) is None


@pytest.mark.parametrize("text", ["${", "${}", "${a b}", "${a", "${a, b}"])
def test_what_is_no_variable_is_refused(text):
    with pytest.raises(ValueError, match="policy variable"):
        parse(text)


def test_an_arns_components_are_matched_one_by_one():
    pattern = glob.arn("arn:aws:*:*:*:x*")
    assert glob.matches(pattern, "arn:aws:s3:::x:y")
    assert not glob.matches(pattern, "arn:aws:s3::::x")
    assert includes((parse("arn:*"),), (pattern,)) is True
    assert includes((pattern,), (parse("arn:aws:*:*:*:x*"),)) is False


def test_a_hostile_pair_ends_undecided():
    many = tuple(parse(f"*{letter}{'?' * 24}*") for letter in "abcdefgh")
    ends = tuple(parse(f"*{letter}{'?' * 25}") for letter in "abcdefgh")
    assert includes(ends, many) is None
    assert meets((parse("a" * 30_000 + "?"),), (parse("?" + "a" * 40_000),)) is None
    with pytest.raises(Exhausted):
        find([many], [ends], budget=Budget(10))
