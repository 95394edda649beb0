"""Attacks on the judge: whoever may do more afterwards, no finding may say less or the same.

The first half are accounts made to mislead, each with the argument why somebody may do more. The
second looks for more of them at random: AWS's evaluation logic within one account, put together
here from its documentation, asks what people may do before and after.
"""

from __future__ import annotations

import functools
import itertools
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.account import (
    ACCOUNT,
    OTHER,
    account,
    allow,
    attached,
    deny,
    group,
    inline,
    managed,
    member,
    policy,
    role,
    trust,
    user,
)

from chalicelib.drift.diff import diff
from chalicelib.drift.iam.actions import Index
from chalicelib.drift.iam.compare import Widening
from chalicelib.drift.iam.document import parse, plain
from chalicelib.drift.iam.evaluate import Decision, evaluate
from chalicelib.drift.iam.principal import Entry, Principal
from chalicelib.drift.iam.request import Request
from chalicelib.drift.judge import Direction, Severity, judge, load
from chalicelib.drift.meaning import Meanings
from chalicelib.drift.snapshot import Object, build, unreadable

RULES = load()
LESS = {Direction.NARROWS, Direction.NEUTRAL}


class Shelf:
    actions = (
        "iam:CreateUser", "iam:PassRole", "s3:DeleteObject", "s3:GetObject", "s3:PutObject",
        "sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession",
    )  # fmt: skip
    date = "2026-11-01"


INDEX = Index(Shelf())
GET, PUT, ALL = allow("s3:GetObject"), allow("s3:PutObject"), allow("*")
APP, BOB, TEAM = role("app"), user("bob"), group("team")
ANN_ARN = f"arn:aws:iam::{ACCOUNT}:user/ann"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/x"
SESSION_ARN = f"arn:aws:sts::{ACCOUNT}:assumed-role/x/s"
GITHUB = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}
ORG, MFA = {"aws:PrincipalOrgID": "o"}, {"aws:MultiFactorAuthPresent": "true"}
SUB = "token.actions.githubusercontent.com:sub"


def judged(before, after, **more):
    """Every change: what it is of, its meaning and its judgement."""
    sides = [
        build([*([] if any(one.kind == "iam_account" for one in side) else [account()]), *side])
        for side in (before, after)
    ]
    meanings = Meanings(*sides, INDEX, **more)
    found = {}
    for change in diff(*sides):
        meaning = meanings.of(change)
        key = (change.kind.removeprefix("iam_"), change.name, change.attribute)
        found[key] = (meaning, judge(change, RULES, meaning))
    return found


def direction(before, after, *key):
    """Which way the one change goes, or that of the key; those that may widen are never low."""
    found = judged(before, after)
    [(_, one)] = [found[key]] if key else found.values()
    assert one.direction in LESS or one.severity >= Severity.MEDIUM
    return one.direction


W, N, X, B, U = Direction


# Trust: who is let in by name needs no policy of their own


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        # "Add the user as a principal directly in the role's trust policy": AssumeRole's reference.
        (ACCOUNT, [ACCOUNT, ANN_ARN], W),
        (ACCOUNT, ANN_ARN, B),
        (ANN_ARN, ACCOUNT, B),
        ([ACCOUNT, ANN_ARN], ACCOUNT, N),
        (ACCOUNT, [ACCOUNT, ROLE_ARN], W),
        (ACCOUNT, [ACCOUNT, "AIDAXXXXXXXXXXXXXXXX"], W),
        # A boundary's silence holds back a role that is named, and no session that is.
        (ROLE_ARN, [ROLE_ARN, SESSION_ARN], W),
        (ROLE_ARN, SESSION_ARN, B),
        # People of other accounts need a policy there, whichever way they are named.
        (OTHER, [OTHER, f"arn:aws:iam::{OTHER}:user/ann"], X),
        (OTHER, f"arn:aws:iam::{OTHER}:role/x", N),
        # Everyone is everyone in person.
        ("*", ANN_ARN, N),
        (f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, None),
    ],
)
def test_who_is_named_needs_no_policy_and_who_is_of_an_account_does(old, new, way):
    sides = [role("app", {"AWS": old})], [role("app", {"AWS": new})]
    assert (direction(*sides) if way else judged(*sides)) == (way or {})


