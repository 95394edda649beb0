"""The stand-in's process, as the demo sees it, and the environment that leads to nowhere else."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, Self

from chalicelib.kernel.errors import ConfigError, CouldNotTell

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

STOP_SECONDS: Final = 20
NEEDED: Final = ("botocore", "moto", "flask", "flask_cors")
_OF_OTHERS: Final = ("AWS_", "BOTO_", "MOTO_")
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# Nothing of the machine's own is read, and nobody is asked for credentials of the machine's role.
_NOWHERE: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without a way to AWS: no credentials, profiles, endpoints, or proxies."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_OF_OTHERS) and name.lower() not in _PROXIES
    }
    return {**kept, **_NOWHERE}


class StandIn:
    """One stand-in of AWS while its block lasts. It starts beside whatever goes on.

    Raises: ConfigError, naming what to install, where moto is not there.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"the stand-in of AWS needs {', '.join(missing)}, which is not installed",
                next_step="pip install 'holdfast[demo]'",
            )
        self._environment = without_aws(environment)
        self._process: subprocess.Popen[str] | None = None
        self._told: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chalicelib.cli.standin"],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is None or self._process.stdin is None or self._process.stdout is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    @property
    def endpoint(self) -> str:
        """Its URL, on 127.0.0.1. Raises: CouldNotTell, where it did not come up."""
        return str(self._started["endpoint"])

    @property
    def account(self) -> str:
        """The account's 12 digits."""
        return str(self._started["account"])

    def environment(self, user: str) -> dict[str, str]:
        """What leads an AWS client to the stand-in, as one of its users, and to nothing else."""
        key = self._started["keys"][user]
        return {
            **_NOWHERE,
            "AWS_ACCESS_KEY_ID": key["access_key"],
            "AWS_SECRET_ACCESS_KEY": key["secret"],
            "AWS_ENDPOINT_URL": self.endpoint,  # of every client that is told no other
        }

    def night(self) -> list[str]:
        """What somebody did there that nobody signed for, as the commands of AWS's own CLI."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write("night\n")
            self._process.stdin.flush()
        return [str(line) for line in self._line()]

    @property
    def _started(self) -> dict[str, Any]:
        if not self._told:
            self._told = self._line()
        return self._told

    def _line(self) -> Any:
        stream = self._process.stdout if self._process is not None else None
        line = stream.readline() if stream is not None else ""
        if not line:
            raise CouldNotTell("the stand-in of AWS ended, or was not started")
        return json.loads(line)
