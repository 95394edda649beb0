"""Notices: what they say, that nobody can make them say something else, and their signature."""

from __future__ import annotations

import base64
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.access import notice, state
from chalicelib.access.notice import (
    MAX_BYTES,
    MAX_SUBJECT,
    MAX_TEXT,
    TOLERANCE_SECONDS,
    event,
    headline,
    sign,
    slack,
    subject,
    text,
    verify,
)
from chalicelib.kernel import canon
from chalicelib.kernel.errors import BadSignature
from chalicelib.kernel.record import Actor, Entry, Record

AT = "2026-10-01T02:00:00.123456Z"
KEY = b"0123456789abcdef"
REQUEST = "orders-prod.abcdefghijkm"
BODY = {
    "request": REQUEST,
    "principal": "person:ana",
    "break_glass": False,
    "seed": "",
    "profile": "read-masked",
    "tables": ["public.customers", "public.orders"],
    "resources": [],
    "seconds": 1_800,
    "reason": "INC-481 refund bug",
    "ticket": "INC-481",
    "obligations": {"approvals": 2, "groups": ["dba", "security"], "max_seconds": 3_600},
    "policies": ["people"],
    "policy": "00",
    "lapses_at": AT,
}


def entry(kind=state.REQUESTED, body=None, actor=Actor("ana", "oidc"), index=17):  # noqa: B008
    body = BODY if body is None else body
    record = Record(
        v=1, kind=kind, stream="access:orders-prod", seq=3, at=AT, actor=actor, tool="t", body=body
    )
    return Entry(index=index, leaf=b"", record=record, body=body)


def told(kind=state.REQUESTED, body=None, reveal=lambda *_: None, **more):
    return notice.notice(
        entry(kind, body, **more), "postgres:orders-prod", "example.org/log", reveal
    )


def test_a_notice_has_stable_fields():
    assert event(told()) == {
        "v": 1,
        "id": "example.org/log/17",
        "kind": "access.requested",
        "at": AT,
        "log": "example.org/log",
        "record": 17,
        "seq": 3,
        "target": "postgres:orders-prod",
        "request": REQUEST,
        "actor": "ana",
        "via": "oidc",
        "detail": {
            "principal": "person:ana",
            "break_glass": False,
            "profile": "read-masked",
            "tables": ["public.customers", "public.orders"],
            "seconds": 1_800,
            "reason": "INC-481 refund bug",
            "ticket": "INC-481",
            "approvals": 2,
            "approvers": ["dba", "security"],
            "policies": ["people"],
            "lapses_at": AT,
        },
    }


def test_only_named_fields_leave_the_house():
    body = {**BODY, "password": "hunter2", "plan": {"steps": ["x"]}, "sha256": "00"}
    body |= {"profile": {"actions": ["s3:GetObject"]}, "message": {"text": "x"}, "proof": {"x": 1}}
    said = json.dumps(event(told(state.ISSUING, body)))
    for word in ("hunter2", "steps", "sha256", "GetObject", "proof", "seed"):
        assert word not in said
    assert '"message"' not in said


def test_what_is_personal_is_revealed_or_left_out():
    value = base64.b64encode(bytes(100)).decode()
    sealed = {"subject": "0" * 32, "key": "0" * 16, "commitment": "0" * 64, "sealed": value}
    body = {**BODY, "reason": {"personal": sealed}, "comment": "plain"}
    asked = []

    def reveal(found, *where):
        asked.append((found.personal.sealed, *where))
        return "revealed"

    assert told(body=body, reveal=reveal).detail["reason"] == "revealed"
    assert asked == [(value, state.REQUESTED, "access:orders-prod")]
    found = told(body=body, reveal=lambda *_: None).detail
    assert "reason" not in found
    assert found["comment"] == "plain"
    sealed.pop("key")
    assert "reason" not in told(body=body, reveal=reveal).detail, "not of the form"


def test_a_record_of_something_else_is_no_notice():
    assert told("scan") is None
    assert {told(kind).kind for kind in state.KINDS} == state.KINDS


def test_every_kind_has_a_headline():
    lines = {headline(told(kind)) for kind in state.KINDS}
    assert len(lines) == len(state.KINDS)
    assert "Access" not in lines
    assert headline(told(body={**BODY, "break_glass": True})).startswith("The glass was broken")


def test_people_read_what_and_what_next():
    assert text(told()).splitlines() == [
        "Access is asked for",
        "Target: postgres:orders-prod",
        f"Request: {REQUEST}",
        "By: ana (oidc)",
        "Who: person:ana",
        "Profile: read-masked",
        "Tables: public.customers, public.orders",
        "For, in seconds: 1800",
        "Ticket: INC-481",
        "People who have to agree: 2",
        "Of each of the groups: dba, security",
        f"Lapses: {AT}",
        "Policies: people",
        "Reason: INC-481 refund bug",
        f"Next: holdfast show {REQUEST}, then approve or deny",
        f"Record 17 of example.org/log, {AT}",
    ]
    assert subject(told()) == "Holdfast: Access is asked for: postgres:orders-prod"


