"""The issuer of one machine: its tokens go the way of every other, and no further."""

from __future__ import annotations

import json
import stat
import threading
from datetime import timedelta

import pytest
from support.tokens import NOW, ed_key, token

from chalicelib.access.identity import Directory, principal
from chalicelib.access.key import octets
from chalicelib.access.principal import Kind, Principal
from chalicelib.access.token import verify
from chalicelib.kernel.errors import (
    KeyUnusable,
    StoreUnavailable,
    Unauthenticated,
    UsageError,
)
from chalicelib.local.issuer import LocalIssuer
from chalicelib.local.signer import KeyFileSigner

ORIGIN = "holdfast.local/1"
NAME = f"holdfast:local:{ORIGIN}"
HOUR = timedelta(hours=1)


@pytest.fixture
def local(tmp_path):
    return LocalIssuer(tmp_path, ORIGIN)


def issued(local, name="Ana", *, kind=Kind.PERSON, via="os", ttl=HOUR, jti="t1", **more):
    rest = {"roles": ["engineer"], "groups": ["dba"]} | more
    return local.issue(name, kind=kind, via=via, ttl=ttl, now=NOW, jti=jti, **rest)


def known(local, text, now=NOW):
    issuers = {local.issuer.issuer: local.issuer}
    claims = verify(text, issuers, lambda _, kid: local.keys(kid), now)
    return principal(claims, Directory())


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("via", ["os", "asserted"])
def test_a_token_says_who_and_how_that_is_known(local, kind, via):
    found = known(local, issued(local, kind=kind, via=via))
    assert found == Principal(kind, "ana", via, ("dba",), ("engineer",), "t1")


def test_a_token_names_its_issuer_and_is_for_it_alone(local):
    claims = json.loads(octets(issued(local).split(".")[1]))
    assert (claims["iss"], claims["aud"]) == (NAME, NAME)
    assert claims["exp"] - claims["iat"] == 3_600


def test_the_key_is_its_owner_s_alone_and_made_once(local, tmp_path):
    assert local.keys("") == ()
    issued(local)
    path = tmp_path / "issuer.pem"
    assert [one.name for one in tmp_path.iterdir()] == ["issuer.pem"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    issued(local)
    assert path.read_bytes() == before
    assert KeyFileSigner.load(path).public.data == local.keys("")[0].public.public_bytes_raw()


def test_a_key_that_others_can_read_is_not_used(local, tmp_path):
    text = issued(local)
    (tmp_path / "issuer.pem").chmod(0o640)
    with pytest.raises(KeyUnusable):
        issued(local)
    with pytest.raises(KeyUnusable):
        known(local, text)


def test_a_link_in_the_key_s_place_is_not_followed(local, tmp_path):
    KeyFileSigner.create(tmp_path / "mine.pem")
    (tmp_path / "issuer.pem").symlink_to(tmp_path / "mine.pem")
    with pytest.raises(KeyUnusable):
        issued(local)


def test_tokens_end_with_their_key(local, tmp_path):
    text = issued(local)
    (tmp_path / "issuer.pem").unlink()
    with pytest.raises(Unauthenticated, match="no keys of its issuer"):
        known(local, text)
    issued(local)
    with pytest.raises(Unauthenticated, match="no keys of its issuer"):
        known(local, text)


def test_another_store_s_tokens_are_not_taken(tmp_path):
    stores = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        stores.append(LocalIssuer(tmp_path / name, ORIGIN))
    text = issued(stores[0])
    issued(stores[1])
    with pytest.raises(Unauthenticated, match="no keys of its issuer"):
        known(stores[1], text)
    renamed = LocalIssuer(tmp_path / "a", "another.example")
    with pytest.raises(Unauthenticated, match="issuer is none of those"):
        known(renamed, text)


def test_the_log_s_key_signs_no_tokens(local, tmp_path):
    issued(local)
    kid = local.keys("")[0].kid
    claims = json.loads(octets(issued(local).split(".")[1]))
    with pytest.raises(Unauthenticated, match="its signature is not"):
        known(local, token(ed_key(), "EdDSA", claims, kid=kid))


def test_a_token_is_good_until_it_ends(local):
    text = issued(local, ttl=timedelta(minutes=1))
    assert known(local, text, NOW + timedelta(seconds=119))
    with pytest.raises(Unauthenticated, match="has expired"):
        known(local, text, NOW + timedelta(seconds=120))
    assert known(local, issued(local, ttl=timedelta(hours=24)))


@pytest.mark.parametrize("seconds", [0, -1, 59, 86_401])
def test_a_token_of_another_length_is_not_issued(local, tmp_path, seconds):
    with pytest.raises(UsageError, match="24 hours"):
        issued(local, ttl=timedelta(seconds=seconds))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("more", [{"via": "oidc"}, {"via": ""}, {"roles": ["a"] * 21}])
def test_what_is_not_issued(local, more):
    with pytest.raises(UsageError):
        issued(local, **more)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StoreUnavailable):
        issued(LocalIssuer(tmp_path / "none", ORIGIN))


def test_many_at_once_have_one_key(local, tmp_path):
    started, found = threading.Barrier(8), []

    def issue():
        started.wait(10)
        found.append(issued(local))

    threads = [threading.Thread(target=issue) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [known(local, text).name for text in found] == ["ana"] * 8
    assert [one.name for one in tmp_path.iterdir()] == ["issuer.pem"]
