"""``python -m chalicelib.cli.standin``: serve until stdin ends, and do what its lines ask for.

One JSON document a line: first the URL, the account and the access keys of its users, then an
answer to each line. ``night`` is all that can be asked for.
"""

from __future__ import annotations

import json
import sys

from chalicelib.cli.standin import account, server


def main() -> None:
    """Serve, and end with stdin: with whoever started this, however that ends."""
    with server.serving(account.ACCOUNT) as endpoint:
        keys = account.build(endpoint)
        _tell({"endpoint": endpoint, "account": account.ACCOUNT, "keys": keys})
        for line in sys.stdin:
            if line.strip() != "night":
                raise SystemExit(f"expected night, found {line[:80]!r}")
            _tell(account.night(endpoint, keys[account.CULPRIT]))


def _tell(said: object) -> None:
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
