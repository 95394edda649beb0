"""Services: what the entry points work with, whichever adapters are under it."""

from __future__ import annotations

import functools
import hashlib
import hmac
import importlib.util
import itertools
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from chalicelib import __version__, settings
from chalicelib.drift.desk import Desk, Target
from chalicelib.drift.judge import Rules
from chalicelib.drift.judge import load as load_rules
from chalicelib.drift.state import States
from chalicelib.drift.upgrade import untold
from chalicelib.drift.who import attributed
from chalicelib.kernel import ledger
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import ConfigError
from chalicelib.kernel.record import Draft
from chalicelib.settings import edit
from chalicelib.wiring import program
from chalicelib.wiring.explained import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.access.grantor import Grantor
    from chalicelib.drift.desk import Locks
    from chalicelib.drift.diff import Change
    from chalicelib.drift.opinion import SecondOpinion
    from chalicelib.drift.source import Source
    from chalicelib.drift.who import Trail
    from chalicelib.evidence.keys import Keyring
    from chalicelib.evidence.log import Log
    from chalicelib.evidence.note import Verifier
    from chalicelib.evidence.personal import Subjects
    from chalicelib.evidence.report import Problem, Report
    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.names import TargetName
    from chalicelib.kernel.record import Actor, Entry
    from chalicelib.kernel.sealed import SealedDocuments
    from chalicelib.kernel.signing import Signer
    from chalicelib.kernel.store import Derived, WriteOnce
    from chalicelib.postgres.snapshot import PostgresSource
    from chalicelib.settings import BrokerSection, TargetSection

TOOL = f"holdfast/{__version__}"
LOG_STREAM = "log"
OPENED = "log.opened"
RESTORED = "log.restored"
CONFIGURED = "target.configured"
REMOVED = "target.removed"
MAX_NAMED = 100  # streams that a record of a repair names


