"""The gate: evidence is read after that was recorded, proofs hold, versions and limits count."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from support.office import ANA

from chalicelib.evidence import note
from chalicelib.http.limits import Limits
from chalicelib.kernel.errors import StoreUnavailable
from chalicelib.kernel.record import Draft

READ = "evidence.read"
EVIDENCE = {
    "/v1/records": "records",
    "/v1/records?limit=3&order=desc&kind=scan": "records",
    "/v1/records/3": "record",
    "/v1/records/3/proof": "proof",
    "/v1/records/3/proof?size=5": "proof",
    "/v1/checkpoint": "checkpoint",
    "/v1/consistency?old=2": "consistency",
    "/v1/consistency?old=2&new=7": "consistency",
    "/v1/packets/PACKET": "packet",
}


@pytest.mark.parametrize("path", EVIDENCE)
def test_a_read_of_evidence_is_one_record_that_says_who_what_and_for_which_request(full, path):
    auditor = full.token("aud", "auditor")
    before = len(full.records())
    answer = full.get(path.replace("PACKET", full.packet), auditor)
    assert answer.status == 200
    (entry,) = full.records()[before:]
    assert (entry.record.kind, entry.record.stream) == (READ, "reads")
    assert entry.record.actor.name == "aud"
    assert entry.record.actor.via == "asserted"
    assert entry.body["what"] == EVIDENCE[path]
    assert entry.body["request"] == answer.headers["x-request-id"]
    asked = entry.body["asked"]
    if "?" in path:
        names = dict(one.split("=") for one in path.partition("?")[2].split("&"))
        assert {key: str(value) for key, value in asked.items() if key in names} == names
    if path.startswith("/v1/records/"):
        assert asked["record"] == 3


def test_the_log_that_answers_holds_the_record_of_the_asking(full):
    auditor = full.token("aud", "auditor")
    answer = full.get("/v1/records", auditor, query={"order": "desc", "limit": 1})
    (newest,) = answer.json["items"]
    assert newest["kind"] == READ
    assert newest["body"]["request"] == answer.headers["x-request-id"]
    size = answer.json["size"]
    assert newest["record"] == size - 1
    assert full.get("/v1/records/999999", auditor).status == 404
    assert len(full.records()) == size


@pytest.mark.parametrize("path", ["/v1/records/3", "/v1/checkpoint", "/v1/packets/PACKET"])
def test_whoever_may_not_read_evidence_leaves_no_record_of_having_read_it(full, path):
    before = len(full.records())
    for role in ("engineer", "approver", "operator", "pipeline"):
        answer = full.get(path.replace("PACKET", full.packet), full.token("eve", role))
        assert answer.status == 403
    assert len(full.records()) == before


class Full:
    """A journal whose disk is full for what is appended."""

    def __init__(self, inner):
        self._inner = inner

    def append(self, drafts, *, after=None):
        raise StoreUnavailable("cannot write /srv/secret-place/evidence: No space left on device")

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.mark.parametrize("path", EVIDENCE)
def test_where_the_reading_cannot_be_recorded_nothing_is_read(full, path):
    auditor = full.token("aud", "auditor")
    good = full.get(path.replace("PACKET", full.packet), auditor)
    desk = replace(full.desk, journal=Full(full.desk.journal))
    full.office = replace(full.office, services=replace(full.services, desk=desk))
    answer = full.get(path.replace("PACKET", full.packet), auditor)
    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert answer.headers["retry-after"] == "2"
    assert set(answer.json) == {
        "type", "title", "status", "detail", "code", "next_step", "request",
    }  # fmt: skip
    assert b"secret-place" not in answer.body
    assert len(answer.body) < 500 < len(good.body) + 500


def test_nothing_of_the_store_is_told_where_it_fails_for_anybody(full):
    desk = replace(full.desk, journal=Full(full.desk.journal))
    full.office = replace(full.office, services=replace(full.services, desk=desk))
    engineer = full.token("eng", "engineer")
    finding = full.get("/v1/findings", engineer).json["items"][0]["id"]
    body = {"findings": [finding], "until": "2026-10-05", "reason": "because"}
    answer = full.post("/v1/findings/suppress", engineer, body, key="k")
    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert b"/" not in answer.body.replace(b"urn:", b"")


# RFC 9162 by hand: nothing of the program is used to verify what it said.


def hashed(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def leads_to(leaf_hash, index, size, path):
    """The root that an inclusion proof leads to. Source: RFC 9162 §2.1.3.2."""
    assert index < size
    fn, sn, root = index, size - 1, leaf_hash
    for one in path:
        assert sn
        if fn & 1 or fn == sn:
            root = hashed(one, root)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = hashed(root, one)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return root


def extends(old, new, old_root, new_root, path):
    """Whether a consistency proof holds. Source: RFC 9162 §2.1.4.2."""
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path
    nodes = list(path)
    if old & (old - 1) == 0:
        nodes.insert(0, old_root)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    first = second = nodes.pop(0)
    for one in nodes:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            first, second = hashed(one, first), hashed(one, second)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            second = hashed(second, one)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and (first, second) == (old_root, new_root)


def checkpoint(place, text):
    """Size and root of a note, once its signature was verified under the key of the settings."""
    key = place.services.settings.file.log.key
    body, _, signatures = text.partition("\n\n")
    origin, size, root = body.split("\n")
    assert origin == place.services.keys.origin
    mark, name, signature = signatures.rstrip("\n").split(" ")
    assert (mark, name) == ("—", origin)
    vkey = note.parse_vkey(key)
    raw = base64.b64decode(signature)
    assert raw[:4] == vkey.key_id
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.split("+", 2)[2])[1:])
    public.verify(raw[4:], f"{body}\n".encode())
    return int(size), base64.b64decode(root)


def test_an_inclusion_proof_leads_from_the_leaf_to_the_signed_root(full):
    auditor = full.token("aud", "auditor")
    size = len(full.records())
    for record in [*range(0, size, 3), size - 1]:
        told = full.get(f"/v1/records/{record}", auditor).json
        leaf = base64.b64decode(told["leaf"])
        leaf_hash = hashlib.sha256(b"\x00" + leaf).digest()
        proof = full.get(f"/v1/records/{record}/proof", auditor).json
        assert leaf_hash.hex() == told["leaf_hash"] == proof["leaf_hash"]
        found, root = checkpoint(full, proof["checkpoint"])
        assert (found, root.hex()) == (proof["size"], proof["root"])
        path = [bytes.fromhex(one) for one in proof["hashes"]]
        assert leads_to(leaf_hash, record, found, path) == root


def test_inclusion_proofs_of_every_size_and_place_hold(full):
    auditor = full.token("aud", "auditor")
    leaves = [hashlib.sha256(b"\x00" + one.leaf).digest() for one in full.records()]
    for size in (1, 2, 3, 4, 7, 8, 9, 15, 16, 17):
        for record in {0, size // 2, size - 1}:
            proof = full.get(f"/v1/records/{record}/proof", auditor, query={"size": size}).json
            path = [bytes.fromhex(one) for one in proof["hashes"]]
            assert leads_to(leaves[record], record, size, path) == tree(leaves[:size])
            assert proof["root"] == tree(leaves[:size]).hex()


def tree(leaves):
    """Source: RFC 9162 §2.1.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashed(tree(leaves[:split]), tree(leaves[split:]))


