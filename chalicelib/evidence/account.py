"""Account: every use of the signing key, explained.

The key's service counts its uses itself, where a writer cannot reach (CloudTrail). A use without a
receipt, and a receipt whose message was not published, is a signature that somebody keeps
elsewhere: perhaps over another history of this log.

1. Every use of the key in the period has a receipt, one, and written when the use was made.
2. Every receipt of the period is of a use that the service counted.
3. Every receipt's message was published: a locked checkpoint, baseline envelope or packet's note.
4. Everything that was published in the period has a receipt.

What a use signed is known from its receipt alone. Whoever can sign *and* write receipts can claim
that a hidden signature repeated a published one: such repetitions, which a crash or a lost race
leaves too, are therefore counted and named. Nothing here reads or writes.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.evidence.layout import PACKETS
from chalicelib.evidence.receipts import ENVELOPES, day
from chalicelib.kernel import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.evidence.receipts import Kept, Published

# The time within which CloudTrail shows a call. Source: CloudTrail FAQ, "typically ... 15 minutes".
DELAY: Final = timedelta(minutes=15)
# A Lambda function lives no longer, and signs with a clock at most 5 minutes off (AWS SigV4).
SKEW: Final = timedelta(minutes=15)


class Severity(enum.Enum):
    """What a problem means for the answer."""

    WRONG = "wrong"
    PENDING = "pending"  # too young to be told; the same question later tells
    UNKNOWN = "could not tell"


class Use(msgspec.Struct, frozen=True):
    """One signature that the key's service counted. Times are timezone-aware."""

    id: str
    request_id: str
    at: datetime
    principal: str
    source: str


class Period(msgspec.Struct, frozen=True):
    """What is accounted for, ``start`` included and ``end`` not, as it is known at ``now``."""

    start: datetime
    end: datetime
    now: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether the moment is in the period."""
        return self.start <= moment < self.end

    def young(self, moment: datetime) -> bool:
        """Whether the service may not have shown yet what happened then."""
        return moment > self.now - DELAY


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it must be.

    ``place`` is a key in the store, or the request id of a use. ``at``, ``principal`` and
    ``source`` (an address) are the service's own, where the problem is about a use.
    """

    place: str
    what: str
    expected: str
    observed: str
    severity: Severity = Severity.WRONG
    at: str = ""
    principal: str = ""
    source: str = ""


class Repeat(msgspec.Struct, frozen=True):
    """A message that was signed ``times`` times in the period: after a crash, or a lost race."""

    place: str
    times: int
    request_ids: tuple[str, ...]


