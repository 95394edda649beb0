"""The profile: what a lease may do at a target; and the scope that narrows it to some tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_TABLES: Final = 200  # of one scope
PRIVILEGES: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")
# One part of a table's name: plain, or quoted with doubled quotes; at most 63 bytes is the server's
# to say. Source: PostgreSQL, §4.1.1 "Identifiers and Key Words".
PART: Final = re.compile(r'([a-z_][a-z0-9_$]*)|"((?:[^"\x00]|"")+)"')
EVERY: Final = "*"
MASKED_SUFFIX: Final = "_masked"
VIEWS: Final = re.compile(r"[a-z][a-z0-9_]{0,19}")  # the name of a set of views
MAX_IDENTIFIER_BYTES: Final = 63  # the server cuts what is longer. Source: NAMEDATALEN - 1

Seconds = Annotated[int, Meta(ge=0, le=86_400)]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[profiles.NAME]``: what a lease of this profile gets.

    For databases. ``privileges``: on the tables of the scope. ``masked``: on the views of the same
    names in the schemas ``<schema>_masked``, and never on the tables; ``views``: which set of them,
    ``eu`` for those in ``<schema>_masked_eu``. ``roles``: group roles of the target that it is a
    member of besides. ``set_role``: the one of them that its sessions start as,
    so that what it creates is not its own. ``tables``: whether a request has to name tables
    (``required``), may (``optional``), or cannot (``none``).

    For AWS roles. ``actions``: what its session may do, e.g. ``s3:GetObject``.
    """

    privileges: tuple[str, ...] = ()
    masked: bool = False
    views: str = ""
    read_only: bool = True
    roles: tuple[str, ...] = ()
    set_role: str = ""
    tables: str = "optional"
    connections: Annotated[int, Meta(ge=1, le=100)] = 5
    statement_timeout_seconds: Seconds = 300
    idle_in_transaction_seconds: Seconds = 60
    log_statement: str = ""
    actions: tuple[str, ...] = ()


SHIPPED: Final = {
    "read-masked": Profile(privileges=("SELECT",), masked=True),
    "read-clear": Profile(privileges=("SELECT",)),
    "write": Profile(privileges=PRIVILEGES, read_only=False),
    "migrate": Profile(read_only=False, tables="none", statement_timeout_seconds=3_600),
}


class Table(msgspec.Struct, frozen=True, order=True):
    """A table by its two names as the catalogue has them; ``name`` ``*``: all of the schema."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{_shown(self.schema)}.{EVERY if self.name == EVERY else _shown(self.name)}"


def masked(schema: str, views: str = "") -> str:
    """The schema with the views that mask the tables of a schema."""
    return schema + MASKED_SUFFIX + (f"_{views}" if views else "")


def table(text: str) -> Table:
    """The table of ``public.orders``, ``"Odd Schema"."Odd"`` or ``public.*``. Raises: UsageError.

    As in SQL, what is not quoted is lower case; other than there, upper case is refused unquoted
    rather than folded, and a schema has to be named.
    """
    first = PART.match(text)
    rest = text[first.end() :] if first else ""
    if first is not None and rest == ".*":
        return Table(named(first), EVERY)
    second = PART.fullmatch(rest[1:]) if rest.startswith(".") else None
    if first is None or second is None:
        raise UsageError(
            f"not a table's name: {text[:80]!r}; expected schema.table, e.g. public.orders",
            next_step='quote what is not lower case: public."Orders"; public.* names all tables',
        )
    name = named(second)
    if name == EVERY:
        raise UsageError('a table that is called "*" cannot be named in a scope')
    return Table(named(first), name)


def scope(texts: Iterable[str]) -> tuple[Table, ...]:
    """Tables in order, each once. Raises: UsageError, past a bound of MAX_TABLES."""
    found = sorted({table(one) for one in texts})
    if len(found) > MAX_TABLES:
        raise UsageError(
            f"a scope has at most {MAX_TABLES} tables, found {len(found)}",
            next_step="name a schema, schema.*, or leave the tables out",
        )
    return tuple(found)


def named(found: re.Match[str]) -> str:
    """The name that a part of a qualified name, matched by PART, is for."""
    return found[1] if found[1] is not None else found[2].replace('""', '"')


def _shown(part: str) -> str:
    if PART.fullmatch(part) and not part.startswith('"'):
        return part
    return '"' + part.replace('"', '""') + '"'
