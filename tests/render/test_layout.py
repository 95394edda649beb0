"""The report's page in a real browser: nothing is wider than the window, and paper has it all."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess

import pytest
from support import browser as browsers
from support.browser import Browser
from support.reports import SHOP, Tale
from support.tales import full, hostile

from chalicelib.render import embed, page

WHY = browsers.missing()
TALES = {"full": full, "hostile": hostile}
PAPER = {"A4": (8.27, 11.69), "Letter": (8.5, 11)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, tale in TALES.items():
        with tale().book() as book:
            (folder / f"{name}.html").write_text(page.render(book), "utf-8")
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    if WHY is not None:
        pytest.skip(WHY)
    started = Browser(tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", TALES)
def test_the_page_is_as_wide_as_its_window(chromium, written, name, width):
    shown = chromium.page()
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    shown.call("Emulation.setDeviceMetricsOverride", **size)
    shown.open(written / f"{name}.html")
    assert shown.answer()[0] == "yes"
    assert shown.value("document.documentElement.scrollWidth") <= width
    shown.close()


@pytest.mark.parametrize("name", TALES)
def test_what_scrolls_is_reached_by_the_keyboard(chromium, written, name):
    shown = chromium.page()
    size = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    shown.call("Emulation.setDeviceMetricsOverride", **size)
    shown.open(written / f"{name}.html")
    missed = shown.value(
        """[...document.querySelectorAll("main *")].filter((one) =>
          ["auto", "scroll"].includes(getComputedStyle(one).overflowX)
          && one.scrollWidth > one.clientWidth
          && (one.tabIndex < 0 || !one.getAttribute("aria-label"))).map((one) => one.outerHTML)"""
    )
    assert missed == []
    shown.close()


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext is installed")
@pytest.mark.parametrize("size", PAPER)
def test_a_browser_prints_all_of_it(chromium, written, size):
    """Also what is folded on the screen; each page with root and number."""
    shown = chromium.page().open(written / "full.html")
    shown.answer()
    width, height = PAPER[size]
    options = {"paperWidth": width, "paperHeight": height, "preferCSSPageSize": True}
    made = base64.b64decode(shown.call("Page.printToPDF", **options)["data"])
    shown.close()
    text = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=made, capture_output=True, check=True
    ).stdout.decode()
    sheets = text.split("\f")[:-1]
    for number, sheet in enumerate(sheets, 1):
        assert re.search(r"^\s*Root [0-9a-f]{64}\s+VERIFIED", sheet), number
        assert f"{number} of {len(sheets)}" in sheet
        is_rest = number == len(sheets)
        assert is_rest or len(sheet.split()) > 25, f"page {number} is almost empty"
    words = " ".join(text.split())
    for name in ("Scans", "Findings", "Baselines", "Requests and leases"):
        assert re.search(rf"{name}: \d+ of \d+", words), name


def test_what_does_not_fit_into_the_page_is_told_all_the_same(monkeypatch):
    """A finding whose record is not embedded has its words from the book, tied to nothing."""
    tale = Tale()
    tale.opened(SHOP, 3, "F-1", title="Door left ajar", name="public.orders", before="was here")
    with tale.book() as book:
        whole = page.render(book)
        monkeypatch.setattr(embed, "MAX_RECORDS", 1)
        short = page.render(book)
    tied = r'<span data-leaf="\d+" data-at="/body/title">Door left ajar</span></h4>'
    assert re.search(tied, whole)
    assert re.search(r"<h4[^>]*>Door left ajar</h4>", short)
    for words in ("public.orders", "was here", "altered table"):
        assert words in re.sub(r"</?span[^>]*>", "", short)


def test_where_a_system_is_is_made_visible_once():
    """Also of a system that only a scan names."""
    tale = Tale()
    tale.scan(SHOP, 3, system={"database": "a\u202eb", "user": "<i>\u200b"})
    with tale.book() as book:
        text = page.render(book)
    assert "database a\\u{202e}b, user &lt;i&gt;\\u{200b}" in text


def test_the_contents_are_the_headings(written):
    text = (written / "full.html").read_text("utf-8")
    for name, title in page.SECTIONS:
        assert f'<a href="#{name}">{title}</a>' in text
        assert f'<h2 id="{name}">{title}</h2>' in text


def test_a_sample_shows_the_columns_that_people_test(written):
    text = (written / "full.html").read_text("utf-8")
    heads = re.findall(r'<thead><tr><th scope="col" class="number">Record</th>(.*?)</tr>', text)
    assert [re.findall(r">([^<]+)</th>", one)[-1] for one in heads] == [
        "findings opened",
        "ended at",
        "signed at",
        "ended at",
    ]