def test_whoever_is_named_is_told_apart_from_whoever_may_be_given_it():
    [(meaning, _)] = judged([APP], [role("app", {"AWS": [ACCOUNT, ANN_ARN]})]).values()
    assert meaning.reasons[0].startswith("for who has no policy that allows it: statement 1 ")
    assert meaning.reasons[0].endswith(f", by {ANN_ARN}")


def test_an_account_that_is_not_known_may_be_the_own_one():
    sides = [
        build([role("app", {"AWS": one})])
        for one in (OTHER, [OTHER, f"{ANN_ARN[:13]}{OTHER}:user/a"])
    ]
    [change] = diff(*sides)
    assert Meanings(*sides, INDEX).of(change).verdict is Widening.WIDENED


def test_a_denial_of_the_account_is_of_everybody_in_it():
    shut = {"Effect": "Deny", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    opened = [{**shut, "Effect": "Allow", "Principal": {"AWS": one}} for one in (ACCOUNT, ANN_ARN)]
    sides = [[role("app", trust=policy(shut, one))] for one in opened]
    assert direction(*sides) is X


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        ({"StringLike": {SUB: "repo:org/app:*"}}, {"StringLike": {SUB: "repo:org/app*"}}, W),
        ({"StringLike": {SUB: "repo:org/app:*"}}, {"StringLike": {SUB: "repo:org/*:*"}}, W),
        ({"StringLike": {SUB: "repo:org/*"}}, {"StringLike": {SUB: "repo:org/app:*"}}, N),
        ({"StringEquals": {SUB: "repo:org/app:*"}}, {"StringLike": {SUB: "repo:org/app:*"}}, W),
        ({"StringLike": {SUB: "r*"}}, {"ForAllValues:StringLike": {SUB: "r*"}}, W),
        ({"StringLike": {SUB: "r*"}}, {"StringLikeIfExists": {SUB: "r*"}}, W),
        ({"StringEquals": {SUB: "r"}}, {"StringEqualsIgnoreCase": {SUB: "r"}}, W),
        ({"StringEquals": {SUB: "r"}}, {}, W),
        ({"StringEquals": {SUB: "r"}}, {"StringNotEquals": {SUB: "r"}}, B),
    ],
)
def test_subjects_of_a_provider_are_languages(old, new, way):
    def made(where):
        said = {"Effect": "Allow", "Principal": GITHUB, "Action": "sts:AssumeRoleWithWebIdentity"}
        return role("app", trust=policy({**said, **({"Condition": where} if where else {})}))

    assert direction([made(old)], [made(new)]) is way


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        ({"AWS": OTHER}, {"AWS": [OTHER, "AROAXXXXXXXXXXXXXXXX"]}, W),
        ({"AWS": "AROAXXXXXXXXXXXXXXXX"}, {"AWS": f"arn:aws:iam::{OTHER}:role/x"}, B),
        ({"AWS": f"arn:aws:iam::{OTHER}:role/x"}, {"AWS": f"arn:aws:iam::{OTHER}:role/*"}, U),
        ({"Service": "ec2.amazonaws.com"}, {"Service": "*"}, W),
        ({"Federated": "a"}, {"Federated": ["a", "b"]}, W),
    ],
)
def test_principals_of_all_kinds(old, new, way):
    assert direction([role("app", old)], [role("app", new)]) is way


@pytest.mark.parametrize("who", ["*", {"AWS": OTHER}])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"StringEquals": {"sts:ExternalId": "x"}}, {}),
        ({"StringEquals": {"sts:ExternalId": "x"}}, {"StringLike": {"sts:ExternalId": "*"}}),
        ({"StringEquals": ORG}, {"StringEqualsIfExists": ORG}),
        ({"StringEquals": ORG}, {"ForAllValues:StringEquals": ORG}),
        ({"Bool": MFA}, {"BoolIfExists": MFA}),
    ],
)
def test_conditions_of_a_trust_that_hold_for_more(who, old, new):
    made = [
        role("app", trust=trust(who, **({"Condition": one} if one else {}))) for one in (old, new)
    ]
    assert direction([made[0]], [made[1]]) is W


