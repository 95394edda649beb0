"""Reading an account: every object, as few calls as it can, and gaps where AWS does not tell."""

from __future__ import annotations

import copy
import random
from datetime import UTC, datetime, timedelta

import pytest
from aws.iam_answers import (
    ACCOUNT,
    NOW,
    Iam,
    allows,
    days,
    group,
    key,
    local,
    managed,
    page,
    policy,
    report,
    role,
    user,
)
from aws.iam_pages import paged
from support.aws import Fault, throttle

from chalicelib.aws import iam_source
from chalicelib.aws.asker import Asker
from chalicelib.aws.iam_source import ACTIONS, IamSource
from chalicelib.drift import snapshot
from chalicelib.drift.iam.reach import Databases
from chalicelib.drift.iam.reference import packaged
from chalicelib.drift.snapshot import COVERAGE, Object
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import AnotherSystem, NotPermitted, Overdue, Unsupported

ADMIN = managed("AdministratorAccess")


def quiet(*_):
    """Nobody watches."""


def source(asker, *, account=ACCOUNT, now=NOW, reach=None):
    return IamSource(
        account,
        asker,
        databases=None,
        reference=None,
        now=lambda: now,
        reach=reach or (lambda objects, databases, reference: []),
    )


def read(iam, **more):
    return source(iam.asker, **more).read(quiet)


def found(reading):
    """Attributes by kind and name."""
    return {item.key: dict(item.attributes) for item in reading.objects}


def gaps(reading):
    return {item.name: item.attributes for item in reading.objects if item.kind == COVERAGE}


def an_account():
    """One of everything; the answers of it in two pages."""
    iam = Iam(
        [
            page(
                users=[
                    user("ana", groups=["dba", "staff"], labels={"team": "db"}, path="/people/"),
                    user("robot", attached=[ADMIN], boundary=local("limit")),
                ],
                groups=[group("dba", attached=[local("read")]), group("staff")],
            ),
            page(
                roles=[role("web", inline={"logs": allows("logs:PutLogEvents")}), role("app")],
                policies=[
                    policy(local("read"), allows("rds-db:connect"), allows("rds:Describe*")),
                    policy(local("limit"), allows("s3:*")),
                    policy(ADMIN, allows("*")),
                    policy(managed("ReadOnlyAccess"), allows("s3:Get*"), counts=(0, 0)),
                ],
            ),
        ]
    )
    iam.keys = {"robot": [key(1), key(2, status="Inactive")]}
    iam.last_used = {"AKIA000000000001": days(1)}
    iam.devices = {"ana": [f"arn:aws:iam::{ACCOUNT}:mfa/ana"]}
    iam.passwords = {"ana"}
    iam.aliases = ["orders"]
    return iam


def test_every_object_of_an_account_is_read():
    reading = read(an_account())
    created = "2026-01-02T03:04:05.000000Z"
    objects = found(reading)
    assert sorted(objects) == [
        ("iam_access_key", "robot AKIA000000000001"),
        ("iam_access_key", "robot AKIA000000000002"),
        ("iam_account", ACCOUNT),
        ("iam_attachment", "group dba has read"),
        ("iam_attachment", f"user robot has {ADMIN}"),
        ("iam_group", "dba"),
        ("iam_group", "staff"),
        ("iam_inline_policy", "role web: logs"),
        ("iam_instance_profile", "web"),
        ("iam_membership", "ana in dba"),
        ("iam_membership", "ana in staff"),
        ("iam_mfa_device", f"ana arn:aws:iam::{ACCOUNT}:mfa/ana"),
        ("iam_password_policy", "account"),
        ("iam_policy", ADMIN),
        ("iam_policy", "limit"),
        ("iam_policy", "read"),
        ("iam_policy_version", "limit v1"),
        ("iam_policy_version", "read v1"),
        ("iam_policy_version", "read v2"),
        ("iam_role", "app"),
        ("iam_role", "web"),
        ("iam_user", "ana"),
        ("iam_user", "robot"),
    ]
    assert objects["iam_user", "ana"] == {
        "path": "/people/", "created": created, "console": True, "tags": {"team": "db"},
    }  # fmt: skip
    assert objects["iam_user", "robot"] == {
        "path": "/", "created": created, "console": False, "boundary": "limit",
    }  # fmt: skip
    assert objects["iam_account", ACCOUNT] == {
        "alias": "orders", "root_mfa": True, "root_access_keys": False,
    }  # fmt: skip
    assert objects["iam_role", "web"].keys() == {
        "path", "created", "trust", "comment", "max_session_seconds",
    }  # fmt: skip
    assert objects["iam_access_key", "robot AKIA000000000001"] == {
        "of": "iam_user robot",
        "status": "Active",
        "created": created,
        "age": "over 90 days",
        "last_use": "within 45 days",
    }
    assert objects["iam_access_key", "robot AKIA000000000002"]["last_use"] == "never"
    assert objects["iam_instance_profile", "web"] == {"path": "/", "roles": ["app", "web"]}
    assert objects["iam_policy", ADMIN]["aws_managed"] is True
    assert reading.identity == f"account {ACCOUNT}"
    assert reading.system["partition"] == "aws"
    assert reading.read_at == timestamp(NOW)


