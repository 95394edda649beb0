"""Secrets that are recognised by their form: tokens of known issuers, keys, password hashes.

Nothing is tried against anything, and none of these functions raises.
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import urlsafe_b64decode
from collections import Counter
from typing import Final

import msgspec

# Each has a fixed beginning and a bounded rest. Sources: AWS, "IAM identifiers"; GitHub, "Behind
# GitHub's new authentication token formats"; the key formats that GitLab, Slack, Stripe, Google,
# OpenAI, Anthropic, SendGrid, npm, PyPI, Hugging Face and age document.
_ISSUED = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"A(?:KIA|SIA)[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|AGE-SECRET-KEY-1[0-9A-Z]{50,60}"
    r"|gh[opusr]_[0-9A-Za-z]{36,255}|github_pat_[0-9A-Za-z_]{22,255}|glpat-[0-9A-Za-z_-]{20,64}"
    r"|xox[abeprs]-[0-9A-Za-z-]{10,250}|xapp-[0-9A-Za-z-]{10,250}"
    r"|[sr]k_(?:live|test)_[0-9A-Za-z]{16,250}|whsec_[0-9A-Za-z]{16,250}"
    r"|sk-(?:ant-|proj-)?[0-9A-Za-z_-]{32,250}|SG\.[0-9A-Za-z_-]{16,40}\.[0-9A-Za-z_-]{16,64}"
    r"|npm_[0-9A-Za-z]{36}|pypi-[0-9A-Za-z_-]{32,250}|hf_[0-9A-Za-z]{30,64}"
    r")(?![0-9A-Za-z])"
)
_PEM = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_JWT = re.compile(r"(eyJ[0-9A-Za-z_-]{8,2000})\.([0-9A-Za-z_-]{2,8000})\.[0-9A-Za-z_-]{0,2000}")
# Beginnings of hashes of passwords. Sources: crypt(5); the PHC string format; PostgreSQL, §53.8
# pg_authid; the password storage of Django, Werkzeug, phpass and OpenLDAP (RFC 3112).
_HASH = re.compile(
    r"\$2[abxy]?\$[0-9]{2}\$[./0-9A-Za-z]{53}|\$argon2(?:id|i|d)\$|\$scrypt\$|\$7\$|scrypt[:$]"
    r"|\$pbkdf2|pbkdf2[_:]sha(?:1|256|512)[:$]|\$(?:1|5|6|y|gy|md5|sha1)\$|\$[PH]\$[./0-9A-Za-z]{31}"
    r"|SCRAM-SHA-256\$[0-9]{1,9}:|md5[0-9a-f]{32}\Z|argon2\$|bcrypt(?:_sha256)?\$"
    r"|\{(?:S?SHA(?:256|512)?|S?MD5|CRYPT|PBKDF2[A-Z0-9-]{0,8})\}"
)
_URL_PASSWORD = re.compile(
    r"[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,64}:[^\s/@]{1,128}@", re.IGNORECASE
)
_TOKEN = re.compile(r"[0-9A-Za-z+/_=-]{20,512}")
_DIGEST = re.compile(r"[0-9a-f]{32,128}|[0-9A-F]{32,128}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Bits a character, of the text's own distribution. Words and paths of 20 characters and more have
# 3 to 3.8; random base64 of that length has 4 and more, rising with the length.
_TOKEN_BITS: Final = 3.9


def issued(text: str) -> bool:
    """Whether a token of a known issuer, a private key or a URL with a password is in it."""
    return bool(_ISSUED.search(text) or _PEM.search(text) or _with_password(text))


def _with_password(text: str) -> bool:
    at = text.find("://")
    return at > 0 and bool(_URL_PASSWORD.search(text[max(0, at - 21) :]))


def jwt(text: str) -> bool:
    """Whether it is a JSON Web Token: its header is an object with ``alg``. Source: RFC 7519 §5."""
    found = _JWT.fullmatch(text)
    if found is None:
        return False
    try:
        header = msgspec.json.decode(urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)))
    except (binascii.Error, msgspec.DecodeError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def hashed(text: str) -> bool:
    """Whether it is the hash of a password, in a form that says so."""
    return bool(_HASH.match(text))


def digest(text: str) -> bool:
    """Whether it is hexadecimal of 16 bytes or more: a digest, a key, a token."""
    return bool(_DIGEST.fullmatch(text))


def token(text: str) -> bool:
    """Whether it looks random: 20 characters and more, of all sorts, no UUID and no digest."""
    if not _TOKEN.fullmatch(text) or _UUID.fullmatch(text) or _DIGEST.fullmatch(text):
        return False
    if text.isalpha() or text.isdecimal() or text.islower() or text.isupper():
        return False
    return entropy(text) >= _TOKEN_BITS


def entropy(text: str) -> float:
    """Bits a character, by how often each is there. Source: Shannon 1948, §6."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
