"""What takes a server of its own: its files, ``ALTER SYSTEM``, and slots that decode.

Each case changes one thing, and names all that a snapshot shows of it.
"""

from typing import NamedTuple

from support.cases import one

HBA = "pg_hba.conf"
IDENT = "pg_ident.conf"
CONF = "postgresql.conf"
AUTO = "postgresql.auto.conf"
RULES = """\
local all postgres peer
host all all 127.0.0.1/32 scram-sha-256
host all,other "app user",bob 10.0.0.0 255.0.0.0 radius radiusservers=127.0.0.1 radiussecrets=one
host all all ::1/128 ident map=staff
"""
LOCAL = "local all postgres"
HOST = "host all all 127.0.0.1/32"
RADIUS = 'host all,other "app user",bob 10.0.0.0/8'
SIX = "host all all ::1/128"
MAPS = """\
staff ann app
staff /^(.*)@x$ \\1
"""
MAPPED = "staff: ann as app"
BAD = "line that cannot be read"
MORE = "host all carol 10.1.0.0/16 md5\n"  # what more.conf has
WORK = "work_mem = 7MB\n"  # what work.conf has
CAROL = "host all carol 10.1.0.0/16"
ZOE = "staff: zoe as app"
MANY = "staff zoe app\n"  # what maps.conf has
PHYSICAL = "SELECT pg_create_physical_replication_slot('mine')"
DECODED = "SELECT pg_create_logical_replication_slot('mine', 'pgoutput')"
TWO_PHASE = "SELECT pg_create_logical_replication_slot('mine', 'pgoutput', false, true)"
FAILOVER = "SELECT pg_create_logical_replication_slot('mine', 'pgoutput', false, false, true)"
DROP = "SELECT pg_drop_replication_slot('mine');"


class Case(NamedTuple):
    """``before`` is what the file has, and ``after`` what stands there then; or statements."""

    file: str
    before: str
    after: str
    expected: set[tuple[str, str, str]]
    since: int = 13


def _hba(old: str, new: str, expected: set[tuple[str, str, str]], since: int = 13) -> Case:
    assert RULES.count(old) == 1, old
    return Case(HBA, RULES, RULES.replace(old, new), expected, since)


def _rule(name: str, *attributes: str) -> set[tuple[str, str, str]]:
    return one("hba_rule", name, *attributes)


def _file(name: str, *attributes: str) -> set[tuple[str, str, str]]:
    return one("file_setting", name, *attributes)


def _map(name: str, *attributes: str) -> set[tuple[str, str, str]]:
    return one("ident_mapping", name, *attributes)


def _slot(*attributes: str) -> set[tuple[str, str, str]]:
    return one("replication_slot", "mine", *attributes)


