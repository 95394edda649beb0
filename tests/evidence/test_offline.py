"""The verifier that is in every packet: alone, in an empty environment, against what is false."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st
from support import packets, tampered

FOLDER = resources.files("chalicelib.evidence.offline")
VERIFIER = Path(str(FOLDER / "verify.py"))
MANIFEST_NOTE = "manifest.note"
# Refuses what a verifier has no business with, then runs it as the program that it is.
ALONE = """
import runpy, sys
def refuse(event, arguments):
    if event.split(".")[0] in ("socket", "subprocess", "urllib", "http", "ctypes", "shutil"):
        raise RuntimeError(event)
    if event in ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove", "os.rename"):
        raise RuntimeError(event)
    if event == "open" and (arguments[1] or "r") not in ("r", "rb"):
        raise RuntimeError("open %r" % (arguments,))
sys.addaudithook(refuse)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def load():
    spec = importlib.util.spec_from_file_location("packet_verifier", VERIFIER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERIFY = load()


def oldest():
    """The oldest Python there is from 3.9 on, beside the one that runs the tests."""
    for minor in range(9, sys.version_info.minor):
        found = shutil.which(f"python3.{minor}")
        if (
            found
            and not subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode
        ):
            return found
    return sys.executable


def run(folder, *arguments, python=sys.executable):
    return subprocess.run(
        [python, "-I", "-S", "-B", "-W", "error", "-c", ALONE, str(VERIFIER), *arguments],
        env={},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def place(tmp_path):
    (tmp_path / "trust.txt").write_bytes(packets.trust())

    def put(data, name="p.zip"):
        (tmp_path / name).write_bytes(data)
        return tmp_path

    return put


def answer(path, data, trust=None, now=None):
    """What the verifier says of these bytes, in this process."""
    path.write_bytes(data)
    policy = VERIFY.Trust(trust or packets.trust())
    return VERIFY.verified(str(path), policy, now or time.time())


@pytest.fixture
def file(tmp_path):
    return tmp_path / "p.zip"


@pytest.mark.parametrize("python", [sys.executable, oldest()], ids=["this", "oldest"])
def test_a_good_packet_verifies_in_an_empty_environment(place, python):
    folder = place(tampered.good())
    done = run(folder, "p.zip", "--trust", "trust.txt", python=python)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("VERIFIED p.zip\n")
    for target, start, end, why in packets.COVERAGE["unobserved"]:
        assert f"UNOBSERVED   {target} from {start} to {end}: {why}\n" in done.stdout
    assert f"erased       {'5e' * 16} on {packets.at(0, 1, 2)[:10]} by ana\n" in done.stdout
    assert packets.ORIGIN in done.stdout
    assert "as signed    coverage, baselines; timestamps are not checked" in done.stdout


def test_a_packet_whose_quorum_is_not_met_is_unwitnessed(place):
    folder = place(packets.packet(witnesses=()))
    done = run(folder, "p.zip", "--trust", "trust.txt")
    assert done.returncode == 3
    assert done.stdout.startswith("UNWITNESSED ")
    assert packets.ORIGIN in done.stdout


def test_a_failed_packet_says_where_and_why(place):
    folder = place(tampered.LIES["a record of version 2"][0]())
    done = run(folder, "p.zip", "--trust", "trust.txt")
    assert done.returncode == 1
    assert done.stdout.startswith("FAILED leaves.jsonl, leaf 20: ")
    assert done.stderr == ""


def test_without_trust_nothing_is_verified(place):
    done = run(place(tampered.good()), "p.zip")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--trust" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["none.zip", "--trust", "trust.txt"],
        ["p.zip", "--trust", "none.txt"],
        ["p.zip", "--trust", "p.zip"],
        ["p.zip", "trust.txt"],
        [".", "--trust", "trust.txt"],
    ],
)
def test_a_wrong_question_is_no_answer(place, arguments):
    done = run(place(tampered.good()), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_of_a_packet_reaches_the_terminal_raw(place):
    evil = "\x1b[2J\nVERIFIED\u202e"
    body = {"subject": evil, "key": "", "records": 1, "reason": ""}
    story = packets.Story({36: lambda record: record.update(body=body)})
    done = run(place(packets.packet(story)), "p.zip", "--trust", "trust.txt")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert "\nVERIFIED" not in done.stdout


@pytest.mark.parametrize("name", tampered.DAMAGED)
def test_a_damaged_packet_fails(file, name):
    make, place = tampered.DAMAGED[name]
    said, more = answer(file, make())
    assert said.startswith("FAILED ")
    assert place in said
    assert more == []


@pytest.mark.parametrize("name", tampered.FOUND)
def test_a_lie_of_a_key_holder_fails(file, name):
    make, place = tampered.LIES[name]
    said, _ = answer(file, make())
    assert said.startswith("FAILED ")
    assert place in said


@pytest.mark.parametrize(
    "options",
    [
        {"targets": (packets.A,)},
        {"targets": (packets.B, packets.C)},
        {"kinds": ("scan",)},
        {"targets": (packets.A,), "kinds": ("finding",)},
        {"stamp": b"a timestamp"},
        {"checkpoints": (packets.FIRST, packets.LAST, 39)},
        {"checkpoints": (packets.FIRST, packets.LAST, 38, 39, 42)},
    ],
    ids=["a target", "targets", "a kind", "both", "a timestamp", "one later", "three later"],
)
def test_other_packets_of_the_period_verify(file, options):
    said, _ = answer(file, packets.packet(**options))
    assert said.startswith("VERIFIED ")


@pytest.mark.parametrize(
    ("trust", "expected"),
    [
        (packets.trust(quorum="none"), "VERIFIED"),
        (packets.trust(quorum="south"), "UNWITNESSED"),
        (packets.trust(quorum="both"), "UNWITNESSED"),
        (packets.trust(new=packets.OTHER), "FAILED"),
        (packets.trust(old=packets.OTHER), "FAILED"),
        (packets.trust(rotated=17), "FAILED"),
        (packets.trust(rotated=19), "FAILED"),
        (packets.vkey(packets.NEW).encode() + b"\n", "FAILED"),
        (packets.vkey(packets.OTHER).encode(), "FAILED"),
    ],
)
def test_the_answer_rests_on_the_trust_that_was_given(file, trust, expected):
    said, _ = answer(file, tampered.good(), trust)
    assert said.startswith(f"{expected} ")


def test_a_group_of_witnesses_is_a_quorum(file):
    both = packets.packet(witnesses=(packets.NORTH, packets.SOUTH))
    assert answer(file, both, packets.trust(quorum="both"))[0].startswith("VERIFIED ")


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.replace(b"quorum north\n", b""),
        lambda x: x.replace(b"quorum north", b"quorum nobody"),
        lambda x: x + b"quorum none\n",
        lambda x: x.replace(b"#: sizes 0 18", b"#: sizes 0 17"),
        lambda x: x.replace(b"#: sizes 0 18", b"#: sizes 0"),
        lambda x: x.replace(b"#: sizes", b"#: sires"),
        lambda x: x.replace(b"#: sizes", b"#:sizes"),
        lambda x: x.replace(b"both all", b"both 3"),
        lambda x: x.replace(b"both all", b"both 0"),
        lambda x: x.replace(b"north south", b"north north"),
        lambda x: x.replace(b"north south", b"north east"),
        lambda x: x.replace(b"witness south", b"witness north"),
        lambda x: x.replace(b"witness", b"wittness"),
        lambda x: x + x.split(b"\n")[0] + b"\n",
        lambda x: x.replace(packets.OLD.id.hex().encode(), b"00000000"),
        lambda _x: packets.vkey(packets.NORTH).encode(),
        lambda _x: b"",
    ],
)
def test_a_trust_policy_that_is_none_is_refused(change):
    with pytest.raises((VERIFY.Failed, *VERIFY.WRONG)):
        VERIFY.Trust(change(packets.trust()))


