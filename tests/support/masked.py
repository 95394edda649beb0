"""Masking views at the test server: masks from text, and all that a catalogue says."""

import tomllib

from msgspec.structs import replace
from support.cluster import WANTED

from chalicelib.access.masking.masks import parse
from chalicelib.access.profile import Profile
from chalicelib.postgres import masking
from chalicelib.postgres.owner import owner

ROLE = owner("shop")
BASIC = """
app.orders.id = "public"
app.orders.customer = "name"
app.orders.email = "email"
app.customers.id = "public"
app.customers.email = "email"
app.secrets.word = "hidden"
"""
EU = '[views.eu]\nreveals = ["name"]\n'
# Everything that is shared or of this database, with the transaction that wrote it.
CATALOGUES = (
    *("pg_class", "pg_attribute", "pg_namespace", "pg_rewrite", "pg_proc", "pg_type", "pg_trigger"),
    *("pg_depend", "pg_shdepend", "pg_authid", "pg_auth_members", "pg_shdescription"),
    *("pg_default_acl", "pg_constraint", "pg_index", "pg_attrdef", "pg_policy", "pg_description"),
    *("pg_db_role_setting", "pg_database"),
)
_OWN = "::regnamespace::text !~ '^(pg_|information_schema)'"
STATE = (
    """SELECT n.nspname, o.rolname, n.nspacl::text FROM pg_namespace n
    JOIN pg_roles o ON o.oid = n.nspowner WHERE n.nspname !~ '^pg_' ORDER BY 1""",
    f"""SELECT c.oid::regclass::text, c.relkind, o.rolname, c.reloptions::text,
    (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(c.relacl) a),
    CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END
    FROM pg_class c JOIN pg_roles o ON o.oid = c.relowner
    WHERE c.relnamespace{_OWN} ORDER BY 1""",
    f"""SELECT a.attrelid::regclass::text, a.attname, a.attacl::text,
    format_type(atttypid, atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace{_OWN} AND c.relkind <> 'i' ORDER BY 1, a.attnum""",
    """SELECT p.oid::regprocedure::text, p.prosrc, p.proacl::text FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'holdfast_mask' ORDER BY 1""",
    """SELECT rolname, rolcanlogin, shobj_description(oid, 'pg_authid') FROM pg_roles ORDER BY 1""",
    """SELECT roleid::regrole::text, member::regrole::text, admin_option FROM pg_auth_members
    ORDER BY 1, 2, 3""",
)


def masks(text):
    """The masks of one text."""
    return parse([("masks", tomllib.loads(text))])


def apply(cluster, text=BASIC, wanted=WANTED, *, dsn="", **more):
    """Masks applied to the cluster's ``shop``, as its superuser or another.

    Each set of views that they name has a profile that reads it.
    """
    said = masks(text)
    lacking = set(said.views) - {one.views for one in wanted.profiles.values()}
    readers = {
        f"of-{one}": Profile(privileges=("SELECT",), masked=True, views=one) for one in lacking
    }
    wanted = replace(wanted, profiles={**wanted.profiles, **readers})
    return masking.apply(dsn or cluster.dsn(), said, wanted, **more)


def bare(cluster):
    """The cluster without the view that a person made."""
    cluster.run("DROP SCHEMA app_masked CASCADE")
    return cluster


def written(cluster):
    """Each row of the catalogues by where it is and which transaction wrote it."""
    return {one: cluster.rows(f"SELECT ctid, xmin FROM {one} ORDER BY 1") for one in CATALOGUES}


def state(cluster):
    """What the masking is, by names."""
    return [cluster.rows(one) for one in STATE]


def held(cluster, role=ROLE):
    """The columns that a role may read by a grant of its own, or of its tables."""
    return {
        (table, column)
        for table, column in cluster.rows(
            "SELECT c.oid::regclass::text, a.attname::text FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace::regnamespace::text !~ '^(pg_|information_schema|holdfast_mask)'"
            " AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT a.attisdropped"
            " AND c.relowner::regrole::text <> %s"
            " AND has_column_privilege(%s, c.oid, a.attnum, 'SELECT')",
            role,
            role,
        )
    }


def rows(shop, text="SELECT id FROM orders ORDER BY 1", **more):
    """The first column of what a masked lease reads."""
    terms, credential = shop.lease("read-masked", **more)
    try:
        with shop.connect(credential) as session:
            return [row[0] for row in session.execute(text).fetchall()]
    finally:
        shop.end(terms)


def filtered(condition):
    """Masks with a row filter of orders."""
    quotes = "'''" if "'''" not in condition else '"""'
    return f"{BASIC}[rows]\napp.orders = {quotes}{condition}{quotes}\n"
