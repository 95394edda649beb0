from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from evidence.parcel import at
from support.reports import ACCESS, CLOUD, SHOP, Tale
from support.tales import full

from chalicelib.render import populations
from chalicelib.render.populations import POPULATIONS

BY_NAME = {one.name: one for one in POPULATIONS}
NAMES = sorted(BY_NAME)


@pytest.fixture(scope="module")
def book():
    with full().book() as found:
        yield found


def rows(book, name):
    """The rows of a population as dictionaries."""
    one = BY_NAME[name]
    columns = book.columns(one.sql)
    return [dict(zip(columns, row, strict=True)) for row in populations.walk(book, one)]


def by(book, name, column):
    """The rows of a population by one of its columns."""
    return {row[column]: row for row in rows(book, name)}


@pytest.mark.parametrize("name", NAMES)
def test_each_row_names_its_record_and_is_told_apart(book, name):
    population = BY_NAME[name]
    columns = book.columns(population.sql)
    assert columns[:2] == ["leaf", "leaf_hash"]
    assert len(set(columns)) == len(columns)
    found = rows(book, name)
    assert len(found) == populations.count(book, population)
    keys = [tuple(row[column] for column in population.key) for row in found]
    assert len(set(keys)) == len(keys) > 0
    for row in found:
        hashed = None if row["leaf"] is None else book.verified.hash_of(row["leaf"])
        assert row["leaf_hash"] == hashed
        assert row["leaf"] is not None or name in {"gaps", "targets"}


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"gaps", "targets"}))
def test_rows_of_records_are_in_the_order_of_the_log(book, name):
    leaves = [row["leaf"] for row in rows(book, name)]
    assert leaves == sorted(leaves)


def test_every_record_that_has_a_population_is_in_it(book):
    told = Counter()
    for name in ("target_changes", "ticks", "scans", "finding_events", "baselines", "custody",
                 "baseline_approvals", "access_events", "masking", "keeping", "odd"):  # fmt: skip
        told.update(row["leaf"] for row in rows(book, name))
    signed = {row["signed_leaf"] for row in rows(book, "baselines")}
    everything = {row["leaf"] for row in rows(book, "records")}
    assert told.keys() | signed == everything
    assert set(told.values()) == {1}


def test_a_scan_says_what_assessors_ask_of_it(book):
    (row,) = [row for row in rows(book, "scans") if row["questions_sha256"]]
    expected = {
        "in_period": "yes",
        "target": SHOP,
        "started_at": at(2, 18, 1),
        "read_at": at(2, 18, 1),
        "recorded_at": at(2, 18, 2),
        "recorded_by": "ana",
        "known_by": "os",
        "source_system": '{"database":"shop","host":"db.example","port":5432,"user":"reader"}',
        "ran_as": "reader",
        "queries": 2,
        "rows": 416,
        "questions_sha256": "9" * 64,
        "outcome": "drift",
        "failure": "",
        "tool": "test/1",
    }
    assert {name: row[name] for name in expected} == expected
    asked = [one for one in rows(book, "queries") if one["leaf"] == row["leaf"]]
    assert [(one["query"], one["query_sha256"], one["rows"], one["ran_as"]) for one in asked] == [
        ("settings", "1" * 64, 398, "reader"),
        ("column", "2" * 64, 18, "reader"),
    ]
    failures = [(one["outcome"], one["failure"]) for one in rows(book, "scans") if one["failure"]]
    assert failures == [("unknown", "unreachable: no route")]


def test_findings_have_their_disposition(book):
    found = by(book, "findings", "finding_id")
    told = {name: (row["disposition"], row["accepted_by_baseline"]) for name, row in found.items()}
    assert told == {
        "F-1": ("gone", None),
        "F-2": ("suppressed", None),
        "F-3": ("open", None),
        "F-4": ("suppressed", None),
        "F-5": ("accepted", "B-2"),
    }
    assert found["F-1"]["ended_at"] == at(2, 12, 3)
    assert found["F-1"]["ended_leaf_hash"] == book.verified.hash_of(found["F-1"]["ended_leaf"])
    assert found["F-4"]["attributed_to"].startswith("mallory by PutRolePolicy")
    assert found["F-2"]["suppressed_until_at"] == at(20)
    carried = by(book, "carried_findings", "finding_id")
    assert {name: row["ended"] for name, row in carried.items()} == {"F-0": "yes", "F-7": "no"}


