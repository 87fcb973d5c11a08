"""A time line: what was said when, how things stood meanwhile, and below `in_use` against the calls that were live."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from docs.drawings import svg

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from docs.drawings.tape import Span, Tape

LEFT, RIGHT = 122, svg.WIDTH - 20
ROW, LEVEL = 30, 17
COLOURS = {"pending": svg.PENDING, "covered": svg.COVERED, "tracked": svg.COVERED, "held": svg.HELD}


@dataclass(frozen=True)
class Bar:
    """Something that lasts, in seconds; its text is left out where there is no room for it."""

    begin: float
    end: float
    colour: str
    text: str = ""


@dataclass(frozen=True)
class Row:
    """A label and its bars."""

    label: str
    bars: Sequence[Bar]


@dataclass(frozen=True)
class Mark:
    """Something that happens at a moment: a line through the rows, its text at one of the levels above them."""

    at: float
    text: str
    level: int = 0
    anchor: str = "middle"
    colour: str = svg.SOFT


@dataclass
class Timeline:
    """What is drawn.

    Attributes:
        title: For those who do not see it.
        seconds: From when until when.
        rows: From top to bottom.
        marks: What happens at a moment.
        used: Time and `in_use` from then on; none for no curve.
        live: Calls that were really live: their begin and end.
        limit: A line in the curve.
        notes: Text in the curve: at which second, at which height in slots, what.
        key: Colours and what they mean.
    """

    title: str
    seconds: tuple[float, float]
    rows: Sequence[Row]
    marks: Sequence[Mark] = ()
    used: Sequence[tuple[float, int]] = ()
    live: Sequence[tuple[float, float]] = ()
    limit: int | None = None
    notes: Sequence[tuple[float, float, str]] = ()
    otherwise: Sequence[tuple[float, int]] = ()
    """What `in_use` would be under another rule, from the first of these moments until the last."""
    key: Sequence[tuple[str, str]] = ()
    slot: float = 26
    """Pixels of one slot in the curve."""
    top: int = field(init=False)

    def at(self, second: float) -> float:
        """Return the pixel of a moment."""
        first, last = self.seconds
        return LEFT + (min(max(second, first), last) - first) / (last - first) * (RIGHT - LEFT)

    def draw(self) -> str:
        """Return the drawing."""
        levels = 1 + max((mark.level for mark in self.marks), default=-1)
        self.top = 18 + LEVEL * levels
        below = self.top + ROW * len(self.rows) + 8
        most = max([*(value for _, value in self.used), self.limit or 0, self._most_live()], default=0)
        curve = below + 22 + self.slot * (most + 0.35) if self.used else below
        bottom = curve + 22
        sheet = svg.Sheet(self.title, bottom + (38 if self.key else 14))
        self._marks(sheet, below)
        for number, row in enumerate(self.rows):
            self._row(sheet, row, self.top + ROW * number)
        if self.used:
            self._curve(sheet, curve)
        self._axis(sheet, curve)
        if self.key:
            sheet.key(LEFT, bottom + 22, self.key)
        return str(sheet)

    def _marks(self, sheet: svg.Sheet, below: float) -> None:
        for mark in self.marks:
            y = 18 + LEVEL * mark.level
            x = self.at(mark.at)
            sheet.line(x, y + 4, x, below - 4, mark.colour, dash="2 3")
        for mark in self.marks:
            x = self.at(mark.at) + {"start": -3, "middle": 0, "end": 3}[mark.anchor]
            colour = svg.INK if mark.colour == svg.SOFT else mark.colour
            sheet.text(
                x, 18 + LEVEL * mark.level, mark.text, anchor=mark.anchor, size=svg.SMALL, colour=colour, halo=True
            )

    def _row(self, sheet: svg.Sheet, row: Row, top: float) -> None:
        middle = top + ROW / 2
        sheet.text(LEFT - 10, middle + 4, row.label, anchor="end", size=12)
        sheet.line(LEFT, top + ROW - 2, RIGHT, top + ROW - 2, svg.GRID)
        for bar in row.bars:
            begin, end = self.at(bar.begin), self.at(bar.end)
            sheet.box(begin, top + 4, max(3.0, end - begin), ROW - 10, bar.colour)
            if bar.text and end - begin > 6.4 * len(bar.text):
                dark = bar.colour in {svg.HELD, svg.CALL, svg.ALARM, svg.GOOD}
                sheet.text(
                    (begin + end) / 2, middle + 3, bar.text, anchor="middle", size=svg.SMALL,
                    colour=svg.CARD if dark else svg.INK,
                )  # fmt: skip

    def _curve(self, sheet: svg.Sheet, bottom: float) -> None:
        sheet.text(LEFT - 10, bottom - self.slot / 2 + 4, "slots", anchor="end", size=12)
        steps = self._live_steps()
        points = [(self.at(at), bottom - self.slot * value) for at, value in steps]
        if points:
            path = svg.steps(points, RIGHT)
            sheet.path(f"{path}V{bottom:.1f}H{points[0][0]:.1f}Z", "none", fill="#c9ced4")
        if self.limit is not None:
            y = bottom - self.slot * self.limit
            sheet.line(LEFT, y, RIGHT, y, svg.ALARM, width=1.5, dash="6 4")
            sheet.text(LEFT - 10, y + 4, "limit", anchor="end", size=12, colour=svg.ALARM)
        first, last = self.seconds
        before = [value for at, value in self.used if at <= first]
        used = [(first, before[-1] if before else 0), *(p for p in self.used if first < p[0] <= last)]
        used = [p for p, after in pairwise([*used, (last + 1, -1)]) if after[0] > p[0]]
        path = svg.steps([(self.at(at), bottom - self.slot * value) for at, value in used], RIGHT)
        sheet.path(path, svg.INK, width=2.2)
        if self.otherwise:
            other = [(self.at(at), bottom - self.slot * value) for at, value in self.otherwise]
            sheet.path(svg.steps(other, other[-1][0]), svg.ALARM, width=2.2, dash="3 3")
        for at, height, text in self.notes:
            sheet.text(
                self.at(at), bottom - self.slot * height + 4, text, anchor="middle", size=svg.SMALL, colour=svg.SOFT,
                halo=True,
            )  # fmt: skip

    def _live_steps(self) -> list[tuple[float, int]]:
        changes = sorted([(begin, 1) for begin, _ in self.live] + [(end, -1) for _, end in self.live])
        level, steps = 0, []
        for at, change in changes:
            level += change
            steps.append((at, level))
        return steps

    def _most_live(self) -> int:
        return max((level for _, level in self._live_steps()), default=0)

    def _axis(self, sheet: svg.Sheet, y: float) -> None:
        first, last = self.seconds
        sheet.line(LEFT, y, RIGHT, y, svg.SOFT)
        step = next(step for step in (1, 2, 5, 10, 20, 60) if (last - first) / step <= 16)  # noqa: PLR2004 - ticks
        for second in range(int(first), int(last) + 1):
            if second % step == 0:
                x = self.at(second)
                sheet.line(x, y, x, y + 4, svg.SOFT)
                sheet.text(x, y + 17, f"{second}", anchor="middle", size=svg.SMALL, colour=svg.SOFT)
        sheet.text(LEFT - 10, y + 17, "seconds", anchor="end", size=svg.SMALL, colour=svg.SOFT)


def standing(tape: Tape, rid: str, until: float, words: dict[str, str] | None = None) -> list[Bar]:
    """Return the bars of a reservation, as the book had it."""
    names = words or {}
    return [
        Bar(span.begin, span.end, COLOURS[span.what], names.get(span.what, span.what))
        for span in tape.spans(rid, until)
    ]


def admits(tape: Tape, until: float) -> list[Bar]:
    """Return when something could be claimed, and when nobody could."""
    colours = {"open": svg.GOOD, "closed": svg.SHUT}
    texts = {"open": "open", "closed": "nobody is admitted"}
    return [Bar(span.begin, span.end, colours[span.what], texts[span.what]) for span in tape.admits(until)]


def readings(tape: Tape, *, texts: bool = True) -> list[Bar]:
    """Return the windows of all readings, with what they counted."""
    return [Bar(span.begin, span.end, svg.LOOK, span.what if texts else "") for span, _ in tape.windows]


def calls(spans: Iterable[Span | tuple[float, float]], text: str = "live") -> list[Bar]:
    """Return the bars of calls."""
    return [Bar(span[0], span[1], svg.CALL, text) for span in spans]
