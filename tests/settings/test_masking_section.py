"""``[targets.NAME.masking]`` and masks files: what may be said, and where a mistake is named."""

from __future__ import annotations

import re

import pytest
from support.tokens import ed_key

from chalicelib import settings
from chalicelib.access.masking import classes
from chalicelib.access.masking.masks import MAX_FILTER_CHARACTERS, Rule, parse
from chalicelib.access.masking.spec import Spec
from chalicelib.access.profile import Table
from chalicelib.evidence import note
from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.kernel.signing import Algorithm, PublicKey
from chalicelib.settings import MAX_FILE_BYTES
from chalicelib.settings.masking import MAX_FILES, load

KEY = note.verifier(
    "log.example", PublicKey(Algorithm.ED25519, ed_key().public_key().public_bytes_raw())
)
HEAD = f"""
[log]
key = '{KEY}'
[targets.shop]
dsn_env = "SHOP"
[targets.shop.access]
dsn_env = "SHOP_BROKER"
"""
SECTION = "[targets.shop.masking]\n"
CUSTOMERS = Table("public", "customers")


@pytest.fixture
def masks(tmp_path):
    """The masks of ``shop`` by a section, and files of these names with these texts."""

    def loaded(section="", head=HEAD, **files):
        for name, text in files.items():
            data = text if isinstance(text, bytes) else text.encode()
            (tmp_path / f"{name}.toml").write_bytes(data)
        listed = ", ".join(f'"{name}.toml"' for name in files)
        path = tmp_path / "holdfast.toml"
        path.write_text(f"{head}{SECTION}files = [{listed}]\n{section}")
        return load(settings.load(path), "shop")

    return loaded


def refused(masks, why, section="", head=HEAD, **files):
    with pytest.raises(ConfigError, match=why) as caught:
        masks(section, head, **files)
    return caught.value


def test_a_column_is_named_by_keys_or_by_one_quoted_text(masks):
    found = masks(
        one='public.customers.email = "email"\n"public.customers.name" = "name"\n',
        two='[columns]\npublic.customers.phone = "phone"\n[columns.public.orders]\nid = "public"\n',
    )
    assert {name: rule.klass for name, rule in found.columns[CUSTOMERS].items()} == {
        "email": "email",
        "name": "name",
        "phone": "phone",
    }
    assert found.columns[Table("public", "orders")] == {"id": Rule("public")}


def test_names_that_are_not_lower_case_are_quoted_twice_in_one_text_and_once_as_keys(masks):
    found = masks(
        one="""
'public."Odd.Table"."Col ""1"' = "hidden"
public."Odd.Table".b = "public"
"""
    )
    assert set(found.columns) == {Table("public", "Odd.Table")}
    assert set(found.columns[Table("public", "Odd.Table")]) == {'Col "1', "b"}


def test_a_mask_beside_its_class_or_without_one(masks):
    found = masks(
        one='public.customers.email = {class = "email", mask = "pseudonym", domain = "mail"}\n'
        'public.customers.note = {mask = "constant", value = "(a note)"}\n'
    )
    assert found.columns[CUSTOMERS] == {
        "email": Rule("email", Spec("pseudonym", {"domain": "mail"})),
        "note": Rule("personal", Spec("constant", {"value": "(a note)"})),
    }


def test_the_section_itself_may_say_all_that_a_file_may(masks):
    section = """
[targets.shop.masking.columns]
public.customers.salary = "pay"
[targets.shop.masking.classes.pay]
mask = "bucket"
size = 5000
[targets.shop.masking.rows]
public.customers = "region = 'eu'"
[targets.shop.masking.views.support]
reveals = ["phone"]
"""
    found = masks(section, one='public.customers.email = "email"\n')
    assert found.classes["pay"].masks == (Spec("bucket", {"size": 5000}),)
    assert found.filters("support", CUSTOMERS) == ["region = 'eu'"]
    assert found.of("support").reveals == ("phone",)
    assert set(found.columns[CUSTOMERS]) == {"salary", "email"}


def test_a_class_of_one_file_is_known_in_all(masks):
    found = masks(
        one='public.customers.plan = "tier"\n',
        two='[classes.tier]\npersonal = false\nmasks = [{mask = "hash"}, {mask = "null"}]\n',
    )
    assert found.classes["tier"].masks == (Spec("hash"), Spec("null"))
    assert not found.classes["tier"].personal


