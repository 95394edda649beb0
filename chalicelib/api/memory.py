"""Memory: findings as they were recorded, kept in this process once they were verified.

A record never changes, so neither does what was read of it against a signed checkpoint.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.drift.finding import Finding
from chalicelib.kernel import record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chalicelib.evidence.log import Log

READ_AHEAD: Final = 500  # records that are passed over to save another search for a place
MAX_KEPT: Final = 10_000  # findings; of some kilobytes each


class Memory:
    """Findings of one log by their records' places. For any number of threads."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Finding] = OrderedDict()

    def findings(self, indexes: Iterable[int]) -> dict[int, Finding]:
        """The findings recorded there; neighbours are read in one pass.

        Raises: VerificationFailed; StoreUnavailable.
        """
        wanted = sorted(indexes)
        with self._lock:
            found = {index: self._kept[index] for index in wanted if index in self._kept}
        missing = [index for index in wanted if index not in found]
        while missing:
            start = missing[0]
            near = {index for index in missing if index < start + READ_AHEAD}
            for index, leaf in self._log.leaves(start, max(near) + 1):
                if index in near:
                    body = self._log.entry(index, leaf, record.decode(leaf)).body
                    found[index] = msgspec.convert(body, Finding)
            missing = missing[len(near) :]
        with self._lock:
            self._kept.update(found)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return found
