"""Packets that must fail: what somebody without a key can do to one, and what a key holder could.

``DAMAGED`` and ``LIES`` have, by name, a function that gives the bytes, and what the answer names.
"""

from __future__ import annotations

import functools
import io
import json
import zipfile

from support import packets
from support.packets import CENSUS, FIRST, LAST, LATER, ROTATED, Story, canonical, contents, pack

LEAVES = "leaves.jsonl"


@functools.cache
def good():
    """The story's packet, and its files."""
    return packets.packet()


def files():
    return contents()


def _pairs(found):
    return sorted(found.items())


def _zipped(method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in _pairs(files()):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, method)
    return out.getvalue()


def _reordered():
    first, second, *rest = _pairs(files())
    return pack([second, first, *rest])


def _twice():
    first, *rest = _pairs(files())
    return pack([first, first, *rest])


def _named(name):
    return pack(sorted([*files().items(), (name, b"x")]))


def _without(name):
    return pack({one: data for one, data in files().items() if one != name})


def _other(name, change):
    found = files()
    return pack(found | {name: change(found[name])})


def _resized():
    data = bytearray(good())
    data[18:26] = b"\xff" * 8  # both sizes of the first entry: 4 GiB - 1
    return bytes(data)


def _foreign():
    key = packets.Ed25519Key(b"foreign", "foreign.example/log")
    found = files()
    stated = json.loads(found["manifest.json"]) | {"origin": key.name}
    return pack(packets.sign(found, canonical(stated), key))


def _crowded():
    return pack([(f"f{number:06d}", b"") for number in range(60_001)])


def _signed_by(key):
    return lambda: pack(contents(key=key))


def _another_period():
    found = files()
    stated = json.loads(found["manifest.json"])
    stated["period"]["to"] = packets.at(12)
    return pack(found | {"manifest.json": canonical(stated)})


def _another_tool():
    found = files()
    stated = json.loads(found["manifest.json"])
    stated["tool"]["version"] = "9"
    return pack(found | {"manifest.json": canonical(stated)})


