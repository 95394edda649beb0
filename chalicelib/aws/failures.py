"""The one place that translates botocore's errors.

What a message carries: the operation, AWS's error code, the HTTP status and the request id, by
which AWS's support finds the call. Never what was sent, nor AWS's own text where it may quote it.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's own
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from chalicelib.kernel.errors import KeyUnusable, StoreUnavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.kernel.errors import HoldfastError

# Source: the services' "Common errors", and botocore.retries.standard.
THROTTLED: Final = frozenset({
    "BandwidthLimitExceeded", "EC2ThrottledException", "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "RequestThrottled",
    "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling",
    "ThrottlingException", "TooManyRequestsException", "TransactionInProgressException",
})  # fmt: skip
_EXPIRED: Final = frozenset({
    "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired",
})  # fmt: skip
_SKEWED: Final = frozenset({"RequestTimeTooSkewed", "InvalidSignatureException"})
_REJECTED: Final = frozenset({
    "AuthFailure", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
    "InvalidToken", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch", "UnrecognizedClientException",
})  # fmt: skip
_DENIED: Final = frozenset({
    "403", "AccessDenied", "AccessDeniedException", "AuthorizationError",
    "AuthorizationErrorException", "Forbidden", "NotAuthorized", "UnauthorizedOperation",
})  # fmt: skip
_MISSING: Final = frozenset({
    "AWS.SimpleQueueService.NonExistentQueue", "NoSuchBucket", "NotFound", "NotFoundException",
    "QueueDoesNotExist", "ResourceNotFoundException",
})  # fmt: skip
_KEYS: Final = {  # KMS, "Key states of AWS KMS keys"
    "DisabledException": "the key is disabled: find out who did that, then enable it",
    "KMSInvalidStateException": (
        "if the key is pending deletion, cancel that at once (aws kms cancel-key-deletion) and "
        "enable it: a deleted key never comes back"
    ),
    "KeyUnavailableException": "try again; the key is not available at the moment",
    "InvalidKeyUsageException": "name a key with usage SIGN_VERIFY",
    "UnsupportedOperationException": "name an asymmetric key with usage SIGN_VERIFY",
    "InvalidArnException": "correct the key's ARN in the settings",
}
_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
)
_CHECK: Final = "aws sts get-caller-identity"
# What botocore's parsers let out for answers that are not of the service's form, of a page of a
# proxy's, a moment or number that is none, nesting without end. Source: botocore.parsers.
_NOT_OF_FORM: Final = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError,
)  # fmt: skip
_NO_CODE = re.compile(r"[^A-Za-z0-9._:/-]")
_MAX_CODE: Final = 100  # characters; AWS's longest have about 60


@contextmanager
def translated(action: str, refused: type[HoldfastError] = StoreUnavailable) -> Iterator[None]:
    """A block whose botocore errors become this program's; ``action`` completes "cannot ...".

    Raises: ``refused``, where AWS refuses or does not know what is asked for; KeyUnusable, for the
    states of KMS keys; StoreUnavailable, for all else: it may work later, and whether a write took
    effect is not known.
    """
    try:
        yield
    except ClientError as error:
        # AWS's text may quote the request as it was signed, with the session's token.
        raise _answered(action, error, refused) from None
    except (*_CREDENTIALS, ParamValidationError, ResponseParserError) as error:
        raise _unsent(action, error) from None  # may quote credentials, what was sent, or an answer
    except BotoCoreError as error:
        raise _unsent(action, error) from error


@contextmanager
def understood(action: str) -> Iterator[None]:
    """A block of one call, whose answer botocore may not be able to parse.

    Raises: Unsupported then, without a word of the answer. Nothing else may be in the block.
    """
    try:
        yield
    except BotoCoreError:
        raise  # some are ValueErrors too
    except _NOT_OF_FORM as error:
        raise Unsupported(
            f"cannot {action}: the answer is not of the service's form ({type(error).__name__})",
            next_step="check that the endpoint, or the proxy before it, is AWS's; then try again",
        ) from None


def code(error: ClientError) -> str:
    """AWS's name of an error, e.g. ``NoSuchKey``; without the ``KMS.`` that S3 puts before.

    Whoever answers may write anything there: it is cut, and without what no name has.
    """
    return _plain(error.response.get("Error", {}).get("Code", "")).removeprefix("KMS.")


def _plain(told: object) -> str:
    return _NO_CODE.sub("", str(told)[:_MAX_CODE])


def status(error: ClientError) -> int:
    """The HTTP status of an answer, 0 where there is none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def throttled(action: str) -> StoreUnavailable:
    """The error of a service that throttles beyond all retries."""
    return StoreUnavailable(
        f"cannot {action}: the service throttles these requests, also after retries",
        next_step="try again in a minute; if it stays, ask for a higher quota or write less often",
    )


def _answered(action: str, error: ClientError, refused: type[HoldfastError]) -> HoldfastError:
    name, number = code(error), status(error)
    told = error.response.get("ResponseMetadata", {})
    text = (
        f"cannot {action}: {error.operation_name} answered {name or 'an error'} "
        f"(HTTP {number or '?'}, request {_plain(told.get('RequestId', '?')) or '?'})"
    )
    if name in _KEYS:
        return KeyUnusable(text, next_step=_KEYS[name])
    if name in _DENIED:
        return refused(
            text, next_step=f"allow {error.operation_name} to this identity ({_CHECK} names it)"
        )
    if name in _MISSING:
        return refused(
            text, next_step="check the name and region in the settings, and that it exists"
        )
    return StoreUnavailable(text, next_step=_next_step(name, number))


def _next_step(name: str, number: int) -> str:
    if name in THROTTLED:
        return "try again in a minute; if it stays, ask for a higher quota"
    if name in _EXPIRED:
        return "the credentials have expired: renew them (e.g. aws sso login), then try again"
    if name in _SKEWED:
        return "set this machine's clock by NTP, and check the credentials, then try again"
    if name in _REJECTED:
        return f"AWS does not know these credentials: check them with {_CHECK}"
    if number >= 500:  # noqa: PLR2004 - HTTP: the server's own failure
        return "the service failed: try again, and look at the AWS Health Dashboard"
    return "look the code up in the service's API reference; it should not happen here"


def _unsent(action: str, error: Exception) -> StoreUnavailable:
    name = type(error).__name__
    if isinstance(error, _CREDENTIALS):
        reason, step = "there are no usable AWS credentials", f"log in, then check with {_CHECK}"
    elif isinstance(error, NoRegionError):
        reason, step = "no AWS region is set", "set AWS_REGION, or the region in the settings"
    elif isinstance(error, (ReadTimeoutError, ConnectTimeoutError)):
        reason, step = "no answer in time", "try again; check the network and VPC endpoints"
    elif isinstance(error, SSLError):
        reason, step = "the TLS connection failed", "check the proxy and its certificates"
    elif isinstance(error, EndpointConnectionError):
        reason, step = "no connection", "check the network, the region and VPC endpoints"
    elif isinstance(error, (ConnectionError, HTTPClientError)):
        reason, step = "the connection was lost", "try again; check the network"
    elif isinstance(error, ParamValidationError):
        reason, step = "the request is not of the service's form", "report this defect"
    else:
        reason, step = "the answer cannot be used", "try again"
    return StoreUnavailable(f"cannot {action}: {reason} ({name})", next_step=step)
