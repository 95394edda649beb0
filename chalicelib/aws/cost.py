"""Cost: what a fleet costs a month on AWS, line by line, each with its formula and its price.

Pure arithmetic over three things that are passed in: the fleet, a table of list prices
(``prices.toml``) and the usage constants. Nothing is asked of AWS. Free tiers, taxes and discounts
are not counted.
"""

from __future__ import annotations

import math
import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from chalicelib.aws import usage
from chalicelib.kernel.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.aws.usage import Usage

MONTH_DAYS: Final = 30.4375  # 365.25 / 12
MONTH_HOURS: Final = 730.5
GIB: Final = 2**30  # AWS bills S3 and CloudWatch in units of 2^30 bytes and calls them GB

MAX_TARGETS: Final = 1_000_000
MAX_OBJECTS: Final = 10_000_000
MAX_PERIOD_MINUTES: Final = 31 * 1_440
SCHEDULE_MINUTES: Final = (5, 10, 15, 30, 60, 120, 240)  # of infra's template; a test compares
MAX_RETENTION_DAYS: Final = 36_500
MAX_API_REQUESTS: Final = 10_000_000_000
MAX_USD: Final = 1_000_000

NOTES: Final = (
    "list prices: no free tier, discount, tax or support plan",
    (
        "evidence held: what is there after the retention; nothing is deleted by itself, so it "
        "goes on growing"
    ),
    (
        "an object is a table, column, index, role, grant, …: more of them make scans longer, and "
        "what is stored of a change larger"
    ),
    (
        "not counted: the databases' own cost, transfer between zones and regions, a replica of "
        "the evidence, CloudTrail beyond its first, free trail, what IAM Access Analyzer is asked "
        "(access_analyzer of iam targets)"
    ),
)

_PERIOD = re.compile(r"([1-9][0-9]{0,5})([mh])")
_MINUTES: Final = {"m": 1, "h": 60}


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``usd`` for ``per`` of ``unit``; ``verified``: read on AWS's own ``page``, not elsewhere."""

    usd: float
    per: int
    unit: str
    page: str
    verified: bool = False
    seen: str = ""


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price list of one region, and the date on which it is believed to hold."""

    region: str
    currency: str
    as_of: str
    prices: dict[str, Price]


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """What is scanned, how often, and what is kept.

    ``objects``: of one target. ``drift``: share of the scans that see something else than the scan
    before. ``secrets``: how many targets have one of their own. ``endpoint_zones``: interface
    endpoints times availability zones. ``api_requests``: in a month.
    """

    targets: int
    period_minutes: int
    objects: int = 1_000
    drift: float = 0.01
    retention_days: int = 400
    secrets: int | None = None
    nat_gateways: int = 0
    endpoint_zones: int = 0
    api_requests: int = 0


class Line(msgspec.Struct, frozen=True):
    """One line of the bill. ``words`` and ``numbers`` are the same formula; ``price`` its key."""

    service: str
    what: str
    words: str
    numbers: str
    usd: float
    price: str


class Bill(msgspec.Struct, frozen=True):
    """A month. ``growth_gb`` is what the evidence bucket grows by in it."""

    fleet: Fleet
    scans: int
    lines: list[Line]
    services: dict[str, float]  # the sums of the lines
    usd: float
    growth_gb: float
    region: str
    currency: str
    as_of: str
    unverified: list[str]
    notes: list[str]


class _Term(NamedTuple):
    """``times`` things, each using ``each``."""

    times: int
    of: str
    each: float


class _Meter(NamedTuple):
    service: str
    what: str
    price: str
    terms: Sequence[_Term]
    factors: Sequence[tuple[str, float]] = ()


def period_minutes(text: str) -> int:
    """The minutes of ``15m``, ``1h``; one of SCHEDULE_MINUTES. Raises: UsageError."""
    found = _PERIOD.fullmatch(text)
    minutes = int(found[1]) * _MINUTES[found[2]] if found else 0
    if minutes not in SCHEDULE_MINUTES:
        known = ", ".join(
            f"{one // 60}h" if one % 60 == 0 else f"{one}m" for one in SCHEDULE_MINUTES
        )
        raise UsageError(
            f"not a period of the schedule on AWS: {text[:20]!r}; ScheduleMinutes has {known}"
        )
    return minutes


def shipped_prices() -> Prices:
    """The price list that came with this program."""
    text = resources.files("chalicelib.aws").joinpath("prices.toml").read_bytes()
    return parse_prices(text, "prices.toml")


def shipped_path() -> str:
    """Where the shipped price list is, to be copied."""
    return str(resources.files("chalicelib.aws").joinpath("prices.toml"))


def parse_prices(data: bytes, name: str) -> Prices:
    """A price list in the form of ``prices.toml``. Raises: ConfigError."""
    try:
        found = msgspec.convert(tomllib.loads(data.decode()), Prices)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{name}: {error}", next_step=f"start from {shipped_path()}") from error
    missing = sorted(PRICES - found.prices.keys())
    surplus = sorted(found.prices.keys() - PRICES)
    if missing or surplus:
        raise ConfigError(
            f"{name}: expected exactly the prices that the bill has lines for; missing: "
            f"{', '.join(missing) or 'none'}; unknown: {', '.join(surplus) or 'none'}"
        )
    for key, price in found.prices.items():
        if not 0 <= price.usd <= MAX_USD or price.per < 1:  # also false for NaN
            raise ConfigError(f"{name}: [prices.{key}] usd is 0 or more, and per 1 or more")
    return found


def bill(fleet: Fleet, prices: Prices) -> Bill:
    """The fleet's month. Raises: UsageError, for a fleet out of bounds."""
    _check(fleet)
    periods = round(MONTH_DAYS * 1_440 / fleet.period_minutes)
    scans = periods * fleet.targets
    sources = _sources(fleet, periods, scans)
    lines = [_line(meter, prices.prices[meter.price]) for meter in _meters(fleet, sources)]
    used = {line.price for line in lines if line.usd}
    growth = sum(term.times * term.each for term in _terms(sources, "s3_bytes"))
    return Bill(
        fleet=fleet,
        scans=scans,
        lines=lines,
        services=_services(lines),
        usd=sum(line.usd for line in lines),
        growth_gb=growth / GIB,
        region=prices.region,
        currency=prices.currency,
        as_of=prices.as_of,
        unverified=sorted(key for key in used if not prices.prices[key].verified),
        notes=_notes(fleet),
    )


