-- What the records of one packet say, as tables. Every row names the record ("leaf", its index in the
-- log) that says it, so that each figure leads back to its proof. Times are as in the records.

CREATE TABLE record (
    leaf INTEGER PRIMARY KEY, hash TEXT, at TEXT, kind TEXT, stream TEXT, seq INTEGER,
    actor TEXT, via TEXT, tool TEXT, in_range INTEGER
);

-- target.configured, target.removed; what a record does not say is NULL.
CREATE TABLE configured (
    leaf INTEGER PRIMARY KEY, at TEXT, by TEXT, target TEXT, event TEXT, env TEXT, approvals INTEGER
);

CREATE TABLE tick (
    leaf INTEGER PRIMARY KEY, at TEXT, scheduled_at TEXT, deadline_at TEXT, targets INTEGER,
    settings_sha256 TEXT
);
CREATE INDEX tick_time ON tick (scheduled_at);
CREATE INDEX tick_deadline ON tick (deadline_at);

-- scan, scan.missed (outcome "missed").
CREATE TABLE scan (
    leaf INTEGER PRIMARY KEY, target TEXT, scheduled_at TEXT, started_at TEXT, recorded_at TEXT,
    outcome TEXT, source TEXT, ran_as TEXT, objects INTEGER, read_at TEXT, snapshot_sha256 TEXT,
    root TEXT, baseline TEXT, baseline_leaf INTEGER, required INTEGER, queries INTEGER, rows INTEGER,
    questions_sha256 TEXT, opened INTEGER, closed INTEGER, listed INTEGER, failure TEXT,
    tool TEXT, program_sha256 TEXT, rules_sha256 TEXT, by TEXT
);
CREATE INDEX scan_time ON scan (target, scheduled_at);

-- The questions of a scan, in the order in which they were asked; "sha256" of the exact text.
CREATE TABLE query (
    leaf INTEGER, number INTEGER, name TEXT, sha256 TEXT, rows INTEGER, PRIMARY KEY (leaf, number)
) WITHOUT ROWID;

CREATE TABLE finding (
    leaf INTEGER PRIMARY KEY, id TEXT, target TEXT, opened_at TEXT, operation TEXT, kind TEXT, name TEXT,
    attribute TEXT, severity TEXT, rank INTEGER, direction TEXT, rule TEXT, title TEXT,
    not_before TEXT, not_after TEXT, committed_at TEXT, meaning TEXT, who TEXT, principal TEXT, certainty TEXT,
    controls TEXT, before TEXT, after TEXT,
    ended_at TEXT, ended_leaf INTEGER, accepted_by TEXT, suppressed_until TEXT, suppressed_leaf INTEGER,
    disposition TEXT
);
CREATE INDEX finding_id ON finding (target, id);

-- What became of findings, in the order of the log: opened, attributed, suppressed, closed.
CREATE TABLE finding_event (
    leaf INTEGER PRIMARY KEY, finding TEXT, target TEXT, at TEXT, event TEXT, by TEXT, words TEXT
);
CREATE INDEX finding_event_id ON finding_event (target, finding);

-- Findings that scans list and that were opened before these records.
CREATE TABLE carried (
    target TEXT, id TEXT, leaf INTEGER, last_leaf INTEGER, disposition TEXT, ended_leaf INTEGER,
    PRIMARY KEY (target, id)
) WITHOUT ROWID;

-- Findings that a proposal would settle.
CREATE TABLE accepted (proposal TEXT, target TEXT, finding TEXT);
CREATE INDEX accepted_finding ON accepted (target, finding);

CREATE TABLE baseline (
    leaf INTEGER PRIMARY KEY, id TEXT, target TEXT, proposed_at TEXT, proposed_by TEXT, objects INTEGER,
    read_at TEXT, root TEXT, snapshot_sha256 TEXT, accepts INTEGER, required INTEGER, comment TEXT,
    approvals INTEGER, signed_at TEXT, signed_leaf INTEGER, approved_by TEXT, envelope_sha256 TEXT
);
CREATE INDEX baseline_id ON baseline (target, id);

-- "own": by the proposer; NULL, where the proposal is not here.
CREATE TABLE baseline_approval (
    leaf INTEGER PRIMARY KEY, baseline TEXT, target TEXT, at TEXT, by TEXT, comment TEXT, own INTEGER
);
CREATE INDEX baseline_approval_id ON baseline_approval (target, baseline);

-- A request and the lease that came of it: one row each.
CREATE TABLE access (
    leaf INTEGER PRIMARY KEY, id TEXT, target TEXT, requested_at TEXT, requested_by TEXT, principal TEXT,
    profile TEXT, masked INTEGER, tables TEXT, seconds INTEGER, ticket TEXT, reason TEXT,
    break_glass INTEGER, approvals_required INTEGER, policies TEXT, state TEXT,
    approvers TEXT, approved_at TEXT, closed_by TEXT, closed_at TEXT,
    role TEXT, issued_at TEXT, issued_leaf INTEGER, until TEXT, claims INTEGER, renewals INTEGER,
    ended_at TEXT, ended_leaf INTEGER, why TEXT, sessions_ended INTEGER, left_behind INTEGER,
    reviewed_by TEXT, reviewed_at TEXT, review_leaf INTEGER, own_approval INTEGER
);
CREATE INDEX access_id ON access (target, id);

CREATE TABLE access_event (
    leaf INTEGER PRIMARY KEY, request TEXT, target TEXT, at TEXT, event TEXT, by TEXT, role TEXT,
    words TEXT
);
CREATE INDEX access_event_id ON access_event (target, request);

-- Roles of no lease that a target had, and when they were proven gone.
CREATE TABLE orphan (leaf INTEGER PRIMARY KEY, target TEXT, at TEXT, role TEXT, ended_leaf INTEGER);
CREATE INDEX orphan_role ON orphan (target, role);

CREATE TABLE masking (
    leaf INTEGER PRIMARY KEY, target TEXT, at TEXT, by TEXT, event TEXT, personal INTEGER,
    unclassified INTEGER, left_out INTEGER, held INTEGER, leaked INTEGER, untold INTEGER, words TEXT
);

-- Who took or read evidence.
CREATE TABLE custody (leaf INTEGER PRIMARY KEY, at TEXT, by TEXT, via TEXT, event TEXT, words TEXT);

-- What became of the log itself: opened, keys changed, restored, holds, erasures, periods closed.
CREATE TABLE keeping (leaf INTEGER PRIMARY KEY, at TEXT, by TEXT, event TEXT, words TEXT);

CREATE TABLE gap (target TEXT, start TEXT, stop TEXT, why TEXT);

CREATE TABLE covered (
    target TEXT PRIMARY KEY, expected INTEGER, observed INTEGER, pending INTEGER, unobserved INTEGER,
    unscheduled INTEGER, outcomes TEXT
) WITHOUT ROWID;

-- Kinds of records that the packet's filter leaves out: nothing follows from their absence.
CREATE TABLE untold (kind TEXT PRIMARY KEY) WITHOUT ROWID;

-- Records whose body is not of their kind's form: nothing is told of them but that.
CREATE TABLE odd (leaf INTEGER PRIMARY KEY, kind TEXT, stream TEXT, why TEXT);
