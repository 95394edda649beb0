from __future__ import annotations

import pytest
from support.aws import Fault

from chalicelib import settings, wiring
from chalicelib.aws.identity import caller
from chalicelib.evidence import note
from chalicelib.kernel.errors import CouldNotTell, UsageError
from chalicelib.kernel.signing import Algorithm, PublicKey

ACCOUNT = "123456789012"


@pytest.fixture
def sts(empty_aws):
    return empty_aws.client("sts")


@pytest.fixture
def known_as(sts):
    """Lets STS answer another ARN than moto's one."""

    def answer(arn):
        sts.meta.events.register(
            "after-call.sts.GetCallerIdentity", lambda parsed, **_: parsed.update(Arn=arn)
        )
        return sts

    return answer


@pytest.mark.parametrize(
    ("arn", "person"),
    [
        (f"arn:aws:iam::{ACCOUNT}:root", "root"),
        (f"arn:aws:iam::{ACCOUNT}:user/ana", "ana"),
        (f"arn:aws:iam::{ACCOUNT}:user/team/dba/Ana.B@example.com", "ana.b@example.com"),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/approver/ana@example.com", "ana@example.com"),
        (f"arn:aws-us-gov:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_x_0/Ana", "ana"),
        (f"arn:aws-cn:iam::{ACCOUNT}:user/ana", "ana"),
    ],
)
def test_the_person_behind_the_credentials(known_as, arn, person):
    assert caller(known_as(arn)) == person


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:sts::{ACCOUNT}:federated-user/ana",
        f"arn:aws:iam::{ACCOUNT}:role/approver",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/approver",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/approver/",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b/ana",
        f"arn:aws:iam::{ACCOUNT}:user/",
        f"arn:aws:iam::{ACCOUNT}:user/ana\n",
        f"arn:aws:iam::{ACCOUNT}:user/an a",
        f"arn:aws:iam::{ACCOUNT}:rooted",
        f"arn:other:iam::{ACCOUNT}:root",
        "arn:aws:iam::1:root",
        "ana",
        "",
    ],
)
def test_what_names_no_person_is_refused(known_as, arn):
    with pytest.raises(UsageError, match="do not name a person"):
        caller(known_as(arn))


def test_an_assumed_role_s_session_is_the_person(sts, empty_aws):
    """Through moto's own AssumeRole, not an answer made up here."""
    role = f"arn:aws:iam::{ACCOUNT}:role/approver"
    made = sts.assume_role(RoleArn=role, RoleSessionName="Ben")
    import botocore.session

    session = botocore.session.Session().create_client(
        "sts",
        region_name="us-east-1",
        endpoint_url=empty_aws.endpoint,
        aws_access_key_id=made["Credentials"]["AccessKeyId"],
        aws_secret_access_key=made["Credentials"]["SecretAccessKey"],
        aws_session_token=made["Credentials"]["SessionToken"],
    )
    assert caller(session) == "ben"


def test_sts_that_does_not_answer_is_said(sts, empty_aws):
    empty_aws.fail("sts", "*", Fault(500), times=100)
    with pytest.raises(CouldNotTell):
        caller(sts)


def test_the_person_is_the_name_that_counts(sts, empty_aws, tmp_path, monkeypatch):
    """Else one person could approve as two: here, and through the API."""
    role = f"arn:aws:iam::{ACCOUNT}:role/approver"
    made = sts.assume_role(RoleArn=role, RoleSessionName="Ana.B@example.com")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", made["SessionToken"])
    path = tmp_path / "holdfast.toml"
    key = note.verifier("log.example", PublicKey(Algorithm.ED25519, bytes(32)))
    text = f"[aws]\nregion = 'us-east-1'\nendpoint = '{empty_aws.endpoint}'\n[log]\nkey = '{key}'\n"
    path.write_text(text)
    assert wiring.caller(settings.load(path)) == "ana.b@example.com"
    path.write_text(f"{text}[identity.people]\n'ana.b@example.com' = 'ana'\n")
    assert wiring.caller(settings.load(path)) == "ana"
