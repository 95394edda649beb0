"""Decisions: what the shipped policies allow, what nobody can allow, and what cannot be loaded."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import cedarpy
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.access import policy as policies
from chalicelib.access import texts
from chalicelib.access.obligation import Obligations
from chalicelib.access.policy import Action, Circumstances, Resource, load
from chalicelib.access.principal import Kind, Principal
from chalicelib.access.question import Wish
from chalicelib.kernel import names
from chalicelib.kernel.errors import ConfigError

NOW = Circumstances(datetime(2026, 10, 1, 2, tzinfo=UTC))
WISH = Wish(requester="person:zoe", profile="read-masked", seconds=900)
ORDERS = Resource.target(names.target("orders-prod"), "prod")
LOG = Resource.log("holdfast.local/12345678")
ROLES = ("engineer", "approver", "auditor", "operator", "pipeline")

LOOK = {
    Action.TARGET_READ,
    Action.SCAN_READ,
    Action.FINDING_READ,
    Action.BASELINE_READ,
}
EVIDENCE = {Action.RECORD_READ, Action.PACKET_MAKE, Action.PACKET_READ, Action.POLICY_READ}
DECIDE = {Action.FINDING_SUPPRESS, Action.FINDING_ACCEPT}
AGREE = {Action.LEASE_APPROVE, Action.LEASE_REVIEW}
ONLY_PEOPLE = DECIDE | AGREE | {Action.BASELINE_APPROVE, Action.LEASE_BREAK_GLASS}
BY_NAME = {Action.LEASE_BREAK_GLASS}  # what no policy permits that permits everything
EVERYTHING = set(Action) - BY_NAME
WORK = {Action.SCAN_START, Action.BASELINE_PROPOSE}
LEASE = {Action.LEASE_REQUEST, Action.LEASE_READ, Action.LEASE_BREAK_GLASS}
MAY = {
    "engineer": LOOK | DECIDE | WORK | LEASE,
    "approver": LOOK | AGREE | {Action.BASELINE_APPROVE, Action.LEASE_REVOKE, Action.LEASE_READ},
    "auditor": LOOK | EVIDENCE | {Action.LEASE_READ},
    "operator": LOOK
    | {Action.SCAN_START, Action.POLICY_READ, Action.LEASE_REVOKE, Action.LEASE_READ},
    "pipeline": LOOK | {Action.SCAN_START, Action.LEASE_REQUEST},
}


def person(name="ana", **more):
    return Principal(Kind.PERSON, name, "oidc", **more)


def resource(action):
    return LOG if action.on_log else ORDERS


def about(action, context=NOW, **wish):
    """The circumstances of an action: with a wish, where it is about one."""
    if not action.on_wish:
        return context
    return msgspec.structs.replace(context, wish=msgspec.structs.replace(WISH, **wish))


def may(policy, principal, context=NOW, **wish):
    """Everything that a principal may do."""

    def allowed(action):
        asked = about(action, context, **wish)
        return policy.decide(principal, action, resource(action), asked).allowed

    return set(filter(allowed, Action))


@pytest.fixture(scope="module")
def shipped():
    return load([], {}, {})


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
def test_each_role_may_do_what_it_says_and_no_more(shipped, role, kind):
    allowed = MAY[role] if kind is Kind.PERSON else MAY[role] - ONLY_PEOPLE
    assert may(shipped, Principal(kind, "ana", "oidc", roles=(role,))) == allowed


def test_every_action_is_in_the_schema_and_permitted_to_somebody(shipped):
    assert set().union(*MAY.values()) == set(Action)
    for action in Action:
        assert f'"{action.value}"' in policies.schema()
        assert shipped.permits(action)


def test_roles_come_by_name_by_group_and_by_token():
    policy = load(
        [],
        {"engineer": ["person:Ana", "group:DBA"], "auditor": ["group:aud"]},
        {"aud": ["agent:x"]},
    )
    assert policy.roles(person()) == {"engineer": ["person:ana"]}
    assert policy.roles(person("bob", groups=("dba",))) == {"engineer": ["group:dba"]}
    assert policy.roles(person(groups=("dba",))) == {"engineer": ["person:ana", "group:dba"]}
    assert policy.roles(Principal(Kind.AGENT, "x", "oidc")) == {"auditor": ["group:aud"]}
    assert policy.roles(person("x")) == {}
    assert policy.roles(person("x", roles=("operator",))) == {"operator": ["given by the token"]}
    assert may(policy, person("bob", groups=("Dba ",))) == MAY["engineer"]


def test_a_kind_is_never_taken_for_another():
    policy = load([], {"engineer": ["person:ana"]}, {})
    assert may(policy, Principal(Kind.AGENT, "ana", "oidc")) == set()
    assert may(policy, Principal(Kind.PIPELINE, "ana", "oidc")) == set()


def test_a_decision_names_who_decided(shipped):
    allowed = shipped.decide(person(roles=("engineer",)), Action.SCAN_START, ORDERS, NOW)
    assert (allowed.policies, allowed.reason) == (("engineer.scan",), "permitted by engineer.scan")
    agent = Principal(Kind.AGENT, "a", "oidc", roles=("approver",))
    denied = shipped.decide(agent, Action.BASELINE_APPROVE, ORDERS, NOW)
    assert (denied.policies, denied.reason) == (("people.approve",), "forbidden by people.approve")
    nobody = shipped.decide(person(), Action.SCAN_READ, ORDERS, NOW)
    assert nobody.policies == ()
    assert nobody.reason == "no policy permits scan:read on postgres:orders-prod"
    assert not allowed.errors
    assert not denied.errors
    assert not nobody.errors


def test_policies_of_ones_own_permit_and_forbid_and_can_be_annotated():
    own = """
    // Contractors look at staging only.
    @id("acme.contractors") @note("2")
    permit (principal in Group::"contractors", action == Action::"finding:read", resource)
    when { resource.env == "staging" };
    forbid (principal in Group::"contractors", action, resource) when { principal.via == "os" };
    """
    policy = load([("/etc/acme.cedar", own)], {}, {})
    staging = Resource.target(names.target("orders-test"), "staging")
    who = person(groups=("contractors", "others"))
    assert policy.decide(who, Action.FINDING_READ, staging, NOW).allowed
    assert not policy.decide(who, Action.FINDING_READ, ORDERS, NOW).allowed
    local = msgspec.structs.replace(who, via="os")
    assert policy.decide(local, Action.FINDING_READ, staging, NOW).policies == ("acme.cedar#2",)
    found = policy.clause("acme.contractors").annotations
    assert found == {"id": "acme.contractors", "note": "2"}
    assert policy.clause("acme.cedar#2").annotations == {}
    clause = policy.clause("acme.contractors")
    assert (clause.line, clause.whom, clause.conditional) == (3, "group contractors", True)
    assert clause.text.startswith('@id("acme.contractors")')


def test_no_policy_lets_anything_but_a_person_agree():
    policy = load([("own.cedar", "permit (principal, action, resource);")], {}, {})
    for kind in (Kind.AGENT, Kind.PIPELINE):
        assert may(policy, Principal(kind, "x", "oidc")) == EVERYTHING - ONLY_PEOPLE
    assert may(policy, person()) == EVERYTHING


def test_policies_that_contradict_deny():
    own = "permit (principal, action, resource); forbid (principal, action, resource);"
    assert may(load([("own.cedar", own)], {}, {}), person()) == set()


OVERFLOWS = """
permit (principal, action, resource);
forbid (principal, action, resource) when {
    context.at.durationSince(datetime("1970-01-01")).toMilliseconds() * 9223372036854775807 > 1
};
"""


def test_a_forbid_that_fails_does_not_let_through():
    """Cedar leaves such a policy out, and would allow."""
    policy = load([("own.cedar", OVERFLOWS)], {}, {})
    decision = policy.decide(person(), Action.SCAN_READ, ORDERS, NOW)
    assert not decision.allowed
    assert decision.reason.startswith("could not tell: ")
    assert "own.cedar#2" in decision.errors[0]


@pytest.mark.parametrize(
    ("action", "where"),
    [(Action.RECORD_READ, ORDERS), (Action.SCAN_READ, LOG)],
    ids=["of the log", "of a target"],
)
def test_what_is_asked_of_the_wrong_thing_is_denied(shipped, action, where):
    decision = shipped.decide(person(roles=ROLES), action, where, NOW)
    assert not decision.allowed
    assert decision.reason.startswith("could not tell: ")


@pytest.mark.parametrize(
    "name",
    ["", " ", "a\nb", "a\u200bb", "x" * 129, "\ud800"],
    ids=["empty", "space", "line", "invisible", "long", "surrogate"],
)
def test_a_principal_without_a_name_is_denied(name):
    policy = load([("own.cedar", "permit (principal, action, resource);")], {}, {})
    decision = policy.decide(person(name), Action.SCAN_READ, ORDERS, NOW)
    assert not decision.allowed
    assert decision.errors


@pytest.mark.parametrize(
    "name",
    [
        '"',
        '\\"',
        'x"::',
        'Role::"engineer"',
        "\uff45ngineer",
        "josé",
        "}]",
        "\\u0000",
        "?principal",
    ],
)
def test_a_name_is_nothing_but_a_name(name):
    own = "forbid (principal, action, resource) unless { principal.name == principal.name };"
    policy = load([("own.cedar", own)], {"engineer": [f"person:{name}"]}, {})
    assert may(policy, person(name)) == MAY["engineer"]
    assert may(policy, person("nobody", groups=(name,))) == set()
    odd = Resource("Target", name, (("name", name), ("kind", name), ("env", name)))
    assert policy.decide(person(name), Action.SCAN_READ, odd, NOW).allowed


def test_a_name_in_two_forms_is_one_person_and_a_group_without_a_name_is_nothing():
    policy = load([], {"engineer": ["person:Josè", "group:Ops"]}, {})
    assert may(policy, person("JOSÈ")) == MAY["engineer"]
    hostile = ("a\nb", "", "x" * 4096, "\ud800", "\x00")
    assert may(policy, person("x", groups=hostile)) == set()
    assert may(policy, person("x", groups=(*hostile, "OPS"))) == MAY["engineer"]


def test_ten_thousand_groups_are_decided():
    policy = load([], {"engineer": ["group:g9999"]}, {})
    assert may(policy, person(groups=tuple(f"g{n}" for n in range(10_000)))) == MAY["engineer"]


def test_a_list_is_decided_one_by_one_and_in_order():
    own = 'permit (principal, action, resource == Target::"postgres:b");'
    policy = load([("own.cedar", own)], {}, {})
    many = [Resource.target(names.target(one)) for one in ("a", "b", "c", "b")]
    found = policy.decide_all(person(), Action.FINDING_READ, many, NOW)
    assert [one.allowed for one in found] == [False, True, False, True]
    assert policy.decide_all(person(), Action.FINDING_READ, [], NOW) == []


def test_one_name_with_two_states_is_denied():
    policy = load([("own.cedar", "permit (principal, action, resource);")], {}, {})
    two = [Resource.target(names.target("a"), env) for env in ("prod", "staging")]
    assert not any(one.allowed for one in policy.decide_all(person(), Action.SCAN_READ, two, NOW))


def test_nobody_is_taken_for_somebody_else_who_asked_before():
    own = 'permit (principal, action, resource) when { principal.via == "iam" };'
    policy = load([("own.cedar", own)], {"engineer": ["group:dba"]}, {})
    for _ in range(3):
        assert may(policy, person(groups=("dba",))) == MAY["engineer"]
        assert may(policy, person()) == set()
        assert may(policy, Principal(Kind.PERSON, "ana", "iam")) == EVERYTHING


def test_a_sign_in_of_its_own_is_no_other_principal():
    """What each token has anew is no part of the key, and nothing is decided by it."""
    policy = load([], {"engineer": ["person:ana"]}, {})
    for number in range(5):
        who = person(session=f"s{number}", mfa_at=number or None)
        assert may(policy, who) == MAY["engineer"]
        assert may(policy, person("ben", session=f"s{number}", mfa_at=number)) == set()
    assert policy._subject.cache_info().misses == 2


def test_threads_share_a_policy():
    policy = load([], {"engineer": ["person:p1"]}, {})
    wrong = []

    def ask(name, allowed):
        found = [policy.decide(person(name), Action.SCAN_READ, ORDERS, NOW) for _ in range(50)]
        wrong.extend(name for one in found if one.allowed != allowed)

    threads = [threading.Thread(target=ask, args=(f"p{n}", n == 1)) for n in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []


def test_when_and_why_are_known():
    own = """
    permit (principal, action, resource)
    when { context.at < datetime("2026-10-01T02:00:00.001Z") && context has reason
           && context.reason like "*INC-*" };
    """
    policy = load([("own.cedar", own)], {}, {})
    assert may(policy, person()) == set()
    assert may(policy, person(), Circumstances(NOW.at, "for INC-17")) == EVERYTHING
    later = Circumstances(NOW.at.replace(hour=3), "for INC-17")
    assert may(policy, person(), later) == set()
    with pytest.raises(ValueError, match="timezone-aware"):
        _ = Circumstances(datetime(2026, 10, 1)).record  # noqa: DTZ001 - that is the point


def test_the_digest_is_over_everything_that_decides():
    own = [("a.cedar", "permit (principal, action, resource);")]
    one = load([], {}, {}).sha256
    assert one == load([], {}, {}).sha256
    others = [
        load(own, {}, {}).sha256,
        load([("b.cedar", own[0][1])], {}, {}).sha256,
        load([("a.cedar", "forbid (principal, action, resource);")], {}, {}).sha256,
        load([], {"engineer": ["person:ana"]}, {}).sha256,
        load([], {"auditor": ["person:ana"]}, {}).sha256,
        load([], {}, {"engineer": ["person:ana"]}).sha256,
    ]
    assert len({one, *others}) == 1 + len(others)
    assert load([("/x/y/a.cedar", own[0][1])], {}, {}).sha256 == others[0]  # as it is deployed
    assert load([], {"engineer": ["person:ANA"]}, {}).sha256 == others[3]


ANYTHING = "permit (principal, action, resource)"
REFUSED = {
    "unparsable": ("\n\npermit (principal, action, resource;", "own.cedar, the policy of line 3: "),
    "unparsable second": (
        f"{ANYTHING};\n\npermit (principal, nothing);\n",
        "own.cedar, the policy of line 3: ",
    ),
    "not ended": (f"{ANYTHING};\n{ANYTHING}", "own.cedar, after line 1: "),
    "unknown action": (
        'permit (principal, action == Action::"scan:stop", resource);',
        "own.cedar, line 1, policy own.cedar#1: for policy `own.cedar#1`, unrecognized action",
    ),
    "unknown attribute": (f"{ANYTHING} when {{ principal.nam == 1 }};", "`nam`"),
    "attribute that may be absent": (
        f'{ANYTHING} when {{ context.reason == "x" }};',
        "optional attribute",
    ),
    "unknown type": ("permit (principal is Robot, action, resource);", "Robot"),
    "wrong type": (f'{ANYTHING} when {{ resource.name > "a" }};', "policy own.cedar#1"),
    "not literal": (
        f'{ANYTHING} when {{ decimal(principal.name) == decimal("1.0") }};',
        "non-literal",
    ),
    "template": ("forbid (principal == ?principal, action, resource);", "a template"),
    "id of a shipped one": (
        f'@id("people.approve")\n{ANYTHING};',
        "own.cedar, line 1: the id 'people.approve' is taken by a policy of people.cedar, line 4",
    ),
    "id twice": (f'@id("a") {ANYTHING};\n@id("a") {ANYTHING};', "line 2: the id 'a' is taken"),
    "odd id": (f'@id("a b") {ANYTHING};', "@id('a b')"),
    "empty id": (f'@id("") {ANYTHING};', "@id('')"),
    "annotation twice": (f'@id("a") @id("b") {ANYTHING};', "duplicate annotation"),
    "name in another form": (
        'forbid (principal == Person::"Ana", action, resource);',
        'Person::"Ana" never matches; expected ana',
    ),
    "group in another form": (
        f'{ANYTHING} when {{ principal in [Group::"a", Group::"DBA"] }};',
        'Group::"DBA" never matches; expected dba',
    ),
    "target without its kind": (
        'forbid (principal, action, resource == Target::"orders-prod");',
        "expected postgres:orders-prod",
    ),
    "string without end": (f'{ANYTHING} when {{ principal.name == "x }};', "a string never ends"),
    "deep": (f"{ANYTHING} when {{ {'(' * 5000}true{')' * 5000} }};", "nest deeper than 16"),
    "deep in a record": (f"{ANYTHING} when {{ {'{a:' * 999}1{'}' * 999} }};", "nest deeper"),
    "long": (f"{ANYTHING} when {{ {'true && ' * 20_000}true }};", "more than 200 operators"),
    "dots": (f"{ANYTHING} when {{ principal{'.name' * 20_000} }};", "more than 200 operators"),
    "ifs": (f"{ANYTHING} when {{ {'if true then true else ' * 999}true }};", "more than 200"),
    "indexes": (f"{ANYTHING} when {{ principal{'[a]' * 999} }};", "more than 200 operators"),
    "many": (f"{ANYTHING};" * 1001, "more than 1000 policies"),
    "large": ("//" + "x" * texts.MAX_TEXT_BYTES, "is larger than 262144 bytes"),
    "behind a carriage return": (f"//\r{ANYTHING} when {{ {'(' * 999}", "nest deeper"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_with_its_place(text, said):
    with pytest.raises(ConfigError) as refused:
        load([("/etc/holdfast/own.cedar", text)], {}, {})
    assert said in refused.value.message
    assert len(refused.value.message) < 1200


def test_the_first_file_that_is_wrong_is_named():
    good, bad = ("good.cedar", f"{ANYTHING};"), ("bad.cedar", f"{ANYTHING} when {{ principal.x }};")
    with pytest.raises(ConfigError, match=r"bad\.cedar, line 1, policy bad\.cedar#1"):
        load([good, bad], {}, {})
    with pytest.raises(ConfigError, match=r"at most 100, found 101"):
        load([(f"f{n}.cedar", f"{ANYTHING};") for n in range(101)], {}, {})
    with pytest.raises(ConfigError, match="would be called by its file's name"):
        load([("my own.cedar", f"{ANYTHING};")], {}, {})
    assert load([("my own.cedar", f'@id("a") {ANYTHING};')], {}, {}).clause("a").line == 1


def test_the_nesting_that_is_let_through_is_within_a_small_stack():
    """Where Cedar's parser ends the process, in a thread of 512 KiB, is a little beyond 30."""
    deep = "(" * (texts.MAX_NESTING - 1) + "true" + ")" * (texts.MAX_NESTING - 1)
    wide = " && ".join(["true"] * (texts.MAX_OPERATORS - 10))
    own = [("deep.cedar", f"{ANYTHING} when {{ {deep} }};")]
    own += [("wide.cedar", f"{ANYTHING} when {{ {wide} }};")]
    found = []
    threading.stack_size(2**20)
    try:
        thread = threading.Thread(target=lambda: found.append(load(own, {}, {})))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(0)
    decision = found[0].decide(person(), Action.SCAN_READ, ORDERS, NOW)
    assert decision.allowed
    assert decision.policies == ("deep.cedar#1", "wide.cedar#1")


