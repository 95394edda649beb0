"""Settings: one frozen object, read from ``holdfast.toml``; units in names.

The file is found in the working directory or above it, or named by ``--config`` or the environment
variable ``HOLDFAST_CONFIG``. It holds no secret: a DSN stands in an environment variable or in
Secrets Manager, or needs no password. A deployment carries the same in one compiled file.
"""

from __future__ import annotations

import re
import tomllib
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chalicelib.drift.desk import Target
from chalicelib.evidence import note
from chalicelib.kernel import canon, names
from chalicelib.kernel.errors import (
    ConfigError,
    Malformed,
    NoSettings,
    NotFound,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME = "holdfast.toml"
COMPILED_NAME = "holdfast.json"
MAX_FILE_BYTES = 8 * 2**20  # tens of thousands of targets
_BOUNDS = {
    "connect_timeout_seconds": (1, 300),
    "statement_timeout_seconds": (1, 86_400),
    "lock_timeout_seconds": (1, 3_600),
    "scan_timeout_seconds": (1, 86_400),
    "scans_per_host": (1, 100),
}
MAX_APPROVALS = 10  # what is signed for names each of them; see drift.baseline

RDS_IAM = "rds-iam"  # of ``auth``: a token of RDS in place of a password

COMPILED_VERSION = 1

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,2048}")
_REGION = re.compile(r"[a-z]{2,3}(-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_STAGE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?")  # names of roles are 64 characters
# A password in a URI's authority or query, or as a keyword; what this misses, libpq's parser finds.
_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@|(?:password|secret|passfile|_key)\s*=", re.IGNORECASE)


class StoreSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[store]``: where evidence is kept, relative to the file."""

    path: str = ".holdfast"


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[log]``: the public key (C2SP vkey) that the log is verified against, with its name.

    Empty only before the log of a stack on AWS is opened.
    """

    key: str = ""


class AwsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[aws]``: evidence is kept in the stack ``holdfast-<stage>`` and not in a folder.

    ``endpoint``: a URL in place of AWS's own.
    """

    region: str
    stage: str = "prod"
    endpoint: str = ""


class RulesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[rules]``: the user's own rules files, before the shipped ones."""

    files: list[str] = []


class PostgresSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[postgres]``: bounds on what a scan may cost the server."""

    connect_timeout_seconds: int = 10
    statement_timeout_seconds: int = 300
    lock_timeout_seconds: int = 10
    scan_timeout_seconds: int = 900
    scans_per_host: int = 2


class TargetSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[targets.NAME]``: one of ``dsn_env``, ``secret``, and ``dsn`` with ``auth``.

    ``dsn`` may stand beside ``secret`` too, for what the secret leaves out.
    """

    dsn_env: str = ""
    secret: str = ""
    dsn: str = ""
    auth: str = ""
    kind: str = "postgres"
    env: str = ""
    approvals: int = 1
    approvers: list[str] = []


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``holdfast.toml``."""

    log: LogSection = LogSection()
    store: StoreSection = StoreSection()
    aws: AwsSection | None = None
    rules: RulesSection = RulesSection()
    postgres: PostgresSection = PostgresSection()
    targets: dict[str, TargetSection] = {}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One rules file: its name in messages, and its text."""

    name: str
    text: str


