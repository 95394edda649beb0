"""Views of relations and masks, as data: who is shown what, and what is refused as a whole."""

import tomllib

import pytest

from chalicelib.access.masking.classes import SHIPPED
from chalicelib.access.masking.column import Column, Family, Relation, Type
from chalicelib.access.masking.masks import parse
from chalicelib.access.masking.views import MAX_REFUSALS, views
from chalicelib.kernel.errors import UsageError

TEXT = Type(schema="pg_catalog", name="text", family=Family.TEXT, shown="text")
INT = Type(schema="pg_catalog", name="int4", family=Family.INT, shown="integer")
POINT = Type(schema="pg_catalog", name="point", family=Family.OTHER, shown="point")


def _table(name, *columns, schema="app", inherited=(), **more):
    made = [
        Column(name=one, type=of, inherited=one in inherited)
        for one, of in ((one if isinstance(one, tuple) else (one, TEXT)) for one in columns)
    ]
    more.setdefault("kind", "r")
    return Relation(schema=schema, name=name, oid="1", columns=tuple(made), **more)


def _views(relations, text, schemas=("app",), sets=()):
    return views(relations, parse([("m", tomllib.loads(text))]), schemas, sets)


def _shows(found):
    return {(one.schema, one.name): one.shows for one in found.views}


ORDERS = _table("orders", ("id", INT), "email", "note")
BASIC = 'app.orders.id = "public"\napp.orders.email = "email"\n'


def test_only_public_is_clear_and_what_has_no_class_is_left_out_and_told():
    found = _views([ORDERS], BASIC)
    assert _shows(found) == {("app_masked", "orders"): {"id": "clear", "email": "email"}}
    assert found.unclassified == (("app", "orders", "note"),)
    assert "note" not in found.views[0].select.identifiers.values()


@pytest.mark.parametrize("klass", sorted(set(SHIPPED) - {"public"}))
def test_no_class_but_public_is_clear(klass):
    found = _views([ORDERS], f'app.orders.email = "{klass}"\napp.orders.note = "public"')
    shown = found.views[0].shows.get("email")
    assert shown != "clear"
    assert (shown is None) == (klass == "hidden")


def test_hidden_columns_are_left_out_and_not_told():
    found = _views([ORDERS], BASIC + 'app.orders.note = "hidden"')
    assert found.unclassified == ()
    (note,) = [one for one in found.columns if one.column == "note"]
    assert note.shows == {"": "left out"}


def test_a_set_of_views_reveals_classes_and_nothing_hidden_or_unclassified():
    found = _views([ORDERS], BASIC + "[views.eu]\nreveals = ['email']", sets=["eu"])
    assert _shows(found) == {
        ("app_masked", "orders"): {"id": "clear", "email": "email"},
        ("app_masked_eu", "orders"): {"id": "clear", "email": "clear"},
    }
    assert found.columns[1].shows == {"": "email", "eu": "clear"}


def test_a_set_that_is_named_in_one_place_alone_is_refused():
    """A filter under a misspelt name would be nobody's."""
    with pytest.raises(UsageError, match=r"a profile reads the views 'us', and the masks say"):
        _views([ORDERS], BASIC, sets=["", "us"])
    text = BASIC + "[views.support]\n[views.suport.rows]\napp.orders = 'false'"
    with pytest.raises(UsageError, match=r"\[views\.suport\].*did you mean 'support'\?"):
        _views([ORDERS], text, sets=["support"])


def test_relations_without_a_view_say_why():
    tables = [
        _table("empty"),
        _table("hidden", "a"),
        _table("none", "a"),
        _table("far", "a", kind="f", unmapped=True),
    ]
    found = _views(tables, 'app.hidden.a = "hidden"\napp.far.a = "email"')
    assert found.views == ()
    assert {name: why[:20] for _, name, why in found.left_out} == {
        "empty": "it has no columns",
        "hidden": "all of its columns t",
        "none": "none of its columns ",
        "far": "it is a foreign tabl",
    }
    assert found.columns[0].shows == {"": "left out"}


def test_classes_of_what_is_not_there_are_told():
    found = _views([ORDERS], BASIC + 'app.orders.mail = "email"\nhr.people.name = "name"')
    assert found.gone == (("app", "orders", "mail"), ("hr", "people", "name"))


def test_all_that_does_not_fit_is_refused_at_once():
    columns = [(f"c{number:02}", POINT) for number in range(MAX_REFUSALS + 3)]
    text = "\n".join(f'app.t.{name} = {{mask = "email"}}' for name, _ in columns)
    with pytest.raises(UsageError, match=r"app\.t column 'c00' \(point\): email.*; and 3 more$"):
        _views([_table("t", *columns)], text)


def test_a_class_whose_masks_do_not_fit_shows_nothing_of_the_value():
    found = _views([_table("t", ("where", POINT))], 'app.t.where = "email"')
    assert found.views[0].shows == {"where": "null"}


