"""Check digits that several numbers share, and the numbers that no one country gives out.

Pure arithmetic on text. Every function takes one value as it is written, with the separators that
are usual for it, and answers whether it is a number of that kind: its form, its ranges, its check
digits. None raises. A number of the right form may still belong to nobody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Issuers of cards: first and last prefix, and the lengths that they use. RuPay, Elo and Troy share
# prefixes of Discover and Maestro. Source: ISO/IEC 7812-1 for the form; the published ranges of
# Visa, Mastercard, American Express, Diners Club, Discover, JCB, UnionPay, Mir and Maestro.
_ISSUERS: Final[tuple[tuple[str, str, frozenset[int]], ...]] = (
    ("4", "4", frozenset({13, 16, 19})),
    ("51", "55", frozenset({16})),
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),
    ("37", "37", frozenset({15})),
    ("300", "305", frozenset({14, 16})),
    ("3095", "3095", frozenset({14, 16})),
    ("36", "36", frozenset({14})),
    ("38", "39", frozenset({14, 16})),
    ("6011", "6011", frozenset({16, 19})),
    ("644", "649", frozenset({16, 19})),
    ("65", "65", frozenset({16, 19})),
    ("3528", "3589", frozenset({16, 19})),
    ("62", "62", frozenset({16, 17, 18, 19})),
    ("81", "81", frozenset({16, 17, 18, 19})),
    ("2200", "2204", frozenset({16, 19})),
    ("50", "50", frozenset({16, 19})),
    ("56", "58", frozenset({16, 18, 19})),
    ("60", "60", frozenset({16, 19})),
    ("63", "63", frozenset({16, 18, 19})),
    ("67", "67", frozenset({16, 18, 19})),
)
# Length of an IBAN for each country. Source: SWIFT, IBAN Registry (ISO 13616-2), release 99.
IBAN_LENGTHS: Final = {
    country: int(length)
    for length, countries in (
        line.split(":")
        for line in (
            "15:NO",
            "16:BE",
            "18:DK FI FK FO GL NL SD",
            "19:MK SI",
            "20:AT BA EE KZ LT LU MN XK",
            "21:CH HR LI LV",
            "22:BG BH CR DE GB GE IE ME RS VA",
            "23:AE GI IL IQ OM SO TL",
            "24:AD CZ ES MD PK RO SA SE SK TN VG",
            "25:LY PT ST",
            "26:IS TR",
            "27:BI DJ FR GR IT MC MR SM",
            "28:AL AZ BY CY DO GT HN HU LB NI PL SV",
            "29:BR EG PS QA UA",
            "30:JO KW MU YE",
            "31:MT SC",
            "32:LC",
            "33:RU",
        )
    )
    for country in countries.split()
}
_GROUPED: Final = re.compile(r"[0-9]+(?:[ -][0-9]+)*")
_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,29}")
_IMEI: Final = re.compile(
    r"(?:01|10|3[035]|4[459]|5[0-4]|86|9[189])[ -]?[0-9]{6}[ -]?[0-9]{6}[ -]?[0-9]"
)
# The tables of Verhoeff's scheme: multiplication in the dihedral group D5, and its permutations.
# Source: J. Verhoeff, "Error Detecting Decimal Codes", 1969, §4.
_D5: Final = tuple(
    tuple(
        (i + j) % 5
        if i < 5 and j < 5  # noqa: PLR2004 - the group's order is ten, five of them rotations
        else 5 + (i + j) % 5
        if i < 5  # noqa: PLR2004
        else 5 + (i - j) % 5
        if j < 5  # noqa: PLR2004
        else (i - j) % 5
        for j in range(10)
    )
    for i in range(10)
)
_TURN: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def digits(value: str) -> str:
    """The digits of what is digits in groups, by single spaces or hyphens; else nothing."""
    return value.replace(" ", "").replace("-", "") if _GROUPED.fullmatch(value) else ""


def weighted(text: Iterable[str], weights: Sequence[int]) -> int:
    """The sum of the digits, each times its weight; as many as there are weights."""
    return sum(int(digit) * weight for digit, weight in zip(text, weights, strict=False))


def luhn(text: str) -> bool:
    """Whether digits end in their check digit by Luhn. Source: ISO/IEC 7812-1, Annex B."""
    total = 0
    for place, digit in enumerate(reversed(text)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number  # noqa: PLR2004 - the digits of 10 to 18
    return bool(text) and total % 10 == 0


def verhoeff(text: str) -> bool:
    """Whether digits end in their check digit by Verhoeff's scheme. Source: as _D5."""
    check = 0
    for place, digit in enumerate(reversed(text)):
        number = int(digit)
        for _ in range(place % 8):
            number = _TURN[number]
        check = _D5[check][number]
    return bool(text) and check == 0


def mod_11_10(text: str) -> bool:
    """Whether digits end in their check digit. Source: ISO/IEC 7064, §10, hybrid MOD 11,10."""
    product = 10
    for digit in text[:-1]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return bool(text) and (product + int(text[-1])) % 10 == 1


def ean_13(text: str) -> bool:
    """Whether 13 digits end in their check digit. Source: GS1 General Specifications, §7.9.1."""
    return len(text) == 13 and weighted(text, (1, 3) * 6 + (1,)) % 10 == 0  # noqa: PLR2004


def card(value: str) -> bool:
    """Whether it is a payment card's number: an issuer's prefix and length, and Luhn's digit.

    Source: ISO/IEC 7812-1.
    """
    text = digits(value)
    issued = any(
        first <= text[: len(first)] <= last and len(text) in lengths
        for first, last, lengths in _ISSUERS
    )
    return issued and luhn(text)


def iban(value: str) -> bool:
    """Whether it is an IBAN: a country's length, and 1 modulo 97. Source: ISO 13616-1, §5, §6."""
    text = value.replace(" ", "").upper()
    if not _IBAN.fullmatch(text) or IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def imei(value: str) -> bool:
    """Whether it is an IMEI: 15 digits, the prefix of a reporting body, and Luhn's digit.

    Source: 3GPP TS 23.003 §6.2; GSMA TS.06, the reporting bodies' identifiers, former ones too.
    """
    return bool(_IMEI.fullmatch(value)) and luhn(re.sub("[ -]", "", value))
