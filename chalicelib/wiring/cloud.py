"""The services on AWS: S3 with Object Lock, DynamoDB, KMS, Secrets Manager.

It refuses to start on a bucket that does not keep what is written to it, and with a key that is not
the one pinned in the settings.
"""

from __future__ import annotations

import functools
import os
import time
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

import msgspec

from chalicelib import settings
from chalicelib.aws import bucket, places, session
from chalicelib.aws.derived import S3Derived
from chalicelib.aws.documents import DynamoDocuments
from chalicelib.aws.lock import DynamoLocks
from chalicelib.aws.secrets import Secrets, rds_token
from chalicelib.aws.signer import KmsSigner
from chalicelib.aws.writeonce import S3WriteOnce
from chalicelib.evidence import note
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.evidence.personal import Subjects
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import ConfigError
from chalicelib.kernel.record import Actor, Draft
from chalicelib.kernel.remembered import RememberedWriteOnce
from chalicelib.kernel.sealed import SealedDocuments
from chalicelib.local.clock import SystemClock
from chalicelib.wiring.services import LOG_STREAM, OPENED, TOOL, Services, assemble

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from chalicelib.aws.places import Places
    from chalicelib.evidence.account import Report
    from chalicelib.evidence.keys import Keyring
    from chalicelib.settings import AwsSection, BrokerSection, Settings, TargetSection

MIN_RETENTION_DAYS = 1
CLOUDTRAIL_SECONDS = 0.5  # between questions. Source: CloudTrail, LookupEvents: two a second


class Account:
    """One region of one account: its clients, made when they are first asked for."""

    def __init__(self, region: str, endpoint: str = "") -> None:
        self.region = region
        self._endpoint = endpoint or None
        self._made: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The client of a service, e.g. ``s3``."""
        if service not in self._made:
            self._made[service] = session.client(
                service, region=self.region, endpoint=self._endpoint
            )
        return self._made[service]


@functools.cache
def account(region: str, endpoint: str) -> Account:
    """The account's clients; the same ones for everybody in this process."""
    return Account(region, endpoint)


def of(own: AwsSection) -> Account:
    """The account that the settings name."""
    return account(own.region, own.endpoint)


def stack(own: AwsSection) -> str:
    """The name of the stack of a stage."""
    return f"holdfast-{own.stage}"


def where(own: AwsSection) -> Places:
    """The places of this process: a function's environment, else the stack's outputs.

    Raises: ConfigError; CouldNotTell.
    """
    given = places.from_environment(os.environ)
    return given or places.from_stack(of(own).client("cloudformation"), stack(own))


def connect(loaded: Settings) -> Services:
    """The services of a stack. Raises: ConfigError, KeyUnusable, StoreUnavailable."""
    own = section(loaded)
    if not loaded.file.log.key:
        raise ConfigError(
            "[log] key is not set: the log of this stack was not opened yet",
            next_step="holdfast aws deploy",
        )
    return _services(loaded, where(own), loaded.keyring)


def open_log(loaded: Settings, found: Places, actor: Actor) -> str:
    """The public key (vkey) of a stack's log, whose first record says so; nothing twice.

    The log is named after the bucket, which nobody else has. Raises: as :func:`connect`.
    """
    own = section(loaded)
    if loaded.file.log.key:
        keys = loaded.keyring
    else:
        public = _signer(of(own), found, own.signing_key).public
        keys = keyring([LogKey(note.verifier(f"{found.evidence_bucket}/log", public))])
    verifier = keys.newest
    services = _services(loaded, found, keys)
    if services.desk.journal.last(LOG_STREAM) is None:
        body = {"key": str(verifier), "format": "c2sp.org/tlog-tiles"}
        at = timestamp(services.desk.clock.now())
        services.log.append([Draft(OPENED, LOG_STREAM, at, actor, body)], after={LOG_STREAM: 0})
    return str(verifier)


