"""Verified: a packet that holds, and its records read once more.

Whoever renders evidence takes this and nothing else: it comes into being by a verification, and
what it gives out is compared with what was verified, should the file be another one by then.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, BinaryIO, Final

from chalicelib.evidence import bodies, container, layout, manifest, merkle, proofs, verify
from chalicelib.evidence.bodies import MAX_BODY_BYTES
from chalicelib.evidence.verify import MAX_PROOF_LINE
from chalicelib.kernel import record
from chalicelib.kernel.errors import DigestMismatch, Malformed, VerificationFailed
from chalicelib.kernel.merkle import leaf_hash, node_hash
from chalicelib.kernel.record import MAX_LEAF_BYTES, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from datetime import datetime
    from typing import Any

    from chalicelib.evidence.container import Objects
    from chalicelib.evidence.manifest import Manifest
    from chalicelib.evidence.note import SignedCheckpoint, Verifier
    from chalicelib.evidence.trust import Policy
    from chalicelib.evidence.verdict import Verdict
    from chalicelib.evidence.verify import Check, Checker
    from chalicelib.kernel.record import BodyRef

_HASH_BYTES: Final = 32


class Verified:
    """A packet that was verified: VERIFIED or UNWITNESSED. Made by :func:`read` alone.

    ``head``: its manifest; ``checkpoint``: the last one, under which every record is proven, and
    ``signer``: the pinned key that signed it; ``closing``: the one that ends the range.
    """

    def __init__(
        self,
        stream: BinaryIO,
        objects: Objects,
        verdict: Verdict,
        trust: Policy,
        leaves: tuple[array[int], bytearray],
    ) -> None:
        if verdict.fault is not None or verdict.manifest is None:
            raise VerificationFailed(_failed(verdict), next_step="holdfast evidence verify FILE")
        self.verdict = verdict
        self.head: Manifest = verdict.manifest
        ring = trust.keyring(self.head.origin)
        self.checkpoint: SignedCheckpoint = ring.verify(_again(objects, self.head.top))
        self.closing: SignedCheckpoint = ring.verify(_again(objects, self.head.range.last))
        self.signer: Verifier = ring.signer(self.checkpoint.note)
        self.trust = trust
        self._stream = stream
        self._objects = objects
        self._indices, self._hashes = leaves

    @property
    def indices(self) -> Sequence[int]:
        """The indices of the records that are here, ascending."""
        return self._indices

    def __len__(self) -> int:
        return len(self._indices)

    def entries(self, only: Collection[int] | None = None) -> Iterator[Entry]:
        """The records in the order of the log; ``only`` those of these indices.

        Raises: DigestMismatch, where the file is not what it was when it was verified; OSError.
        """
        lines = self._lines(manifest.LEAVES, MAX_LEAF_BYTES)
        number = 0
        for number, leaf in enumerate(lines, 1):
            if number > len(self._indices):
                break
            index = self._indices[number - 1]
            if only is not None and index not in only:
                continue
            at = (number - 1) * _HASH_BYTES
            if leaf_hash(leaf) != self._hashes[at : at + _HASH_BYTES]:
                raise _changed(index)
            found = record.decode(leaf)
            body = found.body if found.body_ref is None else self._body(found.body_ref)
            yield Entry(index, leaf, found, body or {})
        if number != len(self._indices):
            raise _changed(number)

    def kept_apart(self, ref: BodyRef) -> bytes:
        """The bytes of a body that is not in its leaf. Raises: DigestMismatch; Malformed."""
        data = self._objects.get(layout.body(ref.sha256))
        bodies.decode(ref, data)
        return data

    def subtrees(self, shown: Collection[int]) -> list[bytes]:
        """The hashes that, with the leaves ``shown``, lead to the root of ``checkpoint``.

        From left to right: of each largest subtree of RFC 9162's recursion that has none of them.
        Raises: DigestMismatch, ValueError, where one of ``shown`` is not here.
        """
        wanted = set(shown)
        nodes: dict[tuple[int, int], bytes] = {}
        path: list[bytes] = []
        lines = self._lines(manifest.PROOFS, MAX_PROOF_LINE)
        for index, line in zip(self._indices, lines, strict=False):
            at, kept, fresh = proofs.parse(line)
            if at != index:
                raise _changed(index)
            path = fresh + path[len(path) - kept :]
            if index in wanted:
                nodes.update(zip(merkle.path(index, self.head.top), path, strict=True))
                wanted.discard(index)
        if wanted:
            raise ValueError(f"record {min(wanted)} is not in the packet")
        found = _given(sorted(shown), self.head.top, nodes)
        known = dict(zip(self._indices, self._leaf_hashes(), strict=True))
        if fold(sorted(shown), known, found, self.head.top) != self.checkpoint.root:
            raise DigestMismatch("the proofs are not what they were when they were verified")
        return found

    def _leaf_hashes(self) -> Iterator[bytes]:
        for at in range(0, len(self._hashes), _HASH_BYTES):
            yield bytes(self._hashes[at : at + _HASH_BYTES])

    def hash_of(self, index: int) -> str:
        """The hash of a record's leaf, in hexadecimal. Raises: ValueError, where it is not here."""
        place = bisect_left(self._indices, index)
        if place == len(self._indices) or self._indices[place] != index:
            raise ValueError(f"record {index} is not in the packet")
        at = place * _HASH_BYTES
        return bytes(self._hashes[at : at + _HASH_BYTES]).hex()

    def _body(self, ref: BodyRef) -> dict[str, Any]:
        if ref.size_bytes > MAX_BODY_BYTES:  # pragma: no cover - it was verified
            raise Malformed(f"a body of {ref.size_bytes} bytes; at most {MAX_BODY_BYTES}")
        return bodies.decode(ref, self._objects.get(layout.body(ref.sha256)))

    def _lines(self, name: str, most: int) -> Iterator[bytes]:
        return container.lines(self._stream, self._objects.entries[name], most)


