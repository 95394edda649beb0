"""Changes of masking views, as data: which are made, replaced, made again with grants, dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.access.masking.views import View
from chalicelib.access.plan import Step
from chalicelib.postgres.owner import granted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Name = tuple[str, str]  # schema and name
BARRIER: Final = ["security_barrier=true"]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What has to become of the views; ``dropped``: names of those that are not wanted."""

    made: tuple[View, ...]
    replaced: tuple[View, ...]
    again: tuple[View, ...]
    dropped: tuple[Name, ...]

    @property
    def views(self) -> tuple[View, ...]:
        """Those that are there afterwards, and were not as they are."""
        return (*self.made, *self.replaced, *self.again)

    def named(self, what: str) -> tuple[str, ...]:
        """The names of ``made``, ``replaced``, ``again`` or ``dropped``."""
        names = self.dropped if what == "dropped" else map(name_of, getattr(self, what))
        return tuple(".".join(one) for one in names)

    def steps(self) -> Iterator[Step]:
        """As the owner: what goes first, since what is new may have its name."""
        for name in (*self.dropped, *map(name_of, self.again)):
            yield Step(sql="DROP VIEW {view}", identifiers={"view": name})
        for one in self.replaced:
            yield create(one, name_of(one), verb="CREATE OR REPLACE VIEW")
        for one in (*self.again, *self.made):
            yield create(one, name_of(one))


def changes(
    wanted: Sequence[View], likes: Sequence[dict[str, Any]], there: dict[Name, dict[str, Any]]
) -> Changes:
    """What has to become of the views that are there, so that they are the wanted ones.

    ``likes``: the wanted views as the server would have them; ``there``: those that are there.
    """
    made: list[View] = []
    replaced: list[View] = []
    again: list[View] = []
    for one, like in zip(wanted, likes, strict=True):
        old = there.get(name_of(one))
        if old is None:
            made.append(one)
        elif not _same(old, like):
            (replaced if _extends(old, like) else again).append(one)
    return Changes(
        made=tuple(made),
        replaced=tuple(replaced),
        again=tuple(again),
        dropped=tuple(sorted(set(there) - {name_of(one) for one in wanted})),
    )


def restored(
    name: Name, old: dict[str, Any], columns: set[str], role: str
) -> Iterator[tuple[str, list[Step]]]:
    """The grants that a view had, by who granted them: each after whoever it has them from."""
    order = [role]
    for grantor in order:
        steps = []
        for grantee, by, privilege, option, column in old["grants"]:
            if by != grantor or (column and column not in columns):
                continue
            steps.append(granted(privilege, name, grantee, option=option, column=column))
            if option and grantee not in order:
                order.append(grantee)
        yield grantor, steps


def name_of(one: View) -> Name:
    """The schema and the name of a view."""
    return one.schema, one.name


def create(one: View, name: Name, verb: str = "CREATE VIEW") -> Step:
    """The statement that makes a view, under this name."""
    return Step(
        sql=f"{verb} {{view}} WITH (security_barrier=true) AS\n{one.select.sql}",
        identifiers={**one.select.identifiers, "view": name},
        literals=one.select.literals,
    )


def _same(old: dict[str, Any], like: dict[str, Any]) -> bool:
    keys = ("definition", "columns", "types")
    return old["options"] == BARRIER and all(old[key] == like[key] for key in keys)


def _extends(old: dict[str, Any], like: dict[str, Any]) -> bool:
    """Whether CREATE OR REPLACE VIEW can: columns are only added, at the end."""
    count = len(old["columns"])
    return all(old[key] == like[key][:count] for key in ("columns", "types"))
