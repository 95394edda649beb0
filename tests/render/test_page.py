"""The page: its structure, what every packet's has, colours, hostile texts, templates of users."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from evidence.parcel import at
from support import packets, tales
from support.reports import ACCESS, CLOUD, FOUND, SHOP, Tale, controls, unwitnessed, whole

from chalicelib.drift.judge import Severity
from chalicelib.evidence import trust
from chalicelib.kernel import names
from chalicelib.kernel.errors import UsageError
from chalicelib.render import chart, days, page

SHEET = (Path(__file__).parents[2] / "reports" / "style.css").read_text(encoding="utf-8")
VOID = {"meta", "link", "br", "img", "hr"}


class Element:
    def __init__(self, tag, attributes, parent):
        self.tag, self.parent = tag, parent
        self.attributes = dict(attributes)
        self.content = []  # elements and texts

    @property
    def children(self):
        return [one for one in self.content if isinstance(one, Element)]

    def walk(self):
        yield self
        for one in self.children:
            yield from one.walk()

    def all(self, *tags):
        return [one for one in self.walk() if one.tag in tags]

    def words(self):
        """Its text, and that of what is in it."""
        return "".join(one if isinstance(one, str) else one.words() for one in self.content)

    def shape(self):
        """Names of elements and of attributes; no text, and no value."""
        return (self.tag, tuple(self.attributes), tuple(one.shape() for one in self.children))


class Reader(HTMLParser):
    """The tree of a page. That it is a browser's too: chalicelib.render.seal refuses others."""

    def __init__(self, text):
        super().__init__()
        self.top = self.here = Element("", (), None)
        self.feed(text)
        self.close()
        assert self.here is self.top

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), tag
        one = Element(tag, attrs, self.here)
        self.here.content.append(one)
        if tag not in VOID:
            self.here = one

    def handle_startendtag(self, tag, attrs):
        self.here.content.append(Element(tag, attrs, self.here))

    def handle_endtag(self, tag):
        assert self.here.tag == tag
        self.here = self.here.parent

    def handle_data(self, data):
        self.here.content.append(data)


def rendered(tale, *, policy=None, templates=None, seed="", **asked):
    with tale.book(policy=policy, **asked) as book:
        return page.render(book, templates=templates, seed=seed)


def quiet():
    """A day of which the log says only that somebody read it: no schedule, no scan."""
    tale = Tale()
    tale.read(3)
    return tale


def daily():
    tale = Tale()
    tale.tick(0, SHOP)
    tale.scan(SHOP, 0)
    return tale


def unscanned():
    """A schedule ran; nothing was scanned."""
    tale = Tale()
    tale.tick(0, SHOP, CLOUD)
    tale.tick(6, SHOP, CLOUD)
    return tale


def doubted():
    tale = whole()
    return rendered(tale, policy=unwitnessed(tale.archive))


PAGES = {
    "everything": lambda: rendered(tales.full()),
    "an empty day": lambda: rendered(quiet()),
    "no scan": lambda: rendered(unscanned()),
    "one target": lambda: rendered(tales.full(), targets=(SHOP,)),
    "no such target": lambda: rendered(tales.full(), targets=("postgres:other",)),
    "findings alone": lambda: rendered(tales.full(), kinds=("finding",)),
    "scans alone": lambda: rendered(tales.full(), kinds=("scan",)),
    "leases alone": lambda: rendered(tales.full(), kinds=("lease",)),
    "baselines of one target": lambda: rendered(
        tales.full(), targets=(CLOUD,), kinds=("baseline",)
    ),
    "unwitnessed": doubted,
    "hostile": lambda: rendered(tales.hostile()),
}


@pytest.fixture(scope="module", params=PAGES)
def text(request):
    return PAGES[request.param]()


@pytest.fixture(scope="module")
def tree(text):
    return Reader(text).top


