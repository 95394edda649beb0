"""Small packets, straight from docs/formats/packet.md, and the lies that a key holder could tell.

Nothing here comes from the program's own builder or verifiers. The story: one day of the targets
``a``, ``b`` and ``c``, with gaps, a baseline that ``ana`` proposed and ``bob`` approved, a body
that was kept apart, and a change of the log's key from Ed25519 to P-256.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import struct
import zlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

ORIGIN = "example.com/log"
EVE = "2024-09-30T18:00:00.000000Z"
FROM, TO = "2024-10-01T00:00:00.000000Z", "2024-10-02T00:00:00.000000Z"
FIRST, LAST, CENSUS, LATER, ROTATED = 7, 36, 37, (39, 42), 18
A, B, C = "postgres:a", "postgres:b", "postgres:c"
MAX_SIZE = 2**63 - 1


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def canonical(value):
    """RFC 8785 for what is in these packets: no fraction, no key beyond the Basic Plane."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def at(hour, minute=0, day=1):
    return f"2024-10-{day:02d}T{hour:02d}:{minute:02d}:00.000000Z"


class Ed25519Key:
    """A key that signs always the same way, as every run has to make the same bytes."""

    def __init__(self, seed, name=ORIGIN, kind=1):
        self._private = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed).digest())
        self.name = name
        self.public = bytes([kind]) + self._private.public_key().public_bytes_raw()
        self.id = hashlib.sha256(name.encode() + b"\n" + self.public).digest()[:4]

    def sign(self, message):
        return self._private.sign(message)


class P256Key:
    def __init__(self, seed, name=ORIGIN):
        number = int.from_bytes(hashlib.sha256(seed).digest(), "big") >> 1
        self._private = ec.derive_private_key(number, ec.SECP256R1())
        spki = self._private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.name = name
        self.public = b"\2" + spki
        self.id = hashlib.sha256(spki).digest()[:4]

    def sign(self, message):
        how = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        return self._private.sign(message, how)


OLD, NEW, OTHER = Ed25519Key(b"old"), P256Key(b"new"), Ed25519Key(b"other")
NORTH = Ed25519Key(b"north", "north.example", kind=4)
SOUTH = Ed25519Key(b"south", "south.example", kind=4)


def vkey(key):
    return f"{key.name}+{key.id.hex()}+{base64.b64encode(key.public).decode()}"


def line(key, signature):
    return f"\u2014 {key.name} {base64.b64encode(key.id + signature).decode()}\n"


def note(text, *keys):
    return (text + "\n" + "".join(line(key, key.sign(text.encode())) for key in keys)).encode()


def cosignature(key, text, seconds):
    signature = key.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
    return line(key, struct.pack(">Q", seconds) + signature).encode()


def trust(*, quorum="north", old=OLD, new=NEW, rotated=ROTATED):
    lines = [
        f"log {vkey(old)}",
        f"#: sizes 0 {rotated}",
        f"log {vkey(new)}",
        f"#: sizes {rotated} -",
        f"witness north {vkey(NORTH)}",
        f"witness south {vkey(SOUTH)}",
        "group both all north south",
        f"quorum {quorum}",
    ]
    return "".join(f"{one}\n" for one in lines).encode()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(count):
    return 1 << (count - 1).bit_length() - 1


def root(leaves):
    """RFC 9162 §2.1.1, as it is written there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = split(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))


def inclusion(index, leaves):
    """RFC 9162 §2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*inclusion(index, leaves[:k]), root(leaves[k:])]
    return [*inclusion(index - k, leaves[k:]), root(leaves[:k])]


def consistency(old, leaves, whole=True):
    """RFC 9162 §2.1.4.1, SUBPROOF."""
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    k = split(len(leaves))
    if old <= k:
        return [*consistency(old, leaves[:k], whole), root(leaves[k:])]
    return [*consistency(old - k, leaves[k:], whole=False), root(leaves[:k])]


def frontier(leaves):
    if not leaves:
        return []
    k = 1 << len(leaves).bit_length() - 1
    return [root(leaves[:k]), *frontier(leaves[k:])]


