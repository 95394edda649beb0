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

    def scan(self, objects):
        source = MemorySource(self.desk.clock, objects)
        scan(self.desk, self.target, source, actor=ANA, progress=lambda *_: None)


@pytest.fixture
def account(holdfast):
    return Desk(holdfast)


def test_it_lists_who_by_what_through_whom(holdfast, account):
    account.sign(ACCOUNT)
    account.scan(account.whole(ACCOUNT))
    found = holdfast("access", "reach", "us", "--json").json
    assert found["complete"] is True
    assert found["who"] == [
        {"name": "role app", "by": ["rds-db:connect"], "through": [], "certain": True},
        {"name": "user al", "by": ["rds-db:connect"], "through": ["app"], "certain": True},
    ]
    lines = holdfast("access", "reach", "iam:us")
    assert "role app" in lines.out
    assert "role web" not in lines.out
    assert "logs in to a database with a token of IAM" in lines.err
    assert "2 principals" in lines.err


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
    assert "0 principals" in holdfast("access", "reach", "us").err


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
    assert "holdfast scan us" in holdfast("access", "reach", "us", expect=3).err


def test_a_database_is_no_account(holdfast, account):
    del account
    assert "no AWS account" in holdfast("access", "reach", "orders", expect=2).err


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
        one._replace(attributes={**one.attributes, "comment": "x"})
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
        "altered iam_database_access user al",
        "added iam_database_access role new",
        "added iam_role new",
        "added iam_attachment role new has new-p",
        "added iam_policy new-p",
        "added iam_policy b",
    }
    assert rows(holdfast) == rows(holdfast, "us")


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
