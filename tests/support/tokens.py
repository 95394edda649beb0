"""Tokens as issuers make them, and as attackers do: real keys, and every part by hand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

NOW = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
ISSUER = "https://id.example.com/tenant"
AUDIENCE = "holdfast"
KID = "k1"
_HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


class Clock:
    def __init__(self, now=NOW):
        self.at = now

    def now(self):
        return self.at

    def pass_(self, **much):
        self.at += timedelta(**much)


@cache
def rsa_key(number=0, bits=2_048):
    return rsa.generate_private_key(65_537, bits)


@cache
def ec_key(number=0, curve=ec.SECP256R1):
    return ec.generate_private_key(curve())


@cache
def ed_key(number=0):
    return Ed25519PrivateKey.generate()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def jwk(key, kid=KID, *, private=False, **more):
    """The JWK of a private key's public half, or of all of it."""
    if isinstance(key, rsa.RSAPrivateKey):
        one = key.public_key().public_numbers()
        made = {"kty": "RSA", "n": number(one.n), "e": number(one.e)}
        secret = number(key.private_numbers().d) if private else None
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        one, size = key.public_key().public_numbers(), (key.key_size + 7) // 8
        names = {"secp256r1": "P-256", "secp384r1": "P-384", "secp256k1": "secp256k1"}
        made = {"kty": "EC", "crv": names[key.curve.name]}
        made |= {"x": number(one.x, size), "y": number(one.y, size)}
        secret = number(key.private_numbers().private_value, size)
    else:
        made = {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}
        secret = b64(key.private_bytes_raw())
    return made | ({"d": secret} if private else {}) | ({"kid": kid} if kid else {}) | more


def claims(**more):
    """A token's claims, good for an hour from a minute before NOW; None leaves one out."""
    at = int(NOW.timestamp())
    found = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ana", "iat": at - 60, "exp": at + 3_540} | more
    return {name: value for name, value in found.items() if value is not None}


def signature(data, alg, key):
    digest = _HASHES.get(alg[2:])
    if alg.startswith("HS"):
        return hmac.digest(key, data, getattr(hashlib, f"sha{alg[2:]}"))
    if alg.startswith("RS"):
        return key.sign(data, padding.PKCS1v15(), digest())
    if alg.startswith("PS"):
        pss = padding.PSS(padding.MGF1(digest()), digest().digest_size)
        return key.sign(data, pss, digest())
    if alg.startswith("ES"):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest())))
        size = (key.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return key.sign(data)


def token(key, alg="RS256", body=None, *, by=None, **header):
    """A token; ``by``: the algorithm that really signs; None leaves a header out."""
    head = {"alg": alg, "kid": KID, "typ": "JWT"} | header
    head = {name: value for name, value in head.items() if value is not None}
    text = json.dumps(claims() if body is None else body)
    return raw(
        json.dumps(head).encode(), text.encode(), lambda data: signature(data, by or alg, key)
    )


def raw(head, body, sign):
    """A token of these bytes, signed whatever they are."""
    data = f"{b64(head)}.{b64(body)}"
    return f"{data}.{b64(sign(data.encode()))}"
