"""What the documentation says is what the code does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from chalicelib import settings
from chalicelib.access.profile import Profile
from chalicelib.aws.checks import Check
from chalicelib.aws.cost import Bill, Fleet
from chalicelib.cli.app import app
from chalicelib.drift.finding import Finding, When
from chalicelib.evidence.account import Problem, Repeat, Report
from chalicelib.kernel.errors import Conflict, CouldNotTell, VerificationFailed

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands():
    """Every command with its options, e.g. ``("drift", "ls") → {"--json", …}``."""
    found = {}

    def walk(command, path):
        options = {name for one in command.params for name in getattr(one, "opts", [])}
        found[path] = options
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*path, name))

    walk(get_command(app), ())
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_shown_exist(page):
    known = commands()
    shown = re.findall(r"(?m)^(?:\$ )?holdfast [^#\n]*|`holdfast [^`\n]*`", page.read_text())
    for line in shown:
        words = shlex.split(line.strip("`$ ").replace("…", "X"))[1:]
        while words[:1] in (["--as"], ["--config"], ["--api"]):
            words = words[2:]
        if not words:
            continue  # an option that every command takes
        path = tuple(words[:1]) if (words[0],) in known else ()
        if len(words) > 1 and (words[0], words[1].split("|")[0]) in known:
            path = (words[0], words[1].split("|")[0])
        assert path, line
        for word in words[: words.index("--")] if "--" in words else words:
            if word.startswith("--") and word != "--help":
                assert word.split("=")[0] in known[path] | known[()], line


def test_every_setting_is_documented():
    text = (ROOT / "docs" / "configuration.md").read_text()
    for section in (
        settings.AccessSection,
        settings.ApiSection,
        settings.BrokerSection,
        settings.NotifySection,
        settings.WebhookSection,
        Profile,
        settings.LogSection,
        settings.MaskingSection,
        settings.StoreSection,
        settings.RetentionSection,
        settings.RulesSection,
        settings.IssuerSection,
        settings.IamSection,
        settings.IdentitySection,
        settings.PolicySection,
        settings.PostgresSection,
        settings.TargetSection,
        settings.TimestampSection,
    ):
        for field in section.__struct_fields__:
            assert f"| `{field}` |" in text, field


def test_every_command_is_in_the_readme_or_its_groups_help():
    text = (ROOT / "README.md").read_text() + (ROOT / "CHANGELOG.md").read_text()
    for path in commands():
        if len(path) == 1:
            assert path[0] in text


def test_pages_are_listed_in_the_readme():
    text = (ROOT / "README.md").read_text()
    for page in sorted((ROOT / "docs").rglob("*.md")):
        if page.parent.name != "adr":
            assert str(page.relative_to(ROOT)) in text


def test_the_json_of_findings_is_documented():
    text = (ROOT / "docs" / "output.md").read_text()
    fields = {*Finding.__struct_fields__, *When.__struct_fields__, "disposition"}
    for field in fields:
        assert f"`{field}`" in text, field


def test_the_codes_of_failures_are_documented():
    text = (ROOT / "docs" / "output.md").read_text()

    def leaves(kind):
        below = kind.__subclasses__()
        return {kind}.union(*map(leaves, below)) if below else {kind}

    for kind in leaves(CouldNotTell) | leaves(VerificationFailed):
        if kind not in {CouldNotTell, VerificationFailed, Conflict}:
            assert f"`{kind('').code}`" in text, kind


def section(page, heading):
    """The text under a heading of a page, up to the next of its kind."""
    text = (ROOT / "docs" / page).read_text()
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def test_the_lines_of_the_service_are_documented():
    text = section("output.md", "`holdfast serve --json`")
    code = "".join(
        (ROOT / "chalicelib" / path).read_text()
        for path in (
            "cli/service.py",
            "cli/ticks.py",
            "cli/serve.py",
            "cli/counter.py",
            "cli/sweeper.py",
            "http/gate.py",
            "drift/schedule.py",
        )
    )
    events = set(re.findall(r'(?:"event": |kind = )"([a-z ]+)"', code))
    assert {"scan", "recorded", "finding closed", "stopping"} <= events
    documented = set(re.findall(r"(?m)^\| `([a-z ]+)` \| ", text)) - {"event"}
    assert documented == events


def test_the_json_of_the_bill_and_of_a_reconciliation_is_documented():
    text = section("output.md", "`--json` of `holdfast aws`")
    for field in {*Bill.__struct_fields__, *Fleet.__struct_fields__, *Check.__struct_fields__}:
        assert f"`{field}`" in text, field
    text = section("output.md", "`holdfast evidence reconcile --json`")
    for field in {*Report.__struct_fields__, *Problem.__struct_fields__, *Repeat.__struct_fields__}:
        assert f"`{field}`" in text, field
