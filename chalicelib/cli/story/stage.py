"""The stage: the demo's commands, run as a user would run them, and what is said between them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from chalicelib.cli.app import finish
from chalicelib.cli.text import out, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

SETTLE_SECONDS: Final = 20  # what happens by itself happens well before
CHAPTER_COLUMNS: Final = 100


class Stage:
    """Commands in ``folder``, with ``environment`` as all of theirs.

    A command that answers otherwise than the story says ends the story.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._console = out()

    def chapter(self, title: str) -> None:
        """A heading."""
        self._console.print()
        self._console.print(
            Text(f"── {title} ".ljust(min(CHAPTER_COLUMNS, self._console.width), "─"), "bold")
        )

    def words(self, text: str) -> None:
        """What the reader is told."""
        self._console.print(Text(text))

    def deeds(self, lines: Iterable[str]) -> None:
        """What somebody did without Holdfast."""
        for line in lines:
            self._console.print(Text(f"    {plain(line)}", "dim"))

    def run(self, *words: str, expect: int) -> None:
        """Run one command as a user would, on this process's own terminal or pipe."""
        self._console.print(Text(f"\n$ holdfast {shlex.join(words)}", "bold cyan"))
        sys.stdout.flush()
        done = subprocess.run(  # noqa: S603 - our own command
            _command(words), cwd=self.folder, env=self.environment, check=False
        )
        if done.returncode != expect:
            self.words(f"the story expects exit code {expect} here, and got {done.returncode}")
            finish(done.returncode or 1)
        if done.returncode:
            self._console.print(Text(f"(exit code {done.returncode})", "dim"))

    def json(self, *words: str) -> Any:
        """What a command answers, shown to nobody."""
        answer = subprocess.run(  # noqa: S603 - our own command
            _command(words),
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(answer.stdout)

    def finding(self, kind: str) -> str:
        """The id of the worst finding about objects of a kind."""
        found = [one["id"] for one in self.json("drift", "ls", "--json") if one["kind"] == kind]
        return str(found[0])

    @contextmanager
    def background(self, *words: str) -> Iterator[None]:
        """A block beside which a command runs."""
        self._console.print(Text(f"\n$ holdfast {shlex.join(words)} &", "bold cyan"))
        sys.stdout.flush()
        running = subprocess.Popen(  # noqa: S603 - our own command
            _command(words), cwd=self.folder, env=self.environment
        )
        try:
            yield
        finally:
            running.terminate()
            running.wait(SETTLE_SECONDS)

    def append(self, text: str) -> None:
        """Add to the settings, as somebody with an editor would."""
        path = self.folder / "holdfast.toml"
        path.write_text(f"{path.read_text()}\n{text}")


def _command(words: Iterable[str]) -> list[str]:
    return [sys.executable, "-m", "chalicelib.cli", *words]
