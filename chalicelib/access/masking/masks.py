"""The masks of a target: what the masks file says of each column, class and set of views.

    public.customers.email = "email"
    public.customers.note = {class = "free-text", mask = "constant", value = "(a note)"}
    [rows]
    public.orders = "region <> 'test'"
    [views.support]
    reveals = ["phone"]
    [views.support.rows]
    public.orders = "clerk = holdfast_mask.person()"

Parsing, no reading of files. The same name said twice is refused: no file silently wins.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access.masking import classes, condition
from chalicelib.access.masking.entry import near
from chalicelib.access.masking.spec import Class, Spec
from chalicelib.access.profile import PART, VIEWS, Table, named
from chalicelib.kernel import canon
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SECTIONS: Final = ("columns", "classes", "rows", "views")
MAX_COLUMNS: Final = 200_000
MAX_FILTER_CHARACTERS: Final = 4_000
_CLASS: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_PARTS_OF_COLUMN: Final = 3


class Rule(msgspec.Struct, frozen=True):
    """What is said of a column: its class, and its mask where that is not the class's."""

    klass: str
    mask: Spec | None = None


class ViewSet(msgspec.Struct, frozen=True):
    """The views of profiles that have ``views`` of this name.

    ``reveals``: classes that are shown clear in it. ``rows``: filters beside those for all sets.
    """

    reveals: tuple[str, ...] = ()
    rows: dict[Table, str] = {}


