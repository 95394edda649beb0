from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.evidence import layout, manifest, note, receipts
from chalicelib.evidence.account import DELAY, SKEW, Period, Severity, Use, match
from chalicelib.evidence.receipts import Kept, Published, Receipt
from chalicelib.kernel import canon, dsse
from chalicelib.kernel.errors import BadSignature, Malformed

KEY = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
START = datetime(2026, 10, 1, tzinfo=UTC)
END = START + timedelta(days=1)
LATER = END + timedelta(hours=1)
PERIOD = Period(START, END, LATER)


def world(minutes_and_messages):
    """Uses, receipts and publications of messages signed so many minutes after the start."""
    uses, kept, published = [], [], {}
    for number, (minute, message) in enumerate(minutes_and_messages):
        at = START + timedelta(minutes=minute)
        name = f"request-{number}"
        one = receipts.receipt(name, KEY, message.encode(), at)
        uses.append(Use(f"event-{number}", name, at, "role/scan", "10.0.0.1"))
        kept.append(Kept(receipts.place(one), at + timedelta(seconds=1), one))
        place = layout.checkpoint(len(published) + 1)
        at += timedelta(seconds=2)
        published.setdefault(message, Published(place, at, one.message_sha256))
    return uses, kept, list(published.values())


SIGNED = st.lists(
    st.tuples(st.integers(0, 24 * 60 - 1), st.sampled_from("abcdefgh")), min_size=1, max_size=12
)


def test_nothing_at_all_is_accounted_for():
    account = match([], [], [], PERIOD)
    assert (account.uses, account.problems) == (0, ())


@given(SIGNED)
def test_a_true_world_has_no_problem_and_equal_counts(signed):
    account = match(*world(signed), PERIOD)
    assert account.problems == ()
    assert account.uses == account.receipts == len(signed)
    assert account.checkpoints == len({message for _, message in signed})
    again = sum(one.times - 1 for one in account.repeats)
    assert account.uses == account.checkpoints + account.envelopes + again


@given(SIGNED, st.data())
def test_one_thing_left_out_of_a_true_world_is_one_named_problem(signed, data):
    uses, kept, published = world(signed)
    at = data.draw(st.integers(0, len(signed) - 1))
    minute, message = signed[at]
    del minute
    once = [said for _, said in signed].count(message) == 1

    without = match(uses, kept[:at] + kept[at + 1 :], published, PERIOD).problems
    assert without[0].place == f"request-{at}"
    assert (without[0].principal, without[0].source) == ("role/scan", "10.0.0.1")
    assert len(without) == 1 + once  # and what it published has no receipt left

    (problem,) = match(uses[:at] + uses[at + 1 :], kept, published, PERIOD).problems
    assert problem.place == kept[at].place
    assert "CloudTrail does not show" in problem.what

    digest = kept[at].receipt.message_sha256
    hidden = [one for one in published if one.message_sha256 != digest]
    problems = match(uses, kept, hidden, PERIOD).problems
    assert {one.place for one in problems} == {
        one.place for one in kept if one.receipt.message_sha256 == digest
    }
    assert all("not published" in one.what for one in problems)
    assert {one.severity for one in (*without, problem, *problems)} == {Severity.WRONG}


@given(SIGNED, st.integers(1, 24 * 60 - 1))
def test_two_neighbouring_periods_count_what_the_whole_counts(signed, cut):
    """Also of receipts that were written on the other side of the cut."""
    uses, kept, published = world(signed)
    middle = START + timedelta(minutes=cut)
    parts = [
        match(uses, kept, published, Period(a, b, LATER))
        for a, b in ((START, middle), (middle, END))
    ]
    whole = match(uses, kept, published, PERIOD)
    for count in ("uses", "receipts", "checkpoints"):
        assert sum(getattr(part, count) for part in parts) == getattr(whole, count)
    assert [part.problems for part in parts] == [(), ()]


