from __future__ import annotations

import base64
import hashlib
import json

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel import canon, personal, record
from chalicelib.kernel.errors import BadSignature, DigestMismatch, Malformed, UsageError
from chalicelib.kernel.personal import Concealed, Personal, Sealed

KEY = bytes(range(32))
PLACE = {"kind": "finding.suppressed", "stream": "postgres:orders"}
SUBJECT, KEY_ID = "ab" * 16, "cd" * 8


def counted():
    """Random bytes that are not: each draw another one."""
    drawn = [0]

    def draw(size):
        drawn[0] += 1
        return hashlib.shake_256(b"%d" % drawn[0]).digest(size)

    return draw


def seal(value="because", random=None, **other):
    where = {"subject": SUBJECT, "key_id": KEY_ID, "key": KEY, **PLACE, **other}
    return personal.seal(value, random=random or counted(), **where).personal


def test_the_bytes_are_those_of_the_documentation():
    """docs/formats/evidence.md, Personal values: whoever follows it comes to the same."""
    sealed = seal()
    draw = counted()
    salt, nonce = draw(32), draw(12)
    expected = hashlib.sha256(b"holdfast personal value v1\0" + salt + b"because").hexdigest()
    assert sealed.commitment == expected
    place = json.dumps(
        [SUBJECT, KEY_ID, "finding.suppressed", "postgres:orders", expected],
        separators=(",", ":"),
    )
    data = base64.b64decode(sealed.sealed)
    assert data[:12] == nonce
    opened = AESGCM(KEY).decrypt(nonce, data[12:], b"holdfast personal value v1\0" + place.encode())
    assert opened == salt + b"because"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_was_sealed_is_unsealed_and_says_nothing_before(value):
    sealed = seal(value)
    assert personal.unseal(sealed, KEY, **PLACE) == value
    stands = msgspec.to_builtins(Concealed(sealed))
    assert personal.parse(json.loads(canon.encode(stands))) == sealed
    if len(value) > 3:
        assert value.encode() not in base64.b64decode(sealed.sealed)


def test_equal_values_are_sealed_into_different_ones():
    random = counted()
    first, second = seal(random=random), seal(random=random)
    assert first.commitment != second.commitment
    assert first.sealed != second.sealed


@pytest.mark.parametrize(
    "other",
    [{"kind": "finding.opened"}, {"stream": "postgres:billing"}, {"key": bytes(32)}],
    ids=lambda other: next(iter(other)),
)
def test_a_sealed_value_opens_nowhere_else(other):
    where = {"key": KEY, **PLACE, **other}
    with pytest.raises(BadSignature, match="does not open"):
        personal.unseal(seal(), where.pop("key"), **where)


@pytest.mark.parametrize("field", ["subject", "key", "commitment", "sealed"])
def test_each_field_of_another_value_spoils_it(field):
    random = counted()
    mine = seal("mine", random=random)
    others = {"subject": "ef" * 16, "key": "01" * 8}
    theirs = seal("theirs", random=random)
    changed = msgspec.structs.replace(mine, **{field: others.get(field, getattr(theirs, field))})
    with pytest.raises(BadSignature):
        personal.unseal(changed, KEY, **PLACE)


@pytest.mark.parametrize("at", [0, 11, 12, 43, 44, 50, -1])
def test_every_part_of_the_sealed_copy_counts(at):
    sealed = seal()
    data = bytearray(base64.b64decode(sealed.sealed))
    data[at] ^= 1
    changed = msgspec.structs.replace(sealed, sealed=base64.b64encode(data).decode())
    with pytest.raises(BadSignature):
        personal.unseal(changed, KEY, **PLACE)


def forged(plain, bound="00" * 32):
    place = personal._place(SUBJECT, KEY_ID, *PLACE.values(), bound)
    data = bytes(12) + AESGCM(KEY).encrypt(bytes(12), plain, place)
    return Sealed(SUBJECT, KEY_ID, bound, base64.b64encode(data).decode())


def test_a_value_that_was_not_committed_to_is_not_shown_whoever_has_the_key():
    with pytest.raises(DigestMismatch, match="commits to"):
        personal.unseal(forged(bytes(32) + b"another"), KEY, **PLACE)


def test_a_value_that_is_no_text_is_malformed():
    with pytest.raises(Malformed, match="no text"):
        personal.unseal(forged(bytes(32) + b"\xff"), KEY, **PLACE)