def _again(objects: Objects, size: int) -> bytes:
    """The checkpoint that was verified. Raises: DigestMismatch, where another is there by now."""
    name = layout.checkpoint(size)
    data = objects.get(name)
    if hashlib.sha256(data).hexdigest() != objects.entries[name].sha256:
        raise DigestMismatch(f"{name} is not what it was when it was verified")
    return data


def read(
    stream: BinaryIO,
    trust: Policy,
    *,
    now: datetime,
    checker: Checker,
    authorities: Sequence[bytes] = (),
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Verified:
    """Verify a packet, and have its records. Arguments as of ``verify.verify``.

    Raises: VerificationFailed, where it is FAILED; OSError, from the stream.
    """
    held: list[Objects] = []
    indices, hashes = array("q"), bytearray()

    def noting(objects: Objects, ring: Any) -> Check:
        held.append(objects)
        check = checker(objects, ring)

        def noted(entry: Entry) -> Iterator[tuple[str, str]]:
            indices.append(entry.index)
            hashes.extend(leaf_hash(entry.leaf))
            return check(entry)

        return noted

    verdict = verify.verify(
        stream, trust, now=now, checker=noting, authorities=authorities, progress=progress
    )
    if verdict.fault is not None:
        raise VerificationFailed(_failed(verdict), next_step="holdfast evidence verify FILE")
    return Verified(stream, held[0], verdict, trust, (indices, hashes))


def fold(shown: Sequence[int], known: dict[int, bytes], given: Sequence[bytes], size: int) -> bytes:
    """The root over ``size`` leaves, of the hashes of the leaves ``shown`` and of ``subtrees``.

    Source: RFC 9162 §2.1.1.
    """
    rest = iter(given)

    def span(start: int, stop: int) -> bytes:
        if not _any(shown, start, stop):
            return next(rest)
        if stop - start == 1:
            return known[start]
        middle = start + merkle.split(stop - start)
        left = span(start, middle)
        return node_hash(left, span(middle, stop))

    return span(0, size)


def _given(shown: Sequence[int], size: int, nodes: dict[tuple[int, int], bytes]) -> list[bytes]:
    found: list[bytes] = []

    def span(start: int, stop: int) -> None:
        if not _any(shown, start, stop):
            found.append(nodes[start, stop])
        elif stop - start > 1:
            middle = start + merkle.split(stop - start)
            span(start, middle)
            span(middle, stop)

    span(0, size)
    return found


def _any(shown: Sequence[int], start: int, stop: int) -> bool:
    at = bisect_left(shown, start)
    return at < len(shown) and shown[at] < stop


def _changed(index: int) -> DigestMismatch:
    return DigestMismatch(f"record {index} is not what it was when the packet was verified")


def _failed(verdict: Verdict) -> str:
    fault = verdict.fault
    if fault is None:
        return "the packet was not verified"
    at = "" if fault.leaf is None else f", leaf {fault.leaf}"
    return f"the packet is FAILED, step {fault.step}: {fault.file}{at}: {fault.reason}"
