"""The client against servers that answer as they should not, and against one that does."""

from __future__ import annotations

import hashlib
import io
import json
import urllib.parse

import pytest
from support.peer import answering

from chalicelib.api import client
from chalicelib.api.client import ATTEMPTS, There, check_base, failed
from chalicelib.api.exhibits import Packet
from chalicelib.api.types import Accept, FindingQuery, StartScan
from chalicelib.kernel import errors
from chalicelib.kernel.errors import (
    Busy,
    CouldNotTell,
    DigestMismatch,
    Forbidden,
    HoldfastError,
    NotFound,
    StoreUnavailable,
    Unauthenticated,
    Unreachable,
    Unsupported,
    UsageError,
)


def response(body=b"", status="200 OK", media="application/json", **headers):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = [f"HTTP/1.1 {status}", f"Content-Type: {media}", f"Content-Length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def problem(status, code, detail="it is so", next_step="", **headers):
    body = {
        "type": f"urn:holdfast:problem:{code}",
        "title": "T",
        "status": int(status[:3]),
        "detail": detail,
        "code": code,
        "next_step": next_step,
        "request": "r-1",
        "new": "a field of a later version",
    }
    return response(body, status, "application/problem+json", **headers)


def there(url, pauses=None, **options):
    keys = iter(f"key-{number}" for number in range(100))
    return There(
        url,
        lambda *_request: {"Authorization": "Bearer t"},
        pause=(pauses if pauses is not None else []).append,
        new_key=lambda: next(keys),
        **options,
    )


ME = {
    "principal": "person:ana",
    "kind": "person",
    "name": "ana",
    "via": "oidc",
    "groups": [],
    "roles": [],
}
SCAN = {
    "id": "S-" + "0" * 27,
    "target": "postgres:orders",
    "state": "queued",
    "by": "person:ana",
    "at": "t",
    "updated_at": "t",
}
STARTED = response(SCAN, "202 Accepted")


def test_an_answer_may_gain_fields():
    with answering(response({**ME, "shoes": 43})) as (url, seen):
        assert there(url + "/api/").do("me").name == "ana"
    [(line, fields, body)] = seen
    assert line == "GET /api/v1/me HTTP/1.1"
    assert fields["authorization"] == "Bearer t"
    assert "idempotency-key" not in fields
    assert body == b""


def test_what_is_asked_is_in_the_query_and_the_body():
    asked = FindingQuery(target="orders", severity=[], text="a&b =\u00e9", limit=3)
    with answering(response({"items": []})) as (url, seen):
        there(url).do("findings", asked)
    query = urllib.parse.urlsplit(seen[0][0].split()[1]).query
    assert urllib.parse.parse_qs(query, strict_parsing=True) == {
        "target": ["orders"],
        "text": ["a&b =\u00e9"],
        "limit": ["3"],
        "sort": ["-severity"],
    }
    assert "+" not in query  # a signature is over %20


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("target", {"target": "../../me"}),
        ("target", {"target": "a/b"}),
        ("target", {"target": ""}),
        ("finding", {"finding": "F-0?x"}),
        ("scan", {"scan": "S-0\r\nHost: x"}),
        ("record", {"record": -1}),
        ("record", {"record": "x"}),
    ],
)
def test_nothing_in_a_path_leads_elsewhere(route, path):
    with answering(response(ME)) as (url, seen), pytest.raises(NotFound):
        there(url).do(route, **path)
    assert seen == []


@pytest.mark.parametrize("kind", ["lost", "busy", "limited", "unavailable", "cut"])
def test_a_post_is_sent_again_under_the_key_that_it_had(kind):
    first = {
        "lost": b"",
        "cut": STARTED[:-10],
        "busy": problem("409 Conflict", "in_progress", Retry_After="1"),
        "limited": problem("429 Too Many Requests", "too_many_requests", Retry_After="3"),
        "unavailable": problem("503 Service Unavailable", "store_unavailable", Retry_After="2"),
    }[kind]
    pauses = []
    with answering(first, first, STARTED) as (url, seen):
        started = there(url, pauses).do("scan_start", StartScan(target="orders"))
    assert started.id == SCAN["id"]
    assert [fields["idempotency-key"] for _, fields, _ in seen] == ["key-0"] * 3
    assert {body for _, _, body in seen} == {b'{"target":"orders"}'}
    least = {"busy": 1, "limited": 3, "unavailable": 2}.get(kind, 0.25)
    assert pauses == [max(least, 0.25), max(least, 0.5)]


def test_each_request_has_a_key_of_its_own():
    with answering(STARTED) as (url, seen):
        one = there(url)
        one.do("scan_start", StartScan(target="orders"))
        one.do("scan_start", StartScan(target="orders"))
    assert [fields["idempotency-key"] for _, fields, _ in seen] == ["key-0", "key-1"]


