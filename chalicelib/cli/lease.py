"""``holdfast run``, ``creds``, ``renew`` and ``revoke``: what is done with a lease."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from chalicelib.access import obligation
from chalicelib.api.wishes import Prolong, Refuse
from chalicelib.cli import child, credential, phase
from chalicelib.cli.app import JsonFlag, app, finish, settings_or_none, shared
from chalicelib.cli.approval import Comment
from chalicelib.cli.remote import TOKEN, builtins, way
from chalicelib.cli.text import complain, emit, say
from chalicelib.cli.wish import Id, Timeout, Wait
from chalicelib.kernel.errors import HoldfastError, NotFound, UsageError
from chalicelib.local.clock import SystemClock

if TYPE_CHECKING:
    from chalicelib.api.here import Way
    from chalicelib.api.wishes import CredentialView, RequestView

_CLAIMABLE = frozenset({"approved", "active"})


@app.command("run")
def run(
    asked: Id,
    program: Annotated[
        list[str], typer.Argument(metavar="-- PROGRAM [ARGUMENT…]", help="e.g. -- psql")
    ],
    wait: Wait = False,
    timeout: Timeout = "",
    revoke: Annotated[
        bool, typer.Option("--revoke", help="End the lease when the program has ended.")
    ] = False,
) -> None:
    """Run a program with the lease's credential: claimed now, shown nowhere, removed afterwards.

    Exit with the program's code; 6 where the lease ended first; 127 where there is no such program,
    126 where it cannot be run.
    """
    most = phase.patience(timeout, waits=wait)
    try:
        path = child.found(program[0])
    except NotFound as error:
        complain(error.message, "correct its name; nothing was claimed")
        finish(child.NOT_FOUND)
    except UsageError as error:
        complain(error.message, "make it a program that can be run; nothing was claimed")
        finish(child.NOT_RUNNABLE)
    over = way()
    issued = _claimed(over, asked, wait=wait, most=most)
    say(f"{asked}: until {phase.moment(issued.until)}", "dim")
    until = _Until(over, asked, issued.until)
    lookout = child.Lookout(SystemClock(), until, lambda: _told(asked), shared.look_seconds)
    try:
        ended = child.run(issued, [path, *program[1:]], lookout, _not_the_programs())
    except OSError as error:
        complain(f"{program[0]} cannot be run: {error.strerror}", "")
        ended = child.Ended(child.NOT_RUNNABLE, early=False)
    code = phase.OVER if ended.early else ended.code
    if revoke:
        code = _end(over, asked, code)
    elif not ended.early:
        say(f"{asked} goes on until then; to end it now: holdfast revoke {asked}", "bold")
    finish(code)


@app.command("creds")
def creds(
    asked: Id,
    form: Annotated[str, typer.Option("--format", help="env, pgpass, url or json.")] = "",
    wait: Wait = False,
    timeout: Timeout = "",
    as_json: JsonFlag = False,
) -> None:
    """Print the lease's credential, claimed now. It is a secret, and the only one that is printed.

    Each time it is another one, and those before open nothing any more.
    """
    form = form or ("json" if as_json else "env")
    if as_json and form != "json":
        raise UsageError("--json is --format json")
    most = phase.patience(timeout, waits=wait)
    credential.check_form(form, "")
    over = way()
    credential.check_form(form, over.do("request_show", request=asked).target)
    issued = _claimed(over, asked, wait=wait, most=most)
    if sys.stdout.isatty():
        say(f"a secret follows; holdfast run {asked} -- PROGRAM shows none", "bold yellow")
    if form == "json":
        emit(builtins(issued))
    else:
        sys.stdout.write(credential.formed(issued, form))
    say(f"{asked}: until {phase.moment(issued.until)}", "dim")


@app.command("renew")
def renew(
    asked: Id,
    length: Annotated[str, typer.Option("--for", help="From now on: 30m, 1h.")],
    wait: Wait = False,
    timeout: Timeout = "",
    as_json: JsonFlag = False,
) -> None:
    """Ask for a lease to last longer; as many people agree as to a new one."""
    most = phase.patience(timeout, waits=wait)
    longer = Prolong(seconds=obligation.seconds(length))
    over = way()
    found = over.do("renew", longer, request=asked)
    code = phase.DONE
    if wait:
        found, code = phase.wait(over, found, most=most, as_json=as_json)
    elif as_json:
        emit(builtins(found))
    phase.tell(found, said=wait and not as_json)
    finish(code)


@app.command("revoke")
def revoke(asked: Id, comment: Comment = "", as_json: JsonFlag = False) -> None:
    """End a lease now: its login, its sessions, its role. Exit 3 where that has to be tried again.

    A request that was not claimed is withdrawn.
    """
    found: RequestView = way().do("revoke", Refuse(comment=comment), request=asked)
    if as_json:
        emit(builtins(found))
    say(f"{found.id}: {phase.words(found)}", phase.STYLES[found.phase])
    phase.trouble(found)
    finish(3 if found.phase == "ending" else phase.DONE)


def _claimed(over: Way, asked: str, *, wait: bool, most: int | None) -> CredentialView:
    """The credential of a request that is approved; else the end of this command."""
    found: RequestView = over.do("request_show", request=asked)
    waited = wait and found.phase == "pending"
    if waited:
        found, _ = phase.wait(over, found, most=most, as_json=False)
    if found.phase not in _CLAIMABLE and (code := phase.CODES[found.phase]):
        phase.tell(found, said=waited)
        finish(code)
    issued: CredentialView = over.do("credential", request=asked)
    return issued


class _Until:
    """When a lease ends, as far as it is known now; empty, if it ends already."""

    def __init__(self, over: Way, asked: str, until: str) -> None:
        self._over = over
        self._asked = asked
        self._known = until

    def __call__(self) -> str:
        try:
            found: RequestView = self._over.do("request_show", request=self._asked)
        except HoldfastError:
            return self._known  # nobody can be asked now; until then the lease goes on
        self._known = found.lease.until if found.phase == "active" and found.lease else ""
        return self._known


def _told(asked: str) -> None:
    complain(f"{asked} has ended, and the program was told to end (SIGTERM)", "")


def _end(over: Way, asked: str, code: int) -> int:
    """End the lease; the exit code, which is 3 where only that failed."""
    try:
        found: RequestView = over.do("revoke", Refuse(comment=""), request=asked)
    except HoldfastError as error:
        complain(f"{asked} could not be ended: {error.message}", f"holdfast revoke {asked}")
        return code or error.exit_code
    say(f"{found.id}: {phase.words(found)}")
    phase.trouble(found)
    return code or (3 if found.phase == "ending" else phase.DONE)


def _not_the_programs() -> frozenset[str]:
    """Variables that hold our own secrets: the lease is all that the program is to have."""
    found = settings_or_none()
    names = {TOKEN}
    if found is not None:
        for target in found.file.targets.values():
            names |= {target.dsn_env, target.access.dsn_env if target.access else ""}
            names |= {target.masking.dsn_env if target.masking else ""}
        names |= {
            name for one in found.file.notify.webhooks for name in (one.secret_env, one.url_env)
        }
    return frozenset(names - {""})
