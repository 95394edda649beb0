"""Who may do what, and what a change of that comes to."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.drift.diff import diff
from chalicelib.drift.effective import graph
from chalicelib.drift.effective.answer import everything, privileges_of, who_can
from chalicelib.drift.effective.changes import effects
from chalicelib.drift.effective.closure import effective
from chalicelib.drift.effective.compare import BECOME, GRANT, USE, compare
from chalicelib.drift.effective.graph import Edge, Graph, Roll
from chalicelib.drift.effective.inputs import split
from chalicelib.drift.effective.privileges import PREDEFINED, PRIVILEGES, PUBLIC, ROLE
from chalicelib.drift.iam.compare import Widening
from chalicelib.drift.iam.roll import bits
from chalicelib.drift.judge import Direction, judge, load
from chalicelib.drift.snapshot import Object, build, unreadable
from chalicelib.drift.verdict import MAX_REASONS
from chalicelib.kernel.errors import Unsupported

RULES = load()
ATTRIBUTES = ("superuser", "bypass_rls", "create_role", "create_db", "replication")


def role(name, **more):
    return Object("role", name, dict.fromkeys(ATTRIBUTES, False) | {"inherit": True} | more)


def member(name, of, **more):
    options = {"admin": False, "inherit": True, "set": True} | more
    options = {key: value for key, value in options.items() if value is not None}
    return Object("membership", f"{name} in {of}", {"of": f"role {name}", **options})


def table(name, owner="root", **more):
    return Object("table", name, {"owner": owner, **more})


def grant(thing, to, *, option=False, by="root", lacks=(), **privileges):
    how = f"by {by} with grant option" if option else f"by {by}"
    said = {one: [how] for one in privileges}
    if lacks:
        said["lacks"] = list(lacks)
    return Object("grant", f"{thing} to {to}", {"of": thing, **said})


SELECT = {"select": True}
SHOP = [
    Object("schema", "app", {"owner": "root"}),
    Object("database", "shop", {"owner": "dba"}),
    role("root", superuser=True),
    *map(role, ("alice", "bo", "carl", "analysts", "dba")),
    table("app.orders"),
    grant("table app.orders", "analysts", **SELECT),
    grant("schema app", "analysts", usage=True),
]


def told(before, after, name):
    """The meaning of the change of an object, and how it is judged."""
    old, new = build(before), build(after)
    of = effects(old, new, "database shop")
    [(change, found)] = [(one, of(one)) for one in diff(old, new) if one.name == name]
    return found, judge(change, RULES, found)


def lines(objects, who):
    return [one.words for one in privileges_of(effective(build(objects), "shop"), who)]


def test_a_member_has_what_the_group_has_and_the_line_says_how():
    found = lines([*SHOP, member("alice", "analysts")], "alice")
    assert found == [
        "alice: usage on role analysts, through analysts (inherits)",
        "alice: usage on schema app, through analysts (inherits), granted by root",
        "alice: select on table app.orders, through analysts (inherits), granted by root",
    ]


def test_without_inherit_somebody_may_become_who_has_it():
    found = lines([*SHOP, member("alice", "analysts", inherit=False)], "alice")
    assert found[-1] == (
        "alice may become analysts: select on table app.orders, through analysts (SET ROLE), "
        "granted by root"
    )
    assert lines([*SHOP, member("alice", "analysts", inherit=False, set=False)], "alice") == []


def test_before_16_it_is_the_member_that_inherits_or_not():
    old = member("alice", "analysts", inherit=None, set=None)
    assert lines([*SHOP, old], "alice")[-1].startswith("alice: select")
    others = [one for one in SHOP if one.key != ("role", "alice")]
    found = lines([*others, role("alice", inherit=False), old], "alice")
    assert found[-1].startswith("alice may become analysts: select")


def test_who_lacks_usage_of_the_schema_is_said_to_need_it():
    [line] = lines([*SHOP, grant("table app.orders", "bo", **SELECT)], "bo")
    assert line == (
        "bo: select on table app.orders, granted by root; needs usage on schema app, which it lacks"
    )


def test_what_an_owner_lacks_it_may_grant_back_to_itself():
    mine = [*SHOP, table("app.mine", "bo", owner_lacks=["select"])]
    found = {line.split(" on ")[0]: line for line in lines(mine, "bo")}
    assert "may grant it on" in found["bo may grant: select"]
    assert "bo: update" in found


def test_a_superuser_is_one_line():
    assert lines(SHOP, "root") == ["root: may do everything, as a superuser"]
    found = lines([*SHOP, member("alice", "root", inherit=False)], "alice")
    assert (
        "alice may become root: may do everything, as a superuser, through root (SET ROLE)" in found
    )


def test_members_of_predefined_roles_may_what_no_list_says():
    more = [member("bo", "pg_read_all_data"), member("carl", "pg_execute_server_program")]
    found = lines([*SHOP, *more], "bo")
    assert any(
        one.startswith("bo: select on table app.orders") and "as every member of" in one
        for one in found
    )
    assert lines([*SHOP, *more], "carl")[0].startswith(
        "carl: may run programs as the server's user"
    )


def test_the_owner_of_the_database_owns_what_pg_database_owner_does():
    public = Object("schema", "public", {"owner": "pg_database_owner"})
    assert any("create on schema public" in one for one in lines([*SHOP, public], "dba"))
    other = effective(build([*SHOP, public, Object("database", "x", {"owner": "bo"})]), "x")
    assert any("create on schema public" in one.words for one in privileges_of(other, "bo"))


def test_row_level_security_is_said_where_it_matters():
    rows = [
        *SHOP,
        role("dora", bypass_rls=True),
        table("app.rows", "dba", row_security=True),
        *(grant("table app.rows", who, **SELECT) for who in ("bo", "dora")),
    ]
    assert any("as far as row-level security lets it" in one for one in lines(rows, "bo"))
    assert any(
        "select on table app.rows" in one and "past row-level security" in one
        for one in lines(rows, "dora")
    )
    assert all("past row-level security" in one for one in lines(rows, "dba") if "app.rows" in one)


def test_of_what_came_with_the_server_the_answer_says_what_it_does_not_know():
    more = grant("table pg_catalog.pg_authid", "bo", **SELECT)
    [line] = lines([*SHOP, more], "bo")
    assert line.endswith("it came with the server or an extension; what it came with is not known")


def test_who_can_lists_everybody_and_public_once():
    public = [*SHOP, grant("table app.orders", PUBLIC, **SELECT), member("bo", "analysts")]
    of = effective(build(public), "shop")
    found = [one.grantee for one in who_can(of, ("table", "app.orders"), "select")]
    assert found == ["PUBLIC", "analysts", "bo", "root"]
    assert [one.grantee for one in everything(of)].count("PUBLIC") == 1


def test_names_with_quotation_marks_are_taken_apart_as_they_were_put_together():
    assert split('table s."a to b" to "x to ""y"""') == (("table", 's."a to b"'), '"x to ""y"""')
    assert split("parameter work_mem to bob") == (("parameter", "work_mem"), "bob")
    assert split("nothing") is None


