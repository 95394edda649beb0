"""The door: who a bearer token or an AWS identity is, by the settings."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from chalicelib.access import identity as access
from chalicelib.access import token as tokens
from chalicelib.access.jwks import MAX_DOCUMENT_BYTES, Keys
from chalicelib.anchors import http
from chalicelib.kernel.errors import Unauthenticated, Unreachable
from chalicelib.settings import identity as checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.access.issuer import Issuer
    from chalicelib.access.jwks import Fetch
    from chalicelib.access.key import Key
    from chalicelib.access.principal import Principal
    from chalicelib.kernel.clock import Clock
    from chalicelib.local.issuer import LocalIssuer
    from chalicelib.settings import Settings
    from chalicelib.wiring.services import Services

FETCH_SECONDS: Final = 5.0  # a caller waits for it; two of them fit under API Gateway's 29 seconds
OK: Final = 200


class Door:
    """Who callers are. For any number of threads; an issuer's keys are kept as long as it is."""

    def __init__(self, loaded: Settings, fetch: Fetch, clock: Clock) -> None:
        section = loaded.file.identity
        self._clock = clock
        self._directory = checks.directory(section)
        self._iam = [checks.iam(one) for one in section.iam]
        issuers = [checks.issuer(one) for one in section.issuers]
        self._keys = Keys(issuers, fetch, clock)
        self._local = local_issuer(loaded)
        if self._local is not None:
            issuers.append(self._local.issuer)
        self._issuers = {one.issuer: one for one in issuers}

    def bearer(self, token: str) -> Principal:
        """Who a token is of.

        Raises: Unauthenticated; CouldNotTell, where the issuer's keys cannot be had.
        """
        if not self._issuers:
            raise Unauthenticated(
                "no token was accepted: the settings name no issuer",
                next_step="[[identity.issuers]] in the settings",
            )
        claims = tokens.verify(token, self._issuers, self._keys_of, self._clock.now())
        return access.principal(claims, self._directory)

    def iam(self, arn: str) -> Principal:
        """Who an AWS identity is, verified by API Gateway (``requestContext.identity.userArn``).

        Raises: Unauthenticated.
        """
        return access.iam(arn, self._iam, self._directory)

    def _keys_of(self, issuer: Issuer, kid: str) -> Sequence[Key]:
        if self._local is not None and issuer.local:
            return self._local.keys(kid)
        return self._keys.of(issuer, kid)


_lock = threading.Lock()
_newest: list[tuple[Settings, Door]] = []


def door(services: Services) -> Door:
    """The door of the services' settings, one a process for as long as they are the same."""
    loaded = services.settings
    with _lock:
        if not (_newest and (_newest[0][0] is loaded or _newest[0][0] == loaded)):
            _newest[:] = [(loaded, Door(loaded, fetched, services.desk.clock))]
        return _newest[0][1]


def local_issuer(loaded: Settings) -> LocalIssuer | None:
    """The issuer of this machine; none on AWS, whatever lies in folders there."""
    if loaded.file.aws is not None:
        return None
    from chalicelib.local.issuer import LocalIssuer  # noqa: PLC0415 - no function on AWS loads it

    return LocalIssuer(loaded.store_path / "key", loaded.keyring.origin)


def fetched(url: str) -> bytes:
    """The body of an issuer's answer. Raises: CouldNotTell; UsageError, for what is no URL."""
    answer = http.get(url, max_bytes=MAX_DOCUMENT_BYTES, timeout_seconds=FETCH_SECONDS)
    if answer.status != OK:
        raise Unreachable(f"{url[:200]} answered with the status {answer.status}, expected {OK}")
    return answer.body