def test_a_packet_from_the_future_fails(file):
    said, _ = answer(file, tampered.good(), now=1_727_700_000)
    assert "in the future" in said


def test_no_byte_can_be_another(file):
    good = tampered.good()
    assert answer(file, good)[0].startswith("VERIFIED ")
    policy = VERIFY.Trust(packets.trust())
    with file.open("r+b") as out:
        for position in range(len(good)):
            out.seek(position)
            out.write(bytes([good[position] ^ (1 << position % 8)]))
            out.flush()
            said, _ = VERIFY.verified(str(file), policy, 1_767_225_600)
            assert said.startswith("FAILED "), position
            out.seek(position)
            out.write(good[position : position + 1])


@given(st.data())
def test_no_byte_of_a_file_can_be_another(tmp_path_factory, data):
    """The same where whoever changed it made the container anew."""
    found = packets.contents()
    name = data.draw(st.sampled_from(sorted(found)))
    position = data.draw(st.integers(0, len(found[name]) - 1))
    mask = data.draw(st.integers(1, 255))
    changed = packets.pack(found | {name: tampered.flipped(found[name], position, mask)})
    said, _ = answer(tmp_path_factory.getbasetemp() / "changed.zip", changed)
    assert said.startswith("FAILED ")


def test_signatures_without_end_are_not_looked_at(file):
    found = packets.contents()
    text, line = found[MANIFEST_NOTE].rsplit(b"\n\n", 1)
    many = text + b"\n\n" + line * 300_000
    said, _ = answer(file, packets.pack(found | {MANIFEST_NOTE: many}))
    assert said == f"FAILED manifest.note: manifest.note has {len(many)} bytes"


