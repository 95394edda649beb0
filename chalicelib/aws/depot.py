"""Depot: the bucket that CloudFormation reads deployments from. Private, versioned, encrypted.

Objects are named by the digest of their bytes and pinned by their version, so that what was looked
at is what is deployed, whoever else can write there. Each call names the account that must own the
bucket: names of buckets are anybody's to take (Source: S3, "Verifying bucket ownership").
``ACTIONS`` are the IAM actions this needs, on the bucket and its objects.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws.failures import code, translated
from chalicelib.kernel.errors import NotAllowed

if TYPE_CHECKING:
    from io import BufferedReader, BytesIO

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType

ACTIONS: Final = (
    "s3:CreateBucket",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutObject",
)

MISSING: Final = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NotFound"})
PARTITIONS: Final = {
    "cn": ("aws-cn", "amazonaws.com.cn"),
    "us-gov": ("aws-us-gov", "amazonaws.com"),
}


def name(account: str, region: str) -> str:
    """The bucket of an account in a region."""
    return f"holdfast-deploy-{account}-{region}"


class Depot:
    """The deployment bucket of one account and region. ``client``: of S3, in that region."""

    def __init__(self, client: S3Client, *, account: str, region: str) -> None:
        self._client = client
        self._account = account
        self._region = region
        self.bucket = name(account, region)

    def ensure(self) -> bool:
        """The bucket is there, closed to the public; whether it had to be made.

        Raises: NotAllowed, where the name is somebody else's; as failures.translated.
        """
        made = not self._exists()
        with translated(f"set up the bucket {self.bucket}"):
            if made:
                self._create()
            owned: dict[str, Any] = {"Bucket": self.bucket, "ExpectedBucketOwner": self._account}
            self._client.put_public_access_block(
                **owned,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            )
            self._client.put_bucket_versioning(
                **owned, VersioningConfiguration={"Status": "Enabled"}
            )
            self._client.put_bucket_encryption(
                **owned,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            )
            self._client.put_bucket_policy(**owned, Policy=self._policy())
        return made

    def put(self, key: str, data: BufferedReader | BytesIO) -> str:
        """The version that holds exactly these bytes, sent only if it is not there yet.

        Raises: as failures.translated.
        """
        digest = hashlib.file_digest(data, "sha256").digest()
        checksum = base64.b64encode(digest).decode()
        owned: dict[str, Any] = {
            "Bucket": self.bucket,
            "Key": key,
            "ExpectedBucketOwner": self._account,
        }
        with translated(f"store {key} in {self.bucket}"):
            try:
                there = self._client.head_object(**owned, ChecksumMode="ENABLED")
                if there.get("ChecksumSHA256") == checksum:
                    return there["VersionId"]
            except self._client.exceptions.ClientError as error:
                if code(error) not in MISSING:
                    raise
            data.seek(0)
            stored = self._client.put_object(
                **owned, Body=data, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
            )
            return stored["VersionId"]

    def has(self, key: str) -> bool:
        """Whether there is an object. Raises: as failures.translated."""
        with translated(f"look for {key} in {self.bucket}"):
            try:
                self._client.head_object(
                    Bucket=self.bucket, Key=key, ExpectedBucketOwner=self._account
                )
            except self._client.exceptions.ClientError as error:
                if code(error) in MISSING:
                    return False
                raise
            return True

    def url(self, key: str, version: str) -> str:
        """The address of an object's version as CloudFormation takes it."""
        _, suffix = self._partition()
        return f"https://{self.bucket}.s3.{self._region}.{suffix}/{key}?versionId={version}"

    def _partition(self) -> tuple[str, str]:
        return next(
            (found for head, found in PARTITIONS.items() if self._region.startswith(f"{head}-")),
            ("aws", "amazonaws.com"),
        )

    def _exists(self) -> bool:
        with translated(f"look for the bucket {self.bucket}"):
            try:
                self._client.head_bucket(Bucket=self.bucket, ExpectedBucketOwner=self._account)
            except self._client.exceptions.ClientError as error:
                if code(error) in MISSING:
                    return False
                if code(error) in {"403", "AccessDenied"}:
                    raise NotAllowed(
                        f"the bucket {self.bucket} is not ours to read: another account may have "
                        f"it, or {self._account} does not allow s3:ListBucket",
                        next_step="nothing is deployed through a bucket of somebody else's",
                    ) from None
                raise
            return True

    def _create(self) -> None:
        if self._region == "us-east-1":  # the one that must not be named; S3, CreateBucket
            self._client.create_bucket(Bucket=self.bucket)
            return
        region: BucketLocationConstraintType = self._region  # type: ignore[assignment]
        self._client.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": region}
        )

    def _policy(self) -> str:
        arn = f"arn:{self._partition()[0]}:s3:::{self.bucket}"
        return json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "TlsOnly",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": [arn, f"{arn}/*"],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    }
                ],
            }
        )
