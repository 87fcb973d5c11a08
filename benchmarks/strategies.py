"""What simpler ways come to beside the guard: the same calls, crashes and calls of others, on virtual time.

Nothing of it depends on the machine: the same figures come out of every run.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.fleet import Fleet, Load
from benchmarks.report import Column, Result
from benchmarks.ways import AddedUp, Admission, Both, ByHand, Semaphore

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.fleet import Way
    from benchmarks.harness import Options

SECONDS = 1_800
RAMP = 120
"""Seconds of the beginning that do not count as busy or idle."""
SAMPLE_MS = 3_000
TTL = 300.0
LOAD = Load()

COLUMNS = (
    Column("subject", "admitted by"),
    Column("peak", "peak"),
    Column("dials", "dials", ",.0f"),
    Column("overshoots", "with no line free", ",.0f"),
    Column("busy", "busy %", ".1f"),
)
CALLERS = LOAD.processes * LOAD.dialers
NOTES = (
    f"{CALLERS} dialers in {LOAD.processes} processes, {LOAD.limit} lines, {SECONDS // 60} minutes; calls of a minute,",
    f"some of several; {LOAD.foreign} calls of others, and {LOAD.foreign_rate:g} more a minute; a count that is up to",
    f"{LOAD.lag:g} s late; a process is killed every {LOAD.crash:g} s in the mean, and its calls go on. Nobody is",
    f"refused, so that one too many shows. The semaphore's slots are free again after {TTL:g} s. visibility_lag is 2.",
)


class Case(NamedTuple):
    """A way, what it is called, and the load."""

    name: str
    way: Callable[[], Way]
    load: Load = LOAD


CASES = (
    Case("the count, each by itself", ByHand),
    Case("a semaphore", lambda: Semaphore(TTL)),
    Case("a semaphore, and the count", lambda: Both(TTL)),
    Case("the count + the semaphore", lambda: AddedUp(TTL)),
    Case("admission", Admission),
    Case("admission, headroom=1", lambda: Admission(headroom=1)),
    Case("admission, others do not dial", Admission, replace(LOAD, foreign=5, foreign_rate=0.0)),
)


class Life(NamedTuple):
    """What came of one way; `live` are seconds and the most calls that were live since the one before."""

    name: str
    peak: int
    dials: int
    overshoots: int
    busy: float
    live: list[tuple[float, int]]


@cache
def live(case: Case) -> Life:
    """Let a fleet live."""
    fleet = Fleet(case.load, case.way())
    provider = fleet.provider
    samples = [(0.0, provider.live)]
    since = None
    for at in range(SAMPLE_MS, SECONDS * 1000 + 1, SAMPLE_MS):
        fleet.run(at / 1000)
        samples.append((at / 1000, provider.live))
        if since is None and at >= RAMP * 1000:
            since = provider.mark()
    return Life(
        case.name, provider.peak, provider.started, provider.overshoots, 100 * provider.busy(since), samples
    )  # fmt: skip


def run(_options: Options) -> Result:
    """Let a fleet live in each way; quick or not, it is the same."""
    rows = [{**life._asdict(), "subject": life.name, "live": None} for life in map(live, CASES)]
    return Result(title="strategies: what simpler ways come to", columns=COLUMNS, rows=rows, notes=NOTES)
