"""Token: a time-stamp response (RFC 3161 §2.4.2) taken apart. Nothing in it is believed yet.

Its form only: which bytes were signed, by whom they claim to be signed, and what they say.
``evidence.timestamp`` verifies. The CMS parts are those of RFC 5652 §5.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import msgspec

from chalicelib.evidence import der
from chalicelib.evidence.der import Fields
from chalicelib.kernel import clock
from chalicelib.kernel.errors import Malformed

MAX_RESPONSE_BYTES: Final = 64 * 2**10
MAX_CERTIFICATES: Final = 16
MAX_SERIAL_BITS: Final = 160  # RFC 3161 §2.4.2: what users must be ready for
MAX_ACCURACY_SECONDS: Final = 86_400

SHA256: Final = "2.16.840.1.101.3.4.2.1"
SHA384: Final = "2.16.840.1.101.3.4.2.2"
SHA512: Final = "2.16.840.1.101.3.4.2.3"
SHA1: Final = "1.3.14.3.2.26"

SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"

_VERSION: Final = 3  # of SignedData, RFC 5652 §5.1: its content is no id-data
_SIGNER_VERSION: Final = 1  # of SignerInfo, RFC 5652 §5.3: named by issuer and serial number
_STATUSES: Final = {
    1: "granted with modifications",
    2: "rejection",
    3: "waiting",
    4: "revocation warning",
    5: "revocation notification",
}
_TIME: Final = re.compile(rb"([0-9]{14})(?:\.([0-9]{0,8}[1-9]))?Z")  # RFC 3161 §2.4.2, genTime
_MAX_TEXT: Final = 200


class Info(msgspec.Struct, frozen=True):
    """What a token says (TSTInfo). ``at`` as in kernel.clock, cut off after the microsecond."""

    policy: str
    hash_algorithm: str
    imprint: bytes
    serial: int
    at: str
    accuracy_microseconds: int | None
    nonce: int | None


class Token(msgspec.Struct, frozen=True):
    """A response that grants a time-stamp. Algorithms are dotted names.

    ``certificates`` are DER, as they are embedded; ``issuer`` is a DER Name. ``certificate_hashes``
    name the signer's certificate in what is signed, each with its algorithm.
    """

    info: Info
    certificates: tuple[bytes, ...]
    issuer: bytes
    serial: int
    digest_algorithm: str
    signature_algorithm: str
    certificate_hashes: tuple[tuple[str, bytes], ...]


def parse(response: bytes) -> Token:
    """The token of a response.

    Raises: Malformed, also where the authority granted none; its reason is in the message.
    """
    if len(response) > MAX_RESPONSE_BYTES:
        raise Malformed(f"a timestamp of {len(response)} bytes; at most {MAX_RESPONSE_BYTES}")
    fields = der.single(response, der.SEQUENCE)
    _check_status(Fields(fields.take(der.SEQUENCE)))
    token = Fields(fields.take(der.SEQUENCE))
    fields.end()
    _expect(token, SIGNED_DATA)
    explicit = Fields(token.take(der.context(0)))
    token.end()
    signed = Fields(explicit.take(der.SEQUENCE))
    explicit.end()
    return _signed_data(signed)


def _check_status(status: Fields) -> None:
    """Return if a token was granted. Raises: Malformed. Source: RFC 3161 §2.4.2, PKIStatusInfo."""
    code = der.integer(status.take(der.INTEGER))
    texts = Fields(status.maybe(der.SEQUENCE) or b"")
    said = []
    while texts:
        said.append(texts.take(der.UTF8_STRING).decode(errors="backslashreplace"))
    failure = status.maybe(der.BIT_STRING)
    status.end()
    if code != 0:
        words = [_STATUSES.get(code, "unknown"), *said]
        if failure:
            bits = range(8 * (len(failure) - 1))
            words += [f"failure {n}" for n in bits if failure[1 + n // 8] & 0x80 >> n % 8]
        raise Malformed(
            f"the authority gave no timestamp: status {code}, {', '.join(words)[:_MAX_TEXT]}",
            next_step="ask another authority, or this one what is wrong",
        )
    if failure is not None:
        raise Malformed("a timestamp that was granted, with a reason why it was not")


def _signed_data(signed: Fields) -> Token:
    if der.integer(signed.take(der.INTEGER)) != _VERSION:
        raise Malformed(f"a timestamp of another CMS version than {_VERSION}")
    digests = Fields(signed.take(der.SET))
    announced = set()
    while digests:
        announced.add(_algorithm(digests.take(der.SEQUENCE)))
    content = Fields(signed.take(der.SEQUENCE))
    _expect(content, TST_INFO)
    info = _info(
        der.single(_only(Fields(content.take(der.context(0))), der.OCTET_STRING), der.SEQUENCE)
    )
    content.end()
    embedded = Fields(signed.maybe(der.context(0)) or b"")
    certificates: list[bytes] = []
    while embedded and len(certificates) < MAX_CERTIFICATES:
        certificates.append(embedded.whole(der.SEQUENCE))
    embedded.end()
    signed.maybe(der.context(1))  # revocation lists: unsigned, and not used
    signer = Fields(_only(Fields(signed.take(der.SET)), der.SEQUENCE))  # RFC 3161: one signer only
    signed.end()

    if der.integer(signer.take(der.INTEGER)) != _SIGNER_VERSION:
        raise Malformed("a timestamp whose signer is not named by issuer and serial number")
    name = Fields(signer.take(der.SEQUENCE))
    issuer = name.whole(der.SEQUENCE)
    serial = der.integer(name.take(der.INTEGER))
    name.end()
    digest = _algorithm(signer.take(der.SEQUENCE))
    if digest not in announced:
        raise Malformed("a timestamp whose signer's digest is not among those announced")
    attributes = _attributes(Fields(signer.take(der.context(0))))
    algorithm = _algorithm(signer.take(der.SEQUENCE))
    signer.take(der.OCTET_STRING)
    signer.maybe(der.context(1))  # unsigned attributes: not used
    signer.end()
    return Token(
        info=info,
        certificates=tuple(certificates),
        issuer=issuer,
        serial=serial,
        digest_algorithm=digest,
        signature_algorithm=algorithm,
        certificate_hashes=_certificate_hashes(attributes),
    )


def _info(fields: Fields) -> Info:
    """TSTInfo. Source: RFC 3161 §2.4.2."""
    if der.integer(fields.take(der.INTEGER)) != 1:
        raise Malformed("a timestamp of another version than 1")
    policy = der.dotted(fields.take(der.OBJECT))
    imprint = Fields(fields.take(der.SEQUENCE))
    algorithm = _algorithm(imprint.take(der.SEQUENCE))
    digest = imprint.take(der.OCTET_STRING)
    imprint.end()
    serial = der.integer(fields.take(der.INTEGER))
    if serial.bit_length() > MAX_SERIAL_BITS:
        raise Malformed(f"a timestamp with a serial number of more than {MAX_SERIAL_BITS} bits")
    at = _time(fields.take(der.GENERALIZED_TIME))
    accuracy = fields.maybe(der.SEQUENCE)
    fields.maybe(der.BOOLEAN)  # ordering: not used
    nonce = fields.maybe(der.INTEGER)
    fields.maybe(der.context(0))  # the authority's name: that of the certificate is used
    _check_extensions(Fields(fields.maybe(der.context(1)) or b""))
    fields.end()
    return Info(
        policy=policy,
        hash_algorithm=algorithm,
        imprint=digest,
        serial=serial,
        at=at,
        accuracy_microseconds=None if accuracy is None else _accuracy(Fields(accuracy)),
        nonce=None if nonce is None else der.integer(nonce),
    )


def _check_extensions(fields: Fields) -> None:
    """Return unless one must be understood; none is. Source: RFC 5280 §4.2, as RFC 3161 has it."""
    while fields:
        extension = Fields(fields.take(der.SEQUENCE))
        name = der.dotted(extension.take(der.OBJECT))
        if extension.maybe(der.BOOLEAN) is not None:  # DER leaves the default, FALSE, out
            raise Malformed(
                f"a timestamp with a critical extension {name}, which is not understood"
            )
        extension.take(der.OCTET_STRING)
        extension.end()


def _attributes(fields: Fields) -> dict[str, bytes]:
    """The one value, with its tag, of each signed attribute. Source: RFC 5652 §5.3, §11."""
    found: dict[str, bytes] = {}
    while fields:
        attribute = Fields(fields.take(der.SEQUENCE))
        name = der.dotted(attribute.take(der.OBJECT))
        values = attribute.take(der.SET)
        attribute.end()
        if name in found:
            raise Malformed(f"a timestamp with two signed attributes {name}")
        found[name] = values
    kind = Fields(found.get(CONTENT_TYPE, b""))
    _expect(kind, TST_INFO)
    kind.end()
    if MESSAGE_DIGEST not in found:
        raise Malformed("a timestamp whose signature does not name the digest of what it signs")
    return found


def _certificate_hashes(attributes: dict[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    """Digests of the signer's certificate. Source: RFC 3161 §2.4.2; RFC 5035 §3, §5; RFC 5816."""
    found = []
    for name, default in ((SIGNING_CERTIFICATE, SHA1), (SIGNING_CERTIFICATE_V2, SHA256)):
        if name not in attributes:
            continue
        value = der.single(attributes[name], der.SEQUENCE)
        first = Fields(Fields(value.take(der.SEQUENCE)).take(der.SEQUENCE))
        algorithm = first.maybe(der.SEQUENCE) if default == SHA256 else None
        found.append(
            (
                default if algorithm is None else _algorithm(algorithm),
                first.take(der.OCTET_STRING),
            )
        )
    if not found:
        raise Malformed("a timestamp whose signature does not name the certificate that it is by")
    return tuple(found)


