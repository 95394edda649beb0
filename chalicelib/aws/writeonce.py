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
CompleteMultipartUpload takes too.

A lock for longer than the bucket's default is asked for with the object, or put on its first
version afterwards; COMPLIANCE retention only ever grows. A hold is S3's legal hold of the first
version, which knows no end. ``ACTIONS`` are the IAM actions that reading and writing need, on the
bucket and its objects; ``HOLD_ACTIONS`` are those of holds, which no function has: IAM knows one
action for placing and for releasing.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws import failures, session
from chalicelib.aws.bucket import MODE
from chalicelib.aws.failures import translated
from chalicelib.kernel.errors import (
    DigestMismatch,
    Malformed,
    Missing,
    StoreUnavailable,
    Unsupported,
)
from chalicelib.kernel.store import MAX_OBJECT_BYTES, check_days, check_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import ObjectLockLegalHoldStatusType
    from mypy_boto3_s3.type_defs import ListObjectVersionsOutputTypeDef

    from chalicelib.kernel.clock import Clock

ACTIONS: Final = (
    "s3:GetObjectRetention",
    "s3:GetObjectVersion",
    "s3:ListBucketVersions",
    "s3:PutObject",
    "s3:PutObjectRetention",
)
HOLD_ACTIONS: Final = ("s3:GetObjectLegalHold", "s3:PutObjectLegalHold")

MAX_VERSIONS: Final = 10_000  # of one key; an honest one has one
ATTEMPTS: Final = 5  # puts that met another put (409), and reads that broke off in the body
MARGIN: Final = timedelta(days=1)  # more than is asked for: clocks, and kernel.remembered
_PAGE: Final = 100  # versions asked for at a time where one is expected
_UNLOCKED: Final = "NoSuchObjectLockConfiguration"  # of retention, and of a legal hold
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

    ``default_days``: the bucket's default retention; what is to be locked for longer says so.
    ``clock``: needed for that alone. ``pause(attempt)`` waits a little before a put or a read is
    made again.
    """

    def __init__(
        self,
        client: S3Client,
        bucket: str,
        *,
        default_days: int = 0,
        clock: Clock | None = None,
        pause: Callable[[int], None] = session.pause,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._default_days = default_days
        self._clock = clock
        self._pause = pause

    def put(self, key: str, data: bytes, *, keep_days: int = 0) -> None:
        """Store durably; the same bytes again are fine.

        Raises: DigestMismatch; StoreUnavailable; Unsupported, above MAX_OBJECT_BYTES.
        """
        check_key(key)
        wanted = self._wanted(keep_days)
        if len(data) > MAX_OBJECT_BYTES:  # what is never read again must not be stored
            raise Unsupported(
                f"{key} would have {len(data)} bytes; at most {MAX_OBJECT_BYTES} are stored",
                next_step="find what is so large in the target, e.g. a comment or a definition",
            )
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(attempt)
            ours = self._put_new(key, data, wanted)
            first = self._first(key)
            if first is None:
                continue  # it met another put, which was not made in the end
            if first.id != ours and (first.size_bytes != len(data) or self._read(first) != data):
                raise DigestMismatch(
                    f"{key} is there already, with other bytes; it was left as it is",
                    next_step="keep both, and verify the log",
                )
            if wanted is not None and first.id != ours:
                self._lock_longer(first, wanted)
            return
        raise StoreUnavailable(
            f"cannot store {key} in {self._bucket}: other writers were in the way {ATTEMPTS} times",
            next_step="try again",
        )

    def get(self, key: str) -> bytes:
        """The bytes of the first version. Raises: Missing; StoreUnavailable; Malformed."""
        return self._read(self._existing(key))

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

    def hold(self, key: str) -> None:
        """Put a legal hold on the key's first version. Raises: Missing; StoreUnavailable."""
        self._legal_hold(key, "ON")

    def release(self, key: str) -> None:
        """Take the legal hold off. Raises: Missing; StoreUnavailable."""
        self._legal_hold(key, "OFF")

    def held(self, key: str) -> bool:
        """Whether the first version has a legal hold. Raises: Missing; StoreUnavailable."""
        first = self._existing(key)
        with translated(f"look for a hold of {key} in {self._bucket}"):
            try:
                found = self._client.get_object_legal_hold(
                    Bucket=self._bucket, Key=key, VersionId=first.id
                )
            except ClientError as error:
                if failures.code(error) == _UNLOCKED:  # it never had one
                    return False
                raise
        return found.get("LegalHold", {}).get("Status") == "ON"

    def _legal_hold(self, key: str, status: ObjectLockLegalHoldStatusType) -> None:
        first = self._existing(key)
        with translated(f"put a hold on {key} in {self._bucket}, or take one off"):
            self._client.put_object_legal_hold(
                Bucket=self._bucket, Key=key, VersionId=first.id, LegalHold={"Status": status}
            )

    def _existing(self, key: str) -> Version:
        check_key(key)
        first = self._first(key)
        if first is None:
            raise self._missing(key)
        return first

    def _wanted(self, keep_days: int) -> datetime | None:
        """Until when a lock is asked for; None, where the bucket's default is as long."""
        check_days(keep_days)
        if keep_days <= self._default_days:
            return None
        if self._clock is None:
            raise ValueError("a lock for longer than the bucket's default needs a clock")
        return self._clock.now() + timedelta(days=keep_days)

    def _lock_longer(self, version: Version, wanted: datetime) -> None:
        """The version's lock ends at ``wanted`` at the earliest; it is never made shorter."""
        place: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": version.key,
            "VersionId": version.id,
        }
        with translated(f"lock {version.key} in {self._bucket}"):
            try:
                found = self._client.get_object_retention(**place).get("Retention", {})
            except ClientError as error:
                if failures.code(error) != _UNLOCKED:
                    raise
                found = {}
            until = found.get("RetainUntilDate")
            if until is None or until < wanted or found.get("Mode") != MODE:
                self._client.put_object_retention(
                    **place, Retention={"Mode": MODE, "RetainUntilDate": wanted + MARGIN}
                )

    def _put_new(self, key: str, data: bytes, wanted: datetime | None) -> str | None:
        """Step 1: the id of the version that was made; None, where there is one already."""
        digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
        lock: dict[str, Any] = {}
        if wanted is not None:
            lock = {"ObjectLockMode": MODE, "ObjectLockRetainUntilDate": wanted + MARGIN}
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
                    **lock,
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
