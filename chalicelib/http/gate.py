"""The gate: every request from its event to its answer, in this order.

1. Which headers are there; one that is there twice and means something is refused.
2. Who it is: API Gateway has verified an AWS identity, or a token is verified here.
3. Whether they have asked too much.
4. What they ask for: path, query and body are converted to the route's types, within bounds.
5. Whether they asked it before: the answer that it had, where they still may have it.
6. The operation, which asks the policies and says what it reads.
7. The answer, or the problem; nothing else ever leaves.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from chalicelib.access.principal import Kind, Principal
from chalicelib.api.call import Call
from chalicelib.api.routes import OPEN
from chalicelib.http import problem, replay
from chalicelib.http.asked import IAM_PREFIX, JSON, Asked
from chalicelib.http.guard import PolicyGuard
from chalicelib.http.headers import SECURITY_HEADERS
from chalicelib.http.problem import Refused
from chalicelib.kernel import canon
from chalicelib.kernel.errors import HoldfastError, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.access.policy import Policy
    from chalicelib.api.memory import Memory
    from chalicelib.api.routes import Route
    from chalicelib.http.limits import Limits
    from chalicelib.wiring import Services
    from chalicelib.wiring.backend import Backend
    from chalicelib.wiring.identity import Door

_NOBODY: Final = Principal(kind=Kind.PIPELINE, name="nobody", via="none")


@dataclass(frozen=True, slots=True)
class Office:
    """What requests are answered with: the services, who is who, who may do what, and limits."""

    services: Services
    backend: Backend
    door: Door
    policy: Policy
    limits: Limits
    memory: Memory
    pause: Callable[[int], None]


class Reply(NamedTuple):
    """An answer: its status, headers and body, which may be a credential and is never shown."""

    status: int
    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"<{self.status}, {len(self.body)} bytes>"


class _Turn(NamedTuple):
    """A request that must happen once; ``same`` tells it from others."""

    office: Office
    guard: PolicyGuard
    asked: Asked
    same: str


class Gate:
    """``office()`` is asked at every request; ``tell(line)`` hears of each one, without secrets."""

    def __init__(
        self, office: Callable[[], Office], tell: Callable[[dict[str, Any]], None]
    ) -> None:
        self._office = office
        self._tell = tell

    def answer(self, route: Route, event: Mapping[str, Any]) -> Reply:
        """The answer to an event of API Gateway's proxy integration, for its route."""
        asked = Asked(route, event)
        line: dict[str, Any] = {"event": "request", "request": asked.id, "route": route.name}
        started = time.monotonic()
        try:
            reply = self._answer(asked, line)
        except Refused as refused:
            reply = self._refuse(refused, asked.id)
        except HoldfastError as error:
            reply = self._refuse(problem.of_error(error), asked.id)
        except Exception as error:  # noqa: BLE001 - a defect: its kind is told, what it says is not
            line |= {"defect": type(error).__name__, "where": _where(error)}
            told = Refused(500, "defect", "a defect in Holdfast; the request's id finds it")
            reply = self._refuse(told, asked.id)
        seconds = time.monotonic() - started
        self._tell({**line, "status": reply.status, "milliseconds": round(seconds * 1_000)})
        return reply

    def _answer(self, asked: Asked, line: dict[str, Any]) -> Reply:
        asked.check_headers()  # 1
        office = self._office()
        caller = _NOBODY if asked.route.door == OPEN else self._caller(office, asked)  # 2
        line["principal"] = caller.id
        _limit(office, asked.address if caller is _NOBODY else caller.id)  # 3
        path, wanted, content = asked.parse()  # 4
        expect = asked.tags("if-match")
        if expect and asked.route.method == "POST" and not asked.route.versioned:
            raise Refused(  # RFC 9110 §13.1.1: without a version there is none that could match
                412, "precondition_failed", "what is asked for has no version that If-Match names"
            )
        log = office.services.keys.origin
        guard = PolicyGuard(office.policy, caller, office.services.desk, log, asked.id)
        call = Call(
            services=office.services,
            caller=caller,
            guard=guard,
            memory=office.memory,
            pause=office.pause,
            expect=expect,
            backend=office.backend,
            policy=lambda: office.policy,
        )
        if asked.route.method != "POST" or "idempotency-key" not in asked.headers:
            return self._run(call, asked, path, wanted)
        if asked.route.secret:  # kept nowhere, so done again
            replay.check(asked.header("idempotency-key"))
            return self._run(call, asked, path, wanted)
        same = replay.fingerprint(
            asked.route.name.encode(),
            canon.encode(path),
            asked.header("if-match").encode(),
            content,
        )
        turn = _Turn(office, guard, asked, same)
        return self._once(turn, call, lambda one: self._run(one, asked, path, wanted))

    def _caller(self, office: Office, asked: Asked) -> Principal:
        try:
            found = office.door.iam(asked.arn) if asked.iam else office.door.bearer(asked.token)
        except Unauthenticated:
            _limit(office, asked.address)
            raise
        return msgspec.structs.replace(
            found,
            groups=tuple(office.policy.groups(found)),
            roles=tuple(sorted(office.policy.roles(found))),
        )

    @staticmethod
    def _once(turn: _Turn, call: Call, run: Callable[[Call], Reply]) -> Reply:
        asked, passing = turn.asked, turn.office.backend.passing
        clock, key = turn.office.services.desk.clock, asked.header("idempotency-key")
        found = replay.begin(passing, clock, call.caller.id, key, turn.same)  # 5
        if isinstance(found, replay.Kept):
            for one in found.checks:
                turn.guard.again(*one)
            headers = {**found.headers, "X-Request-Id": asked.id, "Idempotent-Replayed": "true"}
            return Reply(found.status, headers, found.body.encode())
        try:
            reply = run(replace(call, seed=found.kept.seed, repeated=found.repeated))
        except BaseException:
            replay.release(passing, found)
            raise
        replay.end(
            passing,
            found,
            status=reply.status,
            headers=reply.headers,
            body=reply.body.decode(),
            checks=turn.guard.checked,
        )
        return reply

    def _run(self, call: Call, asked: Asked, path: dict[str, Any], wanted: Any) -> Reply:
        route = asked.route
        answer = route.run(call, wanted, **path)  # 6
        headers = {**SECURITY_HEADERS, "X-Request-Id": asked.id}
        if isinstance(answer, bytes):  # 7
            return Reply(route.status, {**headers, "Content-Type": "text/plain"}, answer)
        status = route.status
        if getattr(answer, "ready", True) is False:
            status = 503
        if route.status == HTTPStatus.ACCEPTED:
            base = IAM_PREFIX if asked.iam else ""
            headers["Location"] = f"{asked.stage}{base}{_PLACES[route.name]}/{answer.id}"
            headers["Retry-After"] = "1"
        if route.versioned and (version := getattr(answer, "version", "")):
            headers["ETag"] = f'"{version}"'
            if route.method == "GET" and {version, "*"} & {*asked.tags("if-none-match")}:
                return Reply(304, headers, b"")
        return Reply(status, {**headers, "Content-Type": JSON}, msgspec.json.encode(answer))

    @staticmethod
    def _refuse(refused: Refused, request: str) -> Reply:
        headers, body = problem.answer(refused, request)
        return Reply(refused.status, headers, body)


_PLACES: Final = {
    "scan_start": "/v1/scans",
    "propose": "/v1/proposals",
    "packet_make": "/v1/packets",
}


def _limit(office: Office, caller: str) -> None:
    """Return if they may go on. Raises: Refused."""
    if seconds := office.limits.wait(caller):
        raise Refused(
            429, "too_many_requests", "more requests than agreed", Retry_After=str(seconds)
        )


def _where(error: BaseException) -> str:
    """The place of a defect in the code: files and lines, and no values."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " ".join(places[-6:])
