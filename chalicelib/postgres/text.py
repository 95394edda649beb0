r"""Text as the server sends it, also where its bytes are not UTF-8.

A database in SQL_ASCII stores bytes without an encoding and sends them as they are. Such bytes
become ``\xe9`` and the like: the same bytes give the same text, and none of them ends a scan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg.adapt import Loader

if TYPE_CHECKING:
    import psycopg
    from psycopg.abc import Buffer

_TYPES: Final = ("text", "name", "varchar", "bpchar")


class _TolerantText(Loader):
    """UTF-8, with other bytes escaped."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "backslashreplace")


def tolerate_bytes(connection: psycopg.Connection[Any]) -> None:
    """Let this connection's results hold any bytes where text is expected.

    From SQL_ASCII the server sends such bytes only to a client that claims no encoding either.
    """
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        connection.execute("SET client_encoding TO 'SQL_ASCII'")
    for name in _TYPES:
        connection.adapters.register_loader(name, _TolerantText)
