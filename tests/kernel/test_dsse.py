from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel import canon, dsse
from chalicelib.kernel.errors import BadSignature, Malformed
from chalicelib.kernel.signing import Algorithm, PublicKey


class Ed25519:
    def __init__(self):
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.public = PublicKey(Algorithm.ED25519, self.key.public_key().public_bytes_raw())

    def sign(self, message):
        return self.key.sign(message)


class P256:
    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        encoded = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public = PublicKey(Algorithm.ECDSA_P256, encoded)

    def sign(self, message):
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))


STATEMENT = {"_type": dsse.STATEMENT_TYPE, "subject": [], "predicateType": "x", "predicate": {}}


def test_pre_authentication_encoding_of_the_protocol():
    # The example of the DSSE protocol's document.
    assert (
        dsse.pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@pytest.mark.parametrize("kind", [Ed25519, P256])
def test_a_sealed_statement_opens_with_its_key(kind):
    signer = kind()
    sealed = dsse.seal(STATEMENT, signer, "k")
    assert dsse.open_sealed(sealed, {"k": signer.public}) == (STATEMENT, "k")


def test_the_key_hint_is_not_trusted():
    signer = Ed25519()
    sealed = dsse.seal(STATEMENT, signer, "somebody else")
    assert dsse.open_sealed(sealed, {"a": Ed25519().public, "b": signer.public})[1] == "b"


def test_no_trusted_key_refuses():
    sealed = dsse.seal(STATEMENT, Ed25519(), "k")
    with pytest.raises(BadSignature, match="trusted: k"):
        dsse.open_sealed(sealed, {"k": Ed25519().public})
    with pytest.raises(BadSignature, match="trusted: none"):
        dsse.open_sealed(sealed, {})


@given(st.data())
def test_no_bit_of_payload_or_signature_can_change(data):
    signer = Ed25519()
    value = json.loads(dsse.seal(STATEMENT, signer, "k"))
    where = data.draw(st.sampled_from(["payload", "sig"]))
    holder = value if where == "payload" else value["signatures"][0]
    raw = bytearray(base64.b64decode(holder[where]))
    place = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[place // 8] ^= 1 << place % 8
    holder[where] = base64.b64encode(raw).decode()
    with pytest.raises(BadSignature):
        dsse.open_sealed(canon.encode(value), {"k": signer.public})


@pytest.mark.parametrize(
    "change",
    [
        {"payloadType": "application/json"},
        {"payload": "***"},
        {"signatures": [{"sig": "AA==", "keyid": "k"}] * 33},
        {"signatures": "none"},
    ],
)
def test_another_envelope_is_malformed(change):
    signer = Ed25519()
    value = {**json.loads(dsse.seal(STATEMENT, signer, "k")), **change}
    with pytest.raises(Malformed):
        dsse.open_sealed(canon.encode(value), {"k": signer.public})


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"x" * (dsse.MAX_ENVELOPE_BYTES + 1)])
def test_bytes_that_are_no_envelope_are_malformed(data):
    with pytest.raises(Malformed):
        dsse.open_sealed(data, {})


@pytest.mark.parametrize("statement", [{"_type": "https://in-toto.io/Statement/v0.1"}, {}])
def test_another_statement_is_malformed(statement):
    signer = Ed25519()
    with pytest.raises(Malformed, match="in-toto"):
        dsse.open_sealed(dsse.seal(statement, signer, "k"), {"k": signer.public})
