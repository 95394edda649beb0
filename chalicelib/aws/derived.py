"""Derived objects in an S3 bucket without locks: each put replaces the whole object at once.

``ACTIONS`` are the IAM actions this needs, on the bucket and its objects. Without s3:ListBucket S3
answers 403 in place of 404 for what is not there.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws import failures, session
from chalicelib.aws.failures import translated
from chalicelib.kernel.errors import Malformed, Unsupported
from chalicelib.kernel.store import MAX_OBJECT_BYTES, check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

ACTIONS: Final = ("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket")

ATTEMPTS: Final = 5  # reads that broke off in the body


class S3Derived:
    """Implements ``kernel.store.Derived`` in ``bucket``.

    ``pause(attempt)`` waits a little before a read is made again.
    """

    def __init__(
        self, client: S3Client, bucket: str, *, pause: Callable[[int], None] = session.pause
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._pause = pause

    def put(self, key: str, data: bytes) -> None:
        """Store durably, atomically replacing what was there. Raises: StoreUnavailable."""
        check_key(key)
        if len(data) > MAX_OBJECT_BYTES:
            raise Unsupported(f"{key} would have {len(data)} bytes; at most {MAX_OBJECT_BYTES}")
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        with translated(f"store {key} in {self._bucket}"):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data, ChecksumSHA256=digest)

    def get(self, key: str) -> bytes | None:
        """The bytes, or None. Raises: StoreUnavailable; Malformed, above MAX_OBJECT_BYTES."""
        check_key(key)
        with translated(f"read {key} in {self._bucket}"):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    answer = self._client.get_object(Bucket=self._bucket, Key=key)
                except ClientError as error:
                    if failures.code(error) == "NoSuchKey":
                        return None
                    raise
                if answer["ContentLength"] > MAX_OBJECT_BYTES:
                    raise Malformed(f"{key} is larger than {MAX_OBJECT_BYTES} bytes")
                try:
                    return answer["Body"].read()
                except BotoCoreError:  # botocore itself does not ask again once a body has begun
                    if attempt == ATTEMPTS:
                        raise
                    self._pause(attempt)
        raise AssertionError  # the loop returns or raises

    def delete(self, key: str) -> None:
        """Remove, if it is there. Raises: StoreUnavailable."""
        check_key(key)
        with translated(f"remove {key} in {self._bucket}"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order. Raises: StoreUnavailable."""
        with translated(f"list {prefix or 'everything'} in {self._bucket}"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            for page in pages:
                yield from (entry["Key"] for entry in page.get("Contents", []))
