"""Attacks on masking views: which there are, what they are judged by, and what came of them.

Nothing is sent here. A holder's statements are data (:mod:`tries`), ``postgres.attack`` runs them
with a lease's own credential, and this module says what an answer means:

1. What must be refused, and is not, is a leak.
2. Whatever comes back of any attack (rows, COPY, every field of errors and notices, plans, names)
   is searched for clear values of the masked columns, of columns that are left out, and of rows
   that a filter hides. One of them is a leak.
3. What could not be tried, timed out, or had no value to be judged by is untold, never held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import msgspec

from chalicelib.access.attack import planner, reading, rights, server
from chalicelib.access.attack.clues import Seeker, Values, chosen, parts
from chalicelib.access.masking.spec import CLEAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.access.attack.tries import Attack, Try

__all__ = ["ATTACKS", "Exposed", "Outcome", "Seeker", "Values"]

Verdict: TypeAlias = Literal["held", "leaked", "untold"]

ATTACKS: Final[tuple[Attack, ...]] = (
    *reading.ATTACKS,
    *planner.ATTACKS,
    *rights.ATTACKS,
    *server.ATTACKS,
)
# A masked value of such a column may be the clear one of the same row, or of another: numbers and
# dates stay within their own kind. Or the order is kept. What the view shows there is no clue.
COARSE: Final = frozenset(
    {
        "bucket",
        "constant",
        "digits",
        "email",
        "generalise",
        "json",
        "network",
        "noise",
        "partial",
        "shift",
    }
)
# SQLSTATEs of a refusal: insufficient_privilege, feature_not_supported, wrong_object_type.
REFUSED: Final = frozenset({"42501", "0A000", "42809"})
# Classes: data exception, integrity constraint violation, errors that PL/pgSQL raises.
DATA: Final = frozenset({"22", "23", "P0"})
LATE: Final = {
    "57014": "it took longer than its bound",
    "55P03": "another session held a lock",
    "53300": "all connections were taken",
}
MAX_NAMED: Final = 5


class Exposed(msgspec.Struct, frozen=True, kw_only=True):
    """One base relation and the view that masks it, which has the relation's name.

    ``shown``: the view's columns in order, each with the name of its mask, or ``clear``.
    ``left_out``: columns of the relation that the view has not. ``filtered``: the set has a row
    filter for it, or the table has row level security.
    """

    schema: str
    name: str
    view_schema: str
    shown: dict[str, str]
    left_out: tuple[str, ...]
    filtered: bool = False

    @property
    def where(self) -> str:
        """The relation, as people write it."""
        return f"{self.schema}.{self.name}"

    @property
    def masked(self) -> tuple[str, ...]:
        """The view's columns that are masked."""
        return tuple(name for name, mask in self.shown.items() if mask != CLEAR)

    @property
    def strict(self) -> tuple[str, ...]:
        """Those whose masked value is nowhere the clear one but by accident."""
        return tuple(
            name for name, mask in self.shown.items() if mask != CLEAR and mask not in COARSE
        )

    @property
    def concealed(self) -> tuple[str, ...]:
        """Columns of the relation whose values must not be seen."""
        return (*self.masked, *self.left_out)


class Outcome(msgspec.Struct, frozen=True):
    """What came of an attack. ``where``: ``schema.table``, or "" of the server as a whole.

    ``why`` names columns, statements and codes, and never a value.
    """

    attack: str
    where: str
    verdict: Verdict
    why: str


class Heard(NamedTuple):
    """What came back. ``state``: the SQLSTATE of an error, or "". ``rows``: of the last result.

    ``text``: everything, as text. ``lost``: why the session ended, if it did. ``cut``: there was
    more than is read. Its repr would show values: none is ever made.
    """

    state: str
    rows: list[list[str | None]]
    text: str
    lost: str = ""
    cut: bool = False

    def __repr__(self) -> str:
        return f"<heard {len(self.text)} characters, SQLSTATE {self.state or '00000'}>"


class Judged(NamedTuple):
    """What one statement's answer means. ``seen``: it was answered, so that values would show."""

    verdict: Verdict
    why: str = ""
    seen: bool = False


HIDDEN_ROWS: Final = "rows that the filter hides"
SEEN_ROWS: Final = "rows that this lease sees"
ANY_VIEW: Final = "any view"
_ROWS: Final = frozenset({HIDDEN_ROWS, SEEN_ROWS, ANY_VIEW})


