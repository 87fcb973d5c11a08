"""Who waits how long: one line against a semaphore that is tried again and again, and lanes that share one account.

On virtual time; the same figures come out of every run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from admission.ledger.wire import Word
from benchmarks.fleet import Fleet, Load
from benchmarks.judge import percentile
from benchmarks.report import Column, Result
from benchmarks.ways import Admission, Semaphore

if TYPE_CHECKING:
    from benchmarks.fleet import Admit, Process, Way
    from benchmarks.harness import Options
    from benchmarks.report import Row

SECONDS = 1_800
RAMP = 300
"""Seconds of the beginning whose waits are not looked at."""
LOAD = Load(foreign=0, foreign_rate=0.0, crash=0.0)
LANES_LOAD = replace(LOAD, processes=14)
BUSY = (600, 1_200)
"""From when until when there are callbacks, in seconds."""
SAMPLE_S = 5
LANES = {"callbacks": 2, "campaign": 6, "survey": 6}
"""How many processes of five dialers each has."""
TERMS = {
    "callbacks": {"priority": 0},
    "campaign": {"priority": 1, "weight": 3_000},
    "survey": {"priority": 1, "weight": 1_000},
}

COLUMNS = (
    Column("subject", "who"),
    Column("admitted", "admitted", ",.0f"),
    Column("p50", "waited p50 s", ".1f"),
    Column("p95", "p95 s", ".1f"),
    Column("longest", "longest s", ".1f"),
)
SHARING = LANES["campaign"] * LOAD.dialers
NOTES = (
    f"{LOAD.processes * LOAD.dialers} dialers, {LOAD.limit} lines, calls of a minute, some of several; {SECONDS // 60}",
    f"minutes, less the first {RAMP // 60}. Lanes: {SHARING} dialers of a campaign of weight 3 and as many of a survey",
    f"of weight 1, both of priority 1; of minute {BUSY[0] // 60} to {BUSY[1] // 60}, when there are",
    f"{LANES['callbacks'] * LOAD.dialers} of callbacks of priority 0.",
)


class InLanes(Admission):
    """The ledger's book, with a lane for each process; callbacks only come for a while."""

    def start(self, fleet: Fleet) -> None:
        super().start(fleet)
        names = [name for name, processes in LANES.items() for _ in range(processes)]
        self.lanes = {f"p{number}": name for number, name in enumerate(names)}
        self.waits: list[tuple[str, float, float]] = []
        """Of each admitted caller its lane, when it was, and how long it had waited, in seconds."""
        for name, settings in TERMS.items():
            self.at_now().lane(name, how=Word.DECLARE, by="operator", **settings)

    def terms(self, process: Process) -> dict[str, object]:
        return {"lane": self.lanes[process.name]}

    def admit(self, process: Process) -> Admit:
        agenda, lane = self.fleet.agenda, self.lanes[process.name]
        if lane == "callbacks" and not BUSY[0] * 1000 <= agenda.now < BUSY[1] * 1000:
            yield BUSY[0] * 1000 - agenda.now if agenda.now < BUSY[0] * 1000 else SECONDS * 1000
        since = agenda.now
        name = yield from super().admit(process)
        self.waits.append((lane, agenda.now / 1000, (agenda.now - since) / 1000))
        return name


@dataclass(frozen=True)
class Shared:
    """What came of the lanes: of each lane the calls that it has, from time to time; and who waited how long."""

    at: list[float]
    calls: dict[str, list[int]]
    waits: list[tuple[str, float, float]]


@cache
def waits_of(way: type[Way]) -> list[tuple[float, float]]:
    """Return when each caller was admitted and how long it had waited, seconds."""
    fleet = Fleet(LOAD, way(300.0) if way is Semaphore else way())  # type: ignore[call-arg]  # its slots' time
    fleet.run(SECONDS)
    return [(at, waited) for at, waited in fleet.waits if at >= RAMP]


@cache
def lanes() -> Shared:
    """Let the lanes share an account."""
    way = InLanes()
    fleet = Fleet(LANES_LOAD, way)
    shared = Shared([], {name: [] for name in LANES}, way.waits)
    for at in range(SAMPLE_S, SECONDS + 1, SAMPLE_S):
        fleet.run(at)
        shared.at.append(at)
        for name, calls in shared.calls.items():
            calls.append(way.desk.book.reservations.in_flight(name))
    return shared


def run(_options: Options) -> Result:
    """Let them wait; quick or not, it is the same."""
    rows = [_row("a semaphore, tried every 0.1 to 0.3 s", [waited for _, waited in waits_of(Semaphore)])]
    rows.append(_row("one line", [waited for _, waited in waits_of(Admission)]))
    rows += [
        _row(f"lane {name}", [w for lane, at, w in lanes().waits if lane == name and BUSY[0] <= at < BUSY[1]])
        for name in LANES
    ]
    return Result(title="fairness: who waits how long", columns=COLUMNS, rows=rows, notes=NOTES)


def _row(name: str, waits: list[float]) -> Row:
    return {
        "subject": name, "admitted": len(waits), "p50": percentile(waits, 0.5), "p95": percentile(waits, 0.95),
        "longest": max(waits, default=math.nan),
    }  # fmt: skip
