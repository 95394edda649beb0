"""Masking views at a target: made, changed and dropped until they are what the masks say.

In one transaction, as a superuser or as whoever may make roles and owns the tables:

1. The role that owns the views, its schema with the key, and the schemas of the views.
2. Every view that is wanted is made in a scratch place and compared with the one that is there: its
   text as the server writes it, its columns, options and owner. Then the scratch is undone.
3. The owner gets SELECT on exactly the columns that the views read, and loses all else.
4. Each is tried: whether its owner can read it. Nobody waits for a lock up to here.
5. Then it is replaced, in place where its columns allow it; else dropped and made again with all
   grants that it had, so that leases in use go on. What is not wanted any more is dropped.
6. The groups of masked profiles, and the role that scopes are granted from, get SELECT.

Nothing is dropped with CASCADE, and what somebody else owns is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import psycopg
from psycopg import errors, sql

from chalicelib.access.masking.draft import SCHEMA
from chalicelib.access.masking.views import Views, views
from chalicelib.access.plan import Step
from chalicelib.kernel.errors import Busy, HoldfastError, NotAllowed, NotPermitted, UsageError
from chalicelib.postgres import plan, reach
from chalicelib.postgres.broker import LOCK_TIMEOUT_SECONDS, contended, opened
from chalicelib.postgres.changes import changes, create, name_of, restored
from chalicelib.postgres.maskable import relations
from chalicelib.postgres.owner import Owner, owner
from chalicelib.postgres.reach import Reads

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from chalicelib.access.masking.masks import Masks
    from chalicelib.access.masking.views import View
    from chalicelib.postgres.broker import Session
    from chalicelib.postgres.changes import Changes, Name
    from chalicelib.postgres.install import Wanted

APPLY_SECONDS: Final = 1_800
ATTEMPTS: Final = 4  # of the whole, where another transaction was in the way
# What is printed is one transaction too: outside of one SET LOCAL does nothing, and what is made is
# whoever's that runs it.
_PINS: Final = [
    Step(sql="BEGIN"),
    Step(sql="SET LOCAL search_path TO pg_catalog, pg_temp"),
    Step(sql="SET LOCAL standard_conforming_strings TO on"),
]
# What a view can be refused for: its text, its types, a limit of the server.
_UNMAKEABLE: Final = (
    psycopg.ProgrammingError,
    psycopg.DataError,
    psycopg.NotSupportedError,
    errors.ProgramLimitExceeded,
)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or would be. ``made``, ``replaced`` and ``dropped``: views, by their names.

    ``again``: those of them that were dropped and made again. ``ran``: whether it was run.
    ``statements``: the SQL, in order. ``sha256``: of the steps. ``installed``: whether the profiles
    that read the views are, so that leases can.
    """

    views: Views
    statements: tuple[str, ...]
    sha256: str
    made: tuple[str, ...]
    replaced: tuple[str, ...]
    again: tuple[str, ...]
    dropped: tuple[str, ...]
    installed: bool
    ran: bool


def wanted_views(session: Session, masks: Masks, wanted: Wanted) -> Views:
    """The views that the masks make of what is there now. Raises: UsageError."""
    sets = {one.views for one in wanted.profiles.values() if one.masked}
    found = relations(session, wanted.schemas, owner(str(session.server["database"])))
    return views(found, masks, wanted.schemas, sets)


def read(dsn: str, masks: Masks, wanted: Wanted) -> Views:
    """The same, by a DSN; nothing is changed. Raises: UsageError; CouldNotTell."""
    with opened(dsn) as session, session.transaction("reading what is to be masked"):
        return wanted_views(session, masks, wanted)


