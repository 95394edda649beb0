"""Masks over text that show a little of it: its ends, or the outline of an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from chalicelib.access.masking.column import Family, Type
from chalicelib.access.masking.entry import Entry, Parameters, plain

if TYPE_CHECKING:
    from chalicelib.access.masking.draft import Draft

FILL: Final = 6  # characters that stand for what is hidden, however long it is
SPARED: Final = 4  # characters that stay hidden at least, or nothing is shown
HIDDEN_LOCAL: Final = 2  # characters of a mailbox that stay hidden at least
MAX_ADDRESS: Final = 320  # characters: 64 before the @ and 255 after it. Source: RFC 5321 §4.5.3.1
_ADDRESS: Final = r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,18}$"

Few = Annotated[int, msgspec.Meta(ge=0, le=8)]


class Partial(Parameters, frozen=True):
    """``first``, ``last``: characters that are shown. ``with``: what stands for all others."""

    first: Few = 0
    last: Few = 4
    fill: Annotated[str, msgspec.Meta(pattern=r"^[!-~•●█]\Z")] = msgspec.field(
        default="*", name="with"
    )


class Email(Parameters, frozen=True):
    """``first``: characters of the mailbox; ``whole_domain``: whether all behind the @ is shown.

    Not ``domain``, which is another thing: the domain that a keyed mask's values are equal in.
    """

    first: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1
    whole_domain: bool = False


def _partial(draft: Draft, value: str, of: Type, parameters: Partial) -> str:
    text, first, last = plain(value, of), parameters.first, parameters.last
    fill = f"{draft.literal(parameters.fill * FILL)}::text"
    ends = f"left({text}, {first}) || " if first else ""
    ends += fill + (f" || right({text}, {last})" if last else "")
    return _shown(
        f"CASE WHEN {text} IS NULL THEN NULL "
        f"WHEN length({text}) >= {first + last + SPARED} THEN {ends} ELSE {fill} END"
    )


def _email(draft: Draft, value: str, of: Type, parameters: Email) -> str:
    """Nothing of what is no address is shown: it might be a name or a number."""
    text, first = plain(value, of), parameters.first
    start = f"left({text}, {first}) || '***@'" if first else "'***@'"
    start = f"CASE WHEN strpos({text}, '@') > {first + HIDDEN_LOCAL} THEN {start} ELSE '***@' END"
    top = draft.literal(r"\.([A-Za-z]+)$")
    end = (
        f"split_part({text}, '@', 2)"
        if parameters.whole_domain
        else f"'***.' || substring({text} from {top})"
    )
    is_one = f"length({text}) <= {MAX_ADDRESS} AND {text} ~ {draft.literal(_ADDRESS)}"
    return _shown(
        f"CASE WHEN {text} IS NULL THEN NULL "
        f"WHEN {is_one} THEN {start} || {end} ELSE {draft.literal('*' * FILL)}::text END"
    )


def _shown(text: str) -> str:
    """In the database's collation: that of the column's view, whatever the value was read in."""
    return f'(({text}) COLLATE "default")'


_TEXT: Final[dict[str, Any]] = {
    "families": frozenset({Family.TEXT}),
    "of_null": "null",
    "joins": "no",
}
ENTRIES: Final = (
    Entry(
        name="partial",
        parameters=Partial,
        build=_partial,
        does=f"text: the first and last characters, between them {FILL} of `with` however many "
        f"were there; of fewer than first + last + {SPARED} none is shown",
        reversible="what is shown; the rest no",
        **_TEXT,
    ),
    Entry(
        name="email",
        parameters=Email,
        build=_email,
        does="text: `a***@***.com`; with `whole_domain` `a***@example.com`; what is no address "
        "is wholly hidden",
        reversible="what is shown; the rest no",
        **_TEXT,
    ),
)
