"""The service itself: whether it lives, whether it can serve, and whom it takes the caller for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import __version__
from chalicelib.api.types import Empty, Health, Me, Ready
from chalicelib.kernel.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.access.principal import Principal
    from chalicelib.api.call import Call


def health(_call: Call, _asked: Empty) -> Health:
    """The process answers."""
    return Health(status="ok", version=__version__)


def ready(call: Call, _asked: Empty) -> Ready:
    """Whether what requests need can be used; of a failure only its kind is told to strangers."""

    def look(work: Callable[[], object]) -> str:
        try:
            work()
        except HoldfastError as error:
            return error.code
        return "ok"

    backend = call.backend
    checks = {
        "log": look(call.services.log.head),
        "documents": look(lambda: call.services.desk.journal.last("log")),
        "jobs": "none" if backend is None else look(lambda: backend.passing.get("ready/none")),
    }
    return Ready(ready=set(checks.values()) <= {"ok", "none"}, checks=checks)


def me(call: Call, _asked: Empty) -> Me:
    """The caller."""
    caller: Principal = call.caller
    return Me(
        principal=caller.id,
        kind=caller.kind.value,
        name=caller.name,
        via=caller.via,
        groups=sorted(caller.groups),
        roles=sorted(caller.roles),
    )
