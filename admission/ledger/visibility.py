"""How late calls come into the provider's count, as readings show it. It moves no reservation. No I/O, no clock.

A hold that said `placed` and is open is a live call. When a reading counts fewer calls than there are of those, the
youngest are not in the count yet: the call that is the last of them was accepted so long before the reading began.
That is believed once a later reading counts every live call, those placed meanwhile too, while none has gone: else a
call had ended, and its holder had not said so yet. Calls of others hide calls that are not counted yet, so this is a
lower bound; and where calls come and go between any two readings, nothing is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from admission.ledger.wire import REMEMBER_MS

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Visibility:
    """What readings have shown. Whole milliseconds."""

    seen: int = -1
    """The longest time after which a live call was not counted, -1 for none; one that is older than an hour gives way
    to any other."""
    seen_at: int = 0
    missed: int = 0
    """The same for the newest reading, while it is not believed yet; 0 for none."""
    gone: int = 0
    """How many had gone by then, of all that ever were."""

    def reading(self, now: int, count: int, held: int, young: Sequence[int], gone: int, lag: int) -> None:
        """Take a reading.

        Args:
            now: Ledger time.
            count: What it counts.
            held: How many live calls it surely includes.
            young: How long before it began each of the other live calls was accepted, in order.
            gone: How many live calls there were once.
            lag: The account's visibility lag: what is held was accepted longer ago.
        """
        missing = held + len(young) - count
        is_believed = self.missed and gone == self.gone and missing <= 0
        if is_believed and (self.missed >= self.seen or now - self.seen_at > REMEMBER_MS):
            self.seen, self.seen_at = self.missed, now
        self.missed = 0
        if missing > 0:
            self.missed = young[missing - 1] if missing <= len(young) else lag + 1
            self.gone = gone
