"""OpenAPI: the API's description, made from its routes and types.

Source: OpenAPI Specification 3.1.1; the types' schemas are JSON Schema 2020-12.
"""

from __future__ import annotations

import functools
from http import HTTPStatus
from typing import Any, Final

import msgspec

from chalicelib import __version__
from chalicelib.api.routes import OPEN, PARTS, ROUTES, Route
from chalicelib.api.types import Problem
from chalicelib.http.asked import IAM_PREFIX, JSON
from chalicelib.http.problem import MEDIA_TYPE

_ROOT: Final = "/v1"
PATH: Final = f"{_ROOT}/openapi.json"
_REF: Final = "#/components/schemas/{name}"
_ALWAYS: Final = (400, 409, 413, 422, 429, 500, 503)
_POST: Final = (412, 415)
_SIGNED_IN: Final = (401, 403)


_ITSELF: Final[dict[str, Any]] = {
    "operationId": "openapi",
    "summary": "This document.",
    "security": [],
    "responses": {
        "200": {"description": "OK", "content": {JSON: {"schema": {"type": "object"}}}},
    },
}


@functools.cache
def document(prefix: str = "") -> bytes:
    """The whole document, as JSON, as it is served behind ``prefix``."""
    answers = [route.answer for route in ROUTES if route.answer]
    _, components = msgspec.json.schema_components(
        [*answers, *(route.asked for route in ROUTES), Problem], ref_template=_REF
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        methods = paths.setdefault(route.path.removeprefix(_ROOT), {})
        methods[route.method.lower()] = _operation(route, components)
    paths[PATH.removeprefix(_ROOT)] = {"get": _ITSELF}
    asked = {route.asked.__name__ for route in ROUTES if route.method == "GET"}
    bodies = {route.asked.__name__ for route in ROUTES if route.method == "POST"}
    for name in asked - bodies:
        components.pop(name, None)
    return msgspec.json.encode(
        {
            "openapi": "3.1.1",
            "info": {
                "title": "Holdfast",
                "version": __version__,
                "description": "Holds databases to the state people signed for.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": _servers(prefix),
            "paths": paths,
            "components": {
                "schemas": components,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                    "iam": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "Authorization",
                        "description": "AWS Signature Version 4, of the service execute-api",
                    },
                },
            },
        }
    )


def _servers(prefix: str) -> list[dict[str, str]]:
    """Where the API is, from where the document is: nobody here knows the stage before it.

    A path is put behind a server's address as it is (OpenAPI 3.1.1 §4.8.8), so that must not end
    with a slash; and a relative one that leads to a folder does (RFC 3986 §5.2.4). Hence the
    version is part of the address.
    """
    up = "../" * (1 + prefix.count("/"))
    return [
        {"url": f"{up}{_ROOT[1:]}", "description": "with a bearer token"},
        {"url": f"{up}{IAM_PREFIX[1:]}{_ROOT}", "description": "with AWS credentials"},
    ]


def _operation(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    words = (route.run.__doc__ or "").strip()
    found: dict[str, Any] = {
        "operationId": route.name,
        "summary": words.split("\n", 1)[0].partition(" Raises:")[0],
        "security": [] if route.door == OPEN else [{"bearer": []}, {"iam": []}],
        "responses": _responses(route),
    }
    if route.action:
        found["x-holdfast-action"] = route.action
    parameters = [_part(name) for name in route.braces]
    if route.method == "GET":
        parameters += _query(route, components)
        if route.versioned:
            parameters.append(_header("If-None-Match", "answered with 304 if it is as it was"))
    else:
        found["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": {"$ref": _REF.format(name=route.asked.__name__)}}},
        }
        again = "done again" if route.secret else "answered as it was, and done once"
        key = _header("Idempotency-Key", f"the same again is {again}")
        key["schema"] |= {"minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"}
        parameters.append(key)
        if route.versioned:
            parameters.append(_header("If-Match", "done only while it is as it was then"))
    if parameters:
        found["parameters"] = parameters
    return found


def _part(name: str) -> dict[str, Any]:
    schema = msgspec.json.schema(PARTS[name])
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    """Every field of the type that is asked, as a parameter."""
    schema = components[route.asked.__name__]
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _present(one)}
        for name, one in schema.get("properties", {}).items()
    ]


def _present(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter that is there: a query cannot say null."""
    options = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(options) == 1:
        schema = options[0]
    return {key: value for key, value in schema.items() if key != "default"}


def _header(name: str, words: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    return {"name": name, "in": "header", "required": False, "schema": schema, "description": words}


def _responses(route: Route) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    if route.answer is None:
        good["content"] = {"text/plain": {"schema": {"type": "string"}}}
    else:
        good["content"] = {JSON: {"schema": {"$ref": _REF.format(name=route.answer.__name__)}}}
    found = {str(route.status): good}
    if route.status == HTTPStatus.ACCEPTED:
        good["headers"] = {"Location": {"schema": {"type": "string"}}}
    if route.versioned and route.method == "GET":
        found["304"] = {"description": "as it was"}
        good["headers"] = {"ETag": {"schema": {"type": "string"}}}
    statuses = {*_ALWAYS, *route.statuses, *(() if route.door == OPEN else _SIGNED_IN)}
    statuses |= {*_POST} if route.method == "POST" else set()
    for status in sorted(statuses):
        found[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}},
        }
    if route.name == "ready":
        found["503"]["content"][JSON] = good["content"][JSON]
    return found
