"""Proof: how whatever is exported leads back to the packet, to its root, and to leaves in it."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from chalicelib.render.embed import visible

if TYPE_CHECKING:
    from chalicelib.render.book import Book

MAX_LINE: Final = 1_000  # characters

_SPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:holdfast:packet")
# ASCII punctuation that may begin or end something in CommonMark, in OSCAL's markup, or in HTML.
_MARKUP = re.compile(
    r"[\\`*{}\[\]<>&~^]|(?<![^\W_])_|_(?![^\W_])|^[#+\-=]|^\d+(?=[.)])|https?:|www\."
)


class Proof:
    """What a packet is known by: its digest, the log, and the checkpoint that all leaves are under.

    ``packet``: the SHA-256 of its manifest.json, which names all of its files; ``root``: of the
    checkpoint of ``size`` leaves. Both in hexadecimal.
    """

    def __init__(self, book: Book) -> None:
        verified = book.verified
        self.packet = verified.verdict.packet
        self.origin = verified.head.origin
        self.size = verified.checkpoint.size
        self.root = verified.checkpoint.root.hex()
        self.urn = f"urn:holdfast:packet:{self.packet}"
        self._hash_of = verified.hash_of

    def uuid(self, *what: str | int) -> str:
        """The same UUID for the same thing of the same packet (RFC 9562, version 5)."""
        return str(uuid.uuid5(_SPACE, json.dumps([self.packet, *what])))

    def location(self, leaf: int | None = None) -> str:
        """A URN of the packet, and of a record in it."""
        return self.urn if leaf is None else f"{self.urn}#leaf={leaf}"

    def hash_of(self, leaf: int) -> str:
        """The hash of a record's leaf, in hexadecimal."""
        return self._hash_of(leaf)


def dumps(value: Any) -> str:
    """JSON on one line, in ASCII: nothing in it does anything to whoever shows it."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def line(text: str, most: int = MAX_LINE) -> str:
    """Text on one line, without blanks around it: what is invisible is shown as an escape."""
    if len(text) > most:
        text = f"{text[:most]}\N{HORIZONTAL ELLIPSIS}"
    return visible(text).strip()


def unmarked(text: str, most: int = MAX_LINE) -> str:
    """``line`` for where Markdown is read: what is no markup in a record becomes none."""
    return _MARKUP.sub(_escaped, line(text, most))


def _escaped(found: re.Match[str]) -> str:
    text = found[0]
    if text[0].isdigit():
        return f"{text}\\"
    return f"{text[:-1]}\\{text[-1]}" if len(text) > 1 else f"\\{text}"
