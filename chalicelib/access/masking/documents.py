r"""The mask ``json``: named paths of a document, each with a mask of its own, and nothing else.

    user.email, items[*].price, "odd.key"."say \"hi\"", [*].id

1. Each path ends in a mask: of strings if it takes text, of numbers if it takes numeric, and
   all else is null.
2. An object has only the named keys, if they are there; what is no object (array) where a path
   says there is one is null.
3. json is read as jsonb. What jsonb cannot hold would be an error that shows it: it is null.
"""

# ruff: noqa: S608 - names and values are places of the draft, and no text of the SQL

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from chalicelib.access.masking.column import Family, Type
from chalicelib.access.masking.entry import (
    DECIMAL,
    DOMAIN,
    TEXT,
    Domain,
    Entry,
    Parameters,
    near,
)
from chalicelib.access.masking.spec import Spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chalicelib.access.masking.draft import Draft

    Build = Callable[[Draft, str, Type, Spec], str]
    Refuse = Callable[[Spec, Type, Mapping[str, Type]], str]

MAX_PATHS: Final = 64
MAX_DEPTH: Final = 12
MAX_PATH_CHARACTERS: Final = 400
# Bytes of json that are read: below the most that jsonb holds, in bytes and in elements.
MAX_BYTES: Final = 32_000_000
# Levels of a document that is shown. Recursion ends in an error at a few thousand of them, which
# says no value, and would let one row of a writer's close the view to everybody else.
DEEPEST: Final = 64
# Characters in which so many levels cannot be that reading them fails.
_SHALLOW: Final = 10_000
# Digits in a row, and the length of a text without as many: jsonb has at most 16383 decimals.
_RUN, _SHORT = 250, 15_000

_STEP: Final = re.compile(
    r'(?P<items>\[\*\])|"(?P<quoted>(?:[^"\\]|\\["\\])+)"|(?P<key>[^.\[\]"\s]+)'
)
_ITEMS: Final = None  # the key of a node over the elements of an array

Node = Spec | dict[str | None, Any]


class Paths(Parameters, frozen=True):
    """``paths``: to each the name of a mask, or a table with mask and its parameters.

    ``domain``: of those masks that have one and say none.
    """

    paths: Annotated[
        dict[
            Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATH_CHARACTERS)],
            str | dict[str, Any],
        ],
        msgspec.Meta(min_length=1, max_length=MAX_PATHS),
    ]
    domain: Domain = DOMAIN


def entry(entries: Mapping[str, Entry], refuse: Refuse, build: Build) -> Entry:
    """The mask over the masks that there are. ``refuse``, ``build``: as for a column's mask."""

    def check(parameters: Paths, of: Type, columns: Mapping[str, Type]) -> str:  # noqa: ARG001
        try:
            leaves = [(path, spec) for path, spec in _specs(parameters, entries)]
            _tree(leaves)
        except ValueError as error:
            return str(error)
        for path, spec in leaves:
            under = entries.get(spec.mask)
            if under is None:
                return f"{path}: there is no mask {spec.mask[:40]!r}{near(spec.mask, entries)}"
            kinds = [one for one in (TEXT, DECIMAL) if one.family in under.families]
            why = refuse(spec, (kinds or [TEXT])[0], columns)
            if why:
                return f"{path}: {why}"
        return ""

    def made(draft: Draft, value: str, of: Type, parameters: Paths) -> str:
        tree = _tree(list(_specs(parameters, entries)))
        alias = draft.alias()
        found = _Writer(draft, entries, build).node(f"{alias}.j", tree)
        level = draft.literal(f"$.**{{{DEEPEST}}}")
        found = f"CASE WHEN jsonb_path_exists({alias}.j, {level}) THEN NULL ELSE {found} END"
        result = f"(SELECT {found} FROM (SELECT ({value})::jsonb AS j OFFSET 0) AS {alias})"
        if of.family is Family.JSONB:
            return f"CASE WHEN ({value}) IS NULL THEN NULL ELSE {result} END"
        return f"CASE WHEN {_readable(draft, value)} THEN {result}::json END"

    return Entry(
        name="json",
        parameters=Paths,
        families=frozenset({Family.JSON, Family.JSONB}),
        build=made,
        check=check,
        does="only the named paths, each through its mask: a mask of text for strings, one of "
        "numbers for numbers, else null; the same type. json that jsonb cannot hold or of more "
        f"than {MAX_BYTES // 1_000_000} MB, and what has more than {DEEPEST} levels, is null",
        of_null="null",
        joins="no",
        reversible="as each path's mask is",
    )


