"""What an enemy does to a report: to its page, to its packet, to its filter, to its templates."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from evidence.parcel import DAY, NOW, believing
from support import browser as browsers
from support import tales
from support.browser import Browser
from support.reports import CLOUD, SHOP, Tale

from chalicelib.cli import packet as cli
from chalicelib.evidence import layout, verified
from chalicelib.kernel.errors import DigestMismatch, UsageError
from chalicelib.render import exceptions, page, picks

WHY = browsers.missing()
in_a_browser = pytest.mark.skipif(WHY is not None, reason=WHY or "")


@pytest.fixture(scope="module")
def real():
    with tales.full().book() as book:
        return page.render(book)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


def daily():
    """A day with a time of the schedule, and a scan."""
    tale = Tale()
    tale.tick(0, SHOP)
    tale.scan(SHOP, 0)
    return tale


def words(text):
    """What a page says, without its styles and programs."""
    text = re.sub(r"(?s)<(script|style|svg).*?</\1>", "", text)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


# Outside of <main>, where a digest over it alone would see nothing.
AROUND = {
    "a style": ("</head>", "<style>h1::after{content:' CERTIFIED'}</style></head>"),
    "a style in the body": ("</main>", "</main><style>.figures{display:none}</style>"),
    "a cover": ("<body>", '<body><p style="position:fixed;inset:0;background:#fff">Well.</p>'),
    "a text": ("</main>", "</main>CERTIFIED"),
    "a picture": ("</main>", "</main><svg><text>CERTIFIED</text></svg>"),
    "the title": ("<title>", "<title>CERTIFIED "),
    "a link": ('class="skip" href="#content"', 'class="skip" href="https://example.com"'),
    "the base of links": ("<head>", '<head><base href="https://example.com/">'),
    "the policy": ("default-src &#39;none&#39;", "default-src *"),
    "the body": ("<body>", '<body style="visibility:hidden">'),
    "the page's direction": ('<html lang="en"', '<html lang="en" dir="rtl"'),
    "where the report stands": ("<main ", "<div hidden><main "),
    "how many it shows": ('"shown":', '"shown":9'),
    "the packet": ('"packet":"', '"packet":"0'),
    "what kind of page it is": ("<!doctype html>\n", ""),
}


@in_a_browser
def test_nothing_around_the_report_is_changed_unseen(chromium, tmp_path, real):
    path, one, said = tmp_path / "page.html", chromium.page(), {}
    for name, (old, new) in {"nothing": ("<body>", "<body>"), **AROUND}.items():
        assert real.count(old) >= 1, name
        path.write_text(real.replace(old, new, 1), encoding="utf-8")
        said[name] = one.open(path).answer()[0]
    one.close()
    assert said == {"nothing": "yes", **dict.fromkeys(AROUND, "no")}


@in_a_browser
@pytest.mark.parametrize("mode", ["open", "closed"])
def test_nothing_is_shown_in_place_of_what_is_verified(chromium, tmp_path, real, mode):
    """A declared shadow root is shown instead of the element's content, which stays as it was."""
    path, one = tmp_path / "page.html", chromium.page()
    shadow = f'<template shadowrootmode="{mode}">All is well.<slot></slot></template>'
    for place in ("<body>", "<h1>", re.search("<main [^>]*>", real)[0]):
        path.write_text(real.replace(place, place + shadow, 1), encoding="utf-8")
        one.open(path).answer()
        tree = one.call("DOM.getDocument", depth=-1, pierce=True)
        assert "All is well." not in str(tree), place
    one.close()


@pytest.mark.parametrize(
    ("kinds", "told", "never"),
    [
        (("lease",), "not told findings", ("No finding was", "0 findings", "were there before")),
        (("scan",), "not told requests", ("No request is", "before this period", "No baseline")),
        (("access",), "not told here", ("no: pending",)),
        (("baseline.proposed",), "not told here; 1 needed", ("nobody;",)),
        (("access.requested",), "a review is not told here", ("nobody;", "nobody looked")),
    ],
)
def test_what_a_filter_leaves_out_does_not_read_as_none(kinds, told, never):
    with tales.full().book(kinds=kinds) as book:
        said = words(page.render(book))
    assert told in said
    for one in never:
        assert one not in said, one


def test_a_suppressed_finding_may_be_gone_where_no_closing_is_told():
    tale = Tale()
    tale.opened(SHOP, 1)
    tale.suppressed(SHOP, 2)
    with tale.book(kinds=("finding.opened", "finding.suppressed")) as book:
        assert picks.report(book).findings.by_disposition == {"untold": 1}