# What changes come to

ALICE, BO = member("alice", "analysts"), member("bo", "analysts")
ORDERS = "select on table app.orders"
PG = "pg_execute_server_program"
ROWS = [
    # before, after, of, verdict, direction, what the first reason has
    ([], [ALICE], "alice in analysts", "widened", "widens", f"alice gains {ORDERS}"),
    ([ALICE], [], "alice in analysts", "narrowed", "narrows", f"alice loses {ORDERS}"),
    (
        [], [member("alice", "analysts", inherit=False)], "alice in analysts", "widened", "widens",
        "alice may become a role with select on table app.orders",
    ),
    ([], [member("bo", PG)], f"bo in {PG}", "widened", "widens", "bo may run programs"),
    ([], [member("bo", "root")], "bo in root", "widened", "widens", "that may do everything"),
    ([], [member("bo", "carl")], "bo in carl", "neutral", "widens", "is given later, bo has"),
    (
        [BO, member("carl", "bo")], [BO, member("carl", "bo"), member("carl", "analysts")],
        "carl in analysts", "neutral", "neutral", "by another way",
    ),
    (
        [BO], [BO, grant("table app.orders", "bo", select=True)], "table app.orders to bo",
        "neutral", "neutral", "by another way",
    ),
    (
        [BO], [BO, grant("table app.orders", "bo", select=True, option=True)],
        "table app.orders to bo", "widened", "widens", "bo may hand on select",
    ),
    (
        [BO, ALICE], [BO, ALICE, grant("table app.orders", "analysts", update=True, select=True)],
        "table app.orders to analysts", "widened", "widens",
        "alice and 2 more gain update on table app.orders",
    ),
    (
        [], [grant("table app.orders", PUBLIC, **SELECT)], "table app.orders to PUBLIC",
        "widened", "widens", "everybody gains select on table app.orders",
    ),
    (
        [], [grant("function pg_catalog.f()", PUBLIC, lacks=["execute"])],
        "function pg_catalog.f() to PUBLIC", "narrowed", "narrows", "everybody loses execute",
    ),
    (
        [grant("function pg_catalog.f()", PUBLIC, lacks=["execute"])], [],
        "function pg_catalog.f() to PUBLIC", "widened", "widens", "everybody gains execute",
    ),
    (
        [], [Object("default_privilege", "tables of bo to carl", {"select": ["by bo"]})],
        "tables of bo to carl", "neutral", "widens", "for objects made from now on",
    ),
    (
        [table("app.x", "bo")], [table("app.x", "carl")], "app.x", "both", "both",
        "carl gains delete, insert, maintain, ownership",
    ),
    (
        [table("app.x", "bo")], [table("app.x", "bo", owner_lacks=["select"])], "app.x",
        "narrowed", "narrows", "bo loses select on table app.x",
    ),
    ([role("x")], [role("x", superuser=True)], "x", "widened", "widens", "x may do everything"),
    ([role("x", superuser=True)], [role("x")], "x", "narrowed", "narrows", "no longer do every"),
    ([role("x")], [role("x", bypass_rls=True)], "x", "widened", "widens", "read and write past"),
    ([role("x")], [role("x", inherit=False)], "x", "neutral", "neutral", "keep their own option"),
    (
        [member("x", "analysts", inherit=None, set=None), role("x", inherit=False)],
        [member("x", "analysts", inherit=None, set=None), role("x")],
        "x", "widened", "widens", "x gains select on table app.orders",
    ),
    (
        [ALICE], [member("alice", "analysts", admin=True)], "alice in analysts",
        "widened", "widens", "alice may grant role analysts",
    ),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[2]}: {row[5]}")
