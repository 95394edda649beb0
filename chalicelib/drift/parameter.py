"""Parameters that a provider declares, compared with what the server itself reports.

Pure: what AWS says and what pg_settings says in, disagreements out. A disagreement is claimed only
where it is certain that the two mean different things. Formulas, values that the server makes
itself, and what the reading session hides are named instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

USER: Final = "user"  # of ``Declared.source``: somebody set it
PENDING_REBOOT: Final = "pending-reboot"
APPLYING: Final = "applying"

REBOOT: Final = "pending reboot"
OVERRIDDEN: Final = "set in the database"
UNKNOWN: Final = "unknown"
_REASONS: Final = frozenset({REBOOT, OVERRIDDEN, UNKNOWN})

FORMULA: Final = "a formula over what is not known here"
ABSENT: Final = "PostgreSQL does not show it"
OF_SERVER: Final = "the server makes the value itself"
OF_PROVIDER: Final = "a default, and the provider runs the server with another one"
IN_MOTION: Final = "is being applied"
OF_SESSION: Final = "hidden by a value of the scanning role or connection"
AMBIGUOUS: Final = "set to different values for different instances"

# Source: pg_settings, column source; guc.c, GucSource_Names.
_OF_DATABASE: Final = frozenset({"database", "global"})  # ALTER DATABASE, ALTER ROLE ALL
_OF_SESSION: Final = frozenset({"client", "user", "database user", "session", "interactive"})
_OVERRIDE: Final = "override"
_ALTER_SYSTEM: Final = "postgresql.auto.conf"
_ALWAYS_THERE: Final = "data_directory"  # only who sees every parameter sees it
# What every connection sets for itself, and what is of the moment.
_OF_CONNECTION: Final = frozenset({
    "application_name", "client_encoding", "in_hot_standby", "is_superuser", "role", "seed",
    "session_authorization", "transaction_deferrable", "transaction_isolation",
    "transaction_read_only",
})  # fmt: skip
_FORMULA = re.compile(r"[{}]|\b(?:greatest|least|sum|log)\s*\(", re.IGNORECASE)

# Units of pg_settings and of values in files, in bytes and in microseconds. Source: guc.c.
UNITS: Final = {
    "B": ("size", Decimal(1)),
    "kB": ("size", Decimal(1024)),
    "8kB": ("size", Decimal(8192)),
    "MB": ("size", Decimal(1024**2)),
    "16MB": ("size", Decimal(16 * 1024**2)),
    "GB": ("size", Decimal(1024**3)),
    "TB": ("size", Decimal(1024**4)),
    "us": ("time", Decimal(1)),
    "ms": ("time", Decimal(1000)),
    "s": ("time", Decimal(1_000_000)),
    "min": ("time", Decimal(60_000_000)),
    "h": ("time", Decimal(3_600_000_000)),
    "d": ("time", Decimal(86_400_000_000)),
}
_NUMBER = re.compile(
    r"\s*([+-]?(?:[0-9]{1,24}(?:\.[0-9]{0,24})?|\.[0-9]{1,24})(?:[eE][+-]?[0-9]{1,2})?)"
    r"\s*([0-9]{0,2}[a-zA-Z]{0,3})\s*"
)
_FRACTION = re.compile(r"[.eE]")
_OCTAL = re.compile(r"0[0-7]{1,6}")
# Unique prefixes are booleans too. Source: documentation of PostgreSQL 18, §19.1.1.
_BOOLEANS: Final = {
    **dict.fromkeys(("on", "true", "tru", "tr", "t", "yes", "ye", "y", "1"), "on"),
    **dict.fromkeys(("off", "of", "false", "fals", "fal", "fa", "f", "no", "n", "0"), "off"),
}
# Words that mean another one. Source: PostgreSQL, guc_tables.c, the tables of options.
_SYNONYMS: Final[dict[str, dict[str, str]]] = {
    "wal_compression": {"on": "pglz"},
    "wal_level": {"archive": "replica", "hot_standby": "replica"},
    "password_encryption": {"on": "md5"},
}
_DEBUG: Final = {"debug": "debug2"}  # of every level of messages
# Values that are lists. Source: guc_tables.c, GUC_LIST_INPUT; pgaudit; RDS.
_LISTS: Final = frozenset({
    "createrole_self_grant", "datestyle", "debug_io_direct", "listen_addresses",
    "local_preload_libraries", "log_connections", "log_destination", "oauth_validator_libraries",
    "pgaudit.log", "rds.allowed_delegated_extensions", "rds.allowed_extensions",
    "restrict_nonsystem_relation_kind", "search_path", "session_preload_libraries",
    "shared_preload_libraries", "synchronous_standby_names", "temp_tablespaces",
    "unix_socket_directories", "wal_consistency_checking",
})  # fmt: skip
# Of these, the server reports more than was set: RDS adds libraries of its own, DateStyle has two.
_MORE_IS_FINE: Final = frozenset({"datestyle", "shared_preload_libraries"})
_ORDERED: Final = frozenset({"search_path"})
_ELEMENT = re.compile(r'"((?:[^"]|"")*)"|([^,]+)')


@dataclass(frozen=True, slots=True)
class Reported:
    """A row of pg_settings. ``value``: what every new session gets, unless ``source`` is its own.

    ``kind``: pg_settings.vartype, or nothing; ``file``: where the value stands, if that is shown.
    """

    value: str = field(repr=False)  # of some parameters, a secret
    unit: str
    source: str
    pending_restart: bool
    kind: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter as the provider has it. ``status``: of its group (``PENDING_REBOOT``, …).

    ``late``: takes effect with a reboot only. ``unit``: of a bare number, where the provider says.
    """

    name: str
    value: str = field(repr=False)
    source: str
    status: str = ""
    late: bool = False
    unit: str = ""


