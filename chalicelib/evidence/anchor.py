"""Anchors: what others say about a checkpoint, the port to them, and where it is kept.

A witness cosigns a checkpoint; a time-stamping authority dates it. Both answers are locked under
names of their own beside the log. Nothing here reads, writes or speaks to anybody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from chalicelib.evidence.layout import DIGITS, MAX_SIZE
from chalicelib.kernel import canon

if TYPE_CHECKING:
    from collections.abc import Iterator

COSIGNATURES = "cosignature/"
TIMESTAMPS = "timestamp/"

_COSIGNATURE = re.compile(rf"{COSIGNATURES}([0-9]{{{DIGITS}}})/([0-9a-f]{{8}})")
_TIMESTAMP = re.compile(rf"{TIMESTAMPS}([0-9]{{{DIGITS}}})/([0-9a-f]{{64}})")


class Answer(msgspec.Struct, frozen=True):
    """What an HTTP server answered; ``content_type`` is empty where it named none."""

    status: int
    content_type: str
    body: bytes


class Post(Protocol):
    """One HTTP POST."""

    def __call__(self, url: str, body: bytes, content_type: str) -> Answer:
        """The answer, whatever its status. Raises: CouldNotTell (Unreachable)."""
        ...


class Keys(Protocol):
    """The part of ``kernel.store.WriteOnce`` that says which objects there are."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order."""
        ...


class Place(NamedTuple):
    """Which anchor a key names: the checkpoint's size, and a key id or a digest in hexadecimal."""

    size: int
    name: str


def cosignature_key(size: int, key_id: bytes) -> str:
    """Key of a witness's first cosignature of a size: one signature line, with its newline."""
    return f"{COSIGNATURES}{size:0{DIGITS}d}/{key_id.hex()}"


def timestamp_key(size: int, sha256: str) -> str:
    """Key of a DER TimeStampResp (RFC 3161 §2.4.2) over a checkpoint; ``sha256`` is its digest."""
    return f"{TIMESTAMPS}{size:0{DIGITS}d}/{sha256}"


def timestamp_key_of(size: int, response: bytes) -> str:
    """Key of these bytes, named by their own digest."""
    return timestamp_key(size, canon.sha256(response))


def place(key: str) -> Place | None:
    """What a key of either kind names, or None where the key has another form."""
    found = _COSIGNATURE.fullmatch(key) or _TIMESTAMP.fullmatch(key)
    if found is None or int(found[1]) > MAX_SIZE:
        return None
    return Place(int(found[1]), found[2])


def cosignatures(store: Keys, size: int) -> Iterator[str]:
    """Keys of the cosignatures of one size."""
    return store.list(f"{COSIGNATURES}{size:0{DIGITS}d}/")


def timestamps(store: Keys, size: int) -> Iterator[str]:
    """Keys of the timestamps of one size."""
    return store.list(f"{TIMESTAMPS}{size:0{DIGITS}d}/")