DAMAGED = {
    "empty file": (lambda: b"", "zip file"),
    "empty zip": (lambda: pack([]), "manifest"),
    "no zip": (lambda: b"hello\n" * 99, "zip file"),
    "cut in the middle": (lambda: good()[: len(good()) // 2], ""),
    "cut by one byte": (lambda: good()[:-1], "zip file"),
    "bytes at the end": (lambda: good() + b"\0", "zip file"),
    "bytes at the start": (lambda: b"\0" + good(), "zip file"),
    "reordered": (_reordered, "README.txt"),
    "an entry twice": (_twice, "README.txt"),
    "zipped by another tool": (lambda: _zipped(zipfile.ZIP_STORED), "zip file"),
    "compressed": (lambda: _zipped(zipfile.ZIP_DEFLATED), "README.txt"),
    "a size of 4 GiB": (_resized, "README.txt"),
    "too many entries": (_crowded, "f060000"),
    "a name upwards": (lambda: _named("../evil"), "evil"),
    "a name from the root": (lambda: _named("/evil"), "evil"),
    "a name with dots inside": (lambda: _named("log/../evil"), "evil"),
    "a hidden name": (lambda: _named("log/.evil"), "evil"),
    "a name with a backslash": (lambda: _named("log\\evil"), "evil"),
    "a name with a line in it": (lambda: _named("log\nVERIFIED"), "VERIFIED"),
    "an unknown file": (lambda: _named("zz.txt"), "zz.txt"),
    "no manifest": (lambda: _without("manifest.json"), "manifest"),
    "no signature": (lambda: _without("manifest.note"), "manifest.note"),
    "no readme": (lambda: _without("README.txt"), "README.txt"),
    "no leaf hashes": (lambda: _without("leaf-hashes.txt"), "leaf-hashes.txt"),
    "another readme": (lambda: _other("README.txt", lambda x: x + b"!"), "README.txt"),
    "another verifier": (lambda: _other("verify.py", lambda x: x + b"!"), "verify.py"),
    "another report": (lambda: _other("report.txt", lambda x: x + b"!"), "report.txt"),
    "another leaf": (lambda: _other(LEAVES, lambda x: x.replace(b"bob", b"eve")), LEAVES),
    "another period": (_another_period, "manifest"),
    "another tool": (_another_tool, "manifest"),
    "another log": (_foreign, "manifest.note"),
    "a key that nobody trusts": (_signed_by(packets.OTHER), "manifest.note"),
    "a key whose sizes ended": (_signed_by(packets.OLD), "manifest"),
}


def _edited(index, **fields):
    def edit(record):
        record |= fields

    return lambda: packets.packet(Story({index: edit}))


def _in_body(index, **fields):
    def edit(record):
        record["body"] |= fields

    return lambda: packets.packet(Story({index: edit}))


def _census(change):
    def edit(record):
        change(record["body"])

    return lambda: packets.packet(Story({CENSUS: edit}))


def _stated(change):
    def edit(manifest):
        manifest |= change(manifest) or {}

    return lambda: packets.packet(manifest=edit)


def _changed(**options):
    return lambda: packets.packet(**options)


def _second_signature():
    found = files()
    more = packets.line(packets.OTHER, b"x" * 64).encode()
    return pack(found | {"manifest.note": found["manifest.note"] + more})


def _version_2(manifest):
    manifest["v"] = 2


def _statement(change, **options):
    def edit(statement):
        change(statement["predicate"])

    return lambda: packets.packet(Story(statement=edit, **options))


def _forked():
    """The last checkpoint is of a history with another record after the census."""
    story, name = Story(), f"log/checkpoint/{LATER[-1]:020d}"
    other = Story({LATER[0]: lambda record: record.update(at=packets.at(16))})
    forged = packets.note(packets.checkpoint(other, LATER[-1]), packets.NEW)
    proofs = packets.proofs(other, packets.chosen(story), LATER[-1])
    return packets.packet(story, change={name: forged, "proofs.jsonl": proofs})


def _misnamed():
    """A question of other bytes under the digest that the scans name."""
    story = Story()
    name = next(one for one in story.files if one.startswith("question/"))
    return packets.packet(story, change={name: b"{}"})


def _elsewhere():
    """The counts of a stream that was not asked for do not add up."""

    def edit(record):
        for row in record["body"]["streams"]:
            if row[0] == packets.B:
                row[3]["scan"] += 1

    return packets.packet(Story({CENSUS: edit}), targets=(packets.A,))


def _subject(statement):
    statement["subject"][0]["name"] = packets.B


def _checkpoint(size, *keys):
    text = packets.checkpoint(Story(), size)
    kind = "key" if size == ROTATED else "checkpoint"
    return _changed(change={f"log/{kind}/{size:020d}": packets.note(text, *keys)})


def _leaves(change):
    story = Story()
    indices = packets.chosen(story)
    return _changed(
        change={
            LEAVES: b"".join(story.leaves[i] + b"\n" for i in change(indices)),
            "proofs.jsonl": packets.proofs(story, change(indices), LATER[-1]),
        }
    )


def _raw(index, change):
    """A leaf of other bytes, in the log as everything else."""

    def make():
        story = Story()
        story.leaves[index] = change(story.leaves[index])
        return packets.packet(story)

    return make


def _self_approved(predicate):
    predicate["approved"][0]["by"] = predicate["proposed"]["by"]


def _vote(**fields):
    return _statement(lambda predicate: predicate["approved"][0].update(fields))


def _no_votes(predicate):
    predicate["approved"] = []


def _approvers(*names):
    return _in_body(8, approvers=list(names))


def _swapped():
    first, second, *rest = packets.proofs(Story(), packets.chosen(Story()), LATER[-1]).splitlines(
        keepends=True
    )
    return packets.packet(change={"proofs.jsonl": b"".join([second, first, *rest])})


def _cosigned(data):
    return _changed(change={f"cosignature/{LATER[0]:020d}/{packets.NORTH.id.hex()}": data})


def _coverage(change):
    def make():
        found = json.loads(json.dumps(packets.coverage(())))
        change(found)
        return packets.packet(change={"coverage.json": canonical(found)})

    return make


def _count_less(body):
    body["streams"][-1][3]["scan"] = 7


def _stream_less(body):
    body["streams"] = [row for row in body["streams"] if row[0] != packets.B]


def _moved(body):
    for row in body["streams"]:
        if row[0] == packets.B:
            row[1], row[2] = row[1] + 1, row[2] + 1


def _unsorted(body):
    body["streams"].reverse()


FUTURE = "2999-01-01T00:00:00.000000Z"
TEXT = packets.checkpoint(Story(), LATER[0])
SNAPSHOT = {"sha256": "0" * 64, "root": "0" * 64, "objects": 1}

LIES = {
    "version 2": (_stated(_version_2), "manifest.json"),
    "a second signature of the manifest": (_second_signature, "manifest.note"),
    "a field too many": (_stated(lambda _m: {"more": 1}), "manifest.json"),
    "a count that is no number": (_stated(lambda _m: {"records": "36"}), ""),
    "a filter that is not true": (
        _stated(lambda _m: {"filter": {"targets": [packets.A], "kinds": []}}),
        "",
    ),
    "another frontier": (_stated(lambda m: {"frontier": m["frontier"][::-1]}), "leaf-hashes.txt"),
    "no consistency": (_stated(lambda _m: {"consistency": [[], []]}), ""),
    "no later checkpoint": (_changed(checkpoints=(FIRST, LAST)), "manifest.json"),
    "a change of key that is not told": (_stated(lambda _m: {"handovers": []}), "manifest.json"),
    "a handover by the new key alone": (_checkpoint(ROTATED, packets.NEW), "log/key"),
    "a handover the wrong way round": (
        _checkpoint(ROTATED, packets.NEW, packets.OLD),
        "log/key",
    ),
    "a checkpoint by a key whose sizes ended": (_checkpoint(LAST, packets.OLD), "log/checkpoint"),
    "a checkpoint by a key before its sizes": (_checkpoint(FIRST, packets.NEW), "log/checkpoint"),
    "a checkpoint by nobody's key": (_checkpoint(LAST, packets.OTHER), "log/checkpoint"),
    "a fork": (_forked, f"{LATER[-1]}"),
    "a change of key that no record announces": (_in_body(17, key="x"), ""),
    "a question of other bytes": (_misnamed, "question/"),
    "counts elsewhere that do not add up": (_elsewhere, ""),
    "a baseline of another target": (
        lambda: packets.packet(Story(statement=_subject)),
        "leaf 6",
    ),
    "a range that is none": (_stated(lambda _m: {"range": {"first": 7, "last": 7}}), "manifest"),
    "checkpoints in another order": (
        _stated(lambda _m: {"checkpoints": [FIRST, LAST, LATER[1], LATER[0]]}),
        "manifest",
    ),
    "a proof too few": (_stated(lambda m: {"consistency": m["consistency"][:1]}), ""),
    "a filter in another order": (
        _stated(lambda _m: {"filter": {"targets": [], "kinds": ["b", "a"]}}),
        "manifest",
    ),
    "a leaf that is hidden": (_changed(hide=(20,)), ""),
    "a leaf of the log that is hidden": (_changed(hide=(17,)), ""),
    "no census": (_changed(hide=(CENSUS,)), ""),
    "a vote that is hidden": (_changed(hide=(5,)), "leaf 6"),
    "leaves in another order": (_leaves(lambda x: [x[1], x[0], *x[2:]]), ""),
    "a leaf twice": (_leaves(lambda x: [x[0], *x]), ""),
    "proofs in another order": (_swapped, ""),
    "one hash too few": (
        _changed(
            change={
                "leaf-hashes.txt": b"".join(
                    Story().hash(i).hex().encode() + b"\n" for i in range(FIRST, LAST - 1)
                )
            }
        ),
        "leaf-hashes.txt",
    ),
    "a record of version 2": (_edited(20, v=2), "leaf 20"),
    "a record with a field too many": (_edited(20, more=1), "leaf 20"),
    "a record without a body": (_raw(20, lambda x: x.replace(b'"body"', b'"buddy"')), "leaf 20"),
    "a record with spaces": (_raw(20, lambda x: x.replace(b":", b": ", 1)), "leaf 20"),
    "a record with a large number": (_in_body(20, size=2**53), "leaf 20"),
    "a record that is nested deeply": (
        _raw(20, lambda x: x.replace(b'"altered"', b"[" * 70 + b"]" * 70)),
        "leaf 20",
    ),
    "a record of no day": (_edited(20, at="2024-02-31T00:00:00.000000Z"), "leaf 20"),
    "a record from the future": (_edited(20, at=FUTURE), "leaf 20"),
    "a seq twice": (_edited(20, seq=4), "leaf 20"),
    "a seq left out": (_edited(LAST - 1, seq=99), ""),
    "another body": (
        _edited(11, body_ref={"sha256": "0" * 64, "size_bytes": 1}),
        "leaf 11",
    ),
    "a body of another size": (
        lambda: packets.packet(Story({11: lambda r: r["body_ref"].update(size_bytes=1)})),
        "leaf 11",
    ),
    "a census that counts less": (_census(_count_less), ""),
    "a census without a stream": (_census(_stream_less), ""),
    "a census of other seqs": (_census(_moved), ""),
    "a census in another order": (_census(_unsorted), ""),
    "a census of another period": (_census(lambda body: body.update(to=packets.at(12))), ""),
    "a census of another range": (_census(lambda body: body.update(last=LAST - 1)), ""),
    "a period closed before its end": (_edited(CENSUS, at=packets.at(23)), ""),
    "a gap that is not told": (_coverage(lambda x: x["unobserved"].pop()), "coverage.json"),
    "a scan that was not": (
        _coverage(lambda x: x["targets"][1].update(observed=3)),
        "coverage.json",
    ),
    "questions that were not asked": (
        _changed(change={"questions.json": canonical({"tools": {}})}),
        "questions.json",
    ),
    "a snapshot of another root": (
        lambda: packets.packet(Story({8: lambda r: r["body"]["snapshot"].update(root="0" * 64)})),
        "leaf 8",
    ),
    "a snapshot that is not there": (_in_body(8, snapshot=SNAPSHOT), "leaf 8"),
    "a question that is not there": (_in_body(8, questions="0" * 64), "leaf 8"),
    "a file that nothing names": (
        _changed(change={f"body/sha256/{packets.sha256(b'{}')}": b"{}"}),
        "body/sha256",
    ),
    "a baseline by nobody's key": (
        lambda: packets.packet(Story(seal=packets.OTHER)),
        "leaf 6",
    ),
    "a baseline by the key to come": (lambda: packets.packet(Story(seal=packets.NEW)), "leaf 6"),
    "a proposer who approved": (_statement(_self_approved), "leaf 6"),
    "a proposer under another spelling": (
        lambda: packets.packet(
            Story({5: lambda r: r["actor"].update(name="\uff21na ")}),
        ),
        "leaf 6",
    ),
    "an approver whose name does not show": (
        lambda: packets.packet(Story({5: lambda r: r["actor"].update(name="ana\u200b")})),
        "leaf 6",
    ),
    "an approval of another leaf": (_vote(leaf="0" * 64), "leaf 6"),
    "an approval of another place": (_vote(index=4), "leaf 6"),
    "an approval by another person": (_vote(by={"name": "carl", "via": "os"}), "leaf 6"),
    "an approval at another time": (_vote(at=packets.at(5)), "leaf 6"),
    "no approval": (_statement(_no_votes), "leaf 6"),
    "more approvals required": (_statement(lambda p: p.update(required=2)), "leaf 6"),
    "another proposal": (_statement(lambda p: p.update(proposal="B-2")), "leaf 6"),
    "a scan held to more people": (_in_body(8, required=2), "leaf 8"),
    "a scan held to other people": (_approvers("carl"), "leaf 8"),
    "a scan held to no baseline": (_in_body(8, signed=3), "leaf 8"),
    "a scan that names no baseline": (
        lambda: packets.packet(Story({8: lambda r: r["body"].pop("baseline")})),
        "leaf 8",
    ),
    "a scan of another form": (_in_body(8, snapshot=["x"], signed=[1]), "leaf 8"),
    "a scan held to another proposal": (_in_body(8, baseline="B-2"), "leaf 8"),
    "a cosignature of another text": (
        _cosigned(packets.cosignature(packets.NORTH, TEXT + "\n", 1)),
        "cosignature/",
    ),
    "a cosignature by another witness": (
        _cosigned(packets.cosignature(packets.SOUTH, TEXT, 1)),
        "cosignature/",
    ),
    "a cosignature from the future": (_changed(seconds=2**40), "cosignature/"),
    "a cosignature of no checkpoint": (
        _changed(change={f"cosignature/{41:020d}/{packets.NORTH.id.hex()}": b"x"}),
        "cosignature/",
    ),
    "a timestamp under another name": (
        _changed(change={f"timestamp/{LATER[0]:020d}/{'0' * 64}": b"x"}),
        "timestamp/",
    ),
}


# Lies that the key has signed for, and that verify.py takes as signed; the program finds them.
SIGNED = frozenset(
    {
        *("a field too many", "a filter that is not true"),
        *("a handover by the new key alone", "a scan that names no baseline"),
        "a scan of another form",
        *("a handover the wrong way round", "a change of key that no record announces"),
        *("a record with a field too many", "a record with spaces", "a record of no day"),
        *("a record with a large number", "a record that is nested deeply"),
        *("a census in another order", "a gap that is not told", "a scan that was not"),
        *("questions that were not asked", "a question that is not there"),
        *("a snapshot of another root", "a snapshot that is not there"),
        *("a file that nothing names", "a timestamp under another name", "a vote that is hidden"),
        *("a baseline by nobody's key", "a baseline by the key to come"),
        *("a proposer who approved", "a proposer under another spelling"),
        *("an approver whose name does not show", "an approval of another leaf"),
        *("an approval of another place", "an approval by another person"),
        *("an approval at another time", "no approval", "more approvals required"),
        *("another proposal", "a scan held to more people", "a scan held to other people"),
        *("a scan held to no baseline", "a scan held to another proposal"),
        *("a question of other bytes", "a baseline of another target"),
        "a filter in another order",
    }
)
FOUND = [name for name in LIES if name not in SIGNED]


def flipped(data, position, mask):
    changed = bytearray(data)
    changed[position] ^= mask
    return bytes(changed)
