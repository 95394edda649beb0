"""Packets of a large log, built and verified by both verifiers: seconds, bytes, and memory.

``python tests/bench/packets.py [RECORDS] [--log FOLDER]``; 100,000 records without an argument.
Every step runs in a process of its own, so that its peak memory is its own. With ``--log`` the log
is kept in a folder, and used again if it is there.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from chalicelib.evidence import build, closing, manifest, note, trust, verify
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.evidence.manifest import Filter, Period, Tool
from chalicelib.evidence.trust import Policy
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.record import Actor, Draft
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.signer import KeyFileSigner
from chalicelib.local.writeonce import DirectoryWriteOnce
from chalicelib.wiring import packets

START = datetime(2024, 10, 1, tzinfo=UTC)
END = START + timedelta(days=31)
PERIOD = Period(timestamp(START), timestamp(END))
TARGETS = 100
TICKS = 744  # one an hour
BATCH = 1_000
ACTOR = Actor("bench", "os")
TEXT = "x" * 150


class Opened:
    """The log of a folder."""

    def __init__(self, folder):
        path = folder / "key.pem"
        self.signer = (KeyFileSigner.load if path.exists() else KeyFileSigner.create)(path)
        self.objects = DirectoryWriteOnce(folder / "evidence")
        verifier = note.verifier("bench.example/log", self.signer.public)
        self.keys = keyring([LogKey(verifier)])
        self.policy = Policy(self.keys.keys)
        self.log = Log(
            writeonce=self.objects,
            derived=DirectoryDerived(folder / "derived"),
            documents=SqliteDocuments(folder / "state.db"),
            signer=self.signer,
            keys=self.keys,
            tool="bench/1",
            pause=lambda _: None,
        )


class After:
    """A clock that stands after the period."""

    def now(self):
        return END + timedelta(days=1)


def drafts(count):
    """A month: a tick an hour, a scan of every target a tick, and other records in between."""
    due = [f"postgres:{n:03d}" for n in range(TARGETS)]
    step = (END - START) / count
    tick = last = None
    for number in range(count):
        moment = START + number * step
        at = timestamp(moment)
        hour = timestamp(START + timedelta(hours=number * TICKS // count))
        target = due[number % TARGETS]
        if hour != tick:
            tick = hour
            deadline = timestamp(datetime.fromisoformat(hour) + timedelta(hours=1))
            body = {"scheduled_at": hour, "deadline_at": deadline, "previous": last}
            body |= {"due": due} if last is None else {"due_at": 0}
            last, scanned = number, set()
            yield Draft("schedule.dispatched", "schedule", at, ACTOR, body)
        elif target not in scanned:
            scanned.add(target)
            body = {"outcome": "clean", "scheduled_at": hour, "snapshot": None, "text": TEXT}
            yield Draft("scan", target, at, ACTOR, body)
        else:
            yield Draft("target.configured", target, at, ACTOR, {"number": number, "text": TEXT})


def fill(folder, records):
    log, pending = Opened(folder).log, []
    for draft in drafts(records):
        pending.append(draft)
        if len(pending) == BATCH:
            log.append(pending)
            pending = []
    log.append(pending)
    return {"size": log.size()}


def close(folder, _records):
    opened = Opened(folder)
    quiet = {"clock": After(), "actor": ACTOR, "progress": lambda *_: None}
    closed = closing.close(opened.log, opened.objects, PERIOD, **quiet)
    (folder / "trust.txt").write_bytes(trust.encode(opened.policy))
    return {"size": closed.census.last - closed.census.first}


def make(folder, name, asked):
    opened = Opened(folder)
    quiet = {"clock": After(), "actor": ACTOR, "progress": lambda *_: None}
    closed = closing.close(opened.log, opened.objects, PERIOD, **quiet)
    sources = build.Sources(
        log=opened.log,
        objects=opened.objects,
        signer=opened.signer,
        policy=opened.policy,
        refer=lambda _entry: build.References(),
        tool=Tool("bench", "0" * 64),
        assets=packets.assets("bench.example/log", PERIOD),
        temporary=tempfile.TemporaryFile,
    )
    with (folder / name).open("wb") as out:
        made = build.build(sources, PERIOD, asked, closed, out=out, progress=lambda *_: None)
    return {"size": made.manifest.records, "bytes": (folder / name).stat().st_size}


def check(folder, name):
    policy = trust.parse((folder / "trust.txt").read_bytes())
    now = END + timedelta(days=2)
    with (folder / name).open("rb") as stream:
        found = verify.verify(stream, policy, now=now, checker=packets.checker)
    if found.fault is not None:
        raise SystemExit(f"{found.fault}")
    return {"size": found.manifest.records}


NARROW = Filter(("postgres:007",), ())
STEPS = {
    "fill": fill,
    "close": close,
    "build": lambda folder, _: make(folder, "all.zip", Filter()),
    "verify": lambda folder, _: check(folder, "all.zip"),
    "build-narrow": lambda folder, _: make(folder, "one.zip", NARROW),
    "verify-narrow": lambda folder, _: check(folder, "one.zip"),
}


def step(name, folder, records):
    """One step, in this process: what it measured goes to stdout."""
    start, processor = time.perf_counter(), time.process_time()
    found = STEPS[name](folder, records)
    found["seconds"] = time.perf_counter() - start
    found["processor"] = time.process_time() - processor
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(found))


# The packet's own verifier, with nothing of ours; its clock is this machine's.
ALONE = """
import json, resource, runpy, sys, time
start = time.perf_counter()
_, program, packet, trust = sys.argv
sys.argv = [program, packet, "--trust", trust]
try:
    runpy.run_path(program, run_name="__main__")
