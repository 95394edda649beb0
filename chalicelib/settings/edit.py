"""Edit: settings files written and changed, every byte that is not meant left alone."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from chalicelib.kernel.errors import ConfigError, StoreUnavailable, UsageError
from chalicelib.settings import (
    FILE_NAME,
    AwsSection,
    File,
    Settings,
    TargetSection,
    check_aws,
    check_target,
    load,
)


def initial_aws(section: AwsSection) -> str:
    """The text of a new settings file for a stack on AWS. Raises: ConfigError."""
    check_aws(Path(FILE_NAME), File(aws=section))
    return f"""\
# Holdfast's settings; docs/configuration.md tells each of them. No secret belongs here.

[aws]
region = {_quote(section.region)}
stage = {_quote(section.stage)}

[log]
# The first deployment writes the log's public key here. Give it to whoever will verify.
key = ""
"""


def set_log_key(settings: Settings, vkey: str) -> Settings:
    """The settings with the log's key, written to the file where its place is empty.

    Raises: ConfigError, where the file has another key, or no place for one.
    """
    if settings.file.log.key == vkey:
        return settings
    old = settings.path.read_text()
    place = re.compile(r'(?m)^(\[log\]\n(?:[ \t]*#[^\n]*\n|[ \t]*\n)*key[ \t]*=[ \t]*)""[ \t]*$')
    text, found = place.subn(lambda at: at[1] + _quote(vkey), old, count=1)
    if found == 0:
        raise ConfigError(
            f"{settings.path} has no empty [log] key to write the log's key into",
            next_step=f"[log] key = {_quote(vkey)}",
        )
    replace(settings.path, text)
    return load(settings.path)


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
    check_target(settings.path, slug, section)


def add_target(settings: Settings, slug: str, section: TargetSection) -> Settings:
    """Append a checked target to the file, leaving every other byte of it alone."""
    lines = [
        f"[targets.{_quote(slug)}]",
        f"kind = {_quote(section.kind)}",
        *(
            f"{name} = {_quote(getattr(section, name))}"
            for name in ("dsn_env", "secret", "dsn", "auth")
            if getattr(section, name)
        ),
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
