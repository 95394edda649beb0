"""Denials in a role: bounded, merged, forgotten in time, and never lost between writers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from aws.roles import Account, Clock, error
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.aws.revocation import (
    MERGED_CHARACTERS,
    PREFIX,
    ROUND_SECONDS,
    SESSION_SECONDS,
    SKEW_SECONDS,
    Revocations,
    document,
    ending,
    parsed,
)
from chalicelib.kernel import canon
from chalicelib.kernel.errors import CouldNotTell

NOW = datetime(2026, 10, 1, 2, tzinfo=UTC)
SOON = NOW + timedelta(minutes=10)


def role(number):
    return f"hf_{number:026d}"


@pytest.fixture
def account():
    return Account("leased")


def writer(account):
    return Revocations(account, account.arn("leased"), token=account.token, pause=lambda _: None)


def denied(account):
    """All that the role denies."""
    found = {}
    for text in account.roles["leased"].values():
        for name, moment in (parsed(json.loads(text)) or {}).items():
            found[name] = max(moment, found.get(name, moment))
    return found


def test_what_is_denied_is_one_statement_a_moment():
    found = json.loads(document({role(1): SOON, role(2): NOW, role(3): SOON}))
    assert found["Version"] == "2012-10-17"
    assert found["Statement"] == [
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {
                "DateLessThan": {"aws:TokenIssueTime": at},
                "StringLike": {"aws:userid": [f"*:{role(number)}" for number in numbers]},
            },
        }
        for at, numbers in (("2026-10-01T02:00:00Z", [2]), ("2026-10-01T02:10:00Z", [1, 3]))
    ]


MOMENTS = st.integers(0, 100).map(lambda minutes: NOW + timedelta(minutes=minutes))
NAMES = st.integers(0, 50).map(role)


@given(st.dictionaries(NAMES, MOMENTS, min_size=1))
def test_what_was_written_is_read(denied):
    assert parsed(json.loads(document(denied))) == denied


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.update(Effect="Allow"),
        lambda one: one.update(Action="s3:*"),
        lambda one: one.update(Resource="arn:aws:s3:::x"),
        lambda one: one.update(Sid="Theirs"),
        lambda one: one["Condition"].update(Bool={"aws:SecureTransport": "false"}),
        lambda one: one["Condition"].pop("DateLessThan"),
        lambda one: one["Condition"]["DateLessThan"].update({"aws:TokenIssueTime": "2026-10-01"}),
        lambda one: one["Condition"]["StringLike"].update({"aws:userid": ["*:x*"]}),
        lambda one: one["Condition"]["StringLike"].update({"aws:userid": f"*:{role(1)}"}),
        lambda one: one["Condition"]["StringLike"]["aws:userid"].append("*:a.b"),
        lambda one: one["Condition"]["StringLike"]["aws:userid"].append(f"*:{role(0)}"),
        lambda one: one["Condition"].update(StringLike={}),
    ],
)
def test_what_we_did_not_write_is_not_read(change):
    found = json.loads(document({role(1): NOW}))
    change(found["Statement"][0])
    assert parsed(found) is None


@pytest.mark.parametrize("found", [{}, [], {"Statement": []}, {"Statement": "x"}, None])
def test_what_is_no_policy_is_not_read(found):
    assert parsed(found) is None


def test_policies_of_others_stay_and_count_for_nothing(account):
    theirs = {"theirs": "{}", f"{PREFIX}theirs": '{"Statement": []}'}
    account.roles["leased"].update(theirs)
    writer(account).deny(role(1), SOON, NOW)
    assert theirs.items() <= account.roles["leased"].items()
    assert denied(account) == {role(1): SOON}


def test_denials_are_merged(account):
    for number in range(20):
        writer(account).deny(role(number), SOON, NOW)
    assert len(account.roles["leased"]) == 1
    assert denied(account) == {role(number): SOON for number in range(20)}


def test_a_merged_policy_leaves_room_to_be_merged_again(account):
    for number in range(150):
        writer(account).deny(role(number), SOON, NOW)
    assert len(denied(account)) == 150
    assert all(len(one) <= MERGED_CHARACTERS[0] for one in account.roles["leased"].values())


def test_how_many_a_role_has_room_for(account):
    """Some 250 leases of one role in an hour, if all of them end early; more are said."""

    def deny(numbers):
        for number in numbers:
            writer(account).deny(role(number), SOON, NOW)

    with pytest.raises(CouldNotTell, match="no room for another denial"):
        deny(range(400))
    assert len(denied(account)) >= 250
    later = SOON + timedelta(seconds=SESSION_SECONDS + SKEW_SECONDS)
    writer(account).deny(role(500), later + timedelta(minutes=10), later)
    assert list(denied(account)) == [role(500)]


def test_a_denial_is_forgotten_when_every_session_that_it_is_about_has_expired(account):
    writer(account).deny(role(1), SOON, NOW)
    last = SOON + timedelta(seconds=SESSION_SECONDS + SKEW_SECONDS)
    writer(account).deny(role(2), last, last - timedelta(seconds=1))
    assert set(denied(account)) == {role(1), role(2)}
    writer(account).deny(role(3), last, last)
    assert set(denied(account)) == {role(2), role(3)}


def test_the_later_moment_counts(account):
    writer(account).deny(role(1), SOON, NOW)
    writer(account).deny(role(1), NOW, NOW)
    assert denied(account) == {role(1): SOON}
    writer(account).deny(role(1), SOON + timedelta(seconds=1), NOW)
    assert denied(account) == {role(1): SOON + timedelta(seconds=1)}


@given(st.integers(0, 100_000), st.integers(-10_000, 100_000))
def test_an_end_is_later_than_now_and_outlives_the_lease(now_seconds, left):
    now = NOW + timedelta(seconds=now_seconds, microseconds=now_seconds)
    until = now + timedelta(seconds=left)
    before = ending(now, until)
    assert before >= now + timedelta(seconds=SKEW_SECONDS)
    assert before + timedelta(seconds=SESSION_SECONDS) >= until
    assert before.timestamp() % ROUND_SECONDS == 0
    least = max(now + timedelta(seconds=SKEW_SECONDS), until - timedelta(seconds=SESSION_SECONDS))
    assert before - least <= timedelta(seconds=ROUND_SECONDS)


def test_no_end_is_kept_for_longer_than_leases_last():
    assert ending(NOW, NOW + timedelta(days=10_000)) < NOW + timedelta(days=8)


@pytest.mark.parametrize("name", ["", "a.b", "a*", "a?", "a:b", "a" * 65, "é", "x\n"])
def test_what_is_no_session_s_name_is_never_denied(account, name):
    with pytest.raises(ValueError, match="not a session's name"):
        writer(account).deny(name, SOON, NOW)
    assert account.calls == []


def test_a_role_is_named_by_its_arn(account):
    with pytest.raises(ValueError, match="not the ARN of a role"):
        Revocations(account, "leased", token=account.token, pause=lambda _: None)


def test_what_was_written_and_cannot_be_read_is_waited_for(account):
    """IAM is eventually consistent."""
    pauses, hidden = [], [5]

    def hide(operation):
        if operation == "GetRolePolicy" and hidden[0]:
            hidden[0] -= 1
            raise error("NoSuchEntity", "GetRolePolicy", 404)

    account.before = hide
    Revocations(account, account.arn("leased"), token=account.token, pause=pauses.append).deny(
        role(1), SOON, NOW
    )
    assert pauses == [1, 2]
    hidden[0] = 100
    with pytest.raises(CouldNotTell, match="does not have the policy"):
        writer(account).deny(role(2), SOON, NOW)
    assert set(denied(account)) == {role(1), role(2)}


def test_what_was_taken_and_not_kept_replaces_nothing(account):
    """A write that is acknowledged, and is not there when it is read."""
    writer(account).deny(role(1), SOON, NOW)
    kept = dict(account.roles["leased"])

    def lose(_operation):
        for name in set(account.roles["leased"]) - set(kept):
            del account.roles["leased"][name]

    account.before = lose
    with pytest.raises(CouldNotTell, match="does not have the policy"):
        writer(account).deny(role(2), SOON, NOW)
    assert account.roles["leased"] == kept


@settings(max_examples=200)
@given(st.data())
def test_whoever_writes_in_between_nothing_denied_is_ever_not_denied(data):
    """Any number of writers, each beginning between any two requests of the others."""
    account = Account("leased", clock=Clock())
    promised, number, depth = set(), [0], [0]

    def deny():
        number[0] += 1
        mine = role(number[0])
        depth[0] += 1
        writer(account).deny(mine, SOON, NOW)
        depth[0] -= 1
        promised.add(mine)

    def between(_operation):
        assert promised <= set(denied(account))
        if depth[0] < 4 and number[0] < 12 and data.draw(st.integers(0, 9)) == 0:
            deny()

    account.before = between
    for _ in range(3):
        deny()
    assert promised <= set(denied(account))


def test_a_document_is_canonical():
    text = document({role(2): NOW, role(1): NOW})
    assert canon.encode(json.loads(text)).decode() == text
