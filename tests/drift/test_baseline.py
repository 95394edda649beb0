"""Invariants: a baseline with a bad signature, a wrong digest or too few approvals is refused."""

from __future__ import annotations

import base64
import dataclasses
import json

import pytest
from support.desk import ANA, BEN, CHLOE, make_desk, propose_state, quiet

from chalicelib.drift import approval, baseline
from chalicelib.drift.approval import verified
from chalicelib.drift.audit import Audit
from chalicelib.drift.desk import Target
from chalicelib.drift.outcome import Outcome
from chalicelib.drift.scan import scan
from chalicelib.evidence import rotate
from chalicelib.kernel import canon, dsse
from chalicelib.kernel.errors import (
    BadSignature,
    DigestMismatch,
    Malformed,
    Missing,
    NotAllowed,
    NotFound,
    TooFewApprovals,
)
from chalicelib.kernel.record import Actor
from chalicelib.local.signer import KeyFileSigner


def propose(desk, target, source, actor=ANA, **options):
    return propose_state(desk, target, source, actor=actor, **options)


def sign(desk, target, source):
    propose(desk, target, source)
    approval.approve(desk, target, actor=BEN)
    return approval.approve(desk, target, actor=CHLOE)


def test_two_people_other_than_the_proposer_sign_a_baseline(desk, target, source):
    now = propose(desk, target, source)
    assert now.baseline is None
    now = approval.approve(desk, target, actor=BEN)
    assert now.baseline is None
    now = approval.approve(desk, target, actor=CHLOE)
    assert now.proposal is None
    held = verified(desk, target, now)
    assert {vote.by.name for vote in held.predicate.approved} == {"ben", "chloe"}
    assert held.predicate.proposed.by == ANA


@pytest.mark.parametrize("name", ["ana", "ANA", " ana ", "\uff21na"])
def test_approver_cannot_be_proposer_however_the_name_is_written(desk, target, source, name):
    propose(desk, target, source)
    with pytest.raises(NotAllowed, match="proposed"):
        approval.approve(desk, target, actor=Actor(name, "os"))


def test_one_person_counts_once(desk, target, source):
    propose(desk, target, source)
    approval.approve(desk, target, actor=BEN)
    with pytest.raises(NotAllowed, match="counts once"):
        approval.approve(desk, target, actor=Actor("Ben", "os"))


def test_only_named_approvers_approve(desk, source):
    target = Target(slug="orders", approvals=1, approvers=("chloe",))
    propose(desk, target, source)
    with pytest.raises(NotAllowed, match="no approver"):
        approval.approve(desk, target, actor=BEN)
    assert approval.approve(desk, target, actor=CHLOE).baseline is not None


def test_without_a_proposal_there_is_nothing_to_approve(desk, target):
    with pytest.raises(NotFound):
        approval.approve(desk, target, actor=BEN)


def test_an_open_proposal_is_given_up_only_when_asked_for(desk, target, source):
    first = propose(desk, target, source).proposal.id
    approval.approve(desk, target, actor=BEN)
    source.put("setting", "fsync", value="off")
    with pytest.raises(NotAllowed, match="1 of 2 approvals"):
        propose(desk, target, source)
    second = propose(desk, target, source, replace=True).proposal
    assert second.id != first
    assert second.approvals == []
    with pytest.raises(NotAllowed, match="not open any more"):
        approval.approve(desk, target, actor=BEN, proposal=first)


def test_a_target_without_required_approvals_is_signed_at_once(desk, source):
    alone = Target(slug="orders", approvals=0)
    assert propose(desk, alone, source).baseline is not None


def test_a_crash_between_the_last_approval_and_the_signature_is_finished(desk, target, source):
    propose(desk, target, source)
    approval.approve(desk, target, actor=BEN)
    body = {"comment": "", "proposal": desk.states.get(target.stream).proposal.id}
    body["root"] = desk.states.get(target.stream).proposal.root
    draft = approval.Draft(
        "baseline.approved", target.stream, "2026-10-01T02:00:00.000000Z", CHLOE, body
    )
    desk.journal.append([draft])
    result = scan(desk, target, source, actor=ANA, progress=quiet)
    assert result.outcome is Outcome.CLEAN


