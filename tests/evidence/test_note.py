from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.evidence import note
from chalicelib.evidence.note import Checkpoint, Note, Signature
from chalicelib.kernel.errors import BadSignature, Malformed, VerificationFailed
from chalicelib.kernel.signing import Algorithm, PublicKey
from chalicelib.local.signer import KeyFileSigner

VECTORS = json.loads((Path(__file__).parent.parent / "vectors/notes.json").read_text())
GO = VECTORS["ed25519"]
ROOT = bytes(range(32))


class P256Signer:
    """Another signature every time, as a key service without Ed25519 gives them."""

    def __init__(self, curve=None):
        self._key = ec.generate_private_key(curve or ec.SECP256R1())

    @property
    def public(self):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        der = self._key.public_key().public_bytes(serialization.Encoding.DER, form)
        return PublicKey(Algorithm.ECDSA_P256, der)

    def sign(self, message):
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))


def signer(seed=1):
    return KeyFileSigner(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def go_signer():
    seed = base64.b64decode(GO["skey"].split("+", 4)[4])[1:]
    return KeyFileSigner(Ed25519PrivateKey.from_private_bytes(seed))


def pinned(seed=1, name="log.example"):
    return note.verifier(name, signer(seed).public)


SIGNED = note.sign("text\n", "log.example", signer())


def test_the_published_note_verifies_under_its_published_key():
    verifier = note.parse_vkey(GO["vkey"])
    assert note.verify(GO["note"].encode(), [verifier]).text == GO["text"]
    assert str(verifier) == GO["vkey"]


def test_the_published_note_is_what_its_key_signs():
    assert note.sign(GO["text"], "PeterNeumann", go_signer()) == GO["note"].encode()


@pytest.mark.parametrize("vector", VECTORS["ecdsa"]["notes"])
def test_published_ecdsa_notes_verify_under_their_published_keys(vector):
    verifier = note.parse_vkey(vector["vkey"])
    assert str(verifier) == vector["vkey"]
    text = note.verify(vector["note"].encode(), [verifier]).text
    assert vector["note"].startswith(f"{text}\n")
    with pytest.raises(BadSignature):
        note.verify(vector["note"].replace("\n\n", "1\n\n", 1).encode(), [verifier])


def test_a_published_key_under_another_name_verifies_nothing():
    vector = VECTORS["ecdsa"]["notes"][0]
    other = note.parse_vkey(vector["vkey"].replace("rekor.", "bananas."))
    with pytest.raises(BadSignature, match=r"rekor\.sigstore\.dev"):
        note.verify(vector["note"].encode(), [other])


@pytest.mark.parametrize("text", VECTORS["other_vkeys"]["good"])
def test_good_published_keys_are_read_back(text):
    assert str(note.parse_vkey(text)) == text


@pytest.mark.parametrize(
    "text", [*VECTORS["other_vkeys"]["bad"], *VECTORS["ecdsa"]["bad_vkeys"], "", "a+b", "a+b+"]
)
def test_bad_published_keys_are_refused(text):
    with pytest.raises(Malformed):
        note.parse_vkey(text)


def test_every_piece_and_every_change_of_a_key_is_refused():
    text = GO["vkey"]
    for start in range(len(text)):
        for stop in range(start + 1, len(text) + 1):
            if (start, stop) != (0, len(text)):
                with pytest.raises(Malformed):
                    note.parse_vkey(text[start:stop])
    for at, character in enumerate(text):
        with pytest.raises(Malformed):
            note.parse_vkey(text[:at] + chr(ord(character) + 1) + text[at + 1 :])


@pytest.mark.parametrize("example", ["note", "checkpoint"])
def test_the_specification_s_examples_are_read_back(example):
    data = VECTORS["specification"][example].encode()
    assert note.parse(data).encode() == data


def test_the_specification_s_checkpoint_is_read():
    parsed = note.parse(VECTORS["specification"]["checkpoint"].encode())
    checkpoint = note.parse_checkpoint(parsed.text)
    assert checkpoint.origin == "example.com/behind-the-sofa"
    assert (checkpoint.size, checkpoint.root.hex()[:8]) == (20_852_163, "0ac5186a")
    assert checkpoint.text() == parsed.text


def test_the_text_ends_at_the_last_blank_line():
    text = "one\n\ntwo\n\n— no signature\n"
    data = note.sign(text, "log.example", signer())
    assert note.verify(data, [pinned()]).text == text


def test_a_text_without_final_newline_is_not_signed():
    with pytest.raises(Malformed, match="newline"):
        note.sign("text", "log.example", signer())


def test_signatures_by_unknown_keys_are_ignored_even_under_a_known_name():
    two = note.parse(note.sign("text\n", "log.example", signer(2))).signatures
    other = note.parse(note.sign("text\n", "other.example", signer())).signatures
    both = Note("text\n", (*two, *other, *note.parse(SIGNED).signatures))
    assert note.verify(both.encode(), [pinned()]).text == "text\n"


def test_a_note_by_unknown_keys_alone_is_refused():
    with pytest.raises(BadSignature, match=r"no trusted key.*log\.example"):
        note.verify(SIGNED, [pinned(2)])


def test_a_bad_signature_of_a_known_key_spoils_a_note_that_another_signed():
    good = note.parse(SIGNED).signatures
    (second,) = note.parse(note.sign("other\n", "log.example", signer(2))).signatures
    both = Note("text\n", (*good, second)).encode()
    note.verify(both, [pinned()])
    with pytest.raises(BadSignature):
        note.verify(both, [pinned(), pinned(2)])


def test_a_key_that_shares_the_identifier_is_another_key():
    forged = Note("text\n", (Signature("log.example", pinned().key_id, b"x" * 64),))
    with pytest.raises(BadSignature):
        note.verify(forged.encode(), [pinned()])


def test_sixteen_signatures_of_5000_bytes_are_accepted_and_too_many_are_not():
    extra = tuple(Signature(f"witness{n}", b"\0\0\0\1", b"x" * 5_000) for n in range(16))
    whole = Note("text\n", (*extra, *note.parse(SIGNED).signatures))
    assert note.verify(whole.encode(), [pinned()]).text == "text\n"
    many = Note("text\n", (Signature("w", b"\0\0\0\1", b"x"),) * 101)
    with pytest.raises(Malformed, match="at most 100"):
        note.parse(many.encode())
    with pytest.raises(Malformed, match="at most 1000000"):
        note.parse(SIGNED + b"x" * 1_000_000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"\n\n",
        SIGNED[:-1],
        SIGNED + b"\n",
        SIGNED + b"no signature\n",
        SIGNED.replace("—".encode(), b"-"),
        SIGNED.replace(b" log.example ", b"  "),
        SIGNED.replace(b"log.example", b"log+example"),
        SIGNED.replace(b"log.example", "log\u2003example".encode()),
        SIGNED.replace(b"log.example", b"l" * 256),
        SIGNED.replace(b"text", b"te\txt"),
        SIGNED.replace(b"text", b"te\rxt"),
        SIGNED.replace(b"text", b"te\xffxt"),
        b"text\n\n\xe2\x80\x94 name AAAAAA==\n",
        b"text\n\n\xe2\x80\x94 name !!!\n",
        b"text\n\n\xe2\x80\x94 name\n",
    ],
)
def test_what_is_no_note_is_refused(data):
    with pytest.raises(Malformed):
        note.verify(data, [pinned()])


