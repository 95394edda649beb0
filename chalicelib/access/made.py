"""Made: the objects that a plan of a lease makes in PostgreSQL, as a snapshot shows them.

It reads the steps that ``access.issue`` writes, as they were recorded; kinds, names and attributes
are those of docs/targets/postgres.md.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from chalicelib.access import issue
from chalicelib.kernel.names import identifier, qualified

if TYPE_CHECKING:
    from chalicelib.access.plan import Plan, Step

Key = tuple[str, str]
Objects = dict[Key, dict[str, Any]]

_CREATE: Final = re.compile(
    r"CREATE ROLE \{(\w+)\}((?: [A-Z]+)+?)(?: CONNECTION LIMIT \{(\w+)\} VALID UNTIL \{(\w+)\})?"
    r"(?: PASSWORD \{\w+\})?"
)
_COMMENT: Final = re.compile(r"COMMENT ON ROLE \{(\w+)\} IS \{(\w+)\}")
_SETTING: Final = re.compile(r"ALTER ROLE \{(\w+)\} SET (\w+) = (\{\w+\}(?:, \{\w+\})*)")
_MEMBER: Final = re.compile(
    r"GRANT \{(\w+)\} TO \{(\w+)\}(?: WITH INHERIT TRUE, SET (TRUE|FALSE))?"
)
_GRANT: Final = re.compile(
    r"GRANT ([A-Z]+(?:, [A-Z]+)*) ON (SCHEMA|TABLE|SEQUENCE) (\{\w+\}(?:, \{\w+\})*) TO \{(\w+)\}"
)
_PLACE: Final = re.compile(r"\{(\w+)\}")
# What the words after CREATE ROLE set. Source: PostgreSQL, "CREATE ROLE".
_WORDS: Final = {
    "LOGIN": ("login", True),
    "NOLOGIN": ("login", False),
    "INHERIT": ("inherit", True),
    "NOCREATEDB": ("create_db", False),
    "NOCREATEROLE": ("create_role", False),
}
_DEFAULTS: Final = {
    "superuser": False,
    "inherit": True,
    "create_role": False,
    "create_db": False,
    "login": False,
    "replication": False,
    "bypass_rls": False,
    "connection_limit": -1,
}
# What the catalogue calls what GRANT … ON TABLE names; a name is one of the two.
_KINDS: Final = {"TABLE": ("table", "view"), "SEQUENCE": ("sequence",), "SCHEMA": ("schema",)}


def makes(plan: Plan) -> Objects:
    """The objects that a plan makes, as a snapshot shows them; none, for one that is another's.

    Those that the server adds by itself are left out.
    """
    found: Objects = {}
    by = [identifier(str(plan.assumes.get("broker", "")))]
    for step in plan.steps:
        if not any(read(found, step, by) for read in _READERS):
            return {}
    return found


def _create(found: Objects, step: Step, _by: list[str]) -> bool:
    text = _CREATE.fullmatch(step.sql)
    words = text[2].split() if text else ()
    if text is None or not set(words) <= _WORDS.keys():
        return False
    attributes: dict[str, Any] = {**_DEFAULTS, **dict(_WORDS[word] for word in words)}
    if text[3]:
        attributes["connection_limit"] = step.literals[text[3]]
        attributes["valid_until"] = step.literals[text[4]]
    found["role", _role(step, text[1])] = attributes
    return True


def _comment(found: Objects, step: Step, _by: list[str]) -> bool:
    text = _COMMENT.fullmatch(step.sql)
    if text is not None:
        found["role", _role(step, text[1])]["comment"] = step.literals[text[2]]
    return text is not None


def _setting(found: Objects, step: Step, _by: list[str]) -> bool:
    text = _SETTING.fullmatch(step.sql)
    if text is None:
        return False
    places = _PLACE.findall(text[3])
    values = [
        identifier(str(step.identifiers[one])) if one in step.identifiers else step.literals[one]
        for one in places
    ]
    role = _role(step, text[1])
    found["role_setting", f"{text[2]} for role {role}"] = {
        "of": f"role {role}",
        "value": ", ".join(map(str, values)),
    }
    return True


def _member(found: Objects, step: Step, by: list[str]) -> bool:
    text = _MEMBER.fullmatch(step.sql)
    if text is None:
        return False
    group, member = _role(step, text[1]), _role(step, text[2])
    options = {"inherit": True, "set": text[3] == "TRUE"} if text[3] else {}
    found["membership", f"{member} in {group}"] = {
        "of": f"role {member}",
        "admin": False,
        **options,
        "grantors": by,
    }
    return True


def _grant(found: Objects, step: Step, _by: list[str]) -> bool:
    text = _GRANT.fullmatch(step.sql)
    if text is None:
        return False
    privileges = {one.lower(): [f"by {identifier(issue.GRANTOR)}"] for one in text[1].split(", ")}
    for place in _PLACE.findall(text[3]):
        name = step.identifiers[place]
        shown = identifier(name) if isinstance(name, str) else qualified(*name)
        for kind in _KINDS[text[2]]:
            found["grant", f"{kind} {shown} to {_role(step, text[4])}"] = {
                "of": f"{kind} {shown}",
                **privileges,
            }
    return True


_READERS: Final = (_create, _comment, _setting, _grant, _member)


def _role(step: Step, place: str) -> str:
    return identifier(str(step.identifiers[place]))
