from __future__ import annotations

import pytest
from support.grants import Broker


@pytest.fixture
def broker(tmp_path):
    """A broker of a log in a folder and a target in memory."""
    made = Broker(tmp_path)
    yield made
    made.documents.close()