def test_all_parents_are_there():
    snapped = snapshot.build(read(an_account()).objects)
    children = [item for item in snapped.objects.values() if item.parent]
    assert len(children) == 11
    assert all(item.parent in snapped.objects for item in children)


def test_the_order_of_pages_and_lists_does_not_matter():
    before = read(an_account())
    rng = random.Random(7)  # noqa: S311 - any order will do
    for _ in range(5):
        iam = an_account()
        whole = iam.looks[0]
        merged = {name: [one for part in whole for one in part[name]] for name in whole[0]}
        parts = [page() for _ in range(3)]
        for name, details in merged.items():
            for detail in rng.sample(details, len(details)):
                for value in detail.values():
                    if isinstance(value, list):
                        rng.shuffle(value)
                rng.choice(parts)[name].append(detail)
        iam.looks = [parts]
        iam.keys["robot"].reverse()
        after = read(iam)
        assert snapshot.build(after.objects).data == snapshot.build(before.objects).data
        assert after.texts == before.texts


def test_credentials_of_another_account_read_nothing():
    iam = an_account()
    iam.account = "210987654321"
    with pytest.raises(AnotherSystem, match="210987654321"):
        read(iam)
    assert iam.asked == ["GetCallerIdentity"]


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_without_the_details_nothing_can_be_told(code):
    iam = an_account()
    iam.refused = {"GetAccountAuthorizationDetails": code}
    with pytest.raises(Exception, match=f"GetAccountAuthorizationDetails.*{code}") as caught:
        read(iam)
    assert caught.value.exit_code == 3


HIDDEN = {
    "ListRoles": ("iam_role", ["comment", "max_session_seconds"]),
    "ListInstanceProfiles": ("iam_instance_profile", None),
    "GetAccountSummary": ("iam_account", ["root_access_keys", "root_mfa"]),
    "ListAccountAliases": ("iam_account", ["alias"]),
    "GetAccountPasswordPolicy": ("iam_password_policy", None),
    "ListAccessKeys": ("iam_access_key", None),
    "ListMFADevices": ("iam_mfa_device", None),
    "GetLoginProfile": ("iam_user", ["console"]),
    "GetAccessKeyLastUsed": ("iam_access_key", ["last_use"]),
}