class Account(msgspec.Struct, frozen=True):
    """What :func:`match` found; the counts are of the period."""

    uses: int
    receipts: int
    checkpoints: int
    envelopes: int
    packets: int
    repeats: tuple[Repeat, ...]
    problems: tuple[Problem, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A period's account, and what was found over the bucket.

    ``key`` and ``former`` are ARNs; ``start`` and ``end`` as in kernel.clock; ``refused`` counts
    calls that made no signature; ``objects`` were looked at for later versions, ``locks`` for their
    retention.
    """

    key: str
    start: str
    end: str
    sign_events: int
    refused: int
    receipts: int
    checkpoints: int
    envelopes: int
    packets: int
    objects: int
    locks: int
    repeats: tuple[Repeat, ...]
    problems: tuple[Problem, ...]
    former: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is accounted for."""
        return not self.problems

    @property
    def exit_code(self) -> int:
        """0: all is accounted for; 1: something is wrong; 3: it could not be told, or not yet."""
        if any(problem.severity is Severity.WRONG for problem in self.problems):
            return 1
        return 3 if self.problems else 0


def match(
    uses: Iterable[Use],
    receipts: Iterable[Kept],
    published: Iterable[Published],
    period: Period,
    later: Callable[[], Iterable[Published]] = tuple,
) -> Account:
    """The period's uses, receipts and publications, held against each other.

    Uses are given with a margin of SKEW around the period, the others with one of a day, so that
    what belongs together is found across its edges. ``later`` gives publications after these; it
    is asked only where a message is among none of them, as when a crash was recovered late.
    """
    account = _Account(uses, receipts, published, period)
    account.match_uses()
    account.match_receipts(later)
    account.match_published()
    if period.young(period.end):
        account.problems.append(
            Problem(
                place=clock.timestamp(period.end),
                what="the period ends later than what is surely known of it",
                expected=f"an end before {clock.timestamp(period.now - DELAY)}",
                observed=clock.timestamp(period.end),
                severity=Severity.PENDING,
            )
        )
    return account.result()


class _Account:
    """One matching."""

    def __init__(
        self,
        uses: Iterable[Use],
        receipts: Iterable[Kept],
        published: Iterable[Published],
        period: Period,
    ) -> None:
        self.problems: list[Problem] = []
        self._period = period
        self._uses = sorted(uses, key=lambda use: (use.at, use.id))
        self._receipts = sorted(receipts, key=lambda kept: (kept.created, kept.place))
        self._published: dict[str, list[Published]] = defaultdict(list)
        self._add(published)
        self._of: dict[str, list[Kept]] = defaultdict(list)
        for kept in self._receipts:
            self._of[kept.receipt.request_id].append(kept)
        self._shown = {use.request_id: use for use in self._uses}
        # A receipt belongs to the period of its use, so that neighbouring periods share none.
        self._judged = [kept for kept in self._receipts if period.holds(self._at(kept))]

    def match_uses(self) -> None:
        """Rule 1."""
        seen: set[str] = set()
        for use in self._uses:
            kept = self._of.get(use.request_id, [])
            again = use.request_id in seen
            seen.add(use.request_id)
            if not self._period.holds(use.at):
                continue
            if not kept or again:
                self._blame(
                    use,
                    "a signature without a receipt: what was signed is not known",
                    f"a receipt under {day(use.at)}",
                    "none" if not kept else "one, which is of another signature",
                )
            elif abs(kept[0].created - use.at) > SKEW:
                self._blame(
                    use,
                    "the receipt was not written when the signature was made",
                    f"{kept[0].place} created near {clock.timestamp(use.at)}",
                    f"created {clock.timestamp(kept[0].created)}",
                )

    def match_receipts(self, later: Callable[[], Iterable[Published]]) -> None:
        """Rules 2 and 3."""
        if any(kept.receipt.message_sha256 not in self._published for kept in self._judged):
            self._add(later())
        for kept in self._judged:
            one = kept.receipt
            if one.request_id not in self._shown:
                self._doubt(kept, "a receipt of a signature that CloudTrail does not show", "none")
            elif kept is not self._of[one.request_id][0]:
                self._doubt(kept, "a second receipt of one signature", "another receipt")
            if one.message_sha256 not in self._published:
                self._doubt(
                    kept,
                    "a signature over a message that was not published since",
                    "no such object",
                    f"a locked checkpoint or envelope over SHA-256 {one.message_sha256}",
                )

    def match_published(self) -> None:
        """Rule 4."""
        signed = {kept.receipt.message_sha256 for kept in self._receipts}
        for one in self._of_period():
            if one.message_sha256 not in signed:
                self.problems.append(
                    Problem(
                        place=one.place,
                        what="published, and no receipt says when it was signed",
                        expected=f"a receipt of SHA-256 {one.message_sha256}",
                        observed="none",
                        severity=self._severity(one.created),
                    )
                )

    def result(self) -> Account:
        """The counts of the period, and the problems in order of their place."""
        messages: dict[str, set[str]] = defaultdict(set)
        for kept in self._judged:
            messages[kept.receipt.message_sha256].add(kept.receipt.request_id)
        repeats = [
            Repeat(self._published[message][0].place, len(ids), tuple(sorted(ids)))
            for message, ids in messages.items()
            if len(ids) > 1 and message in self._published
        ]
        places = [one.place for one in self._of_period()]
        envelopes = sum(name.startswith(ENVELOPES) for name in places)
        packets = sum(name.startswith(PACKETS) for name in places)
        return Account(
            uses=sum(self._period.holds(use.at) for use in self._uses),
            receipts=len(self._judged),
            checkpoints=len(places) - envelopes - packets,
            envelopes=envelopes,
            packets=packets,
            repeats=tuple(sorted(repeats, key=lambda one: one.place)),
            problems=tuple(self.problems),
        )

    def _at(self, kept: Kept) -> datetime:
        use = self._shown.get(kept.receipt.request_id)
        return kept.created if use is None else use.at

    def _add(self, published: Iterable[Published]) -> None:
        for one in published:
            if one not in self._published[one.message_sha256]:
                self._published[one.message_sha256].append(one)

    def _of_period(self) -> list[Published]:
        everything = [one for group in self._published.values() for one in group]
        return sorted(
            (one for one in everything if self._period.holds(one.created)),
            key=lambda one: one.place,
        )

    def _severity(self, moment: datetime) -> Severity:
        return Severity.PENDING if self._period.young(moment) else Severity.WRONG

    def _blame(self, use: Use, what: str, expected: str, observed: str) -> None:
        self.problems.append(
            Problem(
                place=use.request_id,
                what=what,
                expected=expected,
                observed=observed,
                severity=self._severity(use.at),
                at=clock.timestamp(use.at),
                principal=use.principal,
                source=use.source,
            )
        )

    def _doubt(
        self, kept: Kept, what: str, observed: str, expected: str = "one signature in CloudTrail"
    ) -> None:
        use = self._shown.get(kept.receipt.request_id)
        self.problems.append(
            Problem(
                place=kept.place,
                what=what,
                expected=expected,
                observed=observed,
                severity=self._severity(kept.created),
                at=kept.receipt.at if use is None else clock.timestamp(use.at),
                principal="" if use is None else use.principal,
                source="" if use is None else use.source,
            )
        )
