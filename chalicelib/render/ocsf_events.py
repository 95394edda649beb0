"""What of records of scans and findings goes into which event of OCSF 1.8."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from chalicelib.kernel import canon
from chalicelib.kernel.errors import Malformed
from chalicelib.render import ocsf_schema
from chalicelib.render.ocsf_schema import (
    COMPLIANCE,
    DATASTORE,
    DETECTION,
    OTHER,
    Checked,
    Event,
    Found,
    Severity,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.render.book import Book
    from chalicelib.render.ocsf import Said

_SEVERITIES: Final = {
    "info": Severity.INFORMATIONAL,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}

# The controls that such a check supports: the first, and all.
_STANDARD: Final = "NIST SP 800-53 r5"
_SUPPORTS: Final = (
    "The check supports these controls; no control is satisfied by it alone. Pass says that the "
    "target was as people signed for, as far as it could be read."
)
_CHANGE: Final = ["CM-6", "CM-3", "CM-8(3)", "CA-7"]
_WATCH: Final = ["CA-7", "AU-5", "SI-4"]
_OUTCOMES: Final = {
    "clean": Checked.PASS,
    "drift": Checked.FAIL,
    "refused": Checked.FAIL,
    "unknown": Checked.WARNING,
}
_RELATIONAL: Final = ("postgres", "rds")
_EVIDENCE: Final = (
    "operation", "kind", "name", "attribute", "direction", "meaning", "before", "after", "who",
    "certainty",
)  # fmt: skip
_SCANNED: Final = (
    "scheduled_at", "baseline", "baseline_leaf", "snapshot_sha256", "root", "opened", "closed",
    "listed", "rules_sha256", "program_sha256",
)  # fmt: skip


class Rows:
    """Rows of a book as dictionaries."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self._columns: dict[str, list[str]] = {}

    def one(self, table: str, where: str, *values: Any) -> dict[str, Any] | None:
        """The first row; None, where there is none. ``table``, ``where``: of this package."""
        found = self.book.ask(f"SELECT * FROM {table} WHERE {where} LIMIT 1", values)  # noqa: S608
        if table not in self._columns:
            self._columns[table] = self.book.columns(f"SELECT * FROM {table}")  # noqa: S608
        return dict(zip(self._columns[table], found[0], strict=True)) if found else None


