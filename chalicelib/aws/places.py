"""Where things are on AWS: the names that a stack's functions get, and that its outputs tell.

``ACTIONS`` are the IAM actions of :func:`from_stack`; a function has its environment and needs
none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_cloudformation import CloudFormationClient

ACTIONS: Final = ("cloudformation:DescribeStacks",)


class Places(msgspec.Struct, frozen=True):
    """Names of buckets and tables, a key's ARN, a secret's ARN, queues' URLs, a bus's name.

    For leases: names of two functions and of a group of timers, ARNs of their queue, of its dead
    letters, and of the role that sends to both.
    """

    evidence_bucket: str
    derived_bucket: str
    documents_table: str
    locks_table: str
    passing_table: str
    signing_key: str
    seal_secret: str
    scan_queue: str
    packet_queue: str
    event_bus: str
    grant_function: str
    lease_function: str
    lease_queue: str
    lease_dead_letter_queue: str
    timer_group: str
    timer_role: str
    period_minutes: int


FIELDS: Final = Places.__struct_fields__


def variable(field: str) -> str:
    """``HOLDFAST_EVIDENCE_BUCKET`` for ``evidence_bucket``."""
    return f"HOLDFAST_{field.upper()}"


def output(field: str) -> str:
    """``EvidenceBucket`` for ``evidence_bucket``."""
    return "".join(word.capitalize() for word in field.split("_"))


def from_environment(environment: Mapping[str, str]) -> Places | None:
    """The places of a function, or None where the environment has none of them.

    Raises: ConfigError, where it has some and not all.
    """
    given = {field: environment.get(variable(field), "") for field in FIELDS}
    if not any(given.values()):
        return None
    return _made(given, "the environment", variable)


def from_stack(client: CloudFormationClient, stack: str) -> Places:
    """The places that a stack's outputs tell. Raises: ConfigError; as failures.translated."""
    from chalicelib.aws import changes  # noqa: PLC0415 - a function needs none of it

    found = changes.stack(client, stack)
    if found is None:
        raise ConfigError(f"there is no stack {stack}", next_step="holdfast aws deploy")
    return of_outputs(found.outputs, stack)


def of_outputs(told: Mapping[str, str], stack: str) -> Places:
    """The places in a stack's outputs. Raises: ConfigError."""
    given = {field: told.get(output(field), "") for field in FIELDS}
    return _made(given, f"the stack {stack}", output)


def _made(given: Mapping[str, str], where: str, called: Callable[[str], str]) -> Places:
    lacking = [field for field, value in given.items() if not value]
    if lacking:
        names = ", ".join(called(field) for field in lacking)
        raise ConfigError(f"{where} lacks {names}", next_step="holdfast aws deploy")
    try:
        return msgspec.convert(given, Places, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error
