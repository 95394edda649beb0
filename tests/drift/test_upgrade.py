"""What an upgrade explains, and above all what it does not."""

from __future__ import annotations

import pytest
from support.desk import ANA, BEN, CHLOE, MemorySource, propose_state, quiet
from support.upgrades import FIRST, NEW, OLD, server, setting, taken

from chalicelib.drift import approval, measured, rebase, upgrade
from chalicelib.drift.desk import Target
from chalicelib.drift.judge import Severity
from chalicelib.drift.scan import scan
from chalicelib.drift.snapshot import Object, build, unreadable
from chalicelib.kernel.errors import Malformed, NotAllowed, NotFound

TARGET = Target(slug="orders", approvals=1)
MINOR = (150019, "15.19")
PUBLIC = "schema public to PUBLIC"


def reasons(before, after, renders=upgrade.untold):
    """The reason of each change by kind, name and attribute; those without one are empty."""
    found = upgrade.find(before, after, renders)
    return {
        (one.kind, one.name, one.attribute): found.reason(one)
        for one in upgrade.diff(before, after, renders)
        if not one.name.startswith("server_version")
    }


def only(before, after, renders=upgrade.untold):
    [why] = reasons(before, after, renders).values()
    return why


def across(old, new, versions=(OLD, NEW)):
    """The reason of the one change between two objects, or of one that comes or goes."""
    objects = [[] if one is None else [one] for one in (old, new)]
    return only(taken(versions[0], *objects[0]), taken(versions[1], *objects[1]))


def test_every_major_was_measured_and_the_next_one_was_not():
    for major in measured.MAJORS:
        facts = measured.of(major)
        assert facts.version // 10_000 == major
        assert len(facts.parameters) > 300
        assert ("schema", "public") in facts.objects
        assert "pgcrypto" in facts.extensions
    assert measured.of(measured.MAJORS[-1] + 1) is None


def test_what_is_no_fact_is_refused():
    for line in (b'["version","17"]', b'["parameter","a","b"]', b'["other",1]', b"{}"):
        with pytest.raises(Malformed):
            measured.parse(line)


def test_the_version_itself_comes_from_the_upgrade():
    before, after = taken(OLD), taken(NEW)
    changes = upgrade.diff(before, after)
    assert {one.name: one.context for one in changes} == {
        "server_version": {"upgrade": True},
        "server_version_num": {"upgrade": True},
    }
    found = upgrade.find(before, after)
    assert {found.reason(one) for one in changes} == {"the server was upgraded from 15.18 to 17.10"}


@pytest.mark.parametrize("text", ["16.9", "17.1", "17.100", "devel", ""])
def test_a_version_that_contradicts_its_number_is_not_explained(text):
    changes = upgrade.diff(taken(OLD), taken((NEW[0], text)))
    assert not any(one.context for one in changes)


@pytest.mark.parametrize(
    "number", ["", "17", "17001x", "\uff11\uff17\uff10\uff10\uff11\uff10", "1700100"]
)
def test_a_number_that_is_none_is_no_upgrade(number):
    after = taken(NEW)
    broken = [*after.objects.values()]
    broken = [one for one in broken if one.name != "server_version_num"]
    odd = build([*broken, setting("server_version_num", number)])
    assert upgrade.find(taken(OLD), odd) is None


def test_a_downgrade_explains_nothing():
    assert upgrade.find(taken(NEW), taken(OLD)) is None
    assert not any(one.context for one in upgrade.diff(taken(NEW), taken(OLD)))
    assert upgrade.find(taken(OLD), taken(OLD)) is None


def test_a_default_that_the_server_changed_is_explained_with_both_values():
    checkpoints = ("log_checkpoints", "off"), ("log_checkpoints", "on")
    why = across(*(setting(*one) for one in checkpoints), versions=((140023, "14.23"), NEW))
    assert "off in PostgreSQL 14 and on in 17" in why


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (setting("hash_mem_multiplier", "1"), setting("hash_mem_multiplier", "8")),
        (setting("hash_mem_multiplier", "4"), setting("hash_mem_multiplier", "2")),
        (
            setting("hash_mem_multiplier", "1"),
            setting("hash_mem_multiplier", "2", "configuration file"),
        ),
        (setting("hash_mem_multiplier", "1", "database"), setting("hash_mem_multiplier", "2")),
        (
            setting("hash_mem_multiplier", "1", unit="kB"),
            setting("hash_mem_multiplier", "2", unit="kB"),
        ),
        (setting("log_statement", "ddl", "configuration file"), setting("log_statement", "none")),
        (setting("not.ours", "1"), setting("not.ours", "2")),
    ],
)
def test_a_parameter_that_somebody_may_have_set_is_not_explained(old, new):
    found = reasons(taken((140023, "14.23"), old), taken(NEW, new))
    assert found[("setting", old.name, "value")] == ""


