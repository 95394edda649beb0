from __future__ import annotations

import pytest
from support.desk import HandClock, MemorySource, make_desk

from chalicelib.drift.desk import Target
from chalicelib.drift.snapshot import Object


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def desk(tmp_path, clock):
    return make_desk(tmp_path, clock)


@pytest.fixture
def target():
    return Target(slug="orders", env="prod", approvals=2)


@pytest.fixture
def source(clock):
    return MemorySource(
        clock,
        [
            Object("table", "public.orders", {"owner": "app", "row_security": True}),
            Object(
                "column",
                "public.orders.total",
                {"type": "numeric", "position": 1, "of": "table public.orders"},
            ),
            Object("setting", "log_statement", {"value": "ddl"}),
        ],
    )
