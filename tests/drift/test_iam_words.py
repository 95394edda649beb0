"""Why a policy means more or less, as people read it; and that each request shown is a witness."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.account import (
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
    user,
)

from chalicelib.drift.diff import diff
from chalicelib.drift.iam import glob, witness, words
from chalicelib.drift.iam.actions import Index
from chalicelib.drift.iam.compare import Widening, compare
from chalicelib.drift.iam.document import Names, parse
from chalicelib.drift.iam.evaluate import applies, evaluate
from chalicelib.drift.iam.region import Kind
from chalicelib.drift.iam.request import Request
from chalicelib.drift.meaning import Meanings
from chalicelib.drift.snapshot import build


class Shelf:
    actions = (
        "a2c:GetContainerizationJobDetails", "iam:CreateAccessKey", "iam:PassRole",
        "rds-db:connect", "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetBucketAcl",
        "s3:GetObject", "s3:PutObject", "sts:AssumeRole",
    )  # fmt: skip
    date = "2026-11-01"


INDEX = Index(Shelf())
ORDERS, REPORTS = "arn:aws:s3:::orders/*", "arn:aws:s3:::reports/*"
MFA, IP = "aws:MultiFactorAuthPresent", "aws:SourceIp"


def where(operator, key, values):
    return {"Condition": {operator: {key: values}}}


def said(old, new, kind=Kind.IDENTITY):
    """Of each reason, what it says after whose statement it is."""
    sides = [None if one is None else policy(*one) for one in (old, new)]
    found = compare(*sides, INDEX, kind=kind)
    for reason in found.reasons:
        of = [parse(one or policy()) for one in sides]
        if kind is not Kind.CEILING:
            assert evaluate(of[0], reason.request) is reason.before
            assert evaluate(of[1], reason.request) is reason.after
            assert reason.before is not reason.after
    return [reason.words for reason in found.reasons]


ALLOWS = "statement 1 of the new policy allows what was not allowed: "
DENIED = "statement 1 of the old policy denied what is not denied any more: "
NAME = "some-username"
EVERYTHING = "every action on every resource"

# old, new: what is said
SHOWN = {
    "pattern": ([], [allow("s3:GetObject", ORDERS)], f"{ALLOWS}s3:GetObject on {ORDERS}"),
    "beside": (
        [allow("s3:GetObject", REPORTS)],
        [allow("s3:GetObject", [REPORTS, ORDERS])],
        f"{ALLOWS}s3:GetObject on {ORDERS}",
    ),
    "actions": ([], [allow("S3:get*", ORDERS)], f"{ALLOWS}s3:Get* on {ORDERS}"),
    "every-action": ([], [allow("*", ORDERS)], f"{ALLOWS}every action on {ORDERS}"),
    "every-resource": ([], [allow("s3:*")], f"{ALLOWS}s3:* on every resource"),
    "every-but": (
        [],
        [{"Effect": "Allow", "NotAction": "iam:*", "NotResource": ORDERS}],
        f"{ALLOWS}every action but iam:* on every resource but {ORDERS}",
    ),
    "login": (
        [],
        [allow("rds-db:connect", "arn:aws:rds-db:*:*:dbuser:*/app")],
        f"{ALLOWS}rds-db:connect on arn:aws:rds-db:*:*:dbuser:*/app",
    ),
    # Some of the pattern was allowed before: no more than one request is shown.
    "overlap": (
        [allow("s3:GetObject", "arn:aws:s3:::orders/2025/*")],
        [allow("s3:GetObject", ORDERS)],
        f"{ALLOWS}s3:GetObject on arn:aws:s3:::orders/example",
    ),
    "overlap-example": (
        [allow("s3:GetObject", "arn:aws:s3:::orders/e*")],
        [allow("s3:GetObject", ORDERS)],
        f"{ALLOWS}s3:GetObject on arn:aws:s3:::orders/something-else",
    ),
    "denied-in-part": (
        [],
        [allow("s3:*"), deny("s3:*", ORDERS)],
        f"{ALLOWS}s3:GetObject on arn:aws:s3:::example-bucket/example",
    ),
    "parts": (
        [allow("rds-db:connect", "arn:aws:rds-db:*:*:dbuser:a*/app")],
        [allow("rds-db:connect", "arn:aws:rds-db:*:*:dbuser:*/app")],
        f"{ALLOWS}rds-db:connect on arn:aws:rds-db:us-east-1:111122223333:dbuser:example/app",
    ),
    "exact-as-a-last-resort": (
        [allow("s3:GetObject", ["arn:aws:s3:::orders/e*", "arn:aws:s3:::orders/s*"])],
        [allow("s3:GetObject", ORDERS)],
        f"{ALLOWS}s3:GetObject on arn:aws:s3:::orders/",
    ),
    "telling": (
        [allow("s3:GetObject", ORDERS)],
        [allow("s3:*", ORDERS)],
        f"{ALLOWS}s3:PutObject on {ORDERS}",
    ),
    "variable": (
        [],
        [allow("s3:GetObject", "arn:aws:s3:::home/${aws:username}/*")],
        f"{ALLOWS}s3:GetObject on arn:aws:s3:::home/{NAME}/*, with aws:username = {NAME}",
    ),
    "denial-gone": (
        [allow("s3:*"), deny("s3:*", ORDERS)],
        [allow("s3:*")],
        f"{DENIED}s3:* on {ORDERS}",
    ),
    # Conditions
    "value": (
        [allow("s3:GetObject", ORDERS, **where("Bool", MFA, "true"))],
        [allow("s3:GetObject", ORDERS)],
        f"{ALLOWS}s3:GetObject on {ORDERS}, with aws:MultiFactorAuthPresent = false",
    ),
    "address": (
        [allow("s3:GetObject", **where("IpAddress", IP, "10.0.0.0/8"))],
        [allow("s3:GetObject", **where("IpAddress", IP, "0.0.0.0/0"))],
        f"{ALLOWS}s3:GetObject on every resource, with aws:SourceIp = 11.0.0.0",
    ),
    "absent": (
        [allow("s3:GetObject", **where("StringLike", "aws:username", "*"))],
        [allow("s3:GetObject")],
        f"{ALLOWS}s3:GetObject on every resource, without aws:username",
    ),
    "absent-was-denied": (
        [allow("s3:*"), deny("s3:*", **where("BoolIfExists", MFA, "false"))],
        [allow("s3:*"), deny("s3:*", **where("Bool", MFA, "false"))],
        f"{DENIED}s3:* on every resource, without {MFA}",
    ),
    "absent-both": (
        [],
        [
            allow("s3:GetObject"),
            deny(
                "s3:*",
                ORDERS,
                Condition={"StringLike": {"aws:username": "*", "aws:SourceVpc": "*"}},
            ),
        ],
        f"{ALLOWS}s3:GetObject on every resource, without aws:SourceVpc and aws:username",
    ),
    "absent-elsewhere": (
        [],
        [
            allow("s3:GetObject", ORDERS),
            deny("s3:*", REPORTS, **where("StringLike", "aws:username", "*")),
            deny("iam:*", **where("StringLike", "aws:userid", "*")),
        ],
        f"{ALLOWS}s3:GetObject on {ORDERS}",
    ),
    "quoted": (
        [],
        [allow("s3:GetObject", f"arn:aws:s3:::a, without {MFA}")],
        f"{ALLOWS}s3:GetObject on 'arn:aws:s3:::a, without {MFA}'",
    ),
    "quoted-value": (
        [],
        [allow("s3:GetObject", **where("StringEquals", "aws:username", "a and b"))],
        f"{ALLOWS}s3:GetObject on every resource, with aws:username = 'a and b'",
    ),
    # Everything
    "all": (
        [allow("s3:GetObject")],
        [allow("*")],
        f"statement 1 of the new policy allows {EVERYTHING}, which was not so before",
    ),
    "all-no-more": (
        [allow("*")],
        [allow("s3:GetObject")],
        f"statement 1 of the old policy allowed {EVERYTHING}, which is not so any more",
    ),
    "all-but-denied": (
        [],
        [allow("*"), deny("s3:*", ORDERS)],
        f"{ALLOWS}iam:CreateAccessKey on every resource",
    ),
    "all-on-a-condition": (
        [],
        [allow("*", **where("Bool", MFA, "true"))],
        f"{ALLOWS}every action on every resource, with {MFA} = true",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), SHOWN.values(), ids=SHOWN)
def test_what_is_shown_of_a_difference(old, new, expected):
    found = [re.sub(r"^statement [0-9]", "statement 1", one) for one in said(old, new)]
    assert expected in found


def test_no_boundary_is_no_statement_of_anybody():
    [found] = compare(policy(allow("s3:*")), None, INDEX, kind=Kind.CEILING).reasons
    assert found.words == (
        "without a policy every action on every resource is allowed, which was not so before"
    )
    assert found.statement == 0
    [found] = compare(None, policy(allow("s3:*")), INDEX, kind=Kind.CEILING).reasons
    assert found.words == (
        "without a policy every action on every resource was allowed, which is not so any more"
    )


def test_a_trust_has_no_resource():
    sides = [
        policy({"Effect": "Allow", "Principal": {"AWS": one}, "Action": "sts:AssumeRole"})
        for one in ("111111111111", ["111111111111", "222222222222"])
    ]
    [found] = compare(*sides, INDEX, kind=Kind.RESOURCE).reasons
    assert found.words == f"{ALLOWS}sts:AssumeRole"


def test_what_nobody_understands_shows_no_more_than_the_search_found():
    odd = {**allow("iam:PassRole"), "Principal": "*"}
    found = compare(None, policy(odd, allow("s3:Get*", ORDERS)), INDEX)
    [one] = [one for one in found.reasons if one.request is not None]
    assert one.words.endswith("s3:GetBucketAcl on arn:aws:s3:::orders/")


TEXTS = ["*", "a*", "b", "*b", "a*b", "?b", "ab", "ab*"]
NAMES = st.builds(
    lambda texts, negated: Names(tuple(sorted(texts)), negated),
    st.sets(st.sampled_from(TEXTS), min_size=1, max_size=3),
    st.booleans(),
)


def has(names, text):
    return names.negated != any(glob.matches(glob.parse(one), text) for one in names.texts)


@given(NAMES, NAMES)
def test_a_relation_of_names_is_never_wrong(part, whole):
    found = witness.relation(part, whole)
    inside = [
        has(whole, text)
        for length in range(5)
        for text in map("".join, itertools.product("abc", repeat=length))
        if has(part, text)
    ]
    assert found is not True or all(inside)
    assert found is not False or not any(inside)


@given(
    st.lists(st.sampled_from([*"a:*?", "s3", "arn", "aws"]), max_size=14),
    st.sampled_from(witness.WORDS),
)
def test_what_is_filled_in_is_of_the_pattern(parts, word):
    pattern = glob.parse("".join(parts))
    assert glob.matches(pattern, witness.fill(pattern, "s3:GetObject", word))


RESOURCES = ["arn:aws:s3:::a", "arn:aws:s3:::a/b", "arn:aws:s3:::b", "arn:aws:iam::1:user/a", "*x"]
STATEMENTS = st.builds(
    lambda effect, negated, actions, resources, conditions: {
        "Effect": effect,
        "NotAction" if negated else "Action": actions,
        "Resource": resources,
        **({"Condition": conditions} if conditions else {}),
    },
    st.sampled_from(["Allow", "Allow", "Deny"]),
    st.booleans(),
    st.lists(
        st.sampled_from(["*", "s3:*", "s3:Get*", "s3:GetObject", "iam:*"]), min_size=1, max_size=2
    ),
    st.lists(
        st.sampled_from([
            "*", "arn:aws:s3:::*", "arn:aws:s3:::a*", "arn:aws:s3:::a/*", "arn:*:a*",
            "arn:aws:s3:::${aws:username}*",
        ]),
        min_size=1, max_size=2,
    ),
    st.sampled_from([
        None, None,
        {"StringLike": {"aws:username": "a*"}},
        {"StringNotLike": {"aws:username": "a*"}},
        {"StringEqualsIfExists": {"aws:username": "a"}},
        {"Null": {"aws:userid": "true"}},
    ]),
)  # fmt: skip
POLICIES = st.lists(STATEMENTS, min_size=1, max_size=3).map(lambda some: policy(*some))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(POLICIES, POLICIES)
def test_every_request_of_what_is_shown_is_a_witness(before, after):
    old, new = parse(before), parse(after)
    for reason in compare(before, after, INDEX).reasons:
        if reason.request is None:
            continue
        decisions = evaluate(old, reason.request), evaluate(new, reason.request)
        assert decisions == (reason.before, reason.after)
        of = (new if reason.is_new else old).statements[reason.statement - 1]
        assert applies(of, reason.request) is True
        view = witness.view(old, new, of, reason.request)
        lacking = words.absent((old, new), reason.request, view)
        for action, resource in itertools.product(
            Shelf.actions, [*RESOURCES, reason.request.resource]
        ):
            if has(view.actions, action.lower()) and has(view.resources, resource):
                found = Request(action, resource, context=reason.request.context)
                assert (evaluate(old, found), evaluate(new, found)) == decisions
                # A key of which nothing is said may have any value.
                for key, value in itertools.product({"aws:username", "aws:userid"}, ["a", "b"]):
                    if key not in lacking and key not in found.context:
                        context = {**found.context, key: (value,)}
                        other = Request(action, resource, context=context)
                        assert (evaluate(old, other), evaluate(new, other)) == decisions


# What is worth nothing

APP, BOB, TEAM = role("app"), user("bob"), group("team")
NEVER = {
    "Condition": {"StringEquals": {"aws:username": "a"}, "StringNotEquals": {"aws:username": "a"}}
}
NOTHING = allow("s3:GetObject", **NEVER)


@pytest.mark.parametrize(
    ("rest", "given"),
    [
        ([BOB, TEAM], member("bob", "team")),
        ([APP, managed("p", NOTHING)], attached("role app", "p")),
        ([APP], inline("role app", "x", NOTHING)),
    ],
    ids=["membership", "attachment", "inline"],
)
def test_what_comes_or_goes_and_allows_nothing_says_so(rest, given):
    for sides in (([], [given]), ([given], [])):
        old, new = (build([account(), *rest, *one]) for one in sides)
        [change] = diff(old, new)
        found = Meanings(old, new, INDEX).of(change)
        assert found.verdict is Widening.NEUTRAL
        assert found.reasons == ["it allows nothing, and denies nothing"]
