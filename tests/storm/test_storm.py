"""A quick look at every way, and proof that the storm finds what it looks for. `python -m tests.storm` has more."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest

from admission.core.messages import GiveUp
from admission.guard import Guard
from admission.ledger.rule import Reservations
from admission.reservation import Reservation
from tests.guards.interrupts import Alarm
from tests.servers import redis_server
from tests.storm import directly
from tests.storm.crowds import ROOMY, TIGHT, Account, storm
from tests.storm.signals import once
from tests.storm.singles import (
    COLOURS,
    MANNERS,
    SIGNALS,
    WAYS,
    Strike,
    Tally,
    by_cancelling,
    by_signals,
    listening,
    run_on,
    struck,
)

SAMPLE = 5
"""Points of each way that are looked at here."""
ON_THE_WAY = {"direct.py", *(f"ledger/redis/{name}.py" for name in ("pipe", "spare", "store"))}
"""What a caller runs that asks by itself."""
AT_THE_DOOR = {"guard.py:Block.__exit__", "aguard.py:AsyncBlock.__aexit__"}
"""Where nothing of the package runs yet that could leave the block: the exception keeps it, not for ever."""
CALLERS_OWN = {"acquired", "acquired_in_line, other guard", "at_once"}
"""Ways without a block: who is interrupted there has a reservation of its own to leave."""
ENOUGH = 10
"""More interruptions than this make a storm; it begins again where a busy machine lets fewer come, until:"""
PATIENCE = 60.0


def some(points):
    return random.Random(11).sample(points, min(SAMPLE, len(points)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("colour", COLOURS)
def test_an_exception_at_any_point_leaves_everything_in_order(colour, way):
    tally = Tally()
    run_on(
        COLOURS[colour],
        lambda noise: by_signals(COLOURS[colour], WAYS[way], noise, tally, errors=SIGNALS, times=1, pick=some),
    )
    assert not tally.faults
    assert tally.struck.total() >= SAMPLE // 2
    assert way in CALLERS_OWN or {place for _, place in tally.kept} <= AT_THE_DOOR


@pytest.mark.parametrize("colour", COLOURS)
def test_an_exception_while_a_function_is_decorated_comes_out(colour):
    def checks(points):
        return [point for point in points if point.file == "values.py"]

    tally = Tally()
    run_on(
        COLOURS[colour],
        lambda noise: by_signals(
            COLOURS[colour], WAYS["decorated"], noise, tally, errors=SIGNALS, times=2, pick=checks
        ),
    )
    assert not tally.faults
    assert tally.struck


@pytest.mark.parametrize("manner", MANNERS)
def test_a_task_cancelled_at_any_suspension_leaves_everything_in_order(manner):
    tally = Tally()

    async def every_way(noise):
        for name, way in WAYS.items():
            if manner in {"at once", "as it is woken"} or name in {"tracked", "refused_once", "in_line, other guard"}:
                await by_cancelling(COLOURS["tasks"], way, noise, tally, manner)

    run_on(COLOURS["tasks"], every_way)
    assert not tally.faults
    assert not tally.kept
    assert tally.struck.total() >= 6


@pytest.fixture(scope="module")
def url():
    with redis_server() as server:
        yield server.url


@pytest.mark.parametrize("colour", COLOURS)
def test_an_exception_at_any_point_of_who_asks_by_itself_leaves_everything_in_order(url, colour):
    tally = Tally()
    account = Account(200, url, f"direct-{colour}")
    account.open()
    directly.by_signals(account, colour, tally, only=ON_THE_WAY)
    account.close()
    assert not tally.faults
    assert tally.struck.total() > 20


@pytest.mark.parametrize(("lines", "on_redis", "seed"), [(TIGHT, False, 1), (ROOMY, True, 2)])
def test_a_crowd_that_is_interrupted_at_random_moments_leaves_everything_in_order(request, lines, on_redis, seed):
    tally = Tally()
    account = Account(lines, request.getfixturevalue("url") if on_redis else None)
    account.open()
    end = time.monotonic() + PATIENCE
    with listening() as noise:
        storm(account, seed, 0.5, noise, tally)
        while tally.struck.total() <= ENOUGH and not tally.faults and time.monotonic() < end:
            storm(account, seed, 0.5, noise, tally)
    account.close()
    assert not tally.faults
    assert tally.struck.total() > ENOUGH


@pytest.mark.parametrize(("colour", "on_redis"), [("threads", True), ("tasks", False)])
def test_real_signals_at_random_moments_leave_everything_in_order(request, colour, on_redis):
    command = [sys.executable, "-m", "tests.storm.signals", "--colour", colour, "--seconds", "1", "--seed", "3"]
    command += ["--url", request.getfixturevalue("url")] if on_redis else []
    struck, end = 0, time.monotonic() + PATIENCE
    while struck <= ENOUGH:
        assert time.monotonic() < end, struck
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        assert not run.stderr
        told = json.loads(run.stdout)
        assert not told["faults"]
        struck += sum(told["struck"].values())


# What is broken on purpose is found


def found(colour, way, strike_all):
    tally = Tally(go_on=False)
    run_on(COLOURS[colour], lambda noise: strike_all(COLOURS[colour], WAYS[way], noise, tally))
    return " ".join(tally.faults)


async def by_all_signals(colour, way, noise, tally):
    await by_signals(colour, way, noise, tally, errors=SIGNALS[:1], times=1)


async def undisturbed(colour, way, noise, tally):
    await struck(colour, way, Strike(), noise, tally)


def test_a_caller_that_does_not_give_up_is_found(monkeypatch):
    def post(self, message):
        if not isinstance(message, GiveUp):
            real(self, message)

    real = Guard._post
    monkeypatch.setattr(Guard, "_post", post)
    assert "a desk has" in found("threads", "hold", by_all_signals)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_block_that_is_not_left_is_found(monkeypatch, colour):
    monkeypatch.setattr(Reservation, "_leave", lambda *_: None)
    assert "the book has bookings" in found(colour, "place", undisturbed)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_dial_without_a_claim_is_found(monkeypatch, colour):
    real = Reservations.claim
    monkeypatch.setattr(Reservations, "claim", lambda self, rid, *more: real(self, f"{rid}, another", *more))
    assert "dials without a claim" in found(colour, "hold", undisturbed)


def test_an_exception_that_is_swallowed_is_found(monkeypatch):
    def ask_directly(self, want):
        try:
            return real(self, want)
        except Exception:  # noqa: BLE001 - the fault
            return None

    real = Guard._ask_directly
    monkeypatch.setattr(Guard, "_ask_directly", ask_directly)
    assert "the exception did not reach the caller" in found("threads", "at_once", by_all_signals)


def test_a_signal_of_which_a_cancellation_comes_is_found_unless_it_came_in_a_timeout_of_asyncio():
    def rings():
        limit.raised = Alarm("time is over")
        raise limit.raised

    def in_a_timeout():
        timeout = asyncio.Timeout(0)
        timeout._state = asyncio.timeouts._State.ENTERED
        timeout._task = SimpleNamespace(cancel=rings)
        with suppress(Alarm):
            timeout._on_timeout()
        raise asyncio.CancelledError

    def elsewhere():
        with suppress(Alarm):
            rings()
        raise asyncio.CancelledError

    limit, noise, faults = SimpleNamespace(raised=None), SimpleNamespace(heard=[]), []
    once(limit, in_a_timeout, Tally(), faults, "a signal", noise)
    assert not faults
    once(limit, elsewhere, Tally(), faults, "a signal", noise)
    assert "out came CancelledError(), raised was Alarm('time is over')" in faults[0]
    assert "in rings" in faults[0]
