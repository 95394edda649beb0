"""An AWS account's objects, as its reader makes them."""

from __future__ import annotations

from chalicelib.drift.iam.document import canonical
from chalicelib.drift.snapshot import Object

ACCOUNT, OTHER = "111111111111", "222222222222"


def policy(*statements):
    return canonical({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {**allow(action, resource, **more), "Effect": "Deny"}


def trust(principal, **more):
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})


def account():
    return Object("iam_account", ACCOUNT, {"root_mfa": True, "root_access_keys": False})


def role(name, who=None, **more):
    return Object("iam_role", name, {"path": "/", "trust": trust(who or {"AWS": ACCOUNT}), **more})


def user(name, **more):
    return Object("iam_user", name, {"path": "/", "console": False, **more})


def group(name):
    return Object("iam_group", name, {"path": "/"})


def managed(name, *statements, **more):
    document = policy(*statements) if statements else None
    return Object("iam_policy", name, {"document": document, "aws_managed": False, **more})


def inline(holder, name, *statements, **more):
    attributes = {"document": policy(*statements), "of": f"iam_{holder}", **more}
    return Object("iam_inline_policy", f"{holder}: {name}", attributes)


def attached(holder, name):
    attributes = {"policy": name, "of": f"iam_{holder}"}
    return Object("iam_attachment", f"{holder} has {name}", attributes)


def member(name, joined):
    return Object(
        "iam_membership", f"{name} in {joined}", {"group": joined, "of": f"iam_user {name}"}
    )
