"""The upgrade: which changes between two snapshots come from the server's new version, and why.

Pure: two snapshots and measured facts in, a reason for each change or none out. A change is
explained only where nobody's doing could look the same and matter:

1. the version itself, where it rose;
2. a parameter that nobody set on either side, with the value that each version is built with, also
   where the old or the new version does not have it;
3. a path that differs in the number of the version alone;
4. an object, or an attribute, that is on either side as a new server of that version makes it;
5. an attribute that the old version does not have, with the value that makes no difference;
6. a definition that says the same in the words of either version (``Renders``).

A minor version changes no catalogue: there 1 and 2 alone apply. What is not known to be one of
these is somebody's doing until a person says otherwise; the objects' facts are of servers whose
first superuser is ``postgres``, and explain nothing elsewhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec

from chalicelib.drift import arrivals, measured
from chalicelib.drift import diff as differing
from chalicelib.drift.diff import Change, Operation
from chalicelib.drift.snapshot import parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.drift.measured import Facts, Parameter
    from chalicelib.drift.snapshot import Key, Snapshot, Value

UPGRADE: Final = "upgrade"
"""The fact of a change's context that says that it is explained; see ``diff.Change``."""

SETTING: Final = "setting"
NUMBER: Final = "server_version_num"
VERSION: Final = "server_version"
MAX_CHARACTERS: Final = 100_000  # of a definition that is compared

# Where the server finds what belongs to its version, on systems that keep several side by side.
_PATHS: Final = frozenset({"config_file", "data_directory", "hba_file", "ident_file"})
# Computed at every start from other parameters, which show for themselves. Source: ipci.c.
_COMPUTED: Final = frozenset({
    "huge_pages_status",
    "num_os_semaphores",
    "shared_memory_size",
    "shared_memory_size_in_huge_pages",
})  # fmt: skip
_TEMPLATE: Final = ("database", "template0")  # which initdb makes for the first superuser
_FIRST: Final = "postgres"  # the first superuser where it was measured
_BY_INITDB: Final = "configuration file"
_NUMBERED = re.compile(r"(\d+)\.(\d+)(?!\d|\.)")


class Renders(Protocol):
    """Who can tell whether two definitions say the same in the words of two versions."""

    def __call__(self, change: Change, old: int, new: int, /) -> str:
        """Why an altered text says the same on a server of major ``old`` and one of ``new``.

        Empty, where it may not, and where nobody can tell.
        """
        ...


def untold(_change: Change, _old: int, _new: int, /) -> str:
    """Nobody can tell: no definition is explained."""
    return ""


class Server(NamedTuple):
    """The version of a snapshot's server: ``number`` as ``server_version_num``, and its text."""

    number: int
    text: str

    @property
    def major(self) -> int:
        """The major version."""
        return self.number // 10_000

    @property
    def named(self) -> str:
        """``17.4``, of whatever the text says more."""
        return f"{self.major}.{self.number % 10_000}"


def server(taken: Snapshot) -> Server | None:
    """The version of the server that a snapshot was read from; None, where it does not tell."""
    number, text = _value(taken, NUMBER), _value(taken, VERSION)
    if not (number.isascii() and number.isdigit() and len(number) == len("170004")):
        return None
    return Server(int(number), text)