def test_findings_from_before_may_be_gone_where_no_closing_is_told():
    tale = Tale()
    tale.scan(SHOP, 1, "drift", findings=[("F-0", "open")])
    with tale.book(kinds=("finding.opened",)) as book:
        assert [one.disposition for one in exceptions.exceptions(book)] == ["untold"]


def test_a_finding_that_comes_back_while_its_opening_is_left_out():
    tale = Tale()
    for hour in (1, 3):
        tale.opened(CLOUD, hour)
        tale.scan(CLOUD, hour, "drift", due=False, findings=[("F-1", "open")])
        if hour == 1:
            tale.closed(CLOUD, 2)
    with tale.book(kinds=("finding.closed",)) as book:
        found = picks.report(book).findings
        assert (found.carried, found.carried_open) == (1, 1)


def test_a_checkpoint_that_is_another_one_by_the_time_it_is_read_again():
    archive = daily().archive
    data = archive.packet(DAY)
    stream = io.BytesIO(data)
    held = verified.read(stream, archive.policy, now=NOW, checker=believing)
    entries = held._objects.entries
    last, other = (entries[layout.checkpoint(n)] for n in (held.head.top, held.head.range.last))
    assert last.name != other.name
    swapped = {**entries, last.name: last._replace(offset=other.offset, size=other.size)}
    objects = held._objects._replace(entries=swapped)
    leaves = (held._indices, held._hashes)
    with pytest.raises(DigestMismatch):
        verified.Verified(stream, objects, held.verdict, archive.policy, leaves)


def test_a_walk_that_is_given_up_ends_in_peace():
    with tales.full().book() as book:
        rows = book.walk("SELECT leaf FROM record")
        next(rows)
    rows.close()  # pytest takes an error here for one, where nobody could catch it


def test_a_template_of_the_users_own_replaces_one_file(tmp_path):
    (tmp_path / "style.css").write_text("h1 { color: #123456 }")
    with daily().book() as book:
        assert "#123456" in page.render(book, templates=tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% include 'link.txt' %}", "leads out of the folder"),
        ("{{ [1, 2, 3] | random }}", "main.html.j2, line 1"),
        ("{{ lipsum() }}", "lipsum"),
        ("{{ report.evidence.origin.__class__ }}", "line 1"),
    ],
)
def test_templates_reach_nothing_else(tmp_path, text, said):
    (tmp_path / "secret").write_text("a secret")
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "link.txt").symlink_to(tmp_path / "secret")
    (folder / "main.html.j2").write_text(text)
    with daily().book() as book, pytest.raises(UsageError, match=said):
        page.render(book, templates=folder)


@pytest.mark.parametrize("address", ["file:///etc/hostname", "http://127.0.0.1:9/x"])
def test_a_pdf_fetches_nothing_and_says_so(address):
    pytest.importorskip("weasyprint")
    from chalicelib.render import pdf

    text = f'<!doctype html><html lang="en"><title>x</title><img alt="x" src="{address}"></html>'
    with pytest.raises(UsageError, match="names no other"):
        pdf.printed(text, identifier="0" * 32)


def test_what_fails_elsewhere_is_not_told_of_the_packet(tmp_path):
    (tmp_path / "p.zip").write_bytes(b"x")
    with pytest.raises(OSError, match="full"), cli.opened(tmp_path / "p.zip"):
        raise OSError(28, "full")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Runs an export of a packet with a standard output of one's own."""
    folder = tmp_path_factory.mktemp("packet")
    tale = Tale()
    tale.tick(0, SHOP)
    archive = tale.archive
    (folder / "p.zip").write_bytes(archive.packet(DAY))
    (folder / "trust.txt").write_text(f"log {archive.verifier}\nquorum none\n")
    command = ["evidence", "export", "p.zip", "--trust", "trust.txt", "--format", "oscal"]

    def run(out):
        code = "import chalicelib.cli; chalicelib.cli.main()"
        return subprocess.run(
            [sys.executable, "-c", code, *command],
            cwd=folder, stdout=out, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip

    return run


def test_an_export_into_a_full_or_closed_output_could_not_be_told(exported):
    with Path("/dev/full").open("wb") as full:
        done = exported(full)
    assert (done.returncode, "No space left" in done.stderr) == (3, True), done.stderr
    assert "cannot read p.zip" not in done.stderr
    read, write = os.pipe()
    os.close(read)
    done = exported(write)
    os.close(write)
    assert (done.returncode, done.stderr.count("Traceback")) == (3, 0), done.stderr
