"""The graveyard: what a role owns in one database becomes the graveyard's, however much it is.

REASSIGN OWNED does it, in one transaction. Two things that a holder can bring about stand in its
way, and are dealt with first:

1. The new owner of a function needs CREATE on its schema. The owner of a schema can take that from
   itself, and from others: so the graveyard is granted it.
2. Each table takes locks until the transaction ends, and the server has room for so many
   (max_locks_per_transaction): past MANY they go a few at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.access import issue
from chalicelib.access.plan import Step

if TYPE_CHECKING:
    from chalicelib.postgres.broker import Session

MANY: Final = 500  # tables; 64 locks for each of 100 connections are the server's defaults
AT_ONCE: Final = 100  # each with its indexes and its TOAST table


def few_at_a_time(session: Session, role: str, oid: str) -> None:
    """Past MANY, give tables to the graveyard in transactions of AT_ONCE; the rest is left."""
    left = MANY + 1
    while left > MANY:
        with session.transaction(f"taking away tables of {role}"), session.member_of(role):
            rows = session.rows("tables", oid=oid, limit=AT_ONCE)
            left = int(rows[0]["number"]) if rows else 0
            if left <= MANY:
                return
            with session.member_of(issue.GRAVEYARD):
                session.join(role, issue.GRAVEYARD)
                for row in rows:
                    step = Step(
                        sql="ALTER TABLE {table} OWNER TO {graveyard}",
                        identifiers={
                            "table": (row["schema"], row["name"]),
                            "graveyard": issue.GRAVEYARD,
                        },
                    )
                    session.run(step)
                session.leave(role, issue.GRAVEYARD)


def take(session: Session, role: str, oid: str) -> None:
    """Give what a role owns here to the graveyard; within a transaction, as a member of the role.

    For its time the graveyard has the rights of the role, so CREATE where the role has it.
    """
    with session.member_of(issue.GRAVEYARD):
        session.join(role, issue.GRAVEYARD)
        for row in session.rows("closed", oid=oid, graveyard=issue.GRAVEYARD, marker=issue.MARKER):
            with session.member_of(row["owner"]):
                session.run(Step(sql="SET LOCAL ROLE {role}", identifiers={"role": row["owner"]}))
                session.run(
                    Step(
                        sql="GRANT CREATE ON SCHEMA {schema} TO {graveyard}",
                        identifiers={"schema": row["schema"], "graveyard": issue.GRAVEYARD},
                    )
                )
                session.run(Step(sql="SET LOCAL ROLE NONE"))
        session.run(
            Step(
                sql="REASSIGN OWNED BY {role} TO {graveyard}",
                identifiers={"role": role, "graveyard": issue.GRAVEYARD},
            )
        )
        session.leave(role, issue.GRAVEYARD)