def test_raising_the_required_approvals_refuses_the_old_baseline(desk, target, source):
    now = sign(desk, target, source)
    strict = Target(slug="orders", approvals=3)
    with pytest.raises(TooFewApprovals, match="3 approvals are required, found 2"):
        verified(desk, strict, now)
    result = scan(desk, strict, source, actor=ANA, progress=quiet)
    assert result.outcome is Outcome.REFUSED
    [(finding, _)] = result.findings
    assert (finding.kind, finding.name, finding.severity.value) == (
        "baseline",
        "too_few_approvals",
        "critical",
    )


class Tampered:
    """The verification of a good baseline, with one thing changed."""

    def __init__(self, desk, target, source):
        self.desk, self.target = desk, target
        self.signed = sign(desk, target, source).baseline
        self.envelope = desk.objects.get(approval.envelope_key(self.signed.envelope))
        self.trusted = desk.trusted
        self.load = lambda digest: desk.objects.get(approval.snapshot_key(digest))
        self.entry_at = lambda index: next(iter(desk.journal.read(index, index + 1)))

    def statement(self):
        return json.loads(base64.b64decode(json.loads(self.envelope)["payload"]))

    def reseal(self, statement, signer=None):
        """Sign another statement, and let the log name it: an insider with the key."""
        self.envelope = dsse.seal(statement, signer or self.desk.signer, self.desk.keyid)
        self.signed = type(self.signed)(
            **{
                **{f: getattr(self.signed, f) for f in self.signed.__struct_fields__},
                "envelope": canon.sha256(self.envelope),
            }
        )

    def verify(self, required=2, approvers=()):
        return baseline.verify(
            self.envelope,
            target=self.target.stream,
            signed=self.signed,
            required=required,
            approvers=approvers,
            trusted=self.trusted(self.signed.index),
            load=self.load,
            entry_at=self.entry_at,
        )


@pytest.fixture
def tampered(desk, target, source):
    return Tampered(desk, target, source)


class Rotated:
    """A desk after its log's key was changed for another."""

    def __init__(self, desk, root):
        signer = KeyFileSigner.generate()
        done = rotate.rotate(
            desk.journal, signer, actor=ANA, at="2026-10-01T03:00:00.000000Z", reason="yearly"
        )
        keys = desk.journal.keys.changed(done.size, done.key)
        self.after = make_desk(root, desk.clock, signer=signer, keys=keys)

    def audited(self):
        """What is wrong with the records' envelopes."""
        audit = Audit(self.after.objects, self.after.trusted)
        entries = self.after.journal.read()
        return [what for one in entries for place, what in audit.check(one) if "baseline" in place]


def test_a_baseline_of_before_a_rotation_holds_after_it(desk, target, source, tmp_path):
    held = verified(desk, target, sign(desk, target, source))
    rotated = Rotated(desk, tmp_path)
    now = rotated.after.states.get(target.stream)
    assert verified(rotated.after, target, now).key == held.key == desk.keyid
    source.put("setting", "fsync", value="off")
    again = verified(rotated.after, target, sign(rotated.after, target, source))
    assert again.key == rotated.after.keyid
    assert rotated.audited() == []


def test_a_former_key_signs_no_baseline_that_is_recorded_after_its_time(
    desk, target, source, tmp_path
):
    """It was stolen, and somebody who may append helps the thief."""
    first = sign(desk, target, source).baseline
    rotated = Rotated(desk, tmp_path)
    stolen = dataclasses.replace(rotated.after, signer=desk.signer, keyid=desk.keyid)
    source.put("setting", "fsync", value="off")
    now = sign(stolen, target, source)
    assert now.baseline.envelope != first.envelope
    with pytest.raises(BadSignature, match="no signature by a trusted key"):
        verified(rotated.after, target, now)
    assert len(rotated.audited()) == 1
    result = scan(rotated.after, target, source, actor=ANA, progress=quiet)
    assert result.outcome is Outcome.REFUSED