class Story:
    """The log's records, and what is kept beside them. ``edit``: changes to records, by index."""

    def __init__(self, edit=None, seal=OLD, statement=lambda _statement: None):
        self.edit = edit or {}
        self.leaves, self.records, self.files, self._seqs = [], [], {}, {}
        self._seal, self._statement = seal, statement
        self._tell()

    def add(self, kind, stream, when, body, actor="ana", *, apart=False):
        self._seqs[stream] = self._seqs.get(stream, 0) + 1
        record = {
            "v": 1,
            "kind": kind,
            "stream": stream,
            "seq": self._seqs[stream],
            "at": when,
            "actor": {"name": actor, "via": "os"},
            "tool": "holdfast/0.1",
            "body": body,
        }
        if apart:
            self._apart(record)
        self.edit.get(len(self.records), lambda _record: None)(record)
        self.records.append(record)
        self.leaves.append(canonical(record))
        return len(self.records) - 1

    def hash(self, index):
        return hashlib.sha256(b"\0" + self.leaves[index]).digest()

    def hashes(self, size):
        return [self.hash(index) for index in range(size)]

    def keep(self, kind, data):
        self.files[f"{kind}/sha256/{sha256(data)}"] = data
        return sha256(data)

    def _apart(self, record):
        data = canonical(record.pop("body"))
        record["body_ref"] = {"sha256": self.keep("body", data), "size_bytes": len(data)}

    def _snapshot(self, *names):
        rows = [canonical(["table", name, {"owner": "app"}]) for name in names]
        top = root([hashlib.sha256(b"\0" + row).digest() for row in rows])
        digest = self.keep("snapshot", b"".join(row + b"\n" for row in rows))
        taken = {"sha256": digest, "root": top.hex(), "objects": len(rows)}
        return taken | {"identity": "database a", "read_at": EVE}

    def _finding(self, stream, when, name):
        body = {"id": name, "operation": "altered", "kind": "table", "name": name, "attribute": "a"}
        body |= {
            "severity": "low",
            "direction": "neutral",
            "title": "t",
            "when": {"not_after": when},
        }
        self.add("finding.opened", stream, when, body)

    def _scan(self, stream, when, outcome, taken=None, **more):
        body = {"outcome": outcome, "scheduled_at": when, "snapshot": taken, "baseline": None}
        body |= {"signed": None, "required": 1, "approvers": [], "queries": []}
        if taken:
            body["questions"] = self.keep("question", canonical({"00": "SELECT 1"}))
        return body | more

    def _baseline(self, taken):
        proposed = {"proposal": "B-1", "snapshot": taken, "comment": "", "accepts": []}
        four = self.add("baseline.proposed", A, EVE, proposed)
        body = {"proposal": "B-1", "root": taken["root"], "comment": ""}
        five = self.add("baseline.approved", A, EVE, body, "bob")
        votes = [
            {"by": r["actor"], "at": r["at"], "index": i, "leaf": self.hash(i).hex()}
            for i, r in ((four, self.records[four]), (five, self.records[five]))
        ]
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": A, "digest": {"sha256": taken["sha256"], "rfc9162Sha256": taken["root"]}}
            ],
            "predicateType": "urn:holdfast:predicate:baseline:v1",
            "predicate": {
                "proposal": "B-1",
                "proposed": votes[0],
                "approved": votes[1:],
                "required": 1,
                "identity": "database a",
                "read_at": at(0),
                "objects": taken["objects"],
                "comment": "",
                "tool": "holdfast/0.1",
            },
        }
        self._statement(statement)
        payload = canonical(statement)
        kind = b"application/vnd.in-toto+json"
        message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
        envelope = {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind.decode(),
            "signatures": [
                {"keyid": "k", "sig": base64.b64encode(self._seal.sign(message)).decode()}
            ],
        }
        body = {"proposal": "B-1", "envelope": self.keep("baseline", canonical(envelope))}
        body |= {"root": taken["root"], "read_at": at(0), "accepts": []}
        return self.add("baseline.signed", A, at(0), body, "bob")

    def _tick(self, when, deadline, **due):
        body = {"scheduled_at": when, "deadline_at": deadline, "targets": 2}
        return self.add("schedule.dispatched", "schedule", when, body | due, "schedule")

    def _tell(self):
        self.add("log.opened", "log", EVE, {"origin": ORIGIN})  # 0
        who = self._tick(EVE, FROM, due=[A, B])  # 1
        taken, other = self._snapshot("public.one", "public.two"), self._snapshot("public.one")
        self.add("scan", A, EVE, self._scan(A, EVE, "unknown", taken))  # 2
        self.add("scan", B, EVE, self._scan(B, EVE, "unknown"))  # 3
        signed = self._baseline(taken)  # 4, 5, 6
        held = {"signed": signed, "baseline": "B-1"}
        self._tick(at(0), at(6), due_at=who)  # 7, the first of the range
        self.add("scan", A, at(0, 1), self._scan(A, at(0), "clean", taken, **held))
        failure = {"failure": {"code": "unreachable", "message": "no route"}}
        self.add("scan", B, at(0, 2), self._scan(B, at(0), "unknown", **failure))
        self._tick(at(6), at(12), due_at=who)  # 10
        body = self._scan(A, at(6), "drift", other, findings=["F" * 20] * 50, **held)
        self.add("scan", A, at(6, 1), body, apart=True)
        self._finding(A, at(6, 1), "größe \U0001f600 \ufb01")
        self._tick(at(12), at(18), due=[A, B, C])  # 13
        self.add("scan", A, at(12, 1), self._scan(A, at(12), "clean", taken, **held))
        self.add("scan.missed", B, at(12, 2), {"scheduled_at": at(12), "deadline_at": at(18)})
        self.add("scan", B, at(13), self._scan(B, None, "unknown"))  # 16
        self.add(
            "log.rotated", "log", at(14), {"key": vkey(NEW), "former": vkey(OLD), "reason": ""}
        )
        for number in range(ROTATED, LAST):
            self._finding(B, at(15, number), f"F-{number}")
        erased = {"subject": "5e" * 16, "key": "01" * 16, "records": 1, "reason": "asked"}
        self.add("personal.erased", "log", at(0, 1, 2), erased)
        self.add("period.closed", "log", at(0, 5, 2), self._census())  # 37
        for number in range(CENSUS + 1, LATER[-1]):
            self._finding(C, at(1, number, 2), f"F-{number}")

    def _census(self):
        streams = {}
        for record in self.records[FIRST:LAST]:
            row = streams.setdefault(record["stream"], [record["seq"] - 1, 0, {}])
            row[1] = record["seq"]
            row[2][record["kind"]] = row[2].get(record["kind"], 0) + 1
        rows = [[name, *streams[name]] for name in sorted(streams)]
        return {"from": FROM, "to": TO, "first": FIRST, "last": LAST, "streams": rows}


