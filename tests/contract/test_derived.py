from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from contract.adapters import DERIVED

from chalicelib.kernel.errors import UsageError

pytestmark = pytest.mark.parametrize("adapter", DERIVED)


@pytest.fixture
def store(adapter, tmp_path):
    return DERIVED[adapter](tmp_path)


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 5_000])
def test_what_was_put_is_got_also_by_another_process_s_store(store, adapter, tmp_path, data):
    store.put("a/b/c", data)
    assert DERIVED[adapter](tmp_path).get("a/b/c") == data


def test_the_last_put_counts(store):
    store.put("a/b", b"x" * 1_000)
    store.put("a/b", b"y")
    assert store.get("a/b") == b"y"


def test_what_is_not_there_is_none_and_can_be_deleted(store):
    assert store.get("a/b") is None
    store.delete("a/b")
    store.put("a/b", b"x")
    store.delete("a/b")
    store.delete("a/b")
    assert store.get("a/b") is None
    assert list(store.list("")) == []


def test_keys_are_listed_by_prefix_in_order_of_text(store):
    keys = ["t/0/000", "t/0/000.p/5", "t/0/x001/000", "t/0/001", "t/1/000.p/1", "u"]
    for key in keys:
        store.put(key, b"x")
    assert list(store.list("")) == sorted(keys)
    for prefix in ("t", "t/0/000", "t/0/000.p/", "t/0/x", "v"):
        assert list(store.list(prefix)) == sorted(k for k in keys if k.startswith(prefix))


@pytest.mark.parametrize("key", ["", "/a", "../a", "a/../b", ".tmp/a", "a\0"])
def test_what_is_no_key_is_refused(store, key):
    for call in (lambda: store.put(key, b"x"), lambda: store.get(key), lambda: store.delete(key)):
        with pytest.raises(UsageError, match="not a storage key"):
            call()


def test_a_reader_never_sees_a_half_replaced_object(store):
    whole = [b"%d" % n * 100_000 for n in range(4)]
    store.put("a", whole[0])

    def work(number):
        store.put("a", whole[number % 4])
        return store.get("a")

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(60))) <= set(whole)
