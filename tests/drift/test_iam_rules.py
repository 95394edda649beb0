"""The shipped rules of an AWS account, row by row, as changes come with their meanings."""

# ruff: noqa: E501 - a row is a line

from __future__ import annotations

import pytest
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
    role,
    user,
)

from chalicelib.drift.diff import Operation, diff
from chalicelib.drift.finding import When, encode, find
from chalicelib.drift.iam.actions import Index
from chalicelib.drift.iam.compare import Widening
from chalicelib.drift.judge import Direction, Severity, judge, load
from chalicelib.drift.meaning import Meaning, Meanings
from chalicelib.drift.snapshot import Object, build

RULES = load()
W, N, X, B, U = Direction
CRITICAL, HIGH, MEDIUM, LOW, INFO = Severity


class Shelf:
    actions = ("iam:PassRole", "s3:GetObject", "s3:PutObject", "sts:AssumeRole")
    date = "2026-11-01"


INDEX = Index(Shelf())
GET, PUT, ALL = allow("s3:GetObject"), allow("s3:PutObject"), allow("*")
ODD = allow("s3:GetObject", Flavour="new")
NEVER = {
    "Condition": {"StringEquals": {"aws:username": "a"}, "StringNotEquals": {"aws:username": "a"}}
}
NOTHING = allow("s3:GetObject", **NEVER)
APP, BOB, TEAM = role("app"), user("bob"), group("team")
HAS = [APP, attached("role app", "p")]


def one(kind, name, **attributes):
    return Object(f"iam_{kind}", name, attributes)


def key(**more):
    said = {"status": "Active", "age": "up to 90 days", "last_use": "never", "of": "iam_user bob"}
    return one("access_key", "bob AKIAXXXXXXXXXXXXXXXX", **{**said, **more})


def root(**more):
    return Object("iam_account", ACCOUNT, {"root_mfa": True, "root_access_keys": False, **more})


def rules(**more):
    said = {"minimum_length": 14, "require_symbols": True, "max_age_days": 90, **more}
    said = {name: value for name, value in said.items() if value is not None}
    return one("password_policy", "account", **said)


def x(*statements, **more):
    return inline("role app", "x", *statements, **more)


MFA = one("mfa_device", "bob arn:aws:iam::1:mfa/bob", of="iam_user bob")
PROFILE = one("instance_profile", "web", path="/", roles=["app"])


def reaches(who="role app", **more):
    said = {"who": who, "by": "rds-db:connect", "through": [], "certain": False, **more}
    return one("database_access", f"{who}: {said['by']}", **said)


V2 = one("policy_version", "p v2", sha256="0" * 64, of="iam_policy p")

