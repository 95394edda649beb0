"""The plan: what is to be run at a target, as data, bound to the state that it assumes.

A plan says nothing that is secret: where a statement needs a secret, it names it, and whoever runs
the plan has it. So the plan can be shown, recorded and compared by its digest. It is run by
``postgres.plan``, which alone makes SQL of it: identifiers and literals never meet as text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.kernel import canon


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One statement. ``sql``: with ``{name}`` for each of what follows.

    ``identifiers``: names, or tuples of names for what is qualified. ``literals``: values;
    ``secrets``: names of values that only the runner knows. ``unless``: a state in which the step
    is left out, e.g. ``scope complete``; the runner reads it in the same transaction.
    """

    sql: str
    identifiers: dict[str, str | tuple[str, ...]] = {}
    literals: dict[str, str | int | bool | None] = {}
    secrets: tuple[str, ...] = ()
    unless: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The statements of one transaction, in order, and what has to be so before the first.

    ``purpose``: e.g. ``issue``. ``assumes``: what was read when it was made, e.g. the tables of
    the scope; the runner reads it again in the same transaction, and runs nothing if it is not so.
    """

    purpose: str
    target: str
    assumes: dict[str, Any]
    steps: tuple[Step, ...]

    @property
    def sha256(self) -> str:
        """The digest by which records name the plan, hexadecimal."""
        return canon.sha256(canon.encode(msgspec.to_builtins(self)))
