"""Manifest: what a packet says is in it, signed by a key of the log.

Source: docs/formats/packet.md, "Manifest" and "Leaves and proofs".
"""

from __future__ import annotations

import base64
import itertools
import re
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.evidence import note
from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.evidence.merkle import MAX_PROOF
from chalicelib.kernel import canon
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import BadSignature, Malformed

if TYPE_CHECKING:
    from chalicelib.evidence.keys import Keyring

VERSION: Final = 1
MAX_BYTES: Final = 16 * 2**20
MAX_CHECKPOINTS: Final = 5  # opening, closing, and one to three later ones
MAX_FILTER: Final = 1_000

MANIFEST: Final = "manifest.json"
NOTE: Final = "manifest.note"
README: Final = "README.txt"
VERIFIER: Final = "verify.py"
TRUST: Final = "trust.txt"
HASHES: Final = "leaf-hashes.txt"
LEAVES: Final = "leaves.jsonl"
PROOFS: Final = "proofs.jsonl"
COVERAGE: Final = "coverage.json"
QUESTIONS: Final = "questions.json"
REPORT: Final = "report.txt"
ALWAYS: Final = frozenset(
    {README, VERIFIER, TRUST, HASHES, LEAVES, PROOFS, COVERAGE, QUESTIONS, REPORT}
)

_HASH = re.compile(r"[0-9a-f]{64}")


class Period(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``start`` ≤ time < ``end``, as in kernel.clock."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which targets (full names) and kinds were asked for, sorted; empty means all."""

    targets: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def takes(self, kind: str) -> bool:
        """Whether records of a kind were asked for: by its name, or by what it begins with."""
        return not self.kinds or any(
            kind == one or kind.startswith(f"{one}.") for one in self.kinds
        )


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The leaves ``first`` ≤ index < ``last``."""

    first: int
    last: int


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program: its version, and the digest over its source files."""

    version: str
    sha256: str


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry's digest and size."""

    sha256: str
    size_bytes: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``manifest.json``; hashes are in hexadecimal."""

    v: int
    origin: str
    period: Period
    filter: Filter
    range: Range
    census: int
    frontier: tuple[str, ...]
    checkpoints: tuple[int, ...]
    consistency: tuple[tuple[str, ...], ...]
    handovers: tuple[int, ...]
    records: int
    tool: Tool
    files: dict[str, File]

    @property
    def top(self) -> int:
        """The size of the last checkpoint, under which every chosen leaf is proven."""
        return self.checkpoints[-1]

    @property
    def later(self) -> tuple[int, ...]:
        """The checkpoints after the closing one, which the census is under."""
        return tuple(size for size in self.checkpoints if size > self.range.last)


def encode(manifest: Manifest) -> bytes:
    """The manifest's canonical bytes. Raises: Malformed, where it is none."""
    data = canon.encode(msgspec.to_builtins(manifest))
    if decode(data) != manifest:
        raise Malformed("a manifest that does not read as it was written")
    return data


def decode(data: bytes) -> Manifest:
    """The manifest of canonical bytes. Raises: Malformed, also where it contradicts itself."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"a manifest of {len(data)} bytes; at most {MAX_BYTES}")
    value = canon.decode(data)
    if isinstance(value, dict) and value.get("v") != VERSION:
        raise Malformed(
            f"a packet of version {str(value.get('v'))[:20]}; this program reads {VERSION}",
            next_step="verify it with the program of its own time, or its verify.py",
        )
    try:
        found = msgspec.convert(value, Manifest)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a manifest: {error}") from None
    _check(found)
    return found


def text(origin: str, sha256: str) -> str:
    """What is signed over a manifest of that digest. No origin has a space: it is no checkpoint."""
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    return f"packet v1\n{origin}\n{digest}\n"


def verify(signed: bytes, manifest: bytes, found: Manifest, ring: Keyring) -> None:
    """Return if a key of the log, of the packet's time or later, signed this manifest.

    Raises: Malformed; BadSignature.
    """
    trusted = [key.verifier for key in ring.keys if key.last >= found.top]
    read = note.verify(signed, trusted)
    if read.text != text(found.origin, canon.sha256(manifest)):
        raise BadSignature("the signature is over another manifest, or another log's")
    if len(read.signatures) != 1:  # nothing else says which lines this file has
        raise BadSignature(f"{len(read.signatures)} signatures; expected the log's alone")


def _check(found: Manifest) -> None:
    """Return unless the fields contradict each other. Raises: Malformed."""
    first, last = found.range.first, found.range.last
    start, end = parse_timestamp(found.period.start), parse_timestamp(found.period.end)
    opening = (first,) if first else ()
    shaped = (
        start < end
        and 0 <= first < last <= found.census <= MAX_SIZE
        and len(found.later) in range(1, MAX_CHECKPOINTS - 1)
        and found.checkpoints == (*opening, last, *sorted(set(found.later)))
        and found.later[0] > found.census
        and found.top <= MAX_SIZE
    )
    if not shaped:
        raise Malformed("a manifest whose period, range, census or checkpoints are none")
    hashes = itertools.chain(found.frontier, *found.consistency)
    if (
        len(found.frontier) != first.bit_count()
        or len(found.consistency) != len(found.later)
        or any(len(proof) > MAX_PROOF for proof in found.consistency)
        or not all(map(_HASH.fullmatch, hashes))
    ):
        raise Malformed("a manifest whose frontier or consistency proofs are none")
    named = (found.filter.targets, found.filter.kinds)
    if any(list(one) != sorted(set(one)) or len(one) > MAX_FILTER for one in named) or list(
        found.handovers
    ) != sorted(set(found.handovers)):
        raise Malformed("a manifest whose filter or handovers are not in order, each once")
    if found.records < 1 or not found.files.keys() >= ALWAYS or {MANIFEST, NOTE} & set(found.files):
        raise Malformed("a manifest without what every packet has")
