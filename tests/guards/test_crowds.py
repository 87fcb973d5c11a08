"""Many callers at once: never above the limit, nobody forgotten, nothing lost to those who give up."""

import asyncio
import random
import threading
from collections import Counter

import httpx
import pytest

from admission import AdmissionError, MemoryLedger, NotPlaced, Policy, PureTalk, Saturated, Unavailable
from admission.testing import FakePureTalk, VirtualClock
from admission.testing.transport import transport
from tests.guards.colours import COLOURS, Tasks, Threads, both_colours, finish
from tests.guards.stage import Stage
from tests.waiting import wait_until


class Calls:
    """Counts what is live at once."""

    def __init__(self):
        self.live = 0
        self.peak = 0
        self.made = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.made += 1
            self.live += 1
            self.peak = max(self.peak, self.live)

    def __exit__(self, *exc):
        with self._lock:
            self.live -= 1


def test_a_hundred_threads_on_one_guard():
    calls = Calls()
    stage = Stage(Threads(), 7)
    guard = stage.guard.guard

    def work():
        for _ in range(10):
            with guard.hold() as reservation:
                with calls:
                    pass
                reservation.ended()

    threads = [threading.Thread(target=work) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status = guard.status()
    assert (status.in_use, status.waiting) == (0, 0)
    assert calls.made == 1000
    assert calls.peak <= 7
    guard.close()


def test_a_hundred_threads_call_one_decorated_function():
    calls = Calls()
    stage = Stage(Threads(), 5)
    guard = stage.guard.guard

    @guard.place(timeout=60)
    def dial():
        with calls:
            raise NotPlaced

    def work():
        for _ in range(5):
            with pytest.raises(NotPlaced):
                dial()

    threads = [threading.Thread(target=work) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (calls.made, guard.status().in_use) == (500, 0)
    assert calls.peak <= 5
    guard.close()


async def test_five_thousand_tasks_on_one_async_guard():
    calls = Calls()
    async with Stage(Tasks(), 20) as stage:

        async def work():
            async with stage.guard.hold() as reservation:
                with calls:
                    await asyncio.sleep(0)
                reservation.ended()

        async with asyncio.timeout(60):
            await asyncio.gather(*(work() for _ in range(5000)))
        status = await stage.status()
        assert (status.in_use, status.waiting) == (0, 0)
        assert calls.made == 5000
        assert calls.peak <= 20


async def test_a_thousand_waiters_cancelled_at_random_moments_lose_no_slot():
    rng = random.Random(20)
    async with Stage(Tasks(), 5) as stage:
        admitted = Counter()

        async def caller():
            async with stage.guard.hold() as reservation:
                admitted["all"] += 1
                await asyncio.sleep(0)
                reservation.cancel()

        tasks = [asyncio.create_task(caller()) for _ in range(1000)]
        for task in rng.sample(tasks, 900):
            for _ in range(rng.choice([0, 0, 0, 1, 2, 5])):
                await asyncio.sleep(0)
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} <= {type(None), asyncio.CancelledError}
        assert sum(outcome is None for outcome in outcomes) >= 100
        # A block that was cancelled before its call was over may have dialled: it is booked until its settle time.
        await stage.waiting(0)
        await stage.pass_time(12.1)
        await stage.read()
        assert await stage.claimable() == 5


async def test_a_thousand_waiters_cancelled_while_slots_come_free_lose_no_slot():
    rng = random.Random(21)
    async with Stage(Tasks(), 5) as stage:
        holders = [await stage.guard.acquire() for _ in range(5)]
        jobs = [asyncio.create_task(stage.guard.acquire()) for _ in range(1000)]
        await stage.waiting(1000)
        rng.shuffle(jobs)
        for job in jobs:
            if holders and rng.random() < 0.5:
                holders.pop().cancel()
            if rng.random() < 0.3:
                await asyncio.sleep(0)
            job.cancel()
        for outcome in await asyncio.gather(*jobs, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                outcome.cancel()
        for holder in holders:
            holder.cancel()
        await stage.waiting(0)
        assert await stage.claimable() == 5


def test_threads_that_time_out_while_slots_come_free_lose_no_slot():
    rng = random.Random(22)
    stage = Stage(Threads(), 4)
    guard = stage.guard.guard
    outcomes = Counter()
    done = threading.Event()

    def work(seed):
        own = random.Random(seed)
        for _ in range(5):
            try:
                guard.acquire(timeout=own.choice([0, 0.01, 0.05, 0.2])).cancel()
                outcomes["admitted"] += 1
            # Time runs on however slow this machine is: a reading, or the clerk, may come too late for some.
            except (Saturated, Unavailable):
                outcomes["refused"] += 1

    def tick():
        while not done.wait(0.001):
            stage.clock.advance(rng.choice([0, 0.01, 0.02]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(60)]
    ticking = threading.Thread(target=tick)
    for thread in [ticking, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    ticking.join()
    assert outcomes.total() == 300
    assert outcomes["admitted"] > 0
    finish(stage.waiting(0))
    assert finish(stage.claimable()) == 4
    guard.close()


@pytest.mark.parametrize("colour", COLOURS)
def test_threads_and_tasks_share_an_account_through_one_ledger(colour):
    calls = Calls()
    stage = Stage(colour, 3)
    plain = stage.another(Threads()).guard

    def work():
        for _ in range(20):
            with plain.hold() as reservation:
                with calls:
                    pass
                reservation.ended()

    async def work_in_loop():
        for _ in range(20):
            async with stage.guard.hold() as reservation:
                with calls:
                    await stage.colour.look()
                reservation.ended()

    async def together():
        jobs = [stage.start(work_in_loop()) for _ in range(10)]
        for job in jobs:
            await job.result()

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    colour.run(together())
    for thread in threads:
        thread.join()
    assert calls.made == 400
    assert calls.peak <= 3
    # What the one guard was told last may be seen by the other a moment later.
    wait_until(lambda: plain.status().in_use == 0)
    assert plain.status().waiting == 0
    plain.close()
    colour.run(stage.guard.close())


@both_colours
async def test_callers_come_and_go_in_every_way_and_all_slots_are_free_in_the_end(colour):
    """Each caller does one of all that a caller may do, in an order drawn by seed, while time passes."""
    rng = random.Random(23)
    errors = (ValueError, NotPlaced, KeyboardInterrupt)

    async with Stage(colour, 3, policy={"placement_timeout": 1, "visibility_lag": 0.5}) as stage:

        async def caller(way, timeout, error):
            try:
                if way == "acquire":
                    reservation = await stage.guard.acquire(timeout=timeout)
                    reservation.placed()
                    reservation.release()
                    return
                async with getattr(stage.guard, way)(timeout=timeout) as reservation:
                    if error in {"cancel", "ended"}:
                        getattr(reservation, error)()
                    elif error is not None:
                        raise error
            except (AdmissionError, *errors):
                pass

        async def tick():
            while ticking:
                stage.clock.advance(0.05)
                await colour.look()

        ticking = True
        clock = stage.start(tick())
        ways = [
            (
                rng.choice(["acquire", "hold", "place"]),
                rng.choice([0, 0.3, 2, None]),
                rng.choice([None, *errors, "cancel", "ended"]),
            )
            for _ in range(60)
        ]
        jobs = [stage.start(caller(*way)) for way in ways]
        for job in jobs:
            await job.result()
        ticking = False
        await clock.result()
        await stage.waiting(0)
        await stage.pass_time(2)
        await stage.read()
        assert await stage.claimable() == 3


@both_colours
async def test_callers_that_never_wait_keep_the_account_busy(colour):
    """Ten lines, calls of 30 s, and dialers that ask anew every quarter of a second: at least 90 % busy."""
    clock = VirtualClock()
    fake = FakePureTalk(10, clock=clock.now, visibility_lag=0.5)
    kind = httpx.AsyncClient if colour.tasks else httpx.Client
    source = PureTalk(fake.api_key, base_url="http://provider.test/api", client=kind(transport=transport(fake)))
    policy = Policy(visibility_lag=0.5, timeout=0)
    async with colour.guard(source, MemoryLedger(clock=clock), account="acme", policy=policy) as guard:

        async def dial_all():
            while True:
                try:
                    async with guard.place():
                        fake.start_call(duration=30)
                except Saturated:
                    return

        async def pass_time(seconds):
            for _ in range(int(seconds * 4)):
                clock.advance(0.25)
                read = fake.readings
                await dial_all()
                # A reading that this asked for is over before time goes on.
                for _ in range(3):
                    await colour.look()
                    await guard.status()
                if fake.readings > read:
                    await dial_all()

        await pass_time(35)
        since = fake.mark()
        await pass_time(90)
        assert fake.busy(since) >= 0.9
        assert fake.overshoots == 0
        assert fake.refused == 0