def test_a_lease_says_who_asked_who_agreed_and_when(book):
    found = by(book, "requests_and_leases", "request_id")
    expected = {
        "requested_by": "dora",
        "requested_at": at(2, 13),
        "approvers": "ben",
        "approved_at": at(2, 13, 1),
        "requester_among_approvers": "no",
        "state_at_end": "ended",
        "issued_at": at(2, 13, 3),
        "expires_at": at(2, 13, 20),
        "ended_at": at(2, 13, 30),
        "sessions_ended": 1,
        "catalogue_rows_left_behind": 0,
    }
    assert {name: found["L-1"][name] for name in expected} == expected
    assert found["L-1"]["ended_leaf_hash"] == book.verified.hash_of(found["L-1"]["ended_leaf"])
    assert (found["L-2"]["approvers"], found["L-2"]["break_glass"]) == ("", "yes")
    assert found["L-2"]["catalogue_rows_left_behind"] == 2
    assert found["L-6"]["requester_among_approvers"] == "yes"
    states = {name: row["state_at_end"] for name, row in found.items()}
    assert states == {
        "L-1": "ended", "L-2": "ended", "L-3": "denied", "L-4": "withdrawn", "L-5": "lapsed",
        "L-6": "ending",
    }  # fmt: skip
    assert (found["L-3"]["profile"], found["L-3"]["approvers"]) == ("write", "ben")


def test_a_baseline_says_who_proposed_it_who_agreed_and_when(book):
    found = by(book, "baselines", "baseline_id")
    one = found["B-2"]
    assert (one["proposed_by"], one["proposed_at"]) == ("ana", at(2, 17))
    assert (one["approved_by"], one["approved_at"]) == ("ben", at(2, 17, 1))
    assert (one["signed"], one["signed_at"]) == ("yes", at(2, 17, 2))
    assert (one["proposer_among_approvers"], one["findings_accepted"]) == ("no", 1)
    agreed = [(row["proposed_by"], row["approved_by"]) for row in rows(book, "baseline_approvals")]
    assert agreed == [("ana", "ben")] * 2


def test_own_approvals_of_a_baseline_show_whatever_the_spelling():
    tale = Tale()
    tale.baseline(SHOP, 1)
    body = {"proposal": "B-1", "root": "6" * 64, "comment": ""}
    tale.add("baseline.approved", SHOP, at(2, 2), body, " ANA ")
    tale.add("baseline.approved", SHOP, at(2, 2), body | {"proposal": "B-0"}, "ben")
    with tale.book() as book:
        (one,) = rows(book, "baselines")
        assert one["proposer_among_approvers"] == "yes"
        own = [row["is_own_proposal"] for row in rows(book, "baseline_approvals")]
        assert own == ["no", "yes", "untold"]


def test_gaps_and_targets_add_up(book):
    gaps = rows(book, "gaps")
    assert [(row["target"], row["start_at"], row["why"]) for row in gaps] == [
        (CLOUD, at(2, 6), "missed")
    ]
    assert gaps[0]["duration_seconds"] == 6 * 3600
    targets = by(book, "targets", "target")
    assert targets[CLOUD]["gaps"] == 1
    assert targets[CLOUD]["last_change"] == "removed"
    assert (targets[SHOP]["scans_due"], targets[SHOP]["scans_observed"]) == (4, 4)


def test_a_record_that_cannot_be_read_is_told_as_such(book):
    (row,) = rows(book, "odd")
    assert (row["kind"], row["stream"]) == ("scan", SHOP)
    assert row["leaf"] not in {one["leaf"] for one in rows(book, "scans")}


@pytest.mark.parametrize(
    "body",
    [
        {"outcome": "clean", "baseline": {"a": 1}},
        {"outcome": "clean", "queries": [{"name": "q", "rows": []}]},
        {"outcome": "clean", "queries": "all"},
        {"outcome": "clean", "opened": [1]},
    ],
    ids=["object", "list", "text", "number"],
)
def test_a_body_of_another_form_takes_nothing_else_along(body):
    tale = Tale()
    odd = tale.add("scan", CLOUD, at(2, 1), {"scheduled_at": None, "outcome": "clean"} | body)
    tale.scan(SHOP, 1)
    with tale.book() as book:
        assert [row["target"] for row in rows(book, "scans")] == [SHOP]
        assert {row["leaf"] for row in rows(book, "queries")}.isdisjoint({odd})
        assert [row["leaf"] for row in rows(book, "odd")] == [odd]


