"""Scans while leases are open: what a lease's plan makes is no drift, and nothing else is its."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace as changed
from support import cluster as clusters
from support.cluster import scopes

from chalicelib import settings, wiring
from chalicelib.access import lease as leases
from chalicelib.access import request, state
from chalicelib.access.ending import BROKER, terms
from chalicelib.access.policy import load
from chalicelib.access.principal import Kind, Principal
from chalicelib.access.request import Asked
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import scan
from chalicelib.kernel.record import Actor, entry_at
from chalicelib.wiring import access
from chalicelib.wiring.explained import explained

ANA = Principal(Kind.PERSON, "ana", "oidc")
FREE = """
@id("own.free")
@approvals("0")
permit (principal, action == Action::"lease:request", resource);
"""
ACCESS = """
[targets.shop.access]
dsn_env = "BROKER_DSN"
schemas = ["app"]

[profiles.make]
privileges = ["SELECT", "INSERT", "UPDATE", "DELETE"]
read_only = false
roles = ["makers"]

[profiles.own]
read_only = false
roles = ["app_owner"]
set_role = "app_owner"
tables = "none"

[profiles.watched]
privileges = ["SELECT"]
log_statement = "all"
"""
HOUR = 3_600


def quiet(_what, _done, _total):
    pass


class Later:
    def __init__(self, clock, seconds):
        self.clock, self.seconds = clock, seconds

    def now(self):
        return self.clock.now() + timedelta(seconds=self.seconds)


class Source:
    """A reading with something done to it."""

    def __init__(self, source, after):
        self.source, self.after = source, after

    def read(self, progress, known=None):
        return self.after(self.source.read(progress))


class Shop:
    """An installation with a target that has leases, and its cluster."""

    def __init__(self, holdfast, cluster):
        self.run, self.cluster = holdfast, cluster
        self.file = Path("holdfast.toml")
        self.connect()

    def connect(self):
        self.services = wiring.connect(settings.load(self.file))
        self.desk = access.desk(self.services, lambda: load([("own.cedar", FREE)], {}, {}))
        self.target = access.find(self.services, "shop")

    def lease(self, *tables, profile="read-clear", seconds=1800):
        asked = Asked(profile=profile, tables=tables, seconds=seconds, reason="INC-1 refund bug")
        held = request.ask(self.desk, self.target, ANA, asked)
        leases.claim(self.desk, self.target, ANA, held.id)
        return held.id

    def held(self, lease):
        return self.desk.states.get(self.target.stream).find(lease)

    def role(self, lease):
        return self.held(lease).lease.role

    def scan(self, name="shop", *, later=0, after=None, source=None):
        one = self.services.settings.target(name)
        source = source or self.services.source(self.services.dsn(one))
        desk = replace(self.services.desk, clock=Later(self.services.desk.clock, later))
        if after is not None:
            source = Source(source, after)
        return scan(desk, one, source, actor=Actor("chloe", "os"), progress=quiet)

    def found(self, **options):
        return {
            (one.kind, one.operation.value, one.name) for one, _ in self.scan(**options).findings
        }

    def sign(self, name="shop"):
        self.run("--as", "ana", "baseline", "propose", name)
        self.run("--as", "ben", "baseline", "approve", name)

    def body(self, result):
        return entry_at(self.services.desk.journal, result.index).body


@pytest.fixture(scope="module")
def lease_server():
    with clusters.running() as server:
        yield server


@pytest.fixture
def cluster(lease_server):
    with clusters.shop(lease_server) as made:
        made.install()
        yield made


@pytest.fixture
def shop(holdfast, cluster, monkeypatch):
    cluster.run("CREATE DATABASE second", dbname="postgres")
    monkeypatch.setenv("SHOP_DSN", cluster.dsn())
    monkeypatch.setenv("SECOND_DSN", cluster.dsn("second"))
    monkeypatch.setenv("BROKER_DSN", cluster.broker_dsn)
    holdfast("init")
    for name in ("shop", "second"):
        holdfast("target", "add", name, "--dsn-env", f"{name.upper()}_DSN")
    path = Path("holdfast.toml")
    path.write_text(path.read_text("utf-8") + ACCESS, "utf-8")
    made = Shop(holdfast, cluster)
    made.sign()
    return made


@pytest.mark.parametrize(
    ("profile", "tables"),
    [
        ("read-clear", ("app.orders", "app.customers")),
        ("read-clear", ()),
        ("read-masked", ("app.orders",)),
        ("write", ("app.orders",)),
        ("make", ("app.*",)),
        ("own", ()),
        ("watched", ("app.orders",)),
    ],
    ids=["scope", "all", "masked", "write", "make", "own", "watched"],
)
def test_open_lease_is_no_drift_and_is_counted(shop, profile, tables):
    lease = shop.lease(*tables, profile=profile)
    result = shop.scan()
    assert (result.outcome, result.findings) == (Outcome.CLEAN, [])
    assert list(result.explained) == [lease]
    assert shop.body(result)["explained"] == result.explained
    taken = shop.services.desk.objects.get(
        f"snapshot/sha256/{shop.body(result)['snapshot']['sha256']}"
    )
    assert shop.role(lease).encode() in taken
    leases.revoke(shop.desk, shop.target, ANA, lease)
    result = shop.scan()
    assert (result.outcome, result.explained) == (Outcome.CLEAN, {})
    assert "explained" not in shop.body(result)


def test_leases_that_share_a_scope(shop):
    one, two = shop.lease("app.orders"), shop.lease("app.orders")
    assert set(shop.scan().explained) == {one, two}
    leases.revoke(shop.desk, shop.target, ANA, one)
    result = shop.scan()
    assert (result.outcome, set(result.explained)) == (Outcome.CLEAN, {two})


TAMPERED = {
    "superuser": (
        "ALTER ROLE {role} SUPERUSER",
        {("role", "{role}"), ("membership", "holdfast_broker in {role}")},
    ),
    "bypass": ("ALTER ROLE {role} BYPASSRLS", {("role", "{role}")}),
    "createrole": ("ALTER ROLE {role} CREATEROLE", {("role", "{role}")}),
    "connections": ("ALTER ROLE {role} CONNECTION LIMIT 6", {("role", "{role}")}),
    "closed": ("ALTER ROLE {role} NOLOGIN CONNECTION LIMIT 0", {("role", "{role}")}),
    "extended": ("ALTER ROLE {role} VALID UNTIL '2099-01-01'", {("role", "{role}")}),
    "for ever": ("ALTER ROLE {role} VALID UNTIL 'infinity'", {("role", "{role}")}),
    "shortened": ("ALTER ROLE {role} VALID UNTIL '2001-01-01'", {("role", "{role}")}),
    "comment": ("COMMENT ON ROLE {role} IS NULL", {("role", "{role}")}),
    "another group": ("GRANT makers TO {role}", {("membership", "{role} in makers")}),
    "admin": (
        "GRANT holdfast_lease TO {role} WITH ADMIN OPTION",
        {("membership", "{role} in holdfast_lease")},
    ),
    "joined": ("GRANT {role} TO makers", {("membership", "makers in {role}")}),
    "broker joined": (
        "SET ROLE holdfast_broker; GRANT {role} TO holdfast_broker",
        {("membership", "holdfast_broker in {role}")},
    ),
    "setting": (
        "ALTER ROLE {role} SET statement_timeout = 0",
        {("role_setting", "statement_timeout for role {role}")},
    ),
    "another setting": (
        "ALTER ROLE {role} SET row_security = off",
        {("role_setting", "row_security for role {role}")},
    ),
    "setting in a database": (
        "ALTER ROLE {role} IN DATABASE shop SET statement_timeout = '300s'",
        {("role_setting", "statement_timeout for role {role} in database shop")},
    ),
    "grant to the scope": (
        "GRANT SELECT ON app.secrets TO {scope}",
        {("grant", "table app.secrets to {scope}")},
    ),
    "more of the same": (
        "SET ROLE holdfast_grantor; GRANT UPDATE ON app.orders TO {scope}",
        {("grant", "table app.orders to {scope}")},
    ),
    "grant option": (
        "SET ROLE holdfast_grantor; GRANT SELECT ON app.orders TO {scope} WITH GRANT OPTION",
        {("grant", "table app.orders to {scope}")},
    ),
    "scope logs in": ("ALTER ROLE {scope} LOGIN", {("role", "{scope}")}),
    "scope in a group": ("GRANT makers TO {scope}", {("membership", "{scope} in makers")}),
    "grant to the lease": (
        "GRANT SELECT ON app.secrets TO {role}",
        {("grant", "table app.secrets to {role}")},
    ),
    "table": (
        "CREATE TABLE app.mine (); ALTER TABLE app.mine OWNER TO {role}",
        {("table", "app.mine")},
    ),
    "named like a lease": ("CREATE ROLE hf_x SUPERUSER", {("role", "hf_x")}),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_whatever_else_becomes_of_a_lease_is_found(shop, name):
    statement, expected = TAMPERED[name]
    lease = shop.lease("app.orders")
    names = {"role": shop.role(lease), "scope": scopes(shop.cluster)[0]}
    if name == "superuser" and shop.cluster.major < 16:  # no creator is a member of its role
        expected = {("role", "{role}")}
    shop.cluster.run(statement.format(**names))
    result = shop.scan()
    assert result.outcome is Outcome.DRIFT
    found = {(one.kind, one.name) for one, _ in result.findings}
    assert found == {(kind, text.format(**names)) for kind, text in expected}
    assert all(one.operation.value == "added" for one, _ in result.findings)


def test_copy_of_a_lease_s_role_under_another_name_is_found(shop):
    lease = shop.lease("app.orders")
    comment = shop.cluster.value(
        "SELECT shobj_description(%s, 'pg_authid')", shop.cluster.oid(shop.role(lease))
    )
    until = shop.held(lease).lease.until
    name = "hf_" + "a" * 26
    shop.cluster.run(
        f"CREATE ROLE {name} LOGIN CONNECTION LIMIT 5 VALID UNTIL '{until}'",
        f"COMMENT ON ROLE {name} IS '{comment}'",
        f"GRANT holdfast_lease TO {name}",
    )
    assert shop.found() == {
        ("role", "added", name),
        ("membership", "added", f"{name} in holdfast_lease"),
    }


def test_renewed_lease_is_explained_until_its_new_end(shop):
    lease = shop.lease("app.orders", seconds=HOUR)
    leases.renew(shop.desk, shop.target, ANA, lease, 2 * HOUR)
    assert shop.scan(later=1.5 * HOUR).outcome is Outcome.CLEAN
    assert shop.scan(later=2.5 * HOUR).outcome is Outcome.DRIFT


def test_renewal_that_is_recorded_and_not_made_yet_is_explained(shop):
    lease = shop.lease("app.orders", seconds=HOUR)
    until = shop.desk.later(2 * HOUR)
    now = shop.desk.states.get(shop.target.stream)
    shop.desk.record(now, state.EXTENDED, BROKER, {"request": lease, "until": until})
    assert shop.scan().outcome is Outcome.CLEAN


def test_extension_that_no_record_tells_of_is_found(shop):
    lease = shop.lease("app.orders")
    held = shop.held(lease)
    later = changed(terms(shop.target, held, held.lease), until=shop.desk.later(HOUR))
    shop.target.grantor().extend(later)
    assert shop.found() == {("role", "added", shop.role(lease))}


def test_lease_that_is_over_and_still_there_is_found(shop):
    lease = shop.lease("app.orders")
    assert shop.scan(later=1700).outcome is Outcome.CLEAN
    result = shop.scan(later=1900)
    assert (result.outcome, result.explained) == (Outcome.DRIFT, {})
    assert ("role", shop.role(lease)) in {(one.kind, one.name) for one, _ in result.findings}


def end(shop, lease, before):
    """Begin to end a lease, and stop before a step."""
    held = shop.held(lease)
    now = shop.desk.states.get(shop.target.stream)
    shop.desk.record(now, state.ENDING, BROKER, {"request": lease, "why": leases.REVOKED})

    def step(name):
        if name == before:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        shop.target.grantor().end(terms(shop.target, held, held.lease), step)


@pytest.mark.parametrize("before", ["login", "role", "scopes", "verify"])
def test_lease_that_is_being_ended_is_explained(shop, before):
    lease = shop.lease("app.orders")
    end(shop, lease, before)
    assert shop.scan().outcome is Outcome.CLEAN


def test_lease_whose_ending_takes_too_long_is_found(shop):
    lease = shop.lease("app.orders", seconds=HOUR)
    end(shop, lease, "role")
    assert shop.scan(later=HOUR - 60).outcome is Outcome.CLEAN
    assert shop.scan(later=HOUR + 60).outcome is Outcome.DRIFT


def test_expired_lease_that_is_being_ended_has_a_minute(shop):
    lease = shop.lease("app.orders")
    shop.desk = replace(shop.desk, clock=Later(shop.desk.clock, 1810))
    end(shop, lease, "role")
    assert shop.scan(later=1840).outcome is Outcome.CLEAN
    assert shop.scan(later=1880).outcome is Outcome.DRIFT


def test_tampering_while_a_lease_is_being_ended_is_found(shop):
    lease = shop.lease("app.orders")
    end(shop, lease, "role")
    role = shop.role(lease)
    shop.cluster.run(f"ALTER ROLE {role} LOGIN")
    assert shop.found() == {("role", "added", role)}


def test_lease_that_ended_while_the_database_was_read_is_explained(shop):
    lease = shop.lease("app.orders")

    def after(reading):
        leases.revoke(shop.desk, shop.target, ANA, lease)
        return reading

    result = shop.scan(after=after)
    assert (result.outcome, set(result.explained)) == (Outcome.CLEAN, {lease})


def test_role_that_is_there_after_its_lease_was_proven_gone_is_found(shop):
    lease = shop.lease("app.orders")
    target = shop.services.settings.target("shop")
    reading = shop.services.source(shop.services.dsn(target)).read(quiet)
    leases.revoke(shop.desk, shop.target, ANA, lease)
    result = shop.scan(after=lambda _: reading)
    assert (result.outcome, result.explained) == (Outcome.DRIFT, {})


def test_lease_shows_in_every_database_of_its_cluster_and_is_explained_there(shop):
    shop.sign("second")
    lease = shop.lease("app.orders", profile="write")
    result = shop.scan("second")
    assert (result.outcome, set(result.explained)) == (Outcome.CLEAN, {lease})


def test_grants_to_a_scope_in_another_database_are_found(shop):
    create = (
        "CREATE SCHEMA app; GRANT USAGE ON SCHEMA app TO holdfast_grantor; "
        "CREATE TABLE app.orders (); "
        "GRANT SELECT ON app.orders TO holdfast_grantor WITH GRANT OPTION"
    )
    shop.cluster.run(create, dbname="second")
    shop.sign("second")
    shop.lease("app.orders")
    (scope,) = scopes(shop.cluster)
    assert shop.scan("second").outcome is Outcome.CLEAN
    shop.cluster.run(
        f"SET ROLE holdfast_grantor; GRANT SELECT ON app.orders TO {scope}", dbname="second"
    )
    assert shop.found(name="second") == {("grant", "added", f"table app.orders to {scope}")}


def elsewhere(identifier):
    def after(reading):
        return changed(reading, system={**reading.system, "system_identifier": identifier})

    return after


@pytest.mark.parametrize("name", ["shop", "second"])
def test_lease_of_another_cluster_explains_nothing_here(shop, name):
    shop.sign("second")
    shop.lease("app.orders")
    result = shop.scan(name, after=elsewhere("7000000000000000001"))
    assert (result.outcome, result.explained) == (Outcome.DRIFT, {})


def test_where_the_cluster_is_not_known_a_target_s_own_leases_are_explained(shop):
    shop.sign("second")
    shop.lease("app.orders")
    assert shop.scan(after=elsewhere("")).outcome is Outcome.CLEAN
    assert shop.scan("second", after=elsewhere("")).outcome is Outcome.DRIFT


def test_scanning_role_that_may_not_ask_for_the_cluster_scans_all_the_same(shop, monkeypatch):
    shop.cluster.run(
        "CREATE ROLE reader LOGIN PASSWORD 'reader'",
        "GRANT pg_read_all_settings TO reader",
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION pg_control_system() TO holdfast_broker",
    )
    monkeypatch.setenv("SHOP_DSN", shop.cluster.dsn(user="reader", password="reader"))
    shop.run("--as", "ana", "baseline", "propose", "shop")
    shop.run("--as", "ben", "baseline", "approve", "shop")
    shop.lease("app.orders")
    result = shop.scan()
    assert (result.outcome, len(result.explained)) == (Outcome.CLEAN, 1)
    assert shop.body(result)["system"]["system_identifier"] == ""


def test_plan_that_is_not_the_recorded_one_explains_nothing(shop):
    """A record that says another digest than its plan has is no lease of the broker's."""
    lease = shop.lease("app.orders")
    held = shop.held(lease)
    now = shop.desk.states.get(shop.target.stream)
    body = dict(entry_at(shop.desk.journal, held.lease.record).body)
    body["plan"] = {**body["plan"], "purpose": "else"}
    shop.desk.record(now, state.ISSUING, BROKER, body)
    assert shop.scan().outcome is Outcome.DRIFT


