from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent


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
