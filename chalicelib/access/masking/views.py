"""The views that masks make of a target's relations, as data; and every column that has none.

1. A relation in the schemas has a view where at least one of its columns is shown.
2. A column is shown where it has a class that is not hidden: clear, or through its mask.
3. What has no class is left out and told. A column that a parent has takes the parent's class.
4. Whatever a mask cannot be laid over is refused, all of it at once: nothing is half-masked.
5. A row is in a view where it passes the filters of its table, and those of all parents of that.
6. Views of a name that no profile reads, or the masks do not know, are refused: a misspelt name
   would lose a filter. So is what is said of a child alone, and seen through its parent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access.masking import catalogue, classes
from chalicelib.access.masking.column import Column, Type
from chalicelib.access.masking.draft import SCHEMA, Draft
from chalicelib.access.masking.entry import near
from chalicelib.access.masking.masks import Rule
from chalicelib.access.masking.spec import CLEAR, LEFT_OUT, Class, Spec
from chalicelib.access.plan import Step
from chalicelib.access.profile import MAX_IDENTIFIER_BYTES, Table, masked
from chalicelib.kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from chalicelib.access.masking.column import Relation
    from chalicelib.access.masking.masks import Masks

MAX_REFUSALS: Final = 20  # that a message lists


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A view that is wanted. ``set``: whose it is. ``select``: its query.

    ``shows``: its columns in order, each with the name of its mask or ``clear``.
    """

    set: str
    schema: str
    name: str
    base: Table
    oid: str
    shows: dict[str, str]
    select: Step
    filters: tuple[str, ...] = ()


class Classified(msgspec.Struct, frozen=True, kw_only=True):
    """A column with a class. ``shows``: by set of views, its mask, ``clear`` or ``left out``."""

    schema: str
    table: str
    column: str
    klass: str
    personal: bool
    shows: dict[str, str]


class Views(msgspec.Struct, frozen=True, kw_only=True):
    """All views of a target, and what is told of its columns.

    ``unclassified``: columns without a class. ``gone``: columns that have one and are not there.
    ``left_out``: relations that have no view, each with the reason.
    """

    views: tuple[View, ...]
    columns: tuple[Classified, ...]
    unclassified: tuple[tuple[str, str, str], ...]
    gone: tuple[tuple[str, str, str], ...]
    left_out: tuple[tuple[str, str, str], ...]


class _Row(msgspec.Struct, frozen=True):
    """A column under its rule."""

    column: Column
    klass: str
    of: Class
    rule: Rule


def views(
    relations: Iterable[Relation], masks: Masks, schemas: Sequence[str], sets: Iterable[str]
) -> Views:
    """The views of all relations in every set. Raises: UsageError, with all that is refused."""
    names = sorted({"", *sets})
    _check_schemas(schemas, names)
    by_name = {(one.schema, one.name): one for one in relations}
    refused = _missed(masks, names)
    failed: set[Table] = set()
    made: list[View] = []
    columns: list[Classified] = []
    unclassified: list[tuple[str, str, str]] = []
    left_out: list[tuple[str, str, str]] = []
    for (schema, name), relation in sorted(by_name.items()):
        own = masks.columns.get(Table(schema, name), {})
        if relation.partition and not own:
            continue  # read through the table that it is a part of
        rows = _rows(relation, masks, by_name)
        told = {row.column.name for row in rows}
        free = [one.name for one in relation.columns if one.name not in told]
        unclassified += [(schema, name, one) for one in free]
        wrong = [*_refused(relation, rows), *_apart(relation, masks, names, by_name)]
        refused += wrong
        why = _viewless(relation, rows)
        if why:
            left_out.append((schema, name, why))
        if wrong:
            failed.add(Table(schema, name))
            continue
        types = {one.name: one.type for one in relation.columns}
        columns += [_classified(relation, row, masks, names, {} if why else types) for row in rows]
        made += [_view(relation, rows, masks, one) for one in ([] if why else names)]
    refused += _nowhere(masks, {one.base for one in made} | failed, by_name)
    if refused:
        more = len(refused) - MAX_REFUSALS
        listed = "; ".join(refused[:MAX_REFUSALS]) + (f"; and {more} more" if more > 0 else "")
        raise UsageError(listed, next_step="docs/masking.md has the masks with their types")
    return Views(
        views=tuple(made),
        columns=tuple(columns),
        unclassified=tuple(unclassified),
        gone=tuple(_gone(masks, by_name)),
        left_out=tuple(left_out),
    )


