"""Witnesses for tests: in memory, behind HTTP in a thread, and logs with a second history."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.memory import MemoryDocuments

from chalicelib.anchors.server import Server
from chalicelib.evidence import cosignature, keys, merkle, note, trust
from chalicelib.evidence.keys import LogKey
from chalicelib.evidence.note import Checkpoint, SignedCheckpoint
from chalicelib.evidence.submission import Request
from chalicelib.evidence.trust import Policy
from chalicelib.evidence.witness import Witness, found
from chalicelib.kernel.merkle import EMPTY_ROOT, leaf_hash, node_hash
from chalicelib.local.signer import KeyFileSigner

NAME = "witness.example/w1"
ORIGIN = "log.example/one"
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def signer(number):
    """The same key every time."""
    return KeyFileSigner(Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


class Ticking:
    """A clock that is one second later at every look."""

    def __init__(self, at=START):
        self.at = at

    def now(self):
        self.at += timedelta(seconds=1)
        return self.at


class Tree:
    """A log's tree over made-up leaves, signed with one key; ``seed`` tells histories apart."""

    def __init__(self, seed=b"", key=21, origin=ORIGIN):
        self.seed = seed
        self.signer = signer(key)
        self.verifier = note.verifier(origin, self.signer.public)
        self.ring = keys.keyring([LogKey(self.verifier)])
        self.size = 0
        self._known = {}

    def node(self, level, index):
        if (level, index) not in self._known:
            own = self.seed if index == 0 and level == 0 else b""
            self._known[level, index] = (
                leaf_hash(own + b"%d" % index)
                if level == 0
                else node_hash(self.node(level - 1, 2 * index), self.node(level - 1, 2 * index + 1))
            )
        return self._known[level, index]

    def root(self, size):
        return merkle.frontier(size, self.node).root() if size else EMPTY_ROOT

    def note(self, size, *extensions):
        text = Checkpoint(self.verifier.name, size, self.root(size), extensions).text()
        return note.sign(text, self.verifier.name, self.signer)

    def proof(self, old, new):
        return merkle.prove_consistency(old, new, self.node)

    def request(self, old, new, **change):
        fields = {"old": old, "proof": tuple(self.proof(old, new)), "note": self.note(new)}
        return Request(**{**fields, **change}).encode()

    # The port ``submission.Source``.

    def head(self):
        if not self.size:
            return None
        signed = self.note(self.size)
        return SignedCheckpoint(note.parse_checkpoint(note.parse(signed).text), signed)

    def prove_consistency(self, old, new):
        return self.proof(old, new)

    def at(self, size):
        self.size = size
        return self


def made(verifier, *, documents=None, key=41, name=NAME, clock=None, tell=None, policy=None):
    """A witness of one log; over the same documents again, as after a restart."""
    documents = MemoryDocuments() if documents is None else documents
    own = cosignature.cosigner(name, signer(key).public)
    if documents.get("witness") is None:
        found(documents, own)
    return Witness(
        name=name,
        signer=signer(key),
        policy=policy or Policy((LogKey(verifier),)),
        documents=documents,
        clock=clock or Ticking(),
        tell=tell or (lambda line: None),
    )


def pinned(witness, url="https://witness.example"):
    """The witness as a log's operator configures it."""
    return trust.Witness("w1", witness.verifier, url)


def post_to(*witnesses, seen=None):
    """The port to witnesses in this process, by the host of the URL: ``w0``, ``w1``, ….

    With one witness, every URL is its.
    """

    def post(url, body, content_type):
        number = int(url.split("/")[2].removeprefix("w")) if len(witnesses) > 1 else 0
        answer = witnesses[number].add_checkpoint(body)
        if seen is not None:
            seen.append((url, body, answer))
        return answer

    return post


@contextmanager
def serving(witness, *, host="127.0.0.1", **options):
    """The witness behind HTTP, and its URL; ``said`` has what it told."""
    said = []
    server = Server((host, 0), witness, tell=said.append, **options)
    server.said = said
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    shown = f"[{host}]" if ":" in host else host
    try:
        yield server, f"http://{shown}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
