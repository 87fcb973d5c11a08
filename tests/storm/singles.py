"""Every moment once: a caller on an account of its own is interrupted there, and then everything must be in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import types
from collections import Counter
from typing import TYPE_CHECKING

from admission import clerk
from admission.core import plans
from tests.guards.colours import Tasks, Threads
from tests.guards.interrupts import Alarm
from tests.storm.noise import Noise, strangers
from tests.storm.points import Points, place_of
from tests.storm.ways import POLICY, SETTLE, WAYS, Play, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STEP = 0.3
"""Virtual seconds at a time: less than a beat, so that what is extended by beats is."""
LOOK = 0.0002


class QuickThreads(Threads):
    """Threads that look more often."""

    async def look(self):
        time.sleep(LOOK)


class QuickTasks(Tasks):
    """Tasks that look more often."""

    async def look(self):
        await asyncio.sleep(LOOK)


class Tally:
    """What a storm has done and found.

    Attributes:
        struck: Interruptions, by kind and place.
        kept: Interruptions after which a reservation was kept by the exception's traceback, by kind and place.
        faults: What was found.
    """

    def __init__(self, *, go_on: bool = True) -> None:
        self._go_on = go_on
        self.struck: Counter[tuple[str, str]] = Counter()
        self.kept: Counter[tuple[str, str]] = Counter()
        self.faults: list[str] = []

    @property
    def done(self) -> bool:
        """Whether the first fault is enough, and was found."""
        return not self._go_on and bool(self.faults)


class Strike:
    """How a caller is interrupted: `async with` it around the caller.

    Attributes:
        kind: Its name in figures.
        raised: What came, once it did.
        errors: What the caller may end with, besides `raised` itself.
    """

    kind = "undisturbed"
    at: object = None
    raised: BaseException | None = None
    errors: tuple[type[BaseException], ...] = ()

    async def run(self, play: Play, way: Way) -> None:
        """Run the way and interrupt it."""
        await way.go(play)


class SignalStrike(Strike):
    """An exception at one point of the package's code, as a signal raises it."""

    def __init__(self, at, error):
        self.at = at
        self.error = error
        self.kind = f"{error.__name__} by a signal"
        self.points = Points(at, error)

    async def run(self, play, way):
        try:
            with self.points:
                await way.go(play)
        finally:
            # Frames that live on, of generators, know the points: they must not keep what came.
            self.raised, self.points.raised = self.points.raised, None


class CancelStrike(Strike):
    """A cancellation at the how many-th suspension of a task, in one of several manners."""

    errors = (asyncio.CancelledError,)

    def __init__(self, at, manner):
        self.at = at
        self.manner = manner
        self.kind = f"cancelled {manner}"
        self.reached = 0
        self.came = False

    async def run(self, play, way):
        around = AROUND.get(self.manner, plainly)
        self.loop = asyncio.get_running_loop()
        self.task = self.loop.create_task(around(self, play, way))
        if self.at == 0:
            self.came = True
            self.task.cancel()
        try:
            await self.task
        except BaseException as error:
            if self.came:
                self.raised = error
            raise

    async def go(self, play, way):
        """Run the way, count its suspensions, and interrupt it at one of them."""
        self.victim = asyncio.current_task()
        await counted(way.go(play), self)

    def suspended(self, future):
        """The caller waits for `future` now."""
        self.reached += 1
        if self.manner == "twice" and self.reached == self.at + 1:
            self.victim.cancel()
        if self.reached != self.at:
            return
        self.came = True
        match self.manner:
            case "as it is woken":
                if future is None:
                    self.loop.call_soon(self.victim.cancel)
                else:
                    future.add_done_callback(lambda _: self.victim.cancel())
            case "twice":
                self.victim.cancel()
                self.loop.call_soon(self.victim.cancel)
            case "by wait_for" | "by timeout":
                time.sleep(2 * TIMEOUT)
            case "by a task group":
                self.failing.set_result(None)
            case _:
                self.victim.cancel()


TIMEOUT = 0.001
"""Real seconds after which a caller that is under way still is out of time: from its start on, so it may come early."""


@types.coroutine
def counted(coroutine, strike):
    """Await a coroutine and tell the strike of each of its suspensions."""
    error = None
    while True:
        try:
            future = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration as stop:
            return stop.value
        strike.suspended(future)
        try:
            yield future
            error = None
        except BaseException as caught:  # noqa: BLE001 - it is the coroutine's
            error = caught


