"""The truth: which calls live, and what the provider tells of them how late."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from admission.values import Usage

if TYPE_CHECKING:
    from admission.simulation.agenda import Agenda


@dataclass(eq=False, slots=True)
class Call:
    """An own call, and whether it lives."""

    live: bool = True


class Provider:
    """An account at a provider that takes every call.

    Args:
        agenda: Gives the time and all chance.
        limit: Calls that may run at once.
        foreign: Calls of others.
        lag: Seconds until a start or an end is in the count, from and to.
    """

    def __init__(self, agenda: Agenda, limit: int, foreign: int, lag: tuple[float, float]) -> None:
        self.agenda = agenda
        self.limit: int = limit
        self.foreign: int = foreign
        self.lag = lag
        self.own: set[Call] = set()
        self.started: int = 0
        self.peak: int = 0
        self.busy_seconds: float = 0.0
        self.room_seconds: float = 0.0
        self._since = agenda.now()
        self._looked = agenda.now()
        self._levels: deque[tuple[float, int]] = deque([(self._since, self.live)])

    @property
    def live(self) -> int:
        """How many calls live, those of others too."""
        return len(self.own) + self.foreign

    def start(self) -> Call:
        """Accept a call, whatever the limit."""
        self.pass_time()
        call = Call()
        self.own.add(call)
        self.started += 1
        self.peak = max(self.peak, self.live)
        self.note_level()
        return call

    def end(self, call: Call) -> None:
        """End a call."""
        self.pass_time()
        call.live = False
        self.own.discard(call)
        self.note_level()

    def set_limit(self, limit: int) -> None:
        """Move the limit."""
        self.pass_time()
        self.limit = limit

    def set_foreign(self, calls: int) -> None:
        """Have others have so many calls."""
        self.pass_time()
        self.foreign = calls
        self.note_level()

    def count(self) -> int:
        """Return how many calls the provider says live.

        That is how it was some part of the lag ago, and never earlier than it said before.
        """
        now = self.agenda.now()
        self._looked = max(self._looked, now - self.agenda.between(self.lag))
        while len(self._levels) > 1 and self._levels[1][0] <= min(self._looked, now - self.lag[1]):
            self._levels.popleft()
        return next(
            level for time, level in reversed(self._levels) if time <= self._looked or time == self._levels[0][0]
        )

    def usage(self) -> Usage:
        """Return what the provider answers now, with the time of its look by its own clock."""
        return Usage(self.limit, self.count(), datetime.fromtimestamp(self.agenda.now(), UTC))

    def pass_time(self) -> None:
        """Bring `busy_seconds` and `room_seconds` up to now."""
        now = self.agenda.now()
        span = now - self._since
        self.busy_seconds += span * min(self.live, self.limit)
        self.room_seconds += span * self.limit
        self._since = now

    def note_level(self) -> None:
        """Note how many calls live, for counts that look back."""
        self._levels.append((self.agenda.now(), self.live))
