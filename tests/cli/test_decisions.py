from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.local.clock import SystemClock


@pytest.fixture
def drifted(signed, database):
    database.run(
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY", "ALTER TABLE orders ADD COLUMN note text"
    )
    signed("scan", "orders", expect=1)
    return signed


def ids(run, **where):
    rows = run("drift", "ls", "--json").json
    return [row["id"] for row in rows if all(row[key] == value for key, value in where.items())]


def tomorrow():
    return (SystemClock().now() + timedelta(days=1)).date().isoformat()


def test_approvals_are_counted_by_person(shop):
    shop("--as", "ana", "baseline", "propose", "orders")
    assert "cannot approve" in shop("--as", "Ana", "baseline", "approve", "orders", expect=2).err
    shop("--as", "ben", "baseline", "approve", "orders")
    assert "counts once" in shop("--as", "BEN", "baseline", "approve", "orders", expect=2).err
    shop("baseline", "verify", "orders", expect=3)
    answer = shop("--as", "chloe", "baseline", "approve", "orders", "--json").json
    assert answer["baseline"] is not None
    assert shop("baseline", "verify", "orders", "--json").json["verified"] is True
    assert "verified" in shop("baseline", "verify", "orders").err


def test_show_tells_who_signed_and_what_a_proposal_would_change(drifted):
    assert "go live" in drifted("baseline", "show", "orders").out
    drifted("--as", "dora", "baseline", "propose", "orders", "--comment", "as it is now")
    answer = drifted("baseline", "show", "orders")
    assert "dora (asserted)" in answer.out
    assert "Row-level security switched off" in answer.out
    assert "2 changes" in answer.err
    value = drifted("baseline", "show", "orders", "--json").json
    assert len(value["would_change"]) == 2
    assert value["predicate"]["comment"] == "go live"


def test_show_without_anything_could_not_tell(shop):
    shop("baseline", "show", "orders", expect=3)
    shop("baseline", "approve", "orders", expect=2)


def test_an_approval_can_be_bound_to_a_proposal(shop):
    shop("--as", "ana", "baseline", "propose", "orders")
    refused = shop("--as", "ben", "baseline", "approve", "orders", "--proposal", "B-0", expect=2)
    assert "not open any more" in refused.err


def test_a_finding_is_shown_in_full(drifted):
    [one] = ids(drifted, attribute="row_security")
    text = drifted("drift", "show", one).out
    for part in (one, "critical", "widens", "- true", "+ false", "supports NIST 800-53", "CM-3"):
        assert part in text
    assert drifted("drift", "show", one, "--json").json["record"] > 0
    assert one[:14] in drifted("drift", "ls").out
    assert drifted("drift", "show", one[:10], "--json").json["id"] == one
    [column] = ids(drifted, kind="column")
    assert "type" in drifted("drift", "show", column).out


def test_suppressing_makes_the_scan_quiet_and_is_recorded(drifted):
    drifted(
        "--as",
        "dora",
        "drift",
        "suppress",
        *ids(drifted),
        "--until",
        tomorrow(),
        "--reason",
        "INC-1",
    )
    answer = drifted("scan", "orders")
    assert "CLEAN" in answer.out
    assert "2 suppressed" in answer.out
    assert "suppressed until" in drifted("drift", "show", ids(drifted)[0]).out
    assert len(drifted("evidence", "ls", "--kind", "finding.suppressed", "--json").json) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--until", "2020-01-01", "--reason", "INC-1"],
        ["--until", "soon", "--reason", "INC-1"],
        ["--until", "2026-12-31"],
        ["--reason", "INC-1"],
        ["--until", "2999-12-31", "--reason", "INC-1"],
    ],
)
def test_a_suppression_without_end_or_reason_is_refused(drifted, words):
    drifted("drift", "suppress", *ids(drifted), *words, expect=2)
    drifted("scan", "orders", expect=1)


def test_accepting_goes_through_people(drifted):
    [column] = ids(drifted, kind="column")
    answer = drifted("--as", "ana", "drift", "accept", column, "--reason", "the new note field")
    assert "proposed" in answer.err
    assert "1 changes from the baseline" in drifted("baseline", "show", "orders").err
    drifted("--as", "ben", "baseline", "approve", "orders")
    drifted("--as", "chloe", "baseline", "approve", "orders")
    [result] = drifted("scan", "orders", "--json", expect=1).json["results"]
    assert [f["attribute"] for f in result["findings"]] == ["row_security"]


def test_a_finding_that_is_not_there_is_said(drifted):
    drifted("drift", "show", "F-0", expect=2)
    drifted("drift", "accept", "F-0", "--reason", "INC-1", expect=2)


def test_no_findings_are_no_error(signed):
    assert signed("drift", "ls", "--json").json == []
    assert "no findings" in signed("drift", "ls").err
