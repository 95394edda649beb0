"""Masks that were applied are in the baseline: what opens them is drift, and so is a new column."""

from __future__ import annotations

import pytest

from chalicelib import settings, wiring
from chalicelib.evidence.clear import coverage

MASKS = """
[targets.orders.masking]
files = ["masks.toml"]
dsn_env = "SUPER_DSN"
"""
CLASSES = """
[columns.public.customers]
id = "public"
name = "name"

[columns.public.orders]
id = "public"
"""


@pytest.fixture
def masked(leased):
    with (leased.home / "holdfast.toml").open("a") as file:
        file.write(MASKS)
    (leased.home / "masks.toml").write_text(CLASSES)
    leased("mask", "apply", "orders", expect=None)  # orders.total has no class
    leased("target", "install", "orders", "--dsn-env", "SUPER_DSN")
    leased("--as", "ana", "baseline", "propose", "orders")
    for name in ("ben", "chloe"):
        leased("--as", name, "baseline", "approve", "orders")
    assert leased("scan", "orders").code == 0
    return leased


def found(holdfast):
    """The open findings of a scan: rule and severity by name."""
    (result,) = holdfast("scan", "orders", "--json", expect=1).json["results"]
    return {(one["name"], one["rule"], one["severity"]) for one in result["findings"]}


def seen(holdfast):
    services = wiring.connect(settings.load(holdfast.home / "holdfast.toml"))
    return coverage(services.desk.journal.stream("access:orders"))


def test_a_new_column_is_unclassified_until_it_has_a_class(masked, database):
    database.run("ALTER TABLE customers ADD COLUMN iban text")
    name = "public.customers.iban"
    assert found(masked) == {(name, "mask.unclassified", "high")}
    with (masked.home / "masks.toml").open("a") as file:
        file.write('\n[columns.public.customers.iban]\nclass = "iban"\n')
    masked("mask", "apply", "orders", expect=None)
    after = found(masked)
    assert (name, "object.added", "low") in after
    assert ("public_masked.customers.iban", "mask.view.column", "high") in after
    shown = {one.column: one.shown for one in seen(masked).personal}
    assert shown.keys() == {"name", "iban"}


def test_what_opens_real_masks_is_found(masked, database):
    group = database.value(
        "SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'holdfast_p_%_read_masked'"
    )
    masker = database.value(
        "SELECT viewowner::text FROM pg_views WHERE schemaname = 'public_masked' LIMIT 1"
    )
    database.run(
        f"GRANT SELECT ON customers TO {group}",
        f"GRANT {masker} TO {group}",
        f"GRANT SELECT ON holdfast_mask.key TO {group}",
        "CREATE OR REPLACE VIEW public_masked.customers WITH (security_barrier) AS"
        " SELECT id, name FROM customers",
        "CREATE OR REPLACE FUNCTION holdfast_mask.person() RETURNS text LANGUAGE sql STABLE"
        " PARALLEL SAFE AS $$SELECT 'person:ben'::text$$",
    )
    rules = {rule: severity for _, rule, severity in found(masked)}
    opened = ["mask.past", "mask.role.member", "mask.key.grant", "mask.view.definition"]
    assert {one: rules.get(one) for one in [*opened, "mask.person"]} == dict.fromkeys(
        [*opened, "mask.person"], "critical"
    )


def test_the_records_of_masks_say_what_is_personal(masked):
    told = seen(masked)
    assert [(one.table, one.column) for one in told.personal] == [("customers", "name")]
    assert told.unclassified == [("public", "orders", "total")]
    assert (told.odd, told.leases) == ([], [])
    assert masked("evidence", "fsck").out.startswith("VERIFIED")
