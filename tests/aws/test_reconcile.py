from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from contract.adapters import RETENTION_DAYS, make_bucket
from evidence.place import ORIGIN, draft, unsynced
from moto.s3.models import s3_backends
from support.aws import ACCOUNT, Fault, throttle

from chalicelib.aws.reconcile import Sources, reconcile
from chalicelib.aws.signer import KmsSigner
from chalicelib.aws.writeonce import S3WriteOnce
from chalicelib.cli import reconcile as cli
from chalicelib.evidence import layout, manifest, note, receipts, rotate
from chalicelib.evidence.account import SKEW, Severity
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.evidence.note import Checkpoint
from chalicelib.kernel import canon, dsse
from chalicelib.kernel.errors import (
    ConfigError,
    CouldNotTell,
    NotPermitted,
    StoreUnavailable,
    UsageError,
)
from chalicelib.kernel.record import Actor
from chalicelib.local.clock import SystemClock
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments

BUCKET = "evidence"
HOUR = timedelta(hours=1)


def now():
    return datetime.fromtimestamp(time.time(), tz=UTC)  # S3's and KMS's clock is the machine's


@pytest.fixture
def aws(empty_aws):
    return empty_aws


both_specs = pytest.mark.parametrize("spec", ["ECC_NIST_EDWARDS25519", "ECC_NIST_P256"])


@pytest.fixture
def spec():
    return "ECC_NIST_EDWARDS25519"


class House:
    """A log on S3 and KMS that has two checkpoints and a baseline's envelope."""

    def __init__(self, aws, root, spec):
        self.aws, self.s3, self.kms = aws, aws.client("s3"), aws.client("kms")
        make_bucket(self.s3, BUCKET)
        made = self.kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]
        self.key = made["Arn"]
        self.algorithm = "ED25519_SHA_512" if "25519" in spec else "ECDSA_SHA_256"
        self.store = S3WriteOnce(self.s3, BUCKET, pause=lambda _: None)
        self.signer = KmsSigner(self.kms, self.key, self.store, SystemClock())
        self.verifier = note.verifier(ORIGIN, self.signer.public)
        self.documents = SqliteDocuments(root / "state.db")
        self.derived = DirectoryDerived(root / "derived", sync=unsynced)
        self.log = self.writer(self.signer)
        self.paces = []
        self.log.append([draft(1)])
        self.log.append([draft(2), draft(3)])
        statement = {"_type": dsse.STATEMENT_TYPE, "subject": []}
        envelope = dsse.seal(statement, self.signer, "k")
        self.store.put(f"baseline/sha256/{canon.sha256(envelope)}", envelope)

    def writer(self, signer):
        return Log(
            writeonce=self.store,
            derived=self.derived,
            documents=self.documents,
            signer=signer,
            keys=keyring([LogKey(self.verifier)]),
            tool="test/0",
            pause=lambda _: None,
        )

    def sources(self, **changes):
        given = {
            "trail": self.aws.client("cloudtrail"),
            "s3": self.s3,
            "bucket": BUCKET,
            "key": self.key,
            "keys": keyring([LogKey(self.verifier)]),
            "retention_days": RETENTION_DAYS,
            "pace": lambda: self.paces.append(1),
        }
        return Sources(**(given | changes))

    def reconcile(self, *, start=-HOUR, end=timedelta(minutes=1), later=HOUR, **changes):
        moment = now()
        return reconcile(self.sources(**changes), moment + start, moment + end, now=moment + later)

    def sign(self, message):
        """A signature by the key itself, past the program."""
        return self.kms.sign(
            KeyId=self.key,
            Message=message,
            MessageType="RAW",
            SigningAlgorithm=self.algorithm,
        )

    def keys(self, prefix):
        return list(self.store.list(prefix))

    def vanish(self, key):
        """What no lock allows: the object is gone without a trace."""
        s3_backends[ACCOUNT]["aws"].buckets[BUCKET].keys.pop(key)


@pytest.fixture
def house(aws, tmp_path, spec):
    made = House(aws, tmp_path, spec)
    yield made
    made.documents.close()


