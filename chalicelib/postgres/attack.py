"""Attacks on masking views, run with the credential of a masked lease, and judged.

Nothing is changed at the target: every attack is a transaction that is rolled back, writes name no
row, nothing is made outside pg_temp that a holder may make, and no lock is asked for that keeps
others from reading or writing. Needs: what the lease has. ``values`` needs SELECT on the relations
and BYPASSRLS, or their owner.
"""

from __future__ import annotations

import time
from itertools import product
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psycopg import sql

from chalicelib.access.attack.clues import FEW
from chalicelib.access.attack.judgement import (
    ANY_VIEW,
    ATTACKS,
    COARSE,
    SEEN_ROWS,
    Clues,
    Judged,
    Outcome,
    Seeker,
    Values,
    clues,
    judge,
    outcome,
)
from chalicelib.access.masking.spec import CLEAR
from chalicelib.kernel.errors import CouldNotTell, Unsupported
from chalicelib.postgres import attack_coded
from chalicelib.postgres.attack_facts import Facts, Target, conninfo_of, names_of, read
from chalicelib.postgres.connection import connect, describe, translated
from chalicelib.postgres.hearing import Ear
from chalicelib.postgres.sampling import RESTRICTION, restricted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import psycopg

    from chalicelib.access.attack.judgement import Exposed
    from chalicelib.access.attack.tries import Attack, Try

LIMIT: Final = 200  # rows of a view that an attack reads, and that `values` reads of its table
TOTAL_SECONDS: Final = 1_800.0
SAMPLE_SECONDS: Final = 30  # of one statement of `values`
_LOCATED: Final = "reading clear values to judge attacks by"


def values(dsn: str, exposed: Sequence[Exposed], *, rows: int = LIMIT) -> Values:
    """Clear values of the first ``rows`` rows of each relation, as text, read only.

    Kept in memory, and never shown. Views, foreign tables and virtual columns have none here: to
    read them runs functions of their owners as this reader. Raises: UsageError, CouldNotTell;
    Unsupported, where the server cannot refuse what becomes a view meanwhile; NotPermitted, also
    where row security would hide rows from this reader.
    """
    where = describe(dsn)
    found: dict[tuple[str, str], list[dict[str, str | None]]] = {}
    whole: set[tuple[str, str]] = set()
    with connect(dsn) as connection, translated(where, _LOCATED):
        for pin in (
            "SET TRANSACTION READ ONLY",
            f"SET LOCAL statement_timeout = '{SAMPLE_SECONDS}s'",
            "SET LOCAL row_security = off",
            "SET LOCAL synchronize_seqscans = off",
            "SET LOCAL max_parallel_workers_per_gather = 0",
            "SET LOCAL TimeZone = 'UTC'",
            "SET LOCAL DateStyle = 'ISO, YMD'",
            "SET LOCAL IntervalStyle = 'postgres'",
            "SET LOCAL bytea_output = 'hex'",
            "SET LOCAL extra_float_digits = 1",
            "SET LOCAL search_path = pg_catalog",
            "SET LOCAL client_encoding = 'UTF8'",
        ):
            connection.execute(sql.SQL(pin))
        # What is a table now could be a view of its owner's a moment later.
        if not restricted(connection):
            raise Unsupported(
                f"the server has no {RESTRICTION}: whoever owns a table could run functions as who "
                "reads it here",
                next_step="run the current minor version of PostgreSQL",
            )
        for one in exposed:
            readable = _readable(connection, one)
            if not readable:
                continue
            kept = _rows(connection, one, readable, rows)
            found[one.schema, one.name] = kept
            if len(kept) < rows:
                whole.add((one.schema, one.name))
        keys = _keys(connection.execute)
        connection.rollback()
    return Values(found, keys, whole)


def _readable(connection: psycopg.Connection[Any], one: Exposed) -> list[str]:
    """The columns whose values can be read without running anybody's code as this reader.

    None of a view or foreign table, whose functions and servers are somebody else's, nor of what
    has one for a partition or child; and no virtual column. Source: PostgreSQL, CREATE TABLE,
    "GENERATED ALWAYS AS".
    """
    rows = connection.execute(
        "SELECT a.attname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE n.nspname::text = %s::text AND c.relname::text = %s::text"
        " AND c.relkind IN ('r', 'p', 'm') AND a.attgenerated <> 'v' AND NOT EXISTS ("
        "WITH RECURSIVE down AS (SELECT c.oid UNION"
        " SELECT i.inhrelid FROM down JOIN pg_inherits i ON i.inhparent = down.oid)"
        " SELECT FROM down JOIN pg_class f ON f.oid = down.oid WHERE f.relkind = 'f')",
        (one.schema, one.name),
    ).fetchall()
    there = {str(row[0]) for row in rows}
    return [name for name in (*one.shown, *one.left_out) if name in there]


