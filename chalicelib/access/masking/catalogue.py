"""The catalogue of masks: which there are, which fit a column, and the SQL of each.

An expression is made of functions, operators and types of pg_catalog that 13 to 18 all have, for a
session whose search_path is pg_catalog. It is total, since an error may show the value that caused
it: whatever a function would refuse is looked at by CASE before. It is deterministic: noise that is
drawn anew averages out over repeated queries. It reads nothing that the caller of a view can set.
"""

# ruff: noqa: S608 - names and values are places of the draft, and no text of the SQL

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access.masking import (
    dates,
    digits,
    documents,
    identifiers,
    numbers,
    texts,
    whole,
)
from chalicelib.access.masking.entry import Entry, near
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.access.masking.column import Type
    from chalicelib.access.masking.draft import Draft
    from chalicelib.access.masking.spec import Spec

_AT: Final = re.compile(r" - at `(?:key in )?\$\.?(.*)`$", re.DOTALL)


def refusal(spec: Spec, of: Type, columns: Mapping[str, Type]) -> str:
    """Why this mask cannot be laid over a column of this type, or "".

    ``columns``: those of its relation, which ``by`` can name.
    """
    entry = CATALOGUE.get(spec.mask)
    if entry is None:
        return f"there is no mask {spec.mask[:40]!r}{near(spec.mask, CATALOGUE)}"
    if of.family not in entry.families:
        fitting = ", ".join(name for name, one in CATALOGUE.items() if of.family in one.families)
        return f"{spec.mask} does not take {of.shown or of.name}; {fitting} do"
    try:
        parameters = msgspec.convert(spec.parameters, entry.parameters)
    except msgspec.ValidationError as error:
        return f"{spec.mask}: {_said(str(error), entry)}"
    why = entry.check(parameters, of, columns)
    return f"{spec.mask}: {why}" if why else ""


def expression(draft: Draft, value: str, of: Type, spec: Spec) -> str:
    """The SQL of a masked value. ``value``: SQL of it, used more than once.

    Through the elements of an array: in order, NULL of NULL, and of more than one dimension NULL.
    Raises: UsageError, where :func:`refusal` says why.
    """
    if why := refusal(spec, of, draft.columns):
        raise UsageError(why, next_step="docs/masking.md, Masks")
    entry = CATALOGUE[spec.mask]
    parameters = msgspec.convert(spec.parameters, entry.parameters)
    if not of.array or entry.whole:
        return entry.build(draft, value, of, parameters)
    schema, name = of.element
    element = msgspec.structs.replace(of, schema=schema, name=name, array=False, element=("", ""))
    alias = draft.alias()
    one = entry.build(draft, f"{alias}.e", element, parameters)
    elements = f"unnest({value}) WITH ORDINALITY AS {alias}(e, o)"
    return (
        f"CASE WHEN array_ndims({value}) = 1 "
        f"THEN (SELECT array_agg({one} ORDER BY {alias}.o) FROM {elements}) "
        f"WHEN cardinality({value}) = 0 THEN {draft.literal('{}')} END"
    )


def _said(error: str, entry: Entry) -> str:
    """The message of msgspec as a sentence of ours: the parameter first."""
    unknown = re.search(r"unknown field `(.*?)`", error)
    if unknown is not None:
        known = [field.encode_name for field in msgspec.structs.fields(entry.parameters)]
        listed = f"it has {', '.join(known)}" if known else "it has none"
        hint = near(unknown[1], known)
        return f"there is no parameter {unknown[1][:40]!r}, {listed}{hint}"
    found = _AT.search(error)
    said = _AT.sub("", error).replace("`", "")
    return f"{found[1]}: {said}" if found and found[1] else said


_SIMPLE: Final = {
    one.name: one
    for module in (whole, texts, identifiers, digits, dates, numbers)
    for one in module.ENTRIES
}
CATALOGUE: Final[dict[str, Entry]] = {
    **_SIMPLE,
    "json": documents.entry(_SIMPLE, refusal, expression),
}