def test_every_section_is_there(tree):
    headings = {one.attributes.get("id"): one.words() for one in tree.all("h2")}
    found = [name for name in headings if name in dict(page.SECTIONS)]
    assert found == [name for name, _ in page.SECTIONS]  # and in their order
    (contents,) = tree.all("nav")
    assert [(a.attributes["href"], a.words()) for a in contents.all("a")] == [
        (f"#{name}", title) for name, title in page.SECTIONS
    ]
    for name, title in page.SECTIONS:
        assert title.startswith(headings[name].split(":")[0]), name
    # Below each there is something that is said.
    (main,) = tree.all("main")
    places = [n for n, one in enumerate(main.children) if one.attributes.get("id") in headings]
    for start, stop in pairwise([*places, len(main.children)]):
        between = main.children[start + 1 : stop]
        assert "".join(one.words() for one in between).strip() or main.children[start].tag != "h2"
    ids = {one.attributes.get("id") for one in tree.walk()}
    assert {"systems", "programs", "gaps", "records", "verification", "content"} <= ids


def test_every_link_leads_somewhere_on_the_page(tree):
    ids = Counter(one.attributes["id"] for one in tree.walk() if "id" in one.attributes)
    assert set(ids.values()) == {1}, ids.most_common(1)
    assert "" not in ids
    links = [one.attributes["href"] for one in tree.all("a")]
    assert links
    assert [one for one in links if one[0] != "#" or one[1:] not in ids] == []
    for one in tree.walk():
        for name in ("aria-labelledby", "aria-describedby"):
            for other in one.attributes.get(name, "").split():
                assert other in ids
        assert not {"src", "srcset", "action", "onclick", "style"} & one.attributes.keys()
    # Each record that is linked to stands there with its hash.
    rows = {one.attributes["id"]: one for one in tree.all("tr") if "id" in one.attributes}
    for leaf in {one for one in links if one.startswith("#leaf-")}:
        assert re.search(r"[0-9a-f]{64}", rows[leaf[1:]].words())


