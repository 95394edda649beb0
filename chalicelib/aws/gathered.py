"""What one look gathers: objects, and the kinds that could not be read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from chalicelib.aws.asker import NothingThere
from chalicelib.kernel.errors import HoldfastError, Overdue, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chalicelib.aws.asker import Asker
    from chalicelib.drift.snapshot import Key, Object


_TWICE: Final = "AWS shows two of one name, with different attributes"


class Gathered:
    """Objects by their keys, and who is asked for more. ``owner``: "kind name", their parent."""

    def __init__(self, ask: Asker, owner: str) -> None:
        self.ask = ask
        self.owner = owner
        self.objects: dict[Key, Object] = {}

    def add(self, *found: Object) -> None:
        """Keep objects; of two with one name, the first: where they differ, the kind is a gap.

        AWS has no two; an answer has, where things moved between its pages.
        """
        for one in found:
            if self.objects.setdefault(one.key, one).attributes != one.attributes:
                self.ask.lacks(one.kind, _TWICE, needs="another scan", partial=True)

    def one(self, operation: str, items: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """The one element that RDS answers with. Raises: as ``Asker.call``; Unsupported."""
        found = self.ask.call("rds", operation, **asked).get(items) or []
        if len(found) != 1:
            raise Unsupported(f"rds:{operation} was asked for one and answered with {len(found)}")
        one: dict[str, Any] = found[0]
        return one

    @contextmanager
    def part(
        self,
        *kinds: str,
        needs: str,
        partial: bool = False,
        attributes: tuple[str, ...] = (),
    ) -> Iterator[None]:
        """A block that reads objects of these kinds; where it cannot, they are a gap, and it ends.

        What AWS names in one answer and does not have in the next is such a gap too. Overdue is
        none: then the whole target is unknown.
        """
        try:
            yield
        except Overdue:
            raise
        except NothingThere as absent:
            reason = f"{absent}: AWS names it, and says that it is not there"
        except HoldfastError as error:
            reason = error.message
        else:
            return
        for kind in kinds:
            self.ask.lacks(kind, reason, needs=needs, partial=partial, attributes=attributes)


def all_there(missing: Iterable[str], who: str, what: str) -> None:
    """Raises: Unsupported, where anything is missing."""
    if names := sorted(missing):
        raise Unsupported(f"{who} does not show the {what} {', '.join(names)}")
