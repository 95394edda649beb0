"""``holdfast evidence report`` and ``export``: a verified packet for people and for programs."""

from __future__ import annotations

import enum
import io
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from chalicelib.cli.app import finish
from chalicelib.cli.evidence import group
from chalicelib.cli.packet import authorities, opened, policy, written
from chalicelib.cli.progress import reading
from chalicelib.cli.text import say
from chalicelib.evidence.verdict import Answer
from chalicelib.kernel.errors import CouldNotTell, UsageError
from chalicelib.local import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.render.book import Book

_PacketFile = Annotated[Path, typer.Argument(metavar="PACKET", help="The packet.")]
_Trust = Annotated[
    Path | None,
    typer.Option("--trust", help="A C2SP tlog-policy, or a file with the log's key alone."),
]
_Tsa = Annotated[
    Path | None, typer.Option(help="Root certificates (PEM) of time-stamping authorities.")
]


class Format(enum.StrEnum):
    """What ``export`` writes."""

    OSCAL = "oscal"
    OCSF = "ocsf"
    SDR = "sdr"
    CSV = "csv"


@group.command("report")
def report(
    packet: _PacketFile,
    file: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    trusted: _Trust = None,
    tsa: _Tsa = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Write a PDF; needs pip install 'holdfast[pdf]'.")
    ] = False,
    templates: Annotated[
        Path | None,
        typer.Option(help="A folder whose files replace the shipped templates of the same name."),
    ] = None,
    seed: Annotated[
        str, typer.Option(help="Seed of the samples.", show_default="the packet's SHA-256")
    ] = "",
) -> None:
    """Write an audit report of a packet: one HTML file, or a PDF. Verifies it first.

    Exit 1: the packet is FAILED, and no report is written. Exit 3: the report is written, and says
    that the packet is UNWITNESSED.
    """
    from chalicelib.render import page  # noqa: PLC0415 - other commands do without jinja

    if templates is not None and not templates.is_dir():
        raise UsageError(f"{templates} is no folder")
    if pdf:
        from chalicelib.render import pdf as paper  # noqa: PLC0415 - an extra

        paper.needed()
    with _book(packet, trusted, tsa) as (book, answer), written(file) as stream:
        text = page.render(book, templates=templates, seed=seed)
        made = text.encode()
        if pdf:
            made = paper.printed(text, identifier=book.verified.verdict.packet[:32])
        stream.write(made)
    _tell(answer, file)


@group.command("export")
def export(
    packet: _PacketFile,
    form: Annotated[Format, typer.Option("--format", help="What to write.")],
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; of csv, the folder to make."),
    ] = None,
    trusted: _Trust = None,
    tsa: _Tsa = None,
) -> None:
    """Write what a packet proves for other programs. Verifies it first.

    oscal: assessment results (NIST OSCAL 1.2). ocsf: events, a line each (OCSF 1.8). sdr: a FedRAMP
    Security Decision Record. csv: a file for every population. Exit codes as of report.
    """
    if form is Format.CSV and file is None:
        raise UsageError("csv is several files", next_step="-o FOLDER")
    with _book(packet, trusted, tsa) as (book, answer):
        if form is Format.CSV and file is not None:
            _folder(book, file)
        elif file is None:
            out = getattr(sys.stdout, "buffer", None)
            if out is None:
                raise UsageError("standard output is closed", next_step="-o FILE")
            try:
                _write(form, book, out)
                out.flush()
            except BrokenPipeError as error:  # else it would exit as what is FAILED does
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                words = "standard output was closed before everything was written"
                raise CouldNotTell(words, next_step="-o FILE") from error
        else:
            with written(file) as stream:
                _write(form, book, stream)
    _tell(answer, file)


@contextmanager
def _book(packet: Path, trusted: Path | None, tsa: Path | None) -> Iterator[tuple[Book, Answer]]:
    """The book of a packet that holds. Raises: UsageError; VerificationFailed."""
    from chalicelib.wiring import reports  # noqa: PLC0415 - as above

    trust, roots = policy(trusted), authorities(tsa)
    with (
        opened(packet) as stream,
        reading("report") as progress,
        reports.opened(stream, trust, authorities=roots, progress=progress) as book,
    ):
        yield book, book.verified.verdict.answer


def _write(form: Format, book: Book, out: BinaryIO) -> None:
    from chalicelib.render import ocsf, oscal, sdr  # noqa: PLC0415 - as above

    if form is Format.OCSF:
        ocsf.write(book, out)
        return
    text = io.TextIOWrapper(out, "utf-8", newline="\n")
    (oscal if form is Format.OSCAL else sdr).write(book, text)
    text.flush()
    text.detach()


def _folder(book: Book, folder: Path) -> None:
    """Every population in a folder that appears when it is whole. Raises: UsageError."""
    from chalicelib.render import csvs  # noqa: PLC0415 - as above

    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} is there already", next_step="another name, or remove it")
    if not folder.parent.is_dir():
        raise UsageError(f"{folder.parent} is no folder")
    with faults.translated("cannot write", folder):
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            csvs.write(book, lambda name: (made / name).open("xb"))
            made.chmod(0o755)
            made.rename(folder)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise


def _tell(answer: Answer, file: Path | None) -> None:
    if file is not None:
        say(f"written to {file}", "bold")
    if answer is Answer.UNWITNESSED:
        say("UNWITNESSED: too few of your witnesses saw this log; the report says so", "yellow")
    finish(answer.exit_code)
