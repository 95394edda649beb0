"""The change of the log's key, from the new private key to the settings that name it.

Each step is found done, or is done again, by whoever runs this after a crash; see
``evidence.rotate`` for those in the log. The settings are last: until then the former key is the
one that is pinned, and after them nothing of the former key is needed but its name and sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.evidence import note, rotate
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import NotAllowed, UsageError
from chalicelib.settings import edit

if TYPE_CHECKING:
    from chalicelib.evidence.rotate import Rotation
    from chalicelib.kernel.record import Actor
    from chalicelib.kernel.signing import Signer
    from chalicelib.wiring.services import Services

LOCK = "log/key"


def change(held: Services, actor: Actor, *, reason: str, signing_key: str = "") -> Rotation:
    """Change the log's key, and the settings with it; or finish that.

    ``signing_key``: the ARN of the KMS key that is to sign; on one machine a new key is made.
    Raises: UsageError, NotAllowed; ConfigError, where the settings cannot be edited, before
    anything is done; Busy; as ``evidence.rotate.rotate``.
    """
    on_aws = held.settings.file.aws is not None
    if on_aws != bool(signing_key):
        raise UsageError(
            "on AWS the new key is one of KMS, for SIGN_VERIFY"
            if on_aws
            else "on one machine the new key is made here, and none is given",
            next_step="--key ARN" if on_aws else "leave --key out",
        )
    with held.desk.locks.hold(LOCK):
        successor = _successor(held, signing_key)
        if successor.public == held.verifier.key:
            raise NotAllowed(
                f"that key is the log's already: {held.verifier}; nothing was changed",
                next_step="--key with the ARN of another key" if on_aws else "",
            )
        key = note.verifier(held.keys.origin, successor.public)
        edit.rotation(held.settings, str(key), held.keys.keys[-1].first + 1, signing_key)
        done = rotate.rotate(
            held.log,
            successor,
            actor=actor,
            at=timestamp(held.desk.clock.now()),
            reason=reason,
        )
        edit.rotated(held.settings, str(done.key), done.size, signing_key)
    return done


def _successor(held: Services, signing_key: str) -> Signer:
    if signing_key:
        from chalicelib.wiring import cloud  # noqa: PLC0415 - it needs the AWS libraries

        return cloud.successor(held.settings, signing_key)
    from chalicelib.wiring import local  # noqa: PLC0415 - as the other

    told = rotate.pending(held.log)
    swapped = told is not None and held.log.passed_on(told.key) is not None
    return local.successor(held.settings, None if told is None else told.key, swapped=swapped)
