"""Deployment: a package → a stack that runs it. Planned first, then carried out.

1. Look at the stack; what can be neither created nor updated is refused, with the next step.
2. Upload the zip and the template to the deployment bucket, under their digests.
3. Propose a change set. A *plan* stops here and drops it.
4. Refuse what would remove or replace something that holds the evidence or its key.
5. Carry it out, show CloudFormation's events, wait, within a bound.

Each step can be done again after a crash: what is there is left, what was proposed is proposed
again. The schedule starts with the second deployment, after the log was opened with the stack's
key: an object in the deployment bucket remembers that it did, so that a schedule that somebody
stopped stays stopped. ``ACTIONS`` are the IAM actions this needs besides those of ``depot`` and
``changes``; CloudFormation uses the deployer's own permissions for the resources.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.aws import changes, packaging
from chalicelib.aws.changes import ChangeSet, Stack
from chalicelib.aws.depot import Depot
from chalicelib.aws.failures import translated
from chalicelib.kernel.canon import sha256
from chalicelib.kernel.errors import Busy, CouldNotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

    from chalicelib.aws.packaging import Package

ACTIONS: Final = (
    "cloudformation:DescribeStackEvents",
    "cloudformation:ExecuteChangeSet",
)

API_ADDRESS: Final = "ApiAddress"
SCHEDULE: Final = "ScheduleState"
ENABLED: Final = "ENABLED"
DISABLED: Final = "DISABLED"
POLL_SECONDS: Final = 5.0
STACK_SECONDS: Final = 3_600
MAX_SEEN_EVENTS: Final = 100_000

_ENDED: Final = ("_COMPLETE", "_FAILED")
_BY_USER: Final = "User Initiated"  # the reason of the event with which a change begins
_GOOD: Final = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


class Event(msgspec.Struct, frozen=True):
    """What CloudFormation said of one resource."""

    name: str
    type: str
    status: str
    reason: str

    @property
    def failed(self) -> bool:
        """Whether it is a cause of a failure, and not the consequence of another."""
        return self.status.endswith("_FAILED") and "cancelled" not in self.reason.lower()


class Plan(msgspec.Struct, frozen=True):
    """A change set, and what it was made of."""

    proposed: ChangeSet
    before: Stack | None
    package_sha256: str
    unzipped_bytes: int
    parameters: dict[str, str]  # those that are set now; the others stay as they are


@dataclass(frozen=True, slots=True)
class Deployer:
    """Deploys one stack of one account and region.

    ``clients`` gives the client of a service; ``pause(seconds)`` waits; ``show`` gets each event.
    """

    clients: Callable[[str], Any]
    stack: str
    account: str
    region: str
    pause: Callable[[float], None]
    show: Callable[[Event], None]

    @property
    def depot(self) -> Depot:
        """The deployment bucket."""
        return Depot(self.clients("s3"), account=self.account, region=self.region)

    @property
    def _formation(self) -> CloudFormationClient:
        client: CloudFormationClient = self.clients("cloudformation")
        return client

    def current(self) -> Stack | None:
        """The stack as it is, or None; the shell of a plan that was interrupted is none."""
        found = changes.stack(self._formation, self.stack)
        return None if found is not None and found.status == changes.SHELL else found

    def settle(self) -> None:
        """Wait for what an interrupted run, or somebody else, has started.

        Raises: Busy, CouldNotTell; as failures.translated.
        """
        found = self.current()
        if found is not None and found.status.endswith("_IN_PROGRESS"):
            self._follow(self._before())

    def plan(self, package: Package, given: Mapping[str, str], *, opened: bool) -> Plan:
        """Steps 1 to 4. ``opened``: whether the log has its key, so that the schedule may run.

        Raises: NotAllowed, Busy, UsageError; CouldNotTell; as failures.translated.
        """
        found = changes.stack(self._formation, self.stack)
        changes.check_changeable(found)  # 1
        chosen = {**self._schedule(package.template, found, opened=opened), **given}
        values = changes.parameters(package.template, found, chosen)
        depot = self.depot  # 2
        depot.ensure()
        key = f"{self.stack}/{package.sha256}.zip"
        with package.archive.open("rb") as stream:
            version = depot.put(key, stream)
        code = {"Bucket": depot.bucket, "Key": key, "Version": version}
        template = packaging.placed(package.template, code)
        template_key = f"{self.stack}/{sha256(template)}.json"
        template_version = depot.put(template_key, io.BytesIO(template))
        proposed = changes.propose(  # 3
            self._formation,
            self.stack,
            found=found,
            template_url=depot.url(template_key, template_version),
            values=values,
            label=f"holdfast-{sha256(template + json.dumps(values).encode())[:32]}",
            pause=self.pause,
        )
        try:
            changes.check_keeps(proposed)  # 4
        except BaseException:
            self.discard(proposed)
            raise
        return Plan(proposed, found, package.sha256, package.unzipped_bytes, chosen)

    def discard(self, proposed: ChangeSet) -> None:
        """Drop what a plan proposed. Raises: as failures.translated."""
        changes.discard(self._formation, proposed)

    def execute(self, plan: Plan) -> Stack:
        """Step 5; the stack afterwards. Raises: CouldNotTell, with what failed and why; Busy."""
        if plan.proposed.id:
            seen = {one["EventId"] for one in self._events(set())}
            with translated(f"change the stack {self.stack}"):
                self._formation.execute_change_set(
                    ChangeSetName=plan.proposed.id, StackName=self.stack
                )
            self._follow(seen)
        found = self.current()
        if found is None:
            raise CouldNotTell(f"the stack {self.stack} is gone", next_step="deploy again")
        if plan.parameters.get(SCHEDULE) is not None and self._is_opened(plan):
            self.depot.put(self._mark(found), io.BytesIO(b"scheduled\n"))
        return found

    def _schedule(
        self, template: Mapping[str, Any], found: Stack | None, *, opened: bool
    ) -> dict[str, str]:
        """The schedule's state where nobody has chosen it: it runs once the log is opened."""
        if SCHEDULE not in template.get("Parameters", {}):
            return {}
        if not opened or found is None or found.status == changes.SHELL:
            return {SCHEDULE: DISABLED}
        depot = self.depot
        depot.ensure()
        return {} if depot.has(self._mark(found)) else {SCHEDULE: ENABLED}

    @staticmethod
    def _is_opened(plan: Plan) -> bool:
        """Whether somebody chose the schedule's state on a stack that was there before."""
        return plan.before is not None and plan.before.status != changes.SHELL

    def _mark(self, found: Stack) -> str:
        """The object that says that this very stack's schedule was started once."""
        return f"{self.stack}/scheduled/{found.id.rpartition('/')[2]}"

    def _before(self) -> set[str]:
        """Events that are older than what goes on now."""
        events = self._events(set())
        begun = next(
            (
                index
                for index, one in enumerate(events)
                if _is_stack(one) and one.get("ResourceStatusReason") == _BY_USER
            ),
            len(events),
        )
        return {one["EventId"] for one in events[begun + 1 :]}

    def _follow(self, seen: set[str]) -> None:
        """Show events that were not seen until the stack's own last one.

        The status alone could still be the one from before. Raises: CouldNotTell, Busy.
        """
        failed: list[Event] = []
        ended = ""
        waited = 0.0
        while True:
            for one in reversed(self._events(seen)):
                seen.add(one["EventId"])
                event = _event(one)
                self.show(event)
                if event.failed and not _is_stack(one):
                    failed.append(event)
                if _is_stack(one):
                    ended = event.status if event.status.endswith(_ENDED) else ""
            now = changes.stack(self._formation, self.stack)
            status = "DELETE_COMPLETE" if now is None else now.status
            if ended and status.endswith(_ENDED):
                break
            if waited > STACK_SECONDS:
                raise Busy(
                    f"the stack {self.stack} is still {status} after {STACK_SECONDS} s",
                    next_step="run the command again: it goes on from where the stack is then",
                )
            self.pause(POLL_SECONDS)
            waited += POLL_SECONDS
        if status not in _GOOD:
            raise CouldNotTell(
                f"the stack {self.stack} is {status}"
                + "".join(f"\n  {one.name} ({one.type}): {one.reason}" for one in failed),
                next_step="correct the cause and deploy again"
                if status in changes.UPDATABLE
                else f"correct the cause; aws cloudformation delete-stack --stack-name "
                f"{self.stack}; and deploy again",
            )

    def _events(self, seen: set[str]) -> list[StackEventTypeDef]:
        """Events that were not seen yet, the newest first."""
        found: list[StackEventTypeDef] = []
        with translated(f"read the events of the stack {self.stack}"):
            for one in _paged(self._formation, self.stack):
                if one["EventId"] in seen or len(found) >= MAX_SEEN_EVENTS:
                    break
                found.append(one)
        return found