# before, after: direction, severity, rule
ROWS = [
    # Policies
    ([*HAS, managed("p", GET)], [*HAS, managed("p", ALL)], W, CRITICAL, "iam.administrator"),
    ([*HAS, managed("p", GET)], [*HAS, managed("p", GET, PUT)], W, HIGH, "iam.policy"),
    ([*HAS, managed("p", GET)], [*HAS, managed("p", PUT)], B, HIGH, "iam.policy"),
    ([*HAS, managed("p", GET)], [*HAS, managed("p", ODD)], U, HIGH, "iam.undecided"),
    ([*HAS, managed("p", GET, PUT)], [*HAS, managed("p", GET)], N, LOW, "iam.narrows"),
    ([*HAS, managed("p", GET)], [*HAS, managed("p", GET, GET)], None, None, None),
    ([*HAS, managed("p", GET, allow("s3:Get*", "arn:aws:s3:::a"))], [*HAS, managed("p", GET)], X, INFO, "iam.neutral"),
    ([managed("p", GET)], [managed("p", ALL)], W, MEDIUM, "iam.unattached"),
    ([managed("p", GET)], [managed("p", PUT)], B, MEDIUM, "iam.unattached"),
    ([managed("p", GET)], [managed("p", ODD)], U, MEDIUM, "iam.unattached.undecided"),
    ([], [managed("p", ALL)], X, INFO, "iam.neutral.added"),
    ([managed("p", ALL)], [], X, INFO, "iam.neutral.removed"),
    ([APP], [APP, x(NOTHING)], X, INFO, "iam.neutral.added"),
    ([APP, x(NOTHING)], [APP], X, INFO, "iam.neutral.removed"),
    ([APP, x(NOTHING)], [APP, x(NOTHING, allow("s3:*", **NEVER))], X, INFO, "iam.neutral"),
    ([managed("p", GET)], [managed("p", GET, comment="x")], X, INFO, "comment"),
    ([APP], [APP, x(GET)], W, HIGH, "iam.policy"),
    ([APP], [APP, x(ALL)], W, CRITICAL, "iam.administrator"),
    ([APP, x(GET)], [APP], N, LOW, "iam.narrows"),
    ([APP, x(GET, deny("iam:*"))], [APP], B, HIGH, "iam.policy"),
    ([APP], [APP, x(GET, document="{", unparsed=True)], U, HIGH, "iam.undecided"),
    # Who has them
    ([APP, managed("p", GET)], [*HAS, managed("p", GET)], W, HIGH, "iam.given"),
    ([APP, managed("p", ALL)], [*HAS, managed("p", ALL)], W, CRITICAL, "iam.administrator"),
    ([*HAS, managed("p", GET)], [APP, managed("p", GET)], N, LOW, "iam.narrows"),
    ([*HAS, managed("p", deny("iam:*"))], [APP, managed("p", deny("iam:*"))], W, HIGH, "iam.given"),
    ([APP], HAS, U, HIGH, "iam.undecided"),
    ([BOB, TEAM], [BOB, TEAM, member("bob", "team")], X, INFO, "iam.neutral.joined"),
    ([BOB, TEAM, member("bob", "team")], [BOB, TEAM], X, INFO, "iam.neutral.left"),
    ([BOB, TEAM, inline("group team", "x", NOTHING)], [BOB, TEAM, inline("group team", "x", NOTHING), member("bob", "team")], X, INFO, "iam.neutral.joined"),
    ([BOB, TEAM, inline("group team", "x", deny("iam:*"))], [BOB, TEAM, inline("group team", "x", deny("iam:*")), member("bob", "team")], N, LOW, "iam.narrows"),
    ([APP, managed("p", NOTHING)], [*HAS, managed("p", NOTHING)], X, INFO, "iam.neutral.attached"),
    ([*HAS, managed("p", NOTHING)], [APP, managed("p", NOTHING)], X, INFO, "iam.neutral.detached"),
    ([BOB, TEAM, inline("group team", "x", GET)], [BOB, TEAM, inline("group team", "x", GET), member("bob", "team")], W, HIGH, "iam.given"),
    ([BOB], [BOB, TEAM], X, LOW, "iam.rest"),
    # Boundaries
    ([managed("b", GET), role("app", boundary="b")], [managed("b", GET), APP], W, HIGH, "iam.boundary"),
    ([managed("b", GET), BOB], [managed("b", GET), user("bob", boundary="b")], N, LOW, "iam.narrows"),
    ([managed("b", ALL), BOB], [managed("b", ALL), user("bob", boundary="b")], X, INFO, "iam.neutral.role"),
    ([user("bob", boundary="gone")], [BOB], U, HIGH, "iam.boundary.undecided"),
    # Roles
    ([], [APP], W, MEDIUM, "iam.role.added"),
    ([], [role("app", "*")], W, CRITICAL, "iam.trust.everyone"),
    ([], [role("app", {"AWS": OTHER})], W, HIGH, "iam.trust.outside"),
    ([APP], [], N, LOW, "iam.narrows"),
    ([APP], [role("app", "*")], W, CRITICAL, "iam.trust.everyone"),
    ([APP], [role("app", {"AWS": [ACCOUNT, OTHER]})], W, HIGH, "iam.trust.outside"),
    ([APP], [role("app", {"Service": "ec2.amazonaws.com"})], B, HIGH, "iam.trust"),
    ([APP], [role("app", trust="{", unparsed=True)], U, HIGH, "iam.trust.undecided"),
    ([role("app", {"AWS": [ACCOUNT, OTHER]})], [APP], N, LOW, "iam.narrows"),
    ([APP], [role("app", tags={"team": "a"})], U, MEDIUM, "iam.tags"),
    ([role("app", created="a")], [role("app", created="b")], X, MEDIUM, "iam.anew"),
    ([role("app", max_session_seconds=3600)], [role("app", max_session_seconds=43200)], W, MEDIUM, "iam.widens"),
    ([role("app", path="/a/")], [role("app", path="/b/")], U, MEDIUM, "iam.path"),
    # Users and what they come in with
    ([], [BOB], W, MEDIUM, "iam.user.added"),
    ([BOB], [], N, LOW, "iam.narrows"),
    ([BOB], [user("bob", console=True)], W, MEDIUM, "iam.console"),
    ([BOB], [BOB, key()], W, HIGH, "iam.key.added"),
    ([BOB], [BOB, key(status="Inactive")], W, MEDIUM, "iam.key.inactive"),
    ([BOB, key()], [BOB], N, LOW, "iam.narrows"),
    ([key(status="Inactive")], [key()], W, HIGH, "iam.key.status"),
    ([key()], [key(status="Inactive")], N, LOW, "iam.narrows"),
    ([key()], [key(age="over 90 days")], W, MEDIUM, "iam.key.age"),
    ([key(last_use="within 45 days")], [key(last_use="over 45 days ago")], W, LOW, "iam.key.last_use"),
    ([key()], [key(last_use="within 45 days")], X, LOW, "iam.rest"),
    ([BOB, MFA], [BOB], W, HIGH, "iam.mfa"),
    ([BOB], [BOB, MFA], U, MEDIUM, "iam.mfa.added"),
    ([root()], [root(root_access_keys=True)], W, CRITICAL, "iam.root.keys"),
    ([root()], [root(root_mfa=False)], W, CRITICAL, "iam.root.mfa"),
    ([rules()], [], W, HIGH, "iam.password"),
    ([], [rules()], U, MEDIUM, "iam.password.added"),
    ([rules(users_may_change=False)], [rules(users_may_change=True)], W, MEDIUM, "iam.password.own"),
    ([rules(hard_expiry=True)], [rules(hard_expiry=False)], W, HIGH, "iam.password"),
    ([rules()], [rules(minimum_length=8)], W, HIGH, "iam.password"),
    ([rules()], [rules(require_symbols=False)], W, HIGH, "iam.password"),
    ([rules()], [rules(max_age_days=None)], W, HIGH, "iam.password"),
    ([rules()], [rules(max_age_days=30)], N, LOW, "iam.narrows"),
    ([rules(reuse_prevention=5)], [rules()], W, HIGH, "iam.password"),
    # The rest
    ([], [reaches()], W, HIGH, "iam.database"),
    ([reaches()], [reaches(), reaches(by="rds: change")], W, HIGH, "iam.database"),
    ([], [reaches(certain=True)], W, HIGH, "iam.database"),
    ([], [reaches("account 999999999999", certain=True)], W, HIGH, "iam.database"),
    ([], [reaches("everybody", certain=True)], W, CRITICAL, "iam.database.everybody"),
    ([], [reaches("everybody")], W, HIGH, "iam.database"),
    ([reaches("everybody")], [reaches("everybody", certain=True)], W, CRITICAL, "iam.database.everybody"),
    ([reaches()], [], N, LOW, "iam.database.gone"),
    ([reaches("everybody", certain=True)], [], N, LOW, "iam.database.gone"),
    ([reaches()], [reaches(certain=True)], W, HIGH, "iam.database.certain"),
    ([reaches(certain=True)], [reaches()], N, LOW, "iam.database.uncertain"),
    ([reaches()], [reaches(through=["web"])], X, INFO, "iam.database.through"),
    ([reaches(through=["a", "b"])], [reaches(through=["web"])], X, INFO, "iam.database.through"),
    ([reaches("everybody", certain=True)], [reaches("everybody", certain=True, through=["a"])], X, INFO, "iam.database.through"),
    ([managed("p", GET), V2], [managed("p", GET)], X, INFO, "iam.version"),
    ([managed("p", GET)], [managed("p", GET, default_version="v9")], X, INFO, "iam.policy.version"),
    ([], [PROFILE], W, MEDIUM, "iam.widens"),
    ([PROFILE], [one("instance_profile", "web", path="/", roles=["app", "b"])], W, MEDIUM, "iam.widens"),
]  # fmt: skip


