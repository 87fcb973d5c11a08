"""Ways to be admitted: those that people write first, and the ledger's own book."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from admission.ledger.wire import Code
from benchmarks.fleet import HOP_MS, Bell
from tests.books import START, Desk

if TYPE_CHECKING:
    from collections.abc import Generator

    from benchmarks.fleet import Admit, Fleet, Process, Task

RECHECK_MS = (500, 1_500)
"""How long one who read by himself waits until he reads again."""
POLL_MS = (100, 300)
"""How long one who found the semaphore taken waits until he tries again."""
REFRESH_MS = 1_000
BEAT_MS = 1_000


class ByHand:
    """Each reads the count by itself, and dials when it is below the limit."""

    def start(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def joined(self, process: Process) -> None:
        pass

    def admit(self, process: Process) -> Admit:  # noqa: ARG002 - it asks nobody who knows of processes
        fleet = self.fleet
        while (yield from fleet.read()) >= fleet.load.limit:
            yield fleet.draw(RECHECK_MS)
        return ""

    def placed(self, process: Process, name: str) -> None:
        pass

    def over(self, process: Process, name: str) -> None:
        pass


class Semaphore(ByHand):
    """A slot for each call in a set that all share; one that is not given back is free again after `ttl` seconds."""

    def __init__(self, ttl: float) -> None:
        self._ttl = round(ttl * 1000)
        self._names = itertools.count()
        self.slots: dict[str, int] = {}
        """Name to when it is free again."""

    def admit(self, process: Process) -> Admit:  # noqa: ARG002 - a slot belongs to nobody
        fleet = self.fleet
        yield HOP_MS
        while not self.has_room():
            yield fleet.draw(POLL_MS)
        name = f"s{next(self._names)}"
        self.slots[name] = fleet.agenda.now + self._ttl
        return name

    def has_room(self) -> bool:
        now = self.fleet.agenda.now
        for name in [name for name, until in self.slots.items() if until <= now]:
            del self.slots[name]
        return len(self.slots) < self.fleet.load.limit

    def over(self, process: Process, name: str) -> None:  # noqa: ARG002 - same
        self.slots.pop(name, None)


class Both(Semaphore):
    """A semaphore, and the count that one reader brings each second: both must be below the limit."""

    count = 0

    def start(self, fleet: Fleet) -> None:
        super().start(fleet)
        fleet.spawn(None, self._read())

    def _read(self) -> Task:
        while True:
            began = self.fleet.agenda.now
            self.count = yield from self.fleet.read()
            yield max(1, began + REFRESH_MS - self.fleet.agenda.now)

    def has_room(self) -> bool:
        return super().has_room() and self.count < self.fleet.load.limit


class AddedUp(Both):
    """The same, and the two are added up: every call of the fleet is counted twice."""

    def has_room(self) -> bool:
        return super().has_room() and self.count + len(self.slots) < self.fleet.load.limit


class Admission:
    """The book of the ledger, spoken to as processes do; each holds, and says `placed()` and `ended()`."""

    def __init__(self, headroom: int = 0) -> None:
        self.desk = Desk(headroom=headroom)
        self._names = itertools.count()
        self._bells: dict[str, Bell] = {}

    def start(self, fleet: Fleet) -> None:
        self.fleet = fleet
        fleet.spawn(None, self._read())

    def joined(self, process: Process) -> None:
        self.fleet.spawn(process, self._beat(process))

    def admit(self, process: Process) -> Admit:
        name = f"r{next(self._names)}"
        bell = self._bells[name] = Bell()
        yield HOP_MS
        code = self.at_now().ask(name, by=process.name, **self.terms(process)).code
        self._wake()
        while code != Code.GRANTED:
            yield bell
            yield HOP_MS
            code = self.at_now().claim(name, by=process.name, **self.terms(process)).code
            self._wake()
        del self._bells[name]
        yield HOP_MS
        return name

    def terms(self, process: Process) -> dict[str, object]:  # noqa: ARG002 - for those who differ
        """Return what an ask says besides its name."""
        return {}

    def placed(self, process: Process, name: str) -> None:
        self.at_now().placed(name, by=process.name)
        self._wake()

    def over(self, process: Process, name: str) -> None:
        self.at_now().ended(name, by=process.name)
        self._wake()

    def at_now(self) -> Desk:
        """Return the desk with its clock set."""
        self.desk.now = START + self.fleet.agenda.now
        return self.desk

    def _wake(self) -> None:
        wakes = self.desk.book.serving.wakes
        for _, seat in wakes:
            self._bells[seat].ring()
        wakes.clear()

    def _beat(self, process: Process) -> Task:
        while True:
            self.at_now().beat(by=process.name)
            self._wake()
            yield BEAT_MS

    def _read(self) -> Task:
        fleet = self.fleet
        yield 10
        while True:
            desk = self.at_now()
            token = desk.duty(by=fleet.processes[0].name)
            if not token:
                yield max(1, desk.book.readings.due_at(desk.now, REFRESH_MS) - desk.now)
                continue
            count = yield from self._count()
            self.at_now().reading(count, limit=fleet.load.limit, t0=token, by=fleet.processes[0].name)
            self._wake()

    def _count(self) -> Generator[int, None, int]:
        return (yield from self.fleet.read())
