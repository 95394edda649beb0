import psycopg
import pytest
from support.cluster import running, shop


@pytest.fixture(scope="session")
def major(postgres_server):
    """The major version of the test server."""
    with psycopg.connect(postgres_server.dsn()) as connection:
        return connection.info.server_version // 10_000


@pytest.fixture(scope="session")
def lease_server():
    """A second server: prepared transactions are allowed, and every statement is logged."""
    with running() as server:
        yield server


@pytest.fixture
def bare(lease_server):
    """The database ``shop`` with tables, and no broker."""
    with shop(lease_server) as server:
        yield server


@pytest.fixture
def cluster(bare):
    """The same with the broker installed."""
    bare.install()
    return bare
