"""Rows of the records of scans, findings and baselines; what became of findings, at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.drift import state
from chalicelib.drift.judge import Severity
from chalicelib.drift.schedule import DISPATCHED
from chalicelib.kernel import canon, names
from chalicelib.render.said import listed, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.kernel.record import Entry
    from chalicelib.render.book import Book

OPEN: Final = "open"
SUPPRESSED: Final = "suppressed"
ACCEPTED: Final = "accepted"  # a signed baseline has it
GONE: Final = "gone"  # a later scan did not find it any more
UNTOLD: Final = "untold"  # the packet leaves out the records that would say so
RANKS: Final = {one.value: rank for rank, one in enumerate(Severity)}


def _tick(book: Book, entry: Entry) -> None:
    body = entry.body
    book.put(
        "tick",
        leaf=entry.index,
        at=entry.record.at,
        scheduled_at=text(body["scheduled_at"]),
        deadline_at=text(body["deadline_at"]),
        targets=int(body["targets"]),
        settings_sha256=text(body.get("settings_sha256")),
    )


def _scan(book: Book, entry: Entry) -> None:
    body, target = entry.body, entry.record.stream
    snapshot = body.get("snapshot") or {}
    system = body.get("system") or {}
    queries = body.get("queries") or []
    failure = body.get("failure") or {}
    found = body.get("findings") or []
    book.put(
        "scan",
        leaf=entry.index,
        target=target,
        scheduled_at=body.get("scheduled_at"),
        started_at=body.get("started_at"),
        recorded_at=entry.record.at,
        outcome=text(body["outcome"]),
        source=text(system),
        ran_as=text(system.get("user") or system.get("caller")),
        objects=snapshot.get("objects"),
        read_at=snapshot.get("read_at"),
        snapshot_sha256=snapshot.get("sha256"),
        root=snapshot.get("root"),
        baseline=body.get("baseline"),
        baseline_leaf=body.get("signed"),
        required=body.get("required"),
        queries=len(queries),
        rows=sum(one.get("rows") or 0 for one in queries),
        questions_sha256=body.get("questions"),
        opened=body.get("opened"),
        closed=len(body.get("closed") or []),
        listed=len(found),
        failure=": ".join(text(failure[key]) for key in ("code", "message") if failure.get(key)),
        tool=entry.record.tool,
        program_sha256=body.get("program_sha256"),
        rules_sha256=body.get("rules_sha256"),
        by=entry.record.actor.name,
    )
    for number, one in enumerate(queries):
        book.put(
            "query",
            leaf=entry.index,
            number=number,
            name=text(one.get("name")),
            sha256=text(one.get("sha256")),
            rows=one.get("rows"),
        )
    for name, disposition in found:
        _carry(book, entry, target, text(name), text(disposition))


def _carry(book: Book, entry: Entry, target: str, name: str, disposition: str) -> None:
    """A finding that was there before the records that are here."""
    if (target, name) in book.open:
        return
    if (target, name) in book.carried:
        book.run(
            "UPDATE carried SET last_leaf = ?, disposition = ?, ended_leaf = NULL "
            "WHERE target = ? AND id = ?",
            [entry.index, disposition, target, name],
        )
        return
    book.carried.add((target, name))
    book.put(
        "carried",
        target=target,
        id=name,
        leaf=entry.index,
        last_leaf=entry.index,
        disposition=disposition,
    )


def _missed(book: Book, entry: Entry) -> None:
    book.put(
        "scan",
        leaf=entry.index,
        target=entry.record.stream,
        scheduled_at=text(entry.body["scheduled_at"]),
        recorded_at=entry.record.at,
        outcome="missed",
        tool=entry.record.tool,
        by=entry.record.actor.name,
    )


def _opened(book: Book, entry: Entry) -> None:
    body, target = entry.body, entry.record.stream
    when = body["when"]
    who, certainty = _who(body.get("who"))
    severity = text(body["severity"])
    book.put(
        "finding",
        leaf=entry.index,
        id=text(body["id"]),
        target=target,
        opened_at=entry.record.at,
        operation=text(body["operation"]),
        kind=text(body["kind"]),
        name=text(body["name"]),
        attribute=text(body["attribute"]),
        severity=severity,
        rank=RANKS.get(severity, -1),
        direction=text(body["direction"]),
        rule=text(body["rule"]),
        title=text(body["title"]),
        not_before=text(when.get("not_before")),
        not_after=text(when["not_after"]),
        committed_at=text(when.get("committed")),
        meaning="; ".join(map(text, (body.get("meaning") or {}).get("reasons") or [])),
        who=who,
        principal=_principal(body.get("who")),
        certainty=certainty,
        controls=canon.encode(body["controls"]).decode(),
        before=text(body["before"]),
        after=text(body["after"]),
        disposition=OPEN,
    )
    book.open[target, text(body["id"])] = entry.index
    _event(book, entry, "opened", f"{severity}: {text(body['title'])}")


def _who(said: Any) -> tuple[str, str]:
    """Who made a change, in words, and how certain that is."""
    if said is None:
        return "", ""
    certainty = text(said["certainty"])
    candidates = said.get("candidates") or []
    if not candidates:
        return text(said.get("why")), certainty
    first = candidates[0]
    name = text(first["principal"]["name"])
    words = f"{name} by {text(first['event'])} at {text(first['at'])}"
    if first.get("address"):
        words += f" from {text(first['address'])}"
    return f"{words}, request {text(first['request_id'])}", certainty


def _principal(said: Any) -> str:
    """The name of who most likely made a change; empty, where nobody is known."""
    candidates = (said or {}).get("candidates") or []
    return text(candidates[0]["principal"]["name"]) if candidates else ""


def _attributed(book: Book, entry: Entry) -> None:
    who, certainty = _who(entry.body["who"])
    leaf = book.open.get((entry.record.stream, text(entry.body["id"])))
    book.run(
        "UPDATE finding SET who = ?, principal = ?, certainty = ? WHERE leaf = ?",
        [who, _principal(entry.body["who"]), certainty, leaf],
    )
    _event(book, entry, "attributed", f"{certainty}: {who}")


def _suppressed(book: Book, entry: Entry) -> None:
    name, target = text(entry.body["id"]), entry.record.stream
    until, reason = text(entry.body["until"]), text(entry.body["reason"])
    leaf = book.open.get((target, name))
    book.run(
        "UPDATE finding SET suppressed_until = ?, suppressed_leaf = ? WHERE leaf = ?",
        [until, entry.index, leaf],
    )
    _event(book, entry, "suppressed", f"until {until}: {reason}")


def _closed(book: Book, entry: Entry) -> None:
    name, target = text(entry.body["id"]), entry.record.stream
    leaf = book.open.pop((target, name), None)
    accepted = book.one(
        "SELECT baseline.id FROM accepted JOIN baseline ON baseline.id = accepted.proposal "
        "AND baseline.target = accepted.target WHERE accepted.target = ? AND accepted.finding = ? "
        "AND baseline.signed_leaf < ? ORDER BY baseline.signed_leaf DESC",
        [target, name, entry.index],
    )
    tells = book.tells(state.PROPOSED, state.SIGNED)
    if leaf is None:
        book.run(
            "UPDATE carried SET ended_leaf = ? WHERE target = ? AND id = ?",
            [entry.index, target, name],
        )
    else:
        book.run(
            "UPDATE finding SET ended_at = ?, ended_leaf = ?, accepted_by = ?, disposition = ? "
            "WHERE leaf = ?",
            [
                entry.record.at,
                entry.index,
                accepted,
                ACCEPTED if accepted else GONE if tells else UNTOLD,
                leaf,
            ],
        )
    words = "a scan did not find it any more" if tells else "whether a baseline has it is not told"
    if accepted:
        words = f"the baseline {accepted} has it"
    _event(book, entry, "closed", words)


def _event(book: Book, entry: Entry, event: str, words: str) -> None:
    book.put(
        "finding_event",
        leaf=entry.index,
        finding=text(entry.body["id"]),
        target=entry.record.stream,
        at=entry.record.at,
        event=event,
        by=entry.record.actor.name,
        words=words,
    )


def _proposed(book: Book, entry: Entry) -> None:
    body, target = entry.body, entry.record.stream
    snapshot = body["snapshot"]
    book.put(
        "baseline",
        leaf=entry.index,
        id=text(body["proposal"]),
        target=target,
        proposed_at=entry.record.at,
        proposed_by=entry.record.actor.name,
        objects=snapshot["objects"],
        read_at=text(snapshot["read_at"]),
        root=text(snapshot["root"]),
        snapshot_sha256=text(snapshot["sha256"]),
        accepts=len(body["accepts"]),
        required=body["required"],
        comment=text(body["comment"]),
        approvals=0,
    )
    for name in body["accepts"]:
        book.put("accepted", proposal=text(body["proposal"]), target=target, finding=text(name))


def _approved(book: Book, entry: Entry) -> None:
    body, target, by = entry.body, entry.record.stream, entry.record.actor.name
    asked = book.one(
        "SELECT proposed_by FROM baseline WHERE id = ? AND target = ?",
        [text(body["proposal"]), target],
    )
    book.put(
        "baseline_approval",
        leaf=entry.index,
        baseline=text(body["proposal"]),
        target=target,
        at=entry.record.at,
        by=by,
        comment=text(body["comment"]),
        own=None if asked is None else names.person(asked) == names.person(by),
    )
    book.run(
        "UPDATE baseline SET approvals = approvals + 1 WHERE id = ? AND target = ?",
        [text(body["proposal"]), target],
    )


def _signed(book: Book, entry: Entry) -> None:
    body, target = entry.body, entry.record.stream
    book.run(
        "UPDATE baseline SET signed_at = ?, signed_leaf = ?, approved_by = ?, envelope_sha256 = ? "
        "WHERE id = ? AND target = ?",
        [
            entry.record.at,
            entry.index,
            listed(body["approved_by"]),
            text(body["envelope"]),
            text(body["proposal"]),
            target,
        ],
    )


def settle(book: Book) -> None:
    """What findings are at the end of the period, after the last record."""
    end = book.verified.head.period.end
    book.run(
        "UPDATE finding SET disposition = ? WHERE disposition = ? AND suppressed_until > ?",
        [SUPPRESSED, OPEN, end],
    )
    if not book.tells(state.CLOSED, state.SUPPRESSED):
        book.run("UPDATE finding SET disposition = ? WHERE disposition = ?", [UNTOLD, OPEN])
    if not book.tells(state.CLOSED):  # it may be gone, suppressed or not
        book.run("UPDATE finding SET disposition = ? WHERE disposition = ?", [UNTOLD, SUPPRESSED])


TAKES: Final[dict[str, Callable[[Book, Entry], None]]] = {
    DISPATCHED: _tick,
    state.SCAN: _scan,
    state.MISSED: _missed,
    state.OPENED: _opened,
    state.ATTRIBUTED: _attributed,
    state.SUPPRESSED: _suppressed,
    state.CLOSED: _closed,
    state.PROPOSED: _proposed,
    state.APPROVED: _approved,
    state.SIGNED: _signed,
}
