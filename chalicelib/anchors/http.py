"""HTTP POST to witnesses and time-stamping authorities, with the standard library.

``http`` and ``https`` only, certificates verified; no redirects, no proxies, no cookies and no
credentials. An answer is bounded in size and in time. Needs a way out to the configured host.
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
from typing import Final

from chalicelib import __version__
from chalicelib.evidence.anchor import Answer
from chalicelib.kernel.errors import Unreachable, UsageError

MAX_ANSWER_BYTES: Final = 64 * 2**10
MAX_URL_CHARACTERS: Final = 2_000
TIMEOUT_SECONDS: Final = 20.0  # for the whole exchange

_PRINTABLE = re.compile(r"[!-~]+")  # RFC 9112 §3.2: no space or control in a request's target


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
    connection, path = _connection(check_url(url), timeout_seconds)
    headers = {
        "Content-Type": content_type,
        "User-Agent": f"holdfast/{__version__}",
        "Connection": "close",
    }
    done: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()
    opened: list[socket.socket] = []

    def exchange() -> None:
        try:
            connection.connect()
            opened.append(connection.sock)
            connection.request("POST", path, body=body, headers=headers)
            done.put(_read(connection, max_bytes))
        except BaseException as error:  # noqa: BLE001 - raised again below, by whoever asked
            done.put(error)
        finally:
            connection.close()

    # A server that trickles, or a name that takes long to resolve, passes by every bound on one
    # read: only a thread that is left behind bounds the whole.
    threading.Thread(target=exchange, daemon=True).start()
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
    return found


def check_url(url: str) -> urllib.parse.SplitResult:
    """The parts of a URL that is posted to. Raises: UsageError, for any other."""
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
    raise UsageError(f"not a URL to post to: {url.rpartition('@')[2][:80]!r}: {wrong}")


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


def _read(connection: http.client.HTTPConnection, max_bytes: int) -> Answer:
    with connection.getresponse() as response:
        data = response.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise http.client.HTTPException(f"more than {max_bytes} bytes")
        if response.length:  # http.client does not tell where a part was asked for
            raise http.client.IncompleteRead(data, response.length)
        return Answer(response.status, response.getheader("Content-Type") or "", data)
