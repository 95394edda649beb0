"""``holdfast mask``: suggested, applied, attacked and reported, as somebody does it."""

import json
import tomllib

import psycopg
import pytest

MASKS = """
public.orders.id = "public"
public.orders.total = "public"
public.customers.id = "public"
public.customers.name = "name"
public.customers.email = "email"
"""
SECTION = """
[targets.orders.masking]
files = ["masks.toml"]
dsn_env = "SUPER_DSN"
"""


@pytest.fixture
def masked(leased, database):
    """A target with people in a table, and masks for all but one of its columns."""
    database.run(
        "ALTER TABLE customers ADD email text, ADD note text",
        "INSERT INTO customers SELECT i, 'Name of ' || i, 'person' || i || '@example.org',"
        " 'a note on ' || i FROM generate_series(1, 50) AS i",
    )
    with (leased.home / "holdfast.toml").open("a") as file:
        file.write(SECTION)
    (leased.home / "masks.toml").write_text(MASKS)
    return leased


def classify(masked, *lines):
    with (masked.home / "masks.toml").open("a") as file:
        file.write("\n".join(lines) + "\n")


def agreed(masked, *words):
    """The id of a request of ana's that ben has agreed to."""
    answer = masked(
        "--as", "ana", "request", "orders", "--profile", "read-masked", "--reason", "a report"
    )
    masked("--as", "ben", "approve", answer.out.strip())
    return answer.out.strip()


def checked(masked, *words, expect=None):
    """A check with a lease that ben agreed to."""
    return masked(
        "--as", "ana", "mask", "check", "orders", "--lease", agreed(masked), *words, expect=expect
    )


def read(masked, asked, query):
    """Rows, as the holder of a lease gets them."""
    fields = masked("--as", "ana", "creds", asked, "--format", "json").json["fields"]
    with psycopg.connect(**fields) as connection:
        return connection.execute(query).fetchall()


def test_a_masked_lease_reads_the_view_under_the_tables_name(masked):
    masked("mask", "apply", "orders", expect=1)
    asked = agreed(masked)
    rows = read(masked, asked, "SELECT * FROM customers ORDER BY id LIMIT 1")
    assert rows[0][0] == 1
    assert rows[0][1].startswith("p_")
    assert "person1@" not in rows[0][2]
    assert len(rows[0]) == 3  # the note has no class
    masked("--as", "ana", "revoke", asked)


def test_apply_tells_the_column_without_a_class_and_exits_1(masked):
    answer = masked("mask", "apply", "orders", expect=1)
    assert "public.customers.note has no class" in answer.err
    classify(masked, 'public.customers.note = "free-text"')
    answer = masked("mask", "apply", "orders")
    assert "1 view replaced" in answer.err
    assert "nothing to be changed" in masked("mask", "apply", "orders").err


def test_apply_tells_the_class_of_a_column_that_is_gone(masked):
    classify(masked, 'public.customers.note = "hidden"', 'public.customers.age = "public"')
    answer = masked("mask", "apply", "orders", expect=1)
    assert "public.customers.age has a class, and is not there" in answer.err


def test_print_gives_the_sql_and_changes_nothing(masked, database):
    answer = masked("mask", "apply", "orders", "--print", expect=1)
    assert 'CREATE VIEW "public_masked"."customers" WITH (security_barrier=true)' in answer.out
    assert "nothing was run" in answer.err
    assert database.value("SELECT count(*) FROM pg_namespace WHERE nspname ~ 'mask'") == 0
    with psycopg.connect(database.dsn) as connection:
        connection.execute(answer.out)
    assert "nothing to be changed" in masked("mask", "apply", "orders", expect=1).err


def test_what_was_applied_is_a_record_and_what_was_printed_is_none(masked):
    masked("mask", "apply", "orders", "--print", expect=1)
    assert masked("evidence", "ls", "--kind", "masking.applied", "--json").json == []
    masked("mask", "apply", "orders", expect=1)
    records = masked("evidence", "ls", "--kind", "masking.applied", "--json").json
    assert [one["stream"] for one in records] == ["access:orders"]
    assert "@example.org" not in json.dumps(records)


def test_masks_that_do_not_fit_change_nothing(masked, database):
    classify(masked, 'public.customers.note = {class = "free-text", mask = "network"}')
    answer = masked("mask", "apply", "orders", expect=2)
    assert "public.customers column 'note' (text)" in answer.err
    assert database.value("SELECT count(*) FROM pg_namespace WHERE nspname ~ 'mask'") == 0


def test_a_target_without_masks_says_how_to_begin(leased):
    answer = leased("mask", "apply", "orders", expect=2)
    assert "holdfast mask suggest orders --toml" in answer.err


def test_check_attacks_as_a_lease_that_is_ended_afterwards(masked, database):
    classify(masked, 'public.customers.note = "free-text"')
    masked("mask", "apply", "orders")
    answer = checked(masked, "--json")
    verdicts = {one["verdict"] for one in answer.json["outcomes"]}
    assert "leaked" not in verdicts, answer.out
    assert "held" in verdicts
    assert answer.code == (3 if "untold" in verdicts else 0)
    assert masked("show", answer.json["request"], "--json").json["phase"] == "active"
    record = masked("evidence", "ls", "--kind", "masking.checked", "--json").json
    assert len(record) == 1


