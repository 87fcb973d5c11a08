"""Calls of a minute or two against the stand-in provider, in virtual time: how busy the lines are, and how safe.

Dialers without end wait for 20 lines, with the policy as it comes; the provider's count is late by up to a second. A
line is idle from the end of a call, by the provider's own books, to the begin of the next one on it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Coroutine  # noqa: TC003 - a NamedTuple's fields
from typing import TYPE_CHECKING, NamedTuple

import httpx

from admission import AsyncGuard, MemoryLedger, Policy, PureTalk
from admission.testing import FakePureTalk, VirtualClock
from admission.testing.transport import transport
from benchmarks.judge import Window, hand_offs, percentile
from benchmarks.report import Column, Result

if TYPE_CHECKING:
    from benchmarks.harness import Options
    from benchmarks.report import Row

LIMIT = 20
DIALERS = 40
LAG = 1.0
STEP = 0.1
"""Virtual seconds that pass at a time."""
ROUNDS = 3
"""Times that everybody has a turn in each step: a reading, an offer and a claim may follow each other."""

COLUMNS = (
    Column("subject", "calls"),
    Column("busy", "busy %", ".1f"),
    Column("idle_p50_s", "line idle p50 s", ".1f"),
    Column("idle_p99_s", "p99 s", ".1f"),
    Column("calls", "calls", ",.0f"),
    Column("overshoots", "overshoots"),
)
NOTES = (
    f"{DIALERS} dialers, {LIMIT} lines; the default Policy (visibility_lag 5 s) if nothing else is said; a count that",
    f"is up to {LAG:g} s late; calls up to a quarter longer or shorter. After a ramp of two calls, in virtual time of",
    f"{STEP:g} s a step. Overshoots must be 0.",
)


class Stage:
    """A provider, a guard over it, and the time of both."""

    def __init__(self, policy: Policy) -> None:
        self.clock = VirtualClock()
        self.fake = FakePureTalk(LIMIT, clock=self.clock.now, visibility_lag=LAG, jitter=True)
        self.client = httpx.AsyncClient(transport=transport(self.fake))
        source = PureTalk(self.fake.api_key, base_url="http://provider.test/api", client=self.client)
        self.guard = AsyncGuard(source, MemoryLedger(clock=self.clock), account="benchmark", policy=policy)
        self.spans: list[tuple[float, float]] = []
        self._alarms: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._rng = random.Random(5)

    def draw(self, seconds: float) -> float:
        """Return how long the next call lasts, and note it as begun now."""
        lasts = self._rng.uniform(0.75, 1.25) * seconds
        now = self.clock.now()
        self.spans.append((now, now + lasts))
        return lasts

    async def sleep(self, seconds: float) -> None:
        """Wait until so much virtual time has passed."""
        alarm = asyncio.get_running_loop().create_future()
        heapq.heappush(self._alarms, (self.clock.now() + seconds, next(self._numbers), alarm))
        await alarm

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and in each step let everybody do what is due."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.advance(STEP)
            while self._alarms and self._alarms[0][0] <= self.clock.now():
                heapq.heappop(self._alarms)[2].set_result(None)
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
                await self.guard.status()


async def _hold(stage: Stage, seconds: float) -> None:
    async with stage.guard.hold() as reservation:
        lasts = stage.draw(seconds)
        reservation.placed(stage.fake.start_call(duration=lasts))
        await stage.sleep(lasts)
        reservation.ended()


async def _bare_hold(stage: Stage, seconds: float) -> None:
    async with stage.guard.hold():
        lasts = stage.draw(seconds)
        stage.fake.start_call(duration=lasts)
        await stage.sleep(lasts)


async def _place(stage: Stage, seconds: float) -> None:
    async with stage.guard.place():
        stage.fake.start_call(duration=stage.draw(seconds))


class Case(NamedTuple):
    """How calls are made, and with which policy."""

    name: str
    way: Callable[[Stage, float], Coroutine[object, object, None]]
    policy: Policy = Policy()


CASES = (
    Case("hold, placed() and ended()", _hold),
    Case("hold, says nothing", _bare_hold),
    Case("place", _place),
    Case(f"hold, placed() and ended(), visibility_lag {LAG:g} s", _hold, Policy(visibility_lag=LAG)),
)


def run(options: Options) -> Result:
    """Measure calls of 60 s and 120 s, made in each way; quick: of 60 s, and a third of the time."""
    rows = [
        asyncio.run(_measure(case, seconds, 3 if options.quick else 10))
        for seconds in ((60,) if options.quick else (60, 120))
        for case in CASES
    ]
    return Result(title=f"calls: how busy {LIMIT} lines are", columns=COLUMNS, rows=rows, notes=NOTES)


async def _measure(case: Case, seconds: int, calls: int) -> Row:
    stage = Stage(case.policy)

    async def dialer() -> None:
        while True:
            await case.way(stage, seconds)

    async with stage.client, stage.guard:
        dialers = [asyncio.create_task(dialer()) for _ in range(DIALERS)]
        await stage.pass_time(2 * seconds)
        since = stage.fake.mark()
        begin = stage.clock.now()
        await stage.pass_time(calls * seconds)
        window = Window(begin, stage.clock.now() - seconds / 2)
        busy = stage.fake.busy(since)
        for task in dialers:
            task.cancel()
        await asyncio.gather(*dialers, return_exceptions=True)
    idle = hand_offs((start for start, _ in stage.spans), (end for _, end in stage.spans), LIMIT, window)
    return {
        "subject": f"{seconds} s, {case.name}",
        "busy": 100 * busy,
        "idle_p50_s": percentile(idle, 0.5),
        "idle_p99_s": percentile(idle, 0.99),
        "calls": sum(window.has(start) for start, _ in stage.spans),
        "overshoots": stage.fake.overshoots,
        "refused": stage.fake.refused,
    }
