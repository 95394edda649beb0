import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.columns import TYPES, corpus, tables

from chalicelib.access.masking import classes, masks
from chalicelib.access.masking.column import Family, Type
from chalicelib.access.suggestion import naming, proposal, tally, vocabulary
from chalicelib.access.suggestion.specimen import Column, Table

FIRM = ("sure", "likely")


def made(name, *values, kind="text", table="t", **more):
    return proposal.propose(Column(name=name, type=TYPES[kind], values=values, **more), table)


def emails(number):
    return [f"p{at}@example.com" for at in range(number)]


def scores(labelled):
    """Precision of what is sure or likely, recall of what is personal, and what differs."""
    right = wrong = found = missed = 0
    different = []
    for one, proposed in zip(labelled, proposal.propose_all(tables(labelled)), strict=True):
        said = "" if proposed.klass == "public" else proposed.klass
        firm = bool(said) and proposed.sure in FIRM
        right += firm and said == one.truth
        wrong += firm and said != one.truth
        found += bool(one.truth) and said == one.truth
        missed += bool(one.truth) and said != one.truth
        if said != one.truth:
            different.append((one.table, one.name, said))
    return right / (right + wrong), found / (found + missed), different


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_corpus_is_told_from_samples(seed):
    precision, recall, different = scores(corpus(values=100, seed=seed))
    assert precision >= 0.97, different
    assert recall >= 0.97, different


def test_the_corpus_is_told_from_few_values():
    precision, recall, different = scores(corpus(values=12))
    assert precision >= 0.95, different
    assert recall >= 0.93, different


def test_the_corpus_is_told_from_names_and_types_alone():
    precision, recall, different = scores(corpus(values=0))
    assert precision >= 0.95, different
    assert recall >= 0.75, different


def test_no_trap_is_personal_and_sure():
    labelled = [one for one in corpus(values=100) if not one.truth]
    assert len(labelled) >= 25
    for proposed in proposal.propose_all(tables(labelled)):
        assert proposed.klass in {"", "public"} or proposed.sure == "possible", proposed
        assert proposed.klass != "public" or proposed.sure == "possible"


@pytest.mark.parametrize(
    ("table", "name", "klass", "role"),
    [
        ("users", "name", "name", ""),
        ("products", "name", "", ""),
        ("kunden", "Name", "name", ""),
        ("", "filename", "", ""),
        ("", "hostname", "", ""),
        ("", "company_name", "", "side"),
        ("", "email_count", "", "count"),
        ("", "num_emails", "", "count"),
        ("", "email_verified_at", "", "moment"),
        ("", "isEmailVerified", "", "flag"),
        ("", "address_id", "", "key"),
        ("", "device_id", "device", ""),
        ("", "token_type", "", "ordinary"),
        ("", "has_phone", "", "flag"),
        ("", "card_network", "", "side"),
        ("", "last_login", "", ""),
        ("", "PLZ", "postcode", ""),
        ("", "Straße", "address", ""),
        ("", "prénom", "name", ""),
        ("", "emailAddress2", "email", ""),
        ("", "rechnungsadresse", "address", ""),
        ("", "diagnosis_code", "special", ""),
        ("", "is_pregnant", "special", ""),
        ("", "public_key", "", "key"),
        ("", "", "", ""),
        ("", "123", "", ""),
        ("", "s", "", ""),
    ],
)
def test_a_name_says_what_its_end_says(table, name, klass, role):
    said = naming.says(name, table)
    assert (said.klass, said.role) == (klass, role)


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_name_says_something_known(name, table):
    said = naming.says(name, table)
    assert said.klass == "" or said.klass in classes.SHIPPED


def test_all_phrases_are_of_shipped_classes_and_in_words():
    for phrase, (klass, _) in vocabulary.PHRASES.items():
        assert klass in classes.SHIPPED
        assert naming.words(phrase) == tuple(phrase.split())
    assert set(vocabulary.SUFFIXES.values()) <= set(classes.SHIPPED)


def test_reasons_have_counts():
    proposed = made("email", *emails(97), "n/a", "none", "x")
    assert (proposed.klass, proposed.sure, proposed.sampled) == ("email", "sure", 100)
    assert proposed.why == (
        "97 of 100 sampled values are e-mail addresses",
        "its name says e-mail",
    )


