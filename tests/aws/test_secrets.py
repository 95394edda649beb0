from __future__ import annotations

import json
import re
import subprocess
import sys
import traceback

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from support.aws import Fault

from chalicelib.aws.secrets import MAX_KEPT, Secrets, rds_token
from chalicelib.kernel.errors import (
    AuthenticationFailed,
    ConfigError,
    CouldNotTell,
    HoldfastError,
    KeyUnusable,
    StoreUnavailable,
)

PASSWORD = "s3cr3t-p4ssw0rd"
HOST = "orders.cluster-x.eu-central-1.rds.amazonaws.com"
PLAIN = f"postgresql://scan:{PASSWORD}@{HOST}:5433/orders?sslmode=verify-full"
RDS = {
    "engine": "postgres",
    "host": HOST,
    "username": "scan",
    "password": PASSWORD,
    "dbname": "orders",
    "dbInstanceIdentifier": "orders",
    "port": 5433,
}


@pytest.fixture
def aws(empty_aws):
    return empty_aws


@pytest.fixture
def client(aws):
    return aws.client("secretsmanager")


@pytest.fixture
def time():
    return [0.0]


@pytest.fixture
def secrets(client, time):
    return Secrets(client, monotonic=lambda: time[0])


@pytest.fixture
def keep(client):
    def kept(value, name="orders"):
        text = value if isinstance(value, str) else json.dumps(value)
        return client.create_secret(Name=name, SecretString=text)["ARN"]

    return kept


def reads(aws):
    return aws.calls.count(("secretsmanager", "GetSecretValue"))


def says_nothing(error, *secrets_):
    """No part of an error, nor of what it came from, shows a secret."""
    shown = (
        "".join(traceback.format_exception(error)) + repr(error) + getattr(error, "next_step", "")
    )
    return not any(one in shown for one in (PASSWORD, *secrets_))


def test_a_dsn_is_a_dsn(secrets, keep):
    keep(PLAIN)
    assert conninfo_to_dict(secrets.dsn("orders")) == conninfo_to_dict(PLAIN)


def test_a_secret_is_found_by_its_arn(secrets, keep):
    assert secrets.dsn(keep(PLAIN)) == secrets.dsn("orders")


@pytest.mark.parametrize(
    "change",
    [{}, {"port": "5433"}, {"engine": "aurora-postgresql"}, {"dbname": None, "database": "orders"}],
)
def test_rds_s_json_is_a_dsn(secrets, keep, change):
    keep(RDS | change)
    assert conninfo_to_dict(secrets.dsn("orders")) == {
        "user": "scan",
        "password": PASSWORD,
        "host": HOST,
        "port": "5433",
        "dbname": "orders",
    }


def test_a_managed_password_is_put_into_the_dsn_beside_it(secrets, keep):
    """The secret that RDS makes itself has user and password, and nothing else."""
    keep({"username": "scan", "password": PASSWORD})
    made = secrets.dsn("orders", "postgresql://old:old@db.example:6000/o?sslmode=verify-full")
    assert conninfo_to_dict(made) == {
        "user": "scan",
        "password": PASSWORD,
        "host": "db.example",
        "port": "6000",
        "dbname": "o",
        "sslmode": "verify-full",
    }


@pytest.mark.parametrize("secret", [RDS, PLAIN])
def test_host_port_and_database_beside_the_secret_win_and_the_credential_does_not(
    secrets, keep, secret
):
    keep(secret)
    made = conninfo_to_dict(secrets.dsn("orders", "user=x password=y host=replica dbname=other"))
    assert (made["user"], made["password"]) == ("scan", PASSWORD)
    assert (made["host"], made["port"], made["dbname"]) == ("replica", "5433", "other")


def test_an_address_in_the_secret_does_not_lead_elsewhere_than_the_host_beside_it(secrets, keep):
    keep(f"user=scan password={PASSWORD} host={HOST} hostaddr=192.0.2.1 dbname=o")
    assert "hostaddr" not in conninfo_to_dict(secrets.dsn("orders", "host=replica"))
    made = conninfo_to_dict(secrets.dsn("orders", "hostaddr=192.0.2.9"))
    assert (made.get("host"), made["hostaddr"]) == (None, "192.0.2.9")


