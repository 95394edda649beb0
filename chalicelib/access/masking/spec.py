"""What is said of a column: its class, and the mask that is laid over it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

CLEAR: Final = "clear"
LEFT_OUT: Final = "left out"
APPLIED: Final = "masking.applied"  # records of a target, among its requests and leases
CHECKED: Final = "masking.checked"


class Spec(msgspec.Struct, frozen=True):
    """A mask by its name, with its parameters as the masks file has them."""

    mask: str
    parameters: dict[str, Any] = {}


class Class(msgspec.Struct, frozen=True, kw_only=True):
    """What a column holds. ``masks``: the first one that its type allows is laid over it.

    ``personal``: whether it counts in reports of personal data. ``clear``: it is shown as it is.
    ``hidden``: it is left out, and that is meant.
    """

    masks: tuple[Spec, ...] = ()
    personal: bool = True
    clear: bool = False
    hidden: bool = False
