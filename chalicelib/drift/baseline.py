"""The baseline: an in-toto Statement in a DSSE envelope over a snapshot's Merkle root.

Bytes in, a verified baseline out; storage and signing keys come from outside. Verification:

1. the envelope is signed by a key that is trusted for the record that names it;
2. the statement is a baseline of this target, and the one that the log names;
3. the stored snapshot's bytes hash to the subject's ``sha256``;
4. the Merkle root over their lines is the subject's ``rfc9162Sha256``;
5. the proposal and every approval stand in the log, where and as the statement says;
6. enough distinct people who may approve did, and the proposer is none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.drift import snapshot, state
from chalicelib.kernel import canon, dsse, merkle, names
from chalicelib.kernel.errors import DigestMismatch, Malformed, Missing, NotAllowed, TooFewApprovals
from chalicelib.kernel.record import Actor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.drift.snapshot import Snapshot
    from chalicelib.kernel.record import Entry
    from chalicelib.kernel.signing import PublicKey, Signer

PREDICATE_TYPE = "urn:holdfast:predicate:baseline:v1"
# KMS signs 4,096 bytes with Ed25519; DSSE puts some 40 before the statement. Source: KMS, Sign.
MAX_STATEMENT_BYTES = 4_000
VOTE_BYTES = 260  # of one approval by somebody whose name has 64 bytes


class Vote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who proposed or approved, when, and the leaf of the log that says so (hash, hexadecimal)."""

    by: Actor
    at: str
    index: int
    leaf: str


class Predicate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a baseline states about its subject."""

    proposal: str
    proposed: Vote
    approved: list[Vote]
    required: int
    identity: str
    read_at: str
    objects: int
    comment: str
    tool: str


class Digests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two digests of one snapshot: of its bytes, and the tree hash over its lines."""

    sha256: str
    rfc9162Sha256: str  # noqa: N815 - a key of an in-toto DigestSet, which are written so


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The snapshot that a baseline is about."""

    name: str
    digest: Digests


class Statement(msgspec.Struct, frozen=True):
    """The in-toto Statement v1, as far as a baseline uses it."""

    subject: list[Subject]
    predicateType: str  # noqa: N815 - in-toto's spelling
    predicate: Predicate


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline that passed every step, with the snapshot that was signed for."""

    snapshot: Snapshot
    predicate: Predicate
    key: str


def seal(
    target: str, agreed: state.Proposal, *, required: int, tool: str, signer: Signer, keyid: str
) -> bytes:
    """The signed envelope of an agreed proposal. Raises: TooFewApprovals."""
    statement, predicate = _drawn_up(target, agreed, required, tool)
    count(predicate.proposed, predicate.approved, required)
    return dsse.seal(statement, signer, keyid)


def check_size(target: str, agreed: state.Proposal, *, required: int, tool: str) -> None:
    """Return if what will be signed fits, whoever the approvers are that are still to come.

    Raises: NotAllowed: a proposal that gathers approvals must not turn out to be unsignable.
    """
    statement, predicate = _drawn_up(target, agreed, required, tool)
    lacking = max(0, required - len(predicate.approved))
    size = len(canon.encode(statement)) + lacking * VOTE_BYTES
    if size > MAX_STATEMENT_BYTES:
        raise NotAllowed(
            f"the statement to be signed may come to {size} bytes; at most {MAX_STATEMENT_BYTES} "
            "can be signed",
            next_step="a shorter comment, or shorter names of people",
        )


def _drawn_up(
    target: str, agreed: state.Proposal, required: int, tool: str
) -> tuple[dict[str, Any], Predicate]:
    proposed = Vote(agreed.by, agreed.at, agreed.index, agreed.leaf)
    approved = [Vote(one.by, one.at, one.index, one.leaf) for one in agreed.approvals]
    predicate = Predicate(
        proposal=agreed.id,
        proposed=proposed,
        approved=approved,
        required=required,
        identity=agreed.identity,
        read_at=agreed.read_at,
        objects=agreed.objects,
        comment=agreed.comment,
        tool=tool,
    )
    digest = {"sha256": agreed.sha256, "rfc9162Sha256": agreed.root}
    statement = {
        "_type": dsse.STATEMENT_TYPE,
        "subject": [{"name": target, "digest": digest}],
        "predicateType": PREDICATE_TYPE,
        "predicate": msgspec.to_builtins(predicate),
    }
    return statement, predicate


