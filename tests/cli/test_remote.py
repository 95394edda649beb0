"""The same verbs here and over the API: a real server, a real store, a real database."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import zipfile
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from support import listening, peer

from chalicelib import settings, wiring
from chalicelib.cli.app import shared
from chalicelib.cli.counter import Counter
from chalicelib.http.guard import READ, STREAM
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.record import Actor, Draft
from chalicelib.local.clock import SystemClock
from chalicelib.local.queue import SqliteQueue


class Bell:
    """Wakes the worker."""

    def __init__(self):
        self.rung = threading.Event()

    def ring(self):
        self.rung.set()


class Service:
    """The API of a store on a port of its own, and a worker."""

    def __init__(self, folder):
        self.folder = folder
        held = wiring.connect(settings.load(folder / "holdfast.toml"))
        self.lines, self.bell = [], Bell()
        self.queue = SqliteQueue(folder / ".holdfast" / "queue.db", held.desk.clock)
        self.desk = held.desk
        self.counter = Counter(lambda: held, self.queue, self.bell, held.desk.journal)
        self.server = self.counter.open(("127.0.0.1", 0), self.lines.append)
        self.url = f"http://127.0.0.1:{self.server.effective_port}"
        self.ended = threading.Event()
        self.idle = threading.Event()  # while it is set, nobody works
        self.dead = False  # whether every attempt has ended without an answer
        self.worker = threading.Thread(target=self._work)
        self.worker.start()

    def _work(self):
        while True:
            self.bell.rung.wait()
            self.bell.rung.clear()  # before the look, or a ring after it would be lost
            if self.ended.is_set():
                return
            while not self.idle.is_set() and (found := self.queue.receive(10)):
                for one in found:
                    self.lines += self.counter.other(one.message, self.desk, dead=self.dead)
                    self.queue.delete(one.handle)

    def close(self):
        self.ended.set()
        self.bell.ring()
        self.worker.join()
        listening.close(self.server)

    def routes(self):
        return [line["route"] for line in self.lines if line.get("event") == "request"]


@contextmanager
def served(run):
    """``run.away(…)``: the same command over the API, as somebody with every role."""
    service = Service(run.home)
    try:
        yield service
    finally:
        service.close()


ROLES = ("engineer", "approver", "auditor", "operator")


@pytest.fixture
def over(signed, monkeypatch, tmp_path):
    """``over(words)`` asks the API from an empty folder; ``over.here(words)`` the store itself."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = [word for role in ROLES for word in ("--role", role)]
    with served(signed) as service:

        def here(*words, **options):
            monkeypatch.chdir(signed.home)
            monkeypatch.delenv("HOLDFAST_TOKEN", raising=False)
            return signed(*words, **options)

        def away(*words, person="ana", expect=0):
            monkeypatch.chdir(elsewhere)
            monkeypatch.setenv("HOLDFAST_TOKEN", tokens[person])
            return signed("--api", service.url, *words, expect=expect)

        tokens = {
            person: here("--as", person, "token", *words).out.strip()
            for person in ("ana", "ben", "chloe", "dora")
        }
        away.here, away.service, away.tokens, away.elsewhere = here, service, tokens, elsewhere
        away.run = signed
        yield away


@pytest.fixture
def drifted(over, database):
    database.run(
        "ALTER TABLE orders DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE orders ADD COLUMN note text",
        'CREATE VIEW "e\x1b[31mvil\nview" AS SELECT 1 AS one',
    )
    over.here("scan", "orders", expect=1)
    return over


def tomorrow():
    return (SystemClock().now() + timedelta(days=1)).date().isoformat()


def ids(run, **where):
    rows = run("drift", "ls", "--json").json
    return [row["id"] for row in rows if all(row[key] == value for key, value in where.items())]


MOMENT = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z")
READS = [
    ("target", "ls"),
    ("drift", "ls"),
    ("drift", "ls", "orders"),
    ("drift", "ls", "postgres:orders", "orders"),
    ("baseline", "show", "orders"),
    ("baseline", "verify", "orders"),
    ("evidence", "ls", "--target", "orders"),
    ("evidence", "ls", "--target", "orders", "--last", "3"),
    ("evidence", "ls", "--kind", "scan"),
    ("evidence", "ls", "--kind", "finding.suppressed"),
]


