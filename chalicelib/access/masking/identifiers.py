"""Masks that give equal values equal stand-ins: pseudonyms, hashes; and networks of addresses."""

# ruff: noqa: S608 - names and values are places of the draft, and no text of the SQL

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from chalicelib.access.masking.column import Family, Type
from chalicelib.access.masking.entry import DOMAIN, Domain, Entry, Parameters, plain, subject

if TYPE_CHECKING:
    from chalicelib.access.masking.draft import Draft

PREFIX: Final = "p_"  # so that nobody takes a pseudonym for a hash, or for the value
HEX: Final = 32  # digits of a pseudonym of text: 128 bits
_BIGINT: Final = 9223372036854775807


class Pseudonym(Parameters, frozen=True):
    """``domain``: equal values of one domain are equal in every column, of two they are not.

    ``fold``: upper and lower case of ASCII are one, as in addresses; of citext they always are.
    """

    domain: Domain = DOMAIN
    fold: bool = False


class Hash(Parameters, frozen=True):
    """``fold``: upper and lower case of ASCII are one."""

    fold: bool = False


class Network(Parameters, frozen=True):
    """Bits of the address that are shown at most. Hosts are never: the bounds are below 32, 128."""

    v4: Annotated[int, msgspec.Meta(ge=0, le=28)] = 24
    v6: Annotated[int, msgspec.Meta(ge=0, le=64)] = 48


def _text(value: str, of: Type, *, fold: bool) -> str:
    if of.family is Family.BYTEA:
        return f"encode({plain(value, of)}, 'hex')"
    folded = fold or of.name == "citext"
    text = subject(value, of)
    return f"lower({text})" if folded and of.family is Family.TEXT else text


def _pseudonym(draft: Draft, value: str, of: Type, parameters: Pseudonym) -> str:
    keyed = draft.keyed(parameters.domain, f"({_text(value, of, fold=parameters.fold)})")
    code = f"encode({keyed}, 'hex')"
    match of.family:
        case Family.BYTEA:
            return keyed
        case Family.INT | Family.DECIMAL:
            return f"(('x' || left({code}, 16))::bit(64)::int8 & {_BIGINT})"
        case Family.UUID:
            # Version 8, whose bits are the maker's own, and its variant. Source: RFC 9562 §5.8
            alias = draft.alias()
            h = f"{alias}.h"
            variant = f"translate(substr({h}, 17, 1), '0123456789abcdef', '89ab89ab89ab89ab')"
            parts = (
                f"left({h}, 12) || '8' || substr({h}, 14, 3) || {variant} || substr({h}, 18, 15)"
            )
            return f"(SELECT ({parts})::uuid FROM (SELECT {code} AS h OFFSET 0) AS {alias})"
        case _:
            return f"('{PREFIX}' || left({code}, {HEX}))"


def _hash(draft: Draft, value: str, of: Type, parameters: Hash) -> str:  # noqa: ARG001
    if of.family is Family.BYTEA:
        return f"encode(sha256({plain(value, of)}), 'hex')"
    text = _text(value, of, fold=parameters.fold)
    # In the database's own encoding, as in Draft.keyed: a conversion could fail, and say at what.
    return f"encode(sha256(convert_to({text}, getdatabaseencoding())), 'hex')"


def _network(draft: Draft, value: str, of: Type, parameters: Network) -> str:  # noqa: ARG001
    address = f"({value})::inet"
    # A network of 6to4 has an IPv4 address in the 32 bits behind 2002::/16. Source: RFC 3056 §2
    mapped = min(parameters.v6, 16 + parameters.v4)
    most = (
        f"CASE WHEN family({address}) = 4 THEN {parameters.v4} "
        f"WHEN {address} <<= '2002::/16'::inet THEN {mapped} ELSE {parameters.v6} END"
    )
    found = f"network(set_masklen({address}, least(masklen({address}), {most})))"
    return found if of.name == "cidr" else f"({found})::inet"


_NAMED: Final = frozenset(
    {
        Family.TEXT,
        Family.INT,
        Family.DECIMAL,
        Family.UUID,
        Family.INET,
        Family.MAC,
        Family.BYTEA,
    }
)
ENTRIES: Final = (
    Entry(
        name="pseudonym",
        parameters=Pseudonym,
        families=_NAMED,
        build=_pseudonym,
        does="HMAC-SHA-256 with the database's key: text, inet and macaddr as the text `p_` and 32 "
        "hexadecimal digits, uuid as uuid, integers and numeric as bigint, bytea as 32 bytes",
        of_null="null",
        joins="yes, in one domain",
        reversible="only with the key, by guessing",
    ),
    Entry(
        name="hash",
        parameters=Hash,
        families=_NAMED,
        build=_hash,
        does="text: SHA-256 without a key, 64 hexadecimal digits; for joins with data elsewhere",
        of_null="null",
        joins="yes, everywhere",
        reversible="yes, by guessing: everybody can hash what they guess",
    ),
    Entry(
        name="network",
        parameters=Network,
        families=frozenset({Family.INET}),
        build=_network,
        does="the network of the address, at most `v4` or `v6` bits of it; the same type",
        of_null="null",
        joins="no",
        reversible="the network; the host no",
    ),
)
