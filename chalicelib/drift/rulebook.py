"""The rules: TOML texts in, a checked and compiled book of rules out.

The shipped texts lie in ``rules/*.toml`` and ``controls.toml`` beside this module. Users' texts
come before them, and the first that matches decides. Reading users' files is not done here.
"""

from __future__ import annotations

import enum
import functools
import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

import msgspec

from chalicelib.drift.entry import converted, shown
from chalicelib.drift.match import CompiledMatch, Condition, Facts, Match, plain
from chalicelib.drift.order import CompiledOrdering, Direction, Ordering
from chalicelib.kernel import canon
from chalicelib.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.drift.diff import Operation

MAX_RULES = 10_000  # rules and directions each, of all texts together, the shipped ones included
MAX_TEXT_BYTES = 2**20
MAX_TITLE_CHARACTERS = 200
MAX_REMEMBERED = 4_096  # (kind, parameter, attribute, operation) whose candidates are kept

_NEXT_STEP: Final = "docs/rules.md lists the keys and their values"
_FEWER: Final = "say the same with fewer rules; a glob covers many names"

_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")

DRIFT = "drift"
"""The set of controls that every finding supports."""


@functools.total_ordering
class Severity(enum.Enum):
    """How much a change matters. Ordered: ``Severity.INFO < Severity.CRITICAL``."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for info up to 4 for critical."""
        return list(reversed(Severity)).index(self)

    def __lt__(self, other: object) -> bool:
        return self.rank < other.rank if isinstance(other, Severity) else NotImplemented


class Rule(Match, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[rule]]``: what it applies to, and what it says about it.

    ``title``: a short fact for a table. ``controls``: sets of controls.toml beyond ``drift``.
    """

    severity: Severity
    title: str
    direction: Direction | None = None
    controls: tuple[str, ...] = ()


class ControlSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The controls that one kind of evidence supports, by framework."""

    evidence: str
    nist_800_53: list[str]
    soc2: list[str]
    iso_27001: list[str]
    pci_dss: list[str]
    fedramp_ksi: list[str]