# Boundaries: silence does not hold back what a resource's policy gives to somebody in person


def test_an_explicit_denial_of_a_boundary_is_worth_more_than_its_silence():
    bounded = role("app", boundary="b")
    denied, silent = managed("b", GET, deny("iam:*")), managed("b", GET)
    assert direction([bounded, denied], [bounded, silent]) is W
    assert direction([bounded, silent], [bounded, denied]) is N
    both = [denied, managed("c", GET)]
    assert direction([*both, bounded], [*both, role("app", boundary="c")]) is W


def test_a_boundary_that_was_parsed_is_undecided_when_it_is_not():
    rest = [managed("b", GET), managed("c", document="{", unparsed=True)]
    assert direction([*rest, role("app", boundary="b")], [*rest, role("app", boundary="c")]) is U
    bounded = role("app", boundary="b")
    sides = [bounded, managed("b", GET)], [bounded, managed("b", document="{", unparsed=True)]
    assert {one.direction for _, one in judged(*sides).values()} == {U}


def test_a_policy_of_roles_that_were_not_read_is_compared_as_a_policy_too():
    gap = unreadable("iam_role", reason="no", needs="x", partial=True)
    found = judged([gap, managed("p", deny("iam:*"))], [gap, managed("p", GET)])
    meaning, one = found["policy", "p", "document"]
    assert one.direction is W
    assert not any(said.startswith("as a permissions boundary") for said in meaning.reasons[:1])


# What is told of the object beside its document


@pytest.mark.parametrize("kind", ["user", "group", "role", "policy", "instance_profile"])
def test_a_path_is_in_the_arn_that_policies_go_by(kind):
    sides = [[Object(f"iam_{kind}", "x", {"path": path})] for path in ("/dev/", "/admin/")]
    assert direction(*sides) is U


@pytest.mark.parametrize(
    ("make", "attribute"),
    [
        (lambda **more: role("app", **more), "trust"),
        (lambda **more: inline("role app", "x", GET, **more), "document"),
        (lambda **more: managed("p", GET, **more), "document"),
    ],
)
def test_a_document_that_could_not_be_parsed_says_nothing_neutral(make, attribute):
    odd = make(**{attribute: "{", "unparsed": True})
    for before, after in (([odd], [make()]), ([make()], [odd])):
        found = judged(before, after)
        assert {attribute, "unparsed"} == {key[2] for key in found}
        assert {one.direction for _, one in found.values()} == {U}
        assert {one.severity for _, one in found.values()} <= {Severity.HIGH, Severity.MEDIUM}


def test_a_version_in_force_whose_document_was_not_read_is_undecided():
    gap = unreadable("iam_policy", reason="no", needs="x", attributes=["document"], listed=True)
    rest = [gap, APP, attached("role app", "p")]
    sides = [[*rest, managed("p", default_version=one)] for one in ("v1", "v2")]
    assert direction(*sides, "policy", "p", "default_version") is U
    sides = [
        [APP, attached("role app", "p"), managed("p", GET, default_version=one)]
        for one in ("v1", "v2")
    ]
    assert direction(*sides) is X


def test_mfa_opens_what_policies_give_with_mfa_only():
    device = Object("iam_mfa_device", "bob x", {"of": "iam_user bob"})
    assert direction([BOB], [BOB, device]) is U


@pytest.mark.parametrize(
    ("old", "new", "way"),
    [
        # AWS's default asks for 8 characters of three kinds, an account's own for what it says.
        (None, {"minimum_length": 6}, U),
        ({"minimum_length": 6}, None, W),
        ({"users_may_change": False}, {"users_may_change": True}, W),
        ({"users_may_change": True}, {"users_may_change": False}, N),
        ({"hard_expiry": True}, {"hard_expiry": False}, W),
        ({"hard_expiry": False}, {"hard_expiry": True}, N),
    ],
)
def test_rules_for_passwords(old, new, way):
    sides = [
        [] if one is None else [Object("iam_password_policy", "account", one)] for one in (old, new)
    ]
    assert direction(*sides) is way


# Several changes at once


