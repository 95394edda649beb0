"""A definition as PostgreSQL prints it, turned into what it prints after a dump and restore.

1. Look, cheaply, whether it holds anything that reading changes: almost none does.
2. Parse it, find what :mod:`restored` knows, and change the *text* there, inside first; all
   else stays as the server formatted it. Again, until nothing is left to change.
3. Prove it: the result is parsed, and has to be the tree that the rules make of the original.

Where a step fails or a bound is exceeded, the text stays as it was, and is said to be uncertain.
Pure: no database is asked, and the same text gives the same answer everywhere.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.postgres import grammar, restored
from chalicelib.postgres.restored import UnsureError

if TYPE_CHECKING:
    from chalicelib.postgres.grammar import Token
    from chalicelib.postgres.restored import Node

RAW: Final = "raw"  # the attribute that lists those whose text is not certain
MAX_CHARACTERS: Final = 64 * 1024
MAX_PASSES: Final = 8  # one for each level of what contains another

# What stands before and behind a text to make it a statement.
FRAMES: Final[dict[str, tuple[str, str]]] = {
    "statement": ("", ""),
    "expression": ("SELECT ARRAY[", "] AS x"),
    "pretty": ("SELECT ARRAY[", "] AS x"),  # an expression with few parentheses
    "constraint": ("ALTER TABLE x ADD ", ""),
    "partition": ("CREATE TABLE x (y integer) PARTITION BY ", ""),
    "arguments": ("CREATE FUNCTION x(", ") LANGUAGE sql"),
    "routine": ("CREATE FUNCTION x() LANGUAGE sql ", ""),
}
# Where these end, an output column has ended. Source: gram.y, simple_select and insert_rest
_CLAUSES: Final = frozenset(
    {"FROM", "WHERE", "GROUP_P", "HAVING", "WINDOW", "UNION", "INTERSECT", "EXCEPT", "ORDER"}
    | {"LIMIT", "OFFSET", "FETCH", "FOR", "INTO", "ON", "RETURNING"}
    | {"ASCII_41", "ASCII_44", "ASCII_59", "ASCII_93"}
)
_OPEN, _CLOSE = ("ASCII_40", "ASCII_91"), ("ASCII_41", "ASCII_93")
_SIMPLE: Final = ("A_Const", "TypeCast", "ColumnRef", "FuncCall")  # no parentheses in pretty print


_WORDS: Final = (" AND ", " OR ")
_CHAIN: Final = re.compile(r"""'[^']*'|"[^"]*"|[()]| AND | OR """)


