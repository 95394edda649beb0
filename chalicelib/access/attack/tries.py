"""What one attack on masking views is: statements of a holder, and what has to come back.

A statement is a template; names and values are put into its places by ``postgres.attack`` alone.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Expected: TypeAlias = Literal["refused", "nothing", "judged"]


class Try(msgspec.Struct, frozen=True):
    """Statements of one transaction that is rolled back.

    ``expected``: ``refused``: success is a leak. ``nothing``: a row is a leak. ``judged``: what
    comes back is searched, as it is for all. ``allowed``: further SQLSTATEs that mean that it was
    refused, or that there is nothing to be attacked. ``since``, ``until``: major versions.

    Places: ``{base}`` and ``{view}``, ``{view_text}`` and so on as text, ``{limit}``; and one that
    makes a statement of each: ``{column}`` a masked column, ``{any}`` one of the view's, ``{out}``
    one that the view masks or has not, ``{part}`` what else stores the rows, ``{role}`` a role that
    may read them, ``{fn_name}`` a function of an extension, if it is there.
    """

    sql: str
    expected: Expected = "judged"
    allowed: tuple[str, ...] = ()
    since: int = 0
    until: int = 99


class Attack(msgspec.Struct, frozen=True, kw_only=True):
    """``title``: one line for people. ``does``: what is done. ``each``: on every view.

    Without ``tries`` it is written out in ``postgres.attack_coded``.
    """

    id: str
    title: str
    does: str
    each: bool = True
    tries: tuple[Try, ...] = ()


def refused(*statements: str, allowed: tuple[str, ...] = (), since: int = 0) -> tuple[Try, ...]:
    """Statements that the server must not run."""
    return tuple(Try(one, "refused", allowed, since) for one in statements)


def judged(*statements: str, allowed: tuple[str, ...] = (), since: int = 0) -> tuple[Try, ...]:
    """Statements that may run, and show nothing."""
    return tuple(Try(one, "judged", allowed, since) for one in statements)
