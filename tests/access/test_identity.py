"""Who a verified caller is, and whom nobody can be taken for."""

from __future__ import annotations

import pytest
from support.tokens import AUDIENCE, ISSUER, claims

from chalicelib.access.identity import Directory, Iam, caller, iam, principal, within
from chalicelib.access.issuer import Issuer
from chalicelib.access.principal import Kind, Principal
from chalicelib.access.token import Claims
from chalicelib.kernel.errors import NotAllowed, Unauthenticated, UsageError
from chalicelib.kernel.record import Actor

NOBODY = Directory()


def of(body=None, directory=NOBODY, **issuer):
    found = claims(**(body or {}))
    return principal(Claims(Issuer(ISSUER, AUDIENCE, **issuer), found.get("sub"), found), directory)


def refused(why, body=None, directory=NOBODY, **issuer):
    with pytest.raises(Unauthenticated, match=why) as caught:
        of(body, directory, **issuer)
    assert "hunter2" not in caught.value.message + caught.value.next_step


def test_a_refusal_is_of_its_own_kind():
    error = Unauthenticated("x")
    assert (error.code, error.exit_code) == ("unauthenticated", 2)
    assert isinstance(error, UsageError)
    assert not isinstance(error, NotAllowed)  # another status: who asks, not what they may


def test_a_person_by_their_claim_with_groups_and_session():
    found = of(
        {"email": "Ana@Example.com", "email_verified": True, "g": ["dba", "all"], "jti": "t-1"},
        Directory(groups={"owners": frozenset({"person:ana@example.com"}), "no": frozenset()}),
        name_claim="email",
        groups_claim="g",
        groups=("staff",),
    )
    assert found == Principal(
        Kind.PERSON, "ana@example.com", "oidc", ("all", "dba", "owners", "staff"), (), "t-1"
    )
    assert found.actor == Actor("ana@example.com", "oidc")


@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.PIPELINE])
def test_a_workload_by_its_subject(kind):
    found = of({"sub": "repo:octo/App:ref:refs/heads/main"}, kind=kind)
    assert found.id == f"{kind.value}:repo:octo/app:ref:refs/heads/main"
    assert found.actor == Actor(found.id, "oidc")


@pytest.mark.parametrize("text", ["ana", "Ana", " ANA ", "\uff21na"])
def test_one_person_is_one_name_however_it_is_written(text):
    assert of({"sub": text}).name == "ana"


def test_another_name_of_a_person_leads_to_the_one_that_counts():
    known = Directory({"ana.b@example.com": "ana"}, {"dba": frozenset({"person:ana"})})
    assert of({"sub": "Ana.B@example.com"}, known) == of({"sub": "ana"}, known)
    assert of({"sub": "ana.b@example.com"}, known).groups == ("dba",)
    arn = "arn:aws:sts::123456789012:assumed-role/dev/Ana.B@example.com"
    assert iam(arn, [Iam("arn:aws:sts::123456789012:assumed-role/dev/*")], known).id == "person:ana"
    # Only people have other names.
    assert of({"sub": "ana.b@example.com"}, known, kind=Kind.AGENT).name == "ana.b@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "agent:fixer",
        "Agent:fixer",
        "agent\uff1afixer",
        "\uff41gent:fixer",
        " pipeline:nightly",
        "pipeline : nightly",
        "person:ana",
        "group:dba",
        "role:approver",
        "",
        " ",
        "an\u200ba",
        "ana\u0000",
        "\u202eana",
        "ana\ud800",
        "ana\u3164",
        "hunter2\u00ad",
        "a" * 129,
        None,
        1,
        ["ana"],
        {"ana": 1},
        True,
    ],
    ids=lambda one: ascii(one)[:30],
)
def test_a_name_that_no_person_has(text):
    refused("name", {"own": text}, name_claim="own")


def test_a_name_that_only_looks_like_another_is_another():
    assert of({"sub": "\u0430na"}).name != "ana"  # CYRILLIC SMALL LETTER A: shown, and not equal
    assert of({"sub": "an\u0131"}).name != of({"sub": "ani"}).name


