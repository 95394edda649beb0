"""Tables: ruled and coloured on a terminal, one plain line a row in a pipe."""

from __future__ import annotations

import difflib
import itertools
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from chalicelib.cli.text import clip, count, out, plain, shown, whole
from chalicelib.drift.finding import SHORT_ID, Disposition
from chalicelib.drift.judge import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from chalicelib.drift.finding import Finding

SEVERITY_STYLES = {
    "critical": "bold white on red",
    "high": "bold red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
}
DIRECTION_STYLES = {
    "widens": "bold red",
    "narrows": "green",
    "neutral": "",
    "both": "bold red",
    "undecided": "bold yellow",
}
OUTCOME_STYLES = {
    "clean": "bold green",
    "drift": "bold red",
    "unknown": "bold yellow",
    "refused": "bold white on red",
}
MAX_DIFF_LINES = 6
MAX_DIFF_COLUMNS = 36
MIN_WORDS_COLUMNS = 20  # on however narrow a terminal
GISTS = ("value", "definition", "type", "form", "version", "command", "by", "policy", "group")
_WHO = ("membership", "role")  # of which the attributes do not say what comes of it
OF_AWS = ("iam_", "rds_", "security_group")
MAX_REASON = 200  # characters of why a policy means more or less


def grid(
    headings: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    empty: str = "",
    unbroken: int = 0,
    whole_words: bool = False,
) -> None:
    """Print rows of text; ``empty`` instead, to people, where there are none.

    ``unbroken``: how many columns, from the left, are never wrapped. ``whole_words``: no word is
    cut, such as an id; where a table has no room for that, a row is a block of lines.
    """
    console = out()
    if not rows:
        if empty and console.is_terminal:
            console.print(empty, style="dim")
        return
    if not console.is_terminal:
        _lines(rows)
        return
    widths = _widths(headings, rows, unbroken, console.width) if whole_words else []
    if whole_words and not widths:
        _blocks(headings, rows, unbroken)
        return
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for place, heading in enumerate(headings):
        width = widths[place] if widths else None
        table.add_column(heading, overflow="fold", no_wrap=place < unbroken, width=width)
    for row in rows:
        table.add_row(
            *(cell if isinstance(cell, Text) else Text(plain(cell, lines=True)) for cell in row)
        )
    console.print(table)


def _widths(
    headings: Sequence[str], rows: Sequence[Sequence[str | Text]], unbroken: int, room: int
) -> list[int]:
    """Widths of columns in which no word is cut; none, where there is no room for that."""
    texts = [[plain(str(cell), lines=True) for cell in row] for row in (headings, *rows)]
    least, most = [], []
    for place, column in enumerate(zip(*texts, strict=True)):
        longest = max(len(line) for cell in column for line in cell.split("\n"))
        words = max((len(word) for cell in column for word in cell.split()), default=0)
        least.append(longest if place < unbroken else words)
        most.append(longest)
    room -= 3 * len(headings) - 1  # between the columns, and at the ends
    if sum(least) > room:
        return []
    widths = least
    while sum(widths) < min(room, sum(most)):  # to the column that lacks most
        lacking = [full - width for full, width in zip(most, widths, strict=True)]
        widths[lacking.index(max(lacking))] += 1
    return widths


def _blocks(headings: Sequence[str], rows: Sequence[Sequence[str | Text]], unbroken: int) -> None:
    """A block a row: what is never wrapped on its first line, the rest behind their headings."""
    console = out()
    first = max(unbroken, 1)
    indent = max(map(len, headings[first:]), default=0) + 4
    for row in rows:
        cells = [one if isinstance(one, Text) else Text(plain(one)) for one in row]
        console.print(Text("  ").join(cells[:first]), soft_wrap=True)
        for heading, cell in zip(headings[first:], cells[first:], strict=True):
            lines = textwrap.wrap(
                cell.plain,
                max(console.width - indent, MIN_WORDS_COLUMNS),
                break_long_words=False,
                break_on_hyphens=False,
            )
            for place, line in enumerate(lines):
                label = f"  {heading}" if place == 0 else ""
                text = Text.assemble((label.ljust(indent), "bold"), (line, cell.style))
                console.print(text, soft_wrap=True)


def _lines(rows: Sequence[Sequence[str | Text]]) -> None:
    """Columns two spaces apart; the last is not padded."""
    console = out()
    texts = [[plain(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))]
    for row in texts:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        console.print("  ".join(padded).rstrip())


def findings(rows: Sequence[tuple[Finding, Disposition]]) -> None:
    """Findings, the worst first: severity, direction, object, before and after, when, id."""
    ordered = sorted(
        rows, key=lambda row: (-row[0].severity.rank, row[0].kind, row[0].name, row[0].attribute)
    )
    if out().is_terminal:
        grid(
            ["severity", "what", "before → after", "when, finding"],
            [
                [
                    Text("\n").join([_severity(one), _direction(one)]),
                    what(one),
                    change(one),
                    Text("\n").join([*committed(one), _id(one, disposition)]),
                ]
                for one, disposition in ordered
            ],
        )
        return
    grid(
        ["severity", "direction", "what", "before → after", "when", "finding"],
        [
            [
                _severity(one),
                _direction(one),
                what(one),
                change(one),
                Text("..").join(committed(one)),
                _id(one, disposition),
            ]
            for one, disposition in ordered
        ],
    )


def _severity(one: Finding) -> Text:
    return Text(one.severity.value, SEVERITY_STYLES[one.severity.value])


def _direction(one: Finding) -> Text:
    return Text(one.direction.value, DIRECTION_STYLES[one.direction.value])


def _id(one: Finding, disposition: Disposition) -> Text:
    settled = "" if disposition is Disposition.OPEN else f" {disposition.value}"
    return Text(one.id[:SHORT_ID] + settled)