def test_a_parameter_that_the_new_version_brings_is_explained_with_its_own_value():
    assert "17.10 has this parameter" in across(None, setting("event_triggers", "on"))
    assert across(None, setting("event_triggers", "off")) == ""
    assert across(None, setting("event_triggers", "on", "database")) == ""
    assert across(None, setting("transaction_timeout", "0")) == ""  # its unit is ms
    assert across(None, setting("transaction_timeout", "0", unit="ms"))
    assert across(None, setting("transaction_timeout", "0", unit="ms", pending_restart=True)) == ""
    assert "computes" in across(None, setting("transaction_buffers", "64", unit="8kB"))
    assert across(None, setting("transaction_buffers", "64", "command line", unit="8kB")) == ""
    assert across(None, setting("not.ours", "1")) == ""


def test_a_parameter_that_was_only_not_seen_before_is_not_new():
    assert across(None, setting("log_statement", "none")) == ""


def test_a_parameter_that_a_minor_version_brought_is_explained():
    came = setting("restrict_nonsystem_relation_kind", "")
    assert across(None, came, versions=((150002, "15.2"), NEW))
    assert across(None, came, versions=((150002, "15.2"), (150018, "15.18")))
    assert across(None, came) == ""


def test_what_initdb_writes_into_the_file_is_explained_there_and_nowhere_else():
    file = setting("config_file", "/etc/postgresql/18/main/postgresql.conf", "override")
    before = [setting("config_file", "/etc/postgresql/17/main/postgresql.conf", "override")]

    def why(path):
        slots = setting("autovacuum_worker_slots", "16", "configuration file", source_file=path)
        found = reasons(taken((170010, "17.10"), *before), taken((180004, "18.4"), file, slots))
        return found[("setting", "autovacuum_worker_slots", "")]

    assert why("/etc/postgresql/18/main/postgresql.conf")
    assert why("/var/lib/postgresql/18/main/postgresql.auto.conf") == ""


def test_a_parameter_that_is_gone_is_explained_unless_somebody_had_set_it():
    assert "no such parameter" in across(setting("db_user_namespace", "off"), None)
    assert across(setting("db_user_namespace", "on", "configuration file"), None) == ""
    assert across(setting("db_user_namespace", "on"), None) == ""
    assert across(setting("db_user_namespace", "off", "configuration file"), None) == ""
    assert across(setting("lc_collate", "de_DE.UTF-8"), None)  # of the data folder: nobody sets it
    assert across(setting("log_statement", "none"), None) == ""
    assert across(setting("not.ours", "1"), None) == ""


def test_where_a_value_comes_from_is_explained_where_nobody_set_it():
    old, new = (140023, "14.23"), NEW
    assert across(
        setting("wal_buffers", "64", "override"), setting("wal_buffers", "64"), versions=(old, new)
    )
    for source in ("configuration file", "command line", "database"):
        changed = (setting("wal_buffers", "64", "override"), setting("wal_buffers", "64", source))
        assert across(*changed, versions=(old, new)) == ""
        assert across(*reversed(changed), versions=(old, new)) == ""


def path(name, text):
    return setting(name, text, "override")


@pytest.mark.parametrize(
    ("old", "new", "explained"),
    [
        ("/etc/postgresql/15/main/pg_hba.conf", "/etc/postgresql/17/main/pg_hba.conf", True),
        ("/data/pg15/pg_hba.conf", "/data/pg17/pg_hba.conf", True),
        ("/etc/postgresql/15/main/pg_hba.conf", "/etc/postgresql/17/main/pg_hba2.conf", False),
        ("/etc/postgresql/15/main/pg_hba.conf", "/srv/17/main/pg_hba.conf", False),
        ("/data/115/pg_hba.conf", "/data/117/pg_hba.conf", False),
        ("/data/pg_hba.conf", "/srv/pg_hba.conf", False),
    ],
)
def test_a_path_is_explained_where_it_differs_in_the_number_alone(old, new, explained):
    assert bool(across(path("hba_file", old), path("hba_file", new))) is explained
    lines = [setting("port", "5432", "configuration file", source_file=one) for one in (old, new)]
    assert bool(across(*lines)) is explained


