"""Random policies, random requests, and an evaluator of its own: what a verdict may never be."""

from __future__ import annotations

import datetime as dt
import ipaddress
import itertools
import re
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.drift.iam.compare import Widening, compare
from chalicelib.drift.iam.document import canonical, parse
from chalicelib.drift.iam.evaluate import Decision, evaluate
from chalicelib.drift.iam.principal import ANONYMOUS, Entry, Principal
from chalicelib.drift.iam.region import Kind
from chalicelib.drift.iam.request import Request

ACTIONS = ["iam:CreateUser", "iam:GetUser", "s3:DeleteObject", "s3:GetBucketAcl", "s3:GetObject"]


class Shelf:
    """A small reference: what AWS would have, if it had two services."""

    actions = ACTIONS
    date = "2026-11-01"


# An evaluator on the policy's own JSON, written from AWS's pages and sharing no code with the one
# that is tested. Of what AWS does not say, it takes one reading.

WILD = re.compile(r"\$\{([^}]*)\}|\*|\?")


@cache
def expression(pattern, known, *, wild, nocase):
    """A regular expression for a pattern of a policy; None, where a variable has no value."""
    values = dict(known)
    parts, end = [], 0
    for found in WILD.finditer(pattern):
        parts.append(re.escape(pattern[end : found.start()]))
        end = found.end()
        name = found[1]
        if name is None:
            parts.append({"*": ".*", "?": "."}[found[0]] if wild else re.escape(found[0]))
        elif name in {"*", "?", "$"}:
            parts.append(re.escape(name))
        elif name.lower() in values:
            parts.append(re.escape(values[name.lower()]))
        else:
            return None
    parts.append(re.escape(pattern[end:]))
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if nocase else 0))


def like(pattern, text, context, *, wild=True, nocase=False):
    known = tuple(sorted((k, v[0]) for k, v in context.items() if len(v) == 1))
    found = expression(pattern, known, wild=wild, nocase=nocase)
    return found is not None and found.fullmatch(text) is not None


def arn_like(pattern, text, context):
    ours, theirs = pattern.split(":", 5), text.split(":", 5)
    return len(theirs) == 6 and all(
        like(one, other, context) for one, other in zip(ours, theirs, strict=True)
    )


def when(text):
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


TESTS = {
    "StringEquals": lambda p, v, c: like(p, v, c, wild=False),
    "StringEqualsIgnoreCase": lambda p, v, c: like(p, v, c, wild=False, nocase=True),
    "StringLike": like,
    "ArnLike": arn_like,
    "NumericEquals": lambda p, v, c: float(v) == float(p),
    "NumericLessThan": lambda p, v, c: float(v) < float(p),
    "NumericGreaterThanEquals": lambda p, v, c: float(v) >= float(p),
    "DateLessThanEquals": lambda p, v, c: when(v) <= when(p),
    "DateGreaterThan": lambda p, v, c: when(v) > when(p),
    "Bool": lambda p, v, c: v == p,
    "IpAddress": lambda p, v, c: ipaddress.ip_address(v) in ipaddress.ip_network(p),
}


def condition_holds(operator, key, values, context):
    scope, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name
    test = TESTS.get(name.replace("Not", ""))
    found = context.get(key.lower(), ())
    if name == "Null":
        return ("false" if found else "true") in values
    if not found:
        return {"": negated or if_exists, "ForAllValues": True, "ForAnyValue": False}[scope]
    answers = [any(test(one, value, context) for one in values) != negated for value in found]
    return any(answers) if scope == "ForAnyValue" else all(answers)


def listed(value):
    return value if isinstance(value, list) else [value]


def named(principal, value):
    if value == "*":
        return True
    entries = [(kind, one) for kind, many in value.items() for one in listed(many)]
    names = {(one.kind, one.value) for one in principal.names}
    return ("AWS", "*") in entries or any(
        (kind, one.removeprefix("arn:aws:iam::").removesuffix(":root")) in names
        or (kind, one) in names
        for kind, one in entries
    )


def statement_applies(one, request):
    answers = []
    for element, test in (
        ("Principal", lambda value: named(request.principal, value)),
        (
            "Action",
            lambda value: any(like(p, request.action, {}, nocase=True) for p in listed(value)),
        ),
        (
            "Resource",
            lambda value: any(like(p, request.resource, request.context) for p in listed(value)),
        ),
    ):
        if element in one:
            answers.append(test(one[element]))
        if f"Not{element}" in one:
            answers.append(not test(one[f"Not{element}"]))
    for operator, keys in one.get("Condition", {}).items():
        for key, values in keys.items():
            answers.append(condition_holds(operator, key, listed(values), request.context))
    return all(answers)


