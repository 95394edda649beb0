"""Obligations: what is refused at load, how several come to one, and who can fulfil them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.access import obligation
from chalicelib.access.obligation import Obligations, Vote, due, lacking, strictest
from chalicelib.access.policy import load
from chalicelib.access.question import Action
from chalicelib.kernel.errors import ConfigError, UsageError

GROUPS = ("audit", "dba", "legal", "security")
PEOPLE = ("ana", "ben", "cara", "dora", "eli")

groups = st.lists(st.sampled_from(GROUPS), unique=True).map(lambda one: tuple(sorted(one)))
obligations = st.builds(
    Obligations,
    approvals=st.integers(0, 5),
    groups=groups,
    max_seconds=st.none() | st.integers(1, 100),
)
votes = st.lists(st.builds(Vote, name=st.sampled_from(PEOPLE), groups=groups), max_size=6)


def all_assignments(wanted, given_votes):
    """Every way to let people stand for groups, each for one at most: by brute force."""
    belongs = {}
    for one in given_votes:
        belongs.setdefault(one.name, set()).update(one.groups)
    for chosen in itertools.product((None, *wanted.groups), repeat=len(belongs)):
        taken = [one for one in chosen if one is not None]
        fits = all(
            group in (None, *belongs[who]) for who, group in zip(belongs, chosen, strict=True)
        )
        if fits and len(taken) == len(set(taken)):
            yield set(taken)


@given(wanted=obligations, given_votes=votes)
def test_what_is_lacking_is_what_no_assignment_can_cover(wanted, given_votes):
    covered = list(all_assignments(wanted, given_votes))
    people = len({one.name for one in given_votes})
    most = max(map(len, covered))
    count, left = lacking(wanted, given_votes)
    assert count == max(wanted.approvals - people, len(wanted.groups) - most, 0)
    assert len(left) == len(wanted.groups) - most
    assert set(wanted.groups) - set(left) in covered  # the others can stand for theirs at once
    assert (count == 0) == (people >= wanted.approvals and most == len(wanted.groups))


@given(wanted=obligations, given_votes=votes, data=st.data())
def test_the_order_of_votes_changes_nothing(wanted, given_votes, data):
    other = data.draw(st.permutations(given_votes))
    assert lacking(wanted, other) == lacking(wanted, given_votes)
    assert lacking(wanted, given_votes * 2) == lacking(wanted, given_votes)


@given(wanted=obligations, given_votes=votes, more=votes)
def test_another_vote_never_makes_more_lacking(wanted, given_votes, more):
    before, left_before = lacking(wanted, given_votes)
    after, left_after = lacking(wanted, [*given_votes, *more])
    assert after <= before
    assert len(left_after) <= len(left_before)
    # Nor is a group asked for again that somebody stood for, unless they vote again for others.
    if {one.name for one in more}.isdisjoint(one.name for one in given_votes):
        assert set(left_after) <= set(left_before)


@given(wanted=obligations, given_votes=votes)
def test_nobody_counts_twice(wanted, given_votes):
    """Whoever votes again, and for all groups, is one person still."""
    everything = [*given_votes, *(Vote(one.name, GROUPS) for one in given_votes)]
    people = len({one.name for one in given_votes})
    count, left = lacking(wanted, everything)
    assert count >= wanted.people - people
    assert len(left) >= len(wanted.groups) - people


def test_one_person_in_two_groups_stands_for_one():
    wanted = Obligations(groups=("dba", "security"))
    both, dba = Vote("ana", ("dba", "security")), Vote("ben", ("dba",))
    assert lacking(wanted, [both]) == (1, ("security",))
    assert lacking(wanted, [both, dba]) == (0, ())
    assert lacking(wanted, [both, Vote("cara", ())]) == (1, ("security",))
    assert lacking(wanted, [dba, Vote("eli", ("dba",))]) == (1, ("security",))
    assert lacking(Obligations(approvals=3), [both, both, dba]) == (1, ())
    assert lacking(Obligations(approvals=0), []) == (0, ())


def test_who_votes_again_keeps_the_groups_of_before():
    wanted = Obligations(groups=("dba",))
    assert lacking(wanted, [Vote("ana", ("dba",)), Vote("ana", ())]) == (0, ())


@given(one=obligations, other=obligations, third=obligations)
def test_the_strictest_of_all_is_the_same_however_they_are_put_together(one, other, third):
    assert strictest([one]) == one
    assert strictest([one, one]) == one
    assert strictest([one, other]) == strictest([other, one])
    together = strictest([one, other, third])
    assert strictest([strictest([one, other]), third]) == together
    assert strictest([one, strictest([other, third])]) == together
    assert strictest([together, one]) == together


@given(one=obligations, other=obligations, given_votes=votes)
def test_the_strictest_asks_for_no_less_than_each(one, other, given_votes):
    both = strictest([one, other])
    if lacking(both, given_votes) == (0, ()):
        assert lacking(one, given_votes) == lacking(other, given_votes) == (0, ())
    if one.max_seconds is not None:
        assert both.max_seconds is not None
        assert both.max_seconds <= one.max_seconds


def test_nothing_has_no_strictest():
    with pytest.raises(ValueError, match="no policy permits"):
        strictest([])


def test_a_broken_glass_waits_for_nobody():
    wanted = Obligations(approvals=2, groups=("dba",), max_seconds=60)
    assert due(wanted, Action.LEASE_REQUEST) == wanted
    assert due(wanted, Action.LEASE_BREAK_GLASS) == Obligations(approvals=0, max_seconds=60)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Obligations(), "1 approval"),
        (Obligations(approvals=0, max_seconds=900), "nobody has to agree; 15m at most"),
        (Obligations(approvals=0, groups=("dba",)), "1 approval, one of dba"),
        (
            Obligations(groups=("dba", "security"), max_seconds=3_600),
            "2 approvals, one of dba and one of security; 1h at most",
        ),
        (
            Obligations(approvals=3, groups=("dba",), max_seconds=172_800),
            "3 approvals, one of dba; 2d at most",
        ),
    ],
)
def test_obligations_in_words(wanted, said):
    assert obligation.words(wanted) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0s"), (59, "59s"), (3_900, "1h 5m"), (90_061, "1d 1h 1m 1s"), (86_400, "1d")],
)
def test_a_span_is_said_in_all_its_units(seconds, said):
    assert obligation.span(seconds) == said


def test_no_time_is_said_in_seconds():
    assert obligation.length(0) == "0s"


@given(st.integers(1, obligation.MAX_SECONDS))
def test_a_length_is_read_as_it_is_written(seconds):
    assert obligation.seconds(obligation.length(seconds)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0s",
        "1",
        "h",
        "1 h",
        "1H",
        "-1h",
        "+1h",
        "1.5h",
        "01h",
        "1h\n1h",
        "8d",
        "9999999s",
        "\u0661h",
    ],
)
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(UsageError, match="not a length of time up to 7d"):
        obligation.seconds(text)


REQUEST = 'permit (principal, action == Action::"lease:request", resource);'
GLASS = 'permit (principal, action == Action::"lease:break_glass", resource);'
LEASES = 'action in [Action::"lease:request", Action::"lease:break_glass"]'
BOTH = f"permit (principal, {LEASES}, resource);"
FORBID = 'forbid (principal, action == Action::"lease:request", resource);'
MALFORMED = {
    '@approvals("x")': "@approvals('x'): expected 0 to 10",
    '@approvals("-1")': "@approvals('-1')",
    '@approvals("1e3")': "@approvals('1e3')",
    '@approvals("२")': "@approvals('२')",
    '@approvals("02")': "@approvals('02')",
    '@approvals(" 2")': "@approvals(' 2')",
    '@approvals("2\\n")': "@approvals('2",
    '@approvals("11")': "@approvals('11')",
    '@approvals("")': "@approvals('')",
    "@approvals": "@approvals('')",
    '@approvers("")': "@approvers(''): expected groups",
    '@approvers(",")': "@approvers(',')",
    '@approvers("dba,")': "@approvers('dba,')",
    '@approvers("d\u200bba")': "@approvers(",
    "@approvers": "@approvers('')",
    '@approvers("dba,DBA")': "the group 'dba' is there twice",
    f'@approvers("{",".join(f"g{n}" for n in range(11))}")': "at most 10 groups, found 11",
    '@max("0m")': "@max: not a length of time up to 7d: '0m'",
    '@max("10y")': "'10y'",
    '@max("8d")': "'8d'",
    '@max("1h30m")': "'1h30m'",
    '@max("60")': "'60'",
    '@max("१h")': "'१h'",
    '@max("")': "@max: not a length",
    "@max": "@max: not a length",
}


@pytest.mark.parametrize("effect", [REQUEST, FORBID], ids=["permit", "forbid"])
@pytest.mark.parametrize(("annotation", "said"), MALFORMED.items(), ids=map(ascii, MALFORMED))
def test_obligations_that_cannot_be_read_are_refused_with_their_place(annotation, said, effect):
    with pytest.raises(ConfigError) as refused:
        load([("/etc/own.cedar", f'\n@id("a.b")\n{annotation}\n{effect}')], {}, {})
    assert refused.value.message.startswith("own.cedar, line 2, policy a.b: ")
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'@approvals("2") {FORBID}', "on a forbid says nothing"),
        (f'@max("1h") {FORBID}', "on a forbid says nothing"),
        (f'@approvals("2") {GLASS}', "a broken glass waits for nobody"),
        (f'@approvers("dba") @approvals("0") {GLASS}', "a broken glass waits for nobody"),
        (
            '@approvals("2") permit (principal, action == Action::"lease:approve", resource);',
            "expected on a policy that permits lease:request or lease:break_glass",
        ),
        ('@max("1h") permit (principal, action == Action::"scan:read", resource);', "expected on"),
    ],
)
def test_obligations_that_nobody_would_be_held_to_are_refused(text, said):
    with pytest.raises(ConfigError, match=r"^own\.cedar, line 1, policy own\.cedar#1: ") as refused:
        load([("own.cedar", text)], {}, {})
    assert said in refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        f'@approvals("0") @max("15m") {GLASS}',
        f'@max("7d") {GLASS}',
        '@approvals("10") permit (principal, action, resource);',
        f'@approvers("dba") {BOTH}',
        f'@note("max") @advice("x") @owner("dba") @reason @reviewer("x") {REQUEST}',
        '@approval("2") permit (principal, action == Action::"scan:read", resource);',
        f'@approval("2") {FORBID}',
    ],
)
def test_obligations_and_other_annotations_that_stand_where_they_may(text):
    assert load([("own.cedar", text)], {}, {})


@pytest.mark.parametrize("where", [REQUEST, GLASS, "permit (principal, action, resource);"])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("approval", "approvals"),
        ("aprovals", "approvals"),
        ("Approvals", "approvals"),
        ("min_approvals_needed", "approvals"),
        ("needs_approval_of_two_people", "approvals"),
        ("approver", "approvers"),
        ("aprovers", "approvers"),
        ("approved_by_groups", "approvers"),
        ("maximum", "max"),
        ("MAX", "max"),
        ("max_duration", "max"),
    ],
)
def test_a_misspelt_obligation_is_refused(name, meant, where):
    with pytest.raises(ConfigError) as refused:
        load([("own.cedar", f'@{name}("2") {where}')], {}, {})
    assert refused.value.message == (
        f"own.cedar, line 1, policy own.cedar#1: @{name} is no obligation; did you mean @{meant}?"
    )
