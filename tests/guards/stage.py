"""What scenarios play on: a provider in memory, a ledger whose clock stands still, and a guard over both."""

import asyncio
import threading
import time
from collections import deque

from admission import MemoryLedger, Policy, Saturated, Usage
from admission.testing import VirtualClock
from tests.guards.asleep import someone_goes_on
from tests.guards.colours import LOOK, PATIENCE, until

POLICY = {"refresh_interval": 1.0, "visibility_lag": 2.0, "placement_timeout": 10.0, "lease_ttl": 10.0}


class Provider:
    """A source whose answers are the test's to say.

    Attributes:
        limit: What it tells.
        count: What it tells.
        script: What the next readings come to, one each: a value to return or an error to raise.
        always: The same for every reading after those.
        gate: Readings hang while it is not set.
        readings: How many began.
        peak: Most that were under way at once.
    """

    timeout = 5.0

    def __init__(self, limit=1, count=0):
        self.limit = limit
        self.count = count
        self.script = deque()
        self.always = None
        self.gate = threading.Event()
        self.gate.set()
        self.readings = 0
        self.under_way = 0
        self.peak = 0
        self._lock = threading.Lock()

    def fetch(self):
        self._begin()
        try:
            self.gate.wait(PATIENCE)
            return self._answer()
        finally:
            self.under_way -= 1

    async def afetch(self):
        self._begin()
        try:
            while not self.gate.is_set():
                await asyncio.sleep(5 * LOOK)  # between two of these, a look finds that nobody goes on
            return self._answer()
        finally:
            self.under_way -= 1

    def _begin(self):
        with self._lock:
            self.readings += 1
            self.under_way += 1
            self.peak = max(self.peak, self.under_way)

    def _answer(self):
        answer = self.script.popleft() if self.script else self.always
        if isinstance(answer, BaseException):
            raise answer
        return Usage(self.limit, self.count) if answer is None else answer


class Stage:
    """A guard on a provider and a ledger; `async with` closes the guard.

    `source`: takes the clock and returns what the guard reads instead of a `Provider`.
    """

    def __init__(self, colour, limit=1, *, count=0, policy=None, source=None, **settings):
        self.colour = colour
        self.clock = VirtualClock()
        self.ledger = MemoryLedger(clock=self.clock)
        self.provider = Provider(limit, count)
        self.source = self.provider if source is None else source(self.clock)
        self.policy = Policy(**(POLICY | (policy or {})))
        self.guard = self.another(colour, **settings)

    def another(self, colour, **settings):
        """Return one more guard of the same account."""
        settings = {"account": "acme", "policy": self.policy} | settings
        return colour.guard(self.source, self.ledger, **settings)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, *exc):
        self.provider.gate.set()
        # A scenario that failed may have left things so that closing would wait for time to pass.
        if kind is None:
            await self.guard.close()

    def start(self, coroutine):
        return self.colour.start(coroutine)

    async def until(self, condition):
        return await until(self.colour, condition)

    async def status(self, condition=None):
        """Return the account's state, the first for which `condition` holds."""

        async def look():
            status = await self.guard.status()
            return status if condition is None or condition(status) else None

        return await self.until(look)

    async def waiting(self, callers):
        """Wait until that many callers stand in line."""
        await self.status(lambda status: status.waiting == callers)

    async def in_line(self, *coroutines):
        """Start callers one after the other, each when the one before it stands in line."""
        before = (await self.guard.status()).waiting
        jobs = []
        for number, coroutine in enumerate(coroutines, before + 1):
            jobs.append(self.start(coroutine))
            await self.waiting(number)
        return jobs

    async def pass_time(self, seconds, step=0.5):
        """Let time pass in steps, and in each let the background do what is due."""
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 1e-9:
            self.clock.advance(min(step, left))
            await self.guard.status()
            await self.until(lambda: not self.provider.under_way)
            await self.idle()

    async def idle(self):
        """Let everybody do what can be done before more time passes; not for ever."""
        end = time.monotonic() + 0.5
        while time.monotonic() < end and someone_goes_on(self.ledger.clerk(), self.asleep_readings()):
            await self.colour.look()

    def asleep_readings(self):
        """Return how many readings under way wait for the test."""
        return 0 if self.provider.gate.is_set() else self.provider.under_way

    async def outcome(self, job, step=0.25):
        """Let time pass, whatever comes of it, until a job is done; return what it came to."""
        await self.idle()
        while not job.done:
            self.clock.advance(step)
            await self.idle()
        return await job.result()

    async def read(self):
        """Have the provider read in a millisecond of its own; return the account's state after it."""
        await self.guard.status()
        self.clock.advance(0.001)
        return await self.colour.start(self.guard.refresh()).result()

    async def claimable(self):
        """Claim all that is free, give it back, and return how much it was."""
        taken = []
        try:
            while True:
                taken.append(await self.guard.acquire(timeout=0))
        except Saturated:
            pass
        for reservation in taken:
            reservation.cancel()
        return len(taken)
