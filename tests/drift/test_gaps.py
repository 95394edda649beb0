"""Gaps that people sign for, and what an extension's change brings with it."""

import pytest
from support.desk import ANA, BEN, CHLOE, propose_state, quiet

from chalicelib.drift import approval, decide
from chalicelib.drift.diff import Operation, diff, merge, signed_gaps
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import Object, build, unreadable

HBA = unreadable("hba_rule", reason="closed", needs="SELECT on it", optional=True)
PASSWORDS = unreadable(
    "role",
    reason="closed",
    needs="SELECT (rolpassword)",
    partial=True,
    attributes=["password"],
    listed=True,
    optional=True,
)


def having(gap, **changed):
    return gap.having({**gap.attributes, **changed})


def changes(before, after):
    return diff(build(before), build(after))


def test_the_very_same_gap_is_no_change():
    assert changes([HBA, PASSWORDS], [HBA, PASSWORDS]) == []
    assert signed_gaps(build([HBA]), build([HBA, PASSWORDS])) == [HBA]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [HBA]),
        ([HBA], []),
        ([HBA], [having(HBA, reason="another")]),
        ([HBA], [having(HBA, needs="more")]),
        ([PASSWORDS], [having(PASSWORDS, attributes=["password", "superuser"])]),
        ([PASSWORDS], [having(PASSWORDS, listed=False)]),
        ([having(HBA, optional=False)], [having(HBA, optional=False)]),
        ([having(HBA, optional=None)], [having(HBA, optional=None)]),
    ],
)
def test_any_other_gap_is_unknown(before, after):
    assert [one.operation for one in changes(before, after)] == [Operation.UNREADABLE]


def test_what_is_hidden_by_a_signed_gap_is_no_change_and_the_rest_is():
    before = Object("role", "bob", {"login": False})
    after = Object("role", "bob", {"login": True, "password": "md5"})
    found = changes([PASSWORDS, before], [PASSWORDS, after])
    assert [(one.kind, one.attribute) for one in found] == [("role", "login")]


def approve(desk, target, source):
    propose_state(desk, target, source, actor=ANA)
    approval.approve(desk, target, actor=BEN)
    approval.approve(desk, target, actor=CHLOE)


def run(desk, target, source):
    return scan(desk, target, source, actor=ANA, progress=quiet)


def test_a_scan_names_what_people_signed_for_not_seeing(desk, target, source):
    source.put("coverage", "hba_rule", **HBA.attributes)
    source.put("coverage", "role", **PASSWORDS.attributes)
    approve(desk, target, source)
    result = run(desk, target, source)
    assert result.outcome is Outcome.CLEAN
    assert result.not_visible == {"hba_rule": [], "role": ["password"]}
    assert result.entries[-1].record.body["not_visible"] == result.not_visible
    source.put("coverage", "user_mapping", **HBA.attributes)
    again = run(desk, target, source)
    assert again.outcome is Outcome.UNKNOWN
    assert again.not_visible == result.not_visible


def test_a_scan_that_sees_everything_names_nothing(desk, target, source):
    approve(desk, target, source)
    result = run(desk, target, source)
    assert result.outcome is Outcome.CLEAN
    assert result.not_visible == {}
    assert "not_visible" not in result.entries[-1].record.body


def test_an_open_finding_that_a_signed_gap_hides_is_not_clean(desk, target, source):
    approve(desk, target, source)
    source.put("hba_rule", "host all all 0.0.0.0/0", method="trust")
    [(found, _)] = run(desk, target, source).findings
    source.drop("hba_rule", "host all all 0.0.0.0/0")
    source.put("coverage", "hba_rule", **HBA.attributes)
    approve(desk, target, source)
    hidden = run(desk, target, source)
    assert hidden.findings == []
    assert hidden.outcome is Outcome.UNKNOWN
    until = desk.clock.now().date()
    decide.suppress(desk, target, [found.id], until=until, reason="seen by hand", actor=BEN)
    assert run(desk, target, source).outcome is Outcome.CLEAN


def test_a_gap_without_a_baseline_is_unknown(desk, target, source):
    source.put("coverage", "hba_rule", **HBA.attributes)
    result = run(desk, target, source)
    assert result.outcome is Outcome.UNKNOWN
    assert result.not_visible == {}


def member(name, digest, of="postgis"):
    return Object(
        "extension_member", f"function {name}", {"digest": digest, "of": f"extension {of}"}
    )


def extension(version="1", schema="public", name="postgis"):
    return Object("extension", name, {"version": version, "schema": schema})


OLD = [member("public.a()", "1"), member("public.b()", "2"), member("public.c()", "3")]
NEW = [member("public.a()", "1"), member("public.b()", "9"), member("public.d()", "4")]


def test_an_upgrade_of_an_extension_is_one_change():
    other = [extension(name="hstore"), member("public.x()", "1", of="hstore")]
    replaced = [extension(name="hstore"), member("public.x()", "2", of="hstore")]
    found = changes([extension(), *OLD, *other], [extension("2"), *NEW, *replaced])
    assert [(one.kind, one.attribute) for one in found] == [
        ("extension", "version"),
        ("extension_member", "digest"),
    ]
    upgraded, alone = found
    assert [name for _, name in upgraded.parts] == [
        "function public.b()",
        "function public.c()",
        "function public.d()",
    ]
    assert upgraded.parts_root
    assert alone.name == "function public.x()"


def test_other_parts_are_another_change():
    first, second = (
        changes([extension(), *OLD], [extension("2"), *NEW[:2], member("public.d()", digest)])[0]
        for digest in ("4", "5")
    )
    assert first.parts == second.parts
    assert first.parts_root != second.parts_root


def test_a_member_that_is_replaced_without_a_new_version_stands_alone():
    found = changes([extension(), *OLD], [extension(), *NEW])
    assert [(one.operation, one.name) for one in found] == [
        (Operation.ALTERED, "function public.b()"),
        (Operation.REMOVED, "function public.c()"),
        (Operation.ADDED, "function public.d()"),
    ]


def moved(members):
    return [Object(one.kind, one.name.replace("public", "gis"), one.attributes) for one in members]


def test_an_extension_that_moves_takes_its_members_along():
    found = changes([extension(), *OLD], [extension(schema="gis"), *moved(OLD)])
    assert [(one.kind, one.attribute, len(one.parts)) for one in found] == [
        ("extension", "schema", 6)
    ]


def test_a_member_that_is_replaced_on_the_way_is_not_hidden():
    replaced = [*moved(OLD)[:2], member("gis.c()", "evil")]
    found = changes([extension(), *OLD], [extension(schema="gis"), *replaced])
    assert len(found) == 7
    assert all(one.parts == () for one in found)


def test_an_accepted_upgrade_brings_its_parts():
    before, after = build([extension(), *OLD]), build([extension("2"), *NEW])
    assert merge(before, after, diff(before, after)).data == after.data


def test_a_part_stays_with_the_attribute_that_leads():
    found = changes([extension(), *OLD], [extension("2", "gis"), *moved(NEW)])
    assert [(one.attribute, len(one.parts)) for one in found] == [("schema", 0), ("version", 6)]
