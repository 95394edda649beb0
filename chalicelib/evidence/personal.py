"""Subjects: the keys that people's values are sealed under, and what a record still shows of them.

A subject's key is a document, so that it can be destroyed; what it sealed is in the log, and stays.
The document is named by a pseudonym, a keyed digest of the subject's name, and the key in it is
wrapped under the installation's secret. ``kernel.personal`` has the format of sealed values.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
from typing import TYPE_CHECKING, Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chalicelib.kernel import canon, names, personal
from chalicelib.kernel.errors import Conflict, KeyUnusable, Malformed, VerificationFailed
from chalicelib.kernel.personal import KEY_BYTES, NONCE_BYTES, Concealed, Personal, Sealed
from chalicelib.kernel.record import Actor, entry_at
from chalicelib.kernel.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.kernel.record import Draft, Entry, Journal
    from chalicelib.kernel.store import Documents

ERASED: Final = "personal.erased"
SUBJECTS: Final = "subject/"
EVERYWHERE: Final = "*"
MAX_STREAMS: Final = 1_000  # that a document names; then it says that there are more
MAX_DONE: Final = 1_000  # erasures of one subject that its document remembers
MAX_ATTEMPTS: Final = 20  # swaps lost in a row to others
_VERSION = 1
_WRAPPED_BYTES: Final = NONCE_BYTES + KEY_BYTES + personal.TAG_BYTES
_DOMAIN: Final = b"holdfast subject key v1\0"


class Erased(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``personal.erased``: whose key ``key`` is no more, and how many records it read.

    ``records`` were in the log, with values under this key, when it was destroyed.
    """

    subject: str
    key: str
    records: int
    reason: str


