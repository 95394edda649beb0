"""The server on a real socket: bounds, bad clients, and nothing that one of them does to others."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import urllib.error
import urllib.request

import pytest
from support.listening import listening
from support.office import ROLES, furnished

from chalicelib.http import server, wire


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    place = furnished(tmp_path_factory.mktemp("served") / "place")
    with listening(place.app) as made:
        place.made = made
        place.port = made.effective_port
        place.everything = place.token("eve", *ROLES)
        yield place


def raw(place, data, *, most=65_536):
    """Everything that the server says until it closes, or says no more for a while."""
    with socket.create_connection(("127.0.0.1", place.port), timeout=10) as one:
        found = b""
        with contextlib.suppress(ConnectionError):  # it may close while we send
            one.sendall(data)
        with contextlib.suppress(OSError):  # what it did not read is thrown away
            one.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while len(found) < most and (piece := one.recv(65_536)):
                found += piece
        return found


def opened(url, data=None, headers=None):
    """An answer that is waited for as long as a busy machine may need, and no longer."""
    assert url.startswith("http://127.0.0.1:")
    asked = urllib.request.Request(url, data, headers or {})  # noqa: S310 - checked above
    return urllib.request.urlopen(asked, timeout=60)  # noqa: S310 - likewise


def request(place, path, *lines, method="GET", body=b""):
    head = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{place.port}",
        f"Authorization: Bearer {place.everything}",
        *lines,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def status(answer):
    return int(answer.split(b" ", 2)[1])


def test_it_answers_as_the_application_does(served):
    answer = raw(served, request(served, "/v1/me", "Connection: close"))
    assert status(answer) == 200
    head, _, body = answer.partition(b"\r\n\r\n")
    assert json.loads(body)["principal"] == "person:eve"
    assert b"\r\nserver:" not in head.lower()
    assert b"no-store" in head


def test_a_body_past_the_bound_is_refused_and_others_go_on(served):
    data = b"x" * 10 * 2**20
    lines = ("Content-Type: application/json", f"Content-Length: {len(data)}")
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as one:
        one.sendall(request(served, "/v1/scans", *lines, method="POST"))
        assert status(one.recv(65_536)) == 413
    assert status(raw(served, request(served, "/v1/health", "Connection: close"))) == 200


@pytest.mark.parametrize(
    "lines",
    [
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: -1",),
        ("Content-Length: 0x5",),
        ("Bad Header: 1",),
        ("Folded: a", " b"),
    ],
    ids=", ".join,
)
def test_what_two_servers_could_read_in_two_ways_does_nothing(served, lines):
    before = served.queue.size()
    smuggled = request(served, "/v1/me")
    more = ("Content-Type: application/json", *lines)
    answer = raw(
        served, request(served, "/v1/scans", *more, method="POST", body=b"0\r\n\r\n" + smuggled)
    )
    assert b'"principal"' not in answer
    assert status(answer) == 400
    assert served.queue.size() == before


def test_headers_past_the_bound_are_refused(served):
    answer = raw(served, request(served, "/v1/me", "X-Long: " + "a" * server.MAX_HEADER_BYTES))
    assert not answer or status(answer) == 431
    assert b'"principal"' not in answer


def test_slow_clients_keep_nobody_waiting(served):
    slow = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(60)]
    try:
        for one in slow:
            one.sendall(b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A:")
        assert status(raw(served, request(served, "/v1/health", "Connection: close"))) == 200
    finally:
        for one in slow:
            one.close()


class Hours:
    """Connections whose clock goes when it is told to; each is looked at once it was."""

    def __init__(self, made):
        self.made = made
        self.seconds = 0.0

    def pass_(self, seconds):
        self.seconds += seconds
        self.made.pull_trigger()


@pytest.fixture
def hours(served):
    found = Hours(served.made)

    class Slow(wire.Channel):
        monotonic = staticmethod(lambda: found.seconds)

    whole, served.made.channel_class = served.made.channel_class, Slow
    yield found
    served.made.channel_class = whole


def answered(one):
    """The status of the next answer on a connection, which is read to its end."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += one.recv(1)
    size = re.search(rb"(?i)\r\ncontent-length: (\d+)", found)
    for _ in range(int(size[1]) if size else 0):
        assert one.recv(1)
    return status(found)


def begun(place, data=b""):
    """A connection that the server has seen, with the beginning of a second request on it."""
    one = socket.create_connection(("127.0.0.1", place.port), timeout=10)
    one.sendall(request(place, "/v1/health"))
    assert answered(one) == 200
    one.sendall(data)
    return one


HALF = b"GET /v1/health HTTP/1.1\r\nX-A: "


def ended(one):
    """Whether the server has closed it; what it had not read by then resets it."""
    with contextlib.suppress(ConnectionResetError):
        return one.recv(1) == b""
    return True


def ended_after(hours, one):
    """The same, once its time has passed since the server saw what was sent, whenever that was."""
    one.settimeout(1)
    for _ in range(10):
        hours.pass_(wire.HEAD_SECONDS)
        with contextlib.suppress(TimeoutError):
            return ended(one)
    return False


