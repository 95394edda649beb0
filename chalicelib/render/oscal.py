"""OSCAL assessment results of a packet: what ran for each control, and every exception.

The document is written as it is made, so that memory does not grow with the texts in it. Every
observation leads back to its record; ``check`` says what in a document refers to nothing.
Source: NIST, OSCAL 1.2, assessment-results model.
"""

from __future__ import annotations

import uuid
from array import array
from typing import TYPE_CHECKING, Any, Final

from chalicelib.kernel.clock import parse_timestamp
from chalicelib.kernel.errors import Malformed
from chalicelib.render import exceptions, matrix
from chalicelib.render.exceptions import COVERAGE, DRIFT, HOST
from chalicelib.render.matrix import SUPPORTS
from chalicelib.render.proof import Proof, dumps, line, unmarked
from chalicelib.render.rows_drift import OPEN, SUPPRESSED, UNTOLD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import TextIO

    from chalicelib.render.book import Book
    from chalicelib.render.exceptions import Noted
    from chalicelib.render.matrix import Control, Ran

VERSION: Final = "1.2.0"
NAMESPACE: Final = "urn:holdfast:oscal"
MAX_TITLE: Final = 300  # characters

_NIST: Final = "nist_800_53"
_KEEPER: Final = "evidence-keeper"
_UUID_BYTES: Final = 16
_TESTED: Final = frozenset({DRIFT, exceptions.ACCESS, HOST, COVERAGE})
_REMAINS: Final = (SUPPRESSED, UNTOLD)

# Every name that a row may say an exception is of.
_TARGETS: Final = """
    SELECT target FROM scan UNION SELECT target FROM finding UNION SELECT target FROM carried
    UNION SELECT target FROM gap UNION SELECT target FROM access UNION SELECT target FROM orphan
    UNION SELECT target FROM masking UNION SELECT target FROM configured
    UNION SELECT stream FROM odd ORDER BY 1
"""


def write(book: Book, out: TextIO) -> None:
    """The whole document, as one JSON object. Raises: StoreUnavailable; OSError, from ``out``.

    In memory there are 20 bytes of each exception beside the book.
    """
    _Writer(book, out).write()


