"""Disks that fill and fail: an error, nothing acknowledged is lost, and the next writer goes on."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import subprocess
from contextlib import contextmanager, suppress

import pytest
from evidence.scene import Scene
from evidence.test_crash import whole

from chalicelib.kernel.errors import StoreUnavailable


@pytest.fixture
def scene(tmp_path):
    made = Scene("local", tmp_path / "log")
    yield made
    made.close()


def failing_sync(number, code, lasting):
    """An fsync whose ``number``-th call fails, and all after it where that lasts."""
    calls = itertools.count(1)

    def sync(_file):
        call = next(calls)
        if call == number or (lasting and call > number):
            raise OSError(code, os.strerror(code))

    return sync


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_every_fsync_that_fails_is_an_error_and_the_next_writer_goes_on(scene, code, lasting):
    """Each writer finds what the one before left, and its own disk fails one call later."""
    possible = []
    for number in itertools.count(1):
        place = scene.opened(sync=failing_sync(number, code, lasting))
        said, failed, error = append_while_it_lasts(place, number, most=1)
        if error is None:
            break
        assert errno.errorcode[code] in error.message
        possible.append(failed)
        assert not scene.place.fsck().tampered
    assert len(possible) > 20
    scene.watched().append(0, 0)
    whole(scene.place, [*said, 0], possible)
    scene.no_size_has_two_roots()


def append_while_it_lasts(place, first, most):
    """The numbers acknowledged, the number that failed or None, and the error."""
    said = []
    for number in range(first, first + most):
        try:
            place.append(number, -number, large="x" * 66_000 * (number % 2))
        except StoreUnavailable as error:
            return said, number, error
        said.append(number)
    return said, None, None


@contextmanager
def files_of_at_most(size_bytes):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def squeeze(scene, cramped, sizes, most):
    """For each size, write in so much room until it fails, and once with room; the errors.

    Whatever failed may be in the log or not; what was acknowledged must be, and the log be whole.
    """
    acknowledged, possible, errors = [0], [], []
    scene.place.append(0, 0)
    for first, size in zip(itertools.count(1, 1_000), sizes, strict=False):
        with cramped(size):
            said, failed, error = append_while_it_lasts(scene.opened(), first, most)
        acknowledged += said
        if error is not None:
            assert error.next_step
            possible.append(failed)
            errors.append(error)
            assert not scene.place.fsck().tampered
        scene.watched().append(first + 999, -first - 999)
        acknowledged.append(first + 999)
    whole(scene.place, acknowledged, possible)
    scene.no_size_has_two_roots()
    return errors


def test_a_limit_on_the_size_of_files_loses_nothing(scene):
    """A real refusal of the system, of every file in turn: state, leaves, bodies."""
    sizes = [0, 1, 100, 250, 300, 1_000, 4_096, 30_000, 33_000, 60_000, 67_000, 100_000]
    errors = squeeze(scene, files_of_at_most, sizes, most=40)
    assert len(errors) >= 10
    assert {"EFBIG" in error.message for error in errors} == {True, False}, "files and SQLite's"


@pytest.fixture
def disk(tmp_path):
    """A real file system of two MiB, which fills up. Mounting one needs root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def filled(disk):
    """Gives a block in which the disk has so much room, in bytes."""

    @contextmanager
    def cramped(free_bytes):
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as stream, suppress(OSError):
            while stream.write(b"\0" * 4_096):
                continue
        with filler.open("r+b") as stream:
            stream.truncate(max(0, filler.stat().st_size - free_bytes))
        try:
            yield
        finally:
            filler.unlink()

    return cramped


@pytest.mark.parametrize("alone", [False, True])
def test_a_full_disk_loses_nothing(tmp_path, disk, alone):
    """``alone``: the full disk is that of the state, ``state.db``, and of nothing else."""
    root = disk / "log"
    root.mkdir()
    if alone:
        for name in ("store", "derived"):
            (tmp_path / name).mkdir()
            (root / name).symlink_to(tmp_path / name)
    scene = Scene("local", root)
    try:
        errors = squeeze(scene, filled(disk), range(0, 65_536, 4_096), most=10)
    finally:
        scene.close()
    assert len(errors) >= 5
    assert all("free space" in error.next_step for error in errors)
    assert alone == all("state.db" in error.message for error in errors)
