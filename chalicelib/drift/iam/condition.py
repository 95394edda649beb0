"""Conditions: operators, and what they say of the values that a request has for a key.

Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators", "Multivalued context
keys", "Null condition operator". An operator or value that is not understood is kept, with the
reason in ``unknown``, and nothing is concluded from it.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import datetime as dt
import enum
import ipaddress
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from chalicelib.drift.iam import glob

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Context: TypeAlias = "Mapping[str, Sequence[str]]"
"""The values of a request's condition keys, names in lower case. No values: an absent key."""

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NUMBER = re.compile(r"[-+]?[0-9]{1,30}(?:\.[0-9]{1,30})?")
_SPLIT = re.compile(r"(?:(?P<every>ForAllValues|ForAnyValue):)?(?P<name>[A-Za-z]+)")


class Family(enum.Enum):
    """What values an operator compares."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    BOOLEAN = "boolean"
    ADDRESS = "address"
    PRESENCE = "presence"


class Scope(enum.Enum):
    """How many of a key's values must satisfy the operator."""

    SINGLE = ""
    EVERY = "ForAllValues"
    SOME = "ForAnyValue"


_POSITIVE = {
    "StringEquals": Family.TEXT,
    "StringEqualsIgnoreCase": Family.TEXT,
    "StringLike": Family.TEXT,
    "ArnEquals": Family.TEXT,
    "ArnLike": Family.TEXT,
    "BinaryEquals": Family.TEXT,
    "NumericEquals": Family.NUMBER,
    "NumericLessThan": Family.NUMBER,
    "NumericLessThanEquals": Family.NUMBER,
    "NumericGreaterThan": Family.NUMBER,
    "NumericGreaterThanEquals": Family.NUMBER,
    "DateEquals": Family.DATE,
    "DateLessThan": Family.DATE,
    "DateLessThanEquals": Family.DATE,
    "DateGreaterThan": Family.DATE,
    "DateGreaterThanEquals": Family.DATE,
    "Bool": Family.BOOLEAN,
    "IpAddress": Family.ADDRESS,
    "Null": Family.PRESENCE,
}
_NEGATIVE = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnLike",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}


class Atom(msgspec.Struct, frozen=True):
    """One operator on one key. ``operator`` is the positive one, ``negated`` tells it from its not.

    ``values`` are in canonical form, sorted. ``unknown``: why it is not understood; else empty.
    """

    key: str
    operator: str
    values: tuple[str, ...]
    scope: Scope = Scope.SINGLE
    negated: bool = False
    if_exists: bool = False
    unknown: str = ""

    @property
    def family(self) -> Family:
        """What is compared; of an operator that is not known: text."""
        return _POSITIVE.get(self.operator, Family.TEXT)

    @property
    def spellings(self) -> tuple[str, ...]:
        """The operator as policies spell it, then other spellings that mean the same."""
        if self.unknown:
            return (self.operator,)
        names = [self.operator]
        if self.negated:
            names = [one for one, base in _NEGATIVE.items() if base == self.operator][::-1]
        elif self.operator == "ArnLike":
            names = ["ArnLike", "ArnEquals"]
        scope = f"{self.scope.value}:" if self.scope.value else ""
        needless = self.scope is not Scope.SOME and (self.negated or self.scope is Scope.EVERY)
        endings = ("", "IfExists") if needless else ("IfExists" if self.if_exists else "",)
        return tuple(f"{scope}{name}{ending}" for ending in endings for name in names)

    @property
    def language(self) -> glob.Language:
        """The patterns of an operator on text."""
        return tuple(pattern(self.operator, value) for value in self.values)


def pattern(operator: str, value: str, *, variables: bool = True) -> glob.Pattern:
    """The pattern of a value of an operator on text. Raises: ValueError."""
    if operator == "ArnLike":
        return glob.arn(value)
    if operator == "BinaryEquals":
        return glob.parse(value, variables=False, wild=False)
    return glob.parse(
        value,
        variables=variables,
        wild=operator == "StringLike",
        nocase=operator == "StringEqualsIgnoreCase",
    )


