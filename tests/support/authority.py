"""A time-stamping authority with a chain of its own: real requests in, real CMS answers out.

It writes DER by itself, so that nothing of what it tests also makes the test's bytes. What it can
be told to do wrong, an authority or somebody on the way could.
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from rfc3161_client._rust import parse_timestamp_request

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2036, 1, 1, tzinfo=UTC)
AT = datetime(2026, 10, 1, 2, 0, 0, tzinfo=UTC)
STAMPING = [ExtendedKeyUsageOID.TIME_STAMPING]
DIGESTS = {
    "sha1": ("1.3.14.3.2.26", hashes.SHA1()),  # noqa: S303 - to be refused
    "sha256": ("2.16.840.1.101.3.4.2.1", hashes.SHA256()),
    "sha384": ("2.16.840.1.101.3.4.2.2", hashes.SHA384()),
    "sha512": ("2.16.840.1.101.3.4.2.3", hashes.SHA512()),
}
ECDSA = {
    "sha1": "1.2.840.10045.4.1",
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
RSA = "1.2.840.113549.1.1.1"
CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "k256": ec.SECP256K1()}
UNUSED = [
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
]


def tlv(tag, *contents):
    content = b"".join(contents)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 128 + len(length)]) + length + content


def seq(*contents):
    return tlv(0x30, *contents)


def setof(*contents):
    return tlv(0x31, *sorted(contents))


def num(value, tag=0x02):
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted):
    first, second, *rest = map(int, dotted.split("."))
    encoded = b""
    for part in (40 * first + second, *rest):
        septets = [part & 127]
        while part := part >> 7:
            septets.insert(0, part & 127 | 128)
        encoded += bytes(septets)
    return tlv(0x06, encoded)


def algorithm(dotted, *, null=True):
    return seq(oid(dotted), tlv(0x05) if null else b"")


@cache
def key(kind, name):
    """A private key, made once a test process."""
    if kind == "rsa":
        return rsa.generate_private_key(65_537, 2_048)
    if kind == "rsa1024":
        return rsa.generate_private_key(65_537, 1_024)  # noqa: S505 - to be refused
    return ec.generate_private_key(CURVES[kind])


def named(common_name):
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Time"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def certificate(
    subject, public, issuer, private, serial, *, start=START, end=END, more=(), digest=None
):
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(private, digest or hashes.SHA256())


def ca(path_length):
    return (x509.BasicConstraints(ca=True, path_length=path_length), True)


@dataclass(frozen=True)
class Authority:
    """Answers as its fields say; by default as RFC 3161 does."""

    kind: str = "rsa"
    name: str = "test"
    at: datetime = AT
    fraction: str = ""
    start: datetime = START
    end: datetime = END
    usages: list = field(default_factory=lambda: list(STAMPING))
    critical: bool = True
    signs: bool = True  # by its keyUsage; else it is for certificates
    certified_with: object = None  # the digest in its certificate, if not SHA-256
    digest: str = "sha256"
    names_certificate: str = "v2"  # or v1, both, other, none
    names_type: bool = True
    names_digest: bool = True
    policy: str = "1.3.6.1.4.1.99999.1"
    accuracy: bytes = seq(num(1), num(500, 0x80), num(7, 0x81))
    status: int = 0
    text: str = ""
    failure: bytes = b""
    nonce: int | None = None  # in place of the one that was sent
    note: bytes | None = None  # in place of the one that was sent
    embeds: str = "leaf, intermediate"
    extra: tuple = ()
    extension: str = ""  # or plain, critical
    version: int = 1
    imprint_algorithm: str = DIGESTS["sha256"][0]
    announces: str = ""  # a digest in place of the one that is used
    more_attributes: tuple = ()
    unsigned: bytes = b""
    serial: int = 0x0102030405060708090A

    def but(self, **changes):
        return replace(self, **changes)

    @cached_property
    def root(self):
        private = key("p256", self.name + " root")
        subject = self.name + " root"
        return certificate(subject, private.public_key(), subject, private, 1, more=[ca(1)])

    @cached_property
    def intermediate(self):
        public = key("p256", self.name + " intermediate").public_key()
        private = key("p256", self.name + " root")
        return certificate(
            self.name + " intermediate", public, self.name + " root", private, 2, more=[ca(0)]
        )

    @cached_property
    def leaf(self):
        more = [(x509.BasicConstraints(ca=False, path_length=None), True)]
        if self.usages:
            more.append((x509.ExtendedKeyUsage(self.usages), self.critical))
        usage = dict.fromkeys(UNUSED, False)
        usage["digital_signature" if self.signs else "key_cert_sign"] = True
        more.append((x509.KeyUsage(**usage), True))
        return certificate(
            self.name + " clock",
            key(self.kind, self.name + " leaf").public_key(),
            self.name + " intermediate",
            key("p256", self.name + " intermediate"),
            3,
            start=self.start,
            end=self.end,
            more=more,
            digest=self.certified_with,
        )

    @cached_property
    def pem(self):
        return self.root.public_bytes(Encoding.PEM)

    @cached_property
    def roots(self):
        return (self.root.public_bytes(Encoding.DER),)

    def info(self, request):
        """TSTInfo."""
        asked = parse_timestamp_request(request)
        digest = asked.message_imprint.message
        if self.note is not None:
            digest = hashlib.sha256(self.note).digest()
        nonce = asked.nonce if self.nonce is None else self.nonce
        critical = tlv(0x01, b"\xff") if self.extension == "critical" else b""
        extension = seq(oid("1.3.6.1.5.5.7.1.3"), critical, tlv(0x04, seq()))
        return seq(
            num(self.version),
            oid(self.policy),
            seq(algorithm(self.imprint_algorithm), tlv(0x04, digest)),
            num(self.serial),
            tlv(0x18, (self.at.strftime("%Y%m%d%H%M%S") + self.fraction + "Z").encode()),
            self.accuracy,
            num(nonce),
            tlv(0xA1, extension) if self.extension else b"",
        )

    def attributes(self, content, leaf):
        """The signed attributes, without their tag: its place is taken by [0] where they stand."""
        found = []
        if self.names_digest:
            digest = tlv(0x04, hashlib.new(self.digest, content).digest())
            found.append(seq(oid("1.2.840.113549.1.9.4"), setof(digest)))
        if self.names_type:
            found.append(seq(oid("1.2.840.113549.1.9.3"), setof(oid("1.2.840.113549.1.9.16.1.4"))))
        if self.names_certificate == "other":
            leaf = self.intermediate.public_bytes(Encoding.DER)
        if self.names_certificate in {"v1", "both"}:
            one = seq(tlv(0x04, hashlib.sha1(leaf).digest()))  # noqa: S324 - RFC 2634's own
            found.append(seq(oid("1.2.840.113549.1.9.16.2.12"), setof(seq(seq(one)))))
        if self.names_certificate in {"v2", "both", "other"}:
            one = seq(tlv(0x04, hashlib.sha256(leaf).digest()))
            found.append(seq(oid("1.2.840.113549.1.9.16.2.47"), setof(seq(seq(one)))))
        return b"".join(sorted([*found, *self.more_attributes]))

    def answer(self, request):
        """The TimeStampResp to a TimeStampReq."""
        text = seq(tlv(0x0C, self.text.encode())) if self.text else b""
        status = seq(num(self.status), text, self.failure)
        if self.status > 1:
            return seq(status)
        content = self.info(request)
        certificate = self.leaf
        leaf = certificate.public_bytes(Encoding.DER)
        attributes = self.attributes(content, leaf)
        name, digest = DIGESTS[self.digest]
        private = key(self.kind, self.name + " leaf")
        if self.kind.startswith("rsa"):
            signature = private.sign(tlv(0x31, attributes), padding.PKCS1v15(), digest)
            signed_with = algorithm(RSA)
        else:
            signature = private.sign(tlv(0x31, attributes), ec.ECDSA(digest))
            signed_with = algorithm(ECDSA[self.digest], null=False)
        signer = seq(
            num(1),
            seq(certificate.issuer.public_bytes(), num(certificate.serial_number)),
            algorithm(name),
            tlv(0xA0, attributes),
            signed_with,
            tlv(0x04, signature),
            tlv(0xA1, self.unsigned) if self.unsigned else b"",
        )
        embedded = [
            getattr(self, one).public_bytes(Encoding.DER) for one in self.embeds.split(", ")
        ]
        signed = seq(
            num(3),
            setof(algorithm(DIGESTS[self.announces or self.digest][0])),
            seq(oid("1.2.840.113549.1.9.16.1.4"), tlv(0xA0, tlv(0x04, content))),
            tlv(0xA0, *sorted([*embedded, *self.extra])),
            setof(signer),
        )
        return seq(status, seq(oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed)))


@contextmanager
def served(answer, *, status=200, content_type="application/timestamp-reply"):
    """The URL of a server that gives ``answer(request)``, and the requests that it took."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.headers["Content-Type"], body))
            data = answer(body)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsr", taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
