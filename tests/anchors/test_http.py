"""The client against servers that answer as they should not."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.peer import answering

from chalicelib.anchors.http import MAX_ANSWER_BYTES, check_url, get, post
from chalicelib.evidence.anchor import Answer
from chalicelib.kernel.errors import Unreachable, UsageError


def response(body=b"", status="200 OK", *, length=None, headers=""):
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


def test_a_request_is_sent_whole_and_its_answer_read_whole():
    body = bytes(range(256)) * 400
    with answering(response(b"yes", headers="Content-Type: text/x.tlog.size\r\n")) as (url, seen):
        answer = post(f"{url}/a/b?c=d", body, "text/plain")
    assert answer == Answer(200, "text/x.tlog.size", b"yes")
    [(line, headers, sent)] = seen
    assert sent == body
    assert line == "POST /a/b?c=d HTTP/1.1"
    assert headers["content-type"] == "text/plain"
    assert not any(name.startswith(("authorization", "cookie")) for name in headers)


def test_a_get_has_no_body_and_is_bounded_as_a_post_is():
    with answering(response(b"{}", headers="Content-Type: application/json\r\n")) as (url, seen):
        assert get(f"{url}/a?b=c") == Answer(200, "application/json", b"{}")
    [(line, headers, sent)] = seen
    assert line == "GET /a?b=c HTTP/1.1"
    assert headers["accept"] == "application/json"
    assert sent == b""
    assert not any(name.startswith(("authorization", "cookie", "content-")) for name in headers)
    with (
        answering(response(b"x" * 11)) as (url, _),
        pytest.raises(Unreachable, match="more than 10"),
    ):
        get(url, max_bytes=10)
    with answering(response(b"", "302 Found", headers="Location: /x\r\n")) as (url, _):
        assert get(url).status == 302
    with pytest.raises(UsageError, match="not a URL to ask"):
        get("file:///etc/passwd")


def test_a_get_that_is_not_answered_ends_at_its_bound():
    with (
        answering(b"", hold=True) as (url, _),
        pytest.raises(Unreachable, match=r"within 0\.2 seconds|timed out"),
    ):
        get(url, timeout_seconds=0.2)


@pytest.mark.parametrize("status", ["201 Created", "301 Moved", "409 Conflict", "500 Oh"])
def test_every_status_is_an_answer_and_redirects_are_not_followed(status):
    elsewhere = "Location: http://127.0.0.1:1/\r\n"
    with answering(response(b"x", status, headers=elsewhere)) as (url, _):
        assert post(url, b"", "") == Answer(int(status[:3]), "", b"x")


def test_a_chunked_answer_is_an_answer():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with answering(head + b"3\r\nyes\r\n0\r\n\r\n") as (url, _):
        assert post(url, b"x", "").body == b"yes"


def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    with answering(response(b"yes")) as (url, _):
        assert post(url, b"x", "").body == b"yes"


@pytest.mark.parametrize(
    ("chunks", "why"),
    [
        ([response(b"x" * (MAX_ANSWER_BYTES + 1))], "more than 65536 bytes"),
        ([b"HTTP/1.1 200 OK\r\n\r\n", b"x" * (MAX_ANSWER_BYTES + 1)], "more than 65536 bytes"),
        ([response(b"half", length=9)], "IncompleteRead"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nha"], "IncompleteRead"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nha"], "IncompleteRead"),
        ([b"SSH-2.0-x\r\n\r\n"], "SSH-2.0-x"),
        ([b"HTTP/1.1 two OK\r\n\r\n"], "two"),
        ([b""], "closed connection"),
        ([b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 200, b"\r\n"], "more than 100 headers"),
        ([b"HTTP/1.1 200 OK\r\na: ", b"x" * 70_000, b"\r\n\r\n"], "more than 65536 bytes"),
    ],
    ids=range(10),
)
def test_what_is_no_whole_answer_is_none(chunks, why):
    with answering(b"".join(chunks)) as (url, _), pytest.raises(Unreachable, match=why) as caught:
        post(url, b"x", "")
    assert url in caught.value.message


def test_the_bound_can_be_another():
    with answering(response(b"12345")) as (url, _):
        assert post(url, b"", "", max_bytes=5).body == b"12345"
    with answering(response(b"123456")) as (url, _), pytest.raises(Unreachable):
        post(url, b"", "", max_bytes=5)


@pytest.mark.parametrize("sent", [[], [b"HTTP/1.1 200 OK\r\n"], [response(b"half", length=9)]])
def test_a_server_that_does_not_go_on_is_left(sent):
    with (
        answering(b"".join(sent), hold=True) as (url, _),
        pytest.raises(Unreachable, match=r"0\.2 seconds|timed out"),
    ):
        post(url, b"x", "", timeout_seconds=0.2)


def test_a_server_that_trickles_is_left_in_time():
    """Each byte is in time for a bound on one read; the whole never is."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = threading.Event()

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\na: ")
            while not left.wait(0.02):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(Unreachable, match=r"no whole answer within 0\.3 s"):
            post(f"http://127.0.0.1:{listener.getsockname()[1]}", b"", "", timeout_seconds=0.3)
        assert time.monotonic() - began < 4
    finally:
        left.set()
        thread.join()
        listener.close()


def test_nobody_there_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        post(f"http://127.0.0.1:{port}/", b"", "")
    with pytest.raises(Unreachable):
        post("http://no-such-host.invalid/", b"", "")
    with pytest.raises(Unreachable):
        post(f"http://{'a' * 64}.invalid/", b"", "")


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=10_000))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    try:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://127.0.0.1:{server.server_port}/", b"", "")
    finally:
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "witness.example",
        "ftp://witness.example/",
        "file:///etc/passwd",
        "http:///path",
        "http://witness.example:0/",
        "http://witness.example:99999/",
        "http://witness.example:x/",
        "http://user:hunter2@witness.example/",
        "http://user@witness.example/",
        "http://witness.example/#part",
        "http://witness.example/a b",
        "http://witness.example/\r\nX: y",
        "http://w\u00e4.example/",
        "http://[::1/",
        "http://witness.example/" + "x" * 2_000,
    ],
)
def test_other_urls_are_not_posted_to(url):
    with pytest.raises(UsageError, match="not a URL to ask") as caught:
        post(url, b"", "")
    assert "hunter2" not in caught.value.message


def test_urls_that_are_posted_to():
    for url in ("http://[::1]:8080/", "https://witness.example", "HTTP://witness.example/w1?a=b"):
        assert check_url(url).hostname
