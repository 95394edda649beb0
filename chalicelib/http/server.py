"""Server: the same Chalice application on one machine, behind a WSGI server.

Every request is given to the application as API Gateway gives it. What API Gateway does, is done
here: routes are found, an address of a packet is served, and nothing else is answered.
"""

from __future__ import annotations

import base64
import logging
import re
import secrets
import urllib.parse
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from chalicelib.http import problem
from chalicelib.http.asked import MAX_BODY_BYTES
from chalicelib.http.headers import SECURITY_HEADERS
from chalicelib.http.problem import Refused
from chalicelib.kernel.errors import HoldfastError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from chalice.app import Chalice

    from chalicelib.local.parcels import DirectoryParcels

THREADS: Final = 16
MAX_CONNECTIONS: Final = 200
REQUEST_SECONDS: Final = 30  # for a whole request to arrive, and for an answer to be read on
MAX_HEADER_BYTES: Final = 32 * 2**10  # a token has up to 16
MAX_PARAMETERS: Final = 100  # of a query
_CONTENT: Final = re.compile(r"/v1/packets/([A-Za-z0-9.-]{1,64})/content")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_PIECE_BYTES: Final = 2**18

Start = Any  # a WSGI start_response (PEP 3333)


class _Match(NamedTuple):
    resource: str
    parts: dict[str, str]


