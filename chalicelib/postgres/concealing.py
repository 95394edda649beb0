"""Parameters that hold secrets: their values are concealed before they leave this package.

What a concealed value looks like is the caller's choice (a keyed hash that still shows change).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Callable

# Words in the names of extensions' and applications' own parameters, and of options.
_SECRET_WORD = re.compile(
    r"passw|passphrase|secret|token|key|credential|private|jwt|salt", re.IGNORECASE
)
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
_URI_PASSWORD = re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://[^\s/@:]*:)(?P<secret>[^\s@]+)(?=@)")
_ASSIGNED = re.compile(
    r"(?P<head>\b[a-z_]*(?:password|passwd|passphrase|secret|token|access_key|api_?key)[a-z_]*\s*[=:]\s*)"
    r"(?P<secret>'[^']*'|\"[^\"]*\"|[^\s'\"&;,]+)",
    re.IGNORECASE,
)


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
            return self._conninfo(value)
        if folded in _SECRET_PARAMETERS or ("." in folded and _SECRET_WORD.search(folded)):
            return self._conceal(value)
        return self._within(value)

    def option(self, name: str, value: str) -> str:
        """The value of a storage, foreign-table or foreign-column option."""
        return self._conceal(value) if _SECRET_WORD.search(name) else self._within(value)

    def _conninfo(self, value: str) -> str:
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
        for pattern in (_URI_PASSWORD, _ASSIGNED):
            value = pattern.sub(lambda found: found["head"] + self._conceal(found["secret"]), value)
        return value
