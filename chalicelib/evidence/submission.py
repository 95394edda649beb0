"""Submission: a checkpoint brought to a witness, and what the witness answers.

``submit`` speaks tlog-witness through a port; nothing here opens a connection. A refusal that means
that the witness saw another history of the log is a Fork, whether or not it can show it: the error
says which of the two it is. Source: C2SP tlog-witness, "add-checkpoint".
"""

from __future__ import annotations

import base64
import re
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from chalicelib.evidence import anchor, cosignature, merkle, note
from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.evidence.note import Signature, SignedCheckpoint
from chalicelib.kernel.errors import (
    BadSignature,
    Conflict,
    DigestMismatch,
    Fork,
    Malformed,
    NotFound,
    NotPermitted,
    Unreachable,
    Unsupported,
    UsageError,
    VerificationFailed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.evidence.anchor import Answer, Post
    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.trust import Witness
    from chalicelib.kernel.store import WriteOnce

PATH: Final = "/add-checkpoint"
CONTENT_TYPE: Final = "text/plain; charset=utf-8"  # of what tlog-witness gives no type
SIZE_TYPE: Final = "text/x.tlog.size"
MAX_PROOF: Final = 63  # lines; the client MUST NOT send more
MAX_REQUEST_BYTES: Final = 128 * 2**10  # a note with 16 post-quantum signatures has 80,000
MAX_TRIES: Final = 8  # while other processes submit newer checkpoints of the same log
MAX_SHOWN_BYTES: Final = 4_096  # of an answer that is kept as it came

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class Source(Protocol):
    """The log that checkpoints are of; ``evidence.reader.Reader`` is one."""

    def head(self) -> SignedCheckpoint | None:
        """The newest signed checkpoint; None while the log is empty."""
        ...

    def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """Hashes that show the first ``new`` leaves to extend the first ``old``."""
        ...


class Request(msgspec.Struct, frozen=True):
    """The body of ``add-checkpoint``: the size that the proof starts at, the proof, the note."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """The bytes of the request."""
        return f"old {self.old}\n".encode() + proof_lines(self.proof) + b"\n" + self.note


class Cosigned(msgspec.Struct, frozen=True):
    """A checkpoint, and a cosignature of it that was verified; ``at`` in seconds since 1970."""

    head: SignedCheckpoint
    signature: Signature
    at: int


def proof_lines(proof: Sequence[bytes]) -> bytes:
    """A hash in base64 a line."""
    return b"".join(base64.b64encode(one) + b"\n" for one in proof)


def parse(data: bytes) -> Request:
    """The request that a body states, its note unverified. Raises: Malformed."""
    if len(data) > MAX_REQUEST_BYTES:
        raise Malformed(f"a request of {len(data)} bytes; at most {MAX_REQUEST_BYTES}")
    head, blank, rest = data.partition(b"\n\n")
    if not blank or not head.isascii():
        raise Malformed("expected 'old SIZE', the proof's hashes, an empty line, and a checkpoint")
    first, *lines = head.decode().split("\n")
    old = _OLD.fullmatch(first)
    if old is None or int(old[1]) > MAX_SIZE:
        raise Malformed("the first line is not 'old SIZE'")
    if len(lines) > MAX_PROOF:
        raise Malformed(f"a proof of {len(lines)} hashes; at most {MAX_PROOF}")
    proof = [note.parse_base64(line) for line in lines]
    if any(one is None or len(one) != merkle.HASH_BYTES for one in proof):
        raise Malformed(f"a line of the proof is not base64 of {merkle.HASH_BYTES} bytes")
    return Request(int(old[1]), tuple(one for one in proof if one is not None), rest)


def submit(source: Source, ring: Keyring, witness: Witness, post: Post, *, latest: int) -> Cosigned:
    """The newest checkpoint, cosigned by the witness with its pinned key, not after ``latest``.

    1. Ask with old size 0, which a witness answers with the size that it last cosigned.
    2. Ask from that size, as often as it changes meanwhile.
    3. Verify the cosignature.

    Raises: NotFound, while the log is empty; Fork, where the witness saw another history;
    BadSignature, for a cosignature that is not its own; CouldNotTell, for other refusals; and what
    the source and the port raise.
    """
    if not witness.url:
        raise UsageError(f"the trust policy gives no URL for the witness {witness.name[:80]!r}")
    head, old = _head(source), 0
    for _ in range(MAX_TRIES):
        proof = source.prove_consistency(old, head.size) if old else []
        request = Request(old, tuple(proof), head.note)
        answer = post(witness.url.rstrip("/") + PATH, request.encode(), CONTENT_TYPE)
        if answer.status == HTTPStatus.OK:
            return _cosigned(head, witness, answer, latest)  # step 3
        size = _size(answer) if answer.status == HTTPStatus.CONFLICT else None
        if size is None or size == old:
            raise _refused(request, head, ring, witness, answer)
        if size > head.size:
            head = _head(source)  # it may have grown, and been submitted by another process
        if size > head.size:
            raise Fork(
                f"the witness {witness.name!r} cosigned {size} leaves of this log, which has "
                f"{head.size}: the log was put back to an older state, or it has two histories",
                ours=head.note,
                theirs=answer.body[:MAX_SHOWN_BYTES],
                next_step="stop all writers and keep everything; docs/operate.md, A fork",
            )
        old = size  # step 2
    raise Conflict(
        f"the witness {witness.name!r} was given newer checkpoints {MAX_TRIES} times in a row",
        next_step="try again when fewer processes submit",
    )


def lock(store: WriteOnce, cosigned: Cosigned, *, keep_days: int = 0) -> None:
    """Keep the cosignature; of one witness's for one size, the first stays.

    ``keep_days``: as of ``WriteOnce.put``; a checkpoint is worth as much as its anchors.
    """
    key = anchor.cosignature_key(cosigned.head.size, cosigned.signature.key_id)
    with suppress(DigestMismatch):
        store.put(key, cosigned.signature.line().encode(), keep_days=keep_days)


def locked(store: WriteOnce, size: int) -> list[Signature]:
    """The cosignatures kept for a size, unverified. Raises: Malformed, with the key."""
    found = []
    for key in anchor.cosignatures(store, size):
        place = anchor.place(key)
        try:
            signature = cosignature.parse_line(store.get(key))
        except Malformed as error:
            raise Malformed(f"{key} holds no cosignature: {error.message}") from error
        if place is None or place.name != signature.key_id.hex():
            raise Malformed(f"{key} holds a cosignature by the key {signature.key_id.hex()}")
        found.append(signature)
    return found


def _head(source: Source) -> SignedCheckpoint:
    head = source.head()
    if head is None:
        raise NotFound("the log is empty and has no checkpoint yet")
    return head


def _cosigned(head: SignedCheckpoint, witness: Witness, answer: Answer, latest: int) -> Cosigned:
    pinned = witness.verifier
    try:
        signature = cosignature.by(pinned, cosignature.parse_lines(answer.body))
    except Malformed as error:
        raise Unsupported(
            f"the witness {witness.name!r} answered with no cosignature: {error.message}",
            next_step=f"check that {witness.url} is a C2SP tlog-witness submission prefix",
        ) from error
    if signature is None:
        raise Unsupported(
            f"the witness {witness.name!r} cosigned with other keys than the pinned one, "
            f"{pinned.name!r} {pinned.key_id.hex()}",
            next_step="ask its operator for its verifier key, and pin that",
        )
    try:
        at = cosignature.verify(signature, head.checkpoint.text(), pinned, latest=latest)
    except (BadSignature, Malformed) as error:
        raise BadSignature(
            f"the witness {witness.name!r}: {error.message}", next_step=error.next_step
        ) from error
    return Cosigned(head, signature, at)


def _size(answer: Answer) -> int | None:
    """The size that a witness cosigned last, or None where it does not say it as it must."""
    kind = answer.content_type.partition(";")[0].strip().lower()
    found = _SIZE.fullmatch(answer.body)
    if kind != SIZE_TYPE or found is None or int(found[1]) > MAX_SIZE:
        return None
    return int(found[1])


def _refused(
    request: Request, head: SignedCheckpoint, ring: Keyring, witness: Witness, answer: Answer
) -> Exception:
    """What a refusal means, by its status. Source: tlog-witness, "add-checkpoint"."""
    name = f"the witness {witness.name!r}"
    match answer.status:
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return _fork(request, head, ring, name, answer)
        case HTTPStatus.CONFLICT if request.old == head.size:
            return _fork(request, head, ring, name, answer)
        case HTTPStatus.CONFLICT | HTTPStatus.BAD_REQUEST:
            return Unsupported(
                f"{name} refused the request with status {answer.status} and no reason that "
                "C2SP tlog-witness gives",
                next_step=f"check that {witness.url} is a submission prefix; ask its operator",
            )
        case HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND:
            known = "this key of the log" if answer.status == HTTPStatus.FORBIDDEN else "the log"
            return NotPermitted(
                f"{name} does not know {known}: status {answer.status}",
                next_step=f"give its operator the key {ring.newest}, or correct the URL",
            )
        case _:
            return Unreachable(
                f"{name} answered with status {answer.status}", next_step="try again later"
            )


def _fork(
    request: Request, head: SignedCheckpoint, ring: Keyring, name: str, answer: Answer
) -> Exception:
    """Two checkpoints that do not extend each other; or a witness that contradicts itself."""
    theirs = None
    with suppress(VerificationFailed):
        theirs = ring.verify(answer.body)
    if theirs is None or theirs.size != request.old:
        evidence, shown = answer.body[:MAX_SHOWN_BYTES], "; it shows no checkpoint for it"
    else:
        with suppress(VerificationFailed):
            merkle.verify_consistency(theirs.size, head.size, request.proof, theirs.root, head.root)
            return Unsupported(
                f"{name} refused a proof that holds for the checkpoint which it shows",
                next_step="tell its operator",
            )
        evidence, shown = theirs.note, ", and shows for it a checkpoint that the log's key signed"
    return Fork(
        f"{name} saw another history of this log: ours of {head.size} leaves does not extend the "
        f"{request.old} that it cosigned{shown}",
        ours=head.note,
        theirs=evidence,
        proof=proof_lines(request.proof),
        next_step="stop all writers and keep both; docs/operate.md, A fork",
    )
