"""Server: a witness behind HTTP/1.1, with the standard library.

One resource, ``POST /add-checkpoint``; everything else is refused. Bounds: connections at once,
bytes of a body, seconds for one request, seconds for a connection. TLS is a proxy's to add: what is
answered proves itself by its signature. Needs to listen on one address.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final

from chalicelib.evidence.submission import CONTENT_TYPE, MAX_REQUEST_BYTES, PATH
from chalicelib.kernel.errors import HoldfastError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.evidence.witness import Witness

MAX_CONNECTIONS: Final = 32
REQUEST_SECONDS: Final = 10.0  # from the wait for a request to the end of its answer
CONNECTION_SECONDS: Final = 60.0  # a client that goes on after that connects again

_MAX_DIGITS: Final = 10  # of a Content-Length


class Server(ThreadingMixIn, HTTPServer):
    """``serve_forever`` answers until ``shutdown``, which another thread calls.

    ``tell`` is told of every answer, and of failures, in one line each. Raises: StoreUnavailable,
    where the address cannot be listened on.
    """

    daemon_threads = True  # ended at any moment, as by a kill: see evidence.witness
    request_queue_size = 64

    def __init__(
        self,
        address: tuple[str, int],
        witness: Witness,
        *,
        tell: Callable[[str], None],
        max_connections: int = MAX_CONNECTIONS,
        request_seconds: float = REQUEST_SECONDS,
        connection_seconds: float = CONNECTION_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.witness = witness
        self.tell = tell
        self.request_seconds = request_seconds
        self._connection_seconds = connection_seconds
        self._monotonic = monotonic
        self._free = threading.BoundedSemaphore(max_connections)
        self._lock = threading.Lock()
        self._open: dict[Any, tuple[float, float]] = {}  # connection → ends of request and itself
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot listen on {address[0]}:{address[1]}: {error.strerror}",
                next_step="choose another address with --listen",
            ) from error

    def server_bind(self) -> None:
        """Bind, without the look-up of the host's name that ``HTTPServer`` adds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, or nobody's, where there are too many."""
        if not self._free.acquire(blocking=False):
            self.tell(f"{client_address[0]} turned away: too many connections")
            self.shutdown_request(request)
            return
        now = self._monotonic()
        with self._lock:
            ends = now + self._connection_seconds
            self._open[request] = (min(now + self.request_seconds, ends), ends)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._closed(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The whole of a connection, in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._closed(request)

    def next_request(self, request: Any) -> None:
        """The connection waits for another request."""
        with self._lock:
            if request in self._open:
                ends = self._open[request][1]
                due = min(self._monotonic() + self.request_seconds, ends)
                self._open[request] = (due, ends)

    def service_actions(self) -> None:
        """End the connections whose time is over; ``serve_forever`` calls it twice a second."""
        now = self._monotonic()
        with self._lock:
            late = [request for request, (due, _) in self._open.items() if due <= now]
            for request in late:
                # Its thread is told by its next read or write; closing it is left to that thread.
                with suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's
        """A connection that broke, which ends nothing but itself."""
        self.tell(f"{client_address[0]} the connection failed")

    def _closed(self, request: Any) -> None:
        with self._lock:
            if self._open.pop(request, None) is not None:
                self._free.release()


class _Handler(BaseHTTPRequestHandler):
    """One connection. A request that cannot be read to its end is the last one."""

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # of what is none, so that its refusal has a head
    server_version = "holdfast-witness"
    sys_version = ""
    server: Server
    disable_nagle_algorithm = True  # head and body of an answer are two writes

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.request_seconds)

    def handle_one_request(self) -> None:
        self.server.next_request(self.request)
        super().handle_one_request()

    def do_POST(self) -> None:
        """A checkpoint to cosign."""
        if self.path != PATH:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        body = self._body()
        if body is None:
            return
        try:
            answer = self.server.witness.add_checkpoint(body)
        except HoldfastError as error:
            self.server.tell(f"cannot cosign: {error.message}")
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._answer(answer.status, answer.content_type, answer.body)

    def do_GET(self) -> None:
        """Nothing is read here."""
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED if self.path == PATH else HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        """As GET, without a body."""
        self.do_GET()

    def send_error(
        self,
        code: int,
        message: str | None = None,  # noqa: ARG002 - may quote the request
        explain: str | None = None,  # noqa: ARG002 - as above
    ) -> None:
        """What the standard library refuses, in our words."""
        self._refuse(HTTPStatus(code))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """The address, the request line and the status, without control characters."""
        self.server.tell(f"{self.client_address[0]} {(format % args)[:200]!a}")

    def _body(self) -> bytes | None:
        """The request's body; None where it was refused. Source: RFC 9112 §6.3."""
        lengths = self.headers.get_all("Content-Length") or []
        if self.headers.get("Transfer-Encoding") is not None or len(lengths) != 1:
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
            return None
        [text] = lengths
        if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return None
        if int(text) > MAX_REQUEST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        data = self.rfile.read(int(text))
        if len(data) != int(text):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return None
        return data

    def _refuse(self, status: HTTPStatus) -> None:
        """A refusal that ends the connection: what is left of the request is not read."""
        self.close_connection = True
        self._answer(status, CONTENT_TYPE, f"{status.phrase}\n".encode())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
