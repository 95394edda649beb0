"""What the stack is let do follows the targets in the settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chalicelib import settings
from chalicelib.aws.preflight import Watched
from chalicelib.kernel.errors import ConfigError
from chalicelib.wiring import granted, watched

HERE = """
[aws]
region = 'eu-central-1'
[log]
key = ''
"""
IAM = "[targets.us]\nkind = 'iam'\naccount = '123456789012'\n"
RDS = "[targets.orders-rds]\nkind = 'rds'\ninstance = 'orders'\n"
DATABASE = "[targets.orders]\nsecret = 'holdfast/orders'\n"
LEASED = (
    "[targets.ml]\nkind = 'sts'\n[targets.ml.access]\n"
    "role_arn = 'arn:aws:iam::123456789012:role/ml'\n"
)
ROLE = "arn:aws:iam::111122223333:role/holdfast-reads"
NOTHING = {
    "WatchIam": "false",
    "WatchRds": "false",
    "AskAccessAnalyzer": "false",
    "WatchedRoleArns": "",
}


def loaded(tmp_path, *parts):
    path = tmp_path / "holdfast.toml"
    path.write_text(HERE + "".join(parts))
    return settings.load(path)


def by_role(part, role=ROLE):
    return f"{part}role_arn = '{role}'\n".replace("123456789012", "111122223333")


@pytest.mark.parametrize(
    ("parts", "more"),
    [
        ((), {}),
        ((DATABASE, LEASED), {}),
        ((IAM,), {"WatchIam": "true"}),
        ((RDS,), {"WatchRds": "true"}),
        ((IAM, "access_analyzer = true\n"), {"WatchIam": "true", "AskAccessAnalyzer": "true"}),
        ((by_role(IAM), "access_analyzer = true\n"), {"WatchedRoleArns": ROLE}),
        ((IAM, by_role(RDS)), {"WatchIam": "true", "WatchedRoleArns": ROLE}),
        ((by_role(IAM), by_role(RDS)), {"WatchedRoleArns": ROLE}),
        (
            (by_role(IAM, f"{ROLE}-2"), by_role(RDS)),
            {"WatchedRoleArns": f"{ROLE},{ROLE}-2"},
        ),
    ],
)
def test_only_what_the_targets_need_is_granted(tmp_path, parts, more):
    assert granted.parameters(loaded(tmp_path, *parts)) == NOTHING | more


def test_what_is_not_needed_any_more_is_said_too(tmp_path):
    """Parameters that are not named keep their values."""
    assert granted.parameters(loaded(tmp_path)).keys() == NOTHING.keys()


def test_the_key_that_signs_is_one_of_them(tmp_path):
    arn = "arn:aws:kms:eu-central-1:123456789012:key/1234"
    path = tmp_path / "holdfast.toml"
    path.write_text(HERE.replace("[log]", f"signing_key = '{arn}'\n[log]"))
    assert granted.parameters(settings.load(path)) == NOTHING | {"RotatedKeyArn": arn}


def test_the_template_has_these_parameters_and_refuses_by_their_names():
    template = (Path(__file__).parents[2] / "infra" / "template.yaml").read_text()
    declared = re.findall(r"(?m)^  ([A-Z][A-Za-z]+):$", template.split("\nRules:")[0])
    assert set(granted.SAID_BY) <= set(declared)
    assert granted.SAID_BY.keys() == NOTHING.keys() | {"RotatedKeyArn"}


def test_a_role_that_a_list_would_split_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="separated by commas") as refused:
        granted.parameters(loaded(tmp_path, by_role(RDS, f"{ROLE},x")))
    assert "without a comma" in refused.value.next_step


def test_more_roles_than_a_parameter_takes_are_refused(tmp_path):
    parts = [
        by_role(RDS, f"{ROLE}-{number:03}").replace("orders-rds", f"t{number}")
        for number in range(100)
    ]
    with pytest.raises(ConfigError, match="4096 bytes"):
        granted.parameters(loaded(tmp_path, *parts))


def test_the_preflight_looks_at_each_target_by_its_kind(tmp_path):
    assert granted.watched(loaded(tmp_path, DATABASE, LEASED, IAM, by_role(RDS))) == [
        Watched("orders", "holdfast/orders"),
        Watched("orders-rds", by_api=True, role_arn=ROLE),
        Watched("us", by_api=True, account="123456789012"),
    ]


def test_the_trust_policy_of_the_page_lets_the_session_in_that_is_made():
    page = (Path(__file__).parents[2] / "docs" / "targets" / "aws.md").read_text()
    (named,) = re.findall(r'"sts:RoleSessionName": "([^"]+)"', page)
    assert named == watched.SESSION