def test_only_paths_of_the_server_are_explained_by_their_number():
    both = [setting("ssl_key_file", f"/{number}/key", "configuration file") for number in (15, 17)]
    assert across(*both) == ""


def public(owner, *, create=True, usage="postgres"):
    rights = {"usage": [f"by {usage}"]} | ({"create": ["by postgres"]} if create else {})
    return [
        Object("schema", "public", {"comment": "standard public schema", "owner": owner}),
        Object("grant", PUBLIC, {"of": "schema public", **rights}),
    ]


def test_what_initdb_makes_otherwise_is_explained_in_the_whole_and_in_part():
    old = taken((140023, "14.23"), *public("postgres"))
    new = taken(NEW, *public("pg_database_owner", create=False, usage="pg_database_owner"))
    found = reasons(old, new)
    assert set(found) == {
        ("grant", PUBLIC, "create"),
        ("grant", PUBLIC, "usage"),
        ("schema", "public", "owner"),
    }
    assert all(found.values())


@pytest.mark.parametrize("owner", ["alice", "postgres2"])
def test_another_owner_or_grantor_than_initdbs_is_not_explained(owner):
    old = taken((140023, "14.23"), *public("postgres"))
    new = taken(NEW, *public(owner, create=False, usage=owner))
    found = reasons(old, new)
    assert (found[("schema", "public", "owner")], found[("grant", PUBLIC, "usage")]) == ("", "")


def test_where_the_first_superuser_is_somebody_else_no_object_is_explained():
    other = Object("database", "template0", {"owner": "rdsadmin", "locale_provider": "libc"})

    def place(version, *objects):
        rest = [one for one in server(version, *objects) if one is not FIRST]
        return build([*rest, other])

    old = place((140023, "14.23"), *public("postgres"))
    new = place(NEW, *public("pg_database_owner", create=False, usage="pg_database_owner"))
    assert not any(reasons(old, new).values())


def test_an_object_that_a_new_server_has_is_explained_only_as_it_makes_it():
    name = "view information_schema.routine_table_usage"
    made = {"of": name, "select": ["by postgres"]}
    versions = ((130023, "13.23"), (140023, "14.23"))
    assert across(None, Object("grant", f"{name} to PUBLIC", made), versions=versions)
    wider = made | {"insert": ["by postgres"]}
    assert across(None, Object("grant", f"{name} to PUBLIC", wider), versions=versions) == ""
    assert across(None, Object("grant", f"{name} to bob", made), versions=versions) == ""
    assert across(None, Object("grant", f"{name} to PUBLIC", made)) == ""  # 15 has it already


BOB = Object("role", "bob", {"inherit": False})
CAROL = Object("role", "carol", {"inherit": True})


def member(name, **options):
    return Object("membership", f"{name} in dba", {"of": f"role {name}", "admin": False, **options})


@pytest.mark.parametrize(
    ("role", "options", "unexplained"),
    [
        (BOB, {"inherit": False, "set": True}, set()),
        (CAROL, {"inherit": True, "set": True}, set()),
        (BOB, {"inherit": True, "set": True}, {"inherit"}),
        (CAROL, {"inherit": False, "set": False}, {"inherit", "set"}),
        (CAROL, {"inherit": True, "set": True, "admin": True}, {"admin"}),
    ],
)
def test_options_of_a_membership_are_explained_where_it_works_as_before(role, options, unexplained):
    old = taken(OLD, role, member(role.name))
    found = reasons(old, taken(NEW, role, member(role.name, **options)))
    assert {attribute for (_, _, attribute), why in found.items() if not why} == unexplained


def test_a_role_that_begins_to_inherit_at_the_upgrade_explains_no_membership():
    now = Object("role", "bob", {"inherit": True})
    old = taken(OLD, BOB, member("bob"))
    found = reasons(old, taken(NEW, now, member("bob", inherit=True, set=True)))
    assert found[("membership", "bob in dba", "inherit")] == ""
    assert found[("role", "bob", "inherit")] == ""


