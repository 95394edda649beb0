"""What a page embeds: enough to lead to the root, bounded, and no way out of its element."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from evidence.test_note import P256Signer
from hypothesis import given
from hypothesis import strategies as st
from render import pages
from render.pages import HOSTILE, VALUES, Archive, read, told
from support import packets

from chalicelib.evidence import note
from chalicelib.evidence.verified import fold
from chalicelib.kernel import canon
from chalicelib.render import embed, said


@pytest.fixture(scope="module")
def archive():
    return told(Archive())


@pytest.fixture(scope="module")
def held(archive):
    return read(archive)


def left_out(found):
    """How many records the page shows that are not embedded."""
    return found.shown - len(found.records)


def without(found):
    """The embedded records whose body is kept apart and left out."""
    return {
        index
        for index, leaf, body in found.records
        if body is None and "body_ref" in json.loads(leaf)
    }


def folded(found):
    """The root that the embedded records and hashes lead to."""
    hashes = {
        index: hashlib.sha256(b"\0" + leaf.encode()).digest() for index, leaf, _ in found.records
    }
    return fold(sorted(hashes), hashes, list(map(bytes.fromhex, found.subtrees)), found.size)


@pytest.mark.parametrize("signer", [None, P256Signer()], ids=["ed25519", "p256"])
def test_it_leads_to_the_root_that_the_key_signed(signer):
    archive = told(Archive(signer))
    held = read(archive)
    found = json.loads(embed.script_text(embed.embedded(held, [9, 7, 9, 12])))
    assert list(found) == sorted(found)
    assert found["v"] == 1
    assert found["packet"] == held.verdict.packet
    assert (found["shown"], [row[0] for row in found["records"]]) == (3, [7, 9, 12])
    pinned = note.parse_vkey(found["vkey"])
    assert pinned == archive.verifier
    signed = note.verify_checkpoint(found["note"].encode(), pinned)
    assert (found["origin"], found["size"]) == (signed.checkpoint.origin, signed.size)
    assert found["root"] == signed.root.hex()
    assert folded(embed.embedded(held, [9, 7, 12])) == signed.root
    stored = dict(archive.log.leaves())
    for index, leaf, body in found["records"]:
        assert leaf.encode() == stored[index]
        assert (body is not None) == ("body_ref" in json.loads(leaf))
    body = found["records"][1][2]
    assert packets.sha256(body.encode()) == json.loads(found["records"][1][1])["body_ref"]["sha256"]


def test_the_same_records_give_the_same_text_in_any_order(held):
    texts = {embed.script_text(embed.embedded(held, shown)) for shown in ([9, 7, 12], [12, 7, 9])}
    assert len(texts) == 1


def test_a_page_without_records_has_the_root_alone(held):
    found = embed.embedded(held, [])
    assert found.records == ()
    assert found.subtrees == (found.root,)
    assert folded(found) == held.checkpoint.root


def test_a_record_that_is_not_in_the_packet(held):
    with pytest.raises(ValueError, match="record 22 is not in the packet"):
        embed.embedded(held, [7, 22])


def test_no_name_ends_the_element(held):
    text = embed.script_text(embed.embedded(held, list(held.indices)))
    assert not re.search("[<>&\u2028\u2029\r]", text)
    assert HOSTILE["markup"] in json.loads(json.loads(text)["records"][5][1])["body"]["markup"]

    class Reader(HTMLParser):
        tags, data = [], []

        def handle_starttag(self, tag, attrs):
            self.tags.append(tag)

        def handle_data(self, data):
            self.data.append(data)

    reader = Reader()
    reader.feed(f'<script type="application/json">{text}</script><p></p>')
    reader.close()
    assert reader.tags == ["script", "p"]
    assert "".join(reader.data) == text


def test_what_does_not_fit_is_left_out_in_the_order_of_importance(held):
    shown = [12, 9, 7, 8, 4]
    whole = embed.embedded(held, shown)
    assert (left_out(whole), without(whole)) == (0, set())
    most = len(embed.script_text(whole).encode()) + 5 * 5 * embed._SUBTREE_BYTES + 400
    seen = set()
    for bytes_ in (*range(most, 0, -most // 60), 0):
        found = embed.embedded(held, shown, most_bytes=bytes_)
        kept = {index for index, _, _ in found.records}
        assert kept == set(shown[: len(kept)])
        assert left_out(found) == 5 - len(kept)
        assert len(embed.script_text(found).encode()) <= bytes_ or not kept
        assert folded(found) == held.checkpoint.root
        seen.add((len(kept), len(without(found))))
    # First the body kept apart is left out, then the records.
    assert {(5, 0), (5, 1), (0, 0)} < seen


def test_no_more_records_than_a_browser_takes(held, monkeypatch):
    monkeypatch.setattr(embed, "MAX_RECORDS", 3)
    found = embed.embedded(held, [14, 4, 9, 7])
    assert [index for index, _, _ in found.records] == [4, 9, 14]
    assert left_out(found) == 1


def test_a_body_above_its_bound_is_left_out():
    held = read(told(Archive(), apart=embed.MAX_BODY_BYTES))
    found = embed.embedded(held, [9, 7])
    assert without(found) == {9}
    figures = embed.Figures(found)
    assert figures.says(9, "/body/severity") is None
    assert figures.says(9, "/kind") == "finding.opened"
    assert figures.says(7, "/body/severity") == "high"


def test_a_figure_says_what_the_record_says(held):
    figures = embed.Figures(embed.embedded(held, [7, 8, 9]))
    assert figures.says(7, "/body/nul") == "a\\u{0}b"
    assert figures.says(7, "/body/turned") == "a\\u{202e}b\\u{2066}c\\u{2069}\\u{200f}d"
    assert figures.says(7, "/body/turned", 2) == "a\\u{202e}\u2026"
    assert figures.says(7, "/body/breaks", 2) == "\\u{d}\\u{a}\u2026"
    assert figures.says(7, "/body/backslash") == "\\u{5c}u{202e} \\n \\"
    assert figures.says(7, "/body/markup") == HOSTILE["markup"]
    assert figures.says(7, "/body/long", 10_000) == HOSTILE["long"]
    assert figures.says(8, "/body/list") == '[1,"a\\u{202e}",{"b":null}]'
    assert figures.says(8, "/body/list/2/b") == figures.says(7, "/body/empty") == ""
    assert figures.says(8, "/body/tiny") == "1e-7"
    assert figures.says(8, "/body/true") == "true"
    assert figures.says(8, "/body/sealed") == said.SEALED
    assert figures.says(8, pages.pointer("body", "a/b", "~c")) == "found"
    assert figures.says(9, "/body/severity") == "low"
    assert figures.says(9, "#index") == "9"
    assert figures.says(9, "#hash") == held.hash_of(9)
    assert 9 in figures


def test_no_figure_of_what_is_not_embedded(held):
    figures = embed.Figures(embed.embedded(held, [7, 8]))
    assert 9 not in figures
    absent = ("/body/x", "/body/list/3", "/body/list/-", "/body/list/01", "/body/list/x", "/kind/x")
    assert [figures.says(8, at) for at in absent] == [None] * len(absent)
    assert figures.says(9, "#index") is None


def test_what_is_shown_can_be_told_apart_and_turns_nothing_around():
    every = [chr(code) for code in range(0x110000)]
    shown = list(map(embed.visible, every))
    assert len(set(shown)) == len(every)
    fillers = set("\u115f\u1160\u3164\uffa0")  # letters that show nothing
    hidden = {char for char, text in zip(every, shown, strict=True) if char != text}
    for char in "\0\t\n\r\x1f\x7f\x85\xad\u061c\u200b\u200e\u202a\u202e\u2066\u2069\ufeff\ud800":
        assert char in hidden
    assert not any(char.isalnum() or char in " \xa0\u2026\ufe0f\\" for char in hidden - fillers)


@given(st.text(alphabet=st.sampled_from("\\u{2e}\u202e\0a"), max_size=12))
def test_no_text_looks_like_another(text):
    def read_back(match):
        return chr(int(match[1], 16))

    assert re.sub(r"\\u\{([0-9a-f]+)\}", read_back, embed.visible(text)) == text


def test_values_as_text():
    assert embed.shown_text(None) == ""
    assert embed.shown_text("abc", 3) == "abc"
    assert embed.shown_text("abcd", 3) == "abc\u2026"
    assert embed.shown_text({"b": 1, "a": "\u202e"}) == '{"a":"\\u{202e}","b":1}'
    assert embed.shown_text([1, 2, 3], 4) == "[1,2\u2026"
    with pytest.raises(ValueError, match="not canonical JSON"):
        embed.shown_text(2**53)
    assert canon.encode(VALUES)


def test_the_policy_lets_this_program_run_and_nothing_else():
    program = pages.script()
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    assert embed.policy(program) == (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; img-src data:"
    )


def test_the_program_can_stand_in_a_page():
    program = pages.script()
    assert not re.search(r"</|<!--|\r|[^\n\x20-\x7e]", program)
    for name in ("fetch(", "XMLHttpRequest", "import(", "eval(", "innerHTML", "localStorage"):
        assert name not in program
    assert program.count("\n") < 400
