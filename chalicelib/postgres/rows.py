"""Rows of catalogue queries turned into objects: each becomes its canonical line at once.

How is worked out once a query, from its header and its columns (``queries``), and not once a row: a
database has a hundred thousand rows. No connection is touched here.
"""

from __future__ import annotations

from operator import itemgetter
from string import Formatter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.drift.snapshot import Key, Object
from chalicelib.kernel import canon
from chalicelib.kernel.merkle import leaf_hash
from chalicelib.kernel.names import identifier, qualified
from chalicelib.postgres import normal
from chalicelib.postgres.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.postgres.concealing import Concealer
    from chalicelib.postgres.queries import Statement

    Row = Sequence[Any]

PUBLIC: Final = "PUBLIC"  # unquoted: a role of that name would be shown in quotes

_TRANSACTIONS: Final = ("meta_xmin", "meta_dropped")
_CONCEALED: Final = frozenset({"setting", "config", "options", "secret", "conninfo"})


class IncompleteError(Exception):
    """A definition is NULL: its object vanished while it was read."""


class Dated(NamedTuple):
    """An object's key, the transaction ids that wrote its row, those that dropped parts of it."""

    key: Key
    xmins: tuple[str, ...]
    dropped: tuple[str, ...]


class Reader:
    """Turns the rows of one query, with these columns, into objects."""

    def __init__(self, statement: Statement, columns: Sequence[str], conceal: Concealer) -> None:
        self._statement = statement
        self._columns = columns
        self._conceal = conceal
        self._identifiers: dict[str, str] = {}
        at = {column: index for index, column in enumerate(columns)}
        self._required = [at[column] for column in statement.required]
        self._at = at
        self._transactions = [at.get(column) for column in _TRANSACTIONS]
        given = [one for one in at.items() if not one[0].startswith(("name", "meta_"))]
        self._plain = [column for column, _ in given if "__" not in column and "." not in column]
        self._values = _getter([at[column] for column in self._plain])
        others = [(index, *_taken(column)) for column, index in given if column not in self._plain]
        self._others = [one for one in others if one[3] not in normal.FRAMES]
        self._rare = _getter([one[0] for one in self._others])
        self._texts = sorted((one[1], one[0], one[3]) for one in others if one[3] in normal.FRAMES)

    def objects(self, rows: Sequence[Row]) -> list[Object]:
        """Their objects. Raises: IncompleteError, where a required column is NULL."""
        if any(row[index] is None for index in self._required for row in rows):
            raise IncompleteError(self._statement.name)
        kind, plain, values, texts = self._statement.kind, self._plain, self._values, self._texts
        name_of = self._shown(self._statement.template, rows)
        parent_of = self._shown(self._statement.of, rows)
        encode, rare, none = canon.encode_plain, self._rare, self._rare([None] * len(self._columns))
        empty: list[Any] = []
        suspicious = normal.suspicious
        found: list[Object] = []
        for row in rows:
            attributes = {
                column: value
                for column, value in zip(plain, values(row), strict=True)
                if value is not None
            }
            if empty in attributes.values():
                attributes = {column: one for column, one in attributes.items() if one != empty}
            if parent := parent_of(row):
                attributes["of"] = parent
            if rare(row) != none:
                self._add(attributes, row)
            for alias, index, suffix in texts:
                if (value := row[index]) is None or value == empty:
                    continue
                if value.__class__ is str and not suspicious(suffix, value):
                    attributes[alias] = value
                else:
                    _define(attributes, alias, suffix, value)
            name = name_of(row)
            line = encode((kind, name, attributes))
            found.append(Object(kind, name, None, line, leaf_hash(line)))
        return found

    def dated(self, objects: Iterable[Object], rows: Iterable[Row]) -> list[Dated]:
        """When the rows of these objects were written, as transaction ids."""
        wrote, dropped = self._transactions
        return [
            Dated(
                item.key,
                () if wrote is None else tuple(filter(None, row[wrote] or ())),
                () if dropped is None else tuple(row[dropped] or ()),
            )
            for item, row in zip(objects, rows, strict=True)
        ]

    def _add(self, attributes: dict[str, Any], row: Row) -> None:
        """Add what has to be converted, or is nested."""
        for index, alias, inner, suffix in self._others:
            value = row[index]
            if value is None or value == []:
                continue
            value = self._converted(suffix, value, row)
            if not alias:  # several at once
                attributes.update(value)
            elif inner:
                attributes.setdefault(alias, {})[inner] = value
            else:
                attributes[alias] = value

    def _converted(self, suffix: str, value: Any, row: Row) -> Any:
        if suffix in _CONCEALED:
            at = self._columns.index("meta_parameter") if suffix == "setting" else 0
            return _concealed(suffix, value, row[at], self._conceal)
        return CONVERT[suffix](value) if suffix else value

    def _shown(self, template: str, rows: Sequence[Row]) -> Callable[[Row], str]:
        """What a template says of a row: of these, one of which shows what the columns hold."""
        parts = [
            (literal, None if field is None else self._at[field], field == "meta_grantee")
            for literal, field, _, _ in Formatter().parse(template)
        ]
        if len(parts) == 1 and not parts[0][0] and parts[0][1] is not None and not parts[0][2]:
            only = parts[0][1]
            if all(isinstance(row[only], str) for row in rows[:1]):
                return itemgetter(only)
            return lambda row: self._part(row[only])

        def shown(row: Row) -> str:
            text = ""
            for literal, index, grantee in parts:
                text += literal
                if index is not None:
                    value = row[index]
                    text += PUBLIC if grantee and value is None else self._part(value)
            return text.strip()

        return shown

    def _part(self, value: Any) -> str:
        """A column as it stands in a name: identifiers for an array, otherwise the text itself."""
        if value is None:
            return ""
        if not isinstance(value, list):
            return str(value)
        known = self._identifiers
        for part in value:
            if part not in known:
                known[part] = identifier(part)
        return ".".join([known[part] for part in value])


