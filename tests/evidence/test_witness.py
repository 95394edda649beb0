"""Witness and client: what is cosigned, in which order, and what is not, whoever asks how."""

from __future__ import annotations

import base64
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.memory import MemoryDocuments, MemoryWriteOnce
from support.outside import NAME, ORIGIN, START, Ticking, Tree, made, pinned, post_to, signer

from chalicelib.evidence import anchor, cosignature, keys, merkle, note, submission, trust
from chalicelib.evidence.anchor import Answer
from chalicelib.evidence.keys import LogKey
from chalicelib.evidence.submission import Request
from chalicelib.evidence.trust import Policy
from chalicelib.evidence.witness import MAX_KEPT, Witness
from chalicelib.kernel.errors import (
    BadSignature,
    Conflict,
    Fork,
    KeyUnusable,
    Malformed,
    NotFound,
    NotPermitted,
    StoreUnavailable,
    Unreachable,
    Unsupported,
    UsageError,
)
from chalicelib.local.documents import SqliteDocuments

LATEST = int(START.timestamp()) + 10**6


@pytest.fixture
def tree():
    return Tree()


@pytest.fixture
def witness(tree):
    return made(tree.verifier)


def cosigned(answer, witness, text):
    """The time of an answer's cosignature, verified."""
    assert answer.status == 200, answer
    return cosignature.verify(cosignature.parse_line(answer.body), text, witness.verifier)


def test_checkpoints_are_cosigned_one_after_the_other(tree, witness):
    times = []
    for old, new in [(0, 3), (3, 7), (7, 7), (7, 8), (8, 300)]:
        answer = witness.add_checkpoint(tree.request(old, new))
        text = note.parse(tree.note(new)).text
        times.append(cosigned(answer, witness, text))
        seen = witness.latest(ORIGIN)
        assert (seen.checkpoint.size, seen.checkpoint.root) == (new, tree.root(new))
        both = [tree.verifier]
        assert note.verify(seen.note, both).signatures[1].line().encode() == answer.body
    assert times == sorted(times)


def test_an_empty_log_is_cosigned_too_and_grows_from_there(tree, witness):
    assert witness.add_checkpoint(tree.request(0, 0)).status == 200
    assert witness.add_checkpoint(tree.request(0, 5)).status == 200
    assert witness.add_checkpoint(tree.request(0, 0)).body == b"5\n"


def test_another_old_size_is_answered_with_the_one_cosigned_last(tree, witness):
    witness.add_checkpoint(tree.request(0, 5))
    for old, new in [(0, 5), (0, 9), (4, 5), (4, 9), (6, 9), (3, 4), (9, 9)]:
        answer = witness.add_checkpoint(tree.request(old, new))
        assert answer == Answer(409, "text/x.tlog.size", b"5\n"), (old, new)
    assert made(tree.verifier).add_checkpoint(tree.request(2, 5)).body == b"0\n"


def test_a_smaller_checkpoint_is_never_cosigned_after_a_larger_one(tree, witness):
    witness.add_checkpoint(tree.request(0, 9))
    for old in range(6):
        assert witness.add_checkpoint(tree.request(old, 5)).status == 409
    assert witness.add_checkpoint(tree.request(9, 9)).status == 200


