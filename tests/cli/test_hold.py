"""Holds, releases and erasures as a user has them."""

from __future__ import annotations

import json
import zipfile
from datetime import timedelta

import pytest
from support import packets

from chalicelib.kernel import canon
from chalicelib.local.clock import SystemClock

REASON = "INC-481, mended by Friday"


@pytest.fixture
def suppressed(signed, database):
    database.run("ALTER TABLE orders DISABLE ROW LEVEL SECURITY")
    signed("scan", "orders", expect=1)
    [finding] = signed("drift", "ls", "--json").json
    tomorrow = (SystemClock().now() + timedelta(days=1)).date().isoformat()
    words = ("drift", "suppress", finding["id"], "--until", tomorrow, "--reason", REASON)
    signed("--as", "dora", *words)
    signed.finding = finding["id"]
    return signed


def files(run, part="."):
    folder = run.home / ".holdfast" / part
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def record(run, kind):
    return run("evidence", "ls", "--kind", kind, "--json").json[-1]


def today():
    return SystemClock().now().date().isoformat()


def test_a_reason_is_shown_and_is_in_no_file(suppressed):
    assert REASON in suppressed("drift", "show", suppressed.finding).out
    assert suppressed("drift", "show", suppressed.finding, "--json").json["reason"] == REASON
    assert suppressed("drift", "ls", "--json").json[0]["reason"] == REASON
    assert REASON in suppressed("evidence", "ls").out
    found = record(suppressed, "finding.suppressed")
    shown = suppressed("evidence", "show", found["record"]).json["body"]["reason"]
    assert shown == found["body"]["reason"]
    assert (shown["state"], shown["value"]) == ("open", REASON)
    assert sorted(shown["personal"]) == ["commitment", "key", "sealed", "subject"]
    for path, data in files(suppressed).items():
        assert REASON.encode() not in data, path


def test_an_erasure_is_told_everywhere_and_changes_no_evidence(suppressed):
    evidence = files(suppressed, "evidence")
    answer = suppressed(
        "--as", "alice", "evidence", "erase", "--subject", "Dora", "--reason", "GDPR"
    )
    assert "what 1 record held" in answer.err
    told = f"erased on {today()} by alice"
    assert told in suppressed("drift", "show", suppressed.finding).out
    assert suppressed("drift", "show", suppressed.finding, "--json").json["reason"] == told
    assert told in suppressed("evidence", "ls").out
    found = record(suppressed, "finding.suppressed")["body"]["reason"]
    erased = record(suppressed, "personal.erased")
    assert (found["state"], found["by"], found["record"]) == ("erased", "alice", erased["record"])
    assert "value" not in found
    assert erased["body"]["records"] == 1
    after = files(suppressed, "evidence")
    assert {path: after[path] for path in evidence} == evidence
    assert suppressed("evidence", "fsck").out.startswith("VERIFIED")
    suppressed("scan", "orders")


def test_an_erasure_again_says_that_it_was_done(suppressed):
    words = ("evidence", "erase", "--subject", "dora", "--reason", "GDPR", "--json")
    first = suppressed(*words).json
    answer = suppressed(*words)
    assert answer.json == {**first, "repeated": True}
    assert "nothing was left to erase" in answer.err
    suppressed("evidence", "erase", "--subject", "eve", "--reason", "GDPR", expect=2)
    suppressed("evidence", "erase", "--subject", "\x1b[2J", "--reason", "GDPR", expect=2)
    suppressed("evidence", "erase", "--subject", "dora", "--reason", "x", expect=2)


def test_a_hold_is_on_the_files_and_blocks_an_erasure_until_it_is_released(suppressed):
    value = suppressed(
        "--as", "lea", "evidence", "hold", "--target", "orders", "--reason", "matter 7", "--json"
    ).json
    held = files(suppressed, "hold")
    assert len(held) == value["objects"] == value["new"] > 0
    evidence = files(suppressed, "evidence")
    assert all(evidence[path] == data for path, data in held.items())
    assert {path.parts[0] for path in held} >= {"log", "snapshot", "baseline", "question"}
    erase = ("evidence", "erase", "--subject", "dora", "--reason", "GDPR")
    refused = suppressed(*erase, expect=2)
    assert value["hold"][:14] in refused.err
    assert "lea" in refused.err
    assert REASON in suppressed("drift", "show", suppressed.finding).out
    answer = suppressed("evidence", "release", value["hold"][:10], "--reason", "settled", "--json")
    assert answer.json == {
        "hold": value["hold"],
        "objects": value["objects"],
        "released": value["objects"],
    }
    assert files(suppressed, "hold") == {}
    suppressed(*erase)
    suppressed("evidence", "fsck")


