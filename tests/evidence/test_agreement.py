"""Two verifiers, written apart from each other, give one answer to every packet."""

from __future__ import annotations

import importlib.util
import io
import re
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import packets, tampered

from chalicelib.evidence import trust, verify
from chalicelib.kernel.kinds import KINDS
from chalicelib.wiring.packets import checker

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = {
    "all": {},
    "a target": {"targets": (packets.A,)},
    "targets": {"targets": (packets.B, packets.C)},
    "a kind": {"kinds": ("scan",)},
    "a target's kind": {"targets": (packets.A,), "kinds": ("finding",)},
    "no witness": {"witnesses": ()},
    "two witnesses": {"witnesses": (packets.NORTH, packets.SOUTH)},
    "a timestamp": {"stamp": b"a timestamp"},
    "three later checkpoints": {"checkpoints": (packets.FIRST, packets.LAST, 38, 39, 42)},
}
TRUST = {
    "north": packets.trust(),
    "none": packets.trust(quorum="none"),
    "both": packets.trust(quorum="both"),
    "other keys": packets.trust(new=packets.OTHER),
    "other sizes": packets.trust(rotated=17),
    "one key": packets.vkey(packets.NEW).encode(),
}


def load():
    path = Path(str(resources.files("chalicelib.evidence.offline") / "verify.py"))
    spec = importlib.util.spec_from_file_location("packet_verifier_in_agreement", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


OFFLINE = load()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("agreement") / "p.zip"


def answers(file, data, policy=TRUST["north"]):
    """What the packet's own verifier says, and what the program's does."""
    file.write_bytes(data)
    said, _ = OFFLINE.verified(str(file), OFFLINE.Trust(policy), NOW.timestamp())
    theirs = verify.verify(io.BytesIO(data), trust.parse(policy), now=NOW, checker=checker)
    return said.split()[0], theirs.answer.value


@pytest.mark.parametrize("policy", TRUST)
@pytest.mark.parametrize("options", GOOD)
def test_on_packets_that_are_true(file, options, policy):
    ours, theirs = answers(file, packets.packet(**GOOD[options]), TRUST[policy])
    assert ours == theirs
    assert (ours == "FAILED") == (policy in {"other keys", "other sizes", "one key"})


@pytest.mark.parametrize("name", tampered.DAMAGED)
def test_on_damaged_packets(file, name):
    make, _ = tampered.DAMAGED[name]
    assert answers(file, make()) == ("FAILED", "FAILED")


@pytest.mark.parametrize("name", tampered.FOUND)
def test_on_lies_of_a_key_holder(file, name):
    make, _ = tampered.LIES[name]
    assert answers(file, make()) == ("FAILED", "FAILED")


@pytest.mark.parametrize("name", sorted(tampered.SIGNED))
def test_what_the_key_signed_for_is_checked_further_by_the_program(file, name):
    make, _ = tampered.LIES[name]
    assert answers(file, make()) == ("VERIFIED", "FAILED")


@given(st.data())
def test_on_every_changed_byte(file, data):
    good = tampered.good()
    position = data.draw(st.integers(0, len(good) - 1))
    changed = tampered.flipped(good, position, data.draw(st.integers(1, 255)))
    assert answers(file, changed) == ("FAILED", "FAILED")


@given(st.data())
def test_on_every_changed_byte_of_a_file(file, data):
    found = packets.contents()
    name = data.draw(st.sampled_from(sorted(found)))
    position = data.draw(st.integers(0, len(found[name]) - 1))
    changed = tampered.flipped(found[name], position, data.draw(st.integers(1, 255)))
    assert answers(file, packets.pack(found | {name: changed})) == ("FAILED", "FAILED")


@given(st.data())
def test_on_a_manifest_of_other_values(file, data):
    """A key holder may state anything; what verify.py refuses the program refuses as well."""
    field = data.draw(st.sampled_from(["census", "records", "handovers", "checkpoints", "range"]))
    value = data.draw(
        st.integers(-1, 60)
        | st.lists(st.integers(0, 60), max_size=4)
        | st.fixed_dictionaries({"first": st.integers(0, 50), "last": st.integers(0, 50)})
    )
    ours, theirs = answers(file, packets.packet(manifest=lambda m: m.update({field: value})))
    assert theirs in {"FAILED", ours}


def test_on_which_kinds_of_records_there_are():
    spelt_out = set()
    for one in re.split(r"\|(?![^(]*\))", OFFLINE.KINDS.replace("\\.", ".")):
        head, _, rest = one.partition("(")
        spelt_out |= {head + tail for tail in rest.rstrip(")").split("|")}
    assert spelt_out == KINDS
