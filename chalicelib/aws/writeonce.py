"""Write-once objects in an S3 bucket with versions and Object Lock: a key's first version counts.

COMPLIANCE retention keeps every version, but does not keep anybody from putting another version or
a delete marker on top. So the current version says nothing here: what is read is always the oldest
one, a delete marker hides nothing, and :meth:`S3WriteOnce.strangers` names whatever came later.

1. *Put* with If-None-Match, so that of writers at once one wins; the others get 412.
2. *Look* for the key's first version. A delete marker lets a put of step 1 through, and a put whose
   answer was lost gets 412 when it is made again.
3. It is ours, or holds the same bytes; else DigestMismatch.

Where a version of a multipart upload that was begun before stands among the versions, S3 does not
say. The bucket's policy must therefore deny writes without If-None-Match, which
CompleteMultipartUpload takes too. ``ACTIONS`` are the IAM actions this needs, on the bucket and
its objects.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws import failures, session
from chalicelib.aws.failures import translated
from chalicelib.kernel.errors import (
    DigestMismatch,
    Malformed,
    Missing,
    StoreUnavailable,
    Unsupported,
)
from chalicelib.kernel.store import MAX_OBJECT_BYTES, check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectVersionsOutputTypeDef

ACTIONS: Final = ("s3:PutObject", "s3:GetObjectVersion", "s3:ListBucketVersions")

MAX_VERSIONS: Final = 10_000  # of one key; an honest one has one
ATTEMPTS: Final = 5  # puts that met another put (409), and reads that broke off in the body
_PAGE: Final = 100  # versions asked for at a time where one is expected
_TAKEN: Final = frozenset({"PreconditionFailed", "412"})
_MET: Final = frozenset({"ConditionalRequestConflict", "OperationAborted"})
_GONE: Final = frozenset({"NoSuchVersion", "NoSuchKey", "404"})


class Version(msgspec.Struct, frozen=True):
    """One version of a key. ``modified``: S3's time, in seconds, timezone-aware."""

    key: str
    id: str
    size_bytes: int
    modified: datetime


class Stranger(msgspec.Struct, frozen=True):
    """What should not be in the bucket: a later version of a key, or a delete marker."""

    key: str
    id: str
    marker: bool
    modified: datetime


