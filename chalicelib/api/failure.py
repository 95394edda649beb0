"""Failure: what a caller is told of an error. Nothing of the machine that it names leaves."""

from __future__ import annotations

from typing import Final

from chalicelib.api.types import Failure
from chalicelib.kernel.errors import ConfigError, HoldfastError, KeyUnusable, StoreUnavailable

# Their messages name files, addresses and variables of the environment: code and kind are enough.
_INWARD: Final[tuple[tuple[type[HoldfastError], str], ...]] = (
    (ConfigError, "the service is not configured for this"),
    (StoreUnavailable, "the store cannot be used now"),
    (KeyUnusable, "a key that this needs cannot be used"),
)


def failure(error: HoldfastError) -> Failure:
    """An error as an answer has it; of one that is about the machine, only of which kind it is."""
    for kind, told in _INWARD:
        if isinstance(error, kind):
            return Failure(code=error.code, message=told)
    return Failure(code=error.code, message=error.message, next_step=error.next_step)
