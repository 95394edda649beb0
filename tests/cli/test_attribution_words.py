"""What people and programs read of who made a change."""

from __future__ import annotations

import msgspec
import pytest
from support.desk import CHLOE
from support.trail import ACCOUNT, ANA, NOW, change, made, sought

from chalicelib import settings, wiring
from chalicelib.drift.who import Principal, rank
from chalicelib.kernel import ledger
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.record import Draft
from chalicelib.local.clock import SystemClock

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", "Root", ACCOUNT, source_identity="x\nrequest 1")


@pytest.fixture
def attributed(signed, database):
    """A finding that a record attributes, of a store that a command line has; its id."""
    database.run("ALTER TABLE orders DISABLE ROW LEVEL SECURITY")
    signed("scan", "orders", expect=1)
    [found] = signed("drift", "ls", "--json").json
    assert found["who"] is None
    request = {"roleName": "app", "policyArn": ADMIN}
    events = [
        made("AttachRolePolicy", request, id="1", at=-5, principal=ANA),
        made("AttachRolePolicy", request, id="2", at=-9, principal=ROOT),
    ]
    who = rank(sought(change("iam_attachment", f"role app has {ADMIN}")), events, now=NOW)
    desk = wiring.connect(settings.load(signed.home / "holdfast.toml")).desk
    body = {"id": found["id"], "who": msgspec.to_builtins(who)}
    at = timestamp(SystemClock().now())
    draft = Draft("finding.attributed", "postgres:orders", at, CHLOE, body)
    ledger.append(desk, ledger.now(desk, "postgres:orders"), [draft])
    return signed, found


def test_a_finding_shows_who_with_certainty_and_request(attributed):
    run, found = attributed
    text = run("drift", "show", found["id"]).out
    lines = [line.strip() for line in text.splitlines()]
    assert any(line.startswith("who") and "possible: 2 calls fit equally" in line for line in lines)
    assert ANA.name in lines
    assert "AttachRolePolicy at 2026-11-23T11:59:55.000000Z, from 192.0.2.7" in lines
    assert "request request of AttachRolePolicy, by aws-cli/2" in lines
    assert f"root of account {ACCOUNT}, source identity x\\nrequest 1" in lines
    assert "CloudTrail may still deliver more, until 2026-11-23T12:15:00.000000Z" in lines


def test_programs_read_it_in_full_and_another_version(attributed):
    run, found = attributed
    [now] = run("drift", "ls", "--json").json
    assert now["who"]["certainty"] == "possible"
    assert now["who"]["candidates"][0]["principal"]["name"] == ANA.name
    assert now["version"] != found["version"]
    assert run("drift", "show", found["id"], "--json").json["who"] == now["who"]
    [scanned] = run("scan", "orders", "--json", expect=1).json["results"]
    assert scanned["findings"][0]["who"] == now["who"]
    run("evidence", "fsck")
