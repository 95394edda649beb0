"""The questions behind populations. Each names its columns as files and reports show them.

Columns that end in ``_at`` are UTC, RFC 3339. ``in_period``: whether the record is one of the
period's; ``yes``, ``no``, and ``untold`` where the packet's filter leaves out what would tell.
"""

from __future__ import annotations

from typing import Final

RECORDS: Final = """
SELECT leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period, at AS recorded_at, kind,
    stream, seq AS number_in_stream, actor AS recorded_by, via AS known_by, tool
FROM record ORDER BY leaf
"""

TARGETS: Final = """
SELECT said.leaf, record.hash AS leaf_hash, named.target, said.event AS last_change,
    said.at AS last_changed_at, said.by AS last_changed_by, said.env AS environment,
    said.approvals AS approvals_required, covered.expected AS scans_due,
    covered.observed AS scans_observed, covered.pending AS scans_pending,
    covered.unobserved AS gaps, covered.unscheduled AS scans_beside_the_schedule,
    covered.outcomes AS outcomes_of_due_scans
FROM (
    SELECT target FROM covered UNION SELECT target FROM configured UNION SELECT target FROM scan
) AS named
LEFT JOIN covered ON covered.target = named.target
LEFT JOIN configured AS said
    ON said.leaf = (SELECT max(leaf) FROM configured WHERE configured.target = named.target)
LEFT JOIN record ON record.leaf = said.leaf
ORDER BY named.target
"""

TARGET_CHANGES: Final = """
SELECT configured.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    configured.at AS recorded_at, by AS recorded_by, via AS known_by, target, event,
    env AS environment, approvals AS approvals_required, tool
FROM configured LEFT JOIN record ON record.leaf = configured.leaf ORDER BY configured.leaf
"""

TICKS: Final = """
SELECT tick.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    tick.at AS recorded_at, scheduled_at, deadline_at, targets AS targets_due, settings_sha256, tool
FROM tick LEFT JOIN record ON record.leaf = tick.leaf ORDER BY tick.leaf
"""

SCANS: Final = """
SELECT scan.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period, target,
    scheduled_at, started_at, read_at, recorded_at, by AS recorded_by, via AS known_by,
    source AS source_system, ran_as, queries, questions_sha256, rows, objects, snapshot_sha256,
    root AS snapshot_root, baseline, baseline_leaf, required AS approvals_required, outcome,
    failure, opened AS findings_opened, closed AS findings_closed, listed AS findings_listed,
    scan.tool, program_sha256, rules_sha256
FROM scan LEFT JOIN record ON record.leaf = scan.leaf ORDER BY scan.leaf
"""

QUERIES: Final = """
SELECT query.leaf, hash AS leaf_hash, query.number, target, query.name AS query,
    query.sha256 AS query_sha256, query.rows, started_at, read_at, ran_as,
    source AS source_system, questions_sha256
FROM query LEFT JOIN scan ON scan.leaf = query.leaf LEFT JOIN record ON record.leaf = query.leaf
ORDER BY query.leaf, query.number
"""

GAPS: Final = """
SELECT NULL AS leaf, NULL AS leaf_hash, target, start AS start_at, stop AS end_at,
    CAST(round((julianday(stop) - julianday(start)) * 86400) AS INTEGER) AS duration_seconds, why
FROM gap ORDER BY start, target, stop, why
"""

FINDINGS: Final = """
SELECT finding.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period, id AS finding_id,
    target, opened_at, severity, direction, rule, title, operation, finding.kind, name, attribute,
    not_before AS changed_not_before_at, not_after AS changed_not_after_at,
    committed_at AS change_committed_at, who AS attributed_to, certainty AS attribution_certainty,
    meaning, controls AS controls_supported, before, after, disposition, ended_at, ended_leaf,
    (SELECT hash FROM record AS ending WHERE ending.leaf = ended_leaf) AS ended_leaf_hash,
    accepted_by AS accepted_by_baseline, suppressed_until AS suppressed_until_at,
    suppressed_leaf, tool
FROM finding LEFT JOIN record ON record.leaf = finding.leaf ORDER BY finding.leaf
"""

