"""``holdfast aws``: what a deployment would find, do and cost, and the deployment itself."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text

from chalicelib import settings
from chalicelib.cli import table
from chalicelib.cli.app import JsonFlag, actor, app, finish, load_settings
from chalicelib.cli.cost import cost
from chalicelib.cli.text import count, emit, err, out, plain, say
from chalicelib.kernel.errors import ConfigError, CouldNotTell, NotAllowed, UsageError
from chalicelib.settings import authority, edit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from chalicelib.aws.changes import Change
    from chalicelib.aws.checks import Check
    from chalicelib.aws.deployment import Deployed, Deployer, Event, Plan
    from chalicelib.aws.packaging import Package
    from chalicelib.settings import AwsSection, Settings

group = typer.Typer(no_args_is_help=True, help="The deployment on AWS: check, plan, deploy, cost.")
app.add_typer(group, name="aws")

StageOption = Annotated[
    str, typer.Option(help="The stage; it is that of [aws] stage, named again to be sure.")
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        metavar="KEY=VALUE",
        help="A parameter of the template; repeatable. The others keep their values.",
    ),
]

VERDICT_STYLES = {"ok": "green", "wrong": "bold red", "could not tell": "bold yellow"}
ACTION_STYLES = {"Add": "green", "Modify": "yellow", "Remove": "bold red"}
ASKED_FIRST = ("credentials", "parameters")  # where these fail, every other question does
MAX_PARAMETER_CHARACTERS = 4_096  # CloudFormation quotas, "Parameter values"


@group.command("check")
def check(
    stage: StageOption = "", parameter: ParameterOption = None, as_json: JsonFlag = False
) -> None:
    """Look at what deploying needs, and at the stack. Exit 0 all right, 1 wrong, 3 unknown."""
    _needs_botocore()
    from chalicelib.aws import checks as lines  # noqa: PLC0415 - an extra
    from chalicelib.aws import health  # noqa: PLC0415 - an extra
    from chalicelib.wiring import cloud  # noqa: PLC0415 - an extra

    loaded, own = _settings(stage)
    given = _parameters(parameter, loaded)
    client = cloud.of(own).client
    checks = [_settings_line(loaded, own), *_before(loaded, own, given)]
    if all(one.verdict is lines.Verdict.OK for one in checks if one.what == "credentials"):
        checks += health.look(client, cloud.stack(own), opened=bool(loaded.file.log.key))
    code = lines.exit_code(checks)
    if as_json:
        emit({"exit_code": code, "checks": [msgspec.to_builtins(one) for one in checks]})
    else:
        _show_checks(checks, out())
    finish(code)


@group.command("plan")
def plan(
    stage: StageOption = "", parameter: ParameterOption = None, as_json: JsonFlag = False
) -> None:
    """Show what a deployment would change, and change nothing but the deployment bucket."""
    _needs_botocore()
    loaded, own = _settings(stage)
    given = _parameters(parameter, loaded)
    _preflight(loaded, own, given)
    deployer = _deployer(own)
    with _packaged(loaded, own) as package:
        proposed = deployer.plan(package, given, opened=bool(loaded.file.log.key))
    deployer.discard(proposed.proposed)
    if as_json:
        emit(_encode(proposed, deployer.stack))
        return
    _show_plan(proposed)
    say("next: holdfast aws deploy", "bold")


@group.command("deploy")
def deploy(
    stage: StageOption = "",
    parameter: ParameterOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Package with Chalice and deploy with CloudFormation; the first time, open the log."""
    _needs_botocore()
    from chalicelib.aws import deployment, places  # noqa: PLC0415 - an extra
    from chalicelib.wiring import cloud  # noqa: PLC0415 - an extra

    loaded, own = _settings(stage)
    given = _parameters(parameter, loaded)
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "there is no terminal to ask on", next_step="holdfast aws plan, then deploy --yes"
        )
    _preflight(loaded, own, given)
    who = actor()  # whoever that is not, learns it before anything is made
    deployer = _deployer(own)
    if loaded.file.log.key and deployer.current() is None:
        raise NotAllowed(
            f"{loaded.path} has the key of a log, and there is no stack {deployer.stack}: a new "
            "stack has a new key, and starts a new log",
            next_step='correct [aws] region and stage; or, for a new log, [log] key = ""',
        )

    def packaged(key: str) -> AbstractContextManager[Package]:
        return _packaged(edit.set_log_key(loaded, key) if key else loaded, own)

    def agree(proposed: Plan) -> bool:
        if not as_json:
            _show_plan(proposed)
        return yes or typer.confirm("Carry this out?", err=True)

    def open_log(outputs: Mapping[str, str]) -> str:
        say("opening the log with the stack's key")
        found = places.of_outputs(outputs, deployer.stack)
        key = cloud.open_log(loaded, found, who)
        edit.set_log_key(loaded, key)
        say(f"the log's public key is now in {loaded.path}; starting the schedule")
        return key

    done = deployment.deploy(
        deployer,
        packaged,
        given,
        opened=bool(loaded.file.log.key),
        agree=agree,
        open_log=open_log,
    )
    _finish_deploy(done, deployer.stack, as_json=as_json)


