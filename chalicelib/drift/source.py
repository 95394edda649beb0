"""What a target's reader gives: the port that ``postgres`` implements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from chalicelib.drift.snapshot import Key, Object
from chalicelib.kernel import canon

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift.snapshot import Snapshot


class Query(msgspec.Struct, frozen=True):
    """One question that was asked: its name, the SHA-256 of its exact text, and its rows."""

    name: str
    sha256: str
    rows: int


class Mark(msgspec.Struct, frozen=True):
    """What tells a later reading whether the target has changed since.

    ``since``: the oldest transaction that was running, as a 64-bit decimal number. ``sha256``: over
    what the catalogues held, and over all that a reading depends on besides. ``index`` and ``at``:
    of the scan that read everything, as its record says; empty where that is the reading itself.
    """

    since: str
    sha256: str
    index: int = 0
    at: str = ""


class Known(NamedTuple):
    """What an earlier scan left: its mark, and how to come by its snapshot, verified.

    ``mark`` is None where there is none yet, and one is to be made. ``snapshot`` gives None where
    what was stored is not what it was.
    """

    mark: Mark | None
    snapshot: Callable[[], Snapshot | None]


class Reading(msgspec.Struct, frozen=True):
    """One consistent look at a target.

    ``objects``: in any order, with ``coverage`` objects for what could not be read.
    ``identity``: what this is a reading of, so that one thing's baseline is never compared with
    another (``database orders``).
    ``system``: where and as whom it was read (host, port, database, user, version), no secret.
    ``queries``: in the order in which they ran, ``texts``: what they said, by their digests.
    ``read_at``: the server's time of the snapshot.
    ``missing``: that what the target is named after is not there, and where it was looked for, in
    words; empty where it is. Nobody can sign for that.
    ``mark``: for the next reading, where the source can tell; ``kept``: whether the objects are
    those of the known snapshot, apart from what every reading reads.
    ``committed``: when the catalogue row behind an object was last committed (RFC 3339, see
    kernel.clock), where the server keeps commit timestamps. ``dropped``: for an object, when
    parts of it were dropped (columns of a table), likewise.
    """

    objects: list[Object]
    identity: str
    system: dict[str, Any]
    queries: list[Query]
    read_at: str
    committed: dict[Key, str]
    dropped: dict[Key, list[str]]
    texts: dict[str, str] = {}
    missing: str = ""
    mark: Mark | None = None
    kept: bool = False


class Source(Protocol):
    """A target that can be read."""

    def read(
        self, progress: Callable[[str, int, int], None], known: Known | None = None
    ) -> Reading:
        """Look once; ``progress(kind, done, total)`` is called as it goes.

        With ``known``, what is certain not to have changed since may be taken from there.

        Raises: Unreachable, AuthenticationFailed, NotPermitted, ConnectionLost, Unsupported.
        """
        ...


def questions(reading: Reading) -> bytes:
    """The exact texts of the queries of a reading, by their SHA-256, as canonical JSON."""
    return canon.encode(reading.texts)


def question_key(digest: str) -> str:
    """Where the texts of queries are kept in the write-once store."""
    return f"question/sha256/{digest}"
