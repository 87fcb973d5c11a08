"""Who in the line gets what is free: it is offered, or handed over where the waiter's own process is speaking.

A hand-over claims for a waiter that is surely there and hears of it in its process's reply; whoever else's turn it is
is offered the slot, and woken to claim it. Whole milliseconds of ledger time; no I/O, no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.ledger.line import SCORES_PER_MS
from admission.ledger.replies import HandOver

if TYPE_CHECKING:
    from admission.ledger.lanes import LaneBook
    from admission.ledger.line import Line, Member, Seat
    from admission.ledger.room import Room
    from admission.ledger.rule import Reservations


class Serving:
    """Serves the line of one account.

    Args:
        line: Who waits.
        room: What may be claimed.
        lanes: Whose turn it is.
        reservations: What is booked.
        members: The processes that are heard.
    """

    def __init__(
        self, line: Line, room: Room, lanes: LaneBook, reservations: Reservations, members: dict[str, Member]
    ) -> None:
        self._line = line
        self._room = room
        self._lanes = lanes
        self._reservations = reservations
        self._members = members
        self.wakes: list[tuple[str, str]] = []
        """Seats to wake, with their processes: they have an offer, or wait for the pace. Whoever runs the verb takes
        them."""
        self.hinted: int = 0
        """The `next_start` of which the head of the line was told."""
        self._speaker = ""
        """The process that speaks, if slots may be handed over to its waiters."""
        self._takes_up = False
        """Whether its open offers are still to be looked at."""

    def speaks(self, process: str) -> None:
        """A process begins to speak; empty for one to whose waiters nothing may be handed over."""
        self._speaker = process
        self._takes_up = bool(process)

    def serve(self, now: int) -> None:
        """Give what is free to the lane whose turn it is."""
        line = self._line
        if self._takes_up:
            self._take_up()
        if not line.parked:
            return
        free = self._room.free(now) - len(line.offers)
        starts = self._room.starts(now) - len(line.offers)
        while free > 0 and (seat := self.next(now, free)):
            if starts <= 0:
                self._hint(seat)
                return
            place = line.seats[seat]
            if place.process == self._speaker and not self._room.unfit(place):
                self._hand_over(now, seat, place)
            else:
                line.offer(seat, now)
                self.wakes.append((place.process, seat))
            free -= 1
            starts -= 1

    def next(self, now: int, free: int) -> str | None:
        """Return the seat that is next where `free` slots are free."""
        first: tuple[int, int, int] | None = None
        found = None
        for lane, score, seat in self._line.heads(self._members, now):
            offers = self._line.offers_in(lane)
            if self._room.may_go(lane, free, offers):
                terms = self._lanes.of(lane)
                level = self._lanes.level(terms, now - score // SCORES_PER_MS)
                turn = (level, self._lanes.start(terms, level) + offers * terms.cost, score)
                if first is None or turn < first:
                    first, found = turn, seat
        return found

    def _take_up(self) -> None:
        """Take back the offers of the process that speaks, so that it is handed over what was only offered to it."""
        self._takes_up = False
        for seat in list(self._line.offers):
            place = self._line.seats[seat]
            if place.process == self._speaker and not self._room.unfit(place):
                self._line.take_back(seat)

    def _hand_over(self, now: int, seat: str, place: Seat) -> None:
        """Claim for a waiter of the process that speaks: it is surely there, and hears of it in its reply."""
        self._line.leave(seat)
        booked = self._reservations.facts.get(place.rid)
        if booked is None:
            self._room.claim(now, place.process, place, now - place.score // SCORES_PER_MS)
        member = self._members[place.process]
        member.span = 0
        member.handed_at = max(now, member.handed_at + 1)
        member.handed += HandOver(member.handed_at, seat, place.rid, booked.claimed if booked else now).text()

    def _hint(self, seat: str) -> None:
        """Only the pace holds the head of the line back: let its process learn of `next_at`, once for every start."""
        if not self._line.offers and self.hinted != self._room.next_start():
            self.hinted = self._room.next_start()
            self.wakes.append((self._line.seats[seat].process, seat))

    def next_at(self, now: int) -> int:
        """Return when time alone will free something for the line, or 0."""
        line, room = self._line, self._room
        if room.policy is None or not len(line):
            return 0
        times = [line.next_at(self._members, now)]
        if room.cooling.span and room.cooling.until > now:
            times.append(room.cooling.until)
        if room.agreed.pace and room.next_start() // 1000 > now and line.parked and room.free(now):
            times.append(room.next_start() // 1000)
        return min((time for time in times if time), default=0)
