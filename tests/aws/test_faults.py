"""Whatever AWS does, at every single request: it works in bounded retries, or it is said."""

from __future__ import annotations

import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions as botocore_errors
import pytest
from aws.place import Account, AwsPlace
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from support.aws import ATTEMPTS, Fault, throttle

from chalicelib.aws import failures, session
from chalicelib.aws.bucket import check
from chalicelib.evidence import layout, note, receipts
from chalicelib.kernel.errors import Conflict, HoldfastError, KeyUnusable, StoreUnavailable
from chalicelib.kernel.store import Document, Write

SECRETS = ("wJalrXUtnFEMI", "AKIAIOSFODNN7EXAMPLE", "the data")


def hold(ports, key):
    with ports.locks.hold(key):
        return "held"


def sign(ports, _):
    ports.signer.public.verify(ports.signer.sign(b"the data"), b"the data")


# Each takes a key that is new.
CALLS = {
    "writeonce.put": lambda p, key: p.writeonce.put(key, b"the data"),
    "writeonce.put again": lambda p, _: p.writeonce.put("a", b"the data"),
    "writeonce.get": lambda p, _: p.writeonce.get("a"),
    "writeonce.list": lambda p, _: list(p.writeonce.list("a")),
    "writeonce.strangers": lambda p, _: list(p.writeonce.strangers("a")),
    "derived.put": lambda p, key: p.derived.put(key, b"the data"),
    "derived.get": lambda p, _: p.derived.get("a"),
    "derived.delete": lambda p, key: p.derived.delete(key),
    "derived.list": lambda p, _: list(p.derived.list("a")),
    "documents.get": lambda p, _: p.documents.get("a"),
    "documents.list": lambda p, _: list(p.documents.list("a")),
    "documents.swap": lambda p, key: p.documents.swap([Write(key, 0, b"the data")]),
    "signer.sign": sign,
    "locks.hold": hold,
    "bucket.check": lambda p, _: check(p.s3, p.bucket, min_days=1),
}
ONCE = {
    "throttled": throttle,
    "failed before": lambda _: Fault(500),
    "failed after": lambda _: Fault(503, "ServiceUnavailable", after=True),
    "dropped before": lambda _: Fault(how="drop"),
    "dropped after": lambda _: Fault(how="drop", after=True),
    "no answer after": lambda _: Fault(how="hang", after=True),
}
ALWAYS = {
    **{name: ONCE[name] for name in ("throttled", "failed after", "dropped before")},
    "expired": lambda s: Fault(400, "ExpiredToken" if s == "s3" else "ExpiredTokenException"),
    "denied": lambda s: Fault(403, "AccessDenied" if s == "s3" else "AccessDeniedException"),
}


@pytest.fixture(scope="module")
def account(strict_aws):
    """An account with a little in it."""
    made = Account(strict_aws)
    ports = made.ports()
    ports.writeonce.put("a", b"the data")
    ports.derived.put("a", b"the data")
    ports.documents.swap([Write("a", 0, b"the data")])
    made.watch = ports  # for looking at what became of it
    return made


def healthy(aws, account, call):
    """How many requests the call makes where nothing fails, and what it gives."""
    ports = account.ports()
    aws.calls.clear()
    result = call(ports, new_key())
    return len(aws.calls), result


def new_key():
    return f"new/{uuid.uuid4()}"


def fail_from(aws, first, times, kind):
    """Let requests from number ``first`` on fail, counted over all services."""
    seen = [0]

    def chosen(request):
        seen[0] += 1
        return kind(request.service) if first <= seen[0] < first + times else None

    aws.faults[:] = [chosen]
    return seen


