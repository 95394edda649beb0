"""Pairs of policies, each with its verdict and the argument for it."""

# ruff: noqa: E501 - a pair is a line

from __future__ import annotations

import pytest

from chalicelib.drift.iam.compare import Widening, compare
from chalicelib.drift.iam.document import parse
from chalicelib.drift.iam.evaluate import evaluate
from chalicelib.drift.iam.region import Kind

WIDENED, NARROWED, BOTH = Widening.WIDENED, Widening.NARROWED, Widening.BOTH
NEUTRAL, UNDECIDED = Widening.NEUTRAL, Widening.UNDECIDED
IDENTITY, RESOURCE, CEILING = Kind.IDENTITY, Kind.RESOURCE, Kind.CEILING


class Shelf:
    actions = (
        "ec2:DescribeImages", "ec2:DescribeInstances", "ec2:RunInstances", "ec2:StartInstances",
        "iam:CreateUser", "iam:GetUser", "iam:PassRole", "s3:DeleteBucket", "s3:DeleteObject",
        "s3:GetBucketAcl", "s3:GetObject", "s3:ListAllMyBuckets", "s3:PutObject",
        "sqs:SendMessage", "sts:AssumeRole", "sts:TagSession",
    )  # fmt: skip
    date = "2026-11-01"


def policy(*statements, version="2012-10-17", **more):
    return {"Version": version, "Statement": list(statements), **more}


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {**allow(action, resource, **more), "Effect": "Deny"}


def where(operator, key, values):
    return {"Condition": {operator: {key: values}}}


def on(operator, key, values, effect=allow):
    """A policy of one statement with one condition."""
    return policy(effect("s3:*", **where(operator, key, values)))


def by(principal, action="s3:GetObject", resource="*", **more):
    return policy(allow(action, resource, Principal=principal, **more))


def trust(principal, **more):
    return policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})


def without(statement, **more):
    """The statement with elements taken out (None) or replaced."""
    return {k: v for k, v in {**statement, **more}.items() if v is not None}


A, B = "111111111111", "222222222222"
BUCKET = "arn:aws:s3:::b"
ROLE = f"arn:aws:iam::{A}:role/app"
SESSION = f"arn:aws:sts::{A}:assumed-role/app/s1"
IP, USER, TAGS = "aws:SourceIp", "aws:username", "aws:TagKeys"
HOME = "arn:aws:s3:::b/${aws:username}/*"
NOT_IAM = without(allow("*"), Action=None, NotAction="iam:*")
NOT_B = without(allow("s3:*"), Resource=None, NotResource="arn:aws:s3:::b*")

