"""Tiles: the tree's hashes and leaves, cut into pieces of 256 that anyone can fetch and cache.

Every byte here can be made again from the leaves, so nothing read from a tile is believed before
it folds to a signed root. Source: C2SP tlog-tiles, "Merkle Tree" and "Log entries".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chalicelib.evidence import bundle
from chalicelib.evidence.merkle import HASH_BYTES
from chalicelib.kernel.errors import Malformed, Missing
from chalicelib.kernel.merkle import Frontier, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Fetch = Callable[[str], bytes | None]

FULL = 256  # hashes in a full tile
MAX_KEPT = 256  # tiles of hashes that a reader of nodes holds: about 5 MB
HEIGHT = 8  # tree levels in a tile: log2(FULL)
ENTRIES = "entries"

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


def path(level: int | str, index: int, width: int = FULL) -> str:
    """Key of tile ``index`` of a level, or of ENTRIES; ``width`` below 256 names a partial tile."""
    digits = f"{index % 1000:03d}"
    while index := index // 1000:
        digits = f"x{index % 1000:03d}/{digits}"
    return f"tile/{level}/{digits}" + ("" if width == FULL else f".p/{width}")


def parse(key: str) -> tuple[int | str, int, int] | None:
    """The (level, index, width) of a tile's key, or None where the key is no tile's."""
    match = _PATH.fullmatch(key)
    if match is None:
        return None
    level = match["level"] if match["level"] == ENTRIES else int(match["level"])
    index = int(match["index"].replace("/", "").replace("x", ""))
    width = int(match["width"] or FULL)
    return (level, index, width) if path(level, index, width) == key else None


def widths(size: int) -> Iterator[tuple[int, int, int]]:
    """The partial tiles, as (level, index, width), of a tree of ``size`` leaves, lowest first."""
    level = 0
    while size >> HEIGHT * level:
        width = (size >> HEIGHT * level) % FULL
        if width:
            yield level, size >> HEIGHT * (level + 1), width
        level += 1


class Tiler:
    """A growing tree, cut into tiles: full ones as they fill, partial ones when asked.

    Holds at most 255 hashes a level and 255 leaves.
    """

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[list[bytes]] = []
        self._entries: list[bytes] = []

    @classmethod
    def load(cls, size: int, fetch: Fetch) -> Tiler | None:
        """The tiler of a tree whose tiles are stored, or None where one is missing or misshapen.

        Its hashes are as trustworthy as the store: compare ``frontier().root()`` with a signed
        root. Its leaves are checked against its hashes.
        """
        tiler = cls()
        levels = _partial_hashes(size, fetch)
        if levels is None:
            return None
        tiler.size, tiler._levels = size, levels
        width = size % FULL
        if width:
            index = size >> HEIGHT
            data = fetch(path(ENTRIES, index, width)) or fetch(path(ENTRIES, index))
            try:
                tiler._entries = bundle.decode(data or b"")[:width]
            except Malformed:
                return None
            if list(map(leaf_hash, tiler._entries)) != levels[0]:
                return None
        return tiler

    def add(self, leaf: bytes) -> Iterator[tuple[str, bytes]]:
        """Add the next leaf; gives the (key, bytes) of each tile that it fills."""
        self._entries.append(leaf)
        filled = []
        if len(self._entries) == FULL:
            filled.append((path(ENTRIES, self.size >> HEIGHT), bundle.encode(self._entries)))
            self._entries = []
        node, level = leaf_hash(leaf), 0
        while True:
            if level == len(self._levels):
                self._levels.append([])
            hashes = self._levels[level]
            hashes.append(node)
            if len(hashes) < FULL:
                break
            filled.append((path(level, self.size >> HEIGHT * (level + 1)), b"".join(hashes)))
            node, level = _fold(hashes).root(), level + 1
            hashes.clear()
        self.size += 1
        return iter(filled)

    def partials(self) -> Iterator[tuple[str, bytes]]:
        """The (key, bytes) of the tiles that are not full, as a checkpoint here needs them."""
        if self._entries:
            key = path(ENTRIES, self.size >> HEIGHT, len(self._entries))
            yield key, bundle.encode(self._entries)
        for level, index, width in widths(self.size):
            yield path(level, index, width), b"".join(self._levels[level])

    def frontier(self) -> Frontier:
        """The right edge of the tree."""
        hashes = [part for level in reversed(self._levels) for part in _fold(level).hashes]
        return Frontier(self.size, hashes)


class Nodes:
    """The nodes of a stored tree of ``size`` leaves; keeps the last MAX_KEPT tiles it fetched."""

    def __init__(self, size: int, fetch: Fetch) -> None:
        self._size = size
        self._fetch = fetch
        self._kept: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree, unverified. Raises: Missing."""
        tile_level, rise = divmod(level, HEIGHT)
        first = index << rise
        tile = tile_level, first >> HEIGHT
        if tile not in self._kept:
            if len(self._kept) == MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[tile] = self._hashes(*tile)
        hashes = self._kept[tile]
        if not rise:
            return hashes[first % FULL]
        return _fold(hashes[first % FULL : first % FULL + (1 << rise)]).root()

    def _hashes(self, level: int, index: int) -> list[bytes]:
        width = min(FULL, (self._size >> HEIGHT * level) - index * FULL)
        hashes = _hashes(level, index, width, self._fetch)
        if hashes is None:
            raise Missing(
                f"the tile {path(level, index, width)} is missing or misshapen",
                next_step="make the tiles again from the batches, then try again",
            )
        return hashes


def _partial_hashes(size: int, fetch: Fetch) -> list[list[bytes]] | None:
    """The hashes in the last tile of every level, or None where a tile is missing."""
    levels: list[list[bytes]] = [[] for _ in range(-(-size.bit_length() // HEIGHT))]
    for level, index, width in widths(size):
        hashes = _hashes(level, index, width, fetch)
        if hashes is None:
            return None
        levels[level] = hashes
    return levels


def _hashes(level: int, index: int, width: int, fetch: Fetch) -> list[bytes] | None:
    """The first ``width`` hashes of a tile, out of it or of the full one that replaced it."""
    for found in dict.fromkeys((width, FULL)):
        data = fetch(path(level, index, found))
        if data is not None and len(data) == found * HASH_BYTES:
            return [data[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]
    return None


def _fold(hashes: list[bytes]) -> Frontier:
    """The tree over hashes that stand for equally large complete subtrees."""
    frontier = Frontier()
    for part in hashes:
        frontier.append(part)
    return frontier