class Vault(Protocol):
    """Where targets' DSNs are, but for environment variables."""

    def dsn(self, section: TargetSection | BrokerSection) -> str:
        """The DSN of a target, with its password or token.

        Raises: CouldNotTell, where it cannot be had now; ConfigError, where it never can.
        """
        ...

    def refused(self, section: TargetSection | BrokerSection) -> None:
        """The target took no such credential: the next is to be a newer one."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """What the entry points work with.

    ``grantor``: who makes the credentials of a target, in place of whom the settings lead to.
    """

    settings: settings.Settings
    desk: Desk
    log: Log
    secret: bytes | None
    derived: Derived
    documents: SealedDocuments
    subjects: Subjects
    vault: Vault | None = None
    grantor: Callable[[Target], Grantor] | None = None

    @property
    def keys(self) -> Keyring:
        """The log's pinned keys."""
        return self.log.keys

    @property
    def verifier(self) -> Verifier:
        """The log's pinned key that signs now."""
        return self.log.verifier

    def dsn(self, target: Target) -> str:
        """The target's DSN. Raises: ConfigError, where the settings lead to none; CouldNotTell."""
        section = self.settings.file.targets[target.slug]
        if section.kind != settings.POSTGRES:
            raise ConfigError(f"{target.stream} is no database, and has no DSN")
        if section.dsn_env:
            return self.settings.dsn(target, os.environ)
        if self.vault is None:
            raise ConfigError(
                f"the DSN of {target.slug} is in Secrets Manager or needs a token of RDS, and the "
                "settings name no region",
                next_step="[aws] region in the settings, or dsn_env in the target",
            )
        return self.vault.dsn(section)

    def reader(self, target: Target, seconds: float | None = None) -> Source:
        """What reads a configured target, whatever it is; ``seconds``: as of ``source``.

        Raises: ConfigError; CouldNotTell, where its credential cannot be had now.
        """
        if target.kind == settings.STS:
            raise ConfigError(
                f"{target.stream} is an AWS role: it is leased, and has nothing to scan",
                next_step=f"holdfast request {target.slug} --profile … --for 30m --reason …",
            )
        if target.kind not in settings.AWS_KINDS:
            return self.source(self.dsn(target), seconds)
        needs_aws()
        from chalicelib.wiring import watched  # noqa: PLC0415 - it loads the AWS libraries

        return watched.source(self, target, seconds)

    def host(self, target: Target) -> str:
        """Where a target is read, for the bound on how many are read there at once.

        Raises: UsageError, for a DSN that cannot be parsed; ConfigError; CouldNotTell.
        """
        if target.kind in settings.AWS_KINDS:
            section = self.settings.file.targets[target.slug]
            return f"aws {section.account or section.role_arn} {section.region}"
        from chalicelib.postgres.connection import describe  # noqa: PLC0415 - it loads the driver

        where = describe(self.dsn(target))
        return f"{where['host']}:{where['port']}"

    def source(self, dsn: str, seconds: float | None = None) -> Source:
        """The reader of a database, which takes ``seconds`` at most, where the settings allow more.

        Raises: UsageError, for a DSN that cannot be parsed.
        """
        bounds = self.settings.file.postgres
        if seconds is not None:
            most = max(1, min(bounds.scan_timeout_seconds, int(seconds)))
            bounds = msgspec.structs.replace(
                bounds,
                connect_timeout_seconds=min(bounds.connect_timeout_seconds, most),
                scan_timeout_seconds=most,
            )
        return source(dsn, bounds, concealed(self.secret))

    def unnamed(self, dsn: str) -> Target:
        """The target of a DSN: the configured one that has it, else one named by the place."""
        for one in self.settings.targets():
            if os.environ.get(self.settings.file.targets[one.slug].dsn_env) == dsn:
                return one
        from chalicelib.postgres.connection import describe  # noqa: PLC0415 - it loads the driver

        where = describe(dsn)
        text = "-".join(str(where.get(key) or "") for key in ("dbname", "host", "port"))
        slug = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:63] or "unnamed"
        return Target(slug=slug, configured=False)

    def fsck(self, outside: bytes | None, progress: Callable[[str, int, int], None]) -> Report:
        """Everything derived again from the bytes: the log, and what its records refer to.

        ``outside``: a checkpoint that was kept elsewhere. Raises: StoreUnavailable, Busy;
        Malformed, BadSignature, where ``outside`` is no checkpoint of this log.
        """
        from chalicelib.access import audit as access  # noqa: PLC0415 - no function needs these
        from chalicelib.access.state import States as Requests  # noqa: PLC0415
        from chalicelib.drift.audit import Audit  # noqa: PLC0415
        from chalicelib.evidence.fsck import fsck  # noqa: PLC0415
        from chalicelib.evidence.report import Kind, Problem, Severity  # noqa: PLC0415

        audit, leases = Audit(self.desk.objects, self.desk.trusted), access.Audit()
        requests = Requests(self.desk.journal, self.derived, self.secret)

        def check(entry: Entry) -> Iterator[Problem]:
            for place, what in itertools.chain(audit.check(entry), leases.check(entry)):
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
            keys=self.keys,
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
            for place, what in itertools.chain(
                self.desk.states.check(audit.states), requests.check(leases.states)
            )
        )
        return msgspec.structs.replace(report, problems=report.problems + caches)

    @property
    def state_lost(self) -> bool:
        """Whether there are records and no state: ``repair`` restores it."""
        from chalicelib.evidence import restore  # noqa: PLC0415 - as in fsck

        return restore.lost(self.desk.objects, self.documents)

    def repair(self, actor: Actor, adopt: str = "") -> int:
        """What is derived, made again from what is locked: tiles, latest checkpoint, states.

        Also the log's own state, if it was lost, and heads of streams that are not what the records
        lead to; that is recorded. ``adopt``: as of ``restore.restore``. Returns the log's size.
        Raises: VerificationFailed, where the log itself does not hold; NotAllowed.
        """
        from chalicelib.evidence import restore  # noqa: PLC0415 - as in fsck

        stores = (self.desk.objects, self.documents, self.keys)
        done: dict[str, Any] = {}
        if self.state_lost:
            done["size"] = restore.restore(*stores, adopt=adopt)
        self.log.recover()
        if mended := restore.mend_heads(*stores):
            done["streams"] = mended[:MAX_NAMED]
        if done:
            at = timestamp(self.desk.clock.now())
            self.log.append([Draft(RESTORED, LOG_STREAM, at, actor, done)])
        for prefix in ("tile/", "state/", "access-state/"):
            for key in list(self.derived.list(prefix)):
                self.derived.delete(key)
        return self.log.rebuild()

    def configured(self, name: TargetName, section: TargetSection, actor: Actor) -> None:
        """Record that a target is added, before it is. Raises: ConfigError, if it cannot be."""
        edit.check_new_target(self.settings, name.slug, section)
        body = {**msgspec.to_builtins(section), "name": str(name)}
        now = ledger.now(self.desk, str(name))
        at = timestamp(self.desk.clock.now())
        ledger.append(self.desk, now, [Draft(CONFIGURED, str(name), at, actor, body)])

    def removed(self, target: Target, actor: Actor, done: dict[str, Any]) -> None:
        """Record that a target is removed, before it is."""
        now = ledger.now(self.desk, target.stream)
        at = timestamp(self.desk.clock.now())
        body = {"name": target.stream, **done}
        ledger.append(self.desk, now, [Draft(REMOVED, target.stream, at, actor, body)])


