"""The policy document: JSON text or its value → statements in canonical form, or Malformed.

Strict where IAM is: an element that is missing, doubled or of the wrong type is Malformed. Elements
that nobody here knows are kept, with their value, and make what they touch undecided.
Source: AWS IAM User Guide, "Grammar of the IAM JSON policy language".
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.drift.iam import actions, condition, glob, principal
from chalicelib.drift.iam.automaton import covers
from chalicelib.drift.iam.condition import Atom
from chalicelib.drift.iam.principal import EVERYONE, Entry
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

MAX_BYTES: Final = 1 << 20  # AWS's longest policy is 10,240 characters without white space
MAX_COMPARED: Final = 200  # entries of one list among which those that others include are left out
MAX_COMPARED_CHARACTERS: Final = 10_240
VERSIONS: Final = ("2008-10-17", "2012-10-17")

_KNOWN = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource",
    "Condition",
}  # fmt: skip


class Effect(enum.Enum):
    """What a statement does."""

    ALLOW = "Allow"
    DENY = "Deny"


class Names(msgspec.Struct, frozen=True):
    """Canonical texts, sorted; ``negated``: of the element's Not form."""

    texts: tuple[str, ...]
    negated: bool = False


class Entries(msgspec.Struct, frozen=True):
    """Principals, sorted; ``negated``: of NotPrincipal."""

    entries: tuple[Entry, ...]
    negated: bool = False


class Statement(msgspec.Struct, frozen=True):
    """One statement. None: the element is not there.

    ``unknown``: what is not understood, as canonical JSON of an object by element; else empty.
    ``sid`` has no meaning.
    """

    effect: Effect
    actions: Names
    resources: Names | None = None
    principals: Entries | None = None
    atoms: tuple[Atom, ...] = ()
    sid: str = ""
    unknown: str = ""

    @property
    def meaning(self) -> Statement:
        """The statement without its name."""
        return msgspec.structs.replace(self, sid="")


class Document(msgspec.Struct, frozen=True):
    """A policy: statements in canonical order. ``id`` has no meaning; ``unknown`` as above.

    Whatever version it had, texts are those of version 2012-10-17 that mean the same.
    """

    statements: tuple[Statement, ...]
    id: str = ""
    unknown: str = ""

    @property
    def meaning(self) -> tuple[str, frozenset[Statement]]:
        """What two documents have in common that are equal but for names and doubles."""
        return self.unknown, frozenset(one.meaning for one in self.statements)


def parse(value: str | bytes | Mapping[str, Any]) -> Document:
    """The document of JSON, as text or decoded. Raises: Malformed."""
    policy = _decoded(value)
    version = policy.get("Version", VERSIONS[0])
    if version not in VERSIONS:
        raise Malformed(f"Version is none of {' and '.join(VERSIONS)}")
    statements = policy.get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list):
        raise Malformed("Statement is neither an object nor a list of objects")
    reader = _Reader(variables=version == VERSIONS[1])
    found = {_position(one): one for one in map(reader.statement, statements)}
    unknown = {name: policy[name] for name in policy.keys() - {"Version", "Id", "Statement"}}
    return Document(
        tuple(found[key] for key in sorted(found)),
        _text(policy.get("Id", ""), "Id"),
        _kept(unknown),
    )


def _decoded(value: str | bytes | Mapping[str, Any]) -> dict[str, Any]:
    try:
        data = value.encode() if isinstance(value, str) else value
        if not isinstance(data, bytes):
            data = msgspec.json.encode(value)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Malformed(f"the policy is not JSON: {type(error).__name__}") from None
    if len(data) > MAX_BYTES:
        raise Malformed(f"the policy is longer than {MAX_BYTES} bytes")
    policy = canon.parse(data)
    if not isinstance(policy, dict):
        raise Malformed("the policy is no object")
    return policy


def _position(one: Statement) -> tuple[bytes, str]:
    """Where a statement stands: by what it says, then by its name."""
    return canon.encode(plain(one.meaning)), one.sid


def _kept(unknown: Mapping[str, Any]) -> str:
    if not unknown:
        return ""
    try:
        return canon.encode(unknown).decode()
    except ValueError as error:
        raise Malformed(f"the policy has a number that JSON cannot say exactly: {error}") from None


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Malformed(f"{name} is no string")
    return value