def judged(before, after):
    sides = [
        build([*([] if any(one.kind == "iam_account" for one in side) else [account()]), *side])
        for side in (before, after)
    ]
    meanings = Meanings(*sides, INDEX)
    return [
        (change, meaning, judge(change, RULES, meaning))
        for change in diff(*sides)
        for meaning in [meanings.of(change)]
    ]


@pytest.mark.parametrize(
    ("before", "after", "direction", "severity", "rule"),
    ROWS,
    ids=[f"{number}-{row[4]}" for number, row in enumerate(ROWS, 1)],
)
def test_shipped_rules_say_what_a_change_of_an_account_means(
    before, after, direction, severity, rule
):
    found = [one for change, _, one in judged(before, after) if change.attribute != "unparsed"]
    if rule is None:
        assert found == []
        return
    [found] = found
    assert (found.direction, found.severity, found.rule) == (direction, severity, rule)


def test_no_rule_and_no_direction_of_an_account_is_dead():
    all_judged = [one for row in ROWS for _, _, one in judged(*row[:2])]
    used = {one.rule for one in all_judged}
    ordered = {one.ordering for one in all_judged}
    assert {one.id for one in RULES.rules if one.id.startswith("iam.")} - used == set()
    assert {one.id for one in RULES.directions if one.id.startswith("iam.")} - ordered == set()