def test_a_policy_renamed_with_another_under_its_old_name():
    before = [APP, managed("p", GET), attached("role app", "p")]
    after = [
        APP,
        managed("q", GET),
        managed("p", ALL),
        attached("role app", "q"),
        attached("role app", "p"),
    ]
    _, one = judged(before, after)["policy", "p", "document"]
    assert one.severity is Severity.CRITICAL


def test_a_membership_and_its_group_s_policies_in_one_look():
    rest = [BOB, TEAM]
    found = judged(
        [*rest, inline("group team", "x", GET, deny("iam:*"))],
        [*rest, inline("group team", "x", ALL), member("bob", "team")],
    )
    assert {one.severity for _, one in found.values()} == {Severity.CRITICAL}
    found = judged(  # it leaves with the denial that it had, as that is edited away
        [*rest, inline("group team", "x", deny("iam:*")), member("bob", "team")],
        [*rest, inline("group team", "x", GET)],
    )
    assert found["membership", "bob in team", ""][1].direction is W


def test_a_policy_edited_while_nobody_has_it_and_given_later():
    first, second = [APP, managed("p", GET)], [APP, managed("p", ALL)]
    assert direction(first, second) is W
    assert direction(second, [*second, attached("role app", "p")]) is W
    found = judged(first, [*second, attached("role app", "p")])
    assert {one.severity for _, one in found.values()} == {Severity.CRITICAL}


def test_a_denial_that_goes_from_one_policy_where_another_allows():
    rest = [APP, managed("p", ALL), attached("role app", "p")]
    assert direction([*rest, inline("role app", "x", deny("iam:*"))], rest) is W


def test_a_policy_that_becomes_an_inline_one_of_the_same_text():
    before = [APP, managed("p", GET), attached("role app", "p")]
    found = judged(before, [APP, inline("role app", "p", GET)])
    assert found["inline_policy", "role app: p", ""][1].direction is W


def test_a_boundary_and_policy_edited_at_once_is_judged_as_both():
    bounded = [role("app", boundary="p"), attached("role app", "p")]
    found = judged([*bounded, managed("p", GET)], [*bounded, managed("p", GET, PUT)])
    assert found["policy", "p", "document"][1].direction is W


@pytest.mark.parametrize("kind", ["iam_attachment", "iam_membership", "iam_user", "iam_role"])
@pytest.mark.parametrize("side", ["before", "after", "both"])
def test_what_was_not_read_never_makes_a_policy_nobody_s(kind, side):
    gap = [unreadable(kind, reason="no", needs="x", partial=True)]
    before, after = gap * (side != "after"), gap * (side != "before")
    found = judged([*before, managed("p", GET)], [*after, managed("p", GET, PUT)])
    _, one = found["policy", "p", "document"]
    is_known = kind == "iam_membership"  # a policy of a group is its own, whoever is in it
    assert one.severity is (Severity.MEDIUM if is_known else Severity.HIGH)


@pytest.mark.parametrize("kind", ["iam_membership", "iam_user"])
def test_what_was_not_read_never_makes_a_group_empty(kind):
    gap = unreadable(kind, reason="no", needs="x", partial=True)
    denied = [TEAM, inline("group team", "x", deny("iam:*"))]
    _, one = judged([gap, *denied], [gap])["group", "team", ""]
    assert (one.direction, one.severity) == (W, Severity.HIGH)


def test_a_group_whose_attachment_does_not_say_of_what_is_undecided():
    odd = Object("iam_attachment", "group team has p", {"of": "iam_group team"})
    rest = [BOB, TEAM, odd]
    assert direction(rest, [*rest, member("bob", "team")]) is U


# Bounds


def test_what_takes_too_many_steps_is_undecided_and_ends():
    def made(width, name):
        return allow("s3:*", [f"arn:aws:s3:::{name}*{c}{'?' * width}*" for c in "abcdefgh"])

    names = [f"x{n}" for n in range(40)]
    began = time.monotonic()
    found = judged(
        [APP, *(inline("role app", one, made(24, one)) for one in names)],
        [APP, *(inline("role app", one, made(25, one)) for one in names)],
        steps=100_000,
    )
    assert time.monotonic() - began < 60
    assert len(found) == len(names)
    assert not {one.direction for _, one in found.values()} & LESS
    assert {one.severity for _, one in found.values()} == {Severity.HIGH}


