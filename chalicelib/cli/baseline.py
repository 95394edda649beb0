"""``holdfast baseline``: what people sign for."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer
from rich.text import Text

from chalicelib.api import baselines
from chalicelib.api.client import There
from chalicelib.api.types import (
    Approve,
    Baseline,
    Explained,
    Proposal,
    Propose,
    ProposeRebase,
    Rebase,
    Verification,
)
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, app, services
from chalicelib.cli.progress import reading
from chalicelib.cli.remote import builtins, done, of, remote, way
from chalicelib.cli.text import emit, plain, say
from chalicelib.drift import approval, state
from chalicelib.drift.baseline import Predicate
from chalicelib.drift.explained import lasting
from chalicelib.drift.finding import Disposition, Finding
from chalicelib.drift.look import to_sign
from chalicelib.kernel import names
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NoBaseline, NotFound

group = typer.Typer(no_args_is_help=True, help="What people sign for.")
app.add_typer(group, name="baseline")

TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help="e.g. orders-prod")]
Replace = Annotated[bool, typer.Option(help="Give up the proposal that is open.")]
Comment = Annotated[str, typer.Option(help="Why; it is recorded.")]
_STATE = {"target", "required", "version", "baseline", "proposal"}  # what is told of a decision


@group.command("propose")
def propose(
    target: TargetArgument,
    comment: Comment = "",
    replace: Replace = False,
    as_json: JsonFlag = False,
) -> None:
    """Take a snapshot now and ask for it to become the baseline."""
    there = remote()
    asked = Propose(comment=comment, replace=replace)
    told, gaps = _propose_there(there, target, asked) if there else _propose_here(target, asked)
    if gaps:
        say(f"not complete; could not be read: {', '.join(gaps)}", "bold yellow")
    _tell(told, as_json=as_json)


def _propose_here(target: str, asked: Propose) -> tuple[Baseline, list[str]]:
    """The target's baselines with the proposal, and what could not be read in full."""
    held = services()
    one = held.settings.target(target)
    source = held.reader(one)
    with held.desk.locks.hold(one.lock):
        since = timestamp(held.desk.clock.now())
        with reading(one.stream) as progress:
            taken, look_at = to_sign(source, progress)
        taken, leases = lasting(held.desk, one, taken, look_at, since)
        now = approval.propose(
            held.desk,
            one,
            taken,
            identity=look_at.identity,
            read_at=look_at.read_at,
            actor=actor(),
            comment=asked.comment,
            replace=asked.replace,
            leases=leases,
        )
    return baselines.of(one, now), baselines.gaps(taken)


def _propose_there(there: There, target: str, asked: Propose) -> tuple[Baseline, list[str]]:
    """Likewise, read by a worker."""
    slug = names.target(target).slug
    job = there.do("propose", asked, target=target)
    told: Proposal = done(there, "proposal", job, job.target, f"holdfast baseline show {slug}")
    return there.do("baseline", target=target), told.gaps


@group.command("rebase")
def rebase(
    target: TargetArgument,
    propose_it: Annotated[
        bool, typer.Option("--propose", help="Then propose what comes from the upgrade.")
    ] = False,
    comment: Comment = "",
    replace: Replace = False,
    as_json: JsonFlag = False,
) -> None:
    """Tell an upgrade of the server from drift: what the last scan found, in two groups.

    With --propose, a baseline that takes over what comes from the upgrade, for people to approve.
    All else stays a finding. Exit 2 where nothing can be proposed.
    """
    over = way()
    told: Rebase = over.do("rebase", target=target)
    if not as_json:
        _show_rebase(told)
    if not propose_it:
        if as_json:
            emit(builtins(told))
        elif told.explained:
            slug = names.target(told.target).slug
            say(f"next: holdfast baseline rebase {slug} --propose", "bold")
        return
    asked = ProposeRebase(record=told.record, comment=comment, replace=replace)
    _tell(over.do("rebase_propose", asked, target=target), as_json=as_json)


def _show_rebase(told: Rebase) -> None:
    """Both groups, each change with a word on it."""
    seen = f"as the scan of {told.scanned_at} saw it, record {told.record}"
    if told.before is None or told.after is None:
        say(f"{told.target}: the snapshots do not tell the server's version; {seen}", "yellow")
    elif told.explained:
        say(f"{told.target}: the baseline is of {told.before}, the server is {told.after}; {seen}")
    else:
        say(f"{told.target}: {told.after}, and no finding comes from an upgrade; {seen}")
    for heading, group in (("from the upgrade", told.explained), ("not from it", told.left)):
        if group:
            say(f"{heading}: {len(group)}", "bold")
            table.grid(["what", "before → after", "because"], [_explained(one) for one in group])


