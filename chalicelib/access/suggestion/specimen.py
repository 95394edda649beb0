"""Tables and columns with a sample of their values, as proposals of classes are made from them.

The values are here and in nothing that is made of it: not in a proposal, a repr, a record.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.access.masking.column import Type


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column, and the values of it that were sampled, as the server writes them.

    ``made``: by the server, an identity or a default, so nobody chose it. ``refers``: the schema,
    table and column that a foreign key of this column is to. ``nulls``, ``large``: how many of
    the rows looked at had NULL, or a value that was too large to be read. ``note``: why there are
    no values, or not all, in words; then it is judged by its name and type.
    """

    name: str
    type: Type
    primary: bool = False
    unique: bool = False
    made: bool = False
    refers: tuple[str, str, str] | None = None
    generated: bool = False
    values: tuple[str, ...] = ()
    nulls: int = 0
    large: int = 0
    note: str = ""

    def __repr__(self) -> str:
        return f"Column({self.name!r}, {len(self.values)} values)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name), ("values", len(self.values))]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A relation and its columns in order. ``kind``: as pg_class has it: r, p, m, v, f."""

    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    note: str = ""
