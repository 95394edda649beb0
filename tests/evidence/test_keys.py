"""Which key may sign which sizes, and the note by which one key hands over to the next."""

from __future__ import annotations

import pytest
from evidence.place import ORIGIN
from evidence.test_note import P256Signer

from chalicelib.evidence import note
from chalicelib.evidence.keys import (
    MAX_KEYS,
    LogKey,
    handed_over,
    keyring,
    verify_handover,
)
from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.evidence.note import Checkpoint
from chalicelib.kernel.errors import BadSignature, Malformed
from chalicelib.local.signer import KeyFileSigner

OLD, NEW, NEXT, OTHER = (KeyFileSigner.generate() for _ in range(4))


def named(signer, name=ORIGIN):
    return note.verifier(name, signer.public)


def checkpoint(size, *signers, name=ORIGIN, root=b"r" * 32):
    text = Checkpoint(name, size, root).text()
    lines = [note.parse(note.sign(text, name, one)).signatures for one in signers]
    return note.Note(text, sum(lines, ())).encode()


@pytest.fixture
def ring():
    """OLD up to 10, NEW from 10 to 20, NEXT from 20 on."""
    return keyring([LogKey(named(OLD))]).changed(10, named(NEW)).changed(20, named(NEXT))


@pytest.mark.parametrize(
    ("signer", "size"),
    [(OLD, 0), (OLD, 10), (NEW, 10), (NEW, 15), (NEW, 20), (NEXT, 20), (NEXT, MAX_SIZE)],
)
def test_a_key_signs_for_its_sizes_both_ends_included(ring, signer, size):
    data = checkpoint(size, signer)
    assert ring.verify(data).size == size
    assert ring.signer(data) == named(signer)


@pytest.mark.parametrize(
    ("signer", "size", "told"),
    [
        (OLD, 11, "0 to 10 only"),
        (NEW, 9, "10 to 20 only"),
        (NEW, 21, "10 to 20 only"),
        (NEXT, 19, f"20 to {MAX_SIZE} only"),
    ],
)
def test_a_key_outside_its_sizes_fails_and_is_named(ring, signer, size, told):
    with pytest.raises(BadSignature, match=told) as error:
        ring.verify(checkpoint(size, signer))
    assert named(signer).key_id.hex() in error.value.message


def test_a_key_that_may_not_does_not_harm_one_that_may(ring):
    assert ring.signer(checkpoint(15, OLD, NEW)) == named(NEW)


def test_a_misquoted_signature_spoils_the_note(ring):
    good = note.parse(checkpoint(10, OLD, NEW))
    first, second = good.signatures
    spoilt = note.Signature(second.name, second.key_id, first.data)
    with pytest.raises(BadSignature):
        ring.verify(note.Note(good.text, (first, spoilt)).encode())


def test_a_stranger_s_key_and_another_log_s_name_are_refused(ring):
    with pytest.raises(BadSignature, match="no trusted key"):
        ring.verify(checkpoint(15, OTHER))
    with pytest.raises(BadSignature, match="another log"):
        ring.verify(checkpoint(15, NEW, name="other.example/log"))


def test_what_follows_on_a_size_is_one_key_s(ring):
    signs_next = [(0, OLD), (9, OLD), (10, NEW), (19, NEW), (20, NEXT), (MAX_SIZE - 1, NEXT)]
    for size, signer in signs_next:
        assert ring.next(size) == named(signer)
        assert ring.of_record(size) == {str(named(signer)): signer.public}
    with pytest.raises(Malformed):
        ring.next(MAX_SIZE)
    assert ring.of_record(MAX_SIZE) == {}
    assert list(ring.changes()) == [
        (10, named(OLD), named(NEW)),
        (20, named(NEW), named(NEXT)),
    ]


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [LogKey(named(OLD), 0, 10), LogKey(named(NEW), 11)],
        [LogKey(named(OLD), 0, 10), LogKey(named(NEW), 9)],
        [LogKey(named(OLD)), LogKey(named(NEW))],
        [LogKey(named(OLD), 0, 0), LogKey(named(NEW), 0)],
        [LogKey(named(OLD), 0, 10), LogKey(named(NEW), 10, 10)],
        [LogKey(named(OLD), 10, 5)],
        [LogKey(named(OLD), -1)],
        [LogKey(named(OLD), 0, MAX_SIZE + 1)],
        [LogKey(named(OLD), 0, 10), LogKey(named(OLD), 10)],
        [LogKey(named(OLD), 0, 10), LogKey(named(NEW, "other.example/log"), 10)],
        [LogKey(named(KeyFileSigner.generate()), n, n + 1) for n in range(MAX_KEYS + 1)],
    ],
    ids=range(12),
)
def test_keys_whose_sizes_do_not_meet_or_that_stand_twice_are_no_ring(keys):
    with pytest.raises(Malformed):
        keyring(keys)


@pytest.mark.parametrize("successor", [NEW, P256Signer()], ids=["ed25519", "p256"])
def test_a_change_of_key_is_signed_by_both(successor):
    data = handed_over(checkpoint(10, OLD), named(OLD), successor)
    found = verify_handover(data, named(OLD), named(successor))
    assert (found.size, found.root) == (10, b"r" * 32)
    assert note.parse(data).text == note.parse(checkpoint(10, OLD)).text
    ring = keyring([LogKey(named(OLD))]).changed(10, named(successor))
    assert ring.verify(data).size == 10


def test_nothing_but_the_former_key_s_checkpoint_is_handed_over():
    for data in (checkpoint(10, OTHER), checkpoint(10, OLD, OTHER), checkpoint(10, NEW)):
        with pytest.raises(BadSignature):
            handed_over(data, named(OLD), NEW)


@pytest.mark.parametrize(
    "signers",
    [(OLD,), (NEW,), (NEW, OLD), (OLD, OTHER), (OTHER, NEW), (OLD, NEW, OTHER), (OLD, OLD)],
    ids=range(7),
)
def test_a_change_of_key_by_others_than_both_is_none(signers):
    with pytest.raises(BadSignature):
        verify_handover(checkpoint(10, *signers), named(OLD), named(NEW))


def test_a_change_of_key_over_another_text_is_none():
    good = note.parse(checkpoint(10, OLD, NEW))
    other = note.parse(checkpoint(11, OLD, NEW))
    mixed = note.Note(good.text, (good.signatures[0], other.signatures[1]))
    with pytest.raises(BadSignature):
        verify_handover(mixed.encode(), named(OLD), named(NEW))
    with pytest.raises(BadSignature, match="another log"):
        verify_handover(
            note.Note(
                Checkpoint("other.example/log", 10, b"r" * 32).text(),
                tuple(
                    note.Signature(
                        ORIGIN,
                        named(one).key_id,
                        one.sign(Checkpoint("other.example/log", 10, b"r" * 32).text().encode()),
                    )
                    for one in (OLD, NEW)
                ),
            ).encode(),
            named(OLD),
            named(NEW),
        )
