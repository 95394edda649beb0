"""CloudTrail as tests make it: events, changes whose maker is sought, and a trail in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chalicelib.drift.desk import Target
from chalicelib.drift.diff import Change, Operation
from chalicelib.drift.who import Event, Principal, Sought, Told, attributed
from chalicelib.kernel.clock import timestamp

ACCOUNT = "123456789012"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ANA_ROLE = f"arn:aws:iam::{ACCOUNT}:role/admin"
ANA = Principal(
    f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/ana", "AssumedRole", ACCOUNT, issuer=ANA_ROLE
)


def change(kind, name, attribute="", *, before=None, after=None, gone=False, **attributes):
    """Altered where an attribute is named; else added, or ``gone``."""
    if attribute:
        if attribute in attributes:
            after = attributes[attribute]
        old, new = {**attributes, attribute: before}, {**attributes, attribute: after}
        return Change(Operation.ALTERED, kind, name, attribute, before, after, old, new)
    if gone:
        return Change(Operation.REMOVED, kind, name, "", attributes, None, attributes, None)
    return Change(Operation.ADDED, kind, name, "", None, attributes, None, attributes)


def sought(altered, *, id="F-1", since=NOW - timedelta(hours=1), until=NOW):  # noqa: A002
    return Sought(id, altered, timestamp(since), timestamp(until))


def made(
    name, request, *, at=-60, response=None, source="iam.amazonaws.com", id="e-1",  # noqa: A002
    principal=ANA, error="", read_only=False,
):  # fmt: skip
    """An event; ``at``: seconds from NOW, or the moment."""
    moment = at if isinstance(at, datetime) else NOW + timedelta(seconds=at)
    return Event(
        id if id != "e-1" else f"e-{name}-{at}", name, source, moment, principal, "192.0.2.7",
        f"request of {name}", "aws-cli/2", error, read_only, request, response,
    )  # fmt: skip


class FakeTrail:
    """Answers of a trail, by questions; ``asked`` are those that came."""

    def __init__(self, events, *, missing="", error=None):
        self.told, self.missing, self.error = dict(events), missing, error
        self.asked, self.windows = [], []

    def events(self, asked, start, end):
        self.asked.append(asked)
        self.windows.append((start, end))
        if self.error is not None:
            raise self.error
        inside = [one for one in self.told.get(asked, []) if start <= one.at <= end]
        return Told(inside, self.missing)


def ask(trail, one, *, now):
    """The attribution of one change."""
    return attributed(lambda _: trail)(Target(slug="prod", kind="iam"), [one], now)[one.id]