class Watch:
    """Makes events of scans and findings, which are given in the order of the log."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        # By target: how many findings of each severity are not closed by now.
        self._open: defaultdict[str, Counter[Severity]] = defaultdict(Counter)

    def of(self, said: Said) -> Iterator[Event]:
        """The events of a record. Raises: StoreUnavailable."""
        make = _MAKERS.get(said.kind)
        if make is not None:
            yield from make(self, said)

    def gaps(self, said: Said) -> Iterator[Event]:
        """UNOBSERVED stretches, which follow from all records. Raises: StoreUnavailable."""
        for target, start, stop, why in self._rows.book.walk(
            "SELECT target, start, stop, why FROM gap ORDER BY start, target, stop, why"
        ):
            title = f"{target} was UNOBSERVED from {start} to {stop}: {why}"
            body = {
                "resources": [ocsf_schema.resource(target)],
                "finding_info": _info(f"gap/{target}/{start}/{stop}/{why}", title, "UNOBSERVED"),
                **_compliance(OTHER, "UNOBSERVED", _WATCH, why, "UNOBSERVED"),
                **ocsf_schema.times(start_time=start, end_time=stop),
            }
            yield Event(
                of=COMPLIANCE,
                activity=ocsf_schema.CREATE,
                body=body,
                message=title,
                severity=Severity.UNKNOWN,
                at=stop,
                beside={"follows_from": "all records of the packet", "closed_by": said.actor},
            )

    def scan(self, said: Said) -> Iterator[Event]:
        """That a target was read, and what came of it; or that it was not."""
        row = self._rows.one("scan", "leaf = ?", said.leaf)
        if row is None:
            return
        if row["outcome"] != "missed":
            yield self._read(said, row)
        yield self._compared(row)

    def _read(self, said: Said, row: dict[str, Any]) -> Event:
        target, source = row["target"], _json(row["source"])
        user: dict[str, Any] = {"name": said.actor}
        if row["ran_as"]:
            user["account"] = {"name": row["ran_as"], "type": "Other", "type_id": OTHER}
        read = Status.SUCCESS if row["read_at"] else Status.UNKNOWN
        how = Status.FAILURE if row["failure"] else read
        body = {
            "actor": {**ocsf_schema.actor(said.actor, said.tool), "user": user},
            "src_endpoint": {"name": "holdfast", "svc_name": said.tool},
            "dst_endpoint": {"name": target},
            **_datastore(target, source),
            "query_info": self._asked(said, row),
            **ocsf_schema.status(how, row["failure"] or row["outcome"]),
            **ocsf_schema.times(start_time=row["started_at"], end_time=said.at),
        }
        return Event(
            of=DATASTORE,
            activity=ocsf_schema.QUERY,
            body=body,
            message=f"{target} was scanned: {row['queries']} questions, {row['rows']} rows",
            severity=Severity.MEDIUM if how is Status.FAILURE else Severity.INFORMATIONAL,
            at=row["started_at"],
            beside={"source_system": source, "objects": row["objects"]},
        )

    def _asked(self, said: Said, row: dict[str, Any]) -> dict[str, Any]:
        texts = row["questions_sha256"]
        queries = [
            {"name": name, "sha256": sha256, "rows": rows}
            for name, sha256, rows in self._rows.book.walk(
                "SELECT name, sha256, rows FROM query WHERE leaf = ? ORDER BY number", [said.leaf]
            )
        ]
        where = (
            f"their exact texts are the packet's question/sha256/{texts}" if texts else "no text"
        )
        return {
            "name": "scan",
            "uid": texts or f"record {said.leaf}",
            "query_string": f"{len(queries)} questions; {where}",
            "data": {"rows": row["rows"], "queries": queries},
            **ocsf_schema.times(query_time=row["read_at"] or row["started_at"]),
        }

    def _compared(self, row: dict[str, Any]) -> Event:
        """What a scan says of the target and its baseline.

        Its severity, where it does not pass: the worst of the findings that are not closed by then.
        """
        target, outcome = row["target"], row["outcome"]
        how = _OUTCOMES.get(outcome, Checked.UNKNOWN)
        left = [rank for rank, count in self._open[target].items() if count > 0]
        title = f"{target}, compared with its signed baseline: {outcome}"
        held = f"baseline {row['baseline']}" if row["baseline"] else "no baseline was compared"
        uid = f"scan/{target}/{row['leaf']}"
        body = {
            "resources": [ocsf_schema.resource(target)],
            "finding_info": _info(uid, title, "baseline", row["recorded_at"]),
            **_compliance(
                how, how.name.capitalize(), _CHANGE, row["failure"] or held, str(outcome)
            ),
        }
        is_pass = how is Checked.PASS
        return Event(
            of=COMPLIANCE,
            activity=ocsf_schema.CREATE,
            body=body,
            message=title,
            severity=Severity.INFORMATIONAL if is_pass else max(left, default=Severity.UNKNOWN),
            beside={name: row[name] for name in _SCANNED},
        )

    def opened(self, said: Said) -> Iterator[Event]:
        """A finding was opened."""
        row = self._rows.one("finding", "leaf = ?", said.leaf)
        if row is None:
            return
        self._open[row["target"]][_severity(row)] += 1
        message = f"{row['title']}: {row['name']}"
        yield self._found(said, row, ocsf_schema.CREATE, Found.NEW, message)

    def changed(self, said: Said) -> Iterator[Event]:
        """A finding was attributed, suppressed, or closed."""
        told = self._rows.one("finding_event", "leaf = ?", said.leaf)
        if told is None:
            return
        row = self._rows.one(
            "finding",
            "target = ? AND id = ? AND leaf < ? ORDER BY leaf DESC",
            told["target"],
            told["finding"],
            said.leaf,
        )
        row = row or _earlier(told)
        is_closed = told["event"] == "closed"
        if is_closed and row["leaf"] is not None:
            self._open[row["target"]][_severity(row)] -= 1
        since = said.leaf if told["event"] == "suppressed" else row["suppressed_leaf"]
        is_suppressed = since is not None and since <= said.leaf
        how = Found.RESOLVED if is_closed else Found.SUPPRESSED if is_suppressed else Found.NEW
        message = f"{row['title']}: {told['event']}: {told['words']}"
        activity = ocsf_schema.CLOSE if is_closed else ocsf_schema.UPDATE
        yield self._found(said, row, activity, how, message)

    def _found(
        self, said: Said, row: dict[str, Any], activity: int, how: Found, message: str
    ) -> Event:
        target = row["target"]
        rule = row["rule"] or "not told"
        info = _info(row["id"], row["title"], row["direction"] or "change", row["opened_at"])
        body = {
            "finding_info": {
                **info,
                "analytic": {"name": rule, "uid": rule, "type": "Rule", "type_id": 1},
                **ocsf_schema.times(modified_time=said.at),
            },
            "evidences": [_evidence(row)],
            "resources": [{**ocsf_schema.resource(target), "name": row["name"] or target}],
            "status_id": int(how),
            "status": how.name.capitalize(),
            "status_detail": message,
            "is_alert": activity == ocsf_schema.CREATE,
            **ocsf_schema.times(start_time=row["not_before"], end_time=row["not_after"]),
        }
        until = row["suppressed_until"] if how is Found.SUPPRESSED else None
        accepted = row["accepted_by"] if how is Found.RESOLVED else None
        return Event(
            of=DETECTION,
            activity=activity,
            body=body,
            message=message,
            severity=_severity(row),
            beside={
                "opened_leaf": row["leaf"],
                "controls_supported": _json(row["controls"]),
                **({"suppressed_until": until} if until else {}),
                **({"accepted_by": accepted} if accepted else {}),
            },
        )


def _severity(row: dict[str, Any]) -> Severity:
    return _SEVERITIES.get(row["severity"], Severity.UNKNOWN)


def _evidence(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": "change",
        "data": {name: row[name] for name in _EVIDENCE},
        "resources": [ocsf_schema.resource(row["target"])],
    }
    if row["principal"]:
        found["actor"] = {"user": {"name": row["principal"]}}
    return found


def _earlier(told: dict[str, Any]) -> dict[str, Any]:
    """What stands for a finding that was opened before these records."""
    empty = dict.fromkeys((*_EVIDENCE, "principal", "rule", "severity", "opened_at"), "")
    nothing = dict.fromkeys(
        ("leaf", "not_before", "not_after", "controls", "suppressed_leaf", "suppressed_until",
         "accepted_by")
    )  # fmt: skip
    title = "A finding that was opened before these records"
    return {**empty, **nothing, "id": told["finding"], "target": told["target"], "title": title}


def _info(uid: str, title: str, kind: str, at: Any = None) -> dict[str, Any]:
    return {"uid": uid, "title": title, "types": [kind], **ocsf_schema.times(created_time=at)}


def _compliance(
    how: int, caption: str, controls: list[str], detail: str, code: str
) -> dict[str, Any]:
    """The check's result, and of the finding that tells it that it is new."""
    said = {"status_code": code, "status_detail": detail}
    checked = {
        "standards": [_STANDARD],
        "control": controls[0],
        "requirements": controls,
        "desc": _SUPPORTS,
        "status_id": int(how),
        "status": caption,
    }
    new = {"status_id": int(Found.NEW), "status": "New"}
    return {"compliance": {**checked, **said}, **new, **said}


def _datastore(target: str, source: Any) -> dict[str, Any]:
    """What was read: a database, or what the schema calls a bucket."""
    kind = target.partition(":")[0]
    if kind in _RELATIONAL:
        name = source.get("database") if isinstance(source, dict) else None
        named = name if isinstance(name, str) and name else target
        database = {"name": named, "uid": target, "type": "Relational", "type_id": 1}
        return {"type": "Database", "type_id": 1, "database": database}
    bucket = {"name": target, "uid": target, "type": kind, "type_id": OTHER}
    return {"type": kind, "type_id": OTHER, "databucket": bucket}


def _json(text: Any) -> Any:
    """What a column of JSON says; the text, where it is none; None, where it is empty."""
    if not text:
        return None
    try:
        return canon.decode(text.encode())
    except Malformed:
        return text


_MAKERS: Final[dict[str, Callable[[Watch, Said], Iterator[Event]]]] = {
    "scan": Watch.scan,
    "scan.missed": Watch.scan,
    "finding.opened": Watch.opened,
    "finding.attributed": Watch.changed,
    "finding.suppressed": Watch.changed,
    "finding.closed": Watch.changed,
}
