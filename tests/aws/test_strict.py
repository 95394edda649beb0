"""The strict server itself: it refuses what AWS refuses, where moto alone would not."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from contract.adapters import make_bucket, make_table
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.aws import Fault, throttle

AT = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def s3(aws):
    made = aws.client("s3")
    made.bucket = f"locked-{uuid.uuid4()}"
    make_bucket(made, made.bucket)
    return made


@pytest.fixture
def kms(aws):
    return aws.client("kms")


def refuses(code, call, **arguments):
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] == code
    return error.value.response


def put(s3, key="a", body=b"x", **more):
    return s3.put_object(Bucket=s3.bucket, Key=key, Body=body, **more)["VersionId"]


def make(kms, spec="ECC_NIST_EDWARDS25519"):
    return kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]


# S3


def test_a_locked_version_is_not_deleted(s3):
    version = put(s3)
    for more in ({}, {"BypassGovernanceRetention": True}):
        where = {"Bucket": s3.bucket, "Key": "a", "VersionId": version}
        refuses("AccessDenied", s3.delete_object, **where, **more)
    gone = s3.delete_objects(
        Bucket=s3.bucket, Delete={"Objects": [{"Key": "a", "VersionId": version}]}
    )
    assert "Deleted" not in gone
    assert s3.get_object(Bucket=s3.bucket, Key="a", VersionId=version)["Body"].read() == b"x"


@pytest.mark.parametrize("bypass", [False, True])
def test_compliance_retention_is_only_ever_extended(s3, bypass):
    put(s3)
    found = s3.get_object_retention(Bucket=s3.bucket, Key="a")["Retention"]
    until = found["RetainUntilDate"]
    assert found["Mode"] == "COMPLIANCE"
    assert abs(until - datetime.now(UTC) - 30 * DAY) < DAY  # noqa: TID251
    where = {"Bucket": s3.bucket, "Key": "a", "BypassGovernanceRetention": bypass}
    for worse in (
        {"Mode": "COMPLIANCE", "RetainUntilDate": until - DAY},
        {"Mode": "GOVERNANCE", "RetainUntilDate": until + DAY},
        {},
    ):
        refuses("AccessDenied", s3.put_object_retention, **where, Retention=worse)
    assert s3.get_object_retention(Bucket=s3.bucket, Key="a")["Retention"] == found
    longer = {"Mode": "COMPLIANCE", "RetainUntilDate": until + DAY}
    s3.put_object_retention(**where, Retention=longer)
    assert s3.get_object_retention(Bucket=s3.bucket, Key="a")["Retention"] == longer


def test_what_has_no_retention_says_so(s3):
    where = {"Bucket": f"open-{uuid.uuid4()}", "Key": "a"}
    s3.create_bucket(Bucket=where["Bucket"])
    s3.put_object(**where, Body=b"x")
    refuses("NoSuchObjectLockConfiguration", s3.get_object_retention, **where)
    retention = {"Mode": "COMPLIANCE", "RetainUntilDate": AT}
    refuses("InvalidRequest", s3.put_object_retention, **where, Retention=retention)


def test_what_was_never_held_says_so_and_what_is_held_is_not_deleted(s3):
    where = {"Bucket": s3.bucket, "Key": "a", "VersionId": put(s3)}
    refuses("NoSuchObjectLockConfiguration", s3.get_object_legal_hold, **where)
    for status in ("ON", "OFF"):
        s3.put_object_legal_hold(**where, LegalHold={"Status": status})
        assert s3.get_object_legal_hold(**where)["LegalHold"]["Status"] == status


def test_a_locked_bucket_keeps_versions_and_takes_no_multipart_upload(s3):
    suspended = {"Status": "Suspended"}
    where = {"Bucket": s3.bucket}
    refuses(
        "InvalidBucketState", s3.put_bucket_versioning, **where, VersioningConfiguration=suspended
    )
    refuses("NotImplemented", s3.create_multipart_upload, **where, Key="a")


def test_if_none_match_yields_a_new_version_behind_a_delete_marker(s3):
    first = put(s3, IfNoneMatch="*")
    refuses(
        "PreconditionFailed", s3.put_object, Bucket=s3.bucket, Key="a", Body=b"y", IfNoneMatch="*"
    )
    s3.delete_object(Bucket=s3.bucket, Key="a")
    second = put(s3, body=b"y", IfNoneMatch="*")
    listed = s3.list_object_versions(Bucket=s3.bucket)
    assert [v["VersionId"] for v in listed["Versions"]] == [second, first]
    assert [m["IsLatest"] for m in listed["DeleteMarkers"]] == [False]


def test_versions_are_listed_newest_first_and_in_pages(s3):
    versions = {key: [put(s3, key, b"%d" % n) for n in range(5)] for key in ("a", "a/b", "b c")}
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=s3.bucket, PaginationConfig={"PageSize": 2}
    )
    found = [(v["Key"], v["VersionId"]) for page in pages for v in page["Versions"]]
    assert found == [(key, v) for key in versions for v in reversed(versions[key])]
    some = s3.list_object_versions(Bucket=s3.bucket, Prefix="a/")["Versions"]
    assert {v["Key"] for v in some} == {"a/b"}


# KMS and CloudTrail


def test_ed25519_keys_sign_raw_messages(kms):
    arn = make(kms)
    told = kms.describe_key(KeyId=arn)["KeyMetadata"]
    assert told["KeySpec"] == "ECC_NIST_EDWARDS25519"
    assert "ED25519_SHA_512" in told["SigningAlgorithms"]
    public = kms.get_public_key(KeyId=arn)
    assert (public["KeyId"], public["KeySpec"]) == (arn, "ECC_NIST_EDWARDS25519")
    signed = kms.sign(
        KeyId=arn, Message=b"m" * 4_096, MessageType="RAW", SigningAlgorithm="ED25519_SHA_512"
    )
    key = serialization.load_der_public_key(public["PublicKey"])
    key.verify(signed["Signature"], b"m" * 4_096)
    assert kms.verify(
        KeyId=arn,
        Message=b"m" * 4_096,
        Signature=signed["Signature"],
        SigningAlgorithm="ED25519_SHA_512",
    )["SignatureValid"]
    wrong = {"KeyId": arn, "Message": b"m"}
    refuses(
        "ValidationException",
        kms.sign,
        **wrong,
        MessageType="DIGEST",
        SigningAlgorithm="ED25519_SHA_512",
    )
    refuses("InvalidKeyUsageException", kms.sign, **wrong, SigningAlgorithm="ECDSA_SHA_256")


def test_a_digest_is_not_hashed_again(kms):
    arn = make(kms, "ECC_NIST_P256")
    key = serialization.load_der_public_key(kms.get_public_key(KeyId=arn)["PublicKey"])
    for kind, sent in (("RAW", b"m"), ("DIGEST", hashlib.sha256(b"m").digest())):
        signature = kms.sign(
            KeyId=arn, Message=sent, MessageType=kind, SigningAlgorithm="ECDSA_SHA_256"
        )["Signature"]
        key.verify(signature, b"m", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_EDWARDS25519"])
def test_long_messages_and_unusable_keys_are_refused(kms, spec):
    arn = make(kms, spec)
    algorithm = kms.get_public_key(KeyId=arn)["SigningAlgorithms"][0]
    call = {"KeyId": arn, "SigningAlgorithm": algorithm}
    refuses("ValidationException", kms.sign, **call, Message=b"m" * 4_097)
    kms.disable_key(KeyId=arn)
    refuses("DisabledException", kms.sign, **call, Message=b"m")
    refuses("DisabledException", kms.get_public_key, KeyId=arn)
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    refuses("KMSInvalidStateException", kms.sign, **call, Message=b"m")
    refuses("KMSInvalidStateException", kms.get_public_key, KeyId=arn)
    missing = arn[:-4] + "0000"
    refuses("NotFoundException", kms.get_public_key, KeyId=missing)


def test_cloudtrail_tells_of_every_signature(aws, kms, monkeypatch):
    one, other = make(kms), make(kms, "ECC_NIST_P256")
    requests = []
    for number in range(60):
        monkeypatch.setattr(aws, "now", lambda n=number: AT + timedelta(seconds=n))
        arn, algorithm = [(one, "ED25519_SHA_512"), (other, "ECDSA_SHA_256")][number % 4 == 0]
        signed = kms.sign(KeyId=arn, Message=b"m", SigningAlgorithm=algorithm)
        requests.append((signed["ResponseMetadata"]["RequestId"], arn, algorithm))
    kms.disable_key(KeyId=one)
    refuses(
        "DisabledException", kms.sign, KeyId=one, Message=b"m", SigningAlgorithm="ED25519_SHA_512"
    )
    trail = aws.client("cloudtrail")
    window = {"StartTime": AT, "EndTime": AT + timedelta(seconds=60)}
    first = trail.lookup_events(**window)
    rest = trail.lookup_events(**window, NextToken=first["NextToken"])
    events = first["Events"] + rest["Events"]
    assert (len(first["Events"]), "NextToken" in rest) == (50, False)
    told = [json.loads(event["CloudTrailEvent"]) for event in reversed(events)]
    asked = [(t["requestID"], t["requestParameters"]) for t in told]
    assert [(r, p["keyId"], p["signingAlgorithm"]) for r, p in asked] == requests
    assert told[1]["eventTime"] == "2026-10-01T02:00:01Z"
    assert events[-1]["EventTime"] == AT
    by_key = [{"AttributeKey": "ResourceName", "AttributeValue": other}]
    assert len(trail.lookup_events(LookupAttributes=by_key)["Events"]) == 15
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "Sign"}]
    window = {"StartTime": AT + timedelta(seconds=10), "EndTime": AT + timedelta(seconds=19)}
    assert len(trail.lookup_events(LookupAttributes=by_name, **window)["Events"]) == 10
    none = [{"AttributeKey": "EventName", "AttributeValue": "Decrypt"}]
    assert trail.lookup_events(LookupAttributes=none)["Events"] == []
    refuses(
        "InvalidLookupAttributesException", trail.lookup_events, LookupAttributes=by_key + by_name
    )


# DynamoDB


@pytest.fixture
def dynamodb(aws):
    made = aws.client("dynamodb")
    made.table = f"t-{uuid.uuid4()}"
    make_table(made, made.table, "k")
    return made


def written(dynamodb, value, key="a"):
    put = {
        "TableName": dynamodb.table,
        "Item": {"k": {"S": key}, "v": {"N": str(value)}},
        "ConditionExpression": "attribute_not_exists(k)",
    }
    return [{"Put": put}]


def test_a_token_makes_a_transaction_idempotent_for_ten_minutes(aws, dynamodb, monkeypatch):
    monkeypatch.setattr(aws, "now", lambda: AT)
    call = dynamodb.transact_write_items
    call(TransactItems=written(dynamodb, 1), ClientRequestToken="one")
    call(TransactItems=written(dynamodb, 1), ClientRequestToken="one")
    refuses(
        "IdempotentParameterMismatchException",
        call,
        TransactItems=written(dynamodb, 2),
        ClientRequestToken="one",
    )
    cancelled = "TransactionCanceledException"
    refused = refuses(cancelled, call, TransactItems=written(dynamodb, 1), ClientRequestToken="two")
    assert [r["Code"] for r in refused["CancellationReasons"]] == ["ConditionalCheckFailed"]
    monkeypatch.setattr(aws, "now", lambda: AT + timedelta(minutes=11))
    refuses(cancelled, call, TransactItems=written(dynamodb, 1), ClientRequestToken="one")


def test_items_and_transactions_are_bounded(dynamodb):
    def puts(count, size):
        return [
            {
                "Put": {
                    "TableName": dynamodb.table,
                    "Item": {"k": {"S": f"{n}"}, "d": {"B": bytes(size)}},
                }
            }
            for n in range(count)
        ]

    call = dynamodb.transact_write_items
    refuses("ValidationException", call, TransactItems=puts(1, 409_700))
    refuses("ValidationException", call, TransactItems=puts(12, 350_000))
    call(TransactItems=puts(11, 350_000))


# Faults


def test_a_fault_before_has_no_effect_and_one_after_has(aws, s3):
    once = aws.client("s3", attempts=1)
    for after in (False, True):
        with aws.failing("s3", "PutObject", Fault(500, after=after)) as seen:
            refuses("InternalError", once.put_object, Bucket=s3.bucket, Key=f"{after}", Body=b"")
        assert seen == [1]
    assert [v["Key"] for v in s3.list_object_versions(Bucket=s3.bucket)["Versions"]] == ["True"]


def test_a_client_retries_at_once_as_often_as_it_should(aws, s3, kms):
    with aws.failing("s3", "PutObject", throttle("s3"), times=2) as seen:
        put(s3)
    assert seen == [3]
    with aws.failing("kms", "ListKeys", throttle("kms"), times=9) as seen:
        refuses("ThrottlingException", kms.list_keys)
    assert seen == [3]
    with aws.failing("kms", "ListKeys", Fault(500), skip=1) as seen:
        kms.list_keys()
        kms.list_keys()
    assert seen == [3]


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_is_dropped_or_hangs(aws, s3, after):
    impatient = aws.client("s3", attempts=1, read_timeout=0.5)
    for how, error in (("drop", ConnectionClosedError), ("hang", ReadTimeoutError)):
        fault = Fault(how=how, after=after)
        with aws.failing("s3", "PutObject", fault), pytest.raises(error):
            impatient.put_object(Bucket=s3.bucket, Key=how, Body=b"x")
    listed = s3.list_object_versions(Bucket=s3.bucket).get("Versions", [])
    assert [v["Key"] for v in listed] == (["drop", "hang"] if after else [])