@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
@pytest.mark.parametrize("operation", sorted(HIDDEN))
def test_what_is_refused_hides_exactly_what_it_would_tell(operation, code):
    whole = found(read(an_account()))
    iam = an_account()
    iam.refused = {operation: code}
    reading = read(iam)
    kind, attributes = HIDDEN[operation]
    (name, gap), *more = gaps(reading).items()
    assert (name, more) == (kind, [])
    assert gap.get("attributes") == attributes
    assert gap["partial"] is (attributes is not None)
    assert gap["needs"] == f"iam:{operation}"
    assert code in gap["reason"]
    seen = {key: value for key, value in found(reading).items() if key[0] != COVERAGE}
    if attributes is None:
        assert seen == {key: value for key, value in whole.items() if key[0] != kind}
    else:
        assert seen.keys() == whole.keys()
        for key_, value in whole.items():
            left_out = attributes if key_[0] == kind else []
            assert seen[key_] == {k: v for k, v in value.items() if k not in left_out}


def test_all_that_is_refused_at_once_is_one_gap_a_kind():
    iam = an_account()
    iam.refused = dict.fromkeys(HIDDEN, "AccessDenied")
    missing = gaps(read(iam))
    assert missing.keys() == {kind for kind, _ in HIDDEN.values()}
    assert missing["iam_account"]["attributes"] == ["alias", "root_access_keys", "root_mfa"]
    assert missing["iam_account"]["needs"] == "iam:GetAccountSummary, iam:ListAccountAliases"


@pytest.mark.parametrize("operation", ["GenerateCredentialReport", "GetCredentialReport"])
@pytest.mark.parametrize("code", ["AccessDenied", "Throttling", "ReportInProgress"])
def test_without_the_credential_report_nothing_is_lost(operation, code):
    iam = in_use(6)
    before = snapshot.build(read(iam).objects)
    assert "GetAccessKeyLastUsed" not in iam.asked
    iam.refused, iam.asked = {operation: code}, []
    after = snapshot.build(read(iam).objects)
    assert after.data == before.data
    assert iam.asked.count("GetAccessKeyLastUsed") == 6


def in_use(number, *, made=100, used=1):
    """Users with a key each, of which the report says when they were last used."""
    names = [f"u{index}" for index in range(number)]
    iam = Iam([page(users=[user(name) for name in names])])
    iam.keys = {name: [key(index, days(made))] for index, name in enumerate(names)}
    iam.last_used = {f"AKIA{index:012}": days(used) for index in range(number)}
    iam.report = report(*([name, days(made), days(used)] for name in names))
    return iam


def last_uses(reading):
    return {
        name: said["last_use"]
        for (kind, name), said in found(reading).items()
        if kind == "iam_access_key"
    }


def test_a_key_that_the_report_calls_unused_is_asked_about():
    iam = in_use(6, used=60)
    iam.last_used["AKIA000000000003"] = NOW - timedelta(hours=1)  # since the report
    uses = last_uses(read(iam))
    assert uses.pop("u3 AKIA000000000003") == "within 45 days"
    assert set(uses.values()) == {"over 45 days ago"}
    assert iam.asked.count("GetAccessKeyLastUsed") == 6


def test_a_key_that_was_made_since_the_report_is_seen():
    iam = in_use(6)
    iam.keys["u0"].append(key(99, NOW - timedelta(hours=1)))
    uses = last_uses(read(iam))
    assert uses["u0 AKIA000000000099"] == "never"
    assert iam.asked.count("GetAccessKeyLastUsed") == 1


def test_of_two_keys_of_one_second_the_report_tells_nothing():
    iam = in_use(6)
    iam.keys["u0"].append(key(99, days(100)))
    iam.report = report(
        ["u0", days(100), days(1), days(100), "N/A"],
        *([f"u{index}", days(100), days(1)] for index in range(1, 6)),
    )
    uses = last_uses(read(iam))
    assert uses["u0 AKIA000000000099"] == "never"
    assert iam.asked.count("GetAccessKeyLastUsed") == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b'user,"', b"user,arn\nu0", "not bytes", b'user\n"u0', None],
)
def test_a_report_that_cannot_be_read_tells_nothing(content):
    iam = in_use(6)
    before = snapshot.build(read(iam).objects)
    iam.report = content
    assert snapshot.build(read(iam).objects).data == before.data


def test_for_few_keys_there_is_no_report():
    iam = in_use(3)
    read(iam)
    assert "GenerateCredentialReport" not in iam.asked


