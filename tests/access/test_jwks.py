"""Keys of issuers: over real HTTP, by a clock of our own, and with everything that goes wrong."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support.tokens import AUDIENCE, ISSUER, Clock, b64, ec_key, ed_key, jwk, number, rsa_key

from chalicelib.access.issuer import Issuer, secure
from chalicelib.access.jwks import MAX_DOCUMENT_BYTES, MAX_KEYS, WAIT_SECONDS, Keys, key_set
from chalicelib.access.key import octets, parse
from chalicelib.kernel.errors import CouldNotTell, Malformed, Unreachable
from chalicelib.wiring.identity import fetched

JWKS = "https://keys.example.com/jwks"


class Web:
    """An issuer's pages, in memory; counts what is asked."""

    def __init__(self, *keys, issuer=ISSUER, jwks_uri=JWKS):
        self.asked = []
        self.down = False
        self.discovery = {"issuer": issuer, "jwks_uri": jwks_uri}
        self.where = issuer.removesuffix("/") + "/.well-known/openid-configuration"
        self.keys = list(keys)

    def __call__(self, url):
        self.asked.append(url)
        if self.down:
            raise Unreachable("no answer from evil")
        if url == self.where:
            return json.dumps(self.discovery).encode()
        assert url == self.discovery["jwks_uri"]
        return json.dumps({"keys": self.keys}).encode()

    @property
    def fetches(self):
        return self.asked.count(JWKS)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def web():
    return Web(jwk(rsa_key(), "k1"))


@pytest.fixture
def issuer():
    return Issuer(ISSUER, AUDIENCE)


@pytest.fixture
def keys(web, clock, issuer):
    return Keys([issuer], web, clock)


def kids(found):
    return [one.kid for one in found]


def test_keys_are_discovered_once_and_fresh_for_an_hour(keys, web, clock, issuer):
    for _ in range(5):
        assert kids(keys.of(issuer, "k1")) == ["k1"]
        clock.pass_(minutes=11)
    assert web.asked == [web.where, JWKS]
    clock.pass_(minutes=5)
    assert kids(keys.of(issuer, "k1")) == ["k1"]
    assert web.fetches == 2


def test_keys_at_a_configured_address_are_not_discovered(web, clock):
    issuer = Issuer(ISSUER, AUDIENCE, jwks_uri=JWKS)
    assert kids(Keys([issuer], web, clock).of(issuer, "k1")) == ["k1"]
    assert web.asked == [JWKS]


def test_a_slash_at_an_issuer_s_end_is_not_doubled(clock):
    issuer = Issuer("https://tenant.example/", AUDIENCE)
    web = Web(jwk(rsa_key(), "k1"), issuer=issuer.issuer)
    assert kids(Keys([issuer], web, clock).of(issuer, "k1")) == ["k1"]
    assert web.asked[0] == "https://tenant.example/.well-known/openid-configuration"


def test_rotation_works_without_waiting_for_the_hour(keys, web, clock, issuer):
    keys.of(issuer, "k1")
    web.keys.append(jwk(rsa_key(1), "k2"))
    clock.pass_(minutes=2)
    assert kids(keys.of(issuer, "k2")) == ["k2"]
    assert web.fetches == 2
    web.keys.pop(0)
    clock.pass_(minutes=61)
    assert kids(keys.of(issuer, "k2")) == ["k2"]
    assert keys.of(issuer, "k1") == ()


def test_a_key_that_its_issuer_withdrew_is_gone_within_the_hour(keys, web, clock, issuer):
    keys.of(issuer, "k1")
    web.keys[:] = [jwk(rsa_key(1), "k2")]
    clock.pass_(minutes=60)
    assert keys.of(issuer, "k1") == ()


def test_a_flood_of_unknown_kids_is_one_fetch_a_minute(keys, web, clock, issuer):
    keys.of(issuer, "k1")
    for minute in range(1, 6):
        clock.pass_(seconds=60)
        for one in range(500):
            assert keys.of(issuer, f"evil{minute}-{one}") == ()
        assert web.fetches == 1 + minute
    assert kids(keys.of(issuer, "k1")) == ["k1"]


