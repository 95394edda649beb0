"""What leases need of AWS: grantors of roles and by other functions, tokens, timers, receivers.

On AWS what opens a target is made in two functions alone. ``grant`` runs where the databases are,
and logs in to them; ``lease`` runs where IAM can be reached, and writes what roles deny. Whoever
else wants something made calls these. On one machine there is one process, which does it itself.
"""

from __future__ import annotations

import functools
import os
import secrets
from typing import TYPE_CHECKING, Any

from chalicelib.access.timers import NoTimers
from chalicelib.kernel.errors import ConfigError
from chalicelib.settings import STS

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.access.grantor import Grantor
    from chalicelib.access.receiver import Receiver
    from chalicelib.access.timers import Timers
    from chalicelib.drift.desk import Target
    from chalicelib.kernel.clock import Clock
    from chalicelib.settings import Settings, WebhookSection

OWN_NAME = "AWS_LAMBDA_FUNCTION_NAME"  # Lambda Developer Guide, "Defined runtime variables"
TOKEN_BYTES = 10
CALL_SECONDS = 125.0  # longer than the function that is called may take


def elsewhere(settings: Settings, target: Target) -> Grantor | None:
    """The grantor that is another function's; None where this process makes it itself.

    Raises: ConfigError; CouldNotTell.
    """
    if settings.file.aws is None:
        return None
    from chalicelib.aws.remote import RemoteGrantor  # noqa: PLC0415 - not on one machine
    from chalicelib.wiring import cloud  # noqa: PLC0415 - likewise

    own = cloud.section(settings)
    found = cloud.where(own)
    function = found.lease_function if target.kind == STS else found.grant_function
    if os.environ.get(OWN_NAME) == function:
        return None
    return RemoteGrantor(_caller(own.region, own.endpoint), function, target.stream)


def of_role(settings: Settings, role_arn: str, clock: Clock) -> Grantor:
    """The grantor of an AWS role, in this process. Raises: ConfigError."""
    from chalicelib.aws import session  # noqa: PLC0415 - botocore
    from chalicelib.aws.revocation import Revocations  # noqa: PLC0415 - likewise
    from chalicelib.aws.role import StsGrantor  # noqa: PLC0415 - likewise

    client, region = _clients(settings)
    revocations = Revocations(
        client("iam"),
        role_arn,
        token=lambda: secrets.token_hex(TOKEN_BYTES),
        pause=session.pause,
    )
    return StsGrantor(
        client("sts"),
        revocations,
        role_arn,
        clock=clock,
        pause=session.pause,
        region=region,
    )


def tokens(settings: Settings) -> Callable[[str, str, str], str]:
    """What makes tokens of RDS for leases' roles. Raises: ConfigError."""
    from chalicelib.aws import login  # noqa: PLC0415 - botocore

    client, region = _clients(settings)
    return login.tokens(client("rds"), region)


def timers(settings: Settings, clock: Clock) -> Timers:
    """Timers of leases: on AWS. On one machine the sweep alone ends them."""
    if settings.file.aws is None:
        return NoTimers()
    from chalicelib.aws import session  # noqa: PLC0415 - not on one machine
    from chalicelib.aws.timers import Places, SchedulerTimers  # noqa: PLC0415 - likewise
    from chalicelib.wiring import cloud  # noqa: PLC0415 - likewise

    own = cloud.section(settings)
    found = cloud.where(own)
    return SchedulerTimers(
        cloud.of(own).client("scheduler"),
        Places(
            group=found.timer_group,
            queue=found.lease_queue,
            role=found.timer_role,
            dead_letters=found.lease_dead_letter_queue,
        ),
        clock=clock,
        pause=session.pause,
    )


def receivers(settings: Settings, clock: Clock) -> list[Receiver]:
    """Whoever is told of requests and leases: the settings' own, and on AWS the stack's bus.

    Raises: ConfigError, for one that cannot be told as it is written; CouldNotTell.
    """
    notify = settings.file.notify
    found: list[Receiver] = [_webhook(settings, clock, one) for one in notify.webhooks]
    buses = [notify.event_bus] if notify.event_bus else []
    if settings.file.aws is not None:
        from chalicelib.wiring import cloud  # noqa: PLC0415 - not on one machine

        buses.append(cloud.where(cloud.section(settings)).event_bus)
    if buses or notify.sns_topic:
        from chalicelib.aws import session  # noqa: PLC0415 - botocore
        from chalicelib.aws.bus import EventBridgeReceiver, SnsReceiver  # noqa: PLC0415 - likewise

        client, _ = _clients(settings)
        found += [EventBridgeReceiver(client("events"), one, pause=session.pause) for one in buses]
        if notify.sns_topic:
            found.append(SnsReceiver(client("sns"), notify.sns_topic))
    return found


@functools.cache
def _caller(region: str, endpoint: str) -> Any:
    """A client that calls a function once: one whose answer is late may be done all the same."""
    from chalicelib.aws import session  # noqa: PLC0415 - botocore

    return session.client(
        "lambda",
        region=region,
        endpoint=endpoint or None,
        attempts=1,
        read_seconds=CALL_SECONDS,
    )


def _webhook(settings: Settings, clock: Clock, section: WebhookSection) -> Receiver:
    from chalicelib.anchors.webhook import Webhook  # noqa: PLC0415 - few are told by one

    url = section.url or _given(settings, section.url_env, section.url_secret, "address")
    key = _given(settings, section.secret_env, section.secret, "key")
    return Webhook(url, key.encode(), clock=clock, form=section.format, kinds=section.kinds)


def _given(settings: Settings, variable: str, secret: str, what: str) -> str:
    """What a variable or a secret holds. Raises: ConfigError; as ``Secrets.seal``."""
    if not variable:
        return _secret(settings, secret).strip()
    value = os.environ.get(variable, "")
    if not value:
        raise ConfigError(
            f"the environment variable {variable}, for the {what} of a webhook, is not set",
            next_step=f"export {variable}=…; a key is openssl rand -hex 32",
        )
    return value


def _secret(settings: Settings, name: str) -> str:
    import time  # noqa: PLC0415 - with the next

    from chalicelib.aws.secrets import Secrets  # noqa: PLC0415 - botocore

    client, _ = _clients(settings)
    return Secrets(client("secretsmanager"), monotonic=time.monotonic).seal(name).decode()


def _clients(settings: Settings) -> tuple[Callable[[str], Any], str]:
    """What makes clients, and the region. Raises: ConfigError, where none is known."""
    from chalicelib.aws import session  # noqa: PLC0415 - botocore
    from chalicelib.wiring import cloud  # noqa: PLC0415 - likewise

    if settings.file.aws is not None:
        own = cloud.section(settings)
        return cloud.of(own).client, own.region
    region = session.region()
    if not region:
        raise ConfigError(
            "the settings name no region of AWS, and neither does the environment",
            next_step="AWS_REGION=… in the environment, or [aws] region in the settings",
        )
    return cloud.account(region, "").client, region
