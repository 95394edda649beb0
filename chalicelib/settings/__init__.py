"""Settings: one frozen object, read from ``holdfast.toml``; units in names.

The file is found in the working directory or above it, or named by ``--config`` or the environment
variable ``HOLDFAST_CONFIG``. It holds no secret: a DSN stands in an environment variable or in
Secrets Manager, or needs no password. A deployment carries the same in one compiled file.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chalicelib.drift.desk import Target
from chalicelib.evidence import note, trust
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.evidence.retention import Retention
from chalicelib.evidence.trust import Policy
from chalicelib.kernel import canon, names
from chalicelib.kernel.errors import (
    ConfigError,
    Malformed,
    NoSettings,
    NotFound,
)
from chalicelib.kernel.store import MAX_KEEP_DAYS
from chalicelib.settings import access, authority, identity
from chalicelib.settings.schema import (
    AccessSection,
    ApiSection,
    AwsSection,
    BrokerSection,
    File,
    FormerKey,
    IamSection,
    IdentitySection,
    IssuerSection,
    LogSection,
    MaskingSection,
    NotifySection,
    PolicySection,
    PostgresSection,
    RetentionSection,
    RulesSection,
    StoreSection,
    TargetSection,
    TimestampSection,
    WebhookSection,
)
from chalicelib.settings.target import (
    AWS_KINDS,
    IAM,
    POSTGRES,
    RDS,
    RDS_IAM,
    REGION,
    STS,
    check_databases,
    check_target,
    check_way,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.evidence.keys import Keyring
    from chalicelib.kernel.names import TargetName

__all__ = [
    "AWS_KINDS",
    "IAM",
    "POSTGRES",
    "RDS",
    "RDS_IAM",
    "STS",
    "AccessSection",
    "ApiSection",
    "AwsSection",
    "BrokerSection",
    "File",
    "FormerKey",
    "IamSection",
    "IdentitySection",
    "IssuerSection",
    "LogSection",
    "MaskingSection",
    "NotifySection",
    "PolicySection",
    "PostgresSection",
    "RetentionSection",
    "Rule",
    "RulesSection",
    "Settings",
    "StoreSection",
    "TargetSection",
    "TimestampSection",
    "WebhookSection",
    "check_aws",
    "check_databases",
    "check_target",
    "check_way",
    "compiled",
    "find",
    "load",
    "load_compiled",
    "read_bounded",
]

FILE_NAME = "holdfast.toml"
COMPILED_NAME = "holdfast.json"
MAX_FILE_BYTES = 8 * 2**20  # tens of thousands of targets
_BOUNDS = {
    ("postgres", "connect_timeout_seconds"): (1, 300),
    ("postgres", "statement_timeout_seconds"): (1, 86_400),
    ("postgres", "lock_timeout_seconds"): (1, 3_600),
    ("postgres", "scan_timeout_seconds"): (1, 86_400),
    ("postgres", "scans_per_host"): (1, 100),
    ("api", "requests_per_second"): (1, 1_000_000_000),
    ("api", "burst"): (1, 1_000_000_000),
    ("access", "pending_seconds"): (60, 30 * 86_400),
    ("access", "claim_seconds"): (60, 30 * 86_400),
    ("access", "max_lease_seconds"): (60, 7 * 86_400),
    ("access", "break_glass_seconds"): (60, 86_400),
}
COMPILED_VERSION = 1

_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,64}")
_RECORD_KIND = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_STAGE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?")  # names of roles are 64 characters


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of rules or policies: its name in messages, and its text."""

    name: str
    text: str


