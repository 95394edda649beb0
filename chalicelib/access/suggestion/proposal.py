r"""Proposals: a class for each column, with how sure that is and why; and a masks file of them.

Nothing of a value is in one: reasons have counts. Names are a target's, and whoever made the target
chose them: in the masks file each is a quoted key or a comment that cannot be left.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access.suggestion.detect import POSSIBLE, SURE
from chalicelib.access.suggestion.judgement import Verdict, judge
from chalicelib.kernel.names import qualified

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.access.suggestion.specimen import Column, Table

MAX_HOPS: Final = 8  # from a foreign key to a column that refers to no other
PUBLIC: Final = "public"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
# Letters and marks that are printable and show nothing. Source: Unicode, DerivedCoreProperties,
# Default_Ignorable_Code_Point; and the blank Braille pattern.
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_HEAD: Final = """\
# Proposed classes, to be reviewed: what is only possible, and what nothing was found of, stands
# behind a #. A column without a class is left out of the views.
[columns]
"""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What one column is proposed to be.

    ``klass``: a shipped class, or "": nothing was found, which is not to say that there is nothing.
    ``sure``: sure, likely, possible, or "". ``sampled``: values that were looked at. ``note``: why
    it was not sampled, or not all of it.
    """

    schema: str
    table: str
    column: str
    type: str
    klass: str
    sure: str
    why: tuple[str, ...]
    sampled: int
    note: str


def propose(column: Column, table: str, *, schema: str = "", note: str = "") -> Proposal:
    """The proposal for one column by itself; where it refers to another one is not followed."""
    return _made(schema, table, note, column, judge(column, table))


def propose_all(tables: Iterable[Table]) -> list[Proposal]:
    """Proposals for all columns of tables, in their order; a foreign key is what it refers to."""
    tables = list(tables)
    columns = {(one.schema, one.name, c.name): c for one in tables for c in one.columns}
    verdicts = {key: judge(column, key[1]) for key, column in columns.items()}
    return [
        _made(
            one.schema,
            one.name,
            one.note,
            column,
            _followed((one.schema, one.name, column.name), columns, verdicts),
        )
        for one in tables
        for column in one.columns
    ]


def _made(schema: str, table: str, note: str, column: Column, verdict: Verdict) -> Proposal:
    return Proposal(
        schema=schema,
        table=table,
        column=column.name,
        type=column.type.shown or column.type.name,
        klass=verdict.klass,
        sure=verdict.sure,
        why=verdict.why,
        sampled=len(column.values),
        note="; ".join(filter(None, (column.note, note))),
    )


Name = tuple[str, str, str]


def _followed(key: Name, columns: dict[Name, Column], verdicts: dict[Name, Verdict]) -> Verdict:
    """A column's own verdict, or that of the column that it refers to in the end."""
    own, at = verdicts[key], key
    for _ in range(MAX_HOPS):
        refers = columns[at].refers
        if refers is None or refers == at or refers not in columns:
            break
        at = refers
    # A number that stands for a religion is no less one because religions are listed elsewhere.
    if at == key or own.klass == "special" or (own.sure == SURE and own.klass != PUBLIC):
        return own
    there = verdicts[at]
    if not there.klass:
        return own
    word = f"it refers to {qualified(*at)}"
    return Verdict(there.klass, there.sure, (word, *there.why))


def toml(proposals: Sequence[Proposal]) -> str:
    """A masks file: a class a line, a comment with the reasons, a blank line between tables.

    What is not likely is a comment, as is what has no class: an owner decides. With every such
    comment taken away it is a masks file still, of the same names.
    """
    lines: list[str] = []
    last = None
    for one in proposals:
        if last not in {None, (one.schema, one.table)}:
            lines.append("")
        last = (one.schema, one.table)
        lines.append(_line(one))
    return _HEAD + "\n".join(lines) + "\n"


def _line(one: Proposal) -> str:
    key = ".".join(map(_key, (one.schema, one.table, one.column)))
    reasons = [*one.why] if one.klass else ["nothing was found"]
    if one.note:
        reasons.append(one.note)
    said = f"{one.sure}: " if one.sure else ""
    comment = _escaped(f"{said}{'; '.join(reasons)} ({one.type})")
    decided = one.klass and one.sure != POSSIBLE
    return f'{"" if decided else "# "}{key} = "{one.klass}"  # {comment}'


def _key(name: str) -> str:
    """A key of TOML: bare, or a basic string, escaped where a character does not just stand there.

    Source: TOML 1.0.0, "Keys" and "String".
    """
    if _BARE.fullmatch(name):
        return name
    return '"' + _escaped(name.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _escaped(text: str) -> str:
    """Text on one line: what is not printable, or turns or hides text, as TOML's escapes."""
    return "".join(
        char if char.isprintable() and not _BLANK.match(char) else _code(ord(char)) for char in text
    )


def _code(point: int) -> str:
    return f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"  # noqa: PLR2004 - TOML's two
