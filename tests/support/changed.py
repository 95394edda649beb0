"""Changes for tests of rules, by hand."""

from __future__ import annotations

from chalicelib.drift.diff import Change, Operation


def altered(kind, name, attribute, before, after, **rest):
    old = {key: value for key, value in {**rest, attribute: before}.items() if value is not None}
    new = {key: value for key, value in {**rest, attribute: after}.items() if value is not None}
    return Change(Operation.ALTERED, kind, name, attribute, before, after, old, new)


def added(kind, name, **attributes):
    return Change(Operation.ADDED, kind, name, "", None, attributes, None, attributes)


def removed(kind, name, **attributes):
    return Change(Operation.REMOVED, kind, name, "", attributes, None, attributes, None)
