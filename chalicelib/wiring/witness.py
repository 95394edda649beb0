"""A witness in a folder of its own: no settings file, no store, nothing of the log's.

In it: ``signing.pem`` (the key), ``witness.vkey`` (its name and public key), ``logs.txt`` (a C2SP
tlog-policy whose logs count) and ``state.db`` (what was cosigned), each with mode 0600.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chalicelib import settings
from chalicelib.evidence import cosignature, note, trust
from chalicelib.evidence.witness import Witness, found
from chalicelib.kernel.errors import ConfigError, KeyUnusable, Malformed, UsageError
from chalicelib.local import faults, keyfile
from chalicelib.local.clock import SystemClock
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.signer import KeyFileSigner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chalicelib.anchors.server import Server
    from chalicelib.evidence.cosignature import Cosigner
    from chalicelib.evidence.trust import Policy

KEY_FILE: Final = "signing.pem"
NAME_FILE: Final = "witness.vkey"
LOGS_FILE: Final = "logs.txt"
STATE_FILE: Final = "state.db"


def create(folder: Path, name: str, policy: Policy) -> Cosigner:
    """A new witness of the policy's logs: its public key. Its name is written last.

    Raises: UsageError, for a name or a policy that cannot be; KeyUnusable, where one is there
    already; StoreUnavailable.
    """
    try:
        logs = trust.encode(trust.Policy(logs=policy.logs))
        for origin in {log.verifier.name for log in policy.logs}:
            policy.keyring(origin)
        note.check_name(name)
    except Malformed as error:
        raise UsageError(f"no witness can be so: {error.message}") from error
    if not policy.logs:
        raise UsageError("a witness needs a log to watch", next_step="--log VKEY|FILE")
    with faults.translated("cannot make", folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = KeyFileSigner.create(folder / KEY_FILE)
    own = cosignature.cosigner(name, signer.public)
    documents = SqliteDocuments(folder / STATE_FILE)
    found(documents, own)
    documents.close()
    keyfile.create(folder / LOGS_FILE, logs)
    keyfile.create(folder / NAME_FILE, f"{own}\n".encode())
    return own


def verifier(folder: Path) -> Cosigner:
    """The public key of the witness in a folder. Raises: ConfigError, where there is none."""
    path = folder / NAME_FILE
    try:
        data = settings.read_bounded(path)
    except ConfigError as error:
        raise ConfigError(
            f"no witness in {folder}", next_step="holdfast witness init, or correct --folder"
        ) from error
    try:
        return cosignature.parse_vkey(data.decode().removesuffix("\n"))
    except (Malformed, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no verifier key: {error}") from error


def witness(folder: Path, tell: Callable[[str], None]) -> Witness:
    """The witness in a folder. Raises: ConfigError, KeyUnusable, StoreUnavailable."""
    own = verifier(folder)
    signer = KeyFileSigner.load(folder / KEY_FILE)
    if signer.public != own.key:
        raise KeyUnusable(
            f"{folder / KEY_FILE} is not the key that {folder / NAME_FILE} names",
            next_step="restore both from one copy",
        )
    path = folder / LOGS_FILE
    if not (folder / STATE_FILE).exists():  # SQLite would make another, which knows nothing
        raise KeyUnusable(
            f"{folder / STATE_FILE}, this witness's memory of what it cosigned, is lost",
            next_step="a witness without its memory needs a new key: holdfast witness init",
        )
    try:
        return Witness(
            name=own.name,
            signer=signer,
            policy=trust.parse(settings.read_bounded(path)),
            documents=SqliteDocuments(folder / STATE_FILE),
            clock=SystemClock(),
            tell=tell,
        )
    except Malformed as error:
        raise ConfigError(f"{path}: {error.message}", next_step="docs/witness.md") from error


def server(folder: Path, address: tuple[str, int], tell: Callable[[str], None]) -> Server:
    """The witness in a folder, listening. Raises: as :func:`witness`."""
    from chalicelib.anchors.server import Server  # noqa: PLC0415 - who only looks needs none

    return Server(address, witness(folder, tell), tell=tell)
