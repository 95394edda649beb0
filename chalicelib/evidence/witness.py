"""Witness: cosigns a log's checkpoints, each only where it extends the one cosigned before.

``add_checkpoint`` takes a request and gives the answer to it; whoever calls it speaks HTTP. A
number in the code is a step here:

1. Read the request. 400.
2. Find the log by its origin: 404. Verify its signature with a key that the size belongs to: 403.
3. The proof starts no later than the checkpoint: 400.
4. It starts at the size cosigned last: else 409, with that size.
5. The checkpoint has the root, or the proof shows that it extends the one, cosigned last: else 409
   or 422. Then the request is kept, and the answer is the checkpoint that it contradicts.
6. Cosign; replace the checkpoint cosigned last in a compare-and-set; and only then answer. Who
   loses it to another request starts again at 4.

So whatever the witness gave away is in its store, and nothing that contradicts it is ever cosigned,
by this process or another one, however the process ends. Source: C2SP tlog-witness.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.evidence import cosignature, merkle, note, submission
from chalicelib.evidence.anchor import Answer
from chalicelib.evidence.note import Checkpoint, Note
from chalicelib.evidence.submission import CONTENT_TYPE, SIZE_TYPE, Request
from chalicelib.kernel import canon
from chalicelib.kernel.errors import (
    BadSignature,
    Conflict,
    KeyUnusable,
    Malformed,
    StoreUnavailable,
    VerificationFailed,
)
from chalicelib.kernel.merkle import EMPTY_ROOT
from chalicelib.kernel.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.evidence.cosignature import Cosigner
    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.note import Signature, SignedCheckpoint
    from chalicelib.evidence.trust import Policy
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.signing import Signer
    from chalicelib.kernel.store import Documents

OWN: Final = "witness"  # document: whose memory this is
LATEST: Final = "latest/"  # documents: the checkpoint cosigned last, by origin
REFUSED: Final = "refused/"  # documents: requests that contradict one
MAX_KEPT: Final = 16  # refused requests of a kind and a log
MAX_RACES: Final = 100  # compare-and-sets lost in a row

_NEW: Final = "a witness without its memory needs a new key: holdfast witness init"


class Seen(msgspec.Struct, frozen=True):
    """The checkpoint cosigned last: its note, with our cosignature and its time in seconds."""

    checkpoint: Checkpoint
    note: bytes
    at: int


class Refused(msgspec.Struct, frozen=True):
    """A request that was not cosigned, with the note that it contradicted.

    ``kind``: ``fork``, another root for the same size, which the log's key signed: proof by itself.
    ``doubt``: a proof that does not hold, which anybody can make of a good checkpoint.
    """

    kind: str
    origin: str
    request: bytes
    latest: bytes


def found(documents: Documents, own: Cosigner) -> None:
    """Begin a witness's memory. Raises: Conflict, where there is one; StoreUnavailable."""
    documents.swap([Write(OWN, 0, str(own).encode())])


