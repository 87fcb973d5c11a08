"""One seed's life of one scenario, and what must be true of it."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from admission.core.messages import SetLane, SetPause, TellEnded, TellStarted
from admission.ledger.wire import DEFAULT, Kind
from admission.simulation.agenda import Agenda
from admission.simulation.fleet import Ledger, Process, Weather
from admission.simulation.tasks import Box, Pause, Task
from admission.values import Policy
from tests.property.test_rule_machine import check_line, check_reservations
from tests.simulation.jobs import CALLS, Job
from tests.simulation.judge import Judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.core.messages import Message
    from admission.ledger.book import Book
    from tests.simulation.scenarios import Scenario

IDLE_MOST = 3.5
"""Seconds for which the line may stand still while there is room: a beat, an offer that lapses, and a hop or two."""
QUIET = 60.0
"""Seconds after the last caller until everything must be over."""
PATIENT = 3.5
"""Seconds for which they ask who claim all that there is at the end: shorter than any of them stays pending."""


class Fault(AssertionError):
    """Something that must never be."""


@dataclass
class Figures:
    """What came of one life, or of many."""

    seeds: int = 0
    admissions: int = 0
    calls: int = 0
    late: int = 0
    overshoots: int = 0
    busy_seconds: float = 0.0
    room_seconds: float = 0.0
    longest_wait: float = 0.0
    told: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Add another's."""
        for name in ("seeds", "admissions", "calls", "late", "overshoots", "busy_seconds", "room_seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.longest_wait = max(self.longest_wait, other.longest_wait)
        self.told.update(other.told)
        self.events.update(other.events)

    @property
    def busy(self) -> float:
        """Share of the account that was busy, 0 to 1."""
        return self.busy_seconds / self.room_seconds if self.room_seconds else 0.0


class World:
    """A fleet that lives through a scenario.

    Args:
        scenario: What it goes through.
        seed: Of all chance.
        policy: What differs from the scenario's policy, for those who want to see what that does.
    """

    def __init__(self, scenario: Scenario, seed: int, **policy: float) -> None:
        self.scenario = scenario
        self.agenda = agenda = Agenda(seed)
        self.weather = replace(scenario.weather)
        dice = agenda.dice
        limit = dice.choice(scenario.limits)
        self.provider = Judge(agenda, limit, dice.randint(0, min(scenario.foreign, limit)), scenario.lag)
        self.ledger = Ledger(agenda, self.weather, self._check_book)
        self.policy = Policy(
            refresh_interval=0.5, max_staleness=5.0, visibility_lag=scenario.lag, placement_timeout=4.0, lease_ttl=4.0,
            max_call_duration=120.0,
        )  # fmt: skip
        self.policy = replace(self.policy, **policy)  # type: ignore[arg-type]  # spans of seconds
        self.figures = Figures(seeds=1)
        self.processes: list[Process] = []
        self._names = itertools.count()
        self._foreign: list[str] = []
        """Calls of others that began while it was looked at, the oldest first."""
        self._runs = 0
        self._idle_since: float | None = None
        self._quiet_since = 0.0
        self._over = False

    def live(self) -> Figures:
        """Live through the scenario.

        Raises:
            Fault: Something was that must never be.
        """
        scenario, agenda = self.scenario, self.agenda
        for _ in range(scenario.processes):
            self._fork()
        for mean, happen in (
            (scenario.kills, self._kill), (scenario.stalls, self._stall), (scenario.cancels, self._cancel),
            (scenario.outages, self._fall_away), (scenario.losses, self._lose),
            (scenario.limit_moves, self._move_limit), (scenario.foreign_moves, self._move_foreign),
            (scenario.lane_moves, self._move_lane),
        ):  # fmt: skip
            if mean:
                self._now_and_then(mean, happen)
        agenda.after(0.25, self._watch)
        agenda.run(scenario.seconds)
        self._over = True
        self._heal()
        for process in self.processes:
            for task in sorted(process.tasks, key=lambda task: task.number):
                task.cancel()
        agenda.run(QUIET)
        self._check_end()
        provider, figures = self.provider, self.figures
        figures.admissions = figures.told["admitted"]
        figures.calls, figures.late, figures.overshoots = provider.started, provider.late, len(provider.overshoots)
        figures.busy_seconds, figures.room_seconds = provider.busy_seconds, provider.room_seconds
        for process in self.processes:
            figures.events.update(process.events)
        return figures

    # What happens

    def _now_and_then(self, mean: float, happen: Callable[[], None]) -> None:
        def again() -> None:
            if not self._over:
                happen()
                self.agenda.after(self.agenda.dice.expovariate(1 / mean), again)

        self.agenda.after(self.agenda.dice.expovariate(1 / mean), again)

    def _fork(self) -> None:
        name = f"p{next(self._names)}.0"
        world = self.agenda, self.ledger, self.provider, self.weather
        process = Process(name, self.policy, *world, self.scenario.lanes)
        self.processes.append(process)
        for _ in range(self.scenario.callers):
            self._call(process, self.agenda.dice.random())

    def _call(self, process: Process, after: float) -> None:
        """Have a caller of a process begin, and another one when it is done."""
        task = Task(process)
        dice, mix = self.agenda.dice, self.scenario.mix
        lane = dice.choice([DEFAULT, *(lane.name for lane in self.scenario.lanes)])
        job = Job(task, self.scenario.dial, self.figures.told, self._name, lane)
        call = CALLS[dice.choices(list(mix), list(mix.values()))[0]]
        timeout = dice.choice(self.scenario.timeouts)

        def steps() -> object:
            began = self.agenda.now()
            try:
                yield from call(job, timeout)
            finally:
                if process.reservations and not self._over:
                    self.figures.longest_wait = max(self.figures.longest_wait, process.reservations[-1].waited)
                if not self._over and process.alive:
                    # Who was refused at once comes back a little later.
                    pause = 0.5 if self.agenda.now() - began < 0.1 else 0.0
                    self._call(process, pause + dice.random())

        def begin() -> None:
            if not self._over:
                task.begin(steps())  # type: ignore[arg-type]  # a generator

        process.at(self.agenda.now() + after, begin)

    def _name(self) -> str:
        return f"call{next(self._names)}"

    def _some(self) -> Process | None:
        alive = [process for process in self.processes if process.alive]
        return self.agenda.dice.choice(alive) if alive else None

    def _kill(self) -> None:
        if process := self._some():
            process.kill()
            self._fork()
            begun = len(self.processes)
            self.agenda.after(self._most_after_a_crash(), lambda: self._check_crashed(process, begun))

    def _most_after_a_crash(self) -> float:
        """Return the seconds for which the slots of a process that crashed stay booked: a claim or a beat may be under
        way, and the reading that covers them begins and takes its time."""
        policy, weather = self.policy, self.weather
        settled = weather.hop[1] + policy.placement_timeout + policy.visibility_lag
        return settled + policy.refresh_interval + weather.reading[1] + 4 * weather.hop[1]

    def _stall(self) -> None:
        if process := self._some():
            process.stall(self.agenda.between(self.scenario.stall))

    def _cancel(self) -> None:
        process = self._some()
        if process and process.tasks:
            # In an order that does not hang on addresses.
            tasks = sorted(process.tasks, key=lambda task: task.number)
            self.agenda.dice.choice(tasks).cancel()

    def _fall_away(self) -> None:
        self.weather.ledger_up = False

        def come_back() -> None:
            self.weather.ledger_up = True

        self.agenda.after(self.agenda.between(self.scenario.outage), come_back)

    def _lose(self) -> None:
        self.ledger.forget()

    def _move_limit(self) -> None:
        self.provider.set_limit(self.agenda.dice.choice(self.scenario.limits))

    def _move_foreign(self) -> None:
        before, after = self.provider.foreign, self.agenda.dice.randint(0, self.scenario.foreign)
        self.provider.set_foreign(after)
        for _ in range(before, after):
            self._foreign.append(self._name())
            self._tell_of(self._foreign[-1], lambda box, call_id, at: TellStarted(box, self._name(), call_id, at))
        for _ in range(after, before):
            if self._foreign:
                self._tell_of(self._foreign.pop(0), lambda box, call_id, _: TellEnded(box, call_id))

    def _tell_of(self, call_id: str, make: Callable[[Box, str, float], Message]) -> None:
        """Have a process be told of a call of others, or not."""
        process, at = self._some(), self.agenda.now()
        if process and self.agenda.happens(self.scenario.webhooks):
            message = make(Box(Task(process)), call_id, at)
            self.agenda.after(self.agenda.between((0.0, 3.0)), lambda: process.post(message))

    def _move_lane(self) -> None:
        process, dice = self._some(), self.agenda.dice
        if process:
            box, lane = Box(Task(process)), dice.choice(self.scenario.lanes)
            if self.agenda.happens(0.3):
                process.post(SetPause(box, on=self.agenda.happens(0.5), reason="a while", lane=lane.name))
            else:
                changed = replace(lane, weight=dice.choice([0.5, 1.0, 4.0]), priority=dice.choice([0, 1, 2]))
                process.post(SetLane(box, changed))

    def _heal(self) -> None:
        """From now on nothing goes wrong, and others have no calls."""
        for name, value in vars(Weather()).items():
            setattr(self.weather, name, value)
        self.provider.set_foreign(0)

    # What must be true

    def _check_book(self, book: Book) -> None:
        self._runs += 1
        if self.provider.overshoots:
            raise Fault(f"one call too many {self.provider.overshoots[0]}")
        if self._runs % 50 == 0:
            check_reservations(book)
            check_line(book, int(self.agenda.now() * 1000))
        for lane in self.scenario.lanes if self.scenario.strict else ():
            if lane.max_in_flight and book.reservations.in_flight(lane.name) > lane.max_in_flight:
                raise Fault(f"{book.reservations.in_flight(lane.name)} in lane {lane.name} of {lane.max_in_flight}")

    def _watch(self) -> None:
        """A line does not stand still while there is room."""
        if self._over:
            return
        now, book = self.agenda.now(), self.ledger.book
        ms = int(now * 1000)
        parked = [process for process, lanes in book.line.parked.items() if lanes]
        stuck = bool(parked) and not book.line.offers and book.serving.next(ms, book.room.free(ms)) is not None
        if not stuck:
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = now
        elif self.scenario.strict and now - self._idle_since > IDLE_MOST:
            raise Fault(f"at {now:.3f}: {book.room.free(ms)} slots were free for {IDLE_MOST} s while {parked} waited")
        self.agenda.after(0.25, self._watch)

    def _check_crashed(self, process: Process, begun: int) -> None:
        """The provider's count alone decides of the slots of a process that crashed; not looked at if another crashed
        since, in whose place one more has begun: that may have been the reader."""
        if not self.scenario.strict or self._over or begun != len(self.processes):
            return
        kept = self.ledger.book.reservations
        booked = [rid for rid in sorted({*kept.pending, *kept.held}) if kept.facts[rid].process == process.name]
        if booked:
            raise Fault(f"at {self.agenda.now():.3f}: {booked} of {process.name}, which crashed, still booked")

    def _check_end(self) -> None:
        """Nothing is left, and exactly the limit can be claimed."""
        book, now = self.ledger.book, int(self.agenda.now() * 1000)
        if self.provider.overshoots:
            raise Fault(f"one call too many {self.provider.overshoots[0]}")
        last = Process("last.0", self.policy, self.agenda, self.ledger, self.provider, self.weather)
        told: Counter[str] = Counter()
        # After a silence of all, who crashed with calls is given a lease to be heard once more.
        self._keep(last, self.policy.lease_ttl + 3.0)
        limit = self.provider.limit
        for _ in range(limit + 1):
            task = Task(last)
            task.begin(Job(task, (0.0, 0.0), told, str).admitted(Kind.HOLD, PATIENT))
        self.agenda.run(PATIENT + 3.0)
        for reservation in last.reservations:
            reservation._left = True
        if any(place.process != last.name for place in book.line.seats.values()):
            raise Fault(f"seats are left: {book.line.seats}")
        if told["admitted"] != limit or told["Saturated"] != 1:
            raise Fault(f"{dict(told)} at the end, of a limit of {limit}; booked: {book.reservations.facts} at {now}")

    def _keep(self, process: Process, span: float) -> None:
        """Let a process keep a slot for a span, so that somebody is heard meanwhile."""
        task = Task(process)

        def steps() -> object:
            reservation = yield from Job(task, (0.0, 0.0), Counter(), str).admitted(Kind.HOLD, None)
            yield Pause(self.agenda.now() + span)
            reservation.cancel()

        task.begin(steps())  # type: ignore[arg-type]  # a generator
        self.agenda.run(span + 6.0)
