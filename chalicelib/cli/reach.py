"""``holdfast access reach`` and ``drift ls --reach``: who in an AWS account can reach databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rich.text import Text

from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, finish, services
from chalicelib.cli.review import group
from chalicelib.cli.text import count, emit, plain, say
from chalicelib.cli.wish import TargetName
from chalicelib.drift import decide
from chalicelib.drift.iam.goal import MEANINGS
from chalicelib.drift.iam.people import belongings
from chalicelib.drift.iam.reach import KIND
from chalicelib.drift.snapshot import COVERAGE, parent_of
from chalicelib.kernel.errors import CouldNotTell, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.finding import Finding
    from chalicelib.drift.snapshot import Key, Object, Snapshot

# What the answer is made of: without any of it, somebody may be left out.
_KINDS: Final = frozenset(
    {
        KIND, "iam_user", "iam_role", "iam_group", "iam_policy", "iam_inline_policy",
        "iam_attachment", "iam_membership",
    }
)  # fmt: skip
_ATTRIBUTES: Final = frozenset({"boundary", "document", "group", "path", "policy", "trust"})
_COULD_NOT_TELL: Final = 3
_HEADINGS: Final = ("who", "by", "through", "certain")


class Seen(NamedTuple):
    """What the last scan of a target saw, and when."""

    taken: Snapshot
    read_at: str

    @property
    def reaching(self) -> list[Object]:
        """Who can reach databases, in order of names."""
        return [one for one in self.taken.objects.values() if one.kind == KIND]

    @property
    def gaps(self) -> list[Object]:
        """What could not be read of all that the answer is made of."""
        found = self.taken.objects.values()
        return [one for one in found if _is_gap(one.kind, one.name, one.attributes)]


def seen(desk: Desk, target: Target) -> Seen:
    """The snapshot of the last scan, verified.

    Raises: UsageError, for what is no AWS account; CouldNotTell, where there is none; Missing,
    DigestMismatch, where it is not what was recorded.
    """
    if target.kind != "iam":
        raise UsageError(
            f"{target.stream} is no AWS account: of its objects none says who reaches databases",
            next_step="holdfast target ls shows the kinds of targets; this is for those of iam",
        )
    now = desk.states.get(target.stream)
    last = now.last_scan
    if last is None or not last.snapshot:
        raise CouldNotTell(
            f"the last scan of {target.stream} holds no snapshot",
            next_step=f"holdfast scan {target.slug}",
        )
    return Seen(decide.load(desk, last.snapshot, last.root), now.last_read_at or last.at)


@group.command("reach")
def reach(target: TargetName, as_json: JsonFlag = False) -> None:
    """List who can reach databases, by what, through which roles. Exit 3: some may be left out.

    As the last scan of the AWS account saw it; --json has the classes in the same words.
    """
    held = services()
    found = seen(held.desk, held.settings.target(target))
    if as_json:
        emit(told(found))
    else:
        table.grid(_HEADINGS, list(map(_row, found.reaching)), empty="nobody", whole_words=True)
        for label in sorted({label for one in found.reaching for label in one.attributes["by"]}):
            say(f"{plain(label)}: {MEANINGS.get(label, '')}", "dim")
        say(f"{count(len(found.reaching), 'principal')}, as read at {found.read_at}", "dim")
    for gap in found.gaps:
        reason = plain(str(gap.attributes.get("reason")))
        needs = plain(str(gap.attributes.get("needs")))
        say(f"{gap.name} could not be read ({reason}); it needs {needs}", "bold yellow")
    if found.gaps:
        say("so somebody may be left out", "bold yellow")
        finish(_COULD_NOT_TELL)


def told(found: Seen) -> dict[str, Any]:
    """The answer as JSON values."""
    return {
        "read_at": found.read_at,
        "complete": not found.gaps,
        "who": [{"name": one.name, **one.attributes} for one in found.reaching],
        "gaps": [{"kind": one.name, **one.attributes} for one in found.gaps],
    }


def _row(one: Object) -> list[str | Text]:
    by, through = (", ".join(map(plain, one.attributes[key])) for key in ("by", "through"))
    certain = one.attributes["certain"]
    style = "bold" if certain else "yellow"
    return [plain(one.name), by, through or "itself", Text("yes" if certain else "maybe", style)]


def _is_gap(kind: str, name: str, attributes: Any) -> bool:
    """Whether an object or a finding is about a part of the answer that was not read."""
    if kind != COVERAGE or name not in _KINDS or not isinstance(attributes, Mapping):
        return False
    lacking = attributes.get("attributes")
    return not lacking or not _ATTRIBUTES.isdisjoint(lacking)


def leading(taken: Snapshot) -> set[Key]:
    """The objects of users and roles that reach databases: themselves, their policies, groups."""
    labels = [one.name for one in taken.objects.values() if one.kind == KIND]
    people = [one for one in labels if one.startswith(("role ", "user "))]
    return belongings(taken.objects.values(), people)


def concerns(finding: Finding, keys: set[Key]) -> bool:
    """Whether a finding changes who reaches databases, or one of their objects.

    Also what could not be read of these.
    """
    if finding.kind == KIND or _is_gap(finding.kind, finding.name, finding.after):
        return True
    near = {(finding.kind, finding.name), *((kind, name) for kind, name in finding.parts)}
    for side in (finding.before, finding.after):
        parent = parent_of(side) if isinstance(side, dict) else None
        near |= set() if parent is None else {parent}
    return not keys.isdisjoint(near)


def narrowed(findings: Iterable[Finding]) -> list[Any]:
    """The findings that concern who reaches databases, of the AWS accounts among their targets."""
    held = services()
    keys: dict[str, set[Key]] = {}
    found: list[Any] = []
    for one in findings:
        if not one.target.startswith("iam:"):
            continue
        if one.target not in keys:
            taken = seen(held.desk, held.settings.target(one.target)).taken
            keys[one.target] = leading(taken)
        if concerns(one, keys[one.target]):
            found.append(one)
    return found
