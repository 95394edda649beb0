"""Watched: what reads targets through AWS's API, and whoever tells who changed them."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore import handlers

from chalicelib import settings
from chalicelib.aws import session
from chalicelib.aws.asker import Asker
from chalicelib.aws.failures import translated, understood
from chalicelib.kernel.errors import AnotherSystem, AuthenticationFailed, ConfigError, Overdue
from chalicelib.wiring import concealed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.aws.lookup import CloudTrail
    from chalicelib.drift.desk import Target
    from chalicelib.drift.iam.reach import Databases
    from chalicelib.drift.opinion import SecondOpinion
    from chalicelib.drift.parameter import Reported
    from chalicelib.drift.source import Known, Reading, Source
    from chalicelib.settings import Settings, TargetSection
    from chalicelib.wiring import Services

SESSION = "holdfast-scan"
SESSION_SECONDS = 3_600  # the most of a role that another role assumes; STS, AssumeRole
GLOBAL = "us-east-1"  # IAM is there, whichever region is asked
MAX_SECONDS = 900.0  # of a reading
TRAIL_SECONDS = 30.0  # of a scan's time for CloudTrail
ANALYZER_SECONDS = 60.0  # of a scan's time for Access Analyzer, 400 calls at the most
PACE_SECONDS = 0.5  # between questions. Source: CloudTrail, LookupEvents: two a second
# A scan goes on without their answers, and waits for them at its end, where little time is left.
_ASKED_BESIDE = frozenset({"accessanalyzer", "cloudtrail"})
_BESIDE: dict[str, Any] = {"attempts": 3, "read_seconds": 5.0}
_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eusc-": "aws-eusc",
}


@dataclass
class Clients:
    """The clients that read one target: one look's, with credentials of its role if it has one."""

    region: str
    endpoint: str
    role_arn: str
    seconds: float = MAX_SECONDS
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = time.monotonic() + self.seconds

    @classmethod
    def of(cls, loaded: Settings, section: TargetSection, seconds: float = MAX_SECONDS) -> Clients:
        """Those of a target: its own region and endpoint, else those of ``[aws]``.

        ``seconds``: from now on, in which they send anything, also what botocore tries again.
        """
        own = loaded.file.aws
        other = GLOBAL if section.kind == settings.IAM else ""
        region = section.region or (own.region if own else "") or session.region() or other
        if not region:
            raise ConfigError(
                f"in which region {section.instance or section.cluster} is, is not said",
                next_step="region = '…' in the target's settings, or AWS_REGION",
            )
        return cls(
            region=region,
            endpoint=section.endpoint or (own.endpoint if own else ""),
            role_arn=section.role_arn,
            seconds=seconds,
        )

    def __call__(self, service: str, region: str = "") -> Any:
        """The client of a service, made once. Raises: AuthenticationFailed, StoreUnavailable."""
        return self._made(service, region or self.region)

    @functools.cached_property
    def _made(self) -> Callable[[str, str], Any]:
        credentials = self._credentials()

        @functools.cache
        def make(service: str, region: str) -> Any:
            return self._new(service, region, credentials)

        return make

    def _new(self, service: str, region: str, credentials: Mapping[str, str] | None = None) -> Any:
        found = session.client(
            service,
            region=region,
            endpoint=self.endpoint or None,
            credentials=credentials,
            **_BESIDE if service in _ASKED_BESIDE else {},
        )
        found.meta.events.register("before-send", self._in_time)
        if service == "iam":
            # It decodes documents, and of two members with one name keeps the last.
            found.meta.events.unregister("after-call.iam", handlers.json_decode_policies)
        return found

    def _in_time(self, **_: Any) -> None:
        """Raises: Overdue, before anything is sent too late; a retry is sent too."""
        if time.monotonic() > self._end:
            raise Overdue(
                f"AWS did not answer within the {self.seconds:.0f} seconds that there were",
                next_step="scan again; check the network, the endpoint and VPC endpoints",
            )

    def _credentials(self) -> dict[str, str] | None:
        if not self.role_arn:
            return None
        sts = self._new("sts", self.region)
        action = f"assume {self.role_arn}"
        with translated(action, AuthenticationFailed), understood(action):
            answer = sts.assume_role(
                RoleArn=self.role_arn, RoleSessionName=SESSION, DurationSeconds=SESSION_SECONDS
            )
        found: dict[str, str] = answer["Credentials"]
        return found