def _rows(
    connection: psycopg.Connection[Any], one: Exposed, names: Sequence[str], limit: int
) -> list[dict[str, str | None]]:
    """Rows as text, as types write themselves: a cast to text can be a function of somebody's."""
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    query = sql.SQL("SELECT {} FROM {} LIMIT {}").format(
        columns, sql.Identifier(one.schema, one.name), limit
    )
    result = connection.execute(query).pgresult
    if result is None:
        raise CouldNotTell(f"the values of {one.schema}.{one.name} were not sent")
    kept = []
    for number in range(result.ntuples):
        values = (result.get_value(number, place) for place in range(len(names)))
        texts = (None if one is None else one.decode("utf-8", "replace") for one in values)
        kept.append(dict(zip(names, texts, strict=True)))
    return kept


def _keys(execute: Callable[[sql.SQL], object]) -> list[str]:
    """The key's halves in hexadecimal, where there is a key and it may be read."""
    may = "SELECT has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')"
    of = "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    named = "WHERE n.nspname = 'holdfast_mask' AND c.relname = 'key'"
    row = execute(sql.SQL(f"{may} {of} {named}")).fetchone()  # type: ignore[attr-defined]
    if row is None or not row[0]:
        return []
    halves = sql.SQL("SELECT encode(\"inner\", 'hex'), encode(\"outer\", 'hex') FROM")
    found = execute(sql.SQL(f"{halves.as_string()} holdfast_mask.key LIMIT 1")).fetchone()  # type: ignore[attr-defined]
    return [str(half) for half in found or () if half]


class _Clock(NamedTuple):
    """When the check ends."""

    until: float
    seconds: float
    now: Callable[[], float]

    def over(self) -> bool:
        return self.now() >= self.until


def run(
    fields: dict[str, str],
    exposed: Sequence[Exposed],
    clear: Values,
    *,
    tell: Callable[[str], None] = lambda _step: None,
    seconds: float = TOTAL_SECONDS,
    now: Callable[[], float] = time.monotonic,
    only: Collection[str] = (),
) -> list[Outcome]:
    """Every attack on every view, then those on the server; in the order of ATTACKS each.

    ``fields``: libpq's, of the lease's credential. ``tell`` is called with each relation's name
    before its attacks, and with "" before those on the server. What is not reached within
    ``seconds`` of ``now`` is untold. ``only``: the attacks that are wanted, by id; () is all.
    Raises: CouldNotTell, where the lease cannot connect at all.
    """
    clock = _Clock(now() + seconds, seconds, now)
    found: list[Outcome] = []
    views: list[Target] = []
    with Ear(fields) as ear, Ear(fields) as second:
        second.keep(attack_coded.listening(ear, exposed))
        facts = names_of(ear)
        for one in exposed:
            tell(one.where)
            view = None if clock.over() else _target(ear, facts, one, clear)
            if view is not None:
                views.append(view)
            found += _attacked(ear, facts, one.where, view, clock, each=True, only=only)
        tell("")
        everything = _everything(exposed, views, clear, fields)
        everything = everything._replace(views=tuple(views), second=second)
        found += _attacked(ear, facts, "", everything, clock, each=False, only=only)
    return found


def _attacked(
    ear: Ear,
    facts: Facts,
    where: str,
    target: Target | None,
    clock: _Clock,
    *,
    each: bool,
    only: Collection[str],
) -> Iterator[Outcome]:
    for attack in ATTACKS:
        if attack.each is not each or (only and attack.id not in only):
            continue
        if target is None or clock.over():
            why = f"the time of the check, {clock.seconds:g} seconds, was over"
            yield Outcome(attack.id, where, "untold", why)
        elif target.missing:
            yield Outcome(attack.id, where, "untold", target.missing)
        else:
            judged = [*_tried(ear, facts, attack, target)]
            coded = attack_coded.CODED.get(attack.id)
            if coded is not None:
                judged += coded(ear, target)
            yield outcome(attack.id, where, judged, target.clues)


