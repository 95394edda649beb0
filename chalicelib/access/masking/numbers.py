"""Masks over numbers: moved a little, or put into a bucket. All of it is done in numeric.

Arithmetic that overflows is an error, and an error shows the value: what is beyond the bounds, or
no number, is null.
"""

# ruff: noqa: S608 - names and values are places of the draft, and no text of the SQL

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from chalicelib.access.masking.column import Family, Type
from chalicelib.access.masking.entry import (
    DOMAIN,
    NUMBERS,
    Domain,
    Entry,
    Name,
    Parameters,
    base,
    moved,
    number,
    plain,
    subject_refused,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.access.masking.draft import Draft

MOST: Final = 1e12  # of an amount and of a bucket's size
LEAST: Final = 1e-6
DECIMALS: Final = 20  # that a moved number has at most
_HALF: Final = 1 << 51  # of what entry.number gives
_BOUNDS: Final = {
    "int2": (-(1 << 15), (1 << 15) - 1),
    "int4": (-(1 << 31), (1 << 31) - 1),
    "int8": (-(1 << 63), (1 << 63) - 1),
}
# Below these, every result fits its type. A float's own bounds are 3.4e38 and 1.8e308.
_BEYOND: Final = {"float4": "1e37", "float8": "1e300", "numeric": "1e1000"}
# What a float's numeric form can be off by, in proportion: it has 6 digits, or 15.
_COARSE: Final = {"float4": "1e-5", "float8": "1e-14"}

Amount = Annotated[float, msgspec.Meta(ge=LEAST, le=MOST)]


class Noise(Parameters, frozen=True):
    """``ratio``: of the value, at most this much is added or taken; or ``amount``, as a number.

    ``by``: a column of the row; what is moved moves in the same proportion for equal ones.
    Raises: ValueError, where both are given.
    """

    ratio: Annotated[float, msgspec.Meta(ge=0.01, le=1)] | None = None
    amount: Amount | None = None
    by: Name | None = None
    domain: Domain = DOMAIN

    def __post_init__(self) -> None:
        if self.ratio is not None and self.amount is not None:
            raise ValueError("ratio or amount, not both")


class Bucket(Parameters, frozen=True):
    """``size``: numbers from one multiple of it up to the next are shown as the lower one."""

    size: Amount


def _noise(draft: Draft, value: str, of: Type, parameters: Noise) -> str:
    """Moved by at least one unit of the last place, so that no number comes out as itself.

    What would leave the type is moved the other way: that fits, since the amount does. A repeated
    query gives the same number.
    """
    sha = moved(draft, f"noise/{parameters.domain}", value, of, parameters.by)
    alias, outer = draft.alias(), draft.alias()
    n, o = f"{alias}.n", f"{alias}.o"
    read = _number(value, of)
    places = {
        Family.INT: "0",
        Family.DECIMAL: f"least(scale({read}), {DECIMALS})",
        Family.FLOAT: str(DECIMALS),
    }[of.family]
    most = f"abs({outer}.n) * {_literal(draft, parameters.ratio or 0.1)}"
    if parameters.amount is not None:
        most = _literal(draft, parameters.amount)
    unit = f"ceil(abs({outer}.u) * greatest({most}, {outer}.w) / {outer}.w)"
    # Without a key u is NULL, which greatest() looks over: nothing may come of it.
    sign = f"CASE WHEN {outer}.u < 0 THEN -1 WHEN {outer}.u >= 0 THEN 1 END"
    step = f"greatest({unit}, 1) * {outer}.w * {sign}"
    place = f"('1e-' || {places})::numeric"
    if of.family is Family.FLOAT:
        place = f"greatest({place}, abs({read}) * '{_COARSE[base(of)]}'::numeric)"
    first = (
        f"SELECT {read} AS n, {place} AS w, "
        f"{number(sha)}::numeric / {_HALF} - 1 AS u, {places} AS r OFFSET 0"
    )
    second = (
        f"SELECT round({outer}.n, {outer}.r) AS n, {step} AS o FROM ({first}) AS {outer} OFFSET 0"
    )
    found = f"{n} + {o}"
    if (bounds := _BOUNDS.get(base(of))) is not None:
        low, high = (f"'{one}'::numeric" for one in bounds)
        found = f"CASE WHEN {found} BETWEEN {low} AND {high} THEN {found} ELSE {n} - {o} END"
    return _within(value, of, f"(SELECT ({found})::{base(of)} FROM ({second}) AS {alias})")


def _bucket(draft: Draft, value: str, of: Type, parameters: Bucket) -> str:
    """By the remainder, which is exact: a quotient is rounded, and may be of the next bucket."""
    size = _literal(draft, parameters.size)
    alias = draft.alias()
    n = f"{alias}.n"
    rest = f"mod({n}, {size})"
    found = f"{n} - {rest} - CASE WHEN {rest} < 0 THEN {size} ELSE 0 END"
    if (bounds := _BOUNDS.get(base(of))) is not None:
        found = f"greatest({found}, '{bounds[0]}'::numeric)"
    else:
        found = f"trim_scale({found})"
    read = f"SELECT {_number(value, of)} AS n OFFSET 0"
    return _within(value, of, f"(SELECT ({found})::{base(of)} FROM ({read}) AS {alias})")


def _number(value: str, of: Type) -> str:
    return f"{plain(value, of)}::numeric"


def _literal(draft: Draft, value: float) -> str:
    return f"{draft.literal(repr(value))}::numeric"


def _within(value: str, of: Type, result: str) -> str:
    """The result where the value is finite and in the bounds: NaN is beyond them, it is largest."""
    read = plain(value, of)
    if of.family is Family.INT:  # greatest() looks over NULL
        return f"CASE WHEN {read} IS NOT NULL THEN {result} END"
    beyond = f"'{_BEYOND[base(of)]}'::{base(of)}"
    return f"CASE WHEN abs({read}) < {beyond} THEN {result} END"


def _noise_refused(parameters: Noise, of: Type, columns: Mapping[str, Type]) -> str:
    bounds = _BOUNDS.get(base(of))
    if bounds is not None and parameters.amount is not None and parameters.amount > bounds[1]:
        return f"amount of {of.shown or of.name} is at most {bounds[1]}"
    return subject_refused(parameters.by, columns)


def _bucket_refused(
    parameters: Bucket,
    of: Type,
    columns: Mapping[str, Type],  # noqa: ARG001
) -> str:
    least = 2  # integers in buckets of 1 are as they are
    if of.family is Family.INT and (parameters.size < least or parameters.size % 1):
        return f"size of {of.shown or of.name} is a whole number >= {least}"
    return ""


ENTRIES: Final = (
    Entry(
        name="noise",
        parameters=Noise,
        families=NUMBERS,
        build=_noise,
        does="the number moved by at most `ratio` of itself (0.1 where nothing is said) or by "
        "`amount`, and by 1 of its last place at least; the same type; NaN, infinity and what "
        "is beyond 1e37 (real), 1e300 (double precision) or 1e1000 (numeric) is null",
        of_null="null",
        joins="no",
        reversible="roughly: the number is within the ratio or the amount",
        check=_noise_refused,
    ),
    Entry(
        name="bucket",
        parameters=Bucket,
        families=NUMBERS,
        build=_bucket,
        does="the lower bound of the number's bucket; the same type; null as of noise",
        of_null="null",
        joins="no",
        reversible="roughly: the bucket is shown",
        check=_bucket_refused,
    ),
)
