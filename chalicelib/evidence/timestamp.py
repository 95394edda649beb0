"""Timestamp: an authority's word for when a checkpoint was there at the latest (RFC 3161).

What is dated is the SHA-256 of a locked checkpoint's note, byte for byte, log signature included.
Nothing here speaks to anybody but through the port that is passed in.

A response is verified in these steps; a number in the code is a step here.

1. *Form.* The response is DER of at most 64 KiB, grants a token, and has one signer, named by
   issuer and serial number, whose signed attributes name the content's type and digest and the
   signer's certificate (``evidence.token``). It has no critical extension.
2. *Imprint.* It is the SHA-256 of the note.
3. *Nonce*, for a fresh answer: the one that was sent.
4. *Signature and path*, by OpenSSL through rfc3161-client: the signature over the attributes, their
   digest over the content, and a path from the signer's certificate over the embedded ones to a
   pinned root, each valid at the token's time and the signer's fit for time-stamping.
5. *Signer*: the one embedded certificate of that issuer and serial number. Its extendedKeyUsage is
   critical and is timeStamping alone (RFC 3161 §2.3); it is the certificate that the attributes
   name by digest (ESSCertID, ESSCertIDv2: RFC 5035, RFC 5816). Digest and key are no weaker than
   SHA-256, RSA of 2,048 bits and P-256; nor are those of any embedded certificate but for the
   digest of one that is its own issuer's.
6. *Future.* The time is not more than MAX_AHEAD after the verifier's clock, where one is given.

rfc3161-client itself looks neither at the attributes that name the type and the certificate, nor at
how strong the algorithms are; it allows purposes beside timeStamping that OpenSSL has no name for;
and of two embedded certificates with the signer's name it may look at another than OpenSSL does.
Hence steps 1 and 5. Nobody asks whether a certificate was revoked: that needs a network.

What no signature covers, and so may differ between two responses that verify alike: the status
text, by which of its two names RSA is called, NULL or no parameters of an algorithm, certificates
that the path does not need, revocation lists, and unsigned attributes. A stored response is named
by the digest of all its bytes.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import rfc3161_client
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from chalicelib.evidence import anchor, der, token
from chalicelib.kernel import canon, clock
from chalicelib.kernel.errors import (
    BadSignature,
    DigestMismatch,
    HoldfastError,
    Malformed,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.evidence.anchor import Post
    from chalicelib.evidence.token import Token
    from chalicelib.kernel.store import WriteOnce

QUERY: Final = "application/timestamp-query"  # RFC 3161 §3.4
REPLY: Final = "application/timestamp-reply"
NONCE_BITS: Final = 64
MAX_AHEAD: Final = timedelta(minutes=5)  # of an authority's clock before the verifier's
MAX_ROOTS_BYTES: Final = 256 * 2**10
MAX_ROOTS: Final = 64
MIN_RSA_BITS: Final = 2_048

_OK: Final = 200
_DIGESTS: Final = {token.SHA256: "sha256", token.SHA384: "sha384", token.SHA512: "sha512"}
_RSA: Final = "1.2.840.113549.1.1.1"
# RFC 8017 Appendix A.2.4 and RFC 5758 §3.2: what RSA and ECDSA are called with each digest.
_RSA_WITH: Final = {
    token.SHA256: "1.2.840.113549.1.1.11",
    token.SHA384: "1.2.840.113549.1.1.12",
    token.SHA512: "1.2.840.113549.1.1.13",
}
_ECDSA_WITH: Final = {
    token.SHA256: "1.2.840.10045.4.3.2",
    token.SHA384: "1.2.840.10045.4.3.3",
    token.SHA512: "1.2.840.10045.4.3.4",
}
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_MAX_REASON: Final = 300
# What OpenSSL says, most telling first; else the message of rfc3161-client is all there is.
_REASONS: Final = (re.compile(r'Verify error: ([^"\n]+)'), re.compile(r'reason: "([^"]+)"'))


class Stamp(msgspec.Struct, frozen=True):
    """A time that an authority vouches for.

    ``at`` as in kernel.clock; ``accuracy_microseconds`` is None where the authority states none.
    ``authority`` is the subject of its certificate (RFC 4514); ``serial`` are decimal digits, and
    ``policy`` is the dotted name under which it works.
    """

    at: str
    accuracy_microseconds: int | None
    authority: str
    serial: str
    policy: str


def request(note: bytes, nonce: int) -> bytes:
    """The DER TimeStampReq for a note: its SHA-256, the nonce, and "send your certificates".

    ``nonce``: 1 to 64 bits, by chance. Source: RFC 3161 §2.4.1.
    """
    if not 0 < nonce < 1 << NONCE_BITS:
        raise ValueError(f"a nonce has 1 to {NONCE_BITS} bits")
    algorithm = der.encode(der.SEQUENCE, der.encode_object(token.SHA256), der.encode(der.NULL))
    digest = der.encode(der.OCTET_STRING, hashlib.sha256(note).digest())
    return der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SEQUENCE, algorithm, digest),
        der.encode_integer(nonce),
        der.encode(der.BOOLEAN, b"\xff"),
    )


def fetch(
    post: Post, url: str, note: bytes, *, nonce: int, roots: Sequence[bytes], at: datetime
) -> tuple[bytes, Stamp]:
    """A fresh response of the authority for a note, verified, and what it says.

    Raises: Unreachable; VerificationFailed, as :func:`accept`.
    """
    answer = post(url, request(note, nonce), QUERY)
    if answer.status != _OK:
        raise Unreachable(
            f"{url} answered with HTTP status {answer.status}; expected {_OK}",
            next_step="try again later, or ask another authority",
        )
    kind = answer.content_type.partition(";")[0].strip().lower()
    if kind != REPLY:
        raise Malformed(f"{url} answered with {kind[:80]!r}; expected {REPLY}")
    return answer.body, accept(answer.body, note, nonce, roots, at)


def accept(
    response: bytes, note: bytes, nonce: int, roots: Sequence[bytes], at: datetime | None = None
) -> Stamp:
    """What a fresh response to :func:`request` says.

    Raises: as :func:`verify`; BadSignature, for an answer to another request.
    """
    return _verify(response, note, roots, at, nonce)


def verify(
    response: bytes, note: bytes, roots: Sequence[bytes], at: datetime | None = None
) -> Stamp:
    """What a stored response says about a note, by the pinned certificates of :func:`roots`.

    ``at``: the verifier's time; without it no time is too late. No network. Raises: Malformed, also
    for a refusal; DigestMismatch, for a timestamp of something else; BadSignature.
    """
    return _verify(response, note, roots, at, None)


def stored(writeonce: WriteOnce, size: int) -> Iterator[bytes]:
    """The stored responses over one checkpoint, unverified, in the order of their names.

    Raises: DigestMismatch, where one is not what its name says; Malformed, for a name of another
    form; StoreUnavailable.
    """
    for key in anchor.timestamps(writeonce, size):
        place = anchor.place(key)
        if place is None:
            raise Malformed(f"{key} is not the name of a timestamp")
        data = writeonce.get(key)
        if canon.sha256(data) != place.name:
            raise DigestMismatch(f"{key} holds bytes with SHA-256 {canon.sha256(data)}")
        yield data


def keep(writeonce: WriteOnce, size: int, response: bytes) -> str:
    """Lock a verified response over the checkpoint of ``size`` leaves; its key.

    Raises: StoreUnavailable.
    """
    key = anchor.timestamp_key_of(size, response)
    writeonce.put(key, response)
    return key


def roots(data: bytes) -> tuple[bytes, ...]:
    """The certificates (DER) of a PEM file: roots, and intermediates that a token may leave out.

    Only a certificate that is its own issuer's is believed for its own sake. Raises: Malformed,
    also for a file without such a one.
    """
    if len(data) > MAX_ROOTS_BYTES:
        raise Malformed(f"a file of roots of {len(data)} bytes; at most {MAX_ROOTS_BYTES}")
    with _translated("not a PEM file of certificates"):
        found = x509.load_pem_x509_certificates(data)
        ders = tuple(one.public_bytes(Encoding.DER) for one in found)
        anchors = [one for one in found if one.subject == one.issuer]
    if not 0 < len(ders) <= MAX_ROOTS or len(set(ders)) != len(ders):
        raise Malformed(f"a file of roots has 1 to {MAX_ROOTS} certificates, each once")
    if not anchors:
        raise Malformed(
            "a file of roots without a root: no certificate in it is its own issuer's",
            next_step="take the authority's root certificate into it",
        )
    return ders


def _verify(
    response: bytes, note: bytes, pinned: Sequence[bytes], at: datetime | None, nonce: int | None
) -> Stamp:
    found = token.parse(response)  # step 1
    info = found.info
    imprint = hashlib.sha256(note).digest()
    if info.hash_algorithm != token.SHA256 or info.imprint != imprint:  # step 2
        raise DigestMismatch(
            f"a timestamp of something else: expected SHA-256 {imprint.hex()}, "
            f"observed {info.imprint.hex()[:128]}"
        )
    if nonce is not None and info.nonce != nonce:  # step 3
        raise BadSignature(
            "a timestamp that answers another request: its nonce is not the one that was sent",
            next_step="ask again; an answer was replayed, or the authority ignores nonces",
        )
    _check_path(response, imprint, pinned)  # step 4
    signer = _signer(found)  # step 5
    if at is not None and clock.parse_timestamp(info.at) > at + MAX_AHEAD:  # step 6
        raise BadSignature(
            f"a timestamp of the future: {info.at}, and it is {clock.timestamp(at)}",
            next_step="correct this machine's clock, or ask another authority",
        )
    return Stamp(
        at=info.at,
        accuracy_microseconds=info.accuracy_microseconds,
        authority=signer.subject.rfc4514_string(),
        serial=str(info.serial),
        policy=info.policy,
    )


def _check_path(response: bytes, imprint: bytes, pinned: Sequence[bytes]) -> None:
    """Step 4. Raises: BadSignature; Malformed."""
    with _translated("a timestamp that cannot be verified"):
        certificates = [x509.load_der_x509_certificate(one) for one in pinned]
        verifier = rfc3161_client.VerifierBuilder(
            roots=[one for one in certificates if one.subject == one.issuer],
            intermediates=[one for one in certificates if one.subject != one.issuer],
        ).build()
        verifier.verify(rfc3161_client.decode_timestamp_response(response), imprint)


def _signer(found: Token) -> x509.Certificate:
    """Step 5: the certificate of the token's signer. Raises: BadSignature; Malformed."""
    with _translated("a timestamp with a certificate that cannot be read"):
        certificates = [x509.load_der_x509_certificate(one) for one in found.certificates]
        signers = [
            one
            for one in certificates
            if one.issuer.public_bytes() == found.issuer and one.serial_number == found.serial
        ]
        if len(signers) != 1:
            raise BadSignature(
                f"a timestamp with {len(signers)} certificates of its signer; expected 1"
            )
        [signer] = signers
        _check_usage(signer)
        _check_strength(found, signer, certificates)
        encoded = signer.public_bytes(Encoding.DER)
    for algorithm, digest in found.certificate_hashes:
        if _digest(algorithm, encoded) != digest:
            raise BadSignature("a timestamp whose signature names another certificate than its own")
    return signer


