"""``[identity]``: what may be written there, and what would let somebody in by accident."""

from __future__ import annotations

import pytest
from support.tokens import ed_key

from chalicelib import settings
from chalicelib.evidence import note
from chalicelib.kernel.errors import ConfigError
from chalicelib.kernel.signing import Algorithm, PublicKey
from chalicelib.settings.identity import SHARED, directory, person

KEY = note.verifier(
    "log.example", PublicKey(Algorithm.ED25519, ed_key().public_key().public_bytes_raw())
)
HEAD = f"[log]\nkey = '{KEY}'\n"
AWS = "[aws]\nregion = 'eu-central-1'\n"
OKTA = "https://dev-1.okta.com/oauth2/default"
ACCOUNT = "123456789012"
GITHUB = "https://token.actions.githubusercontent.com"


@pytest.fixture
def loaded(tmp_path):
    def load(text, head=HEAD):
        path = tmp_path / "holdfast.toml"
        path.write_text(head + text)
        return settings.load(path)

    return load


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"'{name}' = {toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return str(value) if isinstance(value, int) else f"'{value}'"


def issuer(name=OKTA, **more):
    fields = {"issuer": name, "audience": "holdfast"} | more
    return "[[identity.issuers]]\n" + "".join(
        f"{key} = {toml(one)}\n" for key, one in fields.items()
    )


def iam(arn, **more):
    fields = {"arn": arn} | more
    return "[[identity.iam]]\n" + "".join(f"{key} = {toml(one)}\n" for key, one in fields.items())


def refused(loaded, text, why, head=HEAD):
    with pytest.raises(ConfigError, match=why):
        loaded(text, head)


def test_an_issuer_is_its_address_and_an_audience(loaded):
    assert loaded(issuer()).file.identity.issuers[0].issuer == OKTA
    assert loaded(issuer(), HEAD + AWS)


@pytest.mark.parametrize(
    "name",
    [
        "holdfast:local:log.example",
        "holdfast:local:holdfast.local/1",
        "HOLDFAST:LOCAL:x",
        "https:holdfast:local:x",
        "http://id.example.com",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "https://user@id.example.com",
        "https://id.example.com/?x",
        "https://id.example.com/#x",
        "https://*.example.com",
        "https://id.example.com:0x1",
        "https://id.example.com/ x",
        "accounts.google.com",
        "https://",
        "",
        "https://" + "a" * 2_000,
    ],
    ids=lambda one: one[:40],
)
def test_an_issuer_that_is_no_address_over_tls(loaded, name):
    refused(loaded, issuer(name), "issuer: expected https://")


def test_an_issuer_of_this_machine_is_refused_on_aws(loaded):
    for host in ("127.0.0.1:8080", "[::1]", "localhost"):
        assert loaded(issuer(f"http://{host}/realm"))
        refused(loaded, issuer(f"http://{host}/realm"), "never on AWS", HEAD + AWS)
        keys = issuer(jwks_uri=f"http://{host}/jwks")
        refused(loaded, keys, "jwks_uri: expected https://", HEAD + AWS)
    assert loaded(issuer(jwks_uri="https://id.example.com/keys?p=b2c"))


@pytest.mark.parametrize(
    "algorithms",
    [["HS256"], ["RS256", "HS256"], ["none"], ["None"], ["hs256"], ["ES256K"], ["ES512"], [""], []],
    ids=str,
)
def test_algorithms_that_are_symmetric_or_none_or_not_handled(loaded, algorithms):
    refused(loaded, issuer(algorithms=algorithms), "algorithms: .*expected of RS256")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"audience": ""}, "audience"),
        ({"audience": "*"}, "audience"),
        ({"type": "root"}, "type 'root'"),
        ({"name_claim": ""}, "name_claim"),
        ({"name_claim": "name"}, "what people call themselves"),
        ({"name_claim": "nickname"}, "what people call themselves"),
        ({"groups": [""]}, "groups"),
        ({"groups": [" dba"]}, "groups"),
        ({"claims": {"hd": ""}}, "claims"),
        ({"names": [""]}, "names"),
        ({"max_lifetime_seconds": 59}, "max_lifetime_seconds"),
        ({"max_lifetime_seconds": 86_401}, "max_lifetime_seconds"),
        ({"local": 1}, "unknown field"),
        ({"secret": "x"}, "unknown field"),
    ],
    ids=str,
)
def test_what_else_an_issuer_cannot_have(loaded, more, why):
    refused(loaded, issuer(**more), why)