class _Compiled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment carries: the settings, and the files that they name."""

    v: int
    file: File
    rules: list[Rule]
    witnesses: str = ""
    policies: list[Rule] = []


class Settings(msgspec.Struct, frozen=True):
    """Everything that a run is configured by.

    ``rules`` and ``policies``: the user's own, in order; ``witnesses``: the text of the file of
    that name.
    """

    path: Path
    file: File
    rules: list[Rule] = []
    witnesses: str = ""
    policies: list[Rule] = []

    @property
    def store_path(self) -> Path:
        """The folder of the local store."""
        return (self.path.parent / self.file.store.path).resolve()

    @property
    def keyring(self) -> Keyring:
        """The keys of the log, each with the sizes that it signs for. Raises: Malformed."""
        log = self.file.log
        ends = [0, *(one.last for one in log.former), MAX_SIZE]
        vkeys = [*(one.key for one in log.former), log.key]
        return keyring(
            [
                LogKey(note.parse_vkey(vkey), first, last)
                for vkey, (first, last) in zip(vkeys, itertools.pairwise(ends), strict=True)
            ]
        )

    @property
    def policy(self) -> Policy:
        """Who is believed: the keys of the log, the witnesses, the quorum. Raises: Malformed."""
        named = self.file.log.witnesses
        found = trust.parse(self.witnesses.encode()) if named else Policy()
        if found.logs:
            raise Malformed("it names logs; the log's keys stand in the settings")
        if not self.file.log.key:
            return found
        return msgspec.structs.replace(found, logs=self.keyring.keys)

    @property
    def retention(self) -> Retention:
        """For how long what records need is locked."""
        section = self.file.retention
        return Retention(section.default_days, section.kinds)

    def named(self, text: str) -> TargetName:
        """The whole name of a target: a slug alone is of the kind that it is configured as.

        One that is not configured is a database. Raises: UsageError.
        """
        section = self.file.targets.get(text)
        return names.target(text, kind=POSTGRES if section is None else section.kind)

    def target(self, text: str) -> Target:
        """The configured target of a name. Raises: UsageError, NotFound."""
        name = self.named(text)
        section = self.file.targets.get(name.slug)
        if section is None or section.kind != name.kind:
            known = ", ".join(sorted(self.file.targets)) or "none yet"
            raise NotFound(
                f"no target {text if section is None else name}; configured: {known}",
                next_step=f"holdfast target add {name.slug} --dsn-env VARIABLE",
            )
        return Target(
            slug=name.slug,
            kind=section.kind,
            env=section.env,
            approvals=section.approvals,
            approvers=tuple(section.approvers),
        )

    def targets(self) -> list[Target]:
        """Every configured target that is scanned, in order of names."""
        return [
            self.target(f"{one.kind}:{slug}")
            for slug, one in sorted(self.file.targets.items())
            if one.kind != STS
        ]

    def leased(self) -> list[Target]:
        """Every configured target that has something to lease, in order of names."""
        return [
            self.target(f"{one.kind}:{slug}")
            for slug, one in sorted(self.file.targets.items())
            if one.access is not None
        ]

    @property
    def sha256(self) -> str:
        """The digest of the settings as they are used, rules and all."""
        return canon.sha256(compiled(self))

    def dsn(self, target: Target, environment: Mapping[str, str]) -> str:
        """The target's DSN, from the environment. Raises: ConfigError."""
        name = self.file.targets[target.slug].dsn_env
        value = environment.get(name, "")
        if not value:
            raise ConfigError(
                f"the environment variable {name}, for the DSN of {target.slug}, is not set",
                next_step=f"export {name}='postgresql://user@host/database' (password: ~/.pgpass)",
            )
        return value


def find(start: Path, explicit: str | None) -> Path:
    """The settings file. Raises: ConfigError, where there is none."""
    if explicit:
        path = Path(explicit)
        path = path / FILE_NAME if path.is_dir() else path
        if path.is_file():
            return path.resolve()
        raise ConfigError(
            f"no settings file at {path}", next_step="correct --config or HOLDFAST_CONFIG"
        )
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise NoSettings(f"no {FILE_NAME} in {start} or above it", next_step="holdfast init")


def load(path: Path) -> Settings:
    """The settings in a file. Raises: ConfigError, with the field that is wrong."""
    try:
        file = msgspec.convert(tomllib.loads(read_bounded(path).decode()), File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}", next_step="docs/configuration.md") from error
    named = [path.parent / one for one in file.rules.files]
    rules = [Rule(str(found), _text(found)) for found in named]
    witnesses = _text(path.parent / file.log.witnesses) if file.log.witnesses else ""
    policies = [Rule(str(one), _text(one)) for one in map(path.parent.joinpath, file.policy.files)]
    return _checked(Settings(path, file, rules, witnesses, policies))


