"""Reconcile: what CloudTrail, the receipts and the bucket say of a period, held together.

1. CloudTrail's Sign calls with the log's key: its own account of the key, which no writer reaches.
2. The receipts, checkpoints and baseline envelopes of the period, each read and verified.
3. ``evidence.account`` matches them, for each key that the log has or had by itself: a former key
   that signs anything more shows.
4. Over the whole bucket: a version after a key's first one, and a delete marker, are tampering.
5. The lock of every object that was written in the period: COMPLIANCE, and for long enough. An
   object's lock cannot be taken back later, so that period after period covers the bucket.

CloudTrail keeps 90 days. That all checkpoints lie on one line is proven by fsck, not here.
``ACTIONS`` are the IAM actions this needs on the bucket; ``aws.trail`` has those on CloudTrail.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeVar

from chalicelib.aws import bucket as locked
from chalicelib.aws import trail
from chalicelib.aws.failures import translated
from chalicelib.aws.writeonce import S3WriteOnce
from chalicelib.evidence import layout, receipts
from chalicelib.evidence.account import SKEW, Period, Problem, Report, Severity, Use, match
from chalicelib.kernel import clock
from chalicelib.kernel.errors import UsageError, VerificationFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from mypy_boto3_cloudtrail import CloudTrailClient
    from mypy_boto3_s3 import S3Client

    from chalicelib.aws.writeonce import Version
    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.receipts import Kept, Published

ACTIONS: Final = (
    "s3:ListBucketVersions",
    "s3:GetObjectVersion",
    "s3:GetObjectRetention",
)

MARGIN: Final = timedelta(days=1)  # of receipts and publications around the period
MAX_PROBLEMS: Final = 1_000  # with locks, and with versions; more say nothing new
WORKERS: Final = 8  # requests to S3 at once
LOCK_SLACK: Final = timedelta(minutes=1)  # between S3's times of an object and of its lock
_PUBLISHED: Final = (layout.CHECKPOINTS, layout.HANDOVERS, layout.PACKETS, receipts.ENVELOPES)
_CHUNK: Final = 1_000  # objects handed to the workers at a time
_DAY: Final = timedelta(days=1)

_Thing = TypeVar("_Thing")
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to look. ``key``: the signing key's ARN; ``retention_days``: what a lock must be for.

    ``keys``: the log's pinned keys, of which the newest is that one; ``former``: the ARNs of the
    others, in their order. ``pace()`` waits between two questions to CloudTrail: half a second.
    """

    trail: CloudTrailClient
    s3: S3Client
    bucket: str
    key: str
    keys: Keyring
    retention_days: int
    pace: Callable[[], None]
    former: tuple[str, ...] = ()