@pytest.mark.parametrize("verified", [None, False, "true", 1, [True]], ids=repr)
def test_an_address_that_was_not_verified_names_nobody(verified):
    refused("not verified", {"email": "hunter2@x", "email_verified": verified}, name_claim="email")


def test_a_second_factor_is_a_person_s_and_of_no_local_token_or_aws_identity():
    local = {"roles": ["engineer"], "kind": "person", "via": "os"}
    body = claims(amr=["mfa"], auth_time=5, **local)

    def of_issuer(**issuer):
        found = Claims(Issuer(ISSUER, AUDIENCE, **issuer), "ana", body, 5)
        return principal(found, NOBODY)

    assert of_issuer().mfa_at == 5
    assert of_issuer(kind=Kind.AGENT).mfa_at is None
    assert of_issuer(kind=Kind.PIPELINE).mfa_at is None
    assert of_issuer(local=True).mfa_at is None
    assert of().mfa_at is None
    assert iam(SESSION, [Iam(DEV)], NOBODY).mfa_at is None


def test_an_issuer_names_only_whom_it_may():
    may = {"names": ("*@Example.com", "root")}
    assert of({"sub": "ana@example.com"}, **may).name == "ana@example.com"
    for text in ("ana", "ana@example.com.evil", "ana@other.com", "roots"):
        refused("not one that this issuer may give", {"sub": text}, **may)
    # What is allowed is the name that it says, and not the one that this leads to.
    known = Directory({"ben@other.com": "ana@example.com"})
    refused("may give", {"sub": "ben@other.com"}, known, **may)


@pytest.mark.parametrize(
    "groups",
    [
        "dba",
        "dba approvers",
        "dba,approvers",
        {"dba": True},
        1,
        True,
        None,
        ["dba", 1],
        ["dba", None],
        ["dba", ""],
        [" dba"],
        ["dba\n"],
        ["d\u200bba"],
        ["x" * 257],
        [str(number) for number in range(1_001)],
        [["dba"]],
    ],
    ids=lambda one: ascii(one)[:20],
)
def test_groups_that_are_no_list_of_names(groups):
    body = claims() | {"g": groups}
    with pytest.raises(Unauthenticated, match="groups"):
        principal(Claims(Issuer(ISSUER, AUDIENCE, groups_claim="g"), "ana", body), NOBODY)


def test_as_many_groups_as_the_bounds():
    groups = [f"{number:0256d}" for number in range(1_000)]
    assert of({"g": groups}, groups_claim="g").groups == tuple(groups)


def test_groups_are_taken_from_the_configured_claim_alone():
    assert of({"groups": ["dba"], "roles": ["approver"]}).groups == ()
    assert of({"sub": "ana"}, groups_claim="g").groups == ()


@pytest.mark.parametrize("body", [{"_claim_names": {"groups": "src1"}}, {"hasgroups": True}])
def test_groups_that_are_left_elsewhere_are_not_taken_for_none(body):
    refused("leaves its groups elsewhere", body, groups_claim="groups")


def test_roles_and_kind_and_via_in_a_token_count_for_the_local_issuer_alone():
    body = {"roles": ["approver"], "kind": "pipeline", "via": "os", "groups": ["dba"]}
    found = of(body)
    assert (found.kind, found.via, found.roles, found.groups) == (Kind.PERSON, "oidc", (), ())
    found = of(body, local=True)
    assert (found.id, found.via, found.roles, found.groups) == (
        "pipeline:ana",
        "os",
        ("approver",),
        ("dba",),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"kind": None},
        {"kind": "root"},
        {"kind": ["person"]},
        {"via": None},
        {"via": "oidc"},
        {"via": ["os"]},
        {"roles": "approver"},
        {"roles": [1]},
        {"roles": ["Approver!"]},
        {"roles": ["a"] * 21},
        {"groups": "dba"},
        {"sub": "agent:x"},
    ],
    ids=str,
)
def test_a_local_token_that_is_not_as_they_are_made(change):
    good = {"roles": ["approver"], "kind": "person", "via": "os"}
    assert of(good, local=True)
    with pytest.raises(Unauthenticated):
        of(good | change, local=True)


@pytest.mark.parametrize("jti", [None, 1, "x" * 257, "a\nb", ["a"]], ids=lambda one: repr(one)[:9])
def test_a_session_that_cannot_be_written_down_is_left_out(jti):
    assert of({"jti": jti}).session == ""