def test_of_few_values_nothing_is_sure_by_them_alone():
    assert made("c", *emails(10)).sure == "sure"
    assert made("c", *emails(9)).sure == "likely"
    assert made("c").klass == ""


def test_some_addresses_in_free_text_are_found():
    texts = ["the customer called again about the late parcel today"] * 90
    proposed = made("c", *texts, *(f"please write to {one} about the parcel" for one in emails(10)))
    assert (proposed.klass, proposed.sure) == ("free-text", "likely")
    assert proposed.why[0] == "10 of 100 sampled values are or hold e-mail addresses"


def test_a_name_that_no_value_bears_out_is_possible_at_most():
    proposed = made("email", *(f"template-{at}" for at in range(20)))
    assert (proposed.klass, proposed.sure) == ("email", "possible")
    assert proposed.why[1] == "none of 20 sampled values looks so"


def test_a_name_that_means_other_things_too_gives_way_to_values():
    assert made("signature", *emails(20)).klass == "email"
    assert (made("signature").klass, made("signature").sure) == ("secret", "possible")
    assert made("password", *emails(20)).klass == "secret"


def test_one_check_digit_of_eleven_is_no_finding():
    numbers = [str(100_000_000 + 37 * at) for at in range(200)]
    counts = tally.tally(numbers)
    assert any(group.whole for group in counts.groups)  # some of them pass, as they have to
    assert made("c", *numbers).klass == ""


def test_coincidence_is_more_than_its_share():
    assert not tally.beyond_chance(10, 100, 0.1)
    assert not tally.beyond_chance(1, 1, 0.1)
    assert tally.beyond_chance(100, 100, 0.1)
    assert tally.beyond_chance(2, 100, 0.000_001)
    assert not tally.beyond_chance(0, 0, 0.1)


def test_a_type_limits_what_a_name_can_say():
    assert made("email", kind="bool").klass == "public"
    assert made("token", kind="int").klass == ""
    assert made("cvv", kind="int").klass == "secret"
    assert made("birth", kind="uuid").klass == ""


def test_some_types_say_what_they_hold():
    def typed(name, family=Family.OTHER):
        of = Type(schema="pg_catalog", name=name, family=family, shown=name)
        return proposal.propose(Column(name="c", type=of), "t").klass

    assert [typed("tsvector"), typed("point"), typed("money")] == ["free-text", "location", ""]
    assert [typed("inet", Family.INET), typed("macaddr", Family.MAC)] == ["ip", "device"]


def test_what_is_too_large_to_be_sampled_is_text():
    proposed = made("c", "short", large=9, note="9 of 10 values were too large to be sampled")
    assert (proposed.klass, proposed.sure) == ("free-text", "likely")
    assert "too large" in proposed.note


def test_keys_that_the_server_makes_are_possibly_public():
    proposed = made("device_id", kind="bigint", primary=True, made=True)
    assert (proposed.klass, proposed.sure) == ("public", "possible")
    proposed = made("email", *emails(20), primary=True, made=True)
    assert proposed.klass == "email"


def test_a_document_says_what_is_inside():
    proposed = made("data", *('{"a": ["%s"]}' % one for one in emails(20)), kind="jsonb")  # noqa: UP031
    assert (proposed.klass, proposed.sure) == ("document", "likely")
    assert proposed.why[1] == "20 of 20 sampled values have e-mail addresses inside"


def table(name, *columns):
    return Table(schema="public", name=name, kind="r", columns=columns)


def keyed(name, refers=None, **more):
    return Column(name=name, type=TYPES["text"], refers=refers, **more)


def test_a_foreign_key_is_what_it_refers_to():
    found = proposal.propose_all(
        [
            table("a", keyed("who", ("public", "b", "ref"))),
            table("b", keyed("ref", ("public", "c", "mail_code"))),
            table("c", keyed("mail_code", values=tuple(emails(20)))),
            table("d", keyed("religion", ("public", "e", "id"))),
            table("e", Column(name="id", type=TYPES["int"], primary=True, made=True)),
        ]
    )
    assert [one.klass for one in found] == ["email", "email", "email", "special", "public"]
    assert found[0].why[0] == "it refers to public.c.mail_code"


def test_foreign_keys_in_a_circle_end():
    found = proposal.propose_all(
        [
            table("a", keyed("x", ("public", "b", "x"))),
            table("b", keyed("x", ("public", "a", "x"))),
            table("c", keyed("x", ("public", "c", "x")), keyed("y", ("gone", "z", "y"))),
        ]
    )
    assert [one.klass for one in found] == ["", "", "", ""]


