from __future__ import annotations

import pytest

from chalicelib.evidence import head, layout
from chalicelib.evidence.restore import lost, mend_heads, restore
from chalicelib.kernel import canon
from chalicelib.kernel.errors import BadSignature, DigestMismatch, Missing, NotAllowed
from chalicelib.kernel.store import Write


def lose(place):
    place.documents.close()
    for path in place.root.glob("state.db*"):
        path.unlink()


def restored(place, **options):
    return restore(place.writeonce, place.documents, place.keys, **options)


@pytest.fixture
def grown(place):
    return place.grow()


def test_a_lost_state_is_what_it_was(grown):
    documents = dict(grown.documents.list(""))
    lose(grown)
    assert lost(grown.writeonce, grown.documents)
    assert restored(grown) == 308
    again = dict(grown.documents.list(""))
    assert {key: one.value for key, one in again.items()} == {
        key: one.value for key, one in documents.items()
    }
    assert not lost(grown.writeonce, grown.documents)
    grown.append(308)
    assert grown.fsck().ok


def test_an_interrupted_restore_is_run_again(grown):
    lose(grown)
    restored(grown)
    state = grown.documents.get(layout.STATE)
    lose(grown)
    heads = [key for key, _ in grown.documents.list("stream/")]
    assert heads == []
    restored(grown)
    assert grown.documents.get(layout.STATE).value == state.value


def test_a_state_that_is_there_is_left_alone(grown):
    with pytest.raises(NotAllowed):
        restored(grown)


def test_an_empty_store_has_lost_nothing(place):
    assert not lost(place.writeonce, place.documents)


def test_an_append_that_was_locked_and_not_signed_is_finished(grown):
    """But only if somebody has looked: it may as well be forged."""
    grown.file(layout.checkpoint(308)).unlink()
    lose(grown)
    for adopt in ("", "0" * 64):
        with pytest.raises(NotAllowed, match=r"2 records \(scan of other by ana\)") as error:
            restored(grown, adopt=adopt)
        assert grown.documents.get(layout.STATE) is None
    sha256 = canon.sha256(grown.file(layout.batch(306)).read_bytes())
    assert sha256 in error.value.next_step
    assert restored(grown, adopt=sha256) == 308
    grown.log.recover()
    assert grown.log.size() == 308


def test_heads_that_are_not_what_the_records_lead_to_are_mended(grown):
    key = layout.head("scan")
    good = grown.documents.get(key)
    older = head.encode(head.Head(1, "0" * 64, ((1, 0),)))
    grown.documents.swap([Write(key, good.version, older)])
    ports = (grown.writeonce, grown.documents, grown.keys)
    assert mend_heads(*ports) == ["scan"]
    assert grown.documents.get(key).value == good.value
    assert mend_heads(*ports) == []
    assert grown.fsck().ok


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (layout.batch(1), Missing),
        (layout.batch(306), Missing),
        (layout.checkpoint(4), Missing),
    ],
)
def test_what_is_missing_is_not_restored_around(grown, key, error):
    grown.file(key).unlink()
    lose(grown)
    with pytest.raises(error):
        restored(grown)
    assert grown.documents.get(layout.STATE) is None


def test_batches_that_do_not_lead_to_their_checkpoint_are_refused(grown, places):
    other = places("other", key=grown.root / "signing.pem")
    other.append(7)
    for folder in (layout.BATCHES, layout.CHECKPOINTS):
        assert other.files(folder)
    path = grown.file(layout.batch(0))
    path.chmod(0o600)
    path.write_bytes(other.file(layout.batch(0)).read_bytes())
    lose(grown)
    with pytest.raises(DigestMismatch):
        restored(grown)


def test_a_log_signed_by_another_key_is_refused(grown, places):
    lose(grown)
    stranger = places("stranger")
    with pytest.raises(BadSignature):
        restore(grown.writeonce, grown.documents, stranger.keys)
