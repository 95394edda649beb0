"""What is tried at requests and leases: others' ids, old versions, races, and odd values."""

from __future__ import annotations

import json
import threading
import urllib.request

import pytest
from support.listening import listening
from support.office import ROLES, Place

from chalicelib.access.principal import Kind

WRITE = """
[targets.orders]
dsn_env = "ORDERS_DSN"
env = "prod"

[targets.orders.access]
dsn_env = "ORDERS_BROKER_DSN"
schemas = ["public", "Odd; DROP", "sales"]

[api]
requests_per_second = 1000000
burst = 1000000
"""
WISH = {"profile": "read-clear", "reason": "INC-1"}
APPROVALS, CREDENTIAL = "approvals", "credential"


def at(request, what):
    kind = "leases" if what in {CREDENTIAL, "renewals", "revoke"} else "requests"
    return f"/v1/{kind}/{request}/{what}"


def at_once(*calls):
    """What each of them gives, all begun at one moment."""
    answers, gate = [None] * len(calls), threading.Barrier(len(calls))

    def run(number):
        gate.wait()
        answers[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return answers


def kinds(place, request):
    return [
        one.record.kind
        for one in place.records()
        if one.record.stream == "access:orders" and one.body["request"] == request
    ]


@pytest.fixture
def many(tmp_path):
    """A place whose appends go in groups, as in ``serve``."""
    return Place(tmp_path / "place", WRITE, group=True)


# Whose it is.

STEPS = {
    "amendments": WISH,
    APPROVALS: {},
    "denials": {},
    "withdrawal": {},
    "review": {"comment": "as said"},
    CREDENTIAL: {},
    "renewals": {"seconds": 600},
    "revoke": {},
}


@pytest.mark.parametrize("step", STEPS)
def test_a_request_of_somebody_else_is_not_there_for_whoever_may_not_read_leases(place, step):
    request = place.approved(place.token("ana", "engineer"))
    before = kinds(place, request)
    for token in (
        place.token("mallory"),
        place.token("mallory", "pipeline"),
        place.token("ana", "pipeline", kind=Kind.AGENT),
        place.token("ana", "pipeline", kind=Kind.PIPELINE),
    ):
        answers = [
            place.post(at(one, step), token, STEPS[step]) for one in (request, f"{request[:-1]}a")
        ]
        assert [(one.status, one.code) for one in answers] == [(404, "not_found")] * 2
        shown = [one.json["detail"].replace(one.json["detail"].split()[-1], "") for one in answers]
        assert shown[0] == shown[1]
    assert kinds(place, request) == before


@pytest.mark.parametrize("name", ["ana", "ANA", " Ana ", "ａｎａ"])  # noqa: RUF001 - of one person
@pytest.mark.parametrize("step", [APPROVALS, "denials"])
def test_nobody_decides_on_their_own_whatever_roles_they_have(place, name, step):
    request = place.request(place.token("ana", "engineer"))
    answer = place.post(at(request, step), place.token(name, *ROLES), {})
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert kinds(place, request) == ["access.requested"]


def test_nobody_reviews_their_own_broken_glass(place):
    ana = place.token("ana", *ROLES)
    request = place.request(ana, break_glass=True)
    assert place.post(at(request, CREDENTIAL), ana).status == 200
    ben = place.token("ben", "approver")
    early = place.post(at(request, "review"), ben, {"comment": "as said"})
    assert (early.status, early.code) == (403, "not_allowed")  # it runs
    assert place.post(at(request, "revoke"), ana).status == 200
    answer = place.post(at(request, "review"), ana, {"comment": "as said"})
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert place.get(f"/v1/requests/{request}", ana).json["review"] == "open"


@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.PIPELINE])
@pytest.mark.parametrize("step", [APPROVALS, "denials"])
def test_only_people_decide(place, kind, step):
    request = place.request(place.token("ana", "engineer"))
    answer = place.post(at(request, step), place.token("ben", *ROLES, kind=kind), {})
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert kinds(place, request) == ["access.requested"]


@pytest.mark.parametrize("kind", [Kind.AGENT, Kind.PIPELINE])
def test_only_people_break_the_glass(place, kind):
    body = {**WISH, "target": "orders", "break_glass": True}
    answer = place.post("/v1/requests", place.token("bot", *ROLES, kind=kind), body)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert place.records("access.requested") == []


@pytest.mark.parametrize("step", [CREDENTIAL, "renewals", "amendments", "withdrawal"])
def test_whoever_approved_it_does_not_have_it(place, step):
    ana = place.token("ana", "engineer")
    request = place.approved(ana)
    if step == "renewals":
        assert place.post(at(request, CREDENTIAL), ana).status == 200
    made = len(place.cluster.passwords)
    answer = place.post(at(request, step), place.token("ben", *ROLES), STEPS[step])
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert len(place.cluster.passwords) == made


def test_what_was_not_agreed_to_is_not_given(place):
    ana = place.token("ana", "engineer")
    waiting, denied, gone = (place.request(ana) for _ in range(3))
    place.post(at(denied, "denials"), place.token("ben", "approver"))
    place.post(at(gone, "withdrawal"), ana)
    for one in (waiting, denied, gone):
        answer = place.post(at(one, CREDENTIAL), ana)
        assert (answer.status, answer.code) == (403, "not_allowed")
    assert place.cluster.roles == {}


# Versions.


