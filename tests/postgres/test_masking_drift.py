"""Each way to tamper with masking views is a finding: made at a real server, read, and judged."""

from __future__ import annotations

import pytest
from support.desk import ANA, BEN, CHLOE, HandClock, make_desk, propose_state, quiet

from chalicelib.drift import approval
from chalicelib.drift.desk import Target
from chalicelib.drift.diff import diff
from chalicelib.drift.judge import judge, load
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import scan

RULES = load()
MASKER = "holdfast_mask_0a1b2c3d"
GROUP = "holdfast_p_0a1b2c3d_read_masked"
SETUP = f"""
CREATE ROLE app_owner;
CREATE ROLE analyst LOGIN;
CREATE ROLE holdfast_lease;
CREATE ROLE {MASKER};
CREATE ROLE {GROUP};
CREATE ROLE "holdfast_p_0a1b2c3d_read_clear";
CREATE SCHEMA shop AUTHORIZATION app_owner;
CREATE SCHEMA shop_masked AUTHORIZATION {MASKER};
CREATE SCHEMA shop_masked_eu AUTHORIZATION {MASKER};
CREATE SCHEMA holdfast_mask AUTHORIZATION {MASKER};
SET ROLE app_owner;
CREATE TABLE shop.customers (id integer PRIMARY KEY, email text, note text);
CREATE TABLE shop.prices (id integer);
GRANT USAGE ON SCHEMA shop TO {MASKER};
GRANT SELECT (id, email) ON shop.customers TO {MASKER};
RESET ROLE;
SET ROLE {MASKER};
CREATE TABLE holdfast_mask.key (inner_pad bytea, outer_pad bytea);
CREATE FUNCTION holdfast_mask.person() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
CREATE VIEW shop_masked.customers WITH (security_barrier) AS
    SELECT id, '***'::text AS email FROM shop.customers;
CREATE VIEW shop_masked_eu.customers WITH (security_barrier) AS
    SELECT id, left(email, 1) AS email FROM shop.customers;
GRANT USAGE ON SCHEMA shop_masked, shop_masked_eu TO {GROUP};
GRANT SELECT ON shop_masked.customers TO {GROUP};
RESET ROLE
"""
CLEAR = "SELECT id, email FROM shop.customers"
VIEW = "shop_masked.customers"
RULE = f"CREATE RULE peep AS ON UPDATE TO {VIEW} DO INSTEAD SELECT email FROM shop.customers"

