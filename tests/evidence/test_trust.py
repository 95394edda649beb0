"""Trust policies: the format's own example, strictness, bounds, and every field tampered with."""

from __future__ import annotations

import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.evidence import cosignature, note, trust
from chalicelib.evidence.keys import LogKey
from chalicelib.evidence.layout import MAX_SIZE
from chalicelib.evidence.note import Checkpoint
from chalicelib.evidence.trust import Group, Log, Policy, Witness
from chalicelib.kernel.errors import BadSignature, Malformed
from chalicelib.local.signer import KeyFileSigner

ORIGIN = "log.example"


def signer(number):
    return KeyFileSigner(Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


def log(number, name=ORIGIN):
    return note.verifier(name, signer(number).public)


def cosigner(number, name=None):
    return cosignature.cosigner(name or f"witness.example/{number}", signer(number).public)


LOGS = [log(number) for number in range(1, 5)]
COSIGNERS = [cosigner(number) for number in range(11, 21)]

EXAMPLE = f"""\
# who is believed
log {LOGS[0]}

witness X1 {COSIGNERS[0]}
witness X2 {COSIGNERS[1]}\thttps://x2.example/
  witness X3 {COSIGNERS[2]}
group X-witnesses 2 X1 X2 X3

witness Y1 {COSIGNERS[3]}
witness Y2 {COSIGNERS[4]}
witness Y3 {COSIGNERS[5]}
group Y-witnesses any Y1 Y2 Y3

\t# both
group X-and-Y all X-witnesses Y-witnesses \t
quorum X-and-Y
"""


def test_the_example_of_the_format_means_what_it_says():
    policy = trust.parse(EXAMPLE.encode())
    assert policy.logs == (LogKey(LOGS[0]),)
    assert policy.witnesses[1] == Witness("X2", COSIGNERS[1], "https://x2.example/")
    assert policy.groups == (
        Group("X-witnesses", 2, ("X1", "X2", "X3")),
        Group("Y-witnesses", 1, ("Y1", "Y2", "Y3")),
        Group("X-and-Y", 2, ("X-witnesses", "Y-witnesses")),
    )
    names = [one.name for one in policy.witnesses]
    for chosen in itertools.chain.from_iterable(
        itertools.combinations(names, count) for count in range(7)
    ):
        xs = sum(name[0] == "X" for name in chosen)
        assert policy.met(set(chosen)) == (xs >= 2 and len(chosen) > xs)
    assert trust.parse(trust.encode(policy)) == policy


def test_without_a_quorum_nobody_is_needed_and_with_one_no_stranger_counts():
    assert trust.parse(b"quorum none\n") == Policy()
    assert Policy().met(set())
    one = trust.parse(f"witness w {COSIGNERS[0]}\nquorum w\n".encode())
    assert one.met({"w"})
    assert not one.met(set())
    assert not one.met({"W", "none"})
    group = trust.parse(f"witness w {COSIGNERS[0]}\ngroup g any w\nquorum g\n".encode())
    assert not group.met({"g"}), "a group is no witness"


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_file_of_one_log_key_is_short_for_that_log(end):
    assert trust.parse(f"{LOGS[0]}{end}".encode()) == Policy((LogKey(LOGS[0]),))


def test_the_keys_of_a_log_are_ordered_by_the_sizes_they_sign():
    text = f"log {LOGS[1]}\n#: sizes 5 9\nlog {LOGS[2]}\n #:\tsizes  9 -\nlog {LOGS[0]}\n"
    policy = trust.parse(
        f"{text}#: sizes 0 5\nlog {log(9, 'other.example')}\nquorum none\n".encode()
    )
    ring = policy.keyring(ORIGIN)
    assert [one.verifier for one in ring.keys] == LOGS[:3]
    assert [(one.first, one.last) for one in ring.keys] == [(0, 5), (5, 9), (9, MAX_SIZE)]
    signed = note.sign(Checkpoint(ORIGIN, 7, bytes(32)).text(), ORIGIN, signer(2))
    assert ring.verify(signed).size == 7
    with pytest.raises(BadSignature, match="signs for sizes 5 to 9 only"):
        ring.verify(note.sign(Checkpoint(ORIGIN, 3, bytes(32)).text(), ORIGIN, signer(2)))
    assert trust.parse(trust.encode(policy)) == policy
    with pytest.raises(BadSignature, match=r"no key of the log 'third\.example'"):
        policy.keyring("third.example")


def test_keys_of_one_log_whose_sizes_do_not_meet_are_no_ring():
    policy = trust.parse(f"log {LOGS[0]}\nlog {LOGS[1]}\nquorum none\n".encode())
    with pytest.raises(Malformed, match="begins at 0"):
        policy.keyring(ORIGIN)


def test_a_log_s_url_is_kept_beside_its_sizes():
    text = f"log {LOGS[0]} https://log.example/\n#: sizes 3 4\nquorum none\n"
    policy = trust.parse(text.encode())
    assert policy.logs == (Log(LOGS[0], 3, 4, "https://log.example/"),)
    assert trust.encode(policy) == text.encode()


W, V, L = COSIGNERS[0], COSIGNERS[1], LOGS[0]
TWICE = cosigner(11, "another.example/name")
SELF = cosigner(1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "without a quorum line"),
        ("# quorum none\n", "without a quorum line"),
        ("quorum none", "does not end in a newline"),
        ("quorum none\nquorum none\n", "line 2: a second quorum line"),
        ("quorum w\n", "line 1: no witness or group 'w'"),
        (f"quorum w\nwitness w {W}\n", "line 1: no witness or group 'w'"),
        ("quorum\n", "not a line of a trust policy: 'quorum'"),
        ("quorum a b\n", "not a line of a trust policy"),
        ("Quorum none\n", "not a line of a trust policy: 'Quorum'"),
        ("quorum none\r\n", "control character"),
        ("quorum none\x7f\n", "control character"),
        ("quorum\u00a0none\n", "not a line of a trust policy"),
        (f"log {L} u v\nquorum none\n", "line 1: not a line"),
        ("log\nquorum none\n", "line 1: not a line"),
        (f"log {W}\nquorum none\n", "line 1: a verifier key of unknown type 0x04"),
        (f"log {L}\nlog {L}\nquorum none\n", "line 2: a key that stands here already"),
        (f"log {L}\nlog {log(1, 'b.example')}\nquorum none\n", "line 2: a key that stands"),
        (f"witness w {L}\nquorum w\n", "line 1: a witness's key of type 0x01"),
        (f"witness w {W}\nwitness v {W}\nquorum w\n", "line 2: a key that stands here already"),
        (f"witness w {W}\nwitness v {TWICE}\nquorum w\n", "line 2: a key that stands"),
        (f"witness w {W}\nwitness w {V}\nquorum w\n", "line 2: the name 'w' stands for"),
        (f"witness none {W}\nquorum none\n", "line 1: the name 'none' stands for"),
        (f"log {L}\nwitness w {SELF}\nquorum w\n", "line 2: one key for a log and a witness"),
        (f"witness w {SELF}\nlog {L}\nquorum w\n", "line 2: one key for a log and a witness"),
        (f"witness w {W}\ngroup g any w w\nquorum g\n", "'w' is a member for the second time"),
        (
            f"witness w {W}\ngroup g any w\ngroup h any w\nquorum h\n",
            "line 3: 'w' is a member for the second time",
        ),
        (f"witness w {W}\ngroup w any w\nquorum w\n", "line 2: the name 'w' stands for"),
        (f"group g any w\nwitness w {W}\nquorum w\n", "line 1: no witness or group 'w'"),
        ("group g any g\nquorum g\n", "line 1: no witness or group 'g'"),
        (f"witness w {W}\ngroup g any none w\nquorum g\n", "no witness or group 'none'"),
        (f"witness w {W}\ngroup g 0 w\nquorum g\n", "line 2: '0' of 1 members"),
        (f"witness w {W}\ngroup g 2 w\nquorum g\n", "line 2: '2' of 1 members"),
        (f"witness w {W}\ngroup g 01 w\nquorum g\n", "line 2: '01' of 1 members"),
        (f"witness w {W}\ngroup g +1 w\nquorum g\n", "line 2: '\\+1' of 1 members"),
        (f"witness w {W}\ngroup g ALL w\nquorum g\n", "line 2: 'ALL' of 1 members"),
        ("group g any\nquorum g\n", "'any' of 0 members"),
        ("group g all\nquorum g\n", "'all' of 0 members"),
        ("group g\nquorum none\n", "not a line of a trust policy"),
        ("#: sizes 0 1\nquorum none\n", "line 1: not '#: sizes FIRST LAST' right after"),
        (f"log {L}\n\n#: sizes 0 1\nquorum none\n", "line 3: not '#: sizes"),
        (f"log {L}\n#: sizes 0 1\n#: sizes 0 1\nquorum none\n", "line 3: not '#: sizes"),
        (f"log {L}\n#:sizes 0 1\nquorum none\n", "line 2: not '#: sizes"),
        (f"log {L}\n#: sizes 0\nquorum none\n", "line 2: not '#: sizes"),
        (f"log {L}\n#: size 0 1\nquorum none\n", "line 2: not '#: sizes"),
        (f"log {L}\n#: sizes 2 1\nquorum none\n", "line 2: sizes from 2 to 1"),
        (f"log {L}\n#: sizes 00 1\nquorum none\n", "line 2: not a size: '00'"),
        (f"log {L}\n#: sizes - 1\nquorum none\n", "line 2: not a size: '-'"),
        (f"log {L}\n#: sizes 0 {2**63}\nquorum none\n", "line 2: not a size"),
        (f"{W}\n", "unknown type 0x04"),
    ],
    ids=range(49),
)
def test_what_is_no_policy_is_refused_with_its_line(text, why):
    with pytest.raises(Malformed, match=why):
        trust.parse(text.encode())