class Deployed(msgspec.Struct, frozen=True):
    """What a deployment did: its plans, in order, and the stack; None where nobody agreed."""

    plans: list[Plan]
    stack: Stack | None
    key: str = ""

    @property
    def api_address(self) -> str:
        """The base address of the API; empty, where the stack tells none."""
        return "" if self.stack is None else self.stack.outputs.get(API_ADDRESS, "")


def deploy(
    deployer: Deployer,
    packaged: Callable[[str], AbstractContextManager[Package]],
    given: Mapping[str, str],
    *,
    opened: bool,
    agree: Callable[[Plan], bool],
    open_log: Callable[[Mapping[str, str]], str],
) -> Deployed:
    """Deploy, and on the first time open the log and start the schedule.

    ``packaged(key)`` is the project's package, with the log's key in it once there is one;
    ``agree`` is asked once, with what would change; ``open_log(outputs)`` gives the log's key.
    Raises: as the methods of Deployer, and as the callables do.
    """
    deployer.settle()
    with packaged("") as package:
        plan = deployer.plan(package, given, opened=opened)
        if plan.proposed.id and not agree(plan):
            deployer.discard(plan.proposed)
            return Deployed([plan], None)
        stack = deployer.execute(plan)
    if opened:
        return Deployed([plan], stack)
    key = open_log(stack.outputs)
    with packaged(key) as package:
        started = deployer.plan(package, given, opened=True)
        stack = deployer.execute(started)
    return Deployed([plan, started], stack, key)


def _paged(client: CloudFormationClient, stack: str) -> Iterator[StackEventTypeDef]:
    for page in client.get_paginator("describe_stack_events").paginate(StackName=stack):
        yield from page["StackEvents"]


def _is_stack(one: StackEventTypeDef) -> bool:
    """Whether an event is of the stack as a whole."""
    return one.get("PhysicalResourceId") == one.get("StackId")


def _event(one: StackEventTypeDef) -> Event:
    return Event(
        name=one.get("LogicalResourceId", ""),
        type=one.get("ResourceType", ""),
        status=one.get("ResourceStatus", ""),
        reason=one.get("ResourceStatusReason", "")[:500],
    )