def test_what_is_no_sealed_value_is_left_as_it_is():
    sealed = msgspec.to_builtins(seal())
    padded = sealed["sealed"]
    wrong = [
        "text",
        {"personal": "text"},
        {"personal": sealed, "also": 1},
        {"Personal": sealed},
        {"personal": {**sealed, "also": 1}},
        {"personal": {k: v for k, v in sealed.items() if k != "key"}},
        {"personal": {**sealed, "subject": "AB" * 16}},
        {"personal": {**sealed, "subject": "ab" * 17}},
        {"personal": {**sealed, "key": ""}},
        {"personal": {**sealed, "commitment": 1}},
        {"personal": {**sealed, "sealed": padded + "\n"}},
        {"personal": {**sealed, "sealed": padded[:-4] + "!!!!"}},
        {"personal": {**sealed, "sealed": base64.b64encode(bytes(59)).decode()}},
        {"personal": {**sealed, "sealed": base64.b64encode(bytes(16_445)).decode()}},
        {"personal": {**sealed, "sealed": "é" * 80}},
    ]
    for value in wrong:
        assert personal.parse(value) is None, value
        assert personal.shown(value, lambda _: pytest.fail("it was taken for a sealed value")) == (
            value
        )
    non_canonical = padded.rstrip("=")[:-1] + "/" + "=" * (len(padded) - len(padded.rstrip("=")))
    if non_canonical != padded and padded.endswith("="):
        assert personal.parse({"personal": {**sealed, "sealed": non_canonical}}) is None


def test_sealed_values_are_found_and_shown_wherever_they_stand():
    random = counted()
    body = {
        "a": Personal("ana", "one"),
        "b": [{"c": Personal("ben", "two")}, 1, None],
        "d": ("x", Personal("ana", "three")),
    }
    assert personal.within(body)
    recorded = personal.replaced(body, lambda one: Concealed(seal(one.value, random=random)))
    assert not personal.within(recorded)
    assert len(personal.sealed_in(recorded)) == 3
    shown = personal.shown(recorded, lambda one: personal.unseal(one, KEY, **PLACE))
    assert shown == {"a": "one", "b": [{"c": "two"}, 1, None], "d": ["x", "three"]}


@pytest.mark.parametrize(
    "encode",
    [msgspec.to_builtins, msgspec.json.encode, canon.encode, json.dumps],
    ids=["builtins", "msgspec", "canon", "json"],
)
def test_what_nobody_sealed_is_encoded_by_nothing_and_shows_itself_to_nobody(encode):
    value = Personal("ana", "because")
    assert "because" not in repr(value) + str(value) + f"{[value]}"
    with pytest.raises((TypeError, ValueError)) as caught:
        encode({"reason": value})
    assert "because" not in str(caught.value)


def test_a_record_with_an_open_value_cannot_be_encoded():
    actor = record.Actor("ana", "os")
    made = record.Record(1, "k", "s", 1, "at", actor, "t", body={"reason": Personal("ana", "x")})
    with pytest.raises((TypeError, ValueError)):
        record.encode(made)


def test_values_are_bounded():
    assert len(seal("é" * 8_192).sealed) <= 22_000
    with pytest.raises(UsageError, match="16386 bytes"):
        seal("é" * 8_193)
    with pytest.raises(UsageError, match="no text"):
        seal("\ud800")


@pytest.mark.parametrize("value", ["", "because", "é" * 5_000, "\ud800"])
def test_the_stand_in_is_about_as_long_as_what_it_stands_for(value):
    stand_in = personal.stand_in(Personal("ana", value))
    if value != "\ud800":
        real = canon.encode(msgspec.to_builtins(Concealed(seal(value))))
        assert 0 <= len(stand_in) - len(real) <= 200
    with pytest.raises(TypeError, match="object cannot be recorded"):
        personal.stand_in(object())


def test_a_field_is_text_or_sealed_and_nothing_else():
    sealed = seal()
    assert personal.text_or_sealed("because") == "because"
    assert personal.text_or_sealed(msgspec.to_builtins(Concealed(sealed))) == Concealed(sealed)
    for value in (None, 1, {}, {"personal": {}}):
        with pytest.raises(TypeError, match="expected text"):
            personal.text_or_sealed(value)
