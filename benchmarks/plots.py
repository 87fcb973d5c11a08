"""Plots as SVG, drawn by hand: horizontal bars, and lines on logarithmic axes, readable on light and dark pages."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INK = "#808790"
"""Text and axes: a grey that is read on white and on black."""
GRID = "#8087903a"
OURS = "#2f81d6"
THEIRS = "#a9854a"
MUTED = "#80879099"
WIDTH = 760
LEFT = 230
RIGHT = 90
BAR = 24
HEAD = 46
FOOT = 46
LINES = 300
OTHERS = (THEIRS, "#5b9a68", "#b0605a", "#8a6fb0", "#4d9aa0", "#b07aa1")


@dataclass(frozen=True)
class Bar:
    """One bar; `ours` and `muted` say its colour."""

    label: str
    value: float
    ours: bool = False
    muted: bool = False


@dataclass(frozen=True)
class Line:
    """One line through points, in the order of their x; `ours` and `muted` say its colour."""

    label: str
    points: Sequence[tuple[float, float]]
    ours: bool = False
    muted: bool = False


class Scale:
    """Maps values to a span of pixels."""

    def __init__(self, values: Iterable[float], begin: float, end: float, *, logarithmic: bool) -> None:
        values = [value for value in values if math.isfinite(value) and (value > 0 or not logarithmic)] or [1.0]
        self.logarithmic = logarithmic
        self._begin, self._end = begin, end
        if logarithmic:
            self.low = 10.0 ** math.floor(math.log10(min(values)))
            self.high = 10.0 ** math.ceil(math.log10(max(values)))
            if self.high <= self.low:
                self.high = 10 * self.low
        else:
            self.low, self.high = 0.0, nice(max(*values, 0.0) or 1.0)

    def at(self, value: float) -> float:
        """Return a value's pixel; what is beyond the scale is at its edge."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self._begin + share * (self._end - self._begin)

    def ticks(self) -> list[float]:
        """Return the values to be marked."""
        if self.logarithmic:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        return [self.high * step / 4 for step in range(5)]


def nice(value: float) -> float:
    """Return the next round number that is not less."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value * (1 - 1e-9))


def number(value: float) -> str:
    """Return a number as short as it can be read."""
    if not math.isfinite(value):
        return "never" if value > 0 else "-"
    if abs(value) >= 100:  # noqa: PLR2004 - three digits are enough
        return f"{value:,.0f}"
    return f"{value:.3g}"


def bars(title: str, unit: str, rows: Sequence[Bar], *, logarithmic: bool = False) -> str:
    """Return a plot of horizontal bars; one that is not a number is left out, an infinite one reaches the edge."""
    rows = [row for row in rows if not math.isnan(row.value)]
    scale = Scale((row.value for row in rows), LEFT, WIDTH - RIGHT, logarithmic=logarithmic)
    bottom = HEAD + BAR * len(rows)
    parts = [_text(LEFT, 22, title, size=15, weight="600")]
    for tick in scale.ticks():
        parts += [_rule(scale.at(tick), HEAD - 6, scale.at(tick), bottom)]
        parts += [_text(scale.at(tick), bottom + 16, number(tick), anchor="middle")]
    for at, row in enumerate(rows):
        top = HEAD + BAR * at
        end = scale.at(row.value)
        colour = OURS if row.ours else MUTED if row.muted else THEIRS
        parts += [
            _text(LEFT - 8, top + 15, row.label, anchor="end"),
            f'<rect x="{LEFT}" y="{top + 3}" width="{max(1.0, end - LEFT):.1f}" height="{BAR - 8}" fill="{colour}"/>',
            _text(end + 6, top + 15, number(row.value)),
        ]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, bottom + 34, unit, anchor="middle"))
    return _page(title, bottom + FOOT, parts)


def lines(title: str, x_unit: str, y_unit: str, rows: Sequence[Line], *, logarithmic_y: bool = True) -> str:
    """Return a plot of lines; x is logarithmic, points that are no numbers are left out."""
    good = [replace(row, points=[p for p in row.points if all(map(math.isfinite, p))]) for row in rows]
    points = [point for row in good for point in row.points]
    left, right, bottom = 80, WIDTH - 220, HEAD + LINES
    across = Scale((x for x, _ in points), left, right, logarithmic=True)
    up = Scale((y for _, y in points), bottom, HEAD, logarithmic=logarithmic_y)
    parts = [_text(left, 22, title, size=15, weight="600")]
    for tick in across.ticks():
        parts += [_rule(across.at(tick), HEAD, across.at(tick), bottom)]
        parts += [_text(across.at(tick), bottom + 16, number(tick), anchor="middle")]
    for tick in up.ticks():
        parts += [_rule(left, up.at(tick), right, up.at(tick)), _text(left - 8, up.at(tick) + 4, number(tick), "end")]
    others = itertools.cycle(OTHERS)
    for at, row in enumerate(good):
        colour = OURS if row.ours else MUTED if row.muted else next(others)
        width = 4 if row.ours else 2
        places = [(across.at(x), up.at(y)) for x, y in row.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'] * (
            len(places) > 1
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        key = HEAD + 14 + 20 * at
        parts += [f'<rect x="{right + 20}" y="{key - 9}" width="12" height="10" fill="{colour}"/>']
        parts += [_text(right + 38, key, row.label)]
    parts += [_text((left + right) / 2, bottom + 34, x_unit, anchor="middle"), _text(left, HEAD - 8, y_unit)]
    return _page(title, bottom + FOOT, parts)


def _text(x: float, y: float, text: str, anchor: str = "start", *, size: int = 12, weight: str = "400") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{INK}">{escape(text)}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{GRID}"/>'


def _page(title: str, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" font-family="system-ui, sans-serif">'
    )
    return "\n".join([head, f"<title>{escape(title)}</title>", *parts, "</svg>", ""])
