"""What a change means for masking views, told from the two snapshots alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.desk import ANA, BEN, propose_state, quiet

from chalicelib.access import issue, profile
from chalicelib.drift import approval, masks
from chalicelib.drift.diff import diff
from chalicelib.drift.finding import identify
from chalicelib.drift.judge import judge, load
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import Object, build
from chalicelib.kernel import canon
from chalicelib.kernel.names import identifier, qualified

RULES = load()
BY = ["by app"]


def table(name, *columns, kind="table"):
    yield Object(kind, name, {"owner": "app"})
    for column in columns:
        yield Object("column", f"{name}.{column}", {"of": f"{kind} {name}", "type": "text"})


def grant(of, to):
    return Object("grant", f"{of} to {to}", {"of": of, "select": BY})


SHOP = [
    *table("shop.orders", "id"),
    *table("shop_masked.orders", "id", kind="view"),
    *table("shop_masked_eu.orders", "id", kind="view"),
    *table("shop.plain", "id"),
    grant("view shop_masked.orders", "readers"),
    grant("view shop_masked.orders", "holdfast_grantor"),
    grant("view shop_masked.orders", "holdfast_mask_0a1b2c3d"),
]


def contexts(*new, before=SHOP):
    """The context of each change that these objects are."""
    found = diff(build(before), build([*before, *new]))
    return {one.name: one.context for one in found}


def new_column(name, kind="table"):
    relation, _, _ = name.rpartition(".")
    return Object("column", name, {"of": f"{kind} {relation}", "type": "text"})


def test_a_new_column_that_no_masking_view_has_is_unclassified():
    assert contexts(new_column("shop.orders.iban")) == {"shop.orders.iban": {"unclassified": True}}


@pytest.mark.parametrize("view", ["shop_masked", "shop_masked_eu"])
def test_what_one_of_the_views_shows_is_classified(view):
    shown = new_column(f"{view}.orders.iban", "view")
    assert contexts(new_column("shop.orders.iban"), shown)["shop.orders.iban"] == {}


@pytest.mark.parametrize("name", ["shop.plain.iban", "public.orders.iban"])
def test_without_a_masking_view_of_its_table_a_column_is_what_it_was(name):
    added = [*table("public.orders"), new_column(name)] if "public" in name else [new_column(name)]
    assert not any(contexts(*added).values())


def test_a_masking_view_that_came_with_the_column_counts():
    view = [*table("shop_masked.plain", "id", kind="view")]
    assert contexts(new_column("shop.plain.iban"), *view)["shop.plain.iban"] == {
        "unclassified": True
    }


def test_a_view_that_masks_a_view():
    before = [*table("shop.v", "id", kind="view"), *table("shop_masked.v", "id", kind="view")]
    found = contexts(new_column("shop.v.iban", "view"), before=before)
    assert found == {"shop.v.iban": {"unclassified": True}}


@pytest.mark.parametrize(
    ("of", "to", "past"),
    [
        ("table shop.orders", "readers", True),
        ("column shop.orders.id", "readers", True),
        ("table shop.plain", "readers", True),
        ("view shop.report", "readers", True),
        ("table shop.orders", "PUBLIC", True),
        ("column shop.orders.id", "holdfast_lease", True),
        ("table shop.plain", "PUBLIC", False),
        ("table shop.orders", "others", False),
        ("table shop.orders", '"x to readers"', False),
        ("table shop.orders", "holdfast_grantor", False),
        ("table shop.orders", "holdfast_mask_0a1b2c3d", False),
        ("view shop_masked_eu.orders", "readers", False),
        ("column shop_masked_eu.orders.id", "readers", False),
        ("view shop_masked_eu.orders", "PUBLIC", False),
        ("schema shop", "readers", False),
        ("sequence shop.s", "readers", False),
    ],
)
def test_grants_that_lead_past_the_masks(of, to, past):
    found = contexts(grant(of, to))[f"{of} to {to}"]
    assert found == ({"past_masks": True} if past else {})


@pytest.mark.parametrize(
    ("what", "past"),
    [
        ("tables of app to readers", True),
        ("tables of app in shop to readers", True),
        ('tables of app in "Odd Shop" to readers', True),
        ("tables of app in shop_masked to readers", False),
        ("tables of app in shop_masked_eu to readers", False),
        ("sequences of app in shop to readers", False),
        ("tables of app in shop to others", False),
        ('tables of app in "a to readers" to others', False),
    ],
)
def test_default_privileges_that_lead_past_the_masks(what, past):
    found = contexts(Object("default_privilege", what, {"of": "role app", "select": BY}))
    assert found[what] == ({"past_masks": True} if past else {})


def test_who_read_masks_before_the_change_counts():
    before = [one for one in SHOP if one.kind != "grant"]
    after = build([*before, grant("table shop.orders", "readers")])
    (change,) = [one for one in diff(build(SHOP), after) if one.kind == "grant" and one.new]
    assert change.context == {"past_masks": True}


def test_who_reads_a_column_of_a_masking_view_counts():
    found = contexts(
        grant("column shop_masked.orders.id", "careful"), grant("table shop.orders", "careful")
    )
    assert found["table shop.orders to careful"] == {"past_masks": True}


@pytest.mark.parametrize(
    "one",
    [
        grant("table shop.orders", "readers"),
        Object("default_privilege", "tables of app to readers", {"of": "role app", "select": BY}),
    ],
)
def test_what_is_revoked_has_no_context(one):
    (change,) = diff(build([*SHOP, one]), build(SHOP))
    assert change.context == {}


NAMES = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=12)


@given(schema=NAMES, name=NAMES, column=NAMES, which=st.sampled_from(["", "_eu", "_masked"]))
def test_any_name_in_quotes_is_found(schema, name, column, which):
    base, view = qualified(schema, name), qualified(f"{schema}_masked{which}", name)
    before = [*table(base), *table(view, kind="view"), grant(f"view {view}", "readers")]
    whole = f"{base}.{identifier(column)}"
    new = [new_column(whole), grant(f"column {whole}", "readers")]
    new[0] = Object("column", whole, {"of": f"table {base}", "type": "text"})
    found = contexts(*new, before=before)
    assert found[whole] == {"unclassified": True}
    assert found[f"column {whole} to readers"] == {"past_masks": True}


@given(st.lists(st.tuples(NAMES, NAMES), max_size=6))
def test_no_names_are_an_error(pairs):
    objects = {("view", a): Object("view", a, {"of": b}) for a, b in pairs}
    objects |= {("grant", a): Object("grant", a, {"of": b}) for a, b in pairs}
    objects |= {("column", a): Object("column", a, {"of": b}) for a, b in pairs}
    diff(build(SHOP), build([*SHOP, *objects.values()]))


def test_the_names_are_those_that_access_gives():
    assert profile.masked("shop", "eu") == f"shop{masks.SUFFIX}_eu"
    assert masks.EVERYBODY[1] == issue.MARKER
    assert issue.GRANTOR == masks.GRANTOR


def unclassified(result):
    return [
        (one.rule, one.severity.value, one.direction.value, one.title)
        for one, _ in result.findings
        if one.name == "shop.orders.iban"
    ]


def test_a_column_that_is_classified_later_is_another_finding(desk, target, source):
    for one in SHOP:
        source.put(one.kind, one.name, **one.attributes)

    def run():
        return scan(desk, target, source, actor=ANA, progress=quiet)

    propose_state(desk, target, source, actor=ANA)
    for name in (BEN, BEN.__class__("chloe", "asserted")):
        approval.approve(desk, target, actor=name)
    source.put("column", "shop.orders.iban", of="table shop.orders", type="text")
    title = "New column that no mask classifies: masked leases do not see it"
    first = run()
    assert unclassified(first) == [("mask.unclassified", "high", "neutral", title)]
    source.put("column", "shop_masked.orders.iban", of="view shop_masked.orders", type="text")
    second = run()
    assert unclassified(second) == [("object.added", "low", "neutral", "Added")]
    assert second.closed == [one.id for one, _ in first.findings]
    source.drop("column", "shop_masked.orders.iban")
    assert run().findings[0][0].id == first.findings[0][0].id


def test_a_change_without_a_context_has_the_name_that_it_always_had():
    """Findings of logs that are there already keep their ids."""
    (change,) = diff(build(SHOP), build([*SHOP, new_column("shop.plain.iban")]))
    attributes = {"of": "table shop.plain", "type": "text"}
    name = "shop.plain.iban"
    content = ["postgres:orders", "added", "column", name, "", None, attributes, ""]
    assert identify("postgres:orders", change) == "F-" + canon.sha256(canon.encode(content))[:32]
    assert judge(change, RULES).rule == "object.added"
