from __future__ import annotations

import asyncio
import gc

import pytest


@pytest.fixture(autouse=True)
def no_loop_is_left():
    """A batch leaves no event loop: a leak shows here, and not in whatever test comes later."""
    yield
    asyncio.set_event_loop(None)
    gc.collect()
