"""What ``mask apply`` did to the masking views of a target, and what it found, in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access.masking.spec import CLEAR, LEFT_OUT
from chalicelib.cli.text import count, say

if TYPE_CHECKING:
    from chalicelib.access.masking.views import Views
    from chalicelib.postgres.masking import Applied

MAX_LISTED: Final = 20


def tell(slug: str, done: Applied) -> None:
    """What was done, what is left out, and the next command."""
    word = "" if done.ran else "to be "
    parts = [
        f"{count(len(listed), 'view')} {word}{what}"
        for listed, what in (
            (done.made, "made"),
            (done.replaced, "replaced"),
            (done.again, "made again"),
            (done.dropped, "dropped"),
        )
        if listed
    ]
    total = count(len(done.views.views), "masking view")
    if not done.statements:
        say(f"{slug}: {total}, all as the masks say; nothing to be changed")
    else:
        ran = "run in one transaction" if done.ran else "nothing was run"
        say(
            f"{slug}: {total}; {', '.join(parts) or 'grants alone'}; "
            f"{count(len(done.statements), 'statement')}, {ran}"
        )
    shown = Counter(mask for one in done.views.columns for mask in one.shows.values())
    say(
        f"columns with a class: {len(done.views.columns)}; shown clear "
        f"{shown[CLEAR]}, left out {shown[LEFT_OUT]}, masked "
        f"{sum(shown.values()) - shown[CLEAR] - shown[LEFT_OUT]} (counted in each set of views)"
    )
    for schema, name, why in done.views.left_out[:MAX_LISTED]:
        say(f"no view of {schema}.{name}: {why}", "dim")
    tell_findings(done.views)
    if not done.ran:
        say(f"then, without --print: holdfast mask apply {slug}", "bold")
    elif findings(done.views):
        say(f"next: the masks file, then holdfast mask apply {slug}", "bold")
    elif not done.installed:
        say(
            f"next: holdfast target install {slug} --dsn-env VARIABLE, for the profiles that read "
            "the views",
            "bold",
        )
    else:
        say(f"next: holdfast mask check {slug}", "bold")


def document(slug: str, done: Applied) -> dict[str, Any]:
    """The document of ``--json``: what was done, and every column; the SQL is in statements."""
    fields = ("ran", "installed", "statements", "sha256", "made", "replaced", "again", "dropped")
    views = done.views
    return {
        "target": slug,
        **{name: getattr(done, name) for name in fields},
        "views": [
            {
                "set": one.set,
                "schema": one.schema,
                "name": one.name,
                "of": str(one.base),
                "shows": one.shows,
                "filters": list(one.filters),
            }
            for one in views.views
        ],
        "columns": msgspec.to_builtins(views.columns),
        "unclassified": views.unclassified,
        "gone": views.gone,
        "left_out": views.left_out,
    }


def findings(found: Views) -> list[tuple[str, str, str]]:
    """Columns without a class in tables that have a view, and classes of columns not there."""
    seen = {(one.base.schema, one.base.name) for one in found.views}
    return [*(one for one in found.unclassified if one[:2] in seen), *found.gone]


def tell_findings(found: Views) -> None:
    """Each of :func:`findings`, and what to do about it; the first MAX_LISTED of each kind."""
    seen = {(one.base.schema, one.base.name) for one in found.views}
    free = [one for one in found.unclassified if one[:2] in seen]
    for listed, what in (
        (
            free,
            "has no class: it is left out of the view; give it one in the masks file, or hidden",
        ),
        (found.gone, "has a class, and is not there (renamed, or dropped?)"),
    ):
        for one in listed[:MAX_LISTED]:
            say(f"{'.'.join(one)} {what}", "bold yellow")
        if len(listed) > MAX_LISTED:
            say(f"and {len(listed) - MAX_LISTED} more", "bold yellow")
