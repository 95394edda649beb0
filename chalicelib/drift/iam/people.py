"""The users and roles of an account's snapshot, each with the documents that count for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.drift.snapshot import Key, Object


class Somebody(NamedTuple):
    """A user or role: ``label`` is "role app", ``plain`` a role's ARN as if it had no path.

    Documents are JSON values; None: one that is there, and cannot be read.
    """

    label: str
    arn: str
    plain: str
    documents: list[Any]
    is_bound: bool
    boundary: Any
    trust: Any

    @property
    def kind(self) -> str:
        """``role`` or ``user``."""
        return self.label.partition(" ")[0]


class _Shelf:
    """The documents of a snapshot: policies by name, and those of users, roles and groups."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self.policies: dict[str, Any] = {}
        self.held: dict[str, list[Any]] = {}
        self.attached: dict[str, list[str]] = {}
        self.groups: dict[str, list[str]] = {}
        self.bearers: list[Object] = []
        for one in objects:
            self._take(one)

    def _take(self, one: Object) -> None:
        of = str(one.attributes.get("of", ""))
        match one.kind:
            case "iam_policy":
                self.policies[one.name] = one.attributes.get("document")
            case "iam_inline_policy":
                self.held.setdefault(of, []).append(one.attributes.get("document"))
            case "iam_attachment":
                self.attached.setdefault(of, []).append(str(one.attributes.get("policy")))
            case "iam_membership":
                self.groups.setdefault(of, []).append(f"iam_group {one.attributes.get('group')}")
            case "iam_role" | "iam_user":
                self.bearers.append(one)

    def sources(self, owner: str) -> list[str]:
        """Whose policies count for somebody: his own and those of his groups."""
        return [owner, *self.groups.get(owner, ())]

    def documents(self, owner: str) -> list[Any]:
        """All identity policies that count for somebody."""
        found: list[Any] = []
        for source in self.sources(owner):
            found += self.held.get(source, ())
            found += map(self.policies.get, self.attached.get(source, ()))
        return found


def principals(objects: Iterable[Object], account: str, partition: str) -> list[Somebody]:
    """The users and roles, in order of their labels."""
    shelf = _Shelf(objects)
    found: list[Somebody] = []
    for one in shelf.bearers:
        kind = one.kind.removeprefix("iam_")
        own = f"arn:{partition}:iam::{account}:{kind}"
        path = one.attributes.get("path", "/")
        boundary = one.attributes.get("boundary")
        found.append(
            Somebody(
                f"{kind} {one.name}",
                f"{own}{path}{one.name}",
                f"{own}{'/' if kind == 'role' else path}{one.name}",
                shelf.documents(f"{one.kind} {one.name}"),
                boundary is not None,
                shelf.policies.get(str(boundary)),
                one.attributes.get("trust"),
            )
        )
    return sorted(found, key=lambda one: one.label)


def belongings(objects: Iterable[Object], labels: Iterable[str]) -> set[Key]:
    """The objects of some users and roles ("role app"): themselves, their policies, their groups.

    Also what is attached to them or to their groups, and their boundaries.
    """
    objects = list(objects)
    shelf = _Shelf(objects)
    bearers = {f"iam_{label}" for label in labels}
    owners = {source for one in bearers for source in shelf.sources(one)}
    policies = {policy for one in owners for policy in shelf.attached.get(one, ())}
    found: set[Key] = set()
    for one in objects:
        name = f"{one.kind} {one.name}"
        boundary = one.attributes.get("boundary")
        if name in bearers and boundary is not None:
            policies.add(str(boundary))
        if name in owners or one.attributes.get("of") in owners:
            found.add(one.key)
    return found | {
        one.key
        for one in objects
        if (one.kind == "iam_policy" and one.name in policies)
        or str(one.attributes.get("of", "")).removeprefix("iam_policy ") in policies
    }
