"""The project, packaged once for all tests of a process: so the modules are one xdist group."""

import functools
import json
import re

import pytest
from support import stack
from support.aws import StrictAws


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The folder with ``sam.json`` and ``deployment.zip``."""
    return stack.packaged(tmp_path_factory.mktemp("deploy"))


@pytest.fixture(scope="session")
def unzipped(package):
    """The folder that the functions run in."""
    return stack.extract(package / "deployment.zip")


@pytest.fixture(scope="session")
def packaged_template(package):
    return json.loads((package / "sam.json").read_text())


@pytest.fixture
def template(packaged_template):
    """The packaged template, to do with as a test likes."""
    return json.loads(json.dumps(packaged_template))


@pytest.fixture(scope="session")
def documented():
    """The rows of the tables in infra/README.md: heading → lists of cells."""
    found = {}
    for section in (stack.ROOT / "infra" / "README.md").read_text().split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
        cells = [[re.sub(r"`", "", cell).strip() for cell in row] for row in rows]
        found[heading] = cells[2:]
    return found


@pytest.fixture(scope="session")
def server():
    with StrictAws() as served:
        served.client = functools.cache(served.client)  # making one takes a third of a second
        yield served


@pytest.fixture
def aws(server):
    """An AWS with nothing in it."""
    server.reset()
    yield server
    server.reset()
