"""The command line as a user has it: arguments in, exit code, stdout and stderr out."""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import dataclass

import pytest
import typer.main

from chalicelib import cli

ACCESS = """
[targets.orders.access]
dsn_env = "BROKER_DSN"

[policy.roles]
engineer = ["person:ana", "person:dora"]
approver = ["person:ben", "person:chloe"]
"""

# The commands are made from their signatures once, and not for each of thousands of calls: that
# takes longer than most of them.
_get_command = functools.cache(typer.main.get_command)


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def holdfast(tmp_path, monkeypatch, capsysbinary):
    """Run one command in a folder of its own; the environment holds nothing of ours."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setattr(typer.main, "get_command", _get_command)
    for name in (
        "HOLDFAST_CONFIG",
        "HOLDFAST_AS",
        "HOLDFAST_DEBUG",
        "ORDERS_DSN",
        "HOLDFAST_API",
        "HOLDFAST_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)

    def run(*words, expect=0):
        monkeypatch.setattr(sys, "argv", ["holdfast", *map(str, words)])
        capsysbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsysbinary.readouterr()
        code = ended.value.code or 0
        answer = Answer(int(code), captured.out.decode(), captured.err.decode())
        assert expect is None or answer.code == expect, answer
        return answer

    run.home = home
    return run


@pytest.fixture
def shop(holdfast, database, monkeypatch):
    """A configured target over a real database with a table, a grant and a policy."""
    database.run(
        "CREATE TABLE orders (id bigint PRIMARY KEY, total numeric(10,2) NOT NULL)",
        "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON orders USING (id > 0)",
    )
    monkeypatch.setenv("ORDERS_DSN", database.dsn)
    holdfast("init")
    holdfast("target", "add", "orders", "--dsn-env", "ORDERS_DSN", "--env", "prod")
    return holdfast


@pytest.fixture
def signed(shop):
    """The same with a baseline that two people signed."""
    shop("--as", "ana", "baseline", "propose", "orders", "--comment", "go live")
    shop("--as", "ben", "baseline", "approve", "orders")
    shop("--as", "chloe", "baseline", "approve", "orders")
    return shop


@pytest.fixture
def leased(shop, database, monkeypatch):
    """A target with something to lease, and who may: ana asks, ben and chloe agree."""
    with (shop.home / "holdfast.toml").open("a") as file:
        file.write(ACCESS)
    monkeypatch.setenv("SUPER_DSN", database.dsn)
    monkeypatch.setenv("BROKER_DSN", database.as_role("holdfast_broker", "of the broker"))
    database.run(
        "INSERT INTO orders VALUES (1, 9.5)",
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE customers (id bigint PRIMARY KEY, name text)",
    )
    shop("target", "install", "orders", "--dsn-env", "SUPER_DSN")
    return shop


@pytest.fixture
def ask(leased):
    """Ask as ana for what ``words`` say; the id."""

    def asked(*words, approved=False):
        wanted = words or ("--profile", "read-clear", "--for", "10m")
        reason = ("--reason", "INC-481 refund bug")
        found = leased("--as", "ana", "request", "orders", *wanted, *reason).out.strip()
        if approved:
            leased("--as", "ben", "approve", found)
        return found

    return asked
