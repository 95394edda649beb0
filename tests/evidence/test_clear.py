"""Who saw personal data: told from the records that the broker writes, and never guessed."""

from __future__ import annotations

import msgspec
import pytest
from support.grants import ANA, BEN, BOT, CHLOE, DAN, Broker, MemoryGrantor
from support.leases import fail, once

from chalicelib.access import issue, lease, request, state
from chalicelib.access.audit import Audit
from chalicelib.access.plan import Step
from chalicelib.access.profile import SHIPPED, Profile, masked
from chalicelib.access.request import Asked
from chalicelib.evidence import summary
from chalicelib.evidence.clear import Clear, coverage, streams
from chalicelib.evidence.manifest import Filter, Manifest, Period, Range, Tool
from chalicelib.kernel import masking
from chalicelib.kernel.canon import encode
from chalicelib.kernel.errors import CouldNotTell, Malformed
from chalicelib.kernel.record import Draft

APPLIED = {
    "masks_sha256": "a" * 64,
    "statements": 7,
    "statements_sha256": "b" * 64,
    "sets": ["", "eu"],
    "columns": [
        ["public", "customers", "id", "public", False, {"": "clear", "eu": "clear"}],
        ["public", "customers", "email", "email", True, {"": "email", "eu": "clear"}],
        ["public", "customers", "iban", "iban", True, {"": "left out", "eu": "iban"}],
        ["public", "orders", "id", "public", False, {"": "clear", "eu": "clear"}],
        ["sales", "leads", "phone", "phone", True, {"": "phone", "eu": "phone"}],
    ],
    "unclassified": [["public", "orders", "note"]],
    "rows": [["eu", "public", "customers", "c" * 64]],
    "left_out": [["public", "logs", "no column of it has a class"]],
}
CHECKED = {
    "request": "",
    "profile": "read-masked",
    "held": 11,
    "leaked": 1,
    "untold": 0,
    "attacks": [["error.cast", "public.customers", "leaked", "the error has the value"]],
}
EMAIL, IBAN = ("public", "customers", "email"), ("public", "customers", "iban")
PHONE = ("sales", "leads", "phone")
OWN = """
@id("own.all")
@approvals("0")
permit (principal == Agent::"bot", action == Action::"lease:request", resource);

@id("own.asked")
permit (principal in Role::"engineer", action == Action::"lease:request", resource);
"""
PROFILES = {
    **SHIPPED,
    "read-eu": Profile(privileges=("SELECT",), masked=True, views="eu"),
    "read-us": Profile(privileges=("SELECT",), masked=True, views="us"),
    "insert": Profile(privileges=("INSERT",), read_only=False),
    "makers": Profile(privileges=("SELECT",), masked=True, roles=("makers",)),
    "ours": Profile(actions=("s3:GetObject",)),
}


class Planned(MemoryGrantor):
    """Plans are those of leases in PostgreSQL, over a target in memory."""

    def plan(self, terms):
        profile = terms.profile
        if profile.actions:  # an AWS role's plan has no tables
            return super().plan(terms)
        self._reach("plan")
        schemas = ("public", "sales")
        views = tuple(masked(one, profile.views) for one in schemas) if profile.masked else ()
        relations = tuple(
            issue.Relation(
                masked(one.schema, profile.views) if profile.masked else one.schema,
                one.name,
                "1",
                "table",
                profile.privileges,
            )
            for one in terms.tables
        )
        found = issue.Found(
            system="1",
            database="shop",
            broker="holdfast_broker",
            major=18,
            relations=relations,
            group="" if relations or not profile.privileges else "holdfast_p_x",
            path=(*views, *schemas),
            log_statement="not asked",
        )
        return issue.plan(terms, found)

    def issue(self, plan, terms):
        first = Step(sql="CREATE ROLE {role}", identifiers={"role": terms.role})
        return super().issue(msgspec.structs.replace(plan, steps=(first,)), terms)


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path, policy=OWN)
    grantor = Planned("postgres:orders-prod", made.cluster, made._reached)
    made.configure(grantor=lambda: grantor, profiles=PROFILES)
    return made