def reconcile(
    sources: Sources,
    start: datetime,
    end: datetime,
    *,
    now: datetime,
    progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Report:
    """The report of a period; what is wrong is in it.

    Raises: UsageError, for a period that CloudTrail does not have; ConfigError, for a key of
    another region; NotPermitted, StoreUnavailable: nothing is known.
    """
    period = _period(start, end, now)
    run = _Run(sources, period, progress)
    arns = (*sources.former, sources.key)
    counted = [run.uses(arn) for arn in arns]
    kept = run.receipts()
    versions = list(chain.from_iterable(map(run.store.versions, _PUBLISHED)))
    first, last = period.start - MARGIN, period.end + MARGIN
    published = run.published([one for one in versions if first <= one.modified < last])
    later = functools.cache(
        lambda: tuple(run.published([one for one in versions if one.modified >= last]))
    )
    accounts = [
        match(
            uses,
            [one for one in kept if one.receipt.key == arn],
            _by(vkey, lambda: published),
            period,
            later=functools.partial(_by, vkey, later),
        )
        for arn, (uses, _), vkey in zip(arns, counted, run.vkeys, strict=True)
    ]
    # Each account of an unfinished period says so: once is enough.
    run.problems[:0] = dict.fromkeys(chain.from_iterable(one.problems for one in accounts))
    run.strangers()
    objects, locks = run.locks()
    return Report(
        key=sources.key,
        former=sources.former,
        start=clock.timestamp(period.start),
        end=clock.timestamp(period.end),
        sign_events=sum(one.uses for one in accounts),
        refused=sum(refused for _, refused in counted),
        receipts=sum(one.receipts for one in accounts),
        checkpoints=sum(one.checkpoints for one in accounts),
        envelopes=sum(one.envelopes for one in accounts),
        packets=sum(one.packets for one in accounts),
        objects=objects,
        locks=locks,
        repeats=tuple(chain.from_iterable(one.repeats for one in accounts)),
        problems=tuple(run.problems),
    )


class _Run:
    """One reconciliation."""

    def __init__(
        self, sources: Sources, period: Period, progress: Callable[[str, int, int], None]
    ) -> None:
        self.problems: list[Problem] = []
        self.store = S3WriteOnce(sources.s3, sources.bucket)
        self.vkeys = [str(one.verifier) for one in sources.keys.keys]
        self._sources = sources
        self._arns = {*sources.former, sources.key}
        self._period = period
        self._progress = progress

    def uses(self, key: str) -> tuple[list[Use], int]:
        """Step 1: a key's signatures around the period, and the calls in it without one."""
        asked, period = self._sources, self._period
        if not trail.check_key(asked.trail, key):
            self._unknown(key, "a multi-Region key: other regions were not looked into")
        shown = trail.signatures(
            asked.trail,
            key,
            period.start - SKEW,
            period.end + SKEW,
            pace=asked.pace,
            progress=self._progress,
        )
        for name, why in shown.unreadable:
            self._unknown(name, f"an event of CloudTrail that cannot be read: {why}")
        return shown.uses, sum(period.holds(use.at) for use in shown.refused)

    def receipts(self) -> list[Kept]:
        """Step 2: the receipts around the period that are of the log's keys."""
        days = (self._period.end - self._period.start + 2 * MARGIN) // _DAY + 2
        prefixes = [
            receipts.day(self._period.start - MARGIN + n * _DAY) for n in range(days)
        ]  # the last may lie beyond the margin, and is read for nothing
        versions = chain.from_iterable(map(self.store.versions, prefixes))
        read = self._each("receipts", self._receipt, versions)
        return [kept for kept in read if kept is not None]

    def published(self, versions: Iterable[Version]) -> list[Published]:
        """Step 2: what these checkpoints and envelopes publish."""
        read = self._each("publications", self._published, versions)
        return [one for one in read if one is not None]

    def strangers(self) -> None:
        """Step 4."""
        found = self.store.strangers("")
        for one in islice(found, MAX_PROBLEMS):
            self._wrong(
                one.key,
                "a delete marker over an object" if one.marker else "another version of an object",
                expected="the first version alone",
                observed=f"version {one.id}",
                at=clock.timestamp(one.modified),
            )
        if next(found, None) is not None:
            self._unknown(self._sources.bucket, f"more than {MAX_PROBLEMS} versions and markers")

    def locks(self) -> tuple[int, int]:
        """Step 5; gives the number of objects in the bucket, and of locks that were read."""
        objects = 0

        def written() -> Iterator[Version]:
            nonlocal objects
            for version in self.store.versions(""):
                objects += 1
                if self._period.holds(version.modified):
                    yield version

        days, read, bad = self._sources.retention_days, 0, 0
        for version, observed in self._each("locks", self._lock, written()):
            read += 1
            bad += bool(observed)
            if observed and bad <= MAX_PROBLEMS:
                self._wrong(
                    version.key,
                    "an object that is not locked as it must be",
                    expected=f"{locked.MODE} for {days} days",
                    observed=observed,
                    at=clock.timestamp(version.modified),
                )
        if bad > MAX_PROBLEMS:
            self._unknown(self._sources.bucket, f"{bad} locks that are not as they must be")
        return objects, read

    def _receipt(self, version: Version) -> Kept | None:
        try:
            one = receipts.decode(version.key, self.store.get(version.key))
        except VerificationFailed as error:
            self._unreadable(version, "a receipt", error)
            return None
        if one.key not in self._arns:
            return None  # it explains no use of these keys
        return receipts.Kept(version.key, version.modified, one)

    def _published(self, version: Version) -> Published | None:
        try:
            return receipts.published(
                version.key, version.modified, self.store.get(version.key), self._sources.keys
            )
        except VerificationFailed as error:
            self._unreadable(version, "a publication under a pinned key", error)
            return None

    def _lock(self, version: Version) -> tuple[Version, str]:
        """What is wrong with an object's lock, or nothing."""
        bucket = self._sources.bucket
        with translated(f"read the lock of {version.key} in {bucket}"):
            head = self._sources.s3.head_object(
                Bucket=bucket, Key=version.key, VersionId=version.id
            )
        if not {"ObjectLockMode", "ObjectLockRetainUntilDate"} <= head.keys():
            return version, "no retention"
        mode, until = head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]
        due = version.modified + timedelta(days=self._sources.retention_days) - LOCK_SLACK
        right = mode == locked.MODE and until >= due
        return version, "" if right else f"{mode} until {clock.timestamp(until)}"

    def _unreadable(self, version: Version, what: str, error: VerificationFailed) -> None:
        if self._period.holds(version.modified):
            self._wrong(version.key, f"not {what}", expected=what, observed=error.message)

    def _each(
        self, what: str, work: Callable[[_Thing], _Found], things: Iterable[_Thing]
    ) -> Iterator[_Found]:
        """``work`` of each, in order, by several threads, a chunk at a time."""
        left, done = iter(things), 0
        with ThreadPoolExecutor(WORKERS) as pool:
            while chunk := list(islice(left, _CHUNK)):
                for found in pool.map(work, chunk):
                    yield found
                    done += 1
                self._progress(what, done, done)

    def _wrong(self, place: str, what: str, *, expected: str, observed: str, at: str = "") -> None:
        self.problems.append(
            Problem(place=place, what=what, expected=expected, observed=observed, at=at)
        )

    def _unknown(self, place: str, what: str) -> None:
        self.problems.append(
            Problem(place=place, what=what, expected="", observed="", severity=Severity.UNKNOWN)
        )


def _by(key: str, published: Callable[[], Iterable[Published]]) -> list[Published]:
    """What one key published."""
    return [one for one in published() if one.key == key]


def _period(start: datetime, end: datetime, now: datetime) -> Period:
    if not start < end <= now:
        raise UsageError(
            f"not a period: {clock.timestamp(start)} to {clock.timestamp(end)}; expected a start "
            "before an end that is not in the future"
        )
    oldest = now - trail.HISTORY
    if start - SKEW < oldest:
        raise UsageError(
            f"CloudTrail's event history has {trail.HISTORY.days} days, from "
            f"{clock.timestamp(oldest)}; observed a period from {clock.timestamp(start)}",
            next_step=f"--from {(oldest + _DAY).date().isoformat()}, and reconcile every month",
        )
    return Period(start, end, now)
