"""Settings → Services: the only place that chooses adapters.

What is not chosen is not imported: a function on AWS loads no local adapter, an installation on one
machine needs no AWS library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.drift.judge import Rules
from chalicelib.settings.identity import person
from chalicelib.wiring.services import Services, concealed, needs_aws, rules, source

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib import settings
    from chalicelib.kernel.record import Actor

__all__ = [
    "Rules",
    "Services",
    "caller",
    "concealed",
    "connect",
    "create",
    "needs_aws",
    "rules",
    "source",
]


def connect(loaded: settings.Settings) -> Services:
    """The services that the settings lead to, on one machine or on AWS.

    Raises: ConfigError, KeyUnusable, StoreUnavailable; Fork, where the log contradicts itself.
    """
    if loaded.file.aws is not None:
        needs_aws()
        from chalicelib.wiring import cloud  # noqa: PLC0415 - see above

        return cloud.connect(loaded)
    from chalicelib.wiring import local  # noqa: PLC0415 - see above

    return local.connect(loaded)


def caller(loaded: settings.Settings) -> str:
    """The person behind the AWS credentials, by the name that counts. Raises: UsageError."""
    needs_aws()
    from chalicelib.aws import identity  # noqa: PLC0415 - see above
    from chalicelib.wiring import cloud  # noqa: PLC0415 - see above

    name = identity.caller(cloud.of(cloud.section(loaded)).client("sts"))
    return person(loaded.file.identity, name)


def create(folder: Path, name: str, actor: Actor) -> str:
    """A new store on one machine and its settings file; returns the log's public key (vkey).

    Raises: UsageError, KeyUnusable, StoreUnavailable.
    """
    from chalicelib.wiring import local  # noqa: PLC0415 - see above

    return local.create(folder, name, actor)