def drawn(book, name, seed, size):
    """A sample, drawn from the rows by the words of the module alone."""
    found = rows(book, name)

    def place(row):
        parts = [row[column] for column in BY_NAME[name].key]
        key = "\n".join("" if part is None else str(part) for part in parts)
        return hashlib.sha256(f"{seed}\n{name}\n{key}".encode()).hexdigest()

    chosen = sorted(found, key=place)[:size]
    return [tuple(row.values()) for row in found if row in chosen]


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_can_be_drawn_again(book, name):
    population = BY_NAME[name]
    packet = book.verified.verdict.packet
    assert populations.sample(book, population, "", 3) == drawn(book, name, packet, 3)
    assert populations.sample(book, population, "2026-Q4", 2) == drawn(book, name, "2026-Q4", 2)


def test_another_seed_draws_other_rows(book):
    records = BY_NAME["records"]
    samples = {tuple(populations.sample(book, records, str(seed), 5)) for seed in range(20)}
    assert len(samples) == 20


def test_a_sample_of_more_than_there_is_is_everything(book):
    ticks = BY_NAME["ticks"]
    assert populations.sample(book, ticks, "x", 1_000) == list(populations.walk(book, ticks))
    assert populations.sample(book, ticks, "x", 0) == []
    assert len(populations.sample(book, BY_NAME["records"])) == populations.SIZE


@pytest.mark.parametrize("size", [-1, populations.MAX_SIZE + 1])
def test_a_size_that_is_none_is_refused(book, size):
    with pytest.raises(ValueError, match=f"a sample of {size} rows"):
        populations.sample(book, BY_NAME["ticks"], "x", size)


def test_what_is_sampled_in_reports():
    assert [one.name for one in POPULATIONS if one.is_sampled] == [
        "scans", "findings", "baselines", "requests_and_leases",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "disposition"),
    [
        (["finding.opened"], {"untold"}),
        (["finding"], {"untold", "open", "suppressed"}),
        (["baseline", "finding"], {"gone", "suppressed", "open", "accepted"}),
    ],
)
def test_what_a_filter_leaves_out_is_untold_and_no_disposition(kinds, disposition):
    with full().book(kinds=kinds) as book:
        found = by(book, "findings", "finding_id")
        assert {row["disposition"] for row in found.values()} == disposition
        ended = {row["ended"] for row in rows(book, "carried_findings")}
        assert ended == ({"untold"} if kinds == ["finding.opened"] else {"yes", "no"})


def test_approvals_that_are_left_out_are_untold_and_not_missing():
    with full().book(kinds=["access.requested", "baseline.proposed"]) as book:
        leases = rows(book, "requests_and_leases")
        told = {
            (row["approvers"], row["requester_among_approvers"], row["state_at_end"])
            for row in leases
        }
        assert told == {("untold", "untold", "untold")}
        baselines = {row["signed"]: row for row in rows(book, "baselines")}
        assert "no" not in baselines
        assert baselines["untold"]["approvals"] == "untold"
        assert baselines["untold"]["proposer_among_approvers"] == "untold"


def test_a_request_that_is_open_is_not_untold_where_everything_is_here():
    tale = Tale()
    tale.asked(1)
    with tale.book(targets=[ACCESS]) as book:
        (row,) = rows(book, "requests_and_leases")
        assert (row["state_at_end"], row["approvers"]) == ("pending", "")


def test_requests_are_told_where_only_other_kinds_are_left_out():
    tale = Tale()
    tale.asked(1)
    with tale.book(kinds=["access", "lease"]) as book:
        assert [row["state_at_end"] for row in rows(book, "requests_and_leases")] == ["pending"]


def test_a_period_without_a_scan_has_no_scans():
    tale = Tale()
    tale.add("target.configured", SHOP, at(2, 1), {"env": "prod", "approvals": 1})
    with tale.book() as book:
        empty = {one.name for one in POPULATIONS if not populations.count(book, one)}
        assert set(NAMES) - empty == {"records", "targets", "target_changes", "keeping"}
        assert populations.sample(book, BY_NAME["scans"]) == []
