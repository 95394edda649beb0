"""``holdfast evidence packet`` and ``verify``, on the records of a real database."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from datetime import timedelta

import pytest
from support import packets, tampered
from support.authority import Authority, served
from support.outside import made, serving

from chalicelib import settings
from chalicelib.evidence import note
from chalicelib.kernel.clock import timestamp
from chalicelib.local.clock import SystemClock
from chalicelib.wiring.packets import check as checked

W1 = "witness.example/w1"
BOTH = {"postgres:orders", "postgres:billing"}


def days(count):
    return (SystemClock().now() + timedelta(days=count)).date().isoformat()


def packet(run, *words, name="p.zip", **options):
    """From yesterday on, so that midnight is nothing special."""
    words = ("--from", days(-1), "--to", days(0), "-o", name, *words)
    return run("evidence", "packet", *words, **options)


def verify(run, *words, name="p.zip", **options):
    return run("evidence", "verify", name, *words, **options)


def files(run, name="p.zip"):
    with zipfile.ZipFile(run.home / name) as found:
        return {one: found.read(one) for one in found.namelist()}


def records(run, name="p.zip"):
    return [json.loads(line) for line in files(run, name)["leaves.jsonl"].splitlines()]


def alone(run, *words):
    """The packet's own verifier, in a Python without anything of ours."""
    (run.home / "verify.py").write_bytes(files(run)["verify.py"])
    return subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", *words],
        cwd=run.home,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def told(signed, database):
    """Two targets, of which one cannot be reached: a baseline, scans, drift, a tick."""
    import chalicelib.cli.serve  # noqa: F401 - hangs itself onto the application

    signed("scan", "orders")
    database.run("ALTER TABLE orders ADD COLUMN note text")
    signed("scan", "orders", expect=1)
    signed("target", "add", "billing", "--dsn-env", "NOBODY_DSN")
    signed("serve", "--every", "1h", "--once", expect=1)
    signed.key = settings.load(signed.home / "holdfast.toml").file.log.key
    (signed.home / "key.txt").write_text(signed.key + "\n")
    return signed


@pytest.fixture
def log(holdfast):
    """A log of a few records, without a database."""
    holdfast("init")
    holdfast("target", "add", "billing", "--dsn-env", "NOBODY_DSN")
    return holdfast


def test_a_packet_of_a_real_database_holds_for_both_verifiers(told):
    answer = packet(told)
    assert answer.out.startswith("VERIFIED  ")
    assert verify(told).out == answer.out
    assert verify(told, "--trust", "key.txt").out == answer.out
    assert "postgres:orders: 1 expected, 1 observed (1 drift)" in answer.out
    assert "postgres:billing: 1 expected, 1 observed (1 unknown)" in answer.out
    done = alone(told, "p.zip", "--trust", "key.txt")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("VERIFIED ")
    kinds = {one["kind"] for one in records(told)}
    assert {"scan", "baseline.signed", "baseline.approved", "schedule.dispatched"} <= kinds
    prefixes = {name.split("/")[0] for name in files(told)}
    assert {"snapshot", "baseline", "question", "log"} <= prefixes


def test_who_took_a_packet_is_recorded_and_the_period_is_closed_once(told):
    value = packet(told, "--json").json
    assert (value["verdict"], value["file"]) == ("VERIFIED", "p.zip")
    rows = told("evidence", "ls", "--json").json
    assert [row["kind"] for row in rows[-2:]] == ["period.closed", "packet.made"]
    assert value["packet"] == packets.sha256(files(told)["manifest.json"])
    assert rows[-1]["body"]["sha256"] == value["packet"]
    assert rows[-1]["body"]["records"] == value["manifest"]["records"] == len(records(told))
    assert told("evidence", "fsck").out.startswith("VERIFIED")


def test_the_same_period_again_is_the_same_file(told):
    moment = timestamp(SystemClock().now())
    for name in ("a.zip", "b.zip"):
        told("evidence", "packet", "--from", days(-1), "--to", moment, "-o", name)
        told("target", "add", name[0], "--dsn-env", "NOBODY_DSN")
    assert (told.home / "a.zip").read_bytes() == (told.home / "b.zip").read_bytes()


FEW = {"scan", "finding.opened"}
WHOLE = {*FEW, "target.configured"}


@pytest.mark.parametrize(
    ("words", "streams", "kinds"),
    [
        (["--target", "orders"], {"postgres:orders"}, WHOLE),
        (["--target", "postgres:billing"], {"postgres:billing"}, WHOLE),
        (["--kind", "finding"], BOTH, FEW),
        (
            ["--target", "billing", "--kind", "finding"],
            {"postgres:billing"},
            {"scan", "finding.opened"},
        ),
        (["--kind", "log.restored"], BOTH, {"scan"}),
    ],
    ids=["a target", "another", "a kind", "both", "no kind"],
)
def test_filters(told, words, streams, kinds):
    value = packet(told, *words, "--json").json
    assert value["verdict"] == "VERIFIED"
    assert verify(told).code == 0
    assert alone(told, "p.zip", "--trust", "key.txt").returncode == 0
    found = [one for one in records(told) if one["stream"] not in {"log", "schedule"}]
    assert {one["stream"] for one in found if one["kind"] == "scan"} == streams
    assert {one["kind"] for one in found if not one["kind"].startswith("baseline.")} == kinds
    if "orders" not in "".join(streams):
        assert not [one for one in found if one["kind"].startswith("baseline.")]


