"""What issuing a lease in PostgreSQL would run, as a plan. Nothing is read or run here.

A lease is one login role and has no privilege of its own: it is a member of groups, and these have
the privileges. Which groups:

- ``MARKER``: every lease of the cluster, so that one line of pg_hba.conf is for all of them;
- ``door``: CONNECT on the database of the target;
- ``group``: the privileges of a profile on everything that was installed, where no table is named;
- ``scope``: the privileges of a profile on the tables that are named. Its name is a digest of them,
  so that leases of equal scopes share one, and no ACL grows with the number of leases.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access.plan import Plan, Step
from chalicelib.access.profile import PRIVILEGES
from chalicelib.kernel import canon, clock
from chalicelib.kernel.errors import Malformed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.access.grantor import Terms
    from chalicelib.access.profile import Profile

BROKER: Final = "holdfast_broker"
MARKER: Final = "holdfast_lease"
GRAVEYARD: Final = "holdfast_graveyard"
GRANTOR: Final = "holdfast_grantor"
SCOPE_PREFIX: Final = "holdfast_s_"
RDS_IAM: Final = "rds_iam"  # Source: Amazon RDS, "Creating a database account using IAM"
NOTHING: Final = "no group has privileges for this profile"

MAX_RELATIONS: Final = 2_000  # of one scope, after schema.* became the tables of the schema
SCOPE_EXISTS: Final = "scope exists"
SCOPE_COMPLETE: Final = "scope complete"
_MEMBERSHIP_OPTIONS: Final = 16  # the first version in which a membership has options of its own
_PROFILE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


class Relation(msgspec.Struct, frozen=True, order=True):
    """A table, view or sequence that a scope is granted. ``oid``: as text.

    The oid is part of the scope: a table that was dropped and made again is another one.
    """

    schema: str
    name: str
    oid: str
    kind: str
    privileges: tuple[str, ...]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What issuing has to know of the target; all of it is read again before anything runs.

    ``relations``: of the scope, empty without one. ``group``: the role of the profile, or empty.
    ``broker``: the role that issues. ``path``: search_path. ``log_statement``: ``set``, ``not
    asked`` or ``not permitted``. ``rds_iam``: whether the login is by a token of IAM, without a
    password. ``log``: the installation's log, by its name.
    """

    system: str
    database: str
    broker: str
    major: int
    relations: tuple[Relation, ...]
    group: str
    path: tuple[str, ...]
    log_statement: str
    rds_iam: bool = False
    log: str = ""


def door(database: str) -> str:
    """The group that may connect to the database."""
    return f"holdfast_in_{_short(database)}"


def group(database: str, profile: str) -> str:
    """The group with a profile's privileges in the database. Raises: UsageError.

    The database is in the name because roles belong to the cluster: a lease of one database gets
    nothing in another one of the same cluster.
    """
    if not _PROFILE.fullmatch(profile):
        raise UsageError(
            f"not the name of a profile for databases: {profile[:80]!r}; expected at most 40 lower-"
            "case letters, digits, '-' and '_'"
        )
    return f"holdfast_p_{_short(database)}_{profile.replace('-', '_')}"


def scope(found: Found) -> str:
    """The name of the group that has exactly these privileges, or empty where there are none."""
    if not found.relations:
        return ""
    what = [found.database, msgspec.to_builtins(sorted(found.relations))]
    return SCOPE_PREFIX + canon.sha256(canon.encode(what))[:32]


def comment(terms: Terms, log: str) -> str:
    """What stands at the role: whose it is, for whoever looks at the server, and for the sweep.

    ``log``: of the installation that issues. Two of them may call one database the same, and
    neither knows the other's leases: without it each would end them.
    """
    return canon.encode(
        {
            "holdfast": 1,
            "lease": terms.lease,
            "target": terms.target,
            "holder": terms.holder,
            "log": log,
            "until": terms.until,
        }
    ).decode()


class Note(msgspec.Struct, frozen=True):
    """What :func:`comment` wrote, as it was read back."""

    lease: str
    target: str
    holder: str
    until: str
    holdfast: int
    log: str


def noted(text: str | None) -> Note | None:
    """What a role's comment says, or None, where it is not exactly what a lease's says."""
    try:
        note = msgspec.json.decode(text or "", type=Note)
        clock.parse_timestamp(note.until)
    except (msgspec.DecodeError, Malformed):
        return None
    return note if note.holdfast == 1 else None


def check(profile: Profile) -> None:
    """Return if its privileges are words that may stand in a statement. Raises: UsageError."""
    if not set(profile.privileges) <= set(PRIVILEGES):
        raise UsageError(f"privileges of a profile are some of {', '.join(PRIVILEGES)}")


