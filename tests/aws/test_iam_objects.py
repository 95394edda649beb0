"""Objects of IAM's answers: one form for equal things, another for each name, bounds on all."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from aws.iam_answers import (
    CREATED,
    NOW,
    TRUST,
    allows,
    days,
    encoded,
    group,
    key,
    local,
    managed,
    page,
    policy,
    report,
    role,
    user,
)

from chalicelib.aws import iam_credentials, iam_objects
from chalicelib.aws.iam_credentials import Report
from chalicelib.aws.iam_objects import Details, Documents
from chalicelib.drift import snapshot
from chalicelib.drift.iam import document
from chalicelib.kernel import canon
from chalicelib.kernel.errors import Unsupported

HERE = timezone(timedelta(hours=5, minutes=30))


def objects(*pages):
    details = Details()
    for one in pages:
        details.take(one)
    assert details.torn == set()
    return {item.key: item.attributes for item in details.objects}


# Documents.


@pytest.mark.parametrize(
    "given",
    [
        TRUST,
        json.dumps(TRUST),
        json.dumps(TRUST, indent=4),
        "\n " + json.dumps(TRUST),
        encoded(TRUST),
        quote("\n" + json.dumps(TRUST, indent=2)),
        quote(json.dumps(TRUST), safe=""),
    ],
    ids=["decoded", "text", "indented", "spaces before", "encoded", "encoded spaces", "all"],
)
def test_a_document_has_one_form_however_it_is_given(given):
    stated = Documents().stated(given, "trust")
    assert stated == {"trust": document.canonical(TRUST)}


def test_percent_signs_of_a_text_are_its_own():
    given = allows("s3:GetObject")
    given["Statement"][0]["Resource"] = "arn:aws:s3:::a%2Fb%20%7B/*"
    expected = {"document": document.canonical(given)}
    assert Documents().stated(json.dumps(given), "document") == expected
    assert Documents().stated(encoded(given), "document") == expected
    assert "a%2Fb%20%7B" in json.dumps(expected)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("", ""),
        ("{", "{"),
        ("%7B%22a%22", '{"a"'),
        ("%ZZ", "%ZZ"),
        ('{"Version":"2012-10-17","Version":"2012-10-17"}',) * 2,
        ("%FF%7B", "\\udcff{"),
        ({"Statement": 3}, '{"Statement": 3}'),
        ({"Statement": "\ud800"}, '{"Statement": "\\ud800"}'),
        ("[" * 5_000, "[" * 5_000),
    ],
)
def test_a_document_that_cannot_be_parsed_stays_as_it_was_given(given, text):
    stated = Documents().stated(given, "trust")
    assert stated == {"trust": text, "unparsed": True}
    canon.encode(stated)


@pytest.mark.parametrize("given", [None, 3, ["a"], "x" * (iam_objects.MAX_DOCUMENT + 1)])
def test_what_is_no_document_is_refused(given):
    with pytest.raises(Unsupported, match="policy document"):
        Documents().stated(given, "document")


def test_equal_documents_are_one_value():
    documents = Documents()
    first = documents.stated(dict(TRUST), "document")["document"]
    assert documents.stated(json.loads(json.dumps(TRUST)), "trust")["trust"] is first


def test_an_unparsed_document_is_on_every_kind_that_has_one():
    broken = "%7B"
    found = objects(
        page(
            roles=[role("web", trust=broken, inline={"own": broken})],
            policies=[policy(local("p"), broken)],
        )
    )
    assert found["iam_role", "web"]["unparsed"] is True
    assert found["iam_inline_policy", "role web: own"]["document"] == "{"
    assert found["iam_policy", "p"]["unparsed"] is True
    assert found["iam_policy_version", "p v1"]["sha256"] == canon.sha256(b"{")


# Policies.


def test_a_version_is_the_digest_of_its_canonical_document():
    first, second = allows("s3:GetObject"), allows("s3:PutObject")
    found = objects(page(policies=[policy(local("p", "/a/b/"), first, second, comment="why")]))
    digest = canon.sha256(canon.encode(document.canonical(first)))
    assert found["iam_policy_version", "p v1"] == {
        "of": "iam_policy p",
        "sha256": digest,
        "created": "2026-01-02T03:04:05.000000Z",
    }
    assert found["iam_policy_version", "p v2"]["sha256"] != digest
    assert found["iam_policy", "p"] == {
        "path": "/",
        "document": document.canonical(second),
        "default_version": "v2",
        "aws_managed": False,
        "comment": "why",
    }


@pytest.mark.parametrize("first", ["policy", "user"])
def test_a_policy_of_aws_is_there_only_where_it_is_used(first):
    used, other = managed("ReadOnlyAccess"), managed("AdministratorAccess")
    policies = page(policies=[policy(one, allows("s3:*")) for one in (used, other)])
    users = page(users=[user("ana", attached=[used])])
    found = objects(*((policies, users) if first == "policy" else (users, policies)))
    assert [name for kind, name in found if kind == "iam_policy"] == [used]
    assert not [name for kind, name in found if kind == "iam_policy_version"]


def test_a_policy_of_aws_can_be_a_boundary_only():
    used = managed("PowerUserAccess", "/job-function/")
    found = objects(page(policies=[policy(used, allows("*"), counts=(0, 1))]),
                    page(roles=[role("web", boundary=used)]))  # fmt: skip
    assert found["iam_role", "web"]["boundary"] == used
    assert ("iam_policy", used) in found


def test_a_policy_that_aws_calls_unused_is_not_kept():
    details = Details()
    details.take(page(policies=[policy(managed("A"), allows("*"), counts=(0, 0))]))
    assert details._unused == {}


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:iam::123456789012:policy/p", "p"),
        ("arn:aws:iam::123456789012:policy/a/b/p", "p"),
        ("arn:aws-us-gov:iam::123456789012:policy/p", "p"),
        ("arn:aws:iam::aws:policy/p", "arn:aws:iam::aws:policy/p"),
        ("arn:aws-cn:iam::aws:policy/service-role/p", "arn:aws-cn:iam::aws:policy/service-role/p"),
        ("arn:aws:iam::123456789012:policy/+=,.@-_", "+=,.@-_"),
    ],
)
def test_the_name_of_a_policy(arn, name):
    assert iam_objects.policy_name(arn) == name


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "p",
        "arn:aws:iam::123456789012:policy/",
        "arn:aws:iam::123456789012:policy/a b",
        "arn:aws:iam::123456789012:policy/a b/p",
        "arn:aws:iam::123456789012:role/p",
        "arn:aws:iam::aws:policy/p has q/p",
        "arn:aws:iam::123456789012:policy/p\n",
        "arn:aws:iam::123456789012:policy/" + "p" * 129,
        "arn:aws:iam::123456789012:policy/" + "a/" * 5_000 + "p",
    ],
)
def test_what_names_no_policy_is_refused(arn):
    with pytest.raises(Unsupported):
        objects(page(users=[user("ana", attached=[arn])]))


# Names, and what is odd.


def test_hostile_names_are_objects_of_their_own():
    names = ["a", "A-", "a.b", "a,b", "a=b", "a@b", "a+b", "_", "-", "in", "has", "a-in-b", "ünï"]
    users = [
        user(name, groups=["in", "has"], attached=[local("has")], inline={"in": allows("a:b")})
        for name in names
    ]
    groups = [group(name, inline={"in": allows("a:b")}) for name in ("in", "has")]
    roles = [role(name, attached=[local("has")], inline={"in": allows("a:b")}) for name in names]
    policies = [policy(local(name), allows("a:b")) for name in ("in", "has")]
    found = objects(page(users=users, groups=groups, roles=roles, policies=policies))
    assert len(found) == len(names) * (1 + 2 + 1 + 1) + 4 + len(names) * 3 + 4
    built = snapshot.build(snapshot.Object(*one, found[one]) for one in found)
    assert all(item.parent is None or item.parent in found for item in built.objects.values())


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a/b", "a\n", "a" * 129, None, 3, "a\x00"])
def test_a_name_that_iam_cannot_have_is_refused(name):
    for one in (page(users=[user(name)]), page(users=[user("a", groups=[name])])):
        with pytest.raises(Unsupported):
            objects(one)
    with pytest.raises(Unsupported):
        objects(page(roles=[role("a", inline={name: TRUST})]))


def test_odd_texts_are_kept_as_they_are():
    odd = "\u202e\u0000\n\r\t\"'<b>%20 \U0001f9ff é e\u0301"
    labels = {odd: odd, "é": "1", "e\u0301": "2", " ": ""}
    found = objects(
        page(users=[user("ana", labels=labels)], policies=[policy(local("p"), TRUST, comment=odd)])
    )
    assert found["iam_user", "ana"]["tags"] == labels
    assert found["iam_policy", "p"]["comment"] == odd
    again = snapshot.build(snapshot.Object(*one, found[one]) for one in found)
    parsed = snapshot.parse(again.data)
    assert parsed.objects["iam_user", "ana"].attributes["tags"] == labels


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("Path", "/" + "a" * iam_objects.MAX_CHARACTERS),
        ("Path", "\ud800"),
        ("Path", None),
        ("CreateDate", "2026-01-01T00:00:00Z"),
        ("CreateDate", datetime(2026, 1, 1)),  # noqa: DTZ001 - the point
        ("CreateDate", None),
        ("GroupList", "dba"),
        ("AttachedManagedPolicies", ["arn"]),
        ("UserPolicyList", {"a": 1}),
        ("UserPolicyList", ["a"]),
        ("PermissionsBoundary", "arn"),
        ("Tags", [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]),
        ("Tags", [{"Key": "a"}]),
    ],
)
def test_an_answer_of_another_form_is_refused(member, value):
    detail = user("ana")
    detail[member] = value
    with pytest.raises(Unsupported, match="not of its form"):
        objects(page(users=[detail]))


@pytest.mark.parametrize("version", ["", "v0", "v", "1", "v1 of q", "v" + "1" * 12])
def test_a_version_that_cannot_be_is_refused(version):
    given = policy(local("p"), TRUST)
    given["PolicyVersionList"][0]["VersionId"] = version
    given["DefaultVersionId"] = version
    with pytest.raises(Unsupported):
        objects(page(policies=[given]))


def test_a_policy_without_its_default_version_is_refused():
    given = {**policy(local("p"), TRUST), "DefaultVersionId": "v7"}
    with pytest.raises(Unsupported, match="default version"):
        objects(page(policies=[given]))


def test_an_account_beyond_all_bounds_is_refused(monkeypatch):
    monkeypatch.setattr(iam_objects, "MAX_OBJECTS", 2)
    with pytest.raises(Unsupported, match="more than 2"):
        objects(page(users=[user("a"), user("b"), user("c")]))


def test_moments_are_in_utc_wherever_the_reader_is():
    here = {**user("ana"), "CreateDate": CREATED.astimezone(HERE)}
    assert objects(page(users=[here])) == objects(page(users=[user("ana")]))


def test_a_summary_or_a_password_policy_of_another_form_is_refused():
    for answer in ({}, {"SummaryMap": {"AccountMFAEnabled": "1"}}, {"SummaryMap": 3}):
        with pytest.raises(Unsupported):
            iam_objects.root(answer)
    for answer in ({}, {"PasswordPolicy": {"MinimumPasswordLength": -1}}):
        with pytest.raises(Unsupported):
            iam_objects.password_policy(answer)


def test_a_password_policy_says_what_is_set():
    given = {
        "MinimumPasswordLength": 14,
        "RequireNumbers": False,
        "ExpirePasswords": True,
        "MaxPasswordAge": 90,
        "PasswordReusePrevention": 24,
        "HardExpiry": True,
        "AllowUsersToChangePassword": True,
        "SomethingNew": "x",
    }
    assert iam_objects.password_policy({"PasswordPolicy": given}).attributes == {
        "minimum_length": 14,
        "require_numbers": False,
        "max_age_days": 90,
        "reuse_prevention": 24,
        "hard_expiry": True,
        "users_may_change": True,
    }


# Credentials.


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (-1, "up to 90 days"),
        (0, "up to 90 days"),
        (90, "up to 90 days"),
        (90.01, "over 90 days"),
        (365, "over 90 days"),
        (365.01, "over 365 days"),
    ],
)
def test_the_age_of_a_key_is_a_class(age, expected):
    found = iam_credentials.access_key("ana", key(1, days(age)), "", NOW)
    assert found.attributes["age"] == expected


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (-1, "within 45 days"),
        (45, "within 45 days"),
        (45.01, "over 45 days ago"),
        (90, "over 45 days ago"),
        (90.01, "over 90 days ago"),
    ],
)
def test_the_last_use_of_a_key_is_a_class(passed, expected):
    answer = {"AccessKeyLastUsed": {"LastUsedDate": days(passed)}}
    assert iam_credentials.last_use(answer, NOW) == expected


@pytest.mark.parametrize(
    "given",
    [
        {**key(1), "Status": "Sleeping"},
        {**key(1), "AccessKeyId": "AKIA 1"},
        {**key(1), "AccessKeyId": "akia0000000000000001"},
        {**key(1), "CreateDate": None},
        {},
        None,
    ],
)
def test_a_key_of_another_form_is_refused(given):
    with pytest.raises(Unsupported):
        iam_credentials.access_key("ana", given, "", NOW)


@pytest.mark.parametrize("serial", ["", "a b", "GAHT 1", "x" * 257, None])
def test_a_device_of_another_form_is_refused(serial):
    with pytest.raises(Unsupported):
        iam_credentials.mfa_device("ana", {"SerialNumber": serial, "EnableDate": CREATED})


@pytest.mark.parametrize(
    ("used", "is_certain"),
    [
        (days(1), True),
        (days(45), True),
        (days(45.01), False),
        (NOW + timedelta(hours=1), False),
        ("N/A", False),
        ("no_information", False),
        ("2026-09-30", False),
        ("2026-09-30T00:00:00", False),
    ],
)
def test_the_report_is_certain_of_a_recent_use_only(used, is_certain):
    read = Report({"Content": report(["ana,b", CREATED, used])})
    assert read.is_in_use("ana,b", key(1), NOW) is is_certain
    assert not read.is_in_use("ana", key(1), NOW)
    assert not read.is_in_use("ana,b", key(1, CREATED + timedelta(seconds=1)), NOW)


def test_the_report_knows_a_key_by_the_second():
    read = Report({"Content": report(["ana", CREATED, days(1)])})
    made = CREATED.replace(microsecond=999_999).astimezone(HERE)
    assert read.is_in_use("ana", key(1, made), NOW)


def test_a_report_beyond_its_bound_tells_nothing(monkeypatch):
    content = report(["ana", CREATED, days(1)])
    monkeypatch.setattr(iam_credentials, "MAX_REPORT_BYTES", len(content) - 1)
    assert not Report({"Content": content}).is_in_use("ana", key(1), NOW)


def test_times_of_the_report_may_be_of_any_zone():
    used = days(1).astimezone(UTC).isoformat().replace("+00:00", "Z")
    read = Report({"Content": report(["ana", CREATED.astimezone(HERE), used])})
    assert read.is_in_use("ana", key(1), NOW)
