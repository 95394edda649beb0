"""Packaging: the project's folder and the compiled settings → a zip for Lambda and a template.

Chalice does it, as a program of its own in a copy of the folder. What it leaves to time and chance
is taken out of the zip: equal inputs give equal bytes, so an unchanged project changes no stack.
Nothing here talks to AWS, though Chalice fetches the pinned dependencies with pip.
``ACTIONS`` is empty.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.kernel.errors import ConfigError, CouldNotTell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Run = Callable[[list[str], Path, str], str]

ACTIONS: Final[tuple[str, ...]] = ()

MERGE_TEMPLATE: Final = "infra/template.json"
NEEDED: Final = (
    "app.py",
    "chalicelib/__init__.py",
    ".chalice/config.json",
    MERGE_TEMPLATE,
    "requirements.txt",
)
COPIED: Final = ("app.py", "chalicelib", ".chalice", "infra", "requirements.txt", "vendor")
SETTINGS: Final = "holdfast.json"  # at the root of the zip
INSTALL: Final = "pip install -e '.[aws,deploy]'  # in the clone"
ROOT: Final = "/var/task"  # where Lambda unpacks the zip: LAMBDA_TASK_ROOT
LEFT_OUT: Final = shutil.ignore_patterns("__pycache__", "*.pyc", "deployments", "deployed")

# Versions of Python that Lambda runs and Chalice 1.34 packages for. Source: AWS Lambda developer
# guide, "Lambda runtimes".
RUNTIMES: Final = ((3, 11), (3, 12), (3, 13), (3, 14))
MAX_UNZIPPED_BYTES: Final = 250 * 2**20  # Lambda quotas, "Deployment package (.zip file archive)"
MAX_TEMPLATE_BYTES: Final = 2**20  # CloudFormation quotas, "Template, passed as an S3 object"
CHALICE: Final = "import sys; from chalice.cli import main; sys.exit(main())"  # no __main__
TIMEOUT_SECONDS: Final = 900
MAX_OUTPUT_CHARACTERS: Final = 2_000

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_NOT_INSTALLED: Final = "Could not install dependencies"  # chalice.constants; it goes on without


class Package(msgspec.Struct, frozen=True):
    """What is deployed: the zip, in a folder that goes with its block, and the merged template."""

    archive: Path
    sha256: str
    unzipped_bytes: int
    template: dict[str, Any]


def runtime(version: Sequence[int]) -> str:
    """Lambda's name for a version of Python. Raises: ConfigError, where Lambda has none."""
    major, minor = version[:2]
    if (major, minor) not in RUNTIMES:
        known = ", ".join(f"{one}.{two}" for one, two in RUNTIMES)
        raise ConfigError(
            f"Lambda does not run Python {major}.{minor}; the functions run what packages them",
            next_step=f"deploy with a Python of {known}",
        )
    return f"python{major}.{minor}"


def packager() -> str:
    """The version of Chalice. Raises: ConfigError, where it is not installed."""
    if importlib.util.find_spec("chalice") is None:
        raise ConfigError("Chalice is not installed", next_step=INSTALL)
    from importlib.metadata import version  # noqa: PLC0415 - only where it is deployed

    return version("chalice")


def project(*starts: Path) -> Path:
    """The project's folder: the first of ``starts``, or above one of them, with ``app.py``.

    Where there is none it is the first of them, of which :func:`check_project` says what it lacks.
    """
    for start in starts:
        for folder in (start, *start.parents):
            if (folder / "app.py").is_file() and (folder / ".chalice").is_dir():
                return folder
    return starts[0]


def check_project(folder: Path) -> None:
    """Return if the folder holds the project. Raises: ConfigError, with what it lacks."""
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise ConfigError(
            f"{folder} is not the project's folder: there is no {', '.join(missing)}",
            next_step="deploy from a clone of Holdfast, with holdfast.toml in it or below it",
        )


def check_stage(folder: Path, stage: str) -> None:
    """Return if Chalice knows the stage; it takes any name in silence. Raises: ConfigError."""
    path = folder / ".chalice" / "config.json"
    try:
        stages = json.loads(path.read_bytes()).get("stages", {})
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be read as Chalice's configuration") from error
    if stage not in stages:
        raise ConfigError(
            f"{path} has no stage {stage!r}; it has {', '.join(sorted(stages)) or 'none'}",
            next_step=f'add  "{stage}": {{}}  under "stages" in that file',
        )