class Shop:
    """What tests do with the broker, and what its records tell."""

    def __init__(self, broker):
        self.broker = broker
        self.at = (broker.desk, broker.target)

    def apply(self, **changes):
        self.record(masking.APPLIED, {**APPLIED, **changes})

    def record(self, kind, body):
        now, stream = self.broker.desk.now, self.broker.target.stream
        self.broker.log.append([Draft(kind, stream, now, BEN.actor, body)])

    def ask(self, profile, *tables, who=ANA, **more):
        what = Asked(profile=profile, tables=tables, reason="INC-481 refund bug", **more)
        return request.ask(*self.at, who, what).id

    def lease(self, profile, *tables, who=ANA, **more):
        which = self.ask(profile, *tables, who=who, **more)
        self.approve(which)
        lease.claim(*self.at, who, which)
        return which

    def leased(self, *arguments, **more):
        """What the records tell of a lease that is made now, or None."""
        which = self.lease(*arguments, **more)
        return self.sights().get(which)

    def approve(self, which, *people):
        """As many as it takes."""
        for who in people or (BEN, DAN, CHLOE):
            if self.broker.state.find(which).phase.value == "pending":
                request.approve(*self.at, who, which)

    def end(self, which):
        lease.revoke(*self.at, ANA, which)

    @property
    def entries(self):
        return list(self.broker.log.stream(self.broker.target.stream))

    def seen(self, start=0, stop=None):
        return coverage(self.entries[start:stop])

    def sights(self, start=0, stop=None):
        return {one.lease: one for one in self.seen(start, stop).leases}


@pytest.fixture
def shop(broker):
    return Shop(broker)


def test_what_is_personal_and_what_each_set_of_views_shows(shop):
    shop.apply(columns=[])
    shop.apply()
    shop.record(masking.CHECKED, {**CHECKED, "held": 3})
    shop.record(masking.CHECKED, CHECKED)
    seen = shop.seen()
    assert seen.target == "orders-prod"
    assert [(one.column, one.shown) for one in seen.personal] == [
        ("email", {"": "email", "eu": "clear"}),
        ("iban", {"": "left out", "eu": "iban"}),
        ("phone", {"": "phone", "eu": "phone"}),
    ]
    assert seen.masks.index == shop.entries[1].index
    assert seen.unclassified == [("public", "orders", "note")]
    assert seen.check.checked.held == 11
    assert seen.leases == []


def test_without_masks_it_is_not_none(shop):
    clear = shop.lease("read-clear", "public.customers")
    everything = shop.lease("write")
    behind = shop.lease("read-masked")
    seen = shop.seen()
    assert seen.masks is None
    found = {one.lease: (one.reads, one.known, one.tables) for one in seen.leases}
    assert found == {
        clear: ("some", False, [("public", "customers")]),
        everything: ("all", False, []),
        behind: ("untold", False, []),
    }
    text = "\n".join(words(seen))
    assert "it cannot be told which columns are personal" in text
    assert "0 personal" not in text


def test_a_lease_of_tables_saw_their_personal_columns(shop):
    shop.apply()
    which = shop.lease("read-clear", "public.customers", "sales.leads")
    sight = shop.sights()[which]
    assert (sight.reads, sight.columns, sight.tables) == ("some", [EMAIL, IBAN, PHONE], [])
    assert (sight.known, sight.ended, sight.who) == (True, False, "person:ana")
    assert [one.by for one in sight.approvals] == ["ben"]
    issued = shop.entries[-1].record
    assert sight.since == issued.at
    assert issued.kind == "lease.issued"
    shop.end(which)
    sight = shop.sights()[which]
    assert (sight.ended, sight.until) == (True, shop.entries[-1].record.at)


def test_a_lease_of_what_is_not_personal_saw_none(shop):
    shop.apply(unclassified=[])
    assert shop.leased("read-clear", "public.orders") is None


@pytest.mark.parametrize("table", ["public.orders", "public.logs"])
def test_what_no_class_says_is_told_to_be_unknown(shop, table):
    shop.apply()
    sight = shop.leased("read-clear", table)
    assert (sight.columns, sight.tables) == ([], [tuple(table.split("."))])
    assert f"what is in no class of {table}" in "\n".join(words(shop.seen()))


def test_a_lease_without_tables_saw_all_of_the_schemas(shop):
    shop.apply()
    sight = shop.leased("write")
    assert (sight.reads, sight.schemas) == ("all", ["public", "sales"])
    assert sight.columns == [EMAIL, IBAN, PHONE]
    assert "all of the schemas public, sales" in "\n".join(words(shop.seen()))


def test_a_role_of_the_target_may_see_anything_also_behind_masks(shop):
    shop.apply()
    sight = shop.leased("makers")
    assert (sight.reads, sight.schemas, sight.why) == ("all", [], "it is a member of makers")


