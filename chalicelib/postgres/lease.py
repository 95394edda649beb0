"""Leases in PostgreSQL: the adapter behind ``access.grantor.Grantor``.

Issuing is one transaction: what the plan assumes is read again in it, and the plan made again from
that; only an equal plan is run. The password is made here, leaves in the credential alone, and
reaches the server as a SCRAM verifier (RFC 5803), which opens nothing.
"""

from __future__ import annotations

import secrets as random
from typing import TYPE_CHECKING, Any, Final

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from chalicelib.access import issue
from chalicelib.access.grantor import Credential, Terms
from chalicelib.access.plan import Step
from chalicelib.access.profile import Profile
from chalicelib.kernel.errors import Busy, Conflict, CouldNotTell, NotFound
from chalicelib.postgres import revoke, scopes
from chalicelib.postgres.broker import contended, opened
from chalicelib.postgres.connection import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from chalicelib.access.issue import Found
    from chalicelib.access.plan import Plan
    from chalicelib.postgres.broker import Session

ISSUE_SECONDS: Final = 45  # after a minute the broker believes that nobody is still issuing
ATTEMPTS: Final = 5  # of a transaction that another one was in the way of
MAX_COMMENT_BYTES: Final = 4_096
_PASSWORD_BYTES: Final = 32


def verifier(connection: psycopg.Connection[Any], role: str, password: str) -> str:
    """The SCRAM-SHA-256 verifier of a password, made by libpq on this machine."""
    made = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return made.decode()