def test_check_finds_a_view_that_shows_the_clear_value(masked, database):
    classify(masked, 'public.customers.note = "free-text"')
    masked("mask", "apply", "orders")
    owner = database.value("SELECT viewowner FROM pg_views WHERE schemaname = 'public_masked'")
    database.run(
        f"GRANT SELECT ON customers TO {owner}",
        "CREATE OR REPLACE VIEW public_masked.customers WITH (security_barrier) AS"
        " SELECT id, name, email, note FROM public.customers",
    )
    answer = checked(masked, expect=1)
    assert "leaked" in answer.out
    assert "the views are not what the masks say" in answer.err
    assert "person1@example.org" not in answer.out + answer.err


def test_a_check_that_somebody_has_to_agree_to_says_how_to_go_on(masked):
    masked("mask", "apply", "orders", expect=1)
    answer = masked("--as", "ana", "mask", "check", "orders", expect=4)
    assert "holdfast mask check orders --profile read-masked --lease orders." in answer.err
    listed = masked("ls", "--json").json
    assert [one["phase"] for one in listed] == ["pending"]


def test_a_check_that_nobody_has_to_agree_to_ends_its_lease(masked, database):
    with (masked.home / "holdfast.toml").open("a") as file:
        file.write('[policy]\nfiles = ["check.cedar"]\n')
    (masked.home / "check.cedar").write_text(
        '@id("nina.checks")\n@approvals("0")\n@max("1h")\npermit (principal == Person::"nina",'
        ' action == Action::"lease:request", resource)\n'
        'when { context.profile == "read-masked" };\n'
    )
    masked("mask", "apply", "orders", expect=1)
    answer = masked("--as", "nina", "mask", "check", "orders", "--json", expect=1)
    assert answer.json["unclassified"] == [["public", "customers", "note"]]
    assert masked("show", answer.json["request"], "--json").json["phase"] == "ended"
    assert database.value(r"SELECT count(*) FROM pg_roles WHERE rolname LIKE 'hf\_%'") == 0


def test_a_profile_that_is_not_masked_is_not_checked(masked):
    answer = masked("mask", "check", "orders", "--profile", "read-clear", expect=2)
    assert "is not masked" in answer.err


def test_suggestions_are_a_masks_file_and_never_a_value(masked):
    answer = masked("mask", "suggest", "orders", "--toml")
    assert tomllib.loads(answer.out)["columns"]["public"]["customers"]["email"] == "email"
    table = masked("mask", "suggest", "orders").out
    listed = masked("mask", "suggest", "orders", "--json")
    for text in (answer.out, table, listed.out, listed.err):
        assert "person1@" not in text
        assert "Name of 1" not in text
    classes = {one["column"]: one["klass"] for one in listed.json if one["table"] == "customers"}
    assert classes["email"] == "email"


def test_coverage_says_what_is_personal_and_who_saw_it_clear(masked):
    answer = masked("mask", "coverage", "orders")
    assert "it cannot be told which columns are personal" in answer.out
    masked("mask", "apply", "orders", expect=1)
    asked = masked(
        *("--as", "ana", "request", "orders", "--profile", "read-clear"),
        *("--tables", "public.customers", "--reason", "INC-481 refund bug"),
    ).out.strip()
    masked("--as", "ben", "approve", asked)
    masked("--as", "ana", "creds", asked)
    hidden = agreed(masked)
    masked("--as", "ana", "creds", hidden)
    told = masked("mask", "coverage", "orders").out
    assert "2 personal columns, 1 without a class" in told
    assert "public.customers.email" in told
    assert asked in told
    assert "INC-481 refund bug" in told
    assert "approved by" in told
    assert hidden not in told
    found = masked("mask", "coverage", "orders", "--json").json
    assert [one["lease"] for one in found["leases"]] == [asked]
    assert found["leases"][0]["approvals"][0]["by"].endswith("ben")


def test_a_view_of_somebody_elses_is_a_finding_and_the_others_are_attacked(masked, database):
    classify(masked, 'public.customers.note = "free-text"')
    masked("mask", "apply", "orders")
    asked = agreed(masked)
    masked("--as", "ana", "creds", asked)
    database.run("CREATE VIEW public_masked.extra AS SELECT email FROM public.customers")
    answer = masked("--as", "ana", "mask", "check", "orders", "--lease", asked, "--json", expect=1)
    assert "public_masked.extra is there already" in answer.json["in_the_way"]
    assert {one["verdict"] for one in answer.json["outcomes"]} >= {"held"}
    assert "masked leases may read it" in answer.err


def test_a_check_with_a_lease_of_some_tables_attacks_these(masked):
    classify(masked, 'public.customers.note = "free-text"')
    masked("mask", "apply", "orders")
    asked = masked(
        *("--as", "ana", "request", "orders", "--profile", "read-masked"),
        *("--tables", "public.customers", "--reason", "a report"),
    ).out.strip()
    masked("--as", "ben", "approve", asked)
    answer = masked("--as", "ana", "mask", "check", "orders", "--lease", asked, "--json")
    assert {one["where"] for one in answer.json["outcomes"]} == {"public.customers", ""}
    wrong = masked("mask", "check", "orders", "--tables", "public.custmers", expect=2)
    assert "correct --tables" in wrong.err
