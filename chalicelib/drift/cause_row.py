"""A row of the tables of causes: an event of CloudTrail, and what it says of a change."""

from __future__ import annotations

from typing import NamedTuple, TypedDict, Unpack


class Row(NamedTuple):
    """One event that can make changes of a kind.

    ``what``: ``+`` it came, ``-`` it went, attributes (``console+`` where it is true or there now,
    ``console-`` where not), ``*`` any attribute but those after ``!``. ``event``: with parts of the
    object's name in braces. ``names``: parameters that name the object (``^``: of AWS's answer),
    and by which part of its name or attribute; ``=text``: that text, ``=*``: anything, ``=!``:
    nothing. ``value``: ``parameter`` or ``parameter=attribute``. ``must``: it alters only what it
    states. ``most``: how well it fits at most, as of ``causes.Fit``. ``rule``: it states rules of a
    security group. ``root``: done by root.
    """

    what: tuple[str, ...]
    service: str
    event: str
    names: tuple[tuple[str, str], ...] = ()
    value: str = ""
    must: bool = False
    most: str = "value"
    rule: bool = False
    root: bool = False


class _Fitting(TypedDict, total=False):
    must: bool
    most: str
    rule: bool
    root: bool


class _Options(_Fitting):
    value: str


def _row(service: str, what: str, event: str, names: str, **options: Unpack[_Options]) -> Row:
    pairs = tuple((key, name) for one in names.split() for key, _, name in [one.partition("=")])
    return Row(tuple(what.split()), service, event, pairs, **options)


def iam(
    what: str, event: str, names: str = "", value: str = "", **options: Unpack[_Fitting]
) -> Row:
    """An event of IAM."""
    return _row("iam", what, event, names, value=value, **options)


def rds(
    what: str, event: str, names: str = "", value: str = "", **options: Unpack[_Fitting]
) -> Row:
    """An event of RDS."""
    return _row("rds", what, event, names, value=value, **options)


def ec2(
    what: str, event: str, names: str = "", value: str = "", **options: Unpack[_Fitting]
) -> Row:
    """An event of EC2."""
    return _row("ec2", what, event, names, value=value, **options)
