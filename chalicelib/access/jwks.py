"""An issuer's keys, fetched when they are needed and remembered. Pure: fetch and clock come in.

    discovery document ─► jwks_uri ─► JWK set ─► keys      fresh for an hour
                                                           kept for a day, if nothing newer comes

A key id that is not known is a reason to ask again, once a minute at most: ids are the caller's,
and a flood of made-up ones must not become a flood of requests. Where asking fails, what was known
stays good for a day; after it the answer is that we could not tell, and never that a token is bad.
Sources: OpenID Connect Discovery 1.0 §4; RFC 8414 §3.3; RFC 7517 §5.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from chalicelib.access import key
from chalicelib.access.issuer import secure
from chalicelib.kernel import canon
from chalicelib.kernel.errors import CouldNotTell, HoldfastError, Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.access.issuer import Issuer
    from chalicelib.access.key import Key
    from chalicelib.kernel.clock import Clock

MAX_DOCUMENT_BYTES: Final = 256 * 2**10  # those of large issuers, with certificates, have 20 KiB
MAX_KEYS: Final = 100
FRESH: Final = timedelta(hours=1)
KEPT: Final = timedelta(hours=24)
PAUSE: Final = timedelta(minutes=1)  # between two requests to one issuer
PAUSE_WITHOUT_KEYS: Final = timedelta(seconds=10)  # where nobody can be let in until one succeeds
WAIT_SECONDS: Final = 5.0  # for another thread's request

DISCOVERY: Final = "/.well-known/openid-configuration"


class Fetch(Protocol):
    """One HTTP GET."""

    def __call__(self, url: str) -> bytes:
        """The body of the answer, whose status was 200. Raises: CouldNotTell."""
        ...


class Keys:
    """The keys of every issuer, for any number of threads."""

    def __init__(self, issuers: Iterable[Issuer], fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept = {one.issuer: _Kept() for one in issuers}

    def of(self, issuer: Issuer, kid: str) -> Sequence[Key]:
        """The issuer's keys with that id, or all of them for an empty one; none, if it has none.

        Raises: CouldNotTell, where the issuer could not be asked and what is known does not do.
        """
        kept = self._kept[issuer.issuer]
        if kept.due(kid, self._clock.now()):
            # Whoever finds a good key does not wait for a newer one.
            wait = 0.0 if kept.good(kid, self._clock.now()) else WAIT_SECONDS
            if kept.lock.acquire(timeout=wait):
                try:
                    if kept.due(kid, self._clock.now()):  # another thread may have been faster
                        self._renew(issuer, kept)
                finally:
                    kept.lock.release()
        return kept.answer(issuer, kid, self._clock.now())

    def _renew(self, issuer: Issuer, kept: _Kept) -> None:
        try:
            found = key_set(self._document(issuer))
        except HoldfastError as error:
            kept.failed = error.message
        else:
            kept.keys, kept.at, kept.failed = found, self._clock.now(), ""
        finally:
            kept.tried = self._clock.now()

    def _document(self, issuer: Issuer) -> bytes:
        """The JWK set's bytes. Raises: CouldNotTell; Malformed, for another issuer's document."""
        where = issuer.jwks_uri
        if not where:
            # Discovery §4.1: a slash at the end of the issuer is left out.
            found = canon.parse(self._get(issuer.issuer.removesuffix("/") + DISCOVERY))
            if not isinstance(found, dict) or found.get("issuer") != issuer.issuer:
                raise Malformed("the discovery document is not of this issuer")
            told = found.get("jwks_uri")
            # An issuer elsewhere has no say over what is asked of this machine.
            if not isinstance(told, str) or not secure(told, loopback=not secure(issuer.issuer)):
                raise Malformed("the discovery document has no jwks_uri that begins with https://")
            where = told
        return self._get(where)

    def _get(self, url: str) -> bytes:
        body = self._fetch(url)
        if len(body) > MAX_DOCUMENT_BYTES:
            raise Malformed(f"an answer of more than {MAX_DOCUMENT_BYTES} bytes")
        return body


class _Kept:
    """What is known of one issuer. ``at``: when it told its keys; ``tried``: when it was asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.keys: tuple[Key, ...] = ()
        self.at: datetime | None = None
        self.tried: datetime | None = None
        self.failed = ""

    def known(self, kid: str) -> tuple[Key, ...]:
        return tuple(one for one in self.keys if kid in {"", one.kid})

    def good(self, kid: str, now: datetime) -> bool:
        return self._within(self.at, KEPT, now) and bool(self.known(kid))

    def due(self, kid: str, now: datetime) -> bool:
        """Whether the issuer is to be asked."""
        pause = PAUSE if self._within(self.at, KEPT, now) else PAUSE_WITHOUT_KEYS
        if self._within(self.tried, pause, now):
            return False
        return not self._within(self.at, FRESH, now) or not self.known(kid)

    def answer(self, issuer: Issuer, kid: str, now: datetime) -> tuple[Key, ...]:
        # A key that is not known may be one that a failed request would have brought.
        if self._within(self.at, KEPT, now) and (self.known(kid) or not self.failed):
            return self.known(kid)
        raise CouldNotTell(
            f"the keys of {issuer.issuer} cannot be had: "
            f"{self.failed or 'they are being fetched'}; no token of it was verified",
            next_step="try again; see that the way to the issuer is open",
        )

    @staticmethod
    def _within(moment: datetime | None, period: timedelta, now: datetime) -> bool:
        # A clock that was put back makes nothing fresh for longer.
        return moment is not None and timedelta(0) <= now - moment < period


def key_set(data: bytes) -> tuple[Key, ...]:
    """The usable keys of a JWK set. Others are left out, as RFC 7517 §5 has it.

    A key whose private part stands in the set is left out wherever it stands: anybody can sign with
    it. Raises: Malformed: no JWK set, more than MAX_KEYS keys, or none that can be used.
    """
    document = canon.parse(data)
    entries: Any = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise Malformed(f"not a JWK set of at most {MAX_KEYS} keys")
    told = {key.material(one) for one in entries if isinstance(one, dict) and key.PRIVATE & {*one}}
    found = []
    for entry in entries:
        try:
            one = key.parse(entry)
        except Malformed:
            continue
        if key.material(entry) not in told:
            found.append(one)
    if not found:
        raise Malformed("a JWK set without a key that can be used")
    return tuple(found)
