"""A dump and its restore with the real programs, pg_dump and psql 18."""

import os
import subprocess

from chalicelib.postgres.embedded import binaries

# Kinds that are the server's, and not in a database's dump.
OF_SERVERS = frozenset(
    {"setting", "file_setting", "hba_rule", "ident_mapping", "role", "membership", "role_setting"}
    | {"database", "tablespace", "replication_slot", "replication_origin", "coverage"}
)
ENVIRONMENT = os.environ | {"LC_ALL": "C"}


def dump(dsn):
    """What pg_dump writes of a database, as text."""
    done = subprocess.run(
        [binaries() / "pg_dump", "--dbname", dsn], env=ENVIRONMENT, check=True, capture_output=True
    )
    return done.stdout


def restore(script, dsn):
    """Run it in another, as far as the server takes it, and return what psql said of errors."""
    done = subprocess.run(
        [binaries() / "psql", "--quiet", "--no-psqlrc", "--dbname", dsn],
        input=script,
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
    )
    # A setting of newer servers, which pg_dump writes for all of them.
    lines = done.stderr.decode().splitlines()
    return [line for line in lines if "ERROR" in line and "transaction_timeout" not in line]
