from __future__ import annotations

import stat

import pytest

from chalicelib.kernel.errors import KeyUnusable
from chalicelib.local.secret import create_secret, load_secret


def test_a_secret_is_loaded_again_and_is_its_owner_s_alone(tmp_path):
    path = tmp_path / "secret"
    created = create_secret(path)
    assert len(created) == 32
    assert load_secret(path) == created
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_is_never_replaced(tmp_path):
    path = tmp_path / "secret"
    created = create_secret(path)
    with pytest.raises(KeyUnusable, match="never replaced"):
        create_secret(path)
    assert load_secret(path) == created


@pytest.mark.parametrize("data", [b"", b"x" * 31, b"x" * 33])
def test_a_secret_of_another_length_is_refused(tmp_path, data):
    path = tmp_path / "secret"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(KeyUnusable, match="expected 32"):
        load_secret(path)


def test_a_secret_that_is_open_to_others_is_refused(tmp_path):
    path = tmp_path / "secret"
    create_secret(path)
    path.chmod(0o644)
    with pytest.raises(KeyUnusable, match="open to others"):
        load_secret(path)
