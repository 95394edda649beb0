"""``holdfast evidence report`` and ``export``: what is written, and what is not, by exit code."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from datetime import timedelta

import pytest

from chalicelib.kernel.canon import sha256
from chalicelib.local.clock import SystemClock

FORMS = ("oscal", "ocsf", "sdr")
WITNESS = (
    "witness w witness.example/w1+ca1a7e28+BDdlMYMOLlBdiiiAv1vUv7vwSGRV0HFyX8QJbL8kE8d3\nquorum w\n"
)


def days(count):
    return (SystemClock().now() + timedelta(days=count)).date().isoformat()


@pytest.fixture
def made(holdfast, monkeypatch):
    """A log of a few records, and its packet."""
    monkeypatch.setenv("NOBODY_DSN", "postgresql://nobody@127.0.0.1:1/none")
    holdfast("init")
    holdfast("target", "add", "billing", "--dsn-env", "NOBODY_DSN")
    holdfast("scan", "billing", expect=3)
    packet(holdfast, "p.zip")
    (holdfast.home / "trust.txt").write_text(holdfast("evidence", "trust").out)
    return holdfast


def packet(run, name, **options):
    days_of = ("--from", days(-1), "--to", days(0))
    return run("evidence", "packet", *days_of, "-o", name, **options)


def unwitnessed(run):
    """A trust policy that asks for a witness that saw nothing."""
    words = ("--name", "witness.example/w1", "--log", "trust.txt", "--folder", "w")
    run("witness", "init", *words)
    key = run("witness", "key", "--folder", "w").out.strip()
    own = (run.home / "trust.txt").read_text().splitlines()[0]
    (run.home / "asked.txt").write_text(f"{own}\nwitness w {key}\nquorum w\n")
    return "asked.txt"


def tampered(run, name="bad.zip"):
    """The packet with another byte in a leaf."""
    data = (run.home / "p.zip").read_bytes()
    assert data.count(b'"kind":"scan"') == 1
    (run.home / name).write_bytes(data.replace(b'"kind":"scan"', b'"kind":"skan"'))
    return name


def files(run):
    return sorted(one.name for one in run.home.iterdir())


def test_a_report_is_one_file_and_the_same_again(made):
    answer = made("evidence", "report", "p.zip", "-o", "r.html")
    assert (answer.out, answer.err.count("written to r.html")) == ("", 1)
    page = (made.home / "r.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "UNWITNESSED" not in page.partition("<main")[2].partition("<h2")[0]
    made("evidence", "report", "p.zip", "-o", "again.html", "--trust", "trust.txt")
    assert (made.home / "again.html").read_text() == page


def test_a_seed_draws_other_samples_and_is_stated(made):
    made("evidence", "report", "p.zip", "-o", "r.html", "--seed", "17 dice & a coin")
    assert "17 dice &amp; a coin" in (made.home / "r.html").read_text()


@pytest.mark.parametrize("words", [("report",), *(("export", "--format", one) for one in FORMS)])
def test_of_a_packet_that_failed_there_is_nothing(made, words):
    before = [*files(made), tampered(made)]
    answer = made("evidence", *words, "bad.zip", "-o", "out", expect=1)
    assert "FAILED" in answer.err
    assert files(made) == sorted(before)


def test_of_a_packet_that_failed_there_is_no_folder_either(made):
    before = [*files(made), tampered(made)]
    made("evidence", "export", "--format", "csv", "bad.zip", "-o", "out", expect=1)
    assert files(made) == sorted(before)


def test_a_packet_without_its_witnesses_has_a_report_that_says_so(made):
    trust = unwitnessed(made)
    answer = made("evidence", "report", "p.zip", "-o", "r.html", "--trust", trust, expect=3)
    assert "UNWITNESSED" in answer.err
    assert "<strong>UNWITNESSED.</strong>" in (made.home / "r.html").read_text()
    words = ("--format", "csv", "p.zip", "-o", "tables", "--trust", trust)
    made("evidence", "export", *words, expect=3)
    assert "UNWITNESSED" in (made.home / "tables" / "README.txt").read_text()


def test_another_key_is_not_believed(made):
    (made.home / "other.txt").write_text(
        "other.example/log+1a6413ba+AW+cV7lqaLKJYpYH6aM+/cnYvjLS6x1ZNoj6VWDOFaUv\n"
    )
    answer = made(
        "evidence", "report", "p.zip", "-o", "r.html", "--trust", "other.txt", expect=None
    )
    assert answer.code in {1, 2}
    assert not (made.home / "r.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("report", "p.zip", "-o", "p.zip"), "p.zip is there already"),
        (("report", "p.zip", "-o", "none/r.html"), "is no folder"),
        (("report", "none.zip", "-o", "r.html"), "none.zip is no file"),
        (("report", "p.zip", "-o", "r.html", "--trust", "none.txt"), "none.txt"),
        (("report", "p.zip", "-o", "r.html", "--templates", "none"), "none is no folder"),
        (("export", "p.zip", "--format", "csv"), "csv is several files"),
        (("export", "p.zip", "--format", "csv", "-o", "p.zip"), "p.zip is there already"),
        (("export", "p.zip", "--format", "csv", "-o", "none/x"), "is no folder"),
        (("export", "p.zip", "--format", "xml"), "xml"),
    ],
)
def test_what_cannot_be_done_so_is_said_and_leaves_nothing(made, words, said):
    before = {one: sha256((made.home / one).read_bytes()) for one in files(made) if "." in one[1:]}
    answer = made("evidence", *words, expect=2)
    assert said in answer.err
    after = {one: sha256((made.home / one).read_bytes()) for one in files(made) if "." in one[1:]}
    assert after == before


def test_a_template_that_cannot_be_used_names_its_file(made):
    folder = made.home / "own"
    folder.mkdir()
    (folder / "main.html.j2").write_text("{% if %}")
    words = ("-o", "r.html", "--templates", "own")
    answer = made("evidence", "report", "p.zip", *words, expect=2)
    assert "main.html.j2" in answer.err
    assert not (made.home / "r.html").exists()


@pytest.mark.parametrize("form", FORMS)
def test_an_export_goes_to_a_file_or_to_standard_output(made, form):
    out = made("evidence", "export", "p.zip", "--format", form).out
    made("evidence", "export", "p.zip", "--format", form, "-o", "out")
    assert (made.home / "out").read_text() == out
    lines = out.splitlines() if form == "ocsf" else [out]
    assert all(json.loads(line) for line in lines)
    manifest = zipfile.ZipFile(made.home / "p.zip").read("manifest.json")
    assert sha256(manifest) in out


def test_every_population_is_a_file_of_the_folder(made):
    made("evidence", "export", "p.zip", "--format", "csv", "-o", "tables")
    with (made.home / "tables" / "scans.csv").open(newline="") as stream:
        (scan,) = csv.DictReader(stream)
    assert (scan["target"], scan["outcome"]) == ("postgres:billing", "unknown")
    with (made.home / "tables" / "records.csv").open(newline="") as stream:
        kinds = [row["kind"] for row in csv.DictReader(stream)]
    leaves = zipfile.ZipFile(made.home / "p.zip").read("leaves.jsonl").splitlines()
    assert kinds == [json.loads(one)["kind"] for one in leaves]
    assert (made.home / "tables").stat().st_mode & 0o777 == 0o755


def test_without_the_extra_a_pdf_is_refused_in_words(made):
    code = (
        "import sys; sys.modules['weasyprint'] = None; "
        "import importlib.util as u; real = u.find_spec; "
        "u.find_spec = lambda name, *more: None if name == 'weasyprint' else real(name, *more); "
        "sys.argv = ['holdfast', 'evidence', 'report', 'p.zip', '-o', 'r.pdf', '--pdf']; "
        "from chalicelib import cli; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=made.home, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "WeasyPrint is needed" in done.stderr
    assert "holdfast[pdf]" in done.stderr
    assert not (made.home / "r.pdf").exists()
