"""The Lambda functions of Holdfast: what starts them. What they do is in ``chalicelib.functions``.

Chalice ships this file, ``chalicelib/`` and the pinned requirements. Schedules and queues are here
and not in a blueprint, whose event handlers would be deployed without this module. Each function
imports its own flow when it runs: a cold start loads no other, and ``chalice package``, which
imports this file, needs no service of AWS.

``infra/template.yaml`` has the true period, queues, environment and limits. A queue is named here
by a placeholder ARN, a plain string, which the template replaces as a whole; named by ``queue=`` it
would be a mapping, and Chalice would merge the two into one that nothing accepts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalice.app import Chalice, Rate

if TYPE_CHECKING:
    from chalice.app import CloudWatchEvent, SQSEvent

app = Chalice(app_name="holdfast")


@app.schedule(Rate(15, unit=Rate.MINUTES), name="dispatch")
def dispatch(event: CloudWatchEvent) -> Any:
    """Put a message for every target into the scan queue: once a period."""
    from chalicelib.functions.dispatch import dispatch as run  # noqa: PLC0415

    context: Any = event.context  # Lambda's object; Chalice takes it for a dictionary
    return run(event.to_dict(), context)


@app.on_sqs_message(
    queue_arn="arn:aws:sqs:us-east-1:000000000000:scan.fifo", batch_size=10, name="scan"
)
def scan(event: SQSEvent) -> Any:
    """Scan the targets of up to ten messages; answer with those that must come again."""
    from chalicelib.functions.scan import scan as run  # noqa: PLC0415

    context: Any = event.context  # Lambda's object; Chalice takes it for a dictionary
    return run(event.to_dict(), context)


@app.on_sqs_message(
    queue_arn="arn:aws:sqs:us-east-1:000000000000:dead.fifo", batch_size=10, name="overdue"
)
def overdue(event: SQSEvent) -> Any:
    """Record targets whose scan failed again and again as unknown."""
    from chalicelib.functions.overdue import overdue as run  # noqa: PLC0415

    context: Any = event.context  # Lambda's object; Chalice takes it for a dictionary
    return run(event.to_dict(), context)