async def plainly(strike, play, way):
    await strike.go(play, way)


async def by_wait_for(strike, play, way):
    try:
        await asyncio.wait_for(strike.go(play, way), TIMEOUT)
    except TimeoutError:
        strike.came = True
        raise asyncio.CancelledError from None


async def by_timeout(strike, play, way):
    try:
        async with asyncio.timeout(TIMEOUT):
            await strike.go(play, way)
    except TimeoutError:
        strike.came = True
        raise asyncio.CancelledError from None


async def by_a_task_group(strike, play, way):
    async def fail():
        await strike.failing
        raise ZeroDivisionError

    strike.failing = asyncio.get_running_loop().create_future()
    try:
        async with asyncio.TaskGroup() as group:
            failing = group.create_task(fail())
            await group.create_task(strike.go(play, way))
            failing.cancel()
    except ExceptionGroup:
        raise asyncio.CancelledError from None


AROUND = {"by wait_for": by_wait_for, "by timeout": by_timeout, "by a task group": by_a_task_group}
MANNERS = ["at once", "as it is woken", "twice", *AROUND]


async def struck(colour, way: Way, strike: Strike, noise: Noise, tally: Tally) -> bool:  # noqa: PLR0912 - step by step
    """Interrupt a way once, and check everything; return whether the interruption came."""
    play = Play(colour, way.limit)
    stage = play.stage
    label = f"{colour.name}, {way.name}, {strike.kind} at {strike.at}"
    holder = None
    if way.taken:
        other = stage.guard if way.taken == "same" else stage.another(colour)
        holder = await other.acquire(timeout=60)
    helper = stage.start(_around(play, way, holder))
    error = None
    try:
        await strike.run(play, way)
    except BaseException as caught:  # noqa: BLE001 - whatever came of it
        error = caught
    finally:
        play.over = True
    came = strike.raised is not None
    if error is not None and error is not strike.raised and not isinstance(error, strike.errors):
        play.faults.append(f"the caller got {error!r}")
    key = strike.kind, place_of(strike.raised) if came else ""
    if came and error is None and not _is_callers_own(strike.raised, key[1], noise):
        play.faults.append("the exception did not reach the caller")
    await _finish(play, helper, holder)
    if not await _is_empty(play):
        # Whoever keeps the exception keeps the block that it came through; but not for ever.
        tally.kept[key] += 1
        await _pass(play, POLICY["max_call_duration"])
        if not await _is_empty(play):
            play.faults.append(f"a slot is kept for as long as the exception is: {await stage.guard.status()}")
    error = strike.raised = None
    gc.collect(0)
    if not await _is_empty(play):
        gc.collect()
        if not await _is_empty(play):
            play.faults.append(f"not in order: {await stage.guard.status()}")
    if await stage.claimable() != way.limit:
        play.faults.append("a slot is lost")
    await _pass(play, 2 * STEP)
    if list(_left(play)):
        # A call that may be up counts for its lane until it is told to be over, or can be up no longer.
        gc.collect()
        await _pass(play, POLICY["max_call_duration"] if way.tracks else SETTLE)
    play.faults += _left(play)
    if way.taken == "other":
        await other.close()
    await stage.guard.close()
    play.faults += [*noise.take(), *await _strangers(play)]
    tally.faults += [f"{label}: {fault}" for fault in play.faults]
    if came:
        tally.struck[key] += 1
    return came


def _is_callers_own(error: BaseException, place: str, noise: Noise) -> bool:
    """Whether an `Exception` came while the caller's own `call_id` or `rejected` ran: then it is logged as theirs."""
    logged = [heard for heard in noise.heard if repr(error) in heard and "failed" in heard]
    if place not in CALLERS_OWN or not isinstance(error, Exception) or len(logged) != 1:
        return False
    noise.heard.remove(logged[0])
    return True


CALLERS_OWN = {"base.py:BlockBase._bind_call_id", "base.py:GuardBase._rejected.<locals>.rejected"}


async def _around(play: Play, way: Way, holder) -> list[float]:
    """What happens beside the caller: somebody else gets in line, the slot comes free, time passes."""
    stage = play.stage
    bystander = None
    if holder is not None:
        await play.when(lambda: play.waiting == 1 or play.over)
        bystander = stage.start(_bystand(play))
        await play.when(lambda: play.waiting == (1 if play.over else 2) or (play.over and bystander.done))
        if not way.ticks:
            holder.cancel()
    while way.ticks and not play.over:
        stage.clock.advance(STEP)
        await stage.guard.status()
        await stage.colour.look()
    return [bystander]