def test_headings_are_in_order_and_there_is_one_of_the_first(tree):
    headings = tree.all("h1", "h2", "h3", "h4", "h5", "h6")
    levels = [int(one.tag[1]) for one in headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(one.words().strip() for one in headings)


def test_tables_can_be_read_out(tree):
    tables = tree.all("table")
    assert len(tables) >= 14
    for table in tables:
        assert table.children[0].tag == "caption"
        assert len(table.all("caption")) == 1
        assert table.children[0].words().strip()
        assert [one.tag for one in table.children] == ["caption", "thead", "tbody"]
        cells = table.all("th")
        assert cells
        assert {one.attributes.get("scope") for one in cells} <= {"col", "row"}
        (head,) = table.all("thead")[0].children
        assert {(one.tag, one.attributes["scope"]) for one in head.children} == {("th", "col")}
        assert all(one.words().strip() for one in head.children)
        rows = table.all("tbody")[0].children
        assert rows
        for row in rows:
            width = sum(int(one.attributes.get("colspan", 1)) for one in row.children)
            assert width == len(head.children), table.children[0].words()


def test_pictures_that_are_shown_have_a_name(tree):
    for one in tree.all("svg"):
        if one.attributes.get("aria-hidden") == "true":
            assert not one.all("title")
            continue
        assert one.attributes["role"] == "img"
        title = one.children[0]
        assert (title.tag, title.attributes["id"]) == ("title", one.attributes["aria-labelledby"])
        assert title.words().strip()
    shown = [one for one in tree.all("svg") if "role" in one.attributes]
    assert shown or "No system was due or scanned." in tree.words()  # then there is nothing to draw


def test_the_page_says_its_language_and_its_parts(tree):
    (html,) = tree.all("html")
    assert html.attributes["lang"] == "en"
    assert [one.tag for one in html.children] == ["head", "body"]
    (title,) = html.children[0].all("title")
    assert title.words().startswith("Evidence report of test.example/log, 2026-10-02 to ")
    assert len(tree.all("main")) == 1
    assert tree.all("body")[0].children[0].attributes["href"] == "#content"
    for one in tree.walk():
        if one.attributes.get("role") == "region":  # reached by keyboard, since it scrolls
            assert one.attributes["tabindex"] == "0"
            assert one.attributes["aria-label"].strip()
    names = Counter(
        one.attributes["aria-label"]
        for one in tree.walk()
        if one.attributes.get("role") == "region"
    )
    assert set(names.values()) == {1}


def test_nothing_that_does_not_show_itself_is_on_the_page(tree):
    (main,) = tree.all("main")
    said = main.words() + "".join(
        value or "" for one in main.walk() for value in one.attributes.values()
    )
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", said)
    assert "None" not in re.findall(r"\w+", main.words().replace("None is recorded here", ""))
    for word in ("Undefined", "Markup(", "{{", "{%", "function"):
        assert word not in said.replace("{{ 7*7 }}", "")
    assert "49" not in [one.words() for one in main.all("h4")]


def test_an_unwitnessed_packet_is_told_loudly(text, tree, request):
    is_doubted = request.node.callspec.params["text"] == "unwitnessed"
    (verdict,) = [one for one in tree.walk() if "verdict" in one.attributes.get("class", "")]
    assert verdict.words() == ("UNWITNESSED" if is_doubted else "VERIFIED")
    assert ("warn" in verdict.attributes["class"]) == is_doubted
    loud = [
        one
        for one in tree.walk()
        if one.attributes.get("class") == "loud" and "UNWITNESSED." in one.words()
    ]
    assert len(loud) == is_doubted
    margin = re.search(r"@top-right \{ content: \"(\w+)\"", text)
    assert margin[1] == verdict.words()  # on every printed page
    if is_doubted:
        (main,) = tree.all("main")
        children = list(main.walk())
        assert children.index(loud[0]) < children.index(tree.all("nav")[0])
        exceptions = main.words().partition("Exceptions noted")[2]
        assert "witness" in exceptions[:3_000]


def test_what_is_not_told_is_not_told_as_none():
    said = " ".join(Reader(rendered(quiet())).top.all("main")[0].words().split())
    for words in (
        "No schedule ran in this period: whether a scan is missing cannot be told.",
        "No scan is in this packet",
        "Whether there is a gap cannot be told: no schedule ran.",
        "No system is named by these records.",
    ):
        assert words in said
    assert "No gap: every scan" not in said
    said = " ".join(Reader(rendered(unscanned())).top.all("main")[0].words().split())
    assert "0 of 4 expected scans observed" in said
    assert "not scanned here" not in said or "No scan is in this packet" in said


# Hostile texts


def is_person(text):
    try:
        names.person(text)
    except UsageError:
        return False
    return True


def story(text, *, of_persons=False):
    """A packet in which every text that somebody else chooses is this one.

    ``of_persons``: also the names of those who agree, which have to be names of persons.
    """
    tale, ana, ben = Tale(), *((text, text) if of_persons else ("ana", "ben"))
    add = tale.add
    add("target.configured", SHOP, at(2), {"env": text, "approvals": 2}, text)
    signed = tale.baseline(SHOP, 0)
    taken = {"sha256": text, "root": text, "objects": 7, "read_at": text}
    body = {"proposal": text, "snapshot": taken, "accepts": [text], "required": 1}
    add("baseline.proposed", SHOP, at(2, 0), body | {"comment": text}, ana)
    body = {"proposal": text, "root": text, "comment": text}
    add("baseline.approved", SHOP, at(2, 1), body, ben)
    body = {"proposal": text, "approved_by": [text], "envelope": text}
    add("baseline.signed", SHOP, at(2, 1), body, text)
    tale.tick(0, SHOP, f"z{text}")  # after the other, whatever it is
    one = {"principal": {"name": text}, "event": text, "at": text, "address": text}
    who = {"certainty": text, "candidates": [one | {"request_id": text}]}
    said = ("id", "operation", "kind", "name", "attribute", "direction", "rule", "title",
            "before", "after", "target")  # fmt: skip
    body = FOUND | dict.fromkeys(said, text) | {"severity": "high", "controls": controls()}
    body |= {"meaning": {"reasons": [text]}}
    body |= {"when": {"not_before": text, "not_after": text}, "who": who}
    add("finding.opened", SHOP, at(2, 1), body, text)
    add(
        "finding.opened",
        SHOP,
        at(2, 1),
        body | {"id": "F-2", "when": {"committed": text, "not_after": text}},
        text,
    )
    add("finding.opened", SHOP, at(2, 1), body | {"id": "F-3", "severity": text}, text)
    add("finding.attributed", SHOP, at(2, 1, 1), {"id": text, "who": who}, text)
    body = {"id": text, "until": at(20), "reason": text}
    add("finding.suppressed", SHOP, at(2, 1, 2), body, text)
    system = {"user": text, "database": text, "host": text}
    more = {"system": system, "queries": [{"name": text, "rows": 0, "sha256": text}]}
    more |= {"program_sha256": text, "rules_sha256": text, "questions": text, "baseline": text}
    tale.scan(SHOP, 0, "drift", signed=signed, findings=[(text, "open"), ("F-9", text)], **more)
    failure = {"code": text, "message": text}
    tale.scan(SHOP, 1, "unknown", due=False, failure=failure, **more)
    tale.scan(SHOP, 2, text, due=False, **more)
    more = {"principal": text, "profile": text, "tables": [text], "reason": text, "ticket": text}
    tale.asked(3, text, by=ana, break_glass=True, policies=[text], **more)
    tale.agreed(3, text, by=ben)
    body = {"request": text, "role": text, "sha256": text, "until": text}
    add("lease.issuing", ACCESS, at(2, 3, 2), body, text)
    add("lease.issued", ACCESS, at(2, 3, 3), {"request": text}, text)
    body = {"request": text, "step": text, "code": text, "message": text}
    add("lease.unended", ACCESS, at(2, 3, 4), body, text)
    add("lease.ending", ACCESS, at(2, 3, 4), {"request": text, "why": text}, text)
    tale.ended(3, text, role=text)
    tale.reviewed(3, text, by=text)
    tale.orphaned(4, text)
    attack = [[text, text, "leaked", text]]
    body = {"request": text, "profile": text, "held": 3, "leaked": 1, "untold": 0}
    add("masking.checked", ACCESS, at(2, 4), body | {"attacks": attack}, text)
    _kept(add, text)
    return tale


def _kept(add, text):
    add("evidence.read", "reads", at(2, 5), {"what": text, "asked": {text: text}}, text)
    made = {"sha256": text, "from": text, "to": text, "targets": [text], "kinds": [text]}
    add("packet.made", "log", at(2, 5), made | {"records": 3}, text)
    add("hold.placed", "log", at(2, 5), {"hold": text, "reason": text}, text)
    add("scan", CLOUD, at(2, 6), {"outcome": text}, text)  # it says nothing else


HOSTILE = {
    "a script": "<script>alert(1)</script>",
    "its end": "</script></style></title></main></body></html>",
    "a comment": "<!-- <!--><!--->",
    "an end": "--> ]]> --!>",
    "quotes": "\" onload=\"alert(1)\" ' onclick='alert(1)' `",
    "references": "&amp;&lt;&#60;&nosuch;&",
    "cells": "</td></tr></table><svg onload=x><a href=//x>",
    "a template": "{{ 7*7 }}{% raw %}{# x",
    "turned": "a\u202eb\u2066c\u2069\u200fd\u2028e\u0085f",
    "of no width": "\u200b\u200d\ufeff\u2060\u00ad",
    "emoji": "\U0001f469\u200d\U0001f4bb \u2764\ufe0f \U0001f3f4\U000e0067\U000e007f",
    "nul": "a\0b\r\n\tc\x1b[31m\x7f",
    "long": "x" * 10_000,
    "long and wide": "\u00e4\U0001f600<" * 3_000,
}


def test_the_hostile_records_are_all_of_their_kind():
    with story("x").book() as book:
        assert book.ask("SELECT * FROM odd") == []


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_a_record_says_is_markup(name):
    text = HOSTILE[name]
    texts = (text, "h" * len(text))  # as long, for what is cut
    found, harmless = (
        Reader(rendered(story(one, of_persons=is_person(text)))).top for one in texts
    )
    assert found.shape() == harmless.shape()
    # And it is there, as text.
    begins = {"turned": "a\\u{202e}b", "nul": "a\\u{0}b\\u{d}\\u{a}", "of no width": "\\u{200b}"}
    said = found.all("main")[0].words()
    assert said.count(begins.get(name, text[:20]) if name != "emoji" else "\u2764\ufe0f") > 50


def test_who_agrees_under_no_persons_name_stops_no_report():
    """The record is one that cannot be read, and that is an exception."""
    tale = Tale()
    tale.baseline(SHOP, 0)
    tale.asked(3)
    last = tale.agreed(3, by="b\u202een")
    body = {"proposal": "B-1", "root": "6" * 64, "comment": ""}
    other = tale.add("baseline.approved", SHOP, at(2, 4), body, "\u200b")
    with tale.book() as book:
        assert book.ask("SELECT leaf FROM odd ORDER BY 1") == [(last,), (other,)]
        said = Reader(page.render(book)).top.all("main")[0].words()
    assert "Records that are not of their kind's form, of which nothing is told: 2." in said


def test_no_text_of_a_record_is_longer_on_the_page_than_what_it_is_cut_to():
    (main,) = Reader(rendered(story("x" * 10_000))).top.all("main")
    runs = re.findall("x{20,}", main.words())
    assert len(runs) > 50
    assert max(map(len, runs)) <= page.LONG
    values = [value or "" for one in main.walk() for value in one.attributes.values()]
    assert max(map(len, values)) < 10_200


@pytest.mark.parametrize("name", [b"<b>&amp;", b"\xff\xfe<i>", b"\"'", "\u202e\u200b".encode()])
def test_names_of_a_trust_policy_are_text(name):
    def shape(called):
        tale = quiet()
        line = b"witness %b %b\nquorum %b\n"
        line %= (called, packets.vkey(packets.NORTH).encode(), called)
        policy = trust.parse(f"log {tale.archive.verifier}\n".encode() + line)
        return Reader(rendered(tale, policy=policy)).top.shape()

    assert shape(name) == shape(b"north")


# Colours


def luminance(colour):
    """WCAG 2.2, "relative luminance"."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def palettes():
    """The custom properties by mode, each over those of light."""
    found = []
    for block in re.findall(r":root \{(.*?)\}", SHEET, re.DOTALL):
        found.append(dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)))
        assert len(found[-1]) == block.count("--")
    assert len(found) == 3
    return {"light": found[0], "dark": found[0] | found[1], "print": found[0] | found[2]}


MODES = palettes()
SEVERITIES = [one.value for one in Severity]
CELLS = [days.OBSERVED, days.PART, days.UNOBSERVED, days.UNKNOWN]
FILLS = [*SEVERITIES, *CELLS]
# Text may stand on any of the plain backgrounds, and what has a background of its own on that.
TEXTS = ("ink", "soft", "link")
BACKS = ("paper", "shade", "good-back", "warn-back", "bad-back")
OWN = ("good", "warn", "bad")
PAIRS = [(text, back) for text in TEXTS for back in BACKS]
PAIRS += [(text, back) for text in OWN for back in ("paper", "shade", f"{text}-back")]


def test_the_modes_say_all_colours_each():
    sheets = [set(re.findall(r"--([\w-]+):", one))
              for one in re.findall(r":root \{(.*?)\}", SHEET, re.DOTALL)]  # fmt: skip
    assert sheets[0] == sheets[1] == sheets[2]
    assert sheets[0] == {*TEXTS, *OWN, *BACKS, *FILLS, "nothing", "line"}


def test_no_other_colour_is_in_the_sheet():
    """So that the pairs are all there are: texts and backgrounds are the named ones."""
    rules = re.sub(r":root \{.*?\}", "", SHEET, flags=re.DOTALL)
    rules = re.sub(r"/\*.*?\*/", "", rules)
    assert not re.search(
        r"#[0-9a-f]{3,8}\b(?=[^{}]*[;}])|\brgba?\(|\bhsla?\(|opacity|filter", rules
    )
    colours = re.findall(r"(?<![\w-])(color|background(?:-color)?|fill): ([^;}]+)", rules)
    texts = {value.strip() for name, value in colours if name == "color"}
    assert texts == {f"var(--{name})" for name in (*TEXTS, *OWN)}
    backs = {value.strip() for name, value in colours if name.startswith("background")}
    assert backs == {f"var(--{name})" for name in (*BACKS, *SEVERITIES)}  # the last: squares
    fills = {value.strip() for name, value in colours if name == "fill"}
    assert fills == {f"var(--{name})" for name in (*FILLS, "nothing", "ink")}


@pytest.mark.parametrize("mode", MODES)
def test_text_can_be_read(mode):
    found = MODES[mode]
    low = {f"{one} on {two}": round(contrast(found[one], found[two]), 2) for one, two in PAIRS}
    assert {name: ratio for name, ratio in low.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("mode", MODES)
def test_what_is_drawn_can_be_seen(mode):
    found = MODES[mode]
    low = {name: round(contrast(found[name], found["paper"]), 2) for name in FILLS}
    assert {name: ratio for name, ratio in low.items() if ratio < 3} == {}  # crosses are of paper
    for name in OWN:  # edges of what is told
        assert contrast(found[name], found["paper"]) >= 3


def test_the_margins_of_printed_pages_can_be_read():
    text = rendered(quiet())
    margins = re.search(r"@page \{(.*?)\n\}", text, re.DOTALL)[1]
    colours = set(re.findall(r"color: (#[0-9a-f]{6})", margins))
    assert colours
    assert all(contrast(one, "#ffffff") >= 4.5 for one in colours)


def test_pictures_have_the_colours_of_the_sheet():
    for name in (*FILLS, "nothing"):
        assert chart._COLOURS[name] == MODES["print"][name] == MODES["light"][name]


def test_equal_packets_are_equal_pages():
    tale = tales.full()
    assert rendered(tale) == rendered(tale)
    with tale.book() as book:
        assert page.render(book) != page.render(book, seed="another")


# Templates of users


def templates(tmp_path, **files):
    for name, text in files.items():
        path = tmp_path / name.replace("_", ".")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tmp_path


MAIN = """<h1>Ours</h1><div id="verification" data-live>Not verified.</div>
<p>{{ report.evidence.origin }} {{ figure(report.evidence.census, "/kind") }}</p>"""


def test_a_main_of_the_users_own_is_used(tmp_path):
    folder = templates(tmp_path, main_html_j2=MAIN)
    tree = Reader(rendered(daily(), templates=folder)).top
    (main,) = tree.all("main")
    assert [one.words() for one in main.all("h1", "p")] == [
        "Ours",
        "test.example/log period.closed",
    ]
    assert not main.all("h2", "table")


def test_a_frame_and_a_sheet_of_the_users_own_are_used(tmp_path):
    shipped = page._shipped("page.html.j2")
    frame = shipped.replace("<body>", '<body class="ours">')
    sheet = "body.ours { color: rebeccapurple }"
    folder = templates(tmp_path, page_html_j2=frame, style_css=sheet)
    text = rendered(daily(), templates=folder)
    assert '<body class="ours">' in text
    assert sheet in text
    assert "--paper" not in text
    assert len(Reader(text).top.all("h2")) >= len(page.SECTIONS)  # the shipped main


def test_templates_of_ones_own_may_include_each_other_and_extend_the_shipped(tmp_path):
    main = "{% include 'note.txt' %}" + MAIN + "{% include 'macros.html.j2' %}"
    folder = templates(tmp_path, main_html_j2=main, note_txt="<p>A {{ '<b>' }} note.</p>")
    assert "<p>A &lt;b&gt; note.</p>" in rendered(daily(), templates=folder)


FAULTS = {
    "what is not given": (MAIN + "\n{{ report.nosuch }}", "main.html.j2, line 3", "nosuch"),
    "no such name": (MAIN + "{{ nosuch }}", "main.html.j2, line 2", "nosuch"),
    "no such filter": ("\n{{ 1 | nosuch }}", "main.html.j2, line 2", "nosuch"),
    "no such file": ("{% include 'nosuch' %}", "main.html.j2, line 1", "nosuch"),
    "a file elsewhere": ("{% include '../main.html.j2' %}", "main.html.j2, line 1", ""),
    "a file of the system": ("{% include '/etc/hostname' %}", "main.html.j2, line 1", ""),
    "what is not closed": ("\n\n{% for a in b %}", "main.html.j2, line 3", "endfor"),
    "arithmetic": ("{{ 1 // 0 }}", "main.html.j2, line 1", "ZeroDivisionError"),
    "types": ("{{ 'a' + 1 }}", "main.html.j2, line 1", "TypeError"),
    "itself": ("{% include 'main.html.j2' %}", "main.html.j2, line 1", "Recursion"),
    "a class": ("{{ ''.__class__ }}", "main.html.j2, line 1", "unsafe"),
    "a class by name": ("{{ ''['__class__'] }}", "main.html.j2, line 1", "unsafe"),
    "a class by filter": ("{{ '' | attr('__class__') }}", "main.html.j2, line 1", "unsafe"),
    "a function's world": ("{{ figure.__globals__ }}", "main.html.j2, line 1", "unsafe"),
    "a function's self": ("{{ figure.__self__ }}", "main.html.j2, line 1", "unsafe"),
    "a format": ("{{ '{0.__class__}'.format(report) }}", "main.html.j2, line 1", "unsafe"),
    "a change": ("{{ records.append(1) }}", "main.html.j2, line 1", "safe"),
    "a large number of things": (
        "{% for a in range(10000000) %}{% endfor %}",
        "main.html.j2, line 1",
        "Range",
    ),
    "no UTF-8": (b"\xff\xfe", "main.html.j2", "no UTF-8"),
    "markup that is not closed": (MAIN + "<b>", "", "closes"),
    "a second main": (MAIN + "</main><main>", "", "one <main>"),
    "no place for the answer": ("<p>x</p>", "", "verification"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_a_template_is_told_with_its_file(tmp_path, name):
    text, where, why = FAULTS[name]
    folder = templates(tmp_path, main_html_j2=text)
    with pytest.raises(UsageError) as caught:
        rendered(daily(), templates=folder)
    assert str(caught.value).startswith(str(folder / where if where else folder))
    assert why in str(caught.value)
    assert "docs/reports.md" in caught.value.next_step


@pytest.mark.parametrize("text", ["</style><b>", "a::after { content: '<!--' }", "</SCRIPT>"])
def test_a_sheet_cannot_end_its_element(tmp_path, text):
    with pytest.raises(UsageError, match=re.escape("style.css has markup in it")):
        rendered(daily(), templates=templates(tmp_path, style_css=text))


def test_a_frame_without_its_parts_is_refused(tmp_path):
    shipped = page._shipped("page.html.j2")
    for old in (' data-text-sha256=""', "<!doctype html>\n", "</body>"):
        folder = templates(tmp_path, page_html_j2=shipped.replace(old, "", 1))
        with pytest.raises(UsageError, match=re.escape(str(folder))):
            rendered(daily(), templates=folder)


def test_a_folder_that_replaces_nothing_is_told(tmp_path):
    (tmp_path / "other.txt").write_text("x")
    for folder in (tmp_path, tmp_path / "nosuch", tmp_path / "other.txt"):
        with pytest.raises(UsageError, match="no file that takes the place") as caught:
            rendered(daily(), templates=folder)
        assert "main.html.j2" in caught.value.next_step


def test_what_a_template_of_the_users_own_prints_is_escaped_and_made_visible(tmp_path):
    """Whatever the record says, and whichever way it is printed."""
    ways = ("{{ %s }}", "{{ %s | cut(9) }}", "{{ %s | whole }}", "{{ %s | moment }}",
            "{{ %s | day }}", "{{ %s | css }}", "{{ %s ~ '' }}", "{{ %s | upper }}")  # fmt: skip
    value = "report.findings.shown.rows[0].title"
    cells = "".join(f"<p>{one % value}</p>" for one in ways)
    tale = Tale()
    tale.opened(SHOP, 1, title="<b>\u202e\0&")
    folder = templates(tmp_path, main_html_j2=MAIN + cells)
    (main,) = Reader(rendered(tale, templates=folder)).top.all("main")
    shown = "<b>\\u{202e}\\u{0}&"
    assert [one.words() for one in main.all("p")][1:] == [
        shown, shown, shown, shown, shown, "", shown, shown.replace("<b>", "<B>"),
    ]  # fmt: skip
    assert not main.all("b")
