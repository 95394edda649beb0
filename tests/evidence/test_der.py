from __future__ import annotations

import pytest
from cryptography.x509 import ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.evidence import der
from chalicelib.evidence.der import Fields
from chalicelib.kernel.errors import Malformed


@given(st.integers(0, 2**200))
def test_a_number_is_read_as_it_was_written(number):
    assert der.integer(Fields(der.encode_integer(number)).take(der.INTEGER)) == number


@given(st.integers(-(2**70), 2**70))
def test_a_number_has_one_encoding(number):
    size = (number if number >= 0 else -number - 1).bit_length() // 8 + 1
    shortest = number.to_bytes(size, "big", signed=True)
    assert der.integer(shortest) == number
    with pytest.raises(Malformed, match="longer than it need be"):
        der.integer((b"\xff" if number < 0 else b"\x00") + shortest)


@given(
    st.integers(0, 2).flatmap(
        lambda first: st.tuples(
            st.just(first),
            st.integers(0, 39 if first < 2 else 2**40),
            st.lists(st.integers(0, 2**40), max_size=5),
        )
    )
)
def test_a_name_is_read_as_it_was_written(parts):
    first, second, rest = parts
    dotted = ".".join(map(str, (first, second, *rest)))
    assert der.dotted(Fields(der.encode_object(dotted)).take(der.OBJECT)) == dotted


def test_a_name_is_what_others_call_it():
    assert der.encode_object("2.16.840.1.101.3.4.2.1").hex() == "0609608648016503040201"
    assert ObjectIdentifier(der.dotted(bytes.fromhex("608648016503040201")))._name == "sha256"


@pytest.mark.parametrize(
    "content", ["", "80", "2a80", "2a8001", "8037", "2a" * 65], ids=lambda text: text[:8] or "none"
)
def test_a_name_has_one_encoding(content):
    with pytest.raises(Malformed, match="OBJECT IDENTIFIER"):
        der.dotted(bytes.fromhex(content))


@given(st.binary(max_size=70_000), st.sampled_from([der.OCTET_STRING, der.SEQUENCE]))
def test_an_element_is_read_as_it_was_written(content, tag):
    encoded = der.encode(tag, content[:5], content[5:])
    fields = Fields(encoded + encoded)
    assert (fields.take(tag), fields.whole(tag)) == (content, encoded)
    fields.end()
    assert not fields


@pytest.mark.parametrize(
    ("size", "header"),
    [(127, "047f"), (128, "048180"), (255, "0481ff"), (256, "04820100"), (65_536, "0483010000")],
)
def test_a_length_is_as_short_as_it_can_be(size, header):
    encoded = der.encode(der.OCTET_STRING, bytes(size))
    assert encoded == bytes.fromhex(header) + bytes(size)
    assert Fields(encoded).take(der.OCTET_STRING) == bytes(size)


@pytest.mark.parametrize(
    "data",
    ["04", "0402ff", "0480ff0000", "048101ff", "0482000101", "0485000000000100", "1f0100", "04ff"],
)
def test_a_length_has_one_encoding(data):
    with pytest.raises(Malformed, match="not "):
        Fields(bytes.fromhex(data)).take(int(data[:2], 16))


def test_tags_in_context_are_constructed_or_not():
    assert (der.context(0), der.context_primitive(1)) == (0xA0, 0x81)
    fields = Fields(der.encode(der.context(0), der.encode_integer(7)))
    assert fields.tag == der.context(0)
    assert der.integer(Fields(fields.take(der.context(0))).take(der.INTEGER)) == 7


def test_what_is_not_expected_is_refused():
    fields = Fields(b"\x05\x00\x04\x00")
    with pytest.raises(Malformed, match="an element 0x04, found 0x05"):
        fields.take(der.OCTET_STRING)
    assert fields.maybe(der.OCTET_STRING) is None
    assert fields.maybe(der.NULL) == b""
    with pytest.raises(Malformed, match="2 bytes too many"):
        fields.end()
    fields.take(der.OCTET_STRING)
    with pytest.raises(Malformed, match="found the end"):
        fields.take(der.NULL)
    with pytest.raises(Malformed, match="too many"):
        der.single(b"\x05\x00\x00", der.NULL)
