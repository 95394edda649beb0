"""Writers in processes of their own, which kill themselves at a step that was chosen for them.

This program imports everything once and forks a writer for every order, so that hundreds of them
take little time. An order is a line of JSON on stdin, and answered by one on stdout:

- ``{"adapter", "root", "diary", "first", "count", "death"}``: start a writer; its pid. It appends
  ``count`` pairs of records, numbered from ``first``, one append each.
- ``{}``: wait for the first writer that ends; its pid and exit code.

``death`` is one of ``["never"]``; ``["before", NAME]`` and ``["after", NAME]``, where NAME starts
``port.method key``; ``["call", N, "before" or "after"]``, the N-th call that writes; and ``["sync",
N]``, in place of the N-th fsync. A writer's diary has a line of JSON for each number that was
acknowledged, each text that it had signed, and each note that it wrote or read.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import traceback
from pathlib import Path

from contract import adapters
from evidence.place import Place, unsynced

from chalicelib.evidence import layout
from chalicelib.kernel.remembered import RememberedWriteOnce
from chalicelib.kernel.sealed import SealedDocuments
from chalicelib.local.clock import SystemClock
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.writeonce import DirectoryWriteOnce

SECONDS = 100  # a writer that takes longer hangs
WRITES = ("put", "swap", "delete", "sign")
NOTES = (layout.CHECKPOINTS, layout.LATEST)
SECRET = b"the seal of a log that tests kill"


def opened(adapter, root, *, wrap=lambda _name, port: port, sync=unsynced):
    """A place on an adapter, with its ports wrapped; AWS's as the wiring puts them together."""
    root.mkdir(exist_ok=True)
    if adapter == "local":
        return Place(
            root,
            wrap=lambda ports: {
                "writeonce": wrap("writeonce", DirectoryWriteOnce(root / "store", sync=sync)),
                "derived": wrap("derived", DirectoryDerived(root / "derived", sync=sync)),
                "documents": wrap("documents", ports["documents"]),
                "signer": wrap("signer", ports["signer"]),
            },
        )
    writeonce = wrap("writeonce", adapters.WRITEONCE["aws"](root))
    key = adapters.SIGNERS[adapter](root)
    signer = type(key)(key._client, key._key_id, writeonce, SystemClock())
    ports = {
        "writeonce": RememberedWriteOnce(writeonce),
        "derived": wrap("derived", adapters.DERIVED["aws"](root)),
        "documents": SealedDocuments(wrap("documents", adapters.DOCUMENTS["aws"](root)), SECRET),
        "signer": wrap("signer", signer),
    }
    return Place(root, signer=signer, wrap=lambda _: ports)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Death:
    """When a writer is to die. ``at`` is asked before and after every call, by its name."""

    def __init__(self, kind, *details):
        self._kind, self._details = kind, details
        self._left = details[0] if kind in {"call", "sync"} else 0

    def at(self, now, method, name):
        if self._kind == "call":
            self._left -= method in WRITES and now == "before"
            # Below zero: a signature of KMS is a call around that of its receipt.
            if self._left <= 0 and now == self._details[1] and method in WRITES:
                die()
        elif now == self._kind and name.startswith(self._details[0]):
            die()

    def sync(self, file):
        if self._kind != "sync":
            return  # as unsynced: no power is cut here
        self._left -= 1
        if self._left == 0:
            die()
        os.fsync(file)


class Watched:
    """A port whose calls may be the last, and whose notes go into a diary."""

    def __init__(self, name, port, death, tell):
        self._name, self._port, self._death, self._tell = name, port, death, tell

    def __getattr__(self, method):
        attribute = getattr(self._port, method)
        if not callable(attribute):
            return attribute

        def call(*arguments, **options):
            key = arguments[0] if arguments and isinstance(arguments[0], str) else ""
            name = f"{self._name}.{method} {key}"
            self._death.at("before", method, name)
            if method == "sign":
                self._tell("signed", arguments[0])
            result = attribute(*arguments, **options)
            seen = arguments[1] if method == "put" else result
            if key.startswith(NOTES) and isinstance(seen, bytes):
                self._tell("note", seen)
            self._death.at("after", method, name)
            return result

        return call


def write(adapter, root, *, diary, first, count, death):
    file = os.open(diary, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tell(what, value):
        text = value.decode() if isinstance(value, bytes) else value
        os.write(file, json.dumps([what, text]).encode() + b"\n")

    death = Death(*death)
    place = opened(
        adapter,
        Path(root),
        wrap=lambda name, port: Watched(name, port, death, tell),
        sync=death.sync,
    )
    for number in range(first, first + count):
        place.append(number, -number)
        tell("number", number)


def forked(order):
    pid = os.fork()
    if pid:
        return pid
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    try:
        write(**order)
    except BaseException:  # noqa: BLE001 - what leads on is the parent's program
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main():
    if "aws" in sys.argv[1:]:
        for service in ("s3", "dynamodb", "kms"):
            adapters.client(service)  # its model takes long to read, and is kept
    for line in sys.stdin:
        order = json.loads(line)
        if order:
            answer = forked(order)
        else:
            pid, status = os.wait()
            answer = [pid, os.waitstatus_to_exitcode(status)]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
