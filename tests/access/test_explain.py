"""What a recorded plan makes; a plan that is not understood makes nothing, and explains nothing."""

import msgspec
import pytest
from msgspec.structs import replace

from chalicelib.access import issue
from chalicelib.access.explain import recorded
from chalicelib.access.grantor import Terms
from chalicelib.access.issue import Found, Relation
from chalicelib.access.made import makes
from chalicelib.access.plan import Plan, Step
from chalicelib.access.profile import Profile

ROLE = "hf_abc"
FOUND = Found(
    system="7000000000000000001",
    database="shop",
    broker="holdfast_broker",
    major=18,
    relations=(
        Relation("app", "Odd orders", "1", "table", ("INSERT", "SELECT")),
        Relation("app", "orders_id_seq", "2", "sequence", ("USAGE",)),
    ),
    group="",
    path=("app_masked", "App"),
    log_statement="set",
)


def plan(found=FOUND, **profile):
    terms = Terms(
        lease="shop.abcdefghijkm",
        target="postgres:shop",
        role=ROLE,
        holder="person:ana",
        profile_name="own",
        profile=Profile(privileges=("SELECT", "INSERT"), log_statement="ddl", **profile),
        until="2026-10-01T02:00:00.000000Z",
    )
    return issue.plan(terms, found)


def test_every_object_of_a_plan_is_told():
    scope = issue.scope(FOUND)
    made = makes(plan(roles=("Makers", "readers"), set_role="Makers"))
    grants = {
        f"{kind} {name} to {scope}"
        for kind, name in (
            ("table", 'app."Odd orders"'),
            ("view", 'app."Odd orders"'),
            ("sequence", "app.orders_id_seq"),
            ("schema", "app"),
        )
    }
    settings = (
        *("default_transaction_read_only", "statement_timeout", "log_statement", "role"),
        *("idle_in_transaction_session_timeout", "search_path"),
    )
    groups = ("holdfast_lease", issue.door("shop"), scope, '"Makers"', "readers")
    assert made.keys() == {
        ("role", ROLE),
        ("role", scope),
        *(("grant", one) for one in grants),
        *(("role_setting", f"{one} for role {ROLE}") for one in settings),
        *(("membership", f"{ROLE} in {one}") for one in groups),
    }
    assert made["grant", f'table app."Odd orders" to {scope}'] == {
        "of": 'table app."Odd orders"',
        "insert": ["by holdfast_grantor"],
        "select": ["by holdfast_grantor"],
    }
    assert made["role_setting", f"search_path for role {ROLE}"]["value"] == 'app_masked, "App"'
    assert made["role", ROLE]["login"] is True
    assert made["role", scope]["login"] is False
    assert made["membership", f'{ROLE} in "Makers"']["set"] is True
    assert made["membership", f"{ROLE} in readers"]["set"] is False
    before = makes(plan(replace(FOUND, major=15)))
    assert before["membership", f"{ROLE} in holdfast_lease"].keys() == {"of", "admin", "grantors"}


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE ROLE {role} LOGIN SUPERUSER",
        "CREATE ROLE {role} LOGIN; ALTER ROLE {role} SUPERUSER",
        "ALTER ROLE {role} SUPERUSER",
        "ALTER ROLE {role} IN DATABASE shop SET work_mem = {role}",
        "GRANT {role} TO {role} WITH ADMIN OPTION",
        "GRANT SELECT ON TABLE {role} TO {role} WITH GRANT OPTION",
        "GRANT ALL ON DATABASE {role} TO {role}",
        "DROP TABLE {role}",
    ],
)
def test_plan_with_a_step_that_is_not_understood_makes_nothing(sql):
    whole = plan()
    step = Step(sql=sql, identifiers={"role": ROLE})
    assert makes(whole)
    assert makes(replace(whole, steps=(*whole.steps, step))) == {}


def test_plan_is_read_back_as_it_was_recorded():
    whole = plan()
    body = {"plan": msgspec.json.decode(msgspec.json.encode(whole))}
    read = recorded(body)
    assert read is not None
    assert read.sha256 == whole.sha256
    assert makes(read) == makes(whole)


@pytest.mark.parametrize("body", [{}, {"plan": None}, {"plan": {"steps": []}}, {"plan": "x"}])
def test_record_without_a_plan_has_none(body):
    assert recorded(body) is None


def test_plan_of_a_role_of_aws_makes_nothing():
    step = Step(sql="", literals={"role": "arn:aws:iam::123456789012:role/x"})
    assert makes(Plan(purpose="issue", target="sts:a", assumes={}, steps=(step,))) == {}
