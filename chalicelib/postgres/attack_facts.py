"""What a holder finds out about a view before attacking it, from catalogues that all may read."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psycopg import sql
from psycopg.conninfo import make_conninfo

from chalicelib.access.attack.judgement import Clues, Heard, Seeker
from chalicelib.access.masking.spec import CLEAR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.access.attack.judgement import Exposed
    from chalicelib.postgres.hearing import Ear

Row = dict[str, "str | None"]
Choices = list["Mapping[str, sql.Composable]"]

# Functions of extensions, wherever these are installed.
FUNCTIONS: Final = (
    "get_raw_page",
    "pgstattuple",
    "pgrowlocks",
    "pg_visibility",
    "pg_freespace",
    "verify_heapam",
    "hstore",
    "pg_stat_statements",
    "pg_file_write",
    "dblink_connect",
    "dblink",
    "pg_get_wal_records_info",
)
MAX_PARTS: Final = 50
LOOKED_AT: Final = 20_000  # rows of a view in which values of hidden rows are looked for
_SALT: Final = secrets.token_hex(16)
MAX_CLEAR: Final = 3  # clear columns that functions are tried on under each plan
# Words of the server's own: what stands in them is told by everybody's errors and plans.
_NAMES: Final = """
SELECT proname FROM pg_proc UNION ALL SELECT relname FROM pg_class
UNION ALL SELECT attname FROM pg_attribute UNION ALL SELECT typname FROM pg_type
UNION ALL SELECT nspname FROM pg_namespace UNION ALL SELECT rolname FROM pg_roles
UNION ALL SELECT datname FROM pg_database UNION ALL SELECT enumlabel FROM pg_enum
UNION ALL SELECT name || ' ' || coalesce(setting, '') || ' ' || short_desc || ' '
|| coalesce(extra_desc, '') || ' ' || coalesce(array_to_string(enumvals, ' '), '') FROM pg_settings
UNION ALL SELECT description FROM pg_description
UNION ALL SELECT application_name || ' ' || coalesce(backend_type, '') || ' ' || coalesce(state, '')
|| ' ' || coalesce(wait_event, '') || ' ' || coalesce(client_addr::text, '')
|| ' ' || pid FROM pg_stat_activity UNION ALL SELECT name FROM pg_available_extensions
UNION ALL SELECT oid::text FROM pg_class UNION ALL SELECT oid::text FROM pg_type
UNION ALL SELECT oid::text FROM pg_proc UNION ALL SELECT oid::text FROM pg_namespace
UNION ALL SELECT oid::text FROM pg_rewrite UNION ALL SELECT oid::text FROM pg_roles
UNION ALL SELECT oid::text FROM pg_constraint UNION ALL SELECT oid::text FROM pg_operator
"""
_COLUMNS: Final = """
SELECT a.attname, n.nspname, t.typname FROM pg_attribute AS a JOIN pg_class AS c
ON c.oid = a.attrelid JOIN pg_namespace AS s ON s.oid = c.relnamespace JOIN pg_type AS t
ON t.oid = a.atttypid JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE s.nspname = {view_schema} AND c.relname = {name} AND a.attnum > 0 AND NOT a.attisdropped
"""
_PARTS: Final = """
WITH RECURSIVE tree AS (SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n
ON n.oid = c.relnamespace WHERE n.nspname = {schema} AND c.relname = {name}
UNION SELECT i.inhrelid FROM pg_inherits AS i JOIN tree ON tree.oid = i.inhparent)
SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (c.oid IN (SELECT oid FROM tree) AND NOT (n.nspname = {schema} AND c.relname = {name}))
OR c.oid IN (SELECT t.reltoastrelid FROM pg_class AS t WHERE t.oid IN (SELECT oid FROM tree))
OR c.oid IN (SELECT d.objid FROM pg_depend AS d WHERE d.refobjid IN (SELECT oid FROM tree)
AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
AND d.deptype IN ('a', 'i') AND (SELECT relkind FROM pg_class WHERE oid = d.objid) = 'S')
ORDER BY 1, 2 LIMIT {most}
"""
_ROLES: Final = """
SELECT DISTINCT r.rolname FROM pg_roles AS r WHERE r.rolname NOT IN (current_user, session_user)
AND (r.oid IN (SELECT c.relowner FROM pg_class AS c JOIN pg_namespace AS n
ON n.oid = c.relnamespace WHERE c.relname = {name} AND n.nspname IN ({schema}, {view_schema}))
OR r.oid IN (SELECT x.grantee FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace,
LATERAL aclexplode(c.relacl) AS x WHERE c.relname = {name} AND n.nspname = {schema}))
LIMIT {most}
"""


class Facts(NamedTuple):
    """``functions``: of extensions, by ``fn_name``. ``names``: folded text, for clues."""

    functions: dict[str, sql.Composable]
    names: str


class Target(NamedTuple):
    """What attacks are made on: one view, or with empty fields the server as a whole.

    ``shown``: what the lease saw before any attack, ``limit`` rows. ``missing``: why it cannot be
    attacked at all. ``first``: judges what is in ``shown``; ``seeker`` knows less, as attacks
    also meet rows outside the sample. ``fixed`` and ``many``: what templates' places stand for.
    ``key``: a clear column that tells the sampled ``rows`` apart.
    """

    clues: Clues
    seeker: Seeker
    exposed: Exposed | None = None
    shown: Sequence[Row] = ()
    fixed: Mapping[str, sql.Composable] = {}
    many: Mapping[str, Choices] = {}
    missing: str = ""
    rows: Sequence[Mapping[str, str | None]] = ()
    key: str = ""
    guesses: Mapping[str, Sequence[str]] = {}
    first: Seeker | None = None
    views: tuple[Target, ...] = ()
    second: Any = None
    fields: Mapping[str, str] = {}

    @property
    def where(self) -> str:
        """The relation's name, or ""."""
        return self.exposed.where if self.exposed else ""

    @property
    def strict(self) -> tuple[str, ...]:
        """The view's columns whose masked value is never the clear one."""
        return self.exposed.strict if self.exposed else ()

    def judged_by(
        self,
        clues: Clues,
        seeker: Seeker,
        rows: Sequence[Mapping[str, str | None]],
        key: str,
        guesses: Mapping[str, Sequence[str]],
    ) -> Target:
        """The same with what leaks are told by, and with places for guesses."""
        strict: Choices = [
            {"strict": sql.Identifier(name), "guesses": sql.Literal([digest(one) for one in found])}
            for name, found in guesses.items()
        ]
        return self._replace(
            clues=clues,
            seeker=seeker,
            rows=rows,
            key=key,
            guesses=guesses,
            many={**self.many, "strict": strict},
        )

    def visible(
        self, ear: Ear, key: str, rows: Sequence[Mapping[str, str | None]]
    ) -> list[Mapping[str, str | None]] | None:
        """Rows of the sample that the lease sees. None: it could not be asked."""
        seen = self.digests(ear, key, {row[key] or "" for row in rows}, LOOKED_AT)
        return None if seen is None else [row for row in rows if digest(row[key] or "") in seen]

    def among(self, ear: Ear, found: set[str]) -> set[str]:
        """Which of the values stand in a clear column of rows that the lease sees."""
        seen: set[str] = set()
        for name, mask in self.exposed.shown.items() if self.exposed and found else ():
            if mask == CLEAR:
                seen |= self.digests(ear, name, found, LOOKED_AT) or set()
        return {one for one in found if digest(one) in seen}

    def digests(self, ear: Ear, name: str, values: set[str], limit: int) -> set[str] | None:
        """Digests of those of the values that the view shows in a column.

        No value is sent: statements stand in the server's log, and in pg_stat_activity.
        """
        heard = ear.say(
            _put(
                ear,
                "SELECT DISTINCT d.x FROM (SELECT encode(sha256(textsend({salt} ||"
                " v.{name}::pg_catalog.text)), 'hex') AS x FROM {view} AS v LIMIT {most}) AS d"
                " WHERE d.x = ANY ({known}::text[])",
                {
                    **self.fixed,
                    "name": sql.Identifier(name),
                    "most": sql.Literal(limit),
                    "known": sql.Literal(sorted(digest(one) for one in values)),
                },
            )
        )
        if heard.state or heard.lost:
            return None
        return {row[0] for row in heard.rows if row[0]}


