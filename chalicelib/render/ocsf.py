"""OCSF: what a packet says as events of the Open Cybersecurity Schema Framework, one JSON a line.

Version 1.8.0 of the schema (schema.ocsf.io/1.8.0, github.com/ocsf/ocsf-schema): Datastore Activity
6005, Detection Finding 2004, Compliance Finding 2003, Entity Management 3004, User Access 3005; no
profile and no extension. Times are milliseconds since 1970, UTC.

Events are in the order of the log, each after the record that says it; gaps in coverage, which no
single record says, come with the record that closed the period. Three kinds of records give no
event: times of the schedule (a scan or a gap follows from each), those that this version does not
know, and those that cannot be read (the population ``odd``). Who made a change that was found is
told as far as it is known at the end of the packet; so is what is under ``at_end_of_packet``.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from chalicelib.kernel import canon
from chalicelib.render import ocsf_entities
from chalicelib.render.ocsf_events import Rows, Watch
from chalicelib.render.ocsf_schema import VERSION, times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.render.book import Book
    from chalicelib.render.ocsf_schema import Event

PRODUCT: Final = "Holdfast"

# An event's id follows from its record alone: the same record in another packet is the same event.
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:holdfast:ocsf:v1")


class Said(NamedTuple):
    """A record, as the book has it."""

    leaf: int
    hash: str
    at: str
    kind: str
    stream: str
    seq: int
    actor: str
    via: str
    tool: str
    in_range: int


def write(book: Book, out: BinaryIO) -> int:
    """Write the events, a line each; how many there are. Raises: StoreUnavailable, OSError."""
    number = 0
    for event in events(book):
        out.write(canon.encode(event) + b"\n")
        number += 1
    return number


def events(book: Book) -> Iterator[dict[str, Any]]:
    """The events, one by one. Raises: StoreUnavailable."""
    rows = Rows(book)
    watch = Watch(rows)
    census = book.verified.head.census
    for row in book.walk("SELECT * FROM record ORDER BY leaf"):
        said = Said(*row)
        made = [*watch.of(said), *ocsf_entities.of(rows, said)]
        for number, event in enumerate(made):
            yield _whole(book, said, event, f"{event.of.uid} {number}")
        if said.leaf == census:
            for event in watch.gaps(said):
                yield _whole(book, said, event, event.body["finding_info"]["uid"])


def _whole(book: Book, said: Said, event: Event, part: str) -> dict[str, Any]:
    """The event with what every event has. ``part``: tells the events of a record apart."""
    kind = event.of
    activity = event.label or kind.activities[event.activity]
    uid = f"{book.verified.head.origin}\n{said.leaf}\n{said.hash}\n{part}"
    return {
        "activity_id": event.activity,
        "activity_name": activity,
        "category_uid": kind.category,
        "category_name": kind.category_name,
        "class_uid": kind.uid,
        "class_name": kind.name,
        "type_uid": kind.uid * 100 + event.activity,
        "type_name": f"{kind.name}: {kind.activities[event.activity]}",
        **times(time=said.at),
        **times(time=event.at),
        "timezone_offset": 0,
        "severity_id": int(event.severity),
        "severity": event.severity.name.capitalize(),
        "message": event.message,
        "metadata": _metadata(book, said, str(uuid.uuid5(_NAMESPACE, uid))),
        "unmapped": {"holdfast": {**_proof(book, said), **event.beside}},
        **event.body,
    }


def _metadata(book: Book, said: Said, uid: str) -> dict[str, Any]:
    name, _, version = said.tool.partition("/")
    return {
        "version": VERSION,
        "uid": uid,
        "product": {"name": PRODUCT, "vendor_name": PRODUCT, "uid": name, "version": version},
        "event_code": said.kind,
        "sequence": said.leaf,
        "original_time": said.at,
        **times(logged_time=said.at),
        "log_name": book.verified.head.origin,
        "log_provider": said.stream,
    }


def _proof(book: Book, said: Said) -> dict[str, Any]:
    """What leads back to the proof of the record that says it."""
    held = book.verified
    return {
        "packet_sha256": held.verdict.packet,
        "verdict": held.verdict.answer.value,
        "log_root": held.checkpoint.root.hex(),
        "log_size": held.checkpoint.size,
        "leaf": said.leaf,
        "leaf_hash": said.hash,
        "in_period": bool(said.in_range),
        "known_by": said.via,
    }
