import itertools
import re

import pytest

from chalicelib.kernel import canon
from chalicelib.postgres import queries, rows
from chalicelib.postgres.concealing import Concealer
from chalicelib.postgres.rows import IncompleteError, Reader

VERSIONS = range(13, 19)
NOTHING = Concealer(lambda secret: "")


@pytest.mark.parametrize("name", sorted({*queries.kinds(), *queries.SUPPORT}))
@pytest.mark.parametrize("major", VERSIONS)
def test_a_file_gives_plain_sql_for_every_version(name, major):
    statement = queries.load(name, major)
    assert statement.sha256 == canon.sha256(statement.sql.encode())
    assert "--" not in statement.sql
    assert statement.needs
    assert statement.since in {13, 15}
    assert "information_schema" not in statement.sql


def test_versions_differ_where_the_catalogue_does():
    texts = {queries.load("database", major).sql for major in VERSIONS}
    assert len(texts) == 4  # 13 and 14, 15, 16, 17 and 18
    assert "daticulocale" in queries.load("database", 16).sql
    assert "daticulocale" not in queries.load("database", 17).sql
    assert "daticulocale" not in queries.load("database", 14).sql


def test_lines_for_catalogues_that_cannot_be_read_are_left_out():
    assert "FROM pg_proc" in queries.load("fingerprint", 18).sql
    assert "FROM pg_proc" not in queries.load("fingerprint", 18, unreadable=["pg_proc"]).sql


def test_every_query_can_be_sent_to_a_database_of_any_encoding():
    for name, major in itertools.product((*queries.kinds(), *queries.SUPPORT), range(13, 19)):
        assert queries.load(name, major).sql.isascii(), name


def test_no_query_holds_a_place_for_an_identifier():
    for name in (*queries.kinds(), *queries.SUPPORT):
        parts = queries.load(name, 18).sql.split("%(")[1:]
        assert {part.partition(")")[0] for part in parts} <= {"lock", "since", "statement", "xmins"}


def test_a_required_column_that_is_null_is_no_object():
    statement = queries.load("view", 18)
    columns = ["name", "meta_xmin", "definition__statement"]
    with pytest.raises(IncompleteError):
        Reader(statement, columns, NOTHING).objects([(["a", "b"], [], None)])


def test_a_grantor_that_is_gone_has_an_empty_name():
    assert rows._privileges([["SELECT", None, "false"]]) == {"select": ['by ""']}


# Temporary schemas, and identifiers that need no quotes.
PATTERNS = {"^pg_(toast_)?temp_[0-9]+$", "^[a-z_][a-z0-9_$]*$"}


def test_schemas_that_come_and_go_are_told_by_one_pattern_everywhere():
    for name in (*queries.kinds(), *queries.SUPPORT):
        text = queries.load(name, 18).sql
        patterns = set(re.findall(r"nspname !?~ '([^']*)'", text))
        assert patterns <= PATTERNS, name
        assert not re.search(r"nspname (LIKE|!~~)", text), name


def test_a_line_that_lacks_a_catalogue_is_there_where_this_is_closed():
    closed = queries.load("role", 18, unreadable=["pg_authid"])
    assert closed.closed
    assert "pg_authid" not in closed.sql.replace("'pg_authid'::regclass", "")
    assert "JOIN pg_authid" in queries.load("role", 18).sql
    assert not queries.load("role", 18).closed


@pytest.mark.parametrize(("major", "hidden"), [(13, 3), (14, 1), (18, 1)])
def test_what_a_closed_catalogue_hides_is_told_by_version(major, hidden):
    found = queries.load("subscription", major, unreadable=["pg_subscription"])
    assert len(found.hides) == hidden
    assert set(found.hides) >= {"conninfo"}


def test_what_is_closed_to_ordinary_roles_may_be_signed_for():
    reads = {name: queries.load(name, 18, unreadable=queries.GUARDED) for name in queries.kinds()}
    closed = {name for name, one in reads.items() if one.closed}
    assert closed == {name for name, one in reads.items() if one.optional}
    assert len(closed) == len(queries.GUARDED)


def test_a_line_that_reads_two_catalogues_goes_with_either():
    for one in ("pg_enum", "pg_type"):
        assert "FROM pg_enum" not in queries.load("fingerprint", 18, unreadable=[one]).sql
