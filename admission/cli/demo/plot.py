"""A plot of demos side by side, as SVG: calls against the limit over time, and below how long each caller waited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from admission.cli.drawing import BELOW, Axis, area, axes, page, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from admission.cli.demo.provider import Truth

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


def svg(records: Sequence[Record]) -> str:
    """Return the plot of one or more demos; the same scales for all."""
    seconds = max(record.result["seconds"] for record in records)
    top = max(max(record.result["peak"], record.result["limit"]) for record in records)
    longest = max((waited for record in records for _, waited in record.admissions), default=0.0)
    width = len(records) * (_PANEL + _GAP) - _GAP + _LEFT + _RIGHT
    parts = []
    for number, record in enumerate(records):
        left = _LEFT + number * (_PANEL + _GAP)
        across = Axis(seconds, left, left + _PANEL)
        calls = Axis(1.1 * top, _CALLS_BOTTOM, _CALLS_TOP)
        waits = Axis(max(1.0, 1.1 * longest), _WAITS_BOTTOM, _WAITS_TOP)
        parts += [*_head(record.result, left), *_calls(record, across, calls, number), *_waits(record, across, waits)]
    title = "Calls at once against the limit, and how long callers waited"
    return page(title, width, _HEIGHT, parts)


def _head(result: dict[str, Any], left: float) -> Iterator[str]:
    kind = "with admission" if result["guarded"] else "by hand: read the count, dial below the limit"
    beyond = f"{result['overshoots']} calls started with no line free" if result["overshoots"] else "never above it"
    yield text(left, 20, kind, size=15, weight=600)
    yield text(left, 40, f"at most {result['peak']} calls at once, limit {result['limit']}; {beyond}")


def _calls(record: Record, across: Axis, up: Axis, number: int) -> Iterator[str]:
    yield from axes(across, up, "calls at once", "{:.0f}".format)
    yield from area(_outline(record, across, up), record.result["limit"], across, up, str(number))


def _outline(record: Record, across: Axis, up: Axis) -> str:
    """Return the outline of the calls over time."""
    steps, peak = [f"M{across.begin:.1f},{up.begin:.1f}"], 0
    for truth in record.seen:
        # A peak between two looks is shown at the second.
        level = truth.peak if truth.peak > peak else truth.live
        peak = truth.peak
        steps.append(f"H{across.at(truth.elapsed):.1f}V{up.at(level):.1f}")
    return "".join([*steps, f"V{up.begin:.1f}Z"])


def _waits(record: Record, across: Axis, up: Axis) -> Iterator[str]:
    yield from axes(across, up, "seconds waited, each dot a caller", "{:g}".format)
    for at, waited in record.admissions:
        yield f'<circle cx="{across.at(at):.1f}" cy="{up.at(waited):.1f}" r="2.5" fill="{BELOW}" fill-opacity="0.75"/>'
    yield text((across.begin + across.end) / 2, _HEIGHT - 8, "seconds since the first call", anchor="middle")
