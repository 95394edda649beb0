"""Retention: for how many days what a record needs is locked, by the record's kind.

A floor and not an end: nothing is removed by itself, and what is held stays longer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Iterable


class _Kind(msgspec.Struct):
    """The one field of a leaf that says how long to keep it."""

    kind: str


_kind = msgspec.json.Decoder(_Kind)


class Retention(msgspec.Struct, frozen=True):
    """``default_days``, and the days of ``kinds``; 0 leaves it to the store's own default.

    A kind of the table is a kind's name, or its beginning up to a dot: ``finding`` stands for
    ``finding.opened`` too. The longest that fits counts.
    """

    default_days: int = 0
    kinds: dict[str, int] = {}

    def days(self, kind: str) -> int:
        """For how long to keep what a record of this kind needs."""
        name = kind
        while name:
            if name in self.kinds:
                return self.kinds[name]
            name = name.rpartition(".")[0]
        return self.default_days

    @property
    def most(self) -> int:
        """The longest of all: for checkpoints, which records of every kind are proven with."""
        return max(self.default_days, *self.kinds.values(), 0)

    def days_of(self, leaves: Iterable[bytes]) -> int:
        """The longest of some leaves' kinds: the leaves of a batch are one object.

        Raises: Malformed, for a leaf that is no record.
        """
        if not self.kinds:
            return self.default_days
        try:
            kinds = {_kind.decode(leaf).kind for leaf in leaves}
        except msgspec.MsgspecError as error:
            raise Malformed(f"not a record: {error}") from None
        return max(map(self.days, kinds), default=self.default_days)


NONE = Retention()
