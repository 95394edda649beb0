"""Trust: which logs and witnesses are believed, and how many witnesses make a quorum.

A C2SP tlog-policy file, read as octets. The sizes that a log's key may sign are an extension that
other tools read over, because it stands in a comment, right after the key's line::

    log example.com/log+1d0f…+AY3…
    #: sizes 0 1521

``LAST`` may be ``-``: no end. Any other line that starts with ``#:`` is refused. A file of exactly
one verifier key is short for that log with ``quorum none``. Stricter than the format: a witness
never has the key of a log, for a log that cosigns itself is not watched.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.evidence import cosignature, keys, note
from chalicelib.evidence.cosignature import MAX_TIME, Cosigner
from chalicelib.evidence.keys import Keyring, LogKey
from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.kernel.errors import BadSignature, Malformed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from chalicelib.evidence.note import Signature

MAX_BYTES: Final = 256 * 2**10
MAX_EACH: Final = 64  # logs, witnesses, groups; tlog-policy, "Implementation limits": at least 32
NONE: Final = "none"

_OCTETS = re.compile(rb"[\x09\x0a\x20-\x7e\x80-\xff]*")  # tlog-policy, "Character set"
_BLANK = re.compile(r"[ \t]+")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Log(LogKey, frozen=True):
    """A log's key with the URL that its line names."""

    url: str = ""


class Witness(msgspec.Struct, frozen=True):
    """A witness: its name in this policy, its key, and the URL it takes checkpoints at, if any."""

    name: str
    verifier: Cosigner
    url: str = ""


class Group(msgspec.Struct, frozen=True):
    """Counts as a witness where at least ``threshold`` of its members do."""

    name: str
    threshold: int
    members: tuple[str, ...]


