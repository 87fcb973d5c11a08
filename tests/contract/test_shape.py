"""The public names, the two colours side by side, and which file may import what."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import admission
from admission import AsyncGuard, Guard

PACKAGE = Path(admission.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

METHODS = {name for name in dir(Guard) if not name.startswith("_")}
PLAIN = {"from_env", "hold", "place"}


def test_the_public_names_are_in_order():
    assert list(admission.__all__) == sorted(admission.__all__)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_both_colours_have_the_same_method(name):
    plain, awaited = getattr(Guard, name), getattr(AsyncGuard, name)
    assert inspect.iscoroutinefunction(awaited) == (name not in PLAIN)
    assert not inspect.iscoroutinefunction(plain)
    parameters = [
        [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]
        for method in (plain, awaited)
    ]
    assert parameters[0] == parameters[1]
    told = [inspect.getdoc(method).partition("\n")[2] for method in (plain, awaited)]
    assert told[0] == told[1]


def test_neither_colour_has_other_methods():
    assert {name for name in dir(AsyncGuard) if not name.startswith("_")} == METHODS


def test_both_colours_are_made_alike():
    assert inspect.signature(Guard.__init__) == inspect.signature(AsyncGuard.__init__)
    told = [inspect.getdoc(guard).partition("\nArgs:\n")[2] for guard in (Guard, AsyncGuard)]
    assert told[0] == told[1]
    for name in list(inspect.signature(Guard).parameters):
        assert f"    {name}: " in told[0]


@pytest.mark.parametrize("name", admission.__all__)
def test_every_public_thing_tells_what_it_is(name):
    assert inspect.getdoc(getattr(admission, name))


def imports(path):
    """Every module that a file imports, `if TYPE_CHECKING` aside."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


KNOWN_BY = {
    "httpx": {
        "sources/http.py",
        "sources/addresses.py",
        "testing/transport.py",
        "testing/plugin.py",
        "cli/demo/phone.py",
        "integrations/httpx.py",
    },
    "tenacity": {"schedule.py"},
    "redis": {"ledger/redis"},
    "rich": {"cli"},
    "uvicorn": {"testing/server.py", "cli/demo/command.py", "cli/dashboard.py"},
    "celery": {"integrations/celery.py"},
    "rq": {"integrations/rq.py"},
    "arq": {"integrations/arq.py"},
    "dramatiq": {"integrations/dramatiq.py"},
    "prometheus_client": {"integrations/prometheus.py"},
    "opentelemetry": {"integrations/otel.py"},
}


@pytest.mark.parametrize("library", sorted(KNOWN_BY))
def test_a_library_is_known_by_the_files_named_for_it_alone(library):
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(name.split(".")[0] == library for name in imports(path))
    }
    allowed = tuple(place if place.endswith(".py") else f"{place}/" for place in KNOWN_BY[library])
    assert {path for path in found if not path.startswith(allowed)} == set()


IMPURE = {"asyncio", "threading", "time", "random", "logging", "os", "socket", "redis", "httpx", "tenacity"}


@pytest.mark.parametrize(
    "folder",
    [
        "core",
        "values.py",
        "errors.py",
        "hooks.py",
        "ledger/book.py",
        "ledger/room.py",
        "ledger/serving.py",
        "ledger/rule.py",
        "ledger/line.py",
        "ledger/lanes.py",
        "ledger/checks.py",
    ],
)
def test_decisions_do_no_io_and_know_no_clock(folder):
    place = PACKAGE / folder
    for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
        assert not {name.split(".")[0] for name in imports(path)} & IMPURE, path


def test_importing_the_package_imports_no_extra():
    # httpx has a command line of its own, which takes rich where it is installed.
    code = """
import sys
import httpx, redis, tenacity
before = set(sys.modules)
import admission
extras = {
    "rich", "uvicorn", "pytest", "celery", "rq", "arq", "dramatiq", "prometheus_client", "opentelemetry",
    "admission.testing", "admission.cli", "admission.integrations", "admission.simulation",
}
print(sorted(extras & (set(sys.modules) - before)))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


WRONG_COLOURS = """
from admission import AsyncGuard, Guard, PureTalk

plain = Guard(PureTalk("key"))
awaited = AsyncGuard(PureTalk("key"))


@plain.place()
def good(lead: str) -> int:
    return 1


@awaited.place()
async def also_good(lead: str) -> int:
    return 1


async def both() -> int:
    return good("a") + await also_good("b")


@awaited.place()
def wrong(lead: str) -> int:
    return 1
"""


def test_a_decorator_of_the_wrong_colour_is_a_type_error(tmp_path):
    path = tmp_path / "snippet.py"
    path.write_text(WRONG_COLOURS)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(tmp_path),
        "--follow-imports=silent",
        str(path),
    ]
    out = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    errors = [line for line in out.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1, out.stdout
    assert WRONG_COLOURS.splitlines()[int(errors[0].split(":")[1]) - 1] == "@awaited.place()"
    assert 'incompatible type "Callable[[str], int]"' in errors[0]
