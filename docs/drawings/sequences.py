"""Who says what to whom, in order: runs of the stand-in provider and of the book, written down as they speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from admission import PureTalk
from admission.testing import FakePureTalk, VirtualClock
from admission.testing.transport import transport
from docs.drawings import svg
from tests.books import Desk

if TYPE_CHECKING:
    from admission import Usage
    from tests.books import Reply

STEP = 32
HEAD = 58


class Sequence:
    """A sequence of messages between actors.

    Args:
        title: For those who do not see it.
        actors: From left to right.
        margin: Pixels on both sides of the outermost.
    """

    def __init__(self, title: str, actors: tuple[str, ...], margin: float = 104) -> None:
        self._title = title
        between = (svg.WIDTH - 2 * margin) / (len(actors) - 1)
        self._x = {actor: margin + between * number for number, actor in enumerate(actors)}
        self._said: list[tuple[str, str, str, str]] = []

    def message(self, sender: str, receiver: str, text: str, colour: str = svg.INK) -> None:
        """Somebody says something to somebody."""
        self._said.append((sender, receiver, text, colour))

    def note(self, actor: str, text: str, colour: str = svg.SOFT) -> None:
        """Something is so with somebody."""
        self._said.append((actor, actor, text, colour))

    def draw(self) -> str:
        """Return the drawing."""
        bottom = HEAD + STEP * len(self._said) + 10
        sheet = svg.Sheet(self._title, bottom + 14)
        for actor, x in self._x.items():
            sheet.line(x, 40, x, bottom, "#b6bdc5", width=1.2)
            wide = 26 + 7.4 * len(actor)
            sheet.box(x - wide / 2, 14, wide, 28, "#eef0f2", round_=6)
            sheet.text(x, 33, actor, anchor="middle", bold=True)
        for number, (sender, receiver, text, colour) in enumerate(self._said):
            y = HEAD + STEP * number + 18
            begin, end = self._x[sender], self._x[receiver]
            if sender == receiver:
                wide = 16 + 6.5 * len(text)
                sheet.box(begin - wide / 2, y - 16, wide, 22, "#fff6e5" if colour == svg.SOFT else "#fde8e0", round_=5)
                sheet.text(begin, y, text, anchor="middle", size=svg.SMALL, colour=svg.INK)
                continue
            near = 4 if end > begin else -4
            sheet.path(f"M{begin:.1f},{y:.1f}H{end - near:.1f}", colour, width=1.4, head=True)
            sheet.text(
                (begin + end) / 2, y - 6, text, anchor="middle", size=svg.SMALL, halo=True,
                colour=svg.INK if colour == svg.INK else colour,
            )  # fmt: skip
        return str(sheet)


def race() -> str:
    """Return what comes of two workers that read the count and then dial."""
    clock = VirtualClock()
    provider = FakePureTalk(20, clock=clock.now, visibility_lag=2.0, enforce=False)
    for _ in range(19):
        provider.start_call()
    clock.advance(5)
    drawing = Sequence(
        "Two workers read the count, both see a free line, both dial", ("worker A", "provider", "worker B")
    )

    def read(worker: str) -> Usage:
        with httpx.Client(transport=transport(provider)) as client:
            usage = PureTalk(provider.api_key, base_url="http://provider.test/api", client=client).fetch()
        drawing.message("provider", worker, f"{usage.count} of {usage.limit}")
        return usage

    def dial(worker: str, usage: Usage) -> None:
        if usage.count >= usage.limit:
            raise AssertionError(usage)
        provider.start_call()
        drawing.message(worker, "provider", f"{usage.count} < {usage.limit}: dial")
        over = provider.live > provider.limit
        drawing.note("provider", f"{provider.live} calls live", svg.ALARM if over else svg.SOFT)

    drawing.note("provider", f"{provider.live} calls live")
    first, second = read("worker A"), read("worker B")
    dial("worker A", first)
    clock.advance(1)
    dial("worker B", second)
    third = read("worker A")
    drawing.note("worker A", "own call not counted yet", svg.ALARM)
    dial("worker A", third)
    return drawing.draw()


def offer() -> str:
    """Return how a freed slot is offered, not claimed, offered to the next, and claimed."""
    desk = Desk(1)
    desk.beat(by="B")
    desk.beat(by="C")
    desk.grant("old", by="A")
    desk.placed("old", by="A")
    desk.quiet(3_000, "A", "B", "C")
    desk.reading(1, by="A")
    desk.ended("old", by="A")
    desk.after(500)
    drawing = Sequence(
        "A reading frees a slot; it is offered to B, which stands still, then to C, which claims it",
        ("provider", "process A", "ledger", "process B", "process C"), 70,
    )  # fmt: skip
    names = {"A": "process A", "B": "process B", "C": "process C"}

    def asks(process: str, verb: str, reply: Reply) -> None:
        drawing.message(names[process], "ledger", verb)
        drawing.message("ledger", names[process], reply.code.name.lower().replace("_", " "))

    def offers() -> None:
        for process, _ in desk.book.serving.wakes:
            drawing.message("ledger", names[process], "offer", svg.GOOD)
        desk.book.serving.wakes.clear()

    asks("B", "ask", desk.ask("b", by="B"))
    asks("C", "ask", desk.ask("c", by="C"))
    drawing.note("process B", "stands still", svg.ALARM)
    token = desk.duty(by="A")
    drawing.message("process A", "ledger", "duty: is a reading due?")
    drawing.message("process A", "provider", "read")
    drawing.message("provider", "process A", "0 of 1")
    desk.after(200)
    desk.reading(0, t0=token, by="A")
    drawing.message("process A", "ledger", "reading: 0 of 1")
    offers()
    desk.after(1_000)
    desk.beat(by="A")
    drawing.note("ledger", "a second later: not claimed")
    offers()
    asks("C", "claim", desk.claim("c", by="C"))
    drawing.note("process C", "dials")
    return drawing.draw()