def test_holds_are_listed_and_kept_up(suppressed):
    assert suppressed("evidence", "holds").err.strip() == "no holds"
    held = suppressed(
        "evidence", "hold", "--stream", "postgres:orders", "--reason", "a\x1b[2Jb", "--json"
    ).json
    suppressed("scan", "orders")
    before = len(files(suppressed, "hold"))
    again = suppressed("evidence", "hold", "--refresh", "--json").json
    assert (again["holds"], again["new"]) == (1, len(files(suppressed, "hold")) - before)
    assert again["new"] > 0
    assert suppressed("evidence", "hold", "--refresh", "--json").json["new"] == 0
    listed = suppressed("evidence", "holds").out
    assert held["hold"][:14] in listed
    assert "\x1b" not in listed
    assert suppressed("evidence", "holds", "--json").json == [
        {key: value for key, value in held.items() if key not in {"objects", "new"}}
    ]
    suppressed("evidence", "release", "--target", "orders", "--reason", "settled")
    assert suppressed("evidence", "holds", "--json").json == []
    [one] = suppressed("evidence", "holds", "--all", "--json").json
    assert one["released"]
    assert "released" in suppressed("evidence", "holds", "--all").out


def test_one_of_two_holds_is_named_by_its_id(suppressed):
    words = ("evidence", "hold", "--target", "orders", "--reason")
    first = suppressed(*words, "matter 7", "--json").json
    suppressed(*words, "matter 8")
    release = ("evidence", "release", "--reason", "settled")
    assert "2 holds are on it" in suppressed(*release, "--target", "orders", expect=2).err
    before = files(suppressed, "hold")
    suppressed(*release, first["hold"])
    assert files(suppressed, "hold") == before  # the other one is on the same
    assert "stream postgres:orders" in suppressed("evidence", "holds").out
    suppressed(*release, "--target", "orders")
    assert files(suppressed, "hold") == {}
    refused = suppressed(*release, "--target", "orders", expect=2)
    assert "no hold in force" in refused.err
    assert suppressed(*release, "H-00000000", expect=2).err
    suppressed(*release, first["hold"], "--target", "orders", expect=2)
    suppressed(*release, expect=2)


def test_a_released_hold_is_finished_by_releasing_it_again(suppressed):
    held = suppressed(
        "evidence", "hold", "--target", "orders", "--reason", "matter 7", "--json"
    ).json
    folder = suppressed.home / ".holdfast"
    (folder / "hold").rename(folder / "aside")
    suppressed("evidence", "release", held["hold"], "--reason", "settled")
    (folder / "aside").rename(folder / "hold")  # as a crash after the record would leave it
    size = len(suppressed("evidence", "ls", "--json").json)
    again = suppressed("evidence", "release", held["hold"], "--reason", "finish", "--json").json
    assert again["released"] == held["objects"]
    assert len(suppressed("evidence", "ls", "--json").json) == size


def test_a_hold_over_a_missing_object_is_recorded_and_told(suppressed):
    snapshot = next((suppressed.home / ".holdfast/evidence/snapshot").rglob("*/*"))
    snapshot = snapshot if snapshot.is_file() else next(snapshot.iterdir())
    kept = snapshot.read_bytes()
    snapshot.unlink()
    answer = suppressed("evidence", "hold", "--target", "orders", "--reason", "matter 7", expect=1)
    assert "is recorded, and not all objects" in answer.err
    assert len(suppressed("evidence", "holds", "--json").json) == 1
    assert snapshot.name not in {path.name for path in files(suppressed, "hold")}
    snapshot.write_bytes(kept)
    assert suppressed("evidence", "hold", "--refresh", "--json").json["new"] == 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--stream", "postgres:orders", "--target", "orders"],
        ["--stream", "postgres:nobody"],
        ["--stream", "\x1b[2J"],
        ["--target", "../etc"],
        ["--packet", "nothing-there.zip"],
        ["--packet", "."],
        ["--packet", "ab" * 32],
        ["--refresh", "--target", "orders"],
    ],
)
def test_what_cannot_be_held_is_refused(suppressed, words):
    answer = suppressed("evidence", "hold", *words, "--reason", "matter 7", expect=2)
    assert "\x1b" not in answer.err
    assert suppressed("evidence", "holds", "--all", "--json").json == []


