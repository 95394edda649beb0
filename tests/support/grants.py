"""A target in memory that has roles, passwords and sessions, and its grantor: small, and honest.

``hook(point)`` is called before and after whatever changes the target, and around every record that
the broker writes: there a test makes something fail, ends the process, or lets others go first.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec
from support.desk import SECRET, START

from chalicelib.access.desk import Bounds, Desk, Leased
from chalicelib.access.grantor import Credential, Terms
from chalicelib.access.plan import Plan, Step
from chalicelib.access.policy import load
from chalicelib.access.principal import Kind, Principal
from chalicelib.access.profile import SHIPPED, Profile
from chalicelib.access.state import States
from chalicelib.evidence import note
from chalicelib.evidence.keys import LogKey, keyring
from chalicelib.evidence.log import Log
from chalicelib.evidence.personal import Reveal, Subjects
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import CouldNotTell, NotFound
from chalicelib.local.derived import DirectoryDerived
from chalicelib.local.documents import SqliteDocuments
from chalicelib.local.signer import KeyFileSigner
from chalicelib.local.writeonce import DirectoryWriteOnce

STEPS = ("login", "sessions", "owned", "role", "verify")

OWN_POLICY = """
@id("own.write")
@approvals("2")
@approvers("dba,security")
permit (principal in Role::"engineer", action == Action::"lease:request", resource)
when { context.profile == "write" };