class Clues(NamedTuple):
    """What a relation is judged by: ``usable`` by column, and what has nothing usable.

    Under HIDDEN_ROWS: values of clear columns that only rows have which the filter hides.
    """

    usable: dict[str, list[str]]
    lacking: list[str]

    @property
    def tells(self) -> bool:
        """Whether some columns can be judged, so that what is true of them is of the view.

        A view hides all of its columns by the same means: its barrier, its owner, its rights. What
        each mask does to a value is another question, and not one of attacks.
        """
        return bool(self.usable) and _ROWS.isdisjoint(self.lacking)


def clues(
    exposed: Exposed,
    rows: Sequence[Mapping[str, str | None]],
    visible: Sequence[Mapping[str, str | None]] | None,
    masks: str,
    names: str,
) -> Clues:
    """Values that tell a leak.

    ``rows``: clear ones. ``visible``: those that the lease may see in part; None: it is not known
    which, as there is no key to tell by. ``masks``: folded text of what the view shows in columns
    of coarse masks; ``names``: folded text of catalogue names and server messages.
    """
    open_columns = [name for name, mask in exposed.shown.items() if mask == CLEAR]
    seen = rows if visible is None else visible
    open_text = _text(seen, open_columns)
    allowed = f"{open_text}\n{masks}"
    usable: dict[str, list[str]] = {}
    lacking: list[str] = []
    for name in exposed.concealed:
        found = chosen([part for row in rows for part in parts(row.get(name))], allowed, names)
        if found:
            usable[name] = found
        else:
            lacking.append(name)
    if exposed.filtered:
        gone = [] if visible is None else [row for row in rows if row not in visible]
        hidden = [v for row in gone for name in open_columns if (v := row.get(name))]
        found = chosen(hidden, allowed, names)
        if found:
            usable[HIDDEN_ROWS] = found
        else:
            lacking.append(HIDDEN_ROWS)
    return Clues(usable, lacking)


def _text(rows: Iterable[Mapping[str, str | None]], columns: Sequence[str]) -> str:
    return "\n".join(row.get(name) or "" for row in rows for name in columns).casefold()


def judge(attempt: Try, heard: Heard, sent: str, seeker: Seeker) -> Judged:
    """What the answer to one statement means."""
    found = seeker.found(heard.text, sent)
    if found:
        return Judged("leaked", f"clear values came back of {listed(found)}, by: {attempt.sql}")
    return _unanswered(attempt, heard) or _answered(attempt, heard)


def _unanswered(attempt: Try, heard: Heard) -> Judged | None:
    """What it means that the server did not do it; None, where it did, or an error of data is."""
    if heard.lost:
        return Judged("untold", heard.lost)
    if heard.state in REFUSED or heard.state in attempt.allowed:
        return Judged("held")
    if heard.cut or not heard.state:
        return None
    if heard.state in LATE:
        return Judged("untold", LATE[heard.state])
    # Errors of data are what attacks with casts are about: they were searched like all else.
    if attempt.expected == "judged" and heard.state[:2] in DATA:
        return None
    return Judged("untold", f"the server answered SQLSTATE {heard.state} to: {attempt.sql}")


def _answered(attempt: Try, heard: Heard) -> Judged:
    guessed = "{guesses}" in attempt.sql
    if attempt.expected == "refused":
        return Judged("leaked", f"the server ran: {attempt.sql}")
    if attempt.expected == "nothing" and heard.rows:
        said = "" if guessed else f" ({listed(_named(heard))})"
        return Judged("leaked", f"there is an answer{said} to: {attempt.sql}")
    return Judged("held", seen=guessed or attempt.expected == "judged")


def _named(heard: Heard) -> list[str]:
    """What a question about rights was answered with: privileges and roles."""
    return [row[0] for row in heard.rows if row and row[0]]


def outcome(attack: str, where: str, judged: Sequence[Judged], known: Clues) -> Outcome:
    """One answer of many: a leak outweighs what could not be told, and that what held.

    What there was no usable value of matters where something was answered: it is said, and where
    nothing else could be judged either, it is untold.
    """
    for verdict in ("leaked", "untold"):
        why = list(dict.fromkeys(one.why for one in judged if one.verdict == verdict))
        if why:
            more = f"; and {len(why) - 1} more" if len(why) > 1 else ""
            return Outcome(attack, where, verdict, why[0] + more)
    notes = dict.fromkeys(one.why for one in judged if one.why)
    if known.lacking and any(one.seen for one in judged):
        reasons = "none, too short, shown, or of a view"
        why_lacking = f"no value could be looked for of {listed(known.lacking)}: {reasons}"
        if not known.tells:
            return Outcome(attack, where, "untold", why_lacking)
        notes[why_lacking] = None
    return Outcome(attack, where, "held", "; ".join(notes))


def listed(names: Sequence[str]) -> str:
    """Names in a sentence, the first few of them."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
