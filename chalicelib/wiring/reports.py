"""Reports: a packet that is verified, and the book of it. Nothing else is rendered."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from chalicelib.evidence import verified
from chalicelib.local.clock import SystemClock
from chalicelib.render import book
from chalicelib.wiring.packets import checker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.evidence.trust import Policy
    from chalicelib.render.book import Book

    Progress = Callable[[str, int, int], None]


@contextmanager
def opened(
    stream: BinaryIO,
    trust: Policy,
    *,
    authorities: Sequence[bytes] = (),
    progress: Progress = lambda _what, _done, _total: None,
) -> Iterator[Book]:
    """The book of a packet, after its verification, now.

    Raises: VerificationFailed, where it is FAILED; StoreUnavailable; OSError, from the stream.
    """
    held = verified.read(
        stream,
        trust,
        now=SystemClock().now(),
        checker=checker,
        authorities=authorities,
        progress=progress,
    )
    with book.opened(held, progress) as found:
        yield found
