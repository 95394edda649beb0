"""A draft: SQL text with a place for every name and value, as ``access.plan.Step`` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.access.masking.column import Type

SCHEMA: Final = "holdfast_mask"
KEY: Final = "key"


class Draft:
    """Text under way over one relation. ``columns``: the types of its columns, by name.

    It is made for a session whose search_path is pg_catalog: built-in functions, operators and
    types are not qualified. Names and values never become text here: each is a place in braces, and
    what stands there is in ``identifiers`` and ``literals``. Text of people, a row filter, goes
    through :meth:`raw`.
    """

    def __init__(self, schema: str, name: str, columns: Mapping[str, Type]) -> None:
        self.columns = columns
        self.identifiers: dict[str, str | tuple[str, ...]] = {}
        self.literals: dict[str, str | int | bool | None] = {}
        self._names: dict[str | tuple[str, ...], str] = {}
        self._values: dict[tuple[type, object], str] = {}
        self._table = name
        self._aliases = 0
        self.source = self.name(schema, name)

    def name(self, *parts: str) -> str:
        """The place of a name: qualified, where there are more parts than one."""
        key = parts[0] if len(parts) == 1 else parts
        if key not in self._names:
            place = f"n{len(self._names)}"
            self._names[key] = f"{{{place}}}"
            self.identifiers[place] = key
        return self._names[key]

    def literal(self, value: str | int | bool | None) -> str:  # noqa: FBT001 - it is data
        """The place of a value."""
        key = (type(value), value)
        if key not in self._values:
            place = f"l{len(self._values)}"
            self._values[key] = f"{{{place}}}"
            self.literals[place] = value
        return self._values[key]

    def column(self, name: str) -> str:
        """A column of the relation. Raises: KeyError, where it has none of that name."""
        self.columns[name]
        return self.name(self._table, name)

    def alias(self) -> str:
        """A name for something inside the text that hides neither the relation nor another one."""
        self._aliases += 1
        alias = f"hf_{self._aliases}"
        return self.alias() if alias == self._table else alias

    def type(self, schema: str, name: str) -> str:
        """The place of a type's name."""
        return self.name(schema, name)

    def key(self, half: str) -> str:
        """The ``inner`` or ``outer`` key of HMAC-SHA-256, read once a query as the view's owner."""
        alias = self.alias()
        table = self.name(SCHEMA, KEY)  # a place, as everything that is put into the text here
        return f"(SELECT {alias}.{half} FROM {table} AS {alias})"  # noqa: S608

    def keyed(self, domain: str, text: str) -> str:
        """HMAC-SHA-256 (32 bytes) over the domain and a text. Source: RFC 2104 §2.

        ``text``: SQL of type text. Domains have no colon, so that no two pairs are one message.
        NULL of NULL. In the database's own encoding: a conversion could fail, and say at what.
        """
        message = f"convert_to({self.literal(domain + ':')} || {text}, getdatabaseencoding())"
        return f"sha256({self.key('outer')} || sha256({self.key('inner')} || {message}))"

    @staticmethod
    def raw(text: str) -> str:
        """Text as it is, where braces mean nothing."""
        return text.replace("{", "{{").replace("}", "}}")
