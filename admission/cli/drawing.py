"""What plots are drawn with: axes, lines and words, as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from admission.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

# Colours that are read on white and on black, and apart from each other by those who cannot tell red from green.
INK, GRID, BELOW, BEYOND = "#808790", "#8087903a", "#2f81d6", "#d9632d"


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values from 0 to `most` to pixels."""

    most: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.begin + min(max(value, 0.0), self.most) / self.most * (self.end - self.begin)

    def ticks(self) -> Iterator[float]:
        """Return about five round values."""
        power = 10.0 ** math.floor(math.log10(self.most / 5))
        step = next(step * power for step in (1, 2, 5, 10) if step * power * 5 >= self.most)
        return (step * number for number in range(int(self.most / step + 1e-9) + 1))


def check_writable(plot: Path) -> None:
    """See to it, before anything is done, that a plot can be written.

    Raises:
        ConfigurationError: It cannot.
    """
    try:
        plot.open("a", encoding="utf-8").close()
    except OSError as error:
        raise ConfigurationError(f"--plot {plot}: cannot be written ({error.strerror})") from error


def page(title: str, width: float, height: float, parts: Iterable[str]) -> str:
    """Return a whole picture."""
    frame = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" font-family="system-ui, sans-serif" font-size="12">'
    )
    return "\n".join([frame, f"<title>{escape(title)}</title>", *parts, "</svg>", ""])


def axes(across: Axis, up: Axis, label: str, format_: Callable[[float], str]) -> Iterator[str]:
    """Draw two axes with their ticks, and what is upwards."""
    for tick in up.ticks():
        yield line(across.begin, up.at(tick), across.end, up.at(tick), GRID)
        yield text(across.begin - 8, up.at(tick) + 4, format_(tick), anchor="end")
    for tick in across.ticks():
        yield text(across.at(tick), up.begin + 16, f"{tick:g}", anchor="middle")
    yield text(across.begin, up.end - 8, label)


def area(outline: str, limit: float, across: Axis, up: Axis, name: str) -> Iterator[str]:
    """Draw an outline, and what of it is beyond a limit in a colour of its own; with the limit."""
    at = up.at(limit)
    for part, colour, top, bottom in (("below", BELOW, at, up.begin), ("beyond", BEYOND, up.end, at)):
        clip = f"{part}{name}"
        yield (
            f'<clipPath id="{clip}"><rect x="{across.begin}" y="{top:.1f}" width="{across.end - across.begin:g}" '
            f'height="{bottom - top:.1f}"/></clipPath>'
        )
        yield f'<path d="{outline}" fill="{colour}" fill-opacity="0.75" clip-path="url(#{clip})"/>'
    yield line(across.begin, at, across.end, at, INK, ' stroke-width="2" stroke-dasharray="6 4"')
    yield text(across.end + 6, at + 4, "limit", weight=600)


def line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    """Draw a line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'


def text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12, weight: int = 400) -> str:
    """Write words."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{INK}">{escape(words)}</text>'
    )