def test_attributes_that_the_old_version_does_not_tell():
    versions = ((130023, "13.23"), NEW)

    def kind(name, **more):
        return Object("type", f"public.{name}", {"form": "range", **more})

    assert across(kind("span"), kind("span", multirange="public.span_multirange"), versions)
    assert across(
        kind("floatrange"), kind("floatrange", multirange="public.floatmultirange"), versions
    )
    assert across(kind("span"), kind("span", multirange="public.other"), versions) == ""
    long = "a" * 60
    assert across(kind(long), kind(long, multirange=f"public.{long}_multirange"), versions) == ""
    assert across(kind("span"), kind("span", multirange="public.span_multirange")) == ""

    def publication(**more):
        return Object("publication", "pub", {"owner": "ana", **more})

    later = ((170010, "17.10"), (180004, "18.4"))
    assert across(publication(), publication(generated_columns="none"), later)
    assert across(publication(), publication(generated_columns="stored"), later) == ""

    def database(**more):
        return Object("database", "orders", {"owner": "ana", **more})

    assert across(database(), database(locale_provider="libc"), versions)
    assert across(database(), database(locale_provider="icu"), versions) == ""
    assert across(database(locale_provider="icu"), database(locale_provider="libc")) == ""


@pytest.mark.parametrize(
    ("cast", "function", "explained"),
    [
        ("public.span as public.span_multirange", "public.span_multirange(public.span)", True),
        ("public.span as public.span_multirange", "public.mine(public.span)", False),
        ("public.span as text", "public.text(public.span)", False),
        ("public.other as public.span_multirange", "public.span_multirange(public.other)", False),
    ],
)
def test_the_cast_that_comes_with_a_multirange_is_explained_and_no_other(cast, function, explained):
    def state(version, *more, **rest):
        return taken(version, Object("type", "public.span", {"form": "range", **rest}), *more)

    made = {"context": "explicit", "function": function, "method": "function"}
    new = state(NEW, Object("cast", cast, made), multirange="public.span_multirange")
    found = reasons(state((130023, "13.23")), new)
    assert bool(found[("cast", cast, "")]) is explained
    wider = {**made, "context": "implicit"}
    after = state(NEW, Object("cast", cast, wider), multirange="public.span_multirange")
    assert reasons(state((130023, "13.23")), after)[("cast", cast, "")] == ""
    known = state((150018, "15.18"), multirange="public.span_multirange")
    assert reasons(known, new)[("cast", cast, "")] == ""


def hstore(version, *bodies, schema="public", **more):
    """An extension, and a member for each of the bodies."""
    functions = [
        Object(
            "extension_member",
            f"function {schema}.f{number}({schema}.hstore)",
            {"of": "extension hstore", "digest": body},
        )
        for number, body in enumerate(bodies)
    ]
    rest = {"schema": schema, "owner": "ana", "version": version, **more}
    return [Object("extension", "hstore", rest), *functions]


def of_extension(before, after, version="1.7"):
    """What is explained where 15 comes with ``version``, of one function, and 17 with 1.8, of two.

    The first of these is another one there.
    """
    comes = {15: hstore(version, "a"), 17: hstore("1.8", "b", "c")}

    def facts(major):
        known = {"hstore": {"version": comes[major][0].attributes["version"]}}
        digests = measured.members(build(comes[major]))
        return measured.of(major)._replace(extensions=known, members=digests)

    old, new = taken(OLD, *before), taken(NEW, *after)
    found = upgrade.find(old, new, facts=facts)
    return {
        (one.name, one.attribute): bool(found.reason(one))
        for one in upgrade.diff(old, new)
        if not one.name.startswith("server_version")
    }


def test_an_extension_of_the_servers_own_is_explained_where_nothing_in_it_was_replaced():
    first, second = (f"function public.f{number}(public.hstore)" for number in (0, 1))
    found = of_extension(hstore("1.7", "a"), hstore("1.8", "b", "c"))
    assert found == {("hstore", "version"): True}  # with both functions
    alike = of_extension(hstore("1.8", "a"), hstore("1.8", "b", "c"), version="1.8")
    assert alike == {(first, "digest"): True, (second, ""): True}
    assert not any(
        of_extension(hstore("1.8", "a"), hstore("1.8", "b", "evil"), version="1.8").values()
    )
    elsewhere = of_extension(
        hstore("1.7", "a", schema="app"), hstore("1.8", "b", "c", schema="app")
    )
    assert all(elsewhere.values())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (hstore("1.7", "a"), hstore("1.8", "b", "evil")),
        (hstore("1.7", "a"), hstore("1.8", "b")),
        (hstore("1.7", "a"), hstore("1.8", "b", "c", "evil")),
        (hstore("1.7", "evil"), hstore("1.8", "b", "c")),
        (hstore("1.6", "a"), hstore("1.8", "b", "c")),
        (hstore("1.7", "a"), hstore("1.9", "b", "c")),
        (hstore("1.7", "a"), []),
        ([], hstore("1.8", "b", "c")),
    ],
)
def test_an_extension_in_which_anything_is_not_the_servers_is_not_explained(before, after):
    assert not any(of_extension(before, after).values())