REFUSED = [
    ("old 0\n", 400, "expected 'old SIZE'"),
    ("", 400, "expected 'old SIZE'"),
    ("old 0\n\n", 400, "a note without"),
    ("old 00\n\n{note}", 400, "not 'old SIZE'"),
    ("old -1\n\n{note}", 400, "not 'old SIZE'"),
    ("old  0\n\n{note}", 400, "not 'old SIZE'"),
    ("old 0 \n\n{note}", 400, "not 'old SIZE'"),
    ("OLD 0\n\n{note}", 400, "not 'old SIZE'"),
    ("old 0\r\n\n{note}", 400, "not 'old SIZE'"),
    (f"old {2**63}\n\n{{note}}", 400, "not 'old SIZE'"),
    ("\n\nold 0\n\n{note}", 400, "not 'old SIZE'"),
    ("old 0\nAAAA\n\n{note}", 400, "not base64 of 32 bytes"),
    ("old 0\n" + "A" * 43 + "B=\n\n{note}", 400, "not base64 of 32 bytes"),
    ("old 0\n" + "A" * 43 + "= \n\n{note}", 400, "not base64 of 32 bytes"),
    ("old 0\n" + ("A" * 43 + "=\n") * 64 + "\n{note}", 400, "a proof of 64 hashes; at most 63"),
    ("old 0\n" + ("A" * 43 + "=\n") * 63 + "\n{note}", 422, "the proof does not hold"),
    ("old 0\n" + "A" * 43 + "=\n\n{note}", 422, "the proof does not hold"),
    ("old 6\n\n{note}", 400, "old size is larger"),
    ("old 0\n\n{stranger}", 404, "does not know the log"),
    ("old 0\n\n{forged}", 403, "not this key's"),
    ("old 0\n\n{unsigned}", 403, "no trusted key signed"),
    ("old 0\n\n{text}\n", 400, "a note without"),
    ("old 0\n\nlog.example/one\n05\nx\n\n{line}", 400, "not a checkpoint"),
    ("old 0\n\n\xff{note}", 404, "does not know the log"),
]


@pytest.mark.parametrize(("form", "status", "why"), REFUSED, ids=range(len(REFUSED)))
def test_requests_that_are_not_as_they_must_be_are_refused(tree, form, status, why):
    documents = MemoryDocuments()
    witness = made(tree.verifier, documents=documents)
    read = note.parse(tree.note(5))
    parts = {
        "note": tree.note(5).decode(),
        "stranger": Tree(origin="log.example/two").note(5).decode(),
        "forged": tree.note(5).decode().replace("\n5\n", "\n6\n"),
        "unsigned": read.text + "\n" + Tree(key=22).note(5).decode().rpartition("\n\n")[2],
        "text": read.text,
        "line": read.signatures[0].line(),
    }
    answer = witness.add_checkpoint(form.format(**parts).encode())
    assert (answer.status, why in answer.body.decode()) == (status, True), answer
    assert witness.latest(ORIGIN) is None
    assert list(documents.list("refused/")) == []


def test_a_body_beyond_the_bound_is_refused(tree, witness):
    room = submission.MAX_REQUEST_BYTES - len(tree.request(0, 5)) - 1

    def body(length):
        return tree.request(0, 5, note=tree.note(5, "x" * length))

    answer = witness.add_checkpoint(body(room + 1))
    assert answer.status == 400
    assert b"131073 bytes; at most 131072" in answer.body
    assert witness.add_checkpoint(body(room)).status == 200
    assert witness.add_checkpoint(tree.request(5, 6)).status == 200


def test_signatures_by_strangers_are_ignored_and_not_kept(tree, witness):
    lines = Tree(key=22).note(5).decode().rpartition("\n\n")[2].encode()
    assert witness.add_checkpoint(tree.request(0, 5, note=tree.note(5) + lines)).status == 200
    signatures = note.parse(witness.latest(ORIGIN).note).signatures
    assert [one.name for one in signatures] == [ORIGIN, NAME]
    assert signatures[0].key_id == tree.verifier.key_id


def test_extension_lines_are_under_the_cosignature(tree, witness):
    signed = tree.note(5, "an extension")
    answer = witness.add_checkpoint(tree.request(0, 5, note=signed))
    cosigned(answer, witness, note.parse(signed).text)


def test_a_second_history_of_the_same_size_is_refused_shown_and_kept(tree, witness):
    told = []
    witness = made(tree.verifier, tell=told.append)
    other = Tree(seed=b"other")
    witness.add_checkpoint(tree.request(0, 5))
    before = witness.latest(ORIGIN)
    answer = witness.add_checkpoint(other.request(5, 5))
    assert (answer.status, answer.body) == (409, before.note)
    assert witness.latest(ORIGIN) == before
    [kept] = witness.refused(ORIGIN)
    assert (kept.kind, kept.request, kept.latest) == ("fork", other.request(5, 5), before.note)
    assert told[0].startswith(f"FORK: {ORIGIN} of 5 leaves")
    # Anybody can check the two notes against the log's key and nothing else.
    notes = [submission.parse(kept.request).note, kept.latest]
    roots = {note.verify_checkpoint(one, tree.verifier).root for one in notes}
    assert roots == {tree.root(5), other.root(5)}


