"""Rendering: whether two definitions say the same in the words of two versions of the server.

One difference is known, from ``ruleutils.c``: up to 15 a view's columns carry the name of their
relation; from 16 on they do not, where the outermost query reads one relation alone. The older
text's tree is written as the newer server would write it, and then both trees must be equal.
Subqueries keep their names in either version.

What the grammar refuses is not told. No connection is touched here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.postgres import grammar

if TYPE_CHECKING:
    from chalicelib.drift.diff import Change

UNQUALIFIED_SINCE: Final = 16
MAX_DEPTH: Final = 300  # of a tree; what is deeper is not told
# A name in these is an output's column first. Source: parse_clause.c, findTargetlistEntrySQL92.
_OUTPUT_FIRST: Final = frozenset({"sortClause", "distinctClause"})
_PLACES: Final = frozenset({"location", "stmt_location", "stmt_len", "list_start", "list_end"})
_RELATIONS: Final = frozenset({"RangeVar", "RangeSubselect", "RangeFunction", "RangeTableFunc"})
_STATEMENTS: Final = frozenset(
    {"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"}
)


class _TooDeepError(Exception):
    """A tree that is deeper than MAX_DEPTH."""


def renders(change: Change, old: int, new: int, /) -> str:
    """Why both sides of a change say the same; empty, where that is not certain.

    ``old`` and ``new`` are major versions; see ``drift.upgrade.Renders``.
    """
    if (change.kind, change.attribute) != ("view", "definition"):
        return ""
    before, after = _select(change.before), _select(change.after)
    if before is None or after is None:
        return ""
    try:
        if old < UNQUALIFIED_SINCE <= new:
            before = _unqualified(before)
        same = bool(_bare(before) == _bare(after))
    except _TooDeepError:
        return ""
    said = "the parse trees are equal; 16 and later leave out the name of an only relation"
    return said if same else ""


def _select(text: str) -> dict[str, Any] | None:
    """The one SELECT that a view's text is."""
    match grammar.parse(text):
        case grammar.Parsed(statements=[{"SelectStmt": dict(select)}]):
            return select
    return None


def _unqualified(select: dict[str, Any]) -> dict[str, Any]:
    """The query as 16 writes it, from as 15 does; itself, where 16 writes names as well."""
    name = _only_relation(select)
    if not name:
        return select
    outputs = _outputs(select)
    return {
        key: value
        if key in {"fromClause", "withClause"}
        else _plain(value, name, outputs if key in _OUTPUT_FIRST else {})
        for key, value in select.items()
    }


def _only_relation(select: dict[str, Any]) -> str:
    """The name of the one relation that a query reads from; empty, where there are more or none."""
    match select.get("fromClause"):
        case [{"RangeTableSample": {"relation": dict(one)}}] | [dict(one)]:
            kind, said = next(iter(one.items()))
        case _:
            return ""
    if kind not in _RELATIONS:
        return ""
    match said:
        case {"alias": {"aliasname": str(name)}} | {"relname": str(name)}:
            return name
    return ""


def _outputs(select: dict[str, Any]) -> dict[str, Any]:
    """The output's columns by the names that they are given."""
    found = {}
    for one in select.get("targetList", []):
        match one:
            case {"ResTarget": {"name": str(name), "val": value}}:
                found[name] = value
            case _:
                pass
    return found


def _plain(node: Any, relation: str, outputs: dict[str, Any], depth: int = 0) -> Any:
    """A part of the outermost query without the relation's name before its columns."""
    if depth > MAX_DEPTH:
        raise _TooDeepError
    if isinstance(node, list):
        return [_plain(one, relation, outputs, depth + 1) for one in node]
    if not isinstance(node, dict):
        return node
    match node:
        case {
            "ColumnRef": {
                "fields": [{"String": {"sval": str(first)}}, {"String": {"sval": str(column)}}]
            }
        } if first == relation:
            output = outputs.get(column)
            if output is None or _bare(output) == _bare(node):
                return {"ColumnRef": {"fields": [{"String": {"sval": column}}]}}
            return node
    return {
        key: value if key in _STATEMENTS else _plain(value, relation, outputs, depth + 1)
        for key, value in node.items()
    }


def _bare(node: Any, depth: int = 0) -> Any:
    """A tree without the places in the text."""
    if depth > MAX_DEPTH:
        raise _TooDeepError
    if isinstance(node, list):
        return [_bare(one, depth + 1) for one in node]
    if isinstance(node, dict):
        return {key: _bare(value, depth + 1) for key, value in node.items() if key not in _PLACES}
    return node
