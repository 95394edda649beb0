"""A grantor in another Lambda function: who asks has no credential that opens a target.

The function that the internet talks to logs in to no database and writes no role's policies: what
makes and ends leases runs elsewhere, and takes nothing but the port's own calls
(``functions.grant``). A credential passes through on its way to whoever asked, and is not kept:
Lambda logs no payload of a call that is waited for.

``ACTIONS`` are the IAM actions this needs, on the function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from chalicelib.access.grantor import Credential, Terms
from chalicelib.access.plan import Plan
from chalicelib.aws.failures import translated
from chalicelib.kernel import canon, errors
from chalicelib.kernel.errors import CouldNotTell, HoldfastError, Malformed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from chalicelib.access.grantor import Grantor

ACTIONS: Final = ("lambda:InvokeFunction",)

VERSION: Final = 1
MAX_BYTES: Final = 5 * 2**20  # Lambda takes and gives 6 MB
OPERATIONS: Final = ("plan", "issue", "refresh", "extend", "end", "orphans")


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One call of a grantor, as it goes to the function."""

    grant: str
    target: str
    v: int = VERSION
    terms: Terms | None = None
    plan: Plan | None = None
    known: list[str] = []


class RemoteGrantor:
    """Implements ``access.grantor.Grantor`` for ``target`` by calling ``function``."""

    def __init__(self, client: Any, function: str, target: str) -> None:
        self._client = client
        self._function = function
        self._target = target

    def plan(self, terms: Terms) -> Plan:
        """As the port says."""
        found: Plan = self._done(Plan, "plan", terms=terms)
        return found

    def issue(self, plan: Plan, terms: Terms) -> Credential:
        """As the port says."""
        return _credential(self._done(dict[str, Any], "issue", terms=terms, plan=plan))

    def refresh(self, terms: Terms) -> Credential:
        """As the port says."""
        return _credential(self._done(dict[str, Any], "refresh", terms=terms))

    def extend(self, terms: Terms) -> None:
        """As the port says."""
        self._done(type(None), "extend", terms=terms)

    def end(self, terms: Terms, step: Callable[[str], None]) -> dict[str, Any]:
        """As the port says; ``step`` is told the last one before an error, and all at the end."""
        answer = self._call("end", terms=terms)
        for name in answer.get("steps", []):
            step(str(name))
        if "error" in answer:
            _raise(answer["error"])
        found: dict[str, Any] = answer["done"]
        return found

    def orphans(self, known: Collection[str]) -> list[Terms]:
        """As the port says."""
        found: list[Terms] = self._done(list[Terms], "orphans", known=sorted(known))
        return found

    def _done(self, kind: Any, operation: str, **said: Any) -> Any:
        answer = self._call(operation, **said)
        if "error" in answer:
            _raise(answer["error"])
        try:
            return msgspec.convert(answer.get("done"), kind)
        except msgspec.ValidationError:
            raise Malformed(f"{self._function} answered {operation} with something else") from None

    def _call(self, operation: str, **said: Any) -> dict[str, Any]:
        asked = Asked(grant=operation, target=self._target, **said)
        with translated(f"call {self._function}", CouldNotTell):
            answer = self._client.invoke(
                FunctionName=self._function,
                InvocationType="RequestResponse",
                Payload=canon.encode(msgspec.to_builtins(asked)),
            )
            data = answer["Payload"].read(MAX_BYTES + 1)
        failed = answer.get("FunctionError")
        if failed or len(data) > MAX_BYTES:
            # What the function said of its error may have anything in it, and is in its own log.
            raise CouldNotTell(
                f"{self._function} failed to {operation} at {self._target}",
                next_step="its log has the cause; what may be there is ended by the sweep",
            )
        found: Any = canon.parse(data)
        if not isinstance(found, dict) or not {"done", "error"} & set(found):
            raise Malformed(f"{self._function} gave no answer that is one")
        return found


def answer(
    asked: Asked, grantor: Callable[[str], Grantor], check: Callable[[Asked], None]
) -> dict[str, Any]:
    """What the function answers: what was done, or the error of ours, told and not raised.

    ``grantor``: of a target by its full name; ``check`` returns if the call may be made at all.
    """
    steps: list[str] = []
    try:
        check(asked)
        done = _carried_out(asked, grantor(asked.target), steps)
    except HoldfastError as error:
        told = {"code": error.code, "message": error.message, "next_step": error.next_step}
        return {"error": told, "steps": steps}
    return {"done": done, "steps": steps}


def _carried_out(asked: Asked, grantor: Grantor, steps: list[str]) -> Any:
    if asked.grant == "orphans":
        return msgspec.to_builtins(grantor.orphans(asked.known))
    if asked.terms is None or (asked.grant == "issue") != (asked.plan is not None):
        raise Malformed(f"{asked.grant} is asked for without its terms or its plan")
    match asked.grant:
        case "plan":
            return msgspec.to_builtins(grantor.plan(asked.terms))
        case "issue" if asked.plan is not None:
            return _told(grantor.issue(asked.plan, asked.terms))
        case "refresh":
            return _told(grantor.refresh(asked.terms))
        case "extend":
            return grantor.extend(asked.terms)
        case "end":
            return grantor.end(asked.terms, steps.append)
        case _:
            raise Malformed(f"no grantor does {asked.grant[:40]!r}")


def _told(made: Credential) -> dict[str, Any]:
    return {"kind": made.kind, "fields": made.fields, "until": made.until}


def _credential(told: dict[str, Any]) -> Credential:
    fields = told.get("fields")
    if (
        set(told) != {"kind", "fields", "until"}
        or not isinstance(fields, dict)
        or not all(isinstance(one, str) for one in (*fields.values(), told["kind"], told["until"]))
    ):
        raise Malformed("a credential without its parts; what may be there is ended by the sweep")
    return Credential(told["kind"], fields, told["until"])


def _raise(told: Any) -> NoReturn:
    """The error that the function met, of the same kind."""
    if not isinstance(told, dict):
        raise Malformed("an error without its parts")
    kind = _KINDS.get(str(told.get("code")), CouldNotTell)
    raise kind(str(told.get("message", "")), next_step=str(told.get("next_step", "")))


def _kinds() -> dict[str, type[HoldfastError]]:
    found = [one for one in vars(errors).values() if isinstance(one, type)]
    return {
        one("").code: one
        for one in found
        if issubclass(one, HoldfastError) and one.__module__ == errors.__name__
    }


_KINDS: Final = _kinds()
