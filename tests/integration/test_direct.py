"""Callers that ask the ledger by themselves, as they do while slots are free: nothing is lost by it."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import warnings
from concurrent.futures import as_completed
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from admission import AsyncGuard, Guard, Policy, RedisLedger, Saturated, Usage
from tests.guards.interrupts import Alarm, Lines
from tests.servers import redis_server
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ledger_has_time")

LIMIT = 500
POLICY = Policy(visibility_lag=0.05, placement_timeout=0.4, refresh_interval=0.1, max_staleness=5, timeout=20)
LASTING = replace(POLICY, placement_timeout=60)
"""For callers that keep hundreds of slots at once: none of them settles before the last was claimed."""


class Roomy:
    """A provider without calls."""

    timeout = 2.0

    def fetch(self):
        return Usage(LIMIT, 0)

    async def afetch(self):
        return Usage(LIMIT, 0)


@pytest.fixture(scope="module")
def server():
    with redis_server() as server:
        yield server


@contextmanager
def guarded(server, account, kind=Guard, policy=POLICY):
    """Make a guard on an account of its own that admits, and a watcher beside it."""
    with Guard(Roomy(), RedisLedger(server.url), account=account, policy=LASTING) as watcher:
        watcher.acquire().ended()
        guard = kind(Roomy(), RedisLedger(server.url), account=account, policy=policy)
        yield guard, watcher
        if kind is Guard:
            guard.close()
        wait_until(lambda: watcher.refresh().in_use == 0)
        assert watcher.status().waiting == 0


def warm(guard):
    """Admit until callers ask by themselves, and have all that was noted delivered."""
    for _ in range(5):
        guard.acquire().ended()
    guard.status()


async def awarm(guard):
    for _ in range(5):
        (await guard.acquire()).ended()
    await guard.status()


@contextmanager
def torn():
    """Allow for reservations that are cut off from their blocks before anybody can leave them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture
def callers_have_time(monkeypatch):
    """Who asks by itself waits for the answer, however late it comes."""
    monkeypatch.setattr("admission.ledger.redis.spare.PATIENCE", 30.0)
    monkeypatch.setattr("admission.direct.PATIENCE", 30.0)


@contextmanager
def stuck(guard):
    """Keep the clerk from its store meanwhile."""
    store = guard._ledger.clerk().store
    go_on = threading.Event()
    exchange, store.exchange = store.exchange, lambda batch: go_on.wait(20) and exchange(batch)
    try:
        yield
    finally:
        store.exchange = exchange
        go_on.set()


@pytest.mark.usefixtures("callers_have_time")
def test_a_caller_of_a_free_account_does_not_wait_for_the_clerk(server):
    with guarded(server, "free") as (guard, watcher):
        warm(guard)
        with stuck(guard):
            reservation = guard.acquire(timeout=0)
            assert watcher.status().pending == 1
        reservation.ended()


@pytest.mark.usefixtures("callers_have_time")
def test_a_task_of_a_free_account_does_not_wait_for_the_clerk(server):
    async def run(guard, watcher):
        async with guard:
            await awarm(guard)
            with stuck(guard):
                reservation = await guard.acquire(timeout=0)
                assert watcher.status().pending == 1
            reservation.ended()

    with guarded(server, "free-task", AsyncGuard) as pair:
        asyncio.run(run(*pair))


def test_a_loop_that_cannot_watch_sockets_leaves_the_asking_to_the_clerk(server):
    class Blind(asyncio.SelectorEventLoop):
        def add_reader(self, *_):
            raise NotImplementedError

    async def run(guard, watcher):
        async with guard:
            await awarm(guard)
            reservation = await guard.acquire(timeout=20)
            assert watcher.status().pending == 1
            reservation.ended()

    with guarded(server, "blind", AsyncGuard) as pair, asyncio.Runner(loop_factory=Blind) as runner:
        runner.run(run(*pair))


def test_a_caller_waits_in_line_when_nothing_is_free(server):
    with guarded(server, "full") as (guard, watcher):
        warm(guard)
        taken = [watcher.acquire(timeout=0) for _ in range(LIMIT)]
        with pytest.raises(Saturated) as caught:
            guard.acquire(timeout=0)
        assert caught.value.in_use == LIMIT
        job = threading.Thread(target=lambda: guard.acquire().ended())
        job.start()
        wait_until(lambda: watcher.status().waiting == 1)
        for reservation in taken:
            reservation.ended()
        job.join(20)
        assert not job.is_alive()


