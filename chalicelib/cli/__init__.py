"""The command line: one module a verb group. Data to stdout, words and progress to stderr.

Arrow: imports ``wiring`` and what lies below it; nothing imports this package.

Exit codes: 0 clean or done, 1 findings or verification failed, 2 usage, 3 could not tell.
"""

from __future__ import annotations

import io
import os
import sys
import traceback

from chalicelib.cli.app import app
from chalicelib.cli.text import complain
from chalicelib.kernel.errors import HoldfastError

COULD_NOT_TELL = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main() -> None:
    """Run one command and exit with its code; an unforeseen failure is "could not tell"."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="holdfast")
    except HoldfastError as error:
        complain(error.message, error.next_step)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        complain("interrupted; nothing is half-written", "")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(COULD_NOT_TELL)
    except OSError as error:
        complain(f"cannot read or write: {error.strerror}", "check where the output goes")
        sys.exit(COULD_NOT_TELL)
    except Exception as error:  # noqa: BLE001 - the last line: a crash must not exit as "findings"
        if os.environ.get("HOLDFAST_DEBUG", "0") not in {"", "0"}:
            traceback.print_exc()
        # The message of an unforeseen error may hold anything, a DSN too: only its kind is shown.
        complain(
            f"a defect in Holdfast: {type(error).__name__} at {_place(error)}",
            "HOLDFAST_DEBUG=1 shows the traceback; please report it",
        )
        sys.exit(COULD_NOT_TELL)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "start"  # noqa: PTH119