def _tried(ear: Ear, facts: Facts, attack: Attack, target: Target) -> Iterator[Judged]:
    for attempt in attack.tries:
        if not attempt.since <= ear.major <= attempt.until:
            continue
        if "{guesses}" in attempt.sql and set(target.guesses) != set(target.strict):
            yield Judged("held", seen=True)  # of a column that lacks values nothing was guessed
        for sent in _texts(ear, facts, attempt, target):
            yield judge(attempt, ear.say(sent), sent, target.seeker)


def _texts(ear: Ear, facts: Facts, attempt: Try, target: Target) -> Iterator[str]:
    """The statements of a template, one for each of the names that its places stand for."""
    places = {field for _, field, _, _ in Formatter().parse(attempt.sql) if field}
    wanted = {place for place in places if place.startswith("fn_")}
    if not wanted <= facts.functions.keys():
        return  # such an extension is not there
    fixed: dict[str, sql.Composable] = {
        **target.fixed,
        **{place: facts.functions[place] for place in wanted},
    }
    many: list[list[Mapping[str, sql.Composable]]] = [
        choices for place, choices in target.many.items() if place in places
    ]
    connection = ear.wire()
    for choice in product(*many):
        put = dict(fixed)
        for names in choice:
            put |= names
        yield sql.SQL(attempt.sql).format(**put).as_string(connection)


def _target(ear: Ear, facts: Facts, one: Exposed, clear: Values) -> Target:
    """What is known of a view to somebody with this lease, and what leaks are told by."""
    rows = clear.rows.get((one.schema, one.name), [])
    view = read(ear, one, LIMIT)
    if view.missing:
        return view
    key = _key(one, rows)
    visible = view.visible(ear, key, rows) if one.filtered and key else None
    known = {row.get(key) for row in rows} if key else set()
    masks = [
        value or ""
        for row in view.shown
        for name, value in row.items()
        # Clear columns of rows outside the sample are as clear as those in it.
        if one.shown.get(name) in COARSE
        or (one.shown.get(name) == CLEAR and key and row.get(key) not in known)
    ]
    found = clues(
        one,
        rows,
        rows if not one.filtered else visible,
        "\n".join(masks).casefold(),
        facts.names,
    )
    first = Seeker(found.usable, clear.keys)
    if one.filtered or (one.schema, one.name) not in clear.whole:
        found = _not_shown(ear, view, found)
    if rows and (not view.shown or visible == []):
        found.lacking.append(SEEN_ROWS)
    guesses = {name: found.usable[name][:FEW] for name in one.strict if name in found.usable}
    seeker = Seeker(found.usable, clear.keys)
    return view.judged_by(found, seeker, rows, key, guesses)._replace(first=first)


def _key(one: Exposed, rows: Sequence[Mapping[str, str | None]]) -> str:
    """A clear column that tells the rows of a sample apart, or ""."""
    for name, mask in one.shown.items():
        found = [row.get(name) for row in rows]
        if mask == CLEAR and found and None not in found and len(set(found)) == len(found):
            return name
    return ""


def _not_shown(ear: Ear, view: Target, found: Clues) -> Clues:
    """The clues without what clear columns of rows outside the sample show as well."""
    seen = view.among(ear, {one for values in found.usable.values() for one in values})
    left = {
        name: [one for one in values if one not in seen] for name, values in found.usable.items()
    }
    lacking = [name for name, values in left.items() if not values]
    usable = {name: values for name, values in left.items() if values}
    return Clues(usable, [*found.lacking, *lacking])


def _everything(
    exposed: Sequence[Exposed],
    views: Sequence[Target],
    clear: Values,
    fields: Mapping[str, str],
) -> Target:
    """All relations as one, for what attacks the server as a whole."""
    usable = {
        f"{view.where}: {name}": found[: FEW if len(exposed) <= FEW else 4]
        for view in views
        for name, found in view.clues.usable.items()
    }
    # What a single view lacks is said of that view.
    lacking = [] if usable or not exposed else [ANY_VIEW]
    fixed = {"conninfo": sql.Literal(conninfo_of(fields))}
    return Target(Clues(usable, lacking), Seeker(usable, clear.keys), fixed=fixed, fields=fields)
