"""Embed: what a page has in it, so that a browser verifies the page without anything else.

One JSON document: the last checkpoint and the key that signed it, records as they are in the log,
and the hashes that lead from these to the checkpoint's root. ``reports/verify.js`` reads it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.kernel import canon, merkle
from chalicelib.render import said

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from chalicelib.evidence.verified import Verified
    from chalicelib.kernel.record import Entry

VERSION: Final = 1
MOST_BYTES: Final = 12 * 2**20  # of the document, as it stands in the page
MAX_RECORDS: Final = 4_000  # a browser takes about a second for them
MAX_BODY_BYTES: Final = 2**20  # of one body kept apart
SCRIPT: Final = "verify.js"

_SUBTREE_BYTES: Final = 67  # 64 digits, quotes, comma
_ROW_BYTES: Final = 32  # brackets, commas and the index
_STEP: Final = re.compile(r"0|[1-9][0-9]*")

# What ends or begins markup in a script element, and what ended lines in scripts before ES2019.
_MARKUP: Final = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})

# What shows nothing, or turns the text around it; and a backslash that would look like our own.
# Source: Unicode, Default_Ignorable_Code_Point but variation selectors, and Bidi_Control.
_HIDDEN: Final = re.compile(
    "\\\\(?=u\\{)|[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufeff\uffa0"
    "\ufff0-\ufffb\U000e0000-\U000e0fff]"
)


class Embedded(msgspec.Struct, frozen=True):
    """What is embedded. Hashes are in hexadecimal.

    ``records``: index, leaf, and the body where that was kept apart (None: in the leaf, or left
    out), in the order of the log. ``subtrees``: as of ``Verified.subtrees``. ``shown``: how many
    records the page shows.
    """

    origin: str
    packet: str
    note: str
    vkey: str
    size: int
    root: str
    records: tuple[tuple[int, str, str | None], ...]
    subtrees: tuple[str, ...]
    shown: int


def embedded(
    verified: Verified, shown: Collection[int], *, most_bytes: int = MOST_BYTES
) -> Embedded:
    """What a page that shows these records embeds: the first of them that fit.

    ``shown``: indices in the order of their importance. At most MAX_RECORDS; then, in the same
    order, the bodies kept apart that still fit, each of at most MAX_BODY_BYTES.
    Raises: ValueError, where a record is not in the packet; DigestMismatch; OSError.
    """
    unique = dict.fromkeys(shown)
    wanted = list(unique)[:MAX_RECORDS]
    frame = _framed(verified, (), (), len(unique))
    rest = most_bytes - len(script_text(frame).encode())
    path = _SUBTREE_BYTES * verified.checkpoint.size.bit_length()
    sizes = {entry.index: _sizes(verified, entry) for entry in verified.entries(set(wanted))}
    chosen: list[int] = []
    for index in wanted:
        if index not in sizes:
            raise ValueError(f"record {index} is not in the packet")
        size = sizes[index][0] + path
        if size > rest:
            break
        rest -= size
        chosen.append(index)
    bodies = set()
    for index in chosen:
        body = sizes[index][1]
        if body is not None and body <= rest:
            bodies.add(index)
            rest -= body
    subtrees = verified.subtrees(chosen) if chosen else [verified.checkpoint.root]
    rows = tuple(_rows(verified, set(chosen), bodies))
    return _framed(verified, rows, [one.hex() for one in subtrees], len(unique))


def script_text(embedded: Embedded) -> str:
    """The document, safe as the text of ``<script type="application/json" id="evidence">``."""
    told = {name: getattr(embedded, name) for name in _TOLD}
    return _escaped({"v": VERSION, **told})


_TOLD: Final = (
    "origin", "packet", "note", "vkey", "size", "root", "records", "subtrees", "shown",
)  # fmt: skip


def policy(program: str) -> str:
    """The Content-Security-Policy of a page whose only program is this one.

    Source: CSP Level 3, "The hash-source grammar": over the element's text in UTF-8.
    """
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    return (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; img-src data:"
    )


def visible(text: str) -> str:
    r"""The text with what is not seen, or turns text around, as ``\u{…}``; NUL is ``\u{0}``.

    Every text of a record goes into a page like this, also where it is no figure.
    """
    return _HIDDEN.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", text)


def shown_text(value: Any, cut: int | None = None) -> str:
    """The text that an element of a page must have, where it stands for a value of a record.

    Text is as it is, null is empty, a sealed personal value is not told, all else is canonical
    JSON; cut after ``cut`` code points, with "…"; then made :func:`visible`. Raises: ValueError,
    for what JSON cannot say exactly.
    """
    text = said.text(value)
    if cut is not None and len(text) > cut:
        text = f"{text[:cut]}…"
    return visible(text)


class Figures:
    """What elements of the page have to say of the embedded records. One record is kept parsed."""

    def __init__(self, embedded: Embedded) -> None:
        self._rows = {index: (leaf, body) for index, leaf, body in embedded.records}
        self._last: tuple[int, Any] = (-1, None)

    def __contains__(self, leaf: int) -> bool:
        return leaf in self._rows

    def says(self, leaf: int, at: str = "", cut: int | None = None) -> str | None:
        """The text of an element with this ``data-leaf``, ``data-at`` and ``data-cut``.

        None: such an element must not stand in the page, for the record, its body, or the place in
        it is not embedded. ``#index`` is the index itself, and ``#hash`` the leaf's hash.
        """
        if leaf not in self._rows:
            return None
        if at == "#index":
            return str(leaf)
        if at == "#hash":
            return merkle.leaf_hash(self._rows[leaf][0].encode()).hex()
        value = self._record(leaf)
        for step in at.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and key in value:
                value = value[key]
            elif isinstance(value, list) and _STEP.fullmatch(key) and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return shown_text(value, cut)

    def _record(self, leaf: int) -> Any:
        if self._last[0] != leaf:
            text, body = self._rows[leaf]
            value = canon.decode(text.encode())
            if body is not None:
                value["body"] = canon.decode(body.encode())
            self._last = (leaf, value)
        return self._last[1]


def _framed(
    verified: Verified,
    rows: tuple[tuple[int, str, str | None], ...],
    subtrees: Collection[str],
    shown: int,
) -> Embedded:
    return Embedded(
        origin=verified.head.origin,
        packet=verified.verdict.packet,
        note=verified.checkpoint.note.decode(),
        vkey=str(verified.signer),
        size=verified.checkpoint.size,
        root=verified.checkpoint.root.hex(),
        records=rows,
        subtrees=tuple(subtrees),
        shown=shown,
    )


def _sizes(verified: Verified, entry: Entry) -> tuple[int, int | None]:
    """How many bytes the leaf takes in the page, and its body: None, where none is apart."""
    leaf = _ROW_BYTES + len(_escaped(entry.leaf.decode()).encode())
    ref = entry.record.body_ref
    if ref is None or ref.size_bytes > MAX_BODY_BYTES:
        return leaf, None
    return leaf, len(_escaped(verified.kept_apart(ref).decode()).encode())


def _rows(
    verified: Verified, chosen: set[int], bodies: set[int]
) -> Iterator[tuple[int, str, str | None]]:
    for entry in verified.entries(chosen):
        ref = entry.record.body_ref
        is_apart = ref is not None and entry.index in bodies
        body = verified.kept_apart(ref).decode() if ref is not None and is_apart else None
        yield entry.index, entry.leaf.decode(), body


def _escaped(value: Any) -> str:
    return canon.encode(value).decode().translate(_MARKUP)
