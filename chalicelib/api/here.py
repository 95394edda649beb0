"""Here: the API's operations on this machine's own services, called as a client calls them."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol

from chalicelib.access.principal import Kind, Principal
from chalicelib.api.call import Call, Owner
from chalicelib.api.memory import Memory
from chalicelib.api.routes import BY_NAME
from chalicelib.api.types import Empty
from chalicelib.settings import authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.api.types import Request
    from chalicelib.kernel.record import Actor
    from chalicelib.wiring import Services

NOTHING: Final = Empty()


class Way(Protocol):
    """The way to an installation: the same operations here and over the API."""

    most: int
    """How many items a page of a list may have."""

    def do(self, name: str, asked: Request = NOTHING, /, **path: Any) -> Any:
        """The answer of a route, as ``routes.BY_NAME[name].answer`` says; else its bytes.

        Raises: what the operation raises.
        """
        ...


class Here:
    """Implements :class:`Way` for whoever has the store itself, and may do everything.

    ``who()`` is asked only where it is recorded: on AWS it is a question to STS.
    """

    most = sys.maxsize

    def __init__(
        self, services: Services, who: Callable[[], Actor], pause: Callable[[int], None]
    ) -> None:
        self._services = services
        self._who = who
        self._pause = pause
        self._memory = Memory(services.log)
        self._policy = functools.cache(lambda: authority.load(services.settings))

    def do(self, name: str, asked: Request = NOTHING, /, **path: Any) -> Any:
        """What the operation gives."""
        route = BY_NAME[name]
        caller = _NOBODY
        if route.method == "POST" or not route.action or route.personal:
            who = self._who()
            caller = Principal(Kind.PERSON, who.name, who.via)
        call = Call(
            services=self._services,
            caller=caller,
            guard=Owner(),
            memory=self._memory,
            pause=self._pause,
            policy=self._policy,
        )
        return route.run(call, asked, **path)


_NOBODY: Final = Principal(Kind.PERSON, "nobody", "none")
