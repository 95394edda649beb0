"""What the server comes with: shown where it is not as it came."""

import pytest

OWNED = [
    ("SCHEMA", "information_schema", "schema"),
    ("TABLE", "information_schema.sql_sizing", "table"),
    ("VIEW", "information_schema.tables", "view"),
    ("DOMAIN", "information_schema.cardinal_number", "type"),
]
PLPGSQL = ("DROP EXTENSION plpgsql", "CREATE EXTENSION plpgsql")


def test_a_membership_of_the_servers_own_that_was_revoked_stands_in_its_place(database):
    before = database.scan()
    database.run("REVOKE pg_read_all_stats FROM pg_monitor")
    try:
        seen = database.scan()
    finally:
        database.run("GRANT pg_read_all_stats TO pg_monitor")
    key = ("membership", "pg_monitor in pg_read_all_stats")
    assert seen.objects.keys() - before.objects.keys() == {key}
    assert seen.objects[key].attributes == {"of": "role pg_monitor", "revoked": True}
    assert database.scan().data == before.data


def test_a_membership_of_the_servers_own_that_was_changed_is_not_revoked(database):
    database.run("GRANT pg_read_all_stats TO pg_monitor WITH ADMIN OPTION")
    try:
        seen = database.scan()
    finally:
        database.run("REVOKE ADMIN OPTION FOR pg_read_all_stats FROM pg_monitor")
    attributes = seen.objects["membership", "pg_monitor in pg_read_all_stats"].attributes
    assert attributes["admin"] is True
    assert "revoked" not in attributes


@pytest.mark.parametrize(("word", "name", "kind"), OWNED)
def test_an_object_of_the_server_with_another_owner_is_told(database, word, name, kind):
    before = database.scan().objects
    database.run("CREATE ROLE alice", f"ALTER {word} {name} OWNER TO alice")
    assert database.scan().objects[kind, name].attributes["owner"] == "alice"
    assert (kind, name) not in before or before[kind, name].attributes["owner"] == "postgres"


def test_the_servers_own_functions_and_views_are_digested_alike_in_every_database(
    database, other_database
):
    database.run(*PLPGSQL)  # what belongs to extensions is told there
    for name in ("pg_catalog", "information_schema"):
        one, other = (
            where.scan().objects["schema", name].attributes for where in (database, other_database)
        )
        assert one == other
        assert " functions, sha256 " in one["functions"]
        assert " views, sha256 " in one["views"]


def test_a_new_owner_of_a_range_is_its_multiranges_too(database):
    database.run("CREATE ROLE alice", "CREATE TYPE r AS RANGE (subtype = float8)")
    database.run("ALTER TYPE r OWNER TO alice")
    assert "multirange_owner" not in database.scan().objects["type", "public.r"].attributes
