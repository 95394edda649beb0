"""The request: who wants to do what with which resource, and what else is known of it."""

from __future__ import annotations

import msgspec

from chalicelib.drift.iam.principal import ANONYMOUS, Principal


class Request(msgspec.Struct, frozen=True):
    """One request. ``context``: values by condition key in lower case; absent keys are not there.

    ``principal`` matters to policies that have principals only.
    """

    action: str
    resource: str
    principal: Principal = ANONYMOUS
    context: dict[str, tuple[str, ...]] = {}
