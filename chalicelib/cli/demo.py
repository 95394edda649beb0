"""``holdfast demo``: the main job, told on an embedded PostgreSQL 18 with the real commands.

Every line after a ``$`` is a command that runs as it stands, in a process of its own.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.text import Text

from chalicelib.cli.app import app, finish
from chalicelib.cli.text import out, plain
from chalicelib.drift.finding import SHORT_ID
from chalicelib.kernel.errors import CouldNotTell, UsageError
from chalicelib.local.clock import SystemClock
from chalicelib.postgres.embedded import EmbeddedServer, binaries

MARK = ".holdfast-demo"  # only a folder with this file in it is ever emptied
SERVER_PREFIX = "holdfast-demo-"
CHAPTER_COLUMNS = 100
SETTLE_SECONDS = 20  # a reloaded parameter reaches new connections well before
LOOK_SECONDS = 0.3
ACCESS = """\
[targets.shop.access]
dsn_env = "SHOP_BROKER_DSN"
schemas = ["shop"]

[policy.roles]
engineer = ["person:dora"]
approver = ["person:ben", "person:dora"]
"""
MASKING = """\
[targets.shop.masking]
files = ["masks.toml"]
"""
MASKS = """\
shop.customers.id = "public"
shop.customers.tenant = "public"
shop.customers.loyalty = "public"
shop.customers.email = {class = "email", mask = "pseudonym", domain = "customer"}
shop.orders.id = "public"
shop.orders.customer_id = "public"
shop.orders.state = "public"
shop.orders.total = "public"
shop.orders.placed_at = "public"
"""


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where; its files stay.")] = Path("demo-run"),
) -> None:
    """Tell the whole story on an embedded PostgreSQL 18."""
    _prepare(folder)
    with EmbeddedServer(
        _server_folder(folder), settings={"track_commit_timestamp": "on"}
    ) as server:
        _Story(folder, server).tell()


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

    def __init__(self, folder: Path, server: EmbeddedServer) -> None:
        self.folder = folder
        self.server = server
        self.dsn = server.socket_dsn("shop")
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HOLDFAST_", "PG"))},
            "SHOP_DSN": self.dsn,
            "SHOP_BROKER_DSN": server.dsn(
                "shop", user="holdfast_broker", password=secrets.token_urlsafe(24)
            ),
        }
        self.environment["PATH"] = f"{binaries()}{os.pathsep}{self.environment.get('PATH', '')}"
        self.console = out()

    def tell(self) -> None:
        """All of it; the process's exit code says whether it came out as told."""
        self._chapter("A shop, an AI model that reads it, and a signed state")
        self._words(
            "An embedded PostgreSQL 18 with two schemas: the shop, and the model's features."
        )
        self._set_up()
        began = SystemClock().now()
        self._run("init", ".", expect=0)
        self._run("target", "add", "shop", "--dsn-env", "SHOP_DSN", "--env", "prod", expect=0)
        self._run("--as", "ana", "baseline", "propose", "shop", "--comment", "go live", expect=0)
        self._words("Whoever proposes cannot approve:")
        self._run("--as", "ana", "baseline", "approve", "shop", expect=2)
        self._run("--as", "ben", "baseline", "approve", "shop", expect=0)
        self._run("--as", "chloe", "baseline", "approve", "shop", expect=0)

        self._chapter("A quiet evening")
        self._run("scan", "shop", expect=0)

        self._lease()

        self._chapter("2 a.m.")
        self._words("Nobody is watching:")
        for line in self._night():
            self.console.print(Text(f"    {plain(line)}", "dim"))

        self._chapter("The next scan names each change, and exits with 1")
        self._run("scan", "shop", expect=1)

        self._chapter("One finding, in full")
        self._run("drift", "show", self._worst()[:SHORT_ID], expect=0)

        self._chapter("The evidence")
        self._run("evidence", "ls", "--last", "6", expect=0)
        self._run("evidence", "fsck", expect=0)

        self._words("What the end of the lease left behind, and how that was looked at:")
        self._run("evidence", "show", self._record("lease.ended"), expect=0)

        self._chapter("A packet for the auditor, which needs nothing of ours to be verified")
        days = ("--from", began.date().isoformat(), "--to", SystemClock().now().date().isoformat())
        self._run("evidence", "packet", *days, "-o", "packet.zip", expect=0)
        self._run("evidence", "verify", "packet.zip", expect=0)
        program = Path(sys.executable).with_name("holdfast")
        self._words(
            f"\nEverything is in {self.folder}/: the settings, the log in .holdfast/, the database "
            f"in {self.server.folder}.\nTry: cd {self.folder} && {program} evidence ls"
        )

    def _lease(self) -> None:
        """Somebody asks for access, has it, and loses it."""
        self._chapter("An engineer needs to see orders, for half a minute")
        self._words(
            "Engineers may ask, approvers agree, nobody for themselves. In holdfast.toml:\n"
            + ACCESS
        )
        self._append(ACCESS)
        self._run("target", "install", "shop", "--dsn-env", "SHOP_DSN", expect=0)
        self._mask()
        self._words("Broker and masking views are part of the state that people sign for:")
        self._run("--as", "ana", "baseline", "propose", "shop", "--comment", "broker", expect=0)
        self._run("--as", "ben", "baseline", "approve", "shop", expect=0)
        self._run("--as", "chloe", "baseline", "approve", "shop", expect=0)
        asked = ("--profile", "read-clear", "--tables", "shop.orders", "--for", "30s")
        why = ("--reason", "INC-481 refund bug")
        self._run("--as", "dora", "request", "shop", *asked, *why, expect=0)
        request = self._request()
        self._words("Her own approval does not count:")
        self._run("--as", "dora", "approve", request, "--yes", expect=2)
        self._run("--as", "ben", "approve", request, "--yes", expect=0)
        with self._background("serve", "--no-api", "--every", "1h"):
            psql = ("--as", "dora", "run", request, "--", "psql", "-X", "-c")
            self._run(*psql, "SELECT count(*) FROM shop.orders", expect=0)
            self._words("Outside of the scope:")
            self._run(*psql, "SELECT email FROM shop.customers", expect=1)
            self._words("A session that is open when the time is over is ended with it:")
            self._run(*psql, "SELECT pg_sleep(300)", expect=6)
            self._await_end(request)
        self._masked_lease()
        self._run("ls", "--all", expect=0)

    def _mask(self) -> None:
        """Somebody looks for personal data, says what it is, and has views made that mask it."""
        self._words("What looks personal there? Values are looked at, and neither kept nor shown:")
        self._run("mask", "suggest", "shop", expect=0)
        self._words(
            f"Somebody who knows decides; what has no class is left out. masks.toml:\n{MASKS}"
        )
        (self.folder / "masks.toml").write_text(MASKS)
        self._append(MASKING)
        self._run("mask", "apply", "shop", expect=0)

    def _masked_lease(self) -> None:
        """An agent reads customers without seeing who they are."""
        self._chapter("An agent counts customers, and sees none of them")
        asked = ("--profile", "read-masked", "--tables", "shop.customers,shop.orders")
        why = ("--for", "10m", "--reason", "INC-481 refund report")
        self._run("--as", "dora", "request", "shop", *asked, *why, expect=0)
        request = self._request()
        self._run("--as", "ben", "approve", request, "--yes", expect=0)
        psql = ("--as", "dora", "run", request, "--", "psql", "-X", "-c")
        self._words("The same names, through masking views; and the shop's own row-level security:")
        self._run(*psql, "SET shop.tenant = 'north'; SELECT * FROM customers", expect=0)
        self._words("Around the view:")
        self._run(*psql, "SELECT email FROM shop.customers", expect=1)
        self._run("--as", "dora", "revoke", request, expect=0)

    def _append(self, text: str) -> None:
        path = self.folder / "holdfast.toml"
        path.write_text(f"{path.read_text()}\n{text}")

    def _request(self) -> str:
        """The newest request's id."""
        return str(self._json("ls", "--all", "--json")[0]["id"])

    def _record(self, kind: str) -> str:
        """The place of the last record of a kind."""
        found = [
            one["record"] for one in self._json("evidence", "ls", "--json") if one["kind"] == kind
        ]
        return str(found[-1])

    def _await_end(self, request: str) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            if self._json("show", request, "--json")["phase"] == "ended":
                return
            time.sleep(LOOK_SECONDS)
        raise CouldNotTell("the lease was not ended in time", next_step="holdfast ls")

    @contextmanager
    def _background(self, *words: str) -> Iterator[None]:
        """A block beside which a command runs."""
        self.console.print(Text(f"\n$ holdfast {shlex.join(words)} &", "bold cyan"))
        sys.stdout.flush()
        running = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "chalicelib.cli", *words], cwd=self.folder, env=self.environment
        )
        try:
            yield
        finally:
            running.terminate()
            running.wait(SETTLE_SECONDS)

    def _chapter(self, title: str) -> None:
        self.console.print()
        self.console.print(
            Text(f"── {title} ".ljust(min(CHAPTER_COLUMNS, self.console.width), "─"), "bold")
        )

    def _words(self, text: str) -> None:
        self.console.print(Text(text))

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
        return psycopg.connect(self.server.socket_dsn(database), autocommit=True)

    def _sql(self, text: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
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

    def _run(self, *words: str, expect: int) -> None:
        """Run one command as a user would, on this process's own terminal or pipe."""
        self.console.print(Text(f"\n$ holdfast {shlex.join(words)}", "bold cyan"))
        sys.stdout.flush()
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "chalicelib.cli", *words],
            cwd=self.folder,
            env=self.environment,
            check=False,
        )
        if done.returncode != expect:
            self._words(f"the story expects exit code {expect} here, and got {done.returncode}")
            finish(done.returncode or 1)
        if done.returncode:
            self.console.print(Text(f"(exit code {done.returncode})", "dim"))

    def _worst(self) -> str:
        """The finding about the function that decides whether the model may retrain."""
        found = [
            one["id"] for one in self._json("drift", "ls", "--json") if one["kind"] == "function"
        ]
        return str(found[0])

    def _json(self, *words: str) -> Any:
        """What a command answers, shown to nobody."""
        answer = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "chalicelib.cli", *words],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(answer.stdout)


def _read(name: str) -> str:
    return resources.files("chalicelib.cli").joinpath("story", name).read_text()
