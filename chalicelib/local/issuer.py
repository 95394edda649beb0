"""The issuer of one machine: tokens for ``holdfast serve``, signed with a key file.

Its tokens are verified as every other issuer's are (``access.token``), with its public key and no
other. Whoever can read the key file can be anybody on this machine, as with the store's own key
(docs/adr/0006). It works with a store in a folder and nowhere else: only there does
``wiring.identity`` add it. Needs read access to the key file, and write access to its folder the
first time.
"""

from __future__ import annotations

import base64
import os
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chalicelib.access.identity import ASSERTED, MAX_ROLES, OS
from chalicelib.access.issuer import LOCAL, Issuer
from chalicelib.access.key import Key
from chalicelib.kernel import canon, names
from chalicelib.kernel.errors import UsageError
from chalicelib.local import faults
from chalicelib.local.signer import KeyFileSigner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from chalicelib.access.principal import Kind
    from chalicelib.kernel.signing import PublicKey

KEY_FILE: Final = "issuer.pem"
SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(hours=24)
KID_CHARACTERS: Final = 16
ALGORITHM: Final = "EdDSA"


class LocalIssuer:
    """The issuer of the store whose ``key`` folder and log's name (``origin``) these are."""

    def __init__(self, folder: Path, origin: str) -> None:
        self._path = folder / KEY_FILE
        name = f"{LOCAL}{origin}"
        self.issuer = Issuer(
            issuer=name,
            audience=name,
            algorithms=(ALGORITHM,),
            max_lifetime_seconds=int(LONGEST.total_seconds()),
            local=True,
        )

    def keys(self, kid: str) -> Sequence[Key]:
        """Its public key, if it has that id; none before the first token. Raises: KeyUnusable.

        The file is read every time: where it is removed, its tokens end with it.
        """
        if not self._path.exists():
            return ()
        public = KeyFileSigner.load(self._path).public
        found = _kid(public)
        if kid not in {"", found}:
            return ()
        return (
            Key(found, frozenset({ALGORITHM}), Ed25519PublicKey.from_public_bytes(public.data)),
        )

    def issue(
        self,
        name: str,
        *,
        kind: Kind,
        via: str,
        roles: Sequence[str],
        groups: Sequence[str],
        ttl: timedelta,
        now: datetime,
        jti: str,
    ) -> str:
        """A token that says so, good from ``now`` for ``ttl``, one minute to 24 hours.

        ``via``: how the name is known, ``os`` or ``asserted``. Makes the key the first time.
        Raises: UsageError; KeyUnusable, StoreUnavailable.
        """
        if not SHORTEST <= ttl <= LONGEST:
            raise UsageError("a token is good for 1 minute to 24 hours", next_step="--for 1h")
        if via not in {OS, ASSERTED} or len(roles) > MAX_ROLES:
            raise UsageError(f"via is os or asserted, and there are at most {MAX_ROLES} roles")
        seconds = int(now.timestamp())
        claims = {
            "iss": self.issuer.issuer,
            "aud": self.issuer.audience,
            "sub": names.person(name),
            "kind": kind.value,
            "via": via,
            "roles": list(roles),
            "groups": list(groups),
            "iat": seconds,
            "exp": seconds + int(ttl.total_seconds()),
            "jti": jti,
        }
        signer = self._signer()
        header = {"alg": ALGORITHM, "kid": _kid(signer.public), "typ": "JWT"}
        text = f"{_part(header)}.{_part(claims)}"
        return f"{text}.{_octets(signer.sign(text.encode()))}"

    def _signer(self) -> KeyFileSigner:
        if not self._path.exists():
            made = self._path.with_name(f".{KEY_FILE}-{secrets.token_hex(8)}")
            KeyFileSigner.create(made)
            # Whole or not at all: another process may be making one, and then that one is the key.
            with faults.translated("cannot store the key at", self._path):
                try:
                    os.link(made, self._path)
                except FileExistsError:
                    pass
                finally:
                    made.unlink()
        return KeyFileSigner.load(self._path)


def _kid(public: PublicKey) -> str:
    return canon.sha256(public.data)[:KID_CHARACTERS]


def _part(value: dict[str, Any]) -> str:
    return _octets(canon.encode(value))


def _octets(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
