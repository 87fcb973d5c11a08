"""Slots that the ledger has claimed for callers of this process, until they have taken them. No I/O, no clock."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from admission.ledger.replies import HandOver
from admission.ledger.wire import OFFER_MS

if TYPE_CHECKING:
    from admission.core.messages import Booking, Want

SLOW = 0.05
"""Seconds after which a waiter that has not taken what was handed over to it is slow: others are only offered slots."""
GIVEN_UP = OFFER_MS / 1000
"""Seconds after which what was handed over and not taken goes back."""


class HandOvers:
    """What was handed over, and whether the process's waiters take it."""

    def __init__(self) -> None:
        self.stalled: bool = False
        """Whether somebody did not take one at all, and no caller was heard of since."""
        self._told = ""
        """What the newest reply told."""
        self._learnt = 0
        """Number of the last one that was told."""
        self._given: deque[tuple[float, Want]] = deque()
        """To whom slots were handed over, and when, until they have taken them."""

    def forget_numbers(self) -> None:
        """Begin anew, as with a new epoch."""
        self._learnt = 0

    def news(self, told: str) -> list[HandOver]:
        """Take what a reply's head tells; return nothing if the one before told the same."""
        if told == self._told:
            return []
        self._told = told
        found = HandOver.parse(told)
        self._learnt = max([self._learnt, *(one.number for one in found)])
        return found

    def give(self, want: Want, booking: Booking, now: float) -> None:
        """Lay a slot out for a caller, who may take it from now on."""
        want.handed.append(booking)
        self._given.append((now, want))

    def untaken(self, now: float) -> list[Booking]:
        """Forget what was taken; take back, and return, what nobody has taken in time."""
        back = []
        while self._given and (not self._given[0][1].handed or now - self._given[0][0] >= GIVEN_UP):
            _, want = self._given.popleft()
            booking = want.take()
            if booking is not None:
                self.stalled = True
                back.append(booking)
        return back

    def wake_at(self) -> float | None:
        """Return when the first of them goes back, if nobody takes it."""
        return self._given[0][0] + GIVEN_UP if self._given else None

    def is_slow(self, now: float) -> bool:
        """Whether waiters do not take what is handed over to them: then they must claim, and so show that they live."""
        return self.stalled or (bool(self._given) and now - self._given[0][0] > SLOW)

    def learnt(self, now: float) -> int:
        """Return what the ledger is told: the number of the last one, or -1 while waiters are slow."""
        return -1 if self.is_slow(now) else self._learnt
