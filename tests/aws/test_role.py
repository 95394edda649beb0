"""Leases of AWS roles: what a session is, and that it ends with its lease and no other's."""

from __future__ import annotations

import pickle
import traceback

import pytest
from aws.roles import Account, Clock, error
from botocore.exceptions import ClientError
from support.aws import throttle

from chalicelib.access.grantor import Terms
from chalicelib.access.profile import Profile
from chalicelib.aws.revocation import Revocations
from chalicelib.aws.role import StsGrantor
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    Busy,
    ConfigError,
    Conflict,
    CouldNotTell,
    NotAllowed,
    UsageError,
)

READ = Profile(actions=("s3:GetObject",))
BUCKET = "arn:aws:s3:::ml-config/*"
ROLE = "hf_" + "a" * 26
OTHER = "hf_" + "b" * 26


def terms(role=ROLE, until="2026-10-01T02:30:00.000000Z", **more):
    given = {
        "lease": "config-prod.abcdefghijkm",
        "target": "sts:config-prod",
        "role": role,
        "holder": "person:ana maría",
        "profile_name": "read",
        "profile": READ,
        "resources": (BUCKET,),
        "until": until,
    }
    return Terms(**{**given, **more})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def account(clock):
    return Account("leased", clock=clock)


@pytest.fixture
def grantor(account, clock):
    return made(account, clock)


def made(account, clock, *, arn=None, ours=None):
    """A grantor whose pauses let a second pass at AWS and for us. ``ours``: our own clock."""
    revocations = Revocations(
        account, arn or account.arn("leased"), token=account.token, pause=lambda _: clock.pass_(1)
    )
    return StsGrantor(
        account,
        revocations,
        arn or account.arn("leased"),
        clock=ours or clock,
        pause=lambda _: clock.pass_(1),
        region="eu-central-1",
    )


def issued(grantor, wanted):
    return grantor.issue(grantor.plan(wanted), wanted)


def steps():
    told = []
    return told, told.append


