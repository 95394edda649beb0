"""An installation with its API: a real store in a folder, targets in memory, requests by hand.

Requests go through WSGI, as a server gives them to the application; nothing listens. Workers are
those of ``serve``, a delivery at a time. The clock goes on by a millisecond whenever it is read.
What is leased is in memory too, and its passwords are found nowhere else by chance.
"""

from __future__ import annotations

import io
import json
import secrets
import threading
import urllib.parse
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from support.desk import MemorySource, propose_state, quiet
from support.grants import Cluster, MemoryGrantor

from chalicelib import settings
from chalicelib.access.principal import Kind
from chalicelib.api import jobs
from chalicelib.api.work import Bench, give_up, work
from chalicelib.drift import approval, scan
from chalicelib.drift.snapshot import Object
from chalicelib.evidence.group import GroupJournal
from chalicelib.http import office as offices
from chalicelib.http.gate import Gate
from chalicelib.http.server import Application
from chalicelib.kernel.errors import StoreUnavailable
from chalicelib.kernel.record import Actor
from chalicelib.local.queue import SqliteQueue
from chalicelib.wiring import backend as backends
from chalicelib.wiring import local
from chalicelib.wiring.identity import local_issuer

START = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
ANA, BEN, CHLOE = (Actor(name, "asserted") for name in ("ana", "ben", "chloe"))
ROLES = ("engineer", "approver", "auditor", "operator", "pipeline")

TARGETS = """
[targets.orders]
dsn_env = "ORDERS_DSN"
env = "prod"
approvals = 2

[targets.orders.access]
dsn_env = "ORDERS_BROKER_DSN"
schemas = ["public", "sales"]
tags = { "public.customers" = ["pii"] }

[targets.stock]
dsn_env = "STOCK_DSN"
env = "dev"
"""
UNBOUNDED = "[api]\nrequests_per_second = 1000000\nburst = 1000000\n"


class TickingClock:
    """A ``step``, a millisecond, passes with every look; for any number of threads."""

    def __init__(self):
        self.step = timedelta(milliseconds=1)
        self._moment = START
        self._lock = threading.Lock()

    def now(self):
        with self._lock:
            self._moment += self.step
            return self._moment

    def pass_(self, **much):
        with self._lock:
            self._moment += timedelta(**much)


class Lost:
    """A store of answers whose last write never comes: the process is gone."""

    def __init__(self, inner):
        self.inner = inner
        self.dead = False

    def get(self, key):
        return self.inner.get(key)

    def list(self, *args, **more):
        return self.inner.list(*args, **more)

    def swap(self, key, expected, value, **more):
        if self.dead and key.startswith("answer/"):
            raise StoreUnavailable("gone")
        version = self.inner.swap(key, expected, value, **more)
        self.dead = self.dead or key.startswith("answer/")
        return version


class Vaulted(Cluster):
    """A cluster that remembers all passwords that it ever had; for any number of threads."""

    def __init__(self, clock):
        super().__init__(clock)
        self.passwords = []

    def password(self):
        self.passwords.append(secrets.token_urlsafe(24))
        return self.passwords[-1]


@dataclass(frozen=True)
class Answer:
    """``headers``: by lower-case name; ``lines``: as they were given to the server."""

    status: int
    headers: dict
    body: bytes
    lines: list

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["code"]


