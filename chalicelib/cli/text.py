"""How things are said on a terminal and in a pipe. Everything from a database is hostile here.

Names and values reach the screen without control characters: no escape sequence, no line break that
forges a row, no bidirectional override; and never through rich's markup.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

from rich.console import Console
from rich.text import Text

_OF_STATEMENTS = (  # of a policy, in the order in which people write them
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
    *("Resource", "NotResource", "Condition"),
)
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # Unicode general categories


def out() -> Console:
    """Where data goes. In a pipe: no colour, no wrapping."""
    return _console(stderr=False)


def err() -> Console:
    """Where words and progress go."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        return Console(
            stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True, width=100_000
        )
    return console


def complain(message: str, next_step: str) -> None:
    """A failure: what it was, and what to do now."""
    console = err()
    console.print(Text.assemble(("holdfast: ", "bold red"), plain(message, lines=True)))
    if next_step:
        console.print(Text.assemble(("  next: ", "bold"), plain(next_step, lines=True)))


def say(message: str, style: str = "") -> None:
    """A word on stderr, beside the data."""
    err().print(Text(plain(message, lines=True), style))


def emit(value: Any, *, indent: int | None = 2) -> None:
    """One JSON document on stdout; without ``indent`` on one line, as an event."""
    escaped = sys.stdout.isatty() or not _utf8()  # a terminal acts on what a program only reads
    text = json.dumps(value, indent=indent, ensure_ascii=escaped)
    sys.stdout.write(text.replace("\x7f", "\\u007f") + "\n")
    sys.stdout.flush()


def _utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def plain(text: str, *, lines: bool = False) -> str:
    """Text that does nothing but stand there: what is invisible is shown as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or (lines and char == "\n") else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    if char == "\n":
        return "\\n"
    if char == "\t":
        return "\\t"
    code = ord(char)
    if unicodedata.category(char) in _INVISIBLE or not char.isprintable():
        return f"\\u{{{code:x}}}"
    return char


def shown(value: Any, limit: int = 60) -> str:
    """An attribute's value for people, on one line, at most ``limit`` characters."""
    return clip(plain(whole(value)), limit)


def whole(value: Any) -> str:
    """An attribute's value for people, all of it."""
    match value:
        case None:
            return "(none)"
        case bool():
            return "true" if value else "false"
        case str():
            return value or '""'
        case list():
            return ", ".join(map(whole, value)) if value else "(empty)"
        case dict():
            return ", ".join(f"{key}={whole(item)}" for key, item in value.items())
        case _:
            return str(value)


def spread(value: Any) -> str:
    """The same on several lines where it is a policy: its statements as JSON, as people do."""
    if not isinstance(value, dict) or not isinstance(value.get("Statement"), list):
        return whole(value)
    return "\n".join(
        json.dumps(_ordered(one), indent=2, ensure_ascii=False) for one in value["Statement"]
    )


def _ordered(statement: Any) -> Any:
    if not isinstance(statement, dict):
        return statement
    known = [key for key in _OF_STATEMENTS if key in statement]
    return {key: statement[key] for key in (*known, *sorted(statement.keys() - {*known}))}


def count(number: int, word: str) -> str:
    """``1 approval``, ``2 approvals``."""
    if number == 1:
        return f"{number} {word}"
    if word.endswith("y") and word[-2:-1] not in {"a", "e", "o", "u"}:
        return f"{number} {word[:-1]}ies"
    return f"{number} {word}{'es' if word.endswith(('s', 'x', 'ch', 'sh')) else 's'}"


def clip(text: str, limit: int) -> str:
    """At most ``limit`` characters, the cut shown."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