@pytest.mark.parametrize(
    ("profile", "tables"),
    [("insert", ()), ("insert", ("public.customers",)), ("migrate", ()), ("ours", ())],
)
def test_what_reads_nothing_saw_nothing(shop, profile, tables):
    shop.apply()
    assert shop.leased(profile, *tables) is None


@pytest.mark.parametrize(
    ("profile", "tables", "columns"),
    [
        ("read-masked", (), None),
        ("read-masked", ("public.customers",), None),
        ("read-eu", (), [EMAIL]),
        ("read-eu", ("public.customers",), [EMAIL]),
        ("read-eu", ("sales.leads",), None),
    ],
)
def test_a_masked_lease_saw_what_its_views_show_clear(shop, profile, tables, columns):
    shop.apply()
    sight = shop.leased(profile, *tables)
    assert (sight and sight.columns) == columns


def test_of_views_that_no_record_has_nobody_can_tell(shop):
    shop.apply()
    assert shop.leased("read-us").reads == "untold"


def test_masks_that_change_while_a_lease_runs_count_both(shop):
    shop.apply()
    which = shop.lease("read-masked")
    assert shop.sights() == {}
    opened = [[*row[:5], {**row[5], "": "clear"}] for row in APPLIED["columns"]]
    shop.apply(columns=opened)
    shop.apply()
    assert shop.sights()[which].columns == [EMAIL, IBAN, PHONE]
    shop.end(which)
    shop.apply(columns=opened)
    assert shop.leased("read-masked").columns == [EMAIL, IBAN, PHONE]


def test_masks_that_were_replaced_before_a_lease_are_no_matter(shop):
    shop.apply(columns=[[*row[:5], dict.fromkeys(row[5], "clear")] for row in APPLIED["columns"]])
    shop.apply()
    assert shop.leased("read-masked") is None


def test_masks_after_the_end_of_a_lease_are_no_matter(shop):
    shop.apply()
    which = shop.lease("read-masked")
    shop.end(which)
    shop.apply(columns=[[*row[:5], dict.fromkeys(row[5], "clear")] for row in APPLIED["columns"]])
    assert which not in shop.sights()


def test_nobody_had_to_agree_and_by_which_policy(shop):
    shop.apply()
    sight = shop.leased("write", who=BOT)
    assert (sight.approvals, sight.policies, sight.who) == ([], ["own.all"], "agent:bot")
    assert "nobody had to agree, by own.all" in "\n".join(words(shop.seen()))


def test_who_agreed_to_what_was_changed_did_not_agree(shop):
    shop.apply()
    which = shop.ask("read-clear", "public.orders")
    request.approve(*shop.at, BEN, which)
    asked = Asked(profile="write", reason="another reason")
    request.amend(*shop.at, ANA, which, asked)
    shop.approve(which, DAN, CHLOE)
    lease.claim(*shop.at, ANA, which)
    sight = shop.sights()[which]
    assert [one.by for one in sight.approvals] == ["dan", "chloe"]
    assert (sight.profile, sight.reason_kind) == ("write", "access.amended")


def test_who_agreed_to_a_later_end(shop):
    shop.apply()
    which = shop.lease("read-clear", "public.customers", seconds=600)
    shop.broker.clock.pass_(60)
    lease.renew(*shop.at, ANA, which, 1_200)
    request.approve(*shop.at, DAN, which)
    lease.sweep(*shop.at)
    sight = shop.sights()[which]
    assert [(one.by, one.renewal) for one in sight.approvals] == [("ben", False), ("dan", True)]
    (extended,) = [one for one in shop.entries if one.record.kind == "lease.extended"]
    assert sight.until == extended.body["until"]


def test_what_was_not_issued_saw_nothing(shop):
    shop.apply()
    which = shop.ask("write")
    shop.approve(which)
    once(shop.broker, "issue before", fail(CouldNotTell("away")))
    with pytest.raises(CouldNotTell):
        lease.claim(*shop.at, ANA, which)
    assert shop.entries[-1].record.kind == "lease.ending"
    assert which not in shop.sights()
    assert which in shop.sights(stop=-1), "it may be issued by now, for all that these records tell"


