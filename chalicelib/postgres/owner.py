"""The owner of masking views at a target: the role itself, its key, and what is run as it.

Whoever can be that role reads what the views mask. So nobody is a member of it, it is a member of
nothing, it cannot log in, and it may SELECT the columns that its views read and no others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from chalicelib.access import issue
from chalicelib.access.masking.draft import KEY, SCHEMA, Draft
from chalicelib.access.plan import Step
from chalicelib.kernel import canon
from chalicelib.kernel.errors import NotAllowed, NotPermitted
from chalicelib.postgres.broker import MEMBERSHIP_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chalicelib.postgres.broker import Session

_KEY_COLUMNS: Final = ["only boolean", "inner bytea", "outer bytea"]
# HMAC's inner and outer key, from a random one of 32 bytes. Source: RFC 2104 §2: ipad is 0x36 and
# opad 0x5c, over 64 bytes. A UUID of version 4 has 122 random bits, of the server's strong source.
_MAKE_KEY: Final = """INSERT INTO {key} ("inner", "outer")
WITH random AS MATERIALIZED (
  SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    || uuid_send(gen_random_uuid())) AS bytes
),
padded AS (
  SELECT i, CASE WHEN i < 32 THEN get_byte(bytes, i) ELSE 0 END AS byte
  FROM random, generate_series(0, 63) AS i
)
SELECT decode(string_agg(lpad(to_hex(byte # 54), 2, '0'), '' ORDER BY i), 'hex'),
  decode(string_agg(lpad(to_hex(byte # 92), 2, '0'), '' ORDER BY i), 'hex')
FROM padded"""
# A string in JSON as canonical JSON has it, without the one character that no text can hold.
_STRING: Final = r'"(?:[^"\\\x01-\x1f]|\\(?:["\\bfnrt]|u00(?:0[1-9a-f]|1[0-9a-f])))*"'
_NOTE: Final = (
    rf'^\{{"holder":{_STRING},"holdfast":1,"lease":{_STRING},"log":{_STRING},"target":{_STRING},'
    rf'"until":{_STRING}\}}$'
)
# With its backslashes doubled: what a string without E means is for the caller to set.
_NOTED: Final = "E'" + _NOTE.replace("\\", "\\\\") + "'"
# Whoever the lease is for that the session logged in as: no setting of the session changes it, and
# no role can write its own comment. Names are qualified: a caller's search_path is the caller's.
# What is not exactly the note of a lease is nobody's, and no error: it would stop whoever asks.
_PERSON_BODY: Final = """
  SELECT CASE
    WHEN pg_catalog.pg_has_role(r.oid, m.oid, 'MEMBER')
      AND pg_catalog.shobj_description(r.oid, 'pg_authid') COLLATE pg_catalog."C"
        OPERATOR(pg_catalog.~) __NOTE__
    THEN pg_catalog.json_extract_path_text(
      pg_catalog.shobj_description(r.oid, 'pg_authid')::pg_catalog.json, 'holder')
  END
  FROM pg_catalog.pg_roles AS r, pg_catalog.pg_roles AS m
  WHERE r.rolname OPERATOR(pg_catalog.=) session_user
    AND m.rolname OPERATOR(pg_catalog.=) '__MARKER__'
""".replace("__NOTE__", _NOTED).replace("__MARKER__", issue.MARKER)
_PERSON: Final = (
    "CREATE OR REPLACE FUNCTION {person}() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE\n"
    f"AS $person${Draft.raw(_PERSON_BODY)}$person$"
)
_PERSON_NAME: Final = "person"


def owner(database: str) -> str:
    """The role that owns the masking views of a database."""
    return f"holdfast_mask_{canon.sha256(database.encode())[:8]}"


class Owner:
    """The role in one transaction; with ``print_only`` all is undone again, and views are left.

    ``target``: whose views they are. There is one owner a database, and each of two targets would
    drop what the other one made.
    """

    def __init__(self, session: Session, role: str, *, target: str, print_only: bool) -> None:
        self.session = session
        self.role = role
        self._note = canon.encode({"holdfast": 1, "masks_of": target}).decode()
        self._print_only = print_only

    def run(self, text: str, **names: str | tuple[str, ...]) -> None:
        """Run a statement with these names in it."""
        self.session.run(Step(sql=text, identifiers=names))

    def _later(self, step: Step) -> None:
        """A step on views themselves: where it is only printed, nobody's query waits for it."""
        if self._print_only:
            self.session.ran.append(step)
        else:
            self.session.run(step)

    def act(self, steps: Iterable[Step], role: str = "") -> None:
        """Steps as the owner of the views, or another role."""
        listed = list(steps)
        if not listed:
            return
        self.run("SET LOCAL ROLE {role}", role=role or self.role)
        for one in listed:
            self._later(one)
        self.run("SET LOCAL ROLE NONE")

    def now(self, steps: Sequence[Step]) -> None:
        """Steps as the owner that are run even where all is undone: others rest on them."""
        if steps:
            self.run("SET LOCAL ROLE {role}", role=self.role)
            for one in steps:
                self.session.run(one)
            self.run("SET LOCAL ROLE NONE")

    def there(self) -> None:
        """See that the role is there, and nothing more than it is to be. Raises: NotAllowed."""
        rows = self.session.rows("mask_owner", role=self.role)
        if not rows:
            if not (self.session.server["superuser"] or self.session.server["creates_roles"]):
                raise NotPermitted(
                    f"{self.session.server['role']!r} may not create roles",
                    next_step="--dsn-env VARIABLE, with a superuser or who owns the database",
                )
            if self.session.major >= MEMBERSHIP_OPTIONS:  # or whoever makes it could stay a member
                self.run("SET LOCAL createrole_self_grant TO ''")
            self.run("CREATE ROLE {role} NOLOGIN", role=self.role)
            self.session.run(
                Step(
                    sql="COMMENT ON ROLE {role} IS {comment}",
                    identifiers={"role": self.role},
                    literals={"comment": self._note},
                )
            )
            return
        found = rows[0]
        if found["comment"] not in {None, self._note}:
            raise NotAllowed(
                f"the masking views of database {self.session.server['database']!r} are those of "
                f"another target: {self.role} says {found['comment'][:200]}",
                next_step="name all schemas in one target; where that target was renamed: COMMENT "
                f"ON ROLE {self.role} IS NULL",
            )
        for wrong, why in (
            (found["more"], "has attributes of its own, such as BYPASSRLS"),
            (found["login"], "can log in"),
            (found["groups"], f"is a member of {', '.join(found['groups'][:3])}"),
            (found["members"], f"has members: {', '.join(found['members'][:3])}"),
            (found["functions"], f"owns functions: {', '.join(found['functions'][:3])}"),
            (found["defaults"], "gives what it makes to others, by ALTER DEFAULT PRIVILEGES"),
        ):
            if wrong:
                raise NotAllowed(
                    f"the owner of masking views, {self.role}, {why}",
                    next_step="take that from it: whoever is that role reads what is masked",
                )

    def own_schema(self) -> None:
        """The schema with the key and the function that names the person, each if it is not so.

        From here on no other application of masks runs: two at a time would undo each other. An
        advisory lock could be held by any lease, and a lock on the key only by who may change it.
        """
        session = self.session
        if self._inside().get(KEY, {}).get("kind") == "r":
            session.connection.execute(
                sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(
                    sql.Identifier(SCHEMA, KEY)
                )
            )
        rows = session.rows("mask_schema", schemas=[SCHEMA], owner=self.role)
        here = next((row for row in rows if row["schema"] == SCHEMA), None)
        if here is None:
            self.run("CREATE SCHEMA {schema} AUTHORIZATION {role}", schema=SCHEMA, role=self.role)
        elif here["owner"] != self.role:
            raise self.foreign(f"the schema {SCHEMA}", here["owner"])
        else:
            self.closed(here)
        if here is None or "" not in {name for name, _ in here["users"]}:
            self.now([Step(sql="GRANT USAGE ON SCHEMA {s} TO PUBLIC", identifiers={"s": SCHEMA})])
        inside = self._inside()
        for name, row in inside.items():
            if row["owner"] != self.role:
                raise self.foreign(f"{name} in the schema {SCHEMA}", row["owner"])
            if name not in {KEY, f"{_PERSON_NAME}()"}:
                raise NotAllowed(
                    f"{name} is in the schema {SCHEMA}, which is for the key alone",
                    next_step="drop it, or move it elsewhere",
                )
        self.now(
            [*self._key(inside.get(KEY)), *self._person(inside.get(f"{_PERSON_NAME}()"))],
        )

    def _key(self, row: dict[str, Any] | None) -> Iterator[Step]:
        """What is lacking of the table of the key. Raises: NotAllowed, where it is another one."""
        key = (SCHEMA, KEY)
        make = Step(sql=_MAKE_KEY, identifiers={"key": key})
        if row is None:
            columns = '"only" boolean PRIMARY KEY DEFAULT true CHECK ("only"), '
            columns += '"inner" bytea NOT NULL, "outer" bytea NOT NULL'
            yield Step(sql=f"CREATE TABLE {{key}} ({columns})", identifiers={"key": key})
            yield make
            return
        if row["kind"] != "r" or row["columns"] != _KEY_COLUMNS:
            raise NotAllowed(
                f"{SCHEMA}.{KEY} is not the table of the key",
                next_step="drop it: another key is made then, and pseudonyms are others",
            )
        for one in row["others"]:
            yield revoked(one, key)
        if not self._keyed():
            yield make

    @staticmethod
    def _person(row: dict[str, Any] | None) -> Iterator[Step]:
        """What is lacking of the function that names the person."""
        names: dict[str, str | tuple[str, ...]] = {"person": (SCHEMA, _PERSON_NAME)}
        if row is None or row["source"] != f"f s  {_PERSON_BODY}":
            yield Step(sql=_PERSON, identifiers=names)
        if row is not None and not row["others"]:
            yield Step(sql="GRANT EXECUTE ON FUNCTION {person}() TO PUBLIC", identifiers=names)

    def _inside(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.session.rows("mask_key", schema=SCHEMA)}

    def _keyed(self) -> bool:
        """Whether the key is there. Raises: NotAllowed, where it is not one."""
        query = sql.SQL(
            'SELECT octet_length("inner") = 64 AND octet_length("outer") = 64 FROM {}'
        ).format(sql.Identifier(SCHEMA, KEY))
        rows = self.session.connection.execute(query).fetchall()
        if rows and rows != [(True,)]:
            raise NotAllowed(
                f"{SCHEMA}.{KEY} has no key of 64 bytes for each half",
                next_step="delete its rows: another key is made then, and pseudonyms are others",
            )
        return bool(rows)

    def closed(self, schema: dict[str, Any]) -> None:
        """See that nobody else creates in a schema of the role's; ``schema``: its row."""
        self.now(
            [
                Step(
                    sql="REVOKE CREATE ON SCHEMA {schema} FROM "
                    + ("{role} CASCADE" if one else "PUBLIC CASCADE"),
                    identifiers={"schema": schema["schema"], **({"role": one} if one else {})},
                )
                for one in schema["creators"]
            ]
        )

    def kept(self) -> None:
        """See that nobody else reads the key, whatever was run on its making. Raises: NotAllowed.

        Event triggers can grant it to others at that moment.
        """
        others = self._inside()[KEY]["others"]
        if others:
            raise NotAllowed(
                f"{SCHEMA}.{KEY} can be read by {', '.join(one or 'PUBLIC' for one in others[:3])}",
                next_step="take that from them, or what grants it again: with the key pseudonyms "
                "can be guessed",
            )

    def foreign(self, what: str, who: str) -> NotAllowed:
        """The refusal of what is somebody else's."""
        return NotAllowed(
            f"{what} is there already and belongs to {who!r}, not to {self.role}",
            next_step="drop or rename it: masking views are made by Holdfast alone",
        )


def granted(
    privilege: str, view: tuple[str, str], grantee: str, *, option: bool, column: str = ""
) -> Step:
    """A privilege on a view or one of its columns, as the server names it.

    ``grantee``: empty for PUBLIC.
    """
    to = "{role}" if grantee else "PUBLIC"
    names: dict[str, str | tuple[str, ...]] = {"view": view}
    if grantee:
        names["role"] = grantee
    if column:
        names["column"] = column
    place = " ({column})" if column else ""
    suffix = " WITH GRANT OPTION" if option else ""
    return Step(sql=f"GRANT {privilege}{place} ON {{view}} TO {to}{suffix}", identifiers=names)


def revoked(grantee: str, table: tuple[str, str]) -> Step:
    """Everything that somebody may do with a table, taken away; ``grantee`` as above."""
    names: dict[str, str | tuple[str, ...]] = {"table": table}
    if grantee:
        names["role"] = grantee
    who = "{role}" if grantee else "PUBLIC"
    return Step(sql=f"REVOKE ALL ON {{table}} FROM {who} CASCADE", identifiers=names)