def test_a_second_history_is_kept_even_if_it_is_brought_with_another_old_size(tree, witness):
    witness.add_checkpoint(tree.request(0, 5))
    other = Tree(seed=b"other")
    answer = witness.add_checkpoint(other.request(0, 5))
    assert answer == Answer(409, "text/x.tlog.size", b"5\n")
    assert [one.kind for one in witness.refused(ORIGIN)] == ["fork"]


def test_a_second_history_that_has_grown_is_refused_shown_and_kept(tree, witness):
    witness.add_checkpoint(tree.request(0, 5))
    other = Tree(seed=b"other")
    answer = witness.add_checkpoint(other.request(5, 9))
    assert (answer.status, answer.body) == (422, witness.latest(ORIGIN).note)
    [kept] = witness.refused(ORIGIN)
    assert (kept.kind, kept.request) == ("doubt", other.request(5, 9))


def test_what_is_kept_is_bounded_and_a_flood_of_doubts_leaves_room_for_a_fork(tree, witness):
    witness.add_checkpoint(tree.request(0, 5))
    for new in range(6, 40):
        for proof in ((), (bytes(32),)):  # once a checkpoint
            witness.add_checkpoint(tree.request(5, new, proof=proof))
    assert len(list(witness.refused(ORIGIN))) == MAX_KEPT
    witness.add_checkpoint(Tree(seed=b"other").request(5, 5))
    assert [one.kind for one in witness.refused(ORIGIN)].count("fork") == 1


@given(st.data())
def test_no_byte_of_a_request_can_change_and_the_same_be_cosigned(data):
    tree = Tree()
    witness = made(tree.verifier)
    witness.add_checkpoint(tree.request(0, 5))
    body = bytearray(tree.request(5, 300))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    answer = witness.add_checkpoint(bytes(body))
    if answer.status == 200:  # the name of a signature that nobody knows, beside nothing else
        pytest.fail(f"byte {place} does not matter")
    assert witness.latest(ORIGIN).checkpoint.size == 5


ASKED = st.tuples(st.booleans(), st.none() | st.integers(0, 12), st.integers(0, 12))


@given(st.lists(ASKED, max_size=40))
def test_whatever_is_asked_all_that_is_cosigned_lies_on_one_line(asked):
    trees, documents = [Tree(), Tree(seed=b"other")], MemoryDocuments()
    given_away = []
    for other, said, new in asked:
        tree = trees[other]
        witness = made(tree.verifier, documents=documents)  # a restart; its clock goes back too
        seen = witness.latest(ORIGIN)
        old = (seen.checkpoint.size if seen else 0) if said is None else said
        proof = tuple(tree.proof(old, new)) if old <= new else ()
        body = Request(old, proof, tree.note(new)).encode()
        if witness.add_checkpoint(body).status == 200:
            given_away.append((new, other, witness.latest(ORIGIN).at))
    sizes, times = [size for size, *_ in given_away], [at for *_, at in given_away]
    assert sizes == sorted(sizes)
    assert times == sorted(times)
    assert len({other for size, other, _ in given_away if size}) <= 1


def test_a_clock_that_goes_back_is_not_followed(tree):
    """A verifier would see the witness contradict itself: fewer leaves at a later time."""
    clock = Ticking()
    witness = made(tree.verifier, clock=clock)
    witness.add_checkpoint(tree.request(0, 4))
    before = witness.latest(ORIGIN).at
    clock.at -= timedelta(days=1)
    witness.add_checkpoint(tree.request(4, 5))
    assert witness.latest(ORIGIN).at == before
    clock.at += timedelta(days=2)
    witness.add_checkpoint(tree.request(5, 5))
    assert witness.latest(ORIGIN).at > before


