"""Packets of real logs: what holds, and for each step of the verification what does not."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from evidence.parcel import (
    DAY,
    NOW,
    ORIGIN,
    A,
    Archive,
    B,
    answer,
    at,
    files,
    head,
    indices,
    moment,
    proofs,
)
from evidence.test_build import cosigned, rotated, scan, stamped, tick, told, watched
from evidence.test_note import P256Signer
from support import packets
from support.authority import Authority

from chalicelib.evidence import anchor, layout, manifest, note, trust
from chalicelib.evidence.coverage import Coverage
from chalicelib.evidence.keys import LogKey
from chalicelib.evidence.trust import Policy
from chalicelib.evidence.verdict import Answer
from chalicelib.kernel.errors import Malformed
from chalicelib.local.signer import KeyFileSigner

LEAVES, PROOFS, HASHES = manifest.LEAVES, manifest.PROOFS, manifest.HASHES
CENSUS, TOP = 15, 16  # of the story's packet


@pytest.fixture(scope="module")
def archive():
    return told(Archive())


@pytest.fixture(scope="module")
def good(archive):
    return archive.packet()


def failed(verdict, step, file, words="", leaf=None):
    assert verdict.answer is Answer.FAILED
    fault = verdict.fault
    assert (fault.step, fault.file, fault.leaf) == (step, file, leaf), fault
    assert words in fault.reason
    assert verdict.answer.exit_code == 1


def split(data, name):
    return files(data)[name].splitlines(keepends=True)


def joined(lines):
    return b"".join(lines)


# Step 1 to 3


def test_what_is_no_container_fails_at_it(archive, good):
    for data in (b"", good[:-1], good + b"x", b"PK" + good):
        failed(archive.verdict(data), 1, "the zip file")


def test_a_manifest_that_is_none(archive, good):
    found = files(good)
    for text in (b"{}", found["manifest.json"] + b"\n"):
        data = packets.pack(found | {"manifest.json": text})
        failed(archive.verdict(data), 3, "manifest.json")
    without = {name: text for name, text in found.items() if name != "manifest.json"}
    failed(archive.verdict(packets.pack(without)), 3, "manifest.json", "not in the packet")


@pytest.mark.parametrize(
    "text", [lambda data: b"", lambda data: data[:-2] + b"\n", lambda data: data + data]
)
def test_a_manifests_note_that_is_none(archive, good, text):
    found = files(good)
    data = packets.pack(found | {"manifest.note": text(found["manifest.note"])})
    failed(archive.verdict(data), 2, "manifest.note")


def test_a_manifest_by_another_key(archive, good):
    stranger = KeyFileSigner.generate()
    found = files(good)
    text = manifest.text(ORIGIN, packets.sha256(found["manifest.json"]))
    data = packets.pack(found | {"manifest.note": note.sign(text, ORIGIN, stranger)})
    failed(archive.verdict(data), 2, "manifest.note")
    other = Policy((LogKey(note.verifier(ORIGIN, stranger.public)),))
    failed(answer(good, other), 2, "manifest.note")
    elsewhere = Policy((LogKey(note.verifier("elsewhere/log", archive.signer.public)),))
    failed(answer(good, elsewhere), 2, "manifest.note", "no key of the log")


@pytest.mark.parametrize("name", sorted(packets.contents()))
def test_a_file_that_is_another_one_than_the_manifests(archive, good, name):
    found = files(good)
    if name not in found or name.startswith("manifest."):
        return
    failed(archive.verdict(packets.pack(found | {name: b"x"})), 3, name, "expected SHA-256")
    less = {one: text for one, text in found.items() if one != name}
    failed(archive.verdict(packets.pack(less)), 3, name, "not in both")


@pytest.mark.parametrize(
    "name", ["zz", f"body/sha256/{'0' * 64}", f"log/checkpoint/{5:020d}", f"log/key/{5:020d}"]
)
def test_nothing_is_there_that_nobody_needs(archive, good, name):
    more = packets.pack(files(good) | {name: b"x"})
    failed(archive.verdict(more), 3, name, "not in both")
    failed(archive.verdict(archive.forged(good, {name: b"x"})), 3, name, "refers to it")


# Step 4


def test_a_checkpoint_that_the_key_did_not_sign(archive, good):
    name = layout.checkpoint(13)
    text = note.parse(files(good)[name]).text
    forged = note.sign(text, ORIGIN, KeyFileSigner.generate())
    failed(archive.verdict(archive.forged(good, {name: forged})), 4, name)
    other = archive.objects.get(layout.checkpoint(15))
    failed(archive.verdict(archive.forged(good, {name: other})), 4, name, "of 15 leaves")
    failed(archive.verdict(archive.forged(good, {name: None})), 4, name, "not in the packet")


@pytest.fixture(scope="module")
def changed():
    """A packet across two changes of key, at 3 and at 10; the census is under the third one."""
    one = Archive()
    one.write(("log", "log.opened", at(1)), scan(A, 1, 1))
    two = rotated(one, P256Signer(), 1)
    two.write(*(scan(A, hour) for hour in range(6)))
    three = rotated(two, KeyFileSigner.generate(), 2)
    three.write(scan(B, 12), scan(B, 1, 3))
    return three, three.packet()


def keyed(archive, *sizes):
    """A policy with the archive's keys and other sizes."""
    keys = [one.verifier for one in archive.keys.keys]
    return Policy(tuple(LogKey(key, *both) for key, both in zip(keys, sizes, strict=False) if both))