@pytest.mark.parametrize("words", READS, ids=" ".join)
@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
def test_what_is_read_is_the_same_both_ways(drifted, words, how):
    [column] = ids(drifted.here, kind="column")
    reason = ("--until", tomorrow(), "--reason", "INC-1: a person's words")
    drifted.here("--as", "dora", "drift", "suppress", column, *reason)
    drifted.here("--as", "dora", "baseline", "propose", "orders", "--comment", "as it is")
    here = drifted.here(*words, *how)
    away = drifted(*words, *how)
    assert here.out
    assert away.out == here.out
    if "evidence" not in words:
        assert away.err == here.err
    else:  # the log holds the record of the asking
        assert re.sub(" of [0-9]+ ", " of n ", away.err) == re.sub(
            " of [0-9]+ ", " of n ", here.err
        )


def test_a_baseline_and_a_proposal_tell_their_own_objects(drifted):
    drifted("baseline", "propose", "orders")
    told = drifted("baseline", "show", "orders", "--json").json
    [signed, proposed] = re.findall(
        r"objects +(\d+): .*?(\d+) columns?", drifted("baseline", "show", "orders").out
    )
    for (total, columns), counted in ((signed, told["signed"]), (proposed, told["objects"])):
        assert (int(total), int(columns)) == (sum(counted.values()), counted["column"])
    assert int(proposed[1]) > int(signed[1])
    assert f"objects      {signed[0]}: " in drifted("baseline", "verify", "orders").out


def test_one_finding_and_one_record_are_the_same_both_ways(drifted):
    for found in ids(drifted.here):
        for how in ((), ("--json",)):
            words = ("drift", "show", found[:14], *how)
            assert drifted(*words).out == drifted.here(*words).out
    for record in (0, 3, 7):
        assert (
            drifted("evidence", "show", record).out == drifted.here("evidence", "show", record).out
        )
    assert drifted("evidence", "checkpoint").out.startswith("holdfast")


FAILURES = [
    ("drift", "show", "F-0000"),
    ("drift", "ls", "nothing"),
    ("drift", "ls", "No Name"),
    ("baseline", "show", "nothing"),
    ("baseline", "verify", "nothing"),
    ("baseline", "approve", "orders"),
    ("baseline", "approve", "orders", "--proposal", "B-012345"),
    ("evidence", "ls", "--target", "../.."),
    ("drift", "suppress", "F-0000", "--until", "2999-12-31", "--reason", "INC-1"),
    ("drift", "accept", "F-0000", "--reason", "INC-1"),
]


@pytest.mark.parametrize("words", FAILURES, ids=" ".join)
def test_failures_are_the_same_both_ways(over, words):
    here = over.here(*words, expect=None)
    away = over(*words, expect=None)
    assert here.code != 0
    assert (away.code, away.out, away.err) == (here.code, here.out, here.err)


def test_a_target_that_is_not_there_is_not_scanned(over):
    for words in (("nothing",), ("orders", "nothing")):
        here, away = over.here("scan", *words, expect=2), over("scan", *words, expect=2)
        assert (away.out, here.out) == ("", "")
        assert "no target postgres:nothing" in away.err
        assert "no target nothing" in here.err
    assert "scan_start" not in over.service.routes()


def test_without_a_baseline_nobody_can_tell(shop, monkeypatch):
    token = shop("--as", "ana", "token").out.strip()
    with served(shop) as service:
        monkeypatch.setenv("HOLDFAST_TOKEN", token)
        for words in (("baseline", "show", "orders"), ("baseline", "verify", "orders")):
            here = shop(*words, expect=3)
            away = shop("--api", service.url, *words, expect=3)
            assert (away.err, away.out) == (here.err, here.out)


def plain(answer):
    """An answer without moments and places in the log, which no two scans share."""
    value = json.loads(MOMENT.sub("T", answer.out))
    for result in value["results"]:
        del result["record"]
    return value


def test_a_scan_says_the_same_both_ways(drifted, database):
    here = drifted.here("scan", "orders", "--json", expect=1)
    away = drifted("scan", "orders", "--json", expect=1)
    assert plain(away) == plain(here)
    assert list(away.json["results"][0]) == list(here.json["results"][0])
    database.run("ALTER TABLE orders DROP COLUMN note")
    away = drifted("scan", expect=1)
    here = drifted.here("scan", expect=1)
    assert "1 closed" in away.out
    cut = re.compile(r"  record [0-9]+|, 1 closed")
    assert cut.sub("", away.out) == cut.sub("", here.out)
    assert away.err == here.err
    [entry] = drifted.here("evidence", "ls", "--kind", "scan", "--json").json[-2:-1]
    assert entry["actor"] == {"name": "ana", "via": "asserted"}