CASES = [
    # hba_rule: one that is put in is one finding, and one for what it stands before now
    _hba(
        "host all all 127",
        "host all all all trust\nhost all all 127",
        _rule("host all all all", "+") | _rule(HOST, "after"),
    ),
    _hba("host all all ::1/128 ident map=staff\n", "", _rule(SIX, "-")),
    _hba("127.0.0.1/32 scram-sha-256", "127.0.0.1/32 trust", _rule(HOST, "method")),
    _hba("map=staff", "map=other", _rule(SIX, "options")),
    _hba("radiussecrets=one", "radiussecrets=another", _rule(RADIUS, "options")),
    _hba("local all postgres peer\n", "# a comment\n\nlocal all postgres peer\n", set()),
    _hba("10.0.0.0 255.0.0.0", "10.0.0.0/8", set()),
    _hba(
        "local all postgres peer\n",
        "local all postgres peer\nlocal all postgres trust\n",
        _rule(f"{LOCAL} #2", "+") | _rule(HOST, "after"),
    ),
    _hba(
        "local all postgres peer\nhost all all 127.0.0.1/32 scram-sha-256\n",
        "host all all 127.0.0.1/32 scram-sha-256\nlocal all postgres peer\n",
        _rule(LOCAL, "after") | _rule(HOST, "after") | _rule(RADIUS, "after"),
    ),
    Case(HBA, RULES, f"{RULES}local all bob secretly\n", _rule(BAD, "+")),
    Case(
        HBA,
        f"{RULES}local all bob secretly\n",
        f"{RULES}local all bob mysteriously\n",
        _rule(BAD, "error_digest"),
    ),
    Case(
        HBA,
        f"{RULES}local all bob secretly\n",
        f"{RULES}local all\n",
        _rule(BAD, "error", "error_digest"),
    ),
    Case(HBA, RULES + MORE, f"{RULES}include more.conf\n", _rule(CAROL, "file"), since=16),
    # ident_mapping
    Case(IDENT, MAPS, f"staff bob app\n{MAPS}", _map("staff: bob as app", "+"), since=15),
    Case(
        IDENT,
        MAPS,
        MAPS.replace("ann", "eve"),
        _map(MAPPED, "-") | _map("staff: eve as app", "+"),
        since=15,
    ),
    Case(IDENT, MAPS, "\n".join(reversed(MAPS.splitlines())), set(), since=15),
    Case(IDENT, MAPS + MANY, f"{MAPS}include maps.conf\n", _map(ZOE, "file"), since=16),
    Case(IDENT, f"{MAPS}staff zoe\n", f"{MAPS}staff\n", set(), since=15),
    Case(IDENT, MAPS, f"{MAPS}staff zoe\n", _map(BAD, "+"), since=15),
    Case(IDENT, f"{MAPS}x /( a\n", f"{MAPS}x /[ a\n", _map(BAD, "error_digest"), since=15),
    Case(
        IDENT,
        f"{MAPS}x /( a\n",
        f"{MAPS}x a\n",
        _map(BAD, "error", "error_digest"),
        since=15,
    ),
    # file_setting
    Case(CONF, "", "work_mem = '7MB'", _file("work_mem in postgresql.conf", "+")),
    Case(CONF, "work_mem = 7MB", "", _file("work_mem in postgresql.conf", "-")),
    Case(CONF, "work_mem = 7MB", "work_mem = 8MB", _file("work_mem in postgresql.conf", "value")),
    Case(CONF, "work_mem = 7MB", "# why\n\nwork_mem = '7MB'", set()),
    Case(
        CONF,
        "work_mem = 7MB",
        "work_mem = 7MB\nwork_mem = 8MB",
        _file("work_mem in postgresql.conf", "applied")
        | _file("work_mem in postgresql.conf #2", "+"),
    ),
    Case(
        CONF,
        "work_mem = 7MB",
        "work_mem = lots",
        _file("work_mem in postgresql.conf", "value", "applied", "error"),
    ),
    Case(
        CONF,
        "include 'work.conf'\nwork_mem = 8MB",
        "work_mem = 8MB",
        _file("work_mem in work.conf", "-") | _file("work_mem in postgresql.conf", "after"),
    ),
    Case(
        "",
        "ALTER SYSTEM RESET ALL",
        "ALTER SYSTEM SET work_mem = '9MB'",
        _file("work_mem in postgresql.auto.conf", "+"),
    ),
    Case(
        "",
        "ALTER SYSTEM SET work_mem = '9MB'",
        "ALTER SYSTEM SET work_mem = '10MB'",
        _file("work_mem in postgresql.auto.conf", "value"),
    ),
    Case(
        AUTO,
        "work_mem = 7MB\nwork_mem = 8MB",
        "work_mem = 8MB",
        _file("work_mem in postgresql.auto.conf", "value", "applied")
        | _file("work_mem in postgresql.auto.conf #2", "-"),
    ),
    # replication_slot
    Case("", "", PHYSICAL, _slot("+")),
    Case("", PHYSICAL, DROP, _slot("-")),
    Case("", PHYSICAL, DROP + DECODED, _slot("type", "plugin", "database")),
    Case("", DECODED, DROP + TWO_PHASE, _slot("two_phase"), since=14),
    Case("", DECODED, DROP + FAILOVER, _slot("failover"), since=17),
    # replication_origin
    Case(
        "",
        "",
        "SELECT pg_replication_origin_create('elsewhere')",
        one("replication_origin", "elsewhere", "+"),
    ),
    # tablespace; {one} and {two} are folders
    Case(
        "",
        "CREATE TABLESPACE ts LOCATION '{one}'",
        "DROP TABLESPACE ts; CREATE TABLESPACE ts LOCATION '{two}'",
        one("tablespace", "ts", "location"),
    ),
]
