"""What happens when, in virtual time: one thread, one order, all chance from one seed."""

from __future__ import annotations

import heapq
import itertools
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Agenda:
    """Runs actions at their times; a clock for everybody.

    Args:
        seed: Of all that is left to chance.
    """

    def __init__(self, seed: int) -> None:
        self.dice: random.Random = random.Random(seed)  # noqa: S311 - a simulation, no secret
        self._now = 1_000.0
        self._actions: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def now(self) -> float:
        """Return the virtual seconds."""
        return self._now

    def arm(self, until: float, ring: Callable[[], None]) -> float | None:
        """Have `ring` called at a time, as a `Clock` does."""
        self.at(until, ring)
        return None

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Run an action at a time, after whatever was planned for the same one before."""
        heapq.heappush(self._actions, (max(time, self._now), next(self._count), action))

    def after(self, span: float, action: Callable[[], None]) -> None:
        """Run an action after a span of seconds."""
        self.at(self._now + span, action)

    def run(self, span: float) -> None:
        """Let a span of seconds pass."""
        end = self._now + span
        while self._actions and self._actions[0][0] <= end:
            self._now, _, action = heapq.heappop(self._actions)
            action()
        self._now = end

    def happens(self, share: float) -> bool:
        """Whether something comes to pass that does in a share of all cases, 0 to 1."""
        return share > 0 and self.dice.random() < share

    def between(self, span: tuple[float, float]) -> float:
        """Return a number of a span."""
        return self.dice.uniform(*span)