LAST = layout.MAX_SIZE


def test_two_changes_of_key_hold_under_their_own_policy(changed):
    archive, data = changed
    assert head(data)["handovers"] == [3, 10]
    assert archive.verdict(data).answer is Answer.VERIFIED
    good = keyed(archive, (0, 3), (3, 10), (10, LAST))
    assert answer(data, good).answer is Answer.VERIFIED


@pytest.mark.parametrize(
    ("sizes", "step", "file"),
    [
        ([(0, LAST)], 2, "manifest.note"),
        ([(0, 3), (3, LAST)], 2, "manifest.note"),
        ([None, None, (0, LAST)], 4, layout.checkpoint(3)),
        ([None, (3, 10), (10, LAST)], 4, layout.checkpoint(3)),
        ([(0, 4), (4, 10), (10, LAST)], 4, layout.handover(3)),
        ([(0, 2), (2, 10), (10, LAST)], 4, layout.checkpoint(3)),
        ([(0, 3), (3, 9), (9, LAST)], 4, layout.handover(9)),
        ([(0, 3), (3, 11), (11, LAST)], 4, layout.handover(10)),
        ([(0, 3), (3, 10), (11, LAST)], 2, "manifest.note"),
        ([(0, 3), (2, 10), (10, LAST)], 2, "manifest.note"),
        ([(0, 3), (3, 10), (10, 12)], 2, "manifest.note"),
    ],
    ids=str,
)
def test_changes_of_key_under_another_policy(changed, sizes, step, file):
    archive, data = changed
    failed(answer(data, keyed(archive, *sizes)), step, file)


def test_a_handover_has_both_signatures_in_their_order_and_no_other(changed):
    archive, data = changed
    name = layout.handover(3)
    text, two = files(data)[name].decode().split("\n\n")
    first, second = two.splitlines(keepends=True)
    third = note.sign(text + "\n", ORIGIN, archive.signer).decode().splitlines(keepends=True)[-1]
    for lines in ([first], [second], [second, first], [first, second, third], [third, second]):
        forged = f"{text}\n\n{''.join(lines)}".encode()
        failed(archive.verdict(archive.forged(data, {name: forged})), 4, name)
    same = f"{text}\n\n{first}{second}".encode()
    assert archive.verdict(archive.forged(data, {name: same})).answer is Answer.VERIFIED
    failed(archive.verdict(archive.forged(data, {name: None})), 4, name)
    hidden = archive.forged(data, {name: None}, lambda m: m.update(handovers=[10]))
    failed(archive.verdict(hidden), 4, name, "disagree")


# Steps 5 and 6


def test_a_frontier_or_hashes_that_do_not_lead_to_the_signed_roots(archive, good):
    def other(stated):
        stated["frontier"] = ["0" * 64]

    failed(archive.verdict(archive.forged(good, stated=other)), 5, "manifest.json", "frontier")
    rows = split(good, HASHES)
    swapped = [rows[1], rows[0], *rows[2:]]
    upper = [rows[0].upper(), *rows[1:]]
    for lines in (rows[1:], rows[:-1], swapped, [*rows, rows[0]], upper, [b"\n", *rows]):
        data = archive.forged(good, {HASHES: joined(lines)})
        failed(archive.verdict(data), 5, HASHES)


