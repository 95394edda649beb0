"""A signed webhook: a notice of a request or a lease, posted to somebody's server.

The body is signed with a key that both have (``access.notice.sign``): the receiver knows who says
it, and when. A redirect is not followed, and of an answer only the status is read. One call tries
once; whoever makes it tries again later.

An address may be a secret itself, as Slack's are: no message has more of it than the host.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from chalicelib.access import notice
from chalicelib.anchors import http
from chalicelib.kernel import canon
from chalicelib.kernel.errors import ConfigError, CouldNotTell, NotAllowed, Unreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.access.notice import Notice
    from chalicelib.kernel.clock import Clock

TIMEOUT_SECONDS: Final = 10.0
JSON: Final = "json"
SLACK: Final = "slack"
EVENT: Final = "Holdfast-Event"

# What says that this very notice will never be taken. Everything else may be mended at the other
# end: a route, a key, a permission, a rate. Source: RFC 9110 §15.5.
_REFUSED: Final = frozenset({400, 413, 415, 422})


class Webhook:
    """Implements ``access.receiver.Receiver``. ``form``: ``json`` or ``slack``.

    ``kinds``: of records, none: all. Raises: ConfigError, for an address that is not asked, or a
    key that is too short.
    """

    def __init__(
        self, url: str, key: bytes, *, clock: Clock, form: str = JSON, kinds: Iterable[str] = ()
    ) -> None:
        self._host = urlsplit(url).hostname or ""
        try:
            http.check_url(url)
        except UsageError:
            raise ConfigError(
                "the URL of a webhook cannot be asked; expected https://host/path"
            ) from None
        if len(key) < notice.MIN_KEY_BYTES:
            raise ConfigError(
                f"the key of the webhook at {self._host} is too short; expected "
                f"{notice.MIN_KEY_BYTES} bytes or more",
                next_step="give it the value of: openssl rand -hex 32",
            )
        if form not in {JSON, SLACK}:
            raise ConfigError(f"a webhook's format is {JSON} or {SLACK}, found {form[:40]!r}")
        self._url = url
        self._key = key
        self._clock = clock
        self._form = form
        self.kinds = frozenset(kinds)

    def __repr__(self) -> str:
        return f"<webhook at {self._host}>"

    @property
    def name(self) -> str:
        """Its host, and what tells it from another one there."""
        digest = hashlib.sha256(self._url.encode()).hexdigest()[:12]
        return f"webhook {self._host} {digest}"

    def tell(self, one: Notice) -> None:
        """It was taken: the answer's status is 2xx. Raises: CouldNotTell; NotAllowed: never."""
        made = notice.slack(one) if self._form == SLACK else notice.event(one)
        body = canon.encode(made)
        at = int(self._clock.now().timestamp())
        fields = {
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "*/*",
            notice.SIGNATURE: notice.sign(self._key, body, at),
            EVENT: one.id,
        }
        try:
            status = http.deliver(self._url, fields, body, timeout_seconds=TIMEOUT_SECONDS)
        except Unreachable as error:
            # Its message names the whole address.
            reason = type(error.__cause__).__name__
            raise Unreachable(
                f"no answer from the webhook at {self._host}: {reason}",
                next_step="it is tried again; check the address, and that the way to it is open",
            ) from None
        if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110 §15.3: successful
            return
        what = f"the webhook at {self._host} answered {status} to {one.id}"
        if status in _REFUSED:
            raise NotAllowed(what, next_step="look at its log; it is not told this again")
        raise CouldNotTell(what, next_step="it is tried again; look at its log")
