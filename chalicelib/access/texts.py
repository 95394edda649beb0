"""Policy texts before Cedar sees them: bounds, and where each policy of a text stands.

Cedar's parser recurses without a bound of its own: 1,000 brackets inside each other, or 20,000
operators in a row, end the process (measured with cedarpy 4.12.2 on a stack of 8 MiB; on one of
512 KiB 50 brackets do). So both are counted first.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from chalicelib.kernel.errors import ConfigError

MAX_TEXT_BYTES: Final = 2**18
MAX_POLICIES: Final = 1_000  # in one text
MAX_NESTING: Final = 16
MAX_OPERATORS: Final = 200  # in one policy: operators, dots, and opening brackets

# As Cedar's lexer has it: a comment ends with its line, by CR too; a string may span lines.
_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n\r]*|::|[,:@]|"(?:[^"\\]|\\.)*")|(?P<open>[(\[{])|(?P<close>[)\]}])"""
    r"""|(?P<end>;)|(?P<unended>")|(?P<word>\w+)|(?P<operator>&&|\|\||[=!<>]=|.)""",
    re.DOTALL,
)
_DEEPENING = {"if", "in", "has", "like", "is"}


_COMMENTS = re.compile(r"(?:\s+|//[^\n\r]*)*")


class Piece(NamedTuple):
    """One policy of a text: the line where it begins, from 1, and its text from there on."""

    line: int
    text: str


def split(name: str, text: str) -> list[Piece]:
    """The policies of a text, in order. Raises: ConfigError, past a bound, naming the line."""
    if len(text.encode(errors="surrogatepass")) > MAX_TEXT_BYTES:
        raise ConfigError(f"{name} is larger than {MAX_TEXT_BYTES} bytes")
    pieces: list[Piece] = []
    begin = depth = operators = 0
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "open":
                depth += 1
                operators += 1
            case "close":
                depth -= 1
            case "operator":
                operators += 1
            case "word":
                operators += token.group() in _DEEPENING
            case "unended":
                raise ConfigError(f"{name}, line {_line(text, token.start())}: a string never ends")
            case "end":
                pieces.append(_piece(text, begin, token.end()))
                begin, depth, operators = token.end(), 0, 0
        _check(name, text, token.start(), depth, operators)
    if len(pieces) > MAX_POLICIES:
        raise ConfigError(f"{name} has more than {MAX_POLICIES} policies")
    return pieces


def _check(name: str, text: str, place: int, depth: int, operators: int) -> None:
    if depth > MAX_NESTING:
        raise ConfigError(
            f"{name}, line {_line(text, place)}: brackets nest deeper than {MAX_NESTING}"
        )
    if operators > MAX_OPERATORS:
        raise ConfigError(
            f"{name}, line {_line(text, place)}: more than {MAX_OPERATORS} operators and brackets "
            "in one policy",
            next_step='say it with a set, ["a", "b"].contains(…), or in more policies',
        )


def _piece(text: str, begin: int, end: int) -> Piece:
    before = _COMMENTS.match(text, begin, end)
    start = before.end() if before else begin
    return Piece(_line(text, start), text[start:end])


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
