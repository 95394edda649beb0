from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel import record
from chalicelib.kernel.canon import MAX_INTEGER
from chalicelib.kernel.errors import Malformed
from chalicelib.kernel.record import Actor, BodyRef, Record

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
BODIES = st.dictionaries(TEXT, VALUES, max_size=4)
RECORDS = st.builds(
    Record,
    v=st.just(record.VERSION),
    kind=TEXT,
    stream=TEXT,
    seq=st.integers(1, MAX_INTEGER),
    at=TEXT,
    actor=st.builds(Actor, name=TEXT, via=TEXT),
    tool=TEXT,
    body=BODIES,
)
ONE = Record(
    v=1, kind="scan", stream="s", seq=1, at="t", actor=Actor("ana", "os"), tool="x", body={"a": 1}
)
REF = BodyRef("0" * 64, 70_000)


@given(RECORDS)
def test_a_record_is_read_back(one):
    assert record.decode(record.encode(one)) == one


@given(RECORDS, st.data())
def test_a_leaf_with_one_byte_changed_is_refused_or_another_record(one, data):
    leaf = record.encode(one)
    at = data.draw(st.integers(0, len(leaf) - 1))
    other = leaf[:at] + data.draw(st.binary(max_size=2)) + leaf[at + 1 :]
    try:
        found = record.decode(other)
    except Malformed:
        return
    assert record.encode(found) == other


@given(RECORDS, RECORDS)
def test_other_records_have_other_leaves(one, other):
    assert (record.encode(one) == record.encode(other)) == (one == other)


def test_a_record_with_its_body_elsewhere_is_read_back():
    one = msgspec.structs.replace(ONE, body=None, body_ref=REF)
    assert record.decode(record.encode(one)) == one
    assert b'"body"' not in record.encode(one)


def test_a_leaf_is_canonical_json():
    assert record.encode(ONE) == (
        b'{"actor":{"name":"ana","via":"os"},"at":"t","body":{"a":1},"kind":"scan","seq":1,'
        b'"stream":"s","tool":"x","v":1}'
    )


def changed(**fields):
    value = {**json.loads(record.encode(ONE)), **fields}
    value = {key: field for key, field in value.items() if field is not ...}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "leaf",
    [
        b"",
        b"{}",
        b"[]",
        b"x",
        record.encode(ONE) + b"\n",
        record.encode(ONE).replace(b'"v":1', b'"v": 1'),
        changed(v=2),
        changed(seq=0),
        changed(seq=-1),
        changed(seq="1"),
        changed(seq=1.5),
        changed(extra=1),
        changed(kind=...),
        changed(actor={"name": "ana"}),
        changed(actor={"name": "ana", "via": "os", "more": 1}),
        changed(body=...),
        changed(body=[]),
        changed(body_ref={"sha256": "0" * 64, "size_bytes": 1}),
        changed(body_ref=None),
        changed(body=None, body_ref={"sha256": "0" * 64, "size_bytes": 1}),
        changed(seq=2**53),
        changed(body={"a": 2**53}),
        changed(body={"a": 1.0}),
    ],
)
def test_what_is_no_record_is_refused(leaf):
    with pytest.raises(Malformed):
        record.decode(leaf)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), MAX_INTEGER + 1, "\ud800"])
def test_a_body_that_json_cannot_hold_exactly_is_refused(bad):
    with pytest.raises(ValueError, match="not canonical"):
        record.encode(msgspec.structs.replace(ONE, body={"bad": bad}))
