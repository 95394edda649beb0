"""What tests of leases do again and again with a broker of ``support.grants``."""

from __future__ import annotations

from support.grants import ANA, BEN

from chalicelib.access import lease, request
from chalicelib.access.request import Asked
from chalicelib.kernel.clock import timestamp

READ = Asked(profile="read-clear", reason="INC-481 refund bug", tables=("public.orders",))
FREE = Asked(profile="read-masked", reason="nightly report")


def at(broker, desk=None):
    return desk or broker.desk, broker.target


def approved(broker, what=READ):
    held = request.ask(*at(broker), ANA, what)
    return request.approve(*at(broker), BEN, held.id).id


def active(broker, what=READ):
    found = approved(broker, what)
    return found, lease.claim(*at(broker), ANA, found)


def now(broker):
    return timestamp(broker.clock.moment)


def held(broker, which):
    return request.find(*at(broker), which)[1]


def once(broker, point, work):
    """Do it the first time that the broker comes to this point."""
    done = []

    def hook(reached):
        if reached == point and not done:
            done.append(reached)
            work()

    broker.hook = hook
    return done


def fail(error):
    def work():
        raise error

    return work


def roles(broker):
    return set(broker.cluster.roles)