def test_a_gap_is_shown_wherever_one_looks(told):
    """The next tick was due an hour after the last one; nobody kept the schedule since."""
    packet(told)
    gap = json.loads(files(told)["coverage.json"])["unobserved"]
    assert gap == verify(told, "--json").json["gaps"]
    text = files(told)["report.txt"].decode()
    assert ("No gap." in text) == (gap == [])


def test_every_file_of_a_packet_is_held_to_every_byte(told):
    """Also where whoever changed it made the container anew; by both verifiers."""
    packet(told)
    found = files(told)
    bad = told.home / "bad.zip"
    for name, data in sorted(found.items()):
        for position in sorted({0, len(data) // 3, len(data) - 1}):
            changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
            bad.write_bytes(packets.pack(found | {name: changed}))
            answer = verify(told, name="bad.zip", expect=1)
            assert answer.out.startswith("FAILED"), (name, position)
        assert alone(told, "bad.zip", "--trust", "key.txt").returncode == 1, name


def test_no_sampled_byte_of_the_file_can_be_another(told):
    packet(told)
    policy = settings.load(told.home / "holdfast.toml").policy
    good = (told.home / "p.zip").read_bytes()
    bad = told.home / "bad.zip"
    bad.write_bytes(good)
    with bad.open("r+b") as stream:
        assert checked(stream, policy).answer.exit_code == 0
        for position in range(0, len(good), len(good) // 1_500):
            stream.seek(position)
            stream.write(bytes([good[position] ^ (1 << position % 8)]))
            stream.flush()
            assert checked(stream, policy).answer.exit_code == 1, position
            stream.seek(position)
            stream.write(good[position : position + 1])
        stream.flush()
        assert checked(stream, policy).answer.exit_code == 0


def test_a_packet_across_a_change_of_key(told, database):
    told("evidence", "rotate", "--reason", "yearly")
    database.run("ALTER TABLE orders DROP COLUMN note")
    told("scan", "orders")
    assert packet(told).out.startswith("VERIFIED")
    assert [name for name in files(told) if name.startswith("log/key/")]
    assert "FAILED" in verify(told, "--trust", "key.txt", expect=1).out
    (told.home / "trust.txt").write_bytes(files(told)["trust.txt"])
    verify(told, "--trust", "trust.txt")
    assert alone(told, "p.zip", "--trust", "trust.txt").returncode == 0


@pytest.fixture
def watched(log):
    """The same with a witness and an authority that answer, and both in the settings."""
    log.key = settings.load(log.home / "holdfast.toml").file.log.key
    witness = made(note.parse_vkey(log.key), name=W1, clock=SystemClock())
    clock = Authority(kind="p256", at=SystemClock().now().replace(microsecond=0))
    with serving(witness) as (_, url), served(clock.answer) as (authority, log.asked):
        (log.home / "tsa.pem").write_bytes(clock.pem)
        policy = f"witness w1 {witness.verifier} {url}\nquorum w1\n"
        (log.home / "witnesses.txt").write_text(policy)
        toml = log.home / "holdfast.toml"
        text = toml.read_text().replace("[log]\n", '[log]\nwitnesses = "witnesses.txt"\n', 1)
        toml.write_text(f'{text}\n[timestamp]\nurl = "{authority}"\nroots = "tsa.pem"\n')
        yield log


def test_whoever_closes_a_period_has_it_witnessed_and_dated(watched):
    answer = packet(watched)
    assert answer.out.startswith("VERIFIED")
    assert "cosigned by w1" in answer.out
    said = verify(watched, "--json").json
    assert list(said["witnesses"]) == ["w1"]
    assert said["timestamps"][0]["authority"] == "CN=test clock,O=Test Time"
    assert said["unchecked"] == []
    (watched.home / "key.txt").write_text(watched.key)
    other = verify(watched, "--trust", "key.txt")  # a policy without witnesses
    assert other.out.startswith("VERIFIED")
    assert "cosigned by" not in other.out


def test_a_packet_without_a_witness_is_unwitnessed_until_one_was_asked(watched):
    moment = timestamp(SystemClock().now())
    words = ("evidence", "packet", "--from", days(-1), "--to", moment, "--offline", "-o")
    assert watched(*words, "before.zip").out.startswith("UNWITNESSED")
    assert verify(watched, name="before.zip", expect=3).out.startswith("UNWITNESSED")
    assert watched.asked == []
    watched("evidence", "witness")
    watched("evidence", "timestamp")
    assert watched(*words, "after.zip").out.startswith("VERIFIED")
    verify(watched, name="after.zip")
    verify(watched, name="before.zip", expect=3)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--from", "2026-13-01", "--to", "2026-10-01"], ""),
        (["--from", "2026-10-02", "--to", "2026-10-01"], "does not come before"),
        (["--from", "2999-10-01", "--to", "2999-10-02"], "yet to come"),
        (["--from", "2020-10-01", "--to", "2020-10-02"], "nothing was recorded"),
        (["--from", "2020-10-01", "--to", "2099-10-02", "--target", "a b\n"], ""),
        (["--from", "2020-10-01", "--to", "2099-10-02", "--kind", ""], "no kind of record"),
        (["--from", "2020-10-01"], ""),
    ],
    ids=str,
)
def test_a_wrong_question_leaves_no_file_and_no_record(log, words, what):
    before = log("evidence", "ls", "--json").out
    answer = log("evidence", "packet", *words, "-o", "p.zip", expect=2)
    assert what in answer.err
    assert [path.name for path in log.home.iterdir() if "p.zip" in path.name] == []
    assert log("evidence", "ls", "--json").out == before


def test_what_is_there_is_not_written_over(log):
    (log.home / "p.zip").write_text("mine")
    packet(log, expect=2)
    (log.home / "link.zip").symlink_to("nowhere")
    packet(log, name="link.zip", expect=2)
    packet(log, name="none/p.zip", expect=2)
    assert (log.home / "p.zip").read_text() == "mine"
    assert not (log.home / "nowhere").exists()


def test_a_packet_that_would_not_verify_is_not_handed_out(signed):
    signed("scan", "orders")
    folder = signed.home / ".holdfast" / "evidence" / "snapshot"
    (path,) = [one for one in folder.rglob("*") if one.is_file()]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"orders", b"ordors", 1))
    answer = packet(signed, expect=None)
    assert answer.code in {1, 3}
    assert not (signed.home / "p.zip").exists()


