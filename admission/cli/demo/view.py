"""How a demo looks while it runs: live on a terminal, a line a second elsewhere."""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from admission.cli.demo.provider import Truth
    from admission.cli.demo.settings import Settings

LINE_EVERY = 1.0
"""Seconds between two lines where there is no terminal."""
_BAR_CELLS = 60
_ROOM_ABOVE = 1.2
"""The bars reach so many times the limit, so that there is room to go beyond it."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be seen at one moment.

    Attributes:
        truth: What the provider knows.
        counts: What the dialers have met with.
        book: What the ledger knows; `None` when nobody asks one, or before the first answer.
    """

    truth: Truth
    counts: Mapping[str, int]
    book: Mapping[str, Any] | None


View: TypeAlias = "Callable[[Scene], None]"
"""Shows one scene."""


@contextmanager
def viewed(settings: Settings, stream: TextIO) -> Iterator[View]:
    """Show scenes on `stream` as long as the block lasts."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield _lines(settings, stream)
        return
    console = Console(file=stream, force_terminal=True)
    # Drawn when a scene comes, ten times a second; a thread of rich's own would only draw the same again.
    with Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield lambda scene: live.update(_panel(settings, scene), refresh=True)


def _lines(settings: Settings, stream: TextIO) -> Callable[[Scene], None]:
    next_at = 0.0

    def show(scene: Scene) -> None:
        nonlocal next_at
        if scene.truth.elapsed < next_at:
            return
        next_at = scene.truth.elapsed + LINE_EVERY
        stream.write(f"{scene.truth.elapsed:5.1f} s  {_line(settings, scene)}\n")
        stream.flush()

    return show


def _line(settings: Settings, scene: Scene) -> str:
    truth, counts, book = scene.truth, scene.counts, scene.book
    parts = []
    if settings.guarded and book is not None and book["limit"] is not None:
        parts.append(
            f"in use {book['in_use']}/{book['limit']} "
            f"(pending {book['pending']}, held {book['held']}, untracked {book['untracked']})"
        )
        parts.append(f"reading {_age(book)} old")
    else:
        parts.append(f"live {truth.live}/{truth.limit}")
    parts.append(f"waiting {counts.get('waiting', 0)}")
    parts.append(f"admitted {counts.get('admitted', 0)}")
    if settings.guarded:
        parts.append(f"refused {counts.get('refused', 0)}")
    parts.append(f"peak {truth.peak}")
    parts.append(f"overshoots {truth.overshoots}")
    return "  ".join(parts)


def _age(book: Mapping[str, Any]) -> str:
    age = book["usage_age"]
    return "-" if age is None else f"{age:.2f} s"


def _panel(settings: Settings, scene: Scene) -> Panel:
    truth, counts, book = scene.truth, scene.counts, scene.book
    top = max(truth.peak, math.ceil(_ROOM_ABOVE * truth.limit))
    grid = Table.grid(padding=(0, 2))
    if book is not None and book["limit"] is not None:
        parts = _parts(book)
        # Beyond the limit the books hold what they count twice for a moment; nothing is wrong then.
        grid.add_row("by the books", _bar(parts, truth.limit, top, beyond="yellow"), _of(book["in_use"], book["limit"]))
        grid.add_row("", _legend(parts))
    live = [("foreign", truth.foreign, "blue"), ("own", truth.live - truth.foreign, "green")]
    grid.add_row("in truth", _bar(live, truth.limit, top, beyond="red"), _of(truth.live, truth.limit))
    grid.add_row("", _legend(live))
    numbers = [f"waiting {counts.get('waiting', 0):>3}", f"admitted {counts.get('admitted', 0):>3}"]
    if settings.guarded:
        numbers.append(f"refused {counts.get('refused', 0):>3}")
        numbers.append(f"reading age {'-' if book is None else _age(book):>6}")
    line = Text("   ".join(numbers))
    line.append(f"   peak {truth.peak}", "bold red" if truth.peak > truth.limit else "bold")
    line.append(f"   overshoots {truth.overshoots}", "bold red" if truth.overshoots else "bold")
    kind = "guarded" if settings.guarded else "unguarded"
    title = f"admission demo: {settings.workers} dialers, {kind}, {truth.elapsed:.1f} of {settings.seconds:g} s"
    return Panel(Group(grid, Text(""), line), title=title, title_align="left", expand=False)


def _of(used: int, limit: int) -> str:
    return f"{used:>3} of {limit}"


def _parts(book: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    covered = book["in_use"] - book["pending"] - book["held"]
    return [("untracked", covered, "blue"), ("held", book["held"], "green"), ("pending", book["pending"], "yellow")]


def _bar(parts: list[tuple[str, int, str]], limit: int, top: int, *, beyond: str) -> Text:
    """Return a bar from 0 to `top` calls with a mark at the limit, and what goes beyond that in its own colour."""
    drawn, level = Text(no_wrap=True), 0
    for _, count, colour in parts:
        below = max(0, min(level + count, limit) - level)
        for amount, style in ((below, colour), (count - below, beyond)):
            drawn.append("█" * (_cells(level + amount, top) - _cells(level, top)), style)
            level += amount
    drawn.append(" " * (_BAR_CELLS - len(drawn)))
    at = _cells(limit, top)
    return Text.assemble(drawn[:at], ("│", "bold"), drawn[at:])


def _cells(calls: int, top: int) -> int:
    return min(_BAR_CELLS, round(calls * _BAR_CELLS / top))


def _legend(parts: list[tuple[str, int, str]]) -> Text:
    return Text("  ").join([Text(f"■ {name} {count:>2}", colour) for name, count, colour in parts])