def test_one_signature_has_one_spelling():
    """Base64 leaves bits of its last character unused: another character there is another note."""
    assert SIGNED.endswith(b"=\n")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = SIGNED[-3] if SIGNED[-4:-2] != b"==" else SIGNED[-4]
    with pytest.raises(Malformed):
        note.parse(SIGNED[:-3] + bytes([alphabet[alphabet.index(last) ^ 1]]) + SIGNED[-2:])


def test_every_flipped_bit_of_a_note_is_noticed():
    for at in range(len(SIGNED) * 8):
        data = bytearray(SIGNED)
        data[at // 8] ^= 1 << at % 8
        with pytest.raises(VerificationFailed):
            note.verify(bytes(data), [pinned()])


TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_any_printable_text_is_signed_and_read_back(lines):
    text = "".join(f"{line}\n" for line in lines)
    assert note.verify(note.sign(text, "log.example", signer()), [pinned()]).text == text


LINE = TEXT.filter(bool)
CHECKPOINTS = st.builds(
    Checkpoint,
    origin=LINE,
    size=st.integers(0, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    extensions=st.lists(LINE, max_size=3).map(tuple),
)


@given(CHECKPOINTS)
def test_a_checkpoint_is_read_back(checkpoint):
    assert note.parse_checkpoint(checkpoint.text()) == checkpoint


@given(CHECKPOINTS, CHECKPOINTS, st.sampled_from(["origin", "size", "root", "extensions"]))
def test_no_field_of_a_signed_checkpoint_can_be_another(checkpoint, other, field):
    data = note.sign(checkpoint.text(), "log.example", signer())
    changed = {f: getattr(checkpoint, f) for f in checkpoint.__struct_fields__}
    changed[field] = getattr(other, field)
    forged = Checkpoint(**changed)
    if forged != checkpoint:
        (signature,) = note.parse(data).signatures
        with pytest.raises(BadSignature):
            note.verify(Note(forged.text(), (signature,)).encode(), [pinned()])


ENCODED = base64.b64encode(ROOT).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n1\n",
        f"origin\n1\n{ENCODED}",
        f"\n1\n{ENCODED}\n",
        f"origin\n01\n{ENCODED}\n",
        f"origin\n-1\n{ENCODED}\n",
        f"origin\n+1\n{ENCODED}\n",
        f"origin\n1 \n{ENCODED}\n",
        f"origin\n\N{ARABIC-INDIC DIGIT ONE}\n{ENCODED}\n",
        f"origin\n{2**63}\n{ENCODED}\n",
        f"origin\n1\n{ENCODED[:-4]}\n",
        f"origin\n1\n{ENCODED}=\n",
        f"origin\n1\n{ENCODED}\n\n",
        f"origin\n1\n{ENCODED}\nextension\n\nextension\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(Malformed):
        note.parse_checkpoint(text)


def test_a_checkpoint_of_another_log_is_refused_under_the_right_key():
    data = note.sign(Checkpoint("other.example", 1, ROOT).text(), "log.example", signer())
    with pytest.raises(BadSignature, match=r"another log"):
        note.verify_checkpoint(data, pinned())
    data = note.sign(Checkpoint("log.example", 1, ROOT).text(), "log.example", signer())
    signed = note.verify_checkpoint(data, pinned())
    assert (signed.size, signed.root, signed.note) == (1, ROOT, data)


@pytest.mark.parametrize(
    "name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\x1fb", "x" * 256, "\ud800"]
)
def test_illegal_key_names_are_refused(name):
    with pytest.raises(Malformed):
        note.verifier(name, signer().public)


def test_p256_notes_verify_and_differ_each_time():
    key = P256Signer()
    one, two = (note.sign("text\n", "log.example", key) for _ in range(2))
    verifier = note.parse_vkey(str(note.verifier("log.example", key.public)))
    assert one != two
    assert note.verify(one, [verifier]).text == note.verify(two, [verifier]).text
    with pytest.raises(BadSignature):
        note.verify(one.replace(b"text", b"test"), [verifier])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 91,
        P256Signer(ec.SECP384R1()).public.data,
        P256Signer().public.data + b"\0",
        Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
    ],
    ids=["empty", "no DER", "other curve", "more bytes", "Ed25519"],
)
def test_other_keys_do_not_pass_for_p256(data):
    with pytest.raises(Malformed):
        note.verifier("log.example", PublicKey(Algorithm.ECDSA_P256, data))


def test_a_short_ed25519_key_is_refused():
    with pytest.raises(Malformed, match="31 bytes"):
        note.verifier("log.example", PublicKey(Algorithm.ED25519, b"x" * 31))