def _check_usage(signer: x509.Certificate) -> None:
    """Raises: BadSignature. Source: RFC 3161 §2.3."""
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        raise BadSignature("the signer's certificate is not for time-stamping") from None
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise BadSignature(
            "the signer's certificate is not for time-stamping alone: expected a critical "
            "extendedKeyUsage with timeStamping and nothing else"
        )


def _check_strength(
    found: Token, signer: x509.Certificate, certificates: Sequence[x509.Certificate]
) -> None:
    """Raises: BadSignature, for digests and keys of which others could make the same."""
    key, digest, names = signer.public_key(), found.digest_algorithm, set()
    if isinstance(key, rsa.RSAPublicKey):
        names = {_RSA, _RSA_WITH.get(digest)}
    elif isinstance(key, ec.EllipticCurvePublicKey):
        names = {_ECDSA_WITH.get(digest)}
    if digest not in _DIGESTS or found.signature_algorithm not in names:
        raise BadSignature(
            f"a timestamp signed with {digest} and {found.signature_algorithm}; "
            "expected RSA or ECDSA with SHA-256, SHA-384 or SHA-512"
        )
    for one in certificates:
        # None where the algorithm has none (Ed25519), whatever its type stub says.
        signed_over = getattr(one.signature_hash_algorithm, "name", "")
        if signed_over not in _DIGESTS.values() and one.subject != one.issuer:
            raise BadSignature("a timestamp with a certificate that is signed with a weak digest")
        public = one.public_key()
        if (isinstance(public, rsa.RSAPublicKey) and public.key_size < MIN_RSA_BITS) or (
            isinstance(public, ec.EllipticCurvePublicKey) and not isinstance(public.curve, _CURVES)
        ):
            raise BadSignature("a timestamp with a certificate that has a weak key")