class _Writer:
    def __init__(self, book: Book, out: TextIO) -> None:
        self._book, self._out = book, out
        self._proof = Proof(book)
        self._head = book.verified.head
        self._closed_at = exceptions.closed_at(book)
        (found,) = (one for one in matrix.matrix(book) if one.name == _NIST)
        self._controls = found.controls
        ran = {one.set: one for control in self._controls for one in control.evidence}
        self._ran = {name: one for name, one in ran.items() if one.told and one.count}
        self._bits = {name: 1 << number for number, name in enumerate(ran)}
        self._uuids = bytearray()  # of exceptions, with what they are exceptions of
        self._sets = array("I")

    def write(self) -> None:
        put = self._out.write
        put('{"assessment-results":{"uuid":' + dumps(self._proof.uuid("assessment-results")))
        put(',\n"metadata":' + dumps(self._metadata()))
        put(',\n"import-ap":' + dumps(self._plan()))
        put(',\n"results":[{"uuid":' + dumps(self._proof.uuid("result")))
        put("," + dumps(self._about())[1:-1])
        put(',\n"local-definitions":{"assessment-assets":' + dumps(self._assets()))
        self._array("inventory-items", self._items())
        put("}")
        put(',\n"reviewed-controls":' + dumps(self._reviewed()))
        self._array("observations", self._observations())
        self._findings()
        put("}]")
        put(',\n"back-matter":' + dumps({"resources": self._resources()}))
        put("}}\n")

    def _array(self, name: str, values: Iterable[str]) -> None:
        """A member that is an array; OSCAL has none that is empty."""
        before = f',\n"{name}":[\n'
        for value in values:
            self._out.write(before + value)
            before = ",\n"
        if before == ",\n":
            self._out.write("]")

    def _metadata(self) -> dict[str, Any]:
        keeper = self._proof.uuid("party", "keeper")
        period = self._head.period
        return {
            "title": f"What a log's evidence supports, {period.start} up to {period.end}",
            "last-modified": self._closed_at,
            "version": self._proof.packet,
            "oscal-version": VERSION,
            "props": self._props(),
            "roles": [{"id": _KEEPER, "title": "Keeps the log of evidence"}],
            "parties": [
                {
                    "uuid": keeper,
                    "type": "organization",
                    "name": f"Keeper of the log {line(self._proof.origin)}",
                    "remarks": "The log has this name; the packet does not say who keeps it.",
                }
            ],
            "responsible-parties": [{"role-id": _KEEPER, "party-uuids": [keeper]}],
        }

    def _plan(self) -> dict[str, str]:
        return {
            "href": f"#{self._proof.uuid('resource', 'no plan')}",
            "remarks": "There is no assessment plan in the packet.",
        }

    def _about(self) -> dict[str, str]:
        answer = self._book.verified.verdict.answer.value
        return {
            "title": f"The packet is {answer}",
            "description": (
                f"Made of the packet {self._proof.packet} alone, which was verified: {answer}. "
                f"{SUPPORTS}"
            ),
            "start": self._head.period.start,
            "end": self._head.period.end,
        }

    def _assets(self) -> dict[str, Any]:
        tool = self._head.tool
        used = self._proof.uuid("component", "tool")
        return {
            "components": [
                {
                    "uuid": used,
                    "type": "software",
                    "title": "Holdfast",
                    "description": "The program that made the packet.",
                    "props": [
                        {"name": "version", "value": line(tool.version) or "unknown"},
                        *_props({"program-sha256": tool.sha256}),
                    ],
                    "status": {"state": "operational"},
                }
            ],
            "assessment-platforms": [
                {
                    "uuid": self._proof.uuid("platform"),
                    "title": "Holdfast",
                    "uses-components": [{"component-uuid": used}],
                }
            ],
        }

    def _items(self) -> Iterator[str]:
        """What was looked at or used: targets, and what else has a stream of records."""
        for (name,) in self._book.walk(_TARGETS):
            yield dumps(
                {
                    "uuid": self._proof.uuid("target", name),
                    "description": unmarked(name) or "without a name",
                    "props": _props({"target": name}),
                }
            )

    def _reviewed(self) -> dict[str, Any]:
        """The controls that anything ran for; the others are excluded by name."""
        ran = [{"control-id": control_id(one.id)} for one in self._controls if one.ran]
        left = [{"control-id": control_id(one.id)} for one in self._controls if not one.ran]
        found: dict[str, Any] = {"include-controls": ran}
        if left:
            found["exclude-controls"] = left
            found["remarks"] = (
                "Excluded: controls that other evidence of this program supports, of which nothing "
                "ran in the period, or nothing is told in this packet."
            )
        return {"control-selections": [found], "remarks": SUPPORTS}

    def _observations(self) -> Iterator[str]:
        """What ran, by sets of evidence; then every exception."""
        for ran in self._ran.values():
            yield dumps(self._observed(ran))
        for noted in exceptions.exceptions(self._book):
            name = self._proof.uuid(
                "exception", noted.kind, noted.target, noted.leaf, noted.when, noted.what
            )
            self._uuids += uuid.UUID(name).bytes
            self._sets.append(sum(self._bits[one] for one in noted.sets if one in self._bits))
            yield dumps(self._exception(name, noted))

    def _observed(self, ran: Ran) -> dict[str, Any]:
        return {
            "uuid": self._proof.uuid("ran", ran.set),
            "title": ran.evidence,
            "description": f"{ran.words}.",
            "props": _props(
                {"population": ran.population, "count": ran.count, "exceptions": ran.exceptions}
            ),
            "methods": _methods([ran.set]),
            "types": ["control-objective"],
            "origins": self._origins(),
            "relevant-evidence": [self._evidence(ran.first_leaf, "The first record of these.")],
            "collected": self._closed_at,
        }

    def _exception(self, name: str, noted: Noted) -> dict[str, Any]:
        found = {
            "uuid": name,
            "title": unmarked(noted.what, MAX_TITLE) or noted.kind,
            "description": f"{noted.kind.capitalize()}: {unmarked(noted.what)}",
            "props": _props(
                {
                    "kind": noted.kind,
                    "disposition": noted.disposition,
                    "severity": noted.severity,
                    "who": noted.who,
                }
            ),
            "methods": _methods(noted.sets),
            "types": ["finding"],
            "origins": self._origins(),
            "relevant-evidence": [self._evidence(noted.leaf, "The record that says it.")],
            "collected": self._time(noted),
        }
        if noted.target:
            subject = {"subject-uuid": self._proof.uuid("target", noted.target)}
            found["subjects"] = [subject | {"type": "inventory-item"}]
        return found

    def _time(self, noted: Noted) -> str:
        """When it was; else when it was recorded, where a record has something else there."""
        try:
            parse_timestamp(noted.when)
        except Malformed:
            return str(self._book.one("SELECT at FROM record WHERE leaf = ?", [noted.leaf]))
        return noted.when

    def _origins(self) -> list[dict[str, Any]]:
        return [{"actors": [{"type": "tool", "actor-uuid": self._proof.uuid("component", "tool")}]}]

    def _evidence(self, leaf: int | None, words: str) -> dict[str, Any]:
        return {
            "href": f"#{self._proof.uuid('resource', 'packet')}",
            "description": words if leaf is not None else "The packet.",
            "props": self._props(leaf),
        }

    def _props(self, leaf: int | None = None) -> list[dict[str, str]]:
        proof = self._proof
        found = _props(
            {
                "packet-sha256": proof.packet,
                "log-origin": proof.origin,
                "log-size": proof.size,
                "log-root": proof.root,
            }
        )
        if leaf is not None:
            found += _props({"leaf-index": leaf, "leaf-hash": proof.hash_of(leaf)})
        return found

    def _findings(self) -> None:
        """One of each control that anything ran for. What it is related to may be long."""
        before = ',\n"findings":[\n'
        for control in self._controls:
            if control.ran:
                self._out.write(before + dumps(self._finding(control))[:-1])
                sets = [one.set for one in control.evidence]
                self._array("related-observations", self._related(sets))
                self._out.write("}")
                before = ",\n"
        self._out.write("]")  # a packet that was verified has records: these controls are there

    def _finding(self, control: Control) -> dict[str, Any]:
        found = "; ".join(
            f"{one.evidence}: {one.words if one.told else matrix.UNTOLD}"
            for one in control.evidence
        )
        return {
            "uuid": self._proof.uuid("finding", control.id),
            "title": f"{control.id}: {control.result}",
            "description": f"{found}. {SUPPORTS}",
            "target": {
                "type": "objective-id",
                "target-id": f"{control_id(control.id)}_obj",
                "status": _status(control),
            },
        }

    def _related(self, sets: list[str]) -> Iterator[str]:
        for name in sets:
            if name in self._ran:
                yield dumps({"observation-uuid": self._proof.uuid("ran", name)})
        wanted = sum(self._bits[name] for name in sets)
        for number, of in enumerate(self._sets):
            if of & wanted:
                at = number * _UUID_BYTES
                of_it = uuid.UUID(bytes=bytes(self._uuids[at : at + _UUID_BYTES]))
                yield f'{{"observation-uuid":"{of_it}"}}'

    def _resources(self) -> list[dict[str, Any]]:
        proof = self._proof
        return [
            {
                "uuid": proof.uuid("resource", "packet"),
                "title": "Evidence packet",
                "description": (
                    "The packet that all of this leads back to. Its SHA-256 is that of the file "
                    "manifest.json in it, which names all others. It says how it is verified."
                ),
                "props": self._props(),
                "rlinks": [
                    {
                        "href": proof.urn,
                        "hashes": [{"algorithm": "SHA-256", "value": proof.packet}],
                    }
                ],
            },
            {
                "uuid": proof.uuid("resource", "no plan"),
                "title": "No assessment plan",
                "description": (
                    "A packet has no assessment plan: it says what ran, and not what was meant to."
                ),
            },
        ]


