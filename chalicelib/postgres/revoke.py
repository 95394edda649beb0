"""Ending a lease: nobody logs in, no session lives, nothing is its own, no role is there: proven.

1. ``login``: NOLOGIN, no password, committed; 2. ``sessions``: terminated by the role that logged
in until none is left; 3. ``prepared``: transactions it prepared, rolled back as their owner;
4. ``database …``: in every database where something hangs on it, what it owns goes to the
graveyard, what it was granted is revoked; 5. ``role``: dropped; 6. ``scopes``: groups that no lease
uses any more; 7. ``verify``: counted by oid and by name, everything 0.

Each step is committed before the next, can be done again, and leaves the lease with less than it
had. pg_shdepend is what DROP ROLE itself goes by: a database that is not in it has nothing of the
role, also where it allows no connections.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import psycopg

from chalicelib.access import issue
from chalicelib.access.plan import Step
from chalicelib.kernel.errors import CouldNotTell, HoldfastError
from chalicelib.postgres import graveyard, plan, scopes
from chalicelib.postgres.broker import (
    AGAIN,
    LOCK_TIMEOUT_SECONDS,
    MEMBERSHIP_OPTIONS,
    Session,
    contended,
    opened,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.access.grantor import Terms

ATTEMPTS: Final = 40  # rounds of terminating; one waits up to WAIT_SECONDS
WAIT_SECONDS: Final = 0.25
PATIENCE_SECONDS: Final = 1.0  # for a lock that the lease itself may be holding
QUEUED_SECONDS: Final = 30.0
# Dependencies in pg_shdepend: owner, ACL, policy; initial ACL (17 on); tablespace.
OWNED: Final[tuple[str, ...]] = ("o",)
ALL_TYPES: Final[tuple[str, ...]] = ("o", "a", "r", "i", "t")


class _Account:
    """What was found and done, for the record."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.oid = "0"
        self.sessions = 0
        self.prepared = 0
        self.reassigned: Counter[str] = Counter()
        self.databases: list[str] = []
        self.scopes: dict[str, list[str]] = {"removed": [], "kept": []}
        self.ran: list[Step] = []


def end(dsn: str, terms: Terms, step: Callable[[str], None]) -> dict[str, Any]:
    """End a lease at the cluster of ``dsn``; what was found, done and verified, for the record.

    What is not there any more is verified all the same. Raises: CouldNotTell, where something is
    in the way or left: what was done stays done.
    """
    account = _Account(terms)
    with opened(dsn) as session:
        account.ran = session.ran
        with session.doing("reading the lease's role"):
            role = session.role(terms.role)
        if role is not None:
            _check(session, terms, role)
            account.oid = str(role["oid"])
            step("login")
            _lock_out(dsn, session, account)
            step("sessions")
            with session.doing("ending the lease's sessions"):
                account.sessions += _terminate(session, account.oid)
            step("prepared")
            _roll_back(dsn, session, account)
            _leave_databases(dsn, session, account, step)
            step("role")
            _drop(session, account)
        step("scopes")
        sweep(dsn, session, account.scopes)
        step("verify")
        verified = _verify(session, account)
        server = session.server
    return {
        "role": terms.role,
        "oid": account.oid if role is not None else None,
        "found": role is not None,
        "sessions_ended": account.sessions,
        "prepared_rolled_back": account.prepared,
        "databases": account.databases,
        "reassigned": dict(sorted(account.reassigned.items())),
        "scopes": account.scopes,
        "statements": len(account.ran),
        "statements_sha256": plan.digest(account.ran),
        "verified": verified,
        "server_version": str(server["version"]),
        "system_identifier": str(server["system"]),
    }


def _check(session: Session, terms: Terms, role: Mapping[str, Any]) -> None:
    """Raises: CouldNotTell, for a role that is not a lease's: it is left alone."""
    ours = role["marked"] or issue.noted(role["comment"]) is not None
    if role["superuser"] or not ours or terms.role == session.server["role"]:
        raise CouldNotTell(
            f"the role {terms.role} is not a lease's as Holdfast makes them: it was left alone",
            next_step=f"look at the role; a lease is a member of {issue.MARKER}",
        )


