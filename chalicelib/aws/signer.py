"""A signing key in KMS that never leaves it, and a receipt for each of its signatures.

1. *Sign* in KMS: the message itself (RAW).
2. *Verify* the answer under the public key, so that nothing wrong is ever published.
3. *Lock* a receipt in the write-once store: ``evidence.receipts``. Only then the signature is
   given away. CloudTrail counts signatures too, where a writer cannot reach: one without a receipt
   is a hidden fork, a crash between steps 1 and 3, or an answer of KMS that was lost on the way.

So that lost answers stay rare the client may be one that does not retry often; each retry of
Sign may be one more signature. ``ACTIONS`` are the IAM actions this needs, on the key.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from chalicelib.aws.failures import translated
from chalicelib.evidence import receipts
from chalicelib.kernel.errors import BadSignature, KeyUnusable, Malformed, UsageError
from chalicelib.kernel.signing import Algorithm, PublicKey

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_kms.literals import SigningAlgorithmSpecType

    from chalicelib.kernel.clock import Clock
    from chalicelib.kernel.store import WriteOnce

ACTIONS: Final = ("kms:GetPublicKey", "kms:Sign")

MAX_MESSAGE_BYTES: Final = 4_096  # KMS, API reference of Sign, "Message"

# Source: KMS developer guide, "Key spec reference", "Supported signing algorithms".
_SPECS: Final[dict[str, tuple[Algorithm, SigningAlgorithmSpecType]]] = {
    "ECC_NIST_EDWARDS25519": (Algorithm.ED25519, "ED25519_SHA_512"),
    "ECC_NIST_P256": (Algorithm.ECDSA_P256, "ECDSA_SHA_256"),
}


class KmsSigner:
    """Implements ``kernel.signing.Signer`` with the key ``key_id``: an ARN, an id or an alias.

    Receipts go to ``receipts_store`` with the time of ``clock``.
    """

    def __init__(
        self, client: KMSClient, key_id: str, receipts_store: WriteOnce, clock: Clock
    ) -> None:
        self._client = client
        self._key_id = key_id
        self._receipts = receipts_store
        self._clock = clock

    def __repr__(self) -> str:
        return f"KmsSigner({self._key_id!r})"

    @property
    def public(self) -> PublicKey:
        """The key that verifies what this signs. Raises: KeyUnusable; StoreUnavailable."""
        return self._key[0]

    def sign(self, message: bytes) -> bytes:
        """A signature over the message, after its receipt was locked.

        Raises: UsageError, for no message, or one above MAX_MESSAGE_BYTES;
        KeyUnusable; StoreUnavailable.
        """
        public, algorithm = self._key
        if not 0 < len(message) <= MAX_MESSAGE_BYTES:
            raise UsageError(
                f"a message of {len(message)} bytes; KMS signs 1 to {MAX_MESSAGE_BYTES}"
            )
        with translated(f"sign with {self._key_id}", KeyUnusable):
            answer = self._client.sign(  # step 1
                KeyId=self._key_id, Message=message, MessageType="RAW", SigningAlgorithm=algorithm
            )
        self._check(public, answer["Signature"], message)  # step 2
        self._lock_receipt(answer, message)  # step 3
        return answer["Signature"]

    @functools.cached_property
    def _key(self) -> tuple[PublicKey, SigningAlgorithmSpecType]:
        """The public key, which never changes, and how it signs. Raises: KeyUnusable."""
        with translated(f"read the public key of {self._key_id}", KeyUnusable):
            answer = self._client.get_public_key(KeyId=self._key_id)
        spec = answer.get("KeySpec", "?")
        if spec not in _SPECS or answer.get("KeyUsage") != "SIGN_VERIFY":
            raise KeyUnusable(
                f"{self._key_id} is a key of the spec {spec}, for {answer.get('KeyUsage', '?')}",
                next_step=f"name a key for SIGN_VERIFY with one of the specs {', '.join(_SPECS)}",
            )
        algorithm, name = _SPECS[spec]
        return PublicKey(algorithm, _encoded(algorithm, answer["PublicKey"])), name

    def _check(self, public: PublicKey, signature: bytes, message: bytes) -> None:
        try:
            public.verify(signature, message)
        except (BadSignature, Malformed) as error:
            raise KeyUnusable(
                f"{self._key_id} answered a signature that its public key does not verify",
                next_step="compare aws kms get-public-key with the pinned key, and tell AWS",
            ) from error

    def _lock_receipt(self, answer: Any, message: bytes) -> None:
        made = receipts.receipt(
            answer["ResponseMetadata"].get("RequestId", ""),
            answer["KeyId"],
            message,
            self._clock.now(),
        )
        self._receipts.put(receipts.place(made), receipts.encode(made))


def _encoded(algorithm: Algorithm, spki: bytes) -> bytes:
    """The key as ``kernel.signing`` has it: Ed25519 raw, P-256 in DER. Raises: KeyUnusable."""
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyUnusable("KMS answered a public key that cannot be read") from error
    if algorithm is Algorithm.ECDSA_P256:
        return spki
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnusable("KMS answered a public key of another kind than its spec says")
    return key.public_bytes_raw()
