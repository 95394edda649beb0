"""``holdfast demo``: the main job, told with the real commands, on an embedded PostgreSQL 18.

Every line after a ``$`` is a command that runs as it stands, in a process of its own. AWS is a
stand-in on this machine: no command has credentials, settings or an endpoint that lead elsewhere.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from chalicelib.cli.app import app
from chalicelib.cli.standin.process import StandIn, without_aws
from chalicelib.cli.story.cloud import LABEL, Cloud
from chalicelib.cli.story.lease import Leases
from chalicelib.cli.story.stage import SETTLE_SECONDS, Stage
from chalicelib.drift.finding import SHORT_ID
from chalicelib.kernel.errors import CouldNotTell, UsageError
from chalicelib.local.clock import SystemClock
from chalicelib.postgres.embedded import EmbeddedServer, binaries

MARK = ".holdfast-demo"  # only a folder with this file in it is ever emptied
SERVER_PREFIX = "holdfast-demo-"


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where; its files stay.")] = Path("demo-run"),
) -> None:
    """Tell the whole story on an embedded PostgreSQL 18, and a stand-in of AWS."""
    standin = StandIn(os.environ)
    _prepare(folder)
    with (
        standin,
        EmbeddedServer(_server_folder(folder), settings={"track_commit_timestamp": "on"}) as server,
    ):
        _Story(folder, server, standin).tell()


def _prepare(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise UsageError(
                f"{folder} holds other files; nothing was changed",
                next_step="holdfast demo OTHER-FOLDER",
            )
        server = (folder / "postgres").resolve()
        if server.name.startswith(SERVER_PREFIX):
            shutil.rmtree(server, ignore_errors=True)
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).write_text(
        "Made by `holdfast demo`, which empties this folder when it runs again.\n"
    )


def _server_folder(folder: Path) -> Path:
    """Where the server's files go: into the folder, or beside it with a link to them.

    As root the server runs as another user, who may not be able to reach the folder at all.
    """
    inside = folder.absolute() / "postgres"
    if os.geteuid() != 0 or all(one.stat().st_mode & stat.S_IXOTH for one in inside.parents):
        return inside
    outside = Path(tempfile.mkdtemp(prefix=SERVER_PREFIX))
    outside.chmod(0o755)
    inside.symlink_to(outside)
    return outside


class _Story:
    """The chapters, told in order; a command that answers otherwise than the story says ends it."""

    def __init__(self, folder: Path, server: EmbeddedServer, standin: StandIn) -> None:
        self._folder = folder
        self._server = server
        self._dsn = server.socket_dsn("shop")
        own = without_aws(os.environ)
        environment = {
            **{k: v for k, v in own.items() if not k.startswith(("HOLDFAST_", "PG"))},
            "SHOP_DSN": self._dsn,
            "SHOP_BROKER_DSN": server.dsn(
                "shop", user="holdfast_broker", password=secrets.token_urlsafe(24)
            ),
            "PATH": f"{binaries()}{os.pathsep}{own.get('PATH', '')}",
        }
        self._stage = Stage(folder, environment)
        self._cloud = Cloud(self._stage, standin)

    def tell(self) -> None:
        """All of it; the process's exit code says whether it came out as told."""
        self._stage.chapter("A shop, an AI model that reads it, and a signed state")
        self._stage.words(
            "An embedded PostgreSQL 18 with two schemas: the shop, and the model's features."
        )
        self._set_up()
        began = SystemClock().now()
        self._stage.run("init", ".", expect=0)
        self._stage.run("target", "add", "shop", "--dsn-env", "SHOP_DSN", "--env", "prod", expect=0)
        self._stage.run(
            "--as", "ana", "baseline", "propose", "shop", "--comment", "go live", expect=0
        )
        self._stage.words("Whoever proposes cannot approve:")
        self._stage.run("--as", "ana", "baseline", "approve", "shop", expect=2)
        self._stage.run("--as", "ben", "baseline", "approve", "shop", expect=0)
        self._stage.run("--as", "chloe", "baseline", "approve", "shop", expect=0)

        self._stage.chapter("A quiet evening")
        self._stage.run("scan", "shop", expect=0)

        self._cloud.sign()

        Leases(self._stage).tell()

        self._stage.chapter("2 a.m.")
        self._stage.words("Nobody is watching:")
        self._stage.deeds(self._night())

        self._stage.chapter("The next scan names each change, and exits with 1")
        self._stage.run("scan", "shop", expect=1)

        self._stage.chapter("One finding, in full")
        self._stage.run("drift", "show", self._stage.finding("function")[:SHORT_ID], expect=0)

        self._cloud.night()

        self._stage.chapter("The evidence")
        self._stage.run("evidence", "ls", "--last", "6", expect=0)
        self._stage.run("evidence", "fsck", expect=0)

        self._stage.words("What the end of the lease left behind, and how that was looked at:")
        self._stage.run("evidence", "show", self._record("lease.ended"), expect=0)

        self._stage.chapter("A packet for the auditor, which needs nothing of ours to be verified")
        days = ("--from", began.date().isoformat(), "--to", SystemClock().now().date().isoformat())
        self._stage.run("evidence", "packet", *days, "-o", "packet.zip", expect=0)
        self._stage.run("evidence", "verify", "packet.zip", expect=0)
        self._stage.run("evidence", "report", "packet.zip", "-o", "report.html", expect=0)
        program = Path(sys.executable).with_name("holdfast")
        self._stage.words(
            f"\nEverything is in {self._folder}/: the settings, the log in .holdfast/, the "
            f"database in {self._server.folder}. AWS was {LABEL}; it is gone.\n"
            f"Try: cd {self._folder} && {program} evidence ls"
        )

    def _record(self, kind: str) -> str:
        """The place of the last record of a kind."""
        found = [
            one["record"]
            for one in self._stage.json("evidence", "ls", "--json")
            if one["kind"] == kind
        ]
        return str(found[-1])

    def _set_up(self) -> None:
        with self._connect("postgres") as connection:
            connection.execute("CREATE DATABASE shop")
            connection.execute("ALTER SYSTEM SET log_statement = 'ddl'")
        self._sql(_read("shop.sql"))
        self._await_parameter("ddl")

    def _night(self) -> list[str]:
        text = _read("night.sql")
        self._sql(text)
        with self._connect("postgres") as connection:
            connection.execute("ALTER SYSTEM SET log_statement = 'none'")
        self._await_parameter("none")
        lines = [line for line in text.splitlines() if line and not line.startswith("--")]
        return [*lines, "ALTER SYSTEM SET log_statement = 'none';"]

    def _connect(self, database: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._server.socket_dsn(database), autocommit=True)

    def _sql(self, text: str) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(text.encode())

    def _await_parameter(self, expected: str) -> None:
        """Reload, and wait until new connections see it."""
        with self._connect("postgres") as connection:
            connection.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            with self._connect("postgres") as connection:
                row = connection.execute("SHOW log_statement").fetchone()
            if row == (expected,):
                return
        raise CouldNotTell("the embedded server did not take over log_statement")


def _read(name: str) -> str:
    return resources.files("chalicelib.cli").joinpath("story", name).read_text()
