import random
import re
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.access.masking.classes import SHIPPED
from chalicelib.access.suggestion import checksum, credential, detect, leaf, national
from chalicelib.access.suggestion.detect import KINDS, looks, prose

# In parts, so that nothing here is a token to those who look for tokens.
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxIn0." + "c2lnbmF0dXJl"
ISSUED = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 10,
    "xoxb-" + "123456789012-abc",
    "sk_live_" + "a1B2" * 6,
    "AIza" + "a1B2_" * 7,
    "glpat-" + "a1B2" * 5,
    "-----BEGIN RSA " + "PRIVATE KEY-----\nMII",
    "-----BEGIN " + "PRIVATE KEY-----",
    "postgres://app:" + "pw@db.example.com/app",
]
HASHES = [
    "$2b$12$" + "a" * 53,
    "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
    "pbkdf2_sha256$600000$salt$aGFzaA==",
    "scrypt:32768:8:1$salt$abcdef",
    "$6$salt$hash",
    "SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy",
    "md5" + "0123456789abcdef" * 2,
    "{SSHA}c2FsdGVk",
]


def whole(value):
    return {sign.kind for sign in looks(value) if not sign.within}


def within(value):
    return {sign.kind for sign in looks(value) if sign.within}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("ana@example.com", "email"),
        ("  o'neil+x@mail.example.co.uk ", "email"),
        ("jürgen@bücher.example", "email"),
        ("+4915112345678", "phone"),
        ("+1 (555) 234-5678 ext 12", "phone"),
        ("0049 30 1234567", "phone"),
        ("(555) 234-5678", "phone-national"),
        ("1-800-234-5678", "phone-national"),
        ("030 1234567", "phone-national"),
        ("0170/1234567", "phone-national"),
        ("06 12 34 56 78", "phone-national"),
        ("07700 900123", "phone-national"),
        ("2025550143", "phone-digits"),
        ("4111 1111 1111 1111", "card"),
        ("DE89 3704 0044 0532 0130 00", "iban"),
        ("490154203237518", "imei"),
        ("00:1b:44:11:3a:b7", "mac"),
        ("001b.4411.3ab7", "mac"),
        ("192.168.1.1", "ip"),
        ("10.0.0.1", "ip"),
        ("203.0.113.7/24", "ip"),
        ("2001:db8::1", "ip"),
        ("::1", "ip"),
        ("1.2.3.4", "ip-or-version"),
        (JWT, "secret"),
        ("52.3702, 4.8952", "coordinates"),
        ("POINT(4.8952 52.3702)", "coordinates"),
        ("1984-02-29", "date"),
        ("29.02.1984", "date"),
        ("19840229", "date"),
        ("female", "gender"),
        ("weiblich", "gender"),
        ("E11.9", "diagnosis"),
        ("Ana Souza", "full-name"),
        ("Xk9fQ2mZ7rT4vB1nW8cL5pY3", "token"),
        ("a1b2c3d4e5f60718293a4b5c6d7e8f90", "digest"),
        ("536-22-8726", "ssn"),
    ],
)
def test_a_value_is_told_by_its_form(value, kind):
    assert kind in whole(value)


@pytest.mark.parametrize("value", ISSUED)
def test_issued_tokens_and_keys_are_secrets_also_within_a_text(value):
    assert "secret" in whole(value) | within(value)
    assert "secret" in within(f"use this one: {value} and no other")


@pytest.mark.parametrize("value", HASHES)
def test_hashes_of_passwords(value):
    assert "password-hash" in whole(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "git@github.com:org/repo.git",
        "https://example.com/@ana",
        "icon@2x.png",
        "pkg@1.2.3",
        "ana@localhost",
        "2024-01-15T10:00:00Z of an order",
        "0.12345678",
        "12:30:45",
        "1.2.3",
        "999.1.2.3",
        "01.2.3.4",
        "550e8400-e29b-41d4-a716-446655440000",
        "internationalisation_of_names",
        "src/app/models/customer_order.py",
        "eyJub3QiOiJqd3QifQ.e30.x",  # its header has no alg
        "order",
        "004915112345",
        "SKU-1234-AB",
    ],
)
def test_what_looks_alike_and_is_not(value):
    told = {kind for kind in whole(value) | within(value) if KINDS[kind].alone == detect.SURE}
    assert told == set()


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ("Mail ana@example.com or call +49 30 1234567.", {"email", "phone"}),
        ("paid with 4111 1111 1111 1111 today", {"card"}),
        ("to DE89 3704 0044 0532 0130 00 please", {"iban"}),
        ("SSN 536-22-8726, from 203.0.113.7.", {"ssn", "ip"}),
        ('{"a": {"b": [{"mail": "ana@example.com"}]}}', {"email"}),
        ('{"ana@example.com": 1}', {"email"}),
        ('{ana@example.com,"b c",NULL}', {"email"}),
        ('[0:1]={"ana@example.com",x}', {"email"}),
        ('{"quo\\"te@example.com"}', {"email"}),
        ('<a mail="ana@example.com"><b>192.168.1.77</b></a>', {"email", "ip"}),
        ("[123456782, 111222333]", set()),  # numbers of nine digits are many things
    ],
)
def test_what_is_within_a_text_or_a_document(value, kinds):
    assert within(value) & set(KINDS) == kinds
    assert not {kind for kind in whole(value) if KINDS[kind].alone}


