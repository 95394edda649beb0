import pytest
from psycopg.conninfo import make_conninfo

from chalicelib.postgres import concealing, parameters
from chalicelib.postgres.concealing import Concealer
from chalicelib.postgres.parameters import InFile, Parameter
from chalicelib.postgres.text import listed

SECRET = "hunter2hunter2"
HIDDEN = Concealer(lambda secret: f"<{len(secret)}>")


def settings(snapshot):
    return {name: i.attributes for (kind, name), i in snapshot.objects.items() if kind == "setting"}


def gap(snapshot):
    found = snapshot.objects.get(("coverage", "setting"))
    return found.attributes if found else None


@pytest.fixture
def configured(database):
    """A function that sets parameters server-wide; they are reset afterwards."""
    names = []

    def configure(**values):
        for name, value in values.items():
            names.append(name)
            database.run(f"ALTER SYSTEM SET {name} = '{value}'")
        _reload(database)

    yield configure
    for name in names:
        database.run(f"ALTER SYSTEM RESET {name}")
    _reload(database)


def _reload(database):
    """Ask until the server has read its files, a bounded number of times."""
    before = database.value("SELECT pg_conf_load_time()::text")
    database.run("SELECT pg_reload_conf()")
    for _ in range(1000):
        if database.value("SELECT pg_conf_load_time()::text") != before:
            return
    raise AssertionError("the server did not reload its configuration")


def test_a_changed_parameter_shows(database, configured):
    assert settings(database.scan())["log_statement"]["value"] == "none"
    configured(log_statement="ddl")
    found = settings(database.scan())["log_statement"]
    assert found["value"] == "ddl"
    assert found["source"] == "configuration file"
    assert found["source_file"].endswith("postgresql.auto.conf")


def test_a_parameter_that_waits_for_a_restart_says_so(database, configured):
    assert "pending_restart" not in settings(database.scan())["max_connections"]
    configured(max_connections="60")
    found = settings(database.scan())["max_connections"]
    assert found["pending_restart"] is True
    assert found["pending_value"] == "60"
    assert found["value"] == "50"


def test_units_are_told(database):
    found = settings(database.scan())["shared_buffers"]
    assert (found["value"], found["unit"]) == ("2048", "8kB")


def test_our_own_session_does_not_show(database):
    found = settings(database.scan())
    assert not parameters.LEFT_OUT & set(found)
    assert found["search_path"]["value"] == '"$user", public'
    assert found["statement_timeout"]["value"] == "0"
    assert found["jit"]["source"] == "default"
    assert gap(database.scan()) is None


def test_two_scans_of_a_quiet_server_give_the_same_settings(database):
    assert settings(database.scan()) == settings(database.scan())


def test_a_value_from_the_dsn_is_not_taken_for_the_servers(database):
    dsn = make_conninfo(database.dsn, options="-c work_mem=7MB -c statement_timeout=9000")
    seen = database.scan(dsn)
    assert "work_mem" not in settings(seen)
    assert "statement_timeout" not in settings(seen)
    assert gap(seen)["partial"] is True
    assert "this connection: statement_timeout, work_mem" in gap(seen)["reason"]


def test_a_value_of_the_role_is_not_taken_for_the_servers(database):
    database.run(
        "CREATE ROLE scanner LOGIN PASSWORD 'x'",
        "GRANT pg_read_all_settings TO scanner",
        "ALTER ROLE scanner SET work_mem = '7MB'",
        "ALTER ROLE scanner IN DATABASE test SET maintenance_work_mem = '7MB'",
    )
    seen = database.scan(database.as_role("scanner", "x"))
    assert not {"work_mem", "maintenance_work_mem"} & set(settings(seen))
    for word in ("user: work_mem", "user: maintenance_work_mem"):
        assert word in gap(seen)["reason"]


@pytest.mark.parametrize(
    ("statement", "source"),
    [
        ("ALTER DATABASE test SET temp_buffers = '7MB'", "database"),
        ("ALTER ROLE ALL SET temp_buffers = '7MB'", "global"),
    ],
)
def test_a_value_that_everybody_here_gets_is_the_value(statement, source, database):
    before = database.scan()
    database.run(statement)
    after = database.scan()
    assert settings(after)["temp_buffers"]["value"] == "896"
    assert settings(after)["temp_buffers"]["source"] == source
    assert settings(before).keys() == settings(after).keys()
    assert ("coverage", "setting") not in after.objects


