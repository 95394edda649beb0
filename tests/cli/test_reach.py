"""Who can reach databases, of the last scan; and the findings that are about them."""

from __future__ import annotations

import pytest
from support.desk import MemorySource

from chalicelib import settings, wiring
from chalicelib.drift import approval
from chalicelib.drift.iam.reach import Databases, reach
from chalicelib.drift.iam.reference import packaged
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import Object, build, unreadable
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Unreachable
from chalicelib.kernel.record import Actor

A = "123456789012"
ANA = Actor("person:ana", "asserted")


def policy(**statement):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


def role(name, action, *, boundary=None):
    trust = policy(Principal={"AWS": [f"arn:aws:iam::{A}:user/al"]}, Action=["sts:assumerole"])
    more = {"boundary": boundary} if boundary else {}
    return [
        Object("iam_role", name, {"path": "/", "trust": trust, **more}),
        Object(
            "iam_attachment",
            f"role {name} has {name}-p",
            {"of": f"iam_role {name}", "policy": f"{name}-p"},
        ),
        Object(
            "iam_policy",
            f"{name}-p",
            {"path": "/", "document": policy(Action=[action], Resource=["*"])},
        ),
    ]


ACCOUNT = [
    Object("iam_user", "al", {"path": "/"}),
    Object("iam_user", "bo", {"path": "/"}),
    *role("app", "rds-db:connect"),
    *role("web", "s3:getobject"),
]


class Desk:
    """An installation with one account, whose objects are put there by hand."""

    def __init__(self, run):
        run("init")
        run("target", "add", "us", "--kind", "iam", "--account", A, "--approvals", "0")
        run("target", "add", "orders", "--dsn-env", "ORDERS_DSN")
        self.desk = wiring.connect(settings.load(run.home / "holdfast.toml")).desk
        self.target = settings.load(run.home / "holdfast.toml").target("us")

    def whole(self, objects):
        return [*objects, *reach(objects, Databases(A), packaged())]

    def sign(self, objects):
        now = timestamp(self.desk.clock.now())
        taken = build(self.whole(objects))
        approval.propose(
            self.desk, self.target, taken, identity="database memory", read_at=now, actor=ANA
        )

    def scan(self, objects, error=None):
        source = MemorySource(self.desk.clock, objects)
        source.error = error
        scan(self.desk, self.target, source, actor=ANA, progress=lambda *_: None)

    def fail(self):
        self.scan([], Unreachable("AWS did not answer"))

    @property
    def last(self):
        return self.desk.states.get("iam:us").last_scan


@pytest.fixture
def account(holdfast):
    return Desk(holdfast)


def test_it_lists_who_by_what_through_whom(holdfast, account):
    account.sign(ACCOUNT)
    account.scan(account.whole(ACCOUNT))
    found = holdfast("access", "reach", "us", "--json").json
    assert found["complete"] is True
    assert found["who"] == [
        {"who": "role app", "by": "rds-db:connect", "through": [], "certain": True},
        {"who": "user al", "by": "rds-db:connect", "through": ["app"], "certain": True},
    ]
    lines = holdfast("access", "reach", "iam:us")
    assert "role app" in lines.out
    assert "role web" not in lines.out
    assert "logs in to a database with a token of IAM" in lines.err
    assert "2 principals, 2 ways" in lines.err


def test_a_row_is_a_way(holdfast, account):
    more = [*ACCOUNT, *role("dba", "rds:modifydbinstance")]
    account.sign(more)
    account.scan(account.whole(more))
    answer = holdfast("access", "reach", "us")
    assert [" ".join(line.split()) for line in answer.out.splitlines()] == [
        "role app rds-db:connect itself yes",
        "role dba rds: change itself yes",
        "user al rds-db:connect app yes",
        "user al rds: change dba yes",
    ]
    assert "3 principals, 4 ways" in answer.err
    assert "changes an instance or cluster" in answer.err