@pytest.mark.parametrize("data", [b"", HALF, b"\r\n"], ids=["nothing", "half", "empty"])
def test_a_head_that_does_not_arrive_ends_the_connection(served, hours, data):
    with begun(served, data) as one:
        assert ended_after(hours, one)


def test_a_connection_on_which_nothing_was_ever_said_ends(served, hours):
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as one:
        begun(served).close()  # by now the server has seen the other
        hours.pass_(wire.HEAD_SECONDS)
        assert ended(one)


def test_a_byte_now_and_then_does_not_keep_a_connection(served, hours):
    with begun(served, HALF) as one:
        for _ in range(10):
            hours.pass_(wire.HEAD_SECONDS / 10)
            with contextlib.suppress(ConnectionError):
                one.sendall(b"a")
        assert ended(one)


@pytest.mark.parametrize("late", [False, True], ids=["in time", "late"])
def test_a_head_in_time_is_answered_and_a_body_has_longer(served, hours, late):
    lines = ("Content-Type: application/json", "Content-Length: 2")
    with begun(served, HALF) as one:
        hours.pass_(wire.HEAD_SECONDS - 1)
        one.sendall(b"a\r\nHost: 127.0.0.1\r\n\r\n")
        assert answered(one) == 200
        hours.pass_(wire.HEAD_SECONDS - 1)  # the next one's time began with that answer
        one.sendall(request(served, "/v1/me", *lines, "Expect: 100-continue", method="POST"))
        assert answered(one) == 100  # it has read the head
        hours.pass_(server.REQUEST_SECONDS - wire.HEAD_SECONDS)
        one.sendall(b"{")
        if late:
            hours.pass_(1)
            assert ended(one)
        else:
            one.sendall(b"}")
            assert answered(one) == 405


def test_a_packet_is_fetched_over_the_socket(served):
    told = served.get(f"/v1/packets/{served.packet}", served.everything).json
    with opened(f"http://127.0.0.1:{served.port}{told['url']}") as answer:
        assert len(answer.read()) == told["size_bytes"]


def test_garbage_is_no_request(served):
    for data in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PRI * HTTP/2.0\r\n\r\n",
    ):
        answer = raw(served, data)
        assert not answer or status(answer) >= 400
    assert status(raw(served, request(served, "/v1/health", "Connection: close"))) == 200


@pytest.mark.parametrize(
    ("lines", "expected", "code"),
    [
        (("Content-Length: 99999999",), 413, "too_large"),
        (("X-Long: " + "a" * server.MAX_HEADER_BYTES,), 431, "too_large"),
        (("Content-Length: SECRET",), 400, "malformed"),
        (("SECRET SECRET: 1",), 400, "malformed"),
        (("Transfer-Encoding: SECRET",), 400, "malformed"),
    ],
    ids=["body", "headers", "length", "name", "encoding"],
)
def test_what_no_application_sees_is_refused_as_a_problem_that_repeats_nothing(
    served, lines, expected, code
):
    answer = raw(served, request(served, "/v1/scans", *lines, method="POST"))
    if not answer and expected == 431:
        return  # it closed before everything was sent
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == expected
    assert json.loads(body)["code"] == code
    assert b"content-type: application/problem+json" in head.lower()
    assert b"no-store" in head
    assert b"SECRET" not in answer
    assert b"waitress" not in answer.lower()


def test_many_at_once_over_sockets_are_each_answered_and_recorded_once(served):
    """Writers who saw one version, with readers of evidence between them."""
    engineer, auditor = served.token("eng", "engineer"), served.token("aud", "auditor")
    finding = served.get("/v1/findings", engineer, query={"target": "orders"}).json["items"][0]
    body = {"findings": [finding["id"]], "until": "2026-10-09", "reason": "INC-1"}
    data = json.dumps(body).encode()
    before = [one.body["request"] for one in served.records("evidence.read")]
    answers = [None] * 30
    gate = threading.Barrier(len(answers))

    def ask(number):
        token = engineer if number % 2 else auditor
        head = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        path, sent = "/v1/checkpoint", None
        if number % 2:
            path, sent = "/v1/findings/suppress", data
            head["If-Match"] = f'"{finding["version"]}"'
        url = f"http://127.0.0.1:{served.port}{path}"
        gate.wait()
        try:
            with opened(url, sent, head) as answer:
                answers[number] = answer.status, answer.headers["X-Request-Id"]
        except urllib.error.HTTPError as error:
            with error:
                answers[number] = error.code, error.headers["X-Request-Id"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(answers))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(code for code, _ in answers[1::2]) == [200, *[412] * 14]
    assert [code for code, _ in answers[::2]] == [200] * 15
    recorded = [one.body["request"] for one in served.records("evidence.read")][len(before) :]
    assert sorted(recorded) == sorted(name for _, name in answers[::2])
    assert len(served.records("finding.suppressed")) == 1
