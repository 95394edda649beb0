"""Operators, casts, collations, text search, languages and what else a schema is written in."""

from typing import NamedTuple

from support.cases import Case, one

Expected = set[tuple[str, str, str]]


class Made(NamedTuple):
    """One object: ``create`` makes ``target``, which a snapshot shows as ``shown``.

    ``before``: what must be there first. ``shown`` has ``{at}`` for the schema and ``{as_}`` for
    the name, where ``ALTER`` can change them. ``owned``: whether it has an owner.
    """

    kind: str
    before: str
    create: str
    target: str
    shown: str
    owned: bool = True

    @property
    def setup(self) -> str:
        """Everything that makes it."""
        return f"{self.before}{self.create};"

    @property
    def plain(self) -> str:
        """Its name as it was made."""
        return self.shown.format(at="public", as_="mine")

    def has(self, *attributes: str) -> Expected:
        """What is expected of it."""
        return one(self.kind, self.plain, *attributes)

    def becomes(self, statement: str, expected: Expected) -> Case:
        """What one statement changes."""
        return Case(self.setup, statement, expected)

    def altered(self, old: str, new: str, *attributes: str, since: int = 13) -> Case:
        """Dropped, and made again with ``new`` for ``old``."""
        assert self.create.count(old) == 1, old
        again = f"DROP {self.target}; {self.create.replace(old, new)}"
        return Case(self.setup, again, self.has(*attributes), since=since)


FUNCTIONS = (
    "CREATE TYPE pair AS (a integer); CREATE TYPE other AS (a integer);"
    "CREATE FUNCTION same(pair, pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';"
    "CREATE FUNCTION same2(pair, pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';"
    "CREATE FUNCTION same(pair, integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';"
    "CREATE FUNCTION cmp(pair, pair) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
    "CREATE FUNCTION cmp2(pair, pair) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
    "CREATE FUNCTION cmp(pair, integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
    "CREATE FUNCTION one(pair) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';"
    "CREATE FUNCTION two(pair) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2';"
)
MEMBERS = (
    FUNCTIONS + "CREATE OPERATOR <<< (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same);"
    "CREATE OPERATOR >>> (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same);"
    "CREATE OPERATOR <<< (LEFTARG = pair, RIGHTARG = integer, FUNCTION = same);"
)
FAMILY = "CREATE OPERATOR FAMILY sizes USING btree;"
CLASS = (
    "CREATE OPERATOR CLASS mine FOR TYPE pair USING btree FAMILY sizes"
    " AS OPERATOR 1 <<<, FUNCTION 1 cmp(pair, pair)"
)
TRANSFORMS = "".join(
    f"CREATE FUNCTION {name}(internal) RETURNS {result} LANGUAGE internal IMMUTABLE AS 'textout';"
    for name, result in (
        ("from1", "internal"),
        ("from2", "internal"),
        ("to1", "integer"),
        ("to2", "integer"),
    )
)
WATCH = "CREATE FUNCTION {}() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
PARSER = (
    "CREATE TEXT SEARCH PARSER mine (START = prsd_start, GETTOKEN = prsd_nexttoken,"
    " END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline)"
)
PARSING = (
    "CREATE FUNCTION start2(internal, integer) RETURNS internal LANGUAGE internal AS 'prsd_start';"
    "CREATE FUNCTION token2(internal, internal, internal) RETURNS internal LANGUAGE internal"
    " AS 'prsd_nexttoken';"
    "CREATE FUNCTION end2(internal) RETURNS void LANGUAGE internal AS 'prsd_end';"
    "CREATE FUNCTION types2(internal) RETURNS internal LANGUAGE internal AS 'prsd_lextype';"
    "CREATE FUNCTION headline2(internal, internal, tsquery) RETURNS internal LANGUAGE internal"
    " AS 'prsd_headline';"
)
DICTIONARIES = (
    "CREATE FUNCTION init2(internal) RETURNS internal LANGUAGE internal AS 'dsimple_init';"
    "CREATE FUNCTION lexize2(internal, internal, internal, internal) RETURNS internal"
    " LANGUAGE internal AS 'dsimple_lexize';"
)