def test_lines_that_are_cut_off_or_too_long(archive, good):
    found = files(good)
    for text in (found[HASHES][:-1], b"0" * 65 + b"\n", found[HASHES] + b"\r\n"):
        assert archive.verdict(archive.forged(good, {HASHES: text})).answer is Answer.FAILED
    text = b"x" * 70_000 + b"\n"
    failed(archive.verdict(archive.forged(good, {LEAVES: text})), 3, LEAVES, "a line of more")


def fork(archive, good):
    """Another history, signed by the same key, in place of the last checkpoint."""
    other = told(Archive(signer=archive.signer))
    other.clock.moment = moment(29)
    closed = other.close()
    name = layout.checkpoint(TOP)
    assert closed.at == TOP - 1
    return archive.forged(good, {name: other.objects.get(name)}), other


def test_two_histories_are_a_fork_with_both_notes(archive, good):
    data, other = fork(archive, good)
    found = archive.verdict(data)
    failed(found, 6, layout.checkpoint(TOP), "does not extend")
    assert found.fork.ours == archive.objects.get(layout.checkpoint(13))
    assert found.fork.theirs == other.objects.get(layout.checkpoint(TOP))
    assert found.fork.proof.count(b"\n") == len(head(data)["consistency"][0])


def test_a_consistency_proof_that_is_none(archive, good):
    (proof,) = head(good)["consistency"]
    for other in ([], ["0" * 64], proof[:-1], proof[1:], [*proof, "0" * 64], proof[::-1]):
        data = archive.forged(good, stated=lambda m, other=other: m.update(consistency=[other]))
        failed(archive.verdict(data), 6, layout.checkpoint(TOP))


# Steps 7 and 8


def changed_lines(archive, good, name, change):
    return archive.verdict(archive.forged(good, {name: joined(change(split(good, name)))}))


def test_proofs_that_do_not_hold(archive, good):
    def without_hash(lines):
        index, kept, hashes = json.loads(lines[3])
        return [*lines[:3], packets.canonical([index, kept, hashes[1:]]) + b"\n", *lines[4:]]

    def other_kept(lines):
        index, kept, hashes = json.loads(lines[3])
        return [*lines[:3], packets.canonical([index, kept + 1, hashes]) + b"\n", *lines[4:]]

    def other_hash(lines):
        index, kept, hashes = json.loads(lines[3])
        row = [index, kept, ["0" * 64, *hashes[1:]]]
        return [*lines[:3], packets.canonical(row) + b"\n", *lines[4:]]

    def more_hashes(lines):
        index, kept, hashes = json.loads(lines[3])
        row = [index, kept, [*hashes, "0" * 64]]
        return [*lines[:3], packets.canonical(row) + b"\n", *lines[4:]]

    for change in (without_hash, other_kept, other_hash, more_hashes):
        failed(changed_lines(archive, good, PROOFS, change), 7, PROOFS, leaf=5)


def test_a_proof_has_no_hash_that_nobody_needs(archive, good):
    """The first line keeps none, so its proof is as long as a proof can be."""

    def more_hashes(lines):
        index, kept, hashes = json.loads(lines[0])
        assert kept == 0
        return [packets.canonical([index, 0, [*hashes, "0" * 64]]) + b"\n", *lines[1:]]

    failed(changed_lines(archive, good, PROOFS, more_hashes), 7, PROOFS, leaf=0)


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[0,0]",
        b"[0,0,[],0]",
        b"[-1,0,[]]",
        b"[true,0,[]]",
        b"[0,-1,[]]",
        b"[0, 0,[]]",
        b'[0,0,["x"]]',
        b"[0,0,[1]]",
        b"[99,0,[]]",
        b"[0,0,null]",
        b"[0,99,[]]",
        b"",
        b"[0.0,0,[]]",
    ],
)
def test_lines_of_proofs_that_are_none(archive, good, line):
    found = changed_lines(archive, good, PROOFS, lambda lines: [line + b"\n", *lines[1:]])
    assert (found.fault.step, found.fault.file) == (7, PROOFS)


def test_a_proof_without_a_leaf_and_a_leaf_without_a_proof(archive, good):
    failed(
        changed_lines(archive, good, PROOFS, lambda x: [*x, b"[20,0,[]]\n"]),
        7,
        PROOFS,
        "a proof without a leaf",
    )
    failed(changed_lines(archive, good, PROOFS, lambda x: x[:-1]), 7, PROOFS)
    failed(changed_lines(archive, good, LEAVES, lambda x: [*x, x[-1]]), 7, PROOFS)


