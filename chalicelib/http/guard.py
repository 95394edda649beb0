"""The guard of a signed-in caller: policies decide, and what evidence they read is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.access.question import Action, Circumstances, Resource
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Forbidden
from chalicelib.kernel.names import TargetName
from chalicelib.kernel.record import Draft

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.access.policy import Policy
    from chalicelib.access.principal import Principal
    from chalicelib.drift.desk import Desk, Target

READ: Final = "evidence.read"
STREAM: Final = "reads"


class PolicyGuard:
    """Implements ``api.call.Guard``. ``checked``: what was asked and permitted, to be asked again.

    ``origin``: the log's name; ``request``: the id of the request, which records of reads name.
    """

    def __init__(
        self, policy: Policy, caller: Principal, desk: Desk, origin: str, request: str
    ) -> None:
        self._policy = policy
        self._caller = caller
        self._desk = desk
        self._origin = origin
        self._request = request
        self.checked: list[tuple[str, str, str]] = []

    def check(self, action: str, target: Target | None = None) -> None:
        """Return if the caller may. Raises: Forbidden."""
        name, env = ("", "") if target is None else (target.stream, target.env)
        self.again(action, name, env)
        self.checked.append((action, name, env))

    def again(self, action: str, name: str, env: str) -> None:
        """The same for something that was asked before. Raises: Forbidden."""
        resource = self._resource(name, env)
        decision = self._policy.decide(self._caller, Action(action), resource, self._now())
        if not decision.allowed:
            raise Forbidden(
                f"{self._caller.id} may not do {action} on {resource.id}",
                next_step="ask for a role that may; GET /v1/me shows yours",
            )

    def may(self, action: str, targets: Sequence[Target]) -> list[bool]:
        """For each target, whether the caller may."""
        resources = [self._resource(one.stream, one.env) for one in targets]
        if not resources:
            return []
        decisions = self._policy.decide_all(self._caller, Action(action), resources, self._now())
        return [one.allowed for one in decisions]

    def read(self, what: str, asked: dict[str, Any]) -> None:
        """Record that evidence is about to be read. Raises: StoreUnavailable: then it is not."""
        body = {"what": what, "asked": asked, "request": self._request}
        at = timestamp(self._desk.clock.now())
        self._desk.journal.append([Draft(READ, STREAM, at, self._caller.actor, body)])

    def _resource(self, name: str, env: str) -> Resource:
        if not name:
            return Resource.log(self._origin)
        kind, _, slug = name.partition(":")
        return Resource.target(TargetName(kind, slug), env)

    def _now(self) -> Circumstances:
        return Circumstances(at=self._desk.clock.now())