def reconcile(
    services: Services,
    start: datetime,
    end: datetime,
    progress: Callable[[str, int, int], None],
) -> Report:
    """CloudTrail's uses of the signing key against what was published; and every lock.

    Raises: UsageError, for a period that CloudTrail does not have; ConfigError; CouldNotTell.
    """
    from chalicelib.aws import changes  # noqa: PLC0415 - no function needs these
    from chalicelib.aws.reconcile import Sources  # noqa: PLC0415
    from chalicelib.aws.reconcile import reconcile as run  # noqa: PLC0415

    own = section(services.settings)
    client, found = of(own).client, where(own)
    deployed = changes.stack(client("cloudformation"), stack(own))
    days = "" if deployed is None else deployed.parameters.get("RetentionDays", "")
    if not days.isdecimal():
        raise ConfigError(
            f"the stack {stack(own)} does not say for how many days evidence is locked",
            next_step="holdfast aws deploy",
        )
    log = services.settings.file.log
    sources = Sources(
        trail=client("cloudtrail"),
        s3=client("s3"),
        bucket=found.evidence_bucket,
        key=own.signing_key or found.signing_key,
        former=tuple(one.signing_key or found.signing_key for one in log.former),
        keys=services.keys,
        retention_days=int(days),
        pace=lambda: time.sleep(CLOUDTRAIL_SECONDS),
    )
    return run(sources, start, end, now=services.desk.clock.now(), progress=progress)


def section(loaded: Settings) -> AwsSection:
    """The ``[aws]`` section of the settings. Raises: ConfigError, where there is none."""
    if loaded.file.aws is None:
        raise ConfigError(
            f"{loaded.path} has no [aws] section", next_step="docs/configuration.md, [aws]"
        )
    return loaded.file.aws


def successor(loaded: Settings, key: str) -> KmsSigner:
    """The KMS key ``key`` (an ARN) that the log's is to be changed for. Raises: ConfigError."""
    own = section(loaded)
    named = msgspec.structs.replace(own, signing_key=key)
    settings.check_aws(loaded.path, msgspec.structs.replace(loaded.file, aws=named))
    return _signer(of(own), where(own), key)


def _signer(of_account: Account, found: Places, key: str) -> KmsSigner:
    receipts = S3WriteOnce(of_account.client("s3"), found.evidence_bucket)
    return KmsSigner(of_account.client("kms"), key or found.signing_key, receipts, SystemClock())


def _services(loaded: Settings, found: Places, keys: Keyring) -> Services:
    own = section(loaded)
    at = of(own)
    client = at.client
    kept_days = bucket.check(client("s3"), found.evidence_bucket, min_days=MIN_RETENTION_DAYS)
    secrets = Secrets(client("secretsmanager"), monotonic=time.monotonic)
    secret = secrets.seal(found.seal_secret)
    clock = SystemClock()
    objects = RememberedWriteOnce(
        S3WriteOnce(client("s3"), found.evidence_bucket, default_days=kept_days, clock=clock)
    )
    derived = S3Derived(client("s3"), found.derived_bucket)
    documents = SealedDocuments(DynamoDocuments(client("dynamodb"), found.documents_table), secret)
    subjects = Subjects(documents, secret, token_bytes)
    signer = _signer(at, found, own.signing_key)
    log = Log(
        writeonce=objects,
        derived=derived,
        documents=documents,
        signer=signer,
        keys=keys,
        tool=TOOL,
        pause=session.pause,
        retention=loaded.retention,
        seal=subjects.seal,
    )
    return assemble(
        loaded,
        log=log,
        objects=objects,
        derived=derived,
        documents=documents,
        subjects=subjects,
        secret=secret,
        locks=DynamoLocks(client("dynamodb"), found.locks_table, clock, _owner()),
        clock=clock,
        signer=signer,
        vault=AwsVault(secrets, lambda: at.client("rds"), own.region),
    )


def vault(own: AwsSection) -> AwsVault:
    """Targets' DSNs, for a process that keeps no log."""
    at = of(own)
    secrets = Secrets(at.client("secretsmanager"), monotonic=time.monotonic)
    return AwsVault(secrets, lambda: at.client("rds"), own.region)


def _owner() -> str:
    """What a lock says of its holder: the function's log stream, or the process."""
    return os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME") or f"process {os.getpid()}"


class AwsVault:
    """Targets' DSNs, from Secrets Manager or with RDS's tokens. Implements ``Vault``."""

    def __init__(self, secrets: Secrets, rds: Callable[[], Any], region: str) -> None:
        self._secrets = secrets
        self._rds = rds
        self._region = region

    def dsn(self, section: TargetSection | BrokerSection) -> str:
        """The DSN of a target. Raises: CouldNotTell, ConfigError."""
        if section.auth == settings.RDS_IAM:
            return rds_token(self._rds(), section.dsn, self._region)
        return self._secrets.dsn(section.secret, section.dsn)

    def refused(self, section: TargetSection | BrokerSection) -> None:
        """The target took no such credential: ask for a newer one the next time."""
        if section.secret:
            self._secrets.forget(section.secret)