# what is done: the rule that says it, how severe it is, which way it goes
TAMPERED = {
    f"CREATE OR REPLACE VIEW {VIEW} WITH (security_barrier) AS {CLEAR}": (
        *("mask.view.definition", "critical", "widens"),
    ),
    f"CREATE OR REPLACE VIEW shop_masked_eu.customers WITH (security_barrier) AS {CLEAR}": (
        *("mask.view.definition", "critical", "widens"),
    ),
    f"ALTER VIEW {VIEW} SET (security_barrier = false)": ("mask.view.barrier", "high", "widens"),
    f"ALTER VIEW {VIEW} RESET (security_barrier)": ("mask.view.barrier", "high", "widens"),
    f"ALTER VIEW {VIEW} SET (security_invoker = true)": ("mask.view.invoker", "high", "widens"),
    f"ALTER VIEW {VIEW} OWNER TO app_owner": ("mask.view.owner", "critical", "widens"),
    f"ALTER VIEW {VIEW} OWNER TO postgres": ("mask.view.owner", "critical", "widens"),
    f"GRANT SELECT ON shop.customers TO {GROUP}": ("mask.past", "critical", "widens"),
    f"GRANT SELECT (email) ON shop.customers TO {GROUP}": ("mask.past", "critical", "widens"),
    f"GRANT SELECT ON shop.prices TO {GROUP}": ("mask.past", "critical", "widens"),
    "GRANT SELECT ON shop.customers TO PUBLIC": ("mask.past.everybody", "critical", "widens"),
    "GRANT SELECT (email) ON shop.customers TO PUBLIC": (
        *("mask.past.everybody", "critical", "widens"),
    ),
    "GRANT SELECT ON shop.customers TO holdfast_lease": (
        *("mask.past.everybody", "critical", "widens"),
    ),
    "GRANT SELECT (email) ON shop.customers TO holdfast_lease": (
        *("mask.past.everybody", "critical", "widens"),
    ),
    "GRANT SELECT ON shop.prices TO holdfast_lease": ("mask.lease.grant", "high", "widens"),
    "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA shop"
    f" GRANT SELECT ON TABLES TO {GROUP}": (*("mask.past", "critical", "widens"),),
    f"GRANT SELECT ON shop.customers TO {MASKER}": ("mask.role.grant", "high", "widens"),
    f"GRANT SELECT (note) ON shop.customers TO {MASKER}": ("mask.role.grant", "high", "widens"),
    f"GRANT {MASKER} TO {GROUP}": ("mask.role.member", "critical", "widens"),
    f"GRANT {MASKER} TO holdfast_lease": ("mask.role.member", "critical", "widens"),
    f"GRANT {MASKER} TO analyst": ("mask.role.member", "critical", "widens"),
    f"GRANT holdfast_p_0a1b2c3d_read_clear TO {GROUP}": (
        *("mask.lease.member", "critical", "widens"),
    ),
    f"GRANT app_owner TO {MASKER}": ("mask.role.joined", "high", "widens"),
    f"ALTER ROLE {MASKER} LOGIN": ("mask.role.login", "critical", "widens"),
    f"ALTER ROLE {MASKER} BYPASSRLS": ("role.bypass_rls", "critical", "widens"),
    f"ALTER ROLE {MASKER} SUPERUSER": ("role.superuser", "critical", "widens"),
    "GRANT SELECT ON holdfast_mask.key TO analyst": ("mask.key.grant", "critical", "widens"),
    "GRANT SELECT (inner_pad) ON holdfast_mask.key TO analyst": (
        *("mask.key.grant", "critical", "widens"),
    ),
    "GRANT UPDATE ON holdfast_mask.key TO PUBLIC": ("mask.key.grant", "critical", "widens"),
    "ALTER TABLE holdfast_mask.key OWNER TO app_owner": ("mask.key.owner", "critical", "widens"),
    "DROP TABLE holdfast_mask.key": ("table.removed", "high", "neutral"),
    "GRANT CREATE ON SCHEMA holdfast_mask TO analyst": ("mask.schema", "high", "widens"),
    "ALTER SCHEMA holdfast_mask OWNER TO app_owner": ("owner.powerful", "high", "widens"),
    "CREATE OR REPLACE FUNCTION holdfast_mask.person() RETURNS text LANGUAGE sql STABLE"
    " AS 'SELECT ''person:ben'''": ("mask.person", "critical", "widens"),
    "ALTER FUNCTION holdfast_mask.person() OWNER TO app_owner": (
        *("mask.person", "critical", "widens"),
    ),
    "ALTER FUNCTION holdfast_mask.person() SET search_path = shop": (
        *("mask.person", "critical", "widens"),
    ),
    "CREATE FUNCTION shop.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';\n"
    f"CREATE TRIGGER t INSTEAD OF UPDATE ON {VIEW} FOR EACH ROW EXECUTE FUNCTION shop.t()": (
        *("mask.trigger", "high", "neutral"),
    ),
    RULE: ("mask.rule", "high", "widens"),
    f"CREATE OR REPLACE VIEW {VIEW} WITH (security_barrier) AS"
    " SELECT id, '***'::text AS email, note FROM shop.customers": (
        *("mask.view.column", "high", "widens"),
    ),
    f"DROP VIEW {VIEW}": ("mask.view.removed", "medium", "neutral"),
    "CREATE VIEW shop_masked.prices AS SELECT * FROM shop.prices": (
        *("mask.view.added", "high", "widens"),
    ),
    "ALTER TABLE shop.customers ADD COLUMN iban text": ("mask.unclassified", "high", "neutral"),
    "ALTER TABLE shop.customers RENAME COLUMN note TO remark": (
        *("mask.unclassified", "high", "neutral"),
    ),
}
HARMLESS = {
    "ALTER TABLE shop.prices ADD COLUMN price numeric": {("object.added", "low")},
    "GRANT SELECT ON shop.customers TO analyst": {("grant", "medium")},
    "GRANT SELECT ON shop.prices TO PUBLIC": {("grant.public.read", "high")},
    f"GRANT SELECT ON shop_masked_eu.customers TO {GROUP}": {("grant", "medium")},
    f"REVOKE SELECT ON {VIEW} FROM {GROUP}": {("grant.narrows", "low")},
}


