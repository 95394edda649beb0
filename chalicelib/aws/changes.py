"""Changes: what CloudFormation says of a stack, and of what a new template would do to it.

Reads, proposes and drops change sets; ``deployment`` carries them out. ``ACTIONS`` are the IAM
actions this needs, on the stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.aws.failures import code, translated
from chalicelib.kernel.errors import Busy, CouldNotTell, NotAllowed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef

ACTIONS: Final = (
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",  # of the empty shell that the first change set makes
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackResources",
    "cloudformation:DescribeStacks",
)

# What holds evidence, or what it is verified and continued with.
STATEFUL: Final = frozenset(
    {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"}
)
UPDATABLE: Final = frozenset(
    {
        "CREATE_COMPLETE",
        "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
    }
)
SHELL: Final = "REVIEW_IN_PROGRESS"  # made by a change set, and holding nothing
# AUTO_EXPAND: the template uses the SAM transform; NAMED_IAM: each function has a role with a name.
CAPABILITIES: Final = ("CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND")
POLL_SECONDS: Final = 3.0
CHANGE_SET_SECONDS: Final = 600
MAX_REASON: Final = 1_000  # characters of what CloudFormation says

_NOTHING: Final = ("didn't contain changes", "No updates are to be performed")


class Stack(msgspec.Struct, frozen=True):
    """A stack as it is. ``parameters`` without the values that CloudFormation hides."""

    name: str
    id: str
    status: str
    parameters: dict[str, str]
    outputs: dict[str, str]


class Change(msgspec.Struct, frozen=True):
    """One resource that a change set would touch: ``Add``, ``Modify``, ``Remove``, ``Import``.

    ``replacement``: ``True``, ``False``, ``Conditional``, or empty where it is not modified.
    """

    action: str
    name: str
    type: str
    physical: str
    replacement: str
    properties: list[str]

    @property
    def loses(self) -> bool:
        """Whether something that holds state would be, or may be, another one afterwards."""
        gone = self.action == "Remove" or self.replacement in {"True", "Conditional"}
        return gone and self.type in STATEFUL


class ChangeSet(msgspec.Struct, frozen=True):
    """A proposed change of a stack. Without an ``id`` there is nothing to do.

    With one, ``changes`` may still be empty: a change of outputs alone.
    """

    id: str
    stack: str
    creates: bool
    changes: list[Change]


def stack(client: CloudFormationClient, name: str) -> Stack | None:
    """The stack of that name, or None. Raises: as failures.translated."""
    with translated(f"look at the stack {name}"):
        try:
            found = client.describe_stacks(StackName=name)["Stacks"][0]
        except client.exceptions.ClientError as error:
            # CloudFormation has no code of its own for it; API reference, DescribeStacks.
            if "does not exist" in error.response["Error"].get("Message", ""):
                return None
            raise
    if found["StackStatus"] == "DELETE_COMPLETE":
        return None
    return Stack(
        name=found["StackName"],
        id=found.get("StackId", ""),
        status=found["StackStatus"],
        parameters={
            one["ParameterKey"]: one.get("ParameterValue", "")
            for one in found.get("Parameters", [])
        },
        outputs={one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])},
    )


def check_changeable(found: Stack | None) -> None:
    """Return if a change set can be made of it now. Raises: Busy, NotAllowed."""
    if found is None or found.status in UPDATABLE or found.status == SHELL:
        return
    if found.status.endswith("_IN_PROGRESS"):
        raise Busy(
            f"the stack {found.name} is {found.status}",
            next_step="wait for it to end, then run the command again",
        )
    if found.status == "UPDATE_ROLLBACK_FAILED":
        step = f"aws cloudformation continue-update-rollback --stack-name {found.name}"
    else:
        # ROLLBACK_COMPLETE, ROLLBACK_FAILED, CREATE_FAILED, DELETE_FAILED: it never worked, or is
        # half gone. What holds evidence is retained by its deletion policy.
        step = (
            f"aws cloudformation describe-stack-events --stack-name {found.name} shows why; then "
            f"aws cloudformation delete-stack --stack-name {found.name}, and deploy again"
        )
    raise NotAllowed(
        f"the stack {found.name} is {found.status}, which cannot be updated", next_step=step
    )


def parameters(
    template: Mapping[str, Any], found: Stack | None, given: Mapping[str, str]
) -> list[ParameterTypeDef]:
    """A value for each parameter: as given, else as before, else the template's default.

    Raises: UsageError, for a parameter that the template does not have, or that needs a value.
    """
    declared = template.get("Parameters", {})
    if unknown := sorted(given.keys() - declared.keys()):
        raise UsageError(
            f"the template has no parameter {', '.join(unknown)}; it has "
            f"{', '.join(sorted(declared)) or 'none'}"
        )
    before = found.parameters.keys() if found is not None and found.status != SHELL else set()
    values: list[ParameterTypeDef] = []
    missing = []
    for key, declaration in sorted(declared.items()):
        if key in given:
            values.append({"ParameterKey": key, "ParameterValue": given[key]})
        elif key in before:
            values.append({"ParameterKey": key, "UsePreviousValue": True})
        elif "Default" not in declaration:
            missing.append(key)
    if missing:
        raise UsageError(
            f"the template needs a value for {', '.join(missing)}",
            next_step=f"--parameter {missing[0]}=VALUE",
        )
    return values


def propose(
    client: CloudFormationClient,
    name: str,
    *,
    found: Stack | None,
    template_url: str,
    values: Sequence[ParameterTypeDef],
    label: str,
    pause: Callable[[float], None],
) -> ChangeSet:
    """A change set of the stack, ready to be carried out; empty where nothing would change.

    ``label`` names it: letters, digits and ``-``. Raises: CouldNotTell, where CloudFormation cannot
    make it, or takes longer than its bound; as failures.translated.
    """
    creates = found is None or found.status == SHELL
    with translated(f"propose a change of the stack {name}"):
        try:
            made = client.create_change_set(
                StackName=name,
                ChangeSetName=label,
                ChangeSetType="CREATE" if creates else "UPDATE",
                TemplateURL=template_url,
                Parameters=values,
                Capabilities=list(CAPABILITIES),
            )
        except client.exceptions.ClientError as error:
            if code(error) == "ValidationError":  # its text is about the template, and is needed
                reason = error.response["Error"].get("Message", "")[:MAX_REASON]
                raise UsageError(f"CloudFormation does not take the template: {reason}") from None
            raise
    proposed = ChangeSet(made["Id"], name, creates, [])
    try:
        if _await(client, proposed, pause):
            return msgspec.structs.replace(proposed, changes=list(_changes(client, proposed)))
    except BaseException:
        discard(client, proposed)
        raise
    discard(client, proposed)
    return ChangeSet("", name, creates, [])


def discard(client: CloudFormationClient, proposed: ChangeSet) -> None:
    """Drop a change set, and the empty stack that it made. Raises: as failures.translated."""
    if not proposed.id:
        return
    with translated(f"drop the change set of {proposed.stack}"):
        client.delete_change_set(ChangeSetName=proposed.id, StackName=proposed.stack)
        shell = stack(client, proposed.stack) if proposed.creates else None
        if shell is not None and shell.status == SHELL:
            held = client.describe_stack_resources(StackName=proposed.stack)["StackResources"]
            if not held:
                client.delete_stack(StackName=proposed.stack)


def check_keeps(proposed: ChangeSet) -> None:
    """Return if nothing that holds state is removed or replaced. Raises: NotAllowed."""
    lost = [one for one in proposed.changes if one.loses]
    if lost:
        named = "; ".join(
            f"{one.name} ({one.type}, "
            + ("removed" if one.action == "Remove" else f"replacement: {one.replacement}")
            + (f", because of {', '.join(one.properties)}" if one.properties else "")
            + ")"
            for one in lost
        )
        raise NotAllowed(
            f"the change would take away what holds the evidence or its key: {named}",
            next_step="undo that part of the template or of the parameters; a new log is a new "
            "stage, not a change of this one",
        )


def _await(
    client: CloudFormationClient, proposed: ChangeSet, pause: Callable[[float], None]
) -> bool:
    """Whether there is something to change, once the change set is ready.

    Raises: CouldNotTell, where CloudFormation cannot make it, or takes longer than its bound.
    """
    waited = 0.0
    while waited <= CHANGE_SET_SECONDS:
        with translated(f"look at the change set of {proposed.stack}"):
            now = client.describe_change_set(ChangeSetName=proposed.id, StackName=proposed.stack)
        if now["Status"] == "CREATE_COMPLETE":
            return True
        if now["Status"] == "FAILED":
            reason = now.get("StatusReason", "no reason given")
            if any(words in reason for words in _NOTHING):
                return False
            raise CouldNotTell(
                f"CloudFormation cannot change the stack {proposed.stack}: {reason[:MAX_REASON]}",
                next_step="nothing was changed; correct the template or its parameters",
            )
        pause(POLL_SECONDS)
        waited += POLL_SECONDS
    raise CouldNotTell(
        f"CloudFormation did not finish the change set of {proposed.stack} in "
        f"{CHANGE_SET_SECONDS} s",
        next_step="nothing was changed; run the command again",
    )


def _changes(client: CloudFormationClient, proposed: ChangeSet) -> Iterator[Change]:
    token: dict[str, Any] = {}
    while True:
        with translated(f"read the change set of {proposed.stack}"):
            page = client.describe_change_set(
                ChangeSetName=proposed.id, StackName=proposed.stack, **token
            )
        for one in page.get("Changes", []):
            change = one.get("ResourceChange")
            if change is None:
                continue  # a hook; nothing of ours
            details = change.get("Details", [])
            names = {detail.get("Target", {}).get("Name", "") for detail in details}
            yield Change(
                action=change["Action"],
                name=change["LogicalResourceId"],
                type=change["ResourceType"],
                physical=change.get("PhysicalResourceId", ""),
                replacement=change.get("Replacement", ""),
                properties=sorted(names - {""}),
            )
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}