def test_consistency_proofs_of_many_sizes_hold_up_to_the_signed_root(full):
    auditor = full.token("aud", "auditor")
    leaves = [hashlib.sha256(b"\x00" + one.leaf).digest() for one in full.records()]
    for old in (0, 1, 2, 3, 6, 8, 13, 16):
        proof = full.get("/v1/consistency", auditor, query={"old": old}).json
        size, root = checkpoint(full, proof["checkpoint"])
        assert (size, root.hex()) == (proof["new"], proof["new_root"])
        assert proof["old_root"] == tree(leaves[:old]).hex()
        path = [bytes.fromhex(one) for one in proof["hashes"]]
        assert extends(old, size, bytes.fromhex(proof["old_root"]), root, path)
        for new in {old, old + 1, 17}:
            proof = full.get("/v1/consistency", auditor, query={"old": old, "new": new}).json
            path = [bytes.fromhex(one) for one in proof["hashes"]]
            roots = [bytes.fromhex(proof[name]) for name in ("old_root", "new_root")]
            assert roots == [tree(leaves[:old]), tree(leaves[:new])]
            assert extends(old, new, *roots, path)


def test_the_checkpoint_is_signed_by_the_key_of_the_log(full):
    answer = full.get("/v1/checkpoint", full.token("aud", "auditor"))
    assert answer.headers["content-type"] == "text/plain"
    size, root = checkpoint(full, answer.body.decode())
    leaves = [hashlib.sha256(b"\x00" + one.leaf).digest() for one in full.records()]
    assert (size, root) == (len(leaves), tree(leaves))


# Versions.


def version(place, path, token):
    return place.get(path, token).headers["etag"]


@pytest.mark.parametrize("weak", ["", "W/"], ids=["strong", "weak"])
@pytest.mark.parametrize("form", ["{}", '"x", {}', '{},"y"', " {} "], ids=str)
def test_what_has_not_changed_is_not_sent_again(shared, form, weak):
    token = shared.token("eve", "engineer")
    path = "/v1/targets/orders/baseline"
    tag = form.format(weak + version(shared, path, token))
    answer = shared.get(path, token, If_None_Match=tag)
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == version(shared, path, token)