@pytest.mark.parametrize(
    ("roles", "groups", "said"),
    [
        ({"enginer": ["person:ana"]}, {}, "did you mean 'engineer'?"),
        ({"zzz": []}, {}, "no policy names this role"),
        ({"engineer": ["ana"]}, {}, "not a member: 'ana'"),
        ({"engineer": ["team:x"]}, {}, "expected one of person:NAME"),
        ({"engineer": ["person:"]}, {}, "not a person's name"),
        ({"engineer": ["person:a\u200bb"]}, {}, "not a person's name"),
        ({"engineer": [], "Engineer": []}, {}, "there twice"),
        ({"\n": []}, {}, "not a person's name"),
        ({}, {"dba": ["group:x"]}, "[identity.groups] 'dba': not a member"),
    ],
)
def test_roles_that_lead_nowhere_are_refused(roles, groups, said):
    with pytest.raises(ConfigError) as refused:
        load([], roles, groups)
    assert said in refused.value.message


def test_a_role_of_ones_own_is_one_that_a_policy_names():
    own = [("own.cedar", 'permit (principal in Role::"dba", action, resource);')]
    assert may(load(own, {"DBA": ["person:ana"]}, {}), person()) == EVERYTHING


WRITE = ("write", "migrate")


@pytest.mark.parametrize(
    ("role", "kind", "profiles"),
    [
        ("engineer", Kind.PERSON, ("read-masked", "read-clear", *WRITE)),
        ("engineer", Kind.AGENT, ("read-masked", "read-clear")),
        ("pipeline", Kind.PIPELINE, ("read-masked",)),
        ("approver", Kind.PERSON, ()),
        ("auditor", Kind.PERSON, ()),
        ("operator", Kind.PERSON, ()),
    ],
    ids=str,
)
def test_each_role_may_have_what_the_page_says(shipped, role, kind, profiles):
    who = Principal(kind, "ana", "oidc", roles=(role,))
    for profile in ("read-masked", "read-clear", *WRITE, "own"):
        asked = about(Action.LEASE_REQUEST, profile=profile)
        found = shipped.decide(who, Action.LEASE_REQUEST, ORDERS, asked)
        assert found.allowed == (profile in profiles)
        if found.allowed:
            approvals = 2 if profile in WRITE else 1
            assert shipped.obligations(found) == Obligations(approvals=approvals, max_seconds=3_600)