def test_a_flood_while_the_issuer_is_down_is_one_fetch_a_minute(keys, web, clock, issuer):
    keys.of(issuer, "k1")
    web.down = True
    for minute in range(1, 6):
        clock.pass_(seconds=60)
        for one in range(100):
            # It may be a new key of the issuer's: that cannot be told.
            with pytest.raises(CouldNotTell):
                keys.of(issuer, f"evil{one}")
            assert kids(keys.of(issuer, "k1")) == ["k1"]
        assert len(web.asked) == 2 + minute


def test_without_any_keys_a_flood_is_one_fetch_in_ten_seconds(keys, web, clock, issuer):
    web.down = True
    for _ in range(100):
        with pytest.raises(CouldNotTell, match="cannot be had"):
            keys.of(issuer, "k1")
    assert len(web.asked) == 1
    clock.pass_(seconds=10)
    web.down = False
    assert kids(keys.of(issuer, "k1")) == ["k1"]


def test_old_keys_outlive_an_outage_by_a_day_and_no_more(keys, web, clock, issuer):
    keys.of(issuer, "k1")
    web.down = True
    for _ in range(23):
        clock.pass_(hours=1)
        assert kids(keys.of(issuer, "k1")) == ["k1"]
    clock.pass_(minutes=59)
    assert kids(keys.of(issuer, "k1")) == ["k1"]
    clock.pass_(minutes=1)
    with pytest.raises(CouldNotTell, match="no token of it was verified"):
        keys.of(issuer, "k1")
    web.down = False
    clock.pass_(minutes=1)
    assert kids(keys.of(issuer, "k1")) == ["k1"]