def _digest(algorithm: str, data: bytes) -> bytes:
    """Raises: BadSignature, for an algorithm that is not known."""
    if algorithm == token.SHA1:
        # ESSCertID (RFC 2634) knows no other; it is one check more, beside the path to a root.
        return hashlib.sha1(data, usedforsecurity=False).digest()
    if algorithm not in _DIGESTS:
        raise BadSignature(f"a timestamp that names its certificate with a digest {algorithm}")
    return hashlib.new(_DIGESTS[algorithm], data).digest()


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Failures of rfc3161-client, OpenSSL and cryptography as ours: BadSignature, or Malformed."""
    try:
        yield
    except HoldfastError:
        raise
    except rfc3161_client.VerificationError as error:
        reasons = (pattern.search(str(error)) for pattern in _REASONS)
        said = next((reason[1] for reason in reasons if reason), str(error))
        raise BadSignature(f"{what}: {said[:_MAX_REASON]}") from error
    except Exception as error:  # parsers of foreign bytes; every failure means "cannot be read"
        raise Malformed(f"{what}: {type(error).__name__} {str(error)[:_MAX_REASON]}") from error
    except BaseException as error:
        # A defect in compiled code, set off by what was read; no Exception by its makers' will.
        if type(error).__name__ != "PanicException":
            raise
        raise Malformed(f"{what}: its parser gave up") from error
