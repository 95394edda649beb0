"""The API's server on a port of its own, closed by the thread that it runs in."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress

from waitress import wasyncore

from chalicelib.http import server


@contextmanager
def listening(application):
    """A server that answers; its ``effective_port`` says where."""
    made = server.serve(application, ("127.0.0.1", 0))
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        close(made)
        thread.join(60)


def close(made):
    """End a server with all of its connections. Whoever closes it from elsewhere takes its sockets
    away while it waits for them."""
    with suppress(OSError):  # somebody else woke it, and it is closed already
        made.trigger.pull_trigger(lambda: wasyncore.close_all(made._map, ignore_all=True))
    made.task_dispatcher.shutdown()
