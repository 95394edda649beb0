from __future__ import annotations

import uuid

import pytest
from contract.adapters import make_bucket

from chalicelib.aws.bucket import check
from chalicelib.kernel.errors import StoreUnavailable


@pytest.fixture
def s3(aws):
    return aws.client("s3")


@pytest.fixture
def name():
    return f"evidence-{uuid.uuid4()}"


def refused(s3, name, expected, min_days=30):
    with pytest.raises(StoreUnavailable, match=expected) as error:
        check(s3, name, min_days=min_days)
    assert error.value.next_step


@pytest.mark.parametrize("lock", [{"Days": 30}, {"Days": 31}, {"Years": 1}])
def test_a_bucket_that_locks_long_enough_is_accepted(s3, name, lock):
    make_bucket(s3, name, Mode="COMPLIANCE", **lock)
    check(s3, name, min_days=30)


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        ({"Mode": "COMPLIANCE", "Days": 29}, "COMPLIANCE for 29 days"),
        ({"Mode": "GOVERNANCE", "Days": 300}, "GOVERNANCE for 300 days"),
        ({"Mode": "GOVERNANCE", "Years": 2}, "GOVERNANCE for 730 days"),
    ],
)
def test_a_bucket_that_locks_otherwise_is_refused(s3, name, lock, said):
    make_bucket(s3, name, **lock)
    refused(s3, name, f"expected .*COMPLIANCE for at least 30 days, observed {said}")


def test_a_year_is_365_days(s3, name):
    make_bucket(s3, name, Mode="COMPLIANCE", Years=2)
    check(s3, name, min_days=730)
    refused(s3, name, "730 days", min_days=731)


def test_a_bucket_without_object_lock_is_refused(s3, name):
    s3.create_bucket(Bucket=name)
    refused(s3, name, "expected Object Lock, observed off")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    refused(s3, name, "expected Object Lock, observed off")


def test_a_bucket_with_object_lock_and_no_default_retention_is_refused(s3, name):
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    refused(s3, name, "observed none")


class Answers:
    """S3 with a bucket whose settings AWS itself would not let be: another S3 may."""

    def __init__(self, versioning, lock):
        self.versioning, self.lock = versioning, lock

    def get_bucket_versioning(self, **_):
        return self.versioning

    def get_object_lock_configuration(self, **_):
        return {"ObjectLockConfiguration": self.lock}


@pytest.mark.parametrize(
    ("versioning", "lock", "said"),
    [
        ({}, {"ObjectLockEnabled": "Enabled"}, "versioning, observed None"),
        ({"Status": "Suspended"}, {"ObjectLockEnabled": "Enabled"}, "versioning, observed Susp"),
        ({"Status": "Enabled"}, {}, "Object Lock, observed off"),
        ({"Status": "Enabled"}, {"ObjectLockEnabled": "Enabled"}, "observed none"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(versioning, lock, said):
    refused(Answers(versioning, lock), "evidence", said)


def test_a_bucket_that_is_not_there_is_said(s3, name):
    refused(s3, name, "NoSuchBucket")