def test_a_leaf_that_is_not_the_logs(archive, good):
    def change(lines):
        return [*lines[:4], lines[4].replace(b"clean", b"drift"), *lines[5:]]

    failed(changed_lines(archive, good, LEAVES, change), 7, PROOFS, "signed root", leaf=6)


# Steps 9 and 11


def retold(archive, data, chosen):
    """The packet with just these leaves, all that follows from them made anew and signed."""
    leaves = dict(archive.log.leaves())
    stated = manifest.decode(files(data)["manifest.json"])
    cover = Coverage(stated)
    for index in chosen:
        with suppress(Malformed):  # a tick whose own tick before it is left out
            cover.add(archive.log.entry(index, leaves[index]))
    change = {
        LEAVES: b"".join(leaves[index] + b"\n" for index in chosen),
        PROOFS: proofs(archive.log, chosen, stated.top),
        "coverage.json": cover.coverage(),
        "questions.json": cover.questions(),
    }
    return archive.forged(data, change, lambda m: m.update(records=len(chosen)))


def test_what_is_told_anew_holds(archive, good):
    """So that what fails below fails for what was changed."""
    assert archive.verdict(retold(archive, good, indices(good))).answer is Answer.VERIFIED


def test_nothing_of_the_range_can_be_left_out(archive, good):
    for index in (*range(4, 13), CENSUS):
        found = archive.verdict(retold(archive, good, [x for x in indices(good) if x != index]))
        assert found.fault.file == LEAVES, index
        assert found.fault.step == (11 if index == 4 else 9), index


def test_the_tick_before_the_range_cannot_be_left_out():
    """With it a gap at the beginning of the period would be gone."""
    archive = Archive()
    archive.write(("log", "log.opened", at(1), {"origin": ORIGIN}))  # 0
    archive.write(tick(12, 1, due=[A], previous=None), scan(A, 12, 1))  # 1
    archive.write(tick(12, due=[A, B], previous=1), scan(A, 12))  # 3
    data = archive.packet()
    assert [A, DAY.start, at(2, 12), "no tick"] in archive.verdict(data).gaps
    found = archive.verdict(retold(archive, data, [x for x in indices(data) if x != 1]))
    failed(found, 11, LEAVES, "after that of record 1", leaf=3)


def test_the_list_of_who_was_due_cannot_be_left_out(archive, good):
    chosen = [one for one in indices(good) if one != 1]
    change = {
        LEAVES: joined(one for one in split(good, LEAVES) if b'"due"' not in one),
        PROOFS: proofs(archive.log, chosen, TOP),
    }
    data = archive.forged(good, change, lambda m: m.update(records=len(chosen)))
    failed(archive.verdict(data), 11, LEAVES, "listed in record 1", leaf=4)


def test_what_is_true_may_be_added(archive):
    """A leaf of the range that was not asked for, and one from outside it."""
    data = archive.packet(targets=[A], kinds=["none"])
    for more in (2, 7, 10, 12, 14):
        assert more not in indices(data)
        one = archive.forged(retold(archive, data, sorted([*indices(data), more])))
        if more == 7:  # its body is not there
            failed(archive.verdict(one), 8, LEAVES, "not in", leaf=7)
        else:
            assert archive.verdict(one).answer is Answer.VERIFIED


def test_a_count_that_is_another_one(archive, good):
    data = archive.forged(good, stated=lambda m: m.update(records=m["records"] + 1))
    failed(archive.verdict(data), 9, LEAVES, "the manifest says")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["period"].update({"from": at(1)}),
        lambda m: m["period"].update({"to": at(2, 23)}),
        lambda m: m["filter"].update(targets=[A]),
    ],
    ids=["from", "to", "targets"],
)
def test_another_question_has_another_answer(archive, good, change):
    assert archive.verdict(archive.forged(good, stated=change)).answer is Answer.FAILED


def test_a_packet_of_one_target_does_not_pass_for_one_of_all(archive):
    data = archive.packet(targets=[A])
    wide = archive.forged(data, stated=lambda m: m["filter"].update(targets=[]))
    failed(archive.verdict(wide), 9, LEAVES, "of the")
    other = archive.forged(data, stated=lambda m: m["filter"].update(targets=[B]))
    failed(archive.verdict(other), 9, LEAVES, B)


