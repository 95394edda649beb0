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


def _refused(bucket: str, expected: str, observed: object) -> StoreUnavailable:
    return StoreUnavailable(
        f"the bucket {bucket} does not keep evidence: expected {expected}, observed {observed}",
        next_step="name a bucket that infra/ made, or set it up as docs/deploy.md says",
    )
