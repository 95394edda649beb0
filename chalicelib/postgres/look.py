"""One consistent look at a database: every kind of object, as of one moment.

1. Read pg_settings before anything of ours is set. 2. Pin what changes how the server prints.
3. Where nothing has changed since an earlier look (``mark``), take from it what stands in
catalogues. 4. Read the rest in one REPEATABLE READ, READ ONLY transaction; where there is much to
read, a second session reads half of it, of the same snapshot. 5. Where anything was committed
meanwhile, compare the catalogues' fingerprints before and after: definitions are printed with the
newest catalogue, so where it has changed in between, the look was none.

Needs: what ``snapshot`` needs. Who looks again, and how often, is not decided here.
"""

from __future__ import annotations

import threading
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chalicelib.drift.snapshot import COVERAGE, Key, Object, unreadable
from chalicelib.drift.source import Reading
from chalicelib.kernel import clock
from chalicelib.kernel.errors import HoldfastError, NotPermitted, Unsupported
from chalicelib.postgres import mark, parameters, queries, unmodelled
from chalicelib.postgres.connection import TIME_LIMITS
from chalicelib.postgres.rows import Dated, IncompleteError, Reader
from chalicelib.postgres.session import Asked, CutShortError, DeniedError, Session, TornError
from chalicelib.postgres.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    import psycopg

    from chalicelib.drift.source import Known, Mark
    from chalicelib.postgres.concealing import Concealer
    from chalicelib.postgres.connection import Row

LARGE_BYTES: Final = 4 * 2**20  # of pg_attribute: from here on a second session saves time
_NEEDED: Final = frozenset({"pins", "identity"})


class _Identity(NamedTuple):
    """The columns of ``identity.sql``."""

    read_at: datetime
    role: str
    database: str
    server_version: str
    in_recovery: bool
    keeps_commit_times: bool
    sees_all_settings: bool
    sees_files: bool
    attribute_bytes: int
    started_at: str
    database_oid: str
    collation_version: str | None
    collation_version_now: str | None
    oldest_transaction: str
    next_transaction: str