def test_what_only_the_context_decides_is_maybe(holdfast, account):
    where = {"Bool": {"aws:multifactorauthpresent": ["true"]}}
    statement = policy(Action=["rds-db:connect"], Resource=["*"], Condition=where)
    inline = Object("iam_inline_policy", "user bo: p", {"of": "iam_user bo", "document": statement})
    objects = [ACCOUNT[1], inline]
    account.sign(objects)
    account.scan(account.whole(objects))
    assert "maybe" in holdfast("access", "reach", "us").out
    assert holdfast("access", "reach", "us", "--json").json["who"][0]["certain"] is False


def test_nobody_is_a_good_answer(holdfast, account):
    objects = ACCOUNT[:2]
    account.sign(objects)
    account.scan(account.whole(objects))
    assert holdfast("access", "reach", "us", "--json").json["who"] == []
    assert "0 principals, 0 ways" in holdfast("access", "reach", "us").err


def test_gaps_are_said_and_are_no_good_answer(holdfast, account):
    account.sign(ACCOUNT)
    gap = unreadable("iam_policy", reason="AccessDenied", needs="iam:GetPolicyVersion")
    account.scan([*account.whole(ACCOUNT), gap])
    answer = holdfast("access", "reach", "us", expect=3)
    assert "iam:GetPolicyVersion" in answer.err
    assert "somebody may be left out" in answer.err
    assert "role app" in answer.out
    answer = holdfast("access", "reach", "us", "--json", expect=3)
    assert answer.json["complete"] is False
    assert [one["kind"] for one in answer.json["gaps"]] == ["iam_policy"]


def test_gaps_in_what_does_not_matter_are_none(holdfast, account):
    account.sign(ACCOUNT)
    gaps = [
        unreadable("iam_password_policy", reason="AccessDenied", needs="x"),
        unreadable("iam_role", reason="x", needs="x", partial=True, attributes=["comment"]),
    ]
    account.scan([*account.whole(ACCOUNT), *gaps])
    assert holdfast("access", "reach", "us", "--json").json["complete"] is True


def test_without_a_scan_nobody_can_tell(holdfast, account):
    del account
    answer = holdfast("access", "reach", "us", expect=3)
    assert "iam:us was never scanned" in answer.err
    assert "holdfast scan us" in answer.err


def test_after_a_scan_that_failed_nobody_can_tell(holdfast, account):
    account.sign(ACCOUNT)
    account.fail()
    answer = holdfast("access", "reach", "us", expect=3)
    first = account.last
    assert f"the last scan of iam:us, at {first.at}, could not read the account" in answer.err
    assert "none ever did" in answer.err
    assert "holdfast drift ls us" in answer.err
    account.scan(account.whole(ACCOUNT))
    read_at = holdfast("access", "reach", "us", "--json").json["read_at"]
    account.fail()
    answer = holdfast("access", "reach", "us", expect=3)
    assert account.last.at != first.at
    assert f"at {account.last.at}, could not read the account" in answer.err
    assert f"the last one that did is of {read_at}" in answer.err
    assert answer.out == ""
    assert read_at in holdfast("drift", "ls", "us", "--reach", expect=3).err


def test_a_scan_by_an_older_program_is_made_again(holdfast, account):
    old = {"by": ["rds-db:connect"], "through": [], "certain": True}
    account.sign(ACCOUNT)
    account.scan([*ACCOUNT, Object("iam_database_access", "role app", old)])
    answer = holdfast("access", "reach", "us", expect=3)
    assert "an older Holdfast" in answer.err
    assert "holdfast scan us" in answer.err


def test_a_database_is_no_account(holdfast, account):
    del account
    answer = holdfast("access", "reach", "orders", expect=2)
    assert "postgres:orders is no AWS account" in answer.err
    assert "of these: us" in answer.err


def test_a_target_that_is_not_there_is_said_with_those_that_are(holdfast, account):
    del account
    for text in ("uk", "iam:uk", "iam:orders"):
        answer = holdfast("access", "reach", text, expect=2)
        assert f"no target {text}; configured: orders, us" in answer.err
        assert "of these: us" in answer.err
        assert "--dsn-env" not in answer.err


def test_of_many_accounts_some_are_named(holdfast, account):
    del account
    for name in "abcde":
        holdfast("target", "add", name, "--kind", "iam", "--account", A)
    assert "of these: a, b, c, d, e, …" in holdfast("access", "reach", "orders", expect=2).err


