"""The functions of leases, in this process, on the emulated AWS."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest
from aws.place import Account
from support.aws import Fault
from support.peer import answering

from chalicelib import settings, wiring
from chalicelib.access import notice, state, timers
from chalicelib.access.grantor import Terms
from chalicelib.access.profile import SHIPPED, Profile, table
from chalicelib.aws import places, remote
from chalicelib.functions import grant as granting
from chalicelib.functions import lease as leasing
from chalicelib.functions import runtime
from chalicelib.functions.grant import grant
from chalicelib.functions.lease import lease
from chalicelib.kernel import canon
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import CouldNotTell, Malformed, NotAllowed, NotFound
from chalicelib.kernel.record import Actor, Draft
from chalicelib.local.clock import SystemClock
from chalicelib.settings import edit
from chalicelib.wiring import access, cloud, leases

TOML = """
[aws]
region = "us-east-1"
endpoint = "{endpoint}"

[log]
key = ""

[profiles.read-config]
actions = ["s3:GetObject"]

[targets.config]
kind = "sts"
[targets.config.access]
role_arn = "{role}"

[targets.orders]
secret = "{name}"
[targets.orders.access]
secret = "{name}"
profiles = ["read-clear"]

[[notify.webhooks]]
url = "{webhook}/secret-path"
secret = "{name}/webhook"
"""
REQUEST = "config.abcdefghijkm"
ROLE = "hf_" + "a" * 26
ANA = Actor("ana", "oidc")
KEY = "k" * 32
READ = Profile(actions=("s3:GetObject",))
DENIED = Fault(403, "AccessDeniedException")  # which no client tries again
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Context:
    aws_request_id = "request"

    def get_remaining_time_in_millis(self):
        return 300_000


class World:
    def __init__(self, aws, name, services, seen):
        self.aws, self.name, self.services, self.seen = aws, name, services, seen

    def record(self, kind, target="config", **body):
        at = timestamp(SystemClock().now())
        self.services.log.append([Draft(kind, f"access:{target}", at, ANA, body)])

    def leased(self, until):
        """A lease of a role that was issued and lasts until then."""
        self.record(
            state.REQUESTED,
            request=REQUEST,
            principal="person:ana",
            break_glass=False,
            seed="",
            profile="read-config",
            gives=msgspec.to_builtins(READ),
            tables=[],
            resources=[],
            seconds=900,
            reason="INC-1 look",
            ticket="INC-1",
            obligations={"approvals": 0, "groups": [], "max_seconds": None},
            policies=["people"],
            policy="00",
            lapses_at=later(3_600),
        )
        self.record(
            state.ISSUING,
            request=REQUEST,
            role=ROLE,
            profile=msgspec.to_builtins(READ),
            until=until,
            plan={"assumes": {}},
            sha256="00",
        )
        self.record(state.ISSUED, request=REQUEST, role=ROLE)

    def kinds(self, target="config"):
        return [one.record.kind for one in self.services.log.stream(f"access:{target}")]


def later(seconds):
    return timestamp(SystemClock().now() + timedelta(seconds=seconds))


def _forget():
    for one in (
        *(runtime.loaded, runtime.services, runtime.desk, runtime.journal, runtime._bus),
        *(leasing._services, leasing._desk, granting._vault, leases._caller),
    ):
        one.cache_clear()


@pytest.fixture
def world(strict_aws, tmp_path, database, monkeypatch):
    aws = strict_aws
    aws.faults.clear()
    account = Account(aws)
    name = account.name
    aws.client("events").create_event_bus(Name=name)
    aws.client("scheduler").create_schedule_group(Name=name)
    role = aws.client("iam").create_role(RoleName=name[:60], AssumeRolePolicyDocument="{}")
    secrets = aws.client("secretsmanager")
    seal = secrets.create_secret(Name=f"{name}/seal", SecretString="s" * 64)["ARN"]
    secrets.create_secret(Name=name, SecretString=database.dsn)
    secrets.create_secret(Name=f"{name}/webhook", SecretString=KEY)
    told = dict.fromkeys(places.FIELDS, "none") | {
        "evidence_bucket": name,
        "derived_bucket": f"{name}-derived",
        "documents_table": name,
        "locks_table": f"{name}-locks",
        "passing_table": f"{name}-passing",
        "signing_key": account.key,
        "seal_secret": seal,
        "event_bus": name,
        "grant_function": "holdfast-grant",
        "lease_function": "holdfast-lease",
        "timer_group": name,
        "timer_role": role["Role"]["Arn"],
        "lease_queue": f"arn:aws:sqs:us-east-1:123456789012:{name}",
        "lease_dead_letter_queue": f"arn:aws:sqs:us-east-1:123456789012:{name}-dead",
        "period_minutes": "15",
    }
    for field, value in told.items():
        monkeypatch.setenv(places.variable(field), value)
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv(leases.OWN_NAME, "holdfast-lease")
    with answering(ANSWER) as (url, seen):
        path = tmp_path / "holdfast.toml"
        path.write_text(
            TOML.format(endpoint=aws.endpoint, name=name, role=role["Role"]["Arn"], webhook=url)
        )
        loaded = settings.load(path)
        vkey = cloud.open_log(loaded, cloud.where(loaded.file.aws), Actor("ana", "iam"))
        loaded = edit.set_log_key(loaded, vkey)
        (tmp_path / "holdfast.json").write_bytes(settings.compiled(loaded))
        _forget()
        yield World(aws, name, wiring.connect(loaded), seen)
    _forget()


def tick(minute=1):
    return lease({"source": "aws.events", "time": f"2026-10-01T02:{minute:02d}:00Z"}, Context())


def policies(world):
    client = world.aws.client("iam")
    return client.list_role_policies(RoleName=world.name[:60])["PolicyNames"]


def test_a_sweep_ends_a_role_s_lease_whose_time_is_over(world):
    world.leased(later(-1))
    assert tick() == {"targets": 2, "failed": 0, "told": 0}
    assert world.kinds()[-2:] == [state.ENDING, state.ENDED]
    [policy] = policies(world)
    found = world.aws.client("iam").get_role_policy(RoleName=world.name[:60], PolicyName=policy)
    assert f"*:{ROLE}" in json.dumps(found["PolicyDocument"])
    tick()
    assert world.kinds().count(state.ENDED) == 1


def test_a_lease_that_lasts_is_left_be(world):
    world.leased(later(600))
    tick()
    assert world.kinds()[-1] == state.ISSUED
    assert policies(world) == []


def test_what_cannot_be_ended_is_recorded_and_counted_and_tried_again(world, capsys):
    world.leased(later(-1))
    with world.aws.failing("iam", "*", DENIED, times=1_000):
        tick()
    assert world.kinds()[-1] == state.UNENDED
    assert '"LeasesStuck":[1.0]' in capsys.readouterr().out.replace(" ", "")


def timer(body):
    return {
        "Records": [
            {
                "messageId": "m-1",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
                "eventSource": "aws:sqs",
            }
        ]
    }


def test_a_timer_ends_its_lease(world):
    world.leased(later(-1))
    assert lease(timer(timers.encode(REQUEST).decode()), Context()) == {"batchItemFailures": []}
    assert world.kinds()[-1] == state.ENDED


@pytest.mark.parametrize("body", ["{}", timers.encode("gone.abcdefghijkm").decode()])
def test_a_message_that_is_no_timer_is_dropped(world, body):
    assert lease(timer(body), Context()) == {"batchItemFailures": []}


def test_what_starts_it_is_known(world):
    with pytest.raises(Malformed, match="not an event of a schedule"):
        lease({}, Context())


def test_receivers_are_told_and_signed_for(world):
    tick()  # from now on
    world.leased(later(600))
    assert tick()["told"] == 6, "three records, to the bus and to the webhook"
    bodies = [json.loads(one.body) for one in world.seen]
    assert [one["kind"] for one in bodies] == [state.REQUESTED, state.ISSUING, state.ISSUED]
    assert {one["target"] for one in bodies} == {"sts:config"}
    first = world.seen[0]
    header = first.headers["holdfast-signature"]
    notice.verify(KEY.encode(), header, first.body, int(header[2:].split(",")[0]))
    assert tick()["told"] == 0


def test_a_receiver_that_is_down_holds_up_neither_sweeps_nor_others(world, capsys):
    tick()
    world.leased(later(-1))
    with world.aws.failing("events", "PutEvents", DENIED, times=1_000):
        told = tick()["told"]
    assert told == 5, "the webhook has them all, those of the sweep too"
    assert world.kinds()[-1] == state.ENDED
    assert '"NoticesFailed":[1.0]' in capsys.readouterr().out.replace(" ", "")


def terms(**more):
    given = {
        "lease": "orders.abcdefghijkm",
        "target": "postgres:orders",
        "role": ROLE,
        "holder": "person:ana",
        "profile_name": "read-clear",
        "profile": SHIPPED["read-clear"],
        "until": later(600),
    }
    return Terms(**{**given, **more})


def asked(operation, target="sts:config", **said):
    return msgspec.to_builtins(remote.Asked(grant=operation, target=target, **said))


class Functions:
    """A client of Lambda that runs the handlers; a payload goes and comes as bytes."""

    def invoke(self, FunctionName, InvocationType, Payload):  # noqa: N803 - botocore's spelling
        assert InvocationType == "RequestResponse"
        run = {"holdfast-grant": grant, "holdfast-lease": lease}[FunctionName]
        answer = canon.encode(run(json.loads(Payload), Context()))
        return {"Payload": _Body(answer)}


class _Body:
    def __init__(self, data):
        self._data = data

    def read(self, most):
        return self._data[:most]


def role_terms(**more):
    given = {
        "lease": REQUEST,
        "target": "sts:config",
        "profile_name": "read-config",
        "profile": READ,
    }
    return terms(**{**given, **more})


def test_a_role_is_leased_through_the_function(world):
    grantor = remote.RemoteGrantor(Functions(), "holdfast-lease", "sts:config")
    wanted = role_terms()
    plan = grantor.plan(wanted)
    credential = grantor.issue(plan, wanted)
    assert credential.kind == "aws"
    assert credential.fields["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert grantor.extend(wanted) is None
    assert grantor.orphans([ROLE]) == []
    steps = []
    assert grantor.end(wanted, steps.append)["session"] == ROLE
    assert steps == ["deny"]


def test_a_lease_has_a_timer_until_it_ends(world):
    grantor = access.find(world.services, "config").grantor()
    wanted = role_terms()
    grantor.issue(grantor.plan(wanted), wanted)
    client = world.aws.client("scheduler")
    found = client.get_schedule(GroupName=world.name, Name=REQUEST)
    assert timers.decode(found["Target"]["Input"].encode()) == REQUEST
    grantor.end(wanted, lambda _: None)
    assert client.list_schedules(GroupName=world.name)["Schedules"] == []


def test_what_fails_there_fails_here_in_the_same_way(world):
    grantor = remote.RemoteGrantor(Functions(), "holdfast-lease", "sts:config")
    with world.aws.failing("iam", "*", DENIED, times=1_000):
        steps = []
        with pytest.raises(CouldNotTell):
            grantor.end(role_terms(), steps.append)
    assert steps == ["deny"]
    with pytest.raises(NotAllowed, match="is not a profile as this function"):
        grantor.plan(role_terms(profile=Profile(actions=("s3:*",))))


def test_each_function_does_its_own_kind_alone(world):
    for run, target, given in (
        (lease, "postgres:orders", terms()),
        (grant, "sts:config", role_terms()),
    ):
        answer = run(asked("plan", target, terms=given), Context())
        assert answer["error"]["code"] == "not_allowed", target
        assert "is not done by this function" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"profile_name": "write", "profile": SHIPPED["write"]}, "not_allowed"),
        ({"profile": SHIPPED["write"]}, "not_allowed"),
        ({"role": "postgres"}, "not_allowed"),
        ({"target": "postgres:other"}, "not_allowed"),
        ({"until": "2100-01-01T00:00:00.000000Z"}, "not_allowed"),
        ({"tables": (table("secret.t"),)}, "not_allowed"),
    ],
    ids=["a profile that it does not lease", "changed", "role", "target", "until", "schema"],
)
def test_what_the_settings_do_not_give_is_not_granted(world, more, code):
    answer = grant(asked("plan", "postgres:orders", terms=terms(**more)), Context())
    assert answer["error"]["code"] == code


def test_a_lease_that_these_settings_would_not_give_is_still_ended(world):
    wanted = role_terms(until="2100-01-01T00:00:00.000000Z", profile=Profile(actions=("s3:*",)))
    answer = lease(asked("end", terms=wanted), Context())
    assert answer["done"]["session"] == ROLE


def test_another_target_or_call_is_refused(world):
    answer = grant(asked("plan", "postgres:none", terms=terms()), Context())
    assert answer["error"]["code"] == "not_found"
    answer = lease(asked("drop", terms=role_terms()), Context())
    assert answer["error"]["code"] == "malformed"
    for event in (asked("plan") | {"x": 1}, {"grant": 1, "target": "sts:config"}):
        with pytest.raises(Malformed, match="not a call of a grantor"):
            lease(event, Context())


def test_a_database_is_reached_with_the_broker_s_own_secret(world):
    """What a target needs is not installed there: the database's own answer comes back."""
    answer = grant(asked("plan", "postgres:orders", terms=terms()), Context())
    assert "error" in answer
    assert world.name not in answer["error"]["message"]


def test_whoever_is_not_the_function_asks_it(world, monkeypatch):
    role, orders = (access.find(world.services, one) for one in ("config", "orders"))

    def asks(target):
        return isinstance(target.grantor()._inner, remote.RemoteGrantor)

    assert (asks(role), asks(orders)) == (False, True)
    monkeypatch.setenv(leases.OWN_NAME, "holdfast-api")
    assert (asks(role), asks(orders)) == (True, True)
    with pytest.raises(NotFound):
        access.find(world.services, "none")
