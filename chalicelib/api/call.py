"""The call: who asks for an operation, what they may do, and what the operation works with."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from chalicelib.drift.desk import Target as TargetOf
from chalicelib.kernel import canon
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Busy, Conflict, NotFound, PreconditionFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chalicelib.access.policy import Policy
    from chalicelib.access.principal import Principal
    from chalicelib.api.memory import Memory
    from chalicelib.kernel.record import Actor
    from chalicelib.wiring import Services
    from chalicelib.wiring.backend import Backend

T = TypeVar("T")

SEEING: Final = "target:read"  # whoever may, knows of the target
ATTEMPTS: Final = 50  # to hold a target, or to append: with growing pauses, some seconds


class Guard(Protocol):
    """What the caller may do, and what is recorded of their reading."""

    def check(self, action: str, target: TargetOf | None = None) -> None:
        """Return if the caller may. Raises: Forbidden."""
        ...

    def may(self, action: str, targets: Sequence[TargetOf]) -> list[bool]:
        """For each target, whether the caller may."""
        ...

    def read(self, what: str, asked: dict[str, Any]) -> None:
        """Record that evidence is about to be read. Raises: StoreUnavailable: then it is not."""
        ...


class Owner:
    """Whoever has the store itself: nothing that could be refused is out of their reach."""

    def check(self, action: str, target: TargetOf | None = None) -> None:
        """Return."""

    def may(self, action: str, targets: Sequence[TargetOf]) -> list[bool]:  # noqa: ARG002 - a port
        """All of them."""
        return [True] * len(targets)

    def read(self, what: str, asked: dict[str, Any]) -> None:
        """Nothing: with the files at hand, nobody has to ask."""


def no_policy() -> Policy:
    """Nobody brought one. Raises: UsageError."""
    raise UsageError("nothing here decides on requests for access")


@dataclass(frozen=True, slots=True)
class Call:
    """One operation's surroundings.

    ``seed``: what makes the id of what is started,
    the same for the same request again; it begins with the moment at which that was first asked, in
    milliseconds since 1970. ``repeated``: it was begun before, and has no answer. ``expect``: the
    versions of which the thing must have one (``If-Match``); empty: any. ``pause(attempt)`` waits a
    little. ``backend`` is None where nothing can be started.
    """

    services: Services
    caller: Principal
    guard: Guard
    memory: Memory
    pause: Callable[[int], None]
    seed: str = ""
    repeated: bool = False
    expect: tuple[str, ...] = ()
    backend: Backend | None = None
    policy: Callable[[], Policy] = no_policy

    @property
    def actor(self) -> Actor:
        """Whom records name."""
        return self.caller.actor

    @property
    def now(self) -> str:
        """The moment, as it is written down."""
        return timestamp(self.services.desk.clock.now())

    @property
    def request(self) -> str:
        """A name of this request: the same for the same one again; empty, where none can come."""
        content = f"{self.caller.id} {self.seed}".encode()
        return hashlib.sha256(content).hexdigest()[:32] if self.seed else ""

    @property
    def since(self) -> str:
        """When this request was first asked, of one with a seed: what it has recorded is later."""
        milliseconds = int(self.seed.partition(" ")[0]) - 1  # it was rounded
        return timestamp(datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds))

    def target(self, text: str, action: str) -> TargetOf:
        """A configured target on which the caller may do this.

        Whoever may not learns nothing of it, not even that it is there.

        Raises: Forbidden, NotFound.
        """
        name = self.services.settings.named(text)
        section = self.services.settings.file.targets.get(name.slug)
        if section is not None and section.kind == name.kind:
            found = self.services.settings.target(text)
            if all(self.guard.may(action, [found])) or all(self.guard.may(SEEING, [found])):
                self.guard.check(action, found)
                return found
        self.guard.check(action, TargetOf(name.slug, name.kind, configured=False))
        raise NotFound(f"no target {name}", next_step="holdfast target ls")

    def targets(self, action: str, text: str | None = None) -> list[TargetOf]:
        """The one target, or all on which the caller may do this, in order of names."""
        if text is not None:
            return [self.target(text, action)]
        every = self.services.settings.targets()
        allowed = self.guard.may(action, every)
        return [one for one, yes in zip(every, allowed, strict=True) if yes]

    @contextmanager
    def holding(self, target: TargetOf) -> Iterator[None]:
        """A block in which the target is held, once it comes free. Raises: Busy, if it does not."""
        with ExitStack() as stack:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    stack.enter_context(self.services.desk.locks.hold(target.lock))
                    break
                except Busy:
                    if attempt == ATTEMPTS:
                        raise
                    self.pause(attempt)
            yield

    def again(self, work: Callable[[], T]) -> T:
        """What ``work`` gives, tried anew where somebody else's append came before its own."""
        for attempt in range(1, ATTEMPTS):
            try:
                return work()
            except Conflict:
                self.pause(attempt)
        return work()

    def match(self, version: str) -> None:
        """Return if the thing is as the caller saw it. Raises: PreconditionFailed."""
        if self.expect and version not in self.expect and "*" not in self.expect:
            raise PreconditionFailed(
                "it is not as it was when you looked: its version is another",
                next_step="read it again, and decide again",
            )


def version(value: object) -> str:
    """A name of a state of a thing: equal states, equal names."""
    return hashlib.sha256(canon.encode(value)).hexdigest()[:32]
