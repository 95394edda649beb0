"""What a target needs before leases can be issued there: roles and grants, as reviewable SQL.

``statements`` is pure: from what was found at the server and what is wanted it makes the steps.
Running them again changes nothing. Run as a superuser, or as a role with CREATEROLE that owns the
database and is a member of the owners of its tables, as the master user of Amazon RDS can be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access import issue
from chalicelib.access.plan import Step
from chalicelib.access.profile import PRIVILEGES, Profile, masked
from chalicelib.kernel import canon
from chalicelib.kernel.errors import NotFound, NotPermitted, UsageError
from chalicelib.postgres import plan
from chalicelib.postgres.broker import MEMBERSHIP_OPTIONS, TIME_LIMITS, opened
from chalicelib.postgres.lease import verifier
from chalicelib.postgres.owner import owner as mask_owner
from chalicelib.postgres.scopes import Mark, mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.postgres.broker import Session

_ALONE: Final = (issue.MARKER, issue.GRAVEYARD, issue.GRANTOR)
_PARAMETERS: Final = 15  # GRANT SET ON PARAMETER


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What leases may reach at a target.

    ``schemas``: whose tables may be asked for. ``owners``: who creates tables there, so that new
    ones are covered. ``profiles``: by name; ``broker``: the role that issues and ends.
    """

    schemas: tuple[str, ...]
    profiles: dict[str, Profile]
    owners: tuple[str, ...] = ()
    broker: str = issue.BROKER