class Place:
    """An installation in ``folder``. ``settings_text``: of the targets and whatever else."""

    def __init__(self, folder, settings_text=TARGETS + UNBOUNDED, *, files=(), group=False):
        folder.mkdir(exist_ok=True)
        self.clock = TickingClock()
        local.create(folder, "test.example/log", ANA)
        for name, text in files:
            (folder / name).write_text(text)
        self.path = folder / "holdfast.toml"
        self._first = self.path.read_text()
        self.lines = []
        self.sources = {}
        self.cluster = Vaulted(self.clock)
        self.hook = lambda _point: None
        self.queue = SqliteQueue(folder / ".holdfast" / "queue.db", self.clock)
        self._group = group
        self.configure(settings_text)
        self.app = Application(
            offices.application(lambda: self.gate), lambda: self.office.backend.parcels
        )

    def configure(self, settings_text):
        """The settings are others from now on."""
        self.path.write_text(self._first + settings_text)
        found = local.connect(settings.load(self.path))
        journal = GroupJournal(found.desk.journal) if self._group else found.desk.journal
        self.services = replace(
            found,
            desk=replace(found.desk, clock=self.clock, journal=journal),
            grantor=self.grantor,
        )
        self.backend = backends.local(self.services, self.queue)
        self.office = offices.office(self.services, self.backend, local.pause)
        self.gate = Gate(lambda: self.office, self.lines.append)
        for one in self.services.settings.targets():
            self.sources.setdefault(one.stream, MemorySource(self.clock, database()))

    def grantor(self, target):
        """Whoever makes credentials; ``hook(point)`` hears of it, see ``support.grants``."""
        return MemoryGrantor(target.stream, self.cluster, self.hook)

    @property
    def desk(self):
        return self.services.desk

    @property
    def log(self):
        return self.services.log

    def target(self, slug):
        return self.services.settings.target(slug)

    def source(self, slug):
        return self.sources[self.target(slug).stream]

    def token(self, name, *roles, kind=Kind.PERSON, groups=(), hours=20):
        """A token of this machine's issuer."""
        return local_issuer(self.services.settings).issue(
            name,
            kind=kind,
            via="asserted",
            roles=roles,
            groups=groups,
            ttl=timedelta(hours=hours),
            now=self.clock.now(),
            jti=f"t-{name}",
        )

    def ask(self, method, path, token=None, body=None, *, key=None, query=None, **headers):
        """The answer to a request; ``body`` as JSON, unless it is bytes."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given.setdefault("Authorization", f"Bearer {token}")
        if key is not None:
            given["Idempotency-Key"] = key
        data = b"" if body is None else body
        if not isinstance(data, bytes):
            data = json.dumps(body).encode()
        if body is not None:
            given.setdefault("Content-Type", "application/json")
        target = path + (f"?{urllib.parse.urlencode(query, doseq=True)}" if query else "")
        return call(self.app, method, target, given, data)

    def get(self, path, token=None, **more):
        return self.ask("GET", path, token, **more)

    def post(self, path, token=None, body=None, **more):
        return self.ask("POST", path, token, {} if body is None else body, **more)

    def lose(self, path, token, body=None, *, key="one", **more):
        """A POST whose process is gone after its deed, before its answer was kept."""
        whole = self.office
        lost = replace(whole.backend, passing=Lost(whole.backend.passing))
        self.office = replace(whole, backend=lost)
        try:
            return self.post(path, token, body, key=key, **more)
        finally:
            self.office = whole

    def bench(self):
        return Bench(self.services, self.desk, self.backend, lambda one: self.sources[one.stream])

    def work(self):
        """Everything that the queue has, worked off; what came of each job."""
        done = []
        while deliveries := self.queue.receive(10):
            for one in deliveries:
                done.append(self.deliver(jobs.decode(one.message.body)))
                self.queue.delete(one.handle)
        return done

    def deliver(self, job):
        """A worker gets the message about a job; the job as it ended, if it did."""
        done = work(self.bench(), job)
        return None if done is None else done.job

    def bury(self, job):
        """What is done with a message that nobody could finish."""
        done = give_up(self.bench(), job)
        return None if done is None else done.job

    def scan(self, slug):
        target = self.target(slug)
        return scan.scan(self.desk, target, self.source(slug), actor=ANA, progress=quiet)

    def sign(self, slug, *approvers):
        """Ana proposes what the target is; the others agree."""
        target = self.target(slug)
        propose_state(self.desk, target, self.source(slug), actor=ANA)
        for one in approvers:
            approval.approve(self.desk, target, actor=one)

    def request(self, token, **more):
        """The id of a request for access that is waiting to be agreed to."""
        body = {"target": "orders", "profile": "read-clear", "reason": "INC-1", **more}
        answer = self.post("/v1/requests", token, body)
        assert answer.status == 200, answer.body
        return answer.json["id"]

    def approved(self, token, **more):
        """The same, agreed to by Ben, who is an approver."""
        request = self.request(token, **more)
        path = f"/v1/requests/{request}/approvals"
        assert self.post(path, self.token("ben", "approver")).status == 200
        return request

    def records(self, kind=None):
        """The log's records, of one kind."""
        return [one for one in self.log.read() if kind in {None, one.record.kind}]


def database():
    """What a target in memory holds."""
    return [
        Object("table", "public.orders", {"owner": "app", "row_security": True}),
        Object(
            "column",
            "public.orders.total",
            {"type": "numeric", "position": 1, "of": "table public.orders"},
        ),
        Object("setting", "log_statement", {"value": "ddl"}),
    ]


def drift(source, count=3):
    """Changes of several kinds, ``count`` at least."""
    source.put("table", "public.orders", owner="app", row_security=False)
    source.put("setting", "log_statement", value="none")
    for number in range(count - 2):
        source.put("table", f"public.t{number}", owner="app", row_security=False)


def furnished(folder, *, key="packet", **options):
    """A place with findings, a baseline in force, an open proposal, and a packet that is built.

    Also requests for access by whoever is called ``everything``: ``asked`` waits for approval,
    ``held`` for its requester, and ``broken`` broke the glass, is over, and was not looked at.
    """
    place = Place(folder, **options)
    place.sign("orders", BEN, CHLOE)
    place.sign("stock", BEN)
    for slug in ("orders", "stock"):
        drift(place.source(slug), 6)
        place.scan(slug)
    propose_state(place.desk, place.target("orders"), place.source("orders"), actor=ANA)
    auditor, engineer = place.token("aud", "auditor"), place.token("eng", "engineer")
    period = {"from": "2026-10-01", "to": "2026-10-01"}
    place.packet = place.post("/v1/packets", auditor, period, key=key).json["id"]
    place.scanned = place.post("/v1/scans", engineer, {"target": "stock"}).json["id"]
    body = {"comment": "as it is", "replace": True}
    path = "/v1/targets/stock/baseline/proposals"
    place.reading = place.post(path, engineer, body).json["id"]
    place.work()
    everything = place.token("everything", *ROLES)
    place.asked = place.request(everything)
    place.held = place.approved(everything)
    place.broken = place.request(everything, break_glass=True)
    for path in ("credential", "revoke"):
        assert place.post(f"/v1/leases/{place.broken}/{path}", everything).status == 200
    return place


def call(app, method, target, headers=(), body=b"", *, host="127.0.0.1:8420"):
    """The answer of a WSGI application. ``target``: the path and query as they stand in a request.

    ``headers``: pairs or a dictionary; what is there twice is joined, as servers do.
    """
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": urllib.parse.unquote_to_bytes(path).decode("latin-1"),
        "REQUEST_URI": target,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8420",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": host,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items() if isinstance(headers, dict) else headers:
        plain = name.upper().replace("-", "_")
        at = plain if plain in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{plain}"
        environ[at] = f"{environ[at]}, {value}" if at in environ and at != "HTTP_HOST" else value
    told = []

    def start(status, lines, _error=None):
        told.append((int(status[:3]), list(lines)))

    pieces = app(environ, start)
    try:
        content = b"".join(pieces)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    ((status, lines),) = told
    return Answer(status, {name.lower(): value for name, value in lines}, content, lines)
