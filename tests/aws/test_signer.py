from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest
from contract.adapters import SIGNERS, SPECS, WRITEONCE
from support.aws import Fault

from chalicelib.aws.signer import KmsSigner
from chalicelib.evidence import receipts
from chalicelib.kernel.errors import KeyUnusable, StoreUnavailable, UsageError

AT = datetime(2026, 10, 1, 2, 0, 0, 123456, tzinfo=UTC)


class Clock:
    def now(self):
        return AT


@pytest.fixture
def kms(aws):
    return aws.client("kms")


@pytest.fixture
def store(aws, tmp_path):
    return WRITEONCE["aws"](tmp_path)


@pytest.fixture(params=SPECS)
def signer(aws, tmp_path, kms, store, request):
    made = SIGNERS[request.param](tmp_path)
    return KmsSigner(kms, made._key_id, store, Clock())


@pytest.fixture
def make(kms, store):
    def signer(spec, usage="SIGN_VERIFY"):
        arn = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]
        return KmsSigner(kms, arn, store, Clock())

    return signer


def signed(aws, signer):
    """What CloudTrail shows of the key."""
    attributes = [{"AttributeKey": "ResourceName", "AttributeValue": signer._key_id}]
    pages = aws.client("cloudtrail").get_paginator("lookup_events")
    events = pages.paginate(LookupAttributes=attributes).build_full_result()["Events"]
    return [json.loads(event["CloudTrailEvent"])["requestID"] for event in events]


def test_every_signature_leaves_a_receipt_under_cloudtrail_s_request_id(aws, signer, store):
    for number in range(3):
        signer.sign(b"message %d" % number)
    kept = [receipts.decode(key, store.get(key)) for key in store.list("")]
    assert sorted(one.request_id for one in kept) == sorted(signed(aws, signer))
    expected = [hashlib.sha256(b"message %d" % number).hexdigest() for number in range(3)]
    assert sorted(one.message_sha256 for one in kept) == sorted(expected)
    assert {(one.key, one.at) for one in kept} == {(signer._key_id, "2026-10-01T02:00:00.123456Z")}
    assert all(key.startswith("receipt/2026-10-01/") for key in store.list(""))


def test_a_signature_is_not_given_away_without_its_receipt(aws, signer, store):
    with (
        aws.failing("s3", "PutObject", Fault(503, "SlowDown"), times=99),
        pytest.raises(StoreUnavailable),
    ):
        signer.sign(b"message")
    assert list(store.list("")) == []
    assert len(signed(aws, signer)) == 1  # CloudTrail shows it all the same


def test_the_message_itself_is_signed_up_to_kms_s_bound(aws, signer):
    kinds = []
    aws.faults.append(
        lambda call: kinds.append(call.json["MessageType"]) if call.operation == "Sign" else None
    )
    for size in (1, 4_096):
        message = b"m" * size
        signer.public.verify(signer.sign(message), message)
    assert kinds == ["RAW"] * 2


def test_longer_messages_are_refused(aws, signer):
    with pytest.raises(UsageError, match="4097 bytes; KMS signs 1 to 4096"):
        signer.sign(b"m" * 4_097)
    assert signed(aws, signer) == []


def test_nothing_is_not_signed(signer):
    with pytest.raises(UsageError, match="0 bytes"):
        signer.sign(b"")


@pytest.mark.parametrize("known", [False, True])
def test_a_key_that_must_not_sign_is_said_with_what_to_do(kms, signer, known):
    if known:
        assert signer.public
    kms.disable_key(KeyId=signer._key_id)
    with pytest.raises(KeyUnusable, match="DisabledException") as error:
        signer.sign(b"message")
    assert "enable" in error.value.next_step
    kms.schedule_key_deletion(KeyId=signer._key_id, PendingWindowInDays=7)
    with pytest.raises(KeyUnusable, match="KMSInvalidStateException") as error:
        signer.sign(b"message")
    assert "cancel-key-deletion" in error.value.next_step


def test_a_key_that_is_not_there_is_said(kms, store):
    arn = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    with pytest.raises(KeyUnusable, match="NotFoundException") as error:
        _ = KmsSigner(kms, arn, store, Clock()).public
    assert "settings" in error.value.next_step


@pytest.mark.parametrize(
    ("spec", "usage"),
    [
        ("ECC_NIST_P384", "SIGN_VERIFY"),
        ("RSA_2048", "SIGN_VERIFY"),
        ("RSA_2048", "ENCRYPT_DECRYPT"),
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
    ],
)
def test_keys_of_other_kinds_are_refused(make, spec, usage):
    with pytest.raises(KeyUnusable, match=r"UnsupportedOperation|key of the spec") as error:
        _ = make(spec, usage).public
    assert "SIGN_VERIFY" in error.value.next_step


class Lying:
    """KMS that answers with something else."""

    def __init__(self, client, **changed):
        self.client, self.changed = client, changed

    def _answer(self, call):
        return {name: self.changed.get(name, value) for name, value in call.items()}

    def sign(self, **call):
        return self._answer(self.client.sign(**call))

    def get_public_key(self, **call):
        return self._answer(self.client.get_public_key(**call))


def test_a_signature_that_does_not_verify_is_not_given_away(kms, signer, store):
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    forged = kms.sign(KeyId=other, Message=b"message", SigningAlgorithm="ECDSA_SHA_256")
    for signature in (forged["Signature"], b"", b"x" * 64):
        lying = KmsSigner(Lying(kms, Signature=signature), signer._key_id, store, Clock())
        with pytest.raises(KeyUnusable, match="does not verify"):
            lying.sign(b"message")
    assert list(store.list("")) == []


@pytest.mark.parametrize("spki", [b"", b"x" * 44])
def test_a_public_key_that_is_none_is_refused(kms, signer, store, spki):
    lying = KmsSigner(Lying(kms, PublicKey=spki), signer._key_id, store, Clock())
    with pytest.raises(KeyUnusable, match="cannot be read"):
        _ = lying.public


def test_a_public_key_of_another_kind_is_refused(kms, make, store):
    signer, other = make("ECC_NIST_EDWARDS25519"), make("ECC_NIST_P256")
    lying = KmsSigner(Lying(kms, PublicKey=other.public.data), signer._key_id, store, Clock())
    with pytest.raises(KeyUnusable, match="another kind"):
        _ = lying.public


def test_its_representation_is_the_key_s_name(signer):
    assert repr(signer) == f"KmsSigner({signer._key_id!r})"
    assert signer.public
    assert repr(signer) == f"KmsSigner({signer._key_id!r})"
