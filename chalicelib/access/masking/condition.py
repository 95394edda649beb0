"""A condition of people's, in SQL: whether it stays within the parentheses that it is put into.

Lexing alone, as the server's own lexer does it with standard_conforming_strings on; whether it is a
condition the server says. What it may not do is end before its end: what follows would count no
more, and what comes before would be half of something else. Source: PostgreSQL, scan.l.
"""

from __future__ import annotations

import re
from typing import Final

_CLOSES: Final = {")": "(", "]": "["}
_TOKEN = re.compile(
    r"""
    (?P<space> [ \t\n\r\f\v]+ | --[^\n\r]* )
    | (?P<comment> /\* )
    | (?P<string> [eE]'(?: [^'\\] | '' | \\. )*' | '(?: [^'] | '' )*' )
    | (?P<cut> [eE]' )
    | "(?: [^"] | "" )*"
    | (?P<dollar> \$(?: [A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]* )?\$ )
      .*? (?P=dollar)
    | [A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*
    | (?P<open> [(\[] ) | (?P<close> [)\]] )
    | (?P<not> ["';\\$] )
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_NOT: Final = {
    "'": "a string in it does not end",
    '"': "a quoted name in it does not end",
    "$": "$ begins a string in it that does not end, or a parameter",
    ";": "it has a ; that is in no string",
    "\\": "it has a backslash that is in no string",
}
_COMMENT = re.compile(r"/\*|\*/")


def refusal(text: str) -> str:
    """Why a text cannot stand between parentheses, or ""."""
    opened: list[str] = []
    at = 0
    string = False  # whether nothing but space and comments came since the last one
    while found := _TOKEN.match(text, at):
        at = found.end()
        match found.lastgroup:
            case "comment":
                at = _after_comment(text, found.start())
                if not at:
                    return "a comment in it does not end"
            case "string" if string:  # the second one goes on in the way of the first
                return "it has two strings one after the other: write them as one"
            case "open":
                opened.append(found[0])
            case "close" if not opened or opened.pop() != _CLOSES[found[0]]:
                return f"{found[0]} closes what was not opened in it"
            case "cut":  # or it would be a name, and a string of another kind
                return _NOT["'"]
            case "not":
                return _NOT[found[0]]
        string = found.lastgroup == "string" or (string and found.lastgroup in {"space", "comment"})
    return f"{opened[-1]} is not closed in it" if opened else ""


def _after_comment(text: str, at: int) -> int:
    """Where a comment ends, with those inside it; 0, where it does not."""
    depth = 0
    for found in _COMMENT.finditer(text, at):
        depth += 1 if found[0] == "/*" else -1
        if not depth:
            return found.end()
    return 0