def lines(word, count):
    keys = {"log": log, "witness": cosigner}
    if word == "group":
        return "".join(f"group g{n} any w{n}\n" for n in range(count))
    names = [f"w{n} " if word == "witness" else "" for n in range(count)]
    start = 100 if word == "log" else 200
    return "".join(f"{word} {name}{keys[word](start + n)}\n" for n, name in enumerate(names))


def test_sixty_four_of_each_are_read_and_one_more_is_not():
    most = lines("log", 64) + lines("witness", 64) + lines("group", 64) + "quorum g63\n"
    policy = trust.parse(most.encode())
    assert policy.met({"w63"})
    assert trust.parse(trust.encode(policy)) == policy
    for word, what in {"log": "logs", "witness": "witnesses", "group": "groups"}.items():
        one_more = most.replace("quorum g63\n", lines(word, 65).splitlines()[-1] + "\n")
        with pytest.raises(Malformed, match=f"line 193: more than 64 {what}"):
            trust.parse(one_more.encode())
    with pytest.raises(Malformed, match="at most 262144"):
        trust.parse(b"#" * (trust.MAX_BYTES + 1))


def test_names_are_octets():
    kelvin, raw = "\N{KELVIN SIGN}".encode(), b"\xff\xfe"
    text = b"witness %s %s\nwitness K %s\nwitness %s %s\ngroup g 2 %s %s\nquorum g\n" % (
        kelvin,
        str(COSIGNERS[0]).encode(),
        str(COSIGNERS[1]).encode(),
        raw,
        str(COSIGNERS[2]).encode(),
        kelvin,
        raw,
    )
    policy = trust.parse(text)
    assert trust.encode(policy) == text
    first, _, last = (one.name for one in policy.witnesses)
    assert policy.met({first, last})
    assert not policy.met({"K", last})