def test_an_own_class_takes_the_place_of_a_shipped_one(masks):
    found = masks(one='[classes.phone]\nmask = "null"\n')
    assert found.classes["phone"].masks == (Spec("null"),)
    assert classes.SHIPPED["phone"].masks != (Spec("null"),)


def test_a_row_has_to_pass_the_filters_of_all_sets_and_of_its_own(masks):
    found = masks(
        one="[rows]\npublic.customers = 'a'\n[views.eu.rows]\n\"public.customers\" = 'b'\n"
    )
    assert found.filters("eu", CUSTOMERS) == ["a", "b"]
    assert found.filters("", CUSTOMERS) == ["a"]


@pytest.mark.parametrize(
    ("one", "two", "what"),
    [
        (
            'public.customers.email = "email"\n',
            '"public.customers.email" = "public"\n',
            "public.customers.email is said twice",
        ),
        ("[classes.pay]\nmask='null'\n", "[classes.pay]\nmask='hash'\n", "class pay is said twice"),
        ("[rows]\npublic.t = 'a'\n", "[rows]\n'public.t' = 'b'\n", "rows of public.t is said"),
        ("[views.eu]\n", "[views.eu]\nreveals=['phone']\n", "views eu is said twice"),
    ],
    ids=["column", "class", "rows", "views"],
)
def test_what_is_said_twice_is_refused_with_the_later_file(masks, one, two, what):
    refused(masks, rf"two\.toml: {re.escape(what)}", one=one, two=two)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('public.customers.email = "emial"\n', "customers.email: there is no class 'emial'"),
        ("public.customers.email = 7\n", "customers.email: expected a class"),
        ('public.customers = "email"\n', "expected a table"),
        ('"public.customers" = "email"\n', "'public.customers' is not schema.table.column"),
        ('"public.customers.email." = "email"\n', "is not schema.table.column"),
        ('"public.Customers.email" = "email"\n', "is not schema.table.column"),
        ('public.customers.email = {class = "email", domain = "x"}\n', "'domain' is a parameter"),
        ('public.customers.email = {class = "public", mask = "null"}\n', "what is public has no"),
        ('public.customers.email = {class = "hidden", mask = "null"}\n', "what is hidden has no"),
        ('public.customers.email = {class = 1, mask = "null"}\n', "there is no class '1'"),
        ("[classes.public]\nmask = 'null'\n", r"\[classes.public\]: what is public is always so"),
        ("[classes.Pay]\nmask = 'null'\n", "1 to 40 lower-case"),
        ("[classes.pay]\nmasks = ['null']\n", "each is a table with mask"),
        ("[classes.pay]\npersonal = 1\n", "expected mask with its parameters"),
        ("[rows]\npublic.t = ''\n", "rows of public.t: expected a condition in SQL"),
        ("[rows]\npublic.t = 1\n", "rows of public.t: expected a condition in SQL"),
        (f"[rows]\npublic.t = '{'a' * (MAX_FILTER_CHARACTERS + 1)}'\n", "at most 4000 characters"),
        ("[views.EU]\n", r"\[views.EU\]: 1 to 20"),
        (f"[views.{'a' * 21}]\n", "1 to 20 lower-case letters"),
        ("[views.eu]\nreveal = ['phone']\n", "'reveal' is not known"),
        ("[views.eu]\nreveals = 'phone'\n", "reveals: expected a list"),
        ("[views.eu]\nreveals = ['fone']\n", "reveals: there is no class"),
        ("[views.eu]\nreveals = ['hidden']\n", "reveals: what is hidden is in no view"),
        ("[views.eu.rows]\npublic.t = 'a'\n'public.t' = 'b'\n", "rows of public.t is said twice"),
        ("[classes.pay]\nmask = 'nul'\n", r"\[classes.pay\]: there is no mask 'nul'"),
        ("[classes.pay]\nclear = true\nmask = 'null'\n", "what is clear has no masks"),
        ("[classes.pay]\nclear = true\nmasks = [{mask = 'null'}]\n", "what is clear has no masks"),
        ("[classes.pay]\nclear = true\nhidden = true\n", "what is clear has no masks"),
    ],
    ids=lambda one: one[:50],
)
def test_a_mistake_is_named_with_its_file(masks, text, what):
    refused(masks, rf"mine\.toml.*{what}", mine=text)


