"""The issuer: whose tokens are believed, for what, and what they may say."""

from __future__ import annotations

import urllib.parse
from typing import Final

import msgspec

from chalicelib.access.principal import Kind

# Asymmetric ones only: whoever verifies never holds what signs. Source: RFC 7518 §3.1, RFC 8037.
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
)

LOCAL: Final = "holdfast:local:"  # begins the name of the issuer of one machine, and no URL
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Issuer(msgspec.Struct, frozen=True):
    """One issuer, as the settings have it; ``issuer`` is compared character by character.

    ``claims``: patterns that claims of a token must match. ``names``: patterns of the names that it
    may give, all if empty. ``local``: the issuer of one machine, whose tokens also say the kind,
    the roles and how the name is known; nothing in the settings makes an issuer so.
    """

    issuer: str
    audience: str
    kind: Kind = Kind.PERSON
    jwks_uri: str = ""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    name_claim: str = "sub"
    groups_claim: str = ""
    groups: tuple[str, ...] = ()
    claims: dict[str, str] = {}
    names: tuple[str, ...] = ()
    max_lifetime_seconds: int = 86_400
    local: bool = False


def matches(pattern: str, text: str) -> bool:
    """Whether all of ``text`` is the pattern's, ``*`` for any characters, also none.

    Takes time in proportion to the text, whatever the pattern: the text is the caller's.
    """
    head, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    tail = rest.pop()
    if not text.startswith(head) or not text.endswith(tail) or len(text) < len(head) + len(tail):
        return False
    place, end = len(head), len(text) - len(tail)
    for part in rest:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def secure(url: str, *, loopback: bool = False) -> bool:
    """Whether keys may be fetched from a URL: over TLS, or, if ``loopback``, from this machine."""
    try:
        found = urllib.parse.urlsplit(url)
        host, _ = found.hostname, found.port
    except ValueError:
        return False
    if not host or found.username is not None or found.fragment or "#" in url:
        return False
    return found.scheme == "https" or (loopback and found.scheme == "http" and host in LOOPBACK)
