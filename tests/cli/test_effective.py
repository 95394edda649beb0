"""Who may do what, of the last scan or of the baseline, on a real database."""

from __future__ import annotations

import pytest

SELECT = "alice: select on table public.orders, through analysts (inherits), granted by postgres"


@pytest.fixture
def granted(shop, database):
    """The shop with a group that may read, a member of it, and a baseline of that; scanned."""
    database.run(
        "CREATE ROLE analysts",
        "CREATE ROLE alice LOGIN",
        "CREATE ROLE bo LOGIN",
        'CREATE ROLE "Mixed Case"',
        "GRANT analysts TO alice",
        "GRANT SELECT ON orders TO analysts",
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
    )
    shop("--as", "ana", "baseline", "propose", "orders", "--comment", "go live")
    shop("--as", "ben", "baseline", "approve", "orders")
    shop("--as", "chloe", "baseline", "approve", "orders")
    shop("scan", "orders")
    return shop


def test_lines_say_who_may_what_and_how(granted):
    answer = granted("drift", "effective", "orders", "--role", "alice", "--privilege", "select")
    assert answer.out.splitlines() == [SELECT]
    assert "1 line, as read at" in answer.err
    answer = granted("drift", "effective", "orders", "--object", "table public.orders")
    assert SELECT in answer.out
    assert "postgres: select on table public.orders, as superuser" in answer.out
    assert granted("drift", "effective", "orders", "--object", "public.orders").out == answer.out
    found = granted("drift", "effective", "orders", "--role", "Mixed Case", "--object", "cluster")
    assert found.out == ""


def test_json_has_the_ways_and_pages(granted):
    found = granted("drift", "effective", "orders", "--role", "alice", "--json").json
    assert found["complete"] is True
    assert found["next"] is None
    [right] = [one for one in found["rights"] if one["name"] == "public.orders"]
    assert right == {
        "grantee": "alice",
        "kind": "table",
        "name": "public.orders",
        "privilege": "select",
        "how": "has",
        "grantable": False,
        "ways": [
            {"through": [{"role": "analysts", "by": "inherits"}], "by": "granted by postgres"}
        ],
        "needs": [],
        "notes": [],
    }
    rights = found["rights"]
    words = ("drift", "effective", "orders", "--role", "alice", "--limit", "1", "--json")
    pages = [granted(*words, "--skip", place).json for place in range(len(rights))]
    assert [one for page in pages for one in page["rights"]] == rights
    assert [page["next"] for page in pages] == [*range(1, len(rights)), None]


def test_more_lines_than_the_limit_are_said_to_be_there(granted):
    answer = granted("drift", "effective", "orders", "--limit", "2")
    assert len(answer.out.splitlines()) == 2
    assert "there are more: --skip 2" in answer.err


def test_the_baseline_is_what_people_signed_for(granted, database):
    database.run("GRANT SELECT ON orders TO bo")
    granted("scan", "orders", expect=1)
    words = ("drift", "effective", "orders", "--role", "bo", "--object", "table public.orders")
    assert "granted by postgres" in granted(*words).out
    assert granted(*words, "--baseline").out == ""


def test_a_finding_says_what_it_comes_to(granted, database):
    database.run("GRANT analysts TO bo", "GRANT SELECT ON orders TO alice")
    granted("scan", "orders", expect=1)
    found = {one["name"]: one for one in granted("drift", "ls", "--json").json}
    assert found["bo in analysts"]["meaning"] == {
        "verdict": "widened",
        "reasons": ["bo gains select on table public.orders"],
    }
    again = found["table public.orders to alice"]
    assert (again["direction"], again["severity"]) == ("neutral", "info")
    shown = granted("drift", "show", found["bo in analysts"]["id"])
    assert "bo gains select on table public.orders" in shown.out
    assert granted("evidence", "fsck").code == 0


def test_what_is_not_there_is_refused(granted):
    assert (
        "no role nobody"
        in granted("drift", "effective", "orders", "--role", "nobody", expect=2).err
    )
    words = ("drift", "effective", "orders", "--object")
    assert "no object table x" in granted(*words, "table x", expect=2).err
    found = granted(*words, "table public.orders", "--privilege", "execute", expect=2)
    assert "no privilege execute on table public.orders" in found.err
    granted("target", "add", "us", "--kind", "iam", "--account", "123456789012")
    assert "is no PostgreSQL database" in granted("drift", "effective", "iam:us", expect=2).err


def test_without_a_scan_nobody_can_tell(shop):
    assert "was never scanned" in shop("drift", "effective", "orders", expect=3).err


def test_what_could_not_be_read_is_said_with_exit_3(shop, database, monkeypatch):
    database.run(
        "CREATE ROLE watcher LOGIN PASSWORD 'w'",
        "GRANT pg_read_all_settings TO watcher",
        "REVOKE SELECT ON pg_auth_members FROM PUBLIC",
    )
    monkeypatch.setenv("ORDERS_DSN", database.as_role("watcher", "w"))
    shop("scan", "orders", expect=None)
    answer = shop("drift", "effective", "orders", "--role", "watcher", expect=3)
    assert "membership" in answer.err
    assert "something may be left out" in answer.err
    assert shop("drift", "effective", "orders", "--json", expect=3).json["complete"] is False