def digest(value: str) -> str:
    """What is sent in a value's place, in hexadecimal; by a salt of this process."""
    return hashlib.sha256((_SALT + value).encode("utf-8", "surrogateescape")).hexdigest()


def names_of(ear: Ear) -> Facts:
    """What there is at the server, whatever the view."""
    known = _put(
        ear,
        "SELECT DISTINCT ON (p.proname) p.proname, n.nspname FROM pg_proc AS p JOIN pg_namespace"
        " AS n ON n.oid = p.pronamespace WHERE p.proname = ANY ({known}::text[])"
        " AND n.nspname NOT LIKE 'pg_temp%' ORDER BY 1, 2",
        {"known": sql.Literal(list(FUNCTIONS))},
    )
    functions: dict[str, sql.Composable] = {
        f"fn_{name}": sql.Identifier(str(schema), str(name)) for name, schema in ear.say(known).rows
    }
    return Facts(functions, ear.say(_NAMES).text.casefold())


def read(ear: Ear, one: Exposed, limit: int) -> Target:
    """The view as the lease finds it."""
    fixed = _fixed(ear, one, limit)
    empty = Target(Clues({}, []), Seeker({}), exposed=one, fixed=fixed)
    types = {row[0]: row[1:] for row in ear.say(_put(ear, _COLUMNS, fixed)).rows}
    absent = [name for name in one.shown if name not in types]
    if absent:
        return empty._replace(missing=f"the view has no {', '.join(absent)}, or is not there")
    shown = look(ear, empty)
    if shown.lost or shown.state:
        why = shown.lost or f"the server answered SQLSTATE {shown.state}"
        return empty._replace(missing=f"the lease cannot read the view: {why}")
    rows = [dict(zip(one.shown, row, strict=True)) for row in shown.rows]
    most = {**fixed, "most": sql.Literal(MAX_PARTS)}
    parts = ear.say(_put(ear, _PARTS, most)).rows
    roles = ear.say(_put(ear, _ROLES, most)).rows
    clear = [name for name, mask in one.shown.items() if mask == CLEAR][:MAX_CLEAR]
    many: dict[str, Choices] = {
        "clear": [{"clear": sql.Identifier(name)} for name in clear],
        "column": [{"column": sql.Identifier(name)} for name in one.masked],
        "any": [{"any": sql.Identifier(name)} for name in one.shown],
        "out": [{"out": sql.Identifier(name)} for name in one.concealed],
        "left": [{"left": sql.Identifier(name)} for name in one.left_out],
        "part": [{"part": sql.Identifier(str(row[0]), str(row[1]))} for row in parts],
        "role": [{"role": sql.Identifier(str(row[0]))} for row in roles],
        "typed": _typed(one, rows, types),
    }
    return empty._replace(shown=rows, many=many)


