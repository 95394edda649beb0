"""Chromium without a screen, over its debugging pipe: one start for many pages.

The protocol is JSON messages that NUL ends, on the file descriptors 3 (to it) and 4 (from it).
Source: Chromium, content/public/common/content_switches.cc, "remote-debugging-pipe".
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

NAME = "chromium"
PATIENCE_SECONDS = 60
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-default-browser-check", "--mute-audio",
)  # fmt: skip

# The pipe's two ends are moved to where Chromium looks for them.
_START = (
    "import fcntl, os, sys; r, w = (fcntl.fcntl(int(x), fcntl.F_DUPFD, 10) for x in sys.argv[1:3]);"
    "os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
# A page may say "unable" before its script has run.
_SETTLED = """new Promise((done) => {
  const isThere = () => ["yes", "no"].includes(document.documentElement.dataset.verified) ||
    document.querySelector("#verification > p > strong") !== null;
  const look = () => isThere() ? done(true) : setTimeout(look, 5);
  look();
})"""


def missing():
    """Why there is no browser to test with; None, where there is one."""
    return None if shutil.which(NAME) else f"no {NAME} is installed"


class Browser:
    """A running Chromium. ``folder``: for its profile, which nothing else uses."""

    def __init__(self, folder):
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        program = [shutil.which(NAME), *FLAGS, f"--user-data-dir={folder}"]
        program += ["--remote-debugging-pipe", "about:blank"]
        with (folder / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs_in), str(theirs_out), *program],
                pass_fds=(theirs_in, theirs_out),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )
        os.close(theirs_in)
        os.close(theirs_out)
        fcntl.fcntl(self._in, fcntl.F_SETFL, os.O_NONBLOCK)
        self._number, self._rest, self._events = 0, b"", []

    def close(self):
        """End it, however it is."""
        try:
            self._send("Browser.close")
            self._process.wait(10)
        except (OSError, subprocess.TimeoutExpired, AssertionError):
            self._process.kill()
            self._process.wait(10)
        os.close(self._out)
        os.close(self._in)

    def page(self, **options):
        """A new page, empty."""
        return Page(self, **options)

    def _send(self, method, session=None, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        return self._number

    def call(self, method, session=None, **parameters):
        """What a method of the protocol answers."""
        number = self._send(method, session, **parameters)
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            message = self._read(until)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._events.append(message)

    def event(self, method, session):
        """The parameters of the next event of a name, which may have come already."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            for at, one in enumerate(self._events):
                if one.get("method") == method and one.get("sessionId") == session:
                    return self._events.pop(at)["params"]
            self._events.append(self._read(until))

    def events(self, method, session):
        """The parameters of all events of a name that came so far."""
        return [
            one["params"]
            for one in self._events
            if one.get("method") == method and one.get("sessionId") == session
        ]

    def _read(self, until):
        while b"\0" not in self._rest:
            left = until - time.monotonic()
            assert left > 0, "Chromium does not answer"
            if select.select([self._in], [], [], left)[0]:
                data = os.read(self._in, 2**20)
                assert data, "Chromium has ended"
                self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


class Page:
    """One page of a browser. ``before``: a script that runs in it before its own."""

    def __init__(self, browser, *, scripts=True, before=""):
        self._browser = browser
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        if not scripts:
            self.call("Emulation.setScriptExecutionDisabled", value=True)
        if before:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=before)

    def call(self, method, **parameters):
        return self._browser.call(method, self._session, **parameters)

    def open(self, path):
        """Load a file, as a person does who opens it from the disk."""
        self.call("Page.navigate", url=path.as_uri())
        self._browser.event("Page.loadEventFired", self._session)
        return self

    def value(self, expression):
        """What an expression gives, or what a promise comes to."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def answer(self):
        """What the page says of itself: yes, no or unable; and in words."""
        self.value(_SETTLED)
        words = "document.getElementById('verification')?.textContent ?? ''"
        return self.value("document.documentElement.dataset.verified"), self.value(words)

    def asked(self):
        """The addresses of all that the page wanted to load."""
        sent = self._browser.events("Network.requestWillBeSent", self._session)
        return [one["request"]["url"] for one in sent]

    def uncaught(self):
        """What went wrong in its scripts, and nobody caught."""
        return self._browser.events("Runtime.exceptionThrown", self._session)

    def close(self):
        self._browser.call("Target.closeTarget", targetId=self._target)