def test_partitions_are_read_through_their_root():
    tables = [
        _table("parts", "email", kind="p"),
        _table("part_1", "email", inherited=["email"], partition=True, parents=(("app", "parts"),)),
    ]
    found = _views(tables, 'app.parts.email = "email"')
    assert _shows(found) == {("app_masked", "parts"): {"email": "email"}}
    assert found.unclassified == ()


def _family(*more):
    return [
        _table("a", "email"),
        _table("b", "email", "name", inherited=["email"], parents=(("app", "a"),)),
        _table(
            "c",
            "email",
            "name",
            "own",
            inherited=["email", "name"],
            parents=(("app", "b"), ("app", "a")),
        ),
        *more,
    ]


def test_children_have_the_class_of_the_nearest_parent_that_says_one():
    found = _views(_family(), 'app.a.email = "email"\napp.b.name = "name"')
    assert _shows(found) == {
        ("app_masked", "a"): {"email": "email"},
        ("app_masked", "b"): {"email": "email", "name": "pseudonym"},
        ("app_masked", "c"): {"email": "email", "name": "pseudonym"},
    }
    assert found.unclassified == (("app", "c", "own"),)
    with pytest.raises(UsageError, match=r"app\.b column 'email': app\.a shows it too"):
        _views(_family(), 'app.a.email = "email"\napp.b.email = "hidden"')


def test_a_column_that_only_has_the_name_of_a_parents_has_no_class():
    lonely = _table("d", "email", parents=(("app", "a"),))
    found = _views(_family(lonely), 'app.a.email = "email"')
    assert ("app", "d", "email") in found.unclassified


def test_rows_that_are_hidden_in_a_table_are_hidden_in_its_children():
    text = 'app.a.email = "email"\n[rows]\napp.a = "email <> \'x\'"'
    found = _views(_family(), text)
    filters = {one.name: one.select.sql.partition("WHERE")[2] for one in found.views}
    assert "<> 'x'" in filters["a"]
    for name in "bc":
        assert "<> 'x'" in filters[name]
    assert all(one.filters for one in found.views)
    with pytest.raises(UsageError, match=r"rows of app\.b: its rows are in the view of app\.a too"):
        _views(_family(), text + "\napp.b = \"name <> 'y'\"")


def test_filters_of_a_set_are_beside_those_for_all():
    text = BASIC + "[rows]\napp.orders = 'id > 1'\n[views.eu.rows]\napp.orders = 'id < 9'"
    by_schema = {one.schema: one.select.sql for one in _views([ORDERS], text, sets=["eu"]).views}
    assert by_schema["app_masked"].endswith("WHERE (\nid > 1\n)")
    assert by_schema["app_masked_eu"].endswith("WHERE (\nid > 1\n)\n  AND (\nid < 9\n)")


def test_a_filter_of_what_has_no_view_is_refused():
    with pytest.raises(UsageError, match=r"rows of app\.order: there is no such table"):
        _views([ORDERS], BASIC + "[rows]\napp.order = 'true'")
    with pytest.raises(UsageError, match=r"rows of app\.orders: it has no view"):
        _views([ORDERS], "[views.eu.rows]\napp.orders = 'true'")


@pytest.mark.parametrize(
    ("schemas", "words"),
    [
        (["a" * 57], "has too long a name for views"),
        (["ü" * 28 + "a"], "has too long a name for views"),
        (["app", "app_masked"], "is a schema of its own"),
        (["app", "app_masked_eu"], "is a schema of its own"),
        (["holdfast_mask"], "is the server's or Holdfast's own"),
        (["pg_catalog"], "is the server's or Holdfast's own"),
        (["information_schema"], "is the server's or Holdfast's own"),
    ],
)
def test_schemas_beside_which_no_views_can_be_are_refused(schemas, words):
    with pytest.raises(UsageError, match=words):
        _views([], "", schemas, ["eu"])


@pytest.mark.parametrize("name", ["{0}", "%s", 'a"b', "ü\n", "x" * 63])
def test_names_are_places_and_no_text(name):
    found = _views(
        [_table(name, name, schema=name)],
        "",
        [name[:50]],
    )
    assert found.unclassified == ((name, name, name),)
    masks = parse([("m", {"columns": {name: {name: {name: {"mask": "pseudonym"}}}}})])
    (view,) = views([_table(name, name, schema=name)], masks, [name[:50]], []).views
    assert name in view.select.identifiers.values()
    assert name not in view.select.sql


def test_wide_tables_are_made_in_no_more_than_linear_steps():
    table = _table("wide", *(f"c{number}" for number in range(1_600)))
    text = "\n".join(f'app.wide.c{number} = "public"' for number in range(1_600))
    (view,) = _views([table], text).views
    assert len(view.shows) == 1_600