ACCOUNT = "123456789012"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/Ana"
DEV = f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/*"


def test_a_person_is_the_session_and_a_workload_is_its_role():
    found = iam(SESSION, [Iam(DEV, groups=("dev",))], NOBODY)
    assert found == Principal(Kind.PERSON, "ana", "iam", ("dev",), (), SESSION)
    found = iam(SESSION, [Iam(DEV, Kind.AGENT)], NOBODY)
    assert (found.id, found.session) == ("agent:dev", SESSION)
    user = f"arn:aws:iam::{ACCOUNT}:user/bots/Nightly"
    assert iam(user, [Iam(user, Kind.PIPELINE)], NOBODY).id == "pipeline:nightly"
    assert iam(user, [Iam(user)], NOBODY).id == "person:nightly"


def test_the_first_section_that_fits_counts():
    sections = [Iam(SESSION, Kind.AGENT), Iam(DEV, groups=("dev",))]
    assert iam(SESSION, sections, NOBODY).kind is Kind.AGENT
    assert iam(SESSION, sections[::-1], NOBODY).kind is Kind.PERSON
    with pytest.raises(Unauthenticated, match="may give"):  # and no other is tried after it
        iam(SESSION, [Iam(DEV, names=("ben",)), Iam(SESSION)], NOBODY)


@pytest.mark.parametrize(
    "arn",
    [
        SESSION.replace("dev", "dev2"),
        SESSION.replace(ACCOUNT, "210987654321"),
        SESSION.replace("aws", "aws-cn"),
        f"arn:aws:iam::{ACCOUNT}:user/Ana",
    ],
)
def test_an_identity_that_nothing_names(arn):
    assert caller(arn)
    with pytest.raises(Unauthenticated, match=r"no \[\[identity\.iam\]\]"):
        iam(arn, [Iam(DEV)], NOBODY)
    with pytest.raises(Unauthenticated, match=r"no \[\[identity\.iam\]\]"):
        iam(arn, [], NOBODY)


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:sts::{ACCOUNT}:federated-user/ana",
        f"arn:aws:iam::{ACCOUNT}:role/dev",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/a/b",
        f"{SESSION}\n",
        f" {SESSION}",
        SESSION.replace("Ana", "\u0410na"),
        SESSION.replace(ACCOUNT, "*"),
        f"arn:aws:iam::{ACCOUNT}:user/{'a/' * 2_048}ana",
        "*",
        "",
    ],
    ids=lambda one: ascii(one)[-40:],
)
def test_root_and_what_is_no_identity(arn):
    everything = [Iam("*"), Iam(arn), Iam(f"arn:aws:iam::{ACCOUNT}:*")]
    with pytest.raises(Unauthenticated, match="neither an IAM user nor"):
        iam(arn, everything, NOBODY)


@pytest.mark.parametrize(
    ("pattern", "arn", "good"),
    [
        (DEV, SESSION, True),
        (SESSION, SESSION, True),
        (DEV.replace("dev", "d*v"), SESSION, True),
        ("arn:aws:sts::*", SESSION, False),
        (f"arn:aws:sts::{ACCOUNT}:*", SESSION, False),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/*", SESSION, False),
        (f"arn:aws:iam::{ACCOUNT}:user/*", f"arn:aws:iam::{ACCOUNT}:user/a/b", False),
        (f"arn:aws:iam::{ACCOUNT}:user/a/*", f"arn:aws:iam::{ACCOUNT}:user/a:b", False),
        (f"arn:aws:iam::{ACCOUNT}:user/a/*", f"arn:aws:iam::{ACCOUNT}:user/a/b", True),
        (DEV, SESSION.replace("dev", "Dev"), False),
    ],
)
def test_a_star_stays_within_its_part(pattern, arn, good):
    assert within(pattern, arn) is good


@pytest.mark.parametrize("session", ["agent:x", "pipeline:y"])
def test_a_session_s_name_cannot_look_like_a_workload(session):
    with pytest.raises(Unauthenticated):
        iam(f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/{session}", [Iam(DEV)], NOBODY)
