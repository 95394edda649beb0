"""HTTP to witnesses, time-stamping authorities, issuers and the API, with the standard library.

``http`` and ``https`` only, certificates verified; no redirects, no proxies, no cookies, and no
credentials but those that a caller gives. An answer is bounded in size and in time. Needs a way out
to the configured host.
"""

from __future__ import annotations

import http.client
import queue
import re
import socket
import ssl
import threading
import urllib.parse
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from chalicelib import __version__
from chalicelib.evidence.anchor import Answer
from chalicelib.kernel.errors import Unreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

T = TypeVar("T")

MAX_ANSWER_BYTES: Final = 64 * 2**10
MAX_URL_CHARACTERS: Final = 2_000
TIMEOUT_SECONDS: Final = 20.0  # for the whole exchange
SILENCE_SECONDS: Final = 30.0  # without a single byte, in an exchange that may take longer
PIECE_BYTES: Final = 2**18

_PRINTABLE = re.compile(r"[!-~]+")  # RFC 9112 §3.2: no space or control in a request's target


class Reply(NamedTuple):
    """An answer with its headers, by their names in lower case; of those there twice, the last."""

    status: int
    headers: dict[str, str]
    body: bytes


def post(
    url: str,
    body: bytes,
    content_type: str,
    *,
    max_bytes: int = MAX_ANSWER_BYTES,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """The answer, whatever its status; a redirect is an answer too, and is not followed.

    Raises: UsageError, for a URL of another kind; Unreachable: no whole answer within
    ``timeout_seconds``, one with more than ``max_bytes``, or one that is not HTTP.
    """
    return _exchanged(
        "POST",
        url,
        body,
        {"Content-Type": content_type},
        timeout_seconds=timeout_seconds,
        take=lambda found: _answer(found, max_bytes),
    )


def get(
    url: str,
    *,
    accept: str = "application/json",
    max_bytes: int = MAX_ANSWER_BYTES,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Answer:
    """The answer to a GET, in the same bounds. Raises: as :func:`post`."""
    return _exchanged(
        "GET",
        url,
        None,
        {"Accept": accept},
        timeout_seconds=timeout_seconds,
        take=lambda found: _answer(found, max_bytes),
    )


def request(
    method: str,
    url: str,
    fields: Mapping[str, str],
    body: bytes | None = None,
    *,
    max_bytes: int = MAX_ANSWER_BYTES,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Reply:
    """The answer to a request with these headers, in the same bounds.

    Raises: as :func:`post`; Unreachable, for an answer that does not say where it ends.
    """

    def take(found: http.client.HTTPResponse) -> Reply:
        _check_end(found)
        return Reply(found.status, _headers(found), _body(found, max_bytes))

    return _exchanged(method, url, body, fields, timeout_seconds=timeout_seconds, take=take)


def deliver(
    url: str, fields: Mapping[str, str], body: bytes, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> int:
    """The status of the answer to a POST with these headers; the rest of it is not read.

    Raises: as :func:`post`.
    """
    return _exchanged(
        "POST", url, body, fields, timeout_seconds=timeout_seconds, take=lambda found: found.status
    )


def download(url: str, sink: BinaryIO, *, max_bytes: int, timeout_seconds: float) -> Reply:
    """What is at a URL, written to ``sink``; the reply has a body only where that is an error.

    Raises: as :func:`post`; then something may have been written.
    """

    def take(found: http.client.HTTPResponse) -> Reply:
        if found.status != http.HTTPStatus.OK:
            return Reply(found.status, _headers(found), _body(found, MAX_ANSWER_BYTES))
        _check_end(found)
        total = 0
        while piece := found.read(PIECE_BYTES):
            total += len(piece)
            if total > max_bytes:
                raise http.client.HTTPException(f"more than {max_bytes} bytes")
            sink.write(piece)
        if found.length:
            raise http.client.IncompleteRead(b"", found.length)
        return Reply(found.status, _headers(found), b"")

    return _exchanged("GET", url, None, {}, timeout_seconds=timeout_seconds, take=take)


def _exchanged(
    method: str,
    url: str,
    body: bytes | None,
    fields: Mapping[str, str],
    *,
    timeout_seconds: float,
    take: Callable[[http.client.HTTPResponse], T],
) -> T:
    """What ``take`` makes of the answer, in a thread of its own."""
    connection, path = _connection(check_url(url), min(timeout_seconds, SILENCE_SECONDS))
    headers = {**fields, "User-Agent": f"holdfast/{__version__}", "Connection": "close"}
    done: queue.SimpleQueue[tuple[T] | BaseException] = queue.SimpleQueue()
    opened: list[socket.socket] = []

    def exchange() -> None:
        try:
            connection.connect()
            opened.append(connection.sock)
            connection.request(method, path, body=body, headers=headers)
            with connection.getresponse() as response:
                done.put((take(response),))
        except BaseException as error:  # noqa: BLE001 - raised again below, by whoever asked
            done.put(error)
        finally:
            connection.close()

    # A server that trickles, or a name that takes long to resolve, passes by every bound on one
    # read: only a thread that is left behind bounds the whole.
    threading.Thread(target=exchange, daemon=True).start()
    found: tuple[T] | BaseException
    try:
        found = done.get(timeout=timeout_seconds)
    except queue.Empty:
        for one in opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        found = TimeoutError(f"no whole answer within {timeout_seconds:g} seconds")
    if isinstance(found, (OSError, http.client.HTTPException, ValueError)):
        raise Unreachable(
            f"no answer from {url}: {str(found)[:200] or type(found).__name__}",
            next_step="check the address, and that the way to it is open",
        ) from found
    if isinstance(found, BaseException):
        raise found
    return found[0]


def check_url(url: str) -> urllib.parse.SplitResult:
    """The parts of a URL that is asked. Raises: UsageError, for any other."""
    try:
        found = urllib.parse.urlsplit(url)
        port = found.port
    except ValueError:
        found, port = urllib.parse.urlsplit(""), None
    if len(url) > MAX_URL_CHARACTERS or not _PRINTABLE.fullmatch(url):
        wrong = "too long, or with a space or a character that is not ASCII"
    elif found.scheme not in {"http", "https"} or not found.hostname or port == 0:
        wrong = "expected http:// or https://, and a host"
    elif found.username is not None or found.fragment:
        wrong = "with credentials or a fragment"
    else:
        return found
    # What stands before an @ may be a password.
    raise UsageError(f"not a URL to ask: {url.rpartition('@')[2][:80]!r}: {wrong}")


def _connection(
    where: urllib.parse.SplitResult, timeout_seconds: float
) -> tuple[http.client.HTTPConnection, str]:
    """The connection, not open yet, and the request's target."""
    host, port = where.hostname or "", where.port
    path = urllib.parse.urlunsplit(("", "", where.path or "/", where.query, ""))
    if where.scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=timeout_seconds), path
    context = ssl.create_default_context()
    return (
        http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=context),
        path,
    )


def _answer(found: http.client.HTTPResponse, max_bytes: int) -> Answer:
    data = _body(found, max_bytes)
    return Answer(found.status, found.getheader("Content-Type") or "", data)


def _headers(found: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in found.getheaders()}


def _check_end(found: http.client.HTTPResponse) -> None:
    """Return if the answer says where it ends: else one that was cut off looks whole."""
    if found.length is None and not found.chunked:
        raise http.client.IncompleteRead(b"")


def _body(found: http.client.HTTPResponse, max_bytes: int) -> bytes:
    data = found.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise http.client.HTTPException(f"more than {max_bytes} bytes")
    if found.length:  # http.client does not tell where a part was asked for
        raise http.client.IncompleteRead(data, found.length)
    return data
