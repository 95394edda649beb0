"""The judge over any change and any rules: total, ordered, overridable, strict about its input."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.drift.diff import Change, Operation
from chalicelib.drift.judge import Direction, Rules, Severity, describe, judge, load
from chalicelib.drift.order import Ordering
from chalicelib.drift.rulebook import MAX_RULES, MAX_TEXT_BYTES, Rule
from chalicelib.kernel.errors import ConfigError

RULES = load()
DOCS = Path(__file__).parents[2] / "docs" / "rules.md"
BY_ID = {one.id: one for one in RULES.directions}
BLOCKS = re.findall(r"```toml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)

KINDS = [
    *("database", "role", "membership", "setting", "role_setting", "schema", "table", "column"),
    *("constraint", "index", "view", "function", "trigger", "rule", "policy", "sequence"),
    *("type", "extension", "grant", "default_privilege", "coverage", "baseline", "", "\n"),
]
ATTRIBUTES = [
    *("value", "superuser", "row_security", "roles", "using", "config", "select", "valid_until"),
    *("pending_value", "pending_restart"),
    *(
        "connection_limit",
        "enabled",
        "owner",
        "lacks",
        "unit",
        "permissive",
        "comment",
        "",
        "[",
        "!",
    ),
]
PARAMETERS = [
    *("log_statement", "search_path", "pgaudit.log", "statement_timeout", "ssl", "log_line_prefix"),
    *("unix_socket_permissions", "listen_addresses", "shared_preload_libraries", "log_connections"),
    *("work_mem for role alice", "log_min_duration_statement for all roles", "ssl_ciphers", ""),
]
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            *("on", "off", "none", "all", "-1", "0", "30s", "5min", "1e9", "9" * 5000, "0777"),
            *('"a""', '"a,b",c', "-all,read", "%m%u", "PUBLIC", "infinity", "0001-01-01", "ms"),
            *("9999-12-31T23:59:59.999999-23:59", "1 fortnight", "5 9999999s", "all, -", "1.5GB"),
        ]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.just(2**70), st.floats(), TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(ATTRIBUTES), VALUES, max_size=5)
NAMES = st.one_of(TEXTS, st.sampled_from(PARAMETERS))


@st.composite
def changes(draw):
    return Change(
        draw(st.sampled_from(Operation)),
        draw(st.sampled_from(KINDS)),
        draw(NAMES),
        draw(st.one_of(st.sampled_from(ATTRIBUTES), TEXTS)),
        draw(VALUES),
        draw(VALUES),
        draw(st.none() | OBJECTS),
        draw(st.none() | OBJECTS),
    )


def altered(kind, name, attribute, before, after, **rest):
    old, new = {**rest, attribute: before}, {**rest, attribute: after}
    return Change(Operation.ALTERED, kind, name, attribute, before, after, old, new)


def ordered(toml, before, after, *, kind="acme", name="x", **rest):
    rules = load(f'[[direction]]\nid = "acme"\nkind = "{kind}"\n{toml}')
    found = judge(altered(kind, name, "value", before, after, **rest), rules)
    assert found.ordering == "acme"
    return found.direction


@given(changes())
@settings(max_examples=400, deadline=None)
def test_every_change_gets_a_judgement(change):
    found = judge(change, RULES)
    assert found.rule
    assert found.title
    assert found.controls["nist_800_53"]


@given(st.sampled_from(KINDS), NAMES, st.sampled_from(ATTRIBUTES), VALUES, VALUES)
@settings(max_examples=800, deadline=None)
def test_a_change_undone_goes_the_other_way(kind, name, attribute, before, after):
    if attribute == "pending_value":
        return  # what is compared is the value
    there = judge(altered(kind, name, attribute, before, after), RULES)
    back = judge(altered(kind, name, attribute, after, before), RULES)
    if there.ordering != back.ordering:
        return  # the attribute itself selects the ordering
    ordering = BY_ID.get(there.ordering)
    if ordering is not None and ordering.always is not None:
        assert there.direction is back.direction is ordering.always
    elif ordering is not None and ordering.grows is not None:
        # Members may come and go at once, which widens either way; nothing narrows either way.
        assert Direction.NARROWS not in {there.direction} & {back.direction}
        assert (there.direction is Direction.NARROWS) <= (back.direction is Direction.WIDENS)
    else:
        assert there.direction is back.direction.opposite


@given(NAMES, TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_parameter_that_comes_and_goes_ends_where_it_began(name, value):
    for kind in ("setting", "role_setting"):
        attributes = {"value": value}
        came = Change(Operation.ADDED, kind, name, "", None, attributes, None, attributes)
        went = Change(Operation.REMOVED, kind, name, "", attributes, None, attributes, None)
        there, back = judge(came, RULES), judge(went, RULES)
        ordering = BY_ID.get(there.ordering)
        if ordering is None or (ordering.always is None and ordering.grows is None):
            assert there.direction is back.direction.opposite


def test_severities_are_ordered():
    assert min(Severity) is Severity.INFO
    assert max(Severity) is Severity.CRITICAL
    assert Severity.HIGH >= Severity.MEDIUM
    with pytest.raises(TypeError):
        assert Severity.HIGH < "critical"  # type: ignore[operator]


def test_controls_of_a_judgement_are_its_own():
    change = altered("table", "t", "row_security", True, False)
    judge(change, RULES).controls["soc2"].append("X")
    assert "X" not in judge(change, RULES).controls["soc2"]


def test_extra_sets_of_controls_follow_the_drift_set_without_repeats():
    found = judge(altered("setting", "log_statement", "value", "all", "none"), RULES).controls
    assert found["nist_800_53"] == [
        *("CM-3", "CM-6", "CM-8(3)", "CA-7"),
        *("AU-2", "AU-3(1)", "AU-12", "AC-6(9)"),
    ]
    assert list(found) == ["nist_800_53", "soc2", "iso_27001", "pci_dss", "fedramp_ksi"]
    assert all(len(ids) == len(set(ids)) for ids in found.values())


def test_controls_say_what_awaits_a_check():
    assert RULES.controls.wording == "supports"
    assert RULES.controls.awaiting_check == {"pci_dss": ["*"], "soc2": ["CC4.1"]}


def test_ten_thousand_changes_take_seconds_at_most():
    some = [
        altered("grant", f"table public.t{n} to bob", "select", ["by a"], ["by a", "by b"])
        for n in range(10_000)
    ]
    began = time.process_time()
    for change in some:
        judge(change, RULES)
    assert time.process_time() - began < 5


# --- how values are ordered


@pytest.mark.parametrize(
    ("toml", "before", "after", "direction"),
    [
        ('stronger = "higher"\nunit = "ms"', "1s", "1500", "narrows"),
        ('stronger = "higher"\nunit = "ms"', "2min", "119 s", "widens"),
        ('stronger = "higher"', "1GB", "1024MB", "neutral"),
        ('stronger = "higher"', 1, 2, "narrows"),
        ('stronger = "higher"', "1.5", "1e1", "narrows"),
        ('stronger = "higher"', "1 fortnight", "2 fortnights", "neutral"),
        ('stronger = "higher"', "9" * 25, "1", "neutral"),
        ('stronger = "higher"', True, 2, "neutral"),
        ('stronger = "higher"', None, 2, "neutral"),
        ('stronger = "higher"\nabsent = "1"', None, 2, "narrows"),
        ('stronger = "lower"\nweakest = ["0"]', "0ms", "5ms", "narrows"),
        ('stronger = "lower"\nweakest = ["0"]\nstrongest = ["-1"]', 0, -1, "narrows"),
        ('stronger = "lower"\nweakest = ["0"]\nstrongest = ["-1"]', -1, 7, "widens"),
        ('stronger = "true"', "yes", "0", "widens"),
        ('stronger = "true"', "tru", "on", "neutral"),
        ('stronger = "true"', "maybe", "off", "neutral"),
        ('stronger = "true"', [], True, "neutral"),
        ('stronger = "false"', None, True, "widens"),
        ('stronger = "earlier"', "2026-01-01 00:00:00+00", "2026-01-01 00:00:00", "neutral"),
        ('strength = ["a*", ["b", "c"], "d"]', "abc", "B", "narrows"),
        ('strength = ["a*", ["b", "c"], "d"]', "b", "c", "neutral"),
        ('strength = ["a*", ["b", "c"], "d"]', "b", "z", "neutral"),
        ('strength = ["a"]', ["a"], "a", "neutral"),
        ('grows = "widens"', '"a,b", c', 'c, "a,b"', "neutral"),
        ('grows = "widens"', "a", "a, b", "widens"),
        ('grows = "widens"', "a, b", "b, c", "widens"),
        ('grows = "narrows"', "a, b", "b, c", "widens"),
        ('grows = "narrows"', None, ["a"], "narrows"),
        ('grows = "widens"', [{"a": 1}], [{"a": 1}, {"b": [float("nan")]}], "widens"),
        ('grows = "widens"', {"a": 1}, {"a": 2}, "widens"),
        ('grows = "widens"', 5, "5", "neutral"),
        ('grows = "widens"\nabsent = "a"', None, "a", "neutral"),
        ('grows = "widens"\neveryone = ["*"]', "a", "*", "widens"),
        ('grows = "widens"\neveryone = ["*"]', "*", "a", "narrows"),
        ('grows = "widens"\neveryone = ["*", "all"]', "*", "all, a", "neutral"),
        ('grows = "widens"\nprotective = ["safe_*"]', "safe_x", "", "widens"),
        ('grows = "widens"\nprotective = ["safe_*"]', "", "safe_x", "narrows"),
        ('grows = "widens"\nsuspect = ["x*"]', "a, x1", "a", "widens"),
        ('grows = "widens"\nsuspect = ["x*"]', "a", "a, x1", "widens"),
        ('grows = "widens"\nsuspect = ["x*"]', "a, x", "x", "narrows"),
        ('grows = "narrows"\nsuspect = ["*"]\nprotective = ["p"]', "p", "", "narrows"),
        ('grows = "widens"\norder_matters = true', "a, b", "b, a", "widens"),
        ('grows = "widens"\nsplit = "identifiers"', 'A, "B"', 'a, "B"', "neutral"),
        ('grows = "widens"\nsplit = "identifiers"', 'a, "b', "a, b", "neutral"),
        ('grows = "widens"\nsplit = "words"', "all, -a", "ALL", "neutral"),
        ('grows = "widens"\nsplit = "words"\naliases = {a = ["b"]}', "A, c,-A", "c", "neutral"),
        ('grows = "widens"\nsplit = "octal"', "0600", "0640", "widens"),
        ('grows = "widens"\nsplit = "octal"', "rw", "rw", "neutral"),
        ('grows = "widens"\nsplit = "grants"', "by a with grant option", "by a", "narrows"),
        ('always = "narrows"', "a", "a", "narrows"),
    ],
)  # fmt: skip
def test_values_are_ordered(toml, before, after, direction):
    assert ordered(toml, before, after) is Direction(direction)


def test_integers_too_large_to_be_written_are_no_error():
    assert ordered('stronger = "higher"', 10**5000, 2) is Direction.NEUTRAL
    assert ordered('grows = "widens"', [10**5000], []) is Direction.NARROWS


def test_a_bare_number_has_the_unit_of_its_object():
    toml = 'stronger = "higher"\nunit = "ms"'
    assert ordered(toml, "2", "1500ms", kind="setting", unit="s") is Direction.WIDENS
    assert ordered(toml, "2", "17000B", kind="setting", unit="8kB") is Direction.NARROWS
    assert ordered(toml, "2", "3", kind="setting", unit="furlong") is Direction.NEUTRAL


def test_an_override_of_the_weakest_value_widens_though_the_default_is_as_weak():
    toml = 'stronger = "lower"\nweakest = ["0"]\nabsent = "0"'

    def override(before, after):
        return ordered(toml, before, after, kind="role_setting", name="x for role a")

    assert override(None, "0") is Direction.WIDENS
    assert override("0", None) is Direction.NARROWS
    assert override("0", "0ms") is Direction.NEUTRAL
    assert override(None, "5") is Direction.NARROWS


# --- what users write


def test_user_rules_come_before_the_shipped_ones():
    change = altered("table", "audit.log", "row_security", True, False)
    text = """
        [[rule]]
        id = "mine"
        kind = "table"
        name = "audit.*"
        severity = "low"
        title = "Known"
        [[direction]]
        id = "mine"
        kind = "table"
        name = "audit.*"
        always = "neutral"
    """
    found = judge(change, load(text))
    assert (found.rule, found.severity) == ("mine", Severity.LOW)
    assert (found.ordering, found.direction) == ("mine", Direction.NEUTRAL)
    other = altered("table", "public.t", "row_security", True, False)
    assert judge(other, load(text)).severity is Severity.CRITICAL


def test_the_first_text_decides():
    def text(severity):
        return f'[[rule]]\nid = "{severity}"\nseverity = "{severity}"\ntitle = "t"'

    change = altered("table", "t", "comment", "a", "b")
    assert judge(change, load(text("low"), text("high").encode())).severity is Severity.LOW
    assert judge(change, load(text("high"), text("low"))).severity is Severity.HIGH


@pytest.mark.parametrize(
    ("where", "attributes", "matches"),
    [
        ("{ a = true }", {"a": True}, True),
        ("{ a = true }", {"a": False}, False),
        ("{ a = true }", {}, False),
        ("{ a = 5 }", {"a": 5}, True),
        ('{ a = "x*" }', {"a": "xy"}, True),
        ('{ a = "x*" }', {"a": ["b", "xy"]}, True),
        ('{ a = "x*" }', {"a": ["b", None, {}]}, False),
        ('{ a = ["x", "y"] }', {"a": "y"}, True),
        ('{ a = "!x*" }', {"a": ["b", "xy"]}, False),
        ('{ a = "!x*" }', {"a": ["b"]}, True),
        ('{ a = "!x*" }', {}, True),
        ('{ a = ["!x*", "b"] }', {"a": "b"}, True),
        ('{ a = ["!x*", "b"] }', {"a": "c"}, False),
        ('{ "*" = "x" }', {"b": "x"}, True),
        ('{ "a?" = "x" }', {"b": "x"}, False),
        ('{ a = "x", b = "y" }', {"a": "x", "b": "z"}, False),
        ('{ a = "[[]x]" }', {"a": "[x]"}, True),
        ('{ a = "X" }', {"a": "x"}, False),
    ],
)
def test_conditions(where, attributes, matches):
    rules = load(f'[[rule]]\nid = "mine"\nseverity = "info"\ntitle = "t"\nwhere = {where}')
    for change in (
        Change(Operation.ADDED, "k", "n", "", None, attributes, None, attributes),
        Change(Operation.REMOVED, "k", "n", "", attributes, None, attributes, None),
    ):
        assert (judge(change, rules).rule == "mine") is matches


@pytest.mark.parametrize(
    ("touches", "before", "after", "matches"),
    [
        ('"x=*"', None, ["x=1"], True),
        ('"x=*"', ["x=1", "a"], ["a"], True),
        ('"x=*"', ["x=1", "a"], ["x=1"], False),
        ('"x=*"', "x=1", "y", True),
        ('["x", "5"]', 5, None, True),
        ('"!x=*"', ["x=1"], ["a"], False),
        ('"!x=*"', ["x=1"], ["x=1", "a"], True),
    ],
)
def test_what_came_or_went(touches, before, after, matches):
    rules = load(f'[[rule]]\nid = "mine"\nseverity = "info"\ntitle = "t"\ntouches = {touches}')
    assert (judge(altered("k", "n", "a", before, after), rules).rule == "mine") is matches


def test_names_are_matched_as_wholes_and_with_brackets_escaped():
    rules = load(BLOCKS[2])

    def rule(name):
        return judge(altered("table", name, "owner", "a", "b"), rules).rule

    assert rule('public."Order Lines"') == rule('public."price[eur]"') == "odd.names"
    assert rule('public."say ""hi"""') == "odd.names"
    assert rule('public."order lines"') == rule('xpublic."Order Lines"') == "owner.powerful"