COVERAGE = {
    "ticks": 3,
    "targets": [
        {
            "target": A,
            "expected": 3,
            "observed": 3,
            "pending": 0,
            "unobserved": 1,
            "outcomes": {"clean": 2, "drift": 1},
            "unscheduled": 0,
        },
        {
            "target": B,
            "expected": 3,
            "observed": 1,
            "pending": 0,
            "unobserved": 3,
            "outcomes": {"unknown": 1},
            "unscheduled": 1,
        },
        {
            "target": C,
            "expected": 1,
            "observed": 0,
            "pending": 0,
            "unobserved": 2,
            "outcomes": {},
            "unscheduled": 0,
        },
    ],
    "unobserved": [
        [A, at(18), TO, "no tick"],
        [B, at(6), at(12), "no scan"],
        [B, at(12), at(18), "missed"],
        [B, at(18), TO, "no tick"],
        [C, at(12), at(18), "no scan"],
        [C, at(18), TO, "no tick"],
    ],
}


def coverage(targets):
    """What the story's coverage is, written down by hand."""
    rows = [row for row in COVERAGE["targets"] if not targets or row["target"] in targets]
    gaps = [gap for gap in COVERAGE["unobserved"] if not targets or gap[0] in targets]
    return {"ticks": 3, "targets": rows, "unobserved": gaps}


def questions(story, chosen):
    scans = [(i, story.records[i]) for i in chosen if story.records[i]["kind"] == "scan"]
    bodies = [(i, r, r.get("body") or _body(story, r)) for i, r in scans]
    asked = [body["questions"] for _, _, body in bodies if body.get("questions")]
    failures = [[i, r["stream"], b["failure"]["code"]] for i, r, b in bodies if "failure" in b]
    return {
        "tools": {"holdfast/0.1": len(chosen)},
        "questions": {one: asked.count(one) for one in asked},
        "failures": failures,
    }


def _body(story, record):
    return json.loads(story.files.get(f"body/sha256/{record['body_ref']['sha256']}", b"{}"))


def checkpoint(story, size):
    top = base64.b64encode(root(story.hashes(size))).decode()
    return f"{ORIGIN}\n{size}\n{top}\n"


def chosen(story, targets=(), kinds=(), context=(0, 1, 4, 5, 6, 36, CENSUS)):
    """Indices of the chosen leaves, and of those that they need from outside the range."""
    found = set(context)
    for index in range(FIRST, LAST):
        stream, kind = story.records[index]["stream"], story.records[index]["kind"]
        asked = not kinds or kind in {"scan", "scan.missed"}
        asked = asked or any(kind == one or kind.startswith(one + ".") for one in kinds)
        if stream in {"log", "schedule"} or (asked and (not targets or stream in targets)):
            found.add(index)
    return sorted(found)


def proofs(story, indices, size):
    """Each line keeps of the proof before what both have at their ends."""
    rows, before, leaves = [], [], story.hashes(size)
    for index in indices:
        proof, kept = inclusion(index, leaves), 0
        while kept < min(len(proof), len(before)) and proof[-1 - kept] == before[-1 - kept]:
            kept += 1
        given = [one.hex() for one in proof[: len(proof) - kept]]
        rows.append(canonical([index, kept, given]) + b"\n")
        before = proof
    return b"".join(rows)


