"""The demonstration is the main job, told end to end with the real commands."""

from __future__ import annotations

import shutil


def test_the_story_comes_out_as_told(holdfast):
    answer = holdfast("demo", "run")
    for fact in (
        "Whoever proposes cannot approve",
        "$ holdfast scan shop",
        "Her own approval does not count",
        "Outside of the scope",
        "A session that is open when the time is over is ended with it",
        "The next scan names each change, and exits with 1",
    ):
        assert fact in answer.out
    rows = holdfast("--config", "run/holdfast.toml", "drift", "ls", "--json").json
    found = {(row["kind"], row["name"], row["attribute"], row["direction"]) for row in rows}
    assert found == {
        ("column", "ml.fraud_features.refund_rate", "", "neutral"),
        ("grant", "table shop.customers to PUBLIC", "", "widens"),
        ("setting", "log_statement", "value", "widens"),
        ("table", "shop.customers", "row_security", "widens"),
        ("function", "ml.may_retrain(text)", "body", "widens"),
        ("index", "shop.orders_by_customer", "valid", "widens"),
    }
    listed = holdfast("--config", "run/holdfast.toml", "evidence", "ls", "--json").json
    ended, revoked = (one["body"] for one in listed if one["kind"] == "lease.ended")
    assert (ended["why"], set(ended["proof"]["verified"].values())) == ("expired", {0})
    assert (revoked["why"], set(revoked["proof"]["verified"].values())) == ("revoked", {0})
    dated = {row["name"] for row in rows if row["when"].get("committed")}
    assert dated == {name for _, name, _, _ in found} - {"log_statement"}
    holdfast("--config", "run/holdfast.toml", "evidence", "fsck")
    assert (holdfast.home / "run" / "postgres" / "data" / "PG_VERSION").read_text().strip() == "18"
    forget(holdfast.home / "run")


def forget(folder):
    """As root, below a closed folder, the server's files are elsewhere."""
    shutil.rmtree((folder / "postgres").resolve())


def test_the_story_can_be_told_again_and_empties_nothing_else(holdfast):
    other = holdfast.home / "other"
    other.mkdir()
    (other / "file").write_text("ours")
    assert "nothing was changed" in holdfast("demo", "other", expect=2).err
    assert (other / "file").read_text() == "ours"
    (other / ".holdfast-demo").write_text("")
    holdfast("demo", "other")
    assert not (other / "file").exists()
    forget(other)