def apply(
    dsn: str,
    masks: Masks,
    wanted: Wanted,
    *,
    target: str = "",
    print_only: bool = False,
    lock_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> Applied:
    """Make the views what the masks say; where only printed, all is undone again.

    ``target``: whose views they are; a database has those of one target alone.
    ``lock_seconds``: how long it waits for whoever reads a view that has to be changed.
    Raises: UsageError (a mask, a row filter), NotAllowed (what is there and not Holdfast's, or
    rests on a view that has to be dropped), NotPermitted, Busy, CouldNotTell. Then nothing changed.
    """
    with (
        opened(dsn, seconds=APPLY_SECONDS) as session,
        session.doing("applying masks"),
    ):
        session.limit(lock_seconds)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return _apply(session, masks, wanted, target, print_only=print_only)
            except psycopg.Error as error:
                # A lease that ended meanwhile: what it was granted cannot be granted again.
                again = contended(error) or isinstance(error, errors.UndefinedObject)
                waited = isinstance(error, errors.LockNotAvailable)
                if not again or waited or attempt == ATTEMPTS:
                    known = _known(error)
                    if known is None:
                        raise
                    raise known from None
    raise AssertionError  # the last attempt returned or raised


def _apply(
    session: Session, masks: Masks, wanted: Wanted, target: str, *, print_only: bool
) -> Applied:
    with session.atomic(), session.connection.transaction(force_rollback=print_only):
        _check_reach(session, wanted)
        role = owner(str(session.server["database"]))
        own = Owner(session, role, target=target, print_only=print_only)
        work = _Work(own, print_only=print_only)
        return work.apply(wanted_views(session, masks, wanted), wanted)


def _known(error: psycopg.Error) -> HoldfastError | None:
    """What an error of the server means here; None, where it means nothing in particular."""
    said = error.diag.message_primary or ""
    if contended(error):
        return Busy(
            "another session reads or changes what is to be changed, for longer than this waits: "
            "nothing was changed",
            next_step="apply it again; who is in the way shows in pg_locks and pg_stat_activity",
        )
    if isinstance(error, errors.DependentObjectsStillExist):
        detail = (error.diag.message_detail or "").splitlines()
        return NotAllowed(
            f"{said}: {'; '.join(detail[:3])}; nothing was changed",
            next_step="drop what rests on it, or move it: masking views are made by Holdfast alone",
        )
    if isinstance(error, errors.InsufficientPrivilege):
        return NotPermitted(
            f"{said}; nothing was changed",
            next_step="--dsn-env VARIABLE, with a superuser, or with who owns the database, is a "
            "member of the owners of its tables and may create roles; docs/masking.md",
        )
    return None


def _check_reach(session: Session, wanted: Wanted) -> None:
    there = {row["schema"] for row in session.rows("schemas", schemas=list(wanted.schemas))}
    missing = [one for one in wanted.schemas if one not in there]
    if missing:
        raise UsageError(
            f"there is no schema {missing[0]!r} in database {session.server['database']!r}",
            next_step="correct schemas in the target's access section",
        )


class _Work:
    """One application of masks, in one transaction."""

    def __init__(self, owner: Owner, *, print_only: bool) -> None:
        self._session = owner.session
        self._owner = owner
        self._print_only = print_only

    def apply(self, found: Views, wanted: Wanted) -> Applied:
        """All of it. Raises: as ``apply``."""
        session = self._session
        before = len(session.ran)
        self._owner.there()
        with session.member_of(self._owner.role):
            self._owner.own_schema()
            gone = self._schemas(found)
            there = self._existing()
            likes, reads = self._scratch(found.views)
            reach.hold(self._owner, reads)
            due = changes(found.views, likes, there)
            self._try(found.views, reads.schemas)
            self._change(due, there, gone)
            installed = reach.readers(self._owner, found, wanted, there)
            reach.exactly(self._owner, reads)
            self._owner.kept()
        steps = session.ran[before:]
        steps = [*_PINS, *steps, Step(sql="COMMIT")] if any(map(_lasts, steps)) else []
        return Applied(
            views=found,
            statements=tuple(plan.shown(one) for one in steps),
            sha256=plan.digest(steps),
            made=due.named("made"),
            replaced=due.named("replaced"),
            again=due.named("again"),
            dropped=due.named("dropped"),
            installed=installed,
            ran=not self._print_only,
        )

    def _schemas(self, found: Views) -> list[str]:
        """The schemas of the views, owned by the role; those of its schemas that have none more."""
        wanted = sorted({one.schema for one in found.views})
        rows = self._session.rows("mask_schema", schemas=wanted, owner=self._owner.role)
        there = {row["schema"]: row for row in rows}
        for one in wanted:
            if one not in there:
                self._owner.run(
                    "CREATE SCHEMA {schema} AUTHORIZATION {role}", schema=one, role=self._owner.role
                )
            elif there[one]["owner"] != self._owner.role:
                raise self._owner.foreign(f"the schema {one}", there[one]["owner"])
            else:
                self._owner.closed(there[one])
        return sorted(set(there) - set(wanted) - {SCHEMA})

    def _existing(self) -> dict[Name, dict[str, Any]]:
        """What is in the role's schemas, views no longer wanted among them."""
        own = self._session.rows("mask_schema", schemas=[], owner=self._owner.role)
        schemas = [row["schema"] for row in own if row["schema"] != SCHEMA]
        rows = self._session.rows("mask_views", schemas=schemas)
        for row in rows:
            what = f"{row['schema']}.{row['name']}"
            if row["owner"] != self._owner.role:
                raise self._owner.foreign(what, row["owner"])
            if row["kind"] != "v":
                raise NotAllowed(
                    f"{what} is in a schema of masking views, and is none",
                    next_step="drop it, or move it elsewhere",
                )
        return {(one["schema"], one["name"]): one for one in rows}

    def _scratch(self, wanted: Sequence[View]) -> tuple[list[dict[str, Any]], Reads]:
        """Each wanted view as the server would have it, in order; and what they read."""
        names = {f"wanted_{number}": one for number, one in enumerate(wanted)}
        session = self._session
        with session.connection.transaction(force_rollback=True):
            for name, one in names.items():
                self._make(one, (SCHEMA, name))
            rows = {row["name"]: row for row in session.rows("mask_views", schemas=[SCHEMA])}
            found = session.rows("mask_reads", schema=SCHEMA, views=list(names))
        first = {name: one.base for name, one in names.items()}
        reads = Reads(set(), {one.schema for one in first.values()})
        for row in found:
            if row["schema"] == SCHEMA:
                continue
            reads.schemas.add(row["schema"])
            if row["column"] is None:
                continue
            column = row["column"]
            base = first[row["view"]]
            if row["bare"] and (row["schema"], row["name"]) == (base.schema, base.name):
                column = next(iter(names[row["view"]].shows))  # and not one that is hidden
            reads.columns.add((row["schema"], row["name"], column))
        return [rows[name] for name in names], reads

    def _make(self, one: View, name: Name) -> None:
        """A view that is undone again. Raises: UsageError, NotPermitted."""
        try:
            self._session.connection.execute(plan.composed(create(one, name), {}))
        except _UNMAKEABLE as error:
            what = f"{one.schema}.{one.name}: {error.diag.message_primary or 'it cannot be made'}"
            if isinstance(error, errors.InsufficientPrivilege):
                raise NotPermitted(what, next_step="docs/masking.md") from None
            raise UsageError(
                what, next_step="its row filter or the value of a constant does not fit the table"
            ) from None

    def _try(self, wanted: Sequence[View], schemas: Collection[str]) -> None:
        """Raises: UsageError, where a view cannot be read as its owner reads it.

        One that stays as it is too: what its table's policies read may be another table by now.
        Planning runs functions of whoever owns the tables, which may not have the rights of the
        views' owner: with these they read the key, and what other owners' tables hold. So it is
        planned as a role with no rights but on the views, and USAGE of the schemas that these name,
        made for this and undone with it. Within
        a function with that role's rights they cannot take those of our session back: there
        SET ROLE is refused. Source: PostgreSQL, guc.c, GUC_NOT_WHILE_SEC_REST.
        """
        session, connection = self._session, self._session.connection
        tried = sql.Identifier(SCHEMA, "tried_plan")
        role, reader = (sql.Identifier(self._owner.role + end) for end in ("", "_tries"))
        before = len(session.ran)
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(reader))
            if not session.has(f"{self._owner.role}_tries"):
                session.join(f"{self._owner.role}_tries", session.server["role"])
            usable = connection.execute(
                "SELECT nspname::text FROM pg_namespace WHERE nspname::text = ANY (%s::text[])"
                " AND has_schema_privilege(oid, 'USAGE WITH GRANT OPTION')",
                (sorted(schemas),),
            ).fetchall()
            for (schema,) in usable:
                connection.execute(
                    sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(
                        sql.Identifier(str(schema)), reader
                    )
                )
            for text in ("SET LOCAL ROLE {role}", "GRANT CREATE ON SCHEMA {schema} TO {reader}"):
                connection.execute(
                    sql.SQL(text).format(role=role, reader=reader, schema=sql.Identifier(SCHEMA))
                )
            for number, one in enumerate(wanted):
                name = (SCHEMA, f"tried_{number}")
                view = sql.Identifier(*name)
                try:
                    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
                    connection.execute(plan.composed(create(one, name), {}))
                    connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(view, reader))
                    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(reader))
                    query = sql.SQL("EXPLAIN SELECT * FROM {}").format(view)
                    connection.execute(
                        sql.SQL(
                            "CREATE OR REPLACE FUNCTION {}() RETURNS void LANGUAGE sql"
                            " SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {}"
                        ).format(tried, sql.Literal(query.as_string(connection)))
                    )
                    connection.execute(sql.SQL("SELECT {}()").format(tried))
                except _UNMAKEABLE as error:
                    raise UsageError(
                        f"{one.schema}.{one.name} cannot be read by its owner, {self._owner.role}: "
                        f"{error.diag.message_primary}",
                        next_step="a row filter names columns and no whole rows; a view with "
                        "security_invoker has none of its own; a function is one that PUBLIC may "
                        "EXECUTE",
                    ) from None
        del session.ran[before:]

    def _change(self, due: Changes, there: dict[Name, dict[str, Any]], gone: Sequence[str]) -> None:
        """Run the changes; ``gone``: schemas that have no view any more.

        A lease that is issued meanwhile is granted what is about to be dropped: once the row of the
        view is ours, its grant waits, then fails, and is tried again. ``there`` is read after that.
        """
        role = self._owner.role
        if due.again:
            self._owner.act(
                Step(
                    sql="ALTER VIEW {view} SET (security_barrier=true)",
                    identifiers={"view": name_of(one)},
                )
                for one in due.again
            )
            there.update(self._existing())
        self._owner.act(due.steps())
        for one in due.again:
            name = name_of(one)
            for grantor, steps in restored(name, there[name], set(one.shows), role):
                if grantor == role:
                    self._owner.act(steps)
                else:
                    with self._session.member_of(grantor):
                        self._owner.act(steps, grantor)
        self._owner.act(
            Step(sql="DROP SCHEMA {schema}", identifiers={"schema": one}) for one in gone
        )


def _lasts(step: Step) -> bool:
    """Whether anything is left of it: not of memberships for the time being, and settings."""
    memberships = ("GRANT {group} TO {role}", "REVOKE {group} FROM {role}")
    return not step.sql.startswith(("SET LOCAL ", *memberships))