def test_an_issuer_stands_there_once(loaded):
    refused(loaded, issuer(names=["a*"]) + issuer(names=["b*"], type="agent"), "is there twice")


GOOD = {
    GITHUB: [{"repository_owner_id": "65"}, {"repository": "octo/*"}, {"sub": "repo:octo/*:ref:*"}],
    "https://gitlab.com": [{"namespace_id": "7"}, {"sub": "project_path:acme/*"}],
    "https://accounts.google.com": [{"hd": "example.com"}],
    "https://appleid.apple.com": [{"sub": "001"}],
    "https://app.terraform.io": [{"sub": "organization:acme:*"}],
    "https://agent.buildkite.com": [{"organization_id": "x"}],
    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0": [{"oid": "x"}],
}
BAD = [
    {},
    {"sub": "*"},
    {"sub": "repo:*"},
    {"sub": "repo:*/app:*"},
    {"sub": "repo:octo*"},
    {"sub": "repo:octo*/app"},
    {"sub": "project_path:*"},
    {"sub": "organization:*:x"},
    {"repository": "*"},
    {"repository": "*/app"},
    {"repository_owner": "*"},
    {"hd": "*"},
    {"hd": "*.example.com"},
    {"ref": "refs/heads/main"},
    {"job_workflow_ref": "octo/app/.github/workflows/x.yml@refs/heads/main"},
    {"environment": "prod"},
    {"email_verified": "true"},
]


@pytest.mark.parametrize("name", GOOD)
def test_an_issuer_that_serves_everybody_needs_a_claim_that_says_whose(loaded, name):
    assert set(GOOD) == set(SHARED)
    kind = "person" if "google" in name or "apple" in name or "microsoft" in name else "pipeline"
    for one in GOOD[name]:
        assert loaded(issuer(name, type=kind, claims=one))
    for one in BAD:
        refused(loaded, issuer(name, type=kind, claims=one), "no claim says whose")


def test_a_workflow_of_github_is_named_by_its_repository(loaded):
    own = {"claims": {"repository_owner_id": "65"}}
    for name in ("sub", "repository", "repository_id"):
        assert loaded(issuer(GITHUB, type="agent", name_claim=name, **own))
    for more in ({"type": "person"}, {"type": "agent", "name_claim": "actor"}):
        refused(loaded, issuer(GITHUB, **more, **own), "of workflows, and of no person")


@pytest.mark.parametrize("tenant", ["common", "organizations", "consumers"])
def test_every_tenant_of_entra_is_no_issuer(loaded, tenant):
    name = f"https://login.microsoftonline.com/{tenant}/v2.0"
    refused(loaded, issuer(name, claims={"tid": "x"}), "tokens name their tenant")


def test_two_that_name_people_say_which_names_they_may_give(loaded):
    other = "https://id.example.com"
    refused(loaded, issuer() + issuer(other), "does not say which names")
    refused(loaded, issuer(names=["*@a"]) + issuer(other), "id.example.com' does not say")
    assert loaded(issuer(names=["*@a"]) + issuer(other, names=["*"]))
    assert loaded(issuer() + issuer(other, type="agent"))
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/*"
    refused(loaded, issuer() + iam(session), "does not say which names")
    assert loaded(issuer(names=["*@a"]) + iam(session, names=["*@a"]))
    # One account is one namer, however many of its roles are named; two accounts are two.
    second = f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/*"
    assert loaded(iam(session) + iam(second))
    elsewhere = second.replace(ACCOUNT, "210987654321")
    refused(loaded, iam(session) + iam(elsewhere), "does not say which names")


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/*",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_dba_*/*",
        f"arn:aws-us-gov:iam::{ACCOUNT}:user/team/*",
        f"arn:aws:iam::{ACCOUNT}:user/ana",
    ],
)
def test_arns_that_may_be_written(loaded, arn):
    assert loaded(iam(arn))


