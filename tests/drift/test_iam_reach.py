"""Who can reach databases: cases, each with the argument for it, and a search for one left out."""

# ruff: noqa: E501 - a case is a line

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.drift.iam.actions import Index
from chalicelib.drift.iam.automaton import meets
from chalicelib.drift.iam.chain import MAX_THROUGH
from chalicelib.drift.iam.document import parse
from chalicelib.drift.iam.evaluate import Decision, evaluate
from chalicelib.drift.iam.glob import Pattern, Wild, matches
from chalicelib.drift.iam.glob import arn as pattern_of_arn
from chalicelib.drift.iam.glob import parse as parse_pattern
from chalicelib.drift.iam.goal import MEANINGS, goals
from chalicelib.drift.iam.overlap import Overlap
from chalicelib.drift.iam.principal import Entry, Principal
from chalicelib.drift.iam.reach import KIND, MAX_LABEL, Databases, reach
from chalicelib.drift.iam.request import Request
from chalicelib.drift.iam.roll import Roll
from chalicelib.drift.snapshot import Object


class Shelf:
    actions = (
        "iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:AttachRolePolicy", "iam:AttachUserPolicy",
        "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:CreatePolicyVersion", "iam:GetUser",
        "iam:PassRole", "iam:PutGroupPolicy", "iam:PutRolePolicy", "iam:PutUserPolicy",
        "iam:SetDefaultPolicyVersion", "iam:UpdateAssumeRolePolicy", "iam:UpdateLoginProfile",
        "rds-db:connect", "rds:CopyDBSnapshot", "rds:DeleteDBInstance", "rds:DescribeDBInstances",
        "rds:ListTagsForResource", "rds:ModifyDBInstance", "rds:ModifyDBSnapshotAttribute",
        "rds:StartExportTask", "s3:GetObject", "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue", "secretsmanager:PutResourcePolicy", "sts:AssumeRole",
        "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity",
    )  # fmt: skip
    date = "2026-11-01"


