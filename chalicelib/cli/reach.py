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
from chalicelib.kernel.errors import CouldNotTell, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.finding import Finding
    from chalicelib.drift.snapshot import Key, Object, Snapshot
    from chalicelib.drift.state import State
    from chalicelib.settings import Settings

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
_KIND: Final = "iam"  # of the targets whose objects tell
_MAX_NAMED: Final = 5  # targets in a message


class Seen(NamedTuple):
    """What the last scan of a target saw, and when."""

    taken: Snapshot
    read_at: str

    @property
    def reaching(self) -> list[Object]:
        """The ways to databases, in order of names: of whom, and of what they do."""
        return [one for one in self.taken.objects.values() if one.kind == KIND]

    @property
    def gaps(self) -> list[Object]:
        """What could not be read of all that the answer is made of."""
        found = self.taken.objects.values()
        return [one for one in found if _is_gap(one.kind, one.name, one.attributes)]


def account(settings: Settings, text: str) -> Target:
    """The AWS account of a name. Raises: NotFound, UsageError: these say which there are."""
    there = [one.slug for one in settings.targets() if one.kind == _KIND]
    named = ", ".join(there[:_MAX_NAMED]) + (", …" if len(there) > _MAX_NAMED else "")
    how = (
        f"holdfast access reach TARGET, of these: {named}"
        if there
        else f"holdfast target add NAME --kind {_KIND} --account 123456789012"
    )
    try:
        found = settings.target(text)
    except NotFound as error:
        raise NotFound(error.message, next_step=how) from error
    if found.kind != _KIND:
        raise UsageError(
            f"{found.stream} is no AWS account: of its objects none says who reaches databases",
            next_step=how,
        )
    return found


def seen(desk: Desk, target: Target) -> Seen:
    """The snapshot of the last scan of an AWS account, verified.

    Raises: CouldNotTell, where there is none, or one without ways; Missing, DigestMismatch, where
    it is not what was recorded.
    """
    now = desk.states.get(target.stream)
    last = now.last_scan
    if last is None or not last.snapshot:
        raise _no_snapshot(target, now)
    found = Seen(decide.load(desk, last.snapshot, last.root), now.last_read_at or last.at)
    if any("who" not in one.attributes for one in found.reaching):
        raise CouldNotTell(
            f"an older Holdfast made the last scan of {target.stream}, one object for all ways",
            next_step=f"holdfast scan {target.slug}",
        )
    return found


def _no_snapshot(target: Target, now: State) -> CouldNotTell:
    """That there is nothing to tell from, and when there was."""
    again = f"holdfast scan {target.slug}"
    if now.last_scan is None:
        return CouldNotTell(f"{target.stream} was never scanned", next_step=again)
    before = (
        f"the last one that did is of {now.last_read_at}" if now.last_read_at else "none ever did"
    )
    return CouldNotTell(
        f"the last scan of {target.stream}, at {now.last_scan.at}, could not read the account, and "
        f"holds no snapshot; {before}",
        next_step=f"holdfast drift ls {target.slug}, which says why; then {again}",
    )


@group.command("reach")
def reach(target: TargetName, as_json: JsonFlag = False) -> None:
    """List who can reach databases, by what, through which roles. Exit 3: some may be left out.

    As the last scan of the AWS account saw it; --json has the classes in the same words.
    """
    held = services()
    found = seen(held.desk, account(held.settings, target))
    if as_json:
        emit(told(found))
    else:
        table.grid(_HEADINGS, list(map(_row, found.reaching)), empty="nobody", whole_words=True)
        for label in sorted({one.attributes["by"] for one in found.reaching}):
            say(f"{plain(label)}: {MEANINGS.get(label, '')}", "dim")
        say(f"{_counted(found)}, as read at {found.read_at}", "dim")
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
        "who": [dict(one.attributes) for one in found.reaching],
        "gaps": [{"kind": one.name, **one.attributes} for one in found.gaps],
    }


def _counted(found: Seen) -> str:
    people = {one.attributes["who"] for one in found.reaching}
    return f"{count(len(people), 'principal')}, {count(len(found.reaching), 'way')}"


def _row(one: Object) -> list[str | Text]:
    said = one.attributes
    through = ", ".join(map(plain, said["through"]))
    certain = Text("yes", "bold") if said["certain"] else Text("maybe", "yellow")
    return [plain(said["who"]), plain(said["by"]), through or "itself", certain]


def _is_gap(kind: str, name: str, attributes: Any) -> bool:
    """Whether an object or a finding is about a part of the answer that was not read."""
    if kind != COVERAGE or name not in _KINDS or not isinstance(attributes, Mapping):
        return False
    lacking = attributes.get("attributes")
    return not lacking or not _ATTRIBUTES.isdisjoint(lacking)


def leading(taken: Snapshot) -> set[Key]:
    """The objects of users and roles that reach databases: themselves, their policies, groups."""
    labels = {one.attributes["who"] for one in taken.objects.values() if one.kind == KIND}
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
            taken = seen(held.desk, account(held.settings, one.target)).taken
            keys[one.target] = leading(taken)
        if concerns(one, keys[one.target]):
            found.append(one)
    return found