def source(services: Services, target: Target, seconds: float | None) -> Source:
    """The reader of an account, or of an instance or cluster. Raises: ConfigError."""
    section = services.settings.file.targets[target.slug]
    most = MAX_SECONDS if seconds is None else min(MAX_SECONDS, _of_reading(section, seconds))
    Clients.of(services.settings, section, most)  # what the settings lack is said now

    def asker() -> Asker:
        clients = Clients.of(services.settings, section, most)
        return Asker(clients, monotonic=time.monotonic, seconds=most)

    if section.kind == settings.IAM:
        from chalicelib.aws.iam_source import IamSource  # noqa: PLC0415 - what is not asked for
        from chalicelib.drift.iam import reference  # noqa: PLC0415 - 0.5 MB of names

        return IamSource(
            section.account,
            asker,
            databases=databases(services.settings, section),
            reference=reference.packaged(),
            now=services.desk.clock.now,
            conceal=concealed(services.secret),
        )
    from chalicelib.aws.rds_source import RdsSource  # noqa: PLC0415 - likewise

    found = RdsSource(
        section.instance or section.cluster,
        cluster=bool(section.cluster),
        asker=asker,
        now=services.desk.clock.now,
        reported=_reported(services, section),
        conceal=concealed(services.secret),
    )
    return _InAccount(found, section.account) if section.account else found


def _of_reading(section: TargetSection, seconds: float) -> float:
    """What of a scan's time is left for reading: others are asked after it, on the same clock."""
    beside = TRAIL_SECONDS + (ANALYZER_SECONDS if section.access_analyzer else 0.0)
    return max(seconds / 2, seconds - beside)


class _InAccount:
    """A source that must be in an account: the same name elsewhere is another database."""

    def __init__(self, inner: Source, account: str) -> None:
        self._inner = inner
        self._account = account

    def read(
        self, progress: Callable[[str, int, int], None], known: Known | None = None
    ) -> Reading:
        found = self._inner.read(progress, known)
        if found.system.get("account") != self._account:
            raise AnotherSystem(
                f"{found.identity} is in the account {found.system.get('account')}, and the "
                f"settings say {self._account}",
                next_step="correct account or role_arn in the settings, or the credentials",
            )
        return found


def _reported(
    services: Services, section: TargetSection
) -> Callable[[], Mapping[str, Reported]] | None:
    """What reads pg_settings of the database target, where the settings name one."""
    if not section.database_target:
        return None

    def read() -> Mapping[str, Reported]:
        from chalicelib.postgres import reported  # noqa: PLC0415 - it loads the driver

        target = services.settings.target(section.database_target)
        bounds = services.settings.file.postgres
        return reported.read(
            services.dsn(target),
            connect_timeout_seconds=bounds.connect_timeout_seconds,
            read_timeout_seconds=bounds.statement_timeout_seconds,
        )

    return read


def databases(loaded: Settings, section: TargetSection) -> Databases:
    """What of an account leads to the databases that the settings name."""
    from chalicelib.drift.iam.reach import Databases  # noqa: PLC0415 - as above

    named = sorted({one.secret for one in loaded.file.targets.values() if one.secret})
    return Databases(
        account=section.account,
        partition=partition(Clients.of(loaded, section).region),
        instances=(),
        secrets=tuple(named),
    )


def partition(region: str) -> str:
    """The partition of a region. Source: AWS, "Partitions"."""
    for beginning, name in _PARTITIONS.items():
        if region.startswith(beginning):
            return name
    return "aws"


def trail(loaded: Settings, target: Target) -> CloudTrail | None:
    """The events of a target of AWS; None for others. Raises: HoldfastError, as clients do."""
    section = loaded.file.targets.get(target.slug)
    if section is None or section.kind not in settings.AWS_KINDS:
        return None
    from chalicelib.aws import lookup  # noqa: PLC0415 - only where it is asked

    clients = Clients.of(loaded, section, TRAIL_SECONDS)
    region = lookup.region(section.kind, clients.region, partition(clients.region))
    return lookup.CloudTrail(
        clients("cloudtrail", region),
        pace=lambda: time.sleep(PACE_SECONDS),
        monotonic=time.monotonic,
        seconds=TRAIL_SECONDS,
    )


def opinion(loaded: Settings, target: Target) -> SecondOpinion | None:
    """Access Analyzer, where the target's settings want it to be asked."""
    section = loaded.file.targets.get(target.slug)
    if section is None or not section.access_analyzer:
        return None
    from chalicelib.aws.analyzer import Analyzer  # noqa: PLC0415 - only where it is asked

    return Analyzer(Clients.of(loaded, section, ANALYZER_SECONDS))
