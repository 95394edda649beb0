"""Tokens of RDS for leases' roles."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.aws.login import tokens
from chalicelib.kernel.errors import ConfigError

HOST = "orders.abc.eu-central-1.rds.amazonaws.com"


@pytest.fixture
def token(empty_aws):
    return tokens(empty_aws.client("rds"), "eu-central-1")


def test_a_token_is_for_one_host_port_and_role_for_15_minutes(token):
    found = urlsplit("https://" + token(HOST, "5433", "hf_a"))
    query = {name: one for name, (one,) in parse_qs(found.query).items()}
    assert (found.hostname, found.port) == (HOST, 5433)
    assert (query["Action"], query["DBUser"]) == ("connect", "hf_a")
    assert query["X-Amz-Expires"] == "900"
    assert "/eu-central-1/rds-db/" in query["X-Amz-Credential"]


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("", "5432"),
        ("/run/postgresql", "5432"),
        ("@abstract", "5432"),
        ("a,b", "5432"),
        (HOST, "0"),
        (HOST, "70000"),
        (HOST, ""),
        (HOST, "x"),
        (HOST, "5432,5433"),
        (HOST, "٥٤٣٢"),
    ],
)
def test_another_place_has_no_token(token, host, port):
    with pytest.raises(ConfigError, match="token of RDS is for one"):
        token(host, port, "hf_a")