@pytest.mark.parametrize(
    "arn",
    [
        "*",
        "arn:aws:sts::*:assumed-role/dev/*",
        "arn:aws:iam::*:user/ana",
        "arn:aws:iam::12345678901*:user/ana",
        f"arn:*:iam::{ACCOUNT}:user/ana",
        f"arn:aws:*::{ACCOUNT}:user/ana",
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:iam::{ACCOUNT}:*",
        f"arn:aws:iam::{ACCOUNT}:role/dev",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/*",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/*/*",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/**/ana",
        f"arn:aws:sts::{ACCOUNT}:federated-user/ana",
        f"arn:aws:iam::{ACCOUNT}:user/",
        "",
    ],
)
def test_arns_that_name_too_much_or_nobody(loaded, arn):
    refused(loaded, iam(arn), "the account and at least some of the role")


def test_iam_has_types_and_groups(loaded):
    arn = f"arn:aws:iam::{ACCOUNT}:user/ana"
    refused(loaded, iam(arn, type="robot"), "type 'robot'")
    refused(loaded, iam(arn, groups=["\t"]), "groups")
    refused(loaded, iam(arn, names=[""]), "names")


def test_people_are_folded_on_both_sides(loaded):
    section = loaded("[identity.people]\n'Ana.B@Example.com' = 'Ana'\n").file.identity
    assert person(section, " ANA.b@example.com") == "ana"
    assert person(section, "ben") == "ben"
    assert directory(section).people == {"ana.b@example.com": "ana"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[identity.people]\na = 'b'\nb = 'c'\n", "leads on"),
        ("[identity.people]\na = 'b'\nA = 'c'\n", "leads to two names"),
        ("[identity.people]\n'agent:x' = 'ana'\n", "not called"),
        ("[identity.people]\nana = 'pipeline:x'\n", "not called"),
        ("[identity.people]\nana = ''\n", "not a person"),
        ("[identity.groups]\ndba = ['ana']\n", "expected person:NAME"),
        ("[identity.groups]\ndba = ['root:ana']\n", "expected person:NAME"),
        ("[identity.groups]\ndba = ['person:']\n", "expected person:NAME"),
        ("[identity.groups]\ndba = ['person:agent:x']\n", "not called"),
        ("[identity.groups]\n'' = ['person:ana']\n", "a group's name"),
    ],
)
def test_people_and_groups_that_are_ambiguous(loaded, text, why):
    refused(loaded, text, why)


def test_a_member_is_who_counts(loaded):
    text = "[identity.people]\nab = 'ana'\n[identity.groups]\ndba = ['person:AB', 'agent:Fixer']\n"
    known = directory(loaded(text).file.identity)
    assert known.groups == {"dba": frozenset({"person:ana", "agent:fixer"})}


def test_an_approver_is_written_by_the_name_that_counts(loaded):
    people = "[identity.people]\nab = 'ana'\n"
    target = "[targets.orders]\ndsn_env = 'X'\napprovers = ['{}']\n"
    assert loaded(people + target.format("ana"))
    refused(loaded, people + target.format("AB"), "is another name of 'ana'")


def test_the_settings_survive_the_way_into_a_deployment(loaded, tmp_path):
    found = loaded(issuer(claims={"a": "b*"}), HEAD + AWS)
    path = tmp_path / "holdfast.json"
    path.write_bytes(settings.compiled(found))
    assert settings.load_compiled(path).file.identity == found.file.identity


def test_how_many_are_handled(loaded):
    many = "".join(issuer(f"https://{one}.example.com", names=["*"]) for one in range(51))
    refused(loaded, many, "at most 50 issuers")
    assert loaded(many.rpartition("[[identity.issuers]]")[0])
    refused(loaded, issuer(names=[str(one) for one in range(201)]), "names: at most")
