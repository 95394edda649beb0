"""A Lambda process, for tests: imports the unpacked package and calls its handlers.

Usage: python -S lambda_driver.py FOLDER; then one JSON object a line on stdin, ``{"function": …,
"event": …, "seconds": …}``, and one a line on stdout: ``{"answer": …}`` or ``{"error": …}``.
Without ``site``, so that nothing is imported that is not in the package.
"""

from __future__ import annotations

import importlib
import json
import sys
import time


class Context:
    aws_request_id = "test-request"
    function_name = "test"
    memory_limit_in_mb = 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:test"

    def __init__(self, seconds):
        self.ends = time.monotonic() + seconds

    def get_remaining_time_in_millis(self):
        return max(0, int((self.ends - time.monotonic()) * 1_000))


def main():
    sys.path.insert(0, sys.argv[1])
    out, sys.stdout = sys.stdout, sys.stderr  # a function's prints go to its log
    app = importlib.import_module("app")
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            context = Context(asked.get("seconds", 300))
            said = {"answer": getattr(app, asked["function"])(asked["event"], context)}
        except Exception as error:  # noqa: BLE001 - as Lambda does, and says so
            said = {"error": type(error).__name__, "message": str(error)}
        out.write(json.dumps(said) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
