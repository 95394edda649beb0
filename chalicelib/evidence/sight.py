"""Sight: what records tell of personal data at a target, and of the leases that saw it clear.

Values only; ``clear`` makes them of records, ``summary`` says them in words.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chalicelib.kernel.masking import Applied, Checked, Column

ALL: Final = "all"
SOME: Final = "some"
UNTOLD: Final = "untold"
Name = tuple[str, str, str]  # schema, table, column


class Masks(msgspec.Struct, frozen=True, kw_only=True):
    """The masks from one ``masking.applied`` on, which is the record ``index``."""

    index: int
    at: str
    by: str
    applied: Applied


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The newest ``masking.checked``."""

    index: int
    at: str
    checked: Checked


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Who agreed, and when; ``renewal``: to a later end, and not to the lease."""

    by: str
    at: str
    renewal: bool = False


class Sight(msgspec.Struct, kw_only=True):
    """A lease that could read personal columns clear, or of which that cannot be told.

    ``reads``: ``all`` of ``schemas``, or of the database where none is named; ``some``:
    ``columns``, and what ``tables`` have that is in no class; ``untold``, and ``why``. ``columns``:
    those that are personal by the masks of its time; ``known``: whether the records have masks for
    all of it. ``since``: when it was issued; ``until``: when it ended, or is to end, as ``ended``
    says. ``reason``: text, a sealed value, or None where it was asked for before these records;
    ``reason_kind``: of the record that has it. Nobody had to agree where ``approvals`` is empty and
    ``asked`` true: then ``policies`` permitted it.
    """

    lease: str
    who: str
    profile: str
    reads: str
    why: str = ""
    schemas: list[str] = []
    tables: list[tuple[str, str]] = []
    columns: list[Name] = []
    known: bool = False
    since: str = ""
    until: str = ""
    ended: bool = False
    break_glass: bool = False
    asked: bool = False
    reason: Any = None
    reason_kind: str = ""
    policies: list[str] = []
    approvals: list[Approval] = []


class Seen(msgspec.Struct, kw_only=True):
    """What the records of one target tell. ``target``: its short name.

    ``masks``: the newest, None where no record has any. ``personal``: by column, what each set of
    views shows. ``leases``: in the order in which they were issued. ``earlier``: leases that were
    issued before these records, of which nobody can tell here. ``odd``: records whose body is not
    that of their kind, and which are left out.
    """

    target: str = ""
    masks: Masks | None = None
    personal: list[Column] = []
    unclassified: list[Name] = []
    check: Check | None = None
    leases: list[Sight] = []
    earlier: list[str] = []
    odd: list[int] = []
