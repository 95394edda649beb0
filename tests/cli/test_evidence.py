from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.local.clock import SystemClock


def tomorrow():
    return (SystemClock().now() + timedelta(days=1)).date().isoformat()


def files(run, part):
    folder = run.home / ".holdfast" / part
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_records_are_listed_and_shown(signed):
    signed("scan", "orders")
    rows = signed("evidence", "ls", "--json").json
    assert [row["kind"] for row in rows][-3:] == ["baseline.approved", "baseline.signed", "scan"]
    assert [row["record"] for row in rows] == list(range(len(rows)))
    assert len(signed("evidence", "ls", "--last", "2", "--json").json) == 2
    assert {row["kind"] for row in signed("evidence", "ls", "--kind", "scan", "--json").json} == {
        "scan"
    }
    streams = signed("evidence", "ls", "--target", "orders", "--json").json
    assert {row["stream"] for row in streams} == {"postgres:orders"}
    assert "ana (asserted)" in signed("evidence", "ls").out
    shown = signed("evidence", "show", len(rows) - 1).json
    assert shown["body"]["outcome"] == "clean"
    assert shown["body"]["system"]["database"]
    signed("evidence", "show", len(rows), expect=2)


def test_everything_verifies_from_the_bytes(signed):
    answer = signed("evidence", "fsck")
    assert answer.out.startswith("VERIFIED")
    value = signed("evidence", "fsck", "--json").json
    assert (value["ok"], value["problems"]) == (True, [])


@pytest.mark.parametrize("part", ["snapshot", "baseline", "log/batch", "log/checkpoint"])
@pytest.mark.parametrize("how", ["edit", "delete", "truncate"])
def test_tampering_is_named_by_its_place(signed, part, how):
    signed("scan", "orders")
    path = files(signed, f"evidence/{part}")[0]
    path.chmod(0o600)
    if how == "edit":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "delete":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3])
    answer = signed("evidence", "fsck", expect=1)
    assert answer.out.startswith("FIRST BAD PLACE")
    assert path.name in answer.out
    assert "FAILED" in answer.out


def test_a_tampered_baseline_fails_the_scan(signed):
    path = files(signed, "evidence/baseline")[0]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"payload", b"Payload"))
    assert "REFUSED" in signed("scan", "orders", expect=1).out
    signed("baseline", "verify", "orders", expect=1)
    [result] = signed("scan", "orders", "--json", expect=1).json["results"]
    assert result["findings"][0]["severity"] == "critical"


def test_a_checkpoint_kept_elsewhere_holds_the_log_to_it(signed):
    kept = signed.home / "kept.txt"
    kept.write_bytes(signed("evidence", "checkpoint").out.encode())
    signed("scan", "orders")
    signed("evidence", "fsck", "--extends", kept)
    note = signed("evidence", "checkpoint").out.splitlines(keepends=True)
    kept.write_text("".join([*note[:-1], note[-1][:-8] + "AAAAAA=\n"]))
    signed("evidence", "fsck", "--extends", kept, expect=1)
    signed("evidence", "fsck", "--extends", "nothing-there", expect=2)


def test_a_log_cut_back_everywhere_shows_only_against_a_kept_checkpoint(signed):
    import shutil

    shutil.copytree(signed.home / ".holdfast", signed.home / "older")
    signed("scan", "orders")
    kept = signed.home / "kept.txt"
    kept.write_bytes(signed("evidence", "checkpoint").out.encode())
    shutil.rmtree(signed.home / ".holdfast")
    (signed.home / "older").rename(signed.home / ".holdfast")
    signed("evidence", "fsck")
    assert "FAILED" in signed("evidence", "fsck", "--extends", kept, expect=1).out