def test_texts_are_told_from_words():
    assert prose("The customer called and was not amused")
    assert not prose("Ana Souza")
    assert not prose("1 2 3 4 5 6 7")


def test_every_kind_is_of_a_shipped_class():
    assert {one.klass for one in KINDS.values()} <= set(SHIPPED)
    assert set(national.KINDS) <= set(KINDS)
    assert all(0 < one.chance < 1 for one in KINDS.values())


@pytest.mark.parametrize("length", range(7, 20))
def test_the_stated_chance_is_that_of_numbers_at_random(length):
    """What is judged by more than chance needs the chance: that of digits without separators."""
    generator = random.Random(length)  # noqa: S311 - numbers at random
    number = 4_000
    passed = Counter()
    for _ in range(number):
        value = "".join(generator.choices("0123456789", k=length))
        passed.update(whole(value))
    for kind, count in passed.items():
        assert count / number <= 1.5 * KINDS[kind].chance or not KINDS[kind].alone, kind


def test_documents_are_bounded():
    deep = "[" * 200 + '"ana@example.com"' + "]" * 200
    assert leaf.leaves(deep) in ([], None)
    assert len(leaf.leaves("[" + ",".join(["1"] * 10_000) + "]")) == leaf.MAX_LEAVES
    assert leaf.leaves('"' + "x" * leaf.MAX_DOCUMENT_CHARACTERS + '"') is None
    assert leaf.leaves("[" * 100_000) is None
    assert leaf.leaves("[" * 30_000 + "]" * 30_000) is None  # deeper than the decoder goes
    assert leaf.leaves("{a,{b,c}}") == ["a", "b", "c"]
    assert leaf.leaves("plain") is None
    assert leaf.leaves("{}") == []


@given(st.text(max_size=400))
def test_any_text_gets_signs_of_known_kinds(text):
    assert {sign.kind for sign in looks(text)} <= set(KINDS)
    assert prose(text) in {True, False}


@given(st.text("0123456789aA@.:+-/ $,=<>{}[]\"'_x\\", max_size=300))
def test_any_text_of_the_characters_that_matter(text):
    assert {sign.kind for sign in looks(text)} <= set(KINDS)


HOSTILE = [
    "a",
    "@",
    "a@",
    "a.",
    "1",
    "1 ",
    "1-",
    "+",
    "+1",
    ".",
    "0.",
    ":",
    "A1",
    "eyJ",
    "sk-",
    "://",
]
HOSTILE += [
    "a://b:",
    "{",
    '{"',
    "\\",
    "<a",
    'a="',
    "AA11 ",
    "xox",
    "$2b$",
    "(",
    "-----BEGIN ",
    "A ",
]


def patterns():
    for module in (detect, leaf, credential, checksum, national):
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield pytest.param(value, id=f"{module.__name__.rpartition('.')[2]}.{name}")


def seconds(pattern, text):
    started = time.process_time()
    pattern.search(text)
    pattern.fullmatch(text)
    return time.process_time() - started


@pytest.mark.parametrize("pattern", list(patterns()))
def test_no_pattern_grows_faster_than_its_text(pattern):
    """By ratio: eight times the text takes at most some forty times as long, where 64 is a square.

    What is too short to be measured is no growth that matters.
    """
    for unit in HOSTILE:
        short = min(seconds(pattern, unit * 1_000 + "!") for _ in range(3))
        long = min(seconds(pattern, unit * 8_000 + "!") for _ in range(3))
        assert long < max(40 * short, 0.02), unit
