"""What reading an account's identities costs: calls, time, memory; and what of it is moto's.

    .venv/bin/python tests/bench/accounts.py [--roles 5000] [--policies 3000] [--users 300]

Two accounts, one of a fifth of the size of the other. Each is kept by a process of its own: moto
behind an HTTP server, with pages of 1,000 as AWS gives them. Each reading is a process too, so that
its memory is its own: once with the kernel's count of resident memory, once under ``tracemalloc``
(which makes it slower: its time is not said). Users have a key each, a tenth of them one that the
credential report does not call used.

Then the building of objects alone, from pages that are made as they are asked for, without AWS,
HTTP or botocore: its peak against what is left of it, for pages of 1,000 and of all at once.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import resource
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from aws import iam_answers
from aws.iam_pages import paged
from support.aws import ACCOUNT, StrictAws, client

from chalicelib.aws.asker import Asker
from chalicelib.aws.iam_objects import Details
from chalicelib.aws.iam_source import IamSource
from chalicelib.drift import snapshot
from chalicelib.drift.iam.reach import Databases, reach
from chalicelib.drift.iam.reference import packaged

MEBI = 1 << 20
NOW = datetime.now(UTC)  # noqa: TID251 - moto's moments are the machine's


def quiet(*_):
    """Nobody watches."""


def document(number, statements=3):
    """A policy that no other one is; about 700 bytes."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": f"Part{index}",
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:ListBucket", f"dynamodb:Get{index}*", "sqs:Send*"],
                "Resource": [f"arn:aws:s3:::bucket-{number}/{index}/*", f"arn:aws:s3:::b-{number}"],
                "Condition": {"StringEquals": {"aws:PrincipalTag/team": f"team-{number % 40}"}},
            }
            for index in range(statements)
        ],
    }


def trust(number):
    """One of fifty."""
    principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:role/deploy-{number % 50}"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def serve(sizes):
    """Keep an account until standard input ends; its endpoint is the first line."""
    from moto.iam.models import iam_backends

    with StrictAws() as aws, paged():
        backend = iam_backends[ACCOUNT]["aws"]
        fill(backend, sizes)
        print(aws.endpoint, flush=True)
        sys.stdin.read()


