"""The witness's server, over real connections: what it answers, and what it lives through."""

from __future__ import annotations

import http.client
import socket
import threading

import pytest
from support.memory import MemoryDocuments
from support.outside import ORIGIN, Tree, made, pinned, serving

from chalicelib.anchors.http import post
from chalicelib.anchors.server import Server
from chalicelib.evidence import submission
from chalicelib.kernel.errors import Fork, StoreUnavailable

LATEST = 2**40


@pytest.fixture
def tree():
    return Tree()


@pytest.fixture
def served(tree):
    with serving(made(tree.verifier)) as (server, url):
        server.url = url
        yield server


def raw(server, data, *, half=False):
    """Everything that comes back for these bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(data)
        if half:
            connection.shutdown(socket.SHUT_WR)
        found = b""
        while chunk := connection.recv(65_536):
            found += chunk
        return found


def head(length, *more, path="/add-checkpoint"):
    lines = [f"POST {path} HTTP/1.1", "Host: w", f"Content-Length: {length}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_checkpoint_is_cosigned_over_http(tree, served):
    one = pinned(served.witness, served.url)
    for size in (3, 3, 7):
        found = submission.submit(tree.at(size), tree.ring, one, post, latest=LATEST)
        assert found.head.size == size
    other = Tree(seed=b"other")
    with pytest.raises(Fork) as caught:
        submission.submit(other.at(7), tree.ring, one, post, latest=LATEST)
    assert caught.value.theirs == served.witness.latest(ORIGIN).note
    assert served.said[0].startswith('127.0.0.1 \'"POST /add-checkpoint HTTP/1.1" 200')


def test_it_listens_on_ipv6_too(tree):
    with serving(made(tree.verifier), host="::1") as (server, url):
        one = pinned(server.witness, url)
        assert submission.submit(tree.at(3), tree.ring, one, post, latest=LATEST)


def test_a_connection_is_kept_for_more_requests(tree, served):
    connection = http.client.HTTPConnection("127.0.0.1", served.server_port, timeout=10)
    connection.connect()
    kept = connection.sock
    for old, new, status in [(0, 3, 200), (0, 5, 409), (3, 5, 200)]:
        connection.request("POST", "/add-checkpoint", tree.request(old, new))
        response = connection.getresponse()
        response.read()
        assert response.status == status
        assert connection.sock is kept
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/add-checkpoint", 405),
        ("HEAD", "/add-checkpoint", 405),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/", 404),
        ("POST", "/add-checkpoint/", 404),
        ("POST", "/add-checkpoint?x=y", 404),
        ("PUT", "/add-checkpoint", 501),
        ("DELETE", "/add-checkpoint", 501),
    ],
)
def test_there_is_nothing_else(served, method, path, status):
    connection = http.client.HTTPConnection("127.0.0.1", served.server_port, timeout=10)
    connection.request(method, path, b"old 0\n")
    response = connection.getresponse()
    body = response.read()
    assert response.status == status
    assert response.getheader("Server").strip() == "holdfast-witness"
    assert b"<" not in body
    assert (response.getheader("Allow") == "POST") == (status == 405)
    connection.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\n\r\n", 411),
        (head(0, "Transfer-Encoding: chunked") + b"0\r\n\r\n", 411),
        (head("1\r\nContent-Length: 2") + b"xx", 411),
        (head("-1"), 400),
        (head("+1"), 400),
        (head("1_0"), 400),
        (head("0x10"), 400),
        (head("\u0661".encode().decode("latin-1")), 400),
        (head("1" * 11), 400),
        (head(submission.MAX_REQUEST_BYTES + 1), 413),
        (head(10**9), 413),
        (b"GARBAGE\r\n\r\n", 400),
        (b"POST /add-checkpoint HTTP/9.9\r\n\r\n", 505),
        (b"POST /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\na: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    ],
    ids=range(16),
)
def test_a_request_that_is_none_ends_the_connection(served, data, status):
    answer = raw(served, data)
    assert str(status).encode() in answer.split(b"\r\n")[0], answer
    assert b"Traceback" not in answer
    assert not any("failed" in line for line in served.said)


def test_what_follows_a_refused_body_is_not_taken_for_a_request(tree, served):
    body = tree.request(0, 3)
    smuggled = head(len(body)) + body
    for first in (head(10**9), head(0, "Transfer-Encoding: chunked"), head(5, path="/")):
        assert raw(served, first + smuggled).count(b"HTTP/1.1 ") == 1
    assert served.witness.latest(ORIGIN) is None


def test_a_body_that_ends_early_is_refused(tree, served):
    body = tree.request(0, 3)
    answer = raw(served, head(len(body) + 1) + body, half=True)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert served.witness.latest(ORIGIN) is None


def test_the_worst_requests_leave_it_working(tree, served):
    for body in (
        b"old 0\n" + b"A" * 43 + b"=\n" * 64 + b"\n",
        b"old 0\n\n" + b"\n" * 100_000,
        b"\x00" * submission.MAX_REQUEST_BYTES,
        b"old 0\n\n" + "\N{EM DASH} a AAAAAAAA\n".encode() * 5_000,
    ):
        with_close = head(len(body), "Connection: close") + body
        assert b" 400 " in raw(served, with_close).split(b"\r\n")[0]
    assert submission.submit(
        tree.at(3), tree.ring, pinned(served.witness, served.url), post, latest=LATEST
    )


@pytest.mark.parametrize(
    "sent", [b"", b"POST /add", head(100), head(100) + b"old 0\n"], ids=range(4)
)
def test_a_client_that_does_not_go_on_is_left(tree, sent):
    with serving(made(tree.verifier), request_seconds=0.1) as (server, _):
        answer = raw(server, sent)
        assert b"200 OK" not in answer
    assert server.witness.latest(ORIGIN) is None


def trickle(server, data):
    """Send a byte at a time, each in time for a bound on one read; whether it was cut off."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.settimeout(0.02)
        for byte in data:
            try:
                connection.sendall(bytes([byte]))
                if connection.recv(1) == b"":
                    return True
            except TimeoutError:
                continue
            except OSError:
                return True
    return False


