"""Who may do what: every route, for every role and kind of caller, as docs/policy.md says."""

from __future__ import annotations

import pytest
from support.office import ROLES, TARGETS, UNBOUNDED, Place, furnished

from chalicelib.access.principal import Kind
from chalicelib.api.routes import ROUTES

LOOK = {"target:read", "scan:read", "finding:read", "baseline:read"}
MAY = {
    "engineer": LOOK | {"scan:start", "baseline:propose", "finding:suppress", "finding:accept"},
    "approver": LOOK | {"baseline:approve"},
    "auditor": LOOK | {"record:read", "packet:make", "packet:read"},
    "operator": LOOK | {"scan:start"},
    "pipeline": LOOK | {"scan:start"},
    "none": set(),
}
OF_PEOPLE = {"baseline:approve", "finding:suppress", "finding:accept"}
# Whoever may not look is not told whether it is there.
HIDDEN = {"finding", "scan", "proposal", "suppress", "accept"}
LISTS = {"targets", "scans", "findings"}
LEASES = [one for one in ROUTES if one.action.startswith("lease:")]
OTHERS = [one for one in ROUTES if one.action and one not in LEASES]
INVISIBLE = "\u202e"  # refused in a comment, once policies have been asked


WISH = {"profile": "read-masked", "reason": "because", "seconds": 7_200}  # twice what is permitted


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return furnished(tmp_path_factory.mktemp("roles") / "place")


def request(place, route):
    """A request that only policy can stop, or that is refused afterwards and changes nothing."""
    reader = place.token("reader", "engineer")
    path = route.path.format(
        target="orders",
        finding="F-",
        scan=place.scanned,
        proposal=place.reading,
        packet=place.packet,
        record=3,
        request=place.broken if route.name == "request_review" else place.asked,
    )
    finding = place.get("/v1/findings", reader).json["items"][0]["id"]
    path = path.replace("F-", finding)
    bodies = {
        "scan_start": {"target": "orders"},
        "suppress": {"findings": [finding], "until": "2020-01-01", "reason": "long over"},
        "accept": {"findings": [finding], "reason": "     "},
        "propose": {"comment": "c"},
        "approve": {"proposal": "B-00000000"},
        "rebase_propose": {"record": 0},
        "packet_make": {"from": "2026-10-01", "to": "2026-10-01"},
        "request": {**WISH, "target": "orders"},
        "request_amend": WISH,
        "request_approve": {"seen": "0" * 64},
        "request_deny": {"comment": INVISIBLE},
        "request_review": {"comment": f"seen {INVISIBLE}"},
        "request_withdraw": {},
        "credential": {},
        "renew": {"seconds": 600},
        "revoke": {"comment": INVISIBLE},
    }
    query = "?old=1" if route.name == "consistency" else ""
    return route.method, path + query, bodies.get(route.name)


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("route", OTHERS, ids=lambda one: one.name)
def test_each_role_may_what_the_page_says_and_nothing_else(world, route, role, kind):
    token = world.token("cara", *([role] if role != "none" else []), kind=kind)
    method, path, body = request(world, route)
    answer = world.ask(method, path, token, body)
    may = route.action in MAY[role] and (kind is Kind.PERSON or route.action not in OF_PEOPLE)
    if may:
        assert answer.status < 500
        assert answer.status < 300 or answer.code != "forbidden"
        assert answer.status != 404
        assert answer.status not in {401, 422}
    elif role == "none" and route.name in LISTS:
        assert (answer.status, answer.json["items"]) == (200, [])
    elif role == "none" and route.name in HIDDEN:
        assert (answer.status, answer.code) == (404, "not_found")
    else:
        assert (answer.status, answer.code) == (403, "forbidden")
        assert route.action in answer.json["detail"]


READERS = ("engineer", "approver", "auditor", "operator")
# Who may do it to what somebody else asked for, and how they are refused in the end.
OTHERS_OWN = {
    "request_approve": (("approver",), 412, "precondition_failed"),
    "request_deny": (("approver",), 400, "usage_error"),
    "request_review": (("approver",), 400, "usage_error"),
    "revoke": (("approver", "operator"), 400, "usage_error"),
}
PEOPLE = {"request_approve", "request_deny", "request_review"}