def test_any_version_will_do_for_a_star(shared):
    token = shared.token("eve", "engineer")
    assert shared.get("/v1/targets/orders/baseline", token, If_None_Match="*").status == 304
    assert shared.get("/v1/targets/orders/baseline", token, If_None_Match='"*"').status == 200
    assert shared.get("/v1/targets/orders/baseline", token, If_None_Match='"old"').status == 200


@pytest.mark.parametrize(
    "tag", ["", " ", "x", '"a', 'w/"a"', '"a" "b"', ",", '"a",', '"\x7f"', '"a"' * 40], ids=repr
)
def test_what_is_no_entity_tag_is_refused(shared, tag):
    token = shared.token("eve", "engineer")
    for name in ("If_None_Match", "If_Match"):
        answer = shared.get("/v1/targets/orders/baseline", token, **{name: tag})
        assert (answer.status, answer.code) == (400, "malformed")


def suppression(place, token):
    finding = place.get("/v1/findings", token).json["items"][0]
    return finding, {"findings": [finding["id"]], "until": "2026-10-05", "reason": "INC-1"}


@pytest.mark.parametrize("form", ['"old"', "W/{}", '""', '"*"'], ids=str)
def test_nothing_happens_to_what_is_not_as_it_was(full, form):
    token = full.token("eve", "engineer")
    finding, body = suppression(full, token)
    tag = form.format(f'"{finding["version"]}"')
    answer = full.post("/v1/findings/suppress", token, body, If_Match=tag)
    assert (answer.status, answer.code) == (412, "precondition_failed")
    assert not full.records("finding.suppressed")


@pytest.mark.parametrize("form", ["{}", '"old", {}', "*"], ids=str)
def test_it_happens_to_what_is_as_it_was(full, form):
    token = full.token("eve", "engineer")
    finding, body = suppression(full, token)
    tag = form.format(f'"{finding["version"]}"')
    assert full.post("/v1/findings/suppress", token, body, If_Match=tag).status == 200
    assert len(full.records("finding.suppressed")) == 1
    after = full.get(f"/v1/findings/{finding['id']}", token)
    assert after.json["version"] != finding["version"]
    if form != "*":
        answer = full.post("/v1/findings/suppress", token, body, If_Match=tag)
        assert answer.status == 412


def test_one_version_is_of_one_finding_whatever_target_they_are_of(full):
    token = full.token("eve", "engineer")
    rows = full.get("/v1/findings", token).json["items"]
    first = next(one for one in rows if one["target"] == "postgres:orders")
    other = next(one for one in rows if one["target"] == "postgres:stock")
    body = {"findings": [first["id"], other["id"]], "until": "2026-10-05", "reason": "INC-1"}
    for path in ("/v1/findings/suppress", "/v1/findings/accept"):
        asked = dict(body) if path.endswith("suppress") else {**body, "replace": True}
        if path.endswith("accept"):
            del asked["until"]
        before = len(full.records())
        tags = f'"{first["version"]}", "{other["version"]}"'
        answer = full.post(path, token, asked, If_Match=tags)
        assert (answer.status, answer.code) == (400, "usage_error")
        assert len(full.records()) == before


def test_what_has_no_version_is_not_as_anybody_saw_it(full):
    engineer, auditor = full.token("eve", "engineer"), full.token("aud", "auditor")
    period = {"from": "2026-10-01", "to": "2026-10-01"}
    for path, token, body in (
        ("/v1/scans", engineer, {"target": "stock"}),
        ("/v1/packets", auditor, period),
        ("/v1/targets/stock/baseline/proposals", engineer, {}),
    ):
        answer = full.post(path, token, body, If_Match='"x"')
        assert (answer.status, answer.code) == (412, "precondition_failed")
    assert full.work() == []


def test_approving_names_the_new_version(full):
    token = full.token("dan", "approver")
    path = "/v1/targets/orders/baseline"
    before = full.get(path, token)
    body = {"proposal": before.json["proposal"]["id"]}
    answer = full.post(f"{path}/approvals", token, body, If_Match=before.headers["etag"])
    assert answer.status == 200
    assert answer.headers["etag"] == full.get(path, token).headers["etag"]
    assert answer.headers["etag"] != before.headers["etag"]


# Limits.


def limited(place, burst, per_second=1.0):
    place.seconds = 0.0
    place.office = replace(place.office, limits=Limits(per_second, burst, lambda: place.seconds))


