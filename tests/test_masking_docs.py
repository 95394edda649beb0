"""docs/masking.md says what the code does: classes, bounds, operators."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from chalicelib.access.attack.judgement import Outcome
from chalicelib.access.masking import classes
from chalicelib.access.masking.masks import MAX_COLUMNS, SECTIONS, Rule, parse
from chalicelib.access.masking.spec import Spec
from chalicelib.access.masking.views import Classified, Views
from chalicelib.access.profile import Table
from chalicelib.access.suggestion.proposal import Proposal
from chalicelib.cli import applied, mask
from chalicelib.postgres import attack, broker
from chalicelib.postgres.masking import Applied
from chalicelib.postgres.owner import owner
from chalicelib.settings import MAX_FILE_BYTES
from chalicelib.settings.masking import MAX_FILES
from chalicelib.wiring import masking as wiring

PAGE = Path(__file__).parent.parent / "docs" / "masking.md"


def section(heading, level="##"):
    """The text under a heading, up to the next one of its level or above."""
    text = PAGE.read_text().split(f"\n{level} {heading}\n")[1]
    return re.split(r"\n#{2,%d} " % len(level), text)[0]  # noqa: UP031 - braces of a pattern


def shown(one):
    """A class's masks as the table has them."""
    if one.clear or one.hidden:
        return "clear" if one.clear else "left out"
    return ", ".join(_mask(spec) for spec in one.masks)


def _mask(spec):
    values = (
        f"`{name} = {f'{chr(34)}{value}{chr(34)}' if isinstance(value, str) else value}`"
        for name, value in spec.parameters.items()
    )
    more = ", ".join(values)
    return f"`{spec.mask}`" + (f" ({more})" if more else "")


def test_the_table_of_classes_is_that_of_the_code():
    rows = re.findall(r"(?m)^\| `([a-z-]+)` \| (.+?) \| [^|]+ \|$", section("Classes", "###"))
    assert dict(rows) == {name: shown(one) for name, one in classes.SHIPPED.items()}
    assert len(rows) == len(classes.SHIPPED)


def test_the_masks_file_of_the_example_is_one():
    texts = re.findall(r"```toml\n(.*?)```", section("An example"), re.DOTALL)
    found = parse([("the page", tomllib.loads(texts[1]))])
    rules = found.columns[Table("public", "customers")]
    assert rules["email"] == Rule("email", Spec("pseudonym"))
    assert found.columns[Table("public", "orders")]["clerk"].klass == "hidden"


def test_own_classes_and_sets_of_views_of_the_page_can_be():
    classes_text = re.search(r"```toml\n(.*?)```", section("Classes", "###"), re.DOTALL)[1]
    found = parse([("the page", tomllib.loads(classes_text))])
    assert {"plan", "salary", "code"} <= set(found.classes)
    assert found.classes["code"].clear
    views_text = re.search(r"```toml\n(.*?)```", section("Row filters"), re.DOTALL)[1]
    found = parse([("the page", tomllib.loads(views_text))])
    assert len(found.filters("support", Table("public", "orders"))) == len(found.views) + 1


@pytest.mark.parametrize("text", re.findall(r"(?m)^\| `([^`\[]+ = [^`]+)` \| ", PAGE.read_text()))
def test_every_spelling_of_a_column_is_read(text):
    full = text if text.startswith(("public", '"')) else f"public.customers.{text}"
    assert parse([("the page", tomllib.loads(full))]).columns


def test_the_sections_of_the_masks_file_are_named():
    text = section("The masks file")
    assert all(f"`{one}`" in text for one in SECTIONS)


def test_bounds_are_those_of_the_code():
    text = section("The masks file")
    assert f"at most {MAX_FILES} files of\n{MAX_FILE_BYTES >> 20} MiB, and {MAX_COLUMNS:,}" in text
    assert f"at most {broker.LOCK_TIMEOUT_SECONDS} seconds for a lock" in section("Apply")
    assert f"`--rows {wiring.ROWS}`" in section("Suggest")
    assert f"the first {attack.LIMIT} rows" in section("Check")
    assert all(f"`{verdict}`" in section("Check") for verdict in mask._VERDICTS)


def test_the_role_is_named_as_it_is_made():
    assert re.fullmatch(r"holdfast_mask_[0-9a-f]{8}", owner("orders"))
    assert "`holdfast_mask_<8 hex digits of the database>`" in section("Apply")


def test_the_json_of_the_commands_is_documented():
    page = (PAGE.parent / "output.md").read_text()
    text = page.split("\n## `--json` of `holdfast mask`\n")[1].split("\n## ")[0]
    for one in (Proposal, Classified, Outcome):
        for field in one.__struct_fields__:
            assert f"`{field}`" in text, (one, field)
    none = Views(views=(), columns=(), unclassified=(), gone=(), left_out=())
    lists = dict.fromkeys(("statements", "made", "replaced", "again", "dropped"), ())
    done = Applied(views=none, sha256="", installed=True, ran=True, **lists)
    for field in applied.document("orders", done):
        assert f"`{field}`" in text, field


def test_every_section_is_there():
    for heading in (
        "The masks file",
        "Masks",
        "Suggest",
        "Apply",
        "Row filters",
        "The key",
        "Check",
        "Attacks",
        "What views cannot close",
        "Drift",
        "Limits",
    ):
        assert f"\n## {heading}\n" in PAGE.read_text(), heading