class Witness:
    """A cosigner with its memory. ``policy`` names the logs; of each, origin and keys count.

    ``tell`` is told each refusal that may mean that a log misbehaves, in one line. Raises:
    KeyUnusable, where the memory is another witness's, or lost; Malformed, for keys of one log
    whose sizes do not meet.
    """

    def __init__(
        self,
        *,
        name: str,
        signer: Signer,
        policy: Policy,
        documents: Documents,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        self.verifier = cosignature.cosigner(name, signer.public)
        self._signer = signer
        self._documents = documents
        self._clock = clock
        self._tell = tell
        origins = {log.verifier.name for log in policy.logs}
        self._rings = {origin: policy.keyring(origin) for origin in sorted(origins)}
        memory = documents.get(OWN)
        if memory is None:
            raise KeyUnusable("this witness's memory of what it cosigned is lost", next_step=_NEW)
        if memory.value != str(self.verifier).encode():
            raise KeyUnusable(
                f"the memory is that of the witness {memory.value[:200].decode(errors='replace')}, "
                f"and the key is {self.verifier}",
                next_step="use the folder that this witness was made in",
            )

    @property
    def origins(self) -> list[str]:
        """The logs whose checkpoints are taken."""
        return list(self._rings)

    def add_checkpoint(self, data: bytes) -> Answer:
        """The answer to a request, as the module says. Raises: StoreUnavailable, KeyUnusable."""
        try:
            request = submission.parse(data)  # step 1
            claimed = note.parse_checkpoint(note.parse(request.note).text)
            ring = self._rings.get(claimed.origin)
            if ring is None:  # step 2
                return _said(HTTPStatus.NOT_FOUND, "this witness does not know the log")
            signed = ring.verify(request.note)
        except BadSignature as error:
            return _said(HTTPStatus.FORBIDDEN, error.message)
        except Malformed as error:
            return _said(HTTPStatus.BAD_REQUEST, error.message)
        if request.old > signed.size:  # step 3
            return _said(HTTPStatus.BAD_REQUEST, "the old size is larger than the checkpoint's")
        for _ in range(MAX_RACES):
            version, seen = self._latest(claimed.origin)
            refusal = self._refusal(request, signed, seen)
            if refusal is not None:
                return refusal
            at = max(int(self._clock.now().timestamp()), seen.at if seen else 0)
            own = cosignature.sign(claimed.text(), self.verifier.name, self._signer, at)
            value = _kept(request.note, ring, signed.size, own)
            try:  # step 6
                self._documents.swap([Write(_key(claimed.origin), version, value)])
            except Conflict:
                continue
            return Answer(HTTPStatus.OK, CONTENT_TYPE, own.line().encode())
        raise StoreUnavailable(f"lost {MAX_RACES} compare-and-sets in a row", next_step="try again")

    def latest(self, origin: str) -> Seen | None:
        """The checkpoint of a log that was cosigned last. Raises: StoreUnavailable."""
        return self._latest(origin)[1]

    def refused(self, origin: str) -> Iterator[Refused]:
        """Requests of a log that were kept because they contradict what was cosigned."""
        values = {key: one.value for key, one in self._documents.list(_refused(origin))}
        for key, request in values.items():
            if key.endswith("/request"):
                kind = key.removeprefix(_refused(origin)).partition("/")[0]
                latest = values.get(key.removesuffix("request") + "latest", b"")
                yield Refused(kind, origin, request, latest)

    def _refusal(
        self, request: Request, signed: SignedCheckpoint, seen: Seen | None
    ) -> Answer | None:
        """Steps 4 and 5; None where the checkpoint is to be cosigned."""
        size, root = (seen.checkpoint.size, seen.checkpoint.root) if seen else (0, EMPTY_ROOT)
        forked = signed.size == size and signed.root != root
        if forked and seen:
            self._keep("fork", signed.checkpoint, request, seen)
        if request.old != size:
            return Answer(HTTPStatus.CONFLICT, SIZE_TYPE, f"{size}\n".encode())
        if forked:
            return _shown(HTTPStatus.CONFLICT, seen)
        try:
            merkle.verify_consistency(size, signed.size, request.proof, root, signed.root)
        except VerificationFailed:
            if seen:
                self._keep("doubt", signed.checkpoint, request, seen)
            return _shown(HTTPStatus.UNPROCESSABLE_ENTITY, seen)
        return None

    def _latest(self, origin: str) -> tuple[int, Seen | None]:
        """The version and value of the checkpoint cosigned last; it vouches for itself."""
        document = self._documents.get(_key(origin))
        if document is None:
            return 0, None
        try:
            read = note.parse(document.value)
            checkpoint = note.parse_checkpoint(read.text)
            own = cosignature.by(self.verifier, read.signatures)
            if own is None or checkpoint.origin != origin:
                raise BadSignature("it bears no cosignature of this witness")
            at = cosignature.verify(own, read.text, self.verifier)
        except VerificationFailed as error:
            raise StoreUnavailable(
                f"the memory of the log {origin!r} is not what this witness wrote: {error.message}",
                next_step=_NEW,
            ) from error
        return document.version, Seen(checkpoint, document.value, at)

    def _keep(self, kind: str, claimed: Checkpoint, request: Request, seen: Seen) -> None:
        """Keep a request beside what it contradicts: once a checkpoint, and not too many."""
        origin = claimed.origin
        self._tell(
            f"{kind.upper()}: {origin} of {claimed.size} leaves, root {claimed.root.hex()}; "
            f"cosigned before: {seen.checkpoint.size} leaves, root {seen.checkpoint.root.hex()}"
        )
        prefix = f"{_refused(origin)}{kind}/"
        key = f"{prefix}{canon.sha256(claimed.text().encode())}/"
        if sum(1 for _ in self._documents.list(prefix)) >= 2 * MAX_KEPT:
            return
        try:
            self._documents.swap(
                [Write(f"{key}request", 0, request.encode()), Write(f"{key}latest", 0, seen.note)]
            )
        except Conflict:
            return  # it is kept already


def _kept(data: bytes, ring: Keyring, size: int, own: Signature) -> bytes:
    """The note with the log's own signatures and ours, and no others."""
    read = note.parse(data)
    known = {(x.verifier.name, x.verifier.key_id) for x in ring.keys if x.signs(size)}
    logs = (one for one in read.signatures if (one.name, one.key_id) in known)
    return Note(read.text, (*logs, own)).encode()


def _key(origin: str) -> str:
    return f"{LATEST}{canon.sha256(origin.encode())}"


def _refused(origin: str) -> str:
    return f"{REFUSED}{canon.sha256(origin.encode())}/"


def _said(status: HTTPStatus, words: str) -> Answer:
    return Answer(status, CONTENT_TYPE, f"{words}\n".encode())


def _shown(status: HTTPStatus, seen: Seen | None) -> Answer:
    """A refusal with the note that it is for, where there is one: the other half of the proof."""
    if seen is None:
        return _said(status, "the proof does not hold")
    return Answer(status, CONTENT_TYPE, seen.note)