def test_baseline_that_is_proposed_meanwhile_has_no_lease_in_it(shop):
    lease = shop.lease("app.orders")
    shop.cluster.run("CREATE TABLE app.later ()")
    shop.sign()
    assert shop.scan().outcome is Outcome.CLEAN
    leases.revoke(shop.desk, shop.target, ANA, lease)
    result = shop.scan()
    assert (result.outcome, result.findings) == (Outcome.CLEAN, [])
    entries = [
        one
        for one in shop.services.desk.journal.stream("postgres:shop")
        if one.record.kind == "baseline.proposed"
    ]
    assert list(entries[-1].body["explained"]) == [lease]
    assert "explained" not in entries[0].body


@pytest.mark.parametrize(
    "name",
    ["superuser", "another group", "grant to the scope", "table", "setting"],
)
def test_baseline_is_not_proposed_where_a_lease_has_more_than_its_plan(shop, name):
    lease = shop.lease("app.orders")
    names = {"role": shop.role(lease), "scope": scopes(shop.cluster)[0]}
    shop.cluster.run(TAMPERED[name][0].format(**names))
    answer = shop.run("--as", "ana", "baseline", "propose", "shop", expect=2)
    assert lease in answer.err


def test_baseline_is_not_proposed_where_a_lease_is_over_and_still_there(shop):
    shop.desk = replace(shop.desk, clock=Later(shop.desk.clock, -HOUR))
    shop.lease("app.orders", seconds=600)
    answer = shop.run("--as", "ana", "baseline", "propose", "shop", expect=2)
    assert "holdfast revoke" in answer.err


def test_scan_says_whose_changes_it_left_out(shop):
    answer = shop.run("scan", "shop")
    assert "lease" not in answer.out
    lease = shop.lease(profile="own")
    answer = shop.run("scan", "shop")
    count = shop.scan().explained[lease]
    assert f"no open findings, {count} changes are those of 1 open lease" in answer.out
    [result] = json.loads(shop.run("scan", "shop", "--json").out)["results"]
    assert result["explained"] == {lease: count}


def test_scan_that_finds_no_such_names_reads_no_leases(shop):
    shop.cluster.run("CREATE ROLE plain", "GRANT makers TO plain")
    desk, read = shop.services.desk, []

    class Journal:
        def last(self, stream):
            read.append(stream)
            return desk.journal.last(stream)

        def __getattr__(self, name):
            return getattr(desk.journal, name)

    told = explained(
        shop.services.settings,
        journal=Journal(),
        objects=desk.objects,
        derived=shop.services.derived,
        secret=shop.services.secret,
    )
    shop.services = replace(shop.services, desk=replace(desk, explained=told))
    assert shop.scan().outcome is Outcome.DRIFT
    assert read == []
    shop.lease("app.orders")
    assert len(shop.scan().explained) == 1
    assert set(read) == {"access:shop"}