def _services(lines: Sequence[Line]) -> dict[str, float]:
    """What each service costs, in the order of the bill."""
    found = dict.fromkeys((line.service for line in lines), 0.0)
    for line in lines:
        found[line.service] += line.usd
    return found


def _with_secret(fleet: Fleet) -> int:
    """How many targets have a secret."""
    return fleet.targets if fleet.secrets is None else fleet.secrets


def _check(fleet: Fleet) -> None:
    for what, value, least, most in (
        ("targets", fleet.targets, 1, MAX_TARGETS),
        ("the period in minutes", fleet.period_minutes, 1, MAX_PERIOD_MINUTES),
        ("objects", fleet.objects, 0, MAX_OBJECTS),
        ("drift", fleet.drift, 0, 1),
        ("retention in days", fleet.retention_days, 1, MAX_RETENTION_DAYS),
        ("secrets, one a target", _with_secret(fleet), 0, fleet.targets),
        ("NAT gateways", fleet.nat_gateways, 0, 1_000),
        ("interface endpoints", fleet.endpoint_zones, 0, 1_000),
        ("requests of the API in a month", fleet.api_requests, 0, MAX_API_REQUESTS),
    ):
        if not least <= value <= most:
            raise UsageError(f"{what}: {least} to {most:,}, found {value}")


def _sources(fleet: Fleet, periods: int, scans: int) -> list[tuple[int, str, Usage]]:
    """How many of everything that uses something there is in a month."""
    changes = round(scans * fleet.drift)
    requests = [
        (fleet.api_requests, "API requests", usage.REQUEST),
        (round(fleet.api_requests * usage.RECORDED_SHARE), "recorded requests", usage.APPEND),
    ]
    return [
        (scans, "scans", usage.SCAN),
        (periods * _with_secret(fleet), "scans with a secret", usage.SECRET),
        (scans * fleet.objects, "objects read", usage.OBJECT),
        (periods * math.ceil(fleet.targets / usage.BATCH), "appends", usage.APPEND),
        (changes, "changed scans", usage.CHANGE),
        (changes * fleet.objects, "objects of changed snapshots", usage.CHANGED_OBJECT),
        (changes * usage.FINDINGS_A_CHANGE, "findings", usage.FINDING),
        (periods, "periods", usage.PERIOD),
        (1, "month", usage.MONTH),
        *(one for one in requests if one[0]),
    ]


def _terms(sources: Iterable[tuple[int, str, Usage]], *fields: str) -> list[_Term]:
    """What is used of some fields together, by who uses it."""
    terms = [
        _Term(count, of, round(sum(getattr(one, field) for field in fields), 6))
        for count, of, one in sources
    ]
    return [term for term in terms if term.each]