FINDING_EVENTS: Final = """
SELECT finding_event.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    finding_event.at AS recorded_at, by AS recorded_by, via AS known_by, target,
    finding AS finding_id, event, words, tool
FROM finding_event LEFT JOIN record ON record.leaf = finding_event.leaf ORDER BY finding_event.leaf
"""

CARRIED_FINDINGS: Final = """
SELECT carried.leaf, hash AS leaf_hash, target, id AS finding_id,
    at AS first_listed_at, last_leaf AS last_listed_leaf,
    (SELECT at FROM record AS last WHERE last.leaf = last_leaf) AS last_listed_at,
    disposition AS last_listed_disposition,
    CASE WHEN ended_leaf IS NOT NULL THEN 'yes'
        WHEN EXISTS (SELECT 1 FROM untold WHERE kind = 'finding.closed') THEN 'untold'
        ELSE 'no' END AS ended,
    (SELECT at FROM record AS ending WHERE ending.leaf = ended_leaf) AS ended_at, ended_leaf
FROM carried LEFT JOIN record ON record.leaf = carried.leaf
ORDER BY carried.leaf, target, id
"""

BASELINES: Final = """
SELECT baseline.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    id AS baseline_id, target, proposed_at, proposed_by, via AS proposer_known_by, comment,
    read_at AS snapshot_read_at, objects, snapshot_sha256, root AS snapshot_root,
    accepts AS findings_accepted, required AS approvals_required,
    CASE WHEN EXISTS (SELECT 1 FROM untold WHERE kind = 'baseline.approved') THEN 'untold'
        ELSE approvals END AS approvals,
    (SELECT group_concat(at, ' ') FROM (SELECT at FROM baseline_approval AS one
        WHERE one.target = baseline.target AND one.baseline = baseline.id ORDER BY one.leaf)
    ) AS approved_at,
    (SELECT group_concat(leaf, ' ') FROM (SELECT leaf FROM baseline_approval AS one
        WHERE one.target = baseline.target AND one.baseline = baseline.id ORDER BY one.leaf)
    ) AS approval_leaves,
    CASE WHEN EXISTS (SELECT 1 FROM untold WHERE kind = 'baseline.approved') THEN 'untold'
        WHEN EXISTS (SELECT 1 FROM baseline_approval AS one WHERE one.target = baseline.target
            AND one.baseline = baseline.id AND one.own) THEN 'yes'
        ELSE 'no' END AS proposer_among_approvers,
    CASE WHEN signed_leaf IS NOT NULL THEN 'yes'
        WHEN EXISTS (SELECT 1 FROM untold WHERE kind = 'baseline.signed') THEN 'untold'
        ELSE 'no' END AS signed,
    signed_at, approved_by, signed_leaf,
    (SELECT hash FROM record AS signing WHERE signing.leaf = signed_leaf) AS signed_leaf_hash,
    envelope_sha256, tool
FROM baseline LEFT JOIN record ON record.leaf = baseline.leaf ORDER BY baseline.leaf
"""

BASELINE_APPROVALS: Final = """
SELECT said.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    said.baseline AS baseline_id, said.target,
    (SELECT proposed_by FROM baseline WHERE baseline.target = said.target
        AND baseline.id = said.baseline) AS proposed_by,
    (SELECT proposed_at FROM baseline WHERE baseline.target = said.target
        AND baseline.id = said.baseline) AS proposed_at,
    said.by AS approved_by, via AS approver_known_by, said.at AS approved_at,
    CASE said.own WHEN 1 THEN 'yes' WHEN 0 THEN 'no' ELSE 'untold' END AS is_own_proposal,
    said.comment, tool
FROM baseline_approval AS said LEFT JOIN record ON record.leaf = said.leaf ORDER BY said.leaf
"""

