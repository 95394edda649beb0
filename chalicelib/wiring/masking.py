"""Masking at a configured target: suggested, applied, and what a check needs to know of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from chalicelib.access.desk import insist
from chalicelib.access.masking.spec import APPLIED, CHECKED, LEFT_OUT
from chalicelib.kernel import canon, ledger
from chalicelib.kernel.errors import ConfigError, UsageError
from chalicelib.kernel.personal import Concealed, parse
from chalicelib.kernel.record import Draft
from chalicelib.settings import STS
from chalicelib.settings import masking as settings
from chalicelib.wiring import access

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.access.attack.judgement import Exposed, Outcome
    from chalicelib.access.desk import Desk, Leased
    from chalicelib.access.masking.masks import Masks
    from chalicelib.access.masking.views import Views
    from chalicelib.access.suggestion.proposal import Proposal
    from chalicelib.evidence.sight import Seen
    from chalicelib.kernel.record import Actor
    from chalicelib.postgres.install import Wanted
    from chalicelib.postgres.masking import Applied
    from chalicelib.wiring.services import Services

ROWS: Final = 200  # of a table, for a sample


def find(services: Services, text: str) -> Leased:
    """The database of a name that leases something. Raises: UsageError, NotFound."""
    target = access.find(services, text)
    if target.kind == STS:
        raise UsageError(f"{target.name} is an AWS role: there are no columns to mask")
    return target


def dsn(services: Services, target: Leased, variable: str = "") -> str:
    """The DSN of whoever makes the views: of a variable, of the settings, or that of the scans.

    Raises: ConfigError, where the variable is not set; CouldNotTell.
    """
    section = services.settings.file.targets[target.slug].masking
    name = variable or (section.dsn_env if section else "")
    if not name:
        return services.dsn(services.settings.target(target.name))
    value = os.environ.get(name, "")
    if not value:
        raise ConfigError(
            f"the environment variable {name}, for the DSN of whoever makes the masking views, is "
            "not set",
            next_step=f"export {name}='postgresql://user@host/database'",
        )
    return value


def suggest(
    services: Services,
    text: str,
    variable: str = "",
    *,
    rows: int = ROWS,
    tables: Sequence[tuple[str, str]] = (),
) -> list[Proposal]:
    """What each column of a target looks like. Samples are read, and never kept.

    Raises: UsageError, NotFound, CouldNotTell.
    """
    from chalicelib.access.suggestion import proposal  # noqa: PLC0415 - no other command needs it
    from chalicelib.postgres import sample  # noqa: PLC0415 - it loads the driver

    target = find(services, text)
    found = sample.read(dsn(services, target, variable), target.schemas, rows=rows, tables=tables)
    return proposal.propose_all(found)


def apply(
    services: Services, desk: Desk, text: str, actor: Actor, variable: str, *, print_only: bool
) -> Applied:
    """Make the views of a target what its masks say, and record it; or only say what would be.

    Raises: as ``postgres.masking.apply``; ConfigError, NotFound.
    """
    from chalicelib.postgres import masking  # noqa: PLC0415 - it loads the driver

    target = find(services, text)
    masks = settings.load(services.settings, target.slug)
    done = masking.apply(
        dsn(services, target, variable),
        masks,
        _wanted(services, target),
        target=target.name,
        print_only=print_only,
    )
    if not print_only:
        _note(desk, target, APPLIED, actor, _body(done, masks))
    return done


def views(services: Services, text: str, variable: str = "") -> Views:
    """The views that the masks make of what is at the target now. Raises: as ``apply``."""
    from chalicelib.postgres import masking  # noqa: PLC0415 - it loads the driver

    target = find(services, text)
    masks = settings.load(services.settings, target.slug)
    return masking.read(dsn(services, target, variable), masks, _wanted(services, target))


def checked(
    desk: Desk,
    target: Leased,
    actor: Actor,
    *,
    request: str,
    profile: str,
    outcomes: Sequence[Outcome],
) -> None:
    """Record what attacks on the views of a target came to."""
    verdicts = [one.verdict for one in outcomes]
    body = {
        "request": request,
        "profile": profile,
        **{name: verdicts.count(name) for name in ("held", "leaked", "untold")},
        "attacks": [[one.attack, one.where, one.verdict, one.why] for one in outcomes],
    }
    _note(desk, target, CHECKED, actor, body)


def coverage(services: Services, desk: Desk, text: str) -> Seen:
    """What the log tells of a target's personal data, and of the leases that saw it clear.

    Reasons are text, where they were not erased. Raises: UsageError, NotFound, StoreUnavailable.
    """
    from chalicelib.evidence.clear import Clear  # noqa: PLC0415 - only this needs it

    target = find(services, text)
    clear = Clear([target.slug])
    for entry in desk.journal.stream(target.stream):
        clear.add(entry)
    (seen,) = clear.told()
    for one in seen.leases:
        if (sealed := parse(one.reason)) is not None:
            told = desk.reveal(Concealed(sealed), one.reason_kind, target.stream)
            one.reason = one.reason if told is None else told
    return seen


def exposed(
    found: Views, name: str, tables: frozenset[tuple[str, str]] = frozenset()
) -> list[Exposed]:
    """What a set of views shows of each relation, for attacks; ``tables``: only of these."""
    from chalicelib.access.attack.judgement import Exposed  # noqa: PLC0415 - only a check needs it

    out: dict[tuple[str, str], list[str]] = {}
    for schema, table, column in found.unclassified:
        out.setdefault((schema, table), []).append(column)
    for one in found.columns:
        if one.shows.get(name) == LEFT_OUT:
            out.setdefault((one.schema, one.table), []).append(one.column)
    return [
        Exposed(
            schema=view.base.schema,
            name=view.base.name,
            view_schema=view.schema,
            shown=dict(view.shows),
            left_out=tuple(out.get((view.base.schema, view.base.name), ())),
            filtered=bool(view.filters),
        )
        for view in found.views
        if view.set == name and (not tables or (view.base.schema, view.base.name) in tables)
    ]


def _wanted(services: Services, target: Leased) -> Wanted:
    from chalicelib.postgres.install import Wanted  # noqa: PLC0415 - it loads the driver

    section = access.section(services, services.settings.target(target.name))
    return Wanted(
        schemas=section.schemas, profiles=dict(target.profiles), owners=tuple(section.owners)
    )


def _note(desk: Desk, target: Leased, kind: str, actor: Actor, body: dict[str, Any]) -> None:
    """One record among the target's requests and leases, whatever else is recorded meanwhile."""

    def once() -> None:
        with desk.turn(target.stream):
            now = ledger.now(desk, target.stream)
            ledger.append(desk, now, [Draft(kind, target.stream, desk.now, actor, body)])

    insist(once)


def _body(done: Applied, masks: Masks) -> dict[str, Any]:
    """The body of a ``masking.applied`` record; docs/formats/record.md."""
    sets = sorted({one.set for one in done.views.views} | {"", *masks.views})
    filters = [
        [one.set, one.base.schema, one.base.name, canon.sha256("\n".join(one.filters).encode())]
        for one in done.views.views
        if one.filters
    ]
    return {
        "masks_sha256": masks.sha256,
        "statements": len(done.statements),
        "statements_sha256": done.sha256,
        "sets": sets,
        "columns": [
            [one.schema, one.table, one.column, one.klass, one.personal, one.shows]
            for one in done.views.columns
        ],
        "unclassified": [list(one) for one in done.views.unclassified],
        "rows": filters,
        "left_out": [list(one) for one in done.views.left_out],
    }
