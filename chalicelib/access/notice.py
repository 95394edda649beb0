"""Notices: what the records of requests and leases become for programs and for people. Pure.

A notice has the fields that are named here and no others: nothing that a record may once hold
besides leaves the house by itself. Its text is what somebody else wrote; in each form it is escaped
as that form wants it, cut, and without characters that do not show.

``sign`` and ``verify`` are for notices that go by a webhook; docs/notify.md has them for receivers.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access import state
from chalicelib.kernel import canon
from chalicelib.kernel.errors import BadSignature
from chalicelib.kernel.personal import Concealed, text_or_sealed

if TYPE_CHECKING:
    from chalicelib.kernel.record import Entry, Record

# The text of a value that is personal, in a record of such a kind and stream; None: it was erased.
Reveal = Callable[[Concealed, str, str], str | None]

VERSION: Final = 1
MAX_TEXT: Final = 2_000  # characters of one value
MAX_ITEMS: Final = 50  # of one list
MAX_BYTES: Final = 64 * 1024  # of an event; every receiver takes as much
MAX_SUBJECT: Final = 100  # SNS, Publish, Subject: ASCII, fewer than 100 characters or as many

SIGNATURE: Final = "Holdfast-Signature"
TOLERANCE_SECONDS: Final = 300
MIN_KEY_BYTES: Final = 16
_SIGNED: Final = re.compile(r"t=(0|[1-9][0-9]{0,11}),v1=([0-9a-f]{64})")

# Slack, "Reference: Layout blocks" and "Composition objects".
SLACK_HEADER: Final = 150
SLACK_FIELD: Final = 2_000
SLACK_FIELDS: Final = 10
SLACK_SECTION: Final = 3_000
_SLACK_VALUE: Final = 300  # characters before they are escaped: each may become five
_SLACK_LONG: Final = 550

# Each field of a notice's detail, and what it is called where people read it.
_FIELDS: Final = {
    "principal": "Who",
    "break_glass": "Glass broken",
    "profile": "Profile",
    "tables": "Tables",
    "resources": "Resources",
    "seconds": "For, in seconds",
    "until": "Until",
    "ticket": "Ticket",
    "approvals": "People who have to agree",
    "approvers": "Of each of the groups",
    "groups": "For the groups",
    "lapses_at": "Lapses",
    "renewal": "Renewal",
    "why": "Why it ends",
    "was": "It was",
    "role": "Role",
    "step": "Step that failed",
    "code": "Error",
    "message": "Message",
    "attempts": "Attempts",
    "next_at": "Tried again",
    "policies": "Policies",
    "reason": "Reason",
    "comment": "Comment",
}
_LONG: Final = ("reason", "comment", "message")
_HEADLINES: Final = {
    state.REQUESTED: "Access is asked for",
    state.AMENDED: "A request for access was changed",
    state.APPROVED: "Somebody agreed to a request for access",
    state.DENIED: "A request for access was denied",
    state.WITHDRAWN: "A request for access was withdrawn",
    state.LAPSED: "A request for access has lapsed",
    state.REVIEWED: "A broken glass was reviewed",
    state.ISSUING: "A lease is being issued",
    state.ISSUED: "A lease was issued",
    state.REFRESHED: "A lease's credential was given out again",
    state.RENEWAL: "A longer lease is asked for",
    state.EXTENDED: "A lease lasts longer",
    state.ENDING: "A lease is being ended",
    state.UNENDED: "A lease could not be ended, and will be tried again",
    state.ENDED: "A lease has ended",
    state.ORPHANED: "A credential was found that no lease has",
}
_BROKEN: Final = "The glass was broken: access without anybody's agreement"
_COMMANDS: Final = {
    state.REQUESTED: "holdfast show {}, then approve or deny",
    state.AMENDED: "holdfast show {}, then approve or deny",
    state.RENEWAL: "holdfast show {}, then approve or deny",
    state.UNENDED: "holdfast show {}",
}


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What one record says. The same record has the same ``id``, however often it is told.

    ``kind``: of the record. ``record``: its index in ``log``; ``seq``: in its target's stream.
    ``target``: e.g. ``postgres:orders-prod``. ``request``: empty where it is about none.
    """

    id: str
    kind: str
    at: str
    log: str
    record: int
    seq: int
    target: str
    request: str
    actor: str
    via: str
    detail: dict[str, Any]