def decide(policy, request):
    effects = {s["Effect"] for s in listed(policy["Statement"]) if statement_applies(s, request)}
    if "Deny" in effects:
        return Decision.DENIED
    return Decision.ALLOWED if "Allow" in effects else Decision.SILENT


# A small vocabulary, so that patterns overlap.

ACTION_PATTERNS = [
    "*", "s3:*", "s3:Get*", "S3:getobject", "s3:GetBucket???", "iam:*User", "iam:*", "s3:*Object",
    "iam:CreateUser", "new:*", "new:Thing", "s3:NotKnown", "*:Get*",
]  # fmt: skip
RESOURCE_PATTERNS = [
    "*", "arn:aws:s3:::a", "arn:aws:s3:::a*", "arn:aws:s3:::a/*", "arn:aws:s3:::?/b*",
    "arn:aws:s3:::*", "arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::${aws:username}*",
    "arn:aws:s3:::b/bob", "*/bob", "arn:aws:iam::*:user/*",
]  # fmt: skip
TEXTS = ["bob", "BOB", "b*", "*b", "a?", "${aws:username}", "${*}"]
ARNS = ["arn:aws:iam::*:role/a*", "arn:aws:iam::1:role/ab", "arn:*:*:*:*:*", "arn:aws:s?:::b"]


def some(values, most=3):
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


def conditions(operators, keys, values):
    return st.tuples(st.sampled_from(operators), st.sampled_from(keys), some(values))


SETS = ["", "ForAllValues:", "ForAnyValue:"]
CONDITIONS = st.one_of(
    conditions(
        ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringLikeIfExists",
         "StringEqualsIgnoreCase", "StringEqualsIfExists", "StringNotEqualsIgnoreCase"],
        ["aws:username", "aws:PrincipalTag/team"], TEXTS,
    ),
    conditions(
        [f"{scope}String{name}" for scope in SETS for name in ("Equals", "NotEquals", "Like")],
        ["aws:TagKeys"], ["bob", "b*", "a", "ab"],
    ),
    conditions(["ArnLike", "ArnNotLike", "ArnLikeIfExists"], ["aws:SourceArn"], ARNS),
    conditions(
        ["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"],
        ["s3:max-keys"], ["5", "10", "10.5"],
    ),
    conditions(
        ["DateLessThanEquals", "DateGreaterThan", "DateGreaterThanIfExists"],
        ["aws:CurrentTime"], ["2026-01-01T00:00:00Z", "2026-06-01T00:00:00+02:00"],
    ),
    conditions(["Bool", "BoolIfExists"], ["aws:SecureTransport"], ["true", "false"]),
    conditions(
        ["IpAddress", "NotIpAddress", "IpAddressIfExists"],
        ["aws:SourceIp"], ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "::/0", "10.1.2.3/32"],
    ),
    conditions(
        ["Null"], ["aws:username", "aws:SourceIp", "aws:TagKeys"], ["true", "false"]
    ),
)  # fmt: skip

ACCOUNT, OTHER = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/path/app"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s1"
PRINCIPALS = st.one_of(
    st.just("*"),
    st.dictionaries(
        st.just("AWS"),
        some([ACCOUNT, f"arn:aws:iam::{OTHER}:root", ROLE, SESSION,
              f"arn:aws:iam::{OTHER}:user/ann"]),
        min_size=1,
    ),
    st.just({"AWS": "*"}),
    st.just({"Service": ["ec2.amazonaws.com"], "AWS": [OTHER]}),
)  # fmt: skip


def aws(*names):
    return Principal(names[-1], frozenset(Entry("AWS", name) for name in names))


