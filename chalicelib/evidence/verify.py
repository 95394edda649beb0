"""Verify: whether a packet holds, from its bytes and a trust policy, and nothing else.

The steps are those of docs/formats/packet.md, "Verification"; their numbers stand at the code. What
the records of a flow refer to is that flow's to check (``check``). ``offline/verify.py`` is another
implementation of the same, for people who do not have this one.
"""

from __future__ import annotations

import base64
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from chalicelib.evidence import (
    anchor,
    bodies,
    census,
    container,
    cosignature,
    layout,
    manifest,
    merkle,
    note,
    personal,
    proofs,
    rotate,
)
from chalicelib.evidence.bodies import MAX_BODY_BYTES
from chalicelib.evidence.census import Tally
from chalicelib.evidence.container import Objects
from chalicelib.evidence.coverage import Coverage
from chalicelib.evidence.keys import verify_handover
from chalicelib.evidence.step import Failed, step
from chalicelib.evidence.verdict import Answer, Verdict, erasure
from chalicelib.kernel import canon, record
from chalicelib.kernel import personal as sealed
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.clock import timestamp as written
from chalicelib.kernel.errors import (
    BadSignature,
    DigestMismatch,
    Fork,
    Malformed,
    Missing,
    VerificationFailed,
)
from chalicelib.kernel.kinds import KINDS
from chalicelib.kernel.merkle import Frontier, leaf_hash
from chalicelib.kernel.record import MAX_LEAF_BYTES, Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.manifest import Manifest
    from chalicelib.evidence.note import SignedCheckpoint
    from chalicelib.evidence.timestamp import Stamp
    from chalicelib.evidence.trust import Policy
    from chalicelib.kernel.record import BodyRef

    Check = Callable[[Entry], Iterator[tuple[str, str]]]
    Checker = Callable[[Objects, Keyring], Check]

MAX_SKEW: Final = timedelta(minutes=10)  # between the clocks of a writer and of a verifier
MAX_PROOF_LINE: Final = 8_192  # 64 hashes, and numbers
_HASH_LINE: Final = 64


