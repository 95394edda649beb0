"""Settings → Services: the only place that chooses adapters."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from chalicelib import __version__, settings
from chalicelib.drift.audit import Audit
from chalicelib.drift.desk import Desk, Target
from chalicelib.drift.judge import Rules
from chalicelib.drift.judge import load as load_rules
from chalicelib.drift.state import States
from chalicelib.evidence import note, restore
from chalicelib.evidence.fsck import fsck
from chalicelib.evidence.log import Log
from chalicelib.evidence.report import Kind, Problem, Report, Severity
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import ConfigError, KeyUnusable, Malformed, UsageError
from chalicelib.kernel.record import Draft
from chalicelib.local import faults
from chalicelib.local.clock import SystemClock
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.lock import FileLocks
from chalicelib.kernel.sealed import SealedDocuments
from chalicelib.local.secret import create_secret, load_secret
from chalicelib.local.signer import KeyFileSigner
from chalicelib.local.writeonce import DirectoryWriteOnce
from chalicelib.postgres.connection import carries_password, describe
from chalicelib.postgres.snapshot import PostgresSource
from chalicelib.settings import TargetSection  # noqa: TC001 - a field is named settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chalicelib.drift.source import Source
    from chalicelib.evidence.note import Verifier
    from chalicelib.kernel.names import TargetName
    from chalicelib.kernel.record import Actor, Entry
    from chalicelib.kernel.signing import PublicKey, Signer

__all__ = ["Rules", "Services", "carries_password", "connect", "create", "rules", "source"]

TOOL = f"holdfast/{__version__}"
LOG_STREAM = "log"
OPENED = "log.opened"
RESTORED = "log.restored"
SIGNING_KEY_FILE = "key/signing.pem"
SECRET_FILE = "key/secret"  # noqa: S105 - where it is, not what it is
CONFIGURED = "target.configured"


@dataclass(frozen=True, slots=True)
class Services:
    """What the entry points work with."""

    settings: settings.Settings
    desk: Desk
    log: Log
    secret: bytes | None
    verifier: Verifier
    derived: DirectoryDerived
    documents: SealedDocuments

    def dsn(self, target: Target) -> str:
        """The target's DSN. Raises: ConfigError, where its environment variable is not set."""
        return self.settings.dsn(target, os.environ)

    def source(self, dsn: str) -> Source:
        """The reader of a database. Raises: UsageError, for a DSN that cannot be parsed."""
        return source(dsn, self.settings.file.postgres, concealed(self.secret))

    def unnamed(self, dsn: str) -> Target:
        """The target of a DSN: the configured one that has it, else one named by the place."""
        for slug in sorted(self.settings.file.targets):
            one = self.settings.target(slug)
            if os.environ.get(self.settings.file.targets[slug].dsn_env) == dsn:
                return one
        where = describe(dsn)
        text = "-".join(str(where.get(key) or "") for key in ("dbname", "host", "port"))
        slug = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:63] or "unnamed"
        return Target(slug=slug, configured=False)

    def fsck(self, outside: bytes | None, progress: Callable[[str, int, int], None]) -> Report:
        """Everything derived again from the bytes: the log, and what its records refer to.

        ``outside``: a checkpoint that was kept elsewhere. Raises: StoreUnavailable, Busy;
        Malformed, BadSignature, where ``outside`` is no checkpoint of this log.
        """
        audit = Audit(self.desk.objects, self.desk.trusted)

        def check(entry: Entry) -> Iterator[Problem]:
            for place, what in audit.check(entry):
                yield Problem(
                    place=place,
                    what=what,
                    expected="",
                    observed="",
                    kind=Kind.REFERENCE,
                    index=entry.index,
                    stream=entry.record.stream,
                    seq=entry.record.seq,
                )

        report = fsck(
            writeonce=self.desk.objects,
            derived=self.derived,
            documents=self.documents,
            verifier=self.verifier,
            check=check,
            progress=lambda done, total: progress("records", done, total),
            outside=outside,
        )
        caches = tuple(
            Problem(
                place=place,
                what=what,
                expected="",
                observed="",
                kind=Kind.STATE,
                severity=Severity.REPAIRABLE,
            )
            for place, what in self.desk.states.check(audit.states)
        )
        return msgspec.structs.replace(report, problems=report.problems + caches)

    @property
    def state_lost(self) -> bool:
        """Whether there are records and no state: ``repair`` restores it."""
        return restore.lost(self.desk.objects, self.documents)

    def repair(self, actor: Actor) -> int:
        """What is derived, made again from what is locked: tiles, latest checkpoint, states.

        Also the log's own state, if it was lost; that is recorded. Returns the log's size. Raises:
        VerificationFailed, where the log itself does not hold.
        """
        if self.state_lost:
            size = restore.restore(self.desk.objects, self.documents, self.verifier)
            at = timestamp(self.desk.clock.now())
            self.log.append([Draft(RESTORED, LOG_STREAM, at, actor, {"size": size})])
        self.log.recover()
        for prefix in ("tile/", "state/"):
            for key in list(self.derived.list(prefix)):
                self.derived.delete(key)
        return self.log.rebuild()

    def configured(self, name: TargetName, section: TargetSection, actor: Actor) -> None:
        """Record that a target is added, before it is. Raises: ConfigError, if it cannot be."""
        settings.check_new_target(self.settings, name.slug, section)
        body = {**msgspec.to_builtins(section), "name": str(name)}
        at = timestamp(self.desk.clock.now())
        self.log.append([Draft(CONFIGURED, str(name), at, actor, body)])


