"""The bill: each line can be worked out again from what it shows."""

from __future__ import annotations

import re

import msgspec
import pytest
from chalice.package import YAMLTemplateSerializer
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.aws import cost, usage
from chalicelib.aws.cost import Fleet
from chalicelib.kernel.errors import ConfigError, UsageError

PRICES = cost.shipped_prices()
FLEETS = st.builds(
    lambda targets, secrets, **more: Fleet(
        targets=targets, secrets=secrets and min(secrets, targets), **more
    ),
    targets=st.integers(1, 5_000),
    period_minutes=st.integers(1, 1_440),
    objects=st.integers(0, 100_000),
    drift=st.floats(0, 1),
    retention_days=st.integers(1, 3_650),
    secrets=st.none() | st.integers(0, 5_000),
    nat_gateways=st.integers(0, 3),
    endpoint_zones=st.integers(0, 20),
    api_requests=st.integers(0, 10**8),
)


def line(bill, service, what):
    [found] = [one for one in bill.lines if (one.service, one.what) == (service, what)]
    return found


def worked_out(numbers):
    """The value of a formula as a reader would work it out."""
    text = numbers.replace(",", "").replace("$", "").replace(" x ", " * ")
    assert re.fullmatch(r"[0-9.+*/() ]+", text), text
    return eval(text, {}, {})  # noqa: S307 - digits and operators only, as just checked


def test_a_month_is_worked_out_by_hand():
    bill = cost.bill(Fleet(targets=200, period_minutes=15), PRICES)
    assert bill.scans == 584_400, "200 targets x 4 an hour x 24 x 30.4375"
    signatures = line(bill, "KMS", "signatures")
    assert signatures.numbers == "58,440 x $0.15 / 10,000"
    assert signatures.words == "appends x $0.15 for 10,000 requests"
    assert signatures.usd == pytest.approx(0.8766)
    assert line(bill, "KMS", "keys").usd == 2
    assert line(bill, "Secrets Manager", "secrets").usd == pytest.approx(201 * 0.40)
    requests = line(bill, "Lambda", "requests")
    assert requests.numbers == "(584,400 x 0.1 + 2,922 + 1 x 43,830) x $0.2 / 1,000,000"


@given(FLEETS)
def test_every_formula_gives_its_amount_and_the_lines_add_up(fleet):
    bill = cost.bill(fleet, PRICES)
    for one in bill.lines:
        assert worked_out(one.numbers) == pytest.approx(one.usd, rel=1e-6), one
        assert one.usd >= 0
    assert bill.usd == pytest.approx(sum(worked_out(one.numbers) for one in bill.lines), rel=1e-6)


@given(FLEETS)
def test_more_of_anything_never_costs_less(fleet):
    usd = cost.bill(fleet, PRICES).usd
    for more in (
        {"targets": fleet.targets + 1},
        {"objects": fleet.objects + 100},
        {"retention_days": fleet.retention_days + 30},
        {"nat_gateways": fleet.nat_gateways + 1},
        {"api_requests": fleet.api_requests + 1_000},
    ):
        assert cost.bill(msgspec.structs.replace(fleet, **more), PRICES).usd >= usd


def test_what_is_used_is_billed():
    """No field of Usage is forgotten: using more of it costs more."""
    for field in usage.Usage.__struct_fields__:
        meters = cost._meters(
            Fleet(targets=1, period_minutes=60), [(1, "things", usage.Usage(**{field: 1}))]
        )
        users = {"things"} & {term.of for meter in meters for term in meter.terms}
        assert users, field


def test_drift_and_objects_have_an_effect():
    quiet = cost.bill(Fleet(targets=10, period_minutes=60, drift=0), PRICES)
    busy = cost.bill(Fleet(targets=10, period_minutes=60, drift=0.5), PRICES)
    large = cost.bill(Fleet(targets=10, period_minutes=60, drift=0, objects=100_000), PRICES)
    assert line(quiet, "EventBridge", "own events").usd == 0
    assert line(busy, "EventBridge", "own events").usd > 0
    assert busy.growth_gb > quiet.growth_gb
    assert line(large, "Lambda", "duration").usd > 2 * line(quiet, "Lambda", "duration").usd
    assert large.growth_gb == quiet.growth_gb, "a snapshot that is there is not stored again"


def test_requests_of_the_api_have_lines_of_their_own_and_some_are_recorded():
    none = cost.bill(Fleet(targets=10, period_minutes=60), PRICES)
    busy = cost.bill(Fleet(targets=10, period_minutes=60, api_requests=2_000_000), PRICES)
    assert line(none, "API Gateway", "requests").usd == 0
    requests = line(busy, "API Gateway", "requests")
    assert requests.numbers == "2,000,000 x $3.5 / 1,000,000"
    assert requests.usd == pytest.approx(7)
    signatures = line(busy, "KMS", "signatures")
    assert "500,000 x" in signatures.numbers or "+ 500,000)" in signatures.numbers
    assert signatures.usd - line(none, "KMS", "signatures").usd == pytest.approx(7.5)


def test_storage_is_what_the_retention_holds():
    bill = cost.bill(Fleet(targets=100, period_minutes=60, retention_days=730), PRICES)
    held = line(bill, "S3", "evidence held")
    assert held.usd == pytest.approx(bill.growth_gb * 730 / 30.4375 * 0.023, rel=1e-4)