CALLERS = [
    ANONYMOUS,
    aws(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/eve"),
    aws(OTHER, f"arn:aws:iam::{OTHER}:user/ann"),
    aws(ACCOUNT, ROLE, SESSION),
    aws(ACCOUNT, ROLE, SESSION.replace("s1", "s2")),
    aws("333333333333", "arn:aws:iam::333333333333:user/x"),
    Principal("ec2", frozenset({Entry("Service", "ec2.amazonaws.com")})),
]


@st.composite
def statements(draw, kind):
    one = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    one[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(some(ACTION_PATTERNS))
    one[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(
        some(RESOURCE_PATTERNS)
    )
    for operator, key, values in draw(st.lists(CONDITIONS, max_size=2)):
        one.setdefault("Condition", {}).setdefault(operator, {})[key] = values
    if kind is Kind.RESOURCE:
        one[draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"]))] = draw(PRINCIPALS)
    return one


@st.composite
def changes(draw, kind):
    """Two policies, the second made from the first more often than not."""
    old = draw(st.lists(statements(kind), max_size=3))
    new = draw(st.lists(statements(kind), max_size=2))
    kept = [one for one in old if draw(st.booleans())]
    edited = []
    for one in map(dict, kept):
        if draw(st.booleans()):
            element = draw(st.sampled_from(["Action", "NotAction", "Resource", "Condition"]))
            if element == "Condition":
                one.pop("Condition", None)
            elif element in one:
                values = RESOURCE_PATTERNS if element == "Resource" else ACTION_PATTERNS
                one[element] = [*one[element], draw(st.sampled_from(values))]
        edited.append(one)
    version = {"Version": "2012-10-17"}
    pair = ({**version, "Statement": old}, {**version, "Statement": [*edited, *new]})
    return pair if draw(st.booleans()) else pair[::-1]


CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "aws:username": st.sampled_from(["bob", "BOB", "a", "*"]).map(lambda v: (v,)),
        "aws:principaltag/team": st.sampled_from(["bob", "Bob", "ab", "b"]).map(lambda v: (v,)),
        "aws:tagkeys": some(["bob", "a", "ab", "x"]).map(tuple),
        "aws:sourcearn": st.sampled_from(
            ["arn:aws:iam::1:role/ab", "arn:aws:iam::1:role/b", "arn:aws:s3:::b"]
        ).map(lambda v: (v,)),
        "s3:max-keys": st.sampled_from(["5", "7", "10", "10.2", "11"]).map(lambda v: (v,)),
        "aws:currenttime": st.sampled_from(
            ["2025-01-01T00:00:00Z", "2026-03-01T00:00:00Z", "2027-01-01T00:00:00Z"]
        ).map(lambda v: (v,)),
        "aws:securetransport": st.sampled_from(["true", "false"]).map(lambda v: (v,)),
        "aws:sourceip": st.sampled_from(["10.1.2.3", "10.2.0.1", "192.0.2.1", "2001:db8::1"]).map(
            lambda v: (v,)
        ),
    },
)
ASKED = [*ACTIONS, "new:Thing", "s3:NotKnown"]
RESOURCES = [
    "*", "arn:aws:s3:::a", "arn:aws:s3:::a/x", "arn:aws:s3:::a/bob", "arn:aws:s3:::b/bob",
    "arn:aws:s3:::bobby", "arn:aws:iam::1:user/bob",
]  # fmt: skip


def requests(contexts, kind):
    callers = CALLERS if kind is Kind.RESOURCE else [ANONYMOUS]
    for action, resource, caller, context in itertools.product(ASKED, RESOURCES, callers, contexts):
        yield Request(action, resource, caller, context)


SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("kind", list(Kind))
@SETTINGS
@given(data=st.data())
def test_no_verdict_is_contradicted_by_a_request(kind, data):
    old, new = data.draw(changes(kind))
    contexts = data.draw(st.lists(CONTEXTS, min_size=1, max_size=4))
    found = compare(old, new, Shelf(), kind=kind)
    assert_shown(found, old, new)
    for request in requests(contexts, kind):
        if found.by_reference and request.action == "s3:NotKnown":
            continue  # proven of the actions that the reference has
        before, after = decide(old, request), decide(new, request)
        if found.widens is False:
            assert after.rank <= before.rank, (request, before, after)
        if found.narrows is False:
            assert after.rank >= before.rank, (request, before, after)


def assert_shown(found, old, new):
    """Every witness is one, for the other evaluator too; every verdict has one."""
    shown = set()
    for reason in found.reasons:
        if reason.request is None:
            assert reason.way is Widening.UNDECIDED
            continue
        before, after = decide(old, reason.request), decide(new, reason.request)
        assert (before, after) == (reason.before, reason.after)
        up = reason.way is Widening.WIDENED
        assert after.rank > before.rank if up else after.rank < before.rank
        shown.add(reason.way)
    assert (Widening.WIDENED in shown) == (found.widens is True)
    assert (Widening.NARROWED in shown) == (found.narrows is True)


@SETTINGS
@given(data=st.data())
def test_the_change_undone_goes_the_other_way(data):
    kind = data.draw(st.sampled_from(list(Kind)))
    old, new = data.draw(changes(kind))
    there, back = compare(old, new, Shelf(), kind=kind), compare(new, old, Shelf(), kind=kind)
    assert (there.widens, there.narrows) == (back.narrows, back.widens)


@SETTINGS
@given(data=st.data())
def test_the_canonical_form_says_the_same_and_is_its_own(data):
    kind = data.draw(st.sampled_from(list(Kind)))
    policy, _ = data.draw(changes(kind))
    settled = canonical(policy)
    assert canonical(settled) == settled
    assert parse(settled) == parse(policy)
    contexts = data.draw(st.lists(CONTEXTS, min_size=1, max_size=2))
    for request in requests(contexts, kind):
        said = decide(policy, request)
        assert decide(settled, request) is said
        assert evaluate(parse(policy), request) in {said, None}
    assert compare(policy, settled, kind=kind).verdict is Widening.NEUTRAL
