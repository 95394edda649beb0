"""How long it takes to say who may do what, in a database of thousands of roles and objects.

    .venv/bin/python tests/bench/effective.py [ROLES] [OBJECTS]

Half of the roles are one wide group's, the others are in chains of 50. Each table has an owner, and
entries for five groups and for one role of its own. Prints seconds of CPU for each step, and the
most memory that was taken, snapshots included.
"""

# ruff: noqa: S311

from __future__ import annotations

import itertools
import random
import resource
import sys
import time

from chalicelib.drift.diff import diff
from chalicelib.drift.effective.answer import everything, privileges_of, who_can
from chalicelib.drift.effective.changes import effects
from chalicelib.drift.effective.closure import effective
from chalicelib.drift.effective.compare import compare
from chalicelib.drift.snapshot import Object, build, parse

FLAGS = {"superuser": False, "inherit": True, "bypass_rls": False, "create_role": False}
LINES = 100_000
GROUPS = 50
DEEP = 50


def member(name, of):
    options = {"admin": False, "inherit": True, "set": True}
    return Object("membership", f"{name} in {of}", {"of": f"role {name}", **options})


def grant(thing, to, *privileges):
    given = {one: ["by root"] for one in privileges}
    return Object("grant", f"{thing} to {to}", {"of": thing, **given})


def database(roles, objects):
    """A wide group, chains, groups with tables, and a reader of all tables that nobody is yet."""
    pick = random.Random(8)
    names = [f"r{number:05}" for number in range(roles)]
    yield Object("role", "root", {**FLAGS, "superuser": True})
    for name in (*names, "wide", "reader", "writer", *(f"g{number}" for number in range(GROUPS))):
        yield Object("role", name, FLAGS)
    half = roles // 2
    for name in names[:half]:
        yield member(name, "wide")
    for number, name in enumerate(names[half:]):
        yield (
            member(name, names[half + number + 1] if (number + 1) % DEEP else "wide")
            if (half + number + 1 < roles)
            else member(name, "wide")
        )
    for number in range(GROUPS):
        for name in pick.sample(names, 20):
            yield member(name, f"g{number}")
    yield Object("schema", "app", {"owner": "root"})
    yield grant("schema app", "PUBLIC", "usage")
    for number in range(objects):
        thing = f"app.t{number:05}"
        yield Object("table", thing, {"owner": names[number % 100]})
        yield grant(f"table {thing}", "reader", "select")
        yield grant(f"table {thing}", "writer", "delete")
        for group in pick.sample(range(GROUPS), 3):
            yield grant(f"table {thing}", f"g{group}", "select", "insert")
        yield grant(f"table {thing}", pick.choice(names), "update")


def timed(what, run):
    start = time.process_time()
    found = run()
    print(f"{what:58} {time.process_time() - start:8.3f} s")
    return found


def main():
    """Measure."""
    roles, count = (int(one) for one in [*sys.argv[1:], "5000", "10000"][:2])
    objects = list(database(roles, count))
    before = parse(build(objects).data)
    wide = [*objects, member("wide", "reader")]
    after = parse(build(wide).data)
    few = [member(f"r{one:05}", f"g{one % GROUPS}") for one in range(100, 200)]
    more = [one for one in few if one.key not in before.objects]
    many = parse(build([*wide, *more]).data)
    kinds = [sum(one.kind == kind for one in objects) for kind in ("membership", "grant")]
    print(f"{roles} roles, {kinds[0]} memberships, {count} tables, {kinds[1]} grants")
    of = timed("build", lambda: effective(before, "shop"))
    timed("what one role may, the first question", lambda: list(privileges_of(of, "r00000")))
    timed("what another may", lambda: list(privileges_of(of, "r04000")))
    timed("who can read one table", lambda: list(who_can(of, ("table", "app.t00007"), "select")))
    written = parse(build([*objects, member("wide", "writer")]).data)
    for what, other in (("nobody had", written), ("some had, each other ones", after)):
        found = timed(
            f"compare: a group gets what {what}",
            lambda other=other: compare(before, other, "shop"),
        )
        cells = sum(one.roles.bit_count() * len(one.things) for one in found.gained)
        print(f"{'':4}rectangles {len(found.gained)}, pairs of a role and an object {cells}")
    changes = diff(before, after)
    timed("what that change comes to", lambda: list(map(effects(before, after), changes)))
    changes = diff(after, many)
    timed(
        f"what {len(changes)} memberships come to", lambda: list(map(effects(after, many), changes))
    )
    timed(f"everything, the first {LINES} lines", lambda: take(everything(of)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


def take(lines):
    return sum(1 for _ in itertools.islice(lines, LINES))


if __name__ == "__main__":
    main()