class Controls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``controls.toml``. ``awaiting_check``: ids nobody checked yet, by framework; ``*``: all."""

    wording: str
    awaiting_check: dict[str, list[str]]
    sets: dict[str, ControlSet]


class CompiledRule:
    """A rule ready to be matched, with its controls by framework."""

    def __init__(self, rule: Rule, controls: Controls) -> None:
        self.rule = rule
        self.match = CompiledMatch(rule)
        title = rule.title
        if not title.strip() or not title.isprintable() or len(title) > MAX_TITLE_CHARACTERS:
            raise ValueError(
                f"expected a printable title of at most {MAX_TITLE_CHARACTERS} letters"
            )
        unknown = [name for name in rule.controls if name not in controls.sets]
        if unknown:
            known = ", ".join(sorted(controls.sets))
            raise ValueError(f"no set of controls is named {unknown[0]!r}; there are {known}")
        self.controls = _merged([controls.sets[name] for name in (DRIFT, *rule.controls)])

    def admits(self, seen: Facts) -> bool:
        """Whether kind, parameter, attribute and operation fit; see ``CompiledMatch``."""
        return self.match.admits(seen)

    def holds(self, seen: Facts, direction: Direction) -> bool:
        """Whether the rest fits too."""
        wanted = self.rule.direction
        is_meant = wanted in {None, direction} or (
            wanted is Direction.WIDENS and direction is Direction.BOTH
        )
        return is_meant and self.match.holds(seen)

    @property
    def is_last(self) -> bool:
        """Whether nothing behind it can match what it admits."""
        return self.rule.direction is None and self.match.is_settled


class Key(NamedTuple):
    """What of a change is looked at before the rest."""

    kind: str
    parameter: str
    attribute: str
    operation: Operation


class Candidate(Protocol):
    """A rule or a direction, while it is looked for."""

    def admits(self, seen: Facts) -> bool:
        """Whether it may apply to what has these facts."""
        ...


C = TypeVar("C", bound=Candidate)
T = TypeVar("T")


class Rules:
    """The effective rules, in the order in which they are tried.

    ``sha256``: over the canonical JSON of directions, rules and controls, for the record of a scan.
    """

    __slots__ = ("_directions_for", "_rules_for", "controls", "directions", "rules", "sha256")

    def __init__(
        self,
        directions: Sequence[CompiledOrdering],
        rules: Sequence[CompiledRule],
        controls: Controls,
    ) -> None:
        self.directions = tuple(one.ordering for one in directions)
        self.rules = tuple(one.rule for one in rules)
        self.controls = controls
        self._directions_for = _finder(directions, lambda one: one.match.is_settled)
        self._rules_for = _finder(rules, lambda one: one.is_last)
        effective = msgspec.to_builtins([self.directions, self.rules, controls])
        self.sha256 = canon.sha256(canon.encode(effective))

    def direction(self, seen: Facts) -> tuple[Direction, str]:
        """The direction, and the id of the entry that told; neutral and empty, if none applies."""
        for one in self._directions_for(_key(seen)):
            if one.match.holds(seen):
                return one.decide(seen), one.id
        return Direction.NEUTRAL, ""

    def rule(self, seen: Facts, direction: Direction) -> CompiledRule:
        """The first rule that matches. The last shipped one matches everything."""
        return next(one for one in self._rules_for(_key(seen)) if one.holds(seen, direction))


def _key(seen: Facts) -> Key:
    return Key(seen.kind, seen.parameter, seen.attribute, seen.operation)


def _finder(entries: Sequence[C], is_last: Callable[[C], bool]) -> Callable[[Key], Sequence[C]]:
    """What may apply to a key, in order, up to the first entry that surely does; remembered."""

    @functools.lru_cache(MAX_REMEMBERED)
    def find(key: Key) -> Sequence[C]:
        seen = Facts(
            kind=key.kind,
            name="",
            parameter=key.parameter,
            attribute=key.attribute,
            operation=key.operation,
            before=None,
            after=None,
            units=("", ""),
            attributes={},
        )
        found: list[C] = []
        for entry in entries:
            if entry.admits(seen):
                found.append(entry)
                if is_last(entry):
                    break
        return found

    return find


def _merged(sets: Iterable[ControlSet]) -> dict[str, list[str]]:
    """Controls by framework, each once, in the order of the sets."""
    merged: dict[str, dict[str, None]] = {}
    for one in sets:
        for framework in ControlSet.__struct_fields__[1:]:
            merged.setdefault(framework, {}).update(dict.fromkeys(getattr(one, framework)))
    return {framework: list(ids) for framework, ids in merged.items()}


def describe(rules: Rules) -> list[dict[str, str]]:
    """The rules in the order in which they are tried, as texts; what is left out is empty."""
    return [
        {
            "id": rule.id,
            "severity": rule.severity.value,
            "title": rule.title,
            "kind": _globs(rule.kind),
            "name": _globs(rule.name),
            "parameter": _globs(rule.parameter),
            "attribute": _globs(rule.attribute),
            "operation": rule.operation.value if rule.operation else "",
            "direction": rule.direction.value if rule.direction else "",
            "where": ", ".join(
                f"{key} = {_globs(condition)}" for key, condition in rule.where.items()
            ),
            "touches": _globs(rule.touches),
        }
        for rule in rules.rules
    ]


def _globs(globs: Condition | None) -> str:
    return ", ".join(globs) if isinstance(globs, tuple) else plain(globs) or ""


def load(*user_texts: str | bytes, names: Sequence[str] = ()) -> Rules:
    """The users' rules, before the shipped ones. ``names``: of the texts, for messages.

    Raises: ConfigError naming the text and the rule, on what cannot be used exactly as written.
    """
    labels = [*names[: len(user_texts)]]
    labels += [f"rules text {number + 1}" for number in range(len(labels), len(user_texts))]
    shipped = _shipped()
    users = _Book(dict(shipped.directions), dict(shipped.rules), shipped.controls)
    for label, text in zip(labels, user_texts, strict=True):
        users.add(label, text)
    return Rules(
        _last_to_front(users.directions, len(shipped.directions)),
        _last_to_front(users.rules, len(shipped.rules)),
        users.controls,
    )


def controls() -> Controls:
    """The shipped sets of controls."""
    return _shipped().controls


def _last_to_front(entries: dict[str, T], count: int) -> list[T]:
    """The entries with the first ``count`` moved behind all others."""
    ordered = list(entries.values())
    return ordered[count:] + ordered[:count]


class _Book(NamedTuple):
    """Entries by id, in the order in which they were added."""

    directions: dict[str, CompiledOrdering]
    rules: dict[str, CompiledRule]
    controls: Controls

    def add(self, label: str, text: str | bytes) -> None:
        """Add the tables of one text. Raises: ConfigError."""
        tables = _parse(label, text)
        for table in tables.keys() - {"direction", "rule"}:
            raise ConfigError(
                f"{label}: unknown table {shown(table)}; expected [[rule]] and [[direction]]",
                next_step=_NEXT_STEP,
            )
        _collect(label, "direction", tables, self.directions, _ordering)
        _collect(label, "rule", tables, self.rules, lambda one: _rule(one, self.controls))


@functools.cache
def _shipped() -> _Book:
    """The shipped rules, in the order of their files' names. Not to be added to."""
    package = resources.files("chalicelib.drift")
    controls = tomllib.loads(package.joinpath("controls.toml").read_text("utf-8"))
    book = _Book({}, {}, msgspec.convert(controls, Controls))
    files = {one.name: one for one in package.joinpath("rules").iterdir()}
    for name in sorted(name for name in files if name.endswith(".toml")):
        book.add(name, files[name].read_bytes())
    return book


