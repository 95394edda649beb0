"""The mask ``digits``: other digits in the same places, one to one, with the database's key.

A balanced Feistel network over the decimal digits, as NIST SP 800-38G has it for FF1 (§5, 10
rounds), with HMAC-SHA-256 as its round function. It is not FF1, which is built on AES.

1. ``n`` digits are split: ``a`` is the first n/2 (rounded down) of them, ``b`` the others.
2. In each round i of 10: f is the first 180 bits of HMAC("i:n:tail:b"); (a, b) become
   (b, (a + f) mod 10^m), where m is the length of a. ``tail``: the digits that stay, if any.
3. The digits are a and b. Of an integer: again from 1, until the first one is not 0 and the number
   fits bigint; it does after a few times, since the number that it began with does.
"""

# ruff: noqa: S608 - names and values are places of the draft, and no text of the SQL

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from chalicelib.access.masking.column import Family, Type
from chalicelib.access.masking.entry import DOMAIN, Domain, Entry, Parameters, plain

if TYPE_CHECKING:
    from chalicelib.access.masking.draft import Draft

ROUNDS: Final = 10
LEAST: Final = 6  # digits: a million values. Source: NIST SP 800-38G rev. 1, §5
MOST: Final = 56  # 180 bits of a round are far more than half of them need
FILL: Final = "******"
_CHUNK: Final = 1 << 60
_BIGINT: Final = (1 << 63) - 1


class Digits(Parameters, frozen=True):
    """``last``: digits at the end that stay. ``domain``: equal values of one stay equal."""

    last: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
    domain: Domain = DOMAIN


def _digits(draft: Draft, value: str, of: Type, parameters: Digits) -> str:
    build = _integer if of.family is Family.INT else _text
    return build(draft, value, of, parameters)


def _text(draft: Draft, value: str, of: Type, parameters: Digits) -> str:
    """Text that is more than a number is hidden: more characters than digits, or not ASCII."""
    text, last, alias = plain(value, of), parameters.last, draft.alias()
    fill = f"'{FILL}'::text"
    d = f"{alias}.d"
    short = f"length({text}) <= {2 * (MOST + last)}"
    # Digits of other scripts would be left as they are, so what is not printable ASCII is hidden.
    ascii_only = f"{text} !~ {draft.literal('[^ -~]')}"
    fits = (
        f"length({d}) BETWEEN {LEAST + last} AND {MOST + last} "
        f"AND length({text}) <= 2 * length({d})"
    )
    moved = _permuted(draft, d, parameters, "TRUE")
    found = f"regexp_replace({text}, '[^0-9]', '', 'g')"
    return (
        f"(CASE WHEN {text} IS NULL THEN NULL WHEN {short} AND {ascii_only} THEN "
        f"(SELECT CASE WHEN {fits} THEN {_placed(draft, text, moved)} ELSE {fill} END "
        f'FROM (SELECT {found} AS d OFFSET 0) AS {alias}) ELSE {fill} END COLLATE "default")'
    )


def _integer(draft: Draft, value: str, of: Type, parameters: Digits) -> str:
    read, alias = plain(value, of), draft.alias()
    sign = f"CASE WHEN {read} < 0 THEN '-' ELSE '' END"
    most = f"{_BIGINT} + CASE WHEN {read} < 0 THEN 1::numeric ELSE 0 END"
    tail = f"right({alias}.d, {parameters.last})"
    fits = f"left({{0}}, 1) <> '0' AND ({{0}} || {tail})::numeric <= {most}"
    moved = _permuted(draft, f"{alias}.d", parameters, fits)
    return (
        f"(SELECT CASE WHEN length({alias}.d) >= {LEAST + parameters.last} "
        f"THEN ({sign} || {moved})::int8 END "
        f"FROM (SELECT abs({read}::numeric)::text AS d OFFSET 0) AS {alias})"
    )


