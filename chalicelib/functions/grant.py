"""The function ``grant``: one call of a grantor, from another function → what came of it.

It runs where the databases are, has the brokers' credentials, and keeps nothing: no log, no state.
What it is asked for is held to its own settings, so that whoever may call it gets what a profile of
these settings gives at a target of theirs, for as long as a lease can last, and nothing else.
"""

from __future__ import annotations

import functools
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.aws import remote
from chalicelib.functions import runtime
from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import Malformed, NotAllowed, NotFound
from chalicelib.local.clock import SystemClock
from chalicelib.settings import RDS_IAM, STS
from chalicelib.settings.access import profiles
from chalicelib.wiring import leases

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.access.grantor import Grantor, Terms
    from chalicelib.drift.desk import Target
    from chalicelib.settings import BrokerSection
    from chalicelib.wiring.services import Vault

SLACK_SECONDS: Final = 60  # between two clocks, and on the way
_ROLE: Final = re.compile(r"hf_[a-z0-9]{20,40}")


def grant(event: Mapping[str, Any], context: runtime.Context) -> dict[str, Any]:
    """What a grantor of a database did, or its error. Raises: Malformed, for what is no call."""
    return carried_out(event, context, sts=False)


def carried_out(event: Mapping[str, Any], context: runtime.Context, *, sts: bool) -> dict[str, Any]:
    """Likewise; ``sts``: at AWS roles alone, else at databases alone."""
    try:
        asked = msgspec.convert(event, remote.Asked)
    except msgspec.ValidationError as error:
        raise Malformed(f"not a call of a grantor: {error}") from None
    answer = remote.answer(asked, _grantor, functools.partial(_check, sts))
    said = {
        "grant": asked.grant[:40],
        "target": asked.target[:100],
        "lease": asked.terms.lease[:100] if asked.terms else "",
        "error": answer.get("error", {}).get("code", ""),
        "request": context.aws_request_id,
    }
    runtime.logger.info("granted", extra=said)
    return answer


def _grantor(name: str) -> Grantor:
    target, own = _target(name)
    if target.kind == STS:
        return leases.of_role(runtime.loaded(), own.role_arn, SystemClock())
    from chalicelib.postgres.lease import PostgresGrantor  # noqa: PLC0415 - it loads the driver

    token = leases.tokens(runtime.loaded()) if own.login == RDS_IAM else None
    return PostgresGrantor(
        target.stream,
        _vault().dsn(own),
        address=own.address,
        token=token,
        log=runtime.loaded().keyring.origin,
    )


@functools.cache
def _vault() -> Vault:
    from chalicelib.wiring import cloud  # noqa: PLC0415 - an import reads no environment

    return cloud.vault(cloud.section(runtime.loaded()))


def _target(name: str) -> tuple[Target, BrokerSection]:
    """The target of a full name, and what it leases. Raises: NotFound, UsageError."""
    loaded = runtime.loaded()
    target = loaded.target(name)
    own = loaded.file.targets[target.slug].access
    if own is None or target.stream != name:
        raise NotFound(f"{name[:100]} has nothing to lease")
    return target, own


def _check(sts: bool, asked: remote.Asked) -> None:  # noqa: FBT001
    """Return if this may be asked for here. Raises: NotAllowed, NotFound, UsageError."""
    target, own = _target(asked.target)
    if (target.kind == STS) != sts or asked.v != remote.VERSION:
        raise NotAllowed(f"{asked.grant[:40]} at {target.stream} is not done by this function")
    terms = asked.terms
    if terms is None:
        return
    if terms.target != target.stream or not _ROLE.fullmatch(terms.role):
        raise NotAllowed(f"the terms are of no lease at {target.stream}")
    if asked.grant in {"plan", "issue"}:
        _check_terms(own, terms)
    if asked.grant == "end":
        return  # whatever a lease was allowed once, it is ended
    most = runtime.loaded().file.access.max_lease_seconds + SLACK_SECONDS
    if parse_timestamp(terms.until) > SystemClock().now() + timedelta(seconds=most):
        raise NotAllowed(f"no lease at {target.stream} lasts until {terms.until}")


def _check_terms(own: BrokerSection, terms: Terms) -> None:
    """Return if these settings give what is to be made."""
    known = profiles(runtime.loaded().file)
    if known.get(terms.profile_name) != terms.profile or (
        own.profiles and terms.profile_name not in own.profiles
    ):
        raise NotAllowed(
            f"{terms.profile_name[:80]!r} at {terms.target} is not a profile as this function has "
            "it",
            next_step="holdfast aws deploy, then ask again",
        )
    if not {one.schema for one in terms.tables} <= set(own.schemas):
        raise NotAllowed(f"{terms.target} leases nothing of a schema of these terms")