# Whatever changes at once, at random. A principal may do what all of these say together: their own
# policies, those of their groups, their boundary, and what some resource's policy gives to them in
# person, which an implicit denial does not take from a user.

ACTIONS = ["s3:GetObject", "s3:PutObject", "iam:PassRole", "iam:CreateUser", "sts:AssumeRole"]
PATTERNS = ["*", "s3:*", "s3:GetObject", "s3:*Object", "iam:*", "iam:PassRole", "sts:*"]
THINGS = ["arn:aws:s3:::a/b", "arn:aws:s3:::b"]
ENVIRONMENTS = [
    {},
    {"aws:multifactorauthpresent": ("true",)},
    {"aws:principaltag/team": ("red",), "aws:multifactorauthpresent": ("false",)},
    {"aws:principaltag/team": ("blue",)},
]
WHERE = [
    {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
    {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}},
    {"StringEquals": {"aws:PrincipalTag/team": "red"}},
    {"StringNotEquals": {"aws:PrincipalTag/team": "red"}},
    {"StringLike": {"aws:PrincipalTag/team": ["re*", "b*"]}},
    {"Null": {"aws:PrincipalTag/team": "true"}},
    {"ForAllValues:StringEquals": {"aws:PrincipalTag/team": ["blue"]}},
]
NAMES, HOLDERS, TEAMS = ["p", "q"], ["user ann", "user bob", "role app"], ["group one", "group two"]
ANN = f"arn:aws:iam::{ACCOUNT}:user/ann"
APP_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s"
APP_ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"
STRANGER = f"arn:aws:iam::{OTHER}:user/zoe"
TRUSTED = [ACCOUNT, OTHER, ANN, APP_ROLE, APP_SESSION, STRANGER, "*"]
PEOPLE = {
    "user ann": Principal(ANN, frozenset({Entry("AWS", ACCOUNT), Entry("AWS", ANN)})),
    "user bob": Principal(
        "bob", frozenset({Entry("AWS", ACCOUNT), Entry("AWS", ANN.replace("ann", "bob"))})
    ),
    "role app": Principal(
        "app", frozenset({Entry("AWS", one) for one in (ACCOUNT, APP_ROLE, APP_SESSION)})
    ),
}
ZOE = Principal(STRANGER, frozenset({Entry("AWS", OTHER), Entry("AWS", STRANGER)}))


@st.composite
def statements(draw):
    made = draw(st.sampled_from([allow, allow, deny]))(
        draw(st.sampled_from(PATTERNS)), draw(st.sampled_from(["*", "arn:aws:s3:::a*", THINGS[0]]))
    )
    if not draw(st.integers(0, 5)):
        made["NotAction"] = made.pop("Action")
    if not draw(st.integers(0, 5)):
        made["NotResource"] = made.pop("Resource")
    if not draw(st.integers(0, 2)):
        made["Condition"] = draw(st.sampled_from(WHERE))
    if not draw(st.integers(0, 20)):
        made["Flavour"] = draw(st.sampled_from(["old", "new"]))
    return made


STATED = st.lists(statements(), min_size=1, max_size=2)


@st.composite
def trusts(draw):
    return policy(
        *(
            {
                "Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"])),
                "Action": draw(st.sampled_from(["sts:AssumeRole", "sts:*"])),
                "Principal": {
                    "AWS": draw(st.lists(st.sampled_from(TRUSTED), min_size=1, max_size=3))
                },
                **(
                    {"Condition": draw(st.sampled_from(WHERE))}
                    if not draw(st.integers(0, 3))
                    else {}
                ),
            }
            for _ in range(draw(st.integers(1, 2)))
        )
    )


@st.composite
def states(draw):
    """A small account, as a value by key; parts of it may be missing, or not parsed."""
    found = []
    for name in NAMES:
        odd = {"document": "{", "unparsed": True} if not draw(st.integers(0, 12)) else {}
        found.append(managed(name, *draw(STATED), **odd))
    for holder in (*HOLDERS, *TEAMS):
        kind, name = holder.split()
        bound = draw(st.sampled_from([None, None, None, *NAMES]))
        more = {"boundary": bound} if bound and kind != "group" else {}
        if kind == "role":
            found.append(role(name, trust=draw(trusts()), **more))
        elif kind == "user":
            found.append(user(name, **more))
        else:
            found.append(group(name))
        found += [attached(holder, one) for one in NAMES if not draw(st.integers(0, 2))]
        if draw(st.booleans()):
            found.append(inline(holder, "x", *draw(STATED)))
    found += [
        member(who, team)
        for who in ("ann", "bob")
        for team in ("one", "two")
        if draw(st.booleans())
    ]
    return {one.key: one for one in found}


