"""The principal: who calls, how that is known, and which groups and roles they have."""

from __future__ import annotations

import enum

import msgspec

from chalicelib.kernel.record import Actor


class Kind(enum.Enum):
    """What calls. Only a person can agree to anything."""

    PERSON = "person"
    AGENT = "agent"
    PIPELINE = "pipeline"


class Principal(msgspec.Struct, frozen=True):
    """A caller whose identity was verified.

    ``name``: as ``kernel.names.person``, without the kind. ``via``: ``oidc``, ``iam``, ``os`` or
    ``asserted``. ``session``: the provider's name of this sign-in, e.g. a token's ``jti``.
    ``mfa_at``: when they proved a second factor, in seconds since 1970; None where it is not known.
    """

    kind: Kind
    name: str
    via: str
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    session: str = ""
    mfa_at: int | None = None

    @property
    def id(self) -> str:
        """The one name of this principal among all kinds, e.g. ``pipeline:nightly``."""
        return f"{self.kind.value}:{self.name}"

    @property
    def actor(self) -> Actor:
        """Who its records name. A person keeps the plain name by which approvals are counted."""
        return Actor(self.name if self.kind is Kind.PERSON else self.id, self.via)
