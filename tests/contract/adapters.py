"""Every adapter of the storage ports and of the signer; a new one is one more entry."""

from __future__ import annotations

from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.signer import KeyFileSigner
from chalicelib.local.writeonce import DirectoryWriteOnce


def _key_file(root):
    path = root / "signing.pem"
    return (KeyFileSigner.load if path.exists() else KeyFileSigner.create)(path)


# Each takes a folder that is the test's own: the same folder again is the same store.
WRITEONCE = {"local": lambda root: DirectoryWriteOnce(root / "store")}
DERIVED = {"local": lambda root: DirectoryDerived(root / "derived")}
DOCUMENTS = {"local": lambda root: SqliteDocuments(root / "state.db")}
SIGNERS = {"local": _key_file}
