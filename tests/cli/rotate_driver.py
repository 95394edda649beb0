"""``holdfast`` in a process that kills itself before its N-th change of a file.

Usage: rotate_driver.py N WORD…
"""

from __future__ import annotations

import os
import signal
import sys

from chalicelib import cli

CHANGES = {"os.rename", "os.link", "os.remove"}


def main():
    left = [int(sys.argv[1])]
    sys.argv = ["holdfast", *sys.argv[2:]]

    def hook(event, arguments):
        if event in CHANGES or (event == "open" and arguments[2] & os.O_CREAT):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    cli.main()


if __name__ == "__main__":
    main()
