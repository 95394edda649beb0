from __future__ import annotations

from datetime import UTC, datetime

import pytest
from contract.adapters import PASSING
from support.aws import Fault

from chalicelib.kernel.errors import Conflict, StoreUnavailable

AT = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
SECOND = int(AT.timestamp())


class Clock:
    def now(self):
        return AT


@pytest.fixture
def passing(aws, tmp_path):
    return PASSING["aws"](tmp_path, Clock())


@pytest.fixture
def item(aws, passing):
    """Puts an item behind the adapter's back; None: without that attribute."""
    client = aws.client("dynamodb")

    def put(**values):
        whole = {
            "p": {"S": "a"},
            "k": {"S": "a/b"},
            "v": {"N": "7"},
            "d": {"B": b"x"},
            "gone_at": {"N": str(SECOND + 60)},
            **values,
        }
        made = {name: value for name, value in whole.items() if value is not None}
        client.put_item(TableName=passing._table, Item=made)

    return put


@pytest.mark.parametrize("how", ["drop", "answer"])
def test_a_swap_whose_answer_was_lost_is_made_once(aws, passing, how):
    """Without the comparison it would meet its own write, and say Conflict."""
    version = 0
    for _ in range(2):
        fault = Fault(500, "InternalServerError", how=how, after=True)
        with aws.failing("dynamodb", "PutItem", fault, times=2) as seen:
            version = passing.swap("a/b", version, b"x", lasts_seconds=60)
        assert seen == [3]
        assert passing.get("a/b").version == version


def test_a_swap_that_another_won_in_between_is_a_conflict(aws, passing):
    """The first attempt did nothing; before the second, somebody else wrote."""
    seen = []

    def between(call):
        if call.operation != "PutItem" or seen:
            return None
        seen.append(call)
        passing.swap("a/b", 0, b"another's", lasts_seconds=60)
        return Fault(500, "InternalServerError")

    aws.faults.append(between)
    with pytest.raises(Conflict):
        passing.swap("a/b", 0, b"mine", lasts_seconds=60)
    assert passing.get("a/b").value == b"another's"


def test_no_answer_at_all_is_no_conflict_and_no_success(aws, passing):
    fault = Fault(500, "InternalServerError", after=True)
    with (
        aws.failing("dynamodb", "PutItem", fault, times=99),
        pytest.raises(StoreUnavailable, match="write to"),
    ):
        passing.swap("a/b", 0, b"x", lasts_seconds=60)


def test_an_item_says_when_dynamodb_is_to_remove_it(aws, passing):
    passing.swap("a/b", 0, b"x", lasts_seconds=60)
    key = {"p": {"S": "a"}, "k": {"S": "a/b"}}
    found = aws.client("dynamodb").get_item(TableName=passing._table, Key=key)["Item"]
    assert found["gone_at"] == {"N": str(SECOND + 60)}


@pytest.mark.parametrize(
    "values",
    [
        {"gone_at": None},
        # Not of another type: moto 5.2.5 fails to compare them, DynamoDB does, and says no.
        {"gone_at": {"N": "1.5e30"}},
        {"v": None},
        {"v": {"N": "0"}},
        {"v": {"N": "1.5"}},
        {"v": {"N": str(2**53)}},
        {"v": {"S": "x"}},
        {"d": None},
        {"d": {"S": "x"}},
    ],
    ids=str,
)
def test_what_is_no_document_is_not_there_and_is_not_overwritten(passing, item, values):
    passing.swap("a/c", 0, b"x", lasts_seconds=60)
    item(**values)
    assert passing.get("a/b") is None
    assert [key for key, _ in passing.list("a/", limit=9)] == ["a/c"]
    with pytest.raises(Conflict):
        passing.swap("a/b", 0, b"x", lasts_seconds=60)


def test_reads_are_consistent(aws, passing):
    asked = []
    aws.faults.append(lambda call: asked.append(call.json.get("ConsistentRead")))
    passing.get("a/b")
    passing.list("a/", limit=9)
    assert asked == [True, True]


def test_a_list_is_asked_for_in_no_more_pages_than_it_needs(aws, passing):
    for number in range(5):
        passing.swap(f"a/{number}", 0, b"x", lasts_seconds=60)
    aws.calls.clear()
    assert len(passing.list("a/", limit=2)) == 2
    assert aws.calls == [("dynamodb", "Query")]