def _lock_out(dsn: str, session: Session, account: _Account) -> None:
    """No login from here on, and the broker may end its sessions.

    The lease can hold a lock on its own row (ALTER ROLE … PASSWORD, not committed). Then this
    statement queues for the row first, and the lease's sessions are ended behind it: whoever of
    them comes next waits after us.
    """
    role = account.terms.role
    with session.transaction("joining the lease's role"):
        if not session.has(role):
            session.join(role, str(session.server["role"]))
    step = Step(
        sql="ALTER ROLE {role} NOLOGIN PASSWORD NULL CONNECTION LIMIT 0",
        identifiers={"role": role},
    )
    with session.doing("closing the lease's login"):
        session.limit(PATIENCE_SECONDS)
        try:
            with session.atomic():
                session.run(step)
        except psycopg.Error as error:
            if not contended(error):
                raise
            _lock_out_against(dsn, session, account, step)
        session.limit(LOCK_TIMEOUT_SECONDS)


def _lock_out_against(dsn: str, session: Session, account: _Account, step: Step) -> None:
    """The same, while the lease's sessions hold its row. Raises: CouldNotTell."""
    with opened(dsn) as other:
        other.limit(QUEUED_SECONDS)
        wire = other.connection.pgconn
        for _ in range(ATTEMPTS):
            wire.send_query(plan.composed(step, {}).as_bytes(other.connection))
            while _waits(wire):
                account.sessions += _terminate(session, account.oid, rounds=1)
                _roll_back(dsn, session, account, behind=wire.backend_pid)
            states = [one.status for one in iter(wire.get_result, None)]
            if states == [psycopg.pq.ExecStatus.COMMAND_OK]:
                session.ran.append(step)
                return
    raise CouldNotTell(
        f"the login of {account.terms.role} could not be closed: its sessions hold its row",
        next_step=AGAIN,
    )


def _waits(wire: psycopg.pq.abc.PGconn) -> bool:
    wire.consume_input()
    return bool(wire.is_busy())


def _terminate(session: Session, oid: str, *, rounds: int = ATTEMPTS) -> int:
    """End every session of the role; how many there were. ``rounds`` 1 does not insist.

    Raises: CouldNotTell, where some are left.
    """
    ended: set[object] = set()
    for turn in range(rounds):
        pids = {row["pid"] for row in session.rows("terminate", oid=oid)}
        if not pids:
            return len(ended)
        ended |= pids
        seconds = min(0.01 * 2**turn, WAIT_SECONDS)
        session.connection.execute("SELECT pg_sleep(%s)", (seconds,))
    if rounds > 1:
        raise CouldNotTell(
            f"{len(pids)} sessions of the lease do not end: process {', '.join(map(str, pids))}",
            next_step=AGAIN,
        )
    return len(ended)


def _roll_back(dsn: str, session: Session, account: _Account, *, behind: int = 0) -> None:
    """Roll back what the lease prepared, also under the name of a group of the broker's.

    What it prepared after SET ROLE to another group cannot be told from that group's own, unless it
    is about the lease's role: holds it, or its row, which the session ``behind`` waits for.
    """
    with session.doing("looking for prepared transactions"):
        owners = [account.terms.role, *(one["role"] for one in _groups(session, account.oid))]
        rows = session.rows("prepared", owners=owners, oid=account.oid, pid=behind)
    for row in rows:
        with opened(dsn, row["database"]) as there, there.doing("rolling back what it prepared"):
            joined = not there.has(row["owner"])
            if joined:
                there.join(row["owner"], str(there.server["role"]))
            there.run(Step(sql="SET ROLE {role}", identifiers={"role": row["owner"]}))
            there.run(Step(sql="ROLLBACK PREPARED {gid}", literals={"gid": row["gid"]}))
            there.run(Step(sql="SET ROLE NONE"))
            if joined:
                there.leave(row["owner"], str(there.server["role"]))
            account.ran += there.ran
        account.prepared += 1


