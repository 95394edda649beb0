"""What a bearer token says, once everything about it was verified. Pure: keys and time come in.

A token is a JWT (RFC 7519) in compact form (RFC 7515 §7.1). In this order:

1. its size and form: three parts, strict base64url, JSON in which no key stands twice;
2. which issuer: the configured one whose name is exactly the claim ``iss``;
3. which algorithm: one of that issuer's list, whatever the header would like;
4. which key: the one key of that issuer that has the header's ``kid`` and is for the algorithm. A
   key in the token, or an address of one (``jwk``, ``jku``, ``x5c``, ``x5u``), is never looked at;
5. the signature (PyJWT);
6. the claims: ``aud``, ``exp``, ``iat``, ``nbf``, ``sub``, and those that the settings require.

Nothing that the token says is repeated in an error: it is the caller's, and may be a secret.
Recommendations of RFC 8725 that this follows: §3.1, 3.2, 3.3, 3.8, 3.9, 3.10, 3.11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from chalicelib.access.issuer import ALGORITHMS, Issuer, matches
from chalicelib.access.key import MAX_KID_CHARACTERS, octets
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from chalicelib.access.key import Key

MAX_TOKEN_CHARACTERS: Final = 16 * 2**10
MAX_HEADER_BYTES: Final = 4 * 2**10
SKEW_SECONDS: Final = 60  # how far an issuer's clock may be from ours
MAX_AUDIENCES: Final = 100
MAX_SUBJECT_CHARACTERS: Final = 1_024  # OpenID Connect Core §2 has 255; pipelines name branches
MAX_INTEGER_BITS: Final = 128
MAX_METHODS: Final = 50

# What each way to sign in proves, where it proves anything by itself. Two that prove different
# things are two factors; a password and a PIN are one. Left out are those that look at the device,
# the place or the network (geo, rba, wia), that say something of the channel (mca) or of presence
# (user), and questions to be answered (kba). Source: RFC 8176 §2.
_KNOWS: Final = frozenset({"pin", "pwd"})
_HAS: Final = frozenset({"hwk", "otp", "pop", "sc", "sms", "swk", "tel"})
_IS: Final = frozenset({"face", "fpt", "iris", "retina", "vbm"})
_FACTORS: Final = (_KNOWS, _HAS, _IS)

# RFC 7519 §5.1, RFC 9068 §2.1. A token for something else, e.g. a logout token, has its own type.
TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})

# One verifier an algorithm: it knows no other, so no header can choose one.
_VERIFIERS: Final = {one: PyJWS(algorithms=[one]) for one in ALGORITHMS}
_PARTS: Final = 3
_AGAIN: Final = "sign in again for a new token"


class Claims(msgspec.Struct, frozen=True):
    """What a verified token says. ``body``: every claim, parsed; ``subject``: its ``sub``.

    ``mfa_at``: when its bearer proved two factors, in seconds since 1970, None if it does not say.
    """

    issuer: Issuer
    subject: str
    body: dict[str, Any]
    mfa_at: int | None = None


def verify(
    token: str,
    issuers: Mapping[str, Issuer],
    keys_of: Callable[[Issuer, str], Sequence[Key]],
    now: datetime,
) -> Claims:
    """The claims of a token of one of ``issuers`` (by name).

    ``keys_of``: an issuer's keys with an id; all of them, for an empty id. Raises: Unauthenticated,
    saying which check failed; what ``keys_of`` raises, where it cannot tell.
    """
    header, body = _parts(token)
    name = body.get("iss")
    issuer = issuers.get(name) if isinstance(name, str) else None
    if issuer is None:
        raise _refused(
            "its issuer is none of those in the settings",
            "[[identity.issuers]] in the settings names the issuers, character by character",
        )
    algorithm, kid = _header(header, issuer)
    fitting = [one for one in keys_of(issuer, kid) if algorithm in one.algorithms]
    if len(fitting) != 1:  # OpenID Connect Core §10.1: where there are several, kid says which
        raise _refused(
            f"{len(fitting) or 'no'} keys of its issuer have its kid and are for its alg, expected "
            "one",
            "sign in again; a new key of an issuer is known within a minute",
        )
    try:
        _VERIFIERS[algorithm].decode_complete(token, fitting[0].public, algorithms=[algorithm])
    except PyJWTError:
        raise _refused("its signature is not its issuer's, or not over these bytes") from None
    _check_audience(body.get("aud"), issuer)
    _check_times(body, issuer, now.timestamp())
    subject = body.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARACTERS:
        raise _refused("it has no sub, or one that is too long")
    for claim, pattern in issuer.claims.items():
        value = scalar(body.get(claim))
        if value is None or not matches(pattern, value):
            raise _refused(f"its claim {claim!r} is not what the settings require")
    return Claims(issuer, subject, body, mfa_at(body, now.timestamp()))


def mfa_at(body: Mapping[str, Any], now: float) -> int | None:
    """When the bearer proved two factors, in seconds since 1970; None where that is not known.

    That is ``auth_time`` where ``amr`` has ``mfa``, or two methods of different factors. What is no
    list of methods or no moment up to now says nothing, and never that there was a second factor.
    Source: OpenID Connect Core §2; RFC 8176 §2.
    """
    methods, at = body.get("amr"), body.get("auth_time")
    if not isinstance(methods, list) or not 0 < len(methods) <= MAX_METHODS:
        return None
    if not all(isinstance(one, str) for one in methods):
        return None
    if not isinstance(at, (int, float)) or isinstance(at, bool) or not 0 < at <= now + SKEW_SECONDS:
        return None
    found = set(methods)
    proved = "mfa" in found or sum(bool(found & one) for one in _FACTORS) > 1
    return int(at) if proved else None


def scalar(value: Any) -> str | None:
    """A claim's text, number or truth value as text; None for anything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= MAX_INTEGER_BITS else None
    return value if isinstance(value, str) else None


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, neither of them verified."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise _refused(f"it is longer than {MAX_TOKEN_CHARACTERS} characters")
    parts = token.split(".")
    if len(parts) != _PARTS:
        raise _refused("it has not the three parts of a signed JWT", "send a JWT")
    try:
        head, body, _ = map(octets, parts)
        if len(head) > MAX_HEADER_BYTES:
            raise _refused(f"its header is larger than {MAX_HEADER_BYTES} bytes")
        header, claims = canon.parse(head), canon.parse(body)
    except Malformed as error:
        raise _refused(f"it is not made as a JWT is: {error.message}") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise _refused("it is not made as a JWT is: header and claims are JSON objects")
    return header, claims