class Upgrade:
    """What is known of the way from one version to a later one."""

    def __init__(
        self,
        before: Snapshot,
        after: Snapshot,
        versions: tuple[Server, Server],
        renders: Renders,
        facts: Callable[[int], Facts | None],
    ) -> None:
        self.old, self.new = versions
        self._before, self._after, self._renders = before, after, renders
        self._old, self._new = facts(self.old.major), facts(self.new.major)
        self._first = _first(before) == _first(after) == _FIRST
        self._members: tuple[dict[str, str], dict[str, str]] | None = None

    def reason(self, change: Change) -> str:
        """Why a change comes from the upgrade, in words; empty, where that is not known."""
        if change.operation is Operation.UNREADABLE:
            return ""
        if change.kind == SETTING and change.name in {NUMBER, VERSION}:
            return self._version(change)
        if self._old is None or self._new is None:
            return ""
        if change.kind == SETTING:
            return self._setting(change, self._old, self._new)
        is_major = self.old.major != self.new.major
        return self._object(change, self._old, self._new) if is_major else ""

    def _object(self, change: Change, old: Facts, new: Facts) -> str:
        if change.kind in {"extension", measured.MEMBER}:
            return self._extension(change, old, new)
        if change.operation is Operation.ALTERED and change.parts:
            return ""
        sides, majors = (self._before, self._after), (self.old.major, self.new.major)
        return (
            self._as_made(change, old, new)
            or arrivals.reason(change, sides, majors)
            or self._rendered(change)
        )

    def _version(self, change: Change) -> str:
        """1: both say the same version, and it is the later one."""
        said = _NUMBERED.match(self.new.text)
        if change.attribute != "value" or said is None or said[0] != self.new.named:
            return ""
        return f"the server was upgraded from {self.old.named} to {self.new.named}"

    def _setting(self, change: Change, old: Facts, new: Facts) -> str:
        was, now = old.parameters.get(change.name), new.parameters.get(change.name)
        match change.operation:
            case Operation.ADDED if now is not None:
                return self._parameter_came(change, was, now)
            case Operation.REMOVED if was is not None and now is None:
                return self._parameter_went(change, was)
            case Operation.ALTERED if was is not None and now is not None:
                return self._parameter_changed(change, was, now)
        return ""

    def _parameter_came(self, change: Change, was: Parameter | None, now: Parameter) -> str:
        """2: nobody set it. One that a minor version brought was measured in a later one."""
        said = change.new or {}
        source, value = said.get("source"), said.get("value")
        computed = change.name in _COMPUTED or (now.sort == "computed" and source == "default")
        known = said.keys() <= {"value", "unit", "source", "source_file"} and not change.parts
        if (
            (was is not None and not self._late())
            or not (known and (value == now.value or computed))
            or said.get("unit", "") != now.unit
        ):
            return ""
        by_initdb = source == now.source == _BY_INITDB and said.get("source_file", "") == _value(
            self._after, "config_file"
        )
        if source != "default" and not by_initdb:
            return ""
        how = "which it computes" if computed else "which it is built with"
        return f"PostgreSQL {self.new.named} has this parameter, and the value is the one {how}"

    def _late(self) -> bool:
        """Whether the old major was measured at a later minor version than the one of before."""
        return self._old is not None and self._old.version > self.old.number

    def _parameter_went(self, change: Change, was: Parameter) -> str:
        """2: nobody had set it. Where somebody had, a person is to say what replaces it."""
        said = change.old or {}
        if said.get("source") not in measured.UNTOUCHED or change.parts:
            return ""
        if _built(said) != (was.value, was.unit) and was.sort != "internal":
            return ""
        return f"PostgreSQL {self.new.major} has no such parameter, and nobody had set it"

    def _parameter_changed(self, change: Change, was: Parameter, now: Parameter) -> str:
        """2 and 3."""
        before, after = change.old or {}, change.new or {}
        match change.attribute:
            case "value" if change.name in _PATHS and self._moved(change.before, change.after):
                return "the path differs in the number of the version alone"
            case "value" if change.name in _COMPUTED:
                return "the server computes it from its version and from other parameters"
            case "source_file" if self._moved(change.before, change.after):
                return "the path differs in the number of the version alone"
            case "source":
                if (
                    (change.before, change.after) == (was.source, now.source)
                    and was.source in measured.UNTOUCHED
                    and now.source == "default"
                ):
                    return f"PostgreSQL {self.new.major} says so of what nobody set"
            case "value" | "unit":
                if (
                    before.get("source") == after.get("source") == "default"
                    and _built(before) == (was.value, was.unit)
                    and _built(after) == (now.value, now.unit)
                ):
                    return (
                        f"nobody set it: the default is {_with_unit(was)} in PostgreSQL "
                        f"{self.old.major} and {_with_unit(now)} in {self.new.major}"
                    )
        return ""

    def _moved(self, before: Value, after: Value) -> bool:
        """3: the same path, but for the number of the version."""
        if not (isinstance(before, str) and isinstance(after, str)) or not before:
            return False
        number = re.compile(rf"(?<!\d){self.old.major}(?!\d)")
        return before != after and number.sub(str(self.new.major), before) == after

    def _extension(self, change: Change, old: Facts, new: Facts) -> str:
        """4, of an extension that comes with the server: all of it is as either version has it."""
        name = change.name
        if change.kind == measured.MEMBER:
            name = (parent_of(change.new or change.old or {}) or ("", ""))[1]
        elif change.operation is not Operation.ALTERED:
            return ""
        was, now = old.extensions.get(name), new.extensions.get(name)
        if was is None or now is None or not (self._first and self._installed(name, old, new)):
            return ""
        if change.kind == "extension" and not _agree(change, was, now):
            return ""
        return (
            f"PostgreSQL {self.old.major} comes with its version {was.get('version')}, "
            f"{self.new.major} with {now.get('version')}, and that is what is there"
        )

    def _installed(self, name: str, old: Facts, new: Facts) -> bool:
        """Whether an extension is on either side the one that comes with the server."""
        if self._members is None:
            self._members = (measured.members(self._before), measured.members(self._after))
        sides = (
            (self._before, old, self._members[0]),
            (self._after, new, self._members[1]),
        )
        return all(
            (item := taken.objects.get(("extension", name))) is not None
            and item.attributes.get("version") == facts.extensions[name].get("version")
            and members.get(name, "") == facts.members[name]
            for taken, facts, members in sides
        )

    def _as_made(self, change: Change, old: Facts, new: Facts) -> str:
        """4: as a new server of either version shows it, which has nobody's doing in it."""
        if not self._first:
            return ""
        keys = (change.key, *change.parts)
        match change.operation:
            case Operation.ADDED:
                made = _only_in(keys, self._after, new.objects, old.objects)
                said = f"a new server of {self.new.major} has it, one of {self.old.major} not"
            case Operation.REMOVED:
                made = _only_in(keys, self._before, old.objects, new.objects)
                said = f"a new server of {self.old.major} has it, one of {self.new.major} not"
            case _:
                was, now = old.objects.get(change.key), new.objects.get(change.key)
                made = was is not None and now is not None and _agree(change, was, now)
                said = (
                    f"a new server of {self.old.major} says the former, one of "
                    f"{self.new.major} the latter"
                )
        return said if made else ""

    def _rendered(self, change: Change) -> str:
        """6."""
        texts = (change.before, change.after)
        if change.operation is not Operation.ALTERED or not all(
            isinstance(one, str) and len(one) <= MAX_CHARACTERS for one in texts
        ):
            return ""
        return self._renders(change, self.old.major, self.new.major)