def test_a_key_that_goes_while_it_is_read_is_gone():
    iam = an_account()
    iam.last_used["AKIA000000000002"] = "gone"
    assert last_uses(read(iam)) == {"robot AKIA000000000001": "within 45 days"}


def test_a_user_who_goes_while_they_are_read_has_nothing():
    iam = an_account()
    iam.refused = {(operation, "robot"): "NoSuchEntity" for operation in HIDDEN}
    reading = read(iam)
    assert gaps(reading) == {}
    assert last_uses(reading) == {}


def test_one_refused_user_leaves_the_others():
    iam = in_use(6)
    iam.refused = {("ListAccessKeys", "u2"): "AccessDenied"}
    reading = read(iam)
    assert len(last_uses(reading)) == 5
    assert gaps(reading)["iam_access_key"]["partial"] is True


def test_it_goes_on_asking_where_others_are_answered():
    iam = in_use(8)
    iam.refused = {("ListAccessKeys", f"u{number}"): "AccessDenied" for number in (0, 1, 3, 5)}
    assert len(last_uses(read(iam))) == 4


def test_it_does_not_go_on_asking_where_it_is_refused():
    iam = in_use(50)
    iam.refused = {"ListAccessKeys": "AccessDenied", "ListMFADevices": "Throttling"}
    reading = read(iam)
    assert iam.asked.count("ListAccessKeys") == iam_source.GIVE_UP
    assert iam.asked.count("ListMFADevices") == iam_source.GIVE_UP
    assert gaps(reading)["iam_access_key"]["partial"] is False


def test_calls_are_as_few_as_they_can_be():
    iam = in_use(30)
    read(iam)
    counted = {operation: iam.asked.count(operation) for operation in iam.asked}
    per_user = ("ListAccessKeys", "ListMFADevices", "GetLoginProfile")
    assert {counted.pop(operation) for operation in per_user} == {30}
    assert set(counted.values()) == {1}
    assert len(counted) == 9


def test_actions_are_what_is_called():
    iam = in_use(6)
    iam.keys["u0"].append(key(99))
    iam.looks = [[page(users=[*iam.looks[0][0]["UserDetailList"], user("x", attached=[ADMIN])])]]
    iam.policies = {ADMIN: policy(ADMIN, allows("*"))}
    read(iam)
    assert {f"iam:{one}" for one in iam.asked} - {"iam:GetCallerIdentity"} == set(ACTIONS)


# What changes while it is paged.


def dangling():
    return [page(users=[user("ana", attached=[local("new")])])]


def complete():
    return [page(users=[user("ana", attached=[local("new")])], policies=[NEW])]


NEW = policy(local("new"), allows("s3:*"))


def test_a_policy_that_came_while_pages_went_by_is_read_at_the_second_look():
    iam = Iam(dangling(), complete())
    reading = read(iam)
    assert ("iam_policy", "new") in found(reading)
    assert gaps(reading) == {}
    assert iam.asked.count("GetAccountAuthorizationDetails") == 2


@pytest.mark.parametrize("is_there", [True, False])
def test_a_policy_that_is_attached_and_nowhere_is_unknown(is_there):
    iam = Iam(dangling())
    iam.policies = {local("new"): NEW} if is_there else {}
    reading = read(iam)
    assert gaps(reading).keys() == {"iam_policy", "iam_policy_version", "iam_database_access"}
    assert all(gap["partial"] for gap in gaps(reading).values())
    assert ("iam_attachment", "user ana has new") in found(reading)
    assert iam.asked.count("GetAccountAuthorizationDetails") == 2


def test_a_boundary_that_is_nowhere_is_a_fact():
    iam = Iam([page(users=[user("ana", boundary=local("gone"))])])
    reading = read(iam)
    assert gaps(reading) == {}
    assert found(reading)["iam_user", "ana"]["boundary"] == "gone"


