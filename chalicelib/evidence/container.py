"""Container: a zip file in the one form that equal contents have, written and read as a stream.

Any unzip tool opens it; :func:`scan` takes no other form, so that a byte outside the entries is
either the one that must stand there or the file is refused. Source: PKWARE APPNOTE 6.3.10, sections
4.3.7 (local header), 4.3.12 (central header), 4.3.16 (end record); docs/formats/packet.md.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from chalicelib.kernel.errors import Malformed, Missing
from chalicelib.kernel.store import MAX_OBJECT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_ENTRIES: Final = 60_000  # a zip file without zip64 has at most 65,535
MAX_BYTES: Final = 2**32 - 1  # and its offsets are 32 bits
MAX_NAME_CHARACTERS: Final = 200

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_DATE: Final = 0x0021  # 1980-01-01, the first there is
_MADE_BY: Final = 0x0314  # Unix, version 2.0
_MODE: Final = 0o100644 << 16
_CHUNK: Final = 2**20
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class Entry(NamedTuple):
    """One file: where its bytes start in the stream that holds them, how many, and their digests.

    ``sha256`` in hexadecimal.
    """

    name: str
    offset: int
    size: int
    crc: int
    sha256: str


class Objects(NamedTuple):
    """The stored objects of a packet. ``used`` collects the names that were asked for."""

    stream: BinaryIO
    entries: dict[str, Entry]
    used: set[str]

    def get(self, key: str) -> bytes:
        """The bytes. Raises: Missing; Malformed."""
        entry = self.entries.get(key)
        if entry is None:
            raise Missing(f"{key} is not in the packet")
        self.used.add(key)
        return read(self.stream, entry, MAX_OBJECT_BYTES)


class Digester:
    """The digests of bytes that go by."""

    def __init__(self) -> None:
        self.size = 0
        self.crc = 0
        self._sha256 = hashlib.sha256()

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        self.crc = zlib.crc32(data, self.crc)
        self._sha256.update(data)

    def entry(self, name: str, offset: int) -> Entry:
        """What went by, as an entry."""
        return Entry(name, offset, self.size, self.crc, self._sha256.hexdigest())


def check_name(name: str) -> None:
    """Return if an entry may have this name. Raises: Malformed."""
    if len(name) > MAX_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise Malformed(f"an entry named {name[:80]!r}: no such name is in a packet")


def write(out: BinaryIO, entries: Iterable[tuple[Entry, BinaryIO]]) -> None:
    """Write the entries, each out of the stream that holds it, in the order of their names.

    Raises: Malformed, above a bound; OSError, from the streams.
    """
    ordered = sorted(entries, key=lambda pair: pair[0].name.encode())
    central, at = [], 0
    for entry, source in ordered:
        check_name(entry.name)
        head = _local(entry)
        central.append(_central(entry, at))
        at += len(head) + entry.size
        if at > MAX_BYTES or len(central) > MAX_ENTRIES:
            raise Malformed(f"more than {MAX_ENTRIES} files or {MAX_BYTES} bytes")
        out.write(head)
        out.writelines(chunks(source, entry))
    directory = b"".join(central)
    if at + len(directory) + _END.size > MAX_BYTES:
        raise Malformed(f"more than {MAX_BYTES} bytes")
    out.write(directory + _end(len(central), len(directory), at))


def scan(
    stream: BinaryIO, progress: Callable[[int], None] = lambda _done: None
) -> dict[str, Entry]:
    """Every entry of a container, by name, after all of its bytes were read once.

    ``progress(bytes)`` is told how far it is. Raises: Malformed, with the entry, unless the whole
    stream is exactly what :func:`write` makes of these entries.
    """
    stream.seek(0)
    entries: dict[str, Entry] = {}
    central, at, before = [], 0, ""
    while True:
        head = stream.read(_LOCAL.size)
        if head[:4] != b"PK\x03\x04":
            break
        name = _name(stream, head, at)
        if name <= before:
            raise Malformed(f"{name}: comes after {before}; entries are in order, each once")
        entry = _digested(stream, name, at + _LOCAL.size + len(name), head)
        if head + name.encode() != _local(entry):
            raise Malformed(f"{name}: a header that is not the one its bytes must have")
        entries[name] = entry
        central.append(_central(entry, at))
        at, before = entry.offset + entry.size, name
        if len(entries) > MAX_ENTRIES or at > MAX_BYTES:
            raise Malformed(f"more than {MAX_ENTRIES} files or {MAX_BYTES} bytes")
        progress(at)
    directory = b"".join(central)
    expected = directory + _end(len(central), len(directory), at)
    stream.seek(at)
    if not entries or stream.read(len(expected) + 1) != expected:
        raise Malformed("not a packet's zip file, or cut off, or with other bytes at its end")
    return entries


def chunks(stream: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """The bytes of an entry, in pieces. Raises: Malformed, where the stream ends before."""
    left, at = entry.size, entry.offset
    while left:
        stream.seek(at)  # each time: whoever takes the pieces may read elsewhere meanwhile
        data = stream.read(min(_CHUNK, left))
        if not data:
            raise Malformed(f"{entry.name}: cut off")
        left, at = left - len(data), at + len(data)
        yield data


def lines(stream: BinaryIO, entry: Entry, most: int) -> Iterator[bytes]:
    """The lines of an entry, without their newlines. Raises: Malformed, above ``most`` bytes."""
    rest = b""
    for data in chunks(stream, entry):
        *whole, rest = (rest + data).split(b"\n")
        if len(rest) > most or any(len(one) > most for one in whole):
            raise Malformed(f"{entry.name}: a line of more than {most} bytes")
        yield from whole
    if rest:
        raise Malformed(f"{entry.name}: its last line is cut off")


def read(stream: BinaryIO, entry: Entry, most: int) -> bytes:
    """All bytes of an entry. Raises: Malformed, above ``most``."""
    if entry.size > most:
        raise Malformed(f"{entry.name}: {entry.size} bytes; at most {most}")
    return b"".join(chunks(stream, entry))


def _name(stream: BinaryIO, head: bytes, at: int) -> str:
    if len(head) < _LOCAL.size:
        raise Malformed(f"cut off at byte {at}")
    length = _LOCAL.unpack(head)[9]
    if length > MAX_NAME_CHARACTERS:
        raise Malformed(f"a name of {length} bytes at byte {at}; at most {MAX_NAME_CHARACTERS}")
    name = stream.read(length).decode("latin-1")
    check_name(name)
    return name


def _digested(stream: BinaryIO, name: str, offset: int, head: bytes) -> Entry:
    digester = Digester()
    left = _LOCAL.unpack(head)[8]
    while left:
        data = stream.read(min(_CHUNK, left))
        if not data:
            raise Malformed(f"{name}: cut off")
        digester.update(data)
        left -= len(data)
    return digester.entry(name, offset)


def _local(entry: Entry) -> bytes:
    name = entry.name.encode()
    numbers = (20, 0, 0, 0, _DATE, entry.crc, entry.size, entry.size, len(name), 0)
    return _LOCAL.pack(b"PK\x03\x04", *numbers) + name


def _central(entry: Entry, at: int) -> bytes:
    name = entry.name.encode()
    sizes = (entry.crc, entry.size, entry.size, len(name))
    numbers = (_MADE_BY, 20, 0, 0, 0, _DATE, *sizes, 0, 0, 0, 0, _MODE, at)
    return _CENTRAL.pack(b"PK\x01\x02", *numbers) + name


def _end(count: int, size: int, at: int) -> bytes:
    return _END.pack(b"PK\x05\x06", 0, 0, count, count, size, at, 0)