def test_keys_sign_within_their_sizes_only(tree):
    new = signer(23)
    policy = Policy(
        (LogKey(tree.verifier, 0, 5), LogKey(note.verifier(ORIGIN, new.public), 5, 2**63 - 1))
    )
    witness = made(tree.verifier, policy=policy)
    assert witness.add_checkpoint(tree.request(0, 5)).status == 200
    late = witness.add_checkpoint(tree.request(5, 6))
    assert late.status == 403
    assert b"signs for sizes 0 to 5 only" in late.body
    text = note.parse(tree.note(6)).text
    assert (
        witness.add_checkpoint(tree.request(5, 6, note=note.sign(text, ORIGIN, new))).status == 200
    )


def test_a_witness_of_several_logs_keeps_them_apart(tree):
    two = Tree(origin="log.example/two", key=22, seed=b"two")
    policy = Policy((LogKey(tree.verifier), LogKey(two.verifier)))
    witness = made(tree.verifier, policy=policy)
    assert witness.origins == [ORIGIN, "log.example/two"]
    assert witness.add_checkpoint(tree.request(0, 5)).status == 200
    assert witness.add_checkpoint(two.request(0, 3)).status == 200
    assert witness.latest(ORIGIN).checkpoint.size == 5
    # The key of one log says nothing of the other.
    crossed = Tree(origin="log.example/two", key=21)
    assert witness.add_checkpoint(crossed.request(0, 5)).status == 403


class Interrupted(MemoryDocuments):
    """Calls ``before`` once, between the look at the memory and the compare-and-set."""

    before = None

    def swap(self, writes):
        act, self.before = self.before, None
        if act is not None:
            act()
        super().swap(writes)


def test_the_race_of_the_specification_rolls_nothing_back(tree):
    documents = Interrupted()
    witness = made(tree.verifier, documents=documents)
    witness.add_checkpoint(tree.request(0, 4))
    answers = []
    documents.before = lambda: answers.append(witness.add_checkpoint(tree.request(4, 9)))
    slow = witness.add_checkpoint(tree.request(4, 6))
    assert answers[0].status == 200
    assert slow == Answer(409, "text/x.tlog.size", b"9\n")
    assert witness.latest(ORIGIN).checkpoint.size == 9


def test_the_loser_of_a_race_for_one_size_is_judged_against_the_winner(tree):
    documents, other = Interrupted(), Tree(seed=b"other")
    witness = made(tree.verifier, documents=documents)
    documents.before = lambda: witness.add_checkpoint(other.request(0, 6))
    assert witness.add_checkpoint(tree.request(0, 6)).body == b"6\n"
    assert witness.latest(ORIGIN).checkpoint.root == other.root(6)


class Losing(MemoryDocuments):
    def swap(self, writes):
        if writes[0].expected or writes[0].key != "witness":
            raise Conflict("lost")
        super().swap(writes)


def test_who_loses_every_race_gives_up_without_a_cosignature(tree):
    with pytest.raises(StoreUnavailable, match="lost 100"):
        made(tree.verifier, documents=Losing()).add_checkpoint(tree.request(0, 6))


class Full(MemoryDocuments):
    full = False

    def swap(self, writes):
        if self.full:
            raise StoreUnavailable("no space")
        super().swap(writes)


def test_nothing_is_given_away_that_is_not_stored(tree):
    documents = Full()
    witness = made(tree.verifier, documents=documents)
    documents.full = True
    with pytest.raises(StoreUnavailable, match="no space"):
        witness.add_checkpoint(tree.request(0, 6))
    documents.full = False
    assert witness.add_checkpoint(Tree(seed=b"other").request(0, 6)).status == 200


