"""How much a crowd asks of Redis: one round trip for all who ask together, one beat a second for all who wait."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from admission import AsyncGuard, Guard, LedgerUnavailable, Policy, RedisLedger, Usage
from tests.servers import redis_server
from tests.waiting import wait_until

CROWD = 300
POLICY = Policy(visibility_lag=0.0, refresh_interval=60, max_staleness=600, lease_ttl=20)


class Provider:
    """A provider with one line, asked at the beginning alone."""

    timeout = 5.0

    def __init__(self, account):
        self.account = account

    def fetch(self):
        return Usage(1, 0)

    async def afetch(self):
        return self.fetch()


@pytest.fixture(scope="module")
def server():
    with redis_server() as one:
        # A new ledger admits nobody until a reading after its first second.
        for account in ("in-a-loop", "one-slot"):
            quick = replace(POLICY, refresh_interval=0.05)
            with Guard(Provider(account), RedisLedger(one.url), policy=quick) as opener:
                opener.acquire().cancel()
        yield one


def scripts_run(client):
    """Return how many scripts the server has run."""
    return client.info("commandstats")["cmdstat_evalsha"]["calls"]


async def test_all_who_ask_in_one_turn_of_a_loop_share_a_round_trip_and_who_waits_asks_nothing(server):
    with server.client() as client:
        async with AsyncGuard(Provider("in-a-loop"), RedisLedger(server.url), policy=POLICY) as guard:
            holder = await guard.acquire()
            before = scripts_run(client)
            tasks = [asyncio.create_task(guard.acquire()) for _ in range(CROWD)]
            async with asyncio.timeout(60):
                while (await guard.status()).waiting < CROWD:
                    await asyncio.sleep(0.05)
            # A hundred requests at most make one script; some looks at the line and a beat come in between.
            assert scripts_run(client) - before <= 20
            before, began = scripts_run(client), time.monotonic()
            await asyncio.sleep(3)
            beats = time.monotonic() - began
            assert scripts_run(client) - before <= beats + 2
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            holder.cancel()


def test_a_slot_wakes_one_waiter_of_a_crowd(server):
    with server.client() as client, Guard(Provider("one-slot"), RedisLedger(server.url), policy=POLICY) as guard:

        async def crowd():
            async with AsyncGuard(Provider("one-slot"), guard._ledger, policy=POLICY) as waiting:
                holder = await asyncio.to_thread(guard.acquire)
                tasks = [asyncio.create_task(waiting.acquire()) for _ in range(CROWD)]
                await asyncio.to_thread(wait_until, lambda: all_wait(guard))
                before = passed(client)
                holder.cancel()
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                assert len(done) == 1
                assert passed(client) - before == 1
                done.pop().result().cancel()
                for task in tasks:
                    task.cancel()
                for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                    if not isinstance(outcome, BaseException):
                        outcome.cancel()

        asyncio.run(crowd())


def all_wait(guard):
    """Whether the whole crowd stands in line; while it gets there the ledger's thread may not answer in its 5 s."""
    with suppress(LedgerUnavailable):
        return guard.status().waiting == CROWD
    return False


def passed(client):
    """Return how many wake-up messages the server has passed on."""
    return client.info("commandstats").get("cmdstat_publish", {"calls": 0})["calls"]