def _header(header: dict[str, Any], issuer: Issuer) -> tuple[str, str]:
    """The algorithm, and the key's id, or nothing."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise _refused("its alg is not one of its issuer's", "algorithms in [[identity.issuers]]")
    if algorithm not in _VERIFIERS:  # the settings hold none such; this one does not rely on that
        raise _refused("its alg is not handled")
    if "crit" in header or "b64" in header:
        raise _refused("its header has crit or b64, and no extension is handled")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise _refused("its typ is not JWT or at+jwt", "send an access token or an ID token")
    kid = header.get("kid")
    if kid is None and "kid" not in header:
        return algorithm, ""
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARACTERS:
        raise _refused("its kid is not text, or too long")
    return algorithm, kid


def _check_audience(audience: Any, issuer: Issuer) -> None:
    """Source: RFC 7519 §4.1.3."""
    audiences = [audience] if isinstance(audience, str) else audience
    if (
        not isinstance(audiences, list)
        or len(audiences) > MAX_AUDIENCES
        or not all(isinstance(one, str) for one in audiences)
        or issuer.audience not in audiences
    ):
        raise _refused(
            "it is for another audience",
            "ask the issuer for a token with the audience of [[identity.issuers]]",
        )


def _check_times(body: dict[str, Any], issuer: Issuer, now: float) -> None:
    """Source: RFC 7519 §4.1.4 to §4.1.6."""
    ends, issued = _moment(body, "exp"), _moment(body, "iat")
    starts = _moment(body, "nbf") if "nbf" in body else issued
    if ends + SKEW_SECONDS <= now:
        raise _refused("it has expired", _AGAIN)
    if issued - SKEW_SECONDS > now:
        raise _refused("it was issued in the future", "compare the clocks of both machines")
    if starts - SKEW_SECONDS > now:
        raise _refused("it is not valid yet", "compare the clocks of both machines")
    if not 0 < ends - issued <= issuer.max_lifetime_seconds:
        raise _refused(
            f"it is valid for longer than {issuer.max_lifetime_seconds} seconds, or for no time",
            "max_lifetime_seconds in [[identity.issuers]]",
        )


def _moment(body: dict[str, Any], name: str) -> float:
    """Seconds since 1970 of a claim that has to be there; fractions are allowed (RFC 7519 §2)."""
    value = body.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**40:
        return value
    raise _refused(f"it has no {name}, or one that is no date")


def _refused(what: str, next_step: str = _AGAIN) -> Unauthenticated:
    return Unauthenticated(f"the token was refused: {what}", next_step=next_step)
