"""Every adapter of the storage ports, the signer and the locks; a new one is one more entry.

Those of AWS run on the strict server of ``support.aws``, which the fixture ``strict_aws`` starts,
or on real services, as these variables of the environment say:

- ``HOLDFAST_TEST_AWS_REAL=1``: the AWS account of the environment's credentials and region. What
  follows must exist: ``HOLDFAST_TEST_EVIDENCE_BUCKET`` (versions and Object Lock; what is written
  stays for its default retention: take one of a day), ``HOLDFAST_TEST_DERIVED_BUCKET``,
  ``HOLDFAST_TEST_DOCUMENTS_TABLE`` and ``HOLDFAST_TEST_PASSING_TABLE`` (keys ``p`` and ``k``; the
  second with a time to live by ``gone_at``), ``HOLDFAST_TEST_LOCKS_TABLE`` (key ``k``),
  ``HOLDFAST_TEST_ED25519_KEY`` and ``HOLDFAST_TEST_P256_KEY`` (KMS keys).
- ``HOLDFAST_TEST_S3_ENDPOINT``: any S3 with Object Lock, for the two buckets alone, with
  ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``.

Tests of one session share these resources, under a prefix that is the test's own.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress

from chalicelib.aws import session
from chalicelib.aws.derived import S3Derived
from chalicelib.aws.documents import DynamoDocuments
from chalicelib.aws.lock import DynamoLocks
from chalicelib.aws.passing import DynamoPassing
from chalicelib.aws.signer import KmsSigner
from chalicelib.aws.writeonce import S3WriteOnce
from chalicelib.kernel.store import Write, check_key
from chalicelib.local.clock import SystemClock
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.lock import FileLocks
from chalicelib.local.passing import SqlitePassing
from chalicelib.local.signer import KeyFileSigner
from chalicelib.local.writeonce import DirectoryWriteOnce

REAL = os.environ.get("HOLDFAST_TEST_AWS_REAL") == "1"
OTHER_S3 = os.environ.get("HOLDFAST_TEST_S3_ENDPOINT")
RETENTION_DAYS = 30
SPECS = {"aws-ed25519": "ECC_NIST_EDWARDS25519", "aws-p256": "ECC_NIST_P256"}


def _key_file(root):
    path = root / "signing.pem"
    return (KeyFileSigner.load if path.exists() else KeyFileSigner.create)(path)


def _real(name):
    return os.environ[f"HOLDFAST_TEST_{name}"]


def _name(root):
    """A name for what belongs to a test's folder; pytest's own counts repeat between machines."""
    return "test-" + hashlib.sha256(f"{root}{root.stat().st_ino}".encode()).hexdigest()[:32]


def client(service):
    """A client of the strict server, or of what the environment names."""
    if service == "s3" and OTHER_S3:
        return session.client("s3", endpoint=OTHER_S3)
    if REAL:
        return session.client(service)
    from support import aws

    return aws.client(service, os.environ[aws.ENDPOINT])


def make_bucket(s3, name, **lock):
    """A bucket with versions and Object Lock; ``lock``: its default retention."""
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": lock or {"Mode": "COMPLIANCE", "Days": RETENTION_DAYS}}
    s3.put_object_lock_configuration(
        Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )


def make_table(dynamodb, name, *keys):
    """A table with these keys, of text; nothing, if it is there."""
    kinds = ("HASH", "RANGE")
    with suppress(dynamodb.exceptions.ResourceInUseException):
        dynamodb.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": k, "KeyType": kind} for k, kind in zip(keys, kinds, strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in keys],
            BillingMode="PAY_PER_REQUEST",
        )


class Under:
    """A store of objects in which every key has a prefix."""

    def __init__(self, store, prefix):
        self._store, self._prefix = store, prefix + "/"

    def put(self, key, data, **options):
        check_key(key)
        self._store.put(self._prefix + key, data, **options)

    def get(self, key):
        check_key(key)
        return self._store.get(self._prefix + key)

    def delete(self, key):
        check_key(key)
        self._store.delete(self._prefix + key)

    def list(self, prefix):
        for key in self._store.list(self._prefix + prefix):
            yield key.removeprefix(self._prefix)

    def hold(self, key):
        self._store.hold(self._prefix + key)

    def release(self, key):
        self._store.release(self._prefix + key)

    def held(self, key):
        return self._store.held(self._prefix + key)


class DocumentsUnder(Under):
    """Documents in which every key has a prefix."""

    def get(self, key):
        return self._store.get(self._prefix + key)

    def swap(self, writes):
        self._store.swap([Write(self._prefix + w.key, w.expected, w.value) for w in writes])

    def list(self, prefix):
        for key, document in self._store.list(self._prefix + prefix):
            yield key.removeprefix(self._prefix), document

    def purge(self):
        self._store.purge()

    def close(self):
        self._store.close()


class PassingUnder:
    """Documents that pass away, in which every key has a prefix behind its kind."""

    def __init__(self, store, prefix):
        self._store, self._prefix = store, prefix + "/"

    def _under(self, key):
        kind, slash, rest = key.partition("/")
        return f"{kind}/{self._prefix}{rest}" if slash else key

    def get(self, key):
        return self._store.get(self._under(key))

    def swap(self, key, expected, value, *, lasts_seconds):
        return self._store.swap(self._under(key), expected, value, lasts_seconds=lasts_seconds)

    def list(self, prefix, *, after="", limit):
        found = self._store.list(self._under(prefix), after=self._under(after), limit=limit)
        return [(key.replace(self._prefix, "", 1), document) for key, document in found]

    def close(self):
        self._store.close()


def _s3_writeonce(root):
    if REAL or OTHER_S3:
        return Under(_s3(client("s3"), _real("EVIDENCE_BUCKET")), _name(root))
    s3, made = client("s3"), root / "bucket-made"
    if not made.exists():
        make_bucket(s3, _name(root))
        made.touch()
    return _s3(s3, _name(root), pause=lambda _: None)


def _s3(client, bucket, **options):
    clock = SystemClock()
    return S3WriteOnce(client, bucket, default_days=RETENTION_DAYS, clock=clock, **options)


def _s3_derived(root):
    if REAL or OTHER_S3:
        return Under(S3Derived(client("s3"), _real("DERIVED_BUCKET")), _name(root))
    s3, name = client("s3"), _name(root) + "-derived"
    s3.create_bucket(Bucket=name)  # in us-east-1 also fine where it is there
    return S3Derived(s3, name, pause=lambda _: None)


def _dynamo_documents(root):
    if REAL:
        table = _real("DOCUMENTS_TABLE")
        return DocumentsUnder(DynamoDocuments(client("dynamodb"), table), _name(root))
    dynamodb = client("dynamodb")
    make_table(dynamodb, _name(root), "p", "k")
    return DynamoDocuments(dynamodb, _name(root), pause=lambda _: None)


def _dynamo_passing(root, clock):
    dynamodb = client("dynamodb")
    if REAL:
        return PassingUnder(DynamoPassing(dynamodb, _real("PASSING_TABLE"), clock), _name(root))
    table = _name(root) + "-passing"
    make_table(dynamodb, table, "p", "k")
    return DynamoPassing(dynamodb, table, clock)


def _kms(adapter):
    def make(root):
        kms, file = client("kms"), root / adapter
        if REAL:
            arn = _real(adapter.removeprefix("aws-").upper() + "_KEY")
        elif file.exists():
            arn = file.read_text()
        else:
            made = kms.create_key(KeySpec=SPECS[adapter], KeyUsage="SIGN_VERIFY")
            arn = made["KeyMetadata"]["Arn"]
            file.write_text(arn)
        return KmsSigner(kms, arn, _s3_writeonce(root), SystemClock())

    return make


def _dynamo_locks(root, clock, **options):
    dynamodb = client("dynamodb")
    table = _real("LOCKS_TABLE") if REAL else _name(root) + "-locks"
    if not REAL:
        make_table(dynamodb, table, "k")
    return DynamoLocks(dynamodb, table, clock, f"process {os.getpid()}", **options)


# Each takes a folder that is the test's own: the same folder again is the same store.
WRITEONCE = {"local": lambda root: DirectoryWriteOnce(root / "store"), "aws": _s3_writeonce}
DERIVED = {"local": lambda root: DirectoryDerived(root / "derived"), "aws": _s3_derived}
DOCUMENTS = {"local": lambda root: SqliteDocuments(root / "state.db"), "aws": _dynamo_documents}
SIGNERS = {"local": _key_file, **{adapter: _kms(adapter) for adapter in SPECS}}
# These take the clock too.
LOCKS = {
    "local": lambda root, clock: FileLocks(root / "lock", clock=clock),
    "aws": _dynamo_locks,
}
PASSING = {
    "local": lambda root, clock: SqlitePassing(root / "passing.db", clock),
    "aws": _dynamo_passing,
}

if OTHER_S3 and not REAL:
    for table in (DOCUMENTS, SIGNERS, LOCKS, PASSING):
        for adapter in [name for name in table if name.startswith("aws")]:
            del table[adapter]