def _missed(masks: Masks, names: Sequence[str]) -> list[str]:
    """Sets that are said in one place alone: of one with another name, a filter would be lost."""
    known = ", ".join(filter(None, names)) or "none"
    return [
        *(
            f"[views.{one}]: no profile of the target reads these views{near(one, names)} "
            f"(profiles read: {known})"
            for one in sorted(set(masks.views) - set(names))
        ),
        *(
            f"a profile reads the views {one!r}, and the masks say nothing of them: [views.{one}]"
            f"{near(one, masks.views)}"
            for one in names
            if one and one not in masks.views
        ),
    ]


def _apart(
    relation: Relation,
    masks: Masks,
    names: Sequence[str],
    by_name: Mapping[tuple[str, str], Relation],
) -> list[str]:
    """What is said of a child and not of a parent, through whose view its rows are seen too."""
    table = Table(relation.schema, relation.name)
    found = []
    for parent in (one for one in relation.parents if one in by_name and _said(masks, one)):
        other = Table(*parent)
        of_parent = {text for name in names for text in masks.filters(name, other)}
        own = {text for name in names for text in masks.filters(name, table)}
        if own - of_parent:
            found.append(f"rows of {table}: its rows are in the view of {other} too; say it there")
        inherited = {one.name for one in relation.columns if one.inherited}
        theirs, ours = masks.columns[other], masks.columns.get(table, {})
        found += [
            f"{table} column {one!r}: {other} shows it too, as {theirs[one].klass}; say it there"
            for one in sorted(inherited & set(theirs) & set(ours))
            if ours[one] != theirs[one]
        ]
    return found


def _rows(
    relation: Relation, masks: Masks, by_name: Mapping[tuple[str, str], Relation]
) -> list[_Row]:
    """The columns that have a class, their own or that of the nearest parent that says one."""
    found = []
    for column in relation.columns:
        sources = [(relation.schema, relation.name)]
        if column.inherited:
            sources += [one for one in relation.parents if one in by_name or _said(masks, one)]
        rules = (masks.columns.get(Table(*one), {}).get(column.name) for one in sources)
        rule = next((one for one in rules if one is not None), None)
        if rule is not None:
            found.append(_Row(column, rule.klass, masks.classes[rule.klass], rule))
    return found


def _said(masks: Masks, name: tuple[str, str]) -> bool:
    return Table(*name) in masks.columns


def _spec(row: _Row, types: Mapping[str, Type]) -> Spec:
    if row.rule.mask is not None:
        return classes.domained(row.klass, row.rule.mask)
    return classes.chosen(row.klass, row.of, row.column.type, types)


def _refused(relation: Relation, rows: Sequence[_Row]) -> list[str]:
    """What cannot be masked as it is written."""
    types = {one.name: one.type for one in relation.columns}
    found = []
    for row in rows:
        if row.of.clear or row.of.hidden:
            continue
        why = catalogue.refusal(_spec(row, types), row.column.type, types)
        if why:
            table = Table(relation.schema, relation.name)
            found.append(f"{table} column {row.column.name!r} ({row.column.type.shown}): {why}")
    return found


def _viewless(relation: Relation, rows: Sequence[_Row]) -> str:
    """Why a relation has no view; empty, where it has one."""
    if not relation.columns:
        return "it has no columns"
    if not rows:
        return "none of its columns has a class"
    if all(row.of.hidden for row in rows):
        return "all of its columns that have a class are hidden"
    if relation.unmapped:
        return "it is a foreign table of a server for which the owner of views has no user mapping"
    return ""