EVENT = Made(
    "event_trigger",
    WATCH.format("watch") + WATCH.format("watch2"),
    "CREATE EVENT TRIGGER mine ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')"
    " EXECUTE FUNCTION watch()",
    "EVENT TRIGGER mine",
    "{as_}",
)
LANGUAGE = Made(
    "language",
    "CREATE FUNCTION call2() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql',"
    " 'plpgsql_call_handler';",
    "CREATE LANGUAGE mine HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler"
    " VALIDATOR plpgsql_validator",
    "LANGUAGE mine",
    "{as_}",
)
CAST = Made(
    "cast",
    FUNCTIONS,
    "CREATE CAST (pair AS integer) WITH FUNCTION one(pair)",
    "CAST (pair AS integer)",
    "public.pair as integer",
    owned=False,
)
TRANSFORM = Made(
    "transform",
    TRANSFORMS,
    "CREATE TRANSFORM FOR integer LANGUAGE plpgsql"
    " (FROM SQL WITH FUNCTION from1(internal), TO SQL WITH FUNCTION to1(internal))",
    "TRANSFORM FOR integer LANGUAGE plpgsql",
    "for integer language plpgsql",
    owned=False,
)
OPERATOR = Made(
    "operator",
    FUNCTIONS,
    "CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same)",
    "OPERATOR ===(pair, pair)",
    "{at}.===(public.pair, public.pair)",
)
OPERATOR_CLASS = Made(
    "operator_class",
    MEMBERS + FAMILY,
    CLASS,
    "OPERATOR CLASS mine USING btree",
    "{at}.{as_} using btree",
)
OPERATOR_FAMILY = Made(
    "operator_family",
    MEMBERS,
    "CREATE OPERATOR FAMILY mine USING btree",
    "OPERATOR FAMILY mine USING btree",
    "{at}.{as_} using btree",
)
METHOD = Made(
    "access_method",
    "",
    "CREATE ACCESS METHOD mine TYPE INDEX HANDLER bthandler",
    "ACCESS METHOD mine",
    "mine",
    owned=False,
)
CONVERSION = Made(
    "conversion",
    "",
    "CREATE CONVERSION mine FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
    "CONVERSION mine",
    "{at}.{as_}",
)
COLLATION = Made(
    "collation",
    "",
    "CREATE COLLATION mine (LC_COLLATE = 'C', LC_CTYPE = 'C')",
    "COLLATION mine",
    "{at}.{as_}",
)
STATISTICS = Made(
    "statistics",
    "CREATE TABLE orders (id integer, note text, total integer);",
    "CREATE STATISTICS mine (ndistinct, mcv) ON id, note FROM orders",
    "STATISTICS mine",
    "{at}.{as_}",
)
CONFIGURATION = Made(
    "text_search_configuration",
    PARSER + ";",
    "CREATE TEXT SEARCH CONFIGURATION mine (PARSER = default)",
    "TEXT SEARCH CONFIGURATION mine",
    "{at}.{as_}",
)
DICTIONARY = Made(
    "text_search_dictionary",
    "CREATE TEXT SEARCH TEMPLATE more (INIT = dsimple_init, LEXIZE = dsimple_lexize);",
    "CREATE TEXT SEARCH DICTIONARY mine (TEMPLATE = simple, STOPWORDS = english, ACCEPT = false)",
    "TEXT SEARCH DICTIONARY mine",
    "{at}.{as_}",
)
PARSES = Made(
    "text_search_parser", PARSING, PARSER, "TEXT SEARCH PARSER mine", "{at}.{as_}", owned=False
)
TEMPLATE = Made(
    "text_search_template",
    DICTIONARIES,
    "CREATE TEXT SEARCH TEMPLATE mine (INIT = dsimple_init, LEXIZE = dsimple_lexize)",
    "TEXT SEARCH TEMPLATE mine",
    "{at}.{as_}",
    owned=False,
)
EVERY = (
    EVENT,
    LANGUAGE,
    CAST,
    TRANSFORM,
    OPERATOR,
    OPERATOR_CLASS,
    OPERATOR_FAMILY,
    METHOD,
    CONVERSION,
    COLLATION,
    STATISTICS,
    CONFIGURATION,
    DICTIONARY,
    PARSES,
    TEMPLATE,
)


