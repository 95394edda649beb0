"""``holdfast aws cost``: the bill, worked out. Needs no account and no library of AWS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.text import Text

from chalicelib import settings
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag
from chalicelib.cli.text import emit, err, out, plain, say

if TYPE_CHECKING:
    from chalicelib.aws.cost import Bill

WIDE = 110  # columns of a terminal that has room for formulas


def cost(
    targets: Annotated[int, typer.Option(help="How many targets are scanned.")],
    every: Annotated[
        str, typer.Option(help="How often each is scanned, as ScheduleMinutes: 15m, 1h.")
    ] = "15m",
    objects: Annotated[int, typer.Option(help="Tables, columns, grants, … of one target.")] = 1_000,
    drift: Annotated[
        float, typer.Option(help="Share of scans that see a change since the scan before, 0 to 1.")
    ] = 0.01,
    retention_days: Annotated[int, typer.Option(help="How long evidence is locked.")] = 400,
    secrets: Annotated[
        int | None, typer.Option(help="Targets with a secret; the others log in with IAM.")
    ] = None,
    nat_gateways: Annotated[int, typer.Option(help="For private databases.")] = 0,
    interface_endpoints: Annotated[
        int, typer.Option(help="For private databases: endpoints times zones.")
    ] = 0,
    api_requests: Annotated[int, typer.Option(help="Requests of the API in a month.")] = 0,
    prices: Annotated[
        Path | None, typer.Option(help="Another price list than the shipped.")
    ] = None,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="Each line's formula, also on a narrow terminal.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Work out the monthly bill, line by line and by service, from a list of prices."""
    from chalicelib.aws import cost as costs  # noqa: PLC0415 - not what other commands wait for

    listed = (
        costs.parse_prices(settings.read_bounded(prices), str(prices))
        if prices
        else costs.shipped_prices()
    )
    bill = costs.bill(
        costs.Fleet(
            targets=targets,
            period_minutes=costs.period_minutes(every),
            objects=objects,
            drift=drift,
            retention_days=retention_days,
            secrets=secrets,
            nat_gateways=nat_gateways,
            endpoint_zones=interface_endpoints,
            api_requests=api_requests,
        ),
        listed,
    )
    if as_json:
        used = {key: msgspec.to_builtins(price) for key, price in listed.prices.items()}
        emit({**msgspec.to_builtins(bill), "prices": used})
        return
    _show_bill(bill, formulas=formulas or not out().is_terminal or out().width >= WIDE)
    if prices is None:
        say("prices of another region: copy the list, correct it, and pass it with --prices")
        err().print(Text(f"  {plain(costs.shipped_path())}"), soft_wrap=True)  # to be copied


def _show_bill(bill: Bill, *, formulas: bool) -> None:
    """One row a line, and then one a service."""
    unsure = set(bill.unverified)
    headings = ["service", "what", "USD a month", *(["formula", "in numbers"] if formulas else [])]
    table.grid(
        headings,
        [
            [
                one.service,
                one.what,
                f"{one.usd:.2f}" + ("?" if one.price in unsure else ""),
                *([one.words, one.numbers] if formulas else []),
            ]
            for one in bill.lines
            if one.usd
        ],
        unbroken=3,
    )
    table.grid(
        ["service", "USD a month"],
        [[service, f"{usd:.2f}"] for service, usd in bill.services.items() if usd],
    )
    out().print(
        Text(f"total  {bill.usd:.2f} {bill.currency} a month, {bill.scans:,} scans", "bold")
    )
    out().print(
        Text(
            f"list prices of {bill.region} as of {bill.as_of}, in {bill.currency}; another region "
            "differs, mostly upwards"
        )
    )
    say(f"the evidence grows by {bill.growth_gb:.2f} GB a month")
    for one in bill.notes:
        say(one, "dim")
    if unsure:
        names = ", ".join(sorted(unsure))
        say(f"?: not verified: the price was not read on a page of AWS: {names}", "yellow")
    if not formulas:
        say("--formulas shows how each line is worked out")
