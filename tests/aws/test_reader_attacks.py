"""Answers that nobody should give: no reader crashes on one, or takes it for another."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from aws.iam_answers import ACCOUNT, NOW, Iam, page, role
from aws.test_iam_source import found, read

from chalicelib.aws import analyzer, lookup, session
from chalicelib.aws.asker import Asker
from chalicelib.aws.gathered import Gathered
from chalicelib.drift.causes import Lookup
from chalicelib.drift.iam.reach import Databases, reach
from chalicelib.drift.iam.reference import packaged
from chalicelib.drift.snapshot import Object
from chalicelib.kernel.errors import HoldfastError, Overdue, StoreUnavailable, Unsupported
from chalicelib.wiring.watched import Clients

SECRET = "hunter2hunter2"


class Server(ThreadingHTTPServer):
    """Answers everything with ``body``."""

    status = 200
    body = b""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        """Nobody reads it."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    made = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join(60)
    made.server_close()


@pytest.fixture
def client(server):
    def make(service):
        where = f"http://127.0.0.1:{server.server_port}"
        return session.client(service, region="us-east-1", endpoint=where, attempts=1)

    return make


def result(operation, inner):
    return f"<R><{operation}Result>{inner}</{operation}Result></R>"


def one_key(created):
    inner = f"<member><UserName>{SECRET}</UserName><CreateDate>{created}</CreateDate></member>"
    return result("ListAccessKeys", f"<AccessKeyMetadata>{inner}</AccessKeyMetadata>")


def one_document(text):
    inner = f"<AssumeRolePolicyDocument>{text}</AssumeRolePolicyDocument>"
    inner = f"<RoleDetailList><member>{inner}</member></RoleDetailList>"
    return result("GetAccountAuthorizationDetails", inner)


MACHINE = (
    "<DBInstances><DBInstance><BackupRetentionPeriod>x</BackupRetentionPeriod>"
    "</DBInstance></DBInstances>"
)
ODD = {
    "a page": ("sts", "GetCallerIdentity", f"<html><b>{SECRET}</b></html>"),
    "no words": ("sts", "GetCallerIdentity", ""),
    "a page that is cut off": ("rds", "DescribeDBInstances", "<html><br></html>"),
    "another answer": ("rds", "DescribeDBInstances", "<html/>"),
    "a number that is none": (
        "rds", "DescribeDBInstances", result("DescribeDBInstances", MACHINE),
    ),
    "a moment that is none": ("iam", "ListAccessKeys", one_key("NaN")),
    "no moment": ("iam", "ListAccessKeys", one_key("")),
    "a moment past all": ("iam", "ListAccessKeys", one_key("1e400")),
    "a thirteenth month": ("iam", "ListAccessKeys", one_key("2024-13-45T00:00:00Z")),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_be_parsed_is_told_in_our_words(name, server, client):
    service, operation, body = ODD[name]
    server.body = body.encode()
    asker = Asker(client, monotonic=lambda: 0.0, seconds=60)
    asked = {"UserName": "u"} if operation == "ListAccessKeys" else {}
    with pytest.raises((Unsupported, StoreUnavailable), match=f"{service}:{operation}") as caught:
        asker.call(service, operation, **asked)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_answer_of_somebody_elses_is_no_opinion_and_no_events(server, client):
    server.body = b'{"Events": [{"EventTime": "NaN"}]}'
    trail = lookup.CloudTrail(
        client("cloudtrail"), pace=lambda: None, monotonic=lambda: 0.0, seconds=60
    )
    with pytest.raises(HoldfastError):
        trail.events(Lookup("EventName", "CreateUser"), NOW, NOW)
    found = analyzer.Analyzer(client).new_access({}, {}, resource=False)
    assert found.finds is None


def test_the_name_of_an_error_is_a_name_whatever_is_answered(server, client):
    server.status = 400
    server.body = (
        "<ErrorResponse><Error><Code>Odd&#10;&#155;[31m" + "y" * 1_000_000 + "</Code></Error>"
        "<RequestId>1&#13;2</RequestId></ErrorResponse>"
    ).encode()
    asker = Asker(client, monotonic=lambda: 0.0, seconds=60)
    with pytest.raises(StoreUnavailable) as caught:
        asker.call("iam", "GetAccountSummary")
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


TWICE = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":"*","Principal":{"Service":"ec2.amazonaws.com"}}]}'
)


