"""What attackers send: tokens, addresses, headers and bodies that are not what they claim to be."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta

import pytest
from support import tokens as forge
from support.office import ROLES, call, furnished

from chalicelib.access.principal import Kind
from chalicelib.api.routes import ROUTES

SECRETS = ("hunter2-in-a-dsn", "s3cr3t-of-the-store")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    place = furnished(tmp_path_factory.mktemp("attacks") / "place")
    place.everything = place.token("eve", *ROLES)
    return place


def unpacked(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def packed(value):
    return forge.b64(json.dumps(value).encode())


def forgeries(place):
    """Tokens of nobody, by what is wrong with them."""
    good = place.token("eve", *ROLES)
    head, body, signature = good.split(".")
    claims, header = unpacked(body), unpacked(head)
    key = forge.ed_key(9)
    public = place.services.settings.store_path / "key" / "issuer.pem"

    def signed(**more):
        return forge.token(key, "EdDSA", claims | more, kid=header["kid"])

    def confused(alg, secret):
        data = f"{packed(header | {'alg': alg})}.{body}"
        return f"{data}.{forge.b64(forge.signature(data.encode(), alg, secret))}"

    yield "another key", signed()
    yield (
        "another key, named in the token",
        forge.token(key, "EdDSA", claims, kid=header["kid"], jwk=forge.jwk(key)),
    )
    yield "a key at an address", forge.token(key, "EdDSA", claims, jku="http://127.0.0.1/keys")
    yield "none", f"{packed(header | {'alg': 'none'})}.{body}."
    yield "None", f"{packed(header | {'alg': 'None'})}.{body}.{signature}"
    yield "no signature", f"{head}.{body}."
    yield "HS256 under the public key", confused("HS256", public.read_bytes())
    yield "HS256 under nothing", confused("HS256", b"")
    yield "another body", f"{head}.{packed(claims | {'sub': 'root'})}.{signature}"
    yield "more roles", f"{head}.{packed(claims | {'roles': ['auditor']})}.{signature}"
    yield "another header", f"{packed(header | {'typ': 'at+jwt'})}.{body}.{signature}"
    yield "cut", good[:-2]
    yield "longer", good + "A"
    yield "two", f"{good}, {good}"
    yield "huge", "A" * 20_000
    yield "four parts", good + ".x"
    yield "nothing", ""
    yield "spaces", "   "
    yield "a word", "admin"


def test_tokens_that_the_issuer_did_not_make_are_refused_everywhere(world):
    for what, token in forgeries(world):
        for path in ("/v1/me", "/v1/targets", "/v1/records"):
            answer = world.get(path, token)
            assert (answer.status, answer.code) == (401, "unauthenticated"), what
            assert answer.headers["www-authenticate"] == 'Bearer realm="holdfast"'
            assert len(token) < 30 or token[:30].encode() not in answer.body, what


def test_a_token_ends_and_is_none_before_its_time(place):
    token = place.token("eve", "engineer", hours=1)
    assert place.get("/v1/me", token).status == 200
    place.clock.pass_(hours=2)
    assert place.get("/v1/me", token).status == 401
    place.clock.pass_(hours=-4)
    assert place.get("/v1/me", token).status == 401


def test_a_token_of_another_installation_is_none_here(place, tmp_path):
    from support.office import Place

    other = Place(tmp_path / "other")
    place.token("eve", "engineer")
    assert place.get("/v1/me", other.token("eve", "engineer")).status == 401


@pytest.mark.parametrize(
    "value",
    ["Basic ZXZlOnB3", "bearer", "Bearer", "Token {}", "{}", "Bearer\t{}", "AWS4-HMAC-SHA256 C=x"],
)
def test_only_bearer_tokens_are_taken(world, value):
    answer = world.get("/v1/me", Authorization=value.format(world.everything))
    assert answer.status == 401


def test_two_tokens_are_none(world):
    lines = [("Authorization", f"Bearer {world.everything}")] * 2
    assert call(world.app, "GET", "/v1/me", lines).status == 401


ARN = "arn:aws:sts::123456789012:assumed-role/admin/root"


def test_an_aws_identity_cannot_be_claimed_on_one_machine(world):
    claims = {"userArn": ARN, "requestContext": {"identity": {"userArn": ARN}}}
    headers = {
        "userArn": ARN,
        "X-Amzn-Requestcontext": json.dumps(claims),
        "X-Amz-Security-Token": "x",
        "X-Apigateway-Event": json.dumps(claims),
        "X-User": "root",
        "Remote-User": "root",
    }
    for path in ("/v1/me", "/iam/v1/me", "/v1/me?userArn=" + ARN):
        answer = call(world.app, "GET", path, headers)
        assert answer.status in {401, 404}
    answer = world.post("/v1/scans", None, claims)
    assert answer.status == 401
    assert world.post("/v1/scans", world.everything, {"target": "stock", **claims}).status == 422


def test_the_other_door_is_not_there_on_one_machine(world):
    for route in ROUTES:
        path = "/iam" + route.path.replace("{record}", "3").replace("{", "").replace("}", "")
        for token in (None, world.everything):
            assert world.ask(route.method, path, token).status == 404


# Paths.


TRICKS = [
    "//v1/me",
    "/v1//me",
    "/v1/me/",
    "/v1/./me",
    "/v1/../v1/me",
    "/./v1/me",
    "/v1/health/../me",
    "/v1/%2e/me",
    "/v1/%2e%2e/v1/me",
    "/v1%2fme",
    "/v1%2Fme",
    "/v1%5cme",
    "/v1\\me",
    "/V1/me",
    "/v1/ME",
    "/v1/m%65",
    "/v1/me%00",
    "/v1/me%0a",
    "/v1/me%0d%0aX: y",
    "/v1/me;a=b",
    "/v1/me%20",
    "/v1/me%3f",
    "/v1/me%23",
    "/v1/%6de",
    "/v1/me.json",
    "/v1/%256de",
    "/v1/me/%2e%2e/targets",
    "/v1/targets/%2e%2e/me",
    "/v1/targets/../me",
    "/v1/targets/orders%2fbaseline",
    "/v1/targets%2forders",
    "/v1/targets/orders/",
    "/v1/targets//baseline",
    "/v1/targets/%00",
    "/v1/targets/orders%00",
    "/v1/targets/orders%0a",
    "/v1/targets/orders%20",
    "/v1/targets/Orders",
    "/v1/targets/%6frders%252f",
    "/v1/targets/%252e%252e",
    "/v1/targets/\uff4frders",
    "/v1/targets/%ff",
    "/v1/targets/%c0%ae%c0%ae",
    "/v1/targets/" + "a" * 5_000,
    "/v1/targets/" + "%61" * 3_000,
    "/v1/targets/*",
    "/v1/targets/..%2f..%2fetc%2fpasswd",
    "/v1/targets/orders;x",
    "/v1/targets/{target}",
    "/v1/packets/../../key/issuer.pem/content",
    "/v1/packets/..%2f..%2fkey%2fissuer.pem/content",
    "/v1/packets/.../content",
    "/v1/packets/./content",
    "/v1/packets//content",
    "/v1/packets/x.zip/content/",
    "/v1/records/%33%00",
    "/v1/records/0x3",
    "/v1/records/3;",
    "/v1/records/-1",
    "/v1/records/03",
    "/v1/records/3.0",
    "/v1/records/3e0",
    "/v1/records/٣",
    "/v1/records/" + "9" * 400,
    "/v1/records/9007199254740992",
    "/v1",
    "/",
    "/v2/me",
    "/.git/config",
    "/v1/findings/F-",
    "/v1/findings/F-%25",
    "/v1/findings/f-00",
    "/v1/scans/S-%2e",
]


@pytest.mark.parametrize("path", TRICKS, ids=lambda text: ascii(text[:40]))
def test_a_path_that_is_no_address_is_not_there(world, path):
    answer = world.get(path.encode().decode("latin-1"), world.everything)
    assert answer.status in {400, 403, 404}, answer
    assert answer.status != 403 or path.endswith("content")
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.body) < 3_000
    assert all("\r" not in value and "\n" not in value for _, value in answer.lines)


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:8420/v1/me", "*", "127.0.0.1:8420", "v1/me", "", "?x"]
)
def test_a_target_in_another_form_is_refused(world, target):
    headers = {"Authorization": f"Bearer {world.everything}"}
    assert call(world.app, "GET", target, headers).status == 400


def test_what_is_encoded_once_is_read_once(world):
    for path in ("/v1/targets/orders", "/v1/targets/%6frders", "/v1/targets/postgres%3Aorders"):
        assert world.get(path, world.everything).json["target"] == "postgres:orders"
    assert world.get("/v1/targets/%256frders", world.everything).status == 404


# Headers.


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8420",
        "127.0.0.1@evil.example",
        "",
        "localhost.",
        "127.0.0.1:8420, evil.example",
        "[::1",
        "0.0.0.0",  # noqa: S104 - a name, and nothing that is bound
        "127.0.0.2",
        "127.1",
        "xn--l",
    ],
)
def test_the_host_of_another_name_is_misdirected(world, host):
    for path in ("/v1/health", "/v1/me", "/v1/packets/x/content"):
        answer = call(world.app, "GET", path, {}, host=host)
        assert (answer.status, answer.code) == (421, "misdirected_request")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]", "[::1]:8420"])
def test_loopback_is_ours(world, host):
    assert call(world.app, "GET", "/v1/health", {}, host=host).status == 200


def test_headers_of_proxies_and_frameworks_change_nothing(world):
    plain = world.get("/v1/targets/orders", world.everything)
    for name, value in {
        "X-HTTP-Method-Override": "DELETE",
        "X-Method-Override": "POST",
        "X-Original-URL": "/v1/records",
        "X-Rewrite-URL": "/v1/records",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/iam",
        "Forwarded": "for=10.0.0.1;host=evil.example",
        "X-Forwarded-User": "root",
        "X-Real-Ip": "10.0.0.1",
        "X-Request-Id": "mine",
        "Range": "bytes=0-1",
        "Expect": "x",
        "Upgrade": "h2c",
        "Origin": "https://evil.example",
        "Cookie": "token=" + world.everything,
        "Content-Length": "0",
        "X-Huge": "a" * 30_000,
    }.items():
        answer = world.get("/v1/targets/orders", world.everything, **{name: value})
        assert (answer.status, answer.body) == (200, plain.body), name
        assert answer.headers["x-request-id"] != "mine"
        assert not [one for one in answer.headers if one.startswith("access-control")]
    assert call(world.app, "GET", "/v1/me", {"Cookie": "token=" + world.everything}).status == 401


def test_a_path_in_a_header_is_not_where_an_answer_points(world):
    answer = world.post(
        "/v1/scans", world.everything, {"target": "stock"}, X_Forwarded_Host="evil.example"
    )
    assert answer.headers["location"] == f"/v1/scans/{answer.json['id']}"


# Bodies.


BODIES = {
    "deep-lists": (b"[" * 30_000 + b"]" * 30_000, 400),
    "deep-objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
    "100000-levels": (b"[" * 100_000, 413),
    "65-deep": (b'{"target":' + b"[" * 65 + b"]" * 65 + b"}", 400),
    "twice": (b'{"target":"stock","target":"orders"}', 400),
    "twice-escaped": (b'{"target":"stock","t\\u0061rget":"orders"}', 400),
    "nan": (b'{"target":NaN}', 400),
    "infinity": (b'{"target":Infinity}', 400),
    "1e999": (b'{"target":1e999}', 400),
    "big": (b'{"target":' + b"9" * 5_000 + b"}", 400),
    "beyond": (b'{"target":9007199254740993}', 400),
    "half": (b'{"target":"\\ud800"}', 400),
    "half-key": (b'{"\\udfff":1}', 400),
    "nul": (b'{"target":"stock\\u0000"}', 422),
    "raw-nul": (b'{"target":"stock\x00"}', 400),
    "latin": (b'{"target":"\xe9"}', 400),
    "overlong": (b'{"target":"\xc0\xae"}', 400),
    "surrogate-bytes": (b'{"target":"\xed\xa0\x80"}', 400),
    "bom": (b'\xef\xbb\xbf{"target":"stock"}', 400),
    "utf-16": ('{"target":"stock"}'.encode("utf-16"), 400),
    "trailing": (b'{"target":"stock"} x', 400),
    "two": (b'{"target":"stock"}{"target":"stock"}', 400),
    "comma": (b'{"target":"stock",}', 400),
    "comment": (b'{"target":"stock"/**/}', 400),
    "single": (b"{'target':'stock'}", 400),
    "empty": (b"", 400),
    "blank": (b"  ", 400),
    "null": (b"null", 422),
    "list": (b"[]", 422),
    "text": (b'"stock"', 422),
    "number": (b"1", 422),
    "unknown": (b'{"target":"stock","admin":true}', 422),
    "proto": (b'{"target":"stock","__proto__":{}}', 422),
    "array": (b'{"target":["stock"]}', 422),
    "object": (b'{"target":{"$ne":1}}', 422),
    "newline": (b'{"target":"stock\\n"}', 422),
    "form": (b"target=stock", 400),
    "too-large": (b'{"target":"' + b"a" * 70_000 + b'"}', 413),
    "ten-megabytes": (b"a" * 10 * 2**20, 413),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_what_is_asked_for_is_refused(world, name):
    data, status = BODIES[name]
    waiting = world.queue.size()
    answer = world.post("/v1/scans", world.everything, data)
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert world.queue.size() == waiting


@pytest.mark.parametrize(
    "media",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/json2",
        "text/json",
        "application/problem+json",
        "*/*",
        "application/json, text/plain",
    ],
)
def test_a_body_of_another_type_is_refused(world, media):
    answer = world.post("/v1/scans", world.everything, {"target": "stock"}, Content_Type=media)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_a_get_has_no_body_and_a_post_no_query(world):
    answer = world.ask("GET", "/v1/targets", world.everything, {"a": 1})
    assert (answer.status, answer.code) == (400, "malformed")
    answer = world.post("/v1/scans", world.everything, {"target": "stock"}, query={"x": "1"})
    assert (answer.status, answer.code) == (422, "invalid")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1&limit=2", 400),
        ("limit=1&LIMIT=2", 422),
        ("limit=0", 422),
        ("limit=201", 422),
        ("limit=1e1", 422),
        ("limit=5.0", 422),
        ("limit=-1", 422),
        ("limit=%2b1", 422),
        ("limit=05", 422),
        ("limit=%D9%A5", 422),
        ("limit=", 422),
        ("limit=1%00", 422),
        ("limit=null", 422),
        ("limit=" + "9" * 500, 422),
        ("nothing=1", 422),
        ("limit[]=1", 422),
        ("cursor=LTU", 400),
        ("cursor=MDU", 400),
        ("cursor=NV8w", 400),
        ("cursor=IDU", 400),
        ("cursor=!!!", 422),
        ("cursor=A", 400),
        ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5", 400),
        ("cursor=NQ==", 422),
        ("cursor=NR", 400),
        ("cursor=" + "A" * 600, 422),
        ("order=asc%0a", 422),
        ("order=ASC", 422),
        ("start=1.0", 422),
        ("start=9007199254740992", 422),
        ("stream=log%0a", 422),
        ("stream=LOG", 422),
        ("kind=scan%0a", 422),
        ("kind=*", 422),
        ("&".join("x=1" for _ in range(101)), 413),
        ("stream=" + "a" * 9_000, 413),
    ],
    ids=lambda one: ascii(one)[:30],
)
def test_a_query_that_is_not_what_is_asked_for_is_refused(world, query, status):
    before = world.log.size()
    answer = world.get(f"/v1/records?{query}", world.everything)
    assert answer.status == status, answer
    assert world.log.size() == before


@pytest.mark.parametrize(
    "query",
    [
        "sort=severity%0a",
        "sort=-",
        "sort=__class__",
        "sort=id",
        "severity=critical,high",
        "severity=",
        "disposition=x",
        "cursor=%00",
        "target=%27",
        "target=orders%0a",
    ],
)
def test_a_list_of_findings_takes_no_more_than_is_documented(world, query):
    assert world.get(f"/v1/findings?{query}", world.everything).status == 422


def test_a_cursor_of_another_list_or_of_nobody_is_refused(world):
    records = world.get("/v1/records?limit=1", world.everything).json["next"]
    findings = world.get("/v1/findings?limit=1", world.everything).json["next"]
    for path, cursor in (
        ("/v1/findings", records),
        ("/v1/records", findings),
        ("/v1/scans", findings),
        ("/v1/packets", world.scanned + "0"),
        ("/v1/scans", "S-" + "g" * 27),
    ):
        answer = world.get(path, world.everything, query={"cursor": cursor})
        assert (answer.status, answer.code) == (400, "usage_error"), path


TEXTS = [
    "'; DROP TABLE passing; --",
    "1 OR 1=1",
    "$(touch /tmp/holdfast-pwned)",
    "`id`",
    "{{7*7}}${7*7}#{7*7}<%= 7*7 %>",
    "<script>alert(1)</script>",
    "%s%s%n%x{0.__class__}",
    "../../../../etc/passwd",
    "\u202egnp.exe",
    "\x1b[31mred",
    "null\x00byte",
    "=cmd|' /C calc'!A0",
    "\U0001f600" * 3,
    "a" * 3_000,
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:24])
def test_text_that_is_code_somewhere_is_text_here_or_refused(full, text):
    token = full.token("eve", *ROLES)
    rows = full.get("/v1/findings", token).json["items"]
    finding, other = rows[0]["id"], rows[1]["id"]
    for path, body in (
        ("/v1/scans", {"target": text}),
        ("/v1/findings/suppress", {"findings": [text], "until": text, "reason": text}),
        ("/v1/findings/suppress", {"findings": [finding], "until": "2026-10-05", "reason": text}),
        ("/v1/findings/accept", {"findings": [text], "reason": text}),
        ("/v1/findings/accept", {"findings": [other], "reason": text, "replace": True}),
        ("/v1/targets/stock/baseline/proposals", {"comment": text, "replace": True}),
        ("/v1/targets/orders/baseline/approvals", {"proposal": text, "comment": text}),
        ("/v1/packets", {"from": text, "to": text, "targets": [text], "kinds": [text]}),
    ):
        answer = full.post(path, token, body)
        assert answer.status < 500, (path, answer)
        assert answer.status in {200, 202, 400, 403, 404, 409, 413, 422}, (path, answer)
    for path, names in (
        ("/v1/findings", ("text", "kind", "target", "severity", "sort", "cursor")),
        ("/v1/records", ("stream", "kind", "order", "cursor", "start")),
        ("/v1/scans", ("target", "cursor")),
        ("/v1/consistency", ("old", "new")),
        ("/v1/records/3/proof", ("size",)),
    ):
        for name in names:
            answer = full.get(path, token, query={name: text})
            assert answer.status in {200, 400, 404, 422}, (path, name, answer)
    for key in (text, text.encode("ascii", "ignore").decode()[:100]):
        said = key.encode(errors="ignore").decode("latin-1").replace("\n", "").replace("\r", "")
        answer = full.post("/v1/scans", token, {"target": "stock"}, key=said)
        assert answer.status in {202, 400, 409, 422}
    full.work()
    kept = full.get(f"/v1/findings/{finding}", token).json
    assert kept["reason"] in {None, text}
    if kept["reason"] is None:
        assert len(text) > 2_000
    # The store is as it was: everything reads, and the log holds.
    assert full.get("/v1/ready").json["ready"]
    assert full.services.fsck(None, lambda *_: None).problems == ()


# Of others.


def test_a_job_of_somebody_else_is_seen_by_whoever_may_see_its_target_and_by_nobody_else(full):
    job = full.scanned
    assert full.get(f"/v1/scans/{job}", full.token("dan", "operator")).status == 200
    assert full.get(f"/v1/scans/{job}", full.token("mal")).status == 404
    assert full.get(f"/v1/packets/{full.packet}", full.token("mal")).status == 403
    assert full.get(f"/v1/packets/{full.packet}", full.token("dan", "operator")).status == 403


@pytest.mark.parametrize("kind", ["scans", "proposals", "packets"])
def test_a_job_is_found_under_its_own_kind_only(full, kind):
    token = full.token("eve", *ROLES)
    for own, job in (
        ("scans", full.scanned),
        ("proposals", full.reading),
        ("packets", full.packet),
    ):
        expected = 200 if own == kind else 404
        assert full.get(f"/v1/{kind}/{job}", token).status == expected
        for other in (job[:-1] + ("0" if job[-1] != "0" else "1"), job.upper(), job + "%0a"):
            assert full.get(f"/v1/{kind}/{other}", token).status == 404


# Packets' addresses.


def fetch(place, url):
    return call(place.app, "GET", url)


def test_a_packet_is_fetched_by_its_address_for_a_quarter_of_an_hour(full):
    told = full.get(f"/v1/packets/{full.packet}", full.token("aud", "auditor")).json
    answer = fetch(full, told["url"])
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/zip"
    assert hashlib.sha256(answer.body).hexdigest() == told["file_sha256"]
    assert len(answer.body) == told["size_bytes"] == int(answer.headers["content-length"])
    full.clock.pass_(minutes=14)
    assert fetch(full, told["url"]).status == 200
    full.clock.pass_(minutes=2)
    answer = fetch(full, told["url"])
    assert (answer.status, answer.code) == (403, "forbidden")
    again = full.get(f"/v1/packets/{full.packet}", full.token("aud", "auditor")).json
    assert fetch(full, again["url"]).status == 200


def test_an_address_that_was_altered_is_none(full):
    url = full.get(f"/v1/packets/{full.packet}", full.token("aud", "auditor")).json["url"]
    path, _, query = url.partition("?")
    until, signature = (one.partition("=")[2] for one in query.split("&"))
    later = str(int(until) + 3_600)
    flipped = signature[:-1] + ("0" if signature[-1] != "0" else "1")
    for other in (
        path,
        f"{path}?until={later}&signature={signature}",
        f"{path}?until={until}&signature={flipped}",
        f"{path}?until={until}&signature={signature[:-1]}",
        f"{path}?until={until}&signature={signature}00",
        f"{path}?until={until}&signature=",
        f"{path}?signature={signature}",
        f"{path}?until=-1&signature={signature}",
        f"{path}?until={'9' * 400}&signature={signature}",
        f"{path}?until=x&signature=é",
        f"{path}?until={until}&signature={'%00' * 64}",
        url.replace(full.packet, "P-" + "0" * 27),
        url.replace(".zip", ".zip.zip"),
    ):
        assert fetch(full, other).status == 403, other
    for other in (url + f"&until={later}", f"{path}?until={later}&{query}", url + "&" + query):
        assert fetch(full, other).status == 400
    assert call(full.app, "POST", url).status == 404
    assert call(full.app, "GET", url, host="evil.example").status == 421


def test_a_packet_that_was_kept_long_enough_is_gone(full):
    full.clock.pass_(days=2)
    auditor = full.token("aud", "auditor")
    for path in (full.services.settings.store_path / "packets").iterdir():
        path.unlink()
    answer = full.get(f"/v1/packets/{full.packet}", auditor)
    assert (answer.status, answer.code) == (404, "not_found")


# Secrets.


def test_nothing_that_leaves_has_a_secret_in_it(full, monkeypatch, caplog, capfd):
    """DSNs, keys, the store's secret and tokens, in answers, told lines, records and streams."""
    token = full.token("eve", *ROLES)
    dsn = f"postgresql://app:{SECRETS[0]}@127.0.0.1:1/db?connect_timeout=1"
    monkeypatch.setenv("ORDERS_DSN", dsn)
    monkeypatch.setenv("STOCK_DSN", f"not a dsn {SECRETS[0]}")
    store = full.services.settings.store_path / "key"
    keys = [one.read_bytes() for one in sorted(store.iterdir())]
    answers = []

    def opened(target):
        return full.services.source(full.services.dsn(target), 2)

    from dataclasses import replace

    from chalicelib.api import jobs
    from chalicelib.api.work import work

    bench = replace(full.bench(), open_source=opened)
    for target in ("orders", "stock"):
        answers.append(full.post("/v1/scans", token, {"target": target}, key=f"k-{target}"))
        path = f"/v1/targets/{target}/baseline/proposals"
        answers.append(full.post(path, token, {"replace": True}, key=f"p-{target}"))
    while found := full.queue.receive(10):
        for one in found:
            work(bench, jobs.decode(one.message.body))
            full.queue.delete(one.handle)
    for path in (
        "/v1/me",
        "/v1/targets",
        "/v1/scans?limit=200",
        "/v1/findings?limit=200",
        "/v1/ready",
        "/v1/records?limit=200",
        "/v1/packets",
        f"/v1/packets/{full.packet}",
        "/v1/openapi.json",
        "/v1/targets/orders/baseline",
        "/v1/checkpoint",
        "/v1/nothing",
        "/v1/health",
    ):
        answers.append(full.get(path, token))  # noqa: PERF401 - one by one, as they are asked
    for answer in answers[:4]:
        answers.append(full.get(answer.headers["location"], token))
        assert answers[-1].json["state"] in {"done", "failed"}
    for _, forged in forgeries(full):
        answers.append(full.get("/v1/me", forged))
    out, err = capfd.readouterr()
    everything = [one.body for one in answers]
    everything += ["\n".join(map(str, one.lines)).encode() for one in answers]
    everything += [json.dumps(full.lines, default=str).encode(), caplog.text.encode()]
    everything += [one.leaf for one in full.records()] + [out.encode(), err.encode()]
    private = [
        one for one in (part.strip() for key in keys for part in key.split(b"\n")) if len(one) > 20
    ]
    assert private
    for text in everything:
        assert SECRETS[0].encode() not in text
        assert token.encode() not in text
        assert token.split(".")[2].encode() not in text
        for one in private:
            assert b"PUBLIC" in one or b"-----" in one or one not in text
            assert one.hex().encode() not in text
            assert base64.b64encode(one) not in text


def test_a_pipeline_called_nobody_is_not_taken_for_whoever_is_not_signed_in(place):
    answer = place.get("/v1/me", place.token("nobody", "pipeline", kind=Kind.PIPELINE))
    assert answer.json["principal"] == "pipeline:nobody"
    assert timedelta(0) < timedelta(seconds=1)
