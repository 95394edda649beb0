from __future__ import annotations

import base64
import copy
import errno
import os
import pickle
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chalicelib.kernel.errors import KeyUnusable, StoreUnavailable
from chalicelib.kernel.signing import Algorithm
from chalicelib.local.signer import KeyFileSigner


@pytest.fixture
def path(tmp_path):
    return tmp_path / "signing.pem"


def pem(key, encryption=None):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    )


def store(path, data, mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)


def refused(path, match):
    with pytest.raises(KeyUnusable, match=match) as error:
        KeyFileSigner.load(path)
    return error.value


def test_a_created_key_is_loaded_again_and_is_its_owner_s_alone(path):
    created = KeyFileSigner.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = KeyFileSigner.load(path)
    assert loaded.public == created.public
    assert loaded.public.algorithm is Algorithm.ED25519
    assert loaded.sign(b"x") == created.sign(b"x")


def test_a_key_is_never_replaced(path):
    KeyFileSigner.create(path)
    data = path.read_bytes()
    with pytest.raises(KeyUnusable, match="never replaced"):
        KeyFileSigner.create(path)
    assert path.read_bytes() == data


def test_a_link_is_neither_created_through_nor_read(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyUnusable):
        KeyFileSigner.create(path)
    assert not (tmp_path / "elsewhere").exists()
    KeyFileSigner.create(tmp_path / "elsewhere")
    refused(path, "cannot read")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])
def test_a_key_that_is_open_to_others_is_refused(path, mode):
    KeyFileSigner.create(path)
    path.chmod(mode)
    error = refused(path, f"mode {mode:04o}")
    assert f"chmod 600 {path}" in error.next_step


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(path):
    KeyFileSigner.create(path)
    os.chown(path, 12_345, -1)
    assert "chown 0" in refused(path, "belongs to user 12345").next_step


def test_a_missing_key_is_refused(path):
    assert refused(path, "No such file").next_step


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_is_refused_without_waiting(path, kind):
    if kind == "directory":
        path.mkdir(mode=0o700)
    else:
        os.mkfifo(path, 0o600)
    refused(path, "not a regular file")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"secret",
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(Ed25519PrivateKey.generate(), serialization.BestAvailableEncryption(b"secret")),
        pem(Ed25519PrivateKey.generate())[:80],
        Ed25519PrivateKey.generate().private_bytes_raw(),
    ],
    ids=["empty", "text", "other curve", "encrypted", "cut off", "raw"],
)
def test_what_is_no_ed25519_key_is_refused_without_quoting_it(path, data):
    store(path, data)
    error = refused(path, "not an unencrypted Ed25519 key")
    assert "secret" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


def test_the_key_is_in_no_representation_and_no_pickle(path):
    signer = KeyFileSigner.create(path)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    raw = key.private_bytes_raw()
    shown = f"{signer!r} {signer}"
    assert signer.public.data.hex() in shown
    for secret in (raw.hex(), base64.b64encode(raw).decode(), repr(raw)):
        assert secret not in shown
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="private key"):
            call(signer)


def test_a_full_disk_leaves_no_half_written_key(small_disk):
    filler = small_disk / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], check=False, capture_output=True)
    path = small_disk / "signing.pem"
    with pytest.raises(StoreUnavailable, match="No space left"):
        KeyFileSigner.create(path)
    assert not path.exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StoreUnavailable, match=errno.errorcode[errno.ENOENT]):
        KeyFileSigner.create(tmp_path / "none" / "signing.pem")