def _shows(row: _Row, masks: Masks, name: str, types: Mapping[str, Type]) -> Spec | None:
    """The mask of a column in a set; None, where it is left out."""
    if row.of.hidden:
        return None
    if row.of.clear or row.klass in masks.of(name).reveals:
        return Spec(CLEAR)
    return _spec(row, types)


def _classified(
    relation: Relation, row: _Row, masks: Masks, names: Iterable[str], types: Mapping[str, Type]
) -> Classified:
    """``types``: of all columns; none, where the relation has no view."""
    shows = {name: _shows(row, masks, name, types) if types else None for name in names}
    return Classified(
        schema=relation.schema,
        table=relation.name,
        column=row.column.name,
        klass=row.klass,
        personal=row.of.personal,
        shows={name: LEFT_OUT if one is None else one.mask for name, one in shows.items()},
    )


def _view(relation: Relation, rows: Sequence[_Row], masks: Masks, name: str) -> View:
    table = Table(relation.schema, relation.name)
    types = {one.name: one.type for one in relation.columns}
    draft = Draft(relation.schema, relation.name, types)
    shows: dict[str, str] = {}
    listed = []
    for row in rows:
        spec = _shows(row, masks, name, types)
        if spec is None:
            continue
        column = row.column
        value = (
            draft.column(column.name)
            if spec.mask == CLEAR
            else catalogue.expression(draft, draft.column(column.name), column.type, spec)
        )
        shows[column.name] = spec.mask
        listed.append(f"  {value} AS {draft.name(column.name)}")
    text = "SELECT\n" + ",\n".join(listed) + f"\nFROM {draft.source}"
    # A child has the rows of its parents too: what hides them there hides them here.
    own = [table, *(Table(*one) for one in relation.parents)]
    filters = list(dict.fromkeys(text for one in own for text in masks.filters(name, one)))
    if filters:
        text += "\nWHERE " + "\n  AND ".join(f"(\n{draft.raw(one)}\n)" for one in filters)
    return View(
        set=name,
        schema=masked(relation.schema, name),
        name=relation.name,
        base=table,
        oid=relation.oid,
        shows=shows,
        select=Step(sql=text, identifiers=draft.identifiers, literals=draft.literals),
        filters=tuple(filters),
    )


def _check_schemas(schemas: Sequence[str], sets: Sequence[str]) -> None:
    """Raises: UsageError, where the views of a schema cannot be beside it."""
    for one in schemas:
        if one == SCHEMA or one.startswith("pg_") or one == "information_schema":
            raise UsageError(
                f"the schema {one!r} is the server's or Holdfast's own: it has no masking views",
                next_step="correct schemas in the target's access section",
            )
    made = {masked(schema, name): schema for schema in schemas for name in sets}
    for one, schema in made.items():
        if len(one.encode()) > MAX_IDENTIFIER_BYTES:
            raise UsageError(f"the schema {schema!r} has too long a name for views in {one!r}")
        if one in schemas:
            raise UsageError(
                f"the views of {schema!r} are in {one!r}, which is a schema of its own"
            )
    if len(made) != len(schemas) * len(sets):
        raise UsageError("two schemas would have their views in the same schema")


def _gone(
    masks: Masks, by_name: Mapping[tuple[str, str], Relation]
) -> Iterable[tuple[str, str, str]]:
    for table, rules in sorted(masks.columns.items()):
        relation = by_name.get((table.schema, table.name))
        there = {one.name for one in relation.columns} if relation else set()
        yield from ((table.schema, table.name, one) for one in sorted(set(rules) - there))


def _nowhere(
    masks: Masks, shown: AbstractSet[Table], by_name: Mapping[tuple[str, str], Relation]
) -> list[str]:
    """Filters of tables that have no view: their rows were meant to be kept from somebody."""
    filters = {table for one in masks.views.values() for table in one.rows} | set(masks.rows)
    return [
        f"rows of {table}: there is no such table"
        if (table.schema, table.name) not in by_name
        else f"rows of {table}: it has no view"
        for table in sorted(filters - shown)
    ]
