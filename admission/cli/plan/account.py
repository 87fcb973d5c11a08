"""The account that a life is lived on, and what is written down of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from admission.simulation.provider import Provider

if TYPE_CHECKING:
    from admission.cli.plan.case import Case
    from admission.simulation.agenda import Agenda
    from admission.simulation.provider import Call


@dataclass(frozen=True, slots=True)
class Time:
    """How long a life goes on.

    Attributes:
        warm: Seconds that are not measured.
        measured: Seconds that are.
        most_work: What it may work at the most, in requests to the ledger; then it ends early.
    """

    warm: float
    measured: float
    most_work: float


@dataclass(frozen=True, slots=True)
class Look:
    """How the account stood at one moment, in seconds since the measured time began.

    `most`: the most calls at once since the look before.
    """

    at: float
    own: int
    foreign: int
    most: int


@dataclass(slots=True)
class Life:
    """What came of one life in its measured time.

    Attributes:
        seconds: That were measured, after `warm` that were not.
        leads: That came.
        starts: Own calls that the provider accepted.
        refused: Callers whose time was up, or that were refused at once.
        waits: Seconds that each admitted caller had waited.
        busy_seconds, foreign_seconds, room_seconds: Lines that were taken, that others had of these, and that there
            were, times seconds.
        most: Calls at once, at the most.
        no_line: Starts that found no line free.
        foreign_starts, foreign_turned_away: Calls of others, and those of them that found no line free.
        most_workers: Workers at work at once, at the most.
        short_of_workers: Seconds for which a lead waited for a worker.
        work: In requests to the ledger, about, the warm-up's too.
        looks: How it stood from time to time.
    """

    seconds: float = 0.0
    warm: float = 0.0
    leads: int = 0
    starts: int = 0
    refused: int = 0
    waits: list[float] = field(default_factory=list)
    busy_seconds: float = 0.0
    foreign_seconds: float = 0.0
    room_seconds: float = 0.0
    most: int = 0
    no_line: int = 0
    foreign_starts: int = 0
    foreign_turned_away: int = 0
    most_workers: int = 0
    short_of_workers: float = 0.0
    work: float = 0.0
    looks: list[Look] = field(default_factory=list)


class Account(Provider):
    """An account that takes every own call, and those of others while there is a line.

    Args:
        agenda: Gives the time and all chance.
        case: Says what it is like.
        own: Own calls that run already, of which the ledger has no bookings any more.
        foreign: Calls of others that run already.
    """

    def __init__(self, agenda: Agenda, case: Case, own: int, foreign: int) -> None:
        self.life: Life = Life()
        self.running: int = own
        super().__init__(agenda, case.limit, foreign, (case.lag, case.lag))
        self._most = self.live

    @property
    def live(self) -> int:
        """How many calls live."""
        return self.running + len(self.own) + self.foreign

    def dial(self) -> Call:
        """Accept an own call, and note whether there was a line for it."""
        self.life.starts += 1
        self.life.no_line += self.live >= self.limit
        call = self.start()
        self._risen()
        return call

    def end_running(self) -> None:
        """End an own call that ran already."""
        self.pass_time()
        self.running -= 1
        self.note_level()

    def take_foreign(self) -> bool:
        """Take a call of others, if there is a line for it."""
        self.life.foreign_starts += 1
        if self.live >= self.limit:
            self.life.foreign_turned_away += 1
            return False
        self.set_foreign(self.foreign + 1)
        self._risen()
        return True

    def measure(self, warm: float) -> Life:
        """Begin to measure."""
        self.pass_time()
        self.busy_seconds: float = 0.0
        self.room_seconds: float = 0.0
        self.life = Life(warm=warm, most=self.live)
        return self.life

    def look(self, at: float) -> None:
        """Write down how it stands."""
        self.life.looks.append(Look(at, self.live - self.foreign, self.foreign, self._most))
        self._most = self.live

    def pass_time(self) -> None:
        """Bring all seconds up to now."""
        self.life.foreign_seconds += (self.agenda.now() - self._since) * self.foreign
        super().pass_time()

    def _risen(self) -> None:
        live = self.live
        self._most = max(self._most, live)
        self.life.most = max(self.life.most, live)
