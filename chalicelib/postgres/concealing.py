"""Parameters that hold secrets: their values are concealed before they leave this package.

What a concealed value looks like is the caller's choice (a keyed hash that still shows change).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Words in the names of extensions' and applications' own parameters, and of options.
_SECRET_WORD = re.compile(
    r"pass|pwd|secret|token|key|credential|private|jwt|salt|auth|bearer", re.IGNORECASE
)
# A command with any of these in it is concealed whole: options have too many forms to find secrets.
_SUSPECT_COMMAND = re.compile(r"pass|pwd|secret|token|key|auth|bearer|user|@", re.IGNORECASE)
_CONNINFO: Final = frozenset({"primary_conninfo"})
_SECRET_PARAMETERS: Final = frozenset({"ssl_passphrase_command"})
_SECRET_KEYWORDS: Final = frozenset(
    {
        "password",
        "sslpassword",
        "passfile",
        "oauth_client_secret",
        "scram_client_key",
        "scram_server_key",
    }
)  # of libpq's conninfo
MAX_READ_CHARS: Final = 16_384  # longer values are concealed whole; any role may set one
# Each pattern starts where the last match ended or at a mark of its own, and none can be entered
# from two places within the same run of characters: the work grows with the length, no faster.
_USER = re.compile(r"[^\s/@:]*:")
_STOP = re.compile(r"[\s@]")
_WORD = re.compile(r"[a-z0-9_]+", re.IGNORECASE)
_ASSIGNED_WORD = re.compile(r"pass|pwd|secret|token|access_key|api_?key|auth|bearer", re.IGNORECASE)
_HEAD = re.compile(r"[\"']?\s*[=:]\s*")
_VALUE = re.compile(r"'(?:[^'\\]|\\.|'')*'?|\"[^\"]*\"?|[^\s'\"&;,]+", re.DOTALL)


class Concealer:
    """Values of parameters and options with the secret parts replaced by ``conceal(secret)``."""

    def __init__(self, conceal: Callable[[str], str]) -> None:
        self._conceal = conceal

    def setting(self, name: str, value: str) -> str:
        """The value of a server parameter. What is not secret in a conninfo stays visible."""
        folded = name.lower()
        if not value:
            return value
        if folded in _CONNINFO:
            return self.conninfo(value)
        if folded in _SECRET_PARAMETERS or ("." in folded and _SECRET_WORD.search(folded)):
            return self._conceal(value)
        if folded.endswith("_command") and _SUSPECT_COMMAND.search(value):
            return self._conceal(value)
        return self._within(value)

    def option(self, name: str, value: str) -> str:
        """The value of a storage, foreign-table or foreign-column option."""
        return self._conceal(value) if _SECRET_WORD.search(name) else self._within(value)

    def secret(self, value: str) -> str:
        """A value of which nothing may be shown."""
        return self._conceal(value)

    def conninfo(self, value: str) -> str:
        """A connection string of libpq. What is not secret in it stays visible."""
        if len(value) > MAX_READ_CHARS:
            return self._conceal(value)
        try:
            parts = conninfo_to_dict(value)
        except psycopg.ProgrammingError:
            return self._conceal(value)
        return " ".join(
            f"{key}={self._conceal(str(part)) if key in _SECRET_KEYWORDS else part}"
            for key, part in sorted(parts.items())
        )

    def _within(self, value: str) -> str:
        """A command or address with the passwords inside it concealed."""
        if "=" not in value and ":" not in value:
            return value
        if len(value) > MAX_READ_CHARS:
            return self._conceal(value)
        value = self._replaced(value, _uri_passwords(value))
        return self._replaced(value, _assigned(value))

    def _replaced(self, value: str, spans: Iterable[tuple[int, int]]) -> str:
        parts: list[str] = []
        done = 0
        for start, end in spans:
            parts += (value[done:start], self._conceal(value[start:end]))
            done = end
        return "".join((*parts, value[done:]))


def _uri_passwords(value: str) -> Iterator[tuple[int, int]]:
    """Where ``scheme://user:password@`` holds a password."""
    stop = -1
    at = value.find("://")
    while at >= 0:
        user = _USER.match(value, at + 3)
        if user and user.end() > stop:
            found = _STOP.search(value, user.end())
            stop = found.start() if found else len(value)
        if user and user.end() < stop < len(value) and value[stop] == "@":
            yield user.end(), stop
            at = value.find("://", stop)
        else:
            at = value.find("://", at + 3)


def _assigned(value: str) -> Iterator[tuple[int, int]]:
    """Where ``password = …`` and the like hold a value, in quotes or not, closed or not."""
    done = 0
    for word in _WORD.finditer(value):
        if word.start() < done or not _ASSIGNED_WORD.search(word[0]):
            continue
        head = _HEAD.match(value, word.end())
        secret = head and _VALUE.match(value, head.end())
        if secret:
            done = secret.end()
            yield secret.start(), secret.end()
