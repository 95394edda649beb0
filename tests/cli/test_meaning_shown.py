"""What a change of an account's policies means, as people and programs are shown it."""

from __future__ import annotations

from support.account import account, allow, inline, role

from chalicelib.cli.drift import _meaning
from chalicelib.drift.iam.compare import Widening
from chalicelib.drift.meaning import Meaning
from chalicelib.drift.snapshot import build

GET, PUT = allow("s3:GetObject"), allow("s3:PutObject")


def test_snapshot_files_of_an_account_are_compared_by_meaning(holdfast, tmp_path):
    for name, statements in (("a", [GET]), ("b", [PUT])):
        taken = build([account(), role("app"), inline("role app", "x", *statements)])
        (tmp_path / f"{name}.jsonl").write_bytes(taken.data)
    files = [str(tmp_path / f"{name}.jsonl") for name in "ab"]
    [found] = holdfast("diff", *files, "--json", expect=1).json["findings"]
    assert (found["direction"], found["severity"], found["rule"]) == ("both", "high", "iam.policy")
    assert found["meaning"]["verdict"] == "both"
    assert "both" in holdfast("diff", *files, expect=1).out


def test_a_meaning_is_shown_with_its_reasons_and_what_it_holds_for():
    assert _meaning(None) == []
    assert _meaning(Meaning(Widening.NEUTRAL)) == [("meaning", "neutral")]
    full = Meaning(Widening.WIDENED, ["a", "b"], "2026-11-01", "agrees", {"attached": True})
    assert _meaning(full) == [
        ("meaning", "widened"),
        ("because", "a\nb"),
        ("actions", "those that AWS had on 2026-11-01"),
        ("Access Analyzer", "agrees"),
    ]