REQUESTS_AND_LEASES: Final = """
SELECT access.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    id AS request_id, target, requested_at, requested_by, via AS requester_known_by, principal,
    profile, iif(masked, 'yes', 'no') AS masked, tables, seconds AS asked_seconds, ticket, reason,
    iif(break_glass, 'yes', 'no') AS break_glass, policies AS permitted_by_policies,
    approvals_required,
    CASE WHEN EXISTS (SELECT 1 FROM untold WHERE kind = 'access.approved') THEN 'untold'
        ELSE approvers END AS approvers,
    approved_at AS last_approved_at,
    (SELECT group_concat(at, ' ') FROM (SELECT at FROM access_event AS one
        WHERE one.target = access.target AND one.request = access.id
        AND one.event = 'access.approved' ORDER BY one.leaf)) AS approved_at,
    (SELECT group_concat(leaf, ' ') FROM (SELECT leaf FROM access_event AS one
        WHERE one.target = access.target AND one.request = access.id
        AND one.event = 'access.approved' ORDER BY one.leaf)) AS approval_leaves,
    CASE WHEN own_approval THEN 'yes'
        WHEN EXISTS (SELECT 1 FROM untold WHERE kind = 'access.approved') THEN 'untold'
        ELSE 'no' END AS requester_among_approvers,
    CASE WHEN state NOT IN ('ended', 'denied', 'withdrawn', 'lapsed') AND EXISTS (
        SELECT 1 FROM untold WHERE kind LIKE 'access.%' OR kind LIKE 'lease.%') THEN 'untold'
        ELSE state END AS state_at_end,
    closed_by, closed_at, role, issued_at, issued_leaf, until AS expires_at, claims, renewals,
    why AS ended_because, ended_at, ended_leaf,
    (SELECT hash FROM record AS ending WHERE ending.leaf = ended_leaf) AS ended_leaf_hash,
    sessions_ended, left_behind AS catalogue_rows_left_behind, reviewed_by, reviewed_at,
    review_leaf, tool
FROM access LEFT JOIN record ON record.leaf = access.leaf ORDER BY access.leaf
"""

ACCESS_EVENTS: Final = """
SELECT access_event.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    access_event.at AS recorded_at, by AS recorded_by, via AS known_by, target,
    request AS request_id, event, role, words, tool
FROM access_event LEFT JOIN record ON record.leaf = access_event.leaf ORDER BY access_event.leaf
"""

MASKING: Final = """
SELECT masking.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    masking.at AS recorded_at, by AS recorded_by, via AS known_by, target, event,
    personal AS personal_columns, unclassified AS unclassified_columns,
    left_out AS tables_without_a_view, held AS attacks_held, leaked AS attacks_leaked,
    untold AS attacks_untold, words, tool
FROM masking LEFT JOIN record ON record.leaf = masking.leaf ORDER BY masking.leaf
"""

CUSTODY: Final = """
SELECT custody.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    custody.at AS recorded_at, by AS taken_by, custody.via AS known_by, event, words, tool
FROM custody LEFT JOIN record ON record.leaf = custody.leaf ORDER BY custody.leaf
"""

KEEPING: Final = """
SELECT keeping.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period,
    keeping.at AS recorded_at, by AS recorded_by, via AS known_by, event, words, tool
FROM keeping LEFT JOIN record ON record.leaf = keeping.leaf ORDER BY keeping.leaf
"""

ODD: Final = """
SELECT odd.leaf, hash AS leaf_hash, iif(in_range, 'yes', 'no') AS in_period, at AS recorded_at,
    actor AS recorded_by, odd.kind, odd.stream, why, tool
FROM odd LEFT JOIN record ON record.leaf = odd.leaf ORDER BY odd.leaf
"""

SQL: Final = {
    "records": RECORDS,
    "targets": TARGETS,
    "target_changes": TARGET_CHANGES,
    "ticks": TICKS,
    "scans": SCANS,
    "queries": QUERIES,
    "gaps": GAPS,
    "findings": FINDINGS,
    "finding_events": FINDING_EVENTS,
    "carried_findings": CARRIED_FINDINGS,
    "baselines": BASELINES,
    "baseline_approvals": BASELINE_APPROVALS,
    "requests_and_leases": REQUESTS_AND_LEASES,
    "access_events": ACCESS_EVENTS,
    "masking": MASKING,
    "custody": CUSTODY,
    "keeping": KEEPING,
    "odd": ODD,
}
