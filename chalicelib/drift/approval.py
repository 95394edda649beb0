"""From a snapshot to a signed baseline: propose, approve, sign. Every step is a record.

The proposer is no approver and one person counts once. Each record is appended only after the one
that it was decided on: whoever decides at the same moment gets a Conflict, and looks again. When
the last needed approval is recorded, the baseline is sealed, stored and recorded; a crash in
between is finished by the next step. What is in force is verified each time that it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chalicelib.drift import baseline, state
from chalicelib.kernel import canon, ledger, names
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NoBaseline, NotAllowed, NotFound, UsageError
from chalicelib.kernel.record import Draft, entry_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.snapshot import Snapshot
    from chalicelib.kernel.record import Actor

ID_DIGITS = 32  # as of findings
MIN_PREFIX = 8  # of a proposal's id, "B-" counted
MAX_COMMENT_BYTES = 500  # of what is signed for; see baseline.MAX_STATEMENT_BYTES


def whatever(_now: state.State) -> None:
    """Nothing was seen before that it would have to be."""


def propose(
    desk: Desk,
    target: Target,
    taken: Snapshot,
    *,
    identity: str,
    read_at: str,
    actor: Actor,
    comment: str = "",
    accepts: Sequence[str] = (),
    replace: bool = False,
    request: str = "",
    seen: Callable[[state.State], None] = whatever,
    leases: Mapping[str, int] | None = None,
) -> state.State:
    """Record the wish that a snapshot becomes the baseline.

    With a target that needs no approvals the baseline is signed at once. ``replace``: give up the
    proposal that is open, and the approvals that it has. ``request``: the id of the request that
    it answers. ``seen(state)`` raises where the state that this is decided on is not as somebody
    saw it. ``leases``: as of ``explained.lasting``, what was left out of what was read. Raises:
    NotAllowed, if one is open.
    """
    now = finish(desk, target, actor)
    seen(now)
    former = now.proposal
    if former is not None and not replace:
        raise NotAllowed(
            f"{former.id} by {former.by.name} is open, with {len(former.people())} of "
            f"{target.approvals} approvals",
            next_step=f"holdfast baseline show {target.slug}; --replace gives it up",
        )
    if len(comment.encode()) > MAX_COMMENT_BYTES:
        raise UsageError(f"a comment has at most {MAX_COMMENT_BYTES} bytes")
    data = taken.data
    digest = canon.sha256(data)
    desk.objects.put(snapshot_key(digest), data, keep_days=desk.keep_days(state.PROPOSED))
    at = timestamp(desk.clock.now())
    root = taken.root.hex()
    content = [target.stream, digest, at, names.person(actor.name), sorted(accepts)]
    proposal = "B-" + canon.sha256(canon.encode(content))[:ID_DIGITS]
    body = {
        "proposal": proposal,
        "snapshot": {
            "sha256": digest,
            "root": root,
            "objects": len(taken.objects),
            "identity": identity,
            "read_at": read_at,
        },
        "comment": comment,
        "accepts": sorted(accepts),
        "required": target.approvals,
        "approvers": list(target.approvers),
        "replaces": former.id if former else None,
        **({"request": request} if request else {}),
        **({"explained": dict(leases)} if leases else {}),
    }
    ledger.append(desk, now, [Draft(state.PROPOSED, target.stream, at, actor, body)])
    return finish(desk, target, actor)


def approve(
    desk: Desk, target: Target, *, actor: Actor, proposal: str = "", comment: str = ""
) -> state.State:
    """Record one person's agreement; with the last one needed, the baseline is signed.

    ``proposal``: refuse unless this is the open one. Raises: NotFound, NotAllowed.
    """
    now = finish(desk, target, actor)
    open_one = now.proposal
    if open_one is None:
        raise NotFound(
            f"nothing is proposed for {target.stream}",
            next_step=f"holdfast baseline propose {target.slug}",
        )
    if proposal and not (len(proposal) >= MIN_PREFIX and open_one.id.startswith(proposal)):
        raise NotAllowed(
            f"{proposal} is not open any more; open is {open_one.id}, by {open_one.by.name}",
            next_step=f"holdfast baseline show {target.slug}",
        )
    _check_approver(target, open_one, actor)
    _check_size(desk, target, open_one, actor)
    body = {"proposal": open_one.id, "root": open_one.root, "comment": comment}
    at = timestamp(desk.clock.now())
    ledger.append(desk, now, [Draft(state.APPROVED, target.stream, at, actor, body)])
    return finish(desk, target, actor)


def _check_approver(target: Target, open_one: state.Proposal, actor: Actor) -> None:
    name = names.person(actor.name)
    if name == names.person(open_one.by.name):
        raise NotAllowed(
            f"{name} proposed {open_one.id} and cannot approve it",
            next_step="ask somebody else to run: holdfast baseline approve " + target.slug,
        )
    if name in open_one.people():
        raise NotAllowed(f"{name} has approved {open_one.id} already; one person counts once")
    if target.approvers and name not in {names.person(one) for one in target.approvers}:
        raise NotAllowed(
            f"{name} is no approver of {target.stream}; approvers are "
            + ", ".join(target.approvers)
        )


def _check_size(desk: Desk, target: Target, open_one: state.Proposal, actor: Actor) -> None:
    vote = state.Approval(actor, open_one.at, canon.MAX_INTEGER, open_one.leaf)
    agreed = msgspec.structs.replace(open_one, approvals=[*open_one.approvals, vote])
    baseline.check_size(target.stream, agreed, required=target.approvals, tool=desk.tool)


def finish(desk: Desk, target: Target, actor: Actor) -> state.State:
    """Finish what a crash left; sign the open proposal if enough people have agreed."""
    now = ledger.now(desk, target.stream)
    agreed = now.proposal
    if agreed is None or len(agreed.people()) < target.approvals:
        return now
    envelope = baseline.seal(
        target.stream,
        agreed,
        required=target.approvals,
        tool=desk.tool,
        signer=desk.signer,
        keyid=desk.keyid,
    )
    digest = canon.sha256(envelope)
    desk.objects.put(envelope_key(digest), envelope, keep_days=desk.keep_days(state.SIGNED))
    body = {
        "proposal": agreed.id,
        "envelope": digest,
        "root": agreed.root,
        "read_at": agreed.read_at,
        "approved_by": [one.by.name for one in agreed.approvals],
        "proposed_by": agreed.by.name,
        "accepts": agreed.accepts,
    }
    at = timestamp(desk.clock.now())
    ledger.append(desk, now, [Draft(state.SIGNED, target.stream, at, actor, body)])
    return now


def verified(desk: Desk, target: Target, now: state.State) -> baseline.Baseline:
    """The target's baseline in force. Raises: NoBaseline; VerificationFailed, and which step."""
    signed = now.baseline
    if signed is None:
        raise NoBaseline(
            f"{target.stream} has no baseline yet",
            next_step=f"holdfast baseline propose {target.slug}"
            if target.configured
            else "holdfast target add NAME --dsn-env VARIABLE, then propose a baseline of it",
        )

    return baseline.verify(
        desk.objects.get(envelope_key(signed.envelope)),
        target=target.stream,
        signed=signed,
        required=target.approvals,
        approvers=target.approvers,
        trusted=desk.trusted(signed.index),
        load=lambda digest: desk.objects.get(snapshot_key(digest)),
        entry_at=lambda index: entry_at(desk.journal, index),
    )


def snapshot_key(digest: str) -> str:
    """Where a snapshot's bytes are kept in the write-once store."""
    return f"snapshot/sha256/{digest}"


def envelope_key(digest: str) -> str:
    """Where a baseline's envelope is kept in the write-once store."""
    return f"baseline/sha256/{digest}"
