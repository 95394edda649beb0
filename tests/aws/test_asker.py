"""Questions to AWS: pages to their end, what was asked, and gaps for what was refused."""

from __future__ import annotations

import gc
import json
import weakref

import pytest
from botocore.exceptions import ClientError

from chalicelib.aws import asker as module
from chalicelib.aws.asker import Asker, NothingThere
from chalicelib.kernel import canon
from chalicelib.kernel.errors import NotPermitted, Overdue, StoreUnavailable, Unsupported


class Client:
    """Gives the answers in turn; an error is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def list_roles(self, **parameters):
        self.asked.append(parameters)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def error(code, status=400):
    metadata = {"HTTPStatusCode": status, "RequestId": "0f"}
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": metadata}, "ListRoles")


def asker(*answers, times=(), seconds=60):
    client = Client(*answers)
    clock = iter(times)
    made = Asker(lambda service: client, monotonic=lambda: next(clock, 0), seconds=seconds)
    return made, client


def page(*roles, **more):
    return {"Roles": list(roles), **more}


def test_pages_are_asked_for_to_their_end():
    asking, client = asker(
        page("a", IsTruncated=True, Marker="m"), page(Marker="n"), page("b", "c")
    )
    assert list(asking.pages("iam", "ListRoles", "Roles", MaxItems=9)) == ["a", "b", "c"]
    assert client.asked == [
        {"MaxItems": 9}, {"MaxItems": 9, "Marker": "m"}, {"MaxItems": 9, "Marker": "n"},
    ]  # fmt: skip
    (query,) = asking.queries
    assert (query.name, query.rows, asking.calls) == ("iam:ListRoles", 3, 3)
    assert json.loads(asking.texts[query.sha256])["parameters"] == [{"MaxItems": 9}]
    assert canon.sha256(asking.texts[query.sha256].encode()) == query.sha256


def test_a_marker_of_the_last_page_leads_nowhere():
    asking, client = asker(page("a", IsTruncated=False, Marker="m"))
    assert list(asking.pages("iam", "ListRoles", "Roles")) == ["a"]
    assert len(client.asked) == 1


def test_pages_that_are_cut_off_are_not_all():
    asking, _ = asker(page("a", IsTruncated=True))
    with pytest.raises(StoreUnavailable, match="cut off"):
        list(asking.pages("iam", "ListRoles", "Roles"))


def test_pages_that_repeat_themselves_end():
    asking, client = asker(*[page("a", IsTruncated=True, Marker="m")] * 9)
    with pytest.raises(StoreUnavailable, match="again and again"):
        list(asking.pages("iam", "ListRoles", "Roles"))
    assert len(client.asked) == 2


def test_pages_have_a_bound(monkeypatch):
    monkeypatch.setattr(module, "MAX_PAGES", 3)
    asking, client = asker(*[page("a", NextToken=str(number)) for number in range(9)])
    with pytest.raises(StoreUnavailable, match="more than 3 pages"):
        list(asking.pages("iam", "ListRoles", "Roles"))
    assert len(client.asked) == 3


def test_one_page_at_a_time_is_kept():
    class Page(dict):
        """One that can be looked for."""

    asking, client = asker(*[Page(page("a", Marker=str(n))) for n in range(3)], Page(page("a")))
    left = [weakref.ref(one) for one in client.answers]
    pages = asking.answers("iam", "ListRoles")
    for number in range(4):
        next(pages)
        gc.collect()
        assert [one() is not None for one in left] == [n > number for n in range(4)]


def test_a_gap_says_why_without_what_differs_from_call_to_call():
    asking, _ = asker(error("AccessDenied", 403))
    with asking.gap("iam_role", needs="iam:ListRoles"):
        asking.call("iam", "ListRoles")
    (gap,) = asking.gaps
    assert gap.key == ("coverage", "iam_role")
    assert gap.attributes == {
        "reason": "cannot read iam:ListRoles: ListRoles answered AccessDenied",
        "needs": "iam:ListRoles",
        "partial": False,
    }


@pytest.mark.parametrize("order", [1, -1])
def test_gaps_of_one_kind_are_put_together(order):
    asking, _ = asker()
    told = [
        ("b (HTTP 403, request 1)", "iam:B", {"partial": True, "attributes": ("b", "a")}),
        ("b (HTTP 403, request 2)", "iam:B", {"partial": True, "attributes": ("c",)}),
        ("a", "iam:A", {"partial": False}),
    ]
    for reason, needs, more in told[::order]:
        asking.lacks("iam_role", reason, needs=needs, **more)
    (gap,) = asking.gaps
    assert gap.attributes == {
        "reason": "a; b",
        "needs": "iam:A, iam:B",
        "partial": False,
        "attributes": ["a", "b", "c"],
    }


def test_gaps_in_attributes_alone_leave_no_object_out():
    asking, _ = asker()
    asking.lacks("iam_user", "no", needs="iam:A", partial=True, attributes=("console",))
    assert asking.gaps[0].attributes["listed"] is True
    asking.lacks("iam_user", "changed", needs="iam:B", partial=True)
    assert "listed" not in asking.gaps[0].attributes


def test_what_is_partly_missing_twice_is_partly_missing():
    asking, _ = asker()
    for _ in range(2):
        asking.lacks("iam_role", "why", needs="x", partial=True)
    assert asking.gaps[0].attributes["partial"] is True


def test_a_throttled_question_is_a_gap_and_time_that_is_over_is_none():
    asking, _ = asker(error("Throttling"), times=[0, 1, 99], seconds=60)
    with asking.gap("iam_role", needs="x"):
        asking.call("iam", "ListRoles")
    assert len(asking.gaps) == 1
    with pytest.raises(Overdue, match="1 calls"), asking.gap("iam_user", needs="x"):
        asking.call("iam", "ListRoles")
    assert len(asking.gaps) == 1


def test_that_nothing_is_there_is_an_answer_to_a_question_that_was_asked():
    asking, _ = asker(error("NoSuchEntity", 404))
    with pytest.raises(NothingThere):
        asking.call("iam", "ListRoles", RoleName="web")
    assert asking.gaps == []
    (query,) = asking.queries
    assert (query.name, query.rows) == ("iam:ListRoles", 0)
    assert json.loads(asking.texts[query.sha256])["parameters"] == [{"RoleName": "web"}]


def test_that_nothing_is_there_is_a_gap_where_nobody_expects_it():
    asking, _ = asker(error("NoSuchEntity", 404))
    with asking.gap("iam_role", needs="x"):
        list(asking.pages("iam", "ListRoles", "Roles"))
    assert [one.name for one in asking.gaps] == ["iam_role"]


def test_an_answer_without_its_list_is_not_an_empty_one():
    asking, _ = asker({"IsTruncated": False})
    with pytest.raises(Unsupported, match="iam:ListRoles answered without Roles"):
        list(asking.pages("iam", "ListRoles", "Roles"))


def test_a_refusal_outside_a_gap_is_raised():
    asking, _ = asker(error("AccessDenied", 403))
    with pytest.raises(NotPermitted):
        asking.call("iam", "ListRoles")


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("Thu, 01 Oct 2026 02:00:00 GMT", "2026-10-01T02:00:00.000000Z"),
        ("yesterday", ""),
        ("Thu, 01 Oct 2026 02:00:00 -0000", ""),  # of no zone
        (None, ""),
    ],
)
def test_the_time_is_that_of_the_first_answer(date, at):
    first = page(ResponseMetadata={"HTTPHeaders": {"date": date} if date else {}})
    asking, _ = asker(first)
    asking.call("iam", "ListRoles")
    assert asking.answered_at == at