def whole(state):
    """The account without what lost its holder, its group or its policy."""
    held = {key: one for key, one in state.items() if one.parent is None or one.parent in state}
    return {
        key: one
        for key, one in held.items()
        if ("iam_group", one.attributes.get("group", "one")) in held or one.kind != "iam_membership"
        if one.kind != "iam_attachment" or ("iam_policy", one.attributes["policy"]) in held
    }


@functools.lru_cache(maxsize=4_096)
def understood(text):
    return parse(text)


class Unsure(Exception):
    """A document says nothing that can be evaluated."""


def says(item, request, attribute="document"):
    if item is None or item.attributes.get("unparsed"):
        raise Unsure
    found = evaluate(understood(json.dumps(item.attributes[attribute])), request)
    if found is None:
        raise Unsure
    return found


def own(state, holder, request):
    """What a principal's policies say, and their boundary (None: there is none)."""
    holders = {f"iam_{holder}"} | {
        f"iam_group {one.attributes['group']}"
        for one in state.values()
        if one.kind == "iam_membership" and one.attributes["of"] == f"iam_{holder}"
    }
    given_to = [one for one in state.values() if one.attributes.get("of") in holders]
    answers = {
        says(
            state.get(("iam_policy", one.attributes["policy"]))
            if one.kind == "iam_attachment"
            else one,
            request,
        )
        for one in given_to
        if one.kind in {"iam_attachment", "iam_inline_policy"}
    }
    mine = max(answers, key=lambda one: one.rank, default=Decision.SILENT)
    if Decision.DENIED in answers:
        mine = Decision.DENIED
    kind, name = holder.split()
    boundary = state[f"iam_{kind}", name].attributes.get("boundary")
    over = says(state.get(("iam_policy", boundary)), request) if boundary else Decision.ALLOWED
    return mine, over


def may(state, holder, request, *, personally):
    """Whether they may; ``personally``: a resource's policy gives it to the user or session."""
    kind, name = holder.split()
    if (f"iam_{kind}", name) not in state:
        return False
    mine, over = own(state, holder, request)
    if Decision.DENIED in {mine, over}:
        return False
    return personally or mine is over is Decision.ALLOWED


def one_of(statement, value):
    """The statement for one of the principals that it names."""
    return {"Version": "2012-10-17", "Statement": {**statement, "Principal": {"AWS": value}}}


def enters(state, holder, context):
    """Whether they may assume the role app, as AWS evaluates within an account."""
    if ("iam_role", "app") not in state:
        return False
    target = state["iam_role", "app"]
    asked = Request("sts:AssumeRole", APP_ROLE, PEOPLE[holder], context)
    if says(target, asked, "trust") is not Decision.ALLOWED:
        return False
    kind, name = holder.split()
    if (f"iam_{kind}", name) not in state:
        return False
    mine, over = own(state, holder, asked)
    if Decision.DENIED in {mine, over}:
        return False
    if mine is over is Decision.ALLOWED:
        return True
    names = [*sorted(one.value for one in PEOPLE[holder].names), "*"]
    lets_in = set()
    for value in names:  # which of their names a statement without conditions on them lets in
        for one in understood(json.dumps(target.attributes["trust"])).statements:
            entries = {entry.value for entry in one.principals.entries}
            if one.effect.value == "Allow" and value in entries:
                alone = understood(json.dumps(one_of(plain(one), value)))
                if evaluate(alone, asked) is Decision.ALLOWED:
                    lets_in.add(value)
    in_person = lets_in & {"*", APP_SESSION, *(one for one in names if ":user/" in one)}
    by_role = lets_in & {APP_ROLE} and over is Decision.ALLOWED
    return bool(in_person or by_role)


