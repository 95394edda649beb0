"""template.yaml → template.json, which is what is packaged: ``python infra/compile.py``.

People write the YAML, for its comments. Chalice is given the JSON: given YAML it writes YAML, with
aliases where two roles share a value, and CloudFormation takes no aliases (CloudFormation User
Guide, "Template formats"). A test holds the two files to each other.
"""

# ruff: noqa: INP001 - a program, not part of a package
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chalice.package import YAMLTemplateSerializer

FOLDER = Path(__file__).parent


def compiled() -> dict[str, Any]:
    """The template as JSON has it, its short forms (``!Ref``) written out."""
    source = FOLDER / "template.yaml"
    template: dict[str, Any] = YAMLTemplateSerializer().load_template(
        source.read_text(), str(source)
    )
    return template


if __name__ == "__main__":
    (FOLDER / "template.json").write_text(json.dumps(compiled(), indent=1) + "\n")