def connect(loaded: settings.Settings) -> Services:
    """The services on one machine: a directory, SQLite, a key file.

    A copy of a store without its ``key`` folder can be read and verified, and not continued.

    Raises: ConfigError, KeyUnusable, StoreUnavailable; Fork, where the log contradicts itself.
    """
    store = loaded.store_path
    if not store.is_dir():
        raise ConfigError(
            f"the store {store} is not there", next_step="restore it, or holdfast init elsewhere"
        )
    verifier = note.parse_vkey(loaded.file.log.key)
    signer: Signer = _NoKey(verifier.key)
    secret = None
    if (store / "key").is_dir():
        signer = KeyFileSigner.load(store / SIGNING_KEY_FILE)
        secret = load_secret(store / SECRET_FILE)
    ports = _Store.under(store, secret)
    log = ports.log(signer, verifier)
    clock = SystemClock()
    desk = Desk(
        journal=log,
        objects=ports.objects,
        states=States(log, ports.derived, secret),
        locks=FileLocks(store / "lock", clock=clock),
        clock=clock,
        signer=signer,
        keyid=str(verifier),
        trusted={str(verifier): verifier.key},
        rules=rules(loaded),
        tool=TOOL,
    )
    return Services(
        settings=loaded,
        desk=desk,
        log=log,
        secret=secret,
        verifier=verifier,
        derived=ports.derived,
        documents=ports.documents,
    )


class _NoKey:
    """The signer of a copy that has no key: it says so when it is asked to sign."""

    def __init__(self, public: PublicKey) -> None:
        self.public = public

    def sign(self, message: bytes) -> bytes:
        raise KeyUnusable(
            f"this copy of the store has no key to sign {len(message)} bytes with",
            next_step="it can be read and verified; continue the log where its key folder is",
        )


def create(folder: Path, name: str, actor: Actor) -> str:
    """A new store under ``folder`` and its settings file; returns the log's public key (vkey).

    The settings file is written last: without it, what a crash left can be made again only after
    somebody has looked. Raises: UsageError, KeyUnusable, StoreUnavailable.
    """
    origin = name or f"holdfast.local/{secrets.token_hex(4)}"
    try:
        note.check_name(origin)
    except Malformed as error:
        raise UsageError(f"--origin: {error.message}") from error
    store = folder / settings.StoreSection().path
    with faults.translated("cannot make", store):
        (store / "key").mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = KeyFileSigner.create(store / SIGNING_KEY_FILE)
    secret = create_secret(store / SECRET_FILE)
    verifier = note.verifier(origin, signer.public)
    body = {"key": str(verifier), "format": "c2sp.org/tlog-tiles"}
    at = timestamp(SystemClock().now())
    log = _Store.under(store, secret).log(signer, verifier)
    log.append([Draft(OPENED, LOG_STREAM, at, actor, body)])
    settings.create(folder / settings.FILE_NAME, settings.initial(str(verifier)))
    return str(verifier)


@dataclass(frozen=True, slots=True)
class _Store:
    """The storage ports on one machine, under one folder."""

    objects: DirectoryWriteOnce
    derived: DirectoryDerived
    documents: SealedDocuments

    @classmethod
    def under(cls, folder: Path, secret: bytes | None) -> _Store:
        return cls(
            DirectoryWriteOnce(folder / "evidence"),
            DirectoryDerived(folder / "derived"),
            SealedDocuments(SqliteDocuments(folder / "state.db"), secret),
        )

    def log(self, signer: Signer, verifier: Verifier) -> Log:
        return Log(
            writeonce=self.objects,
            derived=self.derived,
            documents=self.documents,
            signer=signer,
            verifier=verifier,
            tool=TOOL,
            pause=_pause,
        )


def _pause(attempt: int) -> None:
    """Wait up to ``attempt`` centiseconds, at most half a second, and not all the same."""
    time.sleep(secrets.randbelow(1_000) / 1_000 * min(attempt * 0.01, 0.5))


def rules(loaded: settings.Settings | None) -> Rules:
    """The user's rules, then the shipped ones. Raises: ConfigError."""
    paths = [] if loaded is None else loaded.rules_paths
    texts = [settings.read_bounded(path) for path in paths]
    return load_rules(*texts, names=[str(path) for path in paths])


def source(
    dsn: str, bounds: settings.PostgresSection, conceal: Callable[[str], str]
) -> PostgresSource:
    """The reader of a database. Raises: UsageError, for a DSN that cannot be parsed."""
    return PostgresSource(
        dsn,
        conceal=conceal,
        connect_timeout_seconds=bounds.connect_timeout_seconds,
        statement_timeout_seconds=bounds.statement_timeout_seconds,
        lock_timeout_seconds=bounds.lock_timeout_seconds,
        scan_timeout_seconds=bounds.scan_timeout_seconds,
    )


def concealed(secret: bytes | None) -> Callable[[str], str]:
    """What stands for a secret value: a keyed digest, which shows a change and cannot be guessed.

    Without an installation's key there is no digest to compare, so it stands for any value.
    """
    if secret is None:
        return lambda _value: "(concealed)"
    key = hmac.digest(secret, b"holdfast concealed value v1", hashlib.sha256)

    def conceal(value: str) -> str:
        return f"(concealed {hmac.digest(key, value.encode(), hashlib.sha256)[:8].hex()})"

    return conceal