def places(report):
    return sorted(problem.place for problem in report.problems)


@both_specs
def test_a_true_log_is_accounted_for(house):
    report = house.reconcile()
    assert (report.problems, report.exit_code, report.repeats) == ((), 0, ())
    assert (report.sign_events, report.receipts) == (3, 3)
    assert (report.checkpoints, report.envelopes, report.refused) == (2, 1, 0)
    assert report.objects == report.locks == len(house.keys("")) == 2 + 2 + 1 + 3


@both_specs
def test_a_hidden_fork_shows_who_signed_it_and_from_where(house):
    fork = Checkpoint(ORIGIN, 3, bytes(32)).text().encode()
    answer = house.sign(fork)
    (problem,) = house.reconcile().problems
    assert problem.place == answer["ResponseMetadata"]["RequestId"]
    assert problem.what == "a signature without a receipt: what was signed is not known"
    assert problem.principal == f"arn:aws:sts::{ACCOUNT}:assumed-role/scan/scan"
    assert problem.source == "192.0.2.0"
    assert problem.at
    assert house.reconcile().exit_code == 1


def test_a_hidden_fork_with_an_honest_receipt_is_not_published(house):
    house.signer.sign(Checkpoint(ORIGIN, 3, bytes(32)).text().encode())
    (problem,) = house.reconcile().problems
    assert problem.place.startswith("receipt/")
    assert problem.what == "a signature over a message that was not published since"
    assert problem.principal


def test_a_hidden_fork_under_the_receipt_of_another_signature_shows(house):
    """Whoever signs past the program cannot use up a receipt that is there."""
    text = note.parse(house.store.get(house.keys(layout.CHECKPOINTS)[0])).text.encode()
    house.sign(text)
    (problem,) = house.reconcile().problems
    assert "without a receipt" in problem.what


@both_specs
def test_a_receipt_that_is_gone_shows(house):
    gone = house.keys(receipts.RECEIPTS)[0]
    house.vanish(gone)
    problems = house.reconcile().problems
    assert problems[0].place == gone.rpartition("/")[2]
    assert {one.severity for one in problems} == {Severity.WRONG}
    assert len(problems) == 2
    assert "no receipt says" in problems[1].what


def test_a_checkpoint_that_is_gone_shows(house):
    house.vanish(house.keys(layout.CHECKPOINTS)[1])
    (problem,) = house.reconcile().problems
    assert problem.what == "a signature over a message that was not published since"


def test_a_receipt_of_no_signature_shows(house):
    made = receipts.receipt("made-up", house.key, b"x", now())
    text = note.parse(house.store.get(house.keys(layout.CHECKPOINTS)[0])).text.encode()
    made = receipts.receipt("made-up", house.key, text, now())
    house.store.put(receipts.place(made), receipts.encode(made))
    (problem,) = house.reconcile().problems
    assert (problem.place, problem.observed) == (receipts.place(made), "none")
    assert "CloudTrail does not show" in problem.what


def test_a_receipt_that_is_none_shows(house):
    key = receipts.day(now()) + "x"
    house.store.put(key, b"{}")
    (problem,) = house.reconcile().problems
    assert (problem.place, problem.what) == (key, "not a receipt")


def test_an_object_put_over_another_shows_and_the_first_one_counts(house):
    for key in (house.keys(layout.CHECKPOINTS)[0], house.keys(receipts.RECEIPTS)[0]):
        house.s3.put_object(Bucket=BUCKET, Key=key, Body=b"forged")
    report = house.reconcile()
    assert [one.what for one in report.problems] == ["another version of an object"] * 2
    assert report.exit_code == 1


def test_a_delete_marker_shows_and_hides_nothing(house):
    key = house.keys(layout.CHECKPOINTS)[0]
    house.s3.delete_object(Bucket=BUCKET, Key=key)
    (problem,) = house.reconcile().problems
    assert (problem.place, problem.what) == (key, "a delete marker over an object")


