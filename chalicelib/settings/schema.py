"""Schema: what ``holdfast.toml`` may hold, a structure a section; units in names."""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.access.profile import Profile


class StoreSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[store]``: where evidence is kept, relative to the file."""

    path: str = ".holdfast"


class FormerKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[log.former]]``: a key (vkey) that the log had, and the last size that it signed for.

    ``signing_key``: on AWS, the ARN of that key, where it is not the stack's own.
    """

    key: str
    last: int
    signing_key: str = ""


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[log]``: the public key (C2SP vkey) that the log is verified against, with its name.

    Empty only before the log of a stack on AWS is opened. ``former``: the keys before it, oldest
    first. ``witnesses``: a C2SP tlog-policy file without logs, relative to the settings: who is
    asked to cosign checkpoints, and how many of them are enough.
    """

    key: str = ""
    former: list[FormerKey] = []
    witnesses: str = ""


class TimestampSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[timestamp]``: the authority that dates checkpoints, and whom its word rests on.

    ``roots`` is a file of PEM certificates, relative to the settings. Only people ask the
    authority: a deployment does not carry the file.
    """

    url: str = ""
    roots: str = ""


class AwsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[aws]``: evidence is kept in the stack ``holdfast-<stage>`` and not in a folder.

    ``endpoint``: a URL in place of AWS's own. ``signing_key``: the ARN of the KMS key that signs,
    where the log's key was rotated to another one than the stack's.
    """

    region: str
    stage: str = "prod"
    endpoint: str = ""
    signing_key: str = ""


class RetentionSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[retention]``: for how many days evidence is locked at least, by the kind of its record.

    ``kinds`` names kinds of records, or their beginnings up to a dot. 0 is the store's default.
    """

    default_days: int = 0
    kinds: dict[str, int] = {}


class IssuerSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[identity.issuers]]``: an OpenID Connect issuer whose tokens say who calls the API.

    ``type``: what its tokens name, ``person``, ``agent`` or ``pipeline``. ``claims``: values that a
    token must have, ``*`` for any characters. ``jwks_uri``: where its keys are, if not discovered.
    ``names``: patterns of the names that it may give, all if there are none.
    """

    issuer: str
    audience: str
    type: str = "person"
    jwks_uri: str = ""
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    name_claim: str = "sub"
    groups_claim: str = ""
    groups: list[str] = []
    claims: dict[str, str] = {}
    names: list[str] = []
    max_lifetime_seconds: int = 86_400


class IamSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[identity.iam]]``: AWS identities that call the API, by their ARN, ``*`` for any part.

    ``type`` and ``names``: as of an issuer.
    """

    arn: str
    type: str = "person"
    groups: list[str] = []
    names: list[str] = []


class IdentitySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[identity]``: who is who.

    ``people``: other names that the same person has, each with the one that counts. ``groups``:
    members of groups, beside those that tokens name.
    """

    issuers: list[IssuerSection] = []
    iam: list[IamSection] = []
    people: dict[str, str] = {}
    groups: dict[str, list[str]] = {}


class PolicySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[policy]``: the user's own Cedar policies, beside the shipped ones, and who has which role.

    ``roles``: each with its members, ``person:ana``, ``agent:fixer``, ``pipeline:nightly`` or
    ``group:dba``.
    """

    files: list[str] = []
    roles: dict[str, list[str]] = {}


class ApiSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[api]``: bounds on callers. ``hosts``: names that ``serve`` answers to, beside loopback."""

    requests_per_second: int = 20
    burst: int = 100
    hosts: list[str] = []


class RulesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[rules]``: the user's own rules files, before the shipped ones."""

    files: list[str] = []


class PostgresSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[postgres]``: bounds on what a scan may cost the server."""

    connect_timeout_seconds: int = 10
    statement_timeout_seconds: int = 300
    lock_timeout_seconds: int = 10
    scan_timeout_seconds: int = 900
    scans_per_host: int = 2


class BrokerSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[targets.NAME.access]``: how the broker reaches a target, and what it leases there.

    One of ``dsn_env``, ``secret``, and ``dsn`` with ``auth``, as of the target: the DSN of the
    broker's own role. ``address``: the host and port that leases connect to, where those are others
    than the broker's. ``schemas``: all that leases may ever reach. ``owners``: roles whose later
    tables are granted too. ``tags``: what tables are called in policies, by ``schema.table``.
    ``profiles``: those that can be asked for, all if there are none. ``login``: ``password`` or
    ``rds-iam``.

    For AWS roles, ``role_arn``: the role that leases assume, and nothing of the above but
    ``profiles``.
    """

    dsn_env: str = ""
    secret: str = ""
    dsn: str = ""
    auth: str = ""
    address: str = ""
    schemas: tuple[str, ...] = ("public",)
    owners: list[str] = []
    tags: dict[str, list[str]] = {}
    profiles: list[str] = []
    login: str = "password"
    role_arn: str = ""


class MaskingSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[targets.NAME.masking]``: what masked leases see of each column; docs/masking.md.

    ``files``: masks files, relative to the settings, with the same ``columns``, ``classes``,
    ``rows`` and ``views`` as may stand here. ``dsn_env``: the variable with the DSN of whoever
    makes the views and takes samples; that of the scans, if there is none.
    """

    files: list[str] = []
    dsn_env: str = ""
    columns: dict[str, Any] = {}
    classes: dict[str, Any] = {}
    rows: dict[str, Any] = {}
    views: dict[str, Any] = {}


class AccessSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[access]``: bounds on requests and leases.

    ``pending_seconds``: until a request that too few agreed to lapses; ``claim_seconds``: until one
    that was agreed to does. ``max_lease_seconds``: of any lease, whatever policies say.
    """

    pending_seconds: int = 86_400
    claim_seconds: int = 3_600
    max_lease_seconds: int = 28_800
    break_glass_seconds: int = 900


class WebhookSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[[notify.webhooks]]``: who is told of requests and leases, by a signed POST.

    ``secret_env`` or ``secret``: the variable or the secret in Secrets Manager with the key of the
    signature; ``url_env`` or ``url_secret``: likewise of an address that is a secret itself, as
    Slack's are. ``format``: ``json`` or ``slack``. ``kinds``: of records, or their beginnings up to
    a dot; all if there are none.
    """

    url: str = ""
    url_env: str = ""
    url_secret: str = ""
    secret_env: str = ""
    secret: str = ""
    format: str = "json"
    kinds: list[str] = []


class NotifySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[notify]``: who is told of requests and leases. ``sns_topic`` and ``event_bus``: ARNs."""

    webhooks: list[WebhookSection] = []
    sns_topic: str = ""
    event_bus: str = ""


class TargetSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[targets.NAME]``: one of ``dsn_env``, ``secret``, and ``dsn`` with ``auth``.

    ``dsn`` may stand beside ``secret`` too, for what the secret leaves out. A target of the kind
    ``sts`` has none of them, and ``access`` with a role. ``masking``: beside ``access``.

    Those of the kinds ``iam`` and ``rds`` are read through AWS's API, and have none of these:
    ``account``, or ``instance`` or ``cluster``; ``region``, that of ``[aws]`` or of the environment
    if there is none; ``role_arn``: what is assumed to read them; ``endpoint``: a URL in place of
    AWS's own. ``database_target``: the database in the instance, whose parameters are compared;
    ``access_analyzer``: whether IAM Access Analyzer is asked for a second opinion.
    """

    dsn_env: str = ""
    secret: str = ""
    dsn: str = ""
    auth: str = ""
    kind: str = "postgres"
    env: str = ""
    approvals: int = 1
    approvers: list[str] = []
    access: BrokerSection | None = None
    masking: MaskingSection | None = None
    account: str = ""
    instance: str = ""
    cluster: str = ""
    region: str = ""
    role_arn: str = ""
    endpoint: str = ""
    database_target: str = ""
    access_analyzer: bool = False


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of ``holdfast.toml``."""

    log: LogSection = LogSection()
    store: StoreSection = StoreSection()
    timestamp: TimestampSection = TimestampSection()
    aws: AwsSection | None = None
    retention: RetentionSection = RetentionSection()
    identity: IdentitySection = IdentitySection()
    policy: PolicySection = PolicySection()
    api: ApiSection = ApiSection()
    rules: RulesSection = RulesSection()
    postgres: PostgresSection = PostgresSection()
    access: AccessSection = AccessSection()
    profiles: dict[str, Profile] = {}
    notify: NotifySection = NotifySection()
    targets: dict[str, TargetSection] = {}