class Masks(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is said of a target. ``rows``: filters that every set of views has."""

    columns: dict[Table, dict[str, Rule]] = {}
    classes: dict[str, Class] = msgspec.field(default_factory=classes.SHIPPED.copy)
    rows: dict[Table, str] = {}
    views: dict[str, ViewSet] = {}

    def of(self, name: str) -> ViewSet:
        """A set of views; one that nothing is said of has no rules of its own."""
        return self.views.get(name, ViewSet())

    def filters(self, name: str, table: Table) -> list[str]:
        """The row filters of a table in a set; a row has to pass all of them."""
        found = (self.rows.get(table), self.of(name).rows.get(table))
        return [one for one in found if one is not None]

    @property
    def sha256(self) -> str:
        """The digest by which records name them, hexadecimal."""
        tables = {str(table): rules for table, rules in self.columns.items()}
        rows = {str(table): text for table, text in self.rows.items()}
        views = {
            name: [one.reveals, {str(table): text for table, text in one.rows.items()}]
            for name, one in self.views.items()
        }
        what = [tables, self.classes, rows, views]
        return canon.sha256(canon.encode(msgspec.to_builtins(what)))


def parse(texts: Iterable[tuple[str, Mapping[str, Any]]]) -> Masks:
    """The masks of several sources, each with its name for messages. Raises: UsageError."""
    own: dict[str, Class] = {}
    columns: dict[Table, dict[str, Rule]] = {}
    rows: dict[Table, str] = {}
    views: dict[str, ViewSet] = {}
    sources = list(texts)
    for where, text in sources:
        for name, value in _table(where, "classes", text.get("classes", {})).items():
            _once(where, f"class {name}", own, name)
            own[name] = _class(where, name, value)
    known = {**classes.SHIPPED, **own}
    for where, text in sources:
        plain = {key: value for key, value in text.items() if key not in SECTIONS}
        for part in (plain, _table(where, "columns", text.get("columns", {}))):
            for table, column, value in _columns(where, part):
                rules = columns.setdefault(table, {})
                _once(where, f"{table}.{column}", rules, column)
                rules[column] = _rule(f"{where}: {table}.{column}", value, known)
        for table, filtering in _rows(where, text.get("rows", {})):
            _once(where, f"rows of {table}", rows, table)
            rows[table] = filtering
        for name, value in _table(where, "views", text.get("views", {})).items():
            _once(where, f"views {name}", views, name)
            views[name] = _set(where, name, value, known)
    if sum(map(len, columns.values())) > MAX_COLUMNS:
        raise UsageError(f"masks of a target are for at most {MAX_COLUMNS} columns")
    return Masks(columns=columns, classes=known, rows=rows, views=views)


def _columns(where: str, part: Mapping[str, Any]) -> Iterator[tuple[Table, str, Any]]:
    """What is said of columns: by three keys, or by one text with three names in it."""
    for first, inner in part.items():
        if isinstance(inner, str) or (isinstance(inner, dict) and _says(inner)):
            schema, table, column = _names(where, first, _PARTS_OF_COLUMN)
            yield Table(schema, table), column, inner
            continue
        for second, columns in _table(where, first, inner).items():
            for column, value in _table(where, f"{first}.{second}", columns).items():
                yield Table(first, second), column, value


def _says(value: dict[str, Any]) -> bool:
    return any(isinstance(value.get(key), str) for key in ("class", "mask"))


def _rows(where: str, part: object) -> Iterator[tuple[Table, str]]:
    for first, inner in _table(where, "rows", part).items():
        if isinstance(inner, str):
            schema, table = _names(where, first, 2)
            yield Table(schema, table), _filter(f"{where}: rows of {first[:80]}", inner)
            continue
        for second, text in _table(where, f"rows.{first}", inner).items():
            yield (
                Table(first, second),
                _filter(f"{where}: rows of {first[:63]}.{second[:63]}", text),
            )


def _filter(where: str, text: object) -> str:
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise UsageError(f"{where}: expected a condition in SQL, e.g. \"region = 'eu'\"")
    if len(text) > MAX_FILTER_CHARACTERS:
        raise UsageError(f"{where}: at most {MAX_FILTER_CHARACTERS} characters, found {len(text)}")
    if why := condition.refusal(text):
        raise UsageError(f"{where}: not one condition: {why}")
    return text


def _rule(where: str, value: object, known: Mapping[str, Class]) -> Rule:
    if isinstance(value, str):
        value = {"class": value}
    if not isinstance(value, dict):
        raise UsageError(
            f"{where}: expected a class, or a table with class or mask",
            next_step='for example "email", or {class = "email", mask = "pseudonym"}',
        )
    parameters = dict(value)
    klass = parameters.pop("class", classes.PERSONAL)
    mask = parameters.pop("mask", None)
    if not isinstance(klass, str) or klass not in known:
        raise UsageError(
            f"{where}: there is no class {str(klass)[:40]!r}{near(str(klass), known)}",
            next_step=f"one of {', '.join(sorted(known))}, or [classes.{str(klass)[:40]}]",
        )
    if mask is None and parameters:
        raise UsageError(f"{where}: {min(parameters)[:40]!r} is a parameter of no mask")
    if mask is not None and (known[klass].clear or known[klass].hidden):
        raise UsageError(f"{where}: what is {klass} has no mask")
    if mask is not None and not isinstance(mask, str):
        raise UsageError(f"{where}: mask is the name of one")
    if mask is None:
        return Rule(klass)
    spec = Spec(mask, parameters)
    classes.check_spec(where, spec)
    return Rule(klass, spec)


def _class(where: str, name: str, value: object) -> Class:
    """An own class: ``{mask = …}`` or ``{masks = [{mask = …}, …]}``, and whether it is personal."""
    place = f"{where}: [classes.{name[:40]}]"
    if not _CLASS.fullmatch(name):
        raise UsageError(f"{place}: 1 to 40 lower-case letters, digits and hyphens")
    fields = dict(_table(where, f"classes.{name}", value))
    personal = fields.pop("personal", True)
    flags = {flag: fields.pop(flag, False) for flag in ("clear", "hidden")}
    listed: Any = fields.pop("masks", [])
    if "mask" in fields:
        if listed:
            raise UsageError(f"{place}: mask or masks")
        listed, fields = [fields], {}
    given = [*flags.values(), personal]
    if fields or not isinstance(listed, list) or any(not isinstance(one, bool) for one in given):
        raise UsageError(f"{place}: expected mask with its parameters, or masks, and personal")
    specs = []
    for one in listed:
        if not isinstance(one, dict) or not isinstance(one.get("mask"), str):
            raise UsageError(f"{place} masks: each is a table with mask")
        specs.append(Spec(one["mask"], {key: one[key] for key in one if key != "mask"}))
    found = Class(masks=tuple(specs), personal=personal, **flags)
    if name in (classes.PUBLIC, classes.HIDDEN):
        raise UsageError(f"{place}: what is {name} is always so")
    classes.check(place, found)
    return found


def _set(where: str, name: str, value: object, known: Mapping[str, Class]) -> ViewSet:
    place = f"{where}: [views.{name[:40]}]"
    if not VIEWS.fullmatch(name):
        raise UsageError(f"{place}: 1 to 20 lower-case letters, digits and '_', a letter first")
    fields = dict(_table(where, f"views.{name}", value))
    reveals = fields.pop("reveals", [])
    rows: dict[Table, str] = {}
    for table, text in _rows(where, fields.pop("rows", {})):
        _once(place, f"rows of {table}", rows, table)
        rows[table] = text
    if fields:
        raise UsageError(f"{place}: {min(fields)[:40]!r} is not known; reveals and rows are")
    if not isinstance(reveals, list) or not all(isinstance(one, str) for one in reveals):
        raise UsageError(f"{place} reveals: expected a list of classes")
    unknown = sorted(set(reveals) - set(known))
    if unknown:
        raise UsageError(
            f"{place} reveals: there is no class {unknown[0][:40]!r}{near(unknown[0], known)}"
        )
    hidden = sorted(one for one in set(reveals) if known[one].hidden)
    if hidden:
        raise UsageError(f"{place} reveals: what is {hidden[0]} is in no view")
    return ViewSet(tuple(sorted(set(reveals))), rows)


def _table(where: str, name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(
            f"{where}: {name[:120]}: expected a table",
            next_step='columns are public.customers.email = "email"',
        )
    return value


def _names(where: str, text: str, count: int) -> list[str]:
    """The names in ``public."Odd.Name".email``, which is quoted as in SQL. Raises: UsageError."""
    found, rest = [], text
    while (part := PART.match(rest)) is not None:
        found.append(named(part))
        rest = rest[part.end() :]
        if not rest.startswith("."):
            break
        rest = rest[1:]
    if rest or len(found) != count or text.endswith("."):
        shape = "schema.table.column" if count == _PARTS_OF_COLUMN else "schema.table"
        raise UsageError(f"{where}: {text[:120]!r} is not {shape}")
    return found


def _once(where: str, what: str, known: Mapping[Any, Any], key: object) -> None:
    if key in known:
        raise UsageError(f"{where}: {what} is said twice")
