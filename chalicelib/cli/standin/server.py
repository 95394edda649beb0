"""The stand-in's server: moto's WSGI application on 127.0.0.1, with CloudTrail's history before it.

Every answer says in its header ``Server`` what it is.
"""

from __future__ import annotations

import functools
import io
import json
import re
import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from chalicelib.cli.standin import form
from chalicelib.cli.standin.events import SERVICES, History, Refused, Served
from chalicelib.local.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOOPBACK: Final = "127.0.0.1"
LABEL: Final = "stand-in of AWS (moto)"
_SCOPE: Final = re.compile(r"Credential=([A-Z0-9]{16,128})/[0-9]{8}/([a-z0-9-]+)/([a-z0-9]+)/")
_LOOK_UP: Final = "LookupEvents"


class _Call(NamedTuple):
    """What is known of a request before it is served; empty where it is not signed."""

    access_key: str
    region: str
    service: str
    operation: str
    form: dict[str, str]


class _Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes


@contextmanager
def serving(account: str) -> Iterator[str]:
    """A block in which the stand-in answers, of one account; gives its URL."""
    server = make_server(
        LOOPBACK, 0, _Application(account), threaded=True, request_handler=_Handler
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(MotoRequestHandler):
    def version_string(self) -> str:
        return LABEL

    def log(self, *_: Any) -> None:
        """Nothing: the calls are in the history."""


class _Application:
    """One request at a time: moto's own state is not safe between threads."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._history = History(account, now=SystemClock().now, unique=lambda: str(uuid.uuid4()))
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        call = _read(environ, body)
        with self._lock:
            if (call.service, call.operation) == ("cloudtrail", _LOOK_UP):
                answer = self._looked_up(body, call.region)
            else:
                answer = self._passed_on(environ, body, call)
        start_response(answer.status, answer.headers)
        return [answer.body]

    def _passed_on(self, environ: dict[str, Any], body: bytes, call: _Call) -> _Answer:
        user = self._user(call.access_key)  # before the call, which may end the key
        its_own = {"wsgi.input": io.BytesIO(body), "HTTP_X_MOTO_ACCOUNT_ID": self._account}
        answer = _moto(self._moto, {**environ, **its_own})
        if call.service in SERVICES:
            self._history.record(
                Served(
                    service=call.service,
                    operation=call.operation,
                    region=call.region,
                    access_key=call.access_key,
                    user=user,
                    address=environ["REMOTE_ADDR"],
                    agent=environ.get("HTTP_USER_AGENT", ""),
                    request_id=_request_id(answer),
                    parameters=_parameters(call),
                    status=int(answer.status.split()[0]),
                    body=answer.body,
                )
            )
        return answer

    def _user(self, access_key: str) -> str:
        """Whose access key this is; empty for one that nobody made, which is the root user's."""
        for user in iam_backends[self._account]["aws"].users.values():
            if any(key.access_key_id == access_key for key in user.access_keys):
                return str(user.name)
        return ""

    def _looked_up(self, body: bytes, region: str) -> _Answer:
        status = "200 OK"
        try:
            said = self._history.look_up(json.loads(body), region)
        except Refused as error:
            status = "400 Bad Request"
            said = {"__type": error.code, "message": str(error)}
        headers = [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("x-amzn-RequestId", str(uuid.uuid4())),
        ]
        return _Answer(status, headers, json.dumps(said).encode())


def _read(environ: dict[str, Any], body: bytes) -> _Call:
    signed = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, region, service = signed.groups() if signed else ("", "", "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    said = dict(parse_qsl(body.decode("utf-8", "replace"))) if service in SERVICES else {}
    return _Call(key, region, service, target.rpartition(".")[2] or said.get("Action", ""), said)


def _moto(moto: Any, environ: dict[str, Any]) -> _Answer:
    seen: list[Any] = []
    content = b"".join(moto(environ, lambda *said: seen.append(said[:2])))
    status, headers = seen[-1]
    kept = [
        (name, value) for name, value in headers if name.lower() != "server"
    ]  # it is not Amazon
    return _Answer(status, kept, content)


def _request_id(answer: _Answer) -> str:
    return next((v for k, v in answer.headers if k.lower() == "x-amzn-requestid"), "")


def _parameters(call: _Call) -> dict[str, Any]:
    try:
        model = _model(call.service).operation_model(call.operation)
    except (UnknownServiceError, OperationNotFoundError):
        return {}
    return form.parameters(model, call.form)


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.Session().get_service_model(service)
