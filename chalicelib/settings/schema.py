"""Schema: what ``holdfast.toml`` may hold, a structure a section; units in names."""

from __future__ import annotations

import msgspec


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


class TargetSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[targets.NAME]``: one of ``dsn_env``, ``secret``, and ``dsn`` with ``auth``.

    ``dsn`` may stand beside ``secret`` too, for what the secret leaves out.
    """

    dsn_env: str = ""
    secret: str = ""
    dsn: str = ""
    auth: str = ""
    kind: str = "postgres"
    env: str = ""
    approvals: int = 1
    approvers: list[str] = []


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
    targets: dict[str, TargetSection] = {}