async def _bystand(play: Play) -> float:
    """Wait in line as well; return how long that took."""
    reservation = await play.stage.guard.acquire(timeout=60)
    reservation.cancel()
    return reservation.waited


async def _finish(play: Play, helper, holder) -> None:
    """Let whatever goes on come to its end: the other caller is admitted as soon as the rule allows."""
    (bystander,) = await helper.result()
    if holder is not None:
        holder.cancel()
        steps = 0
        while not bystander.done:
            await play.stage.guard.status()
            await play.stage.colour.look()
            steps += 1
            if steps % 10 == 0:
                play.stage.clock.advance(STEP)
            if steps > 400:
                play.faults.append("another caller still waits")
                return
        await bystander.result()


async def _pass(play: Play, seconds: float) -> None:
    for _ in range(int(seconds / STEP) + 1):
        play.stage.clock.advance(STEP)
        await play.stage.guard.status()


async def _is_empty(play: Play) -> bool:
    """Let what is booked settle and read the provider; return whether nothing is booked and nobody waits."""
    await _pass(play, SETTLE)
    status = await play.stage.read()
    return (status.in_use, status.waiting) == (0, 0)


def _left(play: Play) -> Iterator[str]:
    """Tell of what the ledger or a desk still has, once all is quiet."""
    book = play.book
    for name, kept in {
        "seats": book.line.seats,
        "offers": book.line.offers,
        "bookings": book.reservations.facts,
    }.items():
        if kept:
            yield f"the book has {name}: {kept}"
    for desk in list(play.stage.ledger.clerk()._desks.values()):
        for name, kept in {
            "wants": desk.callers.wants,
            # Those that were left go with a later beat.
            "open bookings": [booking for booking in desk.own.bookings.values() if booking.open],
            "watchers": desk.reader.watchers,
            "requests": [*desk.outbox],
        }.items():
            if kept:
                yield f"a desk has {name}: {kept}"


async def _strangers(play: Play) -> list[str]:
    """Tell of who does not go; whoever is on the way out has a moment."""
    left: list[str] = []
    for _ in range(50):
        left = list(strangers())
        if not left:
            return left
        await play.stage.colour.look()
    return left


# All moments of a way


async def by_signals(colour, way: Way, noise: Noise, tally: Tally, *, errors, times: int, pick=lambda points: points):
    """Interrupt a way at every point of the package's code, at the first `times` times of each."""
    noise.unawaited = True
    dry = SignalStrike(None, RuntimeError)
    points = dry.points
    await struck(colour, way, dry, noise, tally)
    for number, point in enumerate(pick(points.all(times))):
        if tally.done:
            return
        for error in errors if len(errors) == 1 or times > 1 else [errors[number % len(errors)]]:
            await struck(colour, way, SignalStrike(point, error), noise, tally)


async def by_cancelling(colour, way: Way, noise: Noise, tally: Tally, manner: str):
    """Cancel a way at each of its suspensions."""
    noise.unawaited = False
    at = 0
    while True:
        strike = CancelStrike(at, manner)
        came = await struck(colour, way, strike, noise, tally)
        if tally.done or (at and (not came or strike.reached < at)):
            return
        at += 1


SIGNALS = [Alarm, KeyboardInterrupt]


@contextlib.contextmanager
def listening() -> Iterator[Noise]:
    """Listen to noise; the ledgers' threads end and begin again all the time.

    Who asks without waiting gets an answer, not an error, where this process gets no processor for a second.
    """
    idle, clerk.IDLE = clerk.IDLE, 0.01
    grace, plans.GRACE = plans.GRACE, 30.0
    try:
        with Noise() as noise:
            yield noise
    finally:
        clerk.IDLE, plans.GRACE = idle, grace


def run_on(colour, scenario: Callable) -> None:
    """Run a scenario that takes the noise, on a loop whose own noise is heard too."""

    async def main():
        with listening() as noise:
            if colour.tasks:
                noise.on(asyncio.get_running_loop())
            await scenario(noise)

    colour.run(main())


COLOURS = {"threads": QuickThreads(), "tasks": QuickTasks()}

__all__ = ["COLOURS", "MANNERS", "SIGNALS", "WAYS", "Tally", "by_cancelling", "by_signals", "run_on", "struck"]
