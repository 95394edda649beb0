from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from contract import adapters

TESTS = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _served(adapter, request):
    """What the AWS adapters call, unless it is real."""
    if adapter.startswith("aws") and not (adapters.REAL or adapters.OTHER_S3):
        request.getfixturevalue("strict_aws")


@pytest.fixture
def race(tmp_path):
    """Runs the racer in several processes at once; gives what each got done."""

    def run(port, adapter, names, count):
        program = str(Path(__file__).with_name("racer.py"))
        children = [
            subprocess.Popen(
                [sys.executable, program, port, adapter, str(tmp_path), name, str(count)],
                env={**os.environ, "PYTHONPATH": str(TESTS)},
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in names
        ]
        said = [child.communicate(timeout=60)[0] for child in children]
        assert [child.returncode for child in children] == [0] * len(names)
        return [[int(word) for word in text.split()] for text in said]

    return run
