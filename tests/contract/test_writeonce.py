from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from contract.adapters import WRITEONCE

from chalicelib.kernel.errors import DigestMismatch, Missing, UsageError

pytestmark = pytest.mark.parametrize("adapter", WRITEONCE)


@pytest.fixture
def store(adapter, tmp_path):
    return WRITEONCE[adapter](tmp_path)


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5_000])
def test_what_was_put_is_got_also_by_another_process_s_store(store, adapter, tmp_path, data):
    store.put("a/b/c", data)
    assert store.get("a/b/c") == data
    assert WRITEONCE[adapter](tmp_path).get("a/b/c") == data


def test_the_same_bytes_again_are_fine(store):
    store.put("a", b"x")
    store.put("a", b"x")
    assert store.get("a") == b"x"


@pytest.mark.parametrize("other", [b"", b"y", b"xx"])
def test_other_bytes_are_refused_and_the_first_ones_stay(store, other):
    store.put("a", b"x")
    with pytest.raises(DigestMismatch):
        store.put("a", other)
    assert store.get("a") == b"x"


def test_what_was_never_put_is_missing(store):
    store.put("a/b", b"x")
    for key in ("b", "a/c", "a/b2"):
        with pytest.raises(Missing):
            store.get(key)


def test_keys_are_listed_by_prefix_in_order_of_text(store):
    keys = ["a/b", "a.b/c", "a-b", "a/b-c/d", "a/b.p/1", "b", "A/b", "a/0", "a/00/1"]
    for key in keys:
        store.put(key, b"x")
    assert list(store.list("")) == sorted(keys)
    for prefix in ("a", "a/", "a/b", "a/b.", "a/b/", "a.b/", "b", "c", "a/b-c/d", "a/b-c/d/"):
        assert list(store.list(prefix)) == sorted(k for k in keys if k.startswith(prefix))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/.b",
        ".a",
        "a b",
        "a\0",
        "ä",
        "a\n",
        "a/" * 300,
    ],
)
def test_what_is_no_key_is_refused(store, key):
    for call in (lambda: store.put(key, b"x"), lambda: store.get(key)):
        with pytest.raises(UsageError, match="not a storage key"):
            call()


def test_days_to_keep_change_nothing_about_what_is_read(store):
    for days in (0, 20, 10):  # on a real bucket, nothing beyond its default
        store.put("a", b"x", keep_days=days)
        with pytest.raises(DigestMismatch):
            store.put("a", b"y", keep_days=days)
    assert store.get("a") == b"x"


@pytest.mark.parametrize("days", [-1, 36_501])
def test_days_that_no_store_can_keep_are_refused(store, days):
    with pytest.raises(ValueError, match="0 to 36500 days"):
        store.put("a", b"x", keep_days=days)
    assert list(store.list("")) == []


def test_what_is_held_is_held_until_it_is_released(store, adapter, tmp_path):
    for key in ("a/1", "a/2"):
        store.put(key, b"x")
        assert not store.held(key)
    for _ in range(2):
        store.hold("a/1")
        assert (store.held("a/1"), store.held("a/2")) == (True, False)
    assert WRITEONCE[adapter](tmp_path).held("a/1")
    for _ in range(2):
        store.release("a/1")
        assert not store.held("a/1")
    store.hold("a/1")
    assert store.held("a/1")
    store.put("a/1", b"x")
    assert (store.get("a/1"), list(store.list(""))) == (b"x", ["a/1", "a/2"])


def test_what_is_not_there_can_be_neither_held_nor_released(store):
    store.put("a/b", b"x")
    for call in (store.hold, store.release, store.held):
        for key in ("b", "a/c", "a/b2"):
            with pytest.raises(Missing):
                call(key)
        with pytest.raises(UsageError, match="not a storage key"):
            call("a/../b")


def test_threads_that_put_one_key_agree_on_one_content(store):
    def put(number):
        try:
            store.put("raced", b"%d" % number * 50_000)
        except DigestMismatch:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        won = [number for number in pool.map(put, range(8)) if number is not None]
    assert len(won) == 1
    assert store.get("raced") == b"%d" % won[0] * 50_000


def test_processes_that_put_one_key_agree_on_one_content(store, adapter, race):
    names = ["a", "b", "c"]
    won = race("writeonce", adapter, names, 40)
    assert sorted(number for numbers in won for number in numbers) == list(range(40))
    for name, numbers in zip(names, won, strict=True):
        for number in numbers:
            assert store.get(f"race/{number:03d}") == name.encode() * 10_000