def test_an_older_version_is_not_agreed_to(place):
    ana, ben = place.token("ana", "engineer"), place.token("ben", "approver")
    request = place.request(ana)
    old = place.get(f"/v1/requests/{request}", ben).json["version"]
    new = place.post(at(request, "amendments"), ana, {**WISH, "seconds": 3_600}).json["version"]
    path = at(request, APPROVALS)
    for body, more in (
        ({"seen": old}, {}),
        ({}, {"If_Match": f'"{old}"'}),
        ({"seen": new}, {"If_Match": f'"{old}"'}),
        ({"seen": old}, {"If_Match": f'"{new}"'}),
        ({"seen": old}, {"If_Match": "*"}),
        ({}, {"If_Match": f'W/"{new}"'}),
        ({}, {"If_Match": '"*"'}),
        ({"seen": "0" * 64}, {}),
    ):
        answer = place.post(path, ben, body, **more)
        assert (answer.status, answer.code) == (412, "precondition_failed"), (body, more)
    assert place.records("access.approved") == []
    answer = place.post(path, ben, {}, If_Match=f'"{old}", "{new}"')
    assert (answer.status, answer.json["phase"]) == (200, "approved")
    assert answer.json["version"] == new


@pytest.mark.parametrize("form", ["seen", "tag", "star", "nothing"])
def test_what_is_as_it_was_seen_is_agreed_to(place, form):
    request = place.request(place.token("ana", "engineer"))
    ben = place.token("ben", "approver")
    version = place.get(f"/v1/requests/{request}", ben).json["version"]
    tag = {"tag": f'"{version}"', "star": "*"}.get(form)
    body = {"seen": version} if form == "seen" else {}
    answer = place.post(at(request, APPROVALS), ben, body, **({"If_Match": tag} if tag else {}))
    assert (answer.status, answer.json["phase"]) == (200, "approved")


def test_a_change_makes_approvals_void(place):
    ana, ben = place.token("ana", "engineer"), place.token("ben", "approver")
    request = place.approved(ana)
    wider = {**WISH, "profile": "write"}
    changed = place.post(at(request, "amendments"), ana, wider).json
    assert (changed["phase"], changed["approvals"], changed["revision"]) == ("pending", [], 2)
    assert place.post(at(request, CREDENTIAL), ana).status == 403
    assert place.post(at(request, APPROVALS), ben).json["phase"] == "pending"


@pytest.mark.parametrize("step", [one for one in STEPS if one != APPROVALS])
def test_other_steps_have_no_version_that_could_be_meant(place, step):
    ana = place.token("ana", "engineer")
    request = place.request(ana)
    answer = place.post(at(request, step), ana, STEPS[step], If_Match='"x"')
    assert (answer.status, answer.code) == (412, "precondition_failed")


# At once.


def test_approvals_at_once_over_sockets_are_counted_once_each(many):
    with listening(many.app) as made:
        request = many.request(many.token("ana", "engineer"), profile="write")
        url = f"http://127.0.0.1:{made.effective_port}{at(request, APPROVALS)}"

        def approve(token):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            asked = urllib.request.Request(url, b"{}", headers)
            try:
                with urllib.request.urlopen(asked, timeout=60) as found:  # noqa: S310
                    return found.status, json.loads(found.read())
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.loads(error.read())

        tokens = [many.token(name, "approver") for name in ("ben", "ben", "BEN", "chloe")]
        answers = at_once(*[lambda one=one: approve(one) for one in tokens])
    assert sorted(status for status, _ in answers) == [200, 200, 403, 403]
    assert {body["code"] for status, body in answers if status == 403} == {"not_allowed"}
    assert kinds(many, request) == ["access.requested", *["access.approved"] * 2]
    shown = many.get(f"/v1/requests/{request}", many.token("ana")).json
    assert (shown["phase"], sorted(one["by"] for one in shown["approvals"])) == (
        "approved",
        ["ben", "chloe"],
    )


def test_an_approval_and_a_denial_at_once_are_one_of_both(many):
    ana = many.token("ana", "engineer")
    ben, chloe = many.token("ben", "approver"), many.token("chloe", "approver")
    for _ in range(5):
        request = many.request(ana)
        first, second = at_once(
            lambda one=request: many.post(at(one, APPROVALS), ben),
            lambda one=request: many.post(at(one, "denials"), chloe),
        )
        phase = many.get(f"/v1/requests/{request}", ana).json["phase"]
        assert (second.status, phase) == (200, "denied")  # what was approved can be denied
        assert first.status in {200, 403}


def test_claims_at_once_issue_one_lease(many):
    ana = many.token("ana", "engineer")
    request = many.approved(ana)
    path = at(request, CREDENTIAL)
    answers = at_once(*[lambda: many.post(path, ana)] * 6)
    assert {one.status for one in answers} <= {200, 403}
    given = [one.json["fields"]["password"] for one in answers if one.status == 200]
    assert given
    assert kinds(many, request).count("lease.issued") == 1
    (role,) = many.cluster.roles.values()
    assert role.password in given
    assert len(set(given)) == len(given)


@pytest.mark.parametrize("who", ["ana", "olaf"])
@pytest.mark.parametrize("point", ["plan", "issue before", "issue after"])
def test_what_is_revoked_while_it_is_issued_is_given_to_nobody(place, point, who):
    ana = place.token("ana", "engineer")
    request, revoked = place.approved(ana), []
    token = place.token(who, *(["operator"] if who == "olaf" else []))

    def revoke(reached):
        if reached == point and not revoked:
            revoked.append(None)
            revoked.append(place.post(at(request, "revoke"), token))

    place.hook = revoke
    answer = place.post(at(request, CREDENTIAL), ana)
    assert revoked[1].status == 200
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert not [one for one in place.cluster.passwords if one in answer.body.decode()]
    place.clock.pass_(hours=1)
    assert not [one for one in place.cluster.roles.values() if one.login]
    again = place.post(at(request, CREDENTIAL), place.token("ana", "engineer"))
    assert again.status == 403