def verify(
    envelope: bytes,
    *,
    target: str,
    signed: state.Signed,
    required: int,
    approvers: Sequence[str],
    trusted: Mapping[str, PublicKey],
    load: Callable[[str], bytes],
    entry_at: Callable[[int], Entry],
) -> Baseline:
    """The baseline of an envelope, or the error of the first step that fails (see the module).

    ``signed`` is what the log says about it, ``trusted`` the keys that count at that record's place
    (a former key of the log signs no baseline that was recorded after its time), ``load`` gives a
    stored snapshot by its SHA-256, ``entry_at`` a verified entry of the log. Raises: BadSignature
    (1), Malformed (2), DigestMismatch (2, 3, 4), Missing (3, 5), TooFewApprovals (6).
    """
    content, key = dsse.open_sealed(envelope, trusted)  # 1
    statement = _statement(content, target)  # 2
    subject, predicate = statement.subject[0], statement.predicate
    observed = canon.sha256(envelope)
    if observed != signed.envelope or predicate.proposal != signed.proposal:
        raise DigestMismatch(
            f"the baseline of {target} is not the one that the log names: expected envelope "
            f"{signed.envelope}, found {observed}"
        )
    stored = snapshot.verify(  # 3, 4
        load(subject.digest.sha256),
        sha256=subject.digest.sha256,
        root=subject.digest.rfc9162Sha256,
    )
    _check_votes(predicate, subject, entry_at)  # 5
    count(predicate.proposed, predicate.approved, required, approvers)  # 6
    return Baseline(stored, predicate, key)


def votes(envelope: bytes, target: str, trusted: Mapping[str, PublicKey]) -> list[int]:
    """Indices of the proposal and the approvals that a signed baseline names.

    Raises: BadSignature; Malformed, DigestMismatch, where it is no baseline of this target.
    """
    predicate = _statement(dsse.open_sealed(envelope, trusted)[0], target).predicate
    return [one.index for one in (predicate.proposed, *predicate.approved)]


def _statement(content: dict[str, Any], target: str) -> Statement:
    try:
        statement = msgspec.convert(content, Statement)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a baseline: {error}") from None
    if statement.predicateType != PREDICATE_TYPE or len(statement.subject) != 1:
        raise Malformed(f"not a baseline: expected one subject and {PREDICATE_TYPE}")
    if statement.subject[0].name != target:
        raise DigestMismatch(
            f"the baseline is of {statement.subject[0].name!r}, expected one of {target}"
        )
    return statement


def _check_votes(predicate: Predicate, subject: Subject, entry_at: Callable[[int], Entry]) -> None:
    root = subject.digest.rfc9162Sha256
    votes = [(state.PROPOSED, predicate.proposed)]
    votes += [(state.APPROVED, vote) for vote in predicate.approved]
    for kind, vote in votes:
        entry = entry_at(vote.index)
        record = entry.record
        if merkle.leaf_hash(entry.leaf).hex() != vote.leaf or record.kind != kind:
            raise Missing(f"record {vote.index} of the log is not the {kind} that was signed for")
        about = entry.body["snapshot"]["root"] if kind == state.PROPOSED else entry.body["root"]
        facts = (record.stream, record.actor, record.at, entry.body["proposal"], about)
        if facts != (subject.name, vote.by, vote.at, predicate.proposal, root):
            raise Missing(
                f"record {vote.index} of the log says something else than the baseline: {kind} by "
                f"{record.actor.name} at {record.at}"
            )


def count(
    proposed: Vote, approved: Sequence[Vote], required: int, approvers: Sequence[str] = ()
) -> None:
    """Return if enough distinct people approved. Raises: TooFewApprovals.

    The proposer never counts, and one person counts once, however the name was written. With
    ``approvers``, nobody else counts.
    """
    proposer = names.person(proposed.by.name)
    people = {names.person(vote.by.name) for vote in approved} - {proposer}
    if approvers:
        people &= {names.person(one) for one in approvers}
    if len(people) < required:
        raise TooFewApprovals(
            f"{required} approvals are required, found {len(people)} by people other than the "
            f"proposer {proposer}" + (f": {', '.join(sorted(people))}" if people else ""),
            next_step="holdfast baseline propose, and have enough people approve it",
        )