def test_a_change_says_who_gains_and_who_loses(row):
    before, after, name, verdict, direction, reason = row
    found, judgement = told(_with(before), _with(after), name)
    assert found.verdict.value == verdict
    assert judgement.direction.value == direction
    assert any(reason in one for one in found.reasons), found.reasons


def _with(objects):
    """The shop with these objects in the place of those that are named so."""
    names = {one.key for one in objects}
    return [*(one for one in SHOP if one.key not in names), *objects]


def test_who_inherits_from_a_role_may_become_what_that_role_does_not_inherit_from():
    before = [*SHOP, role("g"), member("g", "carl", inherit=False), table("app.x", "carl")]
    found, judgement = told(before, [*before, member("alice", "g")], "alice in g")
    assert found.verdict is Widening.WIDENED
    assert judgement.direction is Direction.WIDENS
    [reason] = found.reasons
    assert reason.startswith("alice may become a role with delete, insert, maintain, ownership, ")
    assert reason.endswith(" on table app.x")


def test_who_joins_an_owner_gains_ownership_where_nothing_else_is_left_to_gain():
    every = dict.fromkeys(PRIVILEGES["table"], True)
    mine = [table("app.x", "carl"), grant("table app.x", "alice", option=True, **every)]
    found, _ = told([*SHOP, *mine], [*SHOP, *mine, member("alice", "carl")], "alice in carl")
    assert found.verdict is Widening.WIDENED
    assert found.reasons == ["alice gains ownership on table app.x"]


