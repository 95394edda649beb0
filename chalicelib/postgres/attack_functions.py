"""Functions that a lease may call, and that may know what it may not: oracles and helpers.

Called are those that cannot write (STABLE, IMMUTABLE), in a transaction that is read only.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from psycopg import sql

from chalicelib.access.attack.judgement import REFUSED, Judged, judge, listed
from chalicelib.access.attack.tries import Try
from chalicelib.postgres.attack_facts import put

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.access.attack.judgement import Heard
    from chalicelib.postgres.attack_facts import Target
    from chalicelib.postgres.hearing import Ear

MAX_FUNCTIONS: Final = 200
MAX_GUESSES: Final = 5
_READ_ONLY: Final = "BEGIN READ ONLY; "
# Those that run with their owner's rights, that views use, or that lie where views and the key do;
# not those of extensions. The owner of what cannot read any relation of ours borrows nothing.
_CALLABLE: Final = """
SELECT n.nspname, p.proname, p.oid::regprocedure::text, p.provolatile, p.pronargs -
p.pronargdefaults, p.prosecdef, (SELECT string_agg(t.typname, ' ' ORDER BY a.at) FROM
unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, at) JOIN pg_type AS t ON t.oid = a.type)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prokind = 'f' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
AND n.nspname NOT LIKE 'pg_temp%' AND p.prorettype NOT IN ('trigger'::regtype,
'event_trigger'::regtype) AND has_schema_privilege(n.oid, 'USAGE')
AND has_function_privilege(p.oid, 'EXECUTE')
AND NOT EXISTS (SELECT 1 FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass
AND d.objid = p.oid AND d.deptype = 'e')
AND ((p.prosecdef AND EXISTS (SELECT 1 FROM pg_class AS c JOIN pg_namespace AS s
ON s.oid = c.relnamespace WHERE (s.nspname, c.relname) IN (SELECT * FROM
unnest({schemas}::text[], {names}::text[])) AND has_any_column_privilege(p.proowner, c.oid,
'SELECT'))) OR n.nspname = 'holdfast_mask' OR n.nspname = ANY ({views}::text[])
OR p.oid IN (SELECT d.refobjid FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
JOIN pg_class AS c ON c.oid = r.ev_class JOIN pg_namespace AS s ON s.oid = c.relnamespace
WHERE d.refclassid = 'pg_proc'::regclass AND s.nspname = ANY ({views}::text[])))
ORDER BY p.prosecdef DESC, 3 LIMIT {most}
"""


def definers(ear: Ear, target: Target) -> list[Judged]:
    """What such functions give, without arguments and with clear values."""
    exposed = [view.exposed for view in target.views if view.exposed]
    heard = ear.say(
        put(
            ear,
            _CALLABLE,
            schemas=sql.Literal([one.schema for one in exposed]),
            names=sql.Literal([one.name for one in exposed]),
            views=sql.Literal(sorted({one.view_schema for one in exposed})),
            most=sql.Literal(MAX_FUNCTIONS),
        )
    )
    if heard.lost or heard.state:
        return [Judged("untold", heard.lost or f"the server answered SQLSTATE {heard.state}")]
    judged: list[Judged] = [Judged("held", seen=bool(heard.rows))]
    uncalled: list[str] = []
    guesses = [(view, value) for view in target.views for value in _some(view)]
    for schema, name, signature, volatile, needed, definer, types in heard.rows:
        call = sql.Identifier(str(schema), str(name))
        takes = (types or "").split()
        if volatile == "v":
            uncalled += [str(signature)] if definer == "t" else []
        elif needed == "0":
            judged.append(_called(ear, target, str(signature), put(ear, "SELECT {f}()", f=call)))
        elif takes and set(takes) <= {"text", "varchar", "bpchar", "name", "anyelement"}:
            with_guess = partial(_with, call, len(takes))
            judged += _guessed(ear, target, str(signature), with_guess, guesses)
        elif definer == "t":
            uncalled.append(str(signature))
    if uncalled:
        why = f"not called, as they may write or take what is not known: {listed(uncalled)}"
        judged.append(Judged("untold", why))
    return judged


def _some(view: Target) -> list[str]:
    """A few clear values of a view, to call functions with."""
    return [value for found in view.guesses.values() for value in found[:MAX_GUESSES]]


def _called(ear: Ear, target: Target, signature: str, sent: str) -> Judged:
    heard = ear.say(sent, begin=_READ_ONLY)
    return _judged(target, heard, sent, signature)


def _judged(target: Target, heard: Heard, sent: str, signature: str) -> Judged:
    """Any error of the function's own is an answer: it was searched."""
    state = heard.state
    late = state.startswith(("55", "57"))
    attempt = Try(f"SELECT {signature}", "judged", () if late else (state, *REFUSED))
    return judge(attempt, heard, sent, target.seeker)


def _with(name: sql.Identifier, takes: int, value: str) -> sql.Composable:
    """A call with the value in the place of every argument."""
    arguments = sql.SQL(", ").join([sql.SQL("{}::text").format(sql.Literal(value))] * takes)
    return sql.SQL("{}({})").format(name, arguments)


def _guessed(
    ear: Ear,
    target: Target,
    signature: str,
    call: Callable[[str], sql.Composable],
    guesses: list[tuple[Target, str]],
) -> list[Judged]:
    """Whether a function of text makes of a clear value what the view shows in its place."""
    for view, value in guesses:
        sent = put(ear, "SELECT {call}::text", call=call(value))
        heard = ear.say(sent, begin=_READ_ONLY)
        answer = _judged(target, heard, sent, signature)
        if answer.verdict != "held":
            return [answer]
        made = heard.rows[0][0] if heard.rows and heard.rows[0] else None
        strict = {row[name] for row in view.shown for name in view.strict}
        if made and made != value and made in strict:
            why = f"{signature} makes of a guess what {view.where} shows: an oracle"
            return [Judged("leaked", why)]
    return [Judged("held", seen=True)]
