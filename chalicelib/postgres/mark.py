"""The mark: whether the catalogues are what they were at an earlier reading, without reading them.

Two looks at one server see the same catalogue where these hold of every table of it:

1. Of the row versions that transactions wrote since the mark's oldest running one, both see the
   same (their places and transaction ids are digested).
2. They see equally many rows. Every older version that the second sees, the first saw too: whatever
   wrote it was over by then, and a version that is gone does not come back. So the older ones are a
   part of what the first saw, as many as all of it, and hence all of it.

What makes two looks comparable is digested too: the server's process, the database, the role and
what it may read, the queries, the key of concealed values. Transaction ids wrap around after 2^32:
a mark is good for half of that. What does not stand in tables (FRESH) is read by every scan.

Writes in place, past the server's own rules, leave no trace in either. What a snapshot has of them
is read by every scan, too: a DROP DATABASE that was cut off (``database``). The others are
statistics, and what a snapshot has not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from chalicelib.drift.source import Mark
from chalicelib.kernel import canon

if TYPE_CHECKING:
    from collections.abc import Collection

    from chalicelib.postgres.queries import Statement
    from chalicelib.postgres.session import Session

REACH: Final = 2**31 - 10_000_000  # transactions; beyond, an old row's id may look like a new one
FRESH: Final = frozenset(
    {
        "database",  # its connection limit says, in place, that it is half dropped
        "extension",  # which version is the default one stands in files
        "file_setting",
        "hba_rule",
        "ident_mapping",
        "membership",  # leases come and go
        "replication_slot",
        "role",
        "subscription",
        "tablespace",  # where it lies stands in a link
        "user_mapping",
    }
)

_READ = re.compile(r"\bFROM (pg_\w+) AS x")
NAMED: Final = re.compile(r"\b(?:FROM|JOIN) (pg_\w+)(?! *\()\b")  # catalogues and views in a query


def catalogues(statement: Statement) -> set[str]:
    """The catalogues that the statement of a mark looks at."""
    return set(_READ.findall(statement.sql))


def within_reach(mark: Mark, next_transaction: str) -> bool:
    """Whether transaction ids since the mark have one reading."""
    return 0 <= int(next_transaction) - int(mark.since) < REACH


def take(session: Session, statement: Statement, since: str, facts: Collection[Any]) -> Mark:
    """The mark of what this session's transaction sees.

    ``since``: the oldest transaction that runs, or an earlier mark's to compare with. ``facts``:
    all that a reading depends on beside the catalogues' rows. Raises: as ``Session.run``.
    """
    low = str(int(since) % 2**32)
    _, rows = session.run(statement, {"since": low})
    said = [since, *facts, *sorted([name, str(count), recent] for name, count, recent in rows)]
    return Mark(since, canon.sha256(canon.encode(said)))
