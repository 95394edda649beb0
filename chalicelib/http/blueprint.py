"""Blueprints: the routes for Chalice. A route is five lines here; what it does is the gate's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from chalice.app import Blueprint, Response

from chalicelib.api.routes import ROUTES
from chalicelib.http import openapi
from chalicelib.http.asked import IAM_PREFIX, JSON
from chalicelib.http.headers import SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalice.app import Authorizer

    from chalicelib.api.routes import Route
    from chalicelib.http.gate import Gate


def blueprint(gate: Callable[[], Gate], authorizer: Authorizer | None = None) -> Blueprint:
    """All routes: with an authorizer behind ``/iam``, else where bearer tokens are taken."""
    made = Blueprint(__name__)
    prefix = "" if authorizer is None else IAM_PREFIX

    def register(path: str, method: str, name: str, view: Callable[..., Response]) -> None:
        # No content types: the gate says what is wrong with one, and as a problem.
        decorate = made.route(
            prefix + path,
            methods=[method],
            content_types=[],
            authorizer=authorizer,
            name=name,
        )
        decorate(view)

    for route in ROUTES:
        register(route.path, route.method, route.name, _view(made, gate, route))
    register(openapi.PATH, "GET", "openapi", lambda: _description(prefix))
    return made


def _view(made: Blueprint, gate: Callable[[], Gate], route: Route) -> Callable[..., Response]:
    def view(**_path: str) -> Response:
        event = cast("Any", made.current_request).to_original_event()
        reply = gate().answer(route, event)
        return Response(reply.body.decode(), {**reply.headers}, reply.status)

    return view


def _description(prefix: str) -> Response:
    headers: dict[str, str | list[str]] = {**SECURITY_HEADERS, "Content-Type": JSON}
    return Response(openapi.document(prefix).decode(), headers, 200)
