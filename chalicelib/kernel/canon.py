"""Canonical JSON (RFC 8785, JCS) and SHA-256 over it.

Numbers beyond 2^53 - 1 are refused: whoever has one writes it as a string.
Stored bytes are verified as they are; nothing here is used to re-serialise for verification.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final, Generic, Never, TypeVar

import msgspec
import rfc8785

from chalicelib.kernel.errors import Malformed

MAX_INTEGER = 2**53 - 1  # RFC 8785 §3.2.2.3: I-JSON's interoperable range
MAX_DEPTH = 64  # levels of nesting accepted from outside

# A string that does not end takes all of the rest, so that nothing is looked at twice.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
# Every number of 16 digits or more inside an object or an array, and some text that looks like one.
_LONG_NUMBER = re.compile(rb"[:,\[][-0-9]{16}")
# The rest of each string from its first byte beyond ASCII on, and the colon that follows a key.
_WIDE = re.compile(rb'[\x80-\xff][^"\\]*(?:\\.[^"\\]*)*(?:"(:?)|\\?\Z)', re.DOTALL)
_fast = msgspec.json.Encoder(order="sorted")

T = TypeVar("T")


class Shortcut(Generic[T]):
    """Canonical bytes of one type of value, about five times faster where nothing can go wrong.

    What can: fractions, integers beyond 2^53 - 1, keys that are not ASCII (RFC 8785 sorts them as
    UTF-16), bytes with two readings. Bytes are taken where none of the first three is in them, and
    where they decode to the value that they were encoded from, or encode to the bytes that they
    were decoded from. Both methods give None for all else, and never raise: then :func:`encode` or
    :func:`decode` says what the bytes are, or what is wrong.
    """

    def __init__(self, kind: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(kind, float_hook=_no_fraction)

    def encode(self, value: T) -> bytes | None:
        """The canonical bytes of an object or an array."""
        try:
            data = _fast.encode(value)
            if _obvious(data) and self._decoder.decode(data) == value:
                return data
        except (ValueError, TypeError, RecursionError):
            return None
        return None

    def decode(self, data: bytes) -> T | None:
        """The object or array of bytes that are exactly canonical."""
        if not _obvious(data) or _depth_exceeds(data, MAX_DEPTH):
            return None
        try:
            value = self._decoder.decode(data)
            return value if _fast.encode(value) == data else None
        except (ValueError, RecursionError):
            return None


def _obvious(data: bytes) -> bool:
    """Whether an object or array in these bytes has no long number, and no key beyond ASCII.

    An escaped character in a key is no danger: the encoder writes it otherwise.
    """
    return (
        data.startswith((b"{", b"["))
        and _LONG_NUMBER.search(data) is None
        and (data.isascii() or b":" not in _WIDE.findall(data))
    )


def _no_fraction(token: str) -> Never:
    raise ValueError(f"{token} is no whole number")


def encode(value: Any) -> bytes:
    """The canonical bytes of a JSON value.

    Raises: ValueError, for what JSON cannot say exactly (NaN, integers beyond 2^53 - 1, lone
    surrogates, keys that are no strings). Source: RFC 8785 §3.2.
    """
    if (data := _SHORTCUT.encode(value)) is not None:
        return data
    try:
        # The fast encoder gives the same bytes for this subset (property-tested).
        return _fast.encode(value) if _is_plain(value) else rfc8785.dumps(value)
    except UnicodeEncodeError as error:
        raise ValueError(f"not canonical JSON: {error.reason}") from None
    except (rfc8785.CanonicalizationError, RecursionError) as error:
        raise ValueError(f"not canonical JSON: {type(error).__name__}") from error


def encode_plain(value: Any) -> bytes:
    """The canonical bytes of a value that its writer knows to be plain.

    Plain: no fractions, no integer beyond 2^53 - 1, no key that is not ASCII. Nothing is checked.
    """
    return _fast.encode(value)


def _is_plain(value: Any) -> bool:
    """Whether the fast encoder provably agrees: no floats, small integers, ASCII keys."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if kind is dict:
        for key, inner in value.items():
            if type(key) is not str or not key.isascii() or not _is_plain(inner):
                return False
        return True
    return (kind is list or kind is tuple) and all(map(_is_plain, value))


def decode(data: bytes) -> Any:
    """The JSON value of canonical bytes. Raises: Malformed, unless they are exactly canonical."""
    if (value := _SHORTCUT.decode(data)) is not None:
        return value
    value = parse(data)
    try:
        canonical = encode(value)
    except ValueError as error:
        raise Malformed(f"not canonical JSON: {error}") from error
    if canonical != data:
        raise Malformed("the bytes are JSON, but not in canonical form (RFC 8785)")
    return value


def parse(data: bytes) -> Any:
    """The JSON value of bytes from outside.

    Raises: Malformed, also on duplicate keys, NaN, and nesting deeper than MAX_DEPTH.
    """
    if _depth_exceeds(data, MAX_DEPTH):
        raise Malformed(f"JSON nested deeper than {MAX_DEPTH} levels")
    try:
        return _parser.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {type(error).__name__}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("duplicate key")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_parser = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _depth_exceeds(data: bytes, bound: int) -> bool:
    """Whether brackets outside strings nest deeper than ``bound``; cheap where there are few."""
    if data.count(b"[") + data.count(b"{") <= bound:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        if depth > bound:
            return True
    return False


def sha256(data: bytes) -> str:
    """The SHA-256 of bytes, 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def integer(value: int) -> int | str:
    """``value``, or its decimal digits as text where JSON numbers stop being exact."""
    return value if -MAX_INTEGER <= value <= MAX_INTEGER else str(value)


_SHORTCUT: Final[Shortcut[Any]] = Shortcut(Any)
