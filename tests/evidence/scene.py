"""A log on an adapter, and the processes that write to it: see ``crasher``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from evidence.crasher import Watched, opened

from chalicelib.evidence import layout, note

TESTS = Path(__file__).parent.parent


class Nursery:
    """Starts writers on one place, and reads their diaries."""

    def __init__(self, *words):
        program = str(Path(__file__).with_name("crasher.py"))
        self._process = subprocess.Popen(
            [sys.executable, program, *words],
            env={**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _ask(self, order):
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, scene, first, count, *death):
        """The pid of a writer of ``count`` pairs from ``first`` on."""
        return self._ask(
            {
                "adapter": scene.adapter,
                "root": str(scene.root),
                "diary": str(scene.root / f"diary-{first}"),
                "first": first,
                "count": count,
                "death": death or ["never"],
            }
        )

    def wait(self):
        """Pid and exit code of a writer that has ended."""
        return tuple(self._ask({}))

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


class Scene:
    """A log on an adapter, and everything that its writers had signed and saw."""

    def __init__(self, adapter, root):
        self.adapter, self.root = adapter, root
        self.texts = set()
        self._made = []
        self.place = self.opened()

    def opened(self, **options):
        """The place as another process sees it."""
        self._made.append(opened(self.adapter, self.root, **options))
        return self._made[-1]

    def close(self):
        for place in self._made if self.adapter == "local" else ():
            place.close()

    def watched(self):
        """A place of this process whose notes are kept as well."""

        def tell(what, value):
            self.texts.add((what, value.decode() if isinstance(value, bytes) else value))

        class Alive:
            def at(self, *_):
                return None

        return self.opened(wrap=lambda name, port: Watched(name, port, Alive(), tell))

    def diaries(self):
        """What the writers were told, as (what, value)."""
        return [
            tuple(json.loads(line))
            for diary in sorted(self.root.glob("diary-*"))
            for line in diary.read_text().splitlines()
        ]

    def acknowledged(self):
        return [number for what, number in self.diaries() if what == "number"]

    def no_size_has_two_roots(self):
        """Whatever was signed for a size, by anybody, has the root that is locked for it."""
        for what, text in self.texts | {line for line in self.diaries() if line[0] != "number"}:
            if what == "note":
                seen = note.verify_checkpoint(text.encode(), self.place.verifier).checkpoint
            else:
                seen = note.parse_checkpoint(text)
            locked = self.place.writeonce.get(layout.checkpoint(seen.size))
            assert note.verify_checkpoint(locked, self.place.verifier).checkpoint == seen