@pytest.mark.parametrize(
    "value",
    [
        "not a dsn " + PASSWORD,
        f"postgresql://scan:{PASSWORD}@[",
        "{",
        "[]",
        "{}",
        {k: v for k, v in RDS.items() if k != "password"},
        {k: v for k, v in RDS.items() if k != "username"},
        {k: v for k, v in RDS.items() if k != "host"},
        f"user=scan password={PASSWORD} dbname=orders",
        f"host=h password={PASSWORD}",
        RDS | {"password": ""},
        RDS | {"password": 7},
        RDS | {"password": PASSWORD + "\0"},
        RDS | {"host": ["h"]},
        RDS | {"port": 0},
        RDS | {"port": 65_536},
        RDS | {"port": True},
        RDS | {"port": "5432 host=evil"},
        RDS | {"port": "²"},
        RDS | {"engine": "mysql"},
        RDS | {"engine": []},
        RDS | {"database": "another"},
        '{"username":"a","username":"b","password":"p","host":"h"}',
        '{"username":' + "[" * 1_000 + "]" * 1_000 + "}",
    ],
)
def test_a_secret_of_another_form_is_a_target_that_cannot_be_read(secrets, keep, value):
    keep(value)
    with pytest.raises(AuthenticationFailed, match="the secret 'orders'") as caught:
        secrets.dsn("orders")
    assert says_nothing(caught.value)


@pytest.mark.parametrize("state", ["missing", "deleted", "binary", "large"])
def test_a_secret_that_is_not_there_is_a_target_that_cannot_be_read(secrets, keep, client, state):
    if state == "deleted":
        keep(PLAIN)
        client.delete_secret(SecretId="orders")
    elif state == "binary":
        client.create_secret(Name="orders", SecretBinary=PLAIN.encode())
    elif state == "large":
        client.meta.events.register(
            "after-call.secrets-manager.GetSecretValue",
            lambda parsed, **_: parsed.update(SecretString="x" * 65_537),
        )
        keep(PLAIN)
    with pytest.raises(AuthenticationFailed) as caught:
        secrets.dsn("orders")
    assert caught.value.exit_code == 3
    with pytest.raises(KeyUnusable):
        secrets.seal("orders")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(400, "AccessDeniedException"), AuthenticationFailed),
        (Fault(400, "DecryptionFailure"), AuthenticationFailed),
        (Fault(400, "ThrottlingException"), StoreUnavailable),
        (Fault(500, "InternalServiceError"), StoreUnavailable),
        (Fault(how="drop"), StoreUnavailable),
    ],
)
def test_a_service_that_does_not_tell_is_could_not_tell_and_is_asked_again(
    secrets, keep, aws, fault, error
):
    keep(PLAIN)
    aws.fail("secretsmanager", "*", fault, times=100)
    with pytest.raises(error) as caught:
        secrets.dsn("orders")
    assert isinstance(caught.value, CouldNotTell)
    aws.faults.clear()
    assert secrets.dsn("orders")


@pytest.mark.parametrize("name", ["", PLAIN, f"scan:{PASSWORD}@x y", "a" * 600, "a\n", "ä"])
def test_what_is_no_name_is_refused_and_not_repeated(secrets, aws, name):
    with pytest.raises(ConfigError) as caught:
        secrets.dsn(name)
    assert says_nothing(caught.value)
    assert reads(aws) == 0


def test_a_dsn_beside_the_secret_that_cannot_be_parsed_is_not_repeated(secrets, keep):
    keep(PLAIN)
    with pytest.raises(ConfigError) as caught:
        secrets.dsn("orders", f"host=x {PASSWORD}")
    assert says_nothing(caught.value)


def test_a_secret_is_read_once_until_it_is_old(secrets, keep, client, aws, time):
    keep(PLAIN)
    first = secrets.dsn("orders")
    client.put_secret_value(SecretId="orders", SecretString=PLAIN.replace(PASSWORD, "rotated"))
    time[0] = 299.9
    assert secrets.dsn("orders") == first
    assert reads(aws) == 1
    time[0] = 300.0
    assert conninfo_to_dict(secrets.dsn("orders"))["password"] == "rotated"
    assert reads(aws) == 2


def test_what_was_refused_is_forgotten_and_read_anew(secrets, keep, client):
    keep(PLAIN)
    secrets.dsn("orders")
    client.put_secret_value(SecretId="orders", SecretString=PLAIN.replace(PASSWORD, "rotated"))
    secrets.forget("orders")
    secrets.forget("never read")
    assert conninfo_to_dict(secrets.dsn("orders"))["password"] == "rotated"


