from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.cli.duration import period
from chalicelib.kernel.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("90s", 90), ("1m", 60), ("15m", 900), (" 1h ", 3_600), ("24h", 86_400)],
)
def test_a_period_is_read_in_its_unit(text, seconds):
    assert period(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "15", "m", "59s", "0m", "25h", "1441m", "-1m", "1.5h", "1d"])
def test_what_is_no_period_is_refused_naming_the_option(text):
    with pytest.raises(UsageError, match="--each: not a period"):
        period(text, option="--each")