def _specs(parameters: Paths, entries: Mapping[str, Entry]) -> Iterator[tuple[str, Spec]]:
    """Raises: ValueError, where a path's mask is not said."""
    for path, told in parameters.paths.items():
        fields = {"mask": told} if isinstance(told, str) else dict(told)
        mask = fields.pop("mask", None)
        if not isinstance(mask, str):
            raise ValueError(f"{path}: expected a mask, or a table with mask")  # noqa: TRY004
        known = entries.get(mask)
        if known is not None and "domain" in known.parameters.__struct_fields__:
            fields.setdefault("domain", parameters.domain)
        yield path, Spec(mask, fields)


def _tree(leaves: list[tuple[str, Spec]]) -> Node:
    """All paths as one. Raises: ValueError, where two of them cannot be in one document."""
    root: dict[str | None, Any] = {}
    for path, spec in leaves:
        *way, end = _steps(path)
        node = root
        for step in way:
            _same_kind(path, node, step)
            under = node.setdefault(step, {})
            if isinstance(under, Spec):
                raise ValueError(f"{path}: another path ends on its way")  # noqa: TRY004
            node = under
        _same_kind(path, node, end)
        if end in node:
            raise ValueError(f"{path}: another path goes on behind it, or is the same")
        node[end] = spec
    return root


def _same_kind(path: str, node: dict[str | None, Any], step: str | None) -> None:
    """Return if a node has no other kind of steps than this. Raises: ValueError."""
    if node and (step is _ITEMS) != (_ITEMS in node):
        raise ValueError(f"{path}: another path has an object where this one has an array, or not")


def _steps(path: str) -> list[str | None]:
    """The keys of a path, None for ``[*]``. Raises: ValueError."""
    found: list[str | None] = []
    rest = path
    while (step := _STEP.match(rest)) is not None:
        if step["items"]:
            found.append(_ITEMS)
        else:
            found.append(step["key"] or re.sub(r"\\(.)", r"\1", step["quoted"]))
        rest = rest[step.end() :]
        if rest.startswith("."):
            rest = rest[1:] or "."
            if rest.startswith("["):
                break
        elif not rest.startswith("["):
            break
    if rest or len(found) > MAX_DEPTH or "\0" in path:
        raise ValueError(
            f"{path}: not a path of at most {MAX_DEPTH} steps, "
            'e.g. user.email, items[*].price, "a.b"'
        )
    return found


