from __future__ import annotations

import pytest

from chalicelib.kernel.errors import DigestMismatch, Missing
from chalicelib.kernel.remembered import RememberedWriteOnce


class Counted:
    def __init__(self):
        self.held = {}
        self.calls = []

    def put(self, key, data, *, keep_days=0):
        self.calls.append(("put", key, keep_days) if keep_days else ("put", key))
        if self.held.setdefault(key, data) != data:
            raise DigestMismatch(key)

    def get(self, key):
        self.calls.append(("get", key))
        if key not in self.held:
            raise Missing(key)
        return self.held[key]

    def list(self, prefix):
        return iter(sorted(key for key in self.held if key.startswith(prefix)))

    def hold(self, key):
        self.calls.append(("hold", key))


@pytest.fixture
def inner():
    return Counted()


def test_what_was_read_or_written_is_not_asked_for_again(inner):
    store = RememberedWriteOnce(inner)
    inner.held["b"] = b"2"
    store.put("a", b"1")
    store.put("a", b"1")
    assert [store.get("a"), store.get("b"), store.get("b")] == [b"1", b"2", b"2"]
    assert inner.calls == [("put", "a"), ("get", "b")]
    assert list(store.list("")) == ["a", "b"]


def test_other_bytes_are_refused_and_not_kept(inner):
    store = RememberedWriteOnce(inner)
    inner.held["a"] = b"1"
    with pytest.raises(DigestMismatch):
        store.put("a", b"2")
    assert store.get("a") == b"1"
    with pytest.raises(DigestMismatch):
        store.put("a", b"2")
    assert store.get("a") == b"1"


def test_what_is_missing_is_asked_for_each_time(inner):
    store = RememberedWriteOnce(inner)
    for _ in range(2):
        with pytest.raises(Missing):
            store.get("a")
    inner.held["a"] = b""
    assert store.get("a") == store.get("a") == b""
    assert inner.calls == [("get", "a")] * 3


def test_what_was_used_last_is_kept_within_the_bound(inner):
    store = RememberedWriteOnce(inner, max_bytes=40)
    for key in "abcd":
        store.put(key, key.encode() * 10)
    store.get("a")
    store.put("e", b"e" * 10)
    store.put("large", b"x" * 11)
    inner.calls.clear()
    for key in ("a", "e", "d", "c"):
        store.get(key)
    assert inner.calls == []
    store.get("b")
    store.get("large")
    assert inner.calls == [("get", "b"), ("get", "large")]


def test_a_longer_lock_is_asked_for_once_and_never_taken_for_had(inner):
    store = RememberedWriteOnce(inner)
    store.put("a", b"1")
    for days in (400, 400, 30, 0, 500):
        store.put("a", b"1", keep_days=days)
    assert inner.calls == [("put", "a"), ("put", "a", 400), ("put", "a", 500)]
    with pytest.raises(DigestMismatch):
        store.put("a", b"2", keep_days=600)
    inner.held["b"] = b"2"
    store.get("b")
    store.put("b", b"2", keep_days=1)
    assert inner.calls[-1] == ("put", "b", 1)


def test_holds_are_not_remembered(inner):
    store = RememberedWriteOnce(inner)
    store.put("a", b"1")
    store.hold("a")
    store.hold("a")
    assert inner.calls == [("put", "a"), ("hold", "a"), ("hold", "a")]
