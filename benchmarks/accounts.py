"""What accounts and reservations take in Redis, and how fast one process serves many accounts through one ledger."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from typing import TYPE_CHECKING

from admission import AsyncGuard, Policy, RedisLedger, Usage
from benchmarks.report import Column, Result
from benchmarks.subjects import AsyncHold, Provider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    import redis

    from admission import Reservation, Status
    from benchmarks.harness import Options
    from benchmarks.report import Row

CALLERS = 100
LIMIT = 20
RESERVATIONS = 1_000
BATCH = 500
"""Accounts that are opened, or closed, at the same time."""
PATIENCE = 120.0
"""Seconds for one measurement."""
POLICY = Policy(visibility_lag=0.1, max_waiting=1_000_000)

COLUMNS = (
    Column("subject", "subject"),
    Column("accounts", "accounts", ",.0f"),
    Column("rate", "admissions/s", ",.0f"),
    Column("account_bytes", "bytes/account", ",.0f"),
    Column("held_bytes", "bytes/held", ",.0f"),
    Column("waiting_bytes", "bytes/waiting", ",.0f"),
)
NOTES = (
    f"One process, one RedisLedger, a guard for each account; {CALLERS} tasks take slots of one account after",
    f"another, {LIMIT} each. Bytes: growth of the server's used memory, clients aside. Held, waiting: {RESERVATIONS:,}",
    "of each in one account.",
)


class Counting:
    """A provider whose count is told by the test."""

    account = "benchmark"
    timeout = 2.0

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0

    def fetch(self) -> Usage:
        return Usage(limit=self.limit, count=self.count)

    async def afetch(self) -> Usage:
        return self.fetch()


def run(options: Options) -> Result:
    """Measure 1, 100 and 10,000 accounts, and the reservations of one; quick: 1 and 100 accounts."""
    seconds = 1.5 if options.quick else 5.0
    rows: list[Row] = []
    for accounts in (1, 100) if options.quick else (1, 100, 10_000):
        with options.redis() as server, server.client() as client:
            figures = _figures(_accounts(server.url, client, accounts, seconds))
            rows.append({"subject": "accounts", "accounts": accounts, **figures})
    with options.redis() as server, server.client() as client:
        rows.append({"subject": "reservations", "accounts": 1, **_figures(_reservations(server.url, client))})
    return Result(title="accounts: many of them, and large ones", columns=COLUMNS, rows=rows, notes=NOTES)


def _figures(measurement: Coroutine[object, object, Row]) -> Row:
    """Run a measurement on a loop of its own, for a while."""

    async def bounded() -> Row:
        try:
            async with asyncio.timeout(PATIENCE):
                return await measurement
        except TimeoutError:
            return {"remark": f"not over after {PATIENCE:g} s"}

    return asyncio.run(bounded())


def used_memory(client: redis.Redis) -> int:
    """Return the bytes of all keys: used memory without clients' buffers and scripts, which come and go."""
    stats = client.memory_stats()
    tables = stats.get("db.0", {})
    return int(stats["dataset.bytes"]) + sum(size for name, size in tables.items() if name.startswith("overhead"))


async def _hold(guard: AsyncGuard) -> None:
    async with AsyncHold(guard, placed=False):
        pass


async def _accounts(url: str, client: redis.Redis, accounts: int, seconds: float) -> Row:
    ledger = RedisLedger(url)
    async with AsyncGuard(Provider(LIMIT, account="first"), ledger, policy=POLICY) as first:
        # What comes once for a server, such as the scripts, is no account's.
        await _hold(first)
        before = used_memory(client)
        guards = [
            AsyncGuard(Provider(LIMIT, account=f"account-{number}"), ledger, policy=POLICY)
            for number in range(accounts)
        ]
        for batch in _batches(guards):
            await asyncio.gather(*map(_hold, batch))
        used = used_memory(client) - before
        rate = await _rate(guards, seconds)
        for batch in _batches(guards):
            await asyncio.gather(*(guard.close() for guard in batch))
    # Of a single one it would tell how large the tables of the server happen to be.
    return {"rate": rate, "account_bytes": used / accounts if accounts > 1 else math.nan}


def _batches(guards: list[AsyncGuard]) -> list[list[AsyncGuard]]:
    return [guards[at : at + BATCH] for at in range(0, len(guards), BATCH)]


async def _rate(guards: list[AsyncGuard], seconds: float) -> float:
    """Return admissions a second of callers that go from account to account."""
    turns = itertools.cycle(guards)
    until = time.monotonic() + seconds
    admissions = 0

    async def caller() -> None:
        nonlocal admissions
        while time.monotonic() < until:
            await _hold(next(turns))
            admissions += 1

    began = time.monotonic()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return admissions / (time.monotonic() - began)


async def _until(look: Callable[[], Awaitable[Status]], condition: Callable[[Status], bool]) -> None:
    while not condition(await look()):  # noqa: ASYNC110 - a ledger in another process tells no events
        await asyncio.sleep(0.1)


async def _reservations(url: str, client: redis.Redis) -> Row:
    """Return the bytes of a held reservation, and of a waiting one."""
    source = Counting(RESERVATIONS)
    async with AsyncGuard(source, RedisLedger(url), policy=POLICY) as guard:
        await _hold(guard)
        await guard.status()
        before = used_memory(client)
        held: list[Reservation] = await asyncio.gather(*(guard.acquire() for _ in range(RESERVATIONS)))
        source.count = RESERVATIONS
        for reservation in held:
            reservation.placed()
        await _until(guard.refresh, lambda status: status.held == RESERVATIONS)
        full = used_memory(client)
        line = [asyncio.create_task(guard.acquire()) for _ in range(RESERVATIONS)]
        await _until(guard.status, lambda status: status.waiting == RESERVATIONS)
        with_line = used_memory(client)
        for task in line:
            task.cancel()
        await asyncio.gather(*line, return_exceptions=True)
        source.count = 0
        for reservation in held:
            reservation.ended()
    return {
        "held_bytes": (full - before) / RESERVATIONS,
        "waiting_bytes": (with_line - full) / RESERVATIONS,
    }