def notice(entry: Entry, target: str, log: str, reveal: Reveal) -> Notice | None:
    """What a record says; None where it is none of a request or a lease.

    What is personal and was erased is left out.
    """
    record, body = entry.record, entry.body
    if record.kind not in state.KINDS:
        return None
    given: dict[str, Any] = {name: body[name] for name in _FIELDS if name in body}
    wanted = body.get("obligations")
    if isinstance(wanted, dict):
        given["approvals"] = wanted.get("approvals")
        given["approvers"] = wanted.get("groups")
    for name in ("reason", "comment"):
        given[name] = _revealed(record, given.get(name), reveal)
    detail = {name: value for name in given if (value := _plain(given[name])) is not None}
    request = body.get("request", "")
    return Notice(
        id=f"{log}/{entry.index}",
        kind=record.kind,
        at=record.at,
        log=log,
        record=entry.index,
        seq=record.seq,
        target=target,
        request=_cut(request, MAX_TEXT) if isinstance(request, str) else "",
        actor=_cut(record.actor.name, MAX_TEXT),
        via=_cut(record.actor.via, MAX_TEXT),
        detail=detail,
    )


def event(one: Notice) -> dict[str, Any]:
    """The notice for programs. Its fields stay; new ones may come.

    Where it would have more than MAX_BYTES, the detail is left out, and ``cut`` says so: the record
    is in the log.
    """
    whole = {"v": VERSION, **msgspec.to_builtins(one)}
    if len(canon.encode(whole)) > MAX_BYTES:
        whole = {**whole, "detail": {}, "cut": True}
    return whole


def headline(one: Notice) -> str:
    """What happened, in words of ours alone."""
    if one.detail.get("break_glass") is True:
        return _BROKEN
    return _HEADLINES.get(one.kind, "Access")


def subject(one: Notice) -> str:
    """One line of ASCII, at most MAX_SUBJECT characters: what happened, and where."""
    where = one.target.encode("ascii", "replace").decode()
    return _cut(f"Holdfast: {headline(one)}", MAX_SUBJECT - len(where) - 2, "...") + f": {where}"


def text(one: Notice) -> str:
    """The notice as lines of plain text: each value on one line, with no line of its own."""
    lines = [
        headline(one),
        f"Target: {_line(one.target)}",
        *([f"Request: {_line(one.request)}"] if one.request else []),
        f"By: {_line(one.actor)} ({_line(one.via)})",
        *(f"{label}: {_line(value)}" for label, value in _told(one)),
        *_next(one),
        f"Record {one.record} of {_line(one.log)}, {one.at}",
    ]
    return "\n".join(lines) + "\n"


