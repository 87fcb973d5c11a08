"""Erlang's delay formula, beside what is simulated: an account on which every line is used the moment it falls free.

A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
exchanges", 1917; as in the ITU's Teletraffic Engineering Handbook, "Erlang's delay system". It asks for calls of
exponential lengths that come by chance and wait in one line without end.
"""

from __future__ import annotations

import math


def waiting(lines: int, load: float) -> float:
    """Return the share of the calls that wait (Erlang C), 1 where the load fills all lines.

    Args:
        lines: Calls that may run at once.
        load: Calls at once that are offered (erlangs).
    """
    if load >= lines:
        return 1.0
    blocked = 1.0
    for line in range(1, lines + 1):
        blocked = load * blocked / (line + load * blocked)
    return blocked / (1 - load / lines * (1 - blocked))


def wait_p95(lines: int, load: float, mean: float) -> float | None:
    """Return the wait that 95 % do not exceed, `None` where the line grows for ever; `mean` seconds of a call."""
    if load >= lines:
        return None
    share = waiting(lines, load)
    return max(0.0, math.log(share / 0.05) * mean / (lines - load)) if share > 0 else 0.0
