"""Rows of the records of requests, leases and masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.access import state
from chalicelib.kernel import masking, names
from chalicelib.render.said import listed, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.kernel.record import Entry
    from chalicelib.render.book import Book

NOTHING: Final = "no request"  # what was found at a target, and belongs to no request


def _requested(book: Book, entry: Entry) -> None:
    body, stream = entry.body, entry.record.stream
    request = text(body["request"])
    book.put(
        "access",
        leaf=entry.index,
        id=request,
        target=_target(entry),
        requested_at=entry.record.at,
        requested_by=entry.record.actor.name,
        principal=text(body["principal"]),
        break_glass=bool(body["break_glass"]),
        approvers="",
        claims=0,
        renewals=0,
        own_approval=0,
        state="pending",
        **_wish(body),
    )
    book.requests[stream, request] = entry.index
    _event(book, entry, f"{text(body['profile'])} for {text(body['seconds'])} s")


def _wish(body: dict[str, Any]) -> dict[str, Any]:
    wanted = body["obligations"]
    return {
        "profile": text(body["profile"]),
        "masked": bool(body["gives"]["masked"]),
        "tables": listed(body["tables"]),
        "seconds": int(body["seconds"]),
        "ticket": text(body["ticket"]),
        "reason": text(body["reason"]),
        "approvals_required": wanted["approvals"],
        "policies": listed(body["policies"]),
    }


def _amended(book: Book, entry: Entry) -> None:
    """Nobody has agreed to what is another wish."""
    wish = _wish(entry.body)
    _set(book, entry, **wish, approvers="", approved_at=None, own_approval=0)
    _event(book, entry, f"{wish['profile']} for {wish['seconds']} s")


def _approved(book: Book, entry: Entry) -> None:
    leaf = _of(book, entry)
    by = entry.record.actor.name
    if leaf is not None:
        ((before, asked),) = book.ask(
            "SELECT approvers, requested_by FROM access WHERE leaf = ?", [leaf]
        )
        own = names.person(asked) == names.person(by)
        _set(
            book,
            entry,
            approvers=f"{before}, {by}" if before else by,
            approved_at=entry.record.at,
            **({"own_approval": 1} if own else {}),
        )
    _event(book, entry, text(entry.body.get("comment")))


def _over(phase: str) -> Callable[[Book, Entry], None]:
    def over(book: Book, entry: Entry) -> None:
        if not entry.body.get("renewal"):
            by, at = entry.record.actor.name, entry.record.at
            _set(book, entry, state=phase, closed_by=by, closed_at=at)
        _event(book, entry, text(entry.body.get("comment")))

    return over


def _issuing(book: Book, entry: Entry) -> None:
    body = entry.body
    _set(book, entry, state="issuing", role=text(body["role"]), until=text(body["until"]))
    _event(book, entry, f"role {text(body['role'])}, plan {text(body['sha256'])}")


def _issued(book: Book, entry: Entry) -> None:
    _set(book, entry, state="active", issued_at=entry.record.at, issued_leaf=entry.index, claims=1)
    _event(book, entry, "")


def _refreshed(book: Book, entry: Entry) -> None:
    leaf = _of(book, entry)
    book.run("UPDATE access SET claims = claims + 1 WHERE leaf = ?", [leaf])
    _event(book, entry, "claimed again")


def _renewal(book: Book, entry: Entry) -> None:
    _event(book, entry, f"for {text(entry.body['seconds'])} s more")


def _extended(book: Book, entry: Entry) -> None:
    leaf, until = _of(book, entry), text(entry.body["until"])
    book.run("UPDATE access SET renewals = renewals + 1, until = ? WHERE leaf = ?", [until, leaf])
    _event(book, entry, f"until {until}")


def _ending(book: Book, entry: Entry) -> None:
    by, at, why = entry.record.actor.name, entry.record.at, text(entry.body["why"])
    _set(book, entry, state="ending", closed_by=by, closed_at=at, why=why)
    _event(book, entry, why)


def _unended(book: Book, entry: Entry) -> None:
    body = entry.body
    _event(book, entry, f"step {text(body['step'])}: {text(body['code'])}: {text(body['message'])}")


def _ended(book: Book, entry: Entry) -> None:
    proof = entry.body["proof"]
    if not entry.body["request"]:
        book.run(
            "UPDATE orphan SET ended_leaf = ? WHERE target = ? AND role = ? AND ended_leaf IS NULL",
            [entry.index, _target(entry), text(entry.body["role"])],
        )
    left = sum(int(count) for count in proof["verified"].values())
    sessions = proof.get("sessions_ended")
    _set(
        book,
        entry,
        state="ended",
        ended_at=entry.record.at,
        ended_leaf=entry.index,
        sessions_ended=sessions,
        left_behind=left,
    )
    _event(book, entry, f"{text(sessions)} sessions ended, {left} rows left behind")


def _reviewed(book: Book, entry: Entry) -> None:
    by, at = entry.record.actor.name, entry.record.at
    _set(book, entry, reviewed_by=by, reviewed_at=at, review_leaf=entry.index)
    _event(book, entry, text(entry.body.get("comment")))


def _orphaned(book: Book, entry: Entry) -> None:
    role = text(entry.body["role"])
    book.put("orphan", leaf=entry.index, target=_target(entry), at=entry.record.at, role=role)
    _event(book, entry, f"role {role} of no lease was found")


def _event(book: Book, entry: Entry, words: str) -> None:
    book.put(
        "access_event",
        leaf=entry.index,
        request=text(entry.body.get("request")) or NOTHING,
        target=_target(entry),
        at=entry.record.at,
        event=entry.record.kind,
        by=entry.record.actor.name,
        role=text(entry.body.get("role")),
        words=words,
    )


def _set(book: Book, entry: Entry, **values: Any) -> None:
    """Columns of the request's row; nothing, where it was made before the records that are here."""
    leaf = _of(book, entry)
    if leaf is not None:
        marks = ", ".join(f"{name} = ?" for name in values)
        book.run(f"UPDATE access SET {marks} WHERE leaf = ?", [*values.values(), leaf])  # noqa: S608 - names of this module


