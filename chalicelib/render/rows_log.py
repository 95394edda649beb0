"""Rows of the records about the log, its targets, and who took evidence out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib.render.said import text

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.kernel.record import Entry
    from chalicelib.render.book import Book


def _target(book: Book, entry: Entry) -> None:
    body, record = entry.body, entry.record
    book.put(
        "configured",
        leaf=entry.index,
        at=record.at,
        by=record.actor.name,
        target=record.stream,
        event=record.kind.rpartition(".")[2],
        env=body.get("env"),
        approvals=body.get("approvals"),
    )


def _custody(book: Book, entry: Entry) -> None:
    body, record = entry.body, entry.record
    if record.kind == "packet.made":
        targets = ", ".join(map(text, body["targets"])) or "all targets"
        kinds = ", ".join(map(text, body["kinds"])) or "all kinds"
        words = (
            f"packet {text(body['sha256'])}: {text(body['from'])} up to {text(body['to'])}, "
            f"{targets}, {kinds}, {text(body['records'])} records"
        )
    else:
        words = f"{text(body['what'])}: {text(body['asked'])}"
    book.put(
        "custody",
        leaf=entry.index,
        at=record.at,
        by=record.actor.name,
        via=record.actor.via,
        event=record.kind,
        words=words,
    )


def _kept(book: Book, entry: Entry) -> None:
    body, record = entry.body, entry.record
    book.put(
        "keeping",
        leaf=entry.index,
        at=record.at,
        by=record.actor.name,
        event=record.kind,
        words="; ".join(
            f"{key} {text(value)}" for key, value in sorted(body.items()) if key != "streams"
        ),
    )


_KEPT: Final = (
    "log.opened", "log.restored", "log.rotated", "period.closed", "hold.placed", "hold.released",
    "personal.erased",
)  # fmt: skip

WHOLE: Final = frozenset({*_KEPT, "packet.made"})  # these are in the log's own stream

TAKES: Final[dict[str, Callable[[Book, Entry], None]]] = {
    "target.configured": _target,
    "target.removed": _target,
    "packet.made": _custody,
    "evidence.read": _custody,
    **dict.fromkeys(_KEPT, _kept),
}
