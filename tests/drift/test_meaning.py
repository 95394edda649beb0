"""What changes of an account's policies mean: never less than what a request shows."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.account import (
    ACCOUNT,
    OTHER,
    account,
    allow,
    attached,
    deny,
    group,
    inline,
    managed,
    member,
    policy,
    role,
    trust,
    user,
)
from support.desk import ANA, BEN, CHLOE, MemorySource, propose_state, quiet

from chalicelib.drift import approval, opinion
from chalicelib.drift.desk import Target
from chalicelib.drift.diff import Operation, diff
from chalicelib.drift.iam.actions import Index
from chalicelib.drift.iam.compare import Widening
from chalicelib.drift.iam.document import parse
from chalicelib.drift.iam.evaluate import Decision, evaluate
from chalicelib.drift.iam.request import Request
from chalicelib.drift.meaning import MAX_REASON_CHARACTERS, MAX_REASONS, Meanings
from chalicelib.drift.opinion import Opinion
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import build, unreadable
from chalicelib.drift.state import OPENED

WIDENED, NARROWED, BOTH = Widening.WIDENED, Widening.NARROWED, Widening.BOTH
NEUTRAL, UNDECIDED = Widening.NEUTRAL, Widening.UNDECIDED

GET, PUT, ALL = allow("s3:GetObject"), allow("s3:PutObject"), allow("*")
BOB, APP, TEAM = user("bob"), role("app"), group("team")


class Shelf:
    actions = (
        "iam:CreateUser", "iam:PassRole", "s3:DeleteObject", "s3:GetObject", "s3:PutObject",
        "sts:AssumeRole",
    )  # fmt: skip
    date = "2026-11-01"


INDEX = Index(Shelf())


def told(before, after, *, second=None, **more):
    """The meaning of every change, by its object and attribute."""
    old, new = build([account(), *before]), build([account(), *after])
    meanings = Meanings(old, new, INDEX, second, **more)
    return {(one.kind, one.name, one.attribute): meanings.of(one) for one in diff(old, new)}


def only(before, after, **more):
    [found] = told(before, after, **more).values()
    return found


def changed(kind, name, attribute="", *, before, after, **more):
    return told(before, after, **more)[f"iam_{kind}", name, attribute]


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ([GET], [GET, PUT], WIDENED),
        ([GET, PUT], [GET], NARROWED),
        ([GET], [PUT], BOTH),
        ([GET], [GET, allow("s3:Get*", "arn:aws:s3:::a")], NEUTRAL),
        ([GET], [GET, allow("s3:PutObject", Flavour="new")], UNDECIDED),
        ([GET, deny("iam:*")], [GET], WIDENED),
    ],
)
def test_a_policy_that_somebody_has_means_what_its_documents_do(old, new, verdict):
    rest = [APP, attached("role app", "p")]
    found = only([*rest, managed("p", *old)], [*rest, managed("p", *new)])
    assert found.verdict is verdict
    assert found.facts["attached"] is True
    assert found.reasons[-1] == "attached to role app"
    holder = inline("role app", "x", *old), inline("role app", "x", *new)
    assert only([APP, holder[0]], [APP, holder[1]]).verdict is verdict


def test_a_policy_that_nobody_has_says_so():
    found = only([managed("p", GET)], [managed("p", GET, PUT)])
    assert (found.verdict, found.facts) == (WIDENED, {"attached": False})
    assert found.reasons[-1] == "attached to nobody, and nobody's boundary"
    for before, after in (([], [managed("p", ALL)]), ([managed("p", ALL)], [])):
        found = only(before, after)
        assert (found.verdict, found.facts) == (NEUTRAL, {"attached": False})
        assert found.reasons == ["attached to nobody, and nobody's boundary"]


def test_a_boundary_is_a_ceiling_and_its_denials_are_worth_more_than_silence():
    bounded = role("app", boundary="b")
    denied = managed("b", GET, deny("iam:*"))
    # What a resource's policy gives to a session in person, silence does not take.
    assert only([bounded, denied], [bounded, managed("b", GET)]).verdict is WIDENED
    found = only([bounded, managed("b", GET)], [bounded, managed("b", GET, PUT)])
    assert found.verdict is WIDENED
    assert found.reasons[0].startswith("as a permissions boundary: statement ")
    assert found.reasons[-1] == "the boundary of role app"


def test_a_policy_that_is_attached_and_a_boundary_is_judged_as_both():
    rest = [role("app", boundary="b"), attached("role app", "b")]
    found = only([*rest, managed("b", GET, deny("iam:*"))], [*rest, managed("b", GET)])
    assert found.verdict is WIDENED
    assert found.reasons[-1] == "attached to role app; the boundary of role app"


def test_the_same_documents_are_not_the_same_as_a_boundary():
    rest = [managed("p", GET)]
    found = told([APP, *rest], [role("app", boundary="p"), attached("role app", "p"), *rest])
    assert [one.verdict for one in found.values()] == [WIDENED, NARROWED]


def test_who_may_have_a_policy_is_taken_to_have_it():
    gap = unreadable("iam_role", reason="no", needs="iam:ListRoles", partial=True)
    found = changed(
        "policy", "b", "document",
        before=[gap, managed("b", GET)], after=[gap, managed("b", GET, PUT)],
    )  # fmt: skip
    assert found.verdict is WIDENED
    assert found.facts["attached"] is True
    assert found.reasons[-1] == "whose it is could not be read in full"
    gap = unreadable("iam_role", reason="no", needs="x", partial=True, attributes=["comment"])
    found = changed(
        "policy", "b", "document",
        before=[gap, managed("b", GET)], after=[gap, managed("b", GET, PUT)],
    )  # fmt: skip
    assert found.facts["attached"] is False


def test_a_policy_that_changed_while_somebody_got_or_lost_it_was_or_is_somebody_s():
    rest = [APP, attached("role app", "p")]
    for before, after in (([APP], rest), (rest, [APP])):
        found = changed(
            "policy", "p", "document",
            before=[*before, managed("p", GET)], after=[*after, managed("p", GET, PUT)],
        )  # fmt: skip
        assert (found.verdict, found.facts) == (WIDENED, {"attached": True})
    gap = unreadable("iam_attachment", reason="no", needs="x")
    found = changed(
        "policy", "p", "document",
        before=[gap, managed("p", GET)], after=[gap, managed("p", GET, PUT)],
    )  # fmt: skip
    assert (found.verdict, found.facts) == (WIDENED, {"attached": True})


def test_no_more_than_a_few_holders_are_named():
    rest = [one for n in range(9) for one in (user(f"u{n}"), attached(f"user u{n}", "p"))]
    found = only([*rest, managed("p", GET)], [*rest, managed("p", PUT)])
    assert found.reasons[-1] == "attached to user u0, user u1, user u2 and 6 more"


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (None, "narrow", NARROWED),
        ("narrow", None, WIDENED),
        ("narrow", "wide", WIDENED),
        ("wide", "narrow", NARROWED),
        ("narrow", "other", BOTH),
        ("narrow", "gone", UNDECIDED),
        ("gone", None, UNDECIDED),
        (None, "odd", UNDECIDED),
    ],
)
@pytest.mark.parametrize("made", [user, role])
def test_a_boundary_that_changes_is_compared_with_the_one_before(made, old, new, verdict):
    rest = [
        managed("narrow", GET),
        managed("wide", GET, PUT),
        managed("other", PUT),
        managed("odd", unparsed=True, document="{"),
    ]
    sides = [made("x", **({"boundary": one} if one else {})) for one in (old, new)]
    assert only([*rest, sides[0]], [*rest, sides[1]]).verdict is verdict


def test_a_boundary_of_the_same_name_is_compared_as_it_was_and_as_it_is():
    found = told(
        [role("app", boundary="a"), managed("a", GET), managed("b", GET)],
        [role("app", boundary="b"), managed("a", GET), managed("b", ALL)],
    )
    assert found["iam_role", "app", "boundary"].verdict is WIDENED


def test_attachments_mean_what_the_policy_says():
    rest = [APP, managed("p", GET, deny("iam:*")), managed("q", GET)]
    given_p, given_q = attached("role app", "p"), attached("role app", "q")
    assert only([*rest], [*rest, given_q]).verdict is WIDENED
    assert only([*rest, given_q], [*rest]).verdict is NARROWED
    assert only([*rest, given_p], [*rest]).verdict is BOTH  # its denial is gone too
    found = changed(
        "attachment", "role app has r", before=rest, after=[*rest, attached("role app", "r")]
    )
    assert found.verdict is UNDECIDED
    assert found.reasons == ["the policy r is not in the snapshot"]


def test_a_membership_means_all_policies_of_the_group_together():
    rest = [BOB, TEAM, managed("p", ALL), attached("group team", "p")]
    rest.append(inline("group team", "x", deny("iam:*")))
    found = only(rest, [*rest, member("bob", "team")])
    assert found.verdict is BOTH
    assert "administrator" not in found.facts
    assert only([*rest, member("bob", "team")], rest).verdict is BOTH
    found = only(rest[:-1], [*rest[:-1], member("bob", "team")])
    assert (found.verdict, found.facts["administrator"]) == (WIDENED, True)
    assert only([BOB, TEAM], [BOB, TEAM, member("bob", "team")]).verdict is NEUTRAL


@pytest.mark.parametrize("kind", ["iam_attachment", "iam_inline_policy"])
def test_a_membership_of_a_group_that_could_not_be_read_is_undecided(kind):
    gap = unreadable(kind, reason="no", needs="iam:x")
    rest = [gap, BOB, TEAM]
    found = changed("membership", "bob in team", before=rest, after=[*rest, member("bob", "team")])
    assert found.verdict is UNDECIDED
    assert found.reasons == [f"not every object of kind {kind} could be read"]


def test_a_group_that_goes_takes_its_denials_with_it():
    rest = [BOB, TEAM, inline("group team", "x", deny("iam:*")), member("bob", "team")]
    assert told(rest, [BOB])["iam_group", "team", ""].verdict is WIDENED
    found = told(rest[:-1], [BOB])["iam_group", "team", ""]
    assert (found.verdict, found.facts) == (NEUTRAL, {"attached": False})


@pytest.mark.parametrize(
    ("old", "new", "verdict", "facts"),
    [
        ({"AWS": ACCOUNT}, "*", WIDENED, {"everyone", "outside"}),
        ({"AWS": ACCOUNT}, {"AWS": [ACCOUNT, OTHER]}, WIDENED, {"outside"}),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:user/a"}, {"AWS": ACCOUNT}, BOTH, set()),
        ({"AWS": [ACCOUNT, OTHER]}, {"AWS": ACCOUNT}, NARROWED, set()),
        ({"AWS": ACCOUNT}, {"Service": "ec2.amazonaws.com"}, BOTH, set()),
    ],
)
def test_trust_tells_whom_it_lets_in(old, new, verdict, facts):
    found = only([role("app", old)], [role("app", new)])
    assert (found.verdict, set(found.facts)) == (verdict, facts)
    if verdict is not NARROWED:
        assert ", by " in found.reasons[0]


def test_a_new_role_is_its_trust_and_a_role_that_went_is_no_matter_of_policies():
    assert only([], [role("app", "*")]).facts == {"everyone": True, "outside": True}
    assert only([], [role("app", "*")]).verdict is WIDENED
    assert only([role("app", "*")], []) is None
    denied = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}
    closed = role("app", trust=policy(denied))
    assert only([], [closed]).verdict is NEUTRAL


def test_a_condition_keeps_a_trust_from_being_open_to_everyone():
    where = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
    found = only([APP], [role("app", trust=trust("*", Condition=where))])
    assert found.facts == {"outside": True}


def test_what_came_with_a_new_user_speaks_for_itself():
    rest = [managed("p", ALL), TEAM, attached("group team", "p")]
    bob = [BOB, attached("user bob", "p"), inline("user bob", "x", GET), member("bob", "team")]
    found = told(rest, [*rest, *bob])
    assert found.pop(("iam_user", "bob", "")) is None
    assert [one.verdict for one in found.values()] == [WIDENED] * 3


@pytest.mark.parametrize(
    ("new", "is_administrator"),
    [
        ([ALL], True),
        ([allow("*:*")], True),
        ([allow("iam:*"), {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], True),
        ([allow("*", "arn:aws:*")], False),
        ([ALL, deny("iam:CreateUser")], False),
        ([allow("*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})], False),
        ([allow(["iam:*", "s3:*", "sts:*"])], False),  # AWS may have more services tomorrow
    ],
)
def test_an_administrator_is_told_exactly(new, is_administrator):
    found = only([APP], [APP, inline("role app", "x", *new)])
    assert found.facts.get("administrator", False) is is_administrator


def test_what_cannot_be_parsed_is_undecided_whichever_side_it_is_on():
    odd = inline("role app", "x", GET, document="{", unparsed=True)
    even = inline("role app", "x", GET)
    for before, after in (([odd], [even]), ([even], [odd])):
        found = changed(
            "inline_policy", "role app: x", "document", before=[APP, *before], after=[APP, *after]
        )
        assert (found.verdict, found.facts) == (UNDECIDED, {"attached": True})
        assert found.reasons == ["the document is not there, or cannot be understood"]
    assert only([APP], [APP, odd]).verdict is UNDECIDED
    assert only([APP], [APP, inline("role app", "x", GET, unparsed=True)]).verdict is UNDECIDED


@pytest.mark.parametrize("rest", [[APP, attached("role app", "p")], [role("app", boundary="p")]])
def test_a_policy_that_comes_or_goes_under_who_has_it_is_undecided(rest):
    assert only(rest, [*rest, managed("p", GET)]).verdict is UNDECIDED
    found = only([*rest, managed("p", GET)], rest)
    assert (found.verdict, found.facts) == (UNDECIDED, {"attached": True})


def test_a_policy_that_goes_with_its_attachment_is_said_with_both():
    rest = [APP, managed("p", GET)]
    found = told([*rest, attached("role app", "p")], [APP])
    assert [one.verdict for one in found.values()] == [NARROWED, NARROWED]


def test_other_attributes_and_kinds_have_no_meaning():
    key = [BOB, *build([]).objects.values()]
    assert only(key, [user("bob", console=True)]) is None
    assert only([managed("p", GET)], [managed("p", GET, comment="x")]) is None
    gap = unreadable("iam_policy", reason="no", needs="x")
    assert only([], [gap]) is None


def test_reasons_are_bounded_and_show_each_way():
    many = [allow("s3:GetObject", f"arn:aws:s3:::{'x' * 900}{n}") for n in range(9)]
    found = only([APP, inline("role app", "x", PUT)], [APP, inline("role app", "x", *many)])
    assert len(found.reasons) == MAX_REASONS
    assert all(len(one) <= MAX_REASON_CHARACTERS for one in found.reasons)
    assert found.reasons[0].endswith("…")
    assert "allowed what is not allowed any more: s3:PutObject on" in found.reasons[1]


def test_all_comparisons_together_are_bounded_and_doubles_cost_once():
    names = [f"x{n}" for n in range(20)]
    before = [APP, *(inline("role app", one, allow("s3:*", f"{one}a*")) for one in names)]
    after = [APP, *(inline("role app", one, allow("s3:*", f"{one}b*")) for one in names)]
    found = list(told(before, after, steps=1_000).values())
    assert (found[0].verdict, found[-1].verdict) == (BOTH, UNDECIDED)
    assert found[-1].reasons == [
        "not compared: all policies of this look together take more steps than the bound"
    ]
    before = [APP, *(inline("role app", one, GET) for one in names)]
    after = [APP, *(inline("role app", one, GET, PUT) for one in names)]
    assert {one.verdict for one in told(before, after, steps=1_000).values()} == {WIDENED}


class Other:
    """A second opinion that says what it is told to, of each direction."""

    def __init__(self, *answers):
        self.answers = answers
        self.asked = []

    def new_access(self, existing, new, *, resource):
        self.asked.append((existing, new, resource))
        return Opinion(*self.answers[(len(self.asked) - 1) % len(self.answers)])


NO, YES, NONE = (False,), (True,), (None, "it is asleep")


@pytest.mark.parametrize(
    ("old", "new", "answers", "verdict", "analyzer"),
    [
        ([GET, PUT], [GET], [NO, YES], NARROWED, opinion.AGREES),
        ([GET, PUT], [GET], [YES], UNDECIDED, opinion.NEW_ACCESS),
        ([GET, PUT], [GET], [NO, NO], NARROWED, opinion.NO_OLD_ACCESS),
        ([GET, PUT], [GET], [NONE], NARROWED, "cannot tell: it is asleep"),
        ([GET, PUT], [GET], [NO, NONE], NARROWED, "cannot tell: it is asleep"),
        ([GET, PUT], [GET, PUT, GET, allow("s3:?etObject")], [YES], UNDECIDED, opinion.NEW_ACCESS),
        ([GET, PUT], [PUT, allow("s3:?etObject")], [NO, YES], NEUTRAL, opinion.OLD_ACCESS),
        ([GET], [GET, PUT], [NO], WIDENED, opinion.NO_NEW_ACCESS),
        ([GET], [GET, PUT], [YES, NO], WIDENED, opinion.AGREES),
        ([GET], [PUT], [YES, YES], BOTH, opinion.AGREES),
    ],
)
def test_a_second_opinion_never_makes_it_less(old, new, answers, verdict, analyzer):
    other = Other(*answers)
    sides = [[APP, inline("role app", "x", *one)] for one in (old, new)]
    found = only(*sides, second=other)
    assert (found.verdict, found.analyzer) == (verdict, analyzer)
    documents = [sides[0][1].attributes["document"], sides[1][1].attributes["document"]]
    assert other.asked[0] == (*documents, False)
    assert other.asked[1:] == [(*documents[::-1], False)][: len(answers) - 1]
    if analyzer == opinion.NEW_ACCESS:
        assert found.reasons[0].endswith("Access Analyzer finds new access in the new policy")


def test_a_second_opinion_is_asked_of_two_documents_and_of_trust_as_a_resource(monkeypatch):
    other = Other(YES)
    assert only([APP], [APP, inline("role app", "x", GET)], second=other).analyzer == ""
    only([APP], [role("app", "*")], second=other)
    assert [resource for _, _, resource in other.asked] == [True, True]
    monkeypatch.setattr(opinion, "MAX_ASKED", 2)
    names = ["a", "b", "c"]
    found = told(
        [APP, *(inline("role app", one, GET) for one in names)],
        [APP, *(inline("role app", one, GET, PUT) for one in names)],
        second=Other(YES, NO),
    )
    assert [one.analyzer for one in found.values()] == [
        "agrees",
        "agrees",
        "cannot tell: not asked, after 2 policies",
    ]


# Whatever changes in an account: where a principal may do what was denied before, a finding says
# so. Permissions are those of the evaluator, put together here as AWS documents it: every policy
# that the principal has, by itself or by a group, and the boundary over them.

STATEMENTS = st.builds(
    lambda make, action, resource: make(action, resource),
    st.sampled_from([allow, allow, deny]),
    st.sampled_from(["*", "s3:*", "s3:GetObject", "s3:*Object", "iam:*", "iam:PassRole"]),
    st.sampled_from(["*", "arn:aws:s3:::a*", "arn:aws:s3:::a/b"]),
)
DOCUMENTS = st.lists(STATEMENTS, min_size=1, max_size=2)
POLICIES, USERS, ROLES, GROUPS = ["p", "q", "r"], ["ann", "bob"], ["app"], ["one", "two"]


@st.composite
def accounts(draw):
    """A small account; its policies are there whether anybody has them or not."""
    objects = [managed(name, *draw(DOCUMENTS)) for name in POLICIES]
    holders = []
    for make, names in ((user, USERS), (role, ROLES)):
        for name in names:
            if draw(st.integers(0, 3)):
                boundary = draw(st.sampled_from([None, None, *POLICIES]))
                objects.append(make(name, **({"boundary": boundary} if boundary else {})))
                holders.append(objects[-1])
    for name in GROUPS:
        if draw(st.booleans()):
            objects.append(group(name))
            joined = [one for one in holders if one.kind == "iam_user" and draw(st.booleans())]
            objects += [member(one.name, name) for one in joined]
            holders.append(objects[-1 - len(joined)])
    for one in holders:
        holder = f"{one.kind.removeprefix('iam_')} {one.name}"
        objects += [attached(holder, name) for name in POLICIES if draw(st.booleans())]
        if draw(st.booleans()):
            objects.append(inline(holder, "x", *draw(DOCUMENTS)))
    return objects


def permits(snapshot, kind, name, request):
    """Whether a principal may do what is requested; None: there is no such principal."""
    objects = snapshot.objects
    if (kind, name) not in objects:
        return None
    holders = {f"{kind} {name}"}
    holders |= {
        f"iam_group {one.attributes['group']}"
        for one in objects.values()
        if one.kind == "iam_membership" and one.attributes["of"] == f"{kind} {name}"
    }
    documents = [
        one.attributes["document"]
        if one.kind == "iam_inline_policy"
        else objects["iam_policy", one.attributes["policy"]].attributes["document"]
        for one in objects.values()
        if one.kind in {"iam_inline_policy", "iam_attachment"} and one.attributes["of"] in holders
    ]
    boundary = objects[kind, name].attributes.get("boundary")
    answers = {evaluate(parse(one), request) for one in documents}
    allowed = Decision.ALLOWED in answers and Decision.DENIED not in answers
    if boundary and allowed:
        document = objects["iam_policy", boundary].attributes["document"]
        return evaluate(parse(document), request) is Decision.ALLOWED
    return allowed


REQUESTS = [
    Request(action, resource)
    for action, resource in itertools.product(
        ["s3:GetObject", "s3:PutObject", "iam:PassRole", "iam:CreateUser"],
        ["arn:aws:s3:::a", "arn:aws:s3:::a/b", "arn:aws:s3:::b", "*"],
    )
]
LESS = {NARROWED, NEUTRAL}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(accounts(), accounts(), st.data())
def test_whoever_may_do_more_is_told_by_a_finding(before, other, data):
    kept = {one.key: one for one in other}
    now = {one.key: one for one in before}
    keys = sorted(kept.keys() | now.keys())  # few change, so that no change hides another
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True)):
        now.pop(key, None)
        if key in kept:
            now[key] = kept[key]
    after = [one for one in now.values() if one.parent is None or one.parent in now]
    after = [
        one for one in after
        if one.kind != "iam_membership" or ("iam_group", one.attributes["group"]) in now
    ]  # fmt: skip
    old, new = build([account(), *before]), build([account(), *after])
    meanings = Meanings(old, new, INDEX)
    changes = diff(old, new)
    more = [one for one in changes if (found := meanings.of(one)) and found.verdict not in LESS]
    more += [one for one in changes if one.kind == "iam_user" and one.operation is Operation.ADDED]
    for kind, names in (("iam_user", USERS), ("iam_role", ROLES)):
        for name in names:
            rises = [
                request
                for request in REQUESTS
                if permits(new, kind, name, request) and permits(old, kind, name, request) is False
            ]
            if rises:
                assert concerned(more, old, new, kind, name), (name, rises[0])


def concerned(changes, old, new, kind, name):
    """Whether one of the changes is of what the principal has, on either side."""
    of = f"{kind} {name}"
    holders, policies = {of}, set()
    for taken in (old, new):
        items = taken.objects.values()
        holders |= {
            f"iam_group {one.attributes['group']}"
            for one in items
            if one.kind == "iam_membership" and one.attributes["of"] == of
        }
        policies |= {
            one.attributes["policy"]
            for one in items
            if one.kind == "iam_attachment" and one.attributes["of"] in holders
        }
        if (kind, name) in taken.objects:
            policies.add(taken.objects[kind, name].attributes.get("boundary"))
    return any(
        f"{one.kind} {one.name}" in holders
        or (one.old or one.new).get("of") in holders
        or (one.kind == "iam_policy" and one.name in policies)
        for one in changes
    )


WATCHED = Target(slug="prod", kind="iam", approvals=1)


@pytest.fixture
def signed(desk, clock):
    """A scan of an account that is signed for; then its policy allows more and less."""
    source = MemorySource(clock, [account(), APP, inline("role app", "x", GET, PUT)])
    propose_state(desk, WATCHED, source, actor=ANA)
    approval.approve(desk, WATCHED, actor=BEN)
    source.put("iam_inline_policy", "role app: x", **inline("role app", "x", GET).attributes)
    return source


def test_a_scan_judges_by_meaning_and_records_it(desk, signed):
    result = scan(desk, WATCHED, signed, actor=CHLOE, progress=quiet)
    [(found, _)] = result.findings
    assert (found.direction.value, found.severity.value) == ("narrows", "low")
    assert found.meaning.verdict is NARROWED
    [opened] = [one.record.body for one in desk.journal.read() if one.record.kind == OPENED]
    assert opened["meaning"]["verdict"] == "narrowed"
    assert opened["meaning"]["reference_date"]
    assert "s3:PutObject on " in opened["meaning"]["reasons"][0]


def test_a_scan_asks_whoever_else_is_to_be_asked(desk, signed):
    other = Other(YES)
    asking = dataclasses.replace(desk, opinion=lambda target: other if target is WATCHED else None)
    result = scan(asking, WATCHED, signed, actor=CHLOE, progress=quiet)
    [(found, _)] = result.findings
    assert (found.direction.value, found.severity.value) == ("undecided", "high")
    assert found.meaning.analyzer == opinion.NEW_ACCESS
    assert len(other.asked) == 1