@pytest.mark.parametrize(
    ("mode", "days"), [("COMPLIANCE", RETENTION_DAYS - 1), ("GOVERNANCE", 400)]
)
def test_an_object_that_is_locked_too_shortly_or_too_weakly_shows(house, mode, days):
    until = now() + timedelta(days=days)
    house.s3.put_object(
        Bucket=BUCKET,
        Key="snapshot/x",
        Body=b"x",
        ObjectLockMode=mode,
        ObjectLockRetainUntilDate=until,
    )
    (problem,) = house.reconcile().problems
    assert problem.place == "snapshot/x"
    assert problem.observed.startswith(f"{mode} until {until.year}")
    assert problem.expected == f"COMPLIANCE for {RETENTION_DAYS} days"


def test_an_object_without_a_lock_shows(house):
    version = s3_backends[ACCOUNT]["aws"].buckets[BUCKET].keys[house.keys("log/batch/")[0]]
    version.lock_mode = version.lock_until = None
    (problem,) = house.reconcile().problems
    assert (problem.place, problem.observed) == (house.keys("log/batch/")[0], "no retention")


def test_a_longer_retention_than_the_policy_s_is_fine_and_a_shorter_one_everywhere_is_not(house):
    assert house.reconcile(retention_days=RETENTION_DAYS - 1).ok
    assert len(house.reconcile(retention_days=RETENTION_DAYS + 1).problems) == 8


@both_specs
def test_a_signature_made_again_after_a_crash_is_explained_and_named(house):
    """The process dies between the signature and its publication; the next one signs again."""

    class Dies(Exception):
        pass

    class Dying:
        public = house.signer.public

        def sign(self, message):
            house.signer.sign(message)
            raise Dies

    with pytest.raises(Dies):
        house.writer(Dying()).append([draft(9)])
    assert house.reconcile().exit_code == 1  # until somebody finishes it
    house.log.recover()
    report = house.reconcile()
    assert report.problems == ()
    (repeat,) = report.repeats
    assert (repeat.place, repeat.times) == (house.keys(layout.CHECKPOINTS)[-1], 2)
    assert report.sign_events == report.checkpoints + report.envelopes + 1


@both_specs
def test_the_signature_over_a_packet_is_accounted_for(house):
    digest = "ab" * 32
    signed = note.sign(manifest.text(ORIGIN, digest), ORIGIN, house.signer)
    assert house.reconcile().exit_code == 1  # signed, and not published
    house.store.put(layout.packet(digest), signed)
    report = house.reconcile()
    assert report.problems == ()
    assert report.packets == 1


def test_a_checkpoint_by_another_key_publishes_nothing(house, tmp_path):
    other = house.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    signer = KmsSigner(house.kms, other["Arn"], house.store, SystemClock())
    forged = note.sign(Checkpoint(ORIGIN, 9, bytes(32)).text(), ORIGIN, signer)
    house.store.put(layout.checkpoint(9), forged)
    (problem,) = house.reconcile().problems
    assert (problem.place, problem.what) == (
        layout.checkpoint(9),
        "not a publication under a pinned key",
    )


def test_a_fork_published_beside_the_log_is_left_to_fsck_but_its_signature_is_counted(house):
    """It is signed, receipted and locked: reconcile sees an account without a gap, as it says."""
    forged = note.sign(Checkpoint(ORIGIN, 9, bytes(32)).text(), ORIGIN, house.signer)
    house.store.put(layout.checkpoint(9), forged)
    report = house.reconcile()
    assert (report.ok, report.sign_events, report.checkpoints) == (True, 4, 3)


def test_other_keys_and_other_calls_are_not_of_this_account(house):
    other = house.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    KmsSigner(house.kms, other["Arn"], house.store, SystemClock()).sign(b"theirs")
    report = house.reconcile()
    assert (report.ok, report.sign_events, report.receipts) == (True, 3, 3)


def test_what_is_young_is_pending_and_not_clean(house):
    report = house.reconcile(start=-HOUR, end=timedelta(0), later=timedelta(0))
    assert report.exit_code == 3
    assert {one.severity for one in report.problems} == {Severity.PENDING}
    house.sign(b"x")
    later = timedelta(seconds=2)
    report = house.reconcile(start=-HOUR, end=later, later=later)
    assert report.exit_code == 3
    assert len(report.problems) == 2


