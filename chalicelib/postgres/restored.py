"""The tree that PostgreSQL makes of a definition when it reads its own print again.

What is printed and read is not always printed the same again. Five causes are known, from printing,
restoring and printing again thousands of definitions; the names are those of the server's source:

1. ``(ARRAY[a, b])::t[]`` is read as ``ARRAY[(a)::t, (b)::t]`` (transformTypeCast).
2. ``(- 1)`` is read as the constant ``'-1'::integer`` (doNegate).
3. ``LEFT JOIN x ON TRUE`` has the condition ``(true)``; both are the same tree.
4. ``( SELECT 'a'::text)`` names its column ``text`` (FigureColname).
5. ``((a AND b) AND c)``, as ``BETWEEN … AND c`` is printed, is one chain ``(a AND b AND c)``
   (makeAndExpr); both are the same tree.

Each is a rule of the server's parser, so two definitions become equal here only where the server
could not tell them apart either. What the text alone does not decide raises Unsure. Trees are
libpg_query's, as dictionaries; they are walked without recursion.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

Node = dict[str, Any]
UNNAMED: Final = "?column?"

_WRITERS: Final = ("targetList", "exprs")  # of a SELECT, and of RETURNING
_COLLATABLE: Final = frozenset({"text", "varchar", "bpchar", "name"})
_NAMES: Final = frozenset({"typeName", "names", "fields", "funcname", "usingClause"})
# In a string of JSON a quotation mark is escaped, so these are members and no values.
_MEMBER: Final = rb'"(?:\w+_)?(?:location|list_start|list_end|len)":\d+'
_LOCATION: Final = re.compile(rb"%b,|,?%b" % (_MEMBER, _MEMBER))
_SCALARS: Final = frozenset(
    {"A_Const", "BoolExpr", "NullTest", "BooleanTest", "SQLValueFunction", "RowExpr"}
)
_NAMED: Final = {
    "A_ArrayExpr": "array",
    "CoalesceExpr": "coalesce",
    "GroupingFunc": "grouping",
    "RowExpr": "row",
    "XmlSerialize": "xmlserialize",
}


class UnsureError(Exception):
    """What the server makes of it depends on more than the text."""


def canonical(tree: Node, *, routine: bool = False) -> Node:
    """``tree`` as the server would read it, changed in place. Raises: UnsureError."""
    root = {"root": tree}
    relations = relation_names(tree) if routine else None
    for holder, key in reversed([*walk(root)]):
        node = holder[key]
        if cast := array_cast(node):
            holder[key] = _pushed(cast["arg"], element_type(cast), several=False)
        elif (value := negative(node)) is not None:
            holder[key] = _constant(value)
        for target in targets(node):
            if name := implied_name(target, relations):
                target["name"] = name
    return tree


def walk(root: Node) -> Iterator[tuple[Any, Any]]:
    """Every dictionary below ``root`` as container and key, parents first; no parts of names."""
    stack: list[tuple[Any, Any]] = [(root, key) for key in root]
    while stack:
        holder, key = stack.pop()
        node = holder[key]
        if isinstance(node, list):
            stack += [(node, index) for index in range(len(node))]
        elif isinstance(node, dict):
            yield holder, key
            stack += [
                (node, inner)
                for inner, value in node.items()
                if inner not in _NAMES and isinstance(value, (dict, list))
            ]


def flat(tree: Node) -> bytes:
    """The tree without its locations as one text: equal texts, equal trees."""
    return _LOCATION.sub(b"", msgspec.json.encode(tree, order="deterministic"))


def array_cast(node: Node) -> Node | None:
    """The cast of an array's elements that is written behind the array, if ``node`` is one."""
    cast: Node | None = node.get("TypeCast")
    if cast is None or not cast.get("arg", {}).get("A_ArrayExpr", {}).get("elements"):
        return None
    names = [part["String"]["sval"] for part in cast["typeName"]["names"]]
    bounds = cast["typeName"].get("arrayBounds", [])
    if not bounds:
        if len(names) > 1 and names[0] != "pg_catalog":
            raise UnsureError("may be a domain over an array")
        return None
    if len(bounds) > 1 or "typmods" in cast["typeName"]:
        raise UnsureError("no array type that the server prints in such a cast")
    return cast


def element_type(cast: Node) -> Node:
    """The element's type name of an array cast."""
    return {key: value for key, value in cast["typeName"].items() if key != "arrayBounds"}


def several_dimensions(elements: list[Node]) -> bool:
    """Whether the elements are arrays themselves. Raises: UnsureError, where none says so."""
    known = {_dimension(element) for element in elements} - {""}
    if not known:
        raise UnsureError("elements whose type is not in the text")
    return "array" in known


def _dimension(node: Node) -> str:
    ((tag, body),) = node.items()
    if tag == "CollateClause":
        return _dimension(body["arg"])
    if tag == "TypeCast":
        return "array" if body["typeName"].get("arrayBounds") else "scalar"
    if tag == "A_ArrayExpr" or body.get("subLinkType") == "ARRAY_SUBLINK":
        return "array"
    if tag in _SCALARS or body.get("subLinkType") == "EXISTS_SUBLINK":
        return "scalar"
    return ""


def collated(element: Node, to: Node) -> bool:
    """Whether a COLLATE stays outside of the cast. Raises: UnsureError, where it would vanish."""
    if "CollateClause" not in element:
        return False
    if to["names"][-1]["String"]["sval"] not in _COLLATABLE or len(to["names"]) > 2:  # noqa: PLR2004 - schema and name
        raise UnsureError("a type that may have no collation")
    return True