def test_a_new_key_signs_no_baseline_that_is_recorded_before_its_time(
    desk, target, source, tmp_path
):
    rotated = Rotated(desk, tmp_path)
    early = verified(rotated.after, target, sign(rotated.after, target, source))
    assert early.key == rotated.after.keyid
    assert set(rotated.after.trusted(0)) == {desk.keyid}


def test_untampered_it_verifies(tampered):
    assert tampered.verify().snapshot.root.hex() == tampered.signed.root


def test_a_signature_by_another_key_is_refused(tampered, tmp_path):
    tampered.reseal(tampered.statement(), KeyFileSigner.create(tmp_path / "other.pem"))
    with pytest.raises(BadSignature):
        tampered.verify()


def test_an_envelope_without_signatures_is_refused(tampered):
    value = json.loads(tampered.envelope)
    value["signatures"] = []
    tampered.envelope = canon.encode(value)
    with pytest.raises(BadSignature):
        tampered.verify()


def test_no_byte_of_the_envelope_can_change(tampered):
    data = tampered.envelope
    for place in range(0, len(data), 7):
        tampered.envelope = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises((BadSignature, Malformed, DigestMismatch)):
            tampered.verify()


def test_an_older_signed_envelope_cannot_stand_in(tampered, desk, target, source):
    old = tampered.envelope
    source.put("setting", "fsync", value="off")
    tampered.signed = sign(desk, target, source).baseline
    tampered.envelope = old
    with pytest.raises(DigestMismatch, match="not the one that the log names"):
        tampered.verify()


def test_a_baseline_of_another_target_is_refused(tampered):
    statement = tampered.statement()
    statement["subject"][0]["name"] = "postgres:other"
    tampered.reseal(statement)
    with pytest.raises(DigestMismatch, match="other"):
        tampered.verify()


@pytest.mark.parametrize("field", ["_type", "predicateType"])
def test_another_type_of_statement_is_refused(tampered, field):
    statement = tampered.statement()
    statement[field] = "https://example.com/else"
    tampered.reseal(statement)
    with pytest.raises(Malformed):
        tampered.verify()


def test_a_changed_snapshot_is_refused(tampered):
    load = tampered.load
    tampered.load = lambda digest: load(digest).replace(b"ddl", b"all")
    with pytest.raises(DigestMismatch, match="sha256"):
        tampered.verify()


def test_a_wrong_root_is_refused(tampered):
    statement = tampered.statement()
    statement["subject"][0]["digest"]["rfc9162Sha256"] = "0" * 64
    tampered.reseal(statement)
    with pytest.raises(DigestMismatch, match="Merkle root"):
        tampered.verify()


def test_an_approval_that_the_log_does_not_hold_is_refused(tampered):
    statement = tampered.statement()
    statement["predicate"]["approved"][0]["by"]["name"] = "dora"
    tampered.reseal(statement)
    with pytest.raises(Missing):
        tampered.verify()


def test_an_approval_of_something_else_is_refused(tampered):
    statement = tampered.statement()
    statement["predicate"]["approved"][0] = statement["predicate"]["proposed"]
    tampered.reseal(statement)
    with pytest.raises(Missing):
        tampered.verify()


def test_the_same_approval_twice_counts_once(tampered):
    statement = tampered.statement()
    approved = statement["predicate"]["approved"]
    approved[1] = approved[0]
    tampered.reseal(statement)
    with pytest.raises(TooFewApprovals, match="found 1"):
        tampered.verify()


def test_approvals_by_people_who_may_not_do_not_count(tampered):
    assert tampered.verify(approvers=("ben", "Chloe"))
    with pytest.raises(TooFewApprovals, match="found 1"):
        tampered.verify(approvers=("ben", "dora"))


def test_the_proposer_never_counts(desk):
    ana = baseline.Vote(ANA, "", 0, "")
    with pytest.raises(TooFewApprovals):
        baseline.count(ana, [baseline.Vote(Actor("ANA", "os"), "", 1, "")], 1)


def test_another_installation_reads_what_was_signed(desk, target, source, tmp_path, clock):
    now = sign(desk, target, source)
    assert verified(make_desk(tmp_path, clock), target, now).key == desk.keyid
