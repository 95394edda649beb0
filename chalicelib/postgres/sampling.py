"""What of a table is sampled, and by which statement: nothing runs as the one who reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psycopg import sql

from chalicelib.access.masking.column import Family

if TYPE_CHECKING:
    import psycopg

    from chalicelib.access.masking.column import Relation, Type

MAX_STORED_BYTES: Final = 4_096  # of a value as it is stored; a larger one is counted, not read
CURSOR: Final = "hf_sample"
# Since 12.20, 13.16, 14.13, 15.8, 16.4 and 17.0. Source: PostgreSQL, release notes, CVE-2024-7348.
RESTRICTION: Final = "restrict_nonsystem_relation_kind"
# What a sample can say something about; of the others their type says all there is.
_TELLING: Final = frozenset(
    {
        Family.TEXT,
        Family.INT,
        Family.DECIMAL,
        Family.FLOAT,
        Family.DATE,
        Family.TIMESTAMP,
        Family.TIMESTAMPTZ,
        Family.JSON,
        Family.JSONB,
        Family.XML,
        Family.ENUM,
    }
)


class Fact(NamedTuple):
    """What ``sample_columns`` says of one column."""

    generated: str
    varies: bool
    permitted: bool
    made: bool
    primary: bool
    unique: bool
    refers: tuple[str, str, str] | None


def fact(row: dict[str, Any]) -> Fact:
    """One row of ``sample_columns``, without its relation and name."""
    refers = row.pop("refers")
    return Fact(**row, refers=tuple(refers) if refers else None)


def unread(of: Type, fact: Fact | None) -> str | None:
    """Why a column is not sampled; "" where its type says all there is; None where it is."""
    if fact is None:
        return "not sampled: it went away while it was read"
    if not fact.permitted:
        return "not sampled: permission denied"
    if fact.generated == "v":
        return "not sampled: a virtual column is computed by functions of its owner"
    if of.family in _TELLING:
        return None
    own = of.element[0] if of.array else of.schema
    if own != "pg_catalog" or of.family is Family.COMPOSITE:
        return "not sampled: its type is not the server's own"
    return ""


def restricted(connection: psycopg.Connection[Any]) -> bool:
    """Whether this session reads no view and no foreign table from now on, whatever a name is of.

    Their functions and servers would be somebody else's. False: the server has no such setting.
    """
    query = "SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = %s"
    return connection.execute(query, (RESTRICTION,)).fetchone() is not None


def statement(
    of: Relation, names: list[str], known: dict[str, Fact], percent: str, limit: int
) -> sql.Composed:
    """The cursor over a sample. Names stand alone: with a table's before them they may be calls."""
    places: list[sql.Composable] = []
    for name in names:
        column = sql.Identifier(name)
        if known[name].varies:
            fits = sql.SQL("CASE WHEN pg_column_size({0}) <= {1} THEN {0} END")
            places += [
                fits.format(column, sql.Literal(MAX_STORED_BYTES)),
                sql.SQL("pg_column_size({}) > {}").format(column, sql.Literal(MAX_STORED_BYTES)),
            ]
        else:
            places.append(column)
    blocks = sql.SQL(f" TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1)" if percent else "")
    return sql.SQL(
        "DECLARE hf_sample NO SCROLL CURSOR FOR SELECT {} FROM {}{} AS hf_sample{} LIMIT {}"
    ).format(
        sql.SQL(", ").join(places),
        sql.SQL("" if of.kind == "p" else "ONLY "),
        sql.Identifier(of.schema, of.name),
        blocks,
        sql.Literal(limit),
    )
