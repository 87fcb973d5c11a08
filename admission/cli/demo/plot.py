"""A plot of demos side by side, as SVG: calls against the limit over time, and below how long each caller waited."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from admission.cli.demo.provider import Truth

# Colours that are read on white and on black, and apart from each other by those who cannot tell red from green.
_INK, _GRID, _BELOW, _BEYOND = "#808790", "#8087903a", "#2f81d6", "#d9632d"
_PANEL, _GAP, _LEFT, _RIGHT = 400, 84, 36, 40
_CALLS_TOP, _CALLS_BOTTOM, _WAITS_TOP, _HEIGHT = 76, 276, 324, 464
_WAITS_BOTTOM = _HEIGHT - 44


@dataclass(frozen=True, slots=True)
class Record:
    """One demo, from its beginning to its end.

    Attributes:
        result: Its numbers.
        seen: What the provider knew, from time to time.
        admissions: Of each admitted lead, the seconds since the first call, and the seconds that it had waited.
    """

    result: dict[str, Any]
    seen: Sequence[Truth]
    admissions: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Maps values from 0 to `most` to pixels."""

    most: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        return self.begin + min(max(value, 0.0), self.most) / self.most * (self.end - self.begin)

    def ticks(self) -> Iterator[float]:
        """Return about five round values."""
        power = 10.0 ** math.floor(math.log10(self.most / 5))
        step = next(step * power for step in (1, 2, 5, 10) if step * power * 5 >= self.most)
        return (step * number for number in range(int(self.most / step + 1e-9) + 1))


def svg(records: Sequence[Record]) -> str:
    """Return the plot of one or more demos; the same scales for all."""
    seconds = max(record.result["seconds"] for record in records)
    top = max(max(record.result["peak"], record.result["limit"]) for record in records)
    longest = max((waited for record in records for _, waited in record.admissions), default=0.0)
    width = len(records) * (_PANEL + _GAP) - _GAP + _LEFT + _RIGHT
    parts = []
    for number, record in enumerate(records):
        left = _LEFT + number * (_PANEL + _GAP)
        across = _Axis(seconds, left, left + _PANEL)
        calls = _Axis(1.1 * top, _CALLS_BOTTOM, _CALLS_TOP)
        waits = _Axis(max(1.0, 1.1 * longest), _WAITS_BOTTOM, _WAITS_TOP)
        parts += [*_head(record.result, left), *_calls(record, across, calls, number), *_waits(record, across, waits)]
    title = "Calls at once against the limit, and how long callers waited"
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}" '
        'role="img" font-family="system-ui, sans-serif" font-size="12">'
    )
    return "\n".join([frame, f"<title>{escape(title)}</title>", *parts, "</svg>", ""])


def _head(result: dict[str, Any], left: float) -> Iterator[str]:
    kind = "with admission" if result["guarded"] else "by hand: read the count, dial below the limit"
    beyond = f"{result['overshoots']} calls started with no line free" if result["overshoots"] else "never above it"
    yield _text(left, 20, kind, size=15, weight=600)
    yield _text(left, 40, f"at most {result['peak']} calls at once, limit {result['limit']}; {beyond}")


def _calls(record: Record, across: _Axis, up: _Axis, number: int) -> Iterator[str]:
    yield from _axes(across, up, "calls at once", "{:.0f}".format)
    area = _area(record, across, up)
    limit = up.at(record.result["limit"])
    for name, colour, top, bottom in (("below", _BELOW, limit, up.begin), ("beyond", _BEYOND, up.end, limit)):
        clip = f"{name}{number}"
        yield (
            f'<clipPath id="{clip}"><rect x="{across.begin}" y="{top:.1f}" width="{_PANEL}" '
            f'height="{bottom - top:.1f}"/></clipPath>'
        )
        yield f'<path d="{area}" fill="{colour}" fill-opacity="0.75" clip-path="url(#{clip})"/>'
    yield _line(across.begin, limit, across.end, limit, _INK, ' stroke-width="2" stroke-dasharray="6 4"')
    yield _text(across.end + 6, limit + 4, "limit", weight=600)


def _area(record: Record, across: _Axis, up: _Axis) -> str:
    """Return the outline of the calls over time."""
    steps, peak = [f"M{across.begin:.1f},{up.begin:.1f}"], 0
    for truth in record.seen:
        # A peak between two looks is shown at the second.
        level = truth.peak if truth.peak > peak else truth.live
        peak = truth.peak
        steps.append(f"H{across.at(truth.elapsed):.1f}V{up.at(level):.1f}")
    return "".join([*steps, f"V{up.begin:.1f}Z"])


def _waits(record: Record, across: _Axis, up: _Axis) -> Iterator[str]:
    yield from _axes(across, up, "seconds waited, each dot a caller", "{:g}".format)
    for at, waited in record.admissions:
        yield f'<circle cx="{across.at(at):.1f}" cy="{up.at(waited):.1f}" r="2.5" fill="{_BELOW}" fill-opacity="0.75"/>'
    yield _text((across.begin + across.end) / 2, _HEIGHT - 8, "seconds since the first call", anchor="middle")


def _axes(across: _Axis, up: _Axis, label: str, format_: Callable[[float], str]) -> Iterator[str]:
    for tick in up.ticks():
        yield _line(across.begin, up.at(tick), across.end, up.at(tick), _GRID)
        yield _text(across.begin - 8, up.at(tick) + 4, format_(tick), anchor="end")
    for tick in across.ticks():
        yield _text(across.at(tick), up.begin + 16, f"{tick:g}", anchor="middle")
    yield _text(across.begin, up.end - 8, label)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: int = 400) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{_INK}">{escape(text)}</text>'
    )
