"""What directories do beyond the ports' contract: durability, links, modes, failures.

File modes do not stop root, so a refusal by the system is made with a read-only mount or a file in
a directory's place rather than with chmod.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from chalicelib.kernel.errors import (
    DigestMismatch,
    Malformed,
    Missing,
    StoreUnavailable,
    Unsupported,
    UsageError,
)
from chalicelib.local import directory as directory_module
from chalicelib.local import faults
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.writeonce import DirectoryWriteOnce

STORES = pytest.mark.parametrize("kind", [DirectoryWriteOnce, DirectoryDerived])


def opened(file):
    return str(Path(f"/proc/self/fd/{file}").readlink())


def names(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_files_are_read_only_and_directories_their_owner_s(tmp_path):
    store = DirectoryWriteOnce(tmp_path / "deep" / "store")
    store.put("log/a", b"x")
    modes = {p: stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "deep/store").rglob("*")}
    assert modes.pop(tmp_path / "deep/store/log/a") == 0o444
    assert set(modes.values()) == {0o700}
    assert stat.S_IMODE((tmp_path / "deep/store").stat().st_mode) == 0o700


@STORES
def test_file_and_directories_are_synced_before_put_returns(tmp_path, kind):
    synced = []
    store = kind(
        tmp_path / "store",
        sync=lambda file: synced.append(opened(file)),
    )
    store.put("a/b/c", b"x")
    root = str(tmp_path / "store")
    for path in (str(tmp_path), root, f"{root}/a", f"{root}/a/b"):
        assert path in synced
    (temporary,) = (path for path in synced if "/.tmp/" in path)
    assert synced.index(temporary) < len(synced) - 1
    assert synced[-1] == f"{root}/a/b"


def test_the_same_bytes_again_are_made_durable_again(tmp_path):
    """The other process that stored them may not have come to sync the directory yet."""
    synced = []
    DirectoryWriteOnce(tmp_path).put("a/b", b"x")
    store = DirectoryWriteOnce(tmp_path, sync=lambda file: synced.append(opened(file)))
    store.put("a/b", b"x")
    assert synced[-1] == f"{tmp_path}/a"


@STORES
def test_a_failed_sync_is_an_error_and_leaves_no_temporary_file(tmp_path, kind):
    def fail(_file):
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(StoreUnavailable, match="EIO") as error:
        kind(tmp_path / "store", sync=fail).put("a", b"x")
    assert str(tmp_path) in error.value.next_step
    assert names(tmp_path) == []


@STORES
def test_a_full_disk_is_an_error_that_says_so_and_nothing_is_half_stored(small_disk, kind):
    store = kind(small_disk / "store")
    store.put("a", b"x" * 1_000)
    with pytest.raises(StoreUnavailable, match="No space left") as error:
        store.put("b", b"secret" * 400_000)
    assert "free space" in error.value.next_step
    assert "secret" not in f"{error.value.message}{error.value.next_step}"
    assert names(small_disk / "store") == ["a"]
    store.put("b", b"y")
    assert store.get("b") == b"y"


@STORES
def test_a_read_only_disk_is_an_error_that_says_so(small_disk, kind):
    import subprocess

    store = kind(small_disk / "store")
    store.put("a", b"x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreUnavailable, match="EROFS"):
        store.put("b", b"x")
    assert store.get("a") == b"x"
    if kind is DirectoryDerived:
        with pytest.raises(StoreUnavailable, match="EROFS"):
            store.delete("a")


@STORES
@pytest.mark.parametrize(
    "code", [errno.EACCES, errno.EDQUOT, errno.EPERM, errno.EFBIG, errno.ENODEV]
)
def test_every_refusal_of_the_system_is_translated(tmp_path, kind, code):
    def fail(_file):
        raise OSError(code, os.strerror(code))

    with pytest.raises(StoreUnavailable, match=errno.errorcode[code]) as error:
        kind(tmp_path / "store", sync=fail).put("a", b"x")
    assert error.value.next_step


def test_an_error_without_number_is_translated_too(tmp_path):
    with (
        pytest.raises(StoreUnavailable, match="no errno"),
        faults.translated("cannot try", tmp_path),
    ):
        raise OSError


@STORES
def test_links_are_refused_as_object_as_directory_and_on_writing(tmp_path, kind):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"secret")
    store = kind(tmp_path / "store")
    store.put("real/b", b"x")
    root = tmp_path / "store"
    (root / "linked").symlink_to(outside)
    (root / "real" / "a").symlink_to(outside / "a")
    for key in ("linked/a", "real/a"):
        with pytest.raises(Malformed, match="symbolic link"):
            store.get(key)
    with pytest.raises(Malformed, match="symbolic link"):
        store.put("linked/new", b"x")
    assert names(outside) == ["a"]
    assert list(store.list("")) == ["linked", "real/a", "real/b"]


def test_a_link_in_an_object_s_place_is_not_written_through(tmp_path):
    target = tmp_path / "target"
    root = tmp_path / "store"
    store = DirectoryWriteOnce(root)
    store.put("x", b"")
    (root / "a").symlink_to(target)
    with pytest.raises(Malformed):
        store.put("a", b"x")
    DirectoryDerived(root).put("a", b"x")
    assert not target.exists()
    assert not (root / "a").is_symlink()


def test_a_directory_in_an_object_s_place_is_refused(tmp_path):
    store = DirectoryWriteOnce(tmp_path)
    store.put("a/b", b"x")
    with pytest.raises(Malformed):
        store.get("a")
    with pytest.raises(Malformed):
        store.get("a/b/c")


def test_a_pipe_in_an_object_s_place_is_refused_without_waiting(tmp_path):
    store = DirectoryWriteOnce(tmp_path)
    os.mkfifo(tmp_path / "a")
    with pytest.raises(Malformed):
        store.get("a")


def test_a_file_larger_than_any_object_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(directory_module, "MAX_OBJECT_BYTES", 10)
    store = DirectoryWriteOnce(tmp_path)
    store.put("a", b"x" * 10)
    assert store.get("a") == b"x" * 10
    with pytest.raises(Unsupported, match="at most 10 are stored"):
        store.put("b", b"x" * 11)
    (tmp_path / "b").write_bytes(b"x" * 11)
    with pytest.raises(Malformed, match="larger than 10"):
        store.get("b")


def test_a_segment_that_no_file_system_takes_is_refused(tmp_path):
    with pytest.raises(UsageError):
        DirectoryWriteOnce(tmp_path).put("a" * 201, b"x")


def test_a_removed_directory_is_made_again(tmp_path):
    store = DirectoryDerived(tmp_path / "store")
    store.put("a/b", b"x")
    (tmp_path / "store/a/b").unlink()
    (tmp_path / "store/a").rmdir()
    store.put("a/b", b"y")
    assert store.get("a/b") == b"y"


def test_other_bytes_leave_no_temporary_file(tmp_path):
    store = DirectoryWriteOnce(tmp_path)
    store.put("a", b"x")
    with pytest.raises(DigestMismatch):
        store.put("a", b"y")
    assert names(tmp_path) == ["a"]


def test_what_vanishes_while_it_is_listed_is_left_out(tmp_path):
    store = DirectoryDerived(tmp_path)
    for key in ("a/1", "b/1", "c/1"):
        store.put(key, b"x")
    listed = store.list("")
    assert next(listed) == "a/1"
    store.delete("b/1")
    (tmp_path / "b").rmdir()
    assert list(listed) == ["c/1"]


def test_the_root_may_be_reached_by_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = DirectoryWriteOnce(tmp_path / "link")
    store.put("a", b"x")
    assert (tmp_path / "real" / "a").read_bytes() == b"x"


def test_a_file_in_the_root_s_place_is_an_error_that_says_so(tmp_path):
    (tmp_path / "store").write_bytes(b"x")
    store = DirectoryWriteOnce(tmp_path / "store")
    for call in (
        lambda: store.put("a", b"x"),
        lambda: store.get("a"),
        lambda: list(store.list("")),
    ):
        with pytest.raises(StoreUnavailable):
            call()


def test_what_is_held_outlives_its_first_name(tmp_path):
    store = DirectoryWriteOnce(tmp_path / "evidence")
    store.put("a/b", b"x" * 100)
    store.hold("a/b")
    first, second = tmp_path / "evidence/a/b", tmp_path / "hold/a/b"
    assert first.stat().st_ino == second.stat().st_ino
    first.unlink()
    with pytest.raises(Missing, match="not in the write-once store") as caught:
        store.get("a/b")
    assert caught.value.next_step == f"it is held: cp {second} {first}"
    for call in (store.release, store.hold, store.held):
        with pytest.raises(Missing):
            call("a/b")
    assert second.read_bytes() == b"x" * 100


def test_a_hold_is_durable_when_it_is_placed(tmp_path):
    DirectoryWriteOnce(tmp_path / "evidence").put("a/b", b"x")
    synced = []
    store = DirectoryWriteOnce(tmp_path / "evidence", sync=lambda file: synced.append(opened(file)))
    store.hold("a/b")
    assert synced[-1] == str(tmp_path / "hold/a")
    synced.clear()
    store.hold("a/b")
    assert synced[-1:] == [str(tmp_path / "hold/a")]
    synced.clear()
    store.release("a/b")
    assert synced == [str(tmp_path / "hold/a")]


def test_a_held_name_with_other_bytes_is_named_and_left(tmp_path):
    store = DirectoryWriteOnce(tmp_path / "evidence")
    store.put("a", b"x")
    (tmp_path / "hold").mkdir()
    (tmp_path / "hold/a").write_bytes(b"y")
    with pytest.raises(DigestMismatch, match="held already, with other bytes"):
        store.hold("a")
    assert (tmp_path / "hold/a").read_bytes() == b"y"


def test_a_hold_is_never_a_link_that_somebody_planted(tmp_path):
    store = DirectoryWriteOnce(tmp_path / "evidence")
    store.put("a", b"x")
    (tmp_path / "outside").write_bytes(b"secret")
    (tmp_path / "evidence/b").symlink_to(tmp_path / "outside")
    with pytest.raises(Malformed):
        store.hold("b")
    (tmp_path / "hold").mkdir(exist_ok=True)
    (tmp_path / "hold/a").symlink_to(tmp_path / "outside")
    with pytest.raises(Malformed):
        store.held("a")


@pytest.mark.parametrize("call", ["hold", "release"])
def test_a_hold_that_is_not_durable_is_an_error(tmp_path, call):
    store = DirectoryWriteOnce(tmp_path / "evidence")
    store.put("a", b"x")
    store.hold("a")

    def failing(_file):
        raise OSError(errno.EIO, "input/output error")

    broken = DirectoryWriteOnce(tmp_path / "evidence", sync=failing)
    with pytest.raises(StoreUnavailable):
        getattr(broken, call)("a")