def test_a_failure_is_not_kept(secrets, keep):
    with pytest.raises(AuthenticationFailed):
        secrets.dsn("orders")
    keep(PLAIN)
    assert secrets.dsn("orders")


def test_what_is_kept_is_bounded(secrets):
    secrets._get = lambda name: f"user=u host={name}"
    for number in range(MAX_KEPT + 5):
        secrets.dsn(f"s{number}")
    assert len(secrets._kept) == MAX_KEPT
    assert "s0" not in secrets._kept


def test_the_seal_is_the_secret_s_text(secrets, keep):
    keep("k" * 32, "seal")
    assert secrets.seal("seal") == b"k" * 32
    keep("k" * 31, "short")
    with pytest.raises(KeyUnusable, match="too short") as caught:
        secrets.seal("short")
    assert says_nothing(caught.value, "k" * 31)


def test_nothing_shows_what_is_kept(secrets, keep):
    keep(PLAIN)
    secrets.dsn("orders")
    assert PASSWORD not in repr(secrets) + str(secrets)


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, TEXT)
def test_any_user_and_password_stay_one_value_each(secrets, user, password):
    """Quotes, backslashes, spaces: nothing breaks out into another parameter."""
    secrets.forget("x")
    value = {"username": user, "password": password, "host": "h"}
    secrets._get = lambda _: json.dumps(value)
    assert conninfo_to_dict(secrets.dsn("x")) == {"user": user, "password": password, "host": "h"}


TOKEN = "host=orders.rds.amazonaws.com port=5433 user=scan dbname=o sslmode=verify-full"


def token(aws, dsn=TOKEN, region="eu-central-1"):
    return rds_token(aws.client("rds"), dsn, region)


def test_a_token_is_signed_here_for_host_port_and_user_and_lives_15_minutes(aws):
    made = conninfo_to_dict(token(aws))
    url = made.pop("password")
    assert made == conninfo_to_dict(TOKEN)
    assert url.startswith("orders.rds.amazonaws.com:5433/?Action=connect&DBUser=scan&")
    assert re.search(r"X-Amz-Credential=[^&]*%2Feu-central-1%2Frds-db%2F", url)
    assert "X-Amz-Expires=900" in url
    assert aws.calls == []


def test_the_port_is_postgresql_s_unless_said(aws):
    made = token(aws, "host=h user=u sslmode=require password=old")
    assert conninfo_to_dict(made)["password"].startswith("h:5432/")


@pytest.mark.parametrize("mode", ["", "disable", "allow", "prefer"])
def test_a_token_is_not_given_to_a_connection_that_may_be_unencrypted(aws, mode):
    with pytest.raises(ConfigError, match="sslmode"):
        token(aws, f"host=h user=u {mode and 'sslmode='}{mode}")


@pytest.mark.parametrize(
    "dsn",
    [
        "user=u",
        "host=h",
        "host=a,b user=u",
        "host=/tmp user=u",
        "host=@x user=u",
        "host=h user=u port=1,2",
        "host=h user=u port=70000",
        f"host=h {PASSWORD}",
    ],
)
def test_a_token_is_for_one_host_port_and_user(aws, dsn):
    with pytest.raises(ConfigError) as caught:
        token(aws, dsn if PASSWORD in dsn else f"{dsn} sslmode=require")
    assert says_nothing(caught.value)


def test_without_credentials_there_is_no_token():
    import botocore.session

    session = botocore.session.Session()
    session.register_component("credential_provider", _None())
    client = session.create_client("rds", region_name="eu-central-1")
    with pytest.raises(HoldfastError) as caught:
        rds_token(client, TOKEN, "eu-central-1")
    assert isinstance(caught.value, CouldNotTell)


class _None:
    def load_credentials(self):
        return None


def test_neither_psycopg_nor_an_aws_library_is_loaded_before_it_is_needed():
    program = (
        "import sys, chalicelib.aws.secrets, chalicelib.aws.queue, chalicelib.aws.events, "
        "chalicelib.aws.identity; print([m for m in ('psycopg', 'boto3', 'botocore') "
        "if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() in {"[]", "['botocore']"}
