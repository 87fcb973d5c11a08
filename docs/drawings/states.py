"""Where a reservation can stand and what moves it: found by saying everything to the book, in every order."""

from __future__ import annotations

from copy import deepcopy
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from admission.ledger.wire import Kind, Standing
from docs.drawings import svg
from tests.books import LAG, LEASE, SETTLE, Desk, entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Edge = tuple[str, str, str]
"""From, to, and by what."""
OUT = "out"
READING, EARLY = "a reading with t0 > s", "a reading with t0 <= s"
LEAVING = "leaving", "leaving by an error"
LINE = 15


class Node(NamedTuple):
    """A standing: where its box is, and what it means."""

    x: float
    y: float
    width: float
    colour: str
    name: str
    means: str


class Way(NamedTuple):
    """How an edge goes, and where its label is written."""

    path: str
    x: float
    y: float
    anchor: str = "middle"
    width: int = 40
    """Letters of a line of the label."""
    repair: bool = False


NODES = {
    "pending": Node(72, 170, 160, svg.PENDING, "pending", "added to the count"),
    "held": Node(530, 66, 170, svg.HELD, "held", "in the count, and its floor"),
    "covered": Node(530, 240, 170, svg.COVERED, "covered", "in the count, still known"),
    OUT: Node(270, 410, 180, "#eef0f2", "not in the books", "the count alone tells"),
}
HEIGHT = 56
WAYS = {
    ("", "pending"): Way("M8,198H70", 38, 188),
    ("pending", "held"): Way("M200,169C260,92,400,88,527,88", 372, 70),
    ("pending", "covered"): Way("M234,190C340,186,430,216,527,252", 396, 178),
    ("pending", OUT): Way("M170,227C176,320,220,390,268,420", 222, 350, "start", 26),
    ("covered", "held"): Way("M620,239V124", 628, 186, "start"),
    ("covered", "pending"): Way("M528,280C420,290,320,262,234,214", 350, 294, "middle", 30),
    ("covered", OUT): Way("M570,297C560,350,520,405,452,426", 562, 350, "start", 18),
    ("held", "pending"): Way("M560,65C470,8,200,0,140,168", 372, 22),
    ("held", OUT): Way("M701,94C730,240,722,446,452,448", 610, 462, "middle", 26),
    (OUT, "pending"): Way("M268,446C150,446,110,330,120,228", 20, 424, "start", 24, repair=True),
    (OUT, "held"): Way("M400,409C420,340,470,200,528,112", 452, 352, "start", 12, repair=True),
}


def draw() -> str:
    """Return the drawing; the book must make those moves that have a place in it, and no others."""
    words: dict[tuple[str, str], list[str]] = {}
    for begin, end, word in sorted(edges()):
        if begin != end:
            words.setdefault((begin, end), []).append(word)
    if words.keys() != WAYS.keys():
        raise AssertionError(f"moves without a place, or places without a move: {sorted(words.keys() ^ WAYS.keys())}")
    sheet = svg.Sheet("Where a reservation can stand, and what moves it", 486)
    for ends, way in WAYS.items():
        sheet.path(way.path, svg.SOFT, width=1.4, head=True, dash="5 4" if way.repair else "")
        said = [word for word in words[ends] if word != LEAVING[1]]
        for number, line in enumerate(wrap(", ".join(said), way.width)):
            sheet.text(way.x, way.y + LINE * number, line, anchor=way.anchor, size=svg.SMALL, halo=True)
    for node in NODES.values():
        sheet.box(node.x, node.y, node.width, HEIGHT, node.colour, round_=8)
        light = svg.CARD if node.colour == svg.HELD else svg.INK
        middle = node.x + node.width / 2
        sheet.text(middle, node.y + 24, node.name, anchor="middle", bold=True, colour=light)
        sheet.text(middle, node.y + 42, node.means, anchor="middle", size=svg.SMALL, colour=light)
    return str(sheet)


def standing(desk: Desk) -> str:
    """Return where the reservation stands."""
    rows = desk.book.reservations.holders(1, desk.now)
    if not rows:
        return OUT
    return {Standing.PENDING: "pending", Standing.HELD: "held"}.get(Standing(rows[0].standing), "covered")


def edges() -> set[Edge]:
    """Return every move that the book makes."""
    found: set[Edge] = set()
    for kind in (Kind.HOLD, Kind.PLACE, Kind.TRACK):
        desk = Desk(5)
        desk.beat(by="q")
        desk.grant("r", kind=kind, by="q")
        found.add(("", standing(desk), "claim"))
        found |= _walk(desk, kind)
    return found


def _walk(first: Desk, kind: Kind) -> set[Edge]:
    found: set[Edge] = set()
    seen = set()
    todo = [first]
    while todo:
        desk = todo.pop()
        for word, say in _words(desk, kind):
            after = deepcopy(desk)
            say(after)
            settle = desk.book.reservations.pending.get("r", -1)
            early = word == READING and after.book.readings.t0 <= settle
            found.add((standing(desk), standing(after), EARLY if early else word))
            if (key := _key(after)) not in seen:
                seen.add(key)
                todo.append(after)
    return found


def _key(desk: Desk) -> tuple[object, ...]:
    """Return what tells one state from another: where it stands, what was said, what is over, what was read."""
    kept = desk.book.reservations
    facts = kept.facts.get("r")
    settle = kept.pending.get("r")
    known = (facts.placed, facts.open, "r" in kept.until) if facts else ()
    seen = facts is not None and desk.book.readings.t0 > facts.claimed + LAG
    return standing(desk), known, settle is not None and settle < desk.now, seen


def _words(desk: Desk, kind: Kind) -> Iterator[tuple[str, Callable[[Desk], object]]]:
    """Return what can be said to the book now, and how."""
    facts = desk.book.reservations.facts.get("r")
    is_open = facts is not None and facts.open
    if is_open:
        yield "placed()", lambda d: d.placed("r", by="q", kind=kind)
        yield "placed()", lambda d: d.placed("r", by="q", kind=kind, age=d.now - facts.claimed)
        yield "leaving", lambda d: d.leave("r", by="q")
        yield "leaving by an error", lambda d: d.leave("r", by_value=False, by="q")
        if not facts.placed and kind != Kind.HOLD:
            yield "a beat of its open block", lambda d: d.beat(entry("r", kind=kind), by="q")
    if facts is not None:
        yield "ended(), cancel()", lambda d: d.ended("r", by="q")
        yield READING, _read
        yield READING, _read_early
        yield "a lapse", _lapse
    yield "placed() after the deadline", lambda d: d.placed("r", by="q", kind=kind, late=1)
    if facts is None and kind == Kind.HOLD:
        yield "a beat lists it again", lambda d: d.beat(entry("r", kind=kind, placed=1, settle=-LEASE), by="q")
        yield "a beat lists it again", lambda d: d.beat(entry("r", kind=kind, placed=1, settle=LAG), by="q")


def _read(desk: Desk) -> None:
    desk.quiet(SETTLE + 1, "p", "q")
    desk.reading(1)


def _read_early(desk: Desk) -> None:
    desk.quiet(LAG + 500, "p", "q")
    desk.reading(1)


def _lapse(desk: Desk) -> None:
    desk.quiet(LEASE + 2_000, "p")
