"""What callers write, name by name and default by default; a change here is a change for them."""

import ast
import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import admission
from admission import AsyncGuard, Guard, Lane, LaneStatus, Policy, PureTalk, Reservation, Status, Usage

PACKAGE = Path(admission.__file__).parent

METHODS = {
    "hold": {"lane": "default", "timeout": "the policy's"},
    "place": {
        "lane": "default",
        "timeout": "the policy's",
        "track": False,
        "call_id": None,
        "rejected": None,
        "retry": True,
    },
    "acquire": {"lane": "default", "timeout": "the policy's"},
}
SETTINGS = {"account": None, "policy": None, "lanes": (), "wait": None, "stop": None, "hooks": ()}

FIELDS = {
    Policy: {
        "refresh_interval": 1.0,
        "max_staleness": 15.0,
        "visibility_lag": 5.0,
        "placement_timeout": 10.0,
        "lease_ttl": 10.0,
        "max_call_duration": 3600.0,
        "headroom": 0,
        "timeout": None,
        "max_waiting": 10_000,
        "starts_per_second": None,
    },
    Lane: {
        "name": ...,
        "priority": 0,
        "weight": 1.0,
        "headroom": 0,
        "max_in_flight": None,
        "promote_after": None,
    },
    Usage: {"limit": ..., "count": ..., "timestamp": None},
    LaneStatus: {
        "name": ...,
        "waiting": ...,
        "in_flight": ...,
        "paused": False,
        "pause_reason": "",
        "settings": None,
    },
    Status: {
        "account": ...,
        "limit": ...,
        "count": ...,
        "in_use": ...,
        "free": ...,
        "pending": ...,
        "held": ...,
        "untracked": ...,
        "waiting": ...,
        "usage_age": ...,
        "paused": ...,
        "pause_reason": ...,
        "lanes": (),
        "visibility_lag_seen": None,
    },
}

ERRORS = {
    "AdmissionError": Exception,
    "Refused": admission.AdmissionError,
    "Saturated": admission.Refused,
    "QueueFull": admission.Refused,
    "Paused": admission.Refused,
    "Unavailable": admission.AdmissionError,
    "UsageUnavailable": admission.Unavailable,
    "LedgerUnavailable": admission.Unavailable,
    "Closed": admission.AdmissionError,
    "UsageError": admission.AdmissionError,
    "ConfigurationError": admission.AdmissionError,
    "CallRejected": Exception,
    "NotPlaced": Exception,
}


def keywords(function):
    """Return a function's keyword-only parameters with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    found = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return {name: str(default) if name == "timeout" else default for name, default in found.items()}


@pytest.mark.parametrize("guard", [Guard, AsyncGuard])
@pytest.mark.parametrize("method", METHODS)
def test_the_ways_of_booking_take_keywords_alone(guard, method):
    function = getattr(guard, method)
    assert keywords(function) == METHODS[method]
    others = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    # `*misuse` is there to tell of parentheses that were left out.
    assert [(p.name, p.kind) for p in others if p.name != "self"] in (
        [],
        [("misuse", inspect.Parameter.VAR_POSITIONAL)],
    )


@pytest.mark.parametrize("guard", [Guard, AsyncGuard])
def test_a_guard_is_made_of_a_source_a_ledger_and_settings(guard):
    assert list(inspect.signature(guard).parameters)[:2] == ["source", "ledger"]
    assert keywords(guard) == SETTINGS


def test_puretalk_is_made_of_a_key_and_settings():
    parameters = inspect.signature(PureTalk).parameters
    assert list(parameters) == ["api_key", "base_url", "client", "timeout"]
    assert set(keywords(PureTalk)) == {"base_url", "client", "timeout"}
    defaults = [parameters[name].default for name in ("base_url", "client", "timeout")]
    assert defaults == ["https://api.puretalk.ai/api", None, 5.0]


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_values_are_frozen_and_have_these_fields(kind):
    found = {
        field.name: ... if field.default is dataclasses.MISSING else field.default for field in dataclasses.fields(kind)
    }
    assert found == FIELDS[kind]
    assert list(found) == list(FIELDS[kind])
    assert kind.__dataclass_params__.frozen
    assert "__dict__" not in dir(kind)


def test_a_reservation_has_these_names():
    public = {name for name in dir(Reservation) if not name.startswith("_")}
    facts = {"id", "lane", "account", "granted_at", "waited", "deadline", "call_id"}
    assert public == facts | {"placed", "cancel", "ended", "release"}
    for name in ("placed", "cancel", "ended", "release"):
        assert not inspect.iscoroutinefunction(getattr(Reservation, name))


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_split_by_who_must_act(name):
    assert getattr(admission, name).__bases__ == (ERRORS[name],)


# Who may import whom


FACES = {"cli", "integrations", "testing"}
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
