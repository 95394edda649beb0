"""Replay: a request that is sent again under its key is answered as it was, and done once.

A key is its principal's own, and stands for one request: its method, path, preconditions and body.
A request that failed did nothing, or may have: it is tried anew, under the same seed, so that what
it starts is the same.
Source: IETF, draft-ietf-httpapi-idempotency-key-header-07, "The Idempotency-Key HTTP Request Header
Field".
"""

from __future__ import annotations

import hashlib
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from chalicelib.http.problem import Refused
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Conflict, StoreUnavailable

if TYPE_CHECKING:
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.passing import Passing

LASTS_SECONDS: Final = 86_400
BUSY_SECONDS: Final = 60  # more than any request has; then whoever had it is gone
_KEY: Final = re.compile(r"[!-~]{1,128}")


class Kept(msgspec.Struct, frozen=True):
    """What is known of a request under its key. ``status`` 0: it has no answer yet.

    ``until``: seconds since 1970 at which whoever works on it is gone. ``checks``: what the caller
    had to be permitted.
    """

    fingerprint: str
    seed: str
    until: int
    status: int = 0
    headers: dict[str, str] = {}
    body: str = ""
    checks: list[tuple[str, str, str]] = []


class Ticket(NamedTuple):
    """A request that is under way: its document's key and version, and what is kept of it.

    ``repeated``: it was begun before, and nobody knows how far it came.
    """

    key: str
    version: int
    kept: Kept
    repeated: bool = False


def fingerprint(*parts: bytes) -> str:
    """What tells one request from another."""
    content = b"".join(b"%d " % len(part) + part for part in parts)
    return hashlib.sha256(content).hexdigest()


def check(key: str) -> None:
    """Return if it can be a key. Raises: Refused."""
    if not _KEY.fullmatch(key):
        raise Refused(
            400, "malformed", "Idempotency-Key has 1 to 128 printable ASCII characters, no space"
        )


def begin(passing: Passing, clock: Clock, caller: str, key: str, content: str) -> Ticket | Kept:
    """The caller's turn to do it; or the answer that it had.

    Raises: Refused, for a key that is none, was used for another request, or is in use just now.
    """
    check(key)
    name = f"answer/{hashlib.sha256(f'{caller} {key}'.encode()).hexdigest()}"
    now = clock.now().timestamp()
    found = passing.get(name)
    version, seed = 0, f"{round(now * 1_000)} {secrets.token_hex(16)}"
    if found is not None:
        kept = msgspec.convert(canon.decode(found.value), Kept)
        if kept.fingerprint != content:
            raise Refused(
                422,
                "idempotency_key_reused",
                "this Idempotency-Key was used for another request",
                next_step="a new key for a new request",
            )
        if kept.status:
            return kept
        if now < kept.until:
            raise _in_progress()
        version, seed = found.version, kept.seed
    kept = Kept(fingerprint=content, seed=seed, until=int(now) + BUSY_SECONDS)
    try:
        version = passing.swap(name, version, _encode(kept), lasts_seconds=LASTS_SECONDS)
    except Conflict:
        raise _in_progress() from None
    return Ticket(name, version, kept, repeated=found is not None)


def end(passing: Passing, ticket: Ticket, **answer: object) -> None:
    """Keep the answer; what cannot be kept is done all the same, and is not answered from here."""
    with suppress(Conflict, StoreUnavailable):
        kept = msgspec.structs.replace(ticket.kept, **answer)
        passing.swap(ticket.key, ticket.version, _encode(kept), lasts_seconds=LASTS_SECONDS)


def release(passing: Passing, ticket: Ticket) -> None:
    """It failed: let it be tried anew at once."""
    end(passing, ticket, until=0)


def _encode(kept: Kept) -> bytes:
    return canon.encode(msgspec.to_builtins(kept))


def _in_progress() -> Refused:
    return Refused(
        409, "in_progress", "the same request is under way", next_step="again", Retry_After="1"
    )