def test_a_session_is_the_person_s_and_says_what_for(grantor, account):
    credential = issued(grantor, terms())
    (session,) = account.sessions
    assert session.name == ROLE
    assert session.said["SourceIdentity"] == "ana=20mar=C3=ADa"
    assert session.tags == {
        "holdfast:lease": "config-prod.abcdefghijkm",
        "holdfast:target": "sts:config-prod",
        "holdfast:profile": "read",
        "holdfast:requester": "ana=20mar=C3=ADa",
    }
    assert credential.kind == "aws"
    assert credential.fields == {
        "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE1",
        "AWS_SECRET_ACCESS_KEY": "secret-1",
        "AWS_SESSION_TOKEN": "token-1",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    assert credential.until == "2026-10-01T02:30:00.000000Z"


@pytest.mark.parametrize(
    ("until", "seconds", "ends"),
    [
        ("2026-10-01T02:05:00.000000Z", 900, "2026-10-01T02:05:00.000000Z"),
        ("2026-10-01T02:30:00.000000Z", 1_800, "2026-10-01T02:30:00.000000Z"),
        ("2026-10-01T09:00:00.000000Z", 3_600, "2026-10-01T03:00:00.000000Z"),
    ],
)
def test_a_session_lasts_15_to_60_minutes(grantor, account, until, seconds, ends):
    assert issued(grantor, terms(until=until)).until == ends
    assert account.sessions[0].said["DurationSeconds"] == seconds


def test_a_session_does_what_its_scope_says_and_only_until_the_lease_s_end(grantor, account, clock):
    issued(grantor, terms(until="2026-10-01T02:05:00.000000Z"))
    (session,) = account.sessions
    assert account.may(session, "s3:GetObject", "arn:aws:s3:::ml-config/a")
    assert not account.may(session, "s3:GetObject", "arn:aws:s3:::other/a")
    assert not account.may(session, "s3:PutObject", "arn:aws:s3:::ml-config/a")
    clock.pass_(299)
    assert account.alive() == [1]
    clock.pass_(1)
    assert account.alive() == [], "the session has ten minutes left and may do nothing"


def test_a_plan_names_all_of_the_call_and_nothing_secret(grantor, account):
    plan = grantor.plan(terms())
    (step,) = plan.steps
    assert step.sql == "sts:AssumeRole"
    assert step.literals["RoleSessionName"] == ROLE
    assert BUCKET in step.literals["Policy"]
    assert step.secrets == ()
    assert plan.sha256 == made(account, Clock("2026-10-01T02:20:00+00:00")).plan(terms()).sha256
    assert account.calls == []


def test_what_was_planned_for_something_else_is_not_issued(grantor, account):
    plan = grantor.plan(terms())
    with pytest.raises(Conflict, match="for other terms"):
        grantor.issue(plan, terms(resources=()))
    assert account.sessions == []


def test_a_lease_whose_time_is_over_has_no_session(grantor, account):
    wanted = terms(until="2026-10-01T02:00:00.000000Z")
    with pytest.raises(NotAllowed, match="time is over"):
        issued(grantor, wanted)
    assert account.sessions == []


def test_a_profile_without_actions_has_no_plan(grantor):
    with pytest.raises(UsageError, match="no actions"):
        grantor.plan(terms(profile=Profile(privileges=("SELECT",))))


def test_ending_a_lease_ends_its_sessions_and_no_other_s(grantor, account, clock):
    issued(grantor, terms())
    issued(grantor, terms(OTHER))
    clock.pass_(60)
    told, step = steps()
    found = grantor.end(terms(), step)
    assert told == ["deny"]
    assert account.alive() == [2]
    assert found["session"] == ROLE
    assert found["role"] == account.arn("leased")
    assert list(account.roles["leased"]) == [found["denied_by"]]
    assert found["denied_if_issued_before"] > timestamp(clock.now())


def test_ending_covers_a_session_that_is_just_being_made_and_clocks_that_differ(account, clock):
    """AWS is four minutes ahead of us."""
    ours = Clock("2026-10-01T01:56:00+00:00")
    grantor = made(account, clock, ours=ours)
    grantor.end(terms(), lambda _: None)
    issued(grantor, terms())
    assert account.alive() == []


def test_what_was_ended_is_ended_again_without_another_policy(grantor, account, clock):
    issued(grantor, terms())
    first = grantor.end(terms(), lambda _: None)
    before = dict(account.roles["leased"])
    assert grantor.end(terms(), lambda _: None) == first
    assert account.roles["leased"] == before
    assert account.calls.count("PutRolePolicy") == 1


def test_a_refreshed_session_opens_and_those_before_it_do_not(grantor, account, clock):
    issued(grantor, terms())
    credential = grantor.refresh(terms())
    assert credential.fields["AWS_SESSION_TOKEN"] == f"token-{len(account.sessions)}"
    assert account.alive() == [len(account.sessions)], "not the one that told the second either"
    again = grantor.refresh(terms())
    assert again.fields["AWS_SESSION_TOKEN"] == f"token-{len(account.sessions)}"
    assert account.alive() == [len(account.sessions)]
    grantor.end(terms(), lambda _: None)
    assert account.alive() == []


def test_refreshing_one_lease_leaves_others_be(grantor, account):
    issued(grantor, terms(OTHER))
    issued(grantor, terms())
    grantor.refresh(terms())
    assert 1 in account.alive()
    assert 2 not in account.alive()


def test_a_clock_at_aws_that_stands_still_gives_no_second_session(account, clock):
    grantor = StsGrantor(
        account,
        Revocations(account, account.arn("leased"), token=account.token, pause=lambda _: None),
        account.arn("leased"),
        clock=clock,
        pause=lambda _: None,
    )
    issued(grantor, terms())
    with pytest.raises(Busy, match="in one second"):
        grantor.refresh(terms())


def test_a_longer_lease_is_claimed_again_with_its_new_end(grantor, account, clock):
    issued(grantor, terms())
    grantor.extend(terms(until="2026-10-01T02:40:00.000000Z"))
    clock.pass_(1_500)
    credential = grantor.refresh(terms(until="2026-10-01T02:40:00.000000Z"))
    assert credential.until == "2026-10-01T02:40:00.000000Z"
    clock.pass_(600)
    assert account.alive() == [len(account.sessions)]
    clock.pass_(300)
    assert account.alive() == []


def test_a_role_of_another_account_is_not_leased(account, clock):
    """IAM knows names only: the denial would go to our own role of that name."""
    arn = "arn:aws:iam::210987654321:role/leased"
    grantor = made(account, clock, arn=arn)
    for act in (lambda: issued(grantor, terms()), lambda: grantor.refresh(terms())):
        with pytest.raises(ConfigError, match="no role of this account"):
            act()
    with pytest.raises(ConfigError, match="no role of this account"):
        grantor.end(terms(), lambda _: None)
    assert account.sessions == []
    assert account.roles["leased"] == {}


def test_a_full_role_is_said_until_the_sessions_have_ended_by_themselves(account, clock, grantor):
    issued(grantor, terms())
    account.roles["leased"]["theirs"] = '{"Statement": "' + "x" * 10_200 + '"}'
    with pytest.raises(CouldNotTell, match="no room for another denial"):
        grantor.end(terms(), lambda _: None)
    clock.pass_(1_800 + 299)
    with pytest.raises(CouldNotTell, match="no room for another denial"):
        grantor.end(terms(), lambda _: None)
    clock.pass_(1)
    found = grantor.end(terms(), lambda _: None)
    assert found["denied_by"] == "the sessions' own policy"
    assert account.alive() == []


def test_a_denial_that_somebody_removed_is_no_end(account, clock, grantor):
    issued(grantor, terms())

    def remove(operation):
        if account.calls[-1] == "PutRolePolicy":
            account.roles["leased"].clear()

    account.before = remove
    with pytest.raises(CouldNotTell, match="that was just written"):
        grantor.end(terms(), lambda _: None)


def test_a_denied_call_says_what_to_allow_and_no_secret(account, clock, grantor):
    def refuse(operation):
        if operation == "AssumeRole":
            raise error("AccessDenied", "AssumeRole", 403)

    account.before = refuse
    with pytest.raises(CouldNotTell) as caught:
        issued(grantor, terms())
    assert caught.value.next_step.startswith("allow AssumeRole to this identity")
    assert "arn, token and all" not in "".join(traceback.format_exception(caught.value))


def test_a_policy_too_large_when_packed_is_the_request_s_fault(account, grantor):
    def refuse(operation):
        if operation == "AssumeRole":
            raise error("PackedPolicyTooLarge", "AssumeRole")

    account.before = refuse
    with pytest.raises(UsageError, match="packed together"):
        issued(grantor, terms())


def test_a_credential_is_neither_shown_nor_kept(grantor):
    credential = issued(grantor, terms())
    assert "secret" not in repr(credential)
    with pytest.raises(TypeError, match="not kept"):
        pickle.dumps(credential)


def test_a_value_that_no_tag_can_have_is_refused(grantor):
    with pytest.raises(UsageError, match="holdfast:target"):
        grantor.plan(terms(target="sts:\n"))


def test_aws_lists_no_sessions_and_so_no_orphans(grantor, account):
    issued(grantor, terms())
    assert grantor.orphans([]) == []


@pytest.fixture
def on_moto(empty_aws):
    """A grantor with botocore's own clients, and the clients."""
    iam, sts = empty_aws.client("iam"), empty_aws.client("sts")
    role = iam.create_role(RoleName="leased", AssumeRolePolicyDocument="{}", Path="/teams/ml/")
    arn = role["Role"]["Arn"]
    clock = Clock()
    revocations = Revocations(iam, arn, token=iter("abcdef").__next__, pause=lambda _: None)
    return StsGrantor(sts, revocations, arn, clock=clock, pause=lambda _: None), iam


def test_botocore_sends_and_reads_it(on_moto, empty_aws):
    grantor, iam = on_moto
    wanted = terms()
    credential = grantor.issue(grantor.plan(wanted), wanted)
    assert credential.fields["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    found = grantor.end(wanted, lambda _: None)
    policy = iam.get_role_policy(RoleName="leased", PolicyName=found["denied_by"])
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Condition"]["StringLike"] == {"aws:userid": [f"*:{ROLE}"]}
    assert grantor.end(wanted, lambda _: None) == found


@pytest.mark.parametrize(
    "operation", ["GetRole", "ListRolePolicies", "PutRolePolicy", "GetRolePolicy"]
)
def test_a_failing_iam_is_no_end(on_moto, empty_aws, operation):
    grantor, _ = on_moto
    with (
        empty_aws.failing("iam", operation, throttle("iam"), times=100),
        pytest.raises(CouldNotTell),
    ):
        grantor.end(terms(), lambda _: None)
    assert "denied_by" in grantor.end(terms(), lambda _: None)


def test_a_role_that_is_gone_has_no_sessions_to_lease(on_moto, empty_aws):
    grantor, iam = on_moto
    iam.delete_role(RoleName="leased")
    with pytest.raises(ConfigError, match="none of its name"):
        grantor.end(terms(), lambda _: None)
    with pytest.raises(ClientError):
        iam.get_role(RoleName="leased")
