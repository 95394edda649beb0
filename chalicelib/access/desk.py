"""What the access flow works with: a target that has something to lease, and the services."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from chalicelib.access.profile import EVERY, table
from chalicelib.access.question import Resource, Tagged
from chalicelib.access.state import SHAPE
from chalicelib.kernel import kinds, ledger, names
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Conflict, NotAllowed, NotFound
from chalicelib.kernel.record import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from chalicelib.access.grantor import Grantor
    from chalicelib.access.policy import Policy
    from chalicelib.access.profile import Profile, Table
    from chalicelib.access.state import State, States
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.personal import Concealed
    from chalicelib.kernel.record import Actor, Journal
    from chalicelib.kernel.store import WriteOnce

T = TypeVar("T")

STS: Final = "sts"
ATTEMPTS: Final = 50  # to record what has happened


def nothing_known() -> int:
    """No finding is known of."""
    return 0


@dataclass(frozen=True, slots=True)
class Leased:
    """A target that has something to lease, and who issues it.

    ``schemas``: all that its leases may reach. ``tags``: by table. ``open_findings()``: how far it
    has drifted, as it is known now.
    """

    slug: str
    kind: str
    env: str
    profiles: Mapping[str, Profile]
    grantor: Callable[[], Grantor]
    schemas: tuple[str, ...] = ()
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    open_findings: Callable[[], int] = nothing_known

    @property
    def name(self) -> str:
        """The target's full name, e.g. ``postgres:orders-prod``."""
        return f"{self.kind}:{self.slug}"

    @property
    def stream(self) -> str:
        """The stream of its requests and leases, beside that of its scans."""
        return kinds.access_stream(self.slug)

    @property
    def resource(self) -> Resource:
        """As policies see it."""
        return Resource.target(names.TargetName(self.kind, self.slug), self.env)

    def profile(self, name: str) -> Profile:
        """The profile of that name. Raises: NotFound."""
        found = self.profiles.get(name)
        if found is None:
            raise NotFound(
                f"{self.name} has no profile {name[:80]!r}",
                next_step=f"one of {', '.join(sorted(self.profiles))}",
            )
        return found

    def check(self, tables: tuple[Table, ...]) -> None:
        """Return if leases may reach them. Raises: NotAllowed."""
        for one in tables:
            if one.schema not in self.schemas:
                raise NotAllowed(
                    f"{str(one)[:200]!r} is in no schema that {self.name} leases anything of",
                    next_step=f"schemas of its [access] section: {', '.join(self.schemas)}",
                )

    def tagged(self, tables: tuple[Table, ...]) -> tuple[Tagged, ...]:
        """The tables with what the settings call them; ``schema.*`` is called all of the schema."""
        return tuple(
            Tagged(str(one), tuple(sorted(set().union(*self._of(one), ())))) for one in tables
        )

    def all_tags(self) -> tuple[str, ...]:
        """What any table of the target is called."""
        return tuple(sorted(set().union(*self.tags.values(), ())))

    def _of(self, one: Table) -> list[tuple[str, ...]]:
        return [
            tags
            for text, tags in self.tags.items()
            if (other := table(text)).schema == one.schema
            and (EVERY in {one.name, other.name} or one.name == other.name)
        ]


@dataclass(frozen=True, slots=True)
class Bounds:
    """``[access]`` of the settings; see there."""

    pending_seconds: int = 86_400
    claim_seconds: int = 3_600
    max_lease_seconds: int = 28_800
    break_glass_seconds: int = 900


def _as_erased(_value: Concealed, _kind: str, _stream: str) -> str | None:
    return None


def _as_the_store_says(_kind: str) -> int:
    return 0


@dataclass(frozen=True, slots=True)
class Desk:
    """The services of the access flow. ``draw(n)``: n characters that nobody can guess.

    ``turn(stream)``: a block in which nobody else of this process appends to it, so that writers
    need not lose to each other; the log decides between processes.
    ``reveal(value, kind, stream)``: the text of a value in such a record, None if it was erased.
    """

    journal: Journal
    objects: WriteOnce
    states: States
    clock: Clock
    policy: Callable[[], Policy]
    draw: Callable[[int], str]
    reveal: Callable[[Concealed, str, str], str | None] = _as_erased
    bounds: Bounds = Bounds()
    keep_days: Callable[[str], int] = _as_the_store_says
    turn: Callable[[str], AbstractContextManager[object]] = nullcontext

    @property
    def now(self) -> str:
        """The moment, as it is written down."""
        return timestamp(self.clock.now())

    def later(self, seconds: float) -> str:
        """So many seconds from now, likewise."""
        return timestamp(self.clock.now() + timedelta(seconds=seconds))

    def record(self, now: State, kind: str, actor: Actor, body: dict[str, Any]) -> None:
        """Record what was decided on a state, and take it into the state.

        What came between about other requests changes nothing of it. Raises: Conflict, where there
        was something about this one, or another one of whoever asks.
        """
        drafts = [Draft(kind, now.target, self.now, actor, body)]
        before = now.about(body["request"], body.get("principal", ""))
        fresh = now
        with self.turn(now.target):
            last = self.journal.last(now.target)
            for _ in range(ATTEMPTS):
                if last is not None and last.seq != fresh.seq:
                    fresh = ledger.now(self, now.target)
                    if fresh.about(body["request"], body.get("principal", "")) != before:
                        raise Conflict(f"{body['request'] or now.target} has gone on")
                try:
                    entries = ledger.append(self, fresh, drafts)
                except Conflict:
                    last = self.journal.last(now.target)
                else:
                    if fresh is not now:
                        SHAPE.grow(now, entries)  # the caller's, who goes on with this one alone
                    return
        raise Conflict(f"{now.target} goes on faster than it can be written to")


def insist(work: Callable[[], T]) -> T:
    """What ``work`` gives, done anew where somebody else's record came before its own.

    For what has happened and only has to be recorded. Raises: Conflict, ATTEMPTS times in a row.
    """
    for _ in range(ATTEMPTS - 1):
        with suppress(Conflict):
            return work()
    return work()