class _Writer:
    """Writes the SQL of a document's nodes: jsonb of jsonb."""

    def __init__(self, draft: Draft, entries: Mapping[str, Entry], build: Build) -> None:
        self._draft = draft
        self._entries = entries
        self._build = build
        self._null = "'null'::jsonb"
        self._empty = f"{draft.literal('{}')}::jsonb"
        self._whole = f"{draft.literal('{}')}::text[]"

    def node(self, json: str, node: Node) -> str:
        """The SQL of what is under a node. ``json``: SQL of it, jsonb, not NULL."""
        if isinstance(node, Spec):
            return self._leaf(json, node)
        if _ITEMS in node:
            alias = self._draft.alias()
            item = self.node(f"{alias}.e", node[_ITEMS])
            items = (
                f"(SELECT jsonb_agg({item} ORDER BY {alias}.o) "
                f"FROM jsonb_array_elements({json}) WITH ORDINALITY AS {alias}(e, o))"
            )
            found = f"coalesce({items}, '[]'::jsonb)"
            return f"CASE jsonb_typeof({json}) WHEN 'array' THEN {found} ELSE {self._null} END"
        parts = []
        for key, under in node.items():
            name = f"{self._draft.literal(key)}::text"
            one = f"jsonb_build_object({name}, {self.node(f'({json} -> {name})', under)})"
            parts.append(f"CASE WHEN {json} ? {name} THEN {one} ELSE {self._empty} END")
        found = " || ".join(parts)
        return f"CASE jsonb_typeof({json}) WHEN 'object' THEN {found} ELSE {self._null} END"

    def _leaf(self, json: str, spec: Spec) -> str:
        entry = self._entries[spec.mask]
        if spec.mask == "clear":
            return json
        if entry.whole:
            return f"coalesce(to_jsonb({self._build(self._draft, json, TEXT, spec)}), {self._null})"
        text = f"({json} #>> {self._whole})"
        found = ""
        if Family.TEXT in entry.families:
            found += f" WHEN 'string' THEN to_jsonb({self._build(self._draft, text, TEXT, spec)})"
        if Family.DECIMAL in entry.families:
            masked = self._build(self._draft, f"{text}::numeric", DECIMAL, spec)
            found += f" WHEN 'number' THEN to_jsonb({masked})"
        return f"coalesce(CASE jsonb_typeof({json}){found} END, {self._null})"


def _readable(draft: Draft, value: str) -> str:
    """Whether json can be read as jsonb without an error, as SQL; NULL of NULL.

    json keeps what was written: escapes of characters that text has not (NUL, half a surrogate
    pair, in other encodings than UTF-8 all that they may lack), and numbers of any size.
    """
    alias = draft.alias()
    text, bare = f"{alias}.t", f"{alias}.b"

    def has(of: str, pattern: str) -> str:
        return f"{of} ~ {draft.literal(pattern)}"

    pair = draft.literal(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
    strings = draft.literal(r'"([^"\\]|\\.)*"')
    lone = has(f"regexp_replace({bare}, {pair}, '', 'g')", r"\\u([dD][89a-fA-F]|0000)")
    beyond_ascii = has(bare, r"\\u(?!00[0-7])")
    other = f"getdatabaseencoding() <> 'UTF8' AND {beyond_ascii}"
    power = has(text, "[0-9][eE][+-]?[0-9]{4}")
    real = has(f"regexp_replace({text}, {strings}, '', 'g')", "[eE][+-]?[0-9]{4}")
    long = f"length({text}) > {_SHORT} AND {has(text, f'[0-9]{{{_RUN}}}')}"
    escapes = draft.literal("\\u")
    backslashes = draft.literal("\\\\")
    brackets = draft.literal("[^][{}]")
    only = f"regexp_replace(regexp_replace({text}, {strings}, '', 'g'), {brackets}, '', 'g')"
    opening = draft.literal("[{]}")
    levels = draft.literal("^" + "(?:<" * DEEPEST + ">)*" * DEEPEST + "$")
    deep = f"length({text}) > {_SHALLOW} AND translate({only}, {opening}, '<<>>') !~ {levels}"
    return (
        f"(SELECT CASE WHEN octet_length({text}) > {MAX_BYTES} THEN FALSE "
        f"WHEN {deep} THEN FALSE "
        f"WHEN strpos({bare}, {escapes}) > 0 AND ({lone} OR ({other})) THEN FALSE "
        f"WHEN {power} AND {real} THEN FALSE ELSE NOT ({long}) END "
        f'FROM (SELECT ({value})::text COLLATE "C" AS t, '
        f"replace(({value})::text COLLATE \"C\", {backslashes}, '') AS b OFFSET 0) AS {alias})"
    )