def _ordering(entry: Any) -> CompiledOrdering:
    return CompiledOrdering(converted(entry, Ordering))


def _rule(entry: Any, controls: Controls) -> CompiledRule:
    return CompiledRule(converted(entry, Rule), controls)


def _parse(label: str, text: str | bytes) -> dict[str, Any]:
    try:
        data = text.encode() if isinstance(text, str) else text
        if len(data) > MAX_TEXT_BYTES:
            raise ConfigError(
                f"{label}: {len(data)} bytes of rules; expected at most {MAX_TEXT_BYTES}",
                next_step=_FEWER,
            )
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # also for integers past all bounds
        raise ConfigError(
            f"{label}: not TOML: {error}",
            next_step=f"mend the text there; {_NEXT_STEP}",
        ) from None


def _collect(
    label: str,
    table: str,
    tables: dict[str, Any],
    into: dict[str, T],
    compiled: Callable[[Any], T],
) -> None:
    """Check the entries of one table and add them by id. Raises: ConfigError."""
    entries = tables.get(table, [])
    if not isinstance(entries, list):
        raise ConfigError(
            f"{label}: expected [[{table}]], found {table} in another form",
            next_step=_NEXT_STEP,
        )
    if len(into) + len(entries) > MAX_RULES:
        raise ConfigError(f"{label}: more than {MAX_RULES} tables [[{table}]]", next_step=_FEWER)
    for number, entry in enumerate(entries, start=1):
        name = entry.get("id") if isinstance(entry, dict) else None
        where = f"{label}: {table} {str(name)[:80]!r} (number {number})"
        try:
            one = compiled(entry)
            canon.encode(entry)
        except ValueError as error:  # msgspec.ValidationError is one
            raise ConfigError(f"{where}: {error}", next_step=_NEXT_STEP) from None
        if not isinstance(name, str) or not _ID.fullmatch(name):
            raise ConfigError(
                f"{where}: expected an id of 1 to 100 letters, digits, '.', '_' and '-'",
                next_step=_NEXT_STEP,
            )
        if name in into:
            raise ConfigError(
                f"{where}: the id is taken already",
                next_step="Give it another id; yours come before the shipped ones.",
            )
        into[name] = one