def test_a_client_that_trickles_is_left(tree):
    with serving(made(tree.verifier), request_seconds=0.2) as (server, _):
        assert trickle(server, head(10_000) + b"o" * 10_000)


def test_a_connection_ends_with_its_time_however_busy_it_is(tree):
    with serving(made(tree.verifier), connection_seconds=0.3) as (server, _):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.connect()
        connection.auto_open = 0
        body = tree.request(0, 3)
        answered = 0
        try:
            while True:
                connection.request("POST", "/add-checkpoint", body)
                connection.getresponse().read()
                answered += 1
        except (OSError, http.client.HTTPException):
            assert answered
        connection.close()


def test_too_many_connections_are_turned_away_and_room_is_made_again(tree):
    with serving(made(tree.verifier), max_connections=2) as (server, url):
        held = [
            socket.create_connection(("127.0.0.1", server.server_port), timeout=10)
            for _ in range(2)
        ]
        for one in held:  # a request that is answered shows that the connection has its thread
            one.sendall(head(5) + b"old 0")
            assert b"400" in one.recv(65_536)
        assert raw(server, b"") == b""
        assert "127.0.0.1 turned away: too many connections" in server.said
        for one in held:
            one.close()
        for _ in range(1_000):  # until the threads have seen it
            if raw(server, b"GARBAGE\r\n\r\n"):
                break
        one = pinned(server.witness, url)
        assert submission.submit(tree.at(3), tree.ring, one, post, latest=LATEST)


def test_a_client_that_is_gone_ends_nothing(tree, served):
    body = tree.request(0, 3)
    for _ in range(5):
        connection = socket.create_connection(("127.0.0.1", served.server_port), timeout=10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(head(len(body)) + body)
        connection.close()  # a reset
    assert submission.submit(
        tree.at(7), tree.ring, pinned(served.witness, served.url), post, latest=LATEST
    )


class Failing(MemoryDocuments):
    def swap(self, writes):
        if writes[0].key != "witness":
            raise StoreUnavailable("no space left at /home/secret/path")
        super().swap(writes)


def test_what_cannot_be_stored_is_not_cosigned_and_says_no_more_than_that(tree):
    with serving(made(tree.verifier, documents=Failing())) as (server, url):
        answer = post(f"{url}/add-checkpoint", tree.request(0, 3), "")
    assert answer.status == 503
    assert answer.body == b"Service Unavailable\n"
    assert any("no space left" in line for line in server.said)


def test_control_characters_of_a_request_are_not_told(served):
    raw(served, b"GET /\x1b[2J\xe2\x80\xae HTTP/1.1\r\n\r\n")
    assert served.said
    assert all(line.isascii() and line.isprintable() for line in served.said)


def test_an_address_in_use_is_said(tree, served):
    with pytest.raises(StoreUnavailable, match=r"cannot listen on 127\.0\.0\.1"):
        Server(("127.0.0.1", served.server_port), made(tree.verifier), tell=print)


def test_many_at_once_grow_one_line(tree, served):
    """Eight clients over HTTP, two histories: whoever is first decides, nobody gets the other."""
    one = pinned(served.witness, served.url)
    won, lock = [], threading.Lock()

    def run(number):
        own = Tree(seed=b"other" if number % 2 else b"").at(3 + number)
        try:
            found = submission.submit(own, own.ring, one, post, latest=LATEST)
        except Fork:
            return
        with lock:
            won.append((number % 2, found.head.size))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({history for history, _ in won}) == 1
    assert served.witness.latest(ORIGIN).checkpoint.size == max(size for _, size in won)
