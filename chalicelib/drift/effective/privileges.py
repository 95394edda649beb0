"""Which privileges there are on what, and what the server gives without an entry."""

from __future__ import annotations

from typing import Final

NEWEST: Final = 18  # the major version that is assumed where a snapshot does not tell
MAINTAIN_SINCE: Final = 17
OPTIONS_SINCE: Final = 16  # of memberships: INHERIT and SET; CREATEROLE needs ADMIN
DATABASE_OWNER_SINCE: Final = 14  # pg_database_owner, pg_read_all_data, pg_write_all_data

PUBLIC: Final = "PUBLIC"  # unquoted, as names in snapshots have it
DATABASE_OWNER: Final = "pg_database_owner"

ROLE: Final = "role"
USAGE, SET, ADMIN = "usage", "set", "admin"  # on a role: pg_has_role's USAGE, SET, … WITH ADMIN
CLUSTER: Final = "cluster"  # what no object has: attributes of roles, and what predefined roles may

_RELATION: Final = (
    "delete",
    "insert",
    "maintain",
    "references",
    "select",
    "trigger",
    "truncate",
    "update",
)
PRIVILEGES: Final[dict[str, tuple[str, ...]]] = {
    "table": _RELATION,
    "view": _RELATION,
    "sequence": ("select", "update", "usage"),
    "column": ("insert", "references", "select", "update"),
    "function": ("execute",),
    "type": ("usage",),
    "schema": ("create", "usage"),
    "database": ("connect", "create", "temporary"),
    "language": ("usage",),
    "server": ("usage",),
    "foreign_data_wrapper": ("usage",),
    "tablespace": ("create",),
    "parameter": ("alter_system", "set"),
    "large_object": ("select", "update"),
}
"""What there is on each kind. A column has what its table has, and what is granted on it alone."""

IN_SCHEMA: Final = frozenset({"table", "view", "sequence", "column", "function", "type"})

# Roles that the server asks for itself, on every object of these kinds. Source: aclchk.c,
# pg_class_aclmask_ext, pg_namespace_aclmask_ext.
_READ, _WRITE, _MAINTAIN = "pg_read_all_data", "pg_write_all_data", "pg_maintain"
WIDE: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("table", "select"): (_READ,),
    ("view", "select"): (_READ,),
    ("sequence", "select"): (_READ,),
    **{
        (kind, one): (_WRITE,)
        for kind in ("table", "view")
        for one in ("insert", "update", "delete")
    },
    ("sequence", "update"): (_WRITE,),
    ("schema", "usage"): (_READ, _WRITE),
    ("table", "maintain"): (_MAINTAIN,),
    ("view", "maintain"): (_MAINTAIN,),
}
WIDE_SINCE: Final = {_READ: 14, _WRITE: 14, _MAINTAIN: MAINTAIN_SINCE}

SUPERUSER: Final = "superuser"
BYPASS: Final = "bypass_rls"
ATTRIBUTES: Final[dict[str, str]] = {
    SUPERUSER: "do everything, as a superuser",
    BYPASS: "read and write past row-level security",
    "create_role": "create roles, and alter and grant those that it may",
    "create_db": "create databases",
    "replication": "copy the whole cluster",
}
"""Of roles: never inherited, only had by whoever is the role, or becomes it."""

PREDEFINED: Final[dict[str, str]] = {
    "pg_read_all_data": "read every table, view and sequence",
    "pg_write_all_data": "write every table and view",
    "pg_maintain": "maintain every table",
    "pg_database_owner": "own the current database",
    "pg_read_server_files": "read any file that the server can",
    "pg_write_server_files": "write any file that the server can",
    "pg_execute_server_program": "run programs as the server's user",
    "pg_signal_backend": "cancel and end sessions of others",
    "pg_signal_autovacuum_worker": "cancel autovacuum",
    "pg_read_all_settings": "read every parameter",
    "pg_read_all_stats": "read every session's statistics and statements",
    "pg_stat_scan_tables": "run monitoring functions that lock tables",
    "pg_monitor": "read what monitoring needs",
    "pg_checkpoint": "run CHECKPOINT",
    "pg_use_reserved_connections": "use reserved connections",
    "pg_create_subscription": "create subscriptions",
}
"""What members of these may, which is in no access list. Source: "Predefined Roles"."""

# The memberships that initdb makes, which a snapshot leaves out. Source: initdb's system_views.sql.
MONITOR: Final = "pg_monitor"
MONITORED: Final = ("pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables")


def privileges(kind: str, major: int) -> tuple[str, ...]:
    """What there is on a kind, in order; nothing on one without privileges."""
    found = PRIVILEGES.get(kind, ())
    if major < MAINTAIN_SINCE:
        return tuple(one for one in found if one != "maintain")
    return found


def wide(kind: str, privilege: str, major: int) -> list[str]:
    """The predefined roles that have a privilege on every object of a kind."""
    found = WIDE.get((kind, privilege), ())
    return [one for one in found if major >= WIDE_SINCE[one]]


def words(privilege: str) -> str:
    """A privilege as people write it."""
    return privilege.replace("_", " ")
