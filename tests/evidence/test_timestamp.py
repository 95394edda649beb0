from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st
from support import authority
from support.authority import AT, STAMPING, Authority, oid, seq, setof, tlv
from support.memory import MemoryWriteOnce

from chalicelib.evidence import anchor, timestamp, token
from chalicelib.evidence.anchor import Answer
from chalicelib.kernel.errors import (
    BadSignature,
    DigestMismatch,
    Malformed,
    Unreachable,
    VerificationFailed,
)

NOTE = b"example.com/log\n7\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n\n\xe2\x80\x94 a AAAA\n"
NONCE = 0x8000_0000_0000_0001  # its DER needs a zero byte in front
KINDS = ["rsa", "p256"]


@cache
def good(kind):
    return Authority(kind=kind)


@cache
def response(kind):
    return good(kind).answer(timestamp.request(NOTE, NONCE))


def refused(changed, error, words=".", *, roots=None, note=NOTE, nonce=NONCE, at=None):
    """That a fresh answer is refused, and so."""
    data = changed.answer(timestamp.request(NOTE, NONCE)) if hasattr(changed, "answer") else changed
    with pytest.raises(error, match=words) as raised:
        timestamp.accept(data, note, nonce, roots or good("rsa").roots, at)
    assert type(raised.value) is error
    return str(raised.value)


@pytest.mark.parametrize("kind", [*KINDS, "p384"])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_what_an_authority_says_is_read(kind, digest):
    one = Authority(kind=kind, digest=digest)
    data = one.answer(timestamp.request(NOTE, NONCE))
    stamp = timestamp.accept(data, NOTE, NONCE, one.roots, AT)
    assert stamp == timestamp.verify(data, NOTE, timestamp.roots(one.pem), AT)
    assert stamp == timestamp.Stamp(
        at="2026-10-01T02:00:00.000000Z",
        accuracy_microseconds=1_500_007,
        authority="CN=test clock,O=Test Time",
        serial=str(0x0102030405060708090A),
        policy="1.3.6.1.4.1.99999.1",
    )


def test_a_request_is_what_another_reader_reads():
    asked = authority.parse_timestamp_request(timestamp.request(NOTE, NONCE))
    assert (asked.version, asked.nonce, asked.cert_req, asked.policy) == (1, NONCE, True, None)
    assert asked.message_imprint.message == hashlib.sha256(NOTE).digest()
    assert asked.message_imprint.hash_algorithm.dotted_string == token.SHA256


@pytest.mark.parametrize("nonce", [0, -1, 2**64])
def test_a_nonce_is_a_number_of_64_bits(nonce):
    with pytest.raises(ValueError, match="64 bits"):
        timestamp.request(NOTE, nonce)


@pytest.mark.parametrize(
    ("fraction", "expected"), [("", "000000"), (".5", "500000"), (".123456789", "123456")]
)
def test_the_time_is_kept_to_the_microsecond(fraction, expected):
    data = Authority(fraction=fraction).answer(timestamp.request(NOTE, NONCE))
    assert timestamp.verify(data, NOTE, good("rsa").roots).at == f"2026-10-01T02:00:00.{expected}Z"


@pytest.mark.parametrize(
    "fine",
    [
        {"accuracy": b""},
        {"text": "Operation Okay"},
        {"extension": "plain"},
        {"unsigned": seq(oid("1.2.3"), setof(tlv(0x05)))},
        {"names_certificate": "v1"},
        {"names_certificate": "both"},
        {"embeds": "leaf, intermediate, root"},
    ],
    ids=lambda changes: "-".join(f"{k}-{v}"[:24] for k, v in changes.items()),
)
def test_what_authorities_may_do_is_accepted(fine):
    data = Authority(**fine).answer(timestamp.request(NOTE, NONCE))
    timestamp.accept(data, NOTE, NONCE, good("rsa").roots, AT)


def test_an_intermediate_may_be_pinned_beside_its_root():
    one = Authority(embeds="leaf")
    data = one.answer(timestamp.request(NOTE, NONCE))
    refused(data, BadSignature, "unable to get local issuer certificate", roots=one.roots)
    pem = one.intermediate.public_bytes(Encoding.PEM) + one.pem
    timestamp.accept(data, NOTE, NONCE, timestamp.roots(pem))


def test_an_intermediate_alone_is_no_root():
    pem = good("rsa").intermediate.public_bytes(Encoding.PEM)
    with pytest.raises(Malformed, match="without a root"):
        timestamp.roots(pem)
    refused(
        response("rsa"),
        Malformed,
        "at least one root",
        roots=[good("rsa").intermediate.public_bytes(Encoding.DER)],
    )


