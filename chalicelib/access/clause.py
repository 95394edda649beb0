"""The clause: one Cedar policy as it is listed, explained and named in decisions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access.principal import Kind
from chalicelib.kernel import names
from chalicelib.kernel.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from chalicelib.access.question import Action
    from chalicelib.access.texts import Piece

TYPES: Final = {Kind.PERSON: "Person", Kind.AGENT: "Agent", Kind.PIPELINE: "Pipeline"}
_PEOPLE: Final = {*TYPES.values(), "Group", "Role"}
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


class Clause(msgspec.Struct, frozen=True):
    """One policy of a text.

    ``line``: where it begins in ``file``. ``actions``: values, None for all. ``whom``: whom its
    head names, in words. ``entities``: every entity that it names, as type and id.
    """

    id: str
    effect: str
    file: str
    line: int
    text: str
    annotations: dict[str, str]
    actions: tuple[str, ...] | None
    whom: str
    where: str
    conditional: bool
    entities: frozenset[tuple[str, str]]

    def covers(self, action: Action) -> bool:
        """Whether its head admits the action."""
        return self.actions is None or action.value in self.actions

    def can_permit(self, action: Action) -> bool:
        """Whether it permits the action to anybody; some it has to name: ``Action.by_name``."""
        named = self.actions is not None or not action.by_name
        return self.effect == "permit" and self.covers(action) and named


def read(file: str, place: int, piece: Piece, parsed: dict[str, Any]) -> Clause:
    """The clause of a policy as Cedar parsed it. ``place``: which one of its file, from 1.

    Raises: ConfigError, where it cannot be called by a name.
    """
    annotations = {key: value or "" for key, value in (parsed.get("annotations") or {}).items()}
    name = annotations.get("id", "")
    if "id" in annotations and not _ID.fullmatch(name):
        raise ConfigError(
            f"{file}, line {piece.line}: @id({name[:80]!r}): expected 1 to 100 letters, digits, "
            "'.', '_' and '-'"
        )
    if not name and not _ID.fullmatch(file):
        raise ConfigError(
            f"{file}, line {piece.line}: this policy would be called by its file's name; expected "
            "letters, digits, '.', '_' and '-' in it",
            next_step='@id("some.name") before the policy',
        )
    return Clause(
        id=name or f"{file}#{place}",
        effect=parsed["effect"],
        file=file,
        line=piece.line,
        text=piece.text,
        annotations=annotations,
        actions=_actions(parsed["action"]),
        whom=_head(parsed["principal"], "anybody"),
        where=_head(parsed["resource"], "anything"),
        conditional=bool(parsed["conditions"]),
        entities=frozenset(_entities(parsed)),
    )


def check_names(one: Clause) -> None:
    """Return if every name that a policy compares with can be one. Raises: ConfigError.

    A name in another form than the one that is compared would never match: a ``forbid`` with
    ``Person::"Ana"`` would forbid nothing.
    """
    for kind, name in sorted(one.entities):
        try:
            right = name
            if kind in _PEOPLE:
                right = names.person(name)
            elif kind == "Target":
                right = str(names.target(name))
            wrong = right != name
        except UsageError as error:
            wrong, right = True, error.message
        if wrong:
            raise ConfigError(
                f'{one.file}, line {one.line}, policy {one.id}: {kind}::"{name[:80]}" never '
                f"matches; expected {right}",
                next_step="docs/policy.md, names",
            )


def _actions(scope: dict[str, Any]) -> tuple[str, ...] | None:
    match scope:
        case {"op": "All"}:
            return None
        case {"entities": list(found)}:
            return tuple(one["id"] for one in found)
        case _:
            return (scope["entity"]["id"],)


def _head(scope: dict[str, Any], everything: str) -> str:
    """Whom or what a policy's head names: ``role engineer``, ``any person in group dba``."""
    match scope:
        case {"op": "All"}:
            return everything
        case {"op": "is", "entity_type": kind, "in": {"entity": entity}}:
            return f"any {kind.lower()} in {_entity(entity)}"
        case {"op": "is", "entity_type": kind}:
            return f"any {kind.lower()}"
        case _:
            return _entity(scope["entity"])


def _entity(entity: dict[str, str]) -> str:
    return f"{entity['type'].lower()} {entity['id']}"


def _entities(parsed: Any) -> set[tuple[str, str]]:
    """Every entity that stands anywhere in a parsed policy."""
    found: set[tuple[str, str]] = set()
    rest = [parsed]
    while rest:
        match rest.pop():
            case {"type": str(kind), "id": str(name)}:
                found.add((kind, name))
            case dict() as table:
                rest += [value for key, value in table.items() if key != "annotations"]
            case list() as items:
                rest += items
            case _:
                pass
    return found
