"""The demonstration is the main job, told end to end with the real commands."""

from __future__ import annotations

import json
import re
import shutil
import zipfile


def test_the_story_comes_out_as_told(holdfast):
    answer = holdfast("demo", "run")
    for fact in (
        "Whoever proposes cannot approve",
        "$ holdfast scan shop",
        "Her own approval does not count",
        "Outside of the scope",
        "A session that is open when the time is over is ended with it",
        "The next scan names each change, and exits with 1",
        "a stand-in of AWS (moto) on this machine; no call leaves it",
        "$ holdfast scan iam-prod orders-rds",
        "Somebody has an access key of the user mallory",
        "$ holdfast access reach iam-prod",
        "$ holdfast evidence verify packet.zip",
    ):
        assert fact in answer.out
    config = ("--config", "run/holdfast.toml")
    rows = holdfast(*config, "drift", "ls", "shop", "--json").json
    found = {(row["kind"], row["name"], row["attribute"], row["direction"]) for row in rows}
    assert found == {
        ("column", "ml.fraud_features.refund_rate", "", "neutral"),
        ("grant", "table shop.customers to PUBLIC", "", "widens"),
        ("setting", "log_statement", "value", "widens"),
        ("file_setting", "log_statement in postgresql.auto.conf", "value", "neutral"),
        ("table", "shop.customers", "row_security", "widens"),
        ("function", "ml.may_retrain(text)", "body", "widens"),
        ("index", "shop.orders_by_customer", "valid", "widens"),
    }
    listed = holdfast(*config, "evidence", "ls", "--json").json
    ended, revoked = (one["body"] for one in listed if one["kind"] == "lease.ended")
    assert (ended["why"], set(ended["proof"]["verified"].values())) == ("expired", {0})
    assert (revoked["why"], set(revoked["proof"]["verified"].values())) == ("revoked", {0})
    dated = {row["name"] for row in rows if row["when"].get("committed")}
    undated = {"log_statement", "log_statement in postgresql.auto.conf"}
    assert dated == {name for _, name, _, _ in found} - undated
    holdfast(*config, "evidence", "fsck")
    assert (holdfast.home / "run" / "postgres" / "data" / "PG_VERSION").read_text().strip() == "18"
    aws_is_told(holdfast, config)
    packet_has_all(holdfast.home / "run" / "packet.zip")
    forget(holdfast.home / "run")


def aws_is_told(holdfast, config):
    """What somebody did in AWS is found, judged by its meaning, and it is said who it was."""
    rows = holdfast(*config, "drift", "ls", "iam-prod", "orders-rds", "--json").json
    found = {(row["kind"], group(row["name"]), row["attribute"], row["direction"]) for row in rows}
    assert found == {
        ("iam_inline_policy", "role shop-web: orders", "document", "widens"),
        ("iam_database_access", "role shop-web: rds-db:connect", "", "widens"),
        (
            "iam_database_access",
            "service ecs-tasks.amazonaws.com: rds-db:connect",
            "through",
            "neutral",
        ),
        ("security_group_rule", "sg-… in tcp 5432 from 0.0.0.0/0", "", "widens"),
        ("rds_instance", "orders", "deletion_protection", "widens"),
        ("rds_disagreement", "log_statement", "", "neutral"),
    }
    (policy,) = (row for row in rows if row["kind"] == "iam_inline_policy")
    assert policy["meaning"]["verdict"] == "widened"
    assert "rds-db:connect on arn:aws:rds-db:" in policy["meaning"]["reasons"][0]
    who = {
        row["kind"]: {
            (one["event"], one["principal"]["name"], one["address"])
            for one in row["who"]["candidates"]
        }
        for row in rows
        if row.get("who")
    }
    mallory = "arn:aws:iam::123456789012:user/mallory"
    assert who == {
        "iam_inline_policy": {("PutRolePolicy", mallory, "127.0.0.1")},
        "security_group_rule": {("AuthorizeSecurityGroupIngress", mallory, "127.0.0.1")},
        "rds_instance": {("ModifyDBInstance", mallory, "127.0.0.1")},
    }
    reaching = holdfast(*config, "access", "reach", "iam-prod", "--json").json
    assert {one["who"]: one["through"] for one in reaching["who"]} == {
        "role nightly-batch": ["report"],
        "role orders-api": [],
        "role report": [],
        "role shop-web": [],
        "service ecs-tasks.amazonaws.com": ["orders-api", "shop-web"],
        "service lambda.amazonaws.com": ["nightly-batch", "report"],
    }


def group(name):
    """A name without the id that a security group happens to have."""
    return re.sub("sg-[0-9a-f]+", "sg-…", name)


def packet_has_all(path):
    with zipfile.ZipFile(path) as packet:
        said = json.loads(packet.read("coverage.json"))
    assert {row["target"] for row in said["targets"]} == {
        "iam:iam-prod",
        "postgres:shop",
        "rds:orders-rds",
    }


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
