"""Fixtures: installations with the API, for tests of its operations and of its routes."""

from __future__ import annotations

import pytest
from support.office import Place, furnished


@pytest.fixture
def place(tmp_path):
    """An installation with two targets, and nothing signed, scanned or asked for."""
    return Place(tmp_path / "place")


@pytest.fixture
def full(tmp_path):
    """The same with findings, a baseline in force, an open proposal, and jobs that are done."""
    return furnished(tmp_path / "place")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The full installation, for tests that leave nothing behind that others would see."""
    return furnished(tmp_path_factory.mktemp("office") / "place")