def _permuted(draft: Draft, d: str, parameters: Digits, fits: str) -> str:
    """The digits of ``d``, moved, but for the last. ``fits``: a condition on them, ``{0}``."""
    r, of, h = draft.alias(), draft.alias(), draft.alias()
    last = parameters.last
    tail = f"right({d}, {last})" if last else "''"
    i, a, b, n = (f"{r}.{one}" for one in ("i", "a", "b", "n"))
    message = f"(({i} % {ROUNDS})::text || ':' || {n}::text || ':' || {tail} || ':' || {b}::text)"
    chunks = [f"('x' || substr({h}.x, {at}, 15))::bit(60)::int8" for at in (1, 16, 31)]
    f = f"(({chunks[0]}::numeric * {_CHUNK} + {chunks[1]}) * {_CHUNK} + {chunks[2]})"
    # The half that is moved has n/2 digits in even rounds, and what is left of n in odd ones.
    modulus = f"('1' || repeat('0', {n} / 2 + ({n} % 2) * ({i} % 2)))::numeric"
    joined = f"(lpad({a}::text, {n} / 2, '0') || lpad({b}::text, {n} - {n} / 2, '0'))"
    done = (
        f"CASE WHEN {i} > 0 AND {i} % {ROUNDS} = 0 THEN {fits.replace('{0}', joined)} "
        "ELSE FALSE END"
    )
    return (
        f"((WITH RECURSIVE {r}(i, n, a, b) AS ("
        f"SELECT 0, {of}.n, left({d}, {of}.n / 2)::numeric, "
        f"substr({d}, {of}.n / 2 + 1, {of}.n - {of}.n / 2)::numeric "
        f"FROM (SELECT length({d}) - {last} AS n OFFSET 0) AS {of} "
        f"UNION ALL SELECT {i} + 1, {n}, {b}, mod({a} + {f}, {modulus}) FROM {r} "
        f"CROSS JOIN LATERAL (SELECT encode({draft.keyed(_domain(parameters), message)}, 'hex') "
        f"AS x OFFSET 0) AS {h} WHERE NOT {done}) "
        f"SELECT {joined} FROM {r} WHERE {done}) || {tail})"
    )


def _domain(parameters: Digits) -> str:
    return f"digits/{parameters.domain}"


def _placed(draft: Draft, text: str, digits: str) -> str:
    """The text with these digits, one after the other, in the places of its own."""
    row, inner, all_of = draft.alias(), draft.alias(), draft.alias()
    is_digit = f"({inner}.c COLLATE \"C\") BETWEEN '0' AND '9'"
    numbered = (
        f"SELECT {inner}.c, {inner}.o, {is_digit} AS y, "
        f"(count(*) FILTER (WHERE {is_digit}) OVER (ORDER BY {inner}.o))::int4 AS k "
        f"FROM unnest(string_to_array({text}, NULL)) WITH ORDINALITY AS {inner}(c, o)"
    )
    placed = (
        f"string_agg(CASE WHEN {row}.y THEN substr({all_of}.d, {row}.k, 1) ELSE {row}.c END, "
        f"'' ORDER BY {row}.o)"
    )
    return (
        f"(SELECT {placed} FROM (SELECT {digits} AS d OFFSET 0) AS {all_of} "
        f"CROSS JOIN ({numbered}) AS {row} WHERE {all_of}.d IS NOT NULL)"
    )


ENTRIES: Final = (
    Entry(
        name="digits",
        parameters=Digits,
        families=frozenset({Family.TEXT, Family.INT}),
        build=_digits,
        does=f"other digits in the same places, one to one; all else stays, so text that has more "
        f"other characters than digits, that is not ASCII or has fewer than {LEAST} or more than "
        f"{MOST} digits beside `last` is `{FILL}`; text as text, integers as bigint with as many "
        f"digits and the same sign, null below {LEAST} digits. Check digits (Luhn) are not right",
        of_null="null",
        joins="yes, in one domain and with one `last`",
        reversible="only with the key",
    ),
)