names = st.text(
    st.characters(blacklist_categories=["Cs"], min_codepoint=33).filter(lambda c: c != "\x7f"),
    min_size=1,
    max_size=8,
).filter(lambda name: name != "none")


@st.composite
def policies(draw):
    called = draw(st.lists(names, min_size=1, max_size=9, unique=True))
    split = draw(st.integers(1, len(called)))
    urls = st.sampled_from(["", "https://w.example/", "http://ä.example"])
    witnesses = tuple(
        Witness(name, COSIGNERS[at], draw(urls)) for at, name in enumerate(called[:split])
    )
    free, groups = list(called[:split]), []
    for name in called[split:]:
        if not free:
            break
        members = tuple(draw(st.lists(st.sampled_from(free), min_size=1, unique=True)))
        free = [one for one in free if one not in members] + [name]
        groups.append(Group(name, draw(st.integers(1, len(members))), members))
    logs = []
    for at in range(draw(st.integers(0, 3))):
        first = draw(st.integers(0, MAX_SIZE))
        last = draw(st.sampled_from([first, MAX_SIZE]))
        url = draw(urls)
        logs.append(Log(LOGS[at], first, last, url) if url else LogKey(LOGS[at], first, last))
    known = [one.name for one in (*witnesses, *groups)]
    return Policy(tuple(logs), witnesses, tuple(groups), draw(st.sampled_from(["none", *known])))