def test_a_group_that_is_named_and_nowhere_is_unknown():
    reading = read(Iam([page(users=[user("ana", groups=["new"])])]))
    assert gaps(reading).keys() == {
        "iam_group", "iam_attachment", "iam_inline_policy", "iam_database_access",
    }  # fmt: skip


def test_a_user_on_two_pages_is_read_again():
    iam = Iam([page(users=[user("ana")]), page(users=[user("ana")])], [page(users=[user("ana")])])
    assert gaps(read(iam)) == {}
    iam = Iam([page(users=[user("ana")]), page(users=[user("ana")])])
    assert "iam_user" in gaps(read(iam))


def test_a_role_that_only_the_details_have_hides_its_comment():
    iam = Iam([page(roles=[role("web")])])
    iam._list_roles = lambda **_: {"Roles": []}
    assert gaps(read(iam))["iam_role"]["attributes"] == ["comment", "max_session_seconds"]


@pytest.mark.parametrize("attached", [True, False])
def test_a_policy_of_aws_that_no_page_has_is_asked_for(attached):
    used = {"attached": [ADMIN]} if attached else {"boundary": ADMIN}
    iam = Iam([page(roles=[role("web", **used)])])
    iam.policies = {ADMIN: policy(ADMIN, allows("*"))}
    reading = read(iam)
    assert gaps(reading) == {}
    assert found(reading)["iam_policy", ADMIN]["aws_managed"] is True
    assert iam.asked.count("GetAccountAuthorizationDetails") == 1


@pytest.mark.parametrize("operation", ["GetPolicy", "GetPolicyVersion"])
@pytest.mark.parametrize("code", ["AccessDenied", "Throttling"])
def test_a_policy_of_aws_that_cannot_be_read_is_unknown(operation, code):
    iam = Iam([page(roles=[role("web", attached=[ADMIN])])])
    iam.policies = {ADMIN: policy(ADMIN, allows("*"))}
    iam.refused = {operation: code}
    missing = gaps(read(iam))
    assert missing.keys() == {"iam_policy", "iam_database_access"}
    assert code in missing["iam_policy"]["reason"]


def test_more_late_policies_than_the_bound_are_unknown(monkeypatch):
    monkeypatch.setattr(iam_source, "MAX_LATE", 1)
    other = managed("ReadOnlyAccess")
    iam = Iam([page(roles=[role("web", attached=[ADMIN, other])])])
    iam.policies = {arn: policy(arn, allows("*")) for arn in (ADMIN, other)}
    assert gaps(read(iam)).keys() == {"iam_policy", "iam_database_access"}


# Time and hands.


@pytest.mark.parametrize("seconds", range(16))
def test_time_that_is_over_at_any_call_is_no_gap(seconds):
    iam = an_account()
    clock = iter(range(1_000))  # a second for each call, of which there are sixteen
    asker = Asker(lambda service: iam, monotonic=lambda: next(clock), seconds=seconds)
    with pytest.raises(Overdue):
        source(lambda: asker).read(quiet)
    assert len(iam.asked) == seconds


def test_the_time_of_a_reading_is_by_the_clock_of_aws():
    iam = an_account()
    told = iam._get_caller_identity()
    headers = {"HTTPHeaders": {"date": "Thu, 01 Oct 2026 02:00:07 GMT"}}
    iam._get_caller_identity = lambda: {**told, "ResponseMetadata": headers}
    assert read(iam).read_at == "2026-10-01T02:00:07.000000Z"


def test_who_reaches_databases_is_asked_last_and_of_all():
    given = []

    def reach(objects, databases, reference):
        given.extend(item.key for item in objects)
        return [Object("iam_database_access", "role web", {"certain": True})]

    reading = read(an_account(), reach=reach)
    assert ("iam_database_access", "role web") in found(reading)
    assert sorted(given) == sorted(found(reading).keys() - {("iam_database_access", "role web")})