def expected(name, role, kind):
    """What a route of leases answers whoever did not ask for the lease."""
    if name == "request":  # where it may be asked for, it may not for so long
        return 403, "not_allowed" if role in {"engineer", "pipeline"} else "forbidden"
    if name == "access_review":
        return (200, None) if role in READERS else (403, "forbidden")
    if role not in READERS:
        return 404, "not_found"
    if name not in OTHERS_OWN or (name in PEOPLE and kind is not Kind.PERSON):
        return 403, "not_allowed"
    may, status, code = OTHERS_OWN[name]
    return (status, code) if role in may else (403, "forbidden")


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("route", LEASES, ids=lambda one: one.name)
def test_each_role_may_with_leases_what_the_page_says_and_nothing_else(world, route, role, kind):
    token = world.token("cara", *([role] if role != "none" else []), kind=kind)
    size = world.log.size()
    answer = world.ask(*request(world, route)[:2], token, request(world, route)[2])
    status, code = expected(route.name, role, kind)
    assert (answer.status, answer.json.get("code")) == (status, code), answer.body
    assert world.log.size() == size


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
@pytest.mark.parametrize("role", MAY)
def test_requests_are_shown_to_whoever_may_read_leases(world, role, kind):
    token = world.token("cara", *([role] if role != "none" else []), kind=kind)
    found = {one["id"] for one in world.get("/v1/requests", token).json["items"]}
    ids = {world.asked, world.held, world.broken}
    assert found == (ids if role in READERS else set())
    for one in ids:
        answer = world.get(f"/v1/requests/{one}", token)
        assert answer.status == (200 if role in READERS else 404)


@pytest.mark.parametrize("route", ROUTES, ids=lambda one: one.name)
def test_nobody_gets_a_401_but_for_what_is_open(world, route):
    method, path, body = request(world, route)
    answer = world.ask(method, path, None, body)
    if route.door == "open":
        assert answer.status == 200
    else:
        assert (answer.status, answer.code) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("role", MAY)
def test_everybody_who_is_signed_in_may_see_who_they_are(world, role):
    answer = world.get("/v1/me", world.token("Cara", *([role] if role != "none" else [])))
    assert answer.json["principal"] == "person:cara"
    assert answer.json["roles"] == ([role] if role != "none" else [])


OWN = """
permit (principal in Group::"shop", action, resource) when { resource is Target && resource.env == "dev" };
"""  # noqa: E501
UNLESS = """
permit (principal in Group::"shop", action, resource is Target) unless { resource.env == "prod" };
"""


@pytest.fixture(params=[OWN, UNLESS], ids=["permit-dev", "permit-unless-prod"])
def partly(tmp_path, request):
    text = TARGETS + UNBOUNDED + '[policy]\nfiles = ["own.cedar"]\n'
    files = [("own.cedar", request.param)]
    return furnished(tmp_path / "place", settings_text=text, files=files)


def test_lists_hold_only_what_the_caller_may_read(partly):
    token = partly.token("dora", groups=["shop"])
    every = partly.token("eve", "engineer")
    for path in ("/v1/targets", "/v1/findings", "/v1/scans"):
        found = {one["target"] for one in partly.get(path, token).json["items"]}
        assert found == {"postgres:stock"}
    partly.post("/v1/scans", every, {"target": "orders"})
    for path in ("/v1/targets", "/v1/findings", "/v1/scans"):
        assert len({one["target"] for one in partly.get(path, every).json["items"]}) == 2
        found = {one["target"] for one in partly.get(path, token).json["items"]}
        assert found == {"postgres:stock"}


def alike(answer):
    """An answer without what is its own: the request's id, and the name that was asked for."""
    text = answer.body.decode().replace(answer.headers["x-request-id"], "ID")
    headers = {key: value for key, value in answer.headers.items() if key != "content-length"}
    headers.pop("x-request-id")
    for name in ("orders", "nowhr0"):
        text = text.replace(name, "NAME")
    return answer.status, headers, text


@pytest.mark.parametrize("who", ["nobody", "partly"])
def test_a_target_that_is_forbidden_looks_as_one_that_is_not_there(partly, who):
    token = partly.token("dora", groups=["shop"] if who == "partly" else [])
    for method, path, body in (
        ("GET", "/v1/targets/{}", None),
        ("GET", "/v1/targets/{}/baseline", None),
        ("GET", "/v1/targets/{}/baseline/verification", None),
        ("GET", "/v1/scans?target={}", None),
        ("GET", "/v1/findings?target={}", None),
        ("POST", "/v1/targets/{}/baseline/proposals", {}),
        ("POST", "/v1/targets/{}/baseline/approvals", {"proposal": "B-00000000"}),
        ("POST", "/v1/scans", {"target": "{}"}),
        ("POST", "/v1/requests", {**WISH, "target": "{}"}),
        ("POST", "/v1/requests", {**WISH, "target": "postgres:{}", "break_glass": True}),
        ("POST", "/v1/requests", {**WISH, "target": "{}", "profile": "nowhere"}),
        ("GET", "/v1/requests?target={}", None),
        ("GET", "/v1/requests/{}.abcdefghijkm", None),
        ("POST", "/v1/leases/{}.abcdefghijkm/credential", {}),
        ("GET", "/v1/targets/{}/access", None),
    ):
        answers = []
        for name in ("orders", "nowhr0"):
            asked = None if body is None else {**body}
            if asked and "target" in asked:
                asked["target"] = asked["target"].format(name)
            answers.append(partly.ask(method, path.format(name), token, asked))
        assert answers[0].status in {403, 404}
        assert alike(answers[0]) == alike(answers[1]), path


