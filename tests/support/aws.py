"""An AWS for tests: moto behind a middleware that corrects what moto gets wrong, with faults.

``StrictAws`` serves it over HTTP on this machine, so that several processes use one and the same.
What is corrected, and what is not, stands in ``support.aws_strict``. Requests of S3, DynamoDB and
KMS are served one at a time each, since moto's own compare-and-set is not safe between threads.
"""

from __future__ import annotations

import functools
import io
import json
import os
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote

import botocore.session
from botocore.config import Config
from botocore.retries import standard
from moto.moto_server.threaded_moto_server import DomainDispatcherApplication
from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from support import aws_strict
from werkzeug.serving import make_server

ENDPOINT = "HOLDFAST_TEST_AWS_ENDPOINT"
REGION = "us-east-1"
ACCOUNT = "123456789012"
ATTEMPTS = 3
_LOCK = threading.Lock()


@dataclass
class Call:
    """One request, as its operation is called in the API reference; ``moto`` answers it."""

    service: str
    operation: str
    method: str
    bucket: str
    key: str
    query: dict
    headers: dict
    body: bytes
    environ: dict = field(repr=False)
    moto: object = field(repr=False)

    @property
    def json(self):
        return json.loads(self.body or b"{}")

    def passed_on(self, body=None):
        """Moto's answer. ``body``: in place of the request's own."""
        data = self.body if body is None else body
        environ = {**self.environ, "wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(len(data))}
        seen = {}

        def start_response(status, headers, _error=None):
            seen.update(status=int(status.split()[0]), headers=dict(headers))

        content = b"".join(self.moto(environ, start_response))
        return Answer(seen["status"], content, seen["headers"])


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict = field(default_factory=dict)


@dataclass
class Fault:
    """What goes wrong with a request: an error answer, or one of the ``how`` below.

    ``drop``: the connection is closed without an answer; ``hang``: no answer until the client goes;
    ``cut``: the connection is closed in the middle of the body. ``after``: the request has had its
    effect before. A ``cut`` is always after.
    """

    status: int = 500
    code: str = "InternalError"
    how: str = "answer"
    after: bool = False


def throttle(service, *, after=False):
    status, code = {"s3": (503, "SlowDown")}.get(service, (400, "ThrottlingException"))
    return Fault(status, code, after=after)


class StrictAws:
    """A server while its block lasts.

    ``faults``: callables that take a Call and give a Fault or None; the first Fault counts. They
    are asked before any lock is taken, so that they may use a client themselves. ``calls``: what
    was asked, as (service, operation). ``now``: the time of signatures and of DynamoDB's tokens.
    """

    def __init__(self):
        self.faults = []
        self.calls = []
        self.now = lambda: datetime.now(UTC)  # noqa: TID251 - the server has a clock of its own
        self.strict = aws_strict.Strict(self)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._locks = {name: threading.RLock() for name in ("s3", "dynamodb", "kms", "cloudtrail")}

    def __enter__(self):
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Quiet)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def client(self, service, **options):
        return client(service, self.endpoint, **options)

    def reset(self):
        """Forget every resource, fault, call and signature."""
        self.faults.clear()
        self.calls.clear()
        self.strict.reset()

    def fail(self, service, operation, fault, *, skip=0, times=1):
        """Let requests number skip+1 to skip+times of this operation (``*``: any) go wrong."""
        seen = [0]

        def chosen(call):
            if call.service != service or operation not in ("*", call.operation):
                return None
            seen[0] += 1
            return fault if skip < seen[0] <= skip + times else None

        self.faults.append(chosen)
        return seen

    @contextmanager
    def failing(self, service, operation, fault, **how):
        """The same for a block; gives a list of one number, how many such requests there were."""
        seen = self.fail(service, operation, fault, **how)
        try:
            yield seen
        finally:
            self.faults.clear()

    def __call__(self, environ, start_response):
        call = _call(environ, self._moto)
        self.calls.append((call.service, call.operation))
        fault = next(filter(None, (chosen(call) for chosen in list(self.faults))), None)
        answer = None
        if fault is None or fault.after or fault.how == "cut":
            with self._locks.get(call.service, threading.RLock()):
                answer = self.strict.answer(call)
        if fault is not None:
            answer = _spoiled(fault, call, answer, environ["werkzeug.socket"])
        headers = {k: v for k, v in answer.headers.items() if k.lower() != "connection"}
        if call.method != "HEAD" and fault is None:
            headers["Content-Length"] = str(len(answer.body))
        start_response(f"{answer.status} .", list(headers.items()))
        return [b"" if call.method == "HEAD" else answer.body]


