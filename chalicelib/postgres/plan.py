"""Steps of a plan as SQL: the one place where names, literals and secrets meet a statement."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
from psycopg import sql

from chalicelib.access.profile import MAX_IDENTIFIER_BYTES
from chalicelib.kernel import canon
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chalicelib.access.plan import Step

_FOLDER = files("chalicelib.postgres") / "access"


@cache
def query(name: str) -> sql.SQL:
    """The text of ``access/<name>.sql``, which has parameters and no names of a target."""
    text = (_FOLDER / f"{name}.sql").read_text("utf-8")
    lines = (one for one in text.splitlines() if not one.startswith("--"))
    return sql.SQL("\n".join(lines))


def composed(step: Step, secrets: Mapping[str, str]) -> sql.Composed:
    """The statement of a step, with its secrets.

    Raises: UsageError, for a name that the server would cut: it might be another one's then.
    """
    parts: dict[str, sql.Composable] = {}
    for place, name in step.identifiers.items():
        names = (name,) if isinstance(name, str) else name
        for one in names:
            if not 0 < len(one.encode()) <= MAX_IDENTIFIER_BYTES:
                raise UsageError(
                    f"a name of a role, schema or table has 1 to 63 bytes, found {one[:80]!r}"
                )
        parts[place] = sql.Identifier(*names)
    parts |= {place: sql.Literal(value) for place, value in step.literals.items()}
    parts |= {place: sql.Literal(secrets[place]) for place in step.secrets}
    return sql.SQL(step.sql).format(**parts)


def shown(step: Step) -> str:
    """The statement as a person reads and runs it; ``…`` stands in a secret's place."""
    return composed(step, dict.fromkeys(step.secrets, "…")).as_string() + ";"


def digest(steps: Iterable[Step]) -> str:
    """SHA-256, hexadecimal, over what was run, without secrets."""
    return canon.sha256(canon.encode(msgspec.to_builtins(list(steps))))
