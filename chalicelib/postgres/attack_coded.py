"""Attacks that compare what comes back with something else: with what is said in each."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final, Protocol

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from chalicelib.access.attack.clues import distinctive
from chalicelib.access.attack.judgement import COARSE, LATE, REFUSED, Judged, judge, listed
from chalicelib.access.attack.tries import Try
from chalicelib.access.profile import MAX_IDENTIFIER_BYTES
from chalicelib.postgres import attack_functions
from chalicelib.postgres.attack_facts import digest, look, put
from chalicelib.postgres.attack_versions import faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.access.attack.judgement import Exposed, Heard
    from chalicelib.postgres.attack_facts import Target
    from chalicelib.postgres.hearing import Ear

MIN_ORDERED: Final = 8  # different values: sorted by accident once in 40,320 times
MIN_EQUAL: Final = 5
MAX_TRIED: Final = 40  # values that a setting is given
MAX_CHANNELS: Final = 2_000
# Values may be their own masks here. That all of them are is no accident.
_PARTIAL: Final = frozenset({"digits", "email", "partial"})


class Coded(Protocol):
    """An attack that is written out."""

    def __call__(self, ear: Ear, target: Target, /) -> list[Judged]:
        """What came of it."""
        ...


def _shown(_ear: Ear, target: Target) -> list[Judged]:
    """Clear values in what the view shows; a mask of parts that leaves every value as it is."""
    text = "\n".join(value or "" for row in target.shown for value in row.values())
    found = (target.first or target.seeker).found(text, "")
    judged = [Judged("held", seen=True)]
    if found:
        judged.append(Judged("leaked", f"the view shows clear values of {listed(found)}"))
    for name, mask in target.exposed.shown.items() if target.exposed else ():
        clear = {row.get(name) for row in target.rows}
        seen = {v for row in target.shown if (v := row[name]) and distinctive(v)}
        if mask in _PARTIAL and len(seen) >= MIN_EQUAL and seen <= clear:
            judged.append(Judged("leaked", f"{name} is shown as it is, and its mask is {mask}"))
    return judged


def _digests(value: str) -> set[str]:
    found = set()
    for text in {value, value.lower()}:
        for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
            digest = hashlib.new(name, text.encode(), usedforsecurity=False).digest()
            found |= {digest.hex()[:24], base64.b64encode(digest).decode()[:16].casefold()}
    return found


def _unkeyed(_ear: Ear, target: Target) -> list[Judged]:
    """Digests of clear values, which anybody makes of a guess, in what the view shows."""
    judged = [Judged("held", seen=True)]
    for name, found in target.guesses.items():
        mask = target.exposed.shown[name] if target.exposed else ""
        text = "\n".join(row[name] or "" for row in target.shown).casefold()
        if mask != "hash" and any(one in text for value in found for one in _digests(value)):
            judged.append(
                Judged("leaked", f"{name} shows plain hashes, which guesses can be compared with")
            )
    return judged


def _order(ear: Ear, target: Target) -> list[Judged]:
    """The order of clear values, in rows sorted by a masked column."""
    one = target.exposed
    judged = [Judged("held", seen=True)]
    if one is None:
        return judged
    kept = [name for name, mask in one.shown.items() if mask in COARSE]
    if kept:
        judged.append(Judged("held", f"not judged, as their masks may keep order: {listed(kept)}"))
    for name in one.strict:
        if not target.key:
            why = "there is no clear column that tells rows apart, to compare an order by"
            return [*judged, Judged("untold", why)]
        judged.append(_ordered(ear, target, name))
    return judged


def _ordered(ear: Ear, target: Target, name: str) -> Judged:
    sent = put(
        ear,
        # Among equals, an order that has nothing to do with that of the rows.
        "SELECT encode(sha256(textsend({salt} || v.{key}::pg_catalog.text)), 'hex') FROM"
        " (SELECT * FROM {view} LIMIT {limit}) AS v ORDER BY v.{name},"
        " md5('hf' || v.{key}::text)",
        **{
            **target.fixed,
            "key": sql.Identifier(target.key),
            "name": sql.Identifier(name),
        },
    )
    heard = ear.say(sent)
    attempt = Try("SELECT … ORDER BY a masked column", "judged", ("42883",))
    answer = judge(attempt, heard, sent, target.seeker)
    clear = {digest(row[target.key] or ""): row.get(name) for row in target.rows}
    found = [v for row in heard.rows if (v := clear.get(row[0] or "")) is not None]
    if answer.verdict != "held" or heard.state or len(set(found)) < MIN_ORDERED:
        return answer
    for key in (str, str.casefold, _number):
        values = [key(value) for value in found]
        if None not in values and values in (sorted(values), sorted(values, reverse=True)):
            return Judged("leaked", f"sorting by {name} gives the order of its clear values")
    return answer


def _number(value: str) -> Any:
    try:
        return float(value)
    except ValueError:
        return None


# Built-in functions that masks are made of, with how they are called. Source: pg_proc.dat
_BUILT_IN: Final = (
    ("sha256", "bytea", "bytea"),
    ("convert_to", "text, name", "bytea"),
    ("md5", "text", "text"),
    ("left", "text, integer", "text"),
    ("right", "text, integer", "text"),
    ("upper", "text", "text"),
    ("lower", "text", "text"),
    ("length", "text", "integer"),
    ("char_length", "text", "integer"),
    ("substr", "text, integer, integer", "text"),
    ("substring", "text, integer, integer", "text"),
    ("replace", "text, text, text", "text"),
    ("regexp_replace", "text, text, text", "text"),
    ("translate", "text, text, text", "text"),
    ("split_part", "text, text, integer", "text"),
    ("strpos", "text, text", "integer"),
    ("repeat", "text, integer", "text"),
    ("encode", "bytea, text", "text"),
    ("date_trunc", "text, timestamptz", "timestamptz"),
    ("to_char", "timestamptz, text", "text"),
    ("textcat", "text, text", "text"),
)
_BODY: Final = "LANGUAGE plpgsql COST 0.0000001 AS $hf$ BEGIN RAISE NOTICE 'hf_shadow %', $1;"
# pg_temp comes first for relations and types, and never for functions and operators: these need a
# schema that the holder may create in. Source: PostgreSQL, search_path.
_TYPES: Final = ("text", "varchar", "bytea", "name", "date", "uuid", "json", "jsonb", "inet")
_TEMPORARY: Final = (
    f"CREATE FUNCTION pg_temp.hf_shadow(text) RETURNS boolean {_BODY} RETURN true; END $hf$; "
    "CREATE TEMP TABLE key (inner_half bytea, outer_half bytea); "
    + "".join(
        f"CREATE DOMAIN pg_temp.{name} AS pg_catalog.{name}"
        " CHECK (pg_temp.hf_shadow(VALUE::pg_catalog.text)); "
        for name in _TYPES
    )
    + "SET LOCAL search_path = pg_temp, pg_catalog, public; "
)
_FUNCTIONS: Final = (
    "".join(
        f'CREATE FUNCTION {{schema}}."{name}"({takes}) RETURNS {gives} {_BODY}'
        f" RETURN NULL::{gives}; END $hf$; "
        for name, takes, gives in _BUILT_IN
    )
    + "CREATE OPERATOR {schema}.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = {schema}.textcat);"
    " SET LOCAL search_path = {schema}, pg_catalog, public; "
)
_CREATABLE: Final = """
SELECT nspname FROM pg_namespace WHERE has_schema_privilege(oid, 'CREATE')
AND nspname NOT LIKE 'pg\\_%' LIMIT 5
"""


def _shadowing(ear: Ear, target: Target) -> list[Judged]:
    """What the view shows while other types and functions have the names that it uses."""
    before = look(ear, target)
    heard = ear.say(_CREATABLE)
    if heard.lost or heard.state:
        return [Judged("untold", heard.lost or f"the server answered SQLSTATE {heard.state}")]
    tricks = [_TEMPORARY, "CREATE SCHEMA hf_probe; " + _FUNCTIONS.replace("{schema}", "hf_probe")]
    tricks += [
        put(ear, _FUNCTIONS, schema=sql.Identifier(str(row[0]))) for row in heard.rows if row[0]
    ]
    judged = []
    for trick in tricks:
        ear.close()  # a session keeps what names meant when a function was first called in it
        heard = look(ear, target, trick)
        answer = judge(Try("SELECT … under shadowed names"), heard, "", target.seeker)
        judged.append(answer)
        if answer.verdict == "held" and not heard.state:
            if "hf_shadow" in heard.text:
                judged.append(Judged("leaked", "the view called a function of the holder's"))
            judged += _same(before, heard, "under names of the holder's")
    return judged


def _same(before: Heard, after: Heard, when: str) -> list[Judged]:
    if before.lost or before.state:
        return [Judged("untold", before.lost or f"the server answered SQLSTATE {before.state}")]
    if sorted(map(repr, before.rows)) != sorted(map(repr, after.rows)):
        return [Judged("leaked", f"the view shows other rows {when}")]
    return []


_SETTING = re.compile(r"current_setting\(\s*E?'([^']{1,63})'", re.IGNORECASE)
_DEFINED: Final = """
SELECT pg_get_viewdef(c.oid) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relname = {name} AND c.relkind = 'v' AND n.nspname IN ({schema}, {view_schema})
UNION ALL SELECT coalesce(qual, '') FROM pg_policies WHERE schemaname = {schema}
AND tablename = {name}
UNION ALL SELECT p.prosrc FROM pg_depend AS d JOIN pg_proc AS p ON p.oid = d.refobjid
WHERE d.refclassid = 'pg_proc'::regclass AND (d.objid IN (SELECT r.oid FROM pg_rewrite AS r
JOIN pg_class AS c ON c.oid = r.ev_class WHERE c.relname = {name}) OR d.objid IN
(SELECT p.oid FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
WHERE c.relname = {name}))
"""


def _filter(ear: Ear, target: Target) -> list[Judged]:
    """Settings that decide what rows there are: each is given values of the sampled rows."""
    one = target.exposed
    if one is None or not one.filtered:
        return [Judged("held")]
    defined = ear.say(put(ear, _DEFINED, **target.fixed))
    if defined.lost or defined.state:
        why = defined.lost or f"the server answered SQLSTATE {defined.state}"
        return [Judged("untold", f"definitions could not be read: {why}")]
    names = sorted(set(_SETTING.findall(defined.text)))
    tried = list(dict.fromkeys(v for row in target.rows for v in row.values() if v))[:MAX_TRIED]
    before, again = look(ear, target), look(ear, target)
    if names and _same(before, again, ""):
        return [Judged("untold", "the view shows other rows each time, so nothing can be compared")]
    judged: list[Judged] = []
    for name in names:
        for value in tried:
            sent = put(
                ear,
                "SELECT set_config({name}, {value}, true); ",
                name=sql.Literal(name),
                value=sql.Literal(value),
            )
            heard = look(ear, target, sent)
            answer = judge(Try(f"SET {name}", "judged", ("22023",)), heard, sent, target.seeker)
            judged.append(answer)
            if answer.verdict == "held" and not heard.state:
                judged += _same(before, heard, f"after SET {name}")
    return judged or [Judged("held")]


_WHO: Final = "SELECT holdfast_mask.person()"
_DISGUISES: Final = (
    "SET LOCAL application_name = 'person:hf'; ",
    "SET LOCAL hf.person = 'person:hf'; SET LOCAL holdfast.person = 'person:hf'; ",
    "SET LOCAL ROLE NONE; ",
    "RESET SESSION AUTHORIZATION; ",
    (
        "CREATE TEMP TABLE pg_roles (oid oid, rolname name); INSERT INTO pg_roles SELECT oid,"
        " session_user FROM pg_catalog.pg_roles WHERE rolname <> session_user LIMIT 1;"
        " CREATE TEMP TABLE pg_authid AS SELECT * FROM pg_roles;"
        " CREATE TEMP TABLE pg_shdescription AS SELECT r.oid AS objoid, 1260::oid AS classoid,"
        " 'person:hf' AS description FROM pg_roles AS r; SET LOCAL search_path ="
        " pg_temp, pg_catalog; "
    ),
    (
        "DO $hf$ BEGIN EXECUTE format('COMMENT ON ROLE %I IS %L', session_user, 'person:hf'); END"
        " $hf$; "
    ),
)


def _person(ear: Ear, _target: Target) -> list[Judged]:
    """Whether the function that row filters ask says somebody else after any of this."""
    before = ear.say(_WHO)
    if before.state in {"42883", "3F000", "42501"}:
        return [Judged("held", "there is no holdfast_mask.person() that this lease may call")]
    if before.state or before.lost:
        return [Judged("untold", before.lost or f"the server answered SQLSTATE {before.state}")]
    judged: list[Judged] = []
    for disguise in _DISGUISES:
        heard = ear.say(disguise + _WHO)
        if not heard.state and not heard.lost and heard.rows != before.rows:
            judged.append(Judged("leaked", f"holdfast_mask.person() is another after: {disguise}"))
        elif heard.lost or heard.state in LATE:
            judged.append(Judged("untold", heard.lost or LATE[heard.state]))
        elif heard.state and heard.state not in REFUSED:
            judged.append(
                Judged("untold", f"the server answered SQLSTATE {heard.state} to: {disguise}")
            )
    return judged or [Judged("held")]


def listening(ear: Ear, exposed: Sequence[Exposed]) -> str:
    """LISTEN on the channels that an application might use."""
    names = {"events", "changes", "table_changes", "audit", "notifications"}
    for one in exposed:
        names |= {one.name, one.schema, one.where, f"{one.name}_changed", f"{one.name}_changes"}
    channels = sorted(name for name in names if len(name.encode()) <= MAX_IDENTIFIER_BYTES)[
        :MAX_CHANNELS
    ]
    return "; ".join(put(ear, "LISTEN {name}", name=sql.Identifier(name)) for name in channels)


def _listen(_ear: Ear, target: Target) -> list[Judged]:
    """What was notified on those channels while the check ran."""
    last = target.second.keep("SELECT 1")
    if last.lost or last.state:
        return [Judged("untold", last.lost or f"the server answered SQLSTATE {last.state}")]
    found = target.seeker.found("\n".join(target.second.notified), "")
    if found:
        return [Judged("leaked", f"notifications carry clear values of {listed(found)}")]
    return [Judged("held", seen=True)]


def _replication(_ear: Ear, target: Target) -> list[Judged]:
    """Whether the role may open a replication connection. Its refusal has no SQLSTATE in libpq."""
    try:
        psycopg.connect(
            make_conninfo(**target.fields, replication="database", connect_timeout=10)
        ).close()
    except psycopg.OperationalError as error:
        text = str(error)
        if any(sign in text for sign in ("timeout", "too many", "slots", "closed", "starting")):
            return [Judged("untold", "a replication connection could not be tried")]
        return [Judged("held")]
    return [Judged("leaked", "the role may open a replication connection")]


def _server_version(ear: Ear, _target: Target) -> list[Judged]:
    found = faults(ear.version)
    return [Judged("untold", why) for why in found] or [Judged("held")]


CODED: Final[dict[str, Coded]] = {
    "shown": _shown,
    "unkeyed": _unkeyed,
    "order": _order,
    "shadowing": _shadowing,
    "filter": _filter,
    "person": _person,
    "listen": _listen,
    "replication": _replication,
    "server-version": _server_version,
    "definers": attack_functions.definers,
}