def _referred(story, indices):
    """The stored objects that chosen leaves refer to, themselves or through what they refer to."""
    said, found = b"".join(story.leaves[i] for i in indices), {}
    for kind in ("body", "baseline", "snapshot", "question"):
        for name, data in story.files.items():
            if name.startswith(f"{kind}/") and name[-64:].encode() in said:
                found[name] = data
                said += data if kind == "body" else b""
                said += base64.b64decode(json.loads(data)["payload"]) if kind == "baseline" else b""
    return found


def contents(
    story=None,
    *,
    targets=(),
    kinds=(),
    hide=(),
    checkpoints=None,
    change=None,
    manifest=lambda _manifest: None,
    key=NEW,
    verifier=b"# verify.py\n",
    stamp=b"",
    seconds=1_727_900_000,
    witnesses=(NORTH,),
):
    """The files of a packet, by name.

    ``hide``: chosen leaves that are left out. ``change``: new bytes of files, or None to leave one
    out, by name. ``manifest``: changes the manifest. Both before it is signed, with ``key``.
    """
    story = story or Story()
    indices = [one for one in chosen(story, targets, kinds) if one not in hide]
    sizes = checkpoints or (FIRST, LAST, *LATER)
    files = {
        "README.txt": b"Read me.\n",
        "verify.py": verifier,
        "trust.txt": trust(),
        "report.txt": b"A report.\n",
        "leaf-hashes.txt": b"".join(
            story.hash(i).hex().encode() + b"\n" for i in range(FIRST, LAST)
        ),
        "leaves.jsonl": b"".join(story.leaves[i] + b"\n" for i in indices),
        "proofs.jsonl": proofs(story, indices, sizes[-1]),
        "coverage.json": canonical(coverage(targets)),
        "questions.json": canonical(questions(story, indices)),
        f"log/key/{ROTATED:020d}": note(checkpoint(story, ROTATED), OLD, NEW),
    }
    for size in sizes:
        signer = OLD if size <= ROTATED else NEW
        files[f"log/checkpoint/{size:020d}"] = note(checkpoint(story, size), signer)
    for witness in witnesses:
        signed = cosignature(witness, checkpoint(story, LATER[0]), seconds)
        files[f"cosignature/{LATER[0]:020d}/{witness.id.hex()}"] = signed
    if stamp:
        files[f"timestamp/{LATER[0]:020d}/{sha256(stamp)}"] = stamp
    files |= _referred(story, indices)
    for name, data in (change or {}).items():
        files.pop(name, None)
        if data is not None:
            files[name] = data
    stated = {
        "v": 1,
        "origin": ORIGIN,
        "period": {"from": FROM, "to": TO},
        "filter": {"targets": sorted(targets), "kinds": sorted(kinds)},
        "range": {"first": FIRST, "last": LAST},
        "census": CENSUS,
        "frontier": [one.hex() for one in frontier(story.hashes(FIRST))],
        "checkpoints": list(sizes),
        "consistency": [
            [one.hex() for one in consistency(old, story.hashes(new))]
            for old, new in itertools.pairwise(sizes[1:])
        ],
        "handovers": [ROTATED],
        "records": len(indices),
        "tool": {"version": "0.1", "sha256": "0" * 64},
        "files": {n: {"sha256": sha256(x), "size_bytes": len(x)} for n, x in files.items()},
    }
    manifest(stated)
    return sign(files, canonical(stated), key)


def sign(files, stated, key=NEW):
    """The files with a manifest of these bytes."""
    digest = base64.b64encode(hashlib.sha256(stated).digest()).decode()
    text = f"packet v1\n{key.name}\n{digest}\n"
    return files | {"manifest.json": stated, "manifest.note": note(text, key)}


def pack(files, order=sorted):
    """The zip file of docs/formats/packet.md, "Container". ``files``: names and bytes."""
    pairs = order(files.items()) if isinstance(files, dict) else files
    body, directory = bytearray(), bytearray()
    for name, data in pairs:
        raw, crc, size = name.encode(), zlib.crc32(data), len(data)
        head = struct.pack("<5H3I2H", 20, 0, 0, 0, 0x21, crc, size, size, len(raw), 0)
        tail = struct.pack("<3H2I", 0, 0, 0, 0x81A40000, len(body))
        directory += struct.pack("<IH", 0x02014B50, 0x0314) + head + tail + raw
        body += struct.pack("<I", 0x04034B50) + head + raw + data
    count = min(len(pairs), 0xFFFF)
    end = struct.pack("<I4H2IH", 0x06054B50, 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)


def packet(*arguments, **options):
    """The bytes of a packet; as :func:`contents`."""
    return pack(contents(*arguments, **options))
