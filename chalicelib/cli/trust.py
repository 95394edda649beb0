"""``holdfast evidence witness`` and ``trust``: cosignatures from outside, and who is believed."""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chalicelib.anchors.http import post
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, finish, load_settings, services
from chalicelib.cli.evidence import group
from chalicelib.cli.text import emit, out, plain, say
from chalicelib.cli.witness import moment
from chalicelib.evidence import cosignature, submission, trust
from chalicelib.evidence.trust import Witness
from chalicelib.kernel.errors import (
    CouldNotTell,
    Fork,
    Malformed,
    NotFound,
    UsageError,
    VerificationFailed,
)

if TYPE_CHECKING:
    from chalicelib.evidence.note import SignedCheckpoint
    from chalicelib.kernel.errors import HoldfastError
    from chalicelib.wiring import Services

AHEAD_SECONDS = 300  # by which a witness's clock may be ahead of ours


@dataclass
class _Asked:
    """A witness, and what came of asking it; ``at`` is when its kept cosignature is of."""

    witness: Witness
    at: int | None = None
    error: HoldfastError | None = None

    def encoded(self) -> dict[str, Any]:
        """As JSON, with everything that a fork's proof needs."""
        error, value = self.error, self.witness
        told: dict[str, Any] = {
            "name": value.name,
            "key": str(value.verifier),
            "url": value.url,
            "cosigned_at": None if self.at is None else moment(self.at),
        }
        if error is not None:
            told |= {"code": error.code, "message": error.message, "next_step": error.next_step}
        if isinstance(error, Fork):
            told |= {
                "ours": error.ours.decode(errors="replace"),
                "theirs": error.theirs.decode(errors="replace"),
                "theirs_base64": base64.b64encode(error.theirs).decode(),
                "proof": error.proof.decode().splitlines(),
            }
        return told


@dataclass
class Round:
    """One checkpoint brought to the witnesses: what each said, and whether they are enough."""

    head: SignedCheckpoint
    asked: list[_Asked] = field(default_factory=list)
    met: bool = False

    @property
    def exit_code(self) -> int:
        """1 for a fork or a false cosignature, else whether there are enough of true ones."""
        if any(isinstance(one.error, VerificationFailed) for one in self.asked):
            return VerificationFailed.exit_code
        return 0 if self.met else CouldNotTell.exit_code


@group.command("witness")
def witness_command(
    url: Annotated[
        str, typer.Option(help="Only this witness: its submission prefix; with --key.")
    ] = "",
    key: Annotated[str, typer.Option(help="That witness's verifier key.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Have the newest checkpoint cosigned by the witnesses of [log] witnesses, and keep it.

    Exit 0 where the quorum is met, 3 where it is not, 1 on a FORK.
    """
    alone = _alone(url, key)
    held = services()
    witnesses = held.settings.policy.witnesses if alone is None else (alone,)
    if not witnesses:
        raise UsageError(
            "no witnesses are configured",
            next_step="[log] witnesses in the settings, or --url and --key; docs/witness.md",
        )
    found = ask(held, witnesses, alone)
    quorum = alone.name if alone else held.settings.policy.quorum
    if as_json:
        emit(
            {
                "origin": found.head.checkpoint.origin,
                "size": found.head.size,
                "root": found.head.root.hex(),
                "quorum": quorum,
                "met": found.met,
                "witnesses": [one.encoded() for one in found.asked],
            }
        )
    else:
        _show(found)
    said = "met" if found.met else "NOT met: the checkpoint is UNWITNESSED"
    say(f"{found.head.size} records; quorum {quorum}: {said}", "bold")
    finish(found.exit_code)


@group.command("trust")
def trust_command(as_json: JsonFlag = False) -> None:
    """Print whom to believe, as a C2SP tlog-policy: the log's keys, the witnesses, the quorum."""
    loaded = load_settings()
    policy = loaded.policy
    if not policy.logs:
        raise NotFound("[log] key is not set: the log was not opened yet")
    text = trust.encode(policy).decode()
    if as_json:
        emit({"policy": text})
        return
    # A policy has no control characters; a terminal acts on others than these, too.
    sys.stdout.write(plain(text, lines=True) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def _alone(url: str, key: str) -> Witness | None:
    """The one witness that the options name. Raises: UsageError."""
    if bool(url) != bool(key):
        raise UsageError("--url and --key name one witness, and only together")
    if not url:
        return None
    try:
        found = cosignature.parse_vkey(key)
    except Malformed as error:
        raise UsageError(f"--key: {error.message}") from error
    return Witness(found.name, found, url)


def ask(held: Services, witnesses: tuple[Witness, ...], alone: Witness | None = None) -> Round:
    """Every witness asked, what it cosigned kept, and the kept ones counted."""
    head = held.log.head()
    if head is None:
        raise NotFound("the log is empty and has no checkpoint yet")
    store, ring = held.desk.objects, held.settings.keyring
    latest = int(held.desk.clock.now().timestamp()) + AHEAD_SECONDS
    asked = []
    for witness in witnesses:
        one = _Asked(witness)
        asked.append(one)
        try:
            cosigned = submission.submit(held.log, ring, witness, post, latest=latest)
        except (CouldNotTell, VerificationFailed, UsageError) as error:
            one.error = error
        else:
            submission.lock(store, cosigned, keep_days=held.settings.retention.most)
            head = max(head, cosigned.head, key=lambda one: one.size)
    counted = trust.Policy(witnesses=witnesses) if alone else held.settings.policy
    kept = submission.locked(store, head.size)
    times = counted.cosigned(kept, head.checkpoint.text(), latest=latest)
    for one in asked:
        one.at = times.get(one.witness.name)
    met = alone.name in times if alone else counted.met(times)
    return Round(head, asked, met)


def _show(found: Round) -> None:
    rows = []
    for one in found.asked:
        told = "cosigned " + moment(one.at) if one.at is not None else "no cosignature"
        rows.append([one.witness.name, told, one.error.message if one.error else ""])
    table.grid(["witness", "the newest checkpoint", "but"], rows)
    for one in found.asked:
        if isinstance(one.error, Fork):
            _show_fork(one.witness.name, one.error)
        if one.error is not None and one.error.next_step:
            say(f"{one.witness.name}: next: {one.error.next_step}")


def _show_fork(name: str, error: Fork) -> None:
    console = out()
    for label, data in (
        (f"FORK, seen by {name}: this log's checkpoint", error.ours),
        ("what the witness cosigned, as it shows it", error.theirs),
        ("the proof that failed", error.proof),
    ):
        console.print(f"{plain(label)}:")
        console.print(plain(data.decode(errors="replace") or "(none)\n", lines=True))
