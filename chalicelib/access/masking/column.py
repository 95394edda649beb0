"""Columns and relations of a target, as far as masking has to know them."""

from __future__ import annotations

import enum

import msgspec


class Family(enum.Enum):
    """What a value is, whatever its type is called. ``other``: nothing is assumed of it."""

    TEXT = "text"  # text, varchar, char, name, citext
    BOOL = "bool"
    INT = "int"  # int2, int4, int8
    DECIMAL = "decimal"  # numeric
    FLOAT = "float"  # float4, float8
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    TIME = "time"
    INTERVAL = "interval"
    UUID = "uuid"
    INET = "inet"  # inet, cidr
    MAC = "mac"  # macaddr, macaddr8
    JSON = "json"
    JSONB = "jsonb"
    BYTEA = "bytea"
    XML = "xml"
    ENUM = "enum"
    RANGE = "range"
    COMPOSITE = "composite"
    OTHER = "other"


class Type(msgspec.Struct, frozen=True, kw_only=True):
    """The type of a column's values; of a domain, what is under it.

    ``schema`` and ``name``: of the type itself, so ``_text`` of ``text[]``. ``family``: of its
    values; of an array, of its elements, whose type is ``element``. ``length``: the n of
    ``varchar(n)`` and ``char(n)``, else 0. ``shown``: as the server writes it, for people alone.
    """

    schema: str
    name: str
    family: Family
    length: int = 0
    array: bool = False
    element: tuple[str, str] = ("", "")
    shown: str = ""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column. ``inherited``: whether a parent of the table has it too."""

    name: str
    type: Type
    inherited: bool = False


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """A table, view, materialised view or foreign table. ``oid``: as text.

    ``kind``: as pg_class has it: r, p, v, m, f. ``partition``: of another table, so it is read
    through that one. ``parents``: what it inherits from, nearest first, as (schema, name).
    ``unmapped``: a foreign table that the owner of masking views has no user mapping for.
    ``row_security``: whether it has row-level security, which then binds that owner too.
    """

    schema: str
    name: str
    oid: str
    kind: str
    columns: tuple[Column, ...]
    partition: bool = False
    parents: tuple[tuple[str, str], ...] = ()
    unmapped: bool = False
    row_security: bool = False
