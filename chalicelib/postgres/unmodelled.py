"""Catalogues and columns that a server has and the account does not know: counted and reported.

1. ``catalogues.sql`` lists what the server has. 2. ``catalog/account.csv`` has a line for every
column of every catalogue of the versions that are supported: where it shows in a snapshot, or why
not. 3. What it does not know (a newer version, another vendor's server) is counted, in one
statement, and becomes ``coverage``: nothing is called clean because nobody looked.

Needs: SELECT on pg_class, pg_attribute and what is counted.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from psycopg import sql

from chalicelib.drift.snapshot import Object, unreadable
from chalicelib.postgres import queries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from psycopg import Connection

    from chalicelib.postgres.queries import Statement
    from chalicelib.postgres.session import Session

COUNTED: Final = (
    200  # catalogues and columns that one statement counts; more are reported uncounted
)
_OF_CATALOGUE: Final = sql.SQL(
    "SELECT {catalogue_name}::text, {column_name}::text, count(*), 0::bigint FROM {catalogue}"
)
# What most rows have is taken for the default; every type has a text form.
_OF_COLUMN: Final = sql.SQL(
    "SELECT {catalogue_name}::text, {column_name}::text, coalesce(sum(g.n), 0)::bigint,"
    " coalesce(sum(g.n) - max(g.n), 0)::bigint FROM (SELECT count(*) AS n"
    " FROM {catalogue} AS x GROUP BY x.{column}::text) AS g"
)
_ACCOUNT: Final = files("chalicelib.postgres") / "catalog" / "account.csv"


class Line(NamedTuple):
    """A line of the account. ``first`` and ``last``: major versions; ``last`` 0 means all later."""

    catalogue: str
    column: str
    first: int
    last: int
    shown: str


class Unknown(NamedTuple):
    """Something that the account does not know; ``column`` empty: the whole catalogue.

    ``readable``: the role may count it.
    """

    catalogue: str
    column: str
    readable: bool


def look(session: Session, denied: Collection[str]) -> list[Object]:
    """The ``coverage`` of what the session's server has and the account does not know.

    ``denied``: queries that the role may not run. Raises: as ``Session.run``.
    """
    if "catalogues" in denied:  # then no kind of object can be read, and each says so
        return []
    found = unknown(session.rows("catalogues"), session.major)
    statement = counting(found, session.connection)
    if statement is None or statement.name in denied:
        return objects(found, [], session.major)
    counts = cast("list[tuple[str, str, int, int]]", session.run(statement)[1])
    return objects(found, counts, session.major)


@cache
def account() -> tuple[Line, ...]:
    """Every line of the account, as it stands in its file."""
    rows = csv.DictReader(_ACCOUNT.read_text("utf-8").splitlines())
    return tuple(
        Line(
            row["catalogue"],
            row["column"],
            int(row["first"] or 0),
            int(row["last"] or 0),
            row["shown"],
        )
        for row in rows
    )


def known(major: int) -> frozenset[tuple[str, str]]:
    """(catalogue, column) of a server of version ``major``, as the account has it."""
    return frozenset(
        (line.catalogue, line.column)
        for line in account()
        if line.first <= major and (not line.last or major <= line.last)
    )


def unknown(rows: Iterable[tuple[str, Sequence[str], Sequence[bool]]], major: int) -> list[Unknown]:
    """What the rows of ``catalogues.sql`` hold and the account does not, in their order."""
    expected = known(major)
    catalogues = {catalogue for catalogue, _ in expected}
    found: list[Unknown] = []
    for catalogue, columns, readable in rows:
        if catalogue not in catalogues:
            found.append(Unknown(catalogue, "", readable=any(readable)))
            continue
        found += (
            Unknown(catalogue, column, readable=may_read)
            for column, may_read in zip(columns, readable, strict=True)
            if (catalogue, column) not in expected
        )
    return found


def counting(found: Iterable[Unknown], connection: Connection[Any]) -> Statement | None:
    """The statement that counts them: catalogue, column, rows, rows unlike most others.

    None, where there is nothing to count.
    """
    parts = [
        (_OF_COLUMN if one.column else _OF_CATALOGUE).format(
            catalogue=sql.Identifier("pg_catalog", one.catalogue),
            column=sql.Identifier(one.column or "-"),
            catalogue_name=sql.Literal(one.catalogue),
            column_name=sql.Literal(one.column),
        )
        for one in _counted(found)
    ]
    if not parts:
        return None
    text = sql.SQL("\nUNION ALL ").join(parts).as_string(connection)
    return queries.composed("unmodelled", text)


def _counted(found: Iterable[Unknown]) -> list[Unknown]:
    return [one for one in found if one.readable][:COUNTED]


def objects(
    found: Sequence[Unknown], counts: Iterable[tuple[str, str, int, int]], major: int
) -> list[Object]:
    """One ``coverage`` object for each catalogue that is not modelled, or not wholly.

    A catalogue without rows has nothing to show and is left out. No kind has a name that begins
    with pg_.
    """
    rows = {(catalogue, column): (every, unlike) for catalogue, column, every, unlike in counts}
    said: dict[str, list[Unknown]] = {}
    for one in found:
        if rows.get((one.catalogue, one.column), (1, 0))[0]:
            said.setdefault(one.catalogue, []).append(one)
    return [
        unreadable(
            catalogue if catalogue.startswith("pg_") else f"pg_catalog.{catalogue}",
            reason="; ".join(_reason(one, rows.get((catalogue, one.column))) for one in several),
            needs=f"a release of Holdfast that knows this server, of version {major}",
            partial=bool(several[0].column),
            attributes=[one.column for one in several if one.column],
            listed=bool(several[0].column),
            optional=True,
        )
        for catalogue, several in said.items()
    ]


def _reason(one: Unknown, counted: tuple[int, int] | None) -> str:
    what = f"the column {one.column}" if one.column else "a catalogue"
    if counted is None:
        return f"{what} that is not modelled, and was not counted"
    every, unlike = counted
    if one.column:
        return f"{what} is not modelled: {unlike} rows have another value than most"
    return f"{every} rows of {what} that is not modelled"
