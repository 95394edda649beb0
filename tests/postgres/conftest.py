import psycopg
import pytest


@pytest.fixture(scope="session")
def major(postgres_server):
    """The major version of the test server."""
    with psycopg.connect(postgres_server.dsn()) as connection:
        return connection.info.server_version // 10_000
