"""Kinds that take a server of their own: its files, ``ALTER SYSTEM``, slots and secrets."""

import hashlib
import hmac
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from support.dump import dump, restore
from support.server_cases import AUTO, CASES, CONF, HBA, IDENT, MANY, MORE, RULES, SIX, WORK

from chalicelib.drift import snapshot
from chalicelib.postgres.embedded import EmbeddedServer
from chalicelib.postgres.snapshot import PostgresSource

SETTINGS = {"wal_level": "logical", "shared_buffers": "16MB", "autovacuum": "off"}
INCLUDED = (("more.conf", MORE), ("maps.conf", MANY), ("work.conf", WORK))


class Server:
    """A server whose files a test may change; it never reads them again by itself."""

    def __init__(self, server):
        self.server = server
        self.clean = {
            name: (server.data / name).read_text("utf-8") for name in (HBA, IDENT, CONF, AUTO)
        }

    def write(self, file, text):
        kept = self.clean[file] if file in {CONF, AUTO} else ""
        (self.server.data / file).write_text(kept + text, "utf-8")

    def run(self, text):
        folders = {name: self.server.folder / name for name in ("one", "two")}
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            for statement in filter(None, map(str.strip, text.split(";"))):
                connection.execute(statement.format(**folders))

    def put(self, case, text):
        if case.file:
            self.write(case.file, text)
        else:
            self.run(text)

    def read(self, dsn="", **options):
        options.setdefault("conceal", lambda secret: f"<{len(secret)}>")
        source = PostgresSource(dsn or self.server.dsn(), **options)
        return source.read(lambda _kind, _done, _total: None)

    def scan(self, **options):
        return snapshot.build(self.read(**options).objects)

    def reset(self):
        for name, text in self.clean.items():
            (self.server.data / name).write_text(text, "utf-8")
        with psycopg.connect(self.server.dsn(), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
            )
            connection.execute(
                "SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin"
            )
            connection.execute("DROP TABLESPACE IF EXISTS ts")
            connection.execute("DROP ROLE IF EXISTS bob")


