"""What the write-once bucket promises, and whether it still does.

``ACTIONS`` are the IAM actions this needs: two on the bucket for :func:`check`, the others for
:func:`locks`, which asks about one object at a time.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import ClientError

from chalicelib.aws import failures
from chalicelib.aws.failures import translated
from chalicelib.aws.writeonce import S3WriteOnce
from chalicelib.kernel.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_s3 import S3Client

ACTIONS: Final = (
    "s3:GetBucketVersioning",
    "s3:GetBucketObjectLockConfiguration",
    "s3:ListBucketVersions",
    "s3:GetObjectVersion",
    "s3:GetObjectRetention",
    "s3:GetObjectLegalHold",
)

MODE: Final = "COMPLIANCE"  # GOVERNANCE can be bypassed by who has the permission
DAYS_A_YEAR: Final = 365  # as S3 counts a default retention in years


class Lock(msgspec.Struct, frozen=True):
    """The lock of a key's first version; ``until`` is timezone-aware. No mode: it is not locked."""

    key: str
    version_id: str
    created: datetime
    mode: str | None
    until: datetime | None
    legal_hold: bool


def check(client: S3Client, bucket: str, *, min_days: int) -> None:
    """Return if the bucket keeps versions, and locks each for ``min_days`` or more in COMPLIANCE.

    Raises: StoreUnavailable: nothing may be written to such a bucket as evidence.
    """
    with translated(f"check the bucket {bucket}"):
        versioning = client.get_bucket_versioning(Bucket=bucket).get("Status")
        try:
            found = client.get_object_lock_configuration(Bucket=bucket)
        except ClientError as error:
            if failures.code(error) != "ObjectLockConfigurationNotFoundError":
                raise
            raise _refused(bucket, "Object Lock", "off") from error
    if versioning != "Enabled":
        raise _refused(bucket, "versioning", versioning)
    lock = found.get("ObjectLockConfiguration", {})
    if lock.get("ObjectLockEnabled") != "Enabled":
        raise _refused(bucket, "Object Lock", "off")
    rule: Mapping[str, Any] = lock.get("Rule", {}).get("DefaultRetention", {})
    days = rule.get("Days") or (rule.get("Years") or 0) * DAYS_A_YEAR
    if rule.get("Mode") != MODE or days < min_days:
        raise _refused(
            bucket,
            f"a default retention of {MODE} for at least {min_days} days",
            f"{rule['Mode']} for {days} days" if rule.get("Mode") else "none",
        )


def locks(client: S3Client, bucket: str, prefix: str) -> Iterator[Lock]:
    """The lock of every key's first version, ascending; one request each.

    Raises: StoreUnavailable.
    """
    for version in S3WriteOnce(client, bucket).versions(prefix):
        with translated(f"read the lock of {version.key} in {bucket}"):
            head = client.head_object(Bucket=bucket, Key=version.key, VersionId=version.id)
        yield Lock(
            key=version.key,
            version_id=version.id,
            created=version.modified,
            mode=head.get("ObjectLockMode"),
            until=head.get("ObjectLockRetainUntilDate"),
            legal_hold=head.get("ObjectLockLegalHoldStatus") == "ON",
        )


def _refused(bucket: str, expected: str, observed: object) -> StoreUnavailable:
    return StoreUnavailable(
        f"the bucket {bucket} does not keep evidence: expected {expected}, observed {observed}",
        next_step="name a bucket that infra/ made, or set it up as docs/deploy.md says",
    )
