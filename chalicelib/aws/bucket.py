"""What the write-once bucket promises, and whether it still does.

``ACTIONS`` are the IAM actions this needs, on the bucket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from chalicelib.aws import failures
from chalicelib.aws.failures import translated
from chalicelib.kernel.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

ACTIONS: Final = ("s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration")

MODE: Final = "COMPLIANCE"  # GOVERNANCE can be bypassed by who has the permission
DAYS_A_YEAR: Final = 365  # as S3 counts a default retention in years


def check(client: S3Client, bucket: str, *, min_days: int) -> int:
    """For how many days, at least ``min_days``, the bucket keeps every version, whoever asks.

    Raises: StoreUnavailable: nothing may be written to such a bucket as evidence.
    """
    with translated(f"check the bucket {bucket}"):
        versioning = client.get_bucket_versioning(Bucket=bucket).get("Status")
        kept = retention(client, bucket)
    if kept is None:
        raise _refused(bucket, "Object Lock", "off")
    if versioning != "Enabled":
        raise _refused(bucket, "versioning", versioning)
    mode, days = kept
    if mode != MODE or days < min_days:
        raise _refused(
            bucket,
            f"a default retention of {MODE} for at least {min_days} days",
            f"{mode} for {days} days" if mode else "none",
        )
    return days


def retention(client: S3Client, bucket: str) -> tuple[str, int] | None:
    """Mode and days of the default retention, "" and 0 without one; None without Object Lock.

    Raises: botocore's errors.
    """
    try:
        found = client.get_object_lock_configuration(Bucket=bucket)
    except ClientError as error:
        if failures.code(error) != "ObjectLockConfigurationNotFoundError":
            raise
        return None
    lock = found.get("ObjectLockConfiguration", {})
    if lock.get("ObjectLockEnabled") != "Enabled":
        return None
    rule: Mapping[str, Any] = lock.get("Rule", {}).get("DefaultRetention", {})
    days = rule.get("Days") or (rule.get("Years") or 0) * DAYS_A_YEAR
    return str(rule.get("Mode") or ""), int(days)


def _refused(bucket: str, expected: str, observed: object) -> StoreUnavailable:
    return StoreUnavailable(
        f"the bucket {bucket} does not keep evidence: expected {expected}, observed {observed}",
        next_step="name a bucket that infra/ made, or set it up as docs/deploy.md says",
    )
