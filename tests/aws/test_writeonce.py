"""What an enemy with permission to write puts on top of evidence, and what is still read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from contract.adapters import WRITEONCE
from support.aws import Fault

from chalicelib.aws import writeonce
from chalicelib.aws.bucket import check
from chalicelib.aws.writeonce import S3WriteOnce, Stranger
from chalicelib.kernel.errors import (
    CouldNotTell,
    DigestMismatch,
    Malformed,
    Missing,
    StoreUnavailable,
)
from chalicelib.local.clock import SystemClock


@pytest.fixture
def store(aws, tmp_path):
    return WRITEONCE["aws"](tmp_path)


@pytest.fixture
def enemy(aws, store):
    """A client that may do all that a bucket's policy does not deny."""
    return aws.client("s3")


def over(enemy, store, key, data):
    return enemy.put_object(Bucket=store._bucket, Key=key, Body=data)["VersionId"]


def hide(enemy, store, key):
    return enemy.delete_object(Bucket=store._bucket, Key=key)["VersionId"]


def test_the_first_version_is_read_whatever_comes_on_top(store, enemy):
    store.put("a/1", b"first")
    store.put("a/2", b"second")
    for number in range(4):
        over(enemy, store, "a/1", b"%d" % number)
        hide(enemy, store, "a/1")
        hide(enemy, store, "a/2")
    assert store.get("a/1") == b"first"
    assert store.get("a/2") == b"second"
    assert list(store.list("")) == ["a/1", "a/2"]
    assert [version.size_bytes for version in store.versions("a/")] == [5, 6]


def test_a_put_is_held_against_the_first_version_also_behind_a_delete_marker(store, enemy):
    store.put("a", b"first")
    hide(enemy, store, "a")
    store.put("a", b"first")
    over(enemy, store, "a", b"forged")
    store.put("a", b"first")
    for forged in (b"forged", b"other"):
        with pytest.raises(DigestMismatch):
            store.put("a", forged)
    hide(enemy, store, "a")
    with pytest.raises(DigestMismatch):
        store.put("a", b"after")
    assert store.get("a") == b"first"


def test_a_put_after_a_delete_marker_alone_is_the_first_version(store, enemy):
    hide(enemy, store, "a")
    with pytest.raises(Missing):
        store.get("a")
    assert list(store.list("")) == []
    assert [(one.key, one.marker) for one in store.strangers("")] == [("a", True)]
    store.put("a", b"first")
    assert store.get("a") == b"first"


def test_every_stranger_is_named_and_nothing_else(store, enemy):
    for key in ("a", "b", "b/c", "d"):
        store.put(key, b"first")
    assert list(store.strangers("")) == []
    expected = {
        ("a", over(enemy, store, "a", b"first"), False),
        ("b/c", hide(enemy, store, "b/c"), True),
        ("b/c", over(enemy, store, "b/c", b"x"), False),
        ("b/c", over(enemy, store, "b/c", b"y"), False),
        ("e", hide(enemy, store, "e"), True),
    }
    found = list(store.strangers(""))
    assert {(one.key, one.id, one.marker) for one in found} == expected
    assert len(found) == 5
    assert all(isinstance(one, Stranger) and one.modified.tzinfo for one in found)
    assert {one.key for one in store.strangers("b")} == {"b/c"}


def test_strangers_are_found_over_more_than_one_page(store, enemy, monkeypatch):
    monkeypatch.setattr(writeonce, "_PAGE", 2)
    pages = store._pages
    monkeypatch.setattr(store, "_pages", lambda prefix, size=2: pages(prefix, size))
    keys = [f"k/{number}" for number in range(5)]
    for key in keys:
        store.put(key, key.encode())
    strangers = [over(enemy, store, key, b"x") for key in keys for _ in range(3)]
    strangers += [hide(enemy, store, key) for key in keys[::2]]
    strangers.append(hide(enemy, store, "z"))
    assert sorted(one.id for one in store.strangers("")) == sorted(strangers)
    assert [store.get(key) for key in keys] == [key.encode() for key in keys]
    assert list(store.list("k/")) == keys


def test_a_key_with_too_many_versions_is_not_searched_for_ever(store, enemy, monkeypatch):
    monkeypatch.setattr(writeonce, "MAX_VERSIONS", 3)
    store.put("a", b"first")
    over(enemy, store, "a", b"x")
    hide(enemy, store, "a")
    assert store.get("a") == b"first"
    hide(enemy, store, "a")
    with pytest.raises(StoreUnavailable, match="more than 3 versions"):
        store.get("a")


def test_an_object_above_the_bound_is_not_read(store, monkeypatch):
    store.put("a", b"12345")
    monkeypatch.setattr(writeonce, "MAX_OBJECT_BYTES", 4)
    with pytest.raises(Malformed, match="larger than 4"):
        store.get("a")


