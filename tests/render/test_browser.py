"""Pages that verify themselves, in a real browser, from a file: as they are, and tampered with."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature as numbers
from evidence.test_note import P256Signer
from render import pages
from render.pages import HOSTILE, Archive, page, read, told
from support import browser as browsers
from support.browser import Browser

from chalicelib.evidence import note
from chalicelib.local.signer import KeyFileSigner
from chalicelib.render import embed, seal

WHY = browsers.missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=WHY or "")

SHOWN = [7, 8, 9, 12, 4]
ELEMENT = re.compile(
    r'(?<=<script type="application/json" id="evidence">).*?(?=</script>)', re.DOTALL
)
SIGNERS = {"ed25519": KeyFileSigner.generate, "p256": P256Signer}
NO_ED25519 = (
    "SubtleCrypto.prototype.importKey = async () => { throw new DOMException('', "
    "'NotSupportedError'); }"
)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def opened(chromium, tmp_path):
    """Opens a page's text from a file; nothing may be loaded, and nothing left uncaught."""
    path = tmp_path / "page.html"
    made = [chromium.page()]
    loaded = [0]

    def open_(text, **options):
        path.write_bytes(text.encode())
        if options:
            made.append(chromium.page(**options))
        one = made[-1] if options else made[0]
        loaded[0] += 1
        return one.open(path)

    yield open_
    assert [url for one in made for url in one.asked()] == [path.as_uri()] * loaded[0]
    assert [one.uncaught() for one in made] == [[]] * len(made)
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def archive(request):
    return told(Archive(SIGNERS[getattr(request, "param", "ed25519")]()))


@pytest.fixture(scope="module")
def held(archive):
    return read(archive)


@pytest.fixture(scope="module")
def good(held):
    return page(held, SHOWN)


either = pytest.mark.parametrize("archive", SIGNERS, indirect=True)


def edited(text, change):
    """The page with other evidence."""
    evidence = json.loads(ELEMENT.search(text)[0])
    change(evidence)
    return ELEMENT.sub(lambda _: embed._escaped(evidence), text)


def resealed(text):
    return seal.sealed(re.sub(r'data-text-sha256="[0-9a-f]*"', 'data-text-sha256=""', text))


def swapped(text, old, new):
    assert text.count(old) >= 1, old
    return text.replace(old, new, 1)


def refused(one, words):
    answer, said = one.answer()
    assert answer == "no"
    assert said.startswith("FAILED")
    assert words in said, said
    assert "Verify the packet" in said


@either
def test_a_page_as_it_was_rendered_is_verified(opened, good, held):
    one = opened(good)
    answer, said = one.answer()
    assert (answer, said[:14]) == ("yes", "VERIFIED HERE "), said
    for words in (
        f"5 records lead to the root {held.checkpoint.root.hex()} over {held.checkpoint.size}",
        f"{len(list(pages.figures()))} figures are what these records say",
        str(held.signer),
        "5 of 5 records that this page shows.",
        "cannot vouch for its own program",
    ):
        assert words in said
    assert one.value("document.querySelectorAll('script').length") == 2  # none came out of a name
    assert one.value("document.querySelectorAll('main b').length") == 1