def test_undecided_is_never_lower_than_widened():
    """Whatever a meaning is of: the same change, widened and undecided."""
    for row in ROWS:
        for change, meaning, found in judged(*row[:2]):
            if meaning is None or found.direction not in {W, B}:
                continue
            told = {name: value for name, value in meaning.facts.items() if name == "attached"}
            low, high = (
                judge(change, RULES, Meaning(verdict, facts=told))
                for verdict in (meaning.verdict, Widening.UNDECIDED)
            )
            assert high.severity >= low.severity, (change, low, high)
            assert high.direction is U


def test_users_rules_that_widen_hold_for_both():
    mine = load(
        '[[rule]]\nid = "a"\nkind = "iam_*"\ndirection = "widens"\nseverity = "info"\ntitle = "t"',
        '[[rule]]\nid = "b"\nkind = "iam_*"\ndirection = "both"\nseverity = "low"\ntitle = "t"',
    )
    only = load(
        '[[rule]]\nid = "b"\nkind = "iam_*"\ndirection = "both"\nseverity = "low"\ntitle = "t"'
    )
    [(change, meaning, _)] = judged([APP, x(GET)], [APP, x(PUT)])
    assert judge(change, mine, meaning).rule == "a"
    assert judge(change, only, meaning).rule == "b"
    [(change, meaning, _)] = judged([APP], [APP, x(PUT)])
    assert judge(change, only, meaning).rule == "iam.policy"


def test_opposites():
    assert [one.opposite for one in Direction] == [N, W, X, B, U]


def test_a_finding_has_its_meaning_and_leaves_out_none():
    [(change, meaning, judgement)] = judged([APP, x(GET)], [APP, x(PUT)])
    found = find("iam:prod", change, judgement, When(not_after=""), meaning)
    encoded = encode(found)["meaning"]
    assert encoded["verdict"] == "both"
    assert encoded["reference_date"] == "2026-11-01"
    assert encoded["facts"] == {"attached": True}
    assert any("s3:PutObject on " in one for one in encoded["reasons"])
    assert "meaning" not in encode(find("iam:prod", change, judgement, When(not_after="")))


@pytest.mark.parametrize(
    "child", [key(), member("bob", "team"), attached("user bob", "p"), inline("user bob", "x", GET)]
)
def test_what_gives_a_new_user_something_is_a_finding_of_its_own(child):
    rest = [account(), TEAM, managed("p", GET)]
    found = diff(build(rest), build([*rest, BOB, child]))
    assert {(one.kind, one.operation) for one in found} == {
        ("iam_user", Operation.ADDED),
        (child.kind, Operation.ADDED),
    }
    [gone] = diff(build([*rest, BOB, child]), build(rest))
    assert gone.parts == (child.key,)
