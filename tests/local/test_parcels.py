"""Addresses of packets: good for minutes, and each in one spelling."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.kernel.errors import Forbidden, NotFound
from chalicelib.local.parcels import DirectoryParcels

NOW = datetime(2026, 10, 1, tzinfo=UTC)
NAME = "P-1.zip"


class Clock:
    def __init__(self):
        self.moment = NOW

    def now(self):
        return self.moment


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def parcels(tmp_path, clock):
    made = DirectoryParcels(tmp_path / "packets", b"k" * 32, clock)
    made.put(NAME, io.BytesIO(b"content"))
    return made


def given(parcels, until=NOW + timedelta(minutes=5)):
    path, _, query = parcels.address(NAME, until).partition("?")
    assert path == f"/v1/packets/{NAME}/content"
    return dict(one.split("=") for one in query.split("&"))


def test_an_address_leads_there_until_it_is_over(parcels, clock):
    query = given(parcels)
    with parcels.open(NAME, **query) as stream:
        assert stream.read() == b"content"
    clock.moment += timedelta(minutes=5)
    with pytest.raises(Forbidden, match="over"):
        parcels.open(NAME, **query)


@pytest.mark.parametrize(
    "spell",
    [
        lambda text: f"0{text}",
        lambda text: f"+{text}",
        lambda text: f" {text}",
        lambda text: f"{text}\n",
        lambda text: f"{text[:3]}_{text[3:]}",
        lambda text: text.translate({48 + digit: 0x660 + digit for digit in range(10)}),
        lambda text: text.translate({48 + digit: 0xFF10 + digit for digit in range(10)}),
        lambda text: f"{text}.0",
        lambda _: "",
        lambda _: "9" * 13,
    ],
    ids=["zero", "plus", "space", "newline", "underscore", "arabic", "wide", "dot", "none", "long"],
)
def test_a_moment_has_one_spelling(parcels, spell):
    query = given(parcels)
    with pytest.raises(Forbidden, match="not given out"):
        parcels.open(NAME, spell(query["until"]), query["signature"])


def test_an_address_is_of_one_packet_and_one_moment(parcels):
    query = given(parcels)
    with pytest.raises(Forbidden):
        parcels.open("P-2.zip", **query)
    with pytest.raises(Forbidden):
        parcels.open(NAME, str(int(query["until"]) + 1), query["signature"])


def test_what_is_gone_is_not_found(parcels, tmp_path):
    query = given(parcels)
    (tmp_path / "packets" / NAME).unlink()
    with pytest.raises(NotFound):
        parcels.open(NAME, **query)
