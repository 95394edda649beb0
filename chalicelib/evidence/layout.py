"""Names: where each part of the log is kept. Nothing here reads or writes.

``log/`` and ``body/`` are in the write-once store, ``tile/``, ``stage/`` and ``checkpoint`` are
derived, ``log/state`` and ``stream/`` are documents. Source of the tile paths: C2SP tlog-tiles.
"""

from __future__ import annotations

import re

STATE = "log/state"
HEAD = "stream/"  # documents: the last seq of each stream
LATEST = "checkpoint"  # derived: the newest signed checkpoint; tlog-tiles, "Checkpoints"
BATCHES = "log/batch/"
CHECKPOINTS = "log/checkpoint/"
HANDOVERS = "log/key/"
PACKETS = "packet/"
BODIES = "body/sha256/"
STAGES = "stage/"
TILES = "tile/"

MAX_SIZE = 2**63 - 1  # leaves; 64 levels of hashes, and the bound of Go's int64 sizes
DIGITS = 20  # of the decimal sizes in names, so that text order is numeric order

_NUMBER = re.compile(rf"[0-9]{{{DIGITS}}}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def batch(start: int) -> str:
    """Key of the leaves that one append added, the first at index ``start``."""
    return f"{BATCHES}{start:0{DIGITS}d}"


def checkpoint(size: int) -> str:
    """Key of the signed checkpoint over ``size`` leaves."""
    return f"{CHECKPOINTS}{size:0{DIGITS}d}"


def handover(size: int) -> str:
    """Key of the checkpoint over ``size`` leaves that an old and a new key of the log signed."""
    return f"{HANDOVERS}{size:0{DIGITS}d}"


def stage(start: int, sha256: str) -> str:
    """Key of a batch that waits for its compare-and-set."""
    return f"{STAGES}{start:0{DIGITS}d}-{sha256}"


def body(sha256: str) -> str:
    """Key of a body that was too large for its leaf."""
    return f"{BODIES}{sha256}"


def head(stream: str) -> str:
    """Key of the document that holds the last seq of a stream."""
    return f"{HEAD}{stream}"


def number(key: str, prefix: str) -> int | None:
    """The size or index that ends ``key``, or None where the key has another form."""
    text = key.removeprefix(prefix)
    if key.startswith(prefix) and _NUMBER.fullmatch(text) and int(text) <= MAX_SIZE:
        return int(text)
    return None


def packet(sha256: str) -> str:
    """Key of the signed note over a packet's manifest, which has this SHA-256."""
    return f"{PACKETS}{sha256}"


def digest(key: str) -> str | None:
    """The SHA-256 that a body's key names, or None where the key has another form."""
    text = key.removeprefix(BODIES)
    return text if key.startswith(BODIES) and _DIGEST.fullmatch(text) else None