def fill(backend, sizes):
    """Moto's own objects, made without HTTP."""
    policies = []
    for number in range(sizes.policies):
        made = backend.create_policy("", "/", json.dumps(document(number)), f"p{number}", [])
        made.versions.append(type(made.versions[0])(made.arn, json.dumps(document(-number))))
        made.versions[-1].version_id = "v2"
        policies.append(made)
    for number in range(sizes.roles):
        text = json.dumps(trust(number))
        role = backend.create_role(f"r{number}", text, "/", None, "a role", [], "3600")
        policies[number % sizes.policies].attach_to(role)
        if number % 2:
            role.put_policy("own", json.dumps(document(number, 1)))
    for number in range(sizes.users // 10):
        backend.create_group(f"g{number}")
        policies[number % sizes.policies].attach_to(backend.groups[f"g{number}"])
    for number in range(sizes.users):
        user = backend.create_user("us-east-1", f"u{number}")
        backend.groups[f"g{number % (sizes.users // 10)}"].users.append(user)
        key = user.create_access_key("AKIA")
        if number % 10:
            key.last_used = NOW - timedelta(days=3)
        user.enable_mfa_device(f"arn:aws:iam::{ACCOUNT}:mfa/u{number}", "1", "2")
    backend.generate_report()


class Counted:
    """A client that counts what it is asked."""

    def __init__(self, inner, calls):
        self._inner = inner
        self._calls = calls

    def __getattr__(self, method):
        call = getattr(self._inner, method)

        def counted(**parameters):
            started = time.perf_counter()
            try:
                return call(**parameters)
            finally:
                self._calls[method] += 1
                self._calls["seconds"] += time.perf_counter() - started

        return counted


def read(endpoint, *, is_traced):
    """Read an account once; the figures as one line of JSON."""
    calls, timed = Counter(), Counter()
    clients = {name: Counted(client(name, endpoint), calls) for name in ("iam", "sts")}
    clients["iam"].list_account_aliases()  # botocore reads its models once
    calls.clear()
    reference = packaged()

    def timed_reach(*given):
        started = time.perf_counter()
        try:
            return reach(*given)
        finally:
            timed["reach"] += time.perf_counter() - started

    source = IamSource(
        ACCOUNT,
        lambda: Asker(clients.get, monotonic=time.monotonic, seconds=3_600),
        databases=Databases(ACCOUNT),
        reference=reference,
        now=lambda: NOW,
        reach=timed_reach,
    )
    gc.collect()
    before = _resident()
    if is_traced:
        tracemalloc.start()
    started = time.perf_counter()
    reading = source.read(quiet)
    seconds = time.perf_counter() - started
    figures = {"objects": len(reading.objects), "seconds": seconds, "reach": timed["reach"]}
    if is_traced:
        gc.collect()
        figures["left"], figures["peak"] = tracemalloc.get_traced_memory()
    figures["resident"] = _resident() - before
    figures["waited"] = calls.pop("seconds")
    figures["calls"] = dict(calls)
    built = snapshot.build(reading.objects)
    figures["bytes"] = len(built.data)
    figures["root"] = built.root.hex()
    figures["gaps"] = [item.name for item in reading.objects if item.kind == snapshot.COVERAGE]
    print(json.dumps(figures))


def _resident():
    """The most resident memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


def pages(sizes, most):
    """The account's pages, each made when it is asked for."""
    makers = [
        *(("Policies", _policy, number) for number in range(sizes.policies)),
        *(("RoleDetailList", _role, number) for number in range(sizes.roles)),
    ]
    for first in range(0, len(makers), most):
        page = iam_answers.page()
        for member, make, number in makers[first : first + most]:
            page[member].append(make(number, sizes))
        yield page


def _policy(number, _sizes):
    return iam_answers.policy(iam_answers.local(f"p{number}"), document(-number), document(number))


def _role(number, sizes):
    inline = {"own": document(number, 1)} if number % 2 else {}
    attached = [iam_answers.local(f"p{number % sizes.policies}")]
    return iam_answers.role(f"r{number}", trust=trust(number), inline=inline, attached=attached)


def build(sizes, most):
    """Objects of pages: what time it takes without making the pages, and memory."""
    made = list(pages(sizes, most))
    details = Details()
    started = time.perf_counter()
    for page in made:
        details.take(page)
    seconds = time.perf_counter() - started
    del made, details, page
    gc.collect()
    tracemalloc.start()
    details = Details()
    for page in pages(sizes, most):
        details.take(page)
    del page
    gc.collect()
    left, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    count = len(details.objects)
    print(
        f"  pages of {most:6,}: {count:7,} objects  {seconds:6.2f} s  "
        f"{count / seconds:8,.0f} objects/s  peak {peak / MEBI:6.1f} MiB = "
        f"{peak / left:4.2f} x the objects ({left / MEBI:6.1f} MiB)"
    )
    return seconds / count


def options(sizes):
    return [
        *("--roles", str(sizes.roles)),
        *("--policies", str(sizes.policies)),
        *("--users", str(sizes.users)),
    ]


def measured(sizes):
    """Read one account in processes of their own; figures of the time and of the memory."""
    this = [sys.executable, __file__, *options(sizes)]
    with subprocess.Popen(
        [*this, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        endpoint = server.stdout.readline().strip()
        runs = [
            json.loads(
                subprocess.run(
                    [*this, "--read", endpoint, *more], check=True, capture_output=True, text=True
                ).stdout
            )
            for more in ([], ["--traced"])
        ]
        server.stdin.close()
    return runs


def report(sizes):
    """Read, print, and give what a reading takes of its own."""
    plain, traced = measured(sizes)
    own = plain["seconds"] - plain["waited"]
    print(
        f"{sizes.roles:,} roles, {sizes.policies:,} policies, {sizes.users} users: "
        f"{plain['objects']:,} objects, a snapshot of {plain['bytes'] / MEBI:.1f} MiB"
        + (f", gaps {plain['gaps']}" if plain["gaps"] else "")
        + ("" if plain["root"] == traced["root"] else ", AND TWO READINGS DIFFER")
    )
    print(
        f"  {plain['seconds']:6.2f} s, of which {plain['waited']:.2f} s in botocore, HTTP and moto,"
        f" {plain['reach']:.2f} s in reach, {own - plain['reach']:.2f} s in the reader"
    )
    print(
        f"  traced peak {traced['peak'] / MEBI:.1f} MiB = {traced['peak'] / traced['left']:.2f} x"
        f" what is left ({traced['left'] / MEBI:.1f} MiB);"
        f" resident memory grew by {plain['resident'] / MEBI:.0f} MiB"
    )
    calls = plain["calls"]
    print(f"  {sum(calls.values()):,} calls: " + ", ".join(f"{k} {v}" for k, v in calls.items()))
    return {"own": own - plain["reach"], "peak": traced["peak"], "objects": plain["objects"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--roles", type=int, default=5_000)
    parser.add_argument("--policies", type=int, default=3_000)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--read", default="", help=argparse.SUPPRESS)
    parser.add_argument("--traced", action="store_true", help=argparse.SUPPRESS)
    sizes = parser.parse_args()
    if sizes.serve:
        return serve(sizes)
    if sizes.read:
        return read(sizes.read, is_traced=sizes.traced)
    small = argparse.Namespace(
        roles=sizes.roles // 5, policies=sizes.policies // 5, users=sizes.users // 5
    )
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n")
    first, second = report(small), report(sizes)
    print(
        f"  {second['objects'] / first['objects']:.1f} x the objects: "
        f"{second['own'] / first['own']:.1f} x the reader's time, "
        f"{second['peak'] / first['peak']:.1f} x the memory\n"
    )
    print("objects of pages alone, no AWS:")
    ratio = [build(each, most) for each in (small, sizes) for most in (1_000, 100_000)]
    print(f"  time for an object, large against small: {ratio[2] / ratio[0]:.2f} x")
    return None


if __name__ == "__main__":
    main()
