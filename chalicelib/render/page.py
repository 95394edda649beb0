"""The page: a verified packet as one HTML file, for screen and print, that verifies itself.

Equal packets under equal trust give equal bytes. Templates see the facts (``facts.Report``) and a
few functions; whatever they print is made visible (``shown_text``) and escaped. A template of the
user's own takes the place of the one with its name. docs/reports.md.
"""

from __future__ import annotations

import re
import traceback
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from chalicelib.drift.judge import Severity
from chalicelib.kernel.errors import UsageError
from chalicelib.render import chart, days, embed, picks, said, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from chalicelib.render.book import Book
    from chalicelib.render.facts import Report

SECTIONS: Final = (
    ("scope", "Scope and method"),
    ("coverage", "Coverage"),
    ("controls", "Control matrix"),
    ("exceptions", "Exceptions"),
    ("findings", "Findings and their timelines"),
    ("baselines", "Baselines and who agreed"),
    ("leases", "Access"),
    ("populations", "Populations and samples"),
    ("custody", "Custody of the evidence"),
    ("appendix", "Appendix: how to verify"),
)
CELLS: Final = (
    (days.OBSERVED, "observed"),
    (days.PART, "observed, with a gap"),
    (days.UNOBSERVED, "UNOBSERVED"),
    (days.UNKNOWN, "looked at, and it could not tell"),
    (days.NOTHING, "nothing was due"),
)

LONG: Final = 400  # characters of one text; of longer ones the beginning is shown
_ASSETS: Final = ("main.html.j2", "page.html.j2", "macros.html.j2", "style.css", embed.SCRIPT)
_ENDS: Final = re.compile(r"</(?:style|script)|<!--", re.IGNORECASE)
# What a template can make of what it is given: of its own, and of the expressions in it.
_FAULTS: Final = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class Row(msgspec.Struct, frozen=True):
    """A record that the page refers to."""

    leaf: int
    at: str
    kind: str
    stream: str
    by: str
    hash: str


def render(book: Book, *, templates: PathLike[str] | None = None, seed: str = "") -> str:
    """The page. ``templates``: a folder whose files take the place of the shipped ones.

    Raises: UsageError, for a template that cannot be used; DigestMismatch; StoreUnavailable.
    """
    if templates is not None:
        _used(templates)
    report = picks.report(book, seed=seed)
    records = _Records(book, report)
    try:
        environment = _environment(records, templates)
        program = _asset(environment, embed.SCRIPT)
        page = environment.get_template("page.html.j2").render(
            **_given(report, records),
            style=Markup(_asset(environment, "style.css")),  # noqa: S704 - no value is in it
            program=Markup(program),  # noqa: S704 - as above
            document=Markup(embed.script_text(records.embedded)),  # noqa: S704 - it escapes
            policy=embed.policy(program),
        )
        return seal.sealed(page)
    except _FAULTS as error:
        if templates is None:
            raise
        raise UsageError(
            f"{_where(error, templates)}: a template cannot be used: {type(error).__name__}: "
            f"{embed.shown_text(str(error), LONG)}",
            next_step="docs/reports.md lists what templates are given",
        ) from error


def _used(templates: PathLike[str]) -> None:
    """Raises: UsageError, where nothing in the folder takes the place of anything."""
    if not any(Path(templates, name).is_file() for name in _ASSETS):
        raise UsageError(
            f"{templates} has no file that takes the place of a template",
            next_step=f"name it as the one it replaces: {', '.join(_ASSETS)}",
        )


def _where(error: BaseException, templates: PathLike[str]) -> str:
    """The file and the line that are at fault, as far as the error tells."""
    line = getattr(error, "lineno", None)
    if line is not None:
        return f"{Path(templates, getattr(error, 'name', None) or '')}, line {line}"
    found = str(templates)
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_filename
        if Path(name).is_relative_to(templates):
            found = f"{name}, line {number}"
    return found


def _given(report: Report, records: _Records) -> dict[str, Any]:
    """What templates are given, beside the functions of ``_environment``."""
    return {
        "report": report,
        "records": records.rows,
        "sections": SECTIONS,
        "cells": CELLS,
        "severities": [one.value for one in Severity],
        "awaiting": any(one.awaiting_check for each in report.frameworks for one in each.controls),
        "findings_chart": chart.bars(report.days),
        "swatch": chart.swatch,
        "coverage_chart": chart.calendar(report.calendar, report.days),
    }


def _environment(records: _Records, templates: PathLike[str] | None) -> jinja2.Environment:
    shipped = jinja2.FunctionLoader(_shipped)
    loaders: list[jinja2.BaseLoader] = [shipped]
    if templates is not None:
        loaders.insert(0, _Folder(templates))
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    environment.filters |= FILTERS
    del environment.filters["random"], environment.globals["lipsum"]  # equal packets, equal bytes
    environment.globals |= {
        "figure": records.figure,
        "link": records.link,
        "value": records.value,
    }
    return environment


