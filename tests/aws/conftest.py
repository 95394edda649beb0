"""The strict server, and clients whose resources are the test's own."""

from __future__ import annotations

import pytest
from support.aws import StrictAws


@pytest.fixture
def aws(strict_aws):
    """The server without the faults of other tests; resources of other tests stay there."""
    strict_aws.faults.clear()
    strict_aws.calls.clear()
    yield strict_aws
    strict_aws.faults.clear()


@pytest.fixture(scope="module")
def own_aws():
    """A server of the module's own, which its tests may empty."""
    with StrictAws() as aws:
        yield aws


@pytest.fixture
def empty_aws(own_aws):
    """An AWS with nothing in it."""
    own_aws.reset()
    return own_aws
