"""The dialers of one process: each takes a lead, waits for a line, places the call and stays until it is over."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from admission.cli.demo.phone import PhoneError
from admission.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from admission.aguard import AsyncGuard
    from admission.cli.demo.phone import Phone
    from admission.cli.demo.settings import Settings

LOOK_EVERY = 0.2
"""Seconds between two looks whether the other side has hung up."""
BETWEEN_LEADS = 0.05, 0.3
"""Seconds from one lead to the next."""


@dataclass(slots=True)
class Counts:
    """What the dialers of one process have met with.

    Attributes:
        waiting: Those that wait for a line now.
        calling: Those that are on the phone now.
        admitted: Leads that got a line.
        refused: Leads that were given back for want of one.
        failed: Calls of which something went wrong on the way.
        rechecks: Times that an unguarded dialer found the count at the limit.
        admissions: Of each admitted lead, when on the machine's monotonic clock, and how many seconds it had waited.
    """

    waiting: int = 0
    calling: int = 0
    admitted: int = 0
    refused: int = 0
    failed: int = 0
    rechecks: int = 0
    admissions: list[tuple[float, float]] = field(default_factory=list)


class Dialers:
    """Dialers that work until they are told to stop.

    Args:
        settings: The demo's.
        phone: What they call with.
        seed: Of this process's randomness.
    """

    def __init__(self, settings: Settings, phone: Phone, seed: str) -> None:
        self.settings = settings
        self.phone = phone
        self.counts: Counts = Counts()
        self.stopping: asyncio.Event = asyncio.Event()
        self._seed = seed
        self._waiting: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, workers: int) -> None:
        """Let so many dialers begin."""
        for number in range(workers):
            rng = random.Random(f"dialer {self._seed} {number}")  # noqa: S311 - a simulation, no secret
            self._tasks.append(asyncio.create_task(self._work(rng)))

    async def run(self) -> None:
        """Wait until `stopping` is set, or a dialer fails; then hang up, and see everybody leave."""
        stopped = asyncio.create_task(self.stopping.wait())
        try:
            done, _ = await asyncio.wait([stopped, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self.stopping.set()
            for task in self._waiting:
                task.cancel()
            await asyncio.gather(stopped, *self._tasks, return_exceptions=True)

    async def pause(self, seconds: float) -> None:
        """Let time pass, but not after everybody was told to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    async def _work(self, rng: random.Random) -> None:
        await self.pause(rng.uniform(*BETWEEN_LEADS))
        while not self.stopping.is_set():
            try:
                await self.serve_lead(rng)
            except Refused:
                self.counts.refused += 1
            except (PhoneError, Unavailable):
                self.counts.failed += 1
            await self.pause(rng.uniform(*BETWEEN_LEADS))

    async def serve_lead(self, rng: random.Random) -> None:
        """Wait for a line, and call."""
        raise NotImplementedError

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The running dialer waits for a line in this block; when all are told to stop, it just goes."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - dialers are tasks
        self._waiting.add(task)
        self.counts.waiting += 1
        try:
            yield
        finally:
            self._waiting.discard(task)
            self.counts.waiting -= 1

    async def call(self, rng: random.Random, waited: float, placed: Callable[[str], None]) -> None:
        """Place a call and stay until it is over: either side may hang up.

        Args:
            rng: The dialer's.
            waited: Seconds that the lead waited for its line.
            placed: Told the call's id once the provider has accepted it.
        """
        self.counts.admitted += 1
        self.counts.admissions.append((time.monotonic(), waited))
        self.counts.calling += 1
        talk = rng.uniform(self.settings.call_least, self.settings.call_most)
        we_hang_up = rng.random() < 0.5  # noqa: PLR2004 - one half
        try:
            call_id = await self.phone.dial(None if we_hang_up else talk)
            placed(call_id)
            if we_hang_up:
                await self.pause(talk)
            while not self.stopping.is_set() and not we_hang_up and not await self.phone.is_over(call_id):
                await self.pause(LOOK_EVERY)
            if we_hang_up or self.stopping.is_set():
                await self.phone.hang_up(call_id)
        finally:
            self.counts.calling -= 1


class GuardedDialers(Dialers):
    """Dialers that hold a slot as long as they call.

    Args:
        settings: The demo's.
        phone: What they call with.
        seed: Of this process's randomness.
        guard: Whom they ask.
    """

    def __init__(self, settings: Settings, phone: Phone, seed: str, guard: AsyncGuard) -> None:
        super().__init__(settings, phone, seed)
        self._guard = guard

    async def serve_lead(self, rng: random.Random) -> None:
        """Wait for a slot, and hold it as long as the call lives."""
        async with AsyncExitStack() as stack:
            with self.waiting():
                block = self._guard.hold(timeout=self.settings.patience)
                reservation = await stack.enter_async_context(block)
            await self.call(rng, reservation.waited, reservation.placed)
            reservation.ended()