def test_threads_and_processes_share_one_memory(tree, tmp_path):
    """Two processes' views of one database, eight threads, two histories: one line comes out."""
    trees = [tree, Tree(seed=b"other")]
    stores = [SqliteDocuments(tmp_path / "state.db") for _ in range(2)]
    views = [made(tree.verifier, documents=store) for store in stores]
    answers, lock = [], threading.Lock()

    def run(number):
        chance = random.Random(number)  # noqa: S311 - which request comes when, and no secret
        witness = views[number % 2]
        for _ in range(25):
            one = trees[chance.randrange(2)]
            seen = witness.latest(ORIGIN)
            old = seen.checkpoint.size if seen else 0
            new = old + chance.randrange(4)
            answer = witness.add_checkpoint(one.request(old, new))
            if answer.status == 200:
                line = cosignature.parse_line(answer.body)
                text = note.parse(one.note(new)).text
                with lock:
                    answers.append((cosignature.verify(line, text, witness.verifier), new, one))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    roots = {}
    for _, size, one in answers:
        assert roots.setdefault(size, one.root(size)) == one.root(size)
    grown = {id(one) for _, size, one in answers if size}
    assert len(answers) > 20
    assert len(grown) == 1
    largest = max(size for _, size, _ in answers)
    assert views[0].latest(ORIGIN).checkpoint.size == largest
    for store in stores:
        store.close()


KILLED = """
import os, signal, sys
sys.path.insert(0, "tests")
from pathlib import Path
from support.outside import Tree, made
from chalicelib.local.documents import SqliteDocuments
class Killed(SqliteDocuments):
    def swap(self, writes):
        if sys.argv[2] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        super().swap(writes)
        os.kill(os.getpid(), signal.SIGKILL)
tree = Tree()
witness = made(tree.verifier, documents=Killed(Path(sys.argv[1])))
witness.add_checkpoint(tree.request(4, 6))
"""