def test_findings_and_jobs_of_a_forbidden_target_look_as_if_not_there(partly):
    token = partly.token("dora", groups=["shop"])
    every = partly.token("eve", "engineer")
    hidden = partly.get("/v1/findings", every, query={"target": "orders"}).json["items"][0]["id"]
    scan = partly.post("/v1/scans", every, {"target": "orders"}).json["id"]
    body = {"until": "2026-10-05", "reason": "because"}
    for path, other in (
        (f"/v1/findings/{hidden}", "/v1/findings/F-" + "0" * 32),
        (f"/v1/scans/{scan}", "/v1/scans/S-" + "0" * 27),
    ):
        for one in (path, other):
            answer = partly.get(one, token)
            assert (answer.status, answer.code) == (404, "not_found")
    for one in (hidden, "F-" + "0" * 32):
        answer = partly.post("/v1/findings/suppress", token, {"findings": [one], **body})
        assert (answer.status, answer.code) == (404, "not_found")
    assert not partly.records("finding.suppressed")


def test_what_one_may_look_at_but_not_do_is_forbidden_and_not_hidden(full):
    token = full.token("paul", "pipeline", kind=Kind.PIPELINE)
    answer = full.post("/v1/targets/orders/baseline/proposals", token, {})
    assert (answer.status, answer.code) == (403, "forbidden")


def test_the_proposer_does_not_approve_whatever_roles_they_have(full):
    opened = full.get("/v1/targets/orders/baseline", full.token("eve", "engineer")).json
    for name in ("ana", "ANA", " Ana ", "ａｎａ"):  # noqa: RUF001 - one person in four spellings
        token = full.token(name, *ROLES)
        body = {"proposal": opened["proposal"]["id"]}
        answer = full.post("/v1/targets/orders/baseline/approvals", token, body)
        assert (answer.status, answer.code) == (403, "not_allowed")


def test_one_person_counts_once(full):
    opened = full.get("/v1/targets/orders/baseline", full.token("eve", "engineer")).json
    body = {"proposal": opened["proposal"]["id"]}
    path = "/v1/targets/orders/baseline/approvals"
    assert full.post(path, full.token("ben", "approver"), body).status == 200
    for name in ("ben", "BEN"):
        answer = full.post(path, full.token(name, "approver"), body)
        assert (answer.status, answer.code) == (403, "not_allowed")


def test_approvers_of_a_target_are_checked_whoever_may_ask(tmp_path):
    text = TARGETS.replace("approvals = 2", 'approvals = 2\napprovers = ["ben", "chloe"]')
    place = Place(tmp_path / "place", text + UNBOUNDED)
    path = "/v1/targets/orders/baseline"
    place.post(f"{path}/proposals", place.token("eve", "engineer"), {})
    place.work()
    proposal = place.get(path, place.token("eve", "engineer")).json["proposal"]["id"]
    answer = place.post(
        f"{path}/approvals", place.token("mallory", "approver"), {"proposal": proposal}
    )
    assert (answer.status, answer.code) == (403, "not_allowed")


def test_a_person_known_as_an_agent_is_another_principal(full):
    path = "/v1/targets/orders/baseline/approvals"
    answer = full.post(
        path, full.token("ben", "approver", kind=Kind.AGENT), {"proposal": "B-00000000"}
    )
    assert (answer.status, answer.code) == (403, "forbidden")
    assert not [one for one in full.records() if "agent:" in one.record.actor.name]


ROLES_OF_SETTINGS = '[policy.roles]\nengineer = ["person:zoe"]\n'


def test_roles_that_are_withdrawn_end_at_once_and_for_replays_too(tmp_path):
    place = Place(tmp_path / "place", TARGETS + UNBOUNDED + ROLES_OF_SETTINGS)
    token = place.token("zoe")
    assert place.get("/v1/me", token).json["roles"] == ["engineer"]
    first = place.post("/v1/scans", token, {"target": "stock"}, key="k")
    again = place.post("/v1/scans", token, {"target": "stock"}, key="k")
    assert (first.status, again.body) == (202, first.body)
    place.configure(TARGETS + UNBOUNDED)
    for answer in (
        place.post("/v1/scans", token, {"target": "stock"}, key="k"),
        place.post("/v1/scans", token, {"target": "stock"}, key="k2"),
        place.post("/v1/scans", token, {"target": "stock"}),
    ):
        assert (answer.status, answer.code) == (403, "forbidden")
        assert b"S-" not in answer.body