class Look:
    """One attempt on fresh connections.

    ``denied``: queries that the role may not run. ``unbound``: the server's time limits ended
    another attempt. ``large_bytes``: of pg_attribute, from which on a second session is opened.
    """

    def __init__(
        self,
        open_connection: Callable[[], psycopg.Connection[Row]],
        where: Mapping[str, str],
        conceal: Concealer,
        pins: Mapping[str, str],
        denied: frozenset[str],
        *,
        unbound: bool = False,
        large_bytes: int = LARGE_BYTES,
    ) -> None:
        self._large_bytes = large_bytes
        self._open = open_connection
        self._where = dict(where)
        self._conceal = conceal
        self._pins = pins
        self._denied = denied
        self._unbound = unbound
        self._closed: list[str] = []  # catalogues that the role may not read
        self._asked = Asked()
        self._session = Session(open_connection(), where, self._asked, patient=unbound)
        self._major = self._session.major
        self._without: set[str] = set()  # queries that would give nothing
        self._objects: list[Object] = []
        self._dated: list[Dated] = []

    def read(self, progress: Callable[[str, int, int], None], known: Known | None) -> Reading:
        """Look. Raises: DeniedError, CutShortError, TornError; as ``PostgresSource.read``."""
        kinds = queries.kinds()
        total = len(kinds) + 1
        progress(parameters.KIND, 0, total)
        session = self._session
        session.begin()
        settings = [parameters.Parameter(*row) for row in self._rows("settings")]
        if "pins" in self._denied:
            self._rows("pins")
        session.pin(self._pins)
        identity = _Identity(*self._rows("identity")[0])
        self._objects += self._settings(settings, identity)
        closed = [name for (name,) in self._rows("unreadable")]
        self._closed = [*closed, *(queries.GUARDED if "unreadable" in self._denied else ())]
        system = self._system(identity)
        taken = None if known is None else self._mark(identity, system, known.mark)
        stored = known.snapshot() if known and taken and taken == known.mark else None
        if stored is not None:
            fresh = mark.FRESH | {parameters.KIND, COVERAGE}
            self._objects += [item for key, item in stored.objects.items() if key[0] not in fresh]
            kinds = tuple(sorted(mark.FRESH))
        self._objects += unmodelled.look(session, self._denied)
        self._read(Work(kinds, progress, total), identity, settle=stored is None)
        times = self._commit_times() if identity.keeps_commit_times else {}
        progress(parameters.KIND, total, total)
        return Reading(
            objects=[*self._objects, *self._gaps()],
            identity=f"database {identity.database}",
            system=system,
            queries=self._asked.queries,
            texts=self._asked.texts,
            read_at=clock.timestamp(identity.read_at),
            committed=_latest(self._dated, times),
            dropped=_dropped(self._dated, times),
            mark=taken,
            kept=stored is not None,
        )

    def _mark(
        self, identity: _Identity, system: Mapping[str, Any], earlier: Mark | None
    ) -> Mark | None:
        """The earlier mark where nothing has changed since, otherwise a new one.

        None, where there can be none: where the role may not read all that it would be made of.
        """
        statement = queries.load("mark", self._major)
        if self._denied or self._unbound or mark.catalogues(statement) & set(self._closed):
            return None
        asked = [
            queries.load(name, self._major, unreadable=self._closed) for name in queries.kinds()
        ]
        facts = [
            system,
            identity.started_at,
            identity.database_oid,
            sorted(self._closed),
            [one.sha256 for one in asked],
            self._conceal.secret("mark"),
        ]
        if earlier is not None and mark.within_reach(earlier, identity.next_transaction):
            same = mark.take(self._session, statement, earlier.since, facts)
            if same.sha256 == earlier.sha256:
                return earlier
        return mark.take(self._session, statement, identity.oldest_transaction, facts)

    def _read(self, work: Work, identity: _Identity, *, settle: bool) -> None:
        """Read what there is to do, in as many sessions as it is worth."""
        self._without = self._empty() if settle else set()
        sessions = [self._session]
        large = settle and identity.attribute_bytes >= self._large_bytes
        if large and (other := self._second()) is not None:
            sessions.append(other)
        before = None if len(sessions) > 1 or not settle else self._fingerprint(self._session)
        self._share(work, sessions, dated=identity.keeps_commit_times)
        if settle:
            self._settle(sessions, identity, before)

    def _second(self) -> Session | None:
        """Another session with the same snapshot; None, where the server gives none."""
        exported = self._rows("export")  # where it fails, this session's transaction has failed
        if not exported:
            return None
        try:
            session = Session(self._open(), self._where, self._asked, patient=self._unbound)
            session.begin(exported[0][0])
            session.pin(self._pins)
        except (HoldfastError, DeniedError, TornError, CutShortError):
            return None  # one is enough, and says what is wrong with the server if anything is
        return session

    def _share(self, work: Work, sessions: list[Session], *, dated: bool) -> None:
        """Read every kind, in one of the sessions. Raises: what the first failure was."""
        others = [
            threading.Thread(
                target=work.attend, args=(self._kind, session), kwargs={"dated": dated}, daemon=True
            )
            for session in sessions[1:]
        ]
        for thread in others:
            thread.start()
        work.attend(self._kind, sessions[0], dated=dated)
        for thread in others:
            thread.join()
        if work.failures:
            raise work.failures[0]

    def _settle(self, sessions: list[Session], identity: _Identity, before: Any) -> None:
        """Raises: TornError, unless the catalogue is what it was when reading began."""
        first, last = sessions[0], sessions[-1]
        seen = first.rows("now")
        if first is last:
            first.commit()
        else:
            last.commit()
        # A standby's snapshots do not name what runs on its primary.
        if identity.in_recovery or last.rows("now") != seen:
            if before is None:
                before = self._fingerprint(first)
            if self._fingerprint(last) != before:
                raise TornError("the catalogue is not what it was at the start")
        if first is not last:
            first.commit()

    def _settings(self, rows: list[parameters.Parameter], identity: _Identity) -> list[Object]:
        if not rows:  # denied; _gaps says so
            return []
        files: list[parameters.InFile] = []
        if (parameters.hidden(rows) or parameters.pending(rows)) and identity.sees_files:
            files = [parameters.InFile(*row) for row in self._rows("file_settings")]
        if self._unbound:  # ours now; a line in a file would not be the database's value
            files = [line for line in files if line.name not in TIME_LIMITS]
        return parameters.objects(rows, files, self._conceal, sees_all=identity.sees_all_settings)

    def _empty(self) -> set[str]:
        """The queries that would give nothing, which one query tells of all of them."""
        if queries.CENSUS in self._denied:
            return set()
        statements = (
            queries.load(name, self._major, unreadable=self._closed) for name in queries.kinds()
        )
        names, rows = self._session.run(
            queries.census(one for one in statements if one.since <= self._major)
        )
        return {name for name, found in zip(names, rows[0], strict=True) if not found}

    def _kind(self, name: str, session: Session, *, dated: bool) -> None:
        statement = queries.load(name, self._major, unreadable=self._closed, dated=dated)
        if self._major < statement.since or name in self._denied or name in self._without:
            return
        if statement.closed and not statement.hides:  # _gaps says so
            return
        columns, rows = session.run(statement)
        reader = Reader(statement, columns, self._conceal)
        try:
            objects = reader.objects(rows)
        except IncompleteError:
            raise TornError(name) from None
        if dated:
            self._dated += reader.dated(objects, rows)
        objects.sort(key=attrgetter("name"))  # the other session goes on meanwhile
        self._objects += objects

    def _gaps(self) -> list[Object]:
        """What the role may not read, one object for each kind."""
        names = (*queries.kinds(), "settings")
        every = {name: queries.load(name, self._major, unreadable=self._closed) for name in names}
        asked = {name: one for name, one in every.items() if one.since <= self._major}
        shut = {name for name, one in asked.items() if one.closed and not one.hides}
        read = {one.kind for name, one in asked.items() if name not in self._denied | shut}
        gaps = {
            one.kind: unreadable(
                one.kind,
                reason="closed to the scanning role",
                needs=one.shows,
                partial=bool(one.hides),
                attributes=one.hides,
                listed=bool(one.hides),
                optional=one.optional,
            )
            for one in asked.values()
            if one.closed
        }
        for name in sorted(self._denied & asked.keys()):
            kind = asked[name].kind
            is_whole = kind not in read and not asked[name].hides  # nothing more than may be signed
            gaps[kind] = unreadable(
                kind,
                reason="permission denied for a catalogue",
                needs=asked[name].needs,
                partial=kind in read,
                optional=asked[name].optional and is_whole,
            )
        return list(gaps.values())

    def _fingerprint(self, session: Session) -> list[Row]:
        if "fingerprint" in self._denied:
            return []
        statement = queries.load("fingerprint", self._major, unreadable=self._closed)
        return sorted(session.run(statement)[1], key=repr)

    def _commit_times(self) -> dict[str, str]:
        xmins = sorted({xmin for one in self._dated for xmin in (*one.xmins, *one.dropped)})
        try:
            rows = self._rows("commit_times", {"xmins": xmins})
        except Unsupported:  # a standby whose primary has only just begun to keep them
            return {}
        return {str(xmin): clock.timestamp(at) for xmin, at in rows if at is not None}

    def _system(self, identity: _Identity) -> dict[str, Any]:
        info = self._session.connection.info
        return {
            "host": info.host,
            "port": info.port,
            "system_identifier": "".join(str(one) for (one,) in self._rows("system")),
            "database": identity.database,
            "user": identity.role,
            "server_version": identity.server_version,
            "in_recovery": identity.in_recovery,
            "collation_version": identity.collation_version,
            "collation_version_now": identity.collation_version_now,
        }

    def _rows(self, name: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        if name in self._denied:
            if name in _NEEDED:
                raise NotPermitted(
                    f"the role may not run the query {name!r}, without which nothing can be read",
                    next_step="compare the role with docs/targets/postgres.md",
                )
            return []
        return self._session.rows(name, values)


def _latest(items: Iterable[Dated], times: Mapping[str, str]) -> dict[Key, str]:
    """When each object's newest row was committed, where that is known."""
    known = {item.key: [times[xmin] for xmin in item.xmins if xmin in times] for item in items}
    return {key: max(several) for key, several in known.items() if several}


def _dropped(items: Iterable[Dated], times: Mapping[str, str]) -> dict[Key, list[str]]:
    known = {
        item.key: sorted(times[xmin] for xmin in item.dropped if xmin in times) for item in items
    }
    return {key: several for key, several in known.items() if several}
