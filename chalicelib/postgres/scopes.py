"""What a lease would reach at a target: tables of its scope, views that mask, groups it would join.

Everything is looked up by its exact name and remembered by its oid. A masked lease never reaches a
base table: what it names has to have a view that hides it, or nothing is planned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from psycopg import errors, sql

from chalicelib.access import issue
from chalicelib.access.issue import MAX_RELATIONS, Found, Relation
from chalicelib.access.profile import EVERY, Profile, Table, masked
from chalicelib.kernel.errors import (
    CouldNotTell,
    HoldfastError,
    NotAllowed,
    NotFound,
    NotPermitted,
    TooLarge,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.access.grantor import Terms
    from chalicelib.postgres.broker import Session

_MASK: Final = (
    "it takes a view with security_barrier in SCHEMA_masked, e.g. public_masked.orders, which "
    "holdfast mask apply makes: docs/masking.md"
)
_INSTALL: Final = "run the installation of the target again, see docs/targets/postgres-access.md"


class Mark(msgspec.Struct, frozen=True):
    """What the installation writes at the group of a profile, as JSON, and the plan compares."""

    profile: str
    privileges: tuple[str, ...]
    masked: bool
    schemas: tuple[str, ...]
    holdfast: int = 1


def mark(text: str | None) -> Mark | None:
    """The mark of a comment; None, where it is another comment or none."""
    try:
        return msgspec.json.decode(text or "", type=Mark)
    except msgspec.DecodeError:
        return None


def found(session: Session, terms: Terms, *, rds_iam: bool = False) -> Found:
    """What issuing a lease on these terms rests on, as it is now.

    Raises: NotFound (no such table, view or group), NotAllowed (a view that does not hide),
    NotPermitted (the grantor may not grant it), TooLarge, UsageError.
    """
    profile, database = terms.profile, str(session.server["database"])
    issue.check(profile)
    if profile.set_role and profile.set_role not in profile.roles:
        raise UsageError(f"set_role of profile {terms.profile_name!r} is none of its roles")
    _check_roles(session, terms)
    group = ""
    relations: tuple[Relation, ...] = ()
    path: tuple[str, ...] = ()
    if terms.tables:
        if not profile.privileges:
            raise UsageError(
                f"profile {terms.profile_name!r} has no privileges on tables, so no table can be "
                "asked for"
            )
        relations = tuple(_scope(session, profile, terms.tables))
        path = _path(sorted({one.schema for one in terms.tables}), profile)
    elif profile.privileges:
        group, schemas = _group(session, terms, database)
        path = _path(schemas, profile)
    return Found(
        system=str(session.server["system"]),
        database=database,
        broker=str(session.server["role"]),
        major=session.major,
        relations=relations,
        group=group,
        path=path,
        log_statement=_log_statement(session, profile),
        rds_iam=rds_iam,
    )


def complete(session: Session, name: str, relations: Sequence[Relation]) -> bool | None:
    """Whether a scope's role has all of its privileges; None, where there is no such role.

    Raises: NotAllowed, where the grantor gave it more: a lease would have it too.
    """
    rows = session.rows(
        "complete",
        scope=name,
        grantor=issue.GRANTOR,
        oids=[one.oid for one in relations],
        kinds=[one.kind for one in relations],
        privileges=[",".join(one.privileges) for one in relations],
        schemas=sorted({one.schema for one in relations}),
    )
    if not rows:
        return None
    if rows[0]["more"]:
        raise NotAllowed(
            f"the group {name} has {rows[0]['more']} privileges more than its scope",
            next_step=f"REVOKE them from {name}: somebody granted them as {issue.GRANTOR}",
        )
    return bool(rows[0]["complete"])


def hold(session: Session, name: str) -> bool:
    """Keep the role of a scope from being dropped until the transaction ends; whether it is there.

    COMMENT takes the lock that DROP ROLE waits for, and only who has CREATEROLE can take it: an
    advisory lock could be held by any lease, against all others.
    """
    statement = sql.SQL("COMMENT ON ROLE {} IS {}").format(
        sql.Identifier(name),
        sql.Literal(issue.scope_comment(str(session.server["database"]))),
    )
    try:
        with session.connection.transaction():
            session.connection.execute(statement)
    except errors.UndefinedObject:
        return False
    return True


def _scope(session: Session, profile: Profile, tables: Sequence[Table]) -> list[Relation]:
    """The relations of a scope: the tables, or the views that mask them, and their sequences."""
    asked = [
        Table(masked(one.schema, profile.views), one.name) if profile.masked else one
        for one in tables
    ]
    rows = relations(session, asked, profile)
    there = {(row["schema"], row["name"]) for row in rows}
    schemas = {row["schema"] for row in rows}
    for original, one in zip(tables, asked, strict=True):
        if (
            (one.schema not in schemas)
            if one.name == EVERY
            else (one.schema, one.name) not in there
        ):
            raise NotFound(
                f"there is no masking view for {original}"
                if profile.masked
                else f"there is no table {original} in database {session.server['database']!r}",
                next_step=_MASK if profile.masked else "name schema.table as the catalogue has it",
            )
    taken = [
        Relation(row["schema"], row["name"], row["oid"], "table", profile.privileges)
        for row in rows
    ]
    if "INSERT" in profile.privileges:
        taken += _sequences(session, [one.oid for one in taken])
    return sorted(taken)


def relations(session: Session, asked: Sequence[Table], profile: Profile) -> list[dict[str, Any]]:
    """The rows of ``relations.sql``, all of which may be granted, and mask where they have to.

    Raises: NotAllowed, NotPermitted, TooLarge.
    """
    rows = session.rows(
        "relations",
        schemas=[one.schema for one in asked],
        names=[one.name for one in asked],
        privileges=list(profile.privileges),
        grantor=issue.GRANTOR,
        marker=issue.MARKER,
        graveyard=issue.GRAVEYARD,
        masked=profile.masked,
        suffix=masked("", profile.views),
        limit=MAX_RELATIONS + 1,
    )
    if len(rows) > MAX_RELATIONS:
        raise TooLarge(
            f"the scope names more than {MAX_RELATIONS} tables",
            next_step="ask without tables: the profile then holds for all that is installed",
        )
    for row in rows:
        shown = str(Table(row["schema"], row["name"]))
        if profile.masked and (error := _unmasked(shown, row)):
            raise error
        if row["lacking"] or not row["usable"]:
            lacking = row["lacking"] or ["USAGE on its schema"]
            raise NotPermitted(
                f"the grantor may not grant {', '.join(lacking)} on {shown}", next_step=_INSTALL
            )
    return rows


def _unmasked(shown: str, row: dict[str, Any]) -> HoldfastError | None:
    """Why a relation does not hide what is under it, if so.

    Without security_barrier a cheap function sees hidden rows; with security_invoker the lease
    would need the table itself. A view reads as its owner: one that row security does not bind
    shows the rows of everybody.
    """
    for wrong, why in (
        (row["kind"] != "v", "is no view"),
        (not row["barrier"], "has no security_barrier"),
        (row["invoker"], "reads as its caller (security_invoker)"),
        (row["bypasses"], "is owned by a role that row security of its tables does not bind"),
        (
            row["base_open"],
            f"hides a table that PUBLIC or {issue.MARKER}, so every lease, may read",
        ),
    ):
        if wrong:
            return NotAllowed(f"{shown} {why}, so it does not mask", next_step=_MASK)
    return None


def _sequences(session: Session, oids: list[str]) -> list[Relation]:
    rows = session.rows("sequences", oids=oids, grantor=issue.GRANTOR)
    for row in rows:
        if not row["grantable"]:
            raise NotPermitted(
                f"the grantor may not grant USAGE on the sequence "
                f"{Table(row['schema'], row['name'])}",
                next_step=_INSTALL,
            )
    return [
        Relation(one["schema"], one["name"], one["oid"], "sequence", ("USAGE",)) for one in rows
    ]


def _group(session: Session, terms: Terms, database: str) -> tuple[str, list[str]]:
    """The group of a profile and the schemas that it may use. Raises: NotFound, NotAllowed."""
    name = issue.group(database, terms.profile_name)
    rows = session.rows("group", role=name)
    if not rows:
        raise NotFound(
            f"profile {terms.profile_name!r} is not installed at database {database!r}",
            next_step=_INSTALL,
        )
    written = mark(rows[0]["comment"])
    profile = terms.profile
    if (
        written is None
        or written.masked != profile.masked
        or sorted(written.privileges) != sorted(profile.privileges)
    ):
        raise NotPermitted(
            f"profile {terms.profile_name!r} was installed with other privileges than it has now",
            next_step=_INSTALL,
        )
    schemas = [str(one) for one in rows[0]["schemas"]]
    if not profile.masked:
        return name, schemas
    suffix = masked("", profile.views)
    if not all(one.endswith(suffix) for one in schemas):
        raise NotPermitted(
            f"profile {terms.profile_name!r} was installed for other views than it has now",
            next_step=_INSTALL,
        )
    relations(session, [Table(one, EVERY) for one in schemas], profile)
    return name, [one.removesuffix(suffix) for one in schemas]


def _path(schemas: Iterable[str], profile: Profile) -> tuple[str, ...]:
    """search_path: the views that mask come before the tables of the same names."""
    schemas = list(schemas)
    views = [masked(one, profile.views) for one in schemas] if profile.masked else []
    return (*views, *schemas)


def _check_roles(session: Session, terms: Terms) -> None:
    """Raises: NotFound; NotAllowed, where a group leads to more than data."""
    roles = list(terms.profile.roles)
    if not roles:
        return
    own = [issue.BROKER, issue.MARKER, issue.GRAVEYARD, issue.GRANTOR, session.server["role"]]
    rows = session.rows("reach", roles=roles, own=own)
    missing = set(roles) - {row["role"] for row in rows}
    if missing:
        raise NotFound(
            f"profile {terms.profile_name!r} names roles that are not there: "
            f"{', '.join(sorted(missing))}",
            next_step="create them at the target, or change the profile",
        )
    refused = [row["role"] for row in rows if row["refused"]]
    if refused:
        raise NotAllowed(
            f"profile {terms.profile_name!r} leads to {', '.join(refused)}: a role with attributes "
            "of its own, with access to the server's files or programs, or of the broker's",
            next_step="name groups that hold privileges on data only",
        )


def _log_statement(session: Session, profile: Profile) -> str:
    if not profile.log_statement:
        return "not asked"
    row = session.row("parameter" if session.major >= _PARAMETERS else "superuser")
    if not isinstance(row["may"], bool):
        raise CouldNotTell("whether log_statement may be set")
    return "set" if row["may"] else "not permitted"


_PARAMETERS: Final = 15  # GRANT SET ON PARAMETER. Source: PostgreSQL 15, release notes
