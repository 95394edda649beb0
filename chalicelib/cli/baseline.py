"""``holdfast baseline``: what people sign for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, app, services
from chalicelib.cli.progress import reading
from chalicelib.cli.text import emit, say
from chalicelib.drift import approval, decide
from chalicelib.drift.diff import diff
from chalicelib.drift.finding import Disposition, When, find
from chalicelib.drift.judge import judge
from chalicelib.drift.scan import look, verified
from chalicelib.drift.snapshot import COVERAGE
from chalicelib.kernel.errors import NoBaseline

if TYPE_CHECKING:
    from chalicelib.drift.baseline import Baseline
    from chalicelib.drift.desk import Target
    from chalicelib.drift.finding import Finding
    from chalicelib.drift.snapshot import Snapshot
    from chalicelib.drift.state import State
    from chalicelib.wiring import Services

group = typer.Typer(no_args_is_help=True, help="What people sign for.")
app.add_typer(group, name="baseline")

TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help="e.g. orders-prod")]
Replace = Annotated[bool, typer.Option(help="Give up the proposal that is open.")]
Comment = Annotated[str, typer.Option(help="Why; it is recorded.")]


@group.command("propose")
def propose(
    target: TargetArgument,
    comment: Comment = "",
    replace: Replace = False,
    as_json: JsonFlag = False,
) -> None:
    """Take a snapshot now and ask for it to become the baseline."""
    held = services()
    one = held.settings.target(target)
    source = held.source(held.dsn(one))
    with held.desk.locks.hold(one.lock):
        with reading(one.stream) as progress:
            taken, look_at = look(source, progress)
        now = approval.propose(
            held.desk,
            one,
            taken,
            identity=look_at.identity,
            read_at=look_at.read_at,
            actor=actor(),
            comment=comment,
            replace=replace,
        )
    if _gaps(taken):
        say(f"not complete; could not be read: {', '.join(_gaps(taken))}", "bold yellow")
    _tell(one, now, as_json=as_json)


@group.command("approve")
def approve(
    target: TargetArgument,
    proposal: Annotated[
        str, typer.Option(help="Refuse if another proposal than this one is open.")
    ] = "",
    comment: Comment = "",
    as_json: JsonFlag = False,
) -> None:
    """Agree to the open proposal; with the last approval needed, the baseline is signed."""
    held = services()
    one = held.settings.target(target)
    with held.desk.locks.hold(one.lock):
        now = approval.approve(held.desk, one, actor=actor(), proposal=proposal, comment=comment)
    _tell(one, now, as_json=as_json)


def _tell(target: Target, now: State, *, as_json: bool) -> None:
    open_one = now.proposal
    if as_json:
        emit(_encode(target, now))
    if open_one is None:
        signed = now.baseline
        if signed is not None:
            say(f"{target.stream}: {signed.proposal} signed and in force, root {signed.root}")
            say(f"next: holdfast scan {target.slug}", "bold")
        return
    have = len(open_one.people())
    say(
        f"{target.stream}: {open_one.id} proposed by {open_one.by.name}, "
        f"{open_one.objects} objects, root {open_one.root}"
    )
    say(f"approved by {have} of {target.approvals} people")
    others = " and ".join(sorted({open_one.by.name, *open_one.people()}))
    say(
        f"next, somebody else than {others}: holdfast baseline show {target.slug}, then: "
        f"holdfast baseline approve {target.slug} --proposal {open_one.id}",
        "bold",
    )


def _encode(target: Target, now: State) -> dict[str, Any]:
    return {
        "target": target.stream,
        "required": target.approvals,
        "baseline": msgspec.to_builtins(now.baseline),
        "proposal": msgspec.to_builtins(now.proposal),
    }


@group.command("show")
def show(target: TargetArgument, as_json: JsonFlag = False) -> None:
    """Show the baseline in force, the open proposal, and what it would change."""
    held = services()
    one = held.settings.target(target)
    now = held.desk.states.get(one.stream)
    base = _verified_or_none(held, one, now)
    proposed = now.proposal
    taken = None if proposed is None else decide.load(held.desk, proposed.sha256, proposed.root)
    changes = [] if taken is None or base is None else _changes(held, one, base.snapshot, taken)
    if as_json:
        value = _encode(one, now)
        value["predicate"] = None if base is None else msgspec.to_builtins(base.predicate)
        value["would_change"] = [msgspec.to_builtins(change) for change in changes]
        emit(value)
        return
    if base is not None:
        _show_base(one, base)
    if proposed is not None and taken is not None:
        table.pairs(
            [
                ("proposal", proposed.id),
                ("proposed by", f"{proposed.by.name} ({proposed.by.via}) at {proposed.at}"),
                (
                    "approved by",
                    [f"{v.by.name} ({v.by.via})" for v in proposed.approvals] or "nobody",
                ),
                ("needs", f"{one.approvals} people other than {proposed.by.name}"),
                ("objects", _kinds(taken)),
                ("root", proposed.root),
                *([("comment", proposed.comment)] if proposed.comment else []),
                *([("not in it", _gaps(taken))] if _gaps(taken) else []),
            ]
        )
        if base is not None:
            say(f"{len(changes)} changes from the baseline in force")
            table.findings([(change, Disposition.OPEN) for change in changes])
    if base is None and proposed is None:
        raise NoBaseline(
            f"{one.stream} has no baseline yet",
            next_step=f"holdfast baseline propose {one.slug}",
        )


def _verified_or_none(held: Services, target: Target, now: State) -> Baseline | None:
    return None if now.baseline is None else verified(held.desk, target, now)


def _changes(held: Services, target: Target, before: Snapshot, after: Snapshot) -> list[Finding]:
    return [
        find(target.stream, change, judge(change, held.desk.rules), When(not_after=""))
        for change in diff(before, after)
    ]


def _show_base(target: Target, base: Baseline) -> None:
    said = base.predicate
    table.pairs(
        [
            ("baseline", said.proposal),
            ("target", target.stream),
            (
                "proposed by",
                f"{said.proposed.by.name} ({said.proposed.by.via}) at {said.proposed.at}",
            ),
            (
                "approved by",
                [f"{vote.by.name} ({vote.by.via}) at {vote.at}" for vote in said.approved]
                or "nobody",
            ),
            ("required", f"{said.required} when signed, {target.approvals} now"),
            ("read at", said.read_at),
            ("objects", _kinds(base.snapshot)),
            ("root", base.snapshot.root.hex()),
            ("signed with", base.key),
            *([("comment", said.comment)] if said.comment else []),
        ]
    )


def _gaps(taken: Snapshot) -> list[str]:
    """The kinds that could not be read in full."""
    return sorted(name for kind, name in taken.objects if kind == COVERAGE)


def _kinds(taken: Snapshot) -> str:
    return f"{len(taken.objects)}: {table.kinds(kind for kind, _ in taken.objects)}"


@group.command("verify")
def verify(target: TargetArgument, as_json: JsonFlag = False) -> None:
    """Verify signature, subject digests, stored bytes and approvals. Exit 0 or 1; 3 without one."""
    held = services()
    one = held.settings.target(target)
    base = verified(held.desk, one, held.desk.states.get(one.stream))
    if as_json:
        emit({"verified": True, "key": base.key, "predicate": msgspec.to_builtins(base.predicate)})
        return
    say("signature, subject, stored snapshot, Merkle root, approvals: verified", "green")
    _show_base(one, base)