def test_a_caller_has_a_bucket_of_their_own_and_is_told_when_to_come_again(place):
    limited(place, 3)
    eve, dan = place.token("eve", "engineer"), place.token("dan", "engineer")
    assert [place.get("/v1/me", eve).status for _ in range(4)] == [200, 200, 200, 429]
    answer = place.get("/v1/me", eve)
    assert (answer.code, answer.headers["retry-after"]) == ("too_many_requests", "1")
    assert place.get("/v1/me", dan).status == 200
    place.seconds += 1
    assert [place.get("/v1/me", eve).status for _ in range(2)] == [200, 429]


def test_guessing_tokens_is_bounded_by_the_address_and_stops_nobody_else(place):
    limited(place, 3)
    assert [place.get("/v1/me", "x.y.z").status for _ in range(5)] == [401, 401, 401, 429, 429]
    assert place.get("/v1/me", place.token("eve", "engineer")).status == 200
    assert place.get("/v1/health").status == 429


def test_forwarded_addresses_buy_no_other_bucket(place):
    limited(place, 2)
    told = [place.get("/v1/health", X_Forwarded_For=f"10.0.0.{n}").status for n in range(4)]
    assert told == [200, 200, 429, 429]


# What leaves.


def test_every_answer_has_the_security_headers_and_an_id(shared):
    token = shared.token("eve", "engineer")
    answers = [
        shared.get("/v1/health"),
        shared.get("/v1/openapi.json"),
        shared.get("/v1/me"),
        shared.get("/v1/me", token),
        shared.get("/v1/nothing", token),
        shared.post("/v1/me", token),
        shared.get("/v1/records", token),
        shared.get("/v1/packets/x.zip/content"),
        shared.get("/v1/targets/orders/baseline", token, If_None_Match="*"),
    ]
    for one in answers:
        assert one.headers["cache-control"] == "no-store"
        assert one.headers["x-content-type-options"] == "nosniff"
        assert one.headers["content-security-policy"].startswith("default-src 'none'")
        assert "strict-transport-security" in one.headers
        assert not [name for name in one.headers if name.startswith("access-control")]
        assert "server" not in one.headers
        assert len({name.lower() for name, _ in one.lines}) == len(one.lines)
        if one is not answers[1]:
            assert re.fullmatch(r"[0-9a-f]{32}", one.headers["x-request-id"])


def test_a_defect_tells_nothing_but_its_id_and_is_told_with_its_place(full):
    class Broken(Full):
        def append(self, drafts, *, after=None):
            raise ZeroDivisionError("postgresql://u:hunter2@host/db")

    desk = replace(full.desk, journal=Broken(full.desk.journal))
    full.office = replace(full.office, services=replace(full.services, desk=desk))
    answer = full.get("/v1/checkpoint", full.token("aud", "auditor"))
    assert (answer.status, answer.code) == (500, "defect")
    line = full.lines[-1]
    assert line["request"] == answer.headers["x-request-id"] == answer.json["request"]
    assert (line["defect"], line["status"]) == ("ZeroDivisionError", 500)
    assert "records.py" in line["where"]
    for told in (answer.body.decode(), str(line)):
        assert "hunter2" not in told
        assert "Traceback" not in told


def test_each_request_is_told_once_with_who_and_what_came_of_it(place):
    place.get("/v1/me", place.token("eve", "engineer"))
    place.get("/v1/me")
    first, second = place.lines
    assert first["event"] == "request"
    assert (first["route"], first["principal"], first["status"]) == ("me", "person:eve", 200)
    assert (second["route"], second.get("principal"), second["status"]) == ("me", None, 401)


def test_ready_says_of_what_fails_only_the_kind(full):
    class Down(Full):
        def last(self, stream):
            raise StoreUnavailable("cannot read /srv/secret-place/state.db")

    desk = replace(full.desk, journal=Down(full.desk.journal))
    full.office = replace(full.office, services=replace(full.services, desk=desk))
    answer = full.get("/v1/ready")
    assert answer.status == 503
    assert answer.json["checks"]["documents"] == "store_unavailable"
    assert b"srv" not in answer.body


def test_a_log_that_goes_on_while_it_is_read_is_read_as_it_was(place):
    auditor = place.token("aud", "auditor")
    drafts = [
        Draft("scan.missed", f"postgres:t{n}", "2026-10-01T02:00:00.000000Z", ANA, {})
        for n in range(5)
    ]
    place.log.append(drafts)
    first = place.get("/v1/records", auditor, query={"limit": 2}).json
    place.log.append(drafts)
    seen = [one["record"] for one in first["items"]]
    page = first
    while page["next"]:
        query = {"limit": 2, "cursor": page["next"]}
        page = place.get("/v1/records", auditor, query=query).json
        seen += [one["record"] for one in page["items"]]
        assert len(seen) < 100
        if len(seen) > 20:
            break
    assert seen == sorted(set(seen))
    assert set(range(11)) <= set(seen)
