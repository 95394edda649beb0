"""The services on one machine: a directory, SQLite, a key file, file locks."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib import settings
from chalicelib.evidence import note
from chalicelib.evidence.log import Log
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import ConfigError, KeyUnusable, Malformed, UsageError
from chalicelib.kernel.record import Draft
from chalicelib.kernel.sealed import SealedDocuments
from chalicelib.local import faults
from chalicelib.local.clock import SystemClock
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.lock import FileLocks
from chalicelib.local.secret import create_secret, load_secret
from chalicelib.local.signer import KeyFileSigner
from chalicelib.local.writeonce import DirectoryWriteOnce
from chalicelib.settings import edit
from chalicelib.wiring.services import LOG_STREAM, OPENED, TOOL, Services, assemble

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.evidence.note import Verifier
    from chalicelib.kernel.record import Actor
    from chalicelib.kernel.signing import PublicKey, Signer

SIGNING_KEY_FILE = "key/signing.pem"
SECRET_FILE = "key/secret"  # noqa: S105 - where it is, not what it is


def connect(loaded: settings.Settings) -> Services:
    """The services of a store in a folder.

    A copy of a store without its ``key`` folder can be read and verified, and not continued.

    Raises: ConfigError, KeyUnusable, StoreUnavailable; Fork, where the log contradicts itself.
    """
    store = loaded.store_path
    if not store.is_dir():
        raise ConfigError(
            f"the store {store} is not there", next_step="restore it, or holdfast init elsewhere"
        )
    verifier = note.parse_vkey(loaded.file.log.key)
    signer: Signer = _NoKey(verifier.key)
    secret = None
    if (store / "key").is_dir():
        signer = KeyFileSigner.load(store / SIGNING_KEY_FILE)
        secret = load_secret(store / SECRET_FILE)
    ports = _Store.under(store, secret)
    clock = SystemClock()
    return assemble(
        loaded,
        log=ports.log(signer, verifier),
        objects=ports.objects,
        derived=ports.derived,
        documents=ports.documents,
        secret=secret,
        locks=FileLocks(store / "lock", clock=clock),
        clock=clock,
        signer=signer,
    )


class _NoKey:
    """The signer of a copy that has no key: it says so when it is asked to sign."""

    def __init__(self, public: PublicKey) -> None:
        self.public = public

    def sign(self, message: bytes) -> bytes:
        raise KeyUnusable(
            f"this copy of the store has no key to sign {len(message)} bytes with",
            next_step="it can be read and verified; continue the log where its key folder is",
        )


def create(folder: Path, name: str, actor: Actor) -> str:
    """A new store under ``folder`` and its settings file; returns the log's public key (vkey).

    The settings file is written last: without it, what a crash left can be made again only after
    somebody has looked. Raises: UsageError, KeyUnusable, StoreUnavailable.
    """
    origin = name or f"holdfast.local/{secrets.token_hex(4)}"
    try:
        note.check_name(origin)
    except Malformed as error:
        raise UsageError(f"--origin: {error.message}") from error
    store = folder / settings.StoreSection().path
    with faults.translated("cannot make", store):
        (store / "key").mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = KeyFileSigner.create(store / SIGNING_KEY_FILE)
    secret = create_secret(store / SECRET_FILE)
    verifier = note.verifier(origin, signer.public)
    body = {"key": str(verifier), "format": "c2sp.org/tlog-tiles"}
    at = timestamp(SystemClock().now())
    log = _Store.under(store, secret).log(signer, verifier)
    log.append([Draft(OPENED, LOG_STREAM, at, actor, body)])
    edit.create(folder / settings.FILE_NAME, edit.initial(str(verifier)))
    return str(verifier)


@dataclass(frozen=True, slots=True)
class _Store:
    """The storage ports on one machine, under one folder."""

    objects: DirectoryWriteOnce
    derived: DirectoryDerived
    documents: SealedDocuments

    @classmethod
    def under(cls, folder: Path, secret: bytes | None) -> _Store:
        return cls(
            DirectoryWriteOnce(folder / "evidence"),
            DirectoryDerived(folder / "derived"),
            SealedDocuments(SqliteDocuments(folder / "state.db"), secret),
        )

    def log(self, signer: Signer, verifier: Verifier) -> Log:
        return Log(
            writeonce=self.objects,
            derived=self.derived,
            documents=self.documents,
            signer=signer,
            verifier=verifier,
            tool=TOOL,
            pause=_pause,
        )


def _pause(attempt: int) -> None:
    """Wait up to ``attempt`` centiseconds, at most half a second, and not all the same."""
    time.sleep(secrets.randbelow(1_000) / 1_000 * min(attempt * 0.01, 0.5))
