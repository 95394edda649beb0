from __future__ import annotations

import pytest

from chalicelib.kernel.sealed import SealedDocuments
from chalicelib.kernel.store import Write
from chalicelib.local.documents import SqliteDocuments

SECRET = b"s" * 32


@pytest.fixture
def inner(tmp_path):
    documents = SqliteDocuments(tmp_path / "state.db")
    yield documents
    documents.close()


def values(documents):
    return {key: one.value for key, one in documents.list("")}


def test_what_is_written_is_read(inner):
    sealed = SealedDocuments(inner, SECRET)
    sealed.swap([Write("a", 0, b"one"), Write("b", 0, b"")])
    sealed.swap([Write("a", 1, b"two")])
    assert (sealed.get("a").version, sealed.get("a").value) == (2, b"two")
    assert values(sealed) == {"a": b"two", "b": b""}
    assert sealed.get("c") is None


@pytest.mark.parametrize(
    "forge",
    [
        lambda value: value[:-1] + b"X",
        lambda value: b"\0" * 32 + value[32:],
        lambda value: value[:5],
        lambda value: b"",
    ],
)
def test_what_somebody_else_wrote_reads_as_nothing(inner, forge):
    sealed = SealedDocuments(inner, SECRET)
    sealed.swap([Write("a", 0, b"one")])
    inner.swap([Write("a", 1, forge(inner.get("a").value))])
    assert sealed.get("a").value == b""
    assert values(sealed) == {"a": b""}


def test_a_document_does_not_stand_for_another(inner):
    sealed = SealedDocuments(inner, SECRET)
    sealed.swap([Write("a", 0, b"one")])
    inner.swap([Write("b", 0, inner.get("a").value)])
    assert sealed.get("b").value == b""


def test_another_secret_does_not_open(inner):
    SealedDocuments(inner, SECRET).swap([Write("a", 0, b"one")])
    assert SealedDocuments(inner, b"t" * 32).get("a").value == b""


def test_without_the_secret_values_are_read_unchecked(inner):
    SealedDocuments(inner, SECRET).swap([Write("a", 0, b"one")])
    assert SealedDocuments(inner, None).get("a").value == b"one"
