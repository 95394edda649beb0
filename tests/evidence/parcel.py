"""Logs in memory, the packets made of them, and packets that a key holder made again with lies."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from functools import cache

from support import packets
from support.memory import MemoryDerived, MemoryDocuments, MemoryWriteOnce

from chalicelib.evidence import build, closing, layout, manifest, note, verify
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.evidence.manifest import Filter, Period, Tool
from chalicelib.evidence.trust import Policy
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.record import Actor, Draft
from chalicelib.local.signer import KeyFileSigner

ORIGIN = "test.example/log"
ANA = Actor("ana", "os")
A, B, C = "postgres:a", "postgres:b", "postgres:c"
ASSETS = {"README.txt": b"Read me.\n", "verify.py": b"print()\n"}


def at(day, hour=0, minute=0, second=0):
    """A moment of October 2026."""
    return timestamp(moment(day, hour, minute, second))


def moment(day, hour=0, minute=0, second=0):
    days = timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second)
    return datetime(2026, 10, 1, tzinfo=UTC) + days


DAY = Period(at(2), at(3))
NOW = moment(30)


def quiet(*_):
    """Progress that nobody watches."""


class Still:
    """A clock that is moved by hand."""

    def __init__(self, now=NOW):
        self.moment = now

    def now(self):
        return self.moment


def said(entry):
    """What a record of these tests refers to: its body says so."""
    return build.References(
        tuple(entry.body.get("keys", ())), tuple(entry.body.get("rests_on", ()))
    )


def believing(objects, _ring):
    """The check of a flow whose records name keys, as :func:`said` does."""

    def check(entry):
        for key in entry.body.get("keys", ()):
            if hashlib.sha256(objects.get(key)).hexdigest() != key[-64:]:
                yield key, "it is not what was recorded"

    return check


class Archive:
    """A log, its stores, and its packets."""

    def __init__(self, signer=None, keys=None, ports=None, policy=None):
        self.signer = signer or KeyFileSigner.generate()
        self.verifier = note.verifier(ORIGIN, self.signer.public)
        self.keys = keys or keyring([LogKey(self.verifier)])
        self.ports = ports or {
            "writeonce": MemoryWriteOnce(),
            "derived": MemoryDerived(),
            "documents": MemoryDocuments(),
        }
        self.objects = self.ports["writeonce"]
        self.log = self.opened()
        self.policy = policy or Policy(self.keys.keys)
        self.clock = Still()

    def opened(self, **change):
        """Another process's view of the log."""
        options = {**self.ports, "signer": self.signer, "keys": self.keys, **change}
        return Log(**options, tool="test/1", pause=quiet)

    def write(self, *rows):
        """One batch: rows of (stream, kind, at) or (stream, kind, at, body)."""
        drafts = [Draft(row[1], row[0], row[2], ANA, (row[3:] or ({},))[0]) for row in rows]
        return self.log.append(drafts)

    def keep(self, prefix, data):
        """An object that a record can name."""
        key = prefix + hashlib.sha256(data).hexdigest()
        self.objects.put(key, data)
        return key

    def close(self, period=DAY, **options):
        options = {"clock": self.clock, "actor": ANA, "progress": quiet, **options}
        return closing.close(options.pop("log", self.log), self.objects, period, **options)

    def sources(self, **change):
        options = {
            "log": self.log,
            "objects": self.objects,
            "signer": self.signer,
            "policy": self.policy,
            "refer": said,
            "tool": Tool("1", "0" * 64),
            "assets": ASSETS,
            "temporary": io.BytesIO,
            **change,
        }
        return build.Sources(**options)

    def built(self, period=DAY, targets=(), kinds=(), **change):
        """A packet's bytes, and what the builder says of them."""
        closed, out = self.close(period), io.BytesIO()
        asked = Filter(tuple(targets), tuple(kinds))
        made = build.build(self.sources(**change), period, asked, closed, out=out, progress=quiet)
        return out.getvalue(), made

    def packet(self, *arguments, **options):
        return self.built(*arguments, **options)[0]

    def verdict(self, data, policy=None, **options):
        return answer(data, policy or self.policy, **options)

    def forged(self, data, change=None, stated=lambda _manifest: None):
        """The packet with other files and another manifest, signed by the log's key again."""
        found = files(data)
        del found[manifest.NOTE]
        head = json.loads(found.pop(manifest.MANIFEST))
        found |= change or {}
        found = {name: text for name, text in found.items() if text is not None}
        head["files"] = {
            name: {"sha256": packets.sha256(text), "size_bytes": len(text)}
            for name, text in found.items()
        }
        stated(head)
        text = packets.canonical(head)
        signed = note.sign(manifest.text(head["origin"], packets.sha256(text)), ORIGIN, self.signer)
        return packets.pack(found | {manifest.MANIFEST: text, manifest.NOTE: signed})


def answer(data, policy, *, now=NOW, checker=believing, authorities=()):
    return verify.verify(
        io.BytesIO(data), policy, now=now, checker=checker, authorities=authorities
    )


def files(data):
    """The files of a packet, read by another program than ours."""
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        return {name: found.read(name) for name in found.namelist()}


def lines(data, name):
    return [json.loads(line) for line in files(data)[name].splitlines()]


def indices(data):
    """Which leaves are in a packet."""
    return [index for index, _, _ in lines(data, manifest.PROOFS)]


def head(data):
    return json.loads(files(data)[manifest.MANIFEST])


@cache
def _root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = packets.split(len(leaves))
    return packets.node(_root(leaves[:k]), _root(leaves[k:]))


def proofs(log, chosen, size):
    """``proofs.jsonl`` for any leaves of a log, and none kept."""
    leaves = tuple(hashlib.sha256(b"\0" + leaf).digest() for _, leaf in log.leaves(0, size))
    rows = []
    for index in chosen:
        found, start, tree = [], index, leaves
        while len(tree) > 1:
            k = packets.split(len(tree))
            left = start < k
            found.append(_root(tree[k:] if left else tree[:k]).hex())
            tree, start = (tree[:k], start) if left else (tree[k:], start - k)
        rows.append(packets.canonical([index, 0, found[::-1]]) + b"\n")
    return b"".join(rows)


def locked(archive, size):
    return archive.objects.get(layout.checkpoint(size))