def _moved(made: Made, *, at: str = "public", as_: str = "mine") -> Expected:
    return made.has("-") | one(made.kind, made.shown.format(at=at, as_=as_), "+")


def _member(made: Made) -> str:
    """Its name as the member of an extension."""
    name = {
        "cast": "(public.pair AS integer)",
        "operator": "public.===(public.pair,public.pair)",
        "operator_class": "public.mine USING btree",
        "operator_family": "public.mine USING btree",
        "transform": "for integer language plpgsql",
    }.get(made.kind, made.plain)
    return f"{made.kind.replace('_', ' ')} {name}"


CASES = [
    # what every kind has
    *(Case(made.before, made.create, made.has("+")) for made in EVERY),
    *(made.becomes(f"DROP {made.target}", made.has("-")) for made in EVERY),
    *(
        made.becomes(f"COMMENT ON {made.target} IS 'changed'", made.has("comment"))
        for made in EVERY
    ),
    *(
        Case(
            "CREATE ROLE alice SUPERUSER;" + made.setup,
            f"ALTER {made.target} OWNER TO alice",
            made.has("owner"),
        )
        for made in EVERY
        if made.owned
    ),
    *(
        made.becomes(f"ALTER {made.target} RENAME TO renamed", _moved(made, as_="renamed"))
        for made in EVERY
        if "{as_}" in made.shown
    ),
    *(
        Case(
            "CREATE SCHEMA app;" + made.setup,
            f"ALTER {made.target} SET SCHEMA app",
            _moved(made, at="app"),
        )
        for made in EVERY
        if "{at}" in made.shown
    ),
    *(
        made.becomes(
            f"ALTER EXTENSION plpgsql ADD {made.target}",
            made.has("-") | one("extension_member", _member(made), "+"),
        )
        for made in EVERY
        if made is not STATISTICS  # no extension can have these
    ),
]
CASES += [
    # event_trigger
    *(
        EVENT.becomes(f"ALTER EVENT TRIGGER mine {how}", EVENT.has("enabled"))
        for how in ("DISABLE", "ENABLE REPLICA", "ENABLE ALWAYS")
    ),
    EVENT.altered("ddl_command_end", "ddl_command_start", "event"),
    EVENT.altered("'CREATE TABLE', ", "", "tags"),
    EVENT.altered("'CREATE TABLE', 'DROP TABLE'", "'DROP TABLE', 'CREATE TABLE'"),
    EVENT.altered("watch()", "watch2()", "function"),
    Case(
        EVENT.setup + "ALTER EXTENSION plpgsql ADD EVENT TRIGGER mine",
        "ALTER EVENT TRIGGER mine DISABLE",
        EVENT.has("+") | one("extension_member", _member(EVENT), "digest"),
    ),
    # language
    LANGUAGE.becomes(
        LANGUAGE.create.replace("CREATE", "CREATE OR REPLACE TRUSTED"),
        LANGUAGE.has("trusted") | one("grant", "language mine to PUBLIC", "+"),
    ),
    LANGUAGE.altered("plpgsql_call_handler", "call2", "handler"),
    LANGUAGE.altered("INLINE plpgsql_inline_handler", "", "inline"),
    LANGUAGE.altered("VALIDATOR plpgsql_validator", "", "validator"),
    Case(
        "CREATE ROLE alice;" + LANGUAGE.setup.replace("CREATE LANGUAGE", "CREATE TRUSTED LANGUAGE"),
        "REVOKE USAGE ON LANGUAGE mine FROM postgres",
        LANGUAGE.has("owner_lacks"),
    ),
    Case(
        "",
        "UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'c'",
        one("language", "c", "+") | one("grant", "language c to PUBLIC", "+"),
    ),
    Case(
        "CREATE ROLE alice",
        "ALTER LANGUAGE sql OWNER TO alice",
        one("language", "sql", "+") | one("grant", "language sql to PUBLIC", "usage"),
    ),
    # cast
    CAST.altered("one(pair)", "one(pair) AS IMPLICIT", "context"),
    CAST.altered("one(pair)", "one(pair) AS ASSIGNMENT", "context"),
    CAST.altered("one(pair)", "two(pair)", "function"),
    CAST.altered("WITH FUNCTION one(pair)", "WITH INOUT", "function", "method"),
    Case(
        FUNCTIONS,
        "CREATE CAST (pair AS other) WITH INOUT",
        one("cast", "public.pair as public.other", "+"),
    ),
    Case(
        "CREATE FUNCTION f(bigint) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "UPDATE pg_cast SET castfunc = 'f(bigint)'::regprocedure"
        " WHERE castsource = 'int8'::regtype AND casttarget = 'int4'::regtype",
        one("cast", "bigint as integer", "+"),
    ),
    # transform
    TRANSFORM.altered("from1", "from2", "from_sql"),
    TRANSFORM.altered("to1", "to2", "to_sql"),
    TRANSFORM.altered(", TO SQL WITH FUNCTION to1(internal)", "", "to_sql"),
]
CASES += [
    # operator
    OPERATOR.altered("= same", "= same2", "function"),
    OPERATOR.becomes(
        "UPDATE pg_operator SET oprresult = 'int4'::regtype WHERE oprname = '==='",
        OPERATOR.has("returns"),
    ),
    OPERATOR.altered("= same", "= same, COMMUTATOR = ===", "commutator"),
    OPERATOR.altered("= same", "= same, COMMUTATOR = ==>", "commutator"),  # not made yet
    OPERATOR.altered("= same", "= same, NEGATOR = !==", "negator"),
    OPERATOR.altered("= same", "= same, COMMUTATOR = ===, HASHES", "commutator", "hashes"),
    OPERATOR.altered("= same", "= same, COMMUTATOR = ===, MERGES", "commutator", "merges"),
    OPERATOR.becomes(
        "ALTER OPERATOR ===(pair, pair) SET (RESTRICT = eqsel)", OPERATOR.has("restrict")
    ),
    OPERATOR.becomes("ALTER OPERATOR ===(pair, pair) SET (JOIN = eqjoinsel)", OPERATOR.has("join")),
    Case(
        FUNCTIONS,
        "CREATE OPERATOR @@@ (RIGHTARG = pair, FUNCTION = one)",
        one("operator", "public.@@@(NONE, public.pair)", "+"),
    ),
    Case(
        FUNCTIONS,
        "CREATE OPERATOR @@@ (LEFTARG = pair, FUNCTION = one)",
        one("operator", "public.@@@(public.pair, NONE)", "+"),
        until=13,
    ),
    Case(
        FUNCTIONS,
        "CREATE OPERATOR pg_catalog.= (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same)",
        one("operator", "pg_catalog.=(public.pair, public.pair)", "+"),
    ),
    Case(
        "CREATE FUNCTION sel(internal, oid, internal, integer) RETURNS float8 LANGUAGE internal"
        " AS 'eqsel'",
        "ALTER OPERATOR pg_catalog.=(integer, integer) SET (RESTRICT = sel)",
        one("operator", "pg_catalog.=(integer, integer)", "+"),
    ),
    Case(
        "CREATE ROLE alice",
        "ALTER OPERATOR pg_catalog.=(integer, integer) OWNER TO alice",
        one("operator", "pg_catalog.=(integer, integer)", "+"),
    ),
    # operator_class
    OPERATOR_CLASS.altered("FOR TYPE", "DEFAULT FOR TYPE", "default"),
    OPERATOR_CLASS.altered("<<<", ">>>", "operators"),
    OPERATOR_CLASS.altered("OPERATOR 1", "OPERATOR 2", "operators"),
    OPERATOR_CLASS.altered("cmp(", "cmp2(", "functions"),
    OPERATOR_CLASS.becomes(
        "DROP OPERATOR CLASS mine USING btree; CREATE OPERATOR CLASS mine FOR TYPE other"
        " USING btree FAMILY sizes AS OPERATOR 1 <<<(pair, pair), FUNCTION 1 (pair, pair)"
        " cmp(pair, pair)",
        OPERATOR_CLASS.has("type", "operators", "functions")
        | one("operator_family", "public.sizes using btree", "operators", "functions"),
    ),
    OPERATOR_CLASS.becomes(
        "ALTER OPERATOR FAMILY sizes USING btree ADD OPERATOR 2 >>>(pair, pair)",
        OPERATOR_CLASS.has("operators"),
    ),
    OPERATOR_CLASS.becomes(
        "ALTER OPERATOR FAMILY sizes USING btree RENAME TO lengths",
        OPERATOR_CLASS.has("of")
        | one("operator_family", "public.sizes using btree", "-")
        | one("operator_family", "public.lengths using btree", "+"),
    ),
    Case(
        MEMBERS,
        "CREATE OPERATOR CLASS mine FOR TYPE pair USING btree AS OPERATOR 1 <<<",
        OPERATOR_CLASS.has("+") | OPERATOR_FAMILY.has("+"),
    ),
    Case(
        FUNCTIONS + "CREATE OPERATOR CLASS mine FOR TYPE pair USING gin AS STORAGE integer",
        "DROP OPERATOR CLASS mine USING gin;"
        "CREATE OPERATOR CLASS mine FOR TYPE pair USING gin AS STORAGE text",
        one("operator_class", "public.mine using gin", "storage"),
    ),
    Case(
        FUNCTIONS + "CREATE FUNCTION away(pair, pair) RETURNS float8 LANGUAGE sql IMMUTABLE"
        " AS 'SELECT 1.0::float8'; CREATE OPERATOR <-> (LEFTARG = pair, RIGHTARG = pair,"
        " FUNCTION = away); CREATE OPERATOR FAMILY near USING btree;"
        "CREATE OPERATOR CLASS mine FOR TYPE pair USING gist"
        " AS OPERATOR 1 <-> FOR ORDER BY float_ops",
        "DROP OPERATOR FAMILY mine USING gist; CREATE OPERATOR CLASS mine FOR TYPE pair USING gist"
        " AS OPERATOR 1 <-> FOR ORDER BY near",
        one("operator_class", "public.mine using gist", "operators"),
    ),
    Case(
        "CREATE ROLE alice",
        "ALTER OPERATOR CLASS int4_ops USING btree OWNER TO alice",
        one("operator_class", "pg_catalog.int4_ops using btree", "+"),
    ),
    # operator_family
    OPERATOR_FAMILY.becomes(
        "ALTER OPERATOR FAMILY mine USING btree ADD OPERATOR 1 <<<(pair, integer)",
        OPERATOR_FAMILY.has("operators"),
    ),
    OPERATOR_FAMILY.becomes(
        "ALTER OPERATOR FAMILY mine USING btree ADD FUNCTION 1 (pair, integer) cmp(pair, integer)",
        OPERATOR_FAMILY.has("functions"),
    ),
    Case(
        MEMBERS,
        "ALTER OPERATOR FAMILY integer_ops USING btree"
        " ADD FUNCTION 1 (pair, integer) cmp(pair, integer)",
        one("operator_family", "pg_catalog.integer_ops using btree", "+"),
    ),
    Case(
        MEMBERS + "ALTER OPERATOR FAMILY integer_ops USING btree ADD OPERATOR 1 <<<(pair, integer)",
        "ALTER OPERATOR FAMILY integer_ops USING btree"
        " ADD FUNCTION 1 (pair, integer) cmp(pair, integer)",
        one("operator_family", "pg_catalog.integer_ops using btree", "functions"),
    ),
    # access_method
    METHOD.altered("bthandler", "hashhandler", "handler"),
    METHOD.altered(
        "INDEX HANDLER bthandler", "TABLE HANDLER heap_tableam_handler", "type", "handler"
    ),
    Case(
        "CREATE FUNCTION h(internal) RETURNS index_am_handler LANGUAGE internal AS 'bthandler'",
        "UPDATE pg_am SET amhandler = 'h'::regproc WHERE amname = 'btree'",
        one("access_method", "btree", "+"),
    ),
    # conversion
    CONVERSION.altered("CREATE CONVERSION", "CREATE DEFAULT CONVERSION", "default"),
    CONVERSION.altered(
        "'LATIN1' FROM utf8_to_iso8859_1", "'KOI8R' FROM utf8_to_koi8r", "to_encoding", "function"
    ),
    CONVERSION.altered(
        "'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
        "'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        "from_encoding",
        "to_encoding",
        "function",
    ),
    CONVERSION.becomes(
        "UPDATE pg_conversion SET conproc = 'utf8_to_win'::regproc WHERE conname = 'mine'",
        CONVERSION.has("function"),
    ),
    Case(
        "CREATE ROLE alice",
        "ALTER CONVERSION utf8_to_koi8_r OWNER TO alice",
        one("conversion", "pg_catalog.utf8_to_koi8_r", "+"),
    ),
]
BUILTIN = COLLATION._replace(create="CREATE COLLATION mine (PROVIDER = builtin, LOCALE = 'C')")
ICU = COLLATION.setup + "UPDATE pg_collation SET collprovider = 'i', {} WHERE collname = 'mine';"


