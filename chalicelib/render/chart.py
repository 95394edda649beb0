"""Charts as inline SVG: findings by day and severity, and the calendar of coverage.

What a chart shows stands in a table beside it, for whoever does not see it. Texts are escaped by
``markupsafe``; geometry is whole numbers, so that equal facts are equal bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from chalicelib.drift.judge import Severity
from chalicelib.render import days as kinds
from chalicelib.render import embed

if TYPE_CHECKING:
    from chalicelib.render.days import Calendar, Day

WIDTH: Final = 1000
_LEFT: Final = 44  # room for numbers
_MAX_BAR: Final = 60  # wide
_HEIGHT: Final = 180
_LABELS: Final = 220  # room for the names of targets
_ROW: Final = 18
_MAX_NAME: Final = 30  # characters
_MAX_SAID: Final = 200
# Of paper; a sheet of styles may say otherwise, by the classes.
_COLOURS: Final = {
    "critical": "#8f0d1d",
    "high": "#c8472b",
    "medium": "#b07a00",
    "low": "#3b78b5",
    "info": "#7a8794",
    kinds.OBSERVED: "#2f8a57",
    kinds.PART: "#b8800f",
    kinds.UNOBSERVED: "#b3202d",
    kinds.UNKNOWN: "#7c5fb0",
    kinds.NOTHING: "#e3e8ec",
    "axis": "#b8c0c8",
    "cross": "#ffffff",
}
_CROSSED: Final = frozenset({kinds.UNOBSERVED, kinds.PART})  # seen without colours too


def bars(days: list[Day]) -> Markup:
    """Stacked bars: a bar for each stretch of days, its severities from the worst at the bottom."""
    names = [one.value for one in Severity]
    most = max((sum(day.findings.values()) for day in days), default=0)
    step = min((WIDTH - _LEFT) / max(len(days), 1), _MAX_BAR)
    parts = [
        _line(_LEFT, _HEIGHT, WIDTH, _HEIGHT),
        _text(_LEFT - 6, _HEIGHT, "0", "end"),
        *([_text(_LEFT - 6, 16, str(most), "end")] if most else []),
    ]
    for number, day in enumerate(days):
        below = _HEIGHT
        at = round(_LEFT + number * step)
        for name in names:
            count = day.findings.get(name, 0)
            if not count:
                continue
            height = max(2, round((_HEIGHT - 12) * count / most))
            below = max(0, below - height)
            parts.append(
                _rect(
                    at + 1,
                    below,
                    max(1, round(step) - 2),
                    height,
                    name,
                    f"{day.first}: {count} {name}",
                )
            )
    for number in sorted({0, len(days) // 2, len(days) - 1} if days else set()):
        anchor = "start" if number == 0 else "end" if number == len(days) - 1 else "middle"
        at = round(_LEFT + (number if number == 0 else number + 1) * step)
        parts.append(_text(at, _HEIGHT + 16, days[number].first, anchor))
    return _svg(_HEIGHT + 24, "bars", "Findings by day and severity", parts)


def calendar(found: Calendar, days: list[Day]) -> Markup:
    """A row for each target, a cell for each stretch of days; a cross on what has a gap."""
    step = (WIDTH - _LABELS) / max(len(days), 1)
    parts = []
    for row, one in enumerate(found.targets):
        top = 4 + row * _ROW
        parts.append(_text(0, top + 12, one.target, "start"))
        for number, cell in enumerate(one.cells):
            at, width = round(_LABELS + number * step), max(1, round(step) - 1)
            said = f"{one.target}, {days[number].first}: {cell}"
            parts.append(_rect(at, top, width, _ROW - 3, cell, said))
            if cell in _CROSSED:
                parts.append(_line(at, top, at + width, top + _ROW - 3, "cross"))
    height = 4 + len(found.targets) * _ROW
    if days:
        parts += [
            _text(_LABELS, height + 14, days[0].first, "start"),
            _text(WIDTH, height + 14, days[-1].last, "end"),
        ]
    return _svg(height + 22, "coverage", "Which target was observed on which day", parts)


def _svg(height: int, name: str, title: str, parts: list[Markup]) -> Markup:
    head = Markup(
        '<svg role="img" aria-labelledby="{0}-title" viewBox="0 0 {1} {2}" '
        'width="{1}" height="{2}">'
        '<title id="{0}-title">{3}</title>'
    ).format(name, WIDTH, height, title)
    return head + Markup("").join(parts) + Markup("</svg>")


def _rect(x: int, y: int, width: int, height: int, name: str, said: str) -> Markup:  # noqa: PLR0917
    return Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" fill="{}" class="fill-{}">'
        "<title>{}</title></rect>"
    ).format(x, y, width, height, _COLOURS[name], name, embed.shown_text(said, _MAX_SAID))


def _line(x: int, y: int, to_x: int, to_y: int, name: str = "axis") -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" class="{}"/>').format(
        x, y, to_x, to_y, _COLOURS[name], name
    )


def _text(x: int, y: int, said: str, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" font-size="12" text-anchor="{}">{}</text>').format(
        x, y, anchor, embed.shown_text(said, _MAX_NAME)
    )


def swatch(name: str) -> Markup:
    """A square of the colour of a severity or a cell, for a legend."""
    cross = _line(0, 0, 12, 12, "cross") if name in _CROSSED else Markup("")
    return Markup(
        '<svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">'
        '<rect width="12" height="12" fill="{}" class="fill-{}"/>{}</svg>'
    ).format(_COLOURS[name], name, cross)
