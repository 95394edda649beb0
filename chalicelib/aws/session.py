"""Clients of AWS: bounded in time, with a stated number of retries, from one shared session.

Credentials and the region come from where the AWS CLI takes them too: the environment, the
configuration files, the container, or the instance. Needs no permission of its own.
"""

from __future__ import annotations

import functools
import os
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import botocore.credentials
    import botocore.session

# Standard mode: also throttling is retried, each wait random below 2**n s, at most 20 s, and a
# client that fails all the time stops retrying. Source: botocore, "Retries", standard mode.
ATTEMPTS: Final = 5  # calls in all; the waits between them sum to less than 15 s
CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 20.0  # without a single byte; a large object may take longer in all

# Where a good answer takes milliseconds, a call that hangs is given up sooner and made again.
_OF_SERVICE: Final[dict[str, dict[str, Any]]] = {
    "dynamodb": {"read_timeout": 5.0, "max_pool_connections": 32},  # ten scans, their locks
    "kms": {"read_timeout": 5.0},
    "s3": {"max_pool_connections": 32},
}

_lock = threading.Lock()  # creating clients is not safe between threads; using them is


def client(
    service: str,
    *,
    region: str | None = None,
    endpoint: str | None = None,
    attempts: int = ATTEMPTS,
    read_seconds: float | None = None,
    credentials: Mapping[str, str] | None = None,
) -> Any:
    """A botocore client of ``service``, e.g. ``s3``; safe to share between threads.

    ``endpoint``: a URL in place of AWS's own, for a VPC endpoint or another server of S3; S3's
    buckets are then in the path. ``credentials``: as ``AssumeRole`` gives them, in place of the
    session's own. Raises: StoreUnavailable, where no region is known.
    """
    from botocore.config import Config  # noqa: PLC0415 - 60 ms that only callers need

    from chalicelib.aws.failures import translated  # noqa: PLC0415 - as above

    options: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retries": {"mode": "standard", "total_max_attempts": attempts},
        "tcp_keepalive": True,
        "user_agent_extra": "holdfast",
        **_OF_SERVICE.get(service, {}),
    }
    if read_seconds is not None:
        options["read_timeout"] = read_seconds
    if service == "s3" and endpoint is not None:
        options["s3"] = {"addressing_style": "path"}
    given = credentials or {}
    with _lock, translated(f"make a client of {service}"):
        return _session().create_client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            config=Config(**options),
            aws_access_key_id=given.get("AccessKeyId"),
            aws_secret_access_key=given.get("SecretAccessKey"),
            aws_session_token=given.get("SessionToken"),
        )


def region() -> str:
    """The region that is configured, or nothing."""
    with _lock:
        return os.environ.get("AWS_REGION") or _session().get_config_variable("region") or ""


def credentials() -> botocore.credentials.Credentials | None:
    """The credentials of the session, renewed by themselves; None without any."""
    with _lock:
        return _session().get_credentials()


@functools.cache
def _session() -> botocore.session.Session:
    import botocore.session  # noqa: PLC0415 - as above

    return botocore.session.Session()


def pause(attempt: int) -> None:
    """Wait at random, longer for higher attempts; at most 2 s. For retries that are not botocore's.

    Source: AWS Architecture Blog, "Exponential backoff and jitter", full jitter.
    """
    time.sleep(random.uniform(0, min(2.0, 0.05 * 2**attempt)))  # noqa: S311 - no secret
