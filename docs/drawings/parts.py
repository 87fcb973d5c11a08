"""The parts of the package as floors, as the architecture page lists them, and the way of one request through them."""

from __future__ import annotations

import re
from pathlib import Path

from docs.drawings.svg import CARD, COVERED, GRID, HELD, INK, NORMAL, SMALL, SOFT, WIDTH, Sheet

PAGE = Path(__file__).parents[1] / "maintaining" / "architecture.md"
ROW = re.compile(r"^\| ((?:`[\w.]+`(?:, )?)+) \|", re.MULTILINE)
LEFT, TOP, FLOOR, GAP = 16.0, 44.0, 38.0, 8.0
BOX = FLOOR - 10
CROWD = 3
"""Parts beside each other that have room for their names in full size."""

WAY = (
    ("guard", "the guard makes a want"),
    ("core", "a plan says what it needs"),
    ("drivers", "a driver does that, and waits"),
    ("direct", "a free slot is asked for at once"),
    ("clerk", "any other message goes to the clerk"),
    ("core", "the desk makes a request of it"),
    ("ledger.redis", "the store sends it"),
    ("ledger", "the book decides, in one step"),
    ("core", "the desk tells the caller"),
    ("reservation", "the caller has a reservation in hand"),
)
"""Through which part a request goes, and what becomes of it there."""


def floors() -> list[list[str]]:
    """Return the parts that stand beside each other, the lowest floor first."""
    table = PAGE.read_text("utf-8").partition("## The parts")[2].partition("\n## ")[0]
    return [re.findall(r"`([\w.]+)`", row) for row in ROW.findall(table)]


def draw() -> str:
    """Draw the floors, the lowest at the bottom, and the numbers of the way on them."""
    rows = [*reversed(floors())]
    half = (len(WAY) + 1) // 2
    sheet = Sheet("The parts of the package, each above what it imports", TOP + len(rows) * FLOOR + 40 + half * 20)
    sheet.text(LEFT, 26, "each part imports what stands below it, and what stands beside it", size=SMALL, colour=SOFT)
    passed = {part for part, _ in WAY}
    for floor, row in enumerate(rows):
        y = TOP + floor * FLOOR
        width = (WIDTH - 2 * LEFT - GAP * (len(row) - 1)) / len(row)
        for place, part in enumerate(row):
            x = LEFT + place * (width + GAP)
            sheet.box(x, y, width, BOX, COVERED if part in passed else CARD, stroke=GRID)
            sheet.text(x + 8, y + BOX / 2 + 4.5, part, size=SMALL if len(row) > CROWD else NORMAL)
            numbers = [number for number, (at, _) in enumerate(WAY, 1) if at == part]
            for back, number in enumerate(reversed(numbers)):
                _number(sheet, x + width - 14 - 20 * back, y + BOX / 2, number)
    y = TOP + len(rows) * FLOOR + 24
    for number, (_, what) in enumerate(WAY, 1):
        column, line = divmod(number - 1, half)
        x = LEFT + 8 + column * (WIDTH / 2 - LEFT)
        _number(sheet, x, y + line * 20 - 4, number)
        sheet.text(x + 16, y + line * 20, what, size=SMALL, colour=INK)
    return str(sheet)


def _number(sheet: Sheet, x: float, y: float, number: int) -> None:
    sheet.box(x - 8, y - 8, 16, 16, HELD, round_=8)
    sheet.text(x, y + 3.8, str(number), anchor="middle", size=10.5, colour=CARD, bold=True)
