"""The office of an installation, and the Chalice application that stands before it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from chalice.app import Chalice

from chalicelib.api.memory import Memory
from chalicelib.http.blueprint import blueprint
from chalicelib.http.gate import Office
from chalicelib.http.limits import Limits
from chalicelib.settings import authority
from chalicelib.wiring import identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Request

    from chalicelib.http.gate import Gate
    from chalicelib.wiring import Services
    from chalicelib.wiring.backend import Backend


def office(services: Services, backend: Backend, pause: Callable[[int], None]) -> Office:
    """What requests are answered with, under these settings. Raises: ConfigError."""
    bounds = services.settings.file.api
    return Office(
        services=services,
        backend=backend,
        door=identity.door(services),
        policy=authority.load(services.settings),
        memory=Memory(services.log),
        limits=Limits(bounds.requests_per_second, bounds.burst, time.monotonic),
        pause=pause,
    )


class LocalApp(Chalice):
    """The application on one machine, where requests are answered by many threads at once.

    Chalice keeps the request that is under way in one place, which is enough in Lambda.
    """

    _of_thread = threading.local()

    @property
    def current_request(self) -> Request | None:
        """The request that this thread answers."""
        return getattr(self._of_thread, "request", None)

    @current_request.setter
    def current_request(self, value: Request | None) -> None:
        self._of_thread.request = value


def application(gate: Callable[[], Gate]) -> Chalice:
    """The application on one machine: bearer tokens alone, for nobody verifies AWS identities."""
    app = LocalApp(app_name="holdfast", configure_logs=False)
    app.register_blueprint(blueprint(gate))
    return app
