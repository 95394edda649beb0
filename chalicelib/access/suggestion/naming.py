"""What the name of a column says about its values.

A name is split into words; what stands at its end tells what the column is of. ``email_count`` is a
count, ``email_verified_at`` a moment, ``address_id`` a key: none of them is personal by its name.
Otherwise the longest known phrase in it decides. English, and the usual words of German, French,
Spanish, Italian, Portuguese and Dutch.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from chalicelib.access.suggestion.vocabulary import (
    COUNTS,
    ENDINGS,
    FIRST_COUNTS,
    FLAGS,
    KEYS,
    MOMENTS,
    NEVER,
    PEOPLE,
    PHRASES,
    PLAIN,
    SIDES,
    SUFFIXES,
    THINGS,
)

MAX_CHARACTERS: Final = 128  # of a name that are looked at; PostgreSQL has at most 63 bytes
MAX_PHRASE_WORDS: Final = 4
_SHORT: Final = 4  # letters of a word that may end in s by itself: pass
COUNT, FLAG, KEY, MOMENT, SIDE, ORDINARY = "count", "flag", "key", "moment", "side", "ordinary"
_ROLES: Final = (
    (COUNT, COUNTS),
    (MOMENT, MOMENTS),
    (FLAG, ENDINGS),
    (ORDINARY, PLAIN),
    (SIDE, SIDES),
    (KEY, KEYS),
)

# A diagnosis's code, date or number, and a salary's total, are what the word says they are.
_STUBBORN: Final = frozenset({"special", "financial"})
_NAMES: Final = frozenset({"name", "nom", "nombre", "nome", "naam"})
# aB, ABc and letters beside digits are borders of words.
_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[a-z]+")
# Letters with marks that have no decomposition, or another spelling without the mark.
_SPELT: Final = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "ä": "ae", "ö": "oe", "ü": "ue"}
)


class Said(NamedTuple):
    """What a name says. ``klass``: of the shipped classes, or empty.

    ``role``: count, flag, key, moment, side (about a value, and not the value), ordinary; or empty.
    ``strong``: the phrase means little else. ``phrase``: the words that decided, of our vocabulary.
    """

    klass: str = ""
    role: str = ""
    strong: bool = False
    phrase: str = ""


def words(name: str) -> tuple[str, ...]:
    """The words of ``first_name``, ``firstName``, ``FIRST-NAME2``, ``Straße``, in plain letters."""
    composed = unicodedata.normalize("NFC", name[:MAX_CHARACTERS])
    split = _BORDER.sub(" ", composed).lower().translate(_SPELT)
    plain = unicodedata.normalize("NFKD", split)
    return tuple(_WORD.findall("".join(c for c in plain if not unicodedata.combining(c))))


def says(name: str, table: str = "") -> Said:
    """What a column's name says; in which table matters: users.name is not products.name."""
    found = words(name)
    if not found:
        return Said()
    phrase, klass, strong = _longest(found)
    said = _in_table(Said(klass, "", strong, phrase), found, words(table)) if klass else Said()
    if klass and (_is_whole(phrase, found) or (strong and klass in _STUBBORN)):
        return said
    ended = _ended(found, klass)
    if ended is not None:
        return ended
    return said if klass else _ordinary(found)


def _ended(found: tuple[str, ...], klass: str) -> Said | None:
    """What the ends of a name say it is, whatever stands between them."""
    first, last = found[0], found[-1]
    if first in FLAGS and klass != "special":
        return Said(role=FLAG, phrase=first)
    if first in FIRST_COUNTS:
        return Said(role=COUNT, phrase=first)
    for role, vocabulary in _ROLES:
        if last in vocabulary:
            return Said(role=role, phrase=last)
    return None


def _ordinary(found: tuple[str, ...]) -> Said:
    return Said(role=ORDINARY, phrase=found[-1]) if found[-1] in PLAIN else Said()


def _is_whole(phrase: str, found: tuple[str, ...]) -> bool:
    """Whether a name ends in a phrase that is more than an ending, and begins as no flag does."""
    several = phrase.split()
    if found[0] in FLAGS | FIRST_COUNTS:
        return False
    ended = " ".join(found[-len(several) :]).removesuffix("s") == phrase.removesuffix("s")
    return ended and (len(several) > 1 or several[0] not in KEYS | SIDES | MOMENTS | COUNTS)


def _longest(found: tuple[str, ...]) -> tuple[str, str, bool]:
    """The phrase of most words in a name, the last of several; its class; whether it is strong."""
    for length in range(min(MAX_PHRASE_WORDS, len(found)), 0, -1):
        for start in range(len(found) - length, -1, -1):
            phrase = " ".join(found[start : start + length])
            if phrase in NEVER:
                return "", "", False
            if phrase not in PHRASES and len(found[start + length - 1]) > _SHORT:
                phrase = phrase.removesuffix("s")  # emails, phone numbers
            if phrase in PHRASES:
                return phrase, *PHRASES[phrase]
    for word in reversed(found):  # geburtsdatum, kundenemail: compounds are one word
        for ending, klass in SUFFIXES.items():
            if word.endswith(ending):
                return word, klass, True
    return "", "", False


def _in_table(said: Said, found: tuple[str, ...], table: tuple[str, ...]) -> Said:
    """The same, with what the words around it and the table's name say about whose it is."""
    before = set(found) - set(said.phrase.split())
    if said.klass == "name":
        if before & THINGS or (said.phrase in _NAMES and before and not before & PEOPLE):
            return Said(role=SIDE, phrase="name")
        if said.phrase in _NAMES:
            if any(_is_of(word, THINGS) for word in table[-1:]):
                return Said()
            ours = bool(before & PEOPLE) or any(_is_of(word, PEOPLE) for word in table)
            return said._replace(strong=ours)
    return said


def _is_of(word: str, vocabulary: frozenset[str]) -> bool:
    """Whether a word, or its singular, is of a vocabulary."""
    singulars = {word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("n")}
    return bool(singulars & vocabulary) or word[:-3] + "y" in vocabulary