def consistent(ports, key):
    """What was there is there, once, and what failed is there whole or not at all."""
    assert [ports.writeonce.get(stored) for stored in ports.writeonce.list(key)] in (
        [],
        [b"the data"],
    )
    assert ports.writeonce.get("a") == b"the data"
    assert list(ports.writeonce.strangers("")) == []
    assert ports.documents.get("a") == Document(1, b"the data")
    assert ports.documents.get(key) in (None, Document(1, b"the data"))
    assert ports.derived.get("a") == b"the data"
    assert ports.derived.get(key) in (None, b"the data")


@pytest.mark.parametrize("kind", ONCE)
@pytest.mark.parametrize("name", CALLS)
def test_a_call_works_whichever_of_its_requests_fails_once(aws, account, name, kind):
    count, expected = healthy(aws, account, CALLS[name])
    for number in range(1, count + 1):
        ports = account.ports(read_timeout=1.5) if "no answer" in kind else account.ports()
        key = new_key()
        seen = fail_from(aws, number, 1, ONCE[kind])
        assert CALLS[name](ports, key) == expected
        aws.faults.clear()
        assert seen[0] > count
        consistent(account.watch, key)


@pytest.mark.parametrize("kind", ALWAYS)
@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_cannot_work_says_so_in_bounded_time_and_works_later(aws, account, name, kind):
    count, expected = healthy(aws, account, CALLS[name])
    for number in range(1, count + 1):
        ports, key = account.ports(), new_key()
        seen = fail_from(aws, number, 10**6, ALWAYS[kind])
        with pytest.raises((StoreUnavailable, KeyUnusable)) as error:
            CALLS[name](ports, key)
        aws.faults.clear()
        assert seen[0] <= number - 1 + ATTEMPTS
        assert error.value.next_step
        said = f"{error.value} {error.value.next_step} {error.value!r}"
        assert not [secret for secret in SECRETS if secret in said]
        consistent(account.watch, key)
        if name == "locks.hold" and (number > 1 or kind == "failed after"):
            continue  # it was not released: its lease ends by itself
        try:
            again = CALLS[name](ports, key)
        except Conflict:
            assert (name, kind) == ("documents.swap", "failed after")
        else:
            assert again == expected


def test_a_body_that_breaks_off_is_read_again(aws, account):
    ports = account.ports()
    cut = Fault(how="cut")
    for read in (ports.writeonce.get, ports.derived.get):
        with aws.failing("s3", "GetObject", cut, times=2):
            assert read("a") == b"the data"
        with (
            aws.failing("s3", "GetObject", cut, times=99) as seen,
            pytest.raises(StoreUnavailable, match="cannot read a in") as error,
        ):
            read("a")
        assert seen == [5]
        assert error.value.next_step


# Translation


def answered(code, status=400):
    told = {"HTTPStatusCode": status, "RequestId": "r-1"}
    error = {"Code": code, "Message": "the data"}
    return ClientError({"Error": error, "ResponseMetadata": told}, "PutObject")


