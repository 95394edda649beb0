"""A report and the exports of a packet with many findings: seconds, bytes, and memory.

``python tests/bench/reports.py [FINDINGS] [--folder FOLDER]``; 100,000 without an argument. Every
step runs in a process of its own, so that its peak memory is its own. With ``--folder`` packet and
results are kept in a folder, and the packet is used again if it is there.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from evidence.parcel import DAY, NOW
from support.tales import crowd

from chalicelib.evidence import trust, verified
from chalicelib.render import book, csvs, ocsf, oscal, page, pdf, sdr
from chalicelib.wiring import packets

APPENDS = 500  # findings an append


def make(folder, count):
    """The packet of a day with so many findings."""
    archive = crowd(count, APPENDS).archive
    (folder / "trust.txt").write_bytes(trust.encode(archive.policy))
    (folder / "packet.zip").write_bytes(archive.packet(DAY))
    return folder / "packet.zip"


def checked(stream, folder):
    policy = trust.parse((folder / "trust.txt").read_bytes())
    return verified.read(stream, policy, now=NOW, checker=packets.checker)


@contextmanager
def opened(folder):
    with (
        (folder / "packet.zip").open("rb") as stream,
        book.opened(checked(stream, folder)) as found,
    ):
        yield found


def verify(folder, _count):
    with (folder / "packet.zip").open("rb") as stream:
        checked(stream, folder)


def read(folder, _count):
    with opened(folder):
        return


def html(folder, _count):
    with opened(folder) as found:
        (folder / "report.html").write_text(page.render(found), "utf-8")
    return folder / "report.html"


def paper(folder, _count):
    """Of the page that the step before wrote."""
    text = (folder / "report.html").read_text("utf-8")
    (folder / "report.pdf").write_bytes(pdf.printed(text, identifier="0" * 32))
    return folder / "report.pdf"


def exported(name, write):
    def step(folder, _count):
        path = folder / name
        with opened(folder) as found, path.open("wb") as out:
            write(found, out)
        return path

    return step


def _text(write):
    """A writer of text, to bytes."""

    def written(found, out):
        text = io.TextIOWrapper(out, "utf-8", newline="\n")
        write(found, text)
        text.flush()
        text.detach()

    return written


def tables(folder, _count):
    made = folder / "csv"
    made.mkdir(exist_ok=True)
    with opened(folder) as found:
        csvs.write(found, lambda name: (made / name).open("wb"))
    return made


STEPS = {
    "make": make,
    "verify": verify,
    "book": read,
    "html": html,
    "pdf": paper,
    "oscal": exported("oscal.json", _text(oscal.write)),
    "sdr": exported("sdr.json", _text(sdr.write)),
    "ocsf": exported("ocsf.jsonl", ocsf.write),
    "csv": tables,
}


def size(path):
    """Bytes of a file, or of a folder's files; None, where a step writes none."""
    if path is None:
        return None
    files = path.iterdir() if path.is_dir() else [path]
    return sum(one.stat().st_size for one in files)


def step(name, folder, count):
    """One step, in this process: what it measured goes to stdout."""
    start = time.perf_counter()
    found = STEPS[name](folder, count)
    told = {"seconds": time.perf_counter() - start, "bytes": size(found)}
    told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(told))


def bench(folder, count):
    print(f"Python {platform.python_version()}; {count:,} findings; times of report and exports")
    print("are with the verification and the book")
    for name in STEPS:
        if name == "make" and (folder / "packet.zip").exists():
            continue
        command = [sys.executable, __file__, str(count), "--folder", str(folder), "--step", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        told = json.loads(done.stdout)
        written = "" if told["bytes"] is None else f", {told['bytes'] / 2**20:.2f} MiB"
        print(
            f"{name:8} {told['seconds']:7.1f} s, peak {told['peak'] / 1024:5.0f} MiB{written}",
            flush=True,
        )


def main():
    options = argparse.ArgumentParser()
    options.add_argument("findings", type=int, nargs="?", default=100_000)
    options.add_argument("--folder", type=Path)
    options.add_argument("--step", choices=STEPS)
    given = options.parse_args()
    if given.step:
        step(given.step, given.folder, given.findings)
    elif given.folder:
        given.folder.mkdir(exist_ok=True)
        bench(given.folder, given.findings)
    else:
        with tempfile.TemporaryDirectory() as folder:
            bench(Path(folder), given.findings)


main()