class Role(msgspec.Struct, frozen=True):
    """A role that is there. ``comment``: what the installation wrote at a group, if it did."""

    superuser: bool
    login: bool
    creates_roles: bool
    comment: str | None
    acts_as: bool
    administers: bool


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. ``schemas``: those there, of the wanted, the masked, and those of before.

    ``foreign``: owners of tables there, whose rights the installing role does not have.
    """

    database: str
    major: int
    role: str
    superuser: bool
    creates_roles: bool
    roles: dict[str, Role]
    schemas: frozenset[str]
    foreign: frozenset[str]


def statements(facts: Facts, wanted: Wanted) -> list[Step]:
    """The steps that bring a target from what was found to what is wanted.

    Raises: UsageError, NotFound (a schema or owner), NotPermitted (what the installing role lacks).
    """
    _check(facts, wanted)
    steps = list(_roles(facts, wanted))
    options = " WITH INHERIT TRUE, SET TRUE" if facts.major >= MEMBERSHIP_OPTIONS else ""
    joined: list[dict[str, str | tuple[str, ...]]] = [
        {"group": one, "role": facts.role} for one in sorted(_joined(facts))
    ]
    steps += [Step(sql=f"GRANT {{group}} TO {{role}}{options}", identifiers=one) for one in joined]
    every = [one for one in reachable(wanted) if one in facts.schemas]
    union = tuple(
        one
        for one in PRIVILEGES
        if any(one in profile.privileges for profile in wanted.profiles.values())
    )
    bases = [one for one in every if one in wanted.schemas]
    views = [one for one in every if one not in wanted.schemas]
    steps += _reach(wanted, issue.GRANTOR, bases, union, grant_option=True)
    steps += _reach(wanted, issue.GRANTOR, views, ("SELECT",), grant_option=True)
    for name, profile in sorted(wanted.profiles.items()):
        if profile.privileges:
            steps += _profile(facts, wanted, name, profile)
    steps += [Step(sql="REVOKE {group} FROM {role}", identifiers=one) for one in joined]
    return steps


def install(dsn: str, wanted: Wanted, *, print_only: bool = False, password: str = "") -> list[str]:
    """The SQL of the installation, one statement a line or more; and run, in one transaction.

    ``password``: the broker's, sent as a SCRAM verifier; without one, and where it only prints,
    set it with psql's command of that name. Raises: as ``statements``; CouldNotTell.
    """
    with opened(dsn) as session, session.transaction("installing the broker"):
        steps = statements(facts(session, wanted), wanted)
        secrets = {}
        if password and not print_only:
            steps.append(
                Step(
                    sql="ALTER ROLE {role} PASSWORD {verifier}",
                    identifiers={"role": wanted.broker},
                    secrets=("verifier",),
                )
            )
            secrets = {"verifier": verifier(session.connection, wanted.broker, password)}
        for step in () if print_only else steps:
            session.run(step, secrets)
    return [plan.shown(step) for step in steps]


def facts(session: Session, wanted: Wanted) -> Facts:
    """What is there, as far as the installation needs it."""
    database = str(session.server["database"])
    groups = [issue.group(database, one) for one in wanted.profiles]
    extra = [one for profile in wanted.profiles.values() for one in profile.roles]
    masks = mask_owner(database)
    names = [*_ALONE, wanted.broker, issue.door(database), *groups, *wanted.owners, *extra, masks]
    roles = {
        row.pop("role"): msgspec.convert(row, Role) for row in session.rows("roles", roles=names)
    }
    reach = reachable(wanted)
    before = [mark(one.comment) for one in roles.values()]
    earlier = [schema for one in before if one is not None for schema in one.schemas]
    rows = session.rows("schemas", schemas=[*reach, *earlier])
    own = {one for row in rows if row["schema"] in reach for one in row["foreign_owners"]}
    return Facts(
        database=database,
        major=session.major,
        role=str(session.server["role"]),
        superuser=bool(session.server["superuser"]),
        creates_roles=bool(session.server["creates_roles"]),
        roles=roles,
        schemas=frozenset(row["schema"] for row in rows),
        foreign=frozenset(own),
    )


def _check(facts: Facts, wanted: Wanted) -> None:
    if not wanted.schemas:
        raise UsageError("an installation names at least one schema")
    for profile in wanted.profiles.values():
        issue.check(profile)
    if not (facts.superuser or facts.creates_roles):
        raise NotPermitted(
            f"{facts.role!r} may not create roles",
            next_step="install as a superuser, or as a role with CREATEROLE that owns the database",
        )
    extra = sorted({one for profile in wanted.profiles.values() for one in profile.roles})
    for kind, names, there in (
        ("schema", wanted.schemas, facts.schemas),
        ("role", wanted.owners, facts.roles),
        ("role", extra, facts.roles),
    ):
        missing = [one for one in names if one not in there]
        if missing:
            raise NotFound(f"there is no {kind} {missing[0]!r} in database {facts.database!r}")
    lacking = sorted(
        {one for one in wanted.owners if not facts.roles[one].acts_as}
        | (facts.foreign - _joined(facts))
    )
    if lacking and not facts.superuser:
        raise NotPermitted(
            f"{facts.role!r} has not the rights of {', '.join(lacking)}, who own tables or create "
            "them",
            next_step=f"GRANT {', '.join(lacking)} TO {facts.role}, or install as a superuser",
        )
    broker = facts.roles.get(wanted.broker)
    if broker and broker.superuser:
        raise UsageError(f"{wanted.broker!r} is a superuser; the broker must not be one")


def _joined(facts: Facts) -> frozenset[str]:
    """The owner of masking views, whose rights are needed to grant them, and not had for good."""
    name = mask_owner(facts.database)
    role = facts.roles.get(name)
    if role is None or facts.superuser or name not in facts.foreign:
        return frozenset()
    may = role.administers if facts.major >= MEMBERSHIP_OPTIONS else facts.creates_roles
    return frozenset({name} if may else ())


def _roles(facts: Facts, wanted: Wanted) -> Iterator[Step]:
    door = issue.door(facts.database)
    for name in (*_ALONE, door):
        if name not in facts.roles:
            yield Step(sql="CREATE ROLE {role} NOLOGIN", identifiers={"role": name})
        elif facts.roles[name].login:
            yield Step(sql="ALTER ROLE {role} NOLOGIN", identifiers={"role": name})
    broker: dict[str, str | tuple[str, ...]] = {"role": wanted.broker}
    if wanted.broker not in facts.roles:
        yield Step(sql="CREATE ROLE {role} LOGIN CREATEROLE INHERIT", identifiers=broker)
        yield Step(sql="ALTER ROLE {role} SET search_path = pg_catalog", identifiers=broker)
        for name, since in TIME_LIMITS:  # before its first statement, too
            if facts.major >= since:
                yield Step(sql=f"ALTER ROLE {{role}} SET {name} = 0", identifiers=broker)
    elif not (facts.roles[wanted.broker].login and facts.roles[wanted.broker].creates_roles):
        yield Step(sql="ALTER ROLE {role} LOGIN CREATEROLE", identifiers=broker)
    extra = {one for profile in wanted.profiles.values() for one in profile.roles}
    for name in (*_ALONE, door, *sorted(extra)):
        yield from _administered(facts, wanted, name)
    for role in (wanted.broker, door):
        yield Step(
            sql="GRANT CONNECT ON DATABASE {database} TO {role}",
            identifiers={"database": facts.database, "role": role},
        )
    yield from _logging(facts, wanted)


def _logging(facts: Facts, wanted: Wanted) -> Iterator[Step]:
    """The broker may have statements logged: a broken glass's always are, whatever profiles say."""
    if facts.major >= _PARAMETERS and facts.superuser:
        yield Step(
            sql="GRANT SET ON PARAMETER log_statement TO {role}",
            identifiers={"role": wanted.broker},
        )


