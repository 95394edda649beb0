"""What people agree to can be signed in the end: KMS signs 4,096 bytes."""

from __future__ import annotations

import pytest
from support.desk import ANA, make_desk, propose_state

from chalicelib.drift import approval
from chalicelib.drift.desk import Target
from chalicelib.kernel.errors import NotAllowed, UsageError
from chalicelib.kernel.record import Actor
from chalicelib.settings.target import MAX_APPROVALS

KMS_BYTES = 4_096


class Bounded:
    """A signer with KMS's bound."""

    def __init__(self, inner):
        self.inner = inner
        self.public = inner.public
        self.largest = 0

    def sign(self, message):
        self.largest = max(self.largest, len(message))
        assert len(message) <= KMS_BYTES
        return self.inner.sign(message)


@pytest.fixture
def bounded(tmp_path, clock):
    desk = make_desk(tmp_path, clock)
    fields = {name: getattr(desk, name) for name in desk.__slots__}
    return type(desk)(**{**fields, "signer": Bounded(desk.signer)})


def test_the_most_approvals_by_long_names_and_the_longest_comment_are_signed(bounded, source):
    target = Target(slug="o" * 63, approvals=MAX_APPROVALS)
    propose_state(bounded, target, source, actor=ANA, comment="c" * approval.MAX_COMMENT_BYTES)
    for number in range(MAX_APPROVALS):
        name = f"{number:02d}" + "n" * 62
        now = approval.approve(bounded, target, actor=Actor(name, "asserted"))
    assert now.baseline is not None
    assert bounded.signer.largest > 3_000


def test_a_longer_comment_is_refused_before_anything_is_recorded(bounded, source):
    before = bounded.journal.size()
    with pytest.raises(UsageError, match="500 bytes"):
        propose_state(bounded, Target(slug="orders"), source, actor=ANA, comment="é" * 251)
    assert bounded.journal.size() == before


def test_a_name_with_which_it_could_not_be_signed_any_more_cannot_approve(bounded, source):
    target = Target(slug="orders", approvals=MAX_APPROVALS)
    propose_state(bounded, target, source, actor=ANA, comment="c" * approval.MAX_COMMENT_BYTES)
    refused = []
    for number in range(MAX_APPROVALS):
        try:
            approval.approve(bounded, target, actor=Actor(f"{number}" + "ñ" * 100, "asserted"))
        except NotAllowed as error:
            refused.append(error.message)
    assert refused
    assert all("at most 4000 can be signed" in message for message in refused)
    for number in range(MAX_APPROVALS):
        state = approval.finish(bounded, target, ANA)
        if state.proposal is None:
            break
        approval.approve(bounded, target, actor=Actor(f"short {number}", "asserted"))
    assert bounded.states.get(target.stream).baseline is not None
