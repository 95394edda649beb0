"""What masking has to know of a target's relations: their columns, with types under domains."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from chalicelib.access.masking.column import Column, Family, Relation, Type
from chalicelib.kernel.errors import CouldNotTell, TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chalicelib.postgres.broker import Session

MAX_COLUMNS: Final = 200_000
_CATALOG: Final = "pg_catalog"
_HEADER: Final = 4  # bytes that varchar(n) counts besides. Source: VARHDRSZ
_LONG: Final = {"varchar", "bpchar"}
_FAMILIES: Final = {
    Family.TEXT: ("text", "varchar", "bpchar", "name", "char"),
    Family.BOOL: ("bool",),
    Family.INT: ("int2", "int4", "int8"),
    Family.DECIMAL: ("numeric",),
    Family.FLOAT: ("float4", "float8"),
    Family.DATE: ("date",),
    Family.TIMESTAMP: ("timestamp",),
    Family.TIMESTAMPTZ: ("timestamptz",),
    Family.TIME: ("time", "timetz"),
    Family.INTERVAL: ("interval",),
    Family.UUID: ("uuid",),
    Family.INET: ("inet", "cidr"),
    Family.MAC: ("macaddr", "macaddr8"),
    Family.JSON: ("json",),
    Family.JSONB: ("jsonb",),
    Family.BYTEA: ("bytea",),
    Family.XML: ("xml",),
}
_BY_NAME: Final = {name: family for family, names in _FAMILIES.items() for name in names}
_BY_KIND: Final = {"e": Family.ENUM, "c": Family.COMPOSITE, "r": Family.RANGE, "m": Family.RANGE}


def relations(session: Session, schemas: Sequence[str], owner: str) -> list[Relation]:
    """The relations of some schemas, in order of names; ``owner``: of the views.

    Raises: TooLarge, past MAX_COLUMNS.
    """
    rows = session.rows("mask_columns", schemas=list(schemas), owner=owner)
    if len(rows) > MAX_COLUMNS:
        raise TooLarge(
            f"the schemas have {len(rows)} columns, more than {MAX_COLUMNS} at once",
            next_step="name fewer schemas in the target's section",
        )
    oids = sorted({row["type"] for row in rows if row["type"]})
    types = {row["oid"]: row for row in session.rows("mask_types", oids=oids)}
    found = []
    for (schema, name), of in groupby(rows, key=lambda row: (row["schema"], row["name"])):
        listed = list(of)
        first = listed[0]
        found.append(
            Relation(
                schema=schema,
                name=name,
                oid=first["oid"],
                kind=first["kind"],
                columns=tuple(_column(row, types) for row in listed if row["column"] is not None),
                partition=first["partition"],
                parents=tuple((one, other) for one, other in first["parents"] or ()),
                unmapped=first["unmapped"],
                row_security=first["row_security"],
            )
        )
    return found


def _column(row: Mapping[str, Any], types: Mapping[str, Mapping[str, Any]]) -> Column:
    of, typmod = _under(row["type"], row["typmod"], types)
    family = _family(of)
    length = 0
    element = ("", "")
    if of["array"]:
        inside, inner = _under(of["element"], typmod, types)
        family, element = _family(inside), (inside["schema"], inside["name"])
        length = _length(inside, inner)
    else:
        length = _length(of, typmod)
    return Column(
        name=row["column"],
        type=Type(
            schema=of["schema"],
            name=of["name"],
            family=family,
            length=length,
            array=of["array"],
            element=element,
            shown=row["shown"],
        ),
        inherited=row["inherited"],
    )


def _under(
    oid: str, typmod: int, types: Mapping[str, Mapping[str, Any]]
) -> tuple[Mapping[str, Any], int]:
    """The type that a domain is over, with its modifier; any other type is itself."""
    for _ in range(len(types) + 1):
        of = types.get(oid)
        if of is None:
            break
        if of["kind"] != "d":
            return of, typmod
        oid, typmod = of["base"], of["typmod"] if typmod < 0 else typmod
    raise CouldNotTell(f"the type {oid} of a column changed while it was read")


def _family(of: Mapping[str, Any]) -> Family:
    if of["schema"] == _CATALOG and of["name"] in _BY_NAME:
        return _BY_NAME[of["name"]]
    if of["extension"] == "citext" and of["name"] == "citext" and of["kind"] == "b":
        return Family.TEXT
    return _BY_KIND.get(of["kind"], Family.OTHER)


def _length(of: Mapping[str, Any], typmod: int) -> int:
    limited = of["schema"] == _CATALOG and of["name"] in _LONG and typmod >= _HEADER
    return typmod - _HEADER if limited else 0