def test_a_page_in_the_way_that_a_person_without_our_tests_would_try(good, tmp_path):
    path = tmp_path / "report.html"
    path.write_bytes(good.encode())
    done = subprocess.run(
        [
            shutil.which(browsers.NAME), *browsers.FLAGS, f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom", "--virtual-time-budget=20000", path.as_uri(),
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert b'<html lang="en" data-verified="yes">' in done.stdout


def row(number, place, change):
    def changed(evidence):
        evidence["records"][number][place] = change(evidence["records"][number][place])

    return changed


def value(key, change):
    return lambda evidence: evidence.update({key: change(evidence[key])})


def exchanged(evidence):
    one, other = evidence["records"][1], evidence["records"][2]
    one[1], other[1] = other[1], one[1]


def renumbered(evidence):
    evidence["records"][0], evidence["records"][1] = evidence["records"][1::-1]


def other_bit(text):
    return ("0" if text[0] != "0" else "1") + text[1:]


def signature(text):
    """The note with another signature by nobody: its last bit but the padding turned."""
    head, _, line = text.rstrip("\n").rpartition(" ")
    return f"{head} {line[:40]}{'A' if line[40] != 'A' else 'B'}{line[41:]}\n"


TAMPERED = {
    "a byte of a leaf": (row(1, 1, lambda leaf: leaf.replace('"high"', '"low "')), "to the root"),
    "two leaves exchanged": (exchanged, "to the root"),
    "records out of order": (renumbered, "order"),
    "a leaf removed": (lambda evidence: evidence["records"].pop(), "do not lead to the root"),
    "an index changed": (row(0, 0, lambda index: index - 1), "to the root"),
    "a leaf that is no object": (row(0, 1, lambda _: "7"), "not a JSON object"),
    "a subtree": (value("subtrees", lambda given: [other_bit(given[0]), *given[1:]]), "the root"),
    "a subtree too much": (value("subtrees", lambda given: [*given, given[0]]), "too much"),
    "a subtree too few": (value("subtrees", lambda given: given[:-1]), "missing"),
    "the root": (value("root", other_bit), "another log, size or root"),
    "the size": (value("size", lambda size: size + 1), "another log, size or root"),
    "the origin": (value("origin", lambda origin: origin + "x"), "another log, size or root"),
    "the note's size": (value("note", lambda text: text.replace("\n24\n", "\n25\n")), "another"),
    "the note's extensions": (value("note", lambda t: t.replace("\n\n", "\nx\n\n")), "signature"),
    "a note with a carriage return": (value("note", lambda t: t.replace("\n", "\r\n", 1)), "note"),
    "the note's last line break": (value("note", lambda text: text[:-1]), "signed note"),
    "no signature": (value("note", lambda text: text[: text.index("\n\n") + 2]), "signed note"),
    "the signature": (value("note", signature), "signature"),
    "another hash of the key": (
        value("vkey", lambda vkey: re.sub(r"\+[0-9a-f]{8}\+", "+00000000+", vkey)),
        "the key's hash is not its own",
    ),
    "the key's hash": (value("vkey", lambda vkey: vkey.replace("+", "+f", 1)), "verifier key"),
    "a body": (row(3, 2, lambda body: body.replace("low", "LOW")), "not the one that it names"),
    "a body left out": (row(3, 2, lambda _: None), "not embedded"),
    "a body too much": (row(0, 2, lambda _: "{}"), "does not name"),
    "another field": (lambda evidence: evidence.update(more=1), "form"),
    "more records than it shows": (value("shown", lambda _: 4), "form"),
}


@either
@pytest.mark.parametrize("name", TAMPERED)
def test_evidence_that_was_tampered_with(opened, good, name):
    change, words = TAMPERED[name]
    refused(opened(edited(good, change)), words)


def test_a_leaf_with_half_a_character(opened, good):
    half = good.replace('\\"severity\\":\\"high', '\\"severity\\":\\"\\ud800')
    refused(opened(half), "a text in it is not Unicode")


@either
def test_the_signature_of_another_key(opened, good, held):
    other = note.verifier(held.head.origin, (signer := KeyFileSigner.generate()).public)
    text = held.checkpoint.checkpoint.text()
    signed = note.sign(text, held.head.origin, signer).decode()
    refused(opened(edited(good, value("note", lambda _: signed))), "not signed by the key")
    refused(opened(edited(good, value("vkey", lambda _: str(other)))), "not signed by the key")

    def misquoted(evidence):
        theirs = signed.rpartition(" ")[2]
        evidence["note"] += f"\u2014 {held.head.origin} {theirs}"

    # A line by a key that is not named neither helps nor harms, as in a note of a witness.
    assert opened(resealed(edited(good, misquoted))).answer()[0] == "yes"


@pytest.mark.parametrize("archive", ["p256"], indirect=True)
@pytest.mark.parametrize("bits", [range(256, 257), range(248), range(249, 256)])
def test_numbers_of_a_signature_of_every_length(opened, good, held, archive, bits):
    """In DER they have no leading zero, but where the first bit would be a sign."""
    signed = signed_with(archive, held, bits)
    text = edited(good, value("note", lambda _: signed.encode().decode()))
    answer, said = opened(resealed(text)).answer()
    assert answer == "yes", said


def signed_with(archive, held, bits):
    """The checkpoint's note with a signature whose first number has so many bits."""
    text = held.checkpoint.checkpoint.text()
    while True:
        found = note.parse(note.sign(text, held.head.origin, archive.signer))
        if numbers(found.signatures[0].data)[0].bit_length() in bits:
            return found


@pytest.mark.parametrize("archive", ["p256"], indirect=True)
def test_a_signature_in_another_encoding(opened, good, held, archive):
    (own,) = signed_with(archive, held, range(249, 256)).signatures
    r, s = (b"\x02" + bytes([len(n)]) + n for n in map(der, numbers(own.data)))
    assert own.data == b"0" + bytes([len(r + s)]) + r + s
    zero = b"\x02" + bytes([r[1] + 1]) + b"\0" + r[2:]
    for other in (
        b"0" + bytes([len(zero + s)]) + zero + s,  # a zero too much
        b"0\x81" + bytes([len(r + s)]) + r + s,  # a long form of a short length
        own.data + b"\0",
        b"0" + bytes([len(r + s) + 1]) + r + s + b"\0",
        b"0" + bytes([len(r)]) + r,
        b"1" + own.data[1:],
        own.data[:-1],
    ):
        line = note.Signature(own.name, own.key_id, other).line()
        text = f"{held.checkpoint.checkpoint.text()}\n{line}"
        refused(opened(edited(good, value("note", lambda _, text=text: text))), "not in DER")


def der(number):
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def test_a_key_that_says_it_is_of_the_log(opened, good, archive):
    named = note.verifier("other.example/log", archive.signer.public)
    refused(opened(edited(good, value("vkey", lambda _: str(named)))), "another log's")


SEVERITY = 'data-at="/body/severity">low<'
REPORT = {
    "a figure": (SEVERITY, 'data-at="/body/severity">lot<', "says \u201clow\u201d"),
    "a space at a figure": (SEVERITY, SEVERITY[:-1] + " <", "Record 9: "),
    "a figure's record": ('data-leaf="9" ' + SEVERITY, 'data-leaf="7" ' + SEVERITY, "Record 7: "),
    "a figure's place": (SEVERITY, SEVERITY.replace("severity", "x"), "is not in it"),
    "a figure of no record": ('data-leaf="9" ' + SEVERITY, SEVERITY, "names no record"),
    "a figure of a record elsewhere": ('data-leaf="9" ', 'data-leaf="10" ', "not embedded"),
    "a figure of no number": ('data-leaf="9" ', 'data-leaf="09" ', "not embedded"),
    "where a figure is cut": ('data-cut="3"', 'data-cut="4"', "Record 7: "),
    "a mark that says what is hidden": ("\\u{202e}", "\u202e", "Record 7: "),
    "no such index": ('data-at="/body/list/2/b"', 'data-at="/body/list/02/b"', "Record 8: "),
}
SEALED = {
    "a total": ('<b id="count">', '<b id="count">1', "as it was rendered"),
    "hidden text": ('<p class="verdict">', '<p class="verdict" style="display:none">', "rendered"),
    "a link": ('href="#r"', 'href="#q"', "as it was rendered"),
    "a bar": ('width="5"', 'width="6"', "as it was rendered"),
    "what a name is within": ("</rect><text", "<text", "as it was rendered"),
    "the look": ("color: #222", "color: #fff", "as it was rendered"),
    "a space": ("<h1>Report ", "<h1>Report  ", "as it was rendered"),
    "words that are live": ("<h1>", "<p data-live>All is well.</p><h1>", "place of this answer"),
    "another report": ("</main>", "</main><main>x</main>", "<main>"),
}


@pytest.mark.parametrize("name", REPORT)
def test_a_figure_that_was_tampered_with(opened, good, name):
    old, new, words = REPORT[name]
    refused(opened(swapped(good, old, new)), words)
    refused(opened(resealed(swapped(good, old, new))), words)


def test_a_reader_may_open_what_is_closed(opened, good):
    assert opened(swapped(good, "<details>", "<details open>")).answer()[0] == "yes"


@pytest.mark.parametrize("name", SEALED)
def test_a_report_that_was_tampered_with(opened, good, name):
    old, new, words = SEALED[name]
    refused(opened(swapped(good, old, new)), words)


def test_a_page_without_its_parts(opened, good):
    element = '<script type="application/json" id="evidence">'
    refused(opened(ELEMENT.sub("{", good)), "are not a JSON object")
    refused(opened(ELEMENT.sub("[]", good)), "are not a JSON object")
    refused(opened(ELEMENT.sub("{}", good)), "not of the form")
    refused(opened(swapped(good, element, element.replace("evidence", "e"))), "#evidence")
    divided = good.replace("\n<main ", "\n<div ").replace("\n</main>", "\n</div>")
    refused(opened(divided), "there is not one element with the report (<main>)")
    gone = opened(good.replace('id="verification"', ""))
    assert gone.answer() == ("no", "")
    without = opened(good.replace(f"<script>{pages.script()}</script>", ""))
    assert without.value("document.documentElement.dataset.verified") is None
    assert "Verify the packet with" in without.value("document.body.textContent")


def test_another_program_does_not_run(opened, good):
    changed = opened(swapped(good, "AT_ONCE = 256", "AT_ONCE = 257"))
    assert changed.value("document.documentElement.dataset.verified") is None
    added = swapped(good, "</body>", "<script>document.title = 'x'</script></body>")
    assert opened(added).value("document.title") == "Report"


@either
def test_a_browser_that_cannot_tell(opened, good):
    nothing = "Object.defineProperty(Crypto.prototype, 'subtle', { get: () => undefined })"
    for before, words in ((nothing, "no WebCrypto"), (NO_ED25519, "cannot verify")):
        answer, said = opened(good, before=before).answer()
        assert answer == "unable"
        assert said.startswith("NOT VERIFIED HERE This page could not be verified: this browser")
        assert words in said
        assert "Verify the packet" in said
    tampered = edited(good, value("root", other_bit))
    refused(opened(tampered, before=NO_ED25519), "another log, size or root")


def test_what_nobody_thought_of_is_an_answer(opened, good):
    broken = "TextEncoder.prototype.encode = () => { throw new RangeError('too much'); }"
    refused(opened(good, before=broken), "the program stopped: RangeError: too much")


def test_without_scripts_the_page_says_how_to_verify(opened, good):
    one = opened(good, scripts=False)
    root = one.call("DOM.getDocument")["root"]["nodeId"]
    text = one.call("DOM.getOuterHTML", nodeId=root)["outerHTML"]
    assert "data-verified" not in text.partition("<body>")[0]
    assert "Verify the <b>packet</b> with holdfast." in text


def test_every_character_is_shown_as_the_program_shows_it(opened):
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x10000))))
    more = "".join(map(chr, (0x1BCA0, 0xDFFFF, 0xE0000, 0xE01EF, 0xE0FFF, 0xE1000, 0x10FFFF)))
    archive = told(Archive(), [{"t": every + more}])
    places = [(22, "/body/t", None), (22, "", None), (22, "/body/t", 60_000)]
    answer, said = opened(page(read(archive), [22], places)).answer()
    assert answer == "yes", said