def test_what_cannot_be_reached_is_unknown_both_ways(over, monkeypatch):
    monkeypatch.setenv("ORDERS_DSN", "host=127.0.0.1 port=1 dbname=x user=x connect_timeout=1")
    here = over.here("scan", "orders", "--json", expect=3)
    away = over("scan", "orders", "--json", expect=3)
    left, right = plain(here), plain(away)
    left["results"][0]["failure"]["next_step"] = ""  # no record has it
    assert right == left


def test_what_nobody_finished_is_a_failure(over):
    over.service.dead = True
    answer = over("scan", "orders", "--json", expect=3).json
    assert answer["results"] == []
    [failure] = answer["failures"]
    assert (failure["target"], failure["code"]) == ("postgres:orders", "overdue")
    assert "every attempt" in over("baseline", "propose", "orders", expect=3).err
    day = SystemClock().now().date().isoformat()
    words = ("evidence", "packet", "--from", day, "--to", day, "-o", "one.zip")
    assert "every attempt" in over(*words, expect=3).err
    assert list(over.elsewhere.iterdir()) == []


def test_decisions_over_the_api_are_those_of_their_people(drifted):
    [view] = ids(drifted.here, kind="view") or ids(drifted.here, kind="table")[:1]
    words = ("drift", "suppress", view, "--until", tomorrow(), "--reason", "INC-1", "--json")
    done = drifted(*words, person="dora")
    assert done.json == [
        {"target": "postgres:orders", "findings": [view], "until": done.json[0]["until"]}
    ]
    assert "suppressed through" in done.err
    assert drifted.here("drift", "show", view, "--json").json["by"] == "dora"
    [column] = ids(drifted.here, kind="column", attribute="")
    accepted = drifted("drift", "accept", column, "--reason", "the note field", "--json").json
    proposal = accepted[0]["proposal"]
    refused = drifted("baseline", "approve", "orders", "--proposal", proposal, expect=2)
    assert "cannot approve" in refused.err
    once = drifted("baseline", "approve", "orders", person="ben")
    assert "approved by 1 of 2 people" in once.err
    final = drifted("baseline", "approve", "orders", "--json", person="chloe")
    assert "signed and in force" in final.err
    assert final.json["baseline"]["proposal"] == proposal
    names = [one["actor"]["name"] for one in drifted.here("evidence", "ls", "--json").json]
    assert {"ana", "ben", "chloe", "dora"} <= set(names)


def test_a_proposal_is_read_by_a_worker(drifted):
    answer = drifted("baseline", "propose", "orders", "--comment", "as it is", "--json")
    assert answer.json["proposal"]["comment"] == "as it is"
    assert answer.json["proposal"]["by"] == {"name": "ana", "via": "asserted"}
    again = drifted("baseline", "propose", "orders", expect=2)
    drifted("baseline", "propose", "orders", "--replace", person="ben")
    here = drifted.here("--as", "ana", "baseline", "propose", "orders", expect=2)
    assert again.err.split("by")[0].split("B-")[0] == here.err.split("by")[0].split("B-")[0]


def test_who_one_is(over):
    assert over("whoami", "--json").json == {
        "principal": "person:ana",
        "kind": "person",
        "name": "ana",
        "via": "asserted",
        "groups": [],
        "roles": sorted(ROLES),
    }
    assert "person:ana" in over("whoami").out
    assert "person:eve" in over.here("--as", "Eve", "whoami").out


