"""Sees when the clock of the ledger's server jumps or is set back, by the ledger's replies. No I/O, no clock."""

from __future__ import annotations

JUMP = 1.0
"""Seconds by which the clock may be another than expected before that is a jump, or a step back."""
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
        self._behind: float | None = None

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

    def set_back(self, behind: float) -> float:
        """Take by how many seconds the server's clock is behind ledger time, which goes on where the clock went back.

        Returns:
            By how many more it is than when it was told last; 0.0 for not worth a word.
        """
        more = 0.0 if self._behind is None else behind - self._behind
        if 0.0 < more <= JUMP:
            return 0.0
        self._behind = behind
        return max(0.0, more)
