"""A packet of a target has its requests and leases, and proves how they ended."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

from chalicelib.local.clock import SystemClock


def today():
    return SystemClock().now().date().isoformat()


def leaves(path):
    """The records that a packet shows."""
    with zipfile.ZipFile(path) as packet:
        return [json.loads(line) for line in packet.read("leaves.jsonl").splitlines()]


def test_the_packet_of_a_target_proves_the_end_of_its_leases(leased, ask):
    which = ask(approved=True)
    leased("--as", "ana", "creds", which, "--format", "json")
    leased("--as", "ana", "revoke", which)
    days = ("--from", today(), "--to", today())
    path = leased.home / "orders.zip"
    leased("evidence", "packet", *days, "--target", "orders", "-o", path)
    told = leased("evidence", "verify", path, "--json").json
    assert told["verdict"] in {"VERIFIED", "UNWITNESSED"}
    assert [row["target"] for row in told["targets"]] == ["postgres:orders"]
    trust = leased.home / "trust.txt"
    trust.write_text(leased("evidence", "trust").out)
    program = path.parent / "verify.py"
    with zipfile.ZipFile(path) as packet:
        program.write_bytes(packet.read("verify.py"))
    done = subprocess.run(
        [sys.executable, program, path, "--trust", trust],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [one for one in leaves(path) if one["stream"] == "access:orders"]
    assert [one["kind"] for one in found] == [
        "access.requested",
        "access.approved",
        "lease.issuing",
        "lease.issued",
        "lease.ending",
        "lease.ended",
    ]
    assert {one["body"]["request"] for one in found} == {which}
    assert set(found[-1]["body"]["proof"]["verified"].values()) == {0}


def test_a_packet_of_another_target_has_none_of_it(leased, ask):
    which = ask()
    leased("target", "add", "other", "--dsn-env", "ORDERS_DSN")
    days = ("--from", today(), "--to", today())
    path = leased.home / "other.zip"
    leased("evidence", "packet", *days, "--target", "other", "-o", path)
    assert not any(which in json.dumps(one) for one in leaves(path))