def _define(attributes: dict[str, Any], alias: str, suffix: str, value: Any) -> None:
    """Add definitions in their one form, and say which are not certain to be in it."""
    one_form = normal.several if isinstance(value, list) else normal.normal
    attributes[alias], certain = one_form(suffix, value)
    if not certain:
        attributes.setdefault(normal.RAW, []).append(alias)


def _getter(indexes: Sequence[int]) -> Callable[[Row], Sequence[Any]]:
    if len(indexes) > 1:
        return itemgetter(*indexes)
    return lambda row: [row[index] for index in indexes]


def _taken(column: str) -> tuple[str, str, str]:
    """A column's attribute, the one nested in it, and its suffix."""
    alias, _, suffix = column.partition("__")
    outer, _, inner = alias.partition(".")
    return ("" if suffix == "acl" else outer), inner, suffix


def _privileges(entries: list[list[str | None]]) -> dict[str, list[str]]:
    """``[privilege, grantor, "true" where grantable]`` each → privilege → who gave it, sorted."""
    given: dict[str, list[str]] = {}
    for privilege, grantor, grantable in entries:
        by = f"by {identifier(grantor or '')}"
        by += " with grant option" if grantable == "true" else ""
        given.setdefault(str(privilege).lower().replace(" ", "_"), []).append(by)
    return {privilege: sorted(by) for privilege, by in given.items()}


def _concealed(suffix: str, value: Any, parameter: Any, conceal: Concealer) -> Any:
    if suffix == "setting":
        return conceal.setting(parameter, listed(parameter, value))
    if suffix == "config":
        pairs = (entry.partition("=") for entry in value)
        return sorted(
            f"{name}={conceal.setting(name, listed(name, text))}" for name, _, text in pairs
        )
    if suffix == "secret":
        return conceal.secret(value)
    if suffix == "conninfo":
        return conceal.conninfo(value)
    pairs = (entry.partition("=") for entry in value)
    return sorted(f"{name}={conceal.option(name, text)}" for name, _, text in pairs)


def _field(field: list[str | None]) -> str:
    """``[name, type, collation's schema, collation]`` as one text."""
    name, of_type, schema, collation = field
    text = f"{identifier(name or '')} {of_type}"
    return f"{text} collate {qualified(schema, collation)}" if schema and collation else text


def _mappings(rows: list[list[str]]) -> list[str]:
    """``[token, schema, dictionary]``, in the order of tokens → ``token: dictionaries`` each."""
    found: dict[str, list[str]] = {}
    for token, *parts in rows:
        found.setdefault(token, []).append(qualified(*parts))
    return [f"{token}: {', '.join(several)}" for token, several in found.items()]


# A suffix of normal.FRAMES is a definition's: its text takes its one form.
CONVERT: Final[dict[str, Callable[[Any], Any]]] = {
    "acl": _privileges,
    "id": lambda parts: qualified(*parts),  # one identifier in its parts
    "ids": lambda parts: sorted(  # a set of identifiers; NULL is PUBLIC
        PUBLIC if part is None else identifier(part) for part in parts
    ),
    "list": lambda several: [qualified(*parts) for parts in several],  # identifiers in order
    "set": sorted,  # texts whose order means nothing
    "fields": lambda fields: [_field(field) for field in fields],
    "routine": lambda parts: f"{qualified(*parts)}()",  # a function without arguments
    "mappings": _mappings,
}