def test_a_table_that_goes_to_who_owned_it_in_effect_is_not_proven_to_narrow():
    # Its rules, and the functions of its indexes, run with the rights of the new owner.
    before, after = ([*SHOP, table("app.x", who)] for who in ("bo", "root"))
    found, judgement = told(before, after, "app.x")
    assert found.verdict is Widening.NARROWED
    assert judgement.direction is Direction.WIDENS


def test_no_number_of_sentences_hides_what_has_no_list_of_its_own():
    things = [table(f"app.t{place}") for place in range(7)]
    given_one_each = [
        grant(f"table app.t{place}", "g", **{one: True})
        for place, one in zip(range(7), PRIVILEGES["table"], strict=False)
    ]
    every = dict.fromkeys(ATTRIBUTES, True)
    before = [*SHOP, role("g"), role("boss", **every), member("g", "boss", inherit=False)]
    before += [*things, *given_one_each, *(member("boss", one) for one in PREDEFINED)]
    found, _ = told(before, [*before, member("alice", "g")], "alice in g")
    assert found.reasons[0].startswith("alice may become a role that may do everything, as a super")
    assert len(found.reasons) == MAX_REASONS
    assert found.reasons[-1] == "and 4 more: holdfast drift effective lists everything"


def test_the_owner_of_a_database_is_known_by_any_name():
    before = [
        *(one for one in SHOP if one.kind != "database"),
        Object("database", '"My Shop"', {"owner": "dba"}),
        Object("schema", "public", {"owner": "pg_database_owner"}),
    ]
    old, new = build(before), build([*before, grant("schema public", "dba", create=True)])
    of = effects(old, new, "database My Shop")
    assert [of(one).verdict for one in diff(old, new)] == [Widening.NEUTRAL]


def test_what_is_no_matter_of_privileges_has_no_meaning():
    old, new = build([*SHOP, role("x")]), build([*SHOP, role("x", login=True)])
    of = effects(old, new)
    assert [of(one) for one in diff(old, new)] == [None]


def test_a_view_with_another_owner_keeps_the_direction_of_the_rules():
    old, new = (Object("view", "app.v", {"owner": who}) for who in ("bo", "carl"))
    found, judgement = told([*SHOP, old], [*SHOP, new], "app.v")
    assert found.verdict is Widening.BOTH
    assert found.ruled
    assert judgement.direction is Direction.WIDENS


def test_what_could_not_be_read_leaves_the_direction_to_the_rules():
    gap = unreadable("membership", reason="denied", needs="SELECT on pg_auth_members")
    more = [BO, gap, grant("table app.orders", "bo", **SELECT)]
    found, judgement = told([*SHOP, BO, gap], [*SHOP, *more], "table app.orders to bo")
    assert found.verdict is Widening.NEUTRAL
    assert found.ruled
    assert judgement.direction is Direction.WIDENS
    assert "not all could be read: membership" in found.reasons


def test_what_everybody_came_with_counts_where_it_was_revoked():
    thing = "function pg_catalog.f()"
    before = build(SHOP)
    after = [*SHOP, grant(thing, PUBLIC, lacks=["execute"]), grant(thing, "bo", execute=True)]
    found = compare(before, build(after), "shop")
    key = ("function", "pg_catalog.f()")
    assert not [one for one in found.gained if key in one.things]
    [lost] = [one for one in found.lost if key in one.things and one.how == USE]
    names = {found.sides[0].roll.names[place] for place in bits(lost.roles)}
    assert {PUBLIC, "alice"} <= names
    assert "bo" not in names
    meaning, _ = told(SHOP, after, f"{thing} to bo")
    assert meaning.verdict is Widening.NEUTRAL