def test_a_period_before_anything_was_signed_is_empty_and_the_margins_are_not_in_it(house):
    report = house.reconcile(start=-3 * HOUR, end=-2 * HOUR)
    assert (report.ok, report.sign_events, report.checkpoints, report.locks) == (True, 0, 0, 0)


def test_every_page_of_cloudtrail_is_read_and_paced(house):
    for number in range(120):
        house.sign(b"%d" % number)
    report = house.reconcile()
    assert report.sign_events == 123
    assert len(report.problems) == 120
    lookups = house.aws.calls.count(("cloudtrail", "LookupEvents"))
    assert lookups >= 3
    assert len(house.paces) == lookups - 1


def test_days_overlap_and_nothing_is_counted_twice(house):
    report = house.reconcile(start=timedelta(days=-10))
    assert (report.ok, report.sign_events) == (True, 3)
    assert house.aws.calls.count(("cloudtrail", "LookupEvents")) == 11


def test_an_event_at_the_edge_of_two_days_is_counted_once(house, monkeypatch):
    edge = now().replace(microsecond=0)
    monkeypatch.setattr(house.aws, "now", lambda: edge)
    house.sign(b"x")
    end = edge + timedelta(minutes=1)
    report = reconcile(house.sources(), edge - timedelta(days=1) + SKEW, end, now=end + HOUR)
    assert (report.sign_events, len(report.problems)) == (4, 1)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (timedelta(days=-90), timedelta(0)),
        (-HOUR, -HOUR),
        (timedelta(0), -HOUR),
        (-HOUR, 2 * HOUR),
    ],
)
def test_a_period_that_cannot_be_told_of_is_refused(house, start, end):
    with pytest.raises(UsageError, match=r"days, from|not a period"):
        house.reconcile(start=start, end=end)
    assert ("cloudtrail", "LookupEvents") not in house.aws.calls


@pytest.mark.parametrize("key", ["alias/holdfast", "", "arn:aws:kms:eu-west-1:123456789012:key/x"])
def test_a_key_that_is_no_arn_of_this_region_is_refused(house, key):
    with pytest.raises(ConfigError):
        house.reconcile(key=key)
    elsewhere = house.key.replace("us-east-1", "eu-west-1")
    with pytest.raises(ConfigError, match="us-east-1"):
        house.reconcile(key=elsewhere)


def test_a_multi_region_key_could_have_signed_elsewhere(house):
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/mrk-{'0' * 32}"
    report = house.reconcile(key=key)
    assert Severity.UNKNOWN in {one.severity for one in report.problems}


def spoiled(house, change):
    """A CloudTrail client that answers events after ``change(event, told)``."""
    client = house.aws.client("cloudtrail")

    def spoil(parsed, **_):
        for event in parsed.get("Events", []):
            told = json.loads(event["CloudTrailEvent"])
            event["CloudTrailEvent"] = change(event, told) or json.dumps(told)

    client.meta.events.register("after-call.cloudtrail.LookupEvents", spoil)
    return client


@pytest.mark.parametrize(
    "change",
    [
        lambda _, __: "{",
        lambda _, __: "[]",
        lambda _, __: '{"eventName":"Sign","eventName":"Sign"}',
        lambda _, told: told.update(more="x" * 2**20),
        lambda _, told: told.pop("requestID") and None,
        lambda _, told: told.update(requestID=7),
        lambda event, _: event.pop("EventId") and None,
        lambda event, _: event.pop("EventTime") and None,
    ],
)
def test_an_event_that_cannot_be_read_is_not_passed_over(house, change):
    report = house.reconcile(trail=spoiled(house, change))
    assert any(one.severity is Severity.UNKNOWN for one in report.problems)
    assert report.exit_code != 0