def test_a_hidden_value_is_taken_from_the_files(database, configured):
    configured(work_mem="12MB", enable_seqscan="off", random_page_cost="1.50", search_path="app")
    database.run(
        "CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'x'",
        "ALTER ROLE admin SET work_mem = '7MB'",
        "ALTER ROLE admin IN DATABASE test SET enable_seqscan = on",
        "ALTER ROLE admin SET random_page_cost = 9",
        "ALTER ROLE admin SET search_path = 'evil'",
    )
    hidden = settings(database.scan(database.as_role("admin", "x")))
    assert hidden == settings(database.scan())
    assert hidden["work_mem"]["value"] == "12288"


@pytest.mark.parametrize(
    ("text", "vartype", "unit", "normal"),
    [
        ("on", "bool", None, "on"),
        ("YES", "bool", None, "on"),
        ("0", "bool", None, "off"),
        ("perhaps", "bool", None, None),
        ("replica", "enum", None, "replica"),
        ("12MB", "integer", "kB", "12288"),
        ("1GB", "integer", "8kB", "131072"),
        ("1.5GB", "integer", "MB", "1536"),
        ("5min", "integer", "s", "300"),
        ("1d", "integer", "ms", "86400000"),
        ("250us", "real", "ms", "0.25"),
        ("4", "integer", "kB", "4"),
        ("1.5", "real", None, "1.5"),
        ("1e3", "real", None, "1000"),
        ("1.5", "integer", None, None),
        ("12 parsecs", "integer", "kB", None),
        ("12ms", "integer", "kB", None),
        ("0x10", "integer", None, None),
        ("-1", "integer", "kB", "-1"),
    ],
)
def test_values_from_files_are_written_as_the_server_writes_them(text, vartype, unit, normal):
    row = Parameter("p", "other", "boot", unit, vartype, "user", None, pending_restart=False)
    found = parameters.objects([row], [InFile("p", text, "f")], HIDDEN, sees_all=True)
    values = [item.attributes["value"] for item in found if item.kind == "setting"]
    assert values == ([] if normal is None else [normal])
    assert [item.kind for item in found if item.kind == "coverage"] == (
        ["coverage"] if normal is None else []
    )


@pytest.mark.parametrize(
    "name", ["app.password", "app.api_secret", "app.Token", "x.signing_key", "a.credential",
             "a.private", "pgsodium.passphrase", "ssl_passphrase_command"]
)  # fmt: skip
def test_values_of_secret_parameters_are_concealed(name):
    assert HIDDEN.setting(name, SECRET) == "<14>"


@pytest.mark.parametrize(
    "name", ["password_encryption", "ssl_key_file", "tcp_keepalives_idle", "krb_server_keyfile"]
)
def test_parameters_of_the_server_that_only_sound_secret_stay_visible(name):
    assert HIDDEN.setting(name, "plain") == "plain"


def test_an_empty_secret_stays_empty():
    assert not HIDDEN.setting("app.password", "")


def test_a_conninfo_keeps_what_is_not_secret():
    shown = HIDDEN.setting("primary_conninfo", f"host=a password='{SECRET}' user=rep")
    assert shown == "host=a password=<14> user=rep"


def test_a_conninfo_that_cannot_be_read_is_concealed_whole():
    assert HIDDEN.setting("primary_conninfo", f"host=a password='{SECRET}") == "<31>"


@pytest.mark.parametrize(
    "value",
    [
        f"curl https://ana:{SECRET}@backup/",
        f"PGPASSWORD={SECRET} pg_receivewal",
        f"AWS_SECRET_ACCESS_KEY='{SECRET}' wal-g push",
        f"host=a password={SECRET} user=b",
    ],
)
def test_passwords_within_commands_are_concealed(value):
    shown = HIDDEN.setting("archive_command", value)
    assert SECRET not in shown
    assert "<" in shown


