from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.errors import BadSignature, Malformed, VerificationFailed
from chalicelib.kernel.signing import Algorithm, PublicKey

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(32))
P256 = ec.derive_private_key(12_345, ec.SECP256R1())


def spki(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


KEYS = {
    "ed25519": (
        PublicKey(Algorithm.ED25519, ED25519.public_key().public_bytes_raw()),
        ED25519.sign,
    ),
    "p256": (
        PublicKey(Algorithm.ECDSA_P256, spki(P256)),
        lambda message: P256.sign(message, ec.ECDSA(hashes.SHA256())),
    ),
}


@pytest.mark.parametrize("name", KEYS)
@given(st.binary(max_size=100), st.integers(0, 2**16))
def test_a_signature_verifies_and_no_changed_one_does(name, message, at):
    key, sign = KEYS[name]
    signature = sign(message)
    key.verify(signature, message)
    at %= len(signature) * 8  # the length of an ECDSA signature varies
    changed = bytearray(signature)
    changed[at // 8] ^= 1 << at % 8
    for wrong, said in ((bytes(changed), message), (signature, message + b"x"), (b"", message)):
        with pytest.raises(BadSignature):
            key.verify(wrong, said)


def test_a_published_ed25519_signature_verifies():
    """RFC 8032 §7.1, test 2."""
    key = PublicKey(
        Algorithm.ED25519,
        bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
    )
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key.verify(signature, b"\x72")


@pytest.mark.parametrize(
    ("algorithm", "data"),
    [
        (Algorithm.ED25519, b""),
        (Algorithm.ED25519, b"x" * 33),
        (Algorithm.ECDSA_P256, b""),
        (Algorithm.ECDSA_P256, b"x" * 91),
        (Algorithm.ECDSA_P256, spki(ec.generate_private_key(ec.SECP384R1()))),
        (Algorithm.ECDSA_P256, spki(ED25519)),
        (Algorithm.ECDSA_P256, spki(rsa.generate_private_key(65_537, 2_048))),
    ],
)
def test_what_is_no_key_of_its_algorithm_is_malformed(algorithm, data):
    with pytest.raises(Malformed):
        PublicKey(algorithm, data).verify(b"x" * 64, b"")


def test_a_key_of_one_algorithm_verifies_nothing_as_the_other():
    for key, sign in KEYS.values():
        for algorithm in Algorithm:
            if algorithm is not key.algorithm:
                with pytest.raises(VerificationFailed):
                    PublicKey(algorithm, key.data).verify(sign(b"x"), b"x")
