"""What holds of all that callers write; name by name it stands in `public_api.txt`."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import admission
from admission import AsyncGuard, Guard, Holder, Holders, Lane, LaneStatus, Policy, Reservation, Status, Usage

PACKAGE = Path(admission.__file__).parent
KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY

VALUES = (Holder, Holders, Lane, LaneStatus, Policy, Status, Usage)
BOOKING = ("hold", "place", "acquire")


def kinds(function):
    """Return what kind each parameter is of, `self` aside."""
    return {one.name: one.kind for one in inspect.signature(function).parameters.values() if one.name != "self"}


@pytest.mark.parametrize("guard", [Guard, AsyncGuard])
@pytest.mark.parametrize("method", BOOKING)
def test_the_ways_of_booking_take_keywords_alone(guard, method):
    others = {name: kind for name, kind in kinds(getattr(guard, method)).items() if kind is not KEYWORD_ONLY}
    # `*misuse` is there to tell of parentheses that were left out.
    assert others in ({}, {"misuse": inspect.Parameter.VAR_POSITIONAL})


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_values_are_frozen(kind):
    assert kind.__dataclass_params__.frozen
    assert "__dict__" not in dir(kind)


def test_a_reservation_tells_at_once_in_both_colours():
    for name in ("placed", "cancel", "ended", "release"):
        assert not inspect.iscoroutinefunction(getattr(Reservation, name))


# Who may import whom


FACES = {"__main__.py", "cli", "integrations", "testing"}
SOURCES_KNOW = {"errors", "values", "sources"}


def imported(path):
    """Every module of the package that a file imports, for types alone or at run time."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            names = [node.module]
        yield from (name.removeprefix("admission.") for name in names if name.startswith("admission."))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nobody_imports_the_faces_but_themselves_and_sources_know_values_alone(path):
    layer = path.relative_to(PACKAGE).parts[0]
    known = {module.split(".")[0] for module in imported(path)}
    if layer not in FACES:
        assert not known & FACES
    if layer == "sources":
        assert known <= SOURCES_KNOW
    if layer == "core":
        assert known <= {"core", "errors", "hooks", "ledger", "values"}
        ledgers = ("ledger.memory", "ledger.redis", "ledger.scripts")
        assert not [module for module in imported(path) if module.startswith(ledgers)]


# What type checkers say


SNIPPET = """
from typing import assert_type

from admission import AsyncGuard, Guard, PureTalk, Reservation, Status, current_reservation
from admission.hooks import Admitted, Event


def hook(event: Event) -> None:
    if isinstance(event, Admitted):
        assert_type(event.waited, float)


async def no_hook(event: Admitted) -> None: ...


plain = Guard(PureTalk("key"), hooks=[hook, print])
awaited = AsyncGuard(PureTalk("key"))
Guard(PureTalk("key"), hooks=[no_hook])  # ERROR


@plain.hold(timeout=5)
def call(lead: str, *, times: int = 1) -> bytes:
    current_reservation().placed(4711)
    return b""


@awaited.place(track=True, call_id=lambda answer: answer["id"], rejected=lambda error: False, retry=False)
async def acall(lead: str, *, times: int = 1) -> dict[str, int]:
    return {}


class Dialer:
    @plain.place()
    def dial(self, lead: str) -> int:
        return 1


async def uses() -> None:
    assert_type(call("a", times=2), bytes)
    assert_type(await acall("a", times=2), dict[str, int])
    assert_type(Dialer().dial("a"), int)
    with plain.hold() as reservation, plain.place(timeout=None):
        assert_type(reservation, Reservation)
    async with awaited.hold(lane="default") as areservation:
        assert_type(areservation, Reservation)
    assert_type(plain.acquire(), Reservation)
    assert_type(await awaited.acquire(timeout=0), Reservation)
    assert_type(plain.status(), Status)
    assert_type(await awaited.refresh(), Status)


def returns_out_of_a_block() -> int:
    with plain.hold():
        return 1


async def coroutine() -> int:
    return 1


call(5)  # ERROR
call("a", 2)  # ERROR
plain.hold(5)  # ERROR
plain.place(call)  # ERROR
awaited.place(coroutine)  # ERROR
plain.hold(track=True)  # ERROR
plain.hold(timeout="5")  # ERROR
PureTalk(b"key")  # ERROR
Guard("redis://localhost")  # ERROR
awaited.hold()(lambda: 1)  # ERROR
"""


def test_a_type_checker_knows_what_blocks_and_decorators_return_and_take(tmp_path):
    path = tmp_path / "uses.py"
    path.write_text(SNIPPET)
    options = ["--strict", "--cache-dir", str(tmp_path), "--follow-imports=silent", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, str(path)]
    out = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    found = {int(line.split(":")[1]) for line in out.stdout.splitlines() if ": error:" in line}
    expected = {number for number, line in enumerate(SNIPPET.splitlines(), 1) if line.endswith("# ERROR")}
    assert found == expected, out.stdout + out.stderr