class PostgresGrantor:
    """Leases in the database of ``dsn``, which is the broker's.

    ``address``: ``host:port`` that credentials name in place of the DSN's, e.g. a pooler's.
    ``token``: what makes a token of IAM for host, port and role; then leases have no password and
    are members of ``rds_iam``. ``log``: the name of the log that has these leases.
    Raises: UsageError, where the DSN cannot be parsed.
    """

    def __init__(
        self,
        target: str,
        dsn: str,
        *,
        address: str = "",
        token: Callable[[str, str, str], str] | None = None,
        log: str = "",
        make_password: Callable[[], str] = lambda: random.token_urlsafe(_PASSWORD_BYTES),
    ) -> None:
        self._target = target
        self._dsn = dsn
        self._where = describe(dsn)
        self._address = address
        self._token = token
        self._log = log
        self._make_password = make_password

    def plan(self, terms: Terms) -> Plan:
        """What issuing would run. Raises: as ``scopes.found``; CouldNotTell."""
        with opened(self._dsn) as session, session.doing("planning a lease"):
            return issue.plan(terms, self._found(session, terms))

    def issue(self, plan: Plan, terms: Terms) -> Credential:
        """Run the plan in one transaction.

        Raises: Conflict, where what it assumes is not so any more; Busy, where others were in the
        way ATTEMPTS times; CouldNotTell.
        """
        password = self._make_password()
        with (
            opened(self._dsn, seconds=ISSUE_SECONDS) as session,
            session.doing("issuing a lease"),
        ):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    with session.atomic():
                        self._run(session, plan, terms, password)
                    break
                except psycopg.Error as error:
                    if not contended(error):
                        raise
                    if attempt == ATTEMPTS:
                        raise Busy("other transactions were in the way of issuing") from None
        return self._credential(terms, password)

    def refresh(self, terms: Terms) -> Credential:
        """Another password, good until ``terms.until``. Raises: NotFound; CouldNotTell."""
        password = self._make_password()
        with opened(self._dsn) as session, session.transaction("refreshing a lease"):
            self._living(session, terms)
            if self._token is None:
                step = Step(
                    sql="ALTER ROLE {role} PASSWORD {verifier}",
                    identifiers={"role": terms.role},
                    secrets=("verifier",),
                )
                secret = verifier(session.connection, terms.role, password)
                session.run(step, {"verifier": secret})
            self._last(session, terms)  # what a renewal recorded, and then could not do
        return self._credential(terms, password)

    def extend(self, terms: Terms) -> None:
        """Let it end at ``terms.until``. Raises: NotFound; CouldNotTell."""
        with opened(self._dsn) as session, session.transaction("extending a lease"):
            self._living(session, terms)
            self._last(session, terms)

    def end(self, terms: Terms, step: Callable[[str], None]) -> dict[str, Any]:
        """End it; see ``revoke.end``. Raises: CouldNotTell, where a step failed."""
        return revoke.end(self._dsn, terms, step)

    def orphans(self, known: Collection[str]) -> list[Terms]:
        """Leases of this target and this log, by what stands at their roles, that nobody knows.

        A member of the marker group without such a comment is no lease: somebody may have put a
        person there, and nobody's role is dropped by a guess. Raises: CouldNotTell.
        """
        with opened(self._dsn) as session, session.doing("looking for orphans"):
            rows = session.rows("leases", bytes=MAX_COMMENT_BYTES)
        taken = []
        for row in rows:
            note = issue.noted(row["comment"])
            ours = note and (note.target, note.log) == (self._target, self._log)
            if note and ours and row["role"] not in known:
                taken.append(
                    Terms(
                        lease=note.lease,
                        target=note.target,
                        role=row["role"],
                        holder=note.holder,
                        profile_name="",
                        profile=Profile(),
                        tables=(),
                        until=note.until,
                    )
                )
        return taken

    def _found(self, session: Session, terms: Terms) -> Found:
        found = scopes.found(session, terms, rds_iam=self._token is not None)
        return msgspec.structs.replace(found, log=self._log)

    def _run(self, session: Session, plan: Plan, terms: Terms, password: str) -> None:
        if session.role(terms.role) is not None:
            raise Conflict(f"the role {terms.role} is there already")
        name = str(plan.assumes["scope"])
        states: set[str] = set()
        if name and scopes.hold(session, name):
            states.add(issue.SCOPE_EXISTS)
        found = self._found(session, terms)
        now = issue.plan(terms, found)
        if now != plan:
            raise _changed(plan, now)
        if issue.SCOPE_EXISTS in states and scopes.complete(session, name, found.relations):
            states.add(issue.SCOPE_COMPLETE)
        secrets = {"verifier": verifier(session.connection, terms.role, password)}
        granting = bool(name) and issue.SCOPE_COMPLETE not in states
        with session.member_of(*([issue.GRANTOR] if granting else [])):
            for step in plan.steps:
                if step.unless not in states:
                    session.run(step, secrets)
        if granting and not scopes.complete(session, name, found.relations):
            raise Conflict("a table of the scope was replaced while the lease was issued")

    def _living(self, session: Session, terms: Terms) -> None:
        role = session.role(terms.role)
        note = issue.noted(role["comment"]) if role else None
        if role is None or note is None or note.lease != terms.lease or not role["login"]:
            raise NotFound(f"there is no lease {terms.lease} at {self._target}")

    def _last(self, session: Session, terms: Terms) -> None:
        """Let a lease's role end at ``terms.until``, and say so at it."""
        session.run(
            Step(
                sql="ALTER ROLE {role} VALID UNTIL {until}",
                identifiers={"role": terms.role},
                literals={"until": terms.until},
            )
        )
        session.run(
            Step(
                sql="COMMENT ON ROLE {role} IS {comment}",
                identifiers={"role": terms.role},
                literals={"comment": issue.comment(terms, self._log)},
            )
        )

    def _credential(self, terms: Terms, password: str) -> Credential:
        given = conninfo_to_dict(self._dsn)
        host, port = self._where["host"], self._where["port"]
        if self._address:
            host, _, port = self._address.rpartition(":")
        fields = {
            "host": host,
            "port": port,
            "dbname": self._where["dbname"],
            "user": terms.role,
            "password": self._token(host, port, terms.role) if self._token else password,
            "sslmode": str(given.get("sslmode") or "prefer"),
        }
        return Credential("rds" if self._token else "postgres", fields, terms.until)


def _changed(plan: Plan, now: Plan) -> CouldNotTell:
    differ = sorted(
        key
        for key in {*plan.assumes, *now.assumes}
        if plan.assumes.get(key) != now.assumes.get(key)
    )
    what = ", ".join(differ) or "its statements"
    return Conflict(f"the plan assumes what is not so any more: {what}", next_step="plan it again")
