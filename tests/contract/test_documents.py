from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from contract.adapters import DOCUMENTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.store import Document, Write

pytestmark = pytest.mark.parametrize("adapter", DOCUMENTS)


@pytest.fixture
def documents(adapter, tmp_path):
    made = DOCUMENTS[adapter](tmp_path)
    yield made
    made.close()


def test_a_document_starts_at_version_1_and_counts_up(documents):
    assert documents.get("a") is None
    documents.swap([Write("a", 0, b"x")])
    assert documents.get("a") == Document(1, b"x")
    documents.swap([Write("a", 1, b"")])
    assert documents.get("a") == Document(2, b"")


def test_another_process_s_documents_are_the_same(documents, adapter, tmp_path):
    documents.swap([Write("a", 0, b"x")])
    other = DOCUMENTS[adapter](tmp_path)
    assert other.get("a") == Document(1, b"x")
    other.close()


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_another_version_than_expected_is_a_conflict(documents, expected):
    documents.swap([Write("a", 0, b"1")])
    documents.swap([Write("a", 1, b"2")])
    with pytest.raises(Conflict):
        documents.swap([Write("a", expected, b"x")])
    assert documents.get("a") == Document(2, b"2")


def test_a_document_that_is_not_there_has_no_version_to_expect(documents):
    with pytest.raises(Conflict):
        documents.swap([Write("a", 1, b"x")])
    assert documents.get("a") is None


@pytest.mark.parametrize("at", [0, 1, 2])
def test_all_writes_are_made_or_none(documents, at):
    documents.swap([Write("a", 0, b"1"), Write("b", 0, b"1")])
    writes = [Write("a", 1, b"2"), Write("b", 1, b"2")]
    writes.insert(at, Write("c", 5, b"2"))
    with pytest.raises(Conflict):
        documents.swap(writes)
    assert [d for _, d in documents.list("")] == [Document(1, b"1")] * 2
    documents.swap([Write("a", 1, b"2")])


def test_no_writes_are_fine(documents):
    documents.swap([])


def test_bounds_are_kept(documents):
    documents.swap([Write(f"k{n}", 0, b"") for n in range(100)])
    documents.swap([Write("large", 0, bytes(350_000))])
    assert documents.get("large").value == bytes(350_000)
    documents.swap([Write(f"l{n}" + "é" * 511, 0, bytes(350_000)) for n in range(10)])
    assert documents.get("l9" + "é" * 511).value == bytes(350_000)
    assert documents.get("") is None
    assert documents.get("m" * 1_025) is None
    for writes in (
        [Write(f"m{n}", 0, b"") for n in range(101)],
        [Write("m", 0, bytes(350_001))],
        [Write("m", -1, b"")],
        [Write("m", 0, b""), Write("m", 0, b"")],
        [Write(f"m{n}", 0, bytes(350_000)) for n in range(10)] + [Write("m", 0, b"1")],
        [Write("", 0, b"")],
        [Write("m" * 1_025, 0, b"")],
        [Write("é" * 513, 0, b"")],
    ):
        with pytest.raises(ValueError, match="at most"):
            documents.swap(writes)
    assert list(documents.list("m")) == []


def test_documents_are_listed_by_prefix_in_order_of_keys(documents):
    keys = [f"s/{n:04d}" for n in range(1_205)] + ["s", "t", "s/é", "s/\U0001f600", "S/0", "s0"]
    for start in range(0, len(keys), 100):
        documents.swap([Write(key, 0, key.encode()) for key in keys[start : start + 100]])
    for prefix in ("", "s", "s/", "s/12", "s/é", "x"):
        listed = list(documents.list(prefix))
        assert [key for key, _ in listed] == sorted(k for k in keys if k.startswith(prefix))
        assert all(d == Document(1, key.encode()) for key, d in listed)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40), st.binary())
def test_any_key_and_value_are_read_back(documents, key, value):
    key = key.replace("\0", "0")
    found = documents.get(key)
    documents.swap([Write(key, 0 if found is None else found.version, value)])
    assert documents.get(key).value == value


def test_threads_that_swap_at_once_lose_no_update(documents):
    documents.swap([Write("n", 0, b"0")])

    def add(_):
        while True:
            found = documents.get("n")
            try:
                documents.swap([Write("n", found.version, b"%d" % (int(found.value) + 1))])
            except Conflict:
                continue
            return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(60)))
    assert documents.get("n") == Document(61, b"60")


def test_processes_that_swap_at_once_lose_no_update(documents, adapter, race):
    """Also the first: all of them create the store."""
    names = ["a", "b", "c", "d"]
    assert race("documents", adapter, names, 25) == [[25]] * 4
    assert documents.get("shared") == Document(100, b"100")
    assert [documents.get(f"own/{name}") for name in names] == [Document(25, b"25")] * 4