def test_figures_that_were_not_read_on_a_page_of_aws_are_named():
    bill = cost.bill(Fleet(targets=1, period_minutes=60), PRICES)
    assert "kms_keys" not in bill.unverified
    assert "s3_gets" in bill.unverified
    assert "nat_gateways" not in bill.unverified, "it costs nothing here"


def test_every_price_names_its_page():
    assert PRICES.region == "us-east-1"
    assert re.fullmatch(r"20[0-9]{2}-[01][0-9](-[0-3][0-9])?", PRICES.as_of)
    for key, price in PRICES.prices.items():
        assert price.page.startswith("https://aws.amazon.com/"), key


@pytest.mark.parametrize(
    ("text", "minutes"), [("5m", 5), ("15m", 15), ("1h", 60), ("60m", 60), ("4h", 240)]
)
def test_periods(text, minutes):
    assert cost.period_minutes(text) == minutes


@pytest.mark.parametrize("text", ["", "15", "0m", "-1m", "1.5h", "1d", "7m", "15 m", "m", "9" * 9])
def test_what_is_no_period_of_the_schedule_is_refused(text):
    with pytest.raises(UsageError, match="ScheduleMinutes has 5m, 10m, 15m, 30m, 1h, 2h, 4h"):
        cost.period_minutes(text)


def template():
    path = "infra/template.yaml"
    with open(path) as stream:  # noqa: PTH123
        return YAMLTemplateSerializer().load_template(stream.read(), path)


def test_periods_and_alarms_are_those_of_the_template():
    found = template()
    allowed = found["Parameters"]["ScheduleMinutes"]["AllowedValues"]
    assert tuple(map(int, allowed)) == cost.SCHEDULE_MINUTES
    alarms = [
        one for one in found["Resources"].values() if one.get("Type") == "AWS::CloudWatch::Alarm"
    ]
    metrics = [
        sum("MetricStat" in metric for metric in one["Properties"].get("Metrics", [])) or 1
        for one in alarms
    ]
    assert sum(metrics) == usage.ALARMS
    bill = cost.bill(Fleet(targets=1, period_minutes=60), PRICES)
    assert line(bill, "CloudWatch", "alarms").words.startswith("alarms of the template x")


def test_targets_without_a_secret_read_none():
    none = cost.bill(Fleet(targets=10, period_minutes=15, secrets=0), PRICES)
    assert line(none, "Secrets Manager", "reads").usd == 0
    assert line(none, "Secrets Manager", "secrets").usd == pytest.approx(0.40), "the installation's"
    some = cost.bill(Fleet(targets=10, period_minutes=15, secrets=4), PRICES)
    reads = line(some, "Secrets Manager", "reads")
    assert reads.numbers == "11,688 x $0.05 / 10,000", "4 targets x 2,922 periods"


def test_each_service_has_its_sum_and_units_their_plural():
    bill = cost.bill(Fleet(targets=10, period_minutes=15, drift=0.5), PRICES)
    assert bill.services["KMS"] == sum(one.usd for one in bill.lines if one.service == "KMS")
    assert sum(bill.services.values()) == pytest.approx(bill.usd)
    assert line(bill, "SNS", "publishes").words.endswith("for 1,000,000 publishes")


@pytest.mark.parametrize(
    "wrong",
    [
        {"targets": 0},
        {"targets": 10**7},
        {"period_minutes": 0},
        {"objects": -1},
        {"drift": 1.01},
        {"drift": float("nan")},
        {"retention_days": 0},
        {"secrets": -1},
        {"secrets": 2},
        {"nat_gateways": -1},
        {"endpoint_zones": -1},
        {"api_requests": -1},
    ],
)
def test_a_fleet_out_of_bounds_is_refused(wrong):
    with pytest.raises(UsageError, match="found"):
        cost.bill(Fleet(**{"targets": 1, "period_minutes": 60, **wrong}), PRICES)


def listed(**more):
    text = 'region = "eu-central-1"\ncurrency = "USD"\nas_of = "2026-11"\n'
    for key in sorted(cost.PRICES):
        price = {"usd": 1.0, "per": 1, "unit": "thing", "page": "mine", **more.get(key, {})}
        text += f"[prices.{key}]\n"
        text += "".join(f"{name} = {value!r}\n".replace("'", '"') for name, value in price.items())
    return text


def test_a_price_list_of_ones_own():
    prices = cost.parse_prices(listed(kms_requests={"usd": 5.0}).encode(), "mine.toml")
    bill = cost.bill(Fleet(targets=1, period_minutes=1_440), prices)
    assert bill.region == "eu-central-1"
    assert line(bill, "KMS", "signatures").usd == pytest.approx(30 * 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not toml", "mine.toml"),
        ('region = "x"', "mine.toml"),
        (listed().replace("[prices.kms_keys]", "[prices.kms_key]"), "missing: kms_keys"),
        (listed(kms_keys={"usd": -1.0}), "kms_keys"),
        (listed(kms_keys={"per": 0}), "kms_keys"),
        (listed().replace("usd = 1.0", "usd = nan", 1), "usd is 0 or more"),
        (listed().replace("usd", "eur", 1), "mine.toml"),
    ],
)
def test_a_price_list_that_cannot_be_used_is_refused(text, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        cost.parse_prices(text.encode(), "mine.toml")
