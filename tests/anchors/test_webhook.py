"""The webhook against servers that answer as they should and as they should not."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime

import pytest
from support.peer import answering

from chalicelib.access import notice
from chalicelib.access.notice import Notice
from chalicelib.anchors.webhook import Webhook
from chalicelib.kernel import canon
from chalicelib.kernel.errors import ConfigError, CouldNotTell, NotAllowed, Unreachable

KEY = b"k" * 32
ONE = Notice(
    id="example.org/log/17",
    kind="access.requested",
    at="2026-10-01T02:00:00.123456Z",
    log="example.org/log",
    record=17,
    seq=3,
    target="postgres:orders-prod",
    request="orders-prod.abcdefghijkm",
    actor="ana",
    via="oidc",
    detail={"reason": "a <b> & c"},
)
PATH = "/services/T000/B000/secret-path"


class Clock:
    def now(self):
        return datetime(2026, 10, 1, 2, 0, 7, 999_999, tzinfo=UTC)


def response(status="200 OK", body=b"", headers=""):
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def webhook(url, **more):
    return Webhook(f"{url}{PATH}", KEY, clock=Clock(), **more)


def test_an_event_is_posted_and_signed():
    with answering(response()) as (url, seen):
        webhook(url).tell(ONE)
    [request] = seen
    assert request.line == f"POST {PATH} HTTP/1.1"
    assert request.body == canon.encode(notice.event(ONE))
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["holdfast-event"] == ONE.id
    seconds = int(Clock().now().timestamp())
    notice.verify(KEY, request.headers["holdfast-signature"], request.body, seconds)
    assert request.headers["holdfast-signature"].startswith(f"t={seconds},v1=")


def test_slack_gets_a_message_of_slack():
    with answering(response(body=b"ok")) as (url, seen):
        webhook(url, form="slack").tell(ONE)
    assert json.loads(seen[0].body) == notice.slack(ONE)
    assert b"a &lt;b&gt; &amp; c" in seen[0].body


@pytest.mark.parametrize(
    "answer",
    [
        response("204 No Content"),
        response("202 Accepted", b"x" * 100_000),
        b"HTTP/1.1 200 OK\r\n\r\nwithout an end",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ncut off",
    ],
    ids=["empty", "large", "without an end", "cut off"],
)
def test_what_was_taken_was_taken_whatever_else_is_said(answer):
    with answering(answer) as (url, seen):
        webhook(url).tell(ONE)
    assert len(seen) == 1


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_wrong_with_the_message_is_refused_for_good(status):
    with (
        answering(response(f"{status} No")) as (url, _),
        pytest.raises(NotAllowed, match=f"answered {status} to example.org/log/17"),
    ):
        webhook(url).tell(ONE)


@pytest.mark.parametrize("status", [199, 301, 307, 401, 403, 404, 408, 410, 429, 500, 503])
def test_what_can_be_mended_is_tried_again_and_no_redirect_is_followed(status):
    with answering(response(f"{status} No", headers="Location: http://127.0.0.1:1/\r\n")) as (
        url,
        seen,
    ):
        with pytest.raises(CouldNotTell, match=f"answered {status}|no answer"):
            webhook(url).tell(ONE)
        assert len(seen) <= 1


@pytest.mark.parametrize("answer", [b"", b"nothing of HTTP\r\n\r\n"])
def test_no_answer_is_no_delivery_and_the_address_is_not_told(answer):
    with answering(answer) as (url, _), pytest.raises(Unreachable) as caught:
        webhook(url).tell(ONE)
    whole = "".join(traceback.format_exception(caught.value))
    assert "127.0.0.1" in caught.value.message
    assert "secret-path" not in whole
    assert "secret-path" not in caught.value.next_step


def test_its_name_and_its_shape_tell_no_address():
    one = Webhook(f"https://hooks.slack.com{PATH}", KEY, clock=Clock())
    other = Webhook(f"https://hooks.slack.com{PATH}2", KEY, clock=Clock())
    assert "secret-path" not in one.name + repr(one)
    assert one.name.startswith("webhook hooks.slack.com ")
    assert one.name != other.name


def test_kinds_are_kept():
    made = Webhook(f"https://example.org{PATH}", KEY, clock=Clock(), kinds=["lease.unended"])
    assert made.kinds == frozenset({"lease.unended"})


@pytest.mark.parametrize(
    ("url", "key", "form"),
    [
        ("file:///secret-path", KEY, "json"),
        ("https://ana:secret-path@example.org/", KEY, "json"),
        ("https://example.org/secret-path#x", KEY, "json"),
        ("https://example.org/secret-path", b"short", "json"),
        ("https://example.org/secret-path", KEY, "xml"),
    ],
)
def test_what_cannot_be_a_webhook_is_refused_and_not_repeated(url, key, form):
    with pytest.raises(ConfigError) as caught:
        Webhook(url, key, clock=Clock(), form=form)
    assert "secret-path" not in "".join(traceback.format_exception(caught.value))
    assert "secret-path" not in caught.value.next_step
