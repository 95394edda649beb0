"""Reach: what the owner of masking views may read, and who may read the views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.access import issue
from chalicelib.access.masking.draft import SCHEMA
from chalicelib.access.plan import Step
from chalicelib.access.profile import Table
from chalicelib.kernel.errors import NotAllowed
from chalicelib.postgres.install import marked, reached
from chalicelib.postgres.owner import granted, revoked
from chalicelib.postgres.scopes import mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chalicelib.access.masking.views import Views
    from chalicelib.access.profile import Profile
    from chalicelib.postgres.install import Wanted
    from chalicelib.postgres.owner import Owner

    Name = tuple[str, str]


class Reads(NamedTuple):
    """What views read. ``columns``: as schema, relation, column. ``schemas``: whatever is named."""

    columns: set[tuple[str, str, str]]
    schemas: set[str]


def held(owner: Owner) -> list[dict[str, Any]]:
    """What the owner may do with what is another's."""
    return owner.session.rows("mask_held", role=owner.role)


def hold(owner: Owner, reads: Reads) -> None:
    """The owner may SELECT exactly what the views read, and use the schemas that they name.

    Raises: NotAllowed, where somebody gave it more that cannot be taken away here.
    """
    role = owner.role
    had = held(owner)
    columns = {
        (row["schema"], row["name"], row["column"])
        for row in had
        if row["kind"] == "column" and row["privilege"] == "SELECT"
    }
    wider = {
        (row["schema"], row["name"])
        for row in had
        if row["kind"] == "table" or (row["kind"] == "column" and row["privilege"] != "SELECT")
    }
    for table in sorted(wider):  # and with it what it has on the columns
        owner.session.run(revoked(role, table))
        columns = {one for one in columns if one[:2] != table}
    used = {row["schema"] for row in had if row["kind"] == "schema"}
    wide = {row["schema"] for row in had if row["kind"] == "schema" and row["privilege"] != "USAGE"}
    for schema in sorted((used - reads.schemas) | wide):
        owner.run("REVOKE ALL ON SCHEMA {schema} FROM {role} CASCADE", schema=schema, role=role)
    for schema in sorted((reads.schemas - used) | (wide & reads.schemas)):
        owner.run("GRANT USAGE ON SCHEMA {schema} TO {role}", schema=schema, role=role)
    for verb, word, which in (
        ("GRANT", "TO", reads.columns - columns),
        ("REVOKE", "FROM", columns - reads.columns),
    ):
        for table in sorted({one[:2] for one in which}):
            listed = sorted(one[2] for one in which if one[:2] == table)
            places = {f"c{number}": one for number, one in enumerate(listed)}
            text = ", ".join(f"{{{place}}}" for place in places)
            owner.run(
                f"{verb} SELECT ({text}) ON {{table}} {word} {{role}}",
                table=table,
                role=role,
                **places,
            )


def exactly(owner: Owner, reads: Reads) -> None:
    """Return if the owner has nothing but what the views read. Raises: NotAllowed.

    What another than the owner of a table granted, only that one can take away.
    """
    for row in held(owner):
        if row["kind"] == "schema":
            right = row["schema"] in reads.schemas and row["privilege"] == "USAGE"
        else:
            one = (row["schema"], row["name"], row["column"])
            right = one in reads.columns and row["privilege"] == "SELECT"
        if not right:
            what = Table(row["schema"], row["name"]) if row["name"] else row["schema"]
            raise NotAllowed(
                f"{owner.role} has {row['privilege']} on {what} by {row['grantor']!r}, and its "
                "views do not read that",
                next_step=f"REVOKE it as {row['grantor']}: whatever that role reads, a view shows",
            )


