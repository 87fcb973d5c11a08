"""What a slot costs that is free: one caller takes it and gives it back, next to two bare round trips.

The floor is two `EVALSHA` of `return 1` with redis-py, of the same colour, on the same server. Chunks of both are taken
in turn, so that a machine whose speed drifts does not favour one; the median of the ratios counts.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness import FLOOR, NOT_INSTALLED, OURS, Spent
from benchmarks.plots import Bar, bars
from benchmarks.report import Column, Result
from benchmarks.subjects import Setup

if TYPE_CHECKING:
    from benchmarks.harness import Options
    from benchmarks.report import Row
    from benchmarks.subjects import AsyncSlots, Slots, Subject

PATIENCE = 60.0
"""Seconds for one subject."""
COLUMNS = (
    Column("subject", "subject"),
    Column("us", "us", ",.0f"),
    Column("floor_us", "floor us", ",.0f"),
    Column("ratio", "x floor", ".2f"),
    Column("packets", "round trips", ".1f"),
    Column("low", "p10", ".2f"),
    Column("high", "p90", ".2f"),
)
NOTES = (
    "One caller, one slot after the other; the floor is two bare EVALSHA, taken in turn with the subject.",
    "Round trips: reads of the server per slot.",
)


class Pair(NamedTuple):
    """Seconds that a chunk of a subject took, and one of the floor."""

    subject: float
    floor: float


async def _chunk(slots: AsyncSlots, size: int) -> float:
    began = time.perf_counter()
    for _ in range(size):
        async with slots():
            pass
    return time.perf_counter() - began


async def async_pairs(subject: Subject, floor: Subject, setup: Setup, chunks: int, size: int) -> list[Pair]:
    """Measure a subject of tasks."""
    async with asyncio.timeout(PATIENCE), floor.open(setup) as bare, subject.open(setup) as slots:
        await _chunk(bare, size)
        await _chunk(slots, size)
        return [Pair(await _chunk(slots, size), await _chunk(bare, size)) for _ in range(chunks)]


def _sync_chunk(slots: Slots, size: int) -> float:
    began = time.perf_counter()
    for _ in range(size):
        with slots():
            pass
    return time.perf_counter() - began


def sync_pairs(subject: Subject, floor: Subject, setup: Setup, chunks: int, size: int) -> list[Pair]:
    """Measure a subject of threads."""
    with floor.open(setup) as bare, subject.open(setup) as slots:
        _sync_chunk(bare, size)
        _sync_chunk(slots, size)
        return [Pair(_sync_chunk(slots, size), _sync_chunk(bare, size)) for _ in range(chunks)]


def summary(pairs: list[Pair], size: int) -> Row:
    """Return microseconds per slot, and the ratio, its median and spread, of chunks of that size."""
    ratios = sorted(pair.subject / pair.floor for pair in pairs)
    return {
        "us": statistics.median(pair.subject for pair in pairs) / size * 1e6,
        "floor_us": statistics.median(pair.floor for pair in pairs) / size * 1e6,
        "ratio": statistics.median(ratios),
        "low": ratios[len(ratios) // 10],
        "high": ratios[-1 - len(ratios) // 10],
    }


def run(options: Options) -> Result:
    """Measure every subject of both colours."""
    chunks, size = (8, 50) if options.quick else (40, 100)
    rows: list[Row] = []
    for colour in ("async", "sync"):
        floor, *others = options.wanted(colour)
        rows += [{"subject": other.label, **_row(options, other, floor, chunks, size)} for other in others]
    marks = [Bar(row["subject"], row["ratio"], ours=row["subject"].startswith(OURS)) for row in rows if "ratio" in row]
    plot = bars("Taking and leaving a free slot", f"x {FLOOR} (two bare round trips)", marks)
    title = "free: a slot that is free, taken and left"
    return Result(title=title, columns=COLUMNS, rows=rows, notes=NOTES, plots={"free.svg": plot})


def _row(options: Options, subject: Subject, floor: Subject, chunks: int, size: int) -> Row:
    if not subject.installed:
        return {"remark": NOT_INSTALLED}
    with options.redis() as server, server.client() as client:
        setup = Setup(url=server.url)
        before = Spent.of(client)
        try:
            if subject.colour == "async":
                pairs = asyncio.run(async_pairs(subject, floor, setup, chunks, size))
            else:
                pairs = sync_pairs(subject, floor, setup, chunks, size)
        except Exception as error:  # noqa: BLE001 - whatever a subject raises is its result
            return {"remark": f"{type(error).__name__}: {error}"[:200]}
        spent = Spent.of(client).since(before)
    # The floor's own are known: two for a slot, and each side has made one chunk more than pairs, to warm up.
    slots = (chunks + 1) * size
    return {**summary(pairs, size), "packets": spent.reads / slots - 2}