def test_whom_an_extension_belongs_to_is_not_of_its_version():
    found = of_extension(hstore("1.7", "a"), hstore("1.8", "b", "c", owner="mallory"))
    assert [key for key, explained in found.items() if not explained] == [("hstore", "owner")]


def view(text):
    return Object("view", "public.v", {"definition": text})


def test_whether_a_definition_says_the_same_is_asked_and_believed():
    asked = []

    def renders(change, old, new):
        asked.append((change.name, change.attribute, old, new))
        return "equal" if change.after == "SELECT id" else ""

    assert only(taken(OLD, view("SELECT t.id")), taken(NEW, view("SELECT id")), renders) == "equal"
    assert only(taken(OLD, view("SELECT t.id")), taken(NEW, view("SELECT x")), renders) == ""
    assert set(asked) == {("public.v", "definition", 15, 17)}


def test_nobody_is_asked_of_what_is_no_text_or_of_a_minor_version():
    def renders(change, _old, _new):
        raise AssertionError(change)

    table = Object("table", "public.t", {"row_security": True})
    off = Object("table", "public.t", {"row_security": False})
    assert only(taken(OLD, table), taken(NEW, off), renders) == ""
    assert only(taken(OLD, table), taken(NEW), renders) == ""
    assert only(taken(OLD, view("a")), taken(MINOR, view("b")), renders) == ""
    long = "a" * (upgrade.MAX_CHARACTERS + 1)
    assert only(taken(OLD, view("a")), taken(NEW, view(long)), renders) == ""


def test_a_minor_version_explains_no_object():
    minor = (OLD, MINOR)
    assert across(member("bob"), member("bob", set=True), versions=minor) == ""
    assert across(*(public(one)[0] for one in ("postgres", "alice")), versions=minor) == ""


def test_a_version_that_was_not_measured_explains_itself_alone():
    found = reasons(
        taken(OLD, setting("hash_mem_multiplier", "2")),
        taken((190001, "19.1"), setting("hash_mem_multiplier", "3"), setting("brand_new", "1")),
    )
    assert not any(found.values())
    assert all(one.context for one in upgrade.diff(taken(OLD), taken((190001, "19.1"))))


def test_what_nobody_can_tell_is_never_explained():
    gap = unreadable("view", reason="denied", needs="SELECT")
    assert across(None, gap) == ""


HIDDEN = [
    (Object("policy", "public.t.tenant", {"using": "(id > 1)", "of": "table public.t"}), None),
    (None, Object("grant", "table public.t to PUBLIC", {"select": ["by ana"]})),
    (setting("log_statement", "ddl", "configuration file"), setting("log_statement", "none")),
    (setting("row_security", "on"), setting("row_security", "off", "database")),
    (view("SELECT id FROM public.t WHERE owner = CURRENT_USER"), view("SELECT id FROM public.t")),
    (None, Object("role", "mallory", {"superuser": True})),
    (None, Object("membership", "bob in pg_maintain", {"of": "role bob", "set": True})),
    (
        Object("grant", "table public.t to bob", {"select": ["by ana"]}),
        Object("grant", "table public.t to bob", {"select": ["by ana"], "maintain": ["by ana"]}),
    ),
    (None, Object("setting", "shared_preload_libraries", {"value": "x", "source": "default"})),
]


def test_real_changes_that_hide_in_an_upgrade_all_stay_findings():
    def state(version, side):
        came = [pair[side] for pair in HIDDEN if pair[side] is not None]
        gone = "db_user_namespace" if side == 0 else "event_triggers"
        quiet_one = setting(gone, "off" if side == 0 else "on")
        return taken(version, *came, quiet_one, member("carol", **({"set": True} if side else {})))

    found = reasons(state(OLD, 0), state(NEW, 1))
    explained = {key for key, why in found.items() if why}
    assert explained == {
        ("setting", "db_user_namespace", ""),
        ("setting", "event_triggers", ""),
        ("membership", "carol in dba", "set"),
    }
    names = {(old or new).name for old, new in HIDDEN}
    assert {name for _, name, _ in found.keys() - explained} == names