def test_another_record_is_not_the_census(archive, good):
    data = archive.forged(good, stated=lambda m: m.update(census=13))
    failed(archive.verdict(data), 9, LEAVES, "record 13, is not among the leaves")
    data = archive.forged(good, stated=lambda m: m.update(census=14))
    failed(archive.verdict(data), 9, LEAVES, "not a census", leaf=14)


def test_the_time_of_the_verifier_counts(archive, good):
    assert archive.verdict(good, now=moment(30)).answer is Answer.VERIFIED
    early = archive.verdict(good, now=moment(29, 23, 49))
    failed(early, 9, LEAVES, "of the future", leaf=15)
    assert archive.verdict(good, now=moment(29, 23, 51)).answer is Answer.VERIFIED


@pytest.mark.parametrize("name", ["coverage.json", "questions.json"])
def test_what_follows_from_the_leaves_is_derived_again(archive, good, name):
    value = json.loads(files(good)[name])
    for change in ({"ticks": 3}, {"tools": {"test/1": 99}}, {"unobserved": [[A, "", "", ""]]}):
        text = packets.canonical(value | change)
        failed(archive.verdict(archive.forged(good, {name: text})), 11, name)


# Steps 8 and 10


def test_a_body_that_is_not_the_recorded_one(archive, good):
    (name,) = [one for one in files(good) if one.startswith("body/")]
    data = files(good)[name]
    for text in (b"{}", data + b" ", data.replace(b"x", b"y", 1)):
        found = archive.verdict(archive.forged(good, {name: text}))
        words = f"expected 70012 bytes, observed {len(text)} with SHA-256"
        failed(found, 8, LEAVES, words, leaf=7)
    failed(archive.verdict(archive.forged(good, {name: None})), 8, LEAVES, "not in", leaf=7)


@pytest.mark.parametrize("leaf", [b'{"v":2}', b"{}", b"no", b""])
def test_a_leaf_that_is_no_record(leaf):
    """It is in the log, and signed for; the builder would not have shown it."""
    trusted = trust.parse(packets.trust())
    found = answer(packets.packet(), trusted, checker=everything)
    assert found.answer is Answer.VERIFIED
    story = packets.Story()
    story.leaves[20] = leaf
    found = answer(packets.packet(story), trusted, checker=everything)
    assert (found.fault.step, found.fault.file, found.fault.leaf) == (8, LEAVES, 20)


def everything(objects, _ring):
    """A flow that takes everything that is there for its own."""
    return lambda _entry: objects.used.update(objects.entries) or iter(())


def test_what_a_flow_finds_wrong_fails_at_its_place(archive):
    one = Archive()
    key = one.keep("snapshot/sha256/", b"rows")
    one.write(scan(A, 1, keys=[key]))
    data = one.packet()
    assert one.verdict(data).answer is Answer.VERIFIED
    forged = one.forged(data, {key: b"other rows"})
    failed(one.verdict(forged), 10, key, "not what was recorded", leaf=0)


# Step 12


def test_a_quorum_decides_between_verified_and_unwitnessed():
    archive = told(Archive())
    archive.close()
    one, two = cosigned(archive, TOP), cosigned(archive, TOP, 42)
    watched(archive, one, two, quorum="all")
    data = archive.packet()
    found = archive.verdict(data)
    assert (found.answer, found.answer.exit_code) == (Answer.VERIFIED, 0)
    assert found.witnesses == dict.fromkeys(("w41", "w42"), int(NOW.timestamp()))
    three = trust.Witness("w3", two.verifier)
    for quorum, expected in (("w41", 0), ("none", 0), ("w3", 0)):
        policy = Policy(archive.keys.keys, (one, three), (), quorum)
        assert answer(data, policy).answer.exit_code == expected
    strangers = cosigned(told(Archive()), 4, 43)
    for policy in (
        Policy(archive.keys.keys, (strangers,), (), "w43"),
        Policy(archive.keys.keys, (one, strangers), (trust.Group("g", 2, ("w41", "w43")),), "g"),
    ):
        found = answer(data, policy)
        assert (found.answer, found.answer.exit_code) == (Answer.UNWITNESSED, 3)
        assert found.fault is None
        assert found.gaps == archive.verdict(data).gaps
    name = next(name for name in files(data) if name.startswith("cosignature/"))
    less = archive.verdict(archive.forged(data, {name: None}))
    assert less.answer is Answer.UNWITNESSED