def test_a_parameter_is_matched_without_case_and_for_every_override():
    text = '[[rule]]\nid = "mine"\nparameter = "acme.x"\nseverity = "info"\ntitle = "t"'
    rules = load(text)
    assert judge(altered("setting", "Acme.X", "value", "a", "b"), rules).rule == "mine"
    assert judge(altered("role_setting", "acme.x for role a", "value", 1, 2), rules).rule == "mine"
    assert judge(altered("setting", "acme.x", "source", "a", "b"), rules).rule != "mine"
    assert judge(altered("table", "acme.x", "value", "a", "b"), rules).rule != "mine"


RULE = 'severity = "low"\ntitle = "t"\n'
REFUSED = {
    "not toml": ("[[rule", "not TOML"),
    "not utf-8": (b"\xff", "not TOML"),
    "not unicode": ("\ud800", "not TOML"),
    "nested too deep": ("a = " + "[" * 100_000, "not TOML"),
    "a number too long to read": ("a = " + "9" * 5000, "not TOML"),
    "too long": ("#" * (MAX_TEXT_BYTES + 1), "bytes of rules"),
    "unknown table": ("[[rules]]\nid = 'x'", "unknown table 'rules'"),
    "a table, not a list": (f"[rule]\nid = 'x'\n{RULE}", r"expected \[\[rule\]\]"),
    "a list of numbers": ("rule = [1]", "number 1.*got `int`"),
    "too many": (f"rule = [{'{},' * MAX_RULES}]", "more than 10000"),
    "no id": (f"[[rule]]\n{RULE}", "'id' is missing"),
    "an empty id": (f"[[rule]]\nid = ''\n{RULE}", "expected an id"),
    "an id with spaces": (f"[[rule]]\nid = 'a b'\n{RULE}", "expected an id"),
    "an id of two": (f"[[rule]]\nid = 'x'\n{RULE}[[rule]]\nid = 'x'\n{RULE}", "taken"),
    "a shipped id": (f"[[rule]]\nid = 'unknown'\n{RULE}", "'unknown'.*taken"),
    "unknown key": (
        f"[[rule]]\nid = 'x'\nsevertiy = 'low'\n{RULE}",
        "'x'.*severtiy.*'severity'.*title",
    ),
    "an odd key": (f"[[rule]]\nid = 'x'\nqqq = 1\n{RULE}", "'qqq'; expected one of attribute,"),
    "bad severity": (
        "[[rule]]\nid = 'x'\nseverity = 'dire'\ntitle = 't'",
        "'x'.*'dire'.*critical, high, medium",
    ),
    "a number for a severity": ("[[rule]]\nid = 'x'\nseverity = 1\ntitle = 't'", "is 1; .* info"),
    "a number for a title": ("[[rule]]\nid = 'x'\nseverity = 'low'\ntitle = 1", "title: Expected"),
    "line of bad text": ("# words\na = \n", r"not TOML: .*\(at line 2"),
    "empty title": ("[[rule]]\nid = 'x'\nseverity = 'low'\ntitle = ' '", "'x'.*title"),
    "unprintable title": ('[[rule]]\nid = "x"\nseverity = "low"\ntitle = "\\u001b[2J"', "title"),
    "empty glob": (f"[[rule]]\nid = 'x'\nname = ''\n{RULE}", "'x'.*glob is empty"),
    "no globs": (f"[[rule]]\nid = 'x'\nkind = []\n{RULE}", "'x'.*glob is empty"),
    "empty condition": (f"[[rule]]\nid = 'x'\nwhere = {{ a = '' }}\n{RULE}", "glob is empty"),
    "negated nothing": (f"[[rule]]\nid = 'x'\nwhere = {{ a = '!' }}\n{RULE}", "glob is empty"),
    "long glob": (f"[[rule]]\nid = 'x'\nname = '{'a' * 1001}'\n{RULE}", "longer than 1000"),
    "bad operation": (f"[[rule]]\nid = 'x'\noperation = 'x'\n{RULE}", "'x'"),
    "unknown controls": (f"[[rule]]\nid = 'x'\ncontrols = ['sox']\n{RULE}", "'sox'.*access"),
    "huge number": (f"[[rule]]\nid = 'x'\nwhere = {{ a = {2**60} }}\n{RULE}", "'x'"),
    "no way": ("[[direction]]\nid = 'x'", "'x'.*exactly one"),
    "two ways": ("[[direction]]\nid = 'x'\nalways = 'widens'\ngrows = 'widens'", "exactly one"),
    "way and arrival": ("[[direction]]\nid = 'x'\nadded = 'widens'\ngrows = 'widens'", "exactly"),
    "no strengths": ("[[direction]]\nid = 'x'\nstrength = []", "strength is empty"),
    "neutral growth": ("[[direction]]\nid = 'x'\ngrows = 'neutral'", "grows"),
    "a stray key": (
        "[[direction]]\nid = 'x'\nalways = 'widens'\nunit = 's'",
        "unit has no meaning",
    ),
    "no number": ("[[direction]]\nid = 'x'\nstronger = 'lower'\nweakest = ['off']", "numbers"),
    "bad direction": ("[[direction]]\nid = 'x'\nalways = 'sideways'", "'x'.*'sideways'.*narrows"),
    "bad split": ("[[direction]]\nid = 'x'\ngrows = 'widens'\nsplit = []", "colon, identifiers"),
}


