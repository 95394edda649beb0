"""Which class a column is of, how sure that is, and why: from its name, its type and counts.

The order of the rules is their weight; the first that answers decides. 1. What the server makes is
a key. 2. Documents are documents. 3. What a name says is secret or special is so, whatever its
values look like. 4. Nearly all values. 5. The name, as far as type and values allow it. 6. Some of
the values. 7. The type. 8. Long text. 9. What cannot be personal by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.access.masking.column import Family
from chalicelib.access.suggestion import naming
from chalicelib.access.suggestion.detect import KINDS, LIKELY, NEVER, POSSIBLE, SURE
from chalicelib.access.suggestion.tally import Group, Tally, beyond_chance, is_weak, tally

if TYPE_CHECKING:
    from chalicelib.access.suggestion.naming import Said
    from chalicelib.access.suggestion.specimen import Column

MOST: Final = 0.8  # of the values: the column holds that; the rest is "n/a" and misspelt
HALF: Final = 0.5  # of the values bear out a name that says so
SOME: Final = 0.02  # of the values: one in fifty of a column's rows is many rows
PROSE: Final = 0.3  # of the values are texts: people write there what they like
SURE_NUMBER: Final = 10  # values; of fewer nothing is sure
FEW: Final = 30  # different values of a status and the like, at most
_NUMBERS: Final = frozenset({Family.INT, Family.DECIMAL, Family.FLOAT})
_TIMES: Final = frozenset({Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ})
_DOCUMENTS: Final = frozenset({Family.JSON, Family.JSONB, Family.XML})
_GEOMETRY: Final = frozenset({"geometry", "geography", "point"})
_ANY: Final = frozenset({"*"})
# Which classes a name can say of a type; of text, any.
_ALLOWED: Final[dict[Family, frozenset[str]]] = {
    **dict.fromkeys(
        _NUMBERS,
        frozenset(
            {
                "account",
                "address",
                "birth-date",
                "card",
                "device",
                "financial",
                "location",
                "national-id",
                "personal",
                "phone",
                "postcode",
                "secret",
                "special",
            }
        ),
    ),
    **dict.fromkeys(_TIMES, frozenset({"birth-date", "special"})),
    Family.BOOL: frozenset({"special"}),
    Family.TIME: frozenset(),
    Family.INTERVAL: frozenset(),
    Family.RANGE: frozenset({"birth-date"}),
    Family.UUID: frozenset({"device", "secret"}),
    Family.INET: frozenset({"ip", "special"}),
    Family.MAC: frozenset({"device"}),
    Family.BYTEA: frozenset({"secret", "special", "personal", "document"}),
    Family.ENUM: frozenset({"special", "personal", "location"}),
    Family.TEXT: _ANY,
    Family.COMPOSITE: _ANY,
    Family.OTHER: _ANY,
}
# Secrets that are numbers; a number of tokens or keys is a count.
_NUMBER_SECRETS: Final = frozenset({"pin", "cvv", "cvc", "otp", "passcode", "security code"})
# Classes whose values have a form: a name that says so, and no value that looks so, contradict.
_FORMED: Final = frozenset({"email", "phone", "card", "iban", "ip", "birth-date", "location"})
WORDS: Final = {
    "email": "e-mail",
    "card": "payment card",
    "iban": "IBAN",
    "account": "an account's number",
    "national-id": "a number of a state's register",
    "name": "a person's name",
    "username": "a user's name",
    "address": "postal address",
    "birth-date": "date of birth",
    "ip": "IP address",
    "device": "a device",
    "special": "a special category of personal data",
    "free-text": "free text",
    "personal": "something about a person",
}


class Verdict(NamedTuple):
    """A class of the shipped ones, or "" for nothing found; sure, likely or possible; reasons."""

    klass: str = ""
    sure: str = ""
    why: tuple[str, ...] = ()


def judge(column: Column, table: str) -> Verdict:
    """The verdict on one column of a table of this name; foreign keys are not followed here."""
    said = naming.says(column.name, table)
    counts = tally(column.values, arrays=column.type.array)
    if column.type.family in _DOCUMENTS or column.type.name == "hstore":
        return Verdict("document", LIKELY, (_documents(column), *_inside(counts)))
    if column.primary and column.made and column.type.family in {Family.INT, Family.UUID}:
        return Verdict("public", POSSIBLE, ("it is a key that the server makes",))
    for rule in (_gravely, _by_values, _by_name, _mixed, _by_type, _by_length, _openly):
        verdict = rule(column, said, counts)
        if verdict is not None:
            return verdict
    return Verdict()


def _documents(column: Column) -> str:
    return f"its type, {column.type.family.value}, holds whatever is put there"


def _inside(counts: Tally) -> tuple[str, ...]:
    return tuple(
        f"{group.count} of {counts.number} sampled values have {KINDS[group.kinds[0]].shown} inside"
        for group in counts.groups
        if group.alone == SURE and not is_weak(group)
    )


def _gravely(column: Column, said: Said, counts: Tally) -> Verdict | None:
    """Secrets and special categories by name: nothing that their values look like is worse."""
    if said.klass not in {"secret", "special"} or not _allowed(column, said):
        return None
    borne = _borne(said, counts)
    why = (_named(said), *_supported(said, counts))
    if said.strong:
        return Verdict(said.klass, SURE if borne else LIKELY, why)
    return Verdict(said.klass, LIKELY, why) if borne else None


def _by_values(column: Column, said: Said, counts: Tally) -> Verdict | None:
    """What nearly all the values are."""
    del column
    found = [
        group
        for group in counts.groups
        if group.whole >= MOST * counts.number
        and beyond_chance(group.whole, counts.number, group.chance)
    ]
    agreeing = [group for group in found if group.klass == said.klass]
    if not agreeing and (said.role not in {"", naming.KEY} or said.strong):
        found = [group for group in found if group.alone != POSSIBLE]  # the name says otherwise
    if not found:
        return None
    group = min(agreeing or found, key=lambda one: (-_rank(one), one.chance, one.kinds))
    why = [f"{group.whole} of {counts.number} sampled values are {KINDS[group.kinds[0]].shown}"]
    sure = group.alone
    if agreeing:
        why.append(_named(said))
        sure = SURE
    if counts.number < SURE_NUMBER and sure == SURE:
        sure = LIKELY
    return Verdict(group.klass, sure, tuple(why))


def _rank(group: Group) -> int:
    return (NEVER, POSSIBLE, LIKELY, SURE).index(group.alone)


def _by_name(column: Column, said: Said, counts: Tally) -> Verdict | None:
    if not said.klass or not _allowed(column, said):
        return None
    why = (_named(said), *_supported(said, counts))
    if _borne(said, counts):
        return Verdict(said.klass, SURE if said.strong else LIKELY, why)
    if said.klass == "free-text" and counts.words >= PROSE * counts.number > 0:
        return Verdict(said.klass, SURE if said.strong else LIKELY, (*why, _texts(counts)))
    against = (
        said.klass in _FORMED
        and counts.number >= SURE_NUMBER
        and not counts.support.get(said.klass)
        and column.type.family is not Family.OTHER
        and not _is_coordinate(column, said)
    )
    if not against:
        return Verdict(said.klass, LIKELY if said.strong else POSSIBLE, why)
    if said.strong:
        none = f"none of {counts.number} sampled values looks so"
        return Verdict(said.klass, POSSIBLE, (*why, none))
    return None


def _is_coordinate(column: Column, said: Said) -> bool:
    """Whether it is one half of a pair: a number, or a place by its name, which has no form."""
    return said.klass == "location" and column.type.family in _NUMBERS | {Family.TEXT}


def _mixed(column: Column, said: Said, counts: Tally) -> Verdict | None:
    """What some of the values are, or have in them."""
    del column, said
    some = [
        group
        for group in counts.groups
        if group.alone == SURE
        and not is_weak(group)
        and group.count >= SOME * counts.number
        and beyond_chance(group.count, counts.number, group.chance)
    ]
    if not some:
        return None
    why = tuple(
        f"{group.count} of {counts.number} sampled values are or hold {KINDS[group.kinds[0]].shown}"
        for group in some
    )
    main = max(some, key=lambda one: one.whole)
    if counts.words >= PROSE * counts.number:
        return Verdict("free-text", LIKELY, (*why, _texts(counts)))
    if main.whole >= HALF * counts.number:
        return Verdict(main.klass, LIKELY, why)
    inside = sum(group.within for group in some) > sum(group.whole for group in some)
    return Verdict("free-text" if inside or counts.words else "personal", LIKELY, why)


def _by_type(column: Column, said: Said, counts: Tally) -> Verdict | None:
    del said, counts
    if column.type.family is Family.INET:
        return Verdict("ip", LIKELY, ("its type holds IP addresses",))
    if column.type.family is Family.MAC:
        return Verdict("device", SURE, ("its type holds MAC addresses",))
    if "tsvector" in {column.type.name, column.type.element[1]}:
        return Verdict("free-text", LIKELY, ("its type holds the words of texts",))
    if column.type.name in _GEOMETRY or column.type.element[1] in _GEOMETRY:
        return Verdict("location", POSSIBLE, ("its type holds places",))
    return None


def _by_length(column: Column, said: Said, counts: Tally) -> Verdict | None:
    """Text that people write as they like."""
    del said
    if counts.number and counts.words >= PROSE * counts.number:
        return Verdict("free-text", LIKELY, (_texts(counts),))
    if column.type.family is Family.TEXT and column.large > counts.number:
        return Verdict("free-text", LIKELY, ("most of its values were too large to be sampled",))
    return None


def _openly(column: Column, said: Said, counts: Tally) -> Verdict | None:
    """What cannot be personal by itself; never more than possible: a person has to agree."""
    family = column.type.family
    numeric = family in _NUMBERS
    reason = ""
    if family is Family.BOOL:
        reason = "it is yes or no"
    elif family is Family.ENUM:
        reason = "it is one of a list that its type has"
    elif column.primary and said.role == naming.KEY and family in {Family.INT, Family.UUID}:
        reason = "it is a key, and its name says no more"
    elif said.role == naming.COUNT and numeric:
        reason = "its name says that it counts or measures"
    elif said.role == naming.MOMENT and said.phrase in _MOMENT_WORDS and family in _TIMES:
        reason = _housekeeping(column)
    elif said.role == naming.ORDINARY and (numeric or _is_status(column, counts)):
        reason = f"its name says {said.phrase}"
        if counts.number:
            reason += f", and {counts.number} sampled values have {counts.distinct} different ones"
    return Verdict("public", POSSIBLE, (reason,)) if reason else None


_MOMENT_WORDS: Final = frozenset(
    {"at", "on", "date", "time", "ts", "timestamp", "created", "updated"}
)
# What is done to a row, and not by or to a person: when somebody logged in is about somebody.
_KEPT: Final = (
    "created",
    "updated",
    "modified",
    "inserted",
    "changed",
    "imported",
    "exported",
    "synced",
    "indexed",
    "archived",
    "deleted",
    "processed",
    "published",
    "ordered",
    "shipped",
    "valid",
    "expires",
)


def _housekeeping(column: Column) -> str:
    words = naming.words(column.name)[:2]
    found = next((one for one in _KEPT if one in words), "")
    return f"its name says when it is {found}" if found else ""


def _is_status(column: Column, counts: Tally) -> bool:
    """Whether a text is one of a few short words, as far as the sample tells."""
    return (
        column.type.family is Family.TEXT
        and not column.large
        and counts.short == counts.number
        and counts.distinct <= min(FEW, max(2, counts.number // 3))
    )


def _allowed(column: Column, said: Said) -> bool:
    """Whether a column of this type can be what its name says."""
    family = column.type.family
    allowed = _ALLOWED[family]
    if family in _NUMBERS and said.klass == "secret":
        return said.phrase in _NUMBER_SECRETS
    return allowed is _ANY or said.klass in allowed


def _borne(said: Said, counts: Tally) -> bool:
    """Whether enough values look like what the name says."""
    enough = counts.number >= SURE_NUMBER
    return enough and counts.support.get(said.klass, 0) >= HALF * counts.number


def _supported(said: Said, counts: Tally) -> tuple[str, ...]:
    number = counts.support.get(said.klass, 0)
    return (f"{number} of {counts.number} sampled values can be that",) if number else ()


def _named(said: Said) -> str:
    return f"its name says {WORDS.get(said.klass, said.klass)}"


def _texts(counts: Tally) -> str:
    return f"{counts.words} of {counts.number} sampled values are texts of five words and more"
