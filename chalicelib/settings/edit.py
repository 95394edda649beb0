"""Edit: settings files written and changed, every byte that is not meant left alone."""

from __future__ import annotations

import json
import os
import re
import tempfile
import tomllib
from pathlib import Path

import msgspec

from chalicelib.kernel import names
from chalicelib.kernel.errors import ConfigError, StoreUnavailable, UsageError
from chalicelib.settings import (
    FILE_NAME,
    AwsSection,
    File,
    FormerKey,
    Settings,
    TargetSection,
    check_aws,
    check_databases,
    check_target,
    load,
)

_TEXTS = (
    *("dsn_env", "secret", "dsn", "auth"),
    *("account", "instance", "cluster", "region", "role_arn", "endpoint", "database_target"),
)

# The heading of a target's table, or of one within it.
_HEADING = re.compile(
    r"""[ \t]*\[[ \t]*targets[ \t]*\.[ \t]*(?P<name>[A-Za-z0-9_-]+|"[^"\\\n]*"|'[^'\n]*')"""
    r"[ \t]*(?:\.[^\n]*)?\]"
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


def rotated(settings: Settings, vkey: str, last: int, signing_key: str = "") -> Settings:
    """The settings after the log's key was rotated to ``vkey`` at ``last`` records.

    Written to the file in one step, every other byte left alone. ``signing_key``: on AWS, the new
    key's ARN. Raises: ConfigError, where the file is not of a form that can be edited so, with what
    to write by hand; StoreUnavailable.
    """
    text = rotation(settings, vkey, last, signing_key)
    replace(settings.path, text)
    return load(settings.path)


def rotation(settings: Settings, vkey: str, last: int, signing_key: str = "") -> str:
    """The text that :func:`rotated` writes; nothing is written. Raises: ConfigError."""
    log, aws = settings.file.log, settings.file.aws
    former = FormerKey(log.key, last, "" if aws is None else aws.signing_key)
    due = msgspec.structs.replace(
        settings.file,
        log=msgspec.structs.replace(log, key=vkey, former=[*log.former, former]),
        aws=aws and msgspec.structs.replace(aws, signing_key=signing_key),
    )
    check_aws(settings.path, due)
    lines = ["[[log.former]]", f"key = {_quote(former.key)}", f"last = {former.last}"]
    if former.signing_key:
        lines.append(f"signing_key = {_quote(former.signing_key)}")
    old = settings.path.read_text()
    text = _set(old, "log", "key", vkey)
    if aws is not None:
        text = _set(text, "aws", "signing_key", signing_key)
    text += ("\n" if text.endswith("\n") else "\n\n") + "\n".join(lines) + "\n"
    try:
        made = msgspec.convert(tomllib.loads(text), File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError):
        made = None
    if made != due:
        by_hand = [f"[log] key = {_quote(vkey)}"]
        by_hand += [f"[aws] signing_key = {_quote(signing_key)}"] if aws is not None else []
        raise ConfigError(
            f"{settings.path} is not written so that the log's key can be changed in it",
            next_step="; ".join([*by_hand, "and at the end of the file: " + ", ".join(lines)]),
        )
    return text


def _set(text: str, table: str, name: str, value: str) -> str:
    """The text with a value of a table set, or put in behind the table's heading."""
    before = rf"(\[{table}\][^\n]*\n(?:(?!\[)[^\n]*\n)*?{name}[ \t]*=[ \t]*)"
    body = rf"(?m)^{before}(\"[^\"\n]*\"|'[^'\n]*')"
    changed, found = re.subn(body, lambda at: at[1] + _quote(value), text, count=1)
    if found:
        return changed
    heading = rf"(?m)^(\[{table}\][^\n]*\n)"
    return re.sub(heading, lambda at: f"{at[1]}{name} = {_quote(value)}\n", text, count=1)


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
    check_databases(settings.path, {**settings.file.targets, slug: section})


def add_target(settings: Settings, slug: str, section: TargetSection) -> Settings:
    """Append a checked target to the file, leaving every other byte of it alone."""
    lines = [
        f"[targets.{_quote(slug)}]",
        f"kind = {_quote(section.kind)}",
        *(
            f"{name} = {_quote(getattr(section, name))}"
            for name in _TEXTS
            if getattr(section, name)
        ),
        f"env = {_quote(section.env)}",
        f"approvals = {section.approvals}",
    ]
    if section.access_analyzer:
        lines.append("access_analyzer = true")
    if section.approvers:
        lines.append(f"approvers = [{', '.join(map(_quote, section.approvers))}]")
    old = settings.path.read_text()
    separator = "\n" if old.endswith("\n") else "\n\n"
    replace(settings.path, old + separator + "\n".join(lines) + "\n")
    return load(settings.path)


def remove_target(settings: Settings, slug: str) -> Settings:
    """The settings without a target, written to the file. Raises: as below; StoreUnavailable."""
    replace(settings.path, without_target(settings, slug))
    return load(settings.path)


def without_target(settings: Settings, slug: str) -> str:
    """The file's text without a target, every other byte of it left alone; nothing is written.

    Raises: ConfigError, where the file is not of a form that can be edited so.
    """
    due = msgspec.structs.replace(
        settings.file,
        targets={name: one for name, one in settings.file.targets.items() if name != slug},
    )
    for name, one in due.targets.items():
        if one.database_target and names.target(one.database_target).slug == slug:
            raise ConfigError(
                f"{settings.path}: [targets.{name}] is compared with {slug}: database_target",
                next_step=f"take database_target out of [targets.{name}], or remove that first",
            )
    old = settings.path.read_text()
    kept, ours = [], False
    for line in old.splitlines(keepends=True):
        heading = _HEADING.match(line)
        if heading is not None:
            ours = heading["name"].strip("\"'") == slug
        elif line.lstrip().startswith("["):
            ours = False
        if not ours:
            kept.append(line)
    text = "".join(kept)
    try:
        made = msgspec.convert(tomllib.loads(text), File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError):
        made = None
    if made != due:
        raise ConfigError(
            f"{settings.path} is not written so that a target can be taken out of it",
            next_step=f"remove [targets.{slug}] and what belongs to it by hand",
        )
    return text


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