def test_a_put_whose_answer_was_lost_is_made_again_and_is_fine(aws, store):
    for how in ("drop", "answer"):
        with aws.failing("s3", "PutObject", Fault(503, how=how, after=True), times=2) as seen:
            store.put(how, b"x")
        assert seen == [3]
        assert store.get(how) == b"x"
    assert list(store.strangers("")) == []


def test_a_put_that_meets_another_is_made_again(aws, store):
    met = Fault(409, "ConditionalRequestConflict")
    with aws.failing("s3", "PutObject", met, times=2):
        store.put("a", b"x")
    assert store.get("a") == b"x"
    with (
        aws.failing("s3", "PutObject", met, times=99),
        pytest.raises(StoreUnavailable, match="other writers"),
    ):
        store.put("b", b"x")


def test_what_was_put_is_locked_and_stays(store, enemy):
    check(enemy, store._bucket, min_days=30)
    store.put("a", b"x")
    hide(enemy, store, "a")
    (first,) = store.versions("")
    lock = enemy.head_object(Bucket=store._bucket, Key="a", VersionId=first.id)
    assert lock["ObjectLockMode"] == "COMPLIANCE"
    assert (lock["ObjectLockRetainUntilDate"] - first.modified).days in (29, 30)
    with pytest.raises(enemy.exceptions.ClientError, match="AccessDenied"):
        enemy.delete_object(Bucket=store._bucket, Key="a", VersionId=first.id)
    assert store.get("a") == b"x"


def test_a_bucket_that_is_not_there_is_said(aws):
    store = S3WriteOnce(aws.client("s3"), "no-such-bucket-here")
    for call in (
        lambda: store.put("a", b""),
        lambda: store.get("a"),
        lambda: list(store.list("")),
        lambda: list(store.strangers("")),
    ):
        with pytest.raises(StoreUnavailable, match="NoSuchBucket") as error:
            call()
        assert "settings" in error.value.next_step


class Moment:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.moment = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)

    def now(self):
        return self.moment


@pytest.fixture
def clock():
    return Moment()


@pytest.fixture
def lasting(aws, store, clock):
    """The same bucket, for what is to be locked longer than its 30 days."""
    return S3WriteOnce(aws.client("s3"), store._bucket, default_days=30, clock=clock)


def until(enemy, store, key):
    first = store._existing(key)
    found = enemy.get_object_retention(Bucket=store._bucket, Key=key, VersionId=first.id)
    assert found["Retention"]["Mode"] == "COMPLIANCE"
    return found["Retention"]["RetainUntilDate"]


def test_only_what_is_kept_longer_than_the_default_says_so(aws, lasting, enemy, clock):
    real = SystemClock().now()
    clock.moment = real
    lasting.put("short", b"x", keep_days=30)
    lasting.put("long", b"x", keep_days=31)
    assert until(enemy, lasting, "short") < real + timedelta(days=30, minutes=5)
    kept = until(enemy, lasting, "long") - real
    assert timedelta(days=31) < kept <= timedelta(days=32)
    assert ("s3", "PutObjectRetention") not in aws.calls


def test_a_lock_grows_with_what_is_asked_for_and_never_shrinks(aws, lasting, enemy, clock):
    clock.moment = SystemClock().now()
    lasting.put("a", b"x")
    default = until(enemy, lasting, "a")
    lasting.put("a", b"x", keep_days=400)
    longer = until(enemy, lasting, "a")
    assert longer - default > timedelta(days=370)
    lasting.put("a", b"x", keep_days=100)
    lasting.put("a", b"x")
    assert until(enemy, lasting, "a") == longer
    aws.calls.clear()
    lasting.put("a", b"x", keep_days=400)  # the margin of a day is there yet
    assert ("s3", "PutObjectRetention") not in aws.calls
    clock.moment += timedelta(days=2)
    lasting.put("a", b"x", keep_days=400)
    assert until(enemy, lasting, "a") == longer + timedelta(days=2)


def test_a_longer_lock_needs_a_clock(aws, store):
    with pytest.raises(ValueError, match="needs a clock"):
        S3WriteOnce(aws.client("s3"), store._bucket).put("a", b"x", keep_days=1)


def test_a_hold_is_on_the_first_version_whatever_is_on_top(store, enemy):
    store.put("a", b"first")
    over(enemy, store, "a", b"forged")
    hide(enemy, store, "a")
    store.hold("a")
    assert store.held("a")
    first = store._existing("a").id
    found = enemy.get_object_legal_hold(Bucket=store._bucket, Key="a", VersionId=first)
    assert found["LegalHold"]["Status"] == "ON"
    with pytest.raises(ClientError, match="AccessDenied"):
        enemy.delete_object(Bucket=store._bucket, Key="a", VersionId=first)
    store.release("a")
    assert not store.held("a")
    assert store.get("a") == b"first"


def test_a_hold_that_s3_refuses_is_no_hold(aws, store):
    store.put("a", b"first")
    aws.faults.append(
        lambda call: Fault(403, "AccessDenied") if call.operation == "PutObjectLegalHold" else None
    )
    with pytest.raises(CouldNotTell, match="hold"):
        store.hold("a")
    assert not store.held("a")
