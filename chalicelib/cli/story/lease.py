"""Chapters about access: an engineer's lease that ends on time, and an agent's that is masked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chalicelib.cli.story.stage import SETTLE_SECONDS
from chalicelib.kernel.errors import CouldNotTell

if TYPE_CHECKING:
    from chalicelib.cli.story.stage import Stage

LOOK_SECONDS = 0.3
ACCESS = """\
[targets.shop.access]
dsn_env = "SHOP_BROKER_DSN"
schemas = ["shop"]

[policy.roles]
engineer = ["person:dora"]
approver = ["person:ben", "person:dora"]
"""
MASKING = """\
[targets.shop.masking]
files = ["masks.toml"]
"""
MASKS = """\
shop.customers.id = "public"
shop.customers.tenant = "public"
shop.customers.loyalty = "public"
shop.customers.email = {class = "email", mask = "pseudonym", domain = "customer"}
shop.orders.id = "public"
shop.orders.customer_id = "public"
shop.orders.state = "public"
shop.orders.total = "public"
shop.orders.placed_at = "public"
"""


class Leases:
    """Told on a stage whose target ``shop`` has a signed baseline."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def tell(self) -> None:
        """Somebody asks for access, has it, and loses it."""
        self._stage.chapter("An engineer needs to see orders, for half a minute")
        self._stage.words(
            "Engineers may ask, approvers agree, nobody for themselves. In holdfast.toml:\n"
            + ACCESS
        )
        self._stage.append(ACCESS)
        self._stage.run("target", "install", "shop", "--dsn-env", "SHOP_DSN", expect=0)
        self._mask()
        self._stage.words("Broker and masking views are part of the state that people sign for:")
        self._stage.run(
            "--as", "ana", "baseline", "propose", "shop", "--comment", "broker", expect=0
        )
        self._stage.run("--as", "ben", "baseline", "approve", "shop", expect=0)
        self._stage.run("--as", "chloe", "baseline", "approve", "shop", expect=0)
        asked = ("--profile", "read-clear", "--tables", "shop.orders", "--for", "30s")
        why = ("--reason", "INC-481 refund bug")
        self._stage.run("--as", "dora", "request", "shop", *asked, *why, expect=0)
        request = self._request()
        self._stage.words("Her own approval does not count:")
        self._stage.run("--as", "dora", "approve", request, "--yes", expect=2)
        self._stage.run("--as", "ben", "approve", request, "--yes", expect=0)
        with self._stage.background("serve", "--no-api", "--every", "1h"):
            psql = ("--as", "dora", "run", request, "--", "psql", "-X", "-c")
            self._stage.run(*psql, "SELECT count(*) FROM shop.orders", expect=0)
            self._stage.words("Outside of the scope:")
            self._stage.run(*psql, "SELECT email FROM shop.customers", expect=1)
            self._stage.words("A session that is open when the time is over is ended with it:")
            self._stage.run(*psql, "SELECT pg_sleep(300)", expect=6)
            self._await_end(request)
        self._masked_lease()
        self._stage.run("ls", "--all", expect=0)

    def _mask(self) -> None:
        """Somebody looks for personal data, says what it is, and has views made that mask it."""
        self._stage.words(
            "What looks personal there? Values are looked at, and neither kept nor shown:"
        )
        self._stage.run("mask", "suggest", "shop", expect=0)
        self._stage.words(
            f"Somebody who knows decides; what has no class is left out. masks.toml:\n{MASKS}"
        )
        (self._stage.folder / "masks.toml").write_text(MASKS)
        self._stage.append(MASKING)
        self._stage.run("mask", "apply", "shop", expect=0)

    def _masked_lease(self) -> None:
        """An agent reads customers without seeing who they are."""
        self._stage.chapter("An agent counts customers, and sees none of them")
        asked = ("--profile", "read-masked", "--tables", "shop.customers,shop.orders")
        why = ("--for", "10m", "--reason", "INC-481 refund report")
        self._stage.run("--as", "dora", "request", "shop", *asked, *why, expect=0)
        request = self._request()
        self._stage.run("--as", "ben", "approve", request, "--yes", expect=0)
        psql = ("--as", "dora", "run", request, "--", "psql", "-X", "-c")
        self._stage.words(
            "The same names, through masking views; and the shop's own row-level security:"
        )
        self._stage.run(*psql, "SET shop.tenant = 'north'; SELECT * FROM customers", expect=0)
        self._stage.words("Around the view:")
        self._stage.run(*psql, "SELECT email FROM shop.customers", expect=1)
        self._stage.run("--as", "dora", "revoke", request, expect=0)

    def _request(self) -> str:
        """The newest request's id."""
        return str(self._stage.json("ls", "--all", "--json")[0]["id"])

    def _await_end(self, request: str) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            if self._stage.json("show", request, "--json")["phase"] == "ended":
                return
            time.sleep(LOOK_SECONDS)
        raise CouldNotTell("the lease was not ended in time", next_step="holdfast ls")
