"""Usage: what a scan, an append, a finding asks of AWS. The constants of ``aws cost``.

Counts are what is billed, not what is called: an S3 ``HEAD`` is a get, a transactional write of one
KB is two DynamoDB write units, a strongly consistent read of up to 4 KB is one read unit. Each
constant stands beside its derivation. Durations and sizes are estimates until they are measured on
AWS; ``ESTIMATED`` names them, and the bill repeats that.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one of something uses. Numbers may be fractions: an average."""

    lambda_requests: float = 0
    lambda_seconds: float = 0  # of a function with LAMBDA_GB of memory
    sqs_requests: float = 0
    eventbridge_events: float = 0
    dynamodb_writes: float = 0  # write units
    dynamodb_reads: float = 0  # read units
    s3_puts: float = 0  # PUT and COPY, the refused ones too
    s3_gets: float = 0  # GET and HEAD, the ones that find nothing too
    s3_lists: float = 0
    s3_bytes: float = 0  # kept for good in the evidence bucket
    kms_requests: float = 0  # Sign and GetPublicKey
    secret_reads: float = 0
    log_bytes: float = 0
    sns_publishes: float = 0
    sns_emails: float = 0


LAMBDA_GB: Final = 1.0  # memory of the scan function

# One scan of a target that did not change, without its append: its state is read and kept, the
# baseline's envelope, snapshot and approvals are read and verified; each read of a locked object
# lists its versions first. The requests of S3, DynamoDB and KMS were counted by
# tests/bench/traffic.py (2026-11), ten scans at once in a function that has just started: the
# dearest case; a tenth of an append is taken off. One that scanned the same targets before
# remembers what is locked, and makes 2.1 lists and 1.1 gets.
SCAN: Final = Usage(
    lambda_requests=0.1,  # ten messages come in one
    lambda_seconds=0.5,  # 2 to 5 s for ten at once: connect, 27 statements, 20 calls one by one
    sqs_requests=0.1 + 0.1 + 0.1,  # sent, received and deleted ten at a time
    # The locks of the target and of its host, taken and let go; its stream's head, 1 KB, in the
    # transaction of the append.
    dynamodb_writes=2 * (1 + 1) + 2,
    dynamodb_reads=5,
    s3_puts=2,  # the state's cache, and the witness
    s3_gets=12.1,
    s3_lists=13.2,  # two for the witness
    s3_bytes=3_800,  # the heartbeat: 870 counted with one query; 26 more of about 110 bytes
    log_bytes=2_500,  # START, END, REPORT, and three lines of JSON, one of them the metrics
)

# What a scan of a target with a secret adds. The installation's is read once for each cold start.
SECRET: Final = Usage(secret_reads=1)

# Each object of each scan: fetched, made canonical, hashed, compared with the baseline's.
OBJECT: Final = Usage(lambda_seconds=0.000_1)  # docs/performance.md: 53 µs on a whole core

# One append, of all scans of a batch: steps 1 to 9 of evidence.log, counted in the same way.
APPEND: Final = Usage(
    dynamodb_reads=3,
    dynamodb_writes=2 * 2,  # in one transaction with the heads: the log's state, 2 KB
    s3_puts=7,  # stage, batch, KMS's receipt, checkpoint, two tiles, latest checkpoint
    s3_gets=4,
    s3_lists=4,
    s3_bytes=400,  # the checkpoint and the receipt
    kms_requests=1,
)

BATCH: Final = 10  # scans that one run of the function takes, and that share an append

# A scan that sees something else than the scan before: another snapshot is stored.
CHANGE: Final = Usage(sns_publishes=1, sns_emails=1)
CHANGED_OBJECT: Final = Usage(s3_bytes=175)  # docs/performance.md: 4.0 MiB for 24,470 objects
FINDING: Final = Usage(eventbridge_events=1, s3_bytes=900)
FINDINGS_A_CHANGE: Final = 3

# One period of the schedule: the dispatcher, whatever the number of targets.
PERIOD: Final = Usage(lambda_requests=1, lambda_seconds=1.0, log_bytes=1_500)

# One request of the API, besides itself. What it starts, a scan or a packet, is not in it.
REQUEST: Final = Usage(
    lambda_requests=1,
    lambda_seconds=0.2,
    # The claim and the answer of a POST, or nothing; states and heads, some of them twice.
    dynamodb_writes=1,
    dynamodb_reads=4,
    s3_gets=2,
    log_bytes=1_300,  # START, END, REPORT, one line of JSON, and one of the access log
)
RECORDED_SHARE: Final = 0.25  # of requests that are recorded: reads of evidence, and decisions

# A month, whatever is scanned: Lambda's pollers ask each of four queues with five long polls of
# 20 s that find nothing. Source: AWS Lambda developer guide, "Using Lambda with Amazon SQS". And
# the sweep of leases, every minute, with half the memory: what it finds to do is not in it.
SWEEPS: Final = 30.4375 * 24 * 60
MONTH: Final = Usage(
    sqs_requests=round(4 * 5 * 30.4375 * 86_400 / 20),
    lambda_requests=SWEEPS,
    lambda_seconds=0.1 * SWEEPS,
    dynamodb_reads=SWEEPS,
    log_bytes=900 * SWEEPS,
)

METRICS: Final = 18  # names under the namespace Holdfast, each with one dimension
ALARMS: Final = 33  # metrics in the alarms of infra's template; a test counts them
DASHBOARDS: Final = 1
KEYS: Final = 2  # the signing key, and the topics'
LOG_RETENTION_MONTHS: Final = 3  # 90 days

ESTIMATED: Final = (
    "the duration of a scan, 0.5 s in a batch of ten, and 0.1 ms an object, with 1 GB of memory",
    "the size of a scan's record, 3,800 bytes, and of its lines in the log, 2,500 bytes",
    "the requests of a scan and an append, counted on a simulated AWS and not on a bill",
    "a request of the API: 0.2 s, 1,300 bytes of logs, and one in four recorded",
    "a sweep of leases that finds nothing: 0.2 s with half of the memory, 900 bytes of logs",
)