class Owed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that was destroyed, and whose record may not be in the log yet.

    ``seq``: of the last record of the stream ``log`` before.
    """

    key: str
    at: str
    by: Actor
    records: int
    reason: str
    seq: int


class Done(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that was destroyed, and the record that says so."""

    key: str
    index: int


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A subject's document.

    ``key`` and ``wrapped``: the key that seals now, both empty after an erasure. ``streams``: the
    streams that may hold values under it, each as 16 hexadecimal digits of its SHA-256; EVERYWHERE
    where they are too many.
    """

    v: int = _VERSION
    key: str = ""
    wrapped: str = ""
    streams: list[str] = []
    owed: Owed | None = None
    erased: list[Done] = []

    def may_be_in(self, stream: str) -> bool:
        """Whether a value under the key may stand in a stream, or be on its way there."""
        return bool({EVERYWHERE, mark(stream)} & set(self.streams))


class Visibility(enum.Enum):
    """What can be said about a sealed value."""

    OPEN = "open"  # it was unsealed, and is what was committed to
    ERASED = "erased"
    SEALED = "sealed"  # the key is not here
    WRONG = "wrong"  # the key is here, and the value is not what was committed to


class Shown(msgspec.Struct, frozen=True):
    """A sealed value as it can be shown; ``says`` for people, ``value`` where it is open.

    Of an erasure: when, by whom, and the index of its record, where that is in the log.
    """

    state: Visibility
    says: str
    value: str | None = None
    at: str = ""
    by: str = ""
    record: int | None = None


class Subjects:
    """The documents of subjects. ``secret``: the installation's; ``random(n)``: n random bytes.

    Without the secret nothing can be sealed or read.
    """

    def __init__(
        self, documents: Documents, secret: bytes | None, random: Callable[[int], bytes]
    ) -> None:
        self._documents = documents
        self._secret = secret
        self._random = random

    def pseudonym(self, name: str) -> str:
        """What stands for a subject, 32 hexadecimal digits. Raises: KeyUnusable; UsageError."""
        key = self._derived(b"holdfast pseudonym v1")
        return hmac.digest(key, names.person(name).encode(), hashlib.sha256)[:16].hex()

    def seal(self, draft: Draft) -> Draft:
        """The draft with its personal values sealed, under keys that are made where there are none.

        Raises: KeyUnusable; UsageError, for a value or a subject that cannot be; StoreUnavailable.
        """

        def seal_one(value: Personal) -> Concealed:
            subject = self.pseudonym(value.subject)
            key_id, key = self._key_for(subject, draft.stream)
            return personal.seal(
                value.value,
                subject=subject,
                key_id=key_id,
                key=key,
                kind=draft.kind,
                stream=draft.stream,
                random=self._random,
            )

        return msgspec.structs.replace(draft, body=personal.replaced(draft.body, seal_one))

    def find(self, subject: str) -> tuple[int, Subject | None]:
        """The version and value of a subject's document. Raises: Malformed; StoreUnavailable."""
        document = self._documents.get(SUBJECTS + subject)
        if document is None:
            return 0, None
        try:
            found = msgspec.convert(canon.decode(document.value), Subject)
        except (Malformed, msgspec.ValidationError) as error:
            raise Malformed(
                f"the document {SUBJECTS}{subject} is not one that this installation wrote: {error}"
            ) from None
        if found.v != _VERSION:
            raise Malformed(f"{SUBJECTS}{subject} is of version {found.v}; expected {_VERSION}")
        return document.version, found

    def swap(self, subject: str, version: int, value: Subject) -> None:
        """Replace a subject's document. Raises: Conflict; StoreUnavailable."""
        data = canon.encode(msgspec.to_builtins(value))
        self._documents.swap([Write(SUBJECTS + subject, version, data)])

    def purge(self) -> None:
        """Leave nothing of replaced documents. Raises: Busy; StoreUnavailable."""
        self._documents.purge()

    def key(self, subject: str, found: Subject) -> bytes | None:
        """The key that seals now; None without one, or without the secret. Raises: BadSignature."""
        if self._secret is None or not found.wrapped:
            return None
        return self._unwrapped(subject, found)

    def _key_for(self, subject: str, stream: str) -> tuple[str, bytes]:
        """The id and bytes of the key for a new value; first its stream is noted.

        So whoever destroys a key knows every stream that values under it are in, or on their way
        to: a stream that is noted in between makes them look again.
        """
        for _ in range(MAX_ATTEMPTS):
            version, found = self.find(subject)
            found = found or Subject()
            if found.wrapped and found.may_be_in(stream):
                return found.key, self._unwrapped(subject, found)
            due = found if found.wrapped else self._new(subject, found)
            streams = sorted({*due.streams, mark(stream)})
            due = msgspec.structs.replace(
                due, streams=streams if len(streams) <= MAX_STREAMS else [EVERYWHERE]
            )
            try:
                self.swap(subject, version, due)
            except Conflict:
                continue
            return due.key, self._unwrapped(subject, due)
        raise Conflict(
            f"lost {MAX_ATTEMPTS} writes of one subject's key to others; nothing was recorded",
            next_step="try again",
        )

    def _new(self, subject: str, found: Subject) -> Subject:
        """The document with a new key; what it says about former keys stays."""
        key_id, key, nonce = self._random(8).hex(), self._random(KEY_BYTES), self._random(12)
        wrapped = nonce + AESGCM(self._wrapping()).encrypt(nonce, key, _place(subject, key_id))
        return msgspec.structs.replace(
            found, key=key_id, wrapped=base64.b64encode(wrapped).decode()
        )

    def _unwrapped(self, subject: str, found: Subject) -> bytes:
        try:
            data = base64.b64decode(found.wrapped, validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if len(data) == _WRAPPED_BYTES:
            nonce, place = data[:NONCE_BYTES], _place(subject, found.key)
            try:
                return AESGCM(self._wrapping()).decrypt(nonce, data[NONCE_BYTES:], place)
            except InvalidTag:
                pass  # said below
        raise KeyUnusable(
            f"the key in {SUBJECTS}{subject} was wrapped under another secret, or was changed",
            next_step="restore key/secret, or the document, from a copy",
        )

    def _wrapping(self) -> bytes:
        return self._derived(b"holdfast subject wrapping v1")

    def _derived(self, purpose: bytes) -> bytes:
        if self._secret is None:
            raise KeyUnusable(
                "this copy of the store has no secret, which people's values are sealed with",
                next_step="do it where the installation's key folder is",
            )
        return hmac.digest(self._secret, purpose, hashlib.sha256)


class Reveal:
    """What records show now of the values in them; documents are read once in its life."""

    def __init__(self, subjects: Subjects, journal: Journal) -> None:
        self._subjects = subjects
        self._journal = journal
        self._found: dict[str, Subject | None] = {}

    def body(self, entry: Entry, show: Callable[[Sealed, Shown], Any]) -> dict[str, Any]:
        """The record's body with what ``show`` makes of each sealed value in its place."""
        kind, stream = entry.record.kind, entry.record.stream
        shown: dict[str, Any] = personal.shown(
            entry.body, lambda sealed: show(sealed, self.value(sealed, kind, stream))
        )
        return shown

    def text(self, value: str | Concealed, kind: str, stream: str) -> str:
        """A field of a record of this kind, for people."""
        if isinstance(value, str):
            return value
        return self.value(value.personal, kind, stream).says

    def value(self, sealed: Sealed, kind: str, stream: str) -> Shown:
        """A value that stands in a record of this kind and stream.

        It is shown only if it is what the record commits to. Raises: StoreUnavailable; Malformed,
        KeyUnusable: its subject's document is unusable; VerificationFailed: the log is.
        """
        if sealed.subject not in self._found:
            self._found[sealed.subject] = self._subjects.find(sealed.subject)[1]
        found = self._found[sealed.subject]
        if found is None:
            return Shown(Visibility.SEALED, "sealed")
        for done in found.erased:
            if done.key == sealed.key and (told := self._told(sealed, done.index)) is not None:
                return told
        if found.owed is not None and found.owed.key == sealed.key:
            return _erased(found.owed.at, found.owed.by, None)
        key = self._subjects.key(sealed.subject, found) if found.key == sealed.key else None
        if key is None:
            return Shown(Visibility.SEALED, "sealed")
        try:
            value = personal.unseal(sealed, key, kind=kind, stream=stream)
        except VerificationFailed as error:
            return Shown(Visibility.WRONG, f"not shown: {error.message}")
        return Shown(Visibility.OPEN, value, value)

    def _told(self, sealed: Sealed, index: int) -> Shown | None:
        """What the record of an erasure says, verified; None, where it is of something else."""
        if not 0 <= index < self._journal.size():
            return None
        entry = entry_at(self._journal, index)
        of = (entry.body.get("subject"), entry.body.get("key"))
        if entry.record.kind != ERASED or of != (sealed.subject, sealed.key):
            return None
        return _erased(entry.record.at, entry.record.actor, index)


def mark(stream: str) -> str:
    """What stands for a stream in a subject's document."""
    return hashlib.sha256(stream.encode()).hexdigest()[:16]


def _erased(at: str, by: Actor, record: int | None) -> Shown:
    text = f"erased on {at[:10]} by {by.name}"
    if record is None:
        text += ", which is not recorded yet"
    return Shown(Visibility.ERASED, text, at=at, by=by.name, record=record)


def _place(subject: str, key_id: str) -> bytes:
    """What a wrapped key is bound to."""
    return _DOMAIN + canon.encode([subject, key_id])


def beside(sealed: Sealed, shown: Shown) -> dict[str, Any]:
    """A sealed value as it stands in the record, and beside it what can be said about it."""
    said: dict[str, Any] = {"state": shown.state.value, "says": shown.says}
    if shown.state is Visibility.OPEN:
        said["value"] = shown.value
    if shown.state is Visibility.ERASED:
        said |= {"at": shown.at, "by": shown.by, "record": shown.record}
    return {personal.MARK: msgspec.to_builtins(sealed), **said}
