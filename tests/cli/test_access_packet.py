"""A packet of a target has its requests and leases, and proves how they ended."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

from chalicelib import settings, wiring
from chalicelib.kernel import masking
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.record import Actor, Draft
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


APPLIED = {
    "masks_sha256": "a" * 64,
    "statements": 3,
    "statements_sha256": "b" * 64,
    "sets": [""],
    "columns": [
        ["public", "customers", "id", "public", False, {"": "clear"}],
        ["public", "customers", "name", "name", True, {"": "name"}],
    ],
    "unclassified": [["public", "orders", "total"]],
    "rows": [],
    "left_out": [],
}
CHECKED = {
    "request": "",
    "profile": "read-masked",
    "held": 12,
    "leaked": 0,
    "untold": 0,
    "attacks": [],
}


def record(holdfast, kind, body):
    services = wiring.connect(settings.load(holdfast.home / "holdfast.toml"))
    at = timestamp(services.desk.clock.now())
    draft = Draft(kind, "access:orders", at, Actor("dora", "os"), body)
    services.desk.journal.append([draft])


def report(path):
    """The lines about personal data in a packet's report."""
    with zipfile.ZipFile(path) as packet:
        text = packet.read("report.txt").decode()
    return text.partition("Personal data\n\n")[2].partition("\n\nWritten by")[0].split("\n")


def test_the_report_of_a_packet_says_who_saw_personal_data(leased, ask):
    record(leased, masking.APPLIED, APPLIED)
    record(leased, masking.CHECKED, CHECKED)
    which = ask("--profile", "read-clear", "--tables", "public.customers", approved=True)
    leased("--as", "ana", "creds", which, "--format", "json")
    leased("--as", "ana", "revoke", which)
    moment = timestamp(SystemClock().now())
    for name in ("a.zip", "b.zip"):
        words = ("--from", today(), "--to", moment, "--target", "orders", "-o", leased.home / name)
        leased("evidence", "packet", *words)
    path = leased.home / "a.zip"
    assert path.read_bytes() == (leased.home / "b.zip").read_bytes()
    assert leased("evidence", "verify", path).code == 0
    assert leased("evidence", "fsck").out.startswith("VERIFIED")
    found = report(path)
    assert "orders: 1 personal column, 1 without a class, 0 tables left out" in found[0]
    assert found[1:3] == [
        "    public.customers.name  name; in _masked: name",
        "    WITHOUT A CLASS  public.orders.total",
    ]
    assert "12 held, 0 leaked, 0 untold" in found[3]
    assert found[4] == "    1 lease could read personal columns clear"
    assert f"{which}  person:ana  read-clear: public.customers.name; " in found[5]
    assert "reason: sealed; approved by ben " in found[5]
    assert len(found) == 6


def test_a_lease_of_all_tables_and_no_masks(leased, ask):
    which = ask(approved=True)
    leased("--as", "ana", "creds", which, "--format", "json")
    path = leased.home / "orders.zip"
    days = ("--from", today(), "--to", today())
    leased("evidence", "packet", *days, "--target", "orders", "-o", path)
    found = report(path)
    assert "it cannot be told which columns are personal" in found[0]
    assert "all of the schemas public (masks of all of its time are not here)" in found[-1]
    leased("evidence", "packet", *days, "--kind", "finding", "-o", leased.home / "few.zip")
    said = ["Only some kinds of records are here: who saw personal data cannot be told."]
    assert report(leased.home / "few.zip") == said
