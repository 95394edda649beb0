"""A writer in a process of its own, which kills itself at a named step.

Usage: crasher.py ROOT FIRST COUNT STEP: appends COUNT records, numbered from FIRST, one append
each, and prints each number after it was acknowledged. STEP is ``before NAME``, ``after NAME``,
``sync N`` (in place of the N-th fsync) or ``never``; NAME starts ``port.method key``.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from evidence.place import Place

from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.writeonce import DirectoryWriteOnce


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """A port that kills its process before or after the call that is named."""

    def __init__(self, name, port, when, step):
        self._name, self._port, self._when, self._step = name, port, when, step

    def __getattr__(self, method):
        attribute = getattr(self._port, method)
        if not callable(attribute):
            return attribute

        def call(*arguments):
            key = arguments[0] if arguments and isinstance(arguments[0], str) else ""
            named = f"{self._name}.{method} {key}".startswith(self._step)
            if named and self._when == "before":
                die()
            result = attribute(*arguments)
            if named and self._when == "after":
                die()
            return result

        return call


def dying_sync(count):
    left = [count]

    def sync(file):
        left[0] -= 1
        if left[0] == 0:
            die()
        os.fsync(file)

    return sync


def main():
    root, start, count, when, *step = sys.argv[1:]
    root = Path(root)

    def wrap(ports):
        if when == "sync":
            sync = dying_sync(int(step[0]))
            return {
                **ports,
                "writeonce": DirectoryWriteOnce(root / "store", sync=sync),
                "derived": DirectoryDerived(root / "derived", sync=sync),
            }
        if when == "never":
            return ports
        return {name: Dying(name, port, when, step[0]) for name, port in ports.items()}

    place = Place(root, wrap=wrap)
    for number in range(int(start), int(start) + int(count)):
        place.append(number, -number)
        print(number, flush=True)


if __name__ == "__main__":
    main()
