"""A fleet of dialers on virtual time: processes that are killed, calls at a stand-in provider, a way to be admitted.

A task is a generator. It yields milliseconds to sleep, or a `Bell` to wait for; of a process that is killed, no task
ever goes on, and nothing is tidied up.
"""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from admission.testing import FakePureTalk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Task = Generator[int | "Bell", None, None]
    Admit = Generator[int | "Bell", None, str]

DIAL_MS = (200, 1_000)
"""From the admission to the provider's acceptance."""
READ_MS = (100, 500)
"""From the request for the count to its answer; the provider looks in the middle of it."""
REPLY_MS = 100
"""From the acceptance until the dialer knows of it."""
HOP_MS = 2
"""From a process to the ledger."""
TALK_S, SPREAD = 45.0, 0.8
"""Median of a call's seconds, and the spread of their logarithms: a minute in the mean, a few minutes at times."""
LONGEST_S = 600.0


class Agenda:
    """What is to be done when; whole milliseconds from 0."""

    def __init__(self) -> None:
        self.now = 0
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def after(self, span: int, action: Callable[[], None]) -> None:
        """Do something in so many milliseconds."""
        heapq.heappush(self._entries, (self.now + span, next(self._numbers), action))

    def run(self, until: int) -> None:
        """Do all that is due until then."""
        while self._entries and self._entries[0][0] <= until:
            self.now, _, action = heapq.heappop(self._entries)
            action()
        self.now = until


class Bell:
    """What one task waits for."""

    def __init__(self) -> None:
        self.rings: Callable[[], None] | None = None

    def ring(self) -> None:
        """Let it go on."""
        if self.rings is not None:
            rings, self.rings = self.rings, None
            rings()


class Provider(FakePureTalk):
    """A provider that takes every call, so that one too many shows."""

    def look(self) -> int:
        """Return what a reading that looks now would tell."""
        with self._present() as book:
            return self._count(book)


@dataclass
class Process:
    """A process with some dialers."""

    name: str
    alive: bool = True


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the fleet goes through.

    Attributes:
        limit: Lines.
        processes, dialers: How many, and in each.
        foreign, foreign_rate: Calls of others that always live, and how many more come in a minute, of a minute each.
        lag: Seconds until the provider counts a call, or its end, at the latest.
        crash: Mean seconds between two kills of a process; 0 for none. It comes back after two seconds.
        seed: Of all chance.
    """

    limit: int = 20
    processes: int = 12
    dialers: int = 5
    foreign: int = 3
    foreign_rate: float = 2.0
    lag: float = 2.0
    crash: float = 120.0
    seed: int = 7


class Way(Protocol):
    """A way to be admitted."""

    def start(self, fleet: Fleet) -> None:
        """Begin what goes on in the background."""

    def joined(self, process: Process) -> None:
        """A process has come."""

    def admit(self, process: Process) -> Admit:
        """Wait until a call may be dialled; return what it goes by."""

    def placed(self, process: Process, name: str) -> None:
        """The provider has accepted it."""

    def over(self, process: Process, name: str) -> None:
        """It is over."""


@dataclass
class Fleet:
    """Dialers without end, each with one call after the other."""

    load: Load
    way: Way
    agenda: Agenda = field(default_factory=Agenda)
    waits: list[tuple[float, float]] = field(default_factory=list)
    """When each was admitted, and how long it had waited, in seconds."""
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        load = self.load
        self.provider = Provider(
            load.limit, visibility_lag=load.lag, jitter=True, enforce=False, seed=load.seed, foreign=load.foreign,
            foreign_rate=load.foreign_rate, clock=lambda: self.agenda.now / 1000,
        )  # fmt: skip
        self.dice = random.Random(f"fleet {load.seed}")
        self._calls = random.Random(f"calls {load.seed}")
        self._crashes = random.Random(f"crashes {load.seed}")
        self._names = itertools.count()
        self.way.start(self)
        for _ in range(load.processes):
            self.fork()
        if load.crash:
            self.spawn(None, self._kill_now_and_then())

    def run(self, seconds: float) -> None:
        """Let so much time pass, from the beginning."""
        self.agenda.run(round(seconds * 1000))

    def spawn(self, process: Process | None, task: Task) -> None:
        """Begin a task; of no process, nobody kills it."""

        def go_on() -> None:
            if process is not None and not process.alive:
                return
            waits_for = next(task, None)
            if isinstance(waits_for, Bell):
                waits_for.rings = lambda: self.agenda.after(0, go_on)
            elif waits_for is not None:
                self.agenda.after(waits_for, go_on)

        self.agenda.after(0, go_on)

    def fork(self) -> None:
        """Begin a process."""
        process = Process(f"p{next(self._names)}")
        self.processes.append(process)
        self.way.joined(process)
        for _ in range(self.load.dialers):
            self.spawn(process, self._dial(process))

    def draw(self, span: tuple[int, int]) -> int:
        """Return a number of milliseconds between two."""
        return self.dice.randint(*span)

    def read(self) -> Generator[int, None, int]:
        """Read the count."""
        span = self.draw(READ_MS)
        yield span // 2
        count = self.provider.look()
        yield span - span // 2
        return count

    def _dial(self, process: Process) -> Task:
        yield self.draw(DIAL_MS)
        while True:
            since = self.agenda.now
            name = yield from self.way.admit(process)
            self.waits.append((self.agenda.now / 1000, (self.agenda.now - since) / 1000))
            yield self.draw(DIAL_MS)
            lasts = min(LONGEST_S, self._calls.lognormvariate(0, SPREAD) * TALK_S)
            self.provider.start_call(lasts)
            yield REPLY_MS
            self.way.placed(process, name)
            yield round(lasts * 1000)
            self.way.over(process, name)

    def _kill_now_and_then(self) -> Task:
        while True:
            yield round(self._crashes.expovariate(1 / self.load.crash) * 1000)
            victim = self.processes.pop(self._crashes.randrange(len(self.processes)))
            victim.alive = False
            yield 2_000
            self.fork()
