"""Crowds on real time: callers of both colours on several guards of one ledger, interrupted at random moments.

Threads are hit by exceptions that another thread sets in them, as RQ's timers do it; tasks are cancelled. Beside them
are callers whom nobody interrupts, and who must not notice.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import random
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from admission import AsyncGuard, CallRejected, Guard, MemoryLedger, Policy, RedisLedger, Saturated, Usage
from tests.guards.interrupts import Alarm
from tests.storm.noise import Noise, strangers
from tests.storm.points import place_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.storm.singles import Tally

TIGHT, ROOMY = 3, 60
"""Lines of an account where callers wait, and of one where they ask by themselves."""
POLICY = Policy(
    visibility_lag=0.05, placement_timeout=0.4, refresh_interval=0.1, max_staleness=5, timeout=20, lease_ttl=20
)
PATIENCE = 30.0
"""Real seconds for what must come."""


class Account:
    """A provider without calls of its own, and a ledger of which several guards are made.

    Attributes:
        faults: What must not be.
        dialled: How often somebody dialled.
    """

    timeout = 2.0

    def __init__(self, limit: int, url: str | None = None, name: str = "storm") -> None:
        self.limit = limit
        self.url = url
        self.name = f"{name}-{limit}"
        self.ledger = MemoryLedger() if url is None else RedisLedger(url)
        self.watcher = Guard(self, self.ledger, account=self.name, policy=replace(POLICY, placement_timeout=60))
        self.dialled = 0
        self.faults: list[str] = []

    def __repr__(self) -> str:
        return f"{'memory' if self.url is None else 'redis'}, {self.limit} lines"

    def fetch(self) -> Usage:
        return Usage(self.limit, 0)

    async def afetch(self) -> Usage:
        return Usage(self.limit, 0)

    def guard(self, kind):
        """Return one more guard of this account."""
        return kind(self, self.ledger, account=self.name, policy=POLICY)

    def dial(self, reservation) -> None:
        """Dial: there must be a claim. In memory anybody may look; elsewhere `watch` does."""
        self.dialled += 1
        if self.url is None:
            book = self.ledger.clerk().store._books[self.name]
            if reservation.id not in book.reservations.facts:
                self.faults.append(f"{reservation!r} dials without a claim")

    def look(self) -> None:
        """The books must not have more than the limit, at any moment."""
        status = self.watcher.status()
        if status.in_use > self.limit:
            self.faults.append(f"more are booked than may be: {status}")

    def ends_clean(self) -> list[str]:
        """Wait until all is quiet; return what is not in order then."""
        gc.collect()
        faults, self.faults = self.faults, []
        end = time.monotonic() + PATIENCE
        status = self.watcher.refresh()
        while (status.in_use, status.waiting) != (0, 0):
            if time.monotonic() > end:
                return [*faults, f"a slot or a seat is lost: {status}"]
            time.sleep(0.02)
            status = self.watcher.refresh()
        taken = []
        with suppress(Saturated):
            while True:
                taken.append(self.watcher.acquire(timeout=0))
        if len(taken) != self.limit:
            faults.append(f"{len(taken)} of {self.limit} slots are free")
        for reservation in taken:
            reservation.ended()
        self.watcher.status()
        for desk in list(self.ledger.clerk()._desks.values()):
            kept = {
                "wants": list(desk.callers.wants),
                "open bookings": [booking.rid for booking in desk.own.bookings.values() if booking.open],
                "watchers": desk.reader.watchers,
            }
            faults += [f"a desk has {name}: {what}" for name, what in kept.items() if what]
        return faults

    def open(self) -> None:
        """Wait until the first reading admits."""
        self.watcher.acquire(timeout=PATIENCE).ended()

    def close(self) -> None:
        self.watcher.close()


# What callers do. An error of their own is theirs.


def dial_in_a_thread(account: Account, guard: Guard, dice: random.Random) -> None:
    timeout = dice.choice([0, 0.05, 0.3, 1.0])
    lasts = dice.choice([0, 0, 0.001, 0.01])

    def call():
        if dice.random() < 0.1:
            raise CallRejected
        if lasts:
            time.sleep(lasts)

    with suppress(Saturated, CallRejected):
        match dice.randrange(5):
            case 0:
                with guard.hold(timeout=timeout) as reservation:
                    account.dial(reservation)
                    call()
                    reservation.placed("call")
                    reservation.ended()
            case 1:
                with guard.place(timeout=timeout) as reservation:
                    account.dial(reservation)
                    call()
            case 2:
                guard.place(timeout=timeout)(call)()
            case 3:
                reservation = guard.acquire(timeout=timeout)
                account.dial(reservation)
                reservation.ended()
            case _:
                with guard.hold(timeout=timeout) as outer, guard.place(timeout=0.05) as inner:
                    account.dial(outer)
                    account.dial(inner)


async def dial_in_a_task(account: Account, guard: AsyncGuard, dice: random.Random) -> None:
    timeout = dice.choice([0, 0.05, 0.3, 1.0, None])
    lasts = dice.choice([0, 0, 0.001, 0.01])

    async def call():
        if dice.random() < 0.1:
            raise CallRejected
        await asyncio.sleep(lasts)

    with suppress(Saturated, CallRejected, TimeoutError):
        match dice.randrange(6):
            case 0:
                async with guard.hold(timeout=timeout) as reservation:
                    account.dial(reservation)
                    await call()
                    reservation.placed("call")
                    reservation.ended()
            case 1:
                async with guard.place(timeout=timeout) as reservation:
                    account.dial(reservation)
                    await call()
            case 2:
                await guard.place(timeout=timeout)(call)()
            case 3:
                reservation = await guard.acquire(timeout=timeout)
                account.dial(reservation)
                reservation.ended()
            case 4:
                async with asyncio.timeout(dice.choice([0.001, 0.01, 0.1])), guard.hold(timeout=timeout) as reservation:
                    account.dial(reservation)
                    await call()
            case _:
                async with guard.hold(timeout=timeout) as outer, guard.place(timeout=0.05) as inner:
                    account.dial(outer)
                    account.dial(inner)


class Victim:
    """A caller that is interrupted, one exception after the other.

    Attributes:
        due: Whether an exception is on its way.
    """

    def __init__(self, kind: str, tally: Tally) -> None:
        self.kind = kind
        self.due = False
        self._tally = tally

    def caught(self, error: BaseException) -> None:
        """An exception came through to the caller."""
        self._tally.struck[self.kind, place_of(error)] += 1
        error.__traceback__ = None
        self.due = False


class ThreadVictim(Victim):
    """A thread; what hits it is set by another."""

    def __init__(self, account, guard, seed, stop, tally):
        super().__init__("an exception set in a thread", tally)
        self._account, self._guard, self._stop = account, guard, stop
        self._dice = random.Random(seed)
        self.thread = threading.Thread(target=self._live, name="victim", daemon=True)
        self.thread.start()

    def hit(self, error: type[BaseException]) -> None:
        self.due = True
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread.ident), ctypes.py_object(error))

    def _live(self):
        # Another one may come as soon as the one before was taken, so in the handler itself.
        while not self._done():
            try:
                self._work()
            except HITS as error:
                self.caught(error)

    def _work(self):
        while not self._done():
            try:
                dial_in_a_thread(self._account, self._guard, self._dice)
            except HITS as error:
                self.caught(error)

    def _done(self):
        return self._stop.is_set() and not self.due


HITS = (Alarm, KeyboardInterrupt)


class TaskVictim(Victim):
    """A task that is cancelled."""

    def __init__(self, account, guard, seed, stop, tally):
        super().__init__("a cancelled task", tally)
        self._account, self._guard, self._stop = account, guard, stop
        self._dice = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self.task = self._loop.create_task(self._live())

    def hit(self, _error: type[BaseException]) -> None:
        self.due = True
        self._loop.call_soon_threadsafe(self.task.cancel)

    async def _live(self):
        while not self._stop.is_set() or self.due:
            try:
                await dial_in_a_task(self._account, self._guard, self._dice)
                await asyncio.sleep(0)
            except asyncio.CancelledError as error:
                self.task.uncancel()
                self.caught(error)


@contextmanager
def bystander(account: Account, faults: list[str]) -> Iterator[None]:
    """A caller whom nobody interrupts."""

    def live():
        guard = account.guard(Guard)
        while not stop.is_set():
            try:
                with guard.hold(timeout=PATIENCE) as reservation:
                    account.dial(reservation)
                    reservation.ended()
                account.look()
            except BaseException as error:  # noqa: BLE001 - whatever it is
                faults.append(f"another caller got {error!r}")
            time.sleep(0.002)
        guard.close()

    stop = threading.Event()
    thread = threading.Thread(target=live, name="bystander", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE + 5)
        if thread.is_alive():
            faults.append("another caller still waits")


def storm(account: Account, seed: int, seconds: float, noise: Noise, tally: Tally) -> None:
    """Let a crowd live for a while and interrupt it at random moments; then everything must be in order."""
    dice = random.Random(seed)
    stop = threading.Event()
    faults: list[str] = []
    plain = [account.guard(Guard) for _ in range(2)]
    victims: list[ThreadVictim | TaskVictim] = []
    threads = [ThreadVictim(account, dice.choice(plain), dice.random(), stop, tally) for _ in range(5)]
    ready = threading.Event()

    async def tasks():
        noise.on(asyncio.get_running_loop())
        async with account.guard(AsyncGuard) as one, account.guard(AsyncGuard) as other:
            here = [TaskVictim(account, dice.choice([one, other]), dice.random(), stop, tally) for _ in range(8)]
            victims.extend(here)
            ready.set()
            await asyncio.gather(*(victim.task for victim in here))
        faults.extend(strangers())

    loop = threading.Thread(target=lambda: asyncio.run(tasks()), name="loop", daemon=True)
    with bystander(account, faults):
        loop.start()
        ready.wait(PATIENCE)
        victims.extend(threads)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            victim = dice.choice(victims)
            if not victim.due:
                victim.hit(dice.choice(HITS))
            time.sleep(dice.choice([0, 0.0002, 0.001, 0.003]))
        stop.set()
        for thread in [*(victim.thread for victim in threads), loop]:
            thread.join(PATIENCE)
            if thread.is_alive():
                faults.append(f"{thread} goes on; an exception has not come through to it, or it waits for ever")
    for guard in plain:
        guard.close()
    victims.clear()
    threads.clear()
    faults += account.ends_clean()
    faults += [heard for heard in noise.take() if not is_pythons_own(heard)]
    tally.faults += [f"crowd, {account}, seed {seed}: {one}" for one in faults]


def is_pythons_own(heard: str) -> bool:
    """Whether an exception came in a finaliser, where Python drops it, or as redis-py had just shut a socket down."""
    dropped = heard.startswith("unraisable: ") and any(error.__name__ in heard for error in HITS)
    return dropped or (heard.startswith("ResourceWarning: unclosed <socket") and "raddr" not in heard)


__all__ = ["Account", "storm"]
