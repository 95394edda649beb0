"""``holdfast mask``: what masked leases see of each column; suggested, made, and attacked."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
import typer
from rich.text import Text

from chalicelib.access import profile as profiles
from chalicelib.api.wishes import AskFor, Refuse
from chalicelib.cli import applied, phase, table
from chalicelib.cli.app import JsonFlag, actor, app, finish, services
from chalicelib.cli.progress import reading
from chalicelib.cli.remote import way
from chalicelib.cli.text import complain, count, emit, plain, say
from chalicelib.cli.wish import Timeout, Wait, named_tables
from chalicelib.evidence import summary
from chalicelib.kernel import names
from chalicelib.kernel.errors import HoldfastError, NotAllowed, NotFound, UsageError
from chalicelib.settings import authority
from chalicelib.wiring import access, masking

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.access.attack.judgement import Outcome
    from chalicelib.access.desk import Desk
    from chalicelib.access.masking.views import Views
    from chalicelib.access.suggestion.proposal import Proposal
    from chalicelib.api.here import Way
    from chalicelib.api.wishes import RequestView
    from chalicelib.wiring import Services

group = typer.Typer(no_args_is_help=True, help="What masked leases see of each column.")
app.add_typer(group, name="mask")

FINDINGS: Final = 1
UNTOLD: Final = 3
CHECK_SECONDS: Final = 600  # of the lease of a check
CHECK_REASON: Final = "attacks on the masking views: holdfast mask check"
_VERDICTS: Final = {"held": "green", "leaked": "bold white on red", "untold": "bold yellow"}

TargetName = Annotated[str, typer.Argument(metavar="TARGET", help="e.g. orders-prod")]
DsnEnv = Annotated[
    str,
    typer.Option(
        help="The variable with the DSN of who owns the tables; else dsn_env of the masking "
        "section, else the DSN of the scans."
    ),
]
Tables = Annotated[str | None, typer.Option(help="Only these: public.orders,public.customers.")]


@group.command("suggest")
def suggest(
    target: TargetName,
    dsn_env: DsnEnv = "",
    tables: Tables = None,
    rows: Annotated[
        int, typer.Option(min=0, max=10_000, help="Of each table to look at; 0: names alone.")
    ] = masking.ROWS,
    as_toml: Annotated[
        bool, typer.Option("--toml", help="A masks file, to be reviewed and kept.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say which columns look personal or secret, why, and how sure that is.

    Values are looked at in memory and neither kept nor shown.
    """
    from chalicelib.access.suggestion import proposal  # noqa: PLC0415 - no other command needs it

    if as_toml and as_json:
        raise UsageError("--toml or --json")
    held = services()
    found = masking.suggest(held, target, dsn_env, rows=rows, tables=_only(tables))
    if as_json:
        emit(msgspec.to_builtins(found))
    elif as_toml:
        sys.stdout.write(proposal.toml(found))
    else:
        _proposals(found)
    personal = sum(bool(one.klass) and one.klass != "public" for one in found)
    nothing = sum(not one.klass for one in found)
    say(
        f"{count(len(found), 'column')}: {personal} look personal or secret, of {nothing} nothing "
        "can be told; a column without a class is left out of the views"
    )
    slug = names.target(target).slug
    if held.settings.file.targets[slug].masking is not None:
        say("the masks file stays as it is: what is new here has to be put there", "bold")
    elif not as_toml:
        say(f"next: holdfast mask suggest {slug} --toml > masks.toml, and review it", "bold")