def atom(spelling: str, key: str, values: Sequence[str], *, variables: bool) -> Atom:
    """The atom of a policy's operator, key and values; never an error: see ``unknown``.

    ``variables``: whether ``${`` begins a policy variable (versions from 2012-10-17 on).
    """
    escaped = values if variables else [value.replace("${", "${$}{") for value in values]
    raw = Atom(key.lower(), spelling, tuple(sorted(set(escaped))))
    found = _SPLIT.fullmatch(spelling)
    name = found["name"] if found else ""
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    operator = _NEGATIVE.get(name, name).replace("ArnEquals", "ArnLike")
    scope = Scope((found["every"] if found else "") or "")
    try:
        _check(operator, values, scope, if_exists=if_exists)
        settled = {_settled(operator, value, variables=variables) for value in values}
    except ValueError as error:
        return msgspec.structs.replace(raw, unknown=str(error))
    if operator == "IpAddress":
        settled = _collapsed(settled)
    negated = name in _NEGATIVE
    # A negated operator holds for an absent key, and so does ForAllValues: IfExists adds nothing.
    if_exists = if_exists and not negated and scope is not Scope.EVERY
    return Atom(raw.key, operator, tuple(sorted(settled)), scope, negated, if_exists)


def _check(operator: str, values: Sequence[str], scope: Scope, *, if_exists: bool) -> None:
    if operator not in _POSITIVE:
        raise ValueError("the operator is not known")
    if not values:
        raise ValueError("there are no values")
    if operator == "Null" and (if_exists or scope is not Scope.SINGLE):
        raise ValueError("Null goes with neither IfExists nor a set operator")
    if scope is Scope.SOME and if_exists:
        raise ValueError("AWS does not say what IfExists means for ForAnyValue")


def _settled(operator: str, value: str, *, variables: bool) -> str:
    """The value in the one form that equal values share. Raises: ValueError."""
    match _POSITIVE[operator]:
        case Family.NUMBER:
            return plain(number(value))
        case Family.DATE:
            return timestamp(moment(value))
        case Family.BOOLEAN | Family.PRESENCE:
            if value.lower() not in {"true", "false"}:
                raise ValueError("a boolean is true or false")
            return value.lower()
        case Family.ADDRESS:
            return str(network(value))
        case _:
            return _text(operator, value, variables=variables)


def _text(operator: str, value: str, *, variables: bool) -> str:
    if operator == "BinaryEquals":
        return _binary(value)
    wild = operator in {"StringLike", "ArnLike"}
    text = glob.render(glob.parse(value, variables=variables, wild=wild), wild=wild)
    pattern(operator, text)
    return text.lower() if operator == "StringEqualsIgnoreCase" and "${" not in text else text


def _collapsed(texts: set[str]) -> set[str]:
    four = [n for t in texts if isinstance(n := ipaddress.ip_network(t), ipaddress.IPv4Network)]
    six = [n for t in texts if isinstance(n := ipaddress.ip_network(t), ipaddress.IPv6Network)]
    return {
        *map(str, ipaddress.collapse_addresses(four)),
        *map(str, ipaddress.collapse_addresses(six)),
    }


def _binary(value: str) -> str:
    try:
        return base64.b64encode(base64.b64decode(value, validate=True)).decode()
    except (binascii.Error, ValueError):
        raise ValueError("a binary value is base64") from None


def number(text: str) -> Decimal:
    """The number of a decimal text. Raises: ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("a number is decimal digits, at most 30 on either side of the point")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("not a number") from None


def plain(value: Decimal) -> str:
    """The number without exponent or needless zeros."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def moment(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 date or of seconds since 1970. Raises: ValueError."""
    if re.fullmatch(r"[0-9]{5,11}", text):
        return int(text) * 1_000_000
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}.{0,40})?", text):
        raise ValueError("a date is ISO 8601, or seconds since 1970")
    found = dt.datetime.fromisoformat(text if len(text) > 7 else f"{text}-01")  # noqa: PLR2004
    found = found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found
    return (found - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def timestamp(microseconds: int) -> str:
    """The ISO 8601 text, in UTC, of microseconds since 1970. Raises: ValueError, out of range."""
    try:
        found = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)
    except OverflowError:
        raise ValueError("a date lies between the years 1 and 9999") from None
    return found.isoformat().replace("+00:00", "Z")


