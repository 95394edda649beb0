"""Runs inside a mount namespace: commands on a small file system, one JSON note each to stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from chalicelib import cli

DISK_BYTES = 4 * 2**20


def run(what, *words):
    """One command in a process of its own: a fork, since starting Python takes longer than it."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            command(words, said)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        err = said.read().decode()
    print(json.dumps({"what": what, "code": code, "err": err}), flush=True)
    return code


def command(words, said) -> NoReturn:
    code = 1  # of a traceback
    try:
        os.chdir(DISK / "home" if (DISK / "home").exists() else DISK)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(said.fileno(), 2)
        sys.argv = ["holdfast", *words]
        cli.main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def mount(options):
    subprocess.run(["mount", *options, str(DISK)], check=True)


def setup():
    DISK.mkdir(parents=True)
    mount(["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs"])
    (DISK / "home").mkdir()
    run("init", "init")
    run("target add first", "target", "add", "orders", "--dsn-env", "ORDERS_DSN")
    run("propose", "--as", "ana", "baseline", "propose", "orders")
    run("approve", "--as", "ben", "baseline", "approve", "orders")
    run("scan first", "scan", "orders")


def fill(free_bytes):
    """Leave about so much room."""
    with (DISK / "filler").open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(b"\0" * 4096):
            continue
    with (DISK / "filler").open("r+b") as stream:
        size = (DISK / "filler").stat().st_size
        stream.truncate(max(0, size - free_bytes))


def full():
    for free_kib in (0, 4, 8, 16, 32, 48, 64, 96, 112, 128, 160, 192, 384):
        fill(free_kib * 1024)
        run("scan on a full disk", "scan", "orders")
        (DISK / "filler").unlink()
        run("scan with room again", "scan", "orders")
        run("fsck", "evidence", "fsck")


def read_only():
    mount(["-o", "remount,ro"])
    run("scan", "scan", "orders")
    run("target add", "target", "add", "other", "--dsn-env", "X")
    run("init", "init", str(DISK / "home" / "new"))
    run("evidence ls", "evidence", "ls")
    run("fsck", "evidence", "fsck")
    run("drift ls", "drift", "ls")
    run("baseline verify", "baseline", "verify", "orders")
    mount(["-o", "remount,rw"])
    run("scan with room again", "scan", "orders")


DISK = Path(sys.argv[1])
setup()
{"full": full, "read-only": read_only}[sys.argv[2]]()
