"""Step: a part of the verification of a packet; whatever fails in it fails there, at a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.evidence.verdict import Fault
from chalicelib.kernel.errors import VerificationFailed

if TYPE_CHECKING:
    from chalicelib.kernel.errors import HoldfastError


class Failed(Exception):
    """Where a packet does not hold, and the error that says why."""

    def __init__(self, fault: Fault, cause: HoldfastError) -> None:
        super().__init__(fault)
        self.fault = fault
        self.cause = cause


class step:  # noqa: N801 - it reads as a part of the statement
    """What fails in the block fails this step, at this file."""

    __slots__ = ("_place",)

    def __init__(self, number: int, file: str, leaf: int | None = None) -> None:
        self._place = number, file, leaf

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, VerificationFailed):
            number, file, leaf = self._place
            raise Failed(Fault(number, file, error.message, leaf), error) from error