group.command("cost")(cost)


def _needs_botocore() -> None:
    if importlib.util.find_spec("botocore") is None:
        raise ConfigError(
            "the AWS library is not installed",
            next_step="pip install -e '.[aws,deploy]'  # in the clone",
        )


def _settings(stage: str) -> tuple[Settings, AwsSection]:
    """The settings and their AWS section. One file is one stage: it holds one log's key."""
    from chalicelib.wiring import cloud  # noqa: PLC0415 - an extra

    loaded = load_settings()
    own = cloud.section(loaded)
    if stage and stage != own.stage:
        raise UsageError(
            f"{loaded.path} is of the stage {own.stage!r}, not {stage!r}",
            next_step="a stage has a settings file of its own: --config FILE",
        )
    return loaded, own


def _parameters(given: Sequence[str] | None, loaded: Settings) -> dict[str, str]:
    """The stack's parameters: those given, and those that the settings say."""
    from chalicelib.wiring import granted  # noqa: PLC0415 - an extra

    found = granted.parameters(loaded)
    for one in given or []:
        key, equals, value = one.partition("=")
        if not equals or not key.isalnum() or len(value) > MAX_PARAMETER_CHARACTERS:
            raise UsageError(
                f"not a parameter: {plain(one[:80])!r}", next_step="--parameter RetentionDays=400"
            )
        if key in found:
            said = granted.SAID_BY.get(key)
            raise UsageError(
                f"the parameter {key} is given twice"
                + (f", by the settings too: {said}" if said else "")
            )
        found[key] = value
    return found


def _deployer(own: AwsSection) -> Deployer:
    from chalicelib.aws.deployment import Deployer as Made  # noqa: PLC0415 - an extra
    from chalicelib.aws.preflight import identity  # noqa: PLC0415 - an extra
    from chalicelib.wiring import cloud  # noqa: PLC0415 - an extra

    client = cloud.of(own).client
    return Made(
        clients=client,
        stack=cloud.stack(own),
        account=identity(client("sts")).account,
        region=own.region,
        pause=time.sleep,
        show=_show_event,
    )


def _packaged(loaded: Settings, own: AwsSection) -> AbstractContextManager[Package]:
    from chalicelib.aws import packaging  # noqa: PLC0415 - an extra

    authority.load(loaded)  # policies that Cedar refuses would refuse everybody, once deployed
    say("packaging with Chalice; the first time, it downloads the dependencies")
    return packaging.package(
        _project(loaded),
        stage=own.stage,
        region=own.region,
        settings=settings.compiled(loaded),
    )


def _before(loaded: Settings, own: AwsSection, given: Mapping[str, str]) -> list[Check]:
    """What is looked at before a deployment."""
    from chalicelib.aws import preflight  # noqa: PLC0415 - an extra
    from chalicelib.wiring import cloud, granted  # noqa: PLC0415 - an extra

    folder = _project(loaded)
    return [
        *preflight.project(folder, own.stage, sys.version_info[:2]),
        *preflight.account(
            cloud.of(own).client,
            stack=cloud.stack(own),
            region=own.region,
            targets=granted.watched(loaded),
            given=given,
            opened=bool(loaded.file.log.key),
            vendor=folder / "vendor",
        ),
    ]


def _project(loaded: Settings) -> Path:
    """The project's folder: that of the settings, or above it, or where the command runs."""
    from chalicelib.aws import packaging  # noqa: PLC0415 - an extra

    return packaging.project(loaded.path.parent, Path.cwd())