def readers(owner: Owner, found: Views, wanted: Wanted, there: dict[Name, dict[str, Any]]) -> bool:
    """SELECT for whatever reads the views; whether the profiles that do are installed.

    ``there``: the rows of views that were there before; one that was made again has its grants.
    A group that was installed for anything else than views is left to the next installation.
    """
    database = str(owner.session.server["database"])
    profiles = {name: one for name, one in sorted(wanted.profiles.items()) if one.masked}
    groups = {name: issue.group(database, name) for name in profiles}
    roles = {
        row["role"]: row["comment"]
        for row in owner.session.rows("roles", roles=[issue.GRANTOR, *groups.values()])
    }
    views = _Readable(owner, found, there)
    steps: list[Step] = []
    if issue.GRANTOR in roles:
        steps += views.opened(issue.GRANTOR, views.schemas, option=True)
    installed = issue.GRANTOR in roles
    for name, profile in profiles.items():
        role = groups[name]
        reach = [one for one in reached(wanted, profile) if one in views.schemas]
        if role not in roles or not views.ours(name, profile, roles[role], reach):
            installed = False
            continue
        steps += views.closed(role, reach)
        steps += views.opened(role, reach)
        text = marked(name, profile, tuple(reach))
        if roles[role] != text:
            owner.session.run(
                Step(
                    sql="COMMENT ON ROLE {role} IS {comment}",
                    identifiers={"role": role},
                    literals={"comment": text},
                )
            )
    owner.act(steps)
    return installed


class _Readable:
    """The views as they will be, with the grants that they have already."""

    def __init__(self, owner: Owner, found: Views, there: dict[Name, dict[str, Any]]) -> None:
        self.schemas = sorted({one.schema for one in found.views})
        self._session = owner.session
        rows = owner.session.rows("mask_schema", schemas=self.schemas, owner=owner.role)
        self._owned = {row["schema"] for row in rows if row["owner"] == owner.role} - {SCHEMA}
        self._users = {row["schema"]: row["users"] for row in rows}
        self._had = {
            (one.schema, one.name): there.get((one.schema, one.name), {}).get("grants", [])
            for one in found.views
        }

    def ours(self, name: str, profile: Profile, comment: str | None, reach: Sequence[str]) -> bool:
        """Whether a group is of this profile as it is now, and reaches nothing but masking views.

        Of views that it reaches no more, and that were dropped, nothing is left to be taken away.
        """
        before = mark(comment)
        if before is None or (before.profile, before.masked, sorted(before.privileges)) != (
            name,
            True,
            sorted(profile.privileges),
        ):
            return False
        others = sorted(set(before.schemas) - set(reach) - self._owned)
        return not self._session.rows("mask_schema", schemas=others, owner="")

    def closed(self, role: str, reach: Sequence[str]) -> Iterator[Step]:
        """What a role has of views that are not its any more, taken away."""
        for schema in self.schemas:
            if schema not in reach and role in {name for name, _ in self._users[schema]}:
                names: dict[str, str | tuple[str, ...]] = {"schema": schema, "role": role}
                yield Step(
                    sql="REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role} CASCADE",
                    identifiers=names,
                )
                yield Step(
                    sql="REVOKE ALL ON SCHEMA {schema} FROM {role} CASCADE", identifiers=names
                )

    def opened(self, role: str, schemas: Sequence[str], *, option: bool = False) -> Iterator[Step]:
        """What a role still lacks of USAGE on schemas and SELECT on their views."""
        suffix = " WITH GRANT OPTION" if option else ""
        for schema in schemas:
            had = {name for name, grantable in self._users[schema] if grantable or not option}
            if role not in had:
                yield Step(
                    sql=f"GRANT USAGE ON SCHEMA {{schema}} TO {{role}}{suffix}",
                    identifiers={"schema": schema, "role": role},
                )
        for name, grants in self._had.items():
            if name[0] in schemas and not any(
                (grantee, privilege, column) == (role, "SELECT", "") and (grantable or not option)
                for grantee, _, privilege, grantable, column in grants
            ):
                yield granted("SELECT", name, role, option=option)
