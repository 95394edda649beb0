"""The function of the API: a request of API Gateway → the gate, with this process's services."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chalicelib.http.gate import Gate, Office

PAUSE_SECONDS: Final = 0.25  # at most, between two looks: API Gateway waits for 29 seconds
SERVER_ERROR: Final = 500


@functools.cache
def gate() -> Gate:
    """The gate of this process; its services are connected by the first request."""
    from chalicelib.http.gate import Gate  # noqa: PLC0415 - the functions share their imports

    return Gate(_office, _tell)


@functools.cache
def _office() -> Office:
    """What requests are answered with. Raises: ConfigError, KeyUnusable, StoreUnavailable."""
    from chalicelib.functions import runtime  # noqa: PLC0415 - an import reads no environment
    from chalicelib.http.office import office  # noqa: PLC0415 - it loads Cedar
    from chalicelib.wiring import backend  # noqa: PLC0415 - likewise

    services = replace(runtime.services(), desk=runtime.desk())
    return office(services, backend.on_aws(services), _pause)


def _pause(attempt: int) -> None:
    time.sleep(min(PAUSE_SECONDS, 0.01 * attempt))


def _tell(line: dict[str, Any]) -> None:
    """One line of the function's log for each request, and a count of what is ours to mend."""
    from chalicelib.functions import runtime  # noqa: PLC0415 - as above

    failed = line["status"] >= SERVER_ERROR
    with runtime.measured():
        runtime.count("ApiDefects" if "defect" in line else "ApiRequests")
    (runtime.logger.error if failed else runtime.logger.info)("request", extra=line)
