from __future__ import annotations

import hashlib
import socket
from pathlib import Path

import pytest
from support.authority import END, Authority, served

from chalicelib.evidence import note, timestamp
from chalicelib.kernel.clock import timestamp as said
from chalicelib.local.clock import SystemClock
from chalicelib.local.writeonce import DirectoryWriteOnce


def now():
    return SystemClock().now().replace(microsecond=0)


@pytest.fixture
def clock():
    """An authority whose clock is right."""
    return Authority(kind="p256", at=now())


@pytest.fixture
def log(holdfast, clock):
    """A log of one record, and the authority's root beside it."""
    holdfast("init")
    (holdfast.home / "tsa.pem").write_bytes(clock.pem)
    return holdfast


def configure(run, url, roots="tsa.pem"):
    path = run.home / "holdfast.toml"
    path.write_text(path.read_text() + f'\n[timestamp]\nurl = "{url}"\nroots = "{roots}"\n')


def stored(run, size=1):
    return list(timestamp.stored(DirectoryWriteOnce(run.home / ".holdfast" / "evidence"), size))


def test_the_newest_checkpoint_is_dated_and_the_answer_kept(log, clock):
    with served(clock.answer) as (url, taken):
        configure(log, url)
        answer = log("evidence", "timestamp")
    assert answer.out.startswith(f"STAMPED  size 1: there by {said(clock.at)}, to within 1.50001 s")
    assert "CN=test clock,O=Test Time" in answer.out
    [data] = stored(log)
    kept = log("evidence", "checkpoint").out.encode()
    assert note.parse_checkpoint(note.parse(kept).text).size == 1
    assert timestamp.verify(data, kept, clock.roots).at == said(clock.at)
    [(content_type, request)] = taken
    assert content_type == "application/timestamp-query"
    assert hashlib.sha256(kept).digest() in request
    assert log("evidence", "fsck").out.startswith("VERIFIED")


def test_the_answer_is_told_to_programs(log, clock):
    with served(clock.answer) as (url, _):
        value = log("evidence", "timestamp", "--url", url, "--roots", "tsa.pem", "--json").json
        again = log("evidence", "timestamp", "--url", url, "--roots", "tsa.pem", "--json").json
    assert value["at"] == said(clock.at)
    assert value["key"].startswith("timestamp/00000000000000000001/")
    assert value["authority"] == "CN=test clock,O=Test Time"
    assert value["accuracy_microseconds"] == 1_500_007
    assert set(value) == {"size", "root", "url", "key", *timestamp.Stamp.__struct_fields__}
    assert again["key"] != value["key"]  # another nonce
    assert len(stored(log)) == 2


def test_an_accuracy_that_is_not_stated_is_not_told(log, clock):
    with served(clock.but(accuracy=b"").answer) as (url, _):
        answer = log("evidence", "timestamp", "--url", url, "--roots", "tsa.pem")
    assert "no accuracy stated" in answer.out


def test_what_is_named_on_the_command_line_comes_before_the_settings(log, clock):
    configure(log, "http://127.0.0.1:1/", "gone.pem")
    with served(clock.answer) as (url, _):
        log("evidence", "timestamp", "--url", url, "--roots", "tsa.pem")
        log("evidence", "timestamp", "--url", url, expect=2)
    assert len(stored(log)) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nonce": 1}, "another request"),
        ({"note": b"x"}, "something else"),
        ({"name": "other"}, "issuer"),
        ({"usages": []}, "time"),
        ({"status": 2, "text": "no\x1b[2J"}, "rejection, no\\u{1b}[2J"),
        ({"at": END}, "expired"),
        ({"at": END.replace(year=2035)}, "of the future"),
    ],
    ids=["nonce", "note", "root", "usage", "rejection", "expired", "future"],
)
def test_an_answer_that_does_not_verify_is_not_kept(log, clock, changes, words):
    with served(clock.but(**changes).answer) as (url, _):
        configure(log, url)
        answer = log("evidence", "timestamp", expect=1)
    assert words in answer.err
    assert answer.out == ""
    assert stored(log) == []


def test_something_else_than_a_timestamp_is_not_kept(log):
    with served(lambda _: b"<html>", content_type="text/html") as (url, _):
        assert (
            "text/html"
            in log("evidence", "timestamp", "--url", url, "--roots", "tsa.pem", expect=1).err
        )
    with served(lambda _: b"0" * 100_000) as (url, _):
        log("evidence", "timestamp", "--url", url, "--roots", "tsa.pem", expect=3)
    assert stored(log) == []


def test_an_authority_that_does_not_answer_is_could_not_tell(log, clock):
    with served(clock.answer, status=503) as (url, _):
        log("evidence", "timestamp", "--url", url, "--roots", "tsa.pem", expect=3)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    answer = log("evidence", "timestamp", "--url", url, "--roots", "tsa.pem", expect=3)
    assert "no answer from" in answer.err
    assert stored(log) == []


def test_it_says_what_to_configure(log):
    assert "[timestamp] url and roots" in log("evidence", "timestamp", expect=2).err
    log("evidence", "timestamp", "--url", "http://127.0.0.1:1/", expect=2)
    log("evidence", "timestamp", "--url", "ftp://x/", "--roots", "tsa.pem", expect=2)
    log("evidence", "timestamp", "--url", "http://127.0.0.1:1/", "--roots", "gone.pem", expect=2)
    Path("bad.pem").write_text("nothing\n")
    said = log(
        "evidence", "timestamp", "--url", "http://127.0.0.1:1/", "--roots", "bad.pem", expect=2
    ).err
    assert "bad.pem: not a PEM file" in said


def test_half_a_section_is_refused(log):
    path = log.home / "holdfast.toml"
    path.write_text(path.read_text() + '\n[timestamp]\nurl = "http://tsa.example/"\n')
    assert "url and roots, or neither" in log("evidence", "ls", expect=2).err