def test_attempts_and_waits_are_bounded():
    down = problem("503 Service Unavailable", "store_unavailable", Retry_After="1")
    pauses = []
    with answering(down) as (url, seen), pytest.raises(StoreUnavailable):
        there(url, pauses).do("me")
    assert len(seen) == ATTEMPTS
    assert len(pauses) == ATTEMPTS - 1
    assert sum(pauses) < 10
    late = problem("503 Service Unavailable", "busy", Retry_After="86400")
    with answering(late) as (url, seen), pytest.raises(Busy):
        there(url).do("me")
    assert len(seen) == 1


def test_what_will_not_change_is_asked_once():
    for status, code in (
        ("409 Conflict", "conflict"),
        ("400 Bad Request", "malformed"),
        ("401 Unauthorized", "unauthenticated"),
        ("500 Internal Server Error", "defect"),
        ("422 Unprocessable Content", "invalid"),
    ):
        with answering(problem(status, code)) as (url, seen), pytest.raises(HoldfastError):
            there(url).do("me")
        assert len(seen) == 1, code


def leaves(kind):
    return {kind}.union(*(leaves(one) for one in kind.__subclasses__()))


def test_every_code_is_the_error_that_it_was():
    for kind in leaves(errors.HoldfastError):
        code = kind("").code
        with (
            answering(problem("418 T", code, "why", "do it")) as (url, _),
            pytest.raises(kind) as caught,
        ):
            there(url).do("me")
        assert type(caught.value) is kind
        assert (caught.value.message, caught.value.next_step) == ("why", "do it")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (problem("422 Unprocessable Content", "invalid"), UsageError),
        (problem("500 Internal Server Error", "defect"), CouldNotTell),
        (problem("429 Too Many Requests", "too_many_requests"), Busy),
        (problem("409 Conflict", "in_progress"), Busy),
        (response({"message": "Forbidden"}, "403 Forbidden"), UsageError),
        (response(b"<html>", "502 Bad Gateway", "text/html"), CouldNotTell),
        (response(b"{", "400 Bad Request", "application/problem+json"), UsageError),
        (response([], "400 Bad Request", "application/problem+json"), UsageError),
    ],
)
def test_other_refusals_go_by_their_status(answer, kind):
    with answering(answer) as (url, _), pytest.raises(kind) as caught:
        there(url).do("me")
    assert type(caught.value) is kind


def test_a_defect_names_the_request():
    with (
        answering(problem("500 Internal Server Error", "defect")) as (url, _),
        pytest.raises(CouldNotTell, match=r"\(request r-1\)"),
    ):
        there(url).do("me")


def test_an_endless_text_is_cut():
    with (
        answering(problem("403 Forbidden", "forbidden", "x" * 100_000)) as (url, _),
        pytest.raises(Forbidden) as caught,
    ):
        there(url).do("me")
    assert len(caught.value.message) == client.MAX_TEXT


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
def test_a_redirect_is_not_followed(status):
    with answering(response(ME)) as (elsewhere, followed):
        moved = response(b"", status, Location=f"{elsewhere}/v1/me")
        with answering(moved) as (url, seen), pytest.raises(CouldNotTell, match="redirect"):
            there(url).do("me")
    assert (len(seen), followed) == (1, [])


