"""The catalogue of masks without a server: what it refuses, and what its documentation says."""

import re
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from chalicelib.access.masking.catalogue import CATALOGUE, expression, refusal
from chalicelib.access.masking.column import Family, Type
from chalicelib.access.masking.draft import Draft
from chalicelib.access.masking.spec import Spec
from chalicelib.kernel.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "masking.md"


def of(name, family, **more):
    return Type(schema="pg_catalog", name=name, family=family, shown=name, **more)


TEXT = of("text", Family.TEXT)
INT = of("int4", Family.INT)
DATE = of("date", Family.DATE)
JSONB = of("jsonb", Family.JSONB)
COLUMNS = {
    "v": TEXT,
    "subject": INT,
    "note": of("json", Family.JSON),
    "tags": of("_text", Family.TEXT, array=True),
}


@pytest.mark.parametrize(
    ("spec", "type_", "words"),
    [
        (Spec("emial"), TEXT, ["there is no mask 'emial'", "did you mean 'email'"]),
        (Spec("email"), INT, ["email does not take int4", "clear, null, constant", "noise"]),
        (Spec("bucket", {"size": 3}), DATE, ["date", "shift, generalise"]),
        (Spec("partial"), of("xml", Family.XML), ["clear, null, constant do"]),
        (Spec("partial", {"last": 9}), TEXT, ["partial: last: Expected int <= 8"]),
        (Spec("partial", {"last": True}), TEXT, ["last: Expected int"]),
        (Spec("partial", {"with": "ab"}), TEXT, ["with: Expected str matching"]),
        (Spec("partial", {"fist": 1}), TEXT, ["no parameter 'fist'", "first, last, with"]),
        (Spec("partial", {"fist": 1}), TEXT, ["did you mean 'first'"]),
        (Spec("null", {"value": 1}), TEXT, ["no parameter 'value', it has none"]),
        (Spec("constant"), INT, ["value is needed"]),
        (
            Spec("constant", {"value": "(1)"}),
            Type(schema="app", name="pair", family=Family.COMPOSITE),
            ["only of built-in types, enums and citext"],
        ),
        (Spec("constant", {"value": "a\0"}), TEXT, ["value: Expected str matching"]),
        (Spec("pseudonym", {"domain": "a:b"}), TEXT, ["domain: Expected str matching"]),
        (Spec("pseudonym", {"domain": "noise/a"}), TEXT, ["domain: Expected str matching"]),
        (Spec("pseudonym", {"domain": "a\n"}), TEXT, ["domain: Expected str matching"]),
        (Spec("digits", {"last": 5}), TEXT, ["last: Expected int <= 4"]),
        (Spec("network", {"v4": 32}), of("inet", Family.INET), ["v4: Expected int <= 28"]),
        (Spec("shift", {"days": 0}), DATE, ["days: Expected int >= 1"]),
        (Spec("shift", {"by": "subjet"}), DATE, ["no column 'subjet'", "did you mean 'subject'"]),
        (Spec("shift", {"by": "note"}), DATE, ["'note' is json"]),
        (Spec("noise", {"by": "tags"}), INT, ["'tags' is _text"]),
        (Spec("noise", {"ratio": 0.5, "amount": 3}), INT, ["ratio or amount, not both"]),
        (Spec("noise", {"ratio": 0}), INT, ["ratio: Expected float >= 0.01"]),
        (Spec("noise", {"amount": 40_000}), of("int2", Family.INT), ["at most 32767"]),
        (Spec("bucket"), INT, ["missing required field size"]),
        (Spec("bucket", {"size": 1}), INT, ["whole number >= 2"]),
        (Spec("bucket", {"size": 2.5}), INT, ["whole number >= 2"]),
        (Spec("generalise", {"to": "minute"}), DATE, ["to: Invalid enum value"]),
        (Spec("generalise", {"to": "day"}), DATE, ["leaves a date as it is"]),
        (Spec("generalise"), of("time", Family.TIME), ["to = 'hour' can be"]),
        (Spec("json"), JSONB, ["missing required field paths"]),
        (Spec("json", {"paths": {}}), JSONB, ["paths: Expected object of length >= 1"]),
        (Spec("json", {"paths": {str(n): "null" for n in range(65)}}), JSONB, ["length <= 64"]),
        (Spec("json", {"paths": {"a": "emial"}}), JSONB, ["a: there is no mask", "'email'"]),
        (Spec("json", {"paths": {"a": "shift"}}), JSONB, ["a: shift does not take text"]),
        (Spec("json", {"paths": {"a": "json"}}), JSONB, ["a: there is no mask 'json'"]),
        (Spec("json", {"paths": {"a": {"last": 1}}}), JSONB, ["a: expected a mask"]),
        (Spec("json", {"paths": {"a": {"mask": "email", "first": 9}}}), JSONB, ["first: Expected"]),
        (Spec("json", {"paths": {"a": {"mask": "noise", "by": "x"}}}), JSONB, ["no column 'x'"]),
    ],
)
def test_a_refusal_says_what_would_do(spec, type_, words):
    said = refusal(spec, type_, COLUMNS)
    for word in words:
        assert word in said
    draft = Draft("public", "t", COLUMNS)
    with pytest.raises(UsageError, match=re.escape(said)):
        expression(draft, draft.column("v"), type_, spec)


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[0]",
        "a[*",
        "[*]x",
        "a b",
        'a."',
        '"a',
        "a.[*]",
        '"\\n"',
        '""',
    ],
)
def test_what_is_no_path_is_refused(path):
    assert refusal(Spec("json", {"paths": {path: "null"}}), JSONB, {})