class S3WriteOnce:
    """Implements ``kernel.store.WriteOnce`` in ``bucket``; ``aws.bucket`` checks its settings.

    ``pause(attempt)`` waits a little before a put or a read is made again.
    """

    def __init__(
        self, client: S3Client, bucket: str, *, pause: Callable[[int], None] = session.pause
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._pause = pause

    def put(self, key: str, data: bytes) -> None:
        """Store durably; the same bytes again are fine.

        Raises: DigestMismatch; StoreUnavailable; Unsupported, above MAX_OBJECT_BYTES.
        """
        check_key(key)
        if len(data) > MAX_OBJECT_BYTES:  # what is never read again must not be stored
            raise Unsupported(
                f"{key} would have {len(data)} bytes; at most {MAX_OBJECT_BYTES} are stored",
                next_step="find what is so large in the target, e.g. a comment or a definition",
            )
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(attempt)
            ours = self._put_new(key, data)
            first = self._first(key)
            if first is None:
                continue  # it met another put, which was not made in the end
            if first.id != ours and (first.size_bytes != len(data) or self._read(first) != data):
                raise DigestMismatch(
                    f"{key} is there already, with other bytes; it was left as it is",
                    next_step="keep both, and verify the log",
                )
            return
        raise StoreUnavailable(
            f"cannot store {key} in {self._bucket}: other writers were in the way {ATTEMPTS} times",
            next_step="try again",
        )

    def get(self, key: str) -> bytes:
        """The bytes of the first version. Raises: Missing; StoreUnavailable; Malformed."""
        check_key(key)
        first = self._first(key)
        if first is None:
            raise self._missing(key)
        return self._read(first)

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that start with ``prefix``, in ascending order, delete markers or not."""
        return (version.key for version in self.versions(prefix))

    def versions(self, prefix: str) -> Iterator[Version]:
        """The first version of every key that starts with ``prefix``, in ascending order.

        Raises: StoreUnavailable.
        """
        return (version for version, first in _told(self._pages(prefix)) if first)

    def strangers(self, prefix: str) -> Iterator[Stranger]:
        """Every version that is not its key's first, and every delete marker: each is tampering.

        Also a put through a delete marker leaves one, of the same bytes. Raises: StoreUnavailable.
        """
        markers: list[Stranger] = []

        def pages() -> Iterator[ListObjectVersionsOutputTypeDef]:
            for page in self._pages(prefix):
                markers.extend(
                    Stranger(m["Key"], m["VersionId"], marker=True, modified=m["LastModified"])
                    for m in page.get("DeleteMarkers", [])
                )
                yield page

        for version, first in _told(pages()):
            yield from markers
            markers.clear()
            if not first:
                yield Stranger(version.key, version.id, marker=False, modified=version.modified)
        yield from markers

    def _put_new(self, key: str, data: bytes) -> str | None:
        """Step 1: the id of the version that was made; None, where there is one already."""
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        with translated(f"store {key} in {self._bucket}"):
            try:
                answer = self._client.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=data,
                    IfNoneMatch="*",
                    # Object Lock asks for it, and S3 refuses bytes that were changed on the way.
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=digest,
                )
            except ClientError as error:
                if failures.code(error) in _TAKEN | _MET:
                    return None
                raise
        return answer.get("VersionId")

    def _first(self, key: str) -> Version | None:
        """The key's oldest version. Raises: StoreUnavailable, also above MAX_VERSIONS."""
        first, seen = None, 0
        for page in self._pages(key, size=_PAGE):
            markers = [entry["Key"] for entry in page.get("DeleteMarkers", [])]
            versions = [entry for entry in page.get("Versions", []) if entry["Key"] == key]
            if versions:  # S3, ListObjectVersions: the most recently stored first
                last = versions[-1]
                first = Version(key, last["VersionId"], last["Size"], last["LastModified"])
            seen += len(versions) + markers.count(key)
            if seen > MAX_VERSIONS:
                raise StoreUnavailable(
                    f"{key} in {self._bucket} has more than {MAX_VERSIONS} versions",
                    next_step="find out in CloudTrail who writes there, and take that away",
                )
            if {*markers, *(entry["Key"] for entry in page.get("Versions", []))} - {key}:
                break  # the key itself sorts before all others that it is a prefix of
        return first

    def _read(self, version: Version) -> bytes:
        """The bytes of one version. Raises: Missing; Malformed; StoreUnavailable."""
        if version.size_bytes > MAX_OBJECT_BYTES:
            raise Malformed(f"{version.key} is larger than {MAX_OBJECT_BYTES} bytes")
        with translated(f"read {version.key} in {self._bucket}"):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    answer = self._client.get_object(
                        Bucket=self._bucket, Key=version.key, VersionId=version.id
                    )
                except ClientError as error:
                    if failures.code(error) in _GONE:
                        raise self._missing(version.key) from error
                    raise
                try:
                    return answer["Body"].read()
                except BotoCoreError:  # botocore itself does not ask again once a body has begun
                    if attempt == ATTEMPTS:
                        raise
                    self._pause(attempt)
        raise AssertionError  # the loop returns or raises

    def _pages(self, prefix: str, size: int = 1_000) -> Iterator[ListObjectVersionsOutputTypeDef]:
        with translated(f"list {prefix or 'everything'} in {self._bucket}"):
            yield from self._client.get_paginator("list_object_versions").paginate(
                Bucket=self._bucket, Prefix=prefix, PaginationConfig={"PageSize": size}
            )

    def _missing(self, key: str) -> Missing:
        return Missing(
            f"{key} is not in the write-once bucket {self._bucket}",
            next_step="restore it from the replica; holdfast evidence fsck names what is missing",
        )


def _told(pages: Iterator[ListObjectVersionsOutputTypeDef]) -> Iterator[tuple[Version, bool]]:
    """Each version, and whether it is its key's first: the last of its key, newest come first."""
    before: Version | None = None
    for page in pages:
        for entry in page.get("Versions", []):
            found = Version(entry["Key"], entry["VersionId"], entry["Size"], entry["LastModified"])
            if before is not None:
                yield before, before.key != found.key
            before = found
    if before is not None:
        yield before, True