def _typed(one: Exposed, rows: Sequence[Row], types: Mapping[Any, Sequence[Any]]) -> Choices:
    """Columns with a value that they show, for operators of their type."""
    found: Choices = []
    for name in one.shown:
        value = next((row[name] for row in rows if row[name] is not None), None)
        if value is not None:
            found.append(
                {
                    "typed": sql.Identifier(name),
                    "type": sql.Identifier(*types[name]),
                    "shown": sql.Literal(value),
                }
            )
    return found


def look(ear: Ear, target: Target, before: str = "") -> Heard:
    """What the view shows, as text, in the order that its rows come in."""
    one = target.exposed
    if one is None:
        return Heard("", [], "")
    texts = sql.SQL(", ").join(
        sql.SQL("v.{}::pg_catalog.text").format(sql.Identifier(name)) for name in one.shown
    )
    query = "SELECT {texts} FROM {view} AS v LIMIT {limit}"
    return ear.say(before + _put(ear, query, {**target.fixed, "texts": texts}))


def _fixed(ear: Ear, one: Exposed, limit: int) -> dict[str, sql.Composable]:
    base, view = sql.Identifier(one.schema, one.name), sql.Identifier(one.view_schema, one.name)
    connection = ear.wire()
    view_text, base_text = view.as_string(connection), base.as_string(connection)
    return {
        "base": base,
        "view": view,
        "base_text": sql.Literal(base_text),
        "view_text": sql.Literal(view_text),
        "schema": sql.Literal(one.schema),
        "view_schema": sql.Literal(one.view_schema),
        "view_schema_name": sql.Identifier(one.view_schema),
        "name": sql.Literal(one.name),
        "limit": sql.Literal(limit),
        "salt": sql.Literal(_SALT),
        # Text within text: both were quoted by psycopg.
        "query_text": sql.Literal(f"SELECT * FROM {view_text} LIMIT {limit}"),  # noqa: S608
        "base_query_text": sql.Literal(f"SELECT * FROM {base_text} LIMIT {limit}"),  # noqa: S608
    }


def conninfo_of(fields: Mapping[str, str]) -> str:
    """Where a connection that the server makes would go: to the same database, by no password."""
    return make_conninfo(dbname=fields.get("dbname", ""), port=fields.get("port", ""))


def _put(ear: Ear, template: str, places: Mapping[str, sql.Composable]) -> str:
    return sql.SQL(template).format(**places).as_string(ear.wire())


def put(ear: Ear, template: str, **places: sql.Composable) -> str:
    """A template as a statement."""
    return _put(ear, template, places)