def test_paths_are_bounded():
    assert not refusal(Spec("json", {"paths": {".".join("a" * 12): "null"}}), JSONB, {})
    assert "12 steps" in refusal(Spec("json", {"paths": {".".join("a" * 13): "null"}}), JSONB, {})
    assert refusal(Spec("json", {"paths": {"a" * 401: "null"}}), JSONB, {})


@pytest.mark.parametrize(
    ("paths", "why"),
    [
        (["a", "a.b"], "ends on its way"),
        (["a.b", "a"], "goes on behind it"),
        (["a", '"a"'], "or is the same"),
        (["a.b", "a[*]"], "an array"),
        (["a[*].b", "a.b"], "an array"),
        (["[*]", "a"], "an array"),
        (["a[*]", "a[*].b"], "ends on its way"),
    ],
)
def test_paths_that_cannot_be_in_one_document_are_refused(paths, why):
    spec = Spec("json", {"paths": dict.fromkeys(paths, "null")})
    assert why in refusal(spec, JSONB, {})


@pytest.mark.parametrize("family", Family)
def test_every_type_can_be_shown_left_empty_or_constant(family):
    one = of("x", family)
    assert not refusal(Spec("clear"), one, {})
    assert not refusal(Spec("null"), one, {})
    assert not refusal(Spec("constant", {"value": "x"}), one, {})


def test_a_mask_of_an_array_takes_what_its_elements_are():
    texts = of("_text", Family.TEXT, array=True, element=("pg_catalog", "text"))
    assert not refusal(Spec("email"), texts, {})
    assert "email does not take" in refusal(
        Spec("email"), of("_int4", Family.INT, array=True, element=("pg_catalog", "int4")), {}
    )


def test_masks_are_named_as_they_are_listed():
    assert all(name == entry.name for name, entry in CATALOGUE.items())


# --- the documentation ----------------------------------------------------------------------------

_WORDS = {
    frozenset(Family): "all",
    frozenset({Family.INT, Family.DECIMAL, Family.FLOAT}): "numbers",
}
_NAMES = {
    Family.INT: "integers",
    Family.DECIMAL: "numeric",
    Family.FLOAT: "floats",
    Family.MAC: "macaddr",
}


def _types(families):
    found = [_NAMES.get(one, one.value) for one in Family if one in families]
    return _WORDS.get(frozenset(families)) or ", ".join(found)


def _bounds(type_):
    if isinstance(type_, inspect.UnionType):
        return next(filter(None, map(_bounds, type_.types)), "")
    if isinstance(type_, inspect.LiteralType):
        return ", ".join(type_.values)
    if isinstance(type_, inspect.IntType | inspect.FloatType):
        return f"{type_.ge:g} to {type_.le:g}"
    return ""


def _parameters(entry):
    found = []
    for field in inspect.type_info(entry.parameters).fields:
        default = (
            ""
            if field.default in (msgspec.NODEFAULT, None)
            else msgspec.json.encode(field.default).decode()
        )
        bounds = _bounds(field.type)
        told = f"`{field.encode_name}{f' = {default}' if default else ''}`"
        found.append(told + (f" ({bounds})" if bounds else ""))
    return ", ".join(found) or "none"


def rows():
    """The table of docs/masking.md."""
    for name, one in CATALOGUE.items():
        cells = [f"`{name}`", _types(one.families), _parameters(one), one.does]
        yield " | ".join([*cells, one.of_null, one.joins, one.reversible])


def test_the_documentation_has_every_mask_as_it_is():
    page = PAGE.read_text("utf-8")
    section = page.split("\n## Masks\n", 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]
    listed = [line.strip("| ") for line in section.splitlines() if line.startswith("| `")]
    assert listed == list(rows())


def test_the_other_catalogues_name_no_mask_that_is_not_there():
    page = PAGE.read_text("utf-8").split("\n### Other catalogues\n", 1)[1].split("\n## ", 1)[0]
    ours = [
        cell for line in page.splitlines() if line.startswith("|") for cell in line.split("|")[2:3]
    ]
    named = {word for cell in ours for word in re.findall(r"`([a-z]+)`", cell)}
    assert named
    assert named <= set(CATALOGUE)
