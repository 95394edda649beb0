"""Classes: what a column can hold, and which mask is laid over it where nobody says another one.

Of a class's masks the first that the column's type allows is taken, and where none does, null.
What is shown of a value at all is little: whoever needs more says so in the masks file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chalicelib.access.masking import catalogue
from chalicelib.access.masking.column import Type
from chalicelib.access.masking.spec import CLEAR, Class, Spec
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PUBLIC: Final = "public"
HIDDEN: Final = "hidden"
PERSONAL: Final = "personal"  # of a column that has a mask and no class

_NULL: Final = Spec("null")
_PSEUDONYM: Final = Spec("pseudonym")
_LAST_TWO: Final = Spec("partial", {"last": 2})
_LAST_FOUR: Final = Spec("partial", {"last": 4})

SHIPPED: Final[dict[str, Class]] = {
    PUBLIC: Class(clear=True, personal=False),
    HIDDEN: Class(hidden=True, personal=False),
    "email": Class(masks=(Spec("email"),)),
    "phone": Class(masks=(_LAST_TWO,)),
    "card": Class(masks=(_LAST_FOUR,)),
    "iban": Class(masks=(_LAST_FOUR,)),
    "account": Class(masks=(_LAST_FOUR,)),
    "national-id": Class(masks=(_NULL,)),
    "name": Class(masks=(_PSEUDONYM,)),
    "username": Class(masks=(_PSEUDONYM,)),
    "address": Class(masks=(_NULL,)),
    "postcode": Class(masks=(Spec("partial", {"first": 2, "last": 0}),)),
    "location": Class(masks=(_NULL,)),  # degrees or microdegrees: no bucket fits both
    "birth-date": Class(masks=(Spec("generalise", {"to": "year"}),)),
    "ip": Class(masks=(Spec("network"),)),
    "device": Class(masks=(_PSEUDONYM,)),
    "secret": Class(masks=(_NULL,)),
    "special": Class(masks=(_NULL,)),
    "financial": Class(masks=(Spec("bucket", {"size": 1000}),)),
    "free-text": Class(masks=(_NULL,)),
    "document": Class(masks=(_NULL,)),
    PERSONAL: Class(masks=(_NULL,)),
}


def chosen(name: str, one: Class, of: Type, columns: Mapping[str, Type]) -> Spec:
    """The mask that a class lays over a column of this type; null, where none of its masks can."""
    if one.clear:
        return Spec(CLEAR)
    for spec in one.masks:
        told = domained(name, spec)
        if not catalogue.refusal(told, of, columns):
            return told
    return _NULL


def domained(name: str, spec: Spec) -> Spec:
    """The mask with its class as its domain, where it has one and nobody says another.

    Equal values of one class have equal pseudonyms, and of two classes they have not.
    """
    entry = catalogue.CATALOGUE.get(spec.mask)
    if entry is None or "domain" not in entry.parameters.__struct_fields__:
        return spec
    return Spec(spec.mask, {"domain": name, **spec.parameters})


def check(where: str, one: Class) -> None:
    """Return if an own class can be as it is written. Raises: UsageError."""
    if one.clear and (one.hidden or one.masks):
        raise UsageError(f"{where}: what is clear has no masks and is not hidden")
    if one.hidden and one.masks:
        raise UsageError(f"{where}: what is hidden has no masks")
    for spec in one.masks:
        check_spec(where, spec)


def check_spec(where: str, spec: Spec) -> None:
    """Return if a mask can be as it is written, whatever it is laid over. Raises: UsageError.

    What no column is of any more is looked at too: else a wrong word would wait for the next one.
    """
    if spec.mask == CLEAR:
        raise UsageError(
            f"{where}: clear is no mask of a column",
            next_step=f'class = "{PUBLIC}" shows it to all; reveals of [views.NAME] to some',
        )
    entry = catalogue.CATALOGUE.get(spec.mask)
    if entry is None:
        raise UsageError(
            f"{where}: there is no mask {spec.mask[:40]!r}",
            next_step=f"one of {', '.join(sorted(set(catalogue.CATALOGUE) - {CLEAR}))}",
        )
    try:
        msgspec.convert(spec.parameters, entry.parameters)
    except msgspec.ValidationError:
        fitting = Type(schema="", name="", family=min(entry.families, key=lambda one: one.value))
        raise UsageError(f"{where}: {catalogue.refusal(spec, fitting, {})}") from None
    try:
        canon.encode(spec.parameters)
    except Malformed as error:
        raise UsageError(f"{where}: {spec.mask}: {error.message}") from None
