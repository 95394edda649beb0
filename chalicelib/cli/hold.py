"""``holdfast evidence hold``, ``release``, ``holds`` and ``erase``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, services
from chalicelib.cli.evidence import group
from chalicelib.cli.progress import reading
from chalicelib.cli.text import count, emit, say
from chalicelib.kernel.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.evidence.hold import Hold, Packet
    from chalicelib.wiring import Services

_DIGEST = re.compile(r"[0-9a-f]{64}")
SHOWN_ID = 14  # characters of a hold's id

Stream = Annotated[str, typer.Option(help="A stream of the log.")]
Target = Annotated[str, typer.Option(help="A target: its stream.")]
OfPacket = Annotated[
    str, typer.Option("--packet", help="A packet's file, or the SHA-256 of its manifest.")
]


@group.command("hold")
def hold(
    stream: Stream = "",
    target: Target = "",
    packet: OfPacket = "",
    reason: Annotated[str, typer.Option(help="Why, e.g. the matter; it is recorded.")] = "",
    refresh: Annotated[
        bool, typer.Option(help="Put the holds in force on what was recorded since.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Keep a stream or a packet from being removed or erased until it is released."""
    from chalicelib.wiring import holding  # noqa: PLC0415 - no other command needs it

    held = services()
    if refresh:
        if stream or target or packet or reason:
            raise UsageError("--refresh takes nothing else; it is for every hold in force")
        with reading("holds") as progress:
            holds, objects, new = holding.refresh(held, progress)
        if as_json:
            emit({"holds": holds, "objects": objects, "new": new})
        say(f"{count(holds, 'hold')} on {count(objects, 'object')}, {new} of them new")
        return
    name, of = _chosen(held, stream, target, packet)
    with reading("hold") as progress:
        done = holding.place(
            held, actor(), stream=name, packet=of, reason=reason, progress=progress
        )
    if as_json:
        emit({**encode(done.hold), "objects": done.objects, "new": done.changed})
    say(f"{done.hold.id} is on {done.hold.what}: {count(done.objects, 'object')}")
    say("what is recorded from now on: holdfast evidence hold --refresh, every day", "bold")


@group.command("release")
def release(
    name: Annotated[
        str, typer.Argument(metavar="[HOLD]", help="Its id, or H- and its first 4 digits or more.")
    ] = "",
    stream: Stream = "",
    target: Target = "",
    packet: OfPacket = "",
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Release a hold. Retention goes on; what another hold is on stays held."""
    from chalicelib.evidence import hold as holds  # noqa: PLC0415 - as above
    from chalicelib.wiring import holding  # noqa: PLC0415

    held = services()
    every = list(holds.fold(held.log).values())
    if name:
        if stream or target or packet:
            raise UsageError("name the hold, or what it is on")
        found = holds.find(every, name)
    else:
        found = _the_one(every, *_chosen(held, stream, target, packet))
    with reading("release") as progress:
        done = holding.release(held, actor(), found, reason=reason, progress=progress)
    if as_json:
        emit({"hold": found.id, "objects": done.objects, "released": done.changed})
    say(f"{found.id} is released: {count(done.changed, 'object')} free of holds")


@group.command("holds")
def ls(
    everything: Annotated[bool, typer.Option("--all", help="Released ones too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """List the holds in force, the oldest first."""
    from chalicelib.evidence import hold as holds  # noqa: PLC0415 - as above

    found = [one for one in holds.fold(services().log).values() if everything or not one.released]
    if as_json:
        emit([encode(one) for one in found])
        return
    table.grid(
        ["hold", "on", "since", "by", "reason", "state"],
        [
            [
                one.id[:SHOWN_ID],
                one.what,
                one.at[:19] + "Z",
                one.by.name,
                one.placed.reason,
                "released" if one.released else "in force",
            ]
            for one in found
        ],
    )
    if not found:
        say("no holds", "dim")


@group.command("erase")
def erase(
    subject: Annotated[str, typer.Option(help="The person whose values nobody is to read.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded. Name nobody in it.")],
    as_json: JsonFlag = False,
) -> None:
    """Destroy the key of a person's values in the log. The records stay, and verify as before."""
    from chalicelib.wiring import holding  # noqa: PLC0415 - as above

    held = services()
    with reading("erasure") as progress:
        done = holding.erase(held, actor(), subject, reason=reason, progress=progress)
    if as_json:
        emit(msgspec.to_builtins(done))
    when = f"on {done.at[:10]} by {done.by}, record {done.index} of the evidence log"
    if done.repeated:
        say(f"nothing was left to erase: it was done {when}")
        return
    say(f"erased: what {count(done.records, 'record')} held about this person; {when}")
    say("backups of the documents (state.db) still hold the key: docs/operate.md, Erase", "bold")


def encode(one: Hold) -> dict[str, Any]:
    """A hold as JSON."""
    return {
        **msgspec.to_builtins(one.placed),
        "by": msgspec.to_builtins(one.by),
        "at": one.at,
        "record": one.index,
        "released": one.released,
    }


def _chosen(
    held: Services, stream: str, target: str, packet: str
) -> tuple[str | None, Packet | None]:
    """The stream or the packet that the options name, and one of them. Raises: UsageError."""
    if len([one for one in (stream, target, packet) if one]) != 1:
        raise UsageError("name one of --stream, --target and --packet")
    if not packet:
        return stream or str(held.settings.named(target)), None
    from chalicelib.wiring import holding  # noqa: PLC0415 - as above

    if _DIGEST.fullmatch(packet):
        return None, holding.known_packet(held, packet)
    path = Path(packet)
    if not path.is_file():
        raise UsageError(f"{packet[:300]!r} is no file, and no SHA-256 of 64 hexadecimal digits")
    with path.open("rb") as file:
        return None, holding.read_packet(held, file)


def _the_one(every: Iterable[Hold], stream: str | None, packet: Packet | None) -> Hold:
    """The one hold in force that is on this. Raises: NotFound, UsageError."""
    digest = None if packet is None else packet.sha256
    found = [
        one
        for one in every
        if not one.released
        and one.placed.stream == stream
        and (one.placed.packet.sha256 if one.placed.packet else None) == digest
    ]
    if not found:
        raise NotFound("no hold in force is on it", next_step="holdfast evidence holds")
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} holds are on it: {', '.join(one.id[:SHOWN_ID] for one in found)}",
            next_step="release each by its id",
        )
    return found[0]