def powers(state):
    """Everything that anybody may do, of what is asked; None where nobody can tell."""
    found = {}
    for holder, context in itertools.product(HOLDERS, ENVIRONMENTS):
        for action, thing in itertools.product(ACTIONS, THINGS):
            for personally in (False, True):
                asked = Request(action, thing, PEOPLE[holder], context)
                key = (holder, str(context), action, thing, personally)
                try:
                    found[key] = may(state, holder, asked, personally=personally)
                except Unsure:
                    found[key] = None
        try:
            found[holder, str(context), "enters"] = enters(state, holder, context)
        except Unsure:
            found[holder, str(context), "enters"] = None
    for context in ENVIRONMENTS:
        asked = Request("sts:AssumeRole", APP_ROLE, ZOE, context)
        key = ("zoe", str(context), "enters")
        target = state.get(("iam_role", "app"))
        found[key] = target is not None and says(target, asked, "trust") is Decision.ALLOWED
    return found


def concerns(state, holder):
    """The objects that tell what a principal may do."""
    of = {f"iam_{holder}"}
    of |= {
        f"iam_group {one.attributes['group']}"
        for one in state.values()
        if one.kind == "iam_membership" and one.attributes["of"] == f"iam_{holder}"
    }
    found = {
        key: one
        for key, one in state.items()
        if one.attributes.get("of") in of or f"{one.kind} {one.name}" in of
    }
    names = {one.attributes.get(at) for one in found.values() for at in ("policy", "boundary")}
    return found.keys() | {("iam_policy", name) for name in names}


def escapes(before, after):
    """What somebody may do now, and could not before, though no finding of theirs says so."""
    found = judged(before.values(), after.values())
    said = {
        (f"iam_{kind}", name)
        for (kind, name, _), (_, one) in found.items()
        if one.direction not in LESS
    }
    assert all(
        one.severity >= Severity.MEDIUM for _, one in found.values() if one.direction not in LESS
    )
    old, new = powers(before), powers(after)
    silent = {}
    for key, may_now in new.items():
        holder, what = key[0], key[2]
        if holder not in silent:
            theirs = (
                set() if holder == "zoe" else concerns(before, holder) | concerns(after, holder)
            )
            silent[holder] = (not theirs & said, ("iam_role", "app") not in said)
        unsaid = silent[holder][0] and (what != "enters" or silent[holder][1])
        if unsaid and may_now and old[key] is False:
            yield key


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(states(), states(), st.data())
def test_no_change_lets_anybody_do_more_unsaid(before, other, data):
    keys = sorted(before.keys() | other.keys())
    after = dict(before)
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4, unique=True)):
        after.pop(key, None)
        if key in other:
            after[key] = other[key]
    before, after = whole(before), whole(after)
    assert list(escapes(before, after)) == []


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(trusts(), trusts(), st.sampled_from(TRUSTED), st.booleans(), st.booleans())
def test_no_trust_lets_anybody_in_unsaid(old, other, more, is_near, is_bounded):
    """Most people have no policy here: what lets them in is how the trust names them."""
    if is_near:
        first = old["Statement"][0]
        who = first["Principal"] if first["Principal"] != "*" else {"AWS": ["*"]}
        near = {**first, "Principal": {"AWS": [*who["AWS"], more]}}
        other = policy(near, *old["Statement"][1:])
    bound = {"boundary": "p"} if is_bounded else {}
    rest = [user("ann", **bound), user("bob"), managed("p", GET)]
    sides = [
        {one.key: one for one in (role("app", trust=said, **bound), *rest)} for said in (old, other)
    ]
    assert list(escapes(*sides)) == []
    assert list(escapes(*sides[::-1])) == []


def test_thousands_who_come_into_one_group_are_judged_in_time():
    said = [
        allow(f"s3:*{n}", [f"arn:aws:s3:::{n}-{one}/*" for one in range(20)]) for n in range(20)
    ]
    users = [user(f"u{n}") for n in range(300)]
    before = [TEAM, inline("group team", "x", *said), *users]
    began = time.monotonic()
    found = judged(before, [*before, *(member(one.name, "team") for one in users)])
    assert time.monotonic() - began < 20
    assert {one.direction for _, one in found.values()} == {W}
