"""What ``serve`` tells receivers on one machine."""

from __future__ import annotations

import json

import pytest
from support.peer import answering

from chalicelib import settings, wiring
from chalicelib.access import notice, state
from chalicelib.cli.teller import AGAIN_SECONDS, Teller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import ConfigError
from chalicelib.kernel.record import Actor, Draft

KEY = "k" * 32
WEBHOOK = """
[targets.orders.access]
dsn_env = "BROKER_DSN"

[[notify.webhooks]]
url = "{url}/secret-path"
secret_env = "WEBHOOK_KEY"
"""
TAKEN, DOWN = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 503 Oh\r\n\r\n"


@pytest.fixture
def told(shop, monkeypatch):
    """What makes a teller, with what it emits; and what records that a lease was issued."""
    monkeypatch.setenv("WEBHOOK_KEY", KEY)
    path = shop.home / "holdfast.toml"

    def make(url, kinds=()):
        path.write_text(path.read_text() + WEBHOOK.format(url=url) + f"kinds = {list(kinds)}\n")
        services = wiring.connect(settings.load(path))
        lines = []

        def record():
            at = timestamp(services.desk.clock.now())
            body = {"request": "orders.abcdefghijkm", "role": "hf_a"}
            draft = Draft(state.REFRESHED, "access:orders", at, Actor("ana", "os"), body)
            services.log.append([draft])

        return Teller(lambda: services, services.log, lines.append), lines, record

    return make


def test_a_webhook_is_told_what_comes(told):
    with answering(TAKEN) as (url, seen):
        teller, lines, record = told(url)
        record()
        assert teller.look() == 0, "what was there before"
        record()
        assert teller.look() == 1
        assert teller.look() == 0
    [request] = seen
    assert json.loads(request.body)["target"] == "postgres:orders"
    header = request.headers["holdfast-signature"]
    notice.verify(KEY.encode(), header, request.body, int(header[2:].split(",")[0]))
    assert lines == []


def test_one_that_is_down_is_said_and_waits(told):
    with answering(DOWN) as (url, seen):
        teller, lines, record = told(url)
        teller.look()
        record()
        assert teller.look() == 0
        [line] = lines
        assert (line["event"], line["what"]) == ("failed", "notices")
        assert "secret-path" not in json.dumps(line)
        teller.look()
    assert len(seen) == len(lines) == 1


def test_a_key_that_is_not_there_is_said(told, monkeypatch):
    with answering(TAKEN) as (url, _):
        teller, lines, _ = told(url)
        monkeypatch.delenv("WEBHOOK_KEY")
        teller.once()
        assert [(one["name"], one["error"]) for one in lines] == [("receivers", "config_error")]
        with pytest.raises(ConfigError, match="WEBHOOK_KEY, for the key of a webhook, is not set"):
            teller.look()


def test_what_is_wrong_for_long_is_said_now_and_then(told, monkeypatch):
    with answering(TAKEN) as (url, _):
        teller, lines, _ = told(url)
        monkeypatch.delenv("WEBHOOK_KEY")
        moment = [0.0]
        teller._monotonic = lambda: moment[0]
        for moment[0] in (0.0, 5.0, AGAIN_SECONDS - 1):
            teller.once()
        assert len(lines) == 1
        moment[0] = AGAIN_SECONDS
        teller.once()
        assert len(lines) == 2


@pytest.mark.parametrize(
    ("kinds", "told_of"),
    [(["lease"], 1), (["access", "lease.refreshed"], 1), (["access", "lease.ended"], 0)],
)
def test_a_webhook_is_told_of_kinds_by_name_or_by_their_beginning(told, kinds, told_of):
    with answering(TAKEN) as (url, seen):
        teller, _, record = told(url, kinds)
        record()
        teller.look()
        record()
        teller.look()
    assert len(seen) == told_of


def test_it_stops_at_once(told):
    with answering(TAKEN) as (url, seen):
        teller, lines, _ = told(url)
        teller.stop()
        teller._run()
    assert (seen, lines) == ([], [])