def what(one: Finding) -> Text:
    """The rule's title, and the object that it is about."""
    text = Text(plain(one.title))
    text.append("\n" if out().is_terminal else ": ")
    called = one.name if one.operation.value == "unreadable" else f"{one.kind} {one.name}"
    text.append(clip(plain(called), 120), "bold")
    return text


def change(one: Finding) -> Text:
    """What it was and what it is, on few lines; ``drift show`` has all of it.

    Of a policy, what it lets through now says more than its text; of who is whom, who gains by it.
    """
    if one.meaning is not None and one.kind.startswith(OF_AWS):
        reason = (one.meaning.reasons or [""])[0]
        if not reason and one.direction is Direction.NEUTRAL:
            reason = "it means the same"
        if reason:
            said = plain(one.attribute) or one.operation.value
            return Text(f"{said}: {clip(plain(reason), MAX_REASON)}")
    text = _change(one)
    if one.meaning is not None and one.meaning.reasons and one.kind in _WHO:
        text.append("\n" if out().is_terminal else "; ")
        text.append(clip(plain(one.meaning.reasons[0]), MAX_REASON))
    return text


def _change(one: Finding) -> Text:
    match one.operation.value:
        case "added":
            return Text(f"added{_gist(one.kind, one.after)}{_with(one)}", "green")
        case "removed":
            return Text(f"removed{_gist(one.kind, one.before)}{_with(one)}", "red")
        case "unreadable":
            return Text(shown(one.after.get("reason", ""), 200), "yellow")
        case _:
            return _altered(one)


def _gist(kind: str, attributes: Mapping[str, Any] | None) -> str:
    """The one thing to know of an object that came or went: privileges, or a value, or a type."""
    found = attributes or {}
    if "declared" in found:
        return f": {shown(found['declared'])} declared, {shown(found.get('reported'))} reported"
    if rights := [key for key, given in found.items() if _is_right(given)]:
        return f" {', '.join(sorted(rights))}"
    gist = next((found[key] for key in GISTS if key in found), None)
    if gist is None:
        if kind.startswith(OF_AWS):  # there, what is true is no right: encrypted, public
            return ""
        flags = [key for key, given in found.items() if given is True and key != "built_in"]
        return f" {', '.join(sorted(flags))}" if flags else ""
    return f" {shown(' '.join(whole(gist).split()))}"


def _is_right(value: Any) -> bool:
    """Whether it is a privilege's value: who gave it, as ``by NAME``."""
    return isinstance(value, list) and bool(value) and str(value[0]).startswith("by ")


def _with(one: Finding) -> str:
    if not one.parts:
        return ""
    return " with " + kinds(kind for kind, _ in one.parts)


def kinds(found: Iterable[str]) -> str:
    """``2 columns, 1 index``: how many there are of each kind."""
    return ", ".join(count(number, kind) for kind, number in sorted(Counter(found).items()))


def _altered(one: Finding) -> Text:
    before, after = whole(one.before), whole(one.after)
    if out().is_terminal and ("\n" in before or "\n" in after):
        return Text(f"{one.attribute}:\n").append(
            difference(before, after, most=MAX_DIFF_LINES, width=MAX_DIFF_COLUMNS)
        )
    text = Text(f"{one.attribute}: ")
    text.append(shown(one.before), "red").append(" → ").append(shown(one.after), "green")
    return text


def difference(before: str, after: str, *, most: int, width: int = 200) -> Text:
    """The lines that differ, ``-`` before and ``+`` after, at most ``most`` of them."""
    hunks = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    lines = [line for line in itertools.islice(hunks, 2, None) if not line.startswith("@@")]
    text = Text()
    for line in lines[:most]:
        shade = "green" if line.startswith("+") else "red"
        text.append(f"{line[0]} {clip(plain(line[1:]), width)}\n", shade)
    if len(lines) > most:
        text.append(f"… {len(lines) - most} more lines\n", "dim")
    text.rstrip()
    return text


def committed(one: Finding) -> list[Text]:
    """When it was committed; else the window, as exactly as anybody knows."""
    when = one.when
    if when.committed:
        return [_moment(when.committed)]
    if not out().is_terminal:
        return [_moment(moment) for moment in (when.not_before, when.not_after) if moment]
    after = [Text.assemble("> ", _moment(when.not_before))] if when.not_before else []
    return [*after, Text.assemble("≤ ", _moment(when.not_after))] if when.not_after else after


def _moment(text: str) -> Text:
    on_terminal = f"{text[:10]} {text[11:19]}Z"
    return Text(on_terminal if out().is_terminal else f"{text[:19]}Z")


def pairs(rows: Sequence[tuple[str, Any]], *, to: Console | None = None) -> None:
    """Labels and values, one a line; ``to`` stdout, where nothing else is said."""
    console = to or out()
    width = max(len(label) for label, _ in rows)
    for label, value in rows:
        # Lines of a value stay behind its label: none of them can pass for another row.
        indent = "\n" + " " * (width + 2)
        text = (
            value
            if isinstance(value, Text)
            else Text(
                _within(plain(whole(value), lines=True), console, width + 2).replace("\n", indent)
            )
        )
        console.print(Text.assemble((f"{label.ljust(width)}  ", "bold"), text))


def _within(text: str, console: Console, indent: int) -> str:
    """The text in lines that a terminal has room for behind an indent; in a pipe as it is."""
    room = console.width - indent
    if not console.is_terminal or room < MIN_WORDS_COLUMNS:
        return text
    return "\n".join(
        "\n".join(textwrap.wrap(line, room, break_on_hyphens=False, drop_whitespace=False)) or line
        for line in text.split("\n")
    )