def test_without_an_account_it_is_said_how_to_add_one(holdfast):
    holdfast("init")
    holdfast("target", "add", "orders", "--dsn-env", "ORDERS_DSN")
    for text in ("orders", "us"):
        answer = holdfast("access", "reach", text, expect=2)
        assert "holdfast target add NAME --kind iam --account" in answer.err


def test_a_snapshot_that_was_changed_is_refused(holdfast, account):
    account.sign(ACCOUNT)
    account.scan([*account.whole(ACCOUNT), Object("iam_user", "cy", {"path": "/"})])
    last = account.desk.states.get("iam:us").last_scan
    (path,) = (
        one for one in holdfast.home.rglob("*") if one.is_file() and last.snapshot in str(one)
    )
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"cy", b"dy"))
    assert "another one" in holdfast("access", "reach", "us", expect=1).err


def rows(holdfast, *words):
    found = holdfast("drift", "ls", *words, "--reach", "--json").json
    return {f"{one['operation']} {one['kind']} {one['name']}" for one in found}


def test_findings_about_who_reaches(holdfast, account):
    account.sign(ACCOUNT)
    more = [
        one.having({**one.attributes, "comment": "x"})
        if one.key in {("iam_role", "app"), ("iam_role", "web")}
        else one
        for one in ACCOUNT
    ]
    more += role("new", "rds:modifydbinstance", boundary="b")
    more += [Object("iam_policy", "b", {"path": "/", "document": policy(Action="*", Resource="*")})]
    account.scan(account.whole(more))
    everything = holdfast("drift", "ls", "us", "--json").json
    assert any(one["name"] == "web" for one in everything)
    assert rows(holdfast, "us") == {
        "altered iam_role app",
        "added iam_database_access user al: rds: change",
        "added iam_database_access role new: rds: change",
        "added iam_role new",
        "added iam_attachment role new has new-p",
        "added iam_policy new-p",
        "added iam_policy b",
    }
    assert rows(holdfast) == rows(holdfast, "us")


def trusted_by(objects, name, whom):
    trust = policy(Principal={"AWS": [f"arn:aws:iam::{A}:{whom}"]}, Action=["sts:assumerole"])
    return [
        one.having({**one.attributes, "trust": trust}) if one.key == ("iam_role", name) else one
        for one in objects
    ]


def test_another_chain_to_the_same_is_for_the_record(holdfast, account):
    account.sign(ACCOUNT)
    account.scan(account.whole(trusted_by(ACCOUNT, "app", "role/web")))
    told = {
        (one["operation"], one["name"], one["attribute"]): (
            one["direction"],
            one["severity"],
            one["title"],
        )
        for one in holdfast("drift", "ls", "us", "--reach", "--json").json
        if one["kind"] == "iam_database_access"
    }
    assert told == {
        ("altered", "user al: rds-db:connect", "through"): (
            "neutral",
            "info",
            "Reaches a database by other roles",
        ),
        ("added", "role web: rds-db:connect", ""): (
            "widens",
            "high",
            "Somebody can reach the databases",
        ),
    }


def test_findings_of_what_is_gone_and_of_gaps(holdfast, account):
    guard = Object(
        "iam_inline_policy",
        "role app: guard",
        {"of": "iam_role app", "document": policy(Action=["s3:*"], Resource=["*"])},
    )
    account.sign([*ACCOUNT, guard])
    gaps = [
        unreadable("iam_group", reason="x", needs="x"),
        unreadable("iam_access_key", reason="x", needs="x"),
    ]
    account.scan([*account.whole(ACCOUNT), *gaps])
    assert len(holdfast("drift", "ls", "us", "--json").json) == 3
    assert rows(holdfast, "us") == {
        "removed iam_inline_policy role app: guard",
        "unreadable coverage iam_group",
    }


def test_over_the_api_it_is_refused(holdfast, account, monkeypatch):
    del account
    monkeypatch.setenv("HOLDFAST_TOKEN", "x")
    answer = holdfast("--api", "http://127.0.0.1:1", "access", "reach", "us", expect=2)
    assert "where the store is" in answer.err