def test_a_wish_belongs_to_the_actions_that_are_about_one(shipped):
    who = person(roles=ROLES)
    for action in Action:
        asked = NOW if action.on_wish else Circumstances(NOW.at, wish=WISH)
        decision = shipped.decide(who, action, resource(action), asked)
        assert decision.reason.startswith("could not tell: "), action


def test_glass_is_broken_only_by_a_policy_that_names_it():
    own = """
    @id("all") @approvals("0") permit (principal in Group::"dba", action, resource);
    @id("glass") @max("5m")
    permit (principal == Person::"ana", action in [Action::"lease:break_glass"], resource);
    @id("never") forbid (principal, action, resource) when { principal.via == "os" };
    """
    policy = load([("own.cedar", own)], {}, {})
    asked = about(Action.LEASE_BREAK_GLASS)

    def found(**who):
        who = person(**{"groups": ("dba",), **who})
        return policy.decide(who, Action.LEASE_BREAK_GLASS, ORDERS, asked)

    everything = found(name="ben")
    assert (everything.allowed, everything.policies) == (False, ())
    assert everything.reason == "only a policy that names lease:break_glass permits it, not all"
    named = found()
    assert (named.policies, named.reason) == (("glass",), "permitted by glass")
    assert policy.obligations(named).max_seconds == 300
    local = Principal(Kind.PERSON, "ana", "os", ("dba",))
    assert policy.decide(local, Action.LEASE_BREAK_GLASS, ORDERS, asked).policies == ("never",)
    assert "all" not in {one.id for one in policy.permits(Action.LEASE_BREAK_GLASS)}
    assert "all" in {one.id for one in policy.permits(Action.LEASE_REQUEST)}