def test_a_packet_is_fetched_whole_and_verifies(over, tmp_path):
    day = SystemClock().now().date().isoformat()
    words = ("evidence", "packet", "--from", day, "--to", day)
    answer = over(*words, "-o", "one.zip", "--json").json
    data = (over.elsewhere / "one.zip").read_bytes()
    assert hashlib.sha256(data).hexdigest() == answer["file_sha256"]
    assert len(data) == answer["size_bytes"]
    with zipfile.ZipFile(over.elsewhere / "one.zip") as packet:
        assert packet.testzip() is None
    verified = over.here("evidence", "verify", over.elsewhere / "one.zip", "--json", expect=None)
    assert verified.json["packet"] == answer["packet"]
    assert verified.json["verdict"] == answer["verdict"]
    over(*words, "-o", "one.zip", expect=2)
    assert "written to two.zip" in over(*words, "-o", "two.zip").err
    over(*words, "-o", "three.zip", "--offline", expect=2)
    trust = over.here("evidence", "trust").out
    (over.elsewhere / "trust").write_text(trust)
    words = ("evidence", "verify", over.elsewhere / "two.zip", "--trust", over.elsewhere / "trust")
    here, asked = over.here(*words), len(over.service.lines)
    assert over(*words).out == here.out
    assert "--trust FILE" in over("evidence", "verify", "two.zip", expect=2).err
    assert len(over.service.lines) == asked  # a packet is verified offline


def test_another_packet_than_was_built_is_not_written(over):
    day = SystemClock().now().date().isoformat()

    def spoil(head, answer):
        if b"/content?" not in head:
            return answer
        return answer[:-1] + bytes([answer[-1] ^ 1])

    over("whoami")
    words = ("evidence", "packet", "--from", day, "--to", day, "-o", "one.zip")
    with proxied(over, spoil) as proxy:
        refused = over.run("--api", proxy.url, *words, expect=1)
    assert "SHA-256" in refused.err
    assert list(over.elsewhere.iterdir()) == []
    [content] = [head for head, _ in proxy.seen if b"/content?" in head]
    assert b"authorization" not in content.lower()


def test_records_of_reading_name_the_reader(over):
    before = len(over.here("evidence", "ls", "--kind", "evidence.read", "--json").json)
    over("evidence", "ls", "--last", "1", person="dora")
    read = over.here("evidence", "ls", "--kind", "evidence.read", "--json").json
    assert len(read) == before + 1
    assert read[-1]["actor"]["name"] == "dora"


def test_the_newest_records_come_in_pages_and_are_shown_oldest_first(over):
    at = timestamp(SystemClock().now())
    body = {"what": "record", "asked": {}, "request": "r"}
    drafts = [Draft(READ, STREAM, at, Actor("ana", "os"), body) for _ in range(450)]
    over.service.desk.journal.append(drafts)
    rows = over("evidence", "ls", "--last", "405", "--json").json
    assert len(rows) == 405
    indexes = [row["record"] for row in rows]
    assert indexes == sorted(indexes)
    assert len(set(indexes)) == 405


REFUSED = [
    ("init",),
    ("target", "add", "x", "--dsn-env", "X"),
    ("evidence", "fsck"),
    ("evidence", "repair"),
    ("token",),
    ("rules",),
    ("serve", "--once"),
    ("scan", "host=localhost dbname=x"),
]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_other_verbs_say_where_they_work(over, words):
    assert "not over the API" in over(*words, expect=2).err


def test_nobody_else_is_asserted_over_the_api(over, monkeypatch):
    answer = over.run("--as", "ben", "--api", over.service.url, "whoami", expect=2)
    assert "--as and HOLDFAST_AS are refused" in answer.err
    monkeypatch.setenv("HOLDFAST_AS", "ben")
    assert "refused" in over("whoami", expect=2).err


def test_who_has_no_token_or_a_wrong_one_is_told(over, monkeypatch):
    over("whoami")
    monkeypatch.setenv("HOLDFAST_TOKEN", "")
    asked = len(over.service.lines)
    assert "HOLDFAST_TOKEN" in over.run("--api", over.service.url, "whoami", expect=2).err
    monkeypatch.setenv("HOLDFAST_TOKEN", "two words")
    assert "two words" not in over.run("--api", over.service.url, "whoami", expect=3).err
    assert len(over.service.lines) == asked
    forged = over.tokens["ana"][:-6] + "AAAAAA"
    monkeypatch.setenv("HOLDFAST_TOKEN", forged)
    refused = over.run("--api", over.service.url, "whoami", expect=2)
    assert forged not in refused.err + refused.out
    assert "signature" in refused.err or "token" in refused.err