@pytest.mark.parametrize(("moment", "size"), [("before", 4), ("after", 6)])
def test_a_kill_on_either_side_of_the_swap_loses_nothing(tree, tmp_path, moment, size):
    path = tmp_path / "state.db"
    store = SqliteDocuments(path)
    made(tree.verifier, documents=store).add_checkpoint(tree.request(0, 4))
    store.close()
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), moment],
        cwd=Path(__file__).parent.parent.parent,
        env={**os.environ, "PYTHONPATH": "tests"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    store = SqliteDocuments(path)
    witness = made(tree.verifier, documents=store)
    assert witness.latest(ORIGIN).checkpoint.size == size
    # Whatever was said before the kill: the other history is not cosigned, and ours is.
    for old in (4, size):
        assert witness.add_checkpoint(Tree(seed=b"other").request(old, 6)).status in {409, 422}
    ours = submission.submit(
        tree.at(6), tree.ring, pinned(witness), post_to(witness), latest=LATEST
    )
    assert ours.head.size == 6
    store.close()


def test_a_witness_that_lost_its_memory_says_so(tree):
    documents = MemoryDocuments()
    made(tree.verifier, documents=documents)
    options = {
        "name": NAME,
        "policy": Policy((LogKey(tree.verifier),)),
        "clock": Ticking(),
        "tell": lambda line: None,
    }
    with pytest.raises(KeyUnusable, match="memory of what it cosigned is lost"):
        Witness(signer=signer(41), documents=MemoryDocuments(), **options)
    with pytest.raises(KeyUnusable, match="the memory is that of the witness"):
        Witness(signer=signer(42), documents=documents, **options)


@pytest.mark.parametrize("what", ["garbage", "unsigned", "another log's", "a bit"])
def test_a_memory_that_was_written_by_others_is_not_believed(tree, what):
    documents = MemoryDocuments()
    witness = made(tree.verifier, documents=documents)
    witness.add_checkpoint(tree.request(0, 5))
    [(key, document)] = documents.list("latest/")
    two = made(Tree(origin="log.example/two").verifier)
    two.add_checkpoint(Tree(origin="log.example/two").request(0, 2))
    changed = {
        "garbage": b"garbage",
        "unsigned": tree.note(3),
        "another log's": two.latest("log.example/two").note,
        "a bit": document.value.replace(b"\n5\n", b"\n4\n"),
    }[what]
    documents._documents[key] = type(document)(document.version, changed)
    with pytest.raises(StoreUnavailable, match="not what this witness wrote"):
        witness.add_checkpoint(tree.request(5, 6))


# The client.


def test_a_new_witness_is_asked_once_and_a_known_one_twice(tree, witness):
    seen = []
    post = post_to(witness, seen=seen)
    for size, requests in [(5, 1), (9, 2), (9, 2)]:
        seen.clear()
        found = submission.submit(tree.at(size), tree.ring, pinned(witness), post, latest=LATEST)
        assert found.head.size == size
        assert len(seen) == requests
        assert seen[0][0] == "https://witness.example/add-checkpoint"
        text = note.parse(tree.note(size)).text
        assert cosignature.verify(found.signature, text, witness.verifier) == found.at
    assert submission.parse(seen[1][1]).old == 9


def test_the_prefix_may_end_in_a_slash_and_have_a_path(tree, witness):
    seen = []
    one = pinned(witness, "https://witness.example/w1/")
    submission.submit(tree.at(1), tree.ring, one, post_to(witness, seen=seen), latest=LATEST)
    assert seen[0][0] == "https://witness.example/w1/add-checkpoint"


def submitted(tree, witness, answer, *, latest=LATEST, first=None):
    """What comes of one answer, or of one after the first."""
    answers = [first, answer] if first is not None else [answer]
    return submission.submit(
        tree,
        tree.ring,
        pinned(witness),
        lambda *_: answers.pop(0) if len(answers) > 1 else answers[0],
        latest=latest,
    )


def size_answer(size):
    return Answer(409, "text/x.tlog.size", b"%d\n" % size)


def test_two_histories_under_one_key_are_a_fork_with_both_notes_and_the_failed_proof(tree, witness):
    other = Tree(seed=b"other")
    post = post_to(witness)
    submission.submit(other.at(5), tree.ring, pinned(witness), post, latest=LATEST)
    with pytest.raises(Fork, match="ours of 9 leaves does not extend the 5") as caught:
        submission.submit(tree.at(9), tree.ring, pinned(witness), post, latest=LATEST)
    error = caught.value
    assert error.ours == tree.note(9)
    assert note.verify_checkpoint(error.theirs, tree.verifier).root == other.root(5)
    assert "shows for it a checkpoint that the log's key signed" in error.message
    proof = [base64.b64decode(line) for line in error.proof.split()]
    assert proof == tree.proof(5, 9)
    merkle.verify_consistency(5, 9, proof, tree.root(5), tree.root(9))
    with pytest.raises(Fork) as caught:
        submission.submit(tree.at(5), tree.ring, pinned(witness), post, latest=LATEST)
    assert note.verify_checkpoint(caught.value.theirs, tree.verifier).root == other.root(5)


def test_a_log_that_was_put_back_is_a_fork(tree, witness):
    post = post_to(witness)
    submission.submit(tree.at(9), tree.ring, pinned(witness), post, latest=LATEST)
    with pytest.raises(Fork, match="cosigned 9 leaves of this log, which has 5") as caught:
        submission.submit(tree.at(5), tree.ring, pinned(witness), post, latest=LATEST)
    assert (caught.value.ours, caught.value.theirs) == (tree.note(5), b"9\n")


def test_a_log_that_others_submitted_meanwhile_is_no_fork(tree, witness):
    tree.at(5)

    def post(url, body, content_type):
        if tree.size == 5:  # another process appends and submits first
            tree.at(9)
            witness.add_checkpoint(tree.request(0, 9))
        return witness.add_checkpoint(body)

    assert submission.submit(tree, tree.ring, pinned(witness), post, latest=LATEST).head.size == 9


def test_a_witness_that_is_always_ahead_is_given_up(tree, witness):
    def post(url, body, content_type):
        return size_answer(submission.parse(body).old + 1)

    with pytest.raises(Conflict, match="8 times in a row"):
        submission.submit(tree.at(100), tree.ring, pinned(witness), post, latest=LATEST)


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        (Answer(400, "", b"bad"), Unsupported, "status 400"),
        (Answer(403, "", b""), NotPermitted, "does not know this key of the log"),
        (Answer(404, "", b""), NotPermitted, "does not know the log"),
        (Answer(409, "", b"3\n"), Unsupported, "status 409"),
        (Answer(409, "text/x.tlog.size", b"3"), Unsupported, "status 409"),
        (Answer(409, "text/x.tlog.size", b"03\n"), Unsupported, "status 409"),
        (Answer(409, "text/x.tlog.size", b"9223372036854775808\n"), Unsupported, "status 409"),
        (size_answer(0), Unsupported, "status 409"),
        (Answer(422, "", b"no"), Fork, "it shows no checkpoint for it"),
        (Answer(301, "", b""), Unreachable, "status 301"),
        (Answer(500, "", b""), Unreachable, "status 500"),
        (Answer(201, "", b""), Unreachable, "status 201"),
        (Answer(200, "", b""), Unsupported, "no cosignature"),
        (Answer(200, "text/html", b"<html>\n"), Unsupported, "no cosignature"),
        (Answer(200, "", b"\xff\n"), Unsupported, "no cosignature"),
    ],
    ids=range(15),
)
def test_other_answers_are_said_for_what_they_are(tree, witness, answer, error, why):
    with pytest.raises(error, match=why) as caught:
        submitted(tree.at(5), witness, answer)
    assert "w1" in caught.value.message
    assert caught.value.next_step