def slack(one: Notice) -> dict[str, Any]:
    """The notice as a message of Slack (Block Kit), within its bounds.

    Values stand in ``plain_text``, where nothing is a link, a mention or bold; escaped besides, as
    Slack wants of all text. Source: Slack, "Formatting text for app surfaces".
    """
    short = [("Target", one.target), ("By", f"{one.actor} ({one.via})")]
    if one.request:
        short.append(("Request", one.request))
    told = _told(one)
    long = [(label, value) for label, value in told if label in _labels(_LONG)]
    short += [pair for pair in told if pair not in long]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _slack_text(headline(one), SLACK_HEADER)}
    ]
    for start in range(0, len(short), SLACK_FIELDS):
        fields = [
            _slack_text(f"{label}: {_slack(_line(value), _SLACK_VALUE)}", SLACK_FIELD)
            for label, value in short[start : start + SLACK_FIELDS]
        ]
        blocks.append({"type": "section", "fields": fields})
    for label, value in long:
        escaped = _slack(_line(value), _SLACK_LONG)
        blocks.append(
            {"type": "section", "text": _slack_text(f"{label}: {escaped}", SLACK_SECTION)}
        )
    footer = [*_next(one), f"Record {one.record} of {_line(one.log)}, {one.at}"]
    elements = [_slack_text(_slack(line, _SLACK_VALUE), SLACK_FIELD) for line in footer]
    blocks.append({"type": "context", "elements": elements})
    return {
        "text": f"{headline(one)}: {_slack(_line(one.target), _SLACK_VALUE)}",
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def sign(key: bytes, body: bytes, at_seconds: int) -> str:
    """The value of the header SIGNATURE: HMAC-SHA256 over the time, a dot, and the body.

    ``at_seconds``: since 1970. The time is signed, so that what was overheard is no message later.
    Raises: ValueError, for a key of fewer than MIN_KEY_BYTES.
    """
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"the key of a signature has at least {MIN_KEY_BYTES} bytes")
    signature = hmac.digest(key, b"%d." % at_seconds + body, hashlib.sha256)
    return f"t={at_seconds},v1={signature.hex()}"


def verify(key: bytes, header: str, body: bytes, now_seconds: int) -> None:
    """Return if the body was signed with the key, TOLERANCE_SECONDS ago at most.

    Raises: BadSignature. Who must not act twice keeps the event's ``id`` for as long besides.
    """
    found = _SIGNED.fullmatch(header)
    if found is None:
        raise BadSignature(f"not a signature of the form t=…,v1=…: {header[:120]!r}")
    at = int(found[1])
    if not hmac.compare_digest(sign(key, body, at), header):
        raise BadSignature("the signature is of another key, or over another body or time")
    if abs(now_seconds - at) > TOLERANCE_SECONDS:
        raise BadSignature(
            f"the signature is {now_seconds - at} s old; expected {TOLERANCE_SECONDS} s at most"
        )


def _revealed(record: Record, value: object, reveal: Reveal) -> str | None:
    try:
        found = text_or_sealed(value)
    except TypeError:
        return None
    return found if isinstance(found, str) else reveal(found, record.kind, record.stream)


def _plain(value: object) -> Any:
    """A value of a kind that a notice has, in its bounds; None for any other, and for nothing."""
    match value:
        case bool() | int():
            return value
        case str() if value:
            return _cut(value, MAX_TEXT)
        case list() | tuple() if value:
            return [_cut(one, MAX_TEXT) for one in value[:MAX_ITEMS] if isinstance(one, str)]
        case _:
            return None


def _told(one: Notice) -> list[tuple[str, str]]:
    """What there is to say for people, in the order of _FIELDS; nothing that is not so."""
    return [
        (label, _said(one.detail[name]))
        for name, label in _FIELDS.items()
        if one.detail.get(name) not in (None, False)
    ]


def _said(value: Any) -> str:
    match value:
        case bool():
            return "yes"
        case list():
            return ", ".join(value)
        case _:
            return str(value)


def _labels(fields: tuple[str, ...]) -> set[str]:
    return {_FIELDS[name] for name in fields}


def _next(one: Notice) -> list[str]:
    command = _COMMANDS.get(one.kind)
    return [f"Next: {command.format(_line(one.request))}"] if command and one.request else []


def _line(value: str) -> str:
    """The text on one line: what does not show, or turns the line around, is a replacement."""
    return "".join(
        " " if one.isspace() else "\ufffd" if unicodedata.category(one)[0] == "C" else one
        for one in value
    )


def _slack(value: str, most: int) -> str:
    return _cut(value, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack_text(escaped: str, most: int) -> dict[str, Any]:
    if len(escaped) > most:
        raise ValueError(f"{len(escaped)} characters where Slack takes {most}")
    return {"type": "plain_text", "text": escaped, "emoji": False}


def _cut(value: str, most: int, mark: str = "…") -> str:
    return value if len(value) <= most else value[: most - len(mark)] + mark
