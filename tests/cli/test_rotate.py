"""The log's key is changed from the command line, on one machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.evidence import note
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.local.clock import SystemClock
from chalicelib.local.signer import KeyFileSigner

DRIVER = Path(__file__).with_name("rotate_driver.py")


def configured(run):
    return tomllib.loads((run.home / "holdfast.toml").read_text())


def keys(run):
    return sorted(path.name for path in (run.home / ".holdfast" / "key").iterdir())


def rotate(run, **options):
    return run("evidence", "rotate", "--reason", "yearly", **options)


@pytest.fixture
def opened(holdfast):
    holdfast("init")
    return holdfast


def test_a_rotation_changes_the_key_the_settings_and_the_signer(opened):
    former = configured(opened)["log"]["key"]
    with (opened.home / "holdfast.toml").open("a") as stream:
        stream.write('\n[targets."orders"] # the shop\ndsn_env = "ORDERS_DSN"\n')
    before = (opened.home / "holdfast.toml").read_text()
    answer = opened("evidence", "rotate", "--reason", "yearly", "--json").json
    log = configured(opened)["log"]
    assert log == {"key": answer["key"], "former": [{"key": former, "last": answer["size"]}]}
    assert answer["size"] == 2
    assert answer["former"] == former
    assert (opened.home / "holdfast.toml").read_text() == before.replace(
        former, log["key"]
    ) + f'\n[[log.former]]\nkey = "{former}"\nlast = 2\n'
    new = f"signing-{note.parse_vkey(log['key']).key_id.hex()}.pem"
    assert keys(opened) == ["secret", new, "signing.pem"]
    assert (opened.home / ".holdfast" / "key" / new).stat().st_mode & 0o777 == 0o600
    opened("target", "add", "billing", "--dsn-env", "BILLING_DSN")
    assert opened("evidence", "fsck").out.startswith("VERIFIED")
    newest = note.parse(opened("evidence", "checkpoint").out.encode())
    assert [one.key_id for one in newest.signatures] == [note.parse_vkey(log["key"]).key_id]
    [record] = opened("evidence", "ls", "--kind", "log.rotated", "--json").json
    assert record["body"] == {"former": former, "key": log["key"], "reason": "yearly"}


def test_two_rotations_leave_the_key_file_of_each(opened):
    rotate(opened)
    rotate(opened)
    assert [one["last"] for one in configured(opened)["log"]["former"]] == [2, 3]
    assert len(keys(opened)) == 4
    (opened.home / ".holdfast" / "key" / "signing.pem").unlink()  # destroyed, as the page says
    opened("target", "add", "billing", "--dsn-env", "BILLING_DSN")
    opened("evidence", "fsck")


def test_a_baseline_of_before_and_one_of_after_both_hold(signed, database):
    rotate(signed)
    signed("scan", "orders")
    signed("baseline", "verify", "orders")
    database.run("ALTER TABLE orders ADD COLUMN note text")
    signed("--as", "ana", "baseline", "propose", "orders")
    signed("--as", "ben", "baseline", "approve", "orders")
    signed("--as", "chloe", "baseline", "approve", "orders")
    signed("scan", "orders")
    signed("evidence", "fsck")


def test_a_checkpoint_kept_from_before_holds_the_log_after(opened):
    kept = opened.home / "kept.txt"
    kept.write_bytes(opened("evidence", "checkpoint").out.encode())
    rotate(opened)
    opened("evidence", "fsck", "--extends", kept)
    handover = next((opened.home / ".holdfast" / "evidence" / "log" / "key").iterdir())
    opened("evidence", "fsck", "--extends", handover)


def test_settings_of_before_say_that_the_key_was_rotated(opened):
    path = opened.home / "holdfast.toml"
    before = path.read_text()
    rotate(opened)
    path.write_text(before)
    answer = opened("target", "add", "billing", "--dsn-env", "BILLING_DSN", expect=3)
    assert "was rotated to" in answer.err
    assert "holdfast evidence rotate" in answer.err
    unfinished = opened("evidence", "fsck")
    assert "holdfast evidence rotate finishes it" in unfinished.err
    rotate(opened)
    assert configured(opened)["log"]["former"][0]["last"] == 2
    assert len(keys(opened)) == 3
    opened("target", "add", "billing", "--dsn-env", "BILLING_DSN")
    opened("evidence", "fsck")


def test_a_lost_state_is_restored_across_a_rotation(opened):
    rotate(opened)
    for path in (opened.home / ".holdfast").glob("state.db*"):
        path.unlink()
    opened("evidence", "repair")
    opened("target", "add", "billing", "--dsn-env", "BILLING_DSN")
    opened("evidence", "fsck")


def test_settings_of_a_form_that_cannot_be_edited_stop_it_before_anything(opened):
    path = opened.home / "holdfast.toml"
    vkey = configured(opened)["log"]["key"]
    path.write_text(f'log = {{ key = "{vkey}" }}\n')
    before = opened("evidence", "ls", "--json").json
    answer = rotate(opened, expect=2)
    assert "[log] key = " in answer.err
    assert "[[log.former]]" in answer.err
    assert opened("evidence", "ls", "--json").json == before


def test_a_key_of_kms_is_none_of_this_machine_s(opened):
    key = "arn:aws:kms:eu-central-1:123456789012:key/a"
    answer = opened("evidence", "rotate", "--reason", "yearly", "--key", key, expect=2)
    assert "the new key is made here" in answer.err
    assert keys(opened) == ["secret", "signing.pem"]


@pytest.mark.parametrize(
    "words",
    [
        ("--reason", "a"),
        ("--reason", "x" * 2_001),
        (),
    ],
    ids=range(3),
)
def test_a_question_that_is_none_changes_nothing(opened, words):
    before = keys(opened)
    opened("evidence", "rotate", *words, expect=2)
    assert keys(opened) == before


@pytest.mark.parametrize(
    "former",
    [
        'key = "none"\nlast = 2',
        'key = "{other}"\nlast = 0',
        'key = "{own}"\nlast = 2',
        'key = "{other}"\nlast = -1',
        'key = "{other}"\nlast = 2\n[[log.former]]\nkey = "{third}"\nlast = 1',
        'key = "{foreign}"\nlast = 2',
    ],
    ids=range(6),
)
def test_former_keys_that_cannot_be_are_refused_with_the_settings(opened, former):
    own = note.parse_vkey(configured(opened)["log"]["key"])
    made = [KeyFileSigner.generate().public for _ in range(3)]
    other, third, foreign = map(note.verifier, (own.name, own.name, "other.example"), made)
    text = former.format(own=own, other=other, third=third, foreign=foreign)
    with (opened.home / "holdfast.toml").open("a") as stream:
        stream.write(f"\n[[log.former]]\n{text}\n")
    assert "[[log.former]]" in opened("evidence", "ls", expect=2).err


def test_a_copy_without_its_keys_does_not_rotate(opened):
    shutil.rmtree(opened.home / ".holdfast" / "key")
    assert "no key" in rotate(opened, expect=3).err


def test_a_key_file_that_is_gone_is_made_anew_until_the_log_names_it(opened):
    """Announced, and lost before the log's state named it: another one is announced."""
    number = 0
    while not opened("evidence", "ls", "--kind", "log.rotated", "--json").json:
        assert killed(opened, number)
        number += 1
    assert "rotate finishes" not in opened("evidence", "fsck").err
    for path in (opened.home / ".holdfast" / "key").glob("signing-*.pem"):
        path.unlink()
    rotate(opened)
    assert len(opened("evidence", "ls", "--kind", "log.rotated", "--json").json) == 2
    opened("evidence", "fsck")