def _explained(one: Explained) -> list[Text | str]:
    found = of(one.finding, Finding)
    return [plain(f"{found.kind} {found.name}"), table.change(found), one.why]


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
    over = way()
    if not proposal and isinstance(over, There):  # there, nobody agrees to what they do not name
        proposal = _open(over.do("baseline", target=target)).id
    told = over.do("approve", Approve(proposal=proposal, comment=comment), target=target)
    _tell(told, as_json=as_json)


def _open(told: Baseline) -> state.Proposal:
    """The open proposal. Raises: NotFound, without one."""
    if told.proposal is None:
        raise NotFound(
            f"nothing is proposed for {told.target}",
            next_step=f"holdfast baseline propose {names.target(told.target).slug}",
        )
    return of(told.proposal, state.Proposal)


def _tell(told: Baseline, *, as_json: bool) -> None:
    """Which proposal is open and whom it needs, or that the baseline is in force."""
    if as_json:
        emit({key: value for key, value in builtins(told).items() if key in _STATE})
    slug = names.target(told.target).slug
    if told.proposal is None:
        if told.baseline is not None:
            signed = of(told.baseline, state.Signed)
            say(f"{told.target}: {signed.proposal} signed and in force, root {signed.root}")
            say(f"next: holdfast scan {slug}", "bold")
        return
    open_one = _open(told)
    have = len(open_one.people())
    say(
        f"{told.target}: {open_one.id} proposed by {open_one.by.name}, "
        f"{open_one.objects} objects, root {open_one.root}"
    )
    people = "1 person" if told.required == 1 else f"{told.required} people"
    say(f"approved by {have} of {people}")
    others = " and ".join(sorted({open_one.by.name, *open_one.people()}))
    say(
        f"next, somebody else than {others}: holdfast baseline show {slug}, then: "
        f"holdfast baseline approve {slug} --proposal {open_one.id}",
        "bold",
    )


@group.command("show")
def show(target: TargetArgument, as_json: JsonFlag = False) -> None:
    """Show the baseline in force, the open proposal, and what it would change."""
    over = way()
    try:
        told: Baseline = over.do("baseline", target=target)
    except NotFound as error:
        over.do("target", target=target)  # if it is the target that is not there, this says so
        raise NoBaseline(error.message, next_step=error.next_step) from error
    if as_json:
        emit(builtins(told))
        return
    if told.predicate is not None:
        root = of(told.baseline, state.Signed).root
        _show_base(told.target, told.required, told.predicate, told.signed, root, told.key)
    if told.proposal is None:
        return
    proposed = _open(told)
    table.pairs(
        [
            ("proposal", proposed.id),
            ("proposed by", f"{proposed.by.name} ({proposed.by.via}) at {proposed.at}"),
            ("approved by", [f"{v.by.name} ({v.by.via})" for v in proposed.approvals] or "nobody"),
            ("needs", f"{told.required} people other than {proposed.by.name}"),
            ("objects", _kinds(told.objects)),
            ("root", proposed.root),
            *([("comment", proposed.comment)] if proposed.comment else []),
            *([("not in it", told.gaps)] if told.gaps else []),
        ]
    )
    if told.predicate is not None:
        say(f"{len(told.would_change)} changes from the baseline in force")
        changes = [of(change, Finding) for change in told.would_change]
        table.findings([(change, Disposition.OPEN) for change in changes])


def _show_base(
    target: str,
    required: int,
    predicate: dict[str, Any],
    objects: dict[str, int],
    root: str,
    key: str,
) -> None:
    said = of(predicate, Predicate)
    table.pairs(
        [
            ("baseline", said.proposal),
            ("target", target),
            (
                "proposed by",
                f"{said.proposed.by.name} ({said.proposed.by.via}) at {said.proposed.at}",
            ),
            (
                "approved by",
                [f"{vote.by.name} ({vote.by.via}) at {vote.at}" for vote in said.approved]
                or "nobody",
            ),
            ("required", f"{said.required} when signed, {required} now"),
            ("read at", said.read_at),
            ("objects", _kinds(objects)),
            ("root", root),
            ("signed with", key),
            *([("comment", said.comment)] if said.comment else []),
        ]
    )


def _kinds(objects: dict[str, int]) -> str:
    return f"{sum(objects.values())}: {table.kinds(Counter(objects).elements())}"


@group.command("verify")
def verify(target: TargetArgument, as_json: JsonFlag = False) -> None:
    """Verify signature, subject digests, stored bytes and approvals. Exit 0 or 1; 3 without one."""
    told: Verification = way().do("verify", target=target)
    if as_json:
        emit(builtins(told))
        return
    say("signature, subject, stored snapshot, Merkle root, approvals: verified", "green")
    _show_base(told.target, told.required, told.predicate, told.objects, told.root, told.key)
