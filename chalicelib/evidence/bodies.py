"""Bodies: those that are too large for a leaf, which has their digest and size in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chalicelib.evidence import layout
from chalicelib.kernel import canon
from chalicelib.kernel.errors import DigestMismatch, Malformed

if TYPE_CHECKING:
    from chalicelib.kernel.record import BodyRef

MAX_BODY_BYTES: Final = 64 * 2**20


def decode(ref: BodyRef, data: bytes) -> dict[str, Any]:
    """The body in bytes that were kept apart. Raises: DigestMismatch; Malformed."""
    observed = canon.sha256(data)
    if observed != ref.sha256 or len(data) != ref.size_bytes:
        raise DigestMismatch(
            f"{layout.body(ref.sha256)} is not what was recorded: expected {ref.size_bytes} "
            f"bytes, observed {len(data)} with SHA-256 {observed}"
        )
    value = canon.decode(data)
    if not isinstance(value, dict):
        raise Malformed(f"{layout.body(ref.sha256)} is not a JSON object")
    return value