@given(policies())
def test_a_policy_has_its_encoding(policy):
    assert trust.parse(trust.encode(policy)) == policy


def reference(policy, name, cosigned):
    """The format's own words, by recursion."""
    for group in policy.groups:
        if group.name == name:
            witnessing = [m for m in group.members if reference(policy, m, cosigned)]
            return len(witnessing) >= group.threshold
    return name in cosigned


@given(policies(), st.data())
def test_a_quorum_is_what_the_definition_says(policy, data):
    known = [one.name for one in policy.witnesses]
    cosigned = data.draw(st.sets(st.sampled_from(known)))
    due = policy.quorum == "none" or reference(policy, policy.quorum, cosigned)
    assert policy.met(cosigned) == due


@given(policies(), st.data())
def test_one_changed_byte_is_refused_or_is_another_policy(policy, data):
    encoded = trust.encode(policy)
    place = data.draw(st.integers(0, len(encoded) - 1))
    change = data.draw(st.integers(1, 255))
    changed = bytearray(encoded)
    changed[place] ^= change
    before, after = encoded[place], changed[place]
    if {before, after} <= {0x20, 0x09}:
        return  # a tab for a space means the same
    try:
        found = trust.parse(bytes(changed))
    except Malformed:
        return
    assert found != policy


@pytest.mark.parametrize(
    "policy",
    [
        Policy(witnesses=(Witness("two words", W),)),
        Policy(witnesses=(Witness("", W),)),
        Policy(witnesses=(Witness("w\nquorum", W),)),
        Policy(witnesses=(Witness("w", W, "https://a b"),)),
        Policy(witnesses=(Witness("w", W), Witness("v", W))),
        Policy(groups=(Group("g", 1, ()),)),
        Policy(quorum="w"),
        Policy(quorum="\ud800"),
        Policy((LogKey(LOGS[0], 5, 4),)),
    ],
    ids=range(9),
)
def test_what_reads_as_something_else_is_not_written(policy):
    with pytest.raises(Malformed):
        trust.encode(policy)


TEXT = Checkpoint(ORIGIN, 7, bytes(32)).text()


def test_cosignatures_are_counted_by_the_names_of_the_policy():
    policy = trust.parse(f"witness w {W}\nwitness v {V}\nquorum w\n".encode())
    by_w = [cosignature.sign(TEXT, W.name, signer(11), at) for at in (30, 20, 40)]
    stranger = cosignature.sign(TEXT, "stranger.example", signer(99), 10)
    assert policy.cosigned([stranger, *by_w], TEXT) == {"w": 20}
    assert policy.cosigned([stranger], TEXT) == {}
    with pytest.raises(BadSignature, match="future"):
        policy.cosigned(by_w, TEXT, latest=35)
    other = cosignature.sign(TEXT.replace("7", "8"), V.name, signer(12), 10)
    with pytest.raises(BadSignature):
        policy.cosigned([*by_w, other], TEXT)
