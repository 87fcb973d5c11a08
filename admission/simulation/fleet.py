"""The third driver: processes whose desks and plans are the production's, a ledger, and all that lies between them."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from admission.base import outcome_of
from admission.clerk import PATIENCE, RETRY_FIRST, RETRY_MOST
from admission.core.desk import Desk
from admission.core.messages import Booking, Want
from admission.errors import UsageError
from admission.ledger.book import Book
from admission.ledger.requests import runs
from admission.ledger.wire import DEFAULT, Kind
from admission.reservation import Reservation

if TYPE_CHECKING:
    from collections.abc import Callable

    from admission.core.drafts import Draft
    from admission.core.messages import Box, Message
    from admission.ledger.requests import Request, Who
    from admission.ledger.wire import Wire
    from admission.simulation.agenda import Agenda
    from admission.simulation.provider import Provider
    from admission.simulation.tasks import Task
    from admission.values import Lane, Policy, Usage

ACCOUNT = "acme"
SOURCE_TIMEOUT = 2.0


class Away(Exception):
    """The ledger does not answer."""


@dataclass
class Weather:
    """How likely what goes wrong is, and how long everything takes; it changes while the fleet runs.

    Attributes:
        hop: Seconds from one party to another, from and to.
        lost_requests: Share of the round trips that the ledger never runs.
        lost_replies: Share of those that it runs, and whose reply is lost.
        refused_requests: Share of the round trips that fail at once, as at a server that is still loading its data.
        lost_wakes: Share of the wake-up messages.
        ledger_up: Whether the ledger answers at all.
        reading: Seconds that the provider takes for an answer, from and to.
        failed_readings: Share of the readings that come to nothing.
        cached_readings: Share of the readings that are answered with the answer before.
    """

    hop: tuple[float, float] = (0.0002, 0.003)
    lost_requests: float = 0.0
    lost_replies: float = 0.0
    refused_requests: float = 0.0
    lost_wakes: float = 0.0
    ledger_up: bool = True
    reading: tuple[float, float] = (0.05, 0.3)
    failed_readings: float = 0.0
    cached_readings: float = 0.0


class Ledger:
    """One book, and the ways to it and back.

    Args:
        agenda: Time and chance.
        weather: Says what is lost on the way.
        check: Called with the book whenever it has run something.
        cold: Whether calls may live that it does not know of, so that it opens with a pause, as a ledger on Redis does.
    """

    def __init__(self, agenda: Agenda, weather: Weather, check: Callable[[Book], None], *, cold: bool = True) -> None:
        self.agenda = agenda
        self.weather = weather
        self.check = check
        self.book: Book = Book(self._ms(), cold=cold)
        self.processes: dict[str, Process] = {}
        self.trips: int = 0
        """Batches that were sent to it."""
        self.requests: int = 0
        """What was in them."""

    def _ms(self) -> int:
        return int(self.agenda.now() * 1000)

    def forget(self) -> None:
        """Lose everything."""
        self.book = Book(self._ms(), cold=True)

    def carry(
        self, batch: list[tuple[str, Who, Request]], replied: Callable[[list[Wire]], None], failed: Callable[[], None]
    ) -> None:
        """Take requests to the book and their replies back, or do not."""
        weather, agenda = self.weather, self.agenda
        self.trips += 1
        self.requests += len(batch)
        if not weather.ledger_up or agenda.happens(weather.lost_requests):
            agenda.after(PATIENCE, failed)
            return
        if weather.refused_requests and agenda.happens(weather.refused_requests):
            agenda.after(agenda.between(weather.hop), failed)
            return

        def arrive() -> None:
            replies = self._execute(batch)
            if agenda.happens(weather.lost_replies):
                agenda.after(PATIENCE, failed)
            else:
                agenda.after(agenda.between(weather.hop), lambda: replied(replies))

        agenda.after(agenda.between(weather.hop), arrive)

    def _execute(self, batch: list[tuple[str, Who, Request]]) -> list[Wire]:
        replies: list[Wire] = []
        for run in runs(batch):
            replies += self.book.execute(self._ms(), run.who, *run.requests)
            serving = self.book.serving
            wakes, serving.wakes = serving.wakes, []
            for name, seat in wakes:
                if not self.agenda.happens(self.weather.lost_wakes):
                    self._wake(name, seat)
        self.check(self.book)
        return replies

    def _wake(self, name: str, seat: str) -> None:
        process = self.processes[name]
        self.agenda.after(self.agenda.between(self.weather.hop), lambda: process.offered(seat))


class Process:
    """An operating-system process with one guard: its desk, what its clerk does, and its tasks.

    Args:
        name: Its name in the ledger.
        policy: The guard's.
        agenda, ledger, provider, weather: The world.
        lanes: The lanes that the guard declares.
    """

    def __init__(
        self,
        name: str,
        policy: Policy,
        agenda: Agenda,
        ledger: Ledger,
        provider: Provider,
        weather: Weather,
        lanes: tuple[Lane, ...] = (),
    ) -> None:
        self.name = name
        self.policy = policy
        self.agenda = agenda
        self.ledger = ledger
        self.provider = provider
        self.weather = weather
        self.alive: bool = True
        self.stalled_until: float = 0.0
        self.events: Counter[str] = Counter()
        self.tasks: set[Task] = set()
        self.reservations: list[Reservation] = []
        self.desk: Desk = Desk(
            ACCOUNT, name, policy, lanes=lanes, source_timeout=SOURCE_TIMEOUT, fetch=self._fetch,
            report=lambda event, /, **_: self.events.update([event]),
        )  # fmt: skip
        self.numbers: count[int] = count()
        self._names = count()
        self._inbox: deque[Message] = deque()
        self._exchanging = False
        self._turn_at: float | None = None
        self._retry_at = 0.0
        self._retry_after = RETRY_FIRST
        self._answer: Usage | None = None
        ledger.processes[name] = self

    # Time in the process: none passes while it is stalled, and none any more when it was killed

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Do something at a time, as soon as the process runs."""

        def act() -> None:
            if not self.alive:
                return
            if self.stalled_until > self.agenda.now():
                self.agenda.at(self.stalled_until, act)
            else:
                action()

        self.agenda.at(time, act)

    def soon(self, action: Callable[[], None]) -> None:
        """Do something in another thread of the process."""
        self.at(self.agenda.now() + self.agenda.dice.random() * 0.001, action)

    def stall(self, span: float) -> None:
        """Let it stand still for some seconds."""
        self.stalled_until = max(self.stalled_until, self.agenda.now() + span)

    def kill(self) -> None:
        """End it without a word."""
        self.alive = False
        for reservation in self.reservations:
            reservation._left = True

    # What the clerk does

    def post(self, message: Message) -> None:
        """Take a message to the desk."""
        if self.alive:
            self._inbox.append(message)
            self._plan(self.agenda.now() + self.agenda.dice.random() * 0.001)

    def offered(self, seat: str) -> None:
        """A wake-up message came."""

        def hear() -> None:
            self.desk.offered([seat], self.agenda.now())
            self._plan(self.agenda.now())

        self.at(self.agenda.now(), hear)

    def _plan(self, time: float) -> None:
        if self._turn_at is None or time < self._turn_at:
            self._turn_at = time
            self.at(time, lambda: self._turn(time))

    def _turn(self, planned: float) -> None:
        if planned != self._turn_at or self._exchanging:
            return
        self._turn_at = None
        now = self.agenda.now()
        while self._inbox:
            self.desk.handle(self._inbox.popleft(), now)
        self.desk.tick(now)
        if now >= self._retry_at and (drafts := self.desk.take(now)):
            self._exchanging = True
            self.ledger.carry(
                [(ACCOUNT, who, request) for _, who, request in drafts],
                lambda replies: self.at(self.agenda.now(), lambda: self._replied(drafts, replies)),
                lambda: self.at(self.agenda.now(), lambda: self._failed(drafts)),
            )
            return
        self._plan_next()

    def _plan_next(self) -> None:
        times = [self.desk.wake_at(), self._retry_at if self.desk.outbox else None]
        for time in times:
            if time is not None:
                self._plan(max(time, self.agenda.now()))
        if self._inbox:
            self._plan(self.agenda.now())

    def _replied(self, drafts: list[tuple[Draft, Who, Request]], replies: list[Wire]) -> None:
        self._exchanging = False
        self._turn_at = None
        self._retry_at, self._retry_after = 0.0, RETRY_FIRST
        for (draft, _, _), reply in zip(drafts, replies, strict=True):
            self.desk.replied(draft, reply, self.agenda.now())
        self._plan_next()

    def _failed(self, drafts: list[tuple[Draft, Who, Request]]) -> None:
        self._exchanging = False
        self._turn_at = None
        self.desk.failed([draft for draft, _, _ in drafts], Away(), self.agenda.now())
        self._retry_at = self.agenda.now() + self._retry_after
        self._retry_after = min(RETRY_MOST, 2 * self._retry_after)
        self._plan_next()

    # Reading

    def _fetch(self, t0: int) -> None:
        weather, agenda = self.weather, self.agenda
        span = agenda.between(weather.reading)
        look_after = span * agenda.dice.random()
        answer: list[object] = [UsageError("too slow")]

        def look() -> None:
            if agenda.happens(weather.failed_readings):
                answer[0] = UsageError("it failed")
            elif self._answer is not None and agenda.happens(weather.cached_readings):
                answer[0] = self._answer
            else:
                answer[0] = self._answer = self.provider.usage()

        if span < SOURCE_TIMEOUT:
            agenda.after(look_after, look)
        self.at(agenda.now() + min(span, SOURCE_TIMEOUT), lambda: self.post(outcome_of(t0, answer[0])))

    # Callers

    def want(self, box: Box, kind: Kind, timeout: float | None, lane: str = DEFAULT) -> Want:
        """Return what a caller wants, as a guard makes it."""
        seat = f"{self.name}.{next(self._names):x}"
        now = self.agenda.now()
        deadline = None if timeout is None else now + timeout
        return Want(box, seat, seat, lane, kind, self.policy, now, deadline, join=timeout != 0)

    def holds_already(self) -> Reservation:
        """Return a hold whose call runs already; the next reading covers it."""
        now = self.agenda.now()
        booking = Booking(self.mint(), DEFAULT, Kind.HOLD, self.policy, now, deadline=now, settle_at=now, placed=True)
        self.desk.own.add(booking)
        [entry] = self.desk.own.entries([booking], now)
        self.ledger.book.reservations.listed(self.name, entry, int(now * 1000))
        reservation = Reservation(booking, ACCOUNT, self.post, self.agenda)
        self.reservations.append(reservation)
        return reservation

    def mint(self) -> str:
        """Return a name for a reservation."""
        return f"{self.name}.{next(self._names):x}"