class Policy(msgspec.Struct, frozen=True):
    """Trusted logs and witnesses. ``quorum`` names a witness or a group, or is ``none``.

    Names are octets: those that are not UTF-8 are held as lone surrogates (PEP 383).
    """

    logs: tuple[LogKey, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: str = NONE

    def keyring(self, origin: str) -> Keyring:
        """The keys of one log. Raises: BadSignature, where none is trusted; Malformed."""
        own = [LogKey(x.verifier, x.first, x.last) for x in self.logs if x.verifier.name == origin]
        if not own:
            raise BadSignature(
                f"no key of the log {origin[:80]!r} is trusted",
                next_step="add its verifier key to the trust policy, if you have it first-hand",
            )
        return keys.keyring(sorted(own, key=lambda key: (key.first, key.last)))

    def cosigned(
        self, signatures: Iterable[Signature], text: str, *, latest: int = MAX_TIME
    ) -> dict[str, int]:
        """Which witnesses, by their names here, cosigned the text, and when (as ``verify``).

        Signatures by unknown keys are passed over. Raises: BadSignature, Malformed: one that says
        it is a known witness's and is not. Source: signed-note, "Signatures".
        """
        known = {(x.verifier.name, x.verifier.key_id): x for x in self.witnesses}
        found: dict[str, int] = {}
        for signature in signatures:
            witness = known.get((signature.name, signature.key_id))
            if witness is not None:
                at = cosignature.verify(signature, text, witness.verifier, latest=latest)
                found[witness.name] = min(at, found.get(witness.name, at))
        return found

    def met(self, cosigned: Collection[str]) -> bool:
        """Whether these witnesses, by their names here, are a quorum."""
        counted = {one.name for one in self.witnesses if one.name in cosigned}
        for group in self.groups:  # each refers only to what stands before it
            if len(counted.intersection(group.members)) >= group.threshold:
                counted.add(group.name)
        return self.quorum == NONE or self.quorum in counted


def parse(data: bytes) -> Policy:
    """The policy that a file states. Raises: Malformed, with the line."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"a trust policy of {len(data)} bytes; at most {MAX_BYTES}")
    if not _OCTETS.fullmatch(data):
        raise Malformed("a trust policy with a control character other than tab and newline")
    text = data.decode(errors="surrogateescape")
    alone = text.removesuffix("\n")
    if "+" in alone and not _BLANK.search(alone) and "\n" not in alone and alone[0] != "#":
        return Policy((LogKey(note.parse_vkey(alone)),))
    *lines, end = text.split("\n")
    if end:
        raise Malformed("a trust policy whose last line does not end in a newline")
    read = _Lines()
    for number, line in enumerate(lines, 1):
        try:
            read.line(line.strip(" \t"))
        except Malformed as error:
            raise Malformed(f"trust policy, line {number}: {error.message}") from error
    return read.policy()


def encode(policy: Policy) -> bytes:
    """The policy as a file that :func:`parse` gives it back from. Raises: Malformed, if none is."""
    lines = []
    for log in policy.logs:
        url = log.url if isinstance(log, Log) else ""
        lines.append(f"log {log.verifier} {url}")
        if (log.first, log.last) != (0, MAX_SIZE):
            last = "-" if log.last == MAX_SIZE else log.last
            lines.append(f"#: sizes {log.first} {last}")
    lines += [f"witness {one.name} {one.verifier} {one.url}" for one in policy.witnesses]
    lines += [f"group {x.name} {x.threshold} {' '.join(x.members)}" for x in policy.groups]
    lines.append(f"quorum {policy.quorum}")
    try:
        data = "".join(f"{line.rstrip(' ')}\n" for line in lines).encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise Malformed("a trust policy with a name that stands for no octets") from None
    if parse(data) != policy:  # what reads as something else must not be written
        raise Malformed("a trust policy with a name or a URL that no line can carry")
    return data


class _Lines:
    """What was read so far, a line at a time. Source: tlog-policy, "Policy file syntax"."""

    def __init__(self) -> None:
        self._logs: list[LogKey] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._quorum: str | None = None
        self._names: set[str] = {NONE}  # witnesses and groups share one namespace
        self._members: set[str] = set()
        self._log_keys: set[bytes] = set()
        self._witness_keys: set[bytes] = set()
        self._after_log = False

    def line(self, text: str) -> None:
        """Take one line, without white space around it. Raises: Malformed."""
        after_log, self._after_log = self._after_log, False
        if text.startswith("#:"):
            self._sizes(_BLANK.split(text), after_log=after_log)
            return
        if not text or text.startswith("#"):
            return
        match _BLANK.split(text):
            case ["log", vkey, *url] if len(url) < 2:  # noqa: PLR2004 - it may have one
                self._log(vkey, *url)
            case ["witness", name, vkey, *url] if len(url) < 2:  # noqa: PLR2004 - as above
                self._witness(name, vkey, *url)
            case ["group", name, threshold, *members]:
                self._group(name, threshold, tuple(members))
            case ["quorum", name]:
                self._set_quorum(name)
            case [keyword, *_]:
                raise Malformed(
                    f"not a line of a trust policy: {keyword[:40]!r}; expected "
                    "log VKEY [URL], witness NAME VKEY [URL], group NAME K NAME…, or quorum NAME"
                )

    def policy(self) -> Policy:
        """All of it. Raises: Malformed, without a quorum line."""
        if self._quorum is None:
            raise Malformed("a trust policy without a quorum line", next_step="add: quorum none")
        return Policy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _log(self, vkey: str, url: str = "") -> None:
        _few(self._logs, "logs")
        found = note.parse_vkey(vkey)
        _new_key(found.key.data, self._log_keys, self._witness_keys)
        self._logs.append(Log(found, url=url) if url else LogKey(found))
        self._after_log = True

    def _sizes(self, words: Sequence[str], *, after_log: bool) -> None:
        """The extension: the sizes of the key on the line before."""
        match words:
            case ["#:", "sizes", first, last] if after_log:
                low, high = _size(first), MAX_SIZE if last == "-" else _size(last)
            case _:
                raise Malformed("not '#: sizes FIRST LAST' right after a log's line")
        if low > high:
            raise Malformed(f"sizes from {low} to {high}")
        self._logs[-1] = msgspec.structs.replace(self._logs[-1], first=low, last=high)

    def _witness(self, name: str, vkey: str, url: str = "") -> None:
        _few(self._witnesses, "witnesses")
        found = cosignature.parse_vkey(vkey)
        _new_key(found.key.data, self._witness_keys, self._log_keys)
        if any(
            (found.name, found.key_id) == (x.verifier.name, x.verifier.key_id)
            for x in self._witnesses
        ):
            raise Malformed("two witnesses whose signatures bear the same name and key id")
        self._define(name)
        self._witnesses.append(Witness(name, found, url))

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        _few(self._groups, "groups")
        for member in members:
            if member == NONE or member not in self._names:
                raise Malformed(f"no witness or group {member[:80]!r} stands before")
            if member in self._members:
                raise Malformed(f"{member[:80]!r} is a member for the second time")
            self._members.add(member)
        most = len(members)
        least = {"any": 1, "all": most}.get(threshold)
        if least is None:
            least = int(threshold) if _NUMBER.fullmatch(threshold) else 0
        if not 1 <= least <= most:
            raise Malformed(f"{threshold[:40]!r} of {most} members; expected any, all, or 1 and up")
        self._define(name)
        self._groups.append(Group(name, least, members))

    def _set_quorum(self, name: str) -> None:
        if self._quorum is not None:
            raise Malformed("a second quorum line")
        if name not in self._names:
            raise Malformed(f"no witness or group {name[:80]!r} stands before")
        self._quorum = name

    def _define(self, name: str) -> None:
        if name in self._names:
            raise Malformed(f"the name {name[:80]!r} stands for something already")
        self._names.add(name)


def _few(found: Sequence[object], what: str) -> None:
    if len(found) >= MAX_EACH:
        raise Malformed(f"more than {MAX_EACH} {what}")


def _new_key(key: bytes, own: set[bytes], others: set[bytes]) -> None:
    """Take a key, which has to be new, whatever its name. Source: tlog-policy, "duplicate"."""
    if key in own:
        raise Malformed("a key that stands here already, under this or another name")
    if key in others:
        raise Malformed("one key for a log and a witness: a log that cosigns itself is not watched")
    own.add(key)


def _size(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > MAX_SIZE:
        raise Malformed(f"not a size: {text[:40]!r}")
    return int(text)
