"""Numbers that states give to people, by their forms, ranges and check digits.

Each function answers for one value as it is written, with its usual separators, and none raises.
``KINDS`` has all of them with how often a value of the right form, made at random, passes: what is
judged from many values has to be more than that chance.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.access.suggestion.checksum import (
    digits,
    ean_13,
    luhn,
    mod_11_10,
    verhoeff,
    weighted,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_SSN = re.compile(r"([0-9]{3})([ -]?)([0-9]{2})\2([0-9]{4})")
_SIN = re.compile(r"[1-79][0-9]{2}([ -]?)[0-9]{3}\1[0-9]{3}")
_PERSONNUMMER = re.compile(r"(?:19|20)?([0-9]{2})([0-9]{2})([0-9]{2})[-+]?([0-9]{4})")
_NINO = re.compile(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]")
_NO_NINO: Final = frozenset({"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"})
_NIR = re.compile(
    r"[1-478] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|20|3[0-9]|4[0-2]|[5-9][0-9]) ?(?:[0-9]{2}|2[AB])"
    r" ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}"
)
_DNI = re.compile(r"([0-9]{8}|[XYZ][0-9]{7})-?([A-Z])")
_DNI_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_CODICE = re.compile(r"[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]")
_CODICE_ODD: Final = bytes.fromhex("01000507090d0f11131502041214 0b0306080c0e100a16191817")
_BELGIAN = re.compile(r"[0-9]{2}[. ]?[0-9]{2}[. ]?[0-9]{2}[- ]?[0-9]{3}[. -]?[0-9]{2}")
_CPF = re.compile(r"[0-9]{3}(\.?)[0-9]{3}\1[0-9]{3}-?[0-9]{2}")
_CNPJ = re.compile(r"[0-9A-Z]{2}\.?[0-9A-Z]{3}\.?[0-9A-Z]{3}/?[0-9A-Z]{4}-?[0-9]{2}")
_AADHAAR = re.compile(r"[2-9][0-9]{3}([ -]?)[0-9]{4}\1[0-9]{4}")
_HETU = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})([-+A-FU-Y])([0-9]{3})([0-9A-FHJ-NPR-Y])")
_HETU_CHECK: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_TFN = re.compile(r"[0-9]{3}( ?)[0-9]{3}\1[0-9]{3}")
_AHV = re.compile(r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}")
_NHS = re.compile(r"[0-9]{3}([ -]?)[0-9]{3}\1[0-9]{4}")
_FODSELSNUMMER = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2}) ?([0-9]{5})")
_NIF = re.compile(r"[1-35689][0-9]{2} ?[0-9]{3} ?[0-9]{3}")
_CHINESE = re.compile(r"[1-8][0-9]{5}([0-9]{4})([0-9]{2})([0-9]{2})[0-9]{3}[0-9X]")
_AUSTRIAN = re.compile(r"([1-9][0-9]{2})([0-9]) ?([0-9]{2})([0-9]{2})([0-9]{2})")


def _only(value: str) -> str:
    """Letters and digits."""
    return re.sub("[^0-9A-Z]", "", value)


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        return bool(date(year, month, day))
    except ValueError:
        return False


def _day_of_some_century(year: str, month: str, day: str) -> bool:
    """Whether two digits of a year, month and day are a day: in 19.. or 20.., for 29 February."""
    return any(_is_day(century + int(year), int(month), int(day)) for century in (1900, 2000))


def ssn(value: str) -> bool:
    """United States, Social Security number: ranges alone, it has no check digit.

    Source: Social Security Administration, POMS RM 10201.030 and "SSN randomization" (2011): no
    area 000, 666 or 900 to 999, no group 00, no serial 0000; nor the two that advertising used up.
    """
    found = _SSN.fullmatch(value)
    if found is None or found[1] + found[3] + found[4] in {"078051120", "219099999"}:
        return False
    # With nothing between them nine digits are nine digits: at least the hyphens have to be there.
    area = int(found[1])
    return (
        found[2] != ""
        and 0 < area < 900  # noqa: PLR2004 - as above
        and area != 666  # noqa: PLR2004
        and found[3] != "00"
        and found[4] != "0000"
    )


def sin(value: str) -> bool:
    """Canada, Social Insurance Number: Luhn; 0 and 8 begin none of a person's.

    Source: Employment and Social Development Canada, "Social Insurance Number code of practice".
    """
    return bool(_SIN.fullmatch(value)) and luhn(digits(value))


def personnummer(value: str) -> bool:
    """Sweden, personal and coordination number (day plus 60): a date and Luhn over ten digits.

    Source: Skatteverket, SKV 704 and SKV 707.
    """
    found = _PERSONNUMMER.fullmatch(value)
    if found is None:
        return False
    day = int(found[3])
    day -= 60 if day > 60 else 0  # noqa: PLR2004 - SKV 707
    return _day_of_some_century(found[1], found[2], str(day)) and luhn("".join(found.groups()))


def nino(value: str) -> bool:
    """United Kingdom, National Insurance number: letters that are given out; no check digit.

    Source: HMRC, NIM39110.
    """
    upper = value.upper()
    return bool(_NINO.fullmatch(upper)) and upper[:2] not in _NO_NINO


def nir(value: str) -> bool:
    """France, numéro d'inscription au répertoire: 13 characters and 97 less their remainder by 97.

    Corsica's 2A and 2B count as 19 and 18. Source: INSEE, décret n° 82-103, article 4.
    """
    upper = value.upper()
    if not _NIR.fullmatch(upper):
        return False
    text = upper.replace(" ", "").replace("2A", "19").replace("2B", "18")
    return text.isdecimal() and 97 - int(text[:13]) % 97 == int(text[13:])


def steuer_id(value: str) -> bool:
    """Germany, Identifikationsnummer: MOD 11,10; of ten digits just one is there twice or thrice.

    Source: § 139b AO and Steueridentifikationsnummerverordnung; BZSt, "Prüfziffernberechnung".
    """
    text = digits(value)
    if len(text) != 11 or text[0] == "0":  # noqa: PLR2004 - as above
        return False
    often = [text[:10].count(digit) for digit in set(text[:10])]
    return max(often) in {2, 3} and sum(count > 1 for count in often) == 1 and mod_11_10(text)


def dni(value: str) -> bool:
    """Spain, DNI and NIE: the letter of the remainder by 23; X, Y and Z stand for 0, 1 and 2.

    Source: Real Decreto 1553/2005, article 11; Orden INT/2058/2008 for the NIE.
    """
    found = _DNI.fullmatch(value.upper())
    if found is None:
        return False
    number = int(found[1].translate(str.maketrans("XYZ", "012")))
    return _DNI_LETTERS[number % 23] == found[2]


def codice_fiscale(value: str) -> bool:
    """Italy, codice fiscale of a person: 15 characters and a letter of their weights modulo 26.

    Source: decreto ministeriale 23 dicembre 1976, articles 3 to 8.
    """
    text = value.upper()
    if not _CODICE.fullmatch(text):
        return False
    places = [int(char) if char.isdecimal() else ord(char) - ord("A") for char in text]
    total = sum(place if at % 2 else _CODICE_ODD[place] for at, place in enumerate(places[:15]))
    return total % 26 == places[15]


def bsn(value: str) -> bool:
    """Netherlands, burgerservicenummer: nine digits, the elfproef with a weight of -1 at the end.

    Source: Logisch Ontwerp BSN, RvIG, §2.2.
    """
    text = digits(value)
    if len(text) != 9 or len(set(text)) == 1:  # noqa: PLR2004 - as above
        return False
    return weighted(text, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def belgian(value: str) -> bool:
    """Belgium, Rijksregisternummer: a date, a counter, and 97 less the remainder by 97.

    Of those born from 2000 on, a 2 stands before the nine digits. Months and days may be 0, and
    a month may be 20 or 40 more (bis numbers). Source: Koninklijk besluit of 3 April 1984.
    """
    text = _only(value) if _BELGIAN.fullmatch(value) else ""
    if not text or int(text[2:4]) % 20 > 12 or int(text[4:6]) > 31:  # noqa: PLR2004 - as above
        return False
    check = int(text[9:])
    return text[6:9] not in {"000", "999"} and any(
        97 - int(before + text[:9]) % 97 == check for before in ("", "2")
    )


def pesel(value: str) -> bool:
    """Poland, PESEL: a date with the century in its month, and a weighted check digit.

    Source: ustawa o ewidencji ludności, articles 15 to 17.
    """
    if len(value) != 11 or not (value.isascii() and value.isdecimal()):  # noqa: PLR2004
        return False
    century = (1900, 2000, 2100, 2200, 1800)[int(value[2]) // 2]
    if not _is_day(century + int(value[:2]), int(value[2:4]) % 20, int(value[4:6])):
        return False
    return weighted(value, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _brazilian(text: str, most: int) -> bool:
    """Whether the last two digits are remainders by 11; weights go up to ``most``, and again."""
    for length in (len(text) - 2, len(text) - 1):
        total = sum(
            (ord(char) - 48) * (2 + at % (most - 1))  # letters count from 17 on
            for at, char in enumerate(reversed(text[:length]))
        )
        rest = 11 - total % 11
        if (0 if rest > 9 else rest) != int(text[length]):  # noqa: PLR2004 - one digit
            return False
    return len(set(text)) > 1


def cpf(value: str) -> bool:
    """Brazil, CPF of a person: two check digits. Source: Receita Federal, IN RFB 2172/2024."""
    return bool(_CPF.fullmatch(value)) and _brazilian(_only(value), 11)


def cnpj(value: str) -> bool:
    """Brazil, CNPJ of a firm, often of one person: as CPF; with letters from July 2026 on.

    Source: Receita Federal, IN RFB 2229/2024.
    """
    return bool(_CNPJ.fullmatch(value)) and _brazilian(_only(value), 9)


def aadhaar(value: str) -> bool:
    """India, Aadhaar: 12 digits, none of which begin with 0 or 1, and Verhoeff's digit.

    Source: UIDAI, "Aadhaar Number Format" of the Authentication API specification.
    """
    return bool(_AADHAAR.fullmatch(value)) and verhoeff(_only(value))


def hetu(value: str) -> bool:
    """Finland, henkilötunnus: a date, a sign of its century, and one of 31 check characters.

    Source: Digital and Population Data Services Agency; valtioneuvoston asetus 128/2010, 690/2022.
    """
    found = _HETU.fullmatch(value.upper())
    if found is None:
        return False
    sign = found[4]
    century = 1800 if sign == "+" else 2000 if sign in "ABCDEF" else 1900
    if not _is_day(century + int(found[3]), int(found[2]), int(found[1])):
        return False
    number = int(found[1] + found[2] + found[3] + found[5])
    return int(found[5]) > 1 and _HETU_CHECK[number % 31] == found[6]


def tfn(value: str) -> bool:
    """Australia, tax file number of nine digits: weighted, 0 modulo 11.

    Source: Australian Taxation Office, "Tax file number (TFN) algorithm".
    """
    text = _only(value) if _TFN.fullmatch(value) else ""
    return len(set(text)) > 1 and weighted(text, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def ahv(value: str) -> bool:
    """Switzerland, AHV number: 756 and the check digit of EAN-13.

    Source: Verordnung über die AHV (AHVV), article 133.
    """
    return bool(_AHV.fullmatch(value)) and ean_13(value.replace(".", ""))


def nhs(value: str) -> bool:
    """United Kingdom, NHS number: ten digits, modulo 11. Source: NHS Data Dictionary."""
    text = _only(value) if _NHS.fullmatch(value) else ""
    if len(set(text)) < 2:  # noqa: PLR2004 - one digit over and over is a filler
        return False
    return (11 - weighted(text, range(10, 1, -1)) % 11) % 11 == int(text[9])


def fodselsnummer(value: str) -> bool:
    """Norway, fødselsnummer and D number (day plus 40): a date and two check digits.

    Source: Skatteetaten, "Fødselsnummer"; folkeregisterforskriften § 2-2-1.
    """
    found = _FODSELSNUMMER.fullmatch(value)
    if found is None:
        return False
    day = int(found[1])
    day -= 40 if day > 40 else 0  # noqa: PLR2004 - as above
    text = "".join(found.groups())
    return (
        _day_of_some_century(found[3], found[2], str(day))
        and weighted(text, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
        and weighted(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    )


def nif(value: str) -> bool:
    """Portugal, NIF: nine digits, modulo 11, 0 where 10 would be. Source: Decreto-Lei 14/2013."""
    text = _only(value) if _NIF.fullmatch(value) else ""
    if not text:
        return False
    rest = 11 - weighted(text, range(9, 1, -1)) % 11
    return (0 if rest > 9 else rest) == int(text[8])  # noqa: PLR2004 - one digit


def chinese(value: str) -> bool:
    """China, resident identity number: a date and MOD 11-2. Source: GB 11643-1999, §4."""
    text = value.upper()
    found = _CHINESE.fullmatch(text)
    if found is None or not 1850 < int(found[1]) < 2100:  # noqa: PLR2004 - of a living person
        return False
    if not _is_day(int(found[1]), int(found[2]), int(found[3])):
        return False
    weights = [2**place % 11 for place in range(17, 0, -1)]
    return "10X98765432"[weighted(text[:17], weights) % 11] == text[17]


def austrian(value: str) -> bool:
    """Austria, Versicherungsnummer: a counter, its check digit, a date of birth.

    Months 13 to 15 stand for a date that is not known. Source: § 31 ASVG; Dachverband der SV.
    """
    found = _AUSTRIAN.fullmatch(value)
    if found is None or not 1 <= int(found[4]) <= 15 or not 1 <= int(found[3]) <= 31:  # noqa: PLR2004
        return False
    text = found[1] + found[3] + found[4] + found[5]
    return weighted(text, (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11 == int(found[2])


class National(NamedTuple):
    """One kind of number. ``chance``: how many values of its form at random pass, about."""

    check: Callable[[str], bool]
    shown: str
    chance: float


# A date in the number, letters or separators that it has to have make coincidence rare; a check
# digit alone does not: one of eleven numbers of nine digits is somebody's in the Netherlands.
KINDS: Final = {
    "ssn": National(
        ssn, "US Social Security numbers", 0.01
    ),  # by its hyphens: 3-2-4 is no one else's
    "sin": National(sin, "Canadian Social Insurance Numbers", 0.1),
    "personnummer": National(personnummer, "Swedish personal numbers", 0.01),
    "nino": National(nino, "UK National Insurance numbers", 0.01),
    "nir": National(nir, "French NIR numbers", 0.01),
    "steuer_id": National(steuer_id, "German tax identification numbers", 0.02),
    "dni": National(dni, "Spanish DNI or NIE numbers", 0.01),
    "codice_fiscale": National(codice_fiscale, "Italian codici fiscali", 0.001),
    "bsn": National(bsn, "Dutch BSN numbers", 0.1),
    "belgian": National(belgian, "Belgian national numbers", 0.01),
    "pesel": National(pesel, "Polish PESEL numbers", 0.02),
    "cpf": National(cpf, "Brazilian CPF numbers", 0.01),
    "cnpj": National(cnpj, "Brazilian CNPJ numbers", 0.01),
    "aadhaar": National(aadhaar, "Indian Aadhaar numbers", 0.1),
    "hetu": National(hetu, "Finnish personal identity codes", 0.001),
    "tfn": National(tfn, "Australian tax file numbers", 0.1),
    "ahv": National(ahv, "Swiss AHV numbers", 0.001),
    "nhs": National(nhs, "NHS numbers", 0.1),
    "fodselsnummer": National(fodselsnummer, "Norwegian identity numbers", 0.001),
    "nif": National(nif, "Portuguese NIF numbers", 0.1),
    "chinese": National(chinese, "Chinese identity numbers", 0.001),
    "austrian": National(austrian, "Austrian insurance numbers", 0.02),
}
