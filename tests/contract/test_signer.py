from __future__ import annotations

import pytest
from contract.adapters import SIGNERS

from chalicelib.evidence import note
from chalicelib.kernel.errors import BadSignature

pytestmark = pytest.mark.parametrize("adapter", SIGNERS)


def test_what_it_signs_verifies_under_its_public_key_and_nothing_else_does(adapter, tmp_path):
    signer = SIGNERS[adapter](tmp_path)
    signature = signer.sign(b"message")
    signer.public.verify(signature, b"message")
    for wrong, message in ((signature, b"massage"), (signature[:-1] + b"\0\0", b"message")):
        with pytest.raises(BadSignature):
            signer.public.verify(wrong, message)


def test_its_key_can_be_pinned_for_notes(adapter, tmp_path):
    signer = SIGNERS[adapter](tmp_path)
    verifier = note.parse_vkey(str(note.verifier("log.example", signer.public)))
    assert note.verify(note.sign("text\n", "log.example", signer), [verifier]).text == "text\n"


def test_it_is_the_same_key_the_next_time(adapter, tmp_path):
    assert SIGNERS[adapter](tmp_path).public == SIGNERS[adapter](tmp_path).public
