"""Packets that wait in a bucket under ``packet/``, and presigned addresses.

A lifecycle rule of the bucket removes them. An address is as good as the credentials that signed
it: those of a function may end before it does. ``ACTIONS`` are the IAM actions this needs, on the
bucket's objects under that prefix; GetObject is used by whoever has the address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from botocore.exceptions import ClientError

from chalicelib.aws import failures
from chalicelib.aws.failures import translated
from chalicelib.kernel.store import check_key

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    from chalicelib.kernel.clock import Clock

ACTIONS: Final = ("s3:PutObject", "s3:GetObject")

PREFIX: Final = "packet/"
_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})


class S3Parcels:
    """Implements ``evidence.parcel.Parcels`` in ``bucket``."""

    def __init__(self, client: S3Client, bucket: str, clock: Clock) -> None:
        self._client = client
        self._bucket = bucket
        self._clock = clock

    def put(self, name: str, stream: BinaryIO) -> None:
        """Keep what is in the stream, in one piece: at most 5 GB (S3, PutObject)."""
        check_key(name)
        with translated(f"write a packet into {self._bucket}"):
            self._client.put_object(
                Bucket=self._bucket, Key=PREFIX + name, Body=stream, ContentType="application/zip"
            )

    def has(self, name: str) -> bool:
        """Whether it is there still."""
        check_key(name)
        with translated(f"look for a packet in {self._bucket}"):
            try:
                self._client.head_object(Bucket=self._bucket, Key=PREFIX + name)
            except ClientError as error:
                if failures.code(error) in _MISSING:
                    return False
                raise
        return True

    def address(self, name: str, until: datetime) -> str:
        """A presigned URL that fetches it until then."""
        check_key(name)
        seconds = max(1, int((until - self._clock.now()).total_seconds()))
        wanted = {
            "Bucket": self._bucket,
            "Key": PREFIX + name,
            "ResponseContentDisposition": f'attachment; filename="{name}"',
        }
        with translated(f"sign an address in {self._bucket}"):
            return self._client.generate_presigned_url(
                "get_object", Params=wanted, ExpiresIn=seconds
            )