@given(SIGNED, st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_given_does_not_matter(signed, random):
    given = world(signed)
    shuffled = [random.sample(things, len(things)) for things in given]
    assert match(*shuffled, PERIOD) == match(*given, PERIOD)


def test_a_receipt_explains_one_use_only():
    uses, kept, published = world([(5, "a")])
    twin = msgspec.structs.replace(uses[0], id="event-x", at=uses[0].at + timedelta(minutes=1))
    (problem,) = match([*uses, twin], kept, published, PERIOD).problems
    assert (problem.place, problem.observed) == ("request-0", "one, which is of another signature")


def test_a_use_has_one_receipt_only():
    uses, kept, published = world([(5, "a"), (6, "b")])
    other = msgspec.structs.replace(kept[0].receipt, message_sha256=kept[1].receipt.message_sha256)
    second = Kept("receipt/2026-10-02/request-0", END, other)
    (problem,) = match(uses, [*kept, second], published, PERIOD).problems
    assert (problem.place, problem.what) == (second.place, "a second receipt of one signature")


def test_a_receipt_written_long_after_its_use_explains_nothing():
    uses, kept, published = world([(5, "a"), (9, "a")])
    kept[1] = msgspec.structs.replace(kept[1], created=uses[1].at + SKEW + timedelta(seconds=1))
    (problem,) = match(uses, kept, published, PERIOD).problems
    assert problem.what == "the receipt was not written when the signature was made"


def test_repetitions_are_named():
    uses, kept, published = world([(5, "a"), (9, "a"), (10, "b")])
    (repeat,) = match(uses, kept, published, PERIOD).repeats
    assert (repeat.place, repeat.times) == (published[0].place, 2)
    assert repeat.request_ids == ("request-0", "request-1")


def test_what_is_young_is_pending_and_an_end_too_near_now_is_said():
    uses, kept, published = world([(24 * 60 - 1, "a"), (5, "b")])
    now = Period(START, END, END)
    end_only = match(uses, kept, published, now).problems
    assert [(one.severity, one.place) for one in end_only] == [
        (Severity.PENDING, "2026-10-02T00:00:00.000000Z")
    ]
    for missing in (
        (uses[1:], kept, published),
        (uses, kept[1:], published),
        (uses, kept, published[1:]),
    ):
        problems = match(*missing, now).problems
        assert len(problems) > 1
        assert {one.severity for one in problems} == {Severity.PENDING}
        assert all(
            one.severity is Severity.WRONG
            for one in match(*missing, Period(START, END, END + DELAY)).problems
        )


def test_publications_of_later_days_are_asked_for_only_where_a_message_is_among_no_other():
    uses, kept, published = world([(5, "a")])
    late = [msgspec.structs.replace(published[0], created=END + timedelta(days=9))]

    def unasked():
        raise AssertionError

    assert match(uses, kept, published, PERIOD, unasked).problems == ()
    account = match(uses, kept, [], PERIOD, lambda: late)
    assert (account.problems, account.checkpoints) == ((), 0)


def test_a_receipt_is_read_back_from_its_place():
    one = receipts.receipt("a-1", KEY, b"message", START)
    assert receipts.place(one) == "receipt/2026-10-01/a-1"
    assert receipts.decode(receipts.place(one), receipts.encode(one)) == one
    assert canon.decode(receipts.encode(one)) == {
        "v": 1,
        "request_id": "a-1",
        "key": KEY,
        "message_sha256": canon.sha256(b"message"),
        "at": "2026-10-01T00:00:00.000000Z",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"request_id": "../log/x"},
        {"request_id": ""},
        {"request_id": "b"},
        {"message_sha256": "A" * 64},
        {"message_sha256": "a" * 63},
        {"at": "2026-10-02T00:00:00.000000Z"},
        {"at": "2026-10-01"},
        {"key": 1},
        {"more": ""},
    ],
)
def test_a_receipt_of_another_form_or_place_is_refused(change):
    one = msgspec.to_builtins(receipts.receipt("a", KEY, b"message", START))
    with pytest.raises(Malformed):
        receipts.decode("receipt/2026-10-01/a", canon.encode(one | change))


def test_a_receipt_is_bounded_and_canonical():
    one = receipts.encode(receipts.receipt("a", KEY, b"message", START))
    large = receipts.encode(Receipt(1, "a", "k" * 4_096, "0" * 64, "2026-10-01T00:00:00.000000Z"))
    for data in (one + b"\n", large, b"", b"[]"):
        with pytest.raises(Malformed):
            receipts.decode("receipt/2026-10-01/a", data)


@pytest.mark.parametrize("request_id", ["", "a/b", ".", "a" * 129, "ä", "a\n"])
def test_no_receipt_is_made_of_what_is_no_request_id(request_id):
    with pytest.raises(Malformed):
        receipts.receipt(request_id, KEY, b"", START)


def test_a_locked_checkpoint_publishes_its_note_s_text(place):
    place.append(0, 1)
    key = layout.checkpoint(2)
    data = place.writeonce.get(key)
    found = receipts.published(key, START, data, place.keys)
    text = note.parse(data).text.encode()
    assert found == Published(key, START, canon.sha256(text), str(place.verifier))
    with pytest.raises(Malformed, match="under the name of another"):
        receipts.published(layout.checkpoint(3), START, data, place.keys)


def test_a_locked_envelope_publishes_its_pre_authentication_encoding(place):
    statement = {"_type": dsse.STATEMENT_TYPE, "subject": []}
    data = dsse.seal(statement, place.signer, "k")
    key = f"baseline/sha256/{canon.sha256(data)}"
    message = dsse.pre_authentication_encoding(dsse.PAYLOAD_TYPE, canon.encode(statement))
    assert receipts.published(key, START, data, place.keys).message_sha256 == canon.sha256(message)
    with pytest.raises(Malformed, match="other bytes"):
        receipts.published(key, START, data + b" ", place.keys)


def test_what_another_key_signed_publishes_nothing(place, places):
    other = places("other")
    other.append(0)
    statement = {"_type": dsse.STATEMENT_TYPE}
    envelope = dsse.seal(statement, other.signer, "k")
    for key, data in (
        (layout.checkpoint(1), other.writeonce.get(layout.checkpoint(1))),
        (f"baseline/sha256/{canon.sha256(envelope)}", envelope),
    ):
        with pytest.raises(BadSignature):
            receipts.published(key, START, data, place.keys)


def test_a_packet_s_note_publishes_its_text_under_its_digest(place, places):
    digest = canon.sha256(b"a manifest")
    text = manifest.text(place.log.keys.origin, digest)
    key, data = layout.packet(digest), note.sign(text, place.log.keys.origin, place.signer)
    found = receipts.published(key, START, data, place.keys)
    assert found == Published(key, START, canon.sha256(text.encode()), str(place.verifier))
    with pytest.raises(Malformed, match="another text"):
        receipts.published(layout.packet("0" * 64), START, data, place.keys)
    forged = note.sign(text, place.log.keys.origin, places("other").signer)
    with pytest.raises(BadSignature):
        receipts.published(key, START, forged, place.keys)
