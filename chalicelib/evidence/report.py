"""Report: what a verification of the whole log found, in the order of the log."""

from __future__ import annotations

import enum

import msgspec

MAX_PROBLEMS = 200  # after that many, a log is not read further


class Kind(enum.Enum):
    """What is wrong, for programs."""

    SIGNATURE = "signature"  # a checkpoint that the pinned key did not sign, or not as it stands
    FORK = "fork"  # two roots for one size
    ROOT = "root"  # leaves that do not lead to the signed root
    ROLLBACK = "rollback"  # something signed is newer than what is there
    MISSING = "missing"  # something that must be there is not
    RECORD = "record"  # a leaf that is no record
    SEQUENCE = "sequence"  # a stream with a gap or a repetition
    BODY = "body"  # a body that is not what its leaf recorded
    STATE = "state"  # a document that does not follow from the leaves
    TILE = "tile"  # a derived object that does not follow from the leaves
    STRAY = "stray"  # an object that the log did not write
    REFERENCE = "reference"  # what a record refers to; found by the caller's own check


class Severity(enum.Enum):
    """Whether the log itself is touched."""

    TAMPERED = "tampered"
    REPAIRABLE = "repairable"  # derived, and missing or behind as after a crash: made again


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it must be, and where.

    ``place`` is a key in a store; ``index`` a leaf, ``stream`` and ``seq`` a record, where known.
    """

    place: str
    what: str
    expected: str
    observed: str
    kind: Kind
    severity: Severity = Severity.TAMPERED
    index: int | None = None
    stream: str = ""
    seq: int | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was verified, and every problem found.

    ``size`` and ``root`` (hexadecimal) are of the newest checkpoint with a good signature;
    ``unfinished`` names an append that crashed and that the next writer finishes; ``complete`` is
    False where a problem kept something from being checked.
    """

    origin: str
    size: int
    root: str
    records: int
    batches: int
    checkpoints: int
    bodies: int
    tiles: int
    streams: int
    unfinished: str
    complete: bool
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether everything was checked and nothing is wrong, not even repairably."""
        return self.complete and not self.problems

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know and is no problem."""
        return (self.unfinished,) if self.unfinished else ()

    @property
    def tampered(self) -> bool:
        """Whether the log itself is not what was signed for."""
        return any(p.severity is Severity.TAMPERED for p in self.problems)

    @property
    def first(self) -> Problem | None:
        """The first bad place: of the log itself, else of what can be made again."""
        ranked = sorted(self.problems, key=lambda p: p.severity is not Severity.TAMPERED)
        return ranked[0] if ranked else None


class Enough(Exception):
    """MAX_PROBLEMS were found."""


class Findings:
    """Problems as they are found, and what was counted on the way."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.complete = True
        self.records = self.batches = self.checkpoints = self.bodies = self.tiles = 0

    def add(self, *problems: Problem) -> None:
        """Note problems. Raises: Enough, at MAX_PROBLEMS."""
        for problem in problems:
            self.problems.append(problem)
            if len(self.problems) >= MAX_PROBLEMS:
                self.complete = False
                raise Enough

    def tell(
        self,
        place: str,
        what: str,
        kind: Kind,
        *,
        expected: str = "no such object",
        observed: str = "an object with this name",
        severity: Severity = Severity.TAMPERED,
        index: int | None = None,
    ) -> None:
        """Note one problem; by default that something is there. Raises: Enough."""
        self.add(
            Problem(
                place=place,
                what=what,
                expected=expected,
                observed=observed,
                kind=kind,
                severity=severity,
                index=index,
            )
        )