def test_a_group_that_is_given_a_role_with_many_tables_is_one_rectangle():
    people = [f"p{number:04}" for number in range(300)]
    tables = [f"app.t{number:04}" for number in range(400)]
    before = [
        *SHOP,
        *map(role, [*people, "group", "reader"]),
        *(member(one, "group") for one in people),
        *map(table, tables),
        *(grant(f"table {one}", "reader", **SELECT) for one in tables),
    ]
    after = [*before, member("group", "reader")]
    found = compare(build(before), build(after), "shop")
    of_tables = [one for one in found.gained if ("table", tables[0]) in one.things]
    [one] = of_tables
    assert (one.roles.bit_count(), one.how) == (301, USE)
    assert sorted(one.things)[1:] == [("table", name) for name in tables]  # after the role itself
    meaning, _ = told(before, after, "group in reader")
    assert meaning.reasons[0] == (
        "group and 300 more gain select on 400 tables: app.t0000, app.t0001, app.t0002, …"
    )


def test_more_roles_than_the_bound_are_not_computed(monkeypatch):
    monkeypatch.setattr(graph, "MAX_ROLES", 5)
    with pytest.raises(Unsupported, match="more than 5 roles"):
        effective(build(SHOP))
    old, new = build(SHOP), build([*SHOP, ALICE])
    of = effects(old, new)
    [found] = [of(one) for one in diff(old, new)]
    assert found.verdict is Widening.UNDECIDED
    assert found.ruled


# Against every pair, one by one

NAMES = ["r0", "r1", "r2", "r3", "r4"]
THINGS = ["app.t0", "app.t1"]
BOOLEANS = st.booleans()
MEMBERSHIPS = st.builds(
    lambda one, other, admin, inherit, may_set: (one, other, admin, inherit, may_set),
    st.sampled_from(NAMES), st.sampled_from([*NAMES, "pg_read_all_data"]),
    BOOLEANS, BOOLEANS, BOOLEANS,
)  # fmt: skip
GRANTS = st.tuples(
    st.sampled_from(THINGS), st.sampled_from([*NAMES, PUBLIC]),
    st.sampled_from(["select", "insert"]), BOOLEANS,
)  # fmt: skip


@st.composite
def databases(draw):
    """Roles, memberships in any direction, circles too, owners and grants."""
    found = {one.key: one for one in [Object("schema", "app", {"owner": "r0"})]}
    for name in NAMES:
        found["role", name] = role(name, superuser=draw(st.integers(0, 9)) == 0)
    for name, of, admin, inherit, may_set in draw(st.lists(MEMBERSHIPS, max_size=7)):
        if name != of:
            one = member(name, of, admin=admin, inherit=inherit, set=may_set)
            found[one.key] = one
    for name in THINGS:
        lacks = draw(st.sampled_from([[], ["select"]]))
        more = {"owner_lacks": lacks} if lacks else {}
        one = table(name, draw(st.sampled_from(NAMES)), **more)
        found[one.key] = one
    for name, to, privilege, option in draw(st.lists(GRANTS, max_size=5)):
        one = grant(f"table {name}", to, option=option and to != PUBLIC, **{privilege: True})
        found[one.key] = one
    return list(found.values())


