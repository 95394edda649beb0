"""The strict server, and clients whose resources are the test's own."""

from __future__ import annotations

import pytest


@pytest.fixture
def aws(strict_aws):
    """The server without the faults of other tests; resources of other tests stay there."""
    strict_aws.faults.clear()
    strict_aws.calls.clear()
    yield strict_aws
    strict_aws.faults.clear()
