"""The catalogue queries: SQL text by file name, and rows turned into objects.

No connection is touched here. A kind is one file ``catalog/<kind>.sql``. Its header::

    -- kind: constraint              what its rows are
    -- needs: SELECT on …            privileges, shown where they lack
    -- since: 13                     oldest major version with these catalogues
    -- name: {name}                  how columns make the object's name
    -- of: {meta_parent} {meta_of}   how they make its parent's, if it has one
    -- required: definition          never NULL in a consistent read

A line that ends in ``--@ >=14``, ``--@ <16`` or ``--@ 15-16`` is kept only for such versions, one
that ends in ``--@ reads pg_enum, pg_type`` only where these may be read. Columns ``name…`` and
``meta_…`` serve the templates; ``meta_xmin`` and ``meta_dropped`` hold transaction ids. Every other
column is an attribute; a dot in its alias nests, a suffix says what its value means (see CONVERT).
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from chalicelib.drift.snapshot import Object
from chalicelib.kernel import canon
from chalicelib.kernel.names import identifier, qualified
from chalicelib.postgres.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from chalicelib.postgres.concealing import Concealer

PUBLIC: Final = "PUBLIC"  # unquoted: a role of that name would be shown in quotes
SUPPORT: Final = frozenset(
    {
        "commit_times",
        "file_settings",
        "fingerprint",
        "identity",
        "pins",
        "settings",
        "system",
        "unbound",
        "unreadable",
    }
)  # files that are no kinds

_TRANSACTIONS: Final = frozenset({"meta_xmin", "meta_dropped"})
_HEADER = re.compile(r"-- (kind|needs|since|name|of|required): (.+)")
_MARKER = re.compile(r"\s*--@ (?:(\d+)-(\d+)|>=(\d+)|<(\d+)|reads (\w+(?:, \w+)*))$")
_FOLDER = files("chalicelib.postgres") / "catalog"


class Statement(msgspec.Struct, frozen=True):
    """One query as it is sent: ``sql`` is the exact text, ``sha256`` is over its UTF-8 bytes."""

    name: str
    sql: str
    sha256: str
    kind: str
    needs: str
    since: int
    template: str
    of: str
    required: tuple[str, ...]


class IncompleteError(Exception):
    """A definition is NULL: its object vanished while it was read."""


class Item(NamedTuple):
    """One row: its object, the transaction ids that wrote it, those that dropped parts of it."""

    object: Object
    xmins: tuple[str, ...]
    dropped: tuple[str, ...]


@cache
def _text(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text("utf-8")


@cache
def kinds() -> tuple[str, ...]:
    """The names of the files that read a kind, in order."""
    names = (entry.name.removesuffix(".sql") for entry in _FOLDER.iterdir())
    return tuple(sorted(set(names) - SUPPORT))


def load(name: str, major: int, *, unreadable: Collection[str] = ()) -> Statement:
    """The statement of ``catalog/<name>.sql`` for a server of version ``major``.

    ``unreadable``: catalogues whose marked lines are left out.
    """
    header: dict[str, str] = {}
    lines: list[str] = []
    for line in _text(name).splitlines():
        if found := _HEADER.fullmatch(line):
            header[found[1]] = found[2]
        elif not line.startswith("--"):
            marker = _MARKER.search(line)
            if marker is None:
                lines.append(line)
            elif _kept(marker, major, unreadable):
                lines.append(line[: marker.start()])
    sql = "\n".join(lines).strip()
    return Statement(
        name=name,
        sql=sql,
        sha256=canon.sha256(sql.encode()),
        kind=header.get("kind", name),
        needs=header["needs"],
        since=int(header.get("since", "13")),
        template=header.get("name", "{name}"),
        of=header.get("of", ""),
        required=tuple(header.get("required", "").split(", ")) if "required" in header else (),
    )


def _kept(marker: re.Match[str], major: int, unreadable: Collection[str]) -> bool:
    first, last, since, before, catalogue = marker.groups()
    if catalogue:
        return not set(catalogue.split(", ")) & set(unreadable)
    return int(first or since or 0) <= major <= int(last or (int(before) - 1 if before else major))


def items(
    statement: Statement, columns: Sequence[str], rows: Iterable[Sequence[Any]], conceal: Concealer
) -> list[Item]:
    """The objects of a query's rows. Raises: IncompleteError, where a required column is NULL."""
    return [_item(statement, dict(zip(columns, row, strict=True)), conceal) for row in rows]


def _item(statement: Statement, row: dict[str, Any], conceal: Concealer) -> Item:
    if any(row[column] is None for column in statement.required):
        raise IncompleteError(statement.name)
    shown = {
        key: _shown(key, value)
        for key, value in row.items()
        if key.startswith(("name", "meta_")) and key not in _TRANSACTIONS
    }
    attributes: dict[str, Any] = {}
    if parent := statement.of.format_map(shown).strip():
        attributes["of"] = parent
    for column, value in row.items():
        if column in shown or column in _TRANSACTIONS or value in (None, []):
            continue
        alias, _, suffix = column.partition("__")
        if suffix == "acl":
            attributes |= _privileges(value)
            continue
        if suffix in {"setting", "config", "options", "secret", "conninfo"}:
            value = _concealed(suffix, value, row, conceal)  # noqa: PLW2901 - one value, two steps
        elif suffix:
            value = CONVERT[suffix](value)  # noqa: PLW2901 - as above
        outer, _, inner = alias.partition(".")
        if inner:
            attributes.setdefault(outer, {})[inner] = value
        else:
            attributes[alias] = value
    return Item(
        Object(statement.kind, statement.template.format_map(shown), attributes),
        tuple(filter(None, row.get("meta_xmin") or ())),
        tuple(row.get("meta_dropped") or ()),
    )


def _shown(column: str, value: Any) -> str:
    """A column as it stands in a name: identifiers for an array, otherwise the text itself."""
    if value is None:
        return PUBLIC if column == "meta_grantee" else ""
    return qualified(*value) if isinstance(value, list) else str(value)


def _privileges(entries: list[list[str | None]]) -> dict[str, list[str]]:
    """``[privilege, grantor, "true" where grantable]`` each → privilege → who gave it, sorted."""
    given: dict[str, list[str]] = {}
    for privilege, grantor, grantable in entries:
        by = f"by {identifier(grantor or '')}"
        by += " with grant option" if grantable == "true" else ""
        given.setdefault(str(privilege).lower().replace(" ", "_"), []).append(by)
    return {privilege: sorted(by) for privilege, by in given.items()}


def _concealed(suffix: str, value: Any, row: dict[str, Any], conceal: Concealer) -> Any:
    if suffix == "setting":
        return conceal.setting(row["meta_parameter"], listed(row["meta_parameter"], value))
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


CONVERT: Final[dict[str, Callable[[Any], Any]]] = {
    "id": lambda parts: qualified(*parts),  # one identifier in its parts
    "ids": lambda parts: sorted(  # a set of identifiers; NULL is PUBLIC
        PUBLIC if part is None else identifier(part) for part in parts
    ),
    "list": lambda several: [qualified(*parts) for parts in several],  # identifiers in order
    "set": sorted,  # texts whose order means nothing
    "fields": lambda fields: [_field(field) for field in fields],
    "routine": lambda parts: f"{qualified(*parts)}()",  # a function without arguments
}