def test_a_file_that_cannot_be_read_is_named(masks):
    refused(masks, r"one\.toml: ", one="public.customers.email = ")
    refused(masks, r"one\.toml: ", one=b"public.customers.email = '\xff'")
    refused(masks, r"one\.toml is larger than", one="#" * (MAX_FILE_BYTES + 1))
    refused(masks, r"one\.toml: ", one="a." * 10_000 + "a = 1")


def test_a_file_that_is_not_there_is_named(masks, tmp_path):
    path = tmp_path / "holdfast.toml"
    path.write_text(f'{HEAD}{SECTION}files = ["gone.toml"]\n')
    with pytest.raises(ConfigError, match=r"gone\.toml is no file"):
        load(settings.load(path), "shop")


def test_files_are_bounded_in_number(tmp_path):
    path = tmp_path / "holdfast.toml"
    listed = ", ".join(['"a.toml"'] * (MAX_FILES + 1))
    path.write_text(f"{HEAD}{SECTION}files = [{listed}]\n")
    with pytest.raises(ConfigError, match=r"\[targets.shop.masking\] files: at most 100"):
        load(settings.load(path), "shop")


def test_columns_are_bounded_in_number(monkeypatch):
    monkeypatch.setattr("chalicelib.access.masking.masks.MAX_COLUMNS", 2)
    columns = {"public": {"t": {"a": "public", "b": "public"}}}
    assert parse([("here", columns)])
    columns["public"]["t"]["c"] = "public"
    with pytest.raises(UsageError, match="at most 2 columns"):
        parse([("here", columns)])


def test_a_target_without_the_section_says_how_to_get_one(tmp_path):
    path = tmp_path / "holdfast.toml"
    path.write_text(HEAD)
    with pytest.raises(ConfigError, match=r"\[targets.shop.masking\] is not in") as caught:
        load(settings.load(path), "shop")
    assert "holdfast mask suggest shop --toml" in caught.value.next_step


def test_masking_needs_something_that_is_leased(masks):
    head = HEAD.split("[targets.shop.access]", maxsplit=1)[0]
    refused(masks, r"\[targets.shop.masking\]: nothing is leased", head=head)


def test_a_dsn_is_in_a_variable_and_not_in_the_settings(masks):
    masks("dsn_env = 'SHOP_OWNER'\n")
    refused(masks, "names an environment variable", "dsn_env = 'postgresql://owner@db/shop'\n")


def test_an_unknown_key_of_the_section_is_refused(masks):
    refused(masks, "colums", "[targets.shop.masking.colums]\n")


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("masked = true\nviews = 'eu_1'", True),
        ("views = 'eu'", False),
        ("masked = true\nviews = 'EU'", False),
        ("masked = true\nviews = '1eu'", False),
        (f"masked = true\nviews = '{'a' * 21}'", False),
    ],
    ids=["masked", "not-masked", "upper-case", "digit-first", "too-long"],
)
def test_views_are_those_of_a_masked_profile(tmp_path, text, fine):
    path = tmp_path / "holdfast.toml"
    path.write_text(f"{HEAD}[profiles.eu]\nprivileges = ['SELECT']\n{text}\n")
    if fine:
        assert settings.load(path).file.profiles["eu"].views == "eu_1"
        return
    with pytest.raises(ConfigError, match=r"\[profiles.eu\] views"):
        settings.load(path)


def test_the_digest_is_another_for_another_text_and_the_same_for_the_same(masks):
    first = masks(one='public.t.a = "email"\npublic.t.b = "public"\n').sha256
    assert masks(one='public.t.b = "public"\n"public.t.a" = "email"\n').sha256 == first
    others = [
        'public.t.a = "email"\npublic.t.b = "hidden"\n',
        'public.t.a = "email"\npublic.t.b = "public"\n[rows]\npublic.t = "true"\n',
        'public.t.a = "email"\npublic.t.b = "public"\n[views.eu]\nreveals = ["email"]\n',
        'public.t.a = "email"\npublic.t.b = "public"\n[classes.email]\nmask = "null"\n',
    ]
    assert first not in {masks(one=text).sha256 for text in others}