GARBAGE = {
    "no json": response(b"not json"),
    "no object": response([]),
    "wrong types": response({**ME, "groups": 7}),
    "a field missing": response({"name": "ana"}),
    "html": response(json.dumps(ME).encode(), media="text/html"),
    "no type": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "deep": response(b"[" * 100_000 + b"]" * 100_000),
    "deep field": response(b'{"name":' + b"[" * 70 + b"]" * 70 + b"}"),
    "a key twice": response(b'{"name":"a","name":"b"}'),
    "no utf-8": response(b'{"name":"\xff"}'),
    "NaN": response(b'{"name":NaN}'),
    "another status": response(ME, "202 Accepted"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_no_answer(name):
    with answering(GARBAGE[name]) as (url, seen), pytest.raises(CouldNotTell):
        there(url).do("me")
    assert len(seen) == 1


def test_text_is_not_taken_for_a_checkpoint():
    with (
        answering(response(b"<html>", media="text/html")) as (url, _),
        pytest.raises(Unsupported),
    ):
        there(url).do("checkpoint")
    with answering(response(b"log\n1\n", media="text/plain; charset=utf-8")) as (url, _):
        assert there(url).do("checkpoint") == b"log\n1\n"


def test_what_is_not_http_is_no_answer():
    with answering(b"SSH-2.0-x\r\n\r\n") as (url, seen), pytest.raises(Unreachable):
        there(url).do("me")
    assert len(seen) == 1


def test_a_huge_answer_is_not_read():
    size = client.MAX_ANSWER_BYTES + 1
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    with (
        answering(head.encode() + b" " * size) as (url, seen),
        pytest.raises(Unreachable, match="more than"),
    ):
        there(url).do("me")
    assert len(seen) == 1


def test_a_slow_server_is_given_up():
    with (
        answering(b"HTTP/1.1 200 OK\r\n", hold=True) as (url, _),
        pytest.raises(Unreachable),
    ):
        there(url, timeout_seconds=0.05).do("me")


def test_who_cannot_sign_sends_nothing():
    def refuse(*_request):
        raise Unauthenticated("no token")

    with answering(response(ME)) as (url, seen):
        one = There(url, refuse, pause=[].append, new_key=str)
        with pytest.raises(Unauthenticated):
            one.do("me")
    assert seen == []


def test_the_token_is_asked_for_at_every_attempt():
    tokens = iter("abc")
    with answering(b"", response(ME)) as (url, seen):
        one = There(
            url,
            lambda *_request: {"Authorization": next(tokens)},
            pause=[].append,
            new_key=str,
        )
        one.do("me")
    assert [fields["authorization"] for _, fields, _ in seen] == ["a", "b"]


def test_a_base_address_is_ours_alone():
    assert check_base("https://api.example/api/") == "https://api.example/api"
    assert check_base("http://[::1]:8420") == "http://[::1]:8420"
    for url in ("http://api.example", "https://a:b@api.example", "https://x/?y", "file:///x"):
        with pytest.raises(UsageError):
            check_base(url)


DATA = bytes(range(256)) * 4_000


def packet(url="/x", **more):
    told = {
        "id": "P-" + "0" * 27,
        "state": "done",
        "by": "person:ana",
        "at": "t",
        "updated_at": "t",
        "start": "a",
        "end": "b",
        "url": url,
        "size_bytes": len(DATA),
        "file_sha256": hashlib.sha256(DATA).hexdigest(),
    }
    return Packet(**(told | more))


def zipped(data):
    return response(data, media="application/zip")


def test_a_packet_is_fetched_without_a_credential():
    for relative in (True, False):
        with answering(zipped(DATA[:-7]), zipped(DATA[:-1])[:-5], zipped(DATA)) as (url, seen):
            # The first is of another size, and complete: it is not asked for again.
            place = "/v1/packets/x/content?until=1" if relative else f"{url}/elsewhere?signed=1"
            with pytest.raises(DigestMismatch):
                there(url).fetch(packet(place), io.BytesIO())
            sink = io.BytesIO(b"what was there before" * 100_000)
            there(url).fetch(packet(place), sink)
        assert sink.getvalue() == DATA
        assert len(seen) == 3
        assert not any("authorization" in fields for _, fields, _ in seen)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (zipped(DATA[:-1] + b"x"), DigestMismatch),
        (zipped(b""), DigestMismatch),
        (zipped(DATA + b"x"), Unreachable),
        (problem("403 Forbidden", "forbidden"), Forbidden),
        (response(b"<Error/>", "403 Forbidden", "application/xml"), UsageError),
        (response(b"", "302 Found", Location="/x"), CouldNotTell),
    ],
)
def test_another_packet_is_refused(answer, kind):
    with answering(answer) as (url, _), pytest.raises(kind):
        there(url).fetch(packet("/v1/packets/x/content"), io.BytesIO())


@pytest.mark.parametrize(
    "more",
    [
        {"url": None},
        {"size_bytes": None},
        {"file_sha256": None},
        {"url": "http://api.example/x"},
        {"url": "file:///etc/passwd"},
        {"url": "https://a:b@api.example/x"},
    ],
)
def test_a_packet_without_a_place_of_its_own_is_not_fetched(more):
    with pytest.raises((Unsupported, UsageError)):
        there("http://127.0.0.1:1").fetch(packet(**more), io.BytesIO())


def test_failures_of_jobs_are_the_errors_that_they_were():
    assert type(failed("overdue", "late")) is errors.Overdue
    assert type(failed("of tomorrow", "x")) is CouldNotTell
    assert type(client.of_failure(None)) is CouldNotTell


def test_a_list_of_findings_is_sent_as_it_is():
    with answering(response({"items": []})) as (url, seen):
        there(url).do("accept", Accept(findings=["F-01", "F-02"], reason="INC-1"))
    assert json.loads(seen[0][2]) == {
        "findings": ["F-01", "F-02"],
        "reason": "INC-1",
        "replace": False,
    }