@pytest.mark.parametrize(
    "change",
    [
        lambda _, told: told.update(resources=None),
        lambda _, told: told.update(resources=[{"ARN": 1}, 2]),
        lambda _, told: told.update(resources=[], requestParameters={"keyId": "alias/x"}),
        lambda _, told: told.update(resources=[], requestParameters=None),
        lambda _, told: told.update(
            resources=[], requestParameters={"keyId": told["resources"][0]["ARN"].split("/")[1]}
        ),
        lambda _, told: told.update(userIdentity=None, sourceIPAddress=None),
        lambda _, told: told.update(userIdentity={"type": "AWSService", "invokedBy": "x"}),
    ],
)
def test_an_event_that_may_be_of_this_key_is_counted(house, change):
    report = house.reconcile(trail=spoiled(house, change))
    assert (report.ok, report.sign_events) == (True, 3)


def test_calls_that_made_no_signature_need_no_receipt_and_are_counted(house):
    house.sign(b"x")

    def refuse(event, told):
        known = {key.rpartition("/")[2] for key in house.keys(receipts.RECEIPTS)}
        if told["requestID"] not in known:
            told.update(errorCode="AccessDenied")

    report = house.reconcile(trail=spoiled(house, refuse))
    assert (report.ok, report.sign_events, report.refused) == (True, 3, 1)


@pytest.mark.parametrize(
    ("service", "operation", "fault", "error"),
    [
        ("cloudtrail", "LookupEvents", throttle("cloudtrail"), StoreUnavailable),
        ("cloudtrail", "LookupEvents", Fault(400, "AccessDeniedException"), NotPermitted),
        ("s3", "ListObjectVersions", Fault(403, "AccessDenied"), StoreUnavailable),
        ("s3", "GetObject", Fault(500), StoreUnavailable),
        ("s3", "HeadObject", Fault(403, "AccessDenied"), StoreUnavailable),
    ],
)
def test_what_cannot_be_read_is_no_answer(house, service, operation, fault, error):
    house.aws.fail(service, operation, fault, times=10_000)
    with pytest.raises(error) as caught:
        house.reconcile()
    assert isinstance(caught.value, CouldNotTell)


def test_the_report_is_shown_and_encoded(house, capsys):
    house.sign(b"x")
    house.sign(b"y")
    for body in (b"1", b"2"):
        house.s3.put_object(Bucket=BUCKET, Key="x\u202e", Body=body)
    report = house.reconcile()
    cli.show(report)
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[-1].startswith("NOT ACCOUNTED FOR  ")
    assert "5 signatures in CloudTrail, 3 receipts, 2 checkpoints, 1 envelope" in lines[-1]
    assert "by arn:aws:sts::123456789012:assumed-role/scan/scan from 192.0.2.0" in said.out
    assert "x\\u{202e}" in said.out
    assert "next: find out who signed" in said.err
    value = json.loads(json.dumps(cli.encode(report)))
    assert (value["ok"], value["exit_code"], len(value["problems"])) == (False, 1, 3)
    assert value["problems"][0]["severity"] == "wrong"


def test_answers_and_next_steps_by_exit_code(house, capsys):
    cli.show(house.reconcile())
    assert capsys.readouterr().out.startswith("ACCOUNTED FOR  ")
    cli.show(house.reconcile(end=timedelta(0), later=timedelta(0)))
    said = capsys.readouterr()
    assert "COULD NOT TELL" in said.out
    assert "in 15 minutes" in said.err


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-01", datetime(2026, 10, 1, tzinfo=UTC)),
        ("2026-10-01T02:30Z", datetime(2026, 10, 1, 2, 30, tzinfo=UTC)),
        ("2026-10-01T02:30+02:00", datetime(2026, 10, 1, 0, 30, tzinfo=UTC)),
    ],
)
def test_days_and_moments_are_read(text, moment):
    assert cli.moment(text) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-10-01T02:30", "1"])
