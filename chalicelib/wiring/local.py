"""The services on one machine: a directory, SQLite, a key file, file locks."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib import settings
from chalicelib.evidence import note
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.evidence.personal import Subjects
from chalicelib.evidence.retention import NONE, Retention
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

    from chalicelib.evidence.keys import Keyring
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
    keys = loaded.keyring
    signer: Signer = _NoKey(keys.newest.key)
    secret = None
    if (store / "key").is_dir():
        signer = KeyFileSigner.load(key_file(store, keys.newest))
        secret = load_secret(store / SECRET_FILE)
    ports = _Store.under(store, secret)
    clock = SystemClock()
    return assemble(
        loaded,
        log=ports.log(signer, keys, loaded.retention),
        objects=ports.objects,
        derived=ports.derived,
        documents=ports.documents,
        subjects=ports.subjects,
        secret=secret,
        locks=FileLocks(store / "lock", clock=clock),
        clock=clock,
        signer=signer,
    )


def key_file(store: Path, key: Verifier) -> Path:
    """Where the private key of ``key`` is: in the file of its id, else in that of the first key."""
    own = store / "key" / f"signing-{key.key_id.hex()}.pem"
    return own if own.exists() else store / SIGNING_KEY_FILE


def successor(
    loaded: settings.Settings, announced: Verifier | None, *, swapped: bool
) -> KeyFileSigner:
    """The private key that the log's is to be changed for: the one announced, else a new one.

    ``swapped``: no other than the announced one will do. A key that was made and not announced,
    before a crash, signed nothing and is left where it is. Raises: KeyUnusable, where the announced
    one is not there; StoreUnavailable.
    """
    store = loaded.store_path
    if not (store / "key").is_dir():
        raise KeyUnusable(
            "this copy of the store has no key, and cannot change it",
            next_step="rotate the key where the key folder is",
        )
    if announced is not None:
        own = store / "key" / f"signing-{announced.key_id.hex()}.pem"
        if swapped or own.exists():
            return KeyFileSigner.load(own)
    made = KeyFileSigner.generate()
    key = note.verifier(loaded.keyring.origin, made.public)
    made.store(store / "key" / f"signing-{key.key_id.hex()}.pem")
    return made


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
    log = _Store.under(store, secret).log(signer, keyring([LogKey(verifier)]))
    log.append([Draft(OPENED, LOG_STREAM, at, actor, body)])
    edit.create(folder / settings.FILE_NAME, edit.initial(str(verifier)))
    return str(verifier)


@dataclass(frozen=True, slots=True)
class _Store:
    """The storage ports on one machine, under one folder."""

    objects: DirectoryWriteOnce
    derived: DirectoryDerived
    documents: SealedDocuments
    subjects: Subjects

    @classmethod
    def under(cls, folder: Path, secret: bytes | None) -> _Store:
        documents = SealedDocuments(SqliteDocuments(folder / "state.db"), secret)
        return cls(
            DirectoryWriteOnce(folder / "evidence"),
            DirectoryDerived(folder / "derived"),
            documents,
            Subjects(documents, secret, secrets.token_bytes),
        )

    def log(self, signer: Signer, keys: Keyring, retention: Retention = NONE) -> Log:
        return Log(
            writeonce=self.objects,
            derived=self.derived,
            documents=self.documents,
            signer=signer,
            keys=keys,
            tool=TOOL,
            pause=pause,
            retention=retention,
            seal=self.subjects.seal,
        )


def pause(attempt: int) -> None:
    """Wait up to ``attempt`` centiseconds, at most half a second, and not all the same."""
    time.sleep(secrets.randbelow(1_000) / 1_000 * min(attempt * 0.01, 0.5))
