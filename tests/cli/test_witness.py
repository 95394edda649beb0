"""``holdfast witness``, the auditor's side, and ``holdfast evidence witness`` and ``trust``."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.outside import made, serving, signer

from chalicelib import settings
from chalicelib.evidence import cosignature, note, submission, trust
from chalicelib.kernel.errors import ConfigError
from chalicelib.kernel.merkle import EMPTY_ROOT
from chalicelib.wiring import witness as wiring

PROGRAM = "import sys\nfrom chalicelib.cli import main\nsys.argv[0] = 'holdfast'\nmain()\n"
W1 = "witness.example/w1"


@pytest.fixture
def log(holdfast):
    """An installation with a log of one record; ``key`` is its vkey."""
    holdfast("init")
    holdfast.key = settings.load(holdfast.home / "holdfast.toml").file.log.key
    return holdfast


def grow(holdfast, name):
    """One more record in the log."""
    holdfast("target", "add", name, "--dsn-env", "ORDERS_DSN")


def configure(holdfast, policy, path="witnesses.txt"):
    (holdfast.home / path).write_text(policy)
    toml = holdfast.home / "holdfast.toml"
    if "witnesses" not in toml.read_text():
        toml.write_text(toml.read_text().replace("[log]\n", f'[log]\nwitnesses = "{path}"\n', 1))


@contextmanager
def served(folder):
    """The witness of a folder, answering; its URL."""
    server = wiring.server(folder, ("127.0.0.1", 0), lambda line: None)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def auditor(log):
    """A witness in its own folder that knows the log: its folder and its key."""
    folder = log.home.parent / "auditor"
    answer = log("witness", "init", "--name", W1, "--log", log.key, "--folder", folder)
    log.folder, log.witness = folder, answer.out.strip()
    return log


def test_a_witness_is_made_with_a_key_that_is_its_owner_s_alone(auditor):
    own = cosignature.parse_vkey(auditor.witness)
    assert own.name == W1
    assert auditor.folder.stat().st_mode & 0o777 == 0o700
    for name in ("signing.pem", "state.db", "logs.txt", "witness.vkey"):
        assert (auditor.folder / name).stat().st_mode & 0o777 == 0o600
    assert auditor("witness", "key", "--folder", auditor.folder).out == f"{own}\n"
    found = auditor("witness", "key", "--folder", auditor.folder, "--json").json
    assert found == {"name": W1, "key": str(own)}
    answer = auditor(
        "witness", "init", "--name", W1, "--log", auditor.key, "--folder", auditor.folder, expect=3
    )
    assert "a key is never replaced" in answer.err


def test_it_needs_no_settings(holdfast):
    other = note.verifier("log.example", signer(1).public)
    policy = holdfast.home / "policy.txt"
    policy.write_text(f"log {other}\n#: sizes 0 9\nquorum none\n")
    found = holdfast("witness", "init", "--name", W1, "--log", "policy.txt", "--json").json
    assert found["folder"] == "holdfast-witness"
    assert "#: sizes 0 9" in (holdfast.home / "holdfast-witness" / "logs.txt").read_text()
    [listed] = holdfast("witness", "ls", "--json").json
    assert (listed["origin"], listed["size"], listed["refused"]) == ("log.example", 0, [])


GAP = "log {one}\nlog {two}\nquorum none\n"


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("two words", "{key}", "not a key name"),
        ("", "{key}", "not a key name"),
        (W1, "{key}x", "not a verifier key"),
        (W1, "nowhere.txt", "nowhere.txt is no file"),
        (W1, "bad.txt", "line 1: not a line of a trust policy"),
        (W1, "empty.txt", "needs a log to watch"),
        (W1, "gap.txt", "begins at 0"),
    ],
    ids=range(7),
)
def test_what_cannot_be_a_witness_is_refused_before_anything_is_made(log, name, given, why):
    one, two = (note.verifier("log.example", signer(number).public) for number in (1, 2))
    (log.home / "bad.txt").write_text("nonsense +\n")
    (log.home / "empty.txt").write_text("quorum none\n")
    (log.home / "gap.txt").write_text(GAP.format(one=one, two=two))
    words = ("--name", name, "--log", given.format(key=log.key))
    answer = log("witness", "init", *words, expect=2)
    assert why in answer.err
    assert not (log.home / "holdfast-witness").exists()


def test_a_checkpoint_is_cosigned_kept_and_counted(auditor):
    with served(auditor.folder) as url:
        configure(auditor, f"witness w1 {auditor.witness} {url}\nquorum w1\n")
        first = auditor("evidence", "witness", "--json").json
        grow(auditor, "orders")
        second = auditor("evidence", "witness")
    assert (first["size"], first["met"], first["quorum"]) == (1, True, "w1")
    [one] = first["witnesses"]
    assert set(one) == {"name", "key", "url", "cosigned_at"}
    assert one["key"] == auditor.witness
    assert second.out.startswith("w1  cosigned 20")
    assert "2 records; quorum w1: met" in second.err
    kept = sorted((auditor.home / ".holdfast/evidence/cosignature").rglob("*"))
    own = cosignature.parse_vkey(auditor.witness)
    found = [path for path in kept if path.is_file()]
    assert [f"{path.parent.name}/{path.name}" for path in found] == [
        f"{size:020d}/{own.key_id.hex()}" for size in (1, 2)
    ]
    for path in found:
        checkpoint = auditor.home / ".holdfast/evidence/log/checkpoint" / path.parent.name
        text = note.parse(checkpoint.read_bytes()).text
        assert cosignature.verify(cosignature.parse_line(path.read_bytes()), text, own)
    auditor("evidence", "fsck")
    [listed] = auditor("witness", "ls", "--folder", auditor.folder, "--json").json
    assert (listed["size"], listed["refused"]) == (2, [])
    assert listed["note"].count("\N{EM DASH} ") == 2


def test_the_quorum_decides_what_is_answered(auditor):
    stranger = cosignature.cosigner("v.example", signer(1).public)
    with served(auditor.folder) as url:
        lines = f"witness w1 {auditor.witness} {url}\nwitness gone {stranger} http://127.0.0.1:1\n"
        configure(auditor, f"{lines}group both all w1 gone\nquorum both\n")
        found = auditor("evidence", "witness", "--json", expect=3)
        assert "quorum both: NOT met: the checkpoint is UNWITNESSED" in found.err
        assert [one.get("code") for one in found.json["witnesses"]] == [None, "unreachable"]
        assert [bool(one["cosigned_at"]) for one in found.json["witnesses"]] == [True, False]
        configure(auditor, f"{lines}group one any w1 gone\nquorum one\n")
        answer = auditor("evidence", "witness")
    assert "no answer from http://127.0.0.1:1/add-checkpoint" in answer.out
    assert "gone: next: check the address" in answer.err
    # What was cosigned once is kept: it counts while the witness is away.
    configure(auditor, f"witness w1 {auditor.witness} {url}\nquorum w1\n")
    assert auditor("evidence", "witness", "--json").json["witnesses"][0]["code"] == "unreachable"
    grow(auditor, "orders")
    auditor("evidence", "witness", expect=3)


def test_a_witness_without_a_url_is_not_asked_and_counts(auditor):
    with served(auditor.folder) as url:
        auditor("evidence", "witness", "--url", url, "--key", auditor.witness)
    configure(auditor, f"witness w1 {auditor.witness}\nquorum w1\n")
    answer = auditor("evidence", "witness")
    assert "no URL for the witness 'w1'" in answer.out


def test_one_witness_can_be_named_with_options(auditor):
    with served(auditor.folder) as url:
        found = auditor("evidence", "witness", "--url", url, "--key", auditor.witness, "--json")
    assert (found.json["quorum"], found.json["met"]) == (W1, True)
    auditor("evidence", "witness", "--url", url, expect=2)
    auditor("evidence", "witness", "--key", auditor.witness, expect=2)
    bad = auditor("evidence", "witness", "--url", url, "--key", auditor.key, expect=2)
    assert "--key: a witness's key of type 0x01" in bad.err
    grow(auditor, "orders")
    gone = auditor("evidence", "witness", "--url", url, "--key", auditor.witness, expect=3)
    assert "NOT met" in gone.err
    ftp = auditor(
        "evidence", "witness", "--url", "ftp://x/", "--key", auditor.witness, "--json", expect=3
    )
    assert ftp.json["witnesses"][0]["code"] == "usage_error"


def test_without_witnesses_there_is_nobody_to_ask(log):
    answer = log("evidence", "witness", expect=2)
    assert "no witnesses are configured" in answer.err


def test_a_witness_of_other_logs_could_not_tell(auditor):
    other = auditor.home.parent / "other"
    stranger = note.verifier("log.example", signer(1).public)
    key = auditor(
        "witness", "init", "--name", "v.example", "--log", stranger, "--folder", other
    ).out.strip()
    with served(other) as url:
        found = auditor("evidence", "witness", "--url", url, "--key", key, "--json", expect=3).json
    assert found["witnesses"][0]["code"] == "not_permitted"
    assert auditor.key in found["witnesses"][0]["next_step"]


def test_a_second_history_under_the_same_key_is_a_fork_with_both_notes(auditor):
    """Somebody copies the installation, key and all, and goes on elsewhere."""
    copy = auditor.home.parent / "copy"
    shutil.copytree(auditor.home, copy)
    grow(auditor, "orders")
    with served(auditor.folder) as url:
        configure(auditor, f"witness w1 {auditor.witness} {url}\nquorum w1\n")
        auditor("evidence", "witness")
        shutil.copy(auditor.home / "witnesses.txt", copy)
        toml = copy / "holdfast.toml"
        toml.write_text(toml.read_text().replace("[log]\n", '[log]\nwitnesses = "witnesses.txt"\n'))
        options = ("--config", copy)
        behind = auditor(*options, "evidence", "witness", "--json", expect=1).json["witnesses"][0]
        assert (behind["code"], behind["theirs"]) == ("fork", "2\n")
        assert "put back to an older state" in behind["message"]
        auditor(*options, "target", "add", "billing", "--dsn-env", "ORDERS_DSN")
        same = auditor(*options, "evidence", "witness", "--json", expect=1).json["witnesses"][0]
        auditor(*options, "target", "add", "stock", "--dsn-env", "ORDERS_DSN")
        longer = auditor(*options, "evidence", "witness", "--json", expect=1).json["witnesses"][0]
        words = auditor(*options, "evidence", "witness", expect=1)
        auditor("evidence", "witness")  # the witness stays with the history it saw first
    pinned = note.parse_vkey(auditor.key)
    for found, size in ((same, 2), (longer, 3)):
        ours = note.verify_checkpoint(found["ours"].encode(), pinned)
        theirs = note.verify_checkpoint(base64.b64decode(found["theirs_base64"]), pinned)
        assert (ours.size, theirs.size) == (size, 2)
        assert found["theirs"].encode() == theirs.note
        assert found["code"] == "fork"
        assert found["cosigned_at"] is None
    assert (len(same["proof"]), len(longer["proof"])) == (0, 1)
    assert "FORK, seen by w1: this log's checkpoint:" in words.out
    assert longer["ours"].strip() in words.out
    assert longer["theirs"].strip() in words.out
    assert longer["proof"][0] in words.out
    [listed] = auditor("witness", "ls", "--folder", auditor.folder, "--json").json
    assert sorted(one["kind"] for one in listed["refused"]) == ["doubt", "fork"]
    request = submission.parse(base64.b64decode(listed["refused"][0]["request"]))
    assert note.verify_checkpoint(request.note, pinned).size == 3
    shown = auditor("witness", "ls", "--folder", auditor.folder)
    assert shown.out.rstrip().endswith("  2")
    assert "--json shows what was refused" in shown.err


def test_a_false_cosignature_fails(log):
    """A witness that cosigns something else than it was given."""
    witness = made(note.parse_vkey(log.key))
    root = base64.b64encode(EMPTY_ROOT).decode()

    class Lying:
        def add_checkpoint(self, data):
            answer = witness.add_checkpoint(data)
            wrong = cosignature.sign(f"x.example\n0\n{root}\n", W1, witness._signer, 1)
            return type(answer)(200, "", wrong.line().encode())

    with serving(Lying()) as (_, url):
        found = log(
            "evidence", "witness", "--url", url, "--key", witness.verifier, "--json", expect=1
        )
    assert found.json["witnesses"][0]["code"] == "bad_signature"
    assert not (log.home / ".holdfast/evidence/cosignature").exists()


def test_a_kept_cosignature_that_was_changed_is_named(auditor):
    with served(auditor.folder) as url:
        configure(auditor, f"witness w1 {auditor.witness} {url}\nquorum w1\n")
        auditor("evidence", "witness")
        [path] = (auditor.home / ".holdfast/evidence/cosignature").glob("*/*")
        path.chmod(0o600)
        path.write_bytes(b"changed\n")
        answer = auditor("evidence", "witness", expect=1)
    assert f"{path.parent.name}/{path.name} holds no cosignature" in answer.err


def test_the_trust_policy_is_printed_for_others_to_read(auditor):
    bare = auditor("evidence", "trust").out
    assert bare == f"log {auditor.key}\nquorum none\n"
    lines = f"witness w1 {auditor.witness} https://w.example/\nquorum w1\n"
    configure(auditor, f"# ours\n{lines}")
    text = auditor("evidence", "trust").out
    assert text == f"log {auditor.key}\n{lines}"
    assert auditor("evidence", "trust", "--json").json == {"policy": text}
    policy = trust.parse(text.encode())
    loaded = settings.load(auditor.home / "holdfast.toml")
    assert policy == loaded.policy
    assert policy.keyring(loaded.keyring.origin) == loaded.keyring


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "without a quorum line"),
        ("witness\n", "line 1: not a line"),
        ("log {key}\nquorum none\n", "names logs"),
        ("witness w {own}\nquorum w\n", "a log that cosigns itself"),
        ("quorum none\n\x01", "control character"),
    ],
    ids=range(5),
)
def test_a_file_of_witnesses_that_cannot_be_is_refused_with_its_name(log, text, why):
    pinned = note.parse_vkey(log.key)
    own = cosignature.cosigner("w.example", pinned.key)
    configure(log, text.format(key=log.key, own=own))
    answer = log("evidence", "trust", expect=2)
    assert "[log] witnesses, witnesses.txt: " in answer.err
    assert why in answer.err


def test_a_file_of_witnesses_that_is_not_there_or_no_text_is_refused(log):
    configure(log, "")
    (log.home / "witnesses.txt").unlink()
    assert "witnesses.txt is no file" in log("evidence", "trust", expect=2).err
    (log.home / "witnesses.txt").write_bytes(b"\xff\n")
    assert "is not UTF-8" in log("evidence", "trust", expect=2).err


def test_a_deployment_carries_the_witnesses(auditor):
    configure(auditor, f"witness w1 {auditor.witness}\nquorum w1\n")
    loaded = settings.load(auditor.home / "holdfast.toml")
    path = auditor.home / "elsewhere.json"
    path.write_bytes(settings.compiled(loaded))
    found = settings.load_compiled(path)
    assert found.policy == loaded.policy
    assert found.policy.witnesses[0].name == "w1"
    assert found.sha256 == loaded.sha256
    text = path.read_text()
    path.write_text(text.replace("quorum w1", "quorum w2"))
    with pytest.raises(ConfigError, match="no witness or group 'w2'"):
        settings.load_compiled(path)


@pytest.mark.parametrize(
    "listen", ["8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "a b:1", ":1", "::1:80"]
)
def test_an_address_of_another_form_is_refused(auditor, listen):
    words = ("--listen", listen, "--folder", auditor.folder)
    assert "--listen: expected HOST:PORT" in auditor("witness", "serve", *words, expect=2).err


def test_a_witness_whose_parts_are_lost_or_others_does_not_start(auditor):
    folder = auditor.folder
    kept = folder.parent / "kept"
    shutil.copytree(folder, kept)

    def listed(expect):
        return auditor("witness", "ls", "--folder", folder, expect=expect).err

    for path in folder.glob("state.db*"):
        path.unlink()
    assert "memory of what it cosigned, is lost" in listed(3)
    assert not (folder / "state.db").exists()
    shutil.copy(kept / "state.db", folder)
    listed(0)
    (folder / "logs.txt").write_text("nonsense\n")
    assert "logs.txt: trust policy, line 1" in listed(2)
    shutil.copy(kept / "logs.txt", folder)
    (folder / "witness.vkey").write_text("nonsense\n")
    assert "is no verifier key" in listed(2)
    (folder / "witness.vkey").write_text(f"{cosignature.cosigner(W1, signer(1).public)}\n")
    assert "is not the key that" in listed(3)
    (folder / "witness.vkey").unlink()
    assert "no witness in" in listed(2)
    assert "no witness in" in auditor("witness", "key", "--folder", folder, expect=2).err


@pytest.fixture
def start(auditor):
    """Starts ``holdfast witness serve`` as a process of its own; none is left running."""
    children = []

    options = ("--listen", "127.0.0.1:0", "--folder", str(auditor.folder))

    def start(*words):
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "witness", "serve", *options, *words],
            cwd=Path(__file__).parent.parent.parent,
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        line = (child.stdout if "--json" in words else child.stderr).readline()
        return child, line

    yield start
    for child in children:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(auditor, start, number):
    child, line = start("--json")
    listening = json.loads(line)
    assert (listening["event"], listening["key"]) == ("listening", auditor.witness)
    words = ("--url", listening["url"], "--key", auditor.witness)
    auditor("evidence", "witness", *words)
    child.send_signal(number)
    out, err = child.communicate(timeout=20)
    said = [json.loads(line) for line in out.splitlines()]
    assert said[0] == {
        "event": "said",
        "line": "127.0.0.1 '\"POST /add-checkpoint HTTP/1.1\" 200 -'",
    }
    assert said[-1] == {"event": "stopped"}
    assert (child.returncode, err) == (0, "")


def test_after_a_kill_it_goes_on_where_it_was(auditor, start):
    child, line = start()
    assert auditor.witness in line
    url = line.split(" at ")[1].split(" for ")[0]
    auditor("evidence", "witness", "--url", url, "--key", auditor.witness)
    copy = auditor.home.parent / "copy"
    shutil.copytree(auditor.home, copy)
    grow(auditor, "orders")
    auditor("evidence", "witness", "--url", url, "--key", auditor.witness)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=10)
    child, line = start()
    words = ("--url", line.split(" at ")[1].split(" for ")[0], "--key", auditor.witness)
    behind = auditor("--config", copy, "evidence", "witness", *words, "--json", expect=1).json
    assert behind["witnesses"][0]["code"] == "fork"
    grow(auditor, "billing")
    assert auditor("evidence", "witness", *words, "--json").json["size"] == 3
