"""200 callers in two processes and 20 slots: how fast, how fair and at what price a slot goes from hand to hand.

Every caller asks, holds for a while, leaves with `ended()` and asks again. Tasks or threads, by the subject's colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.load import measure
from benchmarks.plots import Bar, bars
from benchmarks.report import Column, Result
from benchmarks.subjects import FLOOR, OURS, Setup

if TYPE_CHECKING:
    from benchmarks.harness import Options
    from benchmarks.report import Row

LIMIT = 20
PROCESSES = 2
CALLERS = 200

COLUMNS = (
    Column("subject", "subject"),
    Column("hold_ms", "hold ms", ".0f"),
    Column("rate", "admissions/s", ",.0f"),
    Column("hand_off_p50_ms", "hand-off p50 ms", ".2f"),
    Column("hand_off_p99_ms", "p99 ms", ".2f"),
    Column("cpu_us", "CPU us", ",.0f"),
    Column("redis_cpu_us", "Redis CPU us", ",.0f"),
    Column("commands", "commands", ".2f"),
    Column("packets", "packets", ".2f"),
    Column("unfair", "max/mean wait", ".1f"),
    Column("starved", "starved"),
    Column("violations", "violations"),
)
NOTES = (
    "Hand-off: from the moment in which a holder is about to leave to the moment in which the next one has begun, by",
    "their own stamps; with 20 slots, the end number k is paired with the start number 20 + k of all processes.",
    "CPU (of all client processes), Redis CPU, commands (those in scripts too) and packets (reads of the server) are",
    "per admission. Starved: callers never admitted. Violations: starts with 20 already running, by the stamps.",
)


def run(options: Options) -> Result:
    """Measure every subject with holds of 5 ms and 50 ms; quick: of 5 ms."""
    seconds, ramp = (1.2, 0.5) if options.quick else (4.0, 1.0)
    rows: list[Row] = []
    for hold in (0.005,) if options.quick else (0.005, 0.05):
        for subject in options.wanted():
            setup = Setup(url="", limit=LIMIT, share=LIMIT // PROCESSES, callers=CALLERS // PROCESSES)
            row = measure(options, subject, setup, processes=PROCESSES, hold=hold, ramp=ramp, seconds=seconds)
            rows.append({**row, "hold_ms": hold * 1e3})
    title = f"contended: {CALLERS} callers in {PROCESSES} processes, {LIMIT} slots"
    return Result(title=title, columns=COLUMNS, rows=rows, notes=NOTES, plots=_plots(rows))


def _plots(rows: list[Row]) -> dict[str, str]:
    short = [row for row in rows if row["hold_ms"] == min(row["hold_ms"] for row in rows)]
    return {
        "contended-rate.svg": bars("Admissions per second, 20 slots, 5 ms each", "admissions/s", _bars(short, "rate")),
        "contended-hand-off.svg": bars(
            "Hand-off of a slot, p99", "ms, logarithmic", _bars(short, "hand_off_p99_ms"), logarithmic=True
        ),
        "contended-cpu.svg": bars("Client CPU per admission", "us", _bars(short, "cpu_us")),
    }


def _bars(rows: list[Row], key: str) -> list[Bar]:
    return [
        Bar(row["subject"], row[key], ours=row["subject"].startswith(OURS), muted=row["subject"].startswith(FLOOR))
        for row in rows
        if key in row
    ]