@pytest.fixture
def upgraded(desk, clock):
    """A target whose server was upgraded since people signed, and somebody was at it meanwhile."""
    source = MemorySource(
        clock,
        server(
            OLD,
            setting("db_user_namespace", "off"),
            BOB,
            member("bob"),
            Object("table", "public.t", {"row_security": True}),
        ),
    )
    propose_state(desk, TARGET, source, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)
    source.put("table", "public.t", row_security=False)
    run(desk, source)
    for one in server(NEW, setting("event_triggers", "on"), member("bob", inherit=False, set=True)):
        source.objects[one.key] = one
    source.drop("setting", "db_user_namespace")
    return source


def run(desk, source):
    return scan(desk, TARGET, source, actor=CHLOE, progress=quiet)


def test_a_scan_after_an_upgrade_lowers_what_is_explained_and_nothing_else(desk, upgraded):
    found = {
        (one.name, one.attribute): (one.rule, one.severity)
        for one, _ in run(desk, upgraded).findings
    }
    low = ("upgrade", Severity.LOW)
    assert found == {
        ("server_version", "value"): ("upgrade.server", Severity.LOW),
        ("server_version_num", "value"): ("upgrade.server", Severity.LOW),
        ("db_user_namespace", ""): low,
        ("event_triggers", ""): low,
        ("bob in dba", "inherit"): low,
        ("bob in dba", "set"): low,
        ("public.t", "row_security"): ("table.row_security", Severity.CRITICAL),
    }


def test_a_rebase_takes_over_what_is_explained_and_the_rest_stays_the_same_finding(desk, upgraded):
    [drift] = [
        one.id for one, _ in run(desk, upgraded).findings if not one.rule.startswith("upgrade")
    ]
    seen = rebase.look(desk, TARGET)
    assert (seen.old.named, seen.new.named, len(seen.explained)) == ("15.18", "17.10", 6)
    assert [(name, change.name) for name, change, _ in seen.left] == [(drift, "public.t")]
    proposed = rebase.propose(desk, TARGET, record=seen.record, actor=ANA)
    assert proposed.proposal.comment == "upgrade of the server from 15.18 to 17.10"
    assert len(proposed.proposal.accepts) == 6
    approval.approve(desk, TARGET, actor=BEN)
    after = run(desk, upgraded)
    assert [one.id for one, _ in after.findings] == [drift]
    again = rebase.look(desk, TARGET)
    assert (again.explained, len(again.left)) == ([], 1)
    with pytest.raises(NotAllowed, match="no finding"):
        rebase.propose(desk, TARGET, record=again.record, actor=ANA)


def test_a_rebase_of_another_scan_than_was_looked_at_is_refused(desk, upgraded):
    run(desk, upgraded)
    seen = rebase.look(desk, TARGET)
    run(desk, upgraded)
    with pytest.raises(NotAllowed, match="scanned again"):
        rebase.propose(desk, TARGET, record=seen.record, actor=ANA)


def test_a_rebase_without_a_scan_says_what_to_do(desk, clock):
    source = MemorySource(clock, server(OLD))
    propose_state(desk, TARGET, source, actor=ANA)
    approval.approve(desk, TARGET, actor=BEN)
    with pytest.raises(NotFound) as error:
        rebase.look(desk, TARGET)
    assert error.value.next_step == "holdfast scan orders"


def test_each_change_that_is_left_comes_with_what_a_person_can_do(desk, upgraded):
    upgraded.put("setting", "gone", value="1", source="default")
    run(desk, upgraded)
    for old, new in [
        *HIDDEN,
        (setting("promote_trigger_file", "/x", "configuration file"), None),
        (hstore("1.7")[0], hstore("1.8")[0]),
    ]:
        [change, *_] = [
            one
            for one in upgrade.diff(
                taken(OLD, *([old] if old else [])), taken(NEW, *([new] if new else []))
            )
            if not one.name.startswith("server_version")
        ]
        assert rebase.advice(change)
    gap = unreadable("view", reason="denied", needs="SELECT")
    [change, *_] = upgrade.diff(taken(OLD), taken(NEW, gap))
    assert "scanning role" in rebase.advice(change)
