"""The port of documents that pass away: kept for a stated time, then as if they had never been.

What is here is no evidence and no state that anything is signed by: answers to requests that may be
sent again, and jobs that somebody asked for. Losing all of it loses no record.

A version names one write and no other, also after its document ended and a new one took the key: so
whoever was away for longer than a document lasts cannot overwrite its successor.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, Protocol

from chalicelib.kernel.store import MAX_DOCUMENT_KEY_BYTES, MAX_VALUE_BYTES

if TYPE_CHECKING:
    from datetime import datetime

    from chalicelib.kernel.store import Document

MAX_VERSION: Final = 2**53 - 1  # what JSON numbers hold exactly
MAX_LASTS_SECONDS: Final = 366 * 86_400
MAX_LIMIT: Final = 1_000  # documents of one list

_BEGINNING = re.compile(r"([a-z0-9-]{1,64})/")


class Passing(Protocol):
    """Small values under compare-and-set, each with an end.

    A key is ``kind/rest``: the kind of ``[a-z0-9-]``, 1 to 64 characters, the rest any text but
    U+0000, 1 to 1,024 bytes of UTF-8 in all. Values have at most 350,000 bytes. A document lasts
    for as long as was said, and less than a second more, by the clock of whoever reads it.
    """

    def get(self, key: str) -> Document | None:
        """The document, or None: there is none, or it has ended. Raises: StoreUnavailable."""
        ...

    def swap(self, key: str, expected: int, value: bytes, *, lasts_seconds: int) -> int:
        """Write, durably, where ``expected`` is the version; the new version, a random number.

        ``expected`` 0: there is none, or it has ended. Raises: Conflict: it is another version's
        now; it may be that this write was made, its answer lost, and it was then replaced by
        somebody who had read it. StoreUnavailable: whether it was made is not known. ValueError,
        past the bounds (see :func:`check_swap`).
        """
        ...

    def list(self, prefix: str, *, after: str = "", limit: int) -> list[tuple[str, Document]]:
        """The first ``limit`` (1 to 1,000) documents that last, in ascending order of keys.

        Those whose key starts with ``prefix``, which has a whole kind and its ``/``, and is above
        ``after``. Fewer than ``limit``: there are no more. Raises: StoreUnavailable; ValueError,
        for another prefix or limit, or what is longer than a key.
        """
        ...


def kind(key: str) -> str:
    """The first segment of a key or prefix. Raises: ValueError, where it has none."""
    found = _BEGINNING.match(key)
    if found is None:
        raise ValueError(f"a key starts with a kind of [a-z0-9-] and '/', found {key[:80]!r}")
    return found[1]


def is_key(key: str) -> bool:
    """Whether a document can have this key."""
    found = _BEGINNING.match(key)
    if found is None or found.end() == len(key) or "\0" in key:
        return False
    try:
        return len(key.encode()) <= MAX_DOCUMENT_KEY_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def check_swap(key: str, expected: int, value: bytes, lasts_seconds: int) -> None:
    """Return if this can be written. Raises: ValueError, past a bound of Passing."""
    if not is_key(key):
        raise ValueError(
            f"not a key of the form kind/rest of at most {MAX_DOCUMENT_KEY_BYTES} bytes: "
            f"{key[:80]!r}"
        )
    if not 0 <= expected <= MAX_VERSION:
        raise ValueError(f"a version is 0 to {MAX_VERSION}, found {expected}")
    if len(value) > MAX_VALUE_BYTES:
        raise ValueError(f"a value has at most {MAX_VALUE_BYTES} bytes, found {len(value)}")
    if not 0 < lasts_seconds <= MAX_LASTS_SECONDS:
        raise ValueError(f"a document lasts 1 to {MAX_LASTS_SECONDS} s, found {lasts_seconds}")


def check_list(prefix: str, after: str, limit: int) -> None:
    """Return if this can be listed. Raises: ValueError."""
    kind(prefix)
    if max(len(prefix.encode()), len(after.encode())) > MAX_DOCUMENT_KEY_BYTES:
        raise ValueError(f"no key has more than {MAX_DOCUMENT_KEY_BYTES} bytes")
    if not 0 < limit <= MAX_LIMIT:
        raise ValueError(f"one list has 1 to {MAX_LIMIT} documents, found a limit of {limit}")


def can_follow(prefix: str, after: str) -> bool:
    """Whether any key that starts with ``prefix`` can be above ``after``."""
    return after < prefix or after.startswith(prefix)


def gone_at(now: datetime, lasts_seconds: int) -> int:
    """When a document ends, in seconds since 1970; it lasts while :func:`second` is below."""
    return math.ceil(now.timestamp()) + lasts_seconds


def second(now: datetime) -> int:
    """The second that a moment is in, since 1970."""
    return math.floor(now.timestamp())