def test_a_token_in_a_file_is_its_owners_alone_and_read_again(over, monkeypatch):
    over("whoami")
    monkeypatch.delenv("HOLDFAST_TOKEN")
    path = over.elsewhere / "token"
    path.write_text(over.tokens["ben"] + "\n")
    words = ("--api", over.service.url, "--token-file", path, "whoami", "--json")
    path.chmod(0o640)
    assert "open to others: mode 0640" in over.run(*words, expect=3).err
    path.chmod(0o600)
    assert over.run(*words).json["name"] == "ben"
    path.write_text(over.tokens["chloe"])
    assert over.run(*words).json["name"] == "chloe"
    over.run("--api", over.service.url, "--token-file", over.elsewhere, "whoami", expect=3)
    over.run("--api", over.service.url, "--token-file", over.elsewhere / "no", "whoami", expect=3)
    over.run("--token-file", path, "whoami", expect=2)


def test_who_may_not_is_told_so(over, monkeypatch):
    auditor = over.here("--as", "aud", "token", "--role", "auditor").out.strip()
    monkeypatch.setenv("HOLDFAST_TOKEN", auditor)
    refused = over.run("--api", over.service.url, "scan", "orders", expect=2)
    assert "person:aud may not do scan:start" in refused.err


def test_the_address_may_stand_in_the_environment(over, monkeypatch):
    over("whoami")
    monkeypatch.setenv("HOLDFAST_API", over.service.url + "/")
    assert over.run("whoami", "--json").json["name"] == "ana"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "http://10.0.0.1:8420",
        "ftp://127.0.0.1",
        "http://ana:secret@127.0.0.1:8420",
        "http://127.0.0.1:8420?x=y",
        "http://127.0.0.1:8420#x",
        "127.0.0.1:8420",
    ],
)
def test_other_addresses_are_refused(holdfast, monkeypatch, url):
    monkeypatch.setenv("HOLDFAST_TOKEN", "t")
    refused = holdfast("--api", url, "whoami", expect=2)
    assert "secret" not in refused.err


def test_the_end_of_the_address_says_how_one_signs_in(holdfast, tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_TOKEN", "t")
    path = tmp_path / "token"
    path.touch()
    url = "https://127.0.0.1:1/iam"
    words = ("--api", url, "--token-file", path, "whoami")
    assert "takes AWS credentials" in holdfast(*words, expect=2).err


class Proxy:
    """Passes requests on, a connection each; ``change(head, answer)`` says what comes back."""

    def __init__(self, port, change):
        self.port, self.change, self.seen = port, change, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            with near, suppress(OSError):
                self._pass(near)

    def _pass(self, near):
        near.settimeout(30)
        head, body = peer.receive(near)
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as far:
            far.sendall(head + b"\r\n\r\n" + body)
            answer = b""
            while piece := far.recv(65_536):
                answer += piece
        self.seen.append((head, answer))
        near.sendall(self.change(head, answer))

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@contextmanager
def proxied(over, change):
    proxy = Proxy(over.service.server.effective_port, change)
    try:
        yield proxy
    finally:
        proxy.close()


def test_what_was_lost_on_the_way_happened_once(drifted, monkeypatch):
    over = drifted
    monkeypatch.setattr(shared, "pause", lambda _seconds: None)
    [column] = ids(over.here, kind="column", attribute="")
    over("whoami")
    words = ("drift", "suppress", column, "--until", tomorrow(), "--reason", "INC-1", "--json")
    lost = [b"", b"HTTP/1.1 200"]
    with proxied(over, lambda _head, answer: lost.pop() if lost else answer) as proxy:
        answer = over.run("--api", proxy.url, *words)
    assert answer.json[0]["findings"] == [column]
    assert len(proxy.seen) == 3
    keys = {re.search(rb"(?i)idempotency-key: (\S+)", head)[1] for head, _ in proxy.seen}
    assert len(keys) == 1
    assert b"Idempotent-Replayed: true" in proxy.seen[-1][1]
    kinds = [one["kind"] for one in over.here("evidence", "ls", "--json").json]
    assert kinds.count("finding.suppressed") == 1


def test_whoever_stops_waiting_does_not_stop_the_scan(over, monkeypatch):
    over.service.idle.set()

    def stop(_seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(shared, "pause", stop)
    answer = over("scan", "orders", expect=130)
    assert re.search(r"S-[0-9a-f]{27} was asked for and goes on", answer.err)
    assert "holdfast drift ls orders" in answer.err