@pytest.mark.parametrize(("text", "says"), REFUSED.values(), ids=REFUSED)
def test_rules_that_are_not_exactly_right_are_refused(text, says):
    with pytest.raises(ConfigError, match=says) as caught:
        load("", text, names=["first.toml", "second.toml"])
    assert caught.value.message.startswith("second.toml: ")
    assert caught.value.next_step
    assert "$" not in caught.value.message


def test_texts_without_names_are_numbered():
    with pytest.raises(ConfigError, match=r"^rules text 2: "):
        load("", "?")


def test_the_digest_names_the_effective_rules():
    text = BLOCKS[0]
    assert re.fullmatch("[0-9a-f]{64}", RULES.sha256)
    assert load().sha256 == load("").sha256 == load("# words").sha256 == RULES.sha256
    assert load(text).sha256 == load(text.encode()).sha256 != RULES.sha256
    assert load(text, BLOCKS[1]).sha256 != load(BLOCKS[1], text).sha256


def test_the_examples_of_the_documentation_load_and_decide():
    rules = load(*BLOCKS)
    assert isinstance(rules, Rules)
    change = altered("setting", "acme.audit_days", "value", "30", "0")
    assert judge(change, rules).severity is Severity.HIGH
    member = {"admin": False}
    change = Change(
        Operation.ADDED, "membership", "contractor_7 in staff", "", None, member, None, member
    )
    assert judge(change, rules).rule == "membership.outsider"


