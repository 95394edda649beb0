"""The service's lines in words, on stderr: in 80 columns on a terminal, one line each in a pipe."""

from __future__ import annotations

import textwrap
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from chalicelib.access import state
from chalicelib.cli.text import complain, count, err, plain, say
from chalicelib.cli.ticks import NO_ANSWERS
from chalicelib.drift.finding import SHORT_ID
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from chalicelib.kernel.clock import Clock

SERVER_ERROR: Final = 500
NO_TARGETS: Final = "no targets are configured"
ADD_ONE: Final = "holdfast target add NAME --dsn-env VARIABLE, or: holdfast scan DSN"

_STYLES: Final = {"clean": "green", "drift": "red", "refused": "bold red", "unknown": "yellow"}


def _request(line: dict[str, Any]) -> None:
    """Only what went wrong here: who asked what is in the log, and with --json on stdout."""
    if line["status"] >= SERVER_ERROR:
        what = f"{line['defect']} at {line['where']}" if "defect" in line else "no answer"
        _say(f"{line['route']}: {line['status']}, request {line['request']}: {what}", "red")


def _job(line: dict[str, Any]) -> None:
    words = [line.get("kind", "job"), line["job"], line.get("target", ""), line["state"]]
    if "error" in line:
        words.append(line["error"])
    _say("  ".join(word for word in words if word), "yellow" if "error" in line else "")


def _listening(line: dict[str, Any]) -> None:
    _say(f"the API is at {line['url']}; next, elsewhere: holdfast token", "bold")


_DONE: Final = {
    state.ENDED: "ended, and proven gone",
    state.LAPSED: "lapsed, as nobody agreed or claimed it in time",
    state.EXTENDED: "renewed",
    state.ORPHANED: "a credential that is no open lease's was found and ended",
}
_FAILED: Final = {
    state.UNENDED: "COULD NOT BE ENDED",
    state.EXTENDED: "renewed, but its target did not hear of it",
    state.ORPHANED: "credentials that are no open lease's could not be looked for, or not ended",
}


def _lease(line: dict[str, Any]) -> None:
    about = plain(line["request"] or line["target"])
    if "error" in line:
        what = _FAILED.get(line["what"], "could not be done")
        _say(f"{about}: {what}: {line['error']}; it is tried again", "bold red")
    else:
        _say(f"{about}: {_DONE.get(line['what'], 'done')}")


_API: Final = {"listening": _listening, "request": _request, "job": _job, "lease": _lease}


class Words:
    """Says a line to people. ``clock``: what day it is today."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, line: dict[str, Any]) -> None:
        """Say it."""
        match line["event"]:
            case "started":
                self._started(line)
            case "scan":
                self._scan(line)
            case "dispatched":
                self._dispatched(line)
            case "recorded":
                self._recorded(line)
            case "failed":
                complain(f"{self._name(line)}: {line['message']}", line["next_step"])
            case "listening" | "request" | "job" | "lease" as event:
                _API[event](line)
            case "stopping":
                words = f"finishing {count(line['scans'], 'scan')}, at most {line['seconds']} s"
                _say(words if line["scans"] else "stopping; no scan is under way")
            case "reclaimed" | "left" as event:
                what = "from the service before" if event == "reclaimed" else "not finished"
                orders = count(line["orders"], "order")
                _say(f"{orders} {what}; the queue delivers them again", "yellow")
            case "dropped":
                _say(f"{line['target']} is not configured any more; its order is dropped", "yellow")
            case event:
                _finding(line, event)

    def _started(self, line: dict[str, Any]) -> None:
        if not line["targets"]:
            _say(
                f"{NO_TARGETS}: nothing is scanned until there are some; the settings are read "
                "again at every tick",
                "bold yellow",
            )
            _say("  next: holdfast target add NAME --dsn-env VARIABLE", "bold")
        _say(
            f"{count(line['targets'], 'target')} every {_period(line['period_seconds'])}, "
            f"{count(line['workers'], 'worker')}; next tick {self._at(line['next_tick'])}"
        )

    def _dispatched(self, line: dict[str, Any]) -> None:
        if "unobserved_since" in line:
            since, until = line["unobserved_since"], line["scheduled_at"]
            _say(f"UNOBSERVED from {self._at(since)} to {self._at(until)}", "bold yellow")
        _say(f"tick {self._at(line['scheduled_at'])}: {count(line['targets'], 'target')}")

    def _recorded(self, line: dict[str, Any]) -> None:
        how = f"{line['scans']} scanned now" if line["scans"] else "recorded already"
        found = ", ".join(f"{number} {word}" for word, number in line["outcomes"].items())
        if "newest" in line:
            how = f"older than {self._at(line['newest'])}, which is recorded; by the last scans"
        bad = line["outcomes"].keys() - {"clean"}
        _say(
            f"tick {self._at(line['scheduled_at'])}: {how}, {found or 'no targets'}",
            "yellow" if bad else "",
        )

    def _scan(self, line: dict[str, Any]) -> None:
        outcome = line["outcome"]
        words = [f"{self._at(line['scheduled_at'])}  {line['target']}  {outcome.upper()}"]
        if outcome not in NO_ANSWERS and outcome != "unknown":
            words.append(f"  {count(line.get('findings', 0), 'finding')}")
        words += [f", {line[what]} {what}" for what in ("opened", "closed") if line[what]]
        if line["repeated"]:
            words.append(", recorded before")
        _say("".join(words), _STYLES.get(outcome, "yellow"))
        if "failure" in line:
            _say(f"  {line['failure']['code']}: {line['failure']['message']}", "yellow")

    def _name(self, line: dict[str, Any]) -> str:
        if line.get("what") == "tick":
            return f"tick {self._at(line['name'])}"
        if line.get("what") == "settings":
            return f"settings, tick {self._at(line['name'])}"
        return str(line["name"])

    def _at(self, text: str) -> str:
        """``03:56Z`` where the day is today, else with its day."""
        try:
            moment = parse_timestamp(text)
        except Malformed:
            return text
        form = "%H:%M:%SZ" if moment.second else "%H:%MZ"
        today = moment.date() == self._clock.now().astimezone(UTC).date()
        return moment.strftime(form if today else f"%Y-%m-%d {form}")


def _finding(line: dict[str, Any], event: str) -> None:
    """A finding that came or went; or a scan of which nobody knows what it would have found."""
    title = f": {line['title']}" if line.get("title") else ""
    if "finding" not in line:
        _say(f"  {line['target']}: {event}{title}", "yellow")
        return
    verb = event.removeprefix("finding ")
    who = f", by {line['principal']}" if line.get("principal") else ""
    _say(f"  {verb} {line['finding'][:SHORT_ID]}  {line['target']}{title}{who}")


def _period(seconds: int) -> str:
    """``90s``, ``15m``, ``1h``."""
    for size, unit in ((3_600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _say(text: str, style: str = "") -> None:
    """Say it; on a terminal in lines of whole words, so that a name or an id stays whole."""
    console = err()
    if console.is_terminal:
        text = "\n".join(
            textwrap.wrap(
                plain(text),
                console.width,
                subsequent_indent="    ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    say(text, style)