def _texts(value: Any, name: str) -> list[str]:
    """A string, or the strings of a list; at least one."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one for one in values):
        raise Malformed(f"{name} is neither a string nor a list of strings, or empty")
    return values


class _Reader:
    """Statements of one version's documents."""

    def __init__(self, *, variables: bool) -> None:
        self.variables = variables
        self.unknown: dict[str, Any] = {}

    def statement(self, value: Any) -> Statement:
        if not isinstance(value, dict):
            raise Malformed("a statement is no object")
        effect = value.get("Effect")
        if effect not in {"Allow", "Deny"}:
            raise Malformed("Effect is neither Allow nor Deny")
        self.unknown = {name: inner for name, inner in value.items() if name not in _KNOWN}
        names = self._names(value, "Action", actions.text)
        if names is None:
            raise Malformed("a statement has neither Action nor NotAction")
        found = Statement(
            Effect(effect),
            names,
            self._names(value, "Resource", self._resource),
            self._principals(value),
            self._atoms(value.get("Condition", {})),
            _text(value.get("Sid", ""), "Sid"),
        )
        unknown = _kept(self.unknown)
        if "${" in unknown and not self.variables:
            raise Malformed(f"what is not understood has ${{ in it, in version {VERSIONS[0]}")
        return msgspec.structs.replace(found, unknown=unknown)

    def _resource(self, text: str) -> str:
        return glob.render(glob.parse(text, variables=self.variables))

    def _names(
        self, value: Mapping[str, Any], element: str, settle: Callable[[str], str]
    ) -> Names | None:
        """Action or NotAction, Resource or NotResource: texts settled, needless ones left out."""
        name = _one_of(value, element)
        if name is None:
            return None
        texts = sorted(set(_texts(value[name], name)))
        try:
            settled = reduce(map(settle, texts))
        except ValueError:
            self.unknown[name] = texts
            settled = ()
        return Names(settled, name != element)

    def _principals(self, value: Mapping[str, Any]) -> Entries | None:
        name = _one_of(value, "Principal")
        if name is None:
            return None
        found = value[name]
        if found == "*":
            return Entries((EVERYONE,), name != "Principal")
        if not isinstance(found, dict) or not found:
            raise Malformed(f"{name} is neither * nor an object")
        try:
            entries = {
                principal.entry(kind, text)
                for kind, texts in found.items()
                for text in _texts(texts, name)
            }
        except ValueError:
            self.unknown[name] = found
            entries = set()
        if EVERYONE in entries:
            entries = {EVERYONE}
        return Entries(tuple(sorted(entries)), name != "Principal")

    def _atoms(self, value: Any) -> tuple[Atom, ...]:
        if not isinstance(value, dict) or not all(isinstance(k, dict) for k in value.values()):
            raise Malformed("Condition is no object of operators, each an object of keys")
        found: set[Atom] = set()
        for operator, keys in value.items():
            if len({key.lower() for key in keys}) != len(keys):
                raise Malformed(f"two keys of {operator} differ in case only")
            for key, values in keys.items():
                texts = _scalars(values, operator)
                one = condition.atom(operator, key, texts, variables=self.variables)
                if not one.unknown and one.operator in {"StringLike", "ArnLike"}:
                    one = msgspec.structs.replace(one, values=_fewest(one))
                found.add(one)
        return tuple(sorted(found, key=lambda one: (one.key, one.spellings, one.values)))


def _one_of(value: Mapping[str, Any], element: str) -> str | None:
    """The element or its Not form, whichever is there. Raises: Malformed, for both."""
    there = [name for name in (element, f"Not{element}") if name in value]
    if len(there) > 1:
        raise Malformed(f"a statement has both {element} and Not{element}")
    return there[0] if there else None


def _scalars(value: Any, operator: str) -> list[str]:
    """Strings, numbers and booleans of a condition as the strings that they stand for."""
    values = value if isinstance(value, list) else [value]
    texts: list[str] = []
    for one in values:
        if isinstance(one, bool):
            texts.append("true" if one else "false")
        elif isinstance(one, int | float) and abs(one) <= canon.MAX_INTEGER:
            texts.append(repr(one))
        elif isinstance(one, str):
            texts.append(one)
        else:
            raise Malformed(f"a value of {operator} is no string, number or boolean")
    return texts


def reduce(
    texts: Iterable[str], *, of: Callable[[str], glob.Pattern] = glob.parse
) -> tuple[str, ...]:
    """The texts without those that a single other one plainly includes, sorted.

    Of a list longer than MAX_COMPARED texts or MAX_COMPARED_CHARACTERS, all texts stay.
    """
    kept = sorted(set(texts))
    if len(kept) > MAX_COMPARED or sum(map(len, kept)) > MAX_COMPARED_CHARACTERS:
        return tuple(kept)
    patterns = {text: of(text) for text in kept}
    for wide in [text for text in kept if "*" in text or "?" in text]:
        if wide in kept:
            kept = [
                text for text in kept if text == wide or not covers(patterns[wide], patterns[text])
            ]
    return tuple(kept)


def _fewest(one: Atom) -> tuple[str, ...]:
    return reduce(one.values, of=lambda text: condition.pattern(one.operator, text))


def canonical(value: str | bytes | Mapping[str, Any]) -> dict[str, Any]:
    """The policy as snapshots hold it: a JSON value that equal policies share.

    Order, letter case of actions and condition keys, scalars and lists, version, doubles and
    entries that others include do not tell policies apart. Names (Sid, Id) stay.
    The canonical form of it is itself.
    Raises: Malformed.
    """
    document = parse(value)
    said: dict[str, Any] = {
        "Version": VERSIONS[1],
        "Statement": [
            {**plain(one.meaning), **({"Sid": one.sid} if one.sid else {})}
            for one in document.statements
        ],
    }
    if document.id:
        said["Id"] = document.id
    return {**said, **_unkept(document.unknown)}


def _unkept(unknown: str) -> dict[str, Any]:
    found: dict[str, Any] = canon.decode(unknown.encode()) if unknown else {}
    return found


def plain(one: Statement) -> dict[str, Any]:
    """The statement as the value of a policy's JSON, without its name."""
    said: dict[str, Any] = {"Effect": one.effect.value}
    for element, names in (("Action", one.actions), ("Resource", one.resources)):
        if names is not None:
            said[f"Not{element}" if names.negated else element] = list(names.texts)
    if one.principals is not None:
        said["NotPrincipal" if one.principals.negated else "Principal"] = _spoken(one.principals)
    conditions: dict[str, dict[str, list[str]]] = {}
    for atom in one.atoms:
        spelling = next(s for s in atom.spellings if atom.key not in conditions.get(s, {}))
        conditions.setdefault(spelling, {})[atom.key] = list(atom.values)
    if conditions:
        said["Condition"] = conditions
    return {**said, **_unkept(one.unknown)}


def _spoken(principals: Entries) -> str | dict[str, list[str]]:
    if EVERYONE in principals.entries:
        return "*"
    found: dict[str, list[str]] = {}
    for one in principals.entries:
        found.setdefault(one.kind, []).append(one.value)
    return found
