"""Ways of callers that the storm interrupts, each written once for both colours, as the scenarios of `tests.guards`."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

from admission import CallRejected, Saturated, current_reservation
from tests.guards.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from admission import Reservation

POLICY = {"placement_timeout": 1.0, "visibility_lag": 0.25, "refresh_interval": 0.5, "max_call_duration": 6.0}
SETTLE = POLICY["placement_timeout"] + POLICY["visibility_lag"]


class Play:
    """One way on a stage of its own, with what is checked while it goes on.

    Attributes:
        stage: Its account.
        dialled: The reservations under which something was dialled.
        faults: What must not be.
        over: Whether the caller is done, in whatever way.
        refusals: Refusals of the provider that are still to come.
    """

    def __init__(self, colour: object, limit: int) -> None:
        self.stage = Stage(colour, limit, policy=POLICY)
        self.limit = limit
        self.dialled: list[str] = []
        self.faults: list[str] = []
        self.over = False
        self.refusals: list[BaseException] = []

    @property
    def guard(self) -> object:
        return self.stage.guard

    @property
    def book(self) -> object:
        """The account's book, to look into."""
        return self.stage.ledger.clerk().store._books.get("acme")

    @property
    def waiting(self) -> int:
        return len(self.book.line.seats) if self.book else 0

    async def dial(self, reservation: Reservation) -> None:
        """Dial, as whoever was admitted does: there must be a claim."""
        self.dialled.append(reservation.id)
        if reservation.id not in self.book.reservations.facts:
            self.faults.append(f"{reservation!r} dials without a claim")
        if self.stage.colour.tasks:
            await asyncio.sleep(0)

    async def when(self, condition: Callable[[], bool]) -> None:
        await self.stage.until(condition)


# A slot is free


async def hold(play):
    async with play.guard.hold(timeout=60) as reservation:
        await play.dial(reservation)
        reservation.placed("call-1")
        reservation.ended()


async def bare_hold(play):
    async with play.guard.hold(timeout=60) as reservation:
        await play.dial(reservation)


async def place(play):
    async with play.guard.place(timeout=60) as reservation:
        await play.dial(reservation)


async def place_cancelled(play):
    async with play.guard.place(timeout=60) as reservation:
        reservation.cancel()


async def place_failed(play):
    with contextlib.suppress(ZeroDivisionError):
        async with play.guard.place(timeout=60) as reservation:
            await play.dial(reservation)
            raise ZeroDivisionError


async def place_refused(play):
    with contextlib.suppress(CallRejected):
        async with play.guard.place(timeout=60) as reservation:
            await play.dial(reservation)
            raise CallRejected


def dialler(play):
    async def call():
        await play.dial(current_reservation())
        if play.refusals:
            raise play.refusals.pop()
        return "call-1"

    return call


async def decorated(play):
    assert await play.guard.place(timeout=60, call_id=str)(dialler(play))() == "call-1"


async def tracked(play):
    assert await play.guard.place(timeout=60, track=True, call_id=str)(dialler(play))() == "call-1"
    await play.guard.call_ended("call-1")


async def refused_once(play):
    play.refusals.append(CallRejected())
    await play.guard.place(timeout=60)(dialler(play))()


async def refused_in_a_hold(play):
    play.refusals.append(CallRejected())
    with contextlib.suppress(CallRejected):
        await play.guard.hold(timeout=60)(dialler(play))()


async def acquired(play):
    reservation = await play.guard.acquire(timeout=60)
    await play.dial(reservation)
    reservation.placed("call-1")
    reservation.release()


async def at_once(play):
    reservation = await play.guard.acquire(timeout=0)
    reservation.cancel()


async def nested(play):
    async with play.guard.hold(timeout=60) as outer:
        await play.dial(outer)
        async with play.guard.place(timeout=60) as inner:
            await play.dial(inner)


async def told(play):
    await play.guard.call_started("call-2")
    await play.guard.call_ended("call-2")
    await play.guard.status()
    await play.guard.refresh()


# All slots are taken, and somebody else stands in line behind


async def in_line(play):
    async with play.guard.place(timeout=60) as reservation:
        await play.dial(reservation)


async def decorated_in_line(play):
    await play.guard.place(timeout=60, call_id=str)(dialler(play))()


async def acquired_in_line(play):
    reservation = await play.guard.acquire(timeout=60)
    await play.dial(reservation)
    reservation.ended()


async def out_of_time(play):
    with contextlib.suppress(Saturated):
        async with play.guard.hold(timeout=1.5) as reservation:
            await play.dial(reservation)


class Way(NamedTuple):
    """What is interrupted, and what happens around it."""

    go: Callable[[Play], Awaitable[None]]
    limit: int = 1
    ticks: bool = False
    """Whether time must pass for it to end."""
    taken: str = ""
    """Who has the slot at first: a holder of the `same` guard or of an`other`; it gives it back once two stand in
    line. With `ticks`, it never does while the caller waits."""
    tracks: bool = False
    """Whether a call stays booked after its block."""

    @property
    def name(self) -> str:
        return self.go.__name__ + (f", {self.taken} guard" if self.taken else "")


WAYS = {
    way.name: way
    for way in (
        Way(hold),
        Way(bare_hold),
        Way(place),
        Way(place_cancelled),
        Way(place_failed),
        Way(place_refused),
        Way(decorated),
        Way(tracked, tracks=True),
        Way(refused_once, ticks=True),
        Way(refused_in_a_hold),
        Way(acquired),
        Way(at_once),
        Way(nested, limit=2),
        Way(told, tracks=True),
        Way(in_line, taken="same"),
        Way(in_line, taken="other"),
        Way(decorated_in_line, taken="same"),
        Way(acquired_in_line, taken="other"),
        Way(out_of_time, taken="same", ticks=True),
    )
}
