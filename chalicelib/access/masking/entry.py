"""What a mask is, and how values are read in one: by casts and texts that no setting changes.

The caller of a view sets DateStyle, TimeZone, IntervalStyle, extra_float_digits and bytea_output:
what is written by them is another text in the next session, and a pseudonym of it another one.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from chalicelib.access.masking.column import Family, Type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chalicelib.access.masking.draft import Draft

# No colon, so that no two pairs of domain and text are one message; no slash, which parts a mask's
# own domains from those that people name.
Domain = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}\Z")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
DOMAIN: Final = "value"  # of a mask that nobody names one for

ALL: Final = frozenset(Family)
NUMBERS: Final = frozenset({Family.INT, Family.DECIMAL, Family.FLOAT})
DATES: Final = frozenset({Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ})
# Families whose values have a text that is the same in every session.
SUBJECTS: Final = NUMBERS | DATES | {Family.TEXT, Family.BOOL, Family.UUID, Family.INET, Family.MAC}

TEXT: Final = Type(schema="pg_catalog", name="text", family=Family.TEXT, shown="text")
DECIMAL: Final = Type(schema="pg_catalog", name="numeric", family=Family.DECIMAL, shown="numeric")

# The types of pg_catalog that a family has; the last one holds the values of all of them.
_TYPES: Final = {
    Family.TEXT: ("text",),
    Family.BOOL: ("bool",),
    Family.INT: ("int2", "int4", "int8"),
    Family.DECIMAL: ("numeric",),
    Family.FLOAT: ("float4", "float8"),
    Family.DATE: ("date",),
    Family.TIMESTAMP: ("timestamp",),
    Family.TIMESTAMPTZ: ("timestamptz",),
    Family.TIME: ("time",),
    Family.UUID: ("uuid",),
    Family.INET: ("cidr", "inet"),
    Family.MAC: ("macaddr", "macaddr8"),
    Family.BYTEA: ("bytea",),
    Family.JSON: ("json",),
    Family.JSONB: ("jsonb",),
}


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The parameters of a mask that has none."""


def _nothing(parameters: Any, of: Type, columns: Mapping[str, Type]) -> str:  # noqa: ARG001
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A mask. ``build``: SQL of the draft, the value's SQL, its type and the mask's parameters.

    ``does``, ``of_null``, ``joins``, ``reversible``: as docs/masking.md has them. ``check``: why
    it cannot be laid over a column beside its family, or "". ``whole``: an array is one value to
    it, else each element is.
    """

    name: str
    families: frozenset[Family]
    build: Callable[[Draft, str, Type, Any], str]
    does: str
    of_null: str
    joins: str
    reversible: str
    parameters: type[Parameters] = Parameters
    check: Callable[[Any, Type, Mapping[str, Type]], str] = _nothing
    whole: bool = False


def base(of: Type) -> str:
    """The built-in type of a value: what is under a domain, or the widest of its family."""
    types = _TYPES[of.family]
    return of.name if of.schema == "pg_catalog" and of.name in types else types[-1]


def plain(value: str, of: Type) -> str:
    """The value in its built-in type. Text in the collation C: others can fail in searches."""
    if of.family is Family.TEXT:
        return f'(({value})::text COLLATE "C")'
    return f"(({value})::{base(of)})"


def subject(value: str, of: Type) -> str:
    """A text that is equal for equal values of SUBJECTS, whatever the session's settings are.

    Numbers are equal however wide their types are: 7, 7::bigint and 7.00 are one text.
    """
    read = plain(value, of)
    match of.family:
        case Family.TEXT:
            return read
        case Family.DECIMAL:
            return f"trim_scale({read})::text"
        case Family.FLOAT:  # zero has two forms, and what is no number many
            sent = f"encode(float8send({read}::float8 + 0::float8), 'hex')"
            return f"CASE WHEN {read} = 'NaN' THEN 'NaN' ELSE {sent} END"
        case Family.DATE | Family.TIMESTAMP | Family.TIMESTAMPTZ:
            return f"encode({base(of)}_send({read}), 'hex')"
        case _:
            return f"{read}::text"


def moved(draft: Draft, domain: str, value: str, of: Type, by: str | None) -> str:
    """HMAC over the column that ``by`` names, or over the value where that is null or not named.

    SQL of bytea, 32 bytes.
    """
    text = f"'v' || {subject(value, of)}"
    if by is not None:
        text = f"coalesce('b' || {subject(draft.column(by), draft.columns[by])}, {text})"
    return draft.keyed(domain, f"({text})")


def number(sha: str) -> str:
    """The first 52 bits of a hash as bigint: 0 to 2^52 - 1."""
    return f"('x' || substr(encode({sha}, 'hex'), 1, 13))::bit(52)::int8"


def subject_refused(by: str | None, columns: Mapping[str, Type]) -> str:
    """Why rows cannot be told apart by this column, or ""."""
    if by is None:
        return ""
    if by not in columns:
        return f"by: there is no column {by!r} here{near(by, columns)}"
    of = columns[by]
    if of.array or of.family not in SUBJECTS:
        return f"by: {by!r} is {of.shown or of.name}; it takes text, numbers, dates, uuid and inet"
    return ""


def near(word: str, known: Iterable[str]) -> str:
    """What may have been meant, as the end of a message, or ""."""
    found = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {found[0]!r}?" if found else ""
