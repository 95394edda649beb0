"""Holds and erasures on S3 and DynamoDB: the same flows as on one machine."""

from __future__ import annotations

import secrets

import pytest
from aws.place import Account, AwsPlace
from evidence.people import ALICE, SECRET, Clock
from evidence.place import AT

from chalicelib.evidence import erasure, hold
from chalicelib.evidence.log import Log
from chalicelib.evidence.personal import Reveal, Subjects, Visibility
from chalicelib.kernel import personal
from chalicelib.kernel.errors import NotAllowed
from chalicelib.kernel.personal import Personal
from chalicelib.kernel.record import Draft
from chalicelib.kernel.sealed import SealedDocuments


@pytest.fixture
def place(aws, tmp_path):
    return AwsPlace(tmp_path / "log", Account(aws).ports())


def test_a_held_stream_is_under_legal_hold_and_not_erased_until_it_is_released(place):
    documents = SealedDocuments(place.documents, SECRET)
    subjects = Subjects(documents, SECRET, secrets.token_bytes)
    log = Log(
        **{**place.ports, "documents": documents},
        keys=place.keys,
        tool="test/0",
        pause=lambda _: None,
        seal=subjects.seal,
    )
    clock, store = Clock(), place.writeonce
    (entry,) = log.append([Draft("note", "s", AT, ALICE, {"text": Personal("ana", "INC-1")})])
    held = hold.place(log, clock, stream="s", reason="matter 7", actor=ALICE)
    keys = hold.objects(log, store, [held], lambda _: ())
    assert len(keys) == 2
    assert hold.put_on(store, keys) == 2
    for key in keys:
        first = store._existing(key).id
        status = place.aws.s3.get_object_legal_hold(
            Bucket=place.aws.bucket, Key=key, VersionId=first
        )
        assert status["LegalHold"]["Status"] == "ON"

    def erase():
        return erasure.erase(subjects, log, clock, "ana", actor=ALICE, reason="GDPR")

    with pytest.raises(NotAllowed, match=held.id[:14]):
        erase()
    hold.release(log, clock, held, reason="settled", actor=ALICE)
    assert hold.take_off(store, keys) == 2
    assert erase().records == 1
    (sealed,) = personal.sealed_in(entry.body)
    assert Reveal(subjects, log).value(sealed, "note", "s").state is Visibility.ERASED
    place.documents, place.ports["documents"] = documents, documents
    assert place.fsck().ok