@pytest.mark.parametrize(
    ("code", "status", "kind", "step"),
    [
        ("SlowDown", 503, StoreUnavailable, "quota"),
        ("TransactionInProgressException", 400, StoreUnavailable, "quota"),
        ("InternalError", 500, StoreUnavailable, "Health"),
        ("ExpiredToken", 400, StoreUnavailable, "expired"),
        ("RequestTimeTooSkewed", 403, StoreUnavailable, "clock"),
        ("InvalidAccessKeyId", 403, StoreUnavailable, "get-caller-identity"),
        ("AccessDenied", 403, UnicodeError, "allow"),
        ("403", 403, UnicodeError, "allow"),
        ("NoSuchBucket", 404, UnicodeError, "settings"),
        ("ResourceNotFoundException", 400, UnicodeError, "settings"),
        ("DisabledException", 400, KeyUnusable, "enable"),
        ("KMS.DisabledException", 400, KeyUnusable, "enable"),
        ("KMSInvalidStateException", 400, KeyUnusable, "cancel-key-deletion"),
        ("SomethingNew", 400, StoreUnavailable, "reference"),
        ("", 0, StoreUnavailable, "reference"),
    ],
)
def test_an_error_answer_is_translated_by_its_code(code, status, kind, step):
    """``refused`` is chosen by the caller: here an error of this test's."""

    class Chosen(HoldfastError):
        pass

    expected = Chosen if kind is UnicodeError else kind
    with (
        pytest.raises(expected, match=r"cannot do it: PutObject answered .* request r-1") as error,
        failures.translated("do it", Chosen),
    ):
        raise answered(code, status)
    assert step in error.value.next_step
    assert "the data" not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (botocore_errors.NoCredentialsError(), "no usable AWS credentials"),
        (botocore_errors.PartialCredentialsError(provider="env", cred_var="x"), "no usable"),
        (
            botocore_errors.CredentialRetrievalError(provider="p", error_msg="the data"),
            "no usable AWS credentials",
        ),
        (botocore_errors.UnauthorizedSSOTokenError(), "no usable AWS credentials"),
        (botocore_errors.NoRegionError(), "no AWS region"),
        (botocore_errors.ReadTimeoutError(endpoint_url="http://e"), "no answer in time"),
        (botocore_errors.ConnectTimeoutError(endpoint_url="http://e"), "no answer in time"),
        (botocore_errors.SSLError(endpoint_url="http://e", error="x"), "TLS"),
        (
            botocore_errors.EndpointConnectionError(endpoint_url="http://e"),
            r"no connection \(",
        ),
        (botocore_errors.ConnectionClosedError(endpoint_url="http://e"), "connection was lost"),
        (botocore_errors.HTTPClientError(error="x"), "connection was lost"),
        (botocore_errors.ParamValidationError(report="the data"), "not of the service's form"),
        (botocore_errors.IncompleteReadError(actual_bytes=1, expected_bytes=2), "cannot be used"),
        (ResponseParserError("the data"), "cannot be used"),
    ],
)
def test_a_failure_without_an_answer_is_translated_by_its_kind(failure, said):
    """One whose text may quote secrets or data is no cause, so that no traceback shows it."""
    quotes = "usable" in said or "form" in said or isinstance(failure, ResponseParserError)
    with (
        pytest.raises(StoreUnavailable, match=f"cannot do it: .*{said}") as error,
        failures.translated("do it"),
    ):
        raise failure
    assert type(failure).__name__ in str(error.value)
    assert "the data" not in f"{error.value} {error.value.next_step}"
    assert error.value.next_step
    assert (error.value.__cause__ is None) == quotes
    assert "the data" not in "".join(traceback.format_exception(error.value))


def test_other_errors_pass_through_untranslated():
    with pytest.raises(ZeroDivisionError), failures.translated("do it"):
        raise ZeroDivisionError


# Clients


@pytest.mark.parametrize(
    ("service", "read"), [("s3", 20.0), ("dynamodb", 5.0), ("kms", 5.0), ("sqs", 20.0)]
)
def test_a_client_s_time_and_retries_are_bounded(service, read):
    config = session.client(service, region="eu-west-1").meta.config
    assert config.retries == {"mode": "standard", "total_max_attempts": session.ATTEMPTS}
    assert (config.connect_timeout, config.read_timeout) == (3.0, read)
    assert config.tcp_keepalive
    assert session.client(service, region="eu-west-1", read_seconds=65.0).meta.config.read_timeout


def test_another_s3_is_asked_with_the_bucket_in_the_path():
    made = session.client("s3", region="eu-west-1", endpoint="https://s3.example", attempts=2)
    assert made.meta.config.s3["addressing_style"] == "path"
    assert made.meta.endpoint_url == "https://s3.example"
    assert made.meta.config.retries["total_max_attempts"] == 2


def test_a_client_without_a_region_is_refused(monkeypatch, tmp_path):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    session._session.cache_clear()
    with pytest.raises(StoreUnavailable, match="no AWS region"):
        session.client("kms")
    session._session.cache_clear()


