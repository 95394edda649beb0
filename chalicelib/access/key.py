"""A public key of an issuer, out of a JSON Web Key for signatures (RFC 7517, RFC 7518)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final, TypeAlias

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from chalicelib.kernel.errors import Malformed

MIN_RSA_BITS: Final = 2_048  # RFC 7518 §3.3
MAX_RSA_BITS: Final = 8_192  # what a signature may cost to verify
MIN_EXPONENT: Final = 2**16 + 1  # FIPS 186-5 §A.1.1; with 1, anybody can sign
MAX_EXPONENT_BITS: Final = 256
MAX_KID_CHARACTERS: Final = 256
ED25519_BYTES: Final = 32

# RFC 7518 §6.2.2, §6.3.2, §6.4.1: the members that hold what signs.
PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_CURVES: Final[dict[str, tuple[type[ec.EllipticCurve], int, str]]] = {
    "P-256": (ec.SECP256R1, 32, "ES256"),
    "P-384": (ec.SECP384R1, 48, "ES384"),
}
_RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})

Public: TypeAlias = RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey


class Key(msgspec.Struct, frozen=True):
    """A public key, its id (empty where it has none), and the algorithms that it may verify."""

    kid: str
    algorithms: frozenset[str]
    public: Public


def parse(jwk: Any) -> Key:
    """The key of one JWK.

    Its ``kty`` and ``crv`` decide which algorithms it is for; ``alg``, ``use`` and ``key_ops`` can
    only narrow that. Raises: Malformed: symmetric, private, weak, of another use, or not a JWK.
    """
    if not isinstance(jwk, dict):
        raise Malformed("a JWK is a JSON object")
    if PRIVATE & jwk.keys():
        raise Malformed("a JWK with private or symmetric key material")
    kid = jwk.get("kid", "")
    if not isinstance(kid, str) or len(kid) > MAX_KID_CHARACTERS:
        raise Malformed(f"a JWK's kid is text of at most {MAX_KID_CHARACTERS} characters")
    if jwk.get("use", "sig") != "sig":
        raise Malformed("a JWK that is not for signatures")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise Malformed("a JWK that is not to verify with")
    public, algorithms = _public(jwk)
    if "alg" in jwk:
        algorithms = frozenset(one for one in algorithms if one == jwk["alg"])
    if not algorithms:
        raise Malformed("a JWK whose alg is not one of its kty and crv")
    return Key(kid, algorithms, public)


def material(jwk: dict[str, Any]) -> tuple[str, ...]:
    """What tells one JWK's key pair from another's: the public members, as they are written."""
    return tuple(str(jwk.get(name, "")) for name in ("kty", "crv", "n", "x", "y"))


def octets(text: Any) -> bytes:
    """The bytes of base64url without padding. Raises: Malformed, for any second encoding of them.

    Source: RFC 7515 §2, RFC 4648 §3.5: the bits that are left over are zero.
    """
    if isinstance(text, str) and _BASE64URL.fullmatch(text):
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except binascii.Error:
            data = b""
        if base64.urlsafe_b64encode(data).rstrip(b"=") == text.encode():
            return data
    raise Malformed("not base64url without padding")


def _public(jwk: dict[str, Any]) -> tuple[Public, frozenset[str]]:
    kind, curve = jwk.get("kty"), jwk.get("crv")
    try:
        if kind == "RSA":
            return _rsa(octets(jwk.get("n")), octets(jwk.get("e"))), _RSA
        if kind == "EC" and isinstance(curve, str) and curve in _CURVES:
            shape, size, algorithm = _CURVES[curve]
            x, y = octets(jwk.get("x")), octets(jwk.get("y"))
            if len(x) != size or len(y) != size:  # RFC 7518 §6.2.1.2: the full size of a coordinate
                raise Malformed(f"a coordinate of {curve} has {size} bytes")
            numbers = ec.EllipticCurvePublicNumbers(
                int.from_bytes(x, "big"), int.from_bytes(y, "big"), shape()
            )
            return numbers.public_key(), frozenset({algorithm})
        if kind == "OKP" and curve == "Ed25519":
            return Ed25519PublicKey.from_public_bytes(octets(jwk.get("x"))), frozenset({"EdDSA"})
    except ValueError:  # off the curve, of another length
        raise Malformed("a JWK whose numbers are no key") from None
    raise Malformed("a JWK of a kty and crv that are not handled")


def _rsa(modulus: bytes, exponent: bytes) -> RSAPublicKey:
    n, e = int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big")
    if not MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS:
        raise Malformed(f"an RSA key of {n.bit_length()} bits; expected at least {MIN_RSA_BITS}")
    if not MIN_EXPONENT <= e < 2**MAX_EXPONENT_BITS or e % 2 == 0:
        raise Malformed("an RSA key whose exponent is even, or below 65537")
    return RSAPublicNumbers(e, n).public_key()
