"""How an account that is watched looks on a terminal, whatever its size, with colours or without."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import starmap
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from admission.cli.text import printable
from admission.views.state import PARTS, kept_back, notes_of, parts_of, reading_of, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import ConsoleOptions, RenderableType, RenderResult

    from admission.values import LaneStatus, Policy, Status
    from admission.views.feed import Moment

SPANS = (60, 120, 300, 600)
"""Seconds that the chart may show; it takes the first that has room for what is known."""
_FILL = {"held": ("█", "#"), "covered": ("▓", "%"), "untracked": ("▒", "="), "pending": ("░", ":")}
"""Told apart by shade as well as by colour; in ASCII by sign."""
_COLOUR = {"held": "blue", "covered": "cyan", "untracked": "magenta", "pending": "yellow"}
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_MARK = {"stop": ("■ ", "# ", "bold red"), "look": ("▲ ", "! ", "yellow"), "idle": ("· ", "- ", "dim")}
_WIDE = 70
"""Cells from which on there is room for a lane's settings."""
_ROOM_ABOVE = 1.15
"""The scale reaches so many times the limit."""


@dataclass(frozen=True, slots=True)
class View:
    """What is to be seen.

    Attributes:
        account: The account.
        moments: What was seen so far, the newest last.
        policy: What decides which reading is young.
        footer: The last line: keys, or what is asked of the operator.
        now: Seconds since 1970.
    """

    account: str
    moments: Sequence[Moment]
    policy: Policy
    footer: Text
    now: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it on all of the terminal."""
        yield Drawing(self, options.max_width, options.height or console.height, ascii_only=options.ascii_only).all()


class Drawing:
    """One view, drawn for one size.

    Args:
        view: What is to be seen.
        width: Cells.
        height: Rows.
        ascii_only: Whether the terminal knows nothing but ASCII.
    """

    def __init__(self, view: View, width: int, height: int, *, ascii_only: bool) -> None:
        self._view = view
        self._width = width
        self._height = height
        self._ascii = ascii_only

    def all(self) -> RenderableType:
        """Return everything, the chart as high as there is room."""
        view = self._view
        known = next((moment for moment in reversed(view.moments) if moment.status is not None), None)
        top: list[RenderableType] = [self._title()]
        if known is None or known.status is None:
            text = view.moments[-1].fault if view.moments else "asking the ledger"
            mark = "stop" if view.moments else "idle"
            return self._fitted([*top, Text(""), *self._note(mark, text)], [], [])
        status = known.status
        top += [Text(""), *self._numbers(status), self._bar(status), *self._legend(status)]
        notes: list[RenderableType] = []
        if view.moments[-1].status is None:
            age = span(max(0.0, view.now - known.at))
            notes += self._note("stop", f"{view.moments[-1].fault}; shown is what it told {age} ago")
        for note in notes_of(status, view.policy):
            notes += self._note(note.level, note.text)
        return self._fitted(top, [*self._reading(status, view.now - known.at), *notes], self._lanes(status.lanes))

    def _fitted(
        self, top: list[RenderableType], below: list[RenderableType], lanes: list[RenderableType]
    ) -> RenderableType:
        """Put together what fits: first the numbers and the notes, then the chart, then the lanes."""
        rows = [*top, *([Text("")] if below else []), *below]
        left = self._height - sum(map(self._rows, rows)) - 1
        shown = lanes if left >= sum(map(self._rows, lanes)) + 1 else []
        left -= sum(map(self._rows, shown)) + bool(shown)
        chart = self._chart(min(12, left - 3)) if below else []
        rows = [*top, *chart, *([Text("")] if below else []), *below, *([Text(""), *shown] if shown else [])]
        used = sum(map(self._rows, rows))
        filler = [Text("")] * max(0, self._height - used - 1)
        return Group(*rows[: max(1, self._height - 1)], *filler, self._cut(self._view.footer))

    def _rows(self, item: RenderableType) -> int:
        return item.row_count + 1 if isinstance(item, Table) else 1

    def _cut(self, text: Text) -> Text:
        text = text.copy()
        text.no_wrap = True
        text.truncate(self._width, overflow="ellipsis" if not self._ascii else "crop")
        return text

    def _title(self) -> Text:
        return self._cut(Text.assemble(("admission watch", "bold"), f"  {self._view.account}"))

    def _flow(self, told: Sequence[Text], gap: int = 3) -> list[RenderableType]:
        """Return texts side by side, on as many rows as they need."""
        rows: list[Text] = []
        for text in told:
            if rows and len(rows[-1]) + gap + len(text) <= self._width:
                rows[-1] = Text.assemble(rows[-1], " " * gap, text)
            else:
                rows.append(text)
        return [self._cut(row) for row in rows]

    def _note(self, level: str, text: str) -> list[RenderableType]:
        sign, plain, style = _MARK[level]
        shown = printable(" ".join(text.split()))
        rows = wrap(shown, max(10, self._width - len(sign)), max_lines=4, placeholder=" ...")
        marks = [plain if self._ascii else sign, *[" " * len(sign)] * len(rows)]
        return [Text(mark + row, style, no_wrap=True) for mark, row in zip(marks, rows, strict=False)]

    def _numbers(self, status: Status) -> list[RenderableType]:
        limit = "?" if status.limit is None else str(status.limit)
        full = status.limit is not None and status.in_use >= status.limit
        used = Text.assemble("in use ", (f"{status.in_use} of {limit}", "bold yellow" if full else "bold green"))
        back = kept_back(status)
        free = Text(f"free {status.free}" + (f" ({back} kept back)" if back else ""))
        waiting = Text(f"waiting {status.waiting}", "bold" if status.waiting else "")
        return self._flow([used, free, waiting, *([Text("PAUSED", "bold reverse red")] if status.paused else [])])

    def _bar(self, status: Status) -> Text:
        """Return what is in use as a bar with a mark at the limit."""
        parts, cells = parts_of(status), max(10, self._width - 2)
        top = max(status.in_use, math.ceil((status.limit or 0) * _ROOM_ABOVE), 1)
        drawn, level = Text(no_wrap=True), 0
        for name in PARTS:
            count = getattr(parts, name)
            length = _cells(level + count, top, cells) - _cells(level, top, cells)
            drawn.append(self._fill(name) * length, _COLOUR[name])
            level += count
        drawn.append(" " * (cells - len(drawn)))
        if status.limit is None:
            return drawn
        at = _cells(status.limit, top, cells)
        return Text.assemble(drawn[:at], ("|" if self._ascii else "┃", "bold"), drawn[at:])

    def _fill(self, name: str) -> str:
        return _FILL[name][self._ascii]

    def _legend(self, status: Status) -> list[RenderableType]:
        parts = parts_of(status)
        told = [Text(f"{self._fill(name)} {name} {getattr(parts, name)}", _COLOUR[name]) for name in PARTS]
        return self._flow(told, 2)

    def _reading(self, status: Status, elapsed: float) -> list[RenderableType]:
        if status.usage_age is None:
            return [Text("reading  none yet")]
        worth = reading_of(status, self._view.policy)
        told = [f"reading  {span(status.usage_age + max(0.0, elapsed))} old ({worth})", f"count {status.count}"]
        told += [] if status.visibility_lag_seen is None else [f"lag seen {status.visibility_lag_seen:.1f} s"]
        return self._flow([Text(text) for text in told])

    # The chart

    def _chart(self, rows: int) -> list[RenderableType]:
        """Return the last minutes: in use, with the limit as a line, and who waited below."""
        moments = self._view.moments
        if rows < 2:  # noqa: PLR2004 - one row is no chart
            return []
        known = [moment.status for moment in moments if moment.status is not None]
        limit = known[-1].limit or 0
        top = max(math.ceil(limit * _ROOM_ABOVE), *(status.in_use for status in known), 1)
        label = len(str(top)) + 1
        seconds, columns = self._columns(max(4, self._width - label - 1))
        drawn: list[RenderableType] = [Text("")]
        drawn += [self._row(row, rows, top, limit, label, columns) for row in reversed(range(rows))]
        ago = f"{seconds // 60} min ago"
        gap = self._width - label - 1 - len(ago) - len("now")
        drawn.append(Text(f"{'':{label + 1}}{ago}{'':{max(1, gap)}}now", "dim", no_wrap=True))
        return drawn

    def _columns(self, width: int) -> tuple[int, list[int | None]]:
        """Return the seconds that are shown, and the most in use in each column; `None` where nobody looked."""
        moments, now = self._view.moments, self._view.now
        age = now - moments[0].at
        seconds = next((length for length in SPANS if age <= length), SPANS[-1])
        columns: list[int | None] = [None] * width
        # A moment counts until the next one: there may be more columns than moments.
        ends = [moment.at for moment in moments[1:]] + [now]
        for moment, end in zip(moments, ends, strict=True):
            if moment.status is None:
                continue
            first = min(width - 1, math.floor((moment.at - now + seconds) / seconds * width))
            last = math.ceil((min(end, moment.at + 5) - now + seconds) / seconds * width)
            for at in range(max(0, first), min(width, max(last, first + 1))):
                columns[at] = max(columns[at] or 0, moment.status.in_use)
        return seconds, columns

    def _row(self, row: int, rows: int, top: int, limit: int, label: int, columns: list[int | None]) -> Text:
        step = top / rows
        is_limit = limit > 0 and row == min(rows - 1, math.ceil(limit / step) - 1)
        name = str(limit) if is_limit else "0" if row == 0 else ""
        edge = "|" if self._ascii else "┤" if is_limit else "│"
        line = Text(no_wrap=True)
        line.append(f"{name:>{label}}{edge}", "dim")
        for used in columns:
            part = 0.0 if used is None else min(1.0, max(0.0, used / step - row))
            if part * 8 < 0.5:  # noqa: PLR2004 - less than half of an eighth is nothing
                line.append(("-" if self._ascii else "─") if is_limit else " ", "dim")
            else:
                full = limit > 0 and used is not None and used >= limit
                sign = "#" if self._ascii else _EIGHTHS[round(part * 8)]
                line.append(sign, "yellow" if full else "blue")
        return line

    # The lanes

    def _lanes(self, lanes: Sequence[LaneStatus]) -> list[RenderableType]:
        if len(lanes) < 2 and not any(lane.paused for lane in lanes):  # noqa: PLR2004 - one lane is the whole account
            return []
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim", width=self._width)
        table.add_column("lane", no_wrap=True, overflow="ellipsis", ratio=1)
        for heading in ("waiting", "booked"):
            table.add_column(heading, justify="right", no_wrap=True)
        wide = self._width >= _WIDE
        if wide:
            table.add_column("served", no_wrap=True, overflow="ellipsis", ratio=2)
        room = max(1, self._height // 3)
        for lane in lanes[:room]:
            name = Text(lane.name)
            if lane.paused:
                name.append(" PAUSED", "bold red")
            row = [name, Text(str(lane.waiting)), Text(str(lane.in_flight))]
            table.add_row(*row, *([Text(_served(lane))] if wide else []))
        more = len(lanes) - room
        return [table, *([self._cut(Text(f"and {more} more lanes", "dim"))] if more > 0 else [])]


def _served(lane: LaneStatus) -> str:
    told = lane.settings
    if told is None:
        return ""
    parts = [f"priority {told.priority}", f"weight {told.weight:g}"]
    parts += [f"headroom {told.headroom}"] if told.headroom else []
    parts += [f"at most {told.max_in_flight}"] if told.max_in_flight is not None else []
    parts += [f"promoted after {told.promote_after:g} s"] if told.promote_after is not None else []
    return ", ".join(parts)


def _cells(calls: int, top: int, cells: int) -> int:
    return min(cells, round(calls * cells / top))


def keys_line(keys: Iterable[tuple[str, str]]) -> Text:
    """Return the last line: which key does what."""
    return Text("   ").join(starmap(_key, keys))


def _key(key: str, what: str) -> Text:
    return Text.assemble((key, "bold"), f" {what}")
