from __future__ import annotations

import json

import pytest
from evidence.test_note import P256Signer, signer
from support import packets

from chalicelib.evidence import manifest, note
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.manifest import Filter, Manifest, Range
from chalicelib.kernel import canon
from chalicelib.kernel.errors import BadSignature, Malformed

GOOD = packets.contents()[manifest.MANIFEST]  # written down by hand, from the table
RING = keyring([LogKey(note.verifier(packets.ORIGIN, signer().public))])


def changed(**change):
    value = json.loads(GOOD)
    for path, new in change.items():
        *parents, last = path.split("__")
        inner = value
        for one in parents:
            inner = inner[one]
        inner[last] = new
    return packets.canonical(value)


def signed(data, by, text=None):
    return note.sign(text or manifest.text(packets.ORIGIN, canon.sha256(data)), packets.ORIGIN, by)


def test_what_the_table_says_is_read_and_written_again():
    found = manifest.decode(GOOD)
    assert manifest.encode(found) == GOOD
    assert (found.top, found.later) == (packets.LATER[-1], packets.LATER)
    assert found.range == Range(packets.FIRST, packets.LAST)
    assert found.filter == Filter()


def test_a_manifest_of_another_version_is_named():
    with pytest.raises(Malformed, match="version 2; this program reads 1") as error:
        manifest.decode(changed(v=2))
    assert "verify.py" in error.value.next_step


HASH = "0" * 64


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"v": True},
        {"v": "1"},
        {"records": 0},
        {"records": "36"},
        {"records": 36.0},
        {"period__from": packets.TO},
        {"period__from": "2024-10-01"},
        {"period__more": 1},
        {"filter__targets": ["b", "a"]},
        {"filter__kinds": ["a", "a"]},
        {"filter__kinds": [str(n) for n in range(10_000, 11_001)]},
        {"range__first": 36},
        {"range__first": -1},
        {"range__last": 38},
        {"census": 35},
        {"census": 39},
        {"checkpoints": [36, 39, 42]},
        {"checkpoints": [7, 36]},
        {"checkpoints": [7, 36, 42, 39]},
        {"checkpoints": [7, 36, 39, 39]},
        {"checkpoints": [7, 36, 38, 39, 40, 42]},
        {"checkpoints": [0, 36, 39, 42]},
        {"checkpoints": [7, 36, 39, 2**63]},
        {"frontier": []},
        {"frontier": ["A" * 64] * 3},
        {"frontier": [HASH, HASH, HASH[1:]]},
        {"frontier": [HASH, HASH, HASH + "\n"]},
        {"consistency": [[HASH]]},
        {"consistency": [[HASH] * 65, []]},
        {"consistency": [[HASH], ["x"]]},
        {"handovers": [18, 18]},
        {"handovers": [18, 7]},
        {"files": {}},
        {"files__manifest.json": {"sha256": HASH, "size_bytes": 1}},
        {"files__manifest.note": {"sha256": HASH, "size_bytes": 1}},
        {"files__more": {"sha256": HASH}},
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused(change):
    with pytest.raises(Malformed):
        manifest.decode(changed(**change))


@pytest.mark.parametrize("name", sorted(manifest.ALWAYS))
def test_each_file_that_is_always_there_must_be_there(name):
    value = json.loads(GOOD)
    del value["files"][name]
    with pytest.raises(Malformed, match="what every packet has"):
        manifest.decode(packets.canonical(value))


def test_only_the_canonical_bytes_are_taken():
    for data in (GOOD + b"\n", GOOD.replace(b":", b": ", 1), b"", b"[]", b"null", b"\xff"):
        with pytest.raises(Malformed):
            manifest.decode(data)
    with pytest.raises(Malformed, match="at most"):
        manifest.decode(b" " * (manifest.MAX_BYTES + 1))


def test_what_would_not_be_read_is_not_written():
    found = manifest.decode(GOOD)
    fields = {name: getattr(found, name) for name in Manifest.__struct_fields__}
    with pytest.raises(Malformed):
        manifest.encode(Manifest(**{**fields, "records": 0}))


def test_a_packet_from_the_start_of_the_log_has_no_opening():
    value = json.loads(GOOD)
    value["range"]["first"] = 0
    value["frontier"] = []
    value["checkpoints"] = value["checkpoints"][1:]
    assert manifest.decode(packets.canonical(value)).checkpoints[0] == packets.LAST
    with pytest.raises(Malformed):
        manifest.decode(changed(range__first=0, frontier=[]))


def test_the_note_is_over_these_bytes():
    found = manifest.decode(GOOD)
    manifest.verify(signed(GOOD, signer()), GOOD, found, RING)
    other = changed(records=12)
    for data, text in ((other, None), (GOOD, "packet v1\nelse.where/log\nAA==\n")):
        with pytest.raises(BadSignature):
            manifest.verify(signed(data, signer(), text), GOOD, found, RING)


def test_no_checkpoint_is_a_manifests_note_and_none_is_one():
    text = packets.checkpoint(packets.Story(), 42)
    with pytest.raises(BadSignature):
        manifest.verify(signed(GOOD, signer(), text), GOOD, manifest.decode(GOOD), RING)
    with pytest.raises(Malformed):
        note.parse_checkpoint(manifest.text(packets.ORIGIN, canon.sha256(GOOD)))


def test_the_key_must_be_one_of_the_packets_time_or_later():
    found = manifest.decode(GOOD)
    old, new = (note.verifier(packets.ORIGIN, one.public) for one in (signer(1), signer(2)))
    for change, both in ((41, False), (42, True), (43, True)):
        ring = keyring([LogKey(old, 0, change), LogKey(new, change)])
        manifest.verify(signed(GOOD, signer(2)), GOOD, found, ring)
        if both:
            manifest.verify(signed(GOOD, signer(1)), GOOD, found, ring)
        else:
            with pytest.raises(BadSignature):
                manifest.verify(signed(GOOD, signer(1)), GOOD, found, ring)
    with pytest.raises(BadSignature):
        manifest.verify(signed(GOOD, P256Signer()), GOOD, found, ring)


def test_the_note_has_one_signature_and_no_other_line():
    """Or else one packet had many files."""
    data = signed(GOOD, signer())
    more = note.sign(note.parse(data).text, packets.ORIGIN, signer(2)).decode().splitlines()[-1]
    for bad in (data + more.encode() + b"\n", data[:-1], data + b"\n", data[1:]):
        with pytest.raises((BadSignature, Malformed)):
            manifest.verify(bad, GOOD, manifest.decode(GOOD), RING)