def control_id(text: str) -> str:
    """AC-2(1) as OSCAL's catalogue of NIST SP 800-53 has it: ac-2.1."""
    return text.lower().replace("(", ".").replace(")", "")


def _props(values: Mapping[str, str | int]) -> list[dict[str, str]]:
    """Properties of this program's own; what is empty is left out."""
    texts = {name: line(str(value)) for name, value in values.items()}
    return [{"name": name, "ns": NAMESPACE, "value": text} for name, text in texts.items() if text]


def _methods(sets: Iterable[str]) -> list[str]:
    """Scans are tests; of all else, records are examined."""
    return ["EXAMINE" if _TESTED.isdisjoint(sets) else "TEST"]


def _status(control: Control) -> dict[str, str]:
    """OSCAL knows two words for it. The remarks say what they stand for here."""
    if OPEN in control.dispositions:
        state, reason, why = "not-satisfied", "fail", "exceptions are open at the end of the period"
    elif any(one in control.dispositions for one in _REMAINS):
        state, reason = "not-satisfied", "other"
        why = "exceptions are suppressed, or what became of them is not told here"
    elif not control.complete:
        state, reason = "not-satisfied", "other"
        why = "not all records that could be exceptions are told here"
    elif control.exceptions:
        state, reason = "satisfied", "pass"
        why = "exceptions were found, and none is left at the end of the period"
    else:
        state, reason, why = "satisfied", "pass", "no exception was found in this evidence"
    words = f"{state!r} is OSCAL's word; it says only that {why}. {SUPPORTS}"
    return {"state": state, "reason": reason, "remarks": words}
