"""Requests for access and their leases, as the API does them: lists, repeats and errors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.office import TARGETS, UNBOUNDED, Place

from chalicelib.access.principal import Kind
from chalicelib.http import replay
from chalicelib.kernel.errors import AuthenticationFailed, CouldNotTell, Unreachable

REQUESTS = "/v1/requests"
WISH = {"profile": "read-clear", "reason": "INC-1"}
AGAIN = replay.BUSY_SECONDS + 1  # seconds until nobody can be at it any more
ACCESS = ("access.", "lease.")


def people(place):
    """Ana, who asks, and Ben and Chloe, who approve."""
    ana = place.token("ana", "engineer")
    return ana, place.token("ben", "approver"), place.token("chloe", "approver")


def at(request, what=""):
    return f"{REQUESTS}/{request}{what}"


def lease(request, what):
    return f"/v1/leases/{request}/{what}"


def ids(answer):
    return [one["id"] for one in answer.json["items"]]


def kinds(place, request):
    """The kinds of the records of one request, in their order."""
    return [
        one.record.kind
        for one in place.records()
        if one.record.kind.startswith(ACCESS) and one.body["request"] == request
    ]


def test_a_request_goes_from_asking_to_its_end(place):
    ana, ben, _ = people(place)
    asked = place.post(
        REQUESTS, ana, {**WISH, "target": "orders", "tables": ["public.orders"], "seconds": 600}
    )
    assert (asked.status, asked.json["phase"]) == (200, "pending")
    request = asked.json["id"]
    assert asked.json["needs"]["lacking"] == 1
    done = place.post(at(request, "/approvals"), ben, {"seen": asked.json["version"]})
    assert (done.json["phase"], [one["by"] for one in done.json["approvals"]]) == (
        "approved",
        ["ben"],
    )
    found = place.post(lease(request, "credential"), ana)
    assert place.cluster.connect(_Credential(found.json["fields"])) is not None
    shown = place.get(at(request), ana).json
    assert (shown["phase"], shown["lease"]["claims"]) == ("active", 1)
    longer = place.post(lease(request, "renewals"), ana, {"seconds": 900}).json
    assert longer["renewal"]["needs"]["lacking"] == 1
    carried = place.post(at(request, "/approvals"), ben, {"seen": longer["version"]}).json
    assert carried["renewal"] is None
    assert carried["lease"]["until"] > shown["lease"]["until"]
    ended = place.post(lease(request, "revoke"), ben, {"comment": "enough"}).json
    assert (ended["phase"], ended["closed_by"], ended["comment"]) == ("ended", "ben", "enough")
    assert place.cluster.roles == {}
    assert place.get(at(request), ana).json == ended


class _Credential:
    def __init__(self, fields):
        self.fields = fields


# Lists.


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_hold_each_request_once_also_of_one_moment(place, limit):
    ana = place.token("ana", "engineer")
    place.clock.step = timedelta(0)
    made = [place.request(ana) for _ in range(4)]
    place.clock.pass_(seconds=1)
    made += [place.request(ana) for _ in range(3)]
    assert len({one["at"] for one in place.get(REQUESTS, ana).json["items"]}) == 2
    found, cursor = [], ""
    while cursor is not None:
        answer = place.get(REQUESTS, ana, query={"limit": limit, "cursor": cursor}).json
        assert 0 < len(answer["items"]) <= limit
        found += [one["id"] for one in answer["items"]]
        cursor = answer["next"]
    assert sorted(found) == sorted(made)
    assert found == ids(place.get(REQUESTS, ana))
    assert set(found[:3]) == set(made[4:])  # the newest first


def test_what_came_after_the_first_page_moves_no_later_one(place):
    ana = place.token("ana", "engineer")
    made = [place.request(ana) for _ in range(3)]
    first = place.get(REQUESTS, ana, query={"limit": 1})
    place.request(ana)
    place.post(at(made[2], "/withdrawal"), ana)
    second = place.get(REQUESTS, ana, query={"limit": 5, "cursor": first.json["next"]})
    assert ids(first) + ids(second) == made[::-1]
    assert second.json["next"] is None


def test_phases_are_those_of_now_and_not_of_the_last_sweep(place):
    ana, ben, _ = people(place)
    waiting, held = place.request(ana), place.approved(ana, seconds=600)
    assert place.post(lease(held, "credential"), ana).status == 200

    def of(phase, **more):
        return ids(place.get(REQUESTS, ben, query={"phase": phase, **more}))

    assert (of("pending"), of("active")) == ([waiting], [held])
    place.clock.pass_(minutes=11)
    assert (of("active"), of("ending"), of("pending")) == ([], [held], [waiting])
    place.clock.pass_(hours=24)
    ben, ana = place.token("ben", "approver"), place.token("ana", "engineer")
    assert (of("pending"), of("lapsed")) == ([], [waiting])
    assert ids(place.get(REQUESTS, ben)) == [held]
    assert place.get(at(waiting), ana).json["phase"] == "lapsed"
    assert place.post(at(waiting, "/approvals"), ben).code == "not_allowed"


def test_what_is_over_is_listed_where_it_is_asked_for(place):
    ana, ben, _ = people(place)
    denied, open_one = place.request(ana), place.request(ana)
    place.post(at(denied, "/denials"), ben, {"comment": "no"})
    broken = place.request(ana, break_glass=True)
    for what in ("credential", "revoke"):
        assert place.post(lease(broken, what), ana).status == 200

    def of(**query):
        return set(ids(place.get(REQUESTS, ben, query=query)))

    assert of() == {open_one, broken}  # somebody has to look at the glass
    assert of(closed="true") == {open_one, broken, denied}
    assert of(phase="denied") == {denied}
    assert of(phase="ended") == {broken}
    assert place.post(at(broken, "/review"), ben, {"comment": "as said"}).status == 200
    assert of() == {open_one}
    assert of(phase="ended") == {broken}


def test_ones_own_are_seen_by_anybody_and_all_by_whoever_may_read_leases(place):
    ana, ben, _ = people(place)
    nightly = place.token("nightly", "pipeline", kind=Kind.PIPELINE)
    theirs = place.request(nightly, profile="read-masked")
    others = place.request(ana)
    assert set(ids(place.get(REQUESTS, ben))) == {theirs, others}
    assert ids(place.get(REQUESTS, nightly)) == [theirs]
    assert ids(place.get(REQUESTS, ana, query={"mine": "true"})) == [others]
    assert ids(place.get(REQUESTS, ben, query={"mine": "true"})) == []
    # A person who is called as a pipeline is somebody else.
    assert ids(place.get(REQUESTS, place.token("nightly"))) == []
    assert ids(place.get(REQUESTS, place.token("nightly", "engineer"), query={"mine": "1"})) == []


# The same again.


def test_a_key_is_one_request(place):
    ana = place.token("ana", "engineer")
    body = {**WISH, "target": "orders"}
    first, again = (place.post(REQUESTS, ana, body, key="one") for _ in range(2))
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert place.post(REQUESTS, ana, {**body, "seconds": 60}, key="one").code == (
        "idempotency_key_reused"
    )
    assert len(place.records("access.requested")) == 1
    other = place.post(REQUESTS, place.token("eve", "engineer"), body, key="one")
    assert other.json["id"] != first.json["id"]


def test_a_request_whose_answer_was_lost_is_recorded_once(place):
    ana, ben, _ = people(place)
    body = {**WISH, "target": "orders"}
    first = place.lose(REQUESTS, ana, body)
    assert first.status == 200
    assert place.post(at(first.json["id"], "/approvals"), ben).status == 200
    place.clock.pass_(seconds=AGAIN)
    again = place.post(REQUESTS, ana, body, key="one")
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    assert again.json["phase"] == "approved"  # as it is now
    assert len(place.records("access.requested")) == 1


def ready(place, step):
    """A request at which a step can be taken: who does it, where, and what they say."""
    ana, ben, _ = people(place)
    if step == "review":
        request = place.request(ana, break_glass=True)
        for what in ("credential", "revoke"):
            assert place.post(lease(request, what), ana).status == 200
        return ben, at(request, "/review"), {"comment": "as said"}
    if step in {"approvals", "denials", "amendments", "withdrawal"}:
        request = place.request(ana, profile="write", seconds=600)
        token = ben if step in {"approvals", "denials"} else ana
        return token, at(request, f"/{step}"), dict(WISH) if step == "amendments" else {}
    request = place.approved(ana, seconds=600)
    assert place.post(lease(request, "credential"), ana).status == 200
    if step == "revoke":
        return ben, lease(request, "revoke"), {"comment": "enough"}
    renewal = lease(request, "renewals"), {"seconds": 900}
    if step == "renewals":
        return ana, *renewal
    asked = place.post(renewal[0], ana, renewal[1])
    assert asked.status == 200
    what = {"renewal agreed to": "/approvals", "renewal denied": "/denials"}[step]
    return ben, at(request, what), {}


STEPS = ("approvals", "denials", "amendments", "withdrawal", "review", "renewals", "revoke")
STEPS += ("renewal agreed to", "renewal denied")


@pytest.mark.parametrize("step", STEPS)
def test_a_step_whose_answer_was_lost_is_taken_once_and_answered(place, step):
    token, path, body = ready(place, step)
    first = place.lose(path, token, body)
    assert first.status == 200
    request = first.json["id"]
    before = kinds(place, request)
    place.clock.pass_(seconds=AGAIN)
    again = place.post(path, token, body, key="one")
    assert (again.status, again.json) == (200, first.json)
    assert kinds(place, request) == before
    assert place.post(path, token, body, key="one").headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("step", [one for one in STEPS if one not in {"amendments", "renewals"}])
def test_a_step_under_another_key_is_another_one(place, step):
    """It was taken, and not by this request: neither now nor when it is sent again."""
    token, path, body = ready(place, step)
    assert place.post(path, token, body, key="one").status == 200
    request = path.split("/")[3]
    before = kinds(place, request)
    expected = 200 if step == "revoke" else 403  # what is over can be ended
    for _ in range(2):
        answer = place.post(path, token, body, key="two")
        assert answer.status == expected, answer.body
    assert kinds(place, request) == before


def test_a_lost_approval_of_what_was_changed_since_is_no_approval_of_the_change(place):
    ana, ben, _ = people(place)
    request = place.request(ana, profile="write", seconds=600)
    assert place.lose(at(request, "/approvals"), ben).status == 200
    assert place.post(at(request, "/amendments"), ana, {**WISH, "seconds": 3_600}).status == 200
    place.clock.pass_(seconds=AGAIN)
    again = place.post(at(request, "/approvals"), ben, key="one")
    assert (again.status, again.json["approvals"]) == (200, [])
    assert again.json["phase"] == "pending"


def test_an_answer_is_given_again_only_to_whoever_may_still_see_the_lease(tmp_path):
    roles = '[policy.roles]\napprover = ["person:zoe"]\nengineer = ["person:ana"]\n'
    place = Place(tmp_path / "place", TARGETS + UNBOUNDED + roles)
    request = place.request(place.token("ana"))
    zoe = place.token("zoe")
    first = place.post(at(request, "/approvals"), zoe, key="one")
    assert place.post(at(request, "/approvals"), zoe, key="one").body == first.body
    place.configure(TARGETS + UNBOUNDED)
    for key in ("one", "two"):
        answer = place.post(at(request, "/approvals"), zoe, key=key)
        assert answer.status in {403, 404}
        assert b"INC-1" not in answer.body


# Errors.


@pytest.mark.parametrize("error", [CouldNotTell, Unreachable, AuthenticationFailed])
def test_a_target_that_makes_no_credential_is_503_and_the_request_is_over(place, error):
    ana = place.token("ana", "engineer")
    request = place.approved(ana)

    def refuse(point):
        if point == "issue before":
            raise error("the target is not reached")

    place.hook = refuse
    answer = place.post(lease(request, "credential"), ana)
    assert (answer.status, answer.code) == (503, error("").code)
    assert answer.headers["retry-after"] == "2"
    assert place.get(at(request), ana).json["phase"] == "ending"
    place.hook = lambda _point: None
    answer = place.post(lease(request, "credential"), ana)
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert place.cluster.passwords == []


def test_a_broker_that_is_not_configured_tells_nothing_of_the_machine(place):
    ana = place.token("ana", "engineer")
    request = place.approved(ana)
    place.office = replace(place.office, services=replace(place.services, grantor=None))
    answer = place.post(lease(request, "credential"), ana)
    assert (answer.status, answer.code) == (503, "config_error")
    assert b"ORDERS" not in answer.body
    assert place.get(at(request), ana).json["phase"] == "approved"


def test_what_cannot_be_ended_yet_says_so(place):
    ana, ben, _ = people(place)
    request = place.approved(ana)
    assert place.post(lease(request, "credential"), ana).status == 200
    place.cluster.down = True
    answer = place.post(lease(request, "revoke"), ben)
    assert (answer.status, answer.json["phase"]) == (200, "ending")
    assert answer.json["lease"]["trouble"]["code"] == "could_not_tell"
