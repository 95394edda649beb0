"""A log in which people's values are sealed, within reach of tests."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from evidence.place import AT, Place

from chalicelib.evidence import erasure
from chalicelib.evidence.log import Log
from chalicelib.evidence.personal import Reveal, Subjects
from chalicelib.kernel import personal
from chalicelib.kernel.personal import Personal
from chalicelib.kernel.record import Actor, Draft
from chalicelib.kernel.sealed import SealedDocuments

SECRET = b"s" * 32
ALICE = Actor("alice", "os")
WHY = "asked for on paper"


class Clock:
    def __init__(self):
        self.moment = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def now(self):
        self.moment += timedelta(seconds=1)
        return self.moment


class People:
    """A log in which people's values are sealed."""

    def __init__(self, root, *, secret=SECRET):
        self.clock = Clock()
        self.place = Place(root)
        self.raw = self.place.documents
        self.documents = self.place.documents = SealedDocuments(self.raw, secret)
        self.subjects = Subjects(self.documents, secret, secrets.token_bytes)
        self.log = Log(
            **{**self.place.ports, "documents": self.documents},
            keys=self.place.keys,
            tool="test/0",
            pause=lambda _: None,
            seal=self.subjects.seal,
        )

    def write(self, name="ana", value="because of INC-1", stream="postgres:orders", **body):
        draft = Draft("note", stream, AT, ALICE, {"text": Personal(name, value), **body})
        (entry,) = self.log.append([draft])
        return entry

    def shown(self, entry):
        (sealed,) = personal.sealed_in(entry.body)
        return Reveal(self.subjects, self.log).value(sealed, entry.record.kind, entry.record.stream)

    def erase(self, name="ana", reason=WHY, actor=ALICE):
        return erasure.erase(self.subjects, self.log, self.clock, name, actor=actor, reason=reason)

    def subject(self, name="ana"):
        return self.subjects.find(self.subjects.pseudonym(name))[1]

    def fsck(self):
        report = self.place.fsck()
        assert report.ok, report.problems
        return report

    def files(self):
        return {
            path: path.read_bytes()
            for path in sorted(self.place.root.rglob("*"))
            if path.is_file() and path.name != "state.db-shm"
        }