def verify(
    stream: BinaryIO,
    trust: Policy,
    *,
    now: datetime,
    checker: Checker,
    authorities: Sequence[bytes] = (),
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Verdict:
    """Whether the packet holds, under the log keys and the quorum of ``trust``.

    ``checker(objects, ring)`` gives the check of each record in the order of the log: pairs of a
    place and what is wrong. ``authorities``: trusted certificates (DER) of time-stamping
    authorities; without one, timestamps are said to be unchecked. Raises: OSError, from the stream.
    """
    packet = _Packet(stream, trust, now, authorities, progress)
    try:
        return packet.verdict(checker)
    except Failed as failed:
        return Verdict(
            answer=Answer.FAILED,
            fault=failed.fault,
            fork=failed.cause if isinstance(failed.cause, Fork) else None,
            packet=packet.sha256,
            manifest=packet.manifest,
        )


class _Packet:
    def __init__(
        self,
        stream: BinaryIO,
        trust: Policy,
        now: datetime,
        authorities: Sequence[bytes],
        progress: Callable[[str, int, int], None],
    ) -> None:
        self._stream = stream
        self._trust = trust
        self._now = now
        self._latest = written(now + MAX_SKEW)
        self._authorities = authorities
        self._progress = progress
        self.sha256 = ""
        self.manifest: Manifest | None = None
        self._sealed: Counter[tuple[str, str]] = Counter()  # by subject and key
        self._erasures: list[Entry] = []

    def verdict(self, checker: Checker) -> Verdict:
        with step(1, "the zip file"):
            entries = container.scan(self._stream)
        self._objects = Objects(self._stream, entries, set(manifest.ALWAYS))
        head, ring = self._head()  # 2 and 3
        self._checkpoints(head, ring)  # 4
        self._fold(head)  # 5
        self._extensions(head)  # 6
        covered = self._records(head, checker(self._objects, ring))  # 7 to 10
        self._derived(covered)  # 11
        witnesses = self._witnesses(head)  # 12
        stamps = self._timestamps(head)
        self._nothing_else()  # 3
        met = self._trust.met(set(witnesses))
        told = msgspec.json.decode(covered.coverage())
        return Verdict(
            answer=Answer.VERIFIED if met else Answer.UNWITNESSED,
            packet=self.sha256,
            manifest=head,
            gaps=told["unobserved"],
            targets=told["targets"],
            witnesses=witnesses,
            timestamps=stamps,
            erased=[erasure(entry, self._sealed) for entry in self._erasures],
            sealed=dict(self._sealed),
            unchecked=self._unchecked(head),
        )

    def _head(self) -> tuple[Manifest, Keyring]:
        """Steps 2 and 3. The manifest is parsed before its signature: it names the log."""
        with step(3, manifest.MANIFEST):
            data = self._read(manifest.MANIFEST, manifest.MAX_BYTES)
            head = manifest.decode(data)
        with step(2, manifest.NOTE):
            ring = self._trust.keyring(head.origin)
            try:
                manifest.verify(self._read(manifest.NOTE, note.MAX_NOTE_BYTES), data, head, ring)
            except BadSignature as error:
                raise BadSignature(error.message + _told(head)) from error
        self.sha256, self.manifest = canon.sha256(data), head
        have = self._objects.entries.keys() - {manifest.MANIFEST, manifest.NOTE}
        for name in sorted(have ^ head.files.keys()):
            with step(3, name):
                raise Missing("in the packet or in its manifest, and not in both")
        for name, due in head.files.items():
            found = self._objects.entries[name]
            if (found.sha256, found.size) != (due.sha256, due.size_bytes):
                with step(3, name):
                    raise DigestMismatch(f"expected SHA-256 {due.sha256}, observed {found.sha256}")
        return head, ring

    def _checkpoints(self, head: Manifest, ring: Keyring) -> None:
        """Step 4."""
        self._signed: dict[int, SignedCheckpoint] = {}
        for size in head.checkpoints:
            name = layout.checkpoint(size)
            with step(4, name):
                found = ring.verify(self._objects.get(name))
                if found.size != size:
                    raise Malformed(f"a checkpoint of {found.size} leaves")
            self._signed[size] = found
        due = {size: (old, new) for size, old, new in ring.changes() if size <= head.top}
        if head.top not in head.handovers:
            due.pop(head.top, None)  # it was made before the key was changed there
        for size in sorted({*due, *head.handovers}):
            name = layout.handover(size)
            with step(4, name):
                if size not in due or size not in head.handovers:
                    raise Missing(f"trust and packet disagree: a change of the key at {size}")
                found = verify_handover(self._objects.get(name), *due[size])
                if found.size != size:
                    raise Malformed(f"a checkpoint of {found.size} leaves")
        self._changes = due

    def _fold(self, head: Manifest) -> None:
        """Step 5."""
        first, last = head.range.first, head.range.last
        edge = Frontier(first, map(bytes.fromhex, head.frontier))
        with step(5, manifest.MANIFEST):
            if first and edge.root() != self._signed[first].root:
                raise DigestMismatch(f"the frontier does not give the signed root of {first}")
        with step(5, manifest.HASHES):
            for line in self._lines(manifest.HASHES, _HASH_LINE):
                edge.append(proofs.digest(line))
            if (edge.size, edge.root()) != (last, self._signed[last].root):
                raise DigestMismatch(
                    f"{edge.size - first} leaf hashes do not lead to the signed root of {last}: "
                    f"expected {self._signed[last].root.hex()}, observed {edge.root().hex()}"
                )

    def _extensions(self, head: Manifest) -> None:
        """Step 6."""
        sizes = (head.range.last, *head.later)
        for old, new, proof in zip(sizes, head.later, head.consistency, strict=False):
            hashes = [bytes.fromhex(one) for one in proof]
            roots = (self._signed[old].root, self._signed[new].root)
            with step(6, layout.checkpoint(new)):
                try:
                    merkle.verify_consistency(old, new, hashes, *roots)
                except VerificationFailed as error:
                    raise Fork(
                        f"the checkpoint of {new} leaves does not extend that of {old}: "
                        f"{error.message}",
                        ours=self._signed[old].note,
                        theirs=self._signed[new].note,
                        proof=b"".join(base64.b64encode(one) + b"\n" for one in hashes),
                        next_step="keep the packet: the log's key signed two histories",
                    ) from error

    def _records(self, head: Manifest, check: Check) -> Coverage:
        """Steps 7 to 10, for one leaf after the other."""
        covered, tally = Coverage(head), Tally(head.filter)
        inside = range(head.range.first, head.range.last)
        self._census: census.Census | None = None
        count = 0
        for count, (index, leaf) in enumerate(self._proven(head), 1):
            with step(8, manifest.LEAVES, index):
                entry = self._entry(index, leaf)
            with step(9, manifest.LEAVES, index):
                if index in inside:
                    tally.add(entry.record)
                if index == head.census:
                    self._census = census.decode(entry)
                self._dated(entry)
            with step(11, manifest.LEAVES, index):
                covered.add(entry)
            self._personal(entry)
            self._announced(entry)
            for place, what in check(entry):  # 10
                with step(10, place, index):
                    raise DigestMismatch(what)
            if not count % 1_000:
                self._progress("records", count, head.records)
        for size in self._changes:
            with step(4, layout.handover(size)):
                raise Missing(f"no record below {size} announces the key that follows there")
        with step(9, manifest.LEAVES):
            if count != head.records:
                raise Missing(f"{count} leaves; the manifest says {head.records}")
            if self._census is None:
                raise Missing(f"the census, record {head.census}, is not among the leaves")
            tally.check(self._census, head)
        with step(9, manifest.MANIFEST):
            if head.period.end > self._latest:
                raise Malformed(f"the period ends in the future, at {head.period.end}")
        return covered

    def _proven(self, head: Manifest) -> Iterator[tuple[int, bytes]]:
        """Step 7: every chosen leaf and its index, included in the last checkpoint."""
        path = proofs.Path(head.top, self._signed[head.top].root)
        hashes = self._lines(manifest.HASHES, _HASH_LINE)
        at, before = head.range.first - 1, -1
        lines = self._lines(manifest.PROOFS, MAX_PROOF_LINE)
        for leaf in self._lines(manifest.LEAVES, MAX_LEAF_BYTES):
            with step(7, manifest.PROOFS):
                index, kept, fresh = proofs.parse(next(lines, b""))
                if index <= before:
                    raise Malformed(f"leaf {index} comes after leaf {before}")
            digest = leaf_hash(leaf)
            with step(7, manifest.PROOFS, index):
                path.verify(digest, index, kept, fresh)
            if head.range.first <= index < head.range.last:
                while at < index:
                    listed, at = next(hashes), at + 1
                with step(7, manifest.LEAVES, index):
                    if listed.decode() != digest.hex():
                        raise DigestMismatch(f"{manifest.HASHES} has another hash for it")
            before = index
            yield index, leaf
        with step(7, manifest.PROOFS):
            if next(lines, None) is not None:
                raise Malformed("a proof without a leaf")

    def _entry(self, index: int, leaf: bytes) -> Entry:
        found = record.decode(leaf)
        if found.kind not in KINDS:
            raise Malformed(f"a record of the unknown kind {found.kind[:80]!r}")
        body = found.body if found.body_ref is None else self._body(found.body_ref)
        return Entry(index, leaf, found, body or {})

    def _body(self, ref: BodyRef) -> dict[str, Any]:
        if ref.size_bytes > MAX_BODY_BYTES:
            raise Malformed(f"a body of {ref.size_bytes} bytes; at most {MAX_BODY_BYTES}")
        return bodies.decode(ref, self._objects.get(layout.body(ref.sha256)))

    def _dated(self, entry: Entry) -> None:
        """Return unless the record is of no day, or from the future."""
        parse_timestamp(entry.record.at)
        if entry.record.at > self._latest:
            raise Malformed(f"a record of the future, dated {entry.record.at}")

    def _personal(self, entry: Entry) -> None:
        self._sealed.update((one.subject, one.key) for one in sealed.sealed_in(entry.body))
        if entry.record.kind == personal.ERASED:
            with step(8, manifest.LEAVES, entry.index):
                erasure(entry, {})  # what cannot be read as one is none
            self._erasures.append(entry)

    def _announced(self, entry: Entry) -> None:
        """A change of the log's key is to be announced by a record under the former key."""
        said = rotate.announced(entry.record)
        if said is not None:
            for size, pair in list(self._changes.items()):
                if entry.index < size and pair == (said.former, said.key):
                    del self._changes[size]

    def _derived(self, covered: Coverage) -> None:
        """Step 11."""
        for name, due in (
            (manifest.COVERAGE, covered.coverage()),
            (manifest.QUESTIONS, covered.questions()),
        ):
            with step(11, name):
                if canon.sha256(due) != self._objects.entries[name].sha256:
                    raise DigestMismatch("it is not what the leaves lead to")

    def _witnesses(self, head: Manifest) -> dict[str, int]:
        """Step 12: the witnesses of the later checkpoint that has most of them."""
        best: dict[str, int] = {}
        latest = int((self._now + MAX_SKEW).timestamp())
        for size in head.later:
            text = note.parse(self._signed[size].note).text
            lines = []
            for name in self._named(f"{anchor.COSIGNATURES}{size:0{layout.DIGITS}d}/"):
                with step(12, name):
                    lines.append(cosignature.parse_line(self._objects.get(name)))
                    if anchor.cosignature_key(size, lines[-1].key_id) != name:
                        raise Malformed("a cosignature under another key's name")
            with step(12, layout.checkpoint(size)):
                found = self._trust.cosigned(lines, text, latest=latest)
            if (self._trust.met(set(found)), len(found)) > (self._trust.met(set(best)), len(best)):
                best = found
        return best

    def _timestamps(self, head: Manifest) -> dict[int, list[Stamp]]:
        """Step 12, for what authorities said."""
        if self._authorities:
            from chalicelib.evidence import timestamp  # noqa: PLC0415 - its library loads OpenSSL
        found: dict[int, list[Stamp]] = {}
        for size in head.later:
            for name in self._named(f"{anchor.TIMESTAMPS}{size:0{layout.DIGITS}d}/"):
                data = self._objects.get(name)
                with step(12, name):
                    if anchor.timestamp_key_of(size, data) != name:
                        raise DigestMismatch("a timestamp under another one's name")
                    if self._authorities:
                        signed = self._signed[size].note
                        stamp = timestamp.verify(data, signed, self._authorities, self._now)
                        found.setdefault(size, []).append(stamp)
        return found

    def _unchecked(self, head: Manifest) -> list[str]:
        stamps = [name for name in head.files if name.startswith(anchor.TIMESTAMPS)]
        if stamps and not self._authorities:
            return [f"{len(stamps)} timestamps: no time-stamping authority is trusted (--tsa)"]
        return []

    def _nothing_else(self) -> None:
        for name in self._objects.entries.keys() - self._objects.used:
            if name not in {manifest.MANIFEST, manifest.NOTE}:
                with step(3, name):
                    raise Malformed("nothing in the packet refers to it")

    def _named(self, prefix: str) -> list[str]:
        return sorted(name for name in self._objects.entries if name.startswith(prefix))

    def _read(self, name: str, most: int) -> bytes:
        entry = self._objects.entries.get(name)
        if entry is None:
            raise Missing("not in the packet")
        return container.read(self._stream, entry, most)

    def _lines(self, name: str, most: int) -> Iterator[bytes]:
        with step(3, name):
            yield from container.lines(self._stream, self._objects.entries[name], most)


def _told(head: Manifest) -> str:
    """What an unverified manifest says of the log's keys, for whoever trusts none of them."""
    sizes = ", ".join(map(str, head.handovers[:10]))
    return f"; it says that the log's key was changed at {sizes}" if sizes else ""
