"""Masks files: the three spellings of a column, every refusal with its words, hostile names."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.access.masking import condition
from chalicelib.access.masking.classes import SHIPPED
from chalicelib.access.masking.masks import MAX_FILTER_CHARACTERS, Rule, ViewSet, parse
from chalicelib.access.masking.spec import Class, Spec
from chalicelib.access.profile import Table
from chalicelib.kernel.errors import UsageError

ORDERS = Table("app", "orders")
WORD = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20
)


def _masks(*texts):
    return parse([(f"m{number}", tomllib.loads(text)) for number, text in enumerate(texts, 1)])


def _quoted(name):
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize(
    "text",
    [
        'app.orders.email = "email"',
        '[app.orders]\nemail = "email"',
        '"app.orders.email" = "email"',
        'columns.app.orders.email = "email"',
        '[columns]\n"app.orders.email" = {class = "email"}',
        "[columns.app]\norders.email.class = 'email'",
    ],
)
def test_every_spelling_of_a_column_says_the_same(text):
    found = _masks(text)
    assert found.columns == {ORDERS: {"email": Rule("email")}}
    assert found.sha256 == _masks('app.orders.email = "email"').sha256


@pytest.mark.parametrize(
    "name",
    ["class", "mask", "columns", "rows", "views", "classes", "Odd.Name", 'a"b', "%s{0}", "ü\n"],
)
def test_a_name_is_a_name_wherever_it_stands(name):
    found = parse([("m", {"columns": {name: {name: {name: "email"}}}})])
    assert found.columns == {Table(name, name): {name: Rule("email")}}
    text = ".".join([_quoted(name)] * 3)
    assert parse([("m", {text: "email"})]).columns == found.columns
    assert parse([("m", {"rows": {name: {name: "true"}}})]).rows == {Table(name, name): "true"}


@given(WORD, WORD, WORD)
def test_any_name_in_one_text_is_the_name_that_was_quoted(schema, table, column):
    text = ".".join(map(_quoted, (schema, table, column)))
    assert parse([("m", {text: "email"})]).columns == {
        Table(schema, table): {column: Rule("email")}
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('app.orders.email = "email"', 'app.orders.email = "public"'),
        ('app.orders.email = "email"', '"app.orders.email" = "public"'),
        ('app.orders.email = "email"', 'columns.app.orders.email = "email"'),
        ('"app.orders.email" = "email"', '\'app."orders".email\' = "hidden"'),
    ],
)
def test_a_column_that_two_files_say_is_refused(first, second):
    for one, other in ((first, second), (second, first)):
        with pytest.raises(UsageError, match=r"^m2: app\.orders\.email is said twice$"):
            _masks(one, other)


def test_what_is_said_twice_in_one_file_is_refused():
    with pytest.raises(UsageError, match=r"m1: app\.orders\.email is said twice"):
        _masks('app.orders.email = "email"\n"app.orders.email" = "public"')
    with pytest.raises(UsageError, match=r"m1: rows of app\.orders is said twice"):
        _masks("[rows]\napp.orders = 'true'\n\"app.orders\" = 'false'")
    with pytest.raises(UsageError, match=r"m1: \[views\.eu\]: rows of app\.orders is said twice"):
        _masks("[views.eu.rows]\napp.orders = 'false'\n\"app.orders\" = 'true'")


@pytest.mark.parametrize(
    "text", ['[classes.own]\nmask = "null"', "[views.eu]\nreveals = []", "[rows]\napp.orders = 'x'"]
)
def test_no_file_wins_over_another(text):
    with pytest.raises(UsageError, match=r"m2: .* is said twice"):
        _masks(text, text)


def test_files_are_put_together():
    found = _masks(
        '[classes.badge]\nmask = "partial"\nlast = 2',
        'app.orders.badge = "badge"\n[views.eu]\nreveals = ["badge", "name", "badge"]',
    )
    assert found.classes["badge"] == Class(masks=(Spec("partial", {"last": 2}),))
    assert found.views == {"eu": ViewSet(("badge", "name"), {})}
    assert set(SHIPPED) < set(found.classes)


def test_a_digest_is_of_all_that_is_said():
    texts = [
        "",
        'app.orders.email = "email"',
        'app.orders.email = "hidden"',
        'app.orders.email = {class = "email", mask = "pseudonym"}',
        'app.orders.email = {class = "email", mask = "pseudonym", domain = "who"}',
        "[rows]\napp.orders = 'true'",
        "[views.eu.rows]\napp.orders = 'true'",
        "[views.eu]\nreveals = ['email']",
        "[classes.own]\npersonal = false",
    ]
    assert len({_masks(one).sha256 for one in texts}) == len(texts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('email = "email"', "m1: 'email' is not schema.table.column"),
        ('orders.email = "email"', "m1: orders.email: expected a table"),
        ('"orders.email" = "email"', "m1: 'orders.email' is not schema.table.column"),
        ('"a.b.c.d" = "email"', "m1: 'a.b.c.d' is not schema.table.column"),
        ('"a.b.c." = "email"', "m1: 'a.b.c.' is not schema.table.column"),
        ('"a..c" = "email"', "m1: 'a..c' is not schema.table.column"),
        ('"A.b.c" = "email"', "m1: 'A.b.c' is not schema.table.column"),
        ('"a.b.c d" = "email"', "m1: 'a.b.c d' is not schema.table.column"),
        ('"" = "email"', "m1: '' is not schema.table.column"),
        ('app.orders = "email"', "m1: app.orders: expected a table"),
        ("app = 5", "m1: app: expected a table"),
        ("columns = 5", "m1: columns: expected a table"),
        ("classes = 5", "m1: classes: expected a table"),
        ("rows = 5", "m1: rows: expected a table"),
        ("views = 5", "m1: views: expected a table"),
        ("app.orders.email = 5", "m1: app.orders.email: expected a class, or a table with"),
        ("app.orders.email = ['email']", "m1: app.orders.email: expected a class, or a table"),
        ('app.orders.email = "e-mail"', "m1: app.orders.email: there is no class 'e-mail'"),
        ("app.orders.email = {class = 5}", "m1: app.orders.email: there is no class '5'"),
        ("app.orders.email = {mask = 5}", "m1: app.orders.email: mask is the name of one"),
        ('app.orders.email = {mask = "rot13"}', "app.orders.email: there is no mask 'rot13'"),
        ('app.orders.email = {mask = "clear"}', "app.orders.email: clear is no mask of a column"),
        (
            'app.orders.email = {class = "email", domain = "x"}',
            "m1: app.orders.email: 'domain' is a parameter of no mask",
        ),
        (
            'app.orders.email = {mask = "partial", lsat = 2}',
            "app.orders.email: partial: there is no parameter 'lsat'",
        ),
        (
            'app.orders.email = {mask = "bucket", size = inf}',
            "m1: app.orders.email: bucket: ",
        ),
        (
            'app.orders.email = {mask = "constant", value = 2020-01-01}',
            "m1: app.orders.email: constant: value: Expected",
        ),
        ('app.orders.email = {class = "public", mask = "null"}', "what is public has no mask"),
        ('app.orders.email = {class = "hidden", mask = "null"}', "what is hidden has no mask"),
        ('[classes.Own]\nmask = "null"', "[classes.Own]: 1 to 40 lower-case letters"),
        (f"[classes.{'a' * 41}]\nmask = 'null'", "1 to 40 lower-case letters"),
        ("classes.own = 5", "m1: classes.own: expected a table"),
        ('[classes.own]\nmask = "rot13"', "[classes.own]: there is no mask 'rot13'"),
        ('[classes.own]\nmask = "clear"', "[classes.own]: clear is no mask of a column"),
        ("[classes.own]\nmask = 5", "[classes.own] masks: each is a table with mask"),
        ('[classes.own]\nmasks = ["null"]', "[classes.own] masks: each is a table with mask"),
        ('[classes.own]\nmasks = "null"', "[classes.own]: expected mask with its parameters"),
        ('[classes.own]\npersonal = "no"', "[classes.own]: expected mask with its parameters"),
        ("[classes.own]\ncolour = 1", "[classes.own]: expected mask with its parameters"),
        (
            '[classes.own]\nmask = "null"\nmasks = [{mask = "email"}]',
            "[classes.own]: mask or masks",
        ),
        ('[classes.own]\nmask = "null"\nclear = true', "[classes.own]: what is clear has no masks"),
        ("[classes.own]\nhidden = true\nclear = true", "[classes.own]: what is clear has no"),
        ('[classes.own]\nhidden = true\nmask = "null"', "[classes.own]: what is hidden has no"),
        ("[classes.public]\npersonal = true", "[classes.public]: what is public is always so"),
        ('[classes.hidden]\nmask = "null"', "[classes.hidden]: what is hidden is always so"),
        (
            '[classes.own]\nmask = "partial"\nlast = "two"',
            "[classes.own]: partial: last: Expected",
        ),
        ("[views.EU]\nreveals = []", "[views.EU]: 1 to 20 lower-case letters"),
        ("[views.a-b]\nreveals = []", "[views.a-b]: 1 to 20 lower-case letters"),
        (f"[views.{'a' * 21}]\nreveals = []", "1 to 20 lower-case letters"),
        ("views.eu = 5", "m1: views.eu: expected a table"),
        ("[views.eu]\nreveal = []", "[views.eu]: 'reveal' is not known; reveals and rows are"),
        ("[views.eu]\nreveals = 'name'", "[views.eu] reveals: expected a list of classes"),
        ("[views.eu]\nreveals = [1]", "[views.eu] reveals: expected a list of classes"),
        ("[views.eu]\nreveals = ['nme']", "[views.eu] reveals: there is no class 'nme'"),
        ("[views.eu]\nreveals = ['hidden']", "[views.eu] reveals: what is hidden is in no view"),
        ("[rows]\napp.orders = 5", "m1: rows of app.orders: expected a condition"),
        ("[rows]\napp.orders = '  '", "m1: rows of app.orders: expected a condition"),
        ('[rows]\napp.orders = "a\\u0000b"', "m1: rows of app.orders: expected a condition"),
        ("[rows]\norders = 'x'", "m1: 'orders' is not schema.table"),
        ("[rows]\n'a.b.c' = 'x'", "m1: 'a.b.c' is not schema.table"),
        (
            f"[rows]\napp.orders = '{'x' * (MAX_FILTER_CHARACTERS + 1)}'",
            "m1: rows of app.orders: at most 4000 characters, found 4001",
        ),
        (
            "[rows]\napp.orders = 'true) or (true'",
            "m1: rows of app.orders: not one condition: ) closes what was not opened in it",
        ),
        (
            "[views.eu.rows]\napp.orders = 'true; drop table x'",
            "rows of app.orders: not one condition: it has a ; that is in no string",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(text, words):
    with pytest.raises(UsageError) as caught:
        _masks(text)
    assert words in caught.value.message


def test_too_many_columns_are_refused(monkeypatch):
    monkeypatch.setattr("chalicelib.access.masking.masks.MAX_COLUMNS", 2)
    with pytest.raises(UsageError, match="at most 2 columns"):
        parse([("m", {"app": {"t": dict.fromkeys("abc", "email")}})])


@pytest.mark.parametrize(
    "text",
    [
        "a = 'x'",
        "a = 'it''s' -- the end",
        "a = 'x' /* /* ) */ ( */",
        "a = $tag$ ) $tag$",
        "a = $$ ) $$ || $a$ $$ ) $a$",
        'a$b$ = 1 and "c)" = "d"")"',
        "a = E'\\' )'",
        "a = e'\\\\' or b[1:2] @> (c)",
        "a = U&'\\0061'",
        "name = 'ü' and ü$x$ = 1",
        "a = any (select b from c where ')' <> \"]\")",
        "{fn} %s %(x)s",
    ],
)
def test_a_condition_that_ends_where_it_ends_is_taken(text):
    assert condition.refusal(text) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("true) or (true", ") closes"),
        ("a = ']' ] [", "] closes"),
        ("(]", "] closes"),
        ("(a", "( is not closed"),
        ("a[1", "[ is not closed"),
        ("'a", "a string in it does not end"),
        ("'a' || E'\\'", "a string in it does not end"),
        ('"a', "a quoted name in it does not end"),
        ("a /* b", "a comment in it does not end"),
        ("a /* /* */ b", "a comment in it does not end"),
        ("a = $a$ b $A$", "$ begins a string"),
        ("a = $1", "$ begins a string"),
        ("true;", "it has a ;"),
        ("true \\g", "it has a backslash"),
        ("xe'\\' ) or ('", ") closes"),
        ("true --\r) or (true", ") closes"),
        ("a -/* ) */ --/* \n ) or (true", ") closes"),
        ("e'a'\n'\\' ) or ('", "it has two strings one after the other"),
        ("e'a' -- x\n /* y */ '\\' ) or ('", "it has two strings one after the other"),
    ],
)
def test_a_condition_that_could_end_elsewhere_is_refused(text, why):
    assert condition.refusal(text).startswith(why)