def scope_comment(database: str) -> str:
    """What stands at a scope's role: of which database it is."""
    return canon.encode({"holdfast": 1, "scope_of": database}).decode()


def plan(terms: Terms, found: Found) -> Plan:
    """The plan of a lease. Equal terms and findings give an equal plan. Raises: UsageError."""
    check(terms.profile)
    name = scope(found)
    groups = [MARKER, door(found.database), *filter(None, (found.group, name))]
    if found.rds_iam:
        groups.append(RDS_IAM)
    steps = [
        *(_scope_steps(name, found) if name else ()),
        _create(terms, found),
        Step(
            sql="COMMENT ON ROLE {role} IS {comment}",
            identifiers={"role": terms.role},
            literals={"comment": comment(terms, found.log)},
        ),
        *_settings(terms, found),
        *(member(found.major, one, terms.role) for one in groups),
        *(
            member(found.major, one, terms.role, set_role=one == terms.profile.set_role)
            for one in terms.profile.roles
        ),
    ]
    assumes: dict[str, Any] = {"role": "absent", "scope": name, **msgspec.to_builtins(found)}
    return Plan(purpose="issue", target=terms.target, assumes=assumes, steps=tuple(steps))


def member(major: int, role: str, of: str, *, set_role: bool = False) -> Step:
    """Membership that inherits. Before 16 a member can always SET ROLE; from 16 on, where said."""
    options = f" WITH INHERIT TRUE, SET {str(set_role).upper()}"
    return Step(
        sql="GRANT {group} TO {role}" + (options if major >= _MEMBERSHIP_OPTIONS else ""),
        identifiers={"group": role, "role": of},
    )


def _create(terms: Terms, found: Found) -> Step:
    secret = "" if found.rds_iam else " PASSWORD {verifier}"
    return Step(
        sql="CREATE ROLE {role} LOGIN INHERIT NOCREATEDB NOCREATEROLE CONNECTION LIMIT {limit} "
        "VALID UNTIL {until}" + secret,
        identifiers={"role": terms.role},
        literals={"limit": terms.profile.connections, "until": terms.until},
        secrets=() if found.rds_iam else ("verifier",),
    )


def _scope_steps(name: str, found: Found) -> Iterator[Step]:
    yield Step(sql="CREATE ROLE {scope} NOLOGIN", identifiers={"scope": name}, unless=SCOPE_EXISTS)
    # Where the role is there, this is what takes the lock that DROP ROLE waits for.
    yield Step(
        sql="COMMENT ON ROLE {scope} IS {comment}",
        identifiers={"scope": name},
        literals={"comment": scope_comment(found.database)},
    )
    schemas = sorted({one.schema for one in found.relations})
    yield _grant("USAGE", "SCHEMA", [(one,) for one in schemas], name)
    for kind, word in (("table", "TABLE"), ("sequence", "SEQUENCE")):
        relations = [one for one in found.relations if one.kind == kind]
        for privileges in sorted({one.privileges for one in relations}):
            names = [(one.schema, one.name) for one in relations if one.privileges == privileges]
            yield _grant(", ".join(privileges), word, names, name)


def _grant(privileges: str, kind: str, names: Sequence[tuple[str, ...]], scope_role: str) -> Step:
    """One statement for all. ``privileges`` and ``kind`` are words that ``check`` let through."""
    places = {f"n{number}": name for number, name in enumerate(names)}
    listed = ", ".join(f"{{{place}}}" for place in places)
    return Step(
        sql=f"GRANT {privileges} ON {kind} {listed} TO {{scope}}",
        identifiers={**places, "scope": scope_role},
        unless=SCOPE_COMPLETE,
    )


def _settings(terms: Terms, found: Found) -> Iterator[Step]:
    """Defaults of its sessions. The holder can change them: what binds is what the groups have."""
    profile = terms.profile
    values: dict[str, str] = {
        "default_transaction_read_only": "on" if profile.read_only else "off",
        "statement_timeout": f"{profile.statement_timeout_seconds}s",
        "idle_in_transaction_session_timeout": f"{profile.idle_in_transaction_seconds}s",
    }
    if found.log_statement == "set":
        values["log_statement"] = profile.log_statement
    if profile.set_role:
        values["role"] = profile.set_role
    for setting, value in values.items():
        yield Step(
            sql=f"ALTER ROLE {{role}} SET {setting} = {{value}}",
            identifiers={"role": terms.role},
            literals={"value": value},
        )
    if found.path:
        places = {f"s{number}": one for number, one in enumerate(found.path)}
        yield Step(
            sql="ALTER ROLE {role} SET search_path = " + ", ".join(f"{{{one}}}" for one in places),
            identifiers={"role": terms.role, **places},
        )


def _short(database: str) -> str:
    return canon.sha256(database.encode())[:8]
