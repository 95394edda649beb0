"""The way that a verb takes: to the store of this machine, or to an API, as ``--api`` says."""

from __future__ import annotations

import itertools
import os
import re
import secrets
import stat
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from chalicelib.api import jobs
from chalicelib.api.client import Sign, There, check_base, of_failure
from chalicelib.api.here import Here, Way
from chalicelib.api.types import FindingQuery, Findings, FindingView, Targets
from chalicelib.cli.app import actor, load_settings, services, shared
from chalicelib.cli.progress import reading
from chalicelib.cli.text import say
from chalicelib.kernel import names
from chalicelib.kernel.errors import (
    ConfigError,
    HoldfastError,
    KeyUnusable,
    Unauthenticated,
    Unsupported,
    UsageError,
)

T = TypeVar("T")

TOKEN: Final = "HOLDFAST_TOKEN"  # noqa: S105 - the variable's name
IAM: Final = "/iam"
MAX_TOKEN_CHARACTERS: Final = 16 * 2**10
FIRST_PAUSE_SECONDS: Final = 0.1  # between two looks at a job, then longer
LAST_PAUSE_SECONDS: Final = 2.0
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_TOKEN: Final = re.compile(r"[!-~]+")


def way() -> Way:
    """The installation that this run is about. Raises: UsageError, ConfigError, CouldNotTell."""
    found = remote()
    if found is not None:
        return found
    held = services()
    from chalicelib.wiring.local import pause  # noqa: PLC0415 - only for those who have a store

    return Here(held, actor, pause)


def remote() -> There | None:
    """The API of this run, if it has one. Raises: UsageError; Unauthenticated, without a token."""
    if shared.api is None:
        return None
    base = check_base(shared.api)
    return There(base, _sign(base), pause=shared.pause, new_key=lambda: secrets.token_hex(16))


def stream(text: str) -> str:
    """The whole name of a target that is given with its kind or without. Raises: UsageError."""
    if ":" in text:
        return str(names.target(text))
    there = remote()
    if there is None:
        return str(load_settings().named(text))
    names.target(text)  # before anybody is asked
    known: Targets = there.do("targets")
    found = [one.target for one in known.items if names.target(one.target).slug == text]
    return found[0] if found else str(names.target(text))


def builtins(value: Any) -> Any:
    """An answer as JSON values."""
    return msgspec.to_builtins(value)


def pages(over: Way, asked: FindingQuery) -> list[FindingView]:
    """All findings that are asked for, however many pages they are."""
    found: list[FindingView] = []
    while True:
        page: Findings = over.do("findings", asked)
        found += page.items
        if page.next is None:
            return found
        asked = msgspec.structs.replace(asked, cursor=page.next)


def of(value: Any, kind: type[T]) -> T:
    """A part of an answer that is told as it was recorded. Raises: Unsupported."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Unsupported(
            f"the API's answer cannot be read: {str(error)[:300]}",
            next_step="check that both are of one version",
        ) from None


def ended(there: There, name: str, job: Any, label: str, look: str) -> Any:
    """A job once it is ``done`` or ``failed``, watched as ``name``.

    Whoever stops waiting is told that it goes on, and where to ``look``. Raises: as ``There.do``.
    """
    try:
        with reading(label) as progress:
            for attempt in itertools.count():
                if job.state not in {jobs.QUEUED, jobs.RUNNING}:
                    return job
                progress(job.state, 0, 1)
                shared.pause(min(FIRST_PAUSE_SECONDS * 1.5**attempt, LAST_PAUSE_SECONDS))
                job = there.do(name, **{name: job.id})
    except (KeyboardInterrupt, HoldfastError):
        say(f"{job.id} was asked for and goes on; to look again: {look}", "bold")
        raise


def done(there: There, name: str, job: Any, label: str, look: str) -> Any:
    """A job once it is ``done``. Raises: what it failed with; as :func:`ended`."""
    job = ended(there, name, job, label, look)
    if job.state != jobs.DONE:
        raise of_failure(job.failure)
    return job


def _sign(base: str) -> Sign:
    """What authenticates requests to this address."""
    if base.endswith(IAM):
        if shared.token_file is not None:
            raise UsageError(
                f"an address that ends with {IAM} takes AWS credentials, and no token",
                next_step="leave --token-file out, or the end of the address",
            )
        return _aws(urllib.parse.urlsplit(base).hostname or "")
    if shared.token_file is None and not os.environ.get(TOKEN):
        raise Unauthenticated(
            "the API wants to know who you are, and there is no token",
            next_step=f"{TOKEN}=… in the environment, or --token-file PATH",
        )
    _token()  # what is wrong with it is said before anything is sent
    return _bearer


def _bearer(_method: str, _url: str, _fields: Mapping[str, str], _body: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {_token()}"}


def _token() -> str:
    """The token as it is now: whoever rotates it writes another one. Raises: KeyUnusable."""
    path = shared.token_file
    where = TOKEN if path is None else str(path)
    text = (os.environ.get(TOKEN, "") if path is None else _read(path)).strip()
    if len(text) > MAX_TOKEN_CHARACTERS or not _TOKEN.fullmatch(text):
        raise KeyUnusable(
            f"{where} holds no token: expected 1 to {MAX_TOKEN_CHARACTERS} characters of ASCII, "
            "without spaces",
            next_step="holdfast token prints one, on the machine of the API; docs/identity.md",
        )
    return text


def _read(path: Path) -> str:
    """The text of a file that is nobody else's to read. Raises: KeyUnusable."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                raise KeyUnusable(f"{path} is not a regular file")  # it is read more than once
            if found.st_mode & _OTHERS:
                raise KeyUnusable(
                    f"{path} is open to others: mode {stat.S_IMODE(found.st_mode):04o}, expected "
                    "0600",
                    next_step=f"chmod 600 {path}, and another token if others may have read it",
                )
            return os.read(file, MAX_TOKEN_CHARACTERS + 2).decode(errors="replace")
        finally:
            os.close(file)
    except OSError as error:
        raise KeyUnusable(f"cannot read the token in {path}: {error.strerror}") from error


def _aws(host: str) -> Sign:
    """Signature Version 4. Raises: ConfigError, without the AWS libraries or a region."""
    try:
        from chalicelib.aws import requests  # noqa: PLC0415 - only where it is needed
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"requests with AWS credentials need {error.name}, which is not installed",
            next_step="pip install 'holdfast[aws]', or an address without /iam and a token",
        ) from error
    return requests.Signer(requests.region(host))
