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

# What is not seen: controls, formats, unassigned; Default_Ignorable_Code_Point of Unicode's
# DerivedCoreProperties, as far as isprintable() lets it pass; and the blank Braille pattern.
_INVISIBLE = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff]"
)


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
        # What looks like a connection string may hold a password, and is not repeated.
        shown = "a connection string?" if set(text) & set(":/@=;") else repr(text[:80])
        raise UsageError(
            f"not a target name: {shown}; expected at most 63 lower-case letters, digits, "
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

    NFKC, case-folded, white space trimmed and collapsed, so that ``Ana`` and ``ana `` are one
    person. Raises: UsageError, on empty or long names, and on characters that do not show.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    name = " ".join(folded.split())
    if not name or len(name) > MAX_PERSON_CHARACTERS or _INVISIBLE.search(name + text.strip()):
        raise UsageError(
            f"not a person's name: {text[:80]!r}; expected 1 to {MAX_PERSON_CHARACTERS} printable "
            "characters"
        )
    return name