def test_a_timestamp_of_another_note_is_refused():
    refused(Authority(note=b"another"), DigestMismatch, "something else")
    refused(response("rsa"), DigestMismatch, "something else", note=NOTE + b"\n")


def test_an_answer_to_another_request_is_refused_and_verifies_later():
    refused(Authority(nonce=NONCE - 1), BadSignature, "answers another request")
    data = Authority(nonce=NONCE - 1).answer(timestamp.request(NOTE, NONCE))
    timestamp.verify(data, NOTE, good("rsa").roots)  # a stored one is not about a nonce


def test_another_root_is_not_trusted():
    other = Authority(name="other")
    refused(other, BadSignature, "unable to get local issuer certificate")
    # The same names, and keys of its own.
    private = authority.key("p256", "an impostor")
    root = authority.certificate(
        "test root", private.public_key(), "test root", private, 1, more=[authority.ca(1)]
    )
    refused(response("rsa"), BadSignature, "verif", roots=[root.public_bytes(Encoding.DER)])


def test_a_certificate_must_be_valid_at_the_time_that_it_vouches_for():
    early, late = AT - timedelta(days=2), AT - timedelta(days=1)
    refused(Authority(start=early, end=late), BadSignature, "has expired")
    refused(Authority(start=AT + timedelta(days=1)), BadSignature, "not yet valid")


def test_a_certificate_that_expired_since_still_vouches():
    end = AT + timedelta(seconds=1)
    data = Authority(end=end).answer(timestamp.request(NOTE, NONCE))
    timestamp.verify(data, NOTE, good("rsa").roots, datetime(2099, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "changes",
    [
        {"usages": []},
        {"critical": False},
        {"usages": [*STAMPING, ExtendedKeyUsageOID.CODE_SIGNING]},
        {"usages": [*STAMPING, ObjectIdentifier("1.3.6.1.4.1.99999.7")]},
        {"usages": [ExtendedKeyUsageOID.CODE_SIGNING]},
        {"usages": [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]},
        {"signs": False},
    ],
    ids=[
        "none",
        "not critical",
        "and another",
        "and one unknown",
        "another",
        "any",
        "no key usage",
    ],
)
def test_the_signers_certificate_is_for_timestamping_alone(changes):
    refused(Authority(**changes), BadSignature)


def test_a_purpose_that_openssl_does_not_know_is_one_too_many():
    usages = [*STAMPING, ObjectIdentifier("1.3.6.1.4.1.99999.7")]
    refused(Authority(usages=usages), BadSignature, "time-stamping alone")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"names_certificate": "none"}, Malformed, "does not name the certificate"),
        ({"names_certificate": "other"}, BadSignature, "names another certificate"),
        ({"names_type": False}, Malformed, "not the DER"),
        ({"digest": "sha1"}, BadSignature, "expected RSA or ECDSA"),
        ({"kind": "rsa1024"}, BadSignature, "weak key"),
        ({"certified_with": hashes.SHA224()}, BadSignature, "weak digest"),
        ({"policy": "1.3.6.1.4.1." + "9" * 160}, Malformed, "too long"),
        ({"kind": "k256"}, BadSignature, "weak key"),
        ({"names_digest": False}, Malformed, "does not name the digest"),
        (
            {"more_attributes": (seq(oid("1.2.3"), setof()),) * 2},
            Malformed,
            "two signed attributes",
        ),
        ({"announces": "sha384"}, Malformed, "among those announced"),
        ({"version": 2}, Malformed, "another version"),
        ({"imprint_algorithm": token.SHA384}, DigestMismatch, "something else"),
        ({"extension": "critical"}, Malformed, "critical extension 1.3.6.1.5.5.7.1.3"),
        ({"embeds": "intermediate"}, BadSignature, "signer certificate not found"),
        ({"failure": tlv(0x03, b"\x07\x80")}, Malformed, "reason why it was not"),
        ({"serial": 2**161}, Malformed, "serial number"),
        ({"accuracy": seq(authority.num(90_000))}, Malformed, "accurate"),
        ({"accuracy": seq(authority.num(1000, 0x80))}, Malformed, "accurate"),
        ({"fraction": ".50"}, Malformed, "time"),
        ({"fraction": "."}, Malformed, "time"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_an_authority_may_not_do_is_refused(changes, error, words):
    refused(Authority(**changes), error, words)


def test_a_second_certificate_of_the_signers_name_is_refused():
    one = good("p256")
    twin = authority.certificate(
        "test clock",
        authority.key("rsa", "twin").public_key(),  # longer, so that it stands behind the signer's
        "test intermediate",
        authority.key("rsa", "twin"),
        3,
        more=[(x509.ExtendedKeyUsage(STAMPING), True)],
    )
    changed = one.but(extra=(twin.public_bytes(Encoding.DER),))
    refused(changed, BadSignature, "2 certificates of its signer", roots=one.roots)


@pytest.mark.parametrize(
    ("status", "word"), [(2, "rejection"), (3, "waiting"), (5, "revocation"), (99, "unknown")]
)
def test_a_refusal_is_told_with_its_reason(status, word):
    changed = Authority(status=status, text="no\x1b[31m more", failure=tlv(0x03, b"\x05\x20"))
    said = refused(changed, Malformed, "gave no timestamp")
    assert f"status {status}, {word}" in said
    assert "no\x1b[31m more" in said  # escaped where it is shown
    assert "failure 2" in said


def test_granted_with_modifications_is_not_what_was_asked_for():
    refused(Authority(status=1), Malformed, "granted with modifications")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"0",
        b"0\x80",
        b"<html>",
        b"0\x03\x02\x01\x00",
        b"0\x05\x30\x03\x02\x01\x00",
        b"\xff" * 99,
    ],
    ids=["empty", "cut", "indefinite", "page", "no info", "no token", "noise"],
)
def test_garbage_is_refused(data):
    refused(data, Malformed)


