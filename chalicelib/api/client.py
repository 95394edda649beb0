"""The client: the API's operations on another machine, with the answers and errors of this one.

A request is made of the same table as the routes. Its answer is bounded, and decoded into the
route's type; a problem becomes the error that it was there. A POST has one ``Idempotency-Key``
however often it is sent, so that it happens once. Credentials go to the base address alone, over
TLS or within this machine; a redirect is not followed.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
import urllib.parse
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from chalicelib.access.issuer import secure
from chalicelib.anchors import http as wire
from chalicelib.api.here import NOTHING
from chalicelib.api.routes import BY_NAME, PARTS
from chalicelib.api.types import MAX_LIMIT, Problem
from chalicelib.kernel import canon
from chalicelib.kernel.errors import (
    Busy,
    CouldNotTell,
    DigestMismatch,
    HoldfastError,
    Malformed,
    NotFound,
    Unreachable,
    Unsupported,
    UsageError,
)

if TYPE_CHECKING:
    from chalicelib.api.exhibits import Packet
    from chalicelib.api.routes import Route
    from chalicelib.api.types import Failure, Request

Sign = Callable[[str, str, Mapping[str, str], bytes | None], Mapping[str, str]]
"""Headers that authenticate a request: of its method, URL, headers and body."""

MAX_ANSWER_BYTES: Final = 16 * 2**20
MAX_TEXT: Final = 2_000  # characters of what a server says
TIMEOUT_SECONDS: Final = 60.0  # API Gateway answers within 29; on one machine locks are waited for
ATTEMPTS: Final = 5  # to send one request
FIRST_PAUSE_SECONDS: Final = 0.25  # doubled with each attempt
MAX_WAIT_SECONDS: Final = 30  # that a server may ask for
SLOWEST_BYTES_PER_SECOND: Final = 2**16  # of a download
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
IN_PROGRESS: Final = "in_progress"
# Those that say nothing of the request itself: throttled, and a server that cannot answer now.
_PASSING: Final = frozenset({429, 502, 503, 504})
_BUSY: Final = frozenset({IN_PROGRESS, "too_many_requests"})


def check_base(url: str) -> str:
    """The base address without a slash at its end. Raises: UsageError."""
    found = wire.check_url(url)
    if not secure(url, loopback=True):
        raise UsageError(
            f"the API is asked over https, and over http on this machine alone: {url[:80]!r}",
            next_step="https://…, or http://127.0.0.1:8420",
        )
    if found.query:
        raise UsageError("the address of an API has no query", next_step="leave what follows ? out")
    return url.rstrip("/")


class There:
    """Implements ``here.Way`` over HTTP.

    ``sign``: asked for every request that is sent. ``pause(seconds)`` waits. ``new_key()``: text
    that nobody has had before, for what must happen once.
    """

    most = MAX_LIMIT

    def __init__(
        self,
        base: str,
        sign: Sign,
        *,
        pause: Callable[[float], None],
        new_key: Callable[[], str],
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.base = check_base(base)
        self._sign = sign
        self._pause = pause
        self._new_key = new_key
        self._timeout_seconds = timeout_seconds

    def do(self, name: str, asked: Request = NOTHING, /, **path: Any) -> Any:
        """The answer of a route.

        Raises: what the operation raised there; Unreachable, without a whole answer; Unsupported,
        for one that is of another form; what ``sign`` raises.
        """
        route = BY_NAME[name]
        url = self.base + _path(route, path)
        fields = {"Accept": f"{JSON if route.answer else 'text/plain'}, {PROBLEM}"}
        body = None
        if route.method == "POST":
            body = msgspec.json.encode(asked)
            fields |= {"Content-Type": JSON, "Idempotency-Key": self._new_key()}
        elif query := _query(asked):
            url += f"?{query}"

        def send() -> wire.Reply:
            return wire.request(
                route.method,
                url,
                {**fields, **self._sign(route.method, url, fields, body)},
                body,
                max_bytes=MAX_ANSWER_BYTES,
                timeout_seconds=self._timeout_seconds,
            )

        return _decode(route, self._answered(send, route.status))

    def fetch(self, told: Packet, sink: BinaryIO) -> None:
        """The packet that is built, written to ``sink`` from its beginning.

        No credential goes with it: the address is enough. Raises: as :meth:`do`; DigestMismatch,
        where something else is there.
        """
        size, digest = told.size_bytes, told.file_sha256
        if not told.url or size is None or digest is None:
            raise Unsupported(f"the API does not say where {told.id} is, or what it is")
        url = told.url
        if url.startswith("/"):
            url = self.base + url
        elif not secure(url, loopback=True):
            raise Unsupported("the API gave an address that is not fetched: it is not over TLS")

        def send() -> wire.Reply:
            sink.seek(0)
            sink.truncate()
            patience = self._timeout_seconds + size / SLOWEST_BYTES_PER_SECOND
            return wire.download(url, sink, max_bytes=size, timeout_seconds=patience)

        self._answered(send, HTTPStatus.OK)
        sink.flush()
        sink.seek(0)
        whole = hashlib.sha256()
        while piece := sink.read(wire.PIECE_BYTES):
            whole.update(piece)
        if whole.hexdigest() != digest or sink.tell() != size:
            raise DigestMismatch(
                f"what was fetched is not {told.id}: expected {size} bytes with SHA-256 {digest}, "
                f"found {sink.tell()} with {whole.hexdigest()}",
                next_step="fetch it again; if it stays so, ask whoever runs the API",
            )

    def _answered(self, send: Callable[[], wire.Reply], status: int) -> wire.Reply:
        """A good answer; the request is sent again while that may help."""
        for attempt in range(1, ATTEMPTS + 1):
            wait: float | None = 0.0
            try:
                reply = send()
            except Unreachable as failure:
                error: HoldfastError = failure
                wait = 0.0 if _lost(failure) else None
            else:
                if reply.status == status:
                    return reply
                error = problem(reply)
                wait = _wait(reply)
            if wait is None or attempt == ATTEMPTS:
                raise error
            self._pause(max(wait, FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)))
        raise AssertionError("the last attempt returns or raises")


def failed(code: str, message: str, next_step: str = "", status: int = 500) -> HoldfastError:
    """The error of a code; of one that is not known here, by the status."""
    kind = _KINDS.get(code)
    if kind is None and code in _BUSY:
        kind = Busy
    if kind is None:
        kind = UsageError if 400 <= status < 500 else CouldNotTell  # noqa: PLR2004 - RFC 9110 §15
    return kind(message[:MAX_TEXT], next_step=next_step[:MAX_TEXT])


def of_failure(failure: Failure | None) -> HoldfastError:
    """The error that a job ended with."""
    if failure is None:
        return CouldNotTell("it failed, and the API does not say why")
    return failed(failure.code, failure.message, failure.next_step)


def problem(reply: wire.Reply) -> HoldfastError:
    """The error of an answer: as RFC 9457 has it, or what somebody in between said."""
    if 300 <= reply.status < 400:  # noqa: PLR2004 - RFC 9110 §15.4
        return CouldNotTell(
            f"the API answered with a redirect (status {reply.status}), which is not followed",
            next_step="give the address that it is at",
        )
    try:
        said = canon.parse(reply.body)
    except Malformed:
        said = None
    if _media(reply) == PROBLEM:
        try:
            found = msgspec.convert(said, Problem)
        except msgspec.ValidationError:
            found = None
        if found is not None:
            message = found.detail
            if found.code not in _KINDS and reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                message = f"{message} (request {found.request[:64]})"
            return failed(found.code, message, found.next_step, reply.status)
    words = said.get("message") if isinstance(said, dict) else None  # API Gateway's own answers
    told = f": {words[:300]}" if isinstance(words, str) else ""
    return failed("", f"the API answered with the status {reply.status}{told}", "", reply.status)


def _lost(error: Unreachable) -> bool:
    """Whether no answer came, which another attempt may get; a bad one would come again."""
    cause = error.__cause__
    return isinstance(cause, (OSError, http.client.IncompleteRead)) and not isinstance(
        cause, ssl.SSLError
    )


def _wait(reply: wire.Reply) -> float | None:
    """Seconds until it is worth asking again; None where it is not."""
    if reply.status == HTTPStatus.CONFLICT:
        try:
            if canon.parse(reply.body).get("code") != IN_PROGRESS:
                return None
        except (Malformed, AttributeError):
            return None
    elif reply.status not in _PASSING:
        return None
    said = reply.headers.get("retry-after", "0")
    if not re.fullmatch(r"[0-9]{1,9}", said) or int(said) > MAX_WAIT_SECONDS:
        return None
    return float(said)


def _path(route: Route, path: Mapping[str, Any]) -> str:
    """The path with its values, none of which is more than one part of it. Raises: NotFound."""
    parts = {}
    for name in route.braces:
        try:
            value = msgspec.convert(str(path[name]), PARTS[name], strict=False)
        except msgspec.ValidationError:
            raise NotFound(f"that is no {name}'s name: {str(path[name])[:80]!r}") from None
        parts[name] = urllib.parse.quote(str(value), safe="")
    return route.path.format(**parts)


def _query(asked: Request) -> str:
    """What is asked beside the path; what says nothing is left out."""
    fields: dict[str, Any] = msgspec.to_builtins(asked)
    given = [(key, value) for key, value in fields.items() if value not in (None, "", [])]
    return urllib.parse.urlencode(given, doseq=True, quote_via=urllib.parse.quote)


def _decode(route: Route, reply: wire.Reply) -> Any:
    wanted = "text/plain" if route.answer is None else JSON
    if _media(reply) == wanted:
        if route.answer is None:
            return reply.body
        try:
            return msgspec.convert(canon.parse(reply.body), route.answer)
        except (Malformed, msgspec.ValidationError) as error:
            why = error.message if isinstance(error, Malformed) else str(error)[:300]
    else:
        why = f"expected {wanted}, found {_media(reply)[:80] or 'nothing that says what it is'}"
    raise Unsupported(
        f"the API's answer cannot be read: {why}",
        next_step="check the address, and that both are of one version",
    )


def _media(reply: wire.Reply) -> str:
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower()


def _codes(kind: type[HoldfastError]) -> dict[str, type[HoldfastError]]:
    found = {kind("").code: kind}
    for below in kind.__subclasses__():
        found |= _codes(below)
    return found


_KINDS: Final = _codes(HoldfastError)