@pytest.fixture
def masked(database):
    database.run(*SETUP.split(";"))
    return database


def judged(before, after):
    found = [judge(change, RULES) for change in diff(before, after)]
    return {(one.rule, one.severity.value, one.direction.value) for one in found}


@pytest.mark.parametrize("statement", TAMPERED)
def test_tampering_with_a_mask_is_drift(masked, statement, major):
    if major < 15 and "security_invoker" in statement:
        pytest.skip("from PostgreSQL 15")
    before = masked.scan()
    masked.run(*statement.split(";\n"))
    assert TAMPERED[statement] in judged(before, masked.scan())


@pytest.mark.parametrize("statement", HARMLESS)
def test_what_no_mask_is_about_is_what_it_was(masked, statement):
    before = masked.scan()
    masked.run(statement)
    found = {(rule, severity) for rule, severity, _ in judged(before, masked.scan())}
    assert found == HARMLESS[statement]


def test_a_scan_names_them_all(masked, tmp_path):
    desk, target = make_desk(tmp_path, HandClock()), Target(slug="shop", env="prod", approvals=1)
    source = masked.source()
    propose_state(desk, target, source, actor=ANA)
    approval.approve(desk, target, actor=BEN)
    assert scan(desk, target, source, actor=CHLOE, progress=quiet).outcome is Outcome.CLEAN
    masked.run(
        f"CREATE OR REPLACE VIEW {VIEW} WITH (security_barrier) AS {CLEAR}",
        f"GRANT SELECT ON shop.customers TO {GROUP}",
        f"GRANT {MASKER} TO {GROUP}",
        f"ALTER ROLE {MASKER} LOGIN",
        "GRANT SELECT ON holdfast_mask.key TO analyst",
        RULE,
        "ALTER TABLE shop.customers ADD COLUMN iban text",
    )
    result = scan(desk, target, source, actor=CHLOE, progress=quiet)
    assert result.outcome is Outcome.DRIFT
    assert {one.rule for one, _ in result.findings} == {
        *("mask.view.definition", "mask.past", "mask.role.member", "mask.role.login"),
        *("mask.key.grant", "mask.rule", "mask.unclassified"),
    }
    masked.run(  # somebody classifies it, and applies
        f"GRANT SELECT (iban) ON shop.customers TO {MASKER}",
        f"CREATE OR REPLACE VIEW {VIEW} WITH (security_barrier) AS"
        " SELECT id, '***'::text AS email, '***'::text AS iban FROM shop.customers",
    )
    found = scan(desk, target, source, actor=CHLOE, progress=quiet).findings
    (one,) = [one for one, _ in found if one.name == "shop.customers.iban"]
    assert (one.rule, one.severity.value) == ("object.added", "low")
    (one,) = [one for one, _ in found if one.name == "shop_masked.customers.iban"]
    assert (one.rule, one.severity.value) == ("mask.view.column", "high")