def compiled(settings: Settings) -> bytes:
    """The settings and their files as one canonical JSON text, as :func:`load_compiled` takes."""
    rules = [Rule(Path(one.name).name, one.text) for one in settings.rules]
    policies = [Rule(Path(one.name).name, one.text) for one in settings.policies]
    made = _Compiled(COMPILED_VERSION, settings.file, rules, settings.witnesses, policies)
    return canon.encode(msgspec.to_builtins(made))


def load_compiled(path: Path) -> Settings:
    """The settings in a compiled file. Raises: ConfigError."""
    try:
        found = msgspec.json.decode(read_bounded(path), type=_Compiled)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: {error}", next_step="deploy again") from error
    if found.v != COMPILED_VERSION:
        raise ConfigError(f"{path} is of version {found.v}; expected {COMPILED_VERSION}")
    return _checked(Settings(path, found.file, found.rules, found.witnesses, found.policies))


def _checked(loaded: Settings) -> Settings:
    path, file = loaded.path, loaded.file
    for (section, name), (least, most) in _BOUNDS.items():
        if not least <= getattr(getattr(file, section), name) <= most:
            raise ConfigError(f"{path}: [{section}] {name}: expected {least} to {most}")
    for kind, days in {"": file.retention.default_days, **file.retention.kinds}.items():
        if not 0 <= days <= MAX_KEEP_DAYS or (kind and not _RECORD_KIND.fullmatch(kind)):
            where = f"kinds: {kind[:80]!r}" if kind else "default_days"
            raise ConfigError(
                f"{path}: [retention] {where}: expected the name of a kind of records, "
                f"e.g. finding.opened, and 0 to {MAX_KEEP_DAYS} days; found {days}"
            )
    if bool(file.timestamp.url) != bool(file.timestamp.roots):
        raise ConfigError(f"{path}: [timestamp] has url and roots, or neither")
    for slug, target in file.targets.items():
        check_target(path, slug, target)
    check_databases(path, file.targets)
    if file.aws is not None:
        check_aws(path, file)
    access.check(path, file)
    identity.check(path, file)
    authority.check(path, file)
    _check_log(loaded)
    return loaded


def _check_log(loaded: Settings) -> None:
    """Return if the ``[log]`` section can be used. Raises: ConfigError."""
    path, file = loaded.path, loaded.file
    if file.log.key or file.aws is None:
        try:
            note.parse_vkey(file.log.key)
        except Malformed as error:
            raise ConfigError(f"{path}: [log] key: {error.message}") from error
        try:
            loaded.keyring  # noqa: B018 - it says whether the keys before it can be
        except Malformed as error:
            raise ConfigError(f"{path}: [[log.former]]: {error.message}") from error
    elif file.log.former:
        raise ConfigError(f"{path}: [[log.former]]: a log that has former keys has a key")
    if file.log.witnesses:
        try:
            trust.encode(loaded.policy)  # a witness with a key of the log cannot stand in one
        except Malformed as error:
            raise ConfigError(
                f"{path}: [log] witnesses, {file.log.witnesses}: {error.message}",
                next_step="docs/witness.md",
            ) from error


def check_aws(path: Path, file: File) -> None:
    """Return if the ``[aws]`` section can be used. Raises: ConfigError."""
    aws = file.aws
    if aws is None:
        return
    if not REGION.fullmatch(aws.region):
        raise ConfigError(f"{path}: [aws] region: expected one like eu-central-1")
    if not _STAGE.fullmatch(aws.stage):
        raise ConfigError(f"{path}: [aws] stage: 1 to 24 lower-case letters, digits and hyphens")
    arns = [aws.signing_key, *(one.signing_key for one in file.log.former)]
    if not all(_KEY_ARN.fullmatch(arn) for arn in arns if arn):
        raise ConfigError(
            f"{path}: signing_key: expected a KMS key's ARN, arn:aws:kms:REGION:ACCOUNT:key/ID"
        )


def _text(path: Path) -> str:
    """The text of a file that the settings name. Raises: ConfigError."""
    try:
        return read_bounded(path).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error}") from error


def read_bounded(path: Path) -> bytes:
    """The bytes of a regular file of at most MAX_FILE_BYTES. Raises: ConfigError."""
    try:
        if not path.is_file():
            raise ConfigError(f"{path} is no file", next_step="correct the path to it")
        with path.open("rb") as stream:
            text = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if len(text) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    return text
