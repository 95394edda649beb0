"""What one value looks like, from its text alone.

A sign names a *kind*, and a kind belongs to a class of masking. Kinds are finer than classes: that
every value of a column passes one and the same check says something; that each passes some check
does not.

Nothing is kept of a value. Every pattern is applied to a bounded text, and none can be entered from
two places within one run of characters, so the work grows with the length and no faster.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.access.suggestion import checksum, credential, national
from chalicelib.access.suggestion.leaf import leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHARACTERS: Final = 2_000  # of a text; the rest is not looked at
MAX_WHOLE_CHARACTERS: Final = 320  # of an e-mail address, RFC 5321 §4.5.3.1: 64, @, 255
MAX_WORDS: Final = 100  # of a text that are looked at one by one
WEAK: Final = 0.05  # a chance from which on a check digit is all there is to a kind
SURE, LIKELY, POSSIBLE, NEVER = "sure", "likely", "possible", ""


class Kind(NamedTuple):
    """A kind of value. ``chance``: of values that are something else, how many pass, about.

    ``alone``: how sure a column's class can be by such values alone; NEVER: its name has to say it.
    """

    klass: str
    shown: str
    chance: float
    alone: str


KINDS: Final[dict[str, Kind]] = {
    "email": Kind("email", "e-mail addresses", 0.000_001, SURE),
    "phone": Kind("phone", "phone numbers with a country code", 0.000_001, SURE),
    "phone-national": Kind("phone", "phone numbers as they are written in a country", 0.02, LIKELY),
    "phone-digits": Kind("phone", "digits as many as a phone number has", 0.5, NEVER),
    "card": Kind("card", "card numbers with a right check digit", 0.03, SURE),
    "iban": Kind("iban", "IBANs with right check digits", 0.000_001, SURE),
    "imei": Kind("device", "IMEIs with a right check digit", 0.03, LIKELY),
    "mac": Kind("device", "MAC addresses", 0.000_001, SURE),
    "ip": Kind("ip", "IP addresses", 0.000_001, SURE),
    "ip-or-version": Kind("ip", "IP addresses or versions of four numbers", 0.02, POSSIBLE),
    "secret": Kind("secret", "tokens or keys of a known form", 0.000_001, SURE),
    "password-hash": Kind("secret", "hashes of passwords", 0.000_001, SURE),
    "token": Kind("secret", "random tokens", 0.05, POSSIBLE),
    "digest": Kind("secret", "digests or keys in hexadecimal", 0.5, NEVER),
    "coordinates": Kind("location", "pairs of latitude and longitude", 0.01, LIKELY),
    "date": Kind("birth-date", "dates that somebody can be born on", 0.5, NEVER),
    "gender": Kind("special", "words for a sex or gender", 0.01, POSSIBLE),
    "diagnosis": Kind("special", "codes of the form of ICD-10", 0.05, POSSIBLE),
    "full-name": Kind(
        "name", "two or three capitalised words, as names of people are", 0.1, POSSIBLE
    ),
    **{
        # By one check digit alone it can be a number of somebody else's: of customers, of parcels.
        name: Kind("national-id", one.shown, one.chance, SURE if one.chance < WEAK else LIKELY)
        for name, one in national.KINDS.items()
    },
}


class Sign(NamedTuple):
    """``within``: it is a part of the value, a leaf of a document or a place in a text."""

    kind: str
    within: bool = False


_LOCAL = re.compile(r"[\w.!#$%&*+/=?^`{|}~'-]{1,64}\Z")
_DOMAIN = re.compile(r"[^\W_](?:[\w-]{0,62})(?:\.[^\W_][\w-]{0,62}){1,8}")
_NO_DOMAINS: Final = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "html"})
# After 00 alone a country code is not told from a number with zeros; after 0049 and a space it is.
_PHONE = re.compile(
    r"(?:\+|00(?=[1-9][0-9]{0,3}[ ()./-]))[1-9](?:[ ()./-]{0,2}[0-9]){6,14}"
    r"(?: ?(?:x|ext\.?) ?[0-9]{1,6})?"
)
_PHONE_WITHIN = re.compile(r"\+[1-9](?:[ ()./-]{0,2}[0-9]){7,14}")
_NANP = re.compile(
    r"(?:1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])[2-9][0-9]{2}[ .-][0-9]{4}"
)
_NATIONAL = re.compile(r"(?:\(0[0-9]{1,5}\)|0[0-9]{1,5})(?:(?: ?[/-] ?|[ .])[0-9]{2,8}){1,5}")
_DIGITS = re.compile(r"[0-9]{7,15}")
_IP_V4 = re.compile(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})(?:[/:][0-9]{1,5})?")
_IP_V6 = re.compile(r"[0-9A-Fa-f:.]{3,45}(?:/[0-9]{1,3})?")
_MAC = re.compile(
    r"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}"
)
_PAIR = re.compile(
    r"\(?(-?[0-9]{1,3}\.[0-9]{3,17}) ?[,; ] ?(-?[0-9]{1,3}\.[0-9]{3,17})\)?", re.ASCII
)
_POINT = re.compile(r"(?:SRID=[0-9]{1,6};)?POINT ?Z?M? ?\(", re.IGNORECASE)
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})(?:[ T].{0,30})?"
    r"|([0-9]{1,2})[./-]([0-9]{1,2})[./-]([0-9]{4})|([0-9]{4})/?([0-9]{2})/?([0-9]{2})"
)
_GENDER = re.compile(
    "(?:fe)?male|non[ _-]?binary|divers[e]?|m(?:ä|ae)nnlich|weiblich|homme|femme|masculin[o]?"
    "|f[ée]minin|fem[ei]nino|hombre|mujer|homem|mulher|maschio|femmina|man|vrouw|trans(?:gender)?",
    re.IGNORECASE,
)
_DIAGNOSIS = re.compile(r"[A-TV-Z][0-9][0-9AB]\.[0-9A-Z]{1,4}")
_FULL_NAME = re.compile(r"[^\W\d_][\w'\u2019.-]{1,29}(?: [^\W\d_][\w'\u2019.-]{0,29}){1,2}")
_CARD_WITHIN = re.compile(r"(?<![0-9A-Za-z])[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z])")
_IBAN_WITHIN = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}")
_WORD = re.compile(r"[^\s,;()<>\"'\[\]]{7,40}")
_PROSE_WORDS: Final = 5
_BORN: Final = (1900, 2100)  # years of birth, this century's to come as well: no clock is read here


def looks(value: str) -> frozenset[Sign]:
    """The signs of one value as the server writes it; of a structured value, of its leaves."""
    inner = leaves(value)
    if inner is None:
        return frozenset(_text(value.strip()[:MAX_CHARACTERS]))
    found = {sign.kind for one in inner for sign in _text(one.strip()[:MAX_CHARACTERS])}
    # JSON and arrays hold numbers and words of all kinds: only what is sure by itself is told.
    return frozenset(Sign(kind, within=True) for kind in found if _told_apart(kind))


def _told_apart(kind: str) -> bool:
    return KINDS[kind].alone == SURE and KINDS[kind].chance < WEAK


def prose(value: str) -> bool:
    """Whether it is a text of at least five words, most of its characters letters."""
    text = value[:MAX_CHARACTERS]
    words = text.split()
    letters = sum(char.isalpha() for char in text)
    return len(words) >= _PROSE_WORDS and letters * 2 > len(text)


def _text(text: str) -> Iterator[Sign]:
    whole = list(_whole(text)) if len(text) <= MAX_WHOLE_CHARACTERS else []
    if credential.jwt(text):
        whole.append("secret")
    yield from map(Sign, whole)
    if not any(KINDS[kind].alone for kind in whole) or len(text) > MAX_WHOLE_CHARACTERS:
        yield from (Sign(kind, within=True) for kind in _within(text))


def _whole(text: str) -> Iterator[str]:
    """The kinds that the whole of a text is."""
    if "@" in text and _email_at(text, text.find("@")) == text:
        yield "email"
    yield from _phones(text)
    yield from _addresses(text)
    if credential.hashed(text):
        yield "password-hash"
    elif credential.issued(text) and (len(text.split()) == 1 or text.startswith("-----BEGIN")):
        yield "secret"
    elif credential.digest(text):
        yield "digest"
    elif credential.token(text):
        yield "token"
    if checksum.iban(text):
        yield "iban"
    if len(text) <= _WORD_CHARACTERS and sum(char.isdecimal() for char in text) >= _LEAST_DIGITS:
        yield from _numbers(text)
    yield from _words(text)


_WORD_CHARACTERS: Final = 40
_LEAST_DIGITS: Final = 3


def _numbers(text: str) -> Iterator[str]:
    if checksum.card(text):
        yield "card"
    if checksum.imei(text):
        yield "imei"
    for name, one in national.KINDS.items():
        if one.check(text):
            yield name
    pair = _PAIR.fullmatch(text)
    if (pair and _on_earth(float(pair[1]), float(pair[2]))) or _POINT.match(text):
        yield "coordinates"
    date = _DATE.fullmatch(text)
    if date and _BORN[0] <= int(date[1] or date[6] or date[7]) <= _BORN[1]:
        yield "date"
    if _DIAGNOSIS.fullmatch(text):
        yield "diagnosis"


def _on_earth(one: float, other: float) -> bool:
    """Whether it is a latitude and a longitude, in either order."""
    return min(abs(one), abs(other)) <= 90 and max(abs(one), abs(other)) <= 180  # noqa: PLR2004


def _words(text: str) -> Iterator[str]:
    if _GENDER.fullmatch(text):
        yield "gender"
    if _FULL_NAME.fullmatch(text) and all(word[0].isupper() for word in text.split()):
        yield "full-name"


def _phones(text: str) -> Iterator[str]:
    if _PHONE.fullmatch(text):
        yield "phone"
    elif _NANP.fullmatch(text) or (_NATIONAL.fullmatch(text) and _dialled(text)):
        yield "phone-national"
    elif _DIGITS.fullmatch(text):
        yield "phone-digits"


def _dialled(text: str) -> bool:
    """Whether it has as many digits as are dialled, and is neither a date nor a decimal."""
    number = sum(char.isdecimal() for char in text)
    return 8 <= number <= 13 and not _DATE.fullmatch(text) and text[:2] != "0."  # noqa: PLR2004


def _addresses(text: str) -> Iterator[str]:
    """IP and MAC addresses."""
    v4 = _IP_V4.fullmatch(text)
    if v4 is not None and all(_is_octet(octet) for octet in v4.groups()):
        yield "ip" if _is_no_version([int(octet) for octet in v4.groups()]) else "ip-or-version"
    elif text.count(":") > 1 and _IP_V6.fullmatch(text) and _is_v6(text.partition("/")[0]):
        yield "ip"
    if _MAC.fullmatch(text):
        yield "mac"


def _is_octet(text: str) -> bool:
    return int(text) < 256 and str(int(text)) == text  # noqa: PLR2004 - eight bits


def _is_no_version(octets: list[int]) -> bool:
    """Whether four numbers are an address for certain: versions have small numbers, all of them."""
    return max(octets) > 40 or octets[0] == 10  # noqa: PLR2004 - RFC 1918 §3: 10/8


def _is_v6(text: str) -> bool:
    try:
        return IPv6Address(text).packed[:4] != bytes(4) or text == "::1"
    except ValueError:
        return False


def _email_at(text: str, at: int) -> str:
    """The e-mail address around an ``@``, or nothing."""
    local = _LOCAL.search(text[max(0, at - 64) : at])
    domain = _DOMAIN.match(text, at + 1, at + 256)
    if local is None or domain is None or text[:at].rfind("://") > text[:at].rfind(" "):
        return ""
    top = domain[0].rpartition(".")[2]
    if not top.isalpha() or len(top) < 2 or top.lower() in _NO_DOMAINS:  # noqa: PLR2004
        return ""
    if text[domain.end() : domain.end() + 1] in {":", "/", "@"}:  # git@example.com:a/b.git
        return ""
    return f"{local[0]}@{domain[0]}"


def _within(text: str) -> Iterator[str]:
    """The kinds that are somewhere in a text; those alone that are told from all else by form."""
    at = text.find("@")
    for _ in range(MAX_WORDS):
        if at < 0:
            break
        if _email_at(text, at):
            yield "email"
            break
        at = text.find("@", at + 1)
    if _PHONE_WITHIN.search(text):
        yield "phone"
    if any(checksum.card(found[0]) for found in _CARD_WITHIN.finditer(text)):
        yield "card"
    if any(_iban(found[0]) for found in _IBAN_WITHIN.finditer(text)):
        yield "iban"
    if credential.issued(text):
        yield "secret"
    words = _WORD.findall(text)[:MAX_WORDS]
    if len(words) > 1 or " " in text:
        yield from {kind for word in words for kind in _word(word.strip(".:!?"))}


def _word(word: str) -> Iterator[str]:
    yield from (kind for kind in _addresses(word) if KINDS[kind].alone == SURE)
    if credential.jwt(word):
        yield "secret"
    if sum(char.isdecimal() for char in word) >= 6:  # noqa: PLR2004 - no number has fewer
        yield from (
            name
            for name, one in national.KINDS.items()
            if one.chance <= 0.01 and one.check(word)  # noqa: PLR2004 - by more than a check digit
        )


def _iban(text: str) -> bool:
    joined = text.replace(" ", "")
    return checksum.iban(joined[: checksum.IBAN_LENGTHS.get(joined[:2], 0)])
