"""Verify a Holdfast packet: ``python3 verify.py PACKET.zip --trust trust.txt``.

Needs Python 3.9 and no network, package or other file. The trust file says whom you believe: a C2SP
tlog-policy, or one line with the log's verifier key; get it by another way than the packet. Numbers
at the code are the steps of docs/formats/packet.md. Answers: VERIFIED (exit 0), FAILED (1),
UNWITNESSED (3: too few witnesses that you trust cosigned); 2: the question cannot be answered.
"""
from __future__ import annotations
import base64, hashlib, json, pathlib, re, struct, sys, time, zlib
from collections import Counter, defaultdict, namedtuple
from typing import Any
NAME = re.compile(rb"(?=.{1,200}\Z)[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
KINDS = r"""scan|scan\.missed|access\.(requested|amended|approved|denied|withdrawn|lapsed|reviewed)
|schedule\.dispatched|target\.(configured|removed)|baseline\.(proposed|approved|signed)|packet\.made
|finding\.(opened|closed|suppressed|attributed)|log\.(opened|restored|rotated)|period\.closed
|lease\.(issuing|issued|refreshed|renewal|extended|ending|unended|ended|orphaned)|personal\.erased
|hold\.(placed|released)|evidence\.read|masking\.(applied|checked)""".replace("\n", "")
MAX_LEAF, MAX_FILE, SKEW_SECONDS = 65_535, 64 * 2**20, 600
USAGE = "usage: python3 verify.py PACKET.zip --trust trust.txt (from elsewhere than the packet)"
WRONG = (ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error)
class Failed(Exception):
    """Something is not what it claims to be."""
def need(condition: object, reason: str) -> None:
    """Return if the condition holds. Raises: Failed."""
    if not condition:
        raise Failed(reason)
def unhex(text: str) -> bytes:
    """The 32 bytes of a hash in lower-case hexadecimal digits."""
    need(re.fullmatch("[0-9a-f]{64}", text), "not a hash")
    return bytes.fromhex(text)
def unbase64(text: str) -> bytes:
    """The bytes of canonical base64 (RFC 4648 section 4): one value, one spelling."""
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 that is not canonical")
    return data
# Signatures: Ed25519 (RFC 8032) and ECDSA on P-256 (FIPS 186-5). Nothing is secret: time may vary.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)
Q = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200 04")  # RFC 5480
def combined(add: Any, total: Any, terms: list[tuple[int, Any]]) -> Any:
    """The sum of points times their factors of at most 256 bits; ``total`` is zero."""
    for bit in reversed(range(256)):
        total = add(total, total)
        for factor, point in terms:
            total = add(total, point) if factor >> bit & 1 else total
    return total
def edwards(a: Any, b: Any) -> Any:
    """The sum of two points. Source: RFC 8032 section 5.1.4, without the projection."""
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2 % P
    inverse = pow(1 - t * t, -1, P)
    return (x1 * y2 + x2 * y1) * (1 - t) * inverse % P, (y1 * y2 + x1 * x2) * (1 + t) * inverse % P
def decoded(data: bytes) -> tuple[int, int]:
    """The point of 32 bytes. Source: RFC 8032 section 5.1.3."""
    y, sign = int.from_bytes(data, "little") & 2**255 - 1, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT % P
    need(y < P and x * x % P == square and (x or not sign), "not a point of the curve")
    return (x if x & 1 == sign else P - x), y
def ed25519(key: bytes, signature: bytes, message: bytes) -> bool:
    """RFC 8032 section 5.1.7, without the cofactor, as OpenSSL does it."""
    factor = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    base, s = decoded(bytes([0x58] + [0x66] * 31)), int.from_bytes(signature[32:], "little")
    x, y = combined(edwards, (0, 1), [(s, base), (L - factor, decoded(key))])
    found = (y | (x & 1) << 255).to_bytes(32, "little")
    return len(signature) == 64 and s < L and found == signature[:32]
def weierstrass(a: Any, b: Any) -> Any:
    """The sum of two points of P-256; None is the one at infinity."""
    if a is None or b is None or (a[0] == b[0] and a != b):
        return (a or b) if a is None or b is None else None
    over, under = (3 * a[0] ** 2 - 3, 2 * a[1]) if a == b else (b[1] - a[1], b[0] - a[0])
    slope = over * pow(under, -1, Q)
    x = (slope * slope - a[0] - b[0]) % Q
    return x, (slope * (a[0] - x) - a[1]) % Q
def p256(key: bytes, signature: bytes, message: bytes) -> bool:
    """FIPS 186-5 section 6.4.2; the signature is DER, and two numbers have one DER."""
    middle = 4 + signature[3]
    r, s = (int.from_bytes(x, "big") for x in (signature[4:middle], signature[middle + 2 :]))
    sizes = [number.bit_length() // 8 + 1 for number in (r, s)]
    der = b"".join(bytes([2, n]) + x.to_bytes(n, "big") for n, x in zip(sizes, (r, s)))
    need(0 < r < N and 0 < s < N and signature == bytes([0x30, len(der)]) + der, "not a signature")
    digest, inverse = int.from_bytes(hashlib.sha256(message).digest(), "big"), pow(s, -1, N)
    point = int.from_bytes(key[-64:-32], "big"), int.from_bytes(key[-32:], "big")
    terms = [(digest * inverse % N, (GX, GY)), (r * inverse % N, point)]
    found = combined(weierstrass, None, terms)
    return found is not None and found[0] % N == r
# A key that is believed: a log's, with the sizes that it signs, or a witness's (kind 4).
Key = namedtuple("Key", "name id kind data first last", defaults=(0, 2**63 - 1))
def signed(key: Key, signature: bytes, message: bytes) -> bool:
    """Whether the signature is the key's over the message."""
    if key.kind == 4:  # tlog-cosignature, "Ed25519 signed message"
        stated = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big")
        return ed25519(key.data, signature[8:], stated + message)
    return (p256 if key.kind == 2 else ed25519)(key.data, signature, message)
def vkey(text: str, kinds: str) -> Key:
    """The key of ``name+id+base64`` (C2SP signed-note), its type one of the digits ``kinds``."""
    name, identity, encoded = text.split("+", 2)
    raw = unbase64(encoded)
    size = 33 if raw[0] != 2 else 92 if raw[1:28] == SPKI else 0
    known = hashlib.sha256(raw[1:] if raw[0] == 2 else f"{name}\n".encode() + raw).hexdigest()[:8]
    good = str(raw[0]) in kinds and len(raw) == size and identity == known
    need(good, "a key of another type, or with another id than its own")
    return Key(name, identity, raw[0], raw[1:])
def note(data: bytes, keys: list[Key]) -> tuple[str, list[Key | None]]:
    """Text and signers of a signed note. Unknown ones are None; the keys given must be right."""
    text, _, tail = data.decode().rpartition("\n\n")
    signers, known = [], {(key.name, key.id): key for key in keys}
    for line in tail.split("\n")[:-1]:
        dash, name, encoded = line.split(" ")
        raw = unbase64(encoded)
        need(dash == "\u2014" and tail[-1] == "\n" and len(raw) > 4, "not a signed note")
        signers.append(known.get((name, raw[:4].hex())))
        good = signers[-1] is None or signed(signers[-1], raw[4:], f"{text}\n".encode())
        need(good, f"the signature of {name} {raw[:4].hex()} is not over this text")
    return f"{text}\n", signers
class Trust:
    """A C2SP tlog-policy; ``#: sizes FIRST LAST`` right after a log's line narrows its key."""
    def __init__(self, data: bytes) -> None:
        text, before, self.quorum = data.decode("utf-8", "surrogateescape"), "", ""
        self.logs: list[Key] = []
        self.named: dict[str, Any] = {"none": None}  # a witness's key, or a group: least, members
        alone = "+" in text and text[0] != "#" and len(text.split()) == 1
        for line in (f"log {text.strip()}\nquorum none" if alone else text).split("\n"):
            what, name, *rest = [*re.split("[ \t]+", line.strip(" \t")), ""]
            new, rest = name not in self.named, rest[:-1]
            if what == "log" and len(rest) < 2:
                self.logs.append(vkey(name, "12"))
            elif (before, what, name) == ("log", "#:", "sizes"):
                sizes = int(rest[0]), 2**63 - 1 if rest[1] == "-" else int(rest[1])
                self.logs[-1] = self.logs[-1]._replace(first=sizes[0], last=sizes[1])
            elif what == "witness" and new and len(rest) < 3:
                self.named[name] = vkey(rest[0], "4")
            elif what == "group" and new and self.named.keys() - {"none"} >= {*rest[1:]}:
                least = {"any": 1, "all": len(rest) - 1}.get(rest[0]) or int(rest[0])
                need(0 < least <= len({*rest[1:]}) == len(rest) - 1, f"not a group: {line}")
                self.named[name] = least, rest[1:]
            elif what == "quorum" and not new and not self.quorum:
                self.quorum = name
            else:
                need(what[:1] in ("", "#") and what[:2] != "#:", f"not a line of a policy: {line}")
            before = what
        self.logs.sort(key=lambda key: (key.name, key.first))
        meet = [a.last == b.first for a, b in zip(self.logs, self.logs[1:]) if a.name == b.name]
        keys = [key.data for key in (*self.logs, *self.named.values()) if isinstance(key, Key)]
        good = self.quorum and all(meet) and len({*keys}) == len(keys)
        need(good, "a policy without a quorum, with a key twice, or with sizes that do not meet")
    def met(self, cosigned: set[str]) -> bool:
        """Whether these witnesses, by their names in the policy, are a quorum."""
        for name, group in self.named.items():  # each names what stands before it
            if isinstance(group, tuple) and not isinstance(group, Key):
                cosigned |= {name} if len(cosigned.intersection(group[1])) >= group[0] else set()
        return self.quorum in cosigned | {"none"}
def node(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node. Source: RFC 9162 section 2.1.1, as is what follows."""
    return hashlib.sha256(b"\1" + left + right).digest()
def grow(edge: list[bytes], size: int, leaf: bytes) -> None:
    """Append leaf hash number ``size`` to a tree's complete subtrees, the largest first."""
    while size & 1:
        leaf, size = node(edge.pop(), leaf), size >> 1
    edge.append(leaf)
def rooted(edge: list[bytes]) -> bytes:
    """The root over complete subtrees, the largest first."""
    root = edge[-1] if edge else hashlib.sha256().digest()
    for left in edge[-2::-1]:
        root = node(left, root)
    return root
def led(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that an inclusion proof leads to, which is used up. Section 2.1.3."""
    if size == 1:
        return leaf
    middle = 1 << (size - 1).bit_length() - 1
    if index < middle:
        return node(led(index, middle, leaf, path), path.pop(0))
    right = led(index - middle, size - middle, leaf, path)
    return node(path.pop(0), right)
def both(old: int, new: int, known: bytes, path: list[bytes]) -> tuple[bytes, bytes]:
    """The roots that a consistency proof leads to, ``known`` the old tree's. Section 2.1.4."""
    if old == new:
        return (known or path.pop(0),) * 2
    middle = 1 << (new - 1).bit_length() - 1
    if old <= middle:
        a, b = both(old, middle, known, path)
        return a, node(b, path.pop(0))
    a, b = both(old - middle, new - middle, b"", path)
    left = path.pop(0)
    return node(left, a), node(left, b)
class Packet:
    """A packet and what was found in it; ``where`` is what is being looked at."""
    def __init__(self, file: Any, trust: Trust, now: float) -> None:
        self.file, self.trust, self.now, self.where = file, trust, now, "the zip file"
        self.entries: dict[str, tuple[int, int, str]] = {}  # place, size, SHA-256
        self.streams, self.told, self.closed = {}, [], False
    def container(self) -> None:
        """Step 1: each header is the one that the bytes must have, and nothing is in between."""
        file, central, last, head = self.file, bytearray(), b"", self.file.read(30)
        while head[:4] == b"PK\3\4":
            place = file.tell() - 30
            crc, size, _, length = struct.unpack("<3IH", head[14:28])
            name, left, found, digest = file.read(length), size, 0, hashlib.sha256()
            self.where = name.decode("ascii", "replace")
            plain = struct.pack("<5H3I2H", 20, 0, 0, 0, 33, crc, size, size, length, 0)
            good = head[4:] == plain and NAME.fullmatch(name) and last < name
            need(good, "a header in another form, a name that is none, or another order")
            while left:
                data = file.read(min(left, 2**20))
                need(data, "the file is cut off")
                left, found = left - len(data), zlib.crc32(data, found)
                digest.update(data)
            self.entries[name.decode()] = place + 30 + length, size, digest.hexdigest()
            need(found == crc and len(self.entries) <= 60_000, "another CRC-32, or too many")
            central += b"PK\1\2\x14\3" + plain + struct.pack("<3H2I", 0, 0, 0, 0x81A40000, place)
            central, last, head = central + name, name, file.read(30)
        self.where, count, place = "the zip file", len(self.entries), file.tell() - len(head)
        central += struct.pack("<I4H2IH", 0x06054B50, 0, 0, count, count, len(central), place, 0)
        need(head + file.read(len(central)) == central, "no zip file, cut off, or with more in it")
    def lines(self, name: str, most: int) -> Any:
        """The lines of an entry, one at a time, without their newlines."""
        start, left, _ = self.entries[name]
        while left:
            self.file.seek(start)
            line = self.file.readline(min(left, most + 1))
            need(line[-1:] == b"\n", f"a line of {name} does not end, or is too long")
            start, left = start + len(line), left - len(line)
            yield line[:-1]
    def read(self, name: str) -> bytes:
        """A whole entry. One that is named by its digest has that digest."""
        start, size, digest = self.entries[name]
        need(size <= (2**12 if name == "manifest.note" else MAX_FILE), f"{name} has {size} bytes")
        need("/sha256/" not in name or name[-64:] == digest, f"{name} has the digest {digest}")
        self.file.seek(start)
        return self.file.read(size)
    def manifest(self) -> None:
        """Steps 2 and 3."""
        self.where, data = "manifest.note", self.read("manifest.json")
        text, (key, *others) = note(self.read("manifest.note"), self.trust.logs)
        need(key and not others, "no key that you trust signed it; was the key changed?")
        self.origin, digest = key.name, base64.b64encode(hashlib.sha256(data).digest()).decode()
        need(text == f"packet v1\n{key.name}\n{digest}\n", "signed for another manifest.json")
        self.where, m = "manifest.json", json.loads(data)
        need(m["v"] == 1 and m["origin"] == key.name, "not a manifest of version 1 of this log")
        self.m, self.period = m, (m["period"]["from"], m["period"]["to"])
        self.first, self.last, sizes = m["range"]["first"], m["range"]["last"], m["checkpoints"]
        self.later = sizes[1 if self.first == 0 else 2 :]
        need(sizes == [*[self.first] * (self.first > 0), self.last, *self.later], "no such sizes")
        good = 0 <= self.first < self.last <= m["census"] < self.later[0]
        need(good and sizes == sorted({*sizes}) and sizes[-1] <= key.last, "no such range")
        self.targets, self.kinds = m["filter"]["targets"], m["filter"]["kinds"]
        self.ring = [key for key in self.trust.logs if key.name == self.origin]
        changes, top = {key.first for key in self.ring[1:] if key.first <= sizes[-1]}, {sizes[-1]}
        need(changes - top <= {*m["handovers"]} <= changes, "other changes of key than you trust")
        for name in sorted({*self.entries, *m["files"]} - {"manifest.json", "manifest.note"}):
            self.where, (_, size, digest) = name, self.entries.get(name, (0, 0, ""))
            stated = {"sha256": digest, "size_bytes": size}
            need(m["files"].get(name) == stated, "not the file that the manifest names")
    def checkpoint(self, size: int) -> bytes:
        """The root of a checkpoint, signed by a key that is trusted for its size. Step 4."""
        self.where = f"log/checkpoint/{size:020d}"
        keys = [key for key in self.ring if key.first <= size <= key.last]
        text, signers = note(self.read(self.where), keys)
        good = any(signers) and text.split("\n")[:2] == [self.origin, str(size)]
        need(good and text.count("\n") == 3, "not signed for this log and size by whom you trust")
        return unbase64(text.split("\n")[2])
    def tree(self) -> None:
        """Steps 4 to 6."""
        m, roots = self.m, {size: self.checkpoint(size) for size in self.m["checkpoints"]}
        self.where, size = "leaf-hashes.txt", self.first  # step 5
        edge = [unhex(one) for one in m["frontier"]]
        good = len(edge) == bin(size).count("1") and rooted(edge) == roots.get(size, rooted([]))
        need(good, "the frontier is not that of the opening checkpoint")
        for line in self.lines("leaf-hashes.txt", 65):
            grow(edge, size, unhex(line.decode()))
            size += 1
        need((size, rooted(edge)) == (self.last, roots.get(size)), "not the leaves of its range")
        for new, proof in zip(self.later, m["consistency"]):  # step 6
            self.where, path = f"log/checkpoint/{new:020d}", [unhex(one) for one in proof]
            good = both(size, new, roots[size], path) == (roots[size], roots[new]) and not path
            need(good, f"FORK: it does not extend the checkpoint of {size}")
            size = new
        need(size == self.later[-1], "no proof for the last checkpoint")
        self.root = roots[size]
    def leaves(self) -> None:
        """Step 7, and 8 and 9 for one leaf after the other."""
        proofs, before, path, count = self.lines("proofs.jsonl", 2**13), -1, [], 0
        hashes, top = enumerate(self.lines("leaf-hashes.txt", 65), self.first), self.later[-1]
        for leaf in self.lines("leaves.jsonl", MAX_LEAF + 1):
            self.where, count = f"proofs.jsonl, line {count + 1}", count + 1
            index, kept, given = json.loads(next(proofs, b"null"))
            need(before < index < top and 0 <= kept <= len(path), "not in order")
            self.where, before = f"leaves.jsonl, leaf {index}", index
            path = [unhex(one) for one in given] + path[len(path) - kept :]
            hashed, rest = hashlib.sha256(b"\0" + leaf), path[:]
            good = led(index, top, hashed.digest(), rest) == self.root and not rest
            need(good, "its proof does not lead to the last checkpoint")
            inside = self.first <= index < self.last
            if inside:
                listed = next(line.decode() for at, line in hashes if at == index)
                need(listed == hashed.hexdigest(), "not the one of leaf-hashes.txt")
            self.leaf(index, json.loads(leaf), inside=inside)
        good = next(proofs, None) is None and count == self.m["records"] and self.closed
        need(good, "another number of leaves, or the census is not there")
        self.count = f"{self.first} to {self.last - 1}; {count} here, with their context"
    def leaf(self, index: int, record: Any, *, inside: bool) -> None:
        """Steps 8 and 9 for a leaf."""
        body, ref = record.pop("body", None), record.pop("body_ref", None)
        kind, stream, seq, at = (record[key] for key in ("kind", "stream", "seq", "at"))
        good = record["v"] == 1 and re.fullmatch(KINDS, kind) and (body is None) != (ref is None)
        need(good, f"not a record of version 1, or of the unknown kind {kind}")
        latest = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(self.now + SKEW_SECONDS))
        need(at <= latest + "999999Z", "dated in the future")  # text order is time order
        if ref is not None:
            data = self.read(f"body/sha256/{ref['sha256']}")
            need(ref["size_bytes"] == len(data), "another body's size")
            body = json.loads(data)
        if inside and self.chosen(stream, kind):
            seen = self.streams.setdefault(stream, [seq - 1, 0, Counter()])
            need(seq > seen[1], f"{stream} goes from {seen[1]} to {seq}")
            seen[1:] = seq, seen[2] + Counter([kind])
        if index == self.m["census"]:
            self.census(kind, stream, at, body)
        if kind == "personal.erased":
            by = record["actor"]["name"]
            self.told.append(f"erased       {body['subject']} on {at[:10]} by {by}")
    def chosen(self, stream: str, kind: str) -> bool:
        """Whether the filter asks for such a record of the range."""
        if stream in ("log", "schedule") or (self.targets and stream not in self.targets):
            return stream in ("log", "schedule")
        asked = not self.kinds or any(f"{kind}.".startswith(f"{one}.") for one in self.kinds)
        return asked or kind in ("scan", "scan.missed")
    def census(self, kind: str, stream: str, at: str, body: Any) -> None:
        """Step 9, when the leaves of the range were read: the census comes after them."""
        streams, total, self.closed = body["streams"], 0, True
        stated = {**self.m["period"], **self.m["range"], "streams": streams}
        need((kind, stream, body) == ("period.closed", "log", stated), "not the period's census")
        need(self.period[0] < self.period[1] <= at, "the period was closed before it was over")
        for name, before, until, counts in streams:
            need(0 <= before < until == before + sum(counts.values()), f"{name} does not add up")
            total += until - before
            due = {one: count for one, count in counts.items() if self.chosen(name, one)}
            low, high, seen = self.streams.pop(name, (before, until, {}))
            # They ascend within the bounds: as many as counted, where all are chosen, is no gap.
            need(before <= low and high <= until and seen == due, f"{name} has other records")
        need(total == self.last - self.first and not self.streams, "other streams than the range's")
    def witnesses(self) -> bool:
        """Step 12: whether one of the later checkpoints has the quorum's cosignatures."""
        cosigned, later = defaultdict(set), {f"{size:020d}" for size in self.later}
        known = {key: name for name, key in self.trust.named.items() if isinstance(key, Key)}
        for name in sorted(name for name in self.entries if name.startswith("cosignature/")):
            self.where, size = name, name.split("/")[1]
            text = self.read(f"log/checkpoint/{size}").rpartition(b"\n\n")[0]
            line = self.read(name)
            _, (key, *others) = note(text + b"\n\n" + line, [*known])
            raw = unbase64(line.decode().split(" ")[-1][:-1])
            need(size in later and not others and name[-8:] == raw[:4].hex(), "not in its place")
            late = int.from_bytes(raw[4:12], "big") > self.now + SKEW_SECONDS
            need(not (key and late), "dated in the future")
            cosigned[size] |= {known[key]} if key else set()
        return any(self.trust.met(cosigned[size]) for size in later)
    def report(self) -> list[str]:
        """What to say of a packet that holds, a line each."""
        gaps, asked = json.loads(self.read("coverage.json"))["unobserved"], self.m["filter"]
        told = [f"log          {self.origin}", f"period       {' to '.join(self.period)}"]
        told += [f"asked for    {json.dumps(asked)}", f"leaves       {self.count}"]
        told += [f"UNOBSERVED   {n} from {a} to {b}: {why}" for n, a, b, why in gaps[:20]]
        told += [f"UNOBSERVED   {len(gaps) - 20} more: coverage.json"] * (len(gaps) > 20)
        return [*told, *self.told, "as signed    coverage, baselines; timestamps are not checked"]
def verified(path: str, trust: Trust, now: float) -> tuple[str, list[str]]:
    """The answer with its reason, and what more there is to say."""
    try:
        with open(path, "rb") as file:
            packet = Packet(file, trust, now)
            for step in (packet.container, packet.manifest, packet.tree, packet.leaves):
                step()
            met, more = packet.witnesses(), packet.report()
    except (Failed, *WRONG) as error:
        kind = "" if isinstance(error, Failed) else f"not of its form: {type(error).__name__}: "
        return f"FAILED {packet.where}: {kind}{error}", []
    return f"VERIFIED {path}" if met else f"UNWITNESSED {path}: but for too few witnesses", more
def main(arguments: list[str]) -> int:
    """The exit code. What is said of a packet goes to standard output, all else to the other."""
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        need(len(arguments) == 3 and arguments[1] == "--trust", USAGE)
        trust = Trust(pathlib.Path(arguments[2]).read_bytes()[:2**18])
        answer, more = verified(arguments[0], trust, time.time())
    except (Failed, OSError, *WRONG) as error:
        print(shown(str(error)), file=sys.stderr)
        return 2
    print(*map(shown, [answer, *more]), sep="\n")
    return {"V": 0, "U": 3}.get(answer[0], 1)
def shown(text: str) -> str:
    """Text as a terminal may have it: nothing that it would act upon."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:500])

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
