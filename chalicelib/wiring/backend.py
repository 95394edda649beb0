"""Backend: what operations need beyond the services, to start work and to hand out what it made."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chalicelib.kernel.errors import KeyUnusable
from chalicelib.kernel.sealed import SealedPassing

if TYPE_CHECKING:
    from chalicelib.drift.schedule import Queue
    from chalicelib.evidence.parcel import Parcels
    from chalicelib.kernel.passing import Passing
    from chalicelib.wiring.services import Services

PASSING_FILE: Final = "passing.db"
PACKETS_FOLDER: Final = "packets"


@dataclass(frozen=True, slots=True)
class Backend:
    """``orders``: the queue of workers that reach targets; ``packets``: of those that build."""

    passing: Passing
    orders: Queue
    packets: Queue
    parcels: Parcels


def local(services: Services, queue: Queue) -> Backend:
    """On one machine: a database, a folder, and one queue for everything. Raises: KeyUnusable."""
    from chalicelib.local.parcels import DirectoryParcels  # noqa: PLC0415 - not on AWS
    from chalicelib.local.passing import SqlitePassing  # noqa: PLC0415 - likewise

    store, clock = services.settings.store_path, services.desk.clock
    return Backend(
        passing=SealedPassing(SqlitePassing(store / PASSING_FILE, clock), services.secret),
        orders=queue,
        packets=queue,
        parcels=DirectoryParcels(store / PACKETS_FOLDER, _address_key(services), clock),
    )


def on_aws(services: Services) -> Backend:
    """On AWS: a table, two queues, and a bucket's prefix. Raises: ConfigError; CouldNotTell."""
    from chalicelib.aws import session  # noqa: PLC0415 - not on one machine
    from chalicelib.aws.parcels import S3Parcels  # noqa: PLC0415 - likewise
    from chalicelib.aws.passing import DynamoPassing  # noqa: PLC0415 - likewise
    from chalicelib.aws.queue import SqsQueue  # noqa: PLC0415 - likewise
    from chalicelib.wiring import cloud  # noqa: PLC0415 - likewise

    own = cloud.section(services.settings)
    found, client = cloud.where(own), cloud.of(own).client
    clock = services.desk.clock
    passing = DynamoPassing(client("dynamodb"), found.passing_table, clock)
    return Backend(
        passing=SealedPassing(passing, services.secret),
        orders=SqsQueue(client("sqs"), found.scan_queue, pause=session.pause),
        packets=SqsQueue(client("sqs"), found.packet_queue, pause=session.pause),
        parcels=S3Parcels(client("s3"), found.derived_bucket, clock),
    )


def _address_key(services: Services) -> bytes:
    """What addresses of packets are signed with. Raises: KeyUnusable."""
    if services.secret is None:
        raise KeyUnusable(
            "this copy of the store has no key folder, and can hand out nothing",
            next_step="serve where the key folder is",
        )
    return hmac.digest(services.secret, b"holdfast packet address v1", hashlib.sha256)
