"""A plot of a plan, as SVG: an account over time, and what the sweep of headroom or load has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.cli.drawing import BELOW, BEYOND, INK, Axis, area, axes, line, page, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from admission.cli.plan.account import Look
    from admission.cli.plan.study import Study

_WIDTH, _HEIGHT = 964, 420
_TOP, _BOTTOM = 84, 360
_TIME = 44, 484
_SWEEP = 592, 924
_UPPER, _LOWER = (84, 204), (256, 360)
Point = tuple[float, float, float, float]
"""A value that was set, what came of it, and the least and the largest of that, life by life."""


def svg(study: Study) -> str:
    """Return the plot."""
    case = study.case
    words = f"{case.calls_per_hour:,g} calls an hour of {case.mix.mean():.0f} s on {case.limit:,} lines"
    parts = [
        text(_TIME[0], 20, words, size=15, weight=600),
        text(_TIME[0], 40, _subtitle(study)),
        *_over_time(study),
        *_sweep(study),
    ]
    return page(words, _WIDTH, _HEIGHT, parts)


def _subtitle(study: Study) -> str:
    found = study.found
    said = f"at most {found['most_at_once']:.0f} calls at once; busy {100 * found['busy']:.1f} %"
    waits = f"95 % of the callers wait at most {found['wait_p95']:.1f} s"
    return f"{said}; {waits}; {found.no_line} of {found.starts:,} starts found no line free"


def _over_time(study: Study) -> Iterator[str]:
    looks, limit = study.looks, study.case.limit
    top = max(limit, *(look.most for look in looks))
    across = Axis(max(looks[-1].at, 1.0), *_TIME)
    up = Axis(1.1 * top, _BOTTOM, _TOP)
    yield from axes(across, up, "calls at once, those of others darker", "{:,.0f}".format)
    yield from area(_outline(looks, "most", across, up), limit, across, up, "")
    if study.case.foreign_per_hour:
        yield f'<path d="{_outline(looks, "foreign", across, up)}" fill="{INK}" fill-opacity="0.7"/>'
    yield text(sum(_TIME) / 2, _BOTTOM + 36, "seconds", anchor="middle")


def _outline(looks: Sequence[Look], name: str, across: Axis, up: Axis) -> str:
    steps = [f"H{across.at(look.at):.1f}V{up.at(getattr(look, name)):.1f}" for look in looks]
    return "".join([f"M{across.begin:.1f},{up.begin:.1f}", *steps, f"V{up.begin:.1f}Z"])


def _sweep(study: Study) -> Iterator[str]:
    if study.case.foreign_per_hour:
        name, label, below = "no_line_per_1000", "starts with no line free, of 1,000", "headroom"
    else:
        name, label, below = "wait_p95", "seconds that 95 % wait at the most", "calls per hour expected"
    upper, lower = _points(study, "busy", 100), _points(study, name, 1)
    if not upper:
        return
    across = Axis(max(4.0, 1.05 * upper[-1][0]), *_SWEEP)
    most = max(point[3] for point in lower)
    for points, up, words in (
        (upper, Axis(100, _UPPER[1], _UPPER[0]), "busy, %"),
        (lower, Axis(max(1.0, 1.1 * most), _LOWER[1], _LOWER[0]), label),
    ):
        yield from axes(across, up, words, "{:g}".format)
        yield from _curve(points, across, up, BELOW if points is upper else BEYOND)
    yield text(sum(_SWEEP) / 2, _LOWER[1] + 36, f"{below}; bars: the least and the most, life by life", anchor="middle")


def _points(study: Study, name: str, scale: float) -> list[Point]:
    points = []
    for tried in study.swept:
        option, found = tried.option, tried.found
        at = option.case.calls_per_hour if option.knob == "load" else float(option.value)
        low, high = found.spread(name) or (0.0, 0.0)
        points.append((at, scale * found[name], scale * low, scale * high))
    return points


def _curve(points: Sequence[Point], across: Axis, up: Axis, colour: str) -> Iterator[str]:
    line_to = " ".join(f"{across.at(at):.1f},{up.at(value):.1f}" for at, value, _, _ in points)
    yield f'<polyline points="{line_to}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for at, value, low, high in points:
        x = across.at(at)
        yield line(x, up.at(low), x, up.at(high), colour, ' stroke-opacity="0.6"')
        yield f'<circle cx="{x:.1f}" cy="{up.at(value):.1f}" r="3.5" fill="{colour}"/>'
