from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.drift.iam import document
from chalicelib.drift.iam.actions import Expansion, Index
from chalicelib.drift.iam.compare import Widening, compare
from chalicelib.drift.iam.condition import atom
from chalicelib.drift.iam.document import canonical, parse
from chalicelib.drift.iam.evaluate import Decision, evaluate
from chalicelib.drift.iam.glob import Budget
from chalicelib.drift.iam.request import Request
from chalicelib.kernel.errors import Malformed

ALLOW = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


def policy(**more):
    return {"Version": "2012-10-17", "Statement": [{**ALLOW, **more}]}


@pytest.mark.parametrize(
    "value",
    [
        "", "[]", "{", "null", '{"Statement": 1}', '{"Version": "2020-01-01", "Statement": []}',
        '{"Statement": [], "Statement": []}', {"Statement": [{}]}, {"Statement": ["x"]},
        policy(Effect="allow"), policy(NotAction="s3:*"), policy(NotResource="*"),
        policy(Action=[]), policy(Action=[1]), policy(Resource=""), policy(Sid=1),
        policy(Condition=[]), policy(Condition={"Bool": "x"}), policy(Principal=[]),
        policy(Condition={"Bool": {"a": None}}), policy(Principal={"AWS": "*"}, NotPrincipal="*"),
        policy(Condition={"StringEquals": {"aws:a": "x", "AWS:a": "y"}}),
        {"Version": "2008-10-17", "Statement": [{**ALLOW, "New": "${x}"}]},
        {"Statement": [], "X": "\ud800"}, "[" * 100_000, b"\xff",
    ],
)  # fmt: skip
def test_what_is_no_policy_is_malformed_and_undecided(value):
    with pytest.raises(Malformed):
        parse(value)
    assert compare(value, policy()).verdict is Widening.UNDECIDED


def test_a_policy_has_a_bound():
    large = policy(Resource=["arn:aws:s3:::" + "x" * document.MAX_BYTES])
    with pytest.raises(Malformed, match="longer than"):
        parse(large)


def test_the_canonical_form():
    said = canonical(
        {
            "Version": "2008-10-17",
            "Id": "mine",
            "Statement": {
                "Sid": "S",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
                "Action": ["S3:GetObject", "s3:Get*"],
                "Resource": ["arn:aws:s3:::${x}", "arn:aws:s3:::a*", "arn:aws:s3:::ab"],
                "Condition": {"ArnEquals": {"K": "arn:*:*:*:*:*"}, "ArnLike": {"k": "arn:::::a"}},
            },
        }
    )
    assert said == {
        "Version": "2012-10-17",
        "Id": "mine",
        "Statement": [
            {
                "Sid": "S",
                "Effect": "Allow",
                "Principal": {"AWS": ["111111111111"]},
                "Action": ["s3:get*"],
                "Resource": ["arn:aws:s3:::${$}{x}", "arn:aws:s3:::a*"],
                "Condition": {
                    "ArnLike": {"k": ["arn:*:*:*:*:*"]},
                    "ArnEquals": {"k": ["arn:::::a"]},
                },
            }
        ],
    }
    assert canonical(said) == said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("aA*?${}:", max_size=6),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["Statement", "Effect", "Action", "Resource", "Condition", "Principal", "StringLike",
             "Bool", "AWS", "x"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, JSON)
def test_nothing_that_json_says_is_an_error_of_the_comparison(one, other):
    for old, new in ((one, other), (policy(Condition=one), policy(Condition=other)),
                     (policy(Action=one), policy(Resource=other))):  # fmt: skip
        assert compare(old, new).verdict in Widening


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        ("stringequals", ["x"]), ("StringEquals", []), ("NullIfExists", ["true"]),
        ("ForAnyValue:Null", ["true"]), ("ForAnyValue:StringLikeIfExists", ["x"]),
        ("NumericEquals", ["x"]), ("NumericEquals", ["1e999999999"]), ("DateEquals", ["x"]),
        ("DateEquals", ["0001-01-01T00:00:00+10:00"]), ("Bool", ["yes"]), ("IpAddress", ["10.0"]),
        ("IpAddress", ["fe80::1%1"]), ("BinaryEquals", ["!"]), ("ArnLike", ["*"]),
        ("StringLike", ["${"]),
    ],
)  # fmt: skip
def test_conditions_that_are_not_understood_say_why(operator, values):
    found = atom(operator, "k", values, variables=True)
    assert found.unknown
    assert found.operator == operator


def test_an_explicit_deny_decides_and_silence_allows_nothing():
    both = parse({"Statement": [ALLOW, {**ALLOW, "Effect": "Deny", "Action": "s3:Put*"}]})
    assert evaluate(both, Request("s3:GetObject", "*")) is Decision.ALLOWED
    assert evaluate(both, Request("s3:PutObject", "*")) is Decision.DENIED
    assert evaluate(both, Request("iam:GetUser", "*")) is Decision.SILENT
    assert evaluate(parse(policy(New=1)), Request("s3:GetObject", "*")) is None


class Shelf:
    actions = ("s3:GetObject", "s3:PutObject")
    date = "2026-11-01"


def test_actions_are_known_or_patterns():
    index = Index(Shelf())
    open_set = Expansion(index, ["s3:*", "s3:new*"])
    assert open_set.find([["s3:*"]], [["s3:get*"]], Budget()) == "s3:PutObject"
    assert open_set.find([["s3:*"]], [["s3:?etobject", "s3:put*"]], Budget()).startswith("s3:new")
    assert Expansion(index, ["s3:*"]).find([["s3:*"]], [["s3:get*", "s3:put*"]], Budget()) is None
    assert Expansion(index, ["*"]).find([["*"]], [["s3:*"]], Budget()) not in {None, "*"}
    hostile = "s3:" + "*a" * 40 + "b"
    assert index.mask(hostile) == 0


def test_the_verdict_says_where_it_is_by_the_reference_only():
    listed, wild = policy(Action=list(Shelf.actions)), policy(Action="s3:*")
    found = compare(listed, wild, Shelf())
    assert (found.verdict, found.by_reference, found.reference_date) == (
        Widening.NEUTRAL, True, Shelf.date,
    )  # fmt: skip
    assert compare(listed, wild).verdict is Widening.WIDENED
    assert not compare(wild, policy(), Shelf()).by_reference


def test_a_policy_alone_makes_no_difference_between_denials():
    denied = {"Statement": [ALLOW, {**ALLOW, "Effect": "Deny", "Action": "iam:*"}]}
    assert compare(policy(), denied).verdict is Widening.NARROWED
    assert compare(policy(), denied, alone=True).verdict is Widening.NEUTRAL


def test_many_statements_end_undecided():
    def many(end):
        return {
            "Statement": [
                {**ALLOW, "Action": f"s3:Get{n}*", "Resource": f"arn:aws:s3:::x{n}{end}"}
                for n in range(700)
            ]
        }

    assert compare(many("*"), many("?*")).verdict in {Widening.UNDECIDED, Widening.NARROWED}