def packed(run, **changed):
    """A packet of today, or a forgery of it: what is in its manifest, as nobody signed it."""
    path = run.home / "packet.zip"
    day = run("evidence", "ls", "--json").json[-1]["at"][:10]
    run("evidence", "packet", "--from", day, "--to", day, "-o", path)
    with zipfile.ZipFile(path) as file:
        found = {name: file.read(name) for name in file.namelist()}
    if changed:
        value = json.loads(found["manifest.json"])
        found["manifest.json"] = canon.encode(value | changed)
        path.write_bytes(packets.pack(found))
    return path, canon.sha256(found["manifest.json"])


def test_a_packet_is_held_by_its_file_and_later_by_its_name(suppressed):
    path, digest = packed(suppressed)
    held = suppressed("evidence", "hold", "--packet", path, "--reason", "audit", "--json").json
    assert (held["packet"]["sha256"], held["stream"]) == (digest, None)
    refused = suppressed("evidence", "erase", "--subject", "dora", "--reason", "GDPR", expect=2)
    assert digest in refused.err
    path.unlink()
    suppressed("evidence", "release", "--packet", digest, "--reason", "settled")
    suppressed("evidence", "hold", "--packet", digest, "--reason", "again")
    assert len(suppressed("evidence", "holds", "--json").json) == 1


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"filter": {"targets": ["postgres:orders"], "kinds": []}}, 1),
        ({"range": {"first": 0, "last": 1}}, 1),
        ({"origin": "example.com/other"}, 2),
        ({"range": {"first": 0, "last": 10_000}}, 2),
        ({"range": None}, 1),
    ],
    ids=["narrower", "shorter", "another-log", "too-long", "malformed"],
)
def test_a_file_that_is_no_packet_of_this_log_is_refused(suppressed, changed, code):
    path, _ = packed(suppressed, **changed)
    suppressed("evidence", "hold", "--packet", path, "--reason", "audit", expect=code)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("manifest.json", b"{}")
    suppressed("evidence", "hold", "--packet", path, "--reason", "audit", expect=1)
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    suppressed("evidence", "hold", "--packet", path, "--reason", "audit", expect=1)
    assert suppressed("evidence", "holds", "--all", "--json").json == []


def test_a_value_that_is_not_what_was_committed_to_is_not_shown(suppressed):
    """Only whoever signs for the log can write such a record; here it is done behind its back."""
    from chalicelib import settings, wiring
    from chalicelib.kernel.record import Actor, Draft

    body = {
        "reason": {
            "personal": record(suppressed, "finding.suppressed")["body"]["reason"]["personal"]
        }
    }
    held = wiring.connect(settings.load(suppressed.home / "holdfast.toml"))
    (entry,) = held.log.append(
        [Draft("moved", "elsewhere", "2026-11-23T09:00:00.000000Z", Actor("eve", "os"), body)]
    )
    answer = suppressed("evidence", "show", entry.index, expect=1)
    assert REASON not in answer.out + answer.err
    assert json.loads(answer.out)["body"]["reason"]["state"] == "wrong"
    assert "not shown" in answer.err
    assert "not shown" in suppressed("evidence", "ls").out


def test_retention_is_refused_where_it_cannot_be(shop):
    path = shop.home / "holdfast.toml"
    good = path.read_text()
    for text in (
        "default_days = -1",
        "default_days = 36501",
        "[retention.kinds]\nscan = 36501",
        "[retention.kinds]\n'finding.*' = 1",
        "[retention.kinds]\n'Scan' = 1",
        "days = 1",
    ):
        path.write_text(f"{good}\n[retention]\n{text}\n")
        assert "retention" in shop("target", "ls", expect=2).err.lower()
    path.write_text(f"{good}\n[retention]\ndefault_days = 30\n[retention.kinds]\nfinding = 400\n")
    shop("target", "ls")
