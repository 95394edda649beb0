-- Every exception of a packet: what was not as it was signed for, agreed on or expected. Columns:
-- kind, target, what, at, who, severity, disposition, leaf; then rank (the lower, the worse: 0 is critical), and
-- operation and controls of findings. Without an order.
WITH
    told (first, last, stop, census, closed_at, ends, reviews, unwitnessed) AS (
        SELECT ?, ?, ?, ?, ?, ?, ?, ?
    ),
    looked (target, leaf) AS (
        SELECT target, max(leaf) FROM scan WHERE outcome IN ('clean', 'drift') GROUP BY target
    ),
    tight (target, leaf) AS (
        SELECT target, max(leaf) FROM masking WHERE event = 'checked' AND leaked = 0 GROUP BY target
    )

SELECT 'finding' AS kind, target,
    title || ': ' || kind || ' ' || substr(name, 1, 400)
        || CASE attribute WHEN '' THEN '' ELSE ', ' || substr(attribute, 1, 100) END AS what,
    opened_at AS at, who, severity, disposition, leaf, rank, operation, controls
FROM finding

UNION ALL
SELECT 'carried', carried.target, 'listed by scans, and its record is not here: ' || carried.id,
    record.at, '', '',
    CASE WHEN carried.ended_leaf IS NOT NULL THEN 'gone'
        WHEN EXISTS (SELECT 1 FROM untold WHERE kind = 'finding.closed') THEN 'untold'
        ELSE carried.disposition END,
    carried.leaf, 2, '', ''
FROM carried JOIN record ON record.leaf = carried.leaf

UNION ALL
SELECT 'gap', gap.target, 'UNOBSERVED up to ' || gap.stop || ': ' || gap.why, gap.start, '', '',
    'open',
    coalesce(
        (
            SELECT min(scan.leaf) FROM scan WHERE gap.why = 'missed' AND scan.target = gap.target
            AND scan.scheduled_at = gap.start AND scan.outcome = 'missed'
        ),
        (SELECT min(tick.leaf) FROM tick WHERE tick.scheduled_at = gap.start),
        (SELECT max(tick.leaf) FROM tick WHERE tick.deadline_at = gap.start),
        told.census
    ),
    2, '', ''
FROM gap, told

UNION ALL
SELECT 'scan', scan.target, 'a scan could not tell: ' || scan.failure, scan.recorded_at, '', '',
    CASE WHEN looked.leaf > scan.leaf THEN 'gone' ELSE 'open' END, scan.leaf, 2, '', ''
FROM told, scan LEFT JOIN looked ON looked.target = scan.target
WHERE scan.failure != '' AND scan.leaf >= told.first AND scan.leaf < told.last

UNION ALL
SELECT 'own approval', target, 'request ' || id || ' was approved by who made it', approved_at,
    requested_by, '', 'open', leaf, -1, '', ''
FROM access WHERE own_approval

UNION ALL
SELECT 'not ended', target,
    'lease ' || id || ' of role ' || coalesce(role, '') || ' ended at ' || until
        || ', and is not proven gone',
    until, principal, '', 'open', coalesce(issued_leaf, leaf), -1, '', ''
FROM access, told
WHERE told.ends AND state IN ('issuing', 'active', 'ending') AND ended_leaf IS NULL
    AND until <= told.stop

UNION ALL
SELECT 'left behind', target,
    'lease ' || id || ' is gone, and left ' || left_behind || ' rows of the database behind',
    ended_at, principal, '', 'open', ended_leaf, -1, '', ''
FROM access WHERE left_behind > 0

UNION ALL
SELECT 'no review', target, 'lease ' || id || ' was given before anybody agreed, and not reviewed',
    issued_at, principal, '', 'open', issued_leaf, -1, '', ''
FROM access, told
WHERE told.reviews AND break_glass AND issued_leaf IS NOT NULL AND review_leaf IS NULL

UNION ALL
SELECT 'orphan', target, 'role ' || role || ' of no lease was found', at, '', '',
    CASE WHEN ended_leaf IS NOT NULL THEN 'gone' WHEN told.ends THEN 'open' ELSE 'untold' END,
    orphan.leaf, -1, '', ''
FROM orphan, told

UNION ALL
SELECT 'leak', masking.target, 'masks did not hold against ' || leaked || ' attacks, ' || words, at,
    '', '', CASE WHEN tight.leaf > masking.leaf THEN 'gone' ELSE 'open' END, masking.leaf, -1, '', ''
FROM masking LEFT JOIN tight ON tight.target = masking.target WHERE leaked > 0

UNION ALL
SELECT 'odd record', odd.stream, odd.why, record.at, record.actor, '', 'open', odd.leaf, 1, '',
    odd.kind
FROM odd JOIN record ON record.leaf = odd.leaf

UNION ALL
SELECT 'unwitnessed', '', 'the quorum of witnesses that the trust policy asks for is not met',
    closed_at, '', '', 'open', census, -1, '', ''
FROM told WHERE unwitnessed
