"""Where the time of a hand-off goes: one process, 100 tasks, 20 slots of 5 ms, looked at from inside.

The package's own steps are stamped while it works, and each thread's processor time is read. Stamping costs some time
itself: the other benchmarks measure without it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from admission import AsyncGuard, Policy, RedisLedger, Usage
from admission.clerk import Clerk
from admission.core.desk import Desk
from admission.core.messages import Handed, SayEnded
from admission.drivers import LoopBox
from admission.ledger.redis.store import RedisStore
from benchmarks.harness import Spent
from benchmarks.report import Column, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from admission.core.messages import Mail, Message
    from admission.ledger.requests import Request, Who
    from admission.ledger.wire import Wire
    from benchmarks.harness import Options
    from benchmarks.report import Row

    Said = tuple[str, Who, Request]

LIMIT, CALLERS, HOLD = 20, 100, 0.005
POLICY = Policy(visibility_lag=0.1, placement_timeout=30.0)
STEPS = (
    "a holder ends, the clerk takes its note",
    "the clerk takes it, the batch is sent",
    "sent, answered by Redis",
    "answered, in the waiter's mailbox",
    "in the mailbox, the waiter runs",
)

COLUMNS = (
    Column("subject", "step"),
    Column("p50_ms", "p50 ms", ".2f"),
    Column("p90_ms", "p90 ms", ".2f"),
    Column("cpu_us", "CPU us", ",.0f"),
)
NOTES = (
    "One process, 100 tasks, 20 slots of 5 ms. The steps of a hand-off follow one another; the times of a step that",
    "is one for a whole batch count once. CPU is per admission.",
)


class Account:
    """A provider that has no calls of others."""

    timeout = 2.0

    def fetch(self) -> Usage:
        return Usage(LIMIT, 0)

    async def afetch(self) -> Usage:
        return self.fetch()


@contextmanager
def stamped() -> Iterator[dict[str, list[float]]]:
    """Stamp the steps of every hand-off; yields the seconds that each took."""
    spans: dict[str, list[float]] = {step: [] for step in (*STEPS, "requests")}
    noted: dict[str, float] = {}
    taken: list[float] = []
    put_at: dict[int, float] = {}
    answered = 0.0
    post, handle, exchange, put, get = Clerk.post, Desk.handle, RedisStore.exchange, LoopBox.put, LoopBox.get

    def stamp_post(self: Clerk, desk: Desk, message: Message) -> None:
        if isinstance(message, SayEnded):
            noted[message.rid] = time.perf_counter()
        post(self, desk, message)

    def stamp_handle(self: Desk, message: Message, now: float) -> None:
        if isinstance(message, SayEnded):
            taken.append(time.perf_counter())
            spans[STEPS[0]].append(taken[-1] - noted.pop(message.rid, taken[-1]))
        handle(self, message, now)

    def stamp_exchange(self: RedisStore, batch: Sequence[Said]) -> list[Wire | Exception]:
        nonlocal answered
        sent = time.perf_counter()
        spans[STEPS[1]] += [sent - at for at in taken]
        taken.clear()
        replies = exchange(self, batch)
        answered = time.perf_counter()
        spans[STEPS[2]].append(answered - sent)
        spans["requests"].append(len(batch))
        return replies

    def stamp_put(self: LoopBox, mail: Mail) -> bool:
        if isinstance(mail, Handed):
            put_at[id(self)] = time.perf_counter()
            spans[STEPS[3]].append(put_at[id(self)] - answered)
        return put(self, mail)

    async def stamp_get(self: LoopBox, until: float | None) -> Mail | None:
        mail = await get(self, until)
        if id(self) in put_at:
            spans[STEPS[4]].append(time.perf_counter() - put_at.pop(id(self)))
        return mail

    with (
        patch.object(Clerk, "post", stamp_post),
        patch.object(Desk, "handle", stamp_handle),
        patch.object(RedisStore, "exchange", stamp_exchange),
        patch.object(LoopBox, "put", stamp_put),
        patch.object(LoopBox, "get", stamp_get),
    ):
        yield spans


async def work(url: str, seconds: float) -> tuple[int, float, float]:
    """Let the tasks work; return admissions, and seconds of processor time of the loop's thread and of the clerk's."""
    admissions = 0
    ledger = RedisLedger(url)
    async with AsyncGuard(Account(), ledger, account="profile", policy=POLICY) as guard:

        async def caller() -> None:
            nonlocal admissions
            while time.monotonic() < end:
                async with guard.hold() as reservation:
                    await asyncio.sleep(HOLD)
                    admissions += 1
                    reservation.ended()

        end = time.monotonic() + seconds
        loop_before = time.thread_time()
        callers = [asyncio.create_task(caller()) for _ in range(CALLERS)]
        await asyncio.gather(*callers)
        clerk = ledger.clerk()._thread  # noqa: SLF001 - its time is what is asked for
        clerk_time = time.clock_gettime(time.pthread_getcpuclockid(clerk.ident or 0)) if clerk is not None else 0.0
        return admissions, time.thread_time() - loop_before, clerk_time


def run(options: Options) -> Result:
    """Measure for some seconds."""
    with options.redis() as server, server.client() as client:
        before = Spent.of(client)
        with stamped() as spans:
            admissions, loop, clerk = asyncio.run(work(server.url, 3.0 if options.quick else 10.0))
        redis = Spent.of(client).since(before).cpu
    rows: list[Row] = [{"subject": step, **_spread(spans[step])} for step in STEPS]
    shares = {"the event loop's thread": loop, "the clerk's thread": clerk, "Redis": redis}
    rows += [{"subject": who, "cpu_us": spent / admissions * 1e6} for who, spent in shares.items()]
    batch = statistics.mean(spans["requests"])
    notes = (*NOTES, f"{admissions:,} admissions; {batch:.1f} requests in a round trip.")
    return Result(title="profile: the steps of a hand-off", columns=COLUMNS, rows=rows, notes=notes)


def _spread(seconds: list[float]) -> Row:
    in_order = sorted(seconds)
    return {"p50_ms": statistics.median(in_order) * 1e3, "p90_ms": in_order[len(in_order) * 9 // 10] * 1e3}
