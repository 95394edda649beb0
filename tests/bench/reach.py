"""How long it takes to say who reaches databases, in an account of some thousand roles.

    .venv/bin/python tests/bench/reach.py [ROLES] [POLICIES]

Prints seconds, their ratio to parsing every document once, and the most memory that was taken.
Three accounts: plain; with a Deny for everybody and boundaries; and one where besides half of the
statements lead to some fifty roles each, and the other half to instances of which each policy names
others.
"""

# ruff: noqa: S311

from __future__ import annotations

import random
import resource
import sys
import time

from chalicelib.drift.iam.document import parse
from chalicelib.drift.iam.reach import Databases, reach
from chalicelib.drift.iam.reference import packaged
from chalicelib.drift.snapshot import Object

ACCOUNT = "123456789012"
SERVICES = ("s3", "ec2", "sqs", "sns", "dynamodb", "logs", "lambda", "kms", "ecr", "rds", "iam")
MFA = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions, resources="*", effect="Allow", **more):
    return {"Effect": effect, "Action": actions, "Resource": resources, **more}


def arn(name):
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def statement(pick, number, *, hard):
    """A statement as people write them; one in 20 is about databases, roles or policies."""
    kind = pick.randrange(60)
    if kind == 0:
        user = f"arn:aws:rds-db:*:{ACCOUNT}:dbuser:db-{pick.randrange(50)}/app{number}"
        return allow("rds-db:connect", user)
    if kind == 1:
        secret = f"arn:aws:secretsmanager:*:{ACCOUNT}:secret:team{number}/*"
        return allow(["secretsmanager:GetSecretValue", "secretsmanager:Describe*"], secret)
    if kind == 2 or (hard and kind < 30):
        if hard:
            return allow("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/*{number % 97}*")
        return allow("sts:AssumeRole", [arn(f"r{pick.randrange(5000):05}") for _ in range(3)])
    if hard:
        return allow("rds:*", f"arn:aws:rds:*:{ACCOUNT}:db:team{number}-*")
    service = pick.choice(SERVICES[:9])
    return allow(
        [f"{service}:Get*", f"{service}:List*", f"{service}:Put*"],
        [f"arn:aws:{service}:::team{number}-{pick.randrange(99)}/*"],
    )


def account(roles, policies, *, deny=False, hard=False):
    pick = random.Random(8)
    objects = [
        Object(
            "iam_policy",
            f"p{number}",
            {
                "path": "/",
                "document": policy(*(statement(pick, number, hard=hard) for _ in range(3))),
            },
        )
        for number in range(policies)
    ]
    guard = policy(allow("*", effect="Deny", Condition=MFA))
    bound = policy(
        allow(["s3:*", "rds-db:*", "sts:*", "secretsmanager:Get*"]), allow("iam:*", effect="Deny")
    )
    objects += [
        Object("iam_policy", name, {"path": "/", "document": document})
        for name, document in (("guard", guard), ("bound", bound))
    ]
    for number in range(roles):
        name = f"r{number:05}"
        match number % 3:
            case 0:
                principal = {"Service": "lambda.amazonaws.com"}
            case 1:
                principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
            case _:
                principal = {"AWS": [arn(f"r{pick.randrange(roles):05}") for _ in range(2)]}
        if hard:
            principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        trust = policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
        more = {"boundary": "bound"} if deny and number % 2 else {}
        objects.append(Object("iam_role", name, {"path": "/", "trust": trust, **more}))
        of = {"of": f"iam_role {name}"}
        held = {f"p{pick.randrange(policies)}" for _ in range(3)} | ({"guard"} if deny else set())
        objects += [
            Object("iam_attachment", f"role {name} has {one}", {**of, "policy": one})
            for one in sorted(held)
        ]
        document = policy(statement(pick, number, hard=hard))
        own = {**of, "document": document}
        objects.append(Object("iam_inline_policy", f"role {name}: own", own))
    return objects


def main():
    """Measure."""
    roles, policies = (int(one) for one in [*sys.argv[1:], "5000", "3000"][:2])
    index = packaged()
    instances = tuple(f"db-{one}" for one in range(10))
    databases = Databases(ACCOUNT, instances=instances, secrets=("team7/db", "team99/db"))
    print("account   seconds  ratio  objects  memory")
    kinds = {"plain": {}, "denied": {"deny": True}, "hard": {"deny": True, "hard": True}}
    for name, more in kinds.items():
        objects = account(roles, policies, **more)
        start = time.process_time()
        for one in objects:
            for key in ("document", "trust"):
                if key in one.attributes:
                    parse(one.attributes[key])
        once = time.process_time() - start
        start = time.process_time()
        found = reach(objects, databases, index)
        took = time.process_time() - start
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{name:8} {took:8.2f} {took / once:6.2f} {len(found):8} {most:4} MiB")


if __name__ == "__main__":
    main()