def find(
    before: Snapshot,
    after: Snapshot,
    renders: Renders = untold,
    facts: Callable[[int], Facts | None] = measured.of,
) -> Upgrade | None:
    """The upgrade between two snapshots; None, where the version did not rise, or is not told."""
    old, new = server(before), server(after)
    if old is None or new is None or new.number <= old.number:
        return None
    return Upgrade(before, after, (old, new), renders, facts)


def diff(before: Snapshot, after: Snapshot, renders: Renders = untold) -> list[Change]:
    """Every change as ``diff.diff``; the context of those that an upgrade explains says so."""
    changes = differing.diff(before, after)
    upgrade = find(before, after, renders)
    if upgrade is None:
        return changes
    return [
        msgspec.structs.replace(one, context={**one.context, UPGRADE: True})
        if upgrade.reason(one)
        else one
        for one in changes
    ]


def _value(taken: Snapshot, parameter: str) -> str:
    item = taken.objects.get((SETTING, parameter))
    value = item.attributes.get("value") if item is not None else None
    return value if isinstance(value, str) else ""


def _first(taken: Snapshot) -> Value:
    """Who initdb was run for."""
    item = taken.objects.get(_TEMPLATE)
    return item.attributes.get("owner") if item is not None else None


def _built(attributes: Mapping[str, Value]) -> tuple[Value, Value]:
    return attributes.get("value"), attributes.get("unit", "")


def _with_unit(one: Parameter) -> str:
    value = one.value or "empty"
    return f"{value} ({one.unit})" if one.unit else value


def _agree(change: Change, was: Mapping[str, Value], now: Mapping[str, Value]) -> bool:
    """Whether an attribute is on either side what the facts of that side say."""
    name = change.attribute
    return bool(change.before == was.get(name) and change.after == now.get(name))


def _only_in(
    keys: tuple[Key, ...],
    taken: Snapshot,
    here: Mapping[Key, Mapping[str, Value]],
    there: Mapping[Key, Mapping[str, Value]],
) -> bool:
    """Whether all of them are as the facts of this side say, and unknown to the other side."""
    return all(
        key in here and key not in there and taken.objects[key].attributes == here[key]
        for key in keys
    )
