"""The log's key is changed for another key of KMS, on the emulated AWS."""

from __future__ import annotations

import pytest
from aws.place import Account

from chalicelib import settings, wiring
from chalicelib.aws import places
from chalicelib.evidence import layout, receipts
from chalicelib.evidence.rotate import ROTATED
from chalicelib.kernel.errors import (
    ConfigError,
    KeyUnusable,
    NotAllowed,
    StoreUnavailable,
    UsageError,
)
from chalicelib.kernel.record import Actor, Draft
from chalicelib.settings import edit
from chalicelib.wiring import cloud, rotation

TOML = """
[aws]
region = "us-east-1"  # where the stack is
endpoint = "{endpoint}"

[log]
key = ""

[targets.orders]
secret = "orders"
"""
ANA = Actor("ana", "iam")
AT = "2026-10-01T02:00:00.123456Z"


@pytest.fixture
def house(strict_aws, tmp_path, monkeypatch):
    """An opened log of a stack, and where its settings are."""
    aws = strict_aws
    aws.faults.clear()
    account = Account(aws)
    name = account.name
    seal = aws.client("secretsmanager").create_secret(Name=f"{name}/seal", SecretString="s" * 64)
    told = {
        "evidence_bucket": name,
        "derived_bucket": f"{name}-derived",
        "documents_table": name,
        "locks_table": f"{name}-locks",
        "passing_table": f"{name}-passing",
        "signing_key": account.key,
        "seal_secret": seal["ARN"],
        "scan_queue": "https://sqs.us-east-1.amazonaws.com/123456789012/none.fifo",
        "packet_queue": "https://sqs.us-east-1.amazonaws.com/123456789012/none.fifo",
        "event_bus": name,
        "grant_function": "test-grant",
        "lease_function": "test-lease",
        "lease_queue": "arn:aws:sqs:us-east-1:123456789012:lease",
        "lease_dead_letter_queue": "arn:aws:sqs:us-east-1:123456789012:lease-dead",
        "timer_group": "test",
        "timer_role": "arn:aws:iam::123456789012:role/timer",
        "period_minutes": "15",
    }
    for field, value in told.items():
        monkeypatch.setenv(places.variable(field), value)
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "test")
    path = tmp_path / "holdfast.toml"
    path.write_text(TOML.format(endpoint=aws.endpoint))
    loaded = settings.load(path)
    vkey = cloud.open_log(loaded, cloud.where(loaded.file.aws), ANA)
    edit.set_log_key(loaded, vkey)
    return path


@pytest.fixture
def new_key(strict_aws):
    made = strict_aws.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    return made["KeyMetadata"]["Arn"]


def connected(path):
    return wiring.connect(settings.load(path))


def append(services, number):
    return services.log.append([Draft("note", "notes", AT, ANA, {"number": number})])


def fsck(services):
    return services.fsck(None, lambda *_: None)


def test_another_key_of_kms_takes_over(house, new_key, strict_aws):
    before = connected(house)
    done = rotation.change(before, ANA, reason="yearly", signing_key=new_key)
    text = house.read_text()
    assert f'signing_key = "{new_key}"\nregion = "us-east-1"  # where the stack is\n' in text
    after = connected(house)
    assert after.keys == before.keys.changed(done.size, done.key)
    with pytest.raises(KeyUnusable, match="was rotated"):
        append(before, 1)
    append(after, 2)
    found = fsck(after)
    assert (found.ok, found.unfinished) == (True, "")
    assert [one.record.kind for one in after.log.read()] == ["log.opened", ROTATED, "note"]
    kept = [
        receipts.decode(key, after.desk.objects.get(key))
        for key in after.desk.objects.list(receipts.RECEIPTS)
    ]
    assert sum(one.key == new_key for one in kept) == 2  # the change of key, and one checkpoint
    loaded = settings.load(house)
    assert cloud.open_log(loaded, cloud.where(loaded.file.aws), ANA) == str(done.key)
    assert settings.compiled(loaded)
    assert settings.load(house).keyring == after.keys


def test_a_second_one_names_the_first_by_its_arn(house, new_key, strict_aws):
    rotation.change(connected(house), ANA, reason="yearly", signing_key=new_key)
    made = strict_aws.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    third = made["KeyMetadata"]["Arn"]
    rotation.change(connected(house), ANA, reason="yearly", signing_key=third)
    loaded = settings.load(house)
    assert loaded.file.aws.signing_key == third
    assert [one.signing_key for one in loaded.file.log.former] == ["", new_key]
    append(connected(house), 1)
    assert fsck(connected(house)).ok


def test_the_key_that_it_has_is_not_taken_again(house, new_key):
    rotation.change(connected(house), ANA, reason="yearly", signing_key=new_key)
    before = house.read_text()
    with pytest.raises(NotAllowed, match="the log's already"):
        rotation.change(connected(house), ANA, reason="again", signing_key=new_key)
    assert house.read_text() == before
    assert connected(house).log.size() == 2


def test_an_interrupted_one_is_finished_with_the_same_key(house, new_key, strict_aws):
    """The note of the change could not be locked, after the swap."""
    held = connected(house)

    class Failing:
        def put(self, key, data, **options):
            if key.startswith(layout.HANDOVERS):
                raise StoreUnavailable("not now")
            objects.put(key, data, **options)

        def __getattr__(self, name):
            return getattr(objects, name)

    objects = held.log._writeonce
    held.log._writeonce = Failing()
    with pytest.raises(StoreUnavailable):
        rotation.change(held, ANA, reason="yearly", signing_key=new_key)
    made = strict_aws.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    with pytest.raises(KeyUnusable):
        rotation.change(
            connected(house), ANA, reason="other", signing_key=made["KeyMetadata"]["Arn"]
        )
    assert "rotate finishes it" in fsck(connected(house)).unfinished
    done = rotation.change(connected(house), ANA, reason="yearly", signing_key=new_key)
    assert done.size == 2
    append(connected(house), 1)
    assert fsck(connected(house)).ok


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "one of KMS"),
        ("alias/other", "expected a KMS key's ARN"),
        ("arn:aws:kms:us-east-1:1:key/x", "expected a KMS key's ARN"),
    ],
)
def test_what_is_no_key_s_arn_changes_nothing(house, key, said):
    before = house.read_text()
    with pytest.raises(UsageError, match=said):
        rotation.change(connected(house), ANA, reason="yearly", signing_key=key)
    assert house.read_text() == before
    assert connected(house).log.size() == 1


def test_a_key_for_encryption_changes_nothing(house, strict_aws):
    made = strict_aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(KeyUnusable):
        rotation.change(connected(house), ANA, reason="yearly", signing_key=made)
    assert connected(house).log.size() == 1


def test_what_is_no_key_s_arn_is_written_into_no_settings(house):
    loaded = settings.load(house)
    with pytest.raises(ConfigError, match="expected a KMS key's ARN"):
        edit.rotation(loaded, loaded.file.log.key, 1, "alias/other")