class Application:
    """A WSGI application (PEP 3333). ``hosts``: names that it answers to beside loopback."""

    def __init__(
        self, app: Chalice, parcels: Callable[[], DirectoryParcels], hosts: Collection[str] = ()
    ) -> None:
        self._app = app
        self._parcels = parcels
        self._hosts = _LOOPBACK | {one.lower() for one in hosts}
        self._resources = [
            (resource, resource.strip("/").split("/"), sorted(methods))
            for resource, methods in sorted(app.routes.items())
        ]

    def __call__(self, environ: Mapping[str, Any], start: Start) -> Iterable[bytes]:
        """The answer to one request."""
        request = secrets.token_hex(16)
        try:
            self._check_host(environ)
            found = _CONTENT.fullmatch(_path(environ))
            if found and environ["REQUEST_METHOD"] == "GET":
                return self._content(found[1], environ, start)
            event = self._event(environ, request)
            answer: dict[str, Any] = self._app(event, None)
        except Refused as refused:
            return _refuse(refused, request, start)
        except HoldfastError as error:
            return _refuse(problem.of_error(error), request, start)
        except Exception:  # noqa: BLE001 - a defect, and what it says is not for whoever asks
            return _refuse(Refused(500, "defect", "a defect in Holdfast"), request, start)
        body = str(answer["body"]).encode()
        headers = {**answer.get("headers", {}), "Content-Length": str(len(body))}
        _start(start, int(answer["statusCode"]), headers)
        return [body]

    def _check_host(self, environ: Mapping[str, Any]) -> None:
        """Return for a name that is ours: a page elsewhere may point its own name here."""
        found = _HOST.fullmatch(str(environ.get("HTTP_HOST", "")))
        if found is None or found[1].lower() not in self._hosts:
            raise Refused(421, "misdirected_request", "this is not the host of that name")

    def _event(self, environ: Mapping[str, Any], request: str) -> dict[str, Any]:
        """The request as API Gateway's proxy integration passes it on. Raises: Refused."""
        path, method = _path(environ), str(environ["REQUEST_METHOD"])
        found = self._match(path, method)
        query: dict[str, list[str]] = {}
        for name, value in _query(environ):
            query.setdefault(name, []).append(value)
        headers = {
            name[5:].replace("_", "-").lower(): [str(value)]
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        if environ.get("CONTENT_TYPE"):
            headers["content-type"] = [str(environ["CONTENT_TYPE"])]
        body = environ["wsgi.input"].read(MAX_BODY_BYTES + 1)
        return {
            "resource": found.resource,
            "path": path,
            "httpMethod": method,
            "headers": {name: values[-1] for name, values in headers.items()},
            "multiValueHeaders": headers,
            "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": found.parts or None,
            "stageVariables": None,
            "requestContext": {
                "resourcePath": found.resource,
                "httpMethod": method,
                "path": path,
                "requestId": request,
                # API Gateway alone verifies AWS identities: here nobody has one.
                "identity": {"sourceIp": str(environ.get("REMOTE_ADDR", "")), "userArn": None},
            },
            "body": base64.b64encode(body).decode() if body else None,
            "isBase64Encoded": bool(body),
        }

    def _match(self, path: str, method: str) -> _Match:
        """The route of a path: one that is spelt out comes before one with braces."""
        parts = path.split("/")[1:]
        best: tuple[_Match, list[str]] | None = None
        for resource, names, methods in self._resources:
            if len(names) != len(parts) or not all(
                name == part or (name.startswith("{") and part)
                for name, part in zip(names, parts, strict=True)
            ):
                continue
            values = {
                name[1:-1]: part
                for name, part in zip(names, parts, strict=True)
                if name.startswith("{")
            }
            if best is None or len(values) < len(best[0].parts):
                best = _Match(resource, values), methods
        if best is None:
            raise Refused(404, "not_found", "there is nothing at this path")
        found, methods = best
        if method not in methods:
            raise Refused(405, "method_not_allowed", f"not {method[:16]}", Allow=", ".join(methods))
        return found

    def _content(self, name: str, environ: Mapping[str, Any], start: Start) -> Iterable[bytes]:
        """A packet, for whoever has its address."""
        pairs = _query(environ)
        query = dict(pairs)
        if len(query) != len(pairs):
            raise Refused(400, "malformed", "a parameter is there twice")
        stream = self._parcels().open(name, query.get("until", ""), query.get("signature", ""))
        size = stream.seek(0, 2)
        stream.seek(0)
        headers = {
            **SECURITY_HEADERS,
            "Content-Type": "application/zip",
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="{name}"',
        }
        _start(start, 200, headers)
        wrap = environ.get("wsgi.file_wrapper")
        if wrap is not None:
            return wrap(stream, _PIECE_BYTES)  # type: ignore[no-any-return]  # the server's own
        return _pieces(stream)


def serve(application: Application, address: tuple[str, int]) -> Any:
    """A server that listens; its ``run()`` answers until its ``close()``.

    What the server logs is errors alone: that requests wait for a thread is no news.

    Raises: StoreUnavailable, where the address cannot be listened on.
    """
    from waitress.server import BaseWSGIServer, create_server  # noqa: PLC0415 - only serve needs it

    from chalicelib.http.wire import Channel  # noqa: PLC0415 - likewise

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    sockets: dict[int, Any] = {}  # a name may stand for several addresses
    try:
        made = create_server(
            application,
            map=sockets,
            host=address[0],
            port=address[1],
            threads=THREADS,
            connection_limit=MAX_CONNECTIONS,
            channel_timeout=REQUEST_SECONDS,
            max_request_body_size=MAX_BODY_BYTES,
            max_request_header_size=MAX_HEADER_BYTES,
            ident="",
            clear_untrusted_proxy_headers=True,
        )
    except OSError as error:
        raise StoreUnavailable(
            f"cannot listen on {address[0]}:{address[1]}: {error.strerror}",
            next_step="choose another address with --listen",
        ) from error
    for one in sockets.values():
        if isinstance(one, BaseWSGIServer):
            one.channel_class = Channel
    return made


def _path(environ: Mapping[str, Any]) -> str:
    """The path as it was sent: a slash that is encoded separates nothing, as at API Gateway.

    ``REQUEST_URI`` is waitress's. Raises: Refused, for a target in another form (RFC 9112 §3.2).
    """
    path, _, _ = str(environ["REQUEST_URI"]).partition("?")
    if not path.startswith("/"):
        raise Refused(400, "malformed", "the request's target is no path")
    return path


def _query(environ: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The query's parameters, in order. Raises: Refused."""
    text = str(environ.get("QUERY_STRING", ""))
    try:
        return urllib.parse.parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise Refused(
            413, "too_large", f"a query has at most {MAX_PARAMETERS} parameters"
        ) from None


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def _refuse(refused: Refused, request: str, start: Start) -> list[bytes]:
    headers, body = problem.answer(refused, request)
    _start(start, refused.status, {**headers, "Content-Length": str(len(body))})
    return [body]


def _start(start: Start, status: int, headers: Mapping[str, str]) -> None:
    start(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