@pytest.mark.parametrize(
    ("make", "words", "code"),
    [
        (lambda home: None, [], 2),
        (lambda home: (home / "p.zip").mkdir(), [], 2),
        (lambda home: (home / "p.zip").write_bytes(b""), [], 1),
        (lambda home: (home / "p.zip").write_bytes(b"x"), [], 1),
        (lambda home: (home / "p.zip").write_bytes(b"x"), ["--trust", "none.txt"], 2),
        (lambda home: (home / "p.zip").write_bytes(b"x"), ["--trust", "p.zip"], 2),
        (lambda home: (home / "p.zip").write_bytes(b"x"), ["--tsa", "p.zip"], 2),
    ],
)
def test_what_cannot_be_verified(log, make, words, code):
    make(log.home)
    answer = verify(log, *words, expect=code)
    assert (answer.out == "") == (code == 2)


def test_without_settings_and_trust_nothing_can_be_told(holdfast):
    (holdfast.home / "p.zip").write_bytes(b"x")
    assert "--trust" in verify(holdfast, expect=2).err


def test_an_auditor_needs_no_installation(log, tmp_path, monkeypatch):
    packet(log)
    key = settings.load(log.home / "holdfast.toml").file.log.key
    elsewhere = tmp_path / "auditor"
    elsewhere.mkdir()
    (elsewhere / "p.zip").write_bytes((log.home / "p.zip").read_bytes())
    (elsewhere / "key.txt").write_text(key)
    monkeypatch.chdir(elsewhere)
    assert verify(log, "--trust", "key.txt").out.startswith("VERIFIED")


def test_a_fork_shows_both_notes(log):
    """The packet of another history, under the first one's key."""
    (log.home / "trust.txt").write_bytes(packets.trust())
    (log.home / "fork.zip").write_bytes(tampered.LIES["a fork"][0]())
    answer = verify(log, "--trust", "trust.txt", name="fork.zip", expect=1)
    assert "one note:\n" in answer.out
    assert "another note:\n" in answer.out
    assert "failed proof:\n" in answer.out
    value = verify(log, "--trust", "trust.txt", "--json", name="fork.zip", expect=1).json
    assert value["fork"]["ours"] != value["fork"]["theirs"]
    assert value["fault"]["step"] == 6


def test_nothing_from_a_packet_reaches_the_terminal_raw(log):
    evil = "\x1b[2J\x1b]0;x\x07\u202e"
    body = {"subject": evil, "key": "01" * 16, "records": 1, "reason": evil}
    story = packets.Story({36: lambda one: one.update(body=body)})
    (log.home / "p.zip").write_bytes(packets.packet(story))
    (log.home / "trust.txt").write_bytes(packets.trust())
    answer = verify(log, "--trust", "trust.txt", expect=None)
    for text in (answer.out, answer.err):
        assert "\x1b" not in text
        assert "\u202e" not in text