def network(text: str) -> Network:
    """The network of a CIDR block or address; host bits are ignored. Raises: ValueError."""
    if "%" in text:
        raise ValueError("an address with a zone")
    return ipaddress.ip_network(text, strict=False)


def holds(one: Atom, context: Context) -> bool | None:
    """Whether the condition holds in this context; None: nobody can tell.

    A missing key satisfies IfExists, negated operators and ForAllValues, and nothing else.
    """
    if one.unknown:
        return None
    found = context.get(one.key, ())
    if one.family is Family.PRESENCE:
        return ("false" if found else "true") in one.values
    if not found:
        is_content = one.negated or one.if_exists
        return is_content if one.scope is Scope.SINGLE else one.scope is Scope.EVERY
    answers = {_satisfies(one, value, context) for value in found}
    if None in answers or (one.scope is Scope.SINGLE and len(found) > 1):
        return None
    return True in answers if one.scope is Scope.SOME else False not in answers


def _satisfies(one: Atom, value: str, context: Context) -> bool | None:
    """Whether one value of the request satisfies the operator."""
    if one.family is not Family.TEXT:
        return admits(one, value) != one.negated
    known = {key: values[0] for key, values in context.items() if len(values) == 1}
    patterns = [glob.substitute(found, known) for found in one.language]
    if any(found is not None and glob.matches(found, value) for found in patterns):
        return not one.negated
    # AWS does not say what a negated operator is where a variable has no value.
    return one.negated if None not in patterns or not one.negated else None


def admits(one: Atom, value: str) -> bool:
    """Whether one of the values of the positive operator admits the value of a request."""
    match one.family:
        case Family.NUMBER | Family.DATE:
            found = quantity(one.family, value)
            return found is not None and _compare(one, found)
        case Family.BOOLEAN:
            return value.lower() in one.values
        case Family.ADDRESS:
            return _lies_in(one, value)
        case _:
            return any(glob.matches(found, value) for found in one.language)


def quantity(family: Family, text: str) -> Decimal | None:
    """The number of a number or date; None: it is none."""
    try:
        return number(text) if family is Family.NUMBER else Decimal(moment(text))
    except ValueError:
        return None


@lru_cache(maxsize=1_024)
def _bounds(one: Atom) -> tuple[Decimal, Decimal, frozenset[Decimal]]:
    """The least and the greatest value of an operator on quantities, and all of them."""
    found = [bound for text in one.values if (bound := quantity(one.family, text)) is not None]
    return min(found), max(found), frozenset(found)


def _compare(one: Atom, value: Decimal) -> bool:
    least, greatest, each = _bounds(one)
    match one.operator.removeprefix("Numeric").removeprefix("Date"):
        case "LessThan":
            return value < greatest
        case "LessThanEquals":
            return value <= greatest
        case "GreaterThan":
            return value > least
        case "GreaterThanEquals":
            return value >= least
        case _:
            return value in each


@lru_cache(maxsize=1_024)
def _blocks(one: Atom) -> list[tuple[int, int, int]]:
    """Version, first and last address of every block, in order. They have nothing in common."""
    networks = map(network, one.values)
    return sorted(
        (found.version, int(found.network_address), int(found.broadcast_address))
        for found in networks
    )


def _lies_in(one: Atom, value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    blocks = _blocks(one)
    at = bisect.bisect_right(blocks, (address.version, int(address), 1 << 128))
    return at > 0 and blocks[at - 1][0] == address.version and int(address) <= blocks[at - 1][2]