INDEX = Index(Shelf())
A, OTHER = "111111111111", "999999999999"
DBUSER = f"arn:aws:rds-db:eu-west-1:{A}:dbuser:db-ONE/app"
DATABASES = Databases(A, instances=("db-ONE",), secrets=("app/db",))
SECRET = f"arn:aws:secretsmanager:eu-west-1:{A}:secret:app/db-a1B2c3"
CONNECT, ESCALATE, HAND_OVER = "rds-db:connect", "iam: give itself access", "iam:PassRole"
CHANGE, COPY = "rds: change", "rds: copy"
READ, REPLACE = "secretsmanager:GetSecretValue", "secretsmanager: change"
EVERYTHING = [READ, REPLACE, CONNECT, CHANGE, COPY, ESCALATE]
ROOT = {"AWS": f"arn:aws:iam::{A}:root"}
MFA = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}
IP = {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {**allow(action, resource, **more), "Effect": "Deny"}


def trusts(principal, effect="Allow", action="sts:AssumeRole", **more):
    return {"Effect": effect, "Principal": principal, "Action": action, **more}


def no_one(action, resources):
    """A Deny on all but the resources."""
    return {"Effect": "Deny", "Action": action, "NotResource": resources}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def arn(label, path="/"):
    kind, _, name = label.partition(" ")
    return f"arn:aws:iam::{A}:{kind}{path}{name}"


def inline(owner, *statements, number=0):
    kind = owner.partition(" ")[0]
    attributes = {"of": f"iam_{owner}", "document": policy(*statements)}
    return Object("iam_inline_policy", f"{owner}: p{number}", {**attributes, "kind": kind})


def role(name, *statements, trust=(), **more):
    attributes = {"path": "/", "trust": policy(*(trust or [trusts(ROOT)])), **more}
    return [
        Object("iam_role", name, attributes),
        *([inline(f"role {name}", *statements)] if statements else []),
    ]


def user(name, *statements, **more):
    return [
        Object("iam_user", name, {"path": "/", **more}),
        *([inline(f"user {name}", *statements)] if statements else []),
    ]


def managed(name, *statements):
    return [Object("iam_policy", name, {"path": "/", "document": policy(*statements)})]


def attached(owner, name):
    return [Object("iam_attachment", f"{owner} has {name}", {"of": f"iam_{owner}", "policy": name})]


def member(name, group, *statements):
    return [
        Object("iam_group", group, {"path": "/"}),
        Object("iam_membership", f"{name} in {group}", {"of": f"iam_user {name}", "group": group}),
        *([inline(f"group {group}", *statements)] if statements else []),
    ]


def found(objects, databases=DATABASES):
    """By who it is: their ways, in order."""
    answer = {}
    for one in reach(objects, databases, INDEX):
        said = dict(one.attributes)
        who = said.pop("who")
        assert (one.kind, one.name) == (KIND, f"{who}: {said['by']}")
        answer.setdefault(who, []).append(said)
    return answer


def does(by, *through, certain=True):
    by = [by] if isinstance(by, str) else sorted(by)
    return [{"by": one, "through": list(through), "certain": certain} for one in by]


GOAL = allow(CONNECT, DBUSER)
END = role("end", GOAL, trust=[trusts({"AWS": arn("role gate")})])  # a role that reaches
OPEN = role("end", GOAL)  # one that trusts the account
HELD = {"role end": does(CONNECT)}
NAMED = [trusts({"AWS": arn("user al")})]
TAKE = allow("sts:AssumeRole", arn("role end"))

CASES = [
    # What policies allow
    ("connect", user("al", GOAL), {"user al": does(CONNECT)}, "rds-db:connect on a user of the database logs in"),
    ("connect-other", user("al", allow(CONNECT, DBUSER.replace("ONE", "TWO"))), {}, "another database is none of these"),
    ("connect-any-user", user("al", allow(CONNECT, f"arn:aws:rds-db:*:{A}:dbuser:*/reader")), {"user al": does(CONNECT)}, "the pattern matches a user of db-ONE"),
    ("connect-account", user("al", allow(CONNECT, f"arn:aws:rds-db:*:{OTHER}:dbuser:*/*")), {}, "databases of another account are none of these"),
    ("case", user("al", allow("RDS-DB:Connect", DBUSER)), {"user al": does(CONNECT)}, "actions have no case"),
    ("wild-action", user("al", allow("rds-db:c*")), {"user al": does(CONNECT)}, "a pattern of actions that connect matches"),
    ("everything", user("al", allow("*")), {"user al": does(EVERYTHING)}, "an administrator has every class, and needs no chain"),
    ("nothing", user("al", allow("s3:*")), {}, "S3 leads nowhere"),
    ("not-action", user("al", {"Effect": "Allow", "NotAction": "iam:*", "Resource": DBUSER}), {"user al": does(CONNECT)}, "all but IAM is connect too"),
    ("not-action-it", user("al", {"Effect": "Allow", "NotAction": "rds-db:*", "Resource": DBUSER}), {}, "all but connect, on a database's user, is nothing"),
    ("not-resource", user("al", {"Effect": "Allow", "Action": CONNECT, "NotResource": DBUSER}), {"user al": does(CONNECT)}, "the database has more users than that one"),
    ("not-resource-all", user("al", {"Effect": "Allow", "Action": CONNECT, "NotResource": f"arn:aws:rds-db:*:{A}:dbuser:db-ONE/*"}), {}, "every user of the database is left out"),
    ("change", user("al", allow("rds:ModifyDBInstance")), {"user al": does(CHANGE)}, "who modifies an instance gives it a new master password"),
    ("describe", user("al", allow(["rds:Describe*", "rds:List*"])), {}, "to describe databases is not to reach them"),
    ("change-elsewhere", user("al", allow("rds:*", f"arn:aws:rds:*:{A}:pg:*")), {}, "parameter groups are no databases"),
    ("copy", user("al", allow("rds:CopyDBSnapshot", f"arn:aws:rds:*:{A}:snapshot:*")), {"user al": does(COPY)}, "a snapshot is the database"),
    ("share", user("al", allow("rds:ModifyDBSnapshotAttribute")), {"user al": does(COPY)}, "who shares a snapshot gives the data away"),
    ("secret", user("al", allow(READ, SECRET)), {"user al": does(READ)}, "the password is in it"),
    ("secret-pattern", user("al", allow(READ, f"arn:aws:secretsmanager:*:{A}:secret:app/*")), {"user al": does(READ)}, "the pattern matches the secret's ARN"),
    ("secret-other", user("al", allow(READ, f"arn:aws:secretsmanager:*:{A}:secret:app/db2-??????")), {}, "another name, though it begins so"),
    ("secret-policy", user("al", allow("secretsmanager:PutResourcePolicy", SECRET)), {"user al": does(REPLACE)}, "who sets a secret's policy may let himself read it"),
    ("secret-describe", user("al", allow("secretsmanager:DescribeSecret", SECRET)), {}, "a description has no password"),
    ("colon", user("al", allow(CONNECT, f"arn:aws:rds-db:*:{OTHER}:dbuser:*/*"), deny("s3:*"), deny(CONNECT, "*:dbuser:db-ONE/x")), {}, "nor are they where a Deny is looked at"),
    ("automated", user("al", allow("rds:CopyDBSnapshot", f"arn:aws:rds:*:{A}:snapshot:rds:*")), {"user al": does(COPY)}, "RDS's own snapshots have a colon in their names"),
    # Where policies come from
    ("attached", [*user("al"), *managed("m", GOAL), *attached("user al", "m")], {"user al": does(CONNECT)}, "an attached policy counts"),
    ("unattached", [*user("al"), *managed("m", GOAL)], {}, "a policy that is nobody's gives nobody anything"),
    ("group", [*user("al"), *user("bo"), *member("al", "g", GOAL)], {"user al": does(CONNECT)}, "a group's policies are its members', and no one else's"),
    ("group-attached", [*user("al"), *member("al", "g"), *managed("m", GOAL), *attached("group g", "m")], {"user al": does(CONNECT)}, "so are those attached to it"),
    ("missing", [*user("al"), *attached("user al", "m")], {"user al": does([*EVERYTHING], certain=False)}, "a policy that was not read may allow anything"),
    ("malformed", [*user("al"), Object("iam_inline_policy", "user al: p", {"of": "iam_user al", "document": "{", "unparsed": True})], {"user al": does(EVERYTHING, certain=False)}, "so may one that cannot be parsed"),
    # Deny
    ("denied", user("al", GOAL, deny("rds-db:*")), {}, "an explicit Deny decides"),
    ("denied-by-group", [*user("al", GOAL), *member("al", "g", deny("*"))], {}, "a group's Deny counts for its members"),
    ("denied-part", user("al", allow(CONNECT), deny(CONNECT, f"{DBUSER}")), {"user al": does(CONNECT)}, "one user of the database is denied, others are not"),
    ("denied-rest", user("al", allow(CONNECT, DBUSER), no_one(CONNECT, f"arn:aws:rds-db:*:{A}:dbuser:*/ro")), {}, "what is allowed is denied, by all but another user"),
    ("denied-without-mfa", user("al", GOAL, deny("*", Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})), {"user al": does(CONNECT, certain=False)}, "with MFA it is not denied; whether there is, the context decides"),
    ("contradiction", user("al", allow(CONNECT, DBUSER, **MFA), deny(CONNECT, **MFA)), {}, "it is denied wherever it is allowed"),
    ("condition", user("al", allow(CONNECT, DBUSER, **IP)), {"user al": does(CONNECT, certain=False)}, "only the context tells the address"),
    ("variable", user("al", allow(CONNECT, f"arn:aws:rds-db:*:{A}:dbuser:db-ONE/${{aws:username}}")), {"user al": does(CONNECT, certain=False)}, "for some value of the variable"),
    # Boundaries
    ("bounded", [*user("al", GOAL, boundary="b"), *managed("b", allow("s3:*"))], {}, "the boundary does not allow it"),
    ("bounded-in", [*user("al", GOAL, boundary="b"), *managed("b", allow("rds-db:*"))], {"user al": does(CONNECT)}, "policy and boundary allow it"),
    ("bounded-apart", [*user("al", allow(CONNECT, f"{DBUSER}1"), boundary="b"), *managed("b", allow(CONNECT, f"{DBUSER}2"))], {}, "both allow some user, and none the same"),
    ("bounded-colon", [*user("al", allow(CONNECT, f"arn:aws:rds-db:*:{A}:dbuser:db-ONE/x*"), boundary="b"), *managed("b", allow(CONNECT, f"arn:aws:rds-db:*:{A}:dbuser:db-ONE/y*"))], {}, "one name that both match would hold a whole ARN"),
    ("bounded-denied", [*user("al", GOAL, boundary="b"), *managed("b", allow("*"), deny(CONNECT))], {}, "a boundary's Deny is a Deny"),
    ("bounded-unknown", user("al", GOAL, boundary="gone"), {"user al": does(CONNECT, certain=False)}, "a boundary that was not read may allow it"),
    ("boundary-alone", [*user("al", boundary="b"), *managed("b", allow("*"))], {}, "a boundary grants nothing"),
    # Who may give himself access
    ("own-policy", user("al", allow("iam:PutUserPolicy", arn("user al"))), {"user al": does(ESCALATE)}, "who writes his own policies writes the one that reaches"),
    ("others-policy", user("al", allow("iam:PutRolePolicy", arn("role x"))), {"user al": does(ESCALATE, certain=False)}, "he gives it to a role; whether he may take that, this does not say"),
    ("version", user("al", allow("iam:CreatePolicyVersion")), {"user al": does(ESCALATE, certain=False)}, "a new version of a policy that is his, if there is one"),
    ("own-keys", user("al", allow("iam:CreateAccessKey", f"arn:aws:iam::{A}:user/${{aws:username}}")), {}, "one's own new key opens nothing new"),
    ("others-keys", user("al", allow("iam:CreateAccessKey", f"arn:aws:iam::{A}:user/*")), {"user al": does(ESCALATE, certain=False)}, "another's key opens what is theirs"),
    ("service-linked", user("al", allow("iam:AttachRolePolicy", f"arn:aws:iam::{A}:role/aws-service-role/*")), {}, "nobody edits service-linked roles"),
    ("conditional-policy", user("al", allow("iam:AttachUserPolicy", Condition={"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}})), {"user al": does(ESCALATE, certain=False)}, "which policies, the condition decides"),
    ("iam-read", user("al", allow("iam:Get*")), {}, "to read policies is not to write them"),
    # Roles by their trust
    ("delegated", [*OPEN, *user("al", TAKE)], {**HELD, "user al": does(CONNECT, "end")}, "the account is trusted, and his policy allows it"),
    ("delegated-alone", [*OPEN, *user("al")], HELD, "the account is trusted, and nothing allows it to him"),
    ("account-id", [*role("end", GOAL, trust=[trusts({"AWS": A})]), *user("al", TAKE)], {**HELD, "user al": does(CONNECT, "end")}, "the account's id is its root"),
    ("wrong-role", [*OPEN, *user("al", allow("sts:AssumeRole", arn("role other")))], HELD, "another role is not this one"),
    ("path", [*role("end", GOAL, path="/db/"), *user("al", allow("sts:AssumeRole", arn("role end", "/db/"))), *user("bo", TAKE)], {**HELD, "user al": does(CONNECT, "end")}, "a role's path is in its ARN"),
    ("named", [*role("end", GOAL, trust=NAMED), *user("al"), *user("bo", TAKE)], {**HELD, "user al": does(CONNECT, "end")}, "who is named needs no permission; who is not, has none"),
    ("named-denied", [*role("end", GOAL, trust=NAMED), *user("al", deny("sts:*"))], HELD, "his own Deny counts all the same"),
    ("named-bounded-user", [*role("end", GOAL, trust=NAMED), *user("al", boundary="b"), *managed("b", allow("s3:*"))], {**HELD, "user al": does(CONNECT, "end")}, "what a boundary leaves unsaid does not limit a user that a resource names"),
    ("named-bounded-role", [*END, *role("gate", boundary="b"), *managed("b", allow("s3:*"))], {**HELD, "role gate": does(CONNECT, "end", certain=False)}, "a role it does limit, its session it does not"),
    ("session", [*role("end", GOAL, trust=[trusts({"AWS": f"arn:aws:sts::{A}:assumed-role/gate/bo"})]), *role("gate")], {**HELD, "role gate": does(CONNECT, "end", certain=False)}, "a session of the role is trusted; its name is chosen by who takes it"),
    ("delegated-bounded", [*OPEN, *user("al", TAKE, boundary="b"), *managed("b", allow("s3:*"))], HELD, "a delegated permission has to be inside the boundary"),
    ("trust-deny", [*role("end", GOAL, trust=[trusts(ROOT), trusts({"AWS": arn("user al")}, "Deny")]), *user("al", TAKE), *user("bo", TAKE)], {**HELD, "user bo": does(CONNECT, "end")}, "the trust denies him, and nobody else"),
    ("trust-not-principal", [*role("end", GOAL, trust=[trusts(ROOT), {"Effect": "Deny", "NotPrincipal": {"AWS": [arn("user al"), f"arn:aws:iam::{A}:root"]}, "Action": "sts:AssumeRole"}]), *user("al", TAKE), *user("bo", TAKE)], {**HELD, "user al": does(CONNECT, "end"), "user bo": does(CONNECT, "end", certain=False)}, "he is left out by both names; of the other AWS says neither"),
    ("trust-mfa", [*role("end", GOAL, trust=[trusts(ROOT, **MFA)]), *user("al", TAKE)], {**HELD, "user al": does(CONNECT, "end", certain=False)}, "whether there is MFA, the context decides"),
    ("trust-arn", [*role("end", GOAL, trust=[trusts(ROOT, Condition={"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{A}:user/a*"}})]), *user("al", TAKE), *user("bo", TAKE)], {**HELD, "user al": does(CONNECT, "end")}, "everybody's ARN is known"),
    ("trust-not-arn", [*role("end", GOAL, trust=[trusts(ROOT), trusts("*", "Deny", Condition={"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{A}:user/a*"}})]), *user("al", TAKE), *user("bo", TAKE)], {**HELD, "user al": does(CONNECT, "end")}, "the Deny is for all others"),
    ("trust-tag-session", [*role("end", GOAL, trust=[trusts(ROOT, action="sts:TagSession")]), *user("al", TAKE)], HELD, "to tag a session is not to take the role"),
    ("trust-everybody", [*role("end", GOAL, trust=[trusts("*")]), *user("al"), *user("bo", deny("sts:AssumeRole"))], {**HELD, "user al": does(CONNECT, "end"), "everybody": does(CONNECT, "end")}, "inside the account nobody needs a permission then, but may be denied"),
    ("trust-org", [*role("end", GOAL, trust=[trusts("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})])], {**HELD, "everybody": does(CONNECT, "end", certain=False)}, "who is in the organization, the context decides"),
    ("trust-missing", [Object("iam_role", "end", {"path": "/"}), inline("role end", GOAL), *user("al")], {**HELD, "user al": does(CONNECT, "end", certain=False), "everybody": does(CONNECT, "end", certain=False)}, "a trust policy that was not read may trust anybody"),
    # From outside
    ("account", role("end", GOAL, trust=[trusts({"AWS": OTHER})]), {**HELD, f"account {OTHER}": does(CONNECT, "end")}, "another account decides who of its own"),
    ("foreign", role("end", GOAL, trust=[trusts({"AWS": f"arn:aws:iam::{OTHER}:user/x"})]), {**HELD, f"principal arn:aws:iam::{OTHER}:user/x": does(CONNECT, "end")}, "one of another account is named"),
    ("foreign-denied", role("end", GOAL, trust=[trusts({"AWS": f"arn:aws:iam::{OTHER}:user/x"}), trusts({"AWS": OTHER}, "Deny")]), HELD, "a Deny of an account is one of all in it"),
    ("gone", role("end", GOAL, trust=[trusts({"AWS": "AIDAAAAAAAAAAAAAAAAAA"})]), {**HELD, "principal AIDAAAAAAAAAAAAAAAAAA": does(CONNECT, "end", certain=False)}, "an id is what is left of somebody deleted"),
    ("service", role("end", GOAL, trust=[trusts({"Service": "lambda.amazonaws.com"})]), {**HELD, "service lambda.amazonaws.com": does(CONNECT, "end")}, "the service takes it for whoever has code there"),
    ("saml", role("end", GOAL, trust=[trusts({"Federated": f"arn:aws:iam::{A}:saml-provider/idp"}, action="sts:AssumeRoleWithSAML")]), {**HELD, f"federated arn:aws:iam::{A}:saml-provider/idp": does(CONNECT, "end")}, "the chain begins at the provider"),
    ("web", role("end", GOAL, trust=[trusts({"Federated": "idp.example"}, action="sts:AssumeRoleWithWebIdentity", Condition={"StringEquals": {"idp.example:sub": "x"}})]), {**HELD, "federated idp.example": does(CONNECT, "end", certain=False)}, "whose token it is, the context decides"),
    ("web-wrong-action", role("end", GOAL, trust=[trusts({"Federated": "idp.example"})]), HELD, "a provider's tokens are of no use to AssumeRole"),
    ("outside-of-nothing", role("x", allow("s3:*"), trust=[trusts("*")]), {}, "a role that reaches nothing may be anybody's"),
    ("delegated-denied", [*OPEN, *user("al", TAKE, deny("sts:*"))], HELD, "what his own Deny is on is not allowed to him"),
    ("delegated-not-resource", [*OPEN, *user("al", {"Effect": "Allow", "Action": "sts:AssumeRole", "NotResource": arn("role end")}), *user("bo", {"Effect": "Allow", "Action": "sts:AssumeRole", "NotResource": arn("role x")})], {**HELD, "user bo": does(CONNECT, "end")}, "all roles but one"),
    ("named-denied-by-a-variable", [*role("end", GOAL, trust=[trusts({"AWS": arn("role gate")})]), *role("gate", no_one("*", f"arn:aws:iam::{A}:user/${{aws:username}}"))], {**HELD, "role gate": does(CONNECT, "end", certain=False)}, "a role has no aws:username, and what NotResource means then AWS does not say"),
    ("delegated-denied-maybe", [*OPEN, *user("al", TAKE, deny("sts:*", **MFA))], {**HELD, "user al": does(CONNECT, "end", certain=False)}, "without MFA it is not denied"),
    # Chains
    ("chain", [*END, *role("gate", trust=NAMED), *user("al")], {**HELD, "role gate": does(CONNECT, "end"), "user al": does(CONNECT, "end", "gate")}, "he takes the role that takes the role"),
    ("chain-from-outside", [*END, *role("gate", trust=[trusts({"AWS": OTHER})])], {**HELD, "role gate": does(CONNECT, "end"), f"account {OTHER}": does(CONNECT, "end", "gate")}, "so does another account"),
    ("cycle", [*role("a", trust=[trusts({"AWS": arn("role b")})]), *role("b", trust=[trusts({"AWS": arn("role a")})])], {}, "two roles that take each other reach nothing"),
    ("cycle-out", [*END, *role("gate", trust=[trusts({"AWS": arn("role b")})]), *role("b", trust=[trusts({"AWS": arn("role gate")})])], {**HELD, "role gate": does(CONNECT, "end"), "role b": does(CONNECT, "end", "gate")}, "a cycle ends no chain and lengthens none"),
    ("itself", role("a", allow("sts:AssumeRole"), trust=[trusts(ROOT)]), {}, "a role that takes itself has gained nothing"),
    ("shortest", [*OPEN, *role("far", TAKE, trust=NAMED), *user("al", TAKE)], {**HELD, "role far": does(CONNECT, "end"), "user al": does(CONNECT, "end")}, "the way by another role is longer"),
    ("uncertain-chain", [*OPEN, *role("gate", {**TAKE, **IP}, trust=NAMED), *user("al")], {**HELD, "role gate": does(CONNECT, "end", certain=False), "user al": does(CONNECT, "end", "gate", certain=False)}, "a chain is as certain as its weakest step"),
    ("two-ways", [*OPEN, *user("al", TAKE, allow(READ, SECRET))], {**HELD, "user al": does(CONNECT, "end") + does(READ)}, "one class by himself, the other by a role"),
    ("certain-other-way", [*OPEN, *user("al", TAKE, allow(READ, SECRET, **IP))], {**HELD, "user al": does(CONNECT, "end") + does(READ, certain=False)}, "a certain way makes no other certain"),
    ("certain-by-a-role", [*OPEN, *user("al", TAKE, {**GOAL, **IP})], {**HELD, "user al": does(CONNECT, "end")}, "by himself the context decides; by the role it is certain, so that is how"),
    ("certain-and-longer", [*role("end", GOAL, trust=[trusts({"AWS": arn("user al")}, **MFA), trusts({"AWS": arn("role gate")})]), *role("gate", trust=NAMED), *user("al")], {**HELD, "role gate": does(CONNECT, "end"), "user al": does(CONNECT, "end", "gate")}, "the shorter chain is not certain"),
    ("outside-certain-and-longer", [*role("end", GOAL, trust=[trusts({"AWS": OTHER}, **MFA), trusts({"AWS": arn("role gate")})]), *role("gate", trust=[trusts({"AWS": OTHER})])], {**HELD, "role gate": does(CONNECT, "end"), f"account {OTHER}": does(CONNECT, "end", "gate")}, "nor is it from outside"),
    ("outside-ways", [*role("end", GOAL, trust=[trusts({"AWS": OTHER})]), *role("vault", allow(READ, SECRET), trust=[trusts({"AWS": OTHER}, **MFA)])], {**HELD, "role vault": does(READ), f"account {OTHER}": does(CONNECT, "end") + does(READ, "vault", certain=False)}, "each way from outside is as certain as its own opening"),
    ("trust-everybody-and-one", role("end", GOAL, trust=[trusts("*"), trusts({"AWS": OTHER})]), {**HELD, "everybody": does(CONNECT, "end"), f"account {OTHER}": does(CONNECT, "end")}, "who is named besides everybody is not left out"),
    ("escalates-for-certain", [*OPEN, *user("al", TAKE, allow("iam:PutUserPolicy", arn("user al")), allow(READ, SECRET, **IP))], {**HELD, "user al": does(ESCALATE) + does(READ, certain=False)}, "he needs no role; what else he has by himself is as certain as it is"),
    # Passing roles
    ("pass", [*role("end", GOAL, trust=[trusts({"Service": "ec2.amazonaws.com"})]), *user("al", allow("iam:PassRole", arn("role end")))], {**HELD, "service ec2.amazonaws.com": does(CONNECT, "end"), "user al": does(HAND_OVER, "end", certain=False)}, "a service acts for him; whether he may start one is not looked at"),
    ("pass-no-service", [*OPEN, *user("al", allow("iam:PassRole"))], HELD, "no service may take the role"),
    ("pass-chain", [*role("end", GOAL, trust=[trusts({"Service": "ec2.amazonaws.com"})]), *role("ci", allow("iam:PassRole"), trust=NAMED), *user("al")], {**HELD, "service ec2.amazonaws.com": does(CONNECT, "end"), "role ci": does(HAND_OVER, "end", certain=False), "user al": does(HAND_OVER, "ci", "end", certain=False)}, "who takes a role that passes roles passes them"),
    ("pass-nothing", [*role("x", allow("s3:*"), trust=[trusts({"Service": "ec2.amazonaws.com"})]), *user("al", allow("iam:PassRole"))], {}, "a role that reaches nothing may be passed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("objects", "expected"),
    [case[1:3] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_case(objects, expected):
    assert found(objects) == expected


def test_names_of_cases_are_unique_and_enough():
    assert len({case[0] for case in CASES}) == len(CASES) >= 40


def test_databases_that_are_not_known_are_all():
    al = user("al", allow(CONNECT, DBUSER.replace("ONE", "TWO")))
    assert found(al, Databases(A)) == {"user al": does(CONNECT)}
    assert found(al, Databases(A, instances=("",))) == {"user al": does(CONNECT)}


def test_without_secrets_none_is_reached():
    assert found(user("al", allow("secretsmanager:*")), Databases(A)) == {}


def test_secrets_by_arn():
    one = f"arn:aws:secretsmanager:eu-west-1:{A}:secret:x"
    al = user("al", allow(READ, f"{one}-AbCdEf"))
    assert found(al, Databases(A, secrets=(one,))) == {"user al": does(READ)}
    assert found(al, Databases(A, secrets=(f"{one}-AbCdEf",))) == {"user al": does(READ)}
    assert found(al, Databases(A, secrets=(f"{one}y",))) == {}


def test_known_arns_narrow_what_changes():
    db = f"arn:aws:rds:eu-west-1:{A}:db:orders"
    databases = Databases(A, arns=(db,))
    assert found(user("al", allow("rds:ModifyDBInstance", db)), databases) == {
        "user al": does(CHANGE)
    }
    assert found(user("al", allow("rds:ModifyDBInstance", f"{db}2")), databases) == {}


def test_partition():
    china = Databases(A, partition="aws-cn", instances=("db-ONE",))
    assert found(user("al", GOAL), china) == {}
    there = allow(CONNECT, DBUSER.replace("arn:aws:", "arn:aws-cn:"))
    assert found(user("al", there), china) == {"user al": does(CONNECT)}


def test_chain_of_any_depth():
    count = 1_500
    objects = role("r0000", GOAL, trust=[trusts({"AWS": arn("role r0001")})])
    for number in range(1, count - 1):
        objects += role(f"r{number:04}", trust=[trusts({"AWS": arn(f"role r{number + 1:04}")})])
    objects += role(f"r{count - 1:04}")
    answer = found(objects)
    assert len(answer) == count
    [last] = answer[f"role r{count - 1:04}"]
    assert last["certain"]
    assert len(last["through"]) == MAX_THROUGH
    assert answer["role r0003"][0]["through"] == ["r0000", "r0001", "r0002"]


def test_order_of_objects_does_not_matter():
    objects = [*END, *role("gate", trust=NAMED), *user("al"), *member("al", "g", GOAL)]
    assert reach(objects, DATABASES, INDEX) == reach(objects[::-1], DATABASES, INDEX)


def test_no_two_ways_have_one_name():
    """A name ends in exactly one class, so what is before it is who it is, whatever that holds."""
    for first, second in product(MEANINGS, MEANINGS):
        assert first == second or not f"x: {first}".endswith(f": {second}")


def test_names_are_bounded_and_who_it_is_is_not():
    long = [f"idp.example/{'x' * MAX_LABEL}{end}" for end in "ab"]
    openings = [trusts({"Federated": one}, action="sts:AssumeRoleWithSAML") for one in long]
    fits = f"idp/{'y' * (MAX_LABEL - len('federated idp/'))}"
    openings.append(trusts({"Federated": fits}, action="sts:AssumeRoleWithSAML"))
    first = reach(role("end", GOAL, trust=openings), DATABASES, INDEX)
    ways = {one.name: one.attributes["who"] for one in first}
    assert set(ways.values()) == {"role end", *(f"federated {one}" for one in (*long, fits))}
    assert f"federated {fits}: {CONNECT}" in ways
    assert max(map(len, ways)) <= MAX_LABEL + len(f"… sha256 {'0' * 64}: ") + max(
        map(len, MEANINGS)
    )
    # Somebody may be named as a shortened name is: it is longer than the bound, and shortened too.
    (name, *_) = (one for one, who in ways.items() if who == f"federated {long[0]}")
    shortened = name.removeprefix("federated ").removesuffix(f": {CONNECT}")
    openings.append(trusts({"Federated": shortened}, action="sts:AssumeRoleWithSAML"))
    more = reach(role("end", GOAL, trust=openings), DATABASES, INDEX)
    assert len({one.name for one in more}) == len(more) == len(first) + 1


def test_another_chain_changes_nothing_but_through():
    before = role("end", GOAL, trust=NAMED) + user("al")
    after = role("end", GOAL, trust=[trusts({"AWS": arn("role gate")})]) + user("al")
    [was] = found(before)["user al"]
    [is_] = found([*after, *role("gate", trust=NAMED)])["user al"]
    assert (was["through"], is_["through"]) == (["end"], ["end", "gate"])
    assert {**was, "through": is_["through"]} == is_


def test_what_is_elsewhere_changes_no_object():
    before = found([*OPEN, *user("al", TAKE), *user("root", allow("*"))])
    more = role("other", allow(READ, SECRET), trust=[trusts({"Service": "ec2.amazonaws.com"})])
    after = found([*OPEN, *user("al", TAKE), *user("root", allow("*")), *more])
    assert {name: after[name] for name in before} == before


def test_every_class_is_explained():
    labels = {one["by"] for case in CASES for ways in case[2].values() for one in ways}
    assert labels == set(MEANINGS)


PATTERNS = st.lists(st.sampled_from(["a", "b", ":", *Wild]), max_size=7).map(
    lambda tokens: Pattern(tuple(tokens))
)


PARSED = st.one_of(
    st.text("ab:*?", max_size=9).map(parse_pattern),
    st.text("ab*?", max_size=5).flatmap(
        lambda one: st.text("a:*?", max_size=5).map(
            lambda end: pattern_of_arn(f"{one}:b*:?::a:{end}")
        )
    ),
)
NAMES = st.one_of(
    st.text("ab:", max_size=7),
    st.builds(
        "{}:b{}:{}::a:{}".format,
        *(st.text("ab", max_size=3) for _ in range(3)),
        st.text("a:", max_size=4),
    ),
)


@settings(max_examples=500, deadline=None)
@given(PATTERNS, PATTERNS)
def test_overlap_is_what_the_search_says(one, other):
    assert Overlap(one).meets(other) is meets((one,), (other,))


@settings(max_examples=300, deadline=None)
@given(PARSED, st.lists(NAMES, min_size=1, max_size=20, unique=True))
def test_a_roll_matches_as_one_name_does(pattern, names):
    mask = Roll(names).mask(pattern)
    assert [bool(mask >> i & 1) for i in range(len(names))] == [matches(pattern, n) for n in names]


# Random accounts, and the decision of each policy by ``evaluate``: nobody who can may be left out.

LABELS = ["role a", "role b", "role c", "user u", "user v"]
GOALS = [
    (CONNECT, DBUSER),
    (CONNECT, f"arn:aws:rds-db:us-east-1:{A}:dbuser:db-ONE/x"),
    ("rds:ModifyDBInstance", f"arn:aws:rds:eu-west-1:{A}:db:x"),
    ("rds:CopyDBSnapshot", f"arn:aws:rds:eu-west-1:{A}:snapshot:x"),
    (READ, SECRET),
]
CONTEXTS = [
    {},
    {"aws:sourceip": ("10.0.0.1",), "aws:multifactorauthpresent": ("true",)},
    {"aws:sourceip": ("192.0.2.1",), "aws:multifactorauthpresent": ("false",)},
]
CONDITIONS = [
    {}, {}, {}, MFA, IP,
    {"Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    {"Condition": {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{A}:role/*"}}},
    {"Condition": {"StringNotEquals": {"aws:PrincipalArn": f"arn:aws:iam::{A}:user/u"}}},
    {"Condition": {"StringEquals": {"aws:PrincipalAccount": A}}},
]  # fmt: skip
ACTIONS = st.sampled_from(
    [
        "*",
        "rds-db:*",
        CONNECT,
        "rds:*",
        "rds:Mod*",
        "secretsmanager:Get*",
        "sts:*",
        "sts:AssumeRole",
        "rds:Copy*",
        "s3:*",
    ]
)
RESOURCES = st.sampled_from(
    ["*", DBUSER, "arn:aws:rds-db:*", f"arn:aws:rds:*:{A}:db:x", f"arn:aws:iam::{A}:role/*", arn("role a"),
     arn("role b"), f"arn:aws:iam::{A}:role/?", SECRET, "arn:aws:secretsmanager:*", f"arn:aws:rds-db:*:{A}:dbuser:db-ONE/${{aws:username}}"]
)  # fmt: skip
PRINCIPALS = st.sampled_from(
    [ROOT, "*", {"AWS": arn("role a")}, {"AWS": arn("user u")}, {"AWS": [arn("role b"), arn("user v")]},
     {"AWS": [arn("user v"), A]}, {"AWS": OTHER}, {"Service": "ec2.amazonaws.com"}]
)  # fmt: skip


@st.composite
def statements(draw, *, trust=False, effects=("Allow", "Allow", "Deny")):
    one = {"Effect": draw(st.sampled_from(effects)), **draw(st.sampled_from(CONDITIONS))}
    negated = st.sampled_from(["", "", "", "Not"])
    if trust:
        return {**one, "Action": "sts:AssumeRole", f"{draw(negated)}Principal": draw(PRINCIPALS)}
    one[f"{draw(negated)}Action"] = draw(st.lists(ACTIONS, min_size=1, max_size=2))
    one[f"{draw(negated)}Resource"] = draw(st.lists(RESOURCES, min_size=1, max_size=2))
    return one


TAKING = st.builds(
    lambda effect, name, condition: {**effect("sts:AssumeRole", name), **condition},
    st.sampled_from([allow, allow, deny]),
    st.sampled_from([arn("role a"), arn("role b"), "*"]),
    st.sampled_from(CONDITIONS),
)


@st.composite
def accounts(draw):
    objects = []
    bounded = []
    for label in LABELS:
        own = draw(st.lists(statements(), max_size=2))
        own += [GOAL] if label == "role a" and draw(st.booleans()) else []
        own += [draw(TAKING) for _ in range(draw(st.integers(0, 2)))]
        more = {"boundary": "b"} if draw(st.integers(0, 3)) == 0 else {}
        bounded += [label] if more else []
        kind, _, name = label.partition(" ")
        if kind == "role":
            trust = draw(st.lists(statements(trust=True), min_size=1, max_size=2))
            objects += role(name, *own, trust=trust, **more)
        else:
            objects += user(name, *own, **more)
    ceiling = draw(st.lists(statements(effects=("Allow", "Allow", "Deny")), min_size=1, max_size=2))
    return [*objects, *managed("b", *ceiling)], bounded


class Judge:
    """What everybody can, by ``evaluate`` alone, in one context."""

    def __init__(self, objects, bounded, context):
        self.context = context
        self.bounded = bounded
        self.documents = {
            one.attributes["of"].removeprefix("iam_"): parse(one.attributes["document"])
            for one in objects
            if one.kind == "iam_inline_policy"
        }
        self.trusts = {
            f"role {one.name}": parse(one.attributes["trust"])
            for one in objects
            if one.kind == "iam_role"
        }
        (self.boundary,) = (
            parse(one.attributes["document"]) for one in objects if one.kind == "iam_policy"
        )

    def request(self, who, action, resource, names=()):
        known = {**self.context, "aws:principalarn": (arn(who),), "aws:principalaccount": (A,)}
        if who.startswith("user "):
            known["aws:username"] = (who.removeprefix("user "),)
        entries = frozenset(Entry("AWS", name) for name in names)
        return Request(action, resource, Principal(who, entries), known)

    def own(self, who, action, resource):
        """What his policies say inside the boundary."""
        asked = self.request(who, action, resource)
        said = {evaluate(self.documents.get(who, parse(policy())), asked)}
        if who in self.bounded:
            said.add(evaluate(self.boundary, asked))
        if Decision.DENIED in said:
            return Decision.DENIED
        return Decision.ALLOWED if said == {Decision.ALLOWED} else Decision.SILENT

    def takes(self, who, role_):
        own = self.own(who, "sts:AssumeRole", arn(role_))
        trust = self.trusts[role_]
        names = [arn(who), A]
        whole = evaluate(trust, self.request(who, "sts:AssumeRole", arn(role_), names))
        if own is Decision.DENIED or whole is not Decision.ALLOWED:
            return False
        if own is Decision.ALLOWED:
            return True
        alone = evaluate(trust, self.request(who, "sts:AssumeRole", arn(role_), [arn(who)]))
        return alone is Decision.ALLOWED

    def reaching(self, wanted):
        found = {
            who
            for who, (action, resource) in product(LABELS, wanted)
            if self.own(who, action, resource) is Decision.ALLOWED
        }
        while True:
            more = {
                who
                for who, role_ in product(LABELS, self.trusts)
                if role_ in found and who != role_ and self.takes(who, role_)
            }
            if more <= found:
                return found
            found |= more

    def strangers(self, reaching):
        for name, entry in (
            (f"account {OTHER}", Entry("AWS", OTHER)),
            ("service ec2.amazonaws.com", Entry("Service", "ec2.amazonaws.com")),
        ):
            asked = Request("sts:AssumeRole", "", Principal(name, frozenset({entry})), self.context)
            if any(
                evaluate(self.trusts[one], asked) is Decision.ALLOWED
                for one in reaching & set(self.trusts)
            ):
                yield name


def classes():
    """By class: the requests of GOALS."""
    told = {"rds:ModifyDBInstance": CHANGE, "rds:CopyDBSnapshot": COPY}
    wanted = {}
    for action, resource in GOALS:
        wanted.setdefault(told.get(action, action), []).append((action, resource))
    return wanted


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(accounts())
def test_no_way_of_anybody_is_left_out(account):
    """Of who may give himself access for certain, those by roles are: he needs none."""
    objects, bounded = account
    databases = Databases(A, instances=("db-ONE",), secrets=("app/db",))
    answer = found(objects, databases)
    ways = {(who, one["by"]) for who, said in answer.items() for one in said}
    alone = {
        who
        for who, said in answer.items()
        if {"by": ESCALATE, "through": [], "certain": True} in said
    }
    for context, (label, wanted) in product(CONTEXTS, classes().items()):
        judge = Judge(objects, bounded, context)
        reaching = judge.reaching(wanted)
        assert {(who, label) for who in reaching - alone} <= ways
        for name in judge.strangers(reaching):
            assert (name, label) in ways or ("everybody", label) in ways


LABEL_OF = {action: goal.label for goal in goals(DATABASES, INDEX) for action in goal.actions}


def requests():
    """Requests of every goal, so many that what is allowed of it is allowed of one of them."""
    rds = f"arn:aws:rds:eu-west-1:{A}"
    dbuser, db = f"arn:aws:rds-db:eu-west-1:{A}:dbuser:db-ONE/", f"{rds}:db:"
    concrete = {
        CONNECT: [DBUSER, f"{dbuser}y"],
        CHANGE: [f"{db}x", f"{db}y"],
        COPY: [f"{db}x", f"{db}y", f"{rds}:snapshot:x"],
        READ: [SECRET, f"{SECRET[:-6]}zzzzzz"],
        REPLACE: [SECRET, f"{SECRET[:-6]}zzzzzz"],
    }
    for goal in goals(DATABASES, INDEX):
        yield from product(goal.actions, concrete.get(goal.label, ()))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(accounts())
def test_what_is_certain_is_so_in_every_context(account):
    objects, bounded = account
    asked = {}
    for action, resource in requests():
        asked.setdefault(LABEL_OF[action], []).append((action, resource))
    sure = {}
    for who, ways in found(objects).items():
        for one in ways:
            if who in LABELS and one["certain"] and one["by"] in asked:
                sure.setdefault(one["by"], set()).add(who)
    for context, (label, people) in product(CONTEXTS, sure.items()):
        assert people <= Judge(objects, bounded, context).reaching(asked[label])
