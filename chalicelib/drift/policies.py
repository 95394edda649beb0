"""Policies of one snapshot of an AWS account: their documents, and whose they are.

What the snapshot cannot tell, for it could not be read or understood, is ``Unknown``; never an
empty policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.drift.iam import document as documents
from chalicelib.drift.snapshot import COVERAGE
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.drift.snapshot import Object, Snapshot, Value

Policy = dict[str, Any]
"""A policy document in canonical form; see ``iam.document.canonical``."""

PRINCIPALS = ("iam_role", "iam_user")


class Unknown(Exception):
    """Nobody can tell what a policy says; the words say why."""


class Uses(NamedTuple):
    """Whose a policy is: ``role app``, sorted.

    ``attached``: identities that have it; ``ceiling``: those whose permissions boundary it is.
    ``maybe_attached``, ``maybe_ceiling``: there may be more, which could not be read.
    """

    attached: tuple[str, ...] = ()
    ceiling: tuple[str, ...] = ()
    maybe_attached: bool = False
    maybe_ceiling: bool = False

    def __or__(self, other: Uses) -> Uses:
        """Whose it is by either of two snapshots."""
        return Uses(
            tuple(sorted({*self.attached, *other.attached})),
            tuple(sorted({*self.ceiling, *other.ceiling})),
            self.maybe_attached or other.maybe_attached,
            self.maybe_ceiling or other.maybe_ceiling,
        )


def held(attributes: Mapping[str, Value], attribute: str = "document") -> Policy:
    """The policy that an object with these attributes holds. Raises: Unknown."""
    found = attributes.get(attribute)
    if not isinstance(found, dict) or attributes.get("unparsed") is True:
        raise Unknown(f"the {attribute} is not there, or cannot be understood")
    return found


class Policies:
    """What one snapshot tells of policies."""

    def __init__(self, taken: Snapshot) -> None:
        self._objects = taken.objects
        self._attached: dict[str, list[str]] = {}
        self._ceiling: dict[str, list[str]] = {}
        self._of_groups: dict[str, list[Object]] = {}
        self._members: set[str] = set()
        self._merged: dict[str, Policy] = {}
        for item in taken.objects.values():
            self._note(item)
        self._maybe_attached = self._lacks("iam_attachment", "policy") or any(
            self._lacks(kind, "") for kind in (*PRINCIPALS, "iam_group")
        )
        self._maybe_ceiling = any(self._lacks(kind, "boundary") for kind in PRINCIPALS)

    def _note(self, item: Object) -> None:
        of, policy = item.attributes.get("of"), item.attributes.get("policy")
        is_group = isinstance(of, str) and of.startswith("iam_group ")
        if item.kind == "iam_attachment" and isinstance(of, str) and isinstance(policy, str):
            self._attached.setdefault(policy, []).append(of.removeprefix("iam_"))
        elif item.kind in PRINCIPALS and isinstance(item.attributes.get("boundary"), str):
            who = f"{item.kind.removeprefix('iam_')} {item.name}"
            self._ceiling.setdefault(item.attributes["boundary"], []).append(who)
        elif item.kind == "iam_membership" and isinstance(item.attributes.get("group"), str):
            self._members.add(item.attributes["group"])
        if is_group and item.kind in {"iam_attachment", "iam_inline_policy"}:
            group = str(of).removeprefix("iam_group ")
            self._of_groups.setdefault(group, []).append(item)

    def _lacks(self, kind: str, attribute: str) -> bool:
        """Whether objects of the kind, or this attribute of them, could not all be read.

        ``attribute`` empty: whether some may be there that were not seen.
        """
        gap = self._objects.get((COVERAGE, kind))
        if gap is None:
            return False
        attributes = gap.attributes.get("attributes") or []
        return not attributes or attribute in attributes

    def uses(self, policy: str) -> Uses:
        """Whose a managed policy is."""
        return Uses(
            tuple(sorted(self._attached.get(policy, ()))),
            tuple(sorted(self._ceiling.get(policy, ()))),
            self._maybe_attached,
            self._maybe_ceiling,
        )

    def managed(self, policy: str) -> Policy:
        """A managed policy's document. Raises: Unknown."""
        item = self._objects.get(("iam_policy", policy))
        if item is None:
            raise Unknown(f"the policy {policy} is not in the snapshot")
        try:
            return held(item.attributes)
        except Unknown as error:
            raise Unknown(f"policy {policy}: {error}") from None

    def ceiling(self, policy: Value) -> Policy | None:
        """The document of a permissions boundary; None: there is none. Raises: Unknown."""
        return None if policy is None else self._given(policy)

    def _given(self, policy: Value) -> Policy:
        """The document of what should be the name of a managed policy. Raises: Unknown."""
        if not isinstance(policy, str):
            raise Unknown("what should be a policy's name is none")
        return self.managed(policy)

    def is_populated(self, group: str) -> bool:
        """Whether a group has members, or may have."""
        is_unsure = self._lacks("iam_membership", "group") or self._lacks("iam_user", "")
        return group in self._members or is_unsure

    def of_group(self, group: str) -> Policy:
        """All policies of a group as one. Raises: Unknown."""
        for kind, attribute in (("iam_attachment", "policy"), ("iam_inline_policy", "document")):
            if self._lacks(kind, attribute):
                raise Unknown(f"not every object of kind {kind} could be read")
        if ("iam_group", group) not in self._objects:
            raise Unknown(f"the group {group} is not in the snapshot")
        if group not in self._merged:  # thousands may come into one at once
            self._merged[group] = merged(
                self._given(item.attributes.get("policy"))
                if item.kind == "iam_attachment"
                else held(item.attributes)
                for item in self._of_groups.get(group, ())
            )
        return self._merged[group]


def merged(policies: Iterable[Policy]) -> Policy:
    """One policy that says what all say together. Raises: Unknown."""
    statements: list[Any] = []
    for one in policies:
        try:
            settled = documents.canonical(one)
        except Malformed as error:
            raise Unknown(error.message) from None
        if settled.keys() - {"Version", "Id", "Statement"}:
            raise Unknown("a policy has elements that are not understood")
        statements += settled["Statement"]
    return {"Version": documents.VERSIONS[1], "Statement": statements}
