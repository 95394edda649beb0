"""Signed requests, held to an implementation of Signature Version 4 that is written here.

It is itself held to the example that AWS documents with every intermediate value (IAM ListUsers of
2015-08-30), and to the derivation of its signing key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import urllib.parse

import pytest
from botocore.credentials import Credentials

from chalicelib.aws import requests
from chalicelib.aws.requests import Signer, region
from chalicelib.kernel.errors import ConfigError, CouldNotTell

KEY = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


def canonical(method, url, fields, body):
    """The canonical request and the names of its headers; all of ``fields`` are signed."""
    where = urllib.parse.urlsplit(url)
    path = urllib.parse.quote(where.path, safe="/-_.~")  # once more than it is sent, but for S3
    pairs = sorted(where.query.split("&")) if where.query else []
    given = {name.lower(): " ".join(value.split()) for name, value in fields.items()}
    names = sorted(given)
    lines = [
        method,
        path or "/",
        "&".join(pairs),
        *(f"{name}:{given[name]}" for name in names),
        "",
        ";".join(names),
        hashlib.sha256(body).hexdigest(),
    ]
    return "\n".join(lines), ";".join(names)


def signature(text, at, region, service):
    scope = f"{at[:8]}/{region}/{service}/aws4_request"
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(text.encode()).hexdigest()
    said = f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{digest}"
    return scope, hmac.digest(key, said.encode(), "sha256").hex()


def test_the_checker_makes_the_documented_signature():
    fields = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": "iam.amazonaws.com",
        "x-amz-date": "20150830T123600Z",
    }
    url = "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08"
    text, _ = canonical("GET", url, fields, b"")
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"
    )
    _, found = signature(text, "20150830T123600Z", "us-east-1", "iam")
    assert found == "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"


HOST = "a1b2c3.execute-api.eu-west-1.amazonaws.com"
FIELDS = {"Accept": "application/json, application/problem+json"}
POSTED = FIELDS | {"Content-Type": "application/json", "Idempotency-Key": "0af3"}


@pytest.mark.parametrize(
    ("method", "path", "fields", "body"),
    [
        ("GET", "/api/iam/v1/me", FIELDS, None),
        ("GET", "/api/iam/v1/targets/postgres%3Aorders/baseline", FIELDS, None),
        ("GET", "/api/iam/v1/findings?text=a%26b%20c%3D%C3%A9&limit=3&sort=-name", FIELDS, None),
        ("GET", "/api/iam/v1/findings?severity=low&severity=high", FIELDS, None),
        ("POST", "/api/iam/v1/scans", POSTED, b'{"target":"orders"}'),
    ],
)
@pytest.mark.parametrize("token", [None, "a-session-token"])
def test_a_signature_is_over_what_is_sent(method, path, fields, body, token):
    url = f"https://{HOST}{path}"
    added = Signer("eu-west-1", Credentials(KEY, SECRET, token))(method, url, fields, body)
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
        added["Authorization"],
    )
    signed = {"host": HOST, **fields, "X-Amz-Date": added["X-Amz-Date"]}
    if token is not None:
        signed["X-Amz-Security-Token"] = token
        assert added["X-Amz-Security-Token"] == token
    text, names = canonical(method, url, signed, body or b"")
    scope, right = signature(text, added["X-Amz-Date"], "eu-west-1", "execute-api")
    assert found[1] == f"{KEY}/{scope}"
    assert found[2] == names
    assert found[3] == right
    assert SECRET not in str(added)
    assert not added.keys() & fields.keys()


def test_without_credentials_nothing_is_signed(monkeypatch):
    monkeypatch.setattr(requests.session, "credentials", lambda: None)
    with pytest.raises(CouldNotTell, match="credentials"):
        Signer("eu-west-1")("GET", f"https://{HOST}/v1/me", FIELDS, None)


def test_the_region_is_the_hosts_or_the_configured_one(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert region(HOST) == "eu-west-1"
    assert region(HOST.upper()) == "eu-west-1"
    assert region("a1.execute-api.cn-north-1.amazonaws.com.cn") == "cn-north-1"
    assert region("api.example.com") == "eu-central-1"
    assert region(f"{HOST}.example.com") == "eu-central-1"
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setattr(requests.session, "region", lambda: "")
    with pytest.raises(ConfigError, match="region of"):
        region("api.example.com")
