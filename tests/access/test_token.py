"""Tokens that issuers make, and everything that attackers make of them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from support.tokens import (
    AUDIENCE,
    ISSUER,
    KID,
    NOW,
    b64,
    claims,
    ec_key,
    ed_key,
    jwk,
    raw,
    rsa_key,
    signature,
    token,
)

from chalicelib.access.issuer import ALGORITHMS, Issuer, matches
from chalicelib.access.key import octets, parse
from chalicelib.access.token import MAX_TOKEN_CHARACTERS, verify
from chalicelib.kernel.errors import CouldNotTell, Malformed, Unauthenticated

ALL = Issuer(ISSUER, AUDIENCE, algorithms=ALGORITHMS)
KEYS = {
    "RS": rsa_key,
    "PS": rsa_key,
    "ES256": ec_key,
    "ES384": lambda: ec_key(0, ec.SECP384R1),
    "Ed": ed_key,
}


def key_for(alg):
    return (KEYS.get(alg) or KEYS[alg[:2]])()


def verified(text, *, issuer=ALL, keys=None, now=NOW, others=()):
    keys = [jwk(rsa_key())] if keys is None else keys
    parsed = [parse(one) for one in keys]

    def keys_of(asked, kid):
        assert asked is issuer
        return [one for one in parsed if kid in {"", one.kid}]

    known = {one.issuer: one for one in (issuer, *others)}
    return verify(text, known, keys_of, now)


def refused(text, why, **more):
    with pytest.raises(Unauthenticated, match=why) as caught:
        verified(text, **more)
    told = f"{caught.value.message} {caught.value.next_step}"
    for part in text.split("."):
        assert len(part) < 4 or part not in told
    assert "evil" not in told
    return caught.value


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_token_of_every_algorithm_is_verified_with_its_key(alg):
    key = key_for(alg)
    found = verified(token(key, alg), keys=[jwk(key)])
    assert (found.issuer, found.subject, found.body) == (ALL, "ana", claims())


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", None])
def test_types_of_tokens_that_are_for_an_api(kind):
    assert verified(token(rsa_key(), typ=kind)).subject == "ana"


@pytest.mark.parametrize("kind", ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWE", "", 1, ["JWT"]])
def test_tokens_for_something_else_are_refused(kind):
    refused(token(rsa_key(), typ=kind), "its typ is not")


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_forged_signature(alg):
    key = key_for(alg)
    head, body, good = token(key, alg).split(".")
    flipped = bytes([octets(good)[0] ^ 1]) + octets(good)[1:]
    for one in (
        b64(flipped),
        b64(octets(good)[:-1]),
        b64(octets(good) + b"\0"),
        "AAAA",
        b64(bytes(64)),
    ):
        refused(f"{head}.{body}.{one}", "its signature is not", keys=[jwk(key)])
    refused(f"{head}.{body}.", "not made as a JWT", keys=[jwk(key)])


def test_a_signature_over_other_claims():
    head, _, good = token(rsa_key()).split(".")
    body = b64(json.dumps(claims(sub="root")).encode())
    refused(f"{head}.{body}.{good}", "its signature is not")


@pytest.mark.parametrize("make", [rsa_key, ec_key, ed_key], ids=["rsa", "ec", "ed"])
def test_another_key_under_the_same_kid(make):
    alg = {rsa_key: "RS256", ec_key: "ES256", ed_key: "EdDSA"}[make]
    refused(token(make(1), alg), "its signature is not", keys=[jwk(make(0))])


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "none ", " none", "", "HS256", "rs256", "RS256 ", "RS1"]
)
def test_algorithms_that_are_no_signature_or_misspelt(alg):
    head = json.dumps({"alg": alg, "kid": KID, "typ": "JWT"}).encode()
    for sign in (lambda _: b"x", lambda data: signature(data, "RS256", rsa_key())):
        refused(raw(head, json.dumps(claims()).encode(), sign), "its alg is not")
    unsigned = f"{b64(head)}.{b64(json.dumps(claims()).encode())}"
    refused(f"{unsigned}.", "not made as a JWT")
    refused(unsigned, "three parts")


@pytest.mark.parametrize("alg", [None, 1, ["RS256"], {"RS256": 1}, True])
def test_an_algorithm_that_is_no_text(alg):
    refused(token(rsa_key(), alg, by="RS256"), "its alg is not")


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("make", [rsa_key, ec_key, ed_key], ids=["rsa", "ec", "ed"])
def test_a_public_key_is_never_a_secret_of_hmac(alg, make):
    public = make().public_key()
    forms = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = public.public_bytes(serialization.Encoding.PEM, forms)
    der = public.public_bytes(serialization.Encoding.DER, forms)
    one = jwk(make())
    secrets = [pem, pem.strip(), der, json.dumps(one).encode()]
    secrets += [json.dumps(one, separators=(",", ":"), sort_keys=True).encode(), b""]
    secrets += [octets(one[name]) for name in ("n", "x") if name in one]
    # Also for an issuer whose list was made to hold it, which no settings can.
    for issuer in (ALL, Issuer(ISSUER, AUDIENCE, algorithms=(*ALGORITHMS, alg, "none"))):
        for secret in secrets:
            refused(token(secret, alg), "its alg is not", keys=[one], issuer=issuer)


@pytest.mark.parametrize(
    ("alg", "key"),
    [
        ("ES256", rsa_key()),
        ("EdDSA", rsa_key()),
        ("RS256", ec_key()),
        ("PS256", ed_key()),
        ("ES384", ec_key()),
        ("ES256", ec_key(0, ec.SECP384R1)),
        ("EdDSA", ec_key()),
        ("ES256", ed_key()),
    ],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_an_algorithm_of_another_family_than_the_key(alg, key):
    for by in ("RS256", "ES256", "EdDSA"):
        refused(token(key_for(by), alg, by=by), "no keys of its issuer", keys=[jwk(key)])


def test_an_algorithm_that_the_issuer_does_not_use():
    only = Issuer(ISSUER, AUDIENCE, algorithms=("ES256",))
    refused(token(rsa_key()), "its alg is not one of its issuer's", issuer=only)


def test_an_algorithm_that_the_key_is_not_for():
    keys = [jwk(rsa_key(), alg="RS512")]
    refused(token(rsa_key(), "RS256"), "no keys of its issuer", keys=keys)
    refused(token(rsa_key(), "PS512"), "no keys of its issuer", keys=keys)
    assert verified(token(rsa_key(), "RS512"), keys=keys).subject == "ana"


@pytest.mark.parametrize("by", ["PS256", "RS512"])
def test_a_signature_of_another_algorithm_than_the_header_says(by):
    refused(token(rsa_key(), "RS256", by=by), "its signature is not")


def test_keys_in_the_token_or_at_its_addresses_are_never_looked_at():
    mine = rsa_key(1)
    certificate = b64(b"evil").replace("-", "+")
    for more in (
        {"jwk": jwk(mine)},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"x5c": [certificate]},
        {"jwk": jwk(mine), "jku": "https://evil.example/", "x5u": 1, "x5c": {}, "kid": None},
    ):
        refused(token(mine, **more), "its signature is not")
        assert verified(token(rsa_key(), **more)).subject == "ana"


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": None, "b64": False},
        {"b64": True},
        {"crit": "b64"},
    ],
    ids=["exp", "b64 true", "empty", "b64 false", "b64 alone", "text"],
)
def test_extensions_are_refused(header):
    refused(token(rsa_key(), **header), "crit or b64")


def test_an_unencoded_payload_is_refused():
    head = b64(json.dumps({"alg": "RS256", "kid": KID, "b64": False, "crit": ["b64"]}).encode())
    body = json.dumps(claims())
    sign = b64(signature(f"{head}.{body}".encode(), "RS256", rsa_key()))
    for text in (f"{head}.{body}.{sign}", f"{head}..{sign}"):
        with pytest.raises(Unauthenticated):
            verified(text)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ('{"alg":"none","alg":"RS256","kid":"k1"}', None),
        ('{"alg":"RS256","alg":"RS256","kid":"k1"}', None),
        ('{"alg":"RS256","kid":"k1","\\u0061lg":"none"}', None),
        (None, '{"sub":"ana","sub":"root"}'),
        ("[" * 100_000, None),
        (None, '{"iss":' + "[" * 5_000 + "]" * 5_000 + "}"),
        ('["RS256"]', None),
        (None, '"ana"'),
        (None, "null"),
        (None, '{"exp": NaN}'),
        (None, '{"exp": 1' + "0" * 5_000 + "}"),
        ("\ufeff{}", None),
        ("", None),
        ('{"alg":"RS256"} ' + " " * 4_096, None),
    ],
    ids=lambda text: None if text is None else f"{text[:12]}-{len(text)}",
)
def test_json_with_two_readings_or_without_end(head, body):
    head = json.dumps({"alg": "RS256", "kid": KID}) if head is None else head
    body = json.dumps(claims()) if body is None else body
    text = raw(head.encode(), body.encode(), lambda data: signature(data, "RS256", rsa_key()))
    refused(text, "not made as a JWT|longer than|header is larger")


def test_bytes_that_are_no_utf8():
    text = raw(b'{"alg":"RS256","kid":"\xff"}', b"{}", lambda _: b"x")
    refused(text, "not made as a JWT")


@pytest.mark.parametrize("size", [MAX_TOKEN_CHARACTERS + 1, 2**20])
def test_a_token_past_its_bound_is_not_parsed(size):
    refused("a" * size, "longer than")
    good = token(rsa_key(), body=claims(pad="x" * size))
    refused(good, "longer than")


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b", "a.b.c.d", "a.b.c.d.e", "e30.e30.e30", "a..b", "Bearer x.y.z", "é.a.b"],
)
def test_what_is_no_token(text):
    with pytest.raises(Unauthenticated):
        verified(text)


def test_base64_with_two_encodings_is_refused():
    head, body, good = token(rsa_key(), body=claims(pad="")).split(".")
    for part in range(3):
        for change in ("=", "==", "\n", " ", "+", "!"):
            parts = [head, body, good]
            parts[part] += change
            refused(".".join(parts), "not made as a JWT")
    # 256 bytes leave 4 bits of the last character unused: 15 more spellings of the same signature.
    assert len(octets(good)) % 3 == 1
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(good[-1])
    assert last % 16 == 0
    for bits in range(1, 16):
        refused(f"{head}.{body}.{good[:-1]}{alphabet[last + bits]}", "not made as a JWT")
    standard = good.replace("-", "+").replace("_", "/")
    assert standard != good
    refused(f"{head}.{body}.{standard}", "not made as a JWT")


@given(st.binary(min_size=1, max_size=40))
def test_base64url_has_one_encoding(data):
    assert octets(b64(data)) == data


@given(st.text(max_size=12))
def test_what_is_read_as_base64url_is_written_so(text):
    try:
        data = octets(text)
    except Malformed:
        return
    assert b64(data) == text


@pytest.mark.parametrize(
    "kid",
    ["../../etc/passwd", "' OR 1=1 --", "k1\0", "K1", "k1 ", "http://evil.example/k", "\uff4b1"],
)
def test_a_kid_is_compared_and_nothing_else(kid):
    refused(token(rsa_key(), kid=kid), "no keys of its issuer")


@pytest.mark.parametrize("kid", ["", 1, ["k1"], {"k1": 1}, True, "k" * 257])
def test_a_kid_that_is_none(kid):
    refused(token(rsa_key(), kid=kid), "its kid is not text")
    head = json.dumps({"alg": "RS256", "kid": None}).encode()
    text = raw(
        head, json.dumps(claims()).encode(), lambda data: signature(data, "RS256", rsa_key())
    )
    refused(text, "its kid is not text")


def test_without_a_kid_the_issuer_has_one_key_for_the_algorithm():
    text = token(rsa_key(), kid=None)
    assert verified(text, keys=[jwk(rsa_key()), jwk(ec_key(), "k2")]).subject == "ana"
    refused(text, "2 keys of its issuer", keys=[jwk(rsa_key()), jwk(rsa_key(1), "k2")])


def test_one_kid_of_two_keys_is_no_key():
    keys = [jwk(rsa_key()), jwk(rsa_key(1))]
    refused(token(rsa_key()), "2 keys of its issuer", keys=keys)
    mixed = [jwk(rsa_key()), jwk(ec_key())]  # RFC 7517 §4.5 lets keys of two kinds share one
    assert verified(token(rsa_key()), keys=mixed).subject == "ana"


@pytest.mark.parametrize(
    "name",
    [
        "https://evil.example",
        ISSUER + "/",
        ISSUER.upper(),
        ISSUER.replace("https", "http"),
        ISSUER + "\0",
        " " + ISSUER,
        ISSUER + "%20",
        "",
        None,
        1,
        [ISSUER],
        {"iss": ISSUER},
    ],
    ids=repr,
)
def test_another_issuer_s_name_however_near(name):
    refused(token(rsa_key(), body=claims(iss=name)), "its issuer is none of those")


def test_an_issuer_s_token_does_not_pass_for_another_s():
    other = Issuer("https://other.example", AUDIENCE)
    keys = {ISSUER: [parse(jwk(rsa_key()))], other.issuer: [parse(jwk(rsa_key(1)))]}
    issuers = {one.issuer: one for one in (ALL, other)}
    for key, name in ((rsa_key(), other.issuer), (rsa_key(1), ISSUER)):
        with pytest.raises(Unauthenticated, match="its signature is not"):
            verify(token(key, body=claims(iss=name)), issuers, lambda one, _: keys[one.issuer], NOW)
    good = token(rsa_key(1), body=claims(iss=other.issuer))
    assert verify(good, issuers, lambda one, _: keys[one.issuer], NOW).issuer is other


@pytest.mark.parametrize(
    "audience",
    [
        None,
        "",
        "other",
        "Holdfast",
        "holdfast ",
        "holdfast,other",
        "*",
        [],
        ["other"],
        [["holdfast"]],
        {"holdfast": 1},
        ["holdfast", 1],
        ["holdfast", None],
        1,
        True,
        ["x"] * 100 + ["holdfast"],
    ],
    ids=lambda one: repr(one)[:30],
)
def test_another_audience(audience):
    refused(token(rsa_key(), body=claims(aud=audience)), "for another audience")


def test_an_audience_among_several():
    assert verified(token(rsa_key(), body=claims(aud=["a", "holdfast"]))).subject == "ana"


AT = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ({"exp": AT - 60}, "has expired"),
        ({"exp": AT - 3_600, "iat": AT - 7_200}, "has expired"),
        ({"exp": None}, "it has no exp"),
        ({"exp": "never"}, "it has no exp"),
        ({"exp": str(AT + 60)}, "it has no exp"),
        ({"exp": True}, "it has no exp"),
        ({"exp": -1}, "it has no exp"),
        ({"exp": 1e300}, "it has no exp"),
        ({"exp": 10**30}, "it has no exp"),
        ({"exp": [AT + 60]}, "it has no exp"),
        ({"iat": None}, "it has no iat"),
        ({"iat": "0"}, "it has no iat"),
        ({"iat": AT + 61, "exp": AT + 600}, "issued in the future"),
        ({"nbf": AT + 61}, "not valid yet"),
        ({"nbf": "0"}, "it has no nbf"),
        ({"iat": AT - 60, "exp": AT + 86_400 - 59}, "valid for longer than 86400 seconds"),
        ({"iat": 0, "exp": AT + 60}, "valid for longer"),
        ({"iat": AT + 30, "exp": AT + 30}, "for no time"),
        ({"iat": AT + 30, "exp": AT + 10}, "for no time"),
    ],
    ids=str,
)
def test_a_token_outside_its_time(times, why):
    refused(token(rsa_key(), body=claims(**times)), why)


@pytest.mark.parametrize(
    "times",
    [
        {"exp": AT - 59},
        {"iat": AT + 60, "exp": AT + 600},
        {"nbf": AT + 60},
        {"iat": AT - 60, "exp": AT + 86_340},
        {"iat": AT - 0.5, "exp": AT + 60.25},
    ],
    ids=str,
)
def test_clocks_may_differ_by_a_minute(times):
    assert verified(token(rsa_key(), body=claims(**times))).subject == "ana"


def test_the_clock_is_the_one_that_is_passed_in():
    text = token(rsa_key())
    refused(text, "has expired", now=NOW + timedelta(hours=2))
    refused(text, "in the future", now=NOW - timedelta(hours=2))


@pytest.mark.parametrize("sub", [None, "", 1, ["ana"], "x" * 1_025], ids=lambda one: repr(one)[:20])
def test_a_token_of_nobody(sub):
    refused(token(rsa_key(), body=claims(sub=sub)), "it has no sub")


@pytest.mark.parametrize(
    ("pattern", "value", "good"),
    [
        ("octo/*", "octo/app", True),
        ("octo/*", "octopus/app", False),
        ("octo/*", "evil/octo/app", False),
        ("12345", "12345", True),
        ("12345", 12345, True),
        ("12345", "123456", False),
        ("true", True, True),
        ("true", "True", False),
        ("*", None, False),
        ("*", "", True),
        ("?*", None, False),
        ("octo", ["octo"], False),
        ("octo", {"octo": 1}, False),
        ("octo", None, False),
        ("octo", "octo\n", False),
        ("1.0", 1.0, False),
    ],
    ids=str,
)
def test_claims_that_the_settings_require(pattern, value, good):
    issuer = Issuer(ISSUER, AUDIENCE, claims={"own": pattern})
    text = token(rsa_key(), body=claims(own=value))
    if good:
        assert verified(text, issuer=issuer).subject == "ana"
    else:
        refused(text, "its claim 'own' is not what", issuer=issuer)


@given(st.lists(st.text("ab*", max_size=6), max_size=4), st.text("ab", max_size=12))
def test_a_pattern_is_what_a_regular_expression_says(parts, text):
    import re

    pattern = "*".join(parts)
    wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
    assert matches(pattern, text) == bool(wanted.fullmatch(text))


def test_a_pattern_of_many_stars_takes_no_time():
    assert not matches("*a" * 500 + "b", "a" * 16_000)


def test_keys_that_cannot_be_had_are_no_fault_of_the_token():
    def keys_of(issuer, kid):
        raise CouldNotTell("no answer")

    with pytest.raises(CouldNotTell, match="no answer"):
        verify(token(rsa_key()), {ISSUER: ALL}, keys_of, NOW)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_at_all_are_refused_and_no_defect(head, body, sign):
    with pytest.raises(Unauthenticated):
        verified(f"{b64(head)}.{b64(body)}.{b64(sign)}")


AT = int(NOW.timestamp())
ONE_FACTOR = ("pwd", "pin", "otp", "sms", "tel", "hwk", "swk", "sc", "pop", "face", "fpt", "kba")


def mfa(amr, at=AT - 60):
    body = claims(amr=amr, auth_time=at)
    return verified(token(rsa_key(), body=body)).mfa_at


@pytest.mark.parametrize(
    "amr",
    [
        ["mfa"],
        ["pwd", "mfa"],
        ["mfa", "unheard-of"],
        ["pwd", "otp"],
        ["pin", "hwk"],
        ["sms", "pwd"],
        ["fpt", "swk", "user"],
        ["pwd", "face"],
    ],
    ids="-".join,
)
def test_a_second_factor_is_known_by_its_methods(amr):
    assert mfa(amr) == AT - 60


@pytest.mark.parametrize(
    "amr",
    [
        *([one] for one in ONE_FACTOR),
        [],
        ["pwd", "pin"],  # both are known
        ["pwd", "kba"],
        ["otp", "sms", "hwk"],  # all of them are held
        ["otp", "otp"],
        ["face", "fpt"],
        ["pwd", "mca"],  # two channels may carry one factor
        ["pwd", "user", "geo", "rba", "wia"],
        ["MFA"],
        [" mfa"],
        ["mfa", 1],
        ["mfa", None],
        [["mfa"]],
        ["mfa"] * 51,
        "mfa",
        {"mfa": True},
        True,
        None,
    ],
    ids=lambda one: ascii(one)[:30],
)
def test_what_is_no_second_factor(amr):
    assert mfa(amr) is None


@pytest.mark.parametrize(
    ("at", "found"),
    [(AT - 0.5, AT - 1), (AT + 60, AT + 60), (AT - 10**8, AT - 10**8), (1, 1)],
)
def test_a_second_factor_s_moment(at, found):
    assert mfa(["mfa"], at) == found


@pytest.mark.parametrize(
    "at",
    [None, AT + 61, AT * 1_000, 2**70, 0, -1, True, str(AT), [AT], "2026-10-01T12:00:00Z"],
    ids=ascii,
)
def test_a_second_factor_at_no_moment_is_none(at):
    assert mfa(["mfa"], at) is None
