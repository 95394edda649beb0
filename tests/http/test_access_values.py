"""What is put into requests for access: ids, tables, texts, numbers and cursors that are odd."""

from __future__ import annotations

import base64

import pytest
from support.office import ROLES, Place

from chalicelib.access.wish import MIN_SECONDS

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
CREDENTIAL = "credential"
STEPS = {
    "amendments": WISH,
    "approvals": {},
    "denials": {},
    "withdrawal": {},
    "review": {"comment": "as said"},
    CREDENTIAL: {},
    "renewals": {"seconds": 600},
    "revoke": {},
}


def at(request, what):
    kind = "leases" if what in {CREDENTIAL, "renewals", "revoke"} else "requests"
    return f"/v1/{kind}/{request}/{what}"


@pytest.fixture
def many(tmp_path):
    """A place whose appends go in groups, as in ``serve``."""
    return Place(tmp_path / "place", WRITE, group=True)


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "%2e%2e",
        "orders",
        "orders.",
        "orders.abcdefghijk",
        "orders.abcdefghijkml",
        "orders.ABCDEFGHIJKM",
        "orders.abcdefghij01",
        "orders.abcdefghijkm%00",
        "orders.abcdefghijkm%0a",
        "orders.abcdefghijkm%20",
        "orders%2fabcdefghijkm",
        "orders.abcdefghijkm%2f..%2f..",
        "%252e.abcdefghijkm",
        "postgres:orders.abcdefghijkm",
        "access:orders.abcdefghijkm",
        ".abcdefghijkm",
        "*.abcdefghijkm",
        "x" * 5_000,
        "örders.abcdefghijkm".encode("latin-1").hex(),
    ],
)
def test_what_is_no_id_is_not_there(shared, name):
    token = shared.token("eve", *ROLES)
    assert shared.get(f"/v1/requests/{name}", token).code == "not_found"
    for step, body in STEPS.items():
        answer = shared.post(at(name, step), token, body)
        assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize(
    ("table", "status"),
    [
        ("public.orders", 200),
        ("public.*", 200),
        ('"public"."O""; DROP TABLE x; --"', 200),
        ('"Odd; DROP".t', 200),
        ('public."%(x)s {0} %s $1"', 200),
        ('public."' + "ü" * 140 + '"', 200),
        ("public.orders; DROP TABLE x", 400),
        ("public.orders, public.customers", 400),
        ("public.Orders", 400),
        ("orders", 400),
        ('public."*"', 400),
        ("*.*", 400),
        ('public."a\nb"', None),
        ('public."a\x00b"', 400),
        ('public."a\u202eb"', 400),
        ('public."', 400),
        ('public.""', 400),
        ("pg_catalog.pg_authid", 403),
        ("information_schema.tables", 403),
        ('"pg_catalog".*', 403),
        ("PUBLIC.orders", 400),
    ],
    ids=ascii,
)
def test_a_table_is_a_name_and_never_a_statement(many, table, status):
    ana = many.token("ana", "engineer")
    answer = many.post("/v1/requests", ana, {**WISH, "target": "orders", "tables": [table]})
    assert answer.status in ({status} if status else {200, 400})
    if answer.status == 200:
        (shown,) = answer.json["tables"]
        again = many.post("/v1/requests", ana, {**WISH, "target": "orders", "tables": [shown]})
        assert again.json["tables"] == [shown]