def test_a_cosignature_that_is_not_what_it_says_fails():
    archive = told(Archive())
    archive.close()
    one = cosigned(archive, TOP)
    cosigned(archive, 4)
    data = watched(archive, one, quorum="w41").packet()
    (name,) = [name for name in files(data) if name.startswith("cosignature/")]
    line = files(data)[name]
    of_another = archive.objects.get(anchor.cosignature_key(4, one.verifier.key_id))
    renamed = line.replace(b"w41", b"w42")  # nobody whom the policy knows
    bad = (of_another, line * 2, b"", b"x\n", line[:-1])
    for text in bad:
        found = archive.verdict(archive.forged(data, {name: text}))
        assert (found.answer, found.fault.step) == (Answer.FAILED, 12), text
    found = archive.verdict(archive.forged(data, {name: renamed}))
    assert (found.answer, found.witnesses) == (Answer.UNWITNESSED, {})
    other = name[:-8] + "00000000"
    moved = archive.verdict(archive.forged(data, {name: None, other: line}))
    failed(moved, 12, other, "another key's name")


def test_a_cosignature_from_the_future_fails():
    archive = told(Archive())
    archive.close()
    one = cosigned(archive, TOP, seconds=int(moment(30, 0, 9).timestamp()))
    data = watched(archive, one, quorum="w41").packet()
    assert archive.verdict(data).answer is Answer.VERIFIED
    late = told(Archive())
    late.close()
    one = cosigned(late, TOP, seconds=int(moment(30, 0, 11).timestamp()))
    data = watched(late, one, quorum="w41").packet()
    failed(late.verdict(data), 12, layout.checkpoint(TOP), "future")
    assert late.verdict(data, now=moment(31)).answer is Answer.VERIFIED


def test_timestamps_are_verified_where_their_authority_is_trusted():
    archive = told(Archive())
    archive.close()
    authority, other = Authority(at=moment(20)), Authority(at=moment(20), name="other")
    response = stamped(archive, TOP, authority)
    data = archive.packet()
    found = archive.verdict(data, authorities=authority.roots)
    assert (found.answer, found.unchecked) == (Answer.VERIFIED, [])
    assert found.timestamps[TOP][0].at == at(20)
    found = archive.verdict(data)
    assert (found.answer, found.timestamps) == (Answer.VERIFIED, {})
    assert "1 timestamp" in found.unchecked[0]
    name = anchor.timestamp_key_of(TOP, response)
    failed(archive.verdict(data, authorities=other.roots), 12, name)
    changed = response[:-1] + bytes([response[-1] ^ 1])
    failed(
        archive.verdict(archive.forged(data, {name: changed}), authorities=authority.roots),
        12,
        name,
        "another one's name",
    )
    moved = {name: None, anchor.timestamp_key_of(TOP, changed): changed}
    found = archive.verdict(archive.forged(data, moved), authorities=authority.roots)
    failed(found, 12, anchor.timestamp_key_of(TOP, changed))


def test_a_timestamp_of_another_checkpoint_fails():
    archive = told(Archive())
    archive.close()
    authority = Authority(at=moment(20))
    response = stamped(archive, 15, authority)
    data = archive.packet()
    name = anchor.timestamp_key_of(TOP, response)
    forged = archive.forged(data, {name: response})
    failed(archive.verdict(forged, authorities=authority.roots), 12, name)
    stray = archive.forged(data, {anchor.timestamp_key_of(15, response): response})
    failed(archive.verdict(stray), 3, anchor.timestamp_key_of(15, response), "refers to it")


# All of it


def test_no_byte_of_any_file_can_be_another(archive, good):
    """As it is, and where whoever changed it made the container anew."""
    found = files(good)
    for name, text in found.items():
        for position in range(0, len(text), max(1, len(text) // 60)):
            changed = text[:position] + bytes([text[position] ^ 4]) + text[position + 1 :]
            verdict = archive.verdict(packets.pack(found | {name: changed}))
            assert verdict.answer is Answer.FAILED, (name, position)
    for position in range(0, len(good), 211):
        changed = good[:position] + bytes([good[position] ^ 4]) + good[position + 1 :]
        assert archive.verdict(changed).answer is Answer.FAILED, position
