"""Masking: the masks of a target, from its section and the files that this names."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, Final

from chalicelib.access.masking.masks import SECTIONS, Masks, parse
from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.settings import read_bounded

if TYPE_CHECKING:
    from chalicelib.settings import Settings

MAX_FILES: Final = 100


def load(settings: Settings, slug: str) -> Masks:
    """What is said of a target's columns. Raises: ConfigError, with the file and the column."""
    section = settings.file.targets[slug].masking
    if section is None:
        raise ConfigError(
            f"[targets.{slug}.masking] is not in {settings.path}",
            next_step=f"holdfast mask suggest {slug} --toml > masks.toml; then files = "
            "['masks.toml'] in that section",
        )
    if len(section.files) > MAX_FILES:
        raise ConfigError(f"[targets.{slug}.masking] files: at most {MAX_FILES}")
    inline = {name: getattr(section, name) for name in SECTIONS}
    sources: list[tuple[str, dict[str, Any]]] = [
        (f"{settings.path}: [targets.{slug}.masking]", inline)
    ]
    for one in section.files:
        path = settings.path.parent / one
        try:
            sources.append((str(path), tomllib.loads(read_bounded(path).decode())))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{path}: {error}", next_step="docs/masking.md") from error
    try:
        return parse(sources)
    except UsageError as error:
        raise ConfigError(error.message, next_step=error.next_step or "docs/masking.md") from error