@pytest.fixture(scope="session")
def own_server(postgres_server):
    """Of the same version as the other one, and with folders for tablespaces."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-tests-"))
    folder.chmod(0o755)
    server = EmbeddedServer(
        folder, bin_dir=postgres_server.bin_dir, settings=SETTINGS, durable=False
    )
    try:
        with server:
            for name, text in INCLUDED:
                (server.data / name).write_text(text, "utf-8")
            for name in ("one", "two"):
                (folder / name).mkdir()
                shutil.chown(folder / name, server.data.owner(), server.data.group())
            yield Server(server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own(own_server):
    """The server with nothing of other tests."""
    try:
        yield own_server
    finally:
        own_server.reset()


def difference(before, after):
    """(kind, name, attribute) of all that differs; + and - for objects that came or went."""
    found = {(*key, "-") for key in before.objects.keys() - after.objects.keys()}
    found |= {(*key, "+") for key in after.objects.keys() - before.objects.keys()}
    for key in before.objects.keys() & after.objects.keys():
        old, new = before.objects[key].attributes, after.objects[key].attributes
        found |= {(*key, at) for at in old.keys() | new.keys() if old.get(at) != new.get(at)}
    return found


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{n}-{case.file or case.after[:40]}" for n, case in enumerate(CASES)]
)
def test_a_change_shows_on_exactly_the_right_attributes(case, own, major):
    if major < case.since:
        pytest.skip(f"from PostgreSQL {case.since} on")
    own.put(case, case.before)
    before = own.scan()
    own.put(case, case.after)
    assert difference(before, own.scan()) == case.expected


def keyed(secret):
    """As the store conceals, with a key that the server has never seen."""
    return "hmac:" + hmac.new(b"key", secret.encode(), "sha256").hexdigest()[:32]


def role(own):
    return own.scan(conceal=keyed).objects["role", "bob"].attributes


def test_a_new_password_is_another_digest_and_the_old_one_is_not_there(own):
    own.run("CREATE ROLE bob LOGIN PASSWORD 'first'")
    first = role(own)
    assert role(own) == first
    own.run("ALTER ROLE bob PASSWORD 'second'")
    second = role(own)
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"password_digest"}
    assert first["password_digest"].startswith("hmac:")


def test_what_the_server_keeps_of_a_password_never_leaves_it(own):
    own.run("CREATE ROLE bob LOGIN PASSWORD 'first'")
    with psycopg.connect(own.server.dsn()) as connection:
        kept = connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = 'bob'"
        ).fetchone()[0]
    given = []

    def conceal(secret):
        given.append(secret)
        return keyed(secret)

    reading = own.read(conceal=conceal)
    assert hashlib.sha256(kept.encode()).hexdigest() in given
    parts = [kept, *kept.split("$")[1:], kept.rpartition(":")[2], kept.rpartition(":")[0]]
    everything = "\n".join([*map(repr, reading.objects), *map(repr, given), repr(reading)])
    assert not [part for part in parts if part in everything]


def test_secrets_in_rules_are_concealed_and_their_errors_quote_nothing(own):
    own.write(HBA, f"{RULES}local all bob hush\nhost all all all ldap ldapbindpasswd hush\n")
    text = "\n".join(map(repr, own.scan().objects.values()))
    assert "radiussecrets=<3>" in text
    assert "ldapbindpasswd" not in text
    assert "hush" not in text


def test_secrets_in_configuration_files_are_concealed(own):
    own.write(CONF, "primary_conninfo = 'host=a password=hush'\nmine.token = 'whisper'\n")
    found = own.scan().objects
    assert found["file_setting", "primary_conninfo in postgresql.conf"].attributes["value"] == (
        "host=a password=<4>"
    )
    assert found["file_setting", "mine.token in postgresql.conf"].attributes["value"] == "<7>"


def test_no_word_in_a_rule_passes_for_another_one(own):
    own.write(HBA, 'local all "bob #2" peer\nlocal all bob peer\nlocal all bob md5\n')
    names = {name for kind, name in own.scan().objects if kind == "hba_rule"}
    assert names == {'local all "bob #2"', "local all bob", "local all bob #2"}


def test_a_mask_with_holes_stands_as_it_is(own):
    own.write(HBA, "host all all 10.0.0.1 255.0.0.255 md5\n")
    names = {name for kind, name in own.scan().objects if kind == "hba_rule"}
    assert names == {"host all all 10.0.0.1 255.0.0.255"}


def test_a_rule_of_ipv6_has_its_length(own):
    own.write(HBA, RULES)
    assert ("hba_rule", SIX) in own.scan().objects


def test_temporary_slots_and_what_moves_in_the_others_are_left_out(own):
    own.run("SELECT pg_create_physical_replication_slot('mine', true)")
    with psycopg.connect(own.server.dsn(), autocommit=True) as other:
        before = own.scan()
        other.execute("SELECT pg_create_physical_replication_slot('passing', true, true)")
        other.execute("SELECT pg_create_physical_replication_slot('later', true)")
        other.execute("SELECT pg_drop_replication_slot('later')")
        other.execute("SELECT pg_switch_wal()")
        assert own.scan().data == before.data


def test_origins_that_subscriptions_make_are_left_out(own):
    own.run("CREATE SUBSCRIPTION sub CONNECTION '' PUBLICATION p WITH (connect = false)")
    try:
        found = own.scan().objects
        assert ("subscription", "sub") in found
        assert not [name for kind, name in found if kind == "replication_origin"]
    finally:
        own.run("ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub")


def test_subscriptions_of_other_databases_are_left_out(own):
    own.run("CREATE DATABASE aside")
    try:
        with psycopg.connect(own.server.dsn("aside"), autocommit=True) as other:
            other.execute(
                "CREATE SUBSCRIPTION sub CONNECTION '' PUBLICATION p WITH (connect = false)"
            )
            found = own.scan().objects
            other.execute("ALTER SUBSCRIPTION sub SET (slot_name = NONE)")
            other.execute("DROP SUBSCRIPTION sub")
        assert not [name for kind, name in found if kind == "subscription"]
    finally:
        own.run("DROP DATABASE aside")


CARRIED = (
    "CREATE ROLE bob",
    "CREATE FOREIGN DATA WRAPPER w OPTIONS (debug 'on')",
    "CREATE SERVER srv TYPE 't' VERSION '1' FOREIGN DATA WRAPPER w OPTIONS (host 'x', port '1')",
    "CREATE USER MAPPING FOR bob SERVER srv OPTIONS (user 'a', password 'b')",
    "CREATE USER MAPPING FOR PUBLIC SERVER srv",
    "COMMENT ON SERVER srv IS 'far away'",
    "CREATE TABLE gone (a integer)",
    "CREATE TABLE orders (x integer, id integer PRIMARY KEY, note text)",
    "ALTER TABLE orders DROP x",
    "DROP TABLE gone",
    "CREATE PUBLICATION pub FOR TABLE orders WITH (publish = 'update, insert')",
    "CREATE SUBSCRIPTION sub CONNECTION 'password=b' PUBLICATION z, y WITH (connect = false)",
    "SELECT lo_create(4711)",
    "COMMENT ON LARGE OBJECT 4711 IS 'a picture'",
    "GRANT SELECT ON LARGE OBJECT 4711 TO bob",
)
PARTS = (
    "CREATE SCHEMA app",
    "CREATE PUBLICATION part FOR TABLE orders (note, id) WHERE (id > -1 OR id IN (-2, 3))",
    "CREATE PUBLICATION whole FOR TABLES IN SCHEMA app",
)
KINDS = {
    *("foreign_data_wrapper", "server", "user_mapping", "publication", "publication_table"),
    *("publication_schema", "subscription", "large_object", "extension", "extension_member"),
}


def carried(database):
    return [
        item.line
        for item in database.scan().objects.values()
        if item.kind in KINDS or item.name.startswith("large_object ")
    ]


def test_what_is_foreign_or_replicated_is_the_same_after_dump_and_restore(
    database, other_database, major
):
    # pg_dump 18 writes options of subscriptions that servers before 16 do not know.
    subscribed = major >= 16
    made = [one for one in CARRIED if subscribed or "SUBSCRIPTION" not in one]
    database.run(*made, *(PARTS if major >= 15 else ()))
    lines = carried(database)
    kinds = 9 + (major >= 15) + subscribed
    assert len({line.split(b",")[0] for line in lines}) == kinds
    assert restore(dump(database.dsn), other_database.dsn) == []
    assert carried(other_database) == lines