PAIRS = [
    # Form
    ("order", IDENTITY, policy(allow(["s3:GetObject", "s3:PutObject"])), policy(allow(["s3:PutObject", "s3:GetObject"])), NEUTRAL, "a list of actions is a set"),
    ("statement-order", IDENTITY, policy(allow("s3:*"), deny("iam:*")), policy(deny("iam:*"), allow("s3:*")), NEUTRAL, "statements have no order"),
    ("scalar", IDENTITY, policy(allow("s3:*")), policy(allow(["s3:*"], ["*"])), NEUTRAL, "a scalar is a list of one"),
    ("statement-scalar", IDENTITY, policy(allow("s3:*")), {"Version": "2012-10-17", "Statement": allow("s3:*")}, NEUTRAL, "so it is with Statement"),
    ("action-case", IDENTITY, policy(allow("S3:getobject")), policy(allow("s3:GetObject")), NEUTRAL, "actions have no case"),
    ("key-case", IDENTITY, on("IpAddress", "AWS:sourceip", "10.0.0.0/8"), on("IpAddress", IP, "10.0.0.0/8"), NEUTRAL, "condition keys have no case"),
    ("sid", IDENTITY, policy(allow("s3:*", Sid="One")), policy(allow("s3:*", Sid="Two")), NEUTRAL, "a Sid is a name"),
    ("id", IDENTITY, policy(allow("s3:*"), Id="x"), policy(allow("s3:*")), NEUTRAL, "and so is an Id"),
    ("double", IDENTITY, policy(allow("s3:*"), allow("s3:*")), policy(allow("s3:*")), NEUTRAL, "allowing twice is allowing"),
    ("subsumed-action", IDENTITY, policy(allow(["s3:*", "s3:GetObject"])), policy(allow("s3:*")), NEUTRAL, "s3:* has s3:GetObject in it"),
    ("subsumed-statement", IDENTITY, policy(allow("s3:*"), allow("s3:Get*", BUCKET)), policy(allow("s3:*")), NEUTRAL, "the second statement allows nothing more"),
    ("split", IDENTITY, policy(allow(["s3:GetObject", "s3:PutObject"])), policy(allow("s3:GetObject"), allow("s3:PutObject")), NEUTRAL, "one statement of two actions is two statements of one"),
    ("version-without-variables", IDENTITY, policy(allow("s3:*"), version="2008-10-17"), policy(allow("s3:*")), NEUTRAL, "versions differ in policy variables only"),
    ("version-with-variables", IDENTITY, policy(allow("s3:*", HOME), version="2008-10-17"), policy(allow("s3:*", HOME)), BOTH, "in 2008 ${aws:username} is text: another set of resources"),
    ("stars", IDENTITY, policy(allow("s3:**", "arn:aws:s3:::b**")), policy(allow("s3:*", "arn:aws:s3:::b*")), NEUTRAL, "two stars match what one does"),
    ("star-colon-star", IDENTITY, policy(allow("*:*")), policy(allow("*")), NEUTRAL, "every action has a service and a name"),
    # Actions
    ("one-more-action", IDENTITY, policy(allow("s3:GetObject")), policy(allow(["s3:GetObject", "s3:PutObject"])), WIDENED, "PutObject came"),
    ("one-less-action", IDENTITY, policy(allow(["s3:GetObject", "s3:PutObject"])), policy(allow("s3:GetObject")), NARROWED, "PutObject went"),
    ("other-action", IDENTITY, policy(allow("s3:GetObject")), policy(allow("s3:PutObject")), BOTH, "one came, one went"),
    ("to-wildcard", IDENTITY, policy(allow("s3:GetObject")), policy(allow("s3:*")), WIDENED, "s3:* has more"),
    ("to-everything", IDENTITY, policy(allow("s3:*")), policy(allow("*")), WIDENED, "all services"),
    ("wildcard-spelled-out", IDENTITY, policy(allow("ec2:Describe*")), policy(allow(["ec2:DescribeImages", "ec2:DescribeInstances"])), NEUTRAL, "the reference knows these two, and no more"),
    ("wildcard-almost-spelled-out", IDENTITY, policy(allow("ec2:Describe*")), policy(allow("ec2:DescribeImages")), NARROWED, "DescribeInstances went"),
    ("unknown-action", IDENTITY, policy(allow("s3:GetObject")), policy(allow(["s3:GetObject", "s3:Brandnew"])), WIDENED, "an action that the reference does not know still is one"),
    ("unknown-service", IDENTITY, policy(allow("new:*")), policy(allow("new:Get*")), NARROWED, "patterns of unknown services count by their text"),
    ("question-mark", IDENTITY, policy(allow("s3:?etObject")), policy(allow("s3:GetObject")), NEUTRAL, "of the reference only GetObject fits"),
    ("overlap", IDENTITY, policy(allow("s3:*Object")), policy(allow("s3:Get*")), BOTH, "PutObject went, GetBucketAcl came"),
    ("not-action", IDENTITY, policy(NOT_IAM), policy(allow("*")), WIDENED, "iam came"),
    ("not-action-less", IDENTITY, policy(without(NOT_IAM, NotAction=["iam:*", "s3:*"])), policy(NOT_IAM), WIDENED, "s3 is excepted no more"),
    ("not-action-more", IDENTITY, policy(NOT_IAM), policy(without(NOT_IAM, NotAction=["iam:*", "s3:*"])), NARROWED, "s3 is excepted now"),
    ("not-action-to-deny", IDENTITY, policy(NOT_IAM), policy(allow("*"), deny("iam:*")), NARROWED, "the same is allowed, and iam is denied to other policies too"),
    ("not-action-covered", IDENTITY, policy(NOT_IAM, allow("iam:*")), policy(allow("*")), NEUTRAL, "the exception is allowed beside it"),
    ("not-action-case", IDENTITY, policy(NOT_IAM), policy(without(NOT_IAM, NotAction="IAM:*")), NEUTRAL, "case again"),
    # Resources
    ("resource-wider", IDENTITY, policy(allow("s3:*", f"{BUCKET}/*")), policy(allow("s3:*", f"{BUCKET}*")), WIDENED, "the bucket itself, and other buckets"),
    ("resource-narrower", IDENTITY, policy(allow("s3:*", "*")), policy(allow("s3:*", "arn:aws:s3:::*")), NARROWED, "actions without a resource are asked for *"),
    ("resource-prefixes", IDENTITY, policy(allow("s3:*", f"{BUCKET}/a*")), policy(allow("s3:*", f"{BUCKET}/ab*")), NARROWED, "a* includes ab*"),
    ("resource-case", IDENTITY, policy(allow("s3:*", f"{BUCKET}/A")), policy(allow("s3:*", f"{BUCKET}/a")), BOTH, "resources have case"),
    ("resource-union", IDENTITY, policy(allow("s3:*", [f"{BUCKET}/?", f"{BUCKET}/??*", f"{BUCKET}/"])), policy(allow("s3:*", f"{BUCKET}/*")), NEUTRAL, "none, one, or two and more characters are any"),
    ("resource-almost-union", IDENTITY, policy(allow("s3:*", f"{BUCKET}/*")), policy(allow("s3:*", [f"{BUCKET}/?", f"{BUCKET}/???*", f"{BUCKET}/"])), NARROWED, "keys of two characters went"),
    ("resource-disjoint", IDENTITY, policy(allow("s3:*", f"{BUCKET}/x")), policy(allow("s3:*", f"{BUCKET}/y")), BOTH, "another object"),
    ("resource-infix", IDENTITY, policy(allow("s3:*", f"{BUCKET}/*a*b*")), policy(allow("s3:*", f"{BUCKET}/*ab*")), NARROWED, "with something between a and b it went"),
    ("question-and-star", IDENTITY, policy(allow("s3:*", f"{BUCKET}/*?")), policy(allow("s3:*", f"{BUCKET}/?*")), NEUTRAL, "both: one character or more"),
    ("not-resource", IDENTITY, policy(NOT_B), policy(allow("s3:*")), WIDENED, "the exception went"),
    ("not-resource-swap", IDENTITY, policy(NOT_B), policy(without(NOT_B, NotResource=f"{BUCKET}/*")), WIDENED, "fewer are excepted"),
    ("not-resource-and-resource", IDENTITY, policy(NOT_B, allow("s3:*", f"{BUCKET}*")), policy(allow("s3:*")), NEUTRAL, "the exception and its complement are all"),
    ("cross-product", IDENTITY, policy(allow("s3:GetObject", "arn:aws:s3:::x"), allow("s3:PutObject", "arn:aws:s3:::y")), policy(allow(["s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::x", "arn:aws:s3:::y"])), WIDENED, "GetObject on y came: statements are products"),
    # Policy variables
    ("variable-narrower", IDENTITY, policy(allow("s3:*", HOME)), policy(allow("s3:*", f"{HOME[:-1]}docs/*")), NARROWED, "whoever it is, it is inside of their own"),
    ("variable-wider", IDENTITY, policy(allow("s3:*", HOME)), policy(allow("s3:*", f"{BUCKET}/*")), WIDENED, "everyone's, not one's own"),
    ("variable-fixed", IDENTITY, policy(allow("s3:*", HOME)), policy(allow("s3:*", f"{BUCKET}/ann/*")), BOTH, "others reach ann's now, and not their own"),
    ("variable-case", IDENTITY, policy(allow("s3:*", HOME)), policy(allow("s3:*", HOME.replace("username", "UserName"))), NEUTRAL, "keys have no case"),
    ("variable-other", IDENTITY, policy(allow("s3:*", HOME)), policy(allow("s3:*", HOME.replace("username", "userid"))), BOTH, "other names"),
    ("variable-default", IDENTITY, policy(allow("s3:*", f"{BUCKET}/${{aws:username, 'x'}}")), policy(allow("s3:*", f"{BUCKET}/*")), WIDENED, "whatever it stands for, the star has it"),
    ("literal-star", IDENTITY, policy(allow("s3:*", f"{BUCKET}/${{*}}")), policy(allow("s3:*", f"{BUCKET}/*")), WIDENED, "the character * is one key"),
    ("literal-dollar", IDENTITY, policy(allow("s3:*", f"{BUCKET}/${{$}}")), policy(allow("s3:*", f"{BUCKET}/$")), NEUTRAL, "a dollar is a dollar"),
    ("variable-in-condition", IDENTITY, on("StringEquals", "aws:ResourceTag/owner", "${aws:username}"), on("StringLike", "aws:ResourceTag/owner", "${aws:username}*"), WIDENED, "what begins with the name came"),
    ("variable-and-value", IDENTITY, policy(allow("s3:*", HOME, **where("StringEquals", USER, "ann"))), policy(allow("s3:*", HOME)), WIDENED, "not only ann"),
    # Deny
    ("deny-added", IDENTITY, policy(allow("s3:*")), policy(allow("s3:*"), deny("s3:Delete*")), NARROWED, "Delete is taken away"),
    ("deny-removed", IDENTITY, policy(allow("s3:*"), deny("s3:Delete*")), policy(allow("s3:*")), WIDENED, "Delete is back"),
    ("deny-narrowed", IDENTITY, policy(allow("s3:*"), deny("s3:*Object")), policy(allow("s3:*"), deny("s3:DeleteObject")), WIDENED, "less is denied"),
    ("deny-of-nothing-allowed", IDENTITY, policy(allow("s3:*")), policy(allow("s3:*"), deny("iam:*")), NARROWED, "what other policies allow of iam is denied now"),
    ("deny-alone-removed", IDENTITY, policy(deny("iam:*")), None, WIDENED, "what other policies allow of iam counts again"),
    ("deny-moved", IDENTITY, policy(allow("*"), deny("iam:*")), policy(allow("*"), deny("s3:*")), BOTH, "iam came, s3 went"),
    ("deny-not-action", IDENTITY, policy(allow("*"), without(deny("*"), Action=None, NotAction="s3:*")), policy(allow("*"), without(deny("*"), Action=None, NotAction=["s3:*", "iam:*"])), WIDENED, "iam is denied no more"),
    ("deny-not-resource", IDENTITY, policy(allow("s3:*"), without(deny("s3:*"), Resource=None, NotResource=f"{BUCKET}*")), policy(allow("s3:*")), WIDENED, "other buckets came"),
    ("deny-condition-added", IDENTITY, policy(allow("*"), deny("*")), policy(allow("*"), deny("*", **where("Bool", "aws:SecureTransport", "false"))), WIDENED, "with TLS it is not denied"),
    ("deny-covers-new-allow", IDENTITY, policy(allow("s3:Get*"), deny("s3:Put*")), policy(allow(["s3:Get*", "s3:Put*"]), deny("s3:Put*")), NEUTRAL, "Put stays denied"),
    ("deny-half-covers", IDENTITY, policy(allow("s3:Get*"), deny("s3:Put*", f"{BUCKET}*")), policy(allow(["s3:Get*", "s3:Put*"]), deny("s3:Put*", f"{BUCKET}*")), WIDENED, "Put came outside of the bucket"),
    ("deny-if-no-mfa", IDENTITY, policy(allow("*"), deny("*", **where("BoolIfExists", "aws:MultiFactorAuthPresent", "false"))), policy(allow("*"), deny("*", **where("Bool", "aws:MultiFactorAuthPresent", "false"))), WIDENED, "without the key, as with long-lived keys, it is denied no more"),
    # Conditions
    ("condition-added", IDENTITY, policy(allow("s3:*")), on("IpAddress", IP, "10.0.0.0/8"), NARROWED, "other addresses went"),
    ("condition-removed", IDENTITY, on("IpAddress", IP, "10.0.0.0/8"), policy(allow("s3:*")), WIDENED, "other addresses came"),
    ("second-key", IDENTITY, on("IpAddress", IP, "10.0.0.0/8"), policy(allow("s3:*", Condition={"IpAddress": {IP: "10.0.0.0/8"}, "Bool": {"aws:SecureTransport": "true"}})), NARROWED, "all conditions must hold"),
    ("ip-narrower", IDENTITY, on("IpAddress", IP, "10.0.0.0/8"), on("IpAddress", IP, "10.1.0.0/16"), NARROWED, "a part of the block"),
    ("ip-halves", IDENTITY, on("IpAddress", IP, ["10.0.0.0/9", "10.128.0.0/9"]), on("IpAddress", IP, "10.0.0.0/8"), NEUTRAL, "two halves are the whole"),
    ("ip-all-of-four", IDENTITY, on("IpAddress", IP, "0.0.0.0/0"), on("IpAddress", IP, ["0.0.0.0/0", "::/0"]), WIDENED, "IPv6 came"),
    ("ip-host", IDENTITY, on("IpAddress", IP, "10.1.2.3"), on("IpAddress", IP, "10.1.2.3/32"), NEUTRAL, "an address is a block of one"),
    ("not-ip", IDENTITY, on("NotIpAddress", IP, "10.0.0.0/8"), on("NotIpAddress", IP, "10.1.0.0/16"), WIDENED, "less is excepted"),
    ("not-ip-missing", IDENTITY, on("NotIpAddress", IP, "10.0.0.0/8"), on("IpAddress", IP, ["0.0.0.0/5", "8.0.0.0/7", "11.0.0.0/8", "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3", "64.0.0.0/2", "128.0.0.0/1", "::/0"]), NARROWED, "the same addresses, but a request without one went: NotIpAddress holds for it"),
    ("string-more", IDENTITY, on("StringEquals", USER, "ann"), on("StringEquals", USER, ["ann", "ben"]), WIDENED, "values are alternatives"),
    ("string-like", IDENTITY, on("StringEquals", USER, "ann"), on("StringLike", USER, "a*"), WIDENED, "ann begins with a"),
    ("string-like-without-star", IDENTITY, on("StringEquals", USER, "ann"), on("StringLike", USER, "ann"), NEUTRAL, "no wildcard, no difference"),
    ("string-equals-star", IDENTITY, on("StringEquals", USER, "*"), on("StringLike", USER, "*"), WIDENED, "for StringEquals a star is a star"),
    ("ignore-case", IDENTITY, on("StringEquals", USER, "ann"), on("StringEqualsIgnoreCase", USER, "ANN"), WIDENED, "Ann came"),
    ("not-equals-more", IDENTITY, on("StringNotEquals", USER, "ann"), on("StringNotEquals", USER, ["ann", "ben"]), NARROWED, "none of the values: ben went"),
    ("if-exists", IDENTITY, on("StringEquals", USER, "ann"), on("StringEqualsIfExists", USER, "ann"), WIDENED, "a request without the key came"),
    ("if-exists-of-not", IDENTITY, on("StringNotEqualsIfExists", USER, "ann"), on("StringNotEquals", USER, "ann"), NEUTRAL, "negated operators hold for a missing key anyway"),
    ("equals-and-its-not", IDENTITY, policy(*on("StringEquals", USER, "ann")["Statement"], *on("StringNotEquals", USER, "ann")["Statement"]), policy(allow("s3:*")), NEUTRAL, "one of both holds, for a missing key the second"),
    ("like-anything", IDENTITY, on("StringLike", USER, "*"), policy(allow("s3:*")), WIDENED, "without the key it did not hold"),
    ("null-false", IDENTITY, on("StringLike", USER, "*"), on("Null", USER, "false"), NEUTRAL, "any value is a value"),
    ("null-both", IDENTITY, on("Null", USER, ["true", "false"]), policy(allow("s3:*")), NEUTRAL, "there or not there"),
    ("null-turned", IDENTITY, on("Null", USER, "true"), on("Null", USER, "false"), BOTH, "the other half"),
    ("numeric", IDENTITY, on("NumericLessThan", "s3:max-keys", "10"), on("NumericLessThanEquals", "s3:max-keys", "10"), WIDENED, "ten came"),
    ("numeric-form", IDENTITY, on("NumericEquals", "s3:max-keys", "10"), on("NumericEquals", "s3:max-keys", 10), NEUTRAL, "a number or its text"),
    ("numeric-or", IDENTITY, on("NumericLessThan", "s3:max-keys", ["5", "10"]), on("NumericLessThan", "s3:max-keys", "10"), NEUTRAL, "less than one of both is less than ten"),
    ("date-later", IDENTITY, on("DateLessThan", "aws:CurrentTime", "2026-01-01T00:00:00Z"), on("DateLessThan", "aws:CurrentTime", "2027-01-01T00:00:00Z"), WIDENED, "a year more"),
    ("date-zone", IDENTITY, on("DateLessThan", "aws:CurrentTime", "2026-01-01T02:00:00+02:00"), on("DateLessThan", "aws:CurrentTime", "2026-01-01T00:00:00Z"), NEUTRAL, "the same moment"),
    ("date-epoch", IDENTITY, on("DateLessThan", "aws:EpochTime", "1767225600"), on("DateLessThan", "aws:EpochTime", "2026-01-01T00:00:00Z"), NEUTRAL, "seconds since 1970"),
    ("bool-turned", IDENTITY, on("Bool", "aws:SecureTransport", "true"), on("Bool", "aws:SecureTransport", ["true", "false"]), WIDENED, "without TLS came"),
    ("bool-json", IDENTITY, on("Bool", "aws:SecureTransport", True), on("Bool", "aws:SecureTransport", "true"), NEUTRAL, "a boolean or its text"),
    ("arn-like", IDENTITY, on("ArnLike", "aws:SourceArn", f"arn:aws:sns:*:{A}:*"), on("ArnLike", "aws:SourceArn", f"arn:aws:sns:eu-west-1:{A}:*"), NARROWED, "one region"),
    ("arn-equals", IDENTITY, on("ArnEquals", "aws:SourceArn", f"arn:aws:sns:*:{A}:*"), on("ArnLike", "aws:SourceArn", f"arn:aws:sns:*:{A}:*"), NEUTRAL, "AWS documents both as the same"),
    ("arn-components", IDENTITY, on("ArnLike", "aws:SourceArn", "arn:aws:*:*:*:x"), on("StringLike", "aws:SourceArn", "arn:aws:*:*:*:x"), WIDENED, "a star of StringLike goes over colons"),
    ("binary", IDENTITY, on("BinaryEquals", "k", "AAEC"), on("BinaryEquals", "k", ["AAEC", "AAED"]), WIDENED, "one value more"),
    ("for-all-more", IDENTITY, on("ForAllValues:StringEquals", TAGS, ["a"]), on("ForAllValues:StringEquals", TAGS, ["a", "b"]), WIDENED, "b may be among them"),
    ("for-all-to-any", IDENTITY, on("ForAllValues:StringEquals", TAGS, ["a"]), on("ForAnyValue:StringEquals", TAGS, ["a"]), BOTH, "none at all went, and a with others came"),
    ("for-any-less", IDENTITY, on("ForAnyValue:StringEquals", TAGS, ["a", "b"]), on("ForAnyValue:StringEquals", TAGS, ["a"]), NARROWED, "b alone went"),
    ("for-all-empty", IDENTITY, on("ForAllValues:StringEquals", TAGS, ["a"]), policy(allow("s3:*", Condition={"ForAllValues:StringEquals": {TAGS: ["a"]}, "Null": {TAGS: "false"}})), NARROWED, "a request without tags satisfied ForAllValues"),
    ("for-any-and-not-all", IDENTITY, policy(*on("ForAllValues:StringEquals", TAGS, ["a"])["Statement"], *on("ForAnyValue:StringNotEquals", TAGS, ["a"])["Statement"]), policy(allow("s3:*")), NEUTRAL, "all of them are a, or one of them is not"),
    ("operators-anded", IDENTITY, policy(allow("s3:*", Condition={"StringLike": {USER: "a*"}, "StringNotLike": {USER: "*z"}})), on("StringLike", USER, "a*"), WIDENED, "what ends with z came"),
    ("contradiction", IDENTITY, policy(allow("s3:*", Condition={"StringEquals": {USER: "a"}, "StringNotEquals": {USER: "a"}})), None, NEUTRAL, "nothing satisfies both"),
    # Principals
    ("principal-forms", RESOURCE, by({"AWS": A}), by({"AWS": [f"arn:aws:iam::{A}:root"]}), NEUTRAL, "an account by id or by its root"),
    ("principal-star", RESOURCE, by("*"), by({"AWS": "*"}), NEUTRAL, "AWS documents both as the same"),
    ("principal-public", RESOURCE, by({"AWS": A}), by("*"), WIDENED, "everyone came"),
    ("principal-role", RESOURCE, by({"AWS": A}), by({"AWS": ROLE}), NARROWED, "one role of the account"),
    ("principal-session", RESOURCE, by({"AWS": ROLE}), by({"AWS": SESSION}), NARROWED, "one session of the role"),
    ("principal-service", RESOURCE, by({"AWS": A}), by({"AWS": A, "Service": "ec2.amazonaws.com"}), WIDENED, "a service came"),
    ("principal-other", RESOURCE, by({"AWS": A}), by({"AWS": B}), BOTH, "another account"),
    ("principal-redundant", RESOURCE, by({"AWS": A}), by({"AWS": [A, ROLE]}), NEUTRAL, "the role is of the account"),
    ("federated", RESOURCE, trust({"Federated": "cognito-identity.amazonaws.com"}), trust({"Federated": ["cognito-identity.amazonaws.com", "accounts.google.com"]}), WIDENED, "another provider"),
    ("trust-condition", RESOURCE, trust({"AWS": A}), trust({"AWS": A}, **where("StringEquals", "sts:ExternalId", "x")), NARROWED, "an external id is asked for"),
    ("trust-external-id", RESOURCE, trust({"AWS": A}, **where("StringEquals", "sts:ExternalId", "x")), trust({"AWS": A}, **where("StringLike", "sts:ExternalId", "*")), WIDENED, "any id will do"),
    ("not-principal-fewer", RESOURCE, policy(without(deny("s3:*"), NotPrincipal={"AWS": [A, B]})), policy(without(deny("s3:*"), NotPrincipal={"AWS": [A]})), NARROWED, "the other account is denied now"),
    ("not-principal-role", RESOURCE, policy(without(deny("s3:*"), NotPrincipal={"AWS": [ROLE]})), policy(without(deny("s3:*"), NotPrincipal={"AWS": [SESSION]})), UNDECIDED, "that the session is left out, AWS says only where role and account are listed too"),
    ("not-principal-one-more", RESOURCE, policy(without(deny("s3:*"), NotPrincipal={"AWS": [ROLE]})), policy(without(deny("s3:*"), NotPrincipal={"AWS": [ROLE, B]})), WIDENED, "the other account's root user is denied no more, and nobody is denied in turn"),
    ("canonical-user", RESOURCE, by({"CanonicalUser": "a" * 64}), by("*"), WIDENED, "everyone came"),
    ("principal-id", RESOURCE, by({"AWS": "AROAEXAMPLEID12345678"}), by({"AWS": ["AROAEXAMPLEID12345678", A]}), WIDENED, "an account came; whose the id is, nobody says"),
    ("principal-glob", RESOURCE, by({"AWS": ROLE}), by({"AWS": f"arn:aws:iam::{A}:role/*"}), UNDECIDED, "no principal: AWS takes no wildcard but * alone"),
    ("principal-kind", RESOURCE, by({"AWS": ROLE}), by({"Group": "x"}), UNDECIDED, "no kind of principal"),
    ("principal-any-service", RESOURCE, by({"Service": "ec2.amazonaws.com"}), by({"Service": "*"}), WIDENED, "every service"),
    ("principal-user", RESOURCE, by({"AWS": f"arn:aws:iam::{A}:user/ann"}), by({"AWS": A}), WIDENED, "the rest of the account"),
    ("resource-policy-gone", RESOURCE, by("*"), None, NARROWED, "nobody is let in by it"),
    ("deny-principal", RESOURCE, policy(allow("s3:*", Principal="*"), deny("s3:*", Principal={"AWS": A})), policy(allow("s3:*", Principal="*"), deny("s3:*", Principal={"AWS": ROLE})), WIDENED, "the rest of the account is denied no more"),
    # Absence, and ceilings
    ("identity-new", IDENTITY, None, policy(allow("s3:*")), WIDENED, "no policy allows nothing"),
    ("identity-empty", IDENTITY, None, policy(), NEUTRAL, "no statement allows nothing"),
    ("boundary-new", CEILING, None, policy(allow("s3:*")), NARROWED, "without a boundary there was no ceiling"),
    ("boundary-of-all", CEILING, None, policy(allow("*")), NEUTRAL, "a ceiling over everything is none"),
    ("boundary-gone", CEILING, policy(allow("s3:*")), None, WIDENED, "no ceiling any more"),
    ("boundary-deny-of-nothing", CEILING, policy(allow("s3:*")), policy(allow("s3:*"), deny("iam:*")), NARROWED, "silence does not take what a resource's policy gives to a user in person; a denial does"),
    ("boundary-not-action", CEILING, policy(NOT_IAM), policy(allow("*"), deny("iam:*")), NARROWED, "both leave iam out, and now it is denied"),
    ("scp-region", CEILING, policy(allow("*")), policy(allow("*"), deny("*", **where("StringNotEquals", "aws:RequestedRegion", "eu-west-1"))), NARROWED, "other regions went"),
    # Undecided
    ("unknown-operator", IDENTITY, on("StringMatches", USER, "a"), on("StringMatches", USER, "b"), UNDECIDED, "nobody here knows the operator"),
    ("unknown-operator-kept", IDENTITY, policy(*on("StringMatches", USER, "a")["Statement"], allow("iam:*")), on("StringMatches", USER, "a"), NARROWED, "whatever it means, it is on both sides; iam went"),
    ("unknown-operator-and-version", IDENTITY, policy(allow("s3:*", **where("StringMatches", USER, "${aws:userid}")), version="2008-10-17"), on("StringMatches", USER, "${aws:userid}"), UNDECIDED, "text in one version, a variable in the other"),
    ("empty-value", IDENTITY, on("StringEquals", "aws:ResourceTag/x", ""), on("StringEquals", "aws:ResourceTag/x", ["", "y"]), WIDENED, "a tag may be empty; y came"),
    ("unknown-element", IDENTITY, policy(allow("s3:*")), policy(allow("s3:*", Until="2027")), UNDECIDED, "an element that nobody here knows"),
    ("unknown-element-same", IDENTITY, policy(allow("s3:*", Until="2027")), policy(allow(["S3:*"], Until="2027")), NEUTRAL, "the same unknown twice"),
    ("malformed", IDENTITY, policy(allow("s3:*")), "{", UNDECIDED, "no JSON"),
    ("both-malformed", IDENTITY, "{", "{", NEUTRAL, "the same text means the same"),
    ("arn-of-three", IDENTITY, on("ArnLike", "aws:SourceArn", "arn:aws:s3"), on("ArnLike", "aws:SourceArn", "*"), UNDECIDED, "no ARN has fewer than six components"),
    ("mixed-families", IDENTITY, policy(allow("s3:*", Condition={"StringLike": {IP: "10.*"}})), policy(allow("s3:*", Condition={"IpAddress": {IP: "10.0.0.0/8"}})), UNDECIDED, "texts and addresses are not compared with each other"),
    ("principal-in-identity", IDENTITY, policy(allow("s3:*")), policy(allow("s3:*", Principal="*")), UNDECIDED, "an identity's policy has no principals"),
    ("unclosed-variable", IDENTITY, policy(allow("s3:*")), policy(allow("s3:*", f"{BUCKET}/${{aws")), UNDECIDED, "no variable"),
    ("stars-and-stripes", IDENTITY, policy(allow("s3:*", [f"*{c}{'?' * 24}*" for c in "abcdefgh"])), policy(allow("s3:*", [f"*{c}{'?' * 25}" for c in "abcdefgh"])), UNDECIDED, "it takes more states than the bound"),
]  # fmt: skip
IDS = [pair[0] for pair in PAIRS]
OPPOSITE = {WIDENED: NARROWED, NARROWED: WIDENED}


def test_there_are_enough_pairs_and_each_has_its_argument():
    assert len(PAIRS) >= 100
    assert len(set(IDS)) == len(PAIRS)
    assert all(pair[5] for pair in PAIRS)


@pytest.mark.parametrize(("name", "kind", "before", "after", "verdict", "why"), PAIRS, ids=IDS)
def test_verdict(name, kind, before, after, verdict, why):  # noqa: PLR0917
    found = compare(before, after, Shelf(), kind=kind)
    assert found.verdict is verdict, (why, found.reasons)
    if verdict is not UNDECIDED:
        back = compare(after, before, Shelf(), kind=kind)
        assert back.verdict is OPPOSITE.get(verdict, verdict)
    for reason in found.reasons:
        assert reason.words
        if reason.request is not None:
            none = policy(allow("*")) if kind is CEILING else policy()
            old, new = (parse(one) if one else parse(none) for one in (before, after))
            assert evaluate(old, reason.request) is reason.before
            assert evaluate(new, reason.request) is reason.after
