"""A peer on a socket that says what it is told to: for clients, and what they make of it."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import NamedTuple


class Request(NamedTuple):
    """What a client sent: its first line, its headers by names in lower case, and its body."""

    line: str
    headers: dict[str, str]
    body: bytes


def receive(connection):
    """The head and the body of one request. Raises: OSError, for a client that leaves before."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0] or 0)
    while len(body) < length:
        body += _some(connection)
    return head, body


@contextmanager
def answering(*answers, hold=False):
    """A server that gives these answers, a connection each; the last one again and again.

    Yields its URL, and the requests so far. ``hold``: it does not close.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    seen, ended, left = [], threading.Event(), list(answers)

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(10)
                seen.append(_read(connection))
                connection.sendall(left.pop(0) if len(left) > 1 else left[0])
                if hold:
                    ended.wait(10)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _read(connection):
    head, body = receive(connection)
    first, *lines = head.decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    return Request(first, {name.lower(): value for name, value in pairs}, body)


def _some(connection):
    piece = connection.recv(65_536)
    if not piece:
        raise ConnectionError("the client left in the middle of its request")
    return piece
