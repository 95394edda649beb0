"""The page on paper: what is on it, and that equal pages are equal bytes."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from support import tales

from chalicelib.kernel.errors import ConfigError
from chalicelib.render import page, pdf


def lacking():
    try:
        pdf.needed()
    except ConfigError as error:
        return error.message
    return None


WHY = lacking()
pytestmark = [
    pytest.mark.skipif(WHY is not None, reason=WHY or ""),
    # WeasyPrint leaves the file of its colour profile to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed file.*sRGB2014:ResourceWarning"),
]


@pytest.fixture(scope="module")
def paper():
    with tales.full().book() as book:
        html = page.render(book)
        identifier = book.verified.verdict.packet[:32]
    return html, pdf.printed(html, identifier=identifier), identifier


def read(data, tmp_path, program, *words):
    """What a program of Poppler says of it."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here to read a PDF with")
    path = tmp_path / "r.pdf"
    path.write_bytes(data)
    rest = ("-",) if program == "pdftotext" else ()
    done = subprocess.run(
        [program, *words, str(path), *rest], capture_output=True, check=True, timeout=60
    )
    return done.stdout.decode()


def test_equal_pages_are_equal_papers(paper):
    html, data, identifier = paper
    assert pdf.printed(html, identifier=identifier) == data
    other = "f" * 32
    assert pdf.printed(html, identifier=other) != data


def test_it_says_that_it_is_an_archive_s_and_tagged(paper, tmp_path):
    assert re.search(r"part>3<|part=\"3\"", read(paper[1], tmp_path, "pdfinfo", "-meta"))
    assert re.search(r"Tagged:\s+yes", read(paper[1], tmp_path, "pdfinfo"))


def test_the_pages_have_the_root_and_their_numbers(paper, tmp_path):
    html, data, _ = paper
    said = read(data, tmp_path, "pdftotext", "-layout")
    root = re.search(r"Root ([0-9a-f]{64})", html)[1]
    pages = said.split("\f")[:-1]
    assert len(pages) > 1
    for number, one in enumerate(pages, 1):
        assert f"Root {root}" in one
        assert f"{number} of {len(pages)}" in one


def test_what_the_page_says_is_on_paper(paper, tmp_path):
    said = " ".join(read(paper[1], tmp_path, "pdftotext", "-layout").split())
    for heading in re.findall(r"<h2[^>]*>([^<]+)</h2>", paper[0]):
        if heading != "Contents":
            assert heading in said
    assert "This page has not verified itself" in said
