r"""Text as the server sends it, also where its bytes are not UTF-8.

A database in SQL_ASCII stores bytes without an encoding and sends them as they are. Such bytes
become ``\xe9`` and the like: the same bytes give the same text, and none of them ends a scan.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from psycopg.adapt import Loader

from chalicelib.kernel.names import identifier

if TYPE_CHECKING:
    import psycopg
    from psycopg.abc import Buffer

# Parameters whose value is a list of identifiers, unquoted ones in any case. Source: guc_tables.c,
# GUC_LIST_QUOTE; the three …_preload_libraries keep case and are left as they are.
_IDENTIFIER_LISTS: Final = frozenset({"search_path", "temp_tablespaces"})
_ELEMENT = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*(,|$)')
_TYPES: Final = ("text", "name", "varchar", "bpchar")


class _TolerantText(Loader):
    """UTF-8, with other bytes escaped."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "backslashreplace")


def tolerate_bytes(connection: psycopg.Connection[Any]) -> None:
    """Let the server send what it has, where it cannot say in which encoding.

    From SQL_ASCII it sends such bytes only to a client that claims no encoding either.
    """
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        connection.execute("SET client_encoding TO 'SQL_ASCII'")
        _escape(connection)


def tolerant(connection: psycopg.Connection[Any]) -> psycopg.Cursor[Any]:
    """A cursor whose results may hold any bytes where text is expected.

    What all databases share (a role's name) is in the encoding of the one where it was made, and is
    sent as it is. Looking at each text costs: for a query that has turned out to need it.
    """
    cursor = connection.cursor()
    _escape(cursor)
    return cursor


def _escape(context: psycopg.Connection[Any] | psycopg.Cursor[Any]) -> None:
    for name in _TYPES:
        context.adapters.register_loader(name, _TolerantText)


def listed(name: str, value: str) -> str:
    """A parameter's value with the quotes of a list of identifiers where they are needed.

    ``ALTER … SET search_path = app`` stores ``"app"`` where quote_all_identifiers is on. What is no
    such list, or cannot be split, stays as it is.
    """
    if name.lower() not in _IDENTIFIER_LISTS or not value.strip():
        return value
    found: list[str] = []
    at = 0
    more = True
    while more:
        element = _ELEMENT.match(value, at)
        if element is None:
            return value
        quoted, plain, comma = element.groups()
        found.append(identifier(plain.lower() if plain else quoted.replace('""', '"')))
        at, more = element.end(), bool(comma)
    return ", ".join(found)
