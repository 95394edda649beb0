"""Settings: one frozen object, read from ``holdfast.toml``; units in names.

The file is found in the working directory or above it, or named by ``--config`` or the environment
variable ``HOLDFAST_CONFIG``. It holds no secret: DSNs are named by environment variables.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chalicelib.drift.desk import Target
from chalicelib.evidence import note
from chalicelib.kernel import names
from chalicelib.kernel.errors import (
    ConfigError,
    Malformed,
    NoSettings,
    NotFound,
    StoreUnavailable,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_NAME = "holdfast.toml"
MAX_FILE_BYTES = 2**20
MAX_APPROVALS = 16

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class StoreSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[store]``: where evidence is kept, relative to the file."""

    path: str = ".holdfast"


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[log]``: the public key (C2SP vkey) that the log is verified against, with its name."""

    key: str


class RulesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[rules]``: the user's own rules files, before the shipped ones."""

    files: list[str] = []


class PostgresSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[postgres]``: bounds on what a scan may cost the server."""

    connect_timeout_seconds: int = 10
    statement_timeout_seconds: int = 300
    lock_timeout_seconds: int = 10
    scan_timeout_seconds: int = 900


class TargetSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[targets.NAME]``."""

    dsn_env: str
    kind: str = "postgres"
    env: str = ""
    approvals: int = 1
    approvers: list[str] = []


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``holdfast.toml``."""

    log: LogSection
    store: StoreSection = StoreSection()
    rules: RulesSection = RulesSection()
    postgres: PostgresSection = PostgresSection()
    targets: dict[str, TargetSection] = {}


class Settings(msgspec.Struct, frozen=True):
    """Everything that a run is configured by."""

    path: Path
    file: File

    @property
    def store_path(self) -> Path:
        """The folder of the local store."""
        return (self.path.parent / self.file.store.path).resolve()

    @property
    def rules_paths(self) -> list[Path]:
        """The user's rules files, in order."""
        return [self.path.parent / one for one in self.file.rules.files]

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
    for slug, section in file.targets.items():
        _check_target(path, slug, section)
    try:
        note.parse_vkey(file.log.key)
    except Malformed as error:
        raise ConfigError(f"{path}: [log] key: {error.message}") from error
    return Settings(path, file)


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


def _check_target(path: Path, slug: str, section: TargetSection) -> None:
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
    if not _ENVIRONMENT_NAME.fullmatch(section.dsn_env):
        raise ConfigError(
            f"{where}: dsn_env names an environment variable and is not the DSN itself",
            next_step="dsn_env = 'ORDERS_DSN', and the DSN in that variable",
        )


def initial(vkey: str) -> str:
    """The text of a new settings file."""
    return f"""\
# Holdfast's settings; docs/configuration.md tells each of them. No secret belongs here.

[store]
path = ".holdfast"

[log]
# The evidence log's name and the public key that all of it is verified against.
# Give this key to whoever will verify: it is what they have to trust, and nothing else.
key = {_quote(vkey)}
"""


def check_new_target(settings: Settings, slug: str, section: TargetSection) -> None:
    """Return if the target can be added. Raises: ConfigError."""
    if slug in settings.file.targets:
        raise ConfigError(
            f"there is a target {slug} already", next_step=f"edit [targets.{slug}] in the file"
        )
    _check_target(settings.path, slug, section)


def add_target(settings: Settings, slug: str, section: TargetSection) -> Settings:
    """Append a checked target to the file, leaving every other byte of it alone."""
    lines = [
        f"[targets.{_quote(slug)}]",
        f"kind = {_quote(section.kind)}",
        f"dsn_env = {_quote(section.dsn_env)}",
        f"env = {_quote(section.env)}",
        f"approvals = {section.approvals}",
    ]
    if section.approvers:
        lines.append(f"approvers = [{', '.join(map(_quote, section.approvers))}]")
    old = settings.path.read_text()
    separator = "\n" if old.endswith("\n") else "\n\n"
    replace(settings.path, old + separator + "\n".join(lines) + "\n")
    return load(settings.path)


def create(path: Path, text: str) -> None:
    """Write a file that is not there yet. Raises: UsageError; StoreUnavailable."""
    if path.exists():
        raise UsageError(f"{path} is there already; nothing was changed")
    replace(path, text)


def replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one. Raises: StoreUnavailable."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as stream:
            temporary = Path(stream.name)
            try:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
                mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
                temporary.chmod(mode)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path}: {error.strerror}", next_step="nothing was changed"
        ) from error


def _quote(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's, but for the surrogate pairs left out here."""
    return json.dumps(text, ensure_ascii=False)
