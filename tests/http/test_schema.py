"""Every route, for every role, with data that the document allows and data that it does not."""

from __future__ import annotations

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import checks
from schemathesis.generation import GenerationMode
from support.office import ROLES, furnished

from chalicelib.api.routes import ROUTES
from chalicelib.http import openapi

BASE = "http://localhost/v1"  # the document says ../v1, from its own address
EXAMPLES = 8  # of a route and a mode; each is sent once for every role
CALLERS = ("nobody", "stranger", *ROLES, "everything")
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
OPEN = {"/v1/health", "/v1/ready", openapi.PATH}
OPERATIONS = [(route.method, route.path) for route in ROUTES] + [("GET", openapi.PATH)]
WITH_DATA = [
    (route.method, route.path)
    for route in ROUTES
    if route.braces or msgspec.structs.fields(route.asked) or route.versioned
]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    place = furnished(tmp_path_factory.mktemp("schema") / "place")
    tokens = {
        "nobody": None,
        "stranger": place.token("stranger"),
        **{role: place.token(role, role) for role in ROLES},
        "everything": place.token("everything", *ROLES),
    }
    found = schemathesis.openapi.from_wsgi(openapi.PATH, place.app)
    return place, tokens, found


def real(place, case):
    """The same case about things that are there."""
    auditor = place.token("everything", *ROLES)
    there = {
        "target": "orders",
        "finding": place.get("/v1/findings", auditor).json["items"][0]["id"],
        "scan": place.scanned,
        "proposal": place.reading,
        "packet": place.packet,
        "record": 3,
        "request": place.held if "/leases/" in case.path else place.asked,
    }
    for name in case.path_parameters or {}:
        case.path_parameters[name] = there[name]
    body = case.body
    if isinstance(body, dict):
        if body.get("findings"):
            body["findings"] = [there["finding"]]
        if "target" in body:
            body["target"] = "stock"
        if "profile" in body:
            body |= {"profile": "read-clear", "tables": [], "resources": [], "break_glass": False}
            body |= {"reason": "because", "seconds": 600, "ticket": ""}
            if "target" in body:
                body["target"] = "orders"
            else:
                del body["break_glass"]
    if case.query and "target" in case.query:
        case.query["target"] = "orders"
    return case


def send(case, token, **more):
    for name in [one for one in case.headers or () if one.lower() == "host"]:
        del case.headers[name]  # whose host it is is the server's to say: 421, test_attacks.py
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return case.call_and_validate(base_url=BASE, headers=headers, checks=CHECKS, **more)


def runs(examples):
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def of_everybody(world, method, path, mode):
    """Cases of one mode, each sent for every caller; what is not for everybody is for nobody."""
    _place, tokens, schema = world
    statuses = set()

    @runs(EXAMPLES)
    @given(case=schema[path.removeprefix("/v1")][method].as_strategy(generation_mode=mode))
    def run(case):
        for caller in CALLERS:
            status = send(case, tokens[caller]).status_code
            statuses.add(status)
            assert caller != "nobody" or path in OPEN or status == 401

    run()
    return statuses


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=str)
def test_good_data_is_answered_as_documented(world, method, path):
    assert of_everybody(world, method, path, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("method", "path"), WITH_DATA, ids=str)
def test_bad_data_is_refused_as_documented(world, method, path):
    assert {400, 404, 412, 415, 422} & of_everybody(world, method, path, GenerationMode.NEGATIVE)


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=str)
def test_what_is_there_is_answered_as_documented_for_each_role(world, method, path):
    place, tokens, schema = world
    operation = schema[path.removeprefix("/v1")][method]
    statuses = []

    @runs(3)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def run(case):
        found = real(place, case)
        statuses.extend(send(found, tokens[caller]).status_code for caller in CALLERS)

    run()
    assert {200, 202, 409, 400, 403, 412} & set(statuses), statuses


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=str)
def test_other_methods_are_405_and_name_those_that_there_are(world, method, path):
    place, tokens, _schema = world
    plain = path.replace("{record}", "3").replace("{", "").replace("}", "")
    allowed = {one for one, other in OPERATIONS if other == path}
    for other in (
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "HEAD",
        "OPTIONS",
        "TRACE",
        "QUERY",
        "x",
    ):
        if other in allowed:
            continue
        answer = place.ask(other, plain, tokens["everything"])
        assert answer.status == 405, other
        assert set(answer.headers["allow"].split(", ")) == allowed
        assert answer.code == "method_not_allowed"