class _Edit(NamedTuple):
    """The bytes ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


def normal(kind: str, text: str) -> tuple[str, bool]:
    """``text`` in its one form, and whether that is certain; ``kind`` is a key of FRAMES."""
    return _rewritten(kind, text) if suspicious(kind, text) else (text, True)


def suspicious(kind: str, text: str) -> bool:
    """Whether a text holds anything that reading may change: almost none does."""
    return (
        "])::" in text
        or "(- " in text
        or " ON TRUE" in text
        or ("::" in text and text.find("SELECT", 8 if kind == "statement" else 0) >= 0)
        or ((text.count(" AND ") > 1 or text.count(" OR ") > 1) and _chained(text))
        or (kind == "routine" and ("SELECT" in text or "RETURNING" in text))
        or (kind == "pretty" and ("]::" in text or "- " in text))
    )


def several(kind: str, texts: list[str]) -> tuple[list[str], bool]:
    """The same of each."""
    found = [normal(kind, text) for text in texts]
    return [text for text, _ in found], all(certain for _, certain in found)


def _chained(text: str) -> bool:
    """Whether a chain of AND, or of OR, begins with such a chain in parentheses."""
    open_: list[tuple[bool, set[str]]] = []
    before, closed, at = "", "", 0
    for found in _CHAIN.finditer(text):
        part = found[0]
        if part == "(":
            open_.append((before == "(" and found.start() == at, set()))
        elif part == ")":
            first, words = open_.pop() if open_ else (False, set())
            closed = "".join(words) if first and len(words) == 1 else ""
        elif part in _WORDS:
            if closed == part and found.start() == at:
                return True
            if open_:
                open_[-1][1].add(part)
        before, at = part, found.end()
    return False


@lru_cache(maxsize=1024)
def _rewritten(kind: str, text: str) -> tuple[str, bool]:
    before, after = FRAMES[kind]
    if len(text) > MAX_CHARACTERS:
        return text, False
    routine = kind == "routine"
    try:
        result = _restored(f"{before}{text}{after}", routine=routine).decode()
    except (UnsureError, KeyError, ValueError, IndexError, RecursionError):
        return text, False
    if not (result.startswith(before) and result.endswith(after)):
        return text, False
    return result[len(before) : len(result) - len(after)], True


def _restored(text: str, *, routine: bool) -> bytes:
    """The statement ``text`` in its one form. Raises: UnsureError, and what odd trees cause."""
    source, tree = _parsed(text)
    wanted = b""
    for _ in range(MAX_PASSES):
        groups = _Pass(source, tree, routine=routine).groups()
        if not groups and not wanted:
            return source
        source, complete = _applied(source, groups)
        wanted = wanted or restored.flat(restored.canonical(tree, routine=routine))
        source, tree = _parsed(source)
        if complete and restored.flat(tree) == wanted:
            return source
    raise UnsureError("the proof failed")


def _parsed(text: str | bytes) -> tuple[bytes, Node]:
    found = grammar.parse(text)
    if isinstance(found, grammar.Refused) or len(found.statements) != 1:
        raise UnsureError("no single statement of the grammar")
    return found.source, found.statements[0]


def _applied(source: bytes, groups: list[list[_Edit]]) -> tuple[bytes, bool]:
    """``source`` with the groups that lie in no other's way, and whether those were all.

    The shortest come first: what is inside before what is around it.
    """
    taken: list[tuple[int, int]] = []
    accepted: list[_Edit] = []
    spans = [(min(one.start for one in group), max(one.end for one in group)) for group in groups]
    for (start, end), group in sorted(
        zip(spans, groups, strict=True), key=lambda pair: pair[0][1] - pair[0][0]
    ):
        if all(end < first or last < start for first, last in taken):
            taken.append((start, end))
            accepted += group
    for start, end, text in sorted(accepted, reverse=True):
        source = source[:start] + text.encode() + source[end:]
    return source, len(taken) == len(groups)


class _Pass:
    """One look at a statement: what is to be changed in its text, a group of edits each."""

    def __init__(self, source: bytes, tree: Node, *, routine: bool) -> None:
        tokens = grammar.tokens(source)
        if isinstance(tokens, grammar.Refused):
            raise UnsureError(tokens.reason)
        self._source = source
        self._tree = tree
        self._tokens: list[Token] = tokens
        self._at = {token.start: index for index, token in enumerate(tokens)}
        self._relations = restored.relation_names(tree) if routine else None

    def groups(self) -> list[list[_Edit]]:
        found: list[list[_Edit]] = []
        for holder, key in restored.walk({"root": self._tree}):
            node = holder[key]
            if cast := restored.array_cast(node):
                found.append(self._array(cast))
            elif isinstance(node.get("A_Const"), dict):
                found += self._constant(node["A_Const"])
            if "JoinExpr" in node:
                found += self._join(node["JoinExpr"])
            for target in restored.targets(node):
                found += self._target(target)
        return found + self._chains()

    def _chains(self) -> list[list[_Edit]]:
        """Without the parentheses around the beginning of a chain of AND, or of OR."""
        found: list[list[_Edit]] = []
        opened: list[tuple[int, set[str]]] = []
        for index, token in enumerate(self._tokens):
            if token.name == "ASCII_40":
                opened.append((index, set()))
            elif token.name in {"AND", "OR"} and opened:
                opened[-1][1].add(token.name)
            elif token.name == "ASCII_41" and opened:
                first, words = opened.pop()
                if words == {self._name(index + 1)} and self._name(first - 1) == "ASCII_40":
                    start, end = self._tokens[first], self._tokens[index]
                    found.append([_Edit(start.start, start.end, ""), _Edit(end.start, end.end, "")])
        return found

    def _array(self, cast: Node) -> list[_Edit]:
        array = cast["arg"]["A_ArrayExpr"]
        first, last = self._at[array["location"]], self._at[array["list_end"]]
        pretty = self._name(last + 1) == "TYPECAST"
        start_of_type = last + 2 if pretty else last + 3
        bracket = start_of_type
        while self._tokens[bracket].name != "ASCII_91":
            bracket += 1
        to = self._between(start_of_type, bracket - 1)
        edits = [_Edit(self._tokens[last].end, self._tokens[bracket + 1].end, "")]
        if not pretty:
            opening = self._tokens[first - 1]
            edits.append(_Edit(opening.start, opening.end, ""))
        return edits + self._elements(array, to, restored.element_type(cast), pretty=pretty)

    def _elements(self, array: Node, to: str, named: Node, *, pretty: bool) -> list[_Edit]:
        several = "[]" if restored.several_dimensions(array["elements"]) else ""
        edits: list[_Edit] = []
        for node, (first, last) in zip(array["elements"], self._split(array), strict=True):
            if "A_ArrayExpr" in node:
                edits += self._elements(node["A_ArrayExpr"], to, named, pretty=pretty)
                continue
            if restored.collated(node, named):
                if pretty:
                    raise UnsureError("a COLLATE in pretty print")
                last = self._at[node["CollateClause"]["location"]] - 1  # noqa: PLW2901 - the span is narrowed
                first += self._name(first) == "ASCII_40"  # noqa: PLW2901 - as above
            bare = pretty and next(iter(node)) in _SIMPLE
            start, end = self._tokens[first].start, self._tokens[last].end
            edits.append(_Edit(start, start, "") if bare else self._opened(first))
            edits.append(_Edit(end, end, f"{'' if bare else ')'}::{to}{several}"))
        return edits

    def _opened(self, first: int) -> _Edit:
        """A parenthesis before a token; where that begins a line, as CASE does, before the line."""
        before, start = self._tokens[first - 1], self._tokens[first].start
        if b"\n" not in self._source[before.end : start]:
            return _Edit(start, start, "(")
        return _Edit(before.end, before.end, "(" if before.name in _OPEN else " (")

    def _split(self, array: Node) -> list[tuple[int, int]]:
        """The first and the last token of each element."""
        first, last = self._at[array["list_start"]] + 1, self._at[array["list_end"]]
        spans: list[tuple[int, int]] = []
        depth = 0
        for index in range(first, last):
            depth += (self._name(index) in _OPEN) - (self._name(index) in _CLOSE)
            if depth == 0 and self._name(index) == "ASCII_44":
                spans.append((first, index - 1))
                first = index + 1
        return [*spans, (first, last - 1)]

    def _constant(self, constant: Node) -> list[list[_Edit]]:
        first = self._at.get(constant.get("location", 0))
        if first is None or self._name(first) != "ASCII_45":
            return []
        last, opened = first, 0
        while self._name(last) in {"ASCII_45", "ASCII_40"}:
            opened += self._name(last) == "ASCII_40"
            last += 1
        last += opened
        if self._name(first - 1) == "ASCII_40" and self._name(last + 1) == "ASCII_41":
            first, last = first - 1, last + 1
        number = constant.get("fval", {}).get("fval") or constant["ival"].get("ival", 0)
        text = restored.printed(str(number))
        return [[_Edit(self._tokens[first].start, self._tokens[last].end, text)]]

    def _join(self, join: Node) -> list[list[_Edit]]:
        start = join.get("quals", {}).get("A_Const", {}).get("location", 0)
        if self._source[start : start + 4] != b"TRUE":
            return []
        return [[_Edit(start, start + 4, "(true)")]]

    def _target(self, target: Node) -> list[list[_Edit]]:
        name = restored.implied_name(target, self._relations)
        if not name:
            return []
        first = last = self._at[target["location"]]
        depth = 0
        while last < len(self._tokens) and (depth or self._name(last) not in _CLAUSES):
            depth += (self._name(last) in _OPEN) - (self._name(last) in _CLOSE)
            last += 1
        start, end = self._tokens[first].start, self._tokens[last - 1].end
        # The empty edit before it keeps what is inside in a group of its own.
        return [[_Edit(start, start, ""), _Edit(end, end, f" AS {grammar.identifier(name)}")]]

    def _name(self, index: int) -> str:
        return self._tokens[index].name if index < len(self._tokens) else ""

    def _between(self, first: int, last: int) -> str:
        return self._source[self._tokens[first].start : self._tokens[last].end].decode()
