"""Access: the desk of the broker, and the targets that have something to lease."""

from __future__ import annotations

import os
import secrets
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from chalicelib.access.desk import Bounds, Desk, Leased
from chalicelib.access.request import ALPHABET
from chalicelib.access.state import States
from chalicelib.access.timers import TimedGrantor
from chalicelib.drift.finding import Disposition
from chalicelib.evidence.personal import Reveal
from chalicelib.kernel import names
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import ConfigError, NotFound
from chalicelib.settings import RDS_IAM, STS, access
from chalicelib.wiring import leases

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.access.grantor import Grantor
    from chalicelib.access.policy import Policy
    from chalicelib.drift.desk import Target
    from chalicelib.kernel.personal import Concealed
    from chalicelib.settings import BrokerSection
    from chalicelib.wiring.services import Services


def desk(services: Services, policy: Callable[[], Policy]) -> Desk:
    """What requests and leases are worked on with."""
    section = services.settings.file.access

    def reveal(value: Concealed, kind: str, stream: str) -> str | None:
        return Reveal(services.subjects, services.log).value(value.personal, kind, stream).value

    return Desk(
        journal=services.desk.journal,
        objects=services.desk.objects,
        states=States(services.desk.journal, services.derived, services.secret),
        clock=services.desk.clock,
        policy=policy,
        draw=draw,
        reveal=reveal,
        bounds=Bounds(
            pending_seconds=section.pending_seconds,
            claim_seconds=section.claim_seconds,
            max_lease_seconds=section.max_lease_seconds,
            break_glass_seconds=section.break_glass_seconds,
        ),
        keep_days=services.desk.keep_days,
        turn=_turn,
    )


_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # by stream


def _turn(stream: str) -> threading.Lock:
    return _turns[stream]


def draw(count: int) -> str:
    """So many characters that nobody can guess, 5 bits each."""
    return "".join(secrets.choice(ALPHABET) for _ in range(count))


def every(services: Services) -> list[Leased]:
    """All targets that have something to lease, in order of names."""
    return [leased(services, one) for one in services.settings.leased()]


def find(services: Services, text: str) -> Leased:
    """The target of a name, with or without its kind. Raises: UsageError, NotFound."""
    slug = names.target(text).slug
    for one in services.settings.leased():
        if one.slug == slug and text in {slug, one.stream}:
            return leased(services, one)
    raise NotFound(
        f"no target {text[:96]} has anything to lease",
        next_step=f"[targets.{slug}.access] in the settings; docs/access.md",
    )


def leased(services: Services, target: Target) -> Leased:
    """What can be leased at a configured target."""
    own = section(services, target)
    known = access.profiles(services.settings.file)
    wanted = own.profiles or [
        name for name, one in known.items() if bool(one.actions) == (target.kind == STS)
    ]

    def open_findings() -> int:
        if target.kind == STS:
            return 0
        now = timestamp(services.desk.clock.now())
        found = services.desk.states.get(target.stream).findings.values()
        return sum(one.at(now) is Disposition.OPEN for one in found)

    return Leased(
        slug=target.slug,
        kind=target.kind,
        env=target.env,
        profiles={name: known[name] for name in wanted},
        grantor=lambda: grantor(services, target),
        schemas=own.schemas,
        tags={text: tuple(tags) for text, tags in own.tags.items()},
        open_findings=open_findings,
    )


def grantor(services: Services, target: Target) -> Grantor:
    """Who makes the credentials of a target. Raises: ConfigError, CouldNotTell, UsageError."""
    if services.grantor is not None:
        return services.grantor(target)
    made = _grantor(services, target)
    if services.settings.file.aws is None:  # the sweep of this machine looks every second
        return made
    return TimedGrantor(made, leases.timers(services.settings, services.desk.clock))


def _grantor(services: Services, target: Target) -> Grantor:
    own = section(services, target)
    other = leases.elsewhere(services.settings, target)
    if other is not None:
        return other
    if target.kind == STS:
        return leases.of_role(services.settings, own.role_arn, services.desk.clock)
    from chalicelib.postgres.lease import PostgresGrantor  # noqa: PLC0415 - it loads the driver

    token = leases.tokens(services.settings) if own.login == RDS_IAM else None
    dsn = broker_dsn(services, target)
    return PostgresGrantor(
        target.stream, dsn, address=own.address, token=token, log=services.keys.origin
    )


def broker_dsn(services: Services, target: Target) -> str:
    """The DSN of the broker at a target. Raises: ConfigError, CouldNotTell."""
    own = section(services, target)
    if own.dsn_env:
        value = os.environ.get(own.dsn_env, "")
        if not value:
            raise ConfigError(
                f"the environment variable {own.dsn_env}, for the broker's DSN of "
                f"{target.slug}, is not set",
                next_step=f"export {own.dsn_env}='postgresql://holdfast_broker@host/database'",
            )
        return value
    if services.vault is None:
        raise ConfigError(
            f"the broker's DSN of {target.slug} is in Secrets Manager or needs a token of RDS, and "
            "the settings name no region",
            next_step="[aws] region in the settings, or dsn_env in the section",
        )
    return services.vault.dsn(own)


def section(services: Services, target: Target) -> BrokerSection:
    """``[targets.NAME.access]`` of a target. Raises: NotFound, where it has none."""
    found = services.settings.file.targets[target.slug].access
    if found is None:
        raise NotFound(f"{target.stream} has nothing to lease")
    return found