def _groups(session: Session, oid: str) -> list[dict[str, Any]]:
    """The broker's groups in whose name the lease could act; none from 16 on (SET FALSE)."""
    if session.major >= MEMBERSHIP_OPTIONS:
        return []
    return session.rows("groups", oid=oid, marker=issue.MARKER)


def _leave_databases(
    dsn: str, session: Session, account: _Account, step: Callable[[str], None]
) -> None:
    """Take what the lease owns and was granted away from it, wherever that is."""
    with session.doing("looking for what the lease left"):
        roles = [(account.terms.role, account.oid, ALL_TYPES)]
        roles += [(one["role"], one["oid"], OWNED) for one in _groups(session, account.oid)]
        places = {(role, oid, types): databases(session, oid, types) for role, oid, types in roles}
    for name in sorted({one for names in places.values() for one in names}):
        step(f"database {name}")
        with opened(dsn, name) as there:
            for (role, oid, types), names in places.items():
                if name in names:
                    account.reassigned += clear(there, role, oid, granted=types == ALL_TYPES)
            account.ran += there.ran
        account.databases.append(name)


def databases(session: Session, oid: str, types: tuple[str, ...]) -> list[str]:
    """Where something hangs on a role; what databases share is reached from this one.

    Raises: CouldNotTell, for a database that allows no connections.
    """
    names = set()
    for row in session.rows("dependencies", oid=oid, types=list(types)):
        if not row["connectable"]:
            raise CouldNotTell(
                f"{row['number']} objects of the role are in database {row['database']!r}, which "
                "allows no connections",
                next_step="ALTER DATABASE … ALLOW_CONNECTIONS true, until the lease has ended",
            )
        names.add(str(row["database"] or session.server["database"]))
    return sorted(names)


def clear(session: Session, role: str, oid: str, *, granted: bool) -> Counter[str]:
    """Nothing in this database is the role's any more; what went to the graveyard, by kind.

    ``granted``: also take away what it was granted. Raises: CouldNotTell, where something is left.
    """
    failed: list[str] = []
    with session.doing("counting what it owns"):
        rows = session.rows("owned", oid=oid)
    owned = Counter({str(one["kind"]): int(one["number"]) for one in rows})
    owned.pop("default privilege", 0)  # dropped below
    if owned:
        graveyard.few_at_a_time(session, role, oid)
    with session.transaction(f"taking away what {role} has"), session.member_of(role):
        if owned:
            graveyard.take(session, role, oid)
        if granted:
            failed = _disown(session, role, oid)
        left = _left(session, oid) if granted else 0
    if left:
        raise CouldNotTell(
            f"{left} grants to {role} in database {session.server['database']!r} were made by "
            f"{', '.join(failed) or 'a role'}, whose rights the broker may not take",
            next_step=f"DROP OWNED BY {role} there, as a superuser or as who granted it",
        )
    return owned


def _disown(session: Session, role: str, oid: str) -> list[str]:
    """Revoke what the role was granted, with the rights of who granted it; who stood in the way.

    On tables and sequences one by one: DROP OWNED revokes columns too, and fails where a grantor
    holds no privilege that columns have. Everything else by DROP OWNED.
    """
    joined, failed = [], []
    for row in session.rows("grantors", oid=oid):
        try:
            with session.atomic():
                if not session.has(row["role"]):
                    session.join(row["role"], str(session.server["role"]))
                    joined.append(row["role"])
        except psycopg.errors.InsufficientPrivilege:
            failed.append(str(row["role"]))
    for one in session.rows("grants", oid=oid):
        if one["grantor"] not in failed:  # only as the one who granted it: an owner's is another
            session.run(Step(sql="SET LOCAL ROLE {role}", identifiers={"role": one["grantor"]}))
            session.run(_revoke(role, one))
            session.run(Step(sql="SET LOCAL ROLE NONE"))
    if _left(session, oid):
        try:
            with session.atomic():
                session.run(Step(sql="DROP OWNED BY {role}", identifiers={"role": role}))
        except psycopg.errors.InsufficientPrivilege:
            failed = failed or ["several roles"]
    for name in reversed(joined):
        session.leave(name, str(session.server["role"]))
    return failed


