from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import packets

from chalicelib.evidence import container
from chalicelib.kernel.errors import Malformed

FILES = {"a": b"one", "b/c.txt": b"", "b/d": b"x" * 3_000_000, "e-1_2": b"\n"}
NAMES = st.from_regex(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,8}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,8}){0,2}", fullmatch=True
)


def written(files, order=lambda pairs: pairs):
    source, entries = io.BytesIO(), []
    for name, data in order(list(files.items())):
        digester = container.Digester()
        digester.update(data[: len(data) // 2])
        digester.update(data[len(data) // 2 :])
        entries.append(digester.entry(name, source.tell()))
        source.write(data)
    out = io.BytesIO()
    container.write(out, [(one, source) for one in entries])
    return out.getvalue()


def read(data):
    stream = io.BytesIO(data)
    entries = container.scan(stream)
    return {name: container.read(stream, one, len(data)) for name, one in entries.items()}


GOOD = written(FILES)


def test_the_same_files_are_the_same_bytes_in_whichever_order_they_come():
    assert written(FILES, order=lambda pairs: pairs[::-1]) == GOOD
    assert packets.pack(FILES) == GOOD  # another implementation of the same table


def test_every_zip_tool_opens_it():
    with zipfile.ZipFile(io.BytesIO(GOOD)) as found:
        assert found.testzip() is None
        assert {name: found.read(name) for name in found.namelist()} == FILES
        assert {one.external_attr >> 16 for one in found.infolist()} == {0o100644}


def test_what_was_written_is_read():
    assert read(GOOD) == FILES
    seen = []
    container.scan(io.BytesIO(GOOD), seen.append)
    assert seen == sorted(seen)
    assert len(seen) == len(FILES)


@given(st.dictionaries(NAMES, st.binary(max_size=50), min_size=1, max_size=8))
def test_any_files_come_back(files):
    data = written(files)
    assert read(data) == files
    assert packets.pack(files) == data


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        ".a",
        "a/.b",
        "a b",
        "a\\b",
        "C:a",
        "ä",
        "a\0",
        "a\n",
        "x" * 201,
    ],
)
def test_no_other_names(name):
    with pytest.raises(Malformed, match="no such name"):
        written({name: b""})
    with pytest.raises(Malformed):
        container.scan(io.BytesIO(packets.pack({name: b""})))


def test_every_byte_counts():
    data = bytearray(written({"a": b"one", "b/c": b""}))
    for at in range(len(data)):
        for mask in (1, 0x80, 0xFF):
            data[at] ^= mask
            with pytest.raises(Malformed):
                container.scan(io.BytesIO(bytes(data)))
            data[at] ^= mask
    assert container.scan(io.BytesIO(bytes(data)))


def test_no_part_of_it_is_one():
    data = written({"a": b"one", "b/c": b""})
    for size in range(len(data)):
        with pytest.raises(Malformed):
            container.scan(io.BytesIO(data[:size]))
    for more in (b"\0", b"PK", data):
        with pytest.raises(Malformed):
            container.scan(io.BytesIO(data + more))
        with pytest.raises(Malformed):
            container.scan(io.BytesIO(more + data))


def rezipped(**options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as made:
        for name in sorted(FILES):
            made.writestr(name, FILES[name])
    return out.getvalue()


def commented():
    out = io.BytesIO(GOOD)
    with zipfile.ZipFile(out, "a") as made:
        made.comment = b"hello"
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        rezipped(),
        rezipped(compression=zipfile.ZIP_DEFLATED),
        commented(),
        packets.pack({}),
        packets.pack(list(FILES.items())[::-1], order=list),
        packets.pack([("a", b"1"), ("a", b"1")], order=list),
    ],
    ids=["empty", "zeros", "rezipped", "deflated", "commented", "no entry", "reversed", "twice"],
)
def test_no_other_form_is_taken(data):
    with pytest.raises(Malformed):
        container.scan(io.BytesIO(data))


def test_a_size_that_lies_is_not_believed():
    """A header that claims 4 GiB is held to the bytes that are there."""
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0x21, 0, 2**32 - 1, 2**32 - 1, 1, 0)
    with pytest.raises(Malformed, match="cut off"):
        container.scan(io.BytesIO(head + b"a" + b"x" * 1_000))


def test_bounds(monkeypatch):
    monkeypatch.setattr(container, "MAX_ENTRIES", 3)
    with pytest.raises(Malformed, match="more than 3 files"):
        written(FILES)
    with pytest.raises(Malformed, match="more than 3 files"):
        container.scan(io.BytesIO(GOOD))
    monkeypatch.setattr(container, "MAX_ENTRIES", 4)
    assert container.scan(io.BytesIO(GOOD))
    small = written({"a": b"1234567890"})
    for most, taken in ((len(small), True), (len(small) - 1, False), (40, False)):
        monkeypatch.setattr(container, "MAX_BYTES", most)
        if taken:
            assert written({"a": b"1234567890"}) == small
        else:
            with pytest.raises(Malformed, match=f"{most} bytes"):
                written({"a": b"1234567890"})
    with pytest.raises(Malformed, match="40 bytes"):
        container.scan(io.BytesIO(small))


def found(data):
    stream = io.BytesIO(packets.pack({"a": data}))
    return stream, container.scan(stream)["a"]


def test_lines_are_bounded_and_whole():
    assert list(container.lines(*found(b"ab\n\nc\n"), 2)) == [b"ab", b"", b"c"]
    assert list(container.lines(*found(b""), 2)) == []
    long = b"x" * 1_500_000 + b"\n" + b"y" * 1_500_000 + b"\n"
    assert list(map(len, container.lines(*found(long), 1_500_000))) == [1_500_000] * 2
    for data in (b"abc\n", b"a\nabc", b"abcdef" * 500_000):
        with pytest.raises(Malformed, match="more than 2 bytes"):
            list(container.lines(*found(data), 2))
    with pytest.raises(Malformed, match="cut off"):
        list(container.lines(*found(b"a\nb"), 2))


def test_lines_can_be_read_while_others_read_the_stream():
    stream, entry = found(b"".join(b"%d\n" % n for n in range(400_000)))
    first, second = container.lines(stream, entry, 10), container.lines(stream, entry, 10)
    for number, (one, two) in enumerate(zip(first, second, strict=True)):
        assert one == two == b"%d" % number


def test_reads_are_bounded():
    assert container.read(*found(b"abc"), 3) == b"abc"
    with pytest.raises(Malformed, match="3 bytes; at most 2"):
        container.read(*found(b"abc"), 2)


def test_a_stream_that_ends_before_its_entry_is_noticed():
    with pytest.raises(Malformed, match="cut off"):
        container.read(io.BytesIO(b"ab"), container.Entry("a", 0, 3, 0, ""), 3)
