"""Exceptions, as assessors say: what was not as people signed for, agreed on or expected.

``exceptions.sql`` finds them in a book's tables; here they are told with the sets of evidence that
each is an exception of. None is judged here: "open" is that nobody decided and nothing ended it.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access import state as leases
from chalicelib.drift import rulebook
from chalicelib.drift.judge import Severity
from chalicelib.evidence.verdict import Answer
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.render.book import Book

DRIFT: Final = "drift"
ACCESS: Final = "access"
BASELINE: Final = "baseline"
STATEMENTS: Final = "statements"
HOST: Final = "host"
COVERAGE: Final = "coverage"
LEASES: Final = "leases"
REVIEW: Final = "review"
INTEGRITY: Final = "integrity"
CUSTODY: Final = "custody"

MAX_WHAT: Final = 1_000  # characters

_ORDER: Final = "ORDER BY disposition != 'open', rank, leaf, kind, target, at, what"
_HOSTS: Final = ("iam:", "rds:")
_UNREADABLE: Final = "unreadable"
_SETS: Final = {
    "carried": (DRIFT,),
    "gap": (COVERAGE,),
    "scan": (ACCESS, COVERAGE),
    "own approval": (LEASES,),
    "not ended": (LEASES,),
    "left behind": (LEASES,),
    "no review": (LEASES, REVIEW),
    "orphan": (LEASES,),
    "leak": (LEASES,),
    "unwitnessed": (INTEGRITY,),
}
# By what the kinds of records begin with: of which evidence one more is that cannot be read.
_ODD: Final = {
    "scan": (DRIFT, ACCESS, COVERAGE),
    "schedule": (COVERAGE,),
    "finding": (DRIFT,),
    "baseline": (BASELINE,),
    "access": (LEASES, REVIEW),
    "lease": (LEASES,),
    "masking": (LEASES,),
    "packet": (CUSTODY,),
    "evidence": (CUSTODY,),
}


class Noted(msgspec.Struct, frozen=True):
    """An exception. ``kind``: that of its row in exceptions.sql, e.g. finding, gap, not ended.

    ``disposition``: open, suppressed, accepted, gone, or untold. ``severity``: empty, where nobody
    judges it. ``leaf``: the record that says it. ``sets``: of controls.toml, what it is an
    exception of. Texts are as records say them, at most MAX_WHAT characters.
    """

    kind: str
    target: str
    what: str
    when: str
    who: str
    severity: str
    disposition: str
    leaf: int
    sets: tuple[str, ...]


def exceptions(book: Book) -> Iterator[Noted]:
    """All of them: open ones before others, the worst first, then in the order of the log.

    Raises: StoreUnavailable.
    """
    sql = f"SELECT * FROM ({_sql()}) {_ORDER}"  # noqa: S608 - of this package
    for kind, target, what, at, who, severity, disposition, leaf, _, operation, more in book.walk(
        sql, _told(book)
    ):
        yield Noted(
            kind=kind,
            target=target,
            what=_short(what),
            when=at or "",
            who=_short(who or ""),
            severity=severity,
            disposition=disposition,
            leaf=leaf,
            sets=_sets(kind, target, operation, more),
        )


def count(book: Book) -> int:
    """How many there are. Raises: StoreUnavailable."""
    return int(book.one(f"SELECT count(*) FROM ({_sql()})", _told(book)))  # noqa: S608 - of this package


def by_severity(book: Book) -> dict[str, int]:
    """How many there are of each severity, the worst first; empty: of what nobody rates.

    Raises: StoreUnavailable.
    """
    found = dict(
        book.ask(
            f"SELECT severity, count(*) FROM ({_sql()}) GROUP BY severity",  # noqa: S608 - of this package
            _told(book),
        )
    )
    known = [one.value for one in Severity if one.value in found]
    return {name: found[name] for name in [*known, *sorted(found.keys() - set(known))]}


@functools.cache
def _sql() -> str:
    return (resources.files("chalicelib.render") / "exceptions.sql").read_text(encoding="utf-8")


def _told(book: Book) -> list[Any]:
    """What the query is to know of the packet, in its order."""
    head = book.verified.head
    return [
        head.range.first,
        head.range.last,
        head.period.end,
        head.census,
        closed_at(book),
        book.tells(leases.ENDED),
        book.tells(leases.REVIEWED),
        book.verified.verdict.answer is Answer.UNWITNESSED,
    ]


def closed_at(book: Book) -> str:
    """When the period was closed. Raises: StoreUnavailable."""
    return str(book.one("SELECT at FROM record WHERE leaf = ?", [book.verified.head.census]))


def _short(text: str) -> str:
    return text if len(text) <= MAX_WHAT else f"{text[:MAX_WHAT]}\N{HORIZONTAL ELLIPSIS}"


def _sets(kind: str, target: str, operation: str, more: str) -> tuple[str, ...]:
    """``more``: a finding's controls; the kind of a record that is none of its kind."""
    if kind == "odd record":
        return (*_ODD.get(more.partition(".")[0], ()), INTEGRITY)
    if kind != "finding":
        return (*_SETS[kind], *([HOST] if kind == "carried" and target.startswith(_HOSTS) else []))
    found = [DRIFT, *_ruled(more)]
    if operation == _UNREADABLE:
        found.append(ACCESS)
    if target.startswith(_HOSTS):
        found.append(HOST)
    return tuple(dict.fromkeys(found))


@functools.lru_cache(1_024)
def _ruled(controls: str) -> tuple[str, ...]:
    """The sets all of whose controls a finding's record names: its rule said that it is of them."""
    try:
        named = canon.decode(controls.encode())
        return tuple(
            name
            for name, one in rulebook.controls().sets.items()
            if all(
                set(getattr(one, framework)) <= set(named.get(framework, ()))
                for framework in one.__struct_fields__[1:]
            )
        )
    except (Malformed, AttributeError, TypeError):  # another program's: then it is a finding
        return ()
