"""The door: settings to principals; and what of one machine no deployment can reach."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace

import pytest
from support.tokens import Clock, claims, ed_key, jwk, rsa_key, token

from chalicelib import settings
from chalicelib.access.principal import Kind
from chalicelib.evidence import note
from chalicelib.kernel.errors import CouldNotTell, Unauthenticated, Unreachable
from chalicelib.kernel.signing import Algorithm, PublicKey
from chalicelib.local.issuer import LocalIssuer
from chalicelib.wiring.identity import Door, door, fetched, local_issuer

OKTA = "https://dev-1.okta.com/oauth2/default"
KEY = note.verifier(
    "log.example", PublicKey(Algorithm.ED25519, ed_key().public_key().public_bytes_raw())
)
SESSION = "arn:aws:sts::123456789012:assumed-role/dev/ab"
TEXT = f"""
[log]
key = '{KEY}'
[[identity.issuers]]
issuer = '{OKTA}'
audience = 'holdfast'
jwks_uri = 'https://dev-1.okta.com/keys'
groups_claim = 'groups'
names = ['*']
[[identity.iam]]
arn = 'arn:aws:sts::123456789012:assumed-role/dev/*'
names = ['*']
[identity.people]
ab = 'ana'
[identity.groups]
owners = ['person:ana']
"""
AWS = "\n[aws]\nregion = 'eu-central-1'\n"


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / ".holdfast" / "key").mkdir(parents=True, mode=0o700)

    def load(text=TEXT):
        path = tmp_path / "holdfast.toml"
        path.write_text(text)
        return settings.load(path)

    return load


def keys(url):
    assert url == "https://dev-1.okta.com/keys"
    return json.dumps({"keys": [jwk(rsa_key())]}).encode()


def nothing(url):
    raise AssertionError(url)


def test_a_bearer_of_a_token_and_an_aws_identity_are_one_person(loaded):
    found = Door(loaded(), keys, Clock())
    text = token(rsa_key(), body=claims(iss=OKTA, sub="AB", groups=["dba"], jti="t"))
    who = found.bearer(text)
    assert (who.id, who.via, who.groups, who.session) == (
        "person:ana",
        "oidc",
        ("dba", "owners"),
        "t",
    )
    who = found.iam(SESSION)
    assert (who.id, who.via, who.groups, who.session) == ("person:ana", "iam", ("owners",), SESSION)


def test_an_issuer_that_does_not_answer_is_no_fault_of_the_token(loaded):
    def down(url):
        raise Unreachable("no answer")

    with pytest.raises(CouldNotTell, match="cannot be had"):
        Door(loaded(), down, Clock()).bearer(token(rsa_key(), body=claims(iss=OKTA)))


def test_a_token_of_no_configured_issuer_fetches_nothing(loaded):
    found = Door(loaded(), nothing, Clock())
    for text in (token(rsa_key()), token(rsa_key(), "none", claims(iss=OKTA), by="RS256"), "a.b.c"):
        with pytest.raises(Unauthenticated):
            found.bearer(text)


def local_token(loaded, now):
    issuer = LocalIssuer(loaded.store_path / "key", loaded.keyring.origin)
    return issuer.issue(
        "ana",
        kind=Kind.PERSON,
        via="os",
        roles=["approver"],
        groups=[],
        ttl=timedelta(hours=1),
        now=now,
        jti="t",
    )


def test_a_local_token_opens_the_door_of_a_store_in_a_folder(loaded):
    clock = Clock()
    found = Door(loaded(), nothing, clock)  # made before the first token, and its key
    who = found.bearer(local_token(loaded(), clock.now()))
    assert (who.id, who.via, who.roles) == ("person:ana", "os", ("approver",))


@pytest.mark.parametrize("text", [TEXT + AWS, f"[log]\nkey = '{KEY}'\n{AWS}"], ids=["okta", "none"])
def test_a_local_token_opens_nothing_on_aws_even_beside_its_key(loaded, text):
    clock = Clock()
    good = local_token(loaded(), clock.now())
    assert Door(loaded(), nothing, clock).bearer(good)
    deployed = loaded(text)
    assert (deployed.store_path / "key" / "issuer.pem").exists()
    assert local_issuer(deployed) is None
    with pytest.raises(Unauthenticated, match=r"issuer is none of those|name no issuer"):
        Door(deployed, nothing, clock).bearer(good)


def test_on_aws_the_local_issuer_is_not_even_loaded(loaded):
    path = loaded(TEXT + AWS).path
    code = (
        "import sys, pathlib; from chalicelib import settings;"
        "from chalicelib.wiring import identity;"
        f"door = identity.Door(settings.load(pathlib.Path({str(path)!r})), identity.fetched, None);"
        f"assert door.iam({SESSION!r}).id == 'person:ana';"
        "assert 'chalicelib.local.issuer' not in sys.modules;"
        "assert not any(name.startswith('chalicelib.local') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_issuer_of_the_settings_cannot_pass_for_the_local_one(loaded):
    """Its tokens may say roles and a kind: they do not count; nor can it name the local issuer."""
    found = Door(loaded(), keys, Clock())
    body = claims(iss=OKTA, sub="mallory", roles=["approver"], kind="pipeline", via="os")
    who = found.bearer(token(rsa_key(), body=body))
    assert (who.id, who.via, who.roles) == ("person:mallory", "oidc", ())
    name = "holdfast:local:log.example"
    with pytest.raises(Unauthenticated):
        found.bearer(token(rsa_key(), body=body | {"iss": name, "aud": name}))


def test_a_door_is_kept_for_as_long_as_the_settings_are_the_same(loaded):
    def services(text=TEXT):
        return SimpleNamespace(settings=loaded(text), desk=SimpleNamespace(clock=Clock()))

    first = door(services())
    assert door(services()) is first
    changed = door(services(TEXT.replace("'ana'", "'anna'")))
    assert changed is not first
    assert changed.iam(SESSION).id == "person:anna"


def test_what_is_fetched_is_over_http_and_whole():
    with pytest.raises(Unreachable):
        fetched("http://127.0.0.1:1/jwks")
