"""Who holds what, since when, used when; and what a target needs before anything is leased."""

from __future__ import annotations

import psycopg
import pytest

from chalicelib.access import issue


def sign(run):
    """A baseline of the database as it is now."""
    run("--as", "ana", "baseline", "propose", "orders")
    run("--as", "ben", "baseline", "approve", "orders")
    run("--as", "chloe", "baseline", "approve", "orders")


def test_a_review_says_who_holds_what_since_when_and_how_it_was_used(leased, ask):
    held, gone, open_one = ask(approved=True), ask(approved=True), ask()
    for one in (held, gone):
        leased("--as", "ana", "creds", one)
    leased("--as", "ana", "creds", held)
    leased("--as", "ana", "revoke", gone)
    found = leased("access", "review", "orders", "--json").json
    assert [one["id"] for one in found["leases"]] == [held, gone]
    assert [one["id"] for one in found["requests"]] == [open_one]
    first, second = found["leases"]
    assert (first["phase"], first["lease"]["claims"]) == ("active", 2)
    assert (second["phase"], second["lease"]["sessions_ended"]) == ("ended", 0)
    assert [one["by"] for one in first["approvals"]] == ["ben"]
    assert found["complete"] is True
    answer = leased("access", "review", "orders")
    for part in ("person:ana", "read-clear", "claimed 2 times", "ben", "INC-481 refund bug", gone):
        assert part in answer.out
    assert "1 request that may still become a lease" in answer.err


def test_sessions_that_its_end_found_are_counted(leased, ask, database):
    asked = ask(approved=True)
    fields = leased("--as", "ana", "creds", asked, "--json").json["fields"]
    with psycopg.connect(database.as_role(fields["user"], fields["password"])):
        leased("--as", "ana", "revoke", asked)
    assert "1 session open at its end" in leased("access", "review", "orders").out


def test_standing_roles_are_those_that_log_in_without_a_lease(leased, ask, database):
    sign(leased)
    asked = ask(approved=True)
    leased("--as", "ana", "creds", asked)
    role = leased("--as", "ana", "show", asked, "--json").json["lease"]["role"]
    database.run(
        "CREATE ROLE reports LOGIN PASSWORD 'x'",
        "CREATE ROLE staff NOLOGIN",
        "GRANT staff TO reports",
        'CREATE ROLE "e|vil\n<b>" LOGIN BYPASSRLS',
        "CREATE ROLE stray LOGIN",
        """COMMENT ON ROLE stray IS '{"holdfast":1,"lease":"orders.zzzz","until":"x"}'""",
    )
    leased("scan", "orders", expect=1)
    rows = leased("access", "review", "orders", "--json").json["standing"]
    found = {one["role"]: one for one in rows}
    assert role not in found
    assert "staff" not in found
    assert (found["reports"]["member_of"], found["reports"]["signed"]) == (["staff"], False)
    assert found["reports"]["since"] is not None
    assert found["stray"]["lease"] == "orders.zzzz"
    assert found["postgres"]["superuser"]
    assert found["postgres"]["signed"] is True
    text = leased("access", "review", "orders").out
    assert "NOT SIGNED FOR" in text
    assert "a lease of orders.zzzz that is not known" in text
    page = leased("access", "review", "orders", "--markdown").out
    assert page.startswith("# Access to postgres:orders\n")
    assert "Reviewed by:" in page
    [row] = [line for line in page.splitlines() if "vil" in line]
    assert "<b>" not in row
    assert "\\<b\\>" in row
    assert row.replace("\\|", "").count("|") == 6


def test_a_role_of_a_lease_that_had_ended_before_is_a_standing_one(leased, ask, database):
    asked = ask(approved=True)
    leased("--as", "ana", "creds", asked)
    leased("--as", "ana", "revoke", asked)
    role = leased("--as", "ana", "show", asked, "--json").json["lease"]["role"]
    database.run(f"CREATE ROLE {role} LOGIN")
    leased("scan", "orders", expect=3)
    rows = leased("access", "review", "orders", "--json").json["standing"]
    assert role in [one["role"] for one in rows]


def test_without_a_scan_standing_roles_are_not_known(shop, database, monkeypatch):
    with (shop.home / "holdfast.toml").open("a") as file:
        file.write('\n[targets.orders.access]\ndsn_env = "BROKER_DSN"\n')
    answer = shop("access", "review", "orders")
    assert "no scan has read them" in answer.err
    assert shop("access", "review", "orders", "--json").json["standing"] is None
    assert "Not known" in shop("access", "review", "orders", "--markdown").out
    shop("access", "review", "orders", "--markdown", "--json", expect=2)


def test_a_snapshot_that_was_changed_is_no_review(leased):
    leased("scan", "orders", expect=None)
    for one in (leased.home / ".holdfast" / "evidence" / "snapshot").rglob("*"):
        if one.is_file():
            one.chmod(0o644)
            one.write_bytes(one.read_bytes().replace(b"postgres", b"postgrez"))
    leased("access", "review", "orders", expect=1)


def test_a_target_that_leases_nothing_has_no_review(shop):
    shop("access", "review", "orders", expect=2)


def test_an_installation_is_printed_first_and_changes_nothing_again(shop, database, monkeypatch):
    with (shop.home / "holdfast.toml").open("a") as file:
        file.write('\n[targets.orders.access]\ndsn_env = "BROKER_DSN"\n')
    words = ("target", "install", "orders", "--dsn-env", "SUPER_DSN")
    monkeypatch.setenv("BROKER_DSN", database.as_role("holdfast_broker", "of the broker"))
    assert "SUPER_DSN" in shop(*words, expect=2).err
    monkeypatch.setenv("SUPER_DSN", database.dsn)
    printed = shop(*words, "--print")
    assert 'CREATE ROLE "holdfast_broker"' in printed.out
    assert "nothing was run" in printed.err
    assert database.value("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'holdfast%'") == 0
    done = shop(*words)
    assert "run in one transaction" in done.err
    assert "of the broker" not in done.out + done.err + printed.out + printed.err
    roles = "SELECT count(*) FROM pg_roles"
    before = database.value(roles)
    broker = database.as_role("holdfast_broker", "of the broker")
    with psycopg.connect(broker) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    found = shop(*words, "--json").json
    assert found["ran"] is True
    assert database.value(roles) == before
    assert not any("CREATE ROLE" in one for one in found["statements"])
    assert database.value(f"SELECT count(*) FROM pg_roles WHERE rolname = '{issue.BROKER}'") == 1


@pytest.mark.parametrize("name", ["other", "postgres"])
def test_an_installation_in_another_database_is_refused(leased, database, monkeypatch, name):
    monkeypatch.setenv("SUPER_DSN", database.server.dsn(name))
    refused = leased("target", "install", "orders", "--dsn-env", "SUPER_DSN", expect=2)
    assert "the database of the target" in refused.err


def test_an_installation_is_no_matter_of_the_api(leased):
    words = ("--api", "http://127.0.0.1:1", "target", "install", "orders", "--dsn-env", "X")
    assert "where the store is" in leased(*words, expect=2).err