def _pushed(array: Node, to: Node, *, several: bool) -> Node:
    """``array`` with its elements cast to the type ``to``, or to arrays of it."""
    elements = array["A_ArrayExpr"]["elements"]
    several = several_dimensions(elements)
    cast = to | {"arrayBounds": [{"Integer": {"ival": -1}}]} if several else to
    pushed: list[Node] = []
    for element in elements:
        if "A_ArrayExpr" in element:
            pushed.append(_pushed(element, to, several=several))
        elif collated(element, to):
            clause = element["CollateClause"]
            inner = {"TypeCast": {"arg": clause["arg"], "typeName": cast}}
            pushed.append({"CollateClause": clause | {"arg": inner}})
        else:
            pushed.append({"TypeCast": {"arg": element, "typeName": cast}})
    return {"A_ArrayExpr": array["A_ArrayExpr"] | {"elements": pushed}}


def negative(node: Node) -> str | None:
    """The number of a constant below zero, as its digits are written."""
    constant = node.get("A_Const")
    if not isinstance(constant, dict):
        return None
    if "fval" in constant:
        digits: str = constant["fval"].get("fval", "")
        return digits if digits.startswith("-") else None
    value = constant.get("ival", {}).get("ival", 0)
    return str(value) if value < 0 else None


def printed(digits: str) -> str:
    """A number, as the server prints the constant. Raises: UnsureError, for what it never does."""
    if digits.lstrip("-").isdecimal():
        if not -(2**31) <= int(digits) < 2**31:
            raise UnsureError("a number that the server prints in quotes")
        return f"'{digits}'::integer" if int(digits) < 0 else str(int(digits))
    whole, _, fraction = digits.lstrip("-").partition(".")
    if not (whole + fraction).isdecimal():
        raise UnsureError("a number that the server prints in quotes")
    if digits.startswith("-") and (whole + fraction).strip("0"):
        return f"'{digits}'::numeric"
    return digits.lstrip("-")


def _constant(digits: str) -> Node:
    text = printed(digits)
    if not text.startswith("'"):
        return {"A_Const": {"fval": {"fval": text}}}
    of = "numeric" if text.endswith("numeric") else "int4"
    names = [{"String": {"sval": "pg_catalog"}}, {"String": {"sval": of}}]
    return {
        "TypeCast": {
            "arg": {"A_Const": {"sval": {"sval": digits}}},
            "typeName": {"names": names, "typemod": -1},
        }
    }


def targets(node: Node) -> list[Node]:
    """The output columns that ``node`` lists itself."""
    return [
        one["ResTarget"]
        for key in _WRITERS
        if key in node
        for one in node[key]
        if "ResTarget" in one
    ]


def relation_names(tree: Node) -> frozenset[str]:
    """What a column of a relation may begin with in it: their names, and columns that joins merge.

    ``*`` stands for columns that the text does not name.
    """
    names = {"old", "new", "excluded"}
    for holder, key in walk({"root": tree}):
        node = holder[key]
        names |= {node[one] for one in ("relname", "aliasname", "ctename") if one in node}
        names |= {part["String"]["sval"] for part in node.get("usingClause", ())}
        if node.get("isNatural"):
            names.add("*")
    return frozenset(names)


def implied_name(target: Node, relations: frozenset[str] | None) -> str:
    """The name that an output column without one gets when it is read; empty where it stays so.

    Columns of relations keep theirs in any case; a routine's parameters (``relations`` is given
    then) do not.
    """
    if "name" in target or "val" not in target:
        return ""
    ((tag, body),) = target["val"].items()
    if tag == "ColumnRef":
        parts = [part["String"]["sval"] for part in body["fields"] if "String" in part]
        if relations is None or len(parts) < len(body["fields"]) or parts[0] in relations:
            return ""
        return "" if len(parts) == 1 and "*" in relations else parts[-1]
    if tag not in {"TypeCast", "CollateClause", "SubLink"}:
        return ""
    name = _figured(target["val"])[1]
    return "" if name == UNNAMED else name


def _figured(node: Node) -> tuple[int, str]:
    """How sure and which: the server's FigureColname. Source: src/backend/parser/parse_target.c."""
    ((tag, body),) = node.items()
    found = (0, UNNAMED)
    if tag in {"ColumnRef", "FuncCall", "A_Indirection"}:
        parts = body.get("fields") or body.get("funcname") or body["indirection"]
        names = [part["String"]["sval"] for part in parts if "String" in part]
        if names:
            found = (2, names[-1])
        elif tag == "A_Indirection":
            found = _figured(body["arg"])
    elif tag == "CollateClause":
        found = _figured(body["arg"])
    elif tag == "TypeCast":
        inner = _figured(body["arg"])
        found = inner if inner[0] > 1 else (1, body["typeName"]["names"][-1]["String"]["sval"])
    elif tag == "CaseExpr":
        inner = _figured(body["defresult"]) if "defresult" in body else found
        found = inner if inner[0] > 1 else (1, "case")
    elif tag == "SubLink":
        found = _of_subselect(body)
    elif body.get("kind") == "AEXPR_NULLIF":
        found = (2, "nullif")
    elif tag in _NAMED:
        found = (2, _NAMED[tag])
    return found


def _of_subselect(body: Node) -> tuple[int, str]:
    kind = body["subLinkType"]
    if kind in {"EXISTS_SUBLINK", "ARRAY_SUBLINK"}:
        return 2, kind.partition("_")[0].lower()
    if kind != "EXPR_SUBLINK":
        return 0, UNNAMED
    select = body["subselect"]["SelectStmt"]
    while "larg" in select:
        select = select["larg"]
    first = targets(select)
    if not first:
        return 2, "column1"
    return 2, first[0].get("name") or _figured(first[0]["val"])[1]
