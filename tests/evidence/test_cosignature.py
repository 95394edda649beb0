"""Cosignatures: published and computed vectors, every field tampered with, strict parsing."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.evidence import cosignature, note
from chalicelib.evidence.note import Checkpoint, Signature
from chalicelib.kernel.errors import BadSignature, KeyUnusable, Malformed
from chalicelib.kernel.signing import Algorithm, PublicKey
from chalicelib.local.signer import KeyFileSigner

VECTORS = json.loads((Path(__file__).parent.parent / "vectors/cosignatures.json").read_text())
NAME = "witness.example/w1"
TEXT = Checkpoint("log.example", 7, bytes(range(32))).text()
NOW = 1_790_000_000


def signer(seed=7):
    return KeyFileSigner(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


PINNED = cosignature.cosigner(NAME, signer().public)
SIGNED = cosignature.sign(TEXT, NAME, signer(), NOW)


@pytest.mark.parametrize("vector", VECTORS["cosignatures"], ids=lambda one: one["name"])
def test_computed_vectors_verify_and_are_what_is_signed(vector):
    pinned = cosignature.parse_vkey(vector["vkey"])
    signature = cosignature.parse_line(vector["line"].encode())
    assert cosignature.verify(signature, vector["text"], pinned) == vector["time"]
    made = cosignature.sign(vector["text"], pinned.name, signer(vector["seed"]), vector["time"])
    assert made.line() == vector["line"]
    assert str(pinned) == vector["vkey"]


@pytest.mark.parametrize("vector", VECTORS["witnessed"], ids=lambda one: one["text"].split()[0])
def test_a_public_witness_s_cosignatures_verify_under_its_published_key(vector):
    pinned = cosignature.parse_vkey(vector["vkey"])
    signature = cosignature.parse_line(vector["line"].encode())
    assert cosignature.verify(signature, vector["text"], pinned) == vector["time"]
    with pytest.raises(BadSignature):
        cosignature.verify(signature, vector["text"].replace("\n", "\n1", 1), pinned)


def test_the_published_line_is_read_with_its_published_time():
    signature = cosignature.parse_line(VECTORS["published"]["line"].encode())
    assert signature.line() == VECTORS["published"]["line"]
    assert signature.key_id.hex() == "8d66cf3f"
    assert len(signature.data) == 8 + 64
    assert int.from_bytes(signature.data[:8], "big") == VECTORS["published"]["time"]


@given(st.integers(0, cosignature.MAX_TIME), st.integers(0, 2**63 - 1), st.binary(min_size=32))
def test_what_is_signed_verifies_with_its_time(at, size, root):
    text = Checkpoint("log.example", size, root[:32]).text()
    signature = cosignature.sign(text, NAME, signer(), at)
    assert cosignature.verify(signature, text, PINNED) == at
    assert cosignature.parse_line(signature.line().encode()) == signature


@given(st.integers(0, 71), st.integers(1, 255))
def test_no_byte_of_time_or_signature_can_change(place, change):
    data = bytearray(SIGNED.data)
    data[place] ^= change
    with pytest.raises((BadSignature, Malformed)):
        cosignature.verify(Signature(NAME, SIGNED.key_id, bytes(data)), TEXT, PINNED)


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 127))
def test_no_character_of_the_checkpoint_can_change(place, change):
    text = TEXT[:place] + chr(ord(TEXT[place]) ^ change) + TEXT[place + 1 :]
    with pytest.raises(BadSignature):
        cosignature.verify(SIGNED, text, PINNED)


def test_another_name_key_id_or_key_is_another_witness():
    renamed = Signature("witness.example/w2", SIGNED.key_id, SIGNED.data)
    other_id = Signature(NAME, bytes(4), SIGNED.data)
    for signature in (renamed, other_id):
        with pytest.raises(BadSignature, match="a cosignature by"):
            cosignature.verify(signature, TEXT, PINNED)
    other = cosignature.cosigner(NAME, signer(8).public)
    with pytest.raises(BadSignature, match="not this key's"):
        cosignature.verify(Signature(NAME, other.key_id, SIGNED.data), TEXT, other)


def test_a_signature_over_the_bare_text_is_no_cosignature():
    data = struct.pack(">Q", NOW) + signer().sign(TEXT.encode())
    with pytest.raises(BadSignature):
        cosignature.verify(Signature(NAME, SIGNED.key_id, data), TEXT, PINNED)


def test_a_date_beyond_the_bound_is_not_believed():
    assert cosignature.verify(SIGNED, TEXT, PINNED, latest=NOW) == NOW
    with pytest.raises(BadSignature, match="from the future: dated 1790000000"):
        cosignature.verify(SIGNED, TEXT, PINNED, latest=NOW - 1)


def test_a_time_of_2_to_the_63_is_refused_even_if_signed():
    message = f"cosignature/v1\ntime {2**63}\n{TEXT}".encode()
    data = struct.pack(">Q", 2**63) + signer().sign(message)
    with pytest.raises(Malformed, match=r"2\^63"):
        cosignature.verify(Signature(NAME, SIGNED.key_id, data), TEXT, PINNED)


@pytest.mark.parametrize("size", [0, 8, 64, 71, 73, 2428])
def test_a_signature_of_another_length_is_refused(size):
    with pytest.raises(Malformed, match="expected 72"):
        cosignature.verify(Signature(NAME, SIGNED.key_id, bytes(size)), TEXT, PINNED)


def test_only_checkpoints_are_cosigned():
    for text in ("text\n", "log.example\n7\n", "log.example\n07\n" + TEXT.split("\n")[2] + "\n"):
        with pytest.raises(Malformed, match="not a checkpoint"):
            cosignature.sign(text, NAME, signer(), NOW)


class Lying:
    """A signer whose signatures are by another key than it says."""

    public = signer(7).public

    def sign(self, message):
        return signer(8).sign(message)


def test_a_cosignature_that_does_not_verify_is_not_given_away():
    with pytest.raises(KeyUnusable, match="does not sign"):
        cosignature.sign(TEXT, NAME, Lying(), NOW)


def test_keys_are_ed25519_under_a_name():
    with pytest.raises(Malformed, match="found ECDSA_P256"):
        cosignature.cosigner(NAME, PublicKey(Algorithm.ECDSA_P256, b"x"))
    with pytest.raises(Malformed, match="31 bytes"):
        cosignature.cosigner(NAME, PublicKey(Algorithm.ED25519, bytes(31)))
    with pytest.raises(Malformed, match="not a key name"):
        cosignature.cosigner("two words", signer().public)


def vkey(kind, key=None, key_id=None):
    encoded = bytes([kind]) + (signer().public.data if key is None else key)
    key_id = PINNED.key_id.hex() if key_id is None else key_id
    return f"{NAME}+{key_id}+{base64.b64encode(encoded).decode()}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (vkey(0x01), "type 0x01; expected 0x04"),
        (vkey(0x06, bytes(1312)), "type 0x06; expected 0x04"),
        (vkey(0x04, key_id="00000000"), "hash 00000000; expected"),
        (vkey(0x04, bytes(31)), "31 bytes"),
        (vkey(0x04).replace(NAME, ""), "not a key name"),
        (vkey(0x04).rpartition("+")[0], "not a verifier key"),
        (vkey(0x04) + " ", "not a verifier key"),
        (NAME + "++", "not a verifier key"),
        ("", "not a verifier key"),
    ],
)
def test_vkeys_of_another_form_are_refused(text, why):
    assert cosignature.parse_vkey(vkey(0x04)) == PINNED
    with pytest.raises(Malformed, match=why):
        cosignature.parse_vkey(text)


LINE = SIGNED.line().encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        LINE[:-1],
        LINE + b"\n",
        b"\n" + LINE,
        LINE + LINE[:-1],
        LINE.replace(b"\n", b"\r\n"),
        b"<html>\n",
        b"\xff\n",
        LINE.replace("\N{EM DASH}".encode(), b"-"),
        LINE * 101,
        b"x" * (cosignature.MAX_BYTES + 1),
    ],
    ids=lambda data: f"{len(data)} bytes {data[:8]!r}",
)
def test_lines_of_another_form_are_refused(data):
    with pytest.raises(Malformed):
        cosignature.parse_lines(data)


def test_several_lines_are_read_and_the_pinned_one_is_found():
    other = cosignature.sign(TEXT, "witness.example/w2", signer(8), NOW)
    lines = cosignature.parse_lines(other.line().encode() + LINE)
    assert lines == (other, SIGNED)
    assert cosignature.by(PINNED, lines) == SIGNED
    assert cosignature.by(PINNED, [other]) is None
    with pytest.raises(Malformed, match="2 signature lines; expected 1"):
        cosignature.parse_line(other.line().encode() + LINE)


def test_a_cosignature_is_a_signature_line_of_its_note():
    signed = note.sign(TEXT, "log.example", signer(9))
    read = note.parse(signed + LINE)
    assert read.signatures[1] == SIGNED
    assert note.verify(signed + LINE, [note.verifier("log.example", signer(9).public)])
