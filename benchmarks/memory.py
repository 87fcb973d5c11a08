"""What the ledger of one process costs: a free slot of a `MemoryLedger`, next to the standard library's semaphore.

Both are told in ratio to `asyncio.Semaphore` or `threading.Semaphore`, which know no provider, no line that survives a
crash, and no reading: the figure says what all that costs, and that it is microseconds.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from admission import AsyncGuard, Guard, MemoryLedger
from benchmarks.free import async_pairs, summary, sync_pairs
from benchmarks.report import Column, Result
from benchmarks.subjects import AsyncHold, Hold, Provider, Setup, Subject, policy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from benchmarks.harness import Options
    from benchmarks.subjects import AsyncSlots, Slots

COLUMNS = (
    Column("subject", "subject"),
    Column("us", "us", ",.1f"),
    Column("floor_us", "semaphore us", ",.2f"),
    Column("ratio", "x semaphore", ",.0f"),
)
NOTES = ("One caller, one slot after the other, taken in turn with a semaphore of the standard library.",)


@asynccontextmanager
async def _memory_async(setup: Setup) -> AsyncIterator[AsyncSlots]:
    async with AsyncGuard(Provider(setup.limit), MemoryLedger(), policy=policy(setup)) as guard:
        yield lambda: AsyncHold(guard, placed=False)


@contextmanager
def _memory_sync(setup: Setup) -> Iterator[Slots]:
    with Guard(Provider(setup.limit), MemoryLedger(), policy=policy(setup)) as guard:
        yield lambda: Hold(guard, placed=False)


@asynccontextmanager
async def _semaphore_async(setup: Setup) -> AsyncIterator[AsyncSlots]:
    semaphore = asyncio.Semaphore(setup.limit)
    yield lambda: semaphore


@contextmanager
def _semaphore_sync(setup: Setup) -> Iterator[Slots]:
    semaphore = threading.Semaphore(setup.limit)
    yield lambda: semaphore


def run(options: Options) -> Result:
    """Measure both colours."""
    chunks, size = (8, 50) if options.quick else (40, 200)
    setup = Setup(url="")
    ours = Subject("memory", "async", _memory_async)
    pairs = asyncio.run(async_pairs(ours, Subject("semaphore", "async", _semaphore_async), setup, chunks, size))
    rows = [{"subject": ours.label, **summary(pairs, size)}]
    ours = Subject("memory", "sync", _memory_sync)
    pairs = sync_pairs(ours, Subject("semaphore", "sync", _semaphore_sync), setup, chunks, size)
    rows.append({"subject": ours.label, **summary(pairs, size)})
    return Result(title="memory: a free slot without a server", columns=COLUMNS, rows=rows, notes=NOTES)