@id("own.free")
@approvals("0")
permit (principal == Agent::"bot", action == Action::"lease:request", resource)
when { context.profile == "read-masked" };
"""
GROUPS = {
    "dba": ["person:ben", "person:dan"],
    "security": ["person:chloe", "person:dan"],
}


class Crash(BaseException):
    """The process ends here."""


class HandClock:
    """Moved by hand; a millisecond passes with every look, so that records follow each other."""

    def __init__(self):
        self.moment = START

    def now(self):
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def pass_(self, seconds):
        self.moment += timedelta(seconds=seconds)


@dataclass
class Role:
    terms: Terms
    password: str | None
    until: str
    login: bool = True
    sessions: list = field(default_factory=list)
    owned: int = 0


class Cluster:
    """What is at the target, whoever asks: roles by name."""

    def __init__(self, clock):
        self.clock = clock
        self.roles = {}
        self.down = False
        self._passwords = itertools.count(1)

    def password(self):
        return f"secret-{next(self._passwords)}"

    def connect(self, credential):
        """A session, or why there is none."""
        role = self.roles.get(credential.fields["user"])
        if role is None or not role.login or role.password != credential.fields["password"]:
            return None
        if role.until <= timestamp(self.clock.now()):
            return None
        session = {"role": credential.fields["user"]}
        role.sessions.append(session)
        return session

    def lives(self, session):
        role = self.roles.get(session["role"])
        return role is not None and any(one is session for one in role.sessions)


class MemoryGrantor:
    """Implements ``access.grantor.Grantor`` at a cluster."""

    def __init__(self, target, cluster, hook):
        self._target = target
        self._cluster = cluster
        self._hook = hook

    def _reach(self, point):
        self._hook(point)
        if self._cluster.down:
            raise CouldNotTell("the target is not reached")

    def plan(self, terms):
        self._reach("plan")
        return Plan(
            purpose="issue",
            target=terms.target,
            assumes={"tables": [str(one) for one in terms.tables]},
            steps=(Step(sql="CREATE ROLE {role}", identifiers={"role": terms.role}),),
        )

    def issue(self, plan, terms):
        self._reach("issue before")
        assert plan.steps[0].identifiers["role"] == terms.role
        assert terms.role not in self._cluster.roles
        password = self._cluster.password()
        self._cluster.roles[terms.role] = Role(terms, password, terms.until)
        self._hook("issue after")
        return self._credential(terms, password)

    def refresh(self, terms):
        self._reach("refresh before")
        role = self._role(terms)
        role.password = self._cluster.password()
        self._hook("refresh after")
        return self._credential(terms, role.password)

    def extend(self, terms):
        self._reach("extend before")
        self._role(terms).until = terms.until
        self._hook("extend after")

    def end(self, terms, step):
        """Each step is for good; a later call goes on where this one stopped."""
        self._reach("end")
        found = {"role": terms.role, "found": terms.role in self._cluster.roles}
        for name in STEPS:
            step(name)
            self._reach(f"end {name}")
            role = self._cluster.roles.get(terms.role)
            if role is None:
                continue
            assert role.terms.lease == terms.lease, "a role is ended as that of its own lease"
            if name == "login":
                role.login, role.password = False, None
            elif name == "sessions":
                role.sessions.clear()
            elif name == "owned":
                role.owned = 0
            elif name == "role":
                assert not role.sessions
                assert not role.owned
                del self._cluster.roles[terms.role]
        if terms.role in self._cluster.roles:
            raise CouldNotTell("the role is there again")
        self._hook("end after")
        return {**found, "left": 0}

    def orphans(self, known):
        self._reach("orphans")
        return [
            msgspec.structs.replace(role.terms, profile=Profile(), profile_name="", tables=())
            for name, role in sorted(self._cluster.roles.items())
            if name not in known
        ]

    def _role(self, terms):
        role = self._cluster.roles.get(terms.role)
        if role is None or not role.login or role.terms.lease != terms.lease:
            raise NotFound(f"there is no lease {terms.lease}")
        return role

    def _credential(self, terms, password):
        return Credential("postgres", {"user": terms.role, "password": password}, terms.until)


class HookedJournal:
    """A journal with a hook before and after each append, by the kind of its first record."""

    def __init__(self, journal, hook):
        self._journal = journal
        self._hook = hook
        self.about = ""  # the request of the append under way

    def append(self, drafts, *, after=None):
        self.about = drafts[0].body.get("request", "")
        self._hook(f"record before {drafts[0].kind}")
        entries = self._journal.append(drafts, after=after)
        self._hook(f"record after {drafts[0].kind}")
        return entries

    def __getattr__(self, name):
        return getattr(self._journal, name)


class Broker:
    """An installation's broker: a log in a store, one target, and any number of desks over both.

    ``stores``: write-once, derived and documents; a folder's own if there are none. ``hook``: of
    everything that is done by any desk, see the module.
    """

    def __init__(self, folder, *, stores=None, policy=OWN_POLICY, slug="orders-prod"):
        self.clock = HandClock()
        self.hook = lambda _point: None
        self.writeonce, self.derived, self.documents = stores or (
            DirectoryWriteOnce(folder / "evidence", sync=lambda _descriptor: None),
            DirectoryDerived(folder / "derived", sync=lambda _descriptor: None),
            SqliteDocuments(folder / "state.db"),
        )
        signer = KeyFileSigner.create(folder / "signing.pem")
        self._salt = itertools.count()
        self.subjects = Subjects(self.documents, SECRET, self._random)
        self.log = Log(
            writeonce=self.writeonce,
            derived=self.derived,
            documents=self.documents,
            signer=signer,
            keys=keyring([LogKey(note.verifier("test.example/log", signer.public))]),
            tool="test/0",
            pause=lambda _attempt: None,
            seal=self.subjects.seal,
        )
        self.cluster = Cluster(self.clock)
        self.policy = policies(policy)
        self.bounds = Bounds()
        self.erased = False
        self._drawn = itertools.count()
        self.target = Leased(
            slug=slug,
            kind="postgres",
            env="prod",
            profiles=dict(SHIPPED),
            grantor=lambda: MemoryGrantor(f"postgres:{slug}", self.cluster, self._reached),
            schemas=("public", "sales"),
            tags={"public.customers": ("pii",)},
        )
        self.desk = self.another()

    def _reached(self, point):
        self.hook(point)

    def _random(self, count):
        """Bytes that repeat from run to run, and not within one."""
        return next(self._salt).to_bytes(count, "big")

    def another(self, **more):
        """Another desk over the same log."""
        journal = HookedJournal(self.log, self._reached)

        def reveal(value, kind, stream):
            if self.erased:
                return None
            return Reveal(self.subjects, self.log).value(value.personal, kind, stream).value

        desk = Desk(
            journal=journal,
            objects=self.writeonce,
            states=States(journal, self.derived, SECRET),
            clock=self.clock,
            policy=lambda: self.policy,
            draw=self._draw,
            reveal=reveal,
            bounds=self.bounds,
        )
        return replace(desk, **more)

    def _draw(self, count):
        number, text = next(self._drawn), ""
        while number:
            number, digit = divmod(number, 8)
            text = "23456789"[digit] + text
        return text.rjust(count, "a")

    @property
    def state(self):
        return self.desk.states.get(self.target.stream)

    @property
    def kinds(self):
        """The kinds of all records, in their order."""
        return [one.record.kind for one in self.log.stream(self.target.stream)]

    def configure(self, **changes):
        """The target's settings are others from now on."""
        self.target = replace(self.target, **changes)


def policies(text):
    """The shipped policies and these."""
    return load([("own.cedar", text)], {}, GROUPS)


def person(name, *roles, kind=Kind.PERSON, **more):
    return Principal(kind, name, "oidc", roles=roles, **more)


ANA = person("ana", "engineer")
BEN, CHLOE, DAN, EVE = (person(name, "approver") for name in ("ben", "chloe", "dan", "eve"))
BOT = person("bot", kind=Kind.AGENT)