def test_two_hundred_tables_of_long_names_are_one_request(many):
    ana, ben = many.token("ana", "engineer"), many.token("ben", "approver")
    tables = [f'public."{"T" * 200}{number:04}"' for number in range(200)]
    body = {**WISH, "target": "orders", "tables": tables}
    answer = many.post("/v1/requests", ana, body, key="one")
    assert (answer.status, len(answer.json["tables"])) == (200, 200)
    assert many.post("/v1/requests", ana, body, key="one").body == answer.body
    assert many.post(at(answer.json["id"], "approvals"), ben).status == 200
    assert many.post(at(answer.json["id"], CREDENTIAL), ana).status == 200
    assert many.post(at(answer.json["id"], "revoke"), ana).json["phase"] == "ended"
    more = many.post("/v1/requests", ana, {**body, "tables": ["public.a"] * 201})
    assert (more.status, more.code) == (422, "invalid")
    long = many.post("/v1/requests", ana, {**body, "tables": ["public." + "a" * 294]})
    assert (long.status, long.code) == (422, "invalid")


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"reason": "x" * 2_000}, 200),
        ({"reason": "x" * 2_001}, 422),
        ({"reason": "xx"}, 422),
        ({"reason": "   "}, 400),
        ({"reason": "turn \u202e round"}, 400),
        ({"reason": "bell \x07"}, 400),
        ({"reason": None}, 422),
        ({"seconds": MIN_SECONDS}, 200),
        ({"seconds": 3_600}, 200),
        ({"seconds": 3_601}, 403),
        ({"seconds": 604_800}, 403),
        ({"seconds": 604_801}, 422),
        ({"seconds": MIN_SECONDS - 1}, 422),
        ({"seconds": 0}, 422),
        ({"seconds": -60}, 422),
        ({"seconds": 60.5}, 422),
        ({"seconds": True}, 422),
        ({"seconds": "600"}, 422),
        ({"seconds": 2**64}, None),
        ({"ticket": "INC-481"}, 200),
        ({"ticket": "x" * 101}, 422),
        ({"ticket": "a\n"}, 422),
        ({"profile": "read-clear\n"}, 422),
        ({"profile": "nowhere"}, 404),
        ({"profile": "../etc"}, 422),
        ({"resources": ["arn:aws:s3:::b"]}, 400),
        ({"resources": ["s3"]}, 422),
        ({"target": "stock"}, 404),
        ({"target": "iam:orders"}, 404),
        ({"target": "orders\n"}, 422),
        ({"break_glass": "yes"}, 422),
        ({"requester": "person:ben"}, 422),
        ({"seed": "x"}, 422),
    ],
    ids=lambda one: ascii(one)[:40],
)
def test_bounds_of_what_is_asked_for(place, more, status):
    body = {**WISH, "target": "orders", **more}
    answer = place.post("/v1/requests", place.token("ana", "engineer"), body)
    assert answer.status in ({status} if status else {400, 422})
    assert len(place.records("access.requested")) == (status == 200)


@pytest.mark.parametrize("seconds", [MIN_SECONDS - 1, 604_801, 10**30, "600", None, 28_801])
def test_a_renewal_has_the_same_bounds(place, seconds):
    ana = place.token("ana", "engineer")
    request = place.approved(ana)
    assert place.post(at(request, CREDENTIAL), ana).status == 200
    answer = place.post(at(request, "renewals"), ana, {"seconds": seconds})
    assert answer.status == (403 if seconds == 28_801 else 422 if seconds != 10**30 else 400)


def cursor(text):
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


MOMENT = b"2026-10-01T02:00:00.000000Z"


@pytest.mark.parametrize(
    "given",
    [
        "x",
        "AAAA",
        cursor(b"1"),
        cursor(b"\xff\xfe"),
        cursor(MOMENT),
        cursor(MOMENT + b" orders"),
        cursor(b"2026-10-01 orders.abcdefghijkm"),
        cursor(b" orders.abcdefghijkm"),
        cursor(MOMENT + b" orders.abcdefghijkm "),
        cursor(MOMENT + b" orders.abcdefghijkm")[:-1] + "_",
    ],
)
def test_what_is_no_cursor_is_refused(shared, given):
    answer = shared.get("/v1/requests", shared.token("eve", *ROLES), query={"cursor": given})
    assert (answer.status, answer.code) == (400, "usage_error")


@pytest.mark.parametrize("given", ["=", "a b", "a" * 513, "é", "../", "%00"])
def test_what_no_cursor_looks_like_is_refused(shared, given):
    answer = shared.get("/v1/requests", shared.token("eve", *ROLES), query={"cursor": given})
    assert (answer.status, answer.code) == (422, "invalid")


def test_nobody_fills_the_state_of_a_target(place):
    ana = place.token("ana", "engineer")
    body = {**WISH, "target": "orders"}
    statuses = [place.post("/v1/requests", ana, body).status for _ in range(22)]
    assert statuses == [200] * 20 + [403] * 2
    assert place.post("/v1/requests", place.token("eve", "engineer"), body).status == 200
