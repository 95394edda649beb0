"""A corpus of columns, each with the class that a person would give it; all values are made up.

``public`` and "" are one truth: nothing in it is personal. Values come from a seeded generator, so
the corpus is the same in every run.
"""

import random
from datetime import date, timedelta
from typing import NamedTuple

from chalicelib.access.masking.column import Family, Type
from chalicelib.access.suggestion.checksum import iban, luhn
from chalicelib.access.suggestion.national import KINDS
from chalicelib.access.suggestion.specimen import Column, Table


def _words(text):
    return text.split()


FIRST = _words(
    """
    Ana Ben Chloé Dirk Eva Femke Gil Hana Ivo Jana Kofi Lena Mia Noor Omar Pia
    """
)
LAST = _words(
    """
    Souza Meyer Dubois Rossi García Jansen Novak Okafor Lindqvist O'Neil Kaya Silva
    """
)
WORDS = _words(
    """
    the order was late and nobody called back about it so we would like to have our money
    now please send another one to the same place as before thank you very much for the help
    """
)
STREETS = ["Hauptstraße", "Main Street", "Rue de la Paix", "Calle Mayor", "Via Roma", "Kerkstraat"]


class Labelled(NamedTuple):
    table: str
    name: str
    truth: str
    column: Column


def _type(name, family, *, array=False):
    of = "_" + name if array else name
    element = ("pg_catalog", name) if array else ("", "")
    shown = name + "[]" if array else name
    return Type(
        schema="pg_catalog", name=of, family=family, array=array, element=element, shown=shown
    )


TYPES = {
    "text": _type("text", Family.TEXT),
    "text[]": _type("text", Family.TEXT, array=True),
    "int": _type("int4", Family.INT),
    "bigint": _type("int8", Family.INT),
    "numeric": _type("numeric", Family.DECIMAL),
    "float": _type("float8", Family.FLOAT),
    "bool": _type("bool", Family.BOOL),
    "date": _type("date", Family.DATE),
    "timestamptz": _type("timestamptz", Family.TIMESTAMPTZ),
    "uuid": _type("uuid", Family.UUID),
    "inet": _type("inet", Family.INET),
    "macaddr": _type("macaddr", Family.MAC),
    "jsonb": _type("jsonb", Family.JSONB),
    "bytea": _type("bytea", Family.BYTEA),
    "point": _type("point", Family.OTHER),
    "enum": Type(schema="public", name="mood", family=Family.ENUM, shown="mood"),
}


def _digits(r, number):
    return "".join(r.choice("0123456789") for _ in range(number))


def _checked(r, make, check):
    while True:
        value = make(r)
        if check(value):
            return value


def _email(r):
    return f"{r.choice(FIRST).lower().replace('é', 'e')}.{_digits(r, 3)}@example.com"


def _full(r):
    return f"{r.choice(FIRST)} {r.choice(LAST)}"


def _day(r, start=1940, years=65):
    return str(date(start, 1, 1) + timedelta(days=r.randrange(365 * years)))


def _moment(r):
    return f"{_day(r, 2020, 5)} 10:{r.randrange(60):02}:00+00"


def _sentence(r):
    return " ".join(r.sample(WORDS, r.randrange(8, 20)))


def _card(r):
    return _checked(r, lambda r: "4" + _digits(r, 15), luhn)


def _iban(r):
    return _checked(r, lambda r: f"DE{_digits(r, 20)}", iban)


def _national(kind, make):
    return lambda r: _checked(r, make, KINDS[kind].check)


def _mixed(r):
    return _sentence(r) + (f", mail {_email(r)}" if r.random() < 0.1 else "")


def _profile(r):
    return f'{{"contact": {{"mail": "{_email(r)}"}}, "visits": {r.randrange(9)}}}'


def _token(r):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(r.choice(letters) for _ in range(40))


def _one(*several):
    return lambda r: r.choice(several)


def _either(*makers):
    return lambda r: r.choice(makers)(r)


def _hex(number):
    return lambda r: "".join(r.choice("0123456789abcdef") for _ in range(number))