def test_a_clock_that_is_put_back_makes_nothing_fresh_for_longer(keys, web, clock, issuer):
    keys.of(issuer, "k1")
    clock.pass_(days=-30)
    keys.of(issuer, "k1")
    assert web.fetches == 2


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": ISSUER + "/"},
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"jwks_uri": "http://keys.example.com/jwks"},
        {"jwks_uri": "http://127.0.0.1/jwks"},
        {"jwks_uri": "http://localhost:8080/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "//keys.example.com/jwks"},
        {"jwks_uri": "https://"},
        {"jwks_uri": "https://a:b@keys.example.com/"},
        {"jwks_uri": "https://[::1"},
        {"jwks_uri": None},
        {"jwks_uri": [JWKS]},
    ],
    ids=str,
)
def test_a_discovery_document_of_another_or_without_tls(keys, web, issuer, change):
    web.discovery |= change
    with pytest.raises(CouldNotTell, match="cannot be had: the discovery document"):
        keys.of(issuer, "k1")
    assert web.asked == [web.where]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[]", "not a JWK set"),
        (b'{"keys":{}}', "not a JWK set"),
        (b'{"keys":[],"keys":[]}', "not JSON"),
        (b'{"keys":[]}', "without a key that can be used"),
        (b'{"keys":' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper"),
        (json.dumps({"keys": [jwk(ec_key(), str(n)) for n in range(101)]}).encode(), "at most 100"),
        (b" " * (MAX_DOCUMENT_BYTES + 1), "more than 262144 bytes"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_an_answer_that_is_no_jwk_set_leaves_the_keys_that_were_known(clock, body, why):
    issuer = Issuer(ISSUER, AUDIENCE, jwks_uri=JWKS)
    answers = [json.dumps({"keys": [jwk(rsa_key(), "k1")]}).encode(), body]
    keys = Keys([issuer], lambda url: answers.pop(0), clock)
    keys.of(issuer, "k1")
    clock.pass_(hours=2)
    assert kids(keys.of(issuer, "k1")) == ["k1"]
    with pytest.raises(CouldNotTell, match=why):
        keys.of(issuer, "k2")


BAD = {
    "symmetric": {"kty": "oct", "k": "c2VjcmV0", "kid": "bad", "alg": "HS256"},
    "symmetric, posing": jwk(rsa_key(), "bad") | {"k": "c2VjcmV0"},
    "rsa 1024": jwk(rsa_key(0, 1_024), "bad"),
    "rsa 16384": {"kty": "RSA", "kid": "bad", "n": number(2**16_384 - 1), "e": "AQAB"},
    "exponent 1": jwk(rsa_key(), "bad") | {"e": "AQ"},
    "exponent 3": jwk(rsa_key(), "bad") | {"e": "Aw"},
    "even exponent": jwk(rsa_key(), "bad") | {"e": "AQAA"},
    "private rsa": jwk(rsa_key(2), "bad", private=True),
    "private ec": jwk(ec_key(2), "bad", private=True),
    "private ed": jwk(ed_key(2), "bad", private=True),
    "prime": jwk(rsa_key(), "bad") | {"p": "AQ"},
    "to encrypt": jwk(rsa_key(), "bad", use="enc"),
    "to wrap": jwk(rsa_key(), "bad", key_ops=["wrapKey"]),
    "operations as text": jwk(rsa_key(), "bad", key_ops="verify"),
    "of another alg": jwk(rsa_key(), "bad", alg="ES256"),
    "of alg none": jwk(rsa_key(), "bad", alg="none"),
    "of alg HS256": jwk(rsa_key(), "bad", alg="HS256"),
    "alg as a list": jwk(rsa_key(), "bad", alg=["RS256"]),
    "another curve": jwk(ec_key(0, ec.SECP256K1), "bad"),
    "off the curve": jwk(ec_key(), "bad") | {"y": jwk(ec_key(1))["y"]},
    "short coordinate": jwk(ec_key(), "bad") | {"x": "AQ"},
    "long coordinate": jwk(ec_key(), "bad") | {"x": b64(b"\0" + octets(jwk(ec_key())["x"]))},
    "curve of another kty": jwk(rsa_key(), "bad") | {"kty": "OKP", "crv": "P-256"},
    "curve as a list": jwk(ec_key(), "bad") | {"crv": ["P-256"]},
    "short ed": jwk(ed_key(), "bad") | {"x": "AQ"},
    "padded": jwk(rsa_key(), "bad") | {"e": "AQAB="},
    "number": jwk(rsa_key(), "bad") | {"n": 1},
    "no modulus": {"kty": "RSA", "kid": "bad", "e": "AQAB"},
    "kid a number": jwk(rsa_key(), 1),
    "long kid": jwk(rsa_key(), "k" * 257),
    "certificate only": {"kty": "RSA", "kid": "bad", "x5c": ["MII"]},
    "unknown kty": {"kty": "AKP", "kid": "bad", "pub": "AQ"},
    "text": "bad",
    "nothing": None,
}


@pytest.mark.parametrize("name", BAD)
def test_a_key_that_cannot_be_trusted_is_left_out_and_the_others_stay(name):
    bad = BAD[name]
    with pytest.raises(Malformed):
        parse(bad)
    good = jwk(ec_key(3), "good")
    assert kids(key_set(json.dumps({"keys": [bad, good]}).encode())) == ["good"]


@pytest.mark.parametrize("make", [rsa_key, ec_key, ed_key], ids=["rsa", "ec", "ed"])
def test_a_key_whose_private_part_was_published_is_left_out_wherever_it_stands(make):
    told, same = jwk(make(2), "told", private=True), jwk(make(2), "same")
    good = jwk(make(3), "good")
    for entries in ([told, same, good], [good, same, told]):
        assert kids(key_set(json.dumps({"keys": entries}).encode())) == ["good"]


def test_as_many_keys_as_the_bound_are_taken():
    entries = [jwk(ec_key(), str(one)) for one in range(MAX_KEYS)]
    assert len(key_set(json.dumps({"keys": entries}).encode())) == MAX_KEYS


@pytest.mark.parametrize(
    ("url", "loopback", "good"),
    [
        ("https://a.example/x", False, True),
        ("https://127.0.0.1/x", False, True),
        ("http://127.0.0.1:8/x", True, True),
        ("http://[::1]/x", True, True),
        ("http://localhost/x", True, True),
        ("http://127.0.0.1/x", False, False),
        ("http://127.0.0.1.evil.example/", True, False),
        ("http://localhost.evil.example/", True, False),
        ("http://127.0.0.1@evil.example/", True, False),
        ("http://0.0.0.0/", True, False),
        ("http://a.example/", True, False),
        ("https://a.example:99999/", False, False),
        ("https://a.example/#x", False, False),
        ("https://a.example/#", False, False),
        ("ftp://a.example/", True, False),
        ("holdfast:local:x", True, False),
        ("", True, False),
    ],
    ids=str,
)
def test_where_keys_may_come_from(url, loopback, good):
    assert secure(url, loopback=loopback) is good


@contextmanager
def serving(pages):
    """A real server of these pages; a page that is an int is that status."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            page = pages.get(self.path, 404)
            page = page() if callable(page) else page
            status, body = (page, b"") if isinstance(page, int) else (200, page)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/jwks")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_issuer_of_this_machine_over_http(clock):
    pages = {}
    with serving(pages) as (base, asked):
        discovery = {"issuer": base, "jwks_uri": f"{base}/jwks"}
        pages["/.well-known/openid-configuration"] = json.dumps(discovery).encode()
        pages["/jwks"] = json.dumps({"keys": [jwk(rsa_key(), "k1")]}).encode()
        issuer = Issuer(base, AUDIENCE)
        keys = Keys([issuer], fetched, clock)
        assert kids(keys.of(issuer, "k1")) == ["k1"]
        assert asked == ["/.well-known/openid-configuration", "/jwks"]
        pages["/jwks"] = 500
        clock.pass_(hours=2)
        assert kids(keys.of(issuer, "k1")) == ["k1"]
        with pytest.raises(CouldNotTell, match="the status 500"):
            keys.of(issuer, "k2")
    clock.pass_(hours=2)
    assert kids(keys.of(issuer, "k1")) == ["k1"]  # and with no server at all


@pytest.mark.parametrize(
    ("page", "why"),
    [(302, "the status 302"), (404, "the status 404"), (b" " * 300_000, "more than 262144 bytes")],
    ids=["redirect", "missing", "large"],
)
def test_answers_over_http_that_bring_no_keys(clock, page, why):
    pages = {"/keys": page, "/jwks": json.dumps({"keys": [jwk(rsa_key())]}).encode()}
    with serving(pages) as (base, asked):
        issuer = Issuer(base, AUDIENCE, jwks_uri=f"{base}/keys")
        with pytest.raises(CouldNotTell, match=why):
            Keys([issuer], fetched, clock).of(issuer, "k1")
        assert asked == ["/keys"]


class Counting(Clock):
    """Lets a test wait until the time was asked for so many times."""

    def __init__(self):
        super().__init__()
        self.calls, self._changed = 0, threading.Condition()

    def now(self):
        with self._changed:
            self.calls += 1
            self._changed.notify_all()
        return super().now()

    def wait(self, calls):
        with self._changed:
            assert self._changed.wait_for(lambda: self.calls >= calls, 10)


def test_many_threads_ask_an_issuer_once():
    body = json.dumps({"keys": [jwk(rsa_key(), "k1")]}).encode()
    issuer = Issuer(ISSUER, AUDIENCE, jwks_uri=JWKS)
    clock, asked, found = Counting(), [], []

    def fetch(url):
        asked.append(url)
        clock.wait(2 * 16 + 1)  # all of them have seen that a fetch is due
        return body

    keys = Keys([issuer], fetch, clock)
    threads = [
        threading.Thread(target=lambda: found.append(kids(keys.of(issuer, "k1"))))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [["k1"]] * 16
    assert asked == [JWKS]


def test_whoever_has_a_good_key_does_not_wait_for_a_fetch(clock):
    body = json.dumps({"keys": [jwk(rsa_key(), "k1")]}).encode()
    issuer = Issuer(ISSUER, AUDIENCE, jwks_uri=JWKS)
    inside, go, slow = threading.Event(), threading.Event(), []

    def fetch(url):
        if slow:
            inside.set()
            assert go.wait(10)
        return body

    keys = Keys([issuer], fetch, clock)
    keys.of(issuer, "k1")
    slow.append(True)
    clock.pass_(hours=2)
    thread = threading.Thread(target=keys.of, args=(issuer, "k1"))
    thread.start()
    assert inside.wait(10)
    began = time.monotonic()
    assert kids(keys.of(issuer, "k1")) == ["k1"]  # while the other is still fetching
    assert time.monotonic() - began < WAIT_SECONDS / 2
    assert thread.is_alive()
    go.set()
    thread.join(10)


def test_a_fetch_that_fails_as_no_error_of_ours_leaves_the_next_one_free(clock, issuer):
    calls = []

    def fetch(url):
        calls.append(url)
        raise ZeroDivisionError

    keys = Keys([issuer], fetch, clock)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            keys.of(issuer, "k1")
        clock.pass_(minutes=1)
    assert len(calls) == 2
