"""Random schemas → dump → restore → the same lines, once and twice."""

import json
from contextlib import contextmanager

import psycopg
from hypothesis import HealthCheck, Phase, event, given, note, settings
from psycopg import sql
from support.dump import OF_SERVERS, dump, restore
from support.schemas import TABLES, TYPES, schemas

from chalicelib.drift import snapshot
from chalicelib.postgres.snapshot import PostgresSource


@contextmanager
def databases(server, *names):
    """Empty databases of these names."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield [server.dsn(name) for name in names]
        finally:
            for name in names:
                query = sql.SQL("DROP DATABASE {} (FORCE)").format(sql.Identifier(name))
                admin.execute(query)


def made(dsn, statements):
    """The statements that the server took."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in (*TYPES, *TABLES):
            connection.execute(statement)
        taken = []
        for statement in statements:
            try:
                connection.execute(statement.encode())
            except psycopg.Error:
                continue
            taken.append(statement)
    return taken


def lines(dsn):
    """What a dump carries, by name; and the names of what stands as the server printed it."""
    source = PostgresSource(dsn, conceal=lambda secret: f"<{len(secret)}>")
    objects = snapshot.build(source.read(lambda kind, done, total: None).objects).objects.values()
    own = [item for item in objects if item.kind not in OF_SERVERS and "database " not in item.name]
    return (
        {item.key: json.loads(snapshot.line(item)) for item in own},
        {item.key for item in own if "raw" in item.attributes},
    )


# Not shrunk: an example takes seconds, and the failure names the definitions that differ.
@settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(statements=schemas())
def test_a_random_schema_is_the_same_after_a_dump_and_restore(postgres_server, statements):
    with databases(postgres_server, "first", "second", "third") as (first, second, third):
        for statement in (taken := made(first, statements)):
            note(statement)
        event(f"{len(taken) // 5 * 5} statements or more")
        restore(dump(first), second)
        restore(dump(second), third)
        (one, raw), (two, _), (three, _) = lines(first), lines(second), lines(third)
    assert two.keys() == one.keys()
    changed = {key for key in one if key not in raw and not one[key] == two[key] == three[key]}
    assert {key: (one[key], two[key], three[key]) for key in changed} == {}
