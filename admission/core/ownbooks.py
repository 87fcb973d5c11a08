"""A process's own books: its reservations, kept so that a ledger that lost them can be told again. No I/O, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from admission.core.messages import Booking, SayEnded, SayLeft, SayPlaced, Want
from admission.core.spans import age_ms, booking_spans, millis
from admission.ledger.requests import Ended, Entry, Leave, Placed
from admission.ledger.wire import DEFAULT, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from admission.ledger.requests import Request

    Make = Callable[[float], Request]


class OwnBooks:
    """Every reservation of this process that the ledger may have to be told of again, by id."""

    def __init__(self) -> None:
        self.bookings: dict[str, Booking] = {}

    def add(self, booking: Booking) -> None:
        """Keep what was granted."""
        self.bookings[booking.rid] = booking

    def lane_of(self, rid: str) -> str:
        """Return a reservation's lane; `default` for one that is not known."""
        booking = self.bookings.get(rid)
        return DEFAULT if booking is None else booking.lane

    def note(self, note: SayPlaced | SayLeft | SayEnded, now: float) -> Make | None:
        """Take what a holder says; return how to make the request that tells it, `None` for an unknown reservation."""
        booking = self.bookings.get(note.rid)
        if booking is None:
            return None
        match note:
            case SayPlaced():
                make = self._placed(booking, note)
            case SayLeft(rid, at, by_value):
                booking.open = False
                if by_value:
                    booking.settle_at = min(booking.settle_at, at + booking.policy.visibility_lag)
                make = _leave(rid, at, by_value=by_value)
            case SayEnded(rid, placed):
                del self.bookings[rid]
                make = _ended(rid, booking.call_id if placed else "")
        if not booking.open and not _worth_keeping(booking, now):
            self.bookings.pop(note.rid, None)
        return make

    def told_too_late(self) -> None:
        """A ledger that had lost its data admits again, and was not told of these: their slots may have gone to others.

        So their deadlines have passed: what is dialled from now on is late.
        """
        for booking in self.bookings.values():
            booking.deadline = booking.granted_at

    def call_ended(self, call_id: str) -> None:
        """Forget what was booked for a call that is over, so that a ledger that loses its data does not hear of it."""
        for booking in [one for one in self.bookings.values() if one.call_id == call_id and not one.open]:
            del self.bookings[booking.rid]

    @staticmethod
    def _placed(booking: Booking, note: SayPlaced) -> Make:
        settle_at = note.at + booking.policy.visibility_lag
        booking.placed = True
        booking.late = booking.late or note.late
        booking.call_id = note.call_id or booking.call_id
        booking.settle_at = settle_at if note.late else min(booking.settle_at, settle_at)
        booking.open = booking.open and not note.leaving
        timeout, lag, _ = booking_spans(booking.policy)

        def make(now: float) -> Request:
            age, claimed = age_ms(now - note.at), age_ms(now - booking.granted_at)
            left = max(1, millis(booking.until - now))
            late, leaving = int(note.late), int(note.leaving)
            return Placed(
                booking.rid,
                age,
                late,
                leaving,
                booking.call_id,
                booking.lane,
                int(booking.kind),
                claimed,
                timeout,
                lag,
                left,
            )

        return make

    def drop_settled(self, now: float) -> None:
        """Forget what was left and need not be told again."""
        settled = [rid for rid, b in self.bookings.items() if not b.open and not _worth_keeping(b, now)]
        for rid in settled:
            del self.bookings[rid]

    def must_be_heard(self, now: float) -> bool:
        """Whether a block is open, or was left so that its dial may still be accepted, as after an error.

        What was accepted before a ledger lost its data, a new epoch waits for; this it must be told of.
        """
        return any(b.open or now < b.settle_at - b.policy.visibility_lag for b in self.bookings.values())

    def to_list(self, now: float) -> list[Booking]:
        """Return what every beat lists: place blocks whose dial may still come, and holds that were placed late."""
        return [b for b in self.bookings.values() if b.may_still_dial(now) or (b.late and b.open)]

    def entries(self, listed: Iterable[Booking], now: float) -> tuple[Entry, ...]:
        """Return these reservations as a beat lists them, less those that are gone meanwhile."""
        return tuple(_entry(booking, now) for booking in listed if booking.rid in self.bookings)

    @staticmethod
    def acknowledged(listed: Iterable[Booking], sent_at: float, heard_at: float) -> None:
        """A beat sent at `sent_at` was acknowledged at `heard_at`: the deadlines of open place blocks move along.

        One that had passed by then has passed for good: its slot may have gone to another caller, so a dial is late.
        The same is so of a beat that is acknowledged after the settle time: it may have come too late to keep the slot.
        """
        for booking in listed:
            in_time = sent_at <= booking.deadline and heard_at <= booking.deadline + booking.policy.visibility_lag
            if booking.may_still_dial(sent_at) and in_time:
                booking.deadline = max(booking.deadline, sent_at + booking.policy.placement_timeout)
                booking.settle_at = max(booking.settle_at, booking.deadline + booking.policy.visibility_lag)


def granted(want: Want, granted_at: float) -> Booking:
    """Return the booking of a claim that was granted at `granted_at`."""
    deadline = granted_at + want.policy.placement_timeout
    settle_at = deadline + want.policy.visibility_lag
    return Booking(want.rid, want.lane, want.kind, want.policy, granted_at, deadline, settle_at)


def _worth_keeping(booking: Booking, now: float) -> bool:
    """Whether a reservation that was left must be booked again if the ledger loses it."""
    tracked = booking.kind is Kind.TRACK and booking.placed and now < booking.until
    return tracked or now < booking.settle_at


def _leave(rid: str, at: float, *, by_value: bool) -> Make:
    return lambda now: Leave(rid, age_ms(now - at), int(by_value))


def _ended(rid: str, call_id: str) -> Make:
    return lambda _: Ended(rid, call_id)


def _entry(booking: Booking, now: float) -> Entry:
    timeout, lag, _ = booking_spans(booking.policy)
    return Entry(
        rid=booking.rid,
        lane=booking.lane,
        kind=int(booking.kind),
        claimed=age_ms(now - booking.granted_at),
        timeout=timeout,
        lag=lag,
        placed=int(booking.placed),
        open=int(booking.open),
        settle=timeout + lag if booking.may_still_dial(now) else millis(booking.settle_at - now),
        left=max(1, millis(booking.until - now)),
        call_id=booking.call_id,
    )
