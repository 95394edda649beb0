from __future__ import annotations

import pytest
from contract.adapters import DOCUMENTS
from support.aws import Fault

from chalicelib.aws.documents import ATTEMPTS, PARTITION, DynamoDocuments
from chalicelib.kernel.errors import Conflict, Malformed, StoreUnavailable
from chalicelib.kernel.store import Document, Write


@pytest.fixture
def documents(aws, tmp_path):
    return DOCUMENTS["aws"](tmp_path)


@pytest.fixture
def table(aws, documents):
    """The items of the table, behind the adapter's back."""

    class Table:
        client = aws.client("dynamodb")

        def put(self, **item):
            item = {"p": {"S": PARTITION}, **item}
            self.client.put_item(TableName=documents._table, Item=item)

    return Table()


@pytest.mark.parametrize("how", ["drop", "answer"])
def test_a_swap_whose_answer_was_lost_is_made_once(aws, documents, how):
    """Without the token it would meet its own write, and say Conflict."""
    for expected in range(2):
        fault = Fault(500, "InternalServerError", how=how, after=True)
        with aws.failing("dynamodb", "TransactWriteItems", fault, times=2) as seen:
            documents.swap([Write("a", expected, b"x"), Write("b", expected, b"y")])
        assert seen == [3]
        assert documents.get("a") == Document(expected + 1, b"x")
        assert documents.get("b") == Document(expected + 1, b"y")


def test_every_swap_has_a_token_of_its_own(aws, documents):
    tokens = []
    aws.faults.append(lambda call: tokens.append(call.json.get("ClientRequestToken")))
    for expected in range(3):
        documents.swap([Write("a", expected, b"x")])
    assert len(set(tokens)) == 3
    assert all(0 < len(token) <= 36 for token in tokens)


class Cancelling:
    """DynamoDB that cancels the first transactions for these reasons."""

    def __init__(self, client, *reasons):
        self.client, self.reasons, self.tokens = client, list(reasons), []

    def __getattr__(self, name):
        return getattr(self.client, name)

    def transact_write_items(self, **call):
        self.tokens.append(call["ClientRequestToken"])
        if not self.reasons:
            return self.client.transact_write_items(**call)
        reasons = [{"Code": reason} for reason in self.reasons.pop(0)]
        raise self.client.exceptions.TransactionCanceledException(
            {
                "Error": {"Code": "TransactionCanceledException", "Message": ""},
                "CancellationReasons": reasons,
            },
            "TransactWriteItems",
        )


@pytest.fixture
def cancelling(aws, documents):
    def make(*reasons):
        client = Cancelling(aws.client("dynamodb"), *reasons)
        pauses = []
        made = DynamoDocuments(client, documents._table, pause=pauses.append)
        return made, client, pauses

    return make


@pytest.mark.parametrize("reason", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_throttled_transaction_is_made_again_under_its_token(cancelling, reason):
    documents, client, pauses = cancelling(["None", reason], [reason, "None"])
    documents.swap([Write("a", 0, b"x"), Write("b", 0, b"y")])
    assert documents.get("b") == Document(1, b"y")
    assert len(client.tokens) == 3
    assert len(set(client.tokens)) == 1
    assert pauses == [1, 2]


def test_a_transaction_that_is_throttled_for_ever_is_given_up(cancelling):
    documents, client, _ = cancelling(*[["ThrottlingError"]] * 99)
    with pytest.raises(StoreUnavailable, match="throttle") as error:
        documents.swap([Write("a", 0, b"x")])
    assert len(client.tokens) == ATTEMPTS
    assert error.value.next_step
    assert documents.get("a") is None


def test_another_transaction_on_the_same_items_is_a_conflict(cancelling):
    documents, _, _ = cancelling(["None", "TransactionConflict"])
    with pytest.raises(Conflict, match="under way"):
        documents.swap([Write("a", 0, b"x"), Write("b", 0, b"y")])


def test_a_conflict_names_the_document_that_went_on(documents):
    documents.swap([Write("b", 0, b"x")])
    with pytest.raises(Conflict, match="b is no longer at version 0"):
        documents.swap([Write("a", 0, b"x"), Write("b", 0, b"y")])


def test_a_refusal_of_another_kind_is_no_conflict(cancelling):
    documents, _, _ = cancelling(["ValidationError", "None"])
    with pytest.raises(StoreUnavailable, match="ValidationError"):
        documents.swap([Write("a", 0, b"x"), Write("b", 0, b"y")])


@pytest.mark.parametrize(
    "item",
    [
        {"v": {"N": "1"}},
        {"d": {"B": b"x"}},
        {"v": {"S": "x"}, "d": {"B": b"x"}},
        {"v": {"N": "1.5"}, "d": {"B": b"x"}},
        {"v": {"N": "1"}, "d": {"S": "x"}},
    ],
)
def test_an_item_that_is_no_document_is_said(documents, table, item):
    table.put(k={"S": "a"}, **item)
    for call in (lambda: documents.get("a"), lambda: list(documents.list(""))):
        with pytest.raises(Malformed, match="no document"):
            call()


def test_other_partitions_are_not_seen(documents, table):
    table.put(p={"S": "other"}, k={"S": "a"}, v={"N": "1"}, d={"B": b"x"})
    assert documents.get("a") is None
    assert list(documents.list("")) == []


def test_a_table_that_is_not_there_is_said(aws):
    documents = DynamoDocuments(aws.client("dynamodb"), "no-such-table")
    for call in (
        lambda: documents.get("a"),
        lambda: documents.swap([Write("a", 0, b"")]),
        lambda: list(documents.list("")),
    ):
        with pytest.raises(StoreUnavailable, match="ResourceNotFoundException") as error:
            call()
        assert "settings" in error.value.next_step