def test_a_huge_answer_is_refused_unread():
    refused(b"0" * (token.MAX_RESPONSE_BYTES + 1), Malformed, "at most 65536")
    with pytest.raises(Malformed, match="at most"):
        timestamp.roots(b"-" * (timestamp.MAX_ROOTS_BYTES + 1))


@given(st.binary(max_size=300))
def test_no_bytes_are_anything_but_refused(data):
    with pytest.raises(VerificationFailed):
        timestamp.verify(data, NOTE, good("rsa").roots)


def test_more_behind_the_answer_is_refused():
    refused(response("rsa") + b"\0", Malformed, "too many")


@pytest.mark.parametrize("kind", KINDS)
def test_every_shortened_answer_is_refused(kind):
    data = response(kind)
    for size in range(0, len(data), 7):
        with pytest.raises(VerificationFailed):
            timestamp.verify(data[:size], NOTE, good(kind).roots)


@pytest.mark.parametrize("kind", KINDS)
def test_every_change_of_a_byte_is_refused(kind):
    """The answers here carry nothing that is unsigned but for the root and NULL parameters."""
    data = response(kind)
    for at in range(len(data)):
        for flip in (0x01, 0x20, 0x80):
            changed = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            with pytest.raises(VerificationFailed):
                timestamp.verify(changed, NOTE, good(kind).roots)


@given(st.sampled_from(KINDS), st.data())
def test_any_change_of_a_byte_is_refused_or_says_the_same(kind, draw):
    """Of all 720,000 one is not refused: RSA's signature is called by the other of its names."""
    data = response(kind)
    at = draw.draw(st.integers(0, len(data) - 1))
    changed = data[:at] + bytes([draw.draw(st.integers(0, 255))]) + data[at + 1 :]
    stamp = timestamp.verify(data, NOTE, good(kind).roots)
    try:
        assert timestamp.verify(changed, NOTE, good(kind).roots) == stamp
    except VerificationFailed:
        return
    assert token.parse(changed).info == token.parse(data).info


def test_which_name_of_rsa_is_used_is_unsigned():
    named, also = oid(authority.RSA), oid("1.2.840.113549.1.1.11")
    data = response("rsa")
    at = data.rindex(named) + len(named) - 1
    changed = data[:at] + also[-1:] + data[at + 1 :]
    assert timestamp.verify(changed, NOTE, good("rsa").roots)
    assert changed != data


def unsigned_parts(data, *parts):
    """The positions of the bytes that no signature covers."""
    return {at + n for part in parts for at in [data.index(part)] for n in range(len(part))}


def test_a_change_of_what_is_unsigned_leaves_what_is_said():
    text, attribute = "Operation Okay", seq(oid("1.2.3"), setof(tlv(0x0C, b"unsigned")))
    one = Authority(text=text, unsigned=attribute, embeds="leaf, intermediate, root")
    data = one.answer(timestamp.request(NOTE, NONCE))
    root = one.root.public_bytes(Encoding.DER)
    free = unsigned_parts(data, tlv(0x0C, text.encode()), attribute, root)
    stamp = timestamp.verify(data, NOTE, one.roots)
    accepted = set()
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :]
        try:
            assert timestamp.verify(changed, NOTE, one.roots) == stamp
            accepted.add(at)
        except VerificationFailed:
            pass
    assert accepted <= free
    assert len(accepted) > 20


