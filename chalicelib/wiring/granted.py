"""Granted: what the settings say that the stack's functions may do, as parameters of its template.

They follow the settings at each deployment: what no target needs any more is taken away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib import settings
from chalicelib.aws.preflight import Watched
from chalicelib.kernel.errors import ConfigError

if TYPE_CHECKING:
    from chalicelib.settings import Settings

KEY: Final = "RotatedKeyArn"
WATCH_IAM: Final = "WatchIam"
WATCH_RDS: Final = "WatchRds"
ASK_ANALYZER: Final = "AskAccessAnalyzer"
ROLES: Final = "WatchedRoleArns"
SAID_BY: Final = {
    KEY: "[aws] signing_key",
    WATCH_IAM: "targets of the kind iam",
    WATCH_RDS: "targets of the kind rds",
    ASK_ANALYZER: "access_analyzer of targets",
    ROLES: "role_arn of targets",
}
MAX_VALUE_BYTES: Final = 4_096  # CloudFormation quotas, "Parameter values"


def parameters(loaded: Settings) -> dict[str, str]:
    """The parameters that the settings say, each of ``SAID_BY``; the key's only where there is one.

    A target with ``role_arn`` needs that role and nothing else. Raises: ConfigError, for roles that
    a list of CloudFormation's cannot say.
    """
    own = loaded.file.aws
    found = {KEY: own.signing_key} if own and own.signing_key else {}
    targets = [one for one in loaded.file.targets.values() if one.kind in settings.AWS_KINDS]
    here = [one for one in targets if not one.role_arn]
    roles = sorted({one.role_arn for one in targets if one.role_arn})
    if split := [one for one in roles if "," in one]:
        raise ConfigError(
            f"the stack cannot be let assume {split[0]}: its lists are separated by commas",
            next_step="name a role without a comma in role_arn",
        )
    if len(",".join(roles).encode()) > MAX_VALUE_BYTES:
        raise ConfigError(
            f"{len(roles)} roles in role_arn take more than the {MAX_VALUE_BYTES} bytes that a "
            "parameter has",
            next_step="give roles of shorter names, or watch some accounts from another stack",
        )
    return {
        **found,
        WATCH_IAM: _said(any(one.kind == settings.IAM for one in here)),
        WATCH_RDS: _said(any(one.kind == settings.RDS for one in here)),
        ASK_ANALYZER: _said(any(one.access_analyzer for one in here)),
        ROLES: ",".join(roles),
    }


def _said(needed: bool) -> str:  # noqa: FBT001 - the answer itself
    return "true" if needed else "false"


def watched(loaded: Settings) -> list[Watched]:
    """The targets that are scanned, as the preflight looks at them, by name."""
    return [
        Watched(
            slug,
            one.secret,
            one.dsn if one.auth else "",
            by_api=one.kind in settings.AWS_KINDS,
            account=one.account,
            role_arn=one.role_arn,
        )
        for slug, one in sorted(loaded.file.targets.items())
        if one.kind != settings.STS
    ]
