"""What unfaithful providers cost, and what a setting mends: `python -m tests.simulation.providers`.

Fleets of the production's desks on virtual time dial on an account of 20 lines for ten minutes, and there is always
somebody who waits. Prints a table of the truth: how many dials found no line free, the most calls at once, how busy the
account was, and what was logged as a warning.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from admission.core.messages import SetLane, TellEnded
from admission.errors import CallRejected
from admission.ledger.wire import Kind
from admission.simulation.agenda import Agenda
from admission.simulation.blocks import left
from admission.simulation.fleet import Ledger, Process, Weather
from admission.simulation.tasks import Box, Pause, Task
from admission.telling import EVENTS, WARNING
from admission.values import Lane, Policy, Usage
from tests.simulation.jobs import Job
from tests.simulation.judge import Judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.simulation.provider import Call
    from tests.simulation.jobs import Steps

LIMIT = 20
PROCESSES, CALLERS = 4, 15
RAMP, SPAN = 60.0, 600.0
"""Seconds that are not measured, and those that are."""
KINDS = {"hold": Kind.HOLD, "place": Kind.PLACE, "track": Kind.TRACK}


@dataclass(frozen=True)
class Case:
    """A provider, and a fleet that dials there.

    Attributes:
        provider: What is wrong with it.
        setting: What the fleet does about it.
        way: hold, place, or track.
        policy: What differs from the defaults with a lag of 1 s.
        cap: `max_in_flight` of all calls, 0 for none.
        lag: Seconds until a call is in the count.
        told_limit: What it says its limit is, which is 20.
        count: What it says of the true count.
        cached: Seconds for which it repeats an answer.
        bursts: Calls of others that come together, once in half a minute, for 20 s.
        enforces: Whether it refuses a call for which there is no line.
        reading: Seconds that an answer takes, from and to.
    """

    provider: str
    setting: str
    way: str = "place"
    policy: dict[str, float] = field(default_factory=dict)
    cap: int = 0
    lag: float = 0.8
    told_limit: int = LIMIT
    count: Callable[[int], int] = int
    cached: float = 0.0
    bursts: int = 0
    enforces: bool = False
    reading: tuple[float, float] = (0.05, 0.3)


class Unfaithful(Judge):
    """An account whose word is bent as a case says."""

    def __init__(self, agenda: Agenda, case: Case) -> None:
        super().__init__(agenda, LIMIT, 0, case.lag)
        self.case = case
        self.dials = 0
        self.no_line = 0
        self._begun: dict[Call, float] = {}
        self._kept: deque[tuple[float, Usage]] = deque(maxlen=1)

    def dial(self) -> Call | None:
        """Accept a call, or `None` where there is no line and that matters."""
        self.dials += 1
        if self.live >= self.limit:
            self.no_line += 1
            if self.case.enforces:
                return None
        call = self.start()
        self._begun[call] = self.agenda.now()
        return call

    def end(self, call: Call) -> None:
        super().end(call)
        del self._begun[call]

    def usage(self) -> Usage:
        now, case = self.agenda.now(), self.case
        if self._kept and now < self._kept[0][0] + case.cached:
            return self._kept[0][1]
        seen = sum(begun + case.lag <= now for begun in self._begun.values()) + self.foreign
        usage = Usage(case.told_limit, case.count(seen), datetime.fromtimestamp(now, UTC))
        self._kept.append((now, usage))
        return usage

    def forget_figures(self) -> None:
        """Begin to measure."""
        self.pass_time()
        self.busy_seconds = self.room_seconds = 0.0
        self.dials = self.no_line = 0
        self.peak = self.live


def talk(agenda: Agenda) -> float:
    """Return seconds of a call, ringing included: no answer, busy, a voicemail, a human."""
    dice = agenda.dice
    match dice.choices(range(4), [30, 5, 35, 30])[0]:
        case 0:
            return dice.uniform(20, 30)
        case 1:
            return dice.uniform(0.5, 2)
        case 2:
            return dice.uniform(6, 22) + dice.uniform(20, 40)
        case _:
            return dice.uniform(6, 22) + min(1_200.0, 75 * dice.lognormvariate(0, 0.85))


def caller(job: Job, case: Case, provider: Unfaithful) -> Steps:
    """Dial again and again."""
    agenda = provider.agenda
    while True:
        reservation = yield from job.admitted(KINDS[case.way], None)
        with suppress(CallRejected), left(reservation):
            yield Pause(agenda.now() + agenda.between((0.2, 1.0)))
            call = provider.dial()
            if call is None:
                raise CallRejected
            call_id, span = job.names(), talk(agenda)
            agenda.after(span, partial(provider.end, call))
            reservation.placed(call_id)
            if case.way == "hold":
                yield Pause(agenda.now() + span)
                reservation.ended()
            elif case.way == "track":
                agenda.after(span + 0.5, partial(job.process.post, TellEnded(Box(job.task), call_id)))
        yield Pause(agenda.now() + agenda.between((0.0, 1.0)))


@dataclass
class Row:
    """What came of a case."""

    dials: int = 0
    no_line: int = 0
    most: int = 0
    busy: float = 0.0
    room: float = 0.0
    events: Counter[str] = field(default_factory=Counter)

    def add(self, other: Row) -> None:
        self.dials += other.dials
        self.no_line += other.no_line
        self.most = max(self.most, other.most)
        self.busy += other.busy
        self.room += other.room
        self.events.update(other.events)

    def text(self, case: Case) -> str:
        warned = ", ".join(f"`{event}`" for event in sorted(self.events) if EVENTS[event].level == WARNING)
        return (
            f"| {case.provider} | {case.setting} | {case.way} | {self.dials:,} | {self.no_line:,} | {self.most} "
            f"| {self.busy / self.room:.0%} | {warned} |"
        )


def live(case: Case, seed: int) -> Row:
    """Live through a case with a seed."""
    agenda = Agenda(seed)
    weather = Weather(reading=case.reading)
    provider = Unfaithful(agenda, case)
    ledger = Ledger(agenda, weather, lambda _: None)
    policy = Policy(**({"visibility_lag": 1.0} | case.policy))
    processes = [Process(f"p{n}.0", policy, agenda, ledger, provider, weather) for n in range(PROCESSES)]
    names = (f"call{n}" for n in range(10**9))
    if case.cap:
        cap = Lane("default", max_in_flight=case.cap)
        processes[0].post(SetLane(Box(Task(processes[0])), cap))
    for process in processes:
        for _ in range(CALLERS):
            task = Task(process)
            steps = caller(Job(task, (0.0, 0.0), Counter(), lambda: next(names)), case, provider)
            agenda.after(agenda.dice.random(), partial(task.begin, steps))

    def burst() -> None:
        others = min(case.bursts, provider.limit - provider.live)
        if others > 0 and not provider.foreign:
            provider.set_foreign(others)
            agenda.after(20.0, lambda: provider.set_foreign(0))
        agenda.after(agenda.dice.expovariate(1 / 30), burst)

    if case.bursts:
        burst()
    agenda.run(RAMP)
    provider.forget_figures()
    agenda.run(SPAN)
    provider.pass_time()
    for process in processes:
        process.kill()
    events = sum((process.events for process in processes), Counter[str]())
    return Row(provider.dials, provider.no_line, provider.peak, provider.busy_seconds, provider.room_seconds, events)


def _half(count: int) -> int:
    return (count + 1) // 2


def _nothing(_count: int) -> int:
    return 0


def _four_more(count: int) -> int:
    return count + 4


_CACHED = {"max_staleness": 45.0, "visibility_lag": 31.0}

CASES = [
    Case("is true", "`visibility_lag=1`"),
    Case("is true", "`visibility_lag=1`", "hold"),
    Case("is true", "`visibility_lag=5`", policy={"visibility_lag": 5.0}),
    Case("is true", "`visibility_lag=30`", policy={"visibility_lag": 30.0}),
    Case("counts a call 30 s late", "`visibility_lag=5`", policy={"visibility_lag": 5.0}, lag=30.0),
    Case("the same, and refuses", "`visibility_lag=5`", policy={"visibility_lag": 5.0}, lag=30.0, enforces=True),
    Case("counts a call 30 s late", "`visibility_lag=15`", policy={"visibility_lag": 15.0}, lag=30.0),
    Case("counts a call 30 s late", "`visibility_lag=31`", policy={"visibility_lag": 31.0}, lag=30.0),
    Case("counts a call 30 s late", "`visibility_lag=5`", "hold", policy={"visibility_lag": 5.0}, lag=30.0),
    Case("counts a call 30 s late", "`visibility_lag=31`", "hold", policy={"visibility_lag": 31.0}, lag=30.0),
    Case("counts 4 too many", "none", count=_four_more),
    Case("counts half of the calls", "none", count=_half),
    Case("counts half of the calls", "none", "hold", count=_half),
    Case("counts nothing", "none", "hold", count=_nothing),
    Case("counts nothing", "a lane's `max_in_flight=20`", "track", count=_nothing, cap=LIMIT),
    Case("has 20 lines, says 25", "none", told_limit=25, enforces=True),
    Case("has 20 lines, says 25", "`headroom=5`", policy={"headroom": 5}, told_limit=25, enforces=True),
    Case("repeats its answer for 30 s", "none", cached=30.0),
    Case("repeats its answer for 30 s", "`max_staleness=45`", policy={"max_staleness": 45.0}, cached=30.0),
    Case("repeats its answer for 30 s", "the same and `visibility_lag=31`", policy=_CACHED, cached=30.0),
    Case("answers after 1 to 1.9 s", "none", reading=(1.0, 1.9)),
    Case("has bursts of 5 calls of others", "none", bursts=5, enforces=True),
    Case("has bursts of 5 calls of others", "`headroom=2`", policy={"headroom": 2}, bursts=5, enforces=True),
    Case("has bursts of 5 calls of others", "`headroom=5`", policy={"headroom": 5}, bursts=5, enforces=True),
]


def row(case: Case, seeds: int) -> Row:
    """Live through a case with some seeds."""
    total = Row()
    for seed in range(seeds):
        total.add(live(case, seed))
    return total


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.providers", description=__doc__)
    parser.add_argument("--seeds", type=int, default=6, help="of each case, ten minutes each (default: 6)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    args = parser.parse_args()
    print("| a provider that | setting | way | dials | with no line free | most at once | busy | warned of |")
    print("|---|---|---|" + "---:|" * 4 + "---|")
    with ProcessPoolExecutor(args.jobs) as pool:
        for case, came in zip(CASES, pool.map(row, CASES, [args.seeds] * len(CASES)), strict=True):
            print(came.text(case), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
