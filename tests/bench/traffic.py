"""The requests to AWS that the flows make, counted: what the cost and the throughput stand on.

``python tests/bench/traffic.py``. Counted on the emulated AWS of the tests; how fast that is makes
no difference to the numbers. A process that is warm has scanned the same targets before.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from aws.place import Account
from support.aws import StrictAws
from support.desk import ANA, BEN, CHLOE, START, HandClock, MemorySource

from chalicelib.drift import approval, schedule
from chalicelib.drift.desk import Desk, Target
from chalicelib.drift.judge import load as load_rules
from chalicelib.drift.look import look
from chalicelib.drift.snapshot import Object
from chalicelib.drift.state import States
from chalicelib.evidence import note
from chalicelib.evidence.group import GroupJournal
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.remembered import RememberedWriteOnce
from chalicelib.kernel.sealed import SealedDocuments

PERIOD = timedelta(minutes=15)
SECRET = b"s" * 32


def quiet(*_):
    pass


def desk(account, clock):
    """The desk of one process, as wiring.cloud makes it."""
    ports = account.ports()
    objects = RememberedWriteOnce(ports.writeonce)
    verifier = note.verifier("bench.example/log", ports.signer.public)
    log = Log(
        writeonce=objects,
        derived=ports.derived,
        documents=SealedDocuments(ports.documents, SECRET),
        signer=ports.signer,
        keys=keyring([LogKey(verifier)]),
        tool="bench/0",
        pause=quiet,
    )
    return Desk(
        journal=GroupJournal(log, gather_seconds=5.0),
        objects=objects,
        states=States(log, ports.derived, SECRET),
        locks=ports.locks,
        clock=clock,
        signer=ports.signer,
        keyid=str(verifier),
        trusted=keyring([LogKey(verifier)]).of_record,
        rules=load_rules(),
        tool="bench/0",
    )


def source_of(clock, number):
    return MemorySource(
        clock,
        [Object("column", f"public.t{n}.c", {"type": "text", "of": number}) for n in range(1_000)],
    )


def tick(held, targets, sources, number, threads):
    at = START + number * PERIOD
    held.clock.moment = max(held.clock.moment, at)

    def one(pair):
        target, source = pair
        order = schedule.Order(1, target.stream, timestamp(at), timestamp(at + timedelta(days=2)))
        with held.journal.expected():
            schedule.work(held, target, order, source, actor=CHLOE, progress=quiet)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, zip(targets, sources, strict=True)))


def counted(aws, what, per, action):
    aws.calls.clear()
    action()
    counts = Counter(f"{service} {operation}" for service, operation in aws.calls)
    total = sum(counts.values())
    print(f"\n{what}: {total / per:.1f} requests each")
    for name, count in sorted(counts.items()):
        print(f"  {name:32} {count / per:6.1f}")


def main():
    with StrictAws() as aws, tempfile.TemporaryDirectory():
        clock = HandClock()
        account = Account(aws)
        targets = [Target(slug=f"t{n}", approvals=1) for n in range(10)]
        sources = [source_of(clock, n) for n in range(10)]
        first = desk(account, clock)
        for target, source in zip(targets, sources, strict=True):
            seen = look(source, quiet)
            approval.propose(
                first,
                target,
                seen.snapshot,
                identity=seen.reading.identity,
                read_at=seen.reading.read_at,
                actor=ANA,
            )
            approval.approve(first, target, actor=BEN)
        tick(first, targets, sources, 1, 1)
        cold, warm = desk(account, clock), first
        ones = targets[:1], sources[:1]
        counted(aws, "a scan, cold process", 1, lambda: tick(cold, *ones, 2, 1))
        counted(aws, "a scan, warm process", 1, lambda: tick(warm, *ones, 3, 1))
        counted(
            aws,
            "ten scans at once, cold",
            10,
            lambda: tick(desk(account, clock), targets, sources, 4, 10),
        )
        counted(aws, "ten scans at once, warm", 10, lambda: tick(warm, targets, sources, 5, 10))
        log = warm.journal
        draft = approval.Draft("bench", "bench", timestamp(clock.now()), ANA, {})
        log.append([draft])
        counted(aws, "an append of one record", 1, lambda: log.append([draft]))


if __name__ == "__main__":
    main()
