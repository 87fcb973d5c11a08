"""Both colours of guard behind one face of blocking calls, so that a fault is tested once and holds for both."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from admission import AsyncGuard, Guard, Policy, PureTalk, RedisLedger, Saturated, Unavailable
from tests.clients import client_at
from tests.integration.fleet_crews import KEY
from tests.waiting import wait_until

POLICY = Policy(
    refresh_interval=0.05, visibility_lag=0.05, placement_timeout=60.0, lease_ttl=3.0, max_staleness=5.0, timeout=20.0
)
"""Quick, so that tests are; but a claim stays one however late they look. The stand-in's count does not lag."""


class Side:
    """A guard in this process, of either colour.

    Args:
        at: The provider.
        redis: A ledger; or where it is, see `client_at`; or a client.
        account: The account's name.
        policy: The guard's.
        settings: More of what the guard is made of.
    """

    colour = ""

    def __init__(self, at, redis, account, policy=POLICY, **settings):
        client = client_at(redis) if isinstance(redis, str) else redis
        ledger = client if isinstance(client, RedisLedger) else RedisLedger(client)
        self.guard = self._make(PureTalk(KEY, base_url=at.url), ledger, account=account, policy=policy, **settings)
        self._kept = []

    def submit(self, name, **more):
        """Begin a method of the guard; return a future of what comes of it."""
        raise NotImplementedError

    def ask(self, name, **more):
        """Call a method of the guard and return what it returns."""
        return self.submit(name, **more).result(40)

    def acquire(self, **more):
        reservation = self.ask("acquire", **more)
        self._kept.append(reservation)
        return reservation

    def status(self):
        return self.ask("status")

    def claim_all(self, most=50):
        """Claim slots until none is free; return them."""
        claimed = []
        end = time.monotonic() + 40
        while len(claimed) < most:
            try:
                claimed.append(self.acquire(timeout=0))
            except Saturated:
                break
            except Unavailable:
                # A busy machine may take its time, which a caller without a timeout does not give it.
                assert time.monotonic() < end
        return claimed

    def check_whole(self, limit=5):
        """Check that nothing is lost and nothing booked twice: exactly the limit can be claimed."""
        self.wait_for(free=limit)
        claimed = self.claim_all()
        assert len(claimed) == limit
        assert len({reservation.id for reservation in claimed}) == limit
        for reservation in claimed:
            reservation.ended()
        assert self.status().free == limit

    def wait_for(self, **numbers):
        """Wait until readings and the ledger have it so."""

        def holds():
            try:
                status = self.ask("refresh")
            except Unavailable:
                return False
            return all(getattr(status, name) == number for name, number in numbers.items())

        wait_until(holds)

    def wait_waiting(self, waiting):
        """Wait until so many callers stand in line."""
        wait_until(lambda: self.status().waiting == waiting)

    def enter(self, block):
        """Enter a block; return its reservation."""
        raise NotImplementedError

    def leave(self, block, error=None):
        """Leave a block, by `error` if there is one."""
        raise NotImplementedError

    def close(self):
        for reservation in self._kept:
            reservation.ended()
        self.ask("close")


class Threads(Side):
    """A `Guard`."""

    colour = "sync"
    _make = Guard

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self._pool = ThreadPoolExecutor(200)

    def submit(self, name, **more):
        return self._pool.submit(getattr(self.guard, name), **more)

    def enter(self, block):
        return block.__enter__()

    def leave(self, block, error=None):
        block.__exit__(type(error) if error else None, error, None)

    def close(self):
        super().close()
        self._pool.shutdown()
        self.guard._source.close()


class Tasks(Side):
    """An `AsyncGuard`, on a loop in a thread."""

    colour = "async"
    _make = AsyncGuard

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def submit(self, name, **more):
        return self.run(getattr(self.guard, name)(**more))

    def enter(self, block):
        return self.run(block.__aenter__()).result(40)

    def leave(self, block, error=None):
        self.run(block.__aexit__(type(error) if error else None, error, None)).result(40)

    def close(self):
        super().close()
        self.run(self.guard._source.aclose()).result(10)
        self.run(self.loop.shutdown_asyncgens()).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


SIDES = {side.colour: side for side in (Threads, Tasks)}


@contextmanager
def side(colour, at, redis, account, policy=POLICY, **settings):
    """Make a guard of a colour, and close it at the end, whatever came of it."""
    guard = SIDES[colour](at, redis, account, policy, **settings)
    try:
        yield guard
    finally:
        guard.close()


def script(*lines):
    """Return the command that runs a script in a process of its own, for `subprocess`."""
    return [sys.executable, "-c", "\n".join(lines)]
