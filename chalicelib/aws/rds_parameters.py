"""RDS's parameter groups turned into objects, and their comparison; nothing is asked here.

A value is concealed where it may hold a secret: a text that RDS does not choose from a list, under
such a name or with a password within.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws.rds_objects import SECRET_NAME, SECRET_TEXT, given, needed, optional, text
from chalicelib.drift.parameter import APPLYING, PENDING_REBOOT, UNITS, USER, Declared
from chalicelib.drift.snapshot import Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chalicelib.drift.parameter import Comparison

PARAMETER_GROUP: Final = "rds_parameter_group"
PARAMETER: Final = "rds_parameter"
DISAGREEMENT: Final = "rds_disagreement"
COMPARISON: Final = "rds_comparison"

_SECRET_PARAMETERS: Final = frozenset({"ssl_passphrase_command", "primary_conninfo"})
_UNIT = re.compile(r"\(([0-9]{0,2}[A-Za-z]{1,3})\)")


def parameter_group(
    name: str, statuses: Iterable[str], described: Mapping[str, Any] | None, owner: str
) -> Object:
    """``rds_parameter_group``. ``described``: of DescribeDB…ParameterGroups, where it was read."""
    found = described or {}
    attributes = {
        "of": owner,
        "status": ", ".join(sorted({one for one in statuses if one})) or None,
        "family": optional(found.get("DBParameterGroupFamily")),
        "comment": optional(found.get("Description")),
    }
    return Object(PARAMETER_GROUP, name, given(attributes))


def parameter(group: str, row: Mapping[str, Any], conceal: Callable[[str], str]) -> Object:
    """``rds_parameter`` of an element of DescribeDB…Parameters. Raises: Unsupported."""
    name = needed(row, "ParameterName")
    value = row.get("ParameterValue")
    attributes = {
        "of": f"{PARAMETER_GROUP} {group}",
        "value": None if value is None else _value(name, text(value), row, conceal),
        "unit": unit(row) or None,
        "source": optional(row.get("Source")),
        "apply_type": optional(row.get("ApplyType")),
        "apply_method": optional(row.get("ApplyMethod")),
        "modifiable": row.get("IsModifiable"),
    }
    return Object(PARAMETER, f"{name} of {group}", given(attributes))


def shown_group(name: str, *, cluster: bool) -> str:
    """A parameter group's name; the two kinds have default groups of one name each."""
    return f"cluster {name}" if cluster else name


def worst(statuses: Iterable[str]) -> str:
    """The apply status that counts, where a group has several members."""
    found = set(statuses)
    return next((one for one in (PENDING_REBOOT, APPLYING) if one in found), "in-sync")


def effective(
    of_instances: Iterable[Iterable[Iterable[Declared]]], of_cluster: Iterable[Declared]
) -> list[Declared]:
    """What each instance runs with, its own groups before the cluster's; each once.

    An instance's group overrides the cluster's where somebody set the parameter there.
    Source: Amazon Aurora User Guide, "Parameter groups for Amazon Aurora".
    """
    outer = {one.name: one for one in of_cluster if one.value}
    found: set[Declared] = set()
    several = [[one for group in groups for one in group if one.value] for groups in of_instances]
    for own in several or [[]]:
        inner = {one.name: one for one in own}
        for name in inner.keys() | outer.keys():
            one, other = inner.get(name), outer.get(name)
            chosen = one if other is None or (one is not None and one.source == USER) else other
            if chosen is not None:
                found.add(chosen)
    return sorted(found, key=lambda one: (one.name, one.value, one.source, one.status))


def disagreements(
    found: Comparison,
    rows: Mapping[str, Mapping[str, Any]],
    conceal: Callable[[str], str],
) -> list[Object]:
    """``rds_disagreement`` for each; ``rows``: of DescribeDB…Parameters, by their names.

    They are parts of nothing: whether a server answers does not make an instance another one.
    """
    return [
        Object(
            DISAGREEMENT,
            one.parameter,
            given({
                "declared": _value(one.parameter, one.declared, rows[one.parameter], conceal),
                "reported": _value(one.parameter, one.reported, rows[one.parameter], conceal),
                "unit": one.unit or None,
                "reason": one.reason,
            }),
        )
        for one in found.disagreements
    ]  # fmt: skip


def comparison(name: str, found: Comparison) -> Object:
    """``rds_comparison``: that it took place, and which parameters cannot be compared, and why."""
    uncompared = sorted(f"{parameter}: {why}" for parameter, why in found.uncompared.items())
    return Object(COMPARISON, name, given({"not_compared": uncompared}))


def declared(row: Mapping[str, Any], status: str) -> Declared:
    """The parameter as it is compared with the server; ``status``: of its group."""
    return Declared(
        name=needed(row, "ParameterName"),
        value=text(row.get("ParameterValue") or ""),
        source=text(row.get("Source") or ""),
        status=status,
        late=row.get("ApplyType") == "static" or row.get("ApplyMethod") == PENDING_REBOOT,
        unit=unit(row),
    )


def unit(row: Mapping[str, Any]) -> str:
    """The unit of a bare number, with which RDS begins a description: "(8kB) Sets the …"."""
    found = _UNIT.match(text(row.get("Description") or ""))
    return found[1] if found and found[1] in UNITS else ""


def _value(name: str, value: str, row: Mapping[str, Any], conceal: Callable[[str], str]) -> str:
    """A parameter's value. Numbers, booleans, formulas and choices from a list are no secrets."""
    if not value or row.get("AllowedValues") or row.get("DataType") not in {None, "string", "list"}:
        return value
    folded = name.lower()
    secret = folded in _SECRET_PARAMETERS or (
        "." in folded and not folded.startswith("rds.") and SECRET_NAME.search(folded)
    )
    return conceal(value) if secret or SECRET_TEXT.search(value) else value