def test_secrets_are_concealed_wherever_parameters_are_kept(database, configured):
    configured(primary_conninfo=f"host=a user=rep password={SECRET}")
    database.run(
        "CREATE ROLE bob",
        f"ALTER ROLE bob SET app.secret = '{SECRET}'",
        f"CREATE FUNCTION f() RETURNS integer LANGUAGE sql SET app.password = '{SECRET}'"
        " AS 'SELECT 1'",
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE SERVER s FOREIGN DATA WRAPPER w",
        f"CREATE FOREIGN TABLE t (a integer OPTIONS (secret '{SECRET}')) SERVER s"
        f" OPTIONS (password '{SECRET}', path 'x')",
    )
    seen = database.scan()
    assert SECRET not in seen.data.decode()
    assert settings(seen)["primary_conninfo"]["value"] == "host=a password=<14> user=rep"
    assert seen.objects[("role_setting", "app.secret for role bob")].attributes["value"] == "<14>"
    assert seen.objects[("function", "public.f()")].attributes["config"] == ["app.password=<14>"]
    options = seen.objects[("table", "public.t")].attributes["options"]
    assert options == ["password=<14>", "path=x"]


def test_role_settings_for_everybody_have_no_parent(database):
    database.run("ALTER ROLE ALL SET work_mem = '5MB'")
    found = database.scan().objects[("role_setting", "work_mem for all roles")]
    assert found.attributes == {"value": "5MB"}


@pytest.mark.parametrize(
    "value",
    [
        "a://b:" * 170_000,
        "password" * 125_000 + "=",
        "password" + " " * 1_000_000,
        "password='" * 100_000,
        "a" * 1_000_000 + "=",
    ],
)
def test_values_of_a_megabyte_cost_no_more_than_their_length(value):
    assert HIDDEN.setting("search_path", value) in {f"<{len(value)}>", value}
    # Without the bound the work is still linear.
    assert list(concealing._uri_passwords(value)) == []
    assert len(list(concealing._assigned(value))) <= 50_000


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("postgres://ana:hunter@a/x http://b:c d://e:fgh@i", "postgres://ana:<6>@a/x http://b:c d://e:<3>@i"),
        ("password='unclosed", "password=<9>"),
        ("password1 = 'a\\'b' c", "password1 = <6> c"),
        ("x9password=abc&token: d", "x9password=<3>&token: <1>"),
        ("a://b:@c", "a://b:@c"),
        ("host=a", "host=a"),
    ],
)  # fmt: skip
def test_secrets_are_found_at_each_place(value, shown):
    assert HIDDEN.setting("cluster_name", value) == shown


def test_a_conninfo_of_unusual_length_is_concealed_whole():
    assert HIDDEN.setting("primary_conninfo", "host=" + "a" * 20_000) == "<20005>"


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        ('"pg_catalog"', "pg_catalog"),
        ('"$user", Public,"We""ird"', '"$user", public, "We""ird"'),
        ('""', '""'),
        ("", ""),
        ('a"b', 'a"b'),
        ("a,", "a,"),
        ("a b", "a b"),
    ],
)
def test_lists_of_identifiers_are_quoted_only_where_they_must_be(value, normal):
    assert listed("search_path", value) == normal
    assert listed("other", value) == value


@pytest.mark.parametrize(
    "value",
    ["curl --user bob:x", "put --password x", "curl -H 'Authorization: Bearer x'", "put ana@host"],
)
def test_a_command_that_may_hold_a_secret_is_concealed_whole(value):
    assert HIDDEN.setting("archive_command", value) == f"<{len(value)}>"


def test_a_plain_command_stays_visible():
    assert HIDDEN.setting("archive_command", "cp %p /archive/%f") == "cp %p /archive/%f"


@pytest.mark.parametrize("name", ["app.db_pass", "app.pwd", "app.auth_header"])
def test_more_words_that_name_secrets(name):
    assert HIDDEN.setting(name, SECRET) == "<14>"


def test_a_password_in_json_is_concealed():
    assert SECRET not in HIDDEN.setting("app.config", '{"password": "' + SECRET + '"}')