def brute(objects):
    """Every (how, role, table, privilege), by walking memberships one at a time."""
    of = {one.key: one.attributes for one in objects}
    edges = [
        (one.name.split(" in ")[0], one.name.split(" in ")[1], one.attributes)
        for one in objects
        if one.kind == "membership"
    ]

    def closure(start, option):
        found = {start}
        while more := {b for a, b, how in edges if a in found and how[option]} - found:
            found |= more
        return found

    def direct(thing, privilege):
        owner = of["table", thing]
        given, option = set(), {owner["owner"]}
        if privilege not in owner.get("owner_lacks", []):
            given.add(owner["owner"])
        if privilege == "select":
            given.add("pg_read_all_data")
        for to in [*NAMES, PUBLIC]:
            value = of.get(("grant", f"table {thing} to {to}"), {}).get(privilege)
            if value:
                given.add(to)
                option |= {to} if "option" in value[0] else set()
        return given, option

    found = set()
    supers = {name for name in NAMES if of["role", name]["superuser"]}
    for name in NAMES:
        mine = closure(name, "inherit") | {PUBLIC}
        become = closure(name, "set")
        theirs = set().union(*(closure(one, "inherit") | {PUBLIC} for one in become))
        for thing, privilege in itertools.product(THINGS, ("select", "insert")):
            given, option = direct(thing, privilege)
            holds = {
                USE: name in supers or mine & given,
                BECOME: become & supers or theirs & given,
                GRANT: name in supers or mine & option,
            }
            found |= {(how, name, thing, privilege) for how, holding in holds.items() if holding}
    return found, supers, {name for name in NAMES if closure(name, "set") & supers}


@settings(max_examples=150)
@given(databases())
def test_every_set_is_what_walking_gives(objects):
    of = effective(build(objects))
    found = set()
    for thing in THINGS:
        for privilege in ("select", "insert"):
            sets = of.sets(("table", thing), privilege)
            for how, mask in zip((USE, BECOME, GRANT), sets, strict=True):
                names = {of.roll.names[place] for place in bits(mask)} & set(NAMES)
                found |= {(how, name, thing, privilege) for name in names}
    assert found == brute(objects)[0]


@settings(max_examples=150)
@given(databases(), databases())
def test_a_comparison_is_the_difference_of_everything(before, after):
    found = compare(build(before), build(after))
    (old, supers, setters), (new, more, more_setters) = brute(before), brute(after)
    free = set(NAMES) - supers - more
    become = free - setters - more_setters
    names = found.sides[0].roll.names

    def cells(rectangles):
        return {
            (one.how, names[place], name, privilege)
            for one in rectangles
            for place in bits(one.roles)
            for (kind, name), privileges in one.things.items()
            for privilege in privileges
            if kind == "table" and privilege in {"select", "insert"} and names[place] in NAMES
        }

    def expected(wider, narrower):
        return {
            cell
            for cell in wider - narrower
            if cell[1] in (become if cell[0] == BECOME else free)
            and not (cell[0] == BECOME and (USE, *cell[1:]) in wider)
        }

    assert cells(found.gained) == expected(new, old)
    assert cells(found.lost) == expected(old, new)


@settings(max_examples=150)
@given(databases(), databases())
def test_what_becomes_effective_is_said_by_one_of_the_changes(before, after):
    old, new = build(before), build(after)
    of = effects(old, new)
    meanings = [found for one in diff(old, new) if (found := of(one)) is not None]
    verdicts = {one.verdict for one in meanings}
    (was, *_), (now, *_) = brute(before), brute(after)
    if now - was:
        assert verdicts & {Widening.WIDENED, Widening.BOTH}
    if was - now:
        assert verdicts & {Widening.NARROWED, Widening.BOTH}


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_closures_hold_in_circles_too(pairs):
    edges = [
        Edge(f"r{a}", f"r{b}", inherit=True, set=False, admin=False) for a, b in pairs if a != b
    ]
    roll = Roll()
    places = [roll.place(f"r{number}") for number in range(8)]
    found = Graph(roll, edges)
    for start in range(8):
        above = {start}
        while more := {b for a, b in pairs if a in above} - above:
            above |= more
        for end in range(8):
            assert (found.users[places[end]] >> places[start] & 1) == (end in above)


def test_a_role_is_a_thing_too():
    of = effective(build([*SHOP, ALICE]), "shop")
    found = [one.words for one in who_can(of, (ROLE, "analysts"), "usage")]
    assert found == [
        "alice: usage on role analysts, through analysts (inherits)",
        "root: usage on role analysts, as superuser; may grant it on",
    ]