def test_a_lease_from_before_these_records_is_named(shop):
    shop.apply()
    which = shop.lease("write")
    shop.end(which)
    kinds = [one.record.kind for one in shop.entries]
    seen = shop.seen(kinds.index("lease.issued"))
    assert (seen.earlier, seen.leases) == ([which], [])
    assert which in "\n".join(words(seen))
    later = shop.seen(kinds.index("lease.issuing"))
    (sight,) = later.leases
    assert (sight.asked, sight.reason, sight.known) == (False, None, False)
    text = "\n".join(words(later))
    assert "who agreed is not here" in text
    assert "reason: not here" in text


def test_a_reason_is_sealed_as_it_is_in_the_record(shop):
    shop.apply()
    shop.lease("write")
    (sight,) = shop.seen().leases
    assert set(sight.reason) == {"personal"}
    assert "reason: sealed" in "\n".join(words(shop.seen()))
    assert "refund" not in str(words(shop.seen()))


def test_records_of_another_form_are_named_and_no_error(shop):
    shop.apply()
    shop.lease("write")
    good = shop.entries
    bad = [msgspec.structs.replace(one, body={}) for one in good]
    seen = coverage(bad)
    assert seen.odd == [one.index for one in good]
    assert f"{len(good)} records that are not of their kind's form" in "\n".join(words(seen))
    for value in (None, 1, [], {"assumes": 1}, {"assumes": {"relations": 1}}):
        for at, one in enumerate(good):
            for field in one.body:
                changed = msgspec.structs.replace(one, body={**one.body, field: value})
                words(coverage([*good[:at], changed, *good[at + 1 :]]))


def test_targets_are_told_apart(shop):
    shop.apply()
    shop.lease("write")
    clear = Clear(streams(["postgres:other", "access:other", "access:orders-prod"]))
    for one in shop.entries:
        clear.add(one)
        moved = msgspec.structs.replace(one.record, stream="postgres:orders-prod", kind="scan")
        clear.add(msgspec.structs.replace(one, record=moved))
    first, second = clear.told()
    assert (first.target, len(first.leases)) == ("orders-prod", 1)
    assert (second.target, second.masks) == ("other", None)


def test_what_a_program_gets_is_json(shop):
    shop.apply()
    shop.record(masking.CHECKED, CHECKED)
    shop.lease("write")
    value = msgspec.to_builtins(shop.seen())
    encode(value)
    assert value["personal"][0] == APPLIED["columns"][1]
    assert coverage([]).masks is None


def test_the_audit_takes_them_and_knows_their_place_and_form(shop):
    shop.apply()
    which = shop.lease("read-masked")
    shop.record(masking.CHECKED, {**CHECKED, "request": which})
    shop.end(which)
    audit = Audit()
    assert [what for one in shop.entries for what in audit.check(one)] == []
    assert shop.broker.state.find(which).phase.value == "ended"
    assert audit.states[shop.broker.target.stream].seq == len(shop.entries)
    first = shop.entries[0]
    moved = msgspec.structs.replace(first.record, stream="postgres:orders-prod")
    elsewhere = msgspec.structs.replace(first, record=moved)
    ((_, what),) = Audit().check(elsewhere)
    assert what == "a masking.applied in the stream postgres:orders-prod"
    fresh = Audit()
    ((_, what),) = fresh.check(msgspec.structs.replace(first, body={**first.body, "sets": 1}))
    assert "its body is not that of a masking.applied" in what
    assert [what for one in shop.entries[1:] for what in fresh.check(one)] == []


def changed(body, **fields):
    return {**body, **fields}


@pytest.mark.parametrize(
    "body",
    [
        {},
        changed(APPLIED, more=1),
        changed(APPLIED, masks_sha256="A" * 64),
        changed(APPLIED, statements=-1),
        changed(APPLIED, sets=["", ""]),
        changed(APPLIED, sets=[""]),
        changed(APPLIED, columns=[*APPLIED["columns"], APPLIED["columns"][0]]),
        changed(APPLIED, unclassified=[["public", "customers", "id"]]),
        changed(APPLIED, rows=[["us", "public", "customers", "c" * 64]]),
        changed(APPLIED, rows=[["eu", "public", "customers", "c"]]),
        changed(APPLIED, columns=[["s", "t", "c", "email", 1, {"": "x", "eu": "x"}]]),
        changed(APPLIED, columns=[["s", "t", "c", "email", True, {"": "x", "eu": ""}]]),
        changed(APPLIED, left_out=[["s", "t"]]),
    ],
)
def test_what_was_applied_has_one_form(body):
    masking.applied(APPLIED)
    with pytest.raises(Malformed):
        masking.check(masking.APPLIED, body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        changed(CHECKED, more=1),
        changed(CHECKED, leaked=0),
        changed(CHECKED, held=-1),
        changed(CHECKED, attacks=[["a", "", "perhaps", ""]]),
        changed(CHECKED, attacks=[["a", "", "held"]]),
    ],
)
def test_what_was_checked_has_one_form(body):
    masking.checked(CHECKED)
    with pytest.raises(Malformed):
        masking.check(masking.CHECKED, body)


