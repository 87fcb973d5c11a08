"""What the stamps of holds say, worked out after a run: pure functions of times in seconds of one monotonic clock."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Stamp(NamedTuple):
    """One turn of one caller: when it asked, began to hold, and was about to leave; infinite where it never came."""

    caller: int
    asked: float
    started: float
    ended: float


class Window(NamedTuple):
    """The span in which things count; all callers were there before it began."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    def has(self, at: float) -> bool:
        return self.begin <= at < self.end


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least `share` of all values do not exceed; not a number when there are none.

    Args:
        values: In any order.
        share: 0 to 1; 0.5 is the median.
    """
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def hand_offs(starts: Iterable[float], ends: Iterable[float], limit: int, window: Window) -> list[float]:
    """Return how long each slot that came free in the window was idle, in seconds.

    With `limit` slots the start number `limit + k` waits for the end number `k`, whoever made them: the two are a
    pair. Negative where somebody began before a slot was free. A slot that is lost makes all that follow wait for
    one more end. Ends whose slot nobody took any more are left out.

    Args:
        starts: When holders began, just after they were let in; of all processes, from the very first.
        ends: When holders were about to leave: so the way of the release to whoever passes the slot on counts too.
        limit: Slots.
        window: Only ends in it are judged.
    """
    later = sorted(starts)[limit:]
    pairs = zip(sorted(ends), later, strict=False)
    return [start - end for end, start in pairs if window.has(end)]


class Crowd(NamedTuple):
    """How many held at once, at most, and how many began when no slot was free."""

    peak: int
    violations: int


def _moments(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, int, int]]:
    """Yield each moment in order: when, whether somebody begins (1) or is gone (-1), and how many hold after it."""
    spans = list(spans)
    held = 0
    for at, step in sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans]):
        held += step
        yield at, step, held


def crowd(spans: Iterable[tuple[float, float]], limit: int) -> Crowd:
    """Count holders from their own stamps; one that ends in the moment in which another begins is gone by then."""
    held_at_starts = [held for _, step, held in _moments(spans) if step > 0]
    return Crowd(max(held_at_starts, default=0), sum(held > limit for held in held_at_starts))


def waits(stamps: Iterable[Stamp], window: Window) -> list[float]:
    """Return how long callers waited that were in line in the window, until its end where they wait on, in seconds."""
    return [
        min(stamp.started, window.end) - stamp.asked
        for stamp in stamps
        if stamp.asked < window.end and stamp.started >= window.begin
    ]


def starved(stamps: Iterable[Stamp], callers: int, window: Window) -> int:
    """Return how many of so many callers never began before the window's end."""
    return callers - len({stamp.caller for stamp in stamps if stamp.started < window.end})


def first_time_full(spans: Iterable[tuple[float, float]], limit: int, since: float) -> float:
    """Return when somebody took the last free slot for the first time since a moment; infinite when nobody did."""
    full = (at for at, step, held in _moments(spans) if step > 0 and held >= limit and at >= since)
    return next(full, math.inf)