def test_a_time_of_the_future_is_refused():
    refused(good("rsa"), BadSignature, "of the future", at=AT - timedelta(minutes=6))
    timestamp.accept(response("rsa"), NOTE, NONCE, good("rsa").roots, AT - timestamp.MAX_AHEAD)


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"", "PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PEM"),
        (b"-----BEGIN X-----\nAAAA\n-----END X-----\n", "PEM"),
    ],
    ids=["empty", "no certificate", "another kind"],
)
def test_a_file_that_holds_no_roots_is_refused(pem, words):
    with pytest.raises(Malformed, match=words):
        timestamp.roots(pem)


def test_a_root_stands_once():
    with pytest.raises(Malformed, match="each once"):
        timestamp.roots(good("rsa").pem * 2)


def test_a_verified_answer_is_kept_under_its_digest():
    store = MemoryWriteOnce()
    key = timestamp.keep(store, 7, response("rsa"))
    assert key == f"timestamp/{7:020d}/{hashlib.sha256(response('rsa')).hexdigest()}"
    timestamp.keep(store, 7, response("p256"))
    timestamp.keep(store, 8, response("p256"))
    assert sorted(timestamp.stored(store, 7)) == sorted([response("rsa"), response("p256")])
    assert list(timestamp.stored(store, 9)) == []


def test_what_is_not_under_its_digest_is_named():
    store = MemoryWriteOnce()
    store.put(anchor.timestamp_key(7, "0" * 64), b"other bytes")
    with pytest.raises(DigestMismatch, match="0000"):
        list(timestamp.stored(store, 7))
    store = MemoryWriteOnce()
    store.put(f"timestamp/{7:020d}/note.txt", b"")
    with pytest.raises(Malformed, match=r"note\.txt"):
        list(timestamp.stored(store, 7))


def ask(status=200, content_type="application/timestamp-reply", body=None):
    def post(url, request, sent):
        assert (url, sent) == ("http://tsa.example/", "application/timestamp-query")
        return Answer(status, content_type, good("rsa").answer(request) if body is None else body)

    return timestamp.fetch(
        post, "http://tsa.example/", NOTE, nonce=NONCE, roots=good("rsa").roots, at=AT
    )


def test_an_answer_is_fetched_and_verified_before_it_is_given():
    data, stamp = ask(content_type="Application/Timestamp-Reply; charset=x")
    assert timestamp.verify(data, NOTE, good("rsa").roots) == stamp
    with pytest.raises(Unreachable, match="status 503"):
        ask(status=503)
    with pytest.raises(Malformed, match="text/html"):
        ask(content_type="text/html")
    with pytest.raises(Malformed):
        ask(body=b"0\x00")


def test_a_stored_answer_verifies_without_a_network(monkeypatch):
    data = response("p256")

    def closed(*words):
        raise AssertionError("no network")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, closed)
    assert timestamp.verify(data, NOTE, good("p256").roots, AT).at == "2026-10-01T02:00:00.000000Z"


def test_a_parser_that_gives_up_is_an_answer_that_cannot_be_read():
    class PanicException(BaseException):  # as pyo3 names it
        pass

    with pytest.raises(Malformed, match="gave up"), timestamp._translated("a timestamp"):
        raise PanicException
    with pytest.raises(KeyboardInterrupt), timestamp._translated("a timestamp"):
        raise KeyboardInterrupt


def test_a_certificate_without_a_purpose_is_refused_whatever_its_path():
    with pytest.raises(BadSignature, match="not for time-stamping"):
        timestamp._check_usage(Authority(usages=[]).leaf)


def test_a_certificate_is_named_by_a_digest_that_is_known():
    with pytest.raises(BadSignature, match=r"a digest 1\.2\.3"):
        timestamp._digest("1.2.3", b"")


def test_an_algorithm_has_one_encoding():
    with pytest.raises(Malformed, match="NULL"):
        token._algorithm(oid("1.2.3") + tlv(0x05, b"\0"))


def test_nothing_else_loads_the_client():
    program = (
        "import sys, chalicelib.cli.app, chalicelib.wiring, chalicelib.functions.scan; "
        "import chalicelib.functions.dispatch, chalicelib.functions.overdue; "
        "print([name for name in sys.modules if 'rfc3161' in name])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