class _Compiled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment carries: the settings, and the rules files that they name."""

    v: int
    file: File
    rules: list[Rule]


class Settings(msgspec.Struct, frozen=True):
    """Everything that a run is configured by. ``rules``: the user's own, in order."""

    path: Path
    file: File
    rules: list[Rule] = []

    @property
    def store_path(self) -> Path:
        """The folder of the local store."""
        return (self.path.parent / self.file.store.path).resolve()

    def target(self, text: str) -> Target:
        """The configured target of a name. Raises: UsageError, NotFound."""
        name = names.target(text)
        section = self.file.targets.get(name.slug)
        if section is None or section.kind != name.kind:
            known = ", ".join(sorted(self.file.targets)) or "none yet"
            raise NotFound(
                f"no target {name}; configured: {known}",
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
        """Every configured target, in order of names."""
        return [
            self.target(f"{one.kind}:{slug}") for slug, one in sorted(self.file.targets.items())
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
    rules = []
    for one in file.rules.files:
        found = path.parent / one
        try:
            rules.append(Rule(str(found), read_bounded(found).decode()))
        except UnicodeDecodeError as error:
            raise ConfigError(f"{found} is not UTF-8: {error}") from error
    return _checked(Settings(path, file, rules))


def compiled(settings: Settings) -> bytes:
    """The settings and their rules as one canonical JSON text, as :func:`load_compiled` takes."""
    rules = [Rule(Path(one.name).name, one.text) for one in settings.rules]
    return canon.encode(msgspec.to_builtins(_Compiled(COMPILED_VERSION, settings.file, rules)))


def load_compiled(path: Path) -> Settings:
    """The settings in a compiled file. Raises: ConfigError."""
    try:
        found = msgspec.json.decode(read_bounded(path), type=_Compiled)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: {error}", next_step="deploy again") from error
    if found.v != COMPILED_VERSION:
        raise ConfigError(f"{path} is of version {found.v}; expected {COMPILED_VERSION}")
    return _checked(Settings(path, found.file, found.rules))


def _checked(loaded: Settings) -> Settings:
    path, file = loaded.path, loaded.file
    for name, (least, most) in _BOUNDS.items():
        if not least <= getattr(file.postgres, name) <= most:
            raise ConfigError(f"{path}: [postgres] {name}: expected {least} to {most}")
    for slug, section in file.targets.items():
        check_target(path, slug, section)
    if file.aws is not None:
        check_aws(path, file)
    if file.log.key or file.aws is None:
        try:
            note.parse_vkey(file.log.key)
        except Malformed as error:
            raise ConfigError(f"{path}: [log] key: {error.message}") from error
    return loaded


def check_aws(path: Path, file: File) -> None:
    """Return if the ``[aws]`` section can be used. Raises: ConfigError."""
    aws = file.aws
    if aws is None:
        return
    if not _REGION.fullmatch(aws.region):
        raise ConfigError(f"{path}: [aws] region: expected one like eu-central-1")
    if not _STAGE.fullmatch(aws.stage):
        raise ConfigError(f"{path}: [aws] stage: 1 to 24 lower-case letters, digits and hyphens")


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


def check_target(path: Path, slug: str, section: TargetSection) -> None:
    """Return if a target can be as it is written. Raises: ConfigError."""
    where = f"{path}: [targets.{slug}]"
    try:
        names.target(slug, kind=section.kind)
        people = {names.person(one) for one in section.approvers}
    except UsageError as error:
        raise ConfigError(f"{where}: {error.message}") from error
    if not 0 <= section.approvals <= MAX_APPROVALS:
        raise ConfigError(f"{where}: approvals is 0 to {MAX_APPROVALS}, found {section.approvals}")
    if section.env == "prod" and section.approvals == 0:
        raise ConfigError(f"{where}: a prod target needs at least one approval, found 0")
    if people and len(people) < section.approvals:
        raise ConfigError(
            f"{where}: {section.approvals} approvals cannot come from {len(people)} approvers"
        )
    _check_way(where, section)


def _check_way(where: str, section: TargetSection) -> None:
    """How a target is reached: one way, and no password in the file. Raises: ConfigError."""
    ways = [name for name in ("dsn_env", "secret", "auth") if getattr(section, name)]
    if (
        len(ways) != 1
        or bool(section.dsn) < bool(section.auth)
        or (section.dsn_env and section.dsn)
    ):
        raise ConfigError(
            f"{where}: found {', '.join(ways) or 'no way to reach it'}; expected one of dsn_env, "
            "secret, and dsn with auth",
            next_step="docs/configuration.md, [targets.NAME]",
        )
    if section.dsn_env and not _ENVIRONMENT_NAME.fullmatch(section.dsn_env):
        raise ConfigError(
            f"{where}: dsn_env names an environment variable and is not the DSN itself",
            next_step="dsn_env = 'ORDERS_DSN', and the DSN in that variable",
        )
    if section.secret and not _SECRET_NAME.fullmatch(section.secret):
        raise ConfigError(f"{where}: secret is the name or ARN of a secret in Secrets Manager")
    if section.auth not in {"", RDS_IAM}:
        raise ConfigError(f"{where}: auth is {RDS_IAM!r}, or left out")
    if section.dsn and _PASSWORD.search(urllib.parse.unquote(section.dsn)):
        raise ConfigError(
            f"{where}: the dsn carries a password",
            next_step="put the whole DSN into Secrets Manager, and its name into secret",
        )