def _ip(r):
    return ".".join(str(r.randrange(1, 255)) for _ in range(4))


# table, column, type, truth, how a value is made (None: nothing was sampled)
_CORPUS = [
    ("users", "email", "text", "email", _email),
    ("t", "c1", "text", "email", _email),
    ("people", "contact_emails", "text[]", "email", lambda r: f"{{{_email(r)},{_email(r)}}}"),
    ("kunden", "mailadresse", "text", "email", None),
    ("users", "phone", "text", "phone", lambda r: "+49 30 " + _digits(r, 7)),
    ("t", "c2", "text", "phone", lambda r: "+1 " + "-".join(("202", "555", _digits(r, 4)))),
    ("patients", "mobile_number", "bigint", "phone", lambda r: "49151" + _digits(r, 8)),
    ("t", "telefon_privat", "text", "phone", lambda r: "030 " + _digits(r, 7)),
    ("payments", "card_number", "text", "card", _card),
    ("t", "c3", "text", "card", _card),
    ("payments", "iban", "text", "iban", _iban),
    ("t", "c4", "text", "iban", _iban),
    ("payments", "kontonummer", "text", "account", lambda r: _digits(r, 10)),
    ("staff", "ssn", "text", "national-id", _national("ssn", lambda r: "536-22-" + _digits(r, 4))),
    ("t", "c5", "text", "national-id", _national("bsn", lambda r: _digits(r, 9))),
    ("t", "c6", "text", "national-id", _national("cpf", lambda r: _digits(r, 11))),
    ("mitarbeiter", "steuer_id", "text", "national-id", None),
    ("customers", "tax_id", "text", "national-id", lambda r: "X" + _digits(r, 7)),
    ("users", "first_name", "text", "name", _one(*FIRST)),
    ("customers", "name", "text", "name", _full),
    ("personen", "Nachname", "text", "name", _one(*LAST)),
    ("alumnos", "primer_apellido", "text", "name", _one(*LAST)),
    ("orders", "customerName", "text", "name", _full),
    ("users", "username", "text", "username", lambda r: r.choice(FIRST).lower() + _digits(r, 2)),
    ("users", "login", "text", "email", _email),
    ("users", "login_name", "text", "username", lambda r: r.choice(FIRST).lower() + _digits(r, 2)),
    ("users", "street", "text", "address", lambda r: f"{r.choice(STREETS)} {r.randrange(99)}"),
    ("users", "address_line_2", "text", "address", None),
    ("users", "plz", "text", "postcode", lambda r: _digits(r, 5)),
    ("users", "zip_code", "text", "postcode", lambda r: _digits(r, 5)),
    ("places", "lat", "float", "location", lambda r: f"{r.uniform(-90, 90):.6f}"),
    ("places", "lng", "numeric", "location", lambda r: f"{r.uniform(-180, 180):.6f}"),
    ("t", "c7", "text", "location", lambda r: f"{r.uniform(40, 60):.5f}, {r.uniform(2, 20):.5f}"),
    ("users", "date_of_birth", "date", "birth-date", _day),
    ("patients", "geburtsdatum", "date", "birth-date", _day),
    ("logins", "remote_addr", "inet", "ip", None),
    ("t", "c8", "text", "ip", _ip),
    ("devices", "mac", "macaddr", "device", None),
    (
        "devices",
        "imei",
        "text",
        "device",
        lambda r: _checked(r, lambda r: "35" + _digits(r, 13), luhn),
    ),
    ("logins", "user_agent", "text", "device", lambda r: "Mozilla/5.0 (X11; rv:" + _digits(r, 3)),
    ("users", "password_hash", "text", "secret", lambda r: "$2b$12$" + _token(r) + _token(r)[:13]),
    ("t", "c9", "text", "secret", lambda r: "$2b$12$" + _token(r) + _token(r)[:13]),
    ("apps", "api_key", "text", "secret", _token),
    ("apps", "refreshToken", "text", "secret", _token),
    ("payments", "cvv", "int", "secret", lambda r: _digits(r, 3)),
    ("users", "gender", "enum", "special", _one("m", "f")),
    ("patients", "is_pregnant", "bool", "special", None),
    (
        "patients",
        "diagnosis",
        "text",
        "special",
        lambda r: f"E{r.randrange(10, 99)}.{r.randrange(9)}",
    ),
    ("staff", "religion", "text", "special", _one("none", "a", "b")),
    ("staff", "salary", "numeric", "financial", lambda r: _digits(r, 5) + ".00"),
    ("accounts", "balance", "numeric", "financial", lambda r: _digits(r, 4) + ".50"),
    ("orders", "notes", "text", "free-text", _sentence),
    ("t", "c10", "text", "free-text", _mixed),
    ("tickets", "body", "text", "free-text", _mixed),
    ("users", "profile", "jsonb", "document", _profile),
    ("users", "age", "int", "personal", lambda r: str(r.randrange(18, 90))),
    ("users", "marital_status", "text", "personal", _one("single", "married")),
    ("t", "c11", "text", "personal", _either(_email, lambda r: "+49 30 " + _digits(r, 7), _card)),
    # and the traps
    ("users", "id", "bigint", "", lambda r: _digits(r, 9)),
    ("files", "filename", "text", "", lambda r: f"report-{_digits(r, 3)}.pdf"),
    ("servers", "hostname", "text", "", lambda r: f"db-{_digits(r, 2)}.internal"),
    ("orders", "product_name", "text", "", _one("Blue Chair", "Oak Table", "Lamp")),
    ("meta", "table_name", "text", "", _one("orders", "users")),
    ("stats", "email_count", "int", "", lambda r: str(r.randrange(50))),
    ("users", "email_verified", "bool", "", None),
    ("users", "email_verified_at", "timestamptz", "", _moment),
    ("stats", "ip_count", "bigint", "", lambda r: str(r.randrange(900))),
    ("usage", "token_count", "int", "", lambda r: _digits(r, 4)),
    ("usage", "tokens", "int", "", lambda r: _digits(r, 4)),
    ("mails", "mailing_id", "int", "", lambda r: _digits(r, 4)),
    ("firms", "company_name", "text", "", _one("Acme Ltd", "Foo GmbH", "Bar SA")),
    ("orders", "address_id", "int", "", lambda r: _digits(r, 5)),
    ("orders", "created_at", "timestamptz", "", _moment),
    ("orders", "status", "text", "", _one("open", "paid", "shipped")),
    ("orders", "quantity", "int", "", lambda r: str(r.randrange(9))),
    ("orders", "order_number", "text", "", lambda r: _digits(r, 9)),
    ("orders", "total_cents", "int", "", lambda r: _digits(r, 5)),
    ("products", "name", "text", "", _one("Chair", "Table", "Lamp")),
    ("products", "sku", "text", "", lambda r: f"SKU-{_digits(r, 6)}"),
    (
        "builds",
        "version",
        "text",
        "",
        lambda r: f"1.{r.randrange(9)}.{r.randrange(9)}.{r.randrange(30)}",
    ),
    ("builds", "commit_sha", "text", "", _hex(40)),
    ("files", "checksum", "text", "", _hex(64)),
    ("payments", "card_type", "text", "", _one("visa", "amex")),
    ("events", "event_key", "uuid", "", None),
    ("events", "occurred_on", "date", "", lambda r: _day(r, 2020, 5)),
    ("users", "locale", "text", "", _one("de", "en", "fr")),
    ("config", "public_key", "text", "", _token),
]


def corpus(*, values=100, seed=7):
    """The columns with so many sampled values each; 0: names and types alone."""
    found = []
    for table, name, kind, truth, make in _CORPUS:
        generator = random.Random(f"{seed}.{table}.{name}")  # noqa: S311 - made-up values
        made = tuple(make(generator) for _ in range(values)) if make else ()
        column = Column(name=name, type=TYPES[kind], values=made)
        found.append(Labelled(table, name, truth, column))
    return found


def tables(labelled):
    """The same as tables with a column each, as ``propose_all`` takes them."""
    return [
        Table(schema="public", name=one.table, kind="r", columns=(one.column,)) for one in labelled
    ]
