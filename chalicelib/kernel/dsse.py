"""DSSE envelopes around in-toto Statements: what people sign for, as bytes.

Source: DSSE protocol v1.0.2 (secure-systems-lab), in-toto Attestation Framework v1.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.kernel import canon
from chalicelib.kernel.errors import BadSignature, Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.kernel.signing import PublicKey, Signer

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_ENVELOPE_BYTES = 4 * 2**20
MAX_SIGNATURES = 32


class Signature(msgspec.Struct, frozen=True):
    """One signature of an envelope, base64; ``keyid`` is a hint and is never trusted."""

    sig: str
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """The JSON form: base64 payload, its type, and the signatures over both."""

    payload: str
    payload_type: str
    signatures: list[Signature]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed. Source: DSSE protocol, "Signature Definition", PAE."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(statement: Mapping[str, Any], signer: Signer, keyid: str) -> bytes:
    """The envelope (canonical JSON) over a statement, signed once."""
    payload = canon.encode(dict(statement))
    signature = signer.sign(pre_authentication_encoding(PAYLOAD_TYPE, payload))
    return canon.encode(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
        }
    )


def open_sealed(data: bytes, trusted: Mapping[str, PublicKey]) -> tuple[dict[str, Any], str]:
    """The statement inside an envelope, and the name of the trusted key that signed it.

    ``trusted`` maps key names to keys; every key is tried, whatever the hint says. The payload is
    parsed only after a signature verified. Raises: Malformed; BadSignature.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise Malformed(f"an envelope of {len(data)} bytes; at most {MAX_ENVELOPE_BYTES} are read")
    try:
        envelope = msgspec.convert(canon.parse(data), Envelope)
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [base64.b64decode(one.sig, validate=True) for one in envelope.signatures]
    except (msgspec.ValidationError, binascii.Error) as error:
        raise Malformed(f"not a DSSE envelope: {error}") from None
    if envelope.payload_type != PAYLOAD_TYPE or len(signatures) > MAX_SIGNATURES:
        raise Malformed(f"not a DSSE envelope over {PAYLOAD_TYPE} with at most 32 signatures")
    message = pre_authentication_encoding(envelope.payload_type, payload)
    for name, key in trusted.items():
        for signature in signatures:
            if _verifies(key, signature, message):
                statement = canon.parse(payload)
                if not isinstance(statement, dict) or statement.get("_type") != STATEMENT_TYPE:
                    raise Malformed(f"the payload is not an in-toto statement ({STATEMENT_TYPE})")
                return statement, name
    raise BadSignature(
        f"no signature by a trusted key; trusted: {', '.join(trusted) or 'none'}; "
        f"the envelope names {_hints(envelope)}"
    )


def _verifies(key: PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except BadSignature:
        return False
    return True


def _hints(envelope: Envelope) -> str:
    return ", ".join(repr(one.keyid[:80]) for one in envelope.signatures) or "none"