class Disagreement(NamedTuple):
    """What the provider declares and the server does not do; ``reason``: REBOOT and the like."""

    parameter: str
    declared: str
    reported: str
    unit: str
    reason: str


class Comparison(NamedTuple):
    """``uncompared``: why, by parameter. ``complete``: the reading role sees every parameter."""

    disagreements: list[Disagreement]
    uncompared: dict[str, str]
    complete: bool


def compare(declared: Iterable[Declared], reported: Mapping[str, Reported]) -> Comparison:
    """Every declared value with the server's, in the order of their names.

    A name that is declared with several values is ambiguous, and not compared.
    """
    rows = {name.lower(): row for name, row in reported.items()}
    asked: dict[str, set[Declared]] = {}
    for each in declared:
        if each.value and each.name.lower() not in _OF_CONNECTION:
            asked.setdefault(each.name.lower(), set()).add(each)
    found: list[Disagreement] = []
    uncompared: dict[str, str] = {}
    for name, several in sorted(asked.items()):
        one = min(several, key=lambda each: (each.value, each.status))
        row = rows.get(name)
        obstacle = _obstacle(several, row)
        if obstacle or row is None:
            uncompared[name] = obstacle
        elif not _agree(one, row):
            verdict = _judged(one, row)
            if verdict in _REASONS:
                found.append(Disagreement(name, one.value, row.value, row.unit, verdict))
            else:
                uncompared[name] = verdict
    return Comparison(found, uncompared, _ALWAYS_THERE in rows)


def _obstacle(several: set[Declared], row: Reported | None) -> str:
    """Why values cannot be compared at all; empty, where they can."""
    if len({each.value for each in several}) > 1:
        return AMBIGUOUS
    if any(_FORMULA.search(each.value) for each in several):
        return FORMULA
    if row is None:
        return ABSENT
    return OF_SESSION if row.source in _OF_SESSION else ""


def _judged(one: Declared, row: Reported) -> str:
    """Why the two differ: the reason of a disagreement, or why none can be claimed."""
    if row.source in _OF_DATABASE or row.file.rpartition("/")[2] == _ALTER_SYSTEM:
        return OVERRIDDEN
    if row.source == _OVERRIDE:
        return OF_SERVER
    if row.pending_restart or (one.late and one.status == PENDING_REBOOT):
        return REBOOT
    if one.source not in {USER, ""}:  # what is not told, somebody may have set
        return OF_PROVIDER
    return IN_MOTION if one.status == APPLYING else UNKNOWN


def _agree(one: Declared, row: Reported) -> bool:
    """Whether both may mean the same; True, where that cannot be excluded."""
    name, ours, theirs = one.name.lower(), one.value.strip(), row.value.strip()
    if ours.lower() == theirs.lower():
        return True
    if name in _LISTS:
        return _agree_as_lists(name, ours, theirs)
    if row.kind in {"integer", "real"}:
        return _agree_as_numbers(ours, one.unit, theirs, row.unit)
    if row.kind in {"bool", "enum"}:
        return _word(name, ours) == _word(name, theirs)
    return not row.kind and (
        _word(name, ours) == _word(name, theirs)
        or _agree_as_numbers(ours, one.unit, theirs, row.unit)
    )


def _word(name: str, text: str) -> str:
    word = text.lower()
    word = _BOOLEANS.get(word, word)
    return _SYNONYMS.get(name, _DEBUG).get(word, word)


def _agree_as_lists(name: str, ours: str, theirs: str) -> bool:
    wanted, found = _elements(name, ours), _elements(name, theirs)
    if name in _MORE_IS_FINE:
        return set(wanted) <= set(found)
    return wanted == found if name in _ORDERED else set(wanted) == set(found)


def _elements(name: str, text: str) -> list[str]:
    """The members of a list; booleans of log_connections as what they meant before 18."""
    members = [
        (quoted.replace('""', '"') if quoted else plain.strip()).lower()
        for quoted, plain in _ELEMENT.findall(text)
        if quoted or plain.strip()
    ]
    if name == "log_connections":
        word = _BOOLEANS.get("".join(members))
        if word is not None:
            return ["receipt", "authentication", "authorization"] if word == "on" else []
    return members


def _agree_as_numbers(ours: str, unit: str, theirs: str, their_unit: str) -> bool:
    """Whether two numbers are one. The mode of a file is octal, and may be shown as a decimal."""
    wanted = _number(ours, unit if unit in UNITS else their_unit)
    found = _number(theirs, their_unit)
    if wanted is None or found is None or (wanted[1] != found[1]):
        return False
    readings = {one[0] for one in (wanted, found)}
    octals = {Decimal(int(text, 8)) for text in (ours, theirs) if _OCTAL.fullmatch(text)}
    if len(readings) == 1 or len(octals) > 1:
        return len(readings) == 1
    if octals & readings:
        return True
    if not _FRACTION.search(theirs) and their_unit in UNITS:  # the server rounds to its unit
        return abs(wanted[0] - found[0]) < UNITS[their_unit][1]
    if not _FRACTION.search(ours + theirs):
        return False
    # reset_val has six digits of a real number. Source: guc_funcs.c, GetConfigOptionValues, "%g".
    return f"{wanted[0]:.5e}" == f"{found[0]:.5e}"


def _number(text: str, unit: str) -> tuple[Decimal, str] | None:
    """A number in its smallest unit, and what it measures; None, where it is none."""
    parsed = _NUMBER.fullmatch(text)
    if parsed is None:
        return None
    try:
        number = Decimal(parsed[1])
    except InvalidOperation:
        return None
    own = parsed[2] or unit
    if not own:
        return number, ""
    if own not in UNITS:
        return None
    measure, factor = UNITS[own]
    return number * factor, measure
