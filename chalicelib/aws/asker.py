"""The asker: calls of AWS that read, counted, paged and bounded, and what could not be read.

Every answer that is used is recorded as a question: the operation and its exact parameters. What
AWS refuses, or throttles beyond all retries, becomes a ``coverage`` object (``gap``), and so an
unknown; it is never taken for an empty answer.
"""

from __future__ import annotations

from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore import xform_name
from botocore.exceptions import ClientError

from chalicelib.aws import failures
from chalicelib.aws.failures import translated, understood
from chalicelib.drift.snapshot import Object, unreadable
from chalicelib.drift.source import Query
from chalicelib.kernel import canon
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    HoldfastError,
    NotPermitted,
    Overdue,
    StoreUnavailable,
    Unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

MAX_PAGES: Final = 10_000  # of one question
_TOKENS: Final = (
    ("Marker", "Marker"),  # of IAM and RDS: what an answer says, and what the next question does
    ("NextToken", "NextToken"),  # of EC2, CloudTrail
)


# AWS's names of errors that say that what was asked for is not there.
_ABSENT: Final = frozenset({
    "DBClusterNotFoundFault", "DBInstanceNotFound", "DBInstanceNotFoundFault",
    "DBParameterGroupNotFound", "DBSnapshotNotFound", "DBClusterSnapshotNotFoundFault",
    "NoSuchEntity", "NoSuchEntityException", "OptionGroupNotFoundFault",
})  # fmt: skip


class _Gap(NamedTuple):
    """What ``unreadable`` is told."""

    reason: str
    needs: str
    partial: bool
    attributes: tuple[str, ...]


# What every account has: there it is no answer.
_ALWAYS_THERE: Final = frozenset({
    "DescribeAvailabilityZones", "GetAccountAuthorizationDetails", "GetCallerIdentity",
})  # fmt: skip


class NothingThere(Exception):
    """AWS says that what was asked for is not there, which is an answer to who expects it."""