def assemble(
    loaded: settings.Settings,
    *,
    log: Log,
    objects: WriteOnce,
    derived: Derived,
    documents: SealedDocuments,
    subjects: Subjects,
    secret: bytes | None,
    locks: Locks,
    clock: Clock,
    signer: Signer,
    vault: Vault | None = None,
) -> Services:
    """The services over adapters; the log's keys are those that are trusted, each in its time."""
    desk = Desk(
        journal=log,
        objects=objects,
        states=States(log, derived, secret),
        locks=locks,
        clock=clock,
        signer=signer,
        keyid=str(log.verifier),
        trusted=log.keys.of_record,
        rules=rules(loaded),
        tool=TOOL,
        keep_days=loaded.retention.days,
        program=program.sha256,
        explained=explained(loaded, journal=log, objects=objects, derived=derived, secret=secret),
        opinion=functools.partial(_opinion, loaded),
        attributed=attributed(functools.partial(_trail, loaded)),
        renders=_renders,
    )
    return Services(
        settings=loaded,
        desk=desk,
        log=log,
        secret=secret,
        derived=derived,
        documents=documents,
        subjects=subjects,
        vault=vault,
    )


def _renders(change: Change, old: int, new: int, /) -> str:
    """Whether two definitions say the same; asked only where a server was upgraded."""
    try:
        from chalicelib.postgres.rendering import renders  # noqa: PLC0415 - it loads the parser
    except ImportError:  # where there is no parser, nobody can tell, and each stays a finding
        return untold(change, old, new)
    return renders(change, old, new)


def _opinion(loaded: settings.Settings, target: Target) -> SecondOpinion | None:
    if target.kind != settings.IAM:
        return None
    needs_aws()
    from chalicelib.wiring import watched  # noqa: PLC0415 - it loads the AWS libraries

    return watched.opinion(loaded, target)


def _trail(loaded: settings.Settings, target: Target) -> Trail | None:
    if target.kind not in settings.AWS_KINDS:
        return None
    needs_aws()
    from chalicelib.wiring import watched  # noqa: PLC0415 - it loads the AWS libraries

    return watched.trail(loaded, target)


def needs_aws() -> None:
    """Return if the AWS libraries are installed. Raises: ConfigError."""
    if importlib.util.find_spec("botocore") is None:
        raise ConfigError(
            "the settings lead to AWS, and the AWS libraries are not installed",
            next_step="pip install '.[aws]' in the clone; to deploy: '.[aws,deploy]'",
        )


def rules(loaded: settings.Settings | None) -> Rules:
    """The user's rules, then the shipped ones. Raises: ConfigError."""
    own = [] if loaded is None else loaded.rules
    return load_rules(*(one.text.encode() for one in own), names=[one.name for one in own])


def source(
    dsn: str, bounds: settings.PostgresSection, conceal: Callable[[str], str]
) -> PostgresSource:
    """The reader of a database. Raises: UsageError, for a DSN that cannot be parsed."""
    from chalicelib.postgres.snapshot import PostgresSource  # noqa: PLC0415 - it loads the driver

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
