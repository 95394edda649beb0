"""AWS roles among the targets: leased and listed, and scanned by nobody."""

from __future__ import annotations

import pytest

ROLE = """
[profiles.read-config]
actions = ["s3:GetObject"]

[targets.config]
kind = "sts"
[targets.config.access]
role_arn = "arn:aws:iam::123456789012:role/leased"
"""


@pytest.fixture
def both(shop):
    with (shop.home / "holdfast.toml").open("a") as file:
        file.write(ROLE)
    return shop


def test_a_role_is_listed_and_no_scan_of_all_takes_it(both):
    assert [one["target"] for one in both("target", "ls", "--json").json] == [
        "sts:config",
        "postgres:orders",
    ]
    answer = both("scan", "--json", expect=None)
    assert "config" not in answer.out + answer.err
    assert "postgres:orders" in answer.out


def test_a_role_that_is_to_be_scanned_is_refused_with_what_it_is(both):
    answer = both("scan", "sts:config", expect=2)
    assert "is an AWS role: it is leased, and has nothing to scan" in answer.err
    assert "holdfast request config" in answer.err


def test_a_dsn_is_still_its_target_s(both, database):
    answer = both("scan", database.dsn, "--json", expect=None)
    assert "postgres:orders" in answer.out
