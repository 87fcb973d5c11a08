"""What lives of one case come to, and how far they are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admission.cli.plan.case import HOUR, Case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from admission.cli.plan.account import Life

CARRIED_REFUSED, CARRIED_SHORT = 0.01, 0.05
"""A load is carried where at most this share of the callers is refused, and leads wait for workers at most this share
of the time."""

EASY = 0.5
"""Seconds that 95 % wait at the most where waiting is no matter."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Lives of one case, together.

    Attributes:
        case: What was simulated.
        starts, leads, foreign_starts: Counted.
        no_line: Starts that found no line free, counted.
        lives: How many there were.
        seconds: Measured, of all lives together; `warm`: of one life, not measured.
        values: What is worked out of them, by name; `None` where there is nothing to work it out of.
        each: The same of each life.
    """

    case: Case
    starts: int
    leads: int
    foreign_starts: int
    no_line: int
    lives: int
    seconds: float
    warm: float
    values: dict[str, float | None]
    each: tuple[dict[str, float | None], ...]

    def __getitem__(self, name: str) -> float:
        """Return a value; 0 where there is none."""
        return self.values[name] or 0.0

    def spread(self, name: str) -> tuple[float, float] | None:
        """Return the least and the largest of a value, life by life."""
        known = [value for value in (life[name] for life in self.each) if value is not None]
        return (min(known), max(known)) if known else None

    def worst(self, name: str) -> float:
        """Return the largest of a value, life by life; 0 where there is none."""
        return (self.spread(name) or (0.0, 0.0))[1]

    @property
    def no_line_at_most(self) -> float:
        """Starts with no line free, per thousand, that are surely not exceeded (95 %, as they come by chance)."""
        return 1000 * poisson_most(self.no_line) / self.starts if self.starts else 1000.0

    @property
    def is_easy(self) -> bool:
        """Whether there is nothing to be gained: hardly anybody waits, and there was a line for every start."""
        return self["wait_p95"] < EASY and not self.no_line and self["short_of_workers"] == 0

    def carries(self, wait: float) -> bool:
        """Whether in every life all that is expected is called, and 95 % wait no longer than `wait`."""
        bounds = (("wait_p95", wait), ("refused", CARRIED_REFUSED), ("short_of_workers", CARRIED_SHORT))
        return self.starts > 0 and all(self.worst(name) <= bound for name, bound in bounds)

    def describe(self) -> dict[str, Any]:
        """Return it for programs."""
        spread = {name: self.spread(name) for name in self.values}
        return {
            "lives": self.lives,
            "seconds": round(self.seconds, 1),
            "warm_up_seconds": round(self.warm, 1),
            "leads": self.leads,
            "starts": self.starts,
            "foreign_starts": self.foreign_starts,
            **{name: _rounded(value) for name, value in self.values.items()},
            "no_line_per_1000_at_most": round(self.no_line_at_most, 2),
            "spread": {name: both and [_rounded(one) for one in both] for name, both in spread.items()},
        }


def figures(case: Case, lives: Sequence[Life]) -> Figures:
    """Return what lives of a case come to."""
    return Figures(
        case,
        starts=sum(life.starts for life in lives),
        leads=sum(life.leads for life in lives),
        foreign_starts=sum(life.foreign_starts for life in lives),
        no_line=sum(life.no_line for life in lives),
        lives=len(lives),
        seconds=sum(life.seconds for life in lives),
        warm=max(life.warm for life in lives),
        values=_values(case, lives),
        each=tuple(_values(case, [life]) for life in lives),
    )


def _values(case: Case, lives: Sequence[Life]) -> dict[str, float | None]:
    def total(name: str) -> float:
        return float(sum(getattr(life, name) for life in lives))

    waits = sorted(wait for life in lives for wait in life.waits)
    seconds, room = total("seconds"), total("room_seconds")
    most = max(life.most for life in lives)
    return {
        "busy": _share(total("busy_seconds"), room),
        "busy_foreign": _share(total("foreign_seconds"), room),
        "leads_per_hour": _share(HOUR * total("leads"), seconds),
        "calls_per_hour": _share(HOUR * total("starts"), seconds),
        "wait_p50": percentile(waits, 50),
        "wait_p95": percentile(waits, 95),
        "wait_longest": waits[-1] if waits else None,
        "refused": _share(total("refused"), total("refused") + len(waits)),
        "most_at_once": float(most),
        "most_above": float(max(0, most - case.limit)),
        "no_line_per_1000": _share(1000 * total("no_line"), total("starts")),
        "foreign_turned_away": _share(total("foreign_turned_away"), total("foreign_starts")),
        "most_workers": float(max(life.most_workers for life in lives)),
        "short_of_workers": _share(total("short_of_workers"), seconds),
    }


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return the value that `percent` of all do not exceed; `None` of none."""
    return ordered[max(1, math.ceil(len(ordered) * percent / 100)) - 1] if ordered else None


def poisson_most(seen: int) -> float:
    """Return the mean that is surely not exceeded (95 %) where so many were seen (Wilson and Hilferty's cube root)."""
    ahead = seen + 1
    return ahead * (1 - 1 / (9 * ahead) + 1.645 / (3 * math.sqrt(ahead))) ** 3


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