class Asker:
    """Questions to AWS, from one look at it.

    ``client(service)`` gives a botocore client. ``seconds``: of the caller's time for all of them,
    by ``monotonic``. Operations are named as in AWS's API reference: ``ListAccessKeys``.
    """

    def __init__(
        self,
        client: Callable[[str], Any],
        *,
        monotonic: Callable[[], float],
        seconds: float,
    ) -> None:
        self._client = client
        self._monotonic = monotonic
        self._end = monotonic() + seconds
        self._asked: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._rows: dict[tuple[str, str], int] = {}
        self._gaps: dict[str, list[_Gap]] = {}
        self.calls = 0
        self.answered_at = ""  # by AWS's clock, when it answered first (as kernel.clock)

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One answer.

        Raises: NotPermitted, where AWS refuses; Overdue; StoreUnavailable; NothingThere;
        Unsupported, for an answer that is not of its form.
        """
        self._count(service, operation, parameters, 0)
        answer = self._answer(service, operation, parameters)
        self.counted(service, operation, 1)
        return answer

    def pages(
        self, service: str, operation: str, items: str, **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """The elements of ``items`` (``AccessKeyMetadata``) of all pages, one page in memory.

        Raises: as :meth:`call`, while it goes; Unsupported, for an answer without ``items``.
        """
        for answer in self.answers(service, operation, **parameters):
            found = answer.get(items)
            if found is None:  # AWS says an empty list, where there is nothing
                raise Unsupported(
                    f"{service}:{operation} answered without {items}",
                    next_step="scan again; if it stays, report this defect",
                )
            self.counted(service, operation, len(found))
            yield from found

    def answers(self, service: str, operation: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every page of an answer, as it is, none of them kept; its rows are not counted.

        Raises: as :meth:`call`; StoreUnavailable, where pages are missing or have no end.
        """
        self._count(service, operation, parameters, 0)
        more: dict[str, Any] = {}
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            pages = [self._answer(service, operation, {**parameters, **more})]
            following = _following(pages[0], f"{service}:{operation}")
            yield pages.pop()  # whoever asked has the only reference to it
            if not following:
                return
            place = "\n".join(map(str, following.values()))
            if place in seen:
                raise _unending(f"{service}:{operation} gives the same page again and again")
            seen.add(place)
            more = following
        raise _unending(f"{service}:{operation} gave more than {MAX_PAGES} pages")

    def counted(self, service: str, operation: str, rows: int) -> None:
        """Add rows to what a question gave, where ``answers`` was asked."""
        self._rows[service, operation] += rows

    @contextmanager
    def gap(
        self, kind: str, *, needs: str, partial: bool = False, attributes: tuple[str, ...] = ()
    ) -> Iterator[None]:
        """A block that reads objects of ``kind``: where it cannot, they are a gap, and it ends.

        ``partial``: some of them were read, by this block or others; ``attributes``: those of them
        that were not. Overdue is no gap: then the whole target is unknown.
        """
        try:
            yield
        except Overdue:
            raise
        except (HoldfastError, NothingThere) as error:
            reason = (
                error.message
                if isinstance(error, HoldfastError)
                else f"{error}: AWS says that it is not there"
            )
            self.lacks(kind, reason, needs=needs, partial=partial, attributes=attributes)

    def lacks(
        self,
        kind: str,
        reason: str,
        *,
        needs: str,
        partial: bool = False,
        attributes: tuple[str, ...] = (),
    ) -> None:
        """Say that objects of ``kind`` could not be read; what was said of it before stays said.

        What is not ``partial``, or names no attributes, says more than what is or does: a gap that
        is ``partial`` and names some leaves no object out.
        """
        reason = reason.partition(" (HTTP")[0]  # equal for equal causes, whenever asked
        self._gaps.setdefault(kind, []).append(_Gap(reason, needs, partial, attributes))

    @property
    def gaps(self) -> list[Object]:
        """A ``coverage`` object for each kind that could not be read in full."""
        return [
            unreadable(
                kind,
                reason="; ".join(sorted({one.reason for one in found})),
                needs=", ".join(sorted({one.needs for one in found})),
                partial=all(one.partial for one in found),
                attributes=tuple({name for one in found for name in one.attributes}),
                listed=all(one.partial and one.attributes for one in found),
            )
            for kind, found in self._gaps.items()
        ]

    @property
    def queries(self) -> list[Query]:
        """What was asked, an operation each, with all the parameters that it was asked with."""
        return [
            Query(f"{service}:{operation}", canon.sha256(text.encode()), self._rows[key])
            for key, text in self._written().items()
            for service, operation in [key]
        ]

    @property
    def texts(self) -> dict[str, str]:
        """The questions in full, by their digests."""
        return {canon.sha256(text.encode()): text for text in self._written().values()}

    def _written(self) -> dict[tuple[str, str], str]:
        return {
            key: canon.encode(
                {"service": key[0], "operation": key[1], "parameters": asked}
            ).decode()
            for key, asked in self._asked.items()
        }

    def _count(self, service: str, operation: str, parameters: dict[str, Any], rows: int) -> None:
        self._asked.setdefault((service, operation), []).append(parameters)
        self._rows[service, operation] = self._rows.get((service, operation), 0) + rows

    def _answer(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if self._monotonic() > self._end:
            raise Overdue(
                f"AWS was not read in time: {self.calls} calls, and {service}:{operation} to come",
                next_step="scan again; give it more time, or ask for higher quotas",
            )
        self.calls += 1
        method = getattr(self._client(service), xform_name(operation))
        action = f"read {service}:{operation}"
        with translated(action, NotPermitted), understood(action):
            try:
                answer: dict[str, Any] = method(**parameters)
            except ClientError as error:
                if failures.code(error) in _ABSENT and operation not in _ALWAYS_THERE:
                    raise NothingThere(operation) from None
                raise
        if not self.answered_at:
            self.answered_at = _date(answer)
        return answer


def _following(answer: dict[str, Any], question: str) -> dict[str, Any]:
    """What asks for the next page, if there is one. Raises: StoreUnavailable."""
    is_last = answer.get("IsTruncated") is False
    more = {ask: answer[say] for say, ask in _TOKENS if answer.get(say) and not is_last}
    if answer.get("IsTruncated") and not more:
        raise _unending(f"{question} is cut off, and does not say how it goes on")
    return more


def _unending(message: str) -> StoreUnavailable:
    return StoreUnavailable(message, next_step="scan again; if it stays, ask AWS's support")


def _date(answer: dict[str, Any]) -> str:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        at: datetime = parsedate_to_datetime(headers["date"])
        return timestamp(at)
    except (KeyError, TypeError, ValueError, OverflowError):
        return ""