def test_other_texts_are_no_moments(text):
    with pytest.raises(UsageError):
        cli.moment(text)


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_ends_with_the_report_s_answer(house, capsys, as_json):
    import typer

    house.sign(b"x")
    moment = now()
    asked = []

    def run(start, end, progress):
        asked.append((start, end))
        return reconcile(
            house.sources(), moment - HOUR, moment + HOUR, now=moment + 2 * HOUR, progress=progress
        )

    with pytest.raises(typer.Exit) as ended:
        cli.reconcile_command(run, start="2026-10-01", end="", now=moment, as_json=as_json)
    assert ended.value.exit_code == 1
    assert asked == [(datetime(2026, 10, 1, tzinfo=UTC), moment - timedelta(minutes=15))]
    said = capsys.readouterr().out
    assert (json.loads(said)["ok"] is False) if as_json else ("NOT ACCOUNTED FOR" in said)


# Across a rotation


class Rotated:
    """A house whose log went on under a second key of KMS."""

    def __init__(self, house):
        made = house.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
        self.house, self.key = house, made["KeyMetadata"]["Arn"]
        self.signer = KmsSigner(house.kms, self.key, house.store, SystemClock())
        actor, at = Actor("ana", "iam"), "2026-10-01T02:00:00.000000Z"
        done = rotate.rotate(house.log, self.signer, actor=actor, at=at, reason="yearly")
        self.keys = house.log.keys.changed(done.size, done.key)
        log = Log(
            writeonce=house.store,
            derived=house.derived,
            documents=house.documents,
            signer=self.signer,
            keys=self.keys,
            tool="test/0",
            pause=lambda _: None,
        )
        log.append([draft(7)])
        envelope = dsse.seal({"_type": dsse.STATEMENT_TYPE, "subject": []}, self.signer, "k")
        house.store.put(f"baseline/sha256/{canon.sha256(envelope)}", envelope)

    def reconcile(self, **changes):
        given = {"key": self.key, "former": (self.house.key,), "keys": self.keys}
        return self.house.reconcile(**(given | changes))


@pytest.fixture
def rotated(house):
    return Rotated(house)


@both_specs
def test_both_keys_of_a_rotated_log_are_accounted_for(rotated):
    report = rotated.reconcile()
    assert (report.problems, report.exit_code, report.repeats) == ((), 0, ())
    # Three checkpoints and an envelope by the former key; by the new one the change of key, and one
    # checkpoint and one envelope more.
    assert (report.sign_events, report.receipts) == (4 + 3, 4 + 3)
    assert (report.checkpoints, report.envelopes) == (3 + 2, 2)
    assert (report.key, report.former) == (rotated.key, (rotated.house.key,))


def test_a_former_key_that_signs_on_shows(rotated):
    """Its credentials were stolen: what it signs now is no publication of the log's."""
    text = Checkpoint(ORIGIN, 6, bytes(32)).text()
    rotated.house.sign(text.encode())
    newest = note.parse(rotated.house.store.get(layout.checkpoint(5))).text.encode()
    rotated.house.signer.sign(newest)
    problems = rotated.reconcile().problems
    assert sorted(one.what for one in problems) == [
        "a signature over a message that was not published since",
        "a signature without a receipt: what was signed is not known",
    ]


def test_a_checkpoint_by_the_former_key_beyond_its_sizes_is_no_publication(rotated):
    forged = note.sign(Checkpoint(ORIGIN, 9, bytes(32)).text(), ORIGIN, rotated.house.signer)
    rotated.house.store.put(layout.checkpoint(9), forged)
    problems = rotated.reconcile().problems
    assert {one.place for one in problems if one.place == layout.checkpoint(9)}
    assert any("signs for sizes 0 to 4 only" in one.observed for one in problems)


def test_a_change_of_key_that_is_not_pinned_is_no_publication(rotated):
    data = rotated.house.store.get(layout.handover(4))
    rotated.house.store.put(layout.handover(5), data)
    (problem,) = rotated.reconcile().problems
    assert problem.place == layout.handover(5)


def test_what_is_young_is_told_once_for_both_keys(rotated):
    report = rotated.reconcile(start=-HOUR, end=timedelta(0), later=timedelta(0))
    ends = [one for one in report.problems if "period ends later" in one.what]
    assert len(ends) == 1
