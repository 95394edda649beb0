"""Progress on stderr while a target is read; nothing where nobody is watching."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from chalicelib.cli.text import err, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def reading(label: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for one target; yields ``progress(what, done, total)``."""
    console = err()
    if not console.is_terminal:
        yield lambda _what, _done, _total: None
        return
    columns = (
        TextColumn("{task.fields[label]}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.description}", style="dim", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("beginning", total=None, label=plain(label))

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=plain(what), completed=done, total=total)

        yield progress
