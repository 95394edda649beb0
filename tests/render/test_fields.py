"""docs/reports.md lists what templates are given: every field, and no other."""

from __future__ import annotations

import re
import typing
from pathlib import Path

import jinja2.meta
import msgspec
import pytest

from chalicelib.render import facts, page

REPORTS = Path(__file__).parents[2] / "reports"
DOCS = (REPORTS.parent / "docs" / "reports.md").read_text(encoding="utf-8")


def structs():
    """Every struct that a report leads to, but the list that is shown in part."""
    found, pending = {}, [facts.Report]
    while pending:
        one = pending.pop()
        pending += list(typing.get_args(one))
        origin = typing.get_origin(one) or one
        if not (isinstance(origin, type) and issubclass(origin, msgspec.Struct)):
            continue
        if origin.__name__ in found:
            continue
        if origin is not facts.Shown:
            found[origin.__name__] = origin
            pending += typing.get_type_hints(origin).values()
    return found


def listed():
    parts = re.split(r"^#### (\w+)$", DOCS, flags=re.MULTILINE)[1:]
    names, texts = parts[::2], parts[1::2]
    return {
        name: re.findall(r"`(\w+)`", text.partition("Fields: ")[2])
        for name, text in zip(names, texts, strict=True)
    }


def test_the_structs_of_a_report_are_listed_and_no_others():
    assert listed().keys() == structs().keys()


@pytest.mark.parametrize("name", sorted(structs()))
def test_every_field_is_listed_and_no_other(name):
    assert listed()[name] == list(structs()[name].__struct_fields__)


def test_what_a_shown_list_has_is_listed():
    for name in (*facts.Shown.__struct_fields__, "left_out"):
        assert f"`{name}`" in DOCS


@pytest.mark.parametrize("name", ["figure", "value", "link", "swatch"])
def test_functions_are_listed(name):
    assert f"`{name}(" in DOCS


@pytest.mark.parametrize("path", sorted(REPORTS.glob("*.j2")), ids=lambda path: path.name)
def test_what_the_shipped_templates_are_given_is_listed(path):
    environment = jinja2.Environment(autoescape=True)
    environment.filters |= page.FILTERS
    tree = environment.parse(path.read_text(encoding="utf-8"))
    names = {one.name for one in tree.find_all(jinja2.nodes.Name) if one.ctx == "load"}
    given = jinja2.meta.find_undeclared_variables(tree) | (names & {"figure", "link"})
    for name in given - {"show"}:
        assert re.search(rf"`{name}[`(]", DOCS), name


def test_filters_are_listed_and_no_others():
    assert re.findall(r"&#124; (\w+)", DOCS) == list(page.FILTERS)
