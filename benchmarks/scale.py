"""How the length of the line tells: 10 to 10,000 tasks of one process wait for 20 slots.

A line that is flat costs each admission the same, however many stand in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.load import measure
from benchmarks.plots import Line, lines
from benchmarks.report import Column, Result
from benchmarks.subjects import FLOOR, OURS, Setup

if TYPE_CHECKING:
    from benchmarks.harness import Options
    from benchmarks.report import Row

LIMIT = 20
HOLD = 0.005
ARRIVALS = 400
"""Callers that stand in line a second after they came, with a connection of their own if they need it."""
ARRIVED = 6.0
"""Seconds after which any number does."""

COLUMNS = (
    Column("subject", "subject"),
    Column("waiters", "waiters", ",.0f"),
    Column("rate", "admissions/s", ",.0f"),
    Column("hand_off_p50_ms", "hand-off p50 ms", ".2f"),
    Column("hand_off_p99_ms", "p99 ms", ".2f"),
    Column("cpu_us", "CPU us", ",.0f"),
    Column("redis_cpu_us", "Redis CPU us", ",.0f"),
    Column("commands", "commands", ".1f"),
    Column("packets", "packets", ".2f"),
    Column("violations", "violations"),
)
NOTES = (
    "One process, 20 slots of 5 ms, so many tasks that always wait. CPU, commands and packets are per admission.",
    "`-`: it did not get there, or would need more connections than a server takes.",
)


def run(options: Options) -> Result:
    """Measure every subject of tasks with 10, 100, 1,000 and 10,000 waiters; quick: with 10 and 1,000."""
    seconds, settle = (1.0, 0.3) if options.quick else (4.0, 1.0)
    rows: list[Row] = []
    for subject in options.wanted("async"):
        for waiters in (10, 1_000) if options.quick else (10, 100, 1_000, 10_000):
            setup = Setup(url="", limit=LIMIT, share=LIMIT, callers=LIMIT + waiters)
            ramp = settle + min(waiters / ARRIVALS, ARRIVED)
            row = measure(options, subject, setup, processes=1, hold=HOLD, ramp=ramp, seconds=seconds)
            rows.append({**row, "waiters": waiters})
    title = f"scale: a line of one process, {LIMIT} slots"
    return Result(title=title, columns=COLUMNS, rows=rows, notes=NOTES, plots=_plots(rows))


def _plots(rows: list[Row]) -> dict[str, str]:
    return {
        "scale-rate.svg": lines(
            "Admissions per second by the length of the line", "waiters", "admissions/s", _lines(rows, "rate")
        ),
        "scale-cpu.svg": lines(
            "Client CPU per admission by the length of the line", "waiters", "us", _lines(rows, "cpu_us")
        ),
    }


def _lines(rows: list[Row], key: str) -> list[Line]:
    names = dict.fromkeys(row["subject"] for row in rows if key in row)
    return [
        Line(
            name,
            [(row["waiters"], row[key]) for row in rows if row["subject"] == name and key in row],
            ours=name.startswith(OURS),
            muted=name.startswith(FLOOR),
        )
        for name in names
    ]