def test_a_trust_file_without_end_is_read_to_its_bound(place):
    folder = place(tampered.good())
    (folder / "trust.txt").write_bytes(b"+" * 2**20 + b" x")
    assert run(folder, "p.zip", "--trust", "trust.txt").returncode == 2


def test_every_byte_of_the_manifests_note_counts(file):
    found = packets.contents()
    for position in range(len(found[MANIFEST_NOTE])):
        flipped = tampered.flipped(found[MANIFEST_NOTE], position, 1)
        said, _ = answer(file, packets.pack(found | {MANIFEST_NOTE: flipped}))
        assert said.startswith("FAILED "), position


@given(st.binary(max_size=80), st.integers(0, 63), st.integers(0, 255))
def test_ed25519_is_that_of_the_library(message, position, mask):
    private = ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(message).digest())
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert VERIFY.ed25519(public, signature, message)
    changed = tampered.flipped(signature, position, mask)
    assert VERIFY.ed25519(public, changed, message) == (changed == signature)


def test_ed25519_takes_no_second_spelling():
    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    public, signature = private.public_key().public_bytes_raw(), private.sign(b"x")
    s = int.from_bytes(signature[32:], "little") + VERIFY.L
    assert not VERIFY.ed25519(public, signature[:32] + s.to_bytes(32, "little"), b"x")
    assert not VERIFY.ed25519(public, signature + b"\0", b"x")
    with pytest.raises(VERIFY.Failed):
        VERIFY.decoded((VERIFY.P + 1).to_bytes(32, "little"))


@given(st.binary(max_size=80), st.integers(0, 69), st.integers(0, 255))
def test_p256_is_that_of_the_library(message, position, mask):
    key = packets.P256Key(message)
    spki, signature = key.public[1:], key.sign(message)
    changed = tampered.flipped(signature, position % len(signature), mask)
    for one, expected in ((signature, True), (changed, changed == signature)):
        try:
            said = VERIFY.p256(spki, one, message)
        except (VERIFY.Failed, *VERIFY.WRONG):
            said = False
        assert said == expected


@pytest.mark.parametrize(
    "der", ["3006020100020101", "30060201010201ff", "3081060201010201010000", ""]
)
def test_p256_takes_no_other_der(der):
    key = packets.P256Key(b"key")
    with pytest.raises((VERIFY.Failed, *VERIFY.WRONG)):
        VERIFY.p256(key.public[1:], bytes.fromhex(der), b"x")
    assert isinstance(ec.SECP256R1().key_size, int)


@pytest.mark.parametrize("size", range(1, 20))
def test_proofs_lead_where_the_specification_says(size):
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(size)]
    top, edge = packets.root(leaves), []
    for number, leaf in enumerate(leaves):
        VERIFY.grow(edge, number, leaf)
        path = packets.inclusion(number, leaves)
        assert VERIFY.led(number, size, leaf, path) == top
        assert path == []
        old = packets.root(leaves[: number + 1])
        path = packets.consistency(number + 1, leaves)
        assert VERIFY.both(number + 1, size, old, path) == (old, top)
        assert path == []
    assert VERIFY.rooted(edge) == top
    assert edge == packets.frontier(leaves)


def test_the_verifier_can_be_read_in_one_sitting():
    text = VERIFIER.read_text()
    assert len(text.splitlines()) <= 400
    assert max(map(len, text.splitlines())) <= 100
    imported = {
        one.name for node in ast.walk(ast.parse(text)) for one in getattr(node, "names", [])
    }
    imported |= {node.module for node in ast.walk(ast.parse(text)) if hasattr(node, "module")}
    assert {"hashlib", "collections"} <= imported
    assert imported - {"annotations", "Any", "Counter", "defaultdict", "namedtuple"} <= (
        sys.stdlib_module_names
    )


def test_the_specification_names_this_verifier():
    said = Path(__file__).parents[2] / "docs" / "formats" / "packet.md"
    digest = hashlib.sha256(VERIFIER.read_bytes()).hexdigest()
    assert f"`verify.py` of this version has the SHA-256\n`{digest}`." in said.read_text()


def test_the_text_for_auditors_fits_a_page():
    lines = (FOLDER / "README.txt").read_text().splitlines()
    assert len(lines) <= 70
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for name in ("{origin}", "{period_from}", "{period_to}", "{verifier_sha256}"):
        assert name in text
    assert text.isascii()
