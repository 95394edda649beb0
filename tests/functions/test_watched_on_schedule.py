"""Targets that are read through AWS's API, on the schedule of a stack on AWS."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from functions.test_functions import Context, now, tick, waiting
from functions.test_functions import deployed as _deployed
from support.aws import Fault

from chalicelib import settings, wiring
from chalicelib.drift import approval
from chalicelib.drift.look import look
from chalicelib.functions import runtime
from chalicelib.functions.dispatch import dispatch
from chalicelib.functions.scan import scan
from chalicelib.kernel.record import Actor
from chalicelib.settings import edit

ACCOUNT = "123456789012"
TRUST = {"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}
VERSION = {"Version": "2012-10-17"}

deployed = _deployed


@pytest.fixture
def account(deployed, strict_aws):
    """The stack, which also watches its own account; a role in it whose policy can be changed."""
    iam = strict_aws.client("iam")
    name = f"scanned-{deployed.log.verifier.name.split('/')[0]}"[:60]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({**VERSION, **TRUST}))
    loaded = settings.load(deployed.settings.path)
    edit.add_target(loaded, "us", settings.TargetSection(kind="iam", account=ACCOUNT))
    loaded = settings.load(loaded.path)
    loaded.path.with_name("holdfast.json").write_bytes(settings.compiled(loaded))
    for one in (runtime.loaded, runtime.services, runtime.desk):
        one.cache_clear()
    services = wiring.connect(loaded)
    target = services.settings.target("us")
    seen = look(services.reader(target), lambda *_: None)
    people = [Actor("ana", "iam"), Actor("ben", "iam")]
    approval.propose(
        services.desk,
        target,
        seen.snapshot,
        identity=seen.reading.identity,
        read_at=seen.reading.read_at,
        actor=people[0],
    )
    approval.approve(services.desk, target, actor=people[1])

    def widen():
        allow = {"Effect": "Allow", "Action": "rds-db:connect", "Resource": "*"}
        iam.put_role_policy(
            RoleName=name,
            PolicyName="p",
            PolicyDocument=json.dumps({**VERSION, "Statement": allow}),
        )

    yield services, widen
    for one in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=one)
    iam.delete_role(RoleName=name)


def test_an_account_is_scanned_by_the_function(account, strict_aws):
    services, widen = account
    widen()
    at = now() - timedelta(minutes=1)
    assert dispatch(tick(at), Context())["targets"] == 2
    assert scan(waiting(strict_aws), Context()) == {"batchItemFailures": []}
    records = list(services.log.stream("iam:us"))
    (heartbeat,) = [one.body for one in records if one.record.kind == "scan"]
    assert heartbeat["outcome"] == "drift"
    assert heartbeat["scheduled_at"].startswith(at.strftime("%Y-%m-%dT%H:%M:%S"))
    assert heartbeat["snapshot"]["identity"] == f"account {ACCOUNT}"
    found = {one.body["kind"]: one.body for one in records if one.record.kind == "finding.opened"}
    assert found["iam_inline_policy"]["direction"] == "widens"
    assert "rds-db:connect" in found["iam_inline_policy"]["meaning"]["reasons"][0]
    assert found["iam_database_access"]["severity"] == "high"
    assert found["iam_inline_policy"]["who"]["certainty"] in {"none", "unknown"}


def test_an_account_that_refuses_is_unknown_on_the_schedule(account, strict_aws):
    services, _ = account
    refusal = Fault(403, "AccessDenied")
    with strict_aws.failing("iam", "GetAccountAuthorizationDetails", refusal, times=99):
        dispatch(tick(now() - timedelta(minutes=1)), Context())
        assert scan(waiting(strict_aws), Context()) == {"batchItemFailures": []}
    (heartbeat,) = [e.body for e in services.log.stream("iam:us") if e.record.kind == "scan"]
    assert heartbeat["outcome"] == "unknown"
    assert heartbeat["failure"]["code"] == "not_permitted"
    assert heartbeat["snapshot"] is None