def test_by_itself_it_finds_who_reaches_databases():
    iam = an_account()
    iam.looks[0][0]["UserDetailList"].append(user("db", inline={"c": allows("rds-db:connect")}))
    reading = IamSource(
        ACCOUNT,
        iam.asker,
        databases=Databases(ACCOUNT),
        reference=packaged(),
        now=lambda: NOW,
    ).read(quiet)
    reaches = [name for kind, name in found(reading) if kind == "iam_database_access"]
    assert reaches == ["user db: rds-db:connect"]


def test_an_answer_of_another_form_is_refused_as_a_whole():
    bad = copy.deepcopy(user("ana"))
    bad["CreateDate"] = "yesterday"
    with pytest.raises(Unsupported, match="CreateDate"):
        read(Iam([page(users=[bad])]))


# Against moto, over HTTP, through botocore.


@pytest.fixture
def served(empty_aws):
    iam = empty_aws.client("iam")
    iam.create_group(GroupName="dba")
    arn = iam.create_policy(
        PolicyName="read",
        PolicyDocument='{"Version": "2012-10-17", "Statement": {"Effect": "Allow", '
        '"Action": "s3:get*", "Resource": "arn:aws:s3:::a%20b/*"}}',
        Description="läßt lesen",
    )["Policy"]["Arn"]
    iam.attach_group_policy(GroupName="dba", PolicyArn=arn)
    for number in range(5):
        iam.create_user(UserName=f"u{number}")
        iam.create_access_key(UserName=f"u{number}")
    iam.add_user_to_group(GroupName="dba", UserName="u0")
    iam.create_login_profile(UserName="u0", Password="Correct-horse-1")
    return empty_aws


def served_source(aws):
    clients = {name: aws.client(name) for name in ("iam", "sts")}
    now = datetime.now(UTC)  # noqa: TID251 - moto's credentials are made now
    return source(lambda: Asker(clients.get, monotonic=lambda: 0.0, seconds=60), now=now)


def test_an_account_is_read_through_botocore(served):
    reading = served_source(served).read(quiet)
    objects = found(reading)
    assert gaps(reading) == {}
    assert objects["iam_policy", "read"]["comment"] == "läßt lesen"
    (statement,) = objects["iam_policy", "read"]["document"]["Statement"]
    assert statement["Action"] == ["s3:get*"]
    assert statement["Resource"] == ["arn:aws:s3:::a%20b/*"]
    assert objects["iam_attachment", "group dba has read"]["policy"] == "read"
    assert objects["iam_membership", "u0 in dba"] == {"of": "iam_user u0", "group": "dba"}
    assert [objects["iam_user", f"u{n}"]["console"] for n in range(5)] == [True] + [False] * 4
    assert list(last_uses(reading).values()) == ["never"] * 5
    assert ("iam_password_policy", "account") not in objects
    again = served_source(served).read(quiet)
    assert snapshot.build(again.objects).data == snapshot.build(reading.objects).data


@pytest.mark.parametrize("most", [1, 2, 7])
def test_pages_over_http_are_one_account(served, most):
    whole = served_source(served).read(quiet)
    served.calls.clear()
    with paged(most):
        reading = served_source(served).read(quiet)
    assert snapshot.build(reading.objects).data == snapshot.build(whole.objects).data
    asked = served.calls.count(("iam", "GetAccountAuthorizationDetails"))
    assert asked == -(-7 // most)  # five users, a group, a policy


@pytest.mark.parametrize("fault", [Fault(403, "AccessDenied"), throttle("iam")])
@pytest.mark.parametrize("operation", ["ListMFADevices", "GetLoginProfile", "ListRoles"])
def test_what_aws_refuses_over_http_is_a_gap(served, operation, fault):
    with served.failing("iam", operation, fault, times=100):
        reading = served_source(served).read(quiet)
    assert gaps(reading).keys() == {HIDDEN[operation][0]}


def test_the_details_refused_over_http_fail_the_reading(served):
    with (
        served.failing("iam", "GetAccountAuthorizationDetails", Fault(403, "AccessDenied")),
        pytest.raises(NotPermitted, match="GetAccountAuthorizationDetails"),
    ):
        served_source(served).read(quiet)
