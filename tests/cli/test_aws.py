"""``holdfast aws`` and who one is there, from the command line, on the emulated AWS."""

from __future__ import annotations

import importlib

import pytest

from chalicelib.aws import session
from chalicelib.kernel.errors import NotAllowed
from chalicelib.kernel.record import Actor
from chalicelib.wiring import cloud

app = importlib.import_module("chalicelib.cli.app")  # the package has an object of that name

TOML = """
[aws]
region = "us-east-1"
endpoint = "{endpoint}"
"""


@pytest.fixture
def fleet(holdfast, strict_aws, monkeypatch):
    strict_aws.faults.clear()
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    (holdfast.home / "holdfast.toml").write_text(TOML.format(endpoint=strict_aws.endpoint))
    return holdfast


def test_check_says_what_is_wrong_and_what_to_do(fleet):
    answer = fleet("aws", "check", "--json", expect=1)
    lines = {one["what"]: one for one in answer.json["checks"]}
    assert lines["credentials"]["verdict"] == "ok"
    assert lines["project"]["verdict"] == "wrong"
    assert lines["project"]["next_step"]
    assert "wrong" in fleet("aws", "check", expect=1).out


def test_nothing_is_planned_or_deployed_where_the_preflight_fails(fleet, strict_aws):
    before = strict_aws.client("s3").list_buckets()["Buckets"]
    for verb in (("plan",), ("deploy", "--yes")):
        answer = fleet("aws", *verb, expect=2)
        assert "app.py" in answer.err
    assert strict_aws.client("s3").list_buckets()["Buckets"] == before


def test_another_stage_than_the_file_s_is_refused(fleet):
    answer = fleet("aws", "check", "--stage", "dev", expect=2)
    assert "prod" in answer.err


def test_the_key_that_signs_is_a_parameter_from_the_settings(fleet):
    arn = "arn:aws:kms:us-east-1:123456789012:key/1234"
    path = fleet.home / "holdfast.toml"
    path.write_text(path.read_text() + f'signing_key = "{arn}"\n')
    answer = fleet("aws", "check", "--parameter", "RotatedKeyArn=", expect=2)
    assert "[aws] signing_key" in answer.err
    path.write_text(path.read_text().replace(arn, "alias/holdfast"))
    assert "signing_key" in fleet("aws", "check", expect=2).err


def test_before_the_log_is_opened_every_other_command_says_so(fleet):
    for words in (("scan",), ("target", "ls"), ("evidence", "fsck")):
        answer = fleet(*words, expect=2)
        assert "[log] key is not set" in answer.err
        assert "holdfast aws deploy" in answer.err


def test_on_aws_one_is_who_the_credentials_say_and_nobody_else(fleet, strict_aws, monkeypatch):
    role = "arn:aws:iam::123456789012:role/Engineer"
    answer = strict_aws.client("sts").assume_role(RoleArn=role, RoleSessionName="Ana")
    given = answer["Credentials"]
    cloud.account.cache_clear()  # this process has clients with other credentials
    session._session.cache_clear()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
    assert app.actor() == Actor("ana", "iam")
    monkeypatch.setattr(app.shared, "person", "ben")
    with pytest.raises(NotAllowed, match="you are who your credentials say"):
        app.actor()
    cloud.account.cache_clear()
    session._session.cache_clear()


def test_settings_for_a_stack_are_written_and_nothing_else(holdfast):
    holdfast("init", "--aws-region", "eu-central-1", "--stage", "dev")
    text = (holdfast.home / "holdfast.toml").read_text()
    assert 'region = "eu-central-1"' in text
    assert 'stage = "dev"' in text
    assert not (holdfast.home / ".holdfast").exists()
    answer = holdfast("target", "add", "orders", "--secret", "holdfast/orders")
    assert "holdfast aws deploy" in answer.err
    assert '[targets."orders"]' in (holdfast.home / "holdfast.toml").read_text()
    for words in (
        ("target", "add", "other", "--dsn-env", "ORDERS"),
        ("target", "add", "other", "--dsn", "host=h user=u password=p", "--auth", "rds-iam"),
        ("target", "add", "other"),
        ("init", "--aws-region", "nowhere"),
    ):
        holdfast(*words, expect=2)
