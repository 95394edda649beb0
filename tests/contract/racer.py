"""One of several processes that use a store at once; prints what it got done.

Usage: racer.py PORT ADAPTER ROOT NAME COUNT
"""

from __future__ import annotations

import sys
from pathlib import Path

from contract import adapters

from chalicelib.kernel.errors import Conflict, DigestMismatch
from chalicelib.kernel.store import Write
from chalicelib.local.clock import SystemClock


def put(store, name, count):
    """Claim keys that the others claim too; the claim with other bytes must fail."""
    won = []
    for number in range(count):
        try:
            store.put(f"race/{number:03d}", name.encode() * 10_000)
            won.append(number)
        except DigestMismatch:
            continue
    return won


def swap(documents, name, count):
    """Add one to a counter and to a counter of one's own, both or neither."""
    own = f"own/{name}"
    done = 0
    while done < count:
        shared, mine = documents.get("shared"), documents.get(own)
        writes = [_one_more("shared", shared), _one_more(own, mine)]
        try:
            documents.swap(writes)
            done += 1
        except Conflict:
            continue
    return [done]


def claim(passing, name, count):
    """Claim keys that the others claim too, then count in one document: each adds one."""
    won = []
    for number in range(count):
        try:
            passing.swap(f"race/{number:03d}", 0, name.encode(), lasts_seconds=3_600)
            won.append(number)
        except Conflict:
            continue
    done = 0
    while done < count:
        found = passing.get("count/shared")
        version, value = (found.version, int(found.value)) if found else (0, 0)
        try:
            passing.swap("count/shared", version, b"%d" % (value + 1), lasts_seconds=3_600)
            done += 1
        except Conflict:
            continue
    return won


def _one_more(key, document):
    if document is None:
        return Write(key, 0, b"1")
    return Write(key, document.version, b"%d" % (int(document.value) + 1))


def _passing():
    clock = SystemClock()
    return {
        name: lambda root, make=make: make(root, clock) for name, make in adapters.PASSING.items()
    }


def main():
    port, adapter, root, name, count = sys.argv[1:]
    table, work = {
        "writeonce": (adapters.WRITEONCE, put),
        "documents": (adapters.DOCUMENTS, swap),
        "passing": (_passing(), claim),
    }[port]
    done = work(table[adapter](Path(root)), name, int(count))
    print(*done)


if __name__ == "__main__":
    main()