def _of(book: Book, entry: Entry) -> int | None:
    return book.requests.get((entry.record.stream, text(entry.body.get("request"))))


def _target(entry: Entry) -> str:
    return entry.record.stream.partition(":")[2]


def _applied(book: Book, entry: Entry) -> None:
    said = masking.applied(entry.body)
    book.put(
        "masking",
        leaf=entry.index,
        target=_target(entry),
        at=entry.record.at,
        by=entry.record.actor.name,
        event="applied",
        personal=sum(one.personal for one in said.columns),
        unclassified=len(said.unclassified),
        left_out=len(said.left_out),
        words=f"masks {said.masks_sha256}",
    )


def _checked(book: Book, entry: Entry) -> None:
    said = masking.checked(entry.body)
    book.put(
        "masking",
        leaf=entry.index,
        target=_target(entry),
        at=entry.record.at,
        by=entry.record.actor.name,
        event="checked",
        held=said.held,
        leaked=said.leaked,
        untold=said.untold,
        words=f"by a lease of {said.profile}",
    )


TAKES: Final[dict[str, Callable[[Book, Entry], None]]] = {
    state.REQUESTED: _requested,
    state.AMENDED: _amended,
    state.APPROVED: _approved,
    state.DENIED: _over("denied"),
    state.WITHDRAWN: _over("withdrawn"),
    state.LAPSED: _over("lapsed"),
    state.REVIEWED: _reviewed,
    state.ISSUING: _issuing,
    state.ISSUED: _issued,
    state.REFRESHED: _refreshed,
    state.RENEWAL: _renewal,
    state.EXTENDED: _extended,
    state.ENDING: _ending,
    state.UNENDED: _unended,
    state.ENDED: _ended,
    state.ORPHANED: _orphaned,
    "masking.applied": _applied,
    "masking.checked": _checked,
}
