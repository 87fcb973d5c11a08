"""What a crash and a cancellation cost: when a killed holder's slot is back, and whether cancelled waiters lose any.

Crash: one process holds one of two slots for longer than a lease and is then killed (SIGKILL), while callers of
another process take the other slot again and again. The slot is back when they first hold both. For ours the holder
has said `placed()`, and the provider's count, which the source reads from a file, says one call until the kill.

Cancellation: tasks that wait are cancelled while slots come free, again and again; afterwards all slots are taken.
"""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.crews import GaveUp, crew
from benchmarks.harness import NOT_INSTALLED
from benchmarks.judge import first_time_full
from benchmarks.plots import Bar, bars
from benchmarks.report import Column, Result
from benchmarks.subjects import OURS, Setup

if TYPE_CHECKING:
    from benchmarks.harness import Options
    from benchmarks.report import Row
    from benchmarks.subjects import AsyncSlots, Subject

LEASE = 2
"""Whole seconds: what every subject takes."""
AT_ONCE = 5
"""Subjects that are measured at the same time: they mostly wait."""
SLOTS = 4
WAITERS = 12
PATIENCE = 3.0
"""Seconds in which a slot must come to those that wait for it."""

COLUMNS = (
    Column("subject", "subject"),
    Column("back_s", "slot back after s", ".1f"),
    Column("taken_alive", "taken from a live holder"),
    Column("cancelled", "waiters cancelled", ",.0f"),
    Column("lost", f"slots lost of {SLOTS}"),
)


def run(options: Options) -> Result:
    """Measure every subject but the floor; cancellation where callers are tasks."""
    limit, rounds = (3, 10) if options.quick else (10, 50)
    subjects = options.wanted(floor=False)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(lambda subject: _row(options, subject, LEASE + limit, rounds), subjects))
    notes = (
        f"A lease of {LEASE} s; a slot that was not back {LEASE + limit} s after the kill never came. Taken from a",
        f"live holder: both slots were held by others while the first holder, alive, held one for over {LEASE} s.",
        "Lost: slots that nobody could take afterwards, with leases of 30 s where a lease brings them back.",
    )
    marks = [
        Bar(row["subject"], row["back_s"], ours=row["subject"].startswith(OURS)) for row in rows if "back_s" in row
    ]
    plot = bars(f"A killed holder's slot is back after (lease {LEASE} s)", "s", marks)
    title = "crash: killed holders and cancelled waiters"
    return Result(title=title, columns=COLUMNS, rows=rows, notes=notes, plots={"crash.svg": plot})


def _row(options: Options, subject: Subject, limit: float, rounds: int) -> Row:
    row: Row = {"subject": subject.label}
    if not subject.installed:
        return row | {"remark": NOT_INSTALLED}
    try:
        row |= _kill(options, subject, limit)
    except GaveUp as error:
        return row | {"remark": str(error)}
    return row | _cancel(options, subject, rounds) if subject.colour == "async" else row


def _kill(options: Options, subject: Subject, limit: float) -> Row:
    """Kill a holder, and return when its slot was back."""
    with options.redis() as server, tempfile.NamedTemporaryFile("w", suffix="-count") as file:
        count = Path(file.name)
        count.write_text("0", "ascii")
        alone = Setup(url=server.url, limit=2, callers=1, lease=LEASE, count=file.name)
        others = Setup(url=server.url, limit=2, callers=4, lease=LEASE, count=file.name)
        with crew(subject, [alone], hold=1_000) as victim, crew(subject, [others], hold=0.05) as rest:
            victim.begin()
            time.sleep(1)  # it has had the account to itself, and holds by now
            count.write_text("1", "ascii")
            rest.begin()
            time.sleep(LEASE + 1.5)
            victim.workers[0].kill()
            killed = time.monotonic()
            count.write_text("0", "ascii")
            time.sleep(limit)
            told = rest.stop()
    spans = [(stamp.started, stamp.ended) for stamp in told.stamps if stamp.started < math.inf]
    return {
        "back_s": first_time_full(spans, 2, killed) - killed,
        "taken_alive": "yes" if first_time_full(spans, 2, 0.0) < killed else "no",
        "remark": f"{told.errors} errors, the first: {told.error[:150]}" if told.errors else "",
    }


def _cancel(options: Options, subject: Subject, rounds: int) -> Row:
    """Cancel waiters while slots come free, and return how many slots are gone for good."""
    with options.redis() as server:
        return asyncio.run(_cancel_all(subject, Setup(url=server.url, limit=SLOTS, callers=4 * WAITERS), rounds))


async def _cancel_all(subject: Subject, setup: Setup, rounds: int) -> Row:
    rng = random.Random(11)
    unlucky: list[asyncio.Task[None]] = []
    taken: list[int] = []
    async with subject.open(setup) as slots:
        with suppress(TimeoutError):
            for _ in range(rounds):
                async with asyncio.timeout(PATIENCE):
                    await _cancel_some(slots, rng, unlucky)
        await asyncio.wait([asyncio.create_task(_take(slots, taken)) for _ in range(SLOTS)], timeout=3 * PATIENCE)
        return {"cancelled": sum(job.done() and job.cancelled() for job in unlucky), "lost": SLOTS - len(taken)}


async def _cancel_some(slots: AsyncSlots, rng: random.Random, unlucky: list[asyncio.Task[None]]) -> None:
    """Let tasks queue for slots, and cancel half of those that wait while slots go from hand to hand."""

    async def turn() -> None:
        async with slots():
            await asyncio.sleep(0.002)

    jobs = [asyncio.create_task(turn()) for _ in range(SLOTS + WAITERS)]
    try:
        for job in rng.sample(jobs, WAITERS // 2):
            await asyncio.sleep(rng.uniform(0, 0.004))
            job.cancel()
            unlucky.append(job)
        await asyncio.gather(*jobs, return_exceptions=True)
    finally:
        for job in jobs:
            job.cancel()


async def _take(slots: AsyncSlots, taken: list[int]) -> None:
    """Take a slot if there is one, and keep it until everybody has had time to."""
    # An error is no slot either: a cancelled waiter may leave a connection behind that answers with other replies.
    with suppress(Exception):
        async with asyncio.timeout(PATIENCE), slots():
            taken.append(1)
            await asyncio.sleep(PATIENCE)