def killed(run, number):
    """Whether a rotation was killed before its N-th change of a file; False: it ended before."""
    ended = subprocess.run(
        [sys.executable, "-B", DRIVER, str(number), "evidence", "rotate", "--reason", "yearly"],
        cwd=run.home,
        env=os.environ,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode in {0, -signal.SIGKILL}, ended.stderr
    return ended.returncode != 0


def again(run, kept):
    """The home as it was kept."""
    for path in run.home.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(kept, run.home, dirs_exist_ok=True)


def test_killed_before_any_change_of_a_file_it_is_finished_by_another_run(opened, tmp_path):
    shutil.copytree(opened.home, tmp_path / "kept")
    ended, number = set(), 0
    while killed(opened, number):
        left = opened("evidence", "fsck", "--json").json
        assert left["problems"] == []
        swapped = "rotate finishes" in left["unfinished"]
        pinned = "former" in configured(opened)["log"]
        opened("target", "add", "one", "--dsn-env", "DSN", expect=3 if swapped else 0)
        if not pinned:
            rotate(opened)
        ended.add((swapped, pinned))
        [former] = configured(opened)["log"]["former"]
        assert former["last"] == 2 if swapped or pinned else 3
        opened("target", "add", "last", "--dsn-env", "DSN")
        assert opened("evidence", "fsck").out.startswith("VERIFIED")
        number += 2
        again(opened, tmp_path / "kept")
    assert number > 10
    assert {(False, False), (True, False)} <= ended


def test_a_rotation_is_recorded_with_the_time_and_the_person(opened):
    opened("--as", "ana", "evidence", "rotate", "--reason", "yearly")
    [record] = opened("evidence", "ls", "--kind", "log.rotated", "--json").json
    assert record["actor"] == {"name": "ana", "via": "asserted"}
    at = parse_timestamp(record["at"])
    assert abs(SystemClock().now() - at) < timedelta(minutes=5)
