"""Masks over a whole column of any type: as it is, nothing, or always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from chalicelib.access.masking.column import Family, Type
from chalicelib.access.masking.entry import ALL, Entry, Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.access.masking.draft import Draft

_CATALOG: Final = "pg_catalog"
MASKED: Final = "[masked]"  # the constant of text that nobody names another one for


class Constant(Parameters, frozen=True):
    """``value``: as the server reads it for the column's type; None is MASKED, for text alone."""

    value: Annotated[str, msgspec.Meta(max_length=1_000, pattern=r"^[^\x00]*\Z")] | None = None


def _clear(draft: Draft, value: str, of: Type, parameters: Parameters) -> str:  # noqa: ARG001
    return value


def _null(draft: Draft, value: str, of: Type, parameters: Parameters) -> str:  # noqa: ARG001
    return f"NULL::{draft.type(of.schema, of.name)}"


def _constant(draft: Draft, value: str, of: Type, parameters: Constant) -> str:  # noqa: ARG001
    """The literal in the column's type, read when the view is made: then it fits, or never was.

    The parser reads a literal for a cast at once, so a word like 'now' is that moment for ever.
    """
    text = draft.literal(MASKED if parameters.value is None else parameters.value)
    if of.array:
        return f"ARRAY[{text}::{draft.type(*of.element)}]"
    return f"{text}::{draft.type(of.schema, of.name)}"


def _check(parameters: Constant, of: Type, columns: Mapping[str, Type]) -> str:  # noqa: ARG001
    schema = of.element[0] if of.array else of.schema
    if schema != _CATALOG and of.family not in {Family.ENUM, Family.TEXT}:
        # Reading it may run code of whoever owns the type, as whoever makes the view: the CHECK of
        # a domain inside a composite type, for one.
        return "only of built-in types, enums and citext; null is for every type"
    if parameters.value is None and of.family is not Family.TEXT:
        return f"value is needed: what stands in for {of.shown or of.name}"
    return ""


_ANY: Final[dict[str, Any]] = {"families": ALL, "whole": True}
ENTRIES: Final = (
    Entry(
        name="clear",
        build=_clear,
        does="the value as it is; the same type",
        of_null="null",
        joins="yes",
        reversible="it is the value",
        **_ANY,
    ),
    Entry(
        name="null",
        build=_null,
        does="nothing; the column is not read; the same type",
        of_null="null",
        joins="no",
        reversible="no",
        **_ANY,
    ),
    Entry(
        name="constant",
        parameters=Constant,
        build=_constant,
        does="always `value`, in an array once; the column is not read; the same type",
        of_null="the constant",
        joins="no",
        reversible="no",
        check=_check,
        **_ANY,
    ),
)
