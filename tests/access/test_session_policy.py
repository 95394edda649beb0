"""The session's policy and identity: what is allowed, until when, and to whom it is put down."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.access.profile import Profile
from chalicelib.access.session_policy import (
    MAX_POLICY_CHARACTERS,
    MAX_RESOURCES,
    policy,
    scope,
    source_identity,
)
from chalicelib.kernel import canon
from chalicelib.kernel.errors import UsageError

READ = Profile(actions=("s3:GetObject", "s3:ListBucket"))
UNTIL = "2026-10-01T02:30:00.900000Z"
BUCKET = "arn:aws:s3:::ml-config"


def test_a_session_may_do_the_profile_s_actions_on_the_scope_and_nothing_after_the_end():
    found = json.loads(policy(READ, [f"{BUCKET}/*", BUCKET, BUCKET], UNTIL))
    allow, deny = found["Statement"]
    assert found["Version"] == "2012-10-17"
    assert allow == {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [BUCKET, f"{BUCKET}/*"],
    }
    assert deny == {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateGreaterThanEquals": {"aws:CurrentTime": "2026-10-01T02:30:00Z"}},
    }


def test_without_a_scope_it_is_what_the_role_reaches():
    allow, _ = json.loads(policy(READ, [], UNTIL))["Statement"]
    assert allow["Resource"] == "*"


def test_equal_scopes_have_equal_bytes():
    backwards = Profile(actions=tuple(reversed(READ.actions)))
    one = policy(READ, [BUCKET, f"{BUCKET}/a"], UNTIL)
    assert one == policy(backwards, [f"{BUCKET}/a", BUCKET], UNTIL)
    assert canon.encode(json.loads(one)).decode() == one


def test_a_profile_without_actions_is_refused():
    with pytest.raises(UsageError, match="no actions of AWS"):
        policy(Profile(privileges=("SELECT",)), [], UNTIL)


@pytest.mark.parametrize("action", ["sts:AssumeRole", "sts:*", "sts:GetFederationToken"])
def test_a_session_makes_no_session_that_would_outlive_it(action):
    with pytest.raises(UsageError, match="lives on"):
        policy(Profile(actions=("s3:GetObject", action)), [], UNTIL)
    assert "sts:GetCallerIdentity" in policy(Profile(actions=("sts:GetCallerIdentity",)), [], UNTIL)


def test_what_aws_would_not_take_is_refused_here():
    long = [f"{BUCKET}/{number}/{'x' * 200}" for number in range(10)]
    with pytest.raises(UsageError, match=f"AWS takes {MAX_POLICY_CHARACTERS}"):
        policy(READ, long, UNTIL)
    assert len(policy(READ, long[:7], UNTIL)) <= MAX_POLICY_CHARACTERS


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "arn:aws:s3:::*",
        "arn:aws:s3:::*/*",
        "arn:*:s3:::bucket",
        "arn:aws:*:::bucket",
        "arn:aws:s3:*::bucket",
        "arn:aws:iam::*:role/x",
        "arn:aws:s3:::home/${aws:username}",
        'arn:aws:s3:::a"b',
        "arn:aws:s3:::a\\b",
        "arn:aws:s3:::a b",
        "arn:aws:s3:::é",
        "arn:aws:s3:::",
        "arn:aws:s3:::a\n",
        "s3://bucket",
        "",
        "arn:aws:s3:::" + "a" * 2_000,
    ],
)
def test_what_is_no_resource_is_refused(text):
    with pytest.raises(UsageError, match="not a resource of a scope"):
        scope([text])


def test_arns_of_every_shape_are_resources():
    arns = [
        "arn:aws:s3:::ml-config/a?b*",
        "arn:aws-us-gov:dynamodb:us-gov-west-1:123456789012:table/orders",
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
        "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/x:*",
    ]
    assert scope(arns) == tuple(sorted(arns))


def test_a_scope_is_bounded():
    many = [f"{BUCKET}/{number}" for number in range(MAX_RESOURCES + 1)]
    assert len(scope(many[:-1])) == MAX_RESOURCES
    with pytest.raises(UsageError, match="at most 20 resources"):
        scope(many)


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        ("person:ana", "ana"),
        ("agent:fixer", "agent+fixer"),
        ("pipeline:nightly", "pipeline+nightly"),
        ("person:ana@example.org", "ana@example.org"),
        ("person:ana maría", "ana=20mar=C3=ADa"),
        ("person:agent+fixer", "agent=2Bfixer"),
        ("person:a=20b", "a=3D20b"),
    ],
)
def test_an_identity_is_the_person(holder, expected):
    assert source_identity(holder) == expected


HOLDERS = st.tuples(
    st.sampled_from(["person", "agent", "pipeline"]),
    st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=128),
).map(":".join)


@given(HOLDERS, HOLDERS)
def test_no_two_holders_have_one_identity(one, other):
    for text in (source_identity(one), source_identity(other)):
        assert re.fullmatch(r"[\w+=,.@-]{2,64}", text, re.ASCII)
        assert not text.startswith("aws:")
    assert (one == other) == (source_identity(one) == source_identity(other))


def test_what_was_shortened_is_not_what_somebody_is_called():
    short = source_identity("person:" + "a" * 128)
    assert len(short) == 64
    assert source_identity(f"person:{short}") != short
    assert source_identity("person:" + "a" * 127) != short
    assert len(source_identity("person:a")) >= 2