def test_the_kinds_are_those_of_the_state():
    assert {"masking.applied", "masking.checked"} == state.MASKING
    assert not state.MASKING & state.KINDS


def head(kinds=()):
    return Manifest(
        v=1,
        origin="test.example/log",
        period=Period("2026-10-01T00:00:00.000000Z", "2026-10-02T00:00:00.000000Z"),
        filter=Filter((), tuple(kinds)),
        range=Range(0, 9),
        census=9,
        frontier=(),
        checkpoints=(9, 10),
        consistency=((),),
        handovers=(),
        records=9,
        tool=Tool("0", "0" * 64),
        files={},
    )


COVERED = encode({"ticks": 0, "targets": [], "unobserved": []})
ASKED = encode({"tools": {}, "questions": {}, "failures": []})


def words(*seen, kinds=()):
    """The lines about personal data."""
    text = summary.text(head(kinds), COVERED, ASKED, seen)
    part = text.partition("Personal data\n\n")[2].partition("\n\nWritten by")[0]
    return part.split("\n")


def test_the_words_of_the_report(shop):
    shop.apply()
    shop.record(masking.CHECKED, CHECKED)
    which = shop.lease("read-clear", "public.customers")
    shop.end(which)
    at = [one.record.at for one in shop.entries]
    head_line = (
        "  orders-prod: 3 personal columns, 1 without a class, 1 table left out, by the masks that "
        f"ben applied at {at[0]} (record 0)"
    )
    attacks = (
        f"    views attacked last at {at[1]} by a lease of read-masked (record 1): 11 held, "
        "1 leaked, 0 untold"
    )
    sight = (
        f"    SOME  {which}  person:ana  read-clear: public.customers.email, "
        f"public.customers.iban; {at[5]}, ended {at[7]}; reason: sealed; approved by ben {at[3]}"
    )
    assert words(shop.seen()) == [
        head_line,
        "    public.customers.email  email; in _masked: email; in _masked_eu: clear",
        "    public.customers.iban  iban; in _masked: left out; in _masked_eu: iban",
        "    sales.leads.phone  phone; in _masked: phone; in _masked_eu: phone",
        "    WITHOUT A CLASS  public.orders.note",
        "    LEFT OUT  public.logs: no column of it has a class",
        attacks,
        "    MASKED LEASES may have read clear what leaked",
        "    LEAKED  error.cast  public.customers: the error has the value",
        "    1 lease could read personal columns clear",
        sight,
    ]


def test_where_only_some_kinds_are_here_nothing_is_said(shop):
    shop.apply()
    said = ["Only some kinds of records are here: who saw personal data cannot be told."]
    assert words(shop.seen(), kinds=["finding"]) == said
    assert words(shop.seen(), kinds=["access", "lease"]) == said
    assert len(words(shop.seen(), kinds=["access", "lease", "masking"])) > 1
    assert words() == ["No masks, requests or leases are here: what is personal cannot be told."]


def test_odd_names_and_long_lists_are_bounded(shop, monkeypatch):
    odd = ["\x1b[2J", "ta\nble", "col'\u202e"]
    shop.apply(
        columns=[[*odd, "\x1b]0;", True, {"": "\n", "eu": "\r"}]],
        unclassified=[["s", "t", f"c{number}"] for number in range(40)],
        left_out=[["\x1b", "\n", "\x07"]],
    )
    monkeypatch.setattr(summary, "MAX_LINES", 30)
    found = words(shop.seen())
    assert all(line.isascii() and line.isprintable() for line in found)
    assert "    and 10 more" in found
    shown = {"": "email", "eu": "clear"}
    shop.apply(columns=[["public", "t", f"c{n:02}", "email", True, shown] for n in range(25)])
    shop.lease("read-eu")
    assert words(shop.seen())[-1].count(" and 5 more") == 1
