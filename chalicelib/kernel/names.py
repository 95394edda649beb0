"""Names: targets, people, and database identifiers as they are shown and compared.

A quoted identifier here is a *name for people and for digests*. SQL gets its identifiers through
``psycopg.sql`` alone, never from this module.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from chalicelib.kernel.errors import UsageError

MAX_PERSON_CHARACTERS = 128

_PLAIN_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_$]*")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class TargetName(NamedTuple):
    """``kind:slug``, e.g. ``postgres:orders-prod``: something watched or accessed."""

    kind: str
    slug: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.slug}"


def target(text: str, *, kind: str = "postgres") -> TargetName:
    """The target of ``orders-prod`` or ``postgres:orders-prod``. Raises: UsageError."""
    head, colon, tail = text.partition(":")
    name = TargetName(head, tail) if colon else TargetName(kind, text)
    if not _KIND.fullmatch(name.kind) or not _SLUG.fullmatch(name.slug):
        raise UsageError(
            f"not a target name: {text[:80]!r}; expected at most 63 lower-case letters, digits, "
            "'.', '_' and '-', e.g. orders-prod"
        )
    return name


def identifier(part: str) -> str:
    """One identifier, quoted unless it is plain lower case.

    Unlike the server's ``quote_ident`` it knows no keywords, so that a server's next major version,
    with other keywords, gives the same name.
    """
    if _PLAIN_IDENTIFIER.fullmatch(part):
        return part
    return '"' + part.replace('"', '""') + '"'


def qualified(*parts: str) -> str:
    """Identifiers joined by dots, quoted where they must be; distinct parts, distinct names."""
    return ".".join(map(identifier, parts))


def person(text: str) -> str:
    """A person's name in the one form in which people are counted.

    NFKC, case-folded, trimmed, so that ``Ana`` and ``ana `` are one person. Raises: UsageError, on
    empty, long, or unprintable names.
    """
    name = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()
    if not name or len(name) > MAX_PERSON_CHARACTERS or not name.isprintable():
        raise UsageError(
            f"not a person's name: {text[:80]!r}; expected 1 to {MAX_PERSON_CHARACTERS} printable "
            "characters"
        )
    return name
