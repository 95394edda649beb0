"""``holdfast policy``: what it says, and its exit codes. No store is opened."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from chalicelib import settings
from chalicelib.access.question import Action, Wish
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
    roles, files, _, table = blocks("toml")
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
    assert "27 policies, valid" in answer.err
    assert "lease engineer.lease.write: 2 approvals; 1h at most\n" in answer.out
    assert "lease engineer.break_glass: nobody has to agree; 15m at most\n" in answer.out
    assert "warning" not in answer.err
    told = installed("policy", "check", "--json").json
    assert told["sha256"] in answer.out
    assert told["roles"]["engineer"] == ["agent:fixer", "group:dba"]
    assert told["groups"] == {"dba": ["person:dora@example.com"]}
    found = {one["id"]: one for one in told["policies"]}
    assert list(found)[24] == "acme.night"
    assert {"effect": "permit", "obligations": None}.items() <= found["acme.night"].items()
    wanted = {"approvals": 1, "groups": [], "max_seconds": 3600}
    assert found["pipeline.lease"]["obligations"] == wanted
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


def test_every_action_and_all_that_policies_see_of_a_wish_is_documented():
    for action in Action:
        assert f"`{action.value}`" in PAGE, action
    wish = Wish(requester="person:x", profile="x", seconds=1, ticket="x", mfa_age=1)
    for name in (*wish.record, *(f"@{one}(" for one in ("approvals", "approvers", "max"))):
        assert re.search(rf"(?m)^\| `{re.escape(name)}", PAGE), name


def test_the_table_of_the_documentation_passes(installed):
    answer = installed("policy", "test", "cases.toml")
    assert answer.out == ""
    assert "4 cases, 0 failed" in answer.err


def test_the_lease_policies_of_the_documentation_pass_their_table(installed):
    own(installed, blocks("cedar")[1] + 'permit (principal in Role::"steward", action, resource);')
    (installed.home / "cases.toml").write_text(blocks("toml")[2])
    answer = installed("policy", "test", "cases.toml", expect=None)
    assert (answer.code, answer.out) == (0, "")
    assert "7 cases, 0 failed" in answer.err
    # And each of them would fail without its policy, or with another expectation.
    own(installed, 'permit (principal in Role::"steward", action, resource);')
    table = re.sub(r'(?m)^by = "lease.*\n', "", blocks("toml")[2])
    (installed.home / "cases.toml").write_text(table)
    told = installed("policy", "test", "cases.toml", "--json", expect=1).json
    assert [one["passed"] for one in told["cases"]] == [False] * 3 + [True] + [False] * 2 + [True]


def lease(*lines, action="lease:request", context="", expect="allow"):
    more = "".join(f"{one}\n" for one in lines)
    return (
        '[[case]]\nname = "a"\nprincipal = "person:carl"\nroles = ["engineer", "approver"]\n'
        f'action = "{action}"\ntarget = "orders-prod"\nexpect = "{expect}"\n'
        f"context = {{ {context} }}\n{more}"
    )


@pytest.mark.parametrize(
    ("table", "differs"),
    [
        (lease("approvals = 1", "approvers = []", 'max = "60m"'), []),
        (lease("approvals = 2"), ["approvals: expected 2, found 1"]),
        (lease("approvals = 0"), ["approvals: expected 0, found 1"]),
        (lease('approvers = ["DBA"]'), ["approvers: expected dba, found no group"]),
        (lease('max = "2h"'), ["max: expected 2h, found 1h"]),
        (lease("approvals = 2", context='profile = "write", for = "5m"'), []),
        (lease("approvals = 0", action="lease:break_glass", context="seconds = 60"), []),
    ],
)
def test_a_case_says_which_obligations_are_not_as_expected(installed, table, differs):
    (installed.home / "cases.toml").write_text(table)
    code = 1 if differs else 0
    told = installed("policy", "test", "cases.toml", "--json", expect=code).json
    (found,) = told["cases"]
    assert (found["differs"], found["found"]) == (differs, "allow")
    answer = installed("policy", "test", "cases.toml", expect=code)
    assert all(f"; {one}\n" in answer.out for one in differs)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (lease("approvals = 1", expect="deny"), "approvals is expected of what is allowed"),
        (lease('max = "1h"', action="lease:approve"), "max is expected of what is allowed"),
        (lease("approvers = []", action="scan:read"), "approvers is expected of"),
        (lease("approvals = 11"), "approvals"),
        (lease('max = "1y"'), "case 'a': not a length of time up to 7d"),
        (lease('approvers = [""]'), "case 'a': not a person's name"),
        (lease(action="scan:read", context='for = "1h"'), "for: scan:read is about no lease"),
        (lease(action="lease:read", context="tags = []"), "tags: lease:read is about no lease"),
        (lease(context='for = "1h", seconds = 1'), "one of seconds and for"),
        (lease(context='for = "0m"'), "not a length of time"),
        (lease(context="seconds = 0"), "context.seconds"),
        (lease(context="seconds = 604801"), "context.seconds"),
        (lease(context="mfa_age = -1"), "context.mfa_age"),
        (lease(context="length = '1h'"), "unknown field `length`"),
        (lease(context="tables = ['orders']"), "not a table's name"),
        (lease(context="tables = [{ name = 'a.b', tag = [] }]"), "unknown field `tag`"),
        (lease(context="profile = 'read-maskd'"), "there is no profile 'read-maskd'"),
        (lease(context="profile = ''"), "there is no profile ''"),
        (lease(context="requester = 'person:ben'"), "asks for themselves"),
        (lease(action="lease:approve", context="requester = 'ben'"), "not a member: 'ben'"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(installed, table, said):
    (installed.home / "cases.toml").write_text(table)
    assert said in installed("policy", "test", "cases.toml", expect=2).err


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
            "no target x",
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


@pytest.mark.parametrize(("place", "code"), [(0, 1), (1, 0)], ids=["denied", "lease"])
def test_explain_shows_what_the_documentation_shows(installed, place, code):
    shown = [one for one in blocks("") if one.startswith("$ holdfast policy explain")][place]
    command, _, expected = shown.partition("\n")
    answer = installed(*command.split()[2:], expect=code)
    assert answer.out.replace("role steward: person:ana\n", "") == expected


DORA = "person:dora@example.com"
LEASE = ("policy", "explain", "--principal", DORA, "--target", "orders-prod", "--action")


def test_explain_knows_the_wish_and_the_tags_of_the_settings(installed):
    path = installed.home / "holdfast.toml"
    path.write_text(
        path.read_text() + '[targets.orders-prod.access]\ndsn_env = "BROKER_DSN"\n'
        'tags = { "public.customers" = ["pii"], "public.\\"a,b\\"" = ["odd"] }\n'
    )
    own(
        installed,
        blocks("cedar")[1] + 'permit (principal in Role::"steward", action, resource);'
        '@id("all") forbid (principal, action == Action::"lease:approve", resource)'
        'when { context.requester == "person:carl" };',
    )

    def explained(*words, action="lease:request", expect=0):
        return installed(*LEASE, action, *words, "--json", expect=expect).json

    words = ("--profile", "read-clear", "--for", "20m", "--ticket", "INC-1", "--mfa-age", "60")
    told = explained(
        *words, "--tables", "public.orders,public.customers", "--tag", "x", expect=None
    )
    assert told["wish"] == {
        "requester": DORA,
        "profile": "read-clear",
        "seconds": 1200,
        "tables": [
            {"name": "public.customers", "tags": ["pii"]},
            {"name": "public.orders", "tags": []},
        ],
        "tags": ["pii", "x"],
        "open_findings": 0,
        "ticket": "INC-1",
        "mfa_age": 60,
    }
    told = explained(*words, "--open-findings", "2", expect=1)
    assert told["wish"]["tags"] == ["odd", "pii"]  # of every table
    assert "lease.drift" in [one["id"] for one in told["policies"]]
    assert told["obligations"] is None
    told = explained(*words, "--tables", 'public."a,b",public.orders', expect=None)
    assert [one["tags"] for one in told["wish"]["tables"]] == [["odd"], []]
    told = explained("--requester", "person:carl", action="lease:approve", expect=1)
    assert [one["id"] for one in told["policies"]] == ["all"]
    told = explained(action="lease:approve", expect=None)
    assert told["wish"]["requester"] == "person:somebody-else"
    told = explained("--mfa-age", "5", action="lease:break_glass")
    assert told["obligations"] == {"approvals": 0, "groups": [], "max_seconds": 900}


def test_explain_says_what_is_due_first(installed):
    answer = installed(*LEASE, "lease:request", "--profile", "write")
    assert answer.out.endswith("\nobligations  2 approvals; 1h at most\n")
    answer = installed(*LEASE, "lease:request", "--for", "61m")
    assert answer.out.endswith("61m is longer than that: such a request is refused\n")
    answer = installed(*LEASE, "lease:break_glass")
    assert answer.out.endswith("\nobligations  nobody has to agree; 15m at most\n")
    assert "obligations" not in installed(*LEASE, "lease:read").out


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
        (("person:ana", "scan:read", "--target", "none"), "no target none"),
        (("person:ana", "policy:read", "--group", "a\nb"), "not a person's name"),
        (("person:ana", "policy:read", "--for", "1h"), "for: policy:read is about no lease"),
        (("person:ana", "lease:request"), "lease:request is asked of a target"),
        (
            ("person:ana", "lease:request", "--target", "orders-prod", "--profile", "x"),
            "there is no profile 'x'",
        ),
        (
            ("person:ana", "lease:request", "--target", "orders-prod", "--tables", "a.b,,c.d"),
            "not a table's name: ''",
        ),
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
