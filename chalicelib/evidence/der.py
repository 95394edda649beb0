"""DER: the few kinds of element that a time-stamp is made of, written and strictly read.

One value has one encoding: lengths are definite and as short as they can be, tags are one byte.
What an element means is for the caller to say. Source: ITU-T X.690 §8 and §10.
"""

from __future__ import annotations

from typing import Final

from chalicelib.kernel.errors import Malformed

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT: Final = 0x06
UTF8_STRING: Final = 0x0C
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31

_LONG_LENGTH: Final = 0x80
_LONG_TAG: Final = 0x1F  # X.690 §8.1.2.4: the tag goes on in the bytes that follow
_MAX_LENGTH_BYTES: Final = 4
_MAX_OBJECT_BYTES: Final = 64


def context(number: int) -> int:
    """The tag of a constructed element ``[number]``."""
    return 0xA0 | number


def context_primitive(number: int) -> int:
    """The tag of a primitive element ``[number] IMPLICIT``."""
    return 0x80 | number


class Fields:
    """The elements that follow each other in some content, taken from the front."""

    def __init__(self, content: bytes) -> None:
        self._left = content

    def __bool__(self) -> bool:
        """Whether any element is left."""
        return bool(self._left)

    @property
    def tag(self) -> int:
        """The tag of the next element; -1 where none is left."""
        return self._left[0] if self._left else -1

    def take(self, tag: int) -> bytes:
        """The content of the next element. Raises: Malformed, unless it is there with this tag."""
        if self.tag != tag:
            found = f"0x{self.tag:02x}" if self._left else "the end"
            raise Malformed(f"not the DER that was expected: an element 0x{tag:02x}, found {found}")
        header, length = _header(self._left)
        content = self._left[header : header + length]
        self._left = self._left[header + length :]
        return content

    def maybe(self, tag: int) -> bytes | None:
        """The content of the next element, or None where that has another tag."""
        return self.take(tag) if self.tag == tag else None

    def whole(self, tag: int) -> bytes:
        """The next element with its tag and length. Raises: Malformed."""
        before = self._left
        self.take(tag)
        return before[: len(before) - len(self._left)]

    def end(self) -> None:
        """Return if nothing is left. Raises: Malformed."""
        if self._left:
            raise Malformed(f"not the DER that was expected: {len(self._left)} bytes too many")


def single(data: bytes, tag: int) -> Fields:
    """The elements in the one element that the bytes are. Raises: Malformed."""
    fields = Fields(data)
    content = fields.take(tag)
    fields.end()
    return Fields(content)


def integer(content: bytes) -> int:
    """The number of an INTEGER's content. Raises: Malformed, unless as short as it can be."""
    # X.690 §8.3.2: the first nine bits are not all the same.
    if not content or (len(content) > 1 and (content[0], content[1] >> 7) in {(0, 0), (0xFF, 1)}):
        raise Malformed("a DER INTEGER that is empty, or longer than it need be")
    return int.from_bytes(content, "big", signed=True)


def encode(tag: int, *contents: bytes) -> bytes:
    """One element of these contents, joined."""
    content = b"".join(contents)
    if len(content) < _LONG_LENGTH:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, _LONG_LENGTH | len(length)]) + length + content


def encode_integer(number: int) -> bytes:
    """The INTEGER of a number that is not negative."""
    return encode(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def encode_object(dotted: str) -> bytes:
    """The OBJECT IDENTIFIER of a dotted name."""
    first, second, *rest = map(int, dotted.split("."))
    return encode(OBJECT, *map(_septets, (first * 40 + second, *rest)))


def dotted(content: bytes) -> str:
    """The dotted name of an OBJECT IDENTIFIER's content. Raises: Malformed."""
    if not 0 < len(content) <= _MAX_OBJECT_BYTES or content[-1] & 0x80:
        raise Malformed("a DER OBJECT IDENTIFIER that is empty, too long, or cut off")
    numbers: list[int] = []
    value, fresh = 0, True
    for byte in content:
        if fresh and byte == _LONG_LENGTH:
            raise Malformed("a DER OBJECT IDENTIFIER that is longer than it need be")
        value = value << 7 | byte & 0x7F
        fresh = not byte & 0x80
        if fresh:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _septets(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def _header(data: bytes) -> tuple[int, int]:
    """The bytes of an element's tag and length, and those of its content. Raises: Malformed."""
    if len(data) < 2 or data[0] & _LONG_TAG == _LONG_TAG:  # noqa: PLR2004 - a tag and a length
        raise Malformed("not DER: an element that is cut off, or has a long tag")
    header, length = 2, data[1]
    if length & _LONG_LENGTH:
        count = length & 0x7F
        header += count
        length = int.from_bytes(data[2:header], "big")
        if not 0 < count <= _MAX_LENGTH_BYTES or length < max(_LONG_LENGTH, 1 << 8 * (count - 1)):
            raise Malformed("not DER: a length that is indefinite, or longer than it need be")
    if header + length > len(data):
        raise Malformed(f"not DER: an element of {length} bytes where {len(data)} are left")
    return header, length