def _meters(fleet: Fleet, sources: list[tuple[int, str, Usage]]) -> list[_Meter]:
    """Every line of the bill: which price, on how much of what."""
    held = ("months of retention", round(fleet.retention_days / MONTH_DAYS, 4))
    logs_held = ("months kept", usage.LOG_RETENTION_MONTHS)
    bytes_ = ("GB of a byte", 1 / GIB)
    hours = ("hours", MONTH_HOURS)

    def used(*fields: str) -> list[_Term]:
        return _terms(sources, *fields)

    def there(count: int, of: str) -> list[_Term]:
        return [_Term(count, of, 1)]

    return [
        _Meter("Lambda", "requests", "lambda_requests", used("lambda_requests")),
        _Meter(
            "Lambda",
            "duration",
            "lambda_gb_seconds",
            used("lambda_seconds"),
            [("GB of memory", usage.LAMBDA_GB)],
        ),
        _Meter(
            "API Gateway", "requests", "api_requests", there(fleet.api_requests, "API requests")
        ),
        _Meter("SQS", "requests, FIFO", "sqs_requests", used("sqs_requests")),
        _Meter("EventBridge", "own events", "eventbridge_events", used("eventbridge_events")),
        _Meter("DynamoDB", "write units", "dynamodb_writes", used("dynamodb_writes")),
        _Meter("DynamoDB", "read units", "dynamodb_reads", used("dynamodb_reads")),
        _Meter("S3", "puts and lists", "s3_puts", used("s3_puts", "s3_lists")),
        _Meter("S3", "gets", "s3_gets", used("s3_gets")),
        _Meter("S3", "evidence held", "s3_storage", used("s3_bytes"), [held, bytes_]),
        _Meter("KMS", "keys", "kms_keys", there(usage.KEYS, "keys")),
        _Meter("KMS", "signatures", "kms_requests", used("kms_requests")),
        _Meter("Secrets Manager", "secrets", "secrets", there(_with_secret(fleet) + 1, "secrets")),
        _Meter("Secrets Manager", "reads", "secret_reads", used("secret_reads")),
        _Meter("CloudWatch", "logs taken in", "log_ingestion", used("log_bytes"), [bytes_]),
        _Meter("CloudWatch", "logs held", "log_storage", used("log_bytes"), [logs_held, bytes_]),
        _Meter(
            "CloudWatch", "metrics", "metrics", there(usage.METRICS, "metrics of the functions")
        ),
        _Meter("CloudWatch", "alarms", "alarms", there(usage.ALARMS, "alarms of the template")),
        _Meter("CloudWatch", "dashboard", "dashboards", there(usage.DASHBOARDS, "dashboard")),
        _Meter("SNS", "publishes", "sns_publishes", used("sns_publishes")),
        _Meter("SNS", "e-mails", "sns_emails", used("sns_emails")),
        _Meter(
            "VPC", "NAT gateways", "nat_gateways", there(fleet.nat_gateways, "gateways"), [hours]
        ),
        _Meter(
            "VPC",
            "interface endpoints",
            "interface_endpoints",
            there(fleet.endpoint_zones, "endpoint zones"),
            [hours],
        ),
    ]


def _line(meter: _Meter, price: Price) -> Line:
    quantity = sum(term.times * term.each for term in meter.terms)
    words = " + ".join(
        term.of if term.each == 1 else f"{term.of} x {number(term.each)}" for term in meter.terms
    )
    numbers = " + ".join(
        f"{term.times:,}" if term.each == 1 else f"{term.times:,} x {number(term.each)}"
        for term in meter.terms
    )
    if len(meter.terms) > 1:
        words, numbers = f"({words})", f"({numbers})"
    for name, factor in meter.factors:
        quantity *= factor
        words += f" x {name}"
        numbers += f" / {GIB:,}" if factor == 1 / GIB else f" x {number(factor)}"
    words += f" x ${number(price.usd)} for {price.per:,} {_many(price)}"
    numbers += f" x ${number(price.usd)}" + (f" / {price.per:,}" if price.per > 1 else "")
    usd = quantity * price.usd / price.per
    return Line(meter.service, meter.what, words, numbers, usd, meter.price)


def _many(price: Price) -> str:
    if price.per == 1:
        return price.unit
    return price.unit + ("es" if price.unit.endswith("sh") else "s")


def number(value: float) -> str:
    """A number as a formula shows it: no more digits than it has, at most ten places."""
    return f"{value:,.10f}".rstrip("0").rstrip(".")


def _notes(fleet: Fleet) -> list[str]:
    notes = [*NOTES, *(f"estimated, not measured on AWS: {what}" for what in usage.ESTIMATED)]
    if not fleet.nat_gateways and not fleet.endpoint_zones:
        notes.append(
            "private databases: functions in a VPC reach AWS through a NAT gateway or interface "
            "endpoints; add --nat-gateways or --interface-endpoints"
        )
    return notes


PRICES: Final = frozenset(
    meter.price for meter in _meters(Fleet(targets=1, period_minutes=1), sources=[])
)