@group.command("apply")
def apply(
    target: TargetName,
    dsn_env: DsnEnv = "",
    print_only: Annotated[
        bool, typer.Option("--print", help="Only print the SQL, to be reviewed; nothing changes.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make the masking views what the masks say. Again, it changes nothing.

    Exit 1 where a column has no class, or a class no column: it is done all the same.
    """
    held = services()
    desk = access.desk(held, lambda: authority.load(held.settings))
    done = masking.apply(held, desk, target, actor(), dsn_env, print_only=print_only)
    if as_json:
        emit(applied.document(names.target(target).slug, done))
    elif print_only:
        sys.stdout.write("".join(f"{plain(one, lines=True)}\n" for one in done.statements))
    applied.tell(names.target(target).slug, done)
    finish(FINDINGS if applied.findings(done.views) else 0)


@group.command("check")
def check(
    target: TargetName,
    dsn_env: DsnEnv = "",
    tables: Tables = None,
    profile: Annotated[str, typer.Option(help="A masked profile.")] = "read-masked",
    lease: Annotated[
        str, typer.Option(help="The id of an approved request of one's own, in place of a new one.")
    ] = "",
    wait: Wait = False,
    timeout: Timeout = "",
    as_json: JsonFlag = False,
) -> None:
    """Attack the masking views of a target as a masked lease, and say what came through.

    A lease is asked for, claimed, and ended afterwards. Exit 1 where a value came through, the
    views are not what the masks say, or a column has no class; 3 where an attack could not be told;
    4 where people have to agree to the lease first.
    """
    most = phase.patience(timeout, waits=wait)
    from chalicelib.postgres import attack  # noqa: PLC0415 - it loads the driver

    held = services()
    leased = masking.find(held, target)
    wanted = leased.profile(profile)
    if not wanted.masked:
        raise UsageError(f"profile {profile!r} is not masked", next_step="--profile read-masked")
    desk = access.desk(held, lambda: authority.load(held.settings))
    found, due = _due(held, desk, target, dsn_env)
    over = way()
    only = _only(tables)
    if lease and not only:  # it reads no other views
        only = _only(",".join(over.do("request_show", request=lease).tables) or None)
    shown = masking.exposed(found, wanted.views, frozenset(only))
    if not shown:
        named = f" of {', '.join(map('.'.join, only[:3]))}" if only else ""
        raise NotFound(
            f"{leased.name} has no masking views{named} for profile {profile}",
            next_step="correct --tables" if tables else f"holdfast mask apply {leased.slug}",
        )
    asked = _lease(over, leased.slug, profile, lease, most if wait else 0)
    outcomes: list[Outcome] = []
    try:
        fields = over.do("credential", request=asked).fields
        clear = attack.values(masking.dsn(held, leased, dsn_env), shown)
        with reading(f"attacks on {leased.name}") as progress:
            outcomes = attack.run(fields, shown, clear, tell=lambda word: progress(word, 0, 1))
        masking.checked(desk, leased, actor(), request=asked, profile=profile, outcomes=outcomes)
    finally:
        if not lease:
            _end(over, asked)
    if as_json:
        emit(
            {
                "target": leased.name,
                "request": asked,
                "profile": profile,
                "unapplied": due.statements,
                "in_the_way": due.in_the_way,
                "unclassified": msgspec.to_builtins(found.unclassified),
                "outcomes": msgspec.to_builtins(outcomes),
            }
        )
    else:
        _outcomes(outcomes)
    finish(_judged(leased.slug, found, due, outcomes))


class _Due(NamedTuple):
    """How many statements apply would run; and what is there that it refuses, which may be read."""

    statements: int
    in_the_way: str


def _due(held: Services, desk: Desk, target: str, dsn_env: str) -> tuple[Views, _Due]:
    """The views that the masks make, and how far those that are there are from them."""
    try:
        done = masking.apply(held, desk, target, actor(), dsn_env, print_only=True)
    except NotAllowed as error:
        return masking.views(held, target, dsn_env), _Due(0, error.message)
    return done.views, _Due(len(done.statements), "")


@group.command("coverage")
def coverage(target: TargetName, as_json: JsonFlag = False) -> None:
    """Say which columns are personal, what masks show of them, and which leases saw them clear.

    From the log alone: the masks that were applied, the leases, and who agreed to them.
    """
    held = services()
    desk = access.desk(held, lambda: authority.load(held.settings))
    seen = masking.coverage(held, desk, target)
    if as_json:
        emit(msgspec.to_builtins(seen))
        return
    sys.stdout.write("".join(f"{plain(line[2:])}\n" for line in summary.personal_data(seen)))


def _only(text: str | None) -> list[tuple[str, str]]:
    return [(one.schema, one.name) for one in profiles.scope(named_tables(text))]


def _proposals(found: Sequence[Proposal]) -> None:
    rows = [
        [
            f"{one.schema}.{one.table}.{one.column}",
            one.type,
            one.klass or "-",
            one.sure if one.klass else "",
            "; ".join((*one.why, *([one.note] if one.note else []))),
        ]
        for one in found
    ]
    table.grid(["column", "type", "class", "sure", "why"], rows, empty="no columns", unbroken=1)


def _lease(over: Way, slug: str, profile: str, lease: str, most: int | None) -> str:
    """The id of a request that can be claimed; else the end of this command.

    ``most``: for how many seconds others are waited for; None: until they agreed, or did not.
    """
    if lease:
        found: RequestView = over.do("request_show", request=lease)
        if found.profile != profile or names.target(found.target).slug != slug:
            raise UsageError(f"{lease} is not of {slug} with the profile {profile}")
    else:
        wish = AskFor(target=slug, profile=profile, reason=CHECK_REASON, seconds=CHECK_SECONDS)
        found = over.do("request", wish)
    if found.phase == "pending" and most != 0:
        found, _ = phase.wait(over, found, most=most, as_json=False)
    if found.phase not in {"approved", "active"}:
        phase.tell(found)
        say(f"then: holdfast mask check {slug} --profile {profile} --lease {found.id}", "bold")
        finish(phase.CODES[found.phase])
    return found.id


def _end(over: Way, asked: str) -> None:
    try:
        over.do("revoke", Refuse(comment=""), request=asked)
    except HoldfastError as error:
        complain(f"{asked} could not be ended: {error.message}", f"holdfast revoke {asked}")


def _outcomes(outcomes: Iterable[Outcome]) -> None:
    """A line an attack: how often it held; what did not, one by one."""
    by_attack: dict[str, list[Outcome]] = {}
    for one in outcomes:
        by_attack.setdefault(one.attack, []).append(one)
    rows: list[list[Any]] = []
    for attack, listed in by_attack.items():
        numbers = Counter[str](one.verdict for one in listed)
        worst = next(word for word in ("leaked", "untold", "held") if numbers[word])
        told = [one for one in listed if one.verdict == worst and worst != "held"]
        where = ", ".join(dict.fromkeys(one.where for one in told if one.where))
        why = "; ".join(dict.fromkeys(one.why for one in told))
        number = f"{numbers[worst]} of {len(listed)}"
        rows.append([attack, Text(worst, _VERDICTS[worst]), number, where, why])
    table.grid(["attack", "verdict", "of", "where", "why"], rows, unbroken=2)


def _judged(slug: str, found: Views, due: _Due, outcomes: Sequence[Outcome]) -> int:
    """Say what it comes to; the exit code."""
    numbers = Counter(one.verdict for one in outcomes)
    say(
        f"{slug}: {count(len(outcomes), 'attack')}: {numbers['held']} held, "
        f"{numbers['leaked']} leaked, {numbers['untold']} could not be told",
        "bold red" if numbers["leaked"] else "",
    )
    applied.tell_findings(found)
    if due.in_the_way:
        say(f"{due.in_the_way}; masked leases may read it", "bold red")
    if due.statements:
        say(
            f"the views are not what the masks say: {count(due.statements, 'statement')} "
            f"to be run; holdfast mask apply {slug} --print",
            "bold yellow",
        )
    if numbers["leaked"]:
        say("next: find who granted or changed it, holdfast scan; docs/masking.md, Attacks", "bold")
    if numbers["leaked"] or due.statements or due.in_the_way or applied.findings(found):
        return FINDINGS
    return UNTOLD if numbers["untold"] else 0
