"""Whether the fleet could have known that a call was one too many."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from admission.simulation.provider import Call, Provider

if TYPE_CHECKING:
    from admission.simulation.agenda import Agenda

UNKNOWABLE = 30.0
"""Seconds for which the fleet may not know of calls that others began, or of a limit that was lowered: the age of the
reading that a claim relies on, the lag of its count, and the way from the claim to the dial."""


class Judge(Provider):
    """An account that notes what should not have been.

    Args:
        agenda: Gives the time and all chance.
        limit: Calls that may run at once.
        foreign: Calls of others.
        lag: Seconds, at most, until a start or an end is in the count.
    """

    def __init__(self, agenda: Agenda, limit: int, foreign: int, lag: float) -> None:
        super().__init__(agenda, limit, foreign, (0.0, lag))
        self.late = 0
        self.overshoots: list[str] = []
        self._late: set[Call] = set()
        self._limits: deque[tuple[float, int]] = deque([(self._since, limit)])
        self._foreign: deque[tuple[float, int]] = deque([(self._since, foreign)])

    def start(self, *, late: bool = False) -> Call:
        """Accept a call; note when the fleet could have known that it is one too many. `late`: it was dialled after its
        deadline."""
        call = super().start()
        if late:
            self.late += 1
            self._late.add(call)
        in_time = len(self.own) - len(self._late)
        allowed = max(limit for _, limit in self._recent(self._limits))
        known = min(foreign for _, foreign in self._recent(self._foreign))
        if in_time + known > allowed:
            self.overshoots.append(f"at {self.agenda.now():.3f}: {in_time} own in time and {known} others of {allowed}")
        return call

    def end(self, call: Call) -> None:
        super().end(call)
        self._late.discard(call)

    def set_limit(self, limit: int) -> None:
        super().set_limit(limit)
        self._limits.append((self.agenda.now(), limit))

    def set_foreign(self, calls: int) -> None:
        super().set_foreign(calls)
        self._foreign.append((self.agenda.now(), calls))

    def _recent(self, history: deque[tuple[float, int]]) -> deque[tuple[float, int]]:
        """Return what was so in the last seconds, what stood at their beginning included."""
        while len(history) > 1 and history[1][0] <= self.agenda.now() - UNKNOWABLE:
            history.popleft()
        return history