def test_the_documentation_names_every_key_severity_and_set():
    text = DOCS.read_text("utf-8")
    words = {*Ordering.__struct_fields__, *Rule.__struct_fields__}
    words |= {one.value for one in (*Severity, *Direction, *Operation)}
    words |= {split.value for split in type(Ordering(id="x").split)}
    words |= set(RULES.controls.sets)
    assert {word for word in words if f"`{word}`" not in text} == set()


def test_rules_are_described_in_the_order_of_evaluation():
    text = """
        [[rule]]
        id = "mine"
        kind = ["table", "view"]
        parameter = "x.*"
        operation = "added"
        direction = "widens"
        where = { a = true, "b*" = ["c", "!d"] }
        touches = "e"
        severity = "low"
        title = "Mine"
    """
    found = describe(load(text))
    assert found[0] == {
        "id": "mine",
        "severity": "low",
        "title": "Mine",
        "kind": "table, view",
        "name": "",
        "parameter": "x.*",
        "attribute": "",
        "operation": "added",
        "direction": "widens",
        "where": "a = true, b* = c, !d",
        "touches": "e",
    }
    assert [one["id"] for one in found[1:]] == [rule.id for rule in RULES.rules]
    assert found[-1]["id"] == "unknown"


def test_judgements_can_be_stored():
    found = judge(altered("role", "a", "login", False, True), RULES)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
