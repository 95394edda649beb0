"""The document: valid OpenAPI 3.1, whole, and the same as the application and the page."""

from __future__ import annotations

import json
import re
import urllib.parse
from pathlib import Path

import jsonschema
import pytest
from chalice.app import Chalice, IAMAuthorizer

from chalicelib.api.routes import OPEN, PARTS, ROUTES
from chalicelib.http import blueprint, gate, office, openapi, problem
from chalicelib.kernel import errors

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
DOCUMENT = json.loads(openapi.document())
OPERATIONS = {
    (method.upper(), f"/v1{path}"): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def schemas(value):
    if isinstance(value, dict):
        if "schema" in value:
            yield value["schema"]
        for one in value.values():
            yield from schemas(one)
    elif isinstance(value, list):
        for one in value:
            yield from schemas(one)


def test_every_reference_leads_somewhere():
    found = set(references(DOCUMENT))
    assert len(found) > 20
    for one in found:
        assert one.startswith("#/components/schemas/")
        assert one.rpartition("/")[2] in DOCUMENT["components"]["schemas"]


def test_no_schema_is_left_that_nothing_refers_to():
    used = {one.rpartition("/")[2] for one in references(DOCUMENT)}
    assert used == set(DOCUMENT["components"]["schemas"])


def test_every_schema_is_json_schema():
    every = [*DOCUMENT["components"]["schemas"].values(), *schemas(DOCUMENT["paths"])]
    for one in every:
        jsonschema.Draft202012Validator.check_schema(one)


def test_it_says_that_it_is_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert set(DOCUMENT) == {"openapi", "info", "servers", "paths", "components"}
    assert {"title", "version"} <= set(DOCUMENT["info"])
    license_ = DOCUMENT["info"]["license"]
    assert not {"identifier", "url"} <= set(license_)  # one of them: OpenAPI 3.1.1 §4.8.4


def test_operation_ids_are_unique_and_summaries_are_there():
    ids = [one["operationId"] for one in OPERATIONS.values()]
    assert len(ids) == len(set(ids))
    for one in OPERATIONS.values():
        assert one["summary"].endswith("."), one
        assert "Raises" not in one["summary"]


def test_parameters_are_those_of_the_path_and_each_is_there_once():
    for (_, path), one in OPERATIONS.items():
        given = [(each["in"], each["name"]) for each in one.get("parameters", [])]
        assert len(given) == len(set(given))
        inside = {name for place, name in given if place == "path"}
        assert inside == set(re.findall(r"{(\w+)}", path))


@pytest.mark.parametrize("prefix", ["", "/iam"])
@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:8420", "https://a1.execute-api.eu-west-1.amazonaws.com/api"]
)
def test_a_path_behind_a_server_s_address_is_where_the_route_is(base, prefix):
    """Resolved as RFC 3986 says, from where the document is, and put together as it stands."""
    found = json.loads(openapi.document(prefix))
    bearer, iam = (
        urllib.parse.urljoin(f"{base}{prefix}{openapi.PATH}", one["url"])
        for one in found["servers"]
    )
    assert {bearer + path for path in found["paths"]} == {base + path for _, path in OPERATIONS}
    assert {iam + path for path in found["paths"]} == {
        f"{base}/iam{path}" for _, path in OPERATIONS
    }


def test_the_document_behind_iam_says_where_the_api_is_from_there():
    authorizer = IAMAuthorizer()
    for given, prefix in ((None, ""), (authorizer, "/iam")):
        app = Chalice("test")
        app.register_blueprint(blueprint.blueprint(lambda: None, given))
        answer = app.routes[f"{prefix}{openapi.PATH}"]["GET"].view_function()
        assert answer.body.encode() == openapi.document(prefix)


def test_every_route_of_the_application_is_in_it_and_the_other_way_round():
    app = office.application(lambda: None)
    served = {(method, path) for path, methods in app.routes.items() for method in methods}
    assert served == set(OPERATIONS)


def test_routes_are_signed_in_but_those_that_are_open():
    open_ones = {route.path for route in ROUTES if route.door == OPEN} | {openapi.PATH}
    assert open_ones == {"/v1/health", "/v1/ready", "/v1/openapi.json"}
    for (_, path), one in OPERATIONS.items():
        assert one["security"] == ([] if path in open_ones else [{"bearer": []}, {"iam": []}])


def rows(heading):
    """The cells of the table under a heading of the page."""
    text = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_has_every_route_with_its_action():
    told = {}
    for where, action, _ in rows("Routes"):
        method, path = where.strip("`").split(" ")
        told[(method, path)] = action.strip("`").partition(",")[0]
    expected = {(route.method, route.path): route.action or "none" for route in ROUTES}
    assert told == expected | {("GET", openapi.PATH): "none"}


def test_the_page_has_every_status_that_an_operation_can_answer_with():
    told = {int(status) for status, _ in rows("Errors")}
    documented = {
        int(status) for one in OPERATIONS.values() for status in one["responses"] if status > "399"
    }
    # What no operation answers, the server in front of them does.
    assert told - documented == {405, 421, 431}
    assert documented <= told


def test_the_page_says_how_each_route_of_access_fails_and_no_more():
    """Each status that the page explains is one that the document has, for each route."""
    of_access = [one for one in ROUTES if one.run.__module__.endswith((".requests", ".review"))]
    text = PAGE.partition("\n## Access\n")[2].partition("\n## ")[0]
    header, _, *lines = (
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    )
    explained = {
        ("GET" if cells[0].startswith("GET") else "POST", cells[0].rpartition("/")[2]): cells
        for cells in lines
    }
    for route in of_access:
        cells = explained[route.method, route.path.rpartition("/")[2]]
        responses = DOCUMENT["paths"][route.path.removeprefix("/v1")][route.method.lower()]
        for status, cell in zip(header[1:], cells[1:], strict=True):
            assert not cell or status in responses["responses"], (route.name, status)
    assert {(one.method, one.path.rpartition("/")[2]) for one in of_access} == set(explained)


def codes():
    """The statuses that the source gives codes to, and those of the tree of errors."""
    found = set()
    for module in ("asked", "gate", "limits", "replay", "server", "wire"):
        text = (Path(gate.__file__).parent / f"{module}.py").read_text()
        for status, code in re.findall(r'Refused\(\s*(?:#[^\n]*\n\s*)?(\d+),\s*"(\w+)"', text):
            found.add((int(status), code))
    return found


def every(kind):
    for one in kind.__subclasses__():
        yield one
        yield from every(one)


def test_the_page_has_every_code():
    told = {int(status): re.findall(r"`(\w+)`", names) for status, names in rows("Errors")}
    found = codes()
    assert len(found) > 10
    for status, code in found:
        assert code in told[status], (status, code)


@pytest.mark.parametrize("kind", list(every(errors.HoldfastError)), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_that_is_documented(kind):
    told = {int(status) for status, _ in rows("Errors")}
    refused = problem.of_error(kind("x"))
    assert refused.status in told - {500}


@pytest.mark.parametrize(
    "kind",
    [errors.StoreUnavailable, errors.KeyUnusable, errors.ConfigError, errors.NoSettings],
    ids=lambda kind: kind.__name__,
)
def test_what_names_files_of_the_machine_is_not_told(kind):
    error = kind("cannot write /srv/holdfast/key: read-only", next_step="chmod /srv/holdfast")
    refused = problem.of_error(error)
    assert refused.status == 503
    assert "/srv" not in problem.encode(refused, "r").decode()


def test_every_part_of_a_path_has_a_type():
    assert {name for route in ROUTES for name in route.braces} == set(PARTS)
