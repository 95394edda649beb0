"""The Lambda functions of Holdfast and its API: what starts them.

What they do is in ``chalicelib.functions``; the API's routes are in ``chalicelib.http``.

Chalice ships this file, ``chalicelib/`` and the pinned requirements. Schedules and queues are here
and not in a blueprint, whose event handlers would be deployed without this module. Each function
imports its own flow when it runs: a cold start loads no other, and ``chalice package``, which
imports this file, needs no service of AWS.

``infra/template.yaml`` has the true period, queues, environment and limits. A queue is named here
by a placeholder ARN, a plain string, which the template replaces as a whole; named by ``queue=`` it
would be a mapping, and Chalice would merge the two into one that nothing accepts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from chalice.app import Chalice, IAMAuthorizer, Rate

if TYPE_CHECKING:
    from chalice.app import CloudWatchEvent, SQSEvent

# Its log is that of the functions, which would have each line twice with a handler of Chalice.
app = Chalice(app_name="holdfast", configure_logs=False)

# Lambda names the handler that it starts. The others have no routes, and load none.
if os.environ.get("_HANDLER", "app.app") == "app.app":
    from chalicelib.functions.api import gate
    from chalicelib.http.blueprint import blueprint

    app.register_blueprint(blueprint(gate), name_prefix="bearer_")
    app.register_blueprint(blueprint(gate, IAMAuthorizer()), name_prefix="iam_")


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


@app.on_sqs_message(
    queue_arn="arn:aws:sqs:us-east-1:000000000000:packet.fifo", batch_size=1, name="packet"
)
def packet(event: SQSEvent) -> Any:
    """Build the packet that somebody asked for."""
    from chalicelib.functions.packet import packet as run  # noqa: PLC0415

    context: Any = event.context  # Lambda's object; Chalice takes it for a dictionary
    return run(event.to_dict(), context)


@app.lambda_function(name="lease")
def lease(event: dict[str, Any], context: Any) -> Any:
    """End leases whose time is over, and tell who wants to know: every minute, and by timers."""
    from chalicelib.functions.lease import lease as run  # noqa: PLC0415

    return run(event, context)


@app.lambda_function(name="grant")
def grant(event: dict[str, Any], context: Any) -> Any:
    """Make or end a lease at a database, for another function."""
    from chalicelib.functions.grant import grant as run  # noqa: PLC0415

    return run(event, context)