def test_a_size_of_another_type_is_not_believed(tree, witness):
    asked = []

    def post(url, body, content_type):
        asked.append(submission.parse(body).old)
        return Answer(409, "text/plain", b"3\n")

    with pytest.raises(Unsupported):
        submission.submit(tree.at(5), tree.ring, pinned(witness), post, latest=LATEST)
    assert asked == [0]


def test_a_type_with_parameters_is_the_same_type(tree, witness):
    witness.add_checkpoint(tree.request(0, 3))
    first = Answer(409, "Text/x.tlog.size; charset=utf-8", b"3\n")
    last = witness.add_checkpoint(tree.request(3, 5))
    assert submitted(tree.at(5), witness, last, first=first).head.size == 5


def test_a_cosignature_by_another_key_over_another_text_or_of_the_future_is_refused(tree, witness):
    text, stranger = note.parse(tree.note(5)).text, made(tree.verifier, key=42, name="v.example")

    def answer(*signatures):
        return Answer(200, "", "".join(one.line() for one in signatures).encode())

    good = cosignature.sign(text, NAME, signer(41), 100)
    other = cosignature.sign(text, "v.example", signer(42), 100)
    with pytest.raises(Unsupported, match="other keys than the pinned one"):
        submitted(tree.at(5), witness, answer(other))
    with pytest.raises(Unsupported, match="other keys"):
        submitted(tree, stranger, answer(good))
    assert submitted(tree, witness, answer(other, good), latest=100).at == 100
    with pytest.raises(BadSignature, match="the witness 'w1': a cosignature from the future"):
        submitted(tree, witness, answer(good), latest=99)
    wrong = cosignature.sign(note.parse(tree.note(4)).text, NAME, signer(41), 100)
    with pytest.raises(BadSignature, match="the witness 'w1': the signature is not"):
        submitted(tree, witness, answer(wrong))


def test_a_witness_that_refuses_what_holds_is_at_fault_itself(tree, witness):
    """It shows our own checkpoint, and says that ours does not extend it."""
    with pytest.raises(Unsupported, match="refused a proof that holds"):
        submitted(tree.at(9), witness, Answer(422, "", tree.note(5)), first=size_answer(5))
    # A checkpoint of ours of another size is none for it.
    with pytest.raises(Fork, match="it shows no checkpoint for it") as caught:
        submitted(tree.at(9), witness, Answer(422, "", tree.note(4)), first=size_answer(5))
    assert caught.value.theirs == tree.note(4)


def test_a_checkpoint_that_strangers_signed_is_shown_as_what_it_is(tree, witness):
    forged = Tree(seed=b"other", key=22).note(5)
    with pytest.raises(Fork, match="it shows no checkpoint for it"):
        submitted(tree.at(9), witness, Answer(422, "", forged), first=size_answer(5))


