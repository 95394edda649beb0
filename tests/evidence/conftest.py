"""Logs that tests make and damage."""

from __future__ import annotations

import shutil

import pytest
from evidence.place import Place


@pytest.fixture
def places(tmp_path):
    """Makes places: the same root again is another process's view of the same log."""
    made = []

    def make(name="log", **options):
        made.append(Place(tmp_path / name, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def place(places):
    return places()


@pytest.fixture
def copied(tmp_path, places):
    """A copy of a place, files and all."""

    def copy(original, name="copy"):
        original.close()
        shutil.copytree(original.root, tmp_path / name)
        return places(name)

    return copy
