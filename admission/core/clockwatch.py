"""Sees when the ledger's clock jumps forward, from the times in its replies. No I/O, no clock."""

from __future__ import annotations

JUMP = 1.0
"""Seconds by which the ledger's clock may run ahead before that is a jump."""
DRIFT = 0.001
"""Seconds per second that two sound clocks may drift apart."""


class ClockWatch:
    """Keeps the largest offset between the ledger's clock and this process's that earlier round trips allow.

    A reply that bears ledger time `L`, sent for at `s` and received at `r`, was made at some time between: the offset
    is at most `L - s` and at least `L - r`.
    """

    def __init__(self) -> None:
        self._most: float | None = None
        self._at = 0.0

    def reset(self) -> None:
        """Begin anew, as with a new epoch."""
        self._most = None

    def jumped(self, ledger: float, sent_at: float, now: float) -> float:
        """Take one reply; return by how many seconds the ledger's clock has jumped, 0.0 for not at all."""
        most = ledger - sent_at
        if self._most is not None:
            allowed = self._most + DRIFT * (now - self._at)
            ahead = ledger - now - allowed
            if ahead > JUMP:
                self._most = None
                return ahead
            most = min(allowed, most)
        self._most, self._at = most, now
        return 0.0
