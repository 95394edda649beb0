"""Every way Holdfast can fail, as one tree.

::

    HoldfastError
    ├── UsageError            exit 2   the question was wrong; nothing was done
    │   ├── ConfigError                holdfast.toml or a rules file cannot be used
    │   │   └── NoSettings             there is no holdfast.toml
    │   ├── NotFound                   no such target, finding, record, object
    │   ├── NotAllowed                 understood, and refused: the rules forbid it
    │   │   └── Forbidden              no policy lets this caller do it
    │   ├── Unauthenticated            who asks is not known: a token or an identity was refused
    │   ├── PreconditionFailed         the thing is not as the caller saw it
    │   └── TooLarge                   a request or an answer past its bound
    ├── VerificationFailed    exit 1   evidence or a baseline is not what was signed for
    │   ├── BadSignature               by no trusted key, or over other bytes
    │   ├── DigestMismatch             bytes that hash to something else
    │   ├── TooFewApprovals            not enough distinct people, or the proposer among them
    │   ├── Malformed                  bytes that are not of the format they claim
    │   ├── Missing                    a record, object or leaf that must be there is not
    │   └── Fork                       two roots for one size: stop and alarm
    └── CouldNotTell          exit 3   no answer, and never "clean"
        ├── NoBaseline                 nothing was signed for yet
        ├── Unreachable                no connection to the target
        ├── AuthenticationFailed       the target refused the credential
        ├── NotPermitted               the credential may not read what is needed
        ├── ConnectionLost             the target went away, or took longer than its bound
        ├── Overdue                    the target was not read by the time it was due
        ├── AnotherSystem              the target is not what its baseline was taken of
        ├── Unsupported                a server, version or encoding that is not handled
        ├── Busy                       another process holds what this one needs
        ├── Conflict                   a compare-and-set lost; the caller may read again and retry
        ├── KeyUnusable                a key file missing, unreadable, or readable by others
        └── StoreUnavailable           full, read-only or failing storage

A message says what failed, what was expected and observed, and the next step. It never carries a
secret or a row's data.
"""

from __future__ import annotations

from typing import ClassVar


class HoldfastError(Exception):
    """Something failed; ``exit_code`` is the process's answer, ``code`` is stable for programs.

    ``next_step`` is what the reader can do now, an imperative sentence or a command.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    @property
    def code(self) -> str:
        """The stable name of this kind of failure, e.g. ``too_few_approvals``."""
        name = type(self).__name__
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class UsageError(HoldfastError):
    """The question was wrong; nothing was done."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration or rules file cannot be used."""


class NoSettings(ConfigError):
    """There is no settings file."""


class NotFound(UsageError):
    """What was named does not exist."""


class NotAllowed(UsageError):
    """The rules forbid it, e.g. approving one's own proposal."""


class Unauthenticated(UsageError):
    """Who asks is not known: a token that does not verify, or an identity that nothing names."""


class Forbidden(NotAllowed):
    """No policy lets this caller do it."""


class PreconditionFailed(UsageError):
    """The thing is not as it was when the caller saw it."""


class TooLarge(UsageError):
    """A request or an answer past its bound."""


class VerificationFailed(HoldfastError):
    """Evidence or a baseline is not what was signed for."""

    exit_code = 1


class BadSignature(VerificationFailed):
    """A signature by no trusted key, or over other bytes."""


class DigestMismatch(VerificationFailed):
    """Bytes that hash to something else than was recorded."""


class TooFewApprovals(VerificationFailed):
    """Not enough distinct people approved, or the proposer is counted among them."""


class Malformed(VerificationFailed):
    """Bytes that are not of the format they claim to be."""


class Missing(VerificationFailed):
    """Something that the log says exists is not there."""


class Fork(VerificationFailed):
    """Two different histories under one log: both are kept as evidence.

    ``ours`` and ``theirs`` are the raw signed notes, or the states as JSON, that contradict;
    ``proof`` is the consistency proof that failed between them, a hash in base64 a line.
    """

    def __init__(
        self,
        message: str,
        *,
        ours: bytes = b"",
        theirs: bytes = b"",
        proof: bytes = b"",
        next_step: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.ours = ours
        self.theirs = theirs
        self.proof = proof


class CouldNotTell(HoldfastError):
    """No answer could be given. Never to be read as clean."""

    exit_code = 3


class NoBaseline(CouldNotTell):
    """Nothing has been signed for yet, so there is nothing to compare with."""


class Unreachable(CouldNotTell):
    """No connection to the target could be made."""


class AuthenticationFailed(CouldNotTell):
    """The target refused the credential."""


class NotPermitted(CouldNotTell):
    """The credential may not read what the question needs."""


class ConnectionLost(CouldNotTell):
    """The target went away, or took longer than its bound, while it was being read."""


class Overdue(CouldNotTell):
    """The target was not read by the time it was due."""


class AnotherSystem(CouldNotTell):
    """What was read is not what the baseline was taken of, e.g. another database."""


class Unsupported(CouldNotTell):
    """A server, version or encoding that is not handled."""


class Busy(CouldNotTell):
    """Another process holds what this one needs."""


class Conflict(CouldNotTell):
    """A compare-and-set lost against another writer; read again and retry."""


class KeyUnusable(CouldNotTell):
    """A key is missing, unreadable, of the wrong kind, or readable by others."""


class StoreUnavailable(CouldNotTell):
    """Storage is full, read-only or failing; nothing was acknowledged."""
