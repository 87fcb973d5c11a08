"""A book that is spoken to at given seconds, and how each reservation and the account stand then."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from admission.ledger.book import Book
from admission.ledger.wire import Standing
from tests.books import START, Desk, Reply

if TYPE_CHECKING:
    from admission.ledger.requests import Request
    from admission.ledger.wire import Code

OUT = "out"


class Moment(NamedTuple):
    """What the book says.

    Attributes:
        at: Seconds since the tape began.
        standing: Of each reservation that is booked, by name: `pending`, `covered`, `held` or `tracked`.
        in_use: By the rule.
        count: Of the newest reading.
        closed: Whether nothing may be claimed, however much is free.
    """

    at: float
    standing: dict[str, str]
    in_use: int
    count: int
    closed: bool


class Span(NamedTuple):
    """From `begin` to `end`, in seconds, something was so."""

    begin: float
    end: float
    what: str


class Tape(Desk):
    """A desk (`tests/books.py`) whose times are seconds, and that remembers."""

    def __init__(self, limit: int, **policy: int) -> None:
        self.moments: list[Moment] = []
        self.windows: list[tuple[Span, Code]] = []
        """The window of each reading, what it counted, and what became of it."""
        super().__init__(limit, **policy)
        self.windows.clear()

    @property
    def seconds(self) -> float:
        """Seconds since the tape began."""
        return (self.now - START) / 1000

    def to(self, seconds: float) -> Tape:
        """Let time pass, unheard, until `seconds`."""
        at = START + round(seconds * 1000)
        if at < self.now:
            raise ValueError(f"it is {self.seconds} already, not {seconds}")
        self.now = at
        return self

    def say(self, request: Request, *more: object, **words: object) -> Reply:
        """Let a process say something, and remember how the book stands then."""
        reply = super().say(request, *more, **words)  # type: ignore[arg-type]
        _, rows = self._rows()
        room = self.book.room
        closed = room.policy is None or room.closed(self.now) is not None
        self.moments.append(Moment(self.seconds, rows, self.in_use, self.book.readings.count, closed))
        return reply

    def lose(self) -> None:
        """Lose everything: the ledger comes back empty."""
        self.book = Book(self.now, cold=True)

    def _rows(self) -> tuple[int, dict[str, str]]:
        kept = self.book.reservations
        rows = kept.holders(1_000, self.now)
        return len(rows), {row.rid: Standing(row.standing).name.lower() for row in rows}

    def look(self, begin: float, end: float, count: int, **more: object) -> Code:
        """Write a reading of which the window is given in seconds."""
        self.to(end)
        code = self.reading(count, t0=START + round(begin * 1000), **more)
        self.windows.append((Span(begin, end, str(count)), code))
        return code

    def spans(self, rid: str, until: float) -> list[Span]:
        """Return how a reservation stood, from its claim on."""
        found: list[Span] = []
        for moment, after in zip(self.moments, [*self.moments[1:], None], strict=True):
            end = until if after is None else after.at
            what = moment.standing.get(rid)
            if what is None:
                continue
            if found and found[-1].what == what and found[-1].end == moment.at:
                found[-1] = found[-1]._replace(end=end)
            else:
                found.append(Span(moment.at, end, what))
        return [span for span in found if span.end > span.begin]

    def admits(self, until: float) -> list[Span]:
        """Return when something could be claimed, and when not: `open`, `closed`."""
        found: list[Span] = []
        for moment, after in zip(self.moments, [*self.moments[1:], None], strict=True):
            what, end = "closed" if moment.closed else "open", until if after is None else after.at
            if found and found[-1].what == what:
                found[-1] = found[-1]._replace(end=end)
            else:
                found.append(Span(moment.at, end, what))
        return [span for span in found if span.end > span.begin]

    def used(self) -> list[tuple[float, int]]:
        """Return `in_use` after each word."""
        return [(moment.at, moment.in_use) for moment in self.moments]
