"""What the server cannot tell apart is one text; what it can, never is."""

import re

import psycopg
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from support import schemas

from chalicelib.postgres import grammar, normal, restored
from chalicelib.postgres.normal import MAX_CHARACTERS
from chalicelib.postgres.normal import normal as normalised

READ = "SELECT pg_get_viewdef('{}'::regclass), ev_action::text FROM pg_rewrite WHERE ev_class = '{}'::regclass"
LOCATIONS = re.compile(r":(?:\w*location|stmt_len|list_start|list_end) -?\d+")
OFTEN = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def reading(postgres_server):
    """A connection to a database with the tables of random expressions."""
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE reading")
        try:
            with psycopg.connect(postgres_server.dsn("reading")) as connection:
                for statement in (*schemas.TYPES, *schemas.TABLES):
                    connection.execute(statement)
                connection.commit()
                yield connection
        finally:
            admin.execute("DROP DATABASE reading (FORCE)")


def read(connection, text):
    """What the server prints of a view with this definition, and its tree; None, where refused."""
    try:
        connection.execute("SET LOCAL search_path = public")
        connection.execute(f"CREATE VIEW public.seen AS {text}".encode())
        connection.execute("SET LOCAL search_path = pg_catalog")
        printed, tree = connection.execute(READ.format("public.seen", "public.seen")).fetchone()
        return printed, LOCATIONS.sub("", tree)
    except psycopg.Error:
        return None
    finally:
        connection.rollback()


def restored_often(connection, text):
    """What the server prints first, last, and its last tree: it reads its own until that stays."""
    first = found = read(connection, text)
    for _ in range(4):
        again = found and read(connection, found[0])
        if again is None:
            return None
        if again == found:
            return first[0], *found
        found = again
    raise AssertionError("printing it does not come to an end")


def check(connection, text):
    found = restored_often(connection, text)
    if found is None:
        event("refused")
        return
    printed, last, tree = found
    result, certain = normalised("statement", printed)
    event(f"certain {certain}, changed {result != printed}")
    assert normalised("statement", result) == (result, certain)
    if not certain:
        assert result == printed
        return
    assert normalised("statement", last) == (result, True)
    assert read(connection, result)[1] == tree


@OFTEN
@given(expression=schemas.expressions)
def test_an_expression_means_the_same_and_is_the_same_after_a_restore(reading, expression):
    check(reading, f"SELECT ({expression}) AS x FROM t")


@OFTEN
@given(view=schemas.views())
def test_a_view_means_the_same_and_is_the_same_after_a_restore(reading, view):
    check(reading, view)