def test_of_several_permits_the_strictest_wins():
    own = """
    @id("all") permit (principal, action, resource);
    @id("none") @approvals("0") @max("2h")
    permit (principal, action == Action::"lease:request", resource);
    @id("pii") @approvers("security, DBA")
    permit (principal, action == Action::"lease:request", resource)
    when { context.tags.contains("pii") };
    """
    policy = load([("own.cedar", own)], {}, {})

    def wanted(**wish):
        asked = about(Action.LEASE_REQUEST, **wish)
        return policy.obligations(policy.decide(person(), Action.LEASE_REQUEST, ORDERS, asked))

    assert wanted() == Obligations(approvals=1, max_seconds=7_200)
    assert wanted(tags=("pii",)) == Obligations(groups=("dba", "security"), max_seconds=7_200)
    engineer = person(roles=("engineer",))
    asked = about(Action.LEASE_REQUEST, profile="write")
    found = policy.decide(engineer, Action.LEASE_REQUEST, ORDERS, asked)
    assert policy.obligations(found) == Obligations(approvals=2, max_seconds=3_600)
    with pytest.raises(ValueError, match="what is denied has no obligations"):
        policy.obligations(policy.decide(person(), Action.LEASE_BREAK_GLASS, ORDERS, asked))


principals = st.builds(
    Principal,
    kind=st.sampled_from(Kind),
    name=st.text(max_size=20),
    via=st.sampled_from(["oidc", "iam", "os", "asserted"]),
    groups=st.lists(st.text(max_size=10) | st.sampled_from(ROLES), max_size=5).map(tuple),
)


@given(principal=principals, action=st.sampled_from(Action))
def test_nobody_without_a_role_may_do_anything(shipped, principal, action):
    assert not shipped.decide(principal, action, resource(action), about(action)).allowed


@given(
    kind=st.sampled_from(Kind),
    some=st.sets(st.sampled_from(ROLES)),
    more=st.sets(st.sampled_from(ROLES)),
    action=st.sampled_from(Action),
)
def test_another_role_takes_nothing_away(shipped, kind, some, more, action):
    def allowed(roles):
        who = Principal(kind, "ana", "oidc", roles=tuple(sorted(roles)))
        return shipped.decide(who, action, resource(action), about(action)).allowed

    assert allowed(some | more) >= allowed(some)
    assert allowed(some | more) == (allowed(some) or allowed(more))


def test_cedar_really_leaves_out_what_fails():
    """The trap is there: without our own look at the errors it would be allowed."""
    answer = cedarpy.is_authorized(
        {
            "principal": 'Person::"ana"',
            "action": 'Action::"scan:read"',
            "resource": 'Target::"t"',
            "context": NOW.record,
        },
        OVERFLOWS,
        [],
    )
    assert answer.allowed
    assert answer.diagnostics.errors
