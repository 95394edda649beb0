"""Logs on the local adapters, within reach of tests and of the processes that they start."""

from __future__ import annotations

import os

from chalicelib.evidence import note
from chalicelib.evidence.fsck import fsck
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.kernel.record import Actor, Draft
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.signer import KeyFileSigner
from chalicelib.local.writeonce import DirectoryWriteOnce

ORIGIN = "test.example/log"
AT = "2026-10-01T02:00:00.123456Z"


def unsynced(_file):
    """In place of fsync where no test cuts the power: these run hundreds of times faster."""


def draft(number=0, stream="scan", **body):
    return Draft("scan", stream, AT, Actor("ana", "os"), {"number": number, **body})


class Place:
    """A log under ``root``, with every part of it within reach."""

    def __init__(
        self, root, *, key=None, signer=None, origin=ORIGIN, keys=None, wrap=lambda ports: ports
    ):
        self.root = root
        path = key or root / "signing.pem"
        root.mkdir(exist_ok=True)
        if signer is None:
            signer = (KeyFileSigner.load if path.exists() else KeyFileSigner.create)(path)
        self.signer = signer
        self.verifier = note.verifier(origin, self.signer.public)
        ports = {
            "writeonce": DirectoryWriteOnce(root / "store", sync=unsynced),
            "derived": DirectoryDerived(root / "derived", sync=unsynced),
            "documents": SqliteDocuments(root / "state.db"),
            "signer": self.signer,
        }
        self.pauses = []
        self.ports = wrap(dict(ports))
        self.keys = keyring([LogKey(self.verifier)]) if keys is None else keys
        self.log = Log(**self.ports, keys=self.keys, tool="test/0", pause=self.pauses.append)
        self.writeonce, self.derived = self.ports["writeonce"], self.ports["derived"]
        self.documents = self.ports["documents"]

    def append(self, *numbers, stream="scan", **body):
        return self.log.append([draft(number, stream, **body) for number in numbers])

    def grow(self):
        """A small log that has everything: batches of 1 to 300, streams, bodies kept apart."""
        self.append(0)
        self.append(1, 2, 3, stream="other")
        self.append(4, 5, large="x" * 70_000)
        self.append(*range(6, 306))
        self.append(306, 307, stream="other")
        return self

    def fsck(self, **options):
        return fsck(
            writeonce=self.writeonce,
            derived=self.derived,
            documents=self.documents,
            **{"keys": self.keys, **options},
        )

    def file(self, key, folder="store"):
        return self.root / folder / key

    def files(self, *prefixes, folder="store"):
        base = self.root / folder
        found = (p for p in sorted(base.rglob("*")) if p.is_file() and ".tmp" not in p.parts)
        return [p for p in found if str(p.relative_to(base)).startswith(prefixes)]

    def overwrite(self, path, data):
        os.chmod(path, 0o600)  # noqa: PTH101 - the tests run as root, but need not
        path.write_bytes(data)

    def close(self):
        self.ports["documents"].close()