def _settings_line(loaded: Settings, own: AwsSection) -> Check:
    from chalicelib.aws.checks import Check as Line  # noqa: PLC0415 - an extra
    from chalicelib.aws.checks import Verdict  # noqa: PLC0415 - an extra

    held = count(len(loaded.file.targets), "target")
    return Line("settings", Verdict.OK, f"{loaded.path}: {held}, {own.stage} in {own.region}")


def _preflight(loaded: Settings, own: AwsSection, given: Mapping[str, str]) -> None:
    """Return if nothing is wrong; what could not be told is said.

    Raises: ConfigError; CouldNotTell, where AWS gives no answer at all: then nothing can follow.
    """
    from chalicelib.aws.checks import Verdict  # noqa: PLC0415 - an extra

    checks = _before(loaded, own, given)
    silent = [one for one in checks if one.verdict is Verdict.UNKNOWN and one.what in ASKED_FIRST]
    _show_checks(
        [one for one in checks if one.verdict is not Verdict.OK and one not in silent], err()
    )
    if silent:
        raise CouldNotTell(silent[0].found, next_step=silent[0].next_step)
    if any(one.verdict is Verdict.WRONG for one in checks):
        raise ConfigError("nothing was deployed", next_step="holdfast aws check")


def _show_checks(checks: Sequence[Check], console: Console) -> None:
    """A line each, and its next step, which is to be copied and so stays in one piece."""
    for one in checks:
        verdict = Text(one.verdict.value.ljust(16), VERDICT_STYLES[one.verdict.value])
        if not console.is_terminal:
            after = f"; next: {plain(one.next_step)}" if one.next_step else ""
            console.print(Text.assemble(verdict, f"{plain(one.what)}: {plain(one.found)}{after}"))
            continue
        found = textwrap.wrap(
            plain(f"{one.what}: {one.found}"),
            max(40, console.width - 16),
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines = Text.assemble(verdict, ("\n" + " " * 16).join(found))
        if one.next_step:
            lines.append("\n  next: ", "bold").append(plain(one.next_step))
        console.print(lines, soft_wrap=True)


def _show_plan(proposed: Plan) -> None:
    if not proposed.proposed.id:
        say("nothing would change")
        return
    say(
        f"{'create' if proposed.proposed.creates else 'update'} {proposed.proposed.stack}: "
        f"{count(len(proposed.proposed.changes), 'resource')}; package "
        f"{proposed.package_sha256[:16]}…, {proposed.unzipped_bytes:,} bytes unzipped"
    )
    table.grid(
        ["", "resource", "type", "why"],
        [
            [Text(one.action, ACTION_STYLES.get(one.action, "")), one.name, one.type, _why(one)]
            for one in sorted(proposed.proposed.changes, key=lambda one: (one.action, one.name))
        ],
    )


def _why(one: Change) -> str:
    replaced = {"True": "replaced", "Conditional": "may be replaced"}.get(one.replacement, "")
    return ": ".join(filter(None, [replaced, ", ".join(one.properties)]))


def _show_event(one: Event) -> None:
    say(
        f"{one.status:<28}{one.type}  {one.name}" + (f"  {one.reason}" if one.reason else ""),
        "red" if one.failed else "dim",
    )


def _finish_deploy(done: Deployed, stack: str, *, as_json: bool) -> None:
    if done.stack is None:
        raise UsageError("nothing was changed; nobody agreed")
    if as_json:
        emit(
            {
                "stack": stack,
                "status": done.stack.status,
                "outputs": done.stack.outputs,
                "api": done.api_address or None,
                "key": done.key or None,
                "plans": [_encode(one, stack) for one in done.plans],
            }
        )
    else:
        table.pairs([("stack", stack), ("status", done.stack.status), *done.stack.outputs.items()])
    if done.api_address:
        say(f"the API: {done.api_address}; with AWS credentials: {done.api_address}/iam")
    if done.key:
        say("give this key to whoever will verify; commit holdfast.toml:")
        say(done.key, "bold")
    say("next: holdfast aws check", "bold")


def _encode(proposed: Plan, stack: str) -> dict[str, Any]:
    return {
        "stack": stack,
        "creates": proposed.proposed.creates,
        "nothing_to_do": not proposed.proposed.id,
        "package": {"sha256": proposed.package_sha256, "unzipped_bytes": proposed.unzipped_bytes},
        "parameters": proposed.parameters,
        "changes": [msgspec.to_builtins(one) for one in proposed.proposed.changes],
    }