def _collation(change: str) -> str:
    return f"UPDATE pg_collation SET {change} WHERE collname = 'mine'"


CASES += [
    # collation; most tests' servers are built without ICU, and the catalogue takes it all the same
    COLLATION.altered("LC_COLLATE = 'C'", "LC_COLLATE = 'POSIX'", "collate"),
    COLLATION.altered("LC_CTYPE = 'C'", "LC_CTYPE = 'POSIX'", "ctype"),
    BUILTIN.altered("LOCALE = 'C'", "LOCALE = 'C.UTF-8'", "locale", since=17),
    COLLATION.altered(
        "LC_COLLATE = 'C', LC_CTYPE = 'C'",
        "PROVIDER = builtin, LOCALE = 'C'",
        "provider",
        "collate",
        "ctype",
        "locale",
        since=17,
    ),
    Case(
        ICU.format("collcollate = 'de', collctype = 'de'"),
        _collation("collcollate = 'fr', collctype = 'fr'"),
        COLLATION.has("locale"),
        until=14,
    ),
    Case(
        ICU.format("collcollate = NULL, collctype = NULL, colliculocale = 'de'"),
        _collation("colliculocale = 'fr'"),
        COLLATION.has("locale"),
        since=15,
        until=16,
    ),
    Case(
        COLLATION.setup,
        _collation("collicurules = '&a < b'"),
        COLLATION.has("icu_rules"),
        since=16,
    ),
    COLLATION.becomes(_collation("collisdeterministic = false"), COLLATION.has("deterministic")),
    COLLATION.becomes(_collation("collversion = '153.120'"), set()),
    Case(
        "CREATE ROLE alice",
        'ALTER COLLATION "POSIX" OWNER TO alice',
        one("collation", 'pg_catalog."POSIX"', "+"),
    ),
    # statistics
    STATISTICS.altered("(ndistinct, mcv)", "(ndistinct, mcv, dependencies)", "kinds"),
    STATISTICS.altered("id, note", "id, note, total", "columns"),
    STATISTICS.altered("id, note", "note, id"),
    STATISTICS.altered("id, note", "id, note, (total + 1)", "expressions", since=14),
    STATISTICS.becomes("ALTER STATISTICS mine SET STATISTICS 50", STATISTICS.has("target")),
    Case(
        STATISTICS.setup + "CREATE TABLE moved (id integer, note text)",
        "DROP STATISTICS mine; CREATE STATISTICS mine (ndistinct, mcv) ON id, note FROM moved",
        STATISTICS.has("of"),
    ),
]
MAPPED = "ALTER TEXT SEARCH CONFIGURATION mine ADD MAPPING FOR asciiword, word WITH simple;"
CASES += [
    # text_search_configuration
    CONFIGURATION.becomes(MAPPED, CONFIGURATION.has("mappings")),
    Case(
        CONFIGURATION.setup + MAPPED,
        "ALTER TEXT SEARCH CONFIGURATION mine ALTER MAPPING FOR word WITH english_stem, simple",
        CONFIGURATION.has("mappings"),
    ),
    Case(
        CONFIGURATION.setup
        + MAPPED
        + "ALTER TEXT SEARCH CONFIGURATION mine ALTER MAPPING FOR word WITH english_stem, simple",
        "ALTER TEXT SEARCH CONFIGURATION mine ALTER MAPPING FOR word WITH simple, english_stem",
        CONFIGURATION.has("mappings"),
    ),
    Case(
        CONFIGURATION.setup + MAPPED,
        "ALTER TEXT SEARCH CONFIGURATION mine DROP MAPPING FOR word",
        CONFIGURATION.has("mappings"),
    ),
    CONFIGURATION.altered("default", "mine", "parser"),
    *(
        Case("", f"ALTER TEXT SEARCH CONFIGURATION english {how}", english)
        for english in [one("text_search_configuration", "pg_catalog.english", "+")]
        for how in (
            "ALTER MAPPING FOR email WITH english_stem",
            "ALTER MAPPING FOR word WITH simple",
            "ALTER MAPPING FOR word WITH english_stem, simple",
            "ADD MAPPING FOR tag WITH simple",
            "DROP MAPPING FOR word",
        )
    ),
    # text_search_dictionary
    DICTIONARY.altered("simple", "more", "template"),
    DICTIONARY.becomes(
        "ALTER TEXT SEARCH DICTIONARY mine (ACCEPT = true)", DICTIONARY.has("options")
    ),
    DICTIONARY.becomes("ALTER TEXT SEARCH DICTIONARY mine (STOPWORDS = english)", set()),
    *(
        Case(
            "",
            f"ALTER TEXT SEARCH DICTIONARY {name} ({option})",
            one("text_search_dictionary", f"pg_catalog.{name}", "+"),
        )
        for name, option in (
            ("english_stem", "STOPWORDS"),
            ("english_stem", "STOPWORDS = danish"),
            ("arabic_stem", "STOPWORDS = danish"),
            ("simple", "STOPWORDS = danish"),
        )
    ),
    # text_search_parser
    PARSES.altered("prsd_start", "start2", "start"),
    PARSES.altered("prsd_nexttoken", "token2", "get_token"),
    PARSES.altered("prsd_end", "end2", "end"),
    PARSES.altered("prsd_lextype", "types2", "lexeme_types"),
    PARSES.altered("prsd_headline", "headline2", "headline"),
    PARSES.altered(", HEADLINE = prsd_headline", "", "headline"),
    Case(
        PARSING,
        "UPDATE pg_ts_parser SET prsstart = 'start2'::regproc WHERE prsname = 'default'",
        one("text_search_parser", "pg_catalog.default", "+"),
    ),
    # text_search_template
    TEMPLATE.altered("dsimple_init", "init2", "init"),
    TEMPLATE.altered("INIT = dsimple_init, ", "", "init"),
    TEMPLATE.altered("dsimple_lexize", "lexize2", "lexize"),
    Case(
        "CREATE SCHEMA app",
        "ALTER TEXT SEARCH TEMPLATE simple SET SCHEMA app",
        one("text_search_template", "app.simple", "+"),
    ),
]
