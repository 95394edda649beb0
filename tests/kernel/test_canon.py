from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | st.integers(-canon.MAX_INTEGER, canon.MAX_INTEGER) | text
json_values = st.recursive(
    scalars | st.floats(-(2.0**52), 2.0**52),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
plain_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(plain_values)
def test_the_fast_encoder_gives_the_bytes_of_rfc_8785(value):
    assert canon.encode(value) == rfc8785.dumps(value)


@given(json_values)
def test_what_is_encoded_decodes_to_itself(value):
    assert canon.encode(canon.decode(canon.encode(value))) == canon.encode(value)


def reference(data):
    """What ``decode`` must say, without any shortcut: the value, or None where it must refuse."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=unique)
        return value if rfc8785.dumps(value) == data else None
    except (ValueError, RecursionError):
        return None


def unique(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


def decoded(data):
    try:
        return canon.decode(data)
    except Malformed:
        return None


@st.composite
def almost_canonical(draw):
    """Canonical bytes in which one stretch was replaced."""
    data = rfc8785.dumps(draw(json_values))
    at = draw(st.integers(0, len(data)))
    other = draw(
        st.binary(max_size=2)
        | st.sampled_from(
            rb'0 00 .0 e0 - , " \u0041 \/ { [ ] "":1, "\u00e9":1, 9007199254740993 1e5'.split()
        )
        | st.sampled_from([b" ", b"-9007199254740992", b"1" * 20])
    )
    return data[:at] + other + data[at + draw(st.integers(0, 2)) :]


@settings(max_examples=1_000)
@given(almost_canonical())
def test_decoding_takes_exactly_what_rfc_8785_writes(data):
    expected = reference(data)
    assert json.dumps(decoded(data)) == json.dumps(expected)


LONG = [
    *(sign * (2**53 + offset) for sign in (1, -1) for offset in (-2, -1, 0, 1, 2)),
    *(sign * 10**digits for sign in (1, -1) for digits in (14, 15, 16, 17, 19, 20, 30)),
]


@pytest.mark.parametrize("place", ["[{}]", "[0,{}]", '{{"a":{}}}', '{{"a":[[{}],1]}}', "{}"])
@pytest.mark.parametrize("number", LONG)
def test_an_integer_beyond_what_json_holds_is_refused_wherever_it_stands(number, place):
    data = place.format(number).encode()
    if abs(number) <= canon.MAX_INTEGER:
        assert canon.encode(canon.decode(data)) == data
        return
    with pytest.raises(Malformed):
        canon.decode(data)
    with pytest.raises(ValueError, match="not canonical JSON"):
        canon.encode(json.loads(data))


@pytest.mark.parametrize(
    "value", [{1: 2}, [1.5], {"a": 1.0}, {"b": b""}, {"\u00e9": 1}, (1, 2), [2**53], "text", {1, 2}]
)
def test_the_shortcut_leaves_what_could_be_written_in_two_ways(value):
    assert canon.Shortcut(object).encode(value) is None


@pytest.mark.parametrize(
    ("text", "wide"),
    [
        ('{"a":"\u00e9"}', False),
        ('{"a":"\u00e9\\\\"}', False),
        ('{"a":"\u00e9\\":"}', False),
        ('["\u00e9:",":"]', False),
        ('{"\u00e9":1}', True),
        ('{"a\u00e9b":1}', True),
        ('{"\u00e9\\"x":1}', True),
        ('{"a":{"b":["\u00e9",{"\U0001f600":"\u00e9"}]}}', True),
    ],
)
def test_the_shortcut_knows_a_key_beyond_ascii_from_a_value(text, wide):
    data = text.encode()
    assert (canon.Shortcut(object).decode(data) is None) == wide
    assert (canon.Shortcut(object).encode(json.loads(text)) is None) == wide
    assert canon.encode(canon.decode(data)) == data


def test_a_string_without_end_is_refused_in_no_time():
    data = b'{"a":"' + "\u00e9".encode() * 1_000_000
    for end in (b"", b"\\", b'"', b'":'):
        with pytest.raises(Malformed):
            canon.decode(data + end)


def test_a_value_that_is_nested_without_end_is_refused():
    value = []
    value.append(value)
    with pytest.raises(ValueError, match="not canonical JSON"):
        canon.encode(value)
    assert canon.Shortcut(object).decode(b"[" * 65 + b"]" * 65) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 8785 §3.2.2: literals, numbers, strings with escapes.
        (
            {
                "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
                "string": '\u20ac$\u000f\nA\'B"\\\\"/',
                "literals": [None, True, False],
            },
            (
                '{"literals":[null,true,false],'
                '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
                '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
            ),
        ),
        # RFC 8785 §3.2.3: keys sort by UTF-16 code units, so the emoji sorts before U+FB33.
        (
            {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7},
            '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}',
        ),
    ],
)
def test_the_examples_of_rfc_8785(value, expected):
    assert canon.encode(value) == expected.encode()


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**53, -(2**53), "\ud800", {"\udfff": 1}, {1: 2}, object(), b""],
)
def test_what_json_cannot_say_exactly_is_refused(value):
    with pytest.raises(ValueError, match="not canonical JSON"):
        canon.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b"[1.0]",
        b"NaN",
        b"[Infinity]",
        b'"\\u00e9"',
        b'"\\/"',
        b"\xff",
        b"",
        b"1 ",
        b"[" * 100 + b"]" * 100,
        b"9007199254740993",
    ],
)
def test_bytes_that_are_not_canonical_are_refused(data):
    with pytest.raises(Malformed):
        canon.decode(data)


def test_nesting_is_counted_outside_strings():
    assert canon.parse(json.dumps(["[" * 500]).encode()) == ["[" * 500]
    assert canon.parse(json.dumps(['\\"' + "[" * 500]).encode())
    with pytest.raises(Malformed, match="deeper"):
        canon.parse(b'{"a":' * 65 + b"1" + b"}" * 65)
    assert canon.parse(b"[" * 64 + b"]" * 64) is not None
    assert canon.parse(b"[" + b",".join([b"[]"] * 500) + b"]") == [[]] * 500


def test_large_integers_become_text():
    assert canon.integer(2**53 - 1) == 2**53 - 1
    assert canon.integer(2**63) == "9223372036854775808"
    assert canon.integer(-(2**53)) == "-9007199254740992"


def test_sha256_is_hexadecimal():
    assert canon.sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
