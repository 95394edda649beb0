"""Derivation: whether the stored tiles and latest checkpoint follow from the leaves.

A derived object that is missing or older, as a crash leaves it, is repairable; one with other bytes
is no crash's work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.evidence import bundle, layout, tiles
from chalicelib.evidence.merkle import HASH_BYTES
from chalicelib.evidence.report import Kind, Problem, Severity
from chalicelib.kernel import canon
from chalicelib.kernel.errors import VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.report import Findings
    from chalicelib.evidence.tiles import Tiler
    from chalicelib.kernel.store import Derived


class Derivation:
    """Comparisons of stored derived objects with what the leaves make.

    ``owed`` is set while the leaves are those of an append that crashed before its tiles;
    ``moved`` says whether writers have been at work since the verification began.
    """

    def __init__(
        self, derived: Derived, keys: Keyring, found: Findings, moved: Callable[[], bool]
    ) -> None:
        self._derived = derived
        self._keys = keys
        self._found = found
        self._moved = moved
        self.owed = False

    def tile(self, key: str, data: bytes) -> None:
        """One tile that the leaves make, full or partial."""
        self._found.tiles += 1
        stored = self._get(key)
        if stored is None:
            base, partial, width = key.partition(".p/")
            full = self._get(base) if partial and self._moved() else None
            if full is not None and _prefix(base, full, int(width)) == data:
                return  # it filled since the verification began
            if not self.owed:
                self._found.add(_missing(key, "a tile"))
        elif stored != data:
            self._found.add(_other(key, data, stored))

    def strays(self, tiler: Tiler) -> None:
        """Stored tiles that the leaves do not make, now or at the size of an earlier checkpoint."""
        last = dict(tiler.partials())
        for key in self._derived.list(layout.TILES):
            if not self._is_earlier(key, tiler.size, last) and not self._moved():
                self._found.add(
                    Problem(
                        place=key,
                        what="a tile that the leaves do not make",
                        expected="no such object, or the beginning of its full tile",
                        observed="another object",
                        kind=Kind.TILE,
                    )
                )

    def latest(
        self,
        raw: bytes | None,
        size: int,
        locked: Callable[[int], bytes | None],
    ) -> None:
        """The derived ``checkpoint``, against the locked one of its size, in a log of ``size``."""
        if raw is None:
            if size and not self.owed:
                self._found.add(_missing(layout.LATEST, "the latest checkpoint"))
            return
        try:
            shown = self._keys.verify(raw)
        except VerificationFailed as error:
            self._latest("not one that a pinned key signed", error.message, Kind.SIGNATURE)
            return
        if shown.size > size:
            observed = f"a signed checkpoint of {shown.size} leaves"
            self._latest(f"newer than the log, which has {size} leaves", observed, Kind.ROLLBACK)
            return
        note_then = locked(shown.size)
        root_then = None if note_then is None else _root(note_then, self._keys)
        if note_then is None:
            self._latest("not one that is locked", f"one of {shown.size} leaves", Kind.MISSING)
        elif root_then and root_then != shown.root:
            self._latest(f"of another tree of {shown.size} leaves", shown.root.hex(), Kind.FORK)
        elif root_then and ((shown.size < size and not self.owed) or note_then != raw):
            observed = f"a good checkpoint of {shown.size} leaves"
            self._latest("not the newest", observed, Kind.TILE, Severity.REPAIRABLE)

    def _latest(
        self, what: str, observed: str, kind: Kind, severity: Severity = Severity.TAMPERED
    ) -> None:
        self._found.add(
            Problem(
                place=layout.LATEST,
                what=f"the latest checkpoint is {what}",
                expected="the newest checkpoint under log/checkpoint/",
                observed=observed,
                kind=kind,
                severity=severity,
            )
        )

    def _is_earlier(self, key: str, size: int, last: dict[str, bytes]) -> bool:
        """Whether a tile is the beginning of one that was compared already, or is there no more."""
        found = tiles.parse(key)
        if found is None:
            return False
        level, index, width = found
        height = tiles.HEIGHT * ((level if isinstance(level, int) else 0) + 1)
        filled = index < size >> height
        if width == tiles.FULL:
            return filled
        base = tiles.path(level, index)
        if filled:
            whole = self._get(base)
        else:
            whole = next((v for k, v in last.items() if k.startswith(f"{base}.p/")), None)
        stored = self._get(key)
        if stored is None:
            return True  # a writer that tidies up after a full tile, without a swap, took it away
        # A whole tile that is missing was reported where it was compared.
        return (whole is None and filled) or (
            whole is not None and _prefix(base, whole, width) == stored
        )

    def _get(self, key: str) -> bytes | None:
        try:
            return self._derived.get(key)
        except VerificationFailed as error:
            return error.message.encode()  # something stands there that is no object: other bytes


def _prefix(base: str, data: bytes, width: int) -> bytes | None:
    """The partial tile of ``width`` that the tile at ``base`` began with, or None."""
    if not base.startswith(f"tile/{tiles.ENTRIES}/"):
        return data[: width * HASH_BYTES] if len(data) >= width * HASH_BYTES else None
    leaves, _ = bundle.split(data)
    return bundle.encode(leaves[:width]) if len(leaves) >= width else None


def _root(data: bytes, keys: Keyring) -> bytes:
    """The root that a locked checkpoint signs; empty for a bad one, which the walk reported."""
    try:
        return keys.verify(data).root
    except VerificationFailed:
        return b""


def _missing(place: str, what: str) -> Problem:
    return Problem(
        place=place,
        what=f"{what} is missing",
        expected="an object that the leaves make",
        observed="no such object",
        kind=Kind.TILE,
        severity=Severity.REPAIRABLE,
    )


def _other(key: str, expected: bytes, observed: bytes) -> Problem:
    """A tile with other bytes, with the first leaf that it misstates where it holds leaves."""
    index = None
    found = tiles.parse(key)
    if found is not None and found[0] in (0, tiles.ENTRIES):
        differ = (at for at, (a, b) in enumerate(_pairs(found[0], expected, observed)) if a != b)
        index = found[1] * tiles.FULL + next(differ, 0)
    return Problem(
        place=key,
        what="a tile is not what the leaves make",
        expected=f"{len(expected)} bytes with SHA-256 {canon.sha256(expected)}",
        observed=f"{len(observed)} bytes with SHA-256 {canon.sha256(observed)}",
        kind=Kind.TILE,
        index=index,
    )


def _pairs(level: int | str, *both: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What two tiles say of each leaf, side by side."""
    left, right = (
        bundle.split(data)[0]
        if level == tiles.ENTRIES
        else [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
        for data in both
    )
    blank = [b""] * len(left)
    return zip(left, [*right, *blank], strict=False)