secrets = st.text("abcdefghijklmnop0123456789@. -", min_size=6, max_size=60)


@given(st.lists(st.one_of(secrets, st.sampled_from(emails(5))), min_size=1, max_size=30))
def test_no_value_is_in_a_proposal(values):
    proposed = made("column_of_values", *values)
    shown = f"{proposed!r} {proposal.toml([proposed])}"
    allowed = f"{made('column_of_values')!r} {proposal.toml([])}"
    for value in values:
        text = value.strip()
        if len(text) >= 6 and not re.search(re.escape(text), allowed):
            assert text not in re.sub(r"\d+ of \d+ sampled values[a-z ,-]*", "", shown)


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_type_gets_an_answer(kind):
    for one in corpus(values=5):
        column = Column(name=one.name, type=TYPES[kind], values=one.column.values)
        assert proposal.propose(column, one.table).klass in {"", *classes.SHIPPED}


@pytest.mark.parametrize("family", list(Family))
def test_every_family_gets_an_answer(family):
    of = Type(schema="public", name="own", family=family, shown="own")
    for name in ("x", "email", "gender", "password"):
        assert proposal.propose(Column(name=name, type=of), "t").type == "own"


def proposed_for(schema, table, column, **more):
    fields = {"type": "text", "klass": "", "sure": "", "why": (), "sampled": 0, "note": "", **more}
    return proposal.Proposal(schema=schema, table=table, column=column, **fields)


NAMES = [
    "a",
    'quo"te',
    "dot.ted",
    "new\nline",
    "# x = 1",
    "]",
    "\u202eturn",
    "\u3164",
    "é",
    "\\u0041",
]
NAMES += [
    "'",
    '"""',
    "a = 1 #",
    "\x7f",
    "\x01",
    "\t",
    "\U000e0041",
    "1",
    "-",
    "columns",
    "classes",
    "class",
]
name = st.one_of(
    st.sampled_from(NAMES),
    st.text(
        st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20
    ),
)


def read(text):
    return {
        (schema, table, column): klass
        for schema, inner in tomllib.loads(text).get("columns", {}).items()
        for table, columns in inner.items()
        for column, klass in columns.items()
    }


@given(st.lists(st.tuples(name, name, name, name), unique_by=lambda one: one[:3], max_size=8))
def test_a_masks_file_reads_back_to_exactly_its_names(several):
    firm = [
        proposed_for(*one[:3], klass="email", sure="sure", why=(one[3],), type=one[3], note=one[3])
        for one in several
    ]
    text = proposal.toml(firm)
    assert set(read(text)) == {one[:3] for one in several}
    assert set(read(text).values()) <= {"email"}
    assert all(char.isprintable() for char in text.replace("\n", ""))
    parsed = masks.parse([("file", tomllib.loads(text))])
    assert {(t.schema, t.name, c) for t, rules in parsed.columns.items() for c in rules} == {
        one[:3] for one in several
    }


@given(st.lists(st.tuples(name, name, name, name), unique_by=lambda one: one[:3], max_size=8))
def test_what_is_not_decided_is_a_comment_that_can_be_taken_away(several):
    loose = [
        proposed_for(
            *one[:3], klass=("", "public")[at % 2], sure=("", "possible")[at % 2], note=one[3]
        )
        for at, one in enumerate(several)
    ]
    text = proposal.toml(loose)
    assert read(text) == {}
    head, _, lines = text.partition("[columns]\n")
    freed = head + "[columns]\n" + re.sub("(?m)^# ", "", lines)
    assert set(read(freed)) == {one[:3] for one in several}


def test_a_masks_file_as_it_is_read():
    text = proposal.toml(
        [
            proposed_for(
                "public", "customers", "email", klass="email", sure="sure", why=("9 of 9",)
            ),
            proposed_for("public", "customers", "x", note="not sampled: permission denied"),
            proposed_for(
                "public", "Odd one", "id", klass="public", sure="possible", why=("a key",)
            ),
        ]
    )
    assert text.partition("[columns]\n")[2] == (
        'public.customers.email = "email"  # sure: 9 of 9 (text)\n'
        '# public.customers.x = ""  # nothing was found; not sampled: permission denied (text)\n'
        "\n"
        '# public."Odd one".id = "public"  # possible: a key (text)\n'
    )
