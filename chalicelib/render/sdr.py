"""FedRAMP Security Decision Record: of each Key Security Indicator what ran, and its evidence.

It is what a packet can say of such a record. How an indicator is achieved is the provider's to say,
and how it was assessed an assessor's: these members are there, and empty; so is the status.
Source: FedRAMP, fedramp-security-decision-record-schema-2026-06-24.json.
"""

from __future__ import annotations

import json
from array import array
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from chalicelib.render import exceptions, matrix
from chalicelib.render.exceptions import (
    ACCESS,
    BASELINE,
    COVERAGE,
    CUSTODY,
    DRIFT,
    HOST,
    INTEGRITY,
    LEASES,
    REVIEW,
    STATEMENTS,
)
from chalicelib.render.matrix import SUPPORTS
from chalicelib.render.proof import Proof, line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from chalicelib.render.book import Book
    from chalicelib.render.matrix import Control, Ran

NOT_GIVEN: Final = "urn:holdfast:not-given:certification-package-overview"
MAX_RANGES: Final = 500  # of leaf indices in one text

_KSI: Final = "fedramp_ksi"
_TYPES: Final = {
    DRIFT: "Log",
    ACCESS: "Configuration",
    BASELINE: "Configuration",
    STATEMENTS: "Log",
    HOST: "Configuration",
    COVERAGE: "Log",
    LEASES: "Audit Record",
    REVIEW: "Audit Record",
    INTEGRITY: "Audit Record",
    CUSTODY: "Audit Record",
}


def write(book: Book, out: TextIO, *, overview: str = NOT_GIVEN) -> None:
    """The record, as one JSON object. ``overview``: URI of the Certification Package Overview.

    Raises: StoreUnavailable; OSError, from ``out``. In memory there are 8 bytes of each exception
    and set of evidence.
    """
    proof, closed_at = Proof(book), exceptions.closed_at(book)
    (found,) = (one for one in matrix.matrix(book) if one.name == _KSI)
    leaves = _leaves(book)
    tool, answer = book.verified.head.tool.version, book.verified.verdict.answer.value
    validated = (
        f"What ksiTests lists was recorded in a log as it ran. The packet {proof.packet} of these "
        f"records was verified: {answer}. {SUPPORTS}"
    )
    document = {
        "certificationPackageOverviewUri": overview,
        "metadata": {
            "version": proof.packet,
            "lastUpdated": closed_at,
            "updateSource": f"{line(tool)}, of the packet {proof.packet} ({answer})",
        },
        "fedRampRequirements": [],
        "keySecurityIndicators": [
            {
                "ksiId": f"KSI-{control.id}",
                "ksiImplementation": [],
                "ksiValidation": [validated],
                "ksiAssessment": [],
                "ksiTests": list(_tests(control)),
                "ksiEvidence": list(_evidence(proof, control, leaves, closed_at)),
            }
            for control in found.controls
        ],
    }
    json.dump(document, out, ensure_ascii=True, indent=1)
    out.write("\n")


def _leaves(book: Book) -> dict[str, array[int]]:
    """By sets of evidence, the records of their exceptions, ascending, each once."""
    found: dict[str, array[int]] = {}
    for noted in exceptions.exceptions(book):
        for name in noted.sets:
            found.setdefault(name, array("q")).append(noted.leaf)
    return {name: array("q", sorted(set(leaves))) for name, leaves in found.items()}


def _tests(control: Control) -> Iterator[str]:
    """What ran, and what came of all of it."""
    for ran in control.evidence:
        yield f"{ran.evidence}: {ran.words}"
    yield f"Result: {control.result}"


def _evidence(
    proof: Proof, control: Control, leaves: dict[str, array[int]], closed_at: str
) -> Iterator[dict[str, Any]]:
    for ran in control.evidence:
        noted = leaves.get(ran.set, array("q"))
        if (ran.told and ran.count) or noted:
            first = ran.first_leaf if ran.first_leaf is not None else next(iter(noted), None)
            yield {
                "evidenceType": _TYPES.get(ran.set, "Report"),
                "evidenceDescription": f"{ran.evidence}: {ran.words}",
                "evidenceLocation": proof.location(first),
                "evidenceText": "\n".join(_text(proof, ran, noted, first)),
                "lastUpdated": closed_at[:10],
            }


def _text(proof: Proof, ran: Ran, noted: array[int], first: int | None) -> Iterator[str]:
    yield f"packet (SHA-256 of its manifest.json): {proof.packet}"
    yield f"log: {line(proof.origin)}"
    yield f"checkpoint: {proof.size} leaves, root {proof.root}"
    if first is not None:
        yield f"first record: leaf {first}, hash {proof.hash_of(first)}"
    yield f"exceptions: {ran.exceptions}"
    if noted:
        yield f"records of exceptions: leaves {_ranges(noted)}"


def _ranges(leaves: Sequence[int]) -> str:
    """Ascending numbers as 3-5, 9; at most MAX_RANGES stretches."""
    stretches = _stretches(leaves)
    shown = list(islice(stretches, MAX_RANGES))
    left = sum(last - first + 1 for first, last in stretches)
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in shown]
    return ", ".join(texts) + (f", and {left} more, as the CSV export lists them" if left else "")


def _stretches(leaves: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = leaves[0]
    for leaf in leaves[1:]:
        if leaf != last + 1:
            yield first, last
            first = leaf
        last = leaf
    yield first, last