def test_edited_derived_objects_are_named_and_made_again(signed):
    path = signed.home / ".holdfast" / "derived" / "state" / "postgres" / "orders"
    path.write_bytes(path.read_bytes() + b" ")
    tiles = [p for p in files(signed, "derived/tile") if "entries" not in p.parts]
    tiles[0].write_bytes(b"\0" * 32)
    answer = signed("evidence", "fsck", expect=1)
    assert "state/postgres/orders" in answer.out
    (signed.home / ".holdfast" / "derived" / "checkpoint").unlink()
    signed("evidence", "repair")
    signed("evidence", "fsck")


def test_a_state_that_somebody_else_put_there_is_not_signed(signed):
    """The log's state decides what the next append signs: without the secret nobody writes one."""
    import sqlite3

    signed("scan", "orders")
    with sqlite3.connect(signed.home / ".holdfast" / "state.db") as database:
        [(value,)] = database.execute("SELECT value FROM document WHERE key = 'log/state'")
        forged = value.replace(b'"size":', b'"size": ', 1)
        database.execute("UPDATE document SET value = ? WHERE key = 'log/state'", (forged,))
    database.close()
    assert "log/state" in signed("evidence", "fsck", expect=1).out
    signed("scan", "orders", expect=1)


def test_a_database_with_a_trigger_is_refused(signed):
    import sqlite3

    with sqlite3.connect(signed.home / ".holdfast" / "state.db") as database:
        database.execute(
            "CREATE TRIGGER t BEFORE UPDATE ON document BEGIN SELECT RAISE(IGNORE); END"
        )
    database.close()
    assert "its one table" in signed("scan", "orders", expect=3).err


def test_a_cached_state_of_another_history_is_not_believed(signed, database):
    import shutil

    home = signed.home / ".holdfast"
    database.run("ALTER TABLE orders DISABLE ROW LEVEL SECURITY")
    signed("scan", "orders", expect=1)
    shutil.copytree(home, signed.home / "copy")
    [finding] = signed("drift", "ls", "--json").json
    signed("drift", "suppress", finding["id"], "--until", tomorrow(), "--reason", "elsewhere")
    cache = home / "derived" / "state" / "postgres" / "orders"
    kept = cache.read_bytes()
    shutil.rmtree(home)
    (signed.home / "copy").rename(home)
    signed("scan", "orders", expect=1)
    cache.write_bytes(kept)
    assert "not what the target's records add up to" in signed("evidence", "fsck", expect=1).out
    signed("scan", "orders", expect=1)


def test_a_lost_state_is_restored_from_the_records_and_recorded(signed):
    signed("scan", "orders")
    before = signed("evidence", "ls", "--json").json
    for path in (signed.home / ".holdfast").glob("state.db*"):
        path.unlink()
    assert "holdfast evidence repair" in signed("evidence", "fsck", expect=1).err
    signed("scan", "orders", expect=1)
    signed("evidence", "repair")
    after = signed("evidence", "ls", "--json").json
    assert after[:-1] == before
    assert (after[-1]["kind"], after[-1]["body"]) == ("log.restored", {"size": len(before)})
    signed("evidence", "fsck")
    signed("scan", "orders")


def test_what_is_only_derived_can_be_lost(signed):
    import shutil

    shutil.rmtree(signed.home / ".holdfast" / "derived")
    answer = signed("evidence", "fsck", expect=1)
    assert "holdfast evidence repair" in answer.err
    signed("evidence", "repair")
    signed("evidence", "fsck")
    signed("scan", "orders")


def test_a_copy_without_its_keys_is_verified_and_not_continued(signed, database):
    import shutil

    signed("scan", "orders")
    shutil.rmtree(signed.home / ".holdfast" / "key")
    signed("evidence", "fsck")
    signed("baseline", "verify", "orders")
    assert "no key" in signed("scan", "orders", expect=3).err
    signed("evidence", "fsck")


def test_a_corrupt_database_file_is_an_answer(signed):
    (signed.home / ".holdfast" / "state.db").write_bytes(b"garbage" * 1000)
    answer = signed("scan", "orders", expect=None)
    assert answer.code in {1, 3}
    assert "defect" not in answer.err
