"""Clear values by which a leak is told, and the search for them in what came back.

They are kept in memory, have no repr that shows them, and are named by their column alone.
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

MIN_CHARS: Final = 4  # of a value after trimming: what is shorter is met by accident
MIN_DIGITS: Final = 6  # of a value of digits alone: costs, process ids and counts are shorter
MAX_CHARS: Final = 500  # of a value that is searched for: the beginning of a longer one
MAX_PARTS: Final = 50  # of one value
FEW: Final = 24  # values a column that are looked for in much text
MUCH_CHARS: Final = 20_000
_NUMBER = re.compile(r"[\d.,+-]+")
_BYTES = re.compile(r"\[ ([-\d\s]{8,})\]")  # a constant in a node tree
_FOLD = re.compile(r"\n\s*")  # lines of a node tree are folded anywhere, within numbers too
_BYTE = re.compile(r"-?\d{1,3}")
_HEX = re.compile(r"(?:\\x|\b)((?:[0-9a-f]{2}){4,})")


class Values:
    """Clear rows of the relations that are masked, and the key, as text.

    ``rows``: of (schema, name), in the order that they are stored in, by column. ``keys``: the
    halves of the key in hexadecimal, where they could be read. ``whole``: whether the rows of a
    relation are all that it has.
    """

    def __init__(
        self,
        rows: Mapping[tuple[str, str], Sequence[Mapping[str, str | None]]],
        keys: Sequence[str] = (),
        whole: Collection[tuple[str, str]] = (),
    ) -> None:
        self.rows = rows
        self.keys = tuple(keys)
        self.whole = frozenset(whole)

    def __repr__(self) -> str:
        return f"<clear values of {len(self.rows)} relations>"


def distinctive(value: str) -> bool:
    """Whether a value that comes back can hardly be there by accident."""
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return len(re.sub(r"\D", "", text)) >= MIN_DIGITS
    return len(text) >= MIN_CHARS and any(one.isalnum() for one in text)


def parts(value: str | None) -> list[str]:
    """A value, and what it is made of: leaves of JSON, elements of arrays, ranges and records."""
    if not value:
        return []
    if value[0] not in "{[(":
        return [value]
    try:
        found = _leaves(json.loads(value))
    except (ValueError, RecursionError):
        found = re.split(r'[{}\[\](),"]+', value)
    return [value, *found[:MAX_PARTS]]


def _leaves(value: object) -> list[str]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in _leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one)]
    return [] if value is None or isinstance(value, bool) else [str(value)]


def chosen(values: Sequence[str], allowed: str, names: str) -> list[str]:
    """Distinctive values in a sample, those first that a leak of few values would show.

    ``values``: in the order of the rows. ``allowed`` and ``names``: text, folded, in which a value
    may stand. First are the first rows' (errors), the most frequent (statistics), the ends.
    """
    usable = [
        one
        for one in dict.fromkeys(one.strip()[:MAX_CHARS] for one in values if distinctive(one))
        if not _in(one.casefold(), allowed) and not _in(one.casefold(), names)
    ]
    known = set(usable)
    often = [one for one, _ in Counter(v.strip()[:MAX_CHARS] for v in values).most_common(8)]
    ends = (min(usable), max(usable)) if usable else ()
    step = max(1, len(usable) // 8)
    return list(
        dict.fromkeys(
            one for one in (*usable[:5], *often, *ends, *usable[::step], *usable) if one in known
        )
    )


def _in(folded: str, text: str) -> bool:
    """Whether a folded value stands in folded text; a number only as a whole one."""
    if folded not in text:
        return False
    if not _NUMBER.fullmatch(folded):
        return True
    return re.search(rf"(?<![\d.]){re.escape(folded)}(?!\d)", text) is not None


def _forms(value: str) -> set[str]:
    """A value as JSON, XML and SQL write it."""
    folded = value.casefold()
    return {
        folded,
        json.dumps(folded, ensure_ascii=False)[1:-1],
        json.dumps(folded)[1:-1],
        html.escape(folded),
        html.escape(folded, quote=False),
        folded.replace("'", "''"),
        folded.replace('"', '""'),
    }


def unpacked(text: str) -> str:
    """The text, and after it what its hexadecimal runs hold: pages, files, bytea, node trees."""
    runs = (bytes.fromhex(one).decode("utf-8", "replace") for one in _HEX.findall(text))
    constants = (
        bytes(int(part) & 0xFF for part in _BYTE.findall(_FOLD.sub("", one))).decode(
            "utf-8", "replace"
        )
        for one in _BYTES.findall(text)
    )
    return "\n".join((text, *runs, *constants))


class Seeker:
    """The search for values. ``clues``: by what they are called, e.g. a column, best first."""

    def __init__(self, clues: Mapping[str, Sequence[str]], keys: Iterable[str] = ()) -> None:
        self._clues = {
            label: [(one, _forms(one)) for one in values] for label, values in clues.items()
        }
        self._keys = [one.casefold()[:32] for one in keys if one]

    def found(self, heard: str, sent: str) -> list[str]:
        """What is in ``heard`` and not in the statement ``sent``: names, never a value."""
        if not heard:
            return []
        text, said = unpacked(heard).casefold(), sent.casefold()
        few = FEW if len(text) > MUCH_CHARS else None
        labels = [
            label
            for label, values in self._clues.items()
            if any(
                any(_in(form, text) for form in forms) and not _in(one.casefold(), said)
                for one, forms in values[:few]
            )
        ]
        return labels + (["the key"] if any(one in text for one in self._keys) else [])