def places(lines):
    """Return every line that was run, once for each of the first two times."""
    return [(*place, time) for place, times in lines.seen.items() for time in range(1, min(times, 2) + 1)]


def test_an_exception_at_any_line_of_a_thread_leaves_nothing_behind(server):
    def call(guard):
        with guard.hold(timeout=20) as reservation:
            reservation.ended()

    with guarded(server, "lines") as (guard, _), torn():
        warm(guard)
        with Lines() as lines:
            call(guard)
        assert ("direct.py", ask_line()) in lines.seen
        for place in places(lines):
            warm(guard)
            with suppress(Alarm), Lines(place):
                call(guard)


def test_an_exception_at_any_line_of_a_task_leaves_nothing_behind(server):
    async def call(guard):
        async with guard.hold(timeout=20) as reservation:
            reservation.ended()

    async def run(guard):
        async with guard:
            await awarm(guard)
            with Lines() as lines:
                await call(guard)
            for place in places(lines):
                await awarm(guard)
                with suppress(Alarm), Lines(place):
                    await call(guard)
            return lines

    with guarded(server, "task-lines", AsyncGuard) as (guard, _), torn():
        lines = asyncio.run(run(guard))
        assert any(file == "direct.py" for file, _ in lines.seen)


def ask_line():
    """Return the first line of what a thread runs to ask by itself."""
    from admission import direct

    return direct.ask.__code__.co_firstlineno + 2


def test_tasks_that_are_cancelled_at_any_moment_leave_nothing_behind(server):
    async def run(guard):
        async with guard:
            await awarm(guard)
            dice = random.Random(5)
            for _ in range(300):
                task = asyncio.create_task(guard.acquire())
                for _ in range(dice.randrange(6)):
                    await asyncio.sleep(dice.choice((0, 0, 0.0002)))
                task.cancel()
                with suppress(asyncio.CancelledError):
                    (await task).ended()

    with guarded(server, "cancelled", AsyncGuard) as (guard, watcher):
        asyncio.run(run(guard))
        wait_until(lambda: watcher.refresh().in_use == 0)
        claimed = [watcher.acquire(timeout=0) for _ in range(LIMIT)]
        with pytest.raises(Saturated):
            watcher.acquire(timeout=0)
        for reservation in claimed:
            reservation.ended()


def test_threads_that_share_a_guard_claim_each_slot_once(server):
    with guarded(server, "threads", policy=LASTING) as (guard, watcher):
        warm(guard)
        claimed = []

        def claim():
            claimed.extend(guard.acquire(timeout=20) for _ in range(LIMIT // 20))

        threads = [threading.Thread(target=claim) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len({reservation.id for reservation in claimed}) == LIMIT
        assert watcher.status().pending == LIMIT
        for reservation in claimed:
            reservation.ended()


def test_a_slow_ledger_admits_once(opened, open_store):
    _, between, _ = open_store
    for _ in range(5):
        opened.acquire().ended()
    between.delay = 0.4  # longer than a caller waits that asks by itself
    reservation = opened.acquire(timeout=20)
    between.delay = 0
    assert opened.status().pending == 1
    reservation.ended()
    opened.check_whole()


@pytest.mark.parametrize("before", [True, False])
def test_a_connection_that_is_cut_as_a_caller_asks_by_itself_claims_once(opened, open_store, before):
    _, between, _ = open_store
    for _ in range(5):
        opened.acquire().ended()
    between.cut(b"\r\nask\r\n", before=before)
    reservation = opened.acquire(timeout=10)
    assert between.cuts == 1
    assert opened.status().pending == 1
    reservation.ended()
    opened.check_whole()


def test_a_server_that_lost_its_script_admits(opened, open_store):
    store, _, _ = open_store
    for _ in range(5):
        opened.acquire().ended()
    store.client.script_flush()
    opened.acquire(timeout=10).ended()
    opened.check_whole()


def test_a_process_has_three_connections_at_most(guard, own):
    for _ in range(5):
        guard.acquire().ended()
    held = [guard.submit("acquire") for _ in range(20)]
    wait_until(lambda: guard.status().waiting == 15)
    assert own.connections <= 3
    # Who came first is not known: they were put in by many threads.
    for future in as_completed(held, timeout=60):
        future.result().ended()