class _Folder(jinja2.FileSystemLoader):
    """Templates of a folder. What is no text there is at fault, by its name."""

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        try:
            found = super().get_source(environment, template)
            if not any(
                Path(found[1]).resolve().is_relative_to(Path(one).resolve())
                for one in self.searchpath
            ):
                raise jinja2.TemplateSyntaxError(
                    "it is a link that leads out of the folder", 1, template
                )
        except jinja2.TemplateNotFound:  # an OSError, and the next loader's turn
            raise
        except UnicodeDecodeError as error:
            raise jinja2.TemplateSyntaxError("it is no UTF-8", 1, template) from error
        except OSError as error:
            words = error.strerror or "it cannot be read"
            raise jinja2.TemplateSyntaxError(words, 1, template) from error
        return found


def _shipped(name: str) -> str | None:
    """The text of a file of this package, by a name that templates may say; None: no such."""
    if name not in _ASSETS:
        return None
    return (resources.files("chalicelib.render") / "templates" / name).read_text("utf-8")


def _asset(environment: jinja2.Environment, name: str) -> str:
    """The text of a file that is no template. Raises: ValueError, where it has markup in it."""
    if environment.loader is None:  # pragma: no cover - it was given
        raise jinja2.TemplateNotFound(name)
    text = environment.loader.get_source(environment, name)[0]
    if _ENDS.search(text):
        raise ValueError(f"{name} has markup in it, which would end it")
    return text


def _visible(value: Any) -> Any:
    """What is about to be printed; texts are cut, and what does not show itself is made visible."""
    return value if hasattr(value, "__html__") or not isinstance(value, str) else _cut(value, LONG)


def _cut(value: Any, most: int) -> Markup:
    """A text's beginning, made visible."""
    return escape(embed.shown_text(value, most))


def _whole(value: Any) -> Markup:
    """All of a text, made visible, however long it is."""
    return escape(embed.shown_text(value))


def _moment(value: str) -> str:
    """``2026-11-23T23:42:15.740201Z`` as ``2026-11-23 23:42:15``; what is none as it is."""
    return f"{value[:10]} {value[11:19]}" if len(value) == 27 and value.endswith("Z") else value  # noqa: PLR2004 - kernel.clock's form


def _day(value: str) -> str:
    return value[:10]


def _count(number: int, noun: str) -> str:
    """``1 scan``, ``2 scans``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def _css(value: Any) -> str:
    """The name of a severity as a class; of what is none, nothing."""
    return value if value in {one.value for one in Severity} else ""


def _pairs(value: str) -> str:
    """A JSON object as ``name value, name value``; what is none as it is."""
    try:
        told = msgspec.json.decode(value)
    except (msgspec.DecodeError, ValueError):
        return value
    if not isinstance(told, dict):
        return value
    return ", ".join(f"{name} {said.text(one)}" for name, one in told.items())


FILTERS: Final = {
    "cut": _cut,
    "whole": _whole,
    "moment": _moment,
    "day": _day,
    "css": _css,
    "count": _count,
    "pairs": _pairs,
}


class _Records:
    """The records that the report refers to, and figures out of those that are embedded."""

    def __init__(self, book: Book, report: Report) -> None:
        wanted = dict.fromkeys([report.evidence.census, *_leaves(report)])
        self.embedded = embed.embedded(book.verified, wanted)
        self._figures = embed.Figures(self.embedded)
        rows = book.walk("SELECT leaf, at, kind, stream, actor, hash FROM record ORDER BY leaf")
        self.rows = [Row(*row) for row in rows if row[0] in wanted]
        self._listed = {row.leaf for row in self.rows}

    def value(self, leaf: int | None, at: str) -> str:
        """What stands at a JSON pointer of a record; empty: nothing, or it is not embedded."""
        return "" if leaf is None else self._figures.says(leaf, at) or ""

    def figure(self, leaf: int | None, at: str, otherwise: Any = "", cut: int = LONG) -> Markup:
        """A record's value, tied to it: the page compares the two.

        ``otherwise``: of a record that is not embedded; ``cut``: after so many characters.
        """
        text = None if leaf is None else self._figures.says(leaf, at)
        if leaf is None or text is None:
            return _cut(otherwise, cut)
        short = self._figures.says(leaf, at, cut)
        more = Markup(' data-cut="{}"').format(cut) if short != text else ""
        return Markup('<span data-leaf="{}" data-at="{}"{}>{}</span>').format(leaf, at, more, short)

    def link(self, leaf: int | None) -> Markup:
        """A link to where a record's hash stands."""
        if leaf is None:
            return Markup("&ndash;")
        if leaf not in self._listed:
            return Markup("{}").format(leaf)
        tied = Markup(' data-leaf="{}" data-at="#index"').format(leaf)
        return Markup('<a href="#leaf-{0}" aria-label="record {0}"{1}>{0}</a>').format(
            leaf, tied if leaf in self._figures else ""
        )


def _leaves(value: Any) -> Iterator[int]:
    """The records that facts name, in the order of their fields."""
    if isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            field = getattr(value, name)
            if name in {"leaf", "first_leaf"} or name.endswith("_leaf"):
                if isinstance(field, int):
                    yield field
            elif name == "rows" and getattr(value, "columns", [""])[0] == "leaf":
                yield from (row[0] for row in field if isinstance(row[0], int))
            else:
                yield from _leaves(field)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)
