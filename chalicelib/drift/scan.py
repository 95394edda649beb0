"""The scan: read, verify the baseline, diff, judge, record. What it could not read, it says.

1. Hold the target: it is never scanned twice at once.
2. Verify the baseline in force; a baseline that fails is a critical finding, and nothing is diffed.
3. Read the target; a target that cannot be read is an ``unreadable`` finding.
4. Store the snapshot, diff it with the baseline, leave out what a lease explains, mark what an
   upgrade of the server explains, judge and date every change that is left.
5. Record, in one append: findings that came, with who made them, as far as that can be told by now;
   findings that went; what was learned of who made others; and the scan itself, which is the
   heartbeat: a scan without a record did not happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib.drift import approval, attributions, explained, finding, state, upgrade
from chalicelib.drift.diff import Change, Operation, hidden, signed_gaps, unreadable
from chalicelib.drift.finding import BASELINE, Disposition, Finding
from chalicelib.drift.judge import judge
from chalicelib.drift.known import known, marked
from chalicelib.drift.look import look
from chalicelib.drift.meaning import Meanings
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.snapshot import COVERAGE
from chalicelib.drift.source import question_key, questions
from chalicelib.kernel import canon, ledger
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    AnotherSystem,
    Conflict,
    CouldNotTell,
    HoldfastError,
    NoBaseline,
    Unsupported,
    VerificationFailed,
)
from chalicelib.kernel.record import Draft, Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.drift.baseline import Baseline
    from chalicelib.drift.desk import Desk, Target
    from chalicelib.drift.look import Look
    from chalicelib.drift.snapshot import Snapshot
    from chalicelib.drift.source import Source
    from chalicelib.drift.state import State
    from chalicelib.drift.verdict import Meaning
    from chalicelib.drift.who import Attribution
    from chalicelib.kernel.record import Actor

MAX_ATTEMPTS = 3  # to append, while people decide about findings of the same target


class Result(msgspec.Struct, frozen=True):
    """What one scan found. ``failure`` is the error that stopped it, if one did.

    ``findings`` pairs every finding with its disposition now. ``index`` is the scan record's place
    in the log, and ``entries`` are the records that came with it. ``explained``: how many changes
    are those of which lease, and no findings. ``not_visible``: kinds that people signed for not
    seeing, each with the attributes that lack, or none where the whole kind does.
    """

    target: str
    outcome: Outcome
    findings: list[tuple[Finding, Disposition]]
    closed: list[str]
    objects: int
    root: str
    baseline: str
    at: str
    index: int
    entries: list[Entry]
    failure: HoldfastError | None = None
    explained: dict[str, int] = {}
    not_visible: dict[str, list[str]] = {}


def scan(
    desk: Desk,
    target: Target,
    source: Source | CouldNotTell,
    *,
    actor: Actor,
    progress: Callable[..., None],
    request: str = "",
) -> Result:
    """Scan one target now. Raises: Busy, and as :func:`held`."""
    with desk.locks.hold(target.lock):  # 1
        now = approval.finish(desk, target, actor)
        return held(desk, target, now, source, actor=actor, progress=progress, request=request)


def held(
    desk: Desk,
    target: Target,
    now: State,
    source: Source | CouldNotTell,
    *,
    actor: Actor,
    progress: Callable[..., None],
    scheduled_at: str = "",
    request: str = "",
) -> Result:
    """Steps 2 to 5, for whoever holds the target and has its state as it is now.

    ``source`` may be the reason why there is none. ``scheduled_at``: the time of the schedule that
    the scan is for; ``request``: the id of the request that it answers. Raises: Conflict, where the
    target's records went on meanwhile; StoreUnavailable, Fork: then nothing was recorded.
    """
    occasion = {"scheduled_at": scheduled_at or None, **({"request": request} if request else {})}
    return _Scan(desk, target, now, actor, occasion).run(source, progress)


class _Scan:
    """One run, from the state before to the records after."""

    def __init__(
        self, desk: Desk, target: Target, now: State, actor: Actor, occasion: dict[str, Any]
    ) -> None:
        self.desk = desk
        self.target = target
        self.actor = actor
        self.occasion = occasion  # what it is for, as its record says
        self.started = desk.clock.now()
        self.state = now
        self.failure: HoldfastError | None = None
        self.changes: list[Change] = []
        self.meanings: list[Meaning | None] = []  # of each change
        self.held: Baseline | None = None
        self.look: Look | None = None
        self.ended = timestamp(self.started)  # when the reading was over
        self.who: dict[str, Attribution] | None = None  # what this scan learned, by findings
        self.asked = ""  # the digest of the queries' texts
        self.explained: dict[str, int] = {}  # changes, by the lease that they are of
        self.not_visible: dict[str, list[str]] = {}  # as signed for

    def run(self, source: Source | CouldNotTell, progress: Callable[..., None]) -> Result:
        self._verify()  # 2
        self._read(source, progress)  # 3
        if self.look is not None:
            self._keep(self.look)  # 4
        if self.look is not None:
            self.changes += (
                self.look.coverage()
                if self.held is None
                else self._unexplained(self.held.snapshot, self.look)
            )
        self.meanings = self._mean()
        return self._record()  # 5

    def _verify(self) -> None:
        try:
            self.held = approval.verified(self.desk, self.target, self.state)
        except NoBaseline as error:
            self.failure = error
        except VerificationFailed as error:
            self._refuse(error)

    def _refuse(self, error: VerificationFailed) -> None:
        """What was signed for cannot be told: a critical finding, and nothing is diffed."""
        self.failure = self.failure or error
        self.held = None
        if not any(change.kind == BASELINE for change in self.changes):
            self.changes.append(_refused(error))

    def _read(self, source: Source | CouldNotTell, progress: Callable[..., None]) -> None:
        try:
            if isinstance(source, CouldNotTell):
                raise source
            seen = look(source, progress, known(self.desk, self.state, self.started))
            self._check_identity(seen.reading.identity)
            self.look = seen
            self.ended = timestamp(self.desk.clock.now())
        except CouldNotTell as error:
            self._cannot_tell(error)

    def _check_identity(self, found: str) -> None:
        """Findings of one database say nothing about another. Raises: AnotherSystem."""
        if self.held is not None and self.held.predicate.identity != found:
            raise AnotherSystem(
                f"the baseline of {self.target.stream} is of {self.held.predicate.identity}, "
                f"and this is {found}",
                next_step="correct the target in the settings, or propose a baseline of this one",
            )

    def _keep(self, seen: Look) -> None:
        """Store the snapshot, and what was asked for it, in the exact words.

        Other bytes under their digests: the store was tampered with.
        """
        data = seen.snapshot.data
        asked = questions(seen.reading)
        self.asked = canon.sha256(asked)
        try:
            days = self.desk.keep_days(state.SCAN)
            self.desk.objects.put(approval.snapshot_key(canon.sha256(data)), data, keep_days=days)
            self.desk.objects.put(question_key(self.asked), asked, keep_days=days)
        except VerificationFailed as error:
            self._refuse(error)
        except Unsupported as error:
            self._cannot_tell(error)

    def _unexplained(self, before: Snapshot, seen: Look) -> list[Change]:
        since = timestamp(self.started)
        explanation = self.desk.explained(self.target, seen.reading, since)
        changes = upgrade.diff(before, seen.snapshot, self.desk.renders)
        left, self.explained = explained.split(changes, explanation)
        self.not_visible = {
            gap.name: gap.attributes.get("attributes", [])
            for gap in signed_gaps(before, seen.snapshot)
        }
        return left

    def _cannot_tell(self, error: CouldNotTell) -> None:
        """The target as a whole is unknown: nothing was compared, and nothing is gone."""
        self.look = None
        if self.failure is None or isinstance(self.failure, NoBaseline):
            self.failure = error
        why = {"reason": error.message, "needs": error.next_step, "error": error.code}
        self.changes.append(unreadable("target", why))

    def _record(self) -> Result:
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return self._append()
            except Conflict:
                # A decision about a finding was recorded meanwhile, which the drafts must heed.
                before = self.state
                self.state = ledger.now(self.desk, self.target.stream)
                if (self.state.baseline, self.state.scans) != (before.baseline, before.scans):
                    raise
        return self._append()

    def _append(self) -> Result:
        at = timestamp(self.desk.clock.now())
        known = self.state.findings
        judged = [
            (one, known[one.id].at(at) if one.id in known else Disposition.OPEN)
            for one in self._attribute(self._judge())
        ]
        present = {one.id for one, _ in judged}
        gone = self._gone(present)
        # What was found open and cannot be seen any more is not clean, whoever signed for the gap.
        unseen = known.keys() - present - set(gone)
        compared = self.held is not None and self.look is not None
        outcome = Outcome.of(
            judged,
            compared=compared and all(known[key].at(at) is not Disposition.OPEN for key in unseen),
        )
        drafts = [
            self._draft(state.OPENED, at, finding.encode(one))
            for one, _ in judged
            if one.id not in known
        ]
        drafts += [self._draft(state.CLOSED, at, {"id": one}) for one in gone]
        opened = len(drafts) - len(gone)
        drafts += [
            self._draft(state.ATTRIBUTED, at, {"id": one.id, "who": msgspec.to_builtins(one.who)})
            for one, _ in judged
            if one.id in known and one.id in (self.who or {})
        ]
        drafts.append(self._draft(state.SCAN, at, self._heartbeat(outcome, judged, opened, gone)))
        entries = ledger.append(self.desk, self.state, drafts)
        taken = self.look.snapshot if self.look else None
        return Result(
            target=self.target.stream,
            outcome=outcome,
            findings=judged,
            closed=gone,
            objects=len(taken.objects) if taken else 0,
            root=taken.root.hex() if taken else "",
            baseline=self.held.predicate.proposal if self.held else "",
            at=at,
            index=entries[-1].index,
            entries=entries,
            failure=self.failure,
            explained=self.explained,
            not_visible=self.not_visible,
        )

    def _judge(self) -> list[Finding]:
        """Every change judged and dated; a finding that is known keeps the date it came with."""
        reading = self.look.reading if self.look else None
        read_at = reading.read_at if reading else timestamp(self.started)
        signed_for = self.held.predicate.read_at if self.held else ""
        window = (signed_for, max(self.state.last_read_at, signed_for), read_at)
        committed = reading.committed if reading else {}
        dropped = reading.dropped if reading else {}
        found = []
        for change, meaning in zip(self.changes, self.meanings, strict=True):
            known = self.state.findings.get(finding.identify(self.target.stream, change))
            when = known.when if known else finding.date(change, window, committed, dropped)
            judgement = judge(change, self.desk.rules, meaning)
            found.append(finding.find(self.target.stream, change, judgement, when, meaning))
        return found

    def _attribute(self, found: list[Finding]) -> list[Finding]:
        """The findings with whoever made them, which is asked for once a scan."""
        if self.who is None:
            pairs = zip(found, self.changes, strict=True)
            self.who = attributions.learned(self.desk, self.target, self.state, pairs, self.ended)
        known = {key: note.who for key, note in self.state.findings.items() if note.who}
        who = known | self.who
        return [
            msgspec.structs.replace(one, who=who[one.id]) if one.id in who else one for one in found
        ]

    def _mean(self) -> list[Meaning | None]:
        """What each change means, told once a scan; None, where it has no meaning beyond itself."""
        if self.held is None or self.look is None:
            return [None for _ in self.changes]
        second = self.desk.opinion(self.target)
        identity = self.look.reading.identity
        sides = (self.held.snapshot, self.look.snapshot)
        meanings = Meanings(*sides, second=second, identity=identity)
        return [meanings.of(change) for change in self.changes]

    def _gone(self, present: set[str]) -> list[str]:
        """Findings that this scan proved gone; what it could not look at stays as it was."""
        return sorted(
            key
            for key, note in self.state.findings.items()
            if key not in present and self._proves_gone(note)
        )

    def _proves_gone(self, note: state.Note) -> bool:
        if note.kind == BASELINE:
            return self.held is not None
        if self.look is None:
            return False
        if note.kind == COVERAGE:
            return True
        if self.held is None:
            return False
        return not any(
            hidden(side, note.kind, note.name, note.attribute)
            for side in (self.held.snapshot, self.look.snapshot)
        )

    def _draft(self, kind: str, at: str, body: dict[str, Any]) -> Draft:
        return Draft(kind, self.target.stream, at, self.actor, body)

    def _heartbeat(
        self,
        outcome: Outcome,
        judged: list[tuple[Finding, Disposition]],
        opened: int,
        gone: list[str],
    ) -> dict[str, Any]:
        """What was asked, of whom, as whom, what came back, and what it means."""
        body: dict[str, Any] = {
            "outcome": outcome.value,
            **self.occasion,
            "started_at": timestamp(self.started),
            "rules_sha256": self.desk.rules.sha256,
            "program_sha256": self.desk.program(),
            "required": self.target.approvals,
            "approvers": list(self.target.approvers),
            "findings": [[one.id, disposition.value] for one, disposition in judged],
            "opened": opened,
            "closed": gone,
            "baseline": self.held.predicate.proposal if self.held else None,
            "signed": signed.index if self.held and (signed := self.state.baseline) else None,
            "snapshot": None,
        }
        if self.explained:
            body["explained"] = self.explained
        if self.not_visible:
            body["not_visible"] = self.not_visible
        if self.failure is not None:
            body["failure"] = {"code": self.failure.code, "message": self.failure.message}
        if self.look is not None:
            taken, reading = self.look.snapshot, self.look.reading
            body["snapshot"] = {
                "sha256": canon.sha256(taken.data),
                "root": taken.root.hex(),
                "objects": len(taken.objects),
                "identity": reading.identity,
                "read_at": reading.read_at,
            }
            if reading.mark is not None:
                body["snapshot"]["mark"] = marked(reading)
            body["system"] = reading.system
            body["queries"] = [msgspec.to_builtins(query) for query in reading.queries]
            body["questions"] = self.asked
        return body


def _refused(error: VerificationFailed) -> Change:
    attributes = {"error": error.code, "reason": error.message}
    return Change(
        operation=Operation.ALTERED,
        kind=BASELINE,
        name=error.code,
        attribute="verified",
        before=True,
        after=False,
        old=None,
        new=attributes,
    )
