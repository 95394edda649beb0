"""The account of every catalogue's columns, and what a server has beyond it."""

import re
from pathlib import Path

import psycopg

from chalicelib.drift.snapshot import COVERAGE, build
from chalicelib.postgres import unmodelled
from chalicelib.postgres.unmodelled import Unknown

PAGE = Path(__file__).parents[2] / "docs" / "targets" / "postgres.md"
# Why a column shows nowhere. data: rows of applications, which a scan never reads.
WORDS = {"identity", "volatile", "estimate", "physical", "advisory", "data"}
CATALOGUES = """
    SELECT c.relname::text, a.attname::text
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND c.oid < 16384
        AND a.attnum > 0 AND NOT a.attisdropped
"""
# What a newer server would have: a catalogue with a number of its own, and a column.
NEWER = (
    "CREATE TABLE pg_catalog.pg_propgraph_element (oid oid, pgename name)",
    "INSERT INTO pg_catalog.pg_propgraph_element VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    "UPDATE pg_attribute SET attrelid = 9123 WHERE attrelid = 'pg_propgraph_element'::regclass",
    "UPDATE pg_type SET typrelid = 9123 WHERE typname = 'pg_propgraph_element'",
    "UPDATE pg_class SET oid = 9123 WHERE relname = 'pg_propgraph_element'",
)
SCANNER = ("CREATE ROLE scanner LOGIN PASSWORD 'x'", "GRANT pg_read_all_settings TO scanner")


def documented():
    """Every kind, and ``kind.attribute``, that the documentation's table has."""
    found = set()
    for line in PAGE.read_text("utf-8").splitlines():
        if row := re.fullmatch(r"\| `(\w+)` \| `[^|]+` \| (.+) \|", line):
            found |= {row[1]} | {f"{row[1]}.{name}" for name in re.findall(r"`(\w+)`", row[2])}
    return found


def newer(database, *statements):
    """Change the server's own catalogues, as a superuser may."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute("SET allow_system_table_mods = on")
        for statement in statements:
            connection.execute(statement)


def gaps(objects):
    return {
        name: item.attributes
        for (kind, name), item in build(objects).objects.items()
        if kind == COVERAGE and name.startswith("pg_")
    }


def test_the_account_is_what_the_server_has(postgres_server, major):
    with psycopg.connect(postgres_server.dsn()) as connection:
        has = set(connection.execute(CATALOGUES).fetchall())
    assert set(unmodelled.known(major)) == has


def test_the_account_says_everything_once_and_of_supported_versions():
    lines = unmodelled.account()
    assert len({(line.catalogue, line.column) for line in lines}) == len(lines)
    for line in lines:
        assert (line.first or 13) <= (line.last or 18)
        assert line.first in {0, 14, 15, 16, 17, 18}
        assert line.last in {0, 13, 14, 15, 16, 17}


def test_what_shows_is_documented():
    named = {
        name
        for line in unmodelled.account()
        if line.shown not in WORDS
        for name in line.shown.removeprefix("derived from ").split(" ")
    }
    assert named - documented() == set()


def test_every_kind_of_the_catalogues_is_in_the_account():
    shown = {name.partition(".")[0] for line in unmodelled.account() for name in line.shown.split()}
    elsewhere = {"setting", "file_setting", "hba_rule", "ident_mapping", "replication_slot"}
    kinds = {name for name in documented() if "." not in name} - elsewhere
    identity = {"replication_origin", "publication_schema"}  # all they have is a name
    assert kinds - shown <= identity


def test_a_server_that_is_known_has_nothing_beyond(database):
    assert gaps(database.read().objects) == {}


def test_rows_of_a_catalogue_that_is_not_modelled_are_counted(database, major):
    newer(database, *NEWER)
    gap = gaps(database.read().objects)
    assert set(gap) == {"pg_propgraph_element"}
    assert gap["pg_propgraph_element"]["reason"] == "3 rows of a catalogue that is not modelled"
    assert f"version {major}" in gap["pg_propgraph_element"]["needs"]
    assert gap["pg_propgraph_element"]["partial"] is False
    newer(database, "INSERT INTO pg_propgraph_element VALUES (4, 'd')")
    assert gaps(database.read().objects) != gap


def test_a_catalogue_without_rows_is_none_to_tell_of(database):
    newer(database, *NEWER, "DELETE FROM pg_propgraph_element")
    assert gaps(database.read().objects) == {}


def test_a_column_that_is_not_modelled_is_told_with_what_stands_out_in_it(database):
    database.run(*(f"CREATE SEQUENCE s{n}" for n in range(4)))
    newer(
        database,
        "ALTER TABLE pg_catalog.pg_sequence ADD seqnew boolean DEFAULT false",
        "UPDATE pg_sequence SET seqnew = true WHERE seqrelid = 's2'::regclass",
    )
    gap = gaps(database.read().objects)["pg_sequence"]
    assert gap["reason"] == (
        "the column seqnew is not modelled: 1 rows have another value than most"
    )
    assert gap["attributes"] == ["seqnew"]
    assert gap["partial"] is True


def test_a_catalogue_that_the_role_may_not_read_is_told_uncounted(database):
    newer(database, *NEWER)
    database.run(*SCANNER)
    gap = gaps(database.read(database.as_role("scanner", "x")).objects)
    assert gap["pg_propgraph_element"]["reason"] == (
        "a catalogue that is not modelled, and was not counted"
    )


def test_the_statement_that_counts_is_told_with_its_text(database):
    newer(database, *NEWER)
    reading = database.read()
    [query] = [query for query in reading.queries if query.name == "unmodelled"]
    assert '"pg_catalog"."pg_propgraph_element"' in reading.texts[query.sha256]
    assert query.rows == 1


def test_names_reach_the_statement_quoted(database):
    newer(
        database,
        'CREATE TABLE pg_catalog."pg_x"" %s; DROP TABLE t --" ("a"" %(x)s" integer)',
        """INSERT INTO pg_catalog."pg_x"" %s; DROP TABLE t --" VALUES (1)""",
        "UPDATE pg_attribute SET attrelid = 9124 WHERE attrelid ="
        " (SELECT oid FROM pg_class WHERE relname LIKE 'pg\\_x\"%')",
        "UPDATE pg_class SET oid = 9124 WHERE relname LIKE 'pg\\_x\"%'",
    )
    [gap] = gaps(database.read().objects).values()
    assert gap["reason"] == "1 rows of a catalogue that is not modelled"


def test_the_newest_version_that_is_known_stands_for_newer_ones():
    rows = [
        ("pg_sequence", ["seqrelid", "seqnew"], [True, False]),
        ("pg_new", ["oid"], [True]),
    ]
    found = unmodelled.unknown(rows, 19)
    assert found == [
        Unknown("pg_sequence", "seqnew", readable=False),
        Unknown("pg_new", "", readable=True),
    ]
    assert ("pg_database", "datlastsysoid") not in unmodelled.known(19)


def test_more_than_one_statement_may_count_is_reported_all_the_same():
    found = [Unknown(f"pg_new{n}", "", readable=True) for n in range(unmodelled.COUNTED + 5)]
    told = unmodelled.objects(found, [], 19)
    assert len(told) == len(found)
    assert all("not counted" in one.attributes["reason"] for one in told)


def test_a_catalogue_that_is_named_like_a_kind_is_not_taken_for_it():
    [told] = unmodelled.objects([Unknown("table", "", readable=True)], [("table", "", 2, 0)], 19)
    assert told.name == "pg_catalog.table"