class _Quiet(MotoRequestHandler):
    def log(self, *_):
        """Nothing: requests are in ``calls``."""


def _call(environ, moto):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    if len(body) != length:  # whoever sent it was killed; AWS does nothing then
        raise ConnectionResetError("a request that broke off")
    try:
        scope = environ.get("HTTP_AUTHORIZATION", "").split("Credential=")[1].split(",")[0]
        service = scope.split("/")[3].lower()
    except IndexError:
        service = "unsigned"
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    query = {k: v[-1] for k, v in parse_qs(environ["QUERY_STRING"], True).items()}
    method = environ["REQUEST_METHOD"]
    bucket = key = ""
    if service == "s3":
        raw = environ.get("RAW_URI", environ["PATH_INFO"]).split("?")[0]
        bucket, _, key = unquote(raw.lstrip("/")).partition("/")
        operation = aws_strict.s3_operation(method, bucket, key, query, headers)
    elif service == "scheduler" and environ["PATH_INFO"].startswith("/schedules/"):
        verb = {"POST": "Create", "PUT": "Update", "DELETE": "Delete"}.get(method, "Get")
        operation = f"{verb}Schedule"
    elif "x-amz-target" in headers:
        operation = headers["x-amz-target"].rpartition(".")[2]
    else:
        form = parse_qs(body.decode("latin-1"))
        operation = form.get("Action", [f"{method} {environ['PATH_INFO']}"])[0]
    return Call(service, operation, method, bucket, key, query, headers, body, environ, moto)


def _spoiled(fault, call, answer, connection):
    if fault.how == "cut":
        headers = {**answer.headers, "Content-Length": str(len(answer.body))}
        return Answer(answer.status, answer.body[: len(answer.body) // 2], headers)
    if fault.how == "hang":
        connection.settimeout(60)
        connection.recv(1)  # returns when the client closes its end
    if fault.how in ("hang", "drop"):
        connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError("dropped by a fault")
    refused = aws_strict.refused(call, fault.status, fault.code, "a fault of the test")
    return Answer(refused.status, refused.body, {"Content-Length": str(len(refused.body))})


@functools.cache
def _session():
    """One for all: it keeps the models of the services, which take long to parse."""
    return botocore.session.Session()


def client(service, endpoint, *, attempts=ATTEMPTS, read_timeout=30, **options):
    """A botocore client with dummy credentials that retries at once, as often as is said."""
    with _LOCK:
        made = _session().create_client(
            service,
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",  # the example key of AWS's documentation
            aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            config=Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=5,
                read_timeout=read_timeout,
                s3={"addressing_style": "path"},
                **options,
            ),
        )
    return without_pauses(made, attempts)


def without_pauses(made, attempts):
    """The client, with botocore's own decision whether to retry, and no wait before it."""
    service = made.meta.service_model.service_id.hyphenize()
    event, name = f"needs-retry.{service}", f"retry-config-{service}"
    made.meta.events.unregister(event, unique_id=name)
    decided = standard.register_retry_handler(made, attempts)
    made.meta.events.unregister(event, unique_id=name)

    def at_once(**said):
        return None if decided.needs_retry(**said) is None else 0

    made.meta.events.register(event, at_once, unique_id=name)
    return made


@contextmanager
def served():
    """A server whose endpoint child processes find in the environment."""
    with StrictAws() as aws:
        before = os.environ.get(ENDPOINT)
        os.environ[ENDPOINT] = aws.endpoint
        try:
            yield aws
        finally:
            os.environ.pop(ENDPOINT)
            if before is not None:
                os.environ[ENDPOINT] = before
