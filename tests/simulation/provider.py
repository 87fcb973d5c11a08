"""The truth: which calls live, what the provider tells of them and how late, and who began one too many."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from admission.values import Usage

if TYPE_CHECKING:
    from tests.simulation.agenda import Agenda

UNKNOWABLE = 30.0
"""Seconds for which the fleet may not know of calls that others began, or of a limit that was lowered: the age of the
reading that a claim relies on, the lag of its count, and the way from the claim to the dial."""


@dataclass(eq=False, slots=True)
class Call:
    """An own call: whether it was dialled after its deadline, and whether it lives."""

    late: bool
    live: bool = True


class Provider:
    """An account at a provider that takes every call.

    Args:
        agenda: Gives the time and all chance.
        limit: Calls that may run at once.
        foreign: Calls of others.
        lag: Seconds, at most, until a start or an end is in the count.
    """

    def __init__(self, agenda: Agenda, limit: int, foreign: int, lag: float) -> None:
        self.agenda = agenda
        self.lag = lag
        self.own: set[Call] = set()
        self.started = 0
        self.late = 0
        self.peak = 0
        self.overshoots: list[str] = []
        self.busy_seconds = self.room_seconds = 0.0
        self._since = agenda.now()
        self._looked = agenda.now()
        self._levels: deque[tuple[float, int]] = deque([(self._since, foreign)])
        self._limits: deque[tuple[float, int]] = deque([(self._since, limit)])
        self._foreign: deque[tuple[float, int]] = deque([(self._since, foreign)])

    @property
    def limit(self) -> int:
        return self._limits[-1][1]

    @property
    def foreign(self) -> int:
        return self._foreign[-1][1]

    @property
    def live(self) -> int:
        return len(self.own) + self.foreign

    def start(self, *, late: bool) -> Call:
        """Accept a call, whatever the limit; note when the fleet could have known that it is one too many."""
        self._pass()
        call = Call(late)
        self.own.add(call)
        self.started += 1
        self.late += late
        self.peak = max(self.peak, self.live)
        in_time = sum(not other.late for other in self.own)
        allowed = max(limit for _, limit in self._recent(self._limits))
        known = min(foreign for _, foreign in self._recent(self._foreign))
        if in_time + known > allowed:
            self.overshoots.append(f"at {self.agenda.now():.3f}: {in_time} own in time and {known} others of {allowed}")
        self._note()
        return call

    def end(self, call: Call) -> None:
        self._pass()
        call.live = False
        self.own.discard(call)
        self._note()

    def set_limit(self, limit: int) -> None:
        self._pass()
        self._limits.append((self.agenda.now(), limit))

    def set_foreign(self, calls: int) -> None:
        self._pass()
        self._foreign.append((self.agenda.now(), calls))
        self._note()

    def count(self) -> int:
        """Return how many calls the provider says live: how it was a random part of the lag ago, never earlier than
        it said before."""
        now = self.agenda.now()
        self._looked = max(self._looked, now - self.agenda.between((0.0, self.lag)))
        while len(self._levels) > 1 and self._levels[1][0] <= min(self._looked, now - self.lag):
            self._levels.popleft()
        return next(
            level for time, level in reversed(self._levels) if time <= self._looked or time == self._levels[0][0]
        )

    def usage(self) -> Usage:
        """Return what the provider answers now, with the time of its look by its own clock."""
        return Usage(self.limit, self.count(), datetime.fromtimestamp(self.agenda.now(), UTC))

    def _note(self) -> None:
        self._levels.append((self.agenda.now(), self.live))

    def _pass(self) -> None:
        now = self.agenda.now()
        span = now - self._since
        self.busy_seconds += span * min(self.live, self.limit)
        self.room_seconds += span * self.limit
        self._since = now

    def _recent(self, history: deque[tuple[float, int]]) -> deque[tuple[float, int]]:
        """Return what was so in the last seconds, what stood at their beginning included."""
        while len(history) > 1 and history[1][0] <= self.agenda.now() - UNKNOWABLE:
            history.popleft()
        return history