def test_what_is_kept_of_an_answer_is_bounded(tree, witness):
    with pytest.raises(Fork) as caught:
        submitted(tree.at(9), witness, Answer(422, "", b"x" * 60_000))
    assert len(caught.value.theirs) == submission.MAX_SHOWN_BYTES


def test_without_a_url_or_a_checkpoint_nobody_is_asked(tree, witness):
    with pytest.raises(UsageError, match="no URL for the witness 'w1'"):
        submission.submit(tree.at(1), tree.ring, pinned(witness, ""), None, latest=LATEST)
    with pytest.raises(NotFound, match="the log is empty"):
        submission.submit(Tree(), tree.ring, pinned(witness), None, latest=LATEST)


def test_the_first_cosignature_of_a_size_stays(tree, witness):
    store, post = MemoryWriteOnce(), post_to(witness)
    found = [
        submission.submit(tree.at(5), tree.ring, pinned(witness), post, latest=LATEST)
        for _ in range(2)
    ]
    assert found[0].at < found[1].at
    for one in found:
        submission.lock(store, one, keep_days=30)
    [key] = store.list("")
    assert key == f"cosignature/{5:020d}/{witness.verifier.key_id.hex()}"
    assert store.get(key) == found[0].signature.line().encode()
    assert store.kept_days == {key: 30}
    assert submission.locked(store, 5) == [found[0].signature]
    assert submission.locked(store, 6) == []
    policy = trust.Policy(witnesses=(pinned(witness),), quorum="w1")
    assert policy.met(policy.cosigned(submission.locked(store, 5), found[0].head.checkpoint.text()))


@pytest.mark.parametrize("data", [b"", b"garbage", b"\n"])
def test_a_kept_cosignature_that_is_none_is_named(data):
    store, key = MemoryWriteOnce(), anchor.cosignature_key(5, b"abcd")
    store.put(key, data)
    with pytest.raises(Malformed, match=f"{key} holds no cosignature"):
        submission.locked(store, 5)


def test_a_cosignature_under_another_name_is_named(tree, witness):
    store = MemoryWriteOnce()
    found = submission.submit(
        tree.at(5), tree.ring, pinned(witness), post_to(witness), latest=LATEST
    )
    for key in (anchor.cosignature_key(5, b"abcd"), "cosignature/00000000000000000005/x"):
        store = MemoryWriteOnce()
        store.put(key, found.signature.line().encode())
        with pytest.raises(Malformed, match="holds a cosignature by the key"):
            submission.locked(store, 5)


def test_names_of_anchors_are_read_back():
    assert anchor.place(anchor.cosignature_key(5, bytes(4))) == (5, "00000000")
    made_key = anchor.timestamp_key_of(2**63 - 1, b"response")
    assert anchor.place(made_key) == (2**63 - 1, made_key.rpartition("/")[2])
    for key in (
        "cosignature/5/00000000",
        f"cosignature/{2**63:020d}/00000000",
        f"cosignature/{5:020d}/0000000",
        f"cosignature/{5:020d}/0000000G",
        f"timestamp/{5:020d}/00000000",
        f"log/{5:020d}/00000000",
    ):
        assert anchor.place(key) is None


def test_a_real_log_is_witnessed_as_it_grows(places, tmp_path):
    """A log on disk, its second history under the same key, and one witness for both."""
    one = places("one")
    one.append(0, 1, 2)
    shutil.copy(one.root / "signing.pem", tmp_path / "copied.pem")
    two = places("two", key=tmp_path / "copied.pem")
    two.append(7, 8)
    witness = made(one.verifier)
    post = post_to(witness)
    ring = keys.keyring([LogKey(one.verifier)])
    for numbers in ([3], range(300), [5, 6]):
        found = submission.submit(one.log, ring, pinned(witness), post, latest=LATEST)
        assert found.head == one.log.head()
        one.append(*numbers)
    with pytest.raises(Fork, match="which has 2"):
        submission.submit(two.log, ring, pinned(witness), post, latest=LATEST)
    two.append(*range(400))
    with pytest.raises(Fork, match="shows for it a checkpoint that the log's key signed"):
        submission.submit(two.log, ring, pinned(witness), post, latest=LATEST)