except SystemExit as ended:
    code = ended.code
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"code": code, "seconds": time.perf_counter() - start, "peak": peak}))
"""


def alone(folder, name):
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "verify.py"
        path.write_bytes(packets.assets("", PERIOD)[manifest.VERIFIER])
        words = [str(path), str(folder / name), str(folder / "trust.txt")]
        run = subprocess.run(
            [sys.executable, "-I", "-S", "-c", ALONE, *words],
            check=True,
            capture_output=True,
            text=True,
        )
    return json.loads(run.stdout.splitlines()[-1]) | {"said": run.stdout.splitlines()[0]}


def run(name, folder, records):
    command = [sys.executable, __file__, str(records), "--log", str(folder), "--step", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def say(what, found, count):
    size = f", {found['bytes'] / 2**20:.1f} MiB" if "bytes" in found else ""
    busy = f" ({found['processor']:.1f} of a core)" if "processor" in found else ""
    print(
        f"{what:44} {found['seconds']:.1f} s{busy}, {count / found['seconds']:,.0f} records/s, "
        f"peak {found['peak'] / 1024:.0f} MiB{size}",
        flush=True,
    )


def bench(folder, records):
    print(f"Python {platform.python_version()}; {records:,} records of a month in one log")
    if not (folder / "key.pem").exists():
        say("the log: appends of up to 90 streams", run("fill", folder, records), records)
    say("the period closed", run("close", folder, records), records)
    for name, title in (("", "all"), ("-narrow", "one target of 100")):
        file = "one.zip" if name else "all.zip"
        built = run(f"build{name}", folder, records)
        count = built["size"]
        say(f"{title}: built, {count:,} records shown", built, records)
        say(f"{title}: verified", run(f"verify{name}", folder, records), records)
        other = alone(folder, file)
        say(f"{title}: verified by verify.py: {other['said'].split()[0]}", other, records)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("records", type=int, nargs="?", default=100_000)
    options.add_argument("--log", type=Path)
    options.add_argument("--step", choices=STEPS)
    given = options.parse_args()
    if given.step:
        step(given.step, given.log, given.records)
    elif given.log:
        given.log.mkdir(exist_ok=True)
        bench(given.log, given.records)
    else:
        with tempfile.TemporaryDirectory() as folder:
            bench(Path(folder), given.records)


main()
