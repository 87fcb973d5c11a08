"""Callers that ask again and again for slots of one limit, in a steady state: what a slot costs and who waits."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.crews import GaveUp, at_least, crew
from benchmarks.harness import NOT_INSTALLED, Options, Spent
from benchmarks.judge import Window, crowd, hand_offs, percentile, starved, waits

if TYPE_CHECKING:
    from benchmarks.report import Row
    from benchmarks.subjects import Setup, Subject


def measure(
    options: Options, subject: Subject, setup: Setup, *, processes: int, hold: float, ramp: float, seconds: float
) -> Row:
    """Return the figures of a subject under load; only a `remark` where it could not bear it.

    Args:
        options: Say which server; each measurement has one of its own.
        subject: What to measure.
        setup: For each process; the URL is filled in.
        processes: Of `setup.callers` callers each.
        hold: Seconds that a slot is held.
        ramp: Seconds from the callers' begin to the window's.
        seconds: Of the window.

    Returns:
        See `contended.COLUMNS` for the keys.
    """
    row: Row = {"subject": subject.label}
    if not subject.installed:
        return row | {"remark": NOT_INSTALLED}
    if subject.most_callers is not None and setup.callers > subject.most_callers:
        return row | {"remark": "gives each waiter a connection of its own: more than the server takes"}
    try:
        return row | _measure(options, subject, setup, processes, hold, ramp, seconds)
    except GaveUp as error:
        return row | {"remark": str(error)}


def _measure(
    options: Options, subject: Subject, setup: Setup, processes: int, hold: float, ramp: float, seconds: float
) -> Row:

    with options.redis() as server, server.client() as client:
        setups = [replace(setup, url=server.url)] * processes
        with crew(subject, setups, hold) as callers:
            callers.begin()
            began = time.monotonic()
            at_least(ramp, began)
            spent, cpu, begin = Spent.of(client), callers.mark(), time.monotonic()
            at_least(seconds, begin)
            end, cpu, spent = time.monotonic(), callers.mark() - cpu, Spent.of(client).since(spent)
            told = callers.stop()
    window = Window(begin, end)
    started = [stamp for stamp in told.stamps if stamp.started < math.inf]
    idle = hand_offs((s.started for s in started), (s.ended for s in started), setup.limit, window)
    held = crowd([(stamp.started, stamp.ended) for stamp in started], setup.limit)
    waited = waits(told.stamps, window)
    admissions = sum(window.has(stamp.started) for stamp in started)
    each = admissions or math.nan
    return {
        "hold_ms": hold * 1e3,
        "callers": setup.callers * processes,
        "admissions": admissions,
        "rate": admissions / window.seconds,
        "hand_off_p50_ms": percentile(idle, 0.5) * 1e3,
        "hand_off_p99_ms": percentile(idle, 0.99) * 1e3,
        "cpu_us": cpu / each * 1e6,
        "redis_cpu_us": spent.cpu / each * 1e6,
        "commands": spent.commands / each,
        "packets": spent.reads / each,
        "unfair": max(waited) / statistics.fmean(waited) if waited else math.nan,
        "starved": starved(told.stamps, setup.callers * processes, window),
        "peak": held.peak,
        "violations": held.violations,
        "remark": f"{told.errors} errors, the first: {told.error[:150]}" if told.errors else "",
    }