EVIL = st.text(min_size=1, max_size=400) | st.sampled_from(
    [
        "<!channel> <https://evil.example|approve>",
        "ok\nBy: ben (oidc)\n*approved* &lt;",
        "\u202eevil\u2066\x00\x1b[31m",
        "a\u2028b\u0085c\x0bd",
        "&" * 5_000,
        "<" * 5_000,
        "x" * 10_000,
    ]
)


def evil(value):
    body = {**BODY, "reason": value, "tables": [value] * 60, "profile": value, "ticket": value}
    body |= {"principal": value, "comment": value, "message": value, "request": value}
    return told(body=body, actor=Actor(value, value))


@given(EVIL)
def test_no_value_makes_a_line_of_its_own(value):
    lines = text(evil(value)).split("\n")
    assert lines[-1] == ""
    assert len(lines) == len(text(evil("x")).split("\n"))
    for line in lines:
        assert not {one for one in line if unicodedata.category(one)[0] == "C"}
        assert len(line.splitlines()) <= 1
    line = subject(evil(value))
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= MAX_SUBJECT


def texts(value):
    """Every text of a message, with the type of what it stands in."""
    if isinstance(value, dict):
        if "text" in value and isinstance(value["text"], str):
            yield value.get("type"), value["text"]
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


@given(EVIL)
def test_slack_takes_it_and_shows_it_as_it_is(value):
    made = slack(evil(value))
    assert len(made["blocks"]) <= 50
    for block in made["blocks"]:
        if block["type"] == "header":
            assert len(block["text"]["text"]) <= 150
        if "fields" in block:
            assert 1 <= len(block["fields"]) <= 10
            assert all(1 <= len(one["text"]) <= 2_000 for one in block["fields"])
        elif block["type"] == "section":
            assert len(block["text"]["text"]) <= 3_000
        if block["type"] == "context":
            assert len(block["elements"]) <= 10
    for kind, one in texts(made):
        assert kind in (None, "plain_text")
        assert "<" not in one
        assert ">" not in one
        assert not re.search(r"&(?!(?:amp|lt|gt);)", one), "each is an entity of ours"
        assert "\n" not in one
    canon.encode(made)


def test_slack_is_told_the_rest_besides():
    made = slack(told())
    said = [one for _, one in texts(made)]
    assert said[0] == "Access is asked for: postgres:orders-prod"
    assert "Reason: INC-481 refund bug" in said
    assert f"Request: {REQUEST}" in said
    assert f"Next: holdfast show {REQUEST}, then approve or deny" in said
    assert (made["unfurl_links"], made["unfurl_media"]) == (False, False)


@given(EVIL)
def test_an_event_is_bounded_and_says_where_it_was_cut(value):
    made = evil(value)
    assert all(len(one) <= MAX_TEXT for one in (made.actor, made.detail["reason"]))
    assert len(made.detail["tables"]) == 50
    assert len(canon.encode(event(made))) <= MAX_BYTES


def test_an_event_that_is_too_large_says_so():
    made = evil("ä" * 2_000)
    assert event(made)["cut"] is True
    assert event(made)["detail"] == {}
    assert "cut" not in event(told())


def test_what_was_signed_verifies_and_nothing_else():
    body = b'{"v":1}'
    header = sign(KEY, body, 1_790_000_000)
    assert header.startswith("t=1790000000,v1=")
    verify(KEY, header, body, 1_790_000_000 + TOLERANCE_SECONDS)
    verify(KEY, header, body, 1_790_000_000 - TOLERANCE_SECONDS)
    for key, said, what, now in (
        (b"x" * 16, header, body, 1_790_000_000),
        (KEY, header, b'{"v":2}', 1_790_000_000),
        (KEY, header.replace("t=1790000000", "t=1790000001"), body, 1_790_000_000),
        (KEY, header, body, 1_790_000_000 + TOLERANCE_SECONDS + 1),
        (KEY, header, body, 1_790_000_000 - TOLERANCE_SECONDS - 1),
        (KEY, header[:-1], body, 1_790_000_000),
        (KEY, header.upper(), body, 1_790_000_000),
        (KEY, f"{header} ", body, 1_790_000_000),
        (KEY, f"{header}\n", body, 1_790_000_000),
        (KEY, header.replace("t=", "t=0"), body, 1_790_000_000),
        (KEY, "", body, 1_790_000_000),
    ):
        with pytest.raises(BadSignature):
            verify(key, said, what, now)


def test_the_signature_is_what_the_page_says():
    """HMAC-SHA256 of "1.{}" under sixteen bytes, made with: openssl dgst -sha256 -hmac."""
    assert sign(KEY, b"{}", 1) == f"t=1,v1={KNOWN}"


KNOWN = "2af693cb56b22c16912222aeefdc75a01de562bf70ee2015f41ecea48382997f"


def test_a_short_key_signs_nothing():
    with pytest.raises(ValueError, match="at least 16 bytes"):
        sign(b"short", b"", 0)


def test_no_request_no_next_step():
    made = told(state.ORPHANED, {"request": "", "role": "hf_x", "why": "orphaned"})
    assert "Request:" not in text(made)
    assert "Role: hf_x" in text(made)