def test_text_that_nobody_made_visible_is_sealed_as_a_browser_reads_it(opened, held):
    raw = "".join(HOSTILE.values()).replace("\0", "") + "\f\x7f\x80\x9f\ufffe\U0001ffff\ue000"
    texts = [raw, "\n\n" + raw, "\r" + raw, " ", "x" * 200_000, "&amp;lt;"]
    more = "".join(
        f"<pre>{one}</pre><pre>\r\n{one}</pre><p title='{one}'>{one}<br/>{one}</p>"
        f"<svg viewBox='0 0 1 1'><text font-size='1'>{one}</text><rect/></svg>"
        f"<table> <tbody> <tr> <td>{one}</td> </tr> </tbody> </table><details open>"
        f"<summary>{one}</summary>{one}</details><dl><dt>{one}</dt><dd>{one}</dd></dl>"
        for one in map(escape, texts)
    )
    more += (
        "<p>&hellip;&middot;&#8230;&#x2026;&nbsp;&NotEqualTilde;<!-- -- -></p> --></p><pre></pre>\n"
    )
    answer, said = opened(page(held, SHOWN, more=more)).answer()
    assert answer == "yes", said


def test_two_thousand_records(opened):
    archive = told(Archive(), [{"severity": "low", "n": n} for n in range(4_000)])
    shown = range(22, 4_022, 2)
    text = page(read(archive), shown, [(leaf, "/body/severity", None) for leaf in shown])
    one = opened(text)
    answer, said = one.answer()
    assert answer == "yes", said
    assert "2000 records lead" in said
    assert one.value("performance.now()") < 30_000  # milliseconds; on a quiet machine, 1,000