def test_a_pause_is_random_and_bounded(monkeypatch):
    waited = []
    monkeypatch.setattr(session.time, "sleep", waited.append)
    for attempt in [1] * 20 + [50] * 20:
        session.pause(attempt)
    assert all(0 <= wait <= 0.1 for wait in waited[:20])
    assert 0.1 < max(waited[20:]) <= 2
    assert len(set(waited)) > 30


# The log


def sound(place, acknowledged, possible=()):
    """Acknowledged records are there once, others only if they may be; every size has one root."""
    found = [entry.body["number"] for entry in place.log.read()]
    assert len(found) == len(set(found))
    assert set(acknowledged) <= set(found) <= set(acknowledged) | set(possible)
    report = place.fsck()
    assert report.ok, report.problems
    kept = {
        receipts.decode(key, place.writeonce.get(key)).message_sha256
        for key in place.writeonce.list(receipts.RECEIPTS)
    }
    for version in place.aws.writeonce.versions(layout.CHECKPOINTS):
        data = place.writeonce.get(version.key)
        shown = receipts.published(version.key, version.modified, data, place.keys)
        assert shown.message_sha256 in kept
    assert list(place.aws.writeonce.strangers("")) == []


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("failed before", "ECC_NIST_EDWARDS25519"),
        ("dropped after", "ECC_NIST_EDWARDS25519"),
        ("dropped after", "ECC_NIST_P256"),
    ],
)
def test_an_append_that_fails_at_any_request_is_finished_by_the_next_writer(
    aws, tmp_path, kind, spec
):
    account = Account(aws, spec)
    sane = AwsPlace(tmp_path, account.ports())
    sane.append(1)
    acknowledged, possible, notes = [1], [], []
    for number in range(1, 200):
        failing = AwsPlace(tmp_path, account.ports(attempts=1))
        seen = fail_from(aws, number, 1, ONCE[kind])
        try:
            failing.append(1_000 + number)
        except (StoreUnavailable, KeyUnusable):
            possible.append(1_000 + number)
        else:
            acknowledged.append(1_000 + number)
        aws.faults.clear()
        notes.append(sane.log.checkpoint())
        sane.append(2_000 + number)
        acknowledged.append(2_000 + number)
        if seen[0] < number:
            break
    else:
        pytest.fail("an append of 200 requests")
    assert len(possible) > 10
    sound(sane, acknowledged, possible)
    for data in notes:
        shown = note.verify_checkpoint(data, sane.verifier)
        locked = sane.writeonce.get(layout.checkpoint(shown.size))
        assert note.verify_checkpoint(locked, sane.verifier).root == shown.root


@pytest.mark.parametrize("kind", ["throttled", "failed after", "dropped after"])
def test_an_append_succeeds_whichever_of_its_requests_fails_once(aws, tmp_path, kind):
    place = AwsPlace(tmp_path, Account(aws).ports())
    place.append(0)
    for number in range(1, 200):
        seen = fail_from(aws, number, 1, ONCE[kind])
        place.append(number)
        aws.faults.clear()
        if seen[0] < number:
            break
    else:
        pytest.fail("an append of 200 requests")
    assert number > 10
    sound(place, range(number + 1))


def test_writers_at_once_lose_nothing_while_aws_fails_now_and_then(aws, tmp_path):
    account = Account(aws)
    seen = [0]

    def every_seventh(request):
        seen[0] += 1
        kinds = list(ONCE.values())[:5]
        return kinds[seen[0] % 5](request.service) if seen[0] % 7 == 0 else None

    aws.faults.append(every_seventh)

    def write(first):
        place = AwsPlace(tmp_path, account.ports(attempts=6))
        for number in range(first, first + 4):
            place.append(number)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, (100, 200, 300)))
    aws.faults.clear()
    sound(
        AwsPlace(tmp_path, account.ports()),
        [first + number for first in (100, 200, 300) for number in range(4)],
    )
