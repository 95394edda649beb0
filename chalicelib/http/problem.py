"""Problems: every error of the API as RFC 9457 has it, with a stable code and nothing inward."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import msgspec

from chalicelib.api.failure import failure
from chalicelib.api.types import Problem
from chalicelib.http.headers import SECURITY_HEADERS
from chalicelib.kernel.errors import (
    ConfigError,
    Conflict,
    CouldNotTell,
    Fork,
    HoldfastError,
    NoBaseline,
    NotAllowed,
    NotFound,
    PreconditionFailed,
    TooLarge,
    Unauthenticated,
    UsageError,
    VerificationFailed,
)

MEDIA_TYPE: Final = "application/problem+json"
MAX_DETAIL: Final = 2_000  # characters of what an error says
RETRY_SECONDS: Final = 2

# The first that fits; what stands in none of them is a defect.
_STATUSES: Final[tuple[tuple[type[HoldfastError], int], ...]] = (
    (Unauthenticated, 401),
    (NotAllowed, 403),
    (NotFound, 404),
    (PreconditionFailed, 412),
    (TooLarge, 413),
    (ConfigError, 503),
    (UsageError, 400),
    (Fork, 503),
    (VerificationFailed, 409),
    (NoBaseline, 409),
    (Conflict, 409),
    (CouldNotTell, 503),
)


class Refused(Exception):
    """A request that is answered with a problem before any operation was tried."""

    def __init__(
        self, status: int, code: str, detail: str, *, next_step: str = "", **headers: str
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.next_step = next_step
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def of_error(error: HoldfastError) -> Refused:
    """The answer to an operation's failure."""
    status = next((number for kind, number in _STATUSES if isinstance(error, kind)), 500)
    told = failure(error)
    headers = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers = {"Retry_After": str(RETRY_SECONDS)}
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW_Authenticate": 'Bearer realm="holdfast"'}
    return Refused(status, told.code, told.message, next_step=told.next_step, **headers)


def answer(refused: Refused, request: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body of the answer to the request of that id."""
    headers = {
        **SECURITY_HEADERS,
        **refused.headers,
        "X-Request-Id": request,
        "Content-Type": MEDIA_TYPE,
    }
    return headers, encode(refused, request)


def encode(refused: Refused, request: str) -> bytes:
    """The body of the answer."""
    told = Problem(
        type=f"urn:holdfast:problem:{refused.code}",
        title=HTTPStatus(refused.status).phrase,
        status=refused.status,
        detail=refused.detail[:MAX_DETAIL],
        code=refused.code,
        next_step=refused.next_step[:MAX_DETAIL],
        request=request,
    )
    return msgspec.json.encode(told)
