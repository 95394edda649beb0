"""``holdfast policy``: what it says, and its exit codes. No store is opened."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from chalicelib import settings
from chalicelib.kernel.errors import ConfigError
from chalicelib.settings import authority

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def blocks(language):
    return re.findall(rf"(?m)^```{language}\n(.*?)^```$", PAGE, re.DOTALL)


CONFIG = """
[targets.orders-prod]
dsn_env = "ORDERS_DSN"
env = "prod"

[identity.people]
"ana@example.com" = "ana"

[identity.groups]
dba = ["person:dora@example.com"]
"""


@pytest.fixture
def installed(holdfast):
    """An installation with the settings and policies of docs/policy.md, without its store."""
    holdfast("init")
    shutil.rmtree(holdfast.home / ".holdfast")
    roles, files, table = blocks("toml")
    roles = roles.replace("[policy.roles]\n", '[policy.roles]\nsteward = ["person:ana"]\n')
    path = holdfast.home / "holdfast.toml"
    path.write_text(path.read_text() + CONFIG + files + roles)
    (holdfast.home / "policies").mkdir()
    (holdfast.home / "policies" / "acme.cedar").write_text(blocks("cedar")[0])
    (holdfast.home / "cases.toml").write_text(table)
    return holdfast


def own(installed, text):
    (installed.home / "policies" / "acme.cedar").write_text(text)


def test_check_lists_policies_roles_and_the_digest(installed):
    answer = installed("policy", "check")
    assert "acme.ticket" in answer.out
    assert "role approver: person:ana, person:bob" in answer.out
    assert "role operator: nobody" in answer.out
    assert "18 policies, valid" in answer.err
    assert "warning" not in answer.err
    told = installed("policy", "check", "--json").json
    assert told["sha256"] in answer.out
    assert told["roles"]["engineer"] == ["agent:fixer", "group:dba"]
    assert told["groups"] == {"dba": ["person:dora@example.com"]}
    assert {"id": "acme.night", "effect": "permit"}.items() <= told["policies"][15].items()
    assert not (installed.home / ".holdfast").exists()


def test_check_warns_of_what_can_match_nobody(installed):
    own(installed, 'forbid (principal in Role::"steward", action, resource == Target::"rds:x");')
    path = installed.home / "holdfast.toml"
    path.write_text(path.read_text().replace('steward = ["person:ana"]\n', ""))
    answer = installed("policy", "check", "--json")
    assert answer.json["warnings"] == [
        "acme.cedar, policy acme.cedar#1: nobody has the role 'steward'",
        "acme.cedar, policy acme.cedar#1: no target rds:x is configured",
    ]


def test_check_refuses_what_cannot_be_used(installed):
    own(installed, 'permit (principal, action == Action::"scan:stop", resource);')
    answer = installed("policy", "check", expect=2)
    assert "acme.cedar, line 1, policy acme.cedar#1" in answer.err
    assert "unrecognized action" in answer.err
    (installed.home / "policies" / "acme.cedar").unlink()
    assert "is no file" in installed("policy", "check", expect=2).err


def test_the_table_of_the_documentation_passes(installed):
    answer = installed("policy", "test", "cases.toml")
    assert answer.out == ""
    assert "4 cases, 0 failed" in answer.err


def test_a_case_that_fails_says_what_was_found_and_who_decided(installed):
    table = installed.home / "cases.toml"
    table.write_text(
        table.read_text()
        .replace('by = "acme.ticket"', 'by = "people.decide"')
        .replace('by = "people.decide"\n\n[[case]]\nname = "the', '\n[[case]]\nname = "the')
        .replace('expect = "allow"\nby = "engineer.decide"', 'expect = "deny"')
    )
    answer = installed("policy", "test", "cases.toml", expect=1)
    first, second = answer.out.splitlines()
    assert first == (
        "FAILED engineers suppress with a ticket: expected deny, found allow: "
        "permitted by engineer.decide"
    )
    assert second == (
        "FAILED and not without: expected deny by people.decide, found deny: "
        "forbidden by acme.ticket"
    )
    told = installed("policy", "test", "cases.toml", "--json", expect=1).json
    assert told["failed"] == 2
    assert [one["passed"] for one in told["cases"]] == [False, False, True, True]


def test_to_expect_a_denial_is_not_to_expect_a_failure(installed):
    own(
        installed,
        "forbid (principal, action, resource) when { context.at.durationSince("
        'datetime("1970-01-01")).toMilliseconds() * 9223372036854775807 > 1 };'
        'permit (principal in Role::"steward", action, resource);',
    )
    (installed.home / "cases.toml").write_text(
        '[[case]]\nname = "a"\nprincipal = "person:x"\naction = "policy:read"\nexpect = "deny"\n'
    )
    answer = installed("policy", "test", "cases.toml", expect=1)
    assert "expected deny, found could not tell" in answer.out


CASE = 'name = "a"\nprincipal = "person:x"\naction = "policy:read"\nexpect = "deny"\n'


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "`case`"),
        ("case = []", "1 to 10000 cases, found 0"),
        (f"[[case]]\n{CASE}" * 2, "2 cases are called 'a'"),
        (f'[[case]]\n{CASE}who = "me"\n', "unknown field `who`"),
        (f"[[case]]\n{CASE}[extra]\n", "unknown field `extra`"),
        (f"[[case]]\n{CASE}context = {{ tim = 1 }}\n", "unknown field `tim`"),
        (f"[[case]]\n{CASE}context = {{ at = 2026-10-01T00:00:00 }}\n", "context.at"),
        (f'[[case]]\n{CASE}target = "orders-prod"\n', "case 'a': policy:read is asked of the log"),
        (f'[[case]]\n{CASE}by = "nobody"\n', "no policy is called 'nobody'"),
        (f"[[case]]\n{CASE}".replace("policy:read", "scan:read"), "is asked of a target"),
        (f"[[case]]\n{CASE}".replace("policy:read", "policy:write"), "policy:write"),
        (f"[[case]]\n{CASE}".replace("person:", "root:"), "not a member: 'root:x'"),
        (
            f'[[case]]\n{CASE}target = "x"\n'.replace("policy:read", "scan:read"),
            "no target postgres:x",
        ),
        (f"[[case]]\n{CASE}".replace("deny", "maybe"), "maybe"),
        ("[[case]]\n" + "a = " + "[" * 5000, "the table"),
        ("\xff", "cannot be read"),
        ("#" * 2**20 + "\n", "at most 1048576 bytes"),
    ],
)
def test_a_table_that_is_not_exactly_right_is_refused(installed, table, said):
    (installed.home / "cases.toml").write_bytes(table.encode("latin-1"))
    answer = installed("policy", "test", "cases.toml", expect=2)
    assert said in answer.err


def test_explain_says_why_it_is_allowed(installed):
    words = ("--principal", "person:Carl", "--group", "DBA", "--action", "finding:suppress")
    answer = installed(
        "policy", "explain", *words, "--target", "orders-prod", "--reason", "INC-1", "--json"
    ).json
    assert answer["allowed"]
    assert [one["id"] for one in answer["policies"]] == ["engineer.decide"]
    assert answer["roles"] == {"engineer": ["group:dba"]}
    assert answer["permits"] == []
    person = ("--principal", "person:dora@example.com", "--action", "scan:start")
    answer = installed("policy", "explain", *person, "--target", "orders-prod")
    assert answer.out.startswith("ALLOWED  permitted by engineer.scan\nrole engineer: group:dba\n")


def test_explain_shows_what_the_documentation_shows(installed):
    shown = next(one for one in blocks("") if one.startswith("$ holdfast policy explain"))
    command, _, expected = shown.partition("\n")
    answer = installed(*command.split()[2:], expect=1)
    assert answer.out == expected.replace(
        "role engineer: group:dba\n", "role engineer: group:dba\nrole steward: person:ana\n"
    )


def test_explain_says_what_would_allow_it(installed):
    words = ("--principal", "agent:fixer", "--action", "packet:make")
    answer = installed("policy", "explain", *words, expect=1)
    assert answer.out.splitlines()[-2:] == ["permitted to", "  role auditor  (auditor.evidence)"]
    nobody = installed("policy", "explain", "--principal", "person:x", *words[2:], expect=1)
    assert "person:x has no role" in nobody.out
    given = installed(
        "policy", "explain", "--principal", "person:x", "--role", "auditor", *words[2:], "--json"
    ).json
    assert given["roles"] == {"auditor": ["given by the token"]}


def test_explain_knows_people_by_their_other_names(installed):
    words = ("--principal", "person:ana@example.com", "--action", "baseline:approve")
    answer = installed("policy", "explain", *words, "--target", "orders-prod", "--json").json
    assert answer["roles"]["approver"] == ["person:ana"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("person:ana", "scan:stop"), "no action 'scan:stop'"),
        (("ana", "scan:read"), "not a member: 'ana'"),
        (("group:dba", "scan:read"), "not a member: 'group:dba'"),
        (("person:ana", "scan:read"), "scan:read is asked of a target"),
        (("person:ana", "record:read", "--target", "orders-prod"), "is asked of the log"),
        (("person:ana", "scan:read", "--target", "none"), "no target postgres:none"),
        (("person:ana", "policy:read", "--group", "a\nb"), "not a person's name"),
    ],
)
def test_a_question_that_means_nothing_is_refused(installed, words, said):
    principal, action, *more = words
    answer = installed(
        "policy", "explain", "--principal", principal, "--action", action, *more, expect=2
    )
    assert said in answer.err


def test_what_a_policy_says_does_not_reach_the_terminal(installed):
    own(
        installed,
        '// \x1b[2J\n@id("a") @note("\x1b[2J") forbid (\n//\x1b]0;x\x07\n'
        'principal, action, resource) unless { principal in Role::"steward" && false };',
    )
    words = ("--principal", "person:ana", "--action", "policy:read")
    assert "u{1b}" in installed("policy", "explain", *words, expect=1).out
    for command in (("explain", *words), ("check",)):
        answer = installed("policy", *command, expect=None)
        assert "\x1b" not in answer.out + answer.err


def test_a_member_by_another_name_is_refused(installed):
    path = installed.home / "holdfast.toml"
    path.write_text(path.read_text().replace('"person:bob"', '"person:ana@example.com"'))
    answer = installed("policy", "check", expect=2)
    assert "'ana@example.com' is another name of 'ana'" in answer.err
    assert "person:ana in its place" in answer.err


def test_a_deployment_carries_the_policies(installed, tmp_path):
    loaded = settings.load(installed.home / "holdfast.toml")
    path = tmp_path / settings.COMPILED_NAME
    path.write_bytes(settings.compiled(loaded))
    carried = settings.load_compiled(path)
    assert [one.name for one in carried.policies] == ["acme.cedar"]
    assert authority.load(carried).sha256 == authority.load(loaded).sha256
    assert carried.sha256 == loaded.sha256


def test_settings_say_which_role_is_wrong(installed):
    path = installed.home / "holdfast.toml"
    path.write_text(path.read_text().replace("pipeline = [", "pipelines = ["))
    loaded = settings.load(path)  # what decides nothing goes on
    with pytest.raises(ConfigError, match="did you mean 'pipeline'"):
        authority.load(loaded)
    path.write_text(path.read_text().replace('"agent:fixer"', '"robot:fixer"'))
    with pytest.raises(ConfigError, match=r"holdfast\.toml: \[policy\.roles\] 'engineer'"):
        settings.load(path)
