"""The catalogue queries: SQL text by file name.

No connection is touched here. A kind is one file ``catalog/<kind>.sql``. Its header::

    -- kind: constraint              what its rows are
    -- needs: SELECT on …            privileges, shown where they lack
    -- since: 13                     oldest major version with these catalogues
    -- name: {name}                  how columns make the object's name
    -- of: {meta_parent} {meta_of}   how they make its parent's, if it has one
    -- required: definition          never NULL in a consistent read
    -- if: FROM pg_policy            where this gives no row, the query gives none and is not asked
    -- reads: pg_authid              one of GUARDED; where it is closed,
    -- hides: password               these attributes lack, or, without any, the whole kind,
    -- shows: SELECT on pg_authid    this would show them,
    -- optional: true                and people may sign for not seeing it

A line that ends in ``--@ >=14``, ``--@ <16`` or ``--@ 15-16`` is kept only for such versions, one
that ends in ``--@ reads pg_enum, pg_type`` only where these may be read, one that ends in
``--@ lacks pg_authid`` only where it may not, one that ends in ``--@ dated`` only where the ids of
transactions are of use; of several marks all must hold. Columns ``name…`` and
``meta_…`` serve the templates; ``meta_xmin`` and ``meta_dropped`` hold transaction ids. Every other
column is an attribute; a dot in its alias nests, a suffix says what its value means (``rows``).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.kernel import canon

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SUPPORT: Final = frozenset(
    {
        "catalogues",
        "commit_times",
        "export",
        "file_settings",
        "fingerprint",
        "identity",
        "mark",
        "now",
        "pins",
        "settings",
        "system",
        "unbound",
        "unreadable",
    }
)  # files that are no kinds
CENSUS: Final = "census"
GUARDED: Final = frozenset(
    {
        "pg_authid",
        "pg_file_settings",
        "pg_hba_file_rules",
        "pg_ident_file_mappings",
        "pg_subscription",
        "pg_user_mapping",
    }
)  # what is closed to ordinary roles; ``unreadable.sql`` names those that are

_HEADER = re.compile(r"-- (kind|needs|since|if|name|of|required|reads|hides|shows|optional): (.+)")
_MARKER = re.compile(
    r"\s*--@ (?:(\d+)-(\d+)|>=(\d+)|<(\d+)|(reads|lacks) (\w+(?:, \w+)*)|(dated))$"
)
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
    condition: str
    closed: bool  # what it ``reads`` may not be read
    hides: tuple[str, ...]
    shows: str
    optional: bool


@cache
def _text(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text("utf-8")


@cache
def kinds() -> tuple[str, ...]:
    """The names of the files that read a kind, in order."""
    found = (entry.name for entry in _FOLDER.iterdir())
    names = (name.removesuffix(".sql") for name in found if name.endswith(".sql"))
    return tuple(sorted(set(names) - SUPPORT))


def load(
    name: str, major: int, *, unreadable: Collection[str] = (), dated: bool = True
) -> Statement:
    """The statement of ``catalog/<name>.sql`` for a server of version ``major``.

    ``unreadable``: catalogues whose marked lines are left out. ``dated``: whether the ids of the
    transactions that wrote the rows are asked for.
    """
    return _load(name, major, frozenset(unreadable), dated)


@lru_cache(maxsize=4096)
def _load(name: str, major: int, unreadable: frozenset[str], dated: bool) -> Statement:  # noqa: FBT001 - one of the keys of the cache
    header: dict[str, str] = {}
    lines: list[str] = []
    for whole in _text(name).splitlines():
        line, kept = whole, True
        while marker := _MARKER.search(line):
            kept = kept and _kept(marker, major, unreadable, dated)
            line = line[: marker.start()]
        if not kept:
            continue
        if found := _HEADER.fullmatch(line):
            header[found[1]] = found[2]
        elif not line.startswith("--"):
            lines.append(line)
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
        required=_several(header, "required"),
        condition=header.get("if", ""),
        closed=header.get("reads") in unreadable,
        hides=_several(header, "hides"),
        shows=header.get("shows", header["needs"]),
        optional=header.get("optional") == "true",
    )


def census(statements: Iterable[Statement]) -> Statement:
    """The query that tells which of these can give rows at all: one row, a column for each."""
    asked = sorted((one.name, one.condition) for one in statements if one.condition)
    columns = (f'EXISTS (SELECT {condition}) AS "{name}"' for name, condition in asked)
    return composed(CENSUS, "SELECT\n    " + ",\n    ".join(columns))


def composed(name: str, sql: str) -> Statement:
    """A statement that no file holds; ``name`` is no kind's."""
    return msgspec.structs.replace(
        load("now", 13), name=name, kind=name, sql=sql, sha256=canon.sha256(sql.encode())
    )


def _several(header: dict[str, str], key: str) -> tuple[str, ...]:
    return tuple(header[key].split(", ")) if key in header else ()


def _kept(marker: re.Match[str], major: int, unreadable: frozenset[str], dated: bool) -> bool:  # noqa: FBT001 - as above
    first, last, since, before, how, catalogue, of_dates = marker.groups()
    if of_dates:
        return dated
    if catalogue:
        return (how == "reads") is not bool(unreadable.intersection(catalogue.split(", ")))
    return int(first or since or 0) <= major <= int(last or (int(before) - 1 if before else major))