@pytest.mark.parametrize("written", [TWICE, quote(TWICE), "[" * 5_000, "NaN", quote("%7B%7D")])
def test_a_document_that_may_mean_two_things_is_kept_as_it_was_given(written):
    trusting = role("web", trust=written)
    said = found(read(Iam([page(roles=[trusting])])))["iam_role", "web"]
    assert said["unparsed"] is True
    assert isinstance(said["trust"], str)


@pytest.mark.parametrize("text", [TWICE, quote(TWICE), quote("[" * 5_000)])
def test_documents_come_to_the_reader_as_aws_wrote_them(text, server):
    """Botocore would decode them, with the last of two members, or with no end."""
    server.body = one_document(text).encode()
    clients = Clients("us-east-1", f"http://127.0.0.1:{server.server_port}", "")
    answer = clients("iam").get_account_authorization_details()
    assert answer["RoleDetailList"][0]["AssumeRolePolicyDocument"] == text


@contextmanager
def silent():
    """A server that takes connections, and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        yield listening.getsockname()[1]


@pytest.mark.parametrize("role_arn", ["", f"arn:aws:iam::{ACCOUNT}:role/r"])
def test_a_server_that_hangs_is_not_asked_again_after_the_time_is_over(
    role_arn, server, monkeypatch
):
    del server  # its credentials are what is needed
    monkeypatch.setattr(session, "READ_SECONDS", 0.2)
    with silent() as port:
        clients = Clients("us-east-1", f"http://127.0.0.1:{port}", role_arn, seconds=0.1)
        asker = Asker(clients, monotonic=time.monotonic, seconds=60)
        with pytest.raises(Overdue, match="AWS did not answer within"):
            asker.call("sts", "GetCallerIdentity")


def test_two_objects_of_one_name_that_differ_are_a_gap():
    asker = Asker(lambda _: None, monotonic=lambda: 0.0, seconds=60)
    gathered = Gathered(asker, "rds_instance orders")
    same = Object("rds_parameter", "a of own", {"value": "1"})
    gathered.add(same, same.having(same.attributes))
    assert asker.gaps == []
    gathered.add(Object("rds_parameter", "a of own", {"value": "2"}))
    assert [one.name for one in asker.gaps] == ["rds_parameter"]


def test_an_account_of_which_only_the_envelope_comes_is_not_read():
    iam = Iam([page(roles=[role("web")])])
    iam._list_roles = lambda MaxItems: {"IsTruncated": False}  # noqa: N803
    kinds = {name for kind, name in found(read(iam)) if kind == "coverage"}
    assert kinds == {"iam_role"}


def test_that_something_is_not_there_is_no_crash_where_nobody_asked_for_it():
    iam = Iam([page()])
    iam.refused = dict.fromkeys(
        ("GetAccountSummary", "ListAccountAliases", "ListRoles", "ListInstanceProfiles"),
        "NoSuchEntity",
    )
    kinds = {name for kind, name in found(read(iam)) if kind == "coverage"}
    assert kinds == {"iam_account", "iam_instance_profile", "iam_role"}


def test_details_that_are_said_not_to_be_there_are_no_empty_account():
    iam = Iam([page()])
    iam.refused = {"GetAccountAuthorizationDetails": "NoSuchEntity"}
    with pytest.raises(HoldfastError):
        read(iam)


def test_json_of_a_document_is_what_it_was():
    text = json.dumps({"Version": "2012-10-17", "Statement": []})
    said = [
        found(read(Iam([page(roles=[role("web", trust=one)])])))["iam_role", "web"]
        for one in (text, quote(text), json.loads(text))
    ]
    assert said[0] == said[1] == said[2]


def test_an_account_with_nobody_in_it_reaches_nothing():
    databases = Databases(account=ACCOUNT, partition="aws", instances=(), secrets=())
    assert reach([], databases, packaged()) == []