def _accuracy(fields: Fields) -> int:
    """Accuracy in microseconds. Source: RFC 3161 §2.4.2."""
    seconds = der.integer(fields.maybe(der.INTEGER) or b"\x00")
    millis = der.integer(fields.maybe(der.context_primitive(0)) or b"\x00")
    micros = der.integer(fields.maybe(der.context_primitive(1)) or b"\x00")
    fields.end()
    if not (0 <= seconds <= MAX_ACCURACY_SECONDS and 0 <= millis < 1000 and 0 <= micros < 1000):  # noqa: PLR2004 - RFC 3161: 1 to 999
        raise Malformed(f"a timestamp that is not accurate to {MAX_ACCURACY_SECONDS} seconds")
    return (seconds * 1000 + millis) * 1000 + micros


def _time(content: bytes) -> str:
    found = _TIME.fullmatch(content)
    if found is None:
        raise Malformed("a timestamp whose time is not of the form YYYYMMDDhhmmss[.s…]Z")
    try:
        moment = datetime.strptime(found[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise Malformed(f"a timestamp of a time that never was: {content.decode()}") from None
    fraction = int((found[2] or b"0").ljust(6, b"0")[:6])
    return clock.timestamp(moment.replace(microsecond=fraction))


def _algorithm(content: bytes) -> str:
    """The name in an AlgorithmIdentifier, whose parameters are NULL or none."""
    fields = Fields(content)
    name = der.dotted(fields.take(der.OBJECT))
    if fields.maybe(der.NULL):
        raise Malformed("a DER NULL that is not empty")
    fields.end()
    return name


def _only(fields: Fields, tag: int) -> bytes:
    """The content of the one element that is left."""
    content = fields.take(tag)
    fields.end()
    return content


def _expect(fields: Fields, name: str) -> None:
    found = der.dotted(fields.take(der.OBJECT))
    if found != name:
        raise Malformed(f"not a timestamp: expected content of type {name}, found {found}")