def _revoke(role: str, row: Mapping[str, Any]) -> Step:
    """REVOKE of one row of ``grants.sql``. Its privileges are the server's own words."""
    names: dict[str, str | tuple[str, ...]] = {"on": (row["schema"], row["name"]), "role": role}
    column = ""
    if row["column"] is not None:
        column, names["column"] = " ({column})", row["column"]
    privileges = ", ".join(f"{one}{column}" for one in sorted(row["privileges"]))
    kind = "SEQUENCE" if row["sequence"] else "TABLE"
    return Step(
        sql=f"REVOKE {privileges} ON {kind} {{on}} FROM {{role}} CASCADE", identifiers=names
    )


def _left(session: Session, oid: str) -> int:
    here = ("", session.server["database"])
    rows = session.rows("dependencies", oid=oid, types=list(ALL_TYPES))
    return sum(int(row["number"]) for row in rows if row["database"] in here)


def _drop(session: Session, account: _Account) -> None:
    """Drop the role, after one more look: a login may have been under way when it was closed."""
    with session.doing("dropping the lease's role"):
        account.sessions += _terminate(session, account.oid)
        try:
            with session.atomic():
                session.run(Step(sql="DROP ROLE {role}", identifiers={"role": account.terms.role}))
        except psycopg.errors.DependentObjectsStillExist:
            raise CouldNotTell(
                f"something hangs on the role {account.terms.role} that was not there before",
                next_step=AGAIN,
            ) from None


def sweep(dsn: str, session: Session, account: dict[str, list[str]]) -> None:
    """Drop the scopes of this database that no lease uses; a lease that is issued meanwhile wins.

    One that cannot be dropped now is kept and found again by the next sweep: nobody is in it.
    """
    comment = issue.scope_comment(str(session.server["database"]))
    with session.doing("looking for scopes that nobody uses"):
        unused = session.rows("unused", scope="", comment=comment)
    for row in unused:
        try:
            dropped = _drop_scope(dsn, session, row["role"], row["oid"], comment)
        except HoldfastError:
            account["kept"].append(row["role"])
        else:
            account["removed"] += [row["role"]] if dropped else []


def _drop_scope(dsn: str, session: Session, role: str, oid: str, comment: str) -> bool:
    here = str(session.server["database"])
    with session.doing("looking for what a scope left"):
        elsewhere = [one for one in databases(session, oid, ALL_TYPES) if one != here]
    for name in elsewhere:
        with opened(dsn, name) as there:
            clear(there, role, oid, granted=True)
    with session.transaction("dropping a scope"):
        if not scopes.hold(session, role):
            return False
        if not session.rows("unused", scope=role, comment=comment):
            return False  # a lease came to use it
        clear(session, role, oid, granted=True)
        session.run(Step(sql="DROP ROLE {role}", identifiers={"role": role}))
    return True


def _verify(session: Session, account: _Account) -> dict[str, int]:
    """All counts, every one 0. Raises: CouldNotTell."""
    with session.doing("verifying that nothing is left"):
        row = session.row("residue", oid=account.oid, role=account.terms.role)
    counts = {name: int(number) for name, number in row.items()}
    if account.oid != "0":
        counts.pop("unattached")  # by its oid, no session of this role was found
    left = [f"{name} {number}" for name, number in counts.items() if number]
    if left:
        raise CouldNotTell(
            f"the lease {account.terms.role} is not gone: {', '.join(left)}", next_step=AGAIN
        )
    return counts
