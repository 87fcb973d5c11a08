"""The line: who waits, who is offered a slot, and which processes are passed over. No I/O, no clock.

Within a lane, seats are served by score: the ledger time of their arrival in microseconds, made unique, so that a seat
that comes back with its waiting time finds its old place. An offer is a hint that its waiter must claim within
`OFFER_MS`; one that lapses goes on to the next, and the process that let it lapse is passed over until it is heard, for
a span that doubles. Whole milliseconds of ledger time.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

from admission.ledger.wire import OFFER_MS, PASS_MAX_MS

SCORES_PER_MS = 1_000


@dataclass(slots=True)
class Member:
    """A process that is heard: since when, its policy as text, and how it stands in the line."""

    since: int
    heard: int
    """When it was heard last; a silence of all moves it on, see `Book`."""
    policy: str
    asked: int = -1
    """When it last wanted to dial; -1 for never."""
    barred: bool = False
    """Its last reading failed for good (a wrong key): no duty while another asks."""
    silent: bool = False
    """It let an offer lapse and was not heard since."""
    span: int = 0
    """For how long it was passed over last."""
    passed_until: int = 0
    handed: str = ""
    """What was handed over to it and not acknowledged yet, as `HandOver` has it."""
    handed_at: int = -1
    """The number of the last of these."""

    def may_be_offered(self, now: int) -> bool:
        """Whether it is not passed over."""
        return not self.silent and now >= self.passed_until


@dataclass(slots=True)
class Seat:
    """A waiter's place in the line, and what is booked when its turn comes."""

    process: str
    lane: str
    score: int
    rid: str
    kind: int
    timeout: int
    lag: int
    duration: int


@dataclass(slots=True)
class Line:
    """All seats of one account, lane by lane in order, and the open offers."""

    seats: dict[str, Seat] = field(default_factory=dict)
    order: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """By lane, its seats by score."""
    parked: dict[str, dict[str, list[tuple[int, str]]]] = field(default_factory=dict)
    """By process and lane, the seats without an offer."""
    offers: dict[str, int] = field(default_factory=dict)
    """Seat to the end of its offer."""
    last_score: int = 0

    def __len__(self) -> int:
        return len(self.seats)

    def reset(self) -> None:
        """Forget everything, as a new epoch does."""
        for kept in (self.seats, self.order, self.parked, self.offers):
            kept.clear()
        self.last_score = 0

    def waiting(self, lane: str) -> int:
        """Return how many wait in a lane."""
        return len(self.order.get(lane, ()))

    def rank(self, seat: str) -> int:
        """Return how many are ahead of a seat in its lane."""
        place = self.seats[seat]
        return bisect_left(self.order[place.lane], (place.score, seat))

    def offers_in(self, lane: str) -> int:
        """Return how many seats of a lane have an offer."""
        return sum(self.seats[seat].lane == lane for seat in self.offers)

    def score(self, now: int, waited: int) -> int:
        """Return the score of a seat at the end of a lane, or where `waited` milliseconds of waiting put it."""
        score = (now - waited) * SCORES_PER_MS
        if not waited:
            score = self.last_score = max(self.last_score + 1, score)
        return score

    def head_score(self, lane: str, now: int) -> int:
        """Return the score of a seat before all others of a lane, those that come in the same millisecond too."""
        score = now * SCORES_PER_MS - 1
        order = self.order.get(lane)
        return min(score, order[0][0] - 1) if order else score

    def join(self, seat: str, place: Seat) -> None:
        """Take a seat."""
        self.seats[seat] = place
        insort(self.order.setdefault(place.lane, []), (place.score, seat))
        self._park(seat, place)

    def leave(self, seat: str) -> None:
        """Give a seat up, with its offer."""
        place = self.seats.pop(seat)
        entry = (place.score, seat)
        order = self.order[place.lane]
        del order[bisect_left(order, entry)]
        if not order:
            del self.order[place.lane]
        if self.offers.pop(seat, None) is None:
            self._unpark(place, entry)

    def heads(self, members: dict[str, Member], now: int) -> list[tuple[str, int, str]]:
        """Return the lanes by name, each with its first seat without an offer whose process is not passed over."""
        first: dict[str, tuple[int, str]] = {}
        for process, lanes in self.parked.items():
            if members[process].may_be_offered(now):
                for lane, seats in lanes.items():
                    first[lane] = min(first.get(lane, seats[0]), seats[0])
        return [(lane, *first[lane]) for lane in sorted(first)]

    def offer(self, seat: str, now: int) -> None:
        """Offer a slot to a seat."""
        place = self.seats[seat]
        self._unpark(place, (place.score, seat))
        self.offers[seat] = now + OFFER_MS

    def take_back(self, seat: str) -> None:
        """Withdraw an offer; the seat stays where it is."""
        del self.offers[seat]
        self._park(seat, self.seats[seat])

    def take_all_back(self, lane: str | None = None) -> None:
        """Withdraw the offers of a lane, or all."""
        for seat in [seat for seat in self.offers if lane is None or self.seats[seat].lane == lane]:
            self.take_back(seat)

    def lapse(self, members: dict[str, Member], now: int) -> None:
        """Take back what was not claimed in time, and pass its processes over."""
        lapsed = [seat for seat, until in self.offers.items() if until <= now]
        for seat in lapsed:
            self.take_back(seat)
        for process in {self.seats[seat].process for seat in lapsed}:
            member = members[process]
            member.silent = True
            member.span = min(PASS_MAX_MS, 2 * member.span or OFFER_MS)
            member.passed_until = now + member.span

    def forget_process(self, process: str) -> None:
        """Drop every seat of a process."""
        for seat in [seat for seat, place in self.seats.items() if place.process == process]:
            self.leave(seat)

    def next_at(self, members: dict[str, Member], now: int) -> int:
        """Return when time alone lets the line move, or 0."""
        times = list(self.offers.values())
        times += [
            members[process].passed_until
            for process in self.parked
            if not members[process].silent and members[process].passed_until > now
        ]
        return min(times, default=0)

    def _park(self, seat: str, place: Seat) -> None:
        insort(self.parked.setdefault(place.process, {}).setdefault(place.lane, []), (place.score, seat))

    def _unpark(self, place: Seat, entry: tuple[int, str]) -> None:
        lanes = self.parked[place.process]
        seats = lanes[place.lane]
        del seats[bisect_left(seats, entry)]
        if not seats:
            del lanes[place.lane]
            if not lanes:
                del self.parked[place.process]