@contextmanager
def package(
    folder: Path,
    *,
    stage: str,
    region: str,
    settings: bytes,
    run: Run | None = None,
) -> Iterator[Package]:
    """The package of the project in ``folder``, while the block lasts.

    ``run(command, folder, region)`` gives a command's output. Raises: ConfigError, where the folder
    or its result cannot be deployed; CouldNotTell, where Chalice fails.
    """
    check_project(folder)
    check_stage(folder, stage)
    with tempfile.TemporaryDirectory(prefix="holdfast-build-") as temporary:
        build, out = Path(temporary) / "build", Path(temporary) / "out"
        _copy(folder, build, settings)
        command = [sys.executable, "-c", CHALICE, "package", "--stage", stage]
        command += ["--merge-template", MERGE_TEMPLATE, str(out)]
        output = (run or _run)(command, build, region)
        if _NOT_INSTALLED in output:
            raise CouldNotTell(
                f"Chalice could not get every dependency:\n{output[-MAX_OUTPUT_CHARACTERS:]}",
                next_step="python -m pip download -r requirements.txt shows why",
            )
        yield _finished(out, Path(temporary) / "package.zip")


def _copy(folder: Path, build: Path, settings: bytes) -> None:
    build.mkdir()
    for name in COPIED:
        source = folder / name
        if source.is_dir():
            shutil.copytree(source, build / name, ignore=LEFT_OUT)
        elif source.is_file():
            shutil.copy2(source, build / name)
    (build / "vendor").mkdir(exist_ok=True)
    (build / "vendor" / SETTINGS).write_bytes(settings)


def _run(command: list[str], folder: Path, region: str) -> str:
    """A program's output. Raises: CouldNotTell, where it fails or takes longer than its bound."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, no shell
            command,
            cwd=folder,
            env={
                **os.environ,
                "AWS_DEFAULT_REGION": region,  # Chalice refuses to start without
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONSAFEPATH": "",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CouldNotTell(f"chalice package took longer than {TIMEOUT_SECONDS} s") from error
    output = done.stdout.decode(errors="backslashreplace")
    if done.returncode:
        raise CouldNotTell(
            f"chalice package failed with exit code {done.returncode}:\n"
            f"{output[-MAX_OUTPUT_CHARACTERS:]}",
            next_step="nothing was deployed; correct it and run the command again",
        )
    return output


def _finished(out: Path, archive: Path) -> Package:
    """The zip made reproducible, and the template. Raises: ConfigError, CouldNotTell."""
    try:
        template = json.loads((out / "sam.json").read_bytes())
        size = normalise(out / "deployment.zip", archive)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise CouldNotTell(f"chalice package left no package: {type(error).__name__}") from error
    if (out / "layer-deployment.zip").exists():
        raise ConfigError(
            "Chalice made a layer, which is not deployed from here",
            next_step='set "automatic_layer": false in .chalice/config.json',
        )
    if size > MAX_UNZIPPED_BYTES:
        raise ConfigError(
            f"the package is {size:,} bytes unzipped; Lambda allows {MAX_UNZIPPED_BYTES:,}"
        )
    with archive.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Package(archive, digest, size, template)


def normalise(source: Path, target: Path) -> int:
    """Write the zip again in the order of its names and without times; its size unzipped."""
    size = 0
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        # A name that comes twice: what is last is what unzipping leaves.
        entries = {entry.filename: entry for entry in old.infolist() if not entry.is_dir()}
        for name in sorted(entries):
            data = old.read(entries[name])
            size += len(data)
            entry = zipfile.ZipInfo(name, _EPOCH)
            executable = (entries[name].external_attr >> 16) & 0o111
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            new.writestr(entry, data, zipfile.ZIP_DEFLATED, compresslevel=6)
    return size


def placed(template: dict[str, Any], code: dict[str, str]) -> bytes:
    """The template's bytes with every function's code at ``code``: bucket, key, version.

    Raises: ConfigError, where no function has code here, or it is too large for CloudFormation.
    """
    resources = {}
    found = 0
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function" and isinstance(
            properties.get("CodeUri"), str
        ):
            found += 1
            resource = {**resource, "Properties": {**properties, "CodeUri": code}}  # noqa: PLW2901
        resources[name] = resource
    if not found:
        raise ConfigError("the template has no function whose code is in the package")
    data = json.dumps({**template, "Resources": resources}, indent=1, sort_keys=True).encode()
    if len(data) > MAX_TEMPLATE_BYTES:
        raise ConfigError(
            f"the template has {len(data):,} bytes; CloudFormation takes {MAX_TEMPLATE_BYTES:,}"
        )
    return data
