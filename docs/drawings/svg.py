"""A sheet to draw on, as SVG: a white card, so that it is read on a light page and on a dark one alike."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDTH = 720
INK, SOFT, GRID, CARD = "#24292f", "#57606a", "#dfe3e8", "#ffffff"
PENDING, COVERED, HELD = "#f0b44c", "#b9d6f2", "#4f94d4"
CALL, LOOK, ALARM, GOOD, SHUT = "#8c959f", "#e4dcf5", "#c2410c", "#2f7d4f", "#f3c6b4"
SMALL, NORMAL = 11.5, 13.0


class Sheet:
    """One drawing.

    Args:
        title: What it shows, for those who do not see it.
        height: Pixels; the width is the same for all.
    """

    def __init__(self, title: str, height: float) -> None:
        self._title = title
        self._height = height
        self._parts: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, *, stroke: str = "none", round_: float = 3
    ) -> None:
        """Draw a rectangle."""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_:g}" '
            f'fill="{fill}" stroke="{stroke}"/>'
        )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = INK, *, width: float = 1, dash: str = ""
    ) -> None:
        """Draw a line; `dash` as SVG has it."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width:g}"{dashed}/>'
        )

    def path(
        self,
        d: str,
        colour: str = INK,
        *,
        fill: str = "none",
        width: float = 1,
        dash: str = "",
        head: bool = False,
    ) -> None:
        """Draw a path; with an arrow's head at its end if asked for."""
        arrow = ' marker-end="url(#head)"' if head else ""
        arrow += f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<path d="{d}" fill="{fill}" stroke="{colour}" stroke-width="{width:g}"{arrow}/>')

    def dots(self, points: Iterable[tuple[float, float]], colour: str) -> None:
        """Draw many small dots."""
        places = "".join(f"M{x:.1f},{y:.1f}h0" for x, y in points)
        self._parts.append(
            f'<path d="{places}" fill="none" stroke="{colour}" stroke-width="4" stroke-linecap="round" '
            'stroke-opacity="0.7"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: str = "start",
        size: float = NORMAL,
        colour: str = INK,
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        """Write a line; with a white halo where it stands on lines."""
        weight = ' font-weight="600"' if bold else ""
        rim = f' stroke="{CARD}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"' if halo else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" fill="{colour}"{weight}{rim}>'
            f"{escape(text)}</text>"
        )

    def key(self, x: float, y: float, entries: Iterable[tuple[str, str]]) -> None:
        """Explain colours in a row: pairs of a colour and its name."""
        for colour, name in entries:
            self.box(x, y - 10, 14, 12, colour)
            self.text(x + 20, y, name, size=SMALL, colour=SOFT)
            x += 38 + 6.6 * len(name)

    def __str__(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self._height:g}" width="{WIDTH}" '
            f'height="{self._height:g}" role="img" font-family="system-ui, -apple-system, sans-serif">'
        )
        arrow = (
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            f'orient="auto-start-reverse"><path d="M0,0L8,4L0,8Z" fill="{SOFT}"/></marker></defs>'
        )
        card = f'<rect width="{WIDTH}" height="{self._height:g}" rx="10" fill="{CARD}"/>'
        return "\n".join([head, f"<title>{escape(self._title)}</title>", arrow, card, *self._parts, "</svg>", ""])


def steps(points: Iterable[tuple[float, float]], end: float) -> str:
    """Return the path of a quantity that keeps each value until the next point."""
    first, *others = points
    there = "".join(f"H{x:.1f}V{y:.1f}" for x, y in others)
    return f"M{first[0]:.1f},{first[1]:.1f}{there}H{end:.1f}"
