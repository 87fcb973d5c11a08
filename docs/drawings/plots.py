"""Plots of whole fleets on virtual time: `benchmarks.strategies` and `benchmarks.fairness`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import fairness, strategies
from benchmarks.ways import Admission, Semaphore
from docs.drawings import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE = 60
LANES = {"callbacks": "#d9823b", "campaign": svg.HELD, "survey": "#9a86c9"}


@dataclass(frozen=True)
class Panel:
    """A part of the sheet: `across` are the seconds that it shows, `up` the values from its bottom to its top."""

    sheet: svg.Sheet
    left: float
    top: float
    width: float
    height: float
    across: tuple[float, float]
    up: float

    def x(self, second: float) -> float:
        """Return the pixel of a moment."""
        first, last = self.across
        return self.left + (second - first) / (last - first) * self.width

    def y(self, value: float) -> float:
        """Return the pixel of a value; what is beyond the top is at it."""
        return self.top + self.height * (1 - min(value, self.up) / self.up)

    def axes(self, values: Sequence[float], minutes: int, *, label: str = "") -> None:
        """Draw a grid at values, and marks every so many minutes."""
        for value in values:
            y = self.y(value)
            self.sheet.line(self.left, y, self.left + self.width, y, svg.GRID)
            self.sheet.text(self.left - 6, y + 4, f"{value:g}", anchor="end", size=svg.SMALL, colour=svg.SOFT)
        first, last = (round(second / MINUTE) for second in self.across)
        bottom = self.top + self.height
        for minute in range(first, last + 1, minutes):
            x = self.x(minute * MINUTE)
            self.sheet.line(x, bottom, x, bottom + 4, svg.SOFT)
            text, anchor = (f"{minute} min", "end") if minute == last else (f"{minute}", "middle")
            self.sheet.text(x + 8 * (minute == last), bottom + 17, text, anchor=anchor, size=svg.SMALL, colour=svg.SOFT)
        if label:
            self.sheet.text(self.left, self.top - 8, label, size=svg.SMALL, colour=svg.SOFT)

    def area(self, points: Sequence[tuple[float, float]], below: Sequence[float] | None, colour: str) -> None:
        """Fill from values below (0 if none are given) up to the points."""
        base = below or [0.0] * len(points)
        tops = self._bends(points)
        bottoms = self._bends([(at, value) for (at, _), value in zip(points, base, strict=True)])
        self.sheet.path(f"M{'L'.join(tops)}L{'L'.join(reversed(bottoms))}Z", "none", fill=colour)

    def _bends(self, points: Sequence[tuple[float, float]]) -> list[str]:
        """Return the pixels of a line, less those points that lie level between their neighbours."""
        last = len(points) - 1
        bends = [
            point
            for place, point in enumerate(points)
            if place in {0, last} or not points[place - 1][1] == point[1] == points[place + 1][1]
        ]
        return [f"{self.x(at):.1f},{self.y(value):.1f}" for at, value in bends]


def ways() -> str:
    """Return the calls over time, for each way to be admitted."""
    cases = [case for case in strategies.CASES if case.load == strategies.LOAD and "headroom" not in case.name]
    limit, last, top = strategies.LOAD.limit, 15 * MINUTE, 30
    sheet = svg.Sheet("Calls at once over time against a limit of 20, for each way to be admitted", 550)
    for number, case in enumerate(cases):
        life = strategies.live(case)
        left, y = 44 + 352 * (number % 2), 58 + 178 * (number // 2)
        panel = Panel(sheet, left, y, 304, 104, (0, last), top)
        sheet.text(left, y - 26, life.name, bold=True)
        cut = " (cut off)" if life.peak > top else ""
        told = f"peak {life.peak}{cut}, {life.overshoots} dials with no line free, {life.busy:.0f} % busy"
        sheet.text(left, y - 10, told, size=svg.SMALL, colour=svg.SOFT)
        panel.axes((0, 10, 20, 30), 5)
        points = [(at, float(calls)) for at, calls in life.live if at <= last]
        panel.area(points, None, svg.ALARM)
        panel.area([(at, min(calls, limit)) for at, calls in points], None, svg.COVERED)
        sheet.line(left, panel.y(limit), left + 304, panel.y(limit), svg.INK, width=1.5, dash="6 4")
    left, y = 44 + 352, 58 + 178 * 2
    for number, (colour, text) in enumerate(
        ((svg.COVERED, "calls that are live"), (svg.ALARM, "above the limit"), (svg.CARD, "idle lines are white"))
    ):
        sheet.box(left, y + 8 + 24 * number, 14, 12, colour, stroke=svg.GRID)
        sheet.text(left + 22, y + 18 + 24 * number, text, size=svg.SMALL, colour=svg.SOFT)
    return str(sheet)


def lanes() -> str:
    """Return whose the lines are, lane by lane, over time."""
    shared = fairness.lanes()
    limit = fairness.LOAD.limit
    sheet = svg.Sheet("Lines by lane over time: callbacks come in the middle, the rest is shared three to one", 296)
    panel = Panel(sheet, 44, 44, 560, 204, (0, fairness.SECONDS), limit)
    panel.axes((0, 5, 10, 15, 20), 5, label="lines")
    base = [0.0] * len(shared.at)
    for name in reversed(LANES):
        tops = [below + calls for below, calls in zip(base, shared.calls[name], strict=True)]
        panel.area(list(zip(shared.at, tops, strict=True)), base, LANES[name])
        base = tops
    sheet.line(44, panel.y(limit), 604, panel.y(limit), svg.INK, width=1.5, dash="6 4")
    sheet.text(612, panel.y(limit) + 4, "limit", size=svg.SMALL)
    notes = (("callbacks", "priority 0", 78), ("campaign", "weight 3", 138), ("survey", "weight 1", 210))
    for name, terms, y in notes:
        sheet.box(612, y - 10, 12, 12, LANES[name])
        sheet.text(629, y, name, size=svg.SMALL, bold=True)
        sheet.text(629, y + 15, terms, size=svg.SMALL, colour=svg.SOFT)
    return str(sheet)


def waits() -> str:
    """Return how long each caller waited, in one line and at a semaphore."""
    told = {
        "a semaphore, tried again and again": fairness.waits_of(Semaphore),
        "one line": fairness.waits_of(Admission),
    }
    top = 60.0 * -(-max(waited for waits in told.values() for _, waited in waits) // 60)
    sheet = svg.Sheet("How long each caller waited: at a semaphore, and in one line", 288)
    for number, (name, waits) in enumerate(told.items()):
        panel = Panel(sheet, 52 + 350 * number, 58, 296, 190, (fairness.RAMP, fairness.SECONDS), top)
        sheet.text(panel.left, 30, name, bold=True)
        panel.axes([top * part / 4 for part in range(5)], 5, label="seconds waited; each dot is a caller")
        sheet.dots(((panel.x(at), panel.y(waited)) for at, waited in waits), svg.HELD)
    return str(sheet)
