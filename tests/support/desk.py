"""A desk on the local adapters with a clock and a target that tests move by hand."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from chalicelib.drift import approval
from chalicelib.drift.desk import Desk
from chalicelib.drift.judge import load as load_rules
from chalicelib.drift.look import look
from chalicelib.drift.snapshot import Object
from chalicelib.drift.source import Query, Reading
from chalicelib.drift.state import States
from chalicelib.evidence import note
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.evidence.personal import Subjects
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.record import Actor
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.lock import FileLocks
from chalicelib.local.signer import KeyFileSigner
from chalicelib.local.writeonce import DirectoryWriteOnce

ANA, BEN, CHLOE = (Actor(name, "asserted") for name in ("ana", "ben", "chloe"))
SECRET = b"s" * 32
START = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)


class HandClock:
    def __init__(self):
        self.moment = START

    def now(self):
        self.moment += timedelta(seconds=1)
        return self.moment


class MemorySource:
    """A target in memory: a list of objects, or an error."""

    def __init__(self, clock, objects):
        self.clock = clock
        self.objects = {item.key: item for item in objects}
        self.error = None
        self.identity = "database memory"
        self.committed = {}
        self.dropped = {}

    def put(self, kind, name, **attributes):
        self.objects[(kind, name)] = Object(kind, name, attributes)

    def drop(self, kind, name):
        del self.objects[(kind, name)]

    def read(self, progress, known=None):
        if self.error is not None:
            raise self.error
        progress("memory", 1, 1)
        return Reading(
            objects=list(self.objects.values()),
            identity=self.identity,
            system={"database": "memory"},
            queries=[Query("all", "0" * 64, len(self.objects))],
            read_at=timestamp(self.clock.now()),
            committed=self.committed,
            dropped=self.dropped,
        )


def make_desk(root, clock, *, signer=None, keys=None):
    """``signer`` and ``keys``: of a log whose key was rotated."""
    signer_path = root / "signing.pem"
    if signer is None:
        signer = (
            KeyFileSigner.load(signer_path)
            if signer_path.exists()
            else KeyFileSigner.create(signer_path)
        )
    verifier = note.verifier("test.example/log", signer.public)
    keys = keys or keyring([LogKey(verifier)])
    objects = DirectoryWriteOnce(root / "evidence")
    derived = DirectoryDerived(root / "derived")
    documents = SqliteDocuments(root / "state.db")
    log = Log(
        writeonce=objects,
        derived=derived,
        documents=documents,
        signer=signer,
        keys=keys,
        tool="test/0",
        pause=lambda _attempt: None,
        seal=Subjects(documents, SECRET, secrets.token_bytes).seal,
    )
    return Desk(
        journal=log,
        objects=objects,
        states=States(log, derived, SECRET),
        locks=FileLocks(root / "lock", clock=clock),
        clock=clock,
        signer=signer,
        keyid=str(verifier),
        trusted=keys.of_record,
        rules=load_rules(),
        tool="test/0",
    )


def propose_state(desk, target, source, *, actor, **options):
    """Propose the source's state as it is now."""
    taken, reading = look(source, quiet)
    return approval.propose(
        desk,
        target,
        taken,
        identity=reading.identity,
        read_at=reading.read_at,
        actor=actor,
        **options,
    )


def quiet(_what, _done, _total):
    pass