def _administered(facts: Facts, wanted: Wanted, name: str) -> Iterator[Step]:
    """The broker may hand a group out, and has nothing of it. Before 16 CREATEROLE is enough."""
    if facts.major >= MEMBERSHIP_OPTIONS:
        yield Step(
            sql="GRANT {group} TO {role} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
            identifiers={"group": name, "role": wanted.broker},
        )


def _profile(facts: Facts, wanted: Wanted, name: str, profile: Profile) -> Iterator[Step]:
    """The group of a profile: its privileges on everything that is installed."""
    role = issue.group(facts.database, name)
    there = tuple(one for one in reached(wanted, profile) if one in facts.schemas)
    written = marked(name, profile, there)
    found = facts.roles.get(role)
    if found is None:
        yield Step(sql="CREATE ROLE {role} NOLOGIN", identifiers={"role": role})
    yield from _administered(facts, wanted, role)
    before = mark(found.comment) if found else None
    if before is not None and found is not None and found.comment != written:
        yield from _withdrawn(facts, wanted, role, before)
    yield from _reach(wanted, role, there, profile.privileges, grant_option=False)
    yield Step(
        sql="COMMENT ON ROLE {role} IS {comment}",
        identifiers={"role": role},
        literals={"comment": written},
    )


def _withdrawn(facts: Facts, wanted: Wanted, role: str, before: Mark) -> Iterator[Step]:
    """Everything that the group had by an installation that wanted something else."""
    for schema in (one for one in before.schemas if one in facts.schemas):
        names: dict[str, str | tuple[str, ...]] = {"schema": schema, "role": role}
        for kind in ("TABLES", "SEQUENCES"):
            yield Step(
                sql=f"REVOKE ALL ON ALL {kind} IN SCHEMA {{schema}} FROM {{role}}",
                identifiers=names,
            )
            for owner in wanted.owners:
                yield Step(
                    sql="ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} "
                    f"REVOKE ALL ON {kind} FROM {{role}}",
                    identifiers={**names, "owner": owner},
                )
        yield Step(sql="REVOKE ALL ON SCHEMA {schema} FROM {role}", identifiers=names)


def _reach(
    wanted: Wanted,
    role: str,
    schemas: Sequence[str],
    privileges: tuple[str, ...],
    *,
    grant_option: bool,
) -> Iterator[Step]:
    """Privileges on what is in the schemas, and on what their owners will make there."""
    option = " WITH GRANT OPTION" if grant_option else ""
    kinds = [("TABLES", ", ".join(privileges))] if privileges else []
    if "INSERT" in privileges:
        kinds.append(("SEQUENCES", "USAGE"))
    for schema in schemas if privileges else ():
        names: dict[str, str | tuple[str, ...]] = {"schema": schema, "role": role}
        yield Step(sql=f"GRANT USAGE ON SCHEMA {{schema}} TO {{role}}{option}", identifiers=names)
        for kind, listed in kinds:
            yield Step(
                sql=f"GRANT {listed} ON ALL {kind} IN SCHEMA {{schema}} TO {{role}}{option}",
                identifiers=names,
            )
            for owner in wanted.owners:
                yield Step(
                    sql="ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} "
                    f"GRANT {listed} ON {kind} TO {{role}}{option}",
                    identifiers={**names, "owner": owner},
                )


def marked(name: str, profile: Profile, schemas: tuple[str, ...]) -> str:
    """What stands at the group of a profile, for installations and plans to come."""
    return canon.encode(
        msgspec.to_builtins(Mark(name, profile.privileges, profile.masked, schemas))
    ).decode()


def reached(wanted: Wanted, profile: Profile) -> list[str]:
    """The schemas that a profile reaches: of the tables, or of the views that mask them."""
    return [masked(one, profile.views) if profile.masked else one for one in wanted.schemas]


def reachable(wanted: Wanted) -> list[str]:
    """Every schema that some profile may reach, those of the tables among them, each once."""
    views = [one for profile in wanted.profiles.values() for one in reached(wanted, profile)]
    return list(dict.fromkeys((*wanted.schemas, *views)))
